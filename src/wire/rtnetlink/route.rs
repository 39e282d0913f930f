//! Routes (`linux/rtnetlink.h`; RTNL-30, RTNL-31, RTNL-33).

use super::super::netlink::{
    AF_INET, AF_INET6, Attributes, Batch, Body, Malformed, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL,
    NLM_F_REQUEST, NoRoom,
};
use super::{PROTOCOL, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, emit_ip, family_of, ip, net};
use std::net::IpAddr;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTAX_MTU: u16 = 2;
/// `struct rtmsg`: family, destination length, source length, TOS, table, protocol, scope, type (u8 each),
/// flags u32.
const RTMSG_LEN: usize = 12;
/// `struct rtnexthop`: length u16, flags u8, hops u8, index s32.
const RTNEXTHOP_LEN: usize = 8;
const RTM_F_CLONED: u32 = 0x200;
const RTNH_F_ONLINK: u32 = 4;
const RT_TABLE_UNSPEC: u8 = 0;
const RT_TABLE_LOCAL: u32 = 255;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_NOWHERE: u8 = 255;

/// A gateway or a direct route.
pub const RTN_UNICAST: u8 = 1;
/// Drop silently.
pub const RTN_BLACKHOLE: u8 = 6;
/// Drop, ICMP unreachable.
pub const RTN_UNREACHABLE: u8 = 7;
/// Drop, ICMP prohibited.
pub const RTN_PROHIBIT: u8 = 8;
/// Go on with the next rule.
pub const RTN_THROW: u8 = 9;

/// A route of a table that people write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// Where to, and its prefix length.
    pub destination: (IpAddr, u8),
    /// RTN_*.
    pub kind: u8,
    /// It has a source net or a TOS, which we cannot configure.
    pub is_special: bool,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// Table.
    pub table: u32,
    /// Metric; 0: none.
    pub metric: u32,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// `rtm_protocol`.
    pub protocol: u8,
    /// The one next hop; its index is 0 where there is none.
    pub hop: NextHop,
    /// All next hops, where there are several.
    hops: &'a [u8],
}

/// A next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NextHop {
    /// Interface index; 0: none.
    pub index: u32,
    /// Gateway; none for a direct one.
    pub gateway: Option<IpAddr>,
}

impl<'a> Route<'a> {
    /// Every next hop: at least one.
    pub const fn next_hops(&self) -> NextHops<'a> {
        let single = if self.hops.is_empty() { Some(self.hop) } else { None };
        let family = family_of(self.destination.0);
        NextHops { single, family, rest: self.hops }
    }
}

/// The next hops of a route. Ends after the first error.
#[derive(Debug, Clone)]
pub struct NextHops<'a> {
    single: Option<NextHop>,
    family: u8,
    rest: &'a [u8],
}

impl Iterator for NextHops<'_> {
    type Item = Result<NextHop, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(hop) = self.single.take() {
            return Some(Ok(hop));
        }
        if self.rest.is_empty() {
            return None;
        }
        let bytes = core::mem::take(&mut self.rest);
        let Some([l0, l1, _, _, i0, i1, i2, i3]) = bytes.first_chunk::<RTNEXTHOP_LEN>() else {
            return Some(Err(Malformed::Short("rtnexthop")));
        };
        let len = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(attributes) = bytes.get(RTNEXTHOP_LEN..len) else {
            return Some(Err(Malformed::AttributeLength));
        };
        self.rest = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        let mut hop = NextHop { index: u32::from_ne_bytes([*i0, *i1, *i2, *i3]), gateway: None };
        for attribute in Attributes::new(attributes) {
            match attribute.and_then(|a| gateway(self.family, a.kind, a.value)) {
                Ok(None) => {}
                Ok(gateway) => hop.gateway = gateway,
                Err(malformed) => return Some(Err(malformed)),
            }
        }
        Some(Ok(hop))
    }
}

fn gateway(family: u8, kind: u16, value: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    match kind {
        RTA_GATEWAY => ip(family, value).map(Some),
        // `struct rtvia`: family u16, address. An IPv4 route by way of an IPv6 neighbour.
        RTA_VIA => {
            let Some(([f0, f1], address)) = value.split_first_chunk::<2>() else {
                return Err(Malformed::Short("RTA_VIA"));
            };
            match u16::from_ne_bytes([*f0, *f1]) {
                family if family == u16::from(AF_INET) => ip(AF_INET, address).map(Some),
                family if family == u16::from(AF_INET6) => ip(AF_INET6, address).map(Some),
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// `None`: of another family, of the table of local addresses, or of the cache.
pub(super) fn parse(payload: &[u8]) -> Result<Option<Route<'_>>, Malformed> {
    let Some((head, rest)) = payload.split_first_chunk::<RTMSG_LEN>() else {
        return Err(Malformed::Short("rtmsg"));
    };
    let [family, dst_len, src_len, tos, table, protocol, scope, kind, f0, f1, f2, f3] = *head;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    if family != AF_INET && family != AF_INET6 || flags & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let mut table = u32::from(table);
    let (mut destination, mut source, mut metric) = (None, None, 0);
    let mut hop = NextHop::default();
    let mut hops: &[u8] = &[];
    for attribute in Attributes::new(rest) {
        let attribute = attribute?;
        match attribute.kind {
            RTA_DST => destination = Some(ip(family, attribute.value)?),
            RTA_OIF => hop.index = attribute.u32()?,
            RTA_PRIORITY => metric = attribute.u32()?,
            RTA_PREFSRC => source = Some(ip(family, attribute.value)?),
            RTA_TABLE => table = attribute.u32()?,
            RTA_MULTIPATH => hops = attribute.value,
            RTA_GATEWAY | RTA_VIA => hop.gateway = gateway(family, attribute.kind, attribute.value)?,
            _ => {}
        }
    }
    if table == RT_TABLE_LOCAL {
        return Ok(None);
    }
    Ok(Some(Route {
        destination: net(family, destination, dst_len)?,
        kind,
        is_special: src_len != 0 || tos != 0,
        source,
        table,
        metric,
        scope,
        protocol,
        hop,
        hops,
    }))
}

/// Asks for all routes of all families.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_routes(batch: &mut Batch<'_>, seq: u32) -> Result<(), NoRoom> {
    batch.message(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, seq, |body| body.bytes(&[0; RTMSG_LEN]))
}

/// A route to add or to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRoute {
    /// Where to, and its prefix length; no host bits.
    pub destination: (IpAddr, u8),
    /// RTN_*.
    pub kind: u8,
    /// Interface index; 0: none.
    pub index: u32,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// Table.
    pub table: u32,
    /// Metric; `None`: 0, and for IPv6 the kernel's own (1024).
    pub metric: Option<u32>,
    /// RT_SCOPE_*. `None`: as `ip route` does it, the link for an IPv4 route without a gateway, else
    /// everywhere.
    pub scope: Option<u8>,
    /// RTNH_F_ONLINK.
    pub on_link: bool,
    /// RTAX_MTU.
    pub mtu: Option<u32>,
}

/// Adds a route; refused where there is one with this destination, table and metric, which may be somebody
/// else's (RTNL-31, RTNL-33).
///
/// # Errors
/// No room in the batch.
pub fn emit_add_route(batch: &mut Batch<'_>, seq: u32, new: &NewRoute) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let is_direct = new.kind == RTN_UNICAST && new.gateway.is_none() && new.destination.0.is_ipv4();
    let scope = new.scope.unwrap_or(if is_direct { RT_SCOPE_LINK } else { RT_SCOPE_UNIVERSE });
    batch.message(RTM_NEWROUTE, flags, seq, |body| {
        emit(body, new, scope);
        if let Some(mtu) = new.mtu {
            body.nest(RTA_METRICS, |metrics| metrics.attribute_u32(RTAX_MTU, mtu));
        }
    })
}

/// Removes a route, if it carries our protocol number: never somebody else's.
///
/// # Errors
/// No room in the batch.
pub fn emit_remove_route(batch: &mut Batch<'_>, seq: u32, old: &NewRoute) -> Result<(), NoRoom> {
    // Any scope: the kernel has chosen it for some.
    batch.message(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, seq, |body| emit(body, old, RT_SCOPE_NOWHERE))
}

fn emit(body: &mut Body<'_>, route: &NewRoute, scope: u8) {
    let (destination, prefix_len) = route.destination;
    let family = family_of(destination);
    let table = u8::try_from(route.table).unwrap_or(RT_TABLE_UNSPEC);
    body.bytes(&[family, prefix_len, 0, 0, table, PROTOCOL, scope, route.kind]);
    body.bytes(&(if route.on_link { RTNH_F_ONLINK } else { 0 }).to_ne_bytes());
    if prefix_len > 0 {
        emit_ip(body, RTA_DST, destination);
    }
    match route.gateway {
        Some(gateway) if family_of(gateway) == family => emit_ip(body, RTA_GATEWAY, gateway),
        Some(IpAddr::V6(gateway)) => {
            let [f0, f1] = u16::from(AF_INET6).to_ne_bytes();
            let mut via = [0; 18];
            let (family, address) = via.split_at_mut(2);
            family.copy_from_slice(&[f0, f1]);
            address.copy_from_slice(&gateway.octets());
            body.attribute(RTA_VIA, &via);
        }
        // An IPv6 route by way of an IPv4 neighbour: the kernel knows none.
        Some(IpAddr::V4(_)) | None => {}
    }
    if route.index != 0 {
        body.attribute_u32(RTA_OIF, route.index);
    }
    if let Some(source) = route.source {
        emit_ip(body, RTA_PREFSRC, source);
    }
    if let Some(metric) = route.metric {
        body.attribute_u32(RTA_PRIORITY, metric);
    }
    if table == RT_TABLE_UNSPEC {
        body.attribute_u32(RTA_TABLE, route.table);
    }
}
