//! What goes out: actions, in order.

use super::event::{AddressOp, Ear, LinkName, NameId, ProbeId, RunId, Setting};
#[cfg(doc)]
use super::event::{Event, IpvsEvent, Refusal};
use crate::model::{
    AddressOptions, Cidr, FifoKind, IpvsInterface, IpvsSetting, IpvsValue, Route, Rule, Text,
};
use crate::time::Duration;
use crate::wire::ipvs::{Daemon, DaemonRole, Destination, Service, ServiceKey, Timeouts};
use crate::wire::vrrp::Family;
use core::ops::Range;

/// Something to do.
#[derive(Debug)]
pub enum Action {
    /// Send a whole Ethernet frame. Its bytes are `actions.bytes(range)`.
    Transmit {
        /// Interface index.
        index: u32,
        /// Where its bytes are.
        frame: Range<usize>,
    },
    /// Send an IP packet (header and all; `actions.bytes(range)`) the way the kernel's routes say, out of an
    /// interface: adverts to unicast peers.
    TransmitPacket {
        /// Interface index.
        index: u32,
        /// Where its bytes are.
        packet: Range<usize>,
    },
    /// Open a VRRP socket on an interface and hold the group's membership. Several ears on one interface:
    /// one action each. Done twice: no harm.
    Listen(Ear),
    /// The reverse.
    Unlisten(Ear),
    /// Put an address on an interface, or renew it.
    AddAddress {
        /// Interface index.
        index: u32,
        /// The address.
        cidr: Cidr,
        /// Whole seconds; `None` = for ever.
        lease: Option<Duration>,
        /// The rest. By value: the renewal of leases allocates nothing.
        options: AddressOptions,
    },
    /// Take an address off an interface.
    RemoveAddress {
        /// Interface index.
        index: u32,
        /// The address.
        cidr: Cidr,
        /// Its peer, which is a part of its identity.
        peer: Option<Cidr>,
    },
    /// From now on tell routes, rules, or both, by notifications and by dumps. What is watched for the first
    /// time is told by a dump at once, `DumpStart` and `DumpEnd` around it.
    WatchRoutes {
        /// Routes.
        routes: bool,
        /// Rules.
        rules: bool,
    },
    /// Add or remove a route. An add never replaces (NLM_F_EXCL: another one in its place is
    /// [`Refusal::Exists`](super::Refusal)); a removal names our protocol number, so that it never takes what
    /// somebody else made (RTNL-33).
    ChangeRoute {
        /// Comes back in [`Event::RouteResult`].
        token: u32,
        /// Which way.
        op: AddressOp,
        /// Interface index of the route; 0: none.
        index: u32,
        /// The route; its own `interface` has no meaning here.
        route: Box<Route>,
    },
    /// Add or remove a rule, likewise.
    ChangeRule {
        /// Comes back in [`Event::RouteResult`].
        token: u32,
        /// Which way.
        op: AddressOp,
        /// The rule.
        rule: Box<Rule>,
    },
    /// Make a macvlan in private mode, leave it down, and set it up for a virtual router (VMAC-10, VMAC-20,
    /// VMAC-31, design §4). One of that name that is a private macvlan of that parent and MAC is taken as it
    /// is, but set up anew; any other is left alone (`Refusal::Exists`).
    MakeMacvlan {
        /// Index of the parent.
        parent: u32,
        /// Its name.
        name: LinkName,
        /// Its MAC.
        mac: [u8; 6],
        /// Family of the virtual router.
        family: Family,
        /// It carries IPv6 addresses, too.
        with_ipv6: bool,
    },
    /// Bring a link up or down.
    SetLink {
        /// Its index.
        index: u32,
        /// Its name, for the answer.
        name: LinkName,
        /// Up?
        up: bool,
    },
    /// Remove a macvlan of ours.
    RemoveLink {
        /// Its index.
        index: u32,
        /// Its name, for the answer.
        name: LinkName,
    },
    /// Set a setting of an interface to 1. The first one who holds it saves what was there, in memory and in
    /// the run-time directory.
    HoldSetting {
        /// Index of the interface.
        index: u32,
        /// Its name.
        name: LinkName,
        /// Which.
        setting: Setting,
    },
    /// The last one who releases it puts back what was there.
    ReleaseSetting {
        /// Index of the interface.
        index: u32,
        /// Its name.
        name: LinkName,
        /// Which.
        setting: Setting,
    },
    /// All that is held since the start has been held: settings that an earlier run left are put back.
    SettingsSettled,
    /// Run a program; `Engine::run_spec(id)` says which.
    Run(RunId),
    /// End a program: SIGTERM to its group, SIGKILL 2 s later. No event comes of it.
    StopRun(RunId),
    /// Write a line (without its end) into the FIFOs of this kind, and into those of all kinds.
    Fifo {
        /// Which.
        kind: FifoKind,
        /// The line.
        line: Text,
    },
    /// Tell links and addresses anew: [`Event::DumpStart`] to [`Event::DumpEnd`].
    Redump,
    /// Ask the kernel's IPVS.
    Ipvs {
        /// Comes back in [`IpvsEvent::Done`].
        token: u32,
        /// What.
        request: IpvsRequest,
    },
    /// Look a name up; `Engine::name_spec(id)` says which. Answer: [`Event::Resolved`].
    Resolve(NameId),
    /// Write a value into `/proc/sys/net/ipv4/vs/NAME`; what was there is saved at the first time, in memory
    /// and in the run-time directory (IPVS-80).
    HoldIpvsSetting {
        /// Which.
        name: IpvsSetting,
        /// What.
        value: IpvsValue,
    },
    /// Put back what was there.
    ReleaseIpvsSetting {
        /// Which.
        name: IpvsSetting,
    },
    /// Talk to the kernel's IPVS this way. Where that is another one than before, what was asked until now
    /// may end with [`Refusal::Interrupted`], and [`IpvsEvent::Ready`] or [`IpvsEvent::Absent`] follows.
    UseIpvsInterface(IpvsInterface),
    /// Write down in the run-time directory which services are ours (`Engine::own_services`), for the case
    /// that we are killed: the next run hands it in as [`Event::ServicesLeft`].
    RememberServices,
    /// Write down what the timeouts of IPVS were before, at once: other ones are set next. The next run hands
    /// it in as [`Event::TimeoutsLeft`]; nothing in it: there is nothing to put back.
    RememberTimeouts(HeldTimeouts),
    /// Write down which sync daemons of IPVS are ours, each as it was asked for, at once: one of them starts
    /// next, or has ended. The next run hands it in as [`Event::DaemonsLeft`]; empty: none is.
    RememberDaemons(Vec<(DaemonRole, Daemon)>),
    /// Begin a probe; `Engine::probe_spec(id)` says of what.
    StartProbe(ProbeId),
    /// Forget a probe (its server is gone); no event comes of it.
    StopProbe(ProbeId),
    /// Hand a mail over; `Engine::mail(id)` has it.
    SendMail {
        /// Its number.
        id: u32,
    },
    /// Log this; `Engine::note(number)` has it (the engine keeps the last ones for `vipd events`).
    Note {
        /// Its number.
        number: u32,
    },
    /// The leave is complete: end the daemon.
    Finished,
}

/// Asked of the kernel's IPVS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpvsRequest {
    /// Is the family there? Answer: [`IpvsEvent::Ready`] or [`IpvsEvent::Absent`]. Modules `ip_vs` and those
    /// of the schedulers in use are loaded first where that is possible.
    Resolve,
    /// All services, then `Done`.
    DumpServices,
    /// All destinations of one service, then `Done`. A missing service gives none (IPVS-45).
    DumpDestinations(ServiceKey),
    /// NEW_SERVICE.
    NewService(Service),
    /// SET_SERVICE.
    SetService(Service),
    /// DEL_SERVICE.
    DelService(ServiceKey),
    /// NEW_DEST.
    NewDestination(ServiceKey, Destination),
    /// SET_DEST.
    SetDestination(ServiceKey, Destination),
    /// DEL_DEST. Only the address of the destination counts.
    DelDestination(ServiceKey, Destination),
    /// What concerns the whole of IPVS.
    Whole(WholeRequest),
}

/// Timeouts of IPVS that are not as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldTimeouts {
    /// As they were; zero for one that is as it was.
    pub before: Timeouts,
    /// What we set in its place. Where something else is there, somebody else has set it since.
    pub ours: Timeouts,
}

/// Asked of the kernel's IPVS as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WholeRequest {
    /// GET_CONFIG: [`IpvsEvent::Timeouts`], then `Done`.
    GetTimeouts,
    /// SET_CONFIG; a zero keeps what is there.
    SetTimeouts(Timeouts),
    /// GET_DAEMON: [`IpvsEvent::Daemon`] for each that runs, then `Done`.
    DumpDaemons,
    /// NEW_DAEMON. `Exists` where one runs in that role (IPVS-44).
    NewDaemon(DaemonRole, Daemon),
    /// DEL_DAEMON. `NotFound` where none runs in that role.
    DelDaemon(DaemonRole),
}

/// Actions of one event, in order. Reused: once grown, it allocates no more.
#[derive(Debug, Default)]
pub struct Actions {
    list: std::collections::VecDeque<Action>,
    bytes: Vec<u8>,
}

impl Actions {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one at the end.
    pub fn push(&mut self, action: Action) {
        self.list.push_back(action);
    }

    /// Adds a frame of `len` bytes that `emit` writes.
    pub fn transmit(&mut self, index: u32, len: usize, emit: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        emit(&mut self.bytes[start..]);
        self.list.push_back(Action::Transmit { index, frame: start..start + len });
    }

    /// Adds an IP packet of `len` bytes that `emit` writes.
    pub fn transmit_packet(&mut self, index: u32, len: usize, emit: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        emit(&mut self.bytes[start..]);
        self.list.push_back(Action::TransmitPacket { index, packet: start..start + len });
    }

    /// Adds some at the end.
    pub fn extend(&mut self, actions: impl IntoIterator<Item = Action>) {
        self.list.extend(actions);
    }

    /// Takes the first one out.
    pub fn take(&mut self) -> Option<Action> {
        self.list.pop_front()
    }

    /// The bytes of a frame; valid until `clear`.
    pub fn bytes(&self, frame: &Range<usize>) -> &[u8] {
        self.bytes.get(frame.clone()).unwrap_or(&[])
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
    }

    /// Is nothing left to do?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What is left, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Action> {
        self.list.iter()
    }
}
