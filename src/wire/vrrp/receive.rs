//! The way in: two doors, one ladder.

use super::super::ip::{self, Datagram};
use super::super::{checksum, rung::Rung};
use super::hmac::{self, HmacKey, Signature};
use super::{
    AUTH_NONE, AUTH_PASS, CENTISECONDS_MAX, ChecksumForm, Family, HEADER_LEN, TYPE_ADVERT, Version,
    checksum_coverage, is_equal_in_constant_time,
};
use crate::time::Duration;
use core::slice;
use std::net::IpAddr;

/// A frame of protocol 112 whose link and IP layer are in order, and of whose message eight bytes can be
/// read. Nothing in the message is trusted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    datagram: Datagram<'a>,
    header: [u8; 8],
}

/// What an instance wants to see in an advert.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Expect<'a> {
    /// Its version.
    pub version: Version,
    /// Its family.
    pub family: Family,
    /// Its virtual router id.
    pub vrid: u8,
    /// Its multicast group, or its own unicast address.
    pub destination: IpAddr,
    /// Lowest and highest TTL or hop limit: 255 and 255 for a group, those of the peer for unicast (RX-7).
    pub hops: (u8, u8),
    /// How its adverts are authenticated.
    pub authentication: ExpectAuth<'a>,
    /// Its own interval.
    pub advert_interval: Duration,
    /// An advert may be without addresses, as its own are (PKT-14); otherwise it is ignored (RX-15).
    pub may_be_empty: bool,
}

/// How the adverts of an instance are authenticated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ExpectAuth<'a> {
    /// Not at all.
    None,
    /// v2: the password, padded with zeros (PKT-4). v3 has none: it is ignored.
    Pass([u8; 8]),
    /// By keepalived's trailer (PKT-50).
    Hmac {
        /// Any of them is accepted.
        keys: &'a [HmacKey],
        /// Drop what is not signed well, or else accept it and tell why ([`Advert::hmac_fault`]).
        is_strict: bool,
    },
}

/// A valid advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advert<'a> {
    /// Priority of its sender; 0: it resigns.
    pub priority: u8,
    /// Interval of its sender. v2: always our own.
    pub interval: Duration,
    /// v3: the sender's interval is not ours (RX-17).
    pub interval_differs: bool,
    /// Which checksum matched (PKT-35); v2: always the message alone.
    pub checksum_form: ChecksumForm,
    /// IP source.
    pub source: IpAddr,
    /// Ethernet source; zeros where the device has none.
    pub source_mac: [u8; 6],
    /// What its HMAC trailer tells; `None` where none is expected, or where it is not signed well.
    pub signature: Option<Signature>,
    /// Why it is not signed well, where HMAC is expected and not demanded.
    pub hmac_fault: Option<Rung>,
    addresses: List<'a>,
}

/// The addresses as they stand in the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List<'a> {
    V4(&'a [[u8; 4]]),
    V6(&'a [[u8; 16]]),
}

/// First door: SOCK-12, RX-1 to RX-5 and RX-8, on a whole frame from the destination MAC. A frame that the
/// kernel cut (MSG_TRUNC) need not come here: it is [`Rung::Truncated`].
pub fn open(frame: &[u8]) -> Result<Envelope<'_>, Rung> {
    let datagram = ip::strip(frame)?;
    let header = *datagram.payload.first_chunk::<HEADER_LEN>().ok_or(Rung::Length)?;
    Ok(Envelope { datagram, header })
}

/// Second door: RX-6, RX-7 and RX-9 to RX-16, in that order. RX-17 is told by [`Advert::interval_differs`].
pub fn check<'a>(envelope: &Envelope<'a>, expect: &Expect<'_>) -> Result<Advert<'a>, Rung> {
    let Envelope { datagram, header } = *envelope;
    let [_, vrid, priority, count, fifth, sixth, _, _] = header;
    let (family, version) = (expect.family, expect.version);
    if envelope.family() != family || datagram.destination != expect.destination {
        return Err(Rung::Destination);
    }
    let (lowest, highest) = expect.hops;
    if datagram.hops < lowest || datagram.hops > highest {
        return Err(Rung::Ttl);
    }
    // v2 is IPv4's alone (B-31).
    if envelope.version() != version.number() || (version, family) == (Version::V2, Family::V6) {
        return Err(Rung::Version);
    }
    if envelope.packet_type() != TYPE_ADVERT {
        return Err(Rung::Type);
    }
    if vrid != expect.vrid {
        return Err(Rung::UnknownVrid);
    }
    let (message, trailer) = split_trailer(&datagram, expect, count).ok_or(Rung::Length)?;
    let checksum_form = matching_checksum(&datagram, message.len(), version).ok_or(Rung::Checksum)?;
    let (addresses, data) = message
        .get(HEADER_LEN..)
        .and_then(|body| body.split_at_checked(usize::from(count) * family.address_len()))
        .ok_or(Rung::Length)?;
    let interval = match version {
        Version::V2 => {
            check_password(fifth, data, expect.authentication)?;
            Duration::from_secs(u64::from(sixth))
        }
        // The reserved nibble is not ours to judge (PKT-10).
        Version::V3 => centiseconds(u16::from_be_bytes([fifth, sixth]) & CENTISECONDS_MAX),
    };
    let (signature, hmac_fault) = match expect.authentication {
        ExpectAuth::None | ExpectAuth::Pass(_) => (None, None),
        ExpectAuth::Hmac { keys, is_strict } => match hmac::verify(keys, datagram.source, message, trailer) {
            Ok(signature) => (Some(signature), None),
            Err(rung) if is_strict => return Err(rung),
            Err(rung) => (None, Some(rung)),
        },
    };
    if count == 0 && !expect.may_be_empty {
        return Err(Rung::Count);
    }
    let interval_differs = interval != expect.advert_interval;
    let is_acceptable = match version {
        Version::V2 => !interval_differs,
        Version::V3 => true,
    };
    if interval == Duration::ZERO || !is_acceptable {
        return Err(Rung::Interval);
    }
    Ok(Advert {
        priority,
        interval,
        interval_differs,
        checksum_form,
        source: datagram.source,
        source_mac: datagram.source_mac,
        signature,
        hmac_fault,
        addresses: match family {
            Family::V4 => List::V4(addresses.as_chunks().0),
            Family::V6 => List::V6(addresses.as_chunks().0),
        },
    })
}

impl<'a> Envelope<'a> {
    /// Family of the IP header, and so of the addresses (PKT-12).
    pub const fn family(&self) -> Family {
        Family::of(self.datagram.source)
    }

    /// Version nibble, whatever it is.
    pub const fn version(&self) -> u8 {
        let [version_type, ..] = self.header;
        version_type >> 4
    }

    /// Type nibble, whatever it is.
    pub const fn packet_type(&self) -> u8 {
        let [version_type, ..] = self.header;
        version_type & 0x0f
    }

    /// Virtual router id; 0 is never configured (RX-11).
    pub const fn vrid(&self) -> u8 {
        let [_, vrid, ..] = self.header;
        vrid
    }

    /// IP source.
    pub const fn source(&self) -> IpAddr {
        self.datagram.source
    }

    /// IP destination, of the same family.
    pub const fn destination(&self) -> IpAddr {
        self.datagram.destination
    }

    /// Time to live or hop limit.
    pub const fn hops(&self) -> u8 {
        self.datagram.hops
    }

    /// Ethernet source; zeros where the device has none.
    pub const fn source_mac(&self) -> [u8; 6] {
        self.datagram.source_mac
    }

    /// The VRRP message and what follows it, at least eight bytes, without Ethernet's padding.
    pub const fn message(&self) -> &'a [u8] {
        self.datagram.payload
    }

    /// Is this CARP (OpenBSD, pfSense), which shares protocol number, group and first byte? A CARP router
    /// whose id is our VRID fights us for the virtual MAC (RX-32). It fails at [`Rung::Length`] or earlier:
    /// no VRRP message has 36 bytes and a count of 7.
    pub fn looks_like_carp(&self) -> bool {
        matches!(self.header, [0x21, _, _, 7, ..]) && self.datagram.payload.len() == 36
    }
}

impl<'a> Advert<'a> {
    /// The addresses, in the order of the packet. Not judged (RX-19): any bytes may be in them.
    pub fn addresses(&self) -> Addresses<'a> {
        Addresses(match self.addresses {
            List::V4(list) => Iter::V4(list.iter()),
            List::V6(list) => Iter::V6(list.iter()),
        })
    }

    /// How many addresses, 1..=255.
    pub const fn count(&self) -> usize {
        match self.addresses {
            List::V4(list) => list.len(),
            List::V6(list) => list.len(),
        }
    }
}

/// Iterator over the addresses of an advert, all of one family.
#[derive(Debug, Clone)]
pub struct Addresses<'a>(Iter<'a>);

#[derive(Debug, Clone)]
enum Iter<'a> {
    V4(slice::Iter<'a, [u8; 4]>),
    V6(slice::Iter<'a, [u8; 16]>),
}

impl Iterator for Addresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        match &mut self.0 {
            Iter::V4(list) => list.next().map(|octets| IpAddr::from(*octets)),
            Iter::V6(list) => list.next().map(|octets| IpAddr::from(*octets)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Iter::V4(list) => list.size_hint(),
            Iter::V6(list) => list.size_hint(),
        }
    }
}

impl ExactSizeIterator for Addresses<'_> {}

/// Message and HMAC trailer, which is empty where there is none; `None` where the length is neither that of
/// the one nor of both (RX-12). Who expects no trailer drops a message with one (PKT-51).
fn split_trailer<'a>(
    datagram: &Datagram<'a>,
    expect: &Expect<'_>,
    count: u8,
) -> Option<(&'a [u8], &'a [u8])> {
    let message_len = expect.version.message_len(expect.family, count);
    let (message, trailer) = datagram.payload.split_at_checked(message_len)?;
    let is_whole = match expect.authentication {
        ExpectAuth::None | ExpectAuth::Pass(_) => trailer.is_empty(),
        ExpectAuth::Hmac { .. } => trailer.is_empty() || trailer.len() == hmac::TRAILER_LEN,
    };
    is_whole.then_some((message, trailer))
}

/// Which form of checksum this message carries (RX-13, PKT-2, PKT-30, PKT-35); `None`: none that its version
/// and family have.
fn matching_checksum(datagram: &Datagram<'_>, message_len: usize, version: Version) -> Option<ChecksumForm> {
    let family = Family::of(datagram.source);
    let covered = datagram.payload.get(..checksum_coverage(family, message_len, datagram.payload.len()))?;
    let length = u16::try_from(covered.len()).ok()?;
    let is_valid = |start| checksum::is_valid(checksum::sum(start, covered));
    let with_pseudo_header = || {
        let start = checksum::pseudo_header(datagram.source, datagram.destination, ip::PROTOCOL, length);
        is_valid(start).then_some(ChecksumForm::PseudoHeader)
    };
    let alone = || is_valid(0).then_some(ChecksumForm::MessageOnly);
    match (version, family) {
        (Version::V2, Family::V4 | Family::V6) => alone(),
        (Version::V3, Family::V4) => with_pseudo_header().or_else(alone),
        (Version::V3, Family::V6) => with_pseudo_header(),
    }
}

/// RX-14. Without a password the data is ignored (PKT-3).
fn check_password(auth_type: u8, data: &[u8], expected: ExpectAuth<'_>) -> Result<(), Rung> {
    match (auth_type, expected) {
        (AUTH_NONE, ExpectAuth::None | ExpectAuth::Hmac { .. }) => Ok(()),
        (AUTH_PASS, ExpectAuth::Pass(password)) => {
            if is_equal_in_constant_time(data, &password) {
                Ok(())
            } else {
                Err(Rung::AuthFailed)
            }
        }
        (_, ExpectAuth::None | ExpectAuth::Pass(_) | ExpectAuth::Hmac { .. }) => Err(Rung::AuthType),
    }
}

fn centiseconds(count: u16) -> Duration {
    Duration::from_millis(u64::from(count) * 10)
}

#[cfg(test)]
mod tests {
    use super::super::golden::{self, ALL, FRAMES, G9, G12, bytes, frame};
    use super::*;

    /// As a sender of IPv4 does: over the message alone, its own field read as zero.
    fn fill_checksum(message: &mut [u8]) {
        message[6..8].fill(0);
        let sum = checksum::finish(checksum::sum(0, message));
        message[6..8].copy_from_slice(&sum.to_be_bytes());
    }

    #[test]
    fn golden_vectors_are_taken_apart() {
        for golden in &ALL {
            let frame = golden.frame();
            let envelope = open(&frame).expect(golden.name);
            assert_eq!(envelope.version(), golden.version.number(), "{}", golden.name);
            assert_eq!(envelope.packet_type(), 1, "{}", golden.name);
            assert_eq!(envelope.vrid(), golden.vrid, "{}", golden.name);
            assert_eq!(envelope.family(), golden.family(), "{}", golden.name);
            assert_eq!(envelope.source(), golden.source, "{}", golden.name);
            assert_eq!(envelope.destination(), golden.destination, "{}", golden.name);
            assert_eq!(envelope.hops(), 255, "{}", golden.name);
            assert_eq!(envelope.source_mac(), [2, 0, 0, 0, 0, 1], "{}", golden.name);
            assert_eq!(envelope.message(), bytes(golden.message), "{}", golden.name);
            assert!(!envelope.looks_like_carp(), "{}", golden.name);
        }
    }

    #[test]
    fn golden_vectors_parse_to_what_they_say() {
        for golden in ALL.iter().chain([&G9]) {
            let frame = golden.frame();
            let advert = open(&frame).and_then(|e| check(&e, &golden.expect())).expect(golden.name);
            assert_eq!(advert.priority, golden.priority, "{}", golden.name);
            assert_eq!(advert.interval, golden.interval, "{}", golden.name);
            assert!(!advert.interval_differs, "{}: RX-17", golden.name);
            assert_eq!(advert.checksum_form, golden.form, "{}: PKT-35", golden.name);
            assert_eq!(advert.source, golden.source, "{}", golden.name);
            assert_eq!(advert.source_mac, [2, 0, 0, 0, 0, 1], "{}", golden.name);
            assert_eq!(advert.count(), golden.addresses.len(), "{}", golden.name);
            assert!(advert.addresses().eq(golden.addresses.iter().copied()), "{}", golden.name);
        }
    }

    #[test]
    fn keepalived_frames_are_accepted() {
        for (golden, _, headers) in &FRAMES {
            let frame = [bytes(headers), bytes(golden.message)].concat();
            let advert = open(&frame).and_then(|e| check(&e, &golden.expect()));
            assert!(advert.is_ok(), "{} as captured: {advert:?}", golden.name);
        }
    }

    /// Without a rung for every field, some flip would get through.
    #[test]
    fn a_single_flipped_bit_is_noticed() {
        for golden in &ALL {
            let mut frame = golden.frame();
            for bit in 14 * 8..frame.len() * 8 {
                frame[bit / 8] ^= 1 << (bit % 8);
                let result = open(&frame).and_then(|e| check(&e, &golden.expect()));
                // Traffic class and flow label of IPv6 are in no checksum, and mean nothing here.
                let is_class_or_label = (14 * 8..18 * 8).contains(&bit) && !(116..120).contains(&bit);
                let is_no_matter = golden.family() == Family::V6 && is_class_or_label;
                assert!(result.is_err() || is_no_matter, "{}: bit {bit} flipped: {result:?}", golden.name);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    /// Everything is wrong at first; each step repairs the rung that was named. The order is that of §1.7.
    #[test]
    fn the_ladder_is_climbed_in_order() {
        let golden = &ALL[1]; // G2, with a password
        let good = golden.message;
        let steps = [
            ("224.0.0.99", 1, "2109 6400 ff09 0000 31313131 00000000 00", Rung::Destination, "RX-6"),
            ("224.0.0.18", 1, "2209 6400 ff09 0000 31313131 00000000 00", Rung::Ttl, "RX-7"),
            ("224.0.0.18", 255, "3209 6400 ff09 0000 31313131 00000000 00", Rung::Version, "RX-9"),
            ("224.0.0.18", 255, "2209 6400 ff09 0000 31313131 00000000 00", Rung::Type, "RX-10"),
            ("224.0.0.18", 255, "2109 6400 ff09 0000 31313131 00000000 00", Rung::UnknownVrid, "RX-11"),
            ("224.0.0.18", 255, "210b 6400 ff09 0000 31313132 00000000 00", Rung::Length, "RX-12"),
            ("224.0.0.18", 255, "210b 6400 ff09 0001 31313132 00000000", Rung::Checksum, "RX-13"),
            ("224.0.0.18", 255, "210b 6400 ff09 0000 31313132 00000000", Rung::AuthType, "RX-14"),
            ("224.0.0.18", 255, "210b 6400 0109 0000 31313132 00000000", Rung::AuthFailed, "RX-14, PKT-5"),
            ("224.0.0.18", 255, "210b 6400 0109 0000 31313131 00000000", Rung::Count, "RX-15, PKT-14"),
            (
                "224.0.0.18",
                255,
                "210b 6401 0109 0000 c0000265 31313131 00000000",
                Rung::Interval,
                "RX-16, PKT-6",
            ),
        ];
        for (destination, ttl, message, rung, id) in steps {
            let mut message = bytes(message);
            if message[6..8] == [0, 0] {
                fill_checksum(&mut message);
            }
            let mut frame = frame(golden.source, destination.parse().unwrap(), &message);
            frame[14 + 8] = ttl;
            frame[14 + 10..14 + 12].fill(0);
            let sum = checksum::finish(checksum::sum(0, &frame[14..34]));
            frame[14 + 10..14 + 12].copy_from_slice(&sum.to_be_bytes());
            let result = open(&frame).and_then(|e| check(&e, &golden.expect()));
            assert_eq!(result, Err(rung), "{id}: {message:02x?}");
        }
        let frame = frame(golden.source, golden.destination, &bytes(good));
        assert!(open(&frame).and_then(|e| check(&e, &golden.expect())).is_ok(), "and the top can be reached");
    }

    /// Whoever has no address of his own may take an advert without one, and nothing else about it changes.
    #[test]
    fn pkt_14_an_advert_without_addresses_is_valid_where_it_is_asked_for() {
        let golden = &ALL[1]; // G2, "1111"
        let judge = |message: &str, expect: &Expect<'_>| {
            let mut message = bytes(message);
            fill_checksum(&mut message);
            let frame = frame(golden.source, golden.destination, &message);
            open(&frame).and_then(|e| check(&e, expect)).map(|advert| (advert.priority, advert.count()))
        };
        let v2 = Expect { may_be_empty: true, ..golden.expect() };
        assert_eq!(judge("210b 6400 0101 0000 31313131 00000000", &v2), Ok((100, 0)));
        assert_eq!(judge("210b 6400 0101 0000 31313132 00000000", &v2), Err(Rung::AuthFailed));
        assert_eq!(judge("210b 6401 0101 0000 c0000265 31313131 00000000", &v2), Ok((100, 1)));
        let v3 = Expect { version: Version::V3, authentication: ExpectAuth::None, ..v2 };
        assert_eq!(judge("310b 6400 0384 0000", &v3), Ok((100, 0)));
        let v3 = Expect { may_be_empty: false, ..v3 };
        assert_eq!(judge("310b 6400 0384 0000", &v3), Err(Rung::Count));
    }

    /// What stands behind a NUL counts, too; and the answer does not come earlier for a wrong first byte, as
    /// all eight are looked at.
    #[test]
    fn pkt_5_a_password_is_eight_bytes_and_no_string() {
        let golden = &ALL[1]; // G2, "1111"
        let judge = |data: [u8; 8]| {
            let mut message = bytes(golden.message);
            let at = message.len() - 8;
            message[at..].copy_from_slice(&data);
            fill_checksum(&mut message);
            let frame = frame(golden.source, golden.destination, &message);
            open(&frame).and_then(|e| check(&e, &golden.expect())).map(drop)
        };
        assert_eq!(judge(*b"1111\0\0\0\0"), Ok(()), "PKT-4: padded with zeros");
        for at in 0..8 {
            let mut data = *b"1111\0\0\0\0";
            data[at] ^= 0x80;
            assert_eq!(judge(data), Err(Rung::AuthFailed), "PKT-5: byte {at} counts");
        }
    }

    #[test]
    fn rx_17_another_v3_interval_is_accepted_and_told() {
        let golden = &ALL[3]; // G4
        let expect = Expect { advert_interval: Duration::from_millis(10), ..golden.expect() };
        let frame = golden.frame();
        let advert = open(&frame).and_then(|e| check(&e, &expect)).expect("RX-17 accepts");
        assert!(advert.interval_differs, "the engine counts it");
        assert_eq!(advert.interval, Duration::from_secs(1), "and learns the sender's");
    }

    #[test]
    fn rx_32_carp_is_recognised() {
        let carp = [bytes("21330007 c0010000"), vec![0x5a; 28]].concat();
        let frame = frame(golden::ALL[0].source, golden::ALL[0].destination, &carp);
        let envelope = open(&frame).expect("its IP layer is in order");
        assert!(envelope.looks_like_carp(), "RX-32");
        assert_eq!(check(&envelope, &golden::ALL[0].expect()), Err(Rung::Length), "RX-32: falls at RX-12");
    }

    #[test]
    fn g12_ah_has_a_rung_of_its_own() {
        assert_eq!(open(&bytes(G12)).err(), Some(Rung::Ah), "PKT-7: the status screen can advise");
    }

    fn v6_golden() -> &'static golden::Golden {
        ALL.iter().find(|g| g.name == "G7").unwrap()
    }

    #[test]
    fn b_31_v2_inside_ipv6_is_refused() {
        let g7 = v6_golden();
        let mut message = bytes(ALL[0].message);
        message[1] = g7.vrid;
        let frame = frame(g7.source, g7.destination, &message);
        let envelope = open(&frame).expect("its IP layer is in order");
        assert_eq!(check(&envelope, &g7.expect()).err(), Some(Rung::Version), "B-31");
        let v2 = Expect { version: Version::V2, ..g7.expect() };
        assert_eq!(check(&envelope, &v2).err(), Some(Rung::Version), "B-31: nobody can ask for it, either");
    }

    #[test]
    fn b_38_ipv6_without_pseudo_header_is_refused() {
        let g7 = v6_golden();
        let mut message = bytes(g7.message);
        fill_checksum(&mut message);
        let frame = frame(g7.source, g7.destination, &message);
        let result = open(&frame).and_then(|e| check(&e, &g7.expect()));
        assert_eq!(result.err(), Some(Rung::Checksum), "PKT-30, B-38");
    }

    #[test]
    fn b_68_the_families_do_not_hear_each_other() {
        let (g4, g7) = (&ALL[3], v6_golden());
        for (sent, asked) in [(g4, g7), (g7, g4)] {
            let expect = Expect { vrid: sent.vrid, ..asked.expect() };
            let frame = sent.frame();
            let envelope = open(&frame).expect(sent.name);
            assert_eq!(
                check(&envelope, &expect).err(),
                Some(Rung::Destination),
                "B-68, FSM-4: {}",
                sent.name
            );
        }
    }

    #[test]
    fn pkt_50_without_strictness_everything_else_is_still_judged() {
        let golden = &ALL[4]; // G5
        let trailer = bytes("01010000 6553f100 80000000 41c4ddfe96154487 0e6d11f3431f2d6c");
        let keys = [HmacKey { id: 1, secret: (0..32).collect() }];
        let lenient = ExpectAuth::Hmac { keys: &keys, is_strict: false };
        let strict = ExpectAuth::Hmac { keys: &keys, is_strict: true };
        let judge = |trailer: &[u8], authentication| {
            let frame = frame(golden.source, golden.destination, &[&bytes(golden.message), trailer].concat());
            let advert = open(&frame).and_then(|e| check(&e, &Expect { authentication, ..golden.expect() }));
            advert.map(|a| (a.signature.is_some(), a.hmac_fault))
        };
        assert_eq!(judge(&trailer, strict), Ok((true, None)), "the vector");
        assert_eq!(judge(&trailer, lenient), Ok((true, None)), "the vector");
        let mut bad = trailer.clone();
        bad[27] ^= 1;
        let cases = [(&[][..], Rung::HmacMissing), (&bad, Rung::HmacInvalid)];
        for (trailer, rung) in cases {
            assert_eq!(judge(trailer, strict), Err(rung), "enforce drops it");
            assert_eq!(judge(trailer, lenient), Ok((false, Some(rung))), "permissive counts it");
        }
        for authentication in [strict, lenient] {
            assert_eq!(judge(&trailer[..27], authentication), Err(Rung::Length), "RX-12: neither length");
            assert_eq!(judge(&[&trailer[..], &[0]].concat(), authentication), Err(Rung::Length), "RX-12");
        }
    }
}
