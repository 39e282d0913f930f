//! The pure core: `(now, event)` in, actions out.
//!
//! ```text
//! pub fn handle(&mut self, now: Instant, event: Event, actions: &mut Actions);  // total: no error, no panic
//! pub fn next_deadline(&self) -> Option<Instant>;        // the earliest of the states' own deadlines
//! pub fn snapshot(&self, now: Instant) -> Snapshot;
//! ```
//!
//! The engine knows no clock, no file descriptor and no file. Deadlines live inside the state that they
//! belong to, so a timer of a state that was left cannot fire. Actions are values, in order, built from
//! current parameters; the caller handles one event, drains its actions in order, then hands in the next
//! event. A failed action comes back as an event.

mod action;
mod arrival;
mod balance;
mod event;
mod follow;
mod foreign;
mod group;
mod history;
mod links;
#[cfg_attr(not(feature = "mail"), path = "no_mail.rs")]
mod mail;
mod notify;
mod quiet;
mod reload;
mod routes;
mod standing;
mod statics;
mod tables;
mod track;
mod vrrp;

pub use action::{Action, Actions, HeldTimeouts, IpvsRequest, WholeRequest};
pub use balance::AskedCheck;
pub use event::{
    AddressChange, AddressOp, Ear, Event, IpvsEvent, KernelRoute, Letter, Link, LinkKind, LinkName, NameId,
    NameSpec, Outcome, ProbeId, ProbeSpec, Refusal, RunId, RunOutcome, RunOwner, RunSpec, Setting,
};
pub use history::Note;

use self::balance::Balancer;
use self::foreign::Foreign;
use self::group::Group;
use self::history::History;
use self::links::Links;
use self::mail::Mailer;
use self::notify::Notifier;
use self::routes::{Claims, Routes};
use self::statics::Statics;
use self::track::Trackers;
use self::vrrp::{Instance, Leftovers, Pace};
use crate::model::status::{Happening, InstanceState, Snapshot, Stalls};
use crate::model::{Cidr, Config, IfName, Level, Mail, Name, ServiceKey, cut};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::Rung;
use core::fmt;
use core::net::SocketAddr;
use event::earlier;

/// A clean leave that is not through by then ends all the same.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// So long it waits for letters that are handed over without a failure.
const LAST_MAILS_TIMEOUT: Duration = Duration::from_secs(3);
/// Whose routes the static ones are, in notes.
const STATIC: &str = "static";

/// What the parts of the engine work with, all at once.
struct Ctx<'a> {
    history: &'a mut History,
    mailer: &'a mut Mailer,
    notifier: &'a mut Notifier,
    claims: &'a mut Claims,
    actions: &'a mut Actions,
    router_name: &'a str,
    links: &'a Links,
    /// Time of day, since 1970, for the trailers that carry it; no decision of ours hangs on it otherwise.
    unix: Duration,
}

impl Ctx<'_> {
    /// Remembers and logs something that happened.
    fn note(
        &mut self,
        now: Instant,
        level: Level,
        kind: &'static str,
        subject: &str,
        text: fmt::Arguments<'_>,
    ) {
        self.history.note(now, level, kind, subject, text, self.actions);
    }
}

/// The core of the daemon.
#[derive(Debug)]
pub struct Engine {
    desk: Desk,
    started_at: Instant,
    links: Links,
    instances: Vec<Instance>,
    /// Of the next instance that a reload brings.
    next_key: u32,
    groups: Vec<Group>,
    trackers: Trackers,
    /// A number of this router's own, for pauses.
    salt: u32,
    statics: Statics,
    static_routes: Routes,
    /// Are routes and rules told?
    watched: (bool, bool),
    /// They are, until all have been told once.
    is_first_look: bool,
    leftovers: Leftovers,
    /// Virtual addresses that a vipd put where none is to be, until that is looked into.
    strays: Vec<(u32, Cidr)>,
    /// Configured rates of announcements.
    announce_rates: Vec<(IfName, u32)>,
    /// The rate of announcements, one for each interface that has had one: (index, pace).
    paces: Vec<(u32, Pace)>,
    /// Packets that belong to no instance, by rung.
    drops: [u32; Rung::COUNT],
    foreign: Foreign,
    balancer: Balancer,
    stalls: Stalls,
    phase: Phase,
}

/// What all parts of the engine write on.
#[derive(Debug)]
struct Desk {
    history: History,
    mailer: Mailer,
    notifier: Notifier,
    /// Who wants which route or rule, and the numbers of what is asked of the kernel.
    claims: Claims,
    router_name: Name,
    host_name: Name,
    unix: Duration,
}

impl Desk {
    fn cx<'a>(&'a mut self, links: &'a Links, actions: &'a mut Actions) -> Ctx<'a> {
        Ctx {
            history: &mut self.history,
            mailer: &mut self.mailer,
            notifier: &mut self.notifier,
            claims: &mut self.claims,
            actions,
            router_name: &self.router_name,
            links,
            unix: self.unix,
        }
    }
}

/// Where the daemon is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The kernel's tables have not been told yet.
    Waiting,
    Running,
    Leaving {
        give_up_at: Instant,
        mail_until: Instant,
    },
    Left,
}

impl Engine {
    /// An engine that begins with the first [`Event::DumpEnd`]. `host_name` serves where the configuration
    /// names no router; `seed` spreads the first probes.
    pub fn new(config: &Config, host_name: &str, seed: u32, now: Instant) -> Self {
        let host_name: Name = cut(format_args!("{host_name}"));
        let mut engine = Engine {
            desk: Desk {
                history: History::new(),
                mailer: Mailer::new(config.mail.clone()),
                notifier: Notifier::new(config),
                claims: Claims::default(),
                router_name: config.global.router_name.clone().unwrap_or_else(|| host_name.clone()),
                host_name,
                unix: Duration::ZERO,
            },
            started_at: now,
            links: Links::default(),
            instances: (0..)
                .zip(&config.instances)
                .map(|(key, c)| Instance::new(c.clone(), key, now, now))
                .collect(),
            next_key: config.instances.len() as u32,
            announce_rates: config.global.announce_rates.clone(),
            groups: Vec::new(),
            trackers: Trackers::new(config, seed, now),
            salt: seed,
            statics: Statics::new(&config.static_addresses),
            static_routes: Routes::new(&config.static_routes, &config.static_rules, None),
            watched: (false, false),
            is_first_look: true,
            leftovers: Leftovers::default(),
            strays: Vec::new(),
            paces: Vec::new(),
            drops: [0; Rung::COUNT],
            foreign: Foreign::default(),
            balancer: Balancer::new(config, now, seed),
            stalls: Stalls::default(),
            phase: Phase::Waiting,
        };
        engine.regroup(now, &config.groups, &mut Actions::new());
        engine
    }

    /// Takes in one event; what is to be done is appended to `actions`, in order. Total: no input makes it
    /// fail.
    pub fn handle(&mut self, now: Instant, event: Event<'_>, actions: &mut Actions) {
        let is_frame = matches!(event, Event::Frame { .. });
        match event {
            Event::Tick => self.tick(now, actions),
            Event::Link(link) => {
                let before = self.links.by_index(link.index).map(|i| i.link.name);
                if self.links.set(link) {
                    self.look_at_tables(now);
                    self.look_at(now, before, link.name, actions);
                }
                // Under its old name nobody kept in mind which VIPs are on it.
                if before.is_some_and(|name| name != link.name) {
                    actions.push(Action::Redump);
                }
            }
            Event::LinkGone { index } => {
                let name = self.links.by_index(index).map(|i| i.link.name);
                self.links.remove(index);
                self.balancer.handle_link_gone(now, index, &mut self.desk.cx(&self.links, actions));
                self.paces.retain(|(i, _)| *i != index);
                self.leftovers.retain(|i| i != index);
                self.look_at_tables(now);
                if let Some(name) = name {
                    self.look_at(now, None, name, actions);
                }
            }
            Event::Address { index, cidr, change } => self.handle_address(now, index, &cidr, change, actions),
            Event::DumpStart => {
                self.links.forget_seen();
                self.instances.iter_mut().for_each(Instance::dump_start);
                self.trackers.dump_start();
                self.balancer.dump_start();
                self.statics.dump_start();
                self.static_routes.dump_start();
            }
            Event::DumpEnd => self.dump_end(now, actions),
            Event::Frame { index, bytes, truncated } => {
                self.handle_frame(now, index, bytes, truncated, actions)
            }
            Event::TransmitFailed { index, refusal: _ } => {
                for instance in self.instances.iter_mut().filter(|i| i.index() == Some(index)) {
                    instance.handle_transmit_failed();
                }
            }
            Event::ListenFailed { ear, why } => {
                let mut cx = self.desk.cx(&self.links, actions);
                let is_deaf = |i: &&mut Instance| i.ears().any(|e| e == ear);
                for instance in self.instances.iter_mut().filter(is_deaf) {
                    instance.handle_deaf(now, &why, &mut cx);
                }
            }
            Event::AddressResult { index, cidr, op, result } => {
                self.leftovers.handle_result(now, index, &cidr, op, result);
                let mut cx = self.desk.cx(&self.links, actions);
                self.statics.handle_result(now, index, &cidr, op, result, &mut cx);
                for instance in &mut self.instances {
                    instance.handle_address_result(now, index, &cidr, op, result, &mut cx);
                }
            }
            Event::Route { route, is_present } => self.handle_route(now, &route, is_present, actions),
            Event::Rule { rule, ours, is_present } => {
                self.handle_rule(now, &rule, ours, is_present, actions);
            }
            Event::RouteResult { token, result } => self.handle_route_result(now, token, result, actions),
            Event::LinkFailed { name, refusal } => {
                let mut cx = self.desk.cx(&self.links, actions);
                for instance in &mut self.instances {
                    instance.handle_link_failed(now, &name, refusal, &mut cx);
                }
            }
            Event::Ran { id, outcome, took } => self.handle_ran(now, id, outcome, took, actions),
            Event::TrackedFile { track, value } => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.trackers.handle_file(now, track, value.clone(), &mut cx);
                self.balancer.handle_file(now, track, value, &mut cx);
            }
            Event::TrackedProcess { track, count } => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.trackers.handle_process(now, track, count, &mut cx);
            }
            Event::Resign { instance, wanted_for } => {
                let mut cx = self.desk.cx(&self.links, actions);
                if let Some(instance) = self.instances.get_mut(instance) {
                    instance.handle_resign(now, wanted_for, &mut cx);
                }
            }
            Event::Drain { service, server, draining } => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.balancer.handle_drain(now, (service, server), draining, &mut cx);
            }
            Event::ServicesLeft(keys) => self.balancer.handle_left(&keys),
            Event::TimeoutsLeft(held) => self.balancer.handle_timeouts_left(held),
            Event::DaemonsLeft(daemons) => self.balancer.handle_daemons_left(daemons),
            Event::Resolved { id, result } if id.number == NameId::MAIL => {
                self.desk.mailer.handle_resolved(now, id, result, &mut self.desk.history, actions);
            }
            Event::Resolved { id, result } => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.balancer.handle_resolved(now, id, result, &mut cx);
            }
            Event::Ipvs(event) => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.balancer.handle_ipvs(now, event, &mut cx);
            }
            Event::Probe { id, outcome, took } if id.checker >= ProbeId::PATH => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.trackers.handle_probe(now, id, &outcome, took, &mut cx);
            }
            Event::Probe { id, outcome, took } => {
                let mut cx = self.desk.cx(&self.links, actions);
                self.balancer.handle_probe(now, id, outcome, took, &mut cx);
            }
            Event::Mail { id, result } => {
                self.desk.mailer.handle_result(now, id, result, &mut self.desk.history, actions);
            }
            Event::Reload(config) => self.reload(now, *config, actions),
            Event::Shutdown => self.shutdown(now, actions),
        }
        self.follow(now, is_frame && actions.is_empty(), actions);
        // Whatever it was, it may have been the last thing to wait for.
        self.finish(now, actions);
    }

    /// When is the next [`Event::Tick`] due? It may be in the past. `None`: nothing to wait for.
    pub fn next_deadline(&self) -> Option<Instant> {
        let instances = self.instances.iter().filter_map(Instance::next_deadline).min();
        let phase = match self.phase {
            Phase::Leaving { give_up_at, mail_until } => Some(give_up_at.min(mail_until)),
            Phase::Waiting | Phase::Running | Phase::Left => None,
        };
        let own = earlier(earlier(instances, self.leftovers.next_deadline()), phase);
        let own = earlier(own, earlier(self.trackers.next_deadline(), self.tables_deadline()));
        let groups = self.groups.iter().filter_map(Group::next_deadline).min();
        let own = earlier(own, earlier(groups, self.desk.notifier.next_deadline()));
        earlier(own, earlier(self.balancer.next_deadline(), self.desk.mailer.next_deadline()))
    }

    /// Before an [`Event::Reload`]: service number `at` of its configuration, where it says the same as the
    /// running one, becomes that one, and costs the reload nothing. What a thousand services would hold up is
    /// done service by service so. `hint`: 0 for the first one, and for each what the one before returned.
    pub fn share(&self, config: &mut Config, at: usize, hint: usize) -> usize {
        self.balancer.share(config, at, hint)
    }

    /// The shortest advert interval, or 100 ms: a turn of the loop later than that is a stall.
    pub fn stall_limit(&self) -> Duration {
        self.instances.iter().map(|i| i.config.advert_interval).min().unwrap_or(Duration::from_millis(100))
    }

    /// Time of day since 1970, before the events of a turn; needed where [`Self::wants_clock`].
    pub fn set_unix_time(&mut self, unix: Duration) {
        self.desk.unix = unix;
    }

    /// Do adverts carry the time of day?
    pub fn wants_clock(&self) -> bool {
        self.instances.iter().any(Instance::wants_clock)
    }

    /// A turn of the loop came `late`.
    pub fn count_stall(&mut self, late: Duration) {
        self.stalls.count = self.stalls.count.saturating_add(1);
        self.stalls.worst = self.stalls.worst.max(late);
    }

    /// What a probe is to do; `None` once its server is gone.
    pub fn probe_spec(&self, id: ProbeId) -> Option<ProbeSpec<'_>> {
        if id.checker >= ProbeId::PATH { self.trackers.probe_spec(id) } else { self.balancer.probe_spec(id) }
    }

    /// Check number `check` of a server, by its place in the configuration, for somebody who asks for it now
    /// (`vipd probe`); `None`: there is none.
    pub fn asked_check(&self, server: (usize, usize), check: usize) -> Option<AskedCheck<'_>> {
        self.balancer.asked_check(server, check)
    }

    /// What the end of a check's script says of the server, and the weight that it tells with `dynamic`
    /// (HC-45).
    pub fn script_result(outcome: RunOutcome, dynamic: bool) -> (Outcome, Option<u8>) {
        balance::script_result(outcome, dynamic)
    }

    /// The name of an [`Action::Resolve`]; `None` once it is gone.
    pub fn name_spec(&self, id: NameId) -> Option<NameSpec<'_>> {
        match id.number {
            NameId::MAIL => self.desk.mailer.name_spec(id),
            _ => self.balancer.name_spec(id),
        }
    }

    /// What is ours in the kernel's table, for [`Action::RememberServices`].
    pub fn own_services(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.balancer.own_services()
    }

    /// What is to be run; `None` once it is gone.
    pub fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        match id.owner {
            RunOwner::Track(_) => self.trackers.run_spec(id),
            RunOwner::Notify(_) | RunOwner::Supervised(_) => self.desk.notifier.run_spec(id),
            RunOwner::PreActive(key) => self.instances.iter().find(|i| i.key() == key)?.run_spec(id),
            RunOwner::Check(_) => self.balancer.run_spec(id),
        }
    }

    /// The letter of an [`Action::SendMail`], how it goes, and where to.
    pub fn letter(&self, id: u32) -> Option<(&Letter, &Mail, SocketAddr)> {
        let mailer = &self.desk.mailer;
        Some((mailer.letter(id)?, mailer.settings()?, mailer.address()?))
    }

    /// The text of an [`Action::Note`]; `None` once it was pushed out.
    pub fn note(&self, number: u32) -> Option<&Note> {
        self.desk.history.get(number)
    }

    /// Name of this router.
    pub fn router_name(&self) -> &str {
        &self.desk.router_name
    }

    /// The last events, newest first.
    pub fn happenings(&self, now: Instant) -> Vec<Happening> {
        self.desk.history.happenings(now)
    }

    /// The states of the instances, in the order of the configuration; cheaper than a snapshot.
    pub fn states(&self) -> impl Iterator<Item = InstanceState> {
        self.instances.iter().map(Instance::state)
    }

    /// All that `vipd status` tells.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = Snapshot {
            router_name: self.desk.router_name.clone(),
            up: now - self.started_at,
            instances: self.instances.iter().map(|i| i.status(now)).collect(),
            groups: self.group_status(now),
            trackers: self.tracker_status(now),
            runs: self.desk.notifier.status(now),
            stalls: self.stalls,
            foreign: self.foreign.status(now),
            dropped: Rung::ALL
                .iter()
                .map(|r| (r.name(), self.drops.get(r.index()).copied().unwrap_or(0)))
                .filter(|(_, n)| *n > 0)
                .collect(),
            ..Snapshot::default()
        };
        for instance in &self.instances {
            instance.problems(now, &mut snapshot.problems);
        }
        self.foreign.problems(now, &mut snapshot.problems);
        self.table_problems(now, &mut snapshot.problems);
        if self.links.left_out > 0 {
            snapshot.problems.push(cut(format_args!(
                "more than {} interfaces: some are not watched",
                crate::limits::INTERFACES_MAX
            )));
        }
        self.desk.notifier.problems(&mut snapshot.problems);
        self.balancer.fill(now, &mut snapshot);
        self.desk.mailer.fill(now, &mut snapshot);
        snapshot
    }

    // ---- events

    fn tick(&mut self, now: Instant, actions: &mut Actions) {
        // Adverts first, those of all instances: whatever else is due waits a little more. Address changes
        // between two adverts would each be a message of their own to the kernel; after them they are few.
        let mut cx = self.desk.cx(&self.links, actions);
        for instance in &mut self.instances {
            instance.tick_timer(now, &mut cx);
        }
        for instance in &mut self.instances {
            if instance.next_deadline().is_some_and(|at| at <= now) {
                instance.tick(now, &mut cx);
            }
        }
        for instance in &mut self.instances {
            if !instance.has_announcements(now) {
                continue;
            }
            let index = instance.index().unwrap_or(0);
            let at = match self.paces.iter().position(|(i, _)| *i == index) {
                Some(at) => at,
                None => {
                    let name = self.links.by_index(index).map(|i| i.link.name);
                    let rate = self.announce_rates.iter().find(|(n, _)| name.is_some_and(|name| name == *n));
                    self.paces.push((index, Pace::new(now, rate.map(|(_, rate)| *rate))));
                    self.paces.len() - 1
                }
            };
            if let Some((_, pace)) = self.paces.get_mut(at) {
                instance.announce(now, pace, &mut cx);
            }
        }
        self.leftovers.tick(now, cx.actions);
        self.converge_tables(now, actions);
        let mut cx = self.desk.cx(&self.links, actions);
        self.trackers.tick(now, &mut cx);
        cx.notifier.tick(now, cx.history, cx.actions);
        self.balancer.tick(now, &mut cx);
        self.desk.mailer.tick(now, &mut self.desk.history, actions);
    }

    fn handle_ran(
        &mut self,
        now: Instant,
        id: RunId,
        outcome: RunOutcome,
        took: Duration,
        actions: &mut Actions,
    ) {
        let mut cx = self.desk.cx(&self.links, actions);
        match id.owner {
            RunOwner::Track(_) => self.trackers.handle_ran(now, id, outcome, took, &mut cx),
            RunOwner::Notify(_) | RunOwner::Supervised(_) => {
                cx.notifier.handle_ran(now, id, outcome, took, cx.history, cx.actions);
            }
            RunOwner::Check(number) => {
                self.balancer.handle_ran(now, (number, id.serial), outcome, took, &mut cx);
            }
            RunOwner::PreActive(key) => {
                if let Some(instance) = self.instances.iter_mut().find(|i| i.key() == key) {
                    instance.handle_ran(now, id, outcome, took, &mut cx);
                }
            }
        }
    }
}
