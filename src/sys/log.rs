//! Log lines to standard error or to the system log, one line a call, never waiting.

use super::poll::{Interest, PollSet};
use crate::time::Duration;
use log::LevelFilter;
use simplelog::{ConfigBuilder, WriteLogger};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogTarget {
    /// Standard error: procd, systemd and inittab pass it on.
    #[default]
    Stderr,
    /// `/dev/log`, facility daemon.
    Syslog,
}

/// Longest line; longer ones are cut.
const LINE_MAX: usize = 512;
/// The system log's socket.
const DEV_LOG: &str = "/dev/log";

/// Starts logging. A second call changes nothing.
pub fn start(target: LogTarget, level: LevelFilter) {
    let config = ConfigBuilder::new()
        .set_time_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .build();
    let _ = WriteLogger::init(
        level,
        config,
        LineWriter { target, line: Vec::with_capacity(LINE_MAX), log: None },
    );
}

/// Gathers what the logger writes in pieces, and sends whole lines.
struct LineWriter {
    target: LogTarget,
    line: Vec<u8>,
    log: Option<UnixDatagram>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                self.send();
                self.line.clear();
            } else if self.line.len() < LINE_MAX {
                self.line.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineWriter {
    /// A line that would have to wait is lost: the loop never blocks (law 1).
    fn send(&mut self) {
        match self.target {
            LogTarget::Stderr => {
                let stderr = io::stderr();
                let mut poll = PollSet::new();
                let slot = poll.add(stderr.as_fd(), Interest::Write);
                if poll.wait(Some(Duration::ZERO)).is_ok() && poll.is_ready(slot) {
                    self.line.push(b'\n');
                    let mut out = stderr.lock();
                    let _ = out.write_all(&self.line);
                }
            }
            LogTarget::Syslog => {
                // LOG_DAEMON is 3 << 3; the severity comes from the level that the line begins with.
                let severity = match self.line.get(1) {
                    Some(b'E') => 3,
                    Some(b'W') => 4,
                    Some(b'I') => 6,
                    Some(_) | None => 7,
                };
                let text = String::from_utf8_lossy(&self.line);
                let text = text.split_once("] ").map_or(&*text, |(_, text)| text);
                let datagram = format!("<{}>vipd[{}]: {text}", (3 << 3) | severity, std::process::id());
                let log = match self.log.take() {
                    Some(log) => Some(log),
                    None => connect(),
                };
                // A log daemon that was restarted is connected to anew with the next line.
                self.log = log.filter(|log| match log.send(datagram.as_bytes()) {
                    Ok(_) => true,
                    Err(e) => e.kind() == io::ErrorKind::WouldBlock,
                });
            }
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let log = UnixDatagram::unbound().ok()?;
    log.set_nonblocking(true).ok()?;
    log.connect(DEV_LOG).ok()?;
    Some(log)
}
