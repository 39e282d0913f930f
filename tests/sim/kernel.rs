//! The kernel of a node, played: links, addresses with leases, routes, rules, and what it tells of them.

use std::collections::VecDeque;
use std::net::IpAddr;
use vipd::engine::{AddressChange, AddressOp, KernelRoute, Link, LinkKind, LinkName, Refusal};
use vipd::model::{Cidr, Route, RouteKind, Rule, Scope};
use vipd::time::{Duration, Instant};

/// From a change to its notification.
const NOTICE_DELAY: Duration = Duration::from_micros(200);

/// An address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) index: u32,
    pub(crate) cidr: Cidr,
    pub(crate) until: Option<Instant>,
    pub(crate) ours: bool,
}

/// A notification on its way to the engine.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Link(Link),
    LinkGone(u32),
    Address(u32, Cidr, AddressChange),
    Route(KernelRoute, bool),
    Rule(Rule, bool),
}

#[derive(Debug, Default)]
pub(crate) struct Kernel {
    pub(crate) links: Vec<Link>,
    pub(crate) held: Vec<Held>,
    /// All of them ours.
    pub(crate) routes: Vec<KernelRoute>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) notices: VecDeque<(Instant, Notice)>,
    /// The engine listens, and nothing was lost.
    pub(crate) is_heard: bool,
    /// Notifications of routes and rules are wanted.
    pub(crate) watched: (bool, bool),
    next_index: u32,
}

impl Kernel {
    pub(crate) fn tell(&mut self, now: Instant, notice: Notice) {
        let wanted = match notice {
            Notice::Link(_) | Notice::LinkGone(_) | Notice::Address(..) => true,
            Notice::Route(..) => self.watched.0,
            Notice::Rule(..) => self.watched.1,
        };
        if self.is_heard && wanted {
            self.notices.push_back((now + NOTICE_DELAY, notice));
        }
    }

    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|l| l.index == index)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name.as_str() == name)
    }

    /// The interface that a frame of `index` leaves by.
    pub(crate) fn base_of(&self, index: u32) -> Option<&Link> {
        let link = self.link(index)?;
        match link.kind {
            LinkKind::Macvlan { parent, .. } => self.link(parent),
            LinkKind::Other | LinkKind::BridgePort { .. } => Some(link),
        }
    }

    /// A new interface, up, with its own addresses.
    pub(crate) fn plug(&mut self, now: Instant, name: &str, mac: [u8; 6], own: &[Cidr]) {
        self.next_index += 1;
        let index = self.next_index + 1;
        let link = Link {
            index,
            name: LinkName::new(name),
            up: true,
            running: true,
            mac: Some(mac),
            mtu: 1500,
            kind: LinkKind::Other,
            forwards_ipv6: true,
        };
        self.links.push(link);
        self.tell(now, Notice::Link(link));
        for cidr in own {
            self.held.push(Held { index, cidr: *cidr, until: None, ours: false });
            let change = AddressChange::Present { ours: false, secondary: false };
            self.tell(now, Notice::Address(index, *cidr, change));
        }
    }

    /// The interface goes, and all that is on it.
    pub(crate) fn unplug(&mut self, now: Instant, index: u32) {
        let children = |l: &&Link| matches!(l.kind, LinkKind::Macvlan { parent, .. } if parent == index);
        let children: Vec<u32> = self.links.iter().filter(children).map(|l| l.index).collect();
        for index in children.into_iter().chain([index]) {
            self.set_up(now, index, false, false);
            let gone: Vec<Held> = self.held.extract_if(.., |h| h.index == index).collect();
            for held in gone {
                self.tell(now, Notice::Address(index, held.cidr, AddressChange::Gone));
            }
            self.links.retain(|l| l.index != index);
            self.tell(now, Notice::LinkGone(index));
        }
    }

    /// Down, an interface loses its routes (IPv4 without a word) and, but for its own, IPv6 addresses; its
    /// macvlans lose their carrier.
    pub(crate) fn set_up(&mut self, now: Instant, index: u32, up: bool, running: bool) {
        let Some(link) = self.links.iter_mut().find(|l| l.index == index) else { return };
        let was_up = link.up;
        (link.up, link.running) = (up, up && running);
        let (link, is_macvlan) = (*link, matches!(link.kind, LinkKind::Macvlan { .. }));
        self.tell(now, Notice::Link(link));
        if was_up && !up {
            let gone: Vec<KernelRoute> = self.routes.extract_if(.., |r| r.index == index).collect();
            for route in gone.into_iter().filter(|r| r.destination.address.is_ipv6()) {
                self.tell(now, Notice::Route(route, false));
            }
            let goes = |h: &mut Held| h.index == index && h.cidr.address.is_ipv6() && (h.ours || is_macvlan);
            let gone: Vec<Held> = self.held.extract_if(.., goes).collect();
            for held in gone {
                self.address_gone(now, held);
            }
        }
        let of_it = |l: &Link| matches!(l.kind, LinkKind::Macvlan { parent, .. } if parent == index);
        let mut changed = Vec::new();
        for child in self.links.iter_mut().filter(|l| of_it(l)) {
            let runs = child.up && link.running;
            if child.running != runs {
                child.running = runs;
                changed.push(*child);
            }
        }
        changed.into_iter().for_each(|child| self.tell(now, Notice::Link(child)));
    }

    pub(crate) fn rename(&mut self, now: Instant, index: u32, name: &str) {
        if let Some(link) = self.links.iter_mut().find(|l| l.index == index) {
            link.name = LinkName::new(name);
            let link = *link;
            self.tell(now, Notice::Link(link));
        }
    }

    pub(crate) fn make_macvlan(
        &mut self,
        now: Instant,
        parent: u32,
        name: LinkName,
        mac: [u8; 6],
    ) -> Result<(), Refusal> {
        let kind = LinkKind::Macvlan { parent, is_private: true };
        if let Some(old) = self.links.iter().find(|l| l.name == name) {
            return if old.kind == kind && old.mac == Some(mac) { Ok(()) } else { Err(Refusal::Exists) };
        }
        let base = *self.link(parent).ok_or(Refusal::NoDevice)?;
        self.next_index += 1;
        let index = self.next_index + 1;
        let link = Link { index, name, up: false, running: false, mac: Some(mac), kind, ..base };
        self.links.push(link);
        self.tell(now, Notice::Link(link));
        Ok(())
    }

    pub(crate) fn change_address(
        &mut self,
        now: Instant,
        (index, cidr): (u32, Cidr),
        op: AddressOp,
        until: Option<Instant>,
    ) -> Result<(), Refusal> {
        self.link(index).ok_or(Refusal::NoDevice)?;
        let at = self.held.iter().position(|h| (h.index, h.cidr) == (index, cidr));
        match (op, at) {
            (AddressOp::Add, at) => {
                match at.and_then(|at| self.held.get_mut(at)) {
                    Some(held) => held.until = until,
                    None => self.held.push(Held { index, cidr, until, ours: true }),
                }
                let change = AddressChange::Present { ours: true, secondary: false };
                self.tell(now, Notice::Address(index, cidr, change));
            }
            (AddressOp::Remove, at) => {
                let held = self.held.remove(at.ok_or(Refusal::NotFound)?);
                self.address_gone(now, held);
            }
        }
        Ok(())
    }

    /// Routes from it go with it, without a word; IPv6 routes stay without it.
    fn address_gone(&mut self, now: Instant, held: Held) {
        self.tell(now, Notice::Address(held.index, held.cidr, AddressChange::Gone));
        let source = held.cidr.address;
        if self.held.iter().any(|h| h.cidr.address == source) {
            return;
        }
        if source.is_ipv4() {
            self.routes.retain(|r| r.source != Some(source));
        }
        self.routes.iter_mut().filter(|r| r.source == Some(source)).for_each(|r| r.source = None);
    }

    /// Leases that have run out.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.next_expiry().is_some_and(|at| at <= now) {
            let out = |h: &mut Held| h.until.is_some_and(|at| at <= now);
            let gone: Vec<Held> = self.held.extract_if(.., out).collect();
            gone.into_iter().for_each(|held| self.address_gone(now, held));
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.held.iter().filter_map(|h| h.until).min()
    }

    /// Somebody takes number `at` of ours away.
    pub(crate) fn take_address(&mut self, now: Instant, at: usize) {
        let ours: Vec<usize> = (0..self.held.len()).filter(|n| self.held[*n].ours).collect();
        if let Some(at) = ours.get(at % ours.len().max(1)) {
            let held = self.held.remove(*at);
            self.address_gone(now, held);
        }
    }

    pub(crate) fn take_route(&mut self, now: Instant) {
        if let Some(route) = self.routes.pop() {
            self.tell(now, Notice::Route(route, false));
        } else if let Some(rule) = self.rules.pop() {
            self.tell(now, Notice::Rule(rule, false));
        }
    }

    pub(crate) fn change_route(
        &mut self,
        now: Instant,
        op: AddressOp,
        index: u32,
        route: &Route,
    ) -> Result<(), Refusal> {
        let is_ipv6 = route.destination.address.is_ipv6();
        let metric = route.metric.unwrap_or(if is_ipv6 { 1024 } else { 0 });
        let place = (route.destination, route.table, metric);
        let same = |r: &KernelRoute| (r.destination, r.table, r.metric) == place;
        if op == AddressOp::Remove {
            let is_it =
                |r: &KernelRoute| same(r) && r.gateway == route.gateway && (index == 0 || r.index == index);
            let at = self.routes.iter().position(is_it).ok_or(Refusal::NotFound)?;
            let gone = self.routes.remove(at);
            self.tell(now, Notice::Route(gone, false));
            return Ok(());
        }
        if route.kind == RouteKind::Unicast && !self.link(index).ok_or(Refusal::NoDevice)?.up {
            return Err(Refusal::Down);
        }
        if route.source.is_some_and(|s| !self.held.iter().any(|h| h.cidr.address == s)) {
            return Err(Refusal::Invalid);
        }
        if self.routes.iter().any(same) {
            return Err(Refusal::Exists);
        }
        let new = KernelRoute {
            destination: route.destination,
            kind: Some(route.kind),
            gateway: route.gateway,
            index,
            source: route.source,
            table: route.table,
            metric,
            scope: if is_ipv6 || route.gateway.is_some() { Scope::GLOBAL } else { Scope::LINK },
            ours: true,
        };
        self.routes.push(new);
        self.tell(now, Notice::Route(new, true));
        Ok(())
    }

    pub(crate) fn change_rule(&mut self, now: Instant, op: AddressOp, rule: &Rule) -> Result<(), Refusal> {
        let at = self.rules.iter().position(|r| r == rule);
        match (op, at) {
            (AddressOp::Add, Some(_)) => return Err(Refusal::Exists),
            (AddressOp::Add, None) => self.rules.push(rule.clone()),
            (AddressOp::Remove, None) => return Err(Refusal::NotFound),
            (AddressOp::Remove, Some(at)) => _ = self.rules.remove(at),
        }
        self.tell(now, Notice::Rule(rule.clone(), op == AddressOp::Add));
        Ok(())
    }

    /// Who has this address of his own on an interface that works?
    pub(crate) fn is_at(&self, address: IpAddr, index: u32) -> bool {
        self.held.iter().any(|h| h.index == index && h.cidr.address == address)
    }
}
