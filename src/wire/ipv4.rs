//! The IPv4 header around a VRRP message (protocols §1.3, §1.7).

use super::checksum;
use super::ip::{Datagram, MESSAGE_LEN_MIN, PROTOCOL, TRAFFIC_CLASS};
use super::rung::Rung;
use std::net::{IpAddr, Ipv4Addr};

/// IPv4 header without options, in bytes: what [`header`] makes.
pub(super) const HEADER_LEN: usize = 20;
/// Authentication header (RFC 2402).
const PROTOCOL_AH: u8 = 51;
/// More fragments, and the offset.
const FRAGMENT_MASK: u16 = 0x3fff;

/// Takes the IPv4 header off: RX-1 to RX-5, with the eight payload bytes of RX-8.
pub(super) fn strip(source_mac: [u8; 6], packet: &[u8]) -> Result<Datagram<'_>, Rung> {
    let fixed = packet.first_chunk::<HEADER_LEN>().ok_or(Rung::IpHeader)?;
    let [version_ihl, _, t0, t1, _, _, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *fixed;
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    if version_ihl >> 4 != 4 || header_len < HEADER_LEN {
        return Err(Rung::IpHeader);
    }
    let header = packet.get(..header_len).ok_or(Rung::IpHeader)?;
    match protocol {
        PROTOCOL => {}
        PROTOCOL_AH => return Err(Rung::Ah),
        _ => return Err(Rung::NotVrrp),
    }

    let total_len = usize::from(u16::from_be_bytes([t0, t1]));
    if total_len < header_len {
        return Err(Rung::IpHeader);
    }
    // Ethernet pads short frames to 60 bytes: what follows the total length is not ours to read (RX-2,
    // RX-31).
    let payload = packet.get(header_len..total_len).ok_or(Rung::Truncated)?;
    if payload.len() < MESSAGE_LEN_MIN {
        return Err(Rung::Length);
    }
    if u16::from_be_bytes([f0, f1]) & FRAGMENT_MASK != 0 {
        return Err(Rung::Fragment);
    }
    // A packet socket hands frames over before the kernel has looked at them (SOCK-11).
    if !checksum::is_valid(checksum::sum(0, header)) {
        return Err(Rung::IpChecksum);
    }
    let source = Ipv4Addr::new(s0, s1, s2, s3);
    if !is_plausible_source(source) {
        return Err(Rung::Source);
    }
    let destination = Ipv4Addr::new(d0, d1, d2, d3);
    let (source, destination) = (IpAddr::V4(source), IpAddr::V4(destination));
    Ok(Datagram { source_mac, source, destination, hops: ttl, payload })
}

/// Could a router send from here (RX-5)?
fn is_plausible_source(source: Ipv4Addr) -> bool {
    !(source.is_unspecified() || source.is_loopback() || source.is_multicast() || source.is_broadcast())
}

/// The Ethernet address of a multicast group: 01:00:5e and its low 23 bits (RFC 1112 §6.4).
pub(super) const fn multicast_mac(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

/// IPv4 header of an advert: TOS 0xc0, DF clear (PKT-22 to PKT-24). `payload_len` is what follows, in bytes.
pub(super) fn header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    ttl: u8,
    id: u16,
    payload_len: u16,
) -> [u8; HEADER_LEN] {
    let [t0, t1] = payload_len.saturating_add(HEADER_LEN as u16).to_be_bytes();
    let [i0, i1] = id.to_be_bytes();
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    let with = |c0, c1| {
        let tos = TRAFFIC_CLASS;
        [0x45, tos, t0, t1, i0, i1, 0, 0, ttl, PROTOCOL, c0, c1, s0, s1, s2, s3, d0, d1, d2, d3]
    };
    let [c0, c1] = checksum::finish(checksum::sum(0, &with(0, 0))).to_be_bytes();
    with(c0, c1)
}

#[cfg(test)]
mod tests {
    use super::super::ip::{self, strip};
    use super::*;

    /// G11 of protocols §1.5: keepalived's frame with a v2 message of 24 bytes.
    const G11: [u8; 58] = [
        0x01, 0x00, 0x5e, 0x00, 0x00, 0x12, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, // Ethernet
        0x45, 0xc0, 0x00, 0x2c, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70, 0x18, 0x8d, // IPv4
        0xc0, 0x00, 0x02, 0x01, 0xe0, 0x00, 0x00, 0x12, // 192.0.2.1 to 224.0.0.18
        0x21, 0x0b, 0x64, 0x02, 0x01, 0x01, 0x92, 0xb9, 0xc0, 0x00, 0x02, 0x65, 0xc0, 0x00, 0x02,
        0x6f, // VRRP
        0x31, 0x31, 0x31, 0x31, 0x00, 0x00, 0x00, 0x00,
    ];
    const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[test]
    fn g11_is_taken_apart() {
        let (source, destination) = (SOURCE.into(), GROUP.into());
        let wanted = Datagram { source_mac: MAC, source, destination, hops: 255, payload: &G11[34..] };
        assert_eq!(strip(&G11), Ok(wanted), "G11");
    }

    #[test]
    fn g11_headers_are_emitted() {
        assert_eq!(ip::ethernet(MAC, GROUP.into()), G11[..14], "G11: MAC of the group, ethertype 0800");
        assert_eq!(header(SOURCE, GROUP, 255, 1, 24), G11[14..34], "G11: TOS c0, TTL 255, DF clear");
    }

    #[test]
    fn every_shorter_frame_is_refused() {
        for len in 0..G11.len() {
            let wanted = match len {
                0..14 => Rung::Truncated,
                14..34 => Rung::IpHeader,
                _ => Rung::Truncated,
            };
            assert_eq!(strip(&G11[..len]), Err(wanted), "RX-1, RX-2: {len} bytes");
        }
    }

    #[test]
    fn rx_2_ethernet_padding_is_cut_off() {
        let padded = [&G11[..], &[0xee; 7]].concat();
        assert_eq!(strip(&padded), strip(&G11), "RX-2: padding is not part of the message");
    }

    #[test]
    fn rx_3_rx_4_rx_8_what_a_packet_socket_lets_through() {
        let judge = |change: &dyn Fn(&mut [u8])| {
            let mut frame = G11;
            change(&mut frame);
            frame[24..26].fill(0);
            let sum = checksum::finish(checksum::sum(0, &frame[14..34]));
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            strip(&frame).map(drop)
        };
        assert_eq!(judge(&|f| f[20] = 0x20), Err(Rung::Fragment), "RX-3: more fragments follow");
        assert_eq!(judge(&|f| f[21] = 1), Err(Rung::Fragment), "RX-3: not the first one");
        assert_eq!(judge(&|f| f[20] = 0x40), Ok(()), "PKT-24: DF is none");
        assert_eq!(judge(&|f| f[17] = 20 + 7), Err(Rung::Length), "RX-8: seven bytes");
        assert_eq!(judge(&|f| f[17] = 20 + 8), Ok(()), "RX-8: eight can be read");
        let mut bad = G11;
        bad[25] ^= 1;
        assert_eq!(strip(&bad).map(drop), Err(Rung::IpChecksum), "RX-4: nobody else has looked (SOCK-11)");
    }

    #[test]
    fn options_are_skipped() {
        let mut frame = G11.to_vec();
        frame.splice(34..34, [0x94, 0x04, 0x00, 0x00]); // router alert
        frame[14] = 0x46;
        frame[17] += 4;
        frame[24..26].fill(0);
        let sum = checksum::finish(checksum::sum(0, &frame[14..38]));
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(strip(&frame).map(|d| d.payload), Ok(&G11[34..]), "B-17: the message starts behind them");
    }

    #[test]
    fn the_mac_of_a_group_has_its_low_23_bits() {
        assert_eq!(multicast_mac(GROUP), [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12], "01:00:5e:00:00:12");
        let other = Ipv4Addr::new(234, 138, 10, 11);
        assert_eq!(multicast_mac(other), [0x01, 0x00, 0x5e, 0x0a, 0x0a, 0x0b], "the 24th bit is not in it");
    }
}
