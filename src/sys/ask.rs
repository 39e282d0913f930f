//! Probes of one datagram there and one back: ping and DNS. They need no worker: what comes back is compared
//! with what was sent, and nothing else is made of it (law 6).
//!
//! Each has a socket of its own, connected to its target, so that the kernel drops what others send and
//! tells of ICMP errors at once (IP_RECVERR).

use super::dial::{Via, bind_to, family, join, no_socket, set, verdict};
use crate::engine::Outcome;
use crate::model::{Reason, cut};
use crate::time::{Duration, Instant};
use crate::wire::dns::{self, Answer};
use crate::wire::icmp::{ECHO_LEN, Echo, TOKEN_LEN};
use crate::wire::vrrp::Family;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Datagrams read in one turn; the rest waits for the next turn.
const DATAGRAMS_PER_TURN: usize = 32;
/// Of a datagram so much is read; what decides stands at its beginning.
const DATAGRAM_MAX: usize = 1024;
/// ICMP_ECHOREPLY and ICMPV6_ECHO_REPLY.
const ECHO_REPLY: u32 = 0;
const ECHO_REPLY_V6: u32 = 129;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// An echo request.
    Ping,
    /// A DNS query; the message holds it.
    Dns,
}

/// One on its way. The message is its caller's.
#[derive(Debug)]
pub(super) struct Ask {
    socket: OwnedFd,
    question: Question,
    family: Family,
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
    echo.emit(family_of(address), buf);
    Some(ECHO_LEN)
}

/// Writes a DNS query into `message` (HC-30). `None`: there is no such name.
pub(super) fn query(name: &str, kind: u16, message: &mut [u8]) -> Option<usize> {
    dns::emit_query(random() as u16, name, kind, message.first_chunk_mut()?)
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
        address: SocketAddr,
        via: Via<'_>,
        timeout: Duration,
    ) -> Result<Self, Outcome> {
        let (socket, is_raw) = match question {
            Question::Ping => echo_socket(address)?,
            Question::Dns => (open(address, SockType::Datagram, None).map_err(no_socket)?, false),
        };
        match family_of(address) {
            Family::V4 => set(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, &1_i32),
            Family::V6 => set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &1_i32),
        }
        bind_to(&socket, via)?;
        let mut target = address;
        if question == Question::Ping {
            target.set_port(0);
        }
        join(&socket, target, timeout)?;
        let again_at = match question {
            Question::Ping => None,
            Question::Dns => Some(now + timeout / 2),
        };
        let ask = Ask { socket, question, family: family_of(address), is_raw, again_at };
        match send(ask.socket.as_raw_fd(), message, MsgFlags::MSG_DONTWAIT) {
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
        match send(self.socket.as_raw_fd(), message, MsgFlags::MSG_DONTWAIT) {
            // Trouble of this box: the first question may still be answered, and the deadline shows.
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM | Errno::EPERM) => None,
            Err(errno) => Some(told(self.question, errno)),
        }
    }

    /// Reads what has come; the outcome, where it decides.
    pub(super) fn receive(&self, message: &[u8]) -> Option<Outcome> {
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..DATAGRAMS_PER_TURN {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(len) => {
                    let outcome = self.judge(message, buffer.get(..len).unwrap_or(&[]));
                    if outcome.is_some() {
                        return outcome;
                    }
                }
                Err(Errno::EAGAIN) => return None,
                Err(Errno::EINTR) => {}
                Err(errno) => return Some(told(self.question, errno)),
            }
        }
        None
    }

    /// `None`: it is not the answer, which may still come (B-120, B-123).
    fn judge(&self, message: &[u8], datagram: &[u8]) -> Option<Outcome> {
        match self.question {
            Question::Ping => {
                let with_header = self.is_raw && self.family == Family::V4;
                let reply = Echo::parse_reply(self.family, with_header, datagram)?;
                // The identifier is the kernel's on a datagram socket, and compared by it.
                let [_, _, _, _, a, b, c, d] = *message.first_chunk::<8>()?;
                let is_ours = (!self.is_raw || reply.ident == u16::from_be_bytes([a, b]))
                    && reply.sequence == u16::from_be_bytes([c, d])
                    && message.get(8..) == Some(&reply.token);
                is_ours.then_some(Outcome::Passed)
            }
            Question::Dns => Some(match dns::parse_answer(message, datagram)? {
                Answer::NoError => Outcome::Passed,
                Answer::Error(rcode) => {
                    Outcome::Failed(cut(format_args!("DNS error {rcode} {}", dns::rcode_name(rcode))))
                }
            }),
        }
    }
}

/// What the network said on the way: by ICMP, or because a neighbour does not answer.
fn told(question: Question, errno: Errno) -> Outcome {
    let words: Reason = match (errno, question) {
        (Errno::ECONNREFUSED, Question::Dns) => cut(format_args!("port unreachable")),
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

fn family_of(address: SocketAddr) -> Family {
    match address.ip() {
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
mod tests {
    use super::*;
    use crate::sys::poll::{Interest, PollSet};

    /// Its socket has the error before the question is repeated, and is not read in between.
    #[test]
    fn what_a_repeated_question_is_told_is_the_outcome_b122() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        drop(server);
        let (now, timeout, via) = (Instant::ZERO, Duration::from_secs(2), Via::default());
        let mut ask = Ask::begin(now, Question::Dns, b"query", address, via, timeout).unwrap();
        let mut set = PollSet::new();
        let slot = set.add(ask.as_fd(), Interest::Read);
        set.wait(Some(timeout)).unwrap();
        assert!(set.is_ready(slot), "the kernel tells at once");
        assert_eq!(ask.tick(now, b"query"), None, "it is not due yet");
        let outcome = ask.tick(now + timeout, b"query");
        assert_eq!(
            outcome,
            Some(Outcome::Failed(cut(format_args!("port unreachable")))),
            "the loop would spin"
        );
    }
}
