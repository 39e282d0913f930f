//! Order, collapse, limits, reload and leave of notifications; any course of events.

mod balance;
mod services;

use super::*;
use crate::model::{Command, Family, Fifo, Supervised, Vrid};

fn name<const N: usize>(text: &str) -> heapless::String<N> {
    cut(format_args!("{text}"))
}

fn command(path: &str) -> Command {
    Command {
        argv: vec![path.into(), "-x".into()],
        user: None,
        group: None,
        timeout: Duration::from_secs(30),
    }
}

fn instance(called: &str, vrid: u8) -> Instance {
    Instance::new(name(called), name("eth0"), Vrid::new(vrid).unwrap(), Family::V4)
}

fn group(called: &str) -> SyncGroup {
    let notify = Notify { any: Some(command("/any")), ..Notify::default() };
    SyncGroup { name: name(called), members: vec![0], tracks: Vec::new(), member_weights: false, notify }
}

/// Every command, each under its own name.
fn notify() -> Notify {
    let c = |path| Some(command(path));
    Notify {
        active: c("/active"),
        backup: c("/backup"),
        fault: c("/fault"),
        stop: c("/stop"),
        deleted: c("/deleted"),
        lower_priority: c("/lower"),
        any: c("/any"),
        priority_changes: true,
        mail: None,
    }
}

fn service(called: &str) -> Supervised {
    Supervised { name: name(called), start: command("/start"), stop: command("/stop") }
}

fn config(instances: Vec<Instance>) -> Config {
    let fifo = Fifo { path: "/run/fifo".into(), user: None, group: None, script: None };
    let fifos = crate::model::Fifos { vrrp: Some(fifo), ..Default::default() };
    Config { instances, fifos, ..Config::default() }
}

const ACTIVE: Change = state(InstanceState::Active);
const BACKUP: Change = state(InstanceState::Backup);
const FAULT: Change = state(InstanceState::Fault);
const STOP: Change = state(InstanceState::Initialize);

const fn state(state: InstanceState) -> Change {
    Change::State { state, quietly: false }
}

/// A notifier whose programs run until the test ends them; no owner may have two.
struct Bed {
    notifier: Notifier,
    history: History,
    config: Config,
    now: Instant,
    running: Vec<(RunId, String)>,
}

impl Bed {
    fn new(config: Config) -> Self {
        let notifier = Notifier::new(&config);
        Bed { notifier, history: History::new(), config, now: Instant::from_secs(1000), running: Vec::new() }
    }

    /// What is done, as text: `run PATH ARGUMENTS`, `fifo LINE`, `kill PATH`, `note TEXT`.
    fn drain(&mut self, mut actions: Actions) -> Vec<String> {
        let mut done = Vec::new();
        while let Some(action) = actions.take() {
            done.push(match action {
                Action::Run(id) => {
                    let spec = self.notifier.run_spec(id).expect("what is to be run is known");
                    let mut text = spec.command.argv[0].clone();
                    spec.arguments.iter().for_each(|a| text.push_str(&format!(" {a}")));
                    assert!(self.running.iter().all(|(r, _)| r.owner != id.owner), "two at once: {text}");
                    self.running.push((id, text.clone()));
                    format!("run {text}")
                }
                Action::StopRun(id) => {
                    let at = self.running.iter().position(|(r, _)| *r == id).expect("it runs");
                    format!("kill {}", self.running.remove(at).1)
                }
                Action::Fifo { kind: FifoKind::Vrrp, line } => format!("fifo {line}"),
                Action::Fifo { kind: FifoKind::Balance, line } => format!("lvs-fifo {line}"),
                Action::Note { number } => format!("note {}", self.history.get(number).unwrap().text),
                other => panic!("not a notifier's action: {other:?}"),
            });
        }
        done
    }

    fn tell(&mut self, at: usize, change: Change) -> Vec<String> {
        let mut actions = Actions::new();
        let about = About::Instance(&self.config.instances[at]);
        self.notifier.tell(self.now, about, change, 100, &mut actions);
        self.drain(actions)
    }

    /// The first program that runs ends.
    fn end(&mut self, outcome: RunOutcome) -> Vec<String> {
        let (id, _) = self.running.remove(0);
        self.ran(id, outcome)
    }

    fn ran(&mut self, id: RunId, outcome: RunOutcome) -> Vec<String> {
        let mut actions = Actions::new();
        let took = Duration::from_millis(20);
        self.notifier.handle_ran(self.now, id, outcome, took, &mut self.history, &mut actions);
        self.drain(actions)
    }

    fn tick(&mut self) -> Vec<String> {
        let mut actions = Actions::new();
        self.notifier.tick(self.now, &mut self.history, &mut actions);
        self.drain(actions)
    }

    /// Jumps to the next deadline: (seconds until then, what is done).
    fn wait(&mut self) -> (u64, Vec<String>) {
        let at = self.notifier.next_deadline().expect("something is to come");
        let waited = (at - self.now).secs();
        self.now = at;
        (waited, self.tick())
    }

    fn reload(&mut self, config: Config, active: &[usize]) -> Vec<String> {
        let mut actions = Actions::new();
        self.notifier.reconfigure(self.now, &config, |at| active.contains(&at), &mut actions);
        self.config = config;
        self.drain(actions)
    }

    fn shutdown(&mut self) -> Vec<String> {
        let mut actions = Actions::new();
        self.notifier.shutdown(self.now, &mut actions);
        self.drain(actions)
    }

    fn status(&self) -> RunStatus {
        self.notifier.status(self.now).remove(0)
    }
}

const OK: RunOutcome = RunOutcome::Exited(0);
const NOTHING: [&str; 0] = [];

fn noisy() -> Bed {
    let mut one = instance("VI_1", 1);
    one.notify = notify();
    Bed::new(config(vec![one]))
}

#[test]
fn specific_then_generic_and_the_fifo_at_once() {
    let mut bed = noisy();
    let first = bed.tell(0, BACKUP);
    assert_eq!(first, ["run /backup", "fifo INSTANCE \"VI_1\" BACKUP 100"], "keepalived §2.6: its order");
    assert_eq!(bed.end(OK), ["run /any INSTANCE VI_1 BACKUP 100"], "the generic one after the specific one");
    assert_eq!(
        bed.tell(0, ACTIVE),
        ["fifo INSTANCE \"VI_1\" MASTER 100"],
        "a line never waits for a program"
    );
    assert_eq!(bed.end(OK), ["run /active"]);
    assert_eq!(bed.end(OK), ["run /any INSTANCE VI_1 MASTER 100"]);
    assert_eq!(bed.end(OK), NOTHING);
    assert!(bed.notifier.is_idle() && bed.notifier.next_deadline().is_none(), "nobody is woken for nothing");
}

#[test]
fn every_word_is_keepalived_s() {
    let words = [
        (ACTIVE, "/active", "MASTER"),
        (BACKUP, "/backup", "BACKUP"),
        (FAULT, "/fault", "FAULT"),
        (STOP, "/stop", "STOP"),
        (Change::Deleted, "/deleted", "DELETED"),
        (Change::LowerPriority, "/lower", "MASTER_RX_LOWER_PRI"),
        (Change::Priority(InstanceState::Active), "", "MASTER_PRIORITY"),
        (Change::Priority(InstanceState::Backup), "", "BACKUP_PRIORITY"),
    ];
    for (change, specific, word) in words {
        let mut bed = noisy();
        let fifo = format!("fifo INSTANCE \"VI_1\" {word} 100");
        let generic = format!("run /any INSTANCE VI_1 {word} 100");
        match specific {
            "" => assert_eq!(bed.tell(0, change), [generic, fifo], "users' scripts compare {word}"),
            specific => {
                assert_eq!(bed.tell(0, change), [format!("run {specific}"), fifo]);
                assert_eq!(bed.end(OK), [generic], "users' scripts compare {word}");
            }
        }
    }
    let mut bed = noisy();
    assert_eq!(bed.tell(0, Change::Priority(InstanceState::Fault)), NOTHING, "keepalived has no such word");
    bed.config.instances[0].notify.priority_changes = false;
    assert_eq!(bed.tell(0, Change::Priority(InstanceState::Active)), NOTHING, "only where it is asked for");
}

#[test]
fn a_group_has_priority_0_and_a_queue_of_its_own() {
    let mut bed = noisy();
    bed.tell(0, BACKUP);
    let mut actions = Actions::new();
    bed.notifier.tell(bed.now, About::Group(&group("VI_1")), BACKUP, 0, &mut actions);
    let want = ["run /any GROUP VI_1 BACKUP 0", "fifo GROUP \"VI_1\" BACKUP 0"];
    assert_eq!(bed.drain(actions), want, "a group of the same name does not wait for the instance");
}

#[test]
fn deleted_is_told_to_the_fault_command_where_it_has_none() {
    let mut bed = noisy();
    bed.config.instances[0].notify.deleted = None;
    assert_eq!(bed.tell(0, Change::Deleted)[0], "run /fault", "keepalived: notify deleted = fault");
}

#[test]
fn newer_states_take_the_place_of_waiting_ones_and_of_nothing_else() {
    let mut bed = noisy();
    bed.tell(0, BACKUP);
    for change in [ACTIVE, Change::LowerPriority, Change::Priority(InstanceState::Active), FAULT] {
        bed.tell(0, change);
    }
    assert_eq!(bed.status().waiting, 5, "one specific and one generic of each sort");
    bed.tell(0, ACTIVE);
    bed.tell(0, Change::Priority(InstanceState::Active));
    let mut order = Vec::new();
    while !bed.running.is_empty() {
        order.push(bed.running[0].1.clone());
        bed.end(OK);
    }
    let want = [
        "/backup",
        "/lower",
        "/any INSTANCE VI_1 MASTER_RX_LOWER_PRI 100",
        "/active",
        "/any INSTANCE VI_1 MASTER 100",
        "/any INSTANCE VI_1 MASTER_PRIORITY 100",
    ];
    assert_eq!(order, want, "the last state is told in the end; an older one that waited is not");
    // The generic one of Backup, then two of Active, two of Fault, one of the priority.
    assert_eq!(bed.status().collapsed, 6, "what was passed over is counted");
}

#[test]
fn a_storm_of_lower_priorities_is_told_once_a_second() {
    for notify in [notify(), Notify::default()] {
        let mut bed = noisy();
        bed.config.instances[0].notify = notify;
        let mut lines = 0;
        for _ in 0..10_000 {
            bed.now += Duration::from_micros(300);
            lines +=
                bed.tell(0, Change::LowerPriority).iter().filter(|done| done.starts_with("fifo")).count();
        }
        assert_eq!(lines, 3, "3 s of 3,333 adverts a second must not flood the FIFO");
    }
}

#[test]
fn who_is_deleted_is_quiet_but_its_services_follow() {
    let mut bed = noisy();
    bed.config.instances[0].run_while_active = vec![service("dnsmasq")];
    bed.reload(bed.config.clone(), &[]);
    bed.end(OK);
    let quietly = Change::State { state: InstanceState::Active, quietly: true };
    assert_eq!(bed.tell(0, quietly), ["run /start"], "no notify, no FIFO: it is not the daemon that stops");
}

#[test]
fn a_failure_is_noted_but_not_each_of_many() {
    let mut bed = noisy();
    bed.tell(0, BACKUP);
    let done = bed.end(RunOutcome::Exited(3));
    assert_eq!(done[0], "note /backup for BACKUP: exited with 3");
    assert_eq!(done[1], "run /any INSTANCE VI_1 BACKUP 100", "the queue goes on");
    let status = bed.status();
    assert_eq!((status.outcome.as_str(), status.failed), ("BACKUP: exited with 3", true));
    assert_eq!(status.last, Some((Duration::ZERO, Duration::from_millis(20))));
    let mut notes = 0;
    for _ in 0..50 {
        let outcome = RunOutcome::NotStarted(2);
        notes += bed.end(outcome).iter().filter(|done| done.starts_with("note")).count();
        bed.tell(0, BACKUP);
    }
    assert!(notes < 6, "{notes} notes in one second would push all else out of the history");
}

#[test]
fn a_result_that_never_comes_does_not_stop_the_queue() {
    let mut bed = noisy();
    bed.tell(0, BACKUP);
    let stale = RunId { serial: bed.running[0].0.serial + 7, ..bed.running[0].0 };
    assert_eq!(bed.ran(stale, OK), NOTHING, "another run's result");
    assert_eq!(bed.status().running, Some(Duration::ZERO));
    let (waited, done) = bed.wait();
    assert_eq!(waited, 40, "its own 30 s and 10 s more");
    assert_eq!(done[0], "kill /backup");
    assert_eq!(done.last().unwrap(), "run /any INSTANCE VI_1 BACKUP 100");
}

#[test]
fn a_reload_keeps_what_runs_and_tells_what_waits_to_the_new_commands() {
    let mut bed = noisy();
    bed.tell(0, BACKUP);
    let mut new = bed.config.clone();
    new.instances[0].notify.any = Some(command("/other"));
    new.instances[0].notify.backup = None;
    assert_eq!(bed.reload(new, &[]), NOTHING);
    let (id, _) = bed.running[0];
    assert_eq!(bed.notifier.run_spec(id).unwrap().command.argv[0], "/backup", "it runs: its parameters stay");
    assert_eq!(bed.end(OK), ["run /other INSTANCE VI_1 BACKUP 100"], "the user has mended it");
    bed.tell(0, ACTIVE);
    let mut quiet = bed.config.clone();
    quiet.instances[0].notify = Notify::default();
    bed.reload(quiet, &[]);
    assert_eq!(bed.end(OK), NOTHING, "nobody wants to know any more");
    assert!(bed.notifier.is_idle());
}

#[test]
fn what_is_deleted_is_told_so_and_forgotten() {
    let mut bed = noisy();
    bed.tell(0, ACTIVE);
    bed.tell(0, Change::Deleted);
    assert_eq!(bed.reload(config(Vec::new()), &[]), NOTHING);
    assert_eq!(bed.end(OK), ["run /deleted"], "also where the reload came first");
    assert_eq!(bed.end(OK), ["run /any INSTANCE VI_1 DELETED 100"]);
    assert_eq!(bed.end(OK), NOTHING);
    assert!(bed.notifier.vrrp.len() == 0, "reloads must not pile up queues");
}

#[test]
fn many_at_once_take_their_turns() {
    let count = 2 * limits::PROGRAMS_MAX + 5;
    let instances = (1..=count).map(|n| instance(&format!("VI_{n}"), n as u8)).map(|mut i| {
        i.notify = notify();
        i
    });
    let mut bed = Bed::new(config(instances.collect()));
    for at in 0..count {
        bed.tell(at, BACKUP);
    }
    assert_eq!(bed.running.len(), limits::PROGRAMS_MAX, "a small box cannot fork hundreds at once (law 8)");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..count + limits::PROGRAMS_MAX {
        seen.insert(bed.running[0].0.owner);
        bed.end(OK);
    }
    assert_eq!(seen.len(), count, "one round, and each has had a turn");
    while !bed.running.is_empty() {
        assert!(bed.running.len() <= limits::PROGRAMS_MAX);
        bed.end(OK);
    }
    assert!(bed.notifier.is_idle(), "and all have been told");
}

#[test]
fn the_leave_waits_a_second_for_each_and_no_longer() {
    let mut bed = noisy();
    bed.tell(0, ACTIVE);
    bed.end(OK);
    assert_eq!(bed.tell(0, STOP), ["fifo INSTANCE \"VI_1\" STOP 100"]);
    bed.shutdown();
    assert!(!bed.notifier.is_idle(), "the stop command must not be lost");
    let (waited, done) = bed.wait();
    assert_eq!((waited, done[0].as_str()), (1, "kill /any INSTANCE VI_1 MASTER 100"), "it hung");
    assert_eq!(done.last().unwrap(), "run /stop");
    assert_eq!(bed.end(OK), ["run /any INSTANCE VI_1 STOP 100"]);
    let (waited, _) = bed.wait();
    assert_eq!(waited, 1);
    assert!(bed.notifier.is_idle(), "and then it is over");
}

/// Whatever comes in whatever order: never two of one owner at once (the bed asserts it), the last state is
/// told last, and the service ends as the instance does.
#[test]
fn any_course_of_events_converges() {
    for seed in 0..300u64 {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |n: u64| {
            z ^= z << 13;
            z ^= z >> 7;
            z ^= z << 17;
            z % n
        };
        let mut one = instance("VI_1", 1);
        one.notify = notify();
        one.run_while_active = vec![service("dnsmasq")];
        let mut two = one.clone();
        two.name = name("VI_2");
        let mut bed = Bed::new(config(vec![one, two]));
        let mut last = [BACKUP, BACKUP];
        bed.tell(0, BACKUP);
        bed.tell(1, BACKUP);
        let (mut told, mut service_runs) = ([String::new(), String::new()], None);
        for step in 0..200 {
            let done = match random(9) {
                0..=2 => {
                    let (at, change) = (random(2) as usize, [ACTIVE, BACKUP, FAULT][random(3) as usize]);
                    last[at] = change;
                    bed.tell(at, change)
                }
                3 => bed.tell(random(2) as usize, Change::LowerPriority),
                4 => bed.tell(random(2) as usize, Change::Priority(InstanceState::Active)),
                5 if step % 7 == 0 => {
                    let active: Vec<usize> = (0..2).filter(|at| last[*at] == ACTIVE).collect();
                    bed.reload(bed.config.clone(), &active)
                }
                6 if bed.notifier.next_deadline().is_some() => bed.wait().1,
                _ if !bed.running.is_empty() => {
                    let at = random(bed.running.len() as u64) as usize;
                    let (id, text) = bed.running.remove(at);
                    let outcome = [OK, OK, RunOutcome::Exited(1), RunOutcome::TimedOut][random(4) as usize];
                    service_runs = runs_now(service_runs, &text, outcome);
                    bed.ran(id, outcome)
                }
                _ => Vec::new(),
            };
            keep_told(&mut told, &done);
        }
        // Everything that waits is let through.
        for _ in 0..200 {
            let done = match bed.running.is_empty() {
                false => {
                    let (id, text) = bed.running.remove(0);
                    service_runs = runs_now(service_runs, &text, OK);
                    bed.ran(id, OK)
                }
                true if bed.notifier.next_deadline().is_some() => bed.wait().1,
                true => break,
            };
            keep_told(&mut told, &done);
        }
        assert!(bed.notifier.is_idle(), "seed {seed}: something hangs");
        for (at, change) in last.iter().enumerate() {
            let word = change.told().unwrap().word();
            assert_eq!(told[at], word, "seed {seed}: the last state of VI_{} was not told last", at + 1);
        }
        let wanted = last.contains(&ACTIVE);
        assert_eq!(service_runs, Some(wanted), "seed {seed}: the service is not as the instances are");
    }
}

/// Does the service run, now that this program has ended so?
fn runs_now(before: Option<bool>, text: &str, outcome: RunOutcome) -> Option<bool> {
    match (text, outcome) {
        ("/start", RunOutcome::Exited(0)) => Some(true),
        ("/start", _) => None,
        ("/stop", RunOutcome::Exited(_)) => Some(false),
        _ => before,
    }
}

/// The states that the generic command was told last.
fn keep_told(told: &mut [String; 2], done: &[String]) {
    for line in done {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["run", "/any", "INSTANCE", name, word @ ("MASTER" | "BACKUP" | "FAULT"), _] = words[..] {
            told[usize::from(name == "VI_2")] = word.to_owned();
        }
    }
}
