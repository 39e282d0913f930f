//! Golden vectors: protocols §1.5 (G1 to G12) and what keepalived sent (keepalived §2.1). Both directions are
//! held against them.

use super::{AdvertOut, AuthOut, ChecksumForm, Expect, ExpectAuth, Family, Version};
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One message and what it says.
pub(super) struct Golden {
    pub(super) name: &'static str,
    /// The VRRP message in hex.
    pub(super) message: &'static str,
    pub(super) version: Version,
    pub(super) vrid: u8,
    pub(super) priority: u8,
    pub(super) interval: Duration,
    pub(super) auth: Option<[u8; 8]>,
    pub(super) addresses: &'static [IpAddr],
    pub(super) form: ChecksumForm,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

impl Golden {
    /// What an instance that wants to hear this would expect.
    pub(super) fn expect(&self) -> Expect<'static> {
        Expect {
            version: self.version,
            family: self.family(),
            vrid: self.vrid,
            destination: self.destination,
            hops: (255, 255),
            authentication: self.auth.map_or(ExpectAuth::None, ExpectAuth::Pass),
            advert_interval: self.interval,
            may_be_empty: false,
        }
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.source)
    }

    /// The advert that emits it.
    pub(super) fn advert(&self) -> AdvertOut<'static> {
        AdvertOut {
            version: self.version,
            family: self.family(),
            vrid: self.vrid,
            priority: self.priority,
            interval: self.interval,
            auth: self.auth.map_or(AuthOut::None, AuthOut::Pass),
            addresses: self.addresses,
            checksum_form: self.form,
        }
    }

    /// The message inside a frame whose headers smoltcp wrote, not we.
    pub(super) fn frame(&self) -> Vec<u8> {
        frame(self.source, self.destination, &bytes(self.message))
    }
}

/// Reads hex; blanks do not count.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Wraps a message in headers that smoltcp wrote: TTL or hop limit 255, protocol 112.
pub(super) fn frame(source: IpAddr, destination: IpAddr, message: &[u8]) -> Vec<u8> {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{IpProtocol, IpRepr};
    let repr = IpRepr::new(source.into(), destination.into(), IpProtocol::from(112), message.len(), 255);
    let mut frame = match source {
        IpAddr::V4(_) => bytes("01005e000012 020000000001 0800"),
        IpAddr::V6(_) => bytes("333300000012 020000000001 86dd"),
    };
    frame.resize(14 + repr.header_len(), 0);
    frame.extend_from_slice(message);
    repr.emit(&mut frame[14..], &ChecksumCapabilities::default());
    frame
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(a: u16, b: u16, e: u16, f: u16, g: u16, h: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, e, f, g, h))
}

const fn ip(d: u8) -> IpAddr {
    v4(192, 0, 2, d)
}

const GROUP: IpAddr = IpAddr::V4(super::GROUP);
const SECOND: Duration = Duration::from_secs(1);
const KEEPALIVED: IpAddr = v4(10, 77, 0, 1);

/// A v2 vector without authentication, as a base for the others.
const V2: Golden = Golden {
    name: "G1",
    message: "21336401 0001b865 c0000264 00000000 00000000",
    version: Version::V2,
    vrid: 51,
    priority: 100,
    interval: SECOND,
    auth: None,
    addresses: &[ip(100)],
    form: ChecksumForm::MessageOnly,
    source: ip(1),
    destination: GROUP,
};

/// A v3 vector as a base for the others.
const V3: Golden = Golden {
    name: "G4",
    message: "310d6401 0064a825 c0000267",
    version: Version::V3,
    vrid: 13,
    addresses: &[ip(103)],
    ..V2
};

const KEEPALIVED_V2: Golden = Golden {
    name: "keepalived v2 PASS 1234",
    message: "21339601 0101d8b2 0a4d0064 31323334 00000000",
    priority: 150,
    auth: Some(*b"1234\0\0\0\0"),
    addresses: &[v4(10, 77, 0, 100)],
    source: KEEPALIVED,
    ..V2
};

const KEEPALIVED_V3: Golden = Golden {
    name: "keepalived v3",
    message: "3134c801 00321109 0a4d0065",
    vrid: 52,
    priority: 200,
    interval: Duration::from_millis(500),
    addresses: &[v4(10, 77, 0, 101)],
    form: ChecksumForm::PseudoHeader,
    source: KEEPALIVED,
    ..V3
};

const KEEPALIVED_V3_RESIGNS: Golden = Golden {
    name: "keepalived v3 resigns",
    message: "31340001 0032d909 0a4d0065",
    priority: 0,
    ..KEEPALIVED_V3
};

const G2: Golden = Golden {
    name: "G2",
    message: "210b6402 010192b9 c0000265 c000026f 31313131 00000000",
    vrid: 11,
    auth: Some(*b"1111\0\0\0\0"),
    addresses: &[ip(101), ip(111)],
    ..V2
};

const G8: Golden = Golden {
    name: "G8 message only",
    message: "3101ff01 0ffffdfb c0000201",
    vrid: 1,
    priority: 255,
    interval: Duration::from_millis(40_950),
    addresses: &[ip(1)],
    ..V3
};

/// Captured from keepalived: IPv6, two addresses.
const G7: Golden = Golden {
    name: "G7",
    message: "310f6402 00643f21 fe800000000000000000000000000100 20010db8000000000000000000000100",
    vrid: 15,
    addresses: &[v6(0xfe80, 0, 0, 0, 0, 0x100), v6(0x2001, 0xdb8, 0, 0, 0, 0x100)],
    form: ChecksumForm::PseudoHeader,
    source: v6(0xfe80, 0, 0, 0xff, 0xfe00, 1),
    destination: v6(0xff02, 0, 0, 0, 0, 0x12),
    ..V3
};

/// Every vector that we could have sent ourselves.
pub(super) const ALL: [Golden; 13] = [
    V2,
    G2,
    Golden { name: "G3", message: "21330001 00011c66 c0000264 00000000 00000000", priority: 0, ..V2 },
    V3,
    Golden { name: "G5", message: "310d6401 00640595 c0000267", form: ChecksumForm::PseudoHeader, ..V3 },
    Golden {
        name: "G6",
        message: "31116401 0064239d c000026b",
        vrid: 17,
        addresses: &[ip(107)],
        form: ChecksumForm::PseudoHeader,
        destination: ip(2),
        ..V3
    },
    G7,
    G8,
    Golden {
        name: "G8 pseudo-header",
        message: "3101ff01 0fff5b6b c0000201",
        form: ChecksumForm::PseudoHeader,
        ..G8
    },
    KEEPALIVED_V2,
    KEEPALIVED_V3,
    KEEPALIVED_V3_RESIGNS,
    Golden {
        name: "keepalived v2 resigns",
        message: "21330001 01016eb3 0a4d0064 31323334 00000000",
        priority: 0,
        ..KEEPALIVED_V2
    },
];

/// G4 with the reserved nibble set: received, never sent (PKT-10).
pub(super) const G9: Golden = Golden { name: "G9", message: "310d6401 f064b824 c0000267", ..V3 };

/// keepalived's IPv4 headers behind an Ethernet header from 02:00:00:00:00:01, each with its message and its
/// IPv4 identification. The first is G11.
pub(super) const FRAMES: [(Golden, u16, &str); 4] = [
    (G2, 1, "01005e000012 020000000001 0800 45c0002c 00010000 ff70188d c0000201 e0000012"),
    (KEEPALIVED_V2, 1, "01005e000012 020000000001 0800 45c00028 00010000 ff70d044 0a4d0001 e0000012"),
    (KEEPALIVED_V3, 1, "01005e000012 020000000001 0800 45c00020 00010000 ff70d04c 0a4d0001 e0000012"),
    (
        KEEPALIVED_V3_RESIGNS,
        10,
        "01005e000012 020000000001 0800 45c00020 000a0000 ff70d043 0a4d0001 e0000012",
    ),
];

/// keepalived's v2 AH advert with password `1111`.
pub(super) const G12: &str = "01005e000012 020000000001 0800 \
    45c00040 00010000 ff3318b6 c0000201 e0000012 \
    70040000 c0000201 00000001 62c8ac9bc6e36e395d6e2598 \
    210c6401 0201b68a c0000266 0000000000000000";
