//! Files and processes that trackers look at, on the real system.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vipd::engine::Event;
use vipd::model::{Name, Track, TrackKind};
use vipd::sys::poll::PollSet;
use vipd::sys::watch::Watch;
use vipd::time as vt;

/// A loop with nothing in it but watchers.
struct Bench {
    watch: Watch,
    set: PollSet,
    start: Instant,
    folder: PathBuf,
    /// (track, number or count).
    told: Vec<(usize, Result<i64, String>)>,
    /// The longest that one `process` has kept the loop.
    longest: Duration,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vipd-watch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (set, start) = (PollSet::new(), Instant::now());
        let (told, longest) = (Vec::new(), Duration::ZERO);
        Bench { watch: Watch::default(), set, start, folder, told, longest }
    }

    fn now(&self) -> vt::Instant {
        vt::Instant::from_micros(self.start.elapsed().as_micros() as i64)
    }

    fn configure(&mut self, kinds: Vec<TrackKind>) {
        let name = Name::try_from("t").unwrap();
        let tracks: Vec<Track> = kinds.into_iter().map(|kind| Track { name: name.clone(), kind }).collect();
        self.watch.configure(self.now(), &tracks);
    }

    fn turn(&mut self) {
        self.set.clear();
        self.watch.register(&mut self.set);
        let (now, most) = (self.now(), vt::Duration::from_millis(20));
        let wait = self
            .watch
            .next_deadline()
            .map_or(most, |at| if at <= now { vt::Duration::ZERO } else { (at - now).min(most) });
        self.set.wait(Some(wait)).unwrap();
        let (now, began) = (self.now(), Instant::now());
        let told = &mut self.told;
        self.watch.process(now, &self.set, &mut |event| match event {
            Event::TrackedFile { track, value } => {
                told.push((track, value.map(i64::from).map_err(|why| why.to_string())));
            }
            Event::TrackedProcess { track, count } => {
                told.push((track, count.map(i64::from).map_err(|why| why.to_string())));
            }
            other => panic!("{other:?} is none of a watcher's events"),
        });
        self.longest = self.longest.max(began.elapsed());
    }

    /// Waits until this is told of track 0; gives how long it took.
    #[track_caller]
    fn until(&mut self, want: Result<i64, &str>) -> Duration {
        let began = Instant::now();
        let want = want.map_err(str::to_owned);
        while self.told.iter().rfind(|(track, _)| *track == 0).is_none_or(|(_, last)| *last != want) {
            assert!(began.elapsed() < Duration::from_secs(8), "{want:?} never came: {:?}", self.told);
            self.turn();
        }
        began.elapsed()
    }

    fn run_for(&mut self, millis: u64) {
        let end = Instant::now() + Duration::from_millis(millis);
        while Instant::now() < end {
            self.turn();
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn file(path: &std::path::Path) -> TrackKind {
    TrackKind::File { path: path.to_str().unwrap().to_owned() }
}

const QUICK: Duration = Duration::from_millis(500);

#[test]
fn a_files_number_is_told_at_once_and_at_every_change() {
    let mut bench = Bench::new("file");
    let path = bench.folder.join("number");
    bench.configure(vec![file(&path)]);
    assert!(bench.until(Ok(0)) < QUICK, "a file that is not there counts as 0");
    fs::write(&path, "5\n").unwrap();
    assert!(bench.until(Ok(5)) < QUICK, "created");
    fs::write(&path, " -7 \n").unwrap();
    assert!(bench.until(Ok(-7)) < QUICK, "written");
    let other = bench.folder.join("other");
    fs::write(&other, "9").unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(bench.until(Ok(9)) < QUICK, "replaced");
    fs::write(&path, "garbage").unwrap();
    assert!(bench.until(Err("no number at its beginning")) < QUICK, "garbage");
    fs::write(&path, "99999999999").unwrap();
    assert!(bench.until(Err("its number is beyond 32 bits")) < QUICK);
    fs::write(&path, "").unwrap();
    assert!(bench.until(Err("the file is empty")) < QUICK);
    fs::remove_file(&path).unwrap();
    assert!(bench.until(Ok(0)) < QUICK, "deleted");
    bench.told.clear();
    bench.configure(vec![file(&path)]);
    assert!(bench.until(Ok(0)) < QUICK, "a reload tells all anew");
    assert_eq!(bench.told.len(), 1, "once");
}

/// A shell empties a file before it writes to it; in between there is no fault.
#[test]
fn rewriting_a_file_tells_nothing_in_between() {
    let mut bench = Bench::new("rewrite");
    let path = bench.folder.join("number");
    fs::write(&path, "1").unwrap();
    bench.configure(vec![file(&path)]);
    bench.until(Ok(1));
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || {
            for n in 2..=40 {
                fs::write(&path, n.to_string()).unwrap();
                std::thread::sleep(Duration::from_millis(3));
            }
        })
    };
    bench.until(Ok(40));
    writer.join().unwrap();
    assert!(bench.told.iter().all(|(_, value)| value.is_ok()), "{:?}", bench.told);
}

#[test]
fn what_is_no_file_does_not_hold_the_loop_up() {
    let mut bench = Bench::new("odd");
    let fifo = bench.folder.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let folder = bench.folder.clone();
    let device = PathBuf::from("/dev/zero");
    bench.configure(vec![file(&fifo), file(&folder), file(&device)]);
    bench.until(Err("cannot be read: it is not a regular file"));
    bench.run_for(50);
    assert_eq!(bench.told.len(), 3, "{:?}", bench.told);
    assert!(bench.told.iter().all(|(_, value)| value.is_err()), "{:?}", bench.told);
    assert!(bench.longest < Duration::from_secs(1), "law 1: a FIFO without a writer: {:?}", bench.longest);
}

/// Its folder comes later, goes, and comes again; a link's target is told by nobody.
#[test]
fn folders_and_links_are_looked_at_every_second() {
    let mut bench = Bench::new("folder");
    let folder = bench.folder.join("later");
    let path = folder.join("number");
    bench.configure(vec![file(&path)]);
    bench.until(Ok(0));
    fs::create_dir(&folder).unwrap();
    fs::write(&path, "3").unwrap();
    assert!(bench.until(Ok(3)) < Duration::from_secs(2));
    fs::write(&path, "4").unwrap();
    assert!(bench.until(Ok(4)) < QUICK, "from then on it is told");
    fs::remove_dir_all(&folder).unwrap();
    assert!(bench.until(Ok(0)) < QUICK);
    let target = bench.folder.join("target");
    fs::write(&target, "6").unwrap();
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    bench.until(Ok(6));
    fs::write(&target, "8").unwrap();
    assert!(bench.until(Ok(8)) < Duration::from_secs(2), "the link's folder says nothing");
}

/// A process that is killed when dropped.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process is called as the file that was executed, which may be a link.
fn sleeper(link: &std::path::Path, seconds: &str) -> Sleeper {
    let _ = fs::create_dir_all(link.parent().unwrap());
    let _ = std::os::unix::fs::symlink("/bin/sleep", link);
    let mut command = Command::new(link);
    // Where one program is many, this tells which.
    std::os::unix::process::CommandExt::arg0(&mut command, "sleep");
    Sleeper(command.arg(seconds).stdin(Stdio::null()).spawn().unwrap())
}

fn process(name: &str, arguments: &[&str]) -> TrackKind {
    TrackKind::Process {
        process: name.to_owned(),
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        quorum: 1,
        quorum_max: None,
        up_delay: vt::Duration::ZERO,
        down_delay: vt::Duration::ZERO,
    }
}

#[test]
fn processes_are_counted_as_they_come_and_go() {
    come_and_go("process");
}

/// The kernel tells of processes in the network namespace of the machine alone.
#[test]
fn processes_are_counted_where_the_kernel_tells_nothing() {
    let thread = std::thread::spawn(|| match nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        Ok(()) => come_and_go("untold"),
        Err(error) => eprintln!("SKIPPED: only root has namespaces: {error}"),
    });
    thread.join().unwrap();
}

fn come_and_go(name: &str) {
    let mut bench = Bench::new(name);
    let name = format!("{name}{}", std::process::id());
    let first = sleeper(&bench.folder.join(&name), "61");
    bench.configure(vec![process(&name, &[]), process(&name, &["62"]), process("/bin/sleep/no", &[])]);
    bench.until(Ok(1));
    let second = sleeper(&bench.folder.join("other").join(&name), "62");
    let came = bench.until(Ok(2));
    bench.run_for(100);
    let other = bench.told.iter().rfind(|(track, _)| *track == 1);
    assert_eq!(other, Some(&(1, Ok(1))), "its arguments count");
    drop(second);
    let went = bench.until(Ok(1));
    drop(first);
    bench.until(Ok(0));
    println!("came after {came:?}, went after {went:?}, the loop was kept for {:?} at most", bench.longest);
    assert!(came.max(went) < Duration::from_millis(4500), "a scan is due every 2 s: {came:?} {went:?}");
    let none = bench.told.iter().filter(|(track, _)| *track == 2).collect::<Vec<_>>();
    assert_eq!(none, [&(2, Ok(0))], "told once, and never anything else");
}

/// A zombie still has a process id, and a name.
#[test]
fn a_crash_that_nobody_has_reaped_counts_as_gone() {
    let mut bench = Bench::new("zombie");
    let name = format!("vipdzomb{}", std::process::id());
    let sleeper = sleeper(&bench.folder.join(&name), "63");
    bench.configure(vec![process(&name, &[])]);
    bench.until(Ok(1));
    // SAFETY: a process that this test has started, and has not waited for.
    unsafe { libc::kill(sleeper.0.id() as i32, libc::SIGKILL) };
    bench.until(Ok(0));
    bench.configure(vec![process(&name, &[])]);
    bench.told.clear();
    bench.until(Ok(0));
}
