//! Balancing: checkers, services, and the kernel's IPVS table.
//!
//! ```text
//! probe result → Checker (verdict) → Service (who serves) → Row (wanted) → Reconciler (commands) → kernel
//! kernel's answers and dumps → Row (actual) → Reconciler (commands)
//! ```
//!
//! A service is known by its keys (protocol, address and port, or a mark), a server by its address; both keep
//! their state over a reload. A service has one row for each key, all with the same destinations.

mod asked;
mod checker;
mod destination;
mod reading;
mod reconcile;
mod refusal;
mod reload;
mod service;
mod status;
mod sync;
mod table;
mod tell;
#[cfg(test)]
mod tests;
mod whole;

pub use self::asked::AskedCheck;
pub(super) use self::asked::script_result;

use self::checker::Due;
use self::reconcile::Reconciler;
use self::service::Service;
use super::{
    Action, Ctx, IpvsEvent, NameId, NameSpec, Outcome, ProbeId, ProbeSpec, RunId, RunSpec, event::earlier,
};
use crate::model::{Config, Level, Reason, ServiceKey};
use crate::time::{Duration, Instant};
use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// The table that cannot be emptied by then stays as it is.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Probes that cannot be made are noted at most so often.
const NOT_RUN_NOTE_INTERVAL: Duration = Duration::from_secs(60);

/// Where the balancer is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `start` has not been called.
    New,
    Running,
    /// The table is being emptied; until when?
    Leaving {
        give_up_at: Instant,
    },
    Left,
}

/// All services, their checkers, and the table.
#[derive(Debug)]
pub(super) struct Balancer {
    /// In the order of the configuration.
    services: Vec<Service>,
    /// Where checker number `i` is: (service, server).
    checkers: Vec<(u32, u32)>,
    /// When the next probe of each waiting checker is due: exactly one entry for each that is not probing.
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    /// The serial of the last probe.
    serial: u32,
    seed: u32,
    keep: bool,
    table: Reconciler,
    phase: Phase,
    /// The last probe that could not be made, and why.
    not_run: Option<(Instant, Reason)>,
    not_run_noted_at: Option<Instant>,
}

impl Balancer {
    /// The services of a configuration. Nothing happens before `start`. `seed` spreads the first probes.
    pub(super) fn new(config: &Config, now: Instant, seed: u32) -> Self {
        let mut balancer = Balancer {
            services: Vec::new(),
            checkers: Vec::new(),
            due: BinaryHeap::new(),
            serial: 0,
            seed,
            keep: config.ipvs.keep,
            table: Reconciler::new(now, config.ipvs.watch_interval),
            phase: Phase::New,
            not_run: None,
            not_run_noted_at: None,
        };
        balancer.take_over(now, config);
        balancer
    }

    /// Begins: looks for the kernel's IPVS, and probes.
    pub(super) fn start(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::New => {}
            Phase::Running | Phase::Leaving { .. } | Phase::Left => return,
        }
        self.phase = Phase::Running;
        self.begin_checkers(now);
        self.tick(now, cx);
    }

    /// What an earlier run left in the kernel's table, before `start`.
    pub(super) fn handle_left(&mut self, keys: &[ServiceKey]) {
        match self.phase {
            Phase::New | Phase::Running => self.table.left(keys),
            Phase::Leaving { .. } | Phase::Left => {}
        }
    }

    /// Something from the kernel's IPVS.
    pub(super) fn handle_ipvs(&mut self, now: Instant, event: IpvsEvent, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Running => self.table.handle(now, event, cx),
            Phase::Leaving { .. } => {
                self.table.handle(now, event, cx);
                self.look_if_left(now, cx);
            }
            Phase::New | Phase::Left => {}
        }
    }

    /// A probe has ended. A result with an old id changes nothing.
    pub(super) fn handle_probe(
        &mut self,
        now: Instant,
        id: ProbeId,
        outcome: Outcome,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let Some((at, index)) = self.find(id) else { return };
        let Some(service) = self.services.get_mut(at) else { return };
        let (Some(config), Some(server)) =
            (service.config.servers.get(index), service.servers.get_mut(index))
        else {
            return;
        };
        let (Some(check), Some(checker)) = (config.checks.first(), &mut server.checker) else { return };
        let passed = match &outcome {
            Outcome::Passed => Some(true),
            Outcome::Failed(_) => Some(false),
            Outcome::NotRun(_) => None,
        };
        let verdict = checker.handle_result(now, check, passed);
        if let Some(probe_at) = checker.probe_at() {
            self.due.push(Reverse((probe_at, id.checker)));
        }
        match outcome {
            Outcome::Passed => {
                server.passed = server.passed.saturating_add(1);
                server.reason.clear();
                server.probe_time = Some(took);
                server.probed_at = Some(now);
            }
            Outcome::Failed(reason) => {
                server.failed = server.failed.saturating_add(1);
                server.reason = reason;
                server.probed_at = Some(now);
            }
            Outcome::NotRun(reason) => {
                if self.not_run_noted_at.is_none_or(|at| now >= at + NOT_RUN_NOTE_INTERVAL) {
                    self.not_run_noted_at = Some(now);
                    let text = format_args!("{}: probe could not be made: {reason}", config.address);
                    cx.note(now, Level::Warning, "server", &service.config.name, text);
                }
                self.not_run = Some((now, reason));
            }
        }
        let Some(up) = verdict else { return };
        let changed = server.up != up;
        if changed {
            server.up = up;
            server.since = now;
        }
        if changed || !up {
            tell::tell_server(now, service, index, changed, cx);
        }
        if changed {
            let flipped = service.count(now);
            if flipped.is_some() {
                tell::tell_service(now, service, cx);
            }
            self.want(at);
            self.table.run(now, cx);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Running => {
                self.table.run(now, cx);
                self.start_probes(now, cx);
            }
            Phase::Leaving { .. } => {
                self.table.run(now, cx);
                self.look_if_left(now, cx);
            }
            Phase::New | Phase::Left => {}
        }
    }

    /// When `tick` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => {
                let probe_at = self.due.peek().map(|Reverse((at, _))| *at);
                earlier(probe_at, self.table.next_deadline())
            }
            Phase::Leaving { give_up_at } => earlier(Some(give_up_at), self.table.next_deadline()),
            Phase::New | Phase::Left => None,
        }
    }

    /// What a probe is to do; `None` for one that is not running (any more).
    pub(super) fn probe_spec(&self, id: ProbeId) -> Option<ProbeSpec<'_>> {
        let (at, index) = self.find(id)?;
        let service = self.services.get(at)?;
        let (config, server) = (service.config.servers.get(index)?, service.servers.get(index)?);
        let check = config.checks.first()?;
        Some(ProbeSpec {
            address: server.address?,
            kind: &check.kind,
            timeout: check.timeout,
            was_up: server.up,
            source: check.via.source,
            source_port: check.via.source_port,
            interface: check.via.interface.as_ref(),
            mark: check.via.mark,
        })
    }

    /// The script of a probe; `None` once it is gone.
    pub(super) fn run_spec(&self, _id: RunId) -> Option<RunSpec<'_>> {
        None
    }

    /// The name that is looked up; `None` once it is gone.
    pub(super) fn name_spec(&self, _id: NameId) -> Option<NameSpec<'_>> {
        None
    }

    /// The services that are ours in the kernel's table, and those on their way in or out.
    pub(super) fn own_services(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.table.keys()
    }

    /// The instance whose state decides the role of the sync daemon: index in `Config::instances`.
    pub(super) fn followed_instance(&self) -> Option<usize> {
        self.table.whole.followed()
    }

    /// How that instance stands; at every event, since only a change has any effect.
    pub(super) fn follow_instance(&mut self, now: Instant, is_active: bool, cx: &mut Ctx<'_>) {
        if self.table.whole.follow(is_active) && self.phase == Phase::Running {
            self.table.run(now, cx);
        }
    }

    /// Ends: no more probes; our services leave the table, unless it is to be kept.
    pub(super) fn shutdown(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::New => self.phase = Phase::Left,
            Phase::Running => {
                self.stop_probes(cx);
                self.phase = Phase::Leaving { give_up_at: now + SHUTDOWN_TIMEOUT };
                self.table.leave(now, self.keep);
                self.table.run(now, cx);
                self.look_if_left(now, cx);
            }
            Phase::Leaving { .. } | Phase::Left => {}
        }
    }

    /// Is nothing left to do?
    pub(super) fn is_shut_down(&self) -> bool {
        match self.phase {
            Phase::Left => true,
            Phase::New | Phase::Running | Phase::Leaving { .. } => false,
        }
    }

    fn look_if_left(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if let Phase::Leaving { give_up_at } = self.phase
            && (now >= give_up_at || self.table.has_left())
        {
            self.table.release(cx);
            self.phase = Phase::Left;
        }
    }

    // ---- probes

    /// Starts the probes that are due.
    fn start_probes(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        while let Some(&Reverse((at, number))) = self.due.peek()
            && at <= now
        {
            self.due.pop();
            let serial = self.serial.wrapping_add(1);
            let Some(&(service, server)) = self.checkers.get(number as usize) else { continue };
            let Some(service) = self.services.get_mut(service as usize) else { continue };
            let config = service.config.servers.get(server as usize);
            let server = service.servers.get_mut(server as usize);
            let (Some(config), Some(server)) = (config, server) else { continue };
            let (Some(check), Some(checker)) = (config.checks.first(), &mut server.checker) else { continue };
            match checker.handle_due(now, check, serial) {
                Due::Probe => {
                    self.serial = serial;
                    cx.actions.push(Action::StartProbe(ProbeId { checker: number, serial }));
                }
                Due::Wait(until) => {
                    self.due.push(Reverse((until.max(now + Duration::from_micros(1)), number)))
                }
                Due::Nothing => {}
            }
        }
    }

    /// Forgets the probes that are running.
    fn stop_probes(&mut self, cx: &mut Ctx<'_>) {
        for (number, &(service, server)) in self.checkers.iter().enumerate() {
            let service = self.services.get(service as usize);
            let server = service.and_then(|s| s.servers.get(server as usize));
            if let Some(serial) = server.and_then(|s| s.checker.as_ref()).and_then(|c| c.serial()) {
                cx.actions.push(Action::StopProbe(ProbeId { checker: number as u32, serial }));
            }
        }
        self.due.clear();
    }

    /// Where the server of a running probe is: (service, server).
    fn find(&self, id: ProbeId) -> Option<(usize, usize)> {
        let &(service, server) = self.checkers.get(id.checker as usize)?;
        let (service, server) = (service as usize, server as usize);
        let checker = self.services.get(service)?.servers.get(server)?.checker.as_ref()?;
        (checker.serial() == Some(id.serial)).then_some((service, server))
    }

    /// Says to the table what a service wants now.
    pub(super) fn want(&mut self, at: usize) {
        if let Some(service) = self.services.get(at) {
            self.table.want_destinations(&service.rows, &service.wanted_destinations());
        }
    }
}
