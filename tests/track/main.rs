//! Trackers (keepalived §2.3): events with times in, verdicts and runs out. Without these a router with a
//! dead uplink would stay Active, or one with a slow script would never be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod bench;
mod life;
mod runs;
mod told;
