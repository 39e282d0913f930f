//! What a confined process can still do: nothing but talk. Each deed is tried by a process that is not
//! confined, too, so that none fails for a reason of its own.

use super::*;
use core::sync::atomic::{AtomicI32, AtomicU16, Ordering::Relaxed};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, fork};
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// One deed: what it is, and whether it succeeds. Descriptor 0 is a socket; the parent is another process.
/// Plain system calls and nothing else: whoever does them was forked off a process with threads.
type Deed = (&'static str, fn() -> bool);

static LINGER: libc::linger = libc::linger { l_onoff: 1, l_linger: 100 };
/// Something in memory that the parent has, too, at the same place.
static SECRET: [u8; 8] = *b"a secret";
/// A listening port of this host, in network byte order.
static PORT: AtomicU16 = AtomicU16::new(0);
static PARENT: AtomicI32 = AtomicI32::new(0);
/// `/proc/PARENT/mem`, as a C string.
static MEMORY: Mutex<[u8; 32]> = Mutex::new([0; 32]);
/// One at a time.
static ONE: Mutex<()> = Mutex::new(());

const NONE: libc::c_long = 0;

/// A system call that gives no error.
macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {
        // SAFETY: a plain system call with pointers to what lives long enough, of a process that ends soon.
        unsafe { libc::syscall(libc::$number $(, $argument)*) >= 0 }
    };
}

fn parent() -> libc::c_long {
    libc::c_long::from(PARENT.load(Relaxed))
}

fn open(path: &core::ffi::CStr, flags: libc::c_int) -> bool {
    call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600)
}

/// Reads the parent's memory.
fn read_parent() -> bool {
    let mut bytes = [0_u8; 8];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: SECRET.as_ptr().cast_mut().cast(), iov_len: SECRET.len() };
    call!(SYS_process_vm_readv, parent(), &raw const local, 1 as libc::c_long, &raw const remote, 1, NONE)
        && bytes == SECRET
}

/// Opens the parent's memory as a file.
fn open_parent() -> bool {
    MEMORY.try_lock().is_ok_and(|path| {
        call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), libc::O_RDONLY as libc::c_long, NONE)
    })
}

/// Has a capability in any of its sets: by what the kernel says, or because it can have one.
fn has_capability() -> bool {
    let mut sets = [0_u32; 6];
    call!(SYS_capget, CAPABILITY_HEADER.as_ptr(), sets.as_mut_ptr()) && sets.iter().any(|set| *set != 0)
}

/// Takes all capabilities that there are.
fn take_capabilities() -> bool {
    // CAP_SYS_CHROOT is 18, CAP_SYS_PTRACE 19 (linux/capability.h).
    [1 << 18, 1 << 19].iter().any(|set| {
        let sets = [*set, *set, 0, 0, 0, 0];
        call!(SYS_capset, CAPABILITY_HEADER.as_ptr(), sets.as_ptr())
    })
}

/// Connects to a port of this host, with a socket of its own.
fn connect() -> bool {
    // SAFETY: as in `call`.
    unsafe {
        let socket = libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, NONE);
        let mut to: libc::sockaddr_in = core::mem::zeroed();
        to.sin_family = libc::AF_INET as _;
        to.sin_port = PORT.load(Relaxed);
        to.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        socket >= 0 && libc::syscall(libc::SYS_connect, socket, &raw const to, size_of_val(&to)) == 0
    }
}

fn map_code() -> bool {
    let (protection, flags) = (libc::PROT_EXEC | libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory.
    unsafe { libc::mmap(core::ptr::null_mut(), 4096, protection, flags, -1, 0) != libc::MAP_FAILED }
}

fn linger() -> bool {
    let len = size_of_val(&LINGER);
    call!(SYS_setsockopt, NONE, libc::SOL_SOCKET, libc::SO_LINGER, &raw const LINGER, len)
}

/// What rights, a root directory and a user forbid, with a filter or without.
const BY_RIGHTS: &[Deed] = &[
    ("open a file", || open(c"/etc/passwd", libc::O_RDONLY)),
    ("make a file", || open(c"/tmp/vipd-was-here", libc::O_CREAT | libc::O_WRONLY)),
    ("list processes", || open(c"/proc", libc::O_RDONLY | libc::O_DIRECTORY)),
    ("signal another process", || call!(SYS_kill, parent(), NONE)),
    ("read another's memory", read_parent),
    ("open another's memory", open_parent),
    ("use what it was not given", || (3..64 as libc::c_long).any(|fd| call!(SYS_fcntl, fd, libc::F_GETFD))),
    ("have a capability", has_capability),
    ("make a raw socket", || {
        call!(SYS_socket, libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP as libc::c_long)
    }),
    // It is let go when this process ends.
    ("trace another process", || call!(SYS_ptrace, libc::PTRACE_SEIZE as libc::c_long, parent(), NONE, NONE)),
    ("connect to this host", connect),
    ("change its root", || call!(SYS_chroot, c"/".as_ptr())),
    ("raise its limits", || {
        let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        call!(SYS_prlimit64, NONE, libc::RLIMIT_FSIZE as libc::c_long, &raw const limit, NONE)
    }),
    ("take capabilities", take_capabilities),
    ("become root again", || call!(SYS_setresuid, NONE, NONE, NONE) && call!(SYS_chroot, c"/".as_ptr())),
];

/// What the filter alone forbids.
const BY_FILTER: &[Deed] = &[
    ("make a socket", || call!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, NONE)),
    ("make a socket of its host", || call!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, NONE)),
    ("talk to the kernel", || call!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, NONE)),
    ("copy a descriptor", || call!(SYS_dup, NONE)),
    ("signal itself", || call!(SYS_kill, libc::getpid(), NONE)),
    ("unshare", || call!(SYS_unshare, NONE)),
    ("make memory for code", map_code),
    ("linger", linger),
    ("become dumpable", || call!(SYS_prctl, libc::PR_SET_DUMPABLE, NONE + 1, NONE, NONE, NONE)),
    ("outlive the loop", || call!(SYS_prctl, libc::PR_SET_PDEATHSIG, NONE, NONE, NONE, NONE)),
    ("list its directory", || open(c"/", libc::O_RDONLY | libc::O_DIRECTORY)),
    ("make a file of memory", || call!(SYS_memfd_create, c"x".as_ptr(), NONE)),
];

/// What a process that is not confined cannot undo: these are tried by confined ones only.
const FOR_EVER: &[Deed] = &[
    ("run a program", || call!(SYS_execve, c"/proc/self/exe".as_ptr(), NONE, NONE)),
    ("make a process", || {
        // SAFETY: a copy of this process ends at once.
        match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD as libc::c_long, NONE, NONE, NONE, NONE) }
        {
            // SAFETY: as said.
            0 => unsafe { libc::_exit(0) },
            pid => pid > 0,
        }
    }),
];

/// Which of `deeds` succeed, after `prepare`, in a process of its own, and the user that it was in the end.
fn done(deeds: &[Deed], prepare: impl FnOnce()) -> (Vec<&'static str>, String) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    done_to(std::process::id(), deeds, prepare)
}

/// As `done`, to another process than the parent.
fn done_to(whom: u32, deeds: &[Deed], prepare: impl FnOnce()) -> (Vec<&'static str>, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    PORT.store(listener.local_addr().unwrap().port().to_be(), Relaxed);
    PARENT.store(whom as i32, Relaxed);
    let memory = format!("/proc/{whom}/mem\0");
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)[..memory.len()].copy_from_slice(memory.as_bytes());
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (mut told, tells) = std::os::unix::net::UnixStream::pair().unwrap();
    let (socket_fd, tells_fd): (RawFd, RawFd) = (socket.as_raw_fd(), tells.as_raw_fd());
    // SAFETY: the child makes plain system calls.
    let child = match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // SAFETY: plain system calls; 0 and 1 are the ones that are kept.
            unsafe {
                libc::dup2(socket_fd, 0);
                libc::dup2(tells_fd, 1);
            }
            prepare();
            let mut done = 0_u64;
            for (at, (_, deed)) in deeds.iter().enumerate() {
                done |= u64::from(deed()) << at;
            }
            let bytes = done.to_ne_bytes();
            // SAFETY: the bytes are there; and the child ends without the harness's exit handlers.
            unsafe {
                libc::write(1, bytes.as_ptr().cast(), bytes.len());
                libc::_exit(0)
            }
        }
        ForkResult::Parent { child } => child,
    };
    drop(tells);
    // The filter lets it not ask for its user, but it can be seen of the zombie.
    waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap().to_owned();
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0), "it must come to its end");
    let mut bytes = [0; 8];
    told.read_exact(&mut bytes).unwrap();
    let _ = std::fs::remove_file("/tmp/vipd-was-here");
    let done = u64::from_ne_bytes(bytes);
    let names = deeds.iter().enumerate().filter(|(at, _)| done >> at & 1 == 1).map(|(_, (name, _))| *name);
    (names.collect(), user)
}

/// Without root, most is forbidden anyway.
fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: only root can do what a worker must not do, and become another user");
    }
    is_root
}

/// Takes seccomp away, as in a kernel without it: prctl(PR_SET_SECCOMP) gives EINVAL.
fn without_seccomp() {
    let step = |code: u32, k: u32, jf: u8| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let (load, equal, give) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let first =
        core::mem::offset_of!(libc::seccomp_data, args) + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut program = [
        step(load, core::mem::offset_of!(libc::seccomp_data, nr) as u32, 0),
        step(equal, libc::SYS_prctl as u32, 3),
        step(load, first as u32, 0),
        step(equal, libc::PR_SET_SECCOMP as u32, 1),
        step(give, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32, 0),
        step(give, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program lives until the call is over.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER as u64, &raw const filter, 0_u64, 0_u64);
    }
}

#[test]
fn a_confined_process_can_do_nothing_but_talk() {
    let deeds = [BY_RIGHTS, BY_FILTER, FOR_EVER].concat();
    let (can, _) = done(&deeds, || drop(confine()));
    assert!(can.is_empty(), "law 6: it can {can:?}");
}

/// Else the deeds would prove nothing.
#[test]
fn a_process_that_is_not_confined_can_do_all_of_it() {
    if !is_root() {
        return;
    }
    let deeds = [BY_RIGHTS, BY_FILTER].concat();
    let (can, _) = done(&deeds, || {});
    let cannot: Vec<_> = deeds.iter().map(|(name, _)| *name).filter(|name| !can.contains(name)).collect();
    assert!(cannot.is_empty(), "nothing forbids it to {cannot:?}");
}

/// Kernels without seccomp: the rest of the confinement holds, and says what it lacks.
#[test]
fn without_a_filter_rights_and_root_directory_still_hold() {
    if !is_root() {
        return;
    }
    let (can, user) = done(BY_RIGHTS, || {
        without_seccomp();
        let missing = confine();
        if missing != "system call filter (EINVAL)" {
            // SAFETY: ends the child; the parent sees that nothing was told.
            unsafe { libc::_exit(1) }
        }
    });
    assert!(can.is_empty(), "law 6: it can {can:?}");
    assert_eq!(user, "65534\t65534\t65534\t65534");
}

/// As in a container whose root has no CAP_SETPCAP.
#[test]
fn a_step_that_fails_does_not_keep_the_next_ones_from_being_taken() {
    if !is_root() {
        return;
    }
    let (can, user) = done(BY_RIGHTS, || {
        let mut sets = [0; 6];
        // SAFETY: both arrays are as long as the kernel wants them for this version.
        unsafe { libc::syscall(libc::SYS_capget, CAPABILITY_HEADER.as_ptr(), sets.as_mut_ptr()) };
        // CAP_SETPCAP is 8 (linux/capability.h).
        sets[0] &= !(1 << 8);
        sets[1] &= !(1 << 8);
        let result = set_capabilities(&sets);
        confine();
        if result.is_err() {
            // SAFETY: ends the child; the parent sees that nothing was told.
            unsafe { libc::_exit(1) }
        }
    });
    assert!(can.is_empty(), "law 6: it can {can:?}");
    assert_eq!(user, "65534\t65534\t65534\t65534", "law 6: it stays root, for lack of another right");
}

/// What a lookup's process has no business with either. It keeps files that everybody may read, and the
/// network, by design; the step that takes its user takes the rest.
#[test]
fn a_confined_lookup_sees_no_other_process_and_has_no_rights() {
    if !is_root() {
        return;
    }
    let keeps = ["open a file", "make a file", "list processes", "connect to this host"];
    let deeds: Vec<Deed> = BY_RIGHTS.iter().filter(|(name, _)| !keeps.contains(name)).copied().collect();
    let deeds = [&deeds[..], FOR_EVER_OF_LOOKUPS].concat();
    let (can, user) = done(&deeds, || {
        if confine_lookup().is_err() {
            // SAFETY: ends the child; the parent sees that nothing was told.
            unsafe { libc::_exit(1) }
        }
    });
    assert!(can.is_empty(), "law 6: it can {can:?}");
    assert_eq!(user, "65534\t65534\t65534\t65534");
}

/// The last one is forbidden by a limit.
const FOR_EVER_OF_LOOKUPS: &[Deed] = &[("write a file", || {
    let path = c"/tmp/vipd-was-here".as_ptr();
    // SAFETY: plain system calls, of a process that ends soon.
    unsafe {
        let flags = libc::c_long::from(libc::O_CREAT | libc::O_WRONLY);
        let file = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, 0o600);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        file >= 0 && libc::syscall(libc::SYS_write, file, path, 1 as libc::c_long) == 1
    }
})];

/// What a daemon that is not root has: its user, and the two capabilities of its trade.
fn become_user_with_rights() {
    // CAP_NET_ADMIN is 12, CAP_NET_RAW 13 (linux/capability.h).
    let rights = 1 << 12 | 1 << 13;
    let (uid, gid) = (Uid::from_raw(1000), Gid::from_raw(1000));
    // SAFETY: prctl with numbers only.
    let kept = unsafe { prctl(libc::PR_SET_KEEPCAPS, 1) };
    let changed = setresgid(gid, gid, gid).and_then(|()| setresuid(uid, uid, uid));
    let changed = changed.and_then(|()| set_capabilities(&[rights, rights, 0, 0, 0, 0]));
    // As exec leaves it, and a change of user does not.
    let changed = changed.and_then(|()| nix::sys::prctl::set_dumpable(true));
    if kept != 0 || changed.is_err() {
        // SAFETY: ends the child; the parent sees that nothing was told.
        unsafe { libc::_exit(1) }
    }
}

/// There is no change of user that would take the capabilities away.
#[test]
fn a_daemon_that_is_not_root_hands_no_capability_on() {
    if !is_root() {
        return;
    }
    let names = ["have a capability", "make a raw socket", "become root again"];
    let deeds: Vec<Deed> = BY_RIGHTS.iter().filter(|(name, _)| names.contains(name)).copied().collect();
    let (can, user) = done(&deeds, become_user_with_rights);
    assert_eq!(can, names[..2], "else it would prove nothing");
    assert_eq!(user, "1000\t1000\t1000\t1000");
    let (can, _) = done(&deeds, || {
        become_user_with_rights();
        without_seccomp();
        confine();
    });
    assert!(can.is_empty(), "law 6: a worker can {can:?}");
    let (can, _) = done(&deeds, || {
        become_user_with_rights();
        let _ = confine_lookup();
    });
    assert!(can.is_empty(), "law 6: a lookup can {can:?}");
}

/// A process that waits until it is ended; `prepare` is its beginning. And our end of a socket of which it
/// has the other one.
fn waiting(prepare: impl FnOnce()) -> (nix::unistd::Pid, std::os::unix::net::UnixStream) {
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (fd, our_fd) = (theirs.as_raw_fd(), ours.as_raw_fd());
    // SAFETY: the child makes plain system calls.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // SAFETY: plain system calls; 0 and 1 are what confinement leaves. The child never returns.
            unsafe {
                libc::dup2(fd, 0);
                libc::dup2(fd, 1);
                // Else it would keep itself waiting.
                libc::close(our_fd);
                prepare();
                libc::write(1, c"x".as_ptr().cast(), 1);
                let mut byte = 0_u8;
                libc::read(0, (&raw mut byte).cast(), 1);
                libc::_exit(0)
            }
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            ours.read_exact(&mut [0]).unwrap();
            (child, ours)
        }
    }
}

/// Workers are of one user. Without a filter that user alone would not keep one from reading the other, whose
/// conversation may be with another's servers.
#[test]
fn a_confined_process_cannot_look_into_another_one() {
    if !is_root() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let names = ["read another's memory", "open another's memory", "trace another process"];
    let deeds: Vec<Deed> = BY_RIGHTS.iter().filter(|(name, _)| names.contains(name)).copied().collect();
    for (begin, want) in [(nothing as fn(), "65534"), (become_user_with_rights, "1000")] {
        let confined = || {
            begin();
            without_seccomp();
            confine();
        };
        let (worker, end) = waiting(confined);
        let (can, user) = done_to(worker.as_raw() as u32, &deeds, confined);
        assert!(can.is_empty(), "law 6: it can {can:?}");
        assert_eq!(user, [want; 4].join("\t"), "they are of one user");
        drop(end);
        assert_eq!(waitpid(worker, None).unwrap(), WaitStatus::Exited(worker, 0));
    }
}

fn nothing() {}

/// Else it would prove nothing.
#[test]
fn processes_of_one_user_can_look_into_each_other() {
    if !is_root() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let names = ["read another's memory", "open another's memory", "trace another process"];
    let deeds: Vec<Deed> = BY_RIGHTS.iter().filter(|(name, _)| names.contains(name)).copied().collect();
    let become_user = || {
        become_user_with_rights();
        let _ = no_capabilities();
    };
    let (other, end) = waiting(become_user);
    let (can, _) = done_to(other.as_raw() as u32, &deeds, become_user);
    assert_eq!(can, names);
    drop(end);
    assert_eq!(waitpid(other, None).unwrap(), WaitStatus::Exited(other, 0));
}

/// The loop is killed, and has no time to end its workers.
#[test]
fn a_confined_process_does_not_outlive_its_parent() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The worker holds our end of the socket as well, so that only its death can end it.
    let (parent, mut end) = waiting(|| {
        // SAFETY: the copy makes plain system calls and never returns.
        let child = unsafe { libc::fork() };
        if child == 0 {
            confine();
            // SAFETY: the text has two bytes. It writes until it is ended, or nobody reads any more.
            unsafe {
                while libc::write(1, c"x".as_ptr().cast(), 1) == 1 {}
                libc::_exit(0)
            }
        }
    });
    end.read_exact(&mut [0; 10]).unwrap();
    // SAFETY: a process that this test has started.
    unsafe { libc::kill(parent.as_raw(), libc::SIGKILL) };
    waitpid(parent, None).unwrap();
    end.set_read_timeout(Some(core::time::Duration::from_secs(5))).unwrap();
    let start = std::time::Instant::now();
    let mut buffer = [0; 4096];
    while end.read(&mut buffer).expect("it is at work still") > 0 {
        assert!(start.elapsed() < core::time::Duration::from_secs(5), "law 6: it outlives the loop");
    }
}
