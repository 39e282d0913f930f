//! errno ↔ [`Refusal`]. The numbers differ between CPUs (MIPS), so they come from `libc` alone.

use crate::engine::Refusal;

/// What an errno means to the engine. Zero and negative numbers are no errno; they come as `Other`.
pub fn refusal(errno: i32) -> Refusal {
    match errno {
        // EADDRINUSE: a second macvlan with the same MAC on one parent (VMAC-4).
        libc::EEXIST | libc::EADDRINUSE => Refusal::Exists,
        libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL => Refusal::NotFound,
        libc::ENODEV | libc::ENXIO => Refusal::NoDevice,
        libc::ENETDOWN => Refusal::Down,
        libc::ENETUNREACH | libc::EHOSTUNREACH => Refusal::Unreachable,
        libc::EPERM | libc::EACCES => Refusal::NotPermitted,
        libc::EINVAL | libc::ERANGE | libc::EAFNOSUPPORT | libc::EOPNOTSUPP => Refusal::Invalid,
        libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN | libc::EBUSY => Refusal::Busy,
        // A dump that was cut short ends with it (B-84).
        libc::EINTR => Refusal::Interrupted,
        other => Refusal::Other(other),
    }
}

/// As [`refusal`], of an error of the standard library.
pub fn refusal_of(error: &std::io::Error) -> Refusal {
    error.raw_os_error().map_or(Refusal::Other(0), refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_of_the_catalogue_have_their_meaning() {
        for (errno, want) in [
            (libc::EEXIST, Refusal::Exists),
            (libc::EADDRINUSE, Refusal::Exists),
            (libc::ESRCH, Refusal::NotFound),
            (libc::EADDRNOTAVAIL, Refusal::NotFound),
            (libc::ENODEV, Refusal::NoDevice),
            (libc::ENETDOWN, Refusal::Down),
            (libc::ENETUNREACH, Refusal::Unreachable),
            (libc::EHOSTUNREACH, Refusal::Unreachable),
            // IPVS-45e.
            (libc::EPERM, Refusal::NotPermitted),
            // IPVS-43: a weight below 0, or thresholds the wrong way round.
            (libc::ERANGE, Refusal::Invalid),
            // IPVS-43a.
            (libc::EINVAL, Refusal::Invalid),
            // IPVS-43c, IPVS-45a: other numbers on MIPS.
            (libc::EAFNOSUPPORT, Refusal::Invalid),
            (libc::EOPNOTSUPP, Refusal::Invalid),
            (libc::ENOBUFS, Refusal::Busy),
            (libc::EWOULDBLOCK, Refusal::Busy),
            (libc::EINTR, Refusal::Interrupted),
            (libc::EMSGSIZE, Refusal::Other(libc::EMSGSIZE)),
        ] {
            assert_eq!(refusal(errno), want, "errno {errno} (B-93, IPVS-40..45)");
        }
        assert_eq!(refusal_of(&std::io::Error::from_raw_os_error(libc::EPERM)), Refusal::NotPermitted);
    }
}
