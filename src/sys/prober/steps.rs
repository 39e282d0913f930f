//! What happens in the probes that somebody asks for (`vipd probe`), step by step.

use super::jobs::First;
use super::slot::Owner;
use crate::engine::ProbeId;
use crate::limits;
use crate::model::{Reason, cut};
use crate::time::{Duration, Instant};
use crate::wire::job::Report;
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

    /// What a worker tells of its conversation, which has ended just now.
    pub(super) fn note_report(&mut self, now: Instant, owner: Owner, first: First, report: &Report) {
        let [hands, begin, middle, end] = report.steps;
        let Report { status, bytes, took, .. } = report;
        let start = if *took < now - Instant::ZERO { now - *took } else { now };
        let mut note = |micros: u32, what: fmt::Arguments<'_>| {
            if micros != 0 {
                self.note(start + Duration::from_micros(micros.into()), owner, what);
            }
        };
        match first {
            First::Banner => {
                note(begin, format_args!("banner read"));
                note(middle, format_args!("HELO answered"));
                note(end, format_args!("QUIT sent"));
            }
            First::Request | First::Worker => {
                note(hands, format_args!("hands shaken (TLS)"));
                // Otherwise the loop has sent it, and told so.
                if first == First::Worker {
                    note(begin, format_args!("request sent"));
                }
                note(middle, format_args!("header read: status {status}"));
                note(end, format_args!("body read: {bytes} bytes"));
            }
        }
    }

    pub(super) fn take(&mut self) -> Option<(Instant, ProbeId, Reason)> {
        self.0.pop_front()
    }
}
