//! Virtual and static routes and rules: what should be in the kernel's tables against what is (law 3,
//! RTNL-30..RTNL-35).
//!
//! A route is added so that the kernel refuses it where another one is in its place, and removed by our
//! protocol number: whatever is believed here, nothing that somebody else made is touched (RTNL-33). Asking
//! once more is therefore harmless, and that is what is done in doubt: the kernel drops routes without a word
//! when their interface goes down or their source address goes (RTNL-26, RTNL-35).

mod claims;
mod entry;
mod item;
mod step;

pub(super) use claims::Claims;

use self::entry::Entry;
use self::item::{Item, Likeness};
use self::step::{Answer, added, ask, let_go, refused, removed, told};
use super::event::earlier;
use super::links::Links;
use super::quiet::Quiet;
use super::{Action, AddressOp, Ctx, KernelRoute, Refusal};
use crate::limits;
use crate::model::status::RouteStatus;
use crate::model::{IfName, Level, Route, Rule, Text, cut};
use crate::time::{Duration, Instant};
use std::net::IpAddr;

/// What the kernel refused is asked for again after so long (law 5).
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// One of ours that nobody wants is removed after so long: until then its own end may be on its way.
const STRAY_DELAY: Duration = Duration::from_secs(1);
/// How long an event of the past is a problem of today.
const RECENT: Duration = Duration::from_secs(3600);

/// The routes and rules of one instance, or the static ones.
#[derive(Debug)]
pub(super) struct Routes {
    /// Routes first, then rules, each in the order of the configuration.
    list: Vec<Entry>,
    /// No more wanted by anybody, and perhaps still there.
    doomed: Vec<Entry>,
    wanted: bool,
    /// One that somebody takes away is put back at most once in so long.
    interval: Duration,
    converge_at: Option<Instant>,
    /// Where to look for a token first: answers come in the order of the requests.
    hint: usize,
    asked: usize,
    refusals: Quiet,
    meddling: Quiet,
}

impl Routes {
    /// `interface`: that of routes that name none and have no gateway.
    pub(super) fn new(routes: &[Route], rules: &[Rule], interface: Option<&IfName>) -> Self {
        Routes {
            list: items(routes, rules, interface).map(Entry::new).collect(),
            doomed: Vec::new(),
            wanted: false,
            interval: Duration::from_secs(1),
            converge_at: None,
            hint: 0,
            asked: 0,
            refusals: Quiet::default(),
            meddling: Quiet::default(),
        }
    }

    /// One that somebody takes away is put back at most once in so long: the advert interval (law 3).
    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Other routes and rules: those that stay keep what is known of them, the others are removed.
    pub(super) fn reconfigure(
        &mut self,
        now: Instant,
        routes: &[Route],
        rules: &[Rule],
        interface: Option<&IfName>,
    ) {
        let mut old = core::mem::take(&mut self.list);
        old.append(&mut self.doomed);
        for item in items(routes, rules, interface) {
            let entry = match old.iter().position(|e| e.item.is_like(&item)) {
                Some(at) => {
                    let mut entry = old.swap_remove(at);
                    entry.given_up &= item.no_track();
                    entry.item.set_no_track(item.no_track());
                    entry
                }
                None => Entry::new(item),
            };
            self.list.push(entry);
        }
        self.doomed = old;
        self.hint = 0;
        self.wake(now);
    }

    /// Those of an instance that is no more part of the configuration are removed, unless others want them.
    pub(super) fn adopt(&mut self, now: Instant, gone: Routes) {
        self.asked += gone.asked;
        self.doomed.extend(gone.list);
        self.doomed.extend(gone.doomed);
        self.wake(now);
    }

    /// Are there any, routes or rules, so that the kernel's must be watched?
    pub(super) fn wants(&self) -> (bool, bool) {
        let rules = self.list.iter().filter(|e| e.item.is_rule()).count();
        (rules < self.list.len(), rules > 0)
    }

    /// Wanted from now on, or not; [`Self::converge`] does it. Add: after the addresses; remove: before them
    /// (RTNL-34).
    pub(super) fn want(&mut self, now: Instant, wanted: bool) {
        if self.wanted == wanted {
            return;
        }
        self.wanted = wanted;
        for entry in &mut self.list {
            (entry.not_before, entry.given_up, entry.missed, entry.stray) = (None, false, false, false);
        }
        if !self.list.is_empty() {
            self.wake(now);
        }
    }

    /// When is [`Self::converge`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.converge_at
    }

    fn wake(&mut self, at: Instant) {
        self.converge_at = earlier(self.converge_at, Some(at));
    }

    /// Asks for a batch of changes: routes before rules when adding, rules before routes when removing. More
    /// are asked for at the next call, which is due at once, so that an advert can leave in between.
    pub(super) fn converge(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.converge_at = None;
        self.claim(cx);
        let mut left = limits::ADDRESS_BATCH;
        // What is in the way of a new one must go before it; the rest after it, so that no packet is without
        // a route.
        self.remove(now, &mut left, cx, |list, doomed| {
            list.iter().any(|e| e.item.is_in_the_way_of(&doomed.item))
        });
        if self.wanted {
            self.add(now, &mut left, cx);
        }
        self.remove(now, &mut left, cx, |_, _| true);
        self.doomed.retain(|e| !e.is_done());
    }

    /// Counts us among those who want them, or no more.
    fn claim(&mut self, cx: &mut Ctx<'_>) {
        for entry in &mut self.list {
            if entry.claimed != self.wanted {
                entry.claimed = self.wanted;
                if self.wanted {
                    cx.claims.add(entry.item.key());
                } else {
                    cx.claims.remove(&entry.item.key());
                }
            }
        }
        for entry in self.doomed.iter_mut().filter(|e| e.claimed) {
            entry.claimed = false;
            cx.claims.remove(&entry.item.key());
        }
    }

    fn add(&mut self, now: Instant, left: &mut usize, cx: &mut Ctx<'_>) {
        for entry in &mut self.list {
            // Its interface may have come or gone before it was wanted.
            let behind = entry.look(cx.links);
            self.doomed.extend(behind);
            if entry.asked.is_some() || entry.given_up || (entry.is_present() && !entry.is_stale) {
                continue;
            }
            let Some(index) = entry.place(cx.links) else { continue };
            if !entry.is_due(now) {
                self.converge_at = earlier(self.converge_at, entry.not_before);
                continue;
            }
            if *left == 0 {
                self.converge_at = Some(now);
                return;
            }
            *left -= 1;
            self.asked += 1;
            let op = if entry.is_stale { AddressOp::Remove } else { AddressOp::Add };
            ask(entry, op, index, cx);
        }
    }

    /// Removes those that are not wanted, the last ones first.
    fn remove(
        &mut self,
        now: Instant,
        left: &mut usize,
        cx: &mut Ctx<'_>,
        is_wanted_gone: impl Fn(&[Entry], &Entry) -> bool,
    ) {
        for at in (0..self.doomed.len()).rev() {
            let Some(entry) = self.doomed.get(at) else { continue };
            if !is_wanted_gone(&self.list, entry) {
                continue;
            }
            if let Some(entry) = self.doomed.get_mut(at) {
                let due = let_go(entry, now, left, cx, &mut self.asked);
                self.converge_at = earlier(self.converge_at, due);
            }
        }
        if self.wanted {
            return;
        }
        for entry in self.list.iter_mut().rev() {
            let due = let_go(entry, now, left, cx, &mut self.asked);
            self.converge_at = earlier(self.converge_at, due);
        }
    }

    /// The kernel's answer; false: the token is not one of ours.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        token: u32,
        result: Result<(), Refusal>,
        name: &str,
        cx: &mut Ctx<'_>,
    ) -> bool {
        if self.asked == 0 {
            return false;
        }
        let is_it = |e: &Entry| e.asked.is_some_and(|(t, _)| t == token);
        let at = match self.list.get(self.hint) {
            Some(entry) if is_it(entry) => Some(self.hint),
            Some(_) | None => self.list.iter().position(is_it),
        };
        let wanted = self.wanted && at.is_some();
        let entry = match at {
            Some(at) => {
                self.hint = at + 1;
                self.list.get_mut(at)
            }
            None => self.doomed.iter_mut().find(|e| is_it(e)),
        };
        let Some(entry) = entry else { return false };
        let Some((_, op)) = entry.asked.take() else { return false };
        self.asked = self.asked.saturating_sub(1);
        let answer = match op {
            AddressOp::Add => added(entry, now, result),
            AddressOp::Remove => removed(entry, result),
        };
        let text = entry.item.text();
        let kind = entry.item.kind();
        match answer {
            Answer::Done => {}
            Answer::Unknown => cx.actions.push(Action::Redump),
            Answer::PutBack if !self.meddling.lets_through(now) => {}
            Answer::PutBack => {
                let line = format_args!("{text} was removed by someone: put back");
                cx.note(now, Level::Warning, kind, name, line);
            }
            Answer::StrayGone if !self.meddling.lets_through(now) => {}
            Answer::StrayGone => {
                let line = format_args!("{text} was there and not wanted: removed");
                cx.note(now, Level::Warning, kind, name, line);
            }
            Answer::Refused(refusal) => {
                let at = now + RETRY_INTERVAL;
                entry.not_before = Some(at);
                // An address of ours may be on its way.
                let is_early = entry.item.source().is_some() && entry.refusal.is_none();
                entry.refusal = Some(refusal);
                if !is_early && self.refusals.lets_through(now) {
                    let line = refused(&text, op, refusal);
                    cx.note(now, Level::Error, kind, name, format_args!("{line}"));
                }
                self.wake(at);
                return true;
            }
        }
        // It may have been asked for by a state that has been left meanwhile; and what was in the way of
        // another one, or stale, is gone.
        if op == AddressOp::Remove || !wanted {
            self.wake(now);
        }
        true
    }

    /// Is this route wanted here?
    pub(super) fn wants_route(&self, route: &KernelRoute) -> bool {
        let is_it = |e: &Entry| e.item.likeness(route, e.index()) == Likeness::Same;
        self.wanted && self.list.iter().any(is_it)
    }

    /// A route came or went; `is_wanted`: somebody wants it ([`Self::wants_route`]), so it is no left-over.
    /// Tells whether it is one of these.
    pub(super) fn handle_route(
        &mut self,
        now: Instant,
        route: &KernelRoute,
        present: bool,
        is_wanted: bool,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let mut is_known = false;
        let own = self.list.len();
        for at in 0..own + self.doomed.len() {
            let Some((entry, wanted)) = at_both(&mut self.list, &mut self.doomed, at, self.wanted) else {
                break;
            };
            let index = if at < own { entry.index() } else { entry.on.0 };
            match entry.item.likeness(route, index) {
                Likeness::None => continue,
                Likeness::Rival if present => {
                    entry.seen_rival = true;
                    if !core::mem::replace(&mut entry.rival, true) && wanted && entry.is_held() {
                        // It may have replaced ours, which is not told.
                        cx.actions.push(Action::Redump);
                    }
                }
                Likeness::Rival => {
                    entry.rival = false;
                    if wanted && !entry.is_present() {
                        entry.not_before = None;
                        self.converge_at = earlier(self.converge_at, Some(now));
                    }
                }
                Likeness::Same => {
                    is_known = true;
                    if present && is_wanted && !wanted && route.ours {
                        entry.set_off();
                        continue;
                    }
                    if present && at < own && entry.item.interface().is_none() && entry.item.is_on_a_link() {
                        entry.on = (route.index, true);
                    }
                    let due = told(entry, now, route.ours, present, wanted, self.interval, cx);
                    self.converge_at = earlier(self.converge_at, due);
                }
            }
        }
        is_known
    }

    /// A rule came or went. Tells whether it is one of these.
    pub(super) fn handle_rule(
        &mut self,
        now: Instant,
        rule: &Rule,
        ours: bool,
        present: bool,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let mut is_known = false;
        for at in 0..self.list.len() + self.doomed.len() {
            let Some((entry, wanted)) = at_both(&mut self.list, &mut self.doomed, at, self.wanted) else {
                break;
            };
            if entry.item.is_rule_of(rule) {
                is_known = true;
                let due = told(entry, now, ours, present, wanted, self.interval, cx);
                self.converge_at = earlier(self.converge_at, due);
            }
        }
        is_known
    }

    /// A route that a vipd made and nobody wants: what an earlier run left. It is removed unless its end is
    /// told soon.
    pub(super) fn handle_stray_route(&mut self, now: Instant, route: &KernelRoute) {
        if let Some(item) = Item::left(route) {
            // Unreachable routes of IPv6 are told on lo, and are on no interface.
            let index = if item.is_on_a_link() { route.index } else { 0 };
            self.handle_stray(now, item, index);
        }
    }

    /// A rule, likewise.
    pub(super) fn handle_stray_rule(&mut self, now: Instant, rule: &Rule) {
        self.handle_stray(now, Item::rule(rule), 0);
    }

    fn handle_stray(&mut self, now: Instant, item: Item, index: u32) {
        if self.doomed.len() >= limits::STRAY_ROUTES_MAX {
            return;
        }
        let at = now + STRAY_DELAY;
        self.doomed.push(Entry {
            ours: true,
            seen_ours: true,
            stray: true,
            on: (index, true),
            not_before: Some(at),
            ..Entry::new(item)
        });
        self.wake(at);
    }

    /// Interfaces came, went or changed.
    pub(super) fn handle_links(&mut self, now: Instant, links: &Links) {
        for entry in &mut self.list {
            let before = entry.on;
            let behind = entry.look(links);
            self.doomed.extend(behind);
            if before != entry.on {
                self.converge_at = earlier(self.converge_at, Some(now));
            }
        }
        for entry in &mut self.doomed {
            // Gone with its interface.
            if entry.on.0 != 0 && links.by_index(entry.on.0).is_none() {
                entry.set_off();
            }
        }
        // The answers of those that have been forgotten with their interface do not count.
        self.asked = self.list.iter().chain(&self.doomed).filter(|e| e.asked.is_some()).count();
    }

    /// An address came or went: it may be the source of a route, or what makes a gateway reachable.
    pub(super) fn handle_address(&mut self, now: Instant, address: IpAddr, present: bool) {
        if !self.wanted {
            return;
        }
        for entry in &mut self.list {
            let is_source = entry.item.source() == Some(address);
            if is_source && !present && entry.is_held() {
                // IPv4: the route went with it. IPv6: it stays, without its source.
                entry.doubt = true;
                entry.is_stale = address.is_ipv6();
                entry.not_before = Some(now + RETRY_INTERVAL);
            } else if present && !entry.is_present() && (is_source || entry.refusal.is_some()) {
                entry.not_before = None;
            } else {
                continue;
            }
            let at = entry.not_before.unwrap_or(now);
            self.converge_at = earlier(self.converge_at, Some(at));
        }
    }

    /// The kernel's tables are told anew.
    pub(super) fn dump_start(&mut self) {
        for entry in self.list.iter_mut().chain(&mut self.doomed) {
            (entry.seen_ours, entry.seen_foreign, entry.seen_rival) = (false, false, false);
        }
    }

    /// They have been told: what was not is gone.
    pub(super) fn dump_end(&mut self, now: Instant) {
        for at in 0..self.list.len() + self.doomed.len() {
            let Some((entry, wanted)) = at_both(&mut self.list, &mut self.doomed, at, self.wanted) else {
                break;
            };
            let was = entry.is_present();
            entry.foreign &= entry.seen_foreign;
            entry.rival = entry.seen_rival;
            if entry.assumed && entry.rival && !entry.ours && !entry.foreign {
                // The one in its place is another.
                entry.assumed = false;
                entry.refusal = Some(Refusal::Exists);
                entry.not_before = Some(now + RETRY_INTERVAL);
                self.converge_at = earlier(self.converge_at, entry.not_before);
            } else if wanted && entry.ours && !entry.seen_ours && entry.asked.is_none() {
                // One that is not wanted is asked for all the same: the dump may have told no routes.
                let due = entry.lost(now, wanted, self.interval);
                self.converge_at = earlier(self.converge_at, due);
            }
            if !wanted || (was && !entry.is_present()) {
                self.converge_at = earlier(self.converge_at, entry.not_before.or(Some(now)));
            }
        }
    }

    /// Is nothing of ours in the kernel's tables, or on its way?
    pub(super) fn is_clean(&self) -> bool {
        self.list.iter().chain(&self.doomed).all(Entry::is_done)
    }

    /// For the status screen.
    pub(super) fn status(&self) -> Vec<RouteStatus> {
        let tell =
            |e: &Entry| RouteStatus { text: e.item.text(), present: e.is_present(), put_back: e.put_back };
        self.list.iter().map(tell).collect()
    }

    /// What somebody should look at. `name`: whose they are.
    pub(super) fn problems(&self, now: Instant, name: &str, problems: &mut Vec<Text>) {
        for entry in &self.list {
            let (kind, text) = (entry.item.kind(), entry.item.text());
            if let Some(refusal) = entry.refusal.filter(|_| self.wanted && !entry.is_present()) {
                let line = refused(&text, AddressOp::Add, refusal);
                problems.push(cut(format_args!("{name}: {kind} {line}")));
            }
            if entry.put_back_at.is_some_and(|at| now - at < RECENT) {
                let (n, s) = (entry.put_back, if entry.put_back == 1 { "" } else { "s" });
                let line =
                    format_args!("{name}: {kind} {text} was removed by someone and put back ({n} time{s})");
                problems.push(cut(line));
            }
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        Routes::new(&[], &[], None)
    }
}

fn items<'a>(
    routes: &'a [Route],
    rules: &'a [Rule],
    interface: Option<&'a IfName>,
) -> impl Iterator<Item = Item> + 'a {
    routes.iter().map(move |route| Item::route(route, interface)).chain(rules.iter().map(Item::rule))
}

/// Number `at` of both lists, and whether it is wanted.
fn at_both<'a>(
    list: &'a mut [Entry],
    doomed: &'a mut [Entry],
    at: usize,
    wanted: bool,
) -> Option<(&'a mut Entry, bool)> {
    match at.checked_sub(list.len()) {
        None => list.get_mut(at).map(|entry| (entry, wanted)),
        Some(at) => doomed.get_mut(at).map(|entry| (entry, false)),
    }
}

#[cfg(test)]
mod tests;
