//! The only clocks: one that nobody sets, for every decision (FSM-2), and the time of day for the HMAC
//! trailer, which carries it (PKT-50).

use crate::time::{Duration, Instant};
use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC. A kernel without it does not exist; should the call fail all the same, time stands still.
#[allow(clippy::useless_conversion, reason = "time_t and long are 32 bits wide on 32-bit targets")]
pub fn now() -> Instant {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Instant::ZERO, |t| {
        Instant::from_micros(i64::from(t.tv_sec()) * 1_000_000 + i64::from(t.tv_nsec()) / 1000)
    })
}

/// CLOCK_REALTIME: the time since 1970, whatever the box takes it to be.
#[allow(clippy::useless_conversion, reason = "time_t and long are 32 bits wide on 32-bit targets")]
pub fn unix() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, |t| {
        let micros = i64::from(t.tv_sec()).saturating_mul(1_000_000) + i64::from(t.tv_nsec()) / 1000;
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::useless_conversion, reason = "time_t and long are 32 bits wide on 32-bit targets")]
    fn kernel(clock: ClockId) -> i64 {
        let t = clock_gettime(clock).unwrap();
        i64::from(t.tv_sec()) * 1_000_000 + i64::from(t.tv_nsec()) / 1000
    }

    #[test]
    fn fsm_2_decisions_follow_the_clock_that_nobody_sets() {
        let before = kernel(ClockId::CLOCK_MONOTONIC);
        let now = now();
        let after = kernel(ClockId::CLOCK_MONOTONIC);
        let between = Instant::from_micros(before)..=Instant::from_micros(after);
        assert!(between.contains(&now), "FSM-2: {now:?} is no CLOCK_MONOTONIC, which was {between:?}");
    }

    #[test]
    fn signatures_carry_the_time_of_day() {
        let before = kernel(ClockId::CLOCK_REALTIME);
        let unix = unix().total_micros() as i64;
        let after = kernel(ClockId::CLOCK_REALTIME);
        assert!((before..=after).contains(&unix), "PKT-50: {unix} is not between {before} and {after}");
    }
}
