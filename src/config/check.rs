//! `check = { ... }` and `checks = [{ ... }, ...]`.

mod dns;
mod http;
mod page;
mod regex;
mod run;
mod tls;
mod udp;
mod via;

pub(super) use dns::dns;
#[cfg(feature = "import")]
pub(super) use regex::pattern;

use super::reader::{Table, Value};
use super::report::Report;
use super::service::Scope;
use super::values;
use crate::limits;
use crate::model::{Check, CheckKind, SmtpCheck, UdpCheck};
use crate::time::Duration;
use toml::de::DeValue;

/// A host that does not answer to ARP is given up by the kernel after this (HC-36).
const ARP_FAILURE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Tcp,
    Http,
    Https,
    Smtp,
    Ping,
    Dns,
    Udp,
    Script,
    File,
}

use Type::{Dns, File, Http, Https, Ping, Script, Smtp, Tcp, Udp};

const TYPES: [(&str, Type); 9] = [
    ("tcp", Tcp),
    ("http", Http),
    ("https", Https),
    ("smtp", Smtp),
    ("ping", Ping),
    ("dns", Dns),
    ("udp", Udp),
    ("script", Script),
    ("file", File),
];

/// All that probe at times of their own.
const PROBES: &[Type] = &[Tcp, Http, Https, Smtp, Ping, Dns, Udp, Script];
/// All that send something.
const SENDERS: &[Type] = &[Tcp, Http, Https, Smtp, Ping, Dns, Udp];
/// All that send it to a port.
const DIALLERS: &[Type] = &[Tcp, Http, Https, Smtp, Dns, Udp];
const WEB: &[Type] = &[Http, Https];

/// Keys beside `type`, each with the types that have it.
const KEYS: [(&str, &[Type]); 41] = [
    ("interval", PROBES),
    ("timeout", PROBES),
    ("retry_interval", PROBES),
    ("rise", PROBES),
    ("fall", PROBES),
    ("warmup", PROBES),
    ("address", SENDERS),
    ("port", DIALLERS),
    ("source", SENDERS),
    ("source_port", DIALLERS),
    ("interface", SENDERS),
    ("mark", SENDERS),
    ("path", WEB),
    ("virtual_host", WEB),
    ("status", WEB),
    ("digest", WEB),
    ("raw_body", WEB),
    ("regex", WEB),
    ("pages", WEB),
    ("version", WEB),
    ("headers", WEB),
    ("sni", &[Https]),
    ("verify", &[Https]),
    ("certificate", &[Https]),
    ("key", &[Https]),
    ("helo", &[Smtp]),
    ("query", &[Dns]),
    ("record", &[Dns]),
    ("rcode", &[Dns]),
    ("answer", &[Dns]),
    ("payload", &[Udp]),
    ("require_reply", &[Udp]),
    ("reply", &[Udp]),
    ("reply_min", &[Udp]),
    ("reply_max", &[Udp]),
    ("command", &[Script]),
    ("user", &[Script]),
    ("dynamic", &[Script]),
    ("track", &[File]),
    ("weight", &[File]),
    ("reverse", &[File]),
];

/// What `check` or `checks` of a table say; `None` where there is neither. `false` is an empty list.
pub(super) fn checks(
    table: &mut Table<'_>,
    scope: &Scope<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<Check>> {
    if table.has("check") && table.has("checks") {
        table.contradict(&["check"], "`checks`", "Put it into `checks`, or leave one out.", report);
    }
    let one = table.get("check").map(|value| check(value, scope, report).into_iter().collect());
    let many = table.get("checks").map(|value| list(value, scope, report));
    many.or(one)
}

fn list(value: Value<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Vec<Check> {
    match value.value {
        DeValue::Boolean(false) => return Vec::new(),
        DeValue::Table(_) => {
            value.wrong("a list", "Did you mean `check`, or [{ ... }, { ... }]?".to_owned(), report);
            return Vec::new();
        }
        _ => {}
    }
    let items = value.list(report).unwrap_or_default();
    if items.is_empty() && matches!(value.value, DeValue::Array(_)) {
        report.error(value.at, "`checks` is empty", "Write check = false for none.");
    }
    if let Some(first) = items.get(limits::CHECKS_MAX) {
        report.error(first.at, format!("more than {} in `checks`", limits::CHECKS_MAX), "");
    }
    let mut out: Vec<Check> = Vec::new();
    for item in items.into_iter().take(limits::CHECKS_MAX) {
        let Some(read) = check(item, scope, report) else { continue };
        if out.contains(&read) {
            report.error(item.at, "`checks`: this check is given twice", "Leave one out.");
            continue;
        }
        out.push(read);
    }
    out
}

/// A checker; `false` for none. `None` also where it cannot be read, which is then reported.
fn check(value: Value<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Check> {
    match value.value {
        DeValue::Boolean(false) if value.key == "check" => None,
        DeValue::Boolean(_) => {
            let hint = "Say which one: check = { type = \"tcp\" }; check = false is none.";
            report.error(value.at, format!("`{}` wants a table or false", value.key), hint);
            None
        }
        DeValue::String(word) => {
            let hint = match TYPES.iter().find(|(known, _)| *known == word.as_ref()) {
                Some((word, _)) => format!("Did you mean check = {{ type = \"{word}\" }}?"),
                None => "Write check = { type = \"tcp\" }, or false for none.".to_owned(),
            };
            value.wrong("a table or false", hint, report);
            None
        }
        DeValue::Array(list) if list.len() > 1 => {
            value.wrong("a table or false", "Did you mean `checks`?".to_owned(), report);
            None
        }
        _ => table(value.table("check", report)?, scope, report),
    }
}

fn table(mut table: Table<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<Check> {
    let kind = table.choice("type", &TYPES, report).map(|kind| kind.value);
    table.require("type", "type = \"http\", or tcp, https, smtp, ping, dns, udp, script, file");
    let read = kind.and_then(|kind| {
        let mut check = times(&mut table, report);
        if SENDERS.contains(&kind) {
            check.via = via::via(&mut table, report);
        }
        let read = self::kind(kind, &mut table, &mut check.timeout, scope, report);
        if kind != File {
            within(&table, &check, report);
        }
        if let Some(CheckKind::Udp(udp)) = &read {
            long_enough(&table, check.timeout, udp, report);
        }
        foreign(&mut table, kind, report);
        read.map(|kind| Check { kind, ..check })
    });
    table.know(&KEYS.map(|(key, _)| key));
    table.finish(report);
    read
}

/// How often, how long, how many.
fn times(table: &mut Table<'_>, report: &mut Report<'_>) -> Check {
    let (millis, secs) = (Duration::from_millis, Duration::from_secs);
    let interval = table.duration("interval", millis(100)..=secs(86_400), report);
    let timeout = table.duration("timeout", millis(10)..=secs(3600), report);
    let retry_interval = table.duration("retry_interval", millis(100)..=secs(86_400), report);
    let default = Check::new(CheckKind::Tcp);
    Check {
        interval: interval.map_or(default.interval, |interval| interval.value),
        timeout: timeout.map_or(default.timeout, |timeout| timeout.value),
        retry_interval: retry_interval.map_or(default.retry_interval, |retry| retry.value),
        rise: count(table, "rise", default.rise, report),
        fall: count(table, "fall", default.fall, report),
        warmup: table.duration("warmup", secs(0)..=secs(86_400), report).map(|warmup| warmup.value),
        ..default
    }
}

pub(super) fn count(table: &mut Table<'_>, key: &'static str, default: u16, report: &mut Report<'_>) -> u16 {
    let read = table.integer(key, 1..=u32::from(u16::MAX), report);
    read.and_then(|read| u16::try_from(read.value).ok()).unwrap_or(default)
}

/// What one probe does. A script's command may have a timeout of its own, which is then the check's.
fn kind(
    kind: Type,
    table: &mut Table<'_>,
    timeout: &mut Duration,
    scope: &Scope<'_>,
    report: &mut Report<'_>,
) -> Option<CheckKind> {
    Some(match kind {
        Tcp => CheckKind::Tcp,
        Http => CheckKind::Http(Box::new(http::http(table, false, report))),
        Https => {
            if !cfg!(feature = "https") {
                let what = "`type = \"https\"`: this vipd is built without https";
                let hint = "Use type = \"http\" or \"tcp\", or a vipd with the feature `https`.";
                report.error(table.key_at("type"), what, hint);
            }
            CheckKind::Http(Box::new(http::http(table, true, report)))
        }
        Smtp => {
            let helo = table.parsed("helo", values::host, report);
            CheckKind::Smtp(SmtpCheck { helo: helo.map(|helo| helo.value) })
        }
        Ping => CheckKind::Ping,
        Dns => CheckKind::Dns(dns::dns_check(table, report)),
        Udp => CheckKind::Udp(Box::new(udp::udp(table, report))),
        Script => {
            let script = run::script(table, *timeout, scope, report)?;
            *timeout = script.command.timeout;
            CheckKind::Script(script)
        }
        File => CheckKind::File(run::file(table, scope, report)?),
    })
}

/// The next probe starts when the last one has ended.
fn within(table: &Table<'_>, check: &Check, report: &mut Report<'_>) {
    if check.timeout > check.interval {
        let keys = ["timeout", "command", "interval"];
        let place = keys.into_iter().find(|key| table.has(key)).unwrap_or("interval");
        let [timeout, interval] = [check.timeout, check.interval].map(values::show_duration);
        let what = format!("`timeout` ({timeout}) is longer than `interval` ({interval})");
        let hint = "A probe that hangs delays the next one; give a timeout within the interval.";
        report.warning(table.key_at(place), what, hint);
    }
}

/// HC-36: until the kernel has found out that a host on the LAN does not answer to ARP, it looks as one that
/// takes what it gets and says nothing.
fn long_enough(table: &Table<'_>, timeout: Duration, udp: &UdpCheck, report: &mut Report<'_>) {
    if !udp.needs_reply && timeout < ARP_FAILURE {
        let timeout = values::show_duration(timeout);
        let what = format!("`timeout` ({timeout}) is over before a dead host on the LAN is found out (3s)");
        let hint = "Without a wanted reply it looks alive: give 3s or more, or require_reply = true.";
        report.warning(table.key_at(if table.has("timeout") { "timeout" } else { "type" }), what, hint);
    }
}

/// Keys of other types.
fn foreign(table: &mut Table<'_>, kind: Type, report: &mut Report<'_>) {
    let word = |kind: &Type| TYPES.iter().find(|(_, other)| other == kind).map_or("", |(word, _)| word);
    let says = format!("`type = \"{}\"`", word(&kind));
    for (key, types) in KEYS {
        let Some(first) = types.first().filter(|_| !types.contains(&kind)) else { continue };
        let hint = match (key, kind) {
            ("interval" | "timeout" | "retry_interval" | "rise" | "fall" | "warmup", _) => {
                "Leave it out: a tracked file is told of as soon as it changes.".to_owned()
            }
            ("address" | "port" | "source" | "source_port" | "interface" | "mark", Script | File) => {
                "Leave it out: vipd sends nothing for this check.".to_owned()
            }
            ("port" | "source_port", _) => "Leave it out: a ping has no port.".to_owned(),
            ("path", Script) => "Did you mean `command`?".to_owned(),
            ("path", File) => "Did you mean `track`, the name of a [[track]]?".to_owned(),
            ("command", File) => "Did you mean type = \"script\"?".to_owned(),
            ("weight", _) => "The weight is the server's.".to_owned(),
            ("status", Dns) => "Did you mean `rcode`?".to_owned(),
            _ => format!("Did you mean type = \"{}\"?", word(first)),
        };
        table.contradict(&[key], &says, &hint, report);
    }
}

/// Does it go to a port, and is none known?
pub(super) fn lacks_port(check: &Check, server: u16) -> bool {
    let dials = match &check.kind {
        CheckKind::Tcp | CheckKind::Http(_) | CheckKind::Smtp(_) | CheckKind::Dns(_) | CheckKind::Udp(_) => {
            true
        }
        CheckKind::Ping | CheckKind::Script(_) | CheckKind::File(_) => false,
    };
    dials && server == 0 && check.via.port.is_none()
}

/// May it change the weight of a server?
pub(super) fn weighs(check: &Check) -> bool {
    match &check.kind {
        CheckKind::Script(script) => script.dynamic,
        CheckKind::File(file) => file.weight != 0,
        CheckKind::Tcp
        | CheckKind::Http(_)
        | CheckKind::Smtp(_)
        | CheckKind::Ping
        | CheckKind::Dns(_)
        | CheckKind::Udp(_) => false,
    }
}

/// Why its probes cannot go to a server of that family.
pub(super) fn cannot_reach(check: &Check, ipv6: bool) -> Option<String> {
    if check.via.address.is_some() {
        return None; // compared with the rest where it was read
    }
    let source = check.via.source.filter(|source| source.is_ipv6() != ipv6)?;
    let [own, its] = if ipv6 { ["IPv6", "IPv4"] } else { ["IPv4", "IPv6"] };
    Some(format!("is {own}, the check's `source` {source} is {its}"))
}
