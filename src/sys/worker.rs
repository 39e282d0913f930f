//! A worker: one conversation after the other, confined, until the loop closes the pair.

use super::clock::{now, unix};
use super::{pair, sandbox};
use crate::limits::{JOB_MAX, PEM_MAX};
use crate::probe::{self, Means};
use crate::time::Duration;
use crate::wire::job::{Job, Report, STEPS, Verdict};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use nix::sys::uio::pread;
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
        steps: [0; STEPS],
        bytes: 0,
        reason: sandbox::confine(),
    };
    if pair::send(loop_end, &hello.emit(), &[]).is_err() {
        return 1;
    }
    // Memory that the kernel gives when it is written: few jobs are as long as they may be.
    let mut buffer = vec![0; JOB_MAX];
    loop {
        let (len, mut passed) = match pair::receive(loop_end, &mut buffer, 0) {
            Ok((0, _)) => return 0,
            Ok((len, passed)) => (len, passed.into_iter()),
            Err(_) => return 1,
        };
        let Some(Ok(job)) = buffer.get(..len).map(Job::parse) else { return 1 };
        let Some(stream) = passed.next().and_then(blocking) else { return 1 };
        let Some(files) = passed.map(|file| read(&file)).collect::<Option<Vec<_>>>() else { return 1 };
        let means = Means { clock: now, wall: unix, has_random, files: &files };
        let report = probe::run(&job, stream, &means);
        if pair::send(loop_end, &report.emit(), &[]).is_err() {
            return 1;
        }
    }
}

/// All of a file, which may have been read before: at most `PEM_MAX` bytes.
fn read(file: &OwnedFd) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while bytes.len() < PEM_MAX {
        match pread(file, &mut piece, libc::off_t::try_from(bytes.len()).ok()?) {
            Ok(0) => break,
            Ok(len) => bytes.extend_from_slice(piece.get(..len)?),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
    Some(bytes)
}

/// Has the kernel random numbers already? Early at boot, whoever wants some waits, for minutes on a small
/// router, and no server is to blame.
fn has_random() -> bool {
    let mut byte = [0_u8];
    // SAFETY: the buffer is as long as said.
    let got = unsafe { libc::getrandom(byte.as_mut_ptr().cast(), byte.len(), libc::GRND_NONBLOCK) };
    got == 1
}

/// The loop connects without waiting; a conversation waits.
fn blocking(socket: OwnedFd) -> Option<TcpStream> {
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::empty())).ok()?;
    Some(socket.into())
}
