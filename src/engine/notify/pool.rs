//! Queues that share a number of places to run: who has something to run takes its turn.

use super::LEAVING_TIMEOUT;
use super::program::Numbers;
use super::queue::{Commands, Key, Queue, Told};
use crate::engine::history::History;
use crate::engine::{Actions, RunId, RunOutcome, RunOwner, RunSpec};
use crate::model::status::RunStatus;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// The queues of one sort of objects. What a turn costs does not grow with their number.
#[derive(Debug)]
pub(super) struct Pool {
    /// Those that have been told something, by their numbers.
    queues: BTreeMap<u32, Queue>,
    numbers: BTreeMap<Key, u32>,
    /// Those that wait for a place, each once, in the order of their turns.
    ready: VecDeque<u32>,
    /// Those whose program runs.
    running: Vec<u32>,
    queues_max: usize,
    running_max: usize,
    leaving: bool,
}

/// What became of something told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits, or runs.
    Taken,
    /// It has been told just now.
    Stale,
    /// All queues have something to do, and there is none for it.
    NoRoom,
}

impl Pool {
    /// No queues yet.
    pub(super) fn new(queues_max: usize, running_max: usize) -> Self {
        Pool {
            queues: BTreeMap::new(),
            numbers: BTreeMap::new(),
            ready: VecDeque::new(),
            running: Vec::new(),
            queues_max,
            running_max,
            leaving: false,
        }
    }

    /// Tells an object's programs, in its queue, which is made where there is none.
    pub(super) fn push(
        &mut self,
        now: Instant,
        key: Key,
        (told, priority): (Told, u8),
        commands: Commands<'_>,
        numbers: &mut Numbers,
        actions: &mut Actions,
    ) -> Pushed {
        let number = match self.numbers.get(&key).copied() {
            Some(number) => number,
            None if !self.make_room(actions) => return Pushed::NoRoom,
            None => {
                let number = numbers.owner();
                self.numbers.insert(key.clone(), number);
                self.queues.insert(number, Queue::new(key));
                number
            }
        };
        let Some(queue) = self.queues.get_mut(&number) else { return Pushed::NoRoom };
        if !queue.push(now, told, priority, commands) {
            return Pushed::Stale;
        }
        self.list(number);
        self.run(now, numbers, actions);
        Pushed::Taken
    }

    /// A program ended; false: it is none of these queues'.
    pub(super) fn handle_ran(
        &mut self,
        now: Instant,
        id: RunId,
        (outcome, took): (RunOutcome, Duration),
        history: &mut History,
        actions: &mut Actions,
    ) -> bool {
        let Some(number) = self.number_of(id) else { return false };
        self.end(now, number, (outcome, took), history, actions);
        true
    }

    /// Other commands, or none where the object is not in the configuration any more: such a queue comes to
    /// its end.
    pub(super) fn reconfigure<'a>(&mut self, commands: impl Fn(&Key) -> Option<Commands<'a>>) {
        for queue in self.queues.values_mut() {
            queue.reconfigure(commands(&queue.key));
        }
        let over = self.queues.iter().filter(|(_, q)| q.is_gone && q.is_idle()).map(|(number, _)| *number);
        for number in over.collect::<Vec<_>>() {
            self.remove(number);
        }
    }

    /// The program of an [`crate::engine::Action::Run`]; `None` once it is gone.
    pub(super) fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        let call = self.queues.get(&self.number_of(id)?)?.turn.call()?;
        Some(RunSpec { command: &call.command, arguments: &call.arguments })
    }

    /// When is [`Self::tick`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running().filter_map(|queue| queue.turn.give_up_at()).min()
    }

    /// Programs that have not ended long after their time are given up.
    pub(super) fn tick(&mut self, now: Instant, history: &mut History, actions: &mut Actions) {
        for number in self.running.clone() {
            let Some(queue) = self.queues.get(&number) else { continue };
            if let Some(took) = queue.turn.is_overdue(now) {
                queue.turn.stop(actions);
                self.end(now, number, (RunOutcome::TimedOut, took), history, actions);
            }
        }
    }

    /// What runs has a second, what waits for it likewise.
    pub(super) fn shutdown(&mut self, now: Instant) {
        self.leaving = true;
        for number in &self.running {
            if let Some(queue) = self.queues.get_mut(number) {
                queue.turn.hurry(now + LEAVING_TIMEOUT);
            }
        }
    }

    /// Does nothing run or wait?
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queues.values().all(Queue::is_idle)
    }

    /// For the status screen: those that have run or wait, in the order of their names.
    pub(super) fn status(&self, now: Instant) -> impl Iterator<Item = RunStatus> {
        self.numbers.values().filter_map(move |number| self.queues.get(number)?.status(now))
    }

    /// Starts what there are places for.
    pub(super) fn run(&mut self, now: Instant, numbers: &mut Numbers, actions: &mut Actions) {
        while self.running.len() < self.running_max
            && let Some(number) = self.ready.pop_front()
        {
            let Some(queue) = self.queues.get_mut(&number) else { continue };
            queue.is_listed = false;
            // What waited may have been passed over.
            let Some(call) = queue.next() else { continue };
            let id = RunId { owner: RunOwner::Notify(number), serial: numbers.serial() };
            let limit = self.leaving.then_some(LEAVING_TIMEOUT);
            queue.turn.take(now, id, call, limit, actions);
            self.running.push(number);
        }
    }

    // ---- helpers

    /// The queue whose program runs under this id.
    fn number_of(&self, id: RunId) -> Option<u32> {
        let number = match id.owner {
            RunOwner::Notify(number) => number,
            RunOwner::Track(_) | RunOwner::PreActive(_) | RunOwner::Supervised(_) | RunOwner::Check(_) => {
                return None;
            }
        };
        self.queues.get(&number).filter(|queue| queue.turn.is(id)).map(|_| number)
    }

    fn running(&self) -> impl Iterator<Item = &Queue> {
        self.running.iter().filter_map(|number| self.queues.get(number))
    }

    /// Its program is over. The queue waits for its next turn, behind all others.
    fn end(
        &mut self,
        now: Instant,
        number: u32,
        (outcome, took): (RunOutcome, Duration),
        history: &mut History,
        actions: &mut Actions,
    ) {
        self.running.retain(|running| *running != number);
        let Some(queue) = self.queues.get_mut(&number) else { return };
        queue.ended(now, outcome, took, history, actions);
        if queue.is_gone && queue.is_idle() {
            self.remove(number);
        } else {
            self.list(number);
        }
    }

    fn list(&mut self, number: u32) {
        if let Some(queue) = self.queues.get_mut(&number)
            && queue.is_ready()
            && !queue.is_listed
        {
            queue.is_listed = true;
            self.ready.push_back(number);
        }
    }

    /// Is there room for one more queue? Where there are too many, the oldest that has nothing to do goes;
    /// else one that comes to its end does so now.
    fn make_room(&mut self, actions: &mut Actions) -> bool {
        if self.queues.len() < self.queues_max {
            return true;
        }
        let is_any_idle = self.queues.len() > self.running.len() + self.ready.len();
        let idle = self.queues.iter().filter(|_| is_any_idle).find(|(_, queue)| queue.is_idle());
        let gone = || self.queues.iter().find(|(_, queue)| queue.is_gone);
        let Some(number) = idle.or_else(gone).map(|(number, _)| *number) else { return false };
        if let Some(queue) = self.queues.get(&number) {
            queue.turn.stop(actions);
        }
        self.running.retain(|running| *running != number);
        self.remove(number);
        true
    }

    fn remove(&mut self, number: u32) {
        if let Some(queue) = self.queues.remove(&number) {
            self.numbers.remove(&queue.key);
            if queue.is_listed {
                self.ready.retain(|ready| *ready != number);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.queues.len(), self.numbers.len());
        self.queues.len()
    }
}
