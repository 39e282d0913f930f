//! From what is to be probed, or sent, to what a worker is told: one job after the other, each its length (2
//! bytes) first.

use crate::engine::{Letter, Outcome, ProbeSpec};
use crate::limits::{JOB_MAX, NAME_MAX};
use crate::model::{HttpCheck, Mail, cut};
use crate::wire::date::rfc5322;
use crate::wire::http::emit_request;
use crate::wire::job::{self, Envelope, emit_http, emit_smtp};
use core::fmt::Write;
use std::net::{SocketAddr, SocketAddrV6};

/// How a conversation begins, once there is a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The loop sends the request; a worker reads the reply, once there is something to read.
    Request,
    /// The other end speaks first; a worker listens, once there is something to read.
    Banner,
}

/// Writes jobs. Its memory is kept.
pub(super) struct Writer {
    room: Box<[u8; JOB_MAX]>,
    jobs: Vec<u8>,
    /// Wall-clock µs at the start: the letters' numbers, which begin with 1 each time, are told apart by it.
    born_micros: u128,
}

impl Writer {
    pub(super) fn new() -> Self {
        Writer { room: Box::new([0; JOB_MAX]), jobs: Vec::new(), born_micros: since_epoch().as_micros() }
    }

    /// What was written last.
    pub(super) fn jobs(&self) -> &[u8] {
        &self.jobs
    }

    /// For something else than a conversation: what `fill` writes into the room that it gets. `None` where it
    /// has none.
    pub(super) fn question(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        self.jobs.clear();
        let len = fill(self.room.as_mut_slice())?;
        self.jobs.extend_from_slice(self.room.get(..len)?);
        Some(len)
    }

    /// One job for each page.
    ///
    /// # Errors
    /// The outcome of a probe that cannot be made.
    pub(super) fn http(&mut self, spec: &ProbeSpec<'_>, check: &HttpCheck) -> Result<First, Outcome> {
        self.jobs.clear();
        if check.tls.is_some() {
            return Err(Outcome::NotRun(cut(format_args!("no such probe yet"))));
        }
        // HC-10: address and port, an IPv6 address in brackets. A zone is of no concern to the server.
        let mut own = heapless::String::<64>::new();
        let address = match spec.address {
            SocketAddr::V4(_) => spec.address,
            SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
        };
        let _ = write!(own, "{address}");
        for page in &check.pages {
            let host = page.virtual_host.as_deref().unwrap_or(&own);
            let ranges = page.status.iter().map(|range| (range.first, range.last));
            let headers = check.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let request = |room: &mut [u8]| emit_request(check.version, host, &page.path, headers, room);
            let len = emit_http(&mut self.room, spec.timeout, request, ranges, page.digest.as_ref());
            self.add(len)?;
        }
        if check.pages.is_empty() {
            return Err(Outcome::NotRun(cut(format_args!("no page to ask for"))));
        }
        Ok(First::Request)
    }

    /// The job of a mail.
    ///
    /// # Errors
    /// The outcome where it cannot be handed over.
    pub(super) fn mail(&mut self, letter: &Letter, mail: &Mail, router_name: &str) -> Result<First, Outcome> {
        self.jobs.clear();
        let host = host_name(mail.helo.as_deref().unwrap_or(router_name));
        let mut message_id = heapless::String::<{ NAME_MAX + 64 }>::new();
        // The same at each try: where the answer to the first one was lost, the mail arrives twice.
        let _ = write!(message_id, "<{}.{}.{}@{host}>", self.born_micros, std::process::id(), letter.id);
        let date = rfc5322(i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX));
        let envelope = Envelope {
            helo: &host,
            from: &mail.from,
            subject: &letter.subject,
            date: &date,
            message_id: &message_id,
        };
        let to = mail.to.iter().map(String::as_str);
        let len = emit_smtp(&mut self.room, mail.timeout, envelope, to, &letter.body);
        self.add(len)?;
        Ok(First::Banner)
    }

    fn add(&mut self, len: Option<usize>) -> Result<(), Outcome> {
        let too_long = || Outcome::NotRun(cut(format_args!("longer than {JOB_MAX} bytes in all")));
        let job = len.and_then(|len| self.room.get(..len)).ok_or_else(too_long)?;
        let len = u16::try_from(job.len()).map_err(|_| too_long())?;
        self.jobs.extend_from_slice(&len.to_be_bytes());
        self.jobs.extend_from_slice(job);
        Ok(())
    }
}

/// Jobs as [`Writer`] wrote them, and which one is at hand.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    bytes: Vec<u8>,
    at: usize,
}

impl Jobs {
    /// Takes over what was written.
    pub(super) fn fill(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.at = 0;
    }

    /// All bytes: a question.
    pub(super) fn question(&self) -> &[u8] {
        &self.bytes
    }

    /// The job at hand.
    pub(super) fn job(&mut self) -> &mut [u8] {
        let len = self.len();
        self.bytes.get_mut(self.at + 2..self.at + 2 + len).unwrap_or(&mut [])
    }

    /// The request of the job at hand.
    pub(super) fn request(&mut self) -> &[u8] {
        job::request(self.job()).unwrap_or(&[])
    }

    /// Goes on to the next job; false where there is none.
    pub(super) fn next(&mut self) -> bool {
        let next = self.at + 2 + self.len();
        let is_there = next < self.bytes.len();
        if is_there {
            self.at = next;
        }
        is_there
    }

    fn len(&self) -> usize {
        let len = self.bytes.get(self.at..).and_then(|bytes| bytes.first_chunk());
        len.map_or(0, |len| usize::from(u16::from_be_bytes(*len)))
    }
}

/// The wall clock, for names and dates that people read; nothing is decided by it (law 7).
fn since_epoch() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// A name as HELO and Message-ID take it: what is no letter, digit, dot or hyphen becomes a hyphen.
fn host_name(name: &str) -> heapless::String<NAME_MAX> {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: heapless::String<NAME_MAX> = name.chars().take(NAME_MAX).map(fits).collect();
    if name.is_empty() { cut(format_args!("localhost")) } else { name }
}
