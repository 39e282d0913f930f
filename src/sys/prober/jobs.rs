//! From what is to be probed, or sent, to what a worker is told: one job after the other, each its length (2
//! bytes) first.

use crate::engine::{Letter, Outcome, ProbeSpec};
use crate::limits::{JOB_MAX, NAME_MAX};
use crate::model::{HttpCheck, HttpPage, Mail, SmtpCheck, TlsCheck, cut};
use crate::wire::date::rfc5322;
use crate::wire::http::emit_request;
use crate::wire::job::{self, Body, Envelope, Pattern, TlsTask, emit_http, emit_mail, emit_smtp};
use core::fmt::Write;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// How a conversation begins, once there is a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The loop sends the request; a worker reads the reply, once there is something to read.
    Request,
    /// The other end speaks first; a worker listens, once there is something to read.
    Banner,
    /// A worker speaks, at once.
    Worker,
}

/// Writes jobs. Its memory is kept.
pub(super) struct Writer {
    room: Box<[u8]>,
    jobs: Vec<u8>,
    /// Wall-clock µs at the start: the letters' numbers, which begin with 1 each time, are told apart by it.
    born_micros: u128,
}

impl Writer {
    pub(super) fn new() -> Self {
        // Memory that the kernel gives when it is written: few jobs are as long as they may be.
        let room = vec![0; JOB_MAX].into_boxed_slice();
        Writer { room, jobs: Vec::new(), born_micros: since_epoch().as_micros() }
    }

    /// What was written last.
    pub(super) fn jobs(&self) -> &[u8] {
        &self.jobs
    }

    /// For something else than a conversation: what `fill` writes into the room that it gets. `None` where it
    /// has none.
    pub(super) fn question(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        self.jobs.clear();
        let len = fill(&mut self.room)?;
        self.jobs.extend_from_slice(self.room.get(..len)?);
        Some(len)
    }

    /// One job for each page.
    ///
    /// # Errors
    /// The outcome of a probe that cannot be made.
    pub(super) fn http(&mut self, spec: &ProbeSpec<'_>, check: &HttpCheck) -> Result<First, Outcome> {
        self.jobs.clear();
        // HC-10: address and port, an IPv6 address in brackets. A zone is of no concern to the server.
        let (mut own, mut address_alone) = (heapless::String::<64>::new(), heapless::String::<64>::new());
        let address = match spec.address {
            SocketAddr::V4(_) => spec.address,
            SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
        };
        let _ = (write!(own, "{address}"), write!(address_alone, "{}", address.ip()));
        for page in &check.pages {
            let host = page.virtual_host.as_deref().unwrap_or(&own);
            let ranges = page.status.iter().map(|range| (range.first, range.last));
            let headers = check.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let request = |room: &mut [u8]| emit_request(check.version, host, &page.path, headers, room);
            let tls = check.tls.as_deref().map(|tls| tls_task(tls, page, &address_alone));
            let body = body(page);
            self.add(|room| emit_http(room, spec.timeout, request, tls.as_ref(), &body, ranges))?;
        }
        match (check.pages.is_empty(), check.tls.is_some()) {
            (true, _) => Err(Outcome::NotRun(cut(format_args!("no page to ask for")))),
            (false, false) => Ok(First::Request),
            (false, true) => Ok(First::Worker),
        }
    }

    /// The greeting of a mail server.
    ///
    /// # Errors
    /// The outcome of a probe that cannot be made.
    pub(super) fn greeting(
        &mut self,
        spec: &ProbeSpec<'_>,
        check: &SmtpCheck,
        router_name: &str,
    ) -> Result<First, Outcome> {
        self.jobs.clear();
        let name = host_name(check.helo.as_deref().unwrap_or(router_name));
        self.add(|room| emit_smtp(room, spec.timeout, &name))?;
        Ok(First::Banner)
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
        self.add(|room| emit_mail(room, mail.timeout, envelope, to, &letter.body))?;
        Ok(First::Banner)
    }

    fn add(&mut self, emit: impl FnOnce(&mut [u8; JOB_MAX]) -> Option<usize>) -> Result<(), Outcome> {
        let too_long = || {
            let why = format_args!("longer than {JOB_MAX} bytes in all, or a line break in it");
            Outcome::NotRun(cut(why))
        };
        let len = self.room.first_chunk_mut().and_then(emit);
        let job = len.and_then(|len| self.room.get(..len)).ok_or_else(too_long)?;
        let len = u16::try_from(job.len()).map_err(|_| too_long())?;
        self.jobs.extend_from_slice(&len.to_be_bytes());
        self.jobs.extend_from_slice(job);
        Ok(())
    }
}

fn body(page: &HttpPage) -> Body<'_> {
    let regex = page.regex.as_ref().map(|regex| Pattern {
        pattern: &regex.pattern,
        negated: regex.negated,
        first: regex.first,
        last: regex.last,
    });
    Body { digest: page.digest, raw: page.raw_body, regex }
}

/// `address`: the server's, which its certificate is to name where there is no name.
fn tls_task<'a>(tls: &'a TlsCheck, page: &'a HttpPage, address: &'a str) -> TlsTask<'a> {
    let (certificate, key) = tls.client.as_ref().map_or(("", ""), |(certificate, key)| (certificate, key));
    TlsTask {
        name: tls_name(tls, page).unwrap_or(address),
        sni: !tls.without_sni,
        ca: tls.ca.as_deref().unwrap_or(""),
        certificate,
        key,
    }
}

/// Whose certificate it must be: the given name, or the virtual host, where that is a name (HC-14).
fn tls_name<'a>(tls: &'a TlsCheck, page: &'a HttpPage) -> Option<&'a str> {
    let host = || {
        let host = page.virtual_host.as_deref()?;
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        let name = if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host };
        let is_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        (!name.is_empty() && !is_address(name) && !is_address(host)).then_some(name)
    };
    tls.name.as_deref().or_else(host)
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

    /// Which job is at hand, from 1 on; `None` where there is but one.
    pub(super) fn number(&self) -> Option<usize> {
        let (mut at, mut number) = (0, 1);
        while at < self.at {
            at += 2 + self.len_at(at);
            number += 1;
        }
        let is_last = self.at + 2 + self.len() >= self.bytes.len();
        (number > 1 || !is_last).then_some(number)
    }

    fn len(&self) -> usize {
        self.len_at(self.at)
    }

    fn len_at(&self, at: usize) -> usize {
        let len = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_a_certificate_hc14() {
        let name = |virtual_host: Option<&str>, given: Option<&str>| {
            let page = HttpPage { virtual_host: virtual_host.map(str::to_owned), ..HttpPage::new("/") };
            let tls = TlsCheck { name: given.map(str::to_owned), ..TlsCheck::default() };
            tls_name(&tls, &page).map(str::to_owned)
        };
        assert_eq!(name(Some("www.example.org"), None).as_deref(), Some("www.example.org"));
        assert_eq!(name(Some("www.example.org:8443"), None).as_deref(), Some("www.example.org"), "no port");
        assert_eq!(name(Some("www.example.org"), Some("a.b")).as_deref(), Some("a.b"), "the user's word");
        for address in ["192.0.2.1", "192.0.2.1:443", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8::1"] {
            assert_eq!(name(Some(address), None), None, "{address}: SNI is never an address");
        }
        assert_eq!(name(None, None), None);
    }
}
