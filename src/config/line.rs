//! One line of TOML, looked at without a parser: good enough for lines that a parser does not take.

use super::suggest::nearest;
use super::words::KEYS;

/// What opens a text of several lines.
pub(super) const TRIPLE: [&str; 2] = ["\"\"\"", "'''"];

/// Characters outside texts and comments, with their places; `comment` says where the comment begins.
fn scan(line: &str, mut each: impl FnMut(usize, char)) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' => return Some(at),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => each(at, c),
        }
    }
    None
}

/// The first character outside texts and comments for which `is` holds, with its place.
pub(super) fn find_bare(line: &str, is: impl Fn(char) -> bool) -> Option<(usize, char)> {
    let mut found = None;
    scan(line, |at, c| {
        if found.is_none() && is(c) {
            found = Some((at, c));
        }
    });
    found
}

/// The line without its comment.
pub(super) fn code(line: &str) -> &str {
    let end = scan(line, |_, _| {}).unwrap_or(line.len());
    line.get(..end).unwrap_or(line)
}

/// Where the first character stands that is no space.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Brackets and braces that the line opens less those that it closes.
pub(super) fn depth(line: &str) -> i32 {
    let mut depth = 0;
    scan(line, |_, c| match c {
        '[' | '{' => depth += 1,
        ']' | '}' => depth -= 1,
        _ => {}
    });
    depth
}

/// Parts between the commas that are in no bracket and no text.
pub(super) fn pieces(inner: &str) -> Vec<&str> {
    let mut depth = 0i32;
    let mut from = 0;
    let mut out = Vec::new();
    scan(inner, |at, c| match c {
        '[' | '{' => depth += 1,
        ']' | '}' => depth -= 1,
        ',' if depth <= 0 => {
            out.push(inner.get(from..at).unwrap_or(""));
            from = at + 1;
        }
        _ => {}
    });
    out.push(inner.get(from..).unwrap_or(""));
    out
}

/// Key, place of the value, value (without comment and space), at the first `=`.
pub(super) fn split(line: &str) -> Option<(&str, usize, &str)> {
    let (equals, _) = find_bare(line, |c| c == '=')?;
    let key = line.get(..equals)?.trim();
    let after = line.get(equals + 1..)?;
    Some((key, equals + 1 + indent(after), code(after).trim()))
}

/// Letters, digits and what else a key may hold; dots are those of dotted keys.
pub(super) fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// A key without quotes.
pub(super) fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_key_char)
}

/// `key = ...` or `key.key = ...`
pub(super) fn begins_entry(line: &str) -> bool {
    split(line).is_some_and(|(key, _, _)| is_key(key))
}

/// `[vrrp]`, and what was meant to be such a header (`[[vrrp]`, `[vrrp`, `}[vrrp]`, `vrrp]`), but not the end
/// of a list and not an entry.
pub(super) fn is_header(line: &str) -> bool {
    // Of a large file most lines have none, and each is asked.
    if !line.bytes().any(|b| matches!(b, b'[' | b']')) {
        return false;
    }
    let code = code(line).trim();
    let (bracket, after) = (code.find(['[', ']']), code.trim_start_matches('['));
    match split(line) {
        Some(_) if code.starts_with('[') && code.ends_with(']') && !code.contains(['"', '\'']) => true,
        Some((key, _, _)) if !key.contains(']') && key.trim_start_matches(['[', '=']).len() > 1 => false,
        _ if bracket.is_none() => false,
        _ if code.starts_with('[') && after.trim_start().starts_with(|c: char| c.is_ascii_alphabetic()) => {
            true
        }
        _ => table_named(code).is_some_and(|(_, sure)| sure),
    }
}

/// The table that a header names, as it should be written, and whether its name is ours to the letter.
pub(super) fn table_named(code: &str) -> Option<(String, bool)> {
    let end = code.find(']').filter(|end| *end > 2).unwrap_or(code.len());
    let name: String = code.get(..end)?.chars().filter(|c| is_key_char(*c)).collect();
    let name = name.trim_matches('.');
    let known = |table: &&str| table.starts_with('[');
    let bare = |table: &'static str| table.trim_matches(['[', ']']);
    let tables: Vec<&'static str> = KEYS.iter().map(|(table, _)| *table).filter(known).collect();
    let names: Vec<&'static str> = tables.iter().map(|table| bare(table)).collect();
    let meant = nearest(name, &names)?;
    let table = tables.into_iter().find(|table| bare(table) == meant)?;
    Some((table.to_owned(), meant == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_known_even_when_damaged() {
        for line in [
            "[vrrp]",
            " [[vrrp]] # x",
            "[[vrrp]",
            "[vrrp",
            "vrrp]",
            "}[[vrrp]]",
            "[['vrrp]]",
            "=[[vrrp]]",
            "[vr=rp]",
            ".[mail]",
        ] {
            assert!(is_header(line), "what follows {line} would be read as part of the table before");
        }
        for line in ["]", "  ]", "[1, 2]", "[\"a\"]", "vrid = [1]", "[server = 1", "priority", "# [vrrp]"] {
            assert!(!is_header(line), "{line} would hide what follows");
        }
    }

    #[test]
    fn brackets_in_texts_and_comments_do_not_count() {
        assert_eq!(depth("a = [ \"]\", ']' # ]"), 1);
        assert_eq!(depth("a = \"\\\"[\""), 0, "an escaped quote ends no text");
        assert_eq!(pieces("a, \"b,c\", [d, e]"), ["a", " \"b,c\"", " [d, e]"]);
    }
}
