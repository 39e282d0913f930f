//! What a packet socket sees, with the kernel's own times: adverts on a cable, netlink messages on a monitor.

use crate::net::Host;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A packet: when the kernel had it, since its clock's epoch, and its bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    pub at: Duration,
    /// Ethernet's type of a cable's packet, netlink's protocol of a monitor's.
    pub protocol: u16,
    pub bytes: Vec<u8>,
}

/// Listens in the background.
pub struct Listener {
    stop: Arc<AtomicBool>,
    packets: Arc<Mutex<Vec<Packet>>>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// On an interface of a host, from now on; keeps at most 128 bytes of a packet of a cable, and all of a
    /// netlink message up to 64 kB.
    pub fn start(host: &Host, interface: &str) -> Listener {
        let (stop, packets) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (ended, list, interface) = (stop.clone(), packets.clone(), interface.to_string());
        let socket = host.run(|| socket(&interface)).unwrap_or_else(|error| panic!("{interface}: {error}"));
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            while !ended.load(Ordering::SeqCst) {
                while let Some(packet) = receive(&socket, &mut bytes) {
                    list.lock().unwrap().push(packet);
                }
            }
        });
        Listener { stop, packets, thread }
    }

    /// Ends it; what it saw.
    pub fn end(self) -> Vec<Packet> {
        // What was sent a moment ago.
        std::thread::sleep(Duration::from_millis(50));
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.join();
        std::mem::take(&mut self.packets.lock().unwrap())
    }
}

/// How late adverts were: what each pair of neighbours of one sender is apart, less the interval; the worst.
pub fn worst_lateness(packets: &[Packet], interval: Duration) -> Option<(Duration, usize)> {
    // Ethernet, IPv4 with protocol 112, no options.
    let is_advert =
        |packet: &&Packet| packet.bytes.get(12..14) == Some(&[8, 0]) && packet.bytes.get(23) == Some(&112);
    let times: Vec<Duration> = packets.iter().filter(is_advert).map(|packet| packet.at).collect();
    let worst = times.windows(2).map(|pair| (pair[1] - pair[0]).saturating_sub(interval)).max();
    worst.map(|worst| (worst, times.len()))
}

/// Netlink messages that were sent to the kernel's IPVS: their commands.
pub fn ipvs_commands(packets: &[Packet]) -> Vec<u8> {
    // <linux/netlink.h>: what goes to the kernel is a request. The kind of packet, which the kernel sets to
    // say so (PACKET_KERNEL), is overwritten on the way to a packet socket: each is "outgoing" there.
    const NLM_F_REQUEST: u16 = 1;
    let mut commands = Vec::new();
    let generic = |packet: &&Packet| i32::from(packet.protocol) == libc::NETLINK_GENERIC;
    for packet in packets.iter().filter(generic) {
        let mut rest = packet.bytes.as_slice();
        // nlmsghdr: length, type, flags, sequence, port; then the generic header: command, version.
        while let Some(head) = rest.get(..20) {
            let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let kind = u16::from_ne_bytes([head[4], head[5]]);
            // Below 0x11 is netlink's own, and the controller that names families; others are not asked here.
            let is_request = u16::from_ne_bytes([head[6], head[7]]) & NLM_F_REQUEST != 0;
            if kind > 0x10 && is_request {
                commands.push(head[16]);
            }
            let aligned = length.next_multiple_of(4).max(20);
            rest = rest.get(aligned..).unwrap_or_default();
        }
    }
    commands
}

fn socket(interface: &str) -> std::io::Result<OwnedFd> {
    let all = i32::from((libc::ETH_P_ALL as u16).to_be());
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, all) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: `fd` is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let set = |level: i32, name: i32, value: *const libc::c_void, length: usize| {
        // SAFETY: every caller gives the pointer and the length of a live value.
        let done = unsafe { libc::setsockopt(fd, level, name, value, length as libc::socklen_t) };
        if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    let (on, much) = (1i32, 16i32 << 20);
    let wait = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, (&raw const on).cast(), size_of::<i32>())?;
    set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, (&raw const much).cast(), size_of::<i32>())?;
    set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const wait).cast(), size_of::<libc::timeval>())?;
    let index = nix::net::if_::if_nametoindex(interface)?;
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all as u16;
    address.sll_ifindex = index as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: pointer and length are those of `address`.
    if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(socket)
}

fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> Option<Packet> {
    // <linux/if_arp.h>
    const ARPHRD_NETLINK: u16 = 824;
    // SAFETY: all zeros is valid for both.
    let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0u64; 16];
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer of `message` is to a live buffer of the length beside it.
    let count = usize::try_from(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) }).ok()?;
    let mut at = Duration::ZERO;
    // SAFETY: the kernel has filled `control` as `message` says; the payload is read where it may be
    // unaligned.
    unsafe {
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        if !head.is_null() && (*head).cmsg_type == libc::SCM_TIMESTAMPNS {
            let time = libc::CMSG_DATA(head).cast::<libc::timespec>().read_unaligned();
            at = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        }
    }
    let netlink = from.sll_hatype == ARPHRD_NETLINK;
    let kept = if netlink { count } else { count.min(128) };
    let protocol = u16::from_be(from.sll_protocol);
    Some(Packet { at, protocol, bytes: bytes.get(..kept)?.to_vec() })
}
