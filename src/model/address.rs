//! Virtual addresses, routes and rules: what goes into the kernel's tables while an instance is Active.

use super::{Cidr, IfName};
use std::net::{IpAddr, Ipv4Addr};

/// One virtual (or static) address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub cidr: Cidr,
    /// Its interface; the instance's (or its macvlan) where not given. A static address always has one.
    pub interface: Option<IfName>,
    /// The rest.
    pub options: AddressOptions,
}

/// What the kernel is told of an address besides itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressOptions {
    /// IFA_LABEL, IPv4 only; begins with the interface name.
    pub label: Option<IfName>,
    /// Where it is valid.
    pub scope: Scope,
    /// The other end of a point-to-point address.
    pub peer: Option<Cidr>,
    /// IFA_BROADCAST, IPv4 only.
    pub broadcast: Option<Ipv4Addr>,
    /// Never chosen as a source (preferred lifetime 0). Default: true for a global IPv6 /128 (ARP-35).
    pub deprecated: bool,
    /// No route to its net comes with it (IFA_F_NOPREFIXROUTE).
    pub no_prefix_route: bool,
    /// Somebody else may take it away (keepalived's `no_track`): it is not put back.
    pub no_track: bool,
}

/// Scope of an address or a route (`linux/rtnetlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope(pub u8);

impl Scope {
    /// Everywhere.
    pub const GLOBAL: Scope = Scope(0);
    /// This site.
    pub const SITE: Scope = Scope(200);
    /// This link.
    pub const LINK: Scope = Scope(253);
    /// This box.
    pub const HOST: Scope = Scope(254);
}

impl From<Cidr> for VirtualAddress {
    fn from(cidr: Cidr) -> Self {
        VirtualAddress { cidr, interface: None, options: AddressOptions::default() }
    }
}

/// Main table of routes (RT_TABLE_MAIN).
pub const TABLE_MAIN: u32 = 254;

/// Metric that the kernel gives an IPv6 route without one (IP6_RT_PRIO_USER, `linux/ipv6_route.h`).
pub const METRIC_IPV6: u32 = 1024;

/// A virtual (or static) route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to; prefix length 0 for the default route. No host bits. Its family is the route's.
    pub destination: Cidr,
    /// Kind.
    pub kind: RouteKind,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Interface; the instance's where neither this nor a gateway is given. Static routes name their own.
    pub interface: Option<IfName>,
    /// Preferred source (`src`).
    pub source: Option<IpAddr>,
    /// Table; [`TABLE_MAIN`] by default.
    pub table: u32,
    /// Metric.
    pub metric: Option<u32>,
    /// Scope; the kernel's choice where not given.
    pub scope: Option<Scope>,
    /// The gateway is reachable though no route says so.
    pub on_link: bool,
    /// Path MTU.
    pub mtu: Option<u32>,
    /// Somebody else may take it away: it is not put back.
    pub no_track: bool,
}

impl Route {
    /// Destination, table and metric: two routes with the same are one too many (`fib_table_insert`,
    /// `fib6_add_rt2node` with NLM_F_EXCL).
    pub fn place(&self) -> (Cidr, u32, u32) {
        let default = if self.destination.address.is_ipv6() { METRIC_IPV6 } else { 0 };
        (self.destination, self.table, self.metric.filter(|metric| *metric > 0).unwrap_or(default))
    }

    /// The interface that it gets in an instance on `own`: that one where it names none and has no gateway,
    /// or one that is only reachable on a link.
    pub fn interface_on<'r>(&'r self, own: Option<&'r IfName>) -> Option<&'r IfName> {
        let needs_one = match self.gateway {
            None => self.kind == RouteKind::Unicast,
            Some(IpAddr::V4(_)) => false,
            Some(IpAddr::V6(gateway)) => gateway.is_unicast_link_local(),
        };
        self.interface.as_ref().or(own.filter(|_| needs_one))
    }
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteKind {
    /// Forward.
    #[default]
    Unicast,
    /// Drop silently.
    Blackhole,
    /// Drop, ICMP unreachable.
    Unreachable,
    /// Drop, ICMP prohibited.
    Prohibit,
    /// Go on with the next rule.
    Throw,
}

/// A virtual (or static) policy rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// IPv6?
    pub is_ipv6: bool,
    /// Source net.
    pub from: Option<Cidr>,
    /// Destination net.
    pub to: Option<Cidr>,
    /// Incoming interface.
    pub input: Option<IfName>,
    /// Outgoing interface.
    pub output: Option<IfName>,
    /// Firewall mark and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// Type of service; 0: any.
    pub tos: u8,
    /// Its place among the rules, 0..=32765; must be given (two rules without one cannot be told apart).
    pub priority: u32,
    /// What it does.
    pub action: RuleAction,
    /// Somebody else may take it away: it is not put back.
    pub no_track: bool,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// Look up this table.
    Table(u32),
    /// Drop silently.
    Blackhole,
    /// Drop, ICMP unreachable.
    Unreachable,
    /// Drop, ICMP prohibited.
    Prohibit,
}
