//! How many processes of a program there are: told by the kernel's process connector where it is there (it
//! needs CONFIG_PROC_EVENTS and CAP_NET_ADMIN, and is told to nobody in a container), else looked up in
//! `/proc` every 2 s.
//!
//! Either way `/proc` is read in slices of a few processes a turn (law 1).
//!
//! A process is called what the kernel calls it (`comm`: the file name that was executed, be it a
//! script's) or as its executable file (`exe`; a process may rename itself). Both are read without a lock.
//! `cmdline` waits for the memory of the process, for ever where that is stuck in the kernel, so it is read
//! only of a process that is one of those wanted but for its arguments, or may be: whose `comm` is the file
//! name of the wanted path (which may be a link) or of a wanted argument (a script, whose first word is its
//! interpreter). A first word that somebody has made up (`exec -a`) makes no name.

use crate::engine::Event;
use crate::limits;
use crate::model::{Reason, Track, TrackKind, cut};
use crate::sys::poll::{Interest, PollSet};
use crate::time::{Duration, Instant};
use crate::wire::connector::{GROUP, LISTEN_LEN, ProcessEvent, emit_listen, parse};
use crate::wire::netlink::Messages;
use core::cell::OnceCell;
use nix::errno::Errno;
use std::fs::{File, ReadDir};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// From scan to scan, where nobody tells us.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// From scan to scan, where the kernel tells us: what we are told, we check (law 5).
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// From slice to slice of a scan.
const SLICE_INTERVAL: Duration = Duration::from_millis(2);
/// A change is told after so long: a process that starts a program is two of its own for a moment.
const SETTLE: Duration = Duration::from_millis(20);
/// The kernel answers at once or, in a container, never.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Datagrams of the kernel handled in one turn; the rest waits for the next turn.
const EVENTS_PER_TURN: usize = 256;
/// Bytes for the kernel's news that wait; more, and a scan finds out what was lost.
const RECEIVE_BUFFER: libc::c_int = 256 << 10;
/// Bytes of a command line that are read; arguments behind that are not compared.
const COMMAND_LINE_MAX: usize = 4096;
/// Bytes of `/proc/PID/stat` that are read: its second field ends far before that.
const STAT_MAX: usize = 256;
/// The kernel's own name of a process is cut to this (TASK_COMM_LEN less the NUL).
const COMM_MAX: usize = 15;

#[derive(Debug, Default)]
pub(super) struct Processes {
    watched: Vec<Watched>,
    found: Found,
    scan: Option<Scan>,
    scan_at: Option<Instant>,
    tell_at: Option<Instant>,
    connector: Option<Connector>,
    slot: Option<usize>,
    /// News were lost since the scan began.
    has_lost: bool,
    why_not: Option<Reason>,
}

#[derive(Debug)]
struct Watched {
    track: usize,
    process: String,
    arguments: Vec<String>,
    told: Option<Result<u32, Reason>>,
}

/// Which processes are which trackers': (process id, index in `watched`).
#[derive(Debug, Default)]
struct Found {
    list: Vec<(u32, usize)>,
    is_full: bool,
}

/// A walk through `/proc`.
#[derive(Debug)]
struct Scan {
    folder: ReadDir,
    found: Found,
    next_at: Instant,
}

#[derive(Debug)]
struct Connector {
    fd: OwnedFd,
    /// The kernel has said that it will tell us; until then it is waited for.
    answer: Result<(), Instant>,
}

impl Processes {
    pub(super) fn configure(&mut self, now: Instant, tracks: &[Track]) {
        self.watched.clear();
        for (track, kind) in tracks.iter().map(|track| &track.kind).enumerate() {
            if let TrackKind::Process { process, arguments, .. } = kind {
                let (process, arguments) = (process.clone(), arguments.clone());
                self.watched.push(Watched { track, process, arguments, told: None });
            }
        }
        self.found = Found::default();
        self.scan = None;
        self.tell_at = None;
        self.scan_at = (!self.watched.is_empty()).then_some(now);
        self.connector = match (self.connector.take(), self.watched.is_empty()) {
            (_, true) => None,
            (Some(connector), false) => Some(connector),
            (None, false) => {
                Connector::open(now).inspect_err(|errno| log::info!("{NO_NEWS}: {}", errno.desc())).ok()
            }
        };
    }

    pub(super) fn register(&mut self, set: &mut PollSet) {
        self.slot = self.connector.as_ref().map(|connector| set.add(connector.fd.as_fd(), Interest::Read));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let scan = match &self.scan {
            Some(scan) => Some(scan.next_at),
            None => self.scan_at,
        };
        let answer = self.connector.as_ref().and_then(|connector| connector.answer.err());
        [scan, self.tell_at, answer].into_iter().flatten().min()
    }

    pub(super) fn process(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        if self.slot.take().is_some_and(|slot| set.is_ready(slot)) {
            self.read_events(now);
        }
        if self.connector.as_ref().is_some_and(|c| c.answer.is_err_and(|until| until <= now)) {
            self.give_up_connector("no answer");
        }
        if self.scan.is_none() && self.scan_at.is_some_and(|at| at <= now) {
            self.begin_scan(now);
        }
        if self.scan.as_ref().is_some_and(|scan| scan.next_at <= now) {
            self.go_on(now);
        }
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell(sink);
        }
    }

    fn read_events(&mut self, now: Instant) {
        let mut buffer = [0; 1024];
        let mut looked = 0;
        for _ in 0..EVENTS_PER_TURN {
            if looked >= limits::PROCESSES_PER_TURN {
                return;
            }
            let Some(connector) = &self.connector else { return };
            match connector.receive(&mut buffer) {
                Ok(Some(datagram)) => {
                    for message in Messages::new(datagram).map_while(Result::ok) {
                        if let Some(event) = parse(message.payload) {
                            looked += self.handle(now, event);
                        }
                    }
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // A scan finds out what they were; one that has begun may have been there already.
                Err(Errno::ENOBUFS) if self.scan.is_none() => self.begin_scan(now),
                Err(Errno::ENOBUFS) => self.has_lost = true,
                Err(errno) => return self.give_up_connector(errno.desc()),
            }
        }
    }

    /// Gives how many processes it has looked at.
    fn handle(&mut self, now: Instant, event: ProcessEvent) -> usize {
        match event {
            ProcessEvent::Answer(0) => {
                if let Some(connector) = &mut self.connector {
                    connector.answer = Ok(());
                }
            }
            ProcessEvent::Answer(errno) => {
                self.give_up_connector(Errno::from_raw(errno.cast_signed()).desc());
            }
            ProcessEvent::Fork { parent, child } => self.change(now, |found, _| found.copy(parent, child)),
            ProcessEvent::Changed(pid) => {
                let looks = 1 + usize::from(self.scan.is_some());
                self.change(now, |found, watched| {
                    found.remove(pid);
                    found.look(pid, watched);
                });
                return looks;
            }
            ProcessEvent::Exit(pid) => self.change(now, |found, _| found.remove(pid)),
            ProcessEvent::Other => {}
        }
        0
    }

    /// Does the same to what is known and to what a scan has found so far.
    fn change(&mut self, now: Instant, what: impl Fn(&mut Found, &[Watched])) {
        let before = self.found.list.len();
        what(&mut self.found, &self.watched);
        if let Some(scan) = &mut self.scan {
            what(&mut scan.found, &self.watched);
        }
        // A process that changes its program may change nothing in number and all in kind.
        if before > 0 || !self.found.list.is_empty() {
            self.tell_at.get_or_insert(now + SETTLE);
        }
    }

    fn give_up_connector(&mut self, why: &str) {
        log::info!("{NO_NEWS}: {why}");
        self.connector = None;
    }

    fn begin_scan(&mut self, now: Instant) {
        self.scan_at = None;
        match std::fs::read_dir("/proc") {
            Ok(folder) => self.scan = Some(Scan { folder, found: Found::default(), next_at: now }),
            Err(error) => {
                self.why_not = Some(cut(format_args!("/proc cannot be read: {error}")));
                self.scan_at = Some(now + POLL_INTERVAL);
                self.tell_at = Some(now);
            }
        }
    }

    /// A slice of the scan.
    fn go_on(&mut self, now: Instant) {
        let Some(scan) = &mut self.scan else { return };
        scan.next_at = now + SLICE_INTERVAL;
        let mut looked = 0;
        while looked < limits::PROCESSES_PER_TURN {
            let Some(entry) = scan.folder.next() else {
                self.found = core::mem::take(&mut scan.found);
                self.scan = None;
                self.why_not = None;
                let is_told = self.connector.as_ref().is_some_and(|connector| connector.answer.is_ok());
                let has_lost = core::mem::take(&mut self.has_lost);
                self.scan_at = Some(now + if is_told && !has_lost { CHECK_INTERVAL } else { POLL_INTERVAL });
                self.tell_at = Some(now);
                return;
            };
            let name = entry.ok().map(|entry| entry.file_name());
            if let Some(pid) = name.and_then(|name| name.to_str()?.parse().ok()) {
                looked += 1;
                // The kernel may have told of it since the scan began.
                scan.found.remove(pid);
                scan.found.look(pid, &self.watched);
            }
        }
    }

    fn tell(&mut self, sink: &mut dyn FnMut(Event<'static>)) {
        self.tell_at = None;
        for (index, watched) in self.watched.iter_mut().enumerate() {
            let count = match (&self.why_not, self.found.is_full) {
                (Some(why), _) => Err(why.clone()),
                (None, true) => Err(cut(format_args!("more than {} processes fit", limits::PROCESSES_MAX))),
                (None, false) => Ok(self.found.list.iter().filter(|(_, of)| *of == index).count() as u32),
            };
            // What a first scan has not ended is not known.
            let is_known = self.scan.is_none() || watched.told.is_some();
            if is_known && watched.told.as_ref() != Some(&count) {
                watched.told = Some(count.clone());
                sink(Event::TrackedProcess { track: watched.track, count });
            }
        }
    }
}

const NO_NEWS: &str = "the kernel does not tell of processes, they are looked up every 2 s";

impl Found {
    fn remove(&mut self, pid: u32) {
        self.list.retain(|(other, _)| *other != pid);
    }

    fn add(&mut self, pid: u32, index: usize) {
        if self.list.len() < limits::PROCESSES_MAX {
            self.list.push((pid, index));
        } else {
            self.is_full = true;
        }
    }

    fn copy(&mut self, parent: u32, child: u32) {
        for at in 0..self.list.len() {
            if let Some((_, index)) = self.list.get(at).filter(|(pid, _)| *pid == parent).copied() {
                self.add(child, index);
            }
        }
    }

    /// Looks at one process; one that is gone meanwhile is nobody's.
    fn look(&mut self, pid: u32, watched: &[Watched]) {
        let mut stat = [0; STAT_MAX];
        let Some(comm) = read(pid, "stat", &mut stat).and_then(comm_of_living) else { return };
        let seen = Seen { pid, comm, exe: OnceCell::new(), line: OnceCell::new() };
        for (index, watched) in watched.iter().enumerate() {
            if watched.is(&seen) {
                self.add(pid, index);
            }
        }
    }
}

/// A process that is looked at. What is not asked for is not read.
struct Seen<'s> {
    pid: u32,
    /// The kernel's own name.
    comm: &'s [u8],
    exe: OnceCell<Vec<u8>>,
    line: OnceCell<Vec<u8>>,
}

impl Seen<'_> {
    /// The path of its executable file; empty for a thread of the kernel.
    fn exe(&self) -> &[u8] {
        let exe = self.exe.get_or_init(|| {
            let exe = std::fs::read_link(format!("/proc/{}/exe", self.pid)).unwrap_or_default();
            exe.into_os_string().into_encoded_bytes()
        });
        // An update puts another file in its place.
        exe.strip_suffix(b" (deleted)").unwrap_or(exe)
    }

    /// Its arguments, each ended by a NUL; empty for a thread of the kernel.
    fn line(&self) -> &[u8] {
        self.line.get_or_init(|| {
            let mut buffer = [0; COMMAND_LINE_MAX];
            read(self.pid, "cmdline", &mut buffer).unwrap_or_default().to_vec()
        })
    }

    fn is_called(&self, file: &[u8]) -> bool {
        self.comm == file.get(..COMM_MAX).unwrap_or(file)
    }
}

impl Watched {
    fn is(&self, seen: &Seen<'_>) -> bool {
        let wanted = self.process.as_bytes();
        let is_path = wanted.contains(&b'/');
        let is_it = if is_path {
            seen.exe() == wanted
        } else {
            seen.is_called(wanted) || file_name(seen.exe()) == wanted
        };
        if wanted.is_empty() || is_it && self.arguments.is_empty() {
            return is_it && !wanted.is_empty();
        }
        let mut names = core::iter::once(&self.process).chain(&self.arguments);
        if !is_it && !names.any(|name| seen.is_called(file_name(name.as_bytes()))) {
            return false;
        }
        let mut words = seen.line().split_inclusive(|byte| *byte == 0);
        let mut word = || words.next().map(|word| word.strip_suffix(&[0]).unwrap_or(word));
        let program = word().unwrap_or(&[]);
        let is_it = is_it || wanted == if is_path { program } else { file_name(program) };
        is_it && self.arguments.iter().all(|argument| word() == Some(argument.as_bytes()))
    }
}

/// The last part of a path.
fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The second field of `/proc/PID/stat`; `None` of a zombie, which is dead but for its parent.
fn comm_of_living(stat: &[u8]) -> Option<&[u8]> {
    let begin = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    match stat.get(end + 2)? {
        b'Z' | b'X' | b'x' => None,
        _ => stat.get(begin..end),
    }
}

/// Files of `/proc` give what they have at once.
fn read<'b>(pid: u32, file: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut path = heapless::String::<32>::new();
    core::fmt::Write::write_fmt(&mut path, format_args!("/proc/{pid}/{file}")).ok()?;
    let len = File::open(path.as_str()).and_then(|mut file| file.read(buffer)).ok()?;
    buffer.get(..len)
}

impl Connector {
    fn open(now: Instant) -> Result<Self, Errno> {
        let flags = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: numbers only; what comes back is ours alone.
        let fd = unsafe {
            let fd = Errno::result(libc::socket(libc::AF_NETLINK, flags, libc::NETLINK_CONNECTOR))?;
            OwnedFd::from_raw_fd(fd)
        };
        let _ =
            nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::RcvBuf, &(RECEIVE_BUFFER as usize));
        nix::sys::socket::bind(fd.as_raw_fd(), &nix::sys::socket::NetlinkAddr::new(0, GROUP))?;
        let mut request = [0; LISTEN_LEN];
        emit_listen(&mut request);
        nix::sys::socket::send(fd.as_raw_fd(), &request, nix::sys::socket::MsgFlags::MSG_DONTWAIT)?;
        Ok(Connector { fd, answer: Err(now + ANSWER_TIMEOUT) })
    }

    /// `None`: from somebody else than the kernel.
    fn receive<'b>(&self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Errno> {
        let from = nix::sys::socket::recvfrom::<nix::sys::socket::NetlinkAddr>(self.fd.as_raw_fd(), buffer);
        let (len, sender) = from?;
        Ok(buffer.get(..len).filter(|_| sender.is_some_and(|sender| sender.pid() == 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(process: &str, arguments: &[&str]) -> Watched {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Watched { track: 0, process: process.into(), arguments, told: None }
    }

    #[test]
    fn a_process_is_known_by_its_name_its_path_and_its_first_arguments() {
        let line = Some(&b"/usr/sbin/named\0-u\0bind\0"[..]);
        for (process, arguments, want) in [
            ("named", &[][..], true),
            ("/usr/sbin/named", &[], true),
            ("/sbin/named", &[], false),
            ("name", &[], false),
            ("named", &["-u"], true),
            ("named", &["-u", "bind"], true),
            ("named", &["-u", "bind", "-4"], false),
            ("named", &["bind"], false),
        ] {
            for (comm, exe) in [("named", ""), ("renamed", "/usr/sbin/named"), ("named", "/usr/sbin/named")] {
                let got = watched(process, arguments).is(&seen(comm, exe, line));
                assert_eq!(got, want, "{process} {arguments:?} {comm} {exe}");
            }
        }
        assert!(
            watched("/usr/sbin/named", &[]).is(&seen("named", "/usr/sbin/named (deleted)", None)),
            "updated"
        );
        let long = watched("a-very-long-program-name", &[]);
        assert!(long.is(&seen("a-very-long-pro", "", None)), "the kernel cuts it");
        assert!(
            !watched("", &[]).is(&seen("", "", None)) && !watched("", &[]).is(&seen("kthreadd", "", None))
        );
    }

    #[test]
    fn a_script_is_known_by_its_name_and_by_its_interpreter() {
        let line = Some(&b"/usr/bin/python3\0/opt/watcher.py\0"[..]);
        let script = |line| seen("watcher.py", "/usr/bin/python3.11", line);
        assert!(watched("watcher.py", &[]).is(&script(None)));
        assert!(watched("python3", &["/opt/watcher.py"]).is(&script(line)), "as ps(1) shows it");
        assert!(watched("/usr/bin/python3", &["/opt/watcher.py"]).is(&script(line)));
        assert!(!watched("python3", &["/opt/other.py"]).is(&script(line)));
    }

    #[test]
    fn command_lines_of_strangers_are_not_read() {
        for (process, arguments) in [("named", &[][..]), ("/usr/sbin/named", &[]), ("named", &["-u"])] {
            let stranger = seen("stuck", "/mnt/stuck", None);
            assert!(!watched(process, arguments).is(&stranger));
            assert!(stranger.line.get().is_none(), "law 1: it may be stuck, and the loop with it");
        }
        let known = seen("named", "/usr/sbin/named", None);
        assert!(watched("named", &[]).is(&known) && watched("/usr/sbin/named", &[]).is(&known));
        assert!(known.line.get().is_none(), "its name is enough");
    }

    /// With its command line at hand, or not read yet.
    fn seen<'s>(comm: &'s str, exe: &str, line: Option<&[u8]>) -> Seen<'s> {
        let line = line.map_or_else(OnceCell::new, |line| OnceCell::from(line.to_vec()));
        Seen { pid: u32::MAX, comm: comm.as_bytes(), exe: OnceCell::from(exe.as_bytes().to_vec()), line }
    }

    #[test]
    fn zombies_are_dead() {
        assert_eq!(comm_of_living(b"12 (a (b) c) S 1 1"), Some(&b"a (b) c"[..]));
        assert_eq!(comm_of_living(b"12 (named) Z 1 1"), None, "a crash nobody has reaped yet");
        for cut in [&b""[..], b"12", b"12 (na", b"12 (named)", b") ("] {
            assert_eq!(comm_of_living(cut), None);
        }
    }
}
