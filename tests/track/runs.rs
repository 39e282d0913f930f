//! Scripts and paths: when they run, and what their results say.

use crate::bench::*;
use vipd::engine::{Outcome, ProbeId, RunOutcome, RunOwner};
use vipd::time::Duration;

#[test]
fn a_script_runs_from_start_to_start_and_its_results_count_as_keepalived_s() {
    let mut b = Bench::new(&config(&[script(1000, 5000, 2, 3)], -10));
    b.pass(Duration::ZERO);
    let id = b.run();
    assert_eq!(id.owner, RunOwner::Track(0));
    assert_eq!(b.engine.run_spec(id).unwrap().command.argv, ["/bin/check"]);
    assert_eq!(b.up(0), None, "nothing is known before the first result");
    b.ran(id, RunOutcome::Exited(0));
    assert_eq!(b.up(0), Some(true), "keepalived §2.3: the first success decides alone, rise = 2");
    assert!(b.said("Note track t0: unknown -> up: exited with 0"), "{:?}", b.lines);
    let start = b.now;
    let bad = [RunOutcome::TimedOut, RunOutcome::Killed(11), RunOutcome::NotStarted(2)];
    for (n, outcome) in bad.into_iter().enumerate() {
        assert_eq!(b.up(0), Some(true), "{n} failures of 3");
        b.pass(start + ms(1000 * (n as u64 + 1)) - b.now);
        let id = b.run();
        b.pass(ms(300));
        b.ran(id, outcome);
    }
    let status = b.tracker(0);
    assert_eq!((status.up, status.failed, status.passed), (Some(false), 3, 1));
    assert_eq!(status.reason, "could not be started: error 2");
    assert!(b.said("Warning track t0: up -> down: could not be started"), "{:?}", b.lines);
    b.pass(ms(700));
    let id = b.run();
    b.ran(id, RunOutcome::Exited(0));
    assert_eq!(b.up(0), Some(false), "one success of 2");
    b.pass(ms(1000));
    let id = b.run();
    b.ran(id, RunOutcome::Exited(0));
    assert_eq!(b.up(0), Some(true));
    assert_eq!(b.tracker(0).reason, "", "no reason while it is up");
}

#[test]
fn a_script_that_still_runs_is_not_doubled() {
    let mut b = Bench::new(&config(&[script(1000, 5000, 1, 1)], -10));
    b.pass(Duration::ZERO);
    let id = b.run();
    b.pass(ms(2500));
    assert!(!b.take().iter().any(|d| matches!(d, Did::Run(_))), "keepalived §2.3: run skipped");
    b.ran(id, RunOutcome::Exited(0));
    b.pass(ms(499));
    assert_eq!(b.take(), [], "it keeps its turns");
    b.pass(ms(1));
    let next = b.run();
    assert_ne!(next.serial, id.serial);
    b.ran(id, RunOutcome::Exited(1));
    assert_eq!(b.up(0), Some(true), "the result of a run that is over changes nothing");
}

#[test]
fn a_result_that_never_comes_is_a_failure() {
    let mut b = Bench::new(&config(&[script(1000, 5000, 1, 1), path(1000, 1000, 1, 1, 0)], -10));
    b.pass(Duration::from_secs(16));
    let did = b.take();
    assert_eq!((b.up(0), b.up(1)), (Some(false), Some(false)), "SEC-12: what hangs must not hold for ever");
    assert!(did.iter().any(|d| matches!(d, Did::StopRun(_))), "{did:?}");
    assert!(did.iter().any(|d| matches!(d, Did::StopProbe(_))), "{did:?}");
    assert_eq!(b.tracker(0).reason, "no result in 5.000s");
}

#[test]
fn first_runs_of_many_scripts_are_spread_and_soon() {
    let mut b = Bench::new(&config(&vec![script(10_000, 5000, 1, 1); 20], -10));
    let start = b.now;
    b.pass(ms(500));
    let runs = b.did.iter().filter(|(_, did)| matches!(did, Did::Run(_)));
    let mut at: Vec<u64> = runs.map(|(at, _)| (*at - start).total_millis()).collect();
    assert_eq!(at.len(), 20, "instances wait for the first results");
    at.dedup();
    assert!(at.len() >= 18, "not all in one moment: {at:?}");
}

#[test]
fn a_path_decides_by_the_first_result_then_by_rise_and_fall() {
    let mut b = Bench::new(&config(&[path(1000, 1000, 3, 3, 0)], -10));
    b.pass(Duration::ZERO);
    let id = b.probe();
    assert_eq!(id.checker, ProbeId::PATH);
    let spec = b.engine.probe_spec(id).unwrap();
    assert_eq!((spec.address, spec.timeout, spec.was_up), ("192.0.2.1:53".parse().unwrap(), ms(1000), false));
    assert_eq!(spec.interface, Some(&name("wan0")));
    b.probed(id, Outcome::NotRun(reason("no file descriptor left")));
    let status = b.tracker(0);
    assert_eq!((status.up, status.failed), (None, 0), "HC-4: no verdict on the target");
    assert_eq!(status.reason, "no file descriptor left", "the status screen says why it is not known");
    b.pass(ms(1000));
    let id = b.probe();
    b.probed(id, Outcome::Passed);
    assert_eq!(b.up(0), Some(true), "a router must be ready soon after boot");
    for n in 0..3 {
        assert_eq!(b.up(0), Some(true), "{n} failures of 3");
        b.pass(ms(1000));
        let id = b.probe();
        assert!(b.engine.probe_spec(id).unwrap().was_up);
        b.probed(id, failed("no answer in 1s"));
    }
    assert_eq!((b.up(0), b.tracker(0).reason.as_str()), (Some(false), "no answer in 1s"));
    b.pass(ms(1000));
    let id = b.probe();
    b.pass(ms(1400));
    assert_eq!(b.take(), [], "one at a time");
    b.probed(id, Outcome::Passed);
    b.pass(Duration::ZERO);
    b.probe();
}

#[test]
fn a_path_stays_as_it_is_for_its_hold_time() {
    let mut b = Bench::new(&config(&[path(1000, 1000, 1, 1, 10_000)], -10));
    let step = |b: &mut Bench, outcome: Outcome| {
        b.pass(ms(1000));
        let id = b.probe();
        b.probed(id, outcome);
        b.up(0)
    };
    b.pass(Duration::ZERO);
    let id = b.probe();
    b.probed(id, Outcome::Passed);
    assert_eq!(step(&mut b, failed("x")), Some(false), "the first verdict is no change: it holds nobody");
    let down_at = b.now;
    assert_eq!(step(&mut b, Outcome::Passed), Some(false), "held down");
    assert_eq!(step(&mut b, failed("y")), Some(false), "and the wish to go up is forgotten");
    b.pass(ms(500));
    assert_eq!(step(&mut b, Outcome::Passed), Some(false));
    while b.now < down_at + ms(9000) {
        assert_eq!(step(&mut b, Outcome::Passed), Some(false), "held until 10 s at {}", b.now);
    }
    b.pass(down_at + ms(10_000) - b.now);
    assert_eq!(b.up(0), Some(true), "at its own time, not at the next probe");
}
