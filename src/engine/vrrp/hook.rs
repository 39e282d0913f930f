//! The `pre_active` hook: a program that ends, or is ended, before the addresses go live (conntrackd's
//! commit).

use super::{Instance, State};
use crate::engine::{Action, Ctx, RunId, RunOutcome, RunOwner, RunSpec};
use crate::model::Level;
use crate::time::{Duration, Instant};

/// What the runner gets on top of the program's own timeout before it is given up.
const MARGIN: Duration = Duration::from_millis(200);

/// One run of the hook.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) id: RunId,
    pub(super) give_up_at: Instant,
}

impl Instance {
    /// Starts the hook where there is one.
    pub(super) fn begin_hook(&mut self, now: Instant, cx: &mut Ctx<'_>) -> Option<Hook> {
        let command = self.config.pre_active.as_ref()?;
        self.hook_serial = self.hook_serial.wrapping_add(1);
        let id = RunId { owner: RunOwner::PreActive(self.key), serial: self.hook_serial };
        cx.actions.push(Action::Run(id));
        Some(Hook { id, give_up_at: now + command.timeout + MARGIN })
    }

    /// It ended: whatever it said, the addresses go live, because nobody else holds them.
    pub(in crate::engine) fn handle_ran(
        &mut self,
        now: Instant,
        id: RunId,
        outcome: RunOutcome,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        if !matches!(&self.state, State::Active { hook: Some(hook), .. } if hook.id == id) {
            return;
        }
        if !outcome.is_success() {
            let text = format_args!("pre_active {outcome} after {took}: the addresses go live all the same");
            cx.note(now, Level::Warning, "instance", &self.config.name, text);
        }
        self.go_live(now, cx);
    }

    pub(super) fn tick_hook(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let State::Active { hook: Some(hook), .. } = &self.state else { return };
        if hook.give_up_at <= now {
            cx.actions.push(Action::StopRun(hook.id));
            let text = format_args!("pre_active does not end: the addresses go live all the same");
            cx.note(now, Level::Warning, "instance", &self.config.name, text);
            self.go_live(now, cx);
        }
    }

    fn go_live(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if let State::Active { hook, announce, renew_at, .. } = &mut self.state {
            (*hook, *renew_at) = (None, self.config.lease.map(|lease| now + lease / 3));
            announce.begin_now(now, &self.config.garp);
        }
        self.renewed_at = now;
        self.converge(now, cx);
    }

    /// The hook's program, as long as it is wanted.
    pub(in crate::engine) fn run_spec(&self, id: RunId) -> Option<RunSpec<'_>> {
        match &self.state {
            State::Active { hook: Some(hook), .. } if hook.id == id => {
                self.config.pre_active.as_ref().map(|command| RunSpec { command, arguments: &[] })
            }
            State::Active { .. } | State::Initialize | State::Backup { .. } | State::Fault { .. } => None,
        }
    }
}
