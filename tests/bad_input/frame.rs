//! Frames, right ones and wrong ones. Nothing here uses the daemon's own emitters: a mistake of theirs must
//! show.

use std::net::Ipv4Addr;

/// An Ethernet frame with an IPv4 datagram in it, field by field. `None` means: as it should be.
#[derive(Clone)]
pub(crate) struct Frame {
    /// Between the MAC addresses and the ethertype: a VLAN tag.
    pub(crate) tag: Vec<u8>,
    pub(crate) ethertype: u16,
    pub(crate) version: u8,
    pub(crate) ihl: Option<u8>,
    pub(crate) total_len: Option<u16>,
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    /// Added to the right header checksum.
    pub(crate) checksum_off_by: u16,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) options: Vec<u8>,
    pub(crate) message: Vec<u8>,
    /// Behind the datagram.
    pub(crate) padding: Vec<u8>,
}

impl Frame {
    /// An impeccable frame around `message`, from 192.0.2.1 to 224.0.0.18.
    pub(crate) fn new(message: Vec<u8>) -> Frame {
        Frame {
            tag: Vec::new(),
            ethertype: 0x0800,
            version: 4,
            ihl: None,
            total_len: None,
            fragment: 0,
            ttl: 255,
            protocol: 112,
            checksum_off_by: 0,
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(224, 0, 0, 18),
            options: Vec::new(),
            message,
            padding: Vec::new(),
        }
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = hex("01005e000012 020000000001");
        out.extend(&self.tag);
        out.extend(self.ethertype.to_be_bytes());
        let header_len = 20 + self.options.len();
        let ihl = self.ihl.unwrap_or((header_len / 4) as u8);
        let total_len = self.total_len.unwrap_or((header_len + self.message.len()) as u16);
        let mut header = vec![self.version << 4 | ihl, 0xc0];
        header.extend(total_len.to_be_bytes());
        header.extend([0, 1]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header.extend(&self.options);
        let sum = checksum(&header).wrapping_add(self.checksum_off_by);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend(header);
        out.extend(&self.message);
        out.extend(&self.padding);
        out
    }
}

/// Reads hex; blanks do not count.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// The internet checksum, the slow and obvious way.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|w| u64::from(w[0]) * 256 + w.get(1).map_or(0, |b| u64::from(*b)));
    let total: u64 = words.sum();
    // 2^16 is 1 modulo 65535; a sum that is not zero never folds to zero.
    let folded = if total == 0 { 0 } else { (total - 1) % 65535 + 1 };
    !(folded as u16)
}

/// Puts the message-only checksum right.
pub(crate) fn summed(mut message: Vec<u8>) -> Vec<u8> {
    if message.len() >= 8 {
        message[6..8].fill(0);
        let sum = checksum(&message);
        message[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// Puts the checksum with the IPv4 pseudo-header of [`Frame::new`] right.
pub(crate) fn pseudo_summed(mut message: Vec<u8>) -> Vec<u8> {
    message[6..8].fill(0);
    let mut all = hex("c0000201 e0000012 0070");
    all.extend((message.len() as u16).to_be_bytes());
    all.extend(&message);
    let sum = checksum(&all);
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    message
}
