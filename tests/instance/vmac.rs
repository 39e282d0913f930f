//! The macvlan with the virtual MAC.

use crate::ipv6::{LINK_LOCAL, PEER6, advert6, cidr, ipv6, with_link_local};
use crate::router::{Router, advert_of, base, config, instance, link, vip};
use crate::{LAN, OTHER, SECOND, active, dropped, ms, start};
use vipd::engine::{Event, Link, LinkKind, Setting};
use vipd::model::status::InstanceState::{Active, Backup, Fault};
use vipd::model::{Family, Instance, VirtualMac, cut, virtual_mac};

fn with_vmac(of: Instance) -> Instance {
    let name = match of.family {
        Family::V4 => cut(format_args!("vrrp.{}", of.vrid)),
        Family::V6 => cut(format_args!("vrrp6.{}", of.vrid)),
    };
    let mac = virtual_mac(of.family, of.vrid);
    Instance { virtual_mac: Some(VirtualMac { name, mac }), ..of }
}

#[test]
fn vmac_16_vmac_18_the_macvlan_is_made_in_advance_and_up_while_active_alone() {
    let wanted = with_vmac(instance("eth0", 51));
    let mut r = start(&wanted);
    let index = r.index_of("vrrp.51").expect("made before it is needed");
    assert!(!r.links[&index].up, "FSM-36: a Backup does not answer for the virtual MAC");
    assert_eq!(r.settings.get(&(LAN, Setting::ArpIgnore)), Some(&1), "VMAC-34");
    assert_eq!(r.settings.get(&(LAN, Setting::ArpFilter)), Some(&1));
    assert_eq!(r.settings.get(&(LAN, Setting::ArpAnnounce)), Some(&1), "VMAC-34: whose MAC hosts learn");
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    assert!(r.links[&index].up);
    assert!(r.has(index, vip(51)) && !r.has(LAN, vip(51)), "the address is on the macvlan");
    assert!(
        r.sent.iter().all(|s| s.bytes[6..12] == virtual_mac(Family::V4, wanted.vrid)),
        "VMAC-1, FSM-37: adverts and announcements come from the virtual MAC"
    );
    let ears: Vec<_> = r.members.iter().map(|e| (e.index, e.joins)).collect();
    assert_eq!(ears, [(LAN, true), (index, false)], "SOCK-21: no IGMP from the macvlan");
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert_eq!(r.state(0), Active, "VMAC-13: the macvlan hears it, too; it counts there");
    r.hear(index, &advert_of(&wanted, OTHER, 200));
    assert_eq!(r.state(0), Backup);
    assert!(!r.links[&index].up);
    assert!(!r.has(index, vip(51)));
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert_eq!(dropped(&r, "unknown_vrid"), 0);
    r.feed(Event::Shutdown);
    r.pass(SECOND);
    assert!(r.is_finished, "the end does not wait for the time limit");
    assert_eq!(r.index_of("vrrp.51"), None, "nothing of ours is left");
    assert!(r.settings.values().all(|held| *held == 0), "VMAC-32: {:?}", r.settings);
}

#[test]
fn vmac_30_an_ipv6_macvlan_carries_the_link_local_address() {
    let wanted = with_vmac(ipv6(51));
    let mut r = with_link_local(std::slice::from_ref(&wanted));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    let index = r.index_of("vrrp6.51").unwrap();
    assert!(r.has(index, cidr(LINK_LOCAL)), "the source of its neighbour discovery");
    assert!(r.has(index, cidr("fe80::100/64")) && r.has(index, cidr("2001:db8::100/64")));
    r.hear(index, &advert6(&wanted, PEER6, 200));
    assert!(!r.addresses.keys().any(|(i, _)| *i == index), "down, it has none of them");
    r.pass(SECOND * 10);
    assert!(r.has(index, cidr(LINK_LOCAL)) && r.has(index, cidr("fe80::100/64")), "and once more");
}

#[test]
fn vmac_4_a_left_over_is_taken_and_set_right() {
    let wanted = with_vmac(instance("eth0", 51));
    let mut r = Router::bare(&config(std::slice::from_ref(&wanted)));
    r.links.insert(LAN, link(LAN, "eth0"));
    let kind = LinkKind::Macvlan { parent: LAN, is_private: true };
    let mac = Some(virtual_mac(Family::V4, wanted.vrid));
    r.links.insert(9, Link { kind, mac, ..link(9, "vrrp.51") });
    r.addresses.insert((LAN, base(LAN)), false);
    r.addresses.insert((9, vip(51)), true);
    r.dump();
    r.pass(ms(10));
    assert_eq!(r.state(0), Backup);
    assert!(!r.links[&9].up, "VMAC-17: up, it would forward for the virtual MAC");
    assert!(!r.has(9, vip(51)), "RTNL-27: what the earlier run left there is gone");
    r.pass(SECOND * 10);
    assert!(r.links[&9].up && r.has(9, vip(51)));
}

#[test]
fn vmac_4_a_strangers_device_of_that_name_is_left_alone() {
    let wanted = with_vmac(instance("eth0", 51));
    let mut r = Router::bare(&config(std::slice::from_ref(&wanted)));
    r.links.insert(LAN, link(LAN, "eth0"));
    r.links.insert(9, link(9, "vrrp.51"));
    r.addresses.insert((LAN, base(LAN)), false);
    r.dump();
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Fault);
    assert!(r.status(0).cause.contains("another kind"), "{}", r.status(0).cause);
    assert!(r.links[&9].up, "not ours to touch");
    r.delete_link(9);
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
}

#[test]
fn a_macvlan_that_somebody_removes_is_made_again() {
    let wanted = with_vmac(instance("eth0", 51));
    let mut r = active(&wanted);
    let index = r.index_of("vrrp.51").unwrap();
    r.delete_link(index);
    r.pass(SECOND * 3);
    let index = r.index_of("vrrp.51").expect("made again");
    assert!(r.links[&index].up && r.has(index, vip(51)), "law 3");
    assert!(r.lines.iter().any(|(_, l)| l.contains("somebody removed vrrp.51")), "{:?}", r.lines);
    assert!(r.members.iter().any(|e| e.index == index), "and listened on");
}

#[test]
fn a_reload_turns_the_virtual_mac_on_and_off() {
    let plain = instance("eth0", 51);
    let mut r = active(&plain);
    let wanted = with_vmac(plain.clone());
    r.reload(&config(std::slice::from_ref(&wanted)));
    r.pass(SECOND * 3);
    let index = r.index_of("vrrp.51").unwrap();
    assert!(r.has(index, vip(51)) && !r.has(LAN, vip(51)), "{:?}", r.addresses);
    r.reload(&config(std::slice::from_ref(&plain)));
    r.pass(SECOND * 3);
    assert_eq!(r.index_of("vrrp.51"), None);
    assert!(r.has(LAN, vip(51)));
    assert!(r.settings.values().all(|held| *held == 0), "{:?}", r.settings);
}

#[test]
fn vmac_4_a_macvlan_goes_with_the_name_of_its_interface() {
    let wanted = with_vmac(instance("eth0", 51));
    let mut r = start(&wanted);
    r.pass(SECOND * 10);
    let index = r.index_of("vrrp.51").unwrap();
    r.set_link(link(LAN, "old0"));
    r.pass(SECOND);
    assert_eq!(r.index_of("vrrp.51"), None, "it would be in the way of the next one");
    r.set_link(link(9, "eth0"));
    r.put_address(9, base(9));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    let anew = r.index_of("vrrp.51").unwrap();
    assert!(anew != index && r.has(anew, vip(51)));
    r.feed(Event::Shutdown);
    r.pass(SECOND);
    assert!(r.is_finished && r.index_of("vrrp.51").is_none());
}
