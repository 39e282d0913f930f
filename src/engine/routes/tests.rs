//! Routes and rules against a kernel that is played.

mod kernel;
mod random;

use self::kernel::{Kernel, OTHERS, route, rule};
use super::*;
use crate::engine::LinkName;
use crate::model::{Config, RouteKind, RuleAction, Scope};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn rtnl34_routes_then_rules_and_back_the_other_way() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![rule(100)])]);
    k.want(0, true);
    assert_eq!(k.asked(), ["add 198.51.100.0/24 dev eth0", "add 100: from all lookup 100"]);
    assert!(k.sets[0].status().iter().all(|s| s.present), "shown as there");
    k.want(0, false);
    assert_eq!(k.asked(), ["remove 100: from all lookup 100", "remove 198.51.100.0/24 dev eth0"]);
    assert!(k.sets[0].is_clean() && k.routes.is_empty() && k.rules.is_empty());
}

#[test]
fn law3_a_route_taken_away_comes_back_at_once_then_once_an_interval() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![rule(100)])]);
    k.want(0, true);
    k.asked();
    k.take_routes();
    assert_eq!(k.asked(), ["add 198.51.100.0/24 dev eth0"], "RTNL-25 for routes: put back at once");
    k.pass(Duration::from_millis(10));
    k.take_routes();
    k.pass(Duration::from_millis(900));
    assert_eq!(k.asked(), [""; 0], "two daemons that fight must not spin");
    k.pass(Duration::from_millis(100));
    assert_eq!(k.asked().len(), 1, "within one interval");
    assert_eq!(k.sets[0].status()[0].put_back, 2, "counted for the status screen");
    assert!(k.notes().contains("198.51.100.0/24 dev eth0 was removed by someone: put back"));
    let mut problems = Vec::new();
    k.sets[0].problems(k.now, "VI", &mut problems);
    assert_eq!(
        problems,
        ["VI: route 198.51.100.0/24 dev eth0 was removed by someone and put back (2 times)"]
    );
    k.rules.clear();
    k.dump();
    k.pass(SECOND);
    assert_eq!(k.asked(), ["add 100: from all lookup 100"], "law 5: a dump tells what notifications did not");
}

#[test]
fn a_route_that_may_be_taken_away_is_not_put_back() {
    let free = Route { no_track: true, ..route("198.51.100.0/24", "eth0") };
    let mut k = Kernel::new(&[(vec![free], vec![])]);
    k.want(0, true);
    k.take_routes();
    k.asked();
    k.pass(SECOND * 10);
    assert_eq!(k.asked(), [""; 0], "no_track");
    k.want(0, false);
    k.want(0, true);
    assert_eq!(k.routes.len(), 1, "with the next takeover it is wanted again");
}

#[test]
fn law5_a_refused_add_is_tried_again_each_second_and_shown() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![])]);
    k.refused = Some(Refusal::Busy);
    k.want(0, true);
    k.pass(SECOND * 3);
    assert_eq!(k.asked().len(), 4, "once a second");
    let mut problems = Vec::new();
    k.sets[0].problems(k.now, "VI", &mut problems);
    assert!(problems[0].contains("could not be added: the kernel is short of memory"), "{problems:?}");
    assert!(!k.sets[0].status()[0].present);
    k.refused = None;
    k.pass(SECOND);
    assert!(k.sets[0].status()[0].present);
    // And a refused removal.
    k.refused = Some(Refusal::Busy);
    k.want(0, false);
    assert!(!k.sets[0].is_clean(), "the daemon must not end before it is gone");
    k.refused = None;
    k.pass(SECOND);
    assert!(k.sets[0].is_clean() && k.routes.is_empty());
}

#[test]
fn rtnl33_what_somebody_else_made_is_used_and_left_alone() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![])]);
    k.put_route("198.51.100.0/24", "eth0", None);
    k.want(0, true);
    k.pass(SECOND * 3);
    assert!(k.sets[0].status()[0].present, "EEXIST: it is there");
    k.want(0, false);
    k.pass(SECOND * 3);
    assert_eq!(k.routes.len(), 1, "not ours to remove");
    assert!(k.sets[0].is_clean());
    // Somebody takes his own away while we want it: ours goes in.
    k.want(0, true);
    k.take_routes();
    k.pass(SECOND);
    assert!(k.routes.iter().all(|r| r.ours) && k.routes.len() == 1);
}

#[test]
fn rtnl31_another_route_in_its_place_is_told_and_outlasted() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![])]);
    k.put_route("198.51.100.0/24", "eth0", Some("192.0.2.254"));
    k.want(0, true);
    k.pass(SECOND * 3);
    assert!(!k.sets[0].status()[0].present, "shown as missing");
    assert!(k.notes().contains("another one is in its place"), "{}", k.notes());
    k.want(0, false);
    k.want(0, true);
    k.pass(SECOND);
    assert_eq!(k.routes.len(), 1, "never touched");
    k.take_routes();
    assert!(k.sets[0].status()[0].present, "at once when it is gone");
}

#[test]
fn a_kernel_that_tells_nothing_of_what_exists_is_believed() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![])]);
    k.put_route("198.51.100.0/24", "eth0", None);
    k.is_silent = true;
    k.want(0, true);
    k.pass(SECOND * 5);
    assert!(k.sets[0].status()[0].present);
    assert_eq!(k.asked().len(), 1, "EEXIST is an answer, not a reason to ask for ever");
}

#[test]
fn rtnl26_routes_that_went_with_the_link_come_back_with_it() {
    let far =
        Route { interface: None, gateway: Some("192.0.2.254".parse().unwrap()), ..route("default", "") };
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0"), far], vec![])]);
    k.want(0, true);
    assert_eq!(k.routes.len(), 2);
    k.set_link(2, "eth0", false);
    k.pass(SECOND * 2);
    assert!(k.routes.is_empty() && k.sets[0].status().iter().all(|s| !s.present), "shown as missing");
    k.set_link(2, "eth0", true);
    k.pass(SECOND);
    assert_eq!(k.routes.len(), 2, "the kernel told nothing of their end");
    assert!(k.sets[0].status().iter().all(|s| s.put_back == 0), "nobody took them away");
}

#[test]
fn an_interface_made_anew_gets_its_routes() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![])]);
    k.want(0, true);
    k.delete_link(2);
    k.pass(SECOND * 5);
    k.asked();
    assert_eq!(k.asked(), [""; 0], "it waits for the interface");
    k.set_link(7, "eth0", true);
    k.pass(SECOND);
    assert_eq!(k.routes.iter().map(|r| r.index).collect::<Vec<_>>(), [7]);
    // Renamed: the route stays on the old one until it is removed there.
    k.set_link(7, "wan", true);
    k.pass(SECOND);
    assert!(k.routes.is_empty(), "not on a stranger's interface");
    k.set_link(8, "eth0", true);
    k.pass(SECOND);
    assert_eq!(k.routes.iter().map(|r| r.index).collect::<Vec<_>>(), [8]);
}

#[test]
fn rtnl35_a_route_from_a_vip_goes_and_comes_with_it() {
    for source in ["10.0.0.100", "2001:db8::100"] {
        let source: IpAddr = source.parse().unwrap();
        let to = if source.is_ipv6() { "2001:db8:1::/64" } else { "198.51.100.0/24" };
        let from = Route { source: Some(source), ..route(to, "eth0") };
        let mut k = Kernel::new(&[(vec![from], vec![])]);
        k.want(0, true);
        assert!(k.routes.is_empty() && k.notes().is_empty(), "the VIP is on its way");
        k.set_address(source, true);
        assert_eq!(k.routes.len(), 1, "at once");
        k.set_address(source, false);
        k.pass(SECOND * 2);
        k.set_address(source, true);
        k.pass(SECOND);
        assert_eq!(k.routes.len(), 1);
        assert_eq!(k.routes[0].source, Some(source), "IPv6 keeps the route and drops its source");
        k.set_address(source, false);
        k.want(0, false);
        k.pass(SECOND * 2);
        assert!(k.sets[0].is_clean() && k.routes.is_empty(), "ESRCH is no failure");
    }
}

#[test]
fn left_overs_of_a_crashed_run_go_or_stay() {
    let (known, unknown) = (route("198.51.100.0/24", "eth0"), route("203.0.113.0/24", "eth0"));
    let mut k = Kernel::new(&[(vec![known.clone(), unknown], vec![rule(100), rule(200)])]);
    k.want(0, true);
    k.put_route("203.0.113.0/25", "eth0", None);
    // kill -9, and another configuration.
    k.restart(&[(vec![known], vec![rule(100)])]);
    k.pass(SECOND * 2);
    assert_eq!(k.routes.len(), 1, "a Backup has no virtual routes: {:?}", k.routes);
    assert!(!k.routes[0].ours && k.rules.is_empty());
    assert!(k.notes().contains("was there and not wanted: removed"));
    k.want(0, true);
    assert_eq!((k.routes.len(), k.rules.len()), (2, 1));
    // Active at once, and what it wants is there already.
    k.restart(&[(vec![route("198.51.100.0/24", "eth0")], vec![rule(100)])]);
    k.asked();
    k.want(0, true);
    k.pass(SECOND * 2);
    assert!(!k.asked().iter().any(|a| a.starts_with("remove")), "taken over, without a gap");
    k.want(0, false);
    assert!(k.sets[0].is_clean() && k.rules.is_empty() && k.routes.len() == 1);
}

#[test]
fn law5_a_reload_changes_what_differs_and_nothing_else() {
    let stays = route("203.0.113.0/24", "eth0");
    let before = Route { metric: Some(5), ..route("198.51.100.0/24", "eth0") };
    let after = Route { gateway: Some("192.0.2.254".parse().unwrap()), ..before.clone() };
    let other = Route { metric: Some(6), ..before.clone() };
    let mut k = Kernel::new(&[(vec![stays.clone(), before], vec![rule(100)])]);
    k.want(0, true);
    k.asked();
    k.reconfigure(0, &[after, stays.clone(), other], &[rule(101)]);
    assert_eq!(
        k.asked(),
        [
            "remove 198.51.100.0/24 dev eth0 metric 5",
            "add 198.51.100.0/24 via 192.0.2.254 dev eth0 metric 5",
            "add 198.51.100.0/24 dev eth0 metric 6",
            "add 101: from all lookup 101",
            "remove 100: from all lookup 100",
        ],
        "what is in the way first, the rest after what takes its place"
    );
    k.sets[0].set_interval(SECOND);
    k.reconfigure(0, std::slice::from_ref(&stays), &[rule(101)]);
    k.asked();
    let relaxed = Route { no_track: true, ..stays };
    k.reconfigure(0, &[relaxed], &[rule(101)]);
    assert_eq!(k.asked(), [""; 0], "nothing to ask of the kernel");
}

#[test]
fn law5_a_dump_that_tells_no_routes_does_not_end_a_removal() {
    let mut k = Kernel::new(&[(vec![route("198.51.100.0/24", "eth0")], vec![rule(100)])]);
    k.want(0, true);
    k.refused = Some(Refusal::Busy);
    k.reconfigure(0, &[], &[]);
    // Nobody watches them any more.
    k.is_silent = true;
    k.dump();
    k.refused = None;
    k.pass(SECOND);
    assert!(k.routes.is_empty() && k.rules.is_empty(), "they would stay for ever");
}

#[test]
fn two_who_want_the_same_do_not_take_it_from_each_other() {
    let same = (vec![route("198.51.100.0/24", "eth0")], vec![rule(100)]);
    let mut k = Kernel::new(&[same.clone(), same]);
    k.want(0, true);
    k.pass(SECOND * 3);
    assert_eq!((k.routes.len(), k.rules.len()), (1, 1), "the Backup leaves the Active's route alone");
    k.want(1, true);
    k.want(0, false);
    k.pass(SECOND * 3);
    assert_eq!((k.routes.len(), k.rules.len()), (1, 1), "one leaves, the other still wants it");
    assert_eq!(k.sets[1].status()[0].put_back, 0);
    k.want(1, false);
    k.pass(SECOND);
    assert!(k.routes.is_empty() && k.rules.is_empty() && k.sets.iter().all(Routes::is_clean));
}

#[test]
fn rules_of_one_priority_are_told_apart() {
    let net = |text: &str| Some(kernel::cidr(text));
    let wide = rule(100);
    let narrow = Rule { from: net("10.0.0.0/8"), ..rule(100) };
    let mut k = Kernel::new(&[(vec![], vec![wide.clone(), narrow.clone()])]);
    k.rules.push((Rule { to: net("10.1.0.0/16"), ..rule(100) }, OTHERS));
    k.want(0, true);
    assert_eq!(k.rules.len(), 3);
    // As the kernel does it: a removal without a condition takes the first one that fits.
    k.rules.retain(|(r, _)| *r != narrow);
    k.notify_rule(&narrow, true, false);
    k.pass(SECOND);
    assert_eq!(k.rules.len(), 3, "the one that went is put back, not the other");
    k.reconfigure(0, &[], std::slice::from_ref(&narrow));
    k.pass(SECOND);
    assert!(k.rules.iter().any(|(r, _)| *r == narrow) && !k.rules.iter().any(|(r, _)| *r == wide));
    assert_eq!(k.rules.len(), 2, "RTNL-33: somebody else's rule of the same priority stays");
}

#[test]
fn rtnl50_lost_notifications_and_a_dump() {
    let all: Vec<Route> = (0..5).map(|n| route(&format!("198.51.{n}.0/24"), "eth0")).collect();
    let mut k = Kernel::new(&[(all, vec![])]);
    k.want(0, true);
    k.routes.remove(2);
    k.routes.remove(0);
    k.pass(SECOND);
    assert_eq!(k.routes.len(), 3, "nothing was told");
    k.dump();
    k.pass(SECOND);
    assert_eq!(k.routes.len(), 5);
    assert_eq!(k.sets[0].status().iter().map(|s| s.put_back).collect::<Vec<_>>(), [1, 0, 1, 0, 0]);
}

#[test]
fn many_routes_go_in_batches() {
    let all: Vec<Route> = (0..200).map(|n| route(&format!("198.18.{n}.0/24"), "eth0")).collect();
    let mut k = Kernel::new(&[(all, vec![rule(1)])]);
    let turns = k.want(0, true);
    assert_eq!(k.routes.len(), 200);
    assert_eq!(turns, 201usize.div_ceil(limits::ADDRESS_BATCH), "an advert can leave between two batches");
    assert_eq!(k.want(0, false), 201usize.div_ceil(limits::ADDRESS_BATCH));
    assert!(k.sets[0].is_clean());
}

#[test]
fn a_route_without_interface_and_gateway_is_on_that_of_the_instance() {
    let bare = Route { interface: None, ..route("198.51.100.0/24", "") };
    let link_local = Route { gateway: Some("fe80::1".parse().unwrap()), ..route("2001:db8:1::/64", "") };
    let hole = Route { kind: RouteKind::Blackhole, ..route("203.0.113.0/24", "") };
    let interface: IfName = "eth1".try_into().unwrap();
    let routes = Routes::new(&[bare, Route { interface: None, ..link_local }, hole], &[], Some(&interface));
    let texts: Vec<Text> = routes.status().into_iter().map(|s| s.text).collect();
    assert_eq!(
        texts,
        ["198.51.100.0/24 dev eth1", "2001:db8:1::/64 via fe80::1 dev eth1", "blackhole 203.0.113.0/24",]
    );
}

#[test]
fn routes_and_rules_read_as_ip_prints_them() {
    let full = Route {
        gateway: Some("192.0.2.254".parse().unwrap()),
        source: Some("10.0.0.100".parse().unwrap()),
        table: 7,
        metric: Some(20),
        scope: Some(Scope::LINK),
        on_link: true,
        mtu: Some(1400),
        ..route("default", "eth0")
    };
    let text = "default via 192.0.2.254 dev eth0 table 7 scope link src 10.0.0.100 metric 20 mtu 1400 onlink";
    assert_eq!(Item::route(&full, None).text(), text);
    let full = Rule {
        from: Some(kernel::cidr("10.0.0.0/8")),
        to: Some(kernel::cidr("192.0.2.1/32")),
        input: Some("eth0".try_into().unwrap()),
        output: Some("eth1".try_into().unwrap()),
        fwmark: Some((1, 0xff)),
        tos: 16,
        action: RuleAction::Prohibit,
        ..rule(5)
    };
    let text = "5: from 10.0.0.0/8 to 192.0.2.1 tos 0x10 fwmark 0x1/0xff iif eth0 oif eth1 prohibit";
    assert_eq!(Item::rule(&full).text(), text);
    let main = Rule { action: RuleAction::Table(254), fwmark: Some((2, u32::MAX)), ..rule(9) };
    assert_eq!(Item::rule(&main).text(), "9: from all fwmark 0x2 lookup main");
}

#[test]
fn unreachable_routes_of_ipv6_are_known_though_the_kernel_puts_them_on_lo() {
    let hole = Route { kind: RouteKind::Unreachable, ..route("2001:db8:9::/64", "") };
    let mut k = Kernel::new(&[(vec![hole], vec![])]);
    k.want(0, true);
    k.dump();
    k.pass(SECOND * 2);
    assert_eq!(k.asked(), ["add unreachable 2001:db8:9::/64"]);
    k.restart(&[(vec![], vec![])]);
    k.pass(SECOND * 2);
    assert!(k.routes.is_empty(), "what an earlier run left");
}

#[test]
fn nothing_is_asked_before_the_kernel_has_told_all() {
    let config = Config { static_routes: vec![route("198.51.100.0/24", "eth0")], ..Config::default() };
    let mut engine = crate::engine::Engine::new(&config, "gw", 1, Instant::from_secs(1));
    let mut actions = crate::engine::Actions::new();
    let kernel = kernel::link(2, "eth0", true);
    assert_eq!(kernel.name, LinkName::new("eth0"));
    engine.handle(Instant::from_secs(1), crate::engine::Event::Link(kernel), &mut actions);
    engine.handle(Instant::from_secs(1), crate::engine::Event::Reload(Box::new(config)), &mut actions);
    let deadline = engine.next_deadline();
    engine.handle(Instant::from_secs(1), crate::engine::Event::Tick, &mut actions);
    assert!(!actions.iter().any(|a| matches!(a, Action::ChangeRoute { .. })));
    assert_eq!(engine.next_deadline(), deadline, "the loop must not spin meanwhile");
}

#[test]
fn left_over_routes_go_though_nobody_wants_routes_any_more() {
    let now = Instant::from_secs(1);
    let mut engine = crate::engine::Engine::new(&Config::default(), "gw", 1, now);
    let mut actions = crate::engine::Actions::new();
    engine.handle(now, crate::engine::Event::DumpStart, &mut actions);
    engine.handle(now, crate::engine::Event::Link(kernel::link(2, "eth0", true)), &mut actions);
    engine.handle(now, crate::engine::Event::DumpEnd, &mut actions);
    let watched = |actions: &mut crate::engine::Actions| {
        let all: Vec<Action> = core::iter::from_fn(|| actions.take()).collect();
        all.iter().rev().find_map(|a| match a {
            Action::WatchRoutes { routes, rules } => Some((*routes, *rules)),
            _ => None,
        })
    };
    assert_eq!(watched(&mut actions), Some((true, true)), "a crashed run may have left some");
    let left = KernelRoute {
        destination: kernel::cidr("198.51.100.0/24"),
        kind: Some(RouteKind::Unicast),
        gateway: None,
        index: 2,
        source: None,
        table: 254,
        metric: 0,
        scope: Scope::LINK,
        ours: true,
    };
    engine.handle(now, crate::engine::Event::DumpStart, &mut actions);
    for route in [left, KernelRoute { ours: false, metric: 9, ..left }] {
        let told = crate::engine::Event::Route { route, is_present: true };
        engine.handle(now, told, &mut actions);
    }
    engine.handle(now, crate::engine::Event::Link(kernel::link(2, "eth0", true)), &mut actions);
    engine.handle(now, crate::engine::Event::DumpEnd, &mut actions);
    assert_eq!(
        watched(&mut actions),
        Some((false, false)),
        "a router's table is not to be followed for nothing"
    );
    engine.handle(now + SECOND, crate::engine::Event::Tick, &mut actions);
    let removed: Vec<Action> = core::iter::from_fn(|| actions.take()).collect();
    let is_removal = |a: &&Action| matches!(a, Action::ChangeRoute { op: AddressOp::Remove, index: 2, .. });
    assert_eq!(removed.iter().filter(is_removal).count(), 1, "ours alone: {removed:?}");
}
