//! Probes and mails on their way: the loop dials, a worker talks.
//!
//! A TCP probe ends with the connection (HC-20); a ping, a DNS query or a UDP datagram is sent and answered
//! here. For the others a worker is needed, but not before there is something to read: the loop itself
//! sends the request of a plain HTTP probe, which is in the job, and waits for the banner of a mail server.
//! A server that accepts and never answers costs a descriptor, and no worker. Only with TLS a worker is
//! needed from the start.
//!
//! Those whose last probe passed are given to workers first, then those of whom nothing is known yet, then
//! the others; among them, whoever has gone without for longest. The last worker is for the first sort
//! alone, and the one before it not for the last sort, so that hung conversations cannot hold up the
//! detection of a new failure.
//!
//! A turn costs what has happened, not what is waited for: sockets stand in an epoll set, deadlines and those
//! that wait for a worker in heaps. And what one turn does is bounded, so that no crowd delays an advert.

mod checkers;
mod jobs;
mod slot;
mod steps;

use super::ask;
use super::child::Program;
use super::crew::{Crew, NotTaken};
use super::dial::Target;
use super::epoll::{self, Epoll, Ready};
use super::heap::Heap;
use super::poll::{Interest, PollSet};
use super::worker;
use crate::engine::{Event, Letter, LinkName, Outcome, ProbeId, ProbeSpec};
use crate::limits::{CONVERSATIONS_MAX, PROBES_PER_TURN, WORKERS_MAX};
use crate::model::{CheckKind, Mail, Reason, cut};
use crate::time::{Duration, Instant};
use crate::wire::job::{Report, Verdict};
use checkers::Checkers;
use jobs::Writer;
use slot::{Class, Key, Owner, Slot, State, Task};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use steps::Steps;

/// All probes and mails on their way. What is needed for one is kept for the next: once as many have been
/// under way together as ever will be, nothing is allocated.
pub struct Prober {
    crew: Crew<Key>,
    /// Made with the first probe.
    epoll: Option<Epoll>,
    /// Its place in this turn's poll.
    poll: Option<usize>,
    slots: Vec<Slot>,
    /// Places in `slots` that are free.
    free: Vec<usize>,
    /// To be begun, or ended, in the next turn: in order.
    fresh: VecDeque<Key>,
    /// When something has to be done for a slot at the latest.
    deadlines: Heap<Instant>,
    /// Those that wait for a worker.
    waiting: Heap<Rank>,
    checkers: Checkers,
    /// Conversations on their way.
    conversations: usize,
    /// Conversations given to workers so far.
    given: u64,
    /// Sequence number of the last ping, wrapping (HC-40).
    sequence: u16,
    writer: Writer,
    /// Of the probes that somebody asks for.
    steps: Steps,
}

/// Whose turn it is, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: Class,
    /// `Prober::given` when a worker last took its checker's conversation.
    given: u64,
    started: Instant,
}

impl Prober {
    /// Workers are this same program, started as `vipd worker`. None is started before it is needed.
    pub fn new() -> Self {
        // The running binary, also where its file has been replaced by an upgrade.
        Self::with_program("/proc/self/exe", worker::ARGUMENT)
    }

    /// As `new`, with another program for the workers, for tests.
    pub fn with_program(path: &str, argument: &str) -> Self {
        Prober {
            crew: Crew::new(Program::new(path, ["vipd", argument].into_iter())),
            epoll: None,
            poll: None,
            slots: Vec::new(),
            free: Vec::new(),
            fresh: VecDeque::new(),
            deadlines: Heap::default(),
            waiting: Heap::default(),
            checkers: Checkers::default(),
            conversations: 0,
            given: 0,
            sequence: 0,
            writer: Writer::new(),
            steps: Steps::default(),
        }
    }

    /// Has a probe begun in the next turn. Its outcome comes from a later `process`, also where it is known
    /// at once. An earlier probe of the same checker is stopped. `router_name`: for servers that want to be
    /// greeted.
    pub fn start(&mut self, now: Instant, id: ProbeId, spec: &ProbeSpec<'_>, router_name: &str) {
        let given = self.given;
        let Some(checker) = self.checkers.make(id, given) else { return };
        let (earlier, passed) = (checker.key, checker.passed);
        if let Some(key) = earlier {
            self.abandon(now, key);
        }
        let class = match (spec.was_up, passed) {
            // Somebody waits for it, but not with the last worker.
            _ if id.checker >= ProbeId::ASKED => Class::Unknown,
            (true, Some(true)) => Class::Well,
            (true, None) => Class::Unknown,
            (true, Some(false)) | (false, _) => Class::Sick,
        };
        let target = Target {
            address: spec.address,
            source: spec.source,
            source_port: spec.source_port,
            interface: spec.interface.map(|name| LinkName::new(name)),
            mark: spec.mark,
        };
        let task = self.task(spec, router_name);
        self.steps.note(now, Owner::Probe(id), format_args!("to {}{}", spec.address, Way(spec)));
        let key = self.take_slot(now, Owner::Probe(id), target, spec.timeout, class, task);
        if let Some(checker) = self.checkers.get_mut(id) {
            checker.key = Some(key);
        }
    }

    /// As `start`, for a probe of which nobody can say what it is: its checker is told that it was not made,
    /// instead of waiting for it for ever.
    pub fn refuse(&mut self, now: Instant, id: ProbeId) {
        let given = self.given;
        let Some(checker) = self.checkers.make(id, given) else { return };
        if let Some(key) = checker.key {
            self.abandon(now, key);
        }
        let (target, timeout) = (Target::new((Ipv4Addr::UNSPECIFIED, 0).into()), Duration::ZERO);
        let not_run = Outcome::NotRun(cut(format_args!("nothing to probe")));
        let key = self.take_slot(now, Owner::Probe(id), target, timeout, Class::Sick, Err(not_run));
        if let Some(checker) = self.checkers.get_mut(id) {
            checker.key = Some(key);
        }
    }

    /// Forgets a probe; no event comes of it. An old id changes nothing.
    pub fn stop(&mut self, now: Instant, id: ProbeId) {
        let key = self.checkers.get_mut(id).and_then(|checker| checker.key);
        if let Some(key) = key
            && find(&mut self.slots, key).is_some_and(|slot| slot.owner == Owner::Probe(id))
        {
            self.abandon(now, key);
        }
    }

    /// What has happened in a probe that somebody asks for ([`ProbeId::ASKED`]), in order.
    pub fn take_step(&mut self) -> Option<(Instant, ProbeId, Reason)> {
        self.steps.take()
    }

    /// Has a mail handed over to the server at `to`, from the next turn on. What became of it comes from a
    /// later `process`.
    pub fn send_mail(
        &mut self,
        now: Instant,
        letter: &Letter,
        mail: &Mail,
        to: SocketAddr,
        router_name: &str,
    ) {
        let task = self.writer.mail(letter, mail, router_name).map(Task::Converse);
        self.take_slot(now, Owner::Mail(letter.id), Target::new(to), mail.timeout, Class::Unknown, task);
    }

    /// Adds what is waited for to this turn's set.
    pub fn register(&mut self, set: &mut PollSet) {
        self.poll = self.epoll.as_ref().map(|epoll| set.add(epoll.as_fd(), Interest::Read));
        self.crew.register(set);
    }

    /// When `process` has to be called at the latest; `None`: only when something is ready.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.fresh.is_empty() {
            return Some(Instant::ZERO);
        }
        let deadline = self.deadlines.first().map(|(at, _)| at);
        deadline.into_iter().chain(self.crew.next_deadline(!self.waiting.is_empty())).min()
    }

    /// Looks after everything that is on its way; `sink` gets an event for each probe and each mail that
    /// has ended. To be called in every turn of the loop. Reaps workers that ended, so that SIGCHLD need
    /// do no more than wake the loop.
    pub fn process(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        self.read_reports(now, set, sink);
        if self.poll.take().is_some_and(|slot| set.is_ready(slot)) {
            let ready = self.epoll.as_ref().map(Epoll::ready::<PROBES_PER_TURN>).unwrap_or_default();
            for ready in ready {
                let key = Key::of(ready.key);
                let outcome = self.go_on(now, key, ready);
                self.end_with(now, key, outcome, sink);
            }
        }
        self.look_at_deadlines(now, sink);
        self.begin_fresh(now, sink);
        self.hand_over(now, sink);
    }

    /// Ends all workers and forgets everything on its way. Also done by `Drop`.
    pub fn shutdown(&mut self) {
        self.crew.shutdown();
        self.slots.clear();
        self.free.clear();
        self.fresh.clear();
        self.deadlines.clear();
        self.waiting.clear();
        self.checkers = Checkers::default();
        self.conversations = 0;
    }

    /// How far a probe goes, and its jobs or its question in `writer`; or why it cannot be made.
    fn task(&mut self, spec: &ProbeSpec<'_>, router_name: &str) -> Result<Task, Outcome> {
        let not_run = |why: core::fmt::Arguments<'_>| Outcome::NotRun(cut(why));
        match spec.kind {
            CheckKind::Tcp => {
                self.writer.question(|_| Some(0));
                Ok(Task::Connect)
            }
            CheckKind::Ping => {
                self.sequence = self.sequence.wrapping_add(1);
                let (address, sequence) = (spec.address, self.sequence);
                self.writer.question(|room| ask::ping(address, sequence, room));
                Ok(Task::Ask(ask::Question::Ping))
            }
            CheckKind::Dns(check) => {
                let len = self.writer.question(|room| ask::query(check, room));
                len.ok_or_else(|| not_run(format_args!("{} is no name of DNS", check.name)))?;
                Ok(Task::Ask(ask::Question::Dns { rcode: check.rcode, address: check.address }))
            }
            CheckKind::Udp(check) => {
                let len = self.writer.question(|room| ask::datagram(check, room));
                len.ok_or_else(|| not_run(format_args!("a payload or a reply is too long")))?;
                Ok(Task::Ask(ask::udp(check)))
            }
            CheckKind::Http(check) => self.writer.http(spec, check).map(Task::Converse),
            CheckKind::Smtp(check) => self.writer.greeting(spec, check, router_name).map(Task::Converse),
            // The engine runs programs and reads files by other actions.
            CheckKind::Script(_) | CheckKind::File(_) => {
                Err(not_run(format_args!("it is no probe of the network")))
            }
        }
    }

    fn take_slot(
        &mut self,
        now: Instant,
        owner: Owner,
        target: Target,
        timeout: Duration,
        class: Class,
        task: Result<Task, Outcome>,
    ) -> Key {
        let (task, mut state) = match task {
            Ok(task) => (task, State::Fresh),
            Err(outcome) => (Task::Connect, State::Ended(outcome)),
        };
        if let Task::Converse(_) = task {
            if self.conversations >= CONVERSATIONS_MAX {
                let why = cut(format_args!("{CONVERSATIONS_MAX} are on their way already"));
                state = State::Ended(Outcome::NotRun(why));
            }
            self.conversations += 1;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::empty());
            self.slots.len() - 1
        });
        let mut key = Key { index: index as u32, turn: 0 };
        if let Some(slot) = self.slots.get_mut(index) {
            let turn = slot.turn.wrapping_add(1);
            let mut jobs = core::mem::take(&mut slot.jobs);
            jobs.fill(self.writer.jobs());
            let deadline = now + timeout;
            *slot = Slot { turn, owner, state, target, started: now, deadline, timeout, class, task, jobs };
            key.turn = turn;
        }
        self.fresh.push_back(key);
        key
    }

    /// Begins what is to be begun, and ends what could not be.
    fn begin_fresh(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        for _ in 0..PROBES_PER_TURN {
            let Some(key) = self.fresh.pop_front() else { return };
            let outcome = self.begin(now, key);
            self.end_with(now, key, outcome, sink);
        }
    }

    fn begin(&mut self, now: Instant, key: Key) -> Option<Outcome> {
        if self.epoll.is_none() {
            match Epoll::open() {
                Ok(epoll) => self.epoll = Some(epoll),
                Err(errno) => return Some(Outcome::NotRun(cut(format_args!("no epoll: {}", errno.desc())))),
            }
        }
        let epoll = self.epoll.as_ref()?;
        let slot = find(&mut self.slots, key)?;
        match slot.begin(now, epoll, key) {
            Ok(at) => {
                self.deadlines.set(key.index as usize, at);
                if let Task::Ask(_) = slot.task {
                    self.steps.note(now, slot.owner, format_args!("question sent"));
                }
                None
            }
            Err(outcome) => Some(outcome),
        }
    }

    /// Something has happened on a socket.
    fn go_on(&mut self, now: Instant, key: Key, ready: Ready) -> Option<Outcome> {
        let Prober { epoll, slots, steps, .. } = self;
        let slot = find(slots, key)?;
        let owner = slot.owner;
        match slot.go_on(epoll.as_ref()?, key, ready, &mut |what| steps.note(now, owner, what)) {
            Ok(true) => {
                self.wait_for_worker(now, key);
                None
            }
            Ok(false) => None,
            Err(outcome) => Some(outcome),
        }
    }

    /// Half of the time left is for waiting: after that there would be too little to blame the server for it.
    fn wait_for_worker(&mut self, now: Instant, key: Key) {
        let Some(slot) = self.slots.get(key.index as usize) else { return };
        let given = match slot.owner {
            Owner::Probe(id) => self.checkers.get(id).map_or(0, |checker| checker.given),
            Owner::Mail(_) => 0,
        };
        let left = if now < slot.deadline { slot.deadline - now } else { Duration::ZERO };
        self.deadlines.set(key.index as usize, now + left / 2);
        let rank = Rank { class: slot.class, given, started: slot.started };
        self.waiting.set(key.index as usize, rank);
    }

    fn look_at_deadlines(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        for _ in 0..PROBES_PER_TURN {
            let Some((at, index)) = self.deadlines.first() else { return };
            let Some(slot) = self.slots.get(index).filter(|_| at <= now) else { return };
            let key = Key { index: index as u32, turn: slot.turn };
            // What has come in time counts, however late it is looked at.
            let ready = slot.socket().and_then(|(fd, interest)| epoll::look(fd, interest));
            let outcome = ready.and_then(|ready| self.go_on(now, key, ready));
            let outcome =
                outcome.or_else(|| match self.slots.get_mut(index)?.late(now, self.crew.trouble()) {
                    Ok(at) => {
                        self.deadlines.set(index, at);
                        None
                    }
                    Err(outcome) => Some(outcome),
                });
            self.end_with(now, key, outcome, sink);
        }
    }

    fn read_reports(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        let mut ended: heapless::Vec<(Key, Option<Report>), WORKERS_MAX> = heapless::Vec::new();
        // One worker, one conversation: it cannot overflow.
        self.crew.process(now, set, |key, report| drop(ended.push((key, report))));
        for (key, report) in ended {
            let Some(slot) = find(&mut self.slots, key) else { continue };
            slot.state = State::Fresh;
            if let (Some(report), Task::Converse(first)) = (&report, slot.task) {
                self.steps.note_report(now, slot.owner, first, report);
            }
            let outcome = match report {
                Some(report) => outcome(slot.owner, report),
                None => Outcome::NotRun(cut(format_args!("its worker ended unexpectedly"))),
            };
            if outcome == Outcome::Passed && slot.jobs.next() {
                // The next page, over a connection of its own, within the same deadline (HC-1, HC-11).
                self.deadlines.remove(key.index as usize);
                self.fresh.push_back(key);
                if let Some(page) = slot.jobs.number() {
                    self.steps.note(now, slot.owner, format_args!("page {page}"));
                }
                continue;
            }
            let outcome = match (outcome, slot.jobs.number()) {
                (Outcome::Failed(why), Some(page)) => {
                    Outcome::Failed(cut(format_args!("page {page}: {why}")))
                }
                (outcome, _) => outcome,
            };
            self.end_with(now, key, Some(outcome), sink);
        }
    }

    /// Gives connected sockets to workers, for as long as there are both.
    fn hand_over(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        while let Some((_, index)) = self.waiting.first() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let key = Key { index: index as u32, turn: slot.turn };
            let State::Waiting(socket) = &slot.state else {
                self.waiting.remove(index);
                continue;
            };
            let rank = slot.class.rank();
            let given = self.crew.give(now, key, rank, slot.deadline, slot.jobs.job(), socket.as_fd());
            match given {
                Ok(()) => {
                    // The worker has its own copy of the socket now.
                    slot.state = State::Talking;
                    self.steps.note(now, slot.owner, format_args!("given to a worker"));
                    self.given += 1;
                    self.waiting.remove(index);
                    self.deadlines.set(index, slot.deadline);
                    if let Owner::Probe(id) = slot.owner
                        && let Some(checker) = self.checkers.get_mut(id)
                    {
                        checker.given = self.given;
                    }
                }
                Err(NotTaken::Busy) => return,
                Err(NotTaken::Refused(why)) => {
                    self.end_with(now, key, Some(Outcome::NotRun(why)), sink);
                }
            }
        }
    }

    /// Ends a slot with this outcome, where there is one.
    fn end_with(
        &mut self,
        now: Instant,
        key: Key,
        outcome: Option<Outcome>,
        sink: &mut dyn FnMut(Event<'static>),
    ) {
        let (Some(outcome), Some(slot)) = (outcome, find(&mut self.slots, key)) else { return };
        let (owner, started) = (slot.owner, slot.started);
        self.abandon(now, key);
        sink(match owner {
            Owner::Probe(id) => {
                if let Some(checker) = self.checkers.get_mut(id) {
                    match outcome {
                        Outcome::Passed => checker.passed = Some(true),
                        Outcome::Failed(_) => checker.passed = Some(false),
                        Outcome::NotRun(_) => {}
                    }
                }
                let took = if started < now { now - started } else { Duration::ZERO };
                Event::Probe { id, outcome, took }
            }
            Owner::Mail(id) => {
                let result = match outcome {
                    Outcome::Passed => Ok(()),
                    Outcome::Failed(why) | Outcome::NotRun(why) => Err(why),
                };
                Event::Mail { id, result }
            }
        });
    }

    /// Ends it without a word.
    fn abandon(&mut self, now: Instant, key: Key) {
        let Some(slot) = find(&mut self.slots, key) else { return };
        let (owner, task, deadline) = (slot.owner, slot.task, slot.deadline);
        // The socket, where there still is one, is closed here, and leaves the epoll set with that.
        let was = core::mem::replace(&mut slot.state, State::Free);
        slot.turn = slot.turn.wrapping_add(1);
        if let State::Talking = was {
            self.crew.give_up(now, key, deadline);
        }
        if let Task::Converse(_) = task {
            self.conversations -= 1;
        }
        if let Owner::Probe(id) = owner
            && let Some(checker) = self.checkers.get_mut(id)
            && checker.key == Some(key)
        {
            checker.key = None;
        }
        self.deadlines.remove(key.index as usize);
        self.waiting.remove(key.index as usize);
        self.free.push(key.index as usize);
    }
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The slot of this key, where it is still in use by it.
fn find(slots: &mut [Slot], key: Key) -> Option<&mut Slot> {
    slots.get_mut(key.index as usize).filter(|slot| slot.turn == key.turn)
}

/// What a worker's report says of its probe.
fn outcome(owner: Owner, report: Report) -> Outcome {
    match report.verdict {
        Verdict::Passed => {
            if let (Owner::Mail(id), false) = (owner, report.reason.is_empty()) {
                log::warn!("mail {id} was not taken for everybody: {}", report.reason);
            }
            Outcome::Passed
        }
        Verdict::Failed => Outcome::Failed(report.reason),
        Verdict::NotRun | Verdict::Hello => Outcome::NotRun(report.reason),
    }
}

/// ` from 10.0.0.2:9 by eth1 with mark 7`, as far as it is not the kernel's choice.
struct Way<'a>(&'a ProbeSpec<'a>);

impl core::fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let spec = self.0;
        match (spec.source, spec.source_port) {
            (Some(source), 0) => write!(f, " from {source}")?,
            (Some(source), port) => write!(f, " from {source}, port {port}")?,
            (None, 0) => {}
            (None, port) => write!(f, " from port {port}")?,
        }
        if let Some(name) = spec.interface {
            write!(f, " by {name}")?;
        }
        if spec.mark != 0 {
            write!(f, " with mark {}", spec.mark)?;
        }
        Ok(())
    }
}
