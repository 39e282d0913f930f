//! Mail servers, good and bad (B-121).

use super::*;
use crate::limits;
use crate::probe::{Means, run};
use crate::time::Instant;
use crate::wire::job::{Envelope, Job, Report, Verdict, emit_mail, emit_smtp, stamp};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn clock() -> Instant {
    Instant::now()
}

const MEANS: Means<'static> = Means { clock, wall: || Duration::ZERO, has_random: || true, files: &[] };

const TIMEOUT: Duration = Duration::from_millis(400);

const BODY: &str = "first\n.dot\n..two\nline with\rcarriage return\nlast";

/// Hands a mail to a server that answers line by line as `answer` says; an empty answer closes. What it
/// got, and the report.
fn hand_over(
    to: &[&str],
    subject: &str,
    banner: &'static [u8],
    answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
) -> (Vec<String>, Report) {
    let mut buffer = [0; limits::JOB_MAX];
    let envelope = Envelope {
        helo: "gw-a",
        from: "vipd@gw-a",
        subject,
        date: "Thu, 01 Jan 1970 00:00:00 +0000",
        message_id: "<1@gw-a>",
    };
    let len = emit_mail(&mut buffer, TIMEOUT, envelope, to.iter().copied(), BODY).unwrap();
    talk_to(banner, answer, &mut buffer[..len])
}

/// Greets such a server (HC-25).
fn greet(banner: &'static [u8], answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (Vec<String>, Report) {
    let mut buffer = [0; limits::JOB_MAX];
    let len = emit_smtp(&mut buffer, TIMEOUT, "gw-a").unwrap();
    talk_to(banner, answer, &mut buffer[..len])
}

fn talk_to(
    banner: &'static [u8],
    answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
    job: &mut [u8],
) -> (Vec<String>, Report) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = Vec::new();
        if banner.is_empty() || stream.write_all(banner).is_err() {
            return lines;
        }
        let mut in_mail = false;
        for line in BufReader::new(stream.try_clone().unwrap()).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8(line).unwrap();
            assert!(line.ends_with('\r'), "RFC 5321 §2.3.8: each line ends with CRLF: {line:?}");
            let line = line.trim_end_matches('\r').to_string();
            let silent = in_mail && line != ".";
            lines.push(line.clone());
            if silent {
                continue;
            }
            let reply = answer(&line);
            in_mail = reply.starts_with(b"354");
            if reply.is_empty() || stream.write_all(&reply).is_err() {
                break;
            }
        }
        lines
    });
    stamp(job, 3, TIMEOUT);
    let start = clock();
    let report = run(&Job::parse(job).unwrap(), TcpStream::connect(address).unwrap(), &MEANS);
    assert!(clock() - start < Duration::from_millis(1500), "a mail server must not hold a worker");
    (server.join().unwrap(), report)
}

fn polite(line: &str) -> Vec<u8> {
    match line {
        "DATA" => b"354 go on\r\n".to_vec(),
        "QUIT" => b"221 bye\r\n".to_vec(),
        _ => b"250 ok\r\n".to_vec(),
    }
}

/// A conversation that begins with this banner and must fail with this reason.
#[track_caller]
fn fails(banner: &'static [u8], answer: impl Fn(&str) -> Vec<u8> + Send + 'static, reason: &str) {
    let (_, report) = hand_over(&["root@localhost"], "S", banner, answer);
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Failed, reason));
}

#[test]
fn a_mail_is_handed_over_whole_with_dots_stuffed() {
    let (lines, report) = hand_over(&["a@x", "b@y"], "[gw-a] VI_1: MASTER", b"220 hi\r\n", polite);
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Passed, ""));
    let want = "HELO gw-a
MAIL FROM:<vipd@gw-a>
RCPT TO:<a@x>
RCPT TO:<b@y>
DATA
Date: Thu, 01 Jan 1970 00:00:00 +0000
From: vipd@gw-a
To: a@x,
 b@y
Subject: [gw-a] VI_1: MASTER
Message-ID: <1@gw-a>
X-Mailer: vipd

first
..dot
...two
line withcarriage return
last
.
QUIT";
    assert_eq!(lines, want.lines().collect::<Vec<_>>(), "a line of one dot would end the mail early");
}

#[test]
fn long_and_foreign_lines_stay_within_the_rules() {
    let mut text = String::new();
    push_line(&mut text, &"é".repeat(1000));
    assert!(text.lines().all(|line| line.len() <= 998), "RFC 5322 §2.1.1");
    assert_eq!(text.matches('é').count(), 1000, "a cut must not lose characters");
}

#[test]
fn answers_of_several_lines_are_read_hc26() {
    let many = |line: &str| match line {
        "DATA" => b"354-go\r\n354 on\r\n".to_vec(),
        _ => b"250-one\n250-two\n250\n".to_vec(),
    };
    let (_, report) = hand_over(&["a@x"], "S", b"220-welcome\r\n220-to\r\n220 us\r\n", many);
    assert_eq!(report.verdict, Verdict::Passed, "{}", report.reason);
}

#[test]
fn a_refused_recipient_does_not_lose_the_mail_for_the_others() {
    let refuse = |line: &str| match line {
        "RCPT TO:<a@x>" => b"550 no such user\r\n".to_vec(),
        _ => polite(line),
    };
    let (lines, report) = hand_over(&["a@x", "b@y"], "S", b"220 hi\r\n", refuse);
    assert!(lines.contains(&".".to_string()), "the mail must go to b@y: {lines:?}");
    assert_eq!(report.verdict, Verdict::Passed);
    assert_eq!(report.reason, "1 of 2 refused: 550 no such user", "nobody would learn of it");

    let (lines, report) = hand_over(&["a@x"], "S", b"220 hi\r\n", refuse);
    assert!(!lines.contains(&"DATA".to_string()), "no recipient, no mail");
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Failed, "RCPT TO: 550 no such user"));
}

#[test]
fn a_header_or_command_cannot_be_smuggled_in() {
    let (lines, report) = hand_over(&["a@x"], "S\r\nBcc: evil@x", b"220 hi\r\n", polite);
    assert_eq!((report.verdict, lines.len()), (Verdict::NotRun, 0), "a line break in the subject: {lines:?}");
    let bad = ["a@x>\r\nRCPT TO:<evil@x", "a@x> SIZE=1", "", "a b@x"];
    let (_, report) = hand_over(&bad, "S", b"220 hi\r\n", polite);
    assert_eq!(report.verdict, Verdict::NotRun, "none of {bad:?} may be sent");
}

#[test]
fn b121_banners() {
    fails(b"421 busy\r\n", polite, "banner: 421 busy");
    fails(b"554 go away\r\n", polite, "banner: 554 go away");
    fails(b"220 no line end", |_| Vec::new(), "banner: no answer within 400ms");
    fails(b"", polite, "banner: closed in the middle");
    fails(b"220-one\r\n221 other\r\n", polite, "banner: two codes in one answer");
    fails(b"SSH-2.0-OpenSSH\r\n", polite, "banner: a line without a code");
    fails(b"22\r\n", polite, "banner: a line without a code");
    fails(b"220hello\r\n", polite, "banner: a line without a code");
    let (_, report) = hand_over(&["a@x"], "S", b"220\r\n", polite);
    assert_eq!(report.verdict, Verdict::Passed, "a bare code is an answer: {}", report.reason);
}

#[test]
fn b121_bad_answers() {
    let data = |reply: &'static [u8]| {
        move |line: &str| match line {
            "DATA" => reply.to_vec(),
            _ => polite(line),
        }
    };
    fails(b"220 hi\r\n", |_| b"354 what\r\n".to_vec(), "HELO: 354 what");
    fails(b"220 hi\r\n", data(b"451 full\r\n"), "DATA: 451 full");
    fails(b"220 hi\r\n", data(b"250 ok\r\n"), "DATA: 250 ok");
    fails(b"220 hi\r\n", data(b""), "DATA: closed in the middle");
    fails(b"220 hi\r\n", |_| vec![b'2'; 1 << 20], "HELO: a line longer than 512 bytes");
    fails(b"220 hi\r\n", |_| b"250-more\r\n".repeat(1000), "HELO: an answer without an end");
    let rejected = |line: &str| match line {
        "." => b"554 spam \x1b[1m\r\n".to_vec(),
        _ => polite(line),
    };
    fails(b"220 hi\r\n", rejected, "mail: 554 spam ?[1m"); // SEC-15
}

#[test]
fn b121_a_mail_that_was_taken_is_sent_whatever_follows() {
    let closes = |line: &str| match line {
        "QUIT" => Vec::new(),
        _ => polite(line),
    };
    let (_, report) = hand_over(&["a@x"], "S", b"220 hi\r\n", closes);
    assert_eq!(report.verdict, Verdict::Passed, "it would be sent twice: {}", report.reason);
}

#[test]
fn a_mail_server_is_greeted_hc25() {
    let (lines, report) = greet(b"220 hi\r\n", polite);
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Passed, ""));
    assert_eq!(lines, ["HELO gw-a", "QUIT"], "HC-25: and no mail");
    let [_, banner, hello, all] = report.steps;
    assert!(0 < banner && banner <= hello && hello <= all, "{:?}", report.steps);

    let many = |_: &str| b"250-one\n250-two\n250\n".to_vec();
    let (_, report) = greet(b"220-welcome\r\n220-to\r\n220 us\r\n", many);
    assert_eq!(report.verdict, Verdict::Passed, "HC-26: keepalived fails here: {}", report.reason);
}

#[test]
fn what_is_said_to_quit_decides_nothing() {
    for last in [&b""[..], b"500 what\r\n", b"nonsense\r\n"] {
        let (_, report) =
            greet(b"220 hi\r\n", move |line| if line == "QUIT" { last.to_vec() } else { polite(line) });
        assert_eq!(report.verdict, Verdict::Passed, "HC-25: any line: {}", report.reason);
    }
}

/// A greeting that begins with this banner and must fail with this reason.
#[track_caller]
fn greeting_fails(banner: &'static [u8], hello: &'static [u8], reason: &str) {
    let (_, report) = greet(banner, |_| hello.to_vec());
    assert_eq!((report.verdict, report.reason.as_str()), (Verdict::Failed, reason));
}

#[test]
fn b121_bad_greetings() {
    greeting_fails(b"421 busy\r\n", b"", "banner: 421 busy");
    greeting_fails(b"250 hi\r\n", b"", "banner: 250 hi");
    greeting_fails(b"", b"", "banner: closed in the middle");
    greeting_fails(b"220 no line end", b"", "banner: no answer within 400ms");
    greeting_fails(b"HTTP/1.1 400 Bad Request\r\n", b"", "banner: a line without a code");
    greeting_fails(b"220 hi\r\n", b"354 what\r\n", "HELO: 354 what");
    greeting_fails(b"220 hi\r\n", b"252 well\r\n", "HELO: 252 well");
    greeting_fails(b"220 hi\r\n", b"", "HELO: closed in the middle");
    greeting_fails(b"220 hi\r\n", b"250-more\r\n251 other\r\n", "HELO: two codes in one answer");
    let (_, report) = greet(b"220 hi\r\n", |_| vec![b'2'; 1 << 20]);
    assert_eq!(report.reason, "HELO: a line longer than 512 bytes", "HC-2");
    let (_, report) = greet(b"220\r\n", |_| b"250\r\n".to_vec());
    assert_eq!(report.verdict, Verdict::Passed, "bare codes are answers: {}", report.reason);
}

#[test]
fn a_name_cannot_write_commands_of_its_own() {
    for name in ["", "a b", "gw\r\nMAIL FROM:<x@y>"] {
        let mut buffer = [0; limits::JOB_MAX];
        let len = emit_smtp(&mut buffer, TIMEOUT, name).unwrap();
        let (lines, report) = talk_to(b"220 hi\r\n", polite, &mut buffer[..len]);
        assert_eq!((report.verdict, lines.len()), (Verdict::NotRun, 0), "{name:?}: {lines:?}");
    }
}
