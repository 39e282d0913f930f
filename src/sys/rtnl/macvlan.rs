//! Macvlans for virtual routers with a virtual MAC (protocols §3).

use super::requests::Requests;
use crate::engine::{LinkName, Refusal};
use crate::wire::netlink::Message;
use crate::wire::rtnetlink::{self, LinkKind, NewMacvlan, Notice, ipv4_setting, ipv6_setting};
use crate::wire::vrrp::Family;
use std::io::ErrorKind;

/// Reverse path filter, loose: the source must be reachable by some interface. The strict one (1) would drop
/// what clients send to the virtual address, because the way back leads through the base interface. Zero
/// would be undone by `all`, since the kernel takes the larger of the two; 2 is the larger one whatever `all`
/// says, so `all` need not be touched, and no other interface is weakened (VMAC-33).
const RP_FILTER_LOOSE: u32 = 2;

/// A macvlan to make.
#[derive(Debug, Clone, Copy)]
pub struct Macvlan {
    /// Index of the link below.
    pub parent: u32,
    /// Its name.
    pub name: LinkName,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Family of the virtual router.
    pub family: Family,
    /// It carries IPv6 addresses, too.
    pub with_ipv6: bool,
}

/// What is looked at in a link that is there.
#[derive(Debug, Clone, Copy)]
struct Found {
    index: u32,
    name: LinkName,
    mac: Option<[u8; 6]>,
    kind: LinkKind,
    group: u32,
    vrf: u32,
    forwarding4: Option<u32>,
    forwarding6: Option<u32>,
}

impl Found {
    /// Of the answer to a question for one link.
    fn read(message: &Message<'_>) -> Option<Self> {
        let Ok(Notice::Link(link)) = rtnetlink::parse(message) else { return None };
        Some(Found {
            index: link.index,
            name: LinkName::new(link.name),
            mac: link.mac,
            kind: link.kind,
            group: link.group,
            vrf: if link.is_in_vrf { link.master } else { 0 },
            forwarding4: link.ipv4_setting(ipv4_setting::FORWARDING),
            forwarding6: link.ipv6_setting(ipv6_setting::FORWARDING),
        })
    }

    const fn is_private_macvlan(&self) -> bool {
        matches!(self.kind, LinkKind::Macvlan { is_private: true, .. })
    }
}

/// Makes it, or takes over what a crashed run left (VMAC-4), and sets it up in the order of VMAC-20. It stays
/// down, or as it was. False: some setting could not be written, and a macvlan works without it (RTNL-62).
pub(super) fn make(requests: &mut Requests, buffer: &mut [u8], new: &Macvlan) -> Result<bool, Refusal> {
    let name = new.name.as_str();
    let parent = by_index(requests, buffer, new.parent)?;
    if parent.mac.is_none() {
        // No Ethernet, no virtual MAC (VMAC-5).
        return Err(Refusal::Invalid);
    }
    let create =
        NewMacvlan { parent: new.parent, name, mac: new.mac, group: parent.group, master: parent.vrf };
    let created =
        requests.ask(buffer, |batch, seq| rtnetlink::emit_create_macvlan(batch, seq, &create), &mut |_| {});
    let is_new = match created {
        Ok(()) => true,
        Err(Refusal::Exists) => false,
        Err(refusal) => return Err(refusal),
    };
    let found = by_name(requests, buffer, name)?;
    if !is_new && !is_ours(&found, &parent, new) {
        return Err(Refusal::Exists);
    }
    let result = set_up(requests, buffer, &found, &parent, new);
    if is_new && result.is_err() {
        // Half set up it would answer for what is not its own.
        let _ = requests.ask(
            buffer,
            |batch, seq| rtnetlink::emit_remove_link(batch, seq, found.index),
            &mut |_| {},
        );
    }
    result
}

/// On top of another macvlan the kernel attaches to the device below that (VMAC-6).
fn is_ours(found: &Found, parent: &Found, new: &Macvlan) -> bool {
    let LinkKind::Macvlan { parent: below, is_private: true } = found.kind else { return false };
    let is_on = |parent: &Found| match parent.kind {
        LinkKind::Macvlan { parent: lowest, .. } => below == lowest || below == parent.index,
        LinkKind::Other => below == parent.index,
    };
    is_on(parent) && found.mac == Some(new.mac)
}

fn set_up(
    requests: &mut Requests,
    buffer: &mut [u8],
    found: &Found,
    parent: &Found,
    new: &Macvlan,
) -> Result<bool, Refusal> {
    let (row, count) = match new.family {
        Family::V4 => (ipv4_settings(parent), 5),
        // Its IPv4 side has no addresses, and must not answer for those of others.
        Family::V6 => (ipv4_settings(parent), 2),
    };
    let row = row.get(..count).unwrap_or(&row);
    requests.ask(
        buffer,
        |batch, seq| rtnetlink::emit_ipv4_settings(batch, seq, found.index, row),
        &mut |_| {},
    )?;
    let with_ipv6 = new.with_ipv6 || new.family == Family::V6;
    let quiet = requests.ask(
        buffer,
        |batch, seq| rtnetlink::emit_address_generation_off(batch, seq, found.index),
        &mut |_| {},
    );
    match quiet {
        Ok(()) => {}
        // It would come up with an address that tells everybody the virtual MAC (VMAC-2).
        Err(refusal) if with_ipv6 => return Err(refusal),
        // A kernel without IPv6 has nothing to set.
        Err(_) => return Ok(true),
    }
    Ok(write_ipv6_settings(&found.name, with_ipv6, parent.forwarding6.unwrap_or(0)))
}

/// The first two count for both families (protocols §3.4).
fn ipv4_settings(parent: &Found) -> [(u16, u32); 5] {
    [
        (ipv4_setting::ARP_IGNORE, 1),
        // A virtual router forwards what its base interface would forward. It is down while Backup (VMAC-18).
        (ipv4_setting::FORWARDING, parent.forwarding4.unwrap_or(0)),
        (ipv4_setting::ACCEPT_LOCAL, 1),
        (ipv4_setting::RP_FILTER, RP_FILTER_LOOSE),
        (ipv4_setting::PROMOTE_SECONDARIES, 1),
    ]
}

/// Netlink does not know them; the path form works with every name (VMAC-35). IPv6 itself comes last, when
/// everything that it would do by itself is off (VMAC-20, VMAC-31); `forwarding` makes the kernel's neighbour
/// advertisements say that a router sent them (VMAC-36).
fn write_ipv6_settings(name: &LinkName, with_ipv6: bool, forwarding: u32) -> bool {
    let forwarding = if forwarding == 0 { "0\n" } else { "1\n" };
    let settings = [
        ("accept_ra", "0\n"),
        ("autoconf", "0\n"),
        ("accept_dad", "0\n"),
        ("dad_transmits", "0\n"),
        ("forwarding", forwarding),
        ("disable_ipv6", if with_ipv6 { "0\n" } else { "1\n" }),
    ];
    let mut is_complete = true;
    for (key, value) in settings {
        let path = format!("/proc/sys/net/ipv6/conf/{}/{key}", name.as_str());
        if let Err(e) = std::fs::write(&path, value) {
            // A kernel without IPv6 has nothing to write to.
            is_complete &= e.kind() == ErrorKind::NotFound && !with_ipv6;
            log::debug!("{path}: {e}");
        }
    }
    is_complete
}

/// Removes a macvlan of ours: private, and of that name. Any other is left alone (VMAC-4), also where the
/// index is another link's by now.
pub(super) fn remove(
    requests: &mut Requests,
    buffer: &mut [u8],
    index: u32,
    name: &LinkName,
) -> Result<(), Refusal> {
    let found = by_index(requests, buffer, index)?;
    if !found.is_private_macvlan() || found.name != *name {
        return Err(Refusal::Exists);
    }
    requests.ask(buffer, |batch, seq| rtnetlink::emit_remove_link(batch, seq, index), &mut |_| {})
}

fn by_index(requests: &mut Requests, buffer: &mut [u8], index: u32) -> Result<Found, Refusal> {
    let mut found = None;
    requests.ask(buffer, |batch, seq| rtnetlink::emit_get_link(batch, seq, index), &mut |message| {
        found = Found::read(message)
    })?;
    found.ok_or(Refusal::Interrupted)
}

fn by_name(requests: &mut Requests, buffer: &mut [u8], name: &str) -> Result<Found, Refusal> {
    let mut found = None;
    requests.ask(
        buffer,
        |batch, seq| rtnetlink::emit_get_link_by_name(batch, seq, name),
        &mut |message| found = Found::read(message),
    )?;
    found.ok_or(Refusal::Interrupted)
}
