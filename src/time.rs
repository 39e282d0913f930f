//! Monotonic time and lengths of time, in microseconds.
//!
//! Only `sys` reads a clock; every other room is handed `now`. The origin of an [`Instant`] is arbitrary
//! (the kernel's CLOCK_MONOTONIC), so it is good for differences and nothing else (FSM-1, FSM-2).

pub use smoltcp::time::{Duration, Instant};
