//! What the routers send, with the kernel's time of each frame.

use super::lan::{Namespace, enter};
use super::{Advert, Garp};
use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// One frame that a router sent.
#[derive(Debug, Clone)]
pub struct Frame {
    /// When the kernel saw it.
    pub at: Instant,
    /// Which router: `a` or `b`.
    pub from: char,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// As an advert.
    pub fn advert(&self) -> Option<Advert> {
        Advert::parse(&self.bytes)
    }

    /// As a gratuitous ARP or unsolicited neighbour advertisement.
    pub fn garp(&self) -> Option<Garp> {
        Garp::parse(&self.bytes)
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-{:.3}s {} ", self.at.elapsed().as_secs_f64(), self.from)?;
        if let Some(a) = self.advert() {
            write!(f, "v{} vrid {} prio {} from {}", a.version, a.vrid, a.priority, a.source)
        } else if let Some(g) = self.garp() {
            write!(f, "garp {}", g.address)
        } else {
            write!(f, "{} bytes", self.bytes.len())
        }
    }
}

/// A thread that keeps every VRRP and ARP frame and neighbour advertisement of the routers.
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    frames: Mutex<Vec<Frame>>,
    more: Condvar,
    stop: AtomicBool,
}

impl Capture {
    /// Listens on bridge ports (`pa` is router a's) to what comes in there, not to what goes out.
    pub fn start(wire: &Namespace, ports: &[&str]) -> Self {
        let sockets: Vec<(char, OwnedFd)> = wire.inside(|| {
            ports
                .iter()
                .map(|port| (port.chars().last().unwrap(), packet_socket(port, true).unwrap()))
                .collect()
        });
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || read_all(&sockets, &shared)
        });
        Capture { shared, thread: Some(thread) }
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Frame> {
        self.shared.frames.lock().unwrap().clone()
    }

    /// What matches, from `since` on.
    pub fn since<T>(&self, since: Instant, pick: impl Fn(&Frame) -> Option<T>) -> Vec<T> {
        let frames = self.shared.frames.lock().unwrap();
        frames.iter().filter(|f| f.at >= since).filter_map(pick).collect()
    }

    /// Times of the adverts of one router and VRID from `since` on.
    pub fn advert_times(&self, from: char, vrid: u8, since: Instant) -> Vec<Instant> {
        self.since(since, |f| (f.from == from && f.advert()?.vrid == vrid).then_some(f.at))
    }

    /// Gratuitous ARPs or unsolicited NAs of one router for an address from `since` on.
    pub fn garp_times(&self, from: char, address: &str, since: Instant) -> Vec<Instant> {
        let address: IpAddr = address.parse().unwrap();
        self.since(since, |f| (f.from == from && f.garp()?.address == address).then_some(f.at))
    }

    /// Waits for the first frame from `since` on that `pick` takes.
    #[track_caller]
    pub fn wait<T>(
        &self,
        what: &str,
        since: Instant,
        timeout: Duration,
        pick: impl Fn(&Frame) -> Option<T>,
    ) -> (Frame, T) {
        let end = Instant::now() + timeout;
        let mut frames = self.shared.frames.lock().unwrap();
        let mut seen = 0;
        loop {
            let found =
                frames[seen..].iter().filter(|f| f.at >= since).find_map(|f| Some((f.clone(), pick(f)?)));
            if let Some(found) = found {
                return found;
            }
            seen = frames.len();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(frames);
                panic!("not on the wire within {timeout:?}: {what}");
            }
            frames = self.shared.more.wait_timeout(frames, left).unwrap().0;
        }
    }

    /// Waits for an advert of this router, VRID and priority; gives its time and content.
    #[track_caller]
    pub fn advert(
        &self,
        from: char,
        vrid: u8,
        priority: u8,
        since: Instant,
        timeout: Duration,
    ) -> (Instant, Advert) {
        let what = format!("advert of router {from}, VRID {vrid}, priority {priority}");
        let (frame, advert) = self.wait(&what, since, timeout, |f| {
            f.advert().filter(|a| f.from == from && a.vrid == vrid && a.priority == priority)
        });
        (frame.at, advert)
    }

    /// Waits for a gratuitous ARP or unsolicited NA of this router for an address; gives its time.
    #[track_caller]
    pub fn garp(&self, from: char, address: &str, since: Instant, timeout: Duration) -> Instant {
        let wanted: IpAddr = address.parse().unwrap();
        let what = format!("gratuitous ARP of router {from} for {address}");
        self.wait(&what, since, timeout, |f| f.garp().filter(|g| f.from == from && g.address == wanted)).0.at
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A packet socket on an interface of the calling thread's namespace.
pub fn packet_socket(interface: &str, receive: bool) -> std::io::Result<OwnedFd> {
    let all = if receive { (libc::ETH_P_ALL as u16).to_be() } else { 0 };
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: plain system calls; every pointer is to a live value of the length that is given.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let set = |level: i32, option: i32, value: i32| {
            libc::setsockopt(fd, level, option, (&raw const value).cast(), size_of::<i32>() as _)
        };
        set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20);
        set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 4 << 20);
        set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
        if receive && set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let mut to: libc::sockaddr_ll = std::mem::zeroed();
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_protocol = all;
        to.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
        if libc::bind(fd, (&raw const to).cast(), size_of_val(&to) as u32) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(socket)
    }
}

fn read_all(sockets: &[(char, OwnedFd)], shared: &Shared) {
    let mut fds: Vec<libc::pollfd> = sockets
        .iter()
        .map(|(_, s)| libc::pollfd { fd: s.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    while !shared.stop.load(Ordering::Relaxed) {
        // SAFETY: the array is ours and as long as said.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as _, 50) };
        for (from, socket) in sockets {
            while let Some((at, bytes)) = receive(socket) {
                if is_wanted(&bytes) {
                    shared.frames.lock().unwrap().push(Frame { at, from: *from, bytes });
                    shared.more.notify_all();
                }
            }
        }
    }
}

/// VRRP over either family, ARP, and neighbour advertisements.
fn is_wanted(bytes: &[u8]) -> bool {
    match bytes.get(12..14) {
        Some([8, 0]) => bytes.get(23) == Some(&112),
        Some([8, 6]) => true,
        Some([0x86, 0xdd]) => match bytes.get(20) {
            Some(112) => true,
            Some(58) => bytes.get(54) == Some(&136),
            _ => false,
        },
        _ => false,
    }
}

fn receive(socket: &OwnedFd) -> Option<(Instant, Vec<u8>)> {
    let mut buffer = [0u8; 2048];
    let mut control = [0u64; 16];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the message points at live buffers of the lengths that are given; the kernel wrote what is read
    // back.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let n = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        let bytes = buffer.get(..usize::try_from(n).ok()?)?.to_vec();
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let mut at = Instant::now();
        if !header.is_null() && (*header).cmsg_type == libc::SCM_TIMESTAMPNS {
            let time: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(header).cast());
            let told = SystemTime::UNIX_EPOCH + Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
            let (now, wall) = both_clocks();
            at = now - wall.duration_since(told).unwrap_or_default();
        }
        Some((at, bytes))
    }
}

/// The same moment by both clocks. A thread that has to wait between two looks would date a frame before what
/// caused it: the closest of some looks counts, and the later end of it.
fn both_clocks() -> (Instant, SystemTime) {
    let look = || {
        let before = Instant::now();
        let wall = SystemTime::now();
        let after = Instant::now();
        (after - before, after, wall)
    };
    let mut closest = look();
    for _ in 0..16 {
        if closest.0 < Duration::from_micros(20) {
            break;
        }
        let next = look();
        if next.0 < closest.0 {
            closest = next;
        }
    }
    (closest.1, closest.2)
}
