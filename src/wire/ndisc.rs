//! Unsolicited neighbour advertisements (protocols §4.1).

use super::{checksum, ip, ipv6};
use std::net::Ipv6Addr;

/// Bytes that [`emit_na`] writes.
pub const NA_LEN: usize = ip::ETHERNET_LEN + ipv6::HEADER_LEN + MESSAGE_LEN;

/// Advertisement with one option, in bytes.
const MESSAGE_LEN: usize = 32;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
/// Target link-layer address, and its length in units of eight bytes.
const TARGET_LINK_LAYER: [u8; 2] = [2, 1];

/// Writes a whole frame to `buf`: `vip` tells all nodes that it is at `mac` (ARP-30: S clear, O set, hop
/// limit 255, from the address itself). `router` is the R flag: hosts drop their default route through an
/// address that was a router and says that it is none (ARP-33). A buffer shorter than [`NA_LEN`] is a mistake
/// of the caller and stays as it is.
pub fn emit_na(mac: [u8; 6], vip: Ipv6Addr, router: bool, buf: &mut [u8]) {
    let Some(frame) = buf.get_mut(..NA_LEN) else {
        debug_assert!(false, "buffer is shorter than NA_LEN");
        return;
    };
    let flags = if router { ROUTER | OVERRIDE } else { OVERRIDE };
    let ethernet = ip::ethernet(mac, ALL_NODES.into());
    let header = ipv6::header(vip, ALL_NODES, ip::HOPS, ICMPV6, MESSAGE_LEN as u16);
    let fixed = [NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    let message = fixed.into_iter().chain(vip.octets()).chain(TARGET_LINK_LAYER).chain(mac);
    for (to, from) in frame.iter_mut().zip(ethernet.into_iter().chain(header).chain(message)) {
        *to = from;
    }
    if let Some(message) = frame.get_mut(NA_LEN - MESSAGE_LEN..) {
        // ARP-31.
        let pseudo = checksum::pseudo_header(vip.into(), ALL_NODES.into(), ICMPV6, MESSAGE_LEN as u16);
        let [c0, c1] = checksum::finish(checksum::sum(pseudo, message)).to_be_bytes();
        if let [_, _, high, low, ..] = message {
            (*high, *low) = (c0, c1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);

    fn emitted(mac: [u8; 6], router: bool) -> [u8; NA_LEN] {
        let mut buf = [0xaa; NA_LEN + 1];
        emit_na(mac, VIP, router, &mut buf);
        assert_eq!(buf[NA_LEN], 0xaa, "nothing is written behind the frame");
        *buf.first_chunk().unwrap()
    }

    #[test]
    fn arp_30_frame_of_the_specification() {
        let mac = [0, 0, 0x5e, 0, 2, 0x33];
        let vip = VIP.octets();
        let wanted = [
            &[0x33, 0x33, 0, 0, 0, 1, 0, 0, 0x5e, 0, 2, 0x33, 0x86, 0xdd][..],
            &[0x60, 0, 0, 0, 0, 0x20, 0x3a, 0xff],
            &vip,
            &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x88, 0, 0x18, 0xfa, 0xa0, 0, 0, 0],
            &vip,
            &[2, 1, 0, 0, 0x5e, 0, 2, 0x33],
        ]
        .concat();
        assert_eq!(emitted(mac, true)[..], wanted, "ARP-30, ARP-31, ARP-33: R and O set, checksum 18fa");
    }

    #[test]
    fn arp_32_as_keepalived_announces_where_it_does_not_forward() {
        let frame = emitted([2, 0, 0, 0, 0, 1], false);
        assert_eq!(frame[54..62], [0x88, 0, 0xf7, 0x2c, 0x20, 0, 0, 0], "keepalived's own frame: O alone");
    }

    #[test]
    fn arp_31_the_checksum_covers_the_pseudo_header() {
        for (mac, router) in [([0, 0, 0x5e, 0, 2, 0x33], true), ([2, 0, 0, 0, 0, 9], false)] {
            let frame = emitted(mac, router);
            let pseudo = sum_of_pseudo_header(&frame);
            assert!(checksum::is_valid(checksum::sum(pseudo, &frame[54..])), "{frame:02x?}");
        }
    }

    /// From the bytes of the frame: source, destination, length 32, next header 58.
    fn sum_of_pseudo_header(frame: &[u8; NA_LEN]) -> u16 {
        checksum::sum(checksum::sum(0, &frame[22..54]), &[0, 0, 0, 32, 0, 0, 0, 58])
    }
}
