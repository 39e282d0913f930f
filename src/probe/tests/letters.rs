//! Mail servers in every piece (B-121): each dialogue ends with one verdict and these words, wherever it is
//! cut.

use super::*;
use crate::limits::{JOB_MAX, SMTP_LINE_MAX};
use crate::wire::job::{Envelope, emit_mail, emit_smtp};

const COUNT: u32 = 2000;

fn greet(replies: &[u8], end: &Stop) -> (String, String) {
    let mut job = [0; JOB_MAX];
    let len = emit_smtp(&mut job, TIMEOUT, "gw").unwrap();
    told(&mut job[..len], replies, end)
}

fn send(replies: &[u8], end: &Stop) -> (String, String) {
    let mut job = [0; JOB_MAX];
    let envelope = Envelope { helo: "gw", from: "v@gw", subject: "S", date: "now", message_id: "<1@gw>" };
    let len = emit_mail(&mut job, TIMEOUT, envelope, ["a@x", "b@y"].into_iter(), "body").unwrap();
    told(&mut job[..len], replies, end)
}

/// The words of the verdict, and the commands that the server heard.
#[track_caller]
fn told(job: &mut [u8], replies: &[u8], end: &Stop) -> (String, String) {
    let (ending, heard) = ending_and_heard(job, replies, end, COUNT);
    let words = match ending.verdict {
        Verdict::Passed => format!("passed {}", ending.reason),
        Verdict::Failed => ending.reason.to_string(),
        Verdict::NotRun | Verdict::Hello => panic!("{ending:?}"),
    };
    let heard = String::from_utf8(heard).unwrap();
    let commands = heard.lines().filter_map(|line| line.split([' ', ':']).next());
    (words.trim_end().to_owned(), commands.collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn greeting(replies: &[u8], words: &str, commands: &str) {
    let told = greet(replies, &Stop::Closed);
    assert_eq!((&*told.0, &*told.1), (words, commands), "{:?}", String::from_utf8_lossy(replies));
}

#[test]
fn hc26_greetings_in_every_piece() {
    greeting(b"220 hi\r\n250 ok\r\n221 bye\r\n", "passed", "HELO QUIT");
    greeting(b"220\r\n250\r\n", "passed", "HELO QUIT");
    greeting(b"220-a\r\n220-\r\n220 c\n250-a\n250-b\n250\n", "passed", "HELO QUIT");
    greeting(b"220 hi\r\n250 ok\r\nnonsense", "passed", "HELO QUIT");
}

#[test]
fn b121_bad_greetings_in_every_piece() {
    const NO_CODE: &str = "banner: a line without a code";
    for (replies, words, commands) in [
        (&b""[..], "banner: closed in the middle", ""),
        (b"220 no line end", "banner: closed in the middle", ""),
        (b"220-one\r\n220-two\r\n", "banner: closed in the middle", ""),
        (b"421 busy\r\n", "banner: 421 busy", "QUIT"),
        (b"421-busy\r\n421 very\r\n", "banner: 421 very", "QUIT"),
        (b"554 go away\r\n221 bye\r\n", "banner: 554 go away", "QUIT"),
        (b"250 hi\r\n", "banner: 250 hi", "QUIT"),
        (b"220-one\r\n221 other\r\n", "banner: two codes in one answer", ""),
        (b"220-one\r\n220+two\r\n", NO_CODE, ""),
        (b"\r\n", NO_CODE, ""),
        (b"22\r\n", NO_CODE, ""),
        (b"2200 hi\r\n", NO_CODE, ""),
        (b"+20 hi\r\n", NO_CODE, ""),
        (b"199 hi\r\n", NO_CODE, ""),
        (b"600 hi\r\n", NO_CODE, ""),
        (b"\xff\xfe0 hi\r\n", NO_CODE, ""),
        (b"SSH-2.0-OpenSSH\r\n", NO_CODE, ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", NO_CODE, ""),
        (b"220 hi\r\n354 what\r\n", "HELO: 354 what", "HELO QUIT"),
        (b"220 hi\r\n252 well\r\n", "HELO: 252 well", "HELO QUIT"),
        (b"220 hi\r\n421 later\r\n", "HELO: 421 later", "HELO QUIT"),
        (b"220 hi\r\n250-one\r\n251 two\r\n", "HELO: two codes in one answer", "HELO"),
        (b"220 hi\r\n", "HELO: closed in the middle", "HELO"),
        (b"220 hi\r\n250 o", "HELO: closed in the middle", "HELO"),
    ] {
        greeting(replies, words, commands);
    }
    let (late, reset) = (&Stop::Late, &Stop::Reset);
    assert_eq!(greet(b"220-hi\r\n", late).0, "banner: no answer within 400ms");
    assert_eq!(greet(b"220 hi\r\n25", late).0, "HELO: no answer within 400ms");
    assert_eq!(greet(b"220 hi\r\n", reset).0, "HELO: connection reset in the middle");
    assert_eq!(greet(b"220 hi\r\n250 ok\r\n", late).0, "passed", "HC-25: whatever QUIT brings");
}

/// HC-2: to the last byte and the last line that is read, and one more.
#[test]
fn b121_lines_at_the_limit_in_every_piece() {
    let line = |code: &str, len: usize| format!("{code}{}\r\n", "x".repeat(len - code.len() - 2));
    let ok = "250 ok\r\n";
    greeting((line("220 ", SMTP_LINE_MAX) + ok).as_bytes(), "passed", "HELO QUIT");
    let long = "banner: a line longer than 512 bytes";
    greeting((line("220 ", SMTP_LINE_MAX + 1) + ok).as_bytes(), long, "");
    greeting(&[b'2'; 2000], long, "");
    greeting(("220-x\r\n".repeat(63) + "220 x\r\n" + ok).as_bytes(), "passed", "HELO QUIT");
    let endless = "banner: an answer without an end";
    greeting(("220-x\r\n".repeat(64) + "220 x\r\n" + ok).as_bytes(), endless, "");
}

#[test]
fn b121_mails_in_every_piece() {
    const TO_DATA: &[u8] = b"220 hi\r\n250 hello\r\n250 ok\r\n250 ok\r\n250 ok\r\n";
    let after_data = |rest: &[u8]| send(&[TO_DATA, rest].concat(), &Stop::Closed);
    let all = "HELO MAIL RCPT RCPT DATA Date From To  Subject Message-ID X-Mailer  body .";
    let (words, commands) = after_data(b"354-go\r\n354 on\r\n250 queued\r\n221 bye\r\n");
    assert_eq!((&*words, commands), ("passed", format!("{all} QUIT")));
    assert_eq!(after_data(b"354 go\r\n250 queued\r\n").0, "passed", "closed after QUIT: it is sent");
    let refused = after_data(b"354 go\r\n554 spam\x1b\r\n");
    assert_eq!(refused, ("mail: 554 spam?".to_owned(), format!("{all} QUIT")), "SEC-15");
    assert_eq!(after_data(b"354 go\r\n").0, "mail: closed in the middle");
    assert_eq!(after_data(b"250 ok\r\n").0, "DATA: 250 ok");
    assert_eq!(after_data(b"").0, "DATA: closed in the middle");
    let one = send(
        b"220 a\r\n250 b\r\n250 c\r\n550-no such\r\n550 user\r\n250 d\r\n354 e\r\n250 f\r\n",
        &Stop::Closed,
    );
    assert_eq!(one.0, "passed 1 of 2 refused: 550 user");
    let none = send(b"220 a\r\n250 b\r\n250 c\r\n550 no\r\n551 not here\r\n", &Stop::Closed);
    assert_eq!(none, ("RCPT TO: 551 not here".to_owned(), "HELO MAIL RCPT RCPT QUIT".to_owned()));
    let closing = send(b"220 a\r\n250 b\r\n250 c\r\n421 no more\r\n", &Stop::Closed);
    assert_eq!(closing, ("RCPT TO: 421 no more".to_owned(), "HELO MAIL RCPT QUIT".to_owned()));
}
