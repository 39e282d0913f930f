//! `[mail]`.

use super::super::finding::{Findings, Kind};
use super::super::tree::Word;
use super::super::walk::Known;
use super::args::{self, SECOND};
use super::table;
use crate::config::document::{Document, Value, span};
use crate::config::host;
use crate::config::suggest::shown;
use crate::limits;
use std::net::{IpAddr, SocketAddr};

const SMTP_PORT: u32 = 25;

/// Writes `[mail]`, if there are a server and somebody to write to, as keepalived wants it.
pub(super) fn map(globals: &[Known<'_>], document: &mut Document, findings: &mut Findings) -> bool {
    let last = |name: &str| globals.iter().rev().copied().find(|known| known.name == name);
    let blocks = globals.iter().filter(|known| known.name == "notification_email");
    let lines = blocks.clone().flat_map(|known| known.statement.inside());
    let words: Vec<&Word> = lines.flat_map(|line| line.words.iter()).collect();
    let server = last("smtp_server");
    if !cfg!(feature = "mail") {
        let hint = "This vipd is built without mail: take one with the feature `mail`.";
        none(globals, "", Kind::Unsupported, hint, findings);
        return false;
    }
    let (Some(server), Some(_)) = (server, words.first()) else {
        none(
            globals,
            "",
            Kind::Ignored,
            "They need `smtp_server` and `notification_email`: keepalived sends none either.",
            findings,
        );
        return false;
    };
    let Some(address) = self::server(server, findings) else {
        none(globals, "smtp_server", Kind::Ignored, "They go with `smtp_server`.", findings);
        return false;
    };
    let place = server.statement.place();
    table(document, "mail", place).put("server", address, place);
    let from = last("notification_email_from").and_then(|known| known.statement.argument(0));
    let from_place = from.map_or(place, |word| word.place);
    let from = match from {
        Some(word) => whole(word, findings),
        None => {
            let hint = "keepalived takes its user and the name of the host: set `from`.";
            let what = "mails come from \"root@localhost\", no `notification_email_from` is given";
            findings.push(place, Kind::Changed, what, hint);
            "root@localhost".to_owned()
        }
    };
    table(document, "mail", place).put("from", from, from_place);
    if let Some(word) = words.get(limits::RECIPIENTS_MAX) {
        let what = format!("more than {} recipients", limits::RECIPIENTS_MAX);
        findings.push(word.place, Kind::Unsupported, what, "The rest is left out: use an alias.");
    }
    let mut to: Vec<String> = Vec::new();
    for word in words.iter().take(limits::RECIPIENTS_MAX) {
        to.push(whole(word, findings));
    }
    let to_place = words.first().map_or(place, |word| word.place);
    let to: Vec<Value> = to.into_iter().map(Value::Text).collect();
    table(document, "mail", place).put("to", to, to_place);
    if let Some(known) = last("smtp_connect_timeout")
        && let Some(seconds) = args::count(known, 0, 1..=i32::MAX.unsigned_abs(), findings)
    {
        let timeout = span(u64::from(seconds.min(600)) * SECOND);
        table(document, "mail", place).put_unless("timeout", timeout, "30s", known.statement.place());
    }
    if let Some(word) = last("smtp_helo_name").and_then(|known| known.statement.argument(0)) {
        table(document, "mail", place).put("helo", word.text.as_str(), word.place);
    }
    true
}

/// Tells of all lines that are about mails, where none are sent; but for `told`, of which it is told why.
fn none(globals: &[Known<'_>], told: &str, kind: Kind, hint: &str, findings: &mut Findings) {
    const WORDS: [&str; 5] = [
        "notification_email",
        "notification_email_from",
        "smtp_server",
        "smtp_connect_timeout",
        "smtp_helo_name",
    ];
    for known in globals.iter().filter(|known| WORDS.contains(&known.name) && known.name != told) {
        let what = format!("`{}` is left out: no mails are sent", known.name);
        findings.push(known.statement.place(), kind, what, hint);
    }
}

/// `smtp_server HOST [PORT]`.
fn server(known: Known<'_>, findings: &mut Findings) -> Option<String> {
    let word = known.statement.argument(0)?;
    let port = match known.statement.argument(1) {
        Some(_) => args::count(known, 1, 1..=65_535, findings).unwrap_or(SMTP_PORT),
        None => SMTP_PORT,
    };
    let port = u16::try_from(port).ok()?;
    let text = if word.text == "localhost" { "127.0.0.1" } else { word.text.as_str() };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port).to_string());
    }
    match host::name(text) {
        Ok(name) => Some(format!("{name}:{port}")),
        Err(problem) => {
            findings.push(word.place, Kind::Invalid, problem.what, "No mails are sent.");
            None
        }
    }
}

/// A mail address; one of this host gets the host.
fn whole(word: &Word, findings: &mut Findings) -> String {
    let bare = word.text.trim_matches(['<', '>', ',', ';']);
    if bare.contains('@') {
        return bare.to_owned();
    }
    let address = format!("{bare}@localhost");
    let what = format!("the mail address \"{}\" becomes \"{}\"", shown(&word.text), shown(&address));
    findings.push(word.place, Kind::Changed, what, "vipd's mail addresses have a host.");
    address
}
