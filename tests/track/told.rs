//! What the kernel and the loop tell: interfaces, addresses, routes, files, processes.

use crate::bench::*;
use vipd::engine::{AddressChange, Event, KernelRoute, Link, LinkKind, LinkName};
use vipd::model::RouteKind;

#[test]
fn an_interface_that_is_missing_is_down() {
    let mut b = Bench::new(&config(&[interface("wan0"), interface("ppp0")], -10));
    assert_eq!((b.up(0), b.up(1)), (Some(true), Some(false)));
    assert_eq!(b.tracker(1).reason, "no interface ppp0");
    b.feed(Event::Link(link(WAN, false)));
    assert_eq!((b.up(0), b.tracker(0).reason.as_str()), (Some(false), "wan0 is down"));
    b.feed(Event::Link(link(WAN, true)));
    assert_eq!(b.up(0), Some(true));
    let port =
        Link { kind: LinkKind::BridgePort { bridge: 9 }, name: LinkName::new("ppp0"), ..link(7, true) };
    b.feed(Event::Link(port));
    assert_eq!(b.up(1), Some(true), "a port of a bridge is as good as any");
    b.feed(Event::LinkGone { index: 7 });
    assert_eq!(b.up(1), Some(false));
    b.feed(Event::Link(Link { name: LinkName::new("ppp0"), ..link(WAN, true) }));
    assert_eq!((b.up(0), b.up(1)), (Some(false), Some(true)), "RTNL-41: renamed");
}

#[test]
fn an_address_is_found_on_any_interface_whatever_else_is_there() {
    let kinds =
        [address("198.51.100.7", None), address("198.51.100.7", Some("wan0")), address("2001:db8::7", None)];
    let mut b = Bench::bare(&config(&kinds, -10));
    // More than the engine keeps in mind of an interface.
    b.addresses.extend((1..=40).map(|n| (WAN, cidr(&format!("203.0.113.{n}"), 32))));
    b.addresses.push((WAN, cidr("198.51.100.7", 24)));
    b.dump();
    assert_eq!((b.up(0), b.up(1), b.up(2)), (Some(true), Some(true), Some(false)));
    assert_eq!(b.tracker(2).reason, "2001:db8::7 is not on the box");
    b.address(LAN, cidr("198.51.100.7", 32), true);
    b.address(WAN, cidr("198.51.100.7", 24), false);
    assert_eq!((b.up(0), b.up(1)), (Some(true), Some(false)), "it has moved");
    b.feed(Event::LinkGone { index: LAN });
    assert_eq!(b.up(0), Some(false), "with its interface");
    let ours = AddressChange::Present { ours: true, secondary: false };
    b.feed(Event::Address { index: WAN, cidr: cidr("2001:db8::7", 128), change: ours });
    assert_eq!(b.up(2), Some(true), "whoever put it there");
    b.dump();
    assert_eq!((b.up(1), b.up(2)), (Some(true), Some(false)), "RTNL-50: a dump tells what was missed");
}

#[test]
fn a_route_is_up_while_one_of_its_kind_is_in_the_table() {
    let kinds = [default_route(None, None), default_route(Some("10.0.0.1"), Some("wan0"))];
    let mut b = Bench::new(&config(&kinds, -10));
    assert!(b.take().contains(&Did::WatchRoutes), "routes are told only where somebody asks");
    assert_eq!(b.up(0), None, "the first dump told no routes: nothing is known");
    b.routes = vec![via("10.0.0.1", WAN, 0), via("10.0.0.2", LAN, 100)];
    b.dump();
    assert!(!b.take().contains(&Did::UnwatchRoutes), "somebody asks");
    assert_eq!((b.up(0), b.up(1)), (Some(true), Some(true)));
    for route in [
        KernelRoute { kind: Some(RouteKind::Blackhole), metric: 5, ..via("10.0.0.1", WAN, 0) },
        KernelRoute { table: 100, ..via("10.0.0.1", WAN, 0) },
        KernelRoute { destination: cidr("10.0.0.0", 8), ..via("10.0.0.1", WAN, 0) },
    ] {
        b.feed(Event::Route { route, is_present: true });
    }
    b.feed(Event::Route { route: via("10.0.0.1", WAN, 0), is_present: true });
    b.feed(Event::Route { route: via("10.0.0.1", WAN, 0), is_present: false });
    assert_eq!((b.up(0), b.up(1)), (Some(true), Some(false)), "told twice, gone once; others do not count");
    assert_eq!(b.tracker(1).reason, "no such route to 0.0.0.0/0");
    b.feed(Event::Route { route: via("10.0.0.2", LAN, 100), is_present: false });
    assert_eq!(b.up(0), Some(false), "the last one is gone");
}

#[test]
fn a_route_that_goes_without_a_word_is_missed() {
    let mut b = Bench::new(&config(&[default_route(Some("10.0.0.1"), None)], -10));
    b.routes = vec![via("10.0.0.1", WAN, 0)];
    b.dump();
    assert_eq!(b.up(0), Some(true));
    b.take();
    b.feed(Event::Route { route: via("10.0.0.9", WAN, 0), is_present: true });
    b.feed(Event::Route { route: via("10.0.0.8", WAN, 0), is_present: true });
    assert_eq!(b.take(), [Did::Redump], "replaced, or one more beside it: ask once");
    b.routes = vec![via("10.0.0.9", WAN, 0)];
    b.dump();
    assert_eq!((b.up(0), b.take()), (Some(false), vec![]), "no dump asks for another dump");
    b.routes = vec![via("10.0.0.1", WAN, 0)];
    b.dump();
    assert_eq!(b.up(0), Some(true));
    b.feed(Event::Link(Link { up: false, running: false, ..link(WAN, false) }));
    assert_eq!(b.up(0), Some(false), "IPv4 routes of an interface that is set down go silently");
}

#[test]
fn a_file_gives_its_number_and_keeps_it_while_it_is_written() {
    let mut b = Bench::new(&config(&[file()], 1));
    assert_eq!((b.up(0), b.tracker(0).value), (None, None));
    b.feed(Event::TrackedFile { track: 0, value: Ok(-20) });
    assert_eq!((b.up(0), b.tracker(0).value), (Some(true), Some(-20)));
    b.feed(Event::TrackedFile { track: 0, value: Err(reason("holds no number: \"\"")) });
    assert_eq!(b.tracker(0).value, Some(-20), "an editor that empties the file first is no failover");
    assert!(b.said("Warning track t0: holds no number: \"\"; the last number stays"), "{:?}", b.lines);
    b.feed(Event::TrackedFile { track: 0, value: Ok(0) });
    assert!(b.said("Note track t0: -20 -> 0"), "{:?}", b.lines);
    for number in 0..1000 {
        b.feed(Event::TrackedFile { track: 0, value: Ok(number) });
    }
    let lines = b.lines.iter().filter(|line| line.contains(" track ")).count();
    assert!(lines < 10, "a file that changes all the time does not flood the log");
    b.feed(Event::TrackedFile { track: 9, value: Ok(5) });
    b.feed(Event::TrackedProcess { track: 0, count: Ok(5) });
    assert_eq!(b.tracker(0).value, Some(999), "results of no or another tracker change nothing");
    let mut b = Bench::new(&config(&[file()], 1));
    b.feed(Event::TrackedFile { track: 0, value: Err(reason("holds no number")) });
    assert_eq!((b.up(0), b.tracker(0).reason.as_str()), (Some(false), "holds no number"));
}

#[test]
fn processes_are_counted_with_delays_of_their_own() {
    let mut b = Bench::new(&config(&[process(2, Some(4), 3000, 1000)], -10));
    let count = |b: &mut Bench, n: u32| {
        b.feed(Event::TrackedProcess { track: 0, count: Ok(n) });
        b.up(0)
    };
    assert_eq!(count(&mut b, 2), Some(true), "what is found at the start counts at once");
    for (n, wanted, why) in [(1, false, "too few"), (2, true, "enough"), (5, false, "too many")] {
        assert_eq!(count(&mut b, n), Some(!wanted), "{why}: not at once");
        let delay = if wanted { 3000 } else { 1000 };
        b.pass(ms(delay - 1));
        assert_eq!(b.up(0), Some(!wanted), "{why}: not before its delay");
        b.pass(ms(1));
        assert_eq!(b.up(0), Some(wanted), "{why}");
    }
    assert_eq!((b.tracker(0).value, b.tracker(0).reason.as_str()), (Some(5), "5 processes, at most 4"));
    assert_eq!(count(&mut b, 3), Some(false));
    b.pass(ms(2000));
    assert_eq!(count(&mut b, 4), Some(false), "another good count does not move the end of the delay");
    b.pass(ms(1000));
    assert_eq!(b.up(0), Some(true));
    count(&mut b, 1);
    b.pass(ms(500));
    count(&mut b, 2);
    b.pass(ms(5000));
    assert_eq!(b.up(0), Some(true), "a short dip is none");
    b.feed(Event::TrackedProcess { track: 0, count: Err(reason("cannot read /proc")) });
    b.pass(ms(1000));
    assert_eq!((b.up(0), b.tracker(0).reason.as_str()), (Some(false), "cannot read /proc"));
}
