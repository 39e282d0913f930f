//! Pages in every piece (B-105 to B-116): each reply ends with one verdict and these words, wherever it is
//! cut.

use super::*;
use crate::limits::{BODY_MAX, HEADER_MAX, JOB_MAX};
use crate::wire::http::{HttpVersion, emit_request};
use crate::wire::job::{Body, emit_http};

/// MD5 of `hello\n`, and of nothing.
const HELLO: [u8; 16] = *b"\xb1\x94\x6a\xc9\x24\x92\xd2\x34\x7c\x62\x35\xb4\xd2\x61\x11\x84";
const NOTHING: [u8; 16] = *b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e";

/// 200, 204 and 301 to 302 are wanted. The status, or the words, however the reply is cut.
#[track_caller]
fn page(digest: Option<[u8; 16]>, reply: &[u8], end: &Stop) -> String {
    page_in(2000, digest, reply, end)
}

#[track_caller]
fn page_in(count: u32, digest: Option<[u8; 16]>, reply: &[u8], end: &Stop) -> String {
    let mut job = [0; JOB_MAX];
    let ask = |room: &mut [u8]| emit_request(HttpVersion::Http11, "h", "/", core::iter::empty(), room);
    let body = Body { digest, ..Body::default() };
    let ranges = [(200, 200), (204, 204), (301, 302)].into_iter();
    let len = emit_http(&mut job, TIMEOUT, ask, None, &body, ranges).unwrap();
    let ending = ending(&mut job[..len], reply, end, count);
    match ending.verdict {
        Verdict::Passed => format!("{}", ending.status),
        Verdict::Failed => ending.reason.to_string(),
        Verdict::NotRun | Verdict::Hello => panic!("{ending:?}"),
    }
}

/// One reply with the status that it passes with, or the words that it fails with: where only the status is
/// wanted, and where the page must be `hello\n`.
type Case = (&'static [u8], &'static str, &'static str);

#[track_caller]
fn all(cases: &[Case]) {
    for (reply, status_alone, with_digest) in cases {
        let shown = String::from_utf8_lossy(reply);
        assert_eq!(page(None, reply, &Stop::Closed), *status_alone, "{shown:?}");
        assert_eq!(page(Some(HELLO), reply, &Stop::Closed), *with_digest, "{shown:?} with a digest");
    }
}

const EARLY: &str = "closed in the middle of the page";
const CUT_HEADER: &str = "closed in the middle of the header";

#[test]
fn good_pages_in_every_piece() {
    all(&[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n", "200", "200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 6\r\n\r\nhello\nmore", "200", "200"),
        (b"HTTP/1.0 302\nContent-Length: 6\n\nhello\n", "302", "302"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello\n", "200", "200"),
        (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello\n", "200", "200"),
        (
            b"HTTP/1.1 100 Go\r\nA: b\r\n\r\nHTTP/1.1 103 Hints\r\nL: x\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n",
            "200",
            "200",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
              2;a=b\r\nhe\r\n04\r\nllo\n\r\n000\r\nT: x\r\nU: y\r\n\r\n",
            "200",
            "200",
        ),
        // Without the empty line at its end, and with one that is no end of a trailer.
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n\r\n0\r\n", "200", "200"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n\r\n0\r\nT", "200", "200"),
    ]);
}

#[test]
fn b105_b110_replies_that_break_off_in_every_piece() {
    all(&[
        (b"", "closed before a reply", "closed before a reply"),
        (b"H", CUT_HEADER, CUT_HEADER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n", CUT_HEADER, CUT_HEADER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r", CUT_HEADER, CUT_HEADER),
        (b"HTTP/1.1 100 Continue\r\n\r\n", CUT_HEADER, CUT_HEADER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhello\n", "200", EARLY),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n", "200", EARLY),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6", "200", EARLY),
    ]);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhello\n";
    for (reply, end, words) in [
        (&half[..0], Stop::Reset, "connection reset before a reply"),
        (&half[..20], Stop::Reset, "connection reset in the middle of the header"),
        (&half[..], Stop::Reset, "connection reset in the middle of the page"),
        (&half[..0], Stop::Late, "no reply within 400ms"),
        (&half[..20], Stop::Late, "header not complete within 400ms"),
        (&half[..], Stop::Late, "page not complete within 400ms"),
    ] {
        assert_eq!(page(Some(HELLO), reply, &end), words, "{end:?} after {} bytes", reply.len());
    }
    assert_eq!(page(None, half, &Stop::Reset), "200", "HC-15");
    assert_eq!(page(None, half, &Stop::Late), "page not complete within 400ms", "HC-1: it trickles");
}

#[test]
fn b111_b116_headers_that_are_none_in_every_piece() {
    const LENGTH: &str = "malformed reply: content-length header not a number";
    const LENGTHS: &str = "malformed reply: conflicting content-length headers";
    const STATUS: &str = "malformed reply: invalid response status";
    const VERSION: &str = "malformed reply: invalid HTTP version";
    const NAME: &str = "malformed reply: invalid header name";
    let bad: &[(&[u8], &str)] = &[
        (b"HTTP/1.1 2000 OK\r\n\r\n", STATUS),
        (b"HTTP/1.1 20 OK\r\n\r\n", STATUS),
        (b"HTTP/1.1 abc\r\n\r\n", STATUS),
        (b"ICY 200 OK\r\n\r\n", VERSION),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
        (b"\x15\x03\x01\x00\x02\x02\x46\r\n", VERSION),
        (b"220 mail.example.org ESMTP\r\n", VERSION),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", LENGTH),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", LENGTH),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\nhello\n", LENGTHS),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6, 7\r\n\r\nhello\n", LENGTHS),
        (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "malformed reply: invalid header value"),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", NAME),
        (b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", NAME),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "HTTP 101, want 200, 204, 301-302"),
        (b"HTTP/1.1 503 Busy\r\n\r\nhello\n", "HTTP 503, want 200, 204, 301-302"),
    ];
    for (reply, words) in bad {
        assert_eq!(page(None, reply, &Stop::Closed), *words, "{:?}", String::from_utf8_lossy(reply));
    }
}

#[test]
fn b113_chunks_that_are_none_in_every_piece() {
    macro_rules! chunked {
        ($body:literal) => {
            concat!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", $body).as_bytes()
        };
    }
    const NUMBER: &str = "malformed page: chunk length cannot be read as a number";
    const CRLF: &str = "malformed page: chunk expected crlf as next character";
    all(&[
        (chunked!("-1\r\nhello\n\r\n0\r\n\r\n"), NUMBER, NUMBER),
        (chunked!("\r\nhello\n\r\n0\r\n\r\n"), NUMBER, NUMBER),
        (chunked!("0x6\r\nhello\n\r\n0\r\n\r\n"), NUMBER, NUMBER),
        (chunked!("fffffffffffffffff\r\nhello\n\r\n0\r\n\r\n"), NUMBER, NUMBER),
        (chunked!("6\r\nhello\nMORE\r\n0\r\n\r\n"), CRLF, CRLF),
        (chunked!("5\r\nhello\n\r\n0\r\n\r\n"), CRLF, CRLF),
        (chunked!("6;a-name=a-long-value\r\nhello\n\r\n0\r\n\r\n"), CRLF, CRLF),
        // Line ends of LF alone end no line of a chunk: there is no end, and the status has decided (HC-15).
        (chunked!("6\nhello\n\n0\n\n"), "200", EARLY),
        // A chunk longer than the page, and one longer than any.
        (chunked!("7\r\nhello\n"), "200", EARLY),
        (chunked!("7fffffff\r\nhello\n\r\n0\r\n\r\n"), "200", EARLY),
    ]);
}

/// B-115: what a 204 has for a body is none, whatever its header says.
#[test]
fn b115_a_reply_without_a_page_in_every_piece() {
    let empty = b"HTTP/1.1 204 None\r\nContent-Length: 6\r\n\r\nhello\n";
    assert_eq!(page(None, empty, &Stop::Closed), "204");
    assert_eq!(page(Some(NOTHING), empty, &Stop::Closed), "204");
    let chunked = b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    assert_eq!(page(Some(NOTHING), chunked, &Stop::Late), "204", "it waits for nothing");
    let differs = "digest differs: got d41d8cd98f00b204e9800998ecf8427e";
    assert_eq!(page(Some(HELLO), empty, &Stop::Closed), differs);
}

/// B-108, B-109, HC-2: up to the last byte that is read, and one more.
#[test]
fn b108_headers_at_the_limit_in_every_piece() {
    let header = |len: usize| {
        let (begin, end) = (b"HTTP/1.1 200 OK\r\nX: ", b"\r\n\r\n");
        let mut bytes = begin.to_vec();
        bytes.resize(len - end.len(), b'x');
        [&bytes[..], end, b"hello\n"].concat()
    };
    let reply = |bytes: &[u8]| page_in(20, Some(HELLO), bytes, &Stop::Closed);
    assert_eq!(reply(&header(HEADER_MAX)), "200");
    assert_eq!(reply(&header(HEADER_MAX + 1)), "header larger than 16 KiB");
    // Informational ones count.
    let hints = b"HTTP/1.1 103 Hints\r\n\r\n".repeat(100);
    assert_eq!(reply(&[&hints[..], &header(HEADER_MAX - hints.len())].concat()), "200");
    let more = [&hints[..], &header(HEADER_MAX - hints.len() + 1)].concat();
    assert_eq!(reply(&more), "header larger than 16 KiB");
    let many = [&b"HTTP/1.1 200 OK\r\n"[..], &b"X: y\r\n".repeat(10_000), b"\r\n"].concat();
    assert_eq!(reply(&many), "malformed reply: too many headers");
    let blank = b"\n".repeat(HEADER_MAX + 1);
    assert_eq!(reply(&blank), "header larger than 16 KiB");
}

/// Says `begin`, and then `piece` for ever.
struct Endless {
    begin: Vec<u8>,
    piece: &'static [u8],
    count: usize,
}

impl Line for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        assert!(self.count < 16 * BODY_MAX, "it reads for ever");
        if self.begin.is_empty() {
            self.begin = self.piece.repeat(1000);
        }
        let len = buffer.len().min(self.begin.len());
        buffer[..len].copy_from_slice(&self.begin[..len]);
        self.begin.drain(..len);
        self.count += len;
        Ok(len)
    }

    fn write(&mut self, _: &[u8]) -> Result<(), Stop> {
        Ok(())
    }

    fn hurry(&mut self, _: Duration) {}
}

/// B-113, B-114, HC-2: also framing and trailers are bytes that are read.
#[test]
fn b114_pages_without_end_are_bounded() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (begin, piece, most) in [
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), &b"x"[..], BODY_MAX),
        (format!("{CHUNKED}7fffffff\r\n"), b"x", BODY_MAX),
        (CHUNKED.to_owned(), b"1\r\nx\r\n", 2 * BODY_MAX),
        (CHUNKED.to_owned(), b"1;extension=of-it\r\nx\r\n", 2 * BODY_MAX),
        (format!("{CHUNKED}0\r\n"), b"Trailer: x\r\n", 2 * BODY_MAX),
        (CHUNKED.to_owned(), b"1", HEADER_MAX),
    ] {
        let mut job = [0; JOB_MAX];
        let ask = |room: &mut [u8]| emit_request(HttpVersion::Http11, "h", "/", core::iter::empty(), room);
        let body = Body { digest: Some(HELLO), ..Body::default() };
        let len = emit_http(&mut job, TIMEOUT, ask, None, &body, [(200, 200)].into_iter()).unwrap();
        let mut line = Endless { begin: begin.clone().into(), piece, count: 0 };
        let mut course = Course { clock: MEANS.clock, start: Instant::ZERO, steps: [0; STEPS], bytes: 0 };
        let ending = hold(&Job::parse(&job[..len]).unwrap(), &mut line, &MEANS, &mut course);
        assert_eq!(ending.reason, "page larger than 1 MiB", "{begin:?}");
        assert!(line.count <= most + 2 * HEADER_MAX, "{} bytes were read after {begin:?}", line.count);
    }
}

#[test]
fn b114_a_page_at_the_limit_is_judged() {
    use md5::{Digest, Md5};
    for (len, words) in [(BODY_MAX, "200"), (BODY_MAX + 1, "page larger than 1 MiB")] {
        let body = vec![b'x'; len];
        let reply = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &body].concat();
        let digest = Some(Md5::digest(&body).into());
        let mut job = [0; JOB_MAX];
        let ask = |room: &mut [u8]| emit_request(HttpVersion::Http11, "h", "/", core::iter::empty(), room);
        let body = Body { digest, ..Body::default() };
        let len = emit_http(&mut job, TIMEOUT, ask, None, &body, [(200, 200)].into_iter()).unwrap();
        let mut script = Script::new(vec![reply], Stop::Closed);
        let mut course = Course { clock: MEANS.clock, start: Instant::ZERO, steps: [0; STEPS], bytes: 0 };
        let ending = hold(&Job::parse(&job[..len]).unwrap(), &mut script, &MEANS, &mut course);
        let told = if ending.verdict == Verdict::Passed { "200" } else { ending.reason.as_str() };
        assert_eq!(told, words);
    }
}
