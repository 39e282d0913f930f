//! Virtual and static routes and rules: what should be in the kernel's tables against what is (law 3,
//! RTNL-30..RTNL-35).

use super::links::Links;
use super::{Ctx, KernelRoute, Refusal};
use crate::model::status::RouteStatus;
use crate::model::{IfName, Route, Rule};
use crate::time::Instant;

/// The routes and rules of one instance, or the static ones.
#[derive(Debug, Default)]
pub(super) struct Routes {}

impl Routes {
    /// `interface`: that of routes that name none and have no gateway.
    pub(super) fn new(_routes: &[Route], _rules: &[Rule], _interface: Option<&IfName>) -> Self {
        Routes {}
    }

    /// Other routes and rules: those that stay keep what is known of them, the others are removed.
    pub(super) fn reconfigure(
        &mut self,
        _now: Instant,
        _routes: &[Route],
        _rules: &[Rule],
        _interface: Option<&IfName>,
    ) {
    }

    /// Are there any, routes or rules, so that the kernel's must be watched?
    pub(super) fn wants(&self) -> (bool, bool) {
        (false, false)
    }

    /// Wanted from now on, or not. Add: after the addresses; remove: before them (RTNL-34).
    pub(super) fn want(&mut self, _now: Instant, _wanted: bool) {}

    /// When is [`Self::converge`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Asks for a batch of changes: routes before rules when adding, rules before routes when removing.
    /// `name`: whose they are, for notes.
    pub(super) fn converge(&mut self, _now: Instant, _links: &Links, _name: &str, _cx: &mut Ctx<'_>) {}

    /// The kernel's answer; false: the token is not one of ours.
    pub(super) fn handle_result(
        &mut self,
        _now: Instant,
        _token: u32,
        _result: Result<(), Refusal>,
        _name: &str,
        _cx: &mut Ctx<'_>,
    ) -> bool {
        false
    }

    /// A route came or went.
    pub(super) fn handle_route(
        &mut self,
        _now: Instant,
        _route: &KernelRoute,
        _present: bool,
        _links: &Links,
        _name: &str,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// A rule came or went.
    pub(super) fn handle_rule(
        &mut self,
        _now: Instant,
        _rule: &Rule,
        _ours: bool,
        _present: bool,
        _name: &str,
        _cx: &mut Ctx<'_>,
    ) {
    }

    /// The kernel's tables are told anew.
    pub(super) fn dump_start(&mut self) {}

    /// They have been told: what was not is gone.
    pub(super) fn dump_end(&mut self, _now: Instant, _name: &str, _cx: &mut Ctx<'_>) {}

    /// Is nothing of ours in the kernel's tables, or on its way?
    pub(super) fn is_clean(&self) -> bool {
        true
    }

    /// For the status screen.
    pub(super) fn status(&self) -> Vec<RouteStatus> {
        Vec::new()
    }
}
