//! What the daemon says of itself: plain shapes that the engine fills and `control` prints.
//!
//! Everything is an age or a length of time, never a date: these boxes have no clock worth the name.

use super::{
    Cidr, DaemonRole, Family, Front, IfName, Method, Name, Persistence, Protocol, Reason, Scheduler,
    ServerAddress, Text, Version, diagnostic::Level,
};
use crate::time::Duration;
use std::net::{IpAddr, SocketAddr};

/// Everything that `vipd status` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// `[global] router_name`, or the host name.
    pub router_name: Name,
    /// Since the daemon started.
    pub up: Duration,
    /// In the order of the configuration.
    pub instances: Vec<InstanceStatus>,
    /// In the order of the configuration.
    pub groups: Vec<GroupStatus>,
    /// In the order of the configuration.
    pub trackers: Vec<TrackerStatus>,
    /// Programs that were run for notifications, hooks and services: only those that have run or wait.
    pub runs: Vec<RunStatus>,
    /// In the order of the configuration.
    pub services: Vec<ServiceStatus>,
    /// What somebody should do something about, each with what to do.
    pub problems: Vec<Text>,
    /// Is the kernel's IPVS there? `None` where no service needs it.
    pub ipvs: Option<IpvsStatus>,
    /// The mail queue; `None` without `[mail]`.
    pub mail: Option<MailStatus>,
    /// Turns of the loop that came late, and the worst of them.
    pub stalls: Stalls,
    /// Packets that belong to no instance: (rung of the ladder, how many), zeros left out.
    pub dropped: Vec<(&'static str, u32)>,
    /// Adverts of virtual routers that are not configured here: VRID, sender, how long ago. The last few.
    pub foreign: Vec<(u8, IpAddr, Duration)>,
}

/// State of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Not taking part yet, or no more.
    Initialize,
    /// Another router is Active, or nobody yet.
    Backup,
    /// This router holds the addresses.
    Active,
    /// Cannot take part; the causes say why.
    Fault,
}

impl InstanceState {
    /// The word for logs and the status screen.
    pub const fn word(self) -> &'static str {
        match self {
            InstanceState::Initialize => "Init",
            InstanceState::Backup => "Backup",
            InstanceState::Active => "Active",
            InstanceState::Fault => "Fault",
        }
    }

    /// keepalived's word, for mails and scripts.
    pub const fn keepalived_word(self) -> &'static str {
        match self {
            InstanceState::Initialize => "STOP",
            InstanceState::Backup => "BACKUP",
            InstanceState::Active => "MASTER",
            InstanceState::Fault => "FAULT",
        }
    }
}

/// One VRRP instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceStatus {
    /// Its name.
    pub name: Name,
    /// Its interface.
    pub interface: IfName,
    /// Its VRID.
    pub vrid: u8,
    /// Family of its adverts.
    pub family: Family,
    /// Its protocol version.
    pub version: Version,
    /// Its sync group.
    pub group: Option<Name>,
    /// Its state.
    pub state: InstanceState,
    /// Time in that state.
    pub since: Duration,
    /// Why it is in that state.
    pub cause: Text,
    /// Priority in the configuration.
    pub priority: u8,
    /// Priority in use (differs where trackers say so).
    pub effective_priority: u8,
    /// What makes the difference: (tracker, contribution), zeros left out. `80 = 130 - 50 wan`.
    pub contributions: Vec<(Name, i32)>,
    /// All reasons for Fault; the first is the `cause`. Empty in other states.
    pub faults: Vec<Text>,
    /// What it waits for, where that is no silent Active router: `preempts in 12s`, `start delay, 3s left`.
    pub waits: Option<Text>,
    /// Interval between our adverts.
    pub advert_interval: Duration,
    /// Unicast peers; empty with multicast.
    pub peers: Vec<IpAddr>,
    /// Name and MAC of its macvlan.
    pub virtual_mac: Option<(IfName, [u8; 6])>,
    /// Others that claimed to be Active while we were: how often, and the last one (split brain).
    pub rivals: u32,
    /// MAC of the last of them, or of the Active router that we obey.
    pub active_mac: Option<[u8; 6]>,
    /// Backup: the Active router, as its adverts say, even where we shall take over from it. Active: another
    /// router that claimed to be Active, too, and when it did so last.
    pub active_router: Option<PeerStatus>,
    /// The VIPs and whether each is on the box.
    pub addresses: Vec<AddressStatus>,
    /// Its routes and rules, likewise.
    pub routes: Vec<RouteStatus>,
    /// Counters.
    pub counters: InstanceCounters,
    /// Last few senders whose packets were dropped, and why.
    pub rejected: Vec<RejectedPeer>,
}

/// Another router, heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// Source address of its adverts.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// How long ago its last valid advert came.
    pub heard: Duration,
}

/// Whose packets were dropped last, for which reason, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedPeer {
    /// Source address of the packets.
    pub address: IpAddr,
    /// Why, and what to change on which side.
    pub why: Text,
    /// How often.
    pub count: u32,
    /// How long ago the last one came.
    pub last: Duration,
}

/// One virtual address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressStatus {
    /// The address.
    pub address: Cidr,
    /// Is it on the box?
    pub present: bool,
    /// How often somebody else removed it and it was put back.
    pub put_back: u32,
}

/// One virtual route or rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStatus {
    /// As a person would write it.
    pub text: Text,
    /// Is it in the kernel's table?
    pub present: bool,
    /// How often somebody else removed it and it was put back.
    pub put_back: u32,
}

/// One sync group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// Its name.
    pub name: Name,
    /// Its state: that of its members, or why they differ for the moment.
    pub state: InstanceState,
    /// Time in that state.
    pub since: Duration,
    /// Its members.
    pub members: Vec<Name>,
}

/// One tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Its name.
    pub name: Name,
    /// `interface`, `script`, `file`, `process`, `address`, `route` or `path`.
    pub kind: &'static str,
    /// `None`: not known yet.
    pub up: Option<bool>,
    /// Does it take something from anybody who uses it: down for one that wants it up, up for one with
    /// `reverse`, a number that subtracts or makes unfit? Then the router is degraded.
    pub hurts: bool,
    /// The number of a file, how many processes.
    pub value: Option<i64>,
    /// Time in that state.
    pub since: Duration,
    /// Why it is down: `exited with 1`, `no answer in 1s`; empty while it is up.
    pub reason: Reason,
    /// How long ago the last run or probe ended, and how long it took.
    pub last: Option<(Duration, Duration)>,
    /// Runs or probes that passed.
    pub passed: u32,
    /// Runs or probes that failed.
    pub failed: u32,
    /// Who uses it.
    pub used_by: Vec<Name>,
}

/// A queue of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// For whom: an instance, a group, a balanced service, a service of this box.
    pub subject: Name,
    /// Of the balanced service, this server, where it is about one.
    pub server: Option<ServerAddress>,
    /// `notify`, `notify_group`, `notify_service`, `notify_server`, `pre_active`, `service` (of this box).
    pub what: &'static str,
    /// Is one running now, and for how long?
    pub running: Option<Duration>,
    /// How many wait.
    pub waiting: u32,
    /// How many were passed over because a newer state came.
    pub collapsed: u32,
    /// How the last one ended: `exited with 1`, `killed after 10s`; empty before the first.
    pub outcome: Text,
    /// Did it fail?
    pub failed: bool,
    /// How long ago it ended, and how long it took.
    pub last: Option<(Duration, Duration)>,
}

/// Counters of an instance. `dropped` has one counter for each rung of the ladder (protocols §1.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceCounters {
    /// Valid adverts received.
    pub adverts_received: u32,
    /// Adverts sent.
    pub adverts_sent: u32,
    /// Times this router became Active.
    pub became_active: u32,
    /// Times it stopped being Active.
    pub released_active: u32,
    /// Resignations (priority 0) received.
    pub priority_zero_received: u32,
    /// Resignations sent.
    pub priority_zero_sent: u32,
    /// Adverts with a good HMAC trailer received.
    pub signed_received: u32,
    /// Adverts without a good one, accepted because of the mode.
    pub unsigned_accepted: u32,
    /// Valid adverts of lower priority heard while Active.
    pub lower_priority_received: u32,
    /// Adverts whose address list differs from ours (accepted all the same; RX-19).
    pub address_list_mismatch: u32,
    /// v3/IPv4 adverts with the checksum form that we do not send (accepted; PKT-35).
    pub other_checksum_form: u32,
    /// v3 adverts whose interval differs from ours (accepted; RX-17).
    pub interval_differs: u32,
    /// (rung, packets dropped there), zeros left out.
    pub dropped: Vec<(&'static str, u32)>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: Name,
    /// Its protocol.
    pub protocol: Protocol,
    /// What clients connect to.
    pub front: Front,
    /// Its scheduler.
    pub scheduler: Scheduler,
    /// Clients stick to a server.
    pub persistence: Option<Persistence>,
    /// Is the sorry server in the table in place of the servers?
    pub sorry_active: bool,
    /// The sorry server, where there is one.
    pub sorry: Option<SocketAddr>,
    /// Is it in the kernel's table?
    pub installed: bool,
    /// In the order of the configuration.
    pub servers: Vec<ServerStatus>,
    /// Active connections, all servers, as of the last reading of the table; the sorry server's included.
    pub active_connections: u64,
    /// The servers that are up must weigh so much together.
    pub quorum: u32,
    /// So much more to gain it, so much less to lose it.
    pub hysteresis: u32,
    /// Is it held?
    pub has_quorum: bool,
    /// None of its addresses is on this box, and it is configured to rest then (`suspend`).
    pub suspended: bool,
    /// Since the quorum was last gained or lost.
    pub since: Duration,
}

impl ServiceStatus {
    /// What clients connect to, in short: `10.0.0.100:80`, `mark 7`, `group pool`.
    pub fn front_text(&self) -> Text {
        match &self.front {
            Front::Address(address) => super::cut(format_args!("{address}")),
            Front::Mark { mark, ipv6: false } => super::cut(format_args!("mark {mark}")),
            Front::Mark { mark, ipv6: true } => super::cut(format_args!("mark {mark} ipv6")),
            Front::Group { name, .. } => super::cut(format_args!("group {name}")),
        }
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// Where it is, as configured.
    pub address: ServerAddress,
    /// The address that its name has; `None` while that is not known.
    pub resolved: Option<SocketAddr>,
    /// How packets reach it.
    pub method: Method,
    /// Weight now: the configured one, and what its checks make of it.
    pub weight: u32,
    /// Weight in the configuration.
    pub configured_weight: u32,
    /// The operator lets it run dry (`vipd drain`).
    pub draining: bool,
    /// Does it take part, as far as its checker knows? (No verdict yet counts as configured by `start_up`.)
    pub up: bool,
    /// Has its checker come to a verdict at all?
    pub known: bool,
    /// Is it in the kernel's table?
    pub installed: bool,
    /// Time in that state.
    pub since: Duration,
    /// Why the last probe failed; empty after a success.
    pub reason: Reason,
    /// Probes passed and failed.
    pub passed: u32,
    /// Probes failed.
    pub failed: u32,
    /// How long ago the last probe ended; `None` before the first or without a check.
    pub probed: Option<Duration>,
    /// Time of the last good probe.
    pub probe_time: Option<Duration>,
    /// Connections as of the last reading of the table.
    pub active_connections: u32,
    /// Inactive connections, likewise.
    pub inactive_connections: u32,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckStatus>,
}

/// One check of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckStatus {
    /// `tcp`, `http`, `https`, `smtp`, `ping`, `dns`, `udp`, `script`, `file`.
    pub kind: &'static str,
    /// Does it pass?
    pub up: bool,
    /// Has it come to a verdict at all?
    pub known: bool,
    /// Why the last probe failed; empty after a success.
    pub reason: Reason,
    /// Probes passed.
    pub passed: u32,
    /// Probes failed.
    pub failed: u32,
    /// How long ago the last probe ended.
    pub probed: Option<Duration>,
    /// Time of the last good probe.
    pub probe_time: Option<Duration>,
    /// What it adds to the weight.
    pub weight: i32,
}

/// The kernel's IPVS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpvsStatus {
    /// Does it answer?
    pub present: bool,
    /// Why not, and what to install or to enable.
    pub why: Text,
    /// Entries of ours that somebody else changed or removed and that were put right.
    pub repaired: u32,
    /// Commands that the kernel refused.
    pub refused: u32,
    /// It is talked to by socket options.
    pub sockopt: bool,
    /// Roles in which the sync daemon runs.
    pub sync: Vec<DaemonRole>,
}

/// The mail queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailStatus {
    /// Waiting.
    pub waiting: u32,
    /// Handed over.
    pub sent: u32,
    /// Tries that failed.
    pub failed: u32,
    /// Given up or pushed out of the full queue.
    pub lost: u32,
    /// Why the last try failed; empty after a success.
    pub reason: Reason,
}

/// Turns of the loop that came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stalls {
    /// How many came later than the shortest advert interval (100 ms where there is none).
    pub count: u32,
    /// The worst.
    pub worst: Duration,
}

/// One line of `vipd events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// How long ago.
    pub age: Duration,
    /// How much it matters: `Error` is worth waking somebody, `Warning` is not as it should be, `Note` is a
    /// change.
    pub level: Level,
    /// A stable word for scripts: `instance`, `server`, `service`, `address`, `route`, `rule`, `ipvs`,
    /// `mail`, `daemon`, `reload`, `program`, `track`, `group`.
    pub kind: &'static str,
    /// Whom it is about: an instance's or a service's name; empty for the daemon.
    pub subject: Name,
    /// What happened, and why.
    pub text: Text,
}
