//! The kernel's table brought to what is wanted: which rows need commands, the commands on their way,
//! refusals.
//!
//! A row is compared (`Row::plan`) when something about it changed; its commands go out as far as
//! [`limits::IPVS_WINDOW`] allows; when the last of them is answered it is compared again. `reading` looks
//! at the kernel's side.

use super::reading::Reader;
use super::table::{Actual, Fault, Knowledge, Planned, Row};
use crate::engine::{Action, Ctx, IpvsEvent, IpvsRequest, Refusal, event::earlier};
use crate::limits;
use crate::model::{Level, Name, Text};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::{Service, ServiceKey};
use std::collections::{BTreeMap, VecDeque};

/// Pause before a refused command, or a dump that failed, is tried again, doubled up to `RETRY_MAX`.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(30);
/// Pause before the family is looked for again, doubled up to `RESOLVE_MAX`.
const RESOLVE_MIN: Duration = Duration::from_secs(5);
const RESOLVE_MAX: Duration = Duration::from_secs(60);
/// Loading modules from slow flash takes its time; after this the question is asked again.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(60);
/// Nothing of what is on its way was answered for so long: it is taken as lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Contradictory answers for one row until they count as a refusal, with its pause.
const SURPRISES_MAX: u8 = 8;

/// Is the kernel's IPVS there?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Family {
    /// No service has needed it yet.
    Unneeded,
    /// Asked; asked again when?
    Resolving { ask_at: Instant },
    /// It is not; asked again when?
    Absent { why: Text, ask_at: Instant },
    /// It answers.
    Ready,
}

/// A command on its way.
#[derive(Debug)]
struct Flight {
    token: u32,
    /// When it was sent.
    at: Instant,
    row: u32,
    request: IpvsRequest,
}

/// The reconciler of all services.
#[derive(Debug)]
pub(super) struct Reconciler {
    /// Holes are rows that are gone; numbers stay valid.
    pub(super) rows: Vec<Option<Row>>,
    holes: Vec<u32>,
    by_key: BTreeMap<ServiceKey, u32>,
    queue: VecDeque<u32>,
    flights: VecDeque<Flight>,
    pub(super) family: Family,
    resolve_pause: Duration,
    pub(super) reader: Reader,
    next_token: u32,
    /// When the dump that is under way last told something.
    dump_told_at: Instant,
    /// The earliest `retry_at` of the rows, or earlier.
    retry_at: Option<Instant>,
    /// Rows with a fault.
    faults: u32,
    /// Entries of ours that somebody else changed.
    pub(super) repaired: u32,
    /// When the last one was found.
    repaired_at: Option<Instant>,
    /// Commands that the kernel refused.
    pub(super) refused: u32,
}

impl Reconciler {
    /// Without services. `watch_interval`: from the end of one reading of the table to the next.
    pub(super) fn new(now: Instant, watch_interval: Duration) -> Self {
        Reconciler {
            rows: Vec::new(),
            holes: Vec::new(),
            by_key: BTreeMap::new(),
            queue: VecDeque::new(),
            flights: VecDeque::with_capacity(limits::IPVS_WINDOW),
            family: Family::Unneeded,
            resolve_pause: RESOLVE_MIN,
            reader: Reader::new(now, watch_interval),
            next_token: 1,
            dump_told_at: now,
            retry_at: None,
            faults: 0,
            repaired: 0,
            repaired_at: None,
            refused: 0,
        }
    }

    /// Wants a service; the number of its row.
    pub(super) fn want(&mut self, name: &Name, wanted: Service) -> u32 {
        let key = wanted.key;
        let number = match self.by_key.get(&key) {
            Some(&number) => {
                if let Some(Some(row)) = self.rows.get_mut(number as usize) {
                    row.name.clone_from(name);
                    row.wanted = Some(wanted);
                }
                number
            }
            None => {
                let row = Some(Row::new(name.clone(), key, wanted));
                let number = self.holes.pop().unwrap_or(self.rows.len() as u32);
                match self.rows.get_mut(number as usize) {
                    Some(slot) => *slot = row,
                    None => self.rows.push(row),
                }
                self.by_key.insert(key, number);
                number
            }
        };
        if self.row(number).is_some_and(|row| row.knowledge != Knowledge::All) {
            self.reader.read_now();
        }
        self.touch(number);
        number
    }

    /// Wants a service no more.
    pub(super) fn unwant(&mut self, number: u32) {
        if let Some(Some(row)) = self.rows.get_mut(number as usize) {
            row.wanted = None;
        }
        self.touch(number);
    }

    /// A row by its number.
    pub(super) fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(number as usize)?.as_ref()
    }

    /// As `row`, to say what is wanted; `touch` it then.
    pub(super) fn row_mut(&mut self, number: u32) -> Option<&mut Row> {
        self.rows.get_mut(number as usize)?.as_mut()
    }

    /// The number of the row of a service.
    pub(super) fn number(&self, key: &ServiceKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Has the row compared.
    pub(super) fn touch(&mut self, number: u32) {
        if let Some(Some(row)) = self.rows.get_mut(number as usize)
            && !row.queued
        {
            row.queued = true;
            self.queue.push_back(number);
        }
    }

    /// Are there no rows left?
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Is any service wanted? If not, there is nothing to read for.
    pub(super) fn wants_any(&self) -> bool {
        self.rows.iter().flatten().any(|row| row.wanted.is_some())
    }

    /// After a change of the configuration: what was refused is tried at once.
    pub(super) fn retry_all_now(&mut self, now: Instant) {
        for row in self.rows.iter_mut().flatten().filter(|row| row.retry_at.is_some()) {
            row.failures = 0;
            row.retry_at = Some(now);
            self.retry_at = Some(now);
        }
    }

    /// Something from the kernel.
    pub(super) fn handle(&mut self, now: Instant, event: IpvsEvent, cx: &mut Ctx<'_>) {
        match event {
            IpvsEvent::Ready { sockopt: _ } => self.ready(now, cx),
            IpvsEvent::Absent { why } => self.absent(now, why, cx),
            IpvsEvent::Service(service) => {
                self.dump_told_at = now;
                self.told_service(now, service, cx);
            }
            IpvsEvent::Destination(key, entry) => {
                self.dump_told_at = now;
                self.told_destination(now, key, &entry, cx);
            }
            IpvsEvent::Timeouts(_) | IpvsEvent::Daemon(..) => {}
            IpvsEvent::Done { token, result } => {
                if self.reader.token() == Some(token) {
                    self.dump_told_at = now;
                    self.finish_dump(now, result, cx);
                } else {
                    self.answered(now, token, result, cx);
                }
            }
        }
        self.run(now, cx);
    }

    /// Does what is due, and sends what can be sent.
    pub(super) fn run(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match &self.family {
            Family::Unneeded => {
                if !self.is_empty() {
                    self.resolve(now, cx);
                }
            }
            Family::Resolving { ask_at } | Family::Absent { ask_at, .. } => {
                if now >= *ask_at {
                    self.resolve(now, cx);
                }
            }
            Family::Ready => {
                if self.answer_by().is_some_and(|at| now >= at) {
                    self.lose(now, cx);
                }
                if self.retry_at.is_some_and(|at| now >= at) {
                    self.retry(now);
                }
                self.start_reading(now, cx);
                self.pump(now, cx);
            }
        }
    }

    /// When `run` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.family {
            Family::Unneeded => None,
            Family::Resolving { ask_at } | Family::Absent { ask_at, .. } => Some(*ask_at),
            Family::Ready => {
                let reading = self.reader.next_deadline().filter(|_| self.wants_any());
                earlier(earlier(self.answer_by(), self.retry_at), reading)
            }
        }
    }

    /// When is the oldest of what is on its way taken as lost?
    fn answer_by(&self) -> Option<Instant> {
        let command = self.flights.front().map(|flight| flight.at);
        let dump = self.reader.token().map(|_| self.dump_told_at);
        earlier(command, dump).map(|at| at + ANSWER_TIMEOUT)
    }

    /// Gives a question out.
    pub(super) fn ask(&mut self, now: Instant, request: IpvsRequest, cx: &mut Ctx<'_>) -> u32 {
        self.dump_told_at = now;
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        cx.actions.push(Action::Ipvs { token, request });
        token
    }

    // ---- the family

    fn resolve(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.ask(now, IpvsRequest::Resolve, cx);
        // `Absent` stays, with its reason, until the answer is there.
        match &mut self.family {
            Family::Absent { ask_at, .. } => *ask_at = now + RESOLVE_TIMEOUT,
            family => *family = Family::Resolving { ask_at: now + RESOLVE_TIMEOUT },
        }
    }

    fn ready(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if let Family::Absent { .. } = self.family {
            cx.note(now, Level::Note, "ipvs", "", format_args!("the kernel's IPVS answers"));
        }
        self.family = Family::Ready;
        self.resolve_pause = RESOLVE_MIN;
        self.forget_all();
        self.reader.read_all_now();
    }

    fn absent(&mut self, now: Instant, why: Text, cx: &mut Ctx<'_>) {
        match &self.family {
            Family::Absent { .. } => {}
            Family::Unneeded | Family::Resolving { .. } | Family::Ready => {
                cx.note(now, Level::Error, "ipvs", "", format_args!("{why}"));
            }
        }
        self.forget_all();
        self.family = Family::Absent { why, ask_at: now + self.resolve_pause };
        self.resolve_pause = (self.resolve_pause + self.resolve_pause).min(RESOLVE_MAX);
    }

    /// Nothing is known any more, and nothing is on its way.
    fn forget_all(&mut self) {
        self.flights.clear();
        self.reader.abandon();
        self.retry_at = None;
        self.faults = 0;
        self.rows.iter_mut().flatten().for_each(Row::forget_all);
        for number in 0..self.rows.len() as u32 {
            self.touch(number);
        }
    }

    // ---- commands

    /// Compares the rows of the queue as long as commands may go out.
    fn pump(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        while self.flights.len() < limits::IPVS_WINDOW {
            let Some(number) = self.queue.pop_front() else { break };
            let room = limits::IPVS_WINDOW - self.flights.len();
            let Some(Some(row)) = self.rows.get_mut(number as usize) else { continue };
            row.queued = false;
            let (flights, token, reader) = (&mut self.flights, &mut self.next_token, &mut self.reader);
            let mut disturbed = false;
            let planned = row.plan(room, |request| {
                disturbed |= reader.is_disturbed_by(&request);
                cx.actions.push(Action::Ipvs { token: *token, request: request.clone() });
                flights.push_back(Flight { token: *token, at: now, row: number, request });
                *token = token.wrapping_add(1);
            });
            row.disturbed |= disturbed;
            match planned {
                Planned::Working => {}
                Planned::Settled => self.absolve(now, number, cx),
                Planned::Gone => {
                    let key = row.key;
                    self.absolve(now, number, cx);
                    self.by_key.remove(&key);
                    self.holes.push(number);
                    if let Some(slot) = self.rows.get_mut(number as usize) {
                        *slot = None;
                    }
                }
            }
        }
    }

    /// Nothing is wrong with the row any more.
    pub(super) fn absolve(&mut self, now: Instant, number: u32, cx: &mut Ctx<'_>) {
        let Some(row) = self.row_mut(number) else { return };
        row.release();
        row.failures = 0;
        if row.fault.take().is_some() {
            self.faults = self.faults.saturating_sub(1);
            if self.faults == 0 {
                cx.note(now, Level::Note, "ipvs", "", format_args!("the kernel takes all our IPVS entries"));
            }
        }
    }

    /// A command has been answered.
    fn answered(&mut self, now: Instant, token: u32, result: Result<(), Refusal>, cx: &mut Ctx<'_>) {
        let Some(at) = self.flights.iter().position(|f| f.token == token) else { return };
        if let Some(flight) = self.flights.remove(at) {
            self.finish_flight(now, flight, result, cx);
        }
    }

    fn finish_flight(&mut self, now: Instant, flight: Flight, result: Result<(), Refusal>, cx: &mut Ctx<'_>) {
        let Flight { row: number, request, .. } = flight;
        let Some(row) = self.row_mut(number) else { return };
        row.in_flight = row.in_flight.saturating_sub(1);
        row.is_setting &= row.in_flight > 0 && !matches!(request, IpvsRequest::SetService(_));
        match result {
            Ok(()) => acknowledge(row, request),
            Err(refusal) => self.refuse(now, number, request, refusal, cx),
        }
        let Some(row) = self.row_mut(number) else { return };
        if row.in_flight == 0 {
            if row.knowledge != Knowledge::All && row.wanted.is_some() && row.retry_at.is_none() {
                self.reader.read_now();
            }
            self.touch(number);
        }
    }

    /// The kernel said no. What that says of its table is taken in; what is no answer to our question
    /// counts as a refusal, and waits.
    fn refuse(
        &mut self,
        now: Instant,
        number: u32,
        request: IpvsRequest,
        refusal: Refusal,
        cx: &mut Ctx<'_>,
    ) {
        let Some(Some(row)) = self.rows.get_mut(number as usize) else { return };
        row.surprises = row.surprises.saturating_add(1);
        let bewildered = row.surprises > SURPRISES_MAX;
        match (&request, refusal) {
            (IpvsRequest::DelService(_), Refusal::NotFound) => {
                row.set_absent();
                return;
            }
            (IpvsRequest::DelDestination(_, d), Refusal::NotFound) => {
                row.forget(d.address);
                return;
            }
            // IPVS-46: it is there, in whatever form: change it, and look what is in it.
            (IpvsRequest::NewService(_), Refusal::Exists) if !bewildered => {
                row.actual = Actual::Somehow;
                row.knowledge = Knowledge::Service;
                return;
            }
            (IpvsRequest::NewDestination(_, d), Refusal::Exists) if !bewildered => {
                if let Some(entry) = row.entry_mut(d.address) {
                    entry.actual = Actual::Somehow;
                }
                return;
            }
            (IpvsRequest::SetDestination(_, d), Refusal::NotFound) if !bewildered => {
                row.forget(d.address);
                self.count_repairs(now, number, 1, cx);
                return;
            }
            // IPVS-41: its service is gone, and all that was in it.
            (IpvsRequest::NewDestination(..), Refusal::NotFound) if !bewildered => {
                let missing = row.set_absent();
                self.count_repairs(now, number, missing, cx);
                return;
            }
            _ => {}
        }
        let fault = match (&request, refusal) {
            (IpvsRequest::NewService(_), Refusal::NotFound) => Fault::NoScheduler,
            (IpvsRequest::SetService(_), Refusal::NotFound) => {
                row.knowledge = Knowledge::Nothing;
                self.reader.read_now();
                Fault::NotFound
            }
            (
                IpvsRequest::NewDestination(_, d)
                | IpvsRequest::SetDestination(_, d)
                | IpvsRequest::DelDestination(_, d),
                refusal,
            ) => Fault::Refused { destination: Some(d.address), refusal },
            (
                IpvsRequest::NewService(_)
                | IpvsRequest::SetService(_)
                | IpvsRequest::DelService(_)
                | IpvsRequest::Resolve
                | IpvsRequest::DumpServices
                | IpvsRequest::DumpDestinations(_)
                | IpvsRequest::Whole(_),
                refusal,
            ) => Fault::Refused { destination: None, refusal },
        };
        if refusal == Refusal::Interrupted {
            // Done, or not.
            match &request {
                IpvsRequest::NewService(_) => row.knowledge = Knowledge::Nothing,
                IpvsRequest::NewDestination(_, d)
                | IpvsRequest::SetDestination(_, d)
                | IpvsRequest::DelDestination(_, d) => row.doubt(d.address),
                IpvsRequest::SetService(_) => row.actual = Actual::Somehow,
                IpvsRequest::DelService(_)
                | IpvsRequest::Resolve
                | IpvsRequest::DumpServices
                | IpvsRequest::DumpDestinations(_)
                | IpvsRequest::Whole(_) => {}
            }
        } else {
            self.refused = self.refused.saturating_add(1);
        }
        self.hold(now, number, fault, cx);
    }

    /// Nothing more is asked of what was refused until the row's pause is over.
    fn hold(&mut self, now: Instant, number: u32, fault: Fault, cx: &mut Ctx<'_>) {
        let Some(Some(row)) = self.rows.get_mut(number as usize) else { return };
        match &fault {
            Fault::Refused { destination: Some(address), .. } => {
                if let Some(entry) = row.entry_mut(*address) {
                    entry.held = true;
                }
            }
            Fault::Refused { destination: None, .. } | Fault::NoScheduler | Fault::NotFound => {
                row.held = true
            }
        }
        if row.retry_at.is_none() {
            let pause = doubled(RETRY_MIN, row.failures, RETRY_MAX);
            row.failures = row.failures.saturating_add(1);
            row.retry_at = Some(now + pause);
            self.retry_at = earlier(self.retry_at, row.retry_at);
        }
        let is_interrupted = matches!(fault, Fault::Refused { refusal: Refusal::Interrupted, .. });
        if row.fault.replace(fault).is_none() {
            self.faults = self.faults.saturating_add(1);
            // One line for the first of them; `status` lists them all. An answer that did not come is no
            // news yet.
            if self.faults == 1 && !is_interrupted {
                let (name, why) = (row.name.clone(), row.explain().unwrap_or_default());
                cx.note(now, Level::Error, "ipvs", &name, format_args!("{why}"));
            }
        }
    }

    /// The pauses of some rows are over: they are read again, and brought on from there.
    fn retry(&mut self, now: Instant) {
        self.retry_at = None;
        for number in 0..self.rows.len() as u32 {
            let Some(Some(row)) = self.rows.get_mut(number as usize) else { continue };
            // Those that are nearly due come along: one reading serves them all.
            let slack = doubled(RETRY_MIN, row.failures.saturating_sub(1), RETRY_MAX) / 4;
            if row.retry_at.is_some_and(|at| now + slack >= at) {
                row.release();
                row.knowledge = Knowledge::Nothing;
                self.reader.read_now();
                self.touch(number);
            } else {
                self.retry_at = earlier(self.retry_at, row.retry_at);
            }
        }
    }

    /// No answer for too long: whatever was on its way may have happened or not.
    fn lose(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let is_lost = |flight: &Flight| now >= flight.at + ANSWER_TIMEOUT;
        while self.flights.front().is_some_and(is_lost)
            && let Some(flight) = self.flights.pop_front()
        {
            self.finish_flight(now, flight, Err(Refusal::Interrupted), cx);
        }
        if self.reader.token().is_some() && now >= self.dump_told_at + ANSWER_TIMEOUT {
            self.finish_dump(now, Err(Refusal::Interrupted), cx);
        }
    }

    /// Counts what somebody else did to our entries. One note for the first of a reading.
    pub(super) fn count_repairs(&mut self, now: Instant, number: u32, count: u32, cx: &mut Ctx<'_>) {
        if count == 0 {
            return;
        }
        self.repaired = self.repaired.saturating_add(count);
        if self.reader.first_repair() || self.repaired_at.is_none_or(|at| now >= at + RETRY_MAX) {
            let name = self.row(number).map(|row| row.name.clone()).unwrap_or_default();
            let text = format_args!("somebody changed our entries in the IPVS table; they are put right");
            cx.note(now, Level::Warning, "ipvs", &name, text);
        }
        self.repaired_at = Some(now);
    }
}

/// The kernel did as it was asked.
fn acknowledge(row: &mut Row, request: IpvsRequest) {
    use super::table::Params;
    match request {
        IpvsRequest::NewService(service) => {
            row.set_absent(); // it came without destinations
            row.actual = Actual::As(service);
        }
        IpvsRequest::SetService(service) => row.actual = Actual::As(service),
        IpvsRequest::DelService(_) => {
            row.set_absent();
        }
        IpvsRequest::NewDestination(_, d) | IpvsRequest::SetDestination(_, d) => {
            if let Some(entry) = row.entry_mut(d.address) {
                entry.actual = Actual::As(Params::of(&d));
            }
        }
        IpvsRequest::DelDestination(_, d) => row.forget(d.address),
        IpvsRequest::Resolve
        | IpvsRequest::DumpServices
        | IpvsRequest::DumpDestinations(_)
        | IpvsRequest::Whole(_) => {}
    }
}

/// `min` doubled `times` times, at most `max`.
pub(super) fn doubled(min: Duration, times: u8, max: Duration) -> Duration {
    (min * (1 << times.min(10))).min(max)
}
