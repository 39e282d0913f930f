//! Routes and rules.

use super::super::super::netlink::{Batch, Messages, NoRoom};
use super::*;

pub(super) fn new_route() -> NewRoute {
    NewRoute {
        destination: ("203.0.113.0".parse().unwrap(), 24),
        kind: RTN_UNICAST,
        index: 3,
        gateway: None,
        source: None,
        table: 254,
        metric: None,
        scope: None,
        on_link: false,
        mtu: None,
    }
}

/// What `emit` writes, read back.
#[track_caller]
fn read_back(emit: impl FnOnce(&mut Batch<'_>) -> Result<(), NoRoom>, check: impl FnOnce(Notice<'_>)) {
    let mut buffer = [0; 256];
    let mut batch = Batch::new(&mut buffer);
    emit(&mut batch).unwrap();
    check(parse(&Messages::new(batch.bytes()).next().unwrap().unwrap()).unwrap());
}

#[test]
fn routes_that_we_emit_we_can_read() {
    let v6 = "fe80::1".parse().unwrap();
    for (new, scope) in [
        (new_route(), 253),
        (NewRoute { gateway: Some("192.0.2.1".parse().unwrap()), on_link: true, ..new_route() }, 0),
        (NewRoute { gateway: Some(v6), table: 1000, metric: Some(7), mtu: Some(1400), ..new_route() }, 0),
        (NewRoute { kind: RTN_BLACKHOLE, index: 0, scope: Some(200), ..new_route() }, 200),
        (NewRoute { destination: ("0.0.0.0".parse().unwrap(), 0), ..new_route() }, 253),
        (
            NewRoute {
                destination: ("2001:db8::".parse().unwrap(), 32),
                source: Some("2001:db8::1".parse().unwrap()),
                gateway: Some(v6),
                ..new_route()
            },
            0,
        ),
        (NewRoute { destination: ("::".parse().unwrap(), 0), ..new_route() }, 0),
    ] {
        read_back(
            |batch| emit_add_route(batch, 1, &new),
            |notice| {
                let Notice::Route(route) = notice else { panic!("{notice:?}") };
                assert_eq!(
                    (route.destination, route.kind, route.table),
                    (new.destination, new.kind, new.table)
                );
                assert_eq!(
                    (route.source, route.scope, route.protocol),
                    (new.source, scope, PROTOCOL),
                    "RTNL-33"
                );
                assert_eq!(route.metric, new.metric.unwrap_or(0));
                let hop = NextHop { index: new.index, gateway: new.gateway };
                assert_eq!(route.next_hops().collect::<Vec<_>>(), [Ok(hop)]);
            },
        );
        read_back(
            |batch| emit_remove_route(batch, 1, &new),
            |notice| {
                let Notice::RouteGone(route) = notice else { panic!("{notice:?}") };
                assert_eq!((route.protocol, route.scope), (PROTOCOL, 255), "only ours, of whatever scope");
            },
        );
    }
}

fn route_head(family: u8, dst_len: u8, table: u8, flags: u32) -> Vec<u8> {
    [&[family, dst_len, 0, 0, table, 4, 0, 1][..], &flags.to_ne_bytes()].concat()
}

#[test]
fn local_cached_and_foreign_routes_are_not_told() {
    let to = attribute(1, &[10, 0, 0, 0]);
    let other = |head: Vec<u8>| check(RTM_NEWROUTE, &[head, to.clone()].concat(), Ok(Notice::Other));
    other(route_head(2, 8, 255, 0));
    other(route_head(2, 8, 254, 0x200));
    other(route_head(28, 8, 254, 0));
    let large = attribute(15, &255u32.to_ne_bytes());
    check(RTM_NEWROUTE, &[route_head(2, 8, 0, 0), to, large].concat(), Ok(Notice::Other));
}

#[test]
fn b76_b78_routes_and_rules_with_impossible_parts_are_errors() {
    for kind in [RTM_NEWROUTE, RTM_DELROUTE] {
        check(kind, &route_head(2, 24, 254, 0)[..8], Err(Malformed::Short("rtmsg")));
        check(kind, &route_head(2, 24, 254, 0), Err(Malformed::Missing("address of a net")));
        let to = attribute(1, &[10, 0, 0, 0]);
        let too_long = [route_head(2, 33, 254, 0), to.clone()].concat();
        check(kind, &too_long, Err(Malformed::Value("prefix length")));
        let short = [route_head(10, 24, 254, 0), to].concat();
        check(kind, &short, Err(Malformed::Short("address")));
        check(kind, &[route_head(2, 0, 254, 0), vec![3, 0, 1, 0]].concat(), Err(Malformed::AttributeLength));
        let via = attribute(18, &[2]);
        check(kind, &[route_head(2, 0, 254, 0), via].concat(), Err(Malformed::Short("RTA_VIA")));
    }
    for kind in [RTM_NEWRULE, RTM_DELRULE] {
        let head = |dst_len: u8| vec![2, dst_len, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
        check(kind, &head(0)[..8], Err(Malformed::Short("fib_rule_hdr")));
        check(kind, &head(24), Err(Malformed::Missing("address of a net")));
        let name = attribute(3, b"0123456789abcdef");
        check(kind, &[head(0), name].concat(), Err(Malformed::Value("IFLA_IFNAME")));
        check(kind, &[head(0), vec![0, 0, 1, 0]].concat(), Err(Malformed::AttributeLength));
    }
}

#[test]
fn b77_next_hops_that_lie_about_their_length_end_the_row() {
    let hop = |len: u16| [&len.to_ne_bytes()[..], &[0, 0], &3u32.to_ne_bytes()].concat();
    for (hops, want) in [
        (vec![0; 7], vec![Err(Malformed::Short("rtnexthop"))]),
        (hop(7), vec![Err(Malformed::AttributeLength)]),
        (hop(9), vec![Err(Malformed::AttributeLength)]),
        (hop(0), vec![Err(Malformed::AttributeLength)]),
        (
            [hop(8), hop(65535)].concat(),
            vec![Ok(NextHop { index: 3, gateway: None }), Err(Malformed::AttributeLength)],
        ),
        ([&hop(12)[..], &[3, 0, 5, 0]].concat(), vec![Err(Malformed::AttributeLength)]),
    ] {
        let body = [route_head(2, 0, 254, 0), attribute(9, &hops)].concat();
        let bytes = message(RTM_NEWROUTE, &body);
        let notice = parse(&Messages::new(&bytes).next().unwrap().unwrap());
        let Ok(Notice::Route(route)) = notice else { panic!("{notice:?}") };
        assert_eq!(route.next_hops().collect::<Vec<_>>(), want, "{hops:?}");
    }
}

fn rule() -> Rule<'static> {
    Rule {
        is_ipv6: false,
        from: None,
        to: None,
        input: "",
        output: "",
        fwmark: None,
        tos: 0,
        priority: 100,
        action: FR_ACT_TO_TBL,
        table: 254,
        protocol: PROTOCOL,
    }
}

#[test]
fn rtnl32_rules_that_we_emit_we_can_read() {
    let v6 = |text: &str, len| Some((text.parse().unwrap(), len));
    for rule in [
        rule(),
        Rule { from: v6("10.0.0.0", 8), to: v6("192.0.2.1", 32), table: 1000, tos: 16, ..rule() },
        Rule { is_ipv6: true, from: v6("2001:db8::", 32), input: "eth0", output: "wan", ..rule() },
        Rule { fwmark: Some((5, 0xff)), action: FR_ACT_PROHIBIT, table: 0, priority: 0, ..rule() },
    ] {
        read_back(|batch| emit_add_rule(batch, 1, &rule), |notice| assert_eq!(notice, Notice::Rule(rule)));
        read_back(
            |batch| emit_remove_rule(batch, 1, &rule),
            |notice| assert_eq!(notice, Notice::RuleGone(rule)),
        );
    }
}

#[test]
fn rules_with_more_than_can_be_configured_are_never_taken_for_others() {
    let head = |flags: u32| [&[2, 0, 0, 0, 254, 0, 0, 1][..], &flags.to_ne_bytes()].concat();
    let plain = Rule { priority: 0, protocol: 0, ..rule() };
    let suppress = |value: u32| attribute(14, &value.to_ne_bytes());
    check(RTM_NEWRULE, &[head(0), suppress(u32::MAX)].concat(), Ok(Notice::Rule(plain)));
    check(RTM_NEWRULE, &[head(0), suppress(0)].concat(), Ok(Notice::Other));
    check(RTM_NEWRULE, &head(2), Ok(Notice::Other));
    // goto, tunnel, VRF, users, protocol, port, DSCP.
    for kind in [4, 12, 19, 20, 22, 23, 25] {
        check(RTM_NEWRULE, &[head(0), attribute(kind, &[0; 8])].concat(), Ok(Notice::Other));
    }
    let mut foreign = head(0);
    foreign[0] = 128;
    check(RTM_NEWRULE, &foreign, Ok(Notice::Other));
}
