//! Sync groups (keepalived §2.2, §2.3): members are Active together or not at all, on one of two routers.
//! Without these a box could hold the inner address while another one holds the outer one, and every
//! connection would die between them.
//!
//! After each event the lab checks that the members of a group are in one state, so the bound for members
//! that differ is zero, but for those that a reload has just brought.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod lab;
mod random;
mod reload;

use lab::{World, config, quick, secs, told, track, used};
use vipd::engine::Event;
use vipd::model::Priority;
use vipd::model::status::InstanceState::{Active, Backup, Fault, Initialize};
use vipd::time::Duration;

#[test]
fn a_group_becomes_active_together_once_all_members_have_listened() {
    let mut world = World::empty();
    // The priorities make their timers differ: 3.6 s and 3.0 s.
    world.start('a', &told(config(&[100, 250])), 1);
    world.expect(0, Backup, "listening");
    world.pass(Duration::from_millis(3100));
    world.expect(0, Backup, "one member is ready, the other is not");
    world.pass(Duration::from_millis(600));
    world.expect(0, Active, "keepalived §2.3: MASTER only when all want it");
    world.deliver_mails(0);
    let router = &world.routers[0];
    let groups: Vec<&String> = router.fifo.iter().filter(|l| l.starts_with("GROUP")).collect();
    assert_eq!(groups, ["GROUP \"VG\" BACKUP 0", "GROUP \"VG\" MASTER 0"], "keepalived §2.6: told once each");
    let mails = router.mails.iter().filter(|m| m.contains("VRRP Group VG - Entering MASTER state"));
    assert_eq!(mails.count(), 1, "keepalived §2.6: {:?}", router.mails);
    assert_eq!(router.mails[0].split(' ').next(), Some("[router]"));
    let status = world.group(0);
    assert_eq!((status.name.as_str(), status.members.len()), ("VG", 2));
    assert_eq!(
        status.since,
        Duration::from_micros(3_700_000 - 3_609_375),
        "since the last of them was ready"
    );
}

#[test]
fn the_fault_of_one_member_takes_all_along_and_the_other_router_takes_all() {
    let mut world = World::new(&config(&[150, 150]), &config(&[100, 100]), 1);
    world.pass(secs(10));
    world.expect(0, Active, "the better one");
    world.expect(1, Backup, "the other");
    world.routers[0].adverts.clear();
    world.set_link(0, 1, false);
    world.expect(0, Fault, "keepalived §2.3: any member FAULT, all FAULT");
    let resigned: Vec<(usize, u8)> = world.routers[0].adverts.iter().map(|a| (a.1, a.2)).collect();
    assert!(resigned.contains(&(0, 0)), "FSM-40: the healthy member resigns: {resigned:?}");
    assert_eq!(world.status(0, 0).cause, "group VG: VI_1: interface eth1 is down");
    assert_eq!(world.status(0, 1).cause, "interface eth1 is down", "the member itself says what it is");
    world.pass(secs(4));
    world.expect(1, Active, "it takes over both, also the one whose LAN is fine");
    world.set_link(0, 0, false);
    world.expect(0, Fault, "the second fault changes nothing");
    world.set_link(0, 1, true);
    world.expect(0, Fault, "one fault is left, and it is the other one's");
    assert_eq!(world.status(0, 1).cause, "group VG: VI_0: interface eth0 is down");
    world.set_link(0, 0, true);
    world.expect(0, Backup, "FSM-40: through Backup, with a full down interval");
    world.pass(secs(5));
    world.expect(0, Active, "it preempts with both");
    world.expect(1, Backup, "and the other leaves both");
    let faults = world.routers[0].lines.iter().filter(|l| l.starts_with("group VG: Active -> Fault")).count();
    assert_eq!(faults, 1, "{:?}", world.routers[0].lines);
}

#[test]
fn a_higher_router_for_one_member_gets_all_that_it_can_have() {
    // The second LAN of b has no partner: only a's own group may take that member back to Backup.
    let mut world = World::new(&config(&[100, 100]), &config(&[150, 150]), 1);
    world.cut = [lab::FIRST, lab::FIRST + 1].into();
    world.pass(secs(10));
    world.expect(0, Active, "alone on its side");
    world.expect(1, Active, "alone on its side");
    world.cut.clear();
    world.pass(secs(2));
    world.expect(1, Active, "the higher one keeps both");
    world.expect(0, Backup, "the lower one leaves both");
    world.cut = [lab::FIRST].into();
    world.pass(secs(60));
    world.expect(0, Backup, "one member hears nobody, the other one does: Active only together");
    world.expect(1, Active, "and here nothing changes");
}

#[test]
fn crossed_priorities_settle_on_one_router() {
    let mut holders = [0, 0];
    for seed in 0..12 {
        for (delay, interval) in [(1, 1000), (0, 1000), (20, 1000), (1, 100), (2, 20)] {
            let (a, b) = (config(&[100, 150]), config(&[150, 100]));
            let interval = Duration::from_millis(interval);
            let mut world = World::new(&quick(a, interval), &quick(b, interval), seed);
            world.delay = Duration::from_millis(delay);
            // A down interval to begin with, and a few contests at most.
            world.pass(interval * 30);
            let holder = world.one_active().unwrap_or_else(|why| panic!("seed {seed}, delay {delay}: {why}"));
            holders[holder] += 1;
            let changes: Vec<u32> = world.routers.iter().map(|r| r.changes).collect();
            world.pass(interval * 200);
            assert_eq!(world.one_active(), Ok(holder), "seed {seed}: it stays");
            let later: Vec<u32> = world.routers.iter().map(|r| r.changes).collect();
            assert_eq!(changes, later, "seed {seed}, delay {delay}: no flapping");
        }
    }
    assert!(holders.iter().all(|n| *n > 12), "neither router is favoured: {holders:?}");
}

#[test]
fn crossed_priorities_fail_over_like_others() {
    let mut world = World::new(&config(&[100, 150]), &config(&[150, 100]), 3);
    world.pass(secs(40));
    let holder = world.one_active().unwrap();
    world.set_link(holder, 0, false);
    world.pass(secs(6));
    world.expect(1 - holder, Active, "the other router takes all, without a pause of more than an interval");
    world.set_link(holder, 0, true);
    world.pass(secs(60));
    assert_eq!(world.one_active(), Ok(1 - holder), "and keeps it: the weaker member holds the other back");
}

#[test]
fn a_member_whose_interface_flaps_does_not_tear_the_group_apart() {
    let mut world = World::new(&config(&[150, 150, 150]), &config(&[100, 100, 100]), 1);
    world.pass(secs(10));
    for n in 0..50 {
        world.set_link(0, n % 3, false);
        world.pass(Duration::from_millis(37 * (n as u64 % 11)));
        world.set_link(0, n % 3, true);
        world.pass(Duration::from_millis(91 * (n as u64 % 7)));
    }
    world.pass(secs(10));
    world.expect(0, Active, "after the storm the better one has all");
    world.expect(1, Backup, "and the other nothing");
}

#[test]
fn an_owner_in_a_group_waits_for_the_others() {
    let (a, b) = (config(&[255, 150]), config(&[100, 100]));
    let mut world = World::new(&a, &b, 1);
    world.expect(0, Backup, "the owner does not begin alone");
    world.pass(secs(5));
    world.expect(0, Active, "once its partner has listened");
    world.set_link(0, 1, false);
    world.expect(0, Fault, "the owner leaves with its partner");
    world.pass(secs(5));
    world.expect(1, Active, "so the other router can have both");
    world.set_link(0, 1, true);
    world.pass(secs(5));
    world.expect(0, Active, "FSM-5: the owner comes back, with its partner");
    world.expect(1, Backup, "the other leaves");
}

#[test]
fn all_members_leave_together_at_the_end() {
    let (a, b) = (told(config(&[150, 150])), config(&[100, 100]));
    let mut world = World::new(&a, &b, 1);
    world.pass(secs(10));
    world.routers[0].adverts.clear();
    world.routers[0].fifo.clear();
    world.feed(0, Event::Shutdown);
    assert_eq!(world.states(0), [Initialize; 2]);
    assert_eq!(world.group(0).state, Initialize);
    let resigned: Vec<(usize, u8)> = world.routers[0].adverts.iter().map(|a| (a.1, a.2)).collect();
    assert_eq!(resigned, [(0, 0), (1, 0)], "FSM-17: each member resigns");
    let groups = world.routers[0].fifo.iter().filter(|l| *l == "GROUP \"VG\" STOP 0").count();
    assert_eq!(groups, 1, "{:?}", world.routers[0].fifo);
    world.pass(secs(2));
    world.expect(1, Active, "after the skew time, not the down interval");
}

#[test]
fn the_end_waits_for_the_last_mails_and_no_longer_than_3_seconds() {
    let leaving = || {
        let mut world = World::new(&told(config(&[150, 150])), &config(&[100, 100]), 1);
        world.pass(secs(10));
        assert!(!world.routers[0].mails.is_empty(), "that it is Active is on its way to the mail server");
        world.feed(0, Event::Shutdown);
        world.pass(secs(2));
        assert!(!world.routers[0].is_finished, "somebody wants to read it");
        world
    };
    let mut world = leaving();
    for _ in 0..10 {
        world.deliver_mails(0);
        world.pass(Duration::from_millis(10));
    }
    assert!(world.routers[0].is_finished, "nothing is left to wait for");
    let mut world = leaving();
    let id = 1;
    world.feed(0, Event::Mail { id, result: Err("connection refused".try_into().unwrap()) });
    world.pass(Duration::from_millis(10));
    assert!(world.routers[0].is_finished, "a mail server that is dead is not waited for");
    let mut world = leaving();
    world.pass(Duration::from_millis(1100));
    assert!(world.routers[0].is_finished, "nor one that hangs");
}

#[test]
fn the_operator_takes_the_whole_group_out() {
    let mut world = World::new(&config(&[150, 150]), &config(&[100, 100]), 1);
    world.pass(secs(10));
    world.feed(0, Event::Resign { instance: 1, wanted_for: secs(30) });
    world.expect(0, Fault, "all leave with the one that was named");
    world.pass(secs(2));
    world.expect(1, Active, "and the other router takes all, after the skew time");
    world.pass(secs(40));
    world.expect(0, Active, "until the time is over");
}

#[test]
fn trackers_of_the_group_move_all_of_its_members() {
    let mut a = config(&[150, 150]);
    let (wan, fatal, own) = (track(&mut a, "wan"), track(&mut a, "fatal"), track(&mut a, "own"));
    a.groups[0].tracks = vec![used(wan, 1), used(fatal, 0)];
    a.instances[0].tracks = vec![used(own, 1)];
    let mut world = World::new(&a, &config(&[100, 100]), 1);
    world.expect(0, Initialize, "trap 8: held until the first result, which is no Fault to wake anybody for");
    let waits = world.status(0, 1).waits;
    assert_eq!(waits.as_deref(), Some("waits for the first result of file fatal"));
    world.number(0, wan, 0);
    world.number(0, fatal, 0);
    world.pass(secs(10));
    world.expect(0, Active, "150 against 100");
    world.number(0, own, -100);
    assert_eq!(world.status(0, 0).effective_priority, 150, "a member's own weight does not count");
    world.number(0, wan, -70);
    let status = world.status(0, 1);
    assert_eq!((status.effective_priority, status.priority), (80, 150));
    assert_eq!(status.contributions.len(), 1, "80 = 150 - 70 wan");
    world.pass(secs(10));
    world.expect(1, Active, "100 against 80, all members");
    world.number(0, wan, 0);
    world.pass(secs(10));
    world.expect(0, Active, "and back");
    world.number(0, fatal, 1);
    world.expect(0, Fault, "a fault of the group is each member's");
    assert_eq!(world.status(0, 0).cause, "file fatal holds 1, wanted 0");
    let trackers = world.routers[0].engine.snapshot(world.now).trackers;
    assert_eq!(trackers[0].used_by, ["VG"]);
    assert!(trackers[1].hurts && !trackers[0].hurts, "the status screen says which one it is");
}

#[test]
fn a_tracker_without_a_result_holds_instances_at_the_start_only() {
    let plain = config(&[100]);
    let mut world = World::empty();
    world.start('a', &plain, 1);
    world.pass(secs(5));
    world.expect(0, Active, "alone");
    let mut with = plain.clone();
    let wan = track(&mut with, "wan");
    with.instances[0].tracks = vec![used(wan, 0)];
    with.instances[0].priority = Priority::new(120).unwrap();
    world.reload(0, &with);
    world.expect(0, Active, "issue #2357: a reload must not put it into Fault for what is not known yet");
    world.number(0, wan, 3);
    world.expect(0, Fault, "but for what is known");
    assert_eq!(world.status(0, 0).faults, ["file wan holds 3, wanted 0"]);
    world.number(0, wan, 0);
    world.pass(secs(5));
    world.expect(0, Active, "and back");
    assert!(
        !world.routers[0].lines.iter().any(|l| l.contains("no interface")),
        "{:?}",
        world.routers[0].lines
    );
}
