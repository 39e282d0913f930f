//! Requests to the kernel's IPVS (IPVS-20..30).

use super::number::*;
use super::{Destination, Forwarding, Service, ServiceKey, Tunnel, TunnelChecksum};
use crate::wire::genetlink::message;
use crate::wire::netlink::{AF_INET, AF_INET6, Batch, Body, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NoRoom};
use std::net::{IpAddr, SocketAddr};

/// Name of the generic netlink family.
pub const FAMILY: &str = "IPVS";
/// The longest that one request can be: NEW_DEST has 140 bytes and 24 more with a GUE tunnel, NEW_SERVICE
/// with the longest names 140, NEW_DAEMON with everything 104.
pub const MESSAGE_MAX: usize = 164;
/// The longest name that is sent, and its NUL.
const NAME_LEN: usize = 17;

/// Commands that take a whole service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCommand {
    /// NEW_SERVICE: EEXIST where it is there.
    New,
    /// SET_SERVICE: ESRCH where it is not there.
    Set,
}

/// Commands that take a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationCommand {
    /// NEW_DEST: EEXIST where it is there, ESRCH without the service.
    New,
    /// SET_DEST: ENOENT where it is not there.
    Set,
    /// DEL_DEST: ENOENT where it is not there. Of the destination, only the address is sent.
    Del,
}

/// Asks for all services. `family` is the id of the family; it takes no acknowledgement, NLMSG_DONE is the
/// end.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_services(batch: &mut Batch<'_>, family: u16, seq: u32) -> Result<(), NoRoom> {
    message(batch, (family, GET_SERVICE), NLM_F_REQUEST | NLM_F_DUMP, seq, |_| {})
}

/// Asks for all destinations of a service. A service that is not there has none (IPVS-45).
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_destinations(
    batch: &mut Batch<'_>,
    family: u16,
    seq: u32,
    key: &ServiceKey,
) -> Result<(), NoRoom> {
    message(batch, (family, GET_DEST), NLM_F_REQUEST | NLM_F_DUMP, seq, |body| {
        body.nest(SERVICE, |body| identity(body, key));
    })
}

/// Makes or changes a service.
///
/// # Errors
/// No room in the batch.
pub fn emit_service(
    batch: &mut Batch<'_>,
    family: u16,
    seq: u32,
    command: ServiceCommand,
    service: &Service,
) -> Result<(), NoRoom> {
    let command = match command {
        ServiceCommand::New => NEW_SERVICE,
        ServiceCommand::Set => SET_SERVICE,
    };
    message(batch, (family, command), NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        body.nest(SERVICE, |body| {
            identity(body, &service.key);
            text(body, SVC_SCHED_NAME, &service.scheduler);
            // Left out, there is none, also where there was one (`ip_vs_edit_service`).
            if !service.engine.is_empty() {
                text(body, SVC_PE_NAME, &service.engine);
            }
            let ([f0, f1, f2, f3], m) = (service.flags.to_ne_bytes(), 0xff);
            body.attribute(SVC_FLAGS, &[f0, f1, f2, f3, m, m, m, m]);
            body.attribute_u32(SVC_TIMEOUT, service.timeout);
            body.attribute(SVC_NETMASK, &netmask(service.key.is_ipv6(), service.prefix_len));
        });
    })
}

/// Removes a service with its destinations. ESRCH where it is not there.
///
/// # Errors
/// No room in the batch.
pub fn emit_del_service(
    batch: &mut Batch<'_>,
    family: u16,
    seq: u32,
    key: &ServiceKey,
) -> Result<(), NoRoom> {
    message(batch, (family, DEL_SERVICE), NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        body.nest(SERVICE, |body| identity(body, key));
    })
}

/// Makes, changes or removes a destination of a service.
///
/// # Errors
/// No room in the batch.
pub fn emit_destination(
    batch: &mut Batch<'_>,
    family: u16,
    seq: u32,
    command: DestinationCommand,
    (key, destination): (&ServiceKey, &Destination),
) -> Result<(), NoRoom> {
    let (command, whole) = match command {
        DestinationCommand::New => (NEW_DEST, true),
        DestinationCommand::Set => (SET_DEST, true),
        DestinationCommand::Del => (DEL_DEST, false),
    };
    message(batch, (family, command), NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        body.nest(SERVICE, |body| identity(body, key));
        body.nest(DEST, |body| {
            body.attribute_u16(DEST_ADDR_FAMILY, address_family(destination.address.is_ipv6()));
            address_and_port(body, DEST_ADDR, DEST_PORT, &destination.address);
            if whole {
                body.attribute_u32(DEST_FWD_METHOD, method(destination.forward));
                body.attribute_u32(DEST_WEIGHT, destination.weight);
                body.attribute_u32(DEST_U_THRESH, destination.upper_threshold);
                body.attribute_u32(DEST_L_THRESH, destination.lower_threshold);
                tunnel(body, destination);
            }
        });
    })
}

/// IP in IP goes without a word, and kernels before 5.2 understand it (IPVS-30i).
fn tunnel(body: &mut Body<'_>, destination: &Destination) {
    if destination.forward != Forwarding::Tunnel {
        return;
    }
    let checksum = match destination.tunnel {
        Tunnel::Ipip => return,
        Tunnel::Gue { port, checksum } => {
            body.attribute(DEST_TUN_TYPE, &[TUN_TYPE_GUE]);
            body.attribute(DEST_TUN_PORT, &port.to_be_bytes());
            checksum
        }
        Tunnel::Gre { checksum } => {
            body.attribute(DEST_TUN_TYPE, &[TUN_TYPE_GRE]);
            checksum
        }
    };
    let flags = match checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Full => 1,
        TunnelChecksum::Remote => 2,
    };
    body.attribute_u16(DEST_TUN_FLAGS, flags);
}

/// A name with the NUL at its end; longer ones than ours could be would be cut.
pub(super) fn text(body: &mut Body<'_>, kind: u16, text: &str) {
    let mut name = [0; NAME_LEN];
    let len = text.len().min(NAME_LEN - 1);
    if let (Some(to), Some(from)) = (name.get_mut(..len), text.as_bytes().get(..len)) {
        to.copy_from_slice(from);
    }
    body.attribute(kind, name.get(..=len).unwrap_or(&name));
}

fn identity(body: &mut Body<'_>, key: &ServiceKey) {
    body.attribute_u16(SVC_AF, address_family(key.is_ipv6()));
    match key {
        ServiceKey::Address { protocol, address } => {
            body.attribute_u16(SVC_PROTOCOL, protocol.number());
            address_and_port(body, SVC_ADDR, SVC_PORT, address);
        }
        ServiceKey::Mark { mark, .. } => body.attribute_u32(SVC_FWMARK, *mark),
    }
}

/// Addresses go as 16 bytes, IPv4 in the first four; ports go in network byte order (IPVS-21a, IPVS-22).
fn address_and_port(body: &mut Body<'_>, address_kind: u16, port_kind: u16, address: &SocketAddr) {
    let mut bytes = [0; 16];
    match address.ip() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let [to_a, to_b, to_c, to_d, ..] = &mut bytes;
            (*to_a, *to_b, *to_c, *to_d) = (a, b, c, d);
        }
        IpAddr::V6(v6) => bytes = v6.octets(),
    }
    body.attribute(address_kind, &bytes);
    body.attribute(port_kind, &address.port().to_be_bytes());
}

fn address_family(ipv6: bool) -> u16 {
    u16::from(if ipv6 { AF_INET6 } else { AF_INET })
}

/// IPv4: a mask in network byte order. IPv6: a prefix length in the CPU's order (IPVS-26).
pub(super) fn netmask(ipv6: bool, prefix_len: u8) -> [u8; 4] {
    if ipv6 {
        return u32::from(prefix_len).to_ne_bytes();
    }
    let host_bits = 32u32.saturating_sub(u32::from(prefix_len));
    u32::MAX.checked_shl(host_bits).unwrap_or(0).to_be_bytes()
}

/// IPVS-30b.
pub(super) const fn method(forward: Forwarding) -> u32 {
    match forward {
        Forwarding::Masquerade => 0,
        Forwarding::Local => 1,
        Forwarding::Tunnel => 2,
        Forwarding::DirectRoute => 3,
        Forwarding::Bypass => 4,
    }
}

#[cfg(test)]
mod tests;
