//! What the kernel's IPVS tells of its table (GET_SERVICE, GET_DEST). Counters (STATS, STATS64, PAD) are
//! skipped.

use super::number::*;
use super::{
    Destination, DestinationEntry, Forwarding, Protocol, Service, ServiceKey, Tunnel, TunnelChecksum,
};
use crate::wire::genetlink;
use crate::wire::netlink::{AF_INET, AF_INET6, Attribute, Attributes, Malformed};
use std::net::{IpAddr, SocketAddr};

/// Reads one service of a dump. `None`: a service of a protocol that vipd never makes.
///
/// # Errors
/// Cut, or without a part that every service has (B-96).
pub fn parse_service(payload: &[u8]) -> Result<Option<Service>, Malformed> {
    let mut found = ServiceParts::default();
    for attribute in inside(payload, NEW_SERVICE, SERVICE)? {
        let attribute = attribute?;
        match attribute.kind {
            SVC_AF => found.ipv6 = Some(is_ipv6(attribute.u16()?)?),
            SVC_PROTOCOL => found.protocol = Some(attribute.u16()?),
            SVC_ADDR => found.address = Some(attribute),
            SVC_PORT => found.port = Some(attribute.be16()?),
            SVC_FWMARK => found.mark = Some(attribute.u32()?),
            SVC_SCHED_NAME => found.scheduler = Some(attribute.text()),
            SVC_FLAGS => found.flags = Some(attribute.u32()?),
            SVC_TIMEOUT => found.timeout = Some(attribute.u32()?),
            SVC_NETMASK => found.netmask = Some(attribute.bytes()?),
            SVC_PE_NAME => found.engine = attribute.text(),
            _ => {}
        }
    }
    found.finish()
}

/// Reads one destination of a dump; `service_ipv6`: the family of its service, for kernels that do not name
/// the destination's own. A weight above 2^31 (B-102) comes as it is. A kernel that does not tell the
/// tunnel's kind knows IP in IP alone.
///
/// # Errors
/// Cut, or without a part that every destination has (B-96).
pub fn parse_destination(payload: &[u8], service_ipv6: bool) -> Result<DestinationEntry, Malformed> {
    let (mut address, mut port, mut forward, mut ipv6) = (None, None, None, service_ipv6);
    let [mut weight, mut upper, mut lower, mut active, mut inactive] = [None; 5];
    let mut tunnel = TunnelParts::default();
    for attribute in inside(payload, NEW_DEST, DEST)? {
        let attribute = attribute?;
        match attribute.kind {
            DEST_ADDR => address = Some(attribute),
            DEST_PORT => port = Some(attribute.be16()?),
            DEST_FWD_METHOD => forward = Some(attribute.u32()?),
            DEST_WEIGHT => weight = Some(attribute.u32()?),
            DEST_U_THRESH => upper = Some(attribute.u32()?),
            DEST_L_THRESH => lower = Some(attribute.u32()?),
            DEST_ACTIVE_CONNS => active = Some(attribute.u32()?),
            DEST_INACT_CONNS => inactive = Some(attribute.u32()?),
            DEST_ADDR_FAMILY => ipv6 = is_ipv6(attribute.u16()?)?,
            DEST_TUN_TYPE => tunnel.kind = attribute.u8()?,
            DEST_TUN_PORT => tunnel.port = attribute.be16()?,
            DEST_TUN_FLAGS => tunnel.flags = attribute.u16()?,
            _ => {}
        }
    }
    let address = address.ok_or(Malformed::Missing("IPVS_DEST_ATTR_ADDR"))?;
    let port = port.ok_or(Malformed::Missing("IPVS_DEST_ATTR_PORT"))?;
    let forward = forwarding(forward.ok_or(Malformed::Missing("IPVS_DEST_ATTR_FWD_METHOD"))?);
    let (forward, tunnel) = match (forward, tunnel.finish()) {
        (Forwarding::Tunnel, Some(tunnel)) => (forward, tunnel),
        (Forwarding::Tunnel, None) => (Forwarding::Bypass, Tunnel::Ipip),
        // Left from the time when it was a tunnel, or nobody's concern.
        (
            Forwarding::Masquerade | Forwarding::Local | Forwarding::DirectRoute | Forwarding::Bypass,
            Some(_) | None,
        ) => (forward, Tunnel::Ipip),
    };
    Ok(DestinationEntry {
        destination: Destination {
            address: SocketAddr::new(ip(ipv6, &address)?, port),
            forward,
            tunnel,
            weight: weight.ok_or(Malformed::Missing("IPVS_DEST_ATTR_WEIGHT"))?,
            upper_threshold: upper.ok_or(Malformed::Missing("IPVS_DEST_ATTR_U_THRESH"))?,
            lower_threshold: lower.ok_or(Malformed::Missing("IPVS_DEST_ATTR_L_THRESH"))?,
        },
        active_connections: active.ok_or(Malformed::Missing("IPVS_DEST_ATTR_ACTIVE_CONNS"))?,
        inactive_connections: inactive.ok_or(Malformed::Missing("IPVS_DEST_ATTR_INACT_CONNS"))?,
    })
}

/// The attributes inside attribute `kind` of a message with that command.
pub(super) fn inside(payload: &[u8], command: u8, kind: u16) -> Result<Attributes<'_>, Malformed> {
    let (found, mut attributes) = genetlink::parse(payload)?;
    if found != command {
        return Err(Malformed::Value("IPVS command"));
    }
    match attributes.find(|a| a.is_err() || a.is_ok_and(|a| a.kind == kind)) {
        Some(attribute) => Ok(attribute?.nested()),
        None => Err(Malformed::Missing("IPVS entry")),
    }
}

#[derive(Default)]
struct ServiceParts<'a> {
    ipv6: Option<bool>,
    protocol: Option<u16>,
    address: Option<Attribute<'a>>,
    port: Option<u16>,
    mark: Option<u32>,
    scheduler: Option<&'a [u8]>,
    flags: Option<u32>,
    timeout: Option<u32>,
    netmask: Option<[u8; 4]>,
    /// Empty: none.
    engine: &'a [u8],
}

impl ServiceParts<'_> {
    fn finish(self) -> Result<Option<Service>, Malformed> {
        let ipv6 = self.ipv6.ok_or(Malformed::Missing("IPVS_SVC_ATTR_AF"))?;
        let Some(key) = self.key(ipv6)? else { return Ok(None) };
        let scheduler = self.scheduler.ok_or(Malformed::Missing("IPVS_SVC_ATTR_SCHED_NAME"))?;
        let flags = self.flags.ok_or(Malformed::Missing("IPVS_SVC_ATTR_FLAGS"))?;
        Ok(Some(Service {
            key,
            scheduler: name(scheduler).ok_or(Malformed::Value("IPVS_SVC_ATTR_SCHED_NAME"))?,
            flags: flags & !SVC_F_HASHED,
            engine: name(self.engine).ok_or(Malformed::Value("IPVS_SVC_ATTR_PE_NAME"))?,
            timeout: self.timeout.ok_or(Malformed::Missing("IPVS_SVC_ATTR_TIMEOUT"))?,
            prefix_len: prefix_len(ipv6, self.netmask.ok_or(Malformed::Missing("IPVS_SVC_ATTR_NETMASK"))?)?,
        }))
    }

    fn key(&self, ipv6: bool) -> Result<Option<ServiceKey>, Malformed> {
        if let Some(mark) = self.mark.filter(|mark| *mark != 0) {
            return Ok(Some(ServiceKey::Mark { mark, ipv6 }));
        }
        let protocol = self.protocol.ok_or(Malformed::Missing("IPVS_SVC_ATTR_PROTOCOL"))?;
        let address = self.address.ok_or(Malformed::Missing("IPVS_SVC_ATTR_ADDR"))?;
        let port = self.port.ok_or(Malformed::Missing("IPVS_SVC_ATTR_PORT"))?;
        let address = SocketAddr::new(ip(ipv6, &address)?, port);
        Ok(Protocol::from_number(protocol).map(|protocol| ServiceKey::Address { protocol, address }))
    }
}

/// A name that fits, in UTF-8.
pub(super) fn name<const N: usize>(text: &[u8]) -> Option<heapless::String<N>> {
    core::str::from_utf8(text).ok()?.try_into().ok()
}

/// IPVS-30i..k.
#[derive(Default)]
struct TunnelParts {
    kind: u8,
    port: u16,
    flags: u16,
}

impl TunnelParts {
    /// `None`: a kind that is none of ours.
    fn finish(self) -> Option<Tunnel> {
        let checksum = match self.flags {
            0 => Some(TunnelChecksum::None),
            1 => Some(TunnelChecksum::Full),
            2 => Some(TunnelChecksum::Remote),
            _ => None,
        };
        match self.kind {
            TUN_TYPE_IPIP => Some(Tunnel::Ipip),
            TUN_TYPE_GUE => Some(Tunnel::Gue { port: self.port, checksum: checksum? }),
            TUN_TYPE_GRE => Some(Tunnel::Gre { checksum: checksum? }),
            _ => None,
        }
    }
}

fn is_ipv6(family: u16) -> Result<bool, Malformed> {
    match u8::try_from(family) {
        Ok(AF_INET) => Ok(false),
        Ok(AF_INET6) => Ok(true),
        Ok(_) | Err(_) => Err(Malformed::Value("address family")),
    }
}

/// Four bytes are enough for IPv4 (B-97).
fn ip(ipv6: bool, attribute: &Attribute<'_>) -> Result<IpAddr, Malformed> {
    if ipv6 { attribute.bytes::<16>().map(IpAddr::from) } else { attribute.bytes::<4>().map(IpAddr::from) }
}

/// IPv4: a mask in network byte order, of which the leading ones count. IPv6: a length in the CPU's order.
pub(super) fn prefix_len(ipv6: bool, raw: [u8; 4]) -> Result<u8, Malformed> {
    let len = if ipv6 { u32::from_ne_bytes(raw) } else { u32::from_be_bytes(raw).leading_ones() };
    u8::try_from(len).ok().filter(|len| *len <= 128).ok_or(Malformed::Value("IPVS_SVC_ATTR_NETMASK"))
}

/// What is no method of ours comes as `Bypass`, so that it equals nothing that we want and is corrected.
pub(super) const fn forwarding(raw: u32) -> Forwarding {
    match raw & FWD_MASK {
        0 => Forwarding::Masquerade,
        1 => Forwarding::Local,
        2 => Forwarding::Tunnel,
        3 => Forwarding::DirectRoute,
        _ => Forwarding::Bypass,
    }
}

#[cfg(test)]
mod tests;
