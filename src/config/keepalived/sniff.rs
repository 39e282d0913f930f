//! What a file is, by its content.

use super::keywords;

/// Lines that are looked at.
const LINES: usize = 2000;

/// Is it more of a keepalived.conf than of a TOML file? Counts lines that can be only one of the two; where
/// there are none, it is not.
pub(super) fn is_keepalived(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(1 << 20)).unwrap_or(bytes));
    let text = text.trim_start_matches('\u{feff}');
    let (mut ours, mut toml) = (0u32, 0u32);
    for line in text.lines().take(LINES).map(str::trim) {
        let word = line.split([' ', '\t', '{', '=']).next().unwrap_or_default();
        let after = line.strip_prefix(word).unwrap_or_default().trim_start();
        let is_row = after.starts_with('=');
        match line.chars().next() {
            Some('[') => toml += 1,
            Some('!') => ours += 1,
            Some('#') | None => {}
            Some('$') if is_row => ours += 1,
            Some(_) if is_row => toml += 1,
            Some(_) if keywords::is_any(word) || line.ends_with('{') || line.starts_with("~SEQ(") => {
                ours += 1
            }
            Some('@') if !after.is_empty() => ours += 1,
            Some(_) if word == "include" => ours += 1,
            Some(_) => {}
        }
    }
    ours > toml
}

/// Why nothing in it is a block of keepalived: what is it probably?
pub(super) fn guess(bytes: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(4096)).unwrap_or(bytes));
    let head = text.trim_start_matches('\u{feff}').trim_start();
    let first = head.get(..head.len().min(64)).unwrap_or("").to_ascii_lowercase();
    let mut rows = head.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if bytes.is_empty() {
        "the file is empty"
    } else if bytes.starts_with(b"\x7fELF") || bytes.iter().take(4096).any(|byte| *byte == 0) {
        "this is a binary file, and no keepalived.conf"
    } else if first.starts_with("#!") {
        "this is a script, and no keepalived.conf"
    } else if first.starts_with("<!doctype") || first.starts_with("<html") || first.starts_with("<?xml") {
        "this is HTML or XML, and no keepalived.conf"
    } else if first.starts_with("-----begin") {
        "this is a key or a certificate, and no keepalived.conf"
    } else if rows.clone().next().is_none() {
        "there is nothing but comments in it"
    } else if rows.clone().any(|row| row.starts_with("{{") || row.starts_with("{%")) {
        "this is a template that is not filled in"
    } else if first.starts_with(['{', '"']) {
        "this looks like JSON, and no keepalived.conf"
    } else if rows.any(|row| row.starts_with('[') && row.ends_with(']')) {
        "this looks like TOML, and no keepalived.conf"
    } else {
        "no block of keepalived is in it"
    }
}
