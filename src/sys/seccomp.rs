//! The system calls of a worker, as a classic BPF program (seccomp(2)).
//!
//! A conversation needs a dozen calls on descriptors that it has already. Everything else (open, socket,
//! connect, clone, execve, kill, ptrace, prctl, ...) gives EPERM, so that a forgotten call shows up as an
//! error in a log and not as a dead worker.

use core::mem::{offset_of, size_of};
use libc::{c_long, sock_filter};

/// Time calls with 64-bit seconds have the same number on every 32-bit architecture, counted from the
/// start of the architecture's table, and libc does not name them; close_range(2) is in the same part of
/// the table.
#[cfg(target_pointer_width = "32")]
const UNIFORM: c_long = libc::SYS_close_range - 436;

/// Calls of every architecture.
const ALLOWED: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    // libc has no name for it on MIPS with musl.
    #[cfg(not(all(target_env = "musl", target_arch = "mips")))]
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    libc::SYS_fcntl,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls of 32-bit architectures besides: clock_gettime64 is 403, futex_time64 is 422.
#[cfg(target_pointer_width = "32")]
const ALLOWED_TOO: &[c_long] = &[
    libc::SYS_fcntl64,
    libc::SYS_sigreturn,
    UNIFORM + 403,
    UNIFORM + 422,
    #[cfg(any(target_arch = "arm", target_arch = "mips", target_arch = "powerpc"))]
    libc::SYS_recv,
    #[cfg(any(target_arch = "arm", target_arch = "mips", target_arch = "powerpc"))]
    libc::SYS_send,
];
#[cfg(target_pointer_width = "64")]
const ALLOWED_TOO: &[c_long] = &[];

/// Memory for data is given, memory for code is not.
#[cfg(target_pointer_width = "32")]
const MAP: c_long = libc::SYS_mmap2;
#[cfg(target_pointer_width = "64")]
const MAP: c_long = libc::SYS_mmap;

/// AUDIT_ARCH_*, as linux/audit.h puts it together: ELF machine, and two bits for size and byte order.
/// `None`: nobody has tried this architecture, or (x86 with glibc) all socket calls are one, and it
/// cannot be let through.
const ARCHITECTURE: Option<u32> = {
    let machine = if cfg!(target_arch = "x86_64") {
        Some(libc::EM_X86_64)
    } else if cfg!(all(target_arch = "x86", target_env = "musl")) {
        Some(libc::EM_386)
    } else if cfg!(target_arch = "aarch64") {
        Some(libc::EM_AARCH64)
    } else if cfg!(target_arch = "arm") {
        Some(libc::EM_ARM)
    } else if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        Some(libc::EM_MIPS)
    } else if cfg!(target_arch = "riscv64") {
        Some(libc::EM_RISCV)
    } else {
        None
    };
    let wide = if cfg!(target_pointer_width = "64") { 0x8000_0000 } else { 0 };
    let little = if cfg!(target_endian = "little") { 0x4000_0000 } else { 0 };
    match machine {
        Some(machine) => Some(machine as u32 | wide | little),
        None => None,
    }
};

/// Confines this process for ever. no_new_privs must be set.
///
/// # Errors
/// EINVAL where the kernel has no seccomp filters, ENOSYS where we have none for this architecture.
pub(super) fn confine() -> nix::Result<()> {
    let architecture = ARCHITECTURE.ok_or(nix::Error::ENOSYS)?;
    let mut program = program(architecture).map_err(|_| nix::Error::E2BIG)?;
    let len = u16::try_from(program.len()).map_err(|_| nix::Error::EINVAL)?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: the program lives until the call is over; the kernel copies and checks it.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER as libc::c_ulong,
            &raw const filter,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    };
    nix::Error::result(result).map(drop)
}

/// Instructions at most: two for each call, and a dozen around them.
type Program = heapless::Vec<sock_filter, 96>;

fn program(architecture: u32) -> Result<Program, heapless::CapacityError> {
    let refuse = ret(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let allow = ret(libc::SECCOMP_RET_ALLOW);
    let mut program = Program::new();
    program.extend_from_slice(&[
        load(offset_of!(libc::seccomp_data, arch)),
        skip_unless(libc::BPF_JEQ, architecture, 1),
        skip(1),
        ret(libc::SECCOMP_RET_KILL_PROCESS),
        load(offset_of!(libc::seccomp_data, nr)),
    ])?;
    for call in ALLOWED.iter().chain(ALLOWED_TOO) {
        program.extend_from_slice(&[skip_unless(libc::BPF_JEQ, *call as u32, 1), allow])?;
    }
    // The low half of the third argument: mmap's protection, setsockopt's option.
    let low_half = if cfg!(target_endian = "big") { 4 } else { 0 };
    let third = offset_of!(libc::seccomp_data, args) + 2 * size_of::<u64>() + low_half;
    for (call, test, unwanted) in [
        (MAP, libc::BPF_JSET, libc::PROT_EXEC),
        // The loop may be the last to close a conversation's socket, and a close that lingers waits.
        (libc::SYS_setsockopt, libc::BPF_JEQ, libc::SO_LINGER),
    ] {
        program.extend_from_slice(&[
            skip_unless(libc::BPF_JEQ, call as u32, 4),
            load(third),
            skip_unless(test, unwanted as u32, 1),
            refuse,
            allow,
        ])?;
    }
    program.extend_from_slice(&[refuse])?;
    Ok(program)
}

fn load(offset: usize) -> sock_filter {
    sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: offset as u32 }
}

/// Runs the next instruction if the test holds, else goes `count` further.
fn skip_unless(test: u32, k: u32, count: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | test | libc::BPF_K) as u16, jt: 0, jf: count, k }
}

fn skip(count: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JA) as u16, jt: 0, jf: 0, k: count }
}

fn ret(value: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: value }
}
