//! Kernel modules, loaded by a child with a deadline.
//!
//! The kernel would load them itself on demand, but inside our `send`, and the loop would wait for it. So a
//! service goes to the kernel only when what it needs is there, or may be: after our own loader has run, and
//! where the kernel has not said already that it is missing.

use crate::limits;
use crate::model::{PersistenceEngine, Scheduler};
use crate::sys::child::{Child, Program};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::Service;
use std::path::PathBuf;

/// Modules on slow flash take their time. After this the child is killed.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a running child is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// From one try to load what is missing to the next.
const AGAIN_INTERVAL: Duration = Duration::from_secs(30);
/// The kernel's own loader is the one to use; an empty name means that none shall be.
const LOADER_NAME: &str = "/proc/sys/kernel/modprobe";
/// A folder for each module that is loaded.
const LOADED: &str = "/sys/module";
/// Those whose modules are called `ip_vs_NAME`. Others may come from a module of any name.
const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"];
const ENGINES: [&str; 1] = ["sip"];

/// What a service needs of the kernel beside `ip_vs` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    scheduler: Scheduler,
    engine: PersistenceEngine,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    Scheduler(Scheduler),
    Engine(PersistenceEngine),
}

impl Needs {
    pub(super) fn of(service: &Service) -> Self {
        Needs { scheduler: service.scheduler.clone(), engine: service.engine.clone() }
    }

    fn each(&self) -> impl Iterator<Item = Need> {
        let engine = Some(&self.engine).filter(|name| !name.is_empty()).cloned().map(Need::Engine);
        [Need::Scheduler(self.scheduler.clone())].into_iter().chain(engine)
    }
}

impl Need {
    /// Name of the module that the kernel would load.
    fn module(&self) -> String {
        match self {
            Need::Scheduler(name) => format!("ip_vs_{name}"),
            Need::Engine(name) => format!("ip_vs_pe_{name}"),
        }
    }

    /// Is it one that comes from a module of that name, and from no other?
    fn is_well_known(&self) -> bool {
        match self {
            Need::Scheduler(name) => SCHEDULERS.contains(&name.as_str()),
            Need::Engine(name) => ENGINES.contains(&name.as_str()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Modules {
    needs: Vec<Need>,
    has_new: bool,
    /// What the kernel has said that it lacks.
    lacking: Vec<Need>,
    /// What is missing is tried again then, at the earliest.
    again_at: Option<Instant>,
    loaded: PathBuf,
    /// The file that names the loader.
    loader_name: PathBuf,
    running: Option<Running>,
    /// Killed, not yet ended.
    killed: Vec<Child>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    kill_at: Instant,
    look_at: Instant,
    /// Requests wait for its end.
    is_awaited: bool,
}

impl Default for Modules {
    fn default() -> Self {
        Modules {
            needs: Vec::new(),
            has_new: false,
            lacking: Vec::new(),
            again_at: None,
            loaded: PathBuf::from(LOADED),
            loader_name: PathBuf::from(LOADER_NAME),
            running: None,
            killed: Vec::new(),
        }
    }
}

impl Modules {
    /// What the services of a configuration need, (scheduler, engine) each. What the kernel was found to lack
    /// is asked for anew. Names that do not fit are none that the kernel has.
    pub(super) fn set_needs<'s>(&mut self, all: impl IntoIterator<Item = (&'s str, Option<&'s str>)>) {
        let mut needs: Vec<Need> = Vec::new();
        for (scheduler, engine) in all {
            let scheduler = Scheduler::try_from(scheduler).ok().map(Need::Scheduler);
            let engine = engine.and_then(|name| PersistenceEngine::try_from(name).ok()).map(Need::Engine);
            for need in scheduler.into_iter().chain(engine) {
                if !needs.contains(&need) {
                    self.has_new |= !self.needs.contains(&need);
                    needs.push(need);
                }
            }
        }
        self.needs = needs;
        self.lacking.clear();
        self.again_at = None;
    }

    /// Are there needs whose modules have not been loaded yet?
    pub(super) const fn has_new(&self) -> bool {
        self.has_new
    }

    /// Are requests to wait for a loader?
    pub(super) fn is_loading(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_awaited)
    }

    /// The kernel has said that one of these is not there.
    pub(super) fn note_lacking(&mut self, needs: &Needs) {
        for need in needs.each() {
            if !self.is_loaded(&need) && !self.lacking.contains(&need) {
                if self.lacking.len() >= limits::IPVS_LACKING_MAX {
                    self.lacking.remove(0);
                }
                self.lacking.push(need);
            }
        }
    }

    /// Can the kernel have all of these, without running the loader when it is asked? If not, a loader of our
    /// own is started now and then, for which nobody waits.
    pub(super) fn can_be_had(&mut self, now: Instant, needs: &Needs) -> bool {
        let missing = needs.each().find(|need| !self.is_loaded(need) && self.is_missing(need));
        if missing.is_some() && self.again_at.is_none_or(|at| now >= at) {
            self.again_at = Some(now + AGAIN_INTERVAL);
            self.start(now, false);
        }
        missing.is_none()
    }

    fn is_loaded(&self, need: &Need) -> bool {
        // The kernel takes `-` for `_`.
        self.loaded.join(need.module().replace('-', "_")).exists()
    }

    /// Of what is not loaded: is it missing, or built in? Where `ip_vs` is a module, what builds on it is one
    /// too. Everything else the kernel must say; once is enough.
    fn is_missing(&self, need: &Need) -> bool {
        let is_module = || self.loaded.join("ip_vs/initstate").exists();
        self.lacking.contains(need) || (need.is_well_known() && is_module())
    }

    /// Starts the loader, for which requests wait. Where there is none, nothing happens: the modules may be
    /// built in.
    pub(super) fn load(&mut self, now: Instant) {
        match &mut self.running {
            Some(running) => running.is_awaited = true,
            None => {
                self.has_new = false;
                self.lacking.clear();
                self.again_at = Some(now + AGAIN_INTERVAL);
                self.start(now, true);
            }
        }
    }

    fn start(&mut self, now: Instant, is_awaited: bool) {
        if self.running.is_none() {
            let loader =
                std::fs::read_to_string(&self.loader_name).unwrap_or_else(|_| "/sbin/modprobe".into());
            self.start_by(loader.trim(), now, is_awaited);
        }
    }

    fn start_by(&mut self, loader: &str, now: Instant, is_awaited: bool) {
        if loader.is_empty() {
            return;
        }
        // -a: all names are modules, and one that is not there does not keep the others out.
        let modules: Vec<String> = self.needs.iter().map(Need::module).collect();
        let words = [loader, "-q", "-a", "ip_vs"].into_iter().chain(modules.iter().map(String::as_str));
        match Program::new(loader, words).start(None) {
            Ok(child) => {
                let (kill_at, look_at) = (now + LOAD_TIMEOUT, now + LOOK_INTERVAL);
                self.running = Some(Running { child, kill_at, look_at, is_awaited });
            }
            Err(errno) => log::debug!("{loader}: {}", errno.desc()),
        }
    }

    /// Looks whether the loader has ended. Never waits.
    pub(super) fn check(&mut self, now: Instant) {
        self.killed.retain_mut(|child| child.exit().is_none());
        let Some(running) = &mut self.running else { return };
        match running.child.exit() {
            None if now < running.kill_at => {
                running.look_at = now + LOOK_INTERVAL;
                return;
            }
            None => {
                log::warn!("the module loader does not end: killed");
                running.child.kill();
            }
            Some(exit) => log::debug!("the module loader ended: {exit:?}"),
        }
        let ended = self.running.take().map(|running| running.child);
        self.killed.extend(ended.into_iter().filter_map(|mut child| match child.exit() {
            None => Some(child),
            Some(_) => None,
        }));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.look_at.min(running.kill_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::tests::{Script, assert_does_not_wait_for_storage};

    fn start(modules: &mut Modules, path: &str) {
        modules.start_by(path, Instant::ZERO, true);
        assert!(modules.is_loading(), "{path} could not be started");
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
        let loader = Script::new("loader-args", &format!("echo \"$@\" > {}", seen.display()));
        let mut modules = Modules::default();
        modules.set_needs([
            ("wlc", None),
            ("rr", Some("sip")),
            ("wlc", None),
            ("a-name-that-is-too-long", None),
        ]);
        assert!(modules.has_new());
        start(&mut modules, loader.path());
        assert_eq!(modules.next_deadline(), Some(Instant::ZERO + LOOK_INTERVAL));
        wait_for_end(&mut modules, Instant::ZERO);
        let seen_text = std::fs::read_to_string(&seen).unwrap();
        std::fs::remove_file(seen).unwrap();
        assert_eq!(seen_text, "-q -a ip_vs ip_vs_wlc ip_vs_rr ip_vs_pe_sip\n");
        assert_eq!(modules.next_deadline(), None, "nothing wakes the loop when nothing runs");
    }

    #[test]
    fn loader_that_hangs_is_killed_at_its_deadline() {
        let loader = Script::new("loader-hang", "exec sleep 60");
        let mut modules = Modules::default();
        start(&mut modules, loader.path());
        let late = Instant::ZERO + LOAD_TIMEOUT;
        modules.check(late - Duration::from_millis(1));
        assert!(modules.is_loading(), "killed too early");
        modules.check(late);
        assert!(!modules.is_loading(), "the loop must go on without it");
        wait_for_end(&mut modules, late);
    }

    #[test]
    fn law1_a_loader_is_started_without_waiting_for_its_storage() {
        assert_does_not_wait_for_storage("loader", |path| start(&mut Modules::default(), path));
    }

    #[test]
    fn missing_loader_is_no_obstacle() {
        let mut modules = Modules::default();
        modules.start_by("/nowhere/modprobe", Instant::ZERO, true);
        wait_for_end(&mut modules, Instant::ZERO);
        modules.start_by("", Instant::ZERO, true);
        assert!(!modules.is_loading(), "an empty name forbids loading");
    }

    #[test]
    fn only_names_that_were_not_there_make_it_load_again() {
        let mut modules = Modules::default();
        modules.set_needs([("wlc", None), ("rr", None)]);
        modules.has_new = false;
        modules.set_needs([("rr", None)]);
        assert!(!modules.has_new(), "a name less");
        modules.set_needs([("rr", None), ("sh", None)]);
        assert!(modules.has_new(), "a reload brought a scheduler");
        modules.has_new = false;
        modules.set_needs([("rr", Some("sip")), ("sh", None)]);
        assert!(modules.has_new(), "IPVS-26b: a reload brought an engine");
    }

    /// Modules that are loaded, as `/sys/module` tells them; removed at the end.
    struct Loaded(PathBuf);

    impl Loaded {
        fn new(name: &str, modules: &[&str]) -> (Self, Modules) {
            let folder =
                Loaded(std::env::temp_dir().join(format!("vipd-loaded-{name}-{}", std::process::id())));
            modules.iter().for_each(|module| folder.add(module));
            let (loaded, loader_name) = (folder.0.clone(), folder.0.join("loader"));
            std::fs::write(&loader_name, "\n").unwrap();
            (folder, Modules { loaded, loader_name, ..Modules::default() })
        }

        fn add(&self, module: &str) {
            std::fs::create_dir_all(self.0.join(module)).unwrap();
        }
    }

    impl Drop for Loaded {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn needs(scheduler: &str, engine: &str) -> Needs {
        Needs { scheduler: scheduler.try_into().unwrap(), engine: engine.try_into().unwrap() }
    }

    #[test]
    fn law1_ipvs40a_what_the_kernel_lacks_is_asked_of_it_once_at_most() {
        let (loaded, mut modules) = Loaded::new("modular", &["ip_vs/initstate", "ip_vs_rr"]);
        let mut can = |scheduler, engine| modules.can_be_had(Instant::ZERO, &needs(scheduler, engine));
        assert!(can("rr", ""));
        assert!(
            !can("mh", ""),
            "ip_vs is a module, so ip_vs_mh would be one: the kernel would run its loader"
        );
        assert!(!can("rr", "sip"), "IPVS-26b: likewise");
        assert!(can("own-one", ""), "a module of another name may have brought it: only the kernel knows");
        modules.note_lacking(&needs("own-one", ""));
        assert!(!modules.can_be_had(Instant::ZERO, &needs("own-one", "")), "and has said so");
        loaded.add("ip_vs_own_one");
        loaded.add("ip_vs_mh");
        loaded.add("ip_vs_pe_sip");
        for (scheduler, engine) in [("own-one", ""), ("mh", ""), ("rr", "sip")] {
            assert!(
                modules.can_be_had(Instant::ZERO, &needs(scheduler, engine)),
                "{scheduler}: loaded since"
            );
        }
    }

    #[test]
    fn ipvs40a_built_in_schedulers_are_asked_of_the_kernel() {
        let (_loaded, mut modules) = Loaded::new("built-in", &["ip_vs/parameters"]);
        assert!(modules.can_be_had(Instant::ZERO, &needs("mh", "")), "it may be built in as well");
        modules.note_lacking(&needs("mh", "sip"));
        assert!(!modules.can_be_had(Instant::ZERO, &needs("mh", "")));
        modules.set_needs([("mh", None)]);
        assert!(modules.can_be_had(Instant::ZERO, &needs("mh", "")), "vipd reload: once more");
        for number in 0..2 * limits::IPVS_LACKING_MAX {
            modules.note_lacking(&needs(&format!("s{number}"), ""));
        }
        assert_eq!(modules.lacking.len(), limits::IPVS_LACKING_MAX);
    }

    #[test]
    fn law1_what_is_missing_is_loaded_behind_the_back_of_all_others() {
        let (_loaded, mut modules) = Loaded::new("behind", &["ip_vs/initstate"]);
        let loader = Script::new("loader-behind", "exec sleep 60");
        std::fs::write(&modules.loader_name, loader.path()).unwrap();
        assert!(!modules.can_be_had(Instant::ZERO, &needs("mh", "")));
        assert_eq!(modules.again_at, Some(Instant::ZERO + AGAIN_INTERVAL), "not at each retry");
        assert!(modules.next_deadline().is_some() && !modules.is_loading(), "nobody waits for it");
        modules.load(Instant::ZERO);
        assert!(modules.is_loading(), "unless what comes next needs it");
        let late = Instant::from_secs(100_000);
        modules.check(late);
        assert!(!modules.is_loading());
        wait_for_end(&mut modules, late);
    }
}
