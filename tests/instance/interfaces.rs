//! Interfaces and the addresses on them.

use crate::ipv6::cidr;
use crate::router::{advert_of, base, instance, link, vip};
use crate::{LAN, OTHER, SECOND, active, ms, start};
use std::net::IpAddr;
use vipd::engine::{AddressChange, Event, Link, LinkKind, Setting};
use vipd::model::status::InstanceState::{Active, Backup, Fault};
use vipd::model::{Cidr, Instance, VirtualAddress, cut};

#[test]
fn arp_51_a_bridge_port_is_refused() {
    let mut r = start(&instance("eth0", 1));
    r.set_link(Link { kind: LinkKind::BridgePort { bridge: 9 }, ..link(LAN, "eth0") });
    assert_eq!(r.state(0), Fault);
    assert!(r.status(0).cause.contains("use the bridge"), "{}", r.status(0).cause);
}

#[test]
fn an_address_may_live_on_another_interface_and_wait_for_it() {
    let away = VirtualAddress { interface: Some(cut(format_args!("eth5"))), ..vip(9).into() };
    let mut wanted = instance("eth0", 1);
    wanted.excluded.push(away);
    let mut r = active(&wanted);
    assert!(r.has(LAN, vip(1)));
    r.set_link(link(5, "eth5"));
    r.pass(ms(10));
    assert!(r.has(5, vip(9)), "its interface has come");
    assert!(r.sent.iter().any(|s| s.index == 5 && s.is_garp()), "and its hosts are told");
    r.set_link(link(5, "eth6"));
    assert!(!r.has(5, vip(9)), "RTNL-41: it does not stay on an interface of another name");
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert!(!r.addresses.keys().any(|(_, c)| *c == vip(9) || *c == vip(1)));
}

#[test]
fn pkt_27_excluded_addresses_are_installed_and_not_advertised() {
    let mut wanted = instance("eth0", 1);
    wanted.excluded.push(vip(9).into());
    wanted.excluded.push(cidr("2001:db8::9/64").into());
    let mut r = active(&wanted);
    r.pass(SECOND);
    let advert = r.sent.iter().find(|s| s.priority().is_some()).unwrap();
    assert_eq!(advert.bytes[14 + 20 + 3], 1, "one address in the advert");
    assert!(r.has(LAN, vip(9)) && r.has(LAN, cidr("2001:db8::9/64")), "the other family as well");
}

/// Both sides of a pair without addresses: who hears the other stays Backup, and takes over when it resigns.
#[test]
fn pkt_14_a_pair_without_addresses_elects() {
    let wanted = Instance { addresses: Vec::new(), ..instance("eth0", 1) };
    let mut r = active(&wanted);
    r.pass(SECOND);
    let advert = r.sent.iter().find(|s| s.priority().is_some()).unwrap();
    assert_eq!(advert.bytes[14 + 20 + 3], 0, "no address in the advert");
    assert!(!r.sent.iter().any(|s| s.is_garp()), "nothing to announce");
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert_eq!(r.state(0), Backup, "an advert without addresses counts");
    r.hear(LAN, &advert_of(&wanted, OTHER, 0));
    r.pass(SECOND);
    assert_eq!(r.state(0), Active);
    let with = Instance { addresses: vec![vip(1).into()], ..wanted.clone() };
    let mut r = active(&with);
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert_eq!(r.state(0), Active, "RX-15: whoever has some ignores it");
    let problems: Vec<String> = r.engine.snapshot(r.now).problems.iter().map(ToString::to_string).collect();
    assert!(problems.iter().any(|p| p.contains("it advertises no address")), "{problems:?}");
}

#[test]
fn an_address_with_no_track_is_not_put_back() {
    let mut wanted = instance("eth0", 1);
    wanted.addresses[0].options.no_track = true;
    let mut r = active(&wanted);
    r.take_address(LAN, vip(1));
    r.pass(SECOND * 5);
    assert!(!r.has(LAN, vip(1)));
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    r.pass(SECOND * 10);
    assert!(r.has(LAN, vip(1)), "it is there again when the router is Active again");
}

#[test]
fn track_source_is_a_fault_while_the_address_is_away() {
    let source: IpAddr = "192.0.2.77".parse().unwrap();
    let wanted = Instance { source: Some(source), track_source: true, ..instance("eth0", 1) };
    let mut r = start(&wanted);
    assert_eq!(r.state(0), Fault, "{}", r.status(0).cause);
    let change = AddressChange::Present { ours: false, secondary: false };
    r.feed(Event::Address { index: LAN, cidr: cidr("192.0.2.77/24"), change });
    assert_eq!(r.state(0), Backup);
}

/// Whoever sets an interface up again takes its address away for a moment.
#[test]
fn an_active_whose_address_is_away_for_a_moment_goes_on() {
    let wanted = instance("eth0", 1);
    let mut r = active(&wanted);
    r.take_address(LAN, base(LAN));
    r.pass(ms(500));
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    assert!(r.has(LAN, vip(1)));
    r.put_address(LAN, base(LAN));
    r.pass(SECOND * 3);
    assert_eq!(r.state(0), Active);
    let adverts = r.sent.iter().filter(|s| s.priority().is_some());
    assert!(adverts.clone().count() >= 3 && adverts.clone().all(|s| s.priority() == Some(100)));
    let IpAddr::V4(own) = base(LAN).address else { panic!() };
    assert!(adverts.clone().all(|s| s.bytes[26..30] == own.octets()), "from the address that they know");
    // Longer than an advert interval: FSM-40.
    r.take_address(LAN, base(LAN));
    r.pass(ms(999));
    assert_eq!(r.state(0), Active);
    r.pass(ms(1));
    assert_eq!(r.state(0), Fault, "{}", r.status(0).cause);
    assert!(!r.has(LAN, vip(1)));
    r.put_address(LAN, base(LAN));
    assert_eq!(r.state(0), Backup, "and then it listens first");
    // A Backup has nothing to hold on to.
    r.take_address(LAN, base(LAN));
    assert_eq!(r.state(0), Fault);
}

/// RTNL-23: of a subnet's addresses the first is primary, and takes the others along when it goes.
#[test]
fn rtnl_23_an_address_that_came_to_hang_on_ours_does_not_go_with_it() {
    let own = base(LAN);
    let IpAddr::V4(v4) = own.address else { panic!() };
    let [a, b, c, _] = v4.octets();
    let beside = Cidr { address: IpAddr::from([a, b, c, 99]), ..own };
    let mut r = active(&Instance { addresses: vec![beside.into()], ..instance("eth0", 1) });
    assert!(r.settings.is_empty(), "nothing is changed without need: {:?}", r.settings);
    // It was away for a moment and came back behind the virtual one.
    r.take_address(LAN, own);
    let change = AddressChange::Present { ours: false, secondary: true };
    r.feed(Event::Address { index: LAN, cidr: own, change });
    r.pass(SECOND);
    assert_eq!(r.state(0), Active);
    assert_eq!(r.settings.get(&(LAN, Setting::PromoteSecondaries)), Some(&1));
    // The kernel has promoted it.
    let change = AddressChange::Present { ours: false, secondary: false };
    r.feed(Event::Address { index: LAN, cidr: own, change });
    assert_eq!(r.settings.get(&(LAN, Setting::PromoteSecondaries)).copied().unwrap_or(0), 0);
}

#[test]
fn track_interface_can_be_off() {
    let wanted = Instance { track_interface: false, ..instance("eth0", 1) };
    let mut r = active(&wanted);
    r.set_running(LAN, false);
    r.pass(SECOND);
    assert_eq!(r.state(0), Active, "keepalived's dont_track_primary");
}

#[test]
fn an_address_that_was_let_go_does_not_hold_up_the_announcements_of_others() {
    let mut wanted = instance("eth0", 1);
    wanted.addresses[0].options.no_track = true;
    wanted.addresses.push(vip(2).into());
    let mut r = active(&wanted);
    r.take_address(LAN, vip(1));
    r.sent.clear();
    r.hear(LAN, &advert_of(&wanted, OTHER, 50));
    let ticks = r.ticks;
    r.pass(SECOND * 3);
    assert!(
        r.sent.iter().any(|s| s.announces(&vip(2))),
        "the one behind it in the list is told all the same"
    );
    assert!(r.ticks - ticks < 100, "the loop wakes {} times in 3 s", r.ticks - ticks);
}

#[test]
fn an_address_with_other_options_or_another_prefix_length_is_made_anew() {
    let plain = instance("eth0", 1);
    let mut r = active(&Instance { excluded: vec![cidr("2001:db8::9/64").into()], ..plain.clone() });
    let wider = Instance { excluded: vec![cidr("2001:db8::9/128").into()], ..plain };
    r.reload(&crate::config(std::slice::from_ref(&wider)));
    r.pass(SECOND);
    assert!(
        r.has(LAN, cidr("2001:db8::9/128")),
        "the kernel knows an IPv6 address without its prefix length"
    );
    assert!(!r.has(LAN, cidr("2001:db8::9/64")), "{:?}", r.addresses);
}

#[test]
fn an_address_with_a_peer_is_removed_with_it() {
    let mut wanted = instance("eth0", 1);
    let peer = Some(cidr("10.9.9.9/32"));
    wanted.addresses[0].options.peer = peer;
    let mut r = active(&wanted);
    r.reload(&crate::config(&[instance("eth1", 2)]));
    assert_eq!(r.removed_peers, [peer], "without it the kernel finds no such address, and it stays for ever");
    assert!(!r.has(LAN, vip(1)));
}
