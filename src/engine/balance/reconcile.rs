//! The kernel's table brought to what is wanted: which rows need commands, the commands on their way,
//! refusals.
//!
//! A row is compared (`Row::plan`) when something about it changed; its commands go out as far as
//! [`limits::IPVS_WINDOW`] allows; when the last of them is answered it is compared again. `reading` looks
//! at the kernel's side, `rows` at ours.

mod interface;
mod rows;

use self::interface::Interface;
use super::destination::{Params, Tells};
use super::reading::Reader;
use super::table::{Knowledge, Planned, Row};
use super::whole::Whole;
use crate::engine::{Action, Ctx, IpvsEvent, IpvsRequest, Refusal, event::earlier};
use crate::limits;
use crate::model::{Level, Text};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::ServiceKey;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Pause before a refused command, or a dump that failed, is tried again, doubled up to `RETRY_MAX`.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(30);
/// Pause before the family is looked for again, doubled up to `RESOLVE_MAX`.
const RESOLVE_MIN: Duration = Duration::from_secs(5);
const RESOLVE_MAX: Duration = Duration::from_secs(60);
/// Loading modules from slow flash takes its time; after this the question is asked again.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(60);
/// Nothing of what is on its way was answered for so long: it is taken as lost.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Contradictory answers for one row until they count as a refusal, with its pause.
pub(super) const SURPRISES_MAX: u8 = 8;

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
    /// Rows that are wanted.
    wanted: u32,
    /// Number of the configuration that is being taken in, or was last.
    round: u32,
    /// Room to work in.
    scratch: Vec<(SocketAddr, Params)>,
    queue: VecDeque<u32>,
    /// As `queue`: rows that go. They wait until all that is to come has come.
    leaving: VecDeque<u32>,
    /// When is the rest of the queue compared?
    more_at: Option<Instant>,
    /// Keys have come since the last [`Action::RememberServices`].
    has_grown: bool,
    /// Keys have gone since then.
    has_shrunk: bool,
    /// The table is kept at the end.
    is_kept: bool,
    flights: VecDeque<Flight>,
    pub(super) family: Family,
    /// What it has shown that it can say.
    pub(super) tells: Tells,
    interface: Interface,
    /// It is talked to by socket options (IPVS-90).
    pub(super) sockopt: bool,
    resolve_pause: Duration,
    pub(super) reader: Reader,
    /// Timeouts, daemons, settings.
    pub(super) whole: Whole,
    next_token: u32,
    /// When the dump that is under way last told something.
    pub(super) dump_told_at: Instant,
    /// The earliest `retry_at` of the rows, or earlier.
    pub(super) retry_at: Option<Instant>,
    /// Rows with a fault.
    pub(super) faults: u32,
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
            wanted: 0,
            round: 0,
            scratch: Vec::new(),
            queue: VecDeque::new(),
            leaving: VecDeque::new(),
            more_at: None,
            has_grown: false,
            has_shrunk: false,
            is_kept: false,
            flights: VecDeque::with_capacity(limits::IPVS_WINDOW),
            family: Family::Unneeded,
            tells: Tells::default(),
            interface: Interface::default(),
            sockopt: false,
            resolve_pause: RESOLVE_MIN,
            reader: Reader::new(now, watch_interval),
            whole: Whole::new(now),
            next_token: 1,
            dump_told_at: now,
            retry_at: None,
            faults: 0,
            repaired: 0,
            repaired_at: None,
            refused: 0,
        }
    }

    /// Something from the kernel.
    pub(super) fn handle(&mut self, now: Instant, event: IpvsEvent, cx: &mut Ctx<'_>) {
        match event {
            IpvsEvent::Ready { sockopt } => self.ready(now, sockopt, cx),
            IpvsEvent::Absent { why } => self.absent(now, why, cx),
            IpvsEvent::Service(service) => {
                self.dump_told_at = now;
                self.told_service(now, service, cx);
            }
            IpvsEvent::Destination(key, entry) => {
                self.dump_told_at = now;
                self.told_destination(now, key, &entry, cx);
            }
            IpvsEvent::Timeouts(timeouts) => self.whole.told_timeouts(now, timeouts, cx),
            IpvsEvent::Daemon(role, daemon) => self.whole.told_daemon(role, daemon),
            IpvsEvent::Done { token, result } => {
                if self.reader.token() == Some(token) {
                    self.dump_told_at = now;
                    self.finish_dump(now, result, cx);
                } else if self.whole.token() == Some(token) {
                    self.whole.finish(now, result, cx);
                } else {
                    self.answered(now, token, result, cx);
                }
            }
        }
        self.run(now, cx);
    }

    /// Does what is due, and sends what can be sent.
    pub(super) fn run(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.has_grown {
            self.remember(cx); // before anything is sent for a new key
        }
        self.take_interface(cx);
        match &self.family {
            Family::Unneeded => {
                if !self.is_empty() || self.whole.is_needed() {
                    self.resolve(now, cx);
                }
            }
            Family::Absent { .. } if !self.wants_any() && !self.whole.is_needed() => self.drop_all(),
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
                self.run_whole(now, cx);
                self.start_reading(now, cx);
                self.pump(now, cx);
            }
        }
        self.take_interface(cx); // what it waited for may have gone just now
        if self.has_shrunk && self.by_key.len() == self.wanted as usize {
            self.remember(cx);
        }
    }

    fn run_whole(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if let Some(request) = self.whole.run(now, cx) {
            let token = self.ask(IpvsRequest::Whole(request.clone()), cx);
            self.whole.sent(now, token, request);
        }
        self.repaired = self.repaired.saturating_add(core::mem::take(&mut self.whole.repaired));
        self.refused = self.refused.saturating_add(core::mem::take(&mut self.whole.refused));
    }

    /// The end: nothing is wanted any more, but for the table where it is to be kept.
    pub(super) fn leave(&mut self, now: Instant, keep: bool) {
        self.is_kept = keep;
        if !keep {
            self.unwant_all();
            self.retry_all_now(now);
        }
        self.whole.leave();
    }

    /// Is nothing of ours left, or nothing to be done about it?
    pub(super) fn has_left(&self) -> bool {
        self.family != Family::Ready || ((self.is_kept || self.is_empty()) && self.whole.is_clean())
    }

    /// The last that is done.
    pub(super) fn release(&mut self, cx: &mut Ctx<'_>) {
        self.whole.release(cx);
        if self.has_grown || self.has_shrunk {
            self.remember(cx);
        }
    }

    /// Has it written down which services are ours.
    fn remember(&mut self, cx: &mut Ctx<'_>) {
        (self.has_grown, self.has_shrunk) = (false, false);
        cx.actions.push(Action::RememberServices);
    }

    /// When `run` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.family {
            Family::Unneeded => None,
            Family::Resolving { ask_at } | Family::Absent { ask_at, .. } => Some(*ask_at),
            Family::Ready => {
                let reading = self.reader.next_deadline().filter(|_| self.wants_any());
                let table = earlier(earlier(self.answer_by(), self.retry_at), earlier(reading, self.more_at));
                earlier(table, self.whole.next_deadline())
            }
        }
    }

    /// Does the rest of a comparison wait for the next turn?
    #[cfg(test)]
    pub(super) fn has_more(&self) -> bool {
        self.more_at.is_some()
    }

    /// When is the oldest of what is on its way taken as lost?
    fn answer_by(&self) -> Option<Instant> {
        let command = self.flights.front().map(|flight| flight.at);
        let dump = self.reader.token().map(|_| self.dump_told_at);
        earlier(command, dump).map(|at| at + ANSWER_TIMEOUT)
    }

    /// Gives a question out.
    pub(super) fn ask(&mut self, request: IpvsRequest, cx: &mut Ctx<'_>) -> u32 {
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        cx.actions.push(Action::Ipvs { token, request });
        token
    }

    // ---- the family

    fn resolve(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.ask(IpvsRequest::Resolve, cx);
        // `Absent` stays, with its reason, until the answer is there.
        match &mut self.family {
            Family::Absent { ask_at, .. } => *ask_at = now + RESOLVE_TIMEOUT,
            family => *family = Family::Resolving { ask_at: now + RESOLVE_TIMEOUT },
        }
    }

    fn ready(&mut self, now: Instant, sockopt: bool, cx: &mut Ctx<'_>) {
        if let Family::Absent { .. } = self.family {
            cx.note(now, Level::Note, "ipvs", "", format_args!("the kernel's IPVS answers"));
        }
        self.family = Family::Ready;
        self.sockopt = sockopt;
        self.tells = Tells::default();
        self.resolve_pause = RESOLVE_MIN;
        self.forget_all();
        self.reader.read_all_now();
        self.whole.ready(now, sockopt);
    }

    fn absent(&mut self, now: Instant, why: Text, cx: &mut Ctx<'_>) {
        match &self.family {
            Family::Absent { .. } => {}
            Family::Unneeded | Family::Resolving { .. } | Family::Ready => {
                cx.note(now, Level::Error, "ipvs", "", format_args!("{why}"));
            }
        }
        self.forget_all();
        self.whole.absent(cx);
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
        self.queue.clear();
        self.leaving.clear();
        for number in 0..self.rows.len() as u32 {
            self.touch(number);
        }
    }

    // ---- commands

    /// Compares the rows of the queue as long as commands may go out, some at a time.
    fn pump(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.more_at = None;
        let mut budget = limits::IPVS_COMPARED_PER_TURN;
        while self.flights.len() < limits::IPVS_WINDOW {
            if budget == 0 {
                self.more_at = Some(now);
                break;
            }
            let (number, leaves) = match self.queue.pop_front() {
                Some(number) => (number, false),
                None => match self.next_leaving(now) {
                    Some(number) => (number, true),
                    None => break,
                },
            };
            let room = limits::IPVS_WINDOW - self.flights.len();
            let Some(Some(row)) = self.rows.get_mut(number as usize) else { continue };
            if !row.queued {
                continue; // it was in both queues
            }
            if row.wanted.is_none() && !leaves {
                self.leaving.push_back(number);
                continue;
            }
            row.queued = false;
            budget = budget.saturating_sub(1 + row.entries.len().max(row.wants.len()));
            row.take_in(&mut self.scratch);
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
                    self.has_shrunk = true;
                    self.holes.push(number);
                    if let Some(slot) = self.rows.get_mut(number as usize) {
                        *slot = None;
                    }
                }
            }
        }
    }

    /// The next of the rows that go: only when nothing that is to come is on its way, since it may take their
    /// place (law 5, IPVS-58).
    fn next_leaving(&mut self, now: Instant) -> Option<u32> {
        if self.leaving.is_empty() {
            return None;
        }
        let brings = |flight: &Flight| !matches!(flight.request, IpvsRequest::DelService(_));
        let waits = self.wants_any() && (self.reader.is_busy(now) || self.flights.iter().any(brings));
        if waits { None } else { self.leaving.pop_front() }
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
        // Tokens ascend, and answers mostly come in their order.
        let Some(first) = self.flights.front().map(|f| f.token) else { return };
        let found =
            self.flights.binary_search_by_key(&token.wrapping_sub(first), |f| f.token.wrapping_sub(first));
        let Ok(at) = found else { return };
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
            Ok(()) => {
                let repaired = row.acknowledge(request);
                self.count_repairs(now, number, repaired, cx);
            }
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

/// `min` doubled `times` times, at most `max`.
pub(super) fn doubled(min: Duration, times: u8, max: Duration) -> Duration {
    (min * (1 << times.min(10))).min(max)
}
