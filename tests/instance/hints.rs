//! What the status says of others, and what to change on which side.

use crate::router::{advert_of, instance, vip};
use crate::{LAN, OTHER, SECOND, active};
use std::net::IpAddr;
use vipd::engine::Event;
use vipd::model::status::InstanceState::{Active, Backup};
use vipd::model::{ChecksumForm, Family, Instance, Version, Vrid};
use vipd::wire::vrrp::{self, AdvertOut, AuthOut};

fn problems(r: &crate::Router) -> Vec<String> {
    r.engine.snapshot(r.now).problems.iter().map(|p| p.to_string()).collect()
}

#[test]
fn int_17_our_address_under_another_vrid_is_named() {
    let wanted = instance("eth0", 1);
    let mut r = active(&wanted);
    let theirs = Instance { addresses: vec![vip(9).into()], vrid: Vrid::new(9).unwrap(), ..wanted.clone() };
    r.hear(LAN, &advert_of(&theirs, OTHER, 200));
    assert!(!problems(&r).iter().any(|p| p.contains("VRID")), "another group's business is no problem");
    assert_eq!(r.engine.snapshot(r.now).foreign.len(), 1, "but known");
    // VRID 9 with the address of VRID 1.
    let mut bytes = advert_of(&theirs, OTHER, 200);
    let last = 14 + 20 + 8 + 3;
    bytes[last] = 1;
    r.pass(SECOND * 11);
    r.hear(LAN, &bytes);
    let found = problems(&r);
    assert!(
        found.iter().any(|p| p.contains("advertises 10.0.0.1 as VRID 9, ours is 1")),
        "both would be Active for one address: {found:?}"
    );
    assert_eq!(r.state(0), Active, "RX-11: it changes nothing");
}

#[test]
fn adverts_with_ah_are_named() {
    let mut r = active(&instance("eth0", 1));
    // G12 of the specification, as keepalived sends it.
    let mut frame = vec![1, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0xc0, 0, 0x40, 0, 1, 0, 0, 0xff, 0x33, 0x18, 0xb6, 0xc0, 0, 2, 1, 0xe0, 0, 0, 0x12]);
    frame.extend([0x70, 4, 0, 0, 0xc0, 0, 2, 1, 0, 0, 0, 1]);
    frame.extend([0x62, 0xc8, 0xac, 0x9b, 0xc6, 0xe3, 0x6e, 0x39, 0x5d, 0x6e, 0x25, 0x98]);
    frame.extend([0x21, 0x0c, 0x64, 1, 2, 1, 0xb6, 0x8a, 0xc0, 0, 2, 0x66, 0, 0, 0, 0, 0, 0, 0, 0]);
    r.feed(Event::Frame { index: LAN, bytes: &frame, truncated: false });
    assert!(problems(&r).iter().any(|p| p.contains("IPsec AH")), "PKT-7, B-46: {:?}", problems(&r));
}

fn message_only(of: &Instance, number: u8) -> Vec<u8> {
    let addresses: Vec<IpAddr> = of.addresses.iter().map(|a| a.cidr.address).collect();
    let advert = AdvertOut {
        version: Version::V3,
        family: Family::V4,
        vrid: of.vrid.get(),
        priority: number,
        interval: SECOND * 2,
        auth: AuthOut::None,
        addresses: &addresses,
        checksum_form: vrrp::ChecksumForm::MessageOnly,
    };
    let mut bytes = vec![0; advert.frame_len()];
    advert.emit_frame([2, 0, 0, 0, 0, 1], OTHER.into(), vrrp::GROUP.into(), 1, &mut bytes);
    bytes
}

#[test]
fn pkt_36_int_1_another_form_of_checksum_is_named_unless_it_is_learned() {
    for (checksum, named) in [(ChecksumForm::PseudoHeader, true), (ChecksumForm::Auto, false)] {
        let wanted = Instance { version: Version::V3, checksum, ..instance("eth0", 1) };
        let mut r = active(&wanted);
        r.hear(LAN, &message_only(&wanted, 200));
        assert_eq!(r.state(0), Backup, "PKT-35: either form is taken");
        let found = problems(&r);
        assert_eq!(found.iter().any(|p| p.contains("checksum = \"auto\"")), named, "{checksum:?}: {found:?}");
        assert!(found.iter().any(|p| p.contains("advertises every")), "RX-17: the interval, too: {found:?}");
    }
}
