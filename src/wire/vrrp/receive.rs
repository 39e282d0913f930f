//! The way in: two doors, one ladder.

use super::super::ipv4::{self, Datagram};
use super::super::{checksum, rung::Rung};
use super::{
    AUTH_LEN, AUTH_NONE, AUTH_PASS, CENTISECONDS_MAX, ChecksumForm, HEADER_LEN, TYPE_ADVERT, Version,
};
use crate::time::Duration;
use std::net::Ipv4Addr;

/// A frame of protocol 112 whose link and IP layer are in order, and of whose message eight bytes can be
/// read. Nothing in the message is trusted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    datagram: Datagram<'a>,
    header: [u8; 8],
}

/// What an instance wants to see in an advert.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Its version.
    pub version: Version,
    /// Its virtual router id.
    pub vrid: u8,
    /// Its multicast group.
    pub group: Ipv4Addr,
    /// v2: the password, padded with zeros (PKT-4); `None` for none. v3 has no authentication.
    pub authentication: Option<[u8; 8]>,
    /// Its own interval.
    pub advert_interval: Duration,
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
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// Ethernet source.
    pub source_mac: [u8; 6],
    addresses: &'a [[u8; 4]],
}

/// First door: SOCK-12, RX-1 to RX-5 and RX-8, on a whole frame from the destination MAC. A frame that the
/// kernel cut (MSG_TRUNC) need not come here: it is [`Rung::Truncated`].
pub fn open(frame: &[u8]) -> Result<Envelope<'_>, Rung> {
    let datagram = ipv4::strip(frame)?;
    let header = *datagram.payload.first_chunk::<HEADER_LEN>().ok_or(Rung::Length)?;
    Ok(Envelope { datagram, header })
}

/// Second door: RX-6, RX-7 and RX-9 to RX-16, in that order. RX-17 is told by [`Advert::interval_differs`].
pub fn check<'a>(envelope: &Envelope<'a>, expect: &Expect) -> Result<Advert<'a>, Rung> {
    let Envelope { datagram, header } = *envelope;
    let [_, vrid, priority, count, fifth, sixth, _, _] = header;
    if datagram.destination != expect.group {
        return Err(Rung::Destination);
    }
    if datagram.ttl != ipv4::TTL {
        return Err(Rung::Ttl);
    }
    if envelope.version() != expect.version.number() {
        return Err(Rung::Version);
    }
    if envelope.packet_type() != TYPE_ADVERT {
        return Err(Rung::Type);
    }
    if vrid != expect.vrid {
        return Err(Rung::UnknownVrid);
    }
    if datagram.payload.len() != expect.version.message_len(count) {
        return Err(Rung::Length);
    }
    let checksum_form = matching_checksum(&datagram, expect.version).ok_or(Rung::Checksum)?;
    let (addresses, trailer) = datagram
        .payload
        .get(HEADER_LEN..)
        .and_then(|body| body.split_at_checked(usize::from(count) * 4))
        .ok_or(Rung::Length)?;
    let interval = match expect.version {
        Version::V2 => {
            check_authentication(fifth, trailer, expect.authentication)?;
            Duration::from_secs(u64::from(sixth))
        }
        // The reserved nibble is not ours to judge (PKT-10).
        Version::V3 => centiseconds(u16::from_be_bytes([fifth, sixth]) & CENTISECONDS_MAX),
    };
    if count == 0 {
        return Err(Rung::Count);
    }
    let interval_differs = interval != expect.advert_interval;
    let is_acceptable = match expect.version {
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
        addresses: addresses.as_chunks().0,
    })
}

impl<'a> Envelope<'a> {
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

    /// IPv4 source.
    pub const fn source(&self) -> Ipv4Addr {
        self.datagram.source
    }

    /// IPv4 destination.
    pub const fn destination(&self) -> Ipv4Addr {
        self.datagram.destination
    }

    /// Time to live.
    pub const fn ttl(&self) -> u8 {
        self.datagram.ttl
    }

    /// Ethernet source.
    pub const fn source_mac(&self) -> [u8; 6] {
        self.datagram.source_mac
    }

    /// The VRRP message, at least eight bytes, without Ethernet's padding.
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
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = Ipv4Addr> + Clone + 'a {
        self.addresses.iter().map(|&octets| Ipv4Addr::from(octets))
    }

    /// How many addresses, 1..=255.
    pub const fn count(&self) -> usize {
        self.addresses.len()
    }
}

/// Which form of checksum this message carries (RX-13, PKT-2, PKT-35); `None`: neither.
fn matching_checksum(datagram: &Datagram<'_>, version: Version) -> Option<ChecksumForm> {
    let message = checksum::sum(0, datagram.payload);
    let with_pseudo_header = match version {
        Version::V2 => false,
        Version::V3 => {
            let length = u16::try_from(datagram.payload.len()).ok()?;
            let pseudo =
                checksum::pseudo_header(datagram.source, datagram.destination, ipv4::PROTOCOL, length);
            checksum::is_valid(checksum::sum(pseudo, datagram.payload))
        }
    };
    if with_pseudo_header {
        Some(ChecksumForm::PseudoHeader)
    } else if checksum::is_valid(message) {
        Some(ChecksumForm::MessageOnly)
    } else {
        None
    }
}

/// RX-14. Without authentication the data is ignored (PKT-3).
fn check_authentication(auth_type: u8, data: &[u8], expected: Option<[u8; AUTH_LEN]>) -> Result<(), Rung> {
    match (auth_type, expected) {
        (AUTH_NONE, None) => Ok(()),
        (AUTH_PASS, Some(password)) => {
            if is_equal_in_constant_time(data, &password) {
                Ok(())
            } else {
                Err(Rung::AuthFailed)
            }
        }
        (_, None | Some(_)) => Err(Rung::AuthType),
    }
}

/// Takes as long for a wrong first byte as for a wrong last one (PKT-5).
fn is_equal_in_constant_time(data: &[u8], password: &[u8; AUTH_LEN]) -> bool {
    let differing = data.iter().zip(password).fold(0, |bits, (a, b)| core::hint::black_box(bits | (a ^ b)));
    data.len() == AUTH_LEN && differing == 0
}

fn centiseconds(count: u16) -> Duration {
    Duration::from_millis(u64::from(count) * 10)
}

#[cfg(test)]
mod tests {
    use super::super::golden::{self, ALL, FRAMES, G9, bytes, frame};
    use super::*;

    #[test]
    fn golden_vectors_are_taken_apart() {
        for golden in &ALL {
            let frame = golden.frame();
            let envelope = open(&frame).expect(golden.name);
            assert_eq!(envelope.version(), golden.version.number(), "{}", golden.name);
            assert_eq!(envelope.packet_type(), 1, "{}", golden.name);
            assert_eq!(envelope.vrid(), golden.vrid, "{}", golden.name);
            assert_eq!(envelope.source(), golden.source, "{}", golden.name);
            assert_eq!(envelope.destination(), golden.destination, "{}", golden.name);
            assert_eq!(envelope.ttl(), 255, "{}", golden.name);
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
                assert!(result.is_err(), "{}: bit {bit} flipped: {result:?}", golden.name);
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
            ("224.0.0.99", 1, "2109 6400 ff09 0000 31313131 00000000 00", Rung::Destination),
            ("224.0.0.18", 1, "2209 6400 ff09 0000 31313131 00000000 00", Rung::Ttl),
            ("224.0.0.18", 255, "3209 6400 ff09 0000 31313131 00000000 00", Rung::Version),
            ("224.0.0.18", 255, "2209 6400 ff09 0000 31313131 00000000 00", Rung::Type),
            ("224.0.0.18", 255, "2109 6400 ff09 0000 31313131 00000000 00", Rung::UnknownVrid),
            ("224.0.0.18", 255, "210b 6400 ff09 0000 31313132 00000000 00", Rung::Length),
            ("224.0.0.18", 255, "210b 6400 ff09 0001 31313132 00000000", Rung::Checksum),
            ("224.0.0.18", 255, "210b 6400 ff09 0000 31313132 00000000", Rung::AuthType),
            ("224.0.0.18", 255, "210b 6400 0109 0000 31313132 00000000", Rung::AuthFailed),
            ("224.0.0.18", 255, "210b 6400 0109 0000 31313131 00000000", Rung::Count),
            ("224.0.0.18", 255, "210b 6401 0109 0000 c0000265 31313131 00000000", Rung::Interval),
        ];
        for (destination, ttl, message, rung) in steps {
            let mut message = bytes(message);
            if message[6..8] == [0, 0] {
                let sum = checksum::finish(checksum::sum(0, &message));
                message[6..8].copy_from_slice(&sum.to_be_bytes());
            }
            let mut frame = frame(golden.source, destination.parse().unwrap(), &message);
            frame[14 + 8] = ttl;
            frame[14 + 10..14 + 12].fill(0);
            let sum = checksum::finish(checksum::sum(0, &frame[14..34]));
            frame[14 + 10..14 + 12].copy_from_slice(&sum.to_be_bytes());
            let result = open(&frame).and_then(|e| check(&e, &golden.expect()));
            assert_eq!(result, Err(rung), "{message:02x?}");
        }
        let frame = frame(golden.source, golden.destination, &bytes(good));
        assert!(open(&frame).and_then(|e| check(&e, &golden.expect())).is_ok(), "and the top can be reached");
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
        let frame = frame(golden::ALL[0].source, super::super::GROUP, &carp);
        let envelope = open(&frame).expect("its IP layer is in order");
        assert!(envelope.looks_like_carp(), "RX-32");
        assert_eq!(check(&envelope, &golden::ALL[0].expect()), Err(Rung::Length), "RX-32: falls at RX-12");
    }
}
