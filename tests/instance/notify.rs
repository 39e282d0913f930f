//! Who is told of what an instance does, through the whole engine (keepalived §2.6).

use crate::router::{Router, advert_of, config, instance};
use crate::{LAN, OTHER, SECOND, ms};
use vipd::engine::{RunOutcome, RunOwner};
use vipd::model::status::InstanceState::{Active, Backup, Fault};
use vipd::model::{Command, Config, Fifo, Instance, Notify, Supervised};

fn command(path: &str) -> Command {
    Command { argv: vec![path.to_owned()], user: None, group: None, timeout: SECOND * 30 }
}

fn told() -> (Instance, Config) {
    let notify = Notify {
        stop: Some(command("/stopped")),
        any: Some(command("/any")),
        priority_changes: true,
        ..Notify::default()
    };
    let dhcp = Supervised {
        name: "dnsmasq".try_into().unwrap(),
        start: command("/etc/init.d/dnsmasq-start"),
        stop: command("/etc/init.d/dnsmasq-stop"),
    };
    let wanted = Instance { notify, run_while_active: vec![dhcp], ..instance("eth0", 1) };
    let mut all = config(std::slice::from_ref(&wanted));
    let fifo = Fifo { path: "/run/fifo".into(), user: None, group: None, script: None };
    all.fifos.all = Some(fifo);
    (wanted, all)
}

/// All that run end well; what they were, in order.
fn let_run(r: &mut Router) -> Vec<String> {
    let mut ran = Vec::new();
    while let Some(id) = r.runs.first().copied() {
        let spec = r.engine.run_spec(id).unwrap();
        let words: Vec<&str> = spec.arguments.iter().map(|a| a.as_str()).collect();
        ran.push(format!("{} {}", spec.command.argv[0], words.join(" ")).trim().to_owned());
        r.end_run(id, RunOutcome::Exited(0));
    }
    ran
}

#[test]
fn start_takeover_fault_and_leave_are_told_in_order() {
    let (wanted, all) = told();
    let name = wanted.name.as_str();
    let mut r = Router::new(&all);
    let line = |state: &str| format!("INSTANCE \"{name}\" {state} 100");
    let any = |state: &str| format!("/any INSTANCE {name} {state} 100");
    assert_eq!(r.fifo, [line("BACKUP")], "keepalived tells the first Backup, too");
    assert_eq!(let_run(&mut r), [any("BACKUP"), "/etc/init.d/dnsmasq-stop".into()]);
    r.pass(SECOND * 5);
    assert_eq!(r.state(0), Active);
    assert_eq!(let_run(&mut r), [any("MASTER"), "/etc/init.d/dnsmasq-start".into()]);
    r.hear(LAN, &advert_of(&wanted, OTHER, 50));
    assert_eq!(let_run(&mut r), [any("MASTER_RX_LOWER_PRI")], "split brain");
    r.set_running(LAN, false);
    assert_eq!(r.state(0), Fault);
    assert_eq!(let_run(&mut r), [any("FAULT"), "/etc/init.d/dnsmasq-stop".into()]);
    r.fifo.clear();
    r.feed(vipd::engine::Event::Shutdown);
    assert_eq!(r.fifo, [line("STOP")], "also from Fault");
    r.settle();
    assert!(!r.is_finished, "the daemon waits for what it has started");
    assert_eq!(let_run(&mut r), ["/stopped".to_owned(), any("STOP")]);
    r.settle();
    assert!(r.is_finished);
}

#[test]
fn a_leave_is_not_held_up_by_a_program_that_hangs() {
    let (_, all) = told();
    let mut r = Router::new(&all);
    r.pass(SECOND * 5);
    assert_eq!(r.state(0), Active);
    r.feed(vipd::engine::Event::Shutdown);
    r.pass(ms(5100));
    assert!(r.is_finished, "5 s, whatever hangs");
}

#[test]
fn a_flood_of_lower_priorities_and_the_steady_state_run_nothing() {
    let (wanted, all) = told();
    let mut r = Router::new(&all);
    r.pass(SECOND * 5);
    let_run(&mut r);
    r.fifo.clear();
    let lower = advert_of(&wanted, OTHER, 50);
    let mut ran = 0;
    for _ in 0..10_000 {
        r.hear(LAN, &lower);
        r.pass(ms(1));
        ran += let_run(&mut r).len();
    }
    assert!(ran <= 5 && r.fifo.len() <= 5, "10 s of them: {ran} programs, {} lines", r.fifo.len());
    r.fifo.clear();
    r.pass(SECOND * 600);
    assert!(r.runs.is_empty() && r.fifo.is_empty(), "nothing happens, nobody is told");
}

#[test]
fn a_deleted_instance_is_told_so_and_its_service_is_stopped() {
    let (wanted, all) = told();
    let mut r = Router::new(&all);
    r.pass(SECOND * 5);
    let_run(&mut r);
    r.fifo.clear();
    r.reload(&Config { instances: vec![instance("eth1", 7)], ..all.clone() });
    let name = wanted.name.as_str();
    assert_eq!(r.fifo[0], format!("INSTANCE \"{name}\" DELETED 100"), "not STOP: the daemon goes on");
    let ran = let_run(&mut r);
    assert!(ran.contains(&format!("/any INSTANCE {name} DELETED 100")), "{ran:?}");
    assert!(ran.contains(&"/etc/init.d/dnsmasq-stop".to_owned()), "{ran:?}");
    assert!(r.engine.snapshot(r.now).runs.is_empty(), "and forgotten");
}

#[test]
fn the_old_backup_program_still_runs_while_active_is_told() {
    let (_, all) = told();
    let mut r = Router::new(&all);
    assert_eq!(r.state(0), Backup);
    r.pass(SECOND * 5);
    let queues = r.runs.iter().filter(|id| matches!(id.owner, RunOwner::Notify(_))).count();
    assert_eq!((r.state(0), queues), (Active, 1), "one at a time, and the takeover waits for none");
    let ran = let_run(&mut r);
    assert!(ran.iter().any(|line| line.contains(" MASTER ")), "the last state is told in the end: {ran:?}");
}
