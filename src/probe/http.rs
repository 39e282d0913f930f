//! One page over a connected socket, and the verdict on it (HC-1, HC-2, HC-10 .. HC-15).
//!
//! ureq reads HTTP; the request, the socket, the deadline and the bound on bytes are ours, in [`Handed`].
//! What ureq would send is thrown away: the request comes with the job, and may be out already. Decided,
//! where the specification leaves it open: line ends of LF alone are accepted; a page that ends early or
//! is larger than `BODY_MAX` fails a probe with a digest and passes one without (the status has come);
//! broken chunk framing fails both; bytes after `Content-Length` are ignored; chunked wins over
//! `Content-Length`; nothing is decompressed.

use super::talk::{self, Stop};
use super::{Deadline, Ending};
use crate::limits::{BODY_MAX, HEADER_MAX};
use crate::time::Duration;
use crate::wire::job::{HttpTask, StatusRanges};
use core::fmt;
use md5::{Digest, Md5};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout};

/// Asks for the page and judges it. `timeout` is for the words of the reason only.
pub(super) fn get(task: &HttpTask<'_>, timeout: Duration, stream: TcpStream, deadline: Deadline) -> Ending {
    let seen = Seen::default();
    if !task.sent
        && let Err(stop) = talk::write(&stream, deadline, task.request)
    {
        return stopped(0, stop, "no reply", "before a reply", timeout);
    }
    let agent = agent(Handed::new(stream, deadline, seen.clone()));
    let mut response = match agent.get("http://vipd/").header("Connection", "close").call() {
        Ok(response) => response,
        Err(error) => return no_header(&error, &seen, timeout),
    };
    let status = response.status().as_u16();
    if !task.status.contains(status) {
        return Ending::failed(status, format_args!("HTTP {status}, want {}", Wanted(task.status)));
    }
    match (read_page(response.body_mut().as_reader(), &seen), task.digest) {
        (Ok(got), Some(want)) if got == want => Ending { digest: Some(got), ..Ending::passed(status) },
        (Ok(got), Some(_)) => {
            let reason = format_args!("digest differs: got {}", Hex(&got));
            Ending { digest: Some(got), ..Ending::failed(status, reason) }
        }
        (Ok(_), None) => Ending::passed(status),
        // HC-15: without a digest the status has decided. Not so when the page trickles (HC-1).
        (Err(NoPage::Stopped(Stop::Closed | Stop::Reset | Stop::TooLarge)), None) => Ending::passed(status),
        (Err(NoPage::Stopped(stop)), _) => {
            stopped(status, stop, "page not complete", "in the middle of the page", timeout)
        }
        (Err(NoPage::Malformed(error)), _) => {
            Ending::failed(status, format_args!("malformed page: {}", plain(&error)))
        }
    }
}

/// One request, no pool, no redirects, no proxy, no names: the socket is there already.
fn agent(socket: Handed) -> Agent {
    let config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("vipd/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(HEADER_MAX)
        .max_idle_connections(0)
        .build();
    Agent::with_parts(config, OneSocket(Mutex::new(Some(socket))), NoNames)
}

/// There is no header, so no status.
fn no_header(error: &Error, seen: &Seen, timeout: Duration) -> Ending {
    let (bytes, stop) = seen.get();
    match (stop, error) {
        (Some(stop), _) => {
            let (what, place) = match bytes {
                0 => ("no reply", "before a reply"),
                _ => ("header not complete", "in the middle of the header"),
            };
            stopped(0, stop, what, place, timeout)
        }
        (None, Error::LargeResponseHeader(..)) => {
            Ending::failed(0, format_args!("header larger than {} KiB", HEADER_MAX >> 10))
        }
        (None, Error::Protocol(error)) if bytes > 0 => {
            Ending::failed(0, format_args!("malformed reply: {}", plain(error)))
        }
        // Nothing was read, nothing went wrong on the socket: the request itself could not be made.
        (None, error) if bytes == 0 => Ending::not_run(format_args!("cannot ask for this page: {error}")),
        (None, error) => Ending::failed(0, format_args!("{error}")),
    }
}

/// The conversation was stopped: by the server, or (HC-4) by this host.
fn stopped(status: u16, stop: Stop, what: &'static str, place: &'static str, timeout: Duration) -> Ending {
    let words = stop.words(what, place, timeout);
    match stop {
        Stop::Local(_) => Ending::not_run(format_args!("{words}")),
        Stop::Late | Stop::Closed | Stop::Reset | Stop::TooLarge | Stop::Other(_) => {
            Ending::failed(status, format_args!("{words}"))
        }
    }
}

/// What is wrong, without saying three times that it is the protocol.
fn plain(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("protocol: ");
    let text = text.trim_start_matches("http parse fail: ").trim_start_matches("http parse resulted in ");
    text.to_string()
}

/// Why there is no whole page.
enum NoPage {
    Stopped(Stop),
    Malformed(std::io::Error),
}

/// Reads the page to its end, and gives its MD5.
fn read_page(mut page: impl Read, seen: &Seen) -> Result<[u8; 16], NoPage> {
    let mut digest = Md5::new();
    let mut left = BODY_MAX;
    let mut buffer = [0; 4096];
    loop {
        match page.read(&mut buffer) {
            // A page without a length ends where the connection does; a reset is no end.
            Ok(0) if seen.get().1 == Some(Stop::Reset) => return Err(NoPage::Stopped(Stop::Reset)),
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(len) => {
                left = left.checked_sub(len).ok_or(NoPage::Stopped(Stop::TooLarge))?;
                digest.update(buffer.get(..len).unwrap_or(&[]));
            }
            Err(error) => {
                return Err(seen.get().1.map_or(NoPage::Malformed(error), NoPage::Stopped));
            }
        }
    }
}

/// What came over the socket so far. ureq owns the transport, so this is shared with it.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<(usize, Option<Stop>)>>);

impl Seen {
    fn get(&self) -> (usize, Option<Stop>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut (usize, Option<Stop>))) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The handed socket as ureq wants it.
#[derive(Debug)]
struct Handed {
    stream: TcpStream,
    buffers: LazyBuffers,
    deadline: Deadline,
    seen: Seen,
}

impl Handed {
    fn new(stream: TcpStream, deadline: Deadline, seen: Seen) -> Self {
        // Input: a header of the limit and a little, so that ureq sees it is too large before the buffer
        // is full. Output: what ureq would send.
        let buffers = LazyBuffers::new(HEADER_MAX + 1024, 1024);
        Handed { stream, buffers, deadline, seen }
    }

    fn stopped(&self, stop: Stop) -> Error {
        self.seen.set(|seen| seen.1 = Some(stop));
        match stop {
            Stop::Late => Error::Timeout(Timeout::Global),
            Stop::Closed | Stop::TooLarge => Error::Io(ErrorKind::Other.into()),
            Stop::Reset => Error::Io(ErrorKind::ConnectionReset.into()),
            Stop::Other(kind) | Stop::Local(kind) => Error::Io(kind.into()),
        }
    }
}

impl Transport for Handed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// The request has been sent.
    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        // HC-2: this many bytes off the wire, framing included, however the page is cut up.
        if self.seen.get().0 > HEADER_MAX + BODY_MAX {
            return Err(self.stopped(Stop::TooLarge));
        }
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            // A chunk header or a trailer line that does not end.
            return Err(Error::Io(ErrorKind::InvalidData.into()));
        }
        match talk::read(&self.stream, self.deadline, room) {
            Ok(len) => {
                self.seen.set(|seen| seen.0 = seen.0.saturating_add(len));
                self.buffers.input_appended(len);
                Ok(true)
            }
            Err(Stop::Closed) => {
                self.seen.set(|seen| seen.1 = Some(Stop::Closed));
                Ok(false)
            }
            Err(stop) => Err(self.stopped(stop)),
        }
    }

    fn is_open(&mut self) -> bool {
        false
    }
}

/// Gives the one socket away, once.
#[derive(Debug)]
struct OneSocket(Mutex<Option<Handed>>);

impl Connector for OneSocket {
    type Out = Handed;

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Handed>, Error> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

/// Looks nothing up.
#[derive(Debug)]
struct NoNames;

impl Resolver for NoNames {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        Ok(addresses)
    }
}

/// `200, 301-302`.
struct Wanted<'a>(StatusRanges<'a>);

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
