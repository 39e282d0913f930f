//! The ladder on which a received packet is judged (protocols §1.7): one reason for each way to fall off it.

/// The check that a packet failed. In the order of the ladder; a packet fails at the first one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rung {
    /// The frame holds less than its headers say (RX-2), or the kernel cut it (B-67; the caller sees that).
    Truncated,
    /// A VLAN tag: it belongs to another interface (SOCK-12).
    Vlan,
    /// Not IPv4, or not protocol 112 (AH is 51).
    NotVrrp,
    /// The IPv4 header is no IPv4 header (RX-1), or its total length ends inside it (RX-2).
    IpHeader,
    /// A fragment (RX-3).
    Fragment,
    /// IPv4 header checksum (RX-4).
    IpChecksum,
    /// The source cannot be a router's address (RX-5).
    Source,
    /// Not to the group of the instance (RX-6).
    Destination,
    /// TTL is not 255 (RX-7).
    Ttl,
    /// Not the version of the instance (RX-9).
    Version,
    /// Not an advertisement (RX-10).
    Type,
    /// No such virtual router here (RX-11).
    UnknownVrid,
    /// Length is not what version and count demand (RX-2, RX-8, RX-12); CARP and HMAC trailers end here.
    Length,
    /// VRRP checksum (RX-13).
    Checksum,
    /// Authentication type unknown, or not ours (RX-14).
    AuthType,
    /// Wrong password (RX-14).
    AuthFailed,
    /// No address in it (RX-15).
    Count,
    /// v2: not our interval; v3: zero (RX-16).
    Interval,
}

impl Rung {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of [`Rung::index`].
    pub const ALL: [Rung; 18] = [
        Rung::Truncated,
        Rung::Vlan,
        Rung::NotVrrp,
        Rung::IpHeader,
        Rung::Fragment,
        Rung::IpChecksum,
        Rung::Source,
        Rung::Destination,
        Rung::Ttl,
        Rung::Version,
        Rung::Type,
        Rung::UnknownVrid,
        Rung::Length,
        Rung::Checksum,
        Rung::AuthType,
        Rung::AuthFailed,
        Rung::Count,
        Rung::Interval,
    ];

    /// Place in a table of [`Rung::COUNT`] counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The counter's name: stable, for scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Rung::Truncated => "truncated",
            Rung::Vlan => "vlan",
            Rung::NotVrrp => "not_vrrp",
            Rung::IpHeader => "ip_header",
            Rung::Fragment => "fragment",
            Rung::IpChecksum => "ip_checksum",
            Rung::Source => "source",
            Rung::Destination => "destination",
            Rung::Ttl => "ttl",
            Rung::Version => "version",
            Rung::Type => "type",
            Rung::UnknownVrid => "unknown_vrid",
            Rung::Length => "length",
            Rung::Checksum => "checksum",
            Rung::AuthType => "auth_type",
            Rung::AuthFailed => "auth_failed",
            Rung::Count => "count",
            Rung::Interval => "interval",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_has_its_own_counter_and_name() {
        for (place, rung) in Rung::ALL.into_iter().enumerate() {
            assert_eq!(rung.index(), place, "{rung:?} would count into another rung's counter");
            let twins = Rung::ALL.into_iter().filter(|other| other.name() == rung.name()).count();
            assert_eq!(twins, 1, "{} names two rungs", rung.name());
        }
    }
}
