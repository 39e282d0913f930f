//! Timeouts, sync daemons and settings.

use super::*;
use crate::engine::{HeldTimeouts, Refusal};
use crate::model::{Ipvs, SyncDaemon, Timeouts};

const DEFAULT: Timeouts = Timeouts { tcp: 900, tcp_fin: 120, udp: 300 };

fn daemon(interface: &str, id: u8) -> Daemon {
    let interface = heapless::String::try_from(interface).unwrap();
    Daemon { interface, id, max_len: 0, group: None, port: 0, ttl: 0 }
}

fn ipvs(ipvs: Ipvs) -> Config {
    Config { ipvs, ..s1() }
}

fn timeouts(tcp: u32, tcp_fin: u32, udp: u32) -> Config {
    ipvs(Ipvs { timeouts: Timeouts { tcp, tcp_fin, udp }, ..Ipvs::default() })
}

fn sync(instance: Option<usize>, daemon: Daemon) -> Config {
    ipvs(Ipvs { sync: Some(SyncDaemon { instance, daemon }), ..Ipvs::default() })
}

fn settings(pairs: &[(&str, &str)]) -> Config {
    let text = |t: &str| cut(format_args!("{t}"));
    let settings = pairs.iter().map(|(name, value)| (text(name), text(value))).collect();
    ipvs(Ipvs { settings, ..Ipvs::default() })
}

fn shut_down(bed: &mut Bed) -> Vec<String> {
    bed.call(|b, now, cx| b.shutdown(now, cx));
    let log = bed.log();
    assert!(bed.balancer.is_shut_down());
    log
}

fn become_active(bed: &mut Bed, is_active: bool) -> Vec<String> {
    bed.call(|b, now, cx| b.follow_instance(now, is_active, cx));
    bed.log()
}

/// Lets the kernel answer until a daemon is to start; `what` happens then, and may answer in its place.
fn until_start(bed: &mut Bed, what: impl Fn(&mut Bed, &IpvsRequest) -> Option<Refusal>) {
    for _ in 0..100 {
        let mut is_done = false;
        for (token, request) in bed.drain() {
            let starts = matches!(request, IpvsRequest::Whole(WholeRequest::NewDaemon(..)));
            is_done |= starts;
            match if starts { what(bed, &request) } else { None } {
                Some(refusal) => bed.ipvs(IpvsEvent::Done { token, result: Err(refusal) }),
                None => bed.kernel.answer(token, &request).into_iter().for_each(|event| bed.ipvs(event)),
            }
        }
        if is_done {
            return;
        }
    }
    panic!("no daemon is started");
}

/// IPVS-45b: a zero keeps what is there. Only what differs is set, and what was there comes back.
#[test]
fn timeouts_are_set_and_put_back() {
    let mut bed = Bed::new(&timeouts(600, 0, 300));
    bed.start();
    assert!(bed.log().contains(&"timeouts 600 0 0".into()), "UDP is as wanted, FIN is nobody's business");
    assert_eq!(bed.kernel.timeouts, Timeouts { tcp: 600, ..DEFAULT });
    bed.go(40.0);
    assert_eq!(bed.log(), [""; 0], "once");

    bed.reload(&timeouts(0, 60, 300));
    assert_eq!(bed.log(), ["timeouts 900 60 0"], "a key that is gone is put back, a new one is set");
    bed.kernel.timeouts = Timeouts { tcp: 1000, tcp_fin: 61, udp: 301 };
    bed.go(60.0);
    assert_eq!(bed.log(), ["timeouts 0 60 300"], "law 5, and TCP is no longer ours");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 1, "counted");
    assert!(bed.notes().iter().any(|n| n.contains("timeouts")), "and told");

    let log = shut_down(&mut bed);
    assert!(log.contains(&"timeouts 0 120 0".into()), "{log:?}");
    assert_eq!(bed.kernel.timeouts, Timeouts { tcp: 1000, ..DEFAULT });
}

/// A balancer before its start, over what a killed one left, and the records of it.
fn after_a_crash(killed: Bed, config: &Config) -> Bed {
    let mut bed = Bed::new(config);
    bed.kernel.timeouts = killed.kernel.timeouts;
    bed.held = killed.held;
    bed.balancer.handle_timeouts_left(killed.held);
    bed.kernel.daemons = killed.kernel.daemons;
    bed.synced = killed.synced.clone();
    bed.balancer.handle_daemons_left(killed.synced);
    bed
}

/// IPVS-80's rule for settings holds for timeouts, too: what was there comes back, also by a later run.
#[test]
fn timeouts_of_a_killed_run_are_put_back_by_the_next_one() {
    let held = |before: u32, ours: u32| {
        let udp = |udp| Timeouts { udp, ..Timeouts::default() };
        HeldTimeouts { before: udp(before), ours: udp(ours) }
    };
    let mut bed = Bed::new(&timeouts(0, 0, 60));
    bed.start();
    let mut is_set = false;
    while !is_set {
        for (token, request) in bed.drain() {
            is_set |= matches!(request, IpvsRequest::Whole(WholeRequest::SetTimeouts(_)));
            assert!(!is_set || bed.held == held(300, 60), "written down before it is set");
            bed.kernel.answer(token, &request).into_iter().for_each(|event| bed.ipvs(event));
        }
    }
    bed.settle();
    // The same configuration, another value, and a kill each time.
    let mut bed = after_a_crash(bed, &timeouts(0, 0, 60));
    bed.start();
    assert!(!bed.log().iter().any(|l| l.starts_with("timeouts")), "it is as wanted");
    assert_eq!(bed.held, held(300, 60), "60 is not what was there before");
    let mut bed = after_a_crash(bed, &timeouts(0, 0, 40));
    bed.start();
    bed.settle();
    assert_eq!((bed.kernel.timeouts.udp, bed.held), (40, held(300, 40)));
    // A module that answers anew without having been gone.
    bed.ipvs(IpvsEvent::Ready { sockopt: false });
    bed.settle();
    assert_eq!((bed.kernel.timeouts.udp, bed.held), (40, held(300, 40)));
    // A configuration without any, and without a service.
    let mut bare = s1();
    bare.services.clear();
    let mut bed = after_a_crash(bed, &bare);
    bed.start();
    bed.settle();
    assert_eq!((bed.kernel.timeouts, bed.held), (DEFAULT, HeldTimeouts::default()));
}

#[test]
fn timeouts_that_somebody_set_after_the_kill_are_what_was_before() {
    let mut bed = Bed::started(&timeouts(0, 0, 60));
    bed.kernel.timeouts.udp = 77;
    let mut bed = after_a_crash(bed, &timeouts(0, 0, 50));
    bed.start();
    bed.settle();
    shut_down(&mut bed);
    assert_eq!((bed.kernel.timeouts.udp, bed.held), (77, HeldTimeouts::default()));
    let mut bed = Bed::started(&timeouts(0, 0, 60));
    bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("unloaded")) });
    bed.drain();
    assert_eq!(bed.held, HeldTimeouts::default(), "what was set went with the module");
}

/// Without one of these keys the kernel is not asked for anything of the sort.
#[test]
fn nothing_configured_nothing_asked() {
    let mut bed = Bed::new(&s1());
    bed.start();
    for _ in 0..100 {
        for (token, request) in bed.drain() {
            assert!(!matches!(request, IpvsRequest::Whole(_)), "{request:?}");
            bed.kernel.answer(token, &request).into_iter().for_each(|event| bed.ipvs(event));
        }
        bed.now += Duration::from_secs(1);
        bed.call(|b, now, cx| b.tick(now, cx));
    }
}

#[test]
fn timeouts_without_a_service_need_the_family_too() {
    let mut config = timeouts(600, 0, 0);
    config.services.clear();
    let mut bed = Bed::started(&config);
    assert_eq!(bed.kernel.timeouts.tcp, 600);
    assert!(bed.snapshot().ipvs.unwrap().present);
    assert_eq!(shut_down(&mut bed), ["timeouts 900 0 0"]);
}

/// B-103: a module without TCP or UDP tells no timeouts: a problem, and no command that could only fail.
#[test]
fn a_kernel_without_timeouts_is_a_problem() {
    let mut bed = Bed::new(&timeouts(600, 0, 200));
    bed.kernel.timeouts = Timeouts { tcp: 0, tcp_fin: 0, udp: 300 };
    bed.start();
    bed.go(30.0);
    let log = bed.log();
    assert!(log.contains(&"timeouts 0 0 200".into()) && !log.iter().any(|l| l.contains("600")), "{log:?}");
    let problems = bed.snapshot().problems;
    assert!(problems[0].contains("no TCP timeout: enable CONFIG_IP_VS_PROTO_TCP"), "{problems:?}");
    shut_down(&mut bed);
}

#[test]
fn refused_timeouts_are_a_problem_and_tried_again_after_a_pause() {
    let mut bed = Bed::new(&timeouts(600, 0, 0));
    bed.kernel.refuse.push(("timeouts 600", Refusal::NotPermitted));
    bed.start();
    bed.go(60.0);
    let tries = bed.log().iter().filter(|l| l.starts_with("timeouts")).count();
    assert!((5..=7).contains(&tries), "1, 2, 4, 8, 16, 30 s: {tries}");
    let snapshot = bed.snapshot();
    assert!(snapshot.problems[0].contains("not permitted"), "{:?}", snapshot.problems);
    assert_eq!(snapshot.ipvs.unwrap().refused as usize, tries);
    bed.kernel.refuse.clear();
    bed.go(92.0);
    assert_eq!(bed.kernel.timeouts.tcp, 600);
    assert!(bed.snapshot().problems.is_empty());
}

/// IPVS-74: master on the Active, backup on the Backup; the new one starts before the old one stops.
#[test]
fn the_daemon_follows_the_instance() {
    let mut bed = Bed::new(&sync(Some(0), daemon("eth1", 51)));
    bed.start();
    assert!(bed.log().contains(&"+Backup eth1 51".into()), "not Active yet");
    assert_eq!(bed.balancer.followed_instance(), Some(0));
    assert_eq!(become_active(&mut bed, true), ["+Master eth1 51", "-Backup"]);
    assert_eq!(become_active(&mut bed, true), [""; 0], "no news");
    assert_eq!(bed.snapshot().ipvs.unwrap().sync, [DaemonRole::Master]);
    bed.go(40.0);
    assert_eq!(bed.log(), [""; 0]);
    assert_eq!(become_active(&mut bed, false), ["+Backup eth1 51", "-Master"]);
    let log = shut_down(&mut bed);
    assert_eq!(log[0], "-Backup", "a daemon of ours does not outlive us");
    assert!(bed.kernel.daemons.is_empty());

    let mut bed = Bed::new(&sync(None, daemon("eth1", 51)));
    bed.start();
    let log = bed.log();
    assert!(log.contains(&"+Master eth1 51".into()) && log.contains(&"+Backup eth1 51".into()), "both");
    assert_eq!(become_active(&mut bed, true), [""; 0], "whatever any instance does");
    assert_eq!(bed.snapshot().ipvs.unwrap().sync, [DaemonRole::Master, DaemonRole::Backup]);
}

/// The instance flaps faster than the kernel answers: what counts is how it stands at the end.
#[test]
fn a_flapping_instance_ends_in_the_right_role() {
    let mut bed = Bed::started(&sync(Some(0), daemon("eth1", 51)));
    for active in [true, false, true, false, true] {
        bed.call(|b, now, cx| b.follow_instance(now, active, cx));
    }
    bed.settle();
    assert_eq!(bed.kernel.daemons.keys().copied().collect::<Vec<_>>(), [DaemonRole::Master]);
}

#[test]
fn other_parameters_restart_the_daemon() {
    let mut bed = Bed::started(&sync(Some(0), daemon("eth1", 51)));
    bed.reload(&sync(Some(0), daemon("eth1", 51)));
    assert_eq!(bed.log(), [""; 0], "the same again: it goes on");
    bed.reload(&sync(Some(0), daemon("eth1", 52)));
    assert_eq!(bed.log(), ["-Backup", "+Backup eth1 52"]);
    bed.reload(&s1());
    assert_eq!(bed.log(), ["-Backup"], "not configured any more");
    assert!(bed.snapshot().ipvs.unwrap().sync.is_empty());
}

/// The kernel makes `max_len` of a backup at least 1024: its own words are no edit of somebody else's.
#[test]
fn what_the_kernel_makes_of_the_parameters_is_no_foreign_edit() {
    let given = Daemon {
        max_len: 600,
        group: Some("239.1.1.1".parse().unwrap()),
        port: 8000,
        ttl: 3,
        ..daemon("eth1", 51)
    };
    for (is_old, problems) in [(false, 0), (true, 1)] {
        let mut bed = Bed::new(&sync(Some(0), given.clone()));
        bed.kernel.is_old = is_old;
        bed.start();
        bed.go(60.0);
        assert_eq!(bed.log().iter().filter(|l| l.contains("Backup")).count(), 1, "started once");
        let snapshot = bed.snapshot();
        assert_eq!(snapshot.ipvs.unwrap().repaired, 0);
        assert_eq!(
            snapshot.problems.len(),
            problems,
            "that it cannot be checked is told: {:?}",
            snapshot.problems
        );
    }
}

/// After a crash a backup that says 1024 is that which was asked for 600.
#[test]
fn daemon_of_a_killed_run_is_adopted_in_the_words_of_the_kernel() {
    let asked = Daemon { max_len: 600, ..daemon("eth1", 51) };
    for (told, wanted) in [(1024, &[][..]), (1400, &["-Backup", "+Backup eth1 51"])] {
        let mut bed = Bed::new(&sync(Some(0), asked.clone()));
        bed.kernel.daemons.insert(DaemonRole::Backup, Daemon { max_len: told, ..daemon("eth1", 51) });
        bed.start();
        bed.settle();
        let log: Vec<String> = bed.log().into_iter().filter(|l| l.contains("Backup")).collect();
        assert_eq!(log, wanted, "told {told}");
    }
}

/// IPVS-44: somebody else's daemon in our role stops for ours, and that is told; in the other role it is none
/// of our business.
#[test]
fn daemons_of_others_make_room_for_ours() {
    let mut bed = Bed::new(&sync(Some(0), daemon("eth1", 51)));
    bed.kernel.daemons.insert(DaemonRole::Backup, daemon("eth9", 9));
    bed.kernel.daemons.insert(DaemonRole::Master, daemon("eth9", 9));
    bed.start();
    bed.settle();
    let log: Vec<String> =
        bed.log().into_iter().filter(|l| l.contains("ast") || l.contains("Back")).collect();
    assert_eq!(log, ["-Backup", "+Backup eth1 51"]);
    assert!(bed.notes().iter().any(|n| n.contains("of somebody else was stopped")), "{:?}", bed.notes());
    assert_eq!(bed.snapshot().ipvs.unwrap().sync, [DaemonRole::Backup], "ours");
    assert_eq!(become_active(&mut bed, true), ["-Master", "+Master eth1 51", "-Backup"]);
    shut_down(&mut bed);

    // Between our look and our start.
    let mut bed = Bed::new(&sync(Some(0), daemon("eth1", 51)));
    bed.start();
    until_start(&mut bed, |bed, _| {
        bed.kernel.daemons.insert(DaemonRole::Backup, daemon("eth9", 9));
        None
    });
    let log: Vec<String> = bed.log().into_iter().filter(|l| l.contains("Back")).collect();
    assert_eq!(log, ["-Backup", "+Backup eth1 51"], "IPVS-44: exists, so that one goes");
}

/// A killed run left its daemons: the one that is wanted goes on, the other one stops.
#[test]
fn daemons_of_a_killed_run_are_ours() {
    let mut bed = Bed::new(&sync(Some(0), daemon("eth1", 51)));
    for role in [DaemonRole::Master, DaemonRole::Backup] {
        let request = IpvsRequest::Whole(WholeRequest::NewDaemon(role, daemon("eth1", 51)));
        bed.kernel.execute(&request).unwrap();
    }
    bed.start();
    let log: Vec<String> =
        bed.log().into_iter().filter(|l| l.contains("ast") || l.contains("Back")).collect();
    assert_eq!(log, ["-Master"], "the backup goes on without a gap");
    assert_eq!(bed.snapshot().ipvs.unwrap().sync, [DaemonRole::Backup]);
}

/// IPVS-74: what a killed run started and wrote down is stopped by one that does not want it, or not so. What
/// somebody else has started stays, whatever the record says.
#[test]
fn a_daemon_of_a_killed_run_that_is_not_configured_any_more_is_stopped() {
    let of_sync = |bed: &mut Bed| -> Vec<String> {
        bed.log().into_iter().filter(|line| line.contains("ast") || line.contains("Back")).collect()
    };
    let killed = || Bed::started(&sync(Some(0), Daemon { max_len: 600, ..daemon("eth1", 51) }));
    let mut bare = s1();
    bare.services.clear();
    for config in [s1(), bare] {
        let mut bed = after_a_crash(killed(), &config);
        bed.kernel.daemons.insert(DaemonRole::Master, daemon("eth1", 51));
        bed.start();
        assert_eq!(of_sync(&mut bed), ["-Backup"], "the master was never ours");
        assert_eq!(bed.synced, []);
        assert!(bed.notes().is_empty() && bed.snapshot().problems.is_empty(), "{:?}", bed.notes());
        bed.go(60.0);
        assert_eq!(of_sync(&mut bed), [""; 0]);
    }
    let mut bed = after_a_crash(killed(), &sync(Some(0), daemon("eth2", 51)));
    bed.start();
    assert_eq!(of_sync(&mut bed), ["-Backup", "+Backup eth2 51"]);
    assert!(!bed.notes().iter().any(|note| note.contains("somebody")), "{:?}", bed.notes());
    assert_eq!(bed.synced, [(DaemonRole::Backup, daemon("eth2", 51))]);

    let mut bed = after_a_crash(killed(), &s1());
    bed.kernel.daemons.get_mut(&DaemonRole::Backup).unwrap().id = 9;
    bed.start();
    assert_eq!(of_sync(&mut bed), [""; 0], "stopped since, and another one started");
    assert_eq!(bed.synced, [], "and whatever comes in its place is not ours either");

    let mut bed = after_a_crash(killed(), &s1());
    bed.kernel.absent = true;
    bed.start();
    bed.settle();
    assert_eq!(bed.synced, [], "it went with the module");
    // A kernel that answers anew while another configuration comes.
    let mut bed = killed();
    bed.ipvs(IpvsEvent::Ready { sockopt: false });
    bed.reload(&s1());
    assert_eq!(of_sync(&mut bed), ["-Backup"]);
    let mut bed = killed();
    assert_eq!(bed.synced.len(), 1);
    shut_down(&mut bed);
    assert_eq!(bed.synced, [], "a clean end leaves nothing to stop");
}

#[test]
fn a_daemon_that_somebody_stopped_or_changed_is_put_right() {
    let mut bed = Bed::started(&sync(Some(0), daemon("eth1", 51)));
    bed.go(11.0);
    bed.kernel.daemons.clear();
    bed.go(22.0);
    assert_eq!(bed.log(), ["+Backup eth1 51"], "law 5");
    bed.go(33.0);
    bed.kernel.daemons.get_mut(&DaemonRole::Backup).unwrap().id = 9;
    bed.go(44.0);
    assert_eq!(bed.log(), ["-Backup", "+Backup eth1 51"]);
    bed.go(66.0);
    assert_eq!(bed.log(), [""; 0]);
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 2, "once each");
    // IPVS-44a: stopped by somebody, when we want to stop it, is stopped.
    bed.kernel.daemons.clear();
    assert_eq!(become_active(&mut bed, true), ["+Master eth1 51", "-Backup"]);
    let snapshot = bed.snapshot();
    assert!(snapshot.problems.is_empty() && snapshot.ipvs.unwrap().refused == 0);
}

#[test]
fn a_daemon_that_cannot_start_is_a_problem_and_does_not_stop_the_rest() {
    let mut bed = Bed::new(&sync(Some(0), daemon("wan", 51)));
    bed.start();
    bed.go(60.0);
    let tries = bed.log().iter().filter(|l| *l == "+Backup wan 51").count();
    assert!((5..=7).contains(&tries), "1, 2, 4, 8, 16, 30 s: {tries}");
    assert_eq!(bed.kernel.table.len(), 1, "services do not wait for it");
    let problems = bed.snapshot().problems;
    assert_eq!(problems, ["sync daemon (backup on wan): no such interface"], "IPVS-44c");
    bed.reload(&sync(Some(0), daemon("eth1", 51)));
    assert_eq!(bed.log(), ["+Backup eth1 51"], "mended: at once");
    assert!(bed.snapshot().problems.is_empty());

    // IPVS-44b.
    let mut bed = Bed::new(&sync(None, daemon("eth1", 51)));
    bed.kernel.refuse.push(("+Master", Refusal::Invalid));
    bed.start();
    bed.settle();
    let problems = bed.snapshot().problems;
    assert!(problems.len() == 1 && problems[0].contains("another family"), "{problems:?}");
    assert_eq!(bed.snapshot().ipvs.unwrap().sync, [DaemonRole::Backup], "the other role is not held up");
}

/// The command was done, or not: what runs is looked at before anything else.
#[test]
fn lost_answers_are_looked_after() {
    let mut bed = Bed::new(&sync(Some(0), daemon("eth1", 51)));
    bed.start();
    until_start(&mut bed, |bed, request| {
        bed.kernel.execute(request).unwrap(); // it was done, and the answer is lost
        Some(Refusal::Interrupted)
    });
    bed.settle();
    bed.go(30.0);
    let log = bed.log();
    assert!(!log.iter().any(|l| l.contains("Back")), "it runs: {log:?}");
    assert!(bed.snapshot().problems.is_empty(), "and an answer that was late is no problem");
    assert_eq!(bed.snapshot().ipvs.unwrap().sync, [DaemonRole::Backup]);

    let mut bed = Bed::started(&sync(Some(0), daemon("eth1", 51)));
    bed.kernel.mute = true;
    bed.call(|b, now, cx| b.follow_instance(now, true, cx));
    bed.go(14.0);
    bed.kernel.mute = false;
    bed.log();
    bed.go(40.0);
    assert_eq!(bed.kernel.daemons.keys().copied().collect::<Vec<_>>(), [DaemonRole::Master]);
}

#[test]
fn what_nobody_wants_to_know_any_more_is_no_problem() {
    let mut bed = Bed::new(&sync(None, daemon("eth1", 51)));
    bed.start();
    for _ in 0..5 {
        for (token, request) in bed.drain() {
            if matches!(request, IpvsRequest::Whole(WholeRequest::DumpDaemons)) {
                bed.ipvs(IpvsEvent::Done { token, result: Err(Refusal::NotPermitted) });
            } else {
                bed.kernel.answer(token, &request).into_iter().for_each(|event| bed.ipvs(event));
            }
        }
    }
    let problem = "the sync daemons of IPVS cannot be read";
    assert!(bed.snapshot().problems[0].starts_with(problem), "{:?}", bed.snapshot().problems);
    bed.reload(&s1());
    assert_eq!(bed.snapshot().problems, [""; 0]);
    bed.settle();
    // The other way round: the answer comes when nobody waits for it any more.
    bed.reload(&sync(None, daemon("eth1", 51)));
    let requests = bed.drain();
    bed.reload(&s1());
    for (token, _) in requests {
        bed.ipvs(IpvsEvent::Done { token, result: Err(Refusal::NotPermitted) });
    }
    assert_eq!(bed.snapshot().problems, [""; 0]);
}

/// A daemon that could not start as master is no problem of a backup.
#[test]
fn a_role_that_is_not_wanted_any_more_has_no_problem() {
    let mut bed = Bed::started(&sync(Some(0), daemon("eth1", 51)));
    bed.kernel.refuse.push(("+Master", Refusal::NotPermitted));
    become_active(&mut bed, true);
    let problems = bed.snapshot().problems;
    assert!(problems.iter().any(|p| p.starts_with("sync daemon (master on eth1)")), "{problems:?}");
    become_active(&mut bed, false);
    assert_eq!(bed.snapshot().problems, [""; 0]);
}

/// The module was unloaded and is back (B-95): with it timeouts, daemons and settings.
#[test]
fn a_new_module_gets_everything_anew() {
    let mut config = sync(Some(0), daemon("eth1", 51));
    config.ipvs.timeouts.udp = 60;
    config.ipvs.settings = settings(&[("conntrack", "1")]).ipvs.settings;
    let mut bed = Bed::started(&config);
    bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("unloaded")) });
    bed.kernel = Default::default();
    assert!(bed.snapshot().ipvs.unwrap().sync.is_empty());
    bed.go(6.0);
    let log = bed.log();
    for wanted in ["timeouts 0 0 60", "+Backup eth1 51", "conntrack = 1", "+10.0.0.100:80 wrr"] {
        assert!(log.contains(&wanted.to_string()), "{wanted}: {log:?}");
    }
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0, "a new module is nobody's edit");
    bed.kernel.timeouts.tcp = 10;
    shut_down(&mut bed);
    assert_eq!(bed.kernel.timeouts, Timeouts { tcp: 10, ..DEFAULT });
    assert!(bed.settings.is_empty());
}

/// IPVS-80: before the services come, until after they are gone: `expire_nodest_conn` says what becomes of
/// their connections.
#[test]
fn settings_are_held_from_before_the_first_service_until_after_the_last() {
    let mut bed = Bed::new(&settings(&[("expire_nodest_conn", "1"), ("sync_threshold", "3 50")]));
    bed.start();
    let log = bed.log();
    assert_eq!(log[1..4], ["expire_nodest_conn = 1", "sync_threshold = 3 50", "+10.0.0.100:80 wrr"]);
    bed.reload(&settings(&[("sync_threshold", "5 10"), ("conntrack", "1")]));
    assert_eq!(bed.log(), ["expire_nodest_conn back", "sync_threshold = 5 10", "conntrack = 1"]);
    bed.reload(&settings(&[("sync_threshold", "5 10"), ("conntrack", "1")]));
    bed.go(40.0);
    assert_eq!(bed.log(), [""; 0], "held is held");
    assert_eq!(shut_down(&mut bed), ["-10.0.0.100:80", "sync_threshold back", "conntrack back"]);

    let mut bed = Bed::new(&settings(&[("conntrack", "1")]));
    bed.kernel.absent = true;
    bed.start();
    bed.go(10.0);
    assert!(bed.settings.is_empty(), "without the family there is nothing to write to");
    shut_down(&mut bed);
}

/// `keep` leaves the entries; what is the kernel's own comes back all the same.
#[test]
fn kept_entries_do_not_keep_the_rest() {
    let mut config = sync(None, daemon("eth1", 51));
    config.ipvs.keep = true;
    config.ipvs.timeouts.udp = 60;
    config.ipvs.settings = settings(&[("conntrack", "1")]).ipvs.settings;
    let mut bed = Bed::started(&config);
    assert_eq!(shut_down(&mut bed), ["timeouts 0 0 300", "-Master", "-Backup", "conntrack back"]);
    assert_eq!(bed.kernel.table.len(), 1);
}

#[test]
fn a_mute_kernel_does_not_hold_the_end() {
    let mut bed = Bed::started(&timeouts(600, 0, 0));
    bed.kernel.mute = true;
    bed.call(|b, now, cx| b.shutdown(now, cx));
    bed.settle();
    bed.go(3.1);
    assert!(bed.balancer.is_shut_down());
}

/// The old interface knows a daemon's interface and id; two routers with different groups would not hear each
/// other, so what cannot be said is a problem and not ignored.
#[test]
fn socket_options_say_no_group_of_a_daemon() {
    let mut bed = Bed::new(&sync(None, daemon("eth1", 51)));
    bed.kernel.sockopt = true;
    bed.start();
    bed.go(40.0);
    assert_eq!(bed.log().iter().filter(|l| l.contains("Master")).count(), 1, "its own words are no edit");
    let snapshot = bed.snapshot();
    assert!(snapshot.problems.is_empty() && snapshot.ipvs.unwrap().sockopt, "{:?}", bed.snapshot().problems);

    let mut bed = Bed::new(&sync(None, Daemon { port: 8000, ..daemon("eth1", 51) }));
    bed.kernel.sockopt = true;
    bed.start();
    bed.settle();
    assert!(bed.kernel.daemons.is_empty());
    assert!(bed.snapshot().problems[0].contains("need generic netlink"), "{:?}", bed.snapshot().problems);
}
