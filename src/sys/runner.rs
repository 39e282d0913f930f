//! Programs on their way: scripts of trackers, notifications, services of this box, readers of FIFOs.
//!
//! Each is started without a shell (HC-46): as the leader of a process group of its own, with a clean
//! environment, `/dev/null` as standard input, and nothing of the daemon's open. What it writes is
//! discarded; where the log tells debug lines, its first line is one. At its deadline its whole group gets
//! SIGTERM, and SIGKILL 2 s later. A program whose parent dies gets SIGTERM.
//!
//! The leader is reaped only after the last signal was sent to its group, so that no signal can reach a
//! stranger with the same number.

pub(super) mod spawn;
mod tap;

use super::poll::PollSet;
use super::programs::{Account, Accounts, NoAccount};
use crate::engine::{ProbeId, RunId, RunOutcome, RunOwner, RunSpec};
use crate::limits;
use crate::model::{Command, Config, FifoKind, Reason, Service, cut};
use crate::time::{Duration, Instant};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, pipe2, read};
use spawn::{Exit, Plan, Words};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tap::Taps;

/// From SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Whose program one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The engine's.
    Engine(RunId),
    /// The reader of a FIFO; it has no deadline.
    Reader(FifoKind),
    /// `start_script` or `stop_script`.
    Hook,
    /// The script of a check, because somebody asks for it (`vipd probe`).
    Asked(ProbeId),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Whose it was.
    pub owner: Owner,
    /// How.
    pub outcome: RunOutcome,
    /// From its start to its end.
    pub took: Duration,
}

/// All programs on their way.
#[derive(Debug)]
pub struct Runner {
    accounts: Accounts,
    runs: Vec<Run>,
    queue: VecDeque<RunId>,
    /// Known already, told in the next `process`.
    ended: VecDeque<Ended>,
    taps: Taps,
    words: Words,
    null: OwnedFd,
    /// Children that could not become their program say so here.
    failures: (OwnedFd, OwnedFd),
}

#[derive(Debug)]
struct Run {
    /// `None`: nobody wants to know any more.
    owner: Option<Owner>,
    pid: Pid,
    started: Instant,
    state: State,
    kind: Kind,
    failure: Option<i32>,
}

/// What a program is good for, which stays when nobody waits for it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It looks at something, for a tracker.
    Track,
    /// It looks at a server.
    Check,
    /// As `Check`, for somebody who waits for it.
    Asked,
    /// It tells somebody something, or it is a service of this box.
    Other,
}

impl Kind {
    fn of(owner: Owner) -> Self {
        match owner {
            Owner::Engine(id) => Self::of_run(id),
            Owner::Asked(_) => Kind::Asked,
            Owner::Reader(_) | Owner::Hook => Kind::Other,
        }
    }

    fn of_run(id: RunId) -> Self {
        match id.owner {
            RunOwner::Track(_) => Kind::Track,
            RunOwner::Check(_) => Kind::Check,
            RunOwner::Notify(_) | RunOwner::PreActive(_) | RunOwner::Supervised(_) => Kind::Other,
        }
    }
}

/// How many more may run: of all, of those that look at something, and of those that look at servers.
#[derive(Debug, Clone, Copy)]
struct Room {
    all: usize,
    looks: usize,
    checks: usize,
}

impl Room {
    fn is_for(self, id: RunId) -> bool {
        let own = match Kind::of_run(id) {
            Kind::Track => self.looks,
            Kind::Check => self.looks.min(self.checks),
            Kind::Asked | Kind::Other => self.all,
        };
        own.min(self.all) > 0
    }
}

/// So many may wait when this one comes: scripts that look at something leave room for what has to be told.
fn queue_max(id: RunId) -> usize {
    match Kind::of_run(id) {
        Kind::Track | Kind::Check => limits::RUN_QUEUE_MAX / 2,
        Kind::Asked | Kind::Other => limits::RUN_QUEUE_MAX,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running {
        end_at: Option<Instant>,
    },
    /// SIGTERM was sent. When is SIGKILL due?
    Ending {
        kill_at: Instant,
    },
    /// SIGKILL was sent; it ends when the kernel lets it.
    Killed,
}

impl Runner {
    /// A runner without programs.
    ///
    /// # Errors
    /// There is no `/dev/null`, or no descriptor is left.
    pub fn open() -> io::Result<Self> {
        Ok(Runner {
            accounts: Accounts::default(),
            runs: Vec::new(),
            queue: VecDeque::new(),
            ended: VecDeque::new(),
            taps: Taps::default(),
            words: Words::default(),
            null: open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?,
            failures: pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?,
        })
    }

    /// Keeps in mind as whom the programs of a service run, for the next `configure`.
    pub fn learn(&mut self, service: &Service) {
        self.accounts.learn(service);
    }

    /// Reads the users and groups that the programs of a configuration run as; its services were learned.
    pub fn configure(&mut self, config: &Config) {
        self.accounts.configure(config);
    }

    pub(super) fn account(&self, user: Option<&str>, group: Option<&str>) -> Result<Account, NoAccount> {
        self.accounts.find(user, group)
    }

    /// Starts a program of the engine, or puts it into the queue. How it ended comes from a later `process`,
    /// also where it is known at once.
    pub fn start(&mut self, now: Instant, id: RunId, spec: &RunSpec<'_>) {
        if self.room().is_for(id) {
            let more = spec.arguments.iter().map(|argument| argument.as_str());
            self.launch(now, Owner::Engine(id), spec.command, more, Some(spec.command.timeout));
        } else if self.queue.len() < queue_max(id) {
            self.queue.push_back(id);
        } else {
            self.refuse(Owner::Engine(id), Errno::EAGAIN);
        }
    }

    /// A program whose turn has come; `start` it with what it is to do now, or forget it.
    pub fn next_waiting(&mut self) -> Option<RunId> {
        let room = self.room();
        let at = self.queue.iter().position(|id| room.is_for(*id))?;
        self.queue.remove(at)
    }

    /// Starts the reader of a FIFO.
    pub(super) fn start_reader(&mut self, now: Instant, kind: FifoKind, command: &Command, path: &str) {
        self.launch(now, Owner::Reader(kind), command, core::iter::once(path), None);
    }

    /// Starts the script of a check because somebody asks for it. There are few of them, and they wait for no
    /// place; where too many programs run it is refused.
    pub(super) fn start_asked(&mut self, now: Instant, id: ProbeId, command: &Command) {
        if self.runs.len() < limits::RUNS_MAX {
            self.launch(now, Owner::Asked(id), command, core::iter::empty(), Some(command.timeout));
        } else {
            self.refuse(Owner::Asked(id), Errno::EAGAIN);
        }
    }

    /// Starts a program that its caller waits for, to its deadline.
    pub(super) fn start_hook(&mut self, now: Instant, command: &Command) {
        self.launch(now, Owner::Hook, command, core::iter::empty(), Some(command.timeout));
    }

    /// Ends a program; no end is told of it.
    pub fn stop(&mut self, now: Instant, owner: Owner) {
        if let Owner::Engine(id) = owner {
            self.queue.retain(|waiting| *waiting != id);
        }
        self.ended.retain(|ended| ended.owner != owner);
        for run in self.runs.iter_mut().filter(|run| run.owner == Some(owner)) {
            run.owner = None;
            run.end(now);
        }
    }

    /// Adds what is waited for to this turn's set.
    pub fn register(&mut self, set: &mut PollSet) {
        self.taps.register(set);
    }

    /// When `process` has to be called at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let at_once = (!self.ended.is_empty()).then_some(Instant::ZERO);
        let runs = self.runs.iter().filter_map(|run| match run.state {
            State::Running { end_at } => end_at,
            State::Ending { kill_at } => Some(kill_at),
            State::Killed => None,
        });
        runs.chain(at_once).min()
    }

    /// Looks after all programs; `sink` gets each that has ended. `child`: a child of this process has ended
    /// (SIGCHLD) since the last call.
    pub fn process(&mut self, now: Instant, set: &PollSet, child: bool, sink: &mut dyn FnMut(Ended)) {
        self.taps.process(set);
        while let Some(ended) = self.ended.pop_front() {
            sink(ended);
        }
        let mut index = 0;
        while let Some(run) = self.runs.get_mut(index) {
            let exit = if child { spawn::exit(run.pid) } else { None };
            if matches!(exit, Some(Exit::Code(spawn::NOT_FOUND) | Exit::Lost)) && run.failure.is_none() {
                read_failures(&self.failures.0, &mut self.runs);
            }
            let Some(run) = self.runs.get_mut(index) else { break };
            let is_over = match exit {
                Some(exit) => run.handle_end(now, exit, sink),
                None => run.tick(now, sink),
            };
            if is_over {
                let _ = waitpid(run.pid, Some(WaitPidFlag::WNOHANG));
                self.runs.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// How many programs are there, those that are being ended included?
    pub fn count(&self) -> usize {
        self.runs.len()
    }

    /// Tells all to end, and forgets those that wait.
    pub fn end_all(&mut self, now: Instant) {
        self.queue.clear();
        self.ended.clear();
        for run in &mut self.runs {
            run.owner = None;
            run.end(now);
        }
    }

    /// After `end_all`: has every leader ended? What is left of their groups has had its SIGTERM, too.
    pub fn is_ended(&self) -> bool {
        self.runs.iter().all(|run| run.state == State::Killed || spawn::exit(run.pid).is_some())
    }

    /// Kills what is left of all groups, and waits for none of them.
    pub fn kill_all(&mut self) {
        for run in self.runs.drain(..) {
            run.signal(Signal::SIGKILL);
            let _ = waitpid(run.pid, Some(WaitPidFlag::WNOHANG));
        }
    }

    fn room(&self) -> Room {
        let mut room = Room {
            all: limits::RUNS_MAX.saturating_sub(self.runs.len()),
            looks: limits::RUNS_TRACK_MAX,
            checks: limits::RUNS_CHECK_MAX,
        };
        for run in &self.runs {
            match run.kind {
                Kind::Track => room.looks = room.looks.saturating_sub(1),
                Kind::Check => {
                    room.looks = room.looks.saturating_sub(1);
                    room.checks = room.checks.saturating_sub(1);
                }
                Kind::Asked | Kind::Other => {}
            }
        }
        room
    }

    fn launch<'w>(
        &mut self,
        now: Instant,
        owner: Owner,
        command: &'w Command,
        more: impl Iterator<Item = &'w str>,
        timeout: Option<Duration>,
    ) {
        match self.try_launch(owner, command, more) {
            Ok(pid) => self.runs.push(Run {
                owner: Some(owner),
                pid,
                started: now,
                state: State::Running { end_at: timeout.map(|timeout| now + timeout) },
                kind: Kind::of(owner),
                failure: None,
            }),
            Err(errno) => self.refuse(owner, errno),
        }
    }

    fn try_launch<'w>(
        &mut self,
        owner: Owner,
        command: &'w Command,
        more: impl Iterator<Item = &'w str>,
    ) -> Result<Pid, Errno> {
        let account = self.accounts.find(command.user.as_deref(), command.group.as_deref());
        let account = account.map_err(|NoAccount(why)| {
            log::debug!("{}: {why}", name(command));
            Errno::EINVAL
        })?;
        self.words.fill(command.argv.iter().map(String::as_str).chain(more))?;
        let tap = self.taps.open();
        let plan = Plan {
            program: None,
            words: &self.words,
            account: &account,
            input: self.null.as_fd(),
            output: tap.as_ref().map_or(self.null.as_fd(), |(_, write)| write.as_fd()),
            failures: self.failures.1.as_fd(),
        };
        let pid = spawn::spawn(&plan)?;
        log::trace!("process {pid} for {owner:?}: {}", name(command));
        if let Some((read, _)) = tap {
            self.taps.add(read, name(command));
        }
        Ok(pid)
    }

    fn refuse(&mut self, owner: Owner, errno: Errno) {
        let outcome = RunOutcome::NotStarted(errno as i32);
        self.ended.push_back(Ended { owner, outcome, took: Duration::ZERO });
    }
}

impl Run {
    /// The leader has ended. Gives whether nothing is left to be done for it.
    fn handle_end(&mut self, now: Instant, exit: Exit, sink: &mut dyn FnMut(Ended)) -> bool {
        match self.state {
            State::Running { .. } => {
                let outcome = match (self.failure, exit) {
                    (Some(errno), _) => RunOutcome::NotStarted(errno),
                    (None, Exit::Signal(signal)) => RunOutcome::Killed(signal),
                    (None, Exit::Code(code)) => RunOutcome::Exited(code),
                    (None, Exit::Lost) => RunOutcome::Exited(spawn::NOT_FOUND),
                };
                match self.kind {
                    // Whatever its group still holds (HC-46).
                    Kind::Track | Kind::Check | Kind::Asked => self.signal(Signal::SIGKILL),
                    Kind::Other => {}
                }
                self.tell(now, outcome, sink);
                true
            }
            // Others of its group may be busy ending; they have the time that is left.
            State::Ending { .. } => {
                self.tell(now, RunOutcome::TimedOut, sink);
                self.tick(now, sink);
                self.state == State::Killed || exit == Exit::Lost
            }
            State::Killed => true,
        }
    }

    /// What is due while the leader lives.
    fn tick(&mut self, now: Instant, sink: &mut dyn FnMut(Ended)) -> bool {
        match self.state {
            State::Running { end_at: Some(at) } if at <= now => self.end(now),
            State::Ending { kill_at } if kill_at <= now => {
                self.signal(Signal::SIGKILL);
                self.state = State::Killed;
                // Whoever is stuck in the kernel must not keep those behind it from their turn.
                self.tell(now, RunOutcome::TimedOut, sink);
                // A leader that had ended before waits for nothing but this.
                return spawn::exit(self.pid).is_some();
            }
            State::Running { .. } | State::Ending { .. } | State::Killed => {}
        }
        false
    }

    fn end(&mut self, now: Instant) {
        if let State::Running { .. } = self.state {
            self.signal(Signal::SIGTERM);
            // A stopped process takes no other signal.
            self.signal(Signal::SIGCONT);
            self.state = State::Ending { kill_at: now + GRACE };
        }
    }

    /// To its whole group, as long as its number is certainly its own.
    fn signal(&self, signal: Signal) {
        if spawn::exit(self.pid) != Some(Exit::Lost) {
            let _ = killpg(self.pid, signal);
        }
    }

    fn tell(&mut self, now: Instant, outcome: RunOutcome, sink: &mut dyn FnMut(Ended)) {
        if let Some(owner) = self.owner.take() {
            let took = if self.started < now { now - self.started } else { Duration::ZERO };
            sink(Ended { owner, outcome, took });
        }
    }
}

/// Takes in which children could not become their program. Those that nobody knows any more are dropped.
fn read_failures(from: &OwnedFd, runs: &mut [Run]) {
    let mut message = [0; 8];
    // One for each program at most; the pipe holds no more.
    for _ in 0..limits::RUNS_MAX * 2 {
        let Ok(8) = read(from, &mut message) else { return };
        let Some((pid, errno)) = spawn::failure(&message) else { return };
        if let Some(run) = runs.iter_mut().find(|run| run.pid == pid) {
            run.failure = Some(errno as i32);
        }
    }
}

/// The program as the log names it: the last part of its path.
fn name(command: &Command) -> Reason {
    let path = command.argv.first().map_or("", String::as_str);
    cut(format_args!("{}", path.rsplit('/').next().unwrap_or(path)))
}
