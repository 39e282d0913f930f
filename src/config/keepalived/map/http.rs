//! `HTTP_GET` and `SSL_GET` → `type = "http"` and `"https"`.

use super::args;
use super::checker::{Around, Check, Common, Key, WEB};
use super::command;
use crate::config::check::pattern;
use crate::config::document::Value;
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::keywords::Context;
use crate::config::keepalived::source::Place;
use crate::config::keepalived::tree::{Statement, Word};
use crate::config::keepalived::walk::{self, Known};
use crate::config::suggest::shown;
use crate::limits;
use std::net::IpAddr;

/// Without TLS.
pub(super) fn http(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    web(known, false, around, findings)
}

/// With TLS.
pub(super) fn https(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    web(known, true, around, findings)
}

fn web(known: Known<'_>, tls: bool, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    let place = known.statement.place();
    let (common, own) = Common::read(Context::HTTP_GET, known.statement, findings);
    let (mut version, mut sni, mut sni_name) = ("1.0", None, None);
    let mut urls = Vec::new();
    for line in own {
        match (line.name, line.statement.argument(0)) {
            ("url", _) => urls.push(line.statement),
            ("http_protocol", Some(word)) => version = protocol(word, findings).unwrap_or(version),
            ("enable_sni" | "sni_name", _) if !tls => {
                let what = format!("`{}` is left out", line.name);
                findings.push(line.statement.place(), Kind::Ignored, what, "Without TLS no name is sent.");
            }
            ("enable_sni", _) => {
                let at = line.statement.place();
                sni = args::flag(line, findings).map(|sni| (sni, at)).or(sni);
            }
            // It is a switch, too.
            ("sni_name", name) => {
                sni_name = name.map(|name| (name.text.clone(), name.place)).or(sni_name);
                sni = Some((true, line.statement.place()));
            }
            _ => {}
        }
    }
    let pages: Vec<Page> = urls.iter().filter_map(|url| page(url, version, findings)).collect();
    if pages.is_empty() {
        let what = format!("{} without a `url` that has a `path`", known.name);
        findings.push(place, Kind::Invalid, what, "keepalived leaves it out.");
        return None;
    }
    let sni = match sni {
        Some((false, at)) if sni_name.is_some() => {
            let what = "`sni_name` is left out: `enable_sni` below it turns it off";
            let at = sni_name.as_ref().map_or(at, |(_, at)| *at);
            findings.push(at, Kind::Changed, what, "keepalived leaves it out, too.");
            false
        }
        sni => sni.is_some_and(|(sni, _)| sni),
    };
    let host = common.times.host().or(around.times.host()).cloned();
    let mut pages = pages;
    if let Some(more) = urls.get(limits::PAGES_MAX).filter(|_| pages.len() > limits::PAGES_MAX) {
        let what = format!("more than {} of `url` in a checker", limits::PAGES_MAX);
        findings.push(more.place(), Kind::Unsupported, what, "Those behind are left out: add a checker.");
        pages.truncate(limits::PAGES_MAX);
    }
    let mut keys: Vec<Key> = vec![("type", if tls { "https" } else { "http" }.into())];
    let named = host.iter().chain(pages.iter().filter_map(|page| page.host.as_ref()));
    let sends_name = named.into_iter().any(|host| host.parse::<IpAddr>().is_err());
    match <[Page; 1]>::try_from(pages) {
        Ok([page]) => keys.extend(page.keys(host.as_ref())),
        Err(pages) => {
            let what = "each probe asks for all pages of a checker";
            let hint = "keepalived asks for one of them at a time, each after delay_loop.";
            findings.often(place, Kind::Changed, what, hint);
            keys.extend(host.map(|host| ("virtual_host", host.into())));
            let list = pages.into_iter().map(|page| Value::Keys(page.keys(None)));
            keys.push(("pages", Value::List(list.collect())));
        }
    }
    if version != "1.1" {
        keys.push(("version", version.into()));
    }
    if tls {
        match sni_name.filter(|_| sni) {
            Some((name, _)) => keys.push(("sni", name.into())),
            None if !sni && sends_name => keys.push(("sni", false.into())),
            None => {}
        }
        keys.extend(around.certificate.iter().cloned());
    }
    Some(common.check(known, keys, WEB, None, around, findings))
}

fn protocol(word: &Word, findings: &mut Findings) -> Option<&'static str> {
    let versions = ["1.0", "1.0C", "1.1"];
    let found = versions.into_iter().find(|version| version.eq_ignore_ascii_case(&word.text));
    if found.is_none() {
        let what = format!("`http_protocol`: \"{}\" is none of 1.0, 1.0C, 1.1", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "keepalived takes 1.0.");
    }
    found
}

/// One `url`.
struct Page {
    path: String,
    host: Option<String>,
    status: Vec<Value>,
    digest: Option<String>,
    raw: bool,
    regex: Option<Value>,
}

impl Page {
    /// Its keys; `host` is that of the check where it has none.
    fn keys(self, host: Option<&String>) -> Vec<Key> {
        let mut keys: Vec<Key> = vec![("path", self.path.into())];
        keys.extend(self.host.or_else(|| host.cloned()).map(|host| ("virtual_host", host.into())));
        if !self.status.is_empty() && self.status != ["200-299".into()] {
            keys.push(("status", self.status.into()));
        }
        if let Some(digest) = self.digest {
            keys.push(("digest", digest.into()));
            if self.raw {
                keys.push(("raw_body", true.into()));
            }
        }
        keys.extend(self.regex.map(|regex| ("regex", regex)));
        keys
    }
}

/// `None` is told: keepalived leaves out a url without a path.
fn page(url: &Statement, version: &str, findings: &mut Findings) -> Option<Page> {
    let (mut path, mut regex) = (None, Regex::default());
    // The digest of keepalived is that of the bytes on the wire; only version 1.1 has chunks there.
    let raw = version == "1.1";
    let mut page =
        Page { path: String::new(), host: None, status: Vec::new(), digest: None, raw, regex: None };
    for line in walk::known(Context::URL, url.inside(), findings) {
        if line.name.starts_with("regex_") {
            regex.lines.push(line.statement.place());
        }
        let Some(word) = line.statement.argument(0) else {
            regex.is_negated |= line.name == "regex_no_match";
            continue;
        };
        match line.name {
            "path" => path = Some(word),
            "virtualhost" => page.host = Some(word.text.clone()),
            "digest" => page.digest = digest(word, findings).or(page.digest),
            "status_code" => {
                let codes = line.statement.arguments().iter();
                page.status.extend(codes.filter_map(|word| status(word, findings)));
            }
            "regex" => regex.pattern = command::text(line).map(|pattern| (pattern, word.place)),
            "regex_options" => regex.options = line.statement.arguments().to_vec(),
            "regex_min_offset" => regex.first = args::count(line, 0, 0..=u32::MAX, findings),
            "regex_max_offset" => regex.last = args::count(line, 0, 0..=u32::MAX - 1, findings),
            _ => {}
        }
    }
    let Some(word) = path else {
        findings.push(url.place(), Kind::Invalid, "`url` without `path`", "keepalived leaves it out.");
        return None;
    };
    page.path = self::path(word, findings);
    page.regex = regex.value(findings);
    Some(page)
}

/// A request target; what vipd refuses and a server hardly understands is put right.
fn path(word: &Word, findings: &mut Findings) -> String {
    let mut path = word.text.clone();
    let mut what = Vec::new();
    if let Some((_, rest)) = path.split_once("://") {
        path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned();
        what.push("a whole URL");
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
        what.push("no slash at its beginning");
    }
    if path.contains(' ') {
        path = path.replace(' ', "%20");
        what.push("spaces");
    }
    if let Some((before, _)) = path.clone().split_once('#') {
        path = before.to_owned();
        what.push("a part behind #");
    }
    if !what.is_empty() {
        let what = format!("`path` has {}, read as \"{}\"", what.join(", "), shown(&path));
        findings.push(word.place, Kind::Corrected, what, "keepalived sends it as it is written.");
    }
    path
}

fn digest(word: &Word, findings: &mut Findings) -> Option<String> {
    if word.text.len() == 32 && word.text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(word.text.clone());
    }
    let what = format!("`digest`: \"{}\" is not an MD5 digest of 32 digits", shown(&word.text));
    findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out; md5sum prints one.");
    None
}

/// `200`, `200-299`.
fn status(word: &Word, findings: &mut Findings) -> Option<Value> {
    let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
    match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) if first >= 100 && last <= 599 && first <= last => {
            Some(if first == last { first.into() } else { format!("{first}-{last}").into() })
        }
        _ => {
            let what = format!("`status_code`: \"{}\" is not a status of 100 to 599", shown(&word.text));
            findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
            None
        }
    }
}

/// What is looked for in a page.
#[derive(Default)]
struct Regex {
    pattern: Option<(String, Place)>,
    options: Vec<Word>,
    is_negated: bool,
    first: Option<u32>,
    last: Option<u32>,
    /// Of what is of no use without a pattern.
    lines: Vec<Place>,
}

impl Regex {
    /// The value of `regex`: PCRE2's pattern and options as vipd's engine has them.
    fn value(self, findings: &mut Findings) -> Option<Value> {
        let Some((written, place)) = self.pattern else {
            for place in self.lines {
                let what = "a word of `regex` without `regex`";
                findings.push(place, Kind::Ignored, what, "keepalived leaves it out, too.");
            }
            return None;
        };
        let (mut first, mut last) = (self.first.filter(|first| *first != 0), self.last);
        if let (Some(from), Some(to)) = (first, last)
            && from > to
        {
            let what =
                format!("`regex_min_offset` {from} is above `regex_max_offset` {to}: both are left out");
            findings.push(place, Kind::Changed, what, "keepalived leaves them out, too.");
            (first, last) = (None, None);
        }
        let flags = flags(&self.options, findings);
        let ends =
            self.options.iter().any(|word| matches!(word.text.as_str(), "dollar_endonly" | "multiline"));
        let mut text = if ends { written } else { before_newline(written) };
        if !flags.is_empty() {
            text = format!("(?{flags}){text}");
        }
        if let Err(problem) = pattern(&text) {
            findings.push(place, Kind::Unsupported, problem.what, problem.hint);
            return None;
        }
        let mut keys: Vec<Key> = vec![("pattern", text.clone().into())];
        if self.is_negated {
            keys.push(("not", true.into()));
        }
        keys.extend(first.map(|first| ("first", first.into())));
        // keepalived's is the last byte where a match may begin, ours the one behind it.
        keys.extend(last.map(|last| ("last", (last + 1).into())));
        Some(if keys.len() == 1 { text.into() } else { Value::Keys(keys) })
    }
}

/// PCRE2's `$` also matches before a newline at the end; vipd's does not.
fn before_newline(pattern: String) -> String {
    match pattern.strip_suffix('$') {
        Some(rest) if rest.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0 => {
            format!("{rest}\\n?$")
        }
        Some(_) | None => pattern,
    }
}

/// The letters of those options that vipd's engine has.
fn flags(options: &[Word], findings: &mut Findings) -> String {
    /// These change how PCRE2 works, not what matches, or are how vipd's engine is anyway.
    const SAME: [&str; 13] = [
        "auto_callout",
        "dollar_endonly",
        "never_ucp",
        "never_utf",
        "no_auto_possess",
        "no_dotstar_anchor",
        "no_start_optimize",
        "use_offset_limit",
        "never_backslash_c",
        "utf",
        "no_auto_capture",
        "dupnames",
        "match_unset_backref",
    ];
    let mut flags = String::new();
    for word in options {
        match word.text.as_str() {
            "caseless" => flags.push('i'),
            "multiline" => flags.push('m'),
            "dotall" => flags.push('s'),
            "extended" => flags.push('x'),
            "ungreedy" => flags.push('U'),
            text if SAME.contains(&text) => {}
            text => {
                let what = format!("`regex_options`: {} is not done here", shown(text));
                findings.push(word.place, Kind::Unsupported, what, "Write the pattern without it.");
            }
        }
    }
    flags
}

/// The keys of `SSL {}` for each SSL_GET.
pub(super) fn certificate(root: &[Known<'_>], findings: &mut Findings) -> Vec<Key> {
    let (mut certificate, mut key) = (None, None);
    let mut at = Place::default();
    let mut blocks = super::named(root, "SSL").peekable();
    while let Some(block) = blocks.next() {
        at = block.statement.place();
        if let Some(next) = blocks.peek() {
            let what = format!("`SSL` is void: line {} says it, too", next.statement.place().line);
            findings.push(at, Kind::Changed, what, "keepalived takes the last one, and so does this.");
            continue;
        }
        for line in walk::known(Context::SSL, block.statement.inside(), findings) {
            let path = line.statement.argument(0).map(|word| word.text.clone());
            match line.name {
                "certificate" => certificate = path,
                "key" => key = path,
                _ => {}
            }
        }
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            vec![("certificate", certificate.into()), ("key", key.into())]
        }
        (None, None) => Vec::new(),
        (Some(_), None) | (None, Some(_)) => {
            let what = "`SSL` with only one of `certificate` and `key`";
            findings.push(at, Kind::Invalid, what, "One is of no use without the other: it is left out.");
            Vec::new()
        }
    }
}
