//! Who runs at all, reloads, the end, and results that nobody waits for.

use crate::bench::*;
use vipd::engine::{Event, ProbeId, RunId, RunOutcome, RunOwner};
use vipd::model::{Check, CheckKind, FileCheck, Forwarding, Front, Protocol, Server, Service, TrackKind};
use vipd::time::Duration;

#[test]
fn only_trackers_that_somebody_uses_run() {
    let mut c = config(&[script(1000, 500, 1, 1), path(1000, 500, 1, 1, 0), default_route(None, None)], -10);
    c.instances[0].tracks.clear();
    let mut b = Bench::new(&c);
    b.pass(Duration::from_secs(10));
    let did = b.take();
    assert!(!did.iter().any(|d| matches!(d, Did::Run(_) | Did::Probe(_))), "{did:?}");
    b.dump();
    assert!(b.take().contains(&Did::UnwatchRoutes), "told once, for what an earlier run left, and no more");
    let mut used = config(&[script(1000, 500, 1, 1)], -10);
    let twice = used.instances[0].tracks[0];
    used.instances[0].tracks.push(twice);
    b.reload(&used);
    b.pass(Duration::ZERO);
    b.run();
    assert_eq!(b.tracker(0).used_by, ["VI"], "used twice, named once");
    b.reload(&c);
    assert!(b.take().iter().any(|d| matches!(d, Did::StopRun(_))), "a run that nobody waits for is ended");
    assert_eq!((b.up(0), b.tracker(0).used_by.len()), (None, 0));
}

/// The checks of servers are users, too: the file's value is known, and shown.
#[test]
fn a_file_that_only_a_check_uses_is_used() {
    let mut c = config(&[file()], -10);
    c.instances[0].tracks.clear();
    let front = Front::Address("10.0.0.1:80".parse().unwrap());
    let mut service = Service::new("web".try_into().unwrap(), Protocol::Tcp, front);
    let check = Check::new(CheckKind::File(FileCheck { track: 0, weight: 1, reverse: false }));
    service.servers = ["10.0.0.11:80", "10.0.0.12:80"]
        .map(|address| {
            let server = Server::new(address.parse().unwrap(), Forwarding::Masquerade);
            Server { checks: vec![check.clone()].into(), ..server }
        })
        .into();
    c.services = vec![service.into()];
    let mut b = Bench::new(&c);
    assert_eq!(b.tracker(0).used_by, ["web"], "two servers, named once");
    b.feed(Event::TrackedFile { track: 0, value: Ok(7) });
    assert_eq!(b.tracker(0).value, Some(7));
}

#[test]
fn a_reload_keeps_verdicts_and_counters() {
    let kinds = [script(1000, 500, 2, 2), path(1000, 500, 1, 1, 0), file(), process(1, None, 0, 0)];
    let before = config(&kinds, -10);
    let mut b = Bench::new(&before);
    b.pass(ms(500));
    let (run, probe) = (RunId { owner: RunOwner::Track(0), serial: 1 }, b.probe());
    b.ran(run, RunOutcome::Exited(0));
    b.probed(probe, failed("x"));
    b.feed(Event::TrackedFile { track: 2, value: Ok(-3) });
    b.feed(Event::TrackedProcess { track: 3, count: Ok(0) });
    let known = |b: &Bench| (b.up(0), b.up(1), b.tracker(2).value, b.up(3), b.tracker(0).passed);
    let all = (Some(true), Some(false), Some(-3), Some(false), 1);
    assert_eq!(known(&b), all);
    let lines = b.lines.len();
    b.reload(&before);
    assert_eq!(known(&b), all, "the same configuration changes nothing");
    let other = [script(5000, 700, 1, 3), path(2000, 700, 2, 2, 5000), file(), process(2, None, 1000, 0)];
    b.reload(&config(&other, -20));
    assert_eq!(known(&b), all, "other parameters keep what is known");
    let mut elsewhere = config(&other, -20);
    if let TrackKind::Script { command, .. } = &mut elsewhere.tracks[0].kind {
        command.argv = vec!["/bin/other".into()];
    }
    b.reload(&elsewhere);
    assert_eq!(b.up(0), Some(true), "another script: the old verdict holds until its first result");
    b.take();
    b.pass(ms(500));
    let id = b.run();
    b.ran(id, RunOutcome::Exited(1));
    assert_eq!(b.up(0), Some(false), "which decides alone, fall = 3");
    let tracks = b.lines[lines..].iter().filter(|l| l.contains(" track ")).count();
    assert_eq!(tracks, 1, "no other change was told: {:?}", &b.lines[lines..]);
    let mut without = elsewhere.clone();
    without.tracks.remove(0);
    without.instances[0].tracks.pop();
    b.reload(&without);
    assert_eq!((b.up(0), b.tracker(1).value), (Some(false), Some(-3)), "by name, not by number");
    b.reload(&config(&[interface("wan0")], -10));
    assert_eq!(b.up(0), Some(true), "another kind under an old name begins anew, and an interface at once");
}

#[test]
fn runs_of_trackers_that_go_or_move_are_ended() {
    let both = config(&[interface("wan0"), script(1000, 5000, 1, 1), path(1000, 5000, 1, 1, 0)], -10);
    let mut b = Bench::new(&both);
    b.pass(ms(500));
    let began = b.take();
    let mut moved = both.clone();
    moved.tracks.remove(0);
    moved.instances[0].tracks.pop();
    b.reload(&moved);
    let ended = b.take();
    for did in began {
        match did {
            Did::Run(id) => {
                assert!(ended.contains(&Did::StopRun(id)), "its number is another tracker's now: {ended:?}");
                assert!(b.engine.run_spec(id).is_none());
            }
            Did::Probe(id) => assert!(ended.contains(&Did::StopProbe(id)), "{ended:?}"),
            Did::StopRun(_) | Did::StopProbe(_) | Did::WatchRoutes | Did::UnwatchRoutes | Did::Redump => {}
        }
    }
    b.pass(Duration::ZERO);
    let again = b.take();
    assert!(again.iter().any(|d| matches!(d, Did::Run(id) if id.owner == RunOwner::Track(0))), "{again:?}");
    assert!(
        again.iter().any(|d| matches!(d, Did::Probe(id) if id.checker == ProbeId::PATH + 1)),
        "{again:?}"
    );
    b.reload(&config(&[], 0));
    let ended = b.take();
    assert!(ended.iter().any(|d| matches!(d, Did::StopRun(_))), "{ended:?}");
    assert!(ended.iter().any(|d| matches!(d, Did::StopProbe(_))), "{ended:?}");
    b.pass(Duration::from_secs(30));
    assert!(!b.take().iter().any(|d| matches!(d, Did::Run(_) | Did::Probe(_))));
}

#[test]
fn nothing_runs_before_the_kernel_was_told_nor_after_the_end() {
    let c = config(&[script(1000, 5000, 1, 1), path(1000, 5000, 1, 1, 0)], -10);
    let mut b = Bench::bare(&c);
    b.feed(Event::Tick);
    b.pass(Duration::from_secs(5));
    assert_eq!(b.take(), [], "the interfaces of the probes are not known yet");
    b.dump();
    b.pass(ms(500));
    let begun = b.take();
    assert_eq!(begun.iter().filter(|d| matches!(d, Did::Run(_) | Did::Probe(_))).count(), 2, "{begun:?}");
    b.feed(Event::Shutdown);
    let ended = b.take();
    assert!(ended.iter().any(|d| matches!(d, Did::StopRun(_))), "{ended:?}");
    b.pass(Duration::from_secs(4));
    assert_eq!(b.take(), []);
}

#[test]
fn odd_results_change_nothing() {
    let mut b = Bench::new(&config(&[interface("wan0"), script(1000, 500, 1, 1)], -10));
    b.pass(ms(500));
    let id = b.run();
    for serial in [0, id.serial + 1, u32::MAX] {
        b.ran(RunId { serial, ..id }, RunOutcome::Exited(1));
        b.ran(RunId { owner: RunOwner::Track(0), serial }, RunOutcome::Exited(1));
        b.ran(RunId { owner: RunOwner::Track(u32::MAX), serial: id.serial }, RunOutcome::Exited(1));
        b.probed(ProbeId { checker: ProbeId::PATH, serial }, failed("x"));
        b.probed(ProbeId { checker: u32::MAX, serial }, failed("x"));
    }
    assert_eq!((b.up(0), b.up(1)), (Some(true), None));
    assert!(b.engine.run_spec(RunId { owner: RunOwner::Track(0), serial: id.serial }).is_none());
    assert!(b.engine.probe_spec(ProbeId { checker: ProbeId::PATH, serial: id.serial }).is_none());
}
