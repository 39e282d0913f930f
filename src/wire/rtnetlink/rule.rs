//! Policy rules (`linux/fib_rules.h`; RTNL-32, RTNL-33).

use super::super::netlink::{
    AF_INET, AF_INET6, Attributes, Batch, Body, Malformed, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL,
    NLM_F_REQUEST, NoRoom,
};
use super::{PROTOCOL, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, emit_ip, ip, net};
use std::net::IpAddr;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;
/// `struct fib_rule_hdr`: family, destination length, source length, TOS, table, two of nothing, action (u8
/// each), flags u32.
const FIB_RULE_HDR_LEN: usize = 12;
const FIB_RULE_INVERT: u32 = 2;
const RT_TABLE_UNSPEC: u8 = 0;

/// Look up a table.
pub const FR_ACT_TO_TBL: u8 = 1;
/// Drop silently.
pub const FR_ACT_BLACKHOLE: u8 = 6;
/// Drop, ICMP unreachable.
pub const FR_ACT_UNREACHABLE: u8 = 7;
/// Drop, ICMP prohibited.
pub const FR_ACT_PROHIBIT: u8 = 8;

/// A rule: told, to add or to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// IPv6?
    pub is_ipv6: bool,
    /// Source net.
    pub from: Option<(IpAddr, u8)>,
    /// Destination net.
    pub to: Option<(IpAddr, u8)>,
    /// Incoming interface; empty: any.
    pub input: &'a str,
    /// Outgoing interface; empty: any.
    pub output: &'a str,
    /// Firewall mark and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// Type of service; 0: any.
    pub tos: u8,
    /// Its place.
    pub priority: u32,
    /// FR_ACT_*.
    pub action: u8,
    /// Table of FR_ACT_TO_TBL.
    pub table: u32,
    /// FRA_PROTOCOL of one that is told; ours in one that is sent.
    pub protocol: u8,
}

/// `None`: of another family, or with something that cannot be configured (inverted, ports, users, ...), so
/// that it is never taken for one that can.
pub(super) fn parse(payload: &[u8]) -> Result<Option<Rule<'_>>, Malformed> {
    let Some((head, rest)) = payload.split_first_chunk::<FIB_RULE_HDR_LEN>() else {
        return Err(Malformed::Short("fib_rule_hdr"));
    };
    let [family, dst_len, src_len, tos, table, _, _, action, f0, f1, f2, f3] = *head;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    if family != AF_INET && family != AF_INET6 {
        return Ok(None);
    }
    let mut is_special = flags & FIB_RULE_INVERT != 0;
    let (mut from, mut to, mut mark, mut mask) = (None, None, None, None);
    let (mut input, mut output) = ("", "");
    let (mut priority, mut table, mut protocol) = (0, u32::from(table), 0);
    for attribute in Attributes::new(rest) {
        let attribute = attribute?;
        match attribute.kind {
            FRA_DST => to = Some(ip(family, attribute.value)?),
            FRA_SRC => from = Some(ip(family, attribute.value)?),
            FRA_IIFNAME => input = super::name(attribute.text())?,
            FRA_OIFNAME => output = super::name(attribute.text())?,
            FRA_PRIORITY => priority = attribute.u32()?,
            FRA_FWMARK => mark = Some(attribute.u32()?),
            FRA_FWMASK => mask = Some(attribute.u32()?),
            FRA_TABLE => table = attribute.u32()?,
            FRA_PROTOCOL => protocol = attribute.u8()?,
            // The kernel tells it of every rule; -1 is none.
            FRA_SUPPRESS_PREFIXLEN => is_special |= attribute.u32()? != u32::MAX,
            FRA_PAD => {}
            _ => is_special = true,
        }
    }
    let side = |address: Option<IpAddr>, len: u8| match (address, len) {
        (None, 0) => Ok(None),
        (address, len) => net(family, address, len).map(Some),
    };
    let (from, to) = (side(from, src_len)?, side(to, dst_len)?);
    if is_special {
        return Ok(None);
    }
    let fwmark = match (mark, mask) {
        (None, None) => None,
        (mark, mask) => Some((mark.unwrap_or(0), mask.unwrap_or(u32::MAX))),
    };
    let is_ipv6 = family == AF_INET6;
    Ok(Some(Rule { is_ipv6, from, to, input, output, fwmark, tos, priority, action, table, protocol }))
}

/// Asks for all rules of all families.
///
/// # Errors
/// No room in the batch.
pub fn emit_dump_rules(batch: &mut Batch<'_>, seq: u32) -> Result<(), NoRoom> {
    batch.message(RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, seq, |body| body.bytes(&[0; FIB_RULE_HDR_LEN]))
}

/// Adds a rule; refused where it is there already (without NLM_F_EXCL there would be two).
///
/// # Errors
/// No room in the batch.
pub fn emit_add_rule(batch: &mut Batch<'_>, seq: u32, rule: &Rule<'_>) -> Result<(), NoRoom> {
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    batch.message(RTM_NEWRULE, flags, seq, |body| emit(body, rule))
}

/// Removes a rule, if it carries our protocol number: never somebody else's.
///
/// # Errors
/// No room in the batch.
pub fn emit_remove_rule(batch: &mut Batch<'_>, seq: u32, rule: &Rule<'_>) -> Result<(), NoRoom> {
    batch.message(RTM_DELRULE, NLM_F_REQUEST | NLM_F_ACK, seq, |body| emit(body, rule))
}

fn emit(body: &mut Body<'_>, rule: &Rule<'_>) {
    let len = |side: Option<(IpAddr, u8)>| side.map_or(0, |(_, len)| len);
    let family = if rule.is_ipv6 { AF_INET6 } else { AF_INET };
    let table = u8::try_from(rule.table).unwrap_or(RT_TABLE_UNSPEC);
    body.bytes(&[family, len(rule.to), len(rule.from), rule.tos, table, 0, 0, rule.action]);
    body.bytes(&[0; 4]);
    // The lengths must match the attributes that are there (RTNL-32).
    for (kind, side) in [(FRA_DST, rule.to), (FRA_SRC, rule.from)] {
        if let Some((address, 1..)) = side {
            emit_ip(body, kind, address);
        }
    }
    for (kind, name) in [(FRA_IIFNAME, rule.input), (FRA_OIFNAME, rule.output)] {
        if !name.is_empty() {
            body.attribute(kind, name.as_bytes());
        }
    }
    body.attribute_u32(FRA_PRIORITY, rule.priority);
    if let Some((mark, mask)) = rule.fwmark {
        body.attribute_u32(FRA_FWMARK, mark);
        body.attribute_u32(FRA_FWMASK, mask);
    }
    if table == RT_TABLE_UNSPEC {
        body.attribute_u32(FRA_TABLE, rule.table);
    }
    body.attribute(FRA_PROTOCOL, &[PROTOCOL]);
}
