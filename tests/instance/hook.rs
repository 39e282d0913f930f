//! The `pre_active` hook, and the operator.

use crate::router::{self, advert_of, instance, vip};
use crate::{LAN, OTHER, SECOND, active, ms, start};
use vipd::engine::{Event, RunOutcome};
use vipd::model::status::InstanceState::{Active, Backup, Fault};
use vipd::model::{Command, Instance};
use vipd::time::Duration;

fn with_hook() -> Instance {
    let argv = vec!["/bin/true".to_owned()];
    let hook = Command { argv, user: None, group: None, timeout: SECOND };
    Instance { pre_active: Some(hook), ..instance("eth0", 1) }
}

#[test]
fn the_addresses_wait_for_the_hook() {
    let mut r = start(&with_hook());
    r.pass(ms(3700));
    assert_eq!(r.state(0), Active);
    assert!(!r.has(LAN, vip(1)), "not before the hook is through");
    assert!(!r.sent.iter().any(router::Sent::is_garp));
    assert_eq!(r.sent.iter().filter_map(router::Sent::priority).count(), 1, "others know that we are here");
    let [run] = r.runs[..] else { panic!("one run: {:?}", r.runs) };
    assert_eq!(r.engine.run_spec(run).unwrap().command.argv, ["/bin/true"]);
    r.end_run(run, RunOutcome::Exited(0));
    r.pass(ms(10));
    assert!(r.has(LAN, vip(1)));
    assert!(r.sent.iter().any(router::Sent::is_garp));
}

#[test]
fn a_hook_that_hangs_or_fails_delays_and_no_more() {
    let mut r = start(&with_hook());
    r.pass(ms(3700));
    r.pass(ms(1500));
    assert!(r.has(LAN, vip(1)), "an outage is worse than an unsaid commit");
    assert!(r.runs.is_empty(), "it was ended");
    let mut r = start(&with_hook());
    r.pass(ms(3700));
    let run = r.runs[0];
    r.end_run(run, RunOutcome::Exited(1));
    r.pass(ms(10));
    assert!(r.has(LAN, vip(1)));
    assert!(r.lines.iter().any(|(_, l)| l.contains("exited with 1")), "and said");
}

#[test]
fn a_hook_of_a_state_that_was_left_changes_nothing() {
    let wanted = with_hook();
    let mut r = start(&wanted);
    r.pass(ms(3700));
    let run = r.runs[0];
    r.hear(LAN, &advert_of(&wanted, OTHER, 200));
    assert_eq!(r.state(0), Backup);
    assert!(r.runs.is_empty(), "it is ended");
    r.feed(Event::Ran { id: run, outcome: RunOutcome::Exited(0), took: ms(5) });
    r.pass(ms(100));
    assert!(!r.has(LAN, vip(1)));
}

#[test]
fn vipd_resign_takes_an_instance_out_and_restore_brings_it_back() {
    let mut r = active(&instance("eth0", 1));
    r.feed(Event::Resign { instance: 0, wanted_for: SECOND * 60 });
    assert_eq!(r.state(0), Fault);
    assert!(r.status(0).cause.contains("vipd resign"), "{}", r.status(0).cause);
    assert_eq!(r.sent.iter().filter_map(router::Sent::priority).next_back(), Some(0), "others need not wait");
    r.pass(SECOND * 59);
    assert_eq!(r.state(0), Fault);
    r.pass(SECOND * 6);
    assert_eq!(r.state(0), Active, "the time is over");
    r.feed(Event::Resign { instance: 0, wanted_for: Duration::MAX });
    r.pass(SECOND * 100_000);
    assert_eq!(r.state(0), Fault);
    r.feed(Event::Resign { instance: 0, wanted_for: Duration::ZERO });
    r.pass(SECOND * 5);
    assert_eq!(r.state(0), Active);
    r.feed(Event::Resign { instance: 7, wanted_for: SECOND });
    assert_eq!(r.state(0), Active, "an instance that is not there");
}

#[test]
fn a_reload_that_puts_another_instance_first_does_not_lose_the_end_of_a_hook() {
    let wanted = with_hook();
    let mut r = start(&wanted);
    r.pass(ms(3700));
    let run = r.runs[0];
    r.reload(&crate::config(&[instance("eth1", 9), wanted]));
    assert!(r.engine.run_spec(run).is_some(), "it is still wanted");
    r.end_run(run, RunOutcome::Exited(0));
    r.pass(ms(10));
    assert!(r.has(LAN, vip(1)), "live at once, not after its time limit");
}
