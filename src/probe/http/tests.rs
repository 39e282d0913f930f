//! Pages of good and of bad servers. Each B case is decided here: it passes, or it fails with these words.

use super::*;
use crate::limits;
use crate::probe::{Means, run, talk};
use crate::time::Instant;
use crate::wire::http::{HttpVersion, emit_request};
use crate::wire::job::{Body, Job, Pattern, Report, Verdict, emit_http, mark_sent, request, stamp};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

fn clock() -> Instant {
    Instant::now()
}

const MEANS: Means<'static> = Means { clock, wall: || Duration::ZERO, has_random: || true, files: &[] };

/// MD5 of `hello\n`.
const HELLO: [u8; 16] =
    [0xb1, 0x94, 0x6a, 0xc9, 0x24, 0x92, 0xd2, 0x34, 0x7c, 0x62, 0x35, 0xb4, 0xd2, 0x61, 0x11, 0x84];

/// One probe with 400 ms against a server that runs `serve` once it has read the request; the request,
/// the report.
fn probe_path(
    path: &str,
    digest: Option<[u8; 16]>,
    serve: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (String, Report) {
    probe_body(path, &Body { digest, ..Body::default() }, serve)
}

/// As `probe_path`, with more that is wanted of the body.
fn probe_body(
    path: &str,
    body: &Body<'_>,
    serve: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (String, Report) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
            request.push(byte[0]);
        }
        serve(&mut stream);
        String::from_utf8(request).unwrap()
    });
    let mut buffer = [0; limits::JOB_MAX];
    let timeout = Duration::from_millis(400);
    let ranges = [(200, 200), (301, 302)].into_iter();
    let ask =
        |room: &mut [u8]| emit_request(HttpVersion::Http11, "127.0.0.1:80", path, core::iter::empty(), room);
    let len = emit_http(&mut buffer, timeout, ask, None, body, ranges).unwrap();
    stamp(&mut buffer[..len], 9, timeout);
    let start = clock();
    let report = run(&Job::parse(&buffer[..len]).unwrap(), TcpStream::connect(address).unwrap(), &MEANS);
    let took = clock() - start;
    assert!(took < Duration::from_millis(1500), "HC-1: {took} for a deadline of 400 ms");
    assert_eq!(report.token, 9, "the report would be taken for another probe's");
    (server.join().unwrap(), report)
}

fn probe(digest: Option<[u8; 16]>, reply: &'static [u8]) -> Report {
    probe_path("/", digest, move |stream| {
        let _ = stream.write_all(reply);
    })
    .1
}

#[track_caller]
fn passes(digest: Option<[u8; 16]>, reply: &'static [u8]) {
    let report = probe(digest, reply);
    assert_eq!(report.verdict, Verdict::Passed, "{:?}: {}", String::from_utf8_lossy(reply), report.reason);
}

#[track_caller]
fn fails(digest: Option<[u8; 16]>, reply: &'static [u8], reason: &str) {
    let report = probe(digest, reply);
    assert_eq!(report.verdict, Verdict::Failed, "{:?}", String::from_utf8_lossy(reply));
    assert_eq!(report.reason, reason, "{:?}", String::from_utf8_lossy(reply));
}

/// As `fails`, for a server that goes on after its first bytes.
#[track_caller]
fn fails_with(reason: &str, serve: impl FnOnce(&mut TcpStream) + Send + 'static) {
    let (_, report) = probe_path("/", None, serve);
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Failed, reason));
}

/// Writes until the other end has had enough, at most 8 MiB.
fn pour(stream: &mut TcpStream, piece: &[u8]) {
    for _ in 0..(8 << 20) / piece.len() {
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

#[test]
fn the_request_is_the_jobs() {
    let (asked, report) = probe_path("/a b", None, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    assert_eq!(report.verdict, Verdict::Passed, "{}", report.reason);
    let mut want = [0; 512];
    let none = core::iter::empty();
    let len = emit_request(HttpVersion::Http11, "127.0.0.1:80", "/a b", none, &mut want).unwrap();
    assert_eq!(asked.as_bytes(), &want[..len], "HC-10: and nothing else");
}

/// The loop has sent it: the worker reads, and sends nothing.
#[test]
fn a_request_that_is_out_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut buffer = [0; limits::JOB_MAX];
    let timeout = Duration::from_millis(400);
    let ask = |room: &mut [u8]| emit_request(HttpVersion::Http10, "h", "/", core::iter::empty(), room);
    let len = emit_http(&mut buffer, timeout, ask, None, &Body::default(), [(200, 200)].into_iter()).unwrap();
    stamp(&mut buffer[..len], 9, timeout);
    mark_sent(&mut buffer[..len]);
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.write_all(request(&buffer[..len]).unwrap()).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        asked
    });
    let report = run(&Job::parse(&buffer[..len]).unwrap(), stream, &MEANS);
    assert_eq!(report.verdict, Verdict::Passed, "{}", report.reason);
    assert_eq!(server.join().unwrap().matches("GET").count(), 1);
}

#[test]
fn status_decides_hc11() {
    passes(None, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
    passes(None, b"HTTP/1.0 200 OK\r\n\r\nhello\n");
    passes(None, b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    fails(None, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "HTTP 503, want 200, 301-302");
    fails(None, b"HTTP/1.1 999 Odd\r\n\r\n", "HTTP 999, want 200, 301-302");
}

#[test]
fn the_steps_of_a_conversation_are_told() {
    let report = probe(None, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
    let [tls, request, header, body] = report.steps;
    assert!(tls == 0 && 0 < request && request <= header && header <= body, "{:?}", report.steps);
    assert_eq!(report.bytes, 6);
    let report = probe(None, b"HTTP/1.1 503 Busy\r\n\r\nhello\n");
    assert!(report.steps[2] > 0 && report.steps[3] == 0, "the body was not read: {:?}", report.steps);
    let report = probe(Some(HELLO), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello\n");
    assert_eq!((report.steps[3], report.bytes), (0, 6), "it ended early");
}

#[test]
fn digest_is_of_the_decoded_page_hc12() {
    passes(Some(HELLO), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
    passes(Some(HELLO), b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n");
    passes(Some(HELLO), b"HTTP/1.0 200 OK\r\n\r\nhello\n");
    passes(
        Some(HELLO),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\n",
    );
    fails(
        Some(HELLO),
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhallo\n",
        "digest differs: got aee97cb3ad288ef0add6c6b5b5fae48a",
    );
}

/// What a filter of system calls that lacks one, or a host without memory, would look like.
#[test]
fn what_this_host_refuses_is_no_verdict_on_the_server_hc4() {
    let mut buffer = [0; limits::JOB_MAX];
    let timeout = Duration::from_millis(400);
    let ranges = [(200, 200)].into_iter();
    let len = emit_http(&mut buffer, timeout, |_| Some(1), None, &Body::default(), ranges).unwrap();
    stamp(&mut buffer[..len], 9, timeout);
    let no_socket: std::os::fd::OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let report = run(&Job::parse(&buffer[..len]).unwrap(), no_socket.into(), &MEANS);
    assert_eq!(report.verdict, Verdict::NotRun, "all servers would go down: {}", report.reason);
    assert!(report.reason.starts_with("cannot talk: "), "{}", report.reason);
    for kind in [ErrorKind::PermissionDenied, ErrorKind::OutOfMemory, ErrorKind::Unsupported] {
        assert_eq!(talk::retry(kind), Err(Stop::Local(kind)), "{kind}: all servers would go down");
    }
    for kind in [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable, ErrorKind::ConnectionRefused] {
        assert_eq!(talk::retry(kind), Err(Stop::Other(kind)), "{kind}: a dead server would stay up");
    }
}

#[test]
fn b105_b106_closed_at_once_and_reset() {
    fails(None, b"", "closed before a reply");
    fails_with("connection reset before a reply", reset);
    let (_, report) = probe_path("/", Some(HELLO), |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello\n");
        thread::sleep(core::time::Duration::from_millis(100));
        reset(stream);
    });
    assert_eq!(report.reason, "connection reset in the middle of the page", "a reset is no end of a page");
}

/// Closes with an RST: with the linger time zero.
fn reset(stream: &mut TcpStream) {
    let socket = stream.try_clone().unwrap();
    nix::sys::socket::setsockopt(
        &socket,
        nix::sys::socket::sockopt::Linger,
        &libc::linger { l_onoff: 1, l_linger: 0 },
    )
    .unwrap();
}

#[test]
fn b107_a_trickle_fails_at_the_deadline_in_header_and_in_page() {
    fn trickle(stream: &mut TcpStream, head: &[u8]) {
        let _ = stream.write_all(head);
        for _ in 0..40 {
            if stream.write_all(b"x").is_err() {
                return;
            }
            thread::sleep(core::time::Duration::from_millis(50));
        }
    }
    fails_with("header not complete within 400ms", |stream| trickle(stream, b"HTTP/1.1 200 OK\r\nX: "));
    fails_with("page not complete within 400ms", |stream| trickle(stream, b"HTTP/1.1 200 OK\r\n\r\n"));
    fails_with("no reply within 400ms", |_| thread::sleep(core::time::Duration::from_millis(600)));
}

#[test]
fn b108_b109_headers_without_end_are_bounded_hc2() {
    fails_with("header larger than 16 KiB", |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        pour(stream, &[b'x'; 1024]);
    });
    fails_with("malformed reply: too many headers", |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        for _ in 0..10_000 {
            if stream.write_all(b"X: y\r\n").is_err() {
                return;
            }
        }
    });
}

#[test]
fn b110_line_ends() {
    passes(Some(HELLO), b"HTTP/1.1 200 OK\nContent-Length: 6\n\nhello\n");
    fails(None, b"HTTP/1.1 200 OK\r\nX: y\r\n", "closed in the middle of the header");
    fails(None, b"HTTP/1.1 200 OK", "closed in the middle of the header");
}

#[test]
fn b111_status_lines() {
    passes(None, b"HTTP/1.1 200\r\n\r\n");
    fails(None, b"HTTP/1.1 2000 OK\r\n\r\n", "malformed reply: invalid response status");
    fails(None, b"HTTP/1.1 abc\r\n\r\n", "malformed reply: invalid response status");
    fails(None, b"HTTP/1.1 099 Low\r\n\r\n", "malformed reply: invalid status code: 099");
    fails(None, b"ICY 200 OK\r\n\r\n", "malformed reply: invalid HTTP version");
    fails(None, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed reply: invalid HTTP version");
}

#[test]
fn b112_content_lengths() {
    let bad = "malformed reply: content-length header not a number";
    fails(None, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", bad);
    fails(None, b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", bad);
    fails(
        None,
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\nhello\n",
        "malformed reply: conflicting content-length headers",
    );
    passes(
        Some(HELLO),
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
        6\r\nhello\n\r\n0\r\n\r\n",
    );
}

#[test]
fn b113_chunks() {
    macro_rules! chunked {
        ($body:literal) => {
            concat!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", $body).as_bytes()
        };
    }
    let number = "malformed page: chunk length cannot be read as a number";
    fails(None, chunked!("-1\r\nhello\n\r\n0\r\n\r\n"), number);
    fails(None, chunked!("fffffffffffffffff\r\nhello\n\r\n0\r\n\r\n"), number);
    fails(
        None,
        chunked!("6\r\nhello\nMORE\r\n0\r\n\r\n"),
        "malformed page: chunk expected crlf as next character",
    );
    passes(Some(HELLO), chunked!("6;ext=1\r\nhello\n\r\n0\r\n\r\n"));
    passes(Some(HELLO), chunked!("6\r\nhello\n\r\n0\r\nTrailer: x\r\n\r\n"));
    fails(Some(HELLO), chunked!("6\r\nhel"), "closed in the middle of the page");
    passes(None, chunked!("6\r\nhel"));
    // A number too large on 32 bits, a page cut short on 64: no page either way.
    assert_eq!(probe(Some(HELLO), chunked!("ffffffffffffffff\r\nhello\n")).verdict, Verdict::Failed);
}

#[test]
fn b113_trailers_without_end_are_bounded() {
    let (_, report) = probe_path("/", Some(HELLO), |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
        pour(stream, b"Trailer: x\r\n");
    });
    assert_eq!(report.verdict, Verdict::Failed, "HC-2: they would be read until the deadline at best");
}

#[test]
fn b114_pages_longer_and_shorter_than_said() {
    passes(Some(HELLO), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\nand more");
    fails(
        Some(HELLO),
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhello\n",
        "closed in the middle of the page",
    );
    passes(None, b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhello\n"); // HC-15
    // The digest is of the bytes that came, as keepalived's genhash has it.
    passes(Some(HELLO), b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nhello\n");
}

#[test]
fn a_page_larger_than_the_limit_fails_a_digest_only() {
    let serve = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        pour(stream, &[b'x'; 4096]);
        let _ = stream.shutdown(Shutdown::Write);
    };
    let (_, report) = probe_path("/", Some(HELLO), serve);
    assert_eq!(report.reason, "page larger than 1 MiB", "HC-2: 8 MiB would be read");
    let (_, report) = probe_path("/", None, serve);
    assert_eq!(report.verdict, Verdict::Passed, "the status has decided: {}", report.reason);
}

#[test]
fn b115_informational_replies_hc13() {
    passes(None, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    passes(None, b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    fails(None, b"HTTP/1.1 101 Switching\r\n\r\n", "HTTP 101, want 200, 301-302");
    fails(None, b"HTTP/1.1 204 None\r\nContent-Length: 6\r\n\r\nhello\n", "HTTP 204, want 200, 301-302");
    fails_with("header larger than 16 KiB", |stream| pour(stream, b"HTTP/1.1 103 Hints\r\n\r\n"));
}

#[test]
fn b116_bytes_that_do_not_belong() {
    fails(None, b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "malformed reply: invalid header value");
    passes(None, b"HTTP/1.1 200 OK\r\nX: \xe9\xff\r\nContent-Length: 0\r\n\r\n");
    fails(None, b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", "malformed reply: invalid header name");
}

/// A reply with this body, and what is wanted of it; the report.
fn look(body: &Body<'_>, reply: &'static [u8]) -> Report {
    probe_body("/", body, move |stream| {
        let _ = stream.write_all(reply);
    })
    .1
}

#[track_caller]
fn regex(pattern: Pattern<'_>, reply: &'static [u8]) -> String {
    let report = look(&Body { regex: Some(pattern), ..Body::default() }, reply);
    match report.verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Failed | Verdict::NotRun | Verdict::Hello => {
            format!("{:?}: {}", report.verdict, report.reason)
        }
    }
}

const OK: Pattern<'static> = Pattern { pattern: "status: (ok|fine)", negated: false, first: 0, last: 0 };

#[test]
fn a_text_in_the_page_hc11() {
    let good = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nthe status: ok\n";
    let bad = b"HTTP/1.1 200 OK\r\n\r\nthe status: dying\n";
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nstatus\r\n4\r\n: ok\r\n0\r\n\r\n";
    assert_eq!(regex(OK, good), "passed");
    assert_eq!(regex(OK, chunked), "passed", "HC-12: the text is that of the decoded page");
    assert_eq!(regex(OK, bad), "Failed: the regex does not match the page");
    let not = Pattern { negated: true, ..OK };
    assert_eq!(regex(not, good), "Failed: the regex matches the page");
    assert_eq!(regex(not, bad), "passed");
    assert_eq!(regex(OK, b"HTTP/1.1 503 Busy\r\n\r\nstatus: ok"), "Failed: HTTP 503, want 200, 301-302");
    assert_eq!(regex(Pattern { pattern: "(?i)STATUS", ..OK }, good), "passed", "flags stand in the pattern");
    let broken = regex(Pattern { pattern: "a(", ..OK }, good);
    assert!(broken.starts_with("NotRun: regex: "), "HC-4: no server is to blame: {broken}");
}

#[test]
fn a_match_begins_where_it_may() {
    let page = b"HTTP/1.1 200 OK\r\n\r\nabc abc \xff\xc3 abc \xc3\xa9";
    let at = |pattern, first, last| regex(Pattern { pattern, negated: false, first, last }, page) == "passed";
    assert!(at("abc", 0, 1) && at("abc", 1, 5) && at("abc", 4, 5) && at("abc", 5, 12));
    assert!(!at("abc", 1, 4), "the first one begins before, the second one after");
    assert!(!at("abc", 12, 0) && at("abc", 11, 0), "bytes that are no text count one each");
    assert!(!at("abc", u32::MAX, 0) && !at("^", 16, 0), "beyond the page there is nothing");
    assert!(at("é", 15, 0) && !at("é", 16, 0), "a beginning within a letter is after it");
    assert!(!at("x", 0, 0) && at("(?s)c.*é", 7, 14) && !at("(?s)c.*é", 14, 0));
}

/// B-118, SEC-12: the engine is linear, and what a pattern may cost is bounded.
#[test]
fn b118_a_pattern_cannot_run_away() {
    let page = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let _ = stream.write_all(&[b'a'; 20_000]);
    };
    for pattern in ["(a+)+$b", "(a|aa)+$b", "(.*)(.*)(.*)(.*)x"] {
        let body = Body { regex: Some(Pattern { pattern, ..OK }), ..Body::default() };
        let (_, report) = probe_body("/", &body, page);
        assert_eq!(report.reason, "the regex does not match the page", "{pattern}");
    }
    let large = regex(Pattern { pattern: "((a{0,100}){0,100}){0,100}", ..OK }, b"");
    assert!(large.starts_with("NotRun: regex: "), "{large}");
}

#[test]
fn a_page_that_is_not_whole_fails_a_regex_hc15() {
    let early = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nstatus: ok\n";
    assert_eq!(regex(OK, early), "Failed: closed in the middle of the page");
    let body = Body { regex: Some(OK), ..Body::default() };
    let (_, report) = probe_body("/", &body, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nstatus: ok\n");
        pour(stream, &[b'x'; 4096]);
    });
    assert_eq!(report.reason, "page larger than 1 MiB", "HC-2");
}

/// HC-12: as keepalived's genhash, which does not decode chunks.
#[test]
fn a_digest_of_the_bytes_on_the_wire() {
    use md5::{Digest, Md5};
    let digest = |bytes: &[u8]| Some(Md5::digest(bytes).into());
    let framed = b"2;x\r\nhe\r\n4\r\nllo\n\r\n0\r\nTrailer: x\r\n\r\n";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        2;x\r\nhe\r\n4\r\nllo\n\r\n0\r\nTrailer: x\r\n\r\n";
    let raw = Body { digest: digest(framed), raw: true, regex: None };
    assert_eq!(look(&raw, chunked).verdict, Verdict::Passed, "{}", look(&raw, chunked).reason);
    assert_eq!(look(&raw, chunked).digest, digest(framed));
    assert_eq!(look(&Body { raw: false, ..raw }, chunked).verdict, Verdict::Failed);
    let both = Body { regex: Some(Pattern { pattern: "^hello$", ..OK }), ..raw };
    assert_eq!(look(&Body { regex: None, ..both }, chunked).verdict, Verdict::Passed);
    let text = Pattern { pattern: "^hello\n$", ..OK };
    assert_eq!(
        look(&Body { regex: Some(text), ..both }, chunked).verdict,
        Verdict::Passed,
        "of what is said"
    );
    let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\nmore";
    let raw = Body { digest: Some(HELLO), raw: true, regex: None };
    assert_eq!(look(&raw, plain).verdict, Verdict::Passed, "up to Content-Length");
}

/// B-114, B-115: replies that end where no bytes do.
#[test]
fn b115_informational_replies_may_have_fields() {
    passes(None, b"HTTP/1.1 100 Continue\r\nServer: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    passes(None, b"HTTP/1.1 100 Continue\nServer: x\n\nHTTP/1.1 200 OK\nContent-Length: 0\n\n");
    let (_, report) = probe_path("/", None, |stream| {
        for piece in
            [&b"HTTP/1.1 100 Continue\r\nA: b\r"[..], b"\n", b"\r", b"\nHTTP/1.1 200 OK\r\n", b"\r\n"]
        {
            let _ = stream.write_all(piece);
            thread::sleep(core::time::Duration::from_millis(20));
        }
    });
    assert_eq!(report.verdict, Verdict::Passed, "piece by piece: {}", report.reason);
    fails_with("header larger than 16 KiB", |stream| pour(stream, b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"));
}
