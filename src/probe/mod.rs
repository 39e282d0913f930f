//! What a worker runs: conversations over a connected socket that it was handed.
//!
//! Straight-line, blocking code. The socket is in blocking mode; each read and write is bounded by the one
//! [`Deadline`] of the conversation (HC-1), so a server that trickles bytes fails in time.

mod http;
mod smtp;
mod talk;
#[cfg(feature = "https")]
mod tls;

use crate::model::{Reason, cut};
use crate::time::{Duration, Instant};
use crate::wire::job::{HttpTask, Job, Report, STEPS, Task, TlsTask, Verdict};
use core::fmt;
use std::net::TcpStream;
use talk::{Line, Plain, Stop};

/// When a conversation has to be over, and the clock to ask. The clock is the caller's: this room has none.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    clock: fn() -> Instant,
}

impl Deadline {
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
    let mut course = Course { clock: means.clock, start: (means.clock)(), steps: [0; STEPS], bytes: 0 };
    let deadline = Deadline { at: course.start + job.left, clock: means.clock };
    let ending = hold(job, &mut Plain { stream, deadline }, means, &mut course);
    Report {
        token: job.token,
        verdict: ending.verdict,
        status: ending.status,
        digest: ending.digest,
        took: (means.clock)() - course.start,
        steps: course.steps,
        bytes: course.bytes,
        reason: ending.reason,
    }
}

fn hold(job: &Job<'_>, line: &mut dyn Line, means: &Means<'_>, course: &mut Course) -> Ending {
    match job.task {
        Task::Http(task) => match task.tls {
            None => http::get(&task, job.timeout, line, course),
            Some(tls) => over_tls(&task, &tls, job.timeout, line, means, course),
        },
        Task::Smtp(task) => smtp::greet(&task, job.timeout, line, course),
        Task::Mail(task) if cfg!(feature = "mail") => smtp::send(&task, job.timeout, line, course),
        Task::Mail(_) => Ending::not_run(format_args!("this vipd was built without mail")),
    }
}

/// How far a conversation came.
struct Course {
    clock: fn() -> Instant,
    start: Instant,
    steps: [u32; STEPS],
    bytes: u32,
}

/// A step of a conversation: its place in [`Report::steps`].
#[derive(Debug, Clone, Copy)]
enum Step {
    /// TLS: hands are shaken.
    #[cfg(feature = "https")]
    Hands = 0,
    /// The request is out; or the banner is read.
    Begin = 1,
    /// The header is read; or HELO is answered.
    Middle = 2,
    /// The body is read; or the rest is done.
    End = 3,
}

impl Course {
    fn done(&mut self, step: Step) {
        let micros = ((self.clock)() - self.start).total_micros();
        if let Some(at) = self.steps.get_mut(step as usize) {
            // 0 would be a step that was not done.
            *at = u32::try_from(micros).unwrap_or(u32::MAX).max(1);
        }
    }
}

#[cfg(feature = "https")]
fn over_tls(
    task: &HttpTask<'_>,
    tls: &TlsTask<'_>,
    timeout: Duration,
    line: &mut dyn Line,
    means: &Means<'_>,
    course: &mut Course,
) -> Ending {
    match tls::open(tls, timeout, line, means) {
        Ok(mut tls) => {
            course.done(Step::Hands);
            let ending = http::get(task, timeout, &mut tls, course);
            tls.goodbye();
            ending
        }
        Err(ending) => ending,
    }
}

#[cfg(not(feature = "https"))]
fn over_tls(
    _: &HttpTask<'_>,
    _: &TlsTask<'_>,
    _: Duration,
    _: &mut dyn Line,
    _: &Means<'_>,
    _: &mut Course,
) -> Ending {
    Ending::not_run(format_args!("this vipd was built without HTTPS"))
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
mod tests;
