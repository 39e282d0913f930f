//! A balanced service as the user asked for it.

use super::Name;
use crate::limits;
use crate::time::Duration;
use std::net::SocketAddr;

pub use crate::wire::ipvs::{Forwarding, Protocol};

/// Name of an IPVS scheduler (`rr`, `wlc`, ...); never empty, never `none` (IPVS-40b).
pub type Scheduler = heapless::String<{ limits::SCHEDULER_MAX }>;

/// Clients stick to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// How long after the last connection; whole seconds, 1 s ..= 31 days.
    pub timeout: Duration,
    /// Clients in one such net go to one server: IPv4 mask length 1..=32, IPv6 1..=128.
    pub prefix_len: u8,
}

/// Where clients go when no server is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorry {
    /// Its address.
    pub address: SocketAddr,
    /// How packets reach it; the service's method by default.
    pub forward: Forwarding,
}

/// `[[service]]`: a virtual service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The user's name for it.
    pub name: Name,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address and port that clients connect to. (Protocol, address, port) is unique.
    pub address: SocketAddr,
    /// Scheduler; `wlc` by default.
    pub scheduler: Scheduler,
    /// Persistence; off by default.
    pub persistence: Option<Persistence>,
    /// Sorry server.
    pub sorry: Option<Sorry>,
    /// True: servers are in the table before their first probe (keepalived's way, the default). False: only
    /// after their first success.
    pub start_up: bool,
    /// Servers in the order of the file; (address, port) is unique.
    pub servers: Vec<Server>,
}

/// `[[service.server]]`: one real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port.
    pub address: SocketAddr,
    /// 0..=65535; 1 by default.
    pub weight: u32,
    /// How packets reach it; the service's method by default.
    pub forward: Forwarding,
    /// How its health is found out; `None`: always taken as up.
    pub check: Option<Check>,
}

/// A checker: what to probe, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What one probe does.
    pub kind: CheckKind,
    /// From the start of a probe to the start of the next. 10 s by default.
    pub interval: Duration,
    /// One deadline for the whole probe, connection included (HC-1). 5 s by default.
    pub timeout: Duration,
    /// As `interval`, while failures are being counted. 1 s by default.
    pub retry_interval: Duration,
    /// Successes in a row until a server that is down is up. 1 by default.
    pub rise: u16,
    /// Failures in a row until a server that is up is down. 2 by default.
    pub fall: u16,
}

/// What one probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// Success = the connection is made (HC-20).
    Tcp,
    /// Success = the page comes with a wanted status and digest (HC-11).
    Http(HttpCheck),
    /// Success = an echo reply. The port of the address has no meaning.
    Ping,
    /// Success = an answer without an error, by UDP.
    Dns(DnsCheck),
}

/// What a DNS probe asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsCheck {
    /// The name, without the last dot; empty for the root.
    pub name: String,
    /// Record type, as on the wire: A 1, NS 2, SOA 6, AAAA 28, ...
    pub kind: u16,
}

/// What an HTTP probe asks for and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// Begins with `/`; no white space, no control characters.
    pub path: String,
    /// `Host` header; `address:port` where not given (HC-10).
    pub virtual_host: Option<String>,
    /// Any of these is wanted; 200-299 by default. Never empty.
    pub status: Vec<StatusRange>,
    /// MD5 of the body, where wanted.
    pub digest: Option<[u8; 16]>,
}

/// First and last wanted status, 100..=599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// First.
    pub first: u16,
    /// Last, not below `first`.
    pub last: u16,
}
