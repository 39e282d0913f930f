//! How late the loop comes: by sleeping past what was due, or by being held up in a turn.

use crate::time::{Duration, Instant};

/// When the loop last looked at what has arrived and what is due.
#[derive(Debug, Default)]
pub(super) struct StallWatch {
    looked_at: Option<Instant>,
}

impl StallWatch {
    /// It woke at `now`, having gone to sleep at `before` until `deadline`. How late: the longer of the time
    /// for which the turn before held it up and of what it overslept.
    pub(super) fn woke(&mut self, deadline: Option<Instant>, before: Instant, now: Instant) -> Duration {
        let held = self.looked(before);
        let due = deadline.map_or(now, |at| at.max(before));
        self.looked_at = Some(now);
        held.max(since(due, now))
    }

    /// It looks at `now`, also in the middle of something long. How long it had not: a call that the kernel
    /// keeps waiting (for the lock of its network configuration, for pages of the program) shows here alone.
    pub(super) fn looked(&mut self, now: Instant) -> Duration {
        self.looked_at.replace(now).map_or(Duration::ZERO, |at| since(at, now))
    }
}

fn since(at: Instant, now: Instant) -> Duration {
    if now > at { now - at } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_turn_that_is_held_up_counts_as_one_that_sleeps_too_long() {
        let at = |millis| Instant::ZERO + ms(millis);
        let mut watch = StallWatch::default();
        assert_eq!(watch.woke(Some(at(100)), at(0), at(101)), ms(1));
        assert_eq!(watch.woke(Some(at(200)), at(102), at(950)), ms(750), "it overslept");
        assert_eq!(watch.woke(Some(at(1000)), at(951), at(1000)), ms(1), "work of a millisecond");
        assert_eq!(watch.woke(Some(at(1100)), at(1800), at(1801)), ms(800), "held up in the turn itself");
        assert_eq!(watch.woke(None, at(1801), at(9000)), Duration::ZERO, "nothing was due");
        assert_eq!(watch.looked(at(9040)), ms(40), "a breath");
        assert_eq!(watch.woke(None, at(9050), at(9050)), ms(10), "from the breath on");
    }
}
