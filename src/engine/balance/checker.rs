//! One checker: when its server is probed, and what the results say.
//!
//! The interval counts from start to start, so a slow answer does not move the next probe; a probe that is
//! still running is not doubled; probes that a stall has swallowed are not made up for.
//!
//! Whoever is probed by several servers' checks has one checker all the same: see `probes`.

use crate::model::Check;
use crate::time::{Duration, Instant};

/// Without a `warmup` of its own the first probe comes within the interval, but not later than this.
const FIRST_PROBE_MAX: Duration = Duration::from_secs(2);

/// What a checker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// When does the next probe begin?
    Waiting { probe_at: Instant },
    /// A probe is running, in whose turn it was due at `slot`.
    Probing { serial: u32, slot: Instant },
}

/// What its probes have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet: the first probe decides alone.
    None,
    /// Up, and so many failures in a row since.
    Up { failures: u16 },
    /// Down, and so many successes in a row since.
    Down { successes: u16 },
}

/// The state machine of one checker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checker {
    state: State,
    verdict: Verdict,
    /// Its place among all checkers, as a fraction of 2^32.
    place: u32,
    /// Are the probes still bunched together as the short first wait has left them?
    bunched: bool,
}

/// What has become due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Start a probe.
    Probe,
    /// Nothing now; look again then.
    Wait(Instant),
    /// A probe is running; look again when it has ended.
    Nothing,
}

impl Checker {
    /// A checker without a verdict. `place` (a fraction of 2^32) says when its first probe is due, and
    /// spreads the later ones over the interval.
    pub(super) fn new(now: Instant, check: &Check, place: u32) -> Self {
        let span = warmup(check);
        Checker {
            state: State::Waiting { probe_at: now + part(span, place) },
            verdict: Verdict::None,
            place,
            bunched: check.interval > span,
        }
    }

    /// When does the next probe begin? `None` while one is running.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { probe_at } => Some(probe_at),
            State::Probing { .. } => None,
        }
    }

    /// The serial of the probe that is running.
    pub(super) fn serial(&self) -> Option<u32> {
        match self.state {
            State::Waiting { .. } => None,
            State::Probing { serial, .. } => Some(serial),
        }
    }

    /// What it has come to: up, down, or nothing yet.
    pub(super) fn verdict(&self) -> Option<bool> {
        match self.verdict {
            Verdict::None => None,
            Verdict::Up { .. } => Some(true),
            Verdict::Down { .. } => Some(false),
        }
    }

    /// Starts the probe that is due, under `serial`.
    pub(super) fn handle_due(&mut self, now: Instant, check: &Check, serial: u32) -> Due {
        match self.state {
            State::Probing { .. } => Due::Nothing,
            State::Waiting { probe_at } if now < probe_at => Due::Wait(probe_at),
            State::Waiting { probe_at } => {
                let late = now - probe_at;
                let interval = check.interval.max(Duration::from_millis(1));
                if late >= interval && !self.bunched {
                    // A stall has swallowed a whole turn, and those of all others: each waits for its own
                    // next turn, so that they do not all start at once.
                    let rest = Duration::from_micros(late.total_micros() % interval.total_micros());
                    let probe_at = now + (interval - rest);
                    self.state = State::Waiting { probe_at };
                    return Due::Wait(probe_at);
                }
                self.state = State::Probing { serial, slot: probe_at };
                Due::Probe
            }
        }
    }

    /// Its probe passed (`Some(true)`), failed, or could not be made (`None`; HC-4). Returns the new
    /// verdict where there is one: up or down.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        check: &Check,
        passed: Option<bool>,
    ) -> Option<bool> {
        let State::Probing { slot, .. } = self.state else { return None };
        let before = self.verdict;
        if let Some(passed) = passed {
            self.verdict = before.after(passed, check);
        }
        let counting = match self.verdict {
            Verdict::Up { failures } => failures > 0,
            Verdict::None | Verdict::Down { .. } => false,
        };
        let next = if passed.is_none() {
            now + check.retry_interval
        } else if core::mem::take(&mut self.bunched) {
            slot + if counting { check.retry_interval } else { part(check.interval, self.place) }
        } else {
            slot + if counting { check.retry_interval } else { check.interval }
        };
        self.state = State::Waiting { probe_at: next.max(now) };
        match (before, self.verdict) {
            (Verdict::None, Verdict::Up { .. }) | (Verdict::Down { .. }, Verdict::Up { .. }) => Some(true),
            (Verdict::None, Verdict::Down { .. }) | (Verdict::Up { .. }, Verdict::Down { .. }) => Some(false),
            (Verdict::None | Verdict::Up { .. } | Verdict::Down { .. }, Verdict::None)
            | (Verdict::Up { .. }, Verdict::Up { .. })
            | (Verdict::Down { .. }, Verdict::Down { .. }) => None,
        }
    }

    /// What was found out holds no longer: the next probe decides alone, and comes as soon as a first one.
    pub(super) fn start_over(&mut self, now: Instant, check: &Check) {
        *self = Checker::new(now, check, self.place);
    }

    /// Takes over from `old`, whose parameters were others: its verdict counts on, the next probe comes no
    /// later than the new ones say, and at once where one was running.
    pub(super) fn inherit(&mut self, now: Instant, check: &Check, old: &Checker) {
        self.verdict = old.verdict;
        self.bunched = old.bunched;
        let probe_at = match old.state {
            State::Waiting { probe_at } => probe_at.min(now + part(check.interval, self.place)),
            State::Probing { .. } => now,
        };
        self.state = State::Waiting { probe_at };
    }
}

/// The first probe comes within this.
fn warmup(check: &Check) -> Duration {
    check.warmup.unwrap_or_else(|| check.interval.min(FIRST_PROBE_MAX))
}

impl Verdict {
    /// The first result decides; after that `rise` and `fall` count.
    fn after(self, passed: bool, check: &Check) -> Verdict {
        match (self, passed) {
            (Verdict::None, true) => Verdict::Up { failures: 0 },
            (Verdict::None, false) => Verdict::Down { successes: 0 },
            (Verdict::Up { .. }, true) => Verdict::Up { failures: 0 },
            (Verdict::Up { failures }, false) => match failures.saturating_add(1) {
                failures if failures >= check.fall => Verdict::Down { successes: 0 },
                failures => Verdict::Up { failures },
            },
            (Verdict::Down { successes }, true) => match successes.saturating_add(1) {
                successes if successes >= check.rise => Verdict::Up { failures: 0 },
                successes => Verdict::Down { successes },
            },
            (Verdict::Down { .. }, false) => Verdict::Down { successes: 0 },
        }
    }
}

/// The place of checker `index` among all: neighbours lie far apart, any number of them is spread evenly (the
/// fractions of multiples of the golden ratio), and another seed turns the whole circle.
pub(super) fn place(seed: u32, index: u32) -> u32 {
    seed.wrapping_add(index.wrapping_mul(0x9E37_79B9))
}

/// `fraction` of 2^32 of a length of time.
pub(super) fn part(whole: Duration, fraction: u32) -> Duration {
    let micros = u128::from(whole.total_micros()) * u128::from(fraction);
    Duration::from_micros((micros >> 32) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckKind, ProbeVia};

    fn check(rise: u16, fall: u16) -> Check {
        Check {
            kind: CheckKind::Tcp,
            warmup: None,
            via: ProbeVia::default(),
            interval: Duration::from_secs(6),
            timeout: Duration::from_secs(3),
            retry_interval: Duration::from_secs(3),
            rise,
            fall,
        }
    }

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Starts the probe that is due at `start`, ends it at `end`.
    fn probe(c: &mut Checker, check: &Check, start: i64, end: i64, passed: Option<bool>) -> Option<bool> {
        assert_eq!(c.handle_due(at(start), check, 7), Due::Probe, "a probe is due at {start}");
        c.handle_result(at(end), check, passed)
    }

    #[test]
    fn first_probe_decides_alone_then_rise_and_fall_count() {
        let check = check(2, 3);
        let mut c = Checker::new(at(0), &check, 0);
        c.bunched = false;
        assert_eq!(
            probe(&mut c, &check, 0, 10, Some(false)),
            Some(false),
            "trap 4: the first failure is final"
        );
        assert_eq!(c.probe_at(), Some(at(6000)), "down: probed every interval");
        assert_eq!(probe(&mut c, &check, 6000, 6010, Some(true)), None, "rise = 2");
        assert_eq!(
            probe(&mut c, &check, 12_000, 12_010, Some(false)),
            None,
            "the row of successes is broken"
        );
        assert_eq!(probe(&mut c, &check, 18_000, 18_010, Some(true)), None);
        assert_eq!(probe(&mut c, &check, 24_000, 24_010, Some(true)), Some(true), "two in a row");
        assert_eq!(probe(&mut c, &check, 30_000, 31_000, Some(false)), None, "fall = 3");
        assert_eq!(c.probe_at(), Some(at(33_000)), "retry_interval counts from start to start");
        assert_eq!(probe(&mut c, &check, 33_000, 36_500, Some(false)), None);
        assert_eq!(c.probe_at(), Some(at(36_500)), "a slow probe is followed at once, not doubled");
        assert_eq!(probe(&mut c, &check, 36_500, 36_600, Some(false)), Some(false), "the third failure");
        assert_eq!(c.probe_at(), Some(at(42_500)), "back to the interval");
    }

    #[test]
    fn a_success_forgives_failures() {
        let check = check(1, 2);
        let mut c = Checker::new(at(0), &check, 0);
        c.bunched = false;
        assert_eq!(probe(&mut c, &check, 0, 1, Some(true)), Some(true));
        assert_eq!(probe(&mut c, &check, 6000, 6001, Some(false)), None);
        assert_eq!(probe(&mut c, &check, 9000, 9001, Some(true)), None);
        assert_eq!(
            probe(&mut c, &check, 15_000, 15_001, Some(false)),
            None,
            "HC-5: failures in a row, not in all"
        );
    }

    #[test]
    fn a_probe_that_could_not_be_made_says_nothing_and_is_tried_again() {
        let check = check(1, 1);
        let mut c = Checker::new(at(0), &check, 0);
        assert_eq!(probe(&mut c, &check, 0, 5, None), None, "HC-4: no verdict on the server");
        assert_eq!(c.verdict(), None, "the first real probe still decides");
        assert_eq!(c.probe_at(), Some(at(3005)), "after retry_interval, not at once");
        assert_eq!(probe(&mut c, &check, 3005, 3010, Some(false)), Some(false));
    }

    #[test]
    fn a_running_probe_is_not_doubled_and_a_stall_not_made_up_for() {
        let check = check(1, 1);
        let mut c = Checker::new(at(0), &check, 0);
        c.bunched = false;
        assert_eq!(c.handle_due(at(0), &check, 1), Due::Probe);
        assert_eq!(c.handle_due(at(6000), &check, 2), Due::Nothing, "one is still running");
        c.handle_result(at(100), &check, Some(true));
        assert_eq!(c.handle_due(at(100), &check, 2), Due::Wait(at(6000)));
        assert_eq!(
            c.handle_due(at(31_000), &check, 2),
            Due::Wait(at(36_000)),
            "its own next turn, 6000 + 5 × 6000"
        );
        assert_eq!(c.handle_due(at(37_000), &check, 2), Due::Probe, "a little late is not a stall");
        c.handle_result(at(37_001), &check, Some(true));
        assert_eq!(c.probe_at(), Some(at(42_000)), "and the turn stays where it was");
    }

    /// keepalived's `warmup`: the first probe within so long, later ones spread over the interval.
    #[test]
    fn warmup_says_when_the_first_probe_comes() {
        let mut check = check(1, 1);
        let first = |check: &Check, place| Checker::new(at(0), check, place).probe_at();
        check.warmup = Some(Duration::ZERO);
        assert_eq!(first(&check, u32::MAX), Some(at(0)), "at once");
        check.warmup = Some(Duration::from_secs(60));
        assert_eq!(
            first(&check, 1 << 31),
            Some(at(30_000)),
            "longer than the interval, as keepalived's may be"
        );
        let mut c = Checker::new(at(0), &check, 1 << 31);
        assert_eq!(probe(&mut c, &check, 30_000, 30_001, Some(true)), Some(true));
        assert_eq!(c.probe_at(), Some(at(36_000)), "spread already: from here on the interval");
    }

    #[test]
    fn what_starts_over_decides_anew_and_what_inherits_counts_on() {
        let check = check(2, 3);
        let mut c = Checker::new(at(0), &check, 0);
        c.bunched = false;
        probe(&mut c, &check, 0, 1, Some(false));
        let mut heir = Checker::new(at(10), &check, 1 << 31);
        heir.inherit(at(10), &check, &c);
        assert_eq!(heir.verdict(), Some(false), "a reload brings no dead server in");
        assert_eq!(heir.probe_at(), Some(at(3010)), "no later than its own place in the interval");
        c.start_over(at(20_000), &check);
        assert_eq!((c.verdict(), c.probe_at()), (None, Some(at(20_000))));
        assert_eq!(probe(&mut c, &check, 20_000, 20_001, Some(true)), Some(true), "one success, not two");
        assert_eq!(c.handle_due(at(26_000), &check, 9), Due::Probe);
        heir.inherit(at(30_001), &check, &c);
        assert_eq!(heir.probe_at(), Some(at(30_001)), "what was running begins anew at once");
    }

    #[test]
    fn many_checkers_are_spread() {
        let check = check(1, 1);
        let (mut first, mut later) = ([0; 20], [0; 20]);
        for index in 0..1000 {
            let mut c = Checker::new(at(0), &check, place(12_345, index));
            let start = c.probe_at().unwrap();
            assert!(start < at(2000), "the first probe must not be late");
            first[(start.total_millis() / 100) as usize] += 1;
            assert_eq!(c.handle_due(start, &check, 1), Due::Probe);
            c.handle_result(start, &check, Some(true));
            let second = c.probe_at().unwrap();
            assert!(second <= start + check.interval, "never more than an interval between two probes");
            assert_eq!(c.handle_due(second, &check, 1), Due::Probe);
            c.handle_result(second, &check, Some(true));
            later[(c.probe_at().unwrap().total_millis() % 6000 / 300) as usize] += 1;
        }
        assert!(first.iter().all(|&n| (45..=55).contains(&n)), "first probes bunch together: {first:?}");
        assert!(later.iter().all(|&n| (30..=90).contains(&n)), "later probes bunch together: {later:?}");
        let other = Checker::new(at(0), &check, place(54_321, 0));
        assert_ne!(
            other.probe_at(),
            Checker::new(at(0), &check, place(12_345, 0)).probe_at(),
            "the seed counts"
        );
    }
}
