//! Signals, read as bytes from a descriptor.

use super::poll::{Interest, PollSet};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// SIGTERM, SIGINT.
    Leave,
    /// SIGHUP.
    Reload,
    /// SIGCHLD: some child has ended.
    Child,
}

/// The signals that the daemon takes. They are blocked for this process; children get a clean mask from
/// `std::process::Command`.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    slot: usize,
}

impl Signals {
    /// Blocks the signals and opens the descriptor.
    ///
    /// # Errors
    /// What sigprocmask(2) and signalfd(2) say.
    pub fn open() -> nix::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd, slot: 0 })
    }

    /// Adds the descriptor for this turn.
    pub fn register(&mut self, poll: &mut PollSet) {
        self.slot = poll.add(self.fd.as_fd(), Interest::Read);
    }

    /// The next wish, if there is one.
    pub fn take(&mut self, poll: &PollSet) -> Option<Wish> {
        if !poll.is_ready(self.slot) {
            return None;
        }
        let info = self.fd.read_signal().ok()??;
        match Signal::try_from(i32::try_from(info.ssi_signo).ok()?) {
            Ok(Signal::SIGTERM | Signal::SIGINT) => Some(Wish::Leave),
            Ok(Signal::SIGHUP) => Some(Wish::Reload),
            Ok(_) | Err(_) => Some(Wish::Child),
        }
    }
}
