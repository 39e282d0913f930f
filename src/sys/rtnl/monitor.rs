//! The monitor's conversation, without its socket: what comes in, what it means, what to ask next.

use super::convert;
use crate::engine::{AddressChange, Event};
use crate::model::Cidr;
use crate::time::{Duration, Instant};
use crate::wire::netlink::{Batch, Content, Message, Messages, NLM_F_DUMP_INTR, NLM_F_MULTI};
use crate::wire::rtnetlink::{self, Address, Notice, Route};

/// Dumps in a row that the kernel may call inconsistent; the next one is taken as it is (RTNL-51).
const INTERRUPTIONS_MAX: u8 = 5;
/// A dump of which nothing has come for so long is asked for anew (B-86).
const DUMP_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a dump that the kernel refused (RTNL-53). Where routes are watched, also the least from one
/// dump to the next after notifications were lost: a routing daemon that writes its whole table makes them
/// faster than anybody reads, and dump upon dump would be all that is done.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What went wrong so far. Saturating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Notifications were lost; each made a new dump (RTNL-50).
    pub overruns: u32,
    /// Dumps that the kernel called inconsistent (RTNL-51).
    pub interruptions: u32,
    /// Dumps that were refused, or of which nothing came (B-86).
    pub failures: u32,
    /// Messages that could not be read (B-75..B-84).
    pub malformed: u32,
    /// Messages of another process, or of an older dump (RTNL-3, RTNL-5).
    pub foreign: u32,
}

#[derive(Debug)]
pub(super) struct Monitor {
    port: u32,
    seq: u32,
    dump: Option<Dump>,
    /// A dump is wanted, from its beginning.
    wanted: bool,
    /// Notifications were lost, and what is left of them has not been read to its end.
    is_congested: bool,
    retry_at: Option<Instant>,
    started_at: Option<Instant>,
    watched: Watched,
    interruptions: u8,
    has_ifa_proto: bool,
    counters: Counters,
}

/// What is told besides links and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Watched {
    pub(super) routes: bool,
    pub(super) rules: bool,
}

#[derive(Debug)]
struct Dump {
    phase: Phase,
    /// The request of this phase has gone out.
    is_asked: bool,
    is_interrupted: bool,
    give_up_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Links,
    Addresses,
    Routes,
    Rules,
}

impl Phase {
    /// The order in which things lean on each other (RTNL-2).
    const fn next(self, watched: Watched) -> Option<Phase> {
        match self {
            Phase::Links => Some(Phase::Addresses),
            Phase::Addresses if watched.routes => Some(Phase::Routes),
            Phase::Addresses | Phase::Routes if watched.rules => Some(Phase::Rules),
            Phase::Addresses | Phase::Routes | Phase::Rules => None,
        }
    }
}

impl Monitor {
    /// `port`: ours. `has_ifa_proto`: addresses that were made with a protocol number show it.
    pub(super) const fn new(port: u32, has_ifa_proto: bool) -> Self {
        let counters = Counters { overruns: 0, interruptions: 0, failures: 0, malformed: 0, foreign: 0 };
        Monitor {
            port,
            seq: 0,
            dump: None,
            wanted: false,
            is_congested: false,
            retry_at: None,
            started_at: None,
            watched: Watched { routes: false, rules: false },
            interruptions: 0,
            has_ifa_proto,
            counters,
        }
    }

    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }

    pub(super) const fn is_dumping(&self) -> bool {
        self.dump.is_some()
    }

    /// Is the queue to be read to its end, whatever the poll says?
    pub(super) const fn is_congested(&self) -> bool {
        self.is_congested
    }

    pub(super) fn want_dump(&mut self) {
        self.wanted = true;
        self.interruptions = 0;
    }

    /// What is to be told from now on. A dump that is under way goes on with it.
    pub(super) const fn watch(&mut self, watched: Watched) {
        self.watched = watched;
    }

    pub(super) const fn watched(&self) -> Watched {
        self.watched
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.dump {
            Some(dump) => Some(dump.give_up_at),
            None if self.wanted => Some(self.retry_at.unwrap_or(Instant::ZERO)),
            None => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.dump.as_ref().is_some_and(|dump| now >= dump.give_up_at) {
            self.fail(now);
        }
    }

    /// A dump that failed, or the socket itself: later again.
    pub(super) fn handle_failure(&mut self, now: Instant, errno: i32) {
        log::debug!("rtnetlink: errno {errno}");
        self.fail(now);
    }

    fn fail(&mut self, now: Instant) {
        self.counters.failures = self.counters.failures.saturating_add(1);
        self.dump = None;
        self.wanted = true;
        self.retry_at = Some(now + RETRY_INTERVAL);
    }

    /// Notifications were lost: what we know is wrong (RTNL-50). Counts as one message, as do the next two.
    pub(super) fn handle_overrun(&mut self) -> usize {
        self.counters.overruns = self.counters.overruns.saturating_add(1);
        self.wanted = true;
        self.is_congested = true;
        if self.watched.routes {
            let next_at = self.started_at.map(|at| at + RETRY_INTERVAL);
            self.retry_at = self.retry_at.max(next_at);
        }
        1
    }

    pub(super) fn handle_foreign(&mut self) -> usize {
        self.counters.foreign = self.counters.foreign.saturating_add(1);
        1
    }

    /// The queue is empty.
    pub(super) fn handle_drained(&mut self) {
        self.is_congested = false;
    }

    /// Writes the request that is due. False: none is.
    pub(super) fn next_request(
        &mut self,
        now: Instant,
        batch: &mut Batch<'_>,
        sink: &mut dyn FnMut(Event<'static>),
    ) -> bool {
        if self.dump.is_none() {
            if !self.wanted || self.is_congested || self.retry_at.is_some_and(|at| now < at) {
                return false;
            }
            self.wanted = false;
            self.retry_at = None;
            self.started_at = Some(now);
            self.dump = Some(Dump {
                phase: Phase::Links,
                is_asked: false,
                is_interrupted: false,
                give_up_at: now + DUMP_TIMEOUT,
            });
            sink(Event::DumpStart);
        }
        match &mut self.dump {
            Some(dump) if !dump.is_asked => {
                dump.is_asked = true;
                dump.give_up_at = now + DUMP_TIMEOUT;
                self.seq = self.seq.wrapping_add(1);
                match dump.phase {
                    Phase::Links => rtnetlink::emit_dump_links(batch, self.seq),
                    Phase::Addresses => rtnetlink::emit_dump_addresses(batch, self.seq),
                    Phase::Routes => rtnetlink::emit_dump_routes(batch, self.seq),
                    Phase::Rules => rtnetlink::emit_dump_rules(batch, self.seq),
                }
                .is_ok()
            }
            Some(_) | None => false,
        }
    }

    /// Takes a datagram of the kernel; says how many messages it had.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        bytes: &[u8],
        sink: &mut dyn FnMut(Event<'static>),
    ) -> usize {
        let mut count = 0;
        for message in Messages::new(bytes) {
            count += 1;
            let handled = match message {
                Ok(message) => self.handle_message(now, &message, sink),
                Err(malformed) => Err(malformed),
            };
            if let Err(malformed) = handled {
                log::debug!("rtnetlink: {malformed}");
                self.counters.malformed = self.counters.malformed.saturating_add(1);
            }
        }
        count
    }

    fn handle_message(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        sink: &mut dyn FnMut(Event<'static>),
    ) -> Result<(), crate::wire::netlink::Malformed> {
        // A notification has the port and the number of whoever caused it; only a dump is in parts.
        let is_reply = message.port == self.port && message.seq == self.seq;
        let dump = self.dump.as_mut().filter(|dump| dump.is_asked && is_reply);
        let is_part = message.flags & NLM_F_MULTI != 0;
        match (message.content()?, dump) {
            (Content::Noop, _) => {}
            (Content::Overrun, _) => _ = self.handle_overrun(),
            (Content::Data, None) if is_part => _ = self.handle_foreign(),
            (Content::Data, dump) => {
                if let Some(dump) = dump.filter(|_| is_part) {
                    dump.give_up_at = now + DUMP_TIMEOUT;
                    dump.is_interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                }
                self.tell(rtnetlink::parse(message)?, sink);
            }
            (Content::Done { errno }, Some(dump)) => {
                dump.is_interrupted |= errno != 0 || message.flags & NLM_F_DUMP_INTR != 0;
                self.finish_phase(now, sink);
            }
            (Content::Reply { errno, .. }, Some(_)) if errno != 0 => self.handle_failure(now, errno),
            (Content::Done { .. } | Content::Reply { .. }, _) => _ = self.handle_foreign(),
        }
        Ok(())
    }

    fn finish_phase(&mut self, now: Instant, sink: &mut dyn FnMut(Event<'static>)) {
        let Some(dump) = &mut self.dump else { return };
        if dump.is_interrupted {
            self.counters.interruptions = self.counters.interruptions.saturating_add(1);
            self.interruptions = self.interruptions.saturating_add(1);
            self.wanted |= self.interruptions <= INTERRUPTIONS_MAX;
        }
        if self.wanted {
            // From the beginning: the other half would be thrown away.
            self.dump = None;
            return;
        }
        match dump.phase.next(self.watched) {
            Some(phase) => {
                let give_up_at = now + DUMP_TIMEOUT;
                *dump = Dump { phase, is_asked: false, is_interrupted: false, give_up_at };
            }
            None => {
                self.dump = None;
                self.interruptions = 0;
                sink(Event::DumpEnd);
            }
        }
    }

    fn tell(&mut self, notice: Notice<'_>, sink: &mut dyn FnMut(Event<'static>)) {
        match notice {
            Notice::Link(link) => sink(Event::Link(convert::link(&link))),
            Notice::LinkGone { index } => sink(Event::LinkGone { index }),
            Notice::Address(address) => {
                let change =
                    AddressChange::Present { ours: self.is_ours(&address), secondary: address.secondary };
                sink(Event::Address { index: address.index, cidr: cidr(&address), change });
            }
            Notice::AddressGone(address) => sink(Event::Address {
                index: address.index,
                cidr: cidr(&address),
                change: AddressChange::Gone,
            }),
            Notice::Route(route) => self.tell_route(&route, true, sink),
            Notice::RouteGone(route) => self.tell_route(&route, false, sink),
            Notice::Rule(rule) => tell_rule(&rule, true, sink),
            Notice::RuleGone(rule) => tell_rule(&rule, false, sink),
            Notice::Other => {}
        }
    }

    /// One for each next hop.
    fn tell_route(&mut self, route: &Route<'_>, is_present: bool, sink: &mut dyn FnMut(Event<'static>)) {
        for hop in route.next_hops() {
            match hop {
                Ok(hop) => sink(Event::Route { route: convert::route(route, hop), is_present }),
                Err(malformed) => {
                    log::debug!("rtnetlink: {malformed}");
                    self.counters.malformed = self.counters.malformed.saturating_add(1);
                }
            }
        }
    }

    /// Did a vipd put it there? By its number; where the kernel keeps none (before 5.18), by its finite
    /// lifetime, which on a newer kernel would be somebody's DHCP lease. An IPv6 address that a router's
    /// advert made has a lifetime, too, but its uniqueness was looked into.
    fn is_ours(&mut self, address: &Address) -> bool {
        match address.protocol {
            Some(protocol) => {
                self.has_ifa_proto = true;
                protocol == rtnetlink::PROTOCOL
            }
            None => {
                !self.has_ifa_proto
                    && (address.address.is_ipv4() || address.no_dad)
                    && !address.permanent
                    && address.valid.is_some()
            }
        }
    }
}

/// With a peer, the kernel's prefix length is that of the peer's net; the address itself is one host.
fn cidr(address: &Address) -> Cidr {
    let host = if address.address.is_ipv4() { 32 } else { 128 };
    let prefix_len = if address.has_peer { host } else { address.prefix_len };
    Cidr { address: address.address, prefix_len }
}

fn tell_rule(rule: &rtnetlink::Rule<'_>, is_present: bool, sink: &mut dyn FnMut(Event<'static>)) {
    let ours = rule.protocol == rtnetlink::PROTOCOL;
    if let Some(rule) = convert::rule(rule) {
        sink(Event::Rule { rule, ours, is_present });
    }
}

/// Linux 5.18 and newer keep IFA_PROTO. Where the release cannot be read, the first address that shows one
/// tells.
pub(super) fn kernel_has_ifa_proto() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| release_has_ifa_proto(&release))
}

fn release_has_ifa_proto(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= (5, 18),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
