//! What concerns the whole of IPVS: timeouts of connections, sync daemons, settings.
//!
//! As with the table, what should be is compared with what the kernel tells: at start, after doubt, and every
//! `watch_interval` (law 5). What was there before comes back at the end (IPVS-80).
//!
//! One request at a time, so that no answer tells of a state that was left.

use super::clocks::Clocks;
use super::reconcile::{ANSWER_TIMEOUT, RETRY_MAX, RETRY_MIN, doubled};
use super::sync::{Post, Step};
use crate::engine::{Action, Ctx, HeldTimeouts, Refusal, WholeRequest, event::earlier};
use crate::model::{DaemonRole, Ipvs, IpvsSetting, IpvsValue, Level, SyncDaemon, Text, Timeouts, cut};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::Daemon;

/// When something that failed is tried again, and why it failed.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    failures: u8,
    /// The last failure; `None` after a success. An answer that did not come is no news yet.
    pub(super) refusal: Option<Refusal>,
}

impl Pause {
    pub(super) fn is_over(&self) -> bool {
        self.until.is_none()
    }

    /// It failed. True: for the first time.
    pub(super) fn fail(&mut self, now: Instant, refusal: Refusal) -> bool {
        self.until = Some(now + doubled(RETRY_MIN, self.failures, RETRY_MAX));
        self.failures = self.failures.saturating_add(1);
        refusal != Refusal::Interrupted && self.refusal.replace(refusal).is_none()
    }

    pub(super) fn succeed(&mut self) {
        *self = Pause::default();
    }

    fn pass(&mut self, now: Instant) {
        self.until = self.until.filter(|at| now < *at);
    }
}

/// Timeouts, daemons and settings: what they should be and what they are.
#[derive(Debug)]
pub(super) struct Whole {
    clocks: Clocks,
    sync: Option<SyncDaemon>,
    /// Is the instance that the daemon follows Active?
    is_active: bool,
    posts: [Post; 2],
    /// What was written down last: daemons that are ours, in the words in which they were asked for.
    recorded: Vec<(DaemonRole, Daemon)>,
    /// For telling the daemons.
    dump_pause: Pause,
    settings: Vec<(IpvsSetting, IpvsValue)>,
    /// Those that are held, and with what; `None`: it must be written again.
    held: Vec<(IpvsSetting, Option<IpvsValue>)>,
    /// The question on its way: token, when it was sent.
    asked: Option<(u32, Instant, WholeRequest)>,
    /// Do we want to know the timeouts, the daemons?
    due: (bool, bool),
    look_at: Instant,
    watch_interval: Duration,
    is_ready: bool,
    /// The kernel is talked to by socket options: a daemon is its interface and its id, no more.
    sockopt: bool,
    /// What somebody else changed and was put right, until it is taken out.
    pub(super) repaired: u32,
    /// What the kernel refused, likewise.
    pub(super) refused: u32,
}

impl Whole {
    pub(super) fn new(now: Instant) -> Self {
        Whole {
            clocks: Clocks::default(),
            sync: None,
            is_active: false,
            posts: [Post::new(DaemonRole::Master), Post::new(DaemonRole::Backup)],
            recorded: Vec::new(),
            dump_pause: Pause::default(),
            settings: Vec::new(),
            held: Vec::new(),
            asked: None,
            due: (true, true),
            look_at: now,
            watch_interval: Duration::ZERO,
            is_ready: false,
            sockopt: false,
            repaired: 0,
            refused: 0,
        }
    }

    /// Another configuration. What differs is done by the next `run`.
    pub(super) fn reconfigure(&mut self, now: Instant, ipvs: &Ipvs) {
        self.clocks.want(ipvs.timeouts);
        self.sync.clone_from(&ipvs.sync);
        self.settings.clone_from(&ipvs.settings);
        self.posts.iter_mut().for_each(Post::retry);
        self.dump_pause.succeed();
        self.watch_interval = ipvs.watch_interval;
        self.look_at = now;
    }

    /// What an earlier run wrote down of the timeouts.
    pub(super) fn left(&mut self, held: HeldTimeouts) {
        self.clocks.leave(held);
    }

    /// The daemons that an earlier run wrote down as its own.
    pub(super) fn left_daemons(&mut self, daemons: Vec<(DaemonRole, Daemon)>) {
        self.recorded = daemons;
        self.expect_recorded();
    }

    fn expect_recorded(&mut self) {
        for post in &mut self.posts {
            let recorded = self.recorded.iter().find(|(role, _)| *role == post.role);
            post.left = recorded.map(|(_, daemon)| daemon.clone());
        }
    }

    /// Has it written down which daemons are ours where that is not what was written down last: `next` may
    /// start one, and the next run is to find it when this one is killed.
    fn remember_daemons(&mut self, next: Option<&WholeRequest>, cx: &mut Ctx<'_>) {
        let starts = next.and_then(|next| {
            if let WholeRequest::NewDaemon(role, daemon) = next { Some((*role, daemon)) } else { None }
        });
        let ours = self.posts.iter().filter_map(|post| {
            let started = starts.filter(|(role, _)| *role == post.role).map(|(_, daemon)| daemon);
            Some((post.role, started.or(post.mine())?))
        });
        if ours.clone().eq(self.recorded.iter().map(|(role, daemon)| (*role, daemon))) {
            return;
        }
        self.recorded = ours.map(|(role, daemon)| (role, daemon.clone())).collect();
        cx.actions.push(Action::RememberDaemons(self.recorded.clone()));
    }

    /// The end: what was there before comes back, our daemons stop. Settings stay until `release`, because
    /// they say what becomes of the connections of services that go.
    pub(super) fn leave(&mut self) {
        self.clocks.want(Timeouts::default());
        self.sync = None;
        self.posts.iter_mut().for_each(Post::retry);
    }

    /// Settings are put back.
    pub(super) fn release(&mut self, cx: &mut Ctx<'_>) {
        for (name, _) in self.held.drain(..) {
            cx.actions.push(Action::ReleaseIpvsSetting { name });
        }
    }

    /// Is nothing of ours left, settings aside?
    pub(super) fn is_clean(&self) -> bool {
        self.asked.is_none() && self.clocks.is_clean() && !self.posts.iter().any(Post::may_be_ours)
    }

    /// Is there anything to look after?
    pub(super) fn is_needed(&self) -> bool {
        self.clocks.is_needed() || self.needs_daemons() || !self.settings.is_empty() || !self.held.is_empty()
    }

    fn needs_daemons(&self) -> bool {
        self.sync.is_some() || self.posts.iter().any(Post::may_be_ours)
    }

    /// The instance that decides the role of the daemon: index in `Config::instances`.
    pub(super) fn followed(&self) -> Option<usize> {
        self.sync.as_ref()?.instance
    }

    /// Is that instance Active? True: that is news.
    pub(super) fn follow(&mut self, is_active: bool) -> bool {
        core::mem::replace(&mut self.is_active, is_active) != is_active
    }

    /// Roles in which a daemon of ours runs.
    pub(super) fn roles(&self) -> Vec<DaemonRole> {
        self.posts.iter().filter(|post| post.is_ours()).map(|post| post.role).collect()
    }

    /// The kernel's IPVS is there, perhaps another one than before.
    pub(super) fn ready(&mut self, now: Instant, sockopt: bool) {
        self.clocks.ready();
        self.forget();
        self.expect_recorded();
        self.is_ready = true;
        self.sockopt = sockopt;
        self.look_at = now;
    }

    /// It is gone, and took everything with it.
    pub(super) fn absent(&mut self, cx: &mut Ctx<'_>) {
        self.is_ready = false;
        self.clocks.absent();
        self.clocks.remember(cx);
        self.forget();
        self.remember_daemons(None, cx);
    }

    fn forget(&mut self) {
        self.asked = None;
        self.posts = [Post::new(DaemonRole::Master), Post::new(DaemonRole::Backup)];
        self.dump_pause = Pause::default();
        self.held.iter_mut().for_each(|(_, value)| *value = None);
    }

    /// What should run in this role.
    fn wanted(&self, role: DaemonRole) -> Option<&Daemon> {
        let sync = self.sync.as_ref()?;
        let is_wanted = match (sync.instance, role) {
            (None, _) => true,
            (Some(_), DaemonRole::Master) => self.is_active,
            (Some(_), DaemonRole::Backup) => !self.is_active,
        };
        (is_wanted && (!self.sockopt || is_sayable(&sync.daemon))).then_some(&sync.daemon)
    }

    /// Settings that are to be written or put back, and the next request, if it is time for one.
    pub(super) fn run(&mut self, now: Instant, cx: &mut Ctx<'_>) -> Option<WholeRequest> {
        if !self.is_ready {
            return None;
        }
        self.hold_settings(cx);
        let pauses = self.posts.iter_mut().map(|post| &mut post.pause);
        pauses.chain([&mut self.clocks.pause, &mut self.dump_pause]).for_each(|pause| pause.pass(now));
        if self.asked.as_ref().is_some_and(|(_, at, _)| now >= *at + ANSWER_TIMEOUT) {
            self.finish(now, Err(Refusal::Interrupted), cx);
        }
        if self.asked.is_some() || !self.is_needed() {
            return None;
        }
        if now >= self.look_at {
            self.look_at = now + self.watch_interval;
            self.due = (true, true);
        }
        // Before anything else is set.
        self.clocks.remember(cx);
        let next = self.next();
        self.remember_daemons(next.as_ref(), cx);
        next
    }

    fn next(&self) -> Option<WholeRequest> {
        if self.clocks.is_needed() && self.clocks.pause.is_over() {
            if self.due.0 || self.clocks.told.is_none() {
                return Some(WholeRequest::GetTimeouts);
            }
            if let Some(timeouts) = self.clocks.next() {
                return Some(WholeRequest::SetTimeouts(timeouts));
            }
        }
        if self.needs_daemons() && self.due.1 {
            return self.dump_pause.is_over().then_some(WholeRequest::DumpDaemons);
        }
        // One that is wanted starts before the other one stops.
        let (wanted, others): (Vec<&Post>, Vec<&Post>) =
            self.posts.iter().partition(|post| self.wanted(post.role).is_some());
        wanted.into_iter().chain(others).find_map(|post| match post.next(self.wanted(post.role))? {
            Step::Start(daemon) => Some(WholeRequest::NewDaemon(post.role, daemon)),
            Step::Stop => Some(WholeRequest::DelDaemon(post.role)),
        })
    }

    /// The request of `run` is on its way.
    pub(super) fn sent(&mut self, now: Instant, token: u32, request: WholeRequest) {
        self.asked = Some((token, now, request));
    }

    /// The token of the request that is on its way.
    pub(super) fn token(&self) -> Option<u32> {
        self.asked.as_ref().map(|(token, ..)| *token)
    }

    /// When `run` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !self.is_ready || !self.is_needed() {
            return None;
        }
        if let Some((_, at, _)) = &self.asked {
            return Some(*at + ANSWER_TIMEOUT);
        }
        let pauses = self.posts.iter().map(|post| &post.pause).chain([&self.clocks.pause, &self.dump_pause]);
        let pauses = pauses.filter_map(|pause| pause.until).min();
        let looks = self.clocks.is_needed() || self.needs_daemons();
        earlier(pauses, Some(self.look_at).filter(|_| looks))
    }

    fn hold_settings(&mut self, cx: &mut Ctx<'_>) {
        let Whole { settings, held, .. } = self;
        held.retain(|(name, _)| {
            let is_wanted = settings.iter().any(|(wanted, _)| wanted == name);
            if !is_wanted {
                cx.actions.push(Action::ReleaseIpvsSetting { name: name.clone() });
            }
            is_wanted
        });
        for (name, value) in settings {
            let at = match held.iter().position(|(held, _)| held == name) {
                Some(at) => at,
                None => {
                    held.push((name.clone(), None));
                    held.len() - 1
                }
            };
            let Some((_, there)) = held.get_mut(at) else { continue };
            if there.as_ref() != Some(value) {
                *there = Some(value.clone());
                cx.actions.push(Action::HoldIpvsSetting { name: name.clone(), value: value.clone() });
            }
        }
    }

    /// The kernel tells the timeouts.
    pub(super) fn told_timeouts(&mut self, now: Instant, timeouts: Timeouts, cx: &mut Ctx<'_>) {
        if !matches!(self.asked, Some((.., WholeRequest::GetTimeouts))) {
            return;
        }
        self.due.0 = false;
        if self.clocks.hear(timeouts) {
            self.repaired = self.repaired.saturating_add(1);
            let text = format_args!("somebody changed the timeouts of IPVS; they are put right");
            cx.note(now, Level::Warning, "ipvs", "", text);
        }
    }

    /// The kernel tells of a daemon.
    pub(super) fn told_daemon(&mut self, role: DaemonRole, daemon: Daemon) {
        if matches!(self.asked, Some((.., WholeRequest::DumpDaemons)))
            && let Some(post) = self.posts.iter_mut().find(|post| post.role == role)
        {
            post.told = Some(daemon);
        }
    }

    /// The request has ended.
    pub(super) fn finish(&mut self, now: Instant, result: Result<(), Refusal>, cx: &mut Ctx<'_>) {
        let Some((_, _, request)) = self.asked.take() else { return };
        self.end(now, request, result, cx);
        self.clocks.remember(cx);
        self.remember_daemons(None, cx);
    }

    fn end(&mut self, now: Instant, request: WholeRequest, result: Result<(), Refusal>, cx: &mut Ctx<'_>) {
        if let Err(refusal) = result
            && !matches!(refusal, Refusal::Interrupted | Refusal::Exists | Refusal::NotFound)
        {
            self.refused = self.refused.saturating_add(1);
        }
        match (request, result) {
            (WholeRequest::GetTimeouts, Ok(())) => {
                if core::mem::take(&mut self.due.0) || self.clocks.told.is_none() {
                    self.clocks.hear(Timeouts::default()); // B-103: it has none
                }
            }
            (WholeRequest::SetTimeouts(set), Ok(())) => self.clocks.acknowledge(set),
            (WholeRequest::GetTimeouts | WholeRequest::SetTimeouts(_), Err(refusal)) => {
                if self.clocks.pause.fail(now, refusal) {
                    let text = format_args!("the timeouts of IPVS cannot be set: {refusal}");
                    cx.note(now, Level::Error, "ipvs", "", text);
                }
            }
            (WholeRequest::DumpDaemons, Ok(())) => {
                self.due.1 = false;
                self.dump_pause.succeed();
                let configured = self.sync.as_ref().map(|sync| &sync.daemon);
                for post in &mut self.posts {
                    self.repaired = self.repaired.saturating_add(post.look(now, configured, cx));
                }
            }
            (WholeRequest::DumpDaemons, Err(refusal)) => {
                self.posts.iter_mut().for_each(|post| post.told = None);
                self.dump_pause.fail(now, refusal);
            }
            (WholeRequest::NewDaemon(role, daemon), result) => {
                let post = self.posts.iter_mut().find(|post| post.role == role);
                self.due.1 |= post.is_some_and(|post| post.started(now, daemon, result, cx));
            }
            (WholeRequest::DelDaemon(role), result) => {
                let post = self.posts.iter_mut().find(|post| post.role == role);
                self.due.1 |= post.is_some_and(|post| post.stopped(now, result, cx));
            }
        }
    }

    /// What is not as wanted.
    pub(super) fn problems(&self, problems: &mut Vec<Text>) {
        self.clocks.problems(problems);
        // What nobody wants to know any more is no problem, however its last question ended.
        if let Some(refusal) = self.dump_pause.refusal.filter(|_| self.needs_daemons()) {
            problems.push(cut(format_args!("the sync daemons of IPVS cannot be read: {refusal}")));
        }
        let Some(sync) = &self.sync else { return };
        if self.is_ready && self.sockopt && !is_sayable(&sync.daemon) {
            problems.push(cut(format_args!(
                "the sync daemon is not started: max_len, group, port and ttl need generic netlink"
            )));
        }
        let counts = |post: &&Post| post.may_be_ours() || self.wanted(post.role).is_some();
        problems.extend(self.posts.iter().filter(counts).filter_map(|post| post.problem(&sync.daemon)));
    }
}

/// Can the old interface of the kernel say it?
fn is_sayable(daemon: &Daemon) -> bool {
    let Daemon { interface: _, id: _, max_len, group, port, ttl } = daemon;
    (*max_len, *group, *port, *ttl) == (0, None, 0, 0)
}
