//! Ethernet and IP around a VRRP message: taken off on the way in, put on on the way out (protocols §1.3,
//! §1.7). What the two families have in common; the rest is in [`super::ipv4`] and [`super::ipv6`].

use super::rung::Rung;
use super::{ipv4, ipv6};
use std::net::IpAddr;

/// VRRP's IP protocol number and next header (RFC 9568 §5.1.1.4, §5.1.2.4).
pub const PROTOCOL: u8 = 112;
/// TTL or hop limit of an advert to a group, the only one accepted there (PKT-20).
pub const HOPS: u8 = 255;
/// Ethernet header, in bytes.
pub const ETHERNET_LEN: usize = 14;

/// DSCP CS6 (PKT-22), as TOS or traffic class.
pub(super) const TRAFFIC_CLASS: u8 = 0xc0;
/// The fixed part of a VRRP message (RX-8).
pub(super) const MESSAGE_LEN_MIN: usize = 8;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

/// What a frame carries, with what its headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Ethernet source; zeros where the device has none.
    pub source_mac: [u8; 6],
    /// IP source.
    pub source: IpAddr,
    /// IP destination, of the same family.
    pub destination: IpAddr,
    /// Time to live or hop limit, not judged yet.
    pub hops: u8,
    /// What follows the IP header and its options, cut to the length that the header tells.
    pub payload: &'a [u8],
}

/// Takes Ethernet and IP off a frame that starts at the destination MAC: SOCK-12 and RX-1 to RX-5, with the
/// eight payload bytes of RX-8. The MACs are not judged: they are zeros where the device has none. `Err` says
/// at which rung it failed.
pub fn strip(frame: &[u8]) -> Result<Datagram<'_>, Rung> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_LEN>().ok_or(Rung::Truncated)?;
    let [_, _, _, _, _, _, source_mac @ .., type_high, type_low] = *ethernet;
    match u16::from_be_bytes([type_high, type_low]) {
        ETHERTYPE_IPV4 => ipv4::strip(source_mac, packet),
        ETHERTYPE_IPV6 => ipv6::strip(source_mac, packet),
        ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN => Err(Rung::Vlan),
        _ => Err(Rung::NotVrrp),
    }
}

/// The Ethernet address of a multicast group (RFC 1112 §6.4, RFC 2464 §7).
pub const fn multicast_mac(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(group) => ipv4::multicast_mac(group),
        IpAddr::V6(group) => ipv6::multicast_mac(group),
    }
}

/// Ethernet header of a datagram to a multicast group.
pub(super) fn ethernet(source_mac: [u8; 6], group: IpAddr) -> [u8; ETHERNET_LEN] {
    let [a, b, c, d, e, f] = multicast_mac(group);
    let [g, h, i, j, k, l] = source_mac;
    let ethertype = match group {
        IpAddr::V4(_) => ETHERTYPE_IPV4,
        IpAddr::V6(_) => ETHERTYPE_IPV6,
    };
    let [y0, y1] = ethertype.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, y0, y1]
}
