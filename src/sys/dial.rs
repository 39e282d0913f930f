//! Connections to servers, made without waiting.

use crate::engine::Outcome;
use crate::model::cut;
use crate::probe::span;
use crate::time::Duration;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getpeername, getsockname, getsockopt,
    socket, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// Begins a connection (HC-3); it is made, or not, when the socket is ready to be written.
///
/// # Errors
/// The outcome, where it is known at once.
pub(super) fn dial(address: SocketAddr, timeout: Duration) -> Result<OwnedFd, Outcome> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    // Without a socket there is no verdict, whatever the errno (HC-4).
    let socket = socket(family, SockType::Stream, flags, None)
        .map_err(|errno| Outcome::NotRun(cut(format_args!("no socket: {}", errno.desc()))))?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(verdict(errno, timeout)),
    }
}

/// What became of the connection, once the socket is ready.
///
/// # Errors
/// The outcome, where there is no connection.
pub(super) fn made(socket: &OwnedFd, timeout: Duration) -> Result<(), Outcome> {
    match getsockopt(socket, sockopt::SocketError) {
        Ok(0) if is_to_itself(socket) => Err(verdict(Errno::ECONNREFUSED, timeout)),
        Ok(0) => Ok(()),
        Ok(errno) => Err(verdict(Errno::from_raw(errno), timeout)),
        Err(errno) => Err(verdict(errno, timeout)),
    }
}

/// Nobody listens on a port of this host, and the kernel gave the connection just that port as its own: TCP's
/// simultaneous open connects it to itself.
fn is_to_itself(socket: &OwnedFd) -> bool {
    let fd = socket.as_raw_fd();
    match (getsockname::<SockaddrStorage>(fd), getpeername::<SockaddrStorage>(fd)) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Ok(_) | Err(_), _) => false,
    }
}

/// HC-4: what the network says is a verdict on the server, what this host lacks is none.
fn verdict(errno: Errno, timeout: Duration) -> Outcome {
    match errno {
        Errno::ECONNREFUSED => Outcome::Failed(cut(format_args!("connection refused"))),
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Outcome::Failed(cut(format_args!("no route to host"))),
        Errno::ENETUNREACH => Outcome::Failed(cut(format_args!("no route to its network"))),
        Errno::ENETDOWN => Outcome::Failed(cut(format_args!("network is down"))),
        Errno::ECONNRESET | Errno::ECONNABORTED => Outcome::Failed(cut(format_args!("connection reset"))),
        Errno::ETIMEDOUT => Outcome::Failed(cut(format_args!("no answer within {}", span(timeout)))),
        other => Outcome::NotRun(cut(format_args!("cannot connect: {}", other.desc()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_trouble_is_no_verdict_hc4() {
        let timeout = Duration::from_secs(3);
        for errno in [
            Errno::ENETUNREACH,
            Errno::EHOSTUNREACH,
            Errno::ECONNREFUSED,
            Errno::EHOSTDOWN,
            Errno::ENETDOWN,
            Errno::ECONNRESET,
            Errno::ECONNABORTED,
            Errno::ETIMEDOUT,
        ] {
            assert!(matches!(verdict(errno, timeout), Outcome::Failed(_)), "{errno}: a dead server stays up");
        }
        for errno in [Errno::EMFILE, Errno::ENOMEM, Errno::EACCES, Errno::EPERM, Errno::EADDRNOTAVAIL] {
            assert!(matches!(verdict(errno, timeout), Outcome::NotRun(_)), "{errno}: all servers go down");
        }
    }
}
