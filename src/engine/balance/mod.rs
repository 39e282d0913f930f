//! Balancing: checkers, services, and the kernel's IPVS table.
//!
//! ```text
//! probe result → Probe (verdict) → Server (up? weight?) → Service (quorum) → Row (wanted)
//!                                                       → Reconciler (commands) → kernel
//! kernel's answers and dumps → Row (actual) → Reconciler (commands)
//! ```
//!
//! A service is known by its keys (protocol, address and port, or a mark), a server by its address; both keep
//! their state over a reload. A service has one row for each key, all with the same destinations.
//!
//! One probe serves all checks that would probe the same in the same way. A result that changes nothing costs
//! a turn in the queue; one that does, a look at each service that it concerns.

mod asked;
mod checker;
mod clocks;
mod destination;
mod heirs;
mod merge;
mod names;
mod outside;
mod presence;
mod probes;
mod quorum;
mod reading;
mod reconcile;
mod refusal;
mod reload;
mod server;
mod service;
mod status;
mod sync;
mod table;
mod tell;
#[cfg(test)]
mod tests;
mod users;
mod verdict;
mod whole;
mod why;

pub use self::asked::AskedCheck;
pub(super) use self::verdict::script_result;

use self::checker::Due;
use self::heirs::Change;
use self::names::Names;
use self::presence::Presence;
use self::probes::Probes;
use self::reconcile::Reconciler;
use self::server::Files;
use self::service::{Facts, Service};
use self::users::{Place, Users};
use super::{
    Ctx, HeldTimeouts, IpvsEvent, NameId, NameSpec, Outcome, ProbeId, ProbeSpec, RunId, RunOwner, RunSpec,
    event::earlier,
};
use crate::model::{Check, CheckKind, Config, Daemon, DaemonRole, Reason, ServiceKey, cut};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// The table that cannot be emptied by then stays as it is.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
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
    /// What of the last reload has still to be done, in their order.
    changes: VecDeque<Change>,
    probes: Probes,
    files: Files,
    /// Who uses which file: by index in `Config::tracks`.
    file_users: Users,
    names: Names,
    presence: Presence,
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
            changes: VecDeque::new(),
            probes: Probes::new(seed),
            files: Files::default(),
            file_users: Users::default(),
            names: Names::new(seed),
            presence: Presence::default(),
            keep: config.ipvs.keep,
            table: Reconciler::new(now, config.ipvs.watch_interval),
            phase: Phase::New,
            not_run: None,
            not_run_noted_at: None,
        };
        balancer.take_over(now, config, None);
        balancer
    }

    /// Begins: looks for the kernel's IPVS, and probes.
    pub(super) fn start(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::New => {}
            Phase::Running | Phase::Leaving { .. } | Phase::Left => return,
        }
        self.phase = Phase::Running;
        let services = &self.services;
        self.probes.begin(now, |place| check_at(services, place));
        // Numbers of files may have been told before.
        self.look_at_files(now, cx);
        for at in 0..self.services.len() {
            self.look_if_here(now, at, cx);
            self.tell_start(now, at, cx);
        }
        self.tick(now, cx);
    }

    /// What an earlier run left in the kernel's table, before `start`.
    pub(super) fn handle_left(&mut self, keys: &[ServiceKey]) {
        match self.phase {
            Phase::New | Phase::Running => self.table.left(keys),
            Phase::Leaving { .. } | Phase::Left => {}
        }
    }

    /// What an earlier run left of the timeouts, before `start`.
    pub(super) fn handle_timeouts_left(&mut self, held: HeldTimeouts) {
        match self.phase {
            Phase::New | Phase::Running => self.table.whole.left(held),
            Phase::Leaving { .. } | Phase::Left => {}
        }
    }

    /// The sync daemons that an earlier run left, before `start`.
    pub(super) fn handle_daemons_left(&mut self, daemons: Vec<(DaemonRole, Daemon)>) {
        match self.phase {
            Phase::New | Phase::Running => self.table.whole.left_daemons(daemons),
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

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Running => {
                self.go_on(now, cx);
                self.do_what_is_due(now, cx);
            }
            Phase::Leaving { .. } => {
                self.table.run(now, cx);
                self.look_if_left(now, cx);
            }
            Phase::New | Phase::Left => {}
        }
    }

    fn do_what_is_due(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.table.run(now, cx);
        self.look_names_up(now, cx);
        self.start_probes(now, cx);
    }

    /// When `tick` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running if !self.changes.is_empty() => Some(Instant::ZERO),
            Phase::Running => {
                let checks = earlier(self.probes.next_deadline(), self.names.next_deadline());
                earlier(checks, self.table.next_deadline())
            }
            Phase::Leaving { give_up_at } => earlier(Some(give_up_at), self.table.next_deadline()),
            Phase::New | Phase::Left => None,
        }
    }

    /// What a probe is to do; `None` for one that is not running (any more).
    pub(super) fn probe_spec(&self, id: ProbeId) -> Option<ProbeSpec<'_>> {
        let (place, check) = self.running(id.checker, id.serial)?;
        let service = self.services.get(place.service as usize)?;
        let config = service.config.servers.get(place.server as usize)?;
        let server = service.servers.get(place.server as usize)?;
        let assumed = server.links.get(place.check as usize).is_some_and(|link| link.assumed);
        Some(ProbeSpec {
            address: probes::target(server.address, &config.address, check)?,
            kind: &check.kind,
            timeout: check.timeout,
            was_up: self.probes.get(id.checker)?.checker.verdict().unwrap_or(assumed),
            source: check.via.source,
            source_port: check.via.source_port,
            interface: check.via.interface.as_ref(),
            mark: check.via.mark,
        })
    }

    /// The script of a check; `None` once it is gone.
    pub(super) fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        let RunOwner::Check(number) = id.owner else { return None };
        let (_, check) = self.running(number, id.serial)?;
        let CheckKind::Script(script) = &check.kind else { return None };
        Some(RunSpec { command: &script.command, arguments: &[] })
    }

    /// The name that is looked up; `None` once it is gone.
    pub(super) fn name_spec(&self, id: NameId) -> Option<NameSpec<'_>> {
        self.names.spec(id)
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
                self.changes.clear();
                self.stop_probes(cx);
                self.tell_stop(now, cx);
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
        while let Some(number) = self.probes.take_due(now) {
            let place = self.probes.users.first(number);
            let check = place.and_then(|place| check_at(&self.services, place));
            let serial = self.probes.next_serial();
            let (Some(check), Some(probe)) = (check, self.probes.get_mut(number)) else { continue };
            match probe.checker.handle_due(now, check, serial) {
                Due::Probe => cx.actions.extend(self.probes.start(now, number, check)),
                Due::Wait(until) => self.probes.arm_at(number, until.max(now + Duration::from_micros(1))),
                Due::Nothing if probe.is_lost(now) => {
                    cx.actions.extend(self.probes.stop(number));
                    let reason = cut(format_args!("nothing was heard of its script"));
                    self.handle_result(now, number, Outcome::NotRun(reason), None, Duration::ZERO, cx);
                }
                Due::Nothing => self.probes.arm(number),
            }
        }
    }

    /// Forgets the probes that are running, and asks for nothing more.
    fn stop_probes(&mut self, cx: &mut Ctx<'_>) {
        let running = (0..self.probes.end()).filter_map(|number| self.probes.stop(number));
        cx.actions.extend(running);
        self.probes.disarm_all();
        self.names.stop();
    }

    /// The check of a running probe, and where it is.
    fn running(&self, number: u32, serial: u32) -> Option<(Place, &Check)> {
        let is_it = self.probes.get(number)?.checker.serial() == Some(serial);
        let place = self.probes.users.first(number).filter(|_| is_it)?;
        Some((place, check_at(&self.services, place)?))
    }

    /// What judgments lean on.
    fn facts(&self) -> Facts<'_> {
        Facts { probes: &self.probes, files: &self.files, names: &self.names }
    }

    /// Says to the table what a service wants now.
    pub(super) fn want(&mut self, at: usize) {
        if let Some(service) = self.services.get(at) {
            self.table.want_destinations(&service.rows, &service.wanted_destinations());
        }
    }
}

/// The parameters of a check.
fn check_at(services: &[Service], place: Place) -> Option<&Check> {
    let server = services.get(place.service as usize)?.config.servers.get(place.server as usize)?;
    server.checks.get(place.check as usize)
}
