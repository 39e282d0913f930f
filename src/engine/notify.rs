//! Notifications: programs and FIFOs that are told of changes, in order, collapsing to the newest; services
//! of this box that follow an instance (keepalived §2.6).
//!
//! The line for the FIFOs leaves at once. Programs take their turn: each instance, group, service and server
//! has a queue ([`queue`]) in which one runs at a time, and those of services and servers share a smaller
//! number of places than those of instances and groups ([`pool`]). Each service of the box has a keeper
//! ([`keeper`]).

mod keeper;
mod pool;
mod program;
mod queue;
#[cfg(test)]
mod tests;

use self::keeper::Keeper;
use self::pool::{Pool, Pushed};
use self::program::Numbers;
use self::queue::{Commands, Key, Told};
use super::history::History;
use super::quiet::Quiet;
use super::{Action, Actions, RunId, RunOutcome, RunOwner, RunSpec};
use crate::limits;
use crate::model::status::{InstanceState, RunStatus};
use crate::model::{Config, FifoKind, Instance, Level, Name, Notify, Server, Service, SyncGroup, Text, cut};
use crate::time::{Duration, Instant};
use core::cell::OnceCell;
use core::fmt;
use std::collections::BTreeMap;

/// A program that runs while the daemon leaves has so long.
const LEAVING_TIMEOUT: Duration = Duration::from_secs(1);

/// Whom a notification is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// An instance.
    Instance(&'a Instance),
    /// A sync group.
    Group(&'a SyncGroup),
}

impl<'a> About<'a> {
    fn parts(self) -> (Key, &'a Notify) {
        match self {
            About::Instance(i) => (Key::Instance(i.name.clone()), &i.notify),
            About::Group(g) => (Key::Group(g.name.clone()), &g.notify),
        }
    }
}

/// A service or a server that a notification is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    /// Has it its quorum?
    Service(&'a Service),
    /// Is it up? With its service.
    Server(&'a Service, &'a Server),
}

impl<'a> Object<'a> {
    fn key(self) -> Key {
        match self {
            Object::Service(service) => Key::Service(service.name.clone()),
            Object::Server(service, server) => Key::Server(service.name.clone(), server.address.clone()),
        }
    }

    fn commands(self) -> Commands<'a> {
        let (up, down) = match self {
            Object::Service(service) => (&service.quorum_up, &service.quorum_down),
            Object::Server(_, server) => (&server.up, &server.down),
        };
        Commands::Balance { up: up.as_deref(), down: down.as_deref() }
    }
}

/// What has become of a service or a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is up; it has its quorum.
    Up,
    /// The reverse.
    Down,
    /// It was up, and is no more part of the configuration: told as down.
    Gone,
}

impl Fate {
    const fn told(self) -> Told {
        match self {
            Fate::Up => Told::Up,
            Fate::Down => Told::Down,
            Fate::Gone => Told::Gone,
        }
    }

    /// keepalived's word.
    pub(super) const fn word(self) -> &'static str {
        self.told().word()
    }
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is in this state now.
    State {
        /// The new state.
        state: InstanceState,
        /// It is deleted, and that is what will be told; but services of this box follow.
        quietly: bool,
    },
    /// It is no more part of the configuration.
    Deleted,
    /// A lower-priority router was heard while Active. Told at most once a second.
    LowerPriority,
    /// Its effective priority is another one; in this state.
    Priority(InstanceState),
}

impl Change {
    fn told(self) -> Option<Told> {
        match self {
            Change::State { quietly: true, .. } => None,
            Change::State { state, quietly: false } => Some(Told::State(state)),
            Change::Deleted => Some(Told::Deleted),
            Change::LowerPriority => Some(Told::LowerPriority),
            Change::Priority(InstanceState::Active) => Some(Told::ActivePriority),
            Change::Priority(InstanceState::Backup) => Some(Told::BackupPriority),
            Change::Priority(InstanceState::Initialize | InstanceState::Fault) => None,
        }
    }
}

/// All queues and all services.
#[derive(Debug)]
pub(super) struct Notifier {
    /// The queues of instances and groups.
    vrrp: Pool,
    /// The queues of services and servers.
    balance: Pool,
    keepers: Vec<Keeper>,
    numbers: Numbers,
    /// Is there a FIFO that hears of instances, one that hears of services?
    has_fifo: (bool, bool),
    /// Programs of services and servers for which there was no queue.
    not_run: u32,
    quiet: Quiet,
}

impl Default for Notifier {
    fn default() -> Self {
        Self::new(&Config::default())
    }
}

impl Notifier {
    /// Empty queues. The services are looked after from the first state of their instance on.
    pub(super) fn new(config: &Config) -> Self {
        let mut notifier = Notifier {
            vrrp: Pool::new(limits::NOTIFY_QUEUES_MAX, limits::PROGRAMS_MAX),
            balance: Pool::new(limits::NOTIFY_BALANCE_QUEUES_MAX, limits::PROGRAMS_BALANCE_MAX),
            keepers: Vec::new(),
            numbers: Numbers::default(),
            has_fifo: has_fifo(config),
            not_run: 0,
            quiet: Quiet::default(),
        };
        notifier.keep(config, None);
        notifier
    }

    /// Another configuration: queues of objects that are still there go on, others come to their end.
    /// `is_active` knows the states of the new configuration's instances, by index.
    pub(super) fn reconfigure(
        &mut self,
        now: Instant,
        config: &Config,
        is_active: impl Fn(usize) -> bool,
        actions: &mut Actions,
    ) {
        self.has_fifo = has_fifo(config);
        let vrrp = |key: &Key| {
            let notify = match key {
                Key::Instance(name) => config.instances.iter().find(|i| i.name == *name).map(|i| &i.notify),
                Key::Group(name) => config.groups.iter().find(|g| g.name == *name).map(|g| &g.notify),
                Key::Service(_) | Key::Server(..) => None,
            };
            notify.map(Commands::Vrrp)
        };
        self.vrrp.reconfigure(vrrp);
        // There may be thousands of queues, and of services; mostly there is no queue.
        let services = OnceCell::new();
        let by_name = || -> BTreeMap<&Name, &Service> {
            config.services.iter().map(|service| (&service.name, &**service)).collect()
        };
        self.balance.reconfigure(|key| {
            let service = services.get_or_init(by_name).get(key.name())?;
            let object = match key {
                Key::Service(_) => Object::Service(service),
                Key::Server(_, address) => {
                    Object::Server(service, service.servers.iter().find(|s| s.address == *address)?)
                }
                Key::Instance(_) | Key::Group(_) => return None,
            };
            Some(object.commands())
        });
        self.keep(config, Some(&is_active));
        self.run(now, actions);
    }

    /// Something has happened; `priority` is the effective one, 0 for a group.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        about: About<'_>,
        change: Change,
        priority: u8,
        actions: &mut Actions,
    ) {
        let (key, notify) = about.parts();
        if let About::Instance(instance) = about {
            match change {
                Change::State { state, .. } => self.follow(&instance.name, state == InstanceState::Active),
                Change::Deleted => self.follow(&instance.name, false),
                Change::LowerPriority | Change::Priority(_) => {}
            }
        }
        if let Some(told) = change.told()
            && (!told.is_priority() || notify.priority_changes)
        {
            let word = told.word();
            let line: Text = cut(format_args!("{} \"{}\" {word} {priority}", key.word(), key.name()));
            let commands = Commands::Vrrp(notify);
            // A lower priority is told now and then only; to know when, it has a queue in any case.
            let pushed = if told.is_for_a_program(commands) || told == Told::LowerPriority {
                self.vrrp.push(now, key, (told, priority), commands, &mut self.numbers, actions)
            } else {
                Pushed::Taken
            };
            if self.has_fifo.0 && pushed != Pushed::Stale {
                actions.push(Action::Fifo { kind: FifoKind::Vrrp, line });
            }
        }
        self.keep_going(now, actions);
    }

    /// A service or a server is up or down; `line`: what the FIFOs are told. The programs get no arguments
    /// beside their own (keepalived §2.6).
    pub(super) fn tell_balance(
        &mut self,
        now: Instant,
        (object, fate): (Object<'_>, Fate),
        line: fmt::Arguments<'_>,
        history: &mut History,
        actions: &mut Actions,
    ) {
        let commands = object.commands();
        let told = fate.told();
        if told.is_for_a_program(commands) {
            let key = object.key();
            let pushed = self.balance.push(now, key, (told, 0), commands, &mut self.numbers, actions);
            if pushed == Pushed::NoRoom {
                self.not_run = self.not_run.saturating_add(1);
                if self.quiet.lets_through(now) {
                    let max = limits::NOTIFY_BALANCE_QUEUES_MAX;
                    let text = format_args!("{max} programs wait: that for \"{line}\" is not run");
                    history.note(now, Level::Error, "program", "", text, actions);
                }
            }
        }
        if self.has_fifo.1 {
            actions.push(Action::Fifo { kind: FifoKind::Balance, line: cut(line) });
        }
    }

    /// A program ended. A result that nobody waits for changes nothing.
    pub(super) fn handle_ran(
        &mut self,
        now: Instant,
        id: RunId,
        outcome: RunOutcome,
        took: Duration,
        history: &mut History,
        actions: &mut Actions,
    ) {
        let end = (outcome, took);
        if !self.vrrp.handle_ran(now, id, end, history, actions)
            && !self.balance.handle_ran(now, id, end, history, actions)
            && let Some(keeper) = self.keepers.iter_mut().find(|k| k.turn.is(id))
        {
            keeper.ended(now, outcome, took, history, actions);
        }
        self.run(now, actions);
    }

    /// The program of an [`super::Action::Run`]; `None` once it is gone.
    pub(super) fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        let keeper = || {
            let call = self.keepers.iter().find(|k| k.turn.is(id))?.turn.call()?;
            Some(RunSpec { command: &call.command, arguments: &call.arguments })
        };
        self.vrrp.run_spec(id).or_else(|| self.balance.run_spec(id)).or_else(keeper)
    }

    /// When is [`Self::tick`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let keepers = self.keepers.iter().filter_map(|k| k.next_deadline());
        keepers.chain(self.vrrp.next_deadline()).chain(self.balance.next_deadline()).min()
    }

    /// Does what is due: programs that have not ended long after their time are given up, and services that
    /// did not start are started again.
    pub(super) fn tick(&mut self, now: Instant, history: &mut History, actions: &mut Actions) {
        if self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        self.vrrp.tick(now, history, actions);
        self.balance.tick(now, history, actions);
        for keeper in &mut self.keepers {
            if let Some(took) = keeper.turn.is_overdue(now) {
                keeper.give_up(now, took, history, actions);
            }
        }
        self.run(now, actions);
    }

    /// The daemon leaves, and the instances have told so: what runs has a second, what waits for it likewise,
    /// and the services are stopped.
    pub(super) fn shutdown(&mut self, now: Instant, actions: &mut Actions) {
        self.vrrp.shutdown(now);
        self.balance.shutdown(now);
        self.keepers.iter_mut().for_each(|keeper| keeper.leave(now));
        self.run(now, actions);
    }

    /// Does nothing run or wait? The leave of the daemon waits for it.
    pub(super) fn is_idle(&self) -> bool {
        self.vrrp.is_idle() && self.balance.is_idle() && self.keepers.iter().all(Keeper::is_idle)
    }

    /// For the status screen: those that have run or wait.
    pub(super) fn status(&self, now: Instant) -> Vec<RunStatus> {
        let keepers = self.keepers.iter().filter_map(|k| k.status(now));
        self.vrrp.status(now).chain(self.balance.status(now)).chain(keepers).collect()
    }

    /// What somebody should look at.
    pub(super) fn problems(&self, problems: &mut Vec<Text>) {
        if self.not_run > 0 {
            problems.push(cut(format_args!(
                "{} programs of servers and services were not run: {} waited already. Make them faster, or \
                 fewer",
                self.not_run,
                limits::NOTIFY_BALANCE_QUEUES_MAX
            )));
        }
    }

    // ---- helpers

    fn follow(&mut self, name: &Name, is_active: bool) {
        self.keepers.iter_mut().for_each(|keeper| keeper.follow(name, is_active));
    }

    /// Makes the keepers what the configuration says; `is_active`: of its instances, by index, where they
    /// run already.
    fn keep(&mut self, config: &Config, is_active: Option<&dyn Fn(usize) -> bool>) {
        self.keepers.iter_mut().for_each(|keeper| keeper.users.clear());
        for (index, instance) in config.instances.iter().enumerate() {
            for service in &instance.run_while_active {
                let at = match self.keepers.iter().position(|k| k.service.name == service.name) {
                    Some(at) => at,
                    None => {
                        self.keepers.push(Keeper::new(service.clone(), self.numbers.owner()));
                        self.keepers.len() - 1
                    }
                };
                if let Some(keeper) = self.keepers.get_mut(at) {
                    keeper.service = service.clone();
                    keeper.add_user(&instance.name, is_active.map(|is_active| is_active(index)));
                }
            }
        }
        self.keepers.iter_mut().for_each(Keeper::settle);
    }

    /// Starts what may be started, in all queues.
    fn run(&mut self, now: Instant, actions: &mut Actions) {
        self.vrrp.run(now, &mut self.numbers, actions);
        self.balance.run(now, &mut self.numbers, actions);
        self.keep_going(now, actions);
    }

    /// Starts and stops services of this box.
    fn keep_going(&mut self, now: Instant, actions: &mut Actions) {
        self.keepers.retain(|k| !k.is_through());
        let mut running = self.keepers.iter().filter(|k| k.turn.is_taken()).count();
        for keeper in &mut self.keepers {
            if keeper.is_due(now) && running < limits::PROGRAMS_MAX {
                let call = keeper.next();
                let id = RunId { owner: RunOwner::Supervised(keeper.number), serial: self.numbers.serial() };
                keeper.turn.take(now, id, call, None, actions);
                running += 1;
            }
        }
    }
}

/// Is there a FIFO that hears of instances, one that hears of services?
fn has_fifo(config: &Config) -> (bool, bool) {
    let fifos = &config.fifos;
    (fifos.all.is_some() || fifos.vrrp.is_some(), fifos.all.is_some() || fifos.balance.is_some())
}
