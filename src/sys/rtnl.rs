//! The kernel's links, addresses, routes and rules: told by notifications and dumps, changed by requests
//! (`RTNL-*`).
//!
//! Three sockets. The *monitor* is subscribed before it dumps, and dumps over the same queue, so that a dump
//! and the notifications around it come in the order in which they happened. The *command* socket changes
//! addresses in batches, the third one all else; the kernel handles a request inside `send`, so its answers
//! are there when `send` returns.

mod addresses;
mod convert;
mod macvlan;
mod monitor;
mod requests;

use self::addresses::{Addresses, Change};
use self::monitor::{Monitor, Watched};
use self::requests::Requests;
use super::netlink::{Received, Socket};
use super::poll::{Interest, PollSet};
use crate::engine::{AddressOp, Event, LinkName, Refusal};
use crate::limits;
use crate::model::{AddressOptions, Cidr, Route, Rule};
use crate::time::{Duration, Instant};
use crate::wire::netlink::Batch;
use crate::wire::rtnetlink::{self, Notice};
use nix::sys::socket::SockProtocol;
use std::io;
use std::os::fd::AsFd;

pub use self::macvlan::Macvlan;
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
    requests: Requests,
    monitor: Monitor,
    addresses: Addresses,
    buffer: Box<[u8]>,
    slot: Option<usize>,
    /// That settings cannot be written was said.
    is_warned: bool,
}

impl Rtnl {
    /// Opens both sockets in the namespace of the caller. Nothing is dumped yet.
    ///
    /// # Errors
    /// What the system calls say.
    pub fn open() -> io::Result<Self> {
        let groups = crate::wire::rtnetlink::GROUPS;
        let monitor_socket = Socket::open(SockProtocol::NetlinkRoute, groups, MONITOR_QUEUE)?;
        monitor_socket.set_strict();
        let command_socket = Socket::open(SockProtocol::NetlinkRoute, 0, COMMAND_QUEUE)?;
        Ok(Rtnl {
            monitor: Monitor::new(monitor_socket.port(), monitor::kernel_has_ifa_proto()),
            addresses: Addresses::new(command_socket.port()),
            monitor_socket,
            command_socket,
            requests: Requests::open()?,
            is_warned: false,
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

    /// Collects an address to add, or to renew, for `flush`. `lease`: how long the kernel keeps it, in whole
    /// seconds (rounded up), at least one; `None` = for ever.
    pub fn queue_add(&mut self, index: u32, cidr: Cidr, lease: Option<Duration>, options: AddressOptions) {
        self.addresses.queue(Change { op: AddressOp::Add, index, cidr, lease, options });
    }

    /// Collects an address to remove for `flush`. `peer`: it is a part of what the address is.
    pub fn queue_remove(&mut self, index: u32, cidr: Cidr, peer: Option<Cidr>) {
        let options = AddressOptions { peer, ..AddressOptions::default() };
        self.addresses.queue(Change { op: AddressOp::Remove, index, cidr, lease: None, options });
    }

    /// Sends at most [`limits::ADDRESS_BATCH`] of the collected changes, in order, and tells the result of
    /// each by [`Event::AddressResult`]. True: more are waiting; `drain`, then call again. Never waits for an
    /// answer.
    pub fn flush(&mut self, sink: &mut dyn FnMut(Event<'static>)) -> bool {
        self.addresses.flush(&self.command_socket, &mut self.buffer, sink)
    }

    /// Tells routes, rules, or both from now on, or no longer; what is new is told by a dump.
    pub fn watch(&mut self, routes: bool, rules: bool) {
        let (before, after) = (self.monitor.watched(), Watched { routes, rules });
        for (groups, was, is) in
            [(rtnetlink::ROUTE_GROUPS, before.routes, routes), (rtnetlink::RULE_GROUPS, before.rules, rules)]
        {
            for group in groups.into_iter().filter(|_| was != is) {
                if let Err(errno) = self.monitor_socket.set_membership(group, is) {
                    log::warn!("rtnetlink group {group}: errno {errno}; changes there are not seen");
                }
            }
        }
        self.monitor.watch(after);
        if routes && !before.routes || rules && !before.rules {
            self.start_dump();
        }
    }

    /// Adds a route, never in the place of the one with its destination, table and metric, or removes
    /// it. Only routes that carry our number are removed. `index`: its interface; 0: none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn change_route(&mut self, op: AddressOp, index: u32, route: &Route) -> Result<(), Refusal> {
        let route = convert::new_route(index, route);
        self.request(|batch, seq| match op {
            AddressOp::Add => rtnetlink::emit_add_route(batch, seq, &route),
            AddressOp::Remove => rtnetlink::emit_remove_route(batch, seq, &route),
        })
    }

    /// Adds a rule, or removes it. Only rules that carry our number are removed.
    ///
    /// # Errors
    /// The kernel's; [`Refusal::Exists`] where it is there.
    pub fn change_rule(&mut self, op: AddressOp, rule: &Rule) -> Result<(), Refusal> {
        let rule = convert::new_rule(rule);
        self.request(|batch, seq| match op {
            AddressOp::Add => rtnetlink::emit_add_rule(batch, seq, &rule),
            AddressOp::Remove => rtnetlink::emit_remove_rule(batch, seq, &rule),
        })
    }

    /// Makes a macvlan in private mode, down, and sets it up; takes over one that is there with the same
    /// parent, mode and MAC (VMAC-4, VMAC-10, VMAC-20). `drain` afterwards: each is several notifications
    /// (RTNL-54).
    ///
    /// # Errors
    /// The kernel's; [`Refusal::Exists`] where the name is something else's, [`Refusal::Invalid`] where the
    /// parent is no Ethernet. Nothing is left of one that could not be set up.
    pub fn make_macvlan(&mut self, new: &Macvlan) -> Result<(), Refusal> {
        let is_complete = macvlan::make(&mut self.requests, &mut self.buffer, new)?;
        if !is_complete && !self.is_warned {
            self.is_warned = true;
            log::warn!(
                "settings below /proc/sys/net/ipv6/conf/{} cannot be written; virtual MACs work, but the \
                 kernel may send IPv6 packets of its own from them",
                new.name.as_str()
            );
        }
        Ok(())
    }

    /// Brings a link up or down.
    ///
    /// # Errors
    /// The kernel's; [`Refusal::Exists`] where another macvlan on the parent has its MAC and is up (VMAC-4).
    pub fn set_link(&mut self, index: u32, up: bool) -> Result<(), Refusal> {
        self.request(|batch, seq| rtnetlink::emit_set_link(batch, seq, index, up))
    }

    /// Removes a private macvlan of this index and name, and nothing else (VMAC-4).
    ///
    /// # Errors
    /// The kernel's; [`Refusal::Exists`] where it is something else.
    pub fn remove_macvlan(&mut self, index: u32, name: &LinkName) -> Result<(), Refusal> {
        macvlan::remove(&mut self.requests, &mut self.buffer, index, name)
    }

    /// Reads an IPv4 setting of a link: [`rtnetlink::ipv4_setting`]'s number. Also its name.
    ///
    /// # Errors
    /// The kernel's; [`Refusal::NotFound`] where it tells no such setting.
    pub fn ipv4_setting(&mut self, index: u32, number: u16) -> Result<(LinkName, u32), Refusal> {
        let mut found = None;
        let on_data = &mut |message: &crate::wire::netlink::Message<'_>| {
            if let Ok(Notice::Link(link)) = rtnetlink::parse(message) {
                found = link.ipv4_setting(number).map(|value| (LinkName::new(link.name), value));
            }
        };
        let emit = |batch: &mut Batch<'_>, seq| rtnetlink::emit_get_link(batch, seq, index);
        self.requests.ask(&mut self.buffer, emit, on_data)?;
        found.ok_or(Refusal::NotFound)
    }

    /// Writes an IPv4 setting of a link.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_ipv4_setting(&mut self, index: u32, number: u16, value: u32) -> Result<(), Refusal> {
        self.request(|batch, seq| rtnetlink::emit_ipv4_settings(batch, seq, index, &[(number, value)]))
    }

    fn request(
        &mut self,
        emit: impl FnOnce(&mut Batch<'_>, u32) -> Result<(), crate::wire::netlink::NoRoom>,
    ) -> Result<(), Refusal> {
        self.requests.ask(&mut self.buffer, emit, &mut |_| {})
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
