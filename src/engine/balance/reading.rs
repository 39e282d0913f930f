//! Reading the kernel's table: at start, after doubt, and every `watch_interval` (IPVS-49, law 5).
//!
//! One dump at a time: the services, then the destinations of one service after the other. IPVS does not
//! say when a dump was disturbed (IPVS-48), so what is read of a row that had a command on its way proves
//! nothing.

use super::reconcile::{Family, RETRY_MAX, RETRY_MIN, Reconciler, doubled};
use super::table::{Fault, Knowledge};
use crate::engine::{Ctx, IpvsRequest, Refusal, event::earlier};
use crate::model::Level;
use crate::time::{Duration, Instant};
use crate::wire::ipvs::{DestinationEntry, Service, ServiceKey};

/// Where a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// None is under way.
    Idle,
    /// All services are being told.
    Services { token: u32 },
    /// The destinations of one row are being told.
    Destinations { token: u32, row: u32, key: ServiceKey },
}

/// Reads, one dump at a time.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    watch_interval: Duration,
    /// When is everything read again?
    audit_at: Instant,
    /// When are the rows read of which something is unknown?
    read_at: Option<Instant>,
    /// Does this reading look at all rows?
    full: bool,
    /// A service was made or deleted while the services were told: absences prove nothing (IPVS-48).
    shaken: bool,
    /// Has this reading found the work of somebody else?
    repairs: bool,
    /// Dumps in a row that failed.
    failures: u8,
    /// Why the last dump failed.
    pub(super) refusal: Option<Refusal>,
}

impl Reader {
    pub(super) fn new(now: Instant, watch_interval: Duration) -> Self {
        Reader {
            state: State::Idle,
            watch_interval,
            audit_at: now,
            read_at: None,
            full: false,
            shaken: false,
            repairs: false,
            failures: 0,
            refusal: None,
        }
    }

    /// The token of the dump that is under way.
    pub(super) fn token(&self) -> Option<u32> {
        match self.state {
            State::Idle => None,
            State::Services { token } | State::Destinations { token, .. } => Some(token),
        }
    }

    /// Is a reading under way, or due?
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        self.next_deadline().is_none_or(|at| now >= at)
    }

    /// Rows of which something is unknown are to be read, at once unless dumps fail.
    pub(super) fn read_now(&mut self) {
        self.read_at.get_or_insert(Instant::ZERO);
    }

    /// Everything is to be read.
    pub(super) fn read_all_now(&mut self) {
        self.audit_at = Instant::ZERO;
        self.read_at = None;
        self.failures = 0;
    }

    /// Another watch interval, from now on.
    pub(super) fn set_watch_interval(&mut self, now: Instant, watch_interval: Duration) {
        self.watch_interval = watch_interval;
        self.audit_at = self.audit_at.min(now + watch_interval);
    }

    /// What is being read is of no interest any more, nor why it could not be read.
    pub(super) fn abandon(&mut self) {
        self.state = State::Idle;
        self.refusal = None;
        self.read_at = None;
    }

    /// A command goes out. True: what is being told of its row proves nothing.
    pub(super) fn is_disturbed_by(&mut self, request: &IpvsRequest) -> bool {
        let (service, made_or_gone) = match request {
            IpvsRequest::NewService(_) | IpvsRequest::DelService(_) => (true, true),
            IpvsRequest::SetService(_) => (true, false),
            IpvsRequest::NewDestination(..)
            | IpvsRequest::SetDestination(..)
            | IpvsRequest::DelDestination(..)
            | IpvsRequest::Resolve
            | IpvsRequest::DumpServices
            | IpvsRequest::DumpDestinations(_)
            | IpvsRequest::Whole(_) => (false, false),
        };
        match self.state {
            State::Idle => false,
            State::Services { .. } => {
                self.shaken |= made_or_gone;
                service
            }
            State::Destinations { .. } => made_or_gone || !service,
        }
    }

    /// Is this the first repair of the reading?
    pub(super) fn first_repair(&mut self) -> bool {
        let reading = self.state != State::Idle;
        reading && !core::mem::replace(&mut self.repairs, true)
    }

    /// When is the next reading due? `None` while one is under way.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => earlier(Some(self.audit_at), self.read_at),
            State::Services { .. } | State::Destinations { .. } => None,
        }
    }
}

impl Reconciler {
    /// Begins a reading that is due.
    pub(super) fn start_reading(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let due = self.reader.next_deadline().is_some_and(|at| now >= at);
        if !due || self.family != Family::Ready || !self.wants_any() {
            return;
        }
        self.reader.full = now >= self.reader.audit_at;
        self.reader.read_at = None;
        self.reader.repairs = false;
        self.reader.shaken = false;
        let mut services = self.reader.full;
        for row in self.rows.iter_mut().flatten() {
            row.seen = false;
            row.disturbed = row.in_flight > 0;
            self.reader.shaken |= row.disturbed && !row.actual.is_there();
            services |= row.knowledge == Knowledge::Nothing && row.wanted.is_some();
        }
        if services {
            self.dump_told_at = now;
            let token = self.ask(IpvsRequest::DumpServices, cx);
            self.reader.state = State::Services { token };
        } else {
            self.read_destinations(now, 0, cx);
        }
    }

    /// The kernel tells of a service.
    pub(super) fn told_service(&mut self, now: Instant, service: Service, cx: &mut Ctx<'_>) {
        match self.reader.state {
            State::Services { .. } => {}
            State::Idle | State::Destinations { .. } => return,
        }
        let Some(number) = self.number(&service.key) else { return }; // not ours
        let Some(Some(row)) = self.rows.get_mut(number as usize) else { return };
        let Some(wanted) = &row.wanted else { return };
        if row.disturbed {
            return;
        }
        let other_scheduler = wanted.scheduler != service.scheduler;
        let foreign = row.set_read(service, &mut self.tells);
        match &row.fault {
            // It is there after all, so it was the new scheduler that was not found.
            Some(Fault::NotFound) if other_scheduler => row.fault = Some(Fault::NoScheduler),
            Some(Fault::NotFound) => self.absolve(now, number, cx),
            Some(Fault::NoScheduler | Fault::Refused { .. }) | None => {}
        }
        if foreign {
            self.count_repairs(now, number, 1, cx);
        }
        self.touch(number);
    }

    /// The kernel tells of a destination.
    pub(super) fn told_destination(
        &mut self,
        now: Instant,
        key: ServiceKey,
        entry: &DestinationEntry,
        cx: &mut Ctx<'_>,
    ) {
        let State::Destinations { row: number, key: reading, .. } = self.reader.state else { return };
        let Some(Some(row)) = self.rows.get_mut(number as usize) else { return };
        if key != reading || row.key != key || row.disturbed || row.wanted.is_none() {
            return;
        }
        if row.set_read_destination(entry, &mut self.tells) {
            self.count_repairs(now, number, 1, cx);
        }
    }

    /// A dump has ended.
    pub(super) fn finish_dump(&mut self, now: Instant, result: Result<(), Refusal>, cx: &mut Ctx<'_>) {
        if let Err(refusal) = result {
            self.reader.state = State::Idle;
            self.fail_dump(now, refusal, cx);
            return;
        }
        match self.reader.state {
            State::Idle => {}
            State::Services { .. } => {
                for number in 0..self.rows.len() as u32 {
                    self.finish_service(now, number, cx);
                }
                self.read_destinations(now, 0, cx);
            }
            State::Destinations { row: number, key, .. } => {
                if let Some(row) = self.row_mut(number)
                    && row.key == key
                    && row.wanted.is_some()
                    && !row.disturbed
                {
                    row.finish_destinations();
                    self.touch(number);
                }
                self.read_destinations(now, number.saturating_add(1), cx);
            }
        }
    }

    /// All services have been told: is this one missing?
    fn finish_service(&mut self, now: Instant, number: u32, cx: &mut Ctx<'_>) {
        let shaken = self.reader.shaken;
        let Some(row) = self.row_mut(number) else { return };
        if row.seen || row.disturbed || row.wanted.is_none() {
            return;
        }
        if shaken && row.knowledge != Knowledge::Nothing {
            return;
        }
        row.set_absent();
        if row.fault == Some(Fault::NotFound) {
            self.absolve(now, number, cx);
        }
        self.touch(number);
    }

    /// Asks for the destinations of the next row that needs it, from `first` on; after the last the reading
    /// is over.
    fn read_destinations(&mut self, now: Instant, first: u32, cx: &mut Ctx<'_>) {
        let full = self.reader.full;
        for number in first..self.rows.len() as u32 {
            let Some(row) = self.row_mut(number) else { continue };
            let wanted = match row.knowledge {
                Knowledge::Nothing => false,
                Knowledge::Service => true,
                Knowledge::All => full && row.actual.is_there() && row.in_flight == u32::from(row.is_setting),
            };
            if row.wanted.is_none() || !wanted {
                continue;
            }
            // A change of the service itself does not disturb its destinations.
            row.disturbed = false;
            row.entries.iter_mut().for_each(|entry| entry.seen = false);
            let key = row.key;
            self.dump_told_at = now;
            let token = self.ask(IpvsRequest::DumpDestinations(key), cx);
            self.reader.state = State::Destinations { token, row: number, key };
            return;
        }
        self.finish_reading(now);
    }

    fn finish_reading(&mut self, now: Instant) {
        self.reader.state = State::Idle;
        self.reader.failures = 0;
        self.reader.refusal = None;
        if self.reader.full {
            self.reader.audit_at = now + self.reader.watch_interval;
        }
        let unknown = |row: &super::table::Row| row.wanted.is_some() && row.knowledge != Knowledge::All;
        if self.rows.iter().flatten().any(|row| unknown(row) && row.retry_at.is_none()) {
            self.reader.read_at = Some(now + RETRY_MIN);
        }
    }

    /// The table could not be read to its end: what was told is true, what was not proves nothing.
    fn fail_dump(&mut self, now: Instant, refusal: Refusal, cx: &mut Ctx<'_>) {
        if refusal != Refusal::Interrupted {
            self.refused = self.refused.saturating_add(1);
        }
        if self.reader.refusal.replace(refusal).is_none() && refusal != Refusal::Interrupted {
            let text = format_args!("the IPVS table cannot be read: {refusal}");
            cx.note(now, Level::Error, "ipvs", "", text);
        }
        let pause = doubled(RETRY_MIN, self.reader.failures, RETRY_MAX);
        self.reader.failures = self.reader.failures.saturating_add(1);
        if self.reader.full {
            self.reader.audit_at = now + pause;
        }
        self.reader.read_at = Some(now + pause);
    }
}
