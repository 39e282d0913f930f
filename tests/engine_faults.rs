//! Recorded inputs that once left a VIP where it should not be, or the loop busy: reloads, interfaces that come and go,
//! sockets and addresses that the kernel refuses. Each test says what went wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code, reason = "a test")]

mod router;

use router::{Refused, Router, advert_of, base, config, instance, link, vip};
use std::net::Ipv4Addr;
use vipd::engine::{AddressChange, Event};
use vipd::model::status::InstanceState;
use vipd::model::{Garp, Instance, Mail, Priority};
use vipd::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);

fn owner(interface: &str, vrid: u8) -> Instance {
    Instance { priority: Priority::OWNER, ..instance(interface, vrid) }
}

/// One instance that is Active.
fn active(wanted: &Instance) -> Router {
    let mut r = Router::new(&config(std::slice::from_ref(wanted)));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Active);
    assert!(wanted.addresses.iter().all(|c| r.has(2, *c)));
    r
}

#[test]
fn a_missing_interface_does_not_keep_the_loop_busy() {
    let mut r = Router::bare(&config(&[instance("eth0", 1)]));
    r.dump();
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Fault);
}

#[test]
fn a_lease_that_a_reload_takes_away_is_taken_off_the_addresses() {
    let mut r = active(&instance("eth0", 1));
    r.reload(&config(&[Instance { lease: None, ..instance("eth0", 1) }]));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Active);
}

#[test]
fn a_refresh_that_a_reload_takes_away_ends() {
    let garp = Garp { refresh: SECOND, ..Garp::default() };
    let mut r = active(&Instance { garp, ..instance("eth0", 1) });
    r.reload(&config(&[instance("eth0", 1)]));
    r.pass(SECOND * 10);
    r.sent.clear();
    r.pass(SECOND * 10);
    assert_eq!(r.sent.iter().filter(|s| s.is_garp()).count(), 0, "ARP-45: the refresh is off");
}

#[test]
fn a_refresh_that_a_reload_brings_begins() {
    let mut r = active(&instance("eth0", 1));
    r.pass(SECOND * 10);
    let garp = Garp { refresh: SECOND, ..Garp::default() };
    r.reload(&config(&[Instance { garp, ..instance("eth0", 1) }]));
    r.sent.clear();
    r.pass(SECOND * 10);
    assert_eq!(r.sent.iter().filter(|s| s.is_garp()).count(), 10, "ARP-45: one a period");
}

#[test]
fn fsm_5_owner_does_not_obey_a_lower_router() {
    let wanted = Instance { preempt: false, ..owner("eth0", 1) };
    let mut r = active(&wanted);
    r.hear(2, &advert_of(&wanted, OTHER, 255));
    assert_eq!(r.state(0), InstanceState::Backup, "the higher address wins");
    for _ in 0..100 {
        r.hear(2, &advert_of(&wanted, OTHER, 100));
        r.pass(SECOND / 10);
    }
    assert_eq!(r.state(0), InstanceState::Active, "FSM-5: the owner preempts whatever preempt says");
}

#[test]
fn a_reload_keeps_to_the_interval_that_a_backup_has_learned() {
    let v3 = Instance { version: vipd::model::Version::V3, ..instance("eth0", 1) };
    let mut r = Router::new(&config(std::slice::from_ref(&v3)));
    let slow = Instance { advert_interval: SECOND * 10, ..v3.clone() };
    r.hear(2, &advert_of(&slow, OTHER, 200));
    let before = r.engine.next_deadline().unwrap();
    r.reload(&config(&[Instance { priority: Priority::new(228).unwrap(), ..v3.clone() }]));
    let after = r.engine.next_deadline().unwrap();
    assert_eq!(before - after, SECOND * 5, "FSM-3: the skew is a part of the learned interval");
}
