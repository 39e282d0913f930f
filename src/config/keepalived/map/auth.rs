//! `authentication` and `auth_hmac`.

use super::super::finding::{Findings, Kind};
use super::super::keywords::Context;
use super::super::tree::Word;
use super::super::walk::Known;
use super::args::{self, SECOND};
use super::block::Block;
use crate::config::document::{Table, Value, span};
use crate::config::suggest::shown;

/// Bytes of a password on the wire.
const PASS: usize = 8;

/// Puts `auth_pass`. `is_refused`: why passwords do not go with the instance, as keepalived has it.
pub(super) fn pass(
    block: &Block<'_>,
    is_refused: Option<&str>,
    table: &mut Table,
    findings: &mut Findings,
) -> Option<()> {
    let head = block.last("authentication")?;
    let place = head.statement.place();
    let inner = Block::new(Context::AUTHENTICATION, head.statement, findings);
    let kind = inner.last("auth_type");
    let word = inner.last("auth_pass").and_then(|known| known.statement.argument(0));
    match kind.and_then(|known| known.statement.argument(0)).map(|word| word.text.as_str()) {
        Some("PASS") => {}
        None if word.is_none() => return None,
        None => {
            let hint = "keepalived leaves a password without `auth_type PASS` out.";
            findings.push(place, Kind::Changed, "`authentication` is left out", hint);
            return None;
        }
        Some("AH") => {
            let what = "`auth_type AH` has no counterpart";
            let hint = "It keeps nobody from replaying adverts: use `auth_hmac` on all routers, or PASS.";
            findings.push(kind.map_or(place, |known| known.statement.place()), Kind::Unsupported, what, hint);
            without(&inner, findings);
            return None;
        }
        Some(other) => {
            let what = format!("`auth_type` is PASS or AH, not \"{}\"", shown(other));
            let at = kind.map_or(place, |known| known.statement.place());
            findings.push(at, Kind::Invalid, what, "keepalived goes on without a password.");
            without(&inner, findings);
            return None;
        }
    }
    if let Some(why) = is_refused {
        findings.push(
            place,
            Kind::Changed,
            format!("the password is left out: {why}"),
            "keepalived does so.",
        );
        return None;
    }
    let Some(word) = word.filter(|word| !word.text.is_empty()) else {
        findings.push(place, Kind::Invalid, "there is no password", "keepalived goes on without one.");
        return None;
    };
    let mut text = word.text.as_str();
    // Where the cut goes through a character, vipd cuts the bytes.
    if let Some(start) = text.get(..PASS).filter(|start| start.len() < text.len()) {
        let what = format!("the password is cut to its first {PASS} bytes");
        findings.push(word.place, Kind::Changed, what, "keepalived does so, and so does every router.");
        text = start;
    }
    table.put("auth_pass", text, word.place);
    Some(())
}

/// Tells of a password whose type leaves it out.
fn without(block: &Block<'_>, findings: &mut Findings) {
    if let Some(known) = block.last("auth_pass") {
        let what = "`auth_pass` is left out with its `auth_type`";
        findings.push(known.statement.place(), Kind::Ignored, what, "");
    }
}

/// Puts `auth_hmac`.
pub(super) fn hmac(block: &Block<'_>, table: &mut Table, findings: &mut Findings) -> Option<()> {
    let head = block.last("auth_hmac")?;
    let place = head.statement.place();
    let inner = Block::new(Context::AUTH_HMAC, head.statement, findings);
    let list: Vec<Value> = inner.all("key").filter_map(|known| key(known, findings)).collect();
    let many = list.len() > 1;
    let mut keys = vec![("keys", Value::List(list))];
    match inner.last("active_key").and_then(|known| args::count(known, 0, 0..=255, findings)) {
        Some(active) => keys.push(("active", Value::from(active))),
        // The first one signs where none is named.
        None if many => {
            let first = inner.all("key").next().and_then(|known| args::count(known, 0, 0..=255, findings));
            keys.extend(first.map(|first| ("active", Value::from(first))));
        }
        None => {}
    }
    let window = inner.last("time_window");
    let window = window.and_then(|known| args::micros(known, 0, SECOND..=300 * SECOND, findings));
    let replay = word(&inner, "anti_replay", &["time", "monotonic"], findings);
    if replay != Some("monotonic") {
        keys.extend(window.map(|window| ("window", Value::from(span(window)))));
    }
    keys.extend(replay.filter(|word| *word != "time").map(|word| ("anti_replay", Value::from(word))));
    let mode = word(&inner, "mode", &["enforce", "permissive", "receive-only"], findings);
    keys.extend(mode.filter(|word| *word != "enforce").map(|word| ("mode", Value::from(word))));
    table.put("auth_hmac", Value::Keys(keys), place);
    Some(())
}

/// `key ID hex:...`, `file:...` or `ascii:...`.
fn key(known: Known<'_>, findings: &mut Findings) -> Option<Value> {
    let id = args::count(known, 0, 0..=255, findings)?;
    let word = known.statement.argument(1)?;
    let (form, secret) = word.text.split_once(':').unwrap_or(("", &word.text));
    let form = match form {
        "hex" => "hex",
        "file" => "file",
        "ascii" => "ascii",
        _ => {
            let what = "a key begins with hex:, file: or ascii:";
            findings.push(word.place, Kind::Invalid, what, "It is left out.");
            return None;
        }
    };
    Some(Value::Keys(vec![("id", Value::from(id)), (form, Value::from(secret))]))
}

/// The argument of a keyword that takes one of a few words.
fn word<'t>(block: &Block<'t>, name: &str, words: &[&str], findings: &mut Findings) -> Option<&'t str> {
    let word: &'t Word = block.last(name)?.statement.argument(0)?;
    if words.contains(&word.text.as_str()) {
        return Some(&word.text);
    }
    let what = format!("`{name}` is {}, not \"{}\"", words.join(" or "), shown(&word.text));
    findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
    None
}
