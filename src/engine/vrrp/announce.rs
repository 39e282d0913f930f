//! When gratuitous ARPs leave: bursts, the second burst, refreshes, and a rate for each interface
//! (ARP-40..ARP-45).

use crate::limits;
use crate::model::Garp;
use crate::time::{Duration, Instant};

/// Frames in one turn of the loop, so that a burst never delays an advert.
pub(super) const SLICE: usize = 128;
/// Frames that may leave at once after a rest: every VIP's first frame leaves without a wait.
const BURST: u32 = 2048;

/// The rate of one interface: a frame costs `1 s / rate`, and `BURST` frames of credit gather, or one
/// second's where a lower rate is configured.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Pace {
    /// When the credit would be full again.
    full_at: Instant,
    cost: Duration,
    burst: u32,
}

impl Pace {
    /// `per_second`: the configured rate, not zero.
    pub(in crate::engine) fn new(now: Instant, per_second: Option<u32>) -> Self {
        let rate = per_second.unwrap_or(limits::ANNOUNCE_PER_SECOND).max(1);
        let burst = per_second.map_or(BURST, |rate| rate.clamp(1, BURST));
        Pace { full_at: now, cost: Duration::from_micros(1_000_000 / u64::from(rate)), burst }
    }

    /// When the next frame may leave; not after `now` if one may leave at once.
    fn next_at(&self) -> Instant {
        self.full_at - self.cost * (self.burst - 1)
    }

    /// Takes the credit of one frame, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let free = self.next_at() <= now;
        if free {
            self.full_at = self.full_at.max(now) + self.cost;
        }
        free
    }
}

/// What an Active instance still has to announce. It lives in the Active state, so nothing is sent after it
/// was left (ARP-43).
#[derive(Debug, Clone, Copy)]
pub(super) struct Announce {
    /// The next VIP of the round.
    cursor: usize,
    /// Rounds to go, this one included; 0 = at rest.
    rounds: u8,
    /// Rounds of the second burst.
    second_rounds: u8,
    /// When the next slice may leave.
    slice_at: Instant,
    /// When the second burst begins.
    second_at: Option<Instant>,
    /// When the next refresh is due.
    refresh_at: Option<Instant>,
}

impl Announce {
    /// A router has become Active.
    pub(super) fn begin(now: Instant, garp: &Garp) -> Self {
        let later = |delay: Duration| (delay > Duration::ZERO).then(|| now + delay);
        Announce {
            cursor: 0,
            rounds: garp.repeat,
            second_rounds: garp.repeat,
            slice_at: now,
            second_at: later(garp.delay),
            refresh_at: later(garp.refresh),
        }
    }

    /// Tells all again: after a contest, a link that came back, an address that was put back (ARP-44).
    pub(super) fn again(&mut self, now: Instant, garp: &Garp) {
        self.cursor = 0;
        self.rounds = garp.repeat;
        self.slice_at = now;
    }

    /// As `begin`, once the addresses are allowed on the box.
    pub(super) fn begin_now(&mut self, now: Instant, garp: &Garp) {
        *self = Announce::begin(now, garp);
    }

    /// A router of lower priority was Active, too: hosts may have learned its MAC (ARP-44).
    pub(super) fn contest(&mut self, now: Instant, garp: &Garp) {
        if garp.lower_priority_repeat == 0 {
            return;
        }
        (self.cursor, self.slice_at) = (0, now);
        self.rounds = self.rounds.max(garp.lower_priority_repeat);
        if garp.lower_priority_delay > Duration::ZERO {
            self.second_rounds = garp.lower_priority_repeat;
            self.second_at = Some(now + garp.lower_priority_delay);
        }
    }

    /// A reload has changed the period of the refreshes.
    pub(super) fn reconfigure(&mut self, now: Instant, garp: &Garp) {
        self.refresh_at = (garp.refresh > Duration::ZERO).then(|| now + garp.refresh);
    }

    /// A VIP is there that a round has passed by: tells all once more from where the round is, so that many
    /// late ones do not begin it again and again.
    pub(super) fn late(&mut self, now: Instant, garp: &Garp) {
        if self.rounds == 0 {
            self.again(now, garp);
        } else {
            self.rounds = garp.repeat.saturating_add(1);
        }
    }

    /// When is there something to do?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let slice = (self.rounds > 0).then_some(self.slice_at);
        [slice, self.second_at, self.refresh_at].into_iter().flatten().min()
    }

    /// Begins what is due.
    pub(super) fn tick(&mut self, now: Instant, garp: &Garp) {
        if self.second_at.is_some_and(|at| at <= now) {
            self.second_at = None;
            (self.cursor, self.slice_at) = (0, now);
            self.rounds = self.second_rounds;
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = (garp.refresh > Duration::ZERO).then(|| now + garp.refresh);
            if self.rounds == 0 {
                self.cursor = 0;
                self.rounds = garp.refresh_repeat;
                self.slice_at = now;
            }
        }
    }

    /// The VIPs to announce now, one call a frame: round robin, never a VIP's second frame before every
    /// VIP's first (ARP-42). `send(index)` is false where that VIP is about to be put on the box: the slice
    /// ends there for now.
    pub(super) fn slice(
        &mut self,
        now: Instant,
        count: usize,
        pace: &mut Pace,
        mut send: impl FnMut(usize) -> bool,
    ) {
        if count == 0 {
            self.rounds = 0;
        }
        let mut left = SLICE;
        while self.rounds > 0 && self.slice_at <= now {
            if left == 0 || !pace.take(now) {
                self.slice_at = pace.next_at().max(now);
                return;
            }
            if !send(self.cursor) {
                self.slice_at = now + Duration::from_millis(1);
                return;
            }
            left -= 1;
            self.cursor += 1;
            if self.cursor >= count {
                self.cursor = 0;
                self.rounds -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(count: usize, garp: Garp, for_: Duration) -> Vec<(Instant, usize)> {
        let mut now = Instant::from_secs(100);
        let mut pace = Pace::new(now, None);
        let mut announce = Announce::begin(now, &garp);
        let (end, mut sent) = (now + for_, Vec::new());
        while let Some(at) = announce.next_deadline().filter(|at| *at <= end) {
            now = now.max(at);
            announce.tick(now, &garp);
            announce.slice(now, count, &mut pace, |vip| {
                sent.push((now, vip));
                true
            });
        }
        sent
    }

    #[test]
    fn one_vip_is_announced_five_times_and_five_times_again() {
        let sent = run(1, Garp::default(), Duration::from_secs(60));
        let start = Instant::from_secs(100);
        assert_eq!(sent.iter().filter(|(at, _)| *at == start).count(), 5, "ARP-40: first burst");
        let second = start + Duration::from_secs(5);
        assert_eq!(sent.iter().filter(|(at, _)| *at == second).count(), 5, "ARP-40: second burst");
        assert_eq!(sent.len(), 10);
    }

    #[test]
    fn many_vips_go_round_robin_and_at_a_pace() {
        let sent = run(2000, Garp { delay: Duration::ZERO, ..Garp::default() }, Duration::from_secs(60));
        assert_eq!(sent.len(), 10_000);
        let first: Vec<usize> = sent[..2000].iter().map(|(_, vip)| *vip).collect();
        assert_eq!(first, (0..2000).collect::<Vec<_>>(), "ARP-42: every VIP once before any twice");
        assert_eq!(sent[1999].0, Instant::from_secs(100), "the first round does not wait");
        let took = sent.last().unwrap().0 - sent[0].0;
        assert!(took >= Duration::from_secs(7), "ARP-42: 1000 a second after the first burst, took {took}");
    }

    #[test]
    fn refresh_sends_one_frame_a_period() {
        let garp =
            Garp { delay: Duration::ZERO, repeat: 1, refresh: Duration::from_secs(10), ..Garp::default() };
        assert_eq!(run(1, garp, Duration::from_secs(35)).len(), 1 + 3, "ARP-45");
    }
}
