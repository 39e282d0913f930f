//! A netlink socket that never blocks.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recvmsg, send,
    setsockopt, socket, sockopt,
};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Tries after a signal.
const EINTR_MAX: usize = 8;

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    port: u32,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// A datagram from the kernel.
    Datagram(&'a [u8]),
    /// From another process (RTNL-3); to be ignored.
    Foreign,
    /// Nothing is left.
    Empty,
    /// Messages were lost: the queue was full (ENOBUFS), or a datagram did not fit into the buffer (RTNL-50,
    /// RTNL-52).
    Overrun,
    /// The socket is of no use any more: an errno.
    Failed(i32),
}

impl Socket {
    /// Opens, binds to a port of the kernel's choice and joins `groups` (a bit each). `receive_buffer` bytes:
    /// as many as wanted where we may (SO_RCVBUFFORCE), else as many as the system lets everybody have.
    ///
    /// # Errors
    /// What the system calls say.
    pub(super) fn open(protocol: SockProtocol, groups: u32, receive_buffer: usize) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        if setsockopt(&fd, sockopt::RcvBufForce, &receive_buffer).is_err() {
            let _ = setsockopt(&fd, sockopt::RcvBuf, &receive_buffer);
        }
        // Old kernels do not have them: no words to an error, and longer errors (RTNL-6).
        let _ = set_option(&fd, libc::NETLINK_EXT_ACK, 1);
        let _ = set_option(&fd, libc::NETLINK_CAP_ACK, 1);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        let port = getsockname::<NetlinkAddr>(fd.as_raw_fd())?.pid();
        Ok(Socket { fd, port })
    }

    /// Joins a group, or leaves it; more than fit into `open`'s bits.
    ///
    /// # Errors
    /// The errno; a kernel without IPv6 has groups for it all the same.
    pub(super) fn set_membership(&self, group: u32, is_member: bool) -> Result<(), i32> {
        let option = if is_member { libc::NETLINK_ADD_MEMBERSHIP } else { libc::NETLINK_DROP_MEMBERSHIP };
        set_option(&self.fd, option, group.cast_signed())
    }

    /// Dumps give what was asked for, and no caches (RTNL-6). Old kernels do not know it.
    pub(super) fn set_strict(&self) {
        let _ = set_option(&self.fd, libc::NETLINK_GET_STRICT_CHK, 1);
    }

    /// Our port id, which replies carry.
    pub(super) const fn port(&self) -> u32 {
        self.port
    }

    /// Sends a batch to the kernel, which has handled it when this returns.
    ///
    /// # Errors
    /// The errno; nothing was sent.
    pub(super) fn send(&self, batch: &[u8]) -> Result<(), i32> {
        for _ in 0..EINTR_MAX {
            // Without an address a netlink socket sends to the kernel.
            match send(self.fd.as_raw_fd(), batch, MsgFlags::MSG_DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno as i32),
            }
        }
        Err(libc::EINTR)
    }

    /// Reads one datagram.
    pub(super) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
        for _ in 0..EINTR_MAX {
            let mut slices = [IoSliceMut::new(buffer)];
            let result =
                recvmsg::<NetlinkAddr>(self.fd.as_raw_fd(), &mut slices, None, MsgFlags::MSG_DONTWAIT);
            let (len, truncated, sender) = match result {
                Ok(got) => (got.bytes, got.flags.contains(MsgFlags::MSG_TRUNC), got.address.map(|a| a.pid())),
                Err(nix::errno::Errno::EINTR) => continue,
                Err(nix::errno::Errno::EAGAIN) => return Received::Empty,
                Err(nix::errno::Errno::ENOBUFS) => return Received::Overrun,
                Err(errno) => return Received::Failed(errno as i32),
            };
            return match (sender, truncated) {
                (Some(0), false) => Received::Datagram(buffer.get(..len).unwrap_or(&[])),
                (Some(0), true) => Received::Overrun,
                (Some(_) | None, _) => Received::Foreign,
            };
        }
        Received::Empty
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn set_option(fd: &OwnedFd, option: libc::c_int, value: libc::c_int) -> Result<(), i32> {
    // SAFETY: the pointer is to `value`, which lives until the call is over, and the length is its own.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            core::ptr::from_ref(&value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if rc < 0 { Err(nix::errno::Errno::last_raw()) } else { Ok(()) }
}
