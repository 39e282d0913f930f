//! Notifications of services and servers.

use super::*;
use crate::model::{Fifos, Forwarding, Front, Protocol, ServerAddress};

fn address(number: usize) -> ServerAddress {
    let (high, low) = (number / 256, number % 256);
    ServerAddress::Ip(format!("10.0.{high}.{low}:80").parse().unwrap())
}

/// A service whose servers each have both programs.
fn balanced(called: &str, servers: usize) -> Service {
    let front = Front::Address("10.1.0.1:80".parse().unwrap());
    let server = |number| {
        let mut server = Server::new("10.0.0.0:80".parse().unwrap(), Forwarding::Masquerade);
        server.address = address(number);
        (server.up, server.down) = (Some(command("/up").into()), Some(command("/down").into()));
        server
    };
    Service {
        quorum_up: Some(command("/quorum-up").into()),
        quorum_down: Some(command("/quorum-down").into()),
        servers: (0..servers).map(server).collect(),
        ..Service::new(name(called), Protocol::Tcp, front)
    }
}

fn farm(servers: usize) -> Bed {
    let fifo = Fifo { path: "/run/lvs".into(), user: None, group: None, script: None };
    let fifos = Fifos { balance: Some(fifo), ..Fifos::default() };
    let mut one = instance("VI_1", 1);
    one.notify = notify();
    Bed::new(Config { services: vec![balanced("web", servers).into()], fifos, ..config(vec![one]) })
}

impl Bed {
    /// `None`: the service itself.
    fn fate(&mut self, server: Option<usize>, fate: Fate) -> Vec<String> {
        let mut actions = Actions::new();
        let service = &self.config.services[0];
        let (object, line) = match server {
            None => (Object::Service(service), format!("VS web {}", fate.word())),
            Some(at) => {
                let server = &service.servers[at];
                (Object::Server(service, server), format!("RS {} {}", server.address, fate.word()))
            }
        };
        let line = format_args!("{line}");
        self.notifier.tell_balance(self.now, (object, fate), line, &mut self.history, &mut actions);
        self.drain(actions)
    }
}

#[test]
fn programs_get_their_own_words_and_nothing_else() {
    let mut bed = farm(1);
    assert_eq!(bed.fate(Some(0), Fate::Down), ["run /down", "lvs-fifo RS 10.0.0.0:80 DOWN"]);
    let spec = bed.notifier.run_spec(bed.running[0].0).unwrap();
    assert_eq!((spec.command.argv.len(), spec.arguments.len()), (2, 0), "keepalived §2.6: nothing added");
    assert_eq!(bed.fate(None, Fate::Down), ["run /quorum-down", "lvs-fifo VS web DOWN"], "its own queue");
    assert_eq!(bed.fate(None, Fate::Up), ["lvs-fifo VS web UP"], "a line never waits for a program");
    bed.running.remove(0);
    assert_eq!(bed.end(OK), ["run /quorum-up"], "in order, one at a time");
    let status = &bed.notifier.status(bed.now)[0];
    assert_eq!((status.subject.as_str(), status.what), ("web", "notify_service"));
    assert_eq!(status.outcome, "DOWN: exited with 0");
}

#[test]
fn only_the_newest_of_a_flapping_server_is_told_in_the_end() {
    let mut bed = farm(1);
    bed.fate(Some(0), Fate::Down);
    for fate in [Fate::Up, Fate::Down, Fate::Up, Fate::Down, Fate::Up] {
        bed.fate(Some(0), fate);
    }
    assert_eq!(bed.status().waiting, 1);
    assert_eq!(bed.end(OK), ["run /up"], "the last state, once");
    assert_eq!(bed.end(OK), NOTHING);
    let status = bed.status();
    assert_eq!(status.collapsed, 4, "what was passed over is counted");
    assert_eq!((status.what, status.server), ("notify_server", Some(address(0))));
}

#[test]
fn a_server_without_a_program_has_no_queue() {
    let mut bed = farm(3);
    let (_, without) = bed.config.services[0].servers.split_at_mut(1);
    without.iter_mut().for_each(|server| (server.up, server.down) = (None, None));
    bed.config.services[0].servers[2].down = Some(command("/down").into());
    for at in 0..3 {
        bed.fate(Some(at), Fate::Up);
    }
    assert_eq!(bed.notifier.balance.len(), 1, "thousands of servers must cost nothing (law 8)");
    assert_eq!(bed.fate(Some(2), Fate::Down)[0], "run /down");
}

#[test]
fn a_failure_names_the_server() {
    let mut bed = farm(1);
    bed.fate(Some(0), Fate::Up);
    let done = bed.end(RunOutcome::NotStarted(2));
    assert_eq!(done, ["note /up for 10.0.0.0:80 UP: could not be started: error 2"]);
}

#[test]
fn a_storm_of_servers_holds_up_no_instance() {
    let mut bed = farm(1000);
    for at in 0..1000 {
        bed.fate(Some(at), Fate::Down);
    }
    assert_eq!(bed.running.len(), limits::PROGRAMS_BALANCE_MAX, "a small box cannot fork a thousand");
    assert_eq!(bed.tell(0, ACTIVE)[0], "run /active", "notify_master must not wait for a thousand programs");
    let mut ended = 0;
    while !bed.running.is_empty() {
        bed.end(OK);
        ended += 1;
    }
    assert_eq!(ended, 1002, "each server, and both of the instance");
    assert!(bed.notifier.is_idle(), "all have been told");
}

#[test]
fn at_the_limit_idle_queues_are_forgotten_and_then_programs_refused() {
    let max = limits::NOTIFY_BALANCE_QUEUES_MAX;
    let mut bed = farm(max + 3);
    assert_eq!(bed.fate(Some(0), Fate::Down)[0], "run /down");
    bed.end(OK);
    for at in 1..=max {
        bed.fate(Some(at), Fate::Down);
    }
    assert_eq!(bed.notifier.balance.len(), max, "the idle one has made room");
    let done = bed.fate(Some(max + 1), Fate::Down);
    assert_eq!(
        done[1],
        format!("lvs-fifo RS {} DOWN", address(max + 1)),
        "the FIFO hears of it all the same"
    );
    assert!(done[0].contains("10.0.32.1:80 DOWN\" is not run"), "and somebody is told: {done:?}");
    let mut problems = Vec::new();
    bed.notifier.problems(&mut problems);
    assert!(problems[0].contains("1 programs"), "{problems:?}");
    bed.end(OK);
    assert_eq!(bed.fate(Some(max + 1), Fate::Down).len(), 1, "once one is done there is room again");
    assert_eq!(bed.notifier.balance.len(), max);
}

#[test]
fn a_reload_tells_those_that_wait_to_the_new_programs_and_lets_others_end() {
    let mut bed = farm(2);
    for at in 0..2 {
        bed.fate(Some(at), Fate::Down);
        bed.fate(Some(at), Fate::Up);
    }
    let mut new = bed.config.clone();
    new.services[0].servers.truncate(1);
    new.services[0].servers[0].up = Some(command("/mended").into());
    let old = core::mem::replace(&mut bed.config, new.clone());
    assert_eq!(bed.reload(new.clone(), &[]), NOTHING);
    assert_eq!(bed.end(OK), ["run /mended"]);
    // As the balancer does, after the queues know of the new configuration.
    bed.config = old;
    assert_eq!(bed.fate(Some(1), Fate::Gone), ["lvs-fifo RS 10.0.0.1:80 DOWN"], "keepalived tells a removal");
    bed.config = new;
    assert_eq!(bed.end(OK), ["run /down"], "in place of the waiting one");
    bed.end(OK);
    bed.end(OK);
    assert_eq!(bed.notifier.balance.len(), 1, "reloads must not pile up queues");
}

#[test]
fn at_the_end_what_was_told_late_has_a_second() {
    let mut bed = farm(1);
    bed.shutdown();
    bed.fate(Some(0), Fate::Down);
    bed.fate(None, Fate::Down);
    assert!(!bed.notifier.is_idle(), "omega: what is lost is told");
    let (waited, done) = bed.wait();
    assert_eq!(waited, 1, "and no program holds up the leave");
    assert_eq!(done.iter().filter(|done| done.starts_with("kill")).count(), 2);
    assert!(bed.notifier.is_idle());
}
