//! Probes of one datagram there and one back: ping, DNS and UDP. They need no worker: what comes back is
//! compared with what was sent, or is wanted, and nothing else is made of it (law 6).
//!
//! Each has a socket of its own, connected to its target, so that the kernel drops what others send and
//! tells of ICMP errors at once (IP_RECVERR).

use super::dial::{Target, family, join, leave_by, no_socket, set, verdict};
use crate::engine::Outcome;
use crate::model::{DnsCheck, Reason, UdpCheck, cut};
use crate::probe::span;
use crate::time::{Duration, Instant};
use crate::wire::dns::{self, Answer};
use crate::wire::icmp::{ECHO_LEN, Echo, TOKEN_LEN};
use crate::wire::vrrp::Family;
use nix::errno::Errno;
use nix::sys::socket::{
    MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, recvfrom, send, socket,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Datagrams read in one turn; the rest waits for the next turn.
const DATAGRAMS_PER_TURN: usize = 32;
/// Of a datagram so much is read; what decides stands at its beginning.
const DATAGRAM_MAX: usize = 1024;
/// ICMP_ECHOREPLY and ICMPV6_ECHO_REPLY.
const ECHO_REPLY: u32 = 0;
const ECHO_REPLY_V6: u32 = 129;

/// What is sent where the user gives nothing: keepalived's 32 bytes (HC-35).
const PAYLOAD: &[u8; 32] = b"keepalived check - keepalived ch";

/// What is asked, and what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// An echo request.
    Ping,
    /// A DNS query.
    Dns { rcode: u8, address: Option<IpAddr> },
    /// Any datagram. The message holds it, and after it the wanted reply: byte and mask, byte and mask.
    Udp { payload_len: u16, needs_reply: bool, reply_min: u16, reply_max: u16 },
}

/// One on its way. The message is its caller's.
#[derive(Debug)]
pub(super) struct Ask {
    socket: OwnedFd,
    question: Question,
    /// Of whom.
    address: IpAddr,
    /// A raw socket: it hears everybody's replies, and of IPv4 with their header.
    is_raw: bool,
    /// When is the question sent once more? A datagram may be lost.
    again_at: Option<Instant>,
}

/// Writes an echo request into `message`.
pub(super) fn ping(address: SocketAddr, sequence: u16, message: &mut [u8]) -> Option<usize> {
    let mut token = [0; TOKEN_LEN];
    token[..8].copy_from_slice(&random().to_ne_bytes());
    token[8..].copy_from_slice(&random().to_ne_bytes());
    let echo = Echo { ident: random() as u16, sequence, token };
    let buf = message.first_chunk_mut::<ECHO_LEN>()?;
    echo.emit(family_of(address.ip()), buf);
    Some(ECHO_LEN)
}

/// Writes a DNS query into `message` (HC-30). `None`: there is no such name.
pub(super) fn query(check: &DnsCheck, message: &mut [u8]) -> Option<usize> {
    dns::emit_query(random() as u16, &check.name, check.kind, message.first_chunk_mut()?)
}

/// Writes what is sent, and after it what is wanted, into `message`. `None`: it does not fit.
pub(super) fn datagram(check: &UdpCheck, message: &mut [u8]) -> Option<usize> {
    let payload = payload(check);
    message.get_mut(..payload.len())?.copy_from_slice(payload);
    let wanted = message.get_mut(payload.len()..payload.len() + 2 * check.reply.len())?;
    for (to, (byte, mask)) in wanted.chunks_exact_mut(2).zip(&check.reply) {
        to.copy_from_slice(&[*byte, *mask]);
    }
    Some(payload.len() + 2 * check.reply.len())
}

/// The question of a UDP probe.
pub(super) fn udp(check: &UdpCheck) -> Question {
    Question::Udp {
        payload_len: payload(check).len() as u16,
        needs_reply: check.needs_reply,
        reply_min: check.reply_min,
        reply_max: check.reply_max,
    }
}

fn payload(check: &UdpCheck) -> &[u8] {
    if check.payload.is_empty() { PAYLOAD } else { &check.payload }
}

impl Ask {
    /// Sends the question.
    ///
    /// # Errors
    /// The outcome, where it is known at once.
    pub(super) fn begin(
        now: Instant,
        question: Question,
        message: &[u8],
        target: &Target,
        timeout: Duration,
    ) -> Result<Self, Outcome> {
        let mut target = *target;
        let (socket, is_raw) = match question {
            Question::Ping => {
                // Ports have no meaning; a source port would be taken for an identifier.
                target.address.set_port(0);
                target.source_port = 0;
                echo_socket(target.address)?
            }
            Question::Dns { .. } | Question::Udp { .. } => {
                (open(target.address, SockType::Datagram, None).map_err(no_socket)?, false)
            }
        };
        let address = target.address;
        match family_of(address.ip()) {
            Family::V4 => {
                set(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, &1_i32);
                // A router on the way that wants smaller packets cuts this one: its complaint is no answer.
                set(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_DONT);
            }
            Family::V6 => set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &1_i32),
        }
        leave_by(&socket, &target)?;
        join(&socket, address, timeout)?;
        let again_at = match question {
            Question::Ping | Question::Udp { .. } => None,
            Question::Dns { .. } => Some(now + timeout / 2),
        };
        let ask = Ask { socket, question, address: address.ip(), is_raw, again_at };
        match send(ask.socket.as_raw_fd(), ask.sent(message), MsgFlags::MSG_DONTWAIT) {
            Ok(_) => Ok(ask),
            Err(errno) => Err(verdict(errno, timeout)),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// When is `tick` due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.again_at
    }

    /// Asks once more, where it is due. The outcome, where the network has told one: it tells only once, and
    /// the socket would be ready, with nothing to read, until the deadline.
    pub(super) fn tick(&mut self, now: Instant, message: &[u8]) -> Option<Outcome> {
        self.again_at.take_if(|at| *at <= now)?;
        for _ in 0..2 {
            match send(self.socket.as_raw_fd(), self.sent(message), MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EMSGSIZE) => self.set_complaint_aside(),
                // Trouble of this box: the first question may still be answered, and the deadline shows.
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM | Errno::EPERM) => {
                    return None;
                }
                Err(errno) => return Some(told(self.question, errno)),
            }
        }
        None
    }

    /// Somebody on the way wants smaller packets than IPv6 has (RFC 8200 §5), which IPv4 does not tell us of:
    /// that is no answer. It stays at the socket, which would be ready until the deadline.
    fn set_complaint_aside(&self) {
        let _ = recv(self.socket.as_raw_fd(), &mut [], MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT);
    }

    /// Nothing that decides has come in time (HC-35: which is what a UDP probe may want).
    pub(super) fn late(&self, timeout: Duration) -> Outcome {
        match self.question {
            Question::Udp { needs_reply: false, .. } => Outcome::Passed,
            Question::Ping | Question::Dns { .. } | Question::Udp { .. } => {
                Outcome::Failed(cut(format_args!("no answer within {}", span(timeout))))
            }
        }
    }

    /// Reads what has come; the outcome, where it decides.
    pub(super) fn receive(&self, message: &[u8]) -> Option<Outcome> {
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.read(&mut buffer) {
                Ok(Some(len)) => {
                    let datagram = buffer.get(..len.min(DATAGRAM_MAX)).unwrap_or(&[]);
                    let outcome = self.judge(message, datagram, len);
                    if outcome.is_some() {
                        return outcome;
                    }
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                Err(Errno::EMSGSIZE) => self.set_complaint_aside(),
                Err(errno) => return Some(told(self.question, errno)),
            }
        }
        None
    }

    /// One datagram, its length as it was sent, though it may not fit. `None`: it is a stranger's.
    fn read(&self, buffer: &mut [u8]) -> nix::Result<Option<usize>> {
        let fd = self.socket.as_raw_fd();
        match self.question {
            // The kernel lets a connected UDP socket hear nobody else; of echo replies it looks at the
            // identifier alone.
            Question::Dns { .. } | Question::Udp { .. } => {
                recv(fd, buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC).map(Some)
            }
            Question::Ping => {
                let (len, from) = recvfrom::<SockaddrStorage>(fd, buffer)?;
                let v4 = from.and_then(|from| from.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip())));
                let v6 = from.and_then(|from| from.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())));
                Ok((v4.or(v6) == Some(self.address)).then_some(len))
            }
        }
    }

    /// `len`: that of the whole datagram. `None`: it is not the answer, which may still come (B-120, B-123).
    fn judge(&self, message: &[u8], datagram: &[u8], len: usize) -> Option<Outcome> {
        match self.question {
            Question::Ping => {
                let family = family_of(self.address);
                let with_header = self.is_raw && family == Family::V4;
                let reply = Echo::parse_reply(family, with_header, datagram)?;
                // The identifier is the kernel's on a datagram socket, and compared by it.
                let [_, _, _, _, a, b, c, d] = *message.first_chunk::<8>()?;
                let is_ours = (!self.is_raw || reply.ident == u16::from_be_bytes([a, b]))
                    && reply.sequence == u16::from_be_bytes([c, d])
                    && message.get(8..) == Some(&reply.token);
                is_ours.then_some(Outcome::Passed)
            }
            Question::Dns { rcode, address } => {
                let answer = dns::parse_answer(message, datagram, address)?;
                Some(dns_outcome(answer, rcode, address))
            }
            Question::Udp { payload_len, needs_reply, reply_min, reply_max } => {
                let wanted = message.get(usize::from(payload_len)..).unwrap_or(&[]);
                // Where nobody asked for a reply, any is as good as none.
                if !needs_reply && wanted.is_empty() && reply_min == 0 {
                    return Some(Outcome::Passed);
                }
                Some(udp_outcome(wanted, (reply_min, reply_max), datagram, len))
            }
        }
    }

    /// What of the message is sent.
    fn sent<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        match self.question {
            Question::Ping | Question::Dns { .. } => message,
            Question::Udp { payload_len, .. } => message.get(..usize::from(payload_len)).unwrap_or(message),
        }
    }
}

fn dns_outcome(answer: Answer, rcode: u8, address: Option<IpAddr>) -> Outcome {
    let words: Reason = match address {
        _ if answer.rcode != rcode && rcode == 0 => cut(format_args!("DNS error {}", Rcode(answer.rcode))),
        _ if answer.rcode != rcode => {
            cut(format_args!("DNS says {}, want {}", Rcode(answer.rcode), Rcode(rcode)))
        }
        Some(address) if !answer.has_address && answer.truncated => {
            cut(format_args!("the answer is cut short, without {address}"))
        }
        Some(address) if !answer.has_address => cut(format_args!("{address} is not among the answers")),
        Some(_) | None => return Outcome::Passed,
    };
    Outcome::Failed(words)
}

/// `3 NXDOMAIN`
struct Rcode(u8);

impl core::fmt::Display for Rcode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match dns::rcode_name(self.0) {
            "" => write!(f, "{}", self.0),
            name => write!(f, "{} {name}", self.0),
        }
    }
}

/// HC-35: as many bytes as the reply and the wanted one both have are compared. `wanted`: byte and mask, byte
/// and mask.
fn udp_outcome(wanted: &[u8], (min, max): (u16, u16), datagram: &[u8], len: usize) -> Outcome {
    if !(usize::from(min)..=usize::from(max)).contains(&len) {
        return Outcome::Failed(cut(format_args!("reply of {len} bytes, want {min} to {max}")));
    }
    let pairs = wanted.as_chunks::<2>().0.iter().zip(datagram);
    for (number, ([want, mask], got)) in pairs.enumerate() {
        if (want ^ got) & mask != 0 {
            let (want, got) = (want & mask, got & mask);
            let mask = if *mask == 0xff { cut(format_args!("")) } else { mask_words(*mask) };
            return Outcome::Failed(cut(format_args!(
                "byte {number} of the reply is 0x{got:02x}, want 0x{want:02x}{mask}"
            )));
        }
    }
    Outcome::Passed
}

fn mask_words(mask: u8) -> Reason {
    cut(format_args!(" under 0x{mask:02x}"))
}

/// What the network said on the way: by ICMP, or because a neighbour does not answer.
fn told(question: Question, errno: Errno) -> Outcome {
    let words: Reason = match (errno, question) {
        (Errno::ECONNREFUSED, Question::Dns { .. } | Question::Udp { .. }) => {
            cut(format_args!("port unreachable"))
        }
        (Errno::ECONNREFUSED, Question::Ping) => cut(format_args!("protocol unreachable")),
        (Errno::EHOSTUNREACH | Errno::EHOSTDOWN, _) => cut(format_args!("host unreachable")),
        (Errno::ENETUNREACH, _) => cut(format_args!("network unreachable")),
        (Errno::EACCES, _) => cut(format_args!("prohibited on the way")),
        (Errno::ENOMEM | Errno::ENOBUFS, _) => {
            return Outcome::NotRun(cut(format_args!("{}", errno.desc())));
        }
        (other, _) => cut(format_args!("error on the way: {}", other.desc())),
    };
    Outcome::Failed(words)
}

/// A datagram socket, where `net.ipv4.ping_group_range` lets us have one, else a raw one (HC-40).
fn echo_socket(address: SocketAddr) -> Result<(OwnedFd, bool), Outcome> {
    let protocol = match address {
        SocketAddr::V4(_) => SockProtocol::Icmp,
        SocketAddr::V6(_) => SockProtocol::IcmpV6,
    };
    if let Ok(socket) = open(address, SockType::Datagram, Some(protocol)) {
        return Ok((socket, false));
    }
    let socket = open(address, SockType::Raw, Some(protocol)).map_err(|errno| match errno {
        Errno::EPERM | Errno::EACCES => {
            Outcome::NotRun(cut(format_args!("ping needs CAP_NET_RAW or net.ipv4.ping_group_range")))
        }
        errno => no_socket(errno),
    })?;
    // A set bit drops a type: all but replies, of which there are enough.
    match address {
        SocketAddr::V4(_) => set(&socket, libc::SOL_RAW, ICMP_FILTER, &!(1_u32 << ECHO_REPLY)),
        SocketAddr::V6(_) => {
            let mut drop = [u32::MAX; 8];
            if let Some(word) = drop.get_mut((ECHO_REPLY_V6 / 32) as usize) {
                *word &= !(1 << (ECHO_REPLY_V6 % 32));
            }
            set(&socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &drop);
        }
    }
    Ok((socket, true))
}

/// `linux/icmp.h`.
const ICMP_FILTER: libc::c_int = 1;
/// `linux/icmpv6.h`.
const ICMP6_FILTER: libc::c_int = 1;

fn open(address: SocketAddr, kind: SockType, protocol: Option<SockProtocol>) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    socket(family(address), kind, flags, protocol)
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// A number that a stranger cannot guess. Where the kernel has none yet, early at boot, it is one that
/// another router would not have.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is as long as said.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    match got {
        8 => u64::from_ne_bytes(bytes),
        _ => (super::clock::now().total_micros() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

#[cfg(test)]
mod tests;
