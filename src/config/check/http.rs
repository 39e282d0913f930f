//! `type = "http"` and `"https"`: pages, version, header fields.

use super::page::page;
use super::tls::tls;
use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Report};
use crate::config::suggest::shown;
use crate::config::values;
use crate::limits;
use crate::model::{HttpCheck, HttpPage, HttpVersion};
use toml::de::DeValue;

const VERSIONS: [(&str, HttpVersion); 3] =
    [("1.1", HttpVersion::Http11), ("1.0", HttpVersion::Http10), ("1.0C", HttpVersion::Http10Close)];

/// Keys of a page that say nothing for several.
const OF_ONE_PAGE: [&str; 5] = ["path", "status", "digest", "raw_body", "regex"];

/// The keys of an HTTP check; `secure` with those of TLS.
pub(super) fn http(table: &mut Table<'_>, secure: bool, report: &mut Report<'_>) -> HttpCheck {
    let pages = pages(table, report);
    let version = table.get("version").and_then(|value| version(value, report)).unwrap_or_default();
    let headers = headers(table, report);
    let tls = secure.then(|| Box::new(tls(table, report)));
    HttpCheck { pages, version, headers, tls }
}

/// `pages`, or the one page whose keys stand in the check itself. `virtual_host` is for all pages that name
/// none (HC-10).
fn pages(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<HttpPage> {
    if !table.has("pages") {
        return vec![page(table, report)];
    }
    let host = table.parsed("virtual_host", values::host, report).map(|host| host.value);
    table.contradict(&OF_ONE_PAGE, "`pages`", "Put it into each of `pages` that it is meant for.", report);
    let list = table.list("pages", report).unwrap_or_default();
    if list.is_empty() && matches!(table.peek("pages"), Some(DeValue::Array(_))) {
        report.error(table.key_at("pages"), "`pages` is empty", "Write pages = [{ path = \"/\" }].");
    }
    if let Some(first) = list.get(limits::PAGES_MAX) {
        report.error(first.at, format!("more than {} in `pages`", limits::PAGES_MAX), "");
    }
    let mut out = Vec::new();
    for item in list.into_iter().take(limits::PAGES_MAX) {
        if let DeValue::String(path) = item.value {
            let hint = format!("Did you mean {{ path = \"{}\" }}?", shown(path));
            item.wrong("tables", hint, report);
            continue;
        }
        let Some(mut table) = item.table("pages", report) else { continue };
        let page = page(&mut table, report);
        out.push(HttpPage { virtual_host: page.virtual_host.or_else(|| host.clone()), ..page });
        table.finish(report);
    }
    out
}

/// A word; people write the number.
fn version(value: Value<'_>, report: &mut Report<'_>) -> Option<HttpVersion> {
    if let DeValue::Float(number) = value.value {
        value.wrong("a text", format!("Write it in quotes: \"{}\".", shown(number.as_str())), report);
        return None;
    }
    value.choice(&VERSIONS, report).map(|read| read.value)
}

/// `headers = { X-Probe = "vipd" }`: the keys are the user's own.
fn headers(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<(String, String)> {
    let Some(fields) = table.table("headers", "headers", report) else { return Vec::new() };
    let mut out: Vec<(String, String)> = Vec::new();
    for (name, value) in fields.entries("headers") {
        if out.len() == limits::HTTP_HEADERS_MAX {
            report.error(name.at, format!("more than {} in `headers`", limits::HTTP_HEADERS_MAX), "");
            break;
        }
        if let Err(problem) = field_name(name.value) {
            report.problem(name.at, problem);
            continue;
        }
        if out.iter().any(|(other, _)| other.eq_ignore_ascii_case(name.value)) {
            let what = format!("`headers`: {} is given twice, in other letters", name.value);
            report.error(name.at, what, "Leave one out.");
            continue;
        }
        if let Some(read) = value.parsed(field_value, report) {
            out.push((name.value.to_owned(), read.value));
        }
    }
    out
}

/// A token (RFC 9110 §5.6.2) that is not ours to set.
fn field_name(name: &str) -> Result<(), Problem> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > limits::HTTP_FIELD_NAME_MAX || !name.bytes().all(is_token) {
        let what = format!("`headers`: \"{}\" is not the name of a header field", shown(name));
        let hint = match name.trim_end_matches(':') {
            bare if bare.len() < name.len() => format!("Did you mean \"{}\"?", shown(bare)),
            _ => "Letters, digits and dashes: \"X-Probe\".".to_owned(),
        };
        return Err(Problem::new(what, hint));
    }
    let hint = match name.to_ascii_lowercase().as_str() {
        "host" => "Did you mean `virtual_host`?",
        "connection" => "Did you mean `version`, which says how the connection ends?",
        "content-length" | "transfer-encoding" => "A probe has no body: leave it out.",
        "te" | "upgrade" | "expect" | "trailer" => "A probe does not go on as this asks for: leave it out.",
        "accept-encoding" => "The body is compared as it comes: leave it out.",
        _ => return Ok(()),
    };
    Err(Problem::new(format!("`headers`: {name} is not to be set here"), hint))
}

/// A field value (RFC 9110 §5.5): visible characters, spaces and tabs within.
fn field_value(text: &str) -> Result<String, Problem> {
    if text.len() > limits::HTTP_FIELD_MAX {
        let what = format!("a header field of {} bytes, at most {}", text.len(), limits::HTTP_FIELD_MAX);
        return Err(Problem::new(what, ""));
    }
    if text.contains(['\r', '\n']) {
        return Err(Problem::new("a header field is of one line", "Give each field a key of its own."));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\t')) {
        let what = format!("\"{}\" holds control characters or letters beyond ASCII", shown(text));
        return Err(Problem::new(what, ""));
    }
    Ok(text.trim_matches([' ', '\t']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_cannot_smuggle_another() {
        for name in ["", "X Probe", "X-Probe:", "X\r\nHost", "Ünicode", "a(b)", "Host", "CONNECTION"] {
            assert!(field_name(name).is_err(), "{name:?}");
        }
        assert!(field_name("X-Probe").is_ok() && field_name("User-Agent").is_ok());
        for value in ["a\r\nHost: b", "a\nb", "a\0b", "é"] {
            assert!(field_value(value).is_err(), "{value:?} would be another field, or none");
        }
        assert_eq!(field_value(" a\tb ").unwrap(), "a\tb", "RFC 9110 §5.5: not around the value");
        assert!(field_value("").is_ok());
    }
}
