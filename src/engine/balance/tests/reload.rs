//! Another configuration: the smallest set of commands, and everything that is still there keeps its state.

use super::*;

/// design.md §9: one weight changed = exactly one SET_DEST.
#[test]
fn one_changed_weight_is_one_command() {
    let mut config = s1();
    config.services =
        (1..=100).map(|i| service(&format!("s{i}"), &format!("10.0.0.{i}:80")).into()).collect();
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    let running = bed.probes.clone();
    config.services[41].servers[1].weight = 7;
    bed.reload(&config);
    assert_eq!(bed.log(), ["~ 192.168.234.57:80 7"]);
    assert_eq!(bed.probes, running, "no probe is disturbed");
    assert!(bed.stopped.is_empty());
    bed.reload(&config);
    assert_eq!(bed.log(), [""; 0], "the same again: nothing");
}

/// What the daemon does before a reload: equal services become one and the same, so that nothing is compared.
#[test]
fn services_that_say_the_same_are_shared_wherever_they_stand() {
    let mut config = s1();
    config.services = (1..=9).map(|i| service(&format!("s{i}"), &format!("10.0.0.{i}:80")).into()).collect();
    let mut bed = Bed::started(&config);
    let own: fn(&Config) -> Config = |config| {
        let services = config.services.iter().map(|service| Service::clone(service).into());
        Config { services: services.collect(), ..config.clone() }
    };
    let mut read = own(&config);
    read.services[4].servers[1].weight = 7;
    read.services.insert(0, service("new", "10.0.0.99:80").into());
    read.services.swap(6, 8);
    let before = read.clone();
    (0..11).fold(0, |hint, at| bed.balancer.share(&mut read, at, hint));
    assert_eq!(read, before, "it says what it said");
    let is_shared = |service: &Shared<Service>| config.services.iter().any(|ours| ours.is(service));
    let shared: Vec<bool> = read.services.iter().map(is_shared).collect();
    assert_eq!(shared, [false, true, true, true, true, false, true, true, true, true]);
    bed.reload(&read);
    let log = bed.log();
    assert_eq!(log.len(), 4, "the new one and its two servers, and a weight: {log:?}");
    drop((config, before));
    assert!(read.services.iter().all(|service| bed.balancer.services.iter().any(|s| s.config.is(service))));
}

/// Law 1: a turn takes over 64 servers. In between each service is wholly as it was or as it will be, and
/// whatever happens, another reload too, finds all in order.
#[test]
fn many_changes_are_taken_over_some_at_a_time() {
    let mut config = s1();
    config.services =
        (1..=100).map(|i| service(&format!("s{i}"), &format!("10.0.0.{i}:80")).into()).collect();
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    let change = |config: &mut Config, weight| {
        config.services.iter_mut().for_each(|service| service.servers[1].weight = weight);
    };
    let has = |bed: &Bed, weight| {
        bed.balancer.services.iter().map(|s| s.config.servers[1].weight).filter(|w| *w == weight).count()
    };
    change(&mut config, 7);
    bed.reload(&config);
    assert_eq!(has(&bed, 7), 32, "two servers each");
    assert_eq!(bed.balancer.next_deadline(), Some(Instant::ZERO), "the rest follows at once");
    let of = |bed: &Bed, address: &str| {
        let is_it = |id: &&ProbeId| bed.balancer.probe_spec(**id).unwrap().address.to_string() == address;
        *bed.probes.iter().find(is_it).unwrap()
    };
    bed.probe(of(&bed, A), failed("refused"));
    bed.probe(of(&bed, B), Outcome::Passed);
    bed.set_draining(99, 0, true);
    let ups = |bed: &Bed| {
        let count = |n: usize| bed.snapshot().services.iter().filter(|s| s.servers[n].up).count();
        [count(0), count(1)]
    };
    assert_eq!(ups(&bed), [0, 100], "all alike, those of before and those of after");
    bed.call(|b, now, cx| b.tick(now, cx));
    assert_eq!(has(&bed, 7), 64);
    // The next one comes before this one is through.
    change(&mut config, 8);
    config.services[99].servers.reverse();
    bed.reload(&config);
    assert_eq!((has(&bed, 7), has(&bed, 8)), (32, 32));
    bed.settle();
    assert_eq!((has(&bed, 8), ups(&bed)), (99, [1, 99]));
    let last = &bed.snapshot().services[99].servers;
    assert_eq!((last[1].draining, last[0].draining), (true, false), "known by its address");
    let weights: Vec<u32> =
        bed.kernel.table.values().flat_map(|(_, d)| d.values().map(|d| d.weight)).collect();
    assert_eq!(weights.iter().filter(|weight| **weight == 8).count(), 100);
    assert!(weights.iter().all(|weight| [0, 8].contains(weight)), "{weights:?}");
    bed.log();
    bed.reload(&config);
    assert_eq!(bed.log(), [""; 0], "nothing is left to do");
    change(&mut config, 9);
    bed.reload(&config);
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.settle();
    assert!(bed.kernel.table.is_empty() && bed.balancer.is_shut_down());
}

#[test]
fn verdicts_and_counters_stay_and_new_parameters_count() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, true);
    bed.log();
    bed.go(3.0);
    let before = bed.snapshot().services[0].servers[0].clone();
    let mut config = s1();
    config.services[0].name = Name::try_from("shop").unwrap();
    config.services[0].servers.reverse();
    bed.reload(&config);
    let service = bed.snapshot().services[0].clone();
    assert_eq!(service.name, "shop");
    assert_eq!(service.servers[1], before, "known by its address, not by its place");
    assert_eq!(bed.log(), [""; 0], "a server that is down does not come in by a reload");

    config.services[0].scheduler = Scheduler::try_from("wlc").unwrap();
    config.services[0].servers[0].method = Method::new(Forwarding::Tunnel);
    bed.reload(&config);
    assert_eq!(bed.log(), ["~10.0.0.100:80 wlc", "~ 192.168.234.57:80 2"], "SET, not delete and add");
    let (_, destinations) = bed.kernel.table.values().next().unwrap();
    assert_eq!(destinations[&B.parse().unwrap()].forward, Forwarding::Tunnel);
}

#[test]
fn servers_and_services_come_and_go() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, true);
    bed.verdict(B, true);
    let mut config = s1();
    config.services[0].servers = vec![server("192.0.2.3:80", 3)];
    bed.reload(&config);
    let expected = ["+ 192.0.2.3:80 3", "- 192.168.234.47:80", "- 192.168.234.57:80"];
    assert_eq!(bed.log(), expected, "the new one in before the old ones go");

    config.services.push(service("two", "10.0.0.200:80").into());
    bed.reload(&config);
    assert_eq!(bed.log(), ["+10.0.0.200:80 wrr", "+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2"]);
    config.services.remove(0);
    bed.reload(&config);
    assert_eq!(bed.log(), ["-10.0.0.100:80"]);
    assert_eq!(bed.snapshot().services.len(), 1);
    bed.reload(&s1());
    let log = bed.log();
    assert!(log.contains(&"-10.0.0.200:80".into()) && log.contains(&"+10.0.0.100:80 wrr".into()), "{log:?}");
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
    bed.reload(&Config::default());
    bed.settle();
    assert!(bed.kernel.text().is_empty() && bed.snapshot().ipvs.is_none(), "no service, no IPVS needed");
    assert!(bed.probes.is_empty(), "no probe without its server");
}

#[test]
fn a_service_that_comes_back_before_it_is_gone_is_made_anew() {
    let mut bed = Bed::started(&s1());
    bed.reload(&Config::default());
    bed.reload(&s1());
    bed.settle();
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
}

#[test]
fn probes_whose_server_is_gone_or_changed_are_stopped() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    let (a, b) = (bed.probes[0], bed.probes[1]);
    let mut config = s1();
    let first = bed.balancer.probe_spec(a).unwrap().address;
    config.services[0].servers.retain(|s| s.address == ServerAddress::Ip(first));
    config.services[0].servers[0].checks[0].timeout = Duration::from_secs(2);
    bed.reload(&config);
    bed.settle();
    let mut stopped = bed.stopped.clone();
    stopped.sort_by_key(|p| p.serial);
    let mut both = vec![a, b];
    both.sort_by_key(|p| p.serial);
    assert_eq!(stopped, both, "one is gone, the other has another deadline");
    bed.settle();
    assert_eq!(bed.probes.len(), 1, "and begins anew at once");
    assert!(bed.probes[0].serial > a.serial.max(b.serial), "under a new serial");
    bed.probe(a, failed("of the old parameters"));
    assert_eq!(bed.snapshot().services[0].servers[0].failed, 0, "an old result counts for nobody");
}

/// Places move when a service before them goes; a probe must not be taken for that of another server.
#[test]
fn probes_are_not_mixed_up_when_places_move() {
    let mut config = s1();
    config.services.push(service("two", "10.0.0.200:80").into());
    config.services[1].servers = vec![server("192.0.2.8:80", 1), server("192.0.2.9:80", 1)];
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    let old = bed.probes.clone();
    config.services.remove(0);
    bed.reload(&config);
    bed.settle();
    assert_eq!((bed.probes.len(), bed.stopped.len()), (2, 2), "what is still wanted goes on, the rest ends");
    for id in old.iter().filter(|id| !bed.probes.contains(id)).copied().collect::<Vec<_>>() {
        bed.probe(id, failed("of another time"));
    }
    let servers = bed.snapshot().services[0].servers.clone();
    assert!(servers.iter().all(|s| s.up && s.failed == 0), "{servers:?}");
    bed.verdict("192.0.2.9:80", false);
    let up: Vec<bool> = bed.snapshot().services[0].servers.iter().map(|s| s.up).collect();
    assert_eq!(up, [true, false], "begun before the reload, and counted for the right server");
}

#[test]
fn a_check_that_is_dropped_or_added_does_not_make_a_server_flap() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, true);
    bed.log();
    let mut config = s1();
    config.services[0].servers.iter_mut().for_each(|s| s.checks.clear());
    bed.reload(&config);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"], "without a check a server is taken as up");
    bed.go(60.0);
    assert!(bed.probes.is_empty() && bed.log().is_empty());
    let mut config = s1();
    config.services[0].servers.iter_mut().for_each(|s| s.start_up = false);
    bed.reload(&config);
    assert_eq!(bed.log(), [""; 0], "what was up stays until the first probe says otherwise");
    bed.go(62.0);
    assert_eq!(bed.probes.len(), 2);
}

#[test]
fn a_reload_tries_refused_commands_at_once() {
    let mut bed = Bed::new(&s1());
    bed.kernel.lacks = Some("wrr");
    bed.start();
    bed.go(50.0);
    bed.log();
    bed.kernel.lacks = None;
    bed.reload(&s1());
    assert_eq!(bed.log()[0], "+10.0.0.100:80 wrr", "the user has mended it: he does not wait for the pause");
}

#[test]
fn another_sorry_server_takes_over_without_a_gap() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, false);
    bed.log();
    let mut config = s1();
    config.services[0].sorry = Some(Sorry {
        address: "127.0.0.2:80".parse().unwrap(),
        method: Method::new(Forwarding::DirectRoute),
        inhibit: false,
    });
    bed.reload(&config);
    assert_eq!(bed.log(), ["+ 127.0.0.2:80 1", "- 127.0.0.1:80"]);
    config.services[0].servers[0].weight = 0;
    config.services[0].sorry.as_mut().unwrap().address = A.parse().unwrap();
    bed.reload(&config);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1", "- 127.0.0.2:80"], "a server may be the sorry server");
}

/// Draining by weight 0: the sorry server is in before the last weight goes.
#[test]
fn weights_of_zero_bring_the_sorry_server_first() {
    let mut bed = Bed::started(&s1());
    let mut config = s1();
    config.services[0].servers.iter_mut().for_each(|s| s.weight = 0);
    bed.reload(&config);
    let expected = ["+ 127.0.0.1:80 1", "~ 192.168.234.47:80 0", "~ 192.168.234.57:80 0"];
    assert_eq!(bed.log(), expected, "IPVS-50: quiesced servers keep their connections");
    bed.reload(&s1());
    let expected = ["~ 192.168.234.47:80 1", "~ 192.168.234.57:80 2", "- 127.0.0.1:80"];
    assert_eq!(bed.log(), expected);
}

/// A service goes and comes back while the table is being read, and while no command can go out: what was
/// told of it in between was not listened to, so that it is not told anew proves nothing.
#[test]
fn a_service_that_comes_back_during_a_reading_is_not_taken_for_missing() {
    let mut config = s1();
    config.services = (1..=80).map(|i| service(&format!("s{i}"), &format!("10.0.0.{i}:80")).into()).collect();
    let mut bed = Bed::started(&config);
    bed.now = Instant::from_secs(1010);
    bed.call(|b, now, cx| b.tick(now, cx));
    let (token, request) = bed.drain().remove(0);
    assert_eq!(request, IpvsRequest::DumpServices, "an audit is due");
    let mut told = bed.kernel.answer(token, &request);
    let done = told.pop().unwrap();
    config.services.iter_mut().skip(1).for_each(|s| s.servers[0].weight = 7);
    bed.reload(&config);
    while !bed.balancer.changes.is_empty() {
        bed.call(|b, now, cx| b.tick(now, cx));
    }
    let waiting = bed.drain();
    assert_eq!(waiting.len(), crate::limits::IPVS_WINDOW, "no more commands for now");
    let first = config.services.remove(0);
    bed.reload(&config);
    told.drain(..).for_each(|event| bed.ipvs(event));
    config.services.insert(0, first);
    bed.reload(&config);
    bed.ipvs(done);
    for (token, request) in waiting {
        for event in bed.kernel.answer(token, &request) {
            bed.ipvs(event);
        }
    }
    let log = bed.log();
    assert!(log.iter().all(|line| line == "~ 192.168.234.47:80 7"), "{log:?}");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0, "nobody has removed it");
}
