//! VRRP adverts, version 2 over IPv4, version 3 over both families (RFC 3768, RFC 9568; `PKT-*`, `RX-*`).
//!
//! ```text
//!  0 version(4) type(4)=1 | 1 VRID | 2 priority | 3 count n
//!  4 v2: auth type, 5 seconds     v3: 4 reserved(4) centiseconds(12)
//!  6 checksum(2) | 8 addresses, 4n or 16n bytes | v2: 8 bytes of authentication data
//!  where configured: 28 bytes of HMAC trailer
//! ```
//!
//! A received frame goes through two doors, because the virtual router id must be known before it can be
//! judged: [`open`] takes the headers off, [`check`] holds the message against what the instance expects.
//! Both together are the ladder of protocols §1.7, and [`Rung`] says where a packet fell off it.

#[cfg(test)]
mod golden;
mod hmac;
mod receive;
mod transmit;

pub use super::rung::Rung;
pub use hmac::{HmacKey, Signature, Signer};
pub use receive::{Addresses, Advert, Envelope, Expect, ExpectAuth, check, open};
pub use transmit::{AdvertOut, AuthOut, max_addresses};

use core::fmt;

/// The group of VRRP over IPv4 where none is configured (RFC 9568 §5.1.1.2).
pub const GROUP: std::net::Ipv4Addr = std::net::Ipv4Addr::new(224, 0, 0, 18);

/// The fixed part of a message, in bytes.
pub(super) const HEADER_LEN: usize = 8;
/// v2 authentication data, in bytes; always there (PKT-1).
pub(super) const AUTH_LEN: usize = 8;
/// The only packet type: advertisement.
pub(super) const TYPE_ADVERT: u8 = 1;
/// v2 authentication types (PKT-3, PKT-4).
pub(super) const AUTH_NONE: u8 = 0;
pub(super) const AUTH_PASS: u8 = 1;
/// Largest v3 interval in centiseconds (PKT-11).
pub(super) const CENTISECONDS_MAX: u16 = 0x0fff;

/// Address family of an advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Family {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of an address.
    pub const fn of(address: core::net::IpAddr) -> Self {
        match address {
            core::net::IpAddr::V4(_) => Family::V4,
            core::net::IpAddr::V6(_) => Family::V6,
        }
    }

    /// Bytes of one address.
    pub(super) const fn address_len(self) -> usize {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }
}

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// RFC 3768 (IPv4, whole seconds).
    #[default]
    V2,
    /// RFC 9568 (IPv4 and IPv6, centiseconds).
    V3,
}

impl Version {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }

    /// Bytes after the last address.
    pub(super) const fn trailer_len(self) -> usize {
        match self {
            Version::V2 => AUTH_LEN,
            Version::V3 => 0,
        }
    }

    /// Length of a whole message with `count` addresses, in bytes (RX-12); without an HMAC trailer.
    pub(super) const fn message_len(self, family: Family, count: u8) -> usize {
        HEADER_LEN + family.address_len() * count as usize + self.trailer_len()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V2 => "2",
            Version::V3 => "3",
        })
    }
}

/// What a checksum covers. v2 has one form, the message alone (PKT-2), and so has IPv6, with its
/// pseudo-header (PKT-30); v3 over IPv4 is met in both (PKT-31 to PKT-34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChecksumForm {
    /// Pseudo-header and message: keepalived, FRR.
    #[default]
    PseudoHeader,
    /// The message alone: RFC 9568, Cisco, Juniper.
    MessageOnly,
}

/// How many bytes of the payload the checksum covers. An HMAC trailer is outside it over IPv4, and inside
/// over IPv6, where keepalived leaves the checksum to the kernel, which knows no trailer (PKT-50).
const fn checksum_coverage(family: Family, message_len: usize, payload_len: usize) -> usize {
    match family {
        Family::V4 => message_len,
        Family::V6 => payload_len,
    }
}

/// Takes as long for a wrong first byte as for a wrong last one (PKT-5).
fn is_equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |bits, (a, b)| core::hint::black_box(bits | (a ^ b)));
    a.len() == b.len() && differing == 0
}
