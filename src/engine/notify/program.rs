//! One program at a time: what runs now, and how the last one ended.

use crate::engine::{Action, Actions, RunId, RunOutcome};
use crate::model::{Command, Text};
use crate::time::{Duration, Instant};

/// After its own time limit and this, the end of a program that nobody told is not waited for any more.
const RESULT_MARGIN: Duration = Duration::from_secs(10);

/// A program as it is run: a later configuration does not change it.
#[derive(Debug)]
pub(super) struct Call {
    /// What it tells or does: `MASTER`, `start`.
    pub(super) what: &'static str,
    pub(super) command: Command,
    /// After the command's own.
    pub(super) arguments: Vec<Text>,
}

impl Call {
    /// Path of the program.
    pub(super) fn path(&self) -> &str {
        self.command.argv.first().map_or("", |path| path)
    }
}

#[derive(Debug)]
struct Running {
    id: RunId,
    call: Call,
    started_at: Instant,
    give_up_at: Instant,
}

/// The place where a program runs; it holds one.
#[derive(Debug, Default)]
pub(super) struct Turn {
    running: Option<Box<Running>>,
}

impl Turn {
    /// Starts a program. It is given up after `limit`, or long after its own time.
    pub(super) fn take(
        &mut self,
        now: Instant,
        id: RunId,
        call: Call,
        limit: Option<Duration>,
        actions: &mut Actions,
    ) {
        let own = call.command.timeout + RESULT_MARGIN;
        let give_up_at = now + limit.unwrap_or(own).min(own);
        self.running = Some(Box::new(Running { id, call, started_at: now, give_up_at }));
        actions.push(Action::Run(id));
    }

    pub(super) fn is_taken(&self) -> bool {
        self.running.is_some()
    }

    /// Is this the program that runs?
    pub(super) fn is(&self, id: RunId) -> bool {
        self.running.as_ref().is_some_and(|r| r.id == id)
    }

    pub(super) fn call(&self) -> Option<&Call> {
        self.running.as_ref().map(|r| &r.call)
    }

    pub(super) fn give_up_at(&self) -> Option<Instant> {
        self.running.as_ref().map(|r| r.give_up_at)
    }

    /// How long it has run.
    pub(super) fn runs_for(&self, now: Instant) -> Option<Duration> {
        self.running.as_ref().map(|r| now - r.started_at)
    }

    /// How long it has run, where that is too long.
    pub(super) fn is_overdue(&self, now: Instant) -> Option<Duration> {
        self.running.as_ref().filter(|r| r.give_up_at <= now).map(|r| now - r.started_at)
    }

    /// It is given up by then at the latest.
    pub(super) fn hurry(&mut self, give_up_at: Instant) {
        if let Some(running) = &mut self.running {
            running.give_up_at = running.give_up_at.min(give_up_at);
        }
    }

    /// Ends the program, where there is one; its place stays taken until [`Self::release`].
    pub(super) fn stop(&self, actions: &mut Actions) {
        if let Some(running) = &self.running {
            actions.push(Action::StopRun(running.id));
        }
    }

    /// The program has ended.
    pub(super) fn release(&mut self) -> Option<Call> {
        self.running.take().map(|r| r.call)
    }
}

/// How the last program ended.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) what: &'static str,
    pub(super) outcome: RunOutcome,
    pub(super) is_failure: bool,
    pub(super) ended_at: Instant,
    pub(super) took: Duration,
}

/// Numbers that are not given out twice, but for u32's end.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    owner: u32,
    serial: u32,
}

impl Numbers {
    /// For a queue or a service.
    pub(super) fn owner(&mut self) -> u32 {
        self.owner = self.owner.wrapping_add(1);
        self.owner
    }

    /// For a run.
    pub(super) fn serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }
}
