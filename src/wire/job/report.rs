//! What a worker answers.

use super::JobError;
use super::bytes::Reader;
use crate::limits::REASON_MAX;
use crate::time::Duration;

/// Bytes of a [`Report`] on the pair; shorter or longer is no report.
pub const REPORT_LEN: usize = 1 + 4 + 2 + 1 + 16 + 8 + 4 * STEPS + 4 + 1 + REASON_MAX;

/// Steps of a conversation.
pub const STEPS: usize = 4;

/// A reason that fits a report.
pub type ReportText = heapless::String<REASON_MAX>;

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
    /// When each step was done, in µs from the receipt of the job; 0: it was not. HTTP: hands shaken (TLS),
    /// request sent, header read, body read. SMTP: nothing, banner read, HELO answered, the rest.
    pub steps: [u32; STEPS],
    /// Bytes of the body that were read, decoded.
    pub bytes: u32,
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

impl Report {
    /// Takes a datagram apart.
    ///
    /// # Errors
    /// Where the bytes are no report: the worker is not to be trusted with another job.
    pub fn parse(bytes: &[u8]) -> Result<Self, JobError> {
        let datagram: &[u8; REPORT_LEN] = bytes.try_into().map_err(|_| JobError::Length)?;
        let mut rest = Reader(datagram);
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
        let mut steps = [0; STEPS];
        for step in &mut steps {
            *step = rest.u32()?;
        }
        let bytes = rest.u32()?;
        let len = usize::from(rest.u8()?);
        let text = rest.take(REASON_MAX)?.get(..len).ok_or(JobError::Number)?;
        let text = core::str::from_utf8(text).map_err(|_| JobError::Text)?;
        if text.chars().any(char::is_control) {
            return Err(JobError::Text);
        }
        let reason = ReportText::try_from(text).map_err(|_| JobError::Length)?;
        Ok(Report { token, verdict, status, digest, took, steps, bytes, reason })
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
        let [tls, request, header, body] = self.steps.map(u32::to_be_bytes);
        let parts: [&[u8]; 13] = [
            &[verdict],
            &self.token.to_be_bytes(),
            &self.status.to_be_bytes(),
            &[u8::from(self.digest.is_some())],
            &digest,
            &self.took.total_micros().to_be_bytes(),
            &tls,
            &request,
            &header,
            &body,
            &self.bytes.to_be_bytes(),
            &[self.reason.len() as u8],
            self.reason.as_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}
