//! What the loop and a worker say to each other: one datagram a message, over a `SOCK_SEQPACKET` pair.
//!
//! ```text
//! job     kind 1, token 4, µs left 8, timeout µs 8, and by kind; at most JOB_MAX
//! http    sent 1, request, [https: name, SNI 1, CA, certificate, key,] digest 1 + 16, raw 1,
//!         1 + (pattern, negated 1, first 4, last 4), count 1 × (first status 2, last 2)
//! smtp    HELO name
//! mail    HELO name, from, subject, date, message id, body, count 1 × recipient
//! report  verdict 1, token 4, status 2, digest 1 + 16, µs taken 8, µs of steps 4 × 4, bytes 4, length 1,
//!         reason REASON_MAX
//! ```
//!
//! Texts are a length of 2 and their bytes; numbers are big endian; "1 + ..." is a flag and what it says is
//! there. The connected socket comes beside a job, and after it the files that the job names, in its order.
//!
//! Each side takes the other's bytes as untrusted: the worker has talked to a stranger, and the loop's
//! bytes are those of whoever holds the other end.

mod bytes;
mod report;

use crate::limits::{self, JOB_MAX};
use crate::time::Duration;
use bytes::{LEFT_AT, Reader, Writer};

pub use report::{REPORT_LEN, Report, ReportText, STEPS, Verdict};

/// Files beside a job at most: authorities, certificate, key.
pub const FILES_MAX: usize = 3;

/// A page's longest job, all its parts at their limits, each byte of its path percent-encoded.
const PAGE_MAX: usize = FILES_MAX * limits::PATH_MAX
    + limits::HTTP_HEADERS_MAX * (limits::HTTP_FIELD_NAME_MAX + limits::HTTP_FIELD_MAX + 4)
    + limits::REGEX_MAX
    + 3 * limits::HTTP_PATH_MAX
    + 2 * limits::HOST_NAME_MAX
    + 4 * limits::STATUS_RANGES_MAX
    + 256;
const _: () = assert!(PAGE_MAX <= JOB_MAX, "what can be configured fits a job");

/// Where an HTTP job says whether its request is out already; the request follows.
const SENT_AT: usize = LEFT_AT + 16;

const KIND_HTTP: u8 = 1;
const KIND_HTTPS: u8 = 2;
const KIND_SMTP: u8 = 3;
const KIND_MAIL: u8 = 4;

/// One conversation for a worker, with the connected socket beside it. Borrowed from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job<'a> {
    /// Comes back in the report.
    pub token: u32,
    /// From the receipt of the job to the end of the conversation; at most a day.
    pub left: Duration,
    /// As the user configured it, for the words of a failure.
    pub timeout: Duration,
    /// What to do.
    pub task: Task<'a>,
}

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task<'a> {
    /// Ask for a page.
    Http(HttpTask<'a>),
    /// Greet a mail server.
    Smtp(SmtpTask<'a>),
    /// Hand a mail over.
    Mail(MailTask<'a>),
}

/// A page to ask for, and what is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTask<'a> {
    /// The whole request, as [`emit_request`](super::http::emit_request) wrote it.
    pub request: &'a [u8],
    /// The loop has sent it, and the other end has answered, or closed: only the reply is left. Never over
    /// TLS.
    pub sent: bool,
    /// Over TLS.
    pub tls: Option<TlsTask<'a>>,
    /// What of the body is looked at.
    pub body: Body<'a>,
    /// Wanted status codes (HC-11).
    pub status: StatusRanges<'a>,
}

/// What is wanted of a page's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Body<'a> {
    /// MD5.
    pub digest: Option<[u8; 16]>,
    /// The digest is of the bytes on the wire, chunk framing and all (HC-12).
    pub raw: bool,
    /// What is looked for.
    pub regex: Option<Pattern<'a>>,
}

/// A regular expression, and where a match may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern<'a> {
    /// In the syntax of `regex-lite`.
    pub pattern: &'a str,
    /// It must not match.
    pub negated: bool,
    /// A match begins at this byte or later.
    pub first: u32,
    /// A match begins before this byte; 0: anywhere.
    pub last: u32,
}

/// How TLS is spoken (HC-14). The files' names are for the words of a failure: they are open beside the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsTask<'a> {
    /// Whom the certificate must name: a host name or an address.
    pub name: &'a str,
    /// The name is sent, where it is none of an address.
    pub sni: bool,
    /// File of authorities; empty: the certificate is not looked at.
    pub ca: &'a str,
    /// File of our certificate; empty: none.
    pub certificate: &'a str,
    /// File of its key; empty where there is no certificate.
    pub key: &'a str,
}

impl<'a> TlsTask<'a> {
    /// The files that are open beside the job, in their order.
    pub fn files(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        [self.ca, self.certificate, self.key].into_iter().filter(|path| !path.is_empty())
    }
}

/// A mail server to greet (HC-25).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmtpTask<'a> {
    /// Name for HELO.
    pub helo: &'a str,
}

/// A mail to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailTask<'a> {
    /// Name for HELO.
    pub helo: &'a str,
    /// Sender, envelope and header.
    pub from: &'a str,
    /// Recipients.
    pub to: Strings<'a>,
    /// Subject.
    pub subject: &'a str,
    /// `Date` header (RFC 5322 §3.3).
    pub date: &'a str,
    /// `Message-ID` header, angle brackets and all.
    pub message_id: &'a str,
    /// Body, lines ended by `\n`.
    pub body: &'a str,
}

/// Wanted status codes as (first, last), four bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRanges<'a>(&'a [u8]);

impl StatusRanges<'_> {
    /// First and last of each.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.0
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// Is `status` wanted?
    pub fn contains(&self, status: u16) -> bool {
        self.iter().any(|(first, last)| (first..=last).contains(&status))
    }
}

/// Several strings, proved whole by `parse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + 'a {
        let mut rest = Reader(self.0);
        core::iter::from_fn(move || rest.string())
    }
}

/// Why bytes are no job or no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobError {
    /// Too short, or bytes left over.
    Length,
    /// A number that stands for nothing.
    Number,
    /// Not UTF-8, or control characters in a reason (SEC-15).
    Text,
}

impl<'a> Job<'a> {
    /// Takes a datagram apart.
    ///
    /// # Errors
    /// Where the bytes are no job; nothing of it is to be done then.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JobError> {
        let mut rest = Reader(bytes);
        let kind = rest.u8()?;
        let token = rest.u32()?;
        let left = rest.duration()?;
        let timeout = rest.duration()?;
        let task = match kind {
            KIND_HTTP => Task::Http(parse_http(&mut rest, false)?),
            KIND_HTTPS => Task::Http(parse_http(&mut rest, true)?),
            KIND_SMTP => Task::Smtp(SmtpTask { helo: rest.checked_string()? }),
            KIND_MAIL => Task::Mail(parse_mail(&mut rest)?),
            _ => return Err(JobError::Number),
        };
        if rest.0.is_empty() { Ok(Job { token, left, timeout, task }) } else { Err(JobError::Length) }
    }
}

/// Writes an HTTP job; `None` where it is longer than [`JOB_MAX`] or has more than 255 ranges, or where
/// `request`, which writes the request into the room that it gets, and tells its length, says so. Token and
/// time left are filled in by [`stamp`].
pub fn emit_http(
    buffer: &mut [u8; JOB_MAX],
    timeout: Duration,
    request: impl FnOnce(&mut [u8]) -> Option<usize>,
    tls: Option<&TlsTask<'_>>,
    body: &Body<'_>,
    status: impl Iterator<Item = (u16, u16)>,
) -> Option<usize> {
    let kind = if tls.is_some() { KIND_HTTPS } else { KIND_HTTP };
    let mut out = Writer::new(buffer, kind, timeout)?;
    out.flag(false)?;
    out.filled(request)?;
    if let Some(tls) = tls {
        out.string(tls.name)?;
        out.flag(tls.sni)?;
        out.string(tls.ca)?;
        out.string(tls.certificate)?;
        out.string(tls.key)?;
    }
    out.flag(body.digest.is_some())?;
    out.bytes(&body.digest.unwrap_or([0; 16]))?;
    out.flag(body.raw)?;
    out.flag(body.regex.is_some())?;
    if let Some(regex) = &body.regex {
        out.string(regex.pattern)?;
        out.flag(regex.negated)?;
        out.bytes(&regex.first.to_be_bytes())?;
        out.bytes(&regex.last.to_be_bytes())?;
    }
    out.counted(status, |out, (first, last)| {
        out.bytes(&first.to_be_bytes())?;
        out.bytes(&last.to_be_bytes())
    })?;
    Some(out.len)
}

/// Writes a job that greets a mail server; `None` where it is longer than [`JOB_MAX`]. Token and time left
/// are filled in by [`stamp`].
pub fn emit_smtp(buffer: &mut [u8; JOB_MAX], timeout: Duration, helo: &str) -> Option<usize> {
    let mut out = Writer::new(buffer, KIND_SMTP, timeout)?;
    out.string(helo)?;
    Some(out.len)
}

/// The texts of a mail job, but for its recipients and body.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// As in [`MailTask`].
    pub helo: &'a str,
    /// As in [`MailTask`].
    pub from: &'a str,
    /// As in [`MailTask`].
    pub subject: &'a str,
    /// As in [`MailTask`].
    pub date: &'a str,
    /// As in [`MailTask`].
    pub message_id: &'a str,
}

/// Writes a mail job; `None` where it is longer than [`JOB_MAX`] or has more than 255 recipients. Token
/// and time left are filled in by [`stamp`].
pub fn emit_mail<'s>(
    buffer: &mut [u8; JOB_MAX],
    timeout: Duration,
    envelope: Envelope<'_>,
    to: impl Iterator<Item = &'s str>,
    body: &str,
) -> Option<usize> {
    let mut out = Writer::new(buffer, KIND_MAIL, timeout)?;
    out.string(envelope.helo)?;
    out.string(envelope.from)?;
    out.string(envelope.subject)?;
    out.string(envelope.date)?;
    out.string(envelope.message_id)?;
    out.string(body)?;
    out.counted(to, |out, address| out.string(address))?;
    Some(out.len)
}

/// What the loop sends for a job as soon as there is a connection, so that a server that hangs costs no
/// worker. `None`: nothing; the other end speaks first, or TLS is spoken.
pub fn request(job: &[u8]) -> Option<&[u8]> {
    let (KIND_HTTP, mut rest) = (*job.first()?, Reader(job.get(SENT_AT + 1..)?)) else { return None };
    rest.counted_bytes().ok()
}

/// Says that [`request`] has been sent.
pub fn mark_sent(job: &mut [u8]) {
    if job.first() == Some(&KIND_HTTP)
        && let Some(sent) = job.get_mut(SENT_AT)
    {
        *sent = 1;
    }
}

/// Fills in what is known only when a worker takes the job.
pub fn stamp(job: &mut [u8], token: u32, left: Duration) {
    if let Some(to) = job.get_mut(1..LEFT_AT) {
        to.copy_from_slice(&token.to_be_bytes());
    }
    if let Some(to) = job.get_mut(LEFT_AT..LEFT_AT + 8) {
        to.copy_from_slice(&left.total_micros().to_be_bytes());
    }
}

fn parse_http<'a>(rest: &mut Reader<'a>, over_tls: bool) -> Result<HttpTask<'a>, JobError> {
    let sent = rest.flag()?;
    let request = rest.counted_bytes()?;
    let tls = if over_tls { Some(parse_tls(rest)?) } else { None };
    let digest = rest.optional_digest()?;
    let raw = rest.flag()?;
    let regex = if rest.flag()? { Some(parse_pattern(rest)?) } else { None };
    let count = usize::from(rest.u8()?);
    let status = StatusRanges(rest.take(count * 4)?);
    Ok(HttpTask { request, sent: sent && !over_tls, tls, body: Body { digest, raw, regex }, status })
}

fn parse_tls<'a>(rest: &mut Reader<'a>) -> Result<TlsTask<'a>, JobError> {
    let name = rest.checked_string()?;
    let sni = rest.flag()?;
    let ca = rest.checked_string()?;
    let certificate = rest.checked_string()?;
    let key = rest.checked_string()?;
    // Else the files beside the job would be taken for one another.
    match certificate.is_empty() == key.is_empty() {
        true => Ok(TlsTask { name, sni, ca, certificate, key }),
        false => Err(JobError::Text),
    }
}

fn parse_pattern<'a>(rest: &mut Reader<'a>) -> Result<Pattern<'a>, JobError> {
    let pattern = rest.checked_string()?;
    let negated = rest.flag()?;
    Ok(Pattern { pattern, negated, first: rest.u32()?, last: rest.u32()? })
}

fn parse_mail<'a>(rest: &mut Reader<'a>) -> Result<MailTask<'a>, JobError> {
    let helo = rest.checked_string()?;
    let from = rest.checked_string()?;
    let subject = rest.checked_string()?;
    let date = rest.checked_string()?;
    let message_id = rest.checked_string()?;
    let body = rest.checked_string()?;
    let count = rest.u8()?;
    let to = Strings(rest.0);
    for _ in 0..count {
        rest.checked_string()?;
    }
    Ok(MailTask { helo, from, to, subject, date, message_id, body })
}

#[cfg(test)]
mod tests;
