//! One tracker: what it looks for, and what it has found.

use super::found::Found;
use super::runner::{Due, Runner, Running, Terms};
use super::{Verdict, kind_word};
use crate::engine::links::Links;
use crate::engine::quiet::Quiet;
use crate::engine::{Action, Ctx, KernelRoute, ProbeId, RunId, RunOwner};
use crate::model::status::TrackerStatus;
use crate::model::{CheckKind, Cidr, IfName, Level, Name, Reason, RouteKind, Track, TrackKind, cut};
use crate::time::{Duration, Instant};
use core::fmt;
use std::net::IpAddr;

/// A next hop of a route: (gateway, interface index, metric).
type Hop = (Option<IpAddr>, u32, u32);

/// A verdict that has to wait.
#[derive(Debug, Clone)]
struct Pending {
    up: bool,
    at: Instant,
    why: Reason,
}

/// What a kind of tracker keeps in mind.
#[derive(Debug)]
enum Work {
    /// Links, files and processes: what was told last is all.
    Told,
    /// (interface index, prefix length).
    Address(Found<(u32, u8)>),
    Route(Found<Hop>),
    Runs(Runner),
}

#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) config: Track,
    /// Instances and groups; nobody: it rests.
    used_by: Vec<Name>,
    verdict: Verdict,
    since: Instant,
    /// Of the last change from one verdict to another.
    changed_at: Option<Instant>,
    /// Why it is down, or why nothing is known.
    reason: Reason,
    pending: Option<Pending>,
    passed: u32,
    failed: u32,
    last: Option<(Instant, Duration)>,
    /// How many processes.
    count: Option<u32>,
    work: Work,
    /// Lines about the numbers of a file.
    numbers: Quiet,
}

impl Tracker {
    pub(super) fn new(now: Instant, config: Track, used_by: Vec<Name>, place: u32) -> Self {
        let work = match &config.kind {
            TrackKind::Address { .. } => Work::Address(Found::new()),
            TrackKind::Route { .. } => Work::Route(Found::new()),
            kind => Terms::of(kind).map_or(Work::Told, |terms| Work::Runs(Runner::new(now, &terms, place))),
        };
        Tracker {
            config,
            used_by,
            verdict: Verdict::Unknown,
            since: now,
            changed_at: None,
            reason: Reason::new(),
            pending: None,
            passed: 0,
            failed: 0,
            last: None,
            count: None,
            work,
            numbers: Quiet::default(),
        }
    }

    /// Other parameters under the same name, of the same kind. The verdict stays, also for another target:
    /// an instance is not taken down for what is not known yet; the first result of the new one decides.
    pub(super) fn reconfigure(
        &mut self,
        now: Instant,
        number: u32,
        new: Tracker,
        was_number: u32,
        cx: &mut Ctx<'_>,
    ) {
        if !self.is_used() || !new.is_used() {
            self.stop(cx);
            *self = new;
            return;
        }
        self.used_by = new.used_by;
        let old = core::mem::replace(&mut self.config, new.config);
        let is_same = target(&old.kind) == target(&self.config.kind);
        if !is_same {
            self.stop(cx);
            (self.work, self.pending, self.count) = (new.work, None, None);
        } else if number != was_number {
            self.stop_running(now, cx);
        }
        if old.kind != self.config.kind {
            self.pending = None;
            let was_up = self.verdict == Verdict::Up;
            if let (Work::Runs(runner), Some(old), Some(new)) =
                (&mut self.work, Terms::of(&old.kind), Terms::of(&self.config.kind))
            {
                runner.reconfigure(now, was_up, &old, &new);
            }
        }
    }

    pub(super) fn is_used(&self) -> bool {
        !self.used_by.is_empty()
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(super) fn reason(&self) -> &Reason {
        &self.reason
    }

    pub(super) fn wants_routes(&self) -> bool {
        self.is_used() && matches!(self.work, Work::Route(_))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !self.is_used() {
            return None;
        }
        let pending = self.pending.as_ref().map(|p| p.at);
        let run = match &self.work {
            Work::Runs(runner) => Terms::of(&self.config.kind).map(|terms| runner.next_deadline(&terms)),
            Work::Told | Work::Address(_) | Work::Route(_) => None,
        };
        crate::engine::event::earlier(pending, run)
    }

    /// Is another verdict there now?
    pub(super) fn tick(
        &mut self,
        now: Instant,
        number: u32,
        next_serial: &mut u32,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let mut changed = false;
        if self.pending.as_ref().is_some_and(|p| p.at <= now)
            && let Some(pending) = self.pending.take()
        {
            changed |= self.settle(now, word(pending.up), pending.why, cx);
        }
        let (Work::Runs(runner), Some(terms)) = (&mut self.work, Terms::of(&self.config.kind)) else {
            return changed;
        };
        match runner.handle_due(now, &terms) {
            Due::Nothing => {}
            Due::Start => {
                let serial = *next_serial;
                *next_serial = next_serial.wrapping_add(1);
                runner.start(now, number, serial);
                cx.actions.push(begin(&self.config.kind, number, serial));
            }
            Due::Lost(running) => {
                cx.actions.push(abandon(&self.config.kind, &running));
                let why = cut(format_args!("no result in {}", terms.timeout));
                changed |= self.handle_result(now, Some(false), why, terms.timeout, cx);
            }
        }
        changed
    }

    /// Links may have changed.
    pub(super) fn look(&mut self, now: Instant, links: &Links, cx: &mut Ctx<'_>) -> bool {
        match (&self.config.kind, &mut self.work) {
            (TrackKind::Interface { interface }, _) => {
                let (up, why) = match links.by_name(interface) {
                    None => (false, cut(format_args!("no interface {interface}"))),
                    Some(i) if i.link.running => (true, cut(format_args!("{interface} is up"))),
                    Some(_) => (false, cut(format_args!("{interface} is down"))),
                };
                self.settle(now, word(up), why, cx)
            }
            (_, Work::Address(found)) => {
                found.retain(|(index, _)| links.by_index(*index).is_some());
                self.count(now, links, cx)
            }
            (_, Work::Route(found)) => {
                // The kernel tells nothing of the IPv4 routes that go with an interface that is set down.
                found
                    .retain(|(_, index, _)| *index == 0 || links.by_index(*index).is_some_and(|i| i.link.up));
                self.count(now, links, cx)
            }
            (_, Work::Told | Work::Runs(_)) => false,
        }
    }

    pub(super) fn handle_address(&mut self, index: u32, cidr: &Cidr, is_present: bool) -> bool {
        let TrackKind::Address { address, .. } = &self.config.kind else { return false };
        let Work::Address(found) = &mut self.work else { return false };
        if *address != cidr.address {
            return false;
        }
        let place = (index, cidr.prefix_len);
        if is_present {
            found.put(place)
        } else {
            found.remove(place)
        }
        true
    }

    /// Is the route of interest? And does it leave a doubt that only a dump can end?
    pub(super) fn handle_route(&mut self, route: &KernelRoute, is_present: bool) -> (bool, bool) {
        let TrackKind::Route { destination, gateway, table, .. } = &self.config.kind else {
            return (false, false);
        };
        let Work::Route(found) = &mut self.work else { return (false, false) };
        if (*destination, *table) != (route.destination, route.table) {
            return (false, false);
        }
        let hop: Hop = (route.gateway, route.index, route.metric);
        // A replaced route goes without a word: one with the same metric and another next hop may be
        // another one beside it, or may have taken its place.
        let in_doubt = is_present && !found.is_telling() && found.iter().any(|h| h.2 == hop.2 && *h != hop);
        let leads = route.kind == Some(RouteKind::Unicast);
        if is_present && leads && gateway.is_none_or(|g| Some(g) == route.gateway) {
            found.put(hop);
        } else {
            found.remove(hop);
        }
        (true, in_doubt)
    }

    pub(super) fn dump_start(&mut self, has_routes: bool) {
        match &mut self.work {
            Work::Address(found) => found.dump_start(),
            Work::Route(found) if has_routes => found.dump_start(),
            Work::Route(_) | Work::Told | Work::Runs(_) => {}
        }
    }

    pub(super) fn dump_end(&mut self) {
        match &mut self.work {
            Work::Address(found) => found.dump_end(),
            Work::Route(found) => found.dump_end(),
            Work::Told | Work::Runs(_) => {}
        }
    }

    /// Is the address, or the route, on an interface that counts? Not there counts only once all were told.
    pub(super) fn count(&mut self, now: Instant, links: &Links, cx: &mut Ctx<'_>) -> bool {
        let on = |index: u32, wanted: &Option<IfName>| match wanted {
            None => true,
            Some(name) => links.by_index(index).is_some_and(|i| i.link.name == *name),
        };
        let (up, is_told, why, in_doubt) = match (&self.config.kind, &self.work) {
            (TrackKind::Address { address, interface }, Work::Address(found)) => {
                let up = found.iter().any(|(index, _)| on(*index, interface));
                let not = if up { "" } else { "not " };
                let why = cut(format_args!("{address} is {not}on {}", Or(interface, "the box")));
                (up, found.is_told(), why, found.is_in_doubt())
            }
            (TrackKind::Route { destination, interface, .. }, Work::Route(found)) => {
                let count = found.iter().filter(|(_, index, _)| on(*index, interface)).count();
                let why = match count {
                    0 => cut(format_args!("no such route to {destination}")),
                    1 => cut(format_args!("a route to {destination}")),
                    n => cut(format_args!("{n} routes to {destination}")),
                };
                (count > 0, found.is_told(), why, found.is_in_doubt())
            }
            (_, Work::Address(_) | Work::Route(_) | Work::Told | Work::Runs(_)) => return false,
        };
        if in_doubt {
            cx.actions.push(Action::Redump);
        }
        (up || is_told) && self.settle(now, word(up), why, cx)
    }

    /// A run or a probe under this id?
    pub(super) fn runs(&self, number: u32, serial: u32) -> bool {
        match &self.work {
            Work::Runs(runner) => runner.is(number, serial),
            Work::Told | Work::Address(_) | Work::Route(_) => false,
        }
    }

    /// Its run or probe ended; `None`: it could not be made, which says nothing (HC-4).
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        passed: Option<bool>,
        why: Reason,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let (Work::Runs(runner), Some(terms)) = (&mut self.work, Terms::of(&self.config.kind)) else {
            return false;
        };
        runner.end(now, &terms);
        let Some(passed) = passed else {
            if self.verdict == Verdict::Unknown {
                self.reason = why;
            }
            return false;
        };
        let up = runner.tally.count(passed, terms.rise, terms.fall);
        self.last = Some((now, took));
        let counter = if passed { &mut self.passed } else { &mut self.failed };
        *counter = counter.saturating_add(1);
        let hold = match &self.config.kind {
            TrackKind::Path { hold, .. } => *hold,
            TrackKind::Interface { .. }
            | TrackKind::Script { .. }
            | TrackKind::File { .. }
            | TrackKind::Process { .. }
            | TrackKind::Address { .. }
            | TrackKind::Route { .. } => Duration::ZERO,
        };
        // The first verdict is no change: what was found at the start holds nobody.
        let at = self.changed_at.map_or(now, |at| at + hold);
        self.decide(now, up, at, why, cx)
    }

    /// The number of its file. A text that is no number (a file that is being written) leaves the last one;
    /// where there is none, it is down.
    pub(super) fn handle_file(&mut self, now: Instant, value: Result<i32, Reason>, cx: &mut Ctx<'_>) -> bool {
        match value {
            Ok(number) => self.settle(now, Verdict::Number(number), Reason::new(), cx),
            Err(why) => match self.verdict {
                Verdict::Number(_) => {
                    let is_news = self.reason != why;
                    self.reason = why;
                    if is_news && self.numbers.lets_through(now) {
                        let text = format_args!("{}; the last number stays", self.reason);
                        cx.note(now, Level::Warning, "track", &self.config.name, text);
                    }
                    false
                }
                Verdict::Unknown | Verdict::Up | Verdict::Down => self.settle(now, Verdict::Down, why, cx),
            },
        }
    }

    /// How many processes there are.
    pub(super) fn handle_process(
        &mut self,
        now: Instant,
        count: Result<u32, Reason>,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let TrackKind::Process { quorum, quorum_max, up_delay, down_delay, .. } = &self.config.kind else {
            return false;
        };
        self.count = count.as_ref().ok().copied();
        let (up, why) = match count {
            Err(why) => (false, why),
            Ok(n) if n < *quorum => (false, cut(format_args!("{n} processes, wanted {quorum}"))),
            Ok(n) => match quorum_max {
                Some(most) if n > *most => (false, cut(format_args!("{n} processes, at most {most}"))),
                Some(_) | None => (true, cut(format_args!("{n} processes"))),
            },
        };
        let delay = if up { *up_delay } else { *down_delay };
        // Another count of the same kind does not move the end of the delay.
        let at = self.pending.as_ref().filter(|p| p.up == up).map_or(now + delay, |p| p.at);
        self.decide(now, up, at, why, cx)
    }

    /// Nobody wants its verdict any more.
    pub(super) fn stop(&mut self, cx: &mut Ctx<'_>) {
        self.stop_running(Instant::ZERO, cx);
    }

    fn stop_running(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if let Work::Runs(runner) = &mut self.work
            && let Some(running) = runner.restart(now)
        {
            cx.actions.push(abandon(&self.config.kind, &running));
        }
    }

    /// What was found counts from `at` on; the first finding at once.
    fn decide(&mut self, now: Instant, up: bool, at: Instant, why: Reason, cx: &mut Ctx<'_>) -> bool {
        if self.verdict == Verdict::Unknown || self.verdict == word(up) || at <= now {
            self.pending = None;
            return self.settle(now, word(up), why, cx);
        }
        self.pending = Some(Pending { up, at, why });
        false
    }

    /// Takes a verdict; tells whether it is another one.
    fn settle(&mut self, now: Instant, verdict: Verdict, why: Reason, cx: &mut Ctx<'_>) -> bool {
        let before = core::mem::replace(&mut self.verdict, verdict);
        let is_news = before != verdict;
        if is_news {
            self.since = now;
            if before != Verdict::Unknown {
                self.changed_at = Some(now);
            }
            let level = if verdict == Verdict::Down { Level::Warning } else { Level::Note };
            let is_number = matches!(verdict, Verdict::Number(_));
            if !is_number || self.numbers.lets_through(now) {
                let colon = if why.is_empty() { "" } else { ": " };
                let text = format_args!("{before} -> {verdict}{colon}{why}");
                cx.note(now, level, "track", &self.config.name, text);
            }
        }
        self.reason = if verdict == Verdict::Down { why } else { Reason::new() };
        is_news
    }

    pub(super) fn status(&self, now: Instant) -> TrackerStatus {
        TrackerStatus {
            name: self.config.name.clone(),
            kind: kind_word(&self.config.kind),
            up: match self.verdict {
                Verdict::Unknown => None,
                Verdict::Up | Verdict::Number(_) => Some(true),
                Verdict::Down => Some(false),
            },
            hurts: false,
            value: match self.verdict {
                Verdict::Number(number) => Some(number.into()),
                Verdict::Unknown | Verdict::Up | Verdict::Down => self.count.map(i64::from),
            },
            since: crate::engine::history::age(now, self.since),
            reason: self.reason.clone(),
            last: self.last.map(|(at, took)| (crate::engine::history::age(now, at), took)),
            passed: self.passed,
            failed: self.failed,
            used_by: self.used_by.clone(),
        }
    }
}

/// Begins a run.
fn begin(kind: &TrackKind, number: u32, serial: u32) -> Action {
    match kind {
        TrackKind::Path { .. } => Action::StartProbe(ProbeId { checker: ProbeId::PATH + number, serial }),
        TrackKind::Script { .. }
        | TrackKind::Interface { .. }
        | TrackKind::File { .. }
        | TrackKind::Process { .. }
        | TrackKind::Address { .. }
        | TrackKind::Route { .. } => Action::Run(RunId { owner: RunOwner::Track(number), serial }),
    }
}

/// Ends it without a result.
fn abandon(kind: &TrackKind, running: &Running) -> Action {
    match begin(kind, running.number, running.serial) {
        Action::StartProbe(id) => Action::StopProbe(id),
        Action::Run(id) => Action::StopRun(id),
        other => other,
    }
}

fn word(up: bool) -> Verdict {
    if up { Verdict::Up } else { Verdict::Down }
}

/// An interface name, or other words where there is none.
struct Or<'a>(&'a Option<IfName>, &'static str);

impl fmt::Display for Or<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or(self.1, IfName::as_str))
    }
}

/// What is looked at, without how.
#[derive(PartialEq)]
enum Target<'a> {
    Interface(&'a IfName),
    Script(&'a [String], Option<&'a str>, Option<&'a str>),
    File(&'a str),
    Process(&'a str, &'a [String]),
    Address(IpAddr, Option<&'a IfName>),
    Route(Cidr, Option<IpAddr>, Option<&'a IfName>, u32),
    Path(std::net::SocketAddr, &'a CheckKind, Option<IpAddr>, Option<&'a IfName>),
}

fn target(kind: &TrackKind) -> Target<'_> {
    match kind {
        TrackKind::Interface { interface } => Target::Interface(interface),
        TrackKind::Script { command, .. } => {
            Target::Script(&command.argv, command.user.as_deref(), command.group.as_deref())
        }
        TrackKind::File { path } => Target::File(path),
        TrackKind::Process { process, arguments, .. } => Target::Process(process, arguments),
        TrackKind::Address { address, interface } => Target::Address(*address, interface.as_ref()),
        TrackKind::Route { destination, gateway, interface, table } => {
            Target::Route(*destination, *gateway, interface.as_ref(), *table)
        }
        TrackKind::Path { target, probe, source, interface, .. } => {
            Target::Path(*target, probe, *source, interface.as_ref())
        }
    }
}
