//! `type = "https"`: how the probe names and judges the other side.

use crate::config::command;
use crate::config::host;
use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Report};
use crate::config::suggest::shown;
use crate::model::TlsCheck;
use std::net::IpAddr;
use toml::de::DeValue;

/// The keys of TLS (HC-14).
pub(super) fn tls(table: &mut Table<'_>, report: &mut Report<'_>) -> TlsCheck {
    let (name, without_sni) = match table.get("sni") {
        Some(value) => sni(value, report),
        None => (None, false),
    };
    let ca = table.get("verify").and_then(|value| verify(value, report));
    let certificate = table.parsed("certificate", command::path, report);
    let key = table.parsed("key", command::path, report);
    for (own, other) in [("certificate", "key"), ("key", "certificate")] {
        if table.has(own) && !table.has(other) {
            let what = format!("`{own}` is given without `{other}`");
            report.error(table.key_at(own), what, "Give both, or neither.");
        }
    }
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate.value, key.value)),
        (None, _) | (_, None) => None,
    };
    TlsCheck { name, without_sni, ca, client }
}

/// A host name, or `false`.
fn sni(value: Value<'_>, report: &mut Report<'_>) -> (Option<String>, bool) {
    match value.value {
        DeValue::Boolean(false) => (None, true),
        DeValue::Boolean(true) => {
            let hint = "Leave it out for the virtual host, or write sni = \"www.example.org\".";
            report.error(value.at, "`sni` wants a name or false", hint);
            (None, false)
        }
        _ => (value.parsed(name, report).map(|read| read.value), false),
    }
}

/// RFC 6066 §3: a DNS name, never an address.
fn name(text: &str) -> Result<String, Problem> {
    let bare = text.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() {
        let what = format!("\"{}\" is an address, which is never sent as a name", shown(text));
        return Err(Problem::new(what, "Give the host's name, or sni = false."));
    }
    host::name(text.strip_suffix('.').unwrap_or(text))
}

/// `"off"`, or the path of a file of authorities.
fn verify(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    if let DeValue::Boolean(wanted) = value.value {
        let hint = match wanted {
            true => "Say by which authorities: verify = \"/etc/ssl/ca.pem\".",
            false => "Did you mean verify = \"off\"?",
        };
        value.wrong("\"off\" or the path of a CA file", hint.to_owned(), report);
        return None;
    }
    let read = |text: &str| match text {
        "off" => Ok(None),
        "on" | "peer" | "full" | "system" | "default" => {
            let what = format!("\"{text}\" does not say by which authorities");
            Err(Problem::new(what, "Give their file: verify = \"/etc/ssl/ca.pem\", or \"off\"."))
        }
        "no" | "none" | "false" | "insecure" => {
            Err(Problem::new(format!("\"{text}\" is not a path"), "Did you mean \"off\"?"))
        }
        _ => command::path(text).map(Some),
    };
    value.parsed(read, report)?.value
}
