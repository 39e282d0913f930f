//! Golden vectors: protocols §1.5 (G1 to G11) and what keepalived sent (keepalived §2.1). Both directions are
//! held against them.

use super::{AdvertOut, ChecksumForm, Expect, Version};
use crate::time::Duration;
use std::net::Ipv4Addr;

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
    pub(super) addresses: &'static [Ipv4Addr],
    pub(super) form: ChecksumForm,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
}

impl Golden {
    /// What an instance that wants to hear this would expect.
    pub(super) fn expect(&self) -> Expect {
        Expect {
            version: self.version,
            vrid: self.vrid,
            group: self.destination,
            authentication: self.auth,
            advert_interval: self.interval,
        }
    }

    /// The advert that emits it.
    pub(super) fn advert(&self) -> AdvertOut<'static> {
        AdvertOut {
            version: self.version,
            vrid: self.vrid,
            priority: self.priority,
            interval: self.interval,
            auth: self.auth,
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

/// Wraps a message in headers that smoltcp wrote: TTL 255, protocol 112.
pub(super) fn frame(source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr};
    let repr = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::from(112),
        payload_len: message.len(),
        hop_limit: 255,
    };
    let mut frame = bytes("01005e000012 020000000001 0800");
    frame.resize(14 + 20, 0);
    frame.extend_from_slice(message);
    repr.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &ChecksumCapabilities::default());
    frame
}

const fn ip(d: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, d)
}

const GROUP: Ipv4Addr = super::GROUP;
const SECOND: Duration = Duration::from_secs(1);
const KEEPALIVED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

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
    addresses: &[Ipv4Addr::new(10, 77, 0, 100)],
    source: KEEPALIVED,
    ..V2
};

const KEEPALIVED_V3: Golden = Golden {
    name: "keepalived v3",
    message: "3134c801 00321109 0a4d0065",
    vrid: 52,
    priority: 200,
    interval: Duration::from_millis(500),
    addresses: &[Ipv4Addr::new(10, 77, 0, 101)],
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

/// Every vector that concerns IPv4 and that we could have sent ourselves.
pub(super) const ALL: [Golden; 12] = [
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
