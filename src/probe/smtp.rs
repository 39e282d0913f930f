//! SMTP (RFC 5321) on a connected socket: greeting a mail server (HC-25), and handing one mail over.
//!
//! Plain SMTP without authentication or TLS, one command at a time. A recipient that is refused does not
//! lose the mail for the others.

use super::talk::{Line, Stop};
use super::{Course, Ending, Step};
use crate::limits::{MAIL_ADDRESS_MAX, SMTP_LINE_MAX};
use crate::model::{Reason, cut};
use crate::time::Duration;
use crate::wire::job::{MailTask, SmtpTask};
use core::fmt::Write;

/// Lines of one reply. More: the conversation fails, a server that talks for ever included.
const REPLY_LINES_MAX: usize = 64;
/// Bytes of one line of the mail, cut at a character (RFC 5322 §2.1.1 allows 998).
const MAIL_LINE_MAX: usize = 900;
/// How long the answer to QUIT is waited for: the mail is on its way already.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Greets the server: 220 and 250 are wanted, and what it says to QUIT is of no matter. `timeout` is for the
/// words of the reason only.
pub(super) fn greet(
    task: &SmtpTask<'_>,
    timeout: Duration,
    line: &mut dyn Line,
    course: &mut Course,
) -> Ending {
    if !is_name(task.helo) {
        return Ending::not_run(format_args!("{NO_NAME}"));
    }
    let mut talk = Talk::new(line, course);
    let greeted = talk.greet(task.helo).and_then(|reply| match reply.code {
        250 => Ok(Reason::new()),
        _ => Err(Trouble { step: "HELO", kind: Kind::Answer(reply) }),
    });
    ending(greeted, &mut talk, timeout)
}

/// Hands the mail over. `timeout` is for the words of the reason only.
pub(super) fn send(
    task: &MailTask<'_>,
    timeout: Duration,
    line: &mut dyn Line,
    course: &mut Course,
) -> Ending {
    if let Err(why) = check(task) {
        return Ending::not_run(format_args!("{why}"));
    }
    let mut talk = Talk::new(line, course);
    let delivered = deliver(task, &mut talk);
    ending(delivered, &mut talk, timeout)
}

/// Takes leave, where the server listens, and says how it was.
fn ending(result: Result<Reason, Trouble>, talk: &mut Talk<'_>, timeout: Duration) -> Ending {
    match result {
        Ok(reason) => {
            quit(talk);
            talk.course.done(Step::End);
            Ending { reason, ..Ending::passed(250) }
        }
        Err(Trouble { step, kind: Kind::Stopped(stop) }) => {
            let ending = Ending::stopped(0, stop, "no answer", "in the middle", timeout);
            Ending { reason: cut(format_args!("{step}: {}", ending.reason)), ..ending }
        }
        Err(Trouble { step, kind: Kind::Answer(reply) }) => {
            quit(talk);
            Ending::failed(reply.code, format_args!("{step}: {} {}", reply.code, reply.text))
        }
        Err(Trouble { step, kind: Kind::Nonsense(why) }) => Ending::failed(0, format_args!("{step}: {why}")),
    }
}

const NO_NAME: &str = "the HELO name is empty or has white space in it";

/// May this follow HELO, and write no command of its own?
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// What would let a name or a text write SMTP commands or headers of its own is refused.
fn check(task: &MailTask<'_>) -> Result<(), &'static str> {
    let has_control = |text: &str| text.chars().any(char::is_control);
    if [task.subject, task.date, task.message_id].into_iter().any(has_control) {
        return Err("a header of the mail has a line break in it");
    }
    if !is_name(task.helo) {
        return Err(NO_NAME);
    }
    if !is_address(task.from) {
        return Err("the sender is no mail address");
    }
    if !task.to.iter().any(is_address) {
        return Err("no recipient is a mail address");
    }
    Ok(())
}

/// May this stand between the angle brackets of `MAIL FROM:<>`? Not more than that.
fn is_address(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAIL_ADDRESS_MAX
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '<' || c == '>')
}

/// The dialogue up to the point where the mail is the server's. Tells which recipients were refused, if any.
fn deliver(task: &MailTask<'_>, talk: &mut Talk<'_>) -> Result<Reason, Trouble> {
    talk.greet(task.helo)?;
    talk.command("MAIL FROM", format_args!("MAIL FROM:<{}>", task.from), 2)?;
    let (mut accepted, mut refused, mut last) = (0u32, 0u32, None);
    for to in task.to.iter() {
        if !is_address(to) {
            refused += 1;
            continue;
        }
        match talk.command("RCPT TO", format_args!("RCPT TO:<{to}>"), 2) {
            Ok(_) => accepted += 1,
            // 421: the server is closing, for every recipient.
            Err(Trouble { kind: Kind::Answer(reply), .. }) if reply.code != 421 => {
                refused += 1;
                last = Some(reply);
            }
            Err(trouble) => return Err(trouble),
        }
    }
    if accepted == 0 {
        let kind = last.map_or(Kind::Nonsense("no recipient"), Kind::Answer);
        return Err(Trouble { step: "RCPT TO", kind });
    }
    talk.command("DATA", format_args!("DATA"), 3)?;
    talk.send("mail", &mail(task))?;
    match talk.reply("mail")? {
        reply if reply.code / 100 == 2 => {}
        reply => return Err(Trouble { step: "mail", kind: Kind::Answer(reply) }),
    }
    Ok(match last {
        Some(reply) => {
            cut(format_args!("{refused} of {} refused: {} {}", refused + accepted, reply.code, reply.text))
        }
        None if refused > 0 => cut(format_args!("{refused} of {} is no address", refused + accepted)),
        None => Reason::new(),
    })
}

/// Says goodbye; what comes of it changes nothing.
fn quit(talk: &mut Talk<'_>) {
    talk.line.hurry(QUIT_TIMEOUT);
    let _ = talk.command("QUIT", format_args!("QUIT"), 2);
}

/// Header and body with CRLF line ends, dot-stuffed, and the final dot (RFC 5321 §4.5.2).
fn mail(task: &MailTask<'_>) -> Vec<u8> {
    let mut text = String::with_capacity(task.body.len() + 1024);
    let _ = write!(text, "Date: {}\r\nFrom: {}\r\nTo: ", task.date, task.from);
    for (i, to) in task.to.iter().filter(|to| is_address(to)).enumerate() {
        let _ = write!(text, "{}{to}", if i > 0 { ",\r\n " } else { "" });
    }
    let _ = write!(text, "\r\nSubject: {}\r\nMessage-ID: {}\r\n", task.subject, task.message_id);
    text.push_str("X-Mailer: vipd\r\n");
    if !(task.body.is_ascii() && task.subject.is_ascii()) {
        text.push_str("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n");
        text.push_str("Content-Transfer-Encoding: 8bit\r\n");
    }
    text.push_str("\r\n");
    for line in task.body.lines() {
        push_line(&mut text, line);
    }
    text.push_str(".\r\n");
    text.into_bytes()
}

/// One line of the body as one or more of the mail. Control characters would be line ends to some servers.
fn push_line(text: &mut String, line: &str) {
    let mut len = 0;
    for c in line.chars().filter(|c| *c == '\t' || !c.is_control()) {
        if len + c.len_utf8() > MAIL_LINE_MAX {
            text.push_str("\r\n");
            len = 0;
        }
        if len == 0 && c == '.' {
            text.push('.');
        }
        text.push(c);
        len += c.len_utf8();
    }
    text.push_str("\r\n");
}

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reply {
    code: u16,
    text: Reason,
}

/// Where the dialogue went wrong, and how.
#[derive(Debug)]
struct Trouble {
    step: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Stopped(Stop),
    Answer(Reply),
    Nonsense(&'static str),
}

/// The dialogue's lines.
struct Talk<'s> {
    line: &'s mut dyn Line,
    course: &'s mut Course,
    buffer: [u8; SMTP_LINE_MAX],
    begin: usize,
    end: usize,
}

impl<'s> Talk<'s> {
    fn new(line: &'s mut dyn Line, course: &'s mut Course) -> Self {
        Talk { line, course, buffer: [0; SMTP_LINE_MAX], begin: 0, end: 0 }
    }

    /// The banner, and the answer to HELO.
    fn greet(&mut self, name: &str) -> Result<Reply, Trouble> {
        match self.reply("banner")? {
            Reply { code: 220, .. } => self.course.done(Step::Begin),
            reply => return Err(Trouble { step: "banner", kind: Kind::Answer(reply) }),
        }
        let reply = self.command("HELO", format_args!("HELO {name}"), 2)?;
        self.course.done(Step::Middle);
        Ok(reply)
    }

    /// Sends a line and wants an answer whose first digit is `class`.
    fn command(
        &mut self,
        step: &'static str,
        line: core::fmt::Arguments<'_>,
        class: u16,
    ) -> Result<Reply, Trouble> {
        self.send(step, format!("{line}\r\n").as_bytes())?;
        let reply = self.reply(step)?;
        match reply.code / 100 == class {
            true => Ok(reply),
            false => Err(Trouble { step, kind: Kind::Answer(reply) }),
        }
    }

    fn send(&mut self, step: &'static str, bytes: &[u8]) -> Result<(), Trouble> {
        self.line.write(bytes).map_err(|stop| Trouble { step, kind: Kind::Stopped(stop) })
    }

    /// One answer: `ddd-` lines and a last `ddd ` or `ddd`, all of one code (RFC 5321 §4.2.1, HC-26).
    fn reply(&mut self, step: &'static str) -> Result<Reply, Trouble> {
        let nonsense = |why| Trouble { step, kind: Kind::Nonsense(why) };
        let mut code = None;
        for _ in 0..REPLY_LINES_MAX {
            let line = self.next_line().map_err(|kind| Trouble { step, kind })?;
            let (digits, rest) = line.split_at_checked(3).ok_or(nonsense("a line without a code"))?;
            let number = core::str::from_utf8(digits)
                .ok()
                .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|d| d.parse::<u16>().ok())
                .filter(|n| (200..600).contains(n))
                .ok_or(nonsense("a line without a code"))?;
            if code.is_some_and(|code| code != number) {
                return Err(nonsense("two codes in one answer"));
            }
            code = Some(number);
            match rest.split_first() {
                Some((b'-', _)) => {}
                Some((b' ', text)) => {
                    let text = cut(format_args!("{}", String::from_utf8_lossy(text)));
                    return Ok(Reply { code: number, text });
                }
                None => return Ok(Reply { code: number, text: Reason::new() }),
                Some(_) => return Err(nonsense("a line without a code")),
            }
        }
        Err(nonsense("an answer without an end"))
    }

    /// One line without its end (CRLF, or LF alone).
    fn next_line(&mut self) -> Result<Vec<u8>, Kind> {
        loop {
            let held = self.buffer.get(self.begin..self.end).unwrap_or(&[]);
            if let Some(at) = held.iter().position(|b| *b == b'\n') {
                let line = held.get(..at).unwrap_or(&[]);
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.begin += at + 1;
                return Ok(line);
            }
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
            let room = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
            if room.is_empty() {
                return Err(Kind::Nonsense("a line longer than 512 bytes"));
            }
            self.end += self.line.read(room).map_err(Kind::Stopped)?;
        }
    }
}

#[cfg(test)]
mod tests;
