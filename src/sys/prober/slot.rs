//! One probe or mail on its way: how far it is, and what makes it go on.

use super::jobs::{First, Jobs};
use crate::engine::{Outcome, ProbeId};
use crate::model::{Reason, cut};
use crate::probe::span;
use crate::sys::ask::{Ask, Question};
use crate::sys::dial::{self, Target};
use crate::sys::epoll::{Epoll, Ready};
use crate::sys::poll::Interest;
use crate::time::{Duration, Instant};
use crate::wire::job;
use core::fmt;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A slot, and whose turn in it: a slot that is used again is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) index: u32,
    pub(super) turn: u32,
}

impl Key {
    /// As an epoll set keeps it.
    pub(super) fn bits(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.index)
    }

    /// The reverse.
    pub(super) fn of(bits: u64) -> Self {
        Key { index: bits as u32, turn: (bits >> 32) as u32 }
    }
}

/// What is known of a server; the first sort goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Its last probe passed.
    Well,
    /// Nothing; or it is a mail server.
    Unknown,
    /// Its last probe failed, or it is down.
    Sick,
}

impl Class {
    /// So many workers are for those before it.
    pub(super) fn rank(self) -> usize {
        match self {
            Class::Well => 0,
            Class::Unknown => 1,
            Class::Sick => 2,
        }
    }
}

/// Whose attempt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Probe(ProbeId),
    Mail(u32),
}

/// How far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// To the connection.
    Connect,
    /// To the end of a conversation.
    Converse(First),
    /// To an answer.
    Ask(Question),
}

pub(super) enum State {
    /// To be begun in the next turn.
    Fresh,
    /// The outcome is known, and is told in the next turn.
    Ended(Outcome),
    Connecting(OwnedFd),
    /// The request is on its way out; so many bytes of it are.
    Sending(OwnedFd, usize),
    /// The other end has to say something before a worker is needed.
    Awaiting(OwnedFd),
    /// The question has been sent.
    Asking(Ask),
    /// No worker yet.
    Waiting(OwnedFd),
    /// A worker has it.
    Talking,
    /// On its way no more.
    Free,
}

pub(super) struct Slot {
    pub(super) turn: u32,
    pub(super) owner: Owner,
    pub(super) state: State,
    pub(super) target: Target,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) class: Class,
    pub(super) task: Task,
    /// What workers are to do, one job after the other, or the question that is asked.
    pub(super) jobs: Jobs,
}

impl Slot {
    /// A free one.
    pub(super) fn empty() -> Self {
        Slot {
            turn: 0,
            owner: Owner::Mail(0),
            state: State::Free,
            target: Target::new(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
            started: Instant::ZERO,
            deadline: Instant::ZERO,
            timeout: Duration::ZERO,
            class: Class::Unknown,
            task: Task::Connect,
            jobs: Jobs::default(),
        }
    }

    /// What is waited for.
    pub(super) fn socket(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        match &self.state {
            State::Connecting(socket) => Some((socket.as_fd(), Interest::Write)),
            State::Sending(socket, _) => Some((socket.as_fd(), Interest::Both)),
            State::Awaiting(socket) => Some((socket.as_fd(), Interest::Read)),
            State::Asking(ask) => Some((ask.as_fd(), Interest::Read)),
            State::Fresh | State::Ended(_) | State::Waiting(_) | State::Talking | State::Free => None,
        }
    }

    /// Opens its socket. Gives when something has to be done at the latest, or the outcome.
    pub(super) fn begin(&mut self, now: Instant, epoll: &Epoll, key: Key) -> Result<Instant, Outcome> {
        match core::mem::replace(&mut self.state, State::Free) {
            State::Ended(outcome) => return Err(outcome),
            State::Fresh
            | State::Connecting(_)
            | State::Sending(..)
            | State::Awaiting(_)
            | State::Asking(_)
            | State::Waiting(_)
            | State::Talking
            | State::Free => {}
        }
        let (state, at) = match self.task {
            Task::Ask(question) => {
                let ask = Ask::begin(now, question, self.jobs.question(), &self.target, self.timeout)?;
                let at = ask.next_deadline().map_or(self.deadline, |at| at.min(self.deadline));
                (State::Asking(ask), at)
            }
            Task::Connect | Task::Converse(_) => {
                (State::Connecting(dial::dial(&self.target, self.timeout)?), self.deadline)
            }
        };
        self.state = state;
        if let Some((fd, interest)) = self.socket() {
            epoll.add(fd, interest, key.bits()).map_err(deaf)?;
        }
        Ok(at)
    }

    /// Something has happened on its socket. True: now it waits for a worker. Or the outcome. `tell` gets
    /// what it has come to.
    pub(super) fn go_on(
        &mut self,
        epoll: &Epoll,
        key: Key,
        ready: Ready,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<bool, Outcome> {
        self.state = match core::mem::replace(&mut self.state, State::Free) {
            State::Connecting(socket) => {
                dial::made(&socket, self.target.address, self.timeout)?;
                tell(format_args!("connected"));
                match self.task {
                    Task::Connect | Task::Ask(_) => return Err(Outcome::Passed),
                    Task::Converse(First::Request) => self.send(epoll, key, socket, 0, tell)?,
                    Task::Converse(First::Banner) => await_answer(epoll, key, socket)?,
                    Task::Converse(First::Worker) => State::Waiting(socket),
                }
            }
            // An answer before the whole request is out: a refusal, which is for a worker to read.
            State::Sending(socket, _) if ready.is_more_than_room => {
                tell(format_args!("first byte, before the whole request is out"));
                job::mark_sent(self.jobs.job());
                State::Waiting(socket)
            }
            State::Sending(socket, sent) => self.send(epoll, key, socket, sent, tell)?,
            State::Awaiting(socket) => {
                tell(format_args!("first byte"));
                State::Waiting(socket)
            }
            State::Asking(ask) => match ask.receive(self.jobs.question()) {
                Some(outcome) => {
                    if outcome == Outcome::Passed {
                        tell(format_args!("answered"));
                    }
                    return Err(outcome);
                }
                None => State::Asking(ask),
            },
            state @ (State::Fresh | State::Ended(_) | State::Waiting(_) | State::Talking | State::Free) => {
                state
            }
        };
        match &self.state {
            State::Waiting(socket) => {
                epoll.remove(socket.as_fd());
                Ok(true)
            }
            State::Fresh
            | State::Ended(_)
            | State::Connecting(_)
            | State::Sending(..)
            | State::Awaiting(_)
            | State::Asking(_)
            | State::Talking
            | State::Free => Ok(false),
        }
    }

    /// It is time to do something. Gives when it is the next time, or the outcome. `trouble`: why there is no
    /// worker.
    pub(super) fn late(&mut self, now: Instant, trouble: Option<&Reason>) -> Result<Instant, Outcome> {
        let is_over = self.deadline <= now;
        let timeout = span(self.timeout);
        let words = match &mut self.state {
            State::Waiting(_) => {
                let busy = || cut(format_args!("no worker free in time"));
                return Err(Outcome::NotRun(trouble.cloned().unwrap_or_else(busy)));
            }
            State::Asking(ask) if is_over => return Err(ask.late(self.timeout)),
            State::Asking(ask) => {
                return match ask.tick(now, self.jobs.question()) {
                    Some(outcome) => Err(outcome),
                    None => Ok(ask.next_deadline().map_or(self.deadline, |at| at.min(self.deadline))),
                };
            }
            State::Connecting(_) if is_over => format_args!("no answer within {timeout}"),
            State::Awaiting(_) if is_over && self.task == Task::Converse(First::Banner) => {
                format_args!("banner: no answer within {timeout}")
            }
            State::Sending(..) | State::Awaiting(_) if is_over => format_args!("no reply within {timeout}"),
            // A worker that is not back in time knows more, but does not tell it any more.
            State::Talking if is_over => format_args!("no whole reply within {timeout}"),
            State::Connecting(_) | State::Sending(..) | State::Awaiting(_) | State::Talking => {
                return Ok(self.deadline);
            }
            State::Fresh | State::Ended(_) | State::Free => return Ok(self.deadline.max(now + self.timeout)),
        };
        Err(Outcome::Failed(cut(words)))
    }

    /// Sends what is left of the request after `sent` bytes.
    fn send(
        &mut self,
        epoll: &Epoll,
        key: Key,
        socket: OwnedFd,
        sent: usize,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<State, Outcome> {
        let rest = self.jobs.request().get(sent..).unwrap_or(&[]);
        match send(socket.as_raw_fd(), rest, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Ok(len) if len >= rest.len() => {
                tell(format_args!("request sent: {} bytes", sent + len));
                job::mark_sent(self.jobs.job());
                await_answer(epoll, key, socket)
            }
            Ok(len) => keep_sending(epoll, key, socket, sent + len),
            Err(Errno::EAGAIN | Errno::EINTR) => keep_sending(epoll, key, socket, sent),
            Err(Errno::EPIPE | Errno::ECONNRESET) => {
                Err(Outcome::Failed(cut(format_args!("connection reset before a reply"))))
            }
            Err(errno) => Err(dial::verdict(errno, self.timeout)),
        }
    }
}

/// Waits for room, and for an answer that does not wait for the whole request.
fn keep_sending(epoll: &Epoll, key: Key, socket: OwnedFd, sent: usize) -> Result<State, Outcome> {
    epoll.change(socket.as_fd(), Interest::Both, key.bits()).map_err(deaf)?;
    Ok(State::Sending(socket, sent))
}

fn await_answer(epoll: &Epoll, key: Key, socket: OwnedFd) -> Result<State, Outcome> {
    epoll.change(socket.as_fd(), Interest::Read, key.bits()).map_err(deaf)?;
    Ok(State::Awaiting(socket))
}

fn deaf(errno: Errno) -> Outcome {
    Outcome::NotRun(cut(format_args!("cannot wait for an answer: {}", errno.desc())))
}
