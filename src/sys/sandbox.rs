//! Takes away from a worker what a conversation does not need (law 6).

use super::seccomp;
use crate::model::cut;
use crate::wire::job::ReportText;
use core::fmt::Write;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, chdir, chroot, setgroups, setresgid, setresuid};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;

/// The root directory of a worker, empty and not writable.
const EMPTY_ROOT: &str = "/run/vipd/empty";
/// `nobody` and `nogroup`, as the kernel has them (overflowuid); passwd is not read, it may not be there.
const NOBODY: u32 = 65534;
/// Bytes of address space: a page of the limit, ureq's buffers, and the binary many times over.
const ADDRESS_SPACE: u64 = 128 << 20;
/// Descriptors: 0 to 2, the socket of a conversation and its files, and one to spare.
const DESCRIPTORS: u64 = 3 + super::pair::PASSED_MAX as u64 + 1;

/// Confines this process, step by step; a step that fails does not keep the next ones from being taken.
/// What could not be done is told, empty when all is well.
///
/// The order matters: the root directory, the groups and the network need rights that are dropped after
/// them; a change of user takes the parent-death signal away; the filter forbids all of these.
pub(super) fn confine() -> ReportText {
    // No allocation: the limit on memory is among the steps.
    let mut missing = heapless::String::<256>::new();
    let mut step = |what: &str, result: nix::Result<()>| {
        if let Err(error) = result {
            let comma = if missing.is_empty() { "" } else { ", " };
            let _ = write!(missing, "{comma}{what} ({error:?})");
        }
    };
    close_descriptors();
    step("no_new_privs", nix::sys::prctl::set_no_new_privs());
    step("empty network", unshare(CloneFlags::CLONE_NEWNET));
    step("empty root", empty_root());
    step("limits", limits());
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    step("no rights to regain", empty_bounding_set());
    step("no groups", setgroups(&[]));
    step("own group", setresgid(gid, gid, gid));
    step("own user", setresuid(uid, uid, uid));
    step("no capabilities", no_capabilities());
    step("not dumpable", nix::sys::prctl::set_dumpable(false));
    step("parent-death signal", nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL));
    step("system call filter", seccomp::confine());
    cut(format_args!("{missing}"))
}

/// Confines this process for a lookup of a name: it keeps the network and the files that everybody may read,
/// and nothing else. What an unprivileged user was never given need not be taken away.
///
/// # Errors
/// It would talk to strangers with rights that it must not have.
pub(super) fn confine_lookup() -> Result<(), ReportText> {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    close_descriptors();
    let was_root = nix::unistd::geteuid().is_root();
    let mut done = nix::sys::prctl::set_no_new_privs().and_then(|()| lookup_limits());
    if was_root {
        let _ = empty_bounding_set();
        done = done.and_then(|()| setgroups(&[]));
        done = done.and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid));
    }
    done = done.and_then(|()| no_capabilities());
    done = done.and_then(|()| nix::sys::prctl::set_dumpable(false));
    done = done.and_then(|()| nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL));
    done.map_err(|error| cut(format_args!("cannot look it up without rights: {}", error.desc())))
}

fn lookup_limits() -> nix::Result<()> {
    for (resource, limit) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_NOFILE, 64),
        (Resource::RLIMIT_AS, ADDRESS_SPACE),
    ] {
        setrlimit(resource, limit as _, limit as _)?;
    }
    Ok(())
}

/// Everything above 2 is closed by exec already, unless somebody opened it without CLOEXEC.
fn close_descriptors() {
    // SAFETY: nothing in this process has opened a descriptor above 2 yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if result != 0 {
        // Kernels before 5.9.
        for fd in 3..1024 {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

fn empty_root() -> nix::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/vipd").and_then(|()| {
        match std::fs::DirBuilder::new().mode(0o555).create(EMPTY_ROOT) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    match made {
        Ok(()) => {}
        // Whoever may not make it may be allowed to use it.
        Err(_) if std::path::Path::new(EMPTY_ROOT).is_dir() => {}
        Err(error) => return Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    }
    chroot(EMPTY_ROOT)?;
    chdir("/")
}

fn limits() -> nix::Result<()> {
    for (resource, limit) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
        (Resource::RLIMIT_AS, ADDRESS_SPACE),
    ] {
        setrlimit(resource, limit as _, limit as _)?;
    }
    Ok(())
}

/// It can be cut only while CAP_SETPCAP is there, so before the change of user. The highest capability is
/// told by the first that is refused with EINVAL.
fn empty_bounding_set() -> nix::Result<()> {
    for capability in 0..64 {
        // SAFETY: prctl with numbers only.
        match Errno::result(unsafe { prctl(libc::PR_CAPBSET_DROP, capability) }) {
            Ok(_) => {}
            Err(Errno::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Drops what a change of user did not: it may have been refused, or not been one.
fn no_capabilities() -> nix::Result<()> {
    // SAFETY: prctl with numbers only. A kernel before 4.3 has no ambient set: EINVAL is no loss.
    let _ = unsafe { prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong) };
    set_capabilities(&[0; 6])
}

/// linux/capability.h: version 3, and the pid, 0 for this process.
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// Effective, permitted and inheritable ones, first their lower halves, then their upper ones.
fn set_capabilities(sets: &[u32; 6]) -> nix::Result<()> {
    // SAFETY: both arrays are as long as the kernel wants them for this version.
    let result = unsafe { libc::syscall(libc::SYS_capset, CAPABILITY_HEADER.as_ptr(), sets.as_ptr()) };
    Errno::result(result).map(drop)
}

/// prctl(2) with all its arguments: musl and the kernel look at each.
unsafe fn prctl(option: libc::c_int, argument: libc::c_ulong) -> libc::c_int {
    let zero: libc::c_ulong = 0;
    // SAFETY: the caller's.
    unsafe { libc::prctl(option, argument, zero, zero, zero) }
}

#[cfg(test)]
mod tests;
