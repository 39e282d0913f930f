//! TCP, UDP and SCTP with one face: a line goes out, a line comes back.

use nix::sys::time::{TimeVal, TimeValLike};
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A transport protocol that IPVS carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        })
    }
}

/// A conversation of a client, or for UDP what has its port.
pub struct Talk {
    socket: OwnedFd,
    /// Bytes behind the last line.
    rest: Vec<u8>,
}

impl Talk {
    /// Connects; `timeout` holds for this and for every answer.
    pub fn open(kind: Transport, address: SocketAddr, timeout: Duration) -> Result<Talk> {
        Talk::open_from(kind, None, address, timeout)
    }

    /// As [`Talk::open`], from an address of the client's own choice.
    pub fn open_from(
        kind: Transport,
        from: Option<SocketAddr>,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Talk> {
        let socket = socket(kind, address, 0)?;
        let mut own = from.unwrap_or_else(|| SocketAddr::new(unspecified(address), 0));
        if own.port() == 0 {
            own.set_port(next_port());
        }
        bind(&socket, own)?;
        // Not in its parts: they have 32 bits on some processors.
        let limit = TimeVal::microseconds(timeout.as_micros() as i64);
        // The kernel takes the time for sending as the limit for a connection, too.
        option::<libc::timeval>(&socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, limit.as_ref())?;
        option::<libc::timeval>(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, limit.as_ref())?;
        let (raw, length) = raw(address);
        // SAFETY: pointer and length are those of `raw`.
        match check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const raw).cast(), length) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                Err(refusal(&socket).unwrap_or(error))
            }
            other => other.map(|_| Talk { socket, rest: Vec::new() }),
        }
    }

    /// Asks, and waits for the answer: who serves this conversation.
    pub fn ask(&mut self) -> Result<String> {
        self.ask_with(b"who\n")
    }

    /// As [`Talk::ask`], with a question in other words; a line, for TCP and SCTP.
    pub fn ask_with(&mut self, question: &[u8]) -> Result<String> {
        send(&self.socket, question)?;
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.drain(..=end).collect::<Vec<u8>>();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let mut bytes = [0; 512];
            match receive(&self.socket, &mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.rest.extend(&bytes[..count]),
            }
        }
    }
}

/// One request: connect, ask, close.
pub fn ask(kind: Transport, address: SocketAddr, timeout: Duration) -> Result<String> {
    Talk::open(kind, address, timeout)?.ask()
}

/// A server's socket, non-blocking.
pub fn listen(kind: Transport, address: SocketAddr) -> Result<OwnedFd> {
    let socket = socket(kind, address, libc::SOCK_NONBLOCK)?;
    option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
    if address.is_ipv6() {
        option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &1i32)?;
    }
    bind(&socket, address)?;
    if kind != Transport::Udp {
        // SAFETY: no pointers.
        check(unsafe { libc::listen(socket.as_raw_fd(), 64) })?;
    }
    Ok(socket)
}

/// The next conversation, non-blocking.
pub fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    let (none, flags) = (std::ptr::null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    // SAFETY: the kernel writes no address where none is asked for.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), none, std::ptr::null_mut(), flags) };
    // SAFETY: `fd` is new and nobody else's.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As `recv(2)`.
pub fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    // SAFETY: pointer and length are those of `bytes`.
    let count = unsafe { libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    usize::try_from(count).map_err(|_| Error::last_os_error())
}

/// As `send(2)`; a broken connection is an error, no signal.
pub fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<()> {
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: pointer and length are those of `bytes`.
    let count = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    if count < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Answers the datagrams that wait.
pub fn answer(socket: &OwnedFd, page: &[u8]) {
    // SAFETY: all zeros is a valid address of every family.
    let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    for _ in 0..16 {
        let mut bytes = [0u8; 512];
        let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        let (fd, into) = (socket.as_raw_fd(), (&raw mut from).cast());
        // SAFETY: pointers and lengths are those of `bytes` and `from`.
        let got =
            unsafe { libc::recvfrom(fd, bytes.as_mut_ptr().cast(), bytes.len(), 0, into, &raw mut length) };
        if got < 0 {
            return;
        }
        let to = (&raw const from).cast();
        // SAFETY: as above; the kernel has filled `length` bytes of `from`.
        unsafe { libc::sendto(fd, page.as_ptr().cast(), page.len(), libc::MSG_NOSIGNAL, to, length) };
    }
}

fn socket(kind: Transport, address: SocketAddr, flags: i32) -> Result<OwnedFd> {
    let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
    let (style, protocol) = match kind {
        Transport::Tcp => (libc::SOCK_STREAM, libc::IPPROTO_TCP),
        Transport::Udp => (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        Transport::Sctp => (libc::SOCK_STREAM, libc::IPPROTO_SCTP),
    };
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::socket(family, style | libc::SOCK_CLOEXEC | flags, protocol) })?;
    // SAFETY: `fd` is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind(socket: &OwnedFd, address: SocketAddr) -> Result<()> {
    let (raw, length) = raw(address);
    // SAFETY: pointer and length are those of `raw`.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
}

/// Every conversation has a port of its own: IPVS remembers for minutes to whom the last one of a port went.
fn next_port() -> u16 {
    const FIRST: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let turn = NEXT.fetch_add(1, Ordering::SeqCst) % (65_536 - FIRST);
    u16::try_from(FIRST + turn).unwrap_or(0)
}

fn unspecified(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Why nothing came of a connection in its time. All hosts are one kernel: an ICMP error comes back while the
/// client is still inside `connect`, is noted there, and ends nothing.
fn refusal(socket: &OwnedFd) -> Option<Error> {
    let (mut error, mut length) = (0i32, size_of::<i32>() as libc::socklen_t);
    let value = (&raw mut error).cast();
    let (fd, name) = (socket.as_raw_fd(), libc::SO_ERROR);
    // SAFETY: pointer and length are those of `error`.
    check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, value, &raw mut length) }).ok()?;
    (error != 0).then(|| Error::from_raw_os_error(error))
}

fn option<T>(socket: &OwnedFd, level: i32, name: i32, value: &T) -> Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = (&raw const *value).cast();
    // SAFETY: pointer and length are those of the value.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) }).map(drop)
}

fn check(returned: i32) -> Result<i32> {
    if returned < 0 { Err(Error::last_os_error()) } else { Ok(returned) }
}

/// An address as the kernel takes it.
fn raw(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeros is a valid address of every family.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than every address and aligned for it.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}
