//! Real programs, run as the daemon runs them: how they end, what they inherit, and what a bad one can do
//! (B-125, HC-46).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vipd::engine::{RunId, RunOutcome, RunOwner, RunSpec};
use vipd::limits;
use vipd::model::Command;
use vipd::sys::poll::PollSet;
use vipd::sys::runner::{Ended, Owner, Runner};
use vipd::time as vt;

/// The log's level is one for all tests.
static ONE: Mutex<()> = Mutex::new(());
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap().push(record.args().to_string());
    }
    fn flush(&self) {}
}

/// A loop with nothing in it but a runner.
struct Bench {
    runner: Runner,
    set: PollSet,
    start: Instant,
    serial: u32,
    ended: Vec<Ended>,
    /// The longest that one `process` or `start` has kept the loop.
    longest: Duration,
    folder: PathBuf,
    _one: MutexGuard<'static, ()>,
}

impl Bench {
    fn new(name: &str) -> Self {
        Self::with_level(name, log::LevelFilter::Off)
    }

    fn with_level(name: &str, level: log::LevelFilter) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = log::set_logger(&Lines);
        log::set_max_level(level);
        LINES.lock().unwrap().clear();
        let folder = std::env::temp_dir().join(format!("vipd-runner-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Bench {
            runner: Runner::open().unwrap(),
            set: PollSet::new(),
            start: Instant::now(),
            serial: 0,
            ended: Vec::new(),
            longest: Duration::ZERO,
            folder,
            _one: one,
        }
    }

    fn now(&self) -> vt::Instant {
        vt::Instant::from_micros(self.start.elapsed().as_micros() as i64)
    }

    fn command(&self, words: &[&str], millis: u64) -> Command {
        let argv = words.iter().map(|word| (*word).to_owned()).collect();
        Command { argv, user: None, group: None, timeout: vt::Duration::from_millis(millis) }
    }

    fn start_as(&mut self, owner: RunOwner, command: &Command) -> RunId {
        self.serial += 1;
        let id = RunId { owner, serial: self.serial };
        let began = Instant::now();
        self.runner.start(self.now(), id, &RunSpec { command, arguments: &[] });
        self.longest = self.longest.max(began.elapsed());
        id
    }

    fn start(&mut self, words: &[&str], millis: u64) -> RunId {
        let command = self.command(words, millis);
        self.start_as(RunOwner::Notify(0), &command)
    }

    fn shell(&mut self, script: &str, millis: u64) -> RunId {
        self.start(&["/bin/sh", "-c", script], millis)
    }

    fn turn(&mut self) {
        self.set.clear();
        self.runner.register(&mut self.set);
        let now = self.now();
        // SIGCHLD wakes the daemon; here it is looked often.
        let most = vt::Duration::from_millis(2);
        let wait = self
            .runner
            .next_deadline()
            .map_or(most, |at| if at <= now { vt::Duration::ZERO } else { (at - now).min(most) });
        self.set.wait(Some(wait)).unwrap();
        let (now, began) = (self.now(), Instant::now());
        let ended = &mut self.ended;
        self.runner.process(now, &self.set, true, &mut |end| ended.push(end));
        self.longest = self.longest.max(began.elapsed());
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < end, "{what} did not come; ended so far: {:?}", self.ended);
            self.turn();
        }
    }

    #[track_caller]
    fn outcome(&mut self, id: RunId) -> RunOutcome {
        let mut found = None;
        self.until("an end", |bench| {
            found = bench.ended.iter().find(|end| end.owner == Owner::Engine(id)).map(|end| end.outcome);
            found.is_some()
        });
        found.unwrap()
    }

    /// What a script in the bench's folder finds out of itself.
    #[track_caller]
    fn says(&mut self, script: &str) -> String {
        let file = self.folder.join("out");
        let id = self.shell(&format!("({script}) > {} 2>&1", file.display()), 5000);
        assert_eq!(self.outcome(id), RunOutcome::Exited(0), "{script}");
        fs::read_to_string(file).unwrap().trim_end().to_owned()
    }

    fn file(&self, name: &str, mode: u32, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.runner.end_all(self.now());
        let end = Instant::now() + Duration::from_secs(5);
        while self.runner.count() > 0 && Instant::now() < end {
            self.turn();
        }
        log::set_max_level(log::LevelFilter::Off);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The number that a script has written into a file.
fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Gone, or a zombie that only waits to be counted.
fn is_gone(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

#[test]
fn exit_codes_and_signals_are_told_b125() {
    let mut bench = Bench::new("codes");
    for code in [0, 1, 2, 127, 255] {
        let id = bench.shell(&format!("exit {code}"), 5000);
        assert_eq!(bench.outcome(id), RunOutcome::Exited(code), "B-125");
    }
    for (signal, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("RTMIN", 34)] {
        let id = bench.start(&["/bin/bash", "-c", &format!("kill -{signal} $$")], 5000);
        assert_eq!(bench.outcome(id), RunOutcome::Killed(number), "B-125: by SIG{signal}");
    }
}

#[test]
fn what_cannot_be_started_says_why_b125() {
    let mut bench = Bench::new("refused");
    let plain = bench.file("plain", 0o644, "#!/bin/sh\n");
    let nonsense = bench.file("nonsense", 0o755, "no program at all\n");
    let bad_shell = bench.file("bad-shell", 0o755, "#!/nonexistent/shell\n");
    let gone = bench.file("gone", 0o755, "#!/bin/sh\n");
    let id = bench.start(&[&gone], 5000);
    assert_eq!(bench.outcome(id), RunOutcome::Exited(0));
    fs::remove_file(&gone).unwrap();
    for (path, errno, what) in [
        (plain.as_str(), libc::EACCES, "not executable"),
        ("/tmp", libc::EACCES, "a directory"),
        (gone.as_str(), libc::ENOENT, "removed between two runs"),
        (nonsense.as_str(), libc::ENOEXEC, "no program"),
        (bad_shell.as_str(), libc::ENOENT, "its interpreter is missing"),
        ("/bin/tr\0ue", libc::EINVAL, "a NUL in its name"),
    ] {
        let id = bench.start(&[path], 5000);
        assert_eq!(bench.outcome(id), RunOutcome::NotStarted(errno), "B-125: {what}");
    }
    let long = "x".repeat(limits::ARGUMENTS_MAX);
    let id = bench.start(&["/bin/true", &long], 5000);
    assert_eq!(bench.outcome(id), RunOutcome::NotStarted(libc::E2BIG), "law 8");
    let mut command = bench.command(&["/bin/true"], 5000);
    command.user = Some("no-such-user".into());
    let id = bench.start_as(RunOwner::Notify(0), &command);
    assert_eq!(bench.outcome(id), RunOutcome::NotStarted(libc::EINVAL), "HC-46: not as root instead");
}

/// The shell, its child, and a child of that which has left for the background.
#[test]
fn a_time_limit_ends_the_whole_group_b125() {
    let mut bench = Bench::new("limit");
    let (a, b) = (bench.folder.join("a"), bench.folder.join("b"));
    let script =
        format!("sleep 60 & echo $! > {}; (sleep 60 & echo $! > {}); sleep 60", a.display(), b.display());
    let id = bench.shell(&script, 300);
    assert_eq!(bench.outcome(id), RunOutcome::TimedOut);
    let took = bench.ended.first().unwrap().took;
    assert!(took < vt::Duration::from_millis(700), "HC-1: {took}");
    bench.until("an end of all", |bench| bench.runner.count() == 0);
    for file in [a, b] {
        assert!(is_gone(pid_in(&file).unwrap()), "a script that hangs would leave one process each time");
    }
}

#[test]
fn who_does_not_heed_sigterm_is_killed_2_s_later_b125() {
    let mut bench = Bench::new("deaf");
    let file = bench.folder.join("pid");
    let id =
        bench.shell(&format!("trap '' TERM; echo $$ > {}; while :; do sleep 1; done", file.display()), 200);
    assert_eq!(bench.outcome(id), RunOutcome::TimedOut);
    let took = bench.ended.first().unwrap().took;
    let want = vt::Duration::from_millis(2200)..vt::Duration::from_millis(2800);
    assert!(want.contains(&took), "SIGKILL 2 s after SIGTERM: {took}");
    bench.until("its end", |bench| bench.runner.count() == 0);
    assert!(is_gone(pid_in(&file).unwrap()));
}

/// The leader obeys, somebody else in its group does not.
#[test]
fn the_rest_of_a_group_is_killed_after_its_leader_b125() {
    let mut bench = Bench::new("rest");
    let file = bench.folder.join("pid");
    let script =
        format!("(trap '' TERM; while :; do sleep 1; done) & echo $! > {}; sleep 60", file.display());
    let id = bench.shell(&script, 200);
    assert_eq!(bench.outcome(id), RunOutcome::TimedOut);
    assert!(bench.ended.first().unwrap().took < vt::Duration::from_millis(700), "the leader has ended");
    bench.until("an end of all", |bench| bench.runner.count() == 0);
    let pid = pid_in(&file).unwrap();
    let end = Instant::now() + Duration::from_secs(2);
    while !is_gone(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(is_gone(pid));
}

/// A script that is to tell a state leaves nothing behind; a service's start command leaves its service.
#[test]
fn what_a_program_leaves_behind() {
    let mut bench = Bench::new("behind");
    let all = [(RunOwner::Track(0), false), (RunOwner::Check(0), false), (RunOwner::Supervised(0), true)];
    for (owner, stays) in all {
        let file = bench.folder.join("pid");
        let command =
            bench.command(&["/bin/sh", "-c", &format!("sleep 60 & echo $! > {}", file.display())], 5000);
        let id = bench.start_as(owner, &command);
        assert_eq!(bench.outcome(id), RunOutcome::Exited(0));
        bench.until("its end", |bench| bench.runner.count() == 0);
        let pid = pid_in(&file).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(is_gone(pid), !stays, "HC-46; {owner:?}");
        if stays {
            // SAFETY: a process that this test has started.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
    }
}

/// A daemon that a script left behind holds standard output for ever.
#[test]
fn a_daemon_that_holds_the_pipe_holds_nobody_up_b125() {
    let mut bench = Bench::with_level("pipe", log::LevelFilter::Debug);
    let file = bench.folder.join("pid");
    let script =
        format!("echo first; echo second; (sleep 1; echo late; sleep 60) & echo $! > {}", file.display());
    let began = Instant::now();
    let id = bench.shell(&script, 5000);
    assert_eq!(bench.outcome(id), RunOutcome::Exited(0));
    assert!(began.elapsed() < Duration::from_secs(1), "it waited for the daemon");
    bench.until("a line", |_| !LINES.lock().unwrap().is_empty());
    assert_eq!(LINES.lock().unwrap().join("|"), "sh: first", "the first line alone");
    let end = Instant::now() + Duration::from_millis(1500);
    bench.until("the late line", |_| Instant::now() > end);
    let pid = pid_in(&file).unwrap();
    assert!(!is_gone(pid), "writing killed it, because the log tells more");
    // SAFETY: the group of processes that this test has started; its leader is reaped, so by member.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

#[test]
fn a_gibibyte_of_output_keeps_nobody_busy_b125() {
    for level in [log::LevelFilter::Off, log::LevelFilter::Debug] {
        let mut bench = Bench::with_level("gibibyte", level);
        let id = bench.start(&["/usr/bin/head", "-c", "1073741824", "/dev/zero"], 60_000);
        assert_eq!(bench.outcome(id), RunOutcome::Exited(0), "{level}");
        assert!(bench.longest < Duration::from_millis(200), "law 1: {:?} at {level}", bench.longest);
    }
}

#[test]
fn a_program_inherits_nothing_hc46() {
    let mut bench = Bench::new("inherits");
    // What some parent of the daemon may have left: a descriptor without CLOEXEC.
    // SAFETY: a plain dup of a descriptor that is open.
    let stray = unsafe { libc::dup(1) };
    assert_eq!(bench.says("env | cut -d= -f1 | grep -v '^PWD$\\|^_$\\|^SHLVL$' | sort | xargs"), "HOME PATH");
    assert_eq!(bench.says("pwd"), "/");
    assert_eq!(bench.says("umask"), "0022");
    assert_eq!(bench.says("readlink /proc/self/fd/0"), "/dev/null");
    assert_eq!(bench.says("exec ls /proc/self/fd | xargs"), "0 1 2 3", "3 is the listing's own");
    assert_eq!(bench.says("ulimit -Sn"), "1024");
    let masks = bench.says("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2");
    for mask in masks.lines() {
        // The C library keeps signals 32 and 33 to itself; whoever started this test may ignore them.
        assert_eq!(u64::from_str_radix(mask, 16).unwrap() & !(3 << 31), 0, "blocked or ignored: {masks}");
    }
    assert_eq!(
        bench.says("[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo leader"),
        "leader",
        "of its group"
    );
    // SAFETY: ours.
    unsafe { libc::close(stray) };
    if cfg!(target_arch = "x86_64") && Path::new("/usr/bin/perl").exists() {
        let file = bench.folder.join("signal");
        let ask = "$x = pack('i', 0); syscall(157, 2, $x); open(F, '>', $ARGV[0]); print F unpack('i', $x)";
        let id = bench.start(&["/usr/bin/perl", "-e", ask, file.to_str().unwrap()], 5000);
        assert_eq!(bench.outcome(id), RunOutcome::Exited(0));
        let signal = fs::read_to_string(file).unwrap();
        assert_eq!(signal, "15", "PR_GET_PDEATHSIG: it would outlive a daemon that was killed");
    }
}

#[test]
fn a_program_runs_as_its_user_hc46() {
    let mut bench = Bench::new("user");
    // SAFETY: has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let out = bench.folder.join("out");
    fs::write(&out, "").unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o666)).unwrap();
    for (user, group, want) in [
        (Some("65533"), None, "65533 65533 65533"),
        (Some("65533"), Some("77"), "65533 77 77"),
        (None, None, "0 0 0"),
    ] {
        let script = format!("echo $(id -u) $(id -g) $(id -G) > {}", out.display());
        let mut command = bench.command(&["/bin/sh", "-c", &script], 5000);
        (command.user, command.group) = (user.map(str::to_owned), group.map(str::to_owned));
        let id = bench.start_as(RunOwner::Notify(0), &command);
        assert_eq!(bench.outcome(id), RunOutcome::Exited(0));
        assert_eq!(fs::read_to_string(&out).unwrap().trim_end(), want, "no other groups are left");
    }
}

#[test]
fn a_program_that_is_stopped_tells_nothing() {
    let mut bench = Bench::new("stop");
    let file = bench.folder.join("pid");
    let id = bench.shell(&format!("echo $$ > {}; exec sleep 60", file.display()), 60_000);
    bench.until("a start", |_| pid_in(&file).is_some());
    bench.runner.stop(bench.now(), Owner::Engine(id));
    bench.until("its end", |bench| bench.runner.count() == 0);
    assert!(is_gone(pid_in(&file).unwrap()), "SIGTERM is enough");
    assert_eq!(bench.ended, [], "no event comes of it");
}

/// Hung scripts of trackers fill their share, and nobody else's.
#[test]
fn more_than_may_run_wait_for_their_turn() {
    let mut bench = Bench::new("many");
    let hung = bench.command(&["/bin/sleep", "60"], 600);
    let count = limits::RUNS_TRACK_MAX + 3;
    for track in 0..count {
        bench.start_as(RunOwner::Track(track as u32), &hung);
    }
    assert_eq!(bench.runner.count(), limits::RUNS_TRACK_MAX, "law 8");
    assert_eq!(bench.runner.next_waiting(), None, "there is no room yet");
    let id = bench.start(&["/bin/true"], 5000);
    assert_eq!(bench.outcome(id), RunOutcome::Exited(0), "a notification waits for hung trackers");
    bench.until("room", |bench| bench.ended.len() > limits::RUNS_TRACK_MAX);
    bench.until("all gone", |bench| bench.runner.count() == 0);
    let waiting: Vec<_> = std::iter::from_fn(|| bench.runner.next_waiting()).collect();
    assert_eq!(waiting.len(), 3, "those that waited, in their order");
    assert_eq!(waiting.first().unwrap().owner, RunOwner::Track(limits::RUNS_TRACK_MAX as u32));
}

/// Hung scripts of checks keep neither trackers nor notifications waiting, and do not fill the queue.
#[test]
fn hung_checks_fill_their_share_and_nobody_else_s() {
    let mut bench = Bench::new("checks");
    let hung = bench.command(&["/bin/sleep", "60"], 60_000);
    for check in 0..limits::RUN_QUEUE_MAX as u32 {
        bench.start_as(RunOwner::Check(check), &hung);
    }
    assert_eq!(bench.runner.count(), limits::RUNS_CHECK_MAX, "law 8");
    assert_eq!(bench.runner.next_waiting(), None, "there is no room yet");
    let quick = bench.command(&["/bin/true"], 5000);
    let track = bench.start_as(RunOwner::Track(0), &quick);
    assert_eq!(bench.outcome(track), RunOutcome::Exited(0), "a tracker waits for hung checks");
    // Half of the queue is theirs; the rest is refused.
    let waiting = limits::RUN_QUEUE_MAX / 2;
    let refused = limits::RUN_QUEUE_MAX - limits::RUNS_CHECK_MAX - waiting;
    let busy = |end: &&Ended| end.outcome == RunOutcome::NotStarted(libc::EAGAIN);
    assert_eq!(bench.ended.iter().filter(busy).count(), refused);
    for track in 1..limits::RUNS_TRACK_MAX as u32 {
        bench.start_as(RunOwner::Track(track), &hung);
    }
    assert_eq!(bench.runner.count(), limits::RUNS_TRACK_MAX, "both together");
    let id = bench.start(&["/bin/true"], 5000);
    assert_eq!(bench.outcome(id), RunOutcome::Exited(0), "a notification waits for hung scripts");
}

/// What a script of a check does while its server is up, one round after the other (B-125).
#[test]
fn scripts_of_checks_do_their_worst_b125() {
    let mut bench = Bench::with_level("check", log::LevelFilter::Debug);
    let daemon = bench.folder.join("daemon");
    let script = format!("(trap '' TERM; sleep 60) & echo $! > {}; exit 1", daemon.display());
    let gone = bench.file("gone", 0o755, "#!/bin/sh\nexit 0\n");
    let check = |bench: &mut Bench, words: &[&str], millis| {
        let command = bench.command(words, millis);
        let id = bench.start_as(RunOwner::Check(7), &command);
        bench.outcome(id)
    };
    assert_eq!(check(&mut bench, &["/bin/sh", "-c", &script], 5000), RunOutcome::Exited(1));
    let pid = pid_in(&daemon).unwrap();
    let end = Instant::now() + Duration::from_secs(2);
    while !is_gone(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(is_gone(pid), "HC-46: each probe would leave a daemon that holds the pipe");
    let gibibyte = ["/usr/bin/head", "-c", "1073741824", "/dev/zero"];
    assert_eq!(check(&mut bench, &gibibyte, 60_000), RunOutcome::Exited(0));
    assert!(bench.longest < Duration::from_millis(200), "law 1: {:?}", bench.longest);
    assert_eq!(check(&mut bench, &["/tmp"], 5000), RunOutcome::NotStarted(libc::EACCES), "a directory");
    assert_eq!(check(&mut bench, &[&gone], 5000), RunOutcome::Exited(0));
    fs::remove_file(&gone).unwrap();
    let removed = RunOutcome::NotStarted(libc::ENOENT);
    assert_eq!(check(&mut bench, &[&gone], 5000), removed, "removed between two runs: HC-4, no verdict");
    assert_eq!(check(&mut bench, &["/bin/sleep", "60"], 200), RunOutcome::TimedOut);
    for code in [0, 1, 2, 127, 255] {
        let script = format!("exit {code}");
        assert_eq!(check(&mut bench, &["/bin/sh", "-c", &script], 5000), RunOutcome::Exited(code));
    }
    let dies = ["/bin/sh", "-c", "kill -KILL $$"];
    assert_eq!(check(&mut bench, &dies, 5000), RunOutcome::Killed(9));
}

/// Law 1: what a start costs the loop. The limit is far above what is measured, for busy test machines.
#[test]
fn twenty_scripts_a_second_keep_the_loop_for_little() {
    let mut bench = Bench::new("cost");
    let command = bench.command(&["/bin/true"], 5000);
    let (mut starts, mut all) = (Vec::new(), Duration::ZERO);
    for _ in 0..40 {
        bench.longest = Duration::ZERO;
        let id = bench.start_as(RunOwner::Notify(0), &command);
        starts.push(bench.longest);
        assert_eq!(bench.outcome(id), RunOutcome::Exited(0));
        all += bench.longest;
        std::thread::sleep(Duration::from_millis(10));
    }
    starts.sort();
    let (median, worst) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!("a start keeps the loop for {median:?} (median), {worst:?} (worst of {})", starts.len());
    assert!(median < Duration::from_millis(5), "law 1: an advert may be 5 ms late at most: {median:?}");
}
