//! Names that are being looked up: each by a process of its own ([`lookup`]), so that neither a slow name
//! server nor what it says can touch the loop. A few run at one time, the rest waits; one that is not back
//! in time is killed.

use super::child::{Child, Program};
use super::lookup;
use super::poll::{Interest, PollSet};
use super::runner::spawn;
use crate::engine::{Event, NameId, NameSpec};
use crate::limits::{LOOKUPS_MAX, LOOKUPS_WAITING_MAX};
use crate::model::{Reason, cut};
use crate::probe::span;
use crate::time::{Duration, Instant};
use crate::wire::lookup::{ANSWER_LEN, BadAnswer, QUESTION_MAX, emit_question, parse_answer};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// From the start of a lookup to its end.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All lookups.
pub struct Resolver {
    program: Program,
    timeout: Duration,
    /// By name and family (IPv6? either?): who wants to know. One lookup is for all of them.
    wanted: BTreeMap<(String, Option<bool>), Vec<NameId>>,
    /// Those of `wanted` that have not begun, in order.
    queue: VecDeque<(String, Option<bool>)>,
    running: Vec<Running>,
    /// Killed, or done; not reaped yet.
    leaving: Vec<Child>,
    /// Known without a lookup, told in the next `process`.
    refused: VecDeque<(NameId, Reason)>,
}

struct Running {
    name: (String, Option<bool>),
    child: Child,
    pair: OwnedFd,
    kill_at: Instant,
    slot: Option<usize>,
}

impl Resolver {
    /// Lookups are done by this same program, started as `vipd resolve`.
    pub fn new() -> Self {
        // The running binary, also where its file has been replaced by an upgrade.
        Self::with_program("/proc/self/exe", lookup::ARGUMENT, TIMEOUT)
    }

    /// As `new`, with another program and another timeout, for tests.
    pub fn with_program(path: &str, argument: &str, timeout: Duration) -> Self {
        Resolver {
            program: Program::new(path, ["vipd", argument].into_iter()),
            timeout,
            wanted: BTreeMap::new(),
            queue: VecDeque::new(),
            running: Vec::new(),
            leaving: Vec::new(),
            refused: VecDeque::new(),
        }
    }

    /// Has a name looked up. Its addresses come from a later `process`. Where the same name is on its way
    /// already, its answer is for this one, too; an earlier lookup of the same number is forgotten.
    pub fn start(&mut self, id: NameId, spec: &NameSpec<'_>) {
        let name = (spec.host.to_owned(), spec.ipv6);
        if let Some(ids) = self.wanted.get_mut(&name) {
            ids.retain(|other| other.number != id.number);
            ids.push(id);
        } else if self.queue.len() < LOOKUPS_WAITING_MAX {
            self.wanted.insert(name.clone(), vec![id]);
            self.queue.push_back(name);
        } else {
            self.refused.push_back((id, cut(format_args!("{LOOKUPS_WAITING_MAX} lookups wait already"))));
        }
    }

    /// Adds what is waited for to this turn's set.
    pub fn register(&mut self, set: &mut PollSet) {
        for running in &mut self.running {
            running.slot = Some(set.add(running.pair.as_fd(), Interest::Read));
        }
    }

    /// When `process` has to be called at the latest; `None`: only when something is ready.
    pub fn next_deadline(&self) -> Option<Instant> {
        let can_begin = !self.queue.is_empty() && self.running.len() < LOOKUPS_MAX;
        let at_once = (can_begin || !self.refused.is_empty()).then_some(Instant::ZERO);
        self.running.iter().map(|running| running.kill_at).chain(at_once).min()
    }

    /// Looks after all lookups; `sink` gets each that has ended. To be called in every turn of the loop.
    /// Reaps its own children, so that SIGCHLD need do no more than wake the loop.
    pub fn process(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        while let Some((id, why)) = self.refused.pop_front() {
            sink(Event::Resolved { id, result: Err(why) });
        }
        let mut index = 0;
        while let Some(running) = self.running.get_mut(index) {
            let is_ready = running.slot.take().is_some_and(|slot| set.is_ready(slot));
            let result = if is_ready { running.read() } else { None };
            let late = || Err(cut(format_args!("no answer within {}", span(self.timeout))));
            match result.or_else(|| (running.kill_at <= now).then(late)) {
                Some(result) => self.end(index, &result, sink),
                None => index += 1,
            }
        }
        // One a turn: each fork takes its time.
        if self.running.len() < LOOKUPS_MAX
            && let Some(name) = self.queue.pop_front()
        {
            self.begin(now, name, sink);
        }
        self.leaving.retain_mut(|child| child.exit().is_none());
    }

    /// Ends all lookups. Whoever is not reaped now is left to init.
    pub fn shutdown(&mut self) {
        for mut running in self.running.drain(..) {
            running.child.kill();
            running.child.exit();
        }
        self.queue.clear();
        self.wanted.clear();
        self.refused.clear();
    }

    fn begin(&mut self, now: Instant, name: (String, Option<bool>), sink: &mut dyn FnMut(Event<'static>)) {
        match self.spawn(&name) {
            Ok((child, pair)) => {
                self.running.push(Running { name, child, pair, kill_at: now + self.timeout, slot: None });
            }
            Err(errno) => self.tell(&name, &Err(not_begun(errno)), sink),
        }
    }

    fn spawn(&mut self, (host, ipv6): &(String, Option<bool>)) -> nix::Result<(Child, OwnedFd)> {
        let mut question = [0; QUESTION_MAX];
        let len = emit_question(host, *ipv6, &mut question).ok_or(Errno::ENAMETOOLONG)?;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        send(ours.as_raw_fd(), question.get(..len).unwrap_or(&[]), MsgFlags::MSG_DONTWAIT)?;
        Ok((self.program.start(Some(theirs.as_fd()))?, ours))
    }

    fn end(
        &mut self,
        index: usize,
        result: &Result<Vec<IpAddr>, Reason>,
        sink: &mut dyn FnMut(Event<'static>),
    ) {
        let running = self.running.swap_remove(index);
        // Also one that has answered: it has talked to strangers, and need not end by itself.
        running.child.kill();
        self.leaving.push(running.child);
        self.tell(&running.name, result, sink);
    }

    fn tell(
        &mut self,
        name: &(String, Option<bool>),
        result: &Result<Vec<IpAddr>, Reason>,
        sink: &mut dyn FnMut(Event<'static>),
    ) {
        for id in self.wanted.remove(name).unwrap_or_default() {
            sink(Event::Resolved { id, result: result.clone() });
        }
    }
}

impl Running {
    /// What has come; `None`: nothing yet.
    fn read(&self) -> Option<Result<Vec<IpAddr>, Reason>> {
        // One byte more than an answer has: what is longer is none.
        let mut buffer = [0; ANSWER_LEN + 1];
        let mut read = || recv(self.pair.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT);
        let len = match read() {
            // It has not even read the question. That is told before what it said, why it cannot begin.
            Err(Errno::ECONNRESET) => read(),
            read => read,
        };
        let len = match len {
            Ok(0) | Err(Errno::ECONNRESET) => {
                return Some(Err(cut(format_args!("its lookup ended unexpectedly"))));
            }
            Ok(len) => len,
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(errno) => return Some(Err(cut(format_args!("its lookup is lost: {}", errno.desc())))),
        };
        let answer = buffer.get(..len).unwrap_or(&[]);
        if let Some((_, errno)) = spawn::failure(answer) {
            return Some(Err(not_begun(errno)));
        }
        Some(match parse_answer(answer, self.name.1) {
            Ok(Ok(addresses)) => Ok(addresses.iter().copied().collect()),
            Ok(Err(why)) => Err(why),
            Err(BadAnswer::Address(address)) => Err(cut(format_args!("{address} is no address of a server"))),
            Err(BadAnswer::Nonsense) => Err(cut(format_args!("its lookup spoke nonsense"))),
        })
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn not_begun(errno: Errno) -> Reason {
    cut(format_args!("cannot look it up: {}", errno.desc()))
}
