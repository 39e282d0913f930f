//! VRRP sockets: one packet socket an interface to receive, one for all to send (SOCK-10..SOCK-17), and group
//! memberships on the interface itself (SOCK-21..SOCK-24).

use super::errno::refusal_of;
use super::poll::{Interest, PollSet};
use crate::engine::{Ear, Refusal};
use crate::limits;
use crate::model::{Text, cut};
use crate::wire::ipv4::{PROTOCOL, multicast_mac};
use core::mem::{size_of, zeroed};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A frame that was read: its interface, its length in the buffer, and whether the kernel had more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Interface index.
    pub index: u32,
    /// Bytes in the buffer.
    pub len: usize,
    /// Was it cut (MSG_TRUNC)?
    pub truncated: bool,
}

struct Port {
    index: u32,
    receive: OwnedFd,
    /// Holds the memberships; a UDP socket that is never read nor bound.
    member: OwnedFd,
    groups: Vec<Ipv4Addr>,
    slot: usize,
}

/// All VRRP sockets.
pub struct PacketSockets {
    send: OwnedFd,
    ports: Vec<Port>,
}

impl PacketSockets {
    /// Opens the socket for sending: it receives nothing (protocol 0; ARP-4).
    ///
    /// # Errors
    /// What socket(2) says; EPERM without CAP_NET_RAW.
    pub fn open() -> io::Result<Self> {
        Ok(PacketSockets { send: packet_socket()?, ports: Vec::new() })
    }

    /// Listens on an interface and joins a group there. Done already: nothing happens.
    ///
    /// # Errors
    /// In words, for the status screen.
    #[allow(
        clippy::result_large_err,
        reason = "it goes into an event, and happens once an interface at most"
    )]
    pub fn listen(&mut self, ear: &Ear) -> Result<(), Text> {
        let (index, Some(IpAddr::V4(group))) = (ear.index, ear.group) else {
            return Err(cut(format_args!("not in this build yet")));
        };
        let say = |what: &str, e: io::Error| cut(format_args!("{what}: {e}"));
        let at = match self.ports.iter().position(|p| p.index == index) {
            Some(at) => at,
            None => {
                let receive = receive_socket(index).map_err(|e| say("packet socket", e))?;
                let member = udp_socket().map_err(|e| say("UDP socket", e))?;
                self.ports.push(Port { index, receive, member, groups: Vec::new(), slot: 0 });
                self.ports.len() - 1
            }
        };
        let Some(port) = self.ports.get_mut(at) else { return Ok(()) };
        if port.groups.contains(&group) {
            return Ok(());
        }
        // The NIC's filter must pass the group even where the IGMP join is refused (igmp_max_memberships,
        // SOCK-24).
        packet_membership(&port.receive, index, group, libc::PACKET_ADD_MEMBERSHIP)
            .map_err(|e| say("multicast filter", e))?;
        if let Err(e) = igmp(&port.member, index, group, libc::IP_ADD_MEMBERSHIP)
            && e.raw_os_error() != Some(libc::EADDRINUSE)
        {
            log::warn!(
                "no IGMP membership of {group} on interface {index}: {e}; switches may not pass adverts"
            );
        }
        port.groups.push(group);
        Ok(())
    }

    /// Leaves a group; with the last one, the interface.
    pub fn unlisten(&mut self, ear: &Ear) {
        let (index, Some(IpAddr::V4(group))) = (ear.index, ear.group) else { return };
        let Some(at) = self.ports.iter().position(|p| p.index == index) else { return };
        let Some(port) = self.ports.get_mut(at) else { return };
        port.groups.retain(|g| *g != group);
        // The interface may be gone, and the memberships with it.
        let _ = packet_membership(&port.receive, index, group, libc::PACKET_DROP_MEMBERSHIP);
        let _ = igmp(&port.member, index, group, libc::IP_DROP_MEMBERSHIP);
        if port.groups.is_empty() {
            self.ports.swap_remove(at);
        }
    }

    /// Adds the sockets for this turn.
    pub fn register(&mut self, poll: &mut PollSet) {
        for port in &mut self.ports {
            port.slot = poll.add(port.receive.as_fd(), Interest::Read);
        }
    }

    /// How many interfaces are listened on; they are numbered from 0 for [`Self::receive`].
    pub fn count(&self) -> usize {
        self.ports.len()
    }

    /// Reads a frame of interface number `at`, if one is there.
    pub fn receive(&self, at: usize, poll: &PollSet, buffer: &mut [u8]) -> Option<Received> {
        let port = self.ports.get(at).filter(|p| poll.is_ready(p.slot))?;
        // SAFETY: the buffer is ours and as long as said.
        let n = unsafe {
            libc::recv(
                port.receive.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
            )
        };
        // Errors: nothing there (any more), or ENETDOWN once when the interface goes down (SOCK-11).
        let n = usize::try_from(n).ok()?;
        Some(Received { index: port.index, len: n.min(buffer.len()), truncated: n > buffer.len() })
    }

    /// Sends a whole Ethernet frame.
    ///
    /// # Errors
    /// Why the kernel did not take it; nothing is kept for later.
    pub fn send(&self, index: u32, frame: &[u8]) -> Result<(), Refusal> {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut to: libc::sockaddr_ll = unsafe { zeroed() };
        to.sll_family = libc::AF_PACKET as _;
        to.sll_ifindex = index as _;
        // SAFETY: frame and address live until the call is over, and are as long as said.
        let n = unsafe {
            libc::sendto(
                self.send.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                core::ptr::from_ref(&to).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if n < 0 { Err(refusal_of(&io::Error::last_os_error())) } else { Ok(()) }
    }
}

/// A frame buffer of the right size.
pub fn frame_buffer() -> Box<[u8]> {
    vec![0; limits::FRAME_MAX].into_boxed_slice()
}

fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor that comes back is ours alone.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn udp_socket() -> io::Result<OwnedFd> {
    // SAFETY: as above.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// The filter comes before the bind, so that no other frame is ever queued (SOCK-13).
fn receive_socket(index: u32) -> io::Result<OwnedFd> {
    let fd = packet_socket()?;
    let filter = filter();
    let program = libc::sock_fprog { len: filter.len() as _, filter: filter.as_ptr().cast_mut() };
    set_option(&fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut to: libc::sockaddr_ll = unsafe { zeroed() };
    to.sll_family = libc::AF_PACKET as _;
    to.sll_protocol = (libc::ETH_P_IP as u16).to_be();
    to.sll_ifindex = index as _;
    // SAFETY: the address lives until the call is over, and is as long as said.
    let rc = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            core::ptr::from_ref(&to).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

/// Untagged (SOCK-12), not our own (SOCK-13), IPv4, protocol 112 (SOCK-14).
fn filter() -> [libc::sock_filter; 10] {
    const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let of = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let ancillary = |what: libc::c_int| (libc::SKF_AD_OFF + what) as u32;
    [
        of(LOAD_WORD, 0, 0, ancillary(libc::SKF_AD_VLAN_TAG_PRESENT)),
        of(IF_EQUAL, 0, 7, 0),
        of(LOAD_WORD, 0, 0, ancillary(libc::SKF_AD_PKTTYPE)),
        of(IF_EQUAL, 5, 0, u32::from(libc::PACKET_OUTGOING)),
        of(LOAD_HALF, 0, 0, 12),
        of(IF_EQUAL, 0, 3, libc::ETH_P_IP as u32),
        of(LOAD_BYTE, 0, 0, 23),
        of(IF_EQUAL, 0, 1, u32::from(PROTOCOL)),
        of(RETURN, 0, 0, u32::MAX),
        of(RETURN, 0, 0, 0),
    ]
}

fn packet_membership(fd: &OwnedFd, index: u32, group: Ipv4Addr, option: libc::c_int) -> io::Result<()> {
    // SAFETY: all-zero is a valid packet_mreq.
    let mut request: libc::packet_mreq = unsafe { zeroed() };
    request.mr_ifindex = index as _;
    request.mr_type = libc::PACKET_MR_MULTICAST as _;
    request.mr_alen = 6;
    for (to, from) in request.mr_address.iter_mut().zip(multicast_mac(group)) {
        *to = from;
    }
    set_option(fd, libc::SOL_PACKET, option, &request)
}

fn igmp(fd: &OwnedFd, index: u32, group: Ipv4Addr, option: libc::c_int) -> io::Result<()> {
    // SAFETY: all-zero is a valid ip_mreqn.
    let mut request: libc::ip_mreqn = unsafe { zeroed() };
    request.imr_multiaddr.s_addr = u32::from(group).to_be();
    request.imr_ifindex = index as _;
    set_option(fd, libc::IPPROTO_IP, option, &request)
}

fn set_option<T>(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the value lives until the call is over, and is as long as said.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            core::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
