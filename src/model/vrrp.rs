//! A virtual router as the user asked for it.

use super::{Cidr, IfName, Name};
use crate::time::Duration;
use core::fmt;
use std::net::Ipv4Addr;

pub use crate::wire::vrrp::Version;

/// Virtual router id, 1..=255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(u8);

impl Vrid {
    /// `None` for 0.
    pub const fn new(id: u8) -> Option<Self> {
        if id == 0 { None } else { Some(Vrid(id)) }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Priority 1..=255; 255 is the owner of the addresses. 0 exists on the wire only (resign).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The owner of the addresses (RFC 9568 §6.1).
    pub const OWNER: Priority = Priority(255);

    /// `None` for 0.
    pub const fn new(priority: u8) -> Option<Self> {
        if priority == 0 { None } else { Some(Priority(priority)) }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Is this router the owner of the addresses?
    pub const fn is_owner(self) -> bool {
        self.0 == 255
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A VRRPv2 simple-text password, zero padded to 8 bytes (PKT-4). `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthPass(pub [u8; 8]);

impl fmt::Debug for AuthPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthPass(...)")
    }
}

/// How adverts are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// VRRPv2 authentication type 1.
    Pass(AuthPass),
}

/// Which checksum a v3/IPv4 advert is sent with (PKT-36). Both are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChecksumForm {
    /// With the IPv4 pseudo-header: keepalived, FRR.
    #[default]
    PseudoHeader,
    /// The message alone: RFC 9568, Cisco, Juniper.
    MessageOnly,
    /// Begin with the pseudo-header, then as the peer does.
    Auto,
}

/// When and how often the VIPs are announced by gratuitous ARP (ARP-40 defaults).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garp {
    /// Time from the first burst to the second; zero for no second burst. Default 5 s.
    pub delay: Duration,
    /// Frames per VIP and burst, 1..=255. Default 5.
    pub repeat: u8,
    /// Period of later single announcements; zero for none. Default none.
    pub refresh: Duration,
}

impl Default for Garp {
    fn default() -> Self {
        Garp { delay: Duration::from_secs(5), repeat: 5, refresh: Duration::ZERO }
    }
}

/// `[[vrrp]]`: one virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The user's name for it.
    pub name: Name,
    /// Interface for adverts and addresses.
    pub interface: IfName,
    /// Virtual router id.
    pub vrid: Vrid,
    /// Protocol version; v2 by default, as keepalived's.
    pub version: Version,
    /// Configured priority; 100 by default.
    pub priority: Priority,
    /// Time between adverts. v2: whole seconds, 1..=255 s; v3: 10 ms ..= 40.95 s in steps of 10 ms.
    pub advert_interval: Duration,
    /// May we take over from a live router of lower priority? Default true.
    pub preempt: bool,
    /// Authentication; PASS only with v2.
    pub authentication: Authentication,
    /// Multicast group; 224.0.0.18 by default, or `[global] multicast_group4`.
    pub group: Ipv4Addr,
    /// The virtual addresses, in the order in which they are advertised; at least one.
    pub addresses: Vec<Cidr>,
    /// Checksum form of v3/IPv4 adverts sent.
    pub checksum: ChecksumForm,
    /// Announcements.
    pub garp: Garp,
    /// How long the kernel keeps a VIP when vipd no longer renews it; `None` for ever. Whole seconds, at
    /// least 2 s; 3 s by default.
    pub lease: Option<Duration>,
}
