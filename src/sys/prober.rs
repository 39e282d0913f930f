//! Probes and mails on their way: the loop dials, a worker talks.
//!
//! TCP probes end with the connection (HC-20). For the others the connected socket waits for a worker:
//! those of servers that were up first, then whoever has gone without for longest. A hung server costs a
//! worker at most the time of its probe, and hung servers that are known to be down never hold the last
//! worker. A ping or a DNS query is sent and answered here.

use super::ask::{self, Ask, Question};
use super::crew::{Crew, NotTaken, Program};
use super::dial::Via;
use super::poll::{Interest, PollSet};
use super::{dial, worker};
use crate::engine::{Event, Letter, Outcome, ProbeId, ProbeSpec};
use crate::limits::{CONVERSATIONS_MAX, JOB_MAX, NAME_MAX};
use crate::model::{CheckKind, HttpCheck, Mail, Reason, cut};
use crate::probe::span;
use crate::time::{Duration, Instant};
use crate::wire::date::rfc5322;
use crate::wire::http::emit_request;
use crate::wire::job::{Envelope, Report, Verdict, emit_http, emit_smtp};
use core::fmt::Write;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// All probes and mails on their way. What is needed for one is kept for the next: once as many have been
/// under way together as ever will be, nothing is allocated.
pub struct Prober {
    crew: Crew<Owner>,
    /// The first `live` are on their way, the rest is kept for its memory.
    slots: Vec<Slot>,
    live: usize,
    checkers: Checkers,
    /// Conversations given to workers so far, wrapping.
    given: u32,
    /// Sequence number of the last ping, wrapping (HC-40).
    sequence: u16,
    scratch: Box<[u8; JOB_MAX]>,
    /// Wall-clock µs at the start: the letters' numbers, which begin with 1 each time, are told apart by it.
    born_micros: u128,
}

/// By `ProbeId::checker`: servers, and from [`ProbeId::PATH`] on, paths.
#[derive(Default)]
struct Checkers {
    servers: Vec<Checker>,
    paths: Vec<Checker>,
}

/// What is kept of a checker from probe to probe.
#[derive(Clone, Copy)]
struct Checker {
    slot: Option<usize>,
    /// `Prober::given` when a worker last took its conversation.
    given: u32,
}

/// Whose attempt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Probe(ProbeId),
    Mail(u32),
}

struct Slot {
    owner: Owner,
    state: State,
    started: Instant,
    deadline: Instant,
    timeout: Duration,
    /// Its server was down, or it is a mail: others go first.
    low: bool,
    task: Task,
    /// What a worker is to do, or the question that is asked; empty where the connection is all.
    job: Vec<u8>,
    poll: Option<usize>,
}

/// How far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// To the connection.
    Connect,
    /// To the end of a conversation.
    Converse,
    /// To an answer.
    Ask(Question),
}

enum State {
    /// The outcome is known, and is told in the next turn.
    Ended(Outcome),
    Connecting(OwnedFd),
    /// The question has been sent.
    Asking(Ask),
    /// Connected; no worker yet. After `until` there would be too little time left to blame the server
    /// for it.
    Waiting {
        socket: OwnedFd,
        until: Instant,
    },
    /// A worker has it.
    Talking,
    /// On its way no more.
    Free,
}

impl Prober {
    /// Workers are this same program, started as `vipd worker`. None is started before it is needed.
    pub fn new() -> Self {
        // The running binary, also where its file has been replaced by an upgrade.
        Self::with_program("/proc/self/exe".into(), worker::ARGUMENT)
    }

    /// As `new`, with another program for the workers, for tests.
    pub fn with_program(path: PathBuf, argument: &str) -> Self {
        Prober {
            crew: Crew::new(Program { path, argument: argument.into() }),
            slots: Vec::new(),
            live: 0,
            checkers: Checkers::default(),
            given: 0,
            sequence: 0,
            scratch: Box::new([0; JOB_MAX]),
            born_micros: since_epoch().as_micros(),
        }
    }

    /// Begins a probe. Its outcome comes from a later `process`, also where it is known at once. An
    /// earlier probe of the same checker is stopped.
    pub fn start(&mut self, now: Instant, id: ProbeId, spec: &ProbeSpec<'_>) {
        if let Some(slot) = self.checkers.make(id, self.given).and_then(|checker| checker.slot) {
            self.abandon(now, slot);
        }
        let job = match spec.kind {
            CheckKind::Tcp => Ok((Task::Connect, 0)),
            CheckKind::Ping => {
                self.sequence = self.sequence.wrapping_add(1);
                let len = ask::ping(spec.address, self.sequence, self.scratch.as_mut_slice());
                Ok((Task::Ask(Question::Ping), len.unwrap_or(0)))
            }
            CheckKind::Dns(check) => ask::query(&check.name, check.kind, self.scratch.as_mut_slice())
                .map(|len| (Task::Ask(Question::Dns), len))
                .ok_or_else(|| Outcome::NotRun(cut(format_args!("{} is no name of DNS", check.name)))),
            CheckKind::Smtp(_) | CheckKind::Udp(_) | CheckKind::Script(_) | CheckKind::File(_) => {
                Err(Outcome::NotRun(cut(format_args!("no such probe yet"))))
            }
            CheckKind::Http(check) => self.http_job(spec, check).map(|len| (Task::Converse, len)),
        };
        let via = Via { source: spec.source, interface: spec.interface.map(|name| name.as_str()) };
        self.begin(now, Owner::Probe(id), (spec.address, via), spec.timeout, !spec.was_up, job);
    }

    /// Forgets a probe; no event comes of it. An old id changes nothing.
    pub fn stop(&mut self, now: Instant, id: ProbeId) {
        if let Some(slot) = self.find(Owner::Probe(id)) {
            self.abandon(now, slot);
        }
    }

    /// Begins to hand a mail over. What became of it comes from a later `process`.
    pub fn send_mail(&mut self, now: Instant, letter: &Letter, mail: &Mail, router_name: &str) {
        let job = self.smtp_job(letter, mail, router_name).map(|len| (Task::Converse, len));
        self.begin(now, Owner::Mail(letter.id), (mail.server, Via::default()), mail.timeout, true, job);
    }

    /// Adds what is waited for to this turn's set.
    pub fn register(&mut self, set: &mut PollSet) {
        for slot in self.slots.iter_mut().take(self.live) {
            slot.poll = match &slot.state {
                State::Connecting(socket) => Some(set.add(socket.as_fd(), Interest::Write)),
                State::Asking(ask) => Some(set.add(ask.as_fd(), Interest::Read)),
                State::Ended(_) | State::Waiting { .. } | State::Talking | State::Free => None,
            };
        }
        self.crew.register(set);
    }

    /// When `process` has to be called at the latest; `None`: only when something is ready.
    pub fn next_deadline(&self) -> Option<Instant> {
        let mut waiting = false;
        let slots = self.slots.iter().take(self.live).map(|slot| match slot.state {
            State::Ended(_) => slot.started,
            State::Asking(ref ask) => ask.next_deadline().map_or(slot.deadline, |at| at.min(slot.deadline)),
            State::Waiting { until, .. } => {
                waiting = true;
                until
            }
            State::Connecting(_) | State::Talking | State::Free => slot.deadline,
        });
        let slots = slots.min();
        slots.into_iter().chain(self.crew.next_deadline(waiting)).min()
    }

    /// Looks after everything that is on its way; `sink` gets an event for each probe and each mail that
    /// has ended. To be called in every turn of the loop. Reaps workers that ended, so that SIGCHLD need
    /// do no more than wake the loop.
    pub fn process(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        self.read_reports(now, set, sink);
        let mut index = 0;
        while let Some(slot) = self.slots.get_mut(index).filter(|_| index < self.live) {
            if let Some(outcome) = slot.turn(now, set, self.crew.trouble()) {
                self.crew.give_up(now, slot.owner, slot.deadline);
                self.end(now, index, outcome, sink);
            } else {
                index += 1;
            }
        }
        self.hand_over(now, sink);
    }

    /// Ends all workers and forgets everything on its way. Also done by `Drop`.
    pub fn shutdown(&mut self) {
        self.crew.shutdown();
        self.slots.clear();
        self.checkers = Checkers::default();
        self.live = 0;
    }

    fn http_job(&mut self, spec: &ProbeSpec<'_>, check: &HttpCheck) -> Result<usize, Outcome> {
        // HC-10: address and port, an IPv6 address in brackets. A zone is of no concern to the server.
        let mut host = heapless::String::<64>::new();
        let address = match spec.address {
            SocketAddr::V4(_) => spec.address,
            SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
        };
        let _ = write!(host, "{address}");
        let Some(page) = check.pages.first() else {
            return Err(Outcome::NotRun(cut(format_args!("no page to ask for"))));
        };
        let host = page.virtual_host.as_deref().unwrap_or(&host);
        let ranges = page.status.iter().map(|range| (range.first, range.last));
        let headers = check.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = |room: &mut [u8]| emit_request(check.version, host, &page.path, headers, room);
        emit_http(&mut self.scratch, spec.timeout, request, ranges, page.digest.as_ref())
            .ok_or_else(|| Outcome::NotRun(cut(format_args!("longer than {JOB_MAX} bytes in all"))))
    }

    fn smtp_job(&mut self, letter: &Letter, mail: &Mail, router_name: &str) -> Result<usize, Outcome> {
        let host = host_name(mail.helo.as_deref().unwrap_or(router_name));
        let mut message_id = heapless::String::<{ NAME_MAX + 64 }>::new();
        // The same at each try: where the answer to the first one was lost, the mail arrives twice.
        let _ = write!(message_id, "<{}.{}.{}@{host}>", self.born_micros, std::process::id(), letter.id);
        let date = rfc5322(i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX));
        let envelope = Envelope {
            helo: &host,
            from: &mail.from,
            subject: &letter.subject,
            date: &date,
            message_id: &message_id,
        };
        let to = mail.to.iter().map(String::as_str);
        emit_smtp(&mut self.scratch, mail.timeout, envelope, to, &letter.body)
            .ok_or_else(|| Outcome::NotRun(cut(format_args!("longer than {JOB_MAX} bytes in all"))))
    }

    /// `job`: how far it goes, and bytes of its job in `scratch`, 0 for none; or why there is none.
    fn begin(
        &mut self,
        now: Instant,
        owner: Owner,
        (address, via): (SocketAddr, Via<'_>),
        timeout: Duration,
        low: bool,
        job: Result<(Task, usize), Outcome>,
    ) {
        let (task, len) = *job.as_ref().unwrap_or(&(Task::Connect, 0));
        let message = self.scratch.get(..len).unwrap_or(&[]);
        let converses = |slot: &&Slot| slot.task == Task::Converse;
        let full = task == Task::Converse
            && self.slots.iter().take(self.live).filter(converses).count() >= CONVERSATIONS_MAX;
        let begun = match (&job, task) {
            (Ok(_), _) if full => {
                Err(Outcome::NotRun(cut(format_args!("{CONVERSATIONS_MAX} are waiting already"))))
            }
            (Ok(_), Task::Ask(question)) => {
                Ask::begin(now, question, message, address, via, timeout).map(State::Asking)
            }
            (Ok(_), Task::Connect | Task::Converse) => {
                dial::dial(address, via, timeout).map(State::Connecting)
            }
            (Err(outcome), _) => Err(outcome.clone()),
        };
        let state = begun.unwrap_or_else(State::Ended);
        let index = self.live;
        let fresh = Slot {
            owner,
            state,
            started: now,
            deadline: now + timeout,
            timeout,
            low,
            task,
            job: Vec::new(),
            poll: None,
        };
        match self.slots.get_mut(index) {
            Some(slot) => {
                let job = core::mem::take(&mut slot.job);
                *slot = Slot { job, ..fresh };
            }
            None => self.slots.push(fresh),
        }
        self.live += 1;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.job.clear();
            slot.job.extend_from_slice(self.scratch.get(..len).unwrap_or(&[]));
        }
        self.note_slot(index);
    }

    fn read_reports(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        let mut ended: heapless::Vec<(Owner, Option<Report>), { crate::limits::WORKERS_MAX }> =
            heapless::Vec::new();
        // One worker, one conversation: it cannot overflow.
        self.crew.process(now, set, |owner, report| drop(ended.push((owner, report))));
        for (owner, report) in ended {
            let Some(index) = self.find(owner) else { continue };
            let outcome = match report {
                Some(report) => outcome(owner, report),
                None => Outcome::NotRun(cut(format_args!("its worker ended unexpectedly"))),
            };
            self.end(now, index, outcome, sink);
        }
    }

    /// Gives connected sockets to workers, for as long as there are both.
    fn hand_over(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        while let Some(index) = self.next_waiting() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let State::Waiting { socket, .. } = &slot.state else { return };
            let given =
                self.crew.give(now, slot.owner, slot.low, slot.deadline, &mut slot.job, socket.as_fd());
            match given {
                Ok(()) => {
                    // The worker has its own copy of the socket now.
                    slot.state = State::Talking;
                    self.given = self.given.wrapping_add(1);
                    let given = self.given;
                    if let Owner::Probe(id) = slot.owner
                        && let Some(checker) = self.checkers.get_mut(id)
                    {
                        checker.given = given;
                    }
                }
                Err(NotTaken::Busy) => return,
                Err(NotTaken::Refused(error)) => {
                    let outcome = Outcome::NotRun(cut(format_args!("no worker takes it: {error}")));
                    self.end(now, index, outcome, sink);
                }
            }
        }
    }

    /// Whose turn it is: servers that were up, then whoever has gone without for longest.
    fn next_waiting(&self) -> Option<usize> {
        let rank = |slot: &Slot| {
            let given = match slot.owner {
                Owner::Probe(id) => self.checkers.get(id).map(|checker| checker.given),
                Owner::Mail(_) => None,
            };
            let without = given.map_or(u32::MAX, |given| self.given.wrapping_sub(given));
            (slot.low, core::cmp::Reverse(without), slot.started)
        };
        let waiting = self.slots.iter().take(self.live).enumerate();
        let waiting = waiting.filter(|(_, slot)| matches!(slot.state, State::Waiting { .. }));
        waiting.min_by_key(|(_, slot)| rank(slot)).map(|(index, _)| index)
    }

    fn end(&mut self, now: Instant, index: usize, outcome: Outcome, sink: &mut dyn FnMut(Event<'static>)) {
        let Some(slot) = self.slots.get(index) else { return };
        let event = match slot.owner {
            Owner::Probe(id) => {
                let took = if slot.started < now { now - slot.started } else { Duration::ZERO };
                Event::Probe { id, outcome, took }
            }
            Owner::Mail(id) => {
                let result = match outcome {
                    Outcome::Passed => Ok(()),
                    Outcome::Failed(why) | Outcome::NotRun(why) => Err(why),
                };
                Event::Mail { id, result }
            }
        };
        self.release(index);
        sink(event);
    }

    /// Ends it without a word.
    fn abandon(&mut self, now: Instant, index: usize) {
        if let Some(slot) = self.slots.get(index) {
            self.crew.give_up(now, slot.owner, slot.deadline);
        }
        self.release(index);
    }

    /// The last live slot takes the place of this one.
    fn release(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index).filter(|_| index < self.live) else { return };
        // The socket, where there still is one, is closed here.
        slot.state = State::Free;
        if let Owner::Probe(id) = slot.owner
            && let Some(checker) = self.checkers.get_mut(id)
        {
            checker.slot = None;
        }
        self.live -= 1;
        self.slots.swap(index, self.live);
        if index < self.live {
            self.note_slot(index);
        }
    }

    fn note_slot(&mut self, index: usize) {
        if let Some(Slot { owner: Owner::Probe(id), .. }) = self.slots.get(index)
            && let Some(checker) = self.checkers.get_mut(*id)
        {
            checker.slot = Some(index);
        }
    }

    fn find(&self, owner: Owner) -> Option<usize> {
        let index = match owner {
            Owner::Probe(id) => self.checkers.get(id)?.slot?,
            Owner::Mail(_) => self.slots.iter().take(self.live).position(|slot| slot.owner == owner)?,
        };
        self.slots.get(index).filter(|slot| slot.owner == owner && index < self.live).map(|_| index)
    }
}

impl Checkers {
    fn place(&self, id: ProbeId) -> (&Vec<Checker>, usize) {
        match id.checker.checked_sub(ProbeId::PATH) {
            Some(path) => (&self.paths, path as usize),
            None => (&self.servers, id.checker as usize),
        }
    }

    fn get(&self, id: ProbeId) -> Option<&Checker> {
        let (list, index) = self.place(id);
        list.get(index)
    }

    fn get_mut(&mut self, id: ProbeId) -> Option<&mut Checker> {
        match id.checker.checked_sub(ProbeId::PATH) {
            Some(path) => self.paths.get_mut(path as usize),
            None => self.servers.get_mut(id.checker as usize),
        }
    }

    /// As `get_mut`, and makes it where it is not there.
    fn make(&mut self, id: ProbeId, given: u32) -> Option<&mut Checker> {
        let (list, index) = match id.checker.checked_sub(ProbeId::PATH) {
            Some(path) => (&mut self.paths, path as usize),
            None => (&mut self.servers, id.checker as usize),
        };
        if list.len() <= index {
            list.resize(index + 1, Checker { slot: None, given });
        }
        list.get_mut(index)
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

impl Slot {
    /// What this turn makes of it: the outcome, where there is one now.
    fn turn(&mut self, now: Instant, set: &PollSet, trouble: Option<&Reason>) -> Option<Outcome> {
        let ready = self.poll.take().is_some_and(|slot| set.is_ready(slot));
        match core::mem::replace(&mut self.state, State::Free) {
            State::Ended(outcome) => return Some(outcome),
            State::Connecting(socket) if ready => match dial::made(&socket, self.timeout) {
                Ok(()) if self.task == Task::Connect => return Some(Outcome::Passed),
                Ok(()) => {
                    // Half of the time left is for waiting.
                    let left = if now < self.deadline { self.deadline - now } else { Duration::ZERO };
                    self.state = State::Waiting { socket, until: now + left / 2 };
                }
                Err(outcome) => return Some(outcome),
            },
            // What has come in time counts, however late it is read.
            State::Asking(ask) if ready && let Some(outcome) = ask.receive(&self.job) => {
                return Some(outcome);
            }
            State::Connecting(_) | State::Asking(_) if self.deadline <= now => {
                return Some(Outcome::Failed(cut(format_args!("no answer within {}", span(self.timeout)))));
            }
            State::Waiting { until, .. } if until <= now => {
                let busy = || cut(format_args!("no worker free in time"));
                return Some(Outcome::NotRun(trouble.cloned().unwrap_or_else(busy)));
            }
            State::Talking if self.deadline <= now => {
                return Some(Outcome::Failed(cut(format_args!("no reply within {}", span(self.timeout)))));
            }
            // It goes on.
            State::Asking(mut ask) => {
                if let Some(outcome) = ask.tick(now, &self.job) {
                    return Some(outcome);
                }
                self.state = State::Asking(ask);
            }
            state @ (State::Connecting(_) | State::Waiting { .. } | State::Talking | State::Free) => {
                self.state = state;
            }
        }
        None
    }
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

/// The wall clock, for names and dates that people read; nothing is decided by it (law 7).
fn since_epoch() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// A name as HELO and Message-ID take it: what is no letter, digit, dot or hyphen becomes a hyphen.
fn host_name(name: &str) -> heapless::String<NAME_MAX> {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: heapless::String<NAME_MAX> = name.chars().take(NAME_MAX).map(fits).collect();
    if name.is_empty() { cut(format_args!("localhost")) } else { name }
}
