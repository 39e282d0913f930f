//! A worker: one conversation after the other, confined, until the loop closes the pair.

use super::clock::now;
use super::{pair, sandbox};
use crate::limits::JOB_MAX;
use crate::probe;
use crate::time::Duration;
use crate::wire::job::{Job, Report, Verdict};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};

/// The first word on the command line that makes the program a worker.
pub const ARGUMENT: &str = "worker";

/// `vipd worker`: standard input is the worker's end of the pair, and the only thing that it has. Gives
/// the exit code: 0 when the loop closed the pair, 1 when the loop spoke nonsense or is gone, 2 when this
/// was not started by the loop.
pub fn main() -> u8 {
    let stdin = std::io::stdin();
    let loop_end = stdin.as_fd();
    if getsockopt(&loop_end, sockopt::SockType) != Ok(SockType::SeqPacket) {
        eprintln!("vipd worker is started by vipd run, never by hand");
        return 2;
    }
    let hello = Report {
        token: 0,
        verdict: Verdict::Hello,
        status: 0,
        digest: None,
        took: Duration::ZERO,
        reason: sandbox::confine(),
    };
    if pair::send(loop_end, &hello.emit(), None).is_err() {
        return 1;
    }
    let mut buffer = [0; JOB_MAX];
    loop {
        let (len, socket) = match pair::receive(loop_end, &mut buffer, 0) {
            Ok((0, _)) => return 0,
            Ok((len, socket)) => (len, socket),
            Err(_) => return 1,
        };
        let Some(Ok(job)) = buffer.get(..len).map(Job::parse) else { return 1 };
        let Some(stream) = socket.and_then(blocking) else { return 1 };
        let report = probe::run(&job, stream, now);
        if pair::send(loop_end, &report.emit(), None).is_err() {
            return 1;
        }
    }
}

/// The loop connects without waiting; a conversation waits.
fn blocking(socket: OwnedFd) -> Option<TcpStream> {
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::empty())).ok()?;
    Some(socket.into())
}
