//! The mail queue of a vipd that was built without mail: it takes nothing, and the configuration refuses
//! `[mail]`.

use super::history::History;
use super::notify::About;
use super::{Actions, Letter, NameId, NameSpec};
use crate::model::status::{InstanceState, Snapshot};
use crate::model::{Mail, Reason};
use crate::time::Instant;
use core::fmt;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug)]
pub(super) struct Mailer;

impl Mailer {
    pub(super) fn new(_: Option<Mail>) -> Self {
        Mailer
    }

    pub(super) fn push(&mut self, _: Instant, _subject: fmt::Arguments<'_>, _body: fmt::Arguments<'_>) {}

    pub(super) fn tell(
        &mut self,
        _: Instant,
        _router_name: &str,
        _: About<'_>,
        _: (InstanceState, InstanceState),
        _cause: &str,
    ) {
    }

    pub(super) fn handle_result(
        &mut self,
        _: Instant,
        _id: u32,
        _: Result<(), Reason>,
        _: &mut History,
        _: &mut Actions,
    ) {
    }

    pub(super) fn tick(&mut self, _: Instant, _: &mut History, _: &mut Actions) {}

    pub(super) fn name_spec(&self, _: NameId) -> Option<NameSpec<'_>> {
        None
    }

    pub(super) fn handle_resolved(
        &mut self,
        _: Instant,
        _: NameId,
        _: Result<Vec<IpAddr>, Reason>,
        _: &mut History,
        _: &mut Actions,
    ) {
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        None
    }

    pub(super) fn is_busy(&self, _: Instant) -> bool {
        false
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }

    pub(super) fn letter(&self, _id: u32) -> Option<&Letter> {
        None
    }

    pub(super) fn settings(&self) -> Option<&Mail> {
        None
    }

    pub(super) fn reconfigure(&mut self, _: Option<Mail>) {}

    pub(super) fn fill(&self, _: Instant, _: &mut Snapshot) {}
}
