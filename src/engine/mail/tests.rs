//! Order, pauses, limits and names of the mail queue.

use super::*;
use crate::engine::{Engine, Event};
use crate::model::{Config, Family, Instance, Notify, SyncGroup, Vrid};

fn settings() -> Mail {
    Mail {
        server: MailServer::Ip("127.0.0.1:25".parse().unwrap()),
        from: "a@b".into(),
        to: vec!["c@d".into()],
        timeout: Duration::from_secs(30),
        helo: None,
    }
}

#[derive(Debug, PartialEq)]
enum Did {
    Ask(NameId),
    Send(u32),
}

struct Bed {
    mailer: Mailer,
    history: History,
}

impl Bed {
    fn new() -> Self {
        Bed { mailer: Mailer::new(Some(settings())), history: History::new() }
    }

    fn push(&mut self, at: i64, subject: &str) {
        let at = Instant::from_secs(at);
        self.mailer.push(at, format_args!("{subject}"), format_args!("=> x <=\n\x1b\n"));
    }

    /// Letters sent by a tick.
    fn tick(&mut self, at: i64) -> Vec<u32> {
        let mut actions = Actions::new();
        self.mailer.tick(Instant::from_secs(at), &mut self.history, &mut actions);
        actions
            .iter()
            .filter_map(|a| if let Action::SendMail { id } = a { Some(*id) } else { None })
            .collect()
    }

    fn act(&mut self, act: impl FnOnce(&mut Mailer, &mut History, &mut Actions)) -> Vec<Did> {
        let mut actions = Actions::new();
        act(&mut self.mailer, &mut self.history, &mut actions);
        let did = actions.iter().filter_map(|action| match action {
            Action::Resolve(id) => Some(Did::Ask(*id)),
            Action::SendMail { id } => Some(Did::Send(*id)),
            _ => None,
        });
        did.collect()
    }

    fn resolved(&mut self, at: i64, id: NameId, result: Result<&str, &str>) -> Vec<Did> {
        let result = match result {
            Ok(list) => Ok(list.split(' ').map(|ip| ip.parse().unwrap()).collect()),
            Err(reason) => Err(cut(format_args!("{reason}"))),
        };
        let at = Instant::from_secs(at);
        self.act(|mailer, history, actions| mailer.handle_resolved(at, id, result, history, actions))
    }

    fn result(&mut self, at: i64, id: u32, result: Result<(), &str>) {
        let mut actions = Actions::new();
        let result = result.map_err(|reason| cut(format_args!("{reason}")));
        self.mailer.handle_result(Instant::from_secs(at), id, result, &mut self.history, &mut actions);
    }
}

#[test]
fn one_letter_at_a_time_in_order() {
    let mut bed = Bed::new();
    bed.push(0, "a");
    bed.push(0, "b");
    assert_eq!(bed.tick(0), [1]);
    assert_eq!(bed.tick(1), [0; 0], "the first is still under way");
    assert_eq!(bed.mailer.letter(1).unwrap().body, "=> x <=\n?\n", "lines stay, control characters go");
    bed.result(2, 1, Ok(()));
    assert_eq!(bed.tick(2), [2], "the next goes at once");
    bed.result(3, 2, Ok(()));
    assert_eq!(bed.mailer.next_deadline(), None, "an empty queue wakes nobody");
    assert_eq!(bed.mailer.status().unwrap().sent, 2);
}

#[test]
fn changes_of_instances_and_groups_are_told_in_keepalived_s_words_unless_not_wanted() {
    let (mut bed, name) = (Bed::new(), |text: &str| cut(format_args!("{text}")));
    let mut instance =
        Instance::new(name("VI_1"), cut(format_args!("eth0")), Vrid::new(1).unwrap(), Family::V4);
    let group = SyncGroup {
        name: name("VG_1"),
        members: vec![0],
        tracks: Vec::new(),
        member_weights: false,
        notify: Notify::default(),
    };
    let (active, backup) = (InstanceState::Active, InstanceState::Backup);
    let mut tell = |about: About<'_>, before, after| {
        bed.mailer.tell(Instant::ZERO, "gw-a", about, (before, after), "no advert for 3.6s");
        bed.mailer.queue.len()
    };
    assert_eq!(tell(About::Instance(&instance), InstanceState::Initialize, backup), 0, "no news");
    tell(About::Instance(&instance), backup, active);
    tell(About::Group(&group), active, InstanceState::Fault);
    instance.notify.mail = Some(false);
    assert_eq!(tell(About::Instance(&instance), active, backup), 2, "this one wants none");
    assert_eq!(bed.mailer.queue[0].subject, "[gw-a] VRRP Instance VI_1 - Entering MASTER state");
    assert_eq!(
        bed.mailer.queue[0].body, "=> VRRP Instance is now owning VRRP VIPs <=\n\nno advert for 3.6s\n",
        "filters look for keepalived's words (keepalived §2.6)"
    );
    assert_eq!(bed.mailer.queue[1].subject, "[gw-a] VRRP Group VG_1 - Entering FAULT state");
    assert!(bed.mailer.queue[1].body.starts_with("=> VRRP Group is no longer owning VRRP VIPs <="));
}

#[test]
fn a_dead_server_is_tried_with_growing_pauses_then_the_letter_is_given_up() {
    let mut bed = Bed::new();
    bed.push(0, "a");
    let mut at = 0;
    let mut gaps = Vec::new();
    for _ in 0..limits::MAIL_TRIES_MAX {
        assert_eq!(bed.tick(at), [1]);
        bed.result(at, 1, Err("connection refused"));
        if let Some(next) = bed.mailer.next_deadline() {
            gaps.push(next.secs_total() - at);
            assert_eq!(bed.tick(next.secs_total() - 1), [0; 0], "not before its time");
            at = next.secs_total();
        }
    }
    assert_eq!(gaps, [10, 30, 60, 120, 300, 600, 600], "the pauses");
    let status = bed.mailer.status().unwrap();
    assert_eq!((status.waiting, status.failed, status.lost), (0, 8, 1), "given up and counted");
    let mut snapshot = Snapshot::default();
    bed.mailer.fill(Instant::from_secs(at), &mut snapshot);
    assert!(snapshot.problems[0].contains("connection refused"), "a dead mail server is a problem shown");
    bed.push(at, "b");
    assert_eq!(bed.tick(at), [2]);
    bed.result(at, 2, Ok(()));
    let mut snapshot = Snapshot::default();
    bed.mailer.fill(Instant::from_secs(at), &mut snapshot);
    assert!(snapshot.problems.is_empty(), "a problem that is over goes away");
}

#[test]
fn a_full_queue_pushes_out_the_oldest_that_is_not_under_way() {
    let mut bed = Bed::new();
    bed.push(0, "a");
    assert_eq!(bed.tick(0), [1]);
    for _ in 0..limits::MAILS_MAX + 4 {
        bed.push(1, "x");
    }
    let status = bed.mailer.status().unwrap();
    assert_eq!((status.waiting, status.lost), (limits::MAILS_MAX as u32, 5), "limited and counted");
    assert!(bed.mailer.letter(1).is_some(), "the loop still asks for the letter under way");
    bed.result(2, 1, Ok(()));
    assert_eq!(bed.tick(2), [7], "2 to 6 were pushed out");
}

#[test]
fn stale_results_change_nothing_and_a_lost_result_is_a_failure() {
    let mut bed = Bed::new();
    bed.push(0, "a");
    bed.result(0, 1, Ok(()));
    assert_eq!(bed.mailer.status().unwrap().sent, 0, "nothing was under way");
    assert_eq!(bed.tick(0), [1]);
    bed.result(1, 99, Ok(()));
    assert_eq!(bed.mailer.status().unwrap().waiting, 1, "another letter's result");
    assert_eq!(bed.tick(60), [0; 0], "30 s + 30 s: given back to the queue");
    assert_eq!(bed.mailer.status().unwrap().failed, 1, "a worker that says nothing must not stop the queue");
    assert_eq!(bed.tick(70), [1]);
}

#[test]
fn without_settings_nothing_is_kept_and_new_settings_are_tried_at_once() {
    let mut bed = Bed::new();
    bed.push(0, "a");
    assert_eq!(bed.tick(0), [1]);
    bed.result(0, 1, Err("no route"));
    let mut other = settings();
    other.server = MailServer::Ip("127.0.0.2:25".parse().unwrap());
    bed.mailer.reconfigure(Some(other));
    assert_eq!(bed.tick(1), [1], "the user has mended it: do not make him wait");
    bed.mailer.reconfigure(None);
    assert!(bed.mailer.letter(1).is_none() && bed.mailer.status().is_none());
    bed.push(3, "b");
    assert_eq!(bed.tick(3), [0; 0], "no mail without [mail]");
    bed.result(4, 1, Ok(()));
}

fn named(host: &str) -> Option<Mail> {
    Some(Mail { server: MailServer::Name { host: host.to_owned(), port: 2525 }, ..settings() })
}

fn question(serial: u32) -> NameId {
    NameId { number: NameId::MAIL, serial }
}

impl Bed {
    /// A letter that waits for a server of this name, which is being looked up since 0 s.
    fn looking_up(host: &str) -> Self {
        let mut bed = Bed::new();
        bed.mailer.reconfigure(named(host));
        bed.push(0, "a");
        assert_eq!(bed.ticks(0), [Did::Ask(question(1))]);
        bed
    }

    fn ticks(&mut self, at: i64) -> Vec<Did> {
        self.act(|mailer, history, actions| mailer.tick(Instant::from_secs(at), history, actions))
    }

    fn goes_to(&self) -> Option<String> {
        self.mailer.address().map(|address| address.to_string())
    }
}

#[test]
fn the_server_s_name_is_looked_up_for_each_try_in_either_family() {
    let mut bed = Bed::looking_up("mail.example");
    let spec = NameSpec { host: "mail.example", ipv6: None };
    assert_eq!(bed.mailer.name_spec(question(1)), Some(spec));
    assert!(bed.mailer.is_busy(Instant::ZERO), "who ends waits for it");
    assert_eq!(bed.ticks(1), [], "it is being looked up");
    assert_eq!(bed.resolved(1, question(2), Ok("192.0.2.9")), [], "nobody asked that");
    assert_eq!(bed.resolved(1, question(1), Err("no such host")), []);
    assert_eq!(bed.mailer.status().unwrap().reason, "mail.example: no such host");
    assert_eq!(bed.ticks(11), [Did::Ask(question(2))]);
    assert_eq!(bed.resolved(12, question(2), Ok("2001:db8::25")), [Did::Send(1)]);
    assert_eq!(bed.goes_to().unwrap(), "[2001:db8::25]:2525");
    bed.result(13, 1, Err("refused"));
    assert_eq!(bed.ticks(43), [Did::Ask(question(3))], "another lookup for another try");
    bed.resolved(43, question(3), Ok("192.0.2.9"));
    assert_eq!(bed.goes_to().unwrap(), "192.0.2.9:2525");
}

#[test]
fn a_server_that_listens_on_one_family_alone_is_found() {
    let mut bed = Bed::looking_up("localhost");
    bed.resolved(0, question(1), Ok("::1 127.0.0.1"));
    assert_eq!(bed.goes_to().unwrap(), "[::1]:2525");
    bed.result(0, 1, Err("refused"));
    assert_eq!(bed.ticks(10), [Did::Ask(question(2))]);
    bed.resolved(10, question(2), Ok("::1 127.0.0.1"));
    assert_eq!(bed.goes_to().unwrap(), "127.0.0.1:2525", "the next one");
    bed.result(10, 1, Ok(()));
    bed.push(11, "b");
    bed.ticks(11);
    bed.resolved(11, question(3), Ok("::1 127.0.0.1"));
    assert_eq!(bed.goes_to().unwrap(), "127.0.0.1:2525", "what took the last one takes this one at once");
    bed.result(11, 2, Err("refused"));
    bed.ticks(41);
    bed.resolved(41, question(4), Ok("::1 127.0.0.1"));
    assert_eq!(bed.goes_to().unwrap(), "[::1]:2525", "and round again");
}

#[test]
fn a_name_that_was_found_before_outlives_its_name_server() {
    let mut bed = Bed::looking_up("mail.example");
    bed.resolved(0, question(1), Ok("192.0.2.9"));
    bed.result(0, 1, Ok(()));
    bed.push(1, "b");
    assert_eq!(bed.ticks(1), [Did::Ask(question(2))]);
    assert_eq!(bed.resolved(2, question(2), Err("try again")), [Did::Send(2)]);
    bed.result(2, 2, Ok(()));
    bed.push(3, "c");
    assert_eq!(bed.ticks(3), [Did::Ask(question(3))]);
    assert_eq!(bed.ticks(63), [Did::Send(3)], "no answer at all");
    assert_eq!(bed.resolved(64, question(3), Ok("192.0.2.10")), [], "late: this letter is under way");
    assert_eq!(bed.goes_to().unwrap(), "192.0.2.9:2525");
}

#[test]
fn an_answer_that_comes_in_the_pause_is_kept_for_the_next_try() {
    let mut bed = Bed::looking_up("mail.example");
    assert_eq!(bed.ticks(60), []);
    assert_eq!(bed.mailer.status().unwrap().reason, "no answer about the server's name");
    assert_eq!(bed.resolved(65, question(1), Ok("192.0.2.9")), [], "it is not time yet");
    assert_eq!(bed.ticks(70), [Did::Ask(question(2))]);
    assert_eq!(bed.resolved(75, question(2), Err("try again")), [Did::Send(1)]);
    assert_eq!(bed.goes_to().unwrap(), "192.0.2.9:2525");
}

#[test]
fn a_reload_while_the_name_is_looked_up_forgets_the_question() {
    let mut bed = Bed::looking_up("mail.example");
    bed.mailer.reconfigure(Some(settings()));
    assert_eq!(bed.mailer.name_spec(question(1)), None);
    assert_eq!(bed.ticks(1), [Did::Send(1)]);
    assert_eq!(bed.resolved(2, question(1), Ok("192.0.2.9")), [], "late");
    assert_eq!(bed.goes_to().unwrap(), "127.0.0.1:25");
    let mut bed = Bed::looking_up("mail.example");
    bed.mailer.reconfigure(named("other.example"));
    assert_eq!(bed.resolved(1, question(1), Ok("192.0.2.9")), [], "of the name before");
    assert_eq!(bed.ticks(1), [Did::Ask(question(2))]);
    assert_eq!(bed.resolved(2, question(2), Err("no such host")), [], "the other name was never found");
    assert_eq!(bed.mailer.status().unwrap().reason, "other.example: no such host");
}

#[test]
fn a_full_queue_keeps_the_letter_whose_server_is_looked_up() {
    let mut bed = Bed::looking_up("mail.example");
    for _ in 0..limits::MAILS_MAX {
        bed.push(1, "x");
    }
    assert_eq!(bed.mailer.status().unwrap().lost, 1);
    assert!(bed.mailer.letter(1).is_some() && bed.mailer.letter(2).is_none());
    assert_eq!(bed.resolved(2, question(1), Ok("192.0.2.9")), [Did::Send(1)]);
}

#[test]
fn the_engine_passes_questions_and_answers_on() {
    let config = Config { mail: named("mail.example"), ..Config::default() };
    let mut engine = Engine::new(&config, "gw-a", 1, Instant::ZERO);
    engine.desk.mailer.push(Instant::ZERO, format_args!("a"), format_args!("b\n"));
    let mut handle = |event: Event<'_>| {
        let mut actions = Actions::new();
        engine.handle(Instant::ZERO, event, &mut actions);
        let sends = actions.iter().any(|action| matches!(action, Action::SendMail { id: 1 }));
        let host = engine.name_spec(question(1)).map(|spec| spec.host.to_owned());
        (sends, host, engine.letter(1).map(|(_, _, to)| to.to_string()))
    };
    handle(Event::DumpEnd);
    let host = Some("mail.example".to_owned());
    assert_eq!(handle(Event::Tick), (false, host, None), "it is asked for");
    let result = Ok(vec!["2001:db8::25".parse().unwrap()]);
    let answer = handle(Event::Resolved { id: question(1), result });
    assert_eq!(answer, (true, None, Some("[2001:db8::25]:2525".to_owned())));
}

trait Secs {
    fn secs_total(&self) -> i64;
}
impl Secs for Instant {
    fn secs_total(&self) -> i64 {
        self.total_millis() / 1000
    }
}
