//! Unicast peers (RX-6, RX-7, PKT-38) and signed adverts (B-59, PKT-50). Stale and replayed ones are good to
//! the wire, which knows no time and no past.

use crate::catalogue::{Case, G5, G7, Listener};
use crate::frame::{Frame, hex, pseudo_summed, summed};
use crate::frame6::Frame6;
use hmac::{Hmac, KeyInit, Mac};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use vipd::wire::vrrp::{HmacKey, Rung};

/// Key 1 is that of PKT-50, 00 01 02 .. 1f; key 9 fills the block.
pub(crate) static KEYS: LazyLock<[HmacKey; 2]> = LazyLock::new(|| {
    [HmacKey { id: 1, secret: (0..32).collect() }, HmacKey { id: 9, secret: [9; 64].into() }]
});

/// G6: v3 to 192.0.2.2, pseudo-header with that address.
pub(crate) const G6: &str = "31116401 0064239d c000026b";

/// Where the unicast listeners are at home.
pub(crate) const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const OWN6: &str = "2001:db8::2";

/// The trailer of the vector of PKT-50, for G5.
pub(crate) const TRAILER: &str = "01010000 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c";

struct List(Vec<Case>);

impl List {
    fn add(&mut self, id: &'static str, what: &str, to: Listener, frame: Vec<u8>, falls_at: Option<Rung>) {
        self.0.push(Case { id, what: what.to_string(), listener: to, frame, falls_at });
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut list = List(Vec::new());
    unicast(&mut list);
    unicast6(&mut list);
    signed(&mut list);
    signed_v2(&mut list);
    signed6(&mut list);
    list.0
}

/// TTL 200 to 255 from the peers.
fn unicast(list: &mut List) {
    let mut g6 = |id, what: &str, falls_at, change: &dyn Fn(&mut Frame)| {
        let mut frame = Frame { destination: OWN, ..Frame::new(hex(G6)) };
        change(&mut frame);
        list.add(id, what, Listener::Unicast, frame.bytes(), falls_at);
    };
    g6("none", "G6, untouched", None, &|_| {});
    g6("INT-18", "TTL 200", None, &|f| f.ttl = 200);
    for ttl in [199, 64, 0] {
        g6("RX-7", &format!("TTL {ttl}"), Some(Rung::Ttl), &|f| f.ttl = ttl);
    }
    for destination in ["224.0.0.18", "192.0.2.3", "255.255.255.255", "127.0.0.1"] {
        let to = destination.parse().unwrap();
        g6("RX-6", destination, Some(Rung::Destination), &|f| f.destination = to);
    }
    for source in ["0.0.0.0", "127.0.0.1", "224.0.0.18", "255.255.255.255"] {
        let from = source.parse().unwrap();
        g6("B-26", source, Some(Rung::Source), &|f| f.source = from);
    }
    g6("B-18", "first fragment", Some(Rung::Fragment), &|f| f.fragment = 0x2000);
    g6("B-46", "AH", Some(Rung::Ah), &|f| f.protocol = 51);
    g6("PKT-35", "message only", None, &|f| f.message = summed(hex(G6)));
    g6("PKT-38", "checksum with the group", Some(Rung::Checksum), &|f| f.message = pseudo_summed(hex(G6)));
}

fn unicast6(list: &mut List) {
    let mut add = |id, what: &str, falls_at, change: &dyn Fn(&mut Frame6)| {
        let mut frame = Frame6::new(hex(G7));
        (frame.source, frame.destination) = ("2001:db8::1".parse().unwrap(), OWN6.parse().unwrap());
        change(&mut frame);
        list.add(id, &format!("IPv6: {what}"), Listener::Unicast6, frame.sum().bytes(), falls_at);
    };
    add("none", "from a global address", None, &|_| {});
    add("INT-18", "hop limit 64", None, &|f| f.hops = 64);
    add("none", "from a link-local address", None, &|f| {
        f.source = "fe80::1".parse().unwrap();
        f.message[2] = 50;
    });
    for source in ["::", "::1", "ff02::12"] {
        let from = source.parse().unwrap();
        add("B-27", source, Some(Rung::Source), &|f| f.source = from);
    }
    add("RX-6", "to the group", Some(Rung::Destination), &|f| {
        (f.source, f.destination) = ("fe80::1".parse().unwrap(), "ff02::12".parse().unwrap());
    });
    let other = "2001:db8::3".parse().unwrap();
    add("RX-6", "to another router", Some(Rung::Destination), &|f| f.destination = other);
    let mut of_group = Frame6::new(hex(G7));
    of_group.destination = OWN6.parse().unwrap();
    let bytes = of_group.bytes();
    list.add("PKT-38", "IPv6: checksum with the group", Listener::Unicast6, bytes, Some(Rung::Checksum));
}

fn signed(list: &mut List) {
    let source = Ipv4Addr::new(192, 0, 2, 1).into();
    let mut add = |id, what: &str, message: Vec<u8>, trailer: &[u8], falls_at| {
        let frame = Frame::new([&message[..], trailer].concat()).bytes();
        list.add(id, what, Listener::Signed, frame, falls_at);
    };
    let vector = hex(TRAILER);
    add("none", "the vector of PKT-50", hex(G5), &vector, None);
    add("none", "message only, same signature", summed(hex(G5)), &vector, None);
    let by_nine = sign(&KEYS[1], source, &hex(G5), "0000 6553f103 0000 0001");
    add("none", "another key of ours", hex(G5), &by_nine, None);
    add("B-59", "no trailer", hex(G5), &[], Some(Rung::HmacMissing));
    let other = HmacKey { id: 1, secret: [7; 32].as_slice().try_into().unwrap() };
    let wrong_key = sign(&other, source, &hex(G5), "0000 6553f100 8000 0000");
    add("B-59", "wrong key", hex(G5), &wrong_key, Some(Rung::HmacInvalid));
    let unknown = HmacKey { id: 2, ..KEYS[0].clone() };
    let unknown = sign(&unknown, source, &hex(G5), "0000 6553f100 8000 0000");
    add("B-59", "unknown key", hex(G5), &unknown, Some(Rung::HmacKey));
    let reserved = sign(&KEYS[0], source, &hex(G5), "0001 6553f100 8000 0000");
    add("B-59", "reserved != 0, well signed", hex(G5), &reserved, Some(Rung::HmacInvalid));
    for (what, at) in [("type 2", 0), ("another second", 7), ("another counter", 11), ("last byte", 27)] {
        let mut trailer = vector.clone();
        trailer[at] ^= 3;
        add("B-59", what, hex(G5), &trailer, Some(Rung::HmacInvalid));
    }
    add("B-59", "all zero", hex(G5), &[0; 28], Some(Rung::HmacInvalid));
    for (what, trailer) in [
        ("a byte short", &vector[..27]),
        ("a byte long", &[&vector[..], &[0]].concat()),
        ("twice", &vector.repeat(2)),
    ] {
        add("B-59", what, hex(G5), trailer, Some(Rung::Length));
    }
    let mut better = hex(G5);
    better[2] = 254;
    add("B-59", "another priority", pseudo_summed(better), &vector, Some(Rung::HmacInvalid));
    let mut damaged = hex(G5);
    damaged[7] ^= 1;
    add("B-35", "well signed, bad checksum", damaged, &vector, Some(Rung::Checksum));
    let zero = pseudo_summed(hex("310d6401 00000000 c0000267"));
    let trailer = sign(&KEYS[0], source, &zero, "0000 6553f100 8000 0000");
    add("B-48", "well signed, interval 0", zero, &trailer, Some(Rung::Interval));
    let none = pseudo_summed(hex("310d6400 00640000"));
    let trailer = sign(&KEYS[0], source, &none, "0000 6553f100 8000 0000");
    add("B-4", "well signed, count 0", none, &trailer, Some(Rung::Count));
    let mut elsewhere = Frame::new([summed(hex(G5)), vector].concat());
    elsewhere.source = Ipv4Addr::new(192, 0, 2, 9);
    let bytes = elsewhere.bytes();
    list.add("B-59", "from another address", Listener::Signed, bytes, Some(Rung::HmacInvalid));
}

fn signed_v2(list: &mut List) {
    let source = Ipv4Addr::new(192, 0, 2, 1).into();
    let g1 = hex(crate::catalogue::G1);
    let trailer = sign(&KEYS[0], source, &g1, "0000 6553f100 8000 0000");
    let mut add = |id, what: &str, message: &[u8], falls_at| {
        let frame = Frame::new([message, &trailer].concat()).bytes();
        list.add(id, what, Listener::SignedV2, frame, falls_at);
    };
    add("none", "G1, signed", &g1, None);
    let password = summed(hex("21336401 01010000 c0000264 31313131 00000000"));
    add("B-39", "signed, and a password", &password, Some(Rung::AuthType));
    let bare = Frame::new(g1.clone()).bytes();
    list.add("B-59", "no trailer", Listener::SignedV2, bare, Some(Rung::HmacMissing));
}

fn signed6(list: &mut List) {
    let frame = Frame6::new(hex(G7));
    let trailer = sign(&KEYS[0], frame.source.into(), &frame.message, "0000 6553f100 8000 0000");
    let mut add = |id, what: &str, frame: Frame6, falls_at| {
        list.add(id, &format!("IPv6: {what}"), Listener::Signed6, frame.bytes(), falls_at);
    };
    let with = |trailer: &[u8]| Frame6::new([hex(G7), trailer.to_vec()].concat());
    add("none", "checksum over the trailer, too", with(&trailer).sum(), None);
    add("B-59", "checksum of the message", with(&trailer), Some(Rung::Checksum));
    add("B-59", "no trailer", frame, Some(Rung::HmacMissing));
    let mut damaged = trailer.clone();
    damaged[20] ^= 1;
    add("B-59", "damaged", with(&damaged).sum(), Some(Rung::HmacInvalid));
    add("B-59", "the trailer of IPv4", with(&hex(TRAILER)).sum(), Some(Rung::HmacInvalid));
}

/// A trailer by PKT-50; `middle` is everything between the key id and the code, in hex.
fn sign(key: &HmacKey, source: IpAddr, message: &[u8], middle: &str) -> Vec<u8> {
    let (family, address) = match source {
        IpAddr::V4(v4) => (4, [&v4.octets()[..], &[0; 12]].concat()),
        IpAddr::V6(v6) => (6, v6.octets().to_vec()),
    };
    let head = [vec![1, key.id], hex(middle)].concat();
    let mut unsummed = message.to_vec();
    unsummed[6..8].fill(0);
    let signed =
        [&[family, message[0] >> 4, message[1], 0], &address[..], &unsummed, &head, &[0; 16]].concat();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key.secret).unwrap();
    mac.update(&signed);
    [head, mac.finalize().into_bytes()[..16].to_vec()].concat()
}
