//! What can be combined, and why the rest cannot.

use std::fmt;

/// Who the other router is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Keepalived,
    Frr,
}

/// Which of the two speaks from a macvlan with the virtual router's MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VirtualMac {
    None,
    Ours,
    Theirs,
    Both,
}

impl VirtualMac {
    pub fn is_ours(self) -> bool {
        matches!(self, VirtualMac::Ours | VirtualMac::Both)
    }

    pub fn is_theirs(self) -> bool {
        matches!(self, VirtualMac::Theirs | VirtualMac::Both)
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Combination {
    pub peer: Peer,
    pub version: u8,
    pub ipv6: bool,
    pub unicast: bool,
    pub virtual_mac: VirtualMac,
    pub pass: bool,
}

impl Combination {
    /// The whole product.
    pub fn all() -> Vec<Combination> {
        let mut all = Vec::new();
        for peer in [Peer::Keepalived, Peer::Frr] {
            for (version, ipv6) in [(2, false), (3, false), (3, true), (2, true)] {
                for unicast in [false, true] {
                    for virtual_mac in
                        [VirtualMac::None, VirtualMac::Ours, VirtualMac::Theirs, VirtualMac::Both]
                    {
                        for pass in [false, true] {
                            all.push(Combination { peer, version, ipv6, unicast, virtual_mac, pass });
                        }
                    }
                }
            }
        }
        all
    }

    /// Why nobody can run this; the first reason of several. `None`: it is a row of the table.
    pub fn impossible(&self) -> Option<&'static str> {
        if self.version == 2 && self.ipv6 {
            return Some("VRRPv2 carries IPv4 alone (RFC 3768); vipd refuses it for IPv6");
        }
        if self.version == 3 && self.pass {
            return Some("VRRPv3 has no authentication (RFC 9568 \u{a7}9); vipd refuses PASS with it");
        }
        if self.peer == Peer::Frr && self.pass {
            return Some("FRR has no authentication: it takes type 0 alone");
        }
        if self.peer == Peer::Frr && self.unicast {
            return Some("FRR has no unicast peers");
        }
        if self.peer == Peer::Frr && !self.virtual_mac.is_theirs() {
            return Some("FRR always speaks from a macvlan with the virtual MAC");
        }
        None
    }

    /// Its virtual addresses with prefix lengths, in the order of the advert.
    pub fn addresses(&self) -> &'static [&'static str] {
        if self.ipv6 { &["fe80::100/64", "fd09::100/64"] } else { &["10.9.0.100/24"] }
    }

    /// The one that a host would use.
    pub fn address(&self) -> &'static str {
        if self.ipv6 { "fd09::100" } else { "10.9.0.100" }
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = match self.peer {
            Peer::Keepalived => "keepalived",
            Peer::Frr => "FRR",
        };
        let virtual_mac = match self.virtual_mac {
            VirtualMac::None => "neither",
            VirtualMac::Ours => "vipd",
            VirtualMac::Theirs => "peer",
            VirtualMac::Both => "both",
        };
        let family = if self.ipv6 { "IPv6" } else { "IPv4" };
        let transport = if self.unicast { "unicast" } else { "multicast" };
        let auth = if self.pass { "PASS" } else { "none" };
        let version = self.version;
        write!(f, "{peer:<10}  v{version}  {family}  {transport:<9}  {virtual_mac:<7}  {auth:<4}")
    }
}
