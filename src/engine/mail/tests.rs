//! Order, pauses, limits and names of the mail queue.

use super::*;
use crate::model::{Family, Instance, Notify, SyncGroup, Vrid};

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
            Ok(ip) => Ok(vec![ip.parse().unwrap()]),
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

#[test]
fn the_server_s_name_is_looked_up_for_each_try_first_of_all_in_ipv4() {
    let mut bed = Bed::new();
    let server = MailServer::Name { host: "mail.example".to_owned(), port: 2525 };
    bed.mailer.reconfigure(Some(Mail { server, ..settings() }));
    bed.push(0, "a");
    let (v4, v6) =
        (NameId { number: NameId::MAIL, serial: 1 }, NameId { number: NameId::MAIL + 1, serial: 2 });
    assert_eq!(bed.act(|mailer, history, actions| mailer.tick(Instant::ZERO, history, actions)), {
        [Did::Ask(v4)]
    });
    assert_eq!(bed.mailer.name_spec(v4), Some(NameSpec { host: "mail.example", ipv6: false }));
    assert!(bed.mailer.is_busy(Instant::ZERO), "who ends waits for it");
    assert_eq!(bed.tick(1), [0; 0], "it is being looked up");
    assert_eq!(bed.resolved(1, v6, Ok("192.0.2.9")), [], "nobody asked that");
    assert_eq!(bed.resolved(1, v4, Err("no such host")), [Did::Ask(v6)]);
    assert_eq!(bed.mailer.name_spec(v6), Some(NameSpec { host: "mail.example", ipv6: true }));
    assert_eq!(bed.resolved(2, v6, Ok("2001:db8::25")), [Did::Send(1)]);
    assert_eq!(bed.mailer.address(), Some("[2001:db8::25]:2525".parse().unwrap()));
    bed.result(3, 1, Err("refused"));
    // Another lookup for another try.
    let id = |number, serial| NameId { number, serial };
    assert_eq!(bed.act(|mailer, history, actions| mailer.tick(Instant::from_secs(13), history, actions)), {
        [Did::Ask(id(NameId::MAIL, 3))]
    });
    bed.resolved(13, id(NameId::MAIL, 3), Err("no such host"));
    bed.resolved(13, id(NameId::MAIL + 1, 4), Err("no IPv6"));
    let status = bed.mailer.status().unwrap();
    assert_eq!((status.reason.as_str(), status.failed), ("mail.example: no such host", 2), "of IPv4");
    // An answer that never comes.
    bed.tick(100);
    bed.tick(159);
    assert_eq!(bed.mailer.status().unwrap().failed, 2);
    bed.tick(160);
    assert_eq!(bed.mailer.status().unwrap().reason, "no answer about the server's name");
}

trait Secs {
    fn secs_total(&self) -> i64;
}
impl Secs for Instant {
    fn secs_total(&self) -> i64 {
        self.total_millis() / 1000
    }
}
