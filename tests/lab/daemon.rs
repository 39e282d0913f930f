//! A daemon on a router: vipd, or Debian's keepalived.

use crate::net::Host;
use crate::stage::Outcome;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary under test, as it lies in the guest.
pub const VIPD: &str = "/bin/vipd";

/// What all keepalived processes log.
const SYSLOG: &str = "/tmp/syslog";

/// Writes what comes to `/dev/log` into a file.
pub fn syslog() {
    let Ok(socket) = UnixDatagram::bind("/dev/log") else { return };
    let Ok(mut file) = File::create(SYSLOG) else { return };
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok(count) = socket.recv(&mut bytes) {
            let _ = file.write_all(&bytes[..count]).and_then(|()| file.write_all(b"\n"));
        }
    });
}

/// A process that runs, or has ended.
pub struct Daemon {
    child: Child,
    log: String,
}

impl Daemon {
    /// `vipd run` with a configuration file.
    pub fn vipd(host: &Host, config: &str, socket: &str) -> Outcome<Daemon> {
        Daemon::start(host, VIPD, &["run", "--config", config, "--socket", socket])
    }

    /// Debian's keepalived in the foreground. Its log goes to [`syslog`].
    pub fn keepalived(host: &Host, config: &str) -> Outcome<Daemon> {
        let pid = |part: &str| format!("/run/{}-{part}.pid", host.name);
        let (main, vrrp, checkers) = (pid("main"), pid("vrrp"), pid("checkers"));
        let arguments = ["--dont-fork", "-f", config, "-p", &main, "-r", &vrrp, "-c", &checkers];
        let mut daemon = Daemon::start(host, "keepalived", &arguments)?;
        daemon.log = SYSLOG.into();
        Ok(daemon)
    }

    fn start(host: &Host, program: &str, arguments: &[&str]) -> Outcome<Daemon> {
        let log = format!("/tmp/{}.log", host.name);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("{log}: {error}"))?;
        let copy = file.try_clone().map_err(|error| format!("{log}: {error}"))?;
        let child = host
            .run(|| {
                Command::new(program).args(arguments).stdin(Stdio::null()).stdout(copy).stderr(file).spawn()
            })
            .map_err(|error| format!("{program}: {error}"))?;
        let mut daemon = Daemon { child, log };
        std::thread::sleep(Duration::from_millis(200));
        match daemon.child.try_wait() {
            Ok(None) => Ok(daemon),
            ended => Err(format!("{program} ended at once: {ended:?}: {}", daemon.log())),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It, its children and theirs.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.pid()];
        let mut next = 0;
        while let Some(pid) = pids.get(next).copied() {
            let path = format!("/proc/{pid}/task/{pid}/children");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            pids.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            next += 1;
        }
        pids
    }

    /// A line of `smaps_rollup`, `Pss` or a kind of it, summed over all its processes, in kB.
    pub fn memory(&self, key: &str) -> u64 {
        let kilobytes = |pid: &u32| -> u64 {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let rest = |line: &str| line.strip_prefix(key)?.strip_prefix(':').map(str::to_string);
            let value = text.lines().find_map(rest).unwrap_or_default();
            value.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        self.pids().iter().map(kilobytes).sum()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Outcome {
        kill(Pid::from_raw(self.child.id() as i32), signal).map_err(|error| format!("{signal}: {error}"))
    }

    /// Sends a signal that ends it and waits for its end; how long that took, and its exit status (`None`:
    /// killed).
    pub fn end(&mut self, signal: Signal) -> Outcome<(Duration, Option<i32>)> {
        self.end_within(signal, Duration::from_secs(10))
    }

    /// As [`Daemon::end`], with another patience than 10 s.
    pub fn end_within(&mut self, signal: Signal, limit: Duration) -> Outcome<(Duration, Option<i32>)> {
        let begin = Instant::now();
        self.signal(signal)?;
        while begin.elapsed() < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok((begin.elapsed(), status.code()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("still running {} s after {signal}", limit.as_secs()))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `vipd status ...`: exit status and output.
pub fn status(socket: &str, more: &[&str]) -> Outcome<(i32, String)> {
    let done = Command::new(VIPD)
        .args(["status", "--socket", socket])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{VIPD}: {error}"))?;
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    Ok((done.status.code().unwrap_or(-1), text))
}
