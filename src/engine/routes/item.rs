//! A route or a rule that should be in the kernel's tables: what makes it the one that the kernel tells.

use crate::engine::KernelRoute;
use crate::model::{
    Cidr, IfName, METRIC_IPV6, Route, RouteKind, Rule, RuleAction, Scope, TABLE_MAIN, Text, cut,
};
use core::fmt;
use std::net::IpAddr;

/// A route with the interface that it gets, or a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Route(Box<Route>),
    Rule(Box<Rule>),
}

/// What an entry of the kernel is to one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The same one.
    Same,
    /// Another one in the same place: the kernel takes only one of them.
    Rival,
    /// Nothing.
    None,
}

/// What two users of the same entry have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Key {
    Route(Cidr, u32, u32, [Option<IpAddr>; 2], Option<IfName>, u8),
    Rule(u32, bool, [Option<Cidr>; 2], [Option<IfName>; 2], Option<(u32, u32)>, u8, (u8, u32)),
}

impl Item {
    /// `interface`: that of the instance.
    pub(super) fn route(route: &Route, interface: Option<&IfName>) -> Self {
        let interface = route.interface_on(interface).cloned();
        Item::Route(Box::new(Route { interface, ..route.clone() }))
    }

    /// A net of length 0 is no condition, and the kernel tells none.
    pub(super) fn rule(rule: &Rule) -> Self {
        let is_one = |net: &Cidr| net.prefix_len > 0;
        Item::Rule(Box::new(Rule {
            from: rule.from.filter(is_one),
            to: rule.to.filter(is_one),
            ..rule.clone()
        }))
    }

    /// What a vipd left in the kernel, to be removed; `None` where no configuration can have asked for it.
    pub(super) fn left(route: &KernelRoute) -> Option<Self> {
        Some(Item::Route(Box::new(Route {
            destination: route.destination,
            kind: route.kind?,
            gateway: route.gateway,
            interface: None,
            source: route.source,
            table: route.table,
            metric: Some(route.metric).filter(|metric| *metric > 0),
            scope: Some(route.scope),
            on_link: false,
            mtu: None,
            no_track: false,
        })))
    }

    /// The interface that must be there and up before the kernel takes it.
    pub(super) fn interface(&self) -> Option<&IfName> {
        match self {
            Item::Route(route) => route.interface.as_ref(),
            Item::Rule(_) => None,
        }
    }

    /// For one that is left behind on an interface that has another name now.
    pub(super) fn without_interface(&self) -> Self {
        match self {
            Item::Route(route) => Item::Route(Box::new(Route { interface: None, ..(**route).clone() })),
            Item::Rule(rule) => Item::Rule(rule.clone()),
        }
    }

    /// Does it go when an interface goes down?
    pub(super) fn is_on_a_link(&self) -> bool {
        match self {
            Item::Route(route) => route.kind == RouteKind::Unicast,
            Item::Rule(_) => false,
        }
    }

    pub(super) fn source(&self) -> Option<IpAddr> {
        match self {
            Item::Route(route) => route.source,
            Item::Rule(_) => None,
        }
    }

    pub(super) const fn is_rule(&self) -> bool {
        matches!(self, Item::Rule(_))
    }

    pub(super) fn no_track(&self) -> bool {
        match self {
            Item::Route(route) => route.no_track,
            Item::Rule(rule) => rule.no_track,
        }
    }

    pub(super) fn set_no_track(&mut self, no_track: bool) {
        match self {
            Item::Route(route) => route.no_track = no_track,
            Item::Rule(rule) => rule.no_track = no_track,
        }
    }

    /// The same entry, whoever may take it away?
    pub(super) fn is_like(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Route(a), Item::Route(b)) => Route { no_track: b.no_track, ..(**a).clone() } == **b,
            (Item::Rule(a), Item::Rule(b)) => is_same_rule(a, b),
            (Item::Route(_), Item::Rule(_)) | (Item::Rule(_), Item::Route(_)) => false,
        }
    }

    /// Would the kernel take only one of the two?
    pub(super) fn is_in_the_way_of(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Route(a), Item::Route(b)) => a.place() == b.place(),
            (Item::Rule(_), _) | (_, Item::Rule(_)) => false,
        }
    }

    pub(super) fn likeness(&self, kernel: &KernelRoute, index: u32) -> Likeness {
        let Item::Route(route) = self else { return Likeness::None };
        let is_ipv6 = kernel.destination.address.is_ipv6();
        let metric = if kernel.metric == 0 && is_ipv6 { METRIC_IPV6 } else { kernel.metric };
        if route.place() != (kernel.destination, kernel.table, metric) {
            return Likeness::None;
        }
        // The kernel has no scopes for IPv6, and fills in what is not given.
        let is_same = kernel.kind == Some(route.kind)
            && route.gateway == kernel.gateway
            && (index == 0 || index == kernel.index)
            && route.source.is_none_or(|source| kernel.source == Some(source))
            && (is_ipv6 || route.scope.is_none_or(|scope| kernel.scope == scope));
        if is_same { Likeness::Same } else { Likeness::Rival }
    }

    pub(super) fn is_rule_of(&self, kernel: &Rule) -> bool {
        match self {
            Item::Rule(rule) => is_same_rule(rule, kernel),
            Item::Route(_) => false,
        }
    }

    pub(super) fn key(&self) -> Key {
        match self {
            Item::Route(route) => {
                let (destination, table, metric) = route.place();
                let kind = match route.kind {
                    RouteKind::Unicast => 0,
                    RouteKind::Blackhole => 1,
                    RouteKind::Unreachable => 2,
                    RouteKind::Prohibit => 3,
                    RouteKind::Throw => 4,
                };
                let addresses = [route.gateway, route.source];
                Key::Route(destination, table, metric, addresses, route.interface.clone(), kind)
            }
            Item::Rule(rule) => {
                let action = match rule.action {
                    RuleAction::Table(table) => (0, table),
                    RuleAction::Blackhole => (1, 0),
                    RuleAction::Unreachable => (2, 0),
                    RuleAction::Prohibit => (3, 0),
                };
                Key::Rule(
                    rule.priority,
                    rule.is_ipv6,
                    [rule.from, rule.to],
                    [rule.input.clone(), rule.output.clone()],
                    rule.fwmark,
                    rule.tos,
                    action,
                )
            }
        }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Item::Route(_) => "route",
            Item::Rule(_) => "rule",
        }
    }

    /// As `ip route` and `ip rule` print it, less what is the kernel's choice.
    pub(super) fn text(&self) -> Text {
        cut(format_args!("{self}"))
    }
}

fn is_same_rule(a: &Rule, b: &Rule) -> bool {
    Rule { no_track: b.no_track, ..a.clone() } == *b
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Route(route) => write_route(f, route),
            Item::Rule(rule) => write_rule(f, rule),
        }
    }
}

fn write_route(f: &mut fmt::Formatter<'_>, route: &Route) -> fmt::Result {
    match route.kind {
        RouteKind::Unicast => {}
        RouteKind::Blackhole => f.write_str("blackhole ")?,
        RouteKind::Unreachable => f.write_str("unreachable ")?,
        RouteKind::Prohibit => f.write_str("prohibit ")?,
        RouteKind::Throw => f.write_str("throw ")?,
    }
    if route.destination.prefix_len == 0 {
        f.write_str("default")?;
    } else {
        write_net(f, &route.destination)?;
    }
    if let Some(gateway) = route.gateway {
        let is_other = gateway.is_ipv6() != route.destination.address.is_ipv6();
        write!(f, " via {}{gateway}", if is_other { "inet6 " } else { "" })?;
    }
    if let Some(interface) = &route.interface {
        write!(f, " dev {interface}")?;
    }
    if route.table != TABLE_MAIN {
        write!(f, " table {}", route.table)?;
    }
    match route.scope {
        None | Some(Scope::GLOBAL) => {}
        Some(Scope::SITE) => f.write_str(" scope site")?,
        Some(Scope::LINK) => f.write_str(" scope link")?,
        Some(Scope::HOST) => f.write_str(" scope host")?,
        Some(Scope(number)) => write!(f, " scope {number}")?,
    }
    if let Some(source) = route.source {
        write!(f, " src {source}")?;
    }
    if let Some(metric) = route.metric {
        write!(f, " metric {metric}")?;
    }
    if let Some(mtu) = route.mtu {
        write!(f, " mtu {mtu}")?;
    }
    if route.on_link { f.write_str(" onlink") } else { Ok(()) }
}

fn write_rule(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    write!(f, "{}: from ", rule.priority)?;
    match &rule.from {
        Some(from) => write_net(f, from)?,
        None => f.write_str("all")?,
    }
    if let Some(to) = &rule.to {
        f.write_str(" to ")?;
        write_net(f, to)?;
    }
    if rule.tos != 0 {
        write!(f, " tos {:#04x}", rule.tos)?;
    }
    match rule.fwmark {
        Some((mark, u32::MAX)) => write!(f, " fwmark {mark:#x}")?,
        Some((mark, mask)) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
        None => {}
    }
    if let Some(input) = &rule.input {
        write!(f, " iif {input}")?;
    }
    if let Some(output) = &rule.output {
        write!(f, " oif {output}")?;
    }
    match rule.action {
        RuleAction::Table(TABLE_MAIN) => f.write_str(" lookup main"),
        RuleAction::Table(table) => write!(f, " lookup {table}"),
        RuleAction::Blackhole => f.write_str(" blackhole"),
        RuleAction::Unreachable => f.write_str(" unreachable"),
        RuleAction::Prohibit => f.write_str(" prohibit"),
    }
}

/// A host without its length.
fn write_net(f: &mut fmt::Formatter<'_>, net: &Cidr) -> fmt::Result {
    let whole = if net.address.is_ipv6() { 128 } else { 32 };
    if net.prefix_len == whole { write!(f, "{}", net.address) } else { write!(f, "{net}") }
}
