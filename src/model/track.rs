//! Trackers: what an instance looks at to know how fit it is.

use super::{CheckKind, Cidr, Command, IfName, Name};
use crate::time::Duration;
use std::net::{IpAddr, SocketAddr};

/// `[[track]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// The user's name for it; unique among trackers.
    pub name: Name,
    /// What is looked at.
    pub kind: TrackKind,
}

/// A tracker in use by an instance or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackUse {
    /// Index in `Config::tracks`.
    pub track: usize,
    /// -253..=253. Positive: added while it is up. Negative: added while it is down. Zero: Fault while it is
    /// down. Of a file: its number is multiplied by this (zero: Fault while it is not zero).
    pub weight: i16,
    /// The contribution with its sign turned; with weight zero: Fault while it is up.
    pub reverse: bool,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackKind {
    /// Is the interface up and running?
    Interface {
        /// Which; a port of a bridge as well.
        interface: IfName,
    },
    /// Does a command exit with 0?
    Script {
        /// The command; killed at its timeout, which counts as a failure.
        command: Command,
        /// From start to start.
        interval: Duration,
        /// Successes in a row until it is up again; 1 by default.
        rise: u16,
        /// Failures in a row until it is down; 1 by default.
        fall: u16,
    },
    /// The number in a file.
    File {
        /// Absolute path. Not there: as 0.
        path: String,
    },
    /// Are there enough processes of a program?
    Process {
        /// What the process is called: the last part of its path, or all of it where it has a `/`: that
        /// of its executable file, or the one by which it was started.
        process: String,
        /// Its arguments, where they count; compared with the first ones of the process.
        arguments: Vec<String>,
        /// At least so many, 1 by default.
        quorum: u32,
        /// At most so many.
        quorum_max: Option<u32>,
        /// Enough only after so long; zero by default.
        up_delay: Duration,
        /// Too few only after so long; zero by default.
        down_delay: Duration,
    },
    /// Is an address on the box?
    Address {
        /// Which.
        address: IpAddr,
        /// On this interface; on any where not given.
        interface: Option<IfName>,
    },
    /// Is a route in the table?
    Route {
        /// Exactly this net.
        destination: Cidr,
        /// By this next hop; by any where not given.
        gateway: Option<IpAddr>,
        /// Through this interface; through any where not given.
        interface: Option<IfName>,
        /// In this table.
        table: u32,
    },
    /// Does a far end answer?
    Path {
        /// Where; the port of a ping is 0.
        target: SocketAddr,
        /// Ping, TCP or DNS.
        probe: CheckKind,
        /// From start to start; 1 s by default.
        interval: Duration,
        /// One deadline for the whole probe; 1 s by default.
        timeout: Duration,
        /// Successes in a row until it is up again; 3 by default.
        rise: u16,
        /// Failures in a row until it is down; 3 by default.
        fall: u16,
        /// Stays as it is for at least so long after a change; zero by default.
        hold: Duration,
        /// Source address of the probes.
        source: Option<IpAddr>,
        /// The probes leave through this interface.
        interface: Option<IfName>,
    },
}
