//! The programs that are told of one instance or one group: in order, one at a time, the newest state in
//! place of older ones that still wait.

use super::program::{Call, Last, Turn};
use crate::engine::history::{History, age};
use crate::engine::quiet::Quiet;
use crate::engine::{Actions, RunOutcome};
use crate::limits;
use crate::model::status::{InstanceState, RunStatus};
use crate::model::{Command, Level, Name, Notify, Text, cut};
use crate::time::{Duration, Instant};

/// A lower-priority router may be heard thousands of times a second; it is told at most once in this time.
const LOWER_PRIORITY_INTERVAL: Duration = Duration::from_secs(1);

/// Whom the queue is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Instance,
    Group,
}

impl Kind {
    /// keepalived's word (keepalived §2.6).
    pub(super) const fn word(self) -> &'static str {
        match self {
            Kind::Instance => "INSTANCE",
            Kind::Group => "GROUP",
        }
    }
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    State(InstanceState),
    Deleted,
    LowerPriority,
    ActivePriority,
    BackupPriority,
}

/// What can displace each other while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    State,
    LowerPriority,
    Priority,
}

impl Told {
    /// keepalived's word (keepalived §2.6).
    pub(super) const fn word(self) -> &'static str {
        match self {
            Told::State(state) => state.keepalived_word(),
            Told::Deleted => "DELETED",
            Told::LowerPriority => "MASTER_RX_LOWER_PRI",
            Told::ActivePriority => "MASTER_PRIORITY",
            Told::BackupPriority => "BACKUP_PRIORITY",
        }
    }

    const fn sort(self) -> Sort {
        match self {
            Told::State(_) | Told::Deleted => Sort::State,
            Told::LowerPriority => Sort::LowerPriority,
            Told::ActivePriority | Told::BackupPriority => Sort::Priority,
        }
    }

    pub(super) fn is_priority(self) -> bool {
        self.sort() == Sort::Priority
    }

    /// The command that is told of this alone.
    fn specific(self, notify: &Notify) -> Option<&Command> {
        match self {
            Told::State(InstanceState::Active) => notify.active.as_ref(),
            Told::State(InstanceState::Backup) => notify.backup.as_ref(),
            Told::State(InstanceState::Fault) => notify.fault.as_ref(),
            Told::State(InstanceState::Initialize) => notify.stop.as_ref(),
            // As keepalived: "Notify deleted = Fault".
            Told::Deleted => notify.deleted.as_ref().or(notify.fault.as_ref()),
            Told::LowerPriority => notify.lower_priority.as_ref(),
            Told::ActivePriority | Told::BackupPriority => None,
        }
    }

    fn command(self, notify: &Notify, with_arguments: bool) -> Option<&Command> {
        if with_arguments { notify.any.as_ref() } else { self.specific(notify) }
    }

    /// Is a program to be run for it?
    pub(super) fn is_for_a_program(self, notify: &Notify) -> bool {
        self.specific(notify).is_some() || notify.any.is_some()
    }
}

/// A program that waits.
#[derive(Debug)]
struct Step {
    told: Told,
    priority: u8,
    command: Box<Command>,
    /// The generic one.
    with_arguments: bool,
}

/// The queue of one instance or one group.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) number: u32,
    /// What runs.
    pub(super) turn: Turn,
    /// Not part of the configuration any more: comes to its end.
    pub(super) is_gone: bool,
    waiting: heapless::Vec<Step, { limits::NOTIFY_WAITING_MAX }>,
    collapsed: u32,
    lower_told_at: Option<Instant>,
    last: Option<Last>,
    quiet: Quiet,
}

impl Queue {
    pub(super) fn new(kind: Kind, name: Name, number: u32) -> Self {
        Queue {
            kind,
            name,
            number,
            turn: Turn::default(),
            is_gone: false,
            waiting: heapless::Vec::new(),
            collapsed: 0,
            lower_told_at: None,
            last: None,
            quiet: Quiet::default(),
        }
    }

    /// Takes something in; false: it has been told just now.
    pub(super) fn push(&mut self, now: Instant, told: Told, priority: u8, notify: &Notify) -> bool {
        if told == Told::LowerPriority {
            if self.lower_told_at.is_some_and(|at| age(now, at) < LOWER_PRIORITY_INTERVAL) {
                self.collapsed = self.collapsed.saturating_add(1);
                return false;
            }
            self.lower_told_at = Some(now);
        }
        self.is_gone = told == Told::Deleted;
        let before = self.waiting.len();
        self.waiting.retain(|step| step.told.sort() != told.sort());
        let gone = before.saturating_sub(self.waiting.len()) as u32;
        self.collapsed = self.collapsed.saturating_add(gone);
        for with_arguments in [false, true] {
            if let Some(command) = told.command(notify, with_arguments) {
                let command = Box::new(command.clone());
                // There is room for both programs of each sort.
                let _ = self.waiting.push(Step { told, priority, command, with_arguments });
            }
        }
        true
    }

    /// What waits is told to the commands of another configuration; to none where they are gone.
    pub(super) fn reconfigure(&mut self, notify: Option<&Notify>) {
        self.is_gone = notify.is_none();
        let Some(notify) = notify else { return };
        self.waiting.retain_mut(|step| match step.told.command(notify, step.with_arguments) {
            Some(command) => {
                if *command != *step.command {
                    *step.command = command.clone();
                }
                true
            }
            None => false,
        });
    }

    /// The next program, where none runs.
    pub(super) fn next(&mut self) -> Option<Call> {
        if self.turn.is_taken() || self.waiting.is_empty() {
            return None;
        }
        let Step { told, priority, command, with_arguments } = self.waiting.remove(0);
        let word = told.word();
        let arguments = match with_arguments {
            true => vec![
                cut(format_args!("{}", self.kind.word())),
                cut(format_args!("{}", self.name)),
                cut(format_args!("{word}")),
                cut(format_args!("{priority}")),
            ],
            false => Vec::new(),
        };
        Some(Call { what: word, command: *command, arguments })
    }

    /// The program that ran has ended. A failure is told: keepalived's users find out by chance.
    pub(super) fn ended(
        &mut self,
        now: Instant,
        outcome: RunOutcome,
        took: Duration,
        history: &mut History,
        actions: &mut Actions,
    ) {
        let Some(call) = self.turn.release() else { return };
        let is_failure = !outcome.is_success();
        self.last = Some(Last { what: call.what, outcome, is_failure, ended_at: now, took });
        if is_failure && self.quiet.lets_through(now) {
            let text = format_args!("{} for {}: {outcome}", call.path(), call.what);
            history.note(now, Level::Warning, "program", &self.name, text, actions);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.turn.is_taken() && self.waiting.is_empty()
    }

    /// `None` before its first program.
    pub(super) fn status(&self, now: Instant) -> Option<RunStatus> {
        if self.is_idle() && self.last.is_none() {
            return None;
        }
        let outcome = self
            .last
            .as_ref()
            .map_or_else(Text::new, |last| cut(format_args!("{}: {}", last.what, last.outcome)));
        Some(RunStatus {
            subject: self.name.clone(),
            // A group may have the name of an instance.
            what: match self.kind {
                Kind::Instance => "notify",
                Kind::Group => "notify_group",
            },
            running: self.turn.runs_for(now),
            waiting: self.waiting.len() as u32,
            collapsed: self.collapsed,
            outcome,
            failed: self.last.as_ref().is_some_and(|last| last.is_failure),
            last: self.last.as_ref().map(|last| (age(now, last.ended_at), last.took)),
        })
    }
}
