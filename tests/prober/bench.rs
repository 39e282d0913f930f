//! A loop with nothing in it but a prober, and servers to probe.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vipd::engine::{Event, Letter, Outcome, ProbeId, ProbeSpec};
use vipd::model::{CheckKind, HttpCheck, HttpPage, Mail, MailServer, Reason, StatusRange};
use vipd::sys::poll::PollSet;
use vipd::sys::prober::Prober;
use vipd::time as vt;

/// No wait in a test is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One bench at a time: workers are told apart by being this process's children.
static ONE: Mutex<()> = Mutex::new(());

pub(crate) struct Bench {
    prober: Prober,
    set: PollSet,
    start: Instant,
    jumped: vt::Duration,
    serial: u32,
    ids: Vec<(u32, u32)>,
    ended: Vec<(u32, Outcome, Duration)>,
    pub(crate) mails: Vec<(u32, Result<(), Reason>)>,
    others: Vec<nix::unistd::Pid>,
    _one: MutexGuard<'static, ()>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_program(env!("CARGO_BIN_EXE_vipd"))
    }

    pub(crate) fn with_program(path: &str) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Bench {
            prober: Prober::with_program(path, "worker"),
            set: PollSet::new(),
            start: Instant::now(),
            jumped: vt::Duration::from_secs(1000),
            serial: 0,
            ids: Vec::new(),
            ended: Vec::new(),
            mails: Vec::new(),
            others: children(),
            _one: one,
        }
    }

    fn now(&self) -> vt::Instant {
        vt::Instant::from_micros(self.start.elapsed().as_micros() as i64) + self.jumped
    }

    /// Lets time pass that nobody has to wait for.
    pub(crate) fn jump(&mut self, millis: u64) {
        self.jumped += vt::Duration::from_millis(millis);
    }

    pub(crate) fn start(
        &mut self,
        checker: u32,
        address: SocketAddr,
        kind: &CheckKind,
        millis: u64,
        was_up: bool,
    ) {
        let timeout = vt::Duration::from_millis(millis);
        let spec = ProbeSpec {
            address,
            kind,
            timeout,
            was_up,
            source: None,
            source_port: 0,
            interface: None,
            mark: 0,
        };
        self.start_spec(checker, &spec);
    }

    pub(crate) fn start_spec(&mut self, checker: u32, spec: &ProbeSpec<'_>) {
        self.serial += 1;
        let id = ProbeId { checker, serial: self.serial };
        self.ids.retain(|(other, _)| *other != checker);
        self.ids.push((checker, self.serial));
        self.prober.start(self.now(), id, spec, "gw a");
    }

    /// What has happened so far in the probes that somebody asked for, with its time.
    pub(crate) fn steps(&mut self) -> Vec<(vt::Instant, String)> {
        core::iter::from_fn(|| self.prober.take_step()).map(|(at, _, what)| (at, what.to_string())).collect()
    }

    /// Starts a probe of which nobody can say what it is.
    pub(crate) fn refuse(&mut self, checker: u32) {
        self.serial += 1;
        self.ids.retain(|(other, _)| *other != checker);
        self.ids.push((checker, self.serial));
        self.prober.refuse(self.now(), ProbeId { checker, serial: self.serial });
    }

    pub(crate) fn stop(&mut self, checker: u32) {
        let (_, serial) = *self.ids.iter().find(|(other, _)| *other == checker).unwrap();
        self.prober.stop(self.now(), ProbeId { checker, serial });
    }

    pub(crate) fn send_mail(&mut self, letter: &Letter, mail: &Mail, router_name: &str) {
        let MailServer::Ip(to) = mail.server else { panic!("{} is a name", mail.server) };
        self.prober.send_mail(self.now(), letter, mail, to, router_name);
    }

    /// One turn of the loop, waiting at most 50 ms.
    pub(crate) fn turn(&mut self) {
        self.set.clear();
        self.prober.register(&mut self.set);
        let now = self.now();
        let most = vt::Duration::from_millis(50);
        let wait = self
            .prober
            .next_deadline()
            .map_or(most, |at| if at <= now { vt::Duration::ZERO } else { (at - now).min(most) });
        self.set.wait(Some(wait)).unwrap();
        let now = self.now();
        let (ended, mails) = (&mut self.ended, &mut self.mails);
        self.prober.process(now, &self.set, &mut |event| match event {
            Event::Probe { id, outcome, took } => {
                ended.push((id.checker, outcome, Duration::from_micros(took.total_micros())));
            }
            Event::Mail { id, result } => mails.push((id, result)),
            other => panic!("{other:?} is none of a prober's events"),
        });
    }

    pub(crate) fn run_for(&mut self, millis: u64) {
        let end = Instant::now() + Duration::from_millis(millis);
        while Instant::now() < end {
            self.turn();
        }
    }

    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "nothing came in time; so far: {:?}", self.ended);
            self.turn();
        }
    }

    pub(crate) fn until_ended(&mut self, count: usize) {
        self.until(|bench| bench.ended.len() >= count);
        assert_eq!(self.ended.len(), count, "one outcome for each probe: {:?}", self.ended);
    }

    pub(crate) fn outcomes(&self, checker: u32) -> Vec<Outcome> {
        self.ended.iter().filter(|(c, ..)| *c == checker).map(|(_, outcome, _)| outcome.clone()).collect()
    }

    pub(crate) fn count(&self, checker: u32) -> usize {
        self.outcomes(checker).len()
    }

    pub(crate) fn outcome(&self, checker: u32) -> Outcome {
        self.outcomes(checker).pop().unwrap()
    }

    pub(crate) fn took(&self, checker: u32) -> Duration {
        self.ended.iter().rfind(|(c, ..)| *c == checker).unwrap().2
    }

    #[track_caller]
    pub(crate) fn assert_passed(&self, checker: u32) {
        assert_eq!(self.outcome(checker), Outcome::Passed, "of {checker}");
    }

    #[track_caller]
    pub(crate) fn assert_failed(&self, checker: u32, why: &str) {
        assert_eq!(self.outcome(checker), Outcome::Failed(why.try_into().unwrap()), "of {checker}");
    }

    /// The worker processes, zombies included.
    pub(crate) fn workers(&self) -> Vec<nix::unistd::Pid> {
        children().into_iter().filter(|pid| !self.others.contains(pid)).collect()
    }
}

fn children() -> Vec<nix::unistd::Pid> {
    let us = std::process::id().to_string();
    let mut children: Vec<i32> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1).map(str::to_string));
            parent.as_ref() == Some(&us)
        })
        .collect();
    children.sort_unstable();
    children.into_iter().map(nix::unistd::Pid::from_raw).collect()
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A server that gives each connection to `serve`, in a thread of its own.
pub(crate) fn server(serve: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = std::sync::Arc::new(serve);
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let serve = serve.clone();
            thread::spawn(move || serve(&mut stream));
        }
    });
    address
}

/// How many have asked, and how many may be answered.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    pub(crate) asked: Arc<AtomicUsize>,
    pub(crate) allowed: Arc<AtomicUsize>,
}

/// A server that begins to answer once it may, and never ends.
pub(crate) fn gated() -> (SocketAddr, Gate) {
    let gate = Gate::default();
    let Gate { asked, allowed } = gate.clone();
    let address = server(move |stream| {
        read_request(stream);
        let number = asked.fetch_add(1, Ordering::SeqCst);
        while allowed.load(Ordering::SeqCst) <= number {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (address, gate)
}

pub(crate) fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        request.push(byte[0]);
    }
    String::from_utf8_lossy(&request).into_owned()
}

pub(crate) fn tcp() -> CheckKind {
    CheckKind::Tcp
}

/// `/`, wanting 200.
pub(crate) fn http() -> CheckKind {
    pages(&["/"])
}

/// Some pages, each wanting 200.
pub(crate) fn pages(paths: &[&str]) -> CheckKind {
    let status = || vec![StatusRange { first: 200, last: 200 }];
    let pages = paths.iter().map(|path| HttpPage { status: status(), ..HttpPage::new(path) }).collect();
    CheckKind::Http(Box::new(HttpCheck { pages, ..HttpCheck::new(HttpPage::new("/")) }))
}
