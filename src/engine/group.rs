//! Sync groups: instances that are Active together or not at all (keepalived §2.3).

use crate::model::SyncGroup;
use crate::model::status::InstanceState;
use crate::time::Instant;

/// One group at run time.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) config: SyncGroup,
    pub(super) state: InstanceState,
    pub(super) since: Instant,
}

impl Group {
    pub(super) fn new(config: SyncGroup, now: Instant) -> Self {
        Group { config, state: InstanceState::Initialize, since: now }
    }
}
