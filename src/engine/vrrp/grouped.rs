//! What others decide for an instance: trackers, its sync group, the operator, the end of a hook.

use super::Instance;
use crate::engine::standing::Standing;
use crate::engine::{Ctx, LinkName, Refusal, RunId, RunOutcome, RunSpec};
use crate::model::{Name, Text};
use crate::time::{Duration, Instant};

impl Instance {
    /// The trackers found something new.
    pub(in crate::engine) fn set_standing(&mut self, _now: Instant, _standing: Standing, _cx: &mut Ctx<'_>) {}

    /// The sync group of the instance, if it has one: from now on it asks before it becomes Active.
    pub(in crate::engine) fn set_group(&mut self, _group: Option<Name>) {}

    /// Is the group all that keeps it from becoming Active?
    pub(in crate::engine) fn wants_active(&self) -> bool {
        false
    }

    /// The whole group becomes Active, and so does this one (from Backup).
    pub(in crate::engine) fn follow_to_active(&mut self, _now: Instant, _cx: &mut Ctx<'_>) {}

    /// Another member is Backup, and so is this one (from Active): it resigns, so that the router that took
    /// over there takes over here.
    pub(in crate::engine) fn follow_to_backup(&mut self, _now: Instant, _why: &Text, _cx: &mut Ctx<'_>) {}

    /// Another member is in Fault, or no more.
    pub(in crate::engine) fn set_group_fault(
        &mut self,
        _now: Instant,
        _why: Option<Text>,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// Has it reasons of its own (not its group's) to be in Fault?
    pub(in crate::engine) fn has_own_fault(&self) -> bool {
        self.fault_cause().is_some()
    }

    /// The operator wants it to leave Active for so long; zero: no more.
    pub(in crate::engine) fn handle_resign(
        &mut self,
        _now: Instant,
        _wanted_for: Duration,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// Its macvlan could not be made or changed.
    pub(in crate::engine) fn handle_link_failed(
        &mut self,
        _now: Instant,
        _name: &LinkName,
        _refusal: Refusal,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// Its `pre_active` hook ended.
    pub(in crate::engine) fn handle_ran(
        &mut self,
        _now: Instant,
        _id: RunId,
        _outcome: RunOutcome,
        _took: Duration,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// Its `pre_active` hook.
    pub(in crate::engine) fn run_spec(&self, _id: RunId) -> Option<RunSpec<'_>> {
        None
    }
}
