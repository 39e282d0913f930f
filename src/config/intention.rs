//! What a line that is no TOML was probably meant to say.

use super::report::Lines;
use super::suggest::{KEYS, shown};
use super::syntax::opener;

/// What opens a text of several lines.
pub(super) const TRIPLE: [&str; 2] = ["\"\"\"", "'''"];

/// A mistake, its place, and what was probably meant.
pub(super) struct Found {
    pub(super) at: usize,
    pub(super) what: String,
    pub(super) hint: String,
}

/// A [`Found`] whose place is still relative to its line.
type Guess = Option<(usize, String, String)>;

/// Looks at line `index`, where the TOML parser gave `message` for byte `at`.
pub(super) fn find(lines: &Lines<'_>, index: usize, at: usize, message: &str) -> Found {
    let start = lines.start(index);
    let line = lines.line(index);
    let column = at.saturating_sub(start).min(line.len());
    let guess = control(line)
        .or_else(|| comment(line))
        .or_else(|| typographic(line))
        .or_else(|| header(lines, index, message))
        .or_else(|| element(lines, index))
        .or_else(|| no_equals(line))
        .or_else(|| duplicate(lines, index, message))
        .or_else(|| value(line, message))
        .or_else(|| trailing(line));
    let (column, what, hint) =
        guess.unwrap_or_else(|| (column, format!("not TOML: {message}"), String::new()));
    Found { at: start + column, what, hint }
}

/// Characters of a line outside strings and comments, with their places.
fn bare(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    let mut over = false;
    line.char_indices().filter(move |(_, c)| {
        if over {
            return false;
        }
        match quote {
            Some(open) => {
                if escaped {
                    escaped = false;
                } else if *c == '\\' && open == '"' {
                    escaped = true;
                } else if *c == open {
                    quote = None;
                }
                false
            }
            None => {
                match c {
                    '"' | '\'' => quote = Some(*c),
                    '#' => over = true,
                    _ => {}
                }
                quote.is_none() && !over
            }
        }
    })
}

/// Brackets and braces that the line opens less those that it closes.
pub(super) fn depth(line: &str) -> i32 {
    bare(line).fold(0, |depth, (_, c)| match c {
        '[' | '{' => depth + 1,
        ']' | '}' => depth - 1,
        _ => depth,
    })
}

/// `[vrrp]`, `[[vrrp]`, `[vrrp`, but not the end of a list.
pub(super) fn is_header(line: &str) -> bool {
    let code = line.trim_start();
    let name = code.trim_start_matches('[');
    code.starts_with('[') && name.trim_start().starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// `key = ...` or `key.key = ...`
pub(super) fn begins_entry(line: &str) -> bool {
    split(line).is_some_and(|(key, _, _)| is_key(key))
}

fn is_key(key: &str) -> bool {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !key.is_empty() && key.chars().all(bare)
}

/// Key, place of the value, value (without comment and space), at the first `=`.
fn split(line: &str) -> Option<(&str, usize, &str)> {
    let (equals, _) = bare(line).find(|(_, c)| *c == '=')?;
    let key = line.get(..equals)?.trim();
    let after = line.get(equals + 1..)?;
    let at = equals + 1 + (after.len() - after.trim_start().len());
    Some((key, at, code(after).trim()))
}

/// The line without its comment.
fn code(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' => return line.get(..at).unwrap_or(line),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    line
}

fn control(line: &str) -> Guess {
    let (at, c) = line.char_indices().find(|(_, c)| c.is_control() && *c != '\t')?;
    let hint = "Is it the right file, and was it copied whole?".to_owned();
    Some((at, format!("a control character (U+{:04X})", u32::from(c)), hint))
}

fn comment(line: &str) -> Guess {
    let code = line.trim_start();
    let mark = ["//", ";", "!", "/*", "--", "%"].into_iter().find(|mark| code.starts_with(mark))?;
    let what = format!("`{mark}` begins no comment");
    Some((line.len() - code.len(), what, "A comment begins with `#`.".to_owned()))
}

/// Word processors and chat programs put these for `"`.
fn typographic(line: &str) -> Guess {
    let (at, c) = bare(line)
        .find(|(_, c)| matches!(c, '\u{201c}'..='\u{201f}' | '\u{2018}'..='\u{201b}' | '«' | '»'))?;
    Some((at, format!("a typographic quote {c}"), "Write plain quotes: \".".to_owned()))
}

fn header(lines: &Lines<'_>, index: usize, message: &str) -> Guess {
    let line = lines.line(index);
    if !is_header(line) {
        return None;
    }
    let at = line.len() - line.trim_start().len();
    let code = code(line).trim();
    let name: String = code
        .trim_start_matches('[')
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '))
        .collect();
    let name = name.trim();
    let meant = written(name);
    if message.contains("duplicate") || message.contains("extend") {
        let single = |other: &str| other.trim_start().starts_with(&format!("[{name}]"));
        let hint = match first_of(lines, index, |other| other.trim_start().starts_with(code)) {
            _ if meant != code => format!("Did you mean {meant}?"),
            None if first_of(lines, index, single).is_some() => {
                let line = first_of(lines, index, single).unwrap_or_default();
                format!("Line {line} says [{name}]: write {meant} there too.")
            }
            Some(line) => format!("See line {line}; put all its keys there."),
            None => String::new(),
        };
        return Some((at, format!("{} is given twice", shown(code)), hint));
    }
    Some((at, format!("`{}` is not a table header", shown(code)), format!("Did you mean {meant}?")))
}

/// The header of a table as it should be written.
fn written(name: &str) -> String {
    let list = format!("[[{name}]]");
    if KEYS.iter().any(|(table, _)| *table == list) { list } else { format!("[{name}]") }
}

/// Line number (from 1) of an earlier line.
fn first_of(lines: &Lines<'_>, before: usize, is: impl Fn(&str) -> bool) -> Option<usize> {
    (0..before).find(|index| is(lines.line(*index))).map(|index| index + 1)
}

/// A line within a list of several lines.
fn element(lines: &Lines<'_>, index: usize) -> Guess {
    let line = lines.line(index);
    if split(line).is_some() || index == 0 {
        return None;
    }
    let opened = opener(lines, index - 1)?;
    if lines.line(opened).trim_end().ends_with('{') {
        return None;
    }
    let at = line.len() - line.trim_start().len();
    items(code(line).get(at..)?).map(|(column, what, hint)| (at + column, what, hint)).or_else(|| {
        let before = lines.line(index - 1);
        let comma = code(before).trim_end();
        let end = opened < index - 1 && !comma.is_empty() && !comma.ends_with(',');
        end.then(|| (at, "a comma is missing before this".to_owned(), "Put one after every item.".to_owned()))
    })
}

/// `key value`, `key: value`, `key`.
fn no_equals(line: &str) -> Guess {
    if split(line).is_some() {
        return None;
    }
    let text = code(line).trim();
    let at = line.len() - line.trim_start().len();
    let key: String =
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    let rest = text.get(key.len()..)?;
    if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let closes = text.starts_with(['}', ']']);
        let what = format!("`{}` closes what was not opened", shown(text));
        return closes.then(|| (at, what, String::new()));
    }
    let word = rest.trim_start_matches([':', ' ', '\t']).trim_end_matches([';', ' ']);
    let after = at + key.len();
    if word.is_empty() {
        return Some((at, format!("`{}` has no value", shown(&key)), format!("Write {} = ...", shown(&key))));
    }
    let meant = format!("Did you mean {} = {}?", shown(&key), quoted(word));
    if let Some(colon) =
        rest.find(':').filter(|colon| rest.get(..*colon).is_some_and(|s| s.trim().is_empty()))
    {
        return Some((after + colon, "`:` stands where `=` is wanted".to_owned(), meant));
    }
    Some((after, format!("`=` is missing after `{}`", shown(&key)), meant))
}

fn duplicate(lines: &Lines<'_>, index: usize, message: &str) -> Guess {
    let line = lines.line(index);
    let (key, _, _) = split(line)?;
    if !message.contains("duplicate") || !is_key(key) {
        return None;
    }
    let at = line.len() - line.trim_start().len();
    let section = (0..index).rev().find(|i| is_header(lines.line(*i))).unwrap_or(0);
    let same = |i: &usize| split(lines.line(*i)).is_some_and(|(other, _, _)| other == key);
    let hint = match (section..index).find(same) {
        Some(first) => format!("See line {}; leave one out.", first + 1),
        None => "Leave one out.".to_owned(),
    };
    Some((at, format!("`{}` is given twice", shown(key)), hint))
}

/// What stands after `=`.
fn value(line: &str, message: &str) -> Guess {
    let (key, at, value) = split(line)?;
    if value.is_empty() {
        let what = format!("`{}` has no value", shown(key));
        return Some((at.min(line.len()), what, String::new()));
    }
    let within = |guess: Guess| guess.map(|(column, what, hint)| (at + column, what, hint));
    match value.as_bytes().first()? {
        quote @ (b'"' | b'\'') => text(line, at, value, char::from(*quote), message),
        b'[' => {
            let inner = value.get(1..).unwrap_or("");
            within(
                items(inner).map(|(column, what, hint)| (column + 1, what, hint)).or_else(|| unclosed(value)),
            )
        }
        b'{' => {
            let inner = value.get(1..).unwrap_or("");
            within(
                pairs(inner).map(|(column, what, hint)| (column + 1, what, hint)).or_else(|| unclosed(value)),
            )
        }
        _ => {
            if let Some(guess) = two_entries(value) {
                return within(Some(guess));
            }
            let end = value.find(" //").or_else(|| value.find(';')).unwrap_or(value.len());
            let first = value.get(..end).unwrap_or(value).trim_end();
            let guess = unquoted(first)
                .map(|(what, hint)| (0, what, format!("{} {key} = {}?", "Did you mean", hint)));
            within(guess)
        }
    }
}

/// `50 priority = 100`: two entries on one line.
fn two_entries(value: &str) -> Guess {
    let (equals, _) = bare(value).find(|(_, c)| *c == '=')?;
    let before = value.get(..equals)?.trim_end();
    let key =
        before.rsplit([' ', '\t', ',', ';']).next().filter(|key| is_key(key) && key.len() < before.len())?;
    let what = format!("`{}` begins a second entry on this line", shown(key));
    Some((before.len() - key.len(), what, "Put each on a line of its own.".to_owned()))
}

/// A value that begins with a quote: never closed, a bad escape, or something behind it.
fn text(line: &str, at: usize, value: &str, quote: char, message: &str) -> Guess {
    let closed = value.get(1..).is_some_and(|inner| {
        let mut escaped = false;
        inner.chars().any(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped && quote == '"';
            ends
        })
    });
    if TRIPLE.iter().any(|mark| value.starts_with(mark)) && message.contains("multi-line") {
        let hint = format!("Did you mean one {quote}?");
        return Some((at, format!("the text opened by {quote}{quote}{quote} is not closed"), hint));
    }
    if !closed {
        let meant = value.trim_end_matches([';', ',', '\'', '"']);
        let what = format!("the quote {quote} is not closed");
        return Some((at, what, format!("Did you mean {}{quote}?", shown(meant))));
    }
    if let Some((column, what, hint)) = two_entries(value) {
        return Some((at + column, what, hint));
    }
    if message.contains("escape") {
        let backslash = line.find('\\')?;
        let hint = "Write \\\\ for a backslash, or use single quotes.".to_owned();
        return Some((backslash, "a backslash begins an escape that TOML does not know".to_owned(), hint));
    }
    None
}

/// `;`, `//` or anything else after a complete value.
fn trailing(line: &str) -> Guess {
    let marks = bare(line).find(|(_, c)| matches!(c, ';' | '/'));
    if let Some((at, mark)) = marks {
        if mark == ';' {
            return Some((at, "`;` ends no line here".to_owned(), "Leave it out.".to_owned()));
        }
        if line.get(at..).is_some_and(|rest| rest.starts_with("//")) {
            return Some((at, "`//` begins no comment".to_owned(), "A comment begins with `#`.".to_owned()));
        }
    }
    let (_, at, value) = split(line)?;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let end = value.get(1..)?.find(quote)? + 2;
    let rest = value.get(end..)?;
    let place = at + end + (rest.len() - rest.trim_start().len());
    let what = format!("`{}` stands after the end of the text", shown(rest.trim()));
    (!rest.trim().is_empty()).then(|| (place, what, "Leave it out, or put it within the quotes.".to_owned()))
}

/// Items of a list, commas between them: the first that needs quotes.
fn items(inner: &str) -> Guess {
    let (mut at, mut guess) = (0, None);
    for piece in pieces(inner) {
        let item = piece.trim();
        let column = at + (piece.len() - piece.trim_start().len());
        let item = item.trim_end_matches([']', ' ']);
        if guess.is_none() && !item.starts_with(['{', '[']) {
            let lone = |(what, hint)| (column, what, format!("Did you mean {hint}?"));
            guess = unquoted(item).map(lone).or_else(|| two_texts(item, column));
        }
        at += piece.len() + 1;
    }
    guess
}

/// `"a" "b"`: the comma between them was forgotten.
fn two_texts(item: &str, column: usize) -> Guess {
    let quote = item.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let end = item.get(1..)?.find(quote)? + 2;
    let rest = item.get(end..)?;
    let next = rest.trim_start();
    let at = column + end + (rest.len() - next.len());
    next.starts_with(['"', '\''])
        .then(|| (at, "a comma is missing before this".to_owned(), "Put one after every item.".to_owned()))
}

/// `key = value` pairs of an inline table: the first that is none.
fn pairs(inner: &str) -> Guess {
    let mut at = 0;
    for piece in pieces(inner) {
        let pair = piece.trim_end_matches(['}', ' ', '\t']);
        let column = at + (pair.len() - pair.trim_start().len());
        let guess = match split(pair) {
            Some((key, value_at, value)) if !value.starts_with(['"', '\'', '[', '{']) => unquoted(value)
                .map(|(what, hint)| (at + value_at, what, format!("Did you mean {key} = {hint}?"))),
            Some((_, value_at, value)) if value.starts_with('[') => {
                let inner = value.get(1..).unwrap_or("");
                items(inner).map(|(column, what, hint)| (at + value_at + 1 + column, what, hint))
            }
            Some((_, value_at, value)) => {
                let more = bare(value).find(|(_, c)| *c == '=').map(|_| at + value_at);
                more.map(|at| {
                    (
                        at,
                        "a comma is missing after this value".to_owned(),
                        "Put one after every pair.".to_owned(),
                    )
                })
            }
            None => no_equals(pair).map(|(column, what, hint)| (at + column, what, hint)),
        };
        if let Some((place, what, hint)) = guess {
            return Some((place.max(column), what, hint));
        }
        at += piece.len() + 1;
    }
    None
}

/// Parts between the commas that are in no bracket and no string.
fn pieces(inner: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    let mut cuts = Vec::new();
    for (at, c) in bare(inner) {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth <= 0 => cuts.push(at),
            _ => {}
        }
    }
    cuts.push(inner.len());
    let mut from = 0;
    cuts.into_iter().map(move |to| {
        let piece = inner.get(from..to).unwrap_or("");
        from = to + 1;
        piece
    })
}

fn unclosed(value: &str) -> Guess {
    let open = value.chars().next()?;
    let (name, close) = if open == '[' { ("list", ']') } else { ("table", '}') };
    (depth(value) > 0).then(|| (0, format!("the {name} is not closed"), format!("Add `{close}` at its end.")))
}

/// A value that wants quotes, or another spelling: (what, how to write it).
fn unquoted(word: &str) -> Option<(String, String)> {
    let first = word.chars().next()?;
    let word_shown = shown(word);
    let number = word.trim_start_matches('0');
    if number.len() < word.len() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        return Some((format!("`{word_shown}` begins with 0"), number.to_owned()));
    }
    let is_value = word.parse::<i64>().is_ok() || word == "true" || word == "false";
    if matches!(first, '"' | '\'' | '[' | '{') || is_value {
        return None;
    }
    let meant = match word.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => Some("true"),
        "no" | "off" | "false" => Some("false"),
        _ => None,
    };
    if let Some(meant) = meant {
        return Some((format!("`{word_shown}` is not how TOML says it"), meant.to_owned()));
    }
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let hexadecimal = word.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'/'));
    let kind = if digits > 0 && super::values::duration(word).is_ok() {
        "length of time"
    } else if word.matches('.').count() == 3 && digits > 0 || hexadecimal && word.matches(':').count() > 1 {
        "address"
    } else if first.is_alphanumeric() || matches!(first, '/' | '_' | '.' | ':') {
        "text"
    } else {
        return None;
    };
    Some((format!("the {kind} `{word_shown}` needs quotes"), quoted(word)))
}

/// A value as it should be written.
fn quoted(word: &str) -> String {
    let bare = word.parse::<i64>().is_ok() || matches!(word, "true" | "false");
    if bare || word.starts_with(['"', '\'', '[', '{']) { shown(word) } else { format!("\"{}\"", shown(word)) }
}
