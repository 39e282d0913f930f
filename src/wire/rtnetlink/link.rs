//! Links (`linux/if_link.h`; RTNL-40, RTNL-41, VMAC-3..VMAC-36).

use super::super::netlink::{
    AF_INET, AF_INET6, Attribute, Attributes, Batch, Body, Malformed, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP,
    NLM_F_EXCL, NLM_F_REQUEST, NoRoom,
};
use super::{Notice, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, index};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_WIRELESS: u16 = 11;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_MACVLAN_MODE: u16 = 1;
const MACVLAN_MODE_PRIVATE: u32 = 1;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
/// Leave the counters out of a dump of links.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
/// `struct ifinfomsg`: family u8, pad u8, type u16, index s32, flags u32, change u32.
const IFINFOMSG_LEN: usize = 16;
const ARPHRD_ETHER: u16 = 1;
const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;
const IFF_NOARP: u32 = 0x80;

/// Numbers of the IPv4 settings of an interface (`linux/ip.h`, IPV4_DEVCONF_*).
pub mod ipv4_setting {
    /// `forwarding`.
    pub const FORWARDING: u16 = 1;
    /// `rp_filter`.
    pub const RP_FILTER: u16 = 8;
    /// `arp_filter`.
    pub const ARP_FILTER: u16 = 13;
    /// `arp_announce`.
    pub const ARP_ANNOUNCE: u16 = 18;
    /// `arp_ignore`.
    pub const ARP_IGNORE: u16 = 19;
    /// `promote_secondaries`.
    pub const PROMOTE_SECONDARIES: u16 = 20;
    /// `accept_local`.
    pub const ACCEPT_LOCAL: u16 = 23;
}

/// Numbers of the IPv6 settings of an interface (`linux/ipv6.h`, DEVCONF_*).
pub mod ipv6_setting {
    /// `forwarding`.
    pub const FORWARDING: u16 = 0;
}

/// A link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// Not zero.
    pub index: u32,
    /// At most 15 bytes; empty where it is not UTF-8.
    pub name: &'a str,
    /// IFF_UP: wanted up.
    pub up: bool,
    /// IFF_RUNNING: able to carry packets (RTNL-40).
    pub running: bool,
    /// IFF_NOARP.
    pub no_arp: bool,
    /// Where it is an Ethernet and the address has 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// In bytes.
    pub mtu: u32,
    /// What device it is.
    pub kind: LinkKind,
    /// IFLA_GROUP: a number that the administrator gives to some links; 0 by default.
    pub group: u32,
    /// IFLA_MASTER: the bridge, bond or VRF that it belongs to; 0: none.
    pub master: u32,
    /// The master is a bridge.
    pub is_bridge_port: bool,
    /// The master is a VRF.
    pub is_in_vrf: bool,
    /// IFLA_INET_CONF as it came; for [`Link::ipv4_setting`].
    pub ipv4_settings: &'a [u8],
    /// IFLA_INET6_CONF as it came; for [`Link::ipv6_setting`].
    pub ipv6_settings: &'a [u8],
}

/// What device a link is, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// A macvlan.
    Macvlan {
        /// Index of its parent; 0 where that is in another namespace (RTNL-60).
        parent: u32,
        /// Mode private (VMAC-10).
        is_private: bool,
    },
    /// Anything else.
    Other,
}

impl Link<'_> {
    /// One of [`ipv4_setting`]'s numbers. The kernel sends them as a row, from number 1.
    pub fn ipv4_setting(&self, number: u16) -> Option<u32> {
        at(self.ipv4_settings, usize::from(number).checked_sub(1)?)
    }

    /// One of [`ipv6_setting`]'s numbers. The kernel sends them as a row, from number 0.
    pub fn ipv6_setting(&self, number: u16) -> Option<u32> {
        at(self.ipv6_settings, usize::from(number))
    }
}

fn at(row: &[u8], place: usize) -> Option<u32> {
    row.get(place * 4..)?.first_chunk().map(|raw| u32::from_ne_bytes(*raw))
}

pub(super) fn parse(payload: &[u8], gone: bool) -> Result<Notice<'_>, Malformed> {
    let Some(([family, _, type0, type1, i0, i1, i2, i3, f0, f1, f2, f3, ..], rest)) =
        payload.split_first_chunk::<IFINFOMSG_LEN>()
    else {
        return Err(Malformed::Short("ifinfomsg"));
    };
    // A bridge tells of its ports by the same types under AF_BRIDGE: a port that leaves is no link that is
    // gone.
    if *family != 0 {
        return Ok(Notice::Other);
    }
    let index = index([*i0, *i1, *i2, *i3])?;
    if gone {
        return Ok(Notice::LinkGone { index });
    }
    let is_ethernet = u16::from_ne_bytes([*type0, *type1]) == ARPHRD_ETHER;
    let flags = u32::from_ne_bytes([*f0, *f1, *f2, *f3]);
    let (mut name, mut mac, mut mtu) = (None, None, None);
    let (mut parent, mut is_foreign, mut group, mut master) = (0, false, 0, 0);
    let mut info = Info::default();
    let (mut ipv4_settings, mut ipv6_settings): (&[u8], &[u8]) = (&[], &[]);
    for attribute in Attributes::new(rest) {
        let attribute = attribute?;
        match attribute.kind {
            // A wireless event is no description of the link: it has neither address nor MTU.
            IFLA_WIRELESS => return Ok(Notice::Other),
            IFLA_IFNAME => name = Some(attribute.text()),
            IFLA_ADDRESS if is_ethernet => mac = attribute.value.try_into().ok(),
            IFLA_MTU => mtu = Some(attribute.u32()?),
            IFLA_LINK => parent = attribute.u32()?,
            IFLA_LINK_NETNSID => is_foreign = true,
            IFLA_GROUP => group = attribute.u32()?,
            IFLA_MASTER => master = attribute.u32()?,
            IFLA_LINKINFO => info = parse_info(&attribute)?,
            IFLA_AF_SPEC => (ipv4_settings, ipv6_settings) = parse_settings(&attribute)?,
            _ => {}
        }
    }
    let name = super::name(name.ok_or(Malformed::Missing("IFLA_IFNAME"))?)?;
    let is_port_of = |kind: &[u8]| master != 0 && info.slave_kind == kind;
    Ok(Notice::Link(Link {
        index,
        name,
        up: flags & IFF_UP != 0,
        running: flags & IFF_RUNNING != 0,
        no_arp: flags & IFF_NOARP != 0,
        mac,
        mtu: mtu.ok_or(Malformed::Missing("IFLA_MTU"))?,
        kind: if info.kind == b"macvlan" {
            let is_private = info.macvlan_mode == Some(MACVLAN_MODE_PRIVATE);
            LinkKind::Macvlan { parent: if is_foreign { 0 } else { parent }, is_private }
        } else {
            LinkKind::Other
        },
        group,
        master,
        is_bridge_port: is_port_of(b"bridge"),
        is_in_vrf: is_port_of(b"vrf"),
        ipv4_settings,
        ipv6_settings,
    }))
}

/// Of IFLA_LINKINFO.
#[derive(Default)]
struct Info<'a> {
    kind: &'a [u8],
    slave_kind: &'a [u8],
    macvlan_mode: Option<u32>,
}

fn parse_info<'a>(attribute: &Attribute<'a>) -> Result<Info<'a>, Malformed> {
    let mut info = Info::default();
    let mut data = None;
    for inner in attribute.nested() {
        let inner = inner?;
        match inner.kind {
            IFLA_INFO_KIND => info.kind = inner.text(),
            IFLA_INFO_SLAVE_KIND => info.slave_kind = inner.text(),
            IFLA_INFO_DATA => data = Some(inner),
            _ => {}
        }
    }
    // What the data mean depends on the kind, whichever came first; of other kinds they are not looked into.
    if let Some(data) = data.filter(|_| info.kind == b"macvlan") {
        for inner in data.nested() {
            let inner = inner?;
            if inner.kind == IFLA_MACVLAN_MODE {
                info.macvlan_mode = Some(inner.u32()?);
            }
        }
    }
    Ok(info)
}

fn parse_settings<'a>(attribute: &Attribute<'a>) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    let (mut ipv4, mut ipv6): (&[u8], &[u8]) = (&[], &[]);
    for family in attribute.nested() {
        let family = family?;
        let (row, wanted) = match family.kind {
            kind if kind == u16::from(AF_INET) => (&mut ipv4, IFLA_INET_CONF),
            kind if kind == u16::from(AF_INET6) => (&mut ipv6, IFLA_INET6_CONF),
            _ => continue,
        };
        for inner in family.nested() {
            let inner = inner?;
            if inner.kind == wanted {
                *row = inner.value;
            }
        }
    }
    Ok((ipv4, ipv6))
}

/// Asks for all links.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_links(batch: &mut Batch<'_>, seq: u32) -> Result<(), NoRoom> {
    batch.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, seq, |body| {
        head(body, 0, 0, 0);
        body.attribute_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    })
}

/// Asks for one link, and for an acknowledgement after it.
///
/// # Errors
/// No room in the batch.
pub fn emit_get_link(batch: &mut Batch<'_>, seq: u32, index: u32) -> Result<(), NoRoom> {
    batch.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        head(body, index, 0, 0);
        body.attribute_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    })
}

/// As [`emit_get_link`], by name.
///
/// # Errors
/// No room in the batch.
pub fn emit_get_link_by_name(batch: &mut Batch<'_>, seq: u32, name: &str) -> Result<(), NoRoom> {
    batch.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        head(body, 0, 0, 0);
        body.attribute(IFLA_IFNAME, name.as_bytes());
        body.attribute_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    })
}

/// A macvlan to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMacvlan<'a> {
    /// Index of the link below.
    pub parent: u32,
    /// Its name, at most 15 bytes: the kernel refuses more (VMAC-3).
    pub name: &'a str,
    /// Its MAC.
    pub mac: [u8; 6],
    /// IFLA_GROUP (VMAC-22).
    pub group: u32,
    /// VRF that it belongs to; 0: none (VMAC-22).
    pub master: u32,
}

/// Makes a macvlan in private mode (VMAC-10), down; refused where the name is taken (VMAC-23). Wants an
/// answer, as do all that follow.
///
/// # Errors
/// No room in the batch.
pub fn emit_create_macvlan(batch: &mut Batch<'_>, seq: u32, new: &NewMacvlan<'_>) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    batch.message(RTM_NEWLINK, flags, seq, |body| {
        head(body, 0, 0, 0);
        body.nest(IFLA_LINKINFO, |info| {
            info.attribute(IFLA_INFO_KIND, b"macvlan");
            info.nest(IFLA_INFO_DATA, |data| data.attribute_u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE));
        });
        body.attribute_u32(IFLA_LINK, new.parent);
        body.attribute(IFLA_IFNAME, new.name.as_bytes());
        body.attribute_u32(IFLA_GROUP, new.group);
        body.attribute(IFLA_ADDRESS, &new.mac);
        if new.master != 0 {
            body.attribute_u32(IFLA_MASTER, new.master);
        }
    })
}

/// Changes IPv4 settings of a link: [`ipv4_setting`]'s numbers and their values (VMAC-21, VMAC-35).
///
/// # Errors
/// No room in the batch.
pub fn emit_ipv4_settings(
    batch: &mut Batch<'_>,
    seq: u32,
    index: u32,
    settings: &[(u16, u32)],
) -> Result<(), NoRoom> {
    batch.message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        head(body, index, 0, 0);
        body.nest(IFLA_AF_SPEC, |families| {
            families.nest(u16::from(AF_INET), |family| {
                family.nest(IFLA_INET_CONF, |row| {
                    for (number, value) in settings {
                        row.attribute_u32(*number, *value);
                    }
                });
            });
        });
    })
}

/// The kernel is to give a link no IPv6 address of its own making. Before the link comes up (VMAC-20).
///
/// # Errors
/// No room in the batch.
pub fn emit_address_generation_off(batch: &mut Batch<'_>, seq: u32, index: u32) -> Result<(), NoRoom> {
    batch.message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        head(body, index, 0, 0);
        body.nest(IFLA_AF_SPEC, |families| {
            families.nest(u16::from(AF_INET6), |family| {
                family.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
            });
        });
    })
}

/// Brings a link up or down.
///
/// # Errors
/// No room in the batch.
pub fn emit_set_link(batch: &mut Batch<'_>, seq: u32, index: u32, up: bool) -> Result<(), NoRoom> {
    batch.message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, seq, |body| {
        head(body, index, if up { IFF_UP } else { 0 }, IFF_UP);
    })
}

/// Removes a link.
///
/// # Errors
/// No room in the batch.
pub fn emit_remove_link(batch: &mut Batch<'_>, seq: u32, index: u32) -> Result<(), NoRoom> {
    batch.message(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, seq, |body| head(body, index, 0, 0))
}

/// AF_UNSPEC (VMAC-21) and no type.
fn head(body: &mut Body<'_>, index: u32, flags: u32, change: u32) {
    body.bytes(&[0; 4]);
    for number in [index, flags, change] {
        body.bytes(&number.to_ne_bytes());
    }
}
