//! IPv6: link-local sources, neighbour advertisements, a VRID of its own.

use crate::router::{Router, advert_of, base, config, instance, link};
use crate::{LAN, OTHER, SECOND, start};
use std::net::{IpAddr, Ipv6Addr};
use vipd::engine::Link;
use vipd::model::status::InstanceState::{Active, Backup, Fault};
use vipd::model::{Cidr, Family, Instance, Version, Vrid, cut};
use vipd::wire::vrrp::{AdvertOut, AuthOut, ChecksumForm};

pub(crate) const LINK_LOCAL: &str = "fe80::7/64";
pub(crate) const PEER6: &str = "fe80::9";

pub(crate) fn cidr(text: &str) -> Cidr {
    let (address, len) = text.split_once('/').unwrap();
    Cidr { address: address.parse().unwrap(), prefix_len: len.parse().unwrap() }
}

pub(crate) fn ipv6(vrid: u8) -> Instance {
    let (name, interface) = (cut(format_args!("six-{vrid}")), cut(format_args!("eth0")));
    Instance {
        addresses: vec![cidr("fe80::100/64").into(), cidr("2001:db8::100/64").into()],
        ..Instance::new(name, interface, Vrid::new(vrid).unwrap(), Family::V6)
    }
}

pub(crate) fn with_link_local(wanted: &[Instance]) -> Router {
    let mut r = Router::bare(&config(wanted));
    r.links.insert(LAN, link(LAN, "eth0"));
    r.addresses.insert((LAN, base(LAN)), false);
    r.addresses.insert((LAN, cidr("2001:db8::7/64")), false);
    r.addresses.insert((LAN, cidr(LINK_LOCAL)), false);
    r.dump();
    r
}

pub(crate) fn advert6(of: &Instance, from: &str, number: u8) -> Vec<u8> {
    let addresses: Vec<IpAddr> = of.addresses.iter().map(|a| a.cidr.address).collect();
    let advert = AdvertOut {
        version: Version::V3,
        family: Family::V6,
        vrid: of.vrid.get(),
        priority: number,
        interval: of.advert_interval,
        auth: AuthOut::None,
        addresses: &addresses,
        checksum_form: ChecksumForm::PseudoHeader,
    };
    let mut bytes = vec![0; advert.frame_len()];
    advert.emit_frame([2, 0, 0, 0, 0, 9], from.parse().unwrap(), of.group, 1, &mut bytes);
    bytes
}

#[test]
fn pkt_12_pkt_13_an_ipv6_router_takes_its_addresses_and_tells_hosts() {
    let six = ipv6(51);
    let mut r = with_link_local(std::slice::from_ref(&six));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    for address in &six.addresses {
        assert!(r.has(LAN, address.cidr), "{} is not on the box", address.cidr);
    }
    let advert = &r.sent.iter().find(|s| s.bytes.get(20) == Some(&112)).expect("an advert").bytes;
    assert_eq!(
        advert[22..38],
        "fe80::7".parse::<Ipv6Addr>().unwrap().octets(),
        "from the link-local address"
    );
    assert_eq!(advert[..6], [0x33, 0x33, 0, 0, 0, 0x12], "to ff02::12");
    let nas: Vec<_> = r.sent.iter().filter(|s| s.bytes.get(54) == Some(&136)).collect();
    assert_eq!(nas.len(), 2 * 5 * 2, "ARP-40: five for each VIP, and five more");
    assert!(
        nas.iter().all(|s| s.bytes[58] & 0x80 != 0),
        "ARP-33: a router that stops saying so loses routes"
    );
}

#[test]
fn arp_33_without_forwarding_the_r_flag_is_off() {
    let six = ipv6(51);
    let mut r = with_link_local(std::slice::from_ref(&six));
    r.set_link(Link { forwards_ipv6: false, ..link(LAN, "eth0") });
    r.pass(SECOND * 5);
    let nas: Vec<_> = r.sent.iter().filter(|s| s.bytes.get(54) == Some(&136)).collect();
    assert!(!nas.is_empty() && nas.iter().all(|s| s.bytes[58] & 0x80 == 0));
}

#[test]
fn fsm_4_the_same_vrid_in_both_families_is_two_routers() {
    let (four, six) = (instance("eth0", 51), ipv6(51));
    let mut r = with_link_local(&[four.clone(), six.clone()]);
    r.pass(SECOND * 10);
    assert_eq!((r.state(0), r.state(1)), (Active, Active));
    r.hear(LAN, &advert6(&six, PEER6, 200));
    assert_eq!((r.state(0), r.state(1)), (Active, Backup), "B-68: an IPv6 advert is nothing to IPv4");
    r.hear(LAN, &advert_of(&four, OTHER, 200));
    assert_eq!((r.state(0), r.state(1)), (Backup, Backup));
}

#[test]
fn fsm_30_equal_priority_in_ipv6_is_decided_by_the_link_local_address() {
    let six = ipv6(51);
    let mut r = with_link_local(std::slice::from_ref(&six));
    r.pass(SECOND * 10);
    r.hear(LAN, &advert6(&six, "fe80::6", 100));
    assert_eq!(r.state(0), Active, "fe80::6 is below fe80::7");
    r.hear(LAN, &advert6(&six, PEER6, 100));
    assert_eq!(r.state(0), Backup, "fe80::9 is above fe80::7");
}

#[test]
fn an_ipv6_router_without_a_link_local_address_says_so() {
    let r = start(&ipv6(51));
    assert_eq!(r.state(0), Fault);
    assert!(r.status(0).cause.contains("link-local"), "{}", r.status(0).cause);
}
