//! Links and addresses of the kernel (`linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`;
//! RTNL-20..41).

use super::netlink::{
    AF_INET, AF_INET6, Attributes, Batch, Malformed, Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP,
    NLM_F_REPLACE, NLM_F_REQUEST, NoRoom,
};
use crate::limits;
use std::net::IpAddr;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_WIRELESS: u16 = 11;
const IFLA_EXT_MASK: u16 = 29;
/// Leave the counters out of a dump of links.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
/// `struct ifinfomsg`: family u8, pad u8, type u16, index s32, flags u32, change u32.
const IFINFOMSG_LEN: usize = 16;
const ARPHRD_ETHER: u16 = 1;
const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;
const IFF_NOARP: u32 = 0x80;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
/// `struct ifaddrmsg`: family u8, prefix length u8, flags u8, scope u8, index u32.
const IFADDRMSG_LEN: usize = 8;
const IFA_F_SECONDARY: u32 = 0x1;
const IFA_F_NODAD: u32 = 0x2;
const IFA_F_PERMANENT: u32 = 0x80;
const RT_SCOPE_UNIVERSE: u8 = 0;
const FOREVER: u32 = u32::MAX;

/// IFA_PROTO of every address that vipd puts on an interface: the IP protocol number of VRRP. Not 18, which
/// is keepalived's: the two must never take each other's addresses for their own (RTNL-33).
pub const PROTOCOL: u8 = 112;
/// The longest that [`emit_add_address`] and [`emit_remove_address`] make of one address.
pub const ADDRESS_MESSAGE_MAX: usize = 16 + IFADDRMSG_LEN + 20 + 20 + 20 + 8 + 8;
/// The bits of RTNLGRP_LINK 1, RTNLGRP_IPV4_IFADDR 5 and RTNLGRP_IPV6_IFADDR 9 in a bind (RTNL-1).
pub const GROUPS: u32 = 1 | 1 << 4 | 1 << 8;

/// What the kernel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// A link is there, or has changed.
    Link(Link<'a>),
    /// A link is gone, or has moved to another namespace (RTNL-41).
    LinkGone {
        /// Its index.
        index: u32,
    },
    /// An address is there, or has changed.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// Nothing that concerns us: another type (B-81), another family, a part of a link.
    Other,
}

/// A link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// Not zero.
    pub index: u32,
    /// At most 15 bytes; empty where it is not UTF-8.
    pub name: &'a str,
    /// IFF_UP: wanted up.
    pub up: bool,
    /// IFF_RUNNING: able to carry packets (RTNL-40).
    pub running: bool,
    /// IFF_NOARP.
    pub no_arp: bool,
    /// Where it is an Ethernet and the address has 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// In bytes.
    pub mtu: u32,
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Index of its link, not zero.
    pub index: u32,
    /// The address on our side.
    pub address: IpAddr,
    /// 0..=32 or 0..=128.
    pub prefix_len: u8,
    /// IFA_PROTO; kernels before 5.18 do not have it.
    pub protocol: Option<u8>,
    /// IFA_F_PERMANENT.
    pub permanent: bool,
    /// IFA_F_SECONDARY.
    pub secondary: bool,
    /// Seconds that are left; `None` = for ever.
    pub valid: Option<u32>,
}

/// Reads one message of the rtnetlink family.
///
/// # Errors
/// Cut, without an index, a name or an address, or with a value that cannot be (B-76..B-80).
pub fn parse<'a>(message: &Message<'a>) -> Result<Notice<'a>, Malformed> {
    match message.kind {
        RTM_NEWLINK => parse_link(message.payload, false),
        RTM_DELLINK => parse_link(message.payload, true),
        RTM_NEWADDR => Ok(parse_address(message.payload)?.map_or(Notice::Other, Notice::Address)),
        RTM_DELADDR => Ok(parse_address(message.payload)?.map_or(Notice::Other, Notice::AddressGone)),
        _ => Ok(Notice::Other),
    }
}

fn parse_link(payload: &[u8], gone: bool) -> Result<Notice<'_>, Malformed> {
    let Some(([family, _, type0, type1, i0, i1, i2, i3, f0, f1, f2, f3, ..], rest)) =
        payload.split_first_chunk::<IFINFOMSG_LEN>()
    else {
        return Err(Malformed::Short("ifinfomsg"));
    };
    // A bridge tells of its ports by the same types under AF_BRIDGE: a port that leaves is no link that is
    // gone.
    if *family != 0 {
        return Ok(Notice::Other);
    }
    let index = index([*i0, *i1, *i2, *i3])?;
    if gone {
        return Ok(Notice::LinkGone { index });
    }
    let is_ethernet = u16::from_ne_bytes([*type0, *type1]) == ARPHRD_ETHER;
    let flags = u32::from_ne_bytes([*f0, *f1, *f2, *f3]);
    let (mut name, mut mac, mut mtu) = (None, None, None);
    for attribute in Attributes::new(rest) {
        let attribute = attribute?;
        match attribute.kind {
            // A wireless event is no description of the link: it has neither address nor MTU.
            IFLA_WIRELESS => return Ok(Notice::Other),
            IFLA_IFNAME => name = Some(attribute.text()),
            IFLA_ADDRESS if is_ethernet => mac = attribute.value.try_into().ok(),
            IFLA_MTU => mtu = Some(attribute.u32()?),
            _ => {}
        }
    }
    let name = name.ok_or(Malformed::Missing("IFLA_IFNAME"))?;
    if name.is_empty() || name.len() > limits::IFNAME_MAX {
        return Err(Malformed::Value("IFLA_IFNAME"));
    }
    Ok(Notice::Link(Link {
        index,
        name: core::str::from_utf8(name).unwrap_or(""),
        up: flags & IFF_UP != 0,
        running: flags & IFF_RUNNING != 0,
        no_arp: flags & IFF_NOARP != 0,
        mac,
        mtu: mtu.ok_or(Malformed::Missing("IFLA_MTU"))?,
    }))
}

/// `None`: neither IPv4 nor IPv6.
fn parse_address(payload: &[u8]) -> Result<Option<Address>, Malformed> {
    let Some(([family, prefix_len, flags, _, i0, i1, i2, i3], rest)) =
        payload.split_first_chunk::<IFADDRMSG_LEN>()
    else {
        return Err(Malformed::Short("ifaddrmsg"));
    };
    if *family != AF_INET && *family != AF_INET6 {
        return Ok(None);
    }
    let index = index([*i0, *i1, *i2, *i3])?;
    let (mut address, mut local, mut protocol, mut valid) = (None, None, None, None);
    let mut flags = u32::from(*flags);
    for attribute in Attributes::new(rest) {
        let attribute = attribute?;
        match attribute.kind {
            IFA_ADDRESS => address = Some(ip(*family, attribute.value)?),
            IFA_LOCAL => local = Some(ip(*family, attribute.value)?),
            IFA_FLAGS => flags = attribute.u32()?,
            IFA_PROTO => protocol = Some(attribute.u8()?),
            IFA_CACHEINFO => {
                let [_, _, _, _, valid_lft @ .., _, _, _, _, _, _, _, _] = attribute.bytes::<16>()?;
                valid = Some(u32::from_ne_bytes(valid_lft)).filter(|seconds| *seconds != FOREVER);
            }
            _ => {}
        }
    }
    // With a peer, IFA_ADDRESS is the other side. IPv6 without a peer has IFA_ADDRESS alone.
    let address = local.or(address).ok_or(Malformed::Missing("IFA_LOCAL"))?;
    if *prefix_len > if address.is_ipv4() { 32 } else { 128 } {
        return Err(Malformed::Value("prefix length"));
    }
    Ok(Some(Address {
        index,
        address,
        prefix_len: *prefix_len,
        protocol,
        permanent: flags & IFA_F_PERMANENT != 0,
        secondary: flags & IFA_F_SECONDARY != 0,
        valid,
    }))
}

/// The kernel's indexes are positive numbers of 31 bits (B-80).
fn index(bytes: [u8; 4]) -> Result<u32, Malformed> {
    match u32::from_ne_bytes(bytes) {
        index @ 1..=0x7fff_ffff => Ok(index),
        _ => Err(Malformed::Value("interface index")),
    }
}

fn ip(family: u8, value: &[u8]) -> Result<IpAddr, Malformed> {
    let address = if family == AF_INET {
        value.first_chunk::<4>().map(|raw| IpAddr::from(*raw))
    } else {
        value.first_chunk::<16>().map(|raw| IpAddr::from(*raw))
    };
    address.ok_or(Malformed::Short("address"))
}

/// Asks for all links.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_links(batch: &mut Batch<'_>, seq: u32) -> Result<(), NoRoom> {
    batch.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, seq, |body| {
        body.bytes(&[0; IFINFOMSG_LEN]);
        body.attribute_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    })
}

/// Asks for all addresses of all families.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_addresses(batch: &mut Batch<'_>, seq: u32) -> Result<(), NoRoom> {
    batch.message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, seq, |body| body.bytes(&[0; IFADDRMSG_LEN]))
}

/// An address to add, or to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAddress {
    /// Index of the link.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Prefix length.
    pub prefix_len: u8,
    /// Seconds until the kernel takes it away by itself; `None` = for ever. Zero becomes one: the kernel
    /// refuses zero.
    pub lease: Option<u32>,
}

/// Puts an address on a link; replaces, and so renews, the same address where it is there already. `ack`:
/// wants an answer even when all went well.
///
/// # Errors
/// No room in the batch.
pub fn emit_add_address(batch: &mut Batch<'_>, seq: u32, ack: bool, new: &NewAddress) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | if ack { NLM_F_ACK } else { 0 };
    batch.message(RTM_NEWADDR, flags, seq, |body| {
        emit_identity(body, new.index, new.address, new.prefix_len);
        let seconds = new.lease.map_or(FOREVER, |seconds| seconds.max(1));
        let mut cache_info = [0; 16];
        let (lifetimes, _) = cache_info.split_at_mut(8);
        lifetimes.copy_from_slice(&pair(seconds, seconds));
        body.attribute(IFA_CACHEINFO, &cache_info);
        if new.address.is_ipv6() {
            // VRRP's election is the duplicate detection (RTNL-24), and a tentative address does not answer.
            body.attribute_u32(IFA_FLAGS, IFA_F_NODAD);
        }
        body.attribute(IFA_PROTO, &[PROTOCOL]);
    })
}

/// Takes an address off a link. `ack` as in [`emit_add_address`].
///
/// # Errors
/// No room in the batch.
pub fn emit_remove_address(
    batch: &mut Batch<'_>,
    seq: u32,
    ack: bool,
    (index, address, prefix_len): (u32, IpAddr, u8),
) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | if ack { NLM_F_ACK } else { 0 };
    batch.message(RTM_DELADDR, flags, seq, |body| emit_identity(body, index, address, prefix_len))
}

/// Both attributes: IPv4 without IFA_LOCAL is refused (RTNL-20), and IFA_ADDRESS makes it a net, not a peer.
fn emit_identity(body: &mut super::netlink::Body<'_>, index: u32, address: IpAddr, prefix_len: u8) {
    let [i0, i1, i2, i3] = index.to_ne_bytes();
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    body.bytes(&[family, prefix_len, 0, RT_SCOPE_UNIVERSE, i0, i1, i2, i3]);
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        match address {
            IpAddr::V4(address) => body.attribute(kind, &address.octets()),
            IpAddr::V6(address) => body.attribute(kind, &address.octets()),
        }
    }
}

/// Two numbers side by side.
fn pair(a: u32, b: u32) -> [u8; 8] {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a.to_ne_bytes(), b.to_ne_bytes());
    [a0, a1, a2, a3, b0, b1, b2, b3]
}

#[cfg(test)]
mod tests;
