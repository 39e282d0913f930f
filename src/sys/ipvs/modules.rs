//! Kernel modules, loaded by a child with a deadline.
//!
//! The kernel would load them itself on demand, but inside our `send`, and the loop would wait for it.

use crate::model::Scheduler;
use crate::time::{Duration, Instant};
use std::process::{Child, Command, Stdio};

/// Modules on slow flash take their time. After this the child is killed.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a running child is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The kernel's own loader is the one to use; an empty name means that none shall be.
const LOADER_NAME: &str = "/proc/sys/kernel/modprobe";

#[derive(Debug, Default)]
pub(super) struct Modules {
    schedulers: Vec<Scheduler>,
    has_new: bool,
    running: Option<Running>,
    /// Killed, not yet ended.
    killed: Vec<Child>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    kill_at: Instant,
    look_at: Instant,
}

impl Modules {
    /// Names that do not fit are none that the kernel has.
    pub(super) fn set_schedulers<'s>(&mut self, names: impl IntoIterator<Item = &'s str>) {
        let mut schedulers: Vec<Scheduler> = Vec::new();
        for name in names {
            if let Ok(name) = Scheduler::try_from(name)
                && !schedulers.contains(&name)
            {
                self.has_new |= !self.schedulers.contains(&name);
                schedulers.push(name);
            }
        }
        self.schedulers = schedulers;
    }

    /// Are there schedulers whose modules have not been loaded yet?
    pub(super) const fn has_new(&self) -> bool {
        self.has_new
    }

    pub(super) const fn is_loading(&self) -> bool {
        self.running.is_some()
    }

    /// Starts the loader, unless it is running. Where there is none, nothing happens: the modules may be
    /// built in.
    pub(super) fn load(&mut self, now: Instant) {
        if self.is_loading() {
            return;
        }
        self.has_new = false;
        let loader = std::fs::read_to_string(LOADER_NAME).unwrap_or_else(|_| "/sbin/modprobe".into());
        self.load_by(loader.trim(), now);
    }

    fn load_by(&mut self, loader: &str, now: Instant) {
        if loader.is_empty() {
            return;
        }
        // -a: all names are modules, and one that is not there does not keep the others out.
        let child = Command::new(loader)
            .args(["-q", "-a", "ip_vs"])
            .args(self.schedulers.iter().map(|name| format!("ip_vs_{name}")))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => {
                let (kill_at, look_at) = (now + LOAD_TIMEOUT, now + LOOK_INTERVAL);
                self.running = Some(Running { child, kill_at, look_at });
            }
            Err(error) => log::debug!("{loader}: {error}"),
        }
    }

    /// Looks whether the loader has ended. Never waits.
    pub(super) fn check(&mut self, now: Instant) {
        self.killed.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let Some(running) = &mut self.running else { return };
        match running.child.try_wait() {
            Ok(None) if now < running.kill_at => {
                running.look_at = now + LOOK_INTERVAL;
                return;
            }
            Ok(None) => {
                log::warn!("the module loader does not end: killed");
                let _ = running.child.kill();
            }
            Ok(Some(status)) => log::debug!("the module loader ended: {status}"),
            // Somebody else has waited for it.
            Err(error) => log::debug!("the module loader: {error}"),
        }
        let ended = self.running.take().map(|running| running.child);
        self.killed.extend(ended.into_iter().filter_map(|mut child| match child.try_wait() {
            Ok(None) => Some(child),
            Ok(Some(_)) | Err(_) => None,
        }));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.look_at.min(running.kill_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    /// A loader of our own that runs `script`.
    fn loader(name: &str, script: &str) -> String {
        let path = std::env::temp_dir().join(format!("vipd-loader-{name}-{}", std::process::id()));
        let mut file = std::fs::File::create(&path).unwrap();
        write!(file, "#!/bin/sh\n{script}\n").unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_string()
    }

    /// Starts it. While another test forks, the fresh file may still be open for writing in its child: try
    /// again.
    fn start(modules: &mut Modules, path: &str) {
        for _ in 0..100 {
            modules.load_by(path, Instant::ZERO);
            if modules.is_loading() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{path} could not be started");
    }

    fn wait_for_end(modules: &mut Modules, now: Instant) {
        for _ in 0..500 {
            modules.check(now);
            if !modules.is_loading() && modules.killed.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the child was never seen to end: a zombie would stay");
    }

    #[test]
    fn all_modules_go_to_one_loader_without_a_shell() {
        let seen = std::env::temp_dir().join(format!("vipd-loader-seen-{}", std::process::id()));
        let path = loader("args", &format!("echo \"$@\" > {}", seen.display()));
        let mut modules = Modules::default();
        modules.set_schedulers(["wlc", "rr", "wlc", "a-name-that-is-too-long"]);
        assert!(modules.has_new());
        start(&mut modules, &path);
        assert_eq!(modules.next_deadline(), Some(Instant::ZERO + LOOK_INTERVAL));
        wait_for_end(&mut modules, Instant::ZERO);
        let seen_text = std::fs::read_to_string(&seen).unwrap();
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(seen).unwrap();
        assert_eq!(seen_text, "-q -a ip_vs ip_vs_wlc ip_vs_rr\n");
        assert_eq!(modules.next_deadline(), None, "nothing wakes the loop when nothing runs");
    }

    #[test]
    fn loader_that_hangs_is_killed_at_its_deadline() {
        let path = loader("hang", "exec sleep 60");
        let mut modules = Modules::default();
        start(&mut modules, &path);
        let late = Instant::ZERO + LOAD_TIMEOUT;
        modules.check(late - Duration::from_millis(1));
        assert!(modules.is_loading(), "killed too early");
        modules.check(late);
        assert!(!modules.is_loading(), "the loop must go on without it");
        wait_for_end(&mut modules, late);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn missing_loader_is_no_obstacle() {
        let mut modules = Modules::default();
        modules.load_by("/nowhere/modprobe", Instant::ZERO);
        assert!(!modules.is_loading());
        modules.load_by("", Instant::ZERO);
        assert!(!modules.is_loading(), "an empty name forbids loading");
    }

    #[test]
    fn only_names_that_were_not_there_make_it_load_again() {
        let mut modules = Modules::default();
        modules.set_schedulers(["wlc", "rr"]);
        modules.has_new = false;
        modules.set_schedulers(["rr"]);
        assert!(!modules.has_new(), "a name less");
        modules.set_schedulers(["rr", "sh"]);
        assert!(modules.has_new(), "a reload brought a scheduler");
    }
}
