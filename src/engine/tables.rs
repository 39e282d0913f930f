//! The kernel's routes and rules, and the static addresses: who is told of them, and who asks for them.

use super::event::earlier;
use super::routes::Routes;
use super::{Action, Actions, AddressChange, Engine, KernelRoute, LinkName, Phase, Refusal, STATIC};
use crate::model::{Cidr, Config, Rule, Text};
use crate::time::Instant;

impl Engine {
    /// A route came or went. What a vipd made and nobody knows is what an earlier run left.
    pub(super) fn handle_route(
        &mut self,
        now: Instant,
        route: &KernelRoute,
        is_present: bool,
        actions: &mut Actions,
    ) {
        let mut cx = self.desk.cx(&self.links, actions);
        self.trackers.handle_route(now, route, is_present, &self.links, &mut cx);
        let is_wanted = self.static_routes.wants_route(route)
            || self.instances.iter().any(|i| i.routes.wants_route(route));
        let mut is_known = self.static_routes.handle_route(now, route, is_present, is_wanted, &mut cx);
        for i in &mut self.instances {
            is_known |= i.routes.handle_route(now, route, is_present, is_wanted, &mut cx);
        }
        if is_present && route.ours && !is_known {
            self.static_routes.handle_stray_route(now, route);
        }
    }

    /// A rule came or went.
    pub(super) fn handle_rule(
        &mut self,
        now: Instant,
        rule: &Rule,
        ours: bool,
        is_present: bool,
        actions: &mut Actions,
    ) {
        let mut cx = self.desk.cx(&self.links, actions);
        let mut is_known = self.static_routes.handle_rule(now, rule, ours, is_present, &mut cx);
        for i in &mut self.instances {
            is_known |= i.routes.handle_rule(now, rule, ours, is_present, &mut cx);
        }
        if is_present && ours && !is_known {
            self.static_routes.handle_stray_rule(now, rule);
        }
    }

    pub(super) fn handle_route_result(
        &mut self,
        now: Instant,
        token: u32,
        result: Result<(), Refusal>,
        actions: &mut Actions,
    ) {
        let mut cx = self.desk.cx(&self.links, actions);
        if !self.static_routes.handle_result(now, token, result, STATIC, &mut cx) {
            for i in &mut self.instances {
                if i.routes.handle_result(now, token, result, &i.config.name, &mut cx) {
                    break;
                }
            }
        }
    }

    /// Interfaces came, went or changed. Before the first whole telling nobody looks.
    pub(super) fn look_at_tables(&mut self, now: Instant) {
        if self.phase == Phase::Waiting {
            return;
        }
        self.statics.handle_links(now, &self.links);
        self.static_routes.handle_links(now, &self.links);
        for i in &mut self.instances {
            i.routes.handle_links(now, &self.links);
        }
    }

    /// An address of the interface `name` came or went: what it is to those who look for a source, for whom a
    /// static address is as good as any other.
    pub(super) fn handle_table_address(
        &mut self,
        now: Instant,
        index: u32,
        name: &LinkName,
        cidr: &Cidr,
        change: AddressChange,
    ) -> AddressChange {
        self.statics.handle_address(now, index, name.as_str(), cidr, change);
        let is_present = change != AddressChange::Gone;
        self.static_routes.handle_address(now, cidr.address, is_present);
        for i in &mut self.instances {
            i.routes.handle_address(now, cidr.address, is_present);
        }
        match change {
            AddressChange::Present { ours, secondary } => {
                AddressChange::Present { ours: ours && !self.statics.has(name.as_str(), cidr), secondary }
            }
            AddressChange::Gone => AddressChange::Gone,
        }
    }

    /// The kernel's tables have been told whole.
    pub(super) fn tables_told(&mut self, now: Instant) {
        self.look_at_tables(now);
        self.statics.dump_end(now);
        self.static_routes.dump_end(now);
    }

    /// When is [`Self::converge_tables`] due? Before the first whole telling it is not.
    pub(super) fn tables_deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Waiting {
            return None;
        }
        let instances = self.instances.iter().filter_map(|i| i.routes.next_deadline()).min();
        earlier(instances, earlier(self.statics.next_deadline(), self.static_routes.next_deadline()))
    }

    /// Asks for what is due: static addresses before static routes (RTNL-34).
    pub(super) fn converge_tables(&mut self, now: Instant, actions: &mut Actions) {
        if self.phase == Phase::Waiting {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut cx = self.desk.cx(&self.links, actions);
        for i in &mut self.instances {
            if is_due(i.routes.next_deadline()) {
                i.routes.converge(now, &mut cx);
            }
        }
        let is_leaving = matches!(self.phase, Phase::Leaving { .. });
        if is_leaving && is_due(self.static_routes.next_deadline()) {
            self.static_routes.converge(now, &mut cx);
        }
        if is_due(self.statics.next_deadline()) {
            self.statics.converge(now, &mut cx);
        }
        if is_due(self.static_routes.next_deadline()) {
            self.static_routes.converge(now, &mut cx);
        }
    }

    /// A reload changes the static ones, and takes over what instances leave that are no more.
    pub(super) fn reload_tables(&mut self, now: Instant, config: &Config, gone: Vec<Routes>) {
        let is_vip =
            |cidr: &Cidr| config.instances.iter().any(|i| i.all_addresses().any(|a| a.cidr == *cidr));
        self.statics.reconfigure(now, &config.static_addresses, is_vip);
        self.static_routes.reconfigure(now, &config.static_routes, &config.static_rules, None);
        for routes in gone {
            self.static_routes.adopt(now, routes);
        }
        self.look_at_tables(now);
    }

    /// The daemon ends: rules, routes, addresses, in this order (RTNL-34).
    pub(super) fn shutdown_tables(&mut self, now: Instant, actions: &mut Actions) {
        self.static_routes.want(now, false);
        self.statics.want(now, false);
        self.converge_tables(now, actions);
    }

    /// Is nothing of ours left there?
    pub(super) fn has_clean_tables(&self) -> bool {
        self.statics.is_clean()
            && self.static_routes.is_clean()
            && self.instances.iter().all(|i| i.routes.is_clean())
    }

    /// What somebody should look at.
    pub(super) fn table_problems(&self, now: Instant, problems: &mut Vec<Text>) {
        self.statics.problems(problems);
        self.static_routes.problems(now, STATIC, problems);
        for i in &self.instances {
            i.routes.problems(now, &i.config.name, problems);
        }
    }

    /// Asks for notifications of routes and rules where anybody needs them.
    pub(super) fn watch_routes(&mut self, actions: &mut Actions) {
        for i in &mut self.instances {
            i.routes.set_interval(i.config.advert_interval);
        }
        let (routes, _) = self.wanted_tables();
        self.trackers.watch_routes(routes);
        self.watch(actions);
    }

    /// What an earlier run left has been told, once, for it can be there though nobody wants routes now. Only
    /// what is needed is watched from here on.
    pub(super) fn end_first_look(&mut self, actions: &mut Actions) {
        if core::mem::take(&mut self.is_first_look) {
            self.watch(actions);
        }
    }

    fn watch(&mut self, actions: &mut Actions) {
        let wanted = if self.is_first_look { (true, true) } else { self.wanted_tables() };
        if core::mem::replace(&mut self.watched, wanted) != wanted {
            let (routes, rules) = wanted;
            actions.push(Action::WatchRoutes { routes, rules });
        }
    }

    /// Does anybody need routes, rules?
    fn wanted_tables(&self) -> (bool, bool) {
        let (mut routes, mut rules) = self.static_routes.wants();
        routes |= self.trackers.wants_routes();
        for i in &self.instances {
            let (r, p) = i.routes.wants();
            (routes, rules) = (routes || r, rules || p);
        }
        (routes, rules)
    }
}
