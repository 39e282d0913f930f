//! What the user asked for: plain, validated data with its ranges in the types.
//!
//! `config` builds a [`Config`] from a text, `engine` lives by it. Nothing here knows a text format or what
//! is going on at run time; [`status`] holds the plain shapes in which the engine tells it and `control`
//! prints it.

mod address;
mod balance;
mod diagnostic;
mod nearest;
mod net;
mod notify;
mod shared;
pub mod status;
mod track;
mod vrrp;

pub use address::{
    AddressOptions, METRIC_IPV6, Route, RouteKind, Rule, RuleAction, Scope, TABLE_MAIN, VirtualAddress,
};

pub use balance::{
    Check, CheckKind, Daemon, DaemonRole, DnsCheck, FileCheck, Forwarding, Front, HttpCheck, HttpPage,
    HttpVersion, Ipvs, IpvsInterface, IpvsSetting, IpvsValue, Method, PageRegex, Persistence,
    PersistenceEngine, ProbeVia, Protocol, Scheduler, ScriptCheck, Server, ServerAddress, Service,
    ServiceKey, SmtpCheck, Sorry, StatusRange, SyncDaemon, Timeouts, TlsCheck, Tunnel, TunnelChecksum,
    UdpCheck,
};
pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use nearest::{nearest, slips};
pub use net::{Cidr, IfName, Name, Reason, Text, cut};
pub use notify::{Command, Fifo, FifoKind, Fifos, Notify, Realtime, Supervised};
pub use shared::Shared;
pub use track::{Track, TrackKind, TrackUse};
pub use vrrp::{
    AntiReplay, AuthPass, Authentication, ChecksumForm, Family, Garp, GarpForm, Hmac, HmacKey, HmacMode,
    Instance, Peer, Priority, SyncGroup, Unicast, Version, VirtualMac, Vrid, default_group, virtual_mac,
};

use crate::time::Duration;
use std::net::SocketAddr;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `[global]`.
    pub global: Global,
    /// `[mail]`; `None` sends none.
    pub mail: Option<Mail>,
    /// `[[vrrp]]`, in the order of the file; names are unique, and so is (interface, family, VRID) but for
    /// unicast instances without a common peer.
    pub instances: Vec<Instance>,
    /// `[[sync_group]]`, in the order of the file.
    pub groups: Vec<SyncGroup>,
    /// `[[track]]`, in the order of the file.
    pub tracks: Vec<Track>,
    /// `[static]`: on the box as long as the daemon runs. Each names its interface.
    pub static_addresses: Vec<VirtualAddress>,
    /// `[static]`.
    pub static_routes: Vec<Route>,
    /// `[static]`.
    pub static_rules: Vec<Rule>,
    /// `[notify]`.
    pub fifos: Fifos,
    /// `[realtime]`.
    pub realtime: Realtime,
    /// `[[service]]`, in the order of the file; names and keys are unique.
    pub services: Vec<Shared<Service>>,
    /// `[ipvs]`.
    pub ipvs: Ipvs,
}

/// `[global]`: who we are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Global {
    /// Name of this router in mails and on the status screen; the host name where not given (`None`).
    pub router_name: Option<Name>,
    /// Announcements a second on these interfaces (ARP-42); `limits::ANNOUNCE_PER_SECOND` on others.
    pub announce_rates: Vec<(IfName, u32)>,
    /// Also run when the daemon starts, before anything else is done, for at most its timeout.
    pub start_script: Option<Command>,
    /// Also run when the daemon has left, for at most its timeout.
    pub stop_script: Option<Command>,
}

/// `[mail]`: where state changes are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The mail server.
    pub server: MailServer,
    /// Envelope and header sender.
    pub from: String,
    /// Recipients, at least one.
    pub to: Vec<String>,
    /// For the whole conversation, connection included.
    pub timeout: Duration,
    /// The name given in HELO; the router name where not given.
    pub helo: Option<String>,
}

/// Where mails go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailServer {
    /// Address and port.
    Ip(SocketAddr),
    /// A name that is looked up for each try: the best of its addresses, of either family.
    Name {
        /// Host name, at most [`crate::limits::HOST_NAME_MAX`] bytes.
        host: String,
        /// Port.
        port: u16,
    },
}

impl MailServer {
    /// The name to look up, if it is one.
    pub fn host(&self) -> Option<&str> {
        match self {
            MailServer::Ip(_) => None,
            MailServer::Name { host, .. } => Some(host),
        }
    }
}

impl core::fmt::Display for MailServer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            MailServer::Ip(address) => address.fmt(f),
            MailServer::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}
