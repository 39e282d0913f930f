//! Addresses (`linux/if_addr.h`; RTNL-20..27).

use super::super::netlink::{
    AF_INET, AF_INET6, Attributes, Batch, Body, Malformed, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP,
    NLM_F_REPLACE, NLM_F_REQUEST, NoRoom,
};
use super::{PROTOCOL, RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR, bits, emit_ip, family_of, index, ip};
use std::net::{IpAddr, Ipv4Addr};

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
/// `struct ifaddrmsg`: family u8, prefix length u8, flags u8, scope u8, index u32.
const IFADDRMSG_LEN: usize = 8;
const IFA_F_SECONDARY: u32 = 0x1;
const IFA_F_NODAD: u32 = 0x2;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
const FOREVER: u32 = u32::MAX;

/// The longest that [`emit_add_address`] and [`emit_remove_address`] make of one address: headers, two
/// addresses, lifetimes, flags, number, label, broadcast.
pub const ADDRESS_MESSAGE_MAX: usize = 16 + IFADDRMSG_LEN + 20 + 20 + 20 + 8 + 8 + 20 + 8;

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Index of its link, not zero.
    pub index: u32,
    /// The address on our side.
    pub address: IpAddr,
    /// 0..=32 or 0..=128. With a peer: the peer's.
    pub prefix_len: u8,
    /// It has a peer, whose net `prefix_len` speaks of.
    pub has_peer: bool,
    /// IFA_PROTO; kernels before 5.18 do not have it.
    pub protocol: Option<u8>,
    /// IFA_F_PERMANENT.
    pub permanent: bool,
    /// IFA_F_SECONDARY.
    pub secondary: bool,
    /// IFA_F_NODAD.
    pub no_dad: bool,
    /// Seconds that are left; `None` = for ever.
    pub valid: Option<u32>,
}

/// `None`: neither IPv4 nor IPv6.
pub(super) fn parse(payload: &[u8]) -> Result<Option<Address>, Malformed> {
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
    let has_peer = matches!((local, address), (Some(local), Some(address)) if local != address);
    let address = local.or(address).ok_or(Malformed::Missing("IFA_LOCAL"))?;
    if *prefix_len > bits(*family) {
        return Err(Malformed::Value("prefix length"));
    }
    Ok(Some(Address {
        index,
        address,
        prefix_len: *prefix_len,
        has_peer,
        protocol,
        permanent: flags & IFA_F_PERMANENT != 0,
        secondary: flags & IFA_F_SECONDARY != 0,
        no_dad: flags & IFA_F_NODAD != 0,
        valid,
    }))
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
pub struct NewAddress<'a> {
    /// Index of the link.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Prefix length. Without meaning where there is a peer.
    pub prefix_len: u8,
    /// The other end, with its own prefix length. Of the same family.
    pub peer: Option<(IpAddr, u8)>,
    /// Seconds until the kernel takes it away by itself; `None` = for ever. Zero becomes one: the kernel
    /// refuses zero.
    pub lease: Option<u32>,
    /// RT_SCOPE_*; IPv6 addresses have the one that they have by themselves.
    pub scope: u8,
    /// At most 15 bytes; empty: the interface's name. IPv4 only.
    pub label: &'a str,
    /// IPv4 only.
    pub broadcast: Option<Ipv4Addr>,
    /// Preferred lifetime 0: never chosen as a source (ARP-35).
    pub deprecated: bool,
    /// IFA_F_NOPREFIXROUTE.
    pub no_prefix_route: bool,
}

/// Puts an address on a link; replaces, and so renews, the same address where it is there already. `ack`:
/// wants an answer even when all went well.
///
/// Of an IPv4 address that is there, the kernel takes nothing over but the lifetimes (measured on 6.18:
/// label, scope, broadcast and IFA_F_NOPREFIXROUTE stay as they are): other options need a removal first.
///
/// # Errors
/// No room in the batch.
pub fn emit_add_address(
    batch: &mut Batch<'_>,
    seq: u32,
    ack: bool,
    new: &NewAddress<'_>,
) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | if ack { NLM_F_ACK } else { 0 };
    batch.message(RTM_NEWADDR, flags, seq, |body| {
        emit_identity(body, new.index, (new.address, new.prefix_len), new.peer, new.scope);
        if new.address.is_ipv4() {
            if !new.label.is_empty() {
                // With its NUL, which old kernels count on.
                let mut label = [0; crate::limits::IFNAME_MAX + 1];
                let len = new.label.len();
                if let Some(to) = label.get_mut(..len) {
                    to.copy_from_slice(new.label.as_bytes());
                }
                body.attribute(IFA_LABEL, label.get(..=len).unwrap_or(&label));
            }
            if let Some(broadcast) = new.broadcast {
                body.attribute(IFA_BROADCAST, &broadcast.octets());
            }
        }
        let seconds = new.lease.map_or(FOREVER, |seconds| seconds.max(1));
        let mut cache_info = [0; 16];
        let (lifetimes, _) = cache_info.split_at_mut(8);
        lifetimes.copy_from_slice(&pair(if new.deprecated { 0 } else { seconds }, seconds));
        body.attribute(IFA_CACHEINFO, &cache_info);
        // VRRP's election is the duplicate detection (RTNL-24), and a tentative address does not answer.
        let no_dad = if new.address.is_ipv6() { IFA_F_NODAD } else { 0 };
        let flags = no_dad | if new.no_prefix_route { IFA_F_NOPREFIXROUTE } else { 0 };
        if flags != 0 {
            body.attribute_u32(IFA_FLAGS, flags);
        }
        body.attribute(IFA_PROTO, &[PROTOCOL]);
    })
}

/// Takes an address off a link: its index, the address with its prefix length, the peer with its own. `ack`
/// as in [`emit_add_address`].
///
/// # Errors
/// No room in the batch.
pub fn emit_remove_address(
    batch: &mut Batch<'_>,
    seq: u32,
    ack: bool,
    (index, address, peer): (u32, (IpAddr, u8), Option<(IpAddr, u8)>),
) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | if ack { NLM_F_ACK } else { 0 };
    batch.message(RTM_DELADDR, flags, seq, |body| emit_identity(body, index, address, peer, 0))
}

/// Both attributes: IPv4 without IFA_LOCAL is refused (RTNL-20), and IFA_ADDRESS makes it a net, or a peer.
fn emit_identity(
    body: &mut Body<'_>,
    index: u32,
    (address, prefix_len): (IpAddr, u8),
    peer: Option<(IpAddr, u8)>,
    scope: u8,
) {
    let [i0, i1, i2, i3] = index.to_ne_bytes();
    let (other, prefix_len) = peer.unwrap_or((address, prefix_len));
    body.bytes(&[family_of(address), prefix_len, 0, scope, i0, i1, i2, i3]);
    emit_ip(body, IFA_LOCAL, address);
    emit_ip(body, IFA_ADDRESS, other);
}

/// Two numbers side by side.
pub(super) fn pair(a: u32, b: u32) -> [u8; 8] {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a.to_ne_bytes(), b.to_ne_bytes());
    [a0, a1, a2, a3, b0, b1, b2, b3]
}
