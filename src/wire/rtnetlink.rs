//! Links, addresses, routes and rules of the kernel (`linux/rtnetlink.h`; RTNL-20..41).

mod address;
mod link;
mod route;
mod rule;

use super::netlink::{AF_INET, AF_INET6, Malformed, Message};
use std::net::IpAddr;

pub use self::address::{
    ADDRESS_MESSAGE_MAX, Address, NewAddress, emit_add_address, emit_dump_addresses, emit_remove_address,
};
pub use self::link::{
    Link, LinkKind, NewMacvlan, emit_address_generation_off, emit_create_macvlan, emit_dump_links,
    emit_get_link, emit_get_link_by_name, emit_ipv4_settings, emit_remove_link, emit_set_link, ipv4_setting,
    ipv6_setting,
};
pub use self::route::{
    NewRoute, NextHop, NextHops, RTN_BLACKHOLE, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST, RTN_UNREACHABLE, Route,
    emit_add_route, emit_dump_routes, emit_remove_route,
};
pub use self::rule::{
    FR_ACT_BLACKHOLE, FR_ACT_PROHIBIT, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, Rule, emit_add_rule,
    emit_dump_rules, emit_remove_rule,
};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;

/// IFA_PROTO, `rtm_protocol` and FRA_PROTOCOL of everything that vipd puts into the kernel's tables: the IP
/// protocol number of VRRP (RTNL-33). Not 18, which is keepalived's: the two must never take each other's
/// for their own. In `linux/rtnetlink.h` 112 is nobody's (RTPROT_OPENR is 99, RTPROT_BGP 186), values above
/// RTPROT_STATIC (4) mean nothing to the kernel, and routing daemons leave routes of other numbers alone.
pub const PROTOCOL: u8 = 112;
/// The bits of RTNLGRP_LINK 1, RTNLGRP_IPV4_IFADDR 5 and RTNLGRP_IPV6_IFADDR 9 in a bind (RTNL-1).
pub const GROUPS: u32 = 1 | 1 << 4 | 1 << 8;
/// RTNLGRP_IPV4_ROUTE and RTNLGRP_IPV6_ROUTE, as NETLINK_ADD_MEMBERSHIP wants them.
pub const ROUTE_GROUPS: [u32; 2] = [7, 11];
/// RTNLGRP_IPV4_RULE and RTNLGRP_IPV6_RULE.
pub const RULE_GROUPS: [u32; 2] = [8, 19];

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
    /// A route is there, or has changed.
    Route(Route<'a>),
    /// A route is gone.
    RouteGone(Route<'a>),
    /// A rule is there.
    Rule(Rule<'a>),
    /// A rule is gone.
    RuleGone(Rule<'a>),
    /// Nothing that concerns us: another type (B-81), another family, a part of a link, an entry of the
    /// kernel's own table or cache, a rule with selectors that cannot be configured.
    Other,
}

/// Reads one message of the rtnetlink family.
///
/// # Errors
/// Cut, without an index, a name or an address, or with a value that cannot be (B-76..B-80).
pub fn parse<'a>(message: &Message<'a>) -> Result<Notice<'a>, Malformed> {
    let payload = message.payload;
    match message.kind {
        RTM_NEWLINK => link::parse(payload, false),
        RTM_DELLINK => link::parse(payload, true),
        RTM_NEWADDR => Ok(address::parse(payload)?.map_or(Notice::Other, Notice::Address)),
        RTM_DELADDR => Ok(address::parse(payload)?.map_or(Notice::Other, Notice::AddressGone)),
        RTM_NEWROUTE => Ok(route::parse(payload)?.map_or(Notice::Other, Notice::Route)),
        RTM_DELROUTE => Ok(route::parse(payload)?.map_or(Notice::Other, Notice::RouteGone)),
        RTM_NEWRULE => Ok(rule::parse(payload)?.map_or(Notice::Other, Notice::Rule)),
        RTM_DELRULE => Ok(rule::parse(payload)?.map_or(Notice::Other, Notice::RuleGone)),
        _ => Ok(Notice::Other),
    }
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

const fn family_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

const fn unspecified(family: u8) -> IpAddr {
    if family == AF_INET {
        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
    }
}

const fn bits(family: u8) -> u8 {
    if family == AF_INET { 32 } else { 128 }
}

/// A net of a route or a rule: the attribute may be missing where the prefix length is zero.
fn net(family: u8, address: Option<IpAddr>, prefix_len: u8) -> Result<(IpAddr, u8), Malformed> {
    if prefix_len > bits(family) {
        return Err(Malformed::Value("prefix length"));
    }
    match address {
        Some(address) => Ok((address, prefix_len)),
        None if prefix_len == 0 => Ok((unspecified(family), 0)),
        None => Err(Malformed::Missing("address of a net")),
    }
}

fn emit_ip(body: &mut super::netlink::Body<'_>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => body.attribute(kind, &address.octets()),
        IpAddr::V6(address) => body.attribute(kind, &address.octets()),
    }
}

/// Interface names have at most 15 bytes.
fn name(value: &[u8]) -> Result<&str, Malformed> {
    if value.is_empty() || value.len() > crate::limits::IFNAME_MAX {
        return Err(Malformed::Value("IFLA_IFNAME"));
    }
    Ok(core::str::from_utf8(value).unwrap_or(""))
}

#[cfg(test)]
mod tests;
