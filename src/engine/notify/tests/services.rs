//! Services that follow their instances.

use super::*;

fn with_service() -> Bed {
    let mut one = instance("VI_1", 1);
    one.run_while_active = vec![service("dnsmasq")];
    let mut config = config(vec![one]);
    config.fifos = Default::default();
    Bed::new(config)
}

#[test]
fn a_service_runs_exactly_while_its_instance_is_active() {
    let mut bed = with_service();
    assert_eq!(bed.tick(), NOTHING, "before the first state nothing is known");
    assert_eq!(bed.tell(0, BACKUP), ["run /stop"], "the boot scripts may have started it");
    let done = bed.end(RunOutcome::Exited(1));
    assert_eq!(done, ["note stopped"], "a stop of what does not run exits with 1 in many init scripts");
    assert!(!bed.status().failed);
    assert_eq!(bed.tell(0, FAULT), NOTHING, "it is stopped already");
    assert_eq!(bed.tell(0, ACTIVE), ["run /start"]);
    assert_eq!(bed.end(OK), ["note started"]);
    assert_eq!(bed.tell(0, ACTIVE), NOTHING, "it runs already");
    for change in [BACKUP, FAULT, STOP, Change::Deleted] {
        assert_eq!(bed.tell(0, change), ["run /stop"], "not Active");
        bed.end(OK);
        assert_eq!(bed.tell(0, ACTIVE), ["run /start"]);
        bed.end(OK);
    }
}

#[test]
fn an_owner_s_service_is_started_without_a_stop_before() {
    assert_eq!(with_service().tell(0, ACTIVE), ["run /start"]);
}

#[test]
fn the_newest_wish_wins() {
    let mut bed = with_service();
    bed.tell(0, ACTIVE);
    assert_eq!(bed.tell(0, BACKUP), NOTHING, "one program at a time");
    assert_eq!(bed.status().waiting, 1);
    assert_eq!(bed.tell(0, ACTIVE), NOTHING);
    assert_eq!(bed.end(OK), ["note started"], "the stop in between is not wanted any more");
    assert_eq!(bed.status().collapsed, 1, "and was counted");
    bed.tell(0, BACKUP);
    bed.tell(0, ACTIVE);
    assert_eq!(bed.end(OK), ["note stopped", "run /start"]);
}

#[test]
fn a_start_that_fails_is_tried_again_with_growing_pauses_while_it_is_wanted() {
    let mut bed = with_service();
    bed.tell(0, ACTIVE);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        bed.end(RunOutcome::Exited(7));
        let (waited, done) = bed.wait();
        assert_eq!(done, ["run /start"]);
        pauses.push(waited);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    bed.end(RunOutcome::Exited(7));
    let status = bed.status();
    assert!(status.failed && status.waiting == 1, "shown: {status:?}");
    assert_eq!(status.outcome, "start: exited with 7, 10 in a row, again in 60s");
    assert_eq!(bed.tell(0, BACKUP), ["run /stop"], "half started, perhaps: it is stopped");
    bed.end(OK);
    assert_eq!(bed.notifier.next_deadline(), None, "not wanted any more");
    assert_eq!(bed.tell(0, ACTIVE), ["run /start"], "at once: the pauses are over");
}

#[test]
fn a_stop_that_did_not_end_is_tried_again() {
    let mut bed = with_service();
    bed.tell(0, BACKUP);
    bed.end(RunOutcome::TimedOut);
    assert!(bed.status().failed, "the service may run here and on the Active router");
    assert_eq!(bed.wait(), (1, vec!["run /stop".to_owned()]));
}

#[test]
fn a_service_of_two_instances_runs_while_any_is_active() {
    let mut bed = with_service();
    let mut two = instance("VI_2", 2);
    two.run_while_active = vec![service("dnsmasq")];
    let config = Config { instances: vec![bed.config.instances[0].clone(), two], ..Config::default() };
    assert_eq!(bed.reload(config.clone(), &[1]), ["run /start"], "VI_2 is Active");
    bed.end(OK);
    assert_eq!(bed.tell(0, ACTIVE), NOTHING);
    assert_eq!(bed.tell(1, BACKUP), NOTHING, "VI_1 still needs it");
    assert_eq!(bed.tell(0, BACKUP), ["run /stop"]);
}

#[test]
fn a_reload_starts_and_stops_services() {
    let mut bed = with_service();
    bed.tell(0, ACTIVE);
    bed.end(OK);
    let with = bed.config.clone();
    let mut renamed = with.clone();
    renamed.instances[0].name = name("LAN");
    assert_eq!(bed.reload(renamed.clone(), &[0]), NOTHING, "a new name of the instance is no reason");
    assert_eq!(bed.tell(0, BACKUP), ["run /stop"], "it follows under the new name");
    bed.end(OK);
    bed.tell(0, ACTIVE);
    bed.end(OK);
    renamed.instances[0].run_while_active.clear();
    assert_eq!(bed.reload(renamed, &[0]), ["run /stop"], "not in the configuration any more");
    assert_eq!(bed.reload(with.clone(), &[0]), NOTHING, "back before the stop has ended");
    assert_eq!(bed.end(OK), ["note stopped", "run /start"]);
    bed.end(OK);
    bed.reload(config(Vec::new()), &[]);
    let mut tries = 0;
    while !bed.running.is_empty() {
        tries += 1;
        bed.end(RunOutcome::NotStarted(2));
        if bed.notifier.next_deadline().is_some() {
            bed.wait();
        }
    }
    assert_eq!(tries, 3, "a stop that cannot be run is given up once nobody has the service");
    assert!(bed.notifier.keepers.is_empty(), "reloads must not pile up services");
}

#[test]
fn the_leave_stops_services_and_waits_for_a_start_that_is_killed() {
    let mut bed = with_service();
    bed.tell(0, ACTIVE);
    assert_eq!(bed.tell(0, STOP), NOTHING);
    bed.shutdown();
    let (waited, done) = bed.wait();
    assert_eq!((waited, done[0].as_str()), (1, "kill /start"));
    assert!(!bed.notifier.is_idle());
    assert_eq!(bed.wait(), (2, vec!["run /stop".to_owned()]), "SIGKILL comes 2 s later: never two at once");
    assert!(!bed.notifier.is_idle(), "the stop is waited for");
    bed.end(RunOutcome::TimedOut);
    assert!(bed.notifier.is_idle(), "once: the daemon leaves");
}
