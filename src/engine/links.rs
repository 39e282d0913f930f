//! Interfaces and their addresses, as the kernel told them.

use super::{AddressChange, Link};
use crate::limits;
use crate::model::Cidr;
use std::net::{IpAddr, Ipv4Addr};

/// One address of an interface.
#[derive(Debug, Clone, Copy)]
struct Address {
    cidr: Cidr,
    ours: bool,
    secondary: bool,
    seen: bool,
}

/// One interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) link: Link,
    addresses: heapless::Vec<Address, { limits::INTERFACE_ADDRESSES_MAX }>,
    seen: bool,
}

/// All interfaces, sorted by index; at most [`limits::INTERFACES_MAX`], the surplus is counted and left out.
#[derive(Debug, Default)]
pub(super) struct Links {
    list: Vec<Interface>,
    pub(super) left_out: u32,
}

impl Links {
    fn position(&self, index: u32) -> Result<usize, usize> {
        self.list.binary_search_by_key(&index, |i| i.link.index)
    }

    pub(super) fn by_index(&self, index: u32) -> Option<&Interface> {
        self.position(index).ok().and_then(|at| self.list.get(at))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Interface> {
        self.list.iter().find(|i| i.link.name.as_str() == name)
    }

    /// Takes in an interface; tells whether anything is new.
    pub(super) fn set(&mut self, link: Link) -> bool {
        match self.position(link.index) {
            Ok(at) => match self.list.get_mut(at) {
                Some(interface) => {
                    interface.seen = true;
                    let changed = interface.link != link;
                    interface.link = link;
                    changed
                }
                None => false,
            },
            Err(_) if self.list.len() >= limits::INTERFACES_MAX => {
                self.left_out = self.left_out.saturating_add(1);
                false
            }
            Err(at) => {
                self.list.insert(at, Interface { link, addresses: heapless::Vec::new(), seen: true });
                true
            }
        }
    }

    /// Forgets an interface; tells whether it was known.
    pub(super) fn remove(&mut self, index: u32) -> bool {
        match self.position(index) {
            Ok(at) => {
                self.list.remove(at);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes in an address; tells whether the list of the interface is another one now.
    pub(super) fn address(&mut self, index: u32, cidr: Cidr, change: AddressChange) -> bool {
        let Some(interface) = self.position(index).ok().and_then(|at| self.list.get_mut(at)) else {
            return false;
        };
        let at = interface.addresses.iter().position(|a| a.cidr == cidr);
        match (change, at) {
            (AddressChange::Present { ours, secondary }, Some(at)) => {
                let Some(a) = interface.addresses.get_mut(at) else { return false };
                let changed = (a.ours, a.secondary) != (ours, secondary);
                *a = Address { cidr, ours, secondary, seen: true };
                changed
            }
            (AddressChange::Present { ours, secondary }, None) => {
                // A full list is only ever full of VIPs: those are not candidates for a source address, so
                // what is lost is an address beyond the sixteenth.
                if ours {
                    return false;
                }
                interface.addresses.push(Address { cidr, ours, secondary, seen: true }).is_ok()
            }
            (AddressChange::Gone, Some(at)) => {
                interface.addresses.remove(at);
                true
            }
            (AddressChange::Gone, None) => false,
        }
    }

    /// Is this address on the box, put there by somebody else than a vipd?
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.list.iter().any(|i| i.addresses.iter().any(|a| a.cidr.address == address))
    }

    /// All is about to be told anew.
    pub(super) fn forget_seen(&mut self) {
        for interface in &mut self.list {
            interface.seen = false;
            for a in &mut interface.addresses {
                a.seen = false;
            }
        }
    }

    /// All has been told: drops what was not.
    pub(super) fn drop_unseen(&mut self) {
        self.list.retain(|i| i.seen);
        for interface in &mut self.list {
            interface.addresses.retain(|a| a.seen);
        }
    }
}

impl Interface {
    /// Has the interface an address of somebody else's that the kernel deletes along with this one (RTNL-23)?
    /// Of the addresses of an IPv4 subnet the first is primary, and the others depend on it.
    pub(super) fn hangs_on(&self, vip: &Cidr) -> bool {
        let IpAddr::V4(first) = vip.address else { return false };
        let mask = u32::MAX.checked_shl(32 - u32::from(vip.prefix_len.min(32))).unwrap_or(0);
        let is_beside = |a: &&Address| match a.cidr.address {
            IpAddr::V4(v4) => {
                let net = |address: Ipv4Addr| u32::from(address) & mask;
                !a.ours && a.cidr.prefix_len == vip.prefix_len && v4 != first && net(v4) == net(first)
            }
            IpAddr::V6(_) => false,
        };
        let mut beside = self.addresses.iter().filter(is_beside).peekable();
        beside.peek().is_some() && beside.all(|a| a.secondary)
    }

    /// The source address for adverts: the first of that reach that is neither secondary nor put there by a
    /// vipd nor a VIP (PKT-25). The owner's VIP is an address of the interface itself, so with `owner` it
    /// will do, too.
    pub(super) fn source(
        &self,
        reach: Reach,
        is_vip: impl Fn(IpAddr) -> bool,
        owner: bool,
    ) -> Option<IpAddr> {
        let candidates = || self.addresses.iter().filter(|a| !a.ours && reach.covers(a.cidr.address));
        candidates()
            .find(|a| !a.secondary && !is_vip(a.cidr.address))
            .or_else(|| candidates().find(|a| !is_vip(a.cidr.address)))
            .or_else(|| candidates().find(|_| owner))
            .map(|a| a.cidr.address)
    }
}

/// Which kind of address is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// IPv4.
    V4,
    /// IPv6, this link alone (RFC 9568 §5.1.2.1).
    LinkLocal,
    /// IPv6, farther than this link.
    Global,
}

impl Reach {
    fn covers(self, address: IpAddr) -> bool {
        match (self, address) {
            (Reach::V4, IpAddr::V4(_)) => true,
            (Reach::LinkLocal, IpAddr::V6(v6)) => v6.is_unicast_link_local(),
            (Reach::Global, IpAddr::V6(v6)) => !v6.is_unicast_link_local(),
            (Reach::V4, IpAddr::V6(_)) | (Reach::LinkLocal | Reach::Global, IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{LinkKind, LinkName};

    fn link(index: u32) -> Link {
        Link {
            index,
            name: LinkName::new("eth0"),
            up: true,
            running: true,
            mac: Some([2; 6]),
            mtu: 1500,
            kind: LinkKind::Other,
            forwards_ipv6: true,
        }
    }

    fn cidr(text: &str) -> Cidr {
        Cidr { address: text.parse().unwrap(), prefix_len: 24 }
    }

    #[test]
    fn rtnl_23_what_hangs_on_a_vip_is_known() {
        let mut links = Links::default();
        links.set(link(3));
        let hangs = |links: &Links| links.by_index(3).unwrap().hangs_on(&cidr("192.168.1.100"));
        let there = |ours, secondary| AddressChange::Present { ours, secondary };
        assert!(!hangs(&links), "alone");
        links.address(3, cidr("192.168.2.1"), there(false, true));
        links.address(3, Cidr { prefix_len: 25, ..cidr("192.168.1.3") }, there(false, true));
        links.address(3, cidr("192.168.1.4"), there(true, true));
        assert!(!hangs(&links), "another subnet, another mask, and another vipd's");
        links.address(3, cidr("192.168.1.1"), there(false, true));
        assert!(hangs(&links));
        links.address(3, cidr("192.168.1.2"), there(false, false));
        assert!(!hangs(&links), "it hangs on the other one");
        let whole = Cidr { prefix_len: 0, ..cidr("10.0.0.1") };
        assert!(!links.by_index(3).unwrap().hangs_on(&whole));
    }

    #[test]
    fn source_is_the_first_primary_that_is_no_vip() {
        let mut links = Links::default();
        links.set(link(3));
        let there = |ours, secondary| AddressChange::Present { ours, secondary };
        links.address(3, cidr("10.0.0.100"), there(false, false));
        links.address(3, cidr("192.168.1.2"), there(false, true));
        links.address(3, cidr("192.168.1.1"), there(false, false));
        let interface = links.by_index(3).unwrap();
        let is_vip = |a: IpAddr| a == cidr("10.0.0.100").address;
        assert_eq!(
            interface.source(Reach::V4, is_vip, false),
            Some("192.168.1.1".parse().unwrap()),
            "a VIP is never a source"
        );
        links.address(3, cidr("192.168.1.1"), AddressChange::Gone);
        links.address(3, cidr("192.168.1.2"), AddressChange::Gone);
        let interface = links.by_index(3).unwrap();
        assert_eq!(interface.source(Reach::V4, is_vip, false), None);
        assert_eq!(
            interface.source(Reach::V4, is_vip, true),
            Some("10.0.0.100".parse().unwrap()),
            "PKT-25: the owner's own"
        );
    }

    #[test]
    fn a_dump_drops_what_it_does_not_tell() {
        let mut links = Links::default();
        links.set(link(3));
        links.set(link(4));
        links.address(3, cidr("192.168.1.1"), AddressChange::Present { ours: false, secondary: false });
        links.forget_seen();
        links.set(link(3));
        links.drop_unseen();
        assert!(links.by_index(4).is_none(), "RTNL-50: a missed DELLINK must not leave a ghost");
        assert_eq!(links.by_index(3).unwrap().source(Reach::V4, |_| false, false), None);
    }
}
