//! The `SOCK_SEQPACKET` pair between the loop and a worker: datagrams, and beside a job the connected socket
//! and the files that it names.

use crate::wire::job::FILES_MAX;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Descriptors beside a job at most: its socket, and its files.
pub(super) const PASSED_MAX: usize = 1 + FILES_MAX;

/// Descriptors that came.
pub(super) type Passed = heapless::Vec<OwnedFd, PASSED_MAX>;

/// Room for the control message of `PASSED_MAX` descriptors, aligned as the kernel wants it; more is cut by
/// the kernel, which closes what it cuts.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// The loop's end and the worker's.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub(super) fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends one datagram without waiting, and `passed` with it, `PASSED_MAX` at most.
///
/// # Errors
/// As sendmsg(2); EPIPE where the other end is gone.
pub(super) fn send(to: BorrowedFd<'_>, bytes: &[u8], passed: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: heapless::Vec<RawFd, PASSED_MAX> =
        passed.iter().map(|fd| fd.as_raw_fd()).take(PASSED_MAX).collect();
    let mut control = Control([0; 64]);
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zeros are a msghdr without anything in it (musl pads the struct, so it cannot be
    // written out).
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        let len = size_of_val(fds.as_slice()) as u32;
        // SAFETY: the control buffer is aligned and larger than the space for `PASSED_MAX` descriptors, so
        // the first header is there, and its data are the bytes written.
        unsafe {
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(len) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as _;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (at, fd) in fds.iter().enumerate() {
                data.add(at).write_unaligned(*fd);
            }
        }
    }
    // SAFETY: everything that `message` points to lives until the call is over.
    let sent =
        unsafe { libc::sendmsg(to.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives one datagram and the descriptors that came with it. 0 bytes: the other end is gone.
///
/// # Errors
/// As recvmsg(2), EINTR left out; `InvalidData` where the datagram is longer than `buffer`.
pub(super) fn receive(
    from: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, Passed)> {
    let mut control = Control([0; 64]);
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: as in `send`.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    let len = loop {
        // SAFETY: everything that `message` points to lives until the call is over.
        let len =
            unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, flags | libc::MSG_CMSG_CLOEXEC) };
        let error = io::Error::last_os_error();
        match usize::try_from(len) {
            Ok(len) => break len,
            Err(_) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(error),
        }
    };
    let passed = passed(&message);
    if message.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((len, passed))
}

/// The descriptors of a received message, `PASSED_MAX` at most; any other is closed.
#[allow(clippy::unnecessary_cast, reason = "lengths of control messages are u32 with musl")]
fn passed(message: &libc::msghdr) -> Passed {
    let mut passed = Passed::new();
    // SAFETY: the kernel wrote the headers and their lengths into the buffer of `receive`, which still
    // lives; a descriptor that it names is new and nobody else's.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(control) = header.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SCM_RIGHTS {
                let bytes = (control.cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for i in 0..bytes / size_of::<RawFd>() {
                    drop(passed.push(OwnedFd::from_raw_fd(data.add(i).read_unaligned())));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_datagram_arrives_whole_with_its_descriptors() {
        let (ours, theirs) = pair().unwrap();
        let (pairs, kept): (Vec<_>, Vec<_>) = (0..PASSED_MAX + 1).map(|_| pair().unwrap()).unzip();
        let fds: Vec<_> = pairs.iter().map(AsFd::as_fd).collect();
        send(ours.as_fd(), b"job", &fds).unwrap();
        drop(pairs);
        let mut buffer = [0; 8];
        let (len, got) = receive(theirs.as_fd(), &mut buffer, 0).unwrap();
        assert_eq!(&buffer[..len], b"job", "the job is the datagram");
        assert_eq!(got.len(), PASSED_MAX, "law 8");
        for (n, (got, kept)) in got.iter().zip(&kept).enumerate() {
            send(kept.as_fd(), &[n as u8], &[]).unwrap();
            assert_eq!(receive(got.as_fd(), &mut buffer, 0).unwrap().0, 1);
            assert_eq!(usize::from(buffer[0]), n, "a key would be taken for a certificate");
        }
        send(ours.as_fd(), b"without", &[]).unwrap();
        assert!(receive(theirs.as_fd(), &mut buffer, 0).unwrap().1.is_empty(), "a socket out of nowhere");
    }

    #[test]
    fn a_long_datagram_and_an_end_are_told() {
        let (ours, theirs) = pair().unwrap();
        send(ours.as_fd(), &[1; 9], &[]).unwrap();
        let mut buffer = [0; 8];
        let error = receive(theirs.as_fd(), &mut buffer, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "half a job would be done");
        drop(ours);
        assert_eq!(receive(theirs.as_fd(), &mut buffer, 0).unwrap().0, 0, "a worker must see the end");
        let error = send(theirs.as_fd(), b"x", &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "and not die of a signal");
    }
}
