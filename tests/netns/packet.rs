//! An own, small coder and decoder for what the routers say: a second opinion beside `vipd::wire`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// A VRRP advert with all that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    pub source_mac: [u8; 6],
    pub source: IpAddr,
    /// Multicast group, or the peer that it is meant for.
    pub group: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    /// v2: 0 none, 1 PASS.
    pub auth_type: u8,
    /// v2: seconds. v3: centiseconds.
    pub interval: u16,
    pub addresses: Vec<IpAddr>,
    /// v2 only.
    pub auth: [u8; 8],
    /// v3: is the pseudo-header in the checksum? Always over IPv6.
    pub pseudo_header: bool,
    /// Is the checksum right (in the form that `pseudo_header` says)?
    pub checksum_good: bool,
}

impl Advert {
    /// A good advert of the client for the group 224.0.0.18.
    pub fn new(version: u8, vrid: u8, priority: u8, interval: u16, address: &str) -> Self {
        Advert {
            source_mac: [2, 0, 0, 0, 0, 3],
            source: Ipv4Addr::new(10, 9, 0, 3).into(),
            group: Ipv4Addr::new(224, 0, 0, 18).into(),
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
        self.addresses.iter().for_each(|a| m.extend(octets(*a)));
        if self.version == 2 {
            m.extend(self.auth);
        }
        let sum = self.sum(&m) ^ if self.checksum_good { 0 } else { 0x5555 };
        m[6..8].copy_from_slice(&sum.to_be_bytes());
        m
    }

    /// The whole Ethernet frame, to the group's MAC.
    pub fn frame(&self) -> Vec<u8> {
        let message = self.message();
        let g = octets(self.group);
        let mut frame = match self.group {
            IpAddr::V4(_) => vec![1, 0, 0x5e, g[1] & 0x7f, g[2], g[3]],
            IpAddr::V6(_) => vec![0x33, 0x33, g[12], g[13], g[14], g[15]],
        };
        frame.extend(self.source_mac);
        let header = match self.group {
            IpAddr::V4(_) => {
                frame.extend([8, 0]);
                let mut header = vec![0x45, self.tos];
                header.extend((20 + message.len() as u16).to_be_bytes());
                header.extend([0, 1, 0, 0, self.ttl, 112, 0, 0]);
                header.extend(octets(self.source));
                header.extend(g);
                let sum = checksum(&[&header]);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header
            }
            IpAddr::V6(_) => {
                frame.extend([0x86, 0xdd]);
                let mut header = vec![0x60 | self.tos >> 4, self.tos << 4, 0, 0];
                header.extend((message.len() as u16).to_be_bytes());
                header.extend([112, self.ttl]);
                header.extend(octets(self.source));
                header.extend(g);
                header
            }
        };
        frame.extend(header);
        frame.extend(message);
        frame
    }

    /// `None` for anything else than a VRRP packet with a sane layout.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ip = Ip::parse(frame)?;
        if ip.protocol != 112 || ip.payload.len() < 8 {
            return None;
        }
        let m = ip.payload;
        let (version, count) = (m[0] >> 4, usize::from(m[3]));
        let width = octets(ip.source).len();
        let listed = m.get(8..8 + width * count)?.chunks(width).map(address).collect();
        let mut advert = Advert {
            source_mac: frame[6..12].try_into().ok()?,
            source: ip.source,
            group: ip.destination,
            ttl: ip.ttl,
            tos: ip.tos,
            version,
            vrid: m[1],
            priority: m[2],
            auth_type: if version == 2 { m[4] } else { 0 },
            interval: if version == 2 { u16::from(m[5]) } else { u16::from_be_bytes([m[4], m[5]]) & 0xfff },
            addresses: listed,
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
            let (source, group) = (octets(self.source), octets(self.group));
            let length = (message.len() as u16).to_be_bytes();
            return checksum(&[&source, &group, &[0, 112], &length, message]);
        }
        checksum(&[message])
    }
}

/// A gratuitous ARP (sender and target address are the same), or an unsolicited neighbour advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garp {
    pub address: IpAddr,
    /// The MAC that it tells.
    pub mac: [u8; 6],
    /// An ARP request; no ARP reply, no neighbour advertisement.
    pub request: bool,
}

impl Garp {
    /// `None` for any other frame.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        Self::parse_arp(frame).or_else(|| Self::parse_neighbour(frame))
    }

    fn parse_arp(frame: &[u8]) -> Option<Self> {
        let arp = frame.get(14..42)?;
        if frame[12..14] != [8, 6] || arp[14..18] != arp[24..28] {
            return None;
        }
        let request = arp[7] == 1;
        Some(Garp { address: address(&arp[14..18]), mac: arp[8..14].try_into().ok()?, request })
    }

    /// RFC 4861 §4.4: type 136, not solicited, with the option that tells the MAC.
    fn parse_neighbour(frame: &[u8]) -> Option<Self> {
        let ip = Ip::parse(frame)?;
        let m = ip.payload;
        if !ip.source.is_ipv6() || ip.protocol != 58 || m.first() != Some(&136) || m.get(4)? & 0x40 != 0 {
            return None;
        }
        let option = m.get(24..32).filter(|o| o[..2] == [2, 1])?;
        Some(Garp { address: address(m.get(8..24)?), mac: option[2..].try_into().ok()?, request: false })
    }
}

/// What an IP header says.
struct Ip<'a> {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    tos: u8,
    protocol: u8,
    /// Trimmed to the length that the header says.
    payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// IPv4 without options, IPv6 without extension headers.
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let ip = frame.get(14..)?;
        let word = |at: usize| Some(usize::from(u16::from_be_bytes(ip.get(at..at + 2)?.try_into().ok()?)));
        match (<[u8; 2]>::try_from(&frame[12..14]).ok()?, ip.first()? >> 4) {
            ([8, 0], 4) if ip[0] == 0x45 => Some(Ip {
                source: address(ip.get(12..16)?),
                destination: address(ip.get(16..20)?),
                ttl: ip[8],
                tos: ip[1],
                protocol: ip[9],
                payload: ip.get(20..word(2)?)?,
            }),
            ([0x86, 0xdd], 6) => Some(Ip {
                source: address(ip.get(8..24)?),
                destination: address(ip.get(24..40)?),
                ttl: ip[7],
                tos: ip[0] << 4 | ip[1] >> 4,
                protocol: ip[6],
                payload: ip.get(40..40 + word(4)?)?,
            }),
            _ => None,
        }
    }
}

/// The bytes of an address.
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// 4 bytes or 16.
fn address(bytes: &[u8]) -> IpAddr {
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => Ipv4Addr::from(four).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap()).into(),
    }
}
