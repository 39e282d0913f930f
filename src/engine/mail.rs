//! The mail queue: one letter under way at a time, tried again with growing pauses, dropped at a limit.

use super::history::{History, age};
use super::notify::About;
use super::{Action, Actions, Letter};
use crate::limits;
use crate::model::status::{InstanceState, MailStatus, Snapshot};
use crate::model::{Level, Mail, Reason, cut};
use crate::time::{Duration, Instant};
use core::fmt;
use std::collections::VecDeque;

/// Pauses after the first failure of a letter, the second, ...; the last one is used for all that follow.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(600),
];
/// Added to the conversation's own deadline; after it a result that never came counts as a failure.
const RESULT_MARGIN: Duration = Duration::from_secs(30);

/// What the first letter of the queue is doing.
#[derive(Debug, Clone, Copy)]
enum State {
    /// It waits, and may go when?
    Waiting { try_at: Instant },
    /// It is being handed over; until when is a result awaited?
    UnderWay { result_by: Instant },
}

/// The queue. Without settings it takes nothing and does nothing.
#[derive(Debug)]
pub(super) struct Mailer {
    settings: Option<Mail>,
    /// At most [`limits::MAILS_MAX`].
    queue: VecDeque<Letter>,
    state: State,
    /// Tries of the first letter that failed.
    tries: u8,
    next_id: u32,
    sent: u32,
    failed: u32,
    lost: u32,
    /// Why the last try failed; empty after a success.
    reason: Reason,
    /// Since when have all tries failed?
    failing_since: Option<Instant>,
}

impl Mailer {
    /// An empty queue; `None` for no mails at all.
    pub(super) fn new(settings: Option<Mail>) -> Self {
        Mailer {
            settings,
            queue: VecDeque::new(),
            state: State::Waiting { try_at: Instant::ZERO },
            tries: 0,
            next_id: 1,
            sent: 0,
            failed: 0,
            lost: 0,
            reason: Reason::new(),
            failing_since: None,
        }
    }

    /// Takes a letter. Lines of the body end by `\n`. Full queue: the oldest one that is not under way
    /// goes, counted.
    pub(super) fn push(&mut self, now: Instant, subject: fmt::Arguments<'_>, body: fmt::Arguments<'_>) {
        if self.settings.is_none() {
            return;
        }
        if self.queue.len() >= limits::MAILS_MAX {
            match self.state {
                State::Waiting { .. } => {
                    self.queue.pop_front();
                    self.tries = 0;
                }
                State::UnderWay { .. } => {
                    self.queue.remove(1);
                }
            }
            self.lost = self.lost.saturating_add(1);
        } else if self.queue.is_empty() {
            self.state = State::Waiting { try_at: now };
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.queue.push_back(Letter { id, subject: cut(subject), body: lines(body) });
    }

    /// An instance or a group went from one state to another, in keepalived's words, so that filters go on
    /// working (keepalived §2.6). Those that want no mails send none; the first Backup after the start is
    /// no news.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        router_name: &str,
        about: About<'_>,
        (before, after): (InstanceState, InstanceState),
        cause: &str,
    ) {
        let body = match (before, after) {
            (_, InstanceState::Active) => "now",
            (InstanceState::Initialize, InstanceState::Backup) | (_, InstanceState::Initialize) => return,
            (_, InstanceState::Backup | InstanceState::Fault) => "no longer",
        };
        let (what, name, notify) = match about {
            About::Instance(i) => ("Instance", &i.name, &i.notify),
            About::Group(g) => ("Group", &g.name, &g.notify),
        };
        if notify.mail != Some(false) {
            self.push(
                now,
                format_args!(
                    "[{router_name}] VRRP {what} {name} - Entering {} state",
                    after.keepalived_word()
                ),
                format_args!("=> VRRP {what} is {body} owning VRRP VIPs <=\n\n{cause}\n"),
            );
        }
    }

    /// The letter `id` was handed over, or not. A result that nobody waits for changes nothing.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        id: u32,
        result: Result<(), Reason>,
        history: &mut History,
        actions: &mut Actions,
    ) {
        match self.state {
            State::UnderWay { .. } if self.queue.front().is_some_and(|letter| letter.id == id) => {}
            State::UnderWay { .. } | State::Waiting { .. } => return,
        }
        match result {
            Ok(()) => self.succeed(now, history, actions),
            Err(reason) => self.fail(now, reason, history, actions),
        }
    }

    /// Sends what is due. A letter whose result does not come counts as failed.
    pub(super) fn tick(&mut self, now: Instant, history: &mut History, actions: &mut Actions) {
        if let State::UnderWay { result_by } = self.state
            && now >= result_by
        {
            self.fail(now, cut(format_args!("no result from the mail worker")), history, actions);
        }
        let (Some(settings), Some(letter)) = (&self.settings, self.queue.front()) else { return };
        match self.state {
            State::Waiting { try_at } if now >= try_at => {
                self.state = State::UnderWay { result_by: now + settings.timeout + RESULT_MARGIN };
                actions.push(Action::SendMail { id: letter.id });
            }
            State::Waiting { .. } | State::UnderWay { .. } => {}
        }
    }

    /// Is a letter on its way, or about to be? One that waits after a failure is none to wait for.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        let is_soon = match self.state {
            State::Waiting { try_at } => try_at <= now,
            State::UnderWay { .. } => true,
        };
        is_soon && !self.queue.is_empty()
    }

    /// When `tick` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.front()?;
        match self.state {
            State::Waiting { try_at } => Some(try_at),
            State::UnderWay { result_by } => Some(result_by),
        }
    }

    /// A letter of the queue.
    pub(super) fn letter(&self, id: u32) -> Option<&Letter> {
        self.queue.iter().find(|letter| letter.id == id)
    }

    /// Where and how letters go.
    pub(super) fn settings(&self) -> Option<&Mail> {
        self.settings.as_ref()
    }

    /// Other settings. What waits is tried at once with them; without settings it is dropped, counted.
    pub(super) fn reconfigure(&mut self, settings: Option<Mail>) {
        if self.settings == settings {
            return;
        }
        if settings.is_none() {
            self.lost = self.lost.saturating_add(self.queue.len() as u32);
            self.queue.clear();
            self.state = State::Waiting { try_at: Instant::ZERO };
            self.reason.clear();
            self.failing_since = None;
        }
        self.settings = settings;
        self.tries = 0;
        if let State::Waiting { try_at } = &mut self.state {
            *try_at = Instant::ZERO;
        }
    }

    /// Counters; `None` without settings.
    pub(super) fn status(&self) -> Option<MailStatus> {
        self.settings.as_ref()?;
        Some(MailStatus {
            waiting: self.queue.len() as u32,
            sent: self.sent,
            failed: self.failed,
            lost: self.lost,
            reason: self.reason.clone(),
        })
    }

    /// Puts counters and, while mails fail, a problem into the snapshot.
    pub(super) fn fill(&self, now: Instant, snapshot: &mut Snapshot) {
        snapshot.mail = self.status();
        if let (Some(settings), Some(since)) = (&self.settings, self.failing_since) {
            snapshot.problems.push(cut(format_args!(
                "mail server {} has failed for {} s: {}; {} waiting, {} lost. Check the server and [mail]",
                settings.server,
                age(now, since).secs(),
                self.reason,
                self.queue.len(),
                self.lost,
            )));
        }
    }

    fn succeed(&mut self, now: Instant, history: &mut History, actions: &mut Actions) {
        self.queue.pop_front();
        self.tries = 0;
        self.sent = self.sent.saturating_add(1);
        self.reason.clear();
        self.state = State::Waiting { try_at: now };
        if self.failing_since.take().is_some() {
            let text = format_args!("mails go out again, {} waiting", self.queue.len());
            history.note(now, Level::Note, "mail", "", text, actions);
        }
    }

    fn fail(&mut self, now: Instant, reason: Reason, history: &mut History, actions: &mut Actions) {
        self.failed = self.failed.saturating_add(1);
        let pause = PAUSES.get(usize::from(self.tries)).or(PAUSES.last()).copied();
        self.tries = self.tries.saturating_add(1);
        self.state = State::Waiting { try_at: now + pause.unwrap_or(RESULT_MARGIN) };
        if self.failing_since.is_none() {
            self.failing_since = Some(now);
            let text = format_args!("mail not handed over: {reason}; will be tried again");
            history.note(now, Level::Warning, "mail", "", text, actions);
        }
        if self.tries >= limits::MAIL_TRIES_MAX {
            self.tries = 0;
            self.lost = self.lost.saturating_add(1);
            if let Some(letter) = self.queue.pop_front() {
                let text = format_args!("mail given up: {reason}: {}", letter.subject);
                history.note(now, Level::Warning, "mail", "", text, actions);
            }
        }
        self.reason = reason;
    }
}

/// As [`cut`], but line ends stay.
fn lines<const N: usize>(arguments: fmt::Arguments<'_>) -> heapless::String<N> {
    struct Lines<const N: usize>(heapless::String<N>);
    impl<const N: usize> fmt::Write for Lines<N> {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            s.chars().try_for_each(|c| {
                let c = if c.is_control() && c != '\n' { '?' } else { c };
                self.0.push(c).map_err(|_| fmt::Error)
            })
        }
    }
    let mut out = Lines(heapless::String::new());
    let _ = fmt::write(&mut out, arguments);
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Instance, Notify, SyncGroup, Vrid};

    fn settings() -> Mail {
        Mail {
            server: "127.0.0.1:25".parse().unwrap(),
            from: "a@b".into(),
            to: vec!["c@d".into()],
            timeout: Duration::from_secs(30),
            helo: None,
        }
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
        assert_eq!(
            bed.mailer.status().unwrap().failed,
            1,
            "a worker that says nothing must not stop the queue"
        );
        assert_eq!(bed.tick(70), [1]);
    }

    #[test]
    fn without_settings_nothing_is_kept_and_new_settings_are_tried_at_once() {
        let mut bed = Bed::new();
        bed.push(0, "a");
        assert_eq!(bed.tick(0), [1]);
        bed.result(0, 1, Err("no route"));
        let mut other = settings();
        other.server = "127.0.0.2:25".parse().unwrap();
        bed.mailer.reconfigure(Some(other));
        assert_eq!(bed.tick(1), [1], "the user has mended it: do not make him wait");
        bed.mailer.reconfigure(None);
        assert!(bed.mailer.letter(1).is_none() && bed.mailer.status().is_none());
        bed.push(3, "b");
        assert_eq!(bed.tick(3), [0; 0], "no mail without [mail]");
        bed.result(4, 1, Ok(()));
    }

    trait Secs {
        fn secs_total(&self) -> i64;
    }
    impl Secs for Instant {
        fn secs_total(&self) -> i64 {
            self.total_millis() / 1000
        }
    }
}
