//! The IPv6 header around a VRRP message (protocols §1.3, §1.7).

use super::ip::{Datagram, MESSAGE_LEN_MIN, PROTOCOL, TRAFFIC_CLASS};
use super::rung::Rung;
use std::net::{IpAddr, Ipv6Addr};

/// IPv6 header, in bytes: what [`header`] makes.
pub(super) const HEADER_LEN: usize = 40;
/// Next header of a fragment (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;

/// Takes the IPv6 header off: RX-1 to RX-5, with the eight payload bytes of RX-8. The message must follow at
/// once: no router sends VRRP behind an extension header (RX-3).
pub(super) fn strip(source_mac: [u8; 6], packet: &[u8]) -> Result<Datagram<'_>, Rung> {
    let (header, rest) = packet.split_first_chunk::<HEADER_LEN>().ok_or(Rung::IpHeader)?;
    let (fixed, addresses) = header.split_first_chunk::<8>().ok_or(Rung::IpHeader)?;
    let [version_class, _, _, _, l0, l1, next, hops] = *fixed;
    if version_class >> 4 != 6 {
        return Err(Rung::IpHeader);
    }
    match next {
        PROTOCOL => {}
        FRAGMENT if rest.first() == Some(&PROTOCOL) => return Err(Rung::Fragment),
        _ => return Err(Rung::NotVrrp),
    }
    // What follows the payload is Ethernet's padding (RX-2).
    let payload = rest.get(..usize::from(u16::from_be_bytes([l0, l1]))).ok_or(Rung::Truncated)?;
    if payload.len() < MESSAGE_LEN_MIN {
        return Err(Rung::Length);
    }
    let [source, destination] = addresses.as_chunks().0 else { return Err(Rung::IpHeader) };
    let (source, destination) = (Ipv6Addr::from(*source), Ipv6Addr::from(*destination));
    if !is_plausible_source(source, destination) {
        return Err(Rung::Source);
    }
    let (source, destination) = (IpAddr::V6(source), IpAddr::V6(destination));
    Ok(Datagram { source_mac, source, destination, hops, payload })
}

/// Could a router send from here (RX-5)? To a group only from a link-local address (RFC 9568 §5.1.2.1).
fn is_plausible_source(source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    if source.is_unspecified() || source.is_loopback() || source.is_multicast() {
        return false;
    }
    source.is_unicast_link_local() || !destination.is_multicast()
}

/// The Ethernet address of a multicast group: 33:33 and its low 32 bits (RFC 2464 §7).
pub(super) const fn multicast_mac(group: Ipv6Addr) -> [u8; 6] {
    let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// IPv6 header without a flow label; adverts have traffic class 0xc0 (PKT-22), neighbour advertisements have
/// none. `payload_len` is what follows, in bytes.
pub(super) fn header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hops: u8,
    next: u8,
    payload_len: u16,
) -> [u8; HEADER_LEN] {
    let class = if next == PROTOCOL { TRAFFIC_CLASS } else { 0 };
    let [l0, l1] = payload_len.to_be_bytes();
    let fixed = [0x60 | class >> 4, class << 4, 0, 0, l0, l1, next, hops];
    let mut header = [0; HEADER_LEN];
    let bytes = fixed.into_iter().chain(source.octets()).chain(destination.octets());
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = from;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::super::ip::{self, strip};
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
    /// An advert with one address; its checksum is no matter here.
    const MESSAGE: [u8; 24] =
        [0x31, 15, 100, 1, 0, 100, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

    /// Written out by hand, not by `header`.
    fn frame() -> [u8; 78] {
        let mut frame = [0; 78];
        frame[..14].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 0x12, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
        frame[14..22].copy_from_slice(&[0x6c, 0, 0, 0, 0, 24, 112, 255]);
        frame[22..38].copy_from_slice(&SOURCE.octets());
        frame[38..54].copy_from_slice(&GROUP.octets());
        frame[54..].copy_from_slice(&MESSAGE);
        frame
    }

    #[test]
    fn a_frame_is_taken_apart() {
        let (source, destination) = (SOURCE.into(), GROUP.into());
        let wanted = Datagram { source_mac: MAC, source, destination, hops: 255, payload: &MESSAGE };
        assert_eq!(strip(&frame()), Ok(wanted), "RX-1 to RX-5");
    }

    #[test]
    fn headers_are_emitted() {
        assert_eq!(ip::ethernet(MAC, GROUP.into()), frame()[..14], "33:33 and the low 32 bits, 86dd");
        assert_eq!(header(SOURCE, GROUP, 255, PROTOCOL, 24), frame()[14..54], "PKT-20, PKT-22");
    }

    #[test]
    fn every_shorter_frame_is_refused() {
        for len in 0..frame().len() {
            let wanted = match len {
                0..14 => Rung::Truncated,
                14..54 => Rung::IpHeader,
                _ => Rung::Truncated,
            };
            assert_eq!(strip(&frame()[..len]), Err(wanted), "RX-1, RX-2, SOCK-2 (no hop limit): {len} bytes");
        }
    }

    #[test]
    fn rx_2_ethernet_padding_is_cut_off() {
        let padded = [&frame()[..], &[0xee; 7]].concat();
        assert_eq!(strip(&padded), strip(&frame()), "RX-2: padding is not part of the message");
    }

    #[test]
    fn rx_5_sources() {
        let from = |source: &str, destination: &str| {
            let source = source.parse().unwrap();
            is_plausible_source(source, destination.parse().unwrap())
        };
        for source in ["::", "::1", "ff02::12", "ff05::1", "2001:db8::1", "fec0::1"] {
            assert!(!from(source, "ff02::12"), "RX-5, B-27: {source} to the group");
        }
        for source in ["::", "::1", "ff02::12"] {
            assert!(!from(source, "2001:db8::2"), "RX-5: {source} to one router");
        }
        assert!(from("fe80::1", "ff02::12"), "what RFC 9568 §5.1.2.1 demands");
        assert!(from("2001:db8::1", "2001:db8::2"), "unicast peers have global addresses");
    }
}
