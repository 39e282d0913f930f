//! B-1 to B-61 and B-66 to B-68 of protocols §10.1, as far as an IPv4 router can meet them: each frame with
//! the listener that hears it and what must become of it. ARP and ND (B-71, B-72) are sent and never read.

use super::frame::{Frame, hex, pseudo_summed, summed};
use super::frame6::Frame6;
use super::{catalogue6, signed};
use std::net::Ipv4Addr;
use vipd::wire::vrrp::Rung;

/// Who listens. All of them: interval 1 s, and where nothing else is said, the group of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// v2 without authentication, VRID 51.
    Plain,
    /// v2 with the password `1111`, VRID 11.
    Password,
    /// v2 with the password `12345678`, VRID 12.
    LongPassword,
    /// v3, VRID 13.
    V3,
    /// v3 over IPv6, VRID 15.
    V6,
    /// v3 unicast at 192.0.2.2, VRID 17, TTL 200 to 255.
    Unicast,
    /// v3 unicast at 2001:db8::2, VRID 15, any hop limit.
    Unicast6,
    /// v3, VRID 13, drops what is not signed well.
    Signed,
    /// v2, VRID 51, as above.
    SignedV2,
    /// v3 over IPv6, VRID 15, as above.
    Signed6,
}

/// One entry.
#[derive(Clone)]
pub(crate) struct Case {
    /// Its id in the specification.
    pub(crate) id: &'static str,
    /// What is wrong with it.
    pub(crate) what: String,
    pub(crate) listener: Listener,
    pub(crate) frame: Vec<u8>,
    /// The rung at which it falls; `None`: it must be accepted.
    pub(crate) falls_at: Option<Rung>,
}

/// G1: v2, no authentication, priority 100, 1 s, one address.
pub(crate) const G1: &str = "21336401 0001b865 c0000264 00000000 00000000";
/// G2: v2, PASS.
pub(crate) const G2: &str = "210b6402 010192b9 c0000265 c000026f 31313131 00000000";
/// G4: v3, message-only checksum.
pub(crate) const G4: &str = "310d6401 0064a825 c0000267";
/// G5: v3, pseudo-header checksum.
pub(crate) const G5: &str = "310d6401 00640595 c0000267";
/// G7: v3 over IPv6.
pub(crate) const G7: &str =
    "310f6402 00643f21 fe800000000000000000000000000100 20010db8000000000000000000000100";

/// Collects cases.
struct List(Vec<Case>);

impl List {
    fn add(
        &mut self,
        id: &'static str,
        what: &str,
        listener: Listener,
        frame: &Frame,
        falls_at: Option<Rung>,
    ) {
        self.0.push(Case { id, what: what.to_string(), listener, frame: frame.bytes(), falls_at });
    }

    /// A message of a plain v2 listener, with a right checksum.
    fn plain(&mut self, id: &'static str, what: &str, message: &str, falls_at: Option<Rung>) {
        self.add(id, what, Listener::Plain, &Frame::new(summed(hex(message))), falls_at);
    }

    /// A message of the v3 listener, with a right message-only checksum.
    fn v3(&mut self, id: &'static str, what: &str, message: &str, falls_at: Option<Rung>) {
        self.add(id, what, Listener::V3, &Frame::new(summed(hex(message))), falls_at);
    }

    /// The same change to the frame of every golden vector.
    fn all(&mut self, id: &'static str, what: &str, falls_at: Option<Rung>, change: impl Fn(&mut Frame)) {
        for (listener, golden) in
            [(Listener::Plain, G1), (Listener::Password, G2), (Listener::V3, G4), (Listener::V3, G5)]
        {
            let mut frame = Frame::new(hex(golden));
            change(&mut frame);
            self.add(id, what, listener, &frame, falls_at);
        }
    }
}

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    let mut list = List(Vec::new());
    list.all("none", "golden vectors, untouched", None, |_| {});
    lengths(&mut list);
    ip_layer(&mut list);
    link_layer(&mut list);
    fixed_fields(&mut list);
    checksums(&mut list);
    authentication(&mut list);
    intervals(&mut list);
    odd_but_valid(&mut list);
    [list.0, catalogue6::cases(), signed::cases()].concat()
}

fn lengths(list: &mut List) {
    let length = Some(Rung::Length);
    list.all("B-1", "no payload", length, |f| f.message.clear());
    list.all("B-2", "7 bytes", length, |f| f.message.truncate(7));
    list.plain("B-3", "v2, 8 bytes, count 1", "21336401 00010000", length);
    list.v3("B-4", "v3, 8 bytes, count 0", "310d6400 00640000", Some(Rung::Count));
    list.plain("B-4", "v2, count 0 and trailer", "21336400 00010000 00000000 00000000", Some(Rung::Count));
    list.plain("B-5", "v2 without trailer", "21336401 00010000 c0000264", length);
    list.v3("B-6", "v3 with trailer", "310d6401 00640000 c0000267 00000000 00000000", length);
    list.plain("B-7", "count 255, 1 address", "213364ff 00010000 c0000264 00000000 00000000", length);
    list.v3("B-7", "count 255, 1 address", "310d64ff 00640000 c0000267", length);
    list.plain(
        "B-8",
        "count 1, 2 addresses",
        "21336401 00010000 c0000264 c0000265 00000000 00000000",
        length,
    );
    list.v3("B-8", "count 1, 2 addresses", "310d6401 00640000 c0000267 c0000268", length);
    list.all("B-9", "stray zero after the message", length, |f| f.message.push(0));
    list.all("B-9", "stray byte after the message", length, |f| {
        f.message.push(0x5a);
        f.message = summed(f.message.clone());
    });
    list.all("B-10", "zero padding", None, |f| f.padding = vec![0; 18]);
    list.all("B-11", "padding that is not zero", None, |f| f.padding = vec![0xa5; 18]);
    let carp = format!("21336407 01010000 {}", "5a".repeat(28));
    list.plain("B-58", "CARP advert", &carp, length);
    hmac_trailers(list);
}

/// PKT-51: who does not know the trailer sees 28 bytes too many, whatever they hold.
fn hmac_trailers(list: &mut List) {
    let trailers = [
        ("the vector of PKT-50", "01010000 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c"),
        ("wrong key", "01010000 6553f100 80000000 0000000000000000 0000000000000000"),
        ("stale", "01010000 00000001 80000000 41c4ddfe96154487 0e6d11f3431f2d6c"),
        ("type 2", "02010000 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c"),
        ("reserved not zero", "0101ffff 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c"),
    ];
    for (what, trailer) in trailers {
        list.all("B-59", what, Some(Rung::Length), |f| f.message.extend(hex(trailer)));
        // A second time: the replay.
        list.all("B-59", what, Some(Rung::Length), |f| f.message.extend(hex(trailer)));
    }
}

fn ip_layer(list: &mut List) {
    let header = Some(Rung::IpHeader);
    list.all("B-12", "total length beyond the frame", Some(Rung::Truncated), |f| {
        f.total_len = Some(20 + f.message.len() as u16 + 1);
    });
    list.all("B-12", "total length 65535", Some(Rung::Truncated), |f| f.total_len = Some(0xffff));
    list.all("B-13", "total length inside the header", header, |f| f.total_len = Some(19));
    list.all("B-13", "total length 0", header, |f| f.total_len = Some(0));
    list.all("B-14", "total length 20", Some(Rung::Length), |f| f.total_len = Some(20));
    list.all("B-15", "IHL 4", header, |f| f.ihl = Some(4));
    list.all("B-15", "IHL 0", header, |f| f.ihl = Some(0));
    list.all("B-16", "IHL 15, frame of 40 bytes", header, |f| {
        f.ihl = Some(15);
        f.message.truncate(6);
        f.message.resize(6, 0);
    });
    list.all("B-17", "router alert, otherwise valid", None, |f| f.options = hex("94040000"));
    list.all("B-18", "first fragment", Some(Rung::Fragment), |f| f.fragment = 0x2000);
    list.all("B-19", "fragment at offset 1", Some(Rung::Fragment), |f| f.fragment = 1);
    list.all("none", "DF is no fragment (PKT-24)", None, |f| f.fragment = 0x4000);
    list.all("B-22", "header checksum off by one", Some(Rung::IpChecksum), |f| f.checksum_off_by = 1);
    list.all("B-22", "header checksum off by 0x100", Some(Rung::IpChecksum), |f| f.checksum_off_by = 0x100);
    for ttl in [254, 1, 0] {
        list.all("B-23", &format!("TTL {ttl}"), Some(Rung::Ttl), |f| f.ttl = ttl);
    }
    for destination in ["224.0.0.1", "192.0.2.2", "255.255.255.255", "224.0.0.19"] {
        let to: Ipv4Addr = destination.parse().unwrap();
        list.all("B-25", destination, Some(Rung::Destination), |f| f.destination = to);
    }
    for source in ["0.0.0.0", "127.0.0.1", "127.255.255.254", "224.0.0.5", "239.1.1.1", "255.255.255.255"] {
        let from: Ipv4Addr = source.parse().unwrap();
        list.all("B-26", source, Some(Rung::Source), |f| f.source = from);
    }
    for version in [0, 3, 5, 6, 15] {
        list.all("RX-1", &format!("IP version {version}"), header, |f| f.version = version);
    }
    for (what, ah) in [
        ("next header 6", "06040000 c0000201 00000001 62c8ac9bc6e36e39 5d6e2598"),
        ("plen 0", "70000000 c0000201 00000001 62c8ac9bc6e36e39 5d6e2598"),
        ("plen 255", "70ff0000 c0000201 00000001 62c8ac9bc6e36e39 5d6e2598"),
        ("SPI is not the source", "70040000 0a000001 00000001 62c8ac9bc6e36e39 5d6e2598"),
        ("sequence replayed", "70040000 c0000201 00000000 62c8ac9bc6e36e39 5d6e2598"),
        ("8 bytes only", "70040000 c0000201"),
    ] {
        list.all("B-46", what, Some(Rung::Ah), |f| {
            f.protocol = 51;
            let rest = if what == "8 bytes only" { Vec::new() } else { f.message.clone() };
            f.message = [hex(ah), rest].concat();
        });
    }
}

fn link_layer(list: &mut List) {
    for (what, tag) in [("VLAN 7", "81000007"), ("service VLAN 7", "88a80007"), ("priority tag", "81000000")]
    {
        list.all("B-60", what, Some(Rung::Vlan), |f| f.tag = hex(tag));
    }
    for ethertype in [0x0806, 0x0600, 0x0024, 0xffff] {
        list.all("none", &format!("ethertype {ethertype:04x}"), Some(Rung::NotVrrp), |f| {
            f.ethertype = ethertype
        });
    }
    list.all("B-67", "9000 bytes, cut at 2048", Some(Rung::Truncated), |f| {
        f.total_len = Some(9000);
        f.message.resize(2048 - 34, 0);
    });
    list.all("B-67", "9000 bytes, whole", Some(Rung::Length), |f| f.message.resize(9000 - 34, 0));
    ipv6(list);
}

/// B-68: what IPv6 brings does not concern an IPv4 router, not even with its VRID.
fn ipv6(list: &mut List) {
    for (listener, vrid) in
        [(Listener::Plain, 51), (Listener::Password, 11), (Listener::LongPassword, 12), (Listener::V3, 13)]
    {
        for mut message in [hex(G7), hex(G1), hex(G4)] {
            message[1] = vrid;
            list.0.push(Case {
                id: "B-68",
                what: format!("IPv6: {message:02x?}"),
                listener,
                frame: Frame6::summed(message).bytes(),
                falls_at: Some(Rung::Destination),
            });
        }
    }
}

fn fixed_fields(list: &mut List) {
    for version in [0u8, 1, 4, 15] {
        list.all("B-28", &format!("version {version}"), Some(Rung::Version), |f| {
            f.message[0] = version << 4 | 1;
            f.message = summed(f.message.clone());
        });
    }
    for kind in [0u8, 2, 15] {
        list.all("B-29", &format!("type {kind}"), Some(Rung::Type), |f| {
            f.message[0] = f.message[0] & 0xf0 | kind;
            f.message = summed(f.message.clone());
        });
    }
    let v2_for_v3 = summed(hex("210d6401 00010000 c0000264 00000000 00000000"));
    list.add("B-30", "v2 to a v3 instance", Listener::V3, &Frame::new(v2_for_v3), Some(Rung::Version));
    let v3_for_v2 = pseudo_summed(hex("31336401 00640000 c0000267"));
    list.add("B-30", "v3 to a v2 instance", Listener::Plain, &Frame::new(v3_for_v2), Some(Rung::Version));
    for (id, vrid) in [("B-32", 0), ("B-33", 99)] {
        list.all(id, &format!("VRID {vrid}"), Some(Rung::UnknownVrid), |f| {
            f.message[1] = vrid;
            f.message = summed(f.message.clone());
        });
    }
}

fn checksums(list: &mut List) {
    let bad = Some(Rung::Checksum);
    let set = |f: &mut Frame, sum: u16| f.message[6..8].copy_from_slice(&sum.to_be_bytes());
    let get = |f: &Frame| u16::from_be_bytes([f.message[6], f.message[7]]);
    list.all("B-35", "0x0000", bad, |f| set(f, 0));
    list.all("B-35", "0xffff", bad, |f| set(f, 0xffff));
    list.all("B-35", "off by one", bad, |f| set(f, get(f).wrapping_add(1)));
    list.all("B-35", "byte-swapped", bad, |f| set(f, get(f).swap_bytes()));
    for (what, message) in [("message only", G4), ("pseudo-header", G5)] {
        list.add("B-36", what, Listener::V3, &Frame::new(hex(message)), None);
    }
    list.add("B-37", "v2, pseudo-header", Listener::Plain, &Frame::new(pseudo_summed(hex(G1))), bad);
    list.add("B-37", "v2 PASS, pseudo-header", Listener::Password, &Frame::new(pseudo_summed(hex(G2))), bad);
    let elsewhere = Frame { source: Ipv4Addr::new(192, 0, 2, 9), ..Frame::new(hex(G5)) };
    list.add("B-35", "pseudo-header of another source", Listener::V3, &elsewhere, bad);
}

fn authentication(list: &mut List) {
    let wrong_type = Some(Rung::AuthType);
    let plain = "c0000264 00000000 00000000";
    list.plain("B-39", "PASS, none configured", "21336401 01010000 c0000264 31313131 00000000", wrong_type);
    let none = Frame::new(summed(hex("210b6401 00010000 c0000265 31313131 00000000")));
    list.add("B-40", "none, PASS configured", Listener::Password, &none, wrong_type);
    for (what, data) in [
        ("last byte", "31313131 00000001"),
        ("fourth byte", "31313132 00000000"),
        ("empty", "00000000 00000000"),
        ("longer", "31313131 31313131"),
    ] {
        let frame = Frame::new(summed(hex(&format!("210b6401 01010000 c0000265 {data}"))));
        list.add("B-41", what, Listener::Password, &frame, Some(Rung::AuthFailed));
    }
    let whole = Frame::new(summed(hex("210c6401 01010000 c0000265 31323334 35363738")));
    list.add("B-42", "8 bytes, no NUL", Listener::LongPassword, &whole, None);
    let shorter = Frame::new(summed(hex("210c6401 01010000 c0000265 31323334 35363700")));
    list.add("B-42", "the eighth byte counts", Listener::LongPassword, &shorter, Some(Rung::AuthFailed));
    for (id, kind) in [("B-43", 2), ("B-44", 254), ("B-45", 255)] {
        let what = format!("authentication type {kind}");
        list.plain(id, &what, &format!("21336401 {kind:02x}010000 {plain}"), wrong_type);
        let message = format!("210b6401 {kind:02x}010000 c0000265 31313131 00000000");
        list.add(id, &what, Listener::Password, &Frame::new(summed(hex(&message))), wrong_type);
    }
    let noise = "21336401 00010000 c0000264 deadbeef deadbeef";
    list.plain("none", "authentication data without authentication (PKT-3)", noise, None);
}

fn intervals(list: &mut List) {
    for seconds in [0u8, 2, 255] {
        let message = format!("21336401 00{seconds:02x}0000 c0000264 00000000 00000000");
        list.plain("B-47", &format!("v2, {seconds} s"), &message, Some(Rung::Interval));
    }
    list.v3("B-48", "v3, 0", "310d6401 00000000 c0000267", Some(Rung::Interval));
    list.v3("B-48", "v3, 0 behind a reserved nibble", "310d6401 f0000000 c0000267", Some(Rung::Interval));
    list.v3("B-48", "v3, 1", "310d6401 00010000 c0000267", None);
    list.v3("B-48", "v3, 4095", "310d6401 0fff0000 c0000267", None);
    list.v3("B-48", "G9, reserved nibble f", "310d6401 f0640000 c0000267", None);
}

/// What the wire must let through: the state machine or the status screen has the last word.
fn odd_but_valid(list: &mut List) {
    let tail = "00000000 00000000";
    for (id, what, priority) in [
        ("B-49", "priority 0", 0),
        ("B-50", "priority 255 from a non-owner", 255),
        ("B-51", "priority 255", 255),
        ("B-52", "equal priority", 100),
    ] {
        list.plain(id, what, &format!("2133{priority:02x}01 00010000 c0000264 {tail}"), None);
        list.v3(id, what, &format!("310d{priority:02x}01 00640000 c0000267"), None);
    }
    for (id, what, addresses) in [
        ("B-55", "the same address twice", "c0000264 c0000264"),
        ("B-56", "addresses of the wrong set", "0a000001 0a000002"),
        ("B-57", "0.0.0.0 and multicast", "00000000 e0000012"),
    ] {
        list.plain(id, what, &format!("21336402 00010000 {addresses} {tail}"), None);
        list.v3(id, what, &format!("310d6402 00640000 {addresses}"), None);
    }
    let many = "c0000264".repeat(255);
    list.plain("B-66", "255 addresses", &format!("213364ff 00010000 {many} {tail}"), None);
    list.v3("B-66", "255 addresses", &format!("310d64ff 00640000 {many}"), None);
}
