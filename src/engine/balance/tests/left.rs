//! What is ours in the kernel's table, written down for the case that we are killed, and what an earlier run
//! left there.

use super::*;
use crate::engine::Refusal;

fn at(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap() }
}

/// A balancer before its start, over the table that another one left when it was killed.
fn after_a_crash(before: &Config, now: &Config) -> Bed {
    let mut killed = Bed::started(before);
    let mut bed = Bed::new(now);
    bed.kernel = core::mem::take(&mut killed.kernel);
    let recorded = killed.recorded;
    bed.recorded.clone_from(&recorded);
    bed.balancer.handle_left(&recorded);
    bed
}

fn with(addresses: &[&str]) -> Config {
    Config { services: addresses.iter().map(|a| service(a, a).into()).collect(), ..s1() }
}

/// Every command for a new key comes after the record (`Bed::drain` looks at each); what goes is written down
/// as gone when it is gone, not before.
#[test]
fn our_keys_are_written_down_before_they_go_in_and_after_they_are_gone() {
    let mut bed = Bed::started(&with(&["10.0.0.1:80", "10.0.0.2:80"]));
    assert_eq!(bed.recorded, [at("10.0.0.1:80"), at("10.0.0.2:80")]);
    bed.reload(&with(&["10.0.0.2:80", "10.0.0.3:80"]));
    let first = bed.drain();
    let all = [at("10.0.0.1:80"), at("10.0.0.2:80"), at("10.0.0.3:80")];
    assert_eq!(bed.recorded, all, "the old one is still in the table");
    for (token, request) in first {
        bed.kernel.answer(token, &request).into_iter().for_each(|event| bed.ipvs(event));
    }
    bed.settle();
    assert_eq!(bed.recorded, all[1..], "gone");
    bed.recorded = vec![at("10.9.9.9:80")];
    bed.reload(&with(&["10.0.0.2:80", "10.0.0.3:80"]));
    bed.go(30.0);
    assert_eq!(bed.recorded, [at("10.9.9.9:80")], "nothing has changed: nothing is written");
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.settle();
    assert_eq!(bed.recorded, [], "a clean end leaves nothing to remove");
}

#[test]
fn entries_that_are_kept_stay_written_down() {
    let mut config = s1();
    config.ipvs.keep = true;
    let mut bed = Bed::started(&config);
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.settle();
    assert_eq!(bed.recorded, [at("10.0.0.100:80")], "the next run knows whose they are");

    let mut bed = Bed::started(&with(&["10.0.0.1:80", "10.0.0.2:80"]));
    bed.kernel.refuse.push(("-10.0.0.1", Refusal::NotPermitted));
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.settle();
    bed.go(4.0);
    assert!(bed.balancer.is_shut_down());
    assert_eq!(bed.recorded, [at("10.0.0.1:80")], "what could not be taken out is left to the next run");
}

/// design.md §4, restart: adopted where still wanted, removed where not, and never what is not ours.
#[test]
fn what_a_killed_run_left_is_adopted_or_removed() {
    let mut bed =
        after_a_crash(&with(&["10.0.0.1:80", "10.0.0.2:80"]), &with(&["10.0.0.2:80", "10.0.0.3:80"]));
    bed.kernel.execute(&IpvsRequest::NewService(wanted(&service("x", "10.9.9.9:80")))).unwrap();
    bed.start();
    let expected = [
        "resolve",
        "+10.0.0.3:80 wrr",
        "+ 192.168.234.47:80 1",
        "+ 192.168.234.57:80 2",
        "-10.0.0.1:80", // when what may replace it is in
    ];
    assert_eq!(bed.log(), expected, "10.0.0.2 goes on without a command, 10.9.9.9 is somebody else's");
    let there: Vec<ServiceKey> = bed.kernel.table.keys().copied().collect();
    assert_eq!(there, [at("10.0.0.2:80"), at("10.0.0.3:80"), at("10.9.9.9:80")]);
    assert_eq!(bed.recorded, there[..2], "the record follows");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0, "our own leavings are nobody's edit");
    bed.go(60.0);
    assert_eq!(bed.log(), [""; 0]);
}

#[test]
fn what_was_left_goes_also_where_no_service_is_wanted_any_more() {
    let mut bed = after_a_crash(&s1(), &Config::default());
    bed.start();
    assert_eq!(bed.log(), ["resolve", "-10.0.0.100:80"]);
    assert_eq!(bed.recorded, []);
    assert_eq!(bed.balancer.next_deadline(), None, "and then there is nothing to do");

    let mut bed = after_a_crash(&s1(), &Config::default());
    bed.kernel.table.clear();
    bed.kernel.absent = true;
    bed.start();
    bed.settle();
    bed.go(600.0);
    assert_eq!(bed.log(), ["resolve"], "without IPVS there is nothing of it to remove");
    assert!(bed.snapshot().problems.is_empty() && bed.balancer.next_deadline().is_none());
}

/// IPVS-41: somebody was faster.
#[test]
fn what_was_left_and_is_gone_is_no_problem() {
    let mut bed = after_a_crash(&with(&["10.0.0.1:80"]), &s1());
    bed.kernel.table.clear();
    bed.start();
    assert!(bed.log().contains(&"-10.0.0.1:80".into()));
    let snapshot = bed.snapshot();
    assert!(snapshot.problems.is_empty() && snapshot.ipvs.unwrap().refused == 0);
    assert_eq!(bed.recorded, [at("10.0.0.100:80")]);
}

/// A service that changes its address is there under the new one before it leaves the old one (law 5).
#[test]
fn a_service_under_another_address_comes_before_the_old_one_goes() {
    let mut bed = Bed::started(&with(&["10.0.0.1:80"]));
    bed.reload(&with(&["10.0.0.2:80"]));
    let expected = ["+10.0.0.2:80 wrr", "+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2", "-10.0.0.1:80"];
    assert_eq!(bed.log(), expected);

    // A new one that the kernel refuses does not keep the old one for ever: nobody wants it.
    bed.kernel.lacks = Some("mh");
    let mut config = with(&["10.0.0.3:80"]);
    config.services[0].scheduler = Scheduler::try_from("mh").unwrap();
    bed.reload(&config);
    assert_eq!(bed.log(), ["+10.0.0.3:80 mh", "-10.0.0.2:80"]);
    // And one that is wanted again before its turn came stays.
    bed.kernel.lacks = None;
    bed.go(60.0);
    bed.log();
    bed.reload(&with(&["10.0.0.4:80"]));
    let mut both = with(&["10.0.0.3:80", "10.0.0.4:80"]);
    both.services[0].scheduler = Scheduler::try_from("mh").unwrap();
    bed.reload(&both);
    let log = bed.log();
    assert!(!log.iter().any(|l| l.starts_with("-10")), "{log:?}");
    assert_eq!(bed.kernel.table.len(), 2);
}
