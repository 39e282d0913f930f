//! A daemon on a router: vipd, or Debian's keepalived.

use crate::net::Host;
use crate::stage::Outcome;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary under test, as it lies in the guest.
pub const VIPD: &str = "/bin/vipd";

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

    /// Debian's keepalived in the foreground, with a log file.
    pub fn keepalived(host: &Host, config: &str) -> Outcome<Daemon> {
        let pid = |part: &str| format!("/run/{}-{part}.pid", host.name);
        let log = format!("--log-file=/tmp/{}.log", host.name);
        let pids = [pid("main"), pid("vrrp"), pid("checkers")];
        let [main, vrrp, checkers] = pids.each_ref().map(String::as_str);
        let files = ["-f", config, "-p", main, "-r", vrrp, "-c", checkers];
        let mut arguments = vec!["--dont-fork", "--no-syslog", &log, "--flush-log-file"];
        arguments.extend(files);
        Daemon::start(host, "keepalived", &arguments)
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
        Ok(Daemon { child, log })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Outcome {
        kill(Pid::from_raw(self.child.id() as i32), signal).map_err(|error| format!("{signal}: {error}"))
    }

    /// Sends a signal that ends it and waits for its end; how long that took, and its exit status (`None`:
    /// killed).
    pub fn end(&mut self, signal: Signal) -> Outcome<(Duration, Option<i32>)> {
        let begin = Instant::now();
        self.signal(signal)?;
        while begin.elapsed() < Duration::from_secs(10) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok((begin.elapsed(), status.code()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("still running 10 s after {signal}"))
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
