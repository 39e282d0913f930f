//! IPVS over generic netlink (`IPVS-*`; kernel header `linux/ip_vs.h`).

mod emit;
mod number;
mod parse;

pub use emit::{
    DestinationCommand, FAMILY, MESSAGE_MAX, ServiceCommand, emit_del_service, emit_destination,
    emit_dump_destinations, emit_dump_services, emit_service,
};
pub use parse::{parse_destination, parse_service};

use crate::limits;
use core::fmt;
use std::net::{IpAddr, SocketAddr};

/// Transport protocol of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// 6.
    Tcp,
    /// 17.
    Udp,
    /// 132.
    Sctp,
}

impl Protocol {
    /// IP protocol number.
    pub const fn number(self) -> u16 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// The reverse; `None` for what we never make.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

/// How packets reach a destination (IPVS-30b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// NAT; kernel value 0.
    Masquerade,
    /// The kernel's own word for a destination on this host; value 1. Never sent, only read.
    Local,
    /// IP-in-IP tunnel; value 2.
    Tunnel,
    /// Same segment, other MAC; value 3.
    DirectRoute,
    /// Value 4. Never sent, only read.
    Bypass,
}

impl Forwarding {
    /// The word of the configuration file and the status screen.
    pub const fn word(self) -> &'static str {
        match self {
            Forwarding::Masquerade => "nat",
            Forwarding::Local => "local",
            Forwarding::Tunnel => "tunnel",
            Forwarding::DirectRoute => "direct",
            Forwarding::Bypass => "bypass",
        }
    }
}

/// What names a service in the kernel's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// A protocol, an address and a port.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address and port.
        address: SocketAddr,
    },
    /// A firewall mark, for one address family.
    Mark {
        /// Not zero (IPVS-40f).
        mark: u32,
        /// IPv6?
        ipv6: bool,
    },
}

/// A service with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Which one.
    pub key: ServiceKey,
    /// Scheduler name.
    pub scheduler: heapless::String<{ limits::SCHEDULER_MAX }>,
    /// `IP_VS_SVC_F_*` that we set: persistent 0x1, one-packet 0x4, sched1-3 0x8, 0x10, 0x20. Never HASHED
    /// 0x2, which is the kernel's and which `parse` leaves out.
    pub flags: u32,
    /// Persistence in seconds, 0 for none.
    pub timeout: u32,
    /// Prefix length of the persistence mask: 1..=32, 1..=128 (IPVS-26); full length where unused.
    pub prefix_len: u8,
}

/// A destination with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// Which one.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forward: Forwarding,
    /// 0 = quiesced.
    pub weight: u32,
    /// 0 = no limit.
    pub upper_threshold: u32,
    /// 0 = three quarters of the upper one.
    pub lower_threshold: u32,
}

/// A destination as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationEntry {
    /// What was asked for.
    pub destination: Destination,
    /// Active connections.
    pub active_connections: u32,
    /// Inactive connections.
    pub inactive_connections: u32,
}

impl ServiceKey {
    /// IPv6?
    pub const fn is_ipv6(&self) -> bool {
        match self {
            ServiceKey::Address { address, .. } => address.is_ipv6(),
            ServiceKey::Mark { ipv6, .. } => *ipv6,
        }
    }

    /// The virtual address; `None` for a mark.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            ServiceKey::Address { address, .. } => Some(address.ip()),
            ServiceKey::Mark { .. } => None,
        }
    }
}
