//! The first line of what a program writes, for the log.
//!
//! A tap stays open, and is emptied, for as long as anybody holds its other end, also when the program
//! itself has ended: a daemon that it left behind must not be killed by SIGPIPE because the log tells more.

use crate::limits;
use crate::model::{Reason, Text, cut};
use crate::sys::poll::{Interest, PollSet};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};
use std::os::fd::{AsFd, OwnedFd};

#[derive(Debug, Default)]
pub(super) struct Taps {
    list: Vec<Tap>,
}

#[derive(Debug)]
struct Tap {
    fd: OwnedFd,
    whose: Reason,
    line: heapless::Vec<u8, { limits::TEXT_MAX }>,
    /// The line is in the log; what comes now goes nowhere.
    is_told: bool,
    slot: Option<usize>,
}

impl Taps {
    /// The ends of a new one: ours, the program's. `None`: the log has no use for it, or there are too many.
    pub(super) fn open(&self) -> Option<(OwnedFd, OwnedFd)> {
        if !log::log_enabled!(log::Level::Debug) || self.list.len() >= limits::RUN_TAPS_MAX {
            return None;
        }
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).ok()?;
        // The program's end waits when it is full, as programs expect.
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).ok()?;
        Some((ours, theirs))
    }

    pub(super) fn add(&mut self, fd: OwnedFd, whose: Reason) {
        self.list.push(Tap { fd, whose, line: heapless::Vec::new(), is_told: false, slot: None });
    }

    pub(super) fn register(&mut self, set: &mut PollSet) {
        for tap in &mut self.list {
            tap.slot = Some(set.add(tap.fd.as_fd(), Interest::Read));
        }
    }

    pub(super) fn process(&mut self, set: &PollSet) {
        self.list.retain_mut(|tap| match tap.slot.take() {
            Some(slot) if set.is_ready(slot) => tap.drain(),
            Some(_) | None => true,
        });
    }
}

impl Tap {
    /// False when nobody holds the other end any more.
    fn drain(&mut self) -> bool {
        let mut buffer = [0; 4096];
        for _ in 0..limits::TAP_PER_TURN / buffer.len() {
            match read(&self.fd, &mut buffer) {
                Ok(len) if len > 0 => self.take(buffer.get(..len).unwrap_or(&[])),
                Err(Errno::EAGAIN | Errno::EINTR) => return true,
                Ok(_) | Err(_) => {
                    self.tell();
                    return false;
                }
            }
        }
        true
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.is_told {
            return;
        }
        for byte in bytes {
            if *byte == b'\n' || self.line.push(*byte).is_err() {
                self.tell();
                return;
            }
        }
    }

    fn tell(&mut self) {
        if !self.is_told && !self.line.is_empty() {
            let line: Text = cut(format_args!("{}", String::from_utf8_lossy(&self.line)));
            log::debug!("{}: {line}", self.whose);
        }
        self.is_told = true;
    }
}
