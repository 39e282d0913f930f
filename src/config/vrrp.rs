//! `[[vrrp]]`.

use super::reader::{Table, Value};
use super::report::{At, Report};
use super::values;
use crate::limits;
use crate::model::{
    AuthPass, Authentication, ChecksumForm, Cidr, Family, Garp, IfName, Instance, Name, Priority, Version,
    Vrid,
};
use crate::time::Duration;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use toml::de::DeValue;

/// VRRP's own group (RFC 9568 §5.1.1.2).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// What could be read of an instance, for comparisons with the others.
pub(super) struct Draft {
    pub(super) name: Option<At<Name>>,
    pub(super) interface: Option<At<IfName>>,
    pub(super) vrid: Option<At<Vrid>>,
    pub(super) addresses: Vec<At<Cidr>>,
    /// `None` where something that has no default could not be read.
    pub(super) instance: Option<Instance>,
}

/// `[[vrrp]]`. `group` is that of `[global]`.
pub(super) fn instance(mut table: Table<'_>, group: Option<Ipv4Addr>, report: &mut Report<'_>) -> Draft {
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"VI_1\"");
    let interface = table.parsed("interface", values::interface, report);
    table.require("interface", "interface = \"eth0\"");
    let vrid = table.integer("vrid", 1..=255, report).and_then(|vrid| {
        let value = u8::try_from(vrid.value).ok().and_then(Vrid::new)?;
        Some(At { at: vrid.at, value })
    });
    table.require("vrid", "vrid = 50");
    let version = table.integer("version", 2..=3, report).map(|version| version.value);
    let version = if version == Some(3) { Version::V3 } else { Version::V2 };
    let priority = priority(&mut table, report);
    let advert_interval = advert_interval(&mut table, version, report);
    let preempt = preempt(&mut table, priority, report);
    let authentication = authentication(&mut table, version, report);
    let own_group = table.parsed("multicast_group4", values::group4, report).map(|group| group.value);
    let addresses = addresses(&mut table, report);
    let checksum = checksum(&mut table, version, report);
    let garp = table.table("garp", "garp", report).map_or(Garp::default(), |garp| self::garp(garp, report));
    let lease = lease(&mut table, report);
    table.finish(report);
    let instance = match (&name, &interface, vrid) {
        (Some(name), Some(interface), Some(vrid)) => Some(Instance {
            version,
            priority,
            advert_interval,
            preempt,
            authentication,
            group: own_group.or(group).unwrap_or(GROUP).into(),
            addresses: addresses.iter().map(|address| address.value.into()).collect(),
            checksum,
            garp,
            lease,
            ..Instance::new(name.value.clone(), interface.value.clone(), vrid.value, Family::V4)
        }),
        _ => None,
    };
    Draft { name, interface, vrid, addresses, instance }
}

fn priority(table: &mut Table<'_>, report: &mut Report<'_>) -> Priority {
    const DEFAULT: Priority = match Priority::new(100) {
        Some(priority) => priority,
        None => Priority::OWNER,
    };
    let read = table.integer("priority", 1..=255, report);
    read.and_then(|read| u8::try_from(read.value).ok()).and_then(Priority::new).unwrap_or(DEFAULT)
}

/// v2 carries whole seconds, v3 hundredths in 12 bits (PKT-3, INT-3).
fn advert_interval(table: &mut Table<'_>, version: Version, report: &mut Report<'_>) -> Duration {
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

fn preempt(table: &mut Table<'_>, priority: Priority, report: &mut Report<'_>) -> bool {
    let read = table.boolean("preempt", report);
    if let Some(At { at, value: false }) = read
        && priority.is_owner()
    {
        report.error(
            at,
            "`preempt = false` contradicts priority 255, whose router always takes over",
            "Set priority = 254 or less.",
        );
    }
    read.is_none_or(|read| read.value)
}

/// PASS: 8 bytes on the wire, what is longer is cut as keepalived cuts it (PKT-4).
fn authentication(table: &mut Table<'_>, version: Version, report: &mut Report<'_>) -> Authentication {
    const LENGTH: usize = 8;
    let Some(value) = table.get("auth_pass") else { return Authentication::None };
    if version == Version::V3 {
        report.error(
            table.key_at("auth_pass"),
            "`auth_pass` contradicts `version = 3`, which has no authentication",
            "Leave it out, or set version = 2.",
        );
    }
    let Some(text) = value.text(report) else { return Authentication::None };
    let bytes = text.value.as_bytes();
    if bytes.is_empty() {
        report.error(text.at, "`auth_pass` is empty", "Give 1 to 8 bytes, or leave it out.");
    } else if bytes.contains(&0) {
        report.error(text.at, "`auth_pass` holds a NUL byte, which ends the password on the wire", "");
    } else if bytes.len() > LENGTH {
        let what = format!("`auth_pass` has {} bytes, only the first {LENGTH} are used", bytes.len());
        report.warning(text.at, what, "keepalived cuts it at the same place, so both sides agree.");
    }
    let mut padded = [0; LENGTH];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    Authentication::Pass(AuthPass(padded))
}

fn addresses(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<At<Cidr>> {
    let list = table.list("addresses", report);
    table.require("addresses", "addresses = [\"10.0.0.100/24\"]");
    let Some(list) = list else { return Vec::new() };
    if list.is_empty() {
        report.error(table.key_at("addresses"), "`addresses` is empty", "Give at least one virtual address.");
    }
    if let Some(first) = list.get(limits::ADDRESSES_MAX) {
        let what = format!("more than {} addresses in one [[vrrp]]", limits::ADDRESSES_MAX);
        report.error(first.at, what, "");
    }
    if let Some(first) = list.get(limits::ADVERT_ADDRESSES_MAX) {
        let what = format!("adverts list the first {} addresses only", limits::ADVERT_ADDRESSES_MAX);
        report.note(first.at, what, "From here on they are announced by ARP alone (PKT-27).");
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for item in list.into_iter().take(limits::ADDRESSES_MAX) {
        let Some(read) = item.parsed(values::virtual_address, report) else { continue };
        if !seen.insert(read.value.address) {
            let what = format!("{} is given twice in this [[vrrp]]", read.value.address);
            report.error(read.at, what, "Leave one out.");
            continue;
        }
        warn_of_net(read, report);
        out.push(read);
    }
    out
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

fn checksum(table: &mut Table<'_>, version: Version, report: &mut Report<'_>) -> ChecksumForm {
    let words = [
        ("pseudo-header", ChecksumForm::PseudoHeader),
        ("message-only", ChecksumForm::MessageOnly),
        ("auto", ChecksumForm::Auto),
    ];
    let Some(read) = table.choice("checksum", &words, report) else { return ChecksumForm::default() };
    if version == Version::V2 {
        report.warning(
            table.key_at("checksum"),
            "`checksum` has no effect with VRRPv2, which has one form only",
            "Leave it out, or set version = 3.",
        );
    }
    read.value
}

fn garp(mut table: Table<'_>, report: &mut Report<'_>) -> Garp {
    let default = Garp::default();
    let hour = Duration::from_secs(3600);
    let delay = table.duration("delay", Duration::ZERO..=hour, report);
    let repeat = table.integer("repeat", 1..=255, report);
    let refresh = table.duration("refresh", Duration::ZERO..=hour * 24, report).filter(|refresh| {
        let short = refresh.value > Duration::ZERO && refresh.value < Duration::from_secs(1);
        if short {
            let what = format!("`refresh` is {}, wants 1s to 1d", values::show_duration(refresh.value));
            report.error(refresh.at, what, "\"0s\" is none.");
        }
        !short
    });
    table.finish(report);
    Garp {
        delay: delay.map_or(default.delay, |delay| delay.value),
        repeat: repeat.and_then(|repeat| u8::try_from(repeat.value).ok()).unwrap_or(default.repeat),
        refresh: refresh.map_or(default.refresh, |refresh| refresh.value),
        ..default
    }
}

/// The kernel counts lifetimes in whole seconds, and a lease must outlast the renewal of the second before.
fn lease(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let default = Some(Duration::from_secs(3));
    let Some(value) = table.get("lease") else { return default };
    if matches!(value.value, DeValue::String(text) if text == "forever") {
        return None;
    }
    let Some(read) = duration_or_forever(value, report) else { return default };
    if read.value.total_micros() % 1_000_000 != 0 {
        let what =
            format!("`lease` is {}, the kernel knows whole seconds only", values::show_duration(read.value));
        report.error(read.at, what, "\"2s\" is the shortest, \"forever\" is none.");
    }
    Some(read.value)
}

fn duration_or_forever(value: Value<'_>, report: &mut Report<'_>) -> Option<At<Duration>> {
    let never = ["never", "infinite", "none", "off", "inf", "Forever"];
    if matches!(value.value, DeValue::String(text) if never.contains(&text.as_ref())) {
        let what = "`lease` wants a length of time or \"forever\"";
        report.error(value.at, what, "Did you mean \"forever\"?");
        return None;
    }
    value.duration(Duration::from_secs(2)..=Duration::from_secs(3600), report)
}
