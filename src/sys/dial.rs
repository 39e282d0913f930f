//! Connections to servers, made without waiting.

use crate::engine::{LinkName, Outcome};
use crate::model::cut;
use crate::probe::span;
use crate::time::Duration;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getsockname, getsockopt, socket,
    sockopt,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Where a probe goes, and which way it leaves; the kernel's choice where not given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Where to.
    pub(super) address: SocketAddr,
    /// Source address.
    pub(super) source: Option<IpAddr>,
    /// Source port; 0: none given.
    pub(super) source_port: u16,
    /// Interface.
    pub(super) interface: Option<LinkName>,
    /// Firewall mark; 0: none.
    pub(super) mark: u32,
}

impl Target {
    /// The way is the kernel's choice.
    pub(super) fn new(address: SocketAddr) -> Self {
        Target { address, source: None, source_port: 0, interface: None, mark: 0 }
    }
}

/// Begins a connection (HC-3); it is made, or not, when the socket is ready to be written.
///
/// # Errors
/// The outcome, where it is known at once.
pub(super) fn dial(target: &Target, timeout: Duration) -> Result<OwnedFd, Outcome> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(family(target.address), SockType::Stream, flags, None).map_err(no_socket)?;
    if target.source_port != 0 {
        // Whoever closes first keeps the port for a minute, and the next probe of the same server would not
        // get it. The connection is reset instead.
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        set(&socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    } else if target.source.is_some() {
        // Only with the connection: else probes from one address could use each port but once.
        set(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32);
    }
    leave_by(&socket, target)?;
    join(&socket, target.address, timeout)?;
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

/// Binds a socket to an interface, a mark, and a source address and port. That the interface or the address
/// is not there is a verdict: whoever named it wants to know whether this very way works. All else that is
/// refused is this host's own affair (HC-4).
///
/// # Errors
/// The outcome of the probe.
pub(super) fn leave_by(socket: &OwnedFd, target: &Target) -> Result<(), Outcome> {
    if let Some(name) = &target.interface {
        let bytes = name.as_str().as_bytes();
        // The kernel adds the NUL itself.
        match set_bytes(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, bytes) {
            Ok(()) => {}
            Err(Errno::ENODEV) => {
                return Err(Outcome::Failed(cut(format_args!("no interface {name}"))));
            }
            Err(errno) => {
                return Err(Outcome::NotRun(cut(format_args!("cannot use {name}: {}", errno.desc()))));
            }
        }
    }
    if target.mark != 0 {
        let bytes = target.mark.to_ne_bytes();
        if let Err(errno) = set_bytes(socket, libc::SOL_SOCKET, libc::SO_MARK, &bytes) {
            return Err(Outcome::NotRun(cut(format_args!("cannot set its mark: {}", errno.desc()))));
        }
    }
    if target.source.is_none() && target.source_port == 0 {
        return Ok(());
    }
    if target.source_port != 0 {
        // The same port for several servers at one time.
        set(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1_i32);
    }
    let any = match target.address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = SocketAddr::new(target.source.unwrap_or(any), target.source_port);
    match bind(socket.as_raw_fd(), &SockaddrStorage::from(source)) {
        Ok(()) => Ok(()),
        Err(Errno::EADDRNOTAVAIL) => {
            let source = source.ip();
            Err(Outcome::Failed(cut(format_args!("its source {source} is not on this router"))))
        }
        Err(errno) if target.source_port == 0 => {
            let source = source.ip();
            Err(Outcome::NotRun(cut(format_args!("cannot use {source}: {}", errno.desc()))))
        }
        Err(errno) => Err(Outcome::NotRun(cut(format_args!("cannot use {source}: {}", errno.desc())))),
    }
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

/// Sets an option that the probe cannot do without.
fn set_bytes(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &[u8]) -> Result<(), Errno> {
    let (fd, len) = (socket.as_raw_fd(), value.len() as libc::socklen_t);
    // SAFETY: the pointer is to `value`, which lives until the call is over, and the length is its own.
    let result = unsafe { libc::setsockopt(fd, level, option, value.as_ptr().cast(), len) };
    Errno::result(result).map(drop)
}

/// What became of the connection to `address`, once the socket is ready.
///
/// # Errors
/// The outcome, where there is no connection.
pub(super) fn made(socket: &OwnedFd, address: SocketAddr, timeout: Duration) -> Result<(), Outcome> {
    match getsockopt(socket, sockopt::SocketError) {
        Ok(0) if is_at(socket, address) => Err(verdict(Errno::ECONNREFUSED, timeout)),
        Ok(0) => Ok(()),
        Ok(errno) => Err(verdict(Errno::from_raw(errno), timeout)),
        Err(errno) => Err(verdict(errno, timeout)),
    }
}

/// Nobody listens on a port of this host, and the kernel gave the connection just that port as its own: TCP's
/// simultaneous open connects it to itself.
fn is_at(socket: &OwnedFd, address: SocketAddr) -> bool {
    let Ok(ours) = getsockname::<SockaddrStorage>(socket.as_raw_fd()) else { return false };
    let v4 = ours.as_sockaddr_in().map(|v4| (IpAddr::V4(v4.ip()), v4.port()));
    let v6 = || ours.as_sockaddr_in6().map(|v6| (IpAddr::V6(v6.ip()), v6.port()));
    v4.or_else(v6) == Some((address.ip(), address.port()))
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
