//! `type = "dns"`: what is asked for, and the wanted answer.

use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Report};
use crate::config::suggest::shown;
use crate::config::values;
use crate::limits;
use crate::model::DnsCheck;
use std::net::IpAddr;
use toml::de::DeValue;

const A: u16 = 1;
const NS: u16 = 2;
const AAAA: u16 = 28;

/// Record types by their names (IANA "DNS Parameters").
const RECORDS: [(&str, u16); 12] = [
    ("A", A),
    ("NS", NS),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", AAAA),
    ("SRV", 33),
    ("RRSIG", 46),
    ("DNSKEY", 48),
    ("ANY", 255),
];

/// Response codes by their names (IANA "DNS Parameters").
const RCODES: [(&str, u8); 11] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
];

/// `query` and `record`: the root's name servers where nothing else is asked, which every resolver knows.
pub(in crate::config) fn dns(table: &mut Table<'_>, report: &mut Report<'_>) -> DnsCheck {
    let name = table.parsed("query", dns_name, report).map(|name| name.value);
    let record = table.get("record").and_then(|value| record(value, report));
    DnsCheck { name: name.unwrap_or_default(), kind: record.unwrap_or(NS), ..DnsCheck::default() }
}

/// As [`dns`], with `rcode` and `answer`.
pub(super) fn dns_check(table: &mut Table<'_>, report: &mut Report<'_>) -> DnsCheck {
    let asked = dns(table, report);
    let rcode = table.get("rcode").and_then(|value| rcode(value, report)).unwrap_or(0);
    let answer = table.parsed("answer", values::ip, report);
    if let Some(answer) = answer {
        let (name, kind) = match answer.value {
            IpAddr::V4(_) => ("A", A),
            IpAddr::V6(_) => ("AAAA", AAAA),
        };
        if rcode != 0 {
            let hint = "Leave one of the two out.";
            table.contradict(&["answer"], "an `rcode` that comes without an answer", hint, report);
        } else if asked.kind != kind {
            let what = format!("`answer`: {} comes with record = \"{name}\" only", answer.value);
            report.error(answer.at, what, format!("Did you mean record = \"{name}\"?"));
        }
    }
    DnsCheck { rcode, address: answer.map(|answer| answer.value), ..asked }
}

fn record(value: Value<'_>, report: &mut Report<'_>) -> Option<u16> {
    match value.value {
        DeValue::Integer(_) => {
            value.integer(1..=65535, report).and_then(|read| u16::try_from(read.value).ok())
        }
        _ => value.choice(&RECORDS, report).map(|read| read.value),
    }
}

/// By its name or its number, the four bits of the header (RFC 1035 §4.1.1).
fn rcode(value: Value<'_>, report: &mut Report<'_>) -> Option<u8> {
    match value.value {
        DeValue::Integer(_) => value.integer(0..=15, report).and_then(|read| u8::try_from(read.value).ok()),
        _ => value.choice(&RCODES, report).map(|read| read.value),
    }
}

/// A name of labels of 1 to 63 bytes (RFC 1035 §3.1; HC-32); the last dot may be there, and is all of the
/// root.
fn dns_name(text: &str) -> Result<String, Problem> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    if name.len() > limits::DNS_NAME_MAX || !(name.is_empty() || name.split('.').all(label)) {
        let what = format!("\"{}\" is not a DNS name", shown(text));
        return Err(Problem::new(what, "Write it as \"www.example.org\"; \".\" is the root."));
    }
    Ok(name.to_owned())
}
