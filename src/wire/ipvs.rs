//! IPVS over generic netlink, and in [`sockopt`] over socket options (`IPVS-*`; kernel header
//! `linux/ip_vs.h`).

mod emit;
mod number;
mod parse;
pub mod sockopt;
mod whole;

pub use emit::{
    DestinationCommand, FAMILY, MESSAGE_MAX, ServiceCommand, emit_del_service, emit_destination,
    emit_dump_destinations, emit_dump_services, emit_service,
};
pub use parse::{parse_destination, parse_service};
pub use whole::{
    emit_del_daemon, emit_dump_daemons, emit_get_timeouts, emit_new_daemon, emit_set_timeouts, parse_daemon,
    parse_timeouts,
};

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

/// How a tunnel wraps packets (IPVS-30i..k; Linux 5.2 and newer for all but `Ipip`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tunnel {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// UDP port of the server, not zero.
        port: u16,
        /// Checksum of the outer header.
        checksum: TunnelChecksum,
    },
    /// GRE; the remote checksum has no meaning here.
    Gre {
        /// Checksum of the outer header.
        checksum: TunnelChecksum,
    },
}

/// Checksum of a tunnel's outer header (IPVS-30k).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TunnelChecksum {
    /// None.
    #[default]
    None,
    /// Computed.
    Full,
    /// Remote checksum offload.
    Remote,
}

/// Name of a persistence engine (`sip`; IPVS-26b).
pub type PersistenceEngine = heapless::String<16>;

/// Timeouts of connections in seconds, 0..=2^31/1000: SET_CONFIG and GET_CONFIG. Zero keeps what is there
/// (IPVS-45b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Established TCP.
    pub tcp: u32,
    /// TCP after a FIN.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

/// Role of the sync daemon; each may run beside the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DaemonRole {
    /// Tells its connections; value 1.
    Master,
    /// Takes in what is told; value 2.
    Backup,
}

/// The sync daemon's parameters (NEW_DAEMON, GET_DAEMON).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Interface for the multicast.
    pub interface: heapless::String<{ limits::IFNAME_MAX }>,
    /// 0..=255; the same on both routers.
    pub id: u8,
    /// Longest datagram in bytes; 0: the kernel's choice.
    pub max_len: u16,
    /// Multicast group; `None`: 224.0.0.81.
    pub group: Option<IpAddr>,
    /// UDP port; 0: 8848.
    pub port: u16,
    /// TTL or hop limit of the multicast; 0: 1.
    pub ttl: u8,
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
    /// Persistence engine; empty for none.
    pub engine: PersistenceEngine,
}

/// A destination with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// Which one.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forward: Forwarding,
    /// With `Forwarding::Tunnel`: which tunnel.
    pub tunnel: Tunnel,
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
