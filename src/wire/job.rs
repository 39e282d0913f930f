//! What the loop and a worker say to each other: one datagram a message, over a `SOCK_SEQPACKET` pair.
//!
//! ```text
//! job     kind 1, token 4, µs left 8, timeout µs 8, strings (length 2, bytes) and numbers; at most JOB_MAX
//!         HTTP: sent 1, request (length 2, bytes), ...
//! report  verdict 1, token 4, status 2, has digest 1, digest 16, µs taken 8, length 1, reason REASON_MAX
//! ```
//!
//! Numbers are big endian.
//!
//! Each side takes the other's bytes as untrusted: the worker has talked to a stranger, and the loop's
//! bytes are those of whoever holds the other end.

use crate::limits::{JOB_MAX, REASON_MAX};
use crate::time::Duration;

/// Bytes of a [`Report`] on the pair; shorter or longer is no report.
pub const REPORT_LEN: usize = 1 + 4 + 2 + 1 + 16 + 8 + 1 + REASON_MAX;
/// Longest time for one conversation. More is cut, so that no arithmetic on it can overflow.
const LEFT_MAX_MICROS: u64 = 86_400_000_000;
/// Where the time left stands in a job.
const LEFT_AT: usize = 5;
/// Where an HTTP job says whether its request is out already; the request follows.
const SENT_AT: usize = LEFT_AT + 16;

const KIND_HTTP: u8 = 1;
const KIND_SMTP: u8 = 2;

/// A reason that fits a report.
pub type ReportText = heapless::String<REASON_MAX>;

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
    /// Hand a mail over.
    Smtp(SmtpTask<'a>),
}

/// A page to ask for, and what is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTask<'a> {
    /// The whole request, as [`emit_request`](super::http::emit_request) wrote it.
    pub request: &'a [u8],
    /// The loop has sent it, and the other end has answered, or closed: only the reply is left.
    pub sent: bool,
    /// Wanted status codes (HC-11).
    pub status: StatusRanges<'a>,
    /// Wanted MD5 of the body.
    pub digest: Option<[u8; 16]>,
}

/// A mail to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmtpTask<'a> {
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

/// How a conversation ended, or (before the first) how the worker is confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// That of the job; 0 in a [`Verdict::Hello`].
    pub token: u32,
    /// How.
    pub verdict: Verdict,
    /// HTTP status or SMTP code; 0 where there was none.
    pub status: u16,
    /// MD5 of the body, where it was asked for and the page was whole.
    pub digest: Option<[u8; 16]>,
    /// Time of the conversation.
    pub took: Duration,
    /// Why not; empty after a plain success.
    pub reason: ReportText,
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As wanted.
    Passed,
    /// The other end failed it.
    Failed,
    /// It could not be held; no verdict on the other end (HC-4).
    NotRun,
    /// The worker's first word: it is ready, and `reason` says which part of its confinement it lacks.
    Hello,
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
            KIND_HTTP => Task::Http(parse_http(&mut rest)?),
            KIND_SMTP => Task::Smtp(parse_smtp(&mut rest)?),
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
    status: impl Iterator<Item = (u16, u16)>,
    digest: Option<&[u8; 16]>,
) -> Option<usize> {
    let mut out = Writer::new(buffer, KIND_HTTP, timeout)?;
    out.bytes(&[0])?;
    out.filled(request)?;
    out.bytes(&[u8::from(digest.is_some())])?;
    out.bytes(digest.unwrap_or(&[0; 16]))?;
    out.counted(status, |out, (first, last)| {
        out.bytes(&first.to_be_bytes())?;
        out.bytes(&last.to_be_bytes())
    })?;
    Some(out.len)
}

/// The texts of a mail job, but for its recipients and body.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// As in [`SmtpTask`].
    pub helo: &'a str,
    /// As in [`SmtpTask`].
    pub from: &'a str,
    /// As in [`SmtpTask`].
    pub subject: &'a str,
    /// As in [`SmtpTask`].
    pub date: &'a str,
    /// As in [`SmtpTask`].
    pub message_id: &'a str,
}

/// Writes a mail job; `None` where it is longer than [`JOB_MAX`] or has more than 255 recipients. Token
/// and time left are filled in by [`stamp`].
pub fn emit_smtp<'s>(
    buffer: &mut [u8; JOB_MAX],
    timeout: Duration,
    envelope: Envelope<'_>,
    to: impl Iterator<Item = &'s str>,
    body: &str,
) -> Option<usize> {
    let mut out = Writer::new(buffer, KIND_SMTP, timeout)?;
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
/// worker. `None`: nothing.
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

impl Report {
    /// Takes a datagram apart.
    ///
    /// # Errors
    /// Where the bytes are no report: the worker is not to be trusted with another job.
    pub fn parse(bytes: &[u8]) -> Result<Self, JobError> {
        let bytes: &[u8; REPORT_LEN] = bytes.try_into().map_err(|_| JobError::Length)?;
        let mut rest = Reader(bytes);
        let verdict = match rest.u8()? {
            0 => Verdict::Passed,
            1 => Verdict::Failed,
            2 => Verdict::NotRun,
            3 => Verdict::Hello,
            _ => return Err(JobError::Number),
        };
        let token = rest.u32()?;
        let status = rest.u16()?;
        let digest = rest.optional_digest()?;
        let took = rest.duration()?;
        let len = usize::from(rest.u8()?);
        let text = rest.take(REASON_MAX)?.get(..len).ok_or(JobError::Number)?;
        let text = core::str::from_utf8(text).map_err(|_| JobError::Text)?;
        if text.chars().any(char::is_control) {
            return Err(JobError::Text);
        }
        let reason = ReportText::try_from(text).map_err(|_| JobError::Length)?;
        Ok(Report { token, verdict, status, digest, took, reason })
    }

    /// Writes the datagram.
    pub fn emit(&self) -> [u8; REPORT_LEN] {
        let mut bytes = [0; REPORT_LEN];
        let digest = self.digest.unwrap_or([0; 16]);
        let verdict = match self.verdict {
            Verdict::Passed => 0,
            Verdict::Failed => 1,
            Verdict::NotRun => 2,
            Verdict::Hello => 3u8,
        };
        let parts: [&[u8]; 8] = [
            &[verdict],
            &self.token.to_be_bytes(),
            &self.status.to_be_bytes(),
            &[u8::from(self.digest.is_some())],
            &digest,
            &self.took.total_micros().to_be_bytes(),
            &[self.reason.len() as u8],
            self.reason.as_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}

fn parse_http<'a>(rest: &mut Reader<'a>) -> Result<HttpTask<'a>, JobError> {
    let sent = rest.flag()?;
    let request = rest.counted_bytes()?;
    let digest = rest.optional_digest()?;
    let count = usize::from(rest.u8()?);
    let status = StatusRanges(rest.take(count * 4)?);
    Ok(HttpTask { request, sent, status, digest })
}

fn parse_smtp<'a>(rest: &mut Reader<'a>) -> Result<SmtpTask<'a>, JobError> {
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
    Ok(SmtpTask { helo, from, to, subject, date, message_id, body })
}

/// Takes bytes off the front.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], JobError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(JobError::Length)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JobError> {
        self.take(N)?.try_into().map_err(|_| JobError::Length)
    }

    fn u8(&mut self) -> Result<u8, JobError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, JobError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, JobError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, JobError> {
        self.array().map(u64::from_be_bytes)
    }

    fn duration(&mut self) -> Result<Duration, JobError> {
        Ok(Duration::from_micros(self.u64()?.min(LEFT_MAX_MICROS)))
    }

    fn flag(&mut self) -> Result<bool, JobError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(JobError::Number),
        }
    }

    fn optional_digest(&mut self) -> Result<Option<[u8; 16]>, JobError> {
        let wanted = self.flag()?;
        let digest = self.array()?;
        Ok(wanted.then_some(digest))
    }

    fn counted_bytes(&mut self) -> Result<&'a [u8], JobError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    fn checked_string(&mut self) -> Result<&'a str, JobError> {
        core::str::from_utf8(self.counted_bytes()?).map_err(|_| JobError::Text)
    }

    fn string(&mut self) -> Option<&'a str> {
        self.checked_string().ok()
    }
}

/// Puts bytes at the end; `None` at the first that does not fit.
struct Writer<'b> {
    buffer: &'b mut [u8; JOB_MAX],
    len: usize,
}

impl<'b> Writer<'b> {
    fn new(buffer: &'b mut [u8; JOB_MAX], kind: u8, timeout: Duration) -> Option<Self> {
        buffer[0] = kind;
        stamp(buffer, 0, Duration::ZERO);
        let mut out = Writer { buffer, len: LEFT_AT + 8 };
        out.bytes(&timeout.total_micros().to_be_bytes())?;
        Some(out)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.buffer.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// As `string`, of bytes that `fill` writes into what room there is.
    fn filled(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        let (len_at, from) = (self.len, self.len + 2);
        let len = fill(self.buffer.get_mut(from..)?)?;
        self.len = from + len;
        let len = u16::try_from(len).ok()?;
        self.buffer.get_mut(len_at..from)?.copy_from_slice(&len.to_be_bytes());
        Some(())
    }

    fn string(&mut self, text: &str) -> Option<()> {
        self.bytes(&u16::try_from(text.len()).ok()?.to_be_bytes())?;
        self.bytes(text.as_bytes())
    }

    fn counted<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        mut emit: impl FnMut(&mut Self, T) -> Option<()>,
    ) -> Option<()> {
        let count_at = self.len;
        self.bytes(&[0])?;
        let mut count = 0u8;
        for item in items {
            count = count.checked_add(1)?;
            emit(self, item)?;
        }
        *self.buffer.get_mut(count_at)? = count;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: [u8; 16] = *b"0123456789abcdef";

    fn http(buffer: &mut [u8; JOB_MAX]) -> usize {
        let ranges = [(200, 204), (301, 301)].into_iter();
        let len = emit_http(buffer, Duration::from_secs(5), write(b"GET"), ranges, Some(&DIGEST)).unwrap();
        stamp(&mut buffer[..len], 7, Duration::from_millis(3000));
        len
    }

    fn write(bytes: &'static [u8]) -> impl FnOnce(&mut [u8]) -> Option<usize> {
        |room| {
            room.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(bytes.len())
        }
    }

    fn smtp(buffer: &mut [u8; JOB_MAX]) -> usize {
        let envelope = Envelope { helo: "gw", from: "a@b", subject: "S", date: "D", message_id: "<1@gw>" };
        emit_smtp(buffer, Duration::from_secs(5), envelope, ["c@d", "e@f"].into_iter(), "one\ntwo\n").unwrap()
    }

    #[test]
    fn a_job_comes_out_as_it_went_in() {
        let mut buffer = [0; JOB_MAX];
        let len = http(&mut buffer);
        let job = Job::parse(&buffer[..len]).unwrap();
        assert_eq!((job.token, job.left), (7, Duration::from_secs(3)), "the stamp is lost otherwise");
        assert_eq!(job.timeout, Duration::from_secs(5), "the words would name another time");
        let Task::Http(task) = job.task else { panic!("kind lost") };
        assert_eq!((task.request, task.sent, task.digest), (&b"GET"[..], false, Some(DIGEST)));
        assert_eq!(request(&buffer[..len]), Some(&b"GET"[..]), "the loop would send something else");
        mark_sent(&mut buffer[..len]);
        let Task::Http(task) = Job::parse(&buffer[..len]).unwrap().task else { panic!("kind lost") };
        assert_eq!((task.request, task.sent), (&b"GET"[..], true), "it would be sent twice");
        assert!(task.status.contains(204) && task.status.contains(301), "HC-11: ends of ranges are wanted");
        assert!(!task.status.contains(205) && !task.status.contains(300), "HC-11: what is outside is not");

        let len = smtp(&mut buffer);
        assert_eq!(request(&buffer[..len]), None, "the server speaks first");
        let before = buffer;
        mark_sent(&mut buffer[..len]);
        assert_eq!(buffer, before);
        let Task::Smtp(task) = Job::parse(&buffer[..len]).unwrap().task else { panic!("kind lost") };
        assert_eq!(task.to.iter().collect::<Vec<_>>(), ["c@d", "e@f"], "every recipient must arrive");
        assert_eq!((task.helo, task.from, task.subject, task.body), ("gw", "a@b", "S", "one\ntwo\n"));
    }

    #[test]
    fn a_job_that_does_not_fit_is_refused() {
        let mut buffer = [0; JOB_MAX];
        let long = |room: &mut [u8]| Some(room.len());
        assert_eq!(
            emit_http(&mut buffer, Duration::ZERO, long, [].into_iter(), None),
            None,
            "would be cut silently"
        );
        let many = core::iter::repeat_n((200, 299), 256);
        assert_eq!(
            emit_http(&mut buffer, Duration::ZERO, write(b"GET"), many, None),
            None,
            "the count would wrap to 0"
        );
        let none = |_: &mut [u8]| None;
        assert_eq!(emit_http(&mut buffer, Duration::ZERO, none, [].into_iter(), None), None);
    }

    #[test]
    fn cut_and_changed_jobs_are_refused_or_read_never_a_panic() {
        let mut buffer = [0; JOB_MAX];
        for emit in [http, smtp] {
            let len = emit(&mut buffer);
            for cut in 0..len {
                assert!(Job::parse(&buffer[..cut]).is_err(), "a job cut at {cut} must not be acted on");
            }
            assert_eq!(Job::parse(&buffer[..len + 1]), Err(JobError::Length), "bytes left over");
            for at in 0..len {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut changed = buffer;
                    changed[at] = value;
                    if let Ok(Job { task: Task::Smtp(task), .. }) = Job::parse(&changed[..len]) {
                        assert!(task.to.iter().count() <= 255, "the iterator must end");
                    }
                }
            }
        }
    }

    #[test]
    fn an_absurd_time_is_cut_to_a_day() {
        let mut buffer = [0; JOB_MAX];
        let len = http(&mut buffer);
        buffer[LEFT_AT..LEFT_AT + 8].copy_from_slice(&[0xff; 8]);
        let job = Job::parse(&buffer[..len]).unwrap();
        assert_eq!(job.left, Duration::from_secs(86_400), "adding it to a clock would overflow");
    }

    #[test]
    fn a_report_comes_out_as_it_went_in() {
        let report = Report {
            token: 0xfffe_fdfc,
            verdict: Verdict::Failed,
            status: 503,
            digest: Some(DIGEST),
            took: Duration::from_micros(1_234_567),
            reason: ReportText::try_from("HTTP 503, want 200").unwrap(),
        };
        let bytes = report.emit();
        assert_eq!(Report::parse(&bytes), Ok(report), "the verdict would be another");
        assert_eq!(Report::parse(&bytes[..REPORT_LEN - 1]), Err(JobError::Length), "short report believed");
        let mut long = bytes.to_vec();
        long.push(0);
        assert_eq!(Report::parse(&long), Err(JobError::Length), "long report believed");
    }

    #[test]
    fn a_report_of_nonsense_is_refused() {
        let mut bytes = [0xffu8; REPORT_LEN];
        assert_eq!(Report::parse(&bytes), Err(JobError::Number), "verdict 255");
        bytes = [0; REPORT_LEN];
        bytes[7] = 2;
        assert_eq!(Report::parse(&bytes), Err(JobError::Number), "digest flag 2");
        bytes = [0; REPORT_LEN];
        bytes[32] = REASON_MAX as u8 + 1;
        assert_eq!(Report::parse(&bytes), Err(JobError::Number), "reason longer than its field");
        bytes[32] = 1;
        bytes[33] = 0x1b;
        assert_eq!(Report::parse(&bytes), Err(JobError::Text), "SEC-15: an escape would reach a terminal");
        bytes[33] = 0xc3;
        assert_eq!(Report::parse(&bytes), Err(JobError::Text), "half a character would reach a terminal");
    }
}
