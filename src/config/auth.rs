//! `auth_pass` and `auth_hmac`.

use super::Outside;
use super::command;
use super::reader::{Table, Value};
use super::report::{At, Problem, Report};
use super::suggest::shown;
use crate::limits;
use crate::model::{AntiReplay, AuthPass, Authentication, Hmac, HmacKey, HmacMode, Version};
use crate::time::Duration;
use std::collections::BTreeMap;
use toml::de::DeValue;

/// Bytes of an HMAC key (PKT-50).
const SECRET: core::ops::RangeInclusive<usize> = 32..=64;

/// What adverts carry to be believed.
pub(super) fn authentication(
    table: &mut Table<'_>,
    version: Version,
    outside: &Outside<'_>,
    report: &mut Report<'_>,
) -> Authentication {
    auth_type(table, report);
    let pass = pass(table, version, report);
    let hmac = table.table("auth_hmac", "auth_hmac", report);
    if table.has("auth_hmac") {
        let hint = "Leave `auth_pass` out, whose password is readable on the wire.";
        table.contradict(&["auth_pass"], "`auth_hmac`", hint, report);
    }
    match (hmac.and_then(|hmac| self::hmac(hmac, outside, report)), pass) {
        (Some(hmac), _) => Authentication::Hmac(Box::new(hmac)),
        (None, Some(pass)) => Authentication::Pass(pass),
        (None, None) => Authentication::None,
    }
}

/// keepalived's word. AH of VRRPv2 is refused: its sequence is not checked by anybody, so that a recorded
/// advert can be sent again.
fn auth_type(table: &mut Table<'_>, report: &mut Report<'_>) {
    let is_ah = match table.peek("auth_type") {
        Some(DeValue::String(text)) => text.eq_ignore_ascii_case("AH"),
        _ => false,
    };
    if is_ah {
        let what = "`auth_type = \"AH\"` is not supported: it does not keep anybody from replaying adverts";
        let hint = "Use `auth_hmac` on all routers of the group, or none.";
        table.refuse("auth_type", what, hint, report);
    }
}

/// PASS: 8 bytes on the wire, what is longer is cut as keepalived cuts it (PKT-4).
fn pass(table: &mut Table<'_>, version: Version, report: &mut Report<'_>) -> Option<AuthPass> {
    const LENGTH: usize = 8;
    let value = table.get("auth_pass")?;
    if version == Version::V3 {
        report.error(
            table.key_at("auth_pass"),
            "`auth_pass` contradicts VRRPv3, which has no passwords",
            "Leave it out, or set version = 2 (IPv4 only); `auth_hmac` goes with both.",
        );
    }
    let text = value.text(report)?;
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
    Some(AuthPass(padded))
}

fn hmac(mut table: Table<'_>, outside: &Outside<'_>, report: &mut Report<'_>) -> Option<Hmac> {
    let keys = keys(&mut table, outside, report);
    table.require("keys", "keys = [{ id = 1, file = \"/etc/vipd.key\" }]");
    let active = active(&mut table, &keys, report);
    let secs = Duration::from_secs;
    let window = table.duration("window", secs(1)..=secs(300), report).map(|window| window.value);
    let words = [("time", AntiReplay::Time), ("monotonic", AntiReplay::Monotonic)];
    let anti_replay = table.choice("anti_replay", &words, report).map_or(AntiReplay::Time, |read| read.value);
    if anti_replay == AntiReplay::Monotonic {
        table.contradict(&["window"], "`anti_replay = \"monotonic\"`", "Numbers have no clock.", report);
    }
    let words = [
        ("enforce", HmacMode::Enforce),
        ("permissive", HmacMode::Permissive),
        ("receive-only", HmacMode::ReceiveOnly),
    ];
    let mode = table.choice("mode", &words, report).map_or(HmacMode::Enforce, |read| read.value);
    table.finish(report);
    let keys: Vec<HmacKey> = keys.into_iter().map(|key| key.value).collect();
    (!keys.is_empty()).then_some(Hmac { keys, active, window, anti_replay, mode })
}

/// Index of the key that signs: the only one, or the one that `active` names.
fn active(table: &mut Table<'_>, keys: &[At<HmacKey>], report: &mut Report<'_>) -> usize {
    if keys.len() > 1 {
        table.require("active", "active = 1, the id of the key that signs");
    }
    let Some(active) = table.integer("active", 0..=255, report) else { return 0 };
    let found = keys.iter().position(|key| u32::from(key.value.id) == active.value);
    if found.is_none() && !keys.is_empty() {
        let ids: Vec<String> = keys.iter().map(|key| key.value.id.to_string()).collect();
        let what = format!("`active`: no key has the id {}", active.value);
        report.error(active.at, what, format!("Those are: {}.", ids.join(", ")));
    }
    found.unwrap_or(0)
}

fn keys(table: &mut Table<'_>, outside: &Outside<'_>, report: &mut Report<'_>) -> Vec<At<HmacKey>> {
    let Some(list) = table.list("keys", report) else { return Vec::new() };
    if list.is_empty() {
        let hint = "Add { id = 1, file = \"/etc/vipd.key\" }.";
        report.error(table.key_at("keys"), "`keys` is empty", hint);
    }
    if let Some(first) = list.get(limits::HMAC_KEYS_MAX) {
        report.error(first.at, format!("more than {} in `keys`", limits::HMAC_KEYS_MAX), "");
    }
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for item in list.into_iter().take(limits::HMAC_KEYS_MAX) {
        let Some(key) = key(item, outside, report) else { continue };
        if seen.insert(key.value.id, key.at).is_some() {
            let what = format!("`keys`: the id {} is given twice", key.value.id);
            report.error(key.at, what, "The id says on the wire which key signed.");
        }
        out.push(key);
    }
    out
}

/// `{ id, hex | ascii | file }`.
fn key(item: Value<'_>, outside: &Outside<'_>, report: &mut Report<'_>) -> Option<At<HmacKey>> {
    let mut table = item.table("keys", report)?;
    let id = table.number("id", 0..=255, report);
    table.require("id", "id = 1");
    let places = ["hex", "ascii", "file"];
    let given: Vec<&str> = places.into_iter().filter(|key| table.has(key)).collect();
    let hex = table.parsed("hex", hex, report);
    let ascii = table.parsed("ascii", ascii, report);
    let file = table.parsed("file", command::path, report);
    let file = file.and_then(|path| self::file(path, outside, report));
    match given.as_slice() {
        [] => report.missing(item.at, "the key has no secret", "Add `file`, `hex` or `ascii`."),
        [first, rest @ ..] => {
            table.contradict(rest, &format!("`{first}`"), "A key has one secret.", report);
        }
    }
    table.finish(report);
    let secret = hex.or(ascii).or(file)?;
    Some(At { at: item.at, value: HmacKey { id: id?.value, secret: secret.value } })
}

type Secret = heapless::Vec<u8, 64>;

fn secret(bytes: &[u8]) -> Result<Secret, Problem> {
    let (first, last) = (SECRET.start(), SECRET.end());
    match Secret::from_slice(bytes) {
        Ok(secret) if SECRET.contains(&bytes.len()) => Ok(secret),
        _ => {
            let what = format!("a key of {} bytes, wants {first} to {last}", bytes.len());
            Err(Problem::new(what, "openssl rand -hex 32 makes one for `hex`."))
        }
    }
}

/// The messages show nothing of a secret.
fn hex(text: &str) -> Result<Secret, Problem> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let Some(digits) = digits else {
        return Err(Problem::new("the key holds what is no hexadecimal digit", "Write digits alone."));
    };
    if digits.len() % 2 != 0 {
        let what = format!("{} hexadecimal digits, an even number is wanted", digits.len());
        return Err(Problem::new(what, "Was one lost when it was copied?"));
    }
    let pair = |pair: &[u8]| match pair {
        [high, low] => high << 4 | low,
        _ => 0,
    };
    let bytes: Vec<u8> = digits.chunks(2).map(pair).collect();
    secret(&bytes)
}

fn ascii(text: &str) -> Result<Secret, Problem> {
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(Problem::new("the key holds other than printable ASCII", "Use `hex`."));
    }
    secret(text.as_bytes())
}

/// The bytes of a file; a line end after the last is that of an editor.
fn file(path: At<String>, outside: &Outside<'_>, report: &mut Report<'_>) -> Option<At<Secret>> {
    let named = format!("`file`: {}", shown(&path.value));
    let read = match (outside.key_file)(&path.value) {
        Ok(read) => read,
        Err(why) => {
            report.error(path.at, format!("{named} cannot be read: {why}"), "");
            return None;
        }
    };
    if read.is_public {
        let what = format!("{named} can be read by everybody on this box");
        report.warning(path.at, what, format!("chmod 600 {}", shown(&path.value)));
    }
    let bytes = read.bytes.strip_suffix(b"\n").unwrap_or(&read.bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match secret(bytes) {
        Ok(secret) => Some(At { at: path.at, value: secret }),
        Err(problem) => {
            report.error(path.at, format!("{named} holds {}", problem.what), problem.hint);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkt_50_keys_have_32_to_64_bytes() {
        for length in [31, 65] {
            assert!(hex(&"ab".repeat(length)).is_err() && ascii(&"a".repeat(length)).is_err(), "{length}");
        }
        for length in [32, 64] {
            assert_eq!(hex(&"aB".repeat(length)).unwrap(), vec![0xab; length][..]);
            assert_eq!(ascii(&"a".repeat(length)).unwrap(), vec![b'a'; length][..]);
        }
        for text in ["x".repeat(64), "a".repeat(65), "é".repeat(40)] {
            let problem = hex(&text).unwrap_err();
            assert!(!problem.what.contains(&text), "SEC: a secret does not go to the log: {problem:?}");
        }
    }
}
