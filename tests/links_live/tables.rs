//! Addresses with options, routes and rules.

use crate::bed::{in_namespace, index_of, ip};
use crate::kernel::{Kernel, SECOND, cidr};
use vipd::engine::{AddressChange, AddressOp, Event, Refusal};
use vipd::model::{AddressOptions, IfName, Route, RouteKind, Rule, RuleAction, Scope, TABLE_MAIN};

fn base() -> u32 {
    ip("link add eth0 type veth peer name far");
    ip("link set far up");
    ip("link set eth0 up");
    index_of("eth0")
}

fn name(text: &str) -> Option<IfName> {
    Some(IfName::try_from(text).unwrap())
}

#[test]
fn rtnl20_rtnl23_options_of_ipv4_addresses_arrive() {
    in_namespace(|| {
        let eth0 = base();
        let mut kernel = Kernel::open();
        let options = AddressOptions {
            label: name("eth0:vip"),
            scope: Scope::LINK,
            broadcast: Some("10.1.0.255".parse().unwrap()),
            deprecated: true,
            no_prefix_route: true,
            ..AddressOptions::default()
        };
        kernel.add(eth0, "10.1.0.5/24", Some(SECOND * 60), options.clone());
        let all = ip("-4 -o addr show dev eth0");
        for word in ["10.1.0.5/24", "brd 10.1.0.255", "scope link", "deprecated", "noprefixroute", "eth0:vip"]
        {
            assert!(all.contains(word), "{word}: {all}");
        }
        assert!(all.contains("preferred_lft 0sec") && all.contains("valid_lft 60sec"), "{all}");
        assert_eq!(ip("route show"), "", "no_prefix_route");
        // A renewal with other options: the kernel takes the lifetimes over, and nothing else.
        kernel.add(eth0, "10.1.0.5/24", Some(SECOND * 90), AddressOptions::default());
        let all = ip("-4 -o addr show dev eth0");
        assert_eq!(all.lines().count(), 1, "a renewal, not a second address: {all}");
        assert!(all.contains("valid_lft 90sec") && !all.contains("deprecated"), "the lifetimes: {all}");
        for word in ["brd 10.1.0.255", "scope link", "eth0:vip", "noprefixroute"] {
            assert!(all.contains(word), "{word} is not changed by NLM_F_REPLACE, only by a removal: {all}");
        }
    });
}

#[test]
fn rtnl20_peer_is_a_part_of_an_address() {
    in_namespace(|| {
        let eth0 = base();
        let mut kernel = Kernel::open();
        for (address, peer, family) in
            [("10.1.0.5/32", "10.2.0.6/24", "-4"), ("2001:db8::5/128", "2001:db8:6::6/64", "-6")]
        {
            let options = AddressOptions { peer: Some(cidr(peer)), ..AddressOptions::default() };
            kernel.quiet();
            kernel.add(eth0, address, Some(SECOND * 60), options);
            let all = ip(&format!("{family} -o addr show dev eth0"));
            let (local, _) = address.split_once('/').unwrap();
            assert!(all.contains(&format!("{local} peer {peer}")), "{all}");
            kernel.until("the address as one host", |event| {
                let Event::Address { cidr: told, change, .. } = event else { return false };
                *told == cidr(address) && matches!(change, AddressChange::Present { ours: true, .. })
            });
            kernel.rtnl.queue_remove(eth0, cidr(address), Some(cidr(peer)));
            assert_eq!(kernel.flush(), [Ok(())]);
            let all = ip(&format!("{family} -o addr show dev eth0"));
            assert!(!all.contains(peer), "{all}");
        }
    });
}

#[test]
fn rtnl24_arp35_ipv6_addresses_are_usable_at_once_and_deprecated_where_wanted() {
    in_namespace(|| {
        let eth0 = base();
        let mut kernel = Kernel::open();
        let old = AddressOptions { deprecated: true, ..AddressOptions::default() };
        kernel.add(eth0, "2001:db8::100/128", Some(SECOND * 60), old.clone());
        kernel.add(eth0, "2001:db8::101/64", Some(SECOND * 60), AddressOptions::default());
        let all = ip("-6 -o addr show dev eth0 scope global");
        let line = |address: &str| all.lines().find(|l| l.contains(address)).unwrap().to_string();
        let (vip, other) = (line("2001:db8::100/128"), line("2001:db8::101/64"));
        assert!(vip.contains("deprecated") && vip.contains("preferred_lft 0sec"), "ARP-35: {vip}");
        assert!(!other.contains("deprecated") && other.contains("valid_lft 60sec"), "{other}");
        assert!(!all.contains("tentative") && all.matches("nodad").count() == 2, "RTNL-24: {all}");
        kernel.add(eth0, "2001:db8::100/128", Some(SECOND * 90), old);
        let all = ip("-6 -o addr show dev eth0 scope global");
        assert!(all.contains("valid_lft 90sec") && all.contains("deprecated"), "a renewal: {all}");
        // The lease ends by itself (law 3), for IPv6 as for IPv4.
        kernel.add(eth0, "2001:db8::102/128", Some(SECOND), AddressOptions::default());
        kernel.until("the end of the lease", |event| {
            matches!(event, Event::Address { cidr: told, change: AddressChange::Gone, .. }
                if *told == cidr("2001:db8::102/128"))
        });
    });
}

fn route(to: &str) -> Route {
    Route {
        destination: cidr(to),
        kind: RouteKind::Unicast,
        gateway: None,
        interface: None,
        source: None,
        table: TABLE_MAIN,
        metric: None,
        scope: None,
        on_link: false,
        mtu: None,
        no_track: false,
    }
}

#[test]
fn rtnl30_rtnl31_rtnl33_routes_are_added_told_and_removed() {
    in_namespace(|| {
        let eth0 = base();
        ip("addr add 192.0.2.1/24 dev eth0");
        ip("addr add 2001:db8::1/64 dev eth0 nodad");
        let mut kernel = Kernel::open();
        kernel.rtnl.watch(true, false);
        kernel.until("the route of the net", |event| {
            let Event::Route { route, is_present: true } = event else { return false };
            route.destination == cidr("192.0.2.0/24")
        });
        kernel.until("the end", |event| matches!(event, Event::DumpEnd));
        let told = kernel.routes(true);
        assert!(told.iter().all(|route| route.table != 255 && !route.ours), "no local ones: {told:?}");
        let via = |to: &str, gateway: &str| Route { gateway: Some(gateway.parse().unwrap()), ..route(to) };
        for (index, new, shown) in [
            (eth0, route("203.0.113.0/24"), "203.0.113.0/24 proto 112 scope link"),
            (0, via("0.0.0.0/0", "192.0.2.254"), "default via 192.0.2.254 proto 112"),
            (
                eth0,
                Route { on_link: true, ..via("198.51.100.0/24", "10.9.9.9") },
                "via 10.9.9.9 proto 112 onlink",
            ),
            (
                eth0,
                Route {
                    source: Some("192.0.2.1".parse().unwrap()),
                    metric: Some(7),
                    mtu: Some(1400),
                    scope: Some(Scope::LINK),
                    table: 1000,
                    ..route("198.18.0.0/15")
                },
                "198.18.0.0/15 proto 112 scope link src 192.0.2.1 metric 7 mtu 1400",
            ),
            (eth0, via("198.51.101.0/24", "2001:db8::9"), "198.51.101.0/24 via inet6 2001:db8::9 proto 112"),
            (
                0,
                Route { kind: RouteKind::Blackhole, ..route("10.66.0.0/16") },
                "blackhole 10.66.0.0/16 proto 112",
            ),
            (
                eth0,
                Route { kind: RouteKind::Prohibit, ..route("10.67.0.0/16") },
                "prohibit 10.67.0.0/16 proto 112",
            ),
            (eth0, route("2001:db8:1::/48"), "2001:db8:1::/48 proto 112 metric 1024"),
            (0, via("::/0", "2001:db8::254"), "default via 2001:db8::254 proto 112 metric 1024"),
            (
                eth0,
                Route { kind: RouteKind::Unreachable, ..route("2001:db8:2::/48") },
                "unreachable 2001:db8:2::/48 proto 112",
            ),
        ] {
            kernel.quiet();
            assert_eq!(kernel.rtnl.change_route(AddressOp::Add, index, &new), Ok(()), "{shown}");
            let again = kernel.rtnl.change_route(AddressOp::Add, index, &new);
            assert_eq!(again, Err(Refusal::Exists), "never in the place of another: {shown}");
            let family = if new.destination.address.is_ipv4() { "-4" } else { "-6" };
            let all = ip(&format!("{family} route show table {}", new.table)).replace("dev eth0 ", "");
            let all = all.replace("dev lo ", "");
            assert!(all.contains(shown), "{shown}: {all}");
            kernel.until(shown, |event| matches!(event, Event::Route { is_present: true, .. }));
            let seen = kernel.routes(true)[0];
            assert_eq!((seen.destination, seen.kind, seen.ours), (new.destination, Some(new.kind), true));
            assert_eq!(
                (seen.gateway, seen.table, seen.source),
                (new.gateway, new.table, new.source),
                "{shown}"
            );
            assert_eq!(seen.index, if new.kind == RouteKind::Unicast { eth0 } else { 0 }, "{shown}");
            kernel.quiet();
            assert_eq!(kernel.rtnl.change_route(AddressOp::Remove, index, &new), Ok(()), "{shown}");
            kernel.until(shown, |event| matches!(event, Event::Route { is_present: false, .. }));
            assert_eq!(kernel.routes(false)[0].destination, new.destination);
            let again = kernel.rtnl.change_route(AddressOp::Remove, index, &new);
            assert_eq!(again, Err(Refusal::NotFound), "RTNL-31, RTNL-35: ESRCH: {shown}");
        }
        let unreachable = via("10.68.0.0/16", "10.99.0.1");
        assert_eq!(
            kernel.rtnl.change_route(AddressOp::Add, 0, &unreachable),
            Err(Refusal::Unreachable),
            "RTNL-31: gateway out of reach"
        );
        let host_bits = route("10.68.0.1/16");
        assert_eq!(
            kernel.rtnl.change_route(AddressOp::Add, eth0, &host_bits),
            Err(Refusal::Invalid),
            "RTNL-31"
        );
        ip("route add 10.69.0.0/16 dev eth0");
        let stranger = route("10.69.0.0/16");
        let refused = kernel.rtnl.change_route(AddressOp::Remove, eth0, &stranger);
        assert_eq!(refused, Err(Refusal::NotFound), "RTNL-33: somebody else's route is not removed");
        assert!(ip("route show 10.69.0.0/16").contains("10.69"), "RTNL-33");
    });
}

#[test]
fn rtnl2_each_next_hop_of_a_multipath_route_is_told() {
    in_namespace(|| {
        base();
        ip("addr add 192.0.2.1/24 dev eth0");
        ip("addr add 2001:db8::1/64 dev eth0 nodad");
        ip("route add 203.0.113.0/24 nexthop via 192.0.2.7 nexthop via 192.0.2.8");
        ip("route add 2001:db8:1::/48 nexthop via 2001:db8::7 nexthop via 2001:db8::8");
        ip("route add unreachable 10.77.0.0/16");
        ip("route add 10.78.0.0/16 dev eth0 tos 0x10");
        let mut kernel = Kernel::open();
        kernel.quiet();
        kernel.rtnl.watch(true, false);
        kernel.until("the end", |event| matches!(event, Event::DumpEnd));
        let hops = |to: &str| {
            let all = kernel.routes(true);
            let mut hops: Vec<String> = all
                .iter()
                .filter(|route| route.destination == cidr(to))
                .map(|route| route.gateway.map_or("none".into(), |g| g.to_string()))
                .collect();
            hops.sort();
            hops
        };
        assert_eq!(hops("203.0.113.0/24"), ["192.0.2.7", "192.0.2.8"]);
        assert_eq!(hops("2001:db8:1::/48"), ["2001:db8::7", "2001:db8::8"]);
        let kind = |to: &str| kernel.routes(true).iter().find(|r| r.destination == cidr(to)).unwrap().kind;
        assert_eq!(kind("10.77.0.0/16"), Some(RouteKind::Unreachable));
        assert_eq!(kind("10.78.0.0/16"), None, "with a TOS it cannot be configured, nor be taken for ours");
    });
}

fn rule(priority: u32) -> Rule {
    Rule {
        is_ipv6: false,
        from: None,
        to: None,
        input: None,
        output: None,
        fwmark: None,
        tos: 0,
        priority,
        action: RuleAction::Table(TABLE_MAIN),
        no_track: false,
    }
}

#[test]
fn rtnl32_rtnl33_rules_are_added_told_and_removed() {
    in_namespace(|| {
        base();
        ip("rule add from 10.9.0.0/16 table 99 priority 90");
        let mut kernel = Kernel::open();
        kernel.rtnl.watch(false, true);
        kernel.until("a rule that was there", |event| {
            matches!(event, Event::Rule { rule, ours: false, is_present: true } if rule.priority == 90)
        });
        for (new, shown) in [
            (
                Rule { from: Some(cidr("10.0.0.0/8")), action: RuleAction::Table(1000), ..rule(100) },
                "from 10.0.0.0/8 lookup 1000 proto 112",
            ),
            (
                Rule { to: Some(cidr("192.0.2.0/24")), input: name("eth0"), tos: 16, ..rule(101) },
                "from all to 192.0.2.0/24",
            ),
            (Rule { fwmark: Some((5, 0xff)), output: name("eth0"), ..rule(102) }, "fwmark 0x5/0xff oif eth0"),
            (Rule { action: RuleAction::Prohibit, ..rule(103) }, "from all prohibit proto 112"),
            (Rule { action: RuleAction::Blackhole, ..rule(104) }, "from all blackhole proto 112"),
            (
                Rule { is_ipv6: true, from: Some(cidr("2001:db8::/32")), ..rule(105) },
                "from 2001:db8::/32 lookup main proto 112",
            ),
            (
                Rule { is_ipv6: true, action: RuleAction::Unreachable, ..rule(106) },
                "from all unreachable proto 112",
            ),
        ] {
            kernel.quiet();
            assert_eq!(kernel.rtnl.change_rule(AddressOp::Add, &new), Ok(()), "{shown}");
            let again = kernel.rtnl.change_rule(AddressOp::Add, &new);
            assert_eq!(again, Err(Refusal::Exists), "RTNL-32: not twice: {shown}");
            let all = ip(&format!("{} rule show", if new.is_ipv6 { "-6" } else { "-4" }));
            assert!(all.contains(shown), "{shown}: {all}");
            kernel.until(
                shown,
                |event| matches!(event, Event::Rule { rule, ours: true, is_present: true } if *rule == new),
            );
            assert_eq!(kernel.rtnl.change_rule(AddressOp::Remove, &new), Ok(()), "{shown}");
            kernel.until(
                shown,
                |event| matches!(event, Event::Rule { rule, ours: true, is_present: false } if *rule == new),
            );
            let again = kernel.rtnl.change_rule(AddressOp::Remove, &new);
            assert_eq!(again, Err(Refusal::NotFound), "RTNL-32: ENOENT: {shown}");
        }
        let stranger = Rule { from: Some(cidr("10.9.0.0/16")), action: RuleAction::Table(99), ..rule(90) };
        let refused = kernel.rtnl.change_rule(AddressOp::Remove, &stranger);
        assert_eq!(refused, Err(Refusal::NotFound), "RTNL-33: somebody else's rule is not removed");
        assert!(ip("rule show").contains("10.9.0.0/16"), "RTNL-33");
    });
}

#[test]
fn rtnl50_flood_of_routes_is_survived_turn_by_turn() {
    in_namespace(|| {
        let _ = base();
        ip("addr add 192.0.2.1/24 dev eth0");
        let mut kernel = Kernel::open();
        kernel.rtnl.watch(true, true);
        kernel.until("the end", |event| matches!(event, Event::DumpEnd));
        kernel.events.clear();
        let file = std::env::temp_dir().join(format!("vipd-live-{}.routes", std::process::id()));
        let lines: String =
            (0..20_000).map(|n| format!("route add 10.{}.{}.0/24 dev eth0\n", n / 250, n % 250)).collect();
        std::fs::write(&file, lines).unwrap();
        ip(&format!("-batch {}", file.display()));
        let _ = std::fs::remove_file(&file);
        // 20,000 notifications do not fit into the queue: what was lost comes with a dump.
        kernel.until("the dump", |event| matches!(event, Event::DumpEnd));
        assert!(kernel.rtnl.counters().overruns > 0, "a weak test");
        let start = kernel.events.iter().rposition(|event| matches!(event, Event::DumpStart)).unwrap();
        let is_told = |event: &&Event<'_>| {
            let Event::Route { route, is_present: true } = event else { return false };
            route.destination.prefix_len == 24
        };
        let told = kernel.events[start..].iter().filter(is_told).count();
        assert_eq!(told, 20_001, "every route, and the net of the interface");
    });
}
