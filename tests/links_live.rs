//! Links, addresses, routes, rules, settings and sockets of `sys` on the real kernel, each test in a network
//! namespace of its own thread: what an action says is what `ip` and a second socket see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "links_live/bed.rs"]
mod bed;
#[path = "links_live/daemon.rs"]
mod daemon;
#[path = "links_live/kernel.rs"]
mod kernel;
#[path = "links_live/macvlans.rs"]
mod macvlans;
#[path = "netns/mod.rs"]
mod netns;
#[path = "links_live/sockets.rs"]
mod sockets;
#[path = "links_live/tables.rs"]
mod tables;
