//! Names looked up by the real binary, each in a process of its own, in networks and file trees of the tests'
//! own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use nix::sched::{CloneFlags, unshare};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vipd::engine::{Event, NameId, NameSpec};
use vipd::limits::LOOKUPS_MAX;
use vipd::sys::poll::PollSet;
use vipd::sys::resolver::Resolver;
use vipd::time as vt;

/// One test at a time: lookups are told apart by being this process's children.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

type Told = Result<Vec<IpAddr>, String>;

struct Bench {
    resolver: Resolver,
    set: PollSet,
    start: Instant,
    told: Vec<(NameId, Told, Duration)>,
    /// Children of before.
    others: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self::with_program(env!("CARGO_BIN_EXE_vipd"), 10_000)
    }

    fn with_program(path: &str, millis: u64) -> Self {
        let timeout = vt::Duration::from_millis(millis);
        Bench {
            resolver: Resolver::with_program(path, "resolve", timeout),
            set: PollSet::new(),
            start: Instant::now(),
            told: Vec::new(),
            others: children().iter().map(|stat| number(stat)).collect(),
        }
    }

    fn start(&mut self, number: u32, host: &str, ipv6: impl Into<Option<bool>>) {
        self.resolver.start(NameId { number, serial: 1 }, &NameSpec { host, ipv6: ipv6.into() });
    }

    fn turn(&mut self) {
        let now = |start: Instant| vt::Instant::from_micros(start.elapsed().as_micros() as i64);
        self.set.clear();
        self.resolver.register(&mut self.set);
        let (time, most) = (now(self.start), vt::Duration::from_millis(20));
        let at = self.resolver.next_deadline().unwrap_or(time + most);
        self.set.wait(Some(if at > time { (at - time).min(most) } else { vt::Duration::ZERO })).unwrap();
        let (told, elapsed) = (&mut self.told, self.start.elapsed());
        self.resolver.process(now(self.start), &self.set, &mut |event| match event {
            Event::Resolved { id, result } => {
                told.push((id, result.map_err(|why| why.as_str().to_owned()), elapsed));
            }
            other => panic!("{other:?} is none of a resolver's events"),
        });
    }

    #[track_caller]
    fn until_told(&mut self, count: usize) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.told.len() < count {
            assert!(Instant::now() < end, "told so far: {:?}", self.told);
            self.turn();
        }
        assert_eq!(self.told.len(), count, "one answer for each: {:?}", self.told);
    }

    fn of(&self, number: u32) -> Told {
        self.told.iter().rfind(|(id, ..)| id.number == number).unwrap().1.clone()
    }

    /// Its processes, zombies included.
    fn lookups(&self) -> Vec<String> {
        let numbers = children().iter().map(|stat| number(stat)).collect::<Vec<_>>();
        numbers.into_iter().filter(|number| !self.others.contains(number)).collect()
    }

    /// All that have ended are reaped in the turns after.
    fn assert_reaped(&mut self) {
        let end = Instant::now() + Duration::from_secs(5);
        while !self.lookups().is_empty() {
            assert!(Instant::now() < end, "left: {:?}", self.lookups());
            self.turn();
        }
    }

    #[track_caller]
    fn look_up(&mut self, host: &str, ipv6: impl Into<Option<bool>>) -> Told {
        self.told.clear();
        self.start(0, host, ipv6);
        self.until_told(1);
        self.of(0)
    }
}

fn addresses(list: &[&str]) -> Told {
    Ok(list.iter().map(|address| address.parse().unwrap()).collect())
}

/// Child processes of this one, zombies included.
fn children() -> Vec<String> {
    let us = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats
        .filter(|stat| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(us.as_str()))
        .collect()
}

/// The process id in a line of `/proc/PID/stat`.
fn number(stat: &str) -> String {
    stat.split(' ').next().unwrap().to_owned()
}

/// Runs a test on a thread with its own `/etc/hosts`, `/etc/resolv.conf` and network.
fn in_house(hosts: &str, resolv: &str, test: impl FnOnce() + Send + 'static) {
    let files = [("hosts", hosts), ("resolv.conf", resolv), ("nsswitch.conf", "hosts: files dns\n")];
    let files = files.map(|(name, text)| (name, text.to_owned()));
    let thread = std::thread::Builder::new().name("house".into()).spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)
        {
            assert!(std::env::var_os("VIPD_TESTS_MUST_RUN").is_none(), "only root has namespaces: {error}");
            eprintln!("SKIPPED: only root has namespaces: {error}");
            return;
        }
        let run = |words: &str| {
            let output = Command::new("sh").args(["-c", words]).output().unwrap();
            assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run("mount --make-rprivate / && mount -t tmpfs none /mnt && ip link set lo up");
        for (name, text) in files {
            std::fs::write(format!("/mnt/{name}"), text).unwrap();
            // What is a link, or is not there, is replaced by a file of this namespace's own.
            run(&format!("test -e /etc/{name} || touch /etc/{name}; mount --bind /mnt/{name} /etc/{name}"));
        }
        test();
    });
    thread.unwrap().join().unwrap();
}

/// A name server on 127.0.0.1:53 that makes an answer of each query; counts queries.
fn name_server(answer: impl Fn(&str, u16, &[u8]) -> Option<Vec<u8>> + Send + 'static) -> Arc<AtomicU32> {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counter = count.clone();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut query) {
            counter.fetch_add(1, Ordering::Relaxed);
            let query = &query[..len];
            let (mut name, mut at) = (String::new(), 12);
            while query[at] != 0 {
                let len = usize::from(query[at]);
                name += &format!("{}.", String::from_utf8_lossy(&query[at + 1..at + 1 + len]));
                at += 1 + len;
            }
            let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
            if let Some(reply) = answer(&name, kind, &query[..at + 5]) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    count
}

/// An answer with this RCODE and these records' data.
fn reply(query: &[u8], rcode: u8, kind: u16, data: &[&[u8]]) -> Option<Vec<u8>> {
    let mut bytes = query.to_vec();
    (bytes[2], bytes[3]) = (0x81, 0x80 | rcode);
    bytes[6..12].fill(0);
    bytes[7] = data.len() as u8;
    for data in data {
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        bytes.extend(*data);
    }
    Some(bytes)
}

const SERVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

#[test]
fn a_name_of_the_hosts_file_is_found_without_a_server() {
    let _one = alone();
    in_house("10.1.2.3 web.lan web\n10.1.2.4 web.lan\nfd00::3 web.lan\n", "", || {
        let mut bench = Bench::new();
        assert_eq!(bench.look_up("web.lan", false), addresses(&["10.1.2.3", "10.1.2.4"]));
        assert_eq!(bench.look_up("web.lan", true), addresses(&["fd00::3"]), "the family that is wanted");
        assert_eq!(bench.look_up("web", true), Err("it has no IPv6 address".to_owned()));
        let mut either = bench.look_up("web.lan", None).unwrap();
        either.sort();
        assert_eq!(Ok(either), addresses(&["10.1.2.3", "10.1.2.4", "fd00::3"]), "either family");
        assert_eq!(bench.look_up("192.0.2.7", false), addresses(&["192.0.2.7"]));
        assert!(bench.look_up("-x", false).is_err(), "no name is an option");
        let long = "x".repeat(300);
        assert_eq!(bench.look_up(&long, false), Err("cannot look it up: File name too long".to_owned()));
        bench.assert_reaped();
    });
}

#[test]
fn names_of_a_server_come_and_change() {
    let _one = alone();
    in_house("", SERVER, || {
        let last = Arc::new(AtomicU8::new(1));
        let now = last.clone();
        name_server(move |name, kind, query| match (name, kind) {
            ("web.example.", 1) => reply(query, 0, 1, &[&[192, 0, 2, now.load(Ordering::Relaxed)]]),
            ("six.example.", 28) => {
                reply(query, 0, 28, &[&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]])
            }
            ("many.example.", 1) => {
                let all: Vec<[u8; 4]> = (1..=25).map(|n| [198, 51, 100, n]).collect();
                reply(query, 0, 1, &all.iter().map(|a| &a[..]).collect::<Vec<_>>())
            }
            ("odd.example.", 1) => reply(query, 0, 1, &[&[0, 0, 0, 0]]),
            ("ok.example.", _) => reply(query, 0, 1, &[]),
            (_, _) => reply(query, 3, 1, &[]),
        });
        let mut bench = Bench::new();
        assert_eq!(bench.look_up("web.example", false), addresses(&["192.0.2.1"]));
        last.store(2, Ordering::Relaxed);
        assert_eq!(bench.look_up("web.example", false), addresses(&["192.0.2.2"]), "nothing is remembered");
        assert_eq!(bench.look_up("six.example", true), addresses(&["2001:db8::9"]));
        let many = bench.look_up("many.example", false).unwrap();
        assert_eq!(many.len(), vipd::limits::NAME_ADDRESSES_MAX, "law 8: more are ignored");
        assert_eq!(bench.look_up("odd.example", false), Err("0.0.0.0 is no address of a server".to_owned()));
        assert_eq!(bench.look_up("no.example", false), Err("Name or service not known".to_owned()));
        assert!(bench.look_up("ok.example", false).is_err(), "a name without an address");
    });
}

/// A server that hangs holds up nothing but its own lookups; what they cost is bounded.
#[test]
fn a_lookup_that_is_not_back_in_time_is_killed() {
    let _one = alone();
    in_house("10.1.2.3 web.lan\n", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n", || {
        let queries = name_server(|_, _, _| None);
        let mut bench = Bench::with_program(env!("CARGO_BIN_EXE_vipd"), 700);
        let silent = LOOKUPS_MAX as u32 + 2;
        for number in 1..=silent {
            bench.start(number, &format!("s{number}.example"), false);
        }
        bench.start(0, "web.lan", false);
        // The same name for somebody else, and for the other family.
        bench.start(100, "s1.example", false);
        bench.start(101, "s1.example", true);
        for _ in 0..20 {
            bench.turn();
        }
        assert_eq!(bench.lookups().len(), LOOKUPS_MAX, "law 8");
        bench.until_told(silent as usize + 3);
        for number in (1..=silent).chain([100, 101]) {
            assert_eq!(bench.of(number), Err("no answer within 700ms".to_owned()));
        }
        assert_eq!(bench.of(0), addresses(&["10.1.2.3"]), "behind them, it has its turn");
        let at = |number: u32| bench.told.iter().find(|(id, ..)| id.number == number).unwrap().2;
        assert_eq!(at(1), at(100), "one lookup for both");
        assert!(at(1) < Duration::from_millis(1500), "{:?}", at(1));
        assert!(at(0) < Duration::from_millis(2500), "{:?}", at(0));
        let asked = queries.load(Ordering::Relaxed);
        assert!(asked > 0, "they were asked");
        bench.assert_reaped();
    });
}

/// A program that runs `script` in the place of a lookup, with a Perl one-liner's answer.
fn program(name: &str, script: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("vipd-lookup-{name}-{}", std::process::id()));
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn what_a_lookup_should_not_say_is_an_error() {
    let _one = alone();
    for (name, script, want) in [
        ("dies", "exit 3", "its lookup ended unexpectedly"),
        ("short", "printf x >&0; sleep 1", "its lookup spoke nonsense"),
        ("long", "head -c 5000 /dev/zero >&0; sleep 1", "its lookup spoke nonsense"),
        ("zeros", "head -c 355 /dev/zero >&0; sleep 1", "its lookup spoke nonsense"),
        ("hangs", "sleep 30", "no answer within 500ms"),
    ] {
        let path = program(name, script);
        let mut bench = Bench::with_program(path.to_str().unwrap(), 500);
        assert_eq!(bench.look_up("h", false), Err(want.to_owned()), "{name}");
        std::fs::remove_file(path).unwrap();
    }
}

/// Also where it was gone, with the question unread, before anybody looked: the kernel tells of that first.
#[test]
fn a_lookup_that_cannot_begin_says_why() {
    let _one = alone();
    for wait in [0, 100] {
        let mut bench = Bench::with_program("/nonexistent/vipd", 500);
        bench.start(0, "h", false);
        bench.turn();
        std::thread::sleep(Duration::from_millis(wait));
        bench.until_told(1);
        assert_eq!(bench.of(0), Err("cannot look it up: No such file or directory".to_owned()), "{wait} ms");
    }
}

#[test]
fn a_lookup_killed_by_somebody_is_an_error() {
    let _one = alone();
    let path = program("killed", "sleep 30");
    let mut bench = Bench::with_program(path.to_str().unwrap(), 20_000);
    bench.start(0, "h", false);
    bench.turn();
    std::thread::sleep(Duration::from_millis(100));
    let pids = bench.lookups();
    let [pid] = &pids[..] else { panic!("one lookup, one process: {pids:?}") };
    // SAFETY: the group of a process that this test has started.
    unsafe { libc::kill(-pid.parse::<i32>().unwrap(), libc::SIGKILL) };
    bench.until_told(1);
    assert_eq!(bench.of(0), Err("its lookup ended unexpectedly".to_owned()));
    std::fs::remove_file(path).unwrap();
}

/// An answer to an old question is told with the old number, which changes nothing in the engine.
#[test]
fn a_newer_question_takes_the_place_of_an_older_one() {
    let _one = alone();
    in_house("10.1.2.3 web.lan\n", "", || {
        let mut bench = Bench::new();
        for serial in 1..=3 {
            let id = NameId { number: 5, serial };
            bench.resolver.start(id, &NameSpec { host: "web.lan", ipv6: Some(false) });
        }
        bench.until_told(1);
        assert_eq!(bench.told[0].0, NameId { number: 5, serial: 3 });
    });
}

#[test]
fn a_lookup_has_no_rights() {
    let _one = alone();
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a lookup another user");
        return;
    }
    in_house("", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n", || {
        let _server = name_server(|_, _, _| None);
        let mut bench = Bench::with_program(env!("CARGO_BIN_EXE_vipd"), 800);
        bench.start(0, "slow.example", false);
        bench.turn();
        std::thread::sleep(Duration::from_millis(400));
        let pids = bench.lookups();
        let [pid] = &pids[..] else { panic!("one lookup, one process: {pids:?}") };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("missing");
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        for (name, want) in [
            ("Uid:", "65534 65534 65534 65534"),
            ("Gid:", "65534 65534 65534 65534"),
            ("Groups:", ""),
            ("CapInh:", "0000000000000000"),
            ("CapPrm:", "0000000000000000"),
            ("CapEff:", "0000000000000000"),
            ("CapBnd:", "0000000000000000"),
            ("CapAmb:", "0000000000000000"),
            ("NoNewPrivs:", "1"),
        ] {
            assert_eq!(field(name), want, "law 6: {name} of a lookup");
        }
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(words, "vipd\0resolve\0", "the name is nobody's business");
        bench.until_told(1);
        assert_eq!(bench.of(0), Err("no answer within 800ms".to_owned()));
    });
}

#[test]
fn lookups_are_not_started_by_hand() {
    let _one = alone();
    let output = Command::new(env!("CARGO_BIN_EXE_vipd")).arg("resolve").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("never by hand"));
}
