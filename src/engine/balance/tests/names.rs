//! Servers by name.

use super::*;

/// Scenario S1, with the first server by name.
fn named(host: &str) -> Config {
    let mut config = s1();
    config.services[0].servers[0].address = name(host);
    config
}

fn name(host: &str) -> ServerAddress {
    ServerAddress::Name { host: host.into(), port: 80, ipv6: false }
}

#[test]
fn a_name_is_looked_up_before_its_server_takes_part() {
    let mut bed = Bed::new(&named("a.example"));
    bed.start();
    bed.settle();
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.57:80 2"], "not there yet");
    bed.go(0.1);
    let spec = bed.balancer.name_spec(bed.asked[0]).unwrap();
    assert_eq!((spec.host, spec.ipv6), ("a.example", Some(false)));
    bed.log();
    bed.resolve("a.example", &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(bed.log(), ["+ 192.0.2.1:80 1"], "without a verdict it is taken as up");
    let status = bed.snapshot().services[0].servers[0].clone();
    assert_eq!((status.address, status.resolved), (name("a.example"), "192.0.2.1:80".parse().ok()));
    assert!(bed.notes().is_empty(), "so it would have begun: no news");
    bed.go(2.1);
    bed.verdict("192.0.2.1:80", false);
    assert_eq!(bed.log(), ["- 192.0.2.1:80"]);
    assert_eq!(bed.notes(), ["a.example:80 is down: refused"]);
}

/// "name not found yet" is a reason to be down; the old address stays while nobody answers.
#[test]
fn failures_are_told_once_and_change_no_address() {
    let mut bed = Bed::started(&named("a.example"));
    bed.go(0.1);
    bed.resolve("a.example", &[]);
    let status = bed.snapshot().services[0].servers[0].clone();
    assert_eq!((status.reason.as_str(), status.up), ("name not found yet: no such name", false));
    assert!(bed.probes.is_empty() || bed.probes.len() == 1, "nothing to probe: {:?}", bed.probes);
    assert_eq!(bed.notes(), ["a.example:80 is down: name not found yet: no such name"]);
    assert_eq!(bed.snapshot().problems, ["a.example cannot be looked up: no such name"]);
    bed.go(5.2);
    bed.resolve("a.example", &[]);
    assert_eq!(bed.notes().len(), 1, "once");
    bed.go(15.3);
    bed.resolve("a.example", &["192.0.2.1"]);
    assert_eq!(bed.log(), ["+ 192.0.2.1:80 1"]);
    assert_eq!(bed.notes()[1], "a.example:80 is up", "it was told as down");
    assert!(bed.snapshot().problems.is_empty());
    bed.go(75.4);
    bed.resolve("a.example", &[]);
    assert_eq!((bed.log(), bed.up(0)[0]), (vec![], true), "its address stays");
    assert!(bed.snapshot().problems[0].contains("192.0.2.1, which it had, stays"));
}

/// The new address is in the table before the old one goes; its probes begin anew, and decide alone.
#[test]
fn another_address_takes_the_place_of_the_old_one() {
    let mut bed = Bed::started(&named("a.example"));
    bed.go(0.1);
    bed.resolve("a.example", &["192.0.2.1"]);
    bed.go(2.1);
    bed.verdict("192.0.2.1:80", true);
    bed.log();
    bed.go(60.2);
    let old: Vec<ProbeId> = bed.probes.clone();
    bed.resolve("a.example", &["192.0.2.5", "192.0.2.1"]);
    assert_eq!(bed.log(), [""; 0], "the old one is still among the answers");
    bed.go(120.4);
    let id = *bed.asked.first().unwrap();
    bed.resolved(id, &["192.0.2.5"]);
    let requests = bed.drain();
    assert_eq!(requests.iter().map(|(_, r)| brief(r)).collect::<Vec<_>>(), ["+ 192.0.2.5:80 1"]);
    bed.kernel.execute(&requests[0].1).unwrap();
    bed.ipvs(IpvsEvent::Done { token: requests[0].0, result: Ok(()) });
    assert_eq!(bed.log(), ["- 192.0.2.1:80"], "only when the new one is acknowledged");
    assert!(bed.notes().iter().any(|n| n == "a.example:80 is at 192.0.2.5 now, no longer at 192.0.2.1"));
    for id in old {
        assert!(bed.balancer.probe_spec(id).is_none_or(|s| s.address.to_string() == B), "of the old address");
    }
    assert!(!bed.snapshot().services[0].servers[0].known, "nothing is known of the new one");
    bed.go(122.5);
    bed.verdict("192.0.2.5:80", false);
    assert_eq!(bed.log(), ["- 192.0.2.5:80"], "fall = 4, but the first result decides alone");
}

/// One name, many servers: one question, one address, one probe.
#[test]
fn a_name_that_many_use_is_looked_up_once() {
    let mut config = s1();
    config.services = (1..=20)
        .map(|i| {
            let mut s = service(&format!("s{i}"), &format!("10.0.0.{i}:80"));
            s.servers[0].address = name("a.example");
            s.into()
        })
        .collect();
    let mut bed = Bed::started(&config);
    bed.go(0.1);
    assert_eq!(bed.asked.len(), 1);
    bed.resolve("a.example", &["192.0.2.1"]);
    assert_eq!(bed.log(), vec!["+ 192.0.2.1:80 1"; 20]);
    bed.go(2.2);
    assert_eq!(bed.probes.len(), 2);
    // A reload keeps the address, and what is known; a new service has it at once.
    let mut new = service("new", "10.0.0.99:80");
    new.servers[0].address = name("a.example");
    config.services.push(new.into());
    bed.reload(&config);
    assert_eq!(bed.log()[..2], ["+10.0.0.99:80 wrr", "+ 192.0.2.1:80 1"]);
    assert!(bed.asked.is_empty(), "no question for it");
}

/// Two servers of one service at one address would be one destination twice.
#[test]
fn of_two_names_with_one_address_the_second_is_left_out() {
    let mut config = named("a.example");
    config.services[0].servers[1].address = name("b.example");
    let mut bed = Bed::started(&config);
    bed.go(0.1);
    bed.resolve("b.example", &["192.0.2.1"]);
    assert_eq!(bed.log(), ["+ 192.0.2.1:80 2", "- 127.0.0.1:80"]);
    bed.resolve("a.example", &["192.0.2.1"]);
    assert_eq!(bed.log(), ["~ 192.0.2.1:80 1"], "the first in the file");
    let snapshot = bed.snapshot();
    let problem = "service web: b.example:80 has the address of another server, and is left out";
    assert_eq!(snapshot.problems, [problem]);
    assert!(!snapshot.services[0].servers[1].up);
    bed.go(2.2);
    assert_eq!(bed.probes.len(), 1, "and is not probed");
    bed.go(60.4);
    bed.resolve("b.example", &["192.0.2.2"]);
    assert_eq!(bed.log(), ["+ 192.0.2.2:80 2"], "an address of its own");
    assert!(bed.snapshot().problems.is_empty());
}

/// As keepalived's start: nothing is told of the quorum before the names have been looked up.
#[test]
fn the_quorum_is_no_news_until_the_names_are_known() {
    let mut config = named("a.example");
    config.services[0].servers.pop();
    let mut bed = Bed::started(&config);
    assert!(bed.snapshot().services[0].sorry_active, "nobody else yet");
    bed.go(0.1);
    bed.resolve("a.example", &["192.0.2.1"]);
    assert_eq!(bed.log(), ["+ 192.0.2.1:80 1", "- 127.0.0.1:80"]);
    assert!(bed.notes().is_empty(), "{:?}", bed.notes());
    let mut bed = Bed::started(&config);
    bed.go(0.1);
    bed.resolve("a.example", &[]);
    let notes = bed.notes();
    assert!(notes.len() == 2 && notes[1].starts_with("begins so: no server left"), "{notes:?}");
}

/// The address of a name comes while its service has other servers that are down; a stray answer is nothing.
#[test]
fn answers_to_old_questions_change_nothing() {
    let mut bed = Bed::started(&named("a.example"));
    bed.go(0.1);
    let id = bed.asked[0];
    bed.reload(&s1());
    bed.resolved(id, &["192.0.2.1"]);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"], "only what the reload brought");
    bed.resolved(NameId { number: 77, serial: 1 }, &["192.0.2.1"]);
    assert_eq!(bed.log(), [""; 0]);
}
