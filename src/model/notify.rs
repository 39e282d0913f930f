//! Who is told of changes, and what is run.

use crate::time::Duration;

/// A program with its arguments; no shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command {
    /// Absolute path of the program, then its arguments.
    pub argv: Vec<String>,
    /// As this user; vipd's own where not given. `config` has put `[global] script_user` here already, but
    /// for services that run while Active, which vipd's own user starts.
    pub user: Option<String>,
    /// As this group; the user's own where not given.
    pub group: Option<String>,
    /// Killed after so long: SIGTERM to its process group, SIGKILL 2 s later. `Duration::MAX`: never, for
    /// what runs as long as vipd. 30 s by default, `pre_active` 1 s, `start_script` and `stop_script` 10 s.
    pub timeout: Duration,
}

/// Whom to tell of an instance or a sync group. Specific commands get no arguments of ours; the generic one
/// gets `INSTANCE|GROUP NAME STATE PRIORITY` in keepalived's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// It became Active (`notify_master`).
    pub active: Option<Command>,
    /// It became Backup.
    pub backup: Option<Command>,
    /// It is in Fault.
    pub fault: Option<Command>,
    /// The daemon ends.
    pub stop: Option<Command>,
    /// It is no more part of the configuration; `fault`'s where not given, as keepalived does.
    pub deleted: Option<Command>,
    /// A lower-priority router was heard while Active (split brain; `notify_master_rx_lower_pri`).
    pub lower_priority: Option<Command>,
    /// Any of these, with arguments.
    pub any: Option<Command>,
    /// Tell `any` and the FIFOs of priority changes, too.
    pub priority_changes: bool,
    /// Mail; `None`: where `[mail]` is configured.
    pub mail: Option<bool>,
}

/// A service of this box that follows the state of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervised {
    /// How it is called in `status`.
    pub name: super::Name,
    /// Starts it; doing it twice must be harmless. `/etc/init.d/NAME start` by default.
    pub start: Command,
    /// Stops it; likewise.
    pub stop: Command,
}

/// A named pipe that is told of every change, one line each (keepalived's `notify_fifo`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fifo {
    /// Absolute path; made where it is not there.
    pub path: String,
    /// Owner of the pipe that vipd makes.
    pub user: Option<String>,
    /// Group of the pipe that vipd makes.
    pub group: Option<String>,
    /// A reader that runs as long as vipd does; gets the path as its last argument.
    pub script: Option<Command>,
}

/// Which changes a FIFO is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FifoKind {
    /// All.
    All,
    /// Instances and groups.
    Vrrp,
    /// Services and servers.
    Balance,
}

/// `[notify]`: the pipes of the whole daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fifos {
    /// `notify_fifo`.
    pub all: Option<Fifo>,
    /// `vrrp_notify_fifo`.
    pub vrrp: Option<Fifo>,
    /// `lvs_notify_fifo`.
    pub balance: Option<Fifo>,
}

/// `[realtime]`: optional, off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Realtime {
    /// SCHED_RR priority 1..=99.
    pub priority: Option<u8>,
    /// Keep all memory resident (mlockall).
    pub lock_memory: bool,
}
