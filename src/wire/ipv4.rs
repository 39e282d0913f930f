//! Ethernet and IPv4 around a VRRP message: taken off on the way in, put on on the way out (protocols §1.3,
//! §1.7).

use super::checksum;
use super::rung::Rung;
use std::net::Ipv4Addr;

/// VRRP's IP protocol number (RFC 9568 §5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// Ethernet and IPv4 header without options, in bytes: what [`emit_headers`] writes.
pub const HEADERS_LEN: usize = ETHERNET_LEN + IPV4_LEN;
/// TTL of an advert, the only one accepted (PKT-20).
pub const TTL: u8 = 255;

pub(super) const ETHERNET_LEN: usize = 14;
pub(super) const IPV4_LEN: usize = 20;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
/// DSCP CS6 (PKT-22).
const TOS: u8 = 0xc0;
/// More fragments, and the offset.
const FRAGMENT_MASK: u16 = 0x3fff;
/// The fixed part of a VRRP message.
const MESSAGE_LEN_MIN: usize = 8;

/// What a frame carries, with what its headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Ethernet source.
    pub source_mac: [u8; 6],
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// IPv4 destination.
    pub destination: Ipv4Addr,
    /// Time to live, not judged yet.
    pub ttl: u8,
    /// What follows the IPv4 header and its options, cut to the header's total length.
    pub payload: &'a [u8],
}

/// Takes Ethernet and IPv4 off a frame that starts at the destination MAC: SOCK-12 and RX-1 to RX-5, with the
/// eight payload bytes of RX-8. `Err` says at which rung it failed.
pub fn strip(frame: &[u8]) -> Result<Datagram<'_>, Rung> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_LEN>().ok_or(Rung::Truncated)?;
    let [_, _, _, _, _, _, source_mac @ .., type_high, type_low] = *ethernet;
    match u16::from_be_bytes([type_high, type_low]) {
        ETHERTYPE_IPV4 => {}
        ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN => return Err(Rung::Vlan),
        _ => return Err(Rung::NotVrrp),
    }

    let fixed = packet.first_chunk::<IPV4_LEN>().ok_or(Rung::IpHeader)?;
    let [version_ihl, _, t0, t1, _, _, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *fixed;
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    if version_ihl >> 4 != 4 || header_len < IPV4_LEN {
        return Err(Rung::IpHeader);
    }
    let header = packet.get(..header_len).ok_or(Rung::IpHeader)?;
    if protocol != PROTOCOL {
        return Err(Rung::NotVrrp);
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
    Ok(Datagram { source_mac, source, destination: Ipv4Addr::new(d0, d1, d2, d3), ttl, payload })
}

/// Could a router send from here (RX-5)?
fn is_plausible_source(source: Ipv4Addr) -> bool {
    !(source.is_unspecified() || source.is_loopback() || source.is_multicast() || source.is_broadcast())
}

/// The Ethernet address of a multicast group: 01:00:5e and its low 23 bits (RFC 1112 §6.4).
pub const fn multicast_mac(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

/// Ethernet and IPv4 header of an advert to a multicast group: TOS 0xc0, TTL 255, DF clear (PKT-20 to
/// PKT-24). `message_len` is that of the VRRP message in bytes.
pub fn emit_headers(
    source_mac: [u8; 6],
    source: Ipv4Addr,
    group: Ipv4Addr,
    id: u16,
    message_len: u16,
) -> [u8; HEADERS_LEN] {
    let [a, b, c, d, e, f] = multicast_mac(group);
    let [g, h, i, j, k, l] = source_mac;
    let [y0, y1] = ETHERTYPE_IPV4.to_be_bytes();
    let [t0, t1] = message_len.saturating_add(IPV4_LEN as u16).to_be_bytes();
    let [i0, i1] = id.to_be_bytes();
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = group.octets();
    let ipv4 = [0x45, TOS, t0, t1, i0, i1, 0, 0, TTL, PROTOCOL, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
    let [c0, c1] = checksum::finish(checksum::sum(0, &ipv4)).to_be_bytes();
    [
        a, b, c, d, e, f, g, h, i, j, k, l, y0, y1, // Ethernet
        0x45, TOS, t0, t1, i0, i1, 0, 0, TTL, PROTOCOL, c0, c1, s0, s1, s2, s3, d0, d1, d2, d3,
    ]
}

#[cfg(test)]
mod tests {
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
        let wanted =
            Datagram { source_mac: MAC, source: SOURCE, destination: GROUP, ttl: 255, payload: &G11[34..] };
        assert_eq!(strip(&G11), Ok(wanted), "G11");
    }

    #[test]
    fn g11_headers_are_emitted() {
        assert_eq!(emit_headers(MAC, SOURCE, GROUP, 1, 24), G11[..34], "G11: TOS c0, TTL 255, DF clear");
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
