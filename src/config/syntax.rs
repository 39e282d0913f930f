//! What is no TOML: reported with what was probably meant, then blanked out, so that the rest can still be
//! read.

use super::intention::{self, Found};
use super::line;
use super::report::{Lines, Report};
use super::suggest::shown;
use crate::limits;
use std::borrow::Cow;
use toml::de::DeTable;

/// The text with every part blanked out (with spaces: places stay) that is no TOML, each reported. `None`
/// where nothing sensible is left.
pub(super) fn readable<'a>(text: &'a str, report: &mut Report<'_>) -> Option<Cow<'a, str>> {
    let mut readable = Cow::Borrowed(text);
    // Each error costs another reading: a large file gets fewer, for a reload must not keep the adverts
    // waiting.
    let rounds = (limits::SYNTAX_BYTES_MAX / text.len().max(1)).clamp(1, limits::SYNTAX_ERRORS_MAX);
    for round in 0..=rounds {
        let error = match DeTable::parse(&readable) {
            Ok(_) => return Some(readable),
            Err(error) => error,
        };
        if round == 0 && keepalived(text, report) {
            return None;
        }
        let Some(span) = error.span() else {
            report.error_of_file(format!("not TOML: {}", error.message()), "");
            return None;
        };
        if round == rounds {
            let hint = "Is it the right file?";
            report.error(span.start, format!("more than {round} syntax errors, the rest is not read"), hint);
            return None;
        }
        let lines = Lines::new(&readable);
        let culprit = culprit(&lines, span.start, error.message());
        let found = intention::find(&lines, culprit, span.start, error.message());
        let Found { at, what, hint } = found;
        report.error(at, what, hint);
        let (first, last) = (spoiled_from(&lines, culprit), spoiled_until(&lines, culprit));
        let blanked = blank(&readable, &lines, first, last);
        for line in first..last {
            report.spoil(line);
        }
        if blanked == *readable {
            return None;
        }
        readable = Cow::Owned(blanked);
    }
    None
}

/// Somebody gave us their keepalived.conf: one message says more than a hundred.
fn keepalived(text: &str, report: &mut Report<'_>) -> bool {
    const BLOCKS: [&str; 8] = [
        "global_defs",
        "vrrp_instance",
        "vrrp_script",
        "vrrp_sync_group",
        "virtual_server",
        "virtual_server_group",
        "static_ipaddress",
        "real_server",
    ];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let word = code.split(|c: char| c.is_whitespace() || c == '{').next().unwrap_or("");
        if BLOCKS.contains(&word) && code.contains('{') && !code.contains('=') {
            report.error(
                at + line.len() - code.len(),
                format!("`{}`: this looks like keepalived.conf, vipd reads TOML", shown(word)),
                "Write [global], [[vrrp]] and [[service]]; an importer comes in a later release.",
            );
            return true;
        }
        at += line.len();
    }
    false
}

/// The line where the mistake was made. An open bracket shows only lines later.
fn culprit(lines: &Lines<'_>, at: usize, message: &str) -> usize {
    let line = lines.index(at);
    let inside = ["array", "inline table", "element", "unclosed", "key-value pairs"];
    let own = lines.line(line);
    if message.contains("multi-line") {
        let quotes = |index: &usize| line::TRIPLE.iter().any(|mark| lines.line(*index).contains(mark));
        return (0..=line).rev().find(quotes).unwrap_or(line);
    }
    let begins = line::begins_entry(own) || line::is_header(own);
    let elsewhere = begins || own.trim().is_empty() || message.contains("unclosed");
    if elsewhere && inside.iter().any(|word| message.contains(word)) {
        return opener(lines, line).unwrap_or(line);
    }
    line
}

/// The nearest line above (or `line` itself, where it opens more than it closes) that left a bracket open.
/// What looks like a header in between may well stand inside it.
pub(super) fn opener(lines: &Lines<'_>, line: usize) -> Option<usize> {
    const FARTHEST: usize = 5000;
    let mut depth = 0;
    for index in (line.saturating_sub(FARTHEST)..=line).rev() {
        let text = lines.line(index);
        let own = line::depth(text);
        if index == line && own <= 0 {
            continue; // what it closes is what was opened above
        }
        depth += own;
        if depth > 0 {
            return Some(index);
        }
    }
    None
}

/// The first line that cannot be read once line `line` cannot: where it closes a list, all of that list.
fn spoiled_from(lines: &Lines<'_>, line: usize) -> usize {
    let closes = line > 0 && line::depth(lines.line(line)) < 0;
    if closes { opener(lines, line - 1).unwrap_or(line) } else { line }
}

/// The line after the last one that cannot be read once line `first` cannot.
fn spoiled_until(lines: &Lines<'_>, first: usize) -> usize {
    let text = lines.line(first);
    if line::is_header(text) {
        return lines.section_end(first);
    }
    let mut depth = line::depth(text);
    let mut next = first + 1;
    while depth > 0 && next < lines.count() {
        let text = lines.line(next);
        if line::is_header(text) || line::begins_entry(text) {
            break;
        }
        depth += line::depth(text);
        next += 1;
    }
    next
}

fn blank(text: &str, lines: &Lines<'_>, first: usize, last: usize) -> String {
    let (from, to) = (lines.start(first), lines.start(last));
    let mut out = String::with_capacity(text.len());
    out.push_str(text.get(..from).unwrap_or(""));
    let part = text.get(from..to).unwrap_or("");
    out.extend(part.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
    out.push_str(text.get(to..).unwrap_or(""));
    out
}
