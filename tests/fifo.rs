//! Named pipes that are told of changes, with good, slow and missing readers (keepalived §2.6), and the
//! daemon's place on the processor.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vipd::model::{Command, Fifo, FifoKind, Fifos as Wanted, Realtime};
use vipd::sys::fifo::Fifos;
use vipd::sys::poll::PollSet;
use vipd::sys::realtime::Applied;
use vipd::sys::runner::{Owner, Runner};
use vipd::time as vt;

/// A loop with nothing in it but pipes and their readers.
struct Bench {
    fifos: Fifos,
    runner: Runner,
    start: Instant,
    jumped: vt::Duration,
    folder: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vipd-fifo-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (fifos, runner) = (Fifos::default(), Runner::open().unwrap());
        Bench { fifos, runner, start: Instant::now(), jumped: vt::Duration::ZERO, folder }
    }

    fn now(&self) -> vt::Instant {
        vt::Instant::from_micros(self.start.elapsed().as_micros() as i64) + self.jumped
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn fifo(&self, name: &str, script: Option<&str>) -> Fifo {
        let script = script.map(|script| Command {
            argv: vec!["/bin/sh".into(), "-c".into(), script.into(), "reader".into()],
            user: None,
            group: None,
            timeout: vt::Duration::from_secs(1),
        });
        Fifo { path: self.path(name), user: None, group: None, script }
    }

    fn configure(&mut self, all: Option<Fifo>, vrrp: Option<Fifo>) {
        let wanted = Wanted { all, vrrp, balance: None };
        self.fifos.configure(self.now(), &wanted, &mut self.runner);
    }

    fn write(&mut self, kind: FifoKind, line: &str) {
        self.fifos.write(self.now(), kind, line);
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < end, "{what} never came");
            std::thread::sleep(Duration::from_millis(3));
            let (now, fifos) = (self.now(), &mut self.fifos);
            self.runner.process(now, &PollSet::new(), true, &mut |ended| match ended.owner {
                Owner::Reader(kind) => fifos.handle_ended(now, kind, ended),
                Owner::Engine(_) | Owner::Hook | Owner::Asked(_) => panic!("{ended:?}"),
            });
            self.fifos.tick(now, &mut self.runner);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.fifos.close();
        self.runner.end_all(self.now());
        let end = Instant::now() + Duration::from_secs(5);
        while self.runner.count() > 0 && Instant::now() < end {
            self.runner.process(self.now(), &PollSet::new(), true, &mut |_| {});
            std::thread::sleep(Duration::from_millis(3));
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What waits in a pipe.
fn waiting(path: &str) -> String {
    let mut file = fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 65_536]);
    while let Ok(len @ 1..) = file.read(&mut buffer) {
        text.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn lines_wait_for_a_reader_and_go_where_they_belong() {
    let mut bench = Bench::new("lines");
    let (all, vrrp) = (bench.fifo("all", None), bench.fifo("vrrp", None));
    bench.configure(Some(all), Some(vrrp));
    bench.write(FifoKind::Vrrp, "INSTANCE \"VI_1\" MASTER 100");
    bench.write(FifoKind::Balance, "VS [10.0.0.1]:tcp:80 DOWN");
    let (all, vrrp) = (bench.path("all"), bench.path("vrrp"));
    assert_eq!(waiting(&all), "INSTANCE \"VI_1\" MASTER 100\nVS [10.0.0.1]:tcp:80 DOWN\n");
    assert_eq!(waiting(&vrrp), "INSTANCE \"VI_1\" MASTER 100\n");
    let found = fs::metadata(&all).unwrap();
    assert!(found.file_type().is_fifo());
    assert_eq!(found.mode() & 0o777 & !0o022, 0o644, "CVE-2018-19045: nobody else writes to it");
    bench.fifos.close();
    assert!(!fs::exists(&all).unwrap(), "vipd has made it, vipd takes it away");
}

#[test]
fn without_a_reader_lines_are_dropped_whole_and_nobody_waits() {
    let mut bench = Bench::new("full");
    let all = bench.fifo("all", None);
    bench.configure(Some(all), None);
    let line = format!("INSTANCE \"{}\" MASTER 100", "x".repeat(64));
    let began = Instant::now();
    (0..5000).for_each(|_| bench.write(FifoKind::All, &line));
    assert!(began.elapsed() < Duration::from_secs(5), "law 1: {:?}", began.elapsed());
    let text = waiting(&bench.path("all"));
    assert!(text.len() <= 65_536 && text.len() > 60_000, "what a pipe holds: {}", text.len());
    assert!(text.lines().all(|got| got == line), "half a line would be read as another state");
    bench.write(FifoKind::All, "INSTANCE \"VI_1\" BACKUP 100");
    assert_eq!(waiting(&bench.path("all")), "INSTANCE \"VI_1\" BACKUP 100\n", "it goes on");
}

#[test]
fn what_is_no_fifo_is_left_alone() {
    let mut bench = Bench::new("odd");
    let file = bench.path("file");
    fs::write(&file, "precious").unwrap();
    let (target, link) = (bench.path("target"), bench.path("link"));
    nix::unistd::mkfifo(target.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let (all, vrrp) = (bench.fifo("file", Some("exit 1")), bench.fifo("link", None));
    bench.configure(Some(all), Some(vrrp));
    bench.write(FifoKind::Vrrp, "INSTANCE");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(waiting(&target), "", "O_NOFOLLOW: whoever made the link decides where root writes");
    assert_eq!(bench.runner.count(), 0, "a pipe that is not there has no reader");
    bench.fifos.close();
    assert!(fs::exists(&file).unwrap() && fs::exists(&target).unwrap(), "vipd has not made them");
}

#[test]
fn a_reader_gets_the_path_and_all_lines_and_is_started_again() {
    let mut bench = Bench::new("reader");
    let out = bench.path("out");
    // Takes two lines, then ends.
    let script = format!("head -n 2 \"$1\" >> {out}; echo end >> {out}");
    let all = bench.fifo("all", Some(&script));
    bench.configure(Some(all.clone()), None);
    bench.write(FifoKind::Vrrp, "one");
    bench.write(FifoKind::Vrrp, "two");
    let said = |text: &str| fs::read_to_string(&out).unwrap_or_default() == text;
    bench.until("two lines", |_| said("one\ntwo\nend\n"));
    bench.until("its end", |bench| bench.runner.count() == 0);
    assert!(bench.fifos.next_deadline().is_some(), "the next one is to come");
    bench.write(FifoKind::Vrrp, "three");
    bench.write(FifoKind::Vrrp, "four");
    bench.until("the next reader", |_| said("one\ntwo\nend\nthree\nfour\nend\n"));
    // A reload that changes nothing here starts nothing; one without the pipe ends it.
    bench.until("a third one", |bench| bench.runner.count() == 1);
    bench.configure(Some(all), None);
    assert_eq!(bench.runner.count(), 1);
    bench.configure(None, None);
    bench.until("no reader", |bench| bench.runner.count() == 0);
    assert!(!fs::exists(bench.path("all")).unwrap());
}

#[test]
fn a_path_may_move_from_one_kind_to_another() {
    let mut bench = Bench::new("move");
    let (one, two) = (bench.fifo("one", None), bench.fifo("two", None));
    bench.configure(Some(one.clone()), Some(two.clone()));
    bench.configure(Some(two), Some(one));
    bench.write(FifoKind::Balance, "VS [10.0.0.1]:tcp:80 DOWN");
    assert_eq!(waiting(&bench.path("two")), "VS [10.0.0.1]:tcp:80 DOWN\n", "the pipe in use was unlinked");
    assert_eq!(waiting(&bench.path("one")), "", "this one is told of VRRP alone now");
}

/// Runs a test in a child, whose policy and locks are its own.
fn in_child(test: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs one test and ends without the harness's exit handlers.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Child => {
            let code = test();
            // SAFETY: as said.
            unsafe { libc::_exit(code) }
        }
        nix::unistd::ForkResult::Parent { child } => match nix::sys::wait::waitpid(child, None).unwrap() {
            nix::sys::wait::WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        },
    }
}

/// In a child with one thread: real-time in, its children not, and out again.
#[test]
fn real_time_is_taken_given_back_and_not_inherited() {
    let code = in_child(|| {
        // SAFETY: numbers only; 0 is this process.
        let policy = || unsafe { libc::sched_getscheduler(0) } & !libc::SCHED_RESET_ON_FORK;
        // SAFETY: zeroes are a value of it; the pointer is to it.
        let limited = unsafe {
            let mut probe: libc::sched_param = std::mem::zeroed();
            probe.sched_priority = 1;
            libc::sched_setscheduler(0, libc::SCHED_RR, &raw const probe) != 0
        };
        let mut applied = Applied::default();
        applied.apply(Realtime { priority: Some(10), lock_memory: true });
        if !limited && policy() != libc::SCHED_RR {
            return 1;
        }
        if !limited && in_child(|| i32::from(policy() != libc::SCHED_OTHER)) != 0 {
            return 2;
        }
        let locked = || {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).map(str::to_owned);
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        };
        let (now_locked, is_root) = (locked(), nix::unistd::geteuid().is_root());
        if is_root && now_locked == 0 {
            return 3;
        }
        // A mapping that is not touched costs nothing.
        let before = resident();
        let map: Vec<u8> = Vec::with_capacity(32 << 20);
        if resident() > before + 8192 {
            return 4;
        }
        drop(map);
        applied.apply(Realtime { priority: None, lock_memory: false });
        if policy() != libc::SCHED_OTHER || locked() != 0 { 5 } else { 0 }
    });
    assert_eq!(
        code, 0,
        "1 not real-time, 2 inherited, 3 not locked, 4 all of it made resident, 5 not given back"
    );
}

/// Resident memory in kB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
