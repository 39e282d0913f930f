//! What comes in: events, and the values in them.

use super::HeldTimeouts;
#[cfg(doc)]
use super::{Action, IpvsRequest, WholeRequest};
use crate::limits;
use crate::model::{CheckKind, Cidr, Command, Config, IfName, Reason, RouteKind, Rule, Scope, Text};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::sockopt::Lacking;
use crate::wire::ipvs::{Daemon, DaemonRole, DestinationEntry, Service, ServiceKey, Timeouts};
use crate::wire::vrrp::Family;
use std::net::{IpAddr, SocketAddr};

/// Something that happened. `'a`: bytes are borrowed from the caller's buffer.
#[derive(Debug)]
pub enum Event<'a> {
    /// `next_deadline` has come. (Every other event may be handed in at any time, too.)
    Tick,
    /// An interface is there, or has changed.
    Link(Link),
    /// An interface is gone.
    LinkGone {
        /// Its index.
        index: u32,
    },
    /// An address of an interface, as the kernel tells it.
    Address {
        /// Interface index.
        index: u32,
        /// The address. With a peer as one host (/32, /128): the kernel's prefix length is the peer's then.
        cidr: Cidr,
        /// There, or gone.
        change: AddressChange,
    },
    /// A route came or went. Told only after [`Action::WatchRoutes`].
    Route {
        /// The route.
        route: KernelRoute,
        /// There (new, or told by a dump), or gone.
        is_present: bool,
    },
    /// A policy rule came or went. Told only after [`Action::WatchRoutes`].
    Rule {
        /// The rule, as far as it can be configured.
        rule: Rule,
        /// Its FRA_PROTOCOL is ours.
        ours: bool,
        /// There (new, or told by a dump), or gone.
        is_present: bool,
    },
    /// The kernel's links and addresses (and routes and rules, where they are watched) are about to be told
    /// anew: at start, and after lost notifications. What is not told until `DumpEnd` is gone.
    DumpStart,
    /// All has been told.
    DumpEnd,
    /// An Ethernet frame came in on the VRRP socket of an interface.
    Frame {
        /// Interface index.
        index: u32,
        /// The whole frame, from the destination MAC.
        bytes: &'a [u8],
        /// The kernel had more than the buffer (MSG_TRUNC; B-67).
        truncated: bool,
    },
    /// A frame of [`Action::Transmit`] could not be sent.
    TransmitFailed {
        /// Interface index.
        index: u32,
        /// Why.
        refusal: Refusal,
    },
    /// [`Action::Listen`] could not be done.
    ListenFailed {
        /// Which ear.
        ear: Ear,
        /// Why.
        why: Text,
    },
    /// Result of [`Action::AddAddress`] or [`Action::RemoveAddress`].
    AddressResult {
        /// Interface index.
        index: u32,
        /// Which address.
        cidr: Cidr,
        /// What was asked.
        op: AddressOp,
        /// How it went.
        result: Result<(), Refusal>,
    },
    /// Result of [`Action::ChangeRoute`] or [`Action::ChangeRule`].
    RouteResult {
        /// That of the action.
        token: u32,
        /// How it went.
        result: Result<(), Refusal>,
    },
    /// Result of [`Action::MakeMacvlan`], [`Action::SetLink`] or [`Action::RemoveLink`]: only failures are
    /// told, success is seen by [`Event::Link`].
    LinkFailed {
        /// Name of the link.
        name: LinkName,
        /// Why.
        refusal: Refusal,
    },
    /// A program of [`Action::Run`] ended.
    Ran {
        /// As in the action. A result with an id that was given up changes nothing.
        id: RunId,
        /// How.
        outcome: RunOutcome,
        /// From its start to its end.
        took: Duration,
    },
    /// The number in a tracked file; told at start, after a reload and at every change.
    TrackedFile {
        /// Index in `Config::tracks`.
        track: usize,
        /// Its number; 0 where the file is not there. An error where it holds no number.
        value: Result<i32, Reason>,
    },
    /// How many processes a tracker counts; told at start, after a reload and at every change.
    TrackedProcess {
        /// Index in `Config::tracks`.
        track: usize,
        /// How many, or why they cannot be counted.
        count: Result<u32, Reason>,
    },
    /// The operator wants an instance to leave Active, or to come back (`vipd resign`, `vipd restore`).
    Resign {
        /// Index in `Config::instances`.
        instance: usize,
        /// For how long; zero ends it at once. `Duration::MAX`: until `vipd restore`.
        wanted_for: Duration,
    },
    /// The operator wants a server to get no new connections, or to get them again (`vipd drain`, `vipd
    /// undrain`).
    Drain {
        /// Index in `Config::services`.
        service: usize,
        /// Index in its servers.
        server: usize,
        /// True: no new connections.
        draining: bool,
    },
    /// At the start, before anything of IPVS: what an earlier run put into the kernel's table and did not
    /// take out. What of it is not wanted any more is removed.
    ServicesLeft(Vec<ServiceKey>),
    /// Likewise: the timeouts that an earlier run did not put back.
    TimeoutsLeft(HeldTimeouts),
    /// Likewise: the sync daemons of IPVS that an earlier run started and did not stop. Of what runs, that
    /// which is like them is ours, and stopped where it is not wanted any more.
    DaemonsLeft(Vec<(DaemonRole, Daemon)>),
    /// A name of [`Action::Resolve`] was looked up.
    Resolved {
        /// As in the action. A result with an old id changes nothing.
        id: NameId,
        /// Its addresses in the wanted family, best first, at most [`limits::NAME_ADDRESSES_MAX`], at least
        /// one; or why there are none.
        result: Result<Vec<IpAddr>, Reason>,
    },
    /// From the kernel's IPVS.
    Ipvs(IpvsEvent),
    /// A probe ended.
    Probe {
        /// As in [`Action::StartProbe`]. A result with an old id changes nothing.
        id: ProbeId,
        /// How.
        outcome: Outcome,
        /// From its start to its end.
        took: Duration,
    },
    /// The mail of [`Action::SendMail`] was handed over, or not.
    Mail {
        /// Its number.
        id: u32,
        /// Why not.
        result: Result<(), Reason>,
    },
    /// The user wants another configuration. It is valid.
    Reload(Box<Config>),
    /// The daemon is to end: resign, take the addresses away, empty the table, then [`Action::Finished`].
    Shutdown,
}

/// Something that happened in the kernel's IPVS.
#[derive(Debug)]
pub enum IpvsEvent {
    /// The kernel's IPVS answers (at start, or again after it was gone).
    Ready {
        /// By socket options, the old interface (IPVS-90): IPv4 only.
        sockopt: bool,
    },
    /// The family is not there, or gone.
    Absent {
        /// What to install or to enable.
        why: Text,
    },
    /// One service of a [`IpvsRequest::DumpServices`].
    Service(Service),
    /// One destination of a [`IpvsRequest::DumpDestinations`].
    Destination(ServiceKey, DestinationEntry),
    /// The answer to a [`WholeRequest::GetTimeouts`].
    Timeouts(Timeouts),
    /// One daemon of a [`WholeRequest::DumpDaemons`].
    Daemon(DaemonRole, Daemon),
    /// A request has ended. `token` is that of the request.
    Done {
        /// Which request.
        token: u32,
        /// How it went. A dump that was cut short is `Refusal::Interrupted`.
        result: Result<(), Refusal>,
    },
}

/// An interface as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Kernel index, not zero.
    pub index: u32,
    /// Name.
    pub name: LinkName,
    /// IFF_UP: wanted up.
    pub up: bool,
    /// IFF_UP and IFF_RUNNING (RTNL-40).
    pub running: bool,
    /// Ethernet address; `None` where there is none of 6 bytes, or IFF_NOARP (ARP-5).
    pub mac: Option<[u8; 6]>,
    /// MTU in bytes.
    pub mtu: u32,
    /// What kind of device it is.
    pub kind: LinkKind,
    /// It forwards IPv6 (`net.ipv6.conf.X.forwarding`): our NAs carry the R flag (ARP-33). True where that
    /// is not known, because a wrong 0 takes the default route from hosts.
    pub forwards_ipv6: bool,
}

/// What kind of device a link is, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkKind {
    /// Anything else.
    #[default]
    Other,
    /// A macvlan.
    Macvlan {
        /// Index of its parent; 0 where that is in another namespace.
        parent: u32,
        /// Mode private (VMAC-10).
        is_private: bool,
    },
    /// A port of a bridge: no interface for VRRP (ARP-51).
    BridgePort {
        /// Index of the bridge.
        bridge: u32,
    },
}

/// What an instance listens on: a packet socket on an interface, for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ear {
    /// Interface index.
    pub index: u32,
    /// IPv4 or IPv6.
    pub family: Family,
    /// Multicast group; `None`: unicast to us alone.
    pub group: Option<IpAddr>,
    /// Tell the network by IGMP or MLD; false on a macvlan, where only the filter of the device is set
    /// (SOCK-21).
    pub joins: bool,
}

/// A route as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelRoute {
    /// Where to; 0/0 for the default route.
    pub destination: Cidr,
    /// Kind; `None` for one that cannot be configured.
    pub kind: Option<RouteKind>,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Interface index; 0: none.
    pub index: u32,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// Table.
    pub table: u32,
    /// Metric; 0: none. An IPv6 route that is added without one has 1024.
    pub metric: u32,
    /// Scope.
    pub scope: Scope,
    /// Its rtm_protocol is ours: a vipd put it there.
    pub ours: bool,
}

/// A setting of an interface that is changed while somebody needs it (VMAC-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// `net.ipv4.conf.X.arp_ignore` = 1.
    ArpIgnore,
    /// `net.ipv4.conf.X.arp_filter` = 1.
    ArpFilter,
    /// `net.ipv4.conf.X.arp_announce` = 2: its own questions tell no address of another interface.
    ArpAnnounce,
    /// `net.ipv4.conf.X.promote_secondaries` = 1.
    PromoteSecondaries,
}

/// One run of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunId {
    /// For whom.
    pub owner: RunOwner,
    /// Grows with each run.
    pub serial: u32,
}

/// For whom a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunOwner {
    /// A tracker's script: index in `Config::tracks`.
    Track(u32),
    /// A queue of notifications.
    Notify(u32),
    /// The `pre_active` hook of an instance, by a number that it keeps for its life.
    PreActive(u32),
    /// A service that runs while an instance is Active.
    Supervised(u32),
    /// A script that looks at a server: the number of its checker.
    Check(u32),
}

/// What is to be run; `Engine::run_spec` builds it from current parameters.
#[derive(Debug, Clone, Copy)]
pub struct RunSpec<'a> {
    /// The program, its arguments, its user and its deadline.
    pub command: &'a Command,
    /// More arguments, after its own.
    pub arguments: &'a [Text],
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// By us, at its deadline.
    TimedOut,
    /// It could not be started: errno.
    NotStarted(i32),
}

impl RunOutcome {
    /// Did it end by itself, with 0?
    pub fn is_success(self) -> bool {
        matches!(self, RunOutcome::Exited(0))
    }
}

impl core::fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RunOutcome::Exited(code) => write!(f, "exited with {code}"),
            RunOutcome::Killed(signal) => write!(f, "killed by signal {signal}"),
            RunOutcome::TimedOut => f.write_str("killed at its time limit"),
            RunOutcome::NotStarted(errno) => write!(f, "could not be started: error {errno}"),
        }
    }
}

/// A name that can be copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkName {
    bytes: [u8; limits::IFNAME_MAX],
    len: u8,
}

impl LinkName {
    /// Takes at most 15 bytes; what is not UTF-8 cannot be configured, and becomes an empty name.
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; limits::IFNAME_MAX];
        match bytes.get_mut(..name.len()) {
            Some(to) => {
                to.copy_from_slice(name.as_bytes());
                LinkName { bytes, len: name.len() as u8 }
            }
            None => LinkName { bytes, len: 0 },
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..usize::from(self.len)).unwrap_or(&[])).unwrap_or("")
    }
}

impl core::fmt::Display for LinkName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Debug for LinkName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(f)
    }
}

impl PartialEq<IfName> for LinkName {
    fn eq(&self, other: &IfName) -> bool {
        self.as_str() == other.as_str()
    }
}

/// What became of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressChange {
    /// It is there (new, renewed or told by a dump).
    Present {
        /// It carries our protocol number or a finite lifetime: a vipd put it there.
        ours: bool,
        /// It is a secondary address of its subnet (IFA_F_SECONDARY), not good as a source.
        secondary: bool,
    },
    /// It is gone.
    Gone,
}

/// What was asked of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressOp {
    /// Add or renew.
    Add,
    /// Remove.
    Remove,
}

/// Why the kernel refused something; `sys` turns errno into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// EEXIST.
    Exists,
    /// ENOENT, ESRCH, EADDRNOTAVAIL.
    NotFound,
    /// ENODEV, ENXIO: no such interface.
    NoDevice,
    /// ENETDOWN: the interface is down.
    Down,
    /// ENETUNREACH, EHOSTUNREACH: a next hop that no route leads to.
    Unreachable,
    /// EPERM, EACCES.
    NotPermitted,
    /// EINVAL, ERANGE, EAFNOSUPPORT, EOPNOTSUPP: the kernel does not take it.
    Invalid,
    /// ENOBUFS, ENOMEM, EAGAIN, EBUSY: later, perhaps.
    Busy,
    /// The old interface of IPVS, socket options, has no words for it (IPVS-90).
    NotBySockopt(Lacking),
    /// No answer, or a dump that was cut short.
    Interrupted,
    /// Any other errno.
    Other(i32),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::Exists => f.write_str("exists already"),
            Refusal::NotFound => f.write_str("not found"),
            Refusal::NoDevice => f.write_str("no such interface"),
            Refusal::Down => f.write_str("interface is down"),
            Refusal::Unreachable => f.write_str("no route leads there"),
            Refusal::NotPermitted => f.write_str("not permitted (needs CAP_NET_ADMIN)"),
            Refusal::Invalid => f.write_str("the kernel does not take it"),
            Refusal::Busy => f.write_str("the kernel is short of memory or busy"),
            Refusal::NotBySockopt(lacking) => lacking.fmt(f),
            Refusal::Interrupted => f.write_str("no complete answer"),
            Refusal::Other(errno) => write!(f, "error {errno}"),
        }
    }
}

/// One probe of one checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeId {
    /// Which checker: stable between two reloads, below the number of servers with a check; a path tracker
    /// is [`ProbeId::PATH`] + its index in `Config::tracks`.
    pub checker: u32,
    /// Grows with each probe and each reload.
    pub serial: u32,
}

impl ProbeId {
    /// Path trackers' checkers begin here.
    pub const PATH: u32 = 1 << 30;
    /// Those that somebody asks for (`vipd probe`) begin here: as many as there can be control connections,
    /// times the checks of a server. The engine knows nothing of them.
    pub const ASKED: u32 = 1 << 31;
}

/// What a probe is to do; `Engine::probe_spec` builds it from current parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSpec<'a> {
    /// Where.
    pub address: SocketAddr,
    /// What.
    pub kind: &'a CheckKind,
    /// One deadline for all of it.
    pub timeout: Duration,
    /// Was the server up when the probe was started? Those go first where workers are short, so that hung
    /// servers cannot delay the detection of a new failure.
    pub was_up: bool,
    /// Source address of the probe; the kernel's choice where not given.
    pub source: Option<IpAddr>,
    /// Source port; 0: the kernel's choice.
    pub source_port: u16,
    /// It leaves through this interface; the kernel's choice where not given.
    pub interface: Option<&'a IfName>,
    /// Firewall mark (SO_MARK); 0: none.
    pub mark: u32,
}

/// One lookup of the name of a server, or of the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameId {
    /// Which name: stable between two reloads.
    pub number: u32,
    /// Grows with each lookup and each reload.
    pub serial: u32,
}

impl NameId {
    /// `number` of the mail server's name. Servers have numbers below.
    pub const MAIL: u32 = u32::MAX;
}

/// What is to be looked up; `Engine::name_spec` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSpec<'a> {
    /// Host name.
    pub host: &'a str,
    /// The family that is wanted, IPv6 or IPv4; `None`: either, the best address first.
    pub ipv6: Option<bool>,
}

/// A mail to hand over. The loop adds date and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: u32,
    /// Subject line, as keepalived words it.
    pub subject: Text,
    /// Body, lines ended by `\n`.
    pub body: heapless::String<{ limits::MAIL_BODY_MAX }>,
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As wanted.
    Passed,
    /// The server failed it, or did not answer in time.
    Failed(Reason),
    /// The probe could not be made (EMFILE, no worker, ...): no verdict on the server (HC-4).
    NotRun(Reason),
}

/// Kept so that a deadline can be compared without an `Option`.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
