//! Commands that ask the running daemon.

use super::output::{complain, next_screen, print};
use crate::control::{
    EventsRequest, ProbeRequest, Reply, Request, ResignRequest, ServerRequest, StatusRequest,
};
use crate::model::Name;
use crate::sys::client;
use crate::time::Duration;
use std::path::Path;

/// Between two screens of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// The daemon answers a probe when all checks have ended, or after `control::PROBE_ANSWER_MAX`.
const PROBE_TIMEOUT: Duration = Duration::from_secs(65);
/// Reading a large configuration takes a small router some seconds.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// `vipd status`
pub(super) fn status(socket: &Path, request: StatusRequest) -> u8 {
    ask(socket, &Request::Status(request), client::TIMEOUT)
}

/// `vipd events`
pub(super) fn events(socket: &Path, request: EventsRequest) -> u8 {
    ask(socket, &Request::Events(request), client::TIMEOUT)
}

/// `vipd reload`
pub(super) fn reload(socket: &Path) -> u8 {
    ask(socket, &Request::Reload, RELOAD_TIMEOUT)
}

/// `vipd resign`
pub(super) fn resign(socket: &Path, request: ResignRequest) -> u8 {
    ask(socket, &Request::Resign(request), client::TIMEOUT)
}

/// `vipd restore`
pub(super) fn restore(socket: &Path, name: Name) -> u8 {
    ask(socket, &Request::Restore(name), client::TIMEOUT)
}

/// `vipd drain`
pub(super) fn drain(socket: &Path, request: ServerRequest) -> u8 {
    ask(socket, &Request::Drain(request), client::TIMEOUT)
}

/// `vipd undrain`
pub(super) fn undrain(socket: &Path, request: ServerRequest) -> u8 {
    ask(socket, &Request::Undrain(request), client::TIMEOUT)
}

/// `vipd probe`
pub(super) fn probe(socket: &Path, request: ProbeRequest) -> u8 {
    ask(socket, &Request::Probe(request), PROBE_TIMEOUT)
}

/// `vipd version`: ours, and the daemon's where that is another one (it was not restarted after an upgrade).
pub(super) fn version(socket: &Path) -> u8 {
    let ours = Reply::version();
    print(&ours.body);
    if let Ok(theirs) = client::ask(socket, &Request::Version.to_string(), client::TIMEOUT)
        && theirs.body != ours.body
    {
        print(&format!("running: {}", theirs.body));
    }
    0
}

/// `vipd status --watch`: until nobody reads any more, or a signal ends the program.
pub(super) fn watch(socket: &Path, request: StatusRequest) -> u8 {
    let line = Request::Status(request).to_string();
    let mut before = if next_screen() == "\n" { "" } else { next_screen() };
    loop {
        let (text, code) = match client::ask(socket, &line, client::TIMEOUT) {
            Ok(reply) => (reply.body, reply.code),
            Err(failure) => (format!("{failure}\n"), failure.code()),
        };
        if !print(&format!("{before}{text}")) || client::is_output_closed_within(WATCH_INTERVAL) {
            return code;
        }
        before = next_screen();
    }
}

fn ask(socket: &Path, request: &Request, timeout: Duration) -> u8 {
    match client::ask(socket, &request.to_string(), timeout) {
        Ok(reply) => {
            // A degraded status is an answer, a refused reload is a complaint.
            let is_answer = match request {
                // So is the result of a probe.
                Request::Status(_) | Request::Probe(_) => reply.code < 2,
                Request::Events(_)
                | Request::Reload
                | Request::Resign(_)
                | Request::Restore(_)
                | Request::Drain(_)
                | Request::Undrain(_)
                | Request::Version => reply.code == 0,
            };
            if is_answer {
                print(&reply.body);
            } else {
                complain(&reply.body);
            }
            reply.code
        }
        Err(failure) => {
            complain(&failure.to_string());
            failure.code()
        }
    }
}
