//! The daemons under test: ours and Debian's keepalived.

use super::lan::enter;
use super::{Lan, Node, eventually};
use std::fs::File;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary under test: VIPD_BINARY where given, else what cargo built.
pub fn vipd_binary() -> PathBuf {
    std::env::var_os("VIPD_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_vipd")), PathBuf::from)
}

/// A process in a namespace; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` inside a node's namespace, its words going to `log`.
    pub fn start(node: &Node, mut command: Command, log: PathBuf) -> Self {
        let handle = node.namespace.raw_handle();
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        // SAFETY: only system calls between fork and exec.
        let child = unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                enter(handle)
            })
        };
        let child = child.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Daemon { child, log }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process and all below it.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.pid()];
        let mut i = 0;
        while i < pids.len() {
            let path = format!("/proc/{0}/task/{0}/children", pids[i]);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            pids.extend(text.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
            i += 1;
        }
        pids
    }

    /// Sends a signal to the first process.
    pub fn signal(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    /// SIGKILL for all of it, so that nothing of it can still act; gives the moment.
    pub fn kill_all(&mut self) -> Instant {
        let pids = self.pids();
        kill(pids[0], libc::SIGSTOP);
        let at = Instant::now();
        pids.iter().rev().for_each(|pid| kill(*pid, libc::SIGKILL));
        let _ = self.child.wait();
        at
    }

    /// SIGTERM and wait for its end; gives the exit code (`None` when a signal ended it).
    #[track_caller]
    pub fn terminate(&mut self, timeout: Duration) -> Option<i32> {
        self.signal(libc::SIGTERM);
        self.ended(timeout)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self, timeout: Duration) -> Option<i32> {
        let mut status = None;
        eventually("the process ends", timeout, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|s| s.code())
    }

    /// Is it still there?
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// User and system time of all its processes so far, in ticks of 10 ms (USER_HZ).
    pub fn cpu_ticks(&self) -> u64 {
        let ticks = |pid: u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = text.rsplit(')').next().unwrap_or("");
            // utime and stime, and those of children that ended (proc(5)).
            after.split_whitespace().skip(11).take(4).filter_map(|t| t.parse::<u64>().ok()).sum::<u64>()
        };
        self.pids().into_iter().map(ticks).sum()
    }

    /// A line of /proc/PID/status or smaps_rollup in kB, summed over all its processes.
    pub fn kilobytes(&self, file: &str, key: &str) -> u64 {
        self.pids().iter().filter_map(|pid| field(&format!("/proc/{pid}/{file}"), key)).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill_all();
        }
    }
}

fn kill(pid: u32, signal: i32) {
    // SAFETY: a process that we started, by its id, not yet waited for.
    unsafe { libc::kill(pid as i32, signal) };
}

fn field(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|l| l.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Our daemon on a node.
pub struct Vipd {
    daemon: Daemon,
    config: PathBuf,
    socket: PathBuf,
    handle: i32,
}

impl Vipd {
    /// Starts it with this configuration, its log telling much.
    pub fn start(lan: &Lan, node: &Node, config: &str) -> Self {
        Self::start_at(lan, node, config, "debug")
    }

    /// As `start`, at another log level.
    pub fn start_at(lan: &Lan, node: &Node, config: &str, level: &str) -> Self {
        let base = lan.folder().join(format!("vipd-{}", node.letter));
        let (file, socket) = (base.with_extension("toml"), base.with_extension("sock"));
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(vipd_binary());
        command.arg("run").arg("--config").arg(&file).arg("--socket").arg(&socket);
        command.args(["--log", "stderr", "--log-level", level]);
        let daemon = Daemon::start(node, command, base.with_extension("log"));
        Vipd { daemon, config: file, socket, handle: node.namespace.raw_handle() }
    }

    /// Writes a new configuration; `reload` makes it count.
    pub fn write_config(&self, config: &str) {
        std::fs::write(&self.config, config).unwrap();
    }

    /// Control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `vipd <words> --socket ..`; gives exit code, standard output and standard error.
    pub fn client(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let handle = self.handle;
        let mut command = Command::new(vipd_binary());
        command.args(words).arg("--socket").arg(&self.socket);
        // SAFETY: only a system call between fork and exec.
        let output = unsafe { command.pre_exec(move || enter(handle)) }.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// `vipd status --json`, without white space, so that a test can look for `"state":"Active"`.
    pub fn status(&self) -> String {
        let mut quoted = false;
        let text = self.client(&["status", "--json"]).1;
        text.chars()
            .filter(|c| {
                quoted ^= *c == '"';
                quoted || !c.is_whitespace()
            })
            .collect()
    }
}

impl Deref for Vipd {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl std::ops::DerefMut for Vipd {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// Debian's keepalived on a node, VRRP only.
pub struct Keepalived {
    daemon: Daemon,
}

impl Keepalived {
    /// Why it cannot be the other router; `None` when it can.
    pub fn obstacle() -> Option<&'static str> {
        let there = Command::new("keepalived").arg("--version").output().is_ok();
        if there { None } else { Some("needs `keepalived` (Debian: keepalived)") }
    }

    /// Starts it with this configuration, its log telling much.
    pub fn start(lan: &Lan, node: &Node, config: &str) -> Self {
        Self::start_with(lan, node, config, &["--log-detail"])
    }

    /// As `start`, with other arguments.
    pub fn start_with(lan: &Lan, node: &Node, config: &str, arguments: &[&str]) -> Self {
        let base = lan.folder().join(format!("keepalived-{}", node.letter));
        let file = base.with_extension("conf");
        std::fs::write(&file, config).unwrap();
        // A killed run's process may still be there as a zombie, and keepalived would think that it runs.
        let pid_files = [base.with_extension("pid"), base.with_extension("vrrp.pid")];
        pid_files.iter().for_each(|p| _ = std::fs::remove_file(p));
        let mut command = Command::new("keepalived");
        command.args(["--dont-fork", "--log-console", "--vrrp"]).args(arguments);
        command.arg("--use-file").arg(&file);
        command.arg("--pid").arg(&pid_files[0]).arg("--vrrp_pid").arg(&pid_files[1]);
        Keepalived { daemon: Daemon::start(node, command, base.with_extension("log")) }
    }
}

impl Deref for Keepalived {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl std::ops::DerefMut for Keepalived {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}
