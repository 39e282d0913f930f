//! Notifications: programs and FIFOs that are told of changes, in order, collapsing to the newest; services
//! of this box that follow an instance (keepalived §2.6).

use super::{Actions, RunId, RunOutcome, RunSpec};
use crate::model::status::{InstanceState, RunStatus};
use crate::model::{Config, Instance, SyncGroup};
use crate::time::{Duration, Instant};

/// Whom a notification is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// An instance.
    Instance(&'a Instance),
    /// A sync group.
    Group(&'a SyncGroup),
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is in this state now. `quietly`: an instance that merely followed its group; its own commands are
    /// not run, but services of this box follow.
    State {
        /// The new state.
        state: InstanceState,
        /// It merely followed its group.
        quietly: bool,
    },
    /// It is no more part of the configuration.
    Deleted,
    /// A lower-priority router was heard while Active.
    LowerPriority,
    /// Its effective priority is another one; in this state.
    Priority(InstanceState),
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Notifier {}

impl Notifier {
    /// Empty queues.
    pub(super) fn new(_config: &Config) -> Self {
        Notifier {}
    }

    /// Another configuration: queues of objects that are still there go on.
    pub(super) fn reconfigure(&mut self, _now: Instant, _config: &Config, _actions: &mut Actions) {}

    /// Something has happened; `priority` is the effective one, 0 for a group.
    pub(super) fn tell(
        &mut self,
        _now: Instant,
        _about: About<'_>,
        _change: Change,
        _priority: u8,
        _actions: &mut Actions,
    ) {
    }

    /// A program ended.
    pub(super) fn handle_ran(
        &mut self,
        _now: Instant,
        _id: RunId,
        _outcome: RunOutcome,
        _took: Duration,
        _actions: &mut Actions,
    ) {
    }

    /// The program of an [`super::Action::Run`]; `None` once it is gone.
    pub(super) fn run_spec(&self, _id: RunId) -> Option<RunSpec<'_>> {
        None
    }

    /// When is [`Self::tick`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, _now: Instant, _actions: &mut Actions) {}

    /// Does nothing run or wait? The leave of the daemon waits for it.
    pub(super) fn is_idle(&self) -> bool {
        true
    }

    /// For the status screen.
    pub(super) fn status(&self, _now: Instant) -> Vec<RunStatus> {
        Vec::new()
    }
}
