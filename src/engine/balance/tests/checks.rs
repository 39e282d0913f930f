//! Several checks of a server, one probe for many, scripts, files, and what they make of the weight.

use super::*;
use crate::model::{Command, FileCheck, ScriptCheck, Track, TrackKind};

/// A check that begins at once.
fn check(kind: CheckKind) -> Check {
    Check { warmup: Some(Duration::ZERO), fall: 1, ..Check::new(kind) }
}

fn script(dynamic: bool) -> Check {
    let argv = vec!["/usr/bin/check".to_string()];
    let command = Command { argv, user: None, group: None, timeout: Duration::from_secs(5) };
    check(CheckKind::Script(ScriptCheck { command, dynamic }))
}

fn file(weight: i16, reverse: bool) -> Check {
    check(CheckKind::File(FileCheck { track: 1, weight, reverse }))
}

/// Scenario S1, the first server with these checks, the second with none.
fn with(checks: Vec<Check>) -> Config {
    let mut config = s1();
    config.services[0].servers[0].checks = checks.into();
    config.services[0].servers[1].checks.clear();
    let track = |name: &str, kind| Track { name: Name::try_from(name).unwrap(), kind };
    let path = |text: &str| TrackKind::File { path: text.into() };
    config.tracks = vec![track("other", path("/other")), track("load", path("/load"))];
    config
}

impl Bed {
    /// Ends the one script that runs, and lets the kernel answer.
    fn end_script(&mut self, outcome: RunOutcome) {
        let [id] = self.runs[..] else { panic!("{:?}", self.runs) };
        self.ran(id, outcome);
        self.settle();
    }

    /// Ends the running probe of a kind.
    fn end(&mut self, kind: &CheckKind, outcome: Outcome) {
        let is_it = |id: &&ProbeId| self.balancer.probe_spec(**id).is_some_and(|spec| spec.kind == kind);
        let id = *self.probes.iter().find(is_it).unwrap();
        self.probe(id, outcome);
        self.settle();
    }

    fn file(&mut self, value: Result<i32, &str>) {
        let value = value.map_err(|why| cut(format_args!("{why}")));
        self.call(|b, now, cx| b.handle_file(now, 1, value, cx));
        self.settle();
    }
}

/// keepalived §2.4: up iff all its checkers are up. The reason is that of the first one that fails.
#[test]
fn all_checks_must_pass() {
    let mut bed = Bed::started(&with(vec![check(CheckKind::Tcp), check(CheckKind::Ping)]));
    bed.go(0.0);
    assert_eq!(bed.probes.len(), 2, "each has a checker of its own");
    bed.end(&CheckKind::Ping, failed("no echo"));
    assert_eq!(bed.log(), ["- 192.168.234.47:80"], "one is enough to be down");
    bed.end(&CheckKind::Tcp, failed("refused"));
    let status = bed.snapshot().services[0].servers[0].clone();
    assert_eq!((status.reason.as_str(), status.up), ("refused", false), "that of the first check that fails");
    let kinds: Vec<_> = status.checks.iter().map(|c| (c.kind, c.up, c.known, c.failed)).collect();
    assert_eq!(kinds, [("tcp", false, true, 1), ("ping", false, true, 1)]);
    assert_eq!((status.passed, status.failed, status.known), (0, 2, true), "together");
    bed.go(10.0);
    bed.end(&CheckKind::Tcp, Outcome::Passed);
    assert_eq!(bed.log(), [""; 0], "the other one still fails");
    assert_eq!(bed.snapshot().services[0].servers[0].reason, "no echo");
    bed.end(&CheckKind::Ping, Outcome::Passed);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"]);
    assert_eq!(
        bed.notes(),
        ["192.168.234.47:80 is down: no echo", "192.168.234.47:80 is up"],
        "told once each"
    );
}

#[test]
fn any_check_is_enough_where_that_is_configured() {
    let mut config = with(vec![check(CheckKind::Tcp), check(CheckKind::Ping)]);
    config.services[0].servers[0].any_check = true;
    let mut bed = Bed::started(&config);
    bed.go(0.0);
    bed.end(&CheckKind::Tcp, failed("refused"));
    assert_eq!(bed.log(), [""; 0], "the other one may pass yet");
    assert_eq!(bed.snapshot().services[0].servers[0].reason, "refused", "but it is shown");
    bed.end(&CheckKind::Ping, failed("no echo"));
    assert_eq!(bed.log(), ["- 192.168.234.47:80"]);
    bed.go(10.0);
    bed.end(&CheckKind::Ping, Outcome::Passed);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"]);
}

/// keepalived's `alpha`: without a verdict a check counts as failed, until its first success.
#[test]
fn with_alpha_each_check_must_have_passed_once() {
    let mut config = with(vec![check(CheckKind::Tcp), check(CheckKind::Ping)]);
    config.services[0].servers[0].start_up = false;
    let mut bed = Bed::started(&config);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.57:80 2"]);
    bed.go(0.0);
    bed.end(&CheckKind::Tcp, Outcome::Passed);
    assert_eq!(bed.log(), [""; 0], "the ping has not said anything");
    bed.end(&CheckKind::Ping, Outcome::Passed);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"]);
    assert_eq!(
        bed.notes(),
        ["192.168.234.47:80 is up"],
        "keepalived §2.4: with alpha the first success tells"
    );

    config.services[0].servers[0].inhibit = true;
    let bed = Bed::started(&config);
    let expected = ["10.0.0.100:80 wrr: 192.168.234.47:80 0, 192.168.234.57:80 2"];
    assert_eq!(bed.kernel.text(), expected, "inhibit: in the table with weight 0 from the start");
}

/// Groups, and many services on one machine: one probe, one result, all of them.
#[test]
fn the_same_probe_runs_once_and_its_result_is_everybodys() {
    let mut config = s1();
    config.services = (1..=50).map(|i| service(&format!("s{i}"), &format!("10.0.0.{i}:80")).into()).collect();
    let mut bed = Bed::started(&config);
    bed.go(2.0);
    assert_eq!(bed.probes.len(), 2, "50 services, 2 servers");
    bed.verdict(A, false);
    let log = bed.log();
    assert_eq!((log.len(), log[49].as_str()), (50, "- 192.168.234.47:80"), "{log:?}");
    assert!((0..50).all(|i| bed.up(i) == [false, true]));
    // One more service, one less, another place: the probe that runs now is still theirs.
    bed.go(8.0);
    let running = bed.probes.clone();
    config.services.remove(0);
    config.services.push(service("new", "10.0.0.99:80").into());
    bed.reload(&config);
    bed.settle();
    assert_eq!((bed.probes.clone(), bed.stopped.len()), (running, 0));
    assert_eq!(bed.up(49), [false, true], "a new service knows at once what is known");
    let text = bed.kernel.text();
    assert!(text.contains(&"10.0.0.99:80 wrr: 192.168.234.57:80 2".into()), "{text:?}");
    bed.verdict(A, true);
    assert!((0..50).all(|i| bed.up(i) == [true, true]));
    // Another timeout for one of them: it goes on alone, from what is known.
    bed.log();
    bed.go(14.5);
    let count = bed.probes.len();
    config.services[3].servers[0].checks[0].timeout = Duration::from_secs(1);
    bed.reload(&config);
    bed.settle();
    assert_eq!(bed.snapshot().services[3].servers[0].passed, 1, "what was counted stays");
    bed.go(14.6);
    assert!(bed.probes.len() > count && bed.stopped.is_empty(), "the others' probe is not disturbed");
    assert_eq!(bed.log(), [""; 0]);
}

/// HC-45, B-125: exit codes, dynamic weights as keepalived's; each change is one SET_DEST.
#[test]
fn a_script_decides_and_weighs() {
    let mut bed = Bed::started(&with(vec![script(true)]));
    bed.go(0.0);
    let spec = bed.balancer.run_spec(bed.runs[0]).unwrap();
    assert_eq!((spec.command.argv[0].as_str(), spec.arguments.len()), ("/usr/bin/check", 0));
    bed.end_script(RunOutcome::Exited(12));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 10"], "code - 2");
    let status = bed.snapshot().services[0].servers[0].clone();
    assert_eq!((status.weight, status.configured_weight, status.checks[0].weight), (10, 1, 9));
    bed.go(10.0);
    bed.end_script(RunOutcome::Exited(12));
    assert_eq!(bed.log(), [""; 0], "the same again is no change");
    bed.go(20.0);
    bed.end_script(RunOutcome::Exited(2));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 0"], "up, with no new connections");
    bed.go(30.0);
    bed.end_script(RunOutcome::Exited(0));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 1"], "as configured");
    bed.go(40.0);
    bed.end_script(RunOutcome::Exited(7));
    bed.log();
    bed.go(50.0);
    bed.end_script(RunOutcome::Exited(1));
    assert_eq!(bed.log(), ["- 192.168.234.47:80"]);
    assert_eq!(bed.snapshot().services[0].servers[0].reason, "script exited with 1");
    bed.go(60.0);
    bed.end_script(RunOutcome::Exited(0));
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"], "what it weighed before is forgotten");
    for outcome in [RunOutcome::Killed(11), RunOutcome::TimedOut] {
        bed.go((bed.now - Instant::from_secs(1000)).secs() as f64 + 10.0);
        bed.end_script(outcome);
        assert_eq!(bed.log(), ["- 192.168.234.47:80"], "HC-45: {outcome}");
        bed.go((bed.now - Instant::from_secs(1000)).secs() as f64 + 10.0);
        bed.end_script(RunOutcome::Exited(0));
        bed.log();
    }
}

/// HC-4: what could not be started, and what nothing is heard of, says nothing of the server.
#[test]
fn a_script_that_does_not_run_keeps_the_verdict() {
    let mut bed = Bed::started(&with(vec![script(false)]));
    bed.go(0.0);
    bed.end_script(RunOutcome::NotStarted(2));
    assert_eq!((bed.log(), bed.up(0)), (vec![], vec![true, true]));
    let problems = bed.snapshot().problems;
    assert!(problems[0].contains("could not be started: error 2"), "and it is said: {problems:?}");
    assert!(bed.notes()[0].contains("192.168.234.47:80: probe could not be made"), "{:?}", bed.notes());
    bed.go(1.0);
    let lost = bed.runs[0];
    bed.go(15.9);
    assert_eq!(bed.runs, [lost], "its time, and the time to kill it");
    bed.go(16.5);
    assert!(bed.runs.is_empty(), "given up");
    bed.go(17.5);
    assert!(bed.runs.len() == 1 && bed.runs[0] != lost, "and begun anew: {:?}", bed.runs);
    bed.ran(lost, RunOutcome::Exited(1));
    assert_eq!((bed.log(), bed.up(0)), (vec![], vec![true, true]), "what comes late counts for nothing");
    // A reload without it ends it.
    bed.reload(&with(vec![]));
    bed.settle();
    assert!(bed.runs.is_empty());
}

/// A script that fails once of two times is not down, and still weighs what it said.
#[test]
fn the_weight_of_a_script_stays_while_failures_are_counted() {
    let mut config = with(vec![Check { fall: 2, ..script(true) }]);
    let mut bed = Bed::started(&config);
    bed.go(0.0);
    bed.end_script(RunOutcome::Exited(22));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 20"]);
    bed.go(10.0);
    bed.end_script(RunOutcome::Exited(1));
    assert_eq!(bed.log(), [""; 0]);
    // Another configured weight: the script's own stays.
    config.services[0].servers[0].weight = 5;
    bed.reload(&config);
    assert_eq!(bed.log(), [""; 0]);
    assert_eq!(bed.snapshot().services[0].servers[0].checks[0].weight, 15);
}

/// keepalived §2.4: each check adds what it has to the weight; the sum stays within the kernel's bounds.
#[test]
fn contributions_are_added_up_and_bounded() {
    let mut bed = Bed::started(&with(vec![script(true), file(2, false), file(-1, false)]));
    bed.go(0.0);
    bed.end_script(RunOutcome::Exited(12));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 10"]);
    bed.file(Ok(3));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 13"], "10 + 2 × 3 - 3");
    bed.file(Ok(-100));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 0"], "never below 0");
    bed.file(Ok(i32::MAX));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 10"], "each is bounded, and they cancel each other");
    let mut bed = Bed::started(&with(vec![file(2, false)]));
    bed.file(Ok(i32::MAX));
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 2147483647"], "IPVS-30c: never above i32");
}

/// keepalived's FILE_CHECK with weight 0: it decides.
#[test]
fn a_file_decides() {
    let mut bed = Bed::started(&with(vec![file(0, false)]));
    assert!(!bed.snapshot().services[0].servers[0].known, "not told yet");
    assert_eq!(bed.balancer.next_deadline().map(|at| at > bed.now), Some(true), "nothing is probed for it");
    bed.file(Ok(0));
    assert_eq!(bed.log(), [""; 0]);
    assert!(bed.snapshot().services[0].servers[0].known);
    bed.file(Ok(4));
    assert_eq!(bed.log(), ["- 192.168.234.47:80"]);
    assert_eq!(bed.notes(), ["192.168.234.47:80 is down: file load says 4"]);
    bed.file(Err("the file is empty"));
    assert_eq!(bed.log(), [""; 0], "the last number stays, as for trackers");
    // A reload in which the tracker has another place.
    let mut config = with(vec![file(0, false)]);
    config.tracks.remove(0);
    config.services[0].servers[0].checks[0].kind =
        CheckKind::File(FileCheck { track: 0, weight: 0, reverse: false });
    bed.reload(&config);
    assert_eq!((bed.log(), bed.up(0)), (vec![], vec![false, true]), "known by its name");
    bed.call(|b, now, cx| b.handle_file(now, 0, Ok(0), cx));
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"]);
}

/// A check is replaced by one of another kind: what was down stays down until the new one says otherwise.
#[test]
fn another_kind_of_check_brings_no_dead_server_in() {
    let mut bed = Bed::started(&with(vec![check(CheckKind::Tcp)]));
    bed.go(0.0);
    bed.end(&CheckKind::Tcp, failed("refused"));
    bed.log();
    let config = with(vec![check(CheckKind::Ping)]);
    bed.reload(&config);
    bed.settle();
    assert_eq!((bed.log(), bed.up(0)), (vec![], vec![false, true]));
    bed.go(0.1);
    bed.end(&CheckKind::Ping, Outcome::Passed);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"], "the first result decides alone");
}
