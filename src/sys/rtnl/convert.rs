//! The kernel's words ↔ the engine's.

use crate::engine::{KernelRoute, Link, LinkKind, LinkName};
use crate::model::{Cidr, IfName, Route, RouteKind, Rule, RuleAction, Scope};
use crate::wire::rtnetlink::{self, NewRoute, NextHop, ipv6_setting};
use std::net::IpAddr;

pub(super) fn link(link: &rtnetlink::Link<'_>) -> Link {
    Link {
        index: link.index,
        name: LinkName::new(link.name),
        up: link.up,
        running: link.up && link.running,
        mac: link.mac.filter(|_| !link.no_arp),
        mtu: link.mtu,
        kind: match link.kind {
            _ if link.is_bridge_port => LinkKind::BridgePort { bridge: link.master },
            rtnetlink::LinkKind::Macvlan { parent, is_private } => LinkKind::Macvlan { parent, is_private },
            rtnetlink::LinkKind::Other => LinkKind::Other,
        },
        forwards_ipv6: link.ipv6_setting(ipv6_setting::FORWARDING).is_none_or(|value| value != 0),
    }
}

pub(super) fn route(route: &rtnetlink::Route<'_>, hop: NextHop) -> KernelRoute {
    let kind = match route.kind {
        _ if route.is_special => None,
        rtnetlink::RTN_UNICAST => Some(RouteKind::Unicast),
        rtnetlink::RTN_BLACKHOLE => Some(RouteKind::Blackhole),
        rtnetlink::RTN_UNREACHABLE => Some(RouteKind::Unreachable),
        rtnetlink::RTN_PROHIBIT => Some(RouteKind::Prohibit),
        rtnetlink::RTN_THROW => Some(RouteKind::Throw),
        _ => None,
    };
    KernelRoute {
        destination: cidr(route.destination),
        kind,
        gateway: hop.gateway,
        // For IPv6 the kernel says that the loopback interface drops.
        index: if matches!(kind, None | Some(RouteKind::Unicast)) { hop.index } else { 0 },
        source: route.source,
        table: route.table,
        metric: route.metric,
        scope: Scope(route.scope),
        ours: route.protocol == rtnetlink::PROTOCOL,
    }
}

pub(super) fn new_route(index: u32, route: &Route) -> NewRoute {
    NewRoute {
        destination: (route.destination.address, route.destination.prefix_len),
        kind: match route.kind {
            RouteKind::Unicast => rtnetlink::RTN_UNICAST,
            RouteKind::Blackhole => rtnetlink::RTN_BLACKHOLE,
            RouteKind::Unreachable => rtnetlink::RTN_UNREACHABLE,
            RouteKind::Prohibit => rtnetlink::RTN_PROHIBIT,
            RouteKind::Throw => rtnetlink::RTN_THROW,
        },
        // The kernel refuses an interface for what drops.
        index: if route.kind == RouteKind::Unicast { index } else { 0 },
        gateway: route.gateway,
        source: route.source,
        table: route.table,
        metric: route.metric,
        scope: route.scope.map(|scope| scope.0),
        on_link: route.on_link,
        mtu: route.mtu,
    }
}

/// `None`: it does something that cannot be configured.
pub(super) fn rule(rule: &rtnetlink::Rule<'_>) -> Option<Rule> {
    let action = match rule.action {
        rtnetlink::FR_ACT_TO_TBL => RuleAction::Table(rule.table),
        rtnetlink::FR_ACT_BLACKHOLE => RuleAction::Blackhole,
        rtnetlink::FR_ACT_UNREACHABLE => RuleAction::Unreachable,
        rtnetlink::FR_ACT_PROHIBIT => RuleAction::Prohibit,
        _ => return None,
    };
    let name = |name: &str| if name.is_empty() { Some(None) } else { IfName::try_from(name).ok().map(Some) };
    Some(Rule {
        is_ipv6: rule.is_ipv6,
        from: rule.from.map(cidr),
        to: rule.to.map(cidr),
        input: name(rule.input)?,
        output: name(rule.output)?,
        fwmark: rule.fwmark,
        tos: rule.tos,
        priority: rule.priority,
        action,
        no_track: false,
    })
}

pub(super) fn new_rule(rule: &Rule) -> rtnetlink::Rule<'_> {
    let (action, table) = match rule.action {
        RuleAction::Table(table) => (rtnetlink::FR_ACT_TO_TBL, table),
        RuleAction::Blackhole => (rtnetlink::FR_ACT_BLACKHOLE, 0),
        RuleAction::Unreachable => (rtnetlink::FR_ACT_UNREACHABLE, 0),
        RuleAction::Prohibit => (rtnetlink::FR_ACT_PROHIBIT, 0),
    };
    let net = |side: Option<Cidr>| side.map(|net| (net.address, net.prefix_len));
    rtnetlink::Rule {
        is_ipv6: rule.is_ipv6,
        from: net(rule.from),
        to: net(rule.to),
        input: rule.input.as_ref().map_or("", |name| name.as_str()),
        output: rule.output.as_ref().map_or("", |name| name.as_str()),
        fwmark: rule.fwmark,
        tos: rule.tos,
        priority: rule.priority,
        action,
        table,
        protocol: rtnetlink::PROTOCOL,
    }
}

fn cidr((address, prefix_len): (IpAddr, u8)) -> Cidr {
    Cidr { address, prefix_len }
}
