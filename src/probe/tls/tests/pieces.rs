//! TLS in every piece (B-117): the verdict and its words are the same wherever records are cut.

use super::*;
use crate::probe::tests::{Random, Script, cuts};
use rustls::ServerConnection;

/// A server in memory, whose bytes come in random pieces.
struct Far<'a> {
    server: ServerConnection,
    answer: &'a [u8],
    /// Takes leave as TLS wants it.
    is_polite: bool,
    asked: Vec<u8>,
    says: Vec<u8>,
    random: Random,
    /// Bytes of a piece at most.
    most: usize,
}

impl Line for Far<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        if self.says.is_empty() {
            return Err(Stop::Closed);
        }
        let len = self.random.next(self.most).min(buffer.len()).min(self.says.len());
        buffer[..len].copy_from_slice(&self.says[..len]);
        self.says.drain(..len);
        Ok(len)
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            self.server.read_tls(&mut bytes).unwrap();
            let _ = self.server.process_new_packets();
        }
        let _ = self.server.reader().read_to_end(&mut self.asked);
        if self.asked.ends_with(b"\r\n\r\n") {
            self.asked.clear();
            self.server.writer().write_all(self.answer).unwrap();
            if self.is_polite {
                self.server.send_close_notify();
            }
        }
        while self.server.wants_write() {
            self.server.write_tls(&mut self.says).unwrap();
        }
        Ok(())
    }

    fn hurry(&mut self, _: Duration) {}
}

/// Whole, byte by byte, and in random pieces; `count` times in all.
#[track_caller]
fn ends(bed: &Bed, (answer, is_polite): (&[u8], bool), count: u32, words: &str) {
    let config = bed.config();
    for number in 0..count {
        let mut random = Random(0x1234_5678 ^ number.wrapping_mul(0x9e37_79b9));
        let most = match number {
            0 => usize::MAX,
            1 => 1,
            // Small pieces and large ones.
            _ => 1 << random.next(12),
        };
        let server = ServerConnection::new(config.clone()).unwrap();
        let (asked, says) = (Vec::new(), Vec::new());
        let mut far = Far { server, answer, is_polite, asked, says, random, most };
        let ending = bed.probe_over(&mut far);
        assert_eq!(ending.reason, words, "number {number}, at most {most}");
        let want = if words.is_empty() { Verdict::Passed } else { Verdict::Failed };
        assert_eq!(ending.verdict, want, "number {number}, at most {most}");
    }
}

#[test]
fn b117_a_good_page_in_2000_ways() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let shown = authority.issue(Key::P256, &["www.example.org"]);
        let ca = Some(authority.pem());
        let bed = Bed { versions: vec![version], ca, digest: true, ..Bed::new(shown) };
        ends(&bed, (PAGE, true), 700, "");
        ends(&bed, (b"HTTP/1.1 200 OK\r\n\r\nhello\n", false), 300, "");
    }
}

#[test]
fn b117_bad_certificates_and_pages_in_every_piece() {
    let authority = Authority::new();
    let shown = || authority.issue(Key::P256, &["www.example.org"]);
    for version in [&TLS12, &TLS13] {
        let bed = |shown| Bed { versions: vec![version], digest: true, ..Bed::new(shown) };
        let checked = |shown| Bed { ca: Some(authority.pem()), ..bed(shown) };
        let old = authority.issue_for(Key::P256, &["www.example.org"], (2001, 2024));
        ends(&checked(old), (PAGE, true), 50, "certificate expired 2024-01-01");
        let other = authority.issue(Key::P256, &["a.b"]);
        ends(&checked(other), (PAGE, true), 50, "certificate is for a.b, want www.example.org");
        let mut forged = shown();
        forged.key = bed::another_key(Key::P256);
        ends(&bed(forged), (PAGE, true), 50, "TLS: handshake not signed with its certificate's key");
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello\n";
        ends(&bed(shown()), (short, false), 50, "closed in the middle of the page");
        ends(&bed(shown()), (b"", true), 50, "closed before a reply");
        ends(&bed(shown()), (b"HTTP/1.1 503 Busy\r\n\r\n", true), 50, "HTTP 503, want 200");
        let client = Bed { clients: Some(authority.der()), ..bed(shown()) };
        ends(&client, (PAGE, true), 50, "TLS refused: a client certificate is wanted");
    }
}

#[test]
fn b117_what_is_no_handshake_in_every_piece() {
    let bed = raw(Vec::new());
    let mut old = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    old.extend([7; 32]);
    old.extend([0, 0xc0, 0x13, 0]);
    let late = "TLS handshake not complete within 400ms";
    let closed = "closed in the TLS handshake";
    // A record longer than TLS has, an empty one, and a message that is longer than any.
    for (bytes, end, words) in [
        (&b""[..], Stop::Closed, closed),
        (b"", Stop::Reset, "connection reset in the TLS handshake"),
        (b"", Stop::Late, late),
        (
            &[0x15, 3, 3, 0, 2, 2, 40],
            Stop::Closed,
            "TLS refused: no cipher in common, or a client certificate is wanted",
        ),
        (&[0x15, 3, 3, 0, 2, 2, 70], Stop::Late, "TLS refused: neither 1.2 nor 1.3 is spoken"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Stop::Closed, "no TLS is spoken there"),
        (b"220 mail.example.org ESMTP\r\n", Stop::Late, "no TLS is spoken there"),
        (&old, Stop::Closed, "neither TLS 1.2 nor 1.3 is spoken there"),
        (&old[..20], Stop::Closed, closed),
        (&old[..20], Stop::Late, late),
        (
            &[0x16, 3, 3, 0xff, 0xff, 2, 0, 0],
            Stop::Late,
            "TLS: received corrupt message of type MessageTooLarge",
        ),
    ] {
        for pieces in cuts(bytes, 100) {
            let ending = bed.probe_over(&mut Script::new(pieces, end.clone()));
            assert_eq!(ending.verdict, Verdict::Failed, "{bytes:?}");
            assert_eq!(ending.reason, words, "{bytes:?}");
        }
    }
}

/// HC-2: records without end mean an end all the same, and not that of memory or time.
#[test]
fn b117_a_handshake_without_end_is_bounded() {
    struct Endless(Vec<u8>, usize, usize);
    impl Line for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
            let Endless(piece, at, count) = self;
            let len = buffer.len().min(piece.len() - *at);
            buffer[..len].copy_from_slice(&piece[*at..*at + len]);
            *at = (*at + len) % piece.len();
            *count += len;
            assert!(*count < 1 << 20, "it reads for ever");
            Ok(len)
        }
        fn write(&mut self, _: &[u8]) -> Result<(), Stop> {
            Ok(())
        }
        fn hurry(&mut self, _: Duration) {}
    }
    let mut part = vec![0x16, 3, 3, 0x20, 0, 2, 0, 0xff, 0];
    part.resize(5 + 0x2000, 0);
    for piece in [part, vec![0x16, 3, 3, 0, 0], vec![0x15, 3, 3, 0, 2, 1, 90], vec![0x14, 3, 3, 0, 1, 1]] {
        let ending = raw(Vec::new()).probe_over(&mut Endless(piece.clone(), 0, 0));
        assert_eq!(ending.verdict, Verdict::Failed, "{:?}: {}", &piece[..5], ending.reason);
    }
}
