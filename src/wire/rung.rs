//! The ladder on which a received packet is judged (protocols §1.7): one reason for each way to fall off it.

/// The check that a packet failed. In the order of the ladder; a packet fails at the first one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rung {
    /// The frame holds less than its headers say (RX-2), or the kernel cut it (B-67; the caller sees that).
    Truncated,
    /// A VLAN tag: it belongs to another interface (SOCK-12).
    Vlan,
    /// Not IP, not protocol 112, or IPv6 with another header before it (RX-3).
    NotVrrp,
    /// IPv4 protocol 51: an authentication header, which we do not speak (PKT-7).
    Ah,
    /// The IP header is no IP header (RX-1), or its total length ends inside it (RX-2).
    IpHeader,
    /// A fragment (RX-3).
    Fragment,
    /// IPv4 header checksum (RX-4).
    IpChecksum,
    /// The source cannot be a router's address (RX-5).
    Source,
    /// Not to the group of the instance, or not to its own unicast address (RX-6).
    Destination,
    /// TTL or hop limit: to a group it must be 255, from a peer what was configured (RX-7).
    Ttl,
    /// Not the version of the instance (RX-9).
    Version,
    /// Not an advertisement (RX-10).
    Type,
    /// No such virtual router here (RX-11).
    UnknownVrid,
    /// Length is not what version and count demand (RX-2, RX-8, RX-12); CARP ends here, and so do HMAC
    /// trailers that nobody expects (PKT-51).
    Length,
    /// VRRP checksum (RX-13).
    Checksum,
    /// Authentication type unknown, or not ours (RX-14).
    AuthType,
    /// Wrong password (RX-14).
    AuthFailed,
    /// No HMAC trailer where one is demanded (PKT-50).
    HmacMissing,
    /// Signed with a key that we do not have (PKT-50).
    HmacKey,
    /// The HMAC trailer is malformed, or signs something else (PKT-50).
    HmacInvalid,
    /// No address in it (RX-15).
    Count,
    /// v2: not our interval; v3: zero (RX-16).
    Interval,
    /// Signed well, but too long ago, or in the future (PKT-50). The state that it takes to know is the
    /// engine's.
    HmacStale,
    /// Signed well, and heard before (PKT-50). As above.
    HmacReplay,
    /// Unicast: the sender is no configured peer (RX-18). As above.
    Peer,
    /// The address list is not ours, and the instance is strict (RX-19). As above.
    AddressList,
}

impl Rung {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of [`Rung::index`].
    pub const ALL: [Rung; 26] = [
        Rung::Truncated,
        Rung::Vlan,
        Rung::NotVrrp,
        Rung::Ah,
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
        Rung::HmacMissing,
        Rung::HmacKey,
        Rung::HmacInvalid,
        Rung::Count,
        Rung::Interval,
        Rung::HmacStale,
        Rung::HmacReplay,
        Rung::Peer,
        Rung::AddressList,
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
            Rung::Ah => "ah",
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
            Rung::HmacMissing => "hmac_missing",
            Rung::HmacKey => "hmac_key",
            Rung::HmacInvalid => "hmac_invalid",
            Rung::Count => "count",
            Rung::Interval => "interval",
            Rung::HmacStale => "hmac_stale",
            Rung::HmacReplay => "hmac_replay",
            Rung::Peer => "peer",
            Rung::AddressList => "address_list",
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
