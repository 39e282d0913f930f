//! ICMP and ICMPv6 echo (RFC 792, RFC 4443 §4.1, §4.2; HC-40).

use super::vrrp::Family;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, Ipv4Packet, Ipv6Address};

/// Bytes of data in our requests.
pub const TOKEN_LEN: usize = 16;
/// Bytes that [`Echo::emit`] writes.
pub const ECHO_LEN: usize = 8 + TOKEN_LEN;

/// An echo request of ours, or the reply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Identifier; the kernel puts its own in its place on a datagram socket.
    pub ident: u16,
    /// Sequence number.
    pub sequence: u16,
    /// Data that nobody else has sent.
    pub token: [u8; TOKEN_LEN],
}

impl Echo {
    /// Writes a request. The checksum of ICMPv6, which covers the addresses, is left to the kernel.
    pub fn emit(&self, family: Family, buf: &mut [u8; ECHO_LEN]) {
        let Echo { ident, sequence: seq_no, token } = *self;
        let sums = ChecksumCapabilities::ignored();
        match family {
            Family::V4 => Icmpv4Repr::EchoRequest { ident, seq_no, data: &token }
                .emit(&mut Icmpv4Packet::new_unchecked(buf.as_mut_slice()), &ChecksumCapabilities::default()),
            Family::V6 => {
                let any = Ipv6Address::UNSPECIFIED;
                let mut packet = Icmpv6Packet::new_unchecked(buf.as_mut_slice());
                Icmpv6Repr::EchoRequest { ident, seq_no, data: &token }.emit(&any, &any, &mut packet, &sums);
            }
        }
    }

    /// Reads an echo reply. `None`: it is something else, damaged, or of another length. `with_header`: it
    /// begins with its IPv4 header, as raw sockets give it. The kernel has verified the checksum of ICMPv6.
    pub fn parse_reply(family: Family, with_header: bool, bytes: &[u8]) -> Option<Self> {
        match family {
            Family::V4 => {
                let bytes = if with_header { ipv4_payload(bytes)? } else { bytes };
                let packet = Icmpv4Packet::new_checked(bytes).ok()?;
                match Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).ok()? {
                    Icmpv4Repr::EchoReply { ident, seq_no, data } => Self::of(ident, seq_no, data),
                    _ => None,
                }
            }
            Family::V6 => {
                let any = Ipv6Address::UNSPECIFIED;
                let packet = Icmpv6Packet::new_checked(bytes).ok()?;
                match Icmpv6Repr::parse(&any, &any, &packet, &ChecksumCapabilities::ignored()).ok()? {
                    Icmpv6Repr::EchoReply { ident, seq_no, data } => Self::of(ident, seq_no, data),
                    _ => None,
                }
            }
        }
    }

    fn of(ident: u16, sequence: u16, data: &[u8]) -> Option<Self> {
        Some(Echo { ident, sequence, token: data.try_into().ok()? })
    }
}

fn ipv4_payload(bytes: &[u8]) -> Option<&[u8]> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    let (header, total) = (usize::from(packet.header_len()), usize::from(packet.total_len()));
    bytes.get(header..total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { ident: 0x1234, sequence: 0xfffe, token: *b"0123456789abcdef" };

    /// What a host makes of a request.
    fn reply(family: Family) -> [u8; ECHO_LEN] {
        let mut bytes = [0; ECHO_LEN];
        ECHO.emit(family, &mut bytes);
        bytes[0] = match family {
            Family::V4 => 0,
            Family::V6 => 129,
        };
        if family == Family::V4 {
            bytes[2..4].fill(0);
            use crate::wire::checksum::{finish, sum};
            let sum = finish(sum(0, &bytes));
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn a_request_has_the_wires_layout() {
        let mut bytes = [0xff; ECHO_LEN];
        ECHO.emit(Family::V4, &mut bytes);
        assert_eq!((&bytes[..2], &bytes[4..8]), (&[8, 0][..], &[0x12, 0x34, 0xff, 0xfe][..]), "RFC 792");
        ECHO.emit(Family::V6, &mut bytes);
        assert_eq!((bytes[0], bytes[1], &bytes[8..]), (128, 0, &ECHO.token[..]), "RFC 4443 §4.1");
    }

    #[test]
    fn a_reply_is_read_back_and_nothing_else_is_one_b123() {
        for family in [Family::V4, Family::V6] {
            let good = reply(family);
            assert_eq!(Echo::parse_reply(family, false, &good), Some(ECHO));
            let mut request = [0; ECHO_LEN];
            ECHO.emit(family, &mut request);
            assert_eq!(Echo::parse_reply(family, false, &request), None, "the peer's own request");
            for len in 0..good.len() {
                assert_eq!(Echo::parse_reply(family, false, &good[..len]), None, "{len} bytes");
            }
            for kind in 0..=255 {
                let mut other = good;
                other[0] = kind;
                // Whatever it is, it is no panic, and no reply unless it says so.
                let read = Echo::parse_reply(family, false, &other);
                assert_eq!(read.is_some(), kind == good[0], "type {kind}");
            }
        }
        let mut damaged = reply(Family::V4);
        damaged[10] ^= 1;
        assert_eq!(Echo::parse_reply(Family::V4, false, &damaged), None, "its checksum is wrong");
    }

    #[test]
    fn the_ip_header_of_a_raw_socket_is_taken_off() {
        let mut packet = [0; 24 + ECHO_LEN];
        packet[..10].copy_from_slice(&[0x46, 0, 0, (24 + ECHO_LEN) as u8, 0, 0, 0, 0, 64, 1]);
        packet[24..].copy_from_slice(&reply(Family::V4));
        assert_eq!(Echo::parse_reply(Family::V4, true, &packet), Some(ECHO), "with an option");
        for len in 0..packet.len() {
            assert_eq!(Echo::parse_reply(Family::V4, true, &packet[..len]), None);
        }
        packet[0] = 0x4f;
        assert_eq!(Echo::parse_reply(Family::V4, true, &packet), None, "a header longer than the packet");
    }
}
