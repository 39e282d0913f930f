//! A service of this box that runs exactly while one of its instances is Active.

use super::LEAVING_TIMEOUT;
use super::program::{Call, Last, Turn};
use crate::engine::history::{History, age};
use crate::engine::quiet::Quiet;
use crate::engine::{Actions, RunOutcome};
use crate::model::status::RunStatus;
use crate::model::{Level, Name, Supervised, Text, cut};
use crate::time::{Duration, Instant};

/// Pause after the first failure; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A service that nobody names any more is not stopped more often than that.
const FAREWELLS_MAX: u8 = 3;
/// SIGTERM, SIGKILL 2 s later: then a program that was given up is gone, and the next may run.
const KILL_DELAY: Duration = Duration::from_secs(2);

/// What the keeper wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Start,
    Stop,
}

impl Wish {
    const fn word(self) -> &'static str {
        match self {
            Wish::Start => "start",
            Wish::Stop => "stop",
        }
    }
}

/// An instance that the service follows.
#[derive(Debug)]
pub(super) struct User {
    name: Name,
    is_active: bool,
}

/// One service of this box.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) service: Supervised,
    pub(super) number: u32,
    /// What runs.
    pub(super) turn: Turn,
    /// Those that have it in their configuration; none: it is stopped for the last time.
    pub(super) users: Vec<User>,
    /// Has any of them had a state yet? Nothing is done before.
    is_known: bool,
    /// What was wanted when [`Self::follow`] looked last.
    wish: Wish,
    /// What is so, as far as a program has ended well.
    done: Option<Wish>,
    /// What the running program does.
    doing: Wish,
    /// Failures in a row.
    failures: u8,
    /// After a failure: not before.
    again_at: Option<Instant>,
    collapsed: u32,
    is_leaving: bool,
    last: Option<Last>,
    quiet: Quiet,
}

impl Keeper {
    pub(super) fn new(service: Supervised, number: u32) -> Self {
        Keeper {
            service,
            number,
            turn: Turn::default(),
            users: Vec::new(),
            is_known: false,
            wish: Wish::Stop,
            done: None,
            doing: Wish::Stop,
            failures: 0,
            again_at: None,
            collapsed: 0,
            is_leaving: false,
            last: None,
            quiet: Quiet::default(),
        }
    }

    /// An instance has it in its configuration; `is_active`: `None` before its first state.
    pub(super) fn add_user(&mut self, name: &Name, is_active: Option<bool>) {
        self.is_known |= is_active.is_some();
        if !self.users.iter().any(|user| user.name == *name) {
            self.users.push(User { name: name.clone(), is_active: is_active.unwrap_or(false) });
        }
    }

    /// An instance has another state.
    pub(super) fn follow(&mut self, name: &Name, is_active: bool) {
        for user in self.users.iter_mut().filter(|user| user.name == *name) {
            user.is_active = is_active;
            self.is_known = true;
        }
        self.settle();
    }

    /// The newest wish wins: it is tried at once, whatever failed before.
    pub(super) fn settle(&mut self) {
        let wish = if self.users.iter().any(|user| user.is_active) { Wish::Start } else { Wish::Stop };
        if wish != self.wish {
            if self.turn.is_taken() && self.doing == wish {
                // What waited for the end of this program is not wanted any more.
                self.collapsed = self.collapsed.saturating_add(1);
            }
            (self.wish, self.failures) = (wish, 0);
            self.again_at = None;
        }
    }

    /// The daemon leaves: the service is stopped; a start that is under way has a second, and its end is
    /// waited for, so that never two programs run.
    pub(super) fn leave(&mut self, now: Instant) {
        self.is_leaving = true;
        self.users.iter_mut().for_each(|user| user.is_active = false);
        self.settle();
        (self.failures, self.again_at) = (0, None);
        if self.turn.is_taken() && self.doing == Wish::Start {
            self.turn.hurry(now + LEAVING_TIMEOUT);
        }
    }

    /// The next program.
    pub(super) fn next(&mut self) -> Call {
        self.doing = self.wish;
        let command = match self.wish {
            Wish::Start => &self.service.start,
            Wish::Stop => &self.service.stop,
        };
        Call { what: self.wish.word(), command: command.clone(), arguments: Vec::new() }
    }

    /// Is there something to do, now or later?
    fn is_pending(&self) -> bool {
        self.is_known && self.done != Some(self.wish) && !self.has_given_up()
    }

    /// May its next program run now? A pause that is over wakes nobody again.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.again_at = self.again_at.filter(|at| *at > now);
        !self.turn.is_taken() && self.is_pending() && self.again_at.is_none()
    }

    /// Nobody is left who would want another try.
    fn has_given_up(&self) -> bool {
        let tries_max = match (self.is_leaving, self.users.is_empty()) {
            (true, _) => 1,
            (false, true) => FAREWELLS_MAX,
            (false, false) => return false,
        };
        self.failures >= tries_max
    }

    /// When is [`Self::next`] due, or the running program to be given up?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.turn.give_up_at().or(self.again_at.filter(|_| self.is_pending()))
    }

    /// The program that ran has ended. A stop that ended by itself has stopped the service, whatever it
    /// exited with: many init scripts exit with 1 where there was nothing to stop.
    pub(super) fn ended(
        &mut self,
        now: Instant,
        outcome: RunOutcome,
        took: Duration,
        history: &mut History,
        actions: &mut Actions,
    ) {
        let Some(call) = self.turn.release() else { return };
        let name = &self.service.name;
        let is_done = match (self.doing, outcome) {
            (Wish::Stop, RunOutcome::Exited(_)) => true,
            (Wish::Start | Wish::Stop, _) => outcome.is_success(),
        };
        self.last = Some(Last { what: call.what, outcome, is_failure: !is_done, ended_at: now, took });
        if is_done {
            self.done = Some(self.doing);
            self.failures = 0;
            let done = match self.doing {
                Wish::Start => "started",
                Wish::Stop => "stopped",
            };
            if self.quiet.lets_through(now) {
                history.note(now, Level::Note, "program", name, format_args!("{done}"), actions);
            }
            return;
        }
        self.done = None;
        if self.doing != self.wish {
            // The other one is wanted by now.
            return;
        }
        let pause = PAUSE * (1u32 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.again_at = Some(now + pause.min(PAUSE_MAX));
        if self.quiet.lets_through(now) {
            let text = format_args!("{} {}: {outcome}", call.path(), call.what);
            history.note(now, Level::Warning, "program", name, text, actions);
        }
    }

    /// The running program was given up, and may need some time to die.
    pub(super) fn give_up(
        &mut self,
        now: Instant,
        took: Duration,
        history: &mut History,
        actions: &mut Actions,
    ) {
        self.turn.stop(actions);
        self.ended(now, RunOutcome::TimedOut, took, history, actions);
        self.again_at = self.again_at.max(Some(now + KILL_DELAY));
    }

    /// Nobody wants it any more, and it is stopped, or cannot be.
    pub(super) fn is_through(&self) -> bool {
        self.users.is_empty() && !self.turn.is_taken() && !self.is_pending()
    }

    /// Does nothing run or wait?
    pub(super) fn is_idle(&self) -> bool {
        !self.turn.is_taken() && !self.is_pending()
    }

    /// `None` before its first program.
    pub(super) fn status(&self, now: Instant) -> Option<RunStatus> {
        let waits =
            !self.turn.is_taken() && self.is_pending() || self.turn.is_taken() && self.doing != self.wish;
        if !self.turn.is_taken() && !waits && self.last.is_none() {
            return None;
        }
        let outcome = match (&self.last, self.again_at) {
            (None, _) => Text::new(),
            (Some(last), Some(at)) if last.is_failure && self.failures > 0 => cut(format_args!(
                "{}: {}, {} in a row, again in {}s",
                last.what,
                last.outcome,
                self.failures,
                age(at, now).secs()
            )),
            (Some(last), _) => cut(format_args!("{}: {}", last.what, last.outcome)),
        };
        Some(RunStatus {
            subject: self.service.name.clone(),
            server: None,
            what: "service",
            running: self.turn.runs_for(now),
            waiting: u32::from(waits),
            collapsed: self.collapsed,
            outcome,
            failed: self.last.as_ref().is_some_and(|last| last.is_failure),
            last: self.last.as_ref().map(|last| (age(now, last.ended_at), last.took)),
        })
    }
}
