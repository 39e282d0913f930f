//! The kernel's links and addresses: told by notifications and dumps, changed by batches of requests
//! (`RTNL-*`).
//!
//! Two sockets. The *monitor* is subscribed before it dumps, and dumps over the same queue, so that a dump
//! and the notifications around it come in the order in which they happened. The *command* socket changes
//! addresses; the kernel handles a batch inside `send`, so its answers are there when `send` returns.

mod addresses;
mod monitor;

use self::addresses::{Addresses, Change};
use self::monitor::Monitor;
use super::netlink::{Received, Socket};
use super::poll::{Interest, PollSet};
use crate::engine::{AddressOp, Event};
use crate::limits;
use crate::model::Cidr;
use crate::time::{Duration, Instant};
use crate::wire::netlink::Batch;
use nix::sys::socket::SockProtocol;
use std::io;
use std::os::fd::AsFd;

pub use self::monitor::Counters;

/// Queue of the monitor socket (RTNL-7): some 2,700 notifications.
const MONITOR_QUEUE: usize = 1 << 20;
/// Queue of the command socket: the refusals of one batch.
const COMMAND_QUEUE: usize = 128 << 10;
/// The largest datagram of a dump: the kernel makes none above 32 KiB (IPVS-47).
const DATAGRAM_MAX: usize = 32 << 10;

/// Both sockets and what is known of their conversations.
#[derive(Debug)]
pub struct Rtnl {
    monitor_socket: Socket,
    command_socket: Socket,
    monitor: Monitor,
    addresses: Addresses,
    buffer: Box<[u8]>,
    slot: Option<usize>,
}

impl Rtnl {
    /// Opens both sockets in the namespace of the caller. Nothing is dumped yet.
    ///
    /// # Errors
    /// What the system calls say.
    pub fn open() -> io::Result<Self> {
        let groups = crate::wire::rtnetlink::GROUPS;
        let monitor_socket = Socket::open(SockProtocol::NetlinkRoute, groups, MONITOR_QUEUE)?;
        let command_socket = Socket::open(SockProtocol::NetlinkRoute, 0, COMMAND_QUEUE)?;
        Ok(Rtnl {
            monitor: Monitor::new(monitor_socket.port(), monitor::kernel_has_ifa_proto()),
            addresses: Addresses::new(command_socket.port()),
            monitor_socket,
            command_socket,
            buffer: vec![0; DATAGRAM_MAX].into(),
            slot: None,
        })
    }

    /// Adds its descriptor for this turn.
    pub fn register(&mut self, poll: &mut PollSet) {
        self.slot = Some(poll.add(self.monitor_socket.as_fd(), Interest::Read));
    }

    /// When `process` has something to do though nothing is to be read.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.monitor.next_deadline()
    }

    /// Wants all links and addresses told anew: [`Event::DumpStart`], all of them, [`Event::DumpEnd`]. The
    /// next
    /// `process` asks for them. A dump that the kernel calls inconsistent, or during which notifications were
    /// lost, begins anew with another `DumpStart`.
    pub fn start_dump(&mut self) {
        self.monitor.want_dump();
    }

    /// Reads what is there, at most [`limits::NETLINK_PER_TURN`] messages and the rest of the last datagram,
    /// and asks for a dump where one is wanted and nothing is left to be read (RTNL-50). Never waits.
    pub fn process(&mut self, now: Instant, poll: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        let is_readable = self.slot.is_none_or(|slot| poll.is_ready(slot));
        self.monitor.handle_timeout(now);
        if is_readable || self.monitor.is_dumping() || self.monitor.is_congested() {
            self.read(now, sink);
        } else {
            self.ask(now, sink);
        }
    }

    /// As `process`, whatever the poll said: between two batches of address changes, so that the
    /// notifications of our own changes do not fill the queue (RTNL-54).
    pub fn drain(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        self.read(now, sink);
    }

    /// Collects an address change for `flush`. `lease`: how long the kernel keeps the address, in whole
    /// seconds (rounded up), at least one; `None` = for ever; without meaning for a removal.
    pub fn queue_address(&mut self, op: AddressOp, index: u32, cidr: Cidr, lease: Option<Duration>) {
        self.addresses.queue(Change { op, index, cidr, lease });
    }

    /// Sends at most [`limits::ADDRESS_BATCH`] of the collected changes, in order, and tells the result of
    /// each by [`Event::AddressResult`]. True: more are waiting; `drain`, then call again. Never waits for an
    /// answer.
    pub fn flush(&mut self, sink: &mut dyn FnMut(Event<'static>)) -> bool {
        self.addresses.flush(&self.command_socket, &mut self.buffer, sink)
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Counters {
        self.monitor.counters()
    }

    fn read(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        let mut left = limits::NETLINK_PER_TURN;
        while left > 0 {
            let messages = match self.monitor_socket.receive(&mut self.buffer) {
                Received::Datagram(bytes) => {
                    let messages = self.monitor.handle_datagram(now, bytes, sink);
                    // The second half of a dump is asked for as soon as the first is complete.
                    self.ask(now, sink);
                    messages
                }
                Received::Foreign => self.monitor.handle_foreign(),
                Received::Overrun => self.monitor.handle_overrun(),
                Received::Empty => {
                    self.monitor.handle_drained();
                    return self.ask(now, sink);
                }
                Received::Failed(errno) => return self.monitor.handle_failure(now, errno),
            };
            left = left.saturating_sub(messages.max(1));
        }
    }

    fn ask(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        let mut bytes = [0; 64];
        let mut batch = Batch::new(&mut bytes);
        if self.monitor.next_request(now, &mut batch, sink)
            && let Err(errno) = self.monitor_socket.send(batch.bytes())
        {
            self.monitor.handle_failure(now, errno);
        }
    }
}

#[cfg(test)]
mod tests;
