//! Adverts to named peers.

use crate::router::{Router, advert_of, base, config, instance, link, vip};
use crate::{LAN, OTHER, SECOND, active, dropped, start};
use std::net::{IpAddr, Ipv4Addr};
use vipd::engine::Link;
use vipd::model::status::InstanceState::{Active, Backup, Fault};
use vipd::model::{Family, Instance, Peer, Unicast, cut};
use vipd::wire::vrrp::{AdvertOut, AuthOut, ChecksumForm};

fn unicast(peers: &[&str]) -> Instance {
    let peers =
        peers.iter().map(|p| Peer { address: p.parse().unwrap(), ttl_min: 0, ttl_max: 255 }).collect();
    Instance { unicast: Some(Unicast { peers, ttl: 255, check_source: true }), ..instance("eth0", 1) }
}

/// As a unicast packet arrives: a frame to our MAC.
fn unicast_advert(of: &Instance, from: Ipv4Addr, to: Ipv4Addr, number: u8, ttl: u8) -> Vec<u8> {
    let addresses: Vec<IpAddr> = of.addresses.iter().map(|a| a.cidr.address).collect();
    let advert = AdvertOut {
        version: of.version,
        family: Family::V4,
        vrid: of.vrid.get(),
        priority: number,
        interval: of.advert_interval,
        auth: AuthOut::None,
        addresses: &addresses,
        checksum_form: ChecksumForm::PseudoHeader,
    };
    let mut bytes = vec![0; 14 + advert.packet_len()];
    bytes[12] = 8;
    advert.emit_packet(from.into(), to.into(), ttl, 1, &mut bytes[14..]);
    bytes
}

#[test]
fn a_unicast_router_sends_to_each_peer_and_hears_them_alone() {
    let wanted = unicast(&["192.0.2.200", "192.0.2.201"]);
    let mut r = active(&wanted);
    r.pass(SECOND * 10);
    assert_eq!(r.sent.iter().filter(|s| s.priority().is_some()).count(), 0, "nothing goes to the group");
    assert_eq!(r.packets.len(), 2 * 10, "one packet to each peer and interval");
    let ours = Ipv4Addr::new(192, 0, 2, LAN as u8);
    let stranger = Ipv4Addr::new(192, 0, 2, 99);
    r.hear(LAN, &unicast_advert(&wanted, stranger, ours, 200, 255));
    assert_eq!((r.state(0), dropped(&r, "peer")), (Active, 1), "RX-18, SEC-2");
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert_eq!((r.state(0), dropped(&r, "destination")), (Active, 1), "RX-6: multicast is not for it");
    r.hear(LAN, &unicast_advert(&wanted, OTHER, ours, 200, 64));
    assert_eq!(r.state(0), Backup, "INT-18: any TTL is good where none is configured");
}

#[test]
fn rx_7_a_peer_may_be_held_to_a_range_of_ttl() {
    let mut wanted = unicast(&["192.0.2.200"]);
    wanted.unicast.as_mut().unwrap().peers[0].ttl_min = 254;
    let mut r = active(&wanted);
    let ours = Ipv4Addr::new(192, 0, 2, LAN as u8);
    r.hear(LAN, &unicast_advert(&wanted, OTHER, ours, 200, 253));
    assert_eq!((r.state(0), dropped(&r, "ttl")), (Active, 1));
    r.hear(LAN, &unicast_advert(&wanted, OTHER, ours, 200, 254));
    assert_eq!(r.state(0), Backup);
}

#[test]
fn unicast_works_on_a_tunnel_without_an_ethernet_address() {
    let wanted = unicast(&["192.0.2.200"]);
    let mut r = Router::bare(&config(std::slice::from_ref(&wanted)));
    r.links.insert(LAN, Link { mac: None, ..link(LAN, "eth0") });
    r.addresses.insert((LAN, base(LAN)), false);
    r.dump();
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active, "{}", r.status(0).cause);
    assert!(r.has(LAN, vip(1)));
    assert!(r.sent.is_empty(), "ARP-5: there is nobody to announce to");
    let multicast = start(&instance("eth0", 1));
    assert_eq!(multicast.state(0), Backup);
    let mut none = multicast;
    none.set_link(Link { mac: None, ..link(LAN, "eth0") });
    assert_eq!(none.state(0), Fault);
    assert!(none.status(0).cause.contains("unicast_peers"), "{}", none.status(0).cause);
}

#[test]
fn two_unicast_routers_may_share_a_vrid() {
    let named = |name: &str, peer: &str, last: u8| Instance {
        name: cut(format_args!("{name}")),
        addresses: vec![vip(last).into()],
        ..unicast(&[peer])
    };
    let pair = [named("a", "192.0.2.200", 11), named("b", "192.0.2.201", 12)];
    let mut r = Router::new(&config(&pair));
    r.pass(SECOND * 10);
    let ours = Ipv4Addr::new(192, 0, 2, LAN as u8);
    r.hear(LAN, &unicast_advert(&pair[1], Ipv4Addr::new(192, 0, 2, 201), ours, 200, 255));
    assert_eq!((r.state(0), r.state(1)), (Active, Backup), "the peer tells them apart");
}
