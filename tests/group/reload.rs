//! Reloads that add and remove members, groups and routers' parts in them.

use crate::lab::{World, config, group, member, secs};
use vipd::model::Config;
use vipd::model::status::InstanceState::{Active, Backup};
use vipd::time::Duration;

fn both(a: &[u8], b: &[u8]) -> World {
    let mut world = World::new(&config(a), &config(b), 1);
    world.pass(secs(10));
    world.expect(0, Active, "the better one");
    world
}

#[test]
fn a_reload_without_changes_changes_nothing() {
    let mut world = both(&[150, 150], &[100, 100]);
    let changes = world.routers[0].changes;
    let sent = world.routers[0].adverts.len();
    world.reload(0, &config(&[150, 150]));
    assert_eq!((world.routers[0].changes, world.routers[0].adverts.len()), (changes, sent));
    world.expect(0, Active, "as before");
    world.pass(secs(20));
    world.expect(0, Active, "as before");
}

#[test]
fn a_new_member_joins_without_an_outage() {
    let mut world = both(&[150, 150], &[100, 100]);
    let changes = world.routers[0].changes;
    world.may_differ = true;
    world.reload(0, &config(&[150, 150, 150]));
    assert_eq!(world.states(0), [Active, Active, Backup], "it listens first");
    assert_eq!(world.group(0).state, Active, "and the group is what it was");
    world.reload(1, &config(&[100, 100, 100]));
    world.pass(secs(5));
    world.may_differ = false;
    world.expect(0, Active, "then it is Active, too");
    world.expect(1, Backup, "and nothing else has changed");
    assert_eq!(world.routers[0].changes, changes, "no outage for the old members");
    world.pass(secs(30));
    world.expect(0, Active, "for good");
}

#[test]
fn a_new_member_that_another_router_holds_takes_the_group_there() {
    let mut world = both(&[150, 150], &[100, 100]);
    // b holds the third one alone, with a higher priority.
    let mut b = config(&[100, 100, 200]);
    b.groups = vec![group(0..2)];
    world.may_differ = true;
    world.reload(1, &b);
    world.pass(secs(5));
    assert_eq!(world.states(1), [Backup, Backup, Active]);
    world.reload(0, &config(&[150, 150, 150]));
    world.pass(secs(4));
    assert_eq!(world.states(0), [Active, Active, Backup], "it is given time");
    world.pass(secs(10));
    assert_eq!(world.states(0), [Backup; 3], "Active only together");
    assert_eq!(world.states(1), [Active; 3], "b can have all, and has");
    world.reload(1, &config(&[100, 100, 100]));
    world.pass(secs(10));
    world.may_differ = false;
    assert_eq!(world.one_active(), Ok(0), "once a may have all, it takes all");
}

#[test]
fn a_member_that_goes_resigns_alone() {
    let mut world = both(&[150, 150, 150], &[100, 100, 100]);
    world.routers[0].adverts.clear();
    let changes = world.routers[0].changes;
    world.reload(0, &config(&[150, 150]));
    world.expect(0, Active, "the others go on");
    assert_eq!(world.routers[0].changes, changes);
    let resigned: Vec<(usize, u8)> =
        world.routers[0].adverts.iter().map(|a| (a.1, a.2)).filter(|(_, priority)| *priority == 0).collect();
    assert_eq!(resigned, [(2, 0)], "FSM-17");
    world.pass(secs(30));
    world.expect(0, Active, "for good");
    world.expect(1, Backup, "two of its members hear a, so the third one waits with them");
}

#[test]
fn the_fault_of_a_member_that_goes_is_forgotten() {
    let mut world = both(&[150, 150], &[100, 100]);
    world.set_link(0, 1, false);
    world.pass(secs(10));
    world.expect(1, Active, "a is in Fault");
    world.reload(0, &config(&[150]));
    world.expect(0, Backup, "the one that is left is fit");
    world.pass(secs(10));
    world.expect(0, Active, "and takes over");
}

#[test]
fn instances_that_leave_a_group_go_on_alone() {
    let mut world = both(&[150, 150], &[100, 100]);
    let alone = Config { groups: Vec::new(), ..config(&[150, 150]) };
    world.may_differ = true;
    world.reload(0, &alone);
    assert_eq!(world.states(0), [Active, Active]);
    assert!(world.routers[0].engine.snapshot(world.now).groups.is_empty());
    world.set_link(0, 1, false);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.states(0)[0], Active, "the other one is no concern of it any more");
    world.set_link(0, 1, true);
    world.pass(secs(10));
    // One that waits for its group only is let go with it.
    let mut b = config(&[100, 100]);
    b.instances[1] = member(1, 200);
    let mut world = World::new(&config(&[150, 150]), &b, 1);
    world.may_differ = true;
    world.pass(secs(30));
    let holder = world.one_active().unwrap();
    assert_eq!(holder, 0, "a was ready later in no member: its weaker one had listened as long");
    world.reload(1, &Config { groups: Vec::new(), ..b });
    assert_eq!(world.states(1), [Backup, Active], "it has listened long enough");
}

#[test]
fn a_new_group_is_formed_of_instances_that_run() {
    let alone = |priorities: &[u8]| Config { groups: Vec::new(), ..config(priorities) };
    let mut world = World::new(&alone(&[150, 100]), &alone(&[100, 150]), 1);
    world.may_differ = true;
    world.pass(secs(10));
    assert_eq!((world.states(0), world.states(1)), (vec![Active, Backup], vec![Backup, Active]));
    world.reload(0, &config(&[150, 100]));
    world.reload(1, &config(&[100, 150]));
    world.may_differ = false;
    world.pass(secs(40));
    world.one_active().expect("crossed priorities, from the worst beginning");
}
