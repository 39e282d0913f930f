//! What comes from outside and is no result of a probe: addresses of names, addresses of this box, what the
//! operator wants.

use super::names::{Answer, Found};
use super::presence::Seen;
use super::tell;
use super::verdict::Tell;
use super::{Balancer, Phase, check_at};
use crate::engine::{Action, Ctx, NameId};
use crate::model::{Cidr, Level, Reason, ServerAddress};
use crate::time::Instant;
use std::net::{IpAddr, SocketAddr};

impl Balancer {
    /// The operator wants a server to get no new connections, or to get them again.
    pub(in crate::engine) fn handle_drain(
        &mut self,
        now: Instant,
        (at, index): (usize, usize),
        draining: bool,
        cx: &mut Ctx<'_>,
    ) {
        match self.phase {
            Phase::New | Phase::Running => {}
            Phase::Leaving { .. } | Phase::Left => return,
        }
        let Some(service) = self.services.get_mut(at) else { return };
        let Some(server) = service.servers.get_mut(index) else { return };
        if core::mem::replace(&mut server.draining, draining) == draining {
            return;
        }
        tell::tell_drain(now, service, index, draining, cx);
        self.settle(now, at, cx);
        if self.phase == Phase::Running {
            self.table.run(now, cx);
        }
    }

    // ---- names

    /// Asks for the names that are due.
    pub(super) fn look_names_up(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        while let Some(lost) = self.names.tick(now, cx.actions) {
            let answer = self.names.give_up(now, lost);
            self.take_answer(now, answer, cx);
        }
    }

    /// A name was looked up.
    pub(in crate::engine) fn handle_resolved(
        &mut self,
        now: Instant,
        id: NameId,
        result: Result<Vec<IpAddr>, Reason>,
        cx: &mut Ctx<'_>,
    ) {
        if self.phase == Phase::Running {
            let answer = self.names.handle_answer(now, id, result);
            self.take_answer(now, answer, cx);
            self.table.run(now, cx);
        }
    }

    fn take_answer(&mut self, now: Instant, answer: Option<Answer>, cx: &mut Ctx<'_>) {
        let Some(answer) = answer else { return };
        let tell = match (&answer.found, answer.is_first) {
            (Found::Address(_), true) => Tell::Nothing,
            (Found::Failed(true), _) if answer.is_news => Tell::Reason,
            (Found::Address(_) | Found::Failed(true), _) => Tell::Changes,
            (Found::Same | Found::Failed(false), _) => return,
        };
        if let Found::Address(ip) = answer.found {
            for user in self.names.users.of(answer.number) {
                if let Some(place) = self.names.users.get(user) {
                    self.move_server(now, place.service as usize, place.server as usize, ip, cx);
                }
            }
        }
        let mut last = None;
        for user in self.names.users.of(answer.number) {
            let Some(at) = self.names.users.get(user).map(|place| place.service as usize) else { continue };
            // Servers of one service follow each other.
            if last.replace(at) != Some(at) {
                self.look_at_addresses(now, at, tell, cx);
            }
            // Not before: what a first answer brings is how the service begins.
            if answer.is_first
                && let Some(service) = self.services.get_mut(at)
            {
                service.unsettled = service.unsettled.saturating_sub(1);
                self.tell_start(now, at, cx);
            }
        }
    }

    /// The name of a server has another address. The new one takes its place in the table before the old one
    /// goes, as any other; what its probes have found out was about the old one.
    fn move_server(&mut self, now: Instant, at: usize, index: usize, ip: IpAddr, cx: &mut Ctx<'_>) {
        let Some(service) = self.services.get_mut(at) else { return };
        let name = &service.config.name;
        let (Some(config), Some(server)) =
            (service.config.servers.get(index), service.servers.get_mut(index))
        else {
            return;
        };
        let ServerAddress::Name { port, .. } = &config.address else { return };
        let address = SocketAddr::new(ip, *port);
        if let Some(old) = server.address.replace(address).filter(|old| *old != address) {
            let text = format_args!("{} is at {ip} now, no longer at {}", config.address, old.ip());
            cx.note(now, Level::Note, "server", name, text);
        }
        for check in 0..server.links.len() {
            let service = self.services.get(at);
            let server = service.and_then(|service| service.servers.get(index));
            let Some(number) = server.and_then(|server| server.links.get(check)?.probe) else { continue };
            let place = super::Place::new(at, index, check);
            if check_at(&self.services, place).is_some_and(|check| check.via.address.is_none()) {
                cx.actions.extend(self.forget(now, number));
            }
        }
    }

    /// Addresses of servers of a service came or changed: which of them take part, which are the same?
    fn look_at_addresses(&mut self, now: Instant, at: usize, tell: Tell, cx: &mut Ctx<'_>) {
        let Some(service) = self.services.get_mut(at) else { return };
        service.leave_out();
        let count = service.servers.len();
        for index in 0..count {
            self.activate(now, at, index, cx);
        }
        for index in 0..count {
            self.judge(now, at, index, tell, cx);
        }
        self.settle(now, at, cx);
    }

    // ---- which probes run

    /// Do the probes of a server run? Not while its service rests, or it has no address of its own.
    fn activate(&mut self, now: Instant, at: usize, index: usize, cx: &mut Ctx<'_>) {
        let Some(service) = self.services.get_mut(at) else { return };
        let suspended = service.suspended;
        let Some(server) = service.servers.get_mut(index) else { return };
        let active = server.is_active(suspended);
        if core::mem::replace(&mut server.active, active) == active {
            return;
        }
        for check in 0..server.links.len() {
            let server = self.services.get(at).and_then(|service| service.servers.get(index));
            let Some(number) = server.and_then(|server| server.links.get(check)?.probe) else { continue };
            if self.probes.activate(number, active) {
                cx.actions.extend(self.forget(now, number));
            }
        }
    }

    /// What a probe has found out is old: it counts until the next result, which decides alone. What ends the
    /// probe that is running.
    pub(super) fn forget(&mut self, now: Instant, number: u32) -> Option<Action> {
        if let Some(verdict) = self.probes.get(number).and_then(|probe| probe.checker.verdict()) {
            for user in self.probes.users.of(number) {
                let Some(place) = self.probes.users.get(user) else { continue };
                let service = self.services.get_mut(place.service as usize);
                let server = service.and_then(|service| service.servers.get_mut(place.server as usize));
                if let Some(link) = server.and_then(|server| server.links.get_mut(place.check as usize)) {
                    link.assumed = verdict;
                }
            }
        }
        let check = check_at(&self.services, self.probes.users.first(number)?)?;
        self.probes.start_over(now, number, check)
    }

    // ---- addresses of this box

    /// An address of an interface came or went.
    pub(in crate::engine) fn handle_address(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        is_present: bool,
        cx: &mut Ctx<'_>,
    ) {
        let seen = self.presence.handle(index, cidr.address, cidr.prefix_len, is_present);
        self.take_in(now, seen, cx);
    }

    /// An interface is gone.
    pub(in crate::engine) fn handle_link_gone(&mut self, now: Instant, index: u32, cx: &mut Ctx<'_>) {
        let seen: Vec<Seen> = self.presence.remove_link(index).filter(|s| *s != Seen::Nothing).collect();
        for seen in seen {
            self.take_in(now, seen, cx);
        }
    }

    fn take_in(&mut self, now: Instant, seen: Seen, cx: &mut Ctx<'_>) {
        if self.phase != Phase::Running {
            return;
        }
        match seen {
            Seen::Nothing => {}
            Seen::Doubtful => cx.actions.push(Action::Redump),
            Seen::Changed(number) => {
                for user in self.presence.users.of(number) {
                    if let Some(place) = self.presence.users.get(user) {
                        self.look_if_here(now, place.service as usize, cx);
                    }
                }
                self.table.run(now, cx);
            }
        }
    }

    /// The kernel's addresses are about to be told anew.
    pub(in crate::engine) fn dump_start(&mut self) {
        self.presence.dump_start();
    }

    /// They have been told.
    pub(in crate::engine) fn dump_end(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.presence.dump_end();
        if self.phase == Phase::Running {
            (0..self.services.len()).for_each(|at| self.look_if_here(now, at, cx));
            self.table.run(now, cx);
        }
    }

    /// Does a service rest, because none of its addresses is here, or does it wake?
    pub(super) fn look_if_here(&mut self, now: Instant, at: usize, cx: &mut Ctx<'_>) {
        let Some(service) = self.services.get_mut(at) else { return };
        let suspended = service.config.suspend && !self.presence.has(&service.config);
        if core::mem::replace(&mut service.suspended, suspended) == suspended {
            return;
        }
        let count = service.servers.len();
        for index in 0..count {
            self.activate(now, at, index, cx);
        }
        for index in 0..count {
            self.judge(now, at, index, Tell::Changes, cx);
        }
        self.settle(now, at, cx);
        self.want(at);
    }
}
