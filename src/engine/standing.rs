//! What the trackers make of a priority (keepalived §2.3): the sum, its parts, and reasons for Fault.

use super::{Actions, Engine};
use crate::model::status::{GroupStatus, TrackerStatus};
use crate::model::{Name, SyncGroup, Text};
use crate::time::Instant;

/// How an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// Priority to advertise, 1..=255: clamped to 1..=254 but for the owner.
    pub(super) priority: u8,
    /// (tracker, contribution), zeros left out.
    pub(super) contributions: Vec<(Name, i32)>,
    /// Why it cannot take part: trackers that are down, or that know nothing yet.
    pub(super) faults: Vec<Text>,
}

impl Engine {
    /// After every event: what the trackers found goes to the instances, and the groups follow their members.
    pub(super) fn follow(&mut self, _now: Instant, _actions: &mut Actions) {}

    /// Another configuration's groups; those of the same name go on.
    pub(super) fn regroup(&mut self, _now: Instant, _groups: &[SyncGroup]) {}

    /// For the status screen.
    pub(super) fn group_status(&self, _now: Instant) -> Vec<GroupStatus> {
        Vec::new()
    }

    /// For the status screen.
    pub(super) fn tracker_status(&self, now: Instant) -> Vec<TrackerStatus> {
        self.trackers.status(now)
    }
}
