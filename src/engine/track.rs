//! Trackers: interfaces, scripts, files, processes, addresses, routes and far ends (keepalived §2.3).

use super::links::Links;
use super::{Ctx, KernelRoute, Outcome, ProbeId, ProbeSpec, RunId, RunOutcome, RunSpec};
use crate::model::status::TrackerStatus;
use crate::model::{Reason, Track};
use crate::time::{Duration, Instant};

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

/// All trackers, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Trackers {
    list: Vec<Track>,
    /// A verdict is another one since [`Self::take_changed`].
    changed: bool,
}

impl Trackers {
    /// Trackers that know nothing yet; none runs before the first [`Self::look`].
    pub(super) fn new(tracks: &[Track], _now: Instant) -> Self {
        Trackers { list: tracks.to_vec(), changed: true }
    }

    /// Another configuration: what has the same name and kind keeps its verdict.
    pub(super) fn reconfigure(&mut self, _now: Instant, tracks: &[Track], _cx: &mut Ctx<'_>) {
        self.list = tracks.to_vec();
        self.changed = true;
    }

    /// When is [`Self::tick`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Starts what is due, and ends what is overdue.
    pub(super) fn tick(&mut self, _now: Instant, _cx: &mut Ctx<'_>) {}

    /// Links and addresses may have changed; the first call starts the trackers.
    pub(super) fn look(&mut self, _now: Instant, _links: &Links, _cx: &mut Ctx<'_>) {}

    /// Does a tracker need the kernel's routes?
    pub(super) fn wants_routes(&self) -> bool {
        false
    }

    /// A route came or went.
    pub(super) fn handle_route(
        &mut self,
        _now: Instant,
        _route: &KernelRoute,
        _present: bool,
        _links: &Links,
    ) {
    }

    /// The kernel's tables are told anew.
    pub(super) fn dump_start(&mut self) {}

    /// They have been told: routes that were not are gone.
    pub(super) fn dump_end(&mut self, _now: Instant) {}

    /// A script ended.
    pub(super) fn handle_ran(
        &mut self,
        _now: Instant,
        _id: RunId,
        _outcome: RunOutcome,
        _took: Duration,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// A path probe ended.
    pub(super) fn handle_probe(
        &mut self,
        _now: Instant,
        _id: ProbeId,
        _outcome: &Outcome,
        _took: Duration,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// The number of a file.
    pub(super) fn handle_file(
        &mut self,
        _now: Instant,
        _track: usize,
        _value: Result<i32, Reason>,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// The number of processes.
    pub(super) fn handle_process(
        &mut self,
        _now: Instant,
        _track: usize,
        _count: Result<u32, Reason>,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// The probe of a path tracker; `None` once it is gone.
    pub(super) fn probe_spec(&self, _id: ProbeId) -> Option<ProbeSpec<'_>> {
        None
    }

    /// The script of a tracker; `None` once it is gone.
    pub(super) fn run_spec(&self, _id: RunId) -> Option<RunSpec<'_>> {
        None
    }

    /// What a tracker knows; out of range: nothing.
    pub(super) fn verdict(&self, _track: usize) -> Verdict {
        Verdict::Unknown
    }

    /// Has any verdict changed since the last call?
    pub(super) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// For the status screen; `used_by` is filled by the engine.
    pub(super) fn status(&self, _now: Instant) -> Vec<TrackerStatus> {
        Vec::new()
    }
}
