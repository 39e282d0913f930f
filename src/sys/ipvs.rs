//! The kernel's IPVS (`IPVS-*`): over generic netlink, or over socket options where the kernel has no family
//! for it (IPVS-2, IPVS-90).
//!
//! Requests go out in the order in which they were asked for, many in one `send`; the kernel handles them
//! inside it, so their answers are there when it returns. A dump goes alone. Modules are loaded by a child of
//! our own before the family is looked for, so that the kernel does not have to: it would make the loop wait.

mod daemons;
mod exchange;
mod modules;
mod services;
mod settings;
mod sockopt;
mod timeouts;

pub use self::daemons::OwnDaemons;
pub use self::services::OwnServices;
pub use self::settings::IpvsSettings;
pub use self::timeouts::OldTimeouts;

use self::exchange::{Exchange, Next};
use self::modules::{Modules, Needs};
use self::sockopt::{Gone, Sockopt};
use super::netlink::{Received, Socket};
use super::poll::{Interest, PollSet};
use crate::engine::{Event, IpvsEvent, IpvsRequest, Refusal};
use crate::limits;
use crate::model::{IpvsInterface, Text, cut};
use crate::sys::errno::refusal;
use crate::time::Instant;
use crate::wire::ipvs::MESSAGE_MAX;
use crate::wire::netlink::Batch;
use nix::sys::socket::SockProtocol;
use std::os::fd::AsFd;

/// The largest datagram of a dump is 32 KiB (IPVS-47).
const DATAGRAM_MAX: usize = 64 << 10;
/// Queue of the socket: the answers of one batch, or two parts of a dump.
const QUEUE: usize = 256 << 10;
const NOT_THERE: &str = "the kernel has no IPVS: OpenWrt: install kmod-nf-ipvs; Buildroot: enable \
                         CONFIG_IP_VS; Debian: modprobe ip_vs";

/// One conversation with the kernel's IPVS. Until the first [`IpvsRequest::Resolve`] it has neither a socket
/// nor buffers.
#[derive(Debug, Default)]
pub struct IpvsSocket {
    open: Option<Open>,
    /// All requests wait here, whichever way they go.
    exchange: Exchange,
    /// The old interface, while it is the one in use.
    sockopt: Option<Sockopt>,
    interface: IpvsInterface,
    modules: Modules,
    slot: Option<usize>,
    /// Modules have been loaded for the `Resolve` that is next.
    is_prepared: bool,
    /// Somebody has wanted to know whether the kernel has IPVS.
    is_wanted: bool,
    /// The interface is another than before.
    is_changed: bool,
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

    /// The scheduler and the persistence engine of each service of the configuration, whose modules are
    /// loaded along with `ip_vs`. Names that are new are loaded before the next request goes out.
    pub fn set_needs<'s>(&mut self, needs: impl IntoIterator<Item = (&'s str, Option<&'s str>)>) {
        self.modules.set_needs(needs);
    }

    /// How the kernel is talked to. Where that changes, what was asked ends with `Refusal::Interrupted`, and
    /// `Ready` or `Absent` follows.
    pub fn set_interface(&mut self, interface: IpvsInterface) {
        self.is_changed |= self.interface != interface && self.is_wanted;
        self.interface = interface;
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
        self.is_wanted |= request == IpvsRequest::Resolve;
        self.exchange.request(token, request);
    }

    /// When `process` has something to do though nothing is to be read.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_changed || self.sockopt.as_ref().is_some_and(Sockopt::is_telling) {
            return Some(Instant::ZERO);
        }
        let modules = self.modules.next_deadline();
        if self.modules.is_loading() {
            return modules;
        }
        modules.into_iter().chain(self.exchange.next_deadline()).min()
    }

    /// Sends what was asked for and reads the answers: at most [`limits::IPVS_WINDOW`] requests and
    /// [`limits::NETLINK_PER_TURN`] messages or entries (and the rest of the last datagram) a call. Never
    /// waits.
    pub fn process(&mut self, now: Instant, poll: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        let sink = &mut |event| sink(Event::Ipvs(event));
        self.modules.check(now);
        let is_readable = self.slot.take().is_some_and(|slot| poll.is_ready(slot));
        if core::mem::take(&mut self.is_changed) {
            self.interrupt_sockopt(sink);
            self.exchange.restart(sink);
        }
        if self.is_by_sockopt() {
            return self.perform(now, sink);
        }
        let mut absence = None;
        self.converse(now, is_readable, &mut |event| match event {
            IpvsEvent::Absent { why } => absence = Some(why),
            other => sink(other),
        });
        match (absence, self.interface) {
            (None, _) => {}
            (Some(why), IpvsInterface::Netlink) => sink(IpvsEvent::Absent { why }),
            (Some(why), IpvsInterface::Auto | IpvsInterface::Sockopt) => self.find_sockopt(why, sink),
        }
    }

    // ---- socket options

    /// Do the next requests go by socket options? To find out what the kernel has, netlink goes first.
    fn is_by_sockopt(&self) -> bool {
        let is_resolve = self.exchange.next() == Next::Resolve;
        match self.interface {
            IpvsInterface::Netlink => false,
            IpvsInterface::Auto => self.sockopt.is_some() && !is_resolve,
            IpvsInterface::Sockopt => !self.exchange.is_waiting(),
        }
    }

    /// Takes the old interface, where the kernel has it; `why` it is needed.
    fn find_sockopt(&mut self, why: Text, sink: &mut dyn FnMut(IpvsEvent)) {
        match Sockopt::open() {
            Ok(sockopt) => {
                self.sockopt = Some(sockopt);
                self.open = None;
                sink(IpvsEvent::Ready { sockopt: true });
            }
            Err(libc::ENOPROTOOPT) => sink(IpvsEvent::Absent { why }),
            Err(errno) => {
                let why = cut(format_args!("IPVS by socket options: {}", refusal(errno)));
                sink(IpvsEvent::Absent { why });
            }
        }
    }

    fn interrupt_sockopt(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        if let Some(mut sockopt) = self.sockopt.take() {
            sockopt.interrupt(sink);
        }
    }

    fn perform(&mut self, now: Instant, sink: &mut dyn FnMut(IpvsEvent)) {
        let (mut requests, mut messages) = (limits::IPVS_WINDOW, limits::NETLINK_PER_TURN);
        while requests > 0 && messages > 0 {
            if let Some(sockopt) = &mut self.sockopt
                && sockopt.is_telling()
            {
                messages = messages.saturating_sub(sockopt.tell(messages, sink).max(1));
                continue;
            }
            match self.exchange.next() {
                Next::Nothing | Next::Recheck => return,
                Next::Resolve if !self.is_prepared_after(now) => return,
                Next::Resolve => {
                    self.exchange.take();
                    self.find_sockopt(cut(format_args!("{NOT_THERE}")), sink);
                }
                Next::Requests if !self.has_modules(now) => return,
                Next::Requests => {
                    let is_slow = self.exchange.is_next_slow();
                    self.perform_one(now, sink);
                    if is_slow {
                        return;
                    }
                }
            }
            requests -= 1;
        }
    }

    fn perform_one(&mut self, now: Instant, sink: &mut dyn FnMut(IpvsEvent)) {
        let Some((token, request)) = self.exchange.take() else { return };
        let needs = match &request {
            IpvsRequest::NewService(service) | IpvsRequest::SetService(service) => Some(Needs::of(service)),
            IpvsRequest::Resolve
            | IpvsRequest::DumpServices
            | IpvsRequest::DumpDestinations(_)
            | IpvsRequest::DelService(_)
            | IpvsRequest::NewDestination(..)
            | IpvsRequest::SetDestination(..)
            | IpvsRequest::DelDestination(..)
            | IpvsRequest::Whole(_) => None,
        };
        if needs.as_ref().is_some_and(|needs| !self.modules.can_be_had(now, needs)) {
            return sink(IpvsEvent::Done { token, result: Err(Refusal::NotFound) });
        }
        let Some(sockopt) = &mut self.sockopt else {
            return sink(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
        };
        match (sockopt.request(token, &request, sink), needs) {
            (Ok(Some(libc::ENOENT)), Some(needs)) => self.modules.note_lacking(&needs),
            (Ok(_), _) => {}
            (Err(Gone), _) => {
                self.sockopt = None;
                self.exchange.handle_absence(cut(format_args!("{NOT_THERE}")), sink);
            }
        }
    }

    // ---- modules

    /// Modules are loaded before the kernel is asked whether it has IPVS: once for each time it is asked.
    fn is_prepared_after(&mut self, now: Instant) -> bool {
        if !core::mem::replace(&mut self.is_prepared, true) {
            self.modules.load(now);
        }
        if self.modules.is_loading() {
            return false;
        }
        self.is_prepared = false;
        true
    }

    /// What a new configuration needs is loaded before anything of it goes out.
    fn has_modules(&mut self, now: Instant) -> bool {
        if self.modules.has_new() && (self.open.is_some() || self.sockopt.is_some()) {
            self.modules.load(now);
        }
        !self.modules.is_loading()
    }

    // ---- netlink

    fn converse(&mut self, now: Instant, mut is_readable: bool, sink: &mut dyn FnMut(IpvsEvent)) {
        if self.exchange.handle_timeout(now, sink) {
            self.reopen(sink);
        }
        let (mut requests, mut messages) = (limits::IPVS_WINDOW, limits::NETLINK_PER_TURN);
        while requests > 0 && messages > 0 {
            let is_slow = self.exchange.is_next_slow();
            let sent = self.send(now, requests, sink);
            requests = requests.saturating_sub(sent);
            if is_readable || self.exchange.is_waiting() {
                messages = messages.saturating_sub(self.read(now, messages, sink));
                is_readable = false;
            }
            if sent == 0 || is_slow || self.exchange.is_waiting() {
                return;
            }
        }
    }

    /// Sends the next batch, if one is due; says how many requests it took from the queue.
    fn send(&mut self, now: Instant, limit: usize, sink: &mut dyn FnMut(IpvsEvent)) -> usize {
        match self.exchange.next() {
            Next::Nothing => return 0,
            Next::Resolve => {
                if !self.is_prepared_after(now) {
                    return 0;
                }
                self.sockopt = None;
                if self.open.is_none() {
                    self.reopen(sink);
                }
            }
            Next::Requests => {
                if !self.has_modules(now) {
                    return 0;
                }
            }
            Next::Recheck => {}
        }
        let modules = &mut self.modules;
        let can = &mut |needs: &Needs| modules.can_be_had(now, needs);
        let Some(open) = &mut self.open else {
            return self.exchange.next_batch(now, limit, &mut Batch::new(&mut []), can, sink);
        };
        let mut batch = Batch::new(&mut open.bytes);
        let sent = self.exchange.next_batch(now, limit, &mut batch, can, sink);
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
                    self.exchange.take_lacking().iter().for_each(|needs| self.modules.note_lacking(needs));
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

    struct Bed {
        ipvs: IpvsSocket,
        poll: PollSet,
        now: i64,
    }

    impl Bed {
        /// On the real kernel, without loading modules into it.
        fn new(interface: IpvsInterface) -> Self {
            let ipvs = IpvsSocket { is_prepared: true, interface, ..IpvsSocket::default() };
            Bed { ipvs, poll: PollSet::new(), now: 0 }
        }

        fn turns(&mut self, count: usize) -> Vec<String> {
            let mut told = Vec::new();
            for _ in 0..count {
                self.now += 1;
                self.poll.clear();
                self.ipvs.register(&mut self.poll);
                let now = Instant::from_millis(self.now);
                self.ipvs.process(now, &self.poll, &mut |event| told.push(format!("{event:?}")));
            }
            told
        }
    }

    /// What the real kernel says.
    #[test]
    fn ipvs2_kernel_answers_at_once_whether_it_has_ipvs() {
        for interface in [IpvsInterface::Auto, IpvsInterface::Netlink, IpvsInterface::Sockopt] {
            let mut bed = Bed::new(interface);
            bed.ipvs.register(&mut bed.poll);
            assert_eq!(bed.ipvs.slot, None, "no socket before it is needed");
            bed.ipvs.request(1, IpvsRequest::Resolve);
            bed.ipvs.request(2, IpvsRequest::DumpServices);
            let told = bed.turns(10);
            eprintln!("{interface:?}: {told:?}");
            let answers = told.iter().filter(|t| t.contains("Ready") || t.contains("Absent")).count();
            assert_eq!(answers, 1, "{told:?}");
            assert!(told.iter().any(|t| t.contains("token: 2")), "a request must end: {told:?}");
            assert_eq!(bed.ipvs.next_deadline(), None, "nothing is left to do");
        }
    }

    #[test]
    fn ipvs2_another_interface_is_taken_at_once() {
        let mut bed = Bed::new(IpvsInterface::Netlink);
        bed.ipvs.set_interface(IpvsInterface::Sockopt);
        assert!(bed.turns(3).is_empty() && bed.ipvs.next_deadline().is_none(), "nobody has asked");
        bed.ipvs.request(1, IpvsRequest::Resolve);
        bed.turns(3);
        bed.ipvs.set_interface(IpvsInterface::Sockopt);
        assert!(bed.turns(3).is_empty(), "it is the same");
        bed.ipvs.set_interface(IpvsInterface::Auto);
        assert_eq!(bed.ipvs.next_deadline(), Some(Instant::ZERO), "the loop comes at once");
        bed.ipvs.is_prepared = true;
        bed.ipvs.request(2, IpvsRequest::DumpServices);
        let told = bed.turns(3);
        assert!(told[0].contains("token: 2") && told[0].contains("Interrupted"), "{told:?}");
        assert!(told[1].contains("Ready") || told[1].contains("Absent"), "{told:?}");
    }
}
