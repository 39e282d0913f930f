//! What happens in the probes that somebody asks for (`vipd probe`), step by step.

use super::slot::Owner;
use crate::engine::ProbeId;
use crate::limits;
use crate::model::{Reason, cut};
use crate::time::Instant;
use core::fmt;
use std::collections::VecDeque;

/// Steps that have not been taken out yet.
#[derive(Debug, Default)]
pub(super) struct Steps(VecDeque<(Instant, ProbeId, Reason)>);

impl Steps {
    /// Keeps what has happened. For probes of checkers and for mails it does nothing.
    pub(super) fn note(&mut self, now: Instant, owner: Owner, what: fmt::Arguments<'_>) {
        match owner {
            Owner::Probe(id) if id.checker >= ProbeId::ASKED && self.0.len() < limits::PROBE_STEPS_MAX => {
                self.0.push_back((now, id, cut(what)));
            }
            Owner::Probe(_) | Owner::Mail(_) => {}
        }
    }

    pub(super) fn take(&mut self) -> Option<(Instant, ProbeId, Reason)> {
        self.0.pop_front()
    }
}
