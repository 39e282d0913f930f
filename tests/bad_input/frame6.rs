//! Frames of IPv6, right ones and wrong ones, as in `frame.rs`.

use crate::frame::{checksum, hex};
use std::net::Ipv6Addr;

/// An Ethernet frame with an IPv6 datagram in it, field by field. `None` means: as it should be.
#[derive(Clone)]
pub(crate) struct Frame6 {
    /// Between the MAC addresses and the ethertype: a VLAN tag.
    pub(crate) tag: Vec<u8>,
    pub(crate) version: u8,
    pub(crate) payload_len: Option<u16>,
    pub(crate) next: u8,
    pub(crate) hops: u8,
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    /// Between the IPv6 header and the message.
    pub(crate) extension: Vec<u8>,
    pub(crate) message: Vec<u8>,
    /// Behind the datagram.
    pub(crate) padding: Vec<u8>,
}

impl Frame6 {
    /// An impeccable frame around `message`, from fe80::ff:fe00:1 to ff02::12.
    pub(crate) fn new(message: Vec<u8>) -> Frame6 {
        Frame6 {
            tag: Vec::new(),
            version: 6,
            payload_len: None,
            next: 112,
            hops: 255,
            source: "fe80::ff:fe00:1".parse().unwrap(),
            destination: "ff02::12".parse().unwrap(),
            extension: Vec::new(),
            message,
            padding: Vec::new(),
        }
    }

    /// The same, with the checksum put right for the addresses.
    pub(crate) fn summed(message: Vec<u8>) -> Frame6 {
        Frame6::new(message).sum()
    }

    /// Puts the checksum right, pseudo-header and whole payload; a message of less than eight bytes has none.
    pub(crate) fn sum(mut self) -> Frame6 {
        if self.message.len() >= 8 {
            self.message[6..8].fill(0);
            let mut all = [self.source.octets(), self.destination.octets()].concat();
            all.extend((self.message.len() as u32).to_be_bytes());
            all.extend([0, 0, 0, 112]);
            all.extend(&self.message);
            let sum = checksum(&all);
            self.message[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        self
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = hex("333300000012 020000000001");
        out.extend(&self.tag);
        out.extend(hex("86dd"));
        out.extend([self.version << 4 | 0x0c, 0, 0, 0]);
        let payload_len = (self.extension.len() + self.message.len()) as u16;
        out.extend(self.payload_len.unwrap_or(payload_len).to_be_bytes());
        out.extend([self.next, self.hops]);
        out.extend(self.source.octets());
        out.extend(self.destination.octets());
        for part in [&self.extension, &self.message, &self.padding] {
            out.extend(part);
        }
        out
    }
}
