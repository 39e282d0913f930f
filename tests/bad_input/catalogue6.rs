//! B-1 to B-68 of protocols §10.1 as an IPv6 router meets them. What there is of IPv4 alone is not here:
//! header length (B-15, B-16), options (B-17), header checksum (B-22), passwords (B-39 to B-45), AH (B-46),
//! v2 (B-47).

use crate::catalogue::{Case, G1, G2, G4, G5, G7, Listener};
use crate::frame::{Frame, hex, summed};
use crate::frame6::Frame6;
use std::net::Ipv6Addr;
use vipd::wire::vrrp::Rung;

struct List(Vec<Case>);

impl List {
    fn add(&mut self, id: &'static str, what: &str, frame: &Frame6, falls_at: Option<Rung>) {
        let what = format!("IPv6: {what}");
        self.0.push(Case { id, what, listener: Listener::V6, frame: frame.bytes(), falls_at });
    }

    /// G7 with a change.
    fn g7(&mut self, id: &'static str, what: &str, falls_at: Option<Rung>, change: impl Fn(&mut Frame6)) {
        let mut frame = Frame6::new(hex(G7));
        change(&mut frame);
        self.add(id, what, &frame, falls_at);
    }

    /// A message with a right checksum.
    fn message(&mut self, id: &'static str, what: &str, message: &str, falls_at: Option<Rung>) {
        self.add(id, what, &Frame6::summed(hex(message)), falls_at);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut list = List(Vec::new());
    list.g7("none", "G7, untouched", None, |_| {});
    lengths(&mut list);
    ip_layer(&mut list);
    fixed_fields(&mut list);
    checksums(&mut list);
    odd_but_valid(&mut list);
    other_family(&mut list);
    list.0
}

const LINK_LOCAL: &str = "fe80000000000000 0000000000000100";
const GLOBAL: &str = "20010db800000000 0000000000000100";

fn lengths(list: &mut List) {
    let length = Some(Rung::Length);
    list.g7("B-1", "no payload", length, |f| f.message.clear());
    list.g7("B-2", "7 bytes", length, |f| f.message.truncate(7));
    list.message("B-3", "8 bytes, count 1", "310f6401 00640000", length);
    list.message("B-4", "8 bytes, count 0", "310f6400 00640000", Some(Rung::Count));
    list.message("B-6", "v2's trailer", &format!("310f6401 00640000 {LINK_LOCAL} 00000000 00000000"), length);
    list.message("B-7", "count 255, 1 address", &format!("310f64ff 00640000 {LINK_LOCAL}"), length);
    list.message("B-7", "addresses of 4 bytes", "310f6402 00640000 c0000267 c0000268", length);
    list.message("B-8", "count 1, 2 addresses", &format!("310f6401 00640000 {LINK_LOCAL} {GLOBAL}"), length);
    list.message("B-9", "stray byte", &format!("310f6401 00640000 {LINK_LOCAL} 5a"), length);
    list.g7("B-10", "zero padding", None, |f| f.padding = vec![0; 6]);
    list.g7("B-11", "padding that is not zero", None, |f| f.padding = vec![0xa5; 6]);
    let carp = format!("210f0007 01010000 {}", "5a".repeat(28));
    list.message("B-58", "CARP advert", &carp, Some(Rung::Version));
    let trailer = "01010000 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c";
    list.message("B-59", "signed, and nobody asked", &format!("{G7} {trailer}"), length);
}

fn ip_layer(list: &mut List) {
    let too_long = Some(Rung::Truncated);
    list.g7("B-12", "payload length beyond the frame", too_long, |f| f.payload_len = Some(41));
    list.g7("B-12", "payload length 65535", too_long, |f| f.payload_len = Some(0xffff));
    list.g7("B-14", "payload length 0", Some(Rung::Length), |f| f.payload_len = Some(0));
    list.g7("B-14", "payload length 7", Some(Rung::Length), |f| f.payload_len = Some(7));
    list.g7("B-14", "payload length 39", Some(Rung::Length), |f| f.payload_len = Some(39));
    for version in [0, 4, 5, 7, 15] {
        let what = format!("IP version {version}");
        list.g7("RX-1", &what, Some(Rung::IpHeader), |f| f.version = version);
    }
    for (id, what, fragment) in [
        ("B-18", "first fragment", "70000001 00000001"),
        ("B-19", "fragment at offset 1", "70000008 00000001"),
        ("B-20", "fragment of the whole", "70000000 00000001"),
    ] {
        list.g7(id, what, Some(Rung::Fragment), |f| (f.next, f.extension) = (44, hex(fragment)));
    }
    list.g7("B-20", "fragment of another protocol", Some(Rung::NotVrrp), |f| {
        (f.next, f.extension) = (44, hex("11000001 00000001"));
    });
    for (what, next, extension) in [
        ("hop-by-hop, router alert", 0, "70000502 00000100"),
        ("destination options", 60, "70000104 00000000"),
        ("routing header", 43, "70000000 00000000"),
        ("AH", 51, "70040000 c0000201 00000001 62c8ac9bc6e36e39 5d6e2598"),
        ("no next header", 59, ""),
        ("ICMPv6", 58, ""),
    ] {
        list.g7("B-21", what, Some(Rung::NotVrrp), |f| (f.next, f.extension) = (next, hex(extension)));
    }
    for hops in [64, 254, 1, 0] {
        list.g7("B-24", &format!("hop limit {hops}"), Some(Rung::Ttl), |f| f.hops = hops);
    }
    for destination in ["ff02::1", "fe80::2", "ff02::13", "ff05::12", "2001:db8::2"] {
        let to: Ipv6Addr = destination.parse().unwrap();
        list.g7("B-25", destination, Some(Rung::Destination), |f| f.destination = to);
    }
    for source in ["::", "::1", "ff02::12", "2001:db8::1", "fec0::1", "::ffff:192.0.2.1"] {
        let from: Ipv6Addr = source.parse().unwrap();
        list.g7("B-27", source, Some(Rung::Source), |f| f.source = from);
    }
    for (what, tag) in [("VLAN 7", "81000007"), ("service VLAN 7", "88a80007")] {
        list.g7("B-60", what, Some(Rung::Vlan), |f| f.tag = hex(tag));
    }
    list.g7("B-67", "9000 bytes, cut at 2048", too_long, |f| {
        f.payload_len = Some(9000 - 40);
        f.message.resize(2048 - 54, 0);
    });
    list.g7("B-67", "9000 bytes, whole", Some(Rung::Length), |f| f.message.resize(9000 - 54, 0));
}

fn fixed_fields(list: &mut List) {
    for version in [0u8, 1, 4, 15] {
        let message = format!("{version:x}10f6401 00640000 {LINK_LOCAL}");
        list.message("B-28", &format!("version {version}"), &message[..], Some(Rung::Version));
    }
    for kind in [0u8, 2, 15] {
        let message = format!("3{kind:x}0f6401 00640000 {LINK_LOCAL}");
        list.message("B-29", &format!("type {kind}"), &message, Some(Rung::Type));
    }
    let v2 = "210f6401 00010000 c0000264 00000000 00000000";
    list.message("B-31", "v2 in IPv6", v2, Some(Rung::Version));
    list.add("B-31", "v2 with its own checksum", &Frame6::new(summed(hex(v2))), Some(Rung::Version));
    for (id, vrid) in [("B-32", 0u8), ("B-33", 99)] {
        let message = format!("31{vrid:02x}6401 00640000 {LINK_LOCAL}");
        list.message(id, &format!("VRID {vrid}"), &message, Some(Rung::UnknownVrid));
    }
    for centiseconds in ["0000", "f000"] {
        let message = format!("310f6401 {centiseconds}0000 {LINK_LOCAL}");
        list.message("B-48", &format!("interval {centiseconds}"), &message, Some(Rung::Interval));
    }
    for centiseconds in ["0001", "0fff", "f064"] {
        let message = format!("310f6401 {centiseconds}0000 {LINK_LOCAL}");
        list.message("B-48", &format!("interval {centiseconds}"), &message, None);
    }
}

fn checksums(list: &mut List) {
    let bad = Some(Rung::Checksum);
    let set = |f: &mut Frame6, sum: u16| f.message[6..8].copy_from_slice(&sum.to_be_bytes());
    let get = |f: &Frame6| u16::from_be_bytes([f.message[6], f.message[7]]);
    list.g7("B-35", "0x0000", bad, |f| set(f, 0));
    list.g7("B-35", "0xffff", bad, |f| set(f, 0xffff));
    list.g7("B-35", "off by one", bad, |f| set(f, get(f).wrapping_add(1)));
    list.g7("B-35", "byte-swapped", bad, |f| set(f, get(f).swap_bytes()));
    list.g7("B-35", "of another source", bad, |f| f.source = "fe80::ff:fe00:2".parse().unwrap());
    list.add("B-38", "message only", &Frame6::new(summed(hex(G7))), bad);
}

fn odd_but_valid(list: &mut List) {
    for (id, priority) in [("B-49", "00"), ("B-50", "ff"), ("B-51", "ff"), ("B-52", "64")] {
        let message = format!("310f{priority}01 00640000 {LINK_LOCAL}");
        list.message(id, &format!("priority {priority}"), &message, None);
    }
    let unspecified = "00".repeat(16);
    for (id, what, addresses) in [
        ("B-54", "the first address is global (PKT-13)", format!("{GLOBAL}{LINK_LOCAL}")),
        ("B-55", "the same address twice", format!("{LINK_LOCAL}{LINK_LOCAL}")),
        ("B-56", "addresses of the wrong set", "fe80000000000000 0000000000000999".repeat(2)),
        ("B-57", ":: and multicast", format!("{unspecified} ff02000000000000 0000000000000012")),
    ] {
        list.message(id, what, &format!("310f6402 00640000 {addresses}"), None);
    }
    let many = LINK_LOCAL.repeat(255);
    list.message("B-66", "255 addresses", &format!("310f64ff 00640000 {many}"), None);
}

/// B-68: what IPv4 brings does not concern an IPv6 router, not even with its VRID.
fn other_family(list: &mut List) {
    for golden in [G1, G2, G4, G5] {
        let mut message = hex(golden);
        message[1] = 15;
        for message in [hex(golden), summed(message)] {
            list.0.push(Case {
                id: "B-68",
                what: format!("IPv4: {message:02x?}"),
                listener: Listener::V6,
                frame: Frame::new(message).bytes(),
                falls_at: Some(Rung::Destination),
            });
        }
    }
}
