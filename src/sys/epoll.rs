//! Many descriptors behind one in the loop's poll: a turn costs what is ready, not what is waited for.

use super::poll::Interest;
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A set of descriptors that stays from turn to turn (epoll(7), level-triggered).
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

/// What is ready, by the number that it was added with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) key: u64,
    /// Something to read, or an end, or an error: more than mere room to write.
    pub(super) is_more_than_room: bool,
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM; ENOSYS from a kernel without CONFIG_EPOLL.
    pub(super) fn open() -> nix::Result<Self> {
        // SAFETY: numbers only.
        let fd = Errno::result(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: it is new and nobody else's.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Is ready when one of the set is.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits for a descriptor. It leaves the set by `remove`, or with its last copy, the one in another
    /// process included.
    ///
    /// # Errors
    /// ENOMEM; ENOSPC (`fs.epoll.max_user_watches`).
    pub(super) fn add(&self, fd: BorrowedFd<'_>, interest: Interest, key: u64) -> nix::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, interest, key)
    }

    /// Waits for something else of a descriptor of the set.
    ///
    /// # Errors
    /// ENOENT: it is not there.
    pub(super) fn change(&self, fd: BorrowedFd<'_>, interest: Interest, key: u64) -> nix::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, interest, key)
    }

    /// Waits for it no longer.
    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        // The event is not looked at; kernels before 2.6.9 wanted one.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, Interest::Read, 0);
    }

    /// What is ready now, at most as many as `MAX`; the rest is told the next time.
    pub(super) fn ready<const MAX: usize>(&self) -> heapless::Vec<Ready, MAX> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX];
        // SAFETY: the array is ours and as long as said.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), MAX as libc::c_int, 0) };
        let ready = events.iter().take(usize::try_from(count).unwrap_or(0));
        ready
            .map(|event| {
                // The struct is packed on x86_64.
                let (bits, key) = (event.events, event.u64);
                Ready { key, is_more_than_room: bits & !(libc::EPOLLOUT as u32) != 0 }
            })
            .collect()
    }

    fn control(&self, op: libc::c_int, fd: BorrowedFd<'_>, interest: Interest, key: u64) -> nix::Result<()> {
        let bits = match interest {
            Interest::Read => libc::EPOLLIN,
            Interest::Write => libc::EPOLLOUT,
            Interest::Both => libc::EPOLLIN | libc::EPOLLOUT,
            Interest::HangUp => 0,
        };
        let mut event = libc::epoll_event { events: bits as u32, u64: key };
        // SAFETY: the event lives until the call is over.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), op, fd.as_raw_fd(), &raw mut event) };
        Errno::result(result).map(drop)
    }
}

/// Is something ready on one descriptor, now?
pub(super) fn look(fd: BorrowedFd<'_>, interest: Interest) -> Option<Ready> {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
        Interest::Both => libc::POLLIN | libc::POLLOUT,
        Interest::HangUp => 0,
    };
    let mut look = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one descriptor, which is ours until the call is over.
    let count = unsafe { libc::poll(&raw mut look, 1, 0) };
    (count > 0).then_some(Ready { key: 0, is_more_than_room: look.revents & !libc::POLLOUT != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_ready_is_told_until_it_is_not() {
        let epoll = Epoll::open().unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        epoll.add(ours.as_fd(), Interest::Read, 7).unwrap();
        assert!(epoll.ready::<4>().is_empty());
        theirs.write_all(b"x").unwrap();
        let read = Ready { key: 7, is_more_than_room: true };
        assert_eq!(epoll.ready::<4>()[..], [read]);
        assert_eq!(epoll.ready::<4>()[..], [read], "what is left over waits for the next turn");
        ours.read_exact(&mut [0]).unwrap();
        assert!(epoll.ready::<4>().is_empty());
        epoll.change(ours.as_fd(), Interest::Write, 8).unwrap();
        assert_eq!(epoll.ready::<4>()[..], [Ready { key: 8, is_more_than_room: false }]);
        drop(theirs);
        assert_eq!(epoll.ready::<4>()[..], [Ready { key: 8, is_more_than_room: true }], "an end is told");
        assert_eq!(look(ours.as_fd(), Interest::Read), Some(Ready { key: 0, is_more_than_room: true }));
        epoll.remove(ours.as_fd());
        assert!(epoll.ready::<4>().is_empty());
    }
}
