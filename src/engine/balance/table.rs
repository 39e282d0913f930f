//! One service in the kernel's table: what is wanted there, what is there, and the commands between the two.
//!
//! Nothing here knows time or tokens. [`Row::plan`] compares and says what to ask for now; the answers come
//! back by the `set_*` and `forget` methods, and the next `plan` goes on from there.

use super::destination::{Actual, Entry, Params, Tells, UNSAID_MAX, Wants, place};
use crate::engine::IpvsRequest;
use crate::limits;
use crate::model::{Name, Text, cut};
use crate::time::Instant;
use crate::wire::ipvs::{DestinationEntry, Service, ServiceKey};
use core::fmt::{self, Write};
use std::net::SocketAddr;

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
    /// What its service wants of the destinations.
    pub(super) wants: Wants,
    /// `entries` do not know yet what is wanted.
    pub(super) is_stale: bool,
    /// Sorted by address.
    pub(super) entries: Vec<Entry>,
    /// The configuration that wanted it last.
    pub(super) round: u32,
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
    /// Somebody else has removed the service.
    pub(super) lost: bool,
    /// Readings that told no persistence engine though one was asked for and taken.
    pub(super) unsaid: u8,
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
    /// A row of which nothing is known, and that nobody wants.
    pub(super) fn new(name: Name, key: ServiceKey) -> Self {
        Row {
            name,
            key,
            wanted: None,
            actual: Actual::Absent,
            knowledge: Knowledge::Nothing,
            wants: Wants::from([]),
            is_stale: false,
            entries: Vec::new(),
            round: 0,
            in_flight: 0,
            is_setting: false,
            queued: false,
            disturbed: false,
            seen: false,
            lost: false,
            unsaid: 0,
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

    /// Takes in what is wanted of the destinations now. `scratch` is room to work in.
    pub(super) fn take_in(&mut self, scratch: &mut Vec<(SocketAddr, Params)>) {
        if !core::mem::take(&mut self.is_stale) {
            return;
        }
        scratch.clear();
        scratch
            .extend(self.wants.iter().map(|(at, params)| (place(&self.key, *at, &params.method), *params)));
        if !scratch.is_sorted_by(|a, b| a.0 < b.0) {
            // Servers that are one destination here count as one: it is there while one of them is wanted.
            scratch.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.weight.cmp(&a.1.weight)));
            scratch.dedup_by(|b, a| a.0 == b.0);
        }
        let mut wants = scratch.iter().peekable();
        let mut missing = 0;
        for entry in &mut self.entries {
            while wants.next_if(|want| want.0 < entry.address).is_some() {
                missing += 1;
            }
            entry.wanted = wants.next_if(|want| want.0 == entry.address).map(|want| want.1);
        }
        missing += wants.count();
        if missing == 0 {
            return;
        }
        self.entries.reserve_exact(missing);
        let known = self.entries.len();
        for (address, params) in scratch.iter() {
            let there = self.entries.get(..known).unwrap_or(&[]);
            if there.binary_search_by(|e| e.address.cmp(address)).is_err() {
                self.entries.push(Entry::new(*address, Some(*params)));
            }
        }
        self.entries.sort_unstable_by_key(|e| e.address);
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
    pub(super) fn set_read(&mut self, mut service: Service, tells: &mut Tells) -> bool {
        self.seen = true;
        self.lost = false;
        tells.engines |= !service.engine.is_empty();
        let mut unsaid = 0;
        if let Actual::As(known) = &self.actual
            && !tells.engines
            && !known.engine.is_empty()
            && *known == (Service { engine: known.engine.clone(), ..service.clone() })
        {
            unsaid = (self.unsaid + 1).min(UNSAID_MAX + 1);
        }
        self.unsaid = unsaid;
        let foreign = match (&self.knowledge, &self.actual) {
            (Knowledge::Nothing, _) | (Knowledge::Service | Knowledge::All, Actual::Somehow) => false,
            (Knowledge::Service | Knowledge::All, Actual::As(known)) => *known != service && unsaid == 0,
            (Knowledge::Service | Knowledge::All, Actual::Absent) => true,
        };
        if self.knowledge == Knowledge::Nothing || !self.actual.is_there() {
            self.knowledge = Knowledge::Service;
        }
        if let Actual::As(known) = &self.actual
            && unsaid > UNSAID_MAX
        {
            service.engine.clone_from(&known.engine); // it took it, and does not tell it
        }
        self.actual = Actual::As(service);
        foreign
    }

    /// The kernel tells of a destination. True: not what we knew.
    pub(super) fn set_read_destination(&mut self, told: &DestinationEntry, tells: &mut Tells) -> bool {
        let address = told.destination.address;
        let known = self.knowledge == Knowledge::All;
        let entry = match self.entries.binary_search_by(|e| e.address.cmp(&address)) {
            Ok(at) => self.entries.get_mut(at),
            Err(_) if self.entries.len() >= limits::IPVS_ENTRIES_MAX => return known,
            Err(at) => Some(self.insert(at, address)),
        };
        let Some(entry) = entry else { return false };
        entry.active_connections = told.active_connections;
        entry.inactive_connections = told.inactive_connections;
        let foreign = entry.set_read(Params::of(&told.destination), tells);
        known && foreign
    }

    /// All destinations have been told: what was not is not there.
    pub(super) fn finish_destinations(&mut self) {
        if self.knowledge == Knowledge::Nothing {
            return;
        }
        let known = self.knowledge == Knowledge::All;
        for entry in self.entries.iter_mut().filter(|e| !e.seen && e.actual.is_there()) {
            entry.forget();
            entry.lost = known;
        }
        self.knowledge = Knowledge::All;
    }

    /// The kernel did as it was asked. Returns how many entries that somebody else had removed are back: they
    /// count only now, because a dump may leave out what is there (IPVS-48).
    pub(super) fn acknowledge(&mut self, request: IpvsRequest) -> u32 {
        match request {
            IpvsRequest::NewService(service) => {
                self.set_absent(); // it came without destinations
                self.actual = Actual::As(service);
                return u32::from(core::mem::take(&mut self.lost));
            }
            IpvsRequest::SetService(service) => self.actual = Actual::As(service),
            IpvsRequest::DelService(_) => {
                self.set_absent();
                self.forget_lost();
            }
            IpvsRequest::NewDestination(_, d) | IpvsRequest::SetDestination(_, d) => {
                if let Some(entry) = self.entry_mut(d.address) {
                    entry.actual = Actual::As(Params::of(&d));
                    return u32::from(core::mem::take(&mut entry.lost));
                }
            }
            IpvsRequest::DelDestination(_, d) => self.forget(d.address),
            IpvsRequest::Resolve
            | IpvsRequest::DumpServices
            | IpvsRequest::DumpDestinations(_)
            | IpvsRequest::Whole(_) => {}
        }
        0
    }

    /// What is wrong, and what to do; `None`: nothing.
    pub(super) fn explain(&self) -> Option<Text> {
        let name = &self.name;
        let scheduler = self.wanted.as_ref().map_or("", |wanted| wanted.scheduler.as_str());
        let engine = self.wanted.as_ref().map_or("", |wanted| wanted.engine.as_str());
        let Some(fault) = &self.fault else { return self.explain_unsaid() };
        Some(match fault {
            Fault::NoScheduler => cut(format_args!(
                "service {name}: the kernel lacks scheduler {scheduler}{}{}: load ip_vs_{scheduler} \
                 (kmod-nf-ipvs, CONFIG_IP_VS_{})",
                if engine.is_empty() { "" } else { " or persistence engine " },
                engine,
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

    /// What an older kernel takes and does not tell.
    fn explain_unsaid(&self) -> Option<Text> {
        let name = &self.name;
        if self.unsaid > UNSAID_MAX {
            return Some(cut(format_args!(
                "service {name}: the kernel does not keep its persistence engine"
            )));
        }
        let entry = self.entries.iter().find(|entry| entry.is_unsaid())?;
        Some(cut(format_args!(
            "service {name}: the kernel does not keep the tunnel of {} (before Linux 5.2): its packets go \
             as IP in IP",
            entry.address
        )))
    }

    /// The service is not in the table, so neither are its destinations. What we knew to be there, somebody
    /// else has removed, unless it was us.
    pub(super) fn set_absent(&mut self) {
        let known = self.knowledge == Knowledge::All && self.actual.is_there();
        self.lost |= known;
        for entry in self.entries.iter_mut().filter(|e| e.actual.is_there()) {
            entry.forget();
            entry.lost = known;
        }
        self.actual = Actual::Absent;
        self.knowledge = Knowledge::All;
    }

    /// What is not there, nobody has taken away: we have, or it is not as it was thought.
    pub(super) fn forget_lost(&mut self) {
        self.lost = false;
        self.entries.iter_mut().for_each(|entry| entry.lost = false);
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
        self.forget_lost();
        self.unsaid = 0;
        self.entries.iter_mut().for_each(|entry| entry.unsaid = 0);
        self.knowledge = Knowledge::Nothing;
        self.fault = None;
        self.in_flight = 0;
        self.queued = false;
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
        self.entries.insert(at, Entry::new(address, None));
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
