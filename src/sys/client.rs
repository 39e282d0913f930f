//! The command line's side of the control socket: one question, one answer, one deadline for all of it.

use crate::control::{FRAMED, Reply, parse_header};
use crate::time::Duration;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

/// How long a question may take in all. A healthy daemon needs milliseconds.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries where the daemon's queue of connections is full.
const RETRY_MS: u8 = 50;
/// A reply is read up to this size; a status of everything at its limit is smaller.
const REPLY_MAX: usize = 64 << 20;

/// Why there is no answer. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    NotRunning(String),
    /// Somebody does, and says nothing, or nothing of use; or we may not ask.
    NoAnswer(String),
}

impl Failure {
    /// Exit code: 3 not running, 4 does not answer.
    pub const fn code(&self) -> u8 {
        match self {
            Failure::NotRunning(_) => 3,
            Failure::NoAnswer(_) => 4,
        }
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::NotRunning(text) | Failure::NoAnswer(text) => f.write_str(text),
        }
    }
}

/// Asks the daemon at `path`. `request` is one line without its end ([`crate::control::Request`] prints it).
/// All of it takes at most `timeout`.
///
/// # Errors
/// [`Failure`], with the exit code that goes with it.
pub fn ask(path: &Path, request: &str, timeout: Duration) -> Result<Reply, Failure> {
    let end = Instant::now() + core::time::Duration::from(timeout);
    let mut stream = connect_by(path, end).map_err(|e| name_failure(&e, path))?;
    converse(&mut stream, request, end).map_err(|e| {
        let what = match e.kind() {
            ErrorKind::TimedOut => format!("did not answer within {} s", timeout.secs()),
            ErrorKind::InvalidData => e.to_string(),
            _ => format!("did not answer: {e}"),
        };
        Failure::NoAnswer(format!("vipd is running but {what} ({})", path.display()))
    })
}

/// Waits until `delay` is over or nobody reads our standard output any more; tells the latter.
pub fn is_output_closed_within(delay: Duration) -> bool {
    // A pipe without a reader shows POLLERR; events of our own are not wanted.
    wait(io::stdout().as_fd(), PollFlags::empty(), Instant::now() + core::time::Duration::from(delay)).is_ok()
}

/// Connects without waiting.
///
/// # Errors
/// `ConnectionRefused`: a file without a listener. `NotFound`: no file. `WouldBlock`: its queue is full.
pub(super) fn connect_now(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(path)?;
    connect(fd.as_raw_fd(), &address)?;
    Ok(UnixStream::from(fd))
}

fn connect_by(path: &Path, end: Instant) -> io::Result<UnixStream> {
    loop {
        match connect_now(path) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if Instant::now() >= end {
                    return Err(ErrorKind::TimedOut.into());
                }
                // Nothing to wait for: the queue has no event of its own.
                let _ = poll(&mut [], PollTimeout::from(RETRY_MS));
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

pub(super) fn converse(stream: &mut UnixStream, request: &str, end: Instant) -> io::Result<Reply> {
    let line = format!("{FRAMED}{request}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or(&[]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait(stream.as_fd(), PollFlags::POLLOUT, end)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // A daemon that is busy closes at once; what it said can be read all the same.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => break,
            Err(e) => return Err(e),
        }
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return understand(&bytes),
            Ok(n) => bytes.extend_from_slice(buffer.get(..n).unwrap_or(&[])),
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait(stream.as_fd(), PollFlags::POLLIN, end)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return understand(&bytes),
            Err(e) => return Err(e),
        }
        if bytes.len() > REPLY_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "its reply has no end"));
        }
        if Instant::now() >= end {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// A reply is whole only if it is as long as its header says.
fn understand(bytes: &[u8]) -> io::Result<Reply> {
    let invalid = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    if bytes.is_empty() {
        return Err(invalid("closed the connection without an answer"));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| invalid("its reply is not UTF-8"))?;
    let (first, body) = text.split_once('\n').unwrap_or((text, ""));
    let Some(report) = parse_header(first) else {
        let said: String = first.chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(invalid(&format!("answered \"{said}\"")));
    };
    if report.bytes != body.len() {
        return Err(invalid("its reply was cut short"));
    }
    Ok(Reply { code: report.code, body: body.to_owned() })
}

/// Waits until something is there; `TimedOut` where nothing came until `end`.
fn wait(fd: BorrowedFd<'_>, events: PollFlags, end: Instant) -> io::Result<()> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        // Rounded up, so that the last wait is not a spin.
        let millis = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        match poll(&mut [PollFd::new(fd, events)], PollTimeout::from(millis)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

fn name_failure(error: &io::Error, path: &Path) -> Failure {
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            Failure::NotRunning(format!("vipd is not running (nobody listens on {path})"))
        }
        ErrorKind::PermissionDenied => {
            Failure::NoAnswer(format!("not permitted to ask vipd on {path}: try as root"))
        }
        ErrorKind::TimedOut => Failure::NoAnswer(format!("vipd is running but does not answer ({path})")),
        _ => Failure::NoAnswer(format!("cannot ask vipd on {path}: {error}")),
    }
}
