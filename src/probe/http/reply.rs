//! A reply as it comes in: its header, then its body, in bounds (HC-2).

use super::page::Judge;
use crate::limits::{BODY_MAX, HEADER_MAX};
use crate::probe::talk::{Line, Stop};
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvResponseResult, SendRequestResult};
use ureq_proto::http::Request;
use ureq_proto::{BodyMode, Error};

/// Bytes of a body on the wire: a page of the limit, and its chunk framing.
const WIRE_MAX: usize = 2 * BODY_MAX;

/// Why there is no reply, or no whole one.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing more comes.
    Stopped(Stop),
    /// What came is no HTTP.
    Malformed(Error),
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Trouble::Stopped(stop)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Malformed(error)
    }
}

/// A reply that comes over a line.
pub(super) struct Reply<'l> {
    line: &'l mut dyn Line,
    /// What has come and is not used yet is `begin..end` of it.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    has_begun: bool,
    /// Once the header is there: `None` where there is no body.
    body: Option<Call<RecvBody>>,
}

impl<'l> Reply<'l> {
    pub(super) fn new(line: &'l mut dyn Line) -> Self {
        let buffer = vec![0; HEADER_MAX];
        Reply { line, buffer, begin: 0, end: 0, has_begun: false, body: None }
    }

    /// Has anything come at all?
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Reads the header; informational ones before it are skipped (HC-13), and count for its size.
    pub(super) fn status(&mut self) -> Result<u16, Trouble> {
        let mut call = reading()?;
        let mut used_in_all = 0;
        loop {
            let used = match call.try_response(self.held(), false) {
                Ok((used, Some(response))) => {
                    self.begin += used;
                    self.body = match call.proceed() {
                        Some(RecvResponseResult::RecvBody(body)) => Some(body),
                        Some(RecvResponseResult::Redirect(_) | RecvResponseResult::Cleanup(_)) | None => None,
                    };
                    return Ok(response.status().as_u16());
                }
                Ok((used, None)) => used,
                // It may have fields (RFC 9110 §15.2).
                Err(Error::HeadersWith100) => header_len(self.held()),
                Err(error) => return Err(error.into()),
            };
            self.begin += used;
            used_in_all += used;
            if used == 0 {
                // It may be whole once a line has ended, not before.
                while !self.read(HEADER_MAX.saturating_sub(used_in_all))?.contains(&b'\n') {}
            }
        }
    }

    /// Reads the body to its end, for `judge`.
    pub(super) fn body(&mut self, judge: &mut Judge<'_>) -> Result<(), Trouble> {
        let Some(mut call) = self.body.take() else { return Ok(()) };
        let until_closed = call.body_mode() == BodyMode::CloseDelimited;
        let mut plain = [0; 4096];
        let mut wire_left = WIRE_MAX;
        while until_closed || !call.can_proceed() {
            let (used, len) = call.read(self.held(), &mut plain)?;
            wire_left = wire_left.checked_sub(used).ok_or(Stop::TooLarge)?;
            judge.take(plain.get(..len).unwrap_or(&[]), self.held().get(..used).unwrap_or(&[]))?;
            self.begin += used;
            if (used, len) != (0, 0) {
                continue;
            }
            match self.read(HEADER_MAX) {
                Ok(_) => {}
                // The end of the page, or of all but the empty line after its last chunk.
                Err(Stop::Closed) if until_closed || call.is_ended_chunked() => return Ok(()),
                Err(stop) => return Err(stop.into()),
            }
        }
        Ok(())
    }

    /// What has come and is not used yet.
    fn held(&self) -> &[u8] {
        self.buffer.get(self.begin..self.end).unwrap_or(&[])
    }

    /// Reads more, where less than `most` is held; gives what is new.
    fn read(&mut self, most: usize) -> Result<&[u8], Stop> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let room = self.buffer.get_mut(self.end..most).unwrap_or(&mut []);
        if room.is_empty() {
            return Err(Stop::TooLarge);
        }
        let len = self.line.read(room)?;
        let new = self.end..self.end + len;
        self.end += len;
        self.has_begun = true;
        Ok(self.buffer.get(new).unwrap_or(&[]))
    }
}

/// ureq where it waits for a reply. It is told of a request, the essence of what was sent.
fn reading() -> Result<Call<RecvResponse>, Error> {
    let request = Request::get("http://vipd/").body(()).map_err(|e| Error::BadHeader(e.to_string()))?;
    let mut call = Call::new(request)?.proceed();
    call.write(&mut [0; 64])?;
    match call.proceed()? {
        Some(SendRequestResult::RecvResponse(call)) => Ok(call),
        Some(SendRequestResult::Await100(_) | SendRequestResult::SendBody(_)) | None => {
            Err(Error::OutputOverflow)
        }
    }
}

/// Bytes of a whole header, the empty line included.
fn header_len(bytes: &[u8]) -> usize {
    let mut line_len = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if line_len == 0 && at > 0 => return at + 1,
            b'\n' => line_len = 0,
            b'\r' => {}
            _ => line_len += 1,
        }
    }
    bytes.len()
}
