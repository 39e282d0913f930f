//! Who becomes Active, and when: preemption, delays, owners, contests.

use crate::router::{self, Router, advert_of, config, instance, vip};
use crate::{LAN, OTHER, SECOND, active, dropped, hear_for, ms, priority, start};
use std::net::Ipv4Addr;
use vipd::engine::{Actions, Event};
use vipd::model::status::InstanceState::{Active, Backup, Fault, Initialize};
use vipd::model::{Instance, Peer, Priority, Unicast, Vrid, cut};

#[test]
fn fsm_6_preempt_delay_delays_a_preemption_and_nothing_else() {
    let wanted = Instance { preempt_delay: SECOND * 60, priority: priority(150), ..instance("eth0", 1) };
    // Nobody is there: no delay.
    let mut r = start(&wanted);
    r.pass(ms(3500));
    assert_eq!(r.state(0), Active, "keepalived's users wait for nothing here");
    // A lower router is there: left in peace until the delay is over.
    let mut r = start(&wanted);
    let states = hear_for(&mut r, &wanted, 100, 70);
    let took = states.iter().position(|s| *s == Active).expect("it preempts in the end");
    assert!((60..=64).contains(&took), "after {took} s");
    // It dies meanwhile: no more delay.
    let mut r = start(&wanted);
    hear_for(&mut r, &wanted, 100, 10);
    assert!(r.status(0).waits.is_some_and(|w| w.starts_with("preempts in")), "the screen says so");
    r.pass(ms(2500));
    assert_eq!(r.state(0), Active, "nobody is Active: waiting would be an outage");
    // A resignation ends it, too.
    let mut r = start(&wanted);
    hear_for(&mut r, &wanted, 100, 10);
    r.hear(LAN, &advert_of(&wanted, OTHER, 0));
    r.pass(SECOND);
    assert_eq!(r.state(0), Active);
}

#[test]
fn a_better_router_ends_the_preempt_delay() {
    let wanted = Instance { preempt_delay: SECOND * 60, priority: priority(150), ..instance("eth0", 1) };
    let mut r = start(&wanted);
    hear_for(&mut r, &wanted, 100, 50);
    hear_for(&mut r, &wanted, 200, 5);
    let states = hear_for(&mut r, &wanted, 100, 30);
    assert!(states.iter().all(|s| *s == Backup), "the delay begins anew with the next lower router");
}

#[test]
fn nopreempt_holds() {
    let wanted = Instance { preempt: false, priority: priority(254), ..instance("eth0", 1) };
    let mut r = start(&wanted);
    let states = hear_for(&mut r, &wanted, 1, 3600);
    assert!(states.iter().all(|s| *s == Backup), "an hour beside a router of priority 1");
}

#[test]
fn fsm_42_a_frozen_active_that_must_not_preempt_steps_down() {
    for (preempt, state) in [(false, Backup), (true, Active)] {
        let wanted = Instance { preempt, ..instance("eth0", 1) };
        let mut r = active(&wanted);
        r.now += SECOND * 10;
        r.feed(Event::Tick);
        assert_eq!(r.state(0), state, "preempt = {preempt}");
    }
}

#[test]
fn start_delay_holds_the_router_out_of_the_election() {
    let wanted = Instance { start_delay: SECOND * 30, ..instance("eth0", 1) };
    let mut r = start(&wanted);
    r.pass(SECOND * 29);
    assert_eq!(r.state(0), Initialize);
    assert!(r.status(0).waits.is_some_and(|w| w.contains("start delay")), "the screen says why");
    assert!(r.sent.is_empty());
    r.pass(SECOND * 5);
    assert_eq!(r.state(0), Active, "then as ever, with a full down interval");
    let again = Instance { advert_interval: SECOND * 2, ..wanted };
    r.reload(&config(std::slice::from_ref(&again)));
    r.pass(SECOND);
    assert_eq!(r.state(0), Active, "a reload is no start");
}

#[test]
fn rtnl_42_settle_gives_a_link_time_after_it_came_up() {
    let wanted = Instance { settle: SECOND * 20, ..instance("eth0", 1) };
    let mut r = active(&wanted);
    r.set_running(LAN, false);
    assert_eq!(r.state(0), Fault);
    r.set_running(LAN, true);
    r.pass(SECOND * 19);
    assert_eq!(r.state(0), Fault, "spanning tree forwards nothing yet: we should both become Active");
    r.pass(SECOND * 6);
    assert_eq!(r.state(0), Active);
}

#[test]
fn rtnl_42_rtnl_43_a_short_flap_is_no_fault_but_is_announced() {
    let wanted = Instance { down_delay: ms(1500), ..instance("eth0", 1) };
    let mut r = active(&wanted);
    r.pass(SECOND * 10);
    r.sent.clear();
    r.set_running(LAN, false);
    r.pass(SECOND);
    assert_eq!(r.state(0), Active);
    r.set_running(LAN, true);
    r.pass(ms(100));
    assert_eq!(r.state(0), Active);
    assert!(r.sent.iter().any(router::Sent::is_garp), "the switch may have forgotten us");
    r.set_running(LAN, false);
    r.pass(ms(1600));
    assert_eq!(r.state(0), Fault, "down for longer than the delay");
}

#[test]
fn fsm_44_of_two_owners_one_gives_way() {
    let wanted = Instance { priority: Priority::OWNER, ..instance("eth0", 1) };
    let mut r = start(&wanted);
    assert_eq!(r.state(0), Active, "FSM-10: an owner does not wait");
    r.hear(LAN, &advert_of(&wanted, Ipv4Addr::new(192, 0, 2, 1), 255));
    assert_eq!(r.state(0), Active, "ours is the higher address");
    r.hear(LAN, &advert_of(&wanted, OTHER, 255));
    assert_eq!(r.state(0), Backup);
    let problems = r.engine.snapshot(r.now).problems;
    assert!(problems.iter().any(|p| p.contains("owns the addresses, too")), "FSM-43: {problems:?}");
}

#[test]
fn down_adverts_is_the_number_of_silent_intervals() {
    let wanted = Instance { down_adverts: 10, ..instance("eth0", 1) };
    let mut r = start(&wanted);
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Backup);
    r.pass(SECOND);
    assert_eq!(r.state(0), Active);
}

#[test]
fn the_answers_to_other_routers_can_be_chosen() {
    let quiet = Instance { lower_priority_advert: false, ..instance("eth0", 1) };
    let mut r = active(&quiet);
    r.hear(LAN, &advert_of(&quiet, OTHER, 50));
    assert!(r.sent.iter().all(|s| s.priority().is_none()), "FSM-21 off: RFC 3768's way");
    let polite = Instance { higher_priority_advert: true, ..instance("eth0", 1) };
    let mut r = active(&polite);
    r.hear(LAN, &advert_of(&polite, OTHER, 200));
    assert_eq!(r.state(0), Backup);
    assert_eq!(r.sent.iter().filter_map(router::Sent::priority).collect::<Vec<_>>(), [100]);
}

#[test]
fn arp_44_a_contest_is_followed_by_two_bursts_and_counted() {
    let wanted = instance("eth0", 1);
    let mut r = active(&wanted);
    r.pass(SECOND * 10);
    r.sent.clear();
    r.hear(LAN, &advert_of(&wanted, OTHER, 50));
    r.pass(SECOND * 20);
    assert_eq!(r.sent.iter().filter(|s| s.is_garp()).count(), 10, "five at once, five after the delay");
    assert_eq!(r.status(0).rivals, 1);
    r.hear(LAN, &advert_of(&wanted, OTHER, 50));
    assert_eq!(r.status(0).rivals, 2, "after a while it is another contest");
    assert!(r.status(0).active_mac.is_some());
}

#[test]
fn rx_19_strict_addresses_drops_what_advertises_others() {
    let mut wanted = Instance { strict_addresses: true, ..instance("eth0", 1) };
    let mut r = active(&wanted);
    let foreign = advert_of(&Instance { vrid: Vrid::new(1).unwrap(), ..instance("eth0", 1) }, OTHER, 200);
    wanted.addresses.push(vip(77).into());
    r.reload(&config(std::slice::from_ref(&wanted)));
    r.hear(LAN, &foreign);
    assert_eq!((r.state(0), dropped(&r, "address_list")), (Active, 1));
}

#[test]
fn an_instance_that_settles_does_not_begin_while_the_daemon_leaves() {
    let wanted = Instance { settle: SECOND * 2, priority: Priority::OWNER, ..instance("eth0", 1) };
    let mut r = start(&wanted);
    r.set_running(LAN, false);
    r.set_running(LAN, true);
    assert_eq!(r.state(0), Fault);
    r.sent.clear();
    r.feed(Event::Shutdown);
    r.pass(SECOND * 10);
    assert!(r.is_finished && r.sent.is_empty(), "Active after its end: {:?}", r.state(0));
    assert!(!r.has(LAN, vip(1)));
}

#[test]
fn a_socket_that_is_refused_during_the_start_delay_is_not_forgotten() {
    let wanted = Instance { start_delay: SECOND * 30, ..instance("eth0", 1) };
    let mut r = Router::bare(&config(std::slice::from_ref(&wanted)));
    r.is_deaf = true;
    r.links.insert(LAN, router::link(LAN, "eth0"));
    r.addresses.insert((LAN, router::base(LAN)), false);
    r.dump();
    r.pass(SECOND * 60);
    assert_eq!(r.state(0), Fault, "deaf, it would become a second Active");
    r.is_deaf = false;
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active);
}

#[test]
fn a_reload_before_the_kernel_has_told_its_tables_begins_nothing() {
    let wanted = Instance { priority: Priority::OWNER, ..instance("eth0", 1) };
    let mut r = Router::bare(&config(std::slice::from_ref(&wanted)));
    r.feed(Event::DumpStart);
    r.set_link(router::link(LAN, "eth0"));
    r.put_address(LAN, router::base(LAN));
    r.engine.handle(
        r.now,
        Event::Reload(Box::new(config(std::slice::from_ref(&wanted)))),
        &mut Actions::new(),
    );
    assert_eq!(r.state(0), Initialize);
    r.dump();
    assert_eq!(r.state(0), Active);
}

#[test]
fn a_reload_takes_every_instance_along_or_ends_it() {
    let unicast = |name: &str, peer: &str, last: u8| Instance {
        name: cut(format_args!("{name}")),
        unicast: Some(Unicast {
            peers: vec![Peer { address: peer.parse().unwrap(), ttl_min: 0, ttl_max: 255 }],
            ttl: 255,
            check_source: true,
        }),
        addresses: vec![vip(last).into()],
        ..instance("eth0", 1)
    };
    let mut r = Router::new(&config(&[unicast("a", "192.0.2.8", 11), unicast("b", "192.0.2.9", 12)]));
    r.pass(SECOND * 10);
    assert!(r.has(LAN, vip(11)) && r.has(LAN, vip(12)));
    r.packets.clear();
    let one = Instance { addresses: vec![vip(13).into()], ..instance("eth0", 1) };
    r.reload(&config(std::slice::from_ref(&one)));
    r.pass(SECOND * 10);
    assert!(r.has(LAN, vip(13)));
    assert!(!r.has(LAN, vip(11)) && !r.has(LAN, vip(12)), "law 3: {:?}", r.addresses);
    assert!(r.lines.iter().any(|(_, l)| l.contains("removed from the configuration")), "and it is said");
}
