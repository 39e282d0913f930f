//! The way in: two doors, one ladder.

use super::super::ipv4::{self, Datagram};
use super::super::{checksum, rung::Rung};
use super::{
    AUTH_LEN, AUTH_NONE, AUTH_PASS, CENTISECONDS_MAX, ChecksumForm, HEADER_LEN, TYPE_ADVERT, Version,
};
use crate::time::Duration;
use std::net::Ipv4Addr;

/// A frame of protocol 112 whose link and IP layer are in order, and of whose message eight bytes can be read.
/// Nothing in the message is trusted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    datagram: Datagram<'a>,
    header: [u8; HEADER_LEN],
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
    pub authentication: Option<[u8; AUTH_LEN]>,
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

/// First door: SOCK-12, RX-1 to RX-5 and RX-8, on a whole frame from the destination MAC. A frame that the kernel cut
/// (MSG_TRUNC) need not come here: it is [`Rung::Truncated`].
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

    /// Is this CARP (OpenBSD, pfSense), which shares protocol number, group and first byte? A CARP router whose id
    /// is our VRID fights us for the virtual MAC (RX-32). It fails at [`Rung::Length`] or earlier: no VRRP message
    /// has 36 bytes and a count of 7.
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
