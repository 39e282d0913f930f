//! Signals, read as bytes from a descriptor.

use super::poll::{Interest, PollSet};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
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
    /// Blocks the signals, puts SIGCHLD back to its default and opens the descriptor.
    ///
    /// # Errors
    /// What sigprocmask(2), sigaction(2) and signalfd(2) say.
    pub fn open() -> nix::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
            mask.add(signal);
        }
        mask.thread_block()?;
        // Where whoever started us ignores SIGCHLD, the kernel would reap every child before we ask how it
        // ended, and its number would soon be a stranger's.
        // SAFETY: no handler of ours is installed.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    /// In a child, whose signals are its own.
    #[test]
    fn sigchld_that_was_ignored_is_heard_again() {
        // SAFETY: the child makes system calls and nothing else.
        let code = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => waitpid(child, None).unwrap(),
            ForkResult::Child => {
                // SAFETY: no handler is installed; the grandchild ends at once, and so does the child.
                unsafe {
                    let _ = signal(Signal::SIGCHLD, SigHandler::SigIgn);
                    let is_open = Signals::open().is_ok();
                    let grandchild = libc::fork();
                    if grandchild == 0 {
                        libc::_exit(7);
                    }
                    let mut status = 0;
                    let got = libc::waitpid(grandchild, &mut status, 0);
                    let is_told = got == grandchild && libc::WEXITSTATUS(status) == 7;
                    libc::_exit(i32::from(!(is_open && is_told)))
                }
            }
        };
        assert!(matches!(code, WaitStatus::Exited(_, 0)), "how a program ended would be lost: {code:?}");
    }
}
