//! `scheduler` and `scheduler_flags`.

use crate::config::reader::{Table, Value};
use crate::config::report::{At, Problem, Report};
use crate::config::suggest::{nearest, shown};
use crate::limits;
use crate::model::Scheduler;
use toml::de::DeValue;

/// The kernel's schedulers (§5.6): `ip_vs_<name>` is the module.
const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"];

/// `IP_VS_SVC_F_SCHED1..3`; the first two by what `sh` and `mh` make of them.
const FLAGS: [(&str, u32); 5] =
    [("fallback", 0x08), ("port", 0x10), ("flag-1", 0x08), ("flag-2", 0x10), ("flag-3", 0x20)];
const FALLBACK_AND_PORT: u32 = 0x18;

/// The name; `None` where it is left out or not taken.
pub(super) fn scheduler(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<At<Scheduler>> {
    let read = table.parsed("scheduler", name, report)?;
    if !SCHEDULERS.contains(&read.value.as_str()) {
        let what = format!("scheduler \"{}\" is none that vipd knows; the kernel decides", read.value);
        let hint = format!("It must have a module ip_vs_{}. Known: {}.", read.value, SCHEDULERS.join(", "));
        report.warning(read.at, what, hint);
    }
    Some(read)
}

/// One that we know, or one that looks like those of the kernel.
pub(in crate::config) fn name(text: &str) -> Result<Scheduler, Problem> {
    if SCHEDULERS.contains(&text)
        && let Ok(name) = Scheduler::try_from(text)
    {
        return Ok(name);
    }
    let what = format!("unknown scheduler \"{}\"", shown(text));
    let hint = match (text.to_ascii_lowercase().as_str(), nearest(text, &SCHEDULERS)) {
        ("none", _) => {
            "A service without a scheduler serves nobody (IPVS-40b); wlc is the default.".to_owned()
        }
        ("round-robin" | "roundrobin" | "round_robin", _) => "Did you mean \"rr\"?".to_owned(),
        ("weighted" | "weight" | "weighted-round-robin", _) => "Did you mean \"wrr\"?".to_owned(),
        ("leastconn" | "least_conn" | "least-connection", _) => "Did you mean \"lc\"?".to_owned(),
        ("source" | "source-hash" | "ip_hash" | "hash", _) => "Did you mean \"sh\"?".to_owned(),
        ("maglev" | "consistent-hash", _) => "Did you mean \"mh\"?".to_owned(),
        ("random" | "power-of-two" | "p2c", _) => "Did you mean \"twos\"?".to_owned(),
        (_, Some(near)) => format!("Did you mean \"{near}\"?"),
        _ if looks_like_one(text) => String::new(),
        (_, None) => format!("One of: {}.", SCHEDULERS.join(", ")),
    };
    match Scheduler::try_from(text) {
        Ok(name) if hint.is_empty() => Ok(name),
        _ => Err(Problem::new(what, hint)),
    }
}

/// As the kernel's own are written: small letters, digits, and what a module's name may hold.
fn looks_like_one(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (2..=limits::SCHEDULER_MAX).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(plain)
}

/// IPVS-65: the flags are those of `sh` and `mh`; the kernel says nothing where another scheduler has them.
pub(super) fn flags(table: &mut Table<'_>, scheduler: Option<&str>, report: &mut Report<'_>) -> u32 {
    let Some(list) = table.list("scheduler_flags", report) else { return 0 };
    let mut flags = 0;
    for item in list {
        let Some(read) = flag(item, report) else { continue };
        let hashes = matches!(scheduler, Some("sh" | "mh"));
        let known = scheduler.is_none_or(|name| SCHEDULERS.contains(&name));
        let of_hashes = matches!(item.value, DeValue::String(word) if !word.starts_with("flag-"));
        if flags & read.value != 0 {
            report.error(item.at, "`scheduler_flags`: this flag is given twice", "Leave one out.");
        } else if !hashes && (known || of_hashes) {
            let name = scheduler.unwrap_or("wlc");
            let what = format!("`scheduler_flags`: scheduler \"{name}\" has no such flag (IPVS-65)");
            report.error(item.at, what, "Only sh and mh have: fallback, port.");
        } else if hashes && read.value & FALLBACK_AND_PORT == 0 {
            let what = "`scheduler_flags`: \"flag-3\" means nothing to sh and mh";
            report.warning(item.at, what, "Leave it out.");
        }
        flags |= read.value;
    }
    flags
}

fn flag(item: Value<'_>, report: &mut Report<'_>) -> Option<At<u32>> {
    item.choice(&FLAGS, report)
}
