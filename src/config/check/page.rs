//! What an HTTP probe wants of one page: `path`, `virtual_host`, `status`, `digest`, `raw_body`, `regex`.

use super::regex::regex;
use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Report};
use crate::config::suggest::shown;
use crate::config::values;
use crate::limits;
use crate::model::{HttpPage, StatusRange};
use toml::de::DeValue;

/// A page.
pub(super) fn page(table: &mut Table<'_>, report: &mut Report<'_>) -> HttpPage {
    let path = table.parsed("path", path, report);
    let virtual_host = table.parsed("virtual_host", values::host, report);
    let status = match table.list("status", report) {
        Some(list) => status(table, list, report),
        None => vec![StatusRange { first: 200, last: 299 }],
    };
    let digest = table.parsed("digest", digest, report);
    let raw_body = table.flag("raw_body", false, report);
    if raw_body && !table.has("digest") {
        let what = "`raw_body` has no effect without `digest`";
        report.error(table.key_at("raw_body"), what, "It says of which bytes the digest is (HC-12).");
    }
    let regex = table.get("regex").and_then(|value| regex(value, report));
    if digest.is_some() && regex.is_some() {
        let what = "`regex` beside `digest`: a page of that digest is the same every time";
        report.warning(table.key_at("regex"), what, "Leave one of the two out.");
    }
    HttpPage {
        virtual_host: virtual_host.map(|host| host.value),
        status,
        digest: digest.map(|digest| digest.value),
        raw_body,
        regex,
        ..HttpPage::new(path.as_ref().map_or("/", |path| &path.value))
    }
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
    if text.contains('#') {
        let what = format!("\"{}\" holds a #, which is never sent to a server", shown(text));
        return Err(Problem::new(what, "Leave out what follows it, or write %23."));
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
