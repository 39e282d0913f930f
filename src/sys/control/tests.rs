//! Clients of all sorts.

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
fn turn(server: &mut ControlServer, now: Instant, answer: &mut dyn FnMut(Request, Ticket) -> Answer) {
    let mut set = PollSet::new();
    server.register(&mut set);
    set.wait(Some(Duration::from_millis(50))).unwrap();
    server.process(now, &set, answer);
}

fn version(request: Request, _: Ticket) -> Answer {
    assert_eq!(request, Request::Version, "another request was handed on than was asked");
    Answer::Now(Reply { code: 1, body: "vipd 1\n".into() })
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
        turn(&mut server, t(0), &mut |_, _| Answer::Now(Reply::done(long.clone())));
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

/// Asks, and is told to wait until 60 s.
fn asked_later(server: &mut ControlServer, path: &Path, bytes: &[u8]) -> (UnixStream, Ticket) {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(bytes).unwrap();
    let mut ticket = None;
    for _ in 0..3 {
        turn(server, t(0), &mut |_, number| {
            ticket = Some(number);
            Answer::Later { by: t(60) }
        });
    }
    (stream, ticket.unwrap())
}

#[test]
fn an_answer_may_come_later() {
    let dir = Dir::new("later");
    let mut server = ControlServer::bind(&dir.socket()).unwrap();
    let (mut framed, first) = asked_later(&mut server, &dir.socket(), b"vipd1 probe web 10.0.0.11\n");
    let (mut plain, second) = asked_later(&mut server, &dir.socket(), b"probe web 10.0.0.11\n");
    // `printf .. | nc -N`: the question's end is no hang-up.
    plain.shutdown(std::net::Shutdown::Write).unwrap();
    let begin = StdInstant::now();
    turn(&mut server, t(30), &mut version);
    assert!(begin.elapsed() >= StdDuration::from_millis(40), "the loop would spin while a probe runs");
    assert!(server.is_awaited(first) && server.is_awaited(second), "longer than TIMEOUT, and nobody went");
    assert_eq!(server.next_deadline(), Some(t(60)));
    let reply = Reply { code: 1, body: "FAILED\n".into() };
    server.reply(t(31), first, &reply);
    server.reply(t(31), second, &reply);
    assert!(!server.is_awaited(first), "answered");
    turn(&mut server, t(31), &mut version);
    let mut text = String::new();
    framed.read_to_string(&mut text).unwrap();
    plain.read_to_string(&mut text).unwrap();
    assert_eq!(text, "vipd1 code=1 bytes=7\nFAILED\nFAILED\n");
    server.reply(t(32), first, &reply);
    assert!(server.connections.is_empty(), "an answer to nobody is dropped");
}

#[test]
fn who_hangs_up_or_is_never_answered_is_forgotten() {
    let dir = Dir::new("gone");
    let mut server = ControlServer::bind(&dir.socket()).unwrap();
    let (stream, ticket) = asked_later(&mut server, &dir.socket(), b"probe web 10.0.0.11\n");
    drop(stream);
    // Another test's child may hold a copy until its exec: only then it is hung up.
    for _ in 0..1000 {
        turn(&mut server, t(1), &mut version);
        if !server.is_awaited(ticket) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!server.is_awaited(ticket), "Ctrl-C must end the probe, too");
    let (_stream, ticket) = asked_later(&mut server, &dir.socket(), b"probe web 10.0.0.11\n");
    turn(&mut server, t(60), &mut version);
    assert!(!server.is_awaited(ticket), "eight lost answers would lock the operator out");
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
    for (reply, want) in
        [("", "without an answer"), ("vipd1 code=0 bytes=100\nhalf", "cut short"), ("vipd: busy\n", "busy")]
    {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.write_all(reply.as_bytes()).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let error = client::converse(&mut ours, "status", StdInstant::now() + StdDuration::from_secs(1));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(want), "{reply:?} is not an answer; said: {error}");
    }
}
