//! Gratuitous ARP (protocols §4.1).

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
};
use std::net::Ipv4Addr;

/// Bytes that [`emit_garp`] writes; no padding is needed on a packet socket.
pub const GARP_LEN: usize = 42;

/// Writes a whole frame to `buf`: a broadcast ARP packet from `mac` with the virtual address `vip` as sender
/// and target. A request has the broadcast address as target hardware address, as keepalived and FRR send it
/// (ARP-1); a reply has `mac` there, or Linux would not take it for gratuitous (ARP-2). A buffer shorter than
/// [`GARP_LEN`] is a mistake of the caller and stays as it is.
pub fn emit_garp(mac: [u8; 6], vip: Ipv4Addr, reply: bool, buf: &mut [u8]) {
    let Some(frame) = buf.get_mut(..GARP_LEN) else {
        debug_assert!(false, "buffer is shorter than GARP_LEN");
        return;
    };
    let mac = EthernetAddress(mac);
    let mut frame = EthernetFrame::new_unchecked(frame);
    EthernetRepr { src_addr: mac, dst_addr: EthernetAddress::BROADCAST, ethertype: EthernetProtocol::Arp }
        .emit(&mut frame);
    let (operation, target_hardware_addr) =
        if reply { (ArpOperation::Reply, mac) } else { (ArpOperation::Request, EthernetAddress::BROADCAST) };
    ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: mac,
        source_protocol_addr: vip,
        target_hardware_addr,
        target_protocol_addr: vip,
    }
    .emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arp_6_request() {
        let wanted = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // request
            0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0xc0, 0x00, 0x02, 0x64, // sender
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0, 0x00, 0x02, 0x64, // target
        ];
        let mut buf = [0xaa; GARP_LEN + 1];
        emit_garp([0, 0, 0x5e, 0, 1, 0x33], Ipv4Addr::new(192, 0, 2, 100), false, &mut buf);
        assert_eq!(buf[..GARP_LEN], wanted, "ARP-6");
        assert_eq!(buf[GARP_LEN], 0xaa, "nothing is written behind the frame");
    }

    #[test]
    fn arp_2_arp_6_reply() {
        let wanted = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, // reply
            0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0xc0, 0x00, 0x02, 0x64, // sender
            0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0xc0, 0x00, 0x02, 0x64, // target
        ];
        let mut buf = [0xaa; GARP_LEN];
        emit_garp([0, 0, 0x5e, 0, 1, 0x33], Ipv4Addr::new(192, 0, 2, 100), true, &mut buf);
        assert_eq!(buf, wanted, "ARP-2, ARP-6: the target's hardware address is the sender's");
    }

    #[test]
    fn as_keepalived_announces() {
        let wanted = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xd2, 0xbf, 0xa3, 0x0b, 0xdd, 0x26, 0x08,
            0x06, // Ethernet
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // request
            0xd2, 0xbf, 0xa3, 0x0b, 0xdd, 0x26, 0x0a, 0x4d, 0x00, 0x65, // sender
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x4d, 0x00, 0x65, // target
        ];
        let mut buf = [0; GARP_LEN];
        emit_garp([0xd2, 0xbf, 0xa3, 0x0b, 0xdd, 0x26], Ipv4Addr::new(10, 77, 0, 101), false, &mut buf);
        assert_eq!(buf, wanted, "keepalived's own frame, captured");
    }
}
