//! The only clock (FSM-2).

use crate::time::Instant;
use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC. A kernel without it does not exist; should the call fail all the same, time stands still.
#[allow(clippy::useless_conversion, reason = "time_t and long are 32 bits wide on 32-bit targets")]
pub fn now() -> Instant {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Instant::ZERO, |t| {
        Instant::from_micros(i64::from(t.tv_sec()) * 1_000_000 + i64::from(t.tv_nsec()) / 1000)
    })
}
