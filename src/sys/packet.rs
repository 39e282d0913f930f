//! VRRP sockets: one packet socket for each interface and family to receive, one for all to send
//! (SOCK-10..SOCK-17), raw sockets for unicast peers, and group memberships on the interface itself
//! (SOCK-21..SOCK-24).

mod filter;
mod raw;
#[cfg(test)]
mod tests;

use self::raw::RawSockets;
use super::errno::refusal_of;
use super::poll::{Interest, PollSet};
use crate::engine::{Ear, Refusal};
use crate::limits;
use crate::model::{Text, cut};
use crate::time::{Duration, Instant};
use crate::wire::ip::{ETHERNET_LEN, multicast_mac};
use crate::wire::vrrp::Family;
use core::mem::{size_of, zeroed};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A line about frames that the kernel dropped comes at most so often; so do the questions.
const DROPS_INTERVAL: Duration = Duration::from_secs(60);

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

/// One interface and family.
struct Port {
    index: u32,
    family: Family,
    receive: OwnedFd,
    /// The device has no Ethernet header: the kernel hands over IP packets.
    is_cooked: bool,
    /// Holds the memberships; a UDP socket that is never read nor bound. Opened with the first: a macvlan has
    /// none. One for each interface, because the kernel limits the groups of a socket (SOCK-24).
    member: Option<OwnedFd>,
    ears: Vec<Ear>,
    slot: usize,
    dropped: u32,
}

/// All VRRP sockets.
pub struct PacketSockets {
    send: OwnedFd,
    raw: RawSockets,
    ports: Vec<Port>,
    drops_asked_at: Option<Instant>,
}

impl PacketSockets {
    /// Opens the socket for sending: it receives nothing (protocol 0; ARP-4).
    ///
    /// # Errors
    /// What socket(2) says; EPERM without CAP_NET_RAW.
    pub fn open() -> io::Result<Self> {
        let send = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        Ok(PacketSockets { send, raw: RawSockets::default(), ports: Vec::new(), drops_asked_at: None })
    }

    /// Listens on an interface and joins a group there. Done already: nothing happens. A membership lives as
    /// long as the interface (SOCK-23): while it is down, too.
    ///
    /// # Errors
    /// In words, for the status screen.
    #[allow(
        clippy::result_large_err,
        reason = "it goes into an event, and happens once an interface at most"
    )]
    pub fn listen(&mut self, ear: &Ear) -> Result<(), Text> {
        let say = |what: &str, e: io::Error| cut(format_args!("{what}: {e}"));
        let at = match self.position(ear) {
            Some(at) => at,
            None => {
                let port = Port::open(ear.index, ear.family).map_err(|e| say("packet socket", e))?;
                self.ports.push(port);
                self.ports.len() - 1
            }
        };
        let Some(port) = self.ports.get_mut(at) else { return Ok(()) };
        let result = port.join(ear).map_err(|e| say("multicast filter", e));
        if port.ears.is_empty() {
            self.ports.swap_remove(at);
        }
        result
    }

    /// Leaves a group; with the last one, the interface.
    pub fn unlisten(&mut self, ear: &Ear) {
        let Some(at) = self.position(ear) else { return };
        let Some(port) = self.ports.get_mut(at) else { return };
        port.leave(ear);
        if port.ears.is_empty() {
            self.ports.swap_remove(at);
        }
    }

    fn position(&self, ear: &Ear) -> Option<usize> {
        self.ports.iter().position(|p| p.index == ear.index && p.family == ear.family)
    }

    /// Adds the sockets for this turn.
    pub fn register(&mut self, poll: &mut PollSet) {
        for port in &mut self.ports {
            port.slot = poll.add(port.receive.as_fd(), Interest::Read);
        }
    }

    /// How many sockets are listened on; they are numbered from 0 for [`Self::receive`].
    pub fn count(&self) -> usize {
        self.ports.len()
    }

    /// Reads a frame of socket number `at`, if one is there. A device without Ethernet gives one all the
    /// same: with addresses of zeros.
    pub fn receive(&self, at: usize, poll: &PollSet, buffer: &mut [u8]) -> Option<Received> {
        let port = self.ports.get(at).filter(|p| poll.is_ready(p.slot))?;
        let head = if port.is_cooked { ETHERNET_LEN } else { 0 };
        let room = buffer.get_mut(head..)?;
        // SAFETY: the buffer is ours and as long as said.
        let n = unsafe {
            libc::recv(
                port.receive.as_raw_fd(),
                room.as_mut_ptr().cast(),
                room.len(),
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
            )
        };
        // Errors: nothing there (any more), or ENETDOWN once when the interface goes down (SOCK-11).
        let n = usize::try_from(n).ok()? + head;
        if let Some([addresses @ .., high, low]) = buffer.get_mut(..head).filter(|_| port.is_cooked) {
            addresses.fill(0);
            [*high, *low] = ethertype(port.family).to_be_bytes();
        }
        Some(Received { index: port.index, len: n.min(buffer.len()), truncated: n > buffer.len() })
    }

    /// Sends an IP packet, header and all, out of an interface (INT-19, SOCK-6).
    ///
    /// # Errors
    /// Why the kernel did not take it; nothing is kept for later.
    pub fn send_packet(&mut self, index: u32, packet: &[u8]) -> Result<(), Refusal> {
        self.raw.send(index, packet)
    }

    /// Asks now and then how many frames the kernel dropped because they were not read in time, and says so
    /// (SOCK-17).
    pub fn watch_drops(&mut self, now: Instant) {
        if self.drops_asked_at.is_some_and(|at| now - at < DROPS_INTERVAL) {
            return;
        }
        self.drops_asked_at = Some(now);
        for port in &mut self.ports {
            let drops = drops(&port.receive);
            if drops > 0 {
                port.dropped = port.dropped.saturating_add(drops);
                let family = match port.family {
                    Family::V4 => "IPv4",
                    Family::V6 => "IPv6",
                };
                log::warn!(
                    "interface {}: {drops} {family} packets came faster than they were read, and are lost",
                    port.index
                );
            }
        }
    }

    /// Frames that the kernel dropped so far, as far as [`Self::watch_drops`] has asked; saturating.
    pub fn dropped(&self) -> u32 {
        self.ports.iter().fold(0, |sum, port| sum.saturating_add(port.dropped))
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

impl Port {
    /// The filter comes before the binding to a protocol, so that no other frame is ever queued (SOCK-13).
    fn open(index: u32, family: Family) -> io::Result<Self> {
        let mut receive = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        // Bound to no protocol, it tells what the device is and hears nothing.
        bind(&receive, index, 0)?;
        let is_cooked = !has_ethernet(&receive)?;
        if is_cooked {
            receive = socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)?;
        }
        set_filter(&receive, &filter::program(family, !is_cooked))?;
        bind(&receive, index, ethertype(family))?;
        Ok(Port { index, family, receive, is_cooked, member: None, ears: Vec::new(), slot: 0, dropped: 0 })
    }

    fn join(&mut self, ear: &Ear) -> io::Result<()> {
        if self.ears.contains(ear) {
            return Ok(());
        }
        if let Some(group) = ear.group {
            // The NIC's filter must pass the group even where the kernel refuses the membership
            // (igmp_max_memberships, SOCK-24). A device without Ethernet has no such filter.
            if !self.is_cooked {
                packet_membership(&self.receive, self.index, group, libc::PACKET_ADD_MEMBERSHIP)?;
            }
            if ear.joins
                && let Err(e) = self.join_group(group)
            {
                let protocol = if group.is_ipv4() { "IGMP" } else { "MLD" };
                log::warn!(
                    "no {protocol} membership of {group} on interface {}: {e}; switches may not pass adverts",
                    self.index
                );
            }
        }
        self.ears.push(*ear);
        Ok(())
    }

    fn join_group(&mut self, group: IpAddr) -> io::Result<()> {
        let member = match self.member.take() {
            Some(member) => member,
            None => udp_socket(self.family)?,
        };
        ip_membership(self.member.insert(member), self.index, group, true)
    }

    fn leave(&mut self, ear: &Ear) {
        let Some(at) = self.ears.iter().position(|e| e == ear) else { return };
        self.ears.swap_remove(at);
        let Some(group) = ear.group else { return };
        // The interface may be gone, and the memberships with it.
        if !self.is_cooked {
            let _ = packet_membership(&self.receive, self.index, group, libc::PACKET_DROP_MEMBERSHIP);
        }
        if let Some(member) = self.member.as_ref().filter(|_| ear.joins) {
            let _ = ip_membership(member, self.index, group, false);
        }
    }
}

const fn ethertype(family: Family) -> u16 {
    match family {
        Family::V4 => libc::ETH_P_IP as u16,
        Family::V6 => libc::ETH_P_IPV6 as u16,
    }
}

fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor that comes back is ours alone.
    unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, protocol);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn udp_socket(family: Family) -> io::Result<OwnedFd> {
    match family {
        Family::V4 => socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
        Family::V6 => socket(libc::AF_INET6, libc::SOCK_DGRAM, 0),
    }
}

fn bind(fd: &OwnedFd, index: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut to: libc::sockaddr_ll = unsafe { zeroed() };
    to.sll_family = libc::AF_PACKET as _;
    to.sll_protocol = protocol.to_be();
    to.sll_ifindex = index as _;
    // SAFETY: the address lives until the call is over, and is as long as said.
    let rc = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            core::ptr::from_ref(&to).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Has the device, to which this packet socket is bound, an Ethernet header? The loopback interface has one.
fn has_ethernet(fd: &OwnedFd) -> io::Result<bool> {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut name: libc::sockaddr_ll = unsafe { zeroed() };
    let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: both live until the call is over, and the length is that of the address.
    let rc = unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut name).cast(), &raw mut len) };
    if rc < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok([libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK].contains(&name.sll_hatype))
}

fn set_filter(fd: &OwnedFd, steps: &filter::Program) -> io::Result<()> {
    let program = libc::sock_fprog { len: steps.len() as _, filter: steps.as_ptr().cast_mut() };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Frames that were dropped since the last question (the kernel begins anew with each).
fn drops(fd: &OwnedFd) -> u32 {
    // `struct tpacket_stats`: packets, drops.
    let mut stats = [0u32; 2];
    let mut len = size_of_val(&stats) as libc::socklen_t;
    // SAFETY: both live until the call is over, and the length is that of the numbers.
    let rc = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            stats.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    let [_, drops] = stats;
    if rc < 0 { 0 } else { drops }
}

fn packet_membership(fd: &OwnedFd, index: u32, group: IpAddr, option: libc::c_int) -> io::Result<()> {
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

/// IGMP or MLD.
fn ip_membership(fd: &OwnedFd, index: u32, group: IpAddr, is_joined: bool) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            let option = if is_joined { libc::IP_ADD_MEMBERSHIP } else { libc::IP_DROP_MEMBERSHIP };
            igmp(fd, index, group, option)
        }
        IpAddr::V6(group) => {
            let option = if is_joined { libc::IPV6_ADD_MEMBERSHIP } else { libc::IPV6_DROP_MEMBERSHIP };
            mld(fd, index, group, option)
        }
    }
}

fn igmp(fd: &OwnedFd, index: u32, group: Ipv4Addr, option: libc::c_int) -> io::Result<()> {
    // SAFETY: all-zero is a valid ip_mreqn.
    let mut request: libc::ip_mreqn = unsafe { zeroed() };
    request.imr_multiaddr.s_addr = u32::from(group).to_be();
    request.imr_ifindex = index as _;
    set_option(fd, libc::IPPROTO_IP, option, &request)
}

fn mld(fd: &OwnedFd, index: u32, group: Ipv6Addr, option: libc::c_int) -> io::Result<()> {
    let request = libc::ipv6_mreq {
        ipv6mr_multiaddr: libc::in6_addr { s6_addr: group.octets() },
        ipv6mr_interface: index as _,
    };
    set_option(fd, libc::IPPROTO_IPV6, option, &request)
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
