//! Reading and writing under a deadline.

use super::{Deadline, span};
use crate::time::Duration;
use core::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// Why there is nothing more to read or to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The deadline.
    Late,
    /// The other end closed its side.
    Closed,
    /// The other end broke the connection (RST).
    Reset,
    /// More bytes than are read of one reply (HC-2).
    TooLarge,
    /// Something rare.
    Other(ErrorKind),
    /// The other end did something wrong, in words.
    #[cfg(feature = "https")]
    Wrong(crate::model::Reason),
    /// This host did not let us; no verdict on the other end (HC-4).
    Local(ErrorKind),
}

impl Stop {
    /// In words: `what` is what was not there in time, `place` where the end came.
    pub(super) fn words(
        self,
        what: &'static str,
        place: &'static str,
        timeout: Duration,
    ) -> impl fmt::Display {
        struct Words(Stop, &'static str, &'static str, Duration);
        impl fmt::Display for Words {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Words(stop, what, place, timeout) = self;
                match stop {
                    Stop::Late => write!(f, "{what} within {}", span(*timeout)),
                    Stop::Closed => write!(f, "closed {place}"),
                    Stop::Reset => write!(f, "connection reset {place}"),
                    Stop::TooLarge => f.write_str("page larger than 1 MiB"),
                    Stop::Other(kind) => write!(f, "{kind} {place}"),
                    #[cfg(feature = "https")]
                    Stop::Wrong(words) => f.write_str(words),
                    Stop::Local(kind) => write!(f, "cannot talk: {kind}"),
                }
            }
        }
        Words(self, what, place, timeout)
    }
}

/// What a conversation is held over.
pub(super) trait Line {
    /// Reads something, at most `buffer`.
    ///
    /// # Errors
    /// Where there is nothing to read.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Where not all could be written.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop>;

    /// From now on there is this much time at most.
    fn hurry(&mut self, at_most: Duration);
}

/// The socket itself.
pub(super) struct Plain {
    pub(super) stream: TcpStream,
    pub(super) deadline: Deadline,
}

impl Line for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        loop {
            let left = wait(self.deadline)?.into();
            self.stream.set_read_timeout(Some(left)).map_err(|e| Stop::Local(e.kind()))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(Stop::Closed),
                Ok(len) => return Ok(len),
                Err(error) => retry(error.kind())?,
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let left = wait(self.deadline)?.into();
            self.stream.set_write_timeout(Some(left)).map_err(|e| Stop::Local(e.kind()))?;
            match self.stream.write(bytes) {
                Ok(len) => bytes = bytes.get(len..).unwrap_or(&[]),
                Err(error) => retry(error.kind())?,
            }
        }
        Ok(())
    }

    fn hurry(&mut self, at_most: Duration) {
        self.deadline = self.deadline.at_most(at_most);
    }
}

/// The time left, long enough for the kernel to wait at all: zero would be refused.
fn wait(deadline: Deadline) -> Result<Duration, Stop> {
    let left = deadline.left().ok_or(Stop::Late)?;
    Ok(left.max(Duration::from_millis(1)))
}

/// Again (the deadline decides), or the end. What the network says is the other end's affair, what this
/// host lacks is not.
pub(super) fn retry(kind: ErrorKind) -> Result<(), Stop> {
    match kind {
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Err(Stop::Reset),
        ErrorKind::PermissionDenied
        | ErrorKind::OutOfMemory
        | ErrorKind::Unsupported
        | ErrorKind::InvalidInput => Err(Stop::Local(kind)),
        other => Err(Stop::Other(other)),
    }
}
