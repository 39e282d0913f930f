//! A kernel with links, addresses, routes and rules, and whoever uses it.

use super::*;
use crate::engine::{Actions, Desk, History, Link, LinkKind, LinkName, Mailer, Name, Notifier};
use crate::model::{Cidr, Config, RouteKind, RuleAction, Scope, TABLE_MAIN};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

/// Not ours.
pub(super) const OTHERS: bool = false;

pub(super) type Set = (Vec<Route>, Vec<Rule>);

/// A notification on its way.
#[derive(Debug)]
enum Told {
    Link(Link),
    LinkGone(u32),
    Address(IpAddr, bool),
    Route(KernelRoute, bool),
    Rule(Rule, bool, bool),
    Start,
    End,
}

pub(super) struct Kernel {
    pub(super) now: Instant,
    desk: Desk,
    actions: Actions,
    links: Links,
    pub(super) sets: Vec<Routes>,
    told: VecDeque<Told>,
    lines: Vec<String>,
    asked: Vec<String>,
    pub(super) real: BTreeMap<u32, Link>,
    addresses: BTreeSet<IpAddr>,
    pub(super) routes: Vec<KernelRoute>,
    pub(super) rules: Vec<(Rule, bool)>,
    pub(super) refused: Option<Refusal>,
    /// Refuses one in so many.
    pub(super) refused_one_in: Option<u64>,
    /// Loses every notification until the next dump.
    pub(super) is_deaf: bool,
    /// Tells nothing of routes.
    pub(super) is_silent: bool,
    asks: u64,
}

impl Kernel {
    /// Interfaces lo (1), eth0 (2), eth1 (3).
    pub(super) fn new(sets: &[Set]) -> Self {
        let mut kernel = Kernel {
            now: Instant::from_secs(1000),
            desk: desk(),
            actions: Actions::new(),
            links: Links::default(),
            sets: Vec::new(),
            told: VecDeque::new(),
            lines: Vec::new(),
            asked: Vec::new(),
            real: (1..).zip(["lo", "eth0", "eth1"]).map(|(i, name)| (i, link(i, name, true))).collect(),
            addresses: BTreeSet::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            refused: None,
            refused_one_in: None,
            is_deaf: false,
            is_silent: false,
            asks: 0,
        };
        kernel.restart(sets);
        kernel
    }

    /// kill -9 and a new run. The first set is the one that finds left-overs.
    pub(super) fn restart(&mut self, sets: &[Set]) {
        self.desk = desk();
        self.links = Links::default();
        self.told.clear();
        self.sets = sets.iter().map(|(routes, rules)| Routes::new(routes, rules, None)).collect();
        self.dump();
    }

    // ---- what the engine does

    /// Returns in how many batches.
    pub(super) fn want(&mut self, set: usize, wanted: bool) -> usize {
        self.sets[set].want(self.now, wanted);
        self.settle()
    }

    pub(super) fn reconfigure(&mut self, set: usize, routes: &[Route], rules: &[Rule]) {
        self.sets[set].reconfigure(self.now, routes, rules, None);
        self.settle();
    }

    pub(super) fn adopt(&mut self, gone: usize) {
        let routes = self.sets.remove(gone);
        self.sets[0].adopt(self.now, routes);
        self.settle();
    }

    pub(super) fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        self.settle();
        while let Some(at) = self.deadline().filter(|at| *at <= end) {
            self.now = at;
            self.settle();
        }
        self.now = end;
    }

    fn deadline(&self) -> Option<Instant> {
        self.sets.iter().filter_map(Routes::next_deadline).min()
    }

    /// Until nothing is due; the number of batches.
    fn settle(&mut self) -> usize {
        let mut turns = 0;
        loop {
            while let Some(told) = self.told.pop_front() {
                self.hear(told);
            }
            if self.deadline().is_none_or(|at| at > self.now) {
                return turns;
            }
            assert!(turns < 1000, "it spins: {:?}", self.sets);
            for at in 0..self.sets.len() {
                if self.sets[at].next_deadline().is_some_and(|due| due <= self.now) {
                    let mut cx = self.desk.cx(&self.links, &mut self.actions);
                    self.sets[at].converge(self.now, &mut cx);
                    let asks = self.actions.iter().filter(|a| !matches!(a, Action::Redump)).count();
                    assert!(asks <= limits::ADDRESS_BATCH, "{asks} changes before the next advert");
                    turns += usize::from(asks > 0);
                    self.act();
                }
            }
        }
    }

    fn hear(&mut self, told: Told) {
        let (now, mut known) = (self.now, false);
        match told {
            Told::Link(link) => {
                self.links.set(link);
                self.sets.iter_mut().for_each(|s| s.handle_links(now, &self.links));
            }
            Told::LinkGone(index) => {
                self.links.remove(index);
                self.sets.iter_mut().for_each(|s| s.handle_links(now, &self.links));
            }
            Told::Address(address, present) => {
                self.sets.iter_mut().for_each(|s| s.handle_address(now, address, present));
            }
            Told::Route(route, present) => {
                let mut cx = self.desk.cx(&self.links, &mut self.actions);
                let is_wanted = self.sets.iter().any(|s| s.wants_route(&route));
                for set in &mut self.sets {
                    known |= set.handle_route(now, &route, present, is_wanted, &mut cx);
                }
                if present && route.ours && !known {
                    self.sets[0].handle_stray_route(now, &route);
                }
            }
            Told::Rule(rule, ours, present) => {
                let mut cx = self.desk.cx(&self.links, &mut self.actions);
                for set in &mut self.sets {
                    known |= set.handle_rule(now, &rule, ours, present, &mut cx);
                }
                if present && ours && !known {
                    self.sets[0].handle_stray_rule(now, &rule);
                }
            }
            Told::Start => {
                self.links.forget_seen();
                self.sets.iter_mut().for_each(Routes::dump_start);
            }
            Told::End => {
                self.links.drop_unseen();
                for set in &mut self.sets {
                    set.handle_links(now, &self.links);
                    set.dump_end(now);
                }
            }
        }
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.actions.take() {
            match action {
                Action::ChangeRoute { token, op, index, route } => {
                    self.asked.push(format!("{} {}", word(op), Item::Route(route.clone())));
                    let result = self.refuse().map_or_else(|| self.change_route(op, index, &route), Err);
                    self.answer(token, result);
                }
                Action::ChangeRule { token, op, rule } => {
                    self.asked.push(format!("{} {}", word(op), Item::Rule(rule.clone())));
                    let result = self.refuse().map_or_else(|| self.change_rule(op, &rule), Err);
                    self.answer(token, result);
                }
                Action::Redump => self.tell_all(),
                Action::Note { number } => {
                    let note = self.desk.history.get(number).unwrap();
                    self.lines.push(format!("{} {}: {}", note.kind, note.subject, note.text));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, token: u32, result: Result<(), Refusal>) {
        let mut cx = self.desk.cx(&self.links, &mut self.actions);
        let (now, mut takers) = (self.now, 0);
        for set in &mut self.sets {
            takers += usize::from(set.handle_result(now, token, result, "VI", &mut cx));
        }
        assert!(takers <= 1, "a token is one set's");
    }

    fn refuse(&mut self) -> Option<Refusal> {
        self.asks += 1;
        let by_chance = self.refused_one_in.filter(|n| self.asks.is_multiple_of(*n));
        self.refused.or(by_chance.map(|_| Refusal::Busy))
    }

    // ---- what the kernel does

    fn change_route(&mut self, op: AddressOp, index: u32, route: &Route) -> Result<(), Refusal> {
        let is_ipv6 = route.destination.address.is_ipv6();
        let metric = route.metric.unwrap_or(if is_ipv6 { 1024 } else { 0 });
        let wanted = (route.destination, route.table, metric);
        let same = |r: &KernelRoute| (r.destination, r.table, r.metric) == wanted;
        if op == AddressOp::Remove {
            let is_it = |r: &KernelRoute| {
                same(r)
                    && r.ours
                    && r.kind == Some(route.kind)
                    && r.gateway == route.gateway
                    && (index == 0 || r.index == index)
            };
            let at = self.routes.iter().position(is_it).ok_or(Refusal::NotFound)?;
            let gone = self.routes.remove(at);
            self.tell(Told::Route(gone, false));
            return Ok(());
        }
        let on = match (index, route.gateway) {
            (0, Some(_)) => 2,
            (0, None) if route.kind == RouteKind::Unicast => return Err(Refusal::Invalid),
            (0, None) => u32::from(is_ipv6),
            (index, _) => index,
        };
        match self.real.get(&on) {
            _ if on == 0 => {}
            None if index == 0 => return Err(Refusal::Other(101)),
            None => return Err(Refusal::NoDevice),
            Some(link) if !link.up && index == 0 => return Err(Refusal::Other(101)),
            Some(link) if !link.up => return Err(Refusal::Down),
            Some(_) => {}
        }
        if route.source.is_some_and(|s| !self.addresses.contains(&s)) {
            return Err(Refusal::Invalid);
        }
        if self.routes.iter().any(same) {
            return Err(Refusal::Exists);
        }
        let is_on_link = !is_ipv6 && route.gateway.is_none() && route.kind == RouteKind::Unicast;
        let scope = if is_on_link { Scope::LINK } else { Scope::GLOBAL };
        self.insert(KernelRoute {
            destination: route.destination,
            kind: Some(route.kind),
            gateway: route.gateway,
            index: on,
            source: route.source,
            table: route.table,
            metric,
            scope: route.scope.unwrap_or(scope),
            ours: true,
        });
        Ok(())
    }

    fn insert(&mut self, route: KernelRoute) {
        self.routes.push(route);
        self.tell(Told::Route(route, true));
    }

    fn change_rule(&mut self, op: AddressOp, rule: &Rule) -> Result<(), Refusal> {
        let at = self.rules.iter().position(|(r, ours)| *ours && r == rule);
        match (op, at) {
            (AddressOp::Add, Some(_)) => return Err(Refusal::Exists),
            (AddressOp::Add, None) => self.rules.push((rule.clone(), true)),
            (AddressOp::Remove, None) => return Err(Refusal::NotFound),
            (AddressOp::Remove, Some(at)) => _ = self.rules.remove(at),
        }
        self.notify_rule(rule, true, op == AddressOp::Add);
        Ok(())
    }

    pub(super) fn notify_rule(&mut self, rule: &Rule, ours: bool, present: bool) {
        self.tell(Told::Rule(rule.clone(), ours, present));
    }

    fn tell(&mut self, told: Told) {
        let of_routes = matches!(told, Told::Route(..) | Told::Rule(..));
        let is_lost = self.is_deaf || (self.is_silent && of_routes);
        if !is_lost {
            self.told.push_back(told);
        }
    }

    fn tell_all(&mut self) {
        self.is_deaf = false;
        self.told.push_back(Told::Start);
        self.told.extend(self.real.values().map(|link| Told::Link(*link)));
        if !self.is_silent {
            self.told.extend(self.routes.iter().map(|route| Told::Route(*route, true)));
            self.told.extend(self.rules.iter().map(|(rule, ours)| Told::Rule(rule.clone(), *ours, true)));
        }
        self.told.push_back(Told::End);
    }

    // ---- what happens to the box

    pub(super) fn dump(&mut self) {
        self.tell_all();
        self.settle();
    }

    pub(super) fn set_link(&mut self, index: u32, name: &str, up: bool) {
        let link = link(index, name, up);
        self.real.insert(index, link);
        self.tell(Told::Link(link));
        if !up {
            self.flush(|r| r.index == index, |r| r.destination.address.is_ipv6());
        }
        self.settle();
    }

    pub(super) fn delete_link(&mut self, index: u32) {
        if let Some(link) = self.real.get(&index).copied() {
            self.set_link(index, link.name.as_str(), false);
            self.real.remove(&index);
            self.tell(Told::LinkGone(index));
            self.settle();
        }
    }

    /// IPv4 routes from an address go with it, without a word; IPv6 routes lose their source.
    pub(super) fn set_address(&mut self, address: IpAddr, present: bool) {
        self.tell(Told::Address(address, present));
        if present {
            self.addresses.insert(address);
        } else {
            self.addresses.remove(&address);
            let is_from = |r: &KernelRoute| r.source == Some(address);
            self.flush(|r| is_from(r) && address.is_ipv4(), |_| false);
            self.routes.iter_mut().filter(|r| is_from(r)).for_each(|r| r.source = None);
        }
        self.settle();
    }

    fn flush(&mut self, goes: impl Fn(&KernelRoute) -> bool, is_told: impl Fn(&KernelRoute) -> bool) {
        let gone: Vec<KernelRoute> = self.routes.extract_if(.., |r| goes(r)).collect();
        for route in gone.into_iter().filter(is_told) {
            self.tell(Told::Route(route, false));
        }
    }

    /// Somebody takes all routes away.
    pub(super) fn take_routes(&mut self) {
        self.flush(|_| true, |_| true);
        self.settle();
    }

    pub(super) fn take_route(&mut self, at: usize) {
        if at < self.routes.len() {
            let gone = self.routes.remove(at);
            self.tell(Told::Route(gone, false));
            self.settle();
        }
    }

    /// Somebody puts a route there.
    pub(super) fn put_route(&mut self, to: &str, interface: &str, gateway: Option<&str>) {
        let Some(link) = self.real.values().find(|l| l.name.as_str() == interface && l.up) else { return };
        let destination = cidr(to);
        let metric = if destination.address.is_ipv6() { 1024 } else { 0 };
        let new = KernelRoute {
            destination,
            kind: Some(RouteKind::Unicast),
            gateway: gateway.map(|g| g.parse().unwrap()),
            index: link.index,
            source: None,
            table: TABLE_MAIN,
            metric,
            scope: if gateway.is_none() && metric == 0 { Scope::LINK } else { Scope::GLOBAL },
            ours: OTHERS,
        };
        let place = |r: &KernelRoute| (r.destination, r.table, r.metric);
        if !self.routes.iter().any(|r| place(r) == place(&new)) {
            self.insert(new);
            self.settle();
        }
    }

    pub(super) fn put_rule(&mut self, rule: &Rule) {
        self.rules.push((rule.clone(), OTHERS));
        self.notify_rule(rule, OTHERS, true);
        self.settle();
    }

    pub(super) fn take_rule(&mut self, at: usize) {
        if at < self.rules.len() {
            let (rule, ours) = self.rules.remove(at);
            self.notify_rule(&rule, ours, false);
            self.settle();
        }
    }

    // ---- what the tests look at

    /// What has been asked of the kernel since the last look.
    pub(super) fn asked(&mut self) -> Vec<String> {
        core::mem::take(&mut self.asked)
    }

    pub(super) fn notes(&self) -> String {
        self.lines.join("\n")
    }
}

fn desk() -> Desk {
    Desk {
        history: History::new(),
        mailer: Mailer::new(None),
        notifier: Notifier::new(&Config::default()),
        claims: Claims::default(),
        unix: Duration::ZERO,
        router_name: Name::new(),
        host_name: Name::new(),
    }
}

const fn word(op: AddressOp) -> &'static str {
    match op {
        AddressOp::Add => "add",
        AddressOp::Remove => "remove",
    }
}

pub(super) fn link(index: u32, name: &str, up: bool) -> Link {
    Link {
        index,
        name: LinkName::new(name),
        up,
        running: up,
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        kind: LinkKind::Other,
        forwards_ipv6: false,
    }
}

pub(super) fn cidr(text: &str) -> Cidr {
    if text == "default" {
        return Cidr { address: Ipv4Addr::UNSPECIFIED.into(), prefix_len: 0 };
    }
    let (address, len) = text.split_once('/').unwrap();
    Cidr { address: address.parse().unwrap(), prefix_len: len.parse().unwrap() }
}

pub(super) fn route(to: &str, interface: &str) -> Route {
    Route {
        destination: cidr(to),
        kind: RouteKind::Unicast,
        gateway: None,
        interface: (!interface.is_empty()).then(|| interface.try_into().unwrap()),
        source: None,
        table: TABLE_MAIN,
        metric: None,
        scope: None,
        on_link: false,
        mtu: None,
        no_track: false,
    }
}

/// Looks up the table of its own number.
pub(super) fn rule(priority: u32) -> Rule {
    Rule {
        is_ipv6: false,
        from: None,
        to: None,
        input: None,
        output: None,
        fwmark: None,
        tos: 0,
        priority,
        action: RuleAction::Table(priority),
        no_track: false,
    }
}
