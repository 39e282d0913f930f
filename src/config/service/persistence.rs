//! `persistence`: clients stick to a server.

use super::front::Face;
use crate::config::reader::{Table, Value};
use crate::config::report::{At, Problem, Report};
use crate::config::suggest::{nearest, shown};
use crate::config::values;
use crate::model::{Persistence, PersistenceEngine, Protocol};
use crate::time::Duration;
use core::ops::RangeInclusive;
use std::net::Ipv4Addr;
use toml::de::DeValue;

/// The kernel's engines: `ip_vs_pe_<name>` is the module.
const ENGINES: [&str; 1] = ["sip"];

/// `"6m"`, or `{ timeout, prefix, engine }`.
pub(super) fn persistence(
    table: &mut Table<'_>,
    protocol: Protocol,
    face: &Face,
    report: &mut Report<'_>,
) -> Option<At<Persistence>> {
    const DEFAULT: Duration = Duration::from_secs(360);
    // In a group of both families it is the one of IPv6; IPv4 addresses take it up to their 32.
    let longest = if face.has_ipv4() && !face.has_ipv6() { 32 } else { 128 };
    let value = table.get("persistence")?;
    let DeValue::Table(_) = value.value else {
        if let DeValue::Boolean(_) = value.value {
            let hint = "Did you mean \"6m\"? Leave it out for none.";
            value.wrong("a length of time or a table", hint.to_owned(), report);
            return None;
        }
        let timeout = persistence_timeout(value.duration(persistence_range(), report)?, report);
        let persistence = Persistence { timeout, prefix_len: longest, engine: None };
        return Some(At { at: value.at, value: persistence });
    };
    let at = value.at;
    let mut table = value.table("persistence", report)?;
    let timeout = table.duration("timeout", persistence_range(), report);
    let timeout = timeout.map_or(DEFAULT, |timeout| persistence_timeout(timeout, report));
    let prefix_len = match table.get("prefix") {
        Some(prefix) => self::prefix_len(prefix, longest, report).unwrap_or(longest),
        None => longest,
    };
    let engine = engine(&mut table, protocol, face, report);
    table.finish(report);
    Some(At { at, value: Persistence { timeout, prefix_len, engine } })
}

/// The kernel multiplies the seconds by its HZ in 32 bits: 31 days is keepalived's limit too (IPVS-60).
fn persistence_range() -> RangeInclusive<Duration> {
    Duration::from_secs(1)..=Duration::from_secs(31 * 86_400)
}

fn persistence_timeout(timeout: At<Duration>, report: &mut Report<'_>) -> Duration {
    values::whole_seconds("persistence", timeout, report);
    timeout.value
}

fn prefix_len(value: Value<'_>, longest: u8, report: &mut Report<'_>) -> Option<u8> {
    if let DeValue::String(text) = value.value
        && let Some(mask) = text.parse::<Ipv4Addr>().ok()
    {
        let hint = match values::mask_len(mask) {
            Some(len) => format!("Did you mean prefix = {len}?"),
            None => "A mask with holes is none that the kernel could use (IPVS-60).".to_owned(),
        };
        value.wrong("a prefix length", hint, report);
        return None;
    }
    value.integer(1..=u32::from(longest), report).and_then(|read| u8::try_from(read.value).ok())
}

/// What else of a packet names the client.
fn engine(
    table: &mut Table<'_>,
    protocol: Protocol,
    face: &Face,
    report: &mut Report<'_>,
) -> Option<PersistenceEngine> {
    let read = table.parsed("engine", engine_name, report)?;
    if !ENGINES.contains(&read.value.as_str()) {
        let what = format!("`engine`: \"{}\" is none that vipd knows; the kernel decides", read.value);
        report.warning(read.at, what, format!("Known: {}.", ENGINES.join(", ")));
    } else if protocol != Protocol::Udp && face.has_address() {
        let what = format!("`engine`: SIP is read from UDP only, this is {protocol}");
        report.error(read.at, what, "Set protocol = \"udp\", or leave `engine` out.");
    }
    Some(read.value)
}

fn engine_name(text: &str) -> Result<PersistenceEngine, Problem> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let what = format!("unknown engine \"{}\"", shown(text));
    if ENGINES.contains(&text) {
        return PersistenceEngine::try_from(text).map_err(|_| Problem::new(what, ""));
    }
    match (nearest(text, &ENGINES), PersistenceEngine::try_from(text)) {
        (None, Ok(name)) if text.len() > 1 && text.len() < 16 && text.bytes().all(plain) => Ok(name),
        _ => Err(Problem::new(what, "Did you mean \"sip\"?")),
    }
}
