//! An own, small coder and decoder for what the routers say: a second opinion beside `vipd::wire`.

use std::net::Ipv4Addr;

/// Ones' complement of the ones' complement sum (RFC 1071).
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let mut sum: u32 =
        bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A VRRP advert over IPv4 with all that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    pub source_mac: [u8; 6],
    pub source: Ipv4Addr,
    pub group: Ipv4Addr,
    pub ttl: u8,
    pub tos: u8,
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    /// v2: 0 none, 1 PASS.
    pub auth_type: u8,
    /// v2: seconds. v3: centiseconds.
    pub interval: u16,
    pub addresses: Vec<Ipv4Addr>,
    /// v2 only.
    pub auth: [u8; 8],
    /// v3: is the pseudo-header in the checksum?
    pub pseudo_header: bool,
    /// Is the checksum right (in the form that `pseudo_header` says)?
    pub checksum_good: bool,
}

impl Advert {
    /// A good advert of the client for the group 224.0.0.18.
    pub fn new(version: u8, vrid: u8, priority: u8, interval: u16, address: &str) -> Self {
        Advert {
            source_mac: [2, 0, 0, 0, 0, 3],
            source: Ipv4Addr::new(10, 9, 0, 3),
            group: Ipv4Addr::new(224, 0, 0, 18),
            ttl: 255,
            tos: 0xc0,
            version,
            vrid,
            priority,
            auth_type: 0,
            interval,
            addresses: vec![address.parse().unwrap()],
            auth: [0; 8],
            pseudo_header: true,
            checksum_good: true,
        }
    }

    /// The VRRP message alone.
    pub fn message(&self) -> Vec<u8> {
        let mut m = vec![self.version << 4 | 1, self.vrid, self.priority, self.addresses.len() as u8];
        if self.version == 2 {
            m.extend([self.auth_type, self.interval as u8]);
        } else {
            m.extend((self.interval & 0xfff).to_be_bytes());
        }
        m.extend([0, 0]);
        self.addresses.iter().for_each(|a| m.extend(a.octets()));
        if self.version == 2 {
            m.extend(self.auth);
        }
        let sum = self.sum(&m) ^ if self.checksum_good { 0 } else { 0x5555 };
        m[6..8].copy_from_slice(&sum.to_be_bytes());
        m
    }

    /// The whole Ethernet frame.
    pub fn frame(&self) -> Vec<u8> {
        let message = self.message();
        let g = self.group.octets();
        let mut frame = vec![1, 0, 0x5e, g[1] & 0x7f, g[2], g[3]];
        frame.extend(self.source_mac);
        frame.extend([8, 0]);
        let mut header = vec![0x45, self.tos];
        header.extend((20 + message.len() as u16).to_be_bytes());
        header.extend([0, 1, 0, 0, self.ttl, 112, 0, 0]);
        header.extend(self.source.octets());
        header.extend(g);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(header);
        frame.extend(message);
        frame
    }

    /// `None` for anything else than a VRRP packet with a sane layout.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ip = frame.get(14..)?;
        if frame[12..14] != [8, 0] || ip.len() < 28 || ip[9] != 112 || ip[0] != 0x45 {
            return None;
        }
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let m = ip.get(20..total)?;
        let (version, count) = (m[0] >> 4, usize::from(m[3]));
        let address = |b: &[u8]| Ipv4Addr::new(b[0], b[1], b[2], b[3]);
        let mut advert = Advert {
            source_mac: frame[6..12].try_into().ok()?,
            source: address(&ip[12..]),
            group: address(&ip[16..]),
            ttl: ip[8],
            tos: ip[1],
            version,
            vrid: m[1],
            priority: m[2],
            auth_type: if version == 2 { m[4] } else { 0 },
            interval: if version == 2 { u16::from(m[5]) } else { u16::from_be_bytes([m[4], m[5]]) & 0xfff },
            addresses: m.get(8..8 + 4 * count)?.chunks(4).map(address).collect(),
            auth: [0; 8],
            pseudo_header: version == 3,
            checksum_good: true,
        };
        if version == 2 {
            advert.auth = m.get(8 + 4 * count..)?.try_into().ok()?;
        }
        let told = [m[6], m[7]];
        let mut zeroed = m.to_vec();
        zeroed[6..8].fill(0);
        if advert.sum(&zeroed).to_be_bytes() != told {
            advert.pseudo_header = false;
            advert.checksum_good = advert.sum(&zeroed).to_be_bytes() == told;
        }
        Some(advert)
    }

    fn sum(&self, message: &[u8]) -> u16 {
        if self.version == 3 && self.pseudo_header {
            let length = (message.len() as u16).to_be_bytes();
            return checksum(&[&self.source.octets(), &self.group.octets(), &[0, 112], &length, message]);
        }
        checksum(&[message])
    }
}

/// A gratuitous ARP: sender and target address are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garp {
    pub address: Ipv4Addr,
    pub mac: [u8; 6],
    pub request: bool,
}

impl Garp {
    /// `None` for any other frame.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let arp = frame.get(14..42)?;
        if frame[12..14] != [8, 6] || arp[14..18] != arp[24..28] {
            return None;
        }
        Some(Garp {
            address: Ipv4Addr::new(arp[14], arp[15], arp[16], arp[17]),
            mac: arp[8..14].try_into().ok()?,
            request: arp[7] == 1,
        })
    }
}
