//! What adverts of a `[[vrrp]]` look like and where they go: version, interval, group or peers, source.

use super::Context;
use super::reader::{Table, Value};
use super::report::{At, Report};
use super::values::{self, family_of};
use crate::limits;
use crate::model::{ChecksumForm, Family, Peer, Unicast, Version, default_group};
use crate::time::Duration;
use std::net::IpAddr;
use toml::de::DeValue;

/// Is the address of this family?
pub(super) fn is_of(family: Family, address: IpAddr) -> bool {
    match family {
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    }
}

/// "IPv4" or "IPv6".
pub(super) fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// `family`, or that of the first address that the table names, or IPv4.
pub(super) fn family(table: &mut Table<'_>, report: &mut Report<'_>) -> Family {
    let words = [("ipv4", Family::V4), ("ipv6", Family::V6)];
    if let Some(read) = table.choice("family", &words, report) {
        return read.value;
    }
    let first = ["addresses", "unicast_peers"].into_iter().find_map(|key| match table.peek(key) {
        Some(DeValue::Array(list)) => list.iter().find_map(|item| address_of(item.get_ref())),
        _ => None,
    });
    match first {
        Some(IpAddr::V6(_)) => Family::V6,
        Some(IpAddr::V4(_)) | None => Family::V4,
    }
}

/// The address in `"ADDRESS/LEN ..."` or `{ address = ... }`, if it is one.
fn address_of(value: &DeValue<'_>) -> Option<IpAddr> {
    let text = match value {
        DeValue::String(text) => text,
        DeValue::Table(table) => match table.get("address").map(|value| value.get_ref()) {
            Some(DeValue::String(text)) => text,
            _ => return None,
        },
        _ => return None,
    };
    text.split(['/', ' ']).next()?.parse().ok()
}

/// v2 by default for IPv4, as keepalived; IPv6 has v3 only (RFC 5798 brought it).
pub(super) fn version(table: &mut Table<'_>, family: Family, report: &mut Report<'_>) -> Version {
    let Some(read) = table.integer("version", 2..=3, report) else {
        return match family {
            Family::V4 => Version::V2,
            Family::V6 => Version::V3,
        };
    };
    if read.value == 3 {
        return Version::V3;
    }
    if family == Family::V6 {
        let what = "`version = 2` is for IPv4 only, this [[vrrp]] is IPv6";
        report.error(read.at, what, "Leave it out: IPv6 is always version 3.");
        return Version::V3;
    }
    Version::V2
}

/// v2 carries whole seconds, v3 hundredths in 12 bits (PKT-3, INT-3).
pub(super) fn interval(table: &mut Table<'_>, version: Version, report: &mut Report<'_>) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(1);
    const CENTISECOND: u64 = 10_000;
    let key = "advert_interval";
    let shortest = Duration::from_millis(10);
    let Some(read) = table.duration(key, shortest..=Duration::from_secs(255), report) else {
        return DEFAULT;
    };
    let micros = read.value.total_micros();
    let shown = values::show_duration(read.value);
    match version {
        Version::V2 if micros % 1_000_000 != 0 => {
            let what = format!("`{key}` is {shown}, VRRPv2 knows whole seconds only");
            report.error(read.at, what, "Set version = 3 on all routers of this VRID, or use whole seconds.");
        }
        Version::V3 if micros > 40_950_000 => {
            let what = format!("`{key}` is {shown}, VRRPv3 wants 10ms to 40950ms");
            report.error(read.at, what, "");
        }
        Version::V3 if micros % CENTISECOND != 0 => {
            let near = Duration::from_micros(micros.div_ceil(CENTISECOND).saturating_mul(CENTISECOND));
            let what = format!("`{key}` is {shown}, VRRPv3 knows steps of 10ms only");
            report.error(read.at, what, format!("Did you mean \"{}\"?", values::show_duration(near)));
        }
        Version::V2 | Version::V3 => {}
    }
    read.value
}

/// The group of the instance's family.
pub(super) fn group(
    table: &mut Table<'_>,
    family: Family,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> IpAddr {
    let group4 = table.parsed("multicast_group4", values::group4, report).map(|read| read.value);
    let group6 = table.parsed("multicast_group6", values::group6, report).map(|read| read.value);
    let (wrong, right) = match family {
        Family::V4 => ("multicast_group6", "multicast_group4"),
        Family::V6 => ("multicast_group4", "multicast_group6"),
    };
    let says = format!("the family of this [[vrrp]], {}", family_word(family));
    table.contradict(&[wrong], &says, &format!("Did you mean `{right}`?"), report);
    if table.has("unicast_peers") {
        table.contradict(&[right], "`unicast_peers`", "Adverts go to the one or to the others.", report);
    }
    let given = match family {
        Family::V4 => group4.or(context.group4).map(IpAddr::V4),
        Family::V6 => group6.or(context.group6).map(IpAddr::V6),
    };
    given.unwrap_or(default_group(family))
}

/// `unicast_peers`, `unicast_ttl`, `check_source`.
pub(super) fn unicast(table: &mut Table<'_>, family: Family, report: &mut Report<'_>) -> Option<Unicast> {
    let list = table.list("unicast_peers", report);
    let ttl = table.number("unicast_ttl", 1..=255, report).map_or(255, |ttl| ttl.value);
    let check_source = table.flag("check_source", true, report);
    if !table.has("unicast_peers") {
        for key in ["unicast_ttl", "check_source"].into_iter().filter(|key| table.has(key)) {
            let what = format!("`{key}` has no effect without `unicast_peers`");
            report.error(table.key_at(key), what, "Leave it out, or name the peers.");
        }
    }
    let list = list?;
    if list.is_empty() {
        let hint = "Name the other routers, or leave it out for multicast.";
        report.error(table.key_at("unicast_peers"), "`unicast_peers` is empty", hint);
    }
    if let Some(first) = list.get(limits::UNICAST_PEERS_MAX) {
        report.error(first.at, format!("more than {} in `unicast_peers`", limits::UNICAST_PEERS_MAX), "");
    }
    let mut peers: Vec<Peer> = Vec::new();
    for item in list.into_iter().take(limits::UNICAST_PEERS_MAX) {
        let Some(peer) = peer(item, family, report) else { continue };
        if peers.iter().any(|other| other.address == peer.value.address) {
            let what = format!("`unicast_peers`: {} is given twice", peer.value.address);
            report.error(peer.at, what, "Leave one out.");
            continue;
        }
        peers.push(peer.value);
    }
    Some(Unicast { peers, ttl, check_source })
}

/// `"10.0.0.2"`, or `{ address, ttl_min, ttl_max }`.
fn peer(item: Value<'_>, family: Family, report: &mut Report<'_>) -> Option<At<Peer>> {
    let of =
        |address: At<IpAddr>, ttl_min, ttl_max| address.map(|address| Peer { address, ttl_min, ttl_max });
    let DeValue::Table(_) = item.value else {
        let address = item.parsed(values::ip, report)?;
        return router("unicast_peers", address, family, report).map(|address| of(address, 0, 255));
    };
    let mut table = item.table("unicast_peers", report)?;
    let address = table.parsed("address", values::ip, report);
    table.require("address", "address = \"10.0.0.2\"");
    let ttl_min = table.number("ttl_min", 0..=255, report).map_or(0, |read| read.value);
    let ttl_max = table.number("ttl_max", 0..=255, report);
    if let Some(most) = ttl_max.filter(|most| most.value < ttl_min) {
        let what = format!("`ttl_max` ({}) is below `ttl_min` ({ttl_min})", most.value);
        report.error(most.at, what, "No advert could pass.");
    }
    table.finish(report);
    let address = router("unicast_peers", address?, family, report)?;
    Some(of(address, ttl_min, ttl_max.map_or(255, |read| read.value)))
}

/// Refuses what no router has as its own address, and the other family.
fn router(key: &str, address: At<IpAddr>, family: Family, report: &mut Report<'_>) -> Option<At<IpAddr>> {
    let ip = address.value;
    if !is_of(family, ip) {
        let [own, other] = [family_of(ip), family_word(family)];
        let what = format!("`{key}`: {ip} is {own}, this [[vrrp]] is {other}");
        report.error(address.at, what, format!("Adverts of an {other} virtual router go over {other}."));
        return None;
    }
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if broadcast || ip.is_multicast() || ip.is_unspecified() || ip.is_loopback() {
        let hint =
            if ip.is_multicast() { "A group goes to multicast_group4 or multicast_group6." } else { "" };
        report.error(address.at, format!("`{key}`: {ip} is not the address of a router"), hint);
        return None;
    }
    Some(address)
}

/// `source` and `track_source`.
pub(super) fn source(
    table: &mut Table<'_>,
    family: Family,
    report: &mut Report<'_>,
) -> (Option<At<IpAddr>>, bool) {
    let source = table.parsed("source", values::ip, report);
    let source = source.and_then(|source| router("source", source, family, report));
    let track = table.flag("track_source", false, report);
    if track && !table.has("source") {
        let what = "`track_source` has no effect without `source`";
        report.error(table.key_at("track_source"), what, "Name the address to be watched.");
    }
    if let Some(At { at, value: IpAddr::V6(v6) }) = source
        && !v6.is_unicast_link_local()
        && !table.has("unicast_peers")
    {
        let what = format!("`source`: {v6} is not link-local, as routers of other makes want it");
        report.warning(at, what, "Leave it out: the interface's own link-local address is taken.");
    }
    (source, track)
}

/// `checksum`: only v3 over IPv4 has two forms.
pub(super) fn checksum(
    table: &mut Table<'_>,
    family: Family,
    version: Version,
    report: &mut Report<'_>,
) -> ChecksumForm {
    let words = [
        ("pseudo-header", ChecksumForm::PseudoHeader),
        ("message-only", ChecksumForm::MessageOnly),
        ("auto", ChecksumForm::Auto),
    ];
    let Some(read) = table.choice("checksum", &words, report) else { return ChecksumForm::default() };
    match (version, family) {
        (Version::V2, _) => report.warning(
            table.key_at("checksum"),
            "`checksum` has no effect with VRRPv2, which has one form only",
            "Leave it out, or set version = 3.",
        ),
        (Version::V3, Family::V6) => report.warning(
            table.key_at("checksum"),
            "`checksum` has no effect with IPv6, which has one form only",
            "Leave it out.",
        ),
        (Version::V3, Family::V4) => {}
    }
    read.value
}
