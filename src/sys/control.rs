//! The control socket: one request line in, one reply out, then the connection ends (`control`).
//!
//! Nothing here waits: a client that is slow to ask or to read has [`TIMEOUT`] for all of it, and there are
//! at most [`limits::CONTROL_CONNECTIONS_MAX`] of them.

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
    path: PathBuf,
    /// Device and inode of the socket's file: that of another daemon is not removed.
    identity: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    slot: Option<usize>,
    close_at: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking { line: Vec<u8> },
    Answering { bytes: Vec<u8>, sent: usize },
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
                State::Answering { .. } => Interest::Write,
            };
            connection.slot = Some(set.add(connection.stream.as_fd(), interest));
        }
    }

    /// Does what `set` says is ready, and closes what is overdue. `answer` is called once for each whole
    /// request that is understood.
    pub fn process(&mut self, now: Instant, set: &PollSet, answer: &mut dyn FnMut(Request) -> Reply) {
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
            let connection = Connection {
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
    fn turn(&mut self, answer: &mut dyn FnMut(Request) -> Reply) -> Turn {
        if let State::Asking { line } = &mut self.state {
            let bytes = match read_line(&mut self.stream, line) {
                Asked::Partial => return Turn::Goes,
                Asked::Ended => return Turn::Over,
                Asked::Line => answer_line(line, answer),
                Asked::TooLong => answer_too_long(line),
            };
            self.state = State::Answering { bytes, sent: 0 };
        }
        match &mut self.state {
            State::Asking { .. } => Turn::Goes,
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

fn answer_line(line: &[u8], answer: &mut dyn FnMut(Request) -> Reply) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    match text.strip_prefix(FRAMED) {
        Some(request) => {
            let reply = Request::parse(request).map_or_else(Reply::refused, answer);
            framed(&reply)
        }
        None => Request::parse(&text).map_or_else(Reply::refused, answer).body.into_bytes(),
    }
}

fn answer_too_long(line: &[u8]) -> Vec<u8> {
    let reply = Reply::refused(Refused::TooLong);
    if line.starts_with(FRAMED.as_bytes()) { framed(&reply) } else { reply.body.into_bytes() }
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
mod tests {
    use super::*;
    use crate::sys::client::{self, Failure};
    use std::time::{Duration as StdDuration, Instant as StdInstant};

    /// A directory of this test's own, gone with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vipd-control-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Dir(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("run").join("control.sock")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn t(seconds: i64) -> Instant {
        Instant::from_secs(seconds)
    }

    /// One turn of the loop, at most 50 ms of waiting.
    fn turn(server: &mut ControlServer, now: Instant, answer: &mut dyn FnMut(Request) -> Reply) {
        let mut set = PollSet::new();
        server.register(&mut set);
        set.wait(Some(Duration::from_millis(50))).unwrap();
        server.process(now, &set, answer);
    }

    fn version(request: Request) -> Reply {
        assert_eq!(request, Request::Version, "another request was handed on than was asked");
        Reply { code: 1, body: "vipd 1\n".into() }
    }

    /// Sends `bytes` and reads all there is until the daemon closes.
    fn exchange(server: &mut ControlServer, path: &Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(bytes).unwrap();
        for _ in 0..5 {
            turn(server, t(0), &mut version);
        }
        stream.set_read_timeout(Some(StdDuration::from_secs(2))).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_line_in_a_reply_out() {
        let dir = Dir::new("line");
        let mut server = ControlServer::bind(&dir.socket()).unwrap();
        let mode = fs::metadata(dir.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "everybody could make the router reload");
        let got = exchange(&mut server, &dir.socket(), b"version\n");
        assert_eq!(got, "vipd 1\n", "a person with nc wants the text alone");
        let got = exchange(&mut server, &dir.socket(), b"vipd1 version\n");
        assert_eq!(got, "vipd1 code=1 bytes=7\nvipd 1\n", "the command could not know its exit code");
        let got = exchange(&mut server, &dir.socket(), b"vipd1 verson\n");
        assert!(got.starts_with("vipd1 code=2 "), "law 4: not understood is said: {got}");
        let got = exchange(&mut server, &dir.socket(), &[0xff, 0xfe, b'\n']);
        assert!(got.starts_with("vipd: unknown request"), "bytes that are no text are answered, too: {got}");
        assert!(server.connections.is_empty(), "an answered connection must be closed");
        assert_eq!(server.next_deadline(), None, "the loop would wake for nobody");
    }

    #[test]
    fn a_line_may_come_in_pieces_or_end_with_the_file() {
        let dir = Dir::new("pieces");
        let mut server = ControlServer::bind(&dir.socket()).unwrap();
        let mut stream = UnixStream::connect(dir.socket()).unwrap();
        for piece in ["ver", "si", "on"] {
            stream.write_all(piece.as_bytes()).unwrap();
            turn(&mut server, t(0), &mut version);
            turn(&mut server, t(0), &mut version);
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        turn(&mut server, t(0), &mut version);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "vipd 1\n", "`printf version | nc -U` must work, too");
    }

    #[test]
    fn an_endless_line_is_refused() {
        let dir = Dir::new("endless");
        let mut server = ControlServer::bind(&dir.socket()).unwrap();
        let got = exchange(&mut server, &dir.socket(), &[b'x'; 5000]);
        assert!(got.contains("more than 512 bytes"), "no client may make us keep what it sends: {got}");
    }

    #[test]
    fn slow_clients_go_and_too_many_are_turned_away() {
        let dir = Dir::new("slow");
        let mut server = ControlServer::bind(&dir.socket()).unwrap();
        let silent: Vec<UnixStream> = (0..limits::CONTROL_CONNECTIONS_MAX)
            .map(|_| {
                let stream = UnixStream::connect(dir.socket()).unwrap();
                turn(&mut server, t(0), &mut version);
                stream
            })
            .collect();
        assert_eq!(server.connections.len(), silent.len());
        let failure = {
            let mut one_more = UnixStream::connect(dir.socket()).unwrap();
            turn(&mut server, t(1), &mut version);
            let mut text = String::new();
            one_more.read_to_string(&mut text).unwrap();
            text
        };
        assert!(failure.contains("busy"), "limits.rs: more are closed at once: {failure}");
        assert_eq!(server.next_deadline(), Some(t(5)), "the loop must wake to close them");
        turn(&mut server, t(4), &mut version);
        assert_eq!(server.connections.len(), silent.len(), "five seconds are theirs");
        turn(&mut server, t(5), &mut version);
        assert!(server.connections.is_empty(), "eight silent clients would lock the operator out");
    }

    #[test]
    fn a_slow_reader_never_blocks() {
        let dir = Dir::new("reader");
        let mut server = ControlServer::bind(&dir.socket()).unwrap();
        let mut stream = UnixStream::connect(dir.socket()).unwrap();
        stream.write_all(b"version\n").unwrap();
        let long = "x".repeat(4 << 20);
        let begin = StdInstant::now();
        for _ in 0..4 {
            turn(&mut server, t(0), &mut |_| Reply::done(long.clone()));
        }
        assert!(begin.elapsed() < StdDuration::from_secs(1), "law 1: the loop must not wait for a reader");
        assert_eq!(server.connections.len(), 1, "what is left is sent when there is room");
        stream.set_nonblocking(true).unwrap();
        let mut got = 0;
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..200 {
            while let Ok(n) = stream.read(&mut buffer) {
                got += n;
                if n == 0 {
                    break;
                }
            }
            if server.connections.is_empty() {
                break;
            }
            turn(&mut server, t(1), &mut version);
        }
        assert_eq!(got, long.len(), "a slow reader gets all of it");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = Dir::new("stale");
        let path = dir.socket();
        let server = ControlServer::bind(&path).unwrap();
        let error = ControlServer::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "two daemons would fight over the addresses");
        assert!(error.to_string().contains("another vipd listens on"), "{error}");
        drop(server);
        assert!(!path.exists(), "the file goes with the daemon");

        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file: as a killed daemon does");
        let server = ControlServer::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let other = ControlServer::bind(&path).unwrap();
        drop(server);
        assert!(path.exists(), "the socket of the daemon that came after us is not ours to remove");
        drop(other);

        fs::write(&path, "precious").unwrap();
        let error = ControlServer::bind(&path).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::AlreadyExists,
            "--socket /etc/vipd.toml must not eat the file: {error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn the_client_knows_why_there_is_no_answer() {
        let dir = Dir::new("client");
        let path = dir.socket();
        let ask = |ms| client::ask(&path, "status", Duration::from_millis(ms));
        let failure = ask(200).unwrap_err();
        assert!(matches!(failure, Failure::NotRunning(_)), "no file: not running: {failure}");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        let failure = ask(200).unwrap_err();
        assert_eq!(failure.code(), 3, "a file that nobody listens on: not running: {failure}");
        fs::remove_file(&path).unwrap();

        let silent = UnixListener::bind(&path).unwrap();
        let begin = StdInstant::now();
        let failure = ask(200).unwrap_err();
        assert_eq!(failure.code(), 4, "a daemon that hangs is not one that is gone: {failure}");
        assert!(begin.elapsed() < StdDuration::from_secs(1), "the deadline is one for all of it");
        drop(silent);
    }

    #[test]
    fn the_client_takes_no_half_reply() {
        for (reply, want) in [
            ("", "without an answer"),
            ("vipd1 code=0 bytes=100\nhalf", "cut short"),
            ("vipd: busy\n", "busy"),
        ] {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            theirs.write_all(reply.as_bytes()).unwrap();
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
            let error = client::converse(&mut ours, "status", StdInstant::now() + StdDuration::from_secs(1));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(want), "{reply:?} is not an answer; said: {error}");
        }
    }
}
