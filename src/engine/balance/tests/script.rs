//! The ordinary life: start, verdicts, sorry server, mails, audits, leaving.

use super::*;

#[test]
fn s1_starts_with_the_table_of_the_reference() {
    let mut bed = Bed::new(&s1());
    bed.start();
    assert_eq!(
        bed.log(),
        ["resolve", "+10.0.0.100:80 wrr", "+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2"]
    );
    let text = bed.kernel.text();
    assert_eq!(text, ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
    let (service, _) = bed.kernel.table.values().next().unwrap();
    assert_eq!((service.flags, service.timeout, service.prefix_len), (0, 0, 32), "IPVS-24 to IPVS-26");
    let snapshot = bed.snapshot();
    assert!(snapshot.ipvs.unwrap().present && snapshot.problems.is_empty(), "nothing to complain about");
    assert!(snapshot.services[0].installed && snapshot.services[0].servers[1].installed, "in the table");
    assert!(!snapshot.services[0].servers[0].known, "no verdict before the first probe");
    bed.go(2.0);
    assert_eq!(bed.probes.len(), 2, "both first probes within 2 s");
    bed.verdict(A, true);
    bed.verdict(B, true);
    assert_eq!(bed.log(), [""; 0], "what was taken as up and is up changes nothing");
    assert!(bed.notes().is_empty(), "and is no news");
}

/// S3: all down, the sorry server comes in before the last one goes; one up, it comes in before the sorry
/// one goes.
#[test]
fn s3_never_leaves_the_table_empty() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    assert_eq!(bed.log(), ["- 192.168.234.47:80"], "trap 4: the first failure is final");
    bed.verdict(B, false);
    assert_eq!(
        bed.log(),
        ["+ 127.0.0.1:80 1", "- 192.168.234.57:80"],
        "sorry added before the last one goes"
    );
    assert!(bed.snapshot().services[0].sorry_active);
    bed.go(8.0);
    bed.verdict(B, true);
    assert_eq!(bed.log(), ["+ 192.168.234.57:80 2", "- 127.0.0.1:80"], "server added before sorry goes");
    bed.verdict(A, true);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"]);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
    let expected = [
        "192.168.234.47:80 is down: refused",
        "192.168.234.57:80 is down: refused",
        "no server left, the sorry server 127.0.0.1:80 answers",
        "192.168.234.57:80 is up",
        "served again, 1 of 2 up",
        "192.168.234.47:80 is up",
    ];
    assert_eq!(bed.notes(), expected, "every change with its cause");
}

/// The deletion waits for the answer of the addition, not only for its turn in the queue.
#[test]
fn a_deletion_waits_for_the_acknowledgement_of_what_replaces_it() {
    let mut config = s1();
    config.services[0].servers.pop();
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    let id = bed.probes[0];
    bed.probe(id, failed("timeout"));
    let requests = bed.drain();
    assert_eq!(requests.iter().map(|(_, r)| brief(r)).collect::<Vec<_>>(), ["+ 127.0.0.1:80 1"]);
    bed.ipvs(IpvsEvent::Done { token: requests[0].0 + 100, result: Ok(()) });
    assert!(bed.drain().is_empty(), "another token acknowledges nothing");
    bed.kernel.execute(&requests[0].1).unwrap();
    bed.ipvs(IpvsEvent::Done { token: requests[0].0, result: Ok(()) });
    assert_eq!(bed.drain().iter().map(|(_, r)| brief(r)).collect::<Vec<_>>(), ["- 192.168.234.47:80"]);
}

/// One server replaces another beside a third that stays: the old one waits for the new one all the same.
#[test]
fn a_replaced_server_waits_though_another_one_serves() {
    let mut bed = Bed::started(&s1());
    let mut config = s1();
    config.services[0].servers[0].address = ServerAddress::Ip("192.0.2.3:80".parse().unwrap());
    bed.reload(&config);
    let requests = bed.drain();
    let brief: Vec<_> = requests.iter().map(|(_, r)| brief(r)).collect();
    assert_eq!(brief, ["+ 192.0.2.3:80 1"], "the deletion only after the acknowledgement");
}

/// What is told of a row that has had a command since proves nothing, in whatever order the answers come.
#[test]
fn a_dump_beside_a_command_proves_nothing() {
    let mut bed = Bed::started(&s1());
    bed.now = Instant::from_secs(1010);
    bed.call(|b, now, cx| b.tick(now, cx));
    let services = bed.drain();
    let [(token, IpvsRequest::DumpServices)] = services[..] else { panic!("an audit is due: {services:?}") };
    for event in bed.kernel.answer(token, &IpvsRequest::DumpServices) {
        bed.ipvs(event);
    }
    let (dump, request) = bed.drain().remove(0);
    let mut told = bed.kernel.answer(dump, &request);
    let mut config = s1();
    config.services[0].servers.push(server("192.0.2.3:80", 3));
    config.services[0].servers[0].weight = 9;
    bed.reload(&config);
    for (token, request) in bed.drain() {
        for event in bed.kernel.answer(token, &request) {
            bed.ipvs(event);
        }
    }
    told.drain(..).for_each(|event| bed.ipvs(event));
    assert_eq!(bed.log(), [""; 0], "the new weight and the new server are there, whatever was told before");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0, "and nobody has removed them");
}

#[test]
fn fall_and_retry_interval_as_in_s1() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, true);
    bed.verdict(B, true);
    let mut failures = 0;
    let mut first = None;
    while bed.log().is_empty() {
        bed.go((bed.now - Instant::from_secs(1000)).total_millis() as f64 / 1000.0 + 0.1);
        let running: Vec<ProbeId> = bed.probes.clone();
        for id in running {
            let is_a = bed.balancer.probe_spec(id).unwrap().address.to_string() == A;
            if is_a {
                first.get_or_insert(bed.now);
                failures += 1;
            }
            bed.probe(id, if is_a { failed("HTTP 503, want 200") } else { Outcome::Passed });
        }
        assert!(failures <= 4, "fall = 4");
    }
    assert_eq!(failures, 4, "3 retries");
    let took = (bed.now - first.unwrap()).total_millis();
    assert!((8900..9200).contains(&took), "3 retries 3 s apart, took {took} ms");
    let server = &bed.snapshot().services[0].servers[0];
    assert_eq!((server.up, server.known, server.installed), (false, true, false));
    assert_eq!(server.reason, "HTTP 503, want 200", "the screen says why");
    assert_eq!((server.passed, server.failed), (1, 4));
}

#[test]
fn without_start_up_servers_wait_for_their_first_success() {
    let mut config = s1();
    config.services[0].servers.iter_mut().for_each(|s| s.start_up = false);
    let mut bed = Bed::new(&config);
    bed.start();
    assert_eq!(bed.log(), ["resolve", "+10.0.0.100:80 wrr", "+ 127.0.0.1:80 1"], "nobody is up yet");
    bed.go(2.0);
    bed.verdict(A, true);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1", "- 127.0.0.1:80"]);
    bed.verdict(B, false);
    assert_eq!(bed.log(), [""; 0], "down as it was taken for");
    assert_eq!(bed.notes().last().unwrap(), "192.168.234.57:80 is down: refused", "but the reason is told");
}

#[test]
fn without_a_sorry_server_the_last_one_still_goes() {
    let mut config = s1();
    config.services[0].sorry = None;
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, false);
    assert_eq!(bed.log(), ["- 192.168.234.47:80", "- 192.168.234.57:80"]);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: "], "the service stays and refuses clients");
}

#[test]
fn mails_are_worded_as_keepalived_does() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, false);
    let letters: Vec<_> = (1..=3).map(|id| bed.mailer.letter(id).unwrap().clone()).collect();
    let subject = "[gw-a] Realserver [192.168.234.47]:tcp:80 of virtual server [10.0.0.100]:tcp:80 - DOWN";
    assert_eq!(letters[0].subject, subject);
    assert_eq!(letters[0].body, "=> CHECK failed on service : HTTP/SSL request failed <=\nrefused\n");
    assert_eq!(letters[2].subject, "[gw-a] Virtualserver [10.0.0.100]:tcp:80 - DOWN");
    assert_eq!(letters[2].body, "=> Lost quorum 1-0=1 > 0 <=\n");
    bed.go(8.0);
    bed.verdict(B, true);
    assert_eq!(bed.mailer.letter(4).unwrap().body, "=> CHECK succeed on service <=\n");
    assert_eq!(bed.mailer.letter(5).unwrap().body, "=> Gained quorum 1+0=1 <= 2 <=\n");
    assert!(bed.mailer.letter(6).is_none(), "one mail a change");
}

#[test]
fn stale_and_foreign_probe_results_change_nothing() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    let id = bed.probes[0];
    bed.probe(id, Outcome::Passed);
    bed.probe(id, failed("late"));
    bed.probe(ProbeId { checker: id.checker, serial: id.serial + 500 }, failed("never started"));
    bed.probe(ProbeId { checker: 999, serial: id.serial }, failed("no such checker"));
    assert_eq!(bed.log(), [""; 0]);
    assert!(bed.balancer.probe_spec(id).is_none(), "an ended probe has no parameters");
    assert_eq!(bed.snapshot().services[0].servers.iter().map(|s| s.failed).sum::<u32>(), 0);
}

#[test]
fn a_probe_that_could_not_be_made_is_a_problem_not_a_verdict() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    let id = bed.probes[0];
    bed.probe(id, Outcome::NotRun(cut(format_args!("too many open files"))));
    assert_eq!(bed.log(), [""; 0], "HC-4: the server keeps its state");
    assert!(bed.snapshot().problems[0].contains("too many open files"));
    bed.go(5.5);
    assert_eq!(bed.probes.iter().filter(|p| p.checker == id.checker).count(), 1, "tried again");
}

#[test]
fn audits_read_connections_and_put_foreign_edits_right() {
    let mut bed = Bed::started(&s1());
    bed.go(11.0);
    let snapshot = bed.snapshot();
    assert_eq!(snapshot.services[0].active_connections, 6, "connection counts come with the audit");
    assert_eq!(snapshot.services[0].servers[0].inactive_connections, 4);
    assert_eq!(bed.log(), [""; 0], "an audit that finds nothing changes nothing");

    let key = *bed.kernel.table.keys().next().unwrap();
    let (_, destinations) = bed.kernel.table.get_mut(&key).unwrap();
    destinations.remove(&A.parse().unwrap());
    destinations.get_mut(&B.parse().unwrap()).unwrap().weight = 9;
    bed.go(22.0);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1", "~ 192.168.234.57:80 2"], "law 5");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 2, "counted");
    assert!(bed.notes().iter().any(|n| n.contains("somebody changed")), "and told");

    bed.kernel.table.clear();
    bed.go(33.0);
    assert_eq!(
        bed.log(),
        ["+10.0.0.100:80 wrr", "+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2"],
        "flushed"
    );
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 5);

    let (service, destinations) = bed.kernel.table.get_mut(&key).unwrap();
    service.scheduler = Scheduler::try_from("rr").unwrap();
    let stranger = "192.0.2.99:80".parse().unwrap();
    let mut copy = destinations[&A.parse().unwrap()];
    copy.address = stranger;
    destinations.insert(stranger, copy);
    bed.go(44.0);
    assert_eq!(
        bed.log(),
        ["~10.0.0.100:80 wrr", "- 192.0.2.99:80"],
        "also what somebody added to our service"
    );
    bed.go(60.0);
    assert_eq!(bed.log(), [""; 0]);
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 7, "once each");
}

#[test]
fn a_local_destination_is_not_changed_again_and_again() {
    let mut bed = Bed::started(&s1());
    bed.kernel.tells_local = true;
    bed.go(2.0);
    bed.verdict(A, false);
    bed.verdict(B, false);
    bed.log();
    bed.go(40.0);
    assert_eq!(bed.log(), [""; 0], "the kernel's `Local` for 127.0.0.1 is what was asked for");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0);
}

#[test]
fn entries_of_an_earlier_run_are_adopted_and_those_of_others_left_alone() {
    let mut first = Bed::started(&s1());
    let mut kernel = core::mem::take(&mut first.kernel);
    let key = *kernel.table.keys().next().unwrap();
    let mut stale = *kernel.table[&key].1.values().next().unwrap();
    stale.address = "192.0.2.1:80".parse().unwrap();
    kernel.table.get_mut(&key).unwrap().1.insert(stale.address, stale);
    kernel.table.get_mut(&key).unwrap().1.remove(&B.parse().unwrap());
    let foreign = wanted(&service("other", "10.9.9.9:80"));
    kernel.execute(&IpvsRequest::NewService(foreign)).unwrap();

    let mut bed = Bed::new(&s1());
    bed.kernel = kernel;
    bed.start();
    assert_eq!(
        bed.log(),
        ["resolve", "+ 192.168.234.57:80 2", "- 192.0.2.1:80"],
        "only what differs, adds first"
    );
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0, "our own leavings are nobody's edit");
    bed.call(|b, now, cx| b.shutdown(now, cx));
    assert_eq!(bed.log(), ["-10.0.0.100:80"]);
    assert_eq!(bed.kernel.text(), ["10.9.9.9:80 wrr: "], "what is not ours stays");
}

#[test]
fn leaving_empties_the_table_and_stops_the_probes() {
    let mut bed = Bed::started(&s1());
    bed.go(2.0);
    bed.call(|b, now, cx| b.shutdown(now, cx));
    assert!(!bed.balancer.is_shut_down(), "the kernel has not answered yet");
    assert_eq!(bed.log(), ["-10.0.0.100:80"], "IPVS-57: its destinations go with it");
    assert!(bed.balancer.is_shut_down() && bed.probes.is_empty() && bed.stopped.len() == 2);
    assert_eq!(bed.balancer.next_deadline(), None);

    let mut config = s1();
    config.ipvs.keep = true;
    let mut bed = Bed::started(&config);
    bed.call(|b, now, cx| b.shutdown(now, cx));
    assert!(bed.balancer.is_shut_down() && bed.log().is_empty(), "keep = true leaves the entries");

    let mut bed = Bed::started(&s1());
    bed.kernel.mute = true;
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.go(2.9);
    assert!(!bed.balancer.is_shut_down());
    bed.go(3.1);
    assert!(bed.balancer.is_shut_down(), "a kernel that does not answer cannot hold the daemon");
}

#[test]
fn commands_go_out_in_a_window_and_a_thousand_services_come_in() {
    let mut config = s1();
    config.services = (0..1000)
        .map(|i| {
            let mut s = service(&format!("s{i}"), &format!("10.0.{}.{}:80", i / 250, i % 250 + 1));
            s.servers = (1..=8).map(|n| server(&format!("192.0.2.{n}:80"), 1)).collect();
            s.into()
        })
        .collect();
    let mut bed = Bed::new(&config);
    bed.start();
    let mut rounds = 0;
    loop {
        let requests = bed.drain();
        assert!(requests.len() <= crate::limits::IPVS_WINDOW + 1, "{} at one time", requests.len());
        if requests.is_empty() {
            break;
        }
        rounds += 1;
        for (token, request) in requests {
            for event in bed.kernel.answer(token, &request) {
                bed.ipvs(event);
            }
        }
    }
    assert_eq!(bed.kernel.table.values().map(|(_, d)| d.len()).sum::<usize>(), 8000);
    assert!(rounds < 9000, "{rounds} turns for 9000 commands: the window is not used");
    bed.go(2.0);
    assert_eq!(bed.probes.len(), 8, "the same servers behind all of them: each is probed once");
}
