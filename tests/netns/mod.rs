//! A small LAN of network namespaces on the host's kernel, with real daemons in it.
//!
//! ```text
//! router a --- pa \
//! router b --- pb  br0 (namespace "lan", where all frames from the routers are captured)
//! client c --- pc /
//! ```
//!
//! Every router's interface is `eth0`; addresses are 10.9.0.1, .2 and .3, and where a LAN has IPv6, fd09::1,
//! ::2 and ::3. Names carry the test's process id and a number, so tests run side by side. Everything ends
//! with its `Drop`, also when the test panics; what a killed test left behind, the next run removes.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses a part of it"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod capture;
mod daemon;
mod frr;
pub mod host;
mod inject;
mod lan;
mod packet;

pub use capture::{Capture, Frame};
pub use daemon::{Daemon, Keepalived, Vipd, vipd_binary};
pub use frr::Frr;
pub use inject::Injector;
pub use lan::{Held, Lan, Namespace, Node, eventually, run};
pub use packet::{Advert, Garp, checksum, octets};

use std::io::Write;

/// Why this machine cannot run namespace tests; `None` when it can.
pub fn obstacle() -> Option<&'static str> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Some("needs root (network namespaces, raw sockets)");
    }
    if std::process::Command::new("ip").arg("-V").output().is_err() {
        return Some("needs `ip` (Debian: iproute2)");
    }
    None
}

/// A LAN, or a line that says why there is none. With VIPD_TESTS_MUST_RUN set, none is a failure.
pub fn lan() -> Option<Lan> {
    match obstacle() {
        None => Some(Lan::new()),
        Some(why) => skip(why),
    }
}

/// As `lan`, with IPv6 too.
pub fn lan6() -> Option<Lan> {
    match obstacle() {
        None => Some(Lan::dual()),
        Some(why) => skip(why),
    }
}

/// A LAN where Debian's keepalived can be the other router.
pub fn lan_with_keepalived() -> Option<Lan> {
    let lan = lan()?;
    match Keepalived::obstacle() {
        None => Some(lan),
        Some(why) => skip(why),
    }
}

/// Says that the running test cannot run; with VIPD_TESTS_MUST_RUN set, fails it.
pub fn skip<T>(why: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("test").to_string();
    if std::env::var_os("VIPD_TESTS_MUST_RUN").is_some() {
        panic!("{test} cannot run: {why}");
    }
    // Not eprintln: the test runner would hide it.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    None
}
