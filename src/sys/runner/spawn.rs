//! From a list of words to a process of its own.
//!
//! By fork(2), not by vfork(2) or posix_spawn(3): those keep the loop until the kernel has opened the
//! program, which takes as long as its storage does, and as long as the scheduler lets the child wait behind
//! others, which real-time priority (`[realtime]`) would make worse, because children do not inherit it.

use crate::limits;
use crate::sys::programs::Account;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, Pid, chdir, fork, geteuid, getpid, setgroups, setpgid, setresgid, setresuid};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Where programs are looked for by a program.
const PATH: &CStr = c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Exit code of a child that could not become its program, as a shell has it.
pub(in crate::sys) const NOT_FOUND: i32 = 127;
/// Descriptors of a program: the daemon's own limit is far higher, and some programs close all below it.
const DESCRIPTORS: rlim_t = 1024;
/// The highest signal number that need be put back to its default.
const SIGNAL_MAX: libc::c_int = 64;

/// Words for execve(2); reused from run to run.
#[derive(Debug, Default)]
pub(in crate::sys) struct Words {
    bytes: Vec<u8>,
    pointers: Vec<*const libc::c_char>,
}

impl Words {
    /// Takes the words of a command line.
    ///
    /// # Errors
    /// EINVAL: there is none, or a NUL is in one. E2BIG: more than [`limits::ARGUMENTS_MAX`] bytes.
    pub(in crate::sys) fn fill<'w>(&mut self, words: impl Iterator<Item = &'w str>) -> Result<(), Errno> {
        self.bytes.clear();
        self.pointers.clear();
        for word in words {
            if word.as_bytes().contains(&0) {
                return Err(Errno::EINVAL);
            }
            self.bytes.extend_from_slice(word.as_bytes());
            self.bytes.push(0);
            if self.bytes.len() > limits::ARGUMENTS_MAX {
                return Err(Errno::E2BIG);
            }
        }
        if self.bytes.is_empty() {
            return Err(Errno::EINVAL);
        }
        let words = self.bytes.split_inclusive(|byte| *byte == 0);
        self.pointers.extend(words.map(|word| word.as_ptr().cast()));
        self.pointers.push(core::ptr::null());
        Ok(())
    }
}

/// What a child is made of.
pub(in crate::sys) struct Plan<'a> {
    /// Its file, where that is not the first word.
    pub(in crate::sys) program: Option<&'a CStr>,
    pub(in crate::sys) words: &'a Words,
    pub(in crate::sys) account: &'a Account,
    /// Standard input.
    pub(in crate::sys) input: BorrowedFd<'a>,
    /// Standard output and standard error.
    pub(in crate::sys) output: BorrowedFd<'a>,
    /// Gets the child's process id and an errno, 4 bytes each, where it could not become its program.
    pub(in crate::sys) failures: BorrowedFd<'a>,
}

/// Starts it, as the leader of a process group of its own.
///
/// # Errors
/// There is no child.
pub(in crate::sys) fn spawn(plan: &Plan<'_>) -> Result<Pid, Errno> {
    let parent = getpid();
    // SAFETY: the child makes system calls and nothing else; it allocates nothing and takes no lock.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let errno = become_program(plan, parent);
            tell(plan, errno);
            // SAFETY: ends the child without the exit handlers of the daemon.
            unsafe { libc::_exit(NOT_FOUND) }
        }
        ForkResult::Parent { child } => {
            // Both do it: whoever comes first, the group is there when a signal is sent to it. It is refused
            // where the child has done it and runs already.
            let _ = setpgid(child, child);
            Ok(child)
        }
    }
}

/// Comes back only with the reason why it could not be done.
fn become_program(plan: &Plan<'_>, parent: Pid) -> Errno {
    match prepare(plan, parent) {
        Ok(()) => {}
        Err(errno) => return errno,
    }
    let Some(first) = plan.words.pointers.first() else { return Errno::EINVAL };
    let program = plan.program.map_or(*first, CStr::as_ptr);
    let environment = [PATH.as_ptr(), plan.account.home.as_ptr(), core::ptr::null()];
    // SAFETY: all are strings with a NUL, the lists end with a null pointer, and all live in the child's copy
    // of the memory.
    unsafe { libc::execve(program, plan.words.pointers.as_ptr(), environment.as_ptr()) };
    Errno::last()
}

/// The order matters: groups need the rights of the user that is given up, and a change of user takes the
/// parent-death signal away.
fn prepare(plan: &Plan<'_>, parent: Pid) -> Result<(), Errno> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    for (from, to) in [(plan.input, 0), (plan.output, 1), (plan.output, 2)] {
        // SAFETY: three numbers; what was on 0 to 2 is the daemon's and stays open there.
        Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
    }
    // Everything of ours is CLOEXEC; this is for what the daemon itself was started with. Kernels before
    // 5.11 do not have it.
    // SAFETY: numbers only.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    // exec puts handlers back to the default, but not what is ignored (SIGPIPE, and more after nohup).
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: no handler is installed; numbers that cannot be changed are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS), hard);
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    chdir(c"/")?;
    let Account { uid, gid, .. } = *plan.account;
    if geteuid().is_root() {
        setgroups(&[])?;
    }
    // For somebody else's rights a daemon without root's is refused here; to keep its own it needs none.
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    if nix::unistd::getppid() != parent {
        // It died before it could have been told.
        return Err(Errno::ESRCH);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sys) enum Exit {
    Code(i32),
    Signal(i32),
    /// Somebody else has reaped it. How it ended nobody will ever know, and its number may be a stranger's.
    Lost,
}

/// Has a child ended, and how? It is not reaped by this.
pub(in crate::sys) fn exit(pid: Pid) -> Option<Exit> {
    // SAFETY: zeroes are a value of it.
    let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is ours. nix would not tell of signals that have no name.
    match Errno::result(unsafe { libc::waitid(libc::P_PID, pid.as_raw().cast_unsigned(), &mut info, flags) })
    {
        // SAFETY: the kernel has filled in the part that belongs to SIGCHLD, or nothing, which is 0.
        Ok(_) => match unsafe { (info.si_pid(), info.si_status()) } {
            (0, _) => None,
            (_, status) if info.si_code == libc::CLD_EXITED => Some(Exit::Code(status)),
            (_, status) => Some(Exit::Signal(status)),
        },
        Err(Errno::EINTR) => None,
        Err(_) => Some(Exit::Lost),
    }
}

/// Which child could not become its program, and why, where `message` says so.
pub(in crate::sys) fn failure(message: &[u8]) -> Option<(Pid, Errno)> {
    let [a, b, c, d, e, f, g, h] = *<&[u8; 8]>::try_from(message).ok()?;
    let errno = Errno::from_raw(i32::from_ne_bytes([e, f, g, h]));
    Some((Pid::from_raw(i32::from_ne_bytes([a, b, c, d])), errno))
}

fn tell(plan: &Plan<'_>, errno: Errno) {
    let [a, b, c, d] = getpid().as_raw().to_ne_bytes();
    let [e, f, g, h] = (errno as i32).to_ne_bytes();
    let message = [a, b, c, d, e, f, g, h];
    // SAFETY: the message and its own length. A pipe takes so little whole or not at all.
    unsafe { libc::write(plan.failures.as_raw_fd(), message.as_ptr().cast(), message.len()) };
}
