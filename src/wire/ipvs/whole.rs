//! What concerns the whole of IPVS: timeouts of connections (SET_CONFIG, GET_CONFIG) and the sync daemons
//! (NEW_DAEMON, DEL_DAEMON, GET_DAEMON; IPVS-44, IPVS-45b, IPVS-74).

use super::emit::text;
use super::number::*;
use super::parse::{inside, name};
use super::{Daemon, DaemonRole, Timeouts};
use crate::wire::genetlink::{self, message};
use crate::wire::netlink::{Batch, Malformed, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NoRoom};
use std::net::IpAddr;

/// Asks for the timeouts. The answer comes as a message, then an acknowledgement.
///
/// # Errors
/// No room in the batch.
pub fn emit_get_timeouts(batch: &mut Batch<'_>, family: u16, seq: u32) -> Result<(), NoRoom> {
    message(batch, (family, GET_CONFIG), NLM_F_REQUEST | NLM_F_ACK, seq, |_| {})
}

/// Sets the timeouts; a zero keeps what is there (IPVS-45b), a value above `INT_MAX / HZ` is EINVAL
/// (IPVS-45c).
///
/// # Errors
/// No room in the batch.
pub fn emit_set_timeouts(
    batch: &mut Batch<'_>,
    family: u16,
    seq: u32,
    timeouts: &Timeouts,
) -> Result<(), NoRoom> {
    message(batch, (family, SET_CONFIG), NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        body.attribute_u32(TIMEOUT_TCP, timeouts.tcp);
        body.attribute_u32(TIMEOUT_TCP_FIN, timeouts.tcp_fin);
        body.attribute_u32(TIMEOUT_UDP, timeouts.udp);
    })
}

/// Reads the answer. What a kernel without TCP or UDP does not tell is zero (B-103).
///
/// # Errors
/// Cut, or another command.
pub fn parse_timeouts(payload: &[u8]) -> Result<Timeouts, Malformed> {
    let (command, attributes) = genetlink::parse(payload)?;
    if command != SET_CONFIG {
        return Err(Malformed::Value("IPVS command"));
    }
    let mut timeouts = Timeouts::default();
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            TIMEOUT_TCP => timeouts.tcp = attribute.u32()?,
            TIMEOUT_TCP_FIN => timeouts.tcp_fin = attribute.u32()?,
            TIMEOUT_UDP => timeouts.udp = attribute.u32()?,
            _ => {}
        }
    }
    Ok(timeouts)
}

/// Asks for the sync daemons that run.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_daemons(batch: &mut Batch<'_>, family: u16, seq: u32) -> Result<(), NoRoom> {
    message(batch, (family, GET_DAEMON), NLM_F_REQUEST | NLM_F_DUMP, seq, |_| {})
}

/// Starts a sync daemon; one message for each role (IPVS-74: state 3 is EINVAL). What is left to the
/// kernel is not sent, so that kernels before 4.3 understand it. EEXIST where one runs in that role,
/// ENODEV without the interface, EINVAL beside destinations of the other family (IPVS-44).
///
/// # Errors
/// No room in the batch.
pub fn emit_new_daemon(
    batch: &mut Batch<'_>,
    family: u16,
    seq: u32,
    (role, daemon): (DaemonRole, &Daemon),
) -> Result<(), NoRoom> {
    message(batch, (family, NEW_DAEMON), NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        body.nest(DAEMON, |body| {
            body.attribute_u32(DAEMON_STATE, state(role));
            text(body, DAEMON_MCAST_IFN, &daemon.interface);
            body.attribute_u32(DAEMON_SYNC_ID, u32::from(daemon.id));
            if daemon.max_len != 0 {
                body.attribute_u16(DAEMON_SYNC_MAXLEN, daemon.max_len);
            }
            match daemon.group {
                Some(IpAddr::V4(group)) => body.attribute(DAEMON_MCAST_GROUP, &group.octets()),
                Some(IpAddr::V6(group)) => body.attribute(DAEMON_MCAST_GROUP6, &group.octets()),
                None => {}
            }
            // The only port of IPVS in the CPU's order.
            if daemon.port != 0 {
                body.attribute_u16(DAEMON_MCAST_PORT, daemon.port);
            }
            if daemon.ttl != 0 {
                body.attribute(DAEMON_MCAST_TTL, &[daemon.ttl]);
            }
        });
    })
}

/// Ends a sync daemon. ESRCH where none runs in that role (IPVS-44a).
///
/// # Errors
/// No room in the batch.
pub fn emit_del_daemon(batch: &mut Batch<'_>, family: u16, seq: u32, role: DaemonRole) -> Result<(), NoRoom> {
    message(batch, (family, DEL_DAEMON), NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        body.nest(DAEMON, |body| body.attribute_u32(DAEMON_STATE, state(role)));
    })
}

/// Reads one sync daemon of a dump. What the kernel does not tell (before 4.3) is 0 or `None`.
///
/// # Errors
/// Cut, or without a part that every daemon has, or with one that cannot be.
pub fn parse_daemon(payload: &[u8]) -> Result<(DaemonRole, Daemon), Malformed> {
    let (mut role, mut interface, mut id, mut group) = (None, None, None, None);
    let (mut max_len, mut port, mut ttl) = (0, 0, 0);
    for attribute in inside(payload, NEW_DAEMON, DAEMON)? {
        let attribute = attribute?;
        match attribute.kind {
            DAEMON_STATE => role = Some(self::role(attribute.u32()?)?),
            DAEMON_MCAST_IFN => interface = Some(attribute.text()),
            DAEMON_SYNC_ID => id = Some(attribute.u32()?),
            DAEMON_SYNC_MAXLEN => max_len = attribute.u16()?,
            DAEMON_MCAST_GROUP => group = Some(IpAddr::from(attribute.bytes::<4>()?)),
            DAEMON_MCAST_GROUP6 => group = Some(IpAddr::from(attribute.bytes::<16>()?)),
            DAEMON_MCAST_PORT => port = attribute.u16()?,
            DAEMON_MCAST_TTL => ttl = attribute.u8()?,
            _ => {}
        }
    }
    let role = role.ok_or(Malformed::Missing("IPVS_DAEMON_ATTR_STATE"))?;
    let interface = interface.ok_or(Malformed::Missing("IPVS_DAEMON_ATTR_MCAST_IFN"))?;
    let id = id.ok_or(Malformed::Missing("IPVS_DAEMON_ATTR_SYNC_ID"))?;
    let daemon = Daemon {
        interface: name(interface).ok_or(Malformed::Value("IPVS_DAEMON_ATTR_MCAST_IFN"))?,
        // What goes over the wire has 8 bits.
        id: (id & 0xff) as u8,
        max_len,
        group,
        port,
        ttl,
    };
    Ok((role, daemon))
}

/// IP_VS_STATE_*.
pub(super) const fn state(role: DaemonRole) -> u32 {
    match role {
        DaemonRole::Master => 1,
        DaemonRole::Backup => 2,
    }
}

/// The reverse.
pub(super) const fn role(state: u32) -> Result<DaemonRole, Malformed> {
    match state {
        1 => Ok(DaemonRole::Master),
        2 => Ok(DaemonRole::Backup),
        _ => Err(Malformed::Value("IPVS_DAEMON_ATTR_STATE")),
    }
}

#[cfg(test)]
mod tests;
