//! Quorum, hysteresis, inhibition, servers that run dry, and what is told of it (keepalived §2.4).

use super::*;

/// Scenario S1 with three servers of weight 1 and a quorum.
fn three(quorum: u32, hysteresis: u32) -> Config {
    let mut config = s1();
    let service = &mut config.services[0];
    service.servers = vec![server(A, 1), server(B, 1), server("192.168.234.67:80", 1)];
    service.servers.iter_mut().flat_map(|s| s.checks.iter_mut()).for_each(|c| (c.fall, c.rise) = (1, 1));
    (service.quorum, service.hysteresis) = (quorum, hysteresis);
    config
}

const C: &str = "192.168.234.67:80";

/// The sorry server comes in, then those that are left go: never an empty table (B-54's pair, scenario S3).
#[test]
fn with_the_quorum_the_last_servers_go_behind_the_sorry_server() {
    let mut bed = Bed::started(&three(2, 0));
    bed.go(2.0);
    bed.verdict(A, false);
    assert_eq!(bed.log(), ["- 192.168.234.47:80"], "2 of 3 are enough");
    bed.verdict(B, false);
    let log = bed.log();
    assert_eq!(log[0], "+ 127.0.0.1:80 1", "first the sorry server: {log:?}");
    assert_eq!(log[1..], ["- 192.168.234.57:80", "- 192.168.234.67:80"], "then all, also the one that is up");
    assert!(bed.snapshot().services[0].sorry_active && !bed.snapshot().services[0].has_quorum);
    bed.go(8.0);
    bed.verdict(C, false);
    assert_eq!(bed.log(), [""; 0], "it was not in the table");
    bed.verdict(A, true);
    assert_eq!(bed.log(), [""; 0], "one is too few");
    bed.verdict(B, true);
    let expected = ["+ 192.168.234.47:80 1", "+ 192.168.234.57:80 1", "- 127.0.0.1:80"];
    assert_eq!(bed.log(), expected, "first the servers, then the sorry server goes");
    let notes = bed.notes();
    let lost = notes.iter().position(|n| n.contains("no quorum, 1 of 3 up (weight 1, quorum 2)"));
    let gained = notes.iter().position(|n| n.contains("served again, 2 of 3 up (weight 2, quorum 2)"));
    assert!(lost.is_some() && gained > lost, "{notes:?}");
}

/// The sorry server's addition is acknowledged before anything that serves is taken away.
#[test]
fn what_serves_waits_for_the_sorry_servers_acknowledgement() {
    let mut bed = Bed::started(&three(3, 0));
    bed.go(2.0);
    let id = bed.probes[0];
    bed.probe(id, failed("refused"));
    let requests = bed.drain();
    assert_eq!(requests.iter().map(|(_, r)| brief(r)).collect::<Vec<_>>(), ["+ 127.0.0.1:80 1"]);
    bed.ipvs(IpvsEvent::Done { token: requests[0].0, result: Err(crate::engine::Refusal::Invalid) });
    bed.settle();
    let text = bed.kernel.text().remove(0);
    assert_eq!(text.matches("192.168.234").count(), 3, "refused: better what is there than nobody: {text}");
}

#[test]
fn without_a_sorry_server_those_that_are_up_stay() {
    let mut config = three(3, 0);
    config.services[0].sorry = None;
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    bed.verdict(A, false);
    assert_eq!(bed.log(), ["- 192.168.234.47:80"]);
    let service = bed.snapshot().services[0].clone();
    assert!(!service.has_quorum && !service.sorry_active);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.57:80 1, 192.168.234.67:80 1"]);
    let notes = bed.notes();
    assert!(notes[1].ends_with("there is no sorry server: those that are up go on"), "{notes:?}");
}

/// quorum 2, hysteresis 1: gained with 3, lost with none.
#[test]
fn hysteresis_keeps_what_is_there() {
    let mut bed = Bed::started(&three(2, 1));
    assert!(bed.snapshot().services[0].has_quorum, "3 >= 2 + 1 at the start");
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, false);
    assert!(bed.snapshot().services[0].has_quorum, "1 >= 2 - 1");
    bed.verdict(C, false);
    assert!(bed.snapshot().services[0].sorry_active);
    bed.log();
    bed.go(8.0);
    bed.verdict(A, true);
    bed.verdict(B, true);
    assert_eq!((bed.log(), bed.snapshot().services[0].sorry_active), (vec![], true), "2 < 2 + 1");
    bed.verdict(C, true);
    assert_eq!(bed.log().last().unwrap(), "- 127.0.0.1:80");
    let mut config = three(2, 1);
    config.services[0].servers.pop();
    let bed = Bed::new(&config);
    assert!(!bed.snapshot().services[0].has_quorum, "2 < 2 + 1: begins without, as in keepalived");
}

/// As keepalived: a quorum above the weight of all servers is lowered to that.
#[test]
fn a_quorum_that_cannot_be_reached_is_lowered() {
    let mut bed = Bed::started(&three(17, 16));
    let service = bed.snapshot().services[0].clone();
    assert_eq!((service.quorum, service.hysteresis), (3, 2), "what is in force is shown");
    assert!(service.sorry_active, "3 < 3 + 2");
    bed.reload(&three(17, 0));
    assert_eq!(bed.log().last().unwrap(), "- 127.0.0.1:80", "3 >= 3");
}

/// A reload that changes the quorum is judged at once, by what was held before.
#[test]
fn another_quorum_counts_at_once() {
    let mut bed = Bed::started(&three(1, 0));
    bed.go(2.0);
    for (address, up) in [(A, true), (B, true), (C, false)] {
        bed.verdict(address, up);
    }
    bed.log();
    bed.reload(&three(3, 0));
    let expected = ["+ 127.0.0.1:80 1", "- 192.168.234.47:80", "- 192.168.234.57:80"];
    assert_eq!(bed.log(), expected);
    bed.reload(&three(2, 0));
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1", "+ 192.168.234.57:80 1", "- 127.0.0.1:80"]);
    bed.reload(&three(3, 1));
    assert_eq!(bed.log(), [""; 0], "2 >= 3 - 1: held, and kept");
}

/// IPVS-54: weight 0 in place of removal, and back.
#[test]
fn inhibited_servers_stay_with_weight_0() {
    let mut config = three(1, 0);
    config.services[0].servers.iter_mut().for_each(|s| s.inhibit = true);
    config.services[0].sorry.as_mut().unwrap().inhibit = true;
    let mut bed = Bed::started(&config);
    assert!(bed.kernel.text()[0].contains("127.0.0.1:80 0"), "the sorry server is in from the start");
    bed.go(2.0);
    bed.verdict(A, false);
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 0"]);
    bed.verdict(B, false);
    bed.log();
    bed.verdict(C, false);
    assert_eq!(bed.log(), ["~ 127.0.0.1:80 1", "~ 192.168.234.67:80 0"], "the sorry server's weight first");
    bed.go(8.0);
    bed.verdict(A, true);
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 1", "~ 127.0.0.1:80 0"]);
    config.services[0].servers[1].inhibit = false;
    bed.reload(&config);
    assert_eq!(bed.log(), ["- 192.168.234.57:80"], "inhibited no more, and still down");
}

/// `vipd drain`: weight 0 whatever the checks say, kept over a reload, not counted for the quorum.
#[test]
fn a_drained_server_gets_no_new_connections_until_undrained() {
    let mut config = three(2, 0);
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    bed.set_draining(0, 0, true);
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 0"]);
    let status = bed.snapshot().services[0].servers[0].clone();
    assert!(status.draining && status.up && status.weight == 1, "{status:?}");
    bed.set_draining(0, 0, true);
    assert_eq!(bed.log(), [""; 0], "twice is once");
    bed.verdict(A, false);
    assert_eq!((bed.log(), bed.up(0)[0]), (vec![], false), "its connections may yet end");
    bed.go(8.0);
    bed.verdict(A, true);
    assert_eq!(bed.log(), [""; 0]);
    config.services[0].servers.reverse();
    config.services[0].name = Name::try_from("shop").unwrap();
    bed.reload(&config);
    assert_eq!(bed.log(), [""; 0], "a reload does not end it");
    assert!(bed.snapshot().services[0].servers[2].draining);
    // The quorum: 2 of those that take connections.
    bed.verdict(B, false);
    let log = bed.log();
    assert_eq!(log, ["+ 127.0.0.1:80 1", "- 192.168.234.57:80", "- 192.168.234.67:80"], "1 < 2");
    bed.set_draining(0, 2, false);
    let expected = ["+ 192.168.234.67:80 1", "~ 192.168.234.47:80 1", "- 127.0.0.1:80"];
    let mut log = bed.log();
    log[..2].sort();
    assert_eq!(log, expected, "2 again");
    assert!(bed.notes().iter().any(|n| n.contains("is drained")), "{:?}", bed.notes());
    bed.set_draining(7, 0, true);
    bed.set_draining(0, 7, true);
    assert_eq!(bed.log(), [""; 0], "no such server");
}

/// The last one is drained: the sorry server is in before its weight goes.
#[test]
fn the_sorry_server_comes_before_the_last_one_runs_dry() {
    let mut bed = Bed::started(&three(1, 0));
    bed.set_draining(0, 0, true);
    bed.set_draining(0, 1, true);
    bed.log();
    bed.set_draining(0, 2, true);
    assert_eq!(bed.log(), ["+ 127.0.0.1:80 1", "~ 192.168.234.67:80 0"]);
    assert_eq!(bed.up(0), [true, true, true], "nothing is wrong with them");
}

/// keepalived §2.4: "Starting with quorum down" is told where the sorry server has to begin.
#[test]
fn a_service_that_begins_without_its_quorum_tells_so() {
    let mut config = three(1, 0);
    config.services[0].servers.iter_mut().for_each(|s| s.start_up = false);
    let bed = Bed::started(&config);
    assert!(bed.notes()[0].starts_with("begins so: no server left"), "{:?}", bed.notes());
    let mail = bed.mailer.letter(1).unwrap();
    assert_eq!(mail.body, "=> Starting with quorum down 1+0=1 > 0 <=\n");
    config.services[0].sorry = None;
    assert!(Bed::started(&config).notes().is_empty(), "as keepalived: not without a sorry server");
    assert!(Bed::started(&three(1, 0)).notes().is_empty(), "and not where all is well");
}

/// keepalived's omega: what the end takes away is told; and what a reload takes away, always.
#[test]
fn what_goes_while_it_is_up_is_told() {
    let mut config = three(1, 0);
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    bed.verdict(A, false);
    config.services[0].servers.drain(..2);
    bed.reload(&config);
    let subject = |bed: &Bed, id| bed.mailer.letter(id).map(|l| (l.subject.to_string(), l.body.to_string()));
    let (subject_b, body) = subject(&bed, 2).unwrap();
    assert!(
        subject_b.contains("[192.168.234.57]:tcp:80") && body == "=> Removing <=\n",
        "{subject_b} {body}"
    );
    assert!(subject(&bed, 3).is_none(), "A was down before, and the quorum holds");
    bed.reload(&Config { services: vec![], ..config.clone() });
    assert!(subject(&bed, 3).unwrap().0.contains("[192.168.234.67]:tcp:80"), "the last server");
    assert!(
        subject(&bed, 4).unwrap().0.contains("Virtualserver [10.0.0.100]:tcp:80 - DOWN"),
        "and its service"
    );

    for tells_stop in [false, true] {
        config.services[0].tells_stop = tells_stop;
        let mut bed = Bed::started(&config);
        bed.call(|b, now, cx| b.shutdown(now, cx));
        let told = subject(&bed, 1).map(|(_, body)| body);
        assert_eq!(told, tells_stop.then(|| "=> Shutting down <=\n".into()), "tells_stop {tells_stop}");
    }
}
