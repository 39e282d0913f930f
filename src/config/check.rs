//! `check = { ... }`.

use super::reader::{Table, Value};
use super::report::{Problem, Report};
use super::suggest::shown;
use super::values;
use crate::limits;
use crate::model::{Check, CheckKind, DnsCheck, HttpCheck, HttpPage, ProbeVia, StatusRange};
use crate::time::Duration;
use toml::de::DeValue;

/// Keys that only `type = "http"` has.
const HTTP_KEYS: [&str; 4] = ["path", "virtual_host", "status", "digest"];
/// Keys that only `type = "dns"` has.
const DNS_KEYS: [&str; 2] = ["query", "record"];

/// Record types by their names (IANA "DNS Parameters").
const RECORDS: [(&str, u16); 10] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("ANY", 255),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Tcp,
    Http,
    Ping,
    Dns,
}

impl Type {
    const WORDS: [(&str, Type); 4] =
        [("tcp", Type::Tcp), ("http", Type::Http), ("ping", Type::Ping), ("dns", Type::Dns)];

    fn word(self) -> &'static str {
        match self {
            Type::Tcp => "tcp",
            Type::Http => "http",
            Type::Ping => "ping",
            Type::Dns => "dns",
        }
    }
}

/// A checker; `false` for none. `None` also where it cannot be read, which is then reported.
pub(super) fn check(value: Value<'_>, report: &mut Report<'_>) -> Option<Check> {
    match value.value {
        DeValue::Boolean(false) => None,
        DeValue::Boolean(true) => {
            let hint = "Say which one: check = { type = \"tcp\" }; false is none.";
            report.error(value.at, "`check` wants a table or false", hint);
            None
        }
        DeValue::String(word) => {
            let hint = match word.as_ref() {
                "tcp" | "http" | "ping" => format!("Did you mean check = {{ type = \"{word}\" }}?"),
                _ => "Write check = { type = \"tcp\" }, or false for none.".to_owned(),
            };
            value.wrong("a table or false", hint, report);
            None
        }
        _ => table(value.table("check", report)?, report),
    }
}

fn table(mut table: Table<'_>, report: &mut Report<'_>) -> Option<Check> {
    let kind = table.choice("type", &Type::WORDS, report);
    table.require("type", "type = \"http\", or tcp, ping, dns");
    let (millis, secs) = (Duration::from_millis, Duration::from_secs);
    let interval = table.duration("interval", millis(100)..=secs(86_400), report);
    let timeout = table.duration("timeout", millis(10)..=secs(3600), report);
    let retry_interval = table.duration("retry_interval", millis(100)..=secs(86_400), report);
    let rise = count(&mut table, "rise", 1, report);
    let fall = count(&mut table, "fall", 2, report);
    let http = http(&mut table, report);
    let dns = dns(&mut table, report);
    if let Some(kind) = kind.map(|kind| kind.value) {
        let says = format!("`type = \"{}\"`", kind.word());
        if kind != Type::Http {
            table.contradict(&HTTP_KEYS, &says, "Did you mean type = \"http\"?", report);
        }
        if kind != Type::Dns {
            table.contradict(&DNS_KEYS, &says, "Did you mean type = \"dns\"?", report);
        }
    }
    let interval = interval.map_or(secs(10), |interval| interval.value);
    let timeout = timeout.map_or(secs(5), |timeout| timeout.value);
    if timeout > interval {
        let place = if table.has("timeout") { "timeout" } else { "interval" };
        let [timeout, interval] = [timeout, interval].map(values::show_duration);
        let what = format!("`timeout` ({timeout}) is longer than `interval` ({interval})");
        let hint = "A probe that hangs delays the next one; give a timeout within the interval.";
        report.warning(table.key_at(place), what, hint);
    }
    table.finish(report);
    Some(Check {
        kind: match kind?.value {
            Type::Tcp => CheckKind::Tcp,
            Type::Http => CheckKind::Http(Box::new(http)),
            Type::Ping => CheckKind::Ping,
            Type::Dns => CheckKind::Dns(dns),
        },
        interval,
        timeout,
        retry_interval: retry_interval.map_or(secs(1), |retry| retry.value),
        rise,
        fall,
        warmup: None,
        via: ProbeVia::default(),
    })
}

/// `query` and `record`: the root's name servers where nothing else is asked, which every resolver knows.
pub(super) fn dns(table: &mut Table<'_>, report: &mut Report<'_>) -> DnsCheck {
    const NS: u16 = 2;
    let name = table.parsed("query", dns_name, report).map(|name| name.value);
    let record = table.get("record").and_then(|value| record(value, report));
    DnsCheck { name: name.unwrap_or_default(), kind: record.unwrap_or(NS), ..DnsCheck::default() }
}

fn record(value: Value<'_>, report: &mut Report<'_>) -> Option<u16> {
    match value.value {
        DeValue::Integer(_) => {
            value.integer(1..=65535, report).and_then(|read| u16::try_from(read.value).ok())
        }
        _ => value.choice(&RECORDS, report).map(|read| read.value),
    }
}

/// A name of labels of 1 to 63 bytes (RFC 1035 §3.1); the last dot may be there, and is all of the root.
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

pub(super) fn count(table: &mut Table<'_>, key: &'static str, default: u16, report: &mut Report<'_>) -> u16 {
    let read = table.integer(key, 1..=u32::from(u16::MAX), report);
    read.and_then(|read| u16::try_from(read.value).ok()).unwrap_or(default)
}

fn http(table: &mut Table<'_>, report: &mut Report<'_>) -> HttpCheck {
    let path = table.parsed("path", path, report);
    let virtual_host = table.parsed("virtual_host", values::host, report);
    let status = match table.list("status", report) {
        Some(list) => status(table, list, report),
        None => vec![StatusRange { first: 200, last: 299 }],
    };
    let digest = table.parsed("digest", digest, report);
    HttpCheck::new(HttpPage {
        virtual_host: virtual_host.map(|host| host.value),
        status,
        digest: digest.map(|digest| digest.value),
        ..HttpPage::new(path.as_ref().map_or("/", |path| &path.value))
    })
}

/// A request target (RFC 9112 §3.2.1): begins with a slash, printable ASCII.
fn path(text: &str) -> Result<String, Problem> {
    if text.len() > limits::HTTP_PATH_MAX {
        let what = format!("a path of {} bytes, at most {}", text.len(), limits::HTTP_PATH_MAX);
        return Err(Problem::new(what, ""));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        let what = format!("\"{}\" is a whole URL", shown(text));
        return Err(Problem::new(
            what,
            format!("Did you mean \"{}\"? The host goes to virtual_host.", shown(path)),
        ));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        let what = format!("\"{}\" holds spaces, control characters or letters beyond ASCII", shown(text));
        return Err(Problem::new(what, "Write them as %20 and the like."));
    }
    if !text.starts_with('/') {
        let what = format!("\"{}\" does not begin with a slash", shown(text));
        return Err(Problem::new(what, format!("Did you mean \"/{}\"?", shown(text))));
    }
    Ok(text.to_owned())
}

/// MD5 in hexadecimal, as `genhash` and `md5sum` print it.
fn digest(text: &str) -> Result<[u8; 16], Problem> {
    let wrong = || {
        let what = format!("\"{}\" is not an MD5 digest of 32 hexadecimal digits", shown(text));
        let hint = match text.len() {
            40 => "40 digits look like SHA-1; md5sum gives the right one.",
            64 => "64 digits look like SHA-256; md5sum gives the right one.",
            _ => "md5sum prints it for a page.",
        };
        Problem::new(what, hint)
    };
    let mut out = [0; 16];
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (i, to) in out.iter_mut().enumerate() {
        let pair = text.get(2 * i..2 * i + 2).ok_or_else(wrong)?;
        *to = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(out)
}

fn status(table: &Table<'_>, list: Vec<Value<'_>>, report: &mut Report<'_>) -> Vec<StatusRange> {
    if list.is_empty() {
        report.error(table.key_at("status"), "`status` is empty", "Leave it out for 200 to 299.");
    }
    if let Some(first) = list.get(limits::STATUS_RANGES_MAX) {
        report.error(
            first.at,
            format!("more than {} in `status`", limits::STATUS_RANGES_MAX),
            "Give ranges.",
        );
    }
    list.into_iter().filter_map(|item| status_range(item, report)).collect()
}

fn status_range(item: Value<'_>, report: &mut Report<'_>) -> Option<StatusRange> {
    const FIRST: u16 = 100;
    const LAST: u16 = 599;
    let DeValue::String(_) = item.value else {
        let read = item.integer(u32::from(FIRST)..=u32::from(LAST), report)?;
        let status = u16::try_from(read.value).ok()?;
        return Some(StatusRange { first: status, last: status });
    };
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) if first >= FIRST && last <= LAST && first <= last => {
                Ok(StatusRange { first, last })
            }
            (Ok(first), Ok(last)) if first > last => Err(Problem::new(
                format!("\"{}\" ends before it begins", shown(text)),
                format!("Did you mean \"{last}-{first}\"?"),
            )),
            (Ok(_), Ok(_)) => Err(Problem::new(format!("\"{}\", wants {FIRST} to {LAST}", shown(text)), "")),
            _ => {
                let hint =
                    match text.to_ascii_lowercase().strip_suffix("xx").and_then(|s| s.parse::<u8>().ok()) {
                        Some(hundred @ 1..=5) => format!("Did you mean \"{hundred}00-{hundred}99\"?"),
                        _ => "Write 200, or \"200-299\".".to_owned(),
                    };
                Err(Problem::new(format!("\"{}\" is not a status or a range of them", shown(text)), hint))
            }
        }
    };
    item.parsed(range, report).map(|read| read.value)
}
