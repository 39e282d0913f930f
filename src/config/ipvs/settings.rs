//! `[ipvs.settings]`: files of `/proc/sys/net/ipv4/vs` (protocols §5.8, IPVS-80).

use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Report};
use crate::config::suggest::{nearest, shown};
use crate::limits;
use crate::model::{IpvsSetting, IpvsValue};
use toml::de::DeValue;

/// What a file takes.
#[derive(Clone, Copy)]
enum Takes {
    /// A number in a range.
    Number(i64, i64),
    /// One of a few numbers.
    Power(u32),
    /// `"3 50"`.
    Threshold,
}

const SWITCH: Takes = Takes::Number(0, 1);
const MODE: Takes = Takes::Number(0, 3);
const ANY: Takes = Takes::Number(0, i32::MAX as i64);

/// The names (kernel documentation, `ipvs-sysctl`). A kernel may lack any of them.
const NAMES: [(&str, Takes); 30] = [
    ("am_droprate", ANY),
    ("amemthresh", ANY),
    ("backup_only", SWITCH),
    ("cache_bypass", SWITCH),
    ("conn_reuse_mode", ANY),
    ("conntrack", SWITCH),
    ("drop_entry", MODE),
    ("drop_packet", MODE),
    ("est_nice", Takes::Number(-20, 19)),
    ("expire_nodest_conn", SWITCH),
    ("expire_quiescent_template", SWITCH),
    ("ignore_tunneled", SWITCH),
    ("lblc_expiration", ANY),
    ("lblcr_expiration", ANY),
    ("nat_icmp_send", SWITCH),
    ("pmtu_disc", SWITCH),
    ("run_estimation", SWITCH),
    ("schedule_icmp", SWITCH),
    ("secure_tcp", MODE),
    ("sloppy_sctp", SWITCH),
    ("sloppy_tcp", SWITCH),
    ("snat_reroute", SWITCH),
    ("sync_persist_mode", SWITCH),
    ("sync_ports", Takes::Power(8)),
    ("sync_qlen_max", ANY),
    ("sync_refresh_period", ANY),
    ("sync_retries", MODE),
    ("sync_sock_size", ANY),
    ("sync_threshold", Takes::Threshold),
    ("sync_version", SWITCH),
];

/// Names and values, each name once.
pub(super) fn settings(table: &Table<'_>, report: &mut Report<'_>) -> Vec<(IpvsSetting, IpvsValue)> {
    let mut out = Vec::new();
    for (name, value) in table.entries("a setting") {
        let Some((known, takes)) = NAMES.iter().find(|(known, _)| *known == name.value) else {
            let names = NAMES.map(|(name, _)| name);
            let hint = match nearest(name.value, &names) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "They are the files of /proc/sys/net/ipv4/vs.".to_owned(),
            };
            let what = format!("`{}` is no setting of IPVS that vipd knows", shown(name.value));
            report.error(name.at, what, hint);
            continue;
        };
        let value = Value { key: known, ..value };
        let Some(text) = self::value(value, *takes, report) else { continue };
        if let (Ok(name), Ok(text)) = (IpvsSetting::try_from(*known), IpvsValue::try_from(text.as_str())) {
            out.push((name, text));
        }
    }
    debug_assert!(out.len() <= limits::IPVS_SETTINGS_MAX, "each name is there once");
    out
}

/// As it is written into the file.
fn value(value: Value<'_>, takes: Takes, report: &mut Report<'_>) -> Option<String> {
    match takes {
        Takes::Threshold => {
            if let DeValue::Integer(_) = value.value {
                value.wrong("two numbers in a text", "Write it as \"3 50\".".to_owned(), report);
                return None;
            }
            value.parsed(threshold, report).map(|read| read.value)
        }
        Takes::Number(first, last) => {
            if let DeValue::Boolean(is) = value.value {
                value.wrong("a number", format!("Did you mean {}?", u8::from(*is)), report);
                return None;
            }
            value.signed(first..=last, report).map(|read| read.value.to_string())
        }
        Takes::Power(most) => {
            let read = value.integer(1..=most, report)?;
            if !read.value.is_power_of_two() {
                let what = format!("`{}` is {}, wants 1, 2, 4 or 8", value.key, read.value);
                report.error(read.at, what, "");
            }
            Some(read.value.to_string())
        }
    }
}

/// Two numbers, the first below the second, or the second 0 (`proc_do_sync_threshold`).
fn threshold(text: &str) -> Result<String, Problem> {
    let numbers: Vec<Option<u32>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [Some(first), Some(last)] if (first < last || *last == 0) && *last <= i32::MAX.unsigned_abs() => {
            Ok(format!("{first} {last}"))
        }
        [Some(first), Some(last)] if first >= last => {
            let what = format!("\"{}\": the first number is below the second", shown(text));
            Err(Problem::new(what, format!("Did you mean \"{last} {first}\"?")))
        }
        _ => Err(Problem::new(format!("\"{}\" is not two numbers", shown(text)), "Write it as \"3 50\".")),
    }
}
