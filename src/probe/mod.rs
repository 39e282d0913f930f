//! What a worker runs: conversations over a connected socket that it was handed.
//!
//! Straight-line, blocking code. The socket is in blocking mode; each read and write is bounded by the one
//! [`Deadline`] of the conversation (HC-1), so a server that trickles bytes fails in time.

mod http;
mod smtp;
mod talk;

use crate::model::{Reason, cut};
use crate::time::{Duration, Instant};
use crate::wire::job::{Job, Report, Task, Verdict};
use core::fmt;
use std::net::TcpStream;
use talk::{Plain, Stop};

/// When a conversation has to be over, and the clock to ask. The clock is the caller's: this room has none.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    clock: fn() -> Instant,
}

impl Deadline {
    /// `left` from now on.
    pub fn new(left: Duration, clock: fn() -> Instant) -> Self {
        Deadline { at: clock() + left, clock }
    }

    /// The time left; `None` when there is none.
    pub fn left(&self) -> Option<Duration> {
        let now = (self.clock)();
        if now < self.at { Some(self.at - now) } else { None }
    }

    /// This one, or `at_most` from now on, whichever is earlier.
    fn at_most(self, at_most: Duration) -> Self {
        Deadline { at: self.at.min((self.clock)() + at_most), clock: self.clock }
    }
}

/// What a conversation has besides its socket.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// Monotonic time.
    pub clock: fn() -> Instant,
    /// Time since 1970 (UTC), for the dates of certificates and nothing else.
    pub wall: fn() -> Duration,
    /// Are there random numbers, without waiting for them?
    pub has_random: fn() -> bool,
    /// Contents of the files that the job names, in its order.
    pub files: &'a [Vec<u8>],
}

/// Holds one conversation, within `job.left`.
pub fn run(job: &Job<'_>, stream: TcpStream, means: &Means<'_>) -> Report {
    let clock = means.clock;
    let start = clock();
    let deadline = Deadline::new(job.left, clock);
    let ending = match job.task {
        Task::Http(task) => match task.tls {
            None => http::get(&task, job.timeout, &mut Plain { stream, deadline }),
            Some(_) => Ending::not_run(format_args!("no TLS")),
        },
        Task::Smtp(task) => smtp::greet(&task, job.timeout, &stream, deadline),
        Task::Mail(task) => smtp::send(&task, job.timeout, &stream, deadline),
    };
    let took = clock() - start;
    Report {
        token: job.token,
        verdict: ending.verdict,
        status: ending.status,
        digest: ending.digest,
        took,
        reason: ending.reason,
    }
}

/// A length of time in a reason: `3s`, `1500ms`, as a configuration would have it.
pub fn span(length: Duration) -> impl fmt::Display {
    struct Span(Duration);
    impl fmt::Display for Span {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0.total_millis() {
                millis if millis % 1000 == 0 => write!(f, "{}s", millis / 1000),
                millis => write!(f, "{millis}ms"),
            }
        }
    }
    Span(length)
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending {
    verdict: Verdict,
    status: u16,
    digest: Option<[u8; 16]>,
    reason: Reason,
}

impl Ending {
    fn passed(status: u16) -> Self {
        Ending { verdict: Verdict::Passed, status, digest: None, reason: Reason::new() }
    }

    fn failed(status: u16, why: fmt::Arguments<'_>) -> Self {
        Ending { verdict: Verdict::Failed, status, digest: None, reason: cut(why) }
    }

    fn not_run(why: fmt::Arguments<'_>) -> Self {
        Ending { verdict: Verdict::NotRun, status: 0, digest: None, reason: cut(why) }
    }

    /// The conversation was stopped: by the other end, or (HC-4) by this host. `what` is what was not there
    /// in time, `place` where the end came.
    fn stopped(status: u16, stop: Stop, what: &'static str, place: &'static str, timeout: Duration) -> Self {
        let is_ours = matches!(stop, Stop::Local(_));
        let words = stop.words(what, place, timeout);
        match is_ours {
            true => Ending::not_run(format_args!("{words}")),
            false => Ending::failed(status, format_args!("{words}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_as_it_was_written() {
        let words = |millis| span(Duration::from_millis(millis)).to_string();
        assert_eq!(
            [words(250), words(3000), words(1500)],
            ["250ms", "3s", "1500ms"],
            "reasons name the configured timeout"
        );
    }
}
