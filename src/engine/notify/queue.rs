//! The programs that are told of one instance, group, service or server: in order, one at a time, the newest
//! state in place of older ones that still wait.

use super::program::{Call, Last, Turn};
use crate::engine::history::{History, age};
use crate::engine::quiet::Quiet;
use crate::engine::{Actions, RunOutcome};
use crate::limits;
use crate::model::status::{InstanceState, RunStatus};
use crate::model::{Command, Level, Name, Notify, ServerAddress, Text, cut};
use crate::time::{Duration, Instant};

/// A lower-priority router may be heard thousands of times a second; it is told at most once in this time.
const LOWER_PRIORITY_INTERVAL: Duration = Duration::from_secs(1);

/// Whom a queue is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Instance(Name),
    Group(Name),
    Service(Name),
    /// Of a service, one server.
    Server(Name, ServerAddress),
}

impl Key {
    /// The name of the instance, the group or the service.
    pub(super) fn name(&self) -> &Name {
        match self {
            Key::Instance(name) | Key::Group(name) | Key::Service(name) | Key::Server(name, _) => name,
        }
    }

    /// keepalived's word (keepalived §2.6); services and servers have no generic program that would get it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Key::Instance(_) => "INSTANCE",
            Key::Group(_) => "GROUP",
            Key::Service(_) => "VS",
            Key::Server(..) => "RS",
        }
    }

    /// As [`RunStatus::what`]: a group may have the name of an instance.
    const fn what(&self) -> &'static str {
        match self {
            Key::Instance(_) => "notify",
            Key::Group(_) => "notify_group",
            Key::Service(_) => "notify_service",
            Key::Server(..) => "notify_server",
        }
    }
}

/// The programs of one object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Commands<'a> {
    /// Of an instance or a group.
    Vrrp(&'a Notify),
    /// Of a service (quorum gained, quorum lost) or of a server.
    Balance {
        /// It is up.
        up: Option<&'a Command>,
        /// It is down.
        down: Option<&'a Command>,
    },
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    State(InstanceState),
    Deleted,
    LowerPriority,
    ActivePriority,
    BackupPriority,
    /// A server is up, a service has its quorum.
    Up,
    /// The reverse.
    Down,
    /// It is no more part of the configuration, and was up.
    Gone,
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
            Told::Up => "UP",
            Told::Down | Told::Gone => "DOWN",
        }
    }

    const fn sort(self) -> Sort {
        match self {
            Told::State(_) | Told::Deleted | Told::Up | Told::Down | Told::Gone => Sort::State,
            Told::LowerPriority => Sort::LowerPriority,
            Told::ActivePriority | Told::BackupPriority => Sort::Priority,
        }
    }

    pub(super) fn is_priority(self) -> bool {
        self.sort() == Sort::Priority
    }

    /// The command that is told of this alone.
    fn specific(self, commands: Commands<'_>) -> Option<&Command> {
        match (self, commands) {
            (Told::State(state), Commands::Vrrp(notify)) => match state {
                InstanceState::Active => notify.active.as_ref(),
                InstanceState::Backup => notify.backup.as_ref(),
                InstanceState::Fault => notify.fault.as_ref(),
                InstanceState::Initialize => notify.stop.as_ref(),
            },
            // As keepalived: "Notify deleted = Fault".
            (Told::Deleted, Commands::Vrrp(notify)) => notify.deleted.as_ref().or(notify.fault.as_ref()),
            (Told::LowerPriority, Commands::Vrrp(notify)) => notify.lower_priority.as_ref(),
            (Told::Up, Commands::Balance { up, .. }) => up,
            (Told::Down | Told::Gone, Commands::Balance { down, .. }) => down,
            (
                Told::ActivePriority | Told::BackupPriority | Told::Up | Told::Down | Told::Gone,
                Commands::Vrrp(_),
            )
            | (
                Told::State(_)
                | Told::Deleted
                | Told::LowerPriority
                | Told::ActivePriority
                | Told::BackupPriority,
                Commands::Balance { .. },
            ) => None,
        }
    }

    /// The one of instances and groups that is told of everything.
    fn generic(commands: Commands<'_>) -> Option<&Command> {
        match commands {
            Commands::Vrrp(notify) => notify.any.as_ref(),
            Commands::Balance { .. } => None,
        }
    }

    fn command(self, commands: Commands<'_>, with_arguments: bool) -> Option<&Command> {
        if with_arguments { Self::generic(commands) } else { self.specific(commands) }
    }

    /// Is a program to be run for it?
    pub(super) fn is_for_a_program(self, commands: Commands<'_>) -> bool {
        self.specific(commands).is_some() || Self::generic(commands).is_some()
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

/// The queue of one object.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) key: Key,
    /// What runs.
    pub(super) turn: Turn,
    /// Not part of the configuration any more: comes to its end.
    pub(super) is_gone: bool,
    /// Its pool has it on the list of those that wait for a place.
    pub(super) is_listed: bool,
    waiting: heapless::Vec<Step, { limits::NOTIFY_WAITING_MAX }>,
    collapsed: u32,
    lower_told_at: Option<Instant>,
    last: Option<Last>,
    quiet: Quiet,
}

impl Queue {
    pub(super) fn new(key: Key) -> Self {
        Queue {
            key,
            turn: Turn::default(),
            is_gone: false,
            is_listed: false,
            waiting: heapless::Vec::new(),
            collapsed: 0,
            lower_told_at: None,
            last: None,
            quiet: Quiet::default(),
        }
    }

    /// Takes something in; false: it has been told just now.
    pub(super) fn push(&mut self, now: Instant, told: Told, priority: u8, commands: Commands<'_>) -> bool {
        if told == Told::LowerPriority {
            if self.lower_told_at.is_some_and(|at| age(now, at) < LOWER_PRIORITY_INTERVAL) {
                self.collapsed = self.collapsed.saturating_add(1);
                return false;
            }
            self.lower_told_at = Some(now);
        }
        self.is_gone = matches!(told, Told::Deleted | Told::Gone);
        let before = self.waiting.len();
        self.waiting.retain(|step| step.told.sort() != told.sort());
        let gone = before.saturating_sub(self.waiting.len()) as u32;
        self.collapsed = self.collapsed.saturating_add(gone);
        for with_arguments in [false, true] {
            if let Some(command) = told.command(commands, with_arguments) {
                let command = Box::new(command.clone());
                // There is room for both programs of each sort.
                let _ = self.waiting.push(Step { told, priority, command, with_arguments });
            }
        }
        true
    }

    /// What waits is told to the commands of another configuration; to none where they are gone.
    pub(super) fn reconfigure(&mut self, commands: Option<Commands<'_>>) {
        self.is_gone = commands.is_none();
        let Some(commands) = commands else { return };
        self.waiting.retain_mut(|step| match step.told.command(commands, step.with_arguments) {
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
                cut(format_args!("{}", self.key.word())),
                cut(format_args!("{}", self.key.name())),
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
            let (path, what) = (call.path(), call.what);
            let mut note = |text: core::fmt::Arguments<'_>| {
                history.note(now, Level::Warning, "program", self.key.name(), text, actions);
            };
            match &self.key {
                Key::Instance(_) | Key::Group(_) | Key::Service(_) => {
                    note(format_args!("{path} for {what}: {outcome}"));
                }
                Key::Server(_, address) => note(format_args!("{path} for {address} {what}: {outcome}")),
            }
        }
    }

    /// Does something wait that could run now?
    pub(super) fn is_ready(&self) -> bool {
        !self.turn.is_taken() && !self.waiting.is_empty()
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
            subject: self.key.name().clone(),
            server: match &self.key {
                Key::Instance(_) | Key::Group(_) | Key::Service(_) => None,
                Key::Server(_, address) => Some(address.clone()),
            },
            what: self.key.what(),
            running: self.turn.runs_for(now),
            waiting: self.waiting.len() as u32,
            collapsed: self.collapsed,
            outcome,
            failed: self.last.as_ref().is_some_and(|last| last.is_failure),
            last: self.last.as_ref().map(|last| (age(now, last.ended_at), last.took)),
        })
    }
}
