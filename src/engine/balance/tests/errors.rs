//! What the kernel may say instead of "done" (IPVS-40 to IPVS-46), and a kernel without IPVS.

use super::*;
use crate::engine::Refusal;

#[test]
fn without_the_family_there_is_one_problem_and_growing_patience() {
    let mut bed = Bed::new(&s1());
    bed.kernel.absent = true;
    bed.start();
    assert_eq!(bed.log(), ["resolve"]);
    let snapshot = bed.snapshot();
    let ipvs = snapshot.ipvs.unwrap();
    assert!(!ipvs.present && ipvs.why == "install kmod-nf-ipvs", "what to install");
    assert_eq!(snapshot.problems, ["install kmod-nf-ipvs"], "one line");
    bed.go(4.9);
    assert_eq!(bed.log(), [""; 0]);
    bed.go(300.0);
    let tries = bed.log().len();
    assert!((7..=8).contains(&tries), "5, 10, 20, 40, 60, 60, ... s: {tries} tries in 300 s");
    assert_eq!(bed.notes().len(), 1, "one note, not one a try");
    assert_eq!(bed.probes.len(), 2, "probes go on meanwhile: the screen shows the servers");
    bed.kernel.absent = false;
    bed.go(400.0);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
    assert!(bed.snapshot().problems.is_empty());
    bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("unloaded")) });
    bed.kernel.table.clear();
    assert!(!bed.snapshot().services[0].installed, "gone with its module");
    bed.log.clear();
    bed.go(406.0);
    assert_eq!(bed.log()[1], "+10.0.0.100:80 wrr", "back with it");
}

#[test]
fn an_unknown_scheduler_names_its_module() {
    let mut bed = Bed::new(&s1());
    bed.kernel.lacks = Some("wrr");
    bed.start();
    assert_eq!(bed.log(), ["resolve", "+10.0.0.100:80 wrr"], "IPVS-40a: asked once, then it waits");
    let snapshot = bed.snapshot();
    assert_eq!(
        snapshot.problems[0],
        "service web: the kernel lacks scheduler wrr: load ip_vs_wrr (kmod-nf-ipvs, CONFIG_IP_VS_WRR)"
    );
    assert_eq!(snapshot.ipvs.unwrap().refused, 1);
    bed.go(120.0);
    let tries = bed.log().len();
    assert!((6..=8).contains(&tries), "1, 2, 4, ... 30, 30 s: {tries} tries in 120 s");
    bed.kernel.lacks = None;
    bed.go(160.0);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
    assert!(bed.snapshot().problems.is_empty(), "a problem that is over goes away");
}

#[test]
fn a_reload_to_an_unknown_scheduler_keeps_the_service_running() {
    let mut bed = Bed::started(&s1());
    bed.kernel.lacks = Some("mh");
    let mut config = s1();
    config.services[0].scheduler = Scheduler::try_from("mh").unwrap();
    bed.reload(&config);
    assert_eq!(bed.log(), ["~10.0.0.100:80 mh"]);
    assert!(bed.snapshot().problems[0].contains("ip_vs_mh"), "{:?}", bed.snapshot().problems);
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0);
    bed.go(2.0);
    bed.verdict(A, false);
    assert!(bed.log().contains(&"- 192.168.234.47:80".to_string()), "its servers still come and go");
    bed.kernel.lacks = None;
    bed.go(60.0);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 mh: 192.168.234.57:80 2"]);
}

#[test]
fn what_exists_already_is_changed_and_looked_into() {
    let mut bed = Bed::new(&s1());
    bed.start();
    // Between our reading and our commands somebody makes the same service, with a destination of his own.
    for _ in 0..2 {
        for (token, request) in bed.drain() {
            for event in bed.kernel.answer(token, &request) {
                bed.ipvs(event);
            }
        }
    }
    let mut other = wanted(&s1().services[0]);
    other.scheduler = Scheduler::try_from("rr").unwrap();
    let stranger = "192.0.2.99:80".parse().unwrap();
    let mut d = crate::wire::ipvs::Destination {
        address: stranger,
        forward: Forwarding::DirectRoute,
        tunnel: Tunnel::Ipip,
        weight: 5,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    bed.kernel.execute(&IpvsRequest::NewService(other.clone())).unwrap();
    bed.kernel.execute(&IpvsRequest::NewDestination(other.key, d)).unwrap();
    d.address = A.parse().unwrap();
    bed.kernel.execute(&IpvsRequest::NewDestination(other.key, d)).unwrap();
    let log = bed.log();
    assert_eq!(log[..2], ["+10.0.0.100:80 wrr", "~10.0.0.100:80 wrr"], "IPVS-40, IPVS-46: exists, so set");
    assert_eq!(
        log[2..],
        ["~ 192.168.234.47:80 1", "+ 192.168.234.57:80 2", "- 192.0.2.99:80"],
        "then looked into"
    );
    assert!(bed.snapshot().problems.is_empty());
}

#[test]
fn a_destination_that_exists_is_set_and_one_that_does_not_is_made() {
    let mut bed = Bed::started(&s1());
    let key = *bed.kernel.table.keys().next().unwrap();
    let mut config = s1();
    config.services[0].servers[0].weight = 5;
    bed.kernel.table.get_mut(&key).unwrap().1.remove(&A.parse().unwrap());
    bed.reload(&config);
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 5", "+ 192.168.234.47:80 5"], "IPVS-42a: not found, so new");

    bed.go(2.0);
    bed.verdict(A, false);
    bed.log();
    let d = *bed.kernel.table[&key].1.values().next().unwrap();
    let foreign = crate::wire::ipvs::Destination { address: A.parse().unwrap(), ..d };
    bed.kernel.execute(&IpvsRequest::NewDestination(key, foreign)).unwrap();
    bed.go(8.0);
    bed.verdict(A, true);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 5", "~ 192.168.234.47:80 5"], "IPVS-42: exists, so set");
    assert_eq!(bed.snapshot().ipvs.unwrap().refused, 0, "an answer that says what is there is no refusal");
}

#[test]
fn a_deletion_of_what_is_gone_is_a_success() {
    let mut bed = Bed::started(&s1());
    let key = *bed.kernel.table.keys().next().unwrap();
    bed.go(2.0);
    bed.kernel.table.get_mut(&key).unwrap().1.remove(&A.parse().unwrap());
    bed.verdict(A, false);
    assert_eq!(bed.log(), ["- 192.168.234.47:80"], "IPVS-46");
    bed.kernel.table.clear();
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.settle();
    assert!(bed.balancer.is_shut_down(), "IPVS-46: not found, so gone");
    assert_eq!(bed.snapshot().ipvs.unwrap().refused, 0);
}

#[test]
fn a_service_that_vanished_is_made_anew_with_all_its_destinations() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    bed.log();
    bed.kernel.table.clear();
    bed.go(8.0);
    bed.verdict(A, true);
    let expected =
        ["+ 192.168.234.47:80 1", "+10.0.0.100:80 wrr", "+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2"];
    assert_eq!(bed.log(), expected, "IPVS-41: no service, so all of it again, without waiting for an audit");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 2, "the service and the one destination it had");

    bed.kernel.table.clear();
    let mut config = s1();
    config.services[0].scheduler = Scheduler::try_from("rr").unwrap();
    bed.reload(&config);
    let expected =
        ["~10.0.0.100:80 rr", "+10.0.0.100:80 rr", "+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2"];
    assert_eq!(bed.log(), expected, "IPVS-41 on SET_SERVICE: read, found missing, made anew");
    let problems = bed.snapshot().problems;
    assert!(problems.is_empty(), "and nothing stays wrong: {problems:?}");
}

/// B-99, B-101: the service goes between the two dumps. Of what is not there the kernel tells no
/// destinations, without an error (IPVS-45), and then ESRCH in the middle of what is sent.
#[test]
fn a_service_that_vanishes_between_two_dumps_is_made_again() {
    let mut bed = Bed::started(&s1());
    let all = ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"];
    let mut seen = Vec::new();
    for _ in 0..400 {
        for (token, request) in bed.drain() {
            seen.push(brief(&request));
            let events = bed.kernel.answer(token, &request);
            if request == IpvsRequest::DumpServices && seen.len() == 1 {
                bed.kernel.table.clear();
            }
            events.into_iter().for_each(|event| bed.ipvs(event));
        }
        if !seen.is_empty() && bed.kernel.text() == all {
            break;
        }
        bed.now += Duration::from_millis(50);
        bed.call(|b, now, cx| b.tick(now, cx));
    }
    assert_eq!(bed.kernel.text(), all, "B-99: `no servers` would be believed: {seen:?}");
    let vain = seen.iter().position(|request| request.starts_with("+ ")).unwrap();
    let made = seen.iter().position(|request| request.starts_with("+1")).unwrap();
    assert!(vain < made, "ESRCH came first: {seen:?}");
    bed.settle();
    assert!(bed.snapshot().problems.is_empty() && bed.snapshot().services[0].installed);
    bed.log();
    bed.go(60.0);
    assert_eq!(bed.log(), [""; 0], "and nothing is left to do");
}

#[test]
fn a_refusal_is_counted_shown_and_tried_again_after_a_pause() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.kernel.refuse.push(("+ 127.0.0.1", Refusal::NotPermitted));
    bed.verdict(A, false);
    bed.log();
    bed.verdict(B, false);
    assert_eq!(bed.log(), ["+ 127.0.0.1:80 1"], "what serves stays while its replacement is refused");
    let snapshot = bed.snapshot();
    assert_eq!(
        snapshot.problems[0],
        "service web: IPVS refuses 127.0.0.1:80: not permitted (needs CAP_NET_ADMIN)"
    );
    assert_eq!(snapshot.ipvs.unwrap().refused, 1);
    bed.go(2.9);
    assert_eq!(bed.log(), [""; 0], "a pause of 1 s");
    bed.go(62.0);
    let tries = bed.log().len();
    assert!((5..=6).contains(&tries), "1, 2, 4, 8, 16, 30 s: {tries}");
    bed.kernel.refuse.clear();
    bed.go(92.0);
    assert_eq!(bed.log(), ["+ 127.0.0.1:80 1", "- 192.168.234.57:80"], "S3's order, late");
    assert!(bed.snapshot().problems.is_empty());
}

#[test]
fn a_refused_deletion_of_the_last_service_does_not_spin() {
    let mut bed = Bed::started(&s1());
    bed.kernel.refuse.push(("-10.0.0.100", Refusal::NotPermitted));
    bed.go(100.0);
    bed.reload(&Config::default());
    for _ in 0..100 {
        let Some(at) = bed.balancer.next_deadline() else { break };
        bed.now = bed.now.max(at);
        bed.tick();
    }
    assert!(bed.now > Instant::from_secs(1500), "at {}: a deadline that nobody moves", bed.now);
    bed.kernel.refuse.clear();
    bed.go(10_000.0);
    assert_eq!(bed.kernel.text(), [""; 0], "and then it goes");
    assert_eq!(bed.balancer.next_deadline(), None, "nothing is left to do");
}

/// One destination that the kernel refuses for good does not hold up the others.
#[test]
fn a_refused_destination_does_not_stop_its_neighbours() {
    let mut bed = Bed::new(&s1());
    bed.kernel.refuse.push(("+ 192.168.234.57", Refusal::Invalid));
    bed.start();
    bed.go(100.0);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1"]);
    bed.log();
    bed.verdict(A, false);
    assert_eq!(bed.log(), [""; 0], "the refused one was to serve: better the old than none");
    let id = bed.probes[0];
    bed.probe(id, failed("refused"));
    assert_eq!(bed.log(), ["+ 127.0.0.1:80 1", "- 192.168.234.47:80"], "at once, in the midst of a pause");
}

#[test]
fn a_table_that_cannot_be_read_is_a_problem_and_tried_again() {
    let mut bed = Bed::new(&s1());
    bed.kernel.refuse.push(("services", Refusal::NotPermitted));
    bed.start();
    bed.go(100.0);
    assert_eq!(bed.log(), ["resolve"], "nothing is changed blindly");
    assert!(bed.snapshot().problems[0].contains("cannot be read"), "{:?}", bed.snapshot().problems);
    let reads = bed.snapshot().ipvs.unwrap().refused;
    assert!((6..=9).contains(&reads), "with growing pauses: {reads}");
    bed.kernel.refuse.clear();
    bed.go(131.0);
    assert_eq!(bed.kernel.text().len(), 1);
    assert!(bed.snapshot().problems.is_empty());
}

/// B-95, seen with a module that was taken out under a dump: that it is gone says it all.
#[test]
fn a_dump_that_ended_with_the_module_is_no_problem_of_its_own() {
    let mut bed = Bed::started(&s1());
    bed.kernel.refuse.push(("services", Refusal::Interrupted));
    bed.go(31.0);
    assert!(bed.snapshot().problems[0].contains("no complete answer"), "{:?}", bed.snapshot().problems);
    bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("no module")) });
    assert_eq!(bed.snapshot().problems, ["no module"]);
}

#[test]
fn an_interrupted_dump_proves_no_absence() {
    let mut bed = Bed::started(&s1());
    bed.kernel.refuse.push(("destinations", Refusal::Interrupted));
    bed.go(12.0);
    assert_eq!(bed.log(), [""; 0], "what was not told may be there all the same");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0);
    bed.kernel.refuse.clear();
    bed.kernel.table.values_mut().for_each(|(_, d)| d.clear());
    bed.go(20.0);
    assert_eq!(bed.log().len(), 2, "read again soon, not only with the next audit");
}

/// Answers that were lost: after a while the table is read, and brought on from what is there.
#[test]
fn lost_answers_lead_to_a_reading() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    bed.log();
    let id = bed.probes[0];
    bed.probe(id, failed("refused"));
    for (_, request) in bed.drain() {
        bed.kernel.execute(&request).unwrap(); // done, but the answer never comes
    }
    bed.go(16.0);
    assert_eq!(bed.log(), [""; 0], "the deletion waits for the acknowledgement");
    bed.go(19.0);
    assert_eq!(bed.log(), ["- 192.168.234.57:80"], "the addition was found in the table");
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 127.0.0.1:80 1"]);
}

#[test]
fn late_answers_of_a_family_that_was_gone_change_nothing() {
    let mut bed = Bed::new(&s1());
    bed.start();
    let resolve = bed.drain()[0].0;
    bed.ipvs(IpvsEvent::Ready { sockopt: false });
    bed.ipvs(IpvsEvent::Done { token: resolve, result: Ok(()) });
    let dump = bed.drain()[0].0;
    bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("gone")) });
    bed.ipvs(IpvsEvent::Done { token: dump, result: Ok(()) });
    assert!(bed.drain().is_empty(), "the dump of a former life proves nothing");
}
