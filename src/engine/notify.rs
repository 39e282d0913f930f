//! Notifications: programs and FIFOs that are told of changes, in order, collapsing to the newest; services
//! of this box that follow an instance (keepalived §2.6).
//!
//! The line for the FIFOs leaves at once. Programs take their turn: each instance and each group has a queue
//! ([`queue`]) in which one runs at a time; each service of the box has a keeper ([`keeper`]).

mod keeper;
mod program;
mod queue;
#[cfg(test)]
mod tests;

use self::keeper::Keeper;
use self::program::Numbers;
use self::queue::{Kind, Queue, Told};
use super::history::History;
use super::{Action, Actions, RunId, RunOutcome, RunOwner, RunSpec};
use crate::limits;
use crate::model::status::{InstanceState, RunStatus};
use crate::model::{Config, FifoKind, Instance, Name, Notify, SyncGroup, cut};
use crate::time::{Duration, Instant};

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
    fn parts(self) -> (Kind, &'a Name, &'a Notify) {
        match self {
            About::Instance(i) => (Kind::Instance, &i.name, &i.notify),
            About::Group(g) => (Kind::Group, &g.name, &g.notify),
        }
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
#[derive(Debug, Default)]
pub(super) struct Notifier {
    /// Those that have been told something, sorted: at most [`limits::NOTIFY_QUEUES_MAX`].
    queues: Vec<Queue>,
    /// In how many of them a program runs.
    running: usize,
    keepers: Vec<Keeper>,
    numbers: Numbers,
    /// Where the search for the next queue with something to run begins: no queue starves another.
    next_queue: usize,
    has_fifo: bool,
    leaving: bool,
}

impl Notifier {
    /// Empty queues. The services are looked after from the first state of their instance on.
    pub(super) fn new(config: &Config) -> Self {
        let mut notifier = Notifier { has_fifo: has_fifo(config), ..Notifier::default() };
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
        for queue in &mut self.queues {
            let notify = match queue.kind {
                Kind::Instance => config.instances.iter().find(|i| i.name == queue.name).map(|i| &i.notify),
                Kind::Group => config.groups.iter().find(|g| g.name == queue.name).map(|g| &g.notify),
            };
            queue.reconfigure(notify);
        }
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
        let (kind, name, notify) = about.parts();
        if let About::Instance(_) = about {
            match change {
                Change::State { state, .. } => self.follow(name, state == InstanceState::Active),
                Change::Deleted => self.follow(name, false),
                Change::LowerPriority | Change::Priority(_) => {}
            }
        }
        if let Some(told) = change.told()
            && (!told.is_priority() || notify.priority_changes)
            && self.push(now, (kind, name), told, priority, notify, actions)
            && self.has_fifo
        {
            let (kind, word) = (kind.word(), told.word());
            let line = cut(format_args!("{kind} \"{name}\" {word} {priority}"));
            actions.push(Action::Fifo { kind: FifoKind::Vrrp, line });
        }
        self.keep_going(now, actions);
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
        if let Some(queue) = self.queues.iter_mut().find(|q| q.turn.is(id)) {
            self.running = self.running.saturating_sub(1);
            queue.ended(now, outcome, took, history, actions);
        } else if let Some(keeper) = self.keepers.iter_mut().find(|k| k.turn.is(id)) {
            keeper.ended(now, outcome, took, history, actions);
        }
        self.run(now, actions);
    }

    /// The program of an [`super::Action::Run`]; `None` once it is gone.
    pub(super) fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        let queues = self.queues.iter().map(|q| &q.turn);
        let call = queues.chain(self.keepers.iter().map(|k| &k.turn)).find(|t| t.is(id))?.call()?;
        Some(RunSpec { command: &call.command, arguments: &call.arguments })
    }

    /// When is [`Self::tick`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let busy = if self.running > 0 { self.queues.as_slice() } else { &[] };
        let queues = busy.iter().filter_map(|q| q.turn.give_up_at());
        queues.chain(self.keepers.iter().filter_map(|k| k.next_deadline())).min()
    }

    /// Does what is due: programs that have not ended long after their time are given up, and services that
    /// did not start are started again.
    pub(super) fn tick(&mut self, now: Instant, history: &mut History, actions: &mut Actions) {
        if self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        for queue in &mut self.queues {
            if let Some(took) = queue.turn.is_overdue(now) {
                self.running = self.running.saturating_sub(1);
                queue.turn.stop(actions);
                queue.ended(now, RunOutcome::TimedOut, took, history, actions);
            }
        }
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
        self.leaving = true;
        self.queues.iter_mut().for_each(|queue| queue.turn.hurry(now + LEAVING_TIMEOUT));
        self.keepers.iter_mut().for_each(|keeper| keeper.leave(now));
        self.run(now, actions);
    }

    /// Does nothing run or wait? The leave of the daemon waits for it.
    pub(super) fn is_idle(&self) -> bool {
        self.queues.iter().all(Queue::is_idle) && self.keepers.iter().all(Keeper::is_idle)
    }

    /// For the status screen: those that have run or wait.
    pub(super) fn status(&self, now: Instant) -> Vec<RunStatus> {
        let queues = self.queues.iter().filter_map(|q| q.status(now));
        queues.chain(self.keepers.iter().filter_map(|k| k.status(now))).collect()
    }

    // ---- helpers

    fn follow(&mut self, name: &Name, is_active: bool) {
        self.keepers.iter_mut().for_each(|keeper| keeper.follow(name, is_active));
    }

    /// Has it told in its queue, which is made where there is none. False: it has been told just now.
    fn push(
        &mut self,
        now: Instant,
        (kind, name): (Kind, &Name),
        told: Told,
        priority: u8,
        notify: &Notify,
        actions: &mut Actions,
    ) -> bool {
        // A lower priority is told now and then only; to know when, it has a queue in any case.
        if !told.is_for_a_program(notify) && told != Told::LowerPriority {
            return true;
        }
        let find = |queues: &[Queue]| queues.binary_search_by(|q| (q.kind, &q.name).cmp(&(kind, name)));
        let at = match find(&self.queues) {
            Ok(at) => at,
            Err(_) => {
                self.make_room(actions);
                let at = find(&self.queues).unwrap_or_else(|at| at);
                self.queues.insert(at, Queue::new(kind, name.clone(), self.numbers.owner()));
                at
            }
        };
        let Some(queue) = self.queues.get_mut(at) else { return true };
        let is_news = queue.push(now, told, priority, notify);
        self.start(now, at, actions);
        is_news
    }

    /// Where there are too many queues, one that comes to its end does so now.
    fn make_room(&mut self, actions: &mut Actions) {
        if self.queues.len() >= limits::NOTIFY_QUEUES_MAX
            && let Some(at) = self.queues.iter().position(|q| q.is_gone)
        {
            let gone = self.queues.remove(at);
            self.running = self.running.saturating_sub(usize::from(gone.turn.is_taken()));
            gone.turn.stop(actions);
        }
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

    /// Starts the next program of a queue, where it may.
    fn start(&mut self, now: Instant, at: usize, actions: &mut Actions) {
        if self.running < limits::PROGRAMS_MAX
            && let Some(queue) = self.queues.get_mut(at)
            && let Some(call) = queue.next()
        {
            let id = RunId { owner: RunOwner::Notify(queue.number), serial: self.numbers.serial() };
            let limit = self.leaving.then_some(LEAVING_TIMEOUT);
            queue.turn.take(now, id, call, limit, actions);
            self.running += 1;
            self.next_queue = at + 1;
        }
    }

    /// Starts what may be started, in all queues.
    fn run(&mut self, now: Instant, actions: &mut Actions) {
        self.queues.retain(|q| !(q.is_gone && q.is_idle()));
        let (first, count) = (self.next_queue, self.queues.len());
        for step in 0..count {
            if self.running >= limits::PROGRAMS_MAX {
                break;
            }
            self.start(now, (first + step) % count, actions);
        }
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

fn has_fifo(config: &Config) -> bool {
    config.fifos.all.is_some() || config.fifos.vrrp.is_some()
}
