//! One page over a connected socket, and the verdict on it (HC-1, HC-2, HC-10 .. HC-15).
//!
//! The request comes with the job, and may be out already; ureq's protocol half reads the reply; socket,
//! deadline and the bound on bytes are ours. Decided, where the specification leaves it open:
//!
//! - line ends of LF alone are accepted in a header;
//! - a page that ends early or is larger than `BODY_MAX` fails a probe with a digest or a regex, and passes
//!   one without (the status has come, HC-15);
//! - broken chunk framing fails both, and so does the line of a chunk with more than 20 bytes;
//! - bytes after `Content-Length` are ignored; chunked wins over `Content-Length`;
//! - nothing is decompressed: digest and regex are of the bytes that came;
//! - redirects are not followed: 3xx is a status like others.

mod page;
mod reply;

use super::talk::{Line, Stop};
use super::{Course, Ending, Step};
use crate::limits::HEADER_MAX;
use crate::time::Duration;
use crate::wire::job::{HttpTask, StatusRanges};
use core::fmt;
use page::Judge;
use reply::{Reply, Trouble};

/// Asks for the page and judges it. `timeout` is for the words of the reason only.
pub(super) fn get(
    task: &HttpTask<'_>,
    timeout: Duration,
    line: &mut dyn Line,
    course: &mut Course,
) -> Ending {
    let mut judge = match Judge::new(&task.body) {
        Ok(judge) => judge,
        Err(error) => return Ending::not_run(format_args!("regex: {error}")),
    };
    if !task.sent
        && let Err(stop) = line.write(task.request)
    {
        return Ending::stopped(0, stop, "no reply", "before a reply", timeout);
    }
    course.done(Step::Begin);
    let mut reply = Reply::new(line);
    let status = match reply.status() {
        Ok(status) => status,
        Err(trouble) => return no_status(trouble, reply.has_begun(), timeout),
    };
    course.done(Step::Middle);
    if !task.status.contains(status) {
        return Ending::failed(status, format_args!("HTTP {status}, want {}", Wanted(task.status)));
    }
    let body = reply.body(&mut judge);
    course.bytes = judge.taken();
    if body.is_ok() {
        course.done(Step::End);
    }
    match (body, judge.is_picky()) {
        (Ok(()), _) => judge.verdict(status),
        // HC-15: where nothing of the page is looked at, the status has decided. Not so when it trickles
        // (HC-1).
        (Err(Trouble::Stopped(Stop::Closed | Stop::Reset | Stop::TooLarge)), false) => Ending::passed(status),
        (Err(Trouble::Stopped(stop)), _) => {
            Ending::stopped(status, stop, "page not complete", "in the middle of the page", timeout)
        }
        (Err(Trouble::Malformed(error)), _) => {
            Ending::failed(status, format_args!("malformed page: {}", plain(&error)))
        }
    }
}

/// There is no whole header, so no status.
fn no_status(trouble: Trouble, has_begun: bool, timeout: Duration) -> Ending {
    match trouble {
        Trouble::Stopped(Stop::TooLarge) => {
            Ending::failed(0, format_args!("header larger than {} KiB", HEADER_MAX >> 10))
        }
        Trouble::Stopped(stop) if has_begun => {
            Ending::stopped(0, stop, "header not complete", "in the middle of the header", timeout)
        }
        Trouble::Stopped(stop) => Ending::stopped(0, stop, "no reply", "before a reply", timeout),
        Trouble::Malformed(error) => Ending::failed(0, format_args!("malformed reply: {}", plain(&error))),
    }
}

/// What is wrong, without saying twice that it is the protocol.
fn plain(error: &ureq_proto::Error) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("http parse fail: ").trim_start_matches("http parse resulted in ");
    text.to_string()
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

#[cfg(test)]
mod tests;
