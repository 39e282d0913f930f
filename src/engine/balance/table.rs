//! One service in the kernel's table: what is wanted there, what is there, and the commands between the two.
//!
//! Nothing here knows time or tokens. [`Row::plan`] compares and says what to ask for now; the answers come
//! back by the `set_*` and `forget` methods, and the next `plan` goes on from there.

use crate::engine::IpvsRequest;
use crate::model::{Method, Name, Text, cut};
use crate::time::Instant;
use crate::wire::ipvs::{Destination, DestinationEntry, Forwarding, Service, ServiceKey};
use core::fmt::{self, Write};
use std::net::SocketAddr;

/// A destination without its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    /// How packets reach it.
    pub(super) method: Method,
    /// 0 = no new connections (IPVS-50).
    pub(super) weight: u32,
    /// 0 = no limit.
    pub(super) upper_threshold: u32,
    /// 0 = three quarters of the upper one.
    pub(super) lower_threshold: u32,
}

impl Params {
    /// Without thresholds.
    pub(super) fn new(method: Method, weight: u32) -> Self {
        Params { method, weight, upper_threshold: 0, lower_threshold: 0 }
    }

    /// As the kernel told it.
    pub(super) fn of(destination: &Destination) -> Self {
        let Destination { address: _, forward, tunnel, weight, upper_threshold, lower_threshold } =
            *destination;
        Params { method: Method { forward, tunnel }, weight, upper_threshold, lower_threshold }
    }

    fn at(self, address: SocketAddr) -> Destination {
        let Params { method: Method { forward, tunnel }, weight, upper_threshold, lower_threshold } = self;
        Destination { address, forward, tunnel, weight, upper_threshold, lower_threshold }
    }

    /// Is `self`, read from the kernel, what `wanted` asked for? Some kernels say `Local` of any
    /// destination on this host, whatever was asked for.
    fn serves_as(&self, wanted: &Params) -> bool {
        let forward = self.method == wanted.method || self.method.forward == Forwarding::Local;
        forward
            && self.weight == wanted.weight
            && self.upper_threshold == wanted.upper_threshold
            && self.lower_threshold == wanted.lower_threshold
    }
}

/// What is in the kernel's table, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actual<T> {
    /// Nothing.
    Absent,
    /// Something, with parameters that we do not know.
    Somehow,
    /// This.
    As(T),
}

impl<T> Actual<T> {
    /// Is it there, in whatever form?
    pub(super) fn is_there(&self) -> bool {
        match self {
            Actual::Absent => false,
            Actual::Somehow | Actual::As(_) => true,
        }
    }
}

/// How much of a row has been read from the kernel, or follows from our own commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nothing: no command but a deletion may be sent.
    Nothing,
    /// The service itself, not its destinations.
    Service,
    /// Everything.
    All,
}

/// Why a row cannot be brought to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The kernel has no such scheduler (IPVS-40a).
    NoScheduler,
    /// The service was not found when it was to be changed: it, or its scheduler, is missing (IPVS-40a,
    /// IPVS-41).
    NotFound,
    /// It refused the service, or a destination.
    Refused {
        /// Which destination; `None` for the service.
        destination: Option<SocketAddr>,
        /// Why.
        refusal: crate::engine::Refusal,
    },
}

/// A destination that is wanted or there.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its address.
    pub(super) address: SocketAddr,
    /// What it should be; `None`: it should not be there.
    pub(super) wanted: Option<Params>,
    /// What it is.
    pub(super) actual: Actual<Params>,
    /// The kernel refused it: no command until the row's `retry_at`.
    pub(super) held: bool,
    /// Told by the current reading.
    pub(super) seen: bool,
    /// Active connections when last read.
    pub(super) active_connections: u32,
    /// Inactive ones, likewise.
    pub(super) inactive_connections: u32,
}

impl Entry {
    /// Does it take new connections, as wanted and as it is?
    fn serves(&self) -> bool {
        self.wants_to_serve()
            && match &self.actual {
                Actual::As(params) => params.weight > 0,
                Actual::Absent | Actual::Somehow => false,
            }
    }

    fn wants_to_serve(&self) -> bool {
        self.wanted.is_some_and(|wanted| wanted.weight > 0)
    }

    /// The command that brings it nearer without taking anything away.
    fn raise(&self, key: ServiceKey) -> Option<IpvsRequest> {
        let wanted = self.wanted?;
        match &self.actual {
            Actual::Absent => Some(IpvsRequest::NewDestination(key, wanted.at(self.address))),
            Actual::Somehow => Some(IpvsRequest::SetDestination(key, wanted.at(self.address))),
            Actual::As(actual) if actual.serves_as(&wanted) || self.is_lowering(actual) => None,
            Actual::As(_) => Some(IpvsRequest::SetDestination(key, wanted.at(self.address))),
        }
    }

    /// The command that takes something away: the deletion, or the change to weight 0.
    fn lower(&self, key: ServiceKey) -> Option<IpvsRequest> {
        match (&self.wanted, &self.actual) {
            (None, Actual::Absent) | (Some(_), Actual::Absent | Actual::Somehow) => None,
            (None, Actual::Somehow | Actual::As(_)) => {
                let any = Params::new(Method::new(Forwarding::Masquerade), 0);
                Some(IpvsRequest::DelDestination(key, any.at(self.address)))
            }
            (Some(wanted), Actual::As(actual)) => {
                self.is_lowering(actual).then(|| IpvsRequest::SetDestination(key, wanted.at(self.address)))
            }
        }
    }

    fn is_lowering(&self, actual: &Params) -> bool {
        self.wanted.is_some_and(|wanted| wanted.weight == 0) && actual.weight > 0
    }
}

/// A service of ours, its entry in the kernel's table and its destinations there.
#[derive(Debug)]
pub(super) struct Row {
    /// The user's name for it.
    pub(super) name: Name,
    /// Which service.
    pub(super) key: ServiceKey,
    /// What it should be; `None`: it is to go, with all its destinations.
    pub(super) wanted: Option<Service>,
    /// What it is.
    pub(super) actual: Actual<Service>,
    /// How far `actual` can be believed.
    pub(super) knowledge: Knowledge,
    /// Sorted by address.
    pub(super) entries: Vec<Entry>,
    /// Commands on their way.
    pub(super) in_flight: u32,
    /// Is one of them a change of the service itself? It disturbs nothing below it.
    pub(super) is_setting: bool,
    /// Is it in the queue of rows to be compared?
    pub(super) queued: bool,
    /// A command was on its way since the current reading began: what is read of it proves nothing.
    pub(super) disturbed: bool,
    /// Told by the current reading.
    pub(super) seen: bool,
    /// The kernel refused the service: no command for it until `retry_at`.
    pub(super) held: bool,
    /// What is wrong with it.
    pub(super) fault: Option<Fault>,
    /// When is it tried again after a refusal?
    pub(super) retry_at: Option<Instant>,
    /// Refusals in a row, for the pause before the next try.
    pub(super) failures: u8,
    /// Answers that contradicted our knowledge since it last was as wanted.
    pub(super) surprises: u8,
}

/// What came of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planned {
    /// Commands were given out, or it waits for something.
    Working,
    /// All is as wanted.
    Settled,
    /// It was to go, and is gone.
    Gone,
}

impl Row {
    /// A row of which nothing is known.
    pub(super) fn new(name: Name, key: ServiceKey, wanted: Service) -> Self {
        Row {
            name,
            key,
            wanted: Some(wanted),
            actual: Actual::Absent,
            knowledge: Knowledge::Nothing,
            entries: Vec::new(),
            in_flight: 0,
            is_setting: false,
            queued: false,
            disturbed: false,
            seen: false,
            held: false,
            fault: None,
            retry_at: None,
            failures: 0,
            surprises: 0,
        }
    }

    /// The destination at `address`.
    pub(super) fn entry(&self, address: SocketAddr) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|e| e.address.cmp(&address)).ok()?;
        self.entries.get(at)
    }

    /// As `entry`, to change it.
    pub(super) fn entry_mut(&mut self, address: SocketAddr) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by(|e| e.address.cmp(&address)).ok()?;
        self.entries.get_mut(at)
    }

    /// Says what should be at `address`. True: that is something else than before.
    pub(super) fn want(&mut self, address: SocketAddr, wanted: Option<Params>) -> bool {
        match self.entries.binary_search_by(|e| e.address.cmp(&address)) {
            Ok(at) => self.entries.get_mut(at).is_some_and(|entry| {
                let changed = entry.wanted != wanted;
                entry.wanted = wanted;
                changed
            }),
            Err(_) if wanted.is_none() => false,
            Err(at) => {
                self.insert(at, address).wanted = wanted;
                true
            }
        }
    }

    /// No destination is wanted any more.
    pub(super) fn unwant_all(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.wanted = None);
    }

    /// Compares, and gives out at most `room` commands. Nothing that serves is taken away before what
    /// replaces it has been acknowledged (IPVS-58, scenario S3): at no moment the table is empty while a
    /// destination is wanted.
    pub(super) fn plan(&mut self, room: usize, mut ask: impl FnMut(IpvsRequest)) -> Planned {
        if self.in_flight > 0 {
            return Planned::Working; // compared again when the last answer is in
        }
        let before = self.in_flight;
        let mut left = room;
        let mut give = |request, in_flight: &mut u32| {
            ask(request);
            *in_flight += 1;
            left -= 1;
            left == 0
        };
        let Some(wanted) = &self.wanted else {
            if self.knowledge != Knowledge::Nothing && !self.actual.is_there() {
                return Planned::Gone;
            }
            if !self.held && room > 0 {
                // Its destinations go with it (IPVS-57).
                give(IpvsRequest::DelService(self.key), &mut self.in_flight);
            }
            return Planned::Working;
        };
        if self.knowledge == Knowledge::Nothing || room == 0 {
            return Planned::Working;
        }
        match &self.actual {
            Actual::Absent => {
                if !self.held {
                    give(IpvsRequest::NewService(wanted.clone()), &mut self.in_flight);
                }
                return Planned::Working;
            }
            Actual::As(actual) if actual == wanted => {}
            Actual::As(_) | Actual::Somehow => {
                if !self.held {
                    self.is_setting = true;
                    if give(IpvsRequest::SetService(wanted.clone()), &mut self.in_flight) {
                        return Planned::Working;
                    }
                }
            }
        }
        if self.knowledge != Knowledge::All {
            return Planned::Working;
        }
        for entry in self.entries.iter().filter(|e| !e.held) {
            if let Some(request) = entry.raise(self.key)
                && give(request, &mut self.in_flight)
            {
                return Planned::Working;
            }
        }
        if self.in_flight > before {
            return Planned::Working;
        }
        if self.entries.iter().any(Entry::wants_to_serve) && !self.entries.iter().any(Entry::serves) {
            return Planned::Working; // what replaces it is refused: better the old than none
        }
        for entry in self.entries.iter().filter(|e| !e.held) {
            if let Some(request) = entry.lower(self.key)
                && give(request, &mut self.in_flight)
            {
                return Planned::Working;
            }
        }
        if self.in_flight > before || self.held || self.entries.iter().any(|e| e.held) {
            return Planned::Working;
        }
        self.entries.retain(|e| e.wanted.is_some() || e.actual.is_there());
        Planned::Settled
    }

    /// The kernel tells of the service. True: not what we knew (somebody else changed it).
    pub(super) fn set_read(&mut self, service: Service) -> bool {
        self.seen = true;
        let foreign = match (&self.knowledge, &self.actual) {
            (Knowledge::Nothing, _) | (Knowledge::Service | Knowledge::All, Actual::Somehow) => false,
            (Knowledge::Service | Knowledge::All, Actual::As(known)) => *known != service,
            (Knowledge::Service | Knowledge::All, Actual::Absent) => true,
        };
        if self.knowledge == Knowledge::Nothing || !self.actual.is_there() {
            self.knowledge = Knowledge::Service;
        }
        self.actual = Actual::As(service);
        foreign
    }

    /// The kernel tells of a destination. True: not what we knew.
    pub(super) fn set_read_destination(&mut self, told: &DestinationEntry) -> bool {
        let address = told.destination.address;
        let known = self.knowledge == Knowledge::All;
        let entry = match self.entries.binary_search_by(|e| e.address.cmp(&address)) {
            Ok(at) => self.entries.get_mut(at),
            Err(at) => Some(self.insert(at, address)),
        };
        let Some(entry) = entry else { return false };
        entry.seen = true;
        entry.active_connections = told.active_connections;
        entry.inactive_connections = told.inactive_connections;
        let told = Params::of(&told.destination);
        let foreign = match &entry.actual {
            Actual::As(known) => !told.serves_as(known) && *known != told,
            Actual::Somehow => false,
            Actual::Absent => true,
        };
        entry.actual = Actual::As(told);
        known && foreign
    }

    /// All destinations have been told: what was not is not there. Returns how many that we knew are missing.
    pub(super) fn finish_destinations(&mut self) -> u32 {
        if self.knowledge == Knowledge::Nothing {
            return 0;
        }
        let known = self.knowledge == Knowledge::All;
        let mut missing = 0;
        for entry in self.entries.iter_mut().filter(|e| !e.seen && e.actual.is_there()) {
            entry.forget();
            missing += 1;
        }
        self.knowledge = Knowledge::All;
        if known { missing } else { 0 }
    }

    /// What is wrong, and what to do; `None`: nothing.
    pub(super) fn explain(&self) -> Option<Text> {
        let name = &self.name;
        let scheduler = self.wanted.as_ref().map_or("", |wanted| wanted.scheduler.as_str());
        Some(match self.fault.as_ref()? {
            Fault::NoScheduler => cut(format_args!(
                "service {name}: the kernel lacks scheduler {scheduler}: load ip_vs_{scheduler} \
                 (kmod-nf-ipvs, CONFIG_IP_VS_{})",
                Upper(scheduler)
            )),
            Fault::NotFound => {
                cut(format_args!("service {name}: the kernel does not find it, or its scheduler {scheduler}"))
            }
            Fault::Refused { destination: Some(address), refusal } => {
                cut(format_args!("service {name}: IPVS refuses {address}: {refusal}"))
            }
            Fault::Refused { destination: None, refusal } => {
                cut(format_args!("service {name}: IPVS refuses it: {refusal}"))
            }
        })
    }

    /// The service is not in the table, so neither are its destinations. Returns how many entries that we
    /// knew are missing.
    pub(super) fn set_absent(&mut self) -> u32 {
        let known = self.knowledge == Knowledge::All && self.actual.is_there();
        let mut missing = 1;
        for entry in self.entries.iter_mut().filter(|e| e.actual.is_there()) {
            entry.forget();
            missing += 1;
        }
        self.actual = Actual::Absent;
        self.knowledge = Knowledge::All;
        if known { missing } else { 0 }
    }

    /// The kernel told that a destination is not there.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entry_mut(address) {
            entry.forget();
        }
    }

    /// A command for a destination may have been done or not.
    pub(super) fn doubt(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entry_mut(address) {
            entry.actual = Actual::Somehow;
        }
    }

    /// Nothing is known any more, nothing is on its way, nothing is refused: the family is new, or gone.
    pub(super) fn forget_all(&mut self) {
        self.set_absent();
        self.release();
        self.knowledge = Knowledge::Nothing;
        self.fault = None;
        self.in_flight = 0;
        self.is_setting = false;
        self.failures = 0;
        self.surprises = 0;
    }

    /// Everything may be tried again.
    pub(super) fn release(&mut self) {
        self.held = false;
        self.retry_at = None;
        self.surprises = 0;
        for entry in &mut self.entries {
            entry.held = false;
        }
    }

    fn insert(&mut self, at: usize, address: SocketAddr) -> &mut Entry {
        let at = at.min(self.entries.len());
        self.entries.insert(
            at,
            Entry {
                address,
                wanted: None,
                actual: Actual::Absent,
                held: false,
                seen: false,
                active_connections: 0,
                inactive_connections: 0,
            },
        );
        &mut self.entries[at]
    }
}

/// ASCII capitals.
struct Upper<'a>(&'a str);

impl fmt::Display for Upper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(c.to_ascii_uppercase()))
    }
}

impl Entry {
    fn forget(&mut self) {
        self.actual = Actual::Absent;
        self.active_connections = 0;
        self.inactive_connections = 0;
    }
}
