//! The control socket: one request line in, one reply out, then the connection ends (`control`).
//!
//! Nothing here waits: a client that is slow to ask or to read has [`TIMEOUT`] for all of it, and there are
//! at most [`limits::CONTROL_CONNECTIONS_MAX`] of them. An answer may come later than its question
//! ([`Answer::Later`]); a client that hangs up meanwhile is forgotten.

use super::poll::{Interest, PollSet};
use crate::control::{FRAMED, Refused, Reply, Request, header};
use crate::limits;
use crate::time::{Duration, Instant};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// From the connection to its end, the reply's reading included. Longer: closed.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// No accepts for so long where the process is short of descriptors; the listener would spin the loop.
const PAUSE: Duration = Duration::from_secs(1);
/// What a client may have sent after its line; more is not read before the close.
const SURPLUS_MAX: usize = 16 << 10;

/// The listening socket with its connections. The socket's file goes when this is dropped.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    slot: Option<usize>,
    paused_until: Option<Instant>,
    connections: heapless::Vec<Connection, { limits::CONTROL_CONNECTIONS_MAX }>,
    /// The number of the next connection, wrapping.
    next_ticket: u32,
    path: PathBuf,
    /// Device and inode of the socket's file: that of another daemon is not removed.
    identity: Option<(u64, u64)>,
}

/// A question that is answered later: the number of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// When a question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// At once.
    Now(Reply),
    /// By [`ControlServer::reply`], before `by`. After that the connection is closed without a word.
    Later {
        /// The last moment.
        by: Instant,
    },
}

#[derive(Debug)]
struct Connection {
    ticket: Ticket,
    stream: UnixStream,
    slot: Option<usize>,
    close_at: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking {
        line: Vec<u8>,
    },
    /// The answer comes later, with its header line or without.
    Waiting {
        framed: bool,
    },
    Answering {
        bytes: Vec<u8>,
        sent: usize,
    },
}

/// What a connection's turn came to.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Goes,
    Over,
}

impl ControlServer {
    /// Makes the socket (mode 0660), and its directory (0755) where that is missing. The socket that a dead
    /// daemon left is replaced.
    ///
    /// # Errors
    /// `AddrInUse` where another daemon answers there, `AlreadyExists` where the path is no socket; else what
    /// the system says. The text is fit for the user.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .map_err(|e| explain(&e, &format!("cannot make the directory {}", parent.display())))?;
        }
        let listener = match UnixListener::bind(path) {
            Ok(listener) => listener,
            Err(e) if e.kind() == ErrorKind::AddrInUse => {
                remove_stale(path)?;
                UnixListener::bind(path).map_err(|e| cannot_make(&e, path))?
            }
            Err(e) => return Err(cannot_make(&e, path)),
        };
        // Before this others cannot connect either: that takes write permission, which umask 022 leaves out.
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(|e| cannot_make(&e, path))?;
        listener.set_nonblocking(true).map_err(|e| cannot_make(&e, path))?;
        let identity = identity(path);
        Ok(ControlServer {
            listener,
            slot: None,
            paused_until: None,
            connections: heapless::Vec::new(),
            next_ticket: 0,
            path: path.to_path_buf(),
            identity,
        })
    }

    /// Adds what this waits for in the coming turn.
    pub fn register(&mut self, set: &mut PollSet) {
        self.slot = match self.paused_until {
            None => Some(set.add(self.listener.as_fd(), Interest::Read)),
            Some(_) => None,
        };
        for connection in &mut self.connections {
            let interest = match connection.state {
                State::Asking { .. } => Interest::Read,
                State::Waiting { .. } => Interest::HangUp,
                State::Answering { .. } => Interest::Write,
            };
            connection.slot = Some(set.add(connection.stream.as_fd(), interest));
        }
    }

    /// Does what `set` says is ready, and closes what is overdue. `answer` is called once for each whole
    /// request that is understood.
    pub fn process(
        &mut self,
        now: Instant,
        set: &PollSet,
        answer: &mut dyn FnMut(Request, Ticket) -> Answer,
    ) {
        self.connections.retain_mut(|connection| {
            let ready = connection.slot.take().is_some_and(|slot| set.is_ready(slot));
            let turn = if ready { connection.turn(answer) } else { Turn::Goes };
            turn == Turn::Goes && now < connection.close_at
        });
        if self.paused_until.is_some_and(|until| now >= until) {
            self.paused_until = None;
        }
        if self.slot.take().is_some_and(|slot| set.is_ready(slot)) {
            self.accept(now);
        }
    }

    /// The answer that was to come later; it is sent in the next turns. A client that is gone gets none.
    pub fn reply(&mut self, now: Instant, ticket: Ticket, reply: &Reply) {
        let Some(connection) = self.connections.iter_mut().find(|c| c.ticket == ticket) else { return };
        if let State::Waiting { framed } = connection.state {
            let bytes = if framed { self::framed(reply) } else { reply.body.clone().into_bytes() };
            connection.state = State::Answering { bytes, sent: 0 };
            connection.close_at = now + TIMEOUT;
        }
    }

    /// Does somebody still wait for this answer?
    pub fn is_awaited(&self, ticket: Ticket) -> bool {
        let is_waiting = |state: &State| match state {
            State::Waiting { .. } => true,
            State::Asking { .. } | State::Answering { .. } => false,
        };
        self.connections.iter().any(|c| c.ticket == ticket && is_waiting(&c.state))
    }

    /// When [`ControlServer::process`] wants to be called although nothing is ready.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.connections.iter().map(|c| c.close_at).chain(self.paused_until).min()
    }

    /// At most as many as there may be connections, so that a crowd cannot hold the loop.
    fn accept(&mut self, now: Instant) {
        for _ in 0..limits::CONTROL_CONNECTIONS_MAX {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) => {
                    match e.kind() {
                        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                        _ => self.paused_until = Some(now + PAUSE),
                    }
                    return;
                }
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let ticket = Ticket(self.next_ticket);
            self.next_ticket = self.next_ticket.wrapping_add(1);
            let connection = Connection {
                ticket,
                stream,
                slot: None,
                close_at: now + TIMEOUT,
                state: State::Asking { line: Vec::new() },
            };
            if let Err(mut surplus) = self.connections.push(connection) {
                let _ = surplus.stream.write(b"vipd: busy, too many control connections are open\n");
            }
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Connection {
    fn turn(&mut self, answer: &mut dyn FnMut(Request, Ticket) -> Answer) -> Turn {
        if let State::Asking { line } = &mut self.state {
            let (framed, reply) = match read_line(&mut self.stream, line) {
                Asked::Partial => return Turn::Goes,
                Asked::Ended => return Turn::Over,
                Asked::Line => answer_line(line, self.ticket, answer),
                Asked::TooLong => {
                    let framed = line.starts_with(FRAMED.as_bytes());
                    (framed, Answer::Now(Reply::refused(Refused::TooLong)))
                }
            };
            self.state = match reply {
                Answer::Now(reply) if framed => State::Answering { bytes: self::framed(&reply), sent: 0 },
                Answer::Now(reply) => State::Answering { bytes: reply.body.into_bytes(), sent: 0 },
                Answer::Later { by } => {
                    self.close_at = by;
                    State::Waiting { framed }
                }
            };
            if let State::Waiting { .. } = self.state {
                return Turn::Goes;
            }
        }
        match &mut self.state {
            State::Asking { .. } => Turn::Goes,
            // Nothing else wakes it before its answer is there.
            State::Waiting { .. } => Turn::Over,
            State::Answering { bytes, sent } => match write_rest(&mut self.stream, bytes, sent) {
                Turn::Goes => Turn::Goes,
                Turn::Over => {
                    discard(&mut self.stream);
                    Turn::Over
                }
            },
        }
    }
}

/// How far the request line is.
enum Asked {
    Partial,
    Line,
    TooLong,
    Ended,
}

/// Reads until a line end, an end of file, or nothing more for now. `line` gets the line without its end.
fn read_line(stream: &mut UnixStream, line: &mut Vec<u8>) -> Asked {
    let mut buffer = [0; limits::REQUEST_MAX];
    loop {
        let n = match stream.read(&mut buffer) {
            // `printf status | nc` ends without a line end, and means it.
            Ok(0) if line.is_empty() => return Asked::Ended,
            Ok(0) => return Asked::Line,
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Asked::Partial,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return Asked::Ended,
        };
        let part = buffer.get(..n).unwrap_or(&[]);
        let end = part.iter().position(|b| *b == b'\n');
        let part = part.get(..end.unwrap_or(n)).unwrap_or(&[]);
        if line.len() + part.len() > limits::REQUEST_MAX {
            return Asked::TooLong;
        }
        line.extend_from_slice(part);
        if end.is_some() {
            return Asked::Line;
        }
    }
}

/// With or without its header line, and what is answered.
fn answer_line(
    line: &[u8],
    ticket: Ticket,
    answer: &mut dyn FnMut(Request, Ticket) -> Answer,
) -> (bool, Answer) {
    let text = String::from_utf8_lossy(line);
    let (framed, request) = match text.strip_prefix(FRAMED) {
        Some(request) => (true, request),
        None => (false, text.as_ref()),
    };
    let answer = match Request::parse(request) {
        Ok(request) => answer(request, ticket),
        Err(why) => Answer::Now(Reply::refused(why)),
    };
    (framed, answer)
}

fn framed(reply: &Reply) -> Vec<u8> {
    let mut bytes = header(reply).into_bytes();
    bytes.extend_from_slice(reply.body.as_bytes());
    bytes
}

fn write_rest(stream: &mut UnixStream, bytes: &[u8], sent: &mut usize) -> Turn {
    loop {
        let rest = match bytes.get(*sent..) {
            Some(rest) if !rest.is_empty() => rest,
            Some(_) | None => return Turn::Over,
        };
        match stream.write(rest) {
            Ok(0) => return Turn::Over,
            Ok(n) => *sent += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Turn::Goes,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Turn::Over,
        }
    }
}

/// A close with bytes unread turns the end of our reply into a "connection reset" at the client.
fn discard(stream: &mut UnixStream) {
    let mut buffer = [0; 1024];
    for _ in 0..SURPLUS_MAX / buffer.len() {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Removes the socket that nobody listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path).map_err(|e| cannot_make(&e, path))?.file_type();
    if !kind.is_socket() {
        let text =
            format!("{} is there and is not a socket: remove it, or choose another --socket", path.display());
        return Err(io::Error::new(ErrorKind::AlreadyExists, text));
    }
    match super::client::connect_now(path) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|e| cannot_make(&e, path))
        }
        // Gone meanwhile.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        // A full queue (EAGAIN) is a live daemon, too.
        Ok(_) | Err(_) => Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!("another vipd listens on {}: stop it first, or choose another --socket", path.display()),
        )),
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

fn cannot_make(error: &io::Error, path: &Path) -> io::Error {
    explain(error, &format!("cannot make the control socket {}", path.display()))
}

fn explain(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
