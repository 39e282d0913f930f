//! IP packets with their header, to unicast peers (INT-19, SOCK-3, SOCK-6).

use super::{filter, set_filter, set_option, socket};
use crate::engine::Refusal;
use crate::sys::errno::refusal_of;
use core::mem::{size_of, zeroed};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for one control message of either family, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; 64]);

/// One socket a family, opened when first used. Protocol IPPROTO_RAW: the kernel takes our header as it is
/// (IP_HDRINCL, and the same of IPv6 on every kernel), and delivers nothing.
#[derive(Debug, Default)]
pub(super) struct RawSockets {
    v4: Option<OwnedFd>,
    v6: Option<OwnedFd>,
}

impl RawSockets {
    /// Sends an IP packet out of an interface, the way that the routes through it say. The destination is
    /// that of the header.
    pub(super) fn send(&mut self, index: u32, packet: &[u8]) -> Result<(), Refusal> {
        let sent = match packet.first().map(|first| first >> 4) {
            Some(4) => match packet.get(16..20).and_then(|d| d.first_chunk()) {
                Some(to) => send_v4(opened(&mut self.v4, libc::AF_INET)?, index, Ipv4Addr::from(*to), packet),
                None => return Err(Refusal::Invalid),
            },
            Some(6) => match packet.get(24..40).and_then(|d| d.first_chunk()) {
                Some(to) => {
                    send_v6(opened(&mut self.v6, libc::AF_INET6)?, index, Ipv6Addr::from(*to), packet)
                }
                None => return Err(Refusal::Invalid),
            },
            Some(_) | None => return Err(Refusal::Invalid),
        };
        sent.map_err(|e| refusal_of(&e))
    }
}

fn opened(slot: &mut Option<OwnedFd>, family: libc::c_int) -> Result<&OwnedFd, Refusal> {
    let fd = match slot.take() {
        Some(fd) => fd,
        None => open(family).map_err(|e| refusal_of(&e))?,
    };
    Ok(slot.insert(fd))
}

fn open(family: libc::c_int) -> io::Result<OwnedFd> {
    let fd = socket(family, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    set_filter(&fd, &filter::nothing())?;
    // As small as the kernel lets it be: nothing is ever read.
    set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &(0 as libc::c_int))?;
    Ok(fd)
}

fn send_v4(fd: &OwnedFd, index: u32, to: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of both.
    let (mut name, mut info): (libc::sockaddr_in, libc::in_pktinfo) = unsafe { (zeroed(), zeroed()) };
    name.sin_family = libc::AF_INET as _;
    name.sin_addr.s_addr = u32::from(to).to_be();
    info.ipi_ifindex = index as _;
    send_message(fd, &name, (libc::IPPROTO_IP, libc::IP_PKTINFO), &info, packet)
}

fn send_v6(fd: &OwnedFd, index: u32, to: Ipv6Addr, packet: &[u8]) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of both.
    let (mut name, mut info): (libc::sockaddr_in6, libc::in6_pktinfo) = unsafe { (zeroed(), zeroed()) };
    name.sin6_family = libc::AF_INET6 as _;
    name.sin6_addr.s6_addr = to.octets();
    // The kernel refuses a scope for an address that has none.
    if to.is_unicast_link_local() || to.is_multicast() {
        name.sin6_scope_id = index;
    }
    info.ipi6_ifindex = index as _;
    send_message(fd, &name, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), &info, packet)
}

/// `info` names the interface; the sockets belong to all of them.
fn send_message<N, I>(
    fd: &OwnedFd,
    name: &N,
    (level, kind): (libc::c_int, libc::c_int),
    info: &I,
    packet: &[u8],
) -> io::Result<()> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
    // SAFETY: all-zero is a valid msghdr. The control buffer holds one header and the larger of the two infos
    // (checked below), and is aligned for the header; every pointer outlives the call, which writes nothing.
    let n = unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_name = core::ptr::from_ref(name).cast_mut().cast();
        message.msg_namelen = size_of::<N>() as _;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        let space = libc::CMSG_SPACE(size_of::<I>() as u32) as usize;
        if space > size_of::<Control>() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = space as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if let Some(header) = header.as_mut() {
            header.cmsg_level = level;
            header.cmsg_type = kind;
            header.cmsg_len = libc::CMSG_LEN(size_of::<I>() as u32) as _;
            libc::CMSG_DATA(header).cast::<I>().write_unaligned(core::ptr::from_ref(info).read());
        }
        libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT)
    };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
