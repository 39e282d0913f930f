//! When a script or a probe begins: counted from start to start, one at a time.

use super::tally::Tally;
use crate::model::TrackKind;
use crate::time::{Duration, Instant};

/// The first run comes within the interval, but not later than this: instances wait for it.
const FIRST_RUN_MAX: Duration = Duration::from_millis(500);
/// Added to the deadline of a run; after it a result that never came counts as a failure.
const RESULT_MARGIN: Duration = Duration::from_secs(10);

/// What the configuration says of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) rise: u16,
    pub(super) fall: u16,
    /// A run whose turn comes while the last one is still going: does it begin when that one ends (a probe,
    /// so that a target that never answers is found out in time), or is it left out (a script, as keepalived
    /// does)?
    pub(super) follows: bool,
}

impl Terms {
    /// `None`: this kind does not run.
    pub(super) fn of(kind: &TrackKind) -> Option<Terms> {
        match kind {
            TrackKind::Script { command, interval, rise, fall } => Some(Terms {
                interval: *interval,
                timeout: command.timeout,
                rise: *rise,
                fall: *fall,
                follows: false,
            }),
            TrackKind::Path { interval, timeout, rise, fall, .. } => Some(Terms {
                interval: *interval,
                timeout: *timeout,
                rise: *rise,
                fall: *fall,
                follows: true,
            }),
            TrackKind::Interface { .. }
            | TrackKind::File { .. }
            | TrackKind::Process { .. }
            | TrackKind::Address { .. }
            | TrackKind::Route { .. } => None,
        }
    }

    fn interval(&self) -> Duration {
        self.interval.max(Duration::from_millis(1))
    }
}

/// A run that is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Running {
    /// Number of the tracker when it was started.
    pub(super) number: u32,
    pub(super) serial: u32,
    since: Instant,
}

/// What has become due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Start,
    /// This one's result never came.
    Lost(Running),
    Nothing,
}

/// The runs of one tracker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner {
    pub(super) tally: Tally,
    next_at: Instant,
    running: Option<Running>,
}

impl Runner {
    /// `place` (a fraction of 2^32) spreads the first runs.
    pub(super) fn new(now: Instant, terms: &Terms, place: u32) -> Self {
        let span = terms.interval().min(FIRST_RUN_MAX).total_micros();
        let wait = Duration::from_micros(((u128::from(span) * u128::from(place)) >> 32) as u64);
        Runner { tally: Tally::default(), next_at: now + wait, running: None }
    }

    pub(super) fn next_deadline(&self, terms: &Terms) -> Instant {
        match self.running {
            None => self.next_at,
            Some(running) if terms.follows => lost_at(&running, terms),
            Some(running) => self.next_at.min(lost_at(&running, terms)),
        }
    }

    pub(super) fn handle_due(&mut self, now: Instant, terms: &Terms) -> Due {
        if let Some(running) = self.running {
            if lost_at(&running, terms) <= now {
                return Due::Lost(running);
            }
            if self.next_at <= now && !terms.follows {
                self.advance(now, terms);
            }
            return Due::Nothing;
        }
        if self.next_at > now {
            return Due::Nothing;
        }
        self.advance(now, terms);
        Due::Start
    }

    pub(super) fn start(&mut self, now: Instant, number: u32, serial: u32) {
        self.running = Some(Running { number, serial, since: now });
    }

    pub(super) fn is(&self, number: u32, serial: u32) -> bool {
        self.running.is_some_and(|r| (r.number, r.serial) == (number, serial))
    }

    pub(super) fn end(&mut self, now: Instant, terms: &Terms) {
        self.running = None;
        if terms.follows {
            self.next_at = self.next_at.max(now);
        }
    }

    /// The run that is going is of no more interest; the next one begins at once.
    pub(super) fn restart(&mut self, now: Instant) -> Option<Running> {
        let running = self.running.take()?;
        self.next_at = now;
        Some(running)
    }

    /// Other terms: the next run comes no later than they say.
    pub(super) fn reconfigure(&mut self, now: Instant, was_up: bool, old: &Terms, new: &Terms) {
        if (old.rise, old.fall) != (new.rise, new.fall) {
            self.tally.reconfigure(was_up, new.rise, new.fall);
        }
        self.next_at = self.next_at.min(now + new.interval());
    }

    /// The next turn; turns that a stall has swallowed are not made up for.
    fn advance(&mut self, now: Instant, terms: &Terms) {
        let interval = terms.interval();
        let late = if now > self.next_at { now - self.next_at } else { Duration::ZERO };
        let rest = Duration::from_micros(late.total_micros() % interval.total_micros());
        self.next_at = now + (interval - rest);
    }
}

fn lost_at(running: &Running, terms: &Terms) -> Instant {
    running.since + terms.timeout + RESULT_MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(follows: bool) -> Terms {
        let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(3));
        Terms { interval, timeout, rise: 1, fall: 1, follows }
    }

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_script_that_still_runs_is_left_out_and_keeps_its_turns() {
        let terms = terms(false);
        let mut runner = Runner::new(at(0), &terms, 0);
        assert_eq!(runner.handle_due(at(0), &terms), Due::Start);
        runner.start(at(0), 0, 1);
        assert_eq!(runner.next_deadline(&terms), at(1000));
        assert_eq!(runner.handle_due(at(1000), &terms), Due::Nothing, "keepalived §2.3: run skipped");
        assert_eq!(runner.handle_due(at(2000), &terms), Due::Nothing);
        runner.end(at(2400), &terms);
        assert_eq!(runner.next_deadline(&terms), at(3000), "from start to start, not from its end");
        assert_eq!(runner.handle_due(at(3000), &terms), Due::Start);
        runner.end(at(3001), &terms);
        assert_eq!(runner.handle_due(at(9700), &terms), Due::Start, "after a stall one run, not six");
        runner.end(at(9701), &terms);
        assert_eq!(runner.next_deadline(&terms), at(10_000), "and its turns stay where they were");
    }

    #[test]
    fn a_slow_probe_is_followed_at_once() {
        let terms = terms(true);
        let mut runner = Runner::new(at(0), &terms, 0);
        assert_eq!(runner.handle_due(at(0), &terms), Due::Start);
        runner.start(at(0), 0, 1);
        assert_eq!(runner.next_deadline(&terms), at(13_000), "no wake-up for turns that are left out");
        assert_eq!(runner.handle_due(at(2000), &terms), Due::Nothing, "one at a time");
        runner.end(at(3000), &terms);
        assert_eq!(runner.handle_due(at(3000), &terms), Due::Start, "a dead target is found out in time");
        assert_eq!(runner.next_deadline(&terms), at(4000));
    }

    #[test]
    fn a_result_that_never_comes_does_not_stop_the_tracker() {
        for follows in [false, true] {
            let terms = terms(follows);
            let mut runner = Runner::new(at(0), &terms, 0);
            assert_eq!(runner.handle_due(at(0), &terms), Due::Start);
            runner.start(at(0), 4, 7);
            assert_eq!(runner.handle_due(at(12_999), &terms), Due::Nothing);
            let Due::Lost(running) = runner.handle_due(at(13_000), &terms) else { panic!("not lost") };
            assert_eq!((running.number, running.serial), (4, 7));
        }
    }

    #[test]
    fn first_runs_are_spread_and_soon() {
        let terms = Terms { interval: Duration::from_secs(60), ..terms(false) };
        let first = |place| Runner::new(at(0), &terms, place).next_deadline(&terms);
        assert_eq!((first(0), first(1 << 31)), (at(0), at(250)));
        assert!(first(u32::MAX) < at(500), "instances wait for the first result");
    }
}
