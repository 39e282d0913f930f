//! What the user asked for: plain, validated data with its ranges in the types.
//!
//! `config` builds a [`Config`] from a text, `engine` lives by it. Nothing here knows a text format or what
//! is going on at run time; [`status`] holds the plain shapes in which the engine tells it and `control`
//! prints it.

mod balance;
mod diagnostic;
mod net;
pub mod status;
mod vrrp;

pub use balance::{
    Check, CheckKind, Forwarding, HttpCheck, Persistence, Protocol, Scheduler, Server, Service, Sorry,
    StatusRange,
};
pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use net::{Cidr, IfName, Name, Reason, Text, cut};
pub use vrrp::{AuthPass, Authentication, ChecksumForm, Garp, Instance, Priority, Version, Vrid};

use crate::time::Duration;
use std::net::SocketAddr;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `[global]`.
    pub global: Global,
    /// `[mail]`; `None` sends none.
    pub mail: Option<Mail>,
    /// `[[vrrp]]`, in the order of the file; names are unique, and so is (interface, VRID).
    pub instances: Vec<Instance>,
    /// `[[service]]`, in the order of the file; names and keys are unique.
    pub services: Vec<Service>,
    /// `[ipvs]`.
    pub ipvs: Ipvs,
}

/// `[global]`: who we are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Global {
    /// Name of this router in mails and on the status screen; the host name where not given (`None`).
    pub router_name: Option<Name>,
}

/// `[mail]`: where state changes are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The mail server.
    pub server: SocketAddr,
    /// Envelope and header sender.
    pub from: String,
    /// Recipients, at least one.
    pub to: Vec<String>,
    /// For the whole conversation, connection included.
    pub timeout: Duration,
    /// The name given in HELO; the router name where not given.
    pub helo: Option<String>,
}

/// `[ipvs]`: how the kernel's table is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipvs {
    /// Leave our entries in the table at a clean exit (`keep = true`).
    pub keep: bool,
    /// How often the kernel's table is read and compared with what it should hold.
    pub watch_interval: Duration,
}

impl Default for Ipvs {
    fn default() -> Self {
        Ipvs { keep: false, watch_interval: Duration::from_secs(10) }
    }
}
