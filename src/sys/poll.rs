//! One `ppoll` for the whole daemon.

use crate::time::Duration;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// What a component waits for on one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read (or an end, or an error).
    Read,
    /// Room to write (or a connection made, or an error).
    Write,
    /// Either.
    Both,
    /// That the other side is gone, or an error; both count for every interest.
    HangUp,
}

/// The descriptors of one turn. Each component adds its own before the wait, keeps the slot numbers, and asks
/// for them after it. The memory is reused from turn to turn.
#[derive(Default)]
pub struct PollSet {
    fds: Vec<libc::pollfd>,
}

impl PollSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor for this turn; the slot is valid until `clear`.
    pub fn add(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> usize {
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLOUT,
            Interest::HangUp => 0,
        };
        let fd: RawFd = fd.as_raw_fd();
        self.fds.push(libc::pollfd { fd, events, revents: 0 });
        self.fds.len() - 1
    }

    /// Is there something on this slot? Errors and hang-ups count: the next read or write tells them.
    pub fn is_ready(&self, slot: usize) -> bool {
        self.fds.get(slot).is_some_and(|p| p.revents != 0)
    }

    /// Waits until something is there or `timeout` (`None`: for ever) has passed. A signal counts as
    /// something.
    ///
    /// # Errors
    /// What ppoll(2) says, EINTR left out.
    pub fn wait(&mut self, timeout: Option<Duration>) -> std::io::Result<()> {
        let spec = timeout.map(|t| {
            let mut spec: libc::timespec = unsafe { core::mem::zeroed() };
            spec.tv_sec = t.secs() as _;
            spec.tv_nsec = ((t.total_micros() % 1_000_000) * 1000) as _;
            spec
        });
        let spec = spec.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: the array is ours and as long as said; the time, where not null, lives until the call is
        // over.
        let n = unsafe {
            libc::ppoll(self.fds.as_mut_ptr(), self.fds.len() as libc::nfds_t, spec, core::ptr::null())
        };
        if n < 0 {
            for p in &mut self.fds {
                p.revents = 0;
            }
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    }
}
