//! The mail queue: one letter under way at a time, tried again with growing pauses, dropped at a limit.

use super::history::{History, age};
use super::notify::About;
use super::{Action, Actions, Letter, NameId, NameSpec};
use crate::limits;
use crate::model::status::{InstanceState, MailStatus, Snapshot};
use crate::model::{Level, Mail, MailServer, Reason, cut};
use crate::time::{Duration, Instant};
use core::fmt;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

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
/// An answer about the server's name that does not come counts as a failure after this.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(60);

/// What the first letter of the queue is doing.
#[derive(Debug, Clone, Copy)]
enum State {
    /// It waits, and may go when?
    Waiting { try_at: Instant },
    /// The server's name is being looked up; until when is the answer awaited?
    LookingUp { answer_by: Instant },
    /// It is being handed over, where to? Until when is a result awaited?
    UnderWay { to: SocketAddr, result_by: Instant },
}

/// The queue. Without settings it takes nothing and does nothing.
#[derive(Debug)]
pub(super) struct Mailer {
    settings: Option<Mail>,
    /// At most [`limits::MAILS_MAX`].
    queue: VecDeque<Letter>,
    state: State,
    /// The lookup whose answer has not come; it may come when its try has long failed.
    asked: Option<NameId>,
    /// What the server's name was last found to be, best first: for tries while it cannot be looked up, too.
    last_found: Vec<IpAddr>,
    /// The one of them that comes next: that which a letter went to, or the one behind that which failed.
    next_ip: Option<IpAddr>,
    /// Serial number of the last lookup.
    lookups: u32,
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
            asked: None,
            last_found: Vec::new(),
            next_ip: None,
            lookups: 0,
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
                State::LookingUp { .. } | State::UnderWay { .. } => {
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
            State::UnderWay { .. } | State::LookingUp { .. } | State::Waiting { .. } => return,
        }
        match result {
            Ok(()) => self.succeed(now, history, actions),
            Err(reason) => self.fail(now, reason, history, actions),
        }
    }

    /// Sends what is due. A letter whose result does not come counts as failed.
    pub(super) fn tick(&mut self, now: Instant, history: &mut History, actions: &mut Actions) {
        match self.state {
            State::UnderWay { result_by, .. } if now >= result_by => {
                self.fail(now, cut(format_args!("no result from the mail worker")), history, actions);
            }
            State::LookingUp { answer_by } if now >= answer_by => {
                let reason = cut(format_args!("no answer about the server's name"));
                self.go_on(now, reason, history, actions);
            }
            State::UnderWay { .. } | State::LookingUp { .. } | State::Waiting { .. } => {}
        }
        let (Some(settings), Some(_)) = (&self.settings, self.queue.front()) else { return };
        match (self.state, &settings.server) {
            (State::Waiting { try_at }, _) if now < try_at => {}
            (State::Waiting { .. }, MailServer::Ip(address)) => self.send(now, *address, actions),
            (State::Waiting { .. }, MailServer::Name { .. }) => self.look_up(now, actions),
            (State::UnderWay { .. } | State::LookingUp { .. }, _) => {}
        }
    }

    /// Hands the first letter over.
    fn send(&mut self, now: Instant, address: SocketAddr, actions: &mut Actions) {
        let (Some(settings), Some(letter)) = (&self.settings, self.queue.front()) else { return };
        self.state = State::UnderWay { to: address, result_by: now + settings.timeout + RESULT_MARGIN };
        actions.push(Action::SendMail { id: letter.id });
    }

    /// Asks for an address of the server's name.
    fn look_up(&mut self, now: Instant, actions: &mut Actions) {
        self.lookups = self.lookups.wrapping_add(1);
        let id = NameId { number: NameId::MAIL, serial: self.lookups };
        self.asked = Some(id);
        self.state = State::LookingUp { answer_by: now + LOOKUP_TIMEOUT };
        actions.push(Action::Resolve(id));
    }

    /// The name that is looked up; `None` once nobody wants to know.
    pub(super) fn name_spec(&self, id: NameId) -> Option<NameSpec<'_>> {
        let host = self.settings.as_ref()?.server.host()?;
        (self.asked == Some(id)).then_some(NameSpec { host, ipv6: None })
    }

    /// The name was looked up. An answer that comes late is for the next try; one to a question that is not
    /// the last changes nothing.
    pub(super) fn handle_resolved(
        &mut self,
        now: Instant,
        id: NameId,
        result: Result<Vec<IpAddr>, Reason>,
        history: &mut History,
        actions: &mut Actions,
    ) {
        let Some(NameSpec { host, .. }) = self.name_spec(id) else { return };
        let reason = match &result {
            Ok(_) => cut(format_args!("{host}: it has no address")),
            Err(reason) => cut(format_args!("{host}: {reason}")),
        };
        self.asked = None;
        if let Some(found) = result.ok().filter(|found| !found.is_empty()) {
            self.last_found = found;
        }
        match self.state {
            State::LookingUp { .. } => self.go_on(now, reason, history, actions),
            State::Waiting { .. } | State::UnderWay { .. } => {}
        }
    }

    /// Sends to an address found last; `reason` is why the try fails where there never was one.
    fn go_on(&mut self, now: Instant, reason: Reason, history: &mut History, actions: &mut Actions) {
        let next = self.next_ip.filter(|ip| self.last_found.contains(ip));
        match (
            next.or(self.last_found.first().copied()),
            self.settings.as_ref().map(|settings| &settings.server),
        ) {
            (Some(ip), Some(MailServer::Name { port, .. })) => {
                self.send(now, SocketAddr::new(ip, *port), actions);
            }
            (_, _) => self.fail(now, reason, history, actions),
        }
    }

    /// Where the letter that is under way goes.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.state {
            State::UnderWay { to, .. } => Some(to),
            State::Waiting { .. } | State::LookingUp { .. } => None,
        }
    }

    /// Is a letter on its way, or about to be? One that waits after a failure is none to wait for.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        let is_soon = match self.state {
            State::Waiting { try_at } => try_at <= now,
            State::LookingUp { .. } | State::UnderWay { .. } => true,
        };
        is_soon && !self.queue.is_empty()
    }

    /// When `tick` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.front()?;
        match self.state {
            State::Waiting { try_at } => Some(try_at),
            State::LookingUp { answer_by } => Some(answer_by),
            State::UnderWay { result_by, .. } => Some(result_by),
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
        let host = |settings: &Option<Mail>| settings.as_ref()?.server.host().map(str::to_owned);
        if host(&self.settings) != host(&settings) {
            self.asked = None;
            self.last_found.clear();
            self.next_ip = None;
        }
        self.settings = settings;
        self.tries = 0;
        match self.state {
            State::Waiting { .. } | State::LookingUp { .. } => {
                self.state = State::Waiting { try_at: Instant::ZERO };
            }
            State::UnderWay { .. } => {}
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
        self.next_ip = self.address().map(|to| to.ip());
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
        if let Some(to) = self.address() {
            // A server may listen on one family alone, whatever the name says.
            let mut found = self.last_found.iter().skip_while(|ip| **ip != to.ip());
            self.next_ip = found.nth(1).copied();
        }
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
mod tests;
