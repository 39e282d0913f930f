//! Trackers: interfaces, scripts, files, processes, addresses, routes and far ends (keepalived §2.3).
//!
//! Only those run that an instance or a group uses. The first result decides alone, also that of a path
//! probe, so that a router is soon ready after boot; `rise`, `fall`, delays and `hold` count from then on. A
//! reload keeps verdicts by name and kind.

mod found;
mod runner;
mod tally;
mod tracker;

use self::tracker::Tracker;
use super::links::Links;
use super::{
    Action, AddressChange, Ctx, KernelRoute, Outcome, ProbeId, ProbeSpec, RunId, RunOutcome, RunOwner,
    RunSpec,
};
use crate::model::status::TrackerStatus;
use crate::model::{CheckKind, Cidr, Config, Name, Reason, TrackKind, cut};
use crate::time::{Duration, Instant};
use core::fmt;

/// What a tracker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Unknown,
    /// All is well.
    Up,
    /// It is not.
    Down,
    /// A file's number.
    Number(i32),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Unknown => f.write_str("unknown"),
            Verdict::Up => f.write_str("up"),
            Verdict::Down => f.write_str("down"),
            Verdict::Number(number) => number.fmt(f),
        }
    }
}

/// A verdict, whose it is, and why.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) kind: &'static str,
    pub(super) name: Name,
    pub(super) reason: Reason,
}

/// All trackers, in the order of the configuration.
#[derive(Debug)]
pub(super) struct Trackers {
    list: Vec<Tracker>,
    /// A verdict is another one since [`Self::take_changed`].
    changed: bool,
    /// Runs begin with [`Self::start`], and end with [`Self::shutdown`].
    is_started: bool,
    /// The kernel tells routes.
    has_routes: bool,
    /// A dump is going on, or was asked for.
    redump_asked: bool,
    next_serial: u32,
    /// Spreads the first runs.
    seed: u32,
}

impl Trackers {
    /// Trackers that know nothing yet; none runs before [`Self::start`].
    pub(super) fn new(config: &Config, seed: u32, now: Instant) -> Self {
        Trackers {
            list: trackers(config, seed, now),
            changed: true,
            is_started: false,
            has_routes: false,
            redump_asked: false,
            next_serial: 1,
            seed,
        }
    }

    /// Another configuration: what has the same name and kind keeps its verdict.
    pub(super) fn reconfigure(&mut self, now: Instant, config: &Config, cx: &mut Ctx<'_>) {
        let mut old: Vec<(u32, Tracker)> = (0..).zip(core::mem::take(&mut self.list)).collect();
        for (number, new) in (0..).zip(trackers(config, self.seed, now)) {
            let same = |(_, t): &(u32, Tracker)| {
                t.config.name == new.config.name
                    && core::mem::discriminant(&t.config.kind) == core::mem::discriminant(&new.config.kind)
            };
            self.list.push(match old.iter().position(same) {
                None => new,
                Some(at) => {
                    let (was_number, mut kept) = old.swap_remove(at);
                    kept.reconfigure(now, number, new, was_number, cx);
                    kept
                }
            });
        }
        for (_, gone) in &mut old {
            gone.stop(cx);
        }
        self.changed = true;
    }

    /// When is [`Self::tick`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let due = self.list.iter().filter_map(Tracker::next_deadline);
        due.min().filter(|_| self.is_started)
    }

    /// Starts what is due, and ends what is overdue.
    pub(super) fn tick(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if !self.is_started {
            return;
        }
        for (number, tracker) in (0..).zip(&mut self.list) {
            if tracker.next_deadline().is_some_and(|at| at <= now) {
                self.changed |= tracker.tick(now, number, &mut self.next_serial, cx);
            }
        }
    }

    /// The kernel has told its links once.
    pub(super) fn start(&mut self) {
        self.is_started = true;
    }

    /// Links may have changed.
    pub(super) fn look(&mut self, now: Instant, links: &Links, cx: &mut Ctx<'_>) {
        if !self.is_started {
            return;
        }
        for tracker in used(&mut self.list) {
            self.changed |= tracker.look(now, links, cx);
        }
    }

    /// The daemon ends: nothing is run any more.
    pub(super) fn shutdown(&mut self, cx: &mut Ctx<'_>) {
        self.is_started = false;
        self.list.iter_mut().for_each(|t| t.stop(cx));
    }

    /// Does a tracker need the kernel's routes?
    pub(super) fn wants_routes(&self) -> bool {
        self.list.iter().any(Tracker::wants_routes)
    }

    /// From now on the kernel's routes are told, or not.
    pub(super) fn watch_routes(&mut self, has_routes: bool) {
        self.has_routes = has_routes;
    }

    /// An address came or went.
    pub(super) fn handle_address(
        &mut self,
        now: Instant,
        (index, cidr): (u32, &Cidr),
        change: AddressChange,
        links: &Links,
        cx: &mut Ctx<'_>,
    ) {
        let is_present = match change {
            AddressChange::Present { .. } => true,
            AddressChange::Gone => false,
        };
        for tracker in used(&mut self.list) {
            if tracker.handle_address(index, cidr, is_present) && self.is_started {
                self.changed |= tracker.count(now, links, cx);
            }
        }
    }

    /// A route came or went.
    pub(super) fn handle_route(
        &mut self,
        now: Instant,
        route: &KernelRoute,
        is_present: bool,
        links: &Links,
        cx: &mut Ctx<'_>,
    ) {
        let mut ask = false;
        for tracker in used(&mut self.list) {
            let (is_of_interest, in_doubt) = tracker.handle_route(route, is_present);
            ask |= in_doubt;
            if is_of_interest {
                self.changed |= tracker.count(now, links, cx);
            }
        }
        if ask && !self.redump_asked {
            self.redump_asked = true;
            cx.actions.push(Action::Redump);
        }
    }

    /// The kernel's tables are told anew.
    pub(super) fn dump_start(&mut self) {
        self.redump_asked = false;
        let has_routes = self.has_routes;
        used(&mut self.list).for_each(|t| t.dump_start(has_routes));
    }

    /// They have been told: what was not is gone. The next [`Self::look`] sees it.
    pub(super) fn dump_end(&mut self) {
        used(&mut self.list).for_each(Tracker::dump_end);
    }

    /// A script ended.
    pub(super) fn handle_ran(
        &mut self,
        now: Instant,
        id: RunId,
        outcome: RunOutcome,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        let RunOwner::Track(number) = id.owner else { return };
        if let Some(tracker) = self.list.iter_mut().find(|t| t.runs(number, id.serial)) {
            let why = cut(format_args!("{outcome}"));
            self.changed |= tracker.handle_result(now, Some(outcome.is_success()), why, took, cx);
        }
    }

    /// A path probe ended.
    pub(super) fn handle_probe(
        &mut self,
        now: Instant,
        id: ProbeId,
        outcome: &Outcome,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        let number = id.checker.wrapping_sub(ProbeId::PATH);
        let (passed, why) = match outcome {
            Outcome::Passed => (Some(true), cut(format_args!("answered in {took}"))),
            Outcome::Failed(why) => (Some(false), why.clone()),
            Outcome::NotRun(why) => (None, why.clone()),
        };
        if let Some(tracker) = self.list.iter_mut().find(|t| t.runs(number, id.serial)) {
            self.changed |= tracker.handle_result(now, passed, why, took, cx);
        }
    }

    /// The number of a file.
    pub(super) fn handle_file(
        &mut self,
        now: Instant,
        track: usize,
        value: Result<i32, Reason>,
        cx: &mut Ctx<'_>,
    ) {
        let Some(tracker) = self.list.get_mut(track).filter(|t| t.is_used()) else { return };
        if let TrackKind::File { .. } = tracker.config.kind {
            self.changed |= tracker.handle_file(now, value, cx);
        }
    }

    /// The number of processes.
    pub(super) fn handle_process(
        &mut self,
        now: Instant,
        track: usize,
        count: Result<u32, Reason>,
        cx: &mut Ctx<'_>,
    ) {
        if let Some(tracker) = self.list.get_mut(track).filter(|t| t.is_used()) {
            self.changed |= tracker.handle_process(now, count, cx);
        }
    }

    /// The probe of a path tracker; `None` once it is gone.
    pub(super) fn probe_spec(&self, id: ProbeId) -> Option<ProbeSpec<'_>> {
        let number = id.checker.wrapping_sub(ProbeId::PATH);
        let tracker = self.list.iter().find(|t| t.runs(number, id.serial))?;
        let TrackKind::Path { target, probe, timeout, source, interface, .. } = &tracker.config.kind else {
            return None;
        };
        Some(ProbeSpec {
            address: *target,
            kind: probe,
            timeout: *timeout,
            was_up: tracker.verdict() == Verdict::Up,
            source: *source,
            source_port: 0,
            interface: interface.as_ref(),
            mark: 0,
        })
    }

    /// The script of a tracker; `None` once it is gone.
    pub(super) fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        let RunOwner::Track(number) = id.owner else { return None };
        let tracker = self.list.iter().find(|t| t.runs(number, id.serial))?;
        let TrackKind::Script { command, .. } = &tracker.config.kind else { return None };
        Some(RunSpec { command, arguments: &[] })
    }

    /// What a tracker knows; `None`: there is none of this number.
    pub(super) fn finding(&self, track: usize) -> Option<Finding> {
        self.list.get(track).map(|t| Finding {
            verdict: t.verdict(),
            kind: kind_word(&t.config.kind),
            name: t.config.name.clone(),
            reason: t.reason().clone(),
        })
    }

    /// Has any verdict changed since the last call?
    pub(super) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// For the status screen.
    pub(super) fn status(&self, now: Instant) -> Vec<TrackerStatus> {
        self.list.iter().map(|t| t.status(now)).collect()
    }
}

/// The trackers of a configuration, with those who use them.
fn trackers(config: &Config, seed: u32, now: Instant) -> Vec<Tracker> {
    let mut used_by: Vec<Vec<Name>> = vec![Vec::new(); config.tracks.len()];
    let instances = config.instances.iter().map(|i| (&i.name, &i.tracks));
    for (name, tracks) in instances.chain(config.groups.iter().map(|g| (&g.name, &g.tracks))) {
        for track in tracks {
            if let Some(names) = used_by.get_mut(track.track)
                && names.last() != Some(name)
            {
                names.push(name.clone());
            }
        }
    }
    let has_files = config.tracks.iter().any(|track| matches!(track.kind, TrackKind::File { .. }));
    // There may be thousands of checks, and nothing to be found among them.
    for service in config.services.iter().filter(|_| has_files) {
        for check in service.servers.iter().flat_map(|server| server.checks.iter()) {
            if let CheckKind::File(file) = &check.kind
                && let Some(names) = used_by.get_mut(file.track)
                && names.last() != Some(&service.name)
            {
                names.push(service.name.clone());
            }
        }
    }
    // Neighbours lie far apart: the fractions of multiples of the golden ratio.
    let place = |number: u32| seed.wrapping_add(number.wrapping_mul(0x9E37_79B9));
    let tracks = config.tracks.iter().zip(used_by);
    (0..).zip(tracks).map(|(n, (t, used_by))| Tracker::new(now, t.clone(), used_by, place(n))).collect()
}

fn used(list: &mut [Tracker]) -> impl Iterator<Item = &mut Tracker> {
    list.iter_mut().filter(|t| t.is_used())
}

/// The kind, in the words of the configuration.
fn kind_word(kind: &TrackKind) -> &'static str {
    match kind {
        TrackKind::Interface { .. } => "interface",
        TrackKind::Script { .. } => "script",
        TrackKind::File { .. } => "file",
        TrackKind::Process { .. } => "process",
        TrackKind::Address { .. } => "address",
        TrackKind::Route { .. } => "route",
        TrackKind::Path { .. } => "path",
    }
}
