//! The workers as the loop sees them: started on demand, given one conversation at a time, killed when
//! they do not come back and when there is nothing to do.

use super::child::{Child, Program};
use super::poll::{Interest, PollSet};
use super::runner::spawn;
use super::{file, pair};
use crate::limits::{PEM_MAX, WORKERS_MAX};
use crate::model::{Reason, cut};
use crate::time::{Duration, Instant};
use crate::wire::job::{self, FILES_MAX, HttpTask, Job, REPORT_LEN, Report, ReportText, Task, Verdict};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A worker that has not said hello this long after its start is killed.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// A worker without a conversation is ended after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A worker that is not back this long after its deadline is killed. It keeps the deadline itself, so one
/// that is killed is stopped, starved, or taken over.
const GRACE: Duration = Duration::from_millis(250);
/// How much earlier than the loop a worker gives up, so that its reason arrives: it knows where the
/// server hung. An eighth of the time left at most.
const HEAD_START: Duration = Duration::from_millis(20);
/// No new worker this long after one died, or could not be started; doubled each time, up to `BACKOFF_MAX`.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// All workers. `W` says whose conversation one is.
pub(super) struct Crew<W> {
    program: Program,
    workers: [Option<Worker<W>>; WORKERS_MAX],
    /// Killed, not reaped yet.
    leaving: Vec<Child>,
    next_token: u32,
    /// No worker is started before this.
    start_at: Instant,
    backoff: Duration,
    /// Why the last start of a worker came to nothing.
    trouble: Option<Reason>,
    /// What the workers' confinement lacks, as last logged.
    lacking: Option<ReportText>,
}

struct Worker<W> {
    child: Child,
    pair: OwnedFd,
    state: State<W>,
    slot: Option<usize>,
}

enum State<W> {
    /// Its hello is awaited. Until then it gets no conversation: its start would take from the server's time.
    Starting {
        kill_at: Instant,
    },
    Idle {
        retire_at: Instant,
    },
    Talking {
        token: u32,
        whose: W,
        rank: usize,
    },
    /// Nobody waits for this conversation any more.
    Late {
        token: u32,
        rank: usize,
        kill_at: Instant,
    },
}

/// Why no worker took a conversation.
pub(super) enum NotTaken {
    /// All are busy, or none may be started now. Later.
    Busy,
    /// This conversation cannot be given to any, and why.
    Refused(Reason),
}

impl<W: Copy + PartialEq> Crew<W> {
    pub(super) fn new(program: Program) -> Self {
        Crew {
            program,
            workers: [const { None }; WORKERS_MAX],
            leaving: Vec::with_capacity(WORKERS_MAX),
            next_token: 1,
            start_at: Instant::ZERO,
            backoff: BACKOFF,
            trouble: None,
            lacking: None,
        }
    }

    /// Gives a conversation that has to be over at `deadline` to a worker, with its socket. `rank`: 0 for one
    /// that will not hang, as far as is known; conversations of this rank and above leave so many workers
    /// to those below.
    pub(super) fn give(
        &mut self,
        now: Instant,
        whose: W,
        rank: usize,
        deadline: Instant,
        job: &mut [u8],
        socket: BorrowedFd<'_>,
    ) -> Result<(), NotTaken> {
        if self.count_from(rank) + rank >= WORKERS_MAX {
            return Err(NotTaken::Busy);
        }
        let token = self.next_token;
        let left = if now < deadline { deadline - now } else { Duration::ZERO };
        job::stamp(job, token, left - HEAD_START.min(left / 8));
        let mut files = None;
        // Idle workers may turn out to be dead, each once.
        while let Some(index) = self.idle() {
            // Opened when a worker takes them and not before: conversations may wait by the thousand.
            let files = match &files {
                Some(files) => files,
                None => files.insert(open_files(job).map_err(NotTaken::Refused)?),
            };
            let passed: heapless::Vec<BorrowedFd<'_>, { pair::PASSED_MAX }> =
                core::iter::once(socket).chain(files.iter().map(AsFd::as_fd)).collect();
            let Some(worker) = self.workers.get_mut(index).and_then(Option::as_mut) else { break };
            match pair::send(worker.pair.as_fd(), job, &passed) {
                Ok(()) => {
                    worker.state = State::Talking { token, whose, rank };
                    // 0 is the token of a hello.
                    self.next_token = self.next_token.checked_add(1).unwrap_or(1);
                    return Ok(());
                }
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    self.died(now, index);
                }
                Err(error) => {
                    return Err(NotTaken::Refused(cut(format_args!("no worker takes it: {error}"))));
                }
            }
        }
        self.start(now);
        Err(NotTaken::Busy)
    }

    /// Nobody waits for this conversation any more, if a worker has it at all: the worker has a little
    /// while to come back.
    pub(super) fn give_up(&mut self, now: Instant, whose: W, deadline: Instant) {
        for worker in self.workers.iter_mut().flatten() {
            if let State::Talking { token, whose: other, rank } = worker.state
                && other == whose
            {
                worker.state = State::Late { token, rank, kill_at: now.max(deadline) + GRACE };
            }
        }
    }

    /// Why conversations wait, if it is not that all workers are busy.
    pub(super) fn trouble(&self) -> Option<&Reason> {
        self.trouble.as_ref()
    }

    /// When something has to be done. `waiting`: there are conversations that wait for a worker.
    pub(super) fn next_deadline(&self, waiting: bool) -> Option<Instant> {
        let start = (waiting && self.start_at > Instant::ZERO).then_some(self.start_at);
        let workers = self.workers.iter().flatten().filter_map(|worker| match worker.state {
            State::Idle { retire_at } => Some(retire_at),
            State::Talking { .. } => None,
            State::Starting { kill_at } | State::Late { kill_at, .. } => Some(kill_at),
        });
        workers.chain(start).min()
    }

    pub(super) fn register(&mut self, set: &mut PollSet) {
        for worker in self.workers.iter_mut().flatten() {
            worker.slot = Some(set.add(worker.pair.as_fd(), Interest::Read));
        }
    }

    /// Reads what the workers report, and looks after them. `sink` gets each conversation that ended:
    /// with a report, or (`None`) because its worker died.
    pub(super) fn process(&mut self, now: Instant, set: &PollSet, mut sink: impl FnMut(W, Option<Report>)) {
        for index in 0..WORKERS_MAX {
            let slot = self.workers.get_mut(index).and_then(Option::as_mut).and_then(|w| w.slot.take());
            if slot.is_some_and(|slot| set.is_ready(slot)) {
                self.read(now, index, &mut sink);
            }
            self.tick(now, index);
        }
        if self.start_at <= now {
            self.start_at = Instant::ZERO;
        }
        self.leaving.retain_mut(|child| child.exit().is_none());
    }

    /// Kills all workers. Whoever is not reaped now is left to init.
    pub(super) fn shutdown(&mut self) {
        for index in 0..WORKERS_MAX {
            self.kill(index);
        }
        self.leaving.retain_mut(|child| child.exit().is_none());
    }

    /// At most a hello and a report in one turn; more waits for the next one.
    fn read(&mut self, now: Instant, index: usize, sink: &mut impl FnMut(W, Option<Report>)) {
        for _ in 0..2 {
            let Some(worker) = self.workers.get_mut(index).and_then(Option::as_mut) else { return };
            let mut buffer = [0; REPORT_LEN];
            let message = match pair::receive(worker.pair.as_fd(), &mut buffer, libc::MSG_DONTWAIT) {
                Ok((len, _)) => buffer.get(..len).unwrap_or(&[]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => &[],
            };
            let report = Report::parse(message).ok();
            let idle = State::Idle { retire_at: now + IDLE_TIMEOUT };
            match (report, &worker.state) {
                (Some(report), State::Starting { .. }) if report.verdict == Verdict::Hello => {
                    worker.state = idle;
                    self.trouble = None;
                    tell(&mut self.lacking, report.reason);
                }
                (Some(report), State::Talking { token, whose, .. })
                    if report.token == *token && report.verdict != Verdict::Hello =>
                {
                    let whose = *whose;
                    worker.state = idle;
                    self.backoff = BACKOFF;
                    sink(whose, Some(report));
                }
                (Some(report), State::Late { token, .. }) if report.token == *token => worker.state = idle,
                // An end, an error, nonsense, or an answer to nothing: not to be trusted with another job.
                (_, State::Talking { whose, .. }) => {
                    let whose = *whose;
                    self.died(now, index);
                    sink(whose, None);
                }
                (_, State::Starting { .. }) => self.fail_to_start(now, index, message),
                (_, State::Idle { .. } | State::Late { .. }) => self.died(now, index),
            }
        }
    }

    fn tick(&mut self, now: Instant, index: usize) {
        let Some(worker) = self.workers.get(index).and_then(Option::as_ref) else { return };
        match worker.state {
            // Killed, not asked: it has talked to strangers, and may not listen any more.
            State::Idle { retire_at } if retire_at <= now => self.kill(index),
            State::Starting { kill_at } if kill_at <= now => self.fail_to_start(now, index, &[]),
            State::Late { kill_at, .. } if kill_at <= now => self.kill(index),
            State::Starting { .. } | State::Idle { .. } | State::Talking { .. } | State::Late { .. } => {}
        }
    }

    fn kill(&mut self, index: usize) {
        if let Some(worker) = self.workers.get_mut(index).and_then(Option::take) {
            worker.child.kill();
            self.leaving.push(worker.child);
        }
    }

    /// A worker died, or is to: the next one waits a little, so that a worker that dies at once is not
    /// started over and over.
    fn died(&mut self, now: Instant, index: usize) {
        log::warn!(
            "a worker ended unexpectedly; next one in {} ms at the earliest",
            self.backoff.total_millis()
        );
        self.kill(index);
        self.back_off(now);
    }

    /// `message`: the last that it said.
    fn fail_to_start(&mut self, now: Instant, index: usize, message: &[u8]) {
        self.trouble = Some(match spawn::failure(message) {
            Some((_, errno)) => cut(format_args!("no worker: {}", errno.desc())),
            None => cut(format_args!("no worker: it ended before it was ready")),
        });
        self.died(now, index);
    }

    fn back_off(&mut self, now: Instant) {
        self.start_at = now + self.backoff;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }

    /// How many conversations of this rank and above are there?
    fn count_from(&self, from: usize) -> usize {
        let counts = |worker: &&Worker<W>| match worker.state {
            State::Starting { .. } | State::Idle { .. } => false,
            State::Talking { rank, .. } | State::Late { rank, .. } => rank >= from,
        };
        self.workers.iter().flatten().filter(counts).count()
    }

    /// The first idle one, always: the others get old and are ended.
    fn idle(&self) -> Option<usize> {
        let is_idle = |worker: &Worker<W>| matches!(worker.state, State::Idle { .. });
        self.workers.iter().position(|worker| worker.as_ref().is_some_and(is_idle))
    }

    /// One at a time: each fork takes its time (law 1).
    fn start(&mut self, now: Instant) {
        let is_starting = |worker: &Worker<W>| matches!(worker.state, State::Starting { .. });
        if now < self.start_at || self.workers.iter().flatten().any(is_starting) {
            return;
        }
        let Some(place) = self.workers.iter_mut().find(|place| place.is_none()) else { return };
        match start(&self.program) {
            Ok((child, pair)) => {
                let state = State::Starting { kill_at: now + START_TIMEOUT };
                *place = Some(Worker { child, pair, state, slot: None });
            }
            Err(error) => {
                log::warn!("cannot start a worker: {}", error.desc());
                self.trouble = Some(cut(format_args!("no worker: {}", error.desc())));
                self.back_off(now);
            }
        }
    }
}

/// Starts a worker, which has its end of the pair and nothing else.
fn start(program: &Program) -> nix::Result<(Child, OwnedFd)> {
    let (ours, theirs) = pair::pair()?;
    Ok((program.start(Some(theirs.as_fd()))?, ours))
}

/// Opens the files that a job names; its worker, which may not, reads them.
///
/// # Errors
/// Why one cannot be read, with its path.
fn open_files(job: &[u8]) -> Result<heapless::Vec<File, FILES_MAX>, Reason> {
    let mut files = heapless::Vec::new();
    let Ok(Job { task: Task::Http(HttpTask { tls: Some(tls), .. }), .. }) = Job::parse(job) else {
        return Ok(files);
    };
    for path in tls.files() {
        let file = file::open_regular(Path::new(path)).map_err(|error| unreadable(path, &error))?;
        let len = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        if len > PEM_MAX as u64 {
            return Err(cut(format_args!("larger than {} MiB: {path}", PEM_MAX >> 20)));
        }
        // A job names no more of them.
        drop(files.push(file));
    }
    Ok(files)
}

/// The error first: a long path is cut.
fn unreadable(path: &str, error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(errno) => cut(format_args!("{}: {path}", nix::Error::from_raw(errno).desc())),
        None => cut(format_args!("not a file: {path}")),
    }
}

/// Logs what a worker's confinement lacks, when it is news.
fn tell(told: &mut Option<ReportText>, lacking: ReportText) {
    if told.as_ref() == Some(&lacking) {
        return;
    }
    match lacking.is_empty() {
        true => log::debug!("workers are confined"),
        false => log::warn!("workers are not fully confined, for lack of: {lacking}"),
    }
    *told = Some(lacking);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::tests::assert_does_not_wait_for_storage;

    #[test]
    fn law1_a_worker_is_started_without_waiting_for_its_storage() {
        assert_does_not_wait_for_storage("worker", |path| {
            let mut crew = Crew::<u32>::new(Program::new(path, ["vipd"].into_iter()));
            crew.start(Instant::ZERO);
            assert!(crew.workers.iter().any(Option::is_some), "{:?}", crew.trouble());
        });
    }
}
