//! The kernel's IPVS over generic netlink (`IPVS-*`).
//!
//! Requests go out in the order in which they were asked for, many in one `send`; the kernel handles them
//! inside it, so their answers are there when it returns. A dump goes alone. Modules are loaded by a child of
//! our own before the family is looked for, so that the kernel does not have to: it would make the loop wait.

mod exchange;
mod modules;

use self::exchange::{Exchange, Next};
use self::modules::Modules;
use super::netlink::{Received, Socket};
use super::poll::{Interest, PollSet};
use crate::engine::{Event, IpvsEvent, IpvsRequest};
use crate::limits;
use crate::model::cut;
use crate::time::Instant;
use crate::wire::ipvs::MESSAGE_MAX;
use crate::wire::netlink::Batch;
use nix::sys::socket::SockProtocol;
use std::os::fd::AsFd;

/// The largest datagram of a dump is 32 KiB (IPVS-47).
const DATAGRAM_MAX: usize = 64 << 10;
/// Queue of the socket: the answers of one batch, or two parts of a dump.
const QUEUE: usize = 256 << 10;

/// One conversation with the kernel's IPVS. Until the first [`IpvsRequest::Resolve`] it has neither a socket
/// nor buffers.
#[derive(Debug, Default)]
pub struct IpvsSocket {
    open: Option<Open>,
    exchange: Exchange,
    modules: Modules,
    slot: Option<usize>,
    /// Modules have been loaded for the `Resolve` that is next.
    is_prepared: bool,
}

#[derive(Debug)]
struct Open {
    socket: Socket,
    buffer: Box<[u8]>,
    bytes: Box<[u8]>,
}

impl IpvsSocket {
    /// Nothing is opened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The schedulers of the configuration, whose modules are loaded along with `ip_vs`. Names that are new
    /// are loaded before the next request goes out.
    pub fn set_schedulers<'s>(&mut self, names: impl IntoIterator<Item = &'s str>) {
        self.modules.set_schedulers(names);
    }

    /// Adds its descriptor for this turn.
    pub fn register(&mut self, poll: &mut PollSet) {
        self.slot = self.open.as_ref().map(|open| poll.add(open.socket.as_fd(), Interest::Read));
    }

    /// Asks for something. `token` comes back in [`IpvsEvent::Done`], except for [`IpvsRequest::Resolve`],
    /// whose end is [`IpvsEvent::Ready`] or [`IpvsEvent::Absent`]. The next `process` sends it. While the
    /// family is not there, or when it turns out to have been loaded anew, what was asked ends with
    /// `Refusal::Interrupted`; in the latter case
    /// `Ready` follows.
    pub fn request(&mut self, token: u32, request: IpvsRequest) {
        self.exchange.request(token, request);
    }

    /// When `process` has something to do though nothing is to be read.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.modules.next_deadline() {
            Some(at) => Some(at),
            None => self.exchange.next_deadline(),
        }
    }

    /// Sends what was asked for and reads the answers: at most [`limits::IPVS_WINDOW`] requests and
    /// [`limits::NETLINK_PER_TURN`] messages (and the rest of the last datagram) a call. Never waits.
    pub fn process(&mut self, now: Instant, poll: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        let sink = &mut |event| sink(Event::Ipvs(event));
        self.modules.check(now);
        if self.exchange.handle_timeout(now, sink) {
            self.reopen(sink);
        }
        let mut is_readable = self.slot.take().is_some_and(|slot| poll.is_ready(slot));
        let (mut requests, mut messages) = (limits::IPVS_WINDOW, limits::NETLINK_PER_TURN);
        while requests > 0 && messages > 0 {
            let sent = self.send(now, requests, sink);
            requests = requests.saturating_sub(sent);
            if is_readable || self.exchange.is_waiting() {
                messages = messages.saturating_sub(self.read(now, messages, sink));
                is_readable = false;
            }
            if sent == 0 || self.exchange.is_waiting() {
                return;
            }
        }
    }

    /// Sends the next batch, if one is due; says how many requests it took from the queue.
    fn send(&mut self, now: Instant, limit: usize, sink: &mut dyn FnMut(IpvsEvent)) -> usize {
        match self.exchange.next() {
            Next::Nothing => return 0,
            Next::Resolve => {
                if !core::mem::replace(&mut self.is_prepared, true) {
                    self.modules.load(now);
                }
                if self.modules.is_loading() {
                    return 0;
                }
                self.is_prepared = false;
                if self.open.is_none() {
                    self.reopen(sink);
                }
            }
            Next::Requests => {
                if self.modules.has_new() && self.open.is_some() {
                    self.modules.load(now);
                }
                if self.modules.is_loading() {
                    return 0;
                }
            }
            Next::Recheck => {}
        }
        let Some(open) = &mut self.open else {
            return self.exchange.next_batch(now, limit, &mut Batch::new(&mut []), sink);
        };
        let mut batch = Batch::new(&mut open.bytes);
        let sent = self.exchange.next_batch(now, limit, &mut batch, sink);
        if !batch.bytes().is_empty()
            && let Err(errno) = open.socket.send(batch.bytes())
        {
            self.exchange.handle_send_failure(errno, sink);
        }
        sent
    }

    /// Reads until nothing is awaited any more, or nothing is there; says how many messages that were.
    fn read(&mut self, now: Instant, limit: usize, sink: &mut dyn FnMut(IpvsEvent)) -> usize {
        let mut count = 0;
        while count < limit {
            let Some(open) = &mut self.open else { return count };
            match open.socket.receive(&mut open.buffer) {
                Received::Datagram(bytes) => {
                    count += self.exchange.handle_datagram(now, open.socket.port(), bytes, sink).max(1);
                    if !self.exchange.is_waiting() {
                        return count;
                    }
                }
                Received::Foreign => count += 1,
                Received::Empty => return count,
                // Answers were lost; a new socket forgets a dump that is half read, and late answers.
                Received::Overrun | Received::Failed(_) => {
                    self.exchange.handle_loss(sink);
                    self.reopen(sink);
                    return count;
                }
            }
        }
        count
    }

    fn reopen(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        let buffers = self.open.take().map(|open| (open.buffer, open.bytes));
        match Socket::open(SockProtocol::NetlinkGeneric, 0, QUEUE) {
            Ok(socket) => {
                let (buffer, bytes) = buffers.unwrap_or_else(|| {
                    (vec![0; DATAGRAM_MAX].into(), vec![0; limits::IPVS_WINDOW * MESSAGE_MAX].into())
                });
                self.open = Some(Open { socket, buffer, bytes });
            }
            Err(error) => {
                let why = cut(format_args!("no generic netlink socket: {error}"));
                self.exchange.handle_absence(why, sink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the real kernel says, without loading modules into it.
    #[test]
    fn kernel_answers_at_once_whether_it_has_ipvs() {
        let mut ipvs = IpvsSocket { is_prepared: true, ..IpvsSocket::default() };
        let mut poll = PollSet::new();
        ipvs.register(&mut poll);
        assert_eq!(ipvs.slot, None, "no socket before it is needed");
        ipvs.request(1, IpvsRequest::Resolve);
        ipvs.request(2, IpvsRequest::DumpServices);
        let mut told = Vec::new();
        for turn in 0..10 {
            poll.clear();
            ipvs.register(&mut poll);
            ipvs.process(Instant::from_millis(turn), &poll, &mut |event| told.push(format!("{event:?}")));
        }
        eprintln!("{told:?}");
        assert!(told.iter().any(|t| t.contains("Ready") || t.contains("Absent")), "{told:?}");
        assert!(told.iter().any(|t| t.contains("token: 2")), "a request must end: {told:?}");
        assert_eq!(ipvs.next_deadline(), None, "nothing is left to do");
    }
}
