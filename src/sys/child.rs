//! Helpers of the daemon's own: workers, lookups, the loader of modules. Each is started without waiting
//! for its program to be opened (law 1), as the leader of a process group of its own, with the daemon's
//! rights; what it writes is discarded.

use super::programs::Account;
use super::runner::spawn::{self, Exit, Plan, Words};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getgid, getuid};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// What is started, and with which words.
#[derive(Debug)]
pub(super) struct Program {
    path: CString,
    words: Words,
}

impl Program {
    /// `words`: from its name on. Words that cannot be given to a program make each start fail.
    pub(super) fn new<'w>(path: &str, words: impl Iterator<Item = &'w str>) -> Self {
        let mut program = Program { path: CString::new(path).unwrap_or_default(), words: Words::default() };
        let _ = program.words.fill(words);
        program
    }

    /// Starts it. `input`: its standard input, a pair on whose other end [`spawn::failure`] tells why it
    /// could not become its program; without one it is `/dev/null`, and its exit code is
    /// [`spawn::NOT_FOUND`] then.
    ///
    /// # Errors
    /// There is no child.
    pub(super) fn start(&self, input: Option<BorrowedFd<'_>>) -> Result<Child, Errno> {
        let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        let account = Account { uid: getuid(), gid: getgid(), home: c"HOME=/".to_owned() };
        let input = input.unwrap_or(null.as_fd());
        let plan = Plan {
            program: Some(&self.path),
            words: &self.words,
            account: &account,
            input,
            output: null.as_fd(),
            failures: input,
        };
        Ok(Child { pid: spawn::spawn(&plan)?, exit: None })
    }
}

/// One that was started. It is reaped by [`Child::exit`], and by nothing else.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    exit: Option<Exit>,
}

impl Child {
    /// Kills it and what it has started, unless it was seen to end.
    pub(super) fn kill(&self) {
        if self.exit.is_none() && spawn::exit(self.pid) != Some(Exit::Lost) {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }

    /// How it has ended, if it has. Never waits.
    pub(super) fn exit(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = spawn::exit(self.pid);
            if self.exit.is_some() {
                let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
            }
        }
        self.exit
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use nix::libc;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// A script that can be started as a program; its file is removed at the end.
    pub(in crate::sys) struct Script(pub(in crate::sys) PathBuf);

    impl Script {
        /// The file is written by a process of its own: were it open for writing here, the child of another
        /// test would keep it so for a moment, and it could not be started.
        pub(in crate::sys) fn new(name: &str, script: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vipd-{name}-{}", std::process::id()));
            let mut shell = Command::new("sh")
                .args(["-c", "umask 077; cat > \"$0\" && chmod 700 \"$0\""])
                .arg(&path)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            write!(shell.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
            assert!(shell.wait().unwrap().success());
            Script(path)
        }

        pub(in crate::sys) fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// A script on storage so slow that opening it takes `OPENING`: a lease on the file lets the kernel wait
    /// for its holder.
    pub(in crate::sys) fn assert_does_not_wait_for_storage(name: &str, start: impl FnOnce(&str)) {
        const OPENING: Duration = Duration::from_secs(3);
        /// Of `asm-generic/fcntl.h`; the same everywhere.
        const F_SETSIG: libc::c_int = 10;
        let script = Script::new(&format!("slow-storage-{name}"), "exit 0");
        let file = File::open(&script.0).unwrap();
        // SAFETY: numbers only. The holder is told by a signal that nobody minds.
        let held = unsafe {
            libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) == 0
                && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
        };
        assert!(held, "no lease on {}: {}", script.path(), Errno::last());
        let release = std::thread::spawn(move || {
            std::thread::sleep(OPENING);
            drop(file);
        });
        let before = Instant::now();
        start(script.path());
        let took = before.elapsed();
        release.join().unwrap();
        assert!(took < OPENING / 2, "law 1: the loop waited {took:?} for a program to be opened");
    }

    fn wait(child: &mut Child) -> Exit {
        for _ in 0..1000 {
            if let Some(exit) = child.exit() {
                return exit;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it was never seen to end: a zombie would stay");
    }

    #[test]
    fn law1_a_program_is_started_without_waiting_for_its_storage() {
        assert_does_not_wait_for_storage("child", |path| {
            Program::new(path, ["it"].into_iter()).start(None).unwrap();
        });
    }

    #[test]
    fn a_child_is_seen_to_end_once_and_for_all_and_is_killed_with_what_it_started() {
        let script = Script::new("child", "exit 3");
        let mut child = Program::new(script.path(), ["it"].into_iter()).start(None).unwrap();
        assert_eq!(wait(&mut child), Exit::Code(3));
        child.kill();
        assert_eq!(child.exit(), Some(Exit::Code(3)), "reaped, and still known");
        let mut child = Program::new("/nowhere/it", ["it"].into_iter()).start(None).unwrap();
        assert_eq!(wait(&mut child), Exit::Code(spawn::NOT_FOUND));
        assert_eq!(Program::new("/bin/true", core::iter::empty()).start(None).map(|_| ()), Ok(()));
        let script = Script::new("family", "sleep 60 & wait");
        let mut child = Program::new(script.path(), ["it"].into_iter()).start(None).unwrap();
        child.kill();
        assert_eq!(wait(&mut child), Exit::Signal(libc::SIGKILL));
    }
}
