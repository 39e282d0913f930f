//! The old interface: socket options of a raw IPv4 socket (`linux/ip_vs.h`; IPVS-90, IPVS-91).
//!
//! It has IPv4 alone, no persistence engine, IP in IP as its only tunnel, and of a sync daemon the interface
//! and the id: what does not fit is [`Lacking`]. Structs are C's; everything in them is in the CPU's order
//! except addresses, ports and masks. The answers hold numbers of 8 bytes, which i386 aligns to 4 and
//! everybody else to 8, so their layout is computed by the compiler for each target.

mod layout;

use self::layout::*;
use super::emit::{method, netmask};
use super::parse::{forwarding, name, prefix_len};
use super::whole::{role, state};
use super::{
    Daemon, DaemonRole, Destination, DestinationCommand, DestinationEntry, Forwarding, PersistenceEngine,
    Protocol, Service, ServiceCommand, ServiceKey, Timeouts, Tunnel,
};
use crate::wire::ipvs::number::SVC_F_HASHED;
use crate::wire::netlink::Malformed;
use core::fmt;
use core::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// `IP_VS_BASE_CTL`: the first option.
const BASE: i32 = 64 + 1024 + 64;
const SET_ADD: i32 = BASE + 2;
const SET_EDIT: i32 = BASE + 3;
const SET_DEL: i32 = BASE + 4;
const SET_ADDDEST: i32 = BASE + 7;
const SET_DELDEST: i32 = BASE + 8;
const SET_EDITDEST: i32 = BASE + 9;
const SET_TIMEOUT: i32 = BASE + 10;
const SET_STARTDAEMON: i32 = BASE + 11;
const SET_STOPDAEMON: i32 = BASE + 12;
/// Reads [`INFO_LEN`] bytes; [`parse_service_count`].
pub const GET_INFO: i32 = BASE + 1;
/// Reads all services; [`prepare_services`], [`parse_service`].
pub const GET_SERVICES: i32 = BASE + 2;
/// Reads one service; [`prepare_service`], [`parse_destination_count`].
pub const GET_SERVICE: i32 = BASE + 3;
/// Reads all destinations of a service; [`prepare_destinations`], [`parse_destination`].
pub const GET_DESTS: i32 = BASE + 4;
/// Reads [`TIMEOUTS_LEN`] bytes; [`parse_timeouts`].
pub const GET_TIMEOUT: i32 = BASE + 6;
/// Reads [`DAEMONS_LEN`] bytes; [`parse_daemon`].
pub const GET_DAEMON: i32 = BASE + 7;

/// Length of `struct ip_vs_getinfo`.
pub const INFO_LEN: usize = size_of::<GetInfo>();
/// Length of `struct ip_vs_service_entry`.
pub const SERVICE_LEN: usize = size_of::<ServiceEntry>();
/// Length of `struct ip_vs_timeout_user`.
pub const TIMEOUTS_LEN: usize = size_of::<TimeoutUser>();
/// Length of two `struct ip_vs_daemon_user`.
pub const DAEMONS_LEN: usize = 2 * size_of::<DaemonUser>();

/// What this interface has no words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// An IPv6 service or server.
    Ipv6,
    /// A persistence engine.
    Engine,
    /// Another tunnel than IP in IP.
    Tunnel,
    /// Group, port, TTL or length of the sync daemon.
    Daemon,
    /// A table of more than [`limits::IPVS_SOCKOPT_ENTRIES_MAX`](crate::limits::IPVS_SOCKOPT_ENTRIES_MAX)
    /// entries.
    Room,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lacking::Ipv6 => "no IPv6 by socket options",
            Lacking::Engine => "no persistence engine by socket options",
            Lacking::Tunnel => "no tunnel but IP in IP by socket options",
            Lacking::Daemon => "no group, port, TTL or length of the sync daemon by socket options",
            Lacking::Room => "too many entries to read by socket options",
        })
    }
}

/// One `setsockopt`.
#[derive(Debug, Clone, Copy)]
pub struct Set {
    option: i32,
    bytes: [u8; DESTINATION_ARGUMENT],
    len: usize,
}

/// The longest argument: a service and a destination.
const DESTINATION_ARGUMENT: usize = size_of::<ServiceUser>() + size_of::<DestUser>();

impl Set {
    /// Which option.
    pub const fn option(&self) -> i32 {
        self.option
    }

    /// Its value; the kernel takes exactly this length (IPVS-90).
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn new(option: i32, len: usize) -> Self {
        Set { option, bytes: [0; DESTINATION_ARGUMENT], len }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.bytes, at, bytes);
    }
}

/// Makes or changes a service.
///
/// # Errors
/// It cannot be said.
pub fn emit_service(command: ServiceCommand, service: &Service) -> Result<Set, Lacking> {
    let option = match command {
        ServiceCommand::New => SET_ADD,
        ServiceCommand::Set => SET_EDIT,
    };
    if !service.engine.is_empty() {
        return Err(Lacking::Engine);
    }
    let mut set = service_set(option, size_of::<ServiceUser>(), &service.key)?;
    set.put(offset_of!(ServiceUser, sched_name), service.scheduler.as_bytes());
    set.put(offset_of!(ServiceUser, flags), &service.flags.to_ne_bytes());
    set.put(offset_of!(ServiceUser, timeout), &service.timeout.to_ne_bytes());
    set.put(offset_of!(ServiceUser, netmask), &netmask(false, service.prefix_len));
    Ok(set)
}

/// Removes a service with its destinations.
///
/// # Errors
/// It cannot be there.
pub fn emit_del_service(key: &ServiceKey) -> Result<Set, Lacking> {
    service_set(SET_DEL, size_of::<ServiceUser>(), key)
}

/// Makes, changes or removes a destination of a service.
///
/// # Errors
/// It cannot be said.
pub fn emit_destination(
    command: DestinationCommand,
    (key, destination): (&ServiceKey, &Destination),
) -> Result<Set, Lacking> {
    let (option, whole) = match command {
        DestinationCommand::New => (SET_ADDDEST, true),
        DestinationCommand::Set => (SET_EDITDEST, true),
        DestinationCommand::Del => (SET_DELDEST, false),
    };
    let mut set = service_set(option, DESTINATION_ARGUMENT, key)?;
    let base = size_of::<ServiceUser>();
    let address = ipv4(&destination.address)?;
    set.put(base + offset_of!(DestUser, addr), &address.ip().octets());
    set.put(base + offset_of!(DestUser, port), &address.port().to_be_bytes());
    if whole {
        match (destination.forward, destination.tunnel) {
            (Forwarding::Tunnel, Tunnel::Gue { .. } | Tunnel::Gre { .. }) => return Err(Lacking::Tunnel),
            (Forwarding::Tunnel, Tunnel::Ipip)
            | (
                Forwarding::Masquerade | Forwarding::Local | Forwarding::DirectRoute | Forwarding::Bypass,
                _,
            ) => {}
        }
        set.put(base + offset_of!(DestUser, conn_flags), &method(destination.forward).to_ne_bytes());
        set.put(base + offset_of!(DestUser, weight), &destination.weight.to_ne_bytes());
        set.put(base + offset_of!(DestUser, u_threshold), &destination.upper_threshold.to_ne_bytes());
        set.put(base + offset_of!(DestUser, l_threshold), &destination.lower_threshold.to_ne_bytes());
    }
    Ok(set)
}

/// Sets the timeouts; a zero keeps what is there.
pub fn emit_timeouts(timeouts: &Timeouts) -> Set {
    let mut set = Set::new(SET_TIMEOUT, TIMEOUTS_LEN);
    set.put(offset_of!(TimeoutUser, tcp_timeout), &timeouts.tcp.to_ne_bytes());
    set.put(offset_of!(TimeoutUser, tcp_fin_timeout), &timeouts.tcp_fin.to_ne_bytes());
    set.put(offset_of!(TimeoutUser, udp_timeout), &timeouts.udp.to_ne_bytes());
    set
}

/// Starts a sync daemon.
///
/// # Errors
/// More is wanted of it than can be said. What the kernel does anyway (224.0.0.81, 8848, TTL 1) may be
/// wanted.
pub fn emit_new_daemon((role, daemon): (DaemonRole, &Daemon)) -> Result<Set, Lacking> {
    let Daemon { interface, id, max_len, group, port, ttl } = daemon;
    let is_usual_group = group.is_none_or(|group| group == IpAddr::V4(DAEMON_GROUP));
    if !is_usual_group || *max_len != 0 || ![0, DAEMON_PORT].contains(port) || *ttl > 1 {
        return Err(Lacking::Daemon);
    }
    let mut set = daemon_set(SET_STARTDAEMON, role);
    set.put(offset_of!(DaemonUser, mcast_ifn), interface.as_bytes());
    set.put(offset_of!(DaemonUser, syncid), &u32::from(*id).to_ne_bytes());
    Ok(set)
}

/// Where the kernel sends when it is told nothing.
const DAEMON_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 81);
const DAEMON_PORT: u16 = 8848;

/// Ends a sync daemon.
pub fn emit_del_daemon(role: DaemonRole) -> Set {
    daemon_set(SET_STOPDAEMON, role)
}

fn daemon_set(option: i32, role: DaemonRole) -> Set {
    let mut set = Set::new(option, size_of::<DaemonUser>());
    set.put(offset_of!(DaemonUser, state), &state(role).to_ne_bytes());
    set
}

fn service_set(option: i32, len: usize, key: &ServiceKey) -> Result<Set, Lacking> {
    let mut set = Set::new(option, len);
    let identity = Identity::of(key)?;
    set.put(offset_of!(ServiceUser, protocol), &identity.protocol.to_ne_bytes());
    set.put(offset_of!(ServiceUser, addr), &identity.address.octets());
    set.put(offset_of!(ServiceUser, port), &identity.port.to_be_bytes());
    set.put(offset_of!(ServiceUser, fwmark), &identity.mark.to_ne_bytes());
    Ok(set)
}

/// What names a service.
struct Identity {
    protocol: u16,
    address: Ipv4Addr,
    port: u16,
    mark: u32,
}

impl Identity {
    fn of(key: &ServiceKey) -> Result<Self, Lacking> {
        match key {
            ServiceKey::Address { protocol, address } => {
                let address = ipv4(address)?;
                let (address, port) = (*address.ip(), address.port());
                Ok(Identity { protocol: protocol.number(), address, port, mark: 0 })
            }
            ServiceKey::Mark { ipv6: true, .. } => Err(Lacking::Ipv6),
            // A protocol is wanted all the same (IPVS-90: EFAULT otherwise).
            ServiceKey::Mark { mark, ipv6: false } => {
                let (address, protocol) = (Ipv4Addr::UNSPECIFIED, Protocol::Tcp.number());
                Ok(Identity { protocol, address, port: 0, mark: *mark })
            }
        }
    }
}

fn ipv4(address: &SocketAddr) -> Result<SocketAddrV4, Lacking> {
    match address {
        SocketAddr::V4(address) => Ok(*address),
        SocketAddr::V6(_) => Err(Lacking::Ipv6),
    }
}

/// How many services there are, from an answer to [`GET_INFO`].
///
/// # Errors
/// Cut.
pub fn parse_service_count(info: &[u8]) -> Result<u32, Malformed> {
    u32_at(info, offset_of!(GetInfo, num_services))
}

/// Length of a [`GET_SERVICES`] for so many services; the kernel takes exactly this (IPVS-90).
pub const fn services_len(count: usize) -> usize {
    offset_of!(GetServices, entrytable) + count.saturating_mul(SERVICE_LEN)
}

/// Writes the question of [`GET_SERVICES`] into its buffer of `services_len(count)` zeros.
pub fn prepare_services(buffer: &mut [u8], count: u32) {
    put(buffer, offset_of!(GetServices, num_services), &count.to_ne_bytes());
}

/// The service at `index` of an answer to [`GET_SERVICES`]. `None`: one of a protocol that vipd never makes,
/// or a place that the kernel left empty, because there are fewer than were counted.
///
/// # Errors
/// Cut, or a name that cannot be.
pub fn parse_service(answer: &[u8], index: usize) -> Result<Option<Service>, Malformed> {
    let at = offset_of!(GetServices, entrytable).saturating_add(index.saturating_mul(SERVICE_LEN));
    let entry = answer.get(at..).unwrap_or(&[]);
    let mark = u32_at(entry, offset_of!(ServiceEntry, fwmark))?;
    let key = match Protocol::from_number(u16_at(entry, offset_of!(ServiceEntry, protocol))?) {
        _ if mark != 0 => ServiceKey::Mark { mark, ipv6: false },
        Some(protocol) => {
            let address = address_at(entry, offset_of!(ServiceEntry, addr), offset_of!(ServiceEntry, port))?;
            ServiceKey::Address { protocol, address }
        }
        None => return Ok(None),
    };
    let scheduler: [u8; SCHEDULER_LEN] = bytes_at(entry, offset_of!(ServiceEntry, sched_name))?;
    Ok(Some(Service {
        key,
        scheduler: name(until_nul(&scheduler)).ok_or(Malformed::Value("ip_vs_service_entry.sched_name"))?,
        flags: u32_at(entry, offset_of!(ServiceEntry, flags))? & !SVC_F_HASHED,
        timeout: u32_at(entry, offset_of!(ServiceEntry, timeout))?,
        prefix_len: prefix_len(false, bytes_at(entry, offset_of!(ServiceEntry, netmask))?)?,
        engine: PersistenceEngine::new(),
    }))
}

/// Is the place at `index` of an answer to [`GET_SERVICES`] as it was before? Then there are no more services
/// than places.
pub fn is_free_service(answer: &[u8], index: usize) -> bool {
    let at = offset_of!(GetServices, entrytable).saturating_add(index.saturating_mul(SERVICE_LEN));
    is_zero(answer, at, SERVICE_LEN)
}

/// Writes the question of [`GET_SERVICE`].
///
/// # Errors
/// It cannot be there.
pub fn prepare_service(buffer: &mut [u8; SERVICE_LEN], key: &ServiceKey) -> Result<(), Lacking> {
    let Identity { protocol, address, port, mark } = Identity::of(key)?;
    put(buffer, offset_of!(ServiceEntry, protocol), &protocol.to_ne_bytes());
    put(buffer, offset_of!(ServiceEntry, addr), &address.octets());
    put(buffer, offset_of!(ServiceEntry, port), &port.to_be_bytes());
    put(buffer, offset_of!(ServiceEntry, fwmark), &mark.to_ne_bytes());
    Ok(())
}

/// How many destinations a service has, from an answer to [`GET_SERVICE`].
///
/// # Errors
/// Cut.
pub fn parse_destination_count(service: &[u8]) -> Result<u32, Malformed> {
    u32_at(service, offset_of!(ServiceEntry, num_dests))
}

/// Length of a [`GET_DESTS`] for so many destinations; the kernel takes exactly this (IPVS-90).
pub const fn destinations_len(count: usize) -> usize {
    offset_of!(GetDests, entrytable) + count.saturating_mul(size_of::<DestEntry>())
}

/// Writes the question of [`GET_DESTS`] into its buffer of `destinations_len(count)` zeros.
///
/// # Errors
/// It cannot be there.
pub fn prepare_destinations(buffer: &mut [u8], key: &ServiceKey, count: u32) -> Result<(), Lacking> {
    let Identity { protocol, address, port, mark } = Identity::of(key)?;
    put(buffer, offset_of!(GetDests, protocol), &protocol.to_ne_bytes());
    put(buffer, offset_of!(GetDests, addr), &address.octets());
    put(buffer, offset_of!(GetDests, port), &port.to_be_bytes());
    put(buffer, offset_of!(GetDests, fwmark), &mark.to_ne_bytes());
    put(buffer, offset_of!(GetDests, num_dests), &count.to_ne_bytes());
    Ok(())
}

/// The destination at `index` of an answer to [`GET_DESTS`]. `None`: a place that the kernel left empty,
/// because there are fewer than were counted, or some of IPv6, which it does not tell here. A weight above
/// 2^31 (B-102) comes as it is.
///
/// # Errors
/// Cut.
pub fn parse_destination(answer: &[u8], index: usize) -> Result<Option<DestinationEntry>, Malformed> {
    let at = offset_of!(GetDests, entrytable).saturating_add(index.saturating_mul(size_of::<DestEntry>()));
    let entry = answer.get(at..).unwrap_or(&[]);
    let address = address_at(entry, offset_of!(DestEntry, addr), offset_of!(DestEntry, port))?;
    let destination = Destination {
        address,
        forward: forwarding(u32_at(entry, offset_of!(DestEntry, conn_flags))?),
        tunnel: Tunnel::Ipip,
        weight: u32_at(entry, offset_of!(DestEntry, weight))?,
        upper_threshold: u32_at(entry, offset_of!(DestEntry, u_threshold))?,
        lower_threshold: u32_at(entry, offset_of!(DestEntry, l_threshold))?,
    };
    let told = DestinationEntry {
        destination,
        active_connections: u32_at(entry, offset_of!(DestEntry, activeconns))?,
        inactive_connections: u32_at(entry, offset_of!(DestEntry, inactconns))?,
    };
    // No destination has the address 0.0.0.0 (IPVS-43a).
    Ok((!address.ip().is_unspecified()).then_some(told))
}

/// As [`is_free_service`], of an answer to [`GET_DESTS`].
pub fn is_free_destination(answer: &[u8], index: usize) -> bool {
    let len = size_of::<DestEntry>();
    is_zero(answer, offset_of!(GetDests, entrytable).saturating_add(index.saturating_mul(len)), len)
}

/// An answer to [`GET_TIMEOUT`].
///
/// # Errors
/// Cut.
pub fn parse_timeouts(answer: &[u8]) -> Result<Timeouts, Malformed> {
    Ok(Timeouts {
        tcp: u32_at(answer, offset_of!(TimeoutUser, tcp_timeout))?,
        tcp_fin: u32_at(answer, offset_of!(TimeoutUser, tcp_fin_timeout))?,
        udp: u32_at(answer, offset_of!(TimeoutUser, udp_timeout))?,
    })
}

/// The daemon at `index` (0, 1) of an answer to [`GET_DAEMON`]; `None`: that one does not run.
///
/// # Errors
/// Cut, or a state or name that cannot be.
pub fn parse_daemon(answer: &[u8], index: usize) -> Result<Option<(DaemonRole, Daemon)>, Malformed> {
    let at = index.saturating_mul(size_of::<DaemonUser>());
    let entry = answer.get(at..).unwrap_or(&[]);
    let state = u32_at(entry, offset_of!(DaemonUser, state))?;
    if state == 0 {
        return Ok(None);
    }
    let interface: [u8; IFN_LEN] = bytes_at(entry, offset_of!(DaemonUser, mcast_ifn))?;
    let id = u32_at(entry, offset_of!(DaemonUser, syncid))?;
    let daemon = Daemon {
        interface: name(until_nul(&interface)).ok_or(Malformed::Value("ip_vs_daemon_user.mcast_ifn"))?,
        // What goes over the wire has 8 bits.
        id: (id & 0xff) as u8,
        max_len: 0,
        group: None,
        port: 0,
        ttl: 0,
    };
    Ok(Some((role(state)?, daemon)))
}

fn address_at(entry: &[u8], address: usize, port: usize) -> Result<SocketAddr, Malformed> {
    let address = Ipv4Addr::from(bytes_at::<4>(entry, address)?);
    let port = u16::from_be_bytes(bytes_at(entry, port)?);
    Ok(SocketAddr::V4(SocketAddrV4::new(address, port)))
}

fn is_zero(bytes: &[u8], at: usize, len: usize) -> bool {
    let place = bytes.get(at..).and_then(|rest| rest.get(..len));
    place.is_some_and(|place| place.iter().all(|byte| *byte == 0))
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|b| *b == 0).next().unwrap_or(&[])
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(to) = buffer.get_mut(at..).and_then(|to| to.get_mut(..bytes.len())) {
        to.copy_from_slice(bytes);
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).ok_or(Malformed::Short("IPVS answer"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    bytes_at(bytes, at).map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests;
