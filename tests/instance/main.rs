//! What an instance does beyond the plain state machine of tests/fsm.rs: two families, unicast, delays, the
//! macvlan, the hook, signed adverts, the operator. Each test is a course of events on a played kernel.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code, reason = "a test")]

mod election;
mod hints;
mod hook;
mod interfaces;
mod ipv6;
mod notify;
#[path = "../router/mod.rs"]
mod router;
mod signed;
mod unicast;
mod vmac;

use router::{Router, advert_of, config};
use std::net::Ipv4Addr;
use vipd::model::status::InstanceState::{self, Active};
use vipd::model::{Instance, Priority};
use vipd::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);
pub(crate) const LAN: u32 = 2;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn priority(number: u8) -> Priority {
    Priority::new(number).unwrap()
}

pub(crate) fn start(wanted: &Instance) -> Router {
    Router::new(&config(std::slice::from_ref(wanted)))
}

pub(crate) fn active(wanted: &Instance) -> Router {
    let mut r = start(wanted);
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    r.sent.clear();
    r.packets.clear();
    r
}

/// Adverts of a lower router, once a second for so long; the states seen after each.
pub(crate) fn hear_for(r: &mut Router, of: &Instance, number: u8, seconds: u64) -> Vec<InstanceState> {
    (0..seconds)
        .map(|_| {
            r.hear(LAN, &advert_of(of, OTHER, number));
            r.pass(SECOND);
            r.state(0)
        })
        .collect()
}

pub(crate) fn dropped(r: &Router, rung: &str) -> u32 {
    let counters = r.status(0).counters;
    counters.dropped.iter().find(|(name, _)| *name == rung).map_or(0, |(_, n)| *n)
}
