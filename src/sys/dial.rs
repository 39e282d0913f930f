//! Connections to servers, made without waiting.

use crate::engine::Outcome;
use crate::model::cut;
use crate::probe::span;
use crate::time::Duration;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getpeername, getsockname, getsockopt,
    socket, sockopt,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Which way a probe leaves; the kernel's choice where not given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Via<'a> {
    /// Source address.
    pub(super) source: Option<IpAddr>,
    /// Interface.
    pub(super) interface: Option<&'a str>,
}

/// Begins a connection (HC-3); it is made, or not, when the socket is ready to be written.
///
/// # Errors
/// The outcome, where it is known at once.
pub(super) fn dial(address: SocketAddr, via: Via<'_>, timeout: Duration) -> Result<OwnedFd, Outcome> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(family(address), SockType::Stream, flags, None).map_err(no_socket)?;
    if via.source.is_some() {
        // Only with the connection: else probes from one address could use each port but once.
        set(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32);
    }
    bind_to(&socket, via)?;
    join(&socket, address, timeout)?;
    Ok(socket)
}

/// Connects a socket without waiting.
///
/// # Errors
/// The outcome, where it is known at once.
pub(super) fn join(socket: &OwnedFd, address: SocketAddr, timeout: Duration) -> Result<(), Outcome> {
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(errno) => Err(verdict(errno, timeout)),
    }
}

/// Binds a socket to an interface and a source address. That one of them is not there is a verdict: whoever
/// named it wants to know whether this very way works.
///
/// # Errors
/// The outcome of the probe.
pub(super) fn bind_to(socket: &OwnedFd, via: Via<'_>) -> Result<(), Outcome> {
    if let Some(name) = via.interface {
        let fd = socket.as_raw_fd();
        let (name_at, len) = (name.as_ptr().cast(), name.len() as libc::socklen_t);
        // SAFETY: the pointer is to the name, as long as said; the kernel adds the NUL itself.
        let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name_at, len) };
        match Errno::result(result) {
            Ok(_) => {}
            Err(Errno::ENODEV) => {
                return Err(Outcome::Failed(cut(format_args!("no interface {name}"))));
            }
            Err(errno) => {
                return Err(Outcome::NotRun(cut(format_args!("cannot use {name}: {}", errno.desc()))));
            }
        }
    }
    if let Some(source) = via.source {
        match bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0))) {
            Ok(()) => {}
            Err(Errno::EADDRNOTAVAIL) => {
                return Err(Outcome::Failed(cut(format_args!("its source {source} is not on this router"))));
            }
            Err(errno) => {
                return Err(Outcome::NotRun(cut(format_args!("cannot use {source}: {}", errno.desc()))));
            }
        }
    }
    Ok(())
}

/// Of which family a socket to there is.
pub(super) fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// Without a socket there is no verdict, whatever the errno (HC-4).
pub(super) fn no_socket(errno: Errno) -> Outcome {
    Outcome::NotRun(cut(format_args!("no socket: {}", errno.desc())))
}

/// Sets an option that is good to have.
pub(super) fn set<T>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) {
    let (fd, len) = (socket.as_raw_fd(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the pointer is to `value`, which lives until the call is over, and the length is its own.
    unsafe { libc::setsockopt(fd, level, option, core::ptr::from_ref(value).cast(), len) };
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
pub(super) fn verdict(errno: Errno, timeout: Duration) -> Outcome {
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
