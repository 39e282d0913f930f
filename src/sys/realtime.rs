//! `[realtime]`: a place before others on the processor, and in the memory.
//!
//! Memory is locked in two steps. What is mapped when it is asked for (the program itself, its data, what the
//! heap holds) is read in and kept: no advert waits for flash. What comes later is kept once it is touched
//! (MCL_ONFAULT), and not before: a large mapping that is never used costs nothing, so that a router with
//! 32 MB keeps the rest of them.
//!
//! Children inherit neither: the policy is set with SCHED_RESET_ON_FORK, and locks end at a fork.

use crate::model::Realtime;
use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};

/// What is in force, as far as it was asked for.
#[derive(Debug, Default)]
pub struct Applied {
    wanted: Realtime,
}

impl Applied {
    /// Puts another setting in force. What is refused is one warning each, and the daemon goes on without.
    pub fn apply(&mut self, wanted: Realtime) {
        if wanted.priority != self.wanted.priority {
            match schedule(wanted.priority) {
                Ok(()) => {}
                Err(errno) => {
                    log::warn!("[realtime] priority: {} (needs CAP_SYS_NICE, or RLIMIT_RTPRIO)", errno.desc())
                }
            }
        }
        if wanted.lock_memory != self.wanted.lock_memory {
            match if wanted.lock_memory { lock() } else { munlockall() } {
                Ok(()) => {}
                Err(errno) => log::warn!(
                    "[realtime] lock_memory: {} (needs CAP_IPC_LOCK, or RLIMIT_MEMLOCK)",
                    errno.desc()
                ),
            }
        }
        self.wanted = wanted;
    }
}

/// SCHED_RR with this priority, or the usual policy. The system call itself: musl has none of its own.
fn schedule(priority: Option<u8>) -> Result<(), Errno> {
    let (policy, priority) = match priority {
        Some(priority) => (libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, libc::c_int::from(priority)),
        None => (libc::SCHED_OTHER, 0),
    };
    // `struct sched_param` of the kernel is one int.
    // SAFETY: the pointer is to `priority`, which lives until the call is over; 0 is this process.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    Errno::result(result).map(drop)
}

fn lock() -> Result<(), Errno> {
    mlockall(MlockAllFlags::MCL_CURRENT)?;
    // Kernels before 4.4 do not know it; what comes later stays unlocked there.
    let later = MlockAllFlags::MCL_FUTURE | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    match mlockall(later) {
        Err(Errno::EINVAL) => Ok(()),
        result => result,
    }
}
