//! Requests and answers, without the socket: order, sequence numbers, the family's id, what was lost.

use super::NOT_THERE;
use super::modules::Needs;
use crate::engine::{IpvsEvent, IpvsRequest, Refusal, WholeRequest};
use crate::model::{Text, cut};
use crate::sys::errno::refusal;
use crate::time::{Duration, Instant};
use crate::wire::genetlink;
use crate::wire::ipvs::{self, DestinationCommand, FAMILY, ServiceCommand, ServiceKey};
use crate::wire::netlink::{Batch, Content, Malformed, Message, Messages, NLM_F_DUMP_INTR, NoRoom};
use std::collections::VecDeque;

/// A request is given up when nothing has come for so long (B-86).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Exchange {
    queue: VecDeque<(u32, IpvsRequest)>,
    flying: VecDeque<Flying>,
    /// Ended by ENOENT: a destination or a scheduler that is not there, or a family that is not.
    suspects: Vec<Suspect>,
    /// What services needed that the kernel turned out not to have; `take_lacking` has them.
    lacking: Vec<Needs>,
    lookup: Option<Lookup>,
    family: Option<u16>,
    seq: u32,
    /// When something was last sent or heard.
    heard_at: Option<Instant>,
}

/// What `next_batch` would send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the queue is empty, or answers are awaited.
    Nothing,
    /// The question for the family, because somebody wants to know.
    Resolve,
    /// The question for the family, after ENOENT (B-95).
    Recheck,
    /// Requests.
    Requests,
}

/// A request on its way.
#[derive(Debug)]
struct Flying {
    token: u32,
    seq: u32,
    kind: Kind,
    /// A dump of which a part could not be read, or which the kernel called inconsistent; a question whose
    /// answer has not come yet.
    is_damaged: bool,
}

#[derive(Debug)]
enum Kind {
    Command,
    /// A command with a service, and what that needs of the kernel.
    Service(Needs),
    Services,
    Destinations(ServiceKey),
    Timeouts,
    Daemons,
}

impl Kind {
    fn of(request: &IpvsRequest) -> Self {
        match request {
            IpvsRequest::DumpServices => Kind::Services,
            IpvsRequest::DumpDestinations(key) => Kind::Destinations(*key),
            IpvsRequest::NewService(service) | IpvsRequest::SetService(service) => {
                Kind::Service(Needs::of(service))
            }
            IpvsRequest::Whole(WholeRequest::GetTimeouts) => Kind::Timeouts,
            IpvsRequest::Whole(WholeRequest::DumpDaemons) => Kind::Daemons,
            IpvsRequest::Resolve
            | IpvsRequest::DelService(_)
            | IpvsRequest::NewDestination(..)
            | IpvsRequest::SetDestination(..)
            | IpvsRequest::DelDestination(..)
            | IpvsRequest::Whole(
                WholeRequest::SetTimeouts(_) | WholeRequest::NewDaemon(..) | WholeRequest::DelDaemon(_),
            ) => Kind::Command,
        }
    }

    /// Does it end with NLMSG_DONE?
    const fn is_dump(&self) -> bool {
        match self {
            Kind::Command | Kind::Service(_) | Kind::Timeouts => false,
            Kind::Services | Kind::Destinations(_) | Kind::Daemons => true,
        }
    }
}

/// A request that ended with ENOENT.
#[derive(Debug)]
struct Suspect {
    token: u32,
    needs: Option<Needs>,
}

/// The question for the family on its way.
#[derive(Debug)]
struct Lookup {
    seq: u32,
    found: Option<u16>,
}

impl Exchange {
    pub(super) fn request(&mut self, token: u32, request: IpvsRequest) {
        self.queue.push_back((token, request));
    }

    /// Takes the first request out, for somebody else to answer it.
    pub(super) fn take(&mut self) -> Option<(u32, IpvsRequest)> {
        self.queue.pop_front()
    }

    /// What services needed that the kernel turned out not to have, since the last call.
    pub(super) fn take_lacking(&mut self) -> Vec<Needs> {
        core::mem::take(&mut self.lacking)
    }

    /// Forgets the family and everything that was asked, and looks for it again.
    pub(super) fn restart(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        self.family = None;
        self.lookup = None;
        self.interrupt_all(sink);
        // Its answer has no token.
        self.request(0, IpvsRequest::Resolve);
    }

    /// Are answers awaited?
    pub(super) fn is_waiting(&self) -> bool {
        !self.flying.is_empty() || self.lookup.is_some()
    }

    pub(super) fn next(&self) -> Next {
        match self.queue.front() {
            _ if self.is_waiting() => Next::Nothing,
            _ if !self.suspects.is_empty() => Next::Recheck,
            None => Next::Nothing,
            Some((_, IpvsRequest::Resolve)) => Next::Resolve,
            Some(_) => Next::Requests,
        }
    }

    /// Is the next request one that makes the loop wait (see [`is_slow`])?
    pub(super) fn is_next_slow(&self) -> bool {
        self.next() == Next::Requests && self.queue.front().is_some_and(|(_, request)| is_slow(request))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.is_waiting() {
            return self.heard_at.map(|at| at + ANSWER_TIMEOUT);
        }
        match self.next() {
            Next::Nothing => None,
            Next::Resolve | Next::Recheck | Next::Requests => Some(Instant::ZERO),
        }
    }

    /// Writes the next requests, at most `limit`; says how many left the queue. Without a family they end
    /// here, and so do services whose needs are not to be had, as `can` says.
    pub(super) fn next_batch(
        &mut self,
        now: Instant,
        limit: usize,
        batch: &mut Batch<'_>,
        can: &mut dyn FnMut(&Needs) -> bool,
        sink: &mut dyn FnMut(IpvsEvent),
    ) -> usize {
        let next = self.next();
        if next != Next::Nothing {
            self.heard_at = Some(now);
        }
        match next {
            Next::Nothing => 0,
            Next::Resolve => {
                self.queue.pop_front();
                self.look_up(batch)
            }
            Next::Recheck => self.look_up(batch),
            Next::Requests => match self.family {
                Some(family) => self.fill(family, limit, batch, can, sink),
                None => self.refuse_some(limit, sink),
            },
        }
    }

    fn look_up(&mut self, batch: &mut Batch<'_>) -> usize {
        self.seq = self.seq.wrapping_add(1);
        let is_written = genetlink::emit_get_families(batch, self.seq).is_ok();
        self.lookup = is_written.then_some(Lookup { seq: self.seq, found: None });
        1
    }

    fn fill(
        &mut self,
        family: u16,
        limit: usize,
        batch: &mut Batch<'_>,
        can: &mut dyn FnMut(&Needs) -> bool,
        sink: &mut dyn FnMut(IpvsEvent),
    ) -> usize {
        let mut count = 0;
        while count < limit {
            let Some((token, request)) = self.queue.front() else { return count };
            if *request == IpvsRequest::Resolve {
                return count;
            }
            let kind = Kind::of(request);
            // The kernel has one dump at a time on a socket, and one beside changes proves nothing (IPVS-48).
            let is_alone = kind.is_dump() || is_slow(request);
            if is_alone && count > 0 {
                return count;
            }
            let (token, seq) = (*token, self.seq.wrapping_add(1));
            let is_damaged = matches!(kind, Kind::Timeouts);
            let is_possible = if let Kind::Service(needs) = &kind { can(needs) } else { true };
            match is_possible.then(|| emit(batch, family, seq, request)) {
                Some(Ok(())) => self.flying.push_back(Flying { token, seq, kind, is_damaged }),
                Some(Err(NoRoom)) if count > 0 => return count,
                Some(Err(NoRoom)) => sink(IpvsEvent::Done { token, result: Err(Refusal::Invalid) }),
                None => sink(IpvsEvent::Done { token, result: Err(Refusal::NotFound) }),
            }
            self.seq = seq;
            self.queue.pop_front();
            count += 1;
            if is_alone {
                return count;
            }
        }
        count
    }

    fn refuse_some(&mut self, limit: usize, sink: &mut dyn FnMut(IpvsEvent)) -> usize {
        let mut count = 0;
        while count < limit && self.next() == Next::Requests {
            if let Some((token, _)) = self.queue.pop_front() {
                sink(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
            }
            count += 1;
        }
        count
    }

    /// Takes a datagram of the kernel; says how many messages it had.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        port: u32,
        bytes: &[u8],
        sink: &mut dyn FnMut(IpvsEvent),
    ) -> usize {
        let mut count = 0;
        for message in Messages::new(bytes) {
            count += 1;
            // By number and port: what is late from a request that was given up changes nothing (RTNL-5,
            // B-85).
            match message {
                Ok(message) if message.port == port => self.handle_message(now, &message, sink),
                Ok(_) => {}
                Err(malformed) => self.handle_malformed(None, malformed),
            }
        }
        count
    }

    fn handle_message(&mut self, now: Instant, message: &Message<'_>, sink: &mut dyn FnMut(IpvsEvent)) {
        if self.lookup.as_ref().is_some_and(|lookup| lookup.seq == message.seq) {
            self.heard_at = Some(now);
            return self.handle_lookup(message, sink);
        }
        let Some(at) = self.flying.iter().position(|flying| flying.seq == message.seq) else { return };
        self.heard_at = Some(now);
        let Some(flying) = self.flying.get_mut(at) else { return };
        flying.is_damaged |= message.flags & NLM_F_DUMP_INTR != 0;
        let is_damaged = flying.is_damaged;
        match (message.content(), &flying.kind) {
            (Ok(Content::Data), kind) => match tell(kind, message.payload, sink) {
                Ok(()) => flying.is_damaged &= !matches!(kind, Kind::Timeouts),
                Err(malformed) => self.handle_malformed(Some(at), malformed),
            },
            (Ok(Content::Done { errno: 0 }), Kind::Services | Kind::Destinations(_) | Kind::Daemons)
            | (Ok(Content::Reply { errno: 0, .. }), Kind::Timeouts) => {
                self.finish(at, if is_damaged { Err(Refusal::Interrupted) } else { Ok(()) }, sink);
            }
            (Ok(Content::Reply { errno: 0, .. }), Kind::Command | Kind::Service(_)) => {
                self.finish(at, Ok(()), sink);
            }
            (Ok(Content::Reply { errno: libc::ENOENT, .. }), _) => self.suspect(at),
            (Ok(Content::Reply { errno, text }), _) if errno != 0 => {
                log::debug!("IPVS: errno {errno} {}", text.unwrap_or(""));
                self.finish(at, Err(refusal(errno)), sink);
            }
            (Ok(Content::Done { errno }), _) if errno != 0 => self.finish(at, Err(refusal(errno)), sink),
            (Ok(Content::Overrun), _) => flying.is_damaged = true,
            (Ok(Content::Noop | Content::Reply { .. } | Content::Done { .. }), _) => {}
            (Err(malformed), _) => self.handle_malformed(Some(at), malformed),
        }
    }

    fn suspect(&mut self, at: usize) {
        let Some(Flying { token, kind, .. }) = self.flying.remove(at) else { return };
        let needs = match kind {
            Kind::Service(needs) => Some(needs),
            Kind::Command | Kind::Services | Kind::Destinations(_) | Kind::Timeouts | Kind::Daemons => None,
        };
        self.suspects.push(Suspect { token, needs });
    }

    /// A dump of which a part could not be read must not look complete.
    fn handle_malformed(&mut self, at: Option<usize>, malformed: Malformed) {
        log::debug!("IPVS: {malformed}");
        match at {
            Some(at) => self.flying.get_mut(at).into_iter().for_each(|flying| flying.is_damaged = true),
            None => self.flying.iter_mut().for_each(|flying| flying.is_damaged = true),
        }
    }

    fn finish(&mut self, at: usize, result: Result<(), Refusal>, sink: &mut dyn FnMut(IpvsEvent)) {
        if let Some(flying) = self.flying.remove(at) {
            sink(IpvsEvent::Done { token: flying.token, result });
        }
    }

    fn handle_lookup(&mut self, message: &Message<'_>, sink: &mut dyn FnMut(IpvsEvent)) {
        match message.content() {
            Ok(Content::Data) => match (genetlink::parse_family(message.payload, FAMILY), &mut self.lookup) {
                (Ok(found), Some(lookup)) => lookup.found = lookup.found.or(found),
                (Ok(_), None) => {}
                (Err(malformed), _) => log::debug!("generic netlink: {malformed}"),
            },
            Ok(Content::Done { .. }) => self.finish_lookup(sink),
            Ok(Content::Reply { errno, .. }) if errno != 0 => {
                self.handle_absence(cut(format_args!("generic netlink: {}", refusal(errno))), sink);
            }
            Ok(Content::Reply { .. } | Content::Noop | Content::Overrun) => {}
            Err(malformed) => log::debug!("generic netlink: {malformed}"),
        }
    }

    fn finish_lookup(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        let Some(found) = self.lookup.take().map(|lookup| lookup.found) else { return };
        match (found, self.family) {
            (None, _) => self.handle_absence(cut(format_args!("{NOT_THERE}")), sink),
            // The family is as it was: what was not found was an entry.
            (Some(id), Some(old)) if id == old && !self.suspects.is_empty() => {
                for Suspect { token, needs } in self.suspects.drain(..) {
                    self.lacking.extend(needs);
                    sink(IpvsEvent::Done { token, result: Err(Refusal::NotFound) });
                }
            }
            (Some(id), old) => {
                // A module that was loaded anew has an empty table: what was asked is out of date (B-95).
                if old.is_some_and(|old| old != id) {
                    self.interrupt_all(sink);
                }
                self.family = Some(id);
                sink(IpvsEvent::Ready { sockopt: false });
            }
        }
    }

    /// The family cannot be had: everything that was asked ends.
    pub(super) fn handle_absence(&mut self, why: Text, sink: &mut dyn FnMut(IpvsEvent)) {
        self.family = None;
        self.lookup = None;
        self.interrupt_all(sink);
        sink(IpvsEvent::Absent { why });
    }

    fn interrupt_all(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        self.interrupt_flying(sink);
        for (token, request) in self.queue.drain(..) {
            // That one is answered by what follows.
            if request != IpvsRequest::Resolve {
                sink(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
            }
        }
    }

    fn interrupt_flying(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        let suspects = self.suspects.drain(..).map(|suspect| suspect.token);
        for token in suspects.chain(self.flying.drain(..).map(|flying| flying.token)) {
            sink(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
        }
    }

    /// Answers were lost: nothing is known of what is on its way.
    pub(super) fn handle_loss(&mut self, sink: &mut dyn FnMut(IpvsEvent)) {
        if self.lookup.is_some() {
            self.handle_absence(cut(format_args!("generic netlink does not answer")), sink);
        } else {
            self.interrupt_flying(sink);
        }
    }

    /// The batch could not be sent.
    pub(super) fn handle_send_failure(&mut self, errno: i32, sink: &mut dyn FnMut(IpvsEvent)) {
        if self.lookup.is_some() {
            self.handle_absence(cut(format_args!("generic netlink: {}", refusal(errno))), sink);
        }
        for flying in self.flying.drain(..) {
            sink(IpvsEvent::Done { token: flying.token, result: Err(refusal(errno)) });
        }
    }

    /// Gives up what is not answered in time. True: the socket may still have a part of it.
    pub(super) fn handle_timeout(&mut self, now: Instant, sink: &mut dyn FnMut(IpvsEvent)) -> bool {
        let is_late = self.is_waiting() && self.heard_at.is_none_or(|at| now >= at + ANSWER_TIMEOUT);
        if is_late {
            self.handle_loss(sink);
        }
        is_late
    }
}

/// Tells what a message of the family says.
fn tell(kind: &Kind, payload: &[u8], sink: &mut dyn FnMut(IpvsEvent)) -> Result<(), Malformed> {
    match kind {
        Kind::Services => ipvs::parse_service(payload)?.map(IpvsEvent::Service).into_iter().for_each(sink),
        Kind::Destinations(key) => {
            sink(IpvsEvent::Destination(*key, ipvs::parse_destination(payload, key.is_ipv6())?));
        }
        Kind::Timeouts => sink(IpvsEvent::Timeouts(ipvs::parse_timeouts(payload)?)),
        Kind::Daemons => {
            let (role, daemon) = ipvs::parse_daemon(payload)?;
            sink(IpvsEvent::Daemon(role, daemon));
        }
        Kind::Command | Kind::Service(_) => {}
    }
    Ok(())
}

/// A service that changes its scheduler makes the kernel wait, inside the send, until nobody uses the old one
/// any more (`synchronize_rcu` in `ip_vs_edit_service`): some 10 ms each. One in a turn, so that adverts go
/// out in between (law 1).
fn is_slow(request: &IpvsRequest) -> bool {
    match request {
        IpvsRequest::SetService(_) => true,
        IpvsRequest::Resolve
        | IpvsRequest::DumpServices
        | IpvsRequest::DumpDestinations(_)
        | IpvsRequest::NewService(_)
        | IpvsRequest::DelService(_)
        | IpvsRequest::NewDestination(..)
        | IpvsRequest::SetDestination(..)
        | IpvsRequest::DelDestination(..)
        | IpvsRequest::Whole(_) => false,
    }
}

fn emit(batch: &mut Batch<'_>, family: u16, seq: u32, request: &IpvsRequest) -> Result<(), NoRoom> {
    use DestinationCommand as Dest;
    match request {
        // Never handed in: it is no message of this family.
        IpvsRequest::Resolve => Ok(()),
        IpvsRequest::DumpServices => ipvs::emit_dump_services(batch, family, seq),
        IpvsRequest::DumpDestinations(key) => ipvs::emit_dump_destinations(batch, family, seq, key),
        IpvsRequest::NewService(s) => ipvs::emit_service(batch, family, seq, ServiceCommand::New, s),
        IpvsRequest::SetService(s) => ipvs::emit_service(batch, family, seq, ServiceCommand::Set, s),
        IpvsRequest::DelService(key) => ipvs::emit_del_service(batch, family, seq, key),
        IpvsRequest::NewDestination(key, d) => {
            ipvs::emit_destination(batch, family, seq, Dest::New, (key, d))
        }
        IpvsRequest::SetDestination(key, d) => {
            ipvs::emit_destination(batch, family, seq, Dest::Set, (key, d))
        }
        IpvsRequest::DelDestination(key, d) => {
            ipvs::emit_destination(batch, family, seq, Dest::Del, (key, d))
        }
        IpvsRequest::Whole(WholeRequest::GetTimeouts) => ipvs::emit_get_timeouts(batch, family, seq),
        IpvsRequest::Whole(WholeRequest::SetTimeouts(t)) => ipvs::emit_set_timeouts(batch, family, seq, t),
        IpvsRequest::Whole(WholeRequest::DumpDaemons) => ipvs::emit_dump_daemons(batch, family, seq),
        IpvsRequest::Whole(WholeRequest::NewDaemon(role, daemon)) => {
            ipvs::emit_new_daemon(batch, family, seq, (*role, daemon))
        }
        IpvsRequest::Whole(WholeRequest::DelDaemon(role)) => ipvs::emit_del_daemon(batch, family, seq, *role),
    }
}

#[cfg(test)]
mod tests;
