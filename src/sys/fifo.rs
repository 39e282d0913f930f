//! Named pipes that are told of every change (keepalived §2.6), and their readers.
//!
//! A pipe is open for reading, too, so that lines wait in it where nobody reads yet; when it is full, lines
//! are dropped and counted. Writing never waits (law 1).

use super::runner::{Ended, Owner, Runner};
use crate::model::Fifos as Wanted;
use crate::model::{Fifo, FifoKind};
use crate::time::{Duration, Instant};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, lstat};
use nix::unistd::{fchown, mkfifo, write};
use std::os::fd::{AsRawFd, OwnedFd};

/// The kinds, as they stand in the table.
const KINDS: [FifoKind; 3] = [FifoKind::All, FifoKind::Vrrp, FifoKind::Balance];
/// Between two lines about dropped ones.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// A reader that ended is started again after this; doubled each time, up to `BACKOFF_MAX`.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// All pipes.
#[derive(Debug, Default)]
pub struct Fifos {
    pipes: [Option<Pipe>; KINDS.len()],
}

#[derive(Debug)]
struct Pipe {
    kind: FifoKind,
    wanted: Fifo,
    /// `None`: it could not be opened, and the log says why.
    fd: Option<OwnedFd>,
    /// It was not there before us: (device, inode).
    made: Option<(libc::dev_t, libc::ino_t)>,
    dropped: u32,
    logged_at: Option<Instant>,
    reader: Reader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// None is wanted.
    None,
    Running {
        since: Instant,
        backoff: Duration,
    },
    /// When is the next one started?
    Waiting {
        start_at: Instant,
        backoff: Duration,
    },
}

impl Reader {
    fn wanted(now: Instant, wanted: &Fifo) -> Self {
        match wanted.script {
            Some(_) => Reader::Waiting { start_at: now, backoff: BACKOFF },
            None => Reader::None,
        }
    }
}

impl Fifos {
    /// Opens the pipes that are wanted and starts their readers; those of before that are not wanted any
    /// more go. What cannot be opened is logged, and the rest goes on.
    pub fn configure(&mut self, now: Instant, wanted: &Wanted, runner: &mut Runner) {
        let list = [&wanted.all, &wanted.vrrp, &wanted.balance];
        // All that go before any that come: a path may move from one kind to another.
        for ((place, kind), wanted) in self.pipes.iter_mut().zip(KINDS).zip(list) {
            let is_kept = |pipe: &Pipe| pipe.fd.is_some() && wanted.as_ref().is_some_and(|w| pipe.is_same(w));
            if let Some(mut pipe) = place.take_if(|pipe| !is_kept(pipe)) {
                runner.stop(now, Owner::Reader(kind));
                pipe.remove();
            }
        }
        for ((pipe, kind), wanted) in self.pipes.iter_mut().zip(KINDS).zip(list) {
            *pipe = match (pipe.take(), wanted) {
                (Some(mut pipe), Some(wanted)) => {
                    if pipe.wanted.script != wanted.script {
                        runner.stop(now, Owner::Reader(kind));
                        pipe.wanted = wanted.clone();
                        pipe.reader = Reader::wanted(now, wanted);
                    }
                    Some(pipe)
                }
                (_, Some(wanted)) => Some(Pipe::open(now, kind, wanted, runner)),
                (_, None) => None,
            };
        }
        self.tick(now, runner);
    }

    /// Writes a line (without its end) into the pipe of this kind, and into that of all kinds.
    pub fn write(&mut self, now: Instant, kind: FifoKind, line: &str) {
        for pipe in self.pipes.iter_mut().flatten() {
            if pipe.kind == kind || pipe.kind == FifoKind::All {
                pipe.write(now, line);
            }
        }
    }

    /// The reader of a pipe has ended: another one is started after a while.
    pub fn handle_ended(&mut self, now: Instant, kind: FifoKind, ended: Ended) {
        let Some(pipe) = self.pipes.iter_mut().flatten().find(|pipe| pipe.kind == kind) else { return };
        if let Reader::Running { since, backoff } = pipe.reader {
            let backoff = if now - since >= BACKOFF_MAX { BACKOFF } else { backoff };
            log::warn!(
                "the reader of {} {}; next one in {} s",
                pipe.wanted.path,
                ended.outcome,
                backoff.secs()
            );
            let next = (backoff * 2).min(BACKOFF_MAX);
            pipe.reader = Reader::Waiting { start_at: now + backoff, backoff: next };
        }
    }

    /// When is `tick` due?
    pub fn next_deadline(&self) -> Option<Instant> {
        let pipes = self.pipes.iter().flatten();
        pipes
            .filter_map(|pipe| match pipe.reader {
                Reader::Waiting { start_at, .. } => Some(start_at),
                Reader::None | Reader::Running { .. } => None,
            })
            .min()
    }

    /// Starts readers that are due.
    pub fn tick(&mut self, now: Instant, runner: &mut Runner) {
        for pipe in self.pipes.iter_mut().flatten() {
            let Some(command) = &pipe.wanted.script else { continue };
            if let Reader::Waiting { start_at, backoff } = pipe.reader
                && start_at <= now
            {
                runner.start_reader(now, pipe.kind, command, &pipe.wanted.path);
                pipe.reader = Reader::Running { since: now, backoff };
            }
        }
    }

    /// Have the readers taken all lines out?
    pub fn is_read(&self) -> bool {
        let mut running = self.pipes.iter().flatten().filter(|p| matches!(p.reader, Reader::Running { .. }));
        running.all(|pipe| pipe.fd.as_ref().is_none_or(|fd| unread(fd) == 0))
    }

    /// Closes all, and removes those that were not there before us. The readers are the runner's to end.
    pub fn close(&mut self) {
        for mut pipe in self.pipes.iter_mut().filter_map(Option::take) {
            pipe.remove();
        }
    }
}

impl Pipe {
    /// Is it the same pipe, whoever reads it?
    fn is_same(&self, wanted: &Fifo) -> bool {
        let Fifo { path, user, group, script: _ } = wanted;
        (path, user, group) == (&self.wanted.path, &self.wanted.user, &self.wanted.group)
    }

    fn open(now: Instant, kind: FifoKind, wanted: &Fifo, runner: &Runner) -> Self {
        let mut pipe = Pipe {
            kind,
            wanted: wanted.clone(),
            fd: None,
            made: None,
            dropped: 0,
            logged_at: None,
            reader: Reader::None,
        };
        match pipe.try_open(runner) {
            Ok(fd) => {
                pipe.fd = Some(fd);
                pipe.reader = Reader::wanted(now, wanted);
            }
            Err(why) => log::error!("FIFO {}: {why}; it is told nothing", wanted.path),
        }
        pipe
    }

    fn try_open(&mut self, runner: &Runner) -> Result<OwnedFd, String> {
        let path = self.wanted.path.as_str();
        let words = |errno: Errno| errno.desc().to_owned();
        let is_new = match mkfifo(path, Mode::from_bits_truncate(0o644)) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(words(errno)),
        };
        // Before it is opened: opening a device may do something, and a file would grow for ever.
        let found = lstat(path).map_err(words)?;
        if !is_fifo(found.st_mode) {
            return Err("it is there and is no FIFO".to_owned());
        }
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(words)?;
        let found = fstat(&fd).map_err(words)?;
        if !is_fifo(found.st_mode) {
            return Err("it is there and is no FIFO".to_owned());
        }
        if is_new {
            self.made = Some((found.st_dev, found.st_ino));
            let (user, group) = (self.wanted.user.as_deref(), self.wanted.group.as_deref());
            if user.is_some() || group.is_some() {
                let account = runner.account(user, group).map_err(|why| why.0);
                let owned = account.and_then(|account| {
                    fchown(&fd, user.map(|_| account.uid), Some(account.gid)).map_err(words)
                });
                if let Err(why) = owned {
                    log::warn!("FIFO {path}: its owner stays as it is: {why}");
                }
            }
        }
        Ok(fd)
    }

    fn write(&mut self, now: Instant, line: &str) {
        let Some(fd) = &self.fd else { return };
        // One write, far below PIPE_BUF: it goes in whole or not at all.
        let mut bytes = heapless::Vec::<u8, { crate::limits::TEXT_MAX + 1 }>::new();
        let cut = line.as_bytes().get(..crate::limits::TEXT_MAX).unwrap_or(line.as_bytes());
        if bytes.extend_from_slice(cut).is_err() || bytes.push(b'\n').is_err() {
            return;
        }
        if let Err(errno) = write(fd, &bytes) {
            self.dropped = self.dropped.saturating_add(1);
            if self.logged_at.is_none_or(|at| now - at >= LOG_INTERVAL) {
                self.logged_at = Some(now);
                let why = match errno {
                    Errno::EAGAIN => "it is full, nobody reads",
                    other => other.desc(),
                };
                let (path, dropped) = (&self.wanted.path, self.dropped);
                log::warn!("FIFO {path}: {why}; {dropped} lines were dropped so far");
            }
        }
    }

    /// Closes it; where it was not there before us, and nobody has put another one in its place, it goes.
    fn remove(&mut self) {
        self.fd = None;
        let path = self.wanted.path.as_str();
        if let Some(made) = self.made.take()
            && let Ok(found) = lstat(path)
            && (found.st_dev, found.st_ino) == made
        {
            let _ = nix::unistd::unlink(path);
        }
    }
}

fn is_fifo(mode: libc::mode_t) -> bool {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFIFO
}

/// Bytes that wait in a pipe.
fn unread(fd: &OwnedFd) -> libc::c_int {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, into ours.
    unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut count) };
    count
}
