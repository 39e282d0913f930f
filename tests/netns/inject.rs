//! Frames from the client, one by one or in floods.

use super::capture::packet_socket;
use super::lan::Namespace;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Sends whole Ethernet frames out of the client's `eth0`.
pub struct Injector {
    socket: OwnedFd,
}

impl Injector {
    /// One in this namespace.
    pub fn new(namespace: &Namespace) -> Self {
        Injector { socket: namespace.inside(|| packet_socket("eth0", false).unwrap()) }
    }

    /// One frame.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the frame is as long as said.
        let n = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(n, frame.len() as isize, "send: {}", std::io::Error::last_os_error());
    }

    /// `frames` in turn, evenly, `per_second` of them, for as long as `duration`; gives how many were sent.
    pub fn flood(&self, frames: &[Vec<u8>], per_second: u32, duration: Duration) -> u64 {
        let start = Instant::now();
        let step = Duration::from_micros(1_000_000 / u64::from(per_second).min(1000));
        let mut sent = 0u64;
        while start.elapsed() < duration {
            let due = (start.elapsed().as_secs_f64() * f64::from(per_second)) as u64 + 1;
            while sent < due {
                let batch = (due - sent).min(64) as usize;
                sent += self.send_batch(frames, sent as usize, batch) as u64;
            }
            std::thread::sleep(step);
        }
        sent
    }

    fn send_batch(&self, frames: &[Vec<u8>], first: usize, count: usize) -> usize {
        let frame = |i: usize| &frames[(first + i) % frames.len()];
        let mut parts: Vec<libc::iovec> = (0..count)
            .map(|i| libc::iovec { iov_base: frame(i).as_ptr().cast_mut().cast(), iov_len: frame(i).len() })
            .collect();
        // SAFETY: each message points at one part, each part at one frame, all alive; sendmmsg only reads
        // them.
        unsafe {
            let mut messages: Vec<libc::mmsghdr> = parts
                .iter_mut()
                .map(|part| {
                    let mut m: libc::mmsghdr = std::mem::zeroed();
                    m.msg_hdr.msg_iov = part;
                    m.msg_hdr.msg_iovlen = 1;
                    m
                })
                .collect();
            let n = libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), count as u32, 0);
            assert!(n > 0, "sendmmsg: {}", std::io::Error::last_os_error());
            n as usize
        }
    }
}
