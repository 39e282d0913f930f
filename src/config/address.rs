//! Virtual and static addresses.

use super::reader::{Table, Value};
use super::report::{At, Problem, Report};
use super::suggest::shown;
use super::values::{self, family_of};
use crate::limits;
use crate::model::{AddressOptions, Cidr, IfName, Scope, VirtualAddress};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use toml::de::DeValue;

/// Names of scopes (`/etc/iproute2/rt_scopes`).
const SCOPES: [(&str, Scope); 4] =
    [("global", Scope::GLOBAL), ("site", Scope::SITE), ("link", Scope::LINK), ("host", Scope::HOST)];

/// A list of addresses; `interface` is where they go that name none.
pub(super) fn list(
    table: &mut Table<'_>,
    key: &'static str,
    interface: Option<&IfName>,
    report: &mut Report<'_>,
) -> Vec<At<VirtualAddress>> {
    let Some(list) = table.list(key, report) else { return Vec::new() };
    if let Some(first) = list.get(limits::ADDRESSES_MAX) {
        report.error(first.at, format!("more than {} addresses in `{key}`", limits::ADDRESSES_MAX), "");
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for item in list.into_iter().take(limits::ADDRESSES_MAX) {
        let Some(read) = address(item, interface, report) else { continue };
        let place = read.value.interface.as_ref().or(interface).cloned();
        if !seen.insert((read.value.cidr.address, place)) {
            let what = format!("{} is given twice in `{key}`", read.value.cidr.address);
            report.error(read.at, what, "Leave one out.");
            continue;
        }
        out.push(read);
    }
    out
}

/// `"10.0.0.100/24"`, or `{ address, interface, ... }`.
fn address(item: Value<'_>, default: Option<&IfName>, report: &mut Report<'_>) -> Option<At<VirtualAddress>> {
    let DeValue::Table(_) = item.value else {
        let read = item.parsed(virtual_address, report)?;
        warn_of_net(read, report);
        let options = AddressOptions { deprecated: is_deprecated(read.value), ..AddressOptions::default() };
        return Some(read.map(|cidr| VirtualAddress { cidr, interface: None, options }));
    };
    let mut table = item.table("addresses", report)?;
    let cidr = table.parsed("address", virtual_address, report);
    table.require("address", "address = \"10.0.0.100/24\"");
    let interface = table.parsed("interface", values::interface, report).map(|read| read.value);
    let label = table.parsed("label", label, report);
    let scope = table.get("scope").and_then(|value| scope(value, report));
    let peer = table.parsed("peer", |text| values::cidr(text, 1), report);
    let broadcast = table.get("broadcast");
    let broadcast = broadcast.and_then(|value| self::broadcast(value, cidr.map(|read| read.value), report));
    let deprecated = table.boolean("deprecated", report);
    let prefix_route = table.flag("prefix_route", true, report);
    let track = table.flag("track", true, report);
    if let Some(cidr) = cidr {
        only_ipv4(&table, cidr.value, report);
        if peer.is_none() && cidr.value.prefix_len > 0 {
            warn_of_net(cidr, report);
        }
    }
    if let (Some(label), Some(interface)) = (&label, interface.as_ref().or(default)) {
        begins_with(label, interface, report);
    }
    if let (Some(cidr), Some(peer)) = (cidr, peer)
        && cidr.value.address.is_ipv6() != peer.value.address.is_ipv6()
    {
        let [own, its] = [cidr.value.address, peer.value.address].map(family_of);
        report.error(peer.at, format!("`peer`: {its}, while the address is {own}"), "");
    }
    table.finish(report);
    let mut cidr = cidr?;
    if peer.is_some() {
        // The kernel keeps the prefix length with the peer; our own end is a host, and told as one.
        cidr.value.prefix_len = if cidr.value.address.is_ipv4() { 32 } else { 128 };
    }
    let options = AddressOptions {
        label: label.map(|label| label.value),
        scope: scope.unwrap_or_default(),
        peer: peer.map(|peer| peer.value),
        broadcast,
        deprecated: deprecated.map_or(is_deprecated(cidr.value), |read| read.value),
        no_prefix_route: !prefix_route,
        no_track: !track,
    };
    Some(cidr.map(|cidr| VirtualAddress { cidr, interface, options }))
}

/// ARP-35: a global IPv6 address for a single host is no source unless somebody asks for it.
fn is_deprecated(cidr: Cidr) -> bool {
    match cidr.address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => cidr.prefix_len == 128 && !v6.is_unicast_link_local(),
    }
}

/// What the kernel knows of IPv4 addresses only.
fn only_ipv4(table: &Table<'_>, cidr: Cidr, report: &mut Report<'_>) {
    if cidr.address.is_ipv6() {
        for key in ["label", "broadcast", "scope"].into_iter().filter(|key| table.has(key)) {
            let what = format!("`{key}`: an IPv6 address has none that could be set");
            report.error(table.key_at(key), what, "Leave it out.");
        }
    } else if table.has("deprecated") {
        let what = "`deprecated`: the kernel never asks it of an IPv4 address";
        report.error(table.key_at("deprecated"), what, "Leave it out.");
    }
}

/// RTNL-22: the kernel takes other labels without a word, and then nobody finds the address by its interface.
fn begins_with(label: &At<IfName>, interface: &IfName, report: &mut Report<'_>) {
    let rest = label.value.strip_prefix(interface.as_str());
    if rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(':')) {
        let what = format!("`label` \"{}\" does not begin with \"{interface}:\"", label.value);
        let own = label.value.split_once(':').map_or(label.value.as_str(), |(_, own)| own);
        report.error(label.at, what, format!("Did you mean \"{interface}:{own}\"?"));
    }
}

/// IFA_LABEL: an interface name that may have a colon.
fn label(text: &str) -> Result<IfName, Problem> {
    let bad = text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/');
    match IfName::try_from(text) {
        Ok(label) if !bad => Ok(label),
        _ => {
            let what = format!("\"{}\" is not a label of 1 to {} bytes", shown(text), limits::IFNAME_MAX);
            Err(Problem::new(what, "Write the interface, a colon and a word: \"eth0:vip\"."))
        }
    }
}

/// A scope by its name or its number.
pub(super) fn scope(value: Value<'_>, report: &mut Report<'_>) -> Option<Scope> {
    if let DeValue::Integer(_) = value.value {
        let read = value.integer(0..=255, report)?;
        return u8::try_from(read.value).ok().map(Scope);
    }
    value.choice(&SCOPES, report).map(|read| read.value)
}

/// An address, or `"+"`: the last one of the net.
fn broadcast(value: Value<'_>, cidr: Option<Cidr>, report: &mut Report<'_>) -> Option<Ipv4Addr> {
    let read = |text: &str| match (text, cidr) {
        ("+", Some(Cidr { address: IpAddr::V4(v4), prefix_len })) if prefix_len < 31 => {
            Ok(Some(Ipv4Addr::from_bits(v4.to_bits() | (u32::MAX >> prefix_len))))
        }
        ("+", Some(Cidr { address: IpAddr::V4(_), prefix_len })) => {
            Err(Problem::new(format!("\"+\": a /{prefix_len} has no broadcast address"), "Leave it out."))
        }
        ("+", _) => Ok(None), // the address is at fault, and that is reported
        (text, _) => match values::ip(text)? {
            IpAddr::V4(v4) => Ok(Some(v4)),
            IpAddr::V6(_) => Err(Problem::new(format!("\"{}\" is an IPv6 address", shown(text)), "")),
        },
    };
    value.parsed(read, report)?.value
}

/// The first and the last address of a net are seldom a host's.
fn warn_of_net(read: At<Cidr>, report: &mut Report<'_>) {
    let (IpAddr::V4(address), len @ 1..=30) = (read.value.address, read.value.prefix_len) else { return };
    let hosts = u32::MAX >> len;
    let kind = match address.to_bits() & hosts {
        0 => "the address of the net itself",
        bits if bits == hosts => "the broadcast address of its net",
        _ => return,
    };
    report.warning(read.at, format!("{} is {kind}", read.value), "Is the prefix length right?");
}

/// An address that a host can have; without a prefix length that of a single host.
fn virtual_address(text: &str) -> Result<Cidr, Problem> {
    if let Some((first, rest)) = text.split_once([' ', '\t'])
        && values::cidr(first, 1).is_ok()
    {
        let meant = match as_table(first, rest) {
            Some(table) => format!("Did you mean {table}?"),
            None => format!("Did you mean \"{first}\"? What follows is written as {{ address = ..., ... }}."),
        };
        return Err(Problem::new(format!("\"{}\" is more than an address", shown(text)), meant));
    }
    let cidr = values::cidr(text, 1)?;
    let kind = match cidr.address {
        IpAddr::V4(v4) => not_a_host4(v4),
        IpAddr::V6(v6) => not_a_host6(v6),
    };
    match kind {
        None => Ok(cidr),
        Some(kind) => Err(Problem::new(
            format!("{} is {kind} and cannot be a virtual address", cidr.address),
            "Give an address that hosts on the LAN can reach.",
        )),
    }
}

/// RTNL-22: what the kernel takes without a word though it cannot be a virtual address.
fn not_a_host4(address: Ipv4Addr) -> Option<&'static str> {
    if address.octets().starts_with(&[0]) {
        Some("no address")
    } else if address.is_broadcast() {
        Some("the broadcast address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else {
        None
    }
}

fn not_a_host6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("no address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.to_ipv4_mapped().is_some() {
        Some("an IPv4 address in IPv6 clothes")
    } else {
        None
    }
}

/// keepalived's `ADDRESS dev IF label L ...` in our words.
fn as_table(address: &str, options: &str) -> Option<String> {
    let mut out = format!("{{ address = \"{address}\"");
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let key = match word {
            "dev" => "interface",
            "label" | "scope" | "peer" => word,
            "brd" | "broadcast" => "broadcast",
            "no_track" => {
                out.push_str(", track = false");
                continue;
            }
            "noprefixroute" => {
                out.push_str(", prefix_route = false");
                continue;
            }
            _ => return None,
        };
        let value = words.next()?;
        out.push_str(&format!(", {key} = \"{}\"", shown(value)));
    }
    out.push_str(" }");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtnl_22_addresses_that_the_kernel_takes_in_silence_are_refused() {
        for text in ["0.0.0.0", "255.255.255.255", "224.0.0.18/24", "127.0.0.1/8", "::", "ff02::12", "::1"] {
            assert!(
                virtual_address(text).unwrap_err().what.contains("cannot be a virtual address"),
                "{text}"
            );
        }
        assert_eq!(virtual_address("10.0.0.100").unwrap().prefix_len, 32, "a host alone, as keepalived");
        assert_eq!(virtual_address("2001:db8::1").unwrap().prefix_len, 128, "a host alone, as keepalived");
        for text in ["10.0.0.1/33", "10.0.0.1/0", "10.0.0.1/+8", "10.0.0.1/08", "10.0.0.1/", "10.0.0.1/x"] {
            assert!(virtual_address(text).unwrap_err().what.contains("1 to 32"), "{text}");
        }
        assert!(virtual_address("2001:db8::1/129").unwrap_err().what.contains("1 to 128"));
        assert_eq!(
            virtual_address("10.0.0.1/255.255.255.0").unwrap_err().hint,
            "Did you mean \"10.0.0.1/24\"?"
        );
    }

    #[test]
    fn keepalived_words_after_the_address_become_a_table() {
        let problem = virtual_address("10.0.0.1/24 brd + dev eth0 label eth0:1").unwrap_err();
        let meant =
            "{ address = \"10.0.0.1/24\", broadcast = \"+\", interface = \"eth0\", label = \"eth0:1\" }";
        assert_eq!(problem.hint, format!("Did you mean {meant}?"));
        assert!(virtual_address("10.0.0.1/24 home").unwrap_err().hint.contains("\"10.0.0.1/24\""));
    }

    #[test]
    fn arp_35_a_global_host_address_is_deprecated() {
        for (text, deprecated) in
            [("2001:db8::1", true), ("2001:db8::1/64", false), ("fe80::1", false), ("10.0.0.1", false)]
        {
            assert_eq!(is_deprecated(virtual_address(text).unwrap()), deprecated, "{text}");
        }
    }
}
