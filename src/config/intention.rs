//! What a line that is no TOML was probably meant to say.

use super::line::{
    TRIPLE, code, depth, find_bare, indent, is_header, is_key, is_key_char, pieces, split, table_named,
};
use super::report::Lines;
use super::suggest::shown;
use super::syntax::opener;

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
        .or_else(|| odd_key(line))
        .or_else(|| duplicate(lines, index, message))
        .or_else(|| value(line, message))
        .or_else(|| trailing(line));
    let (column, what, hint) =
        guess.unwrap_or_else(|| (column, format!("not TOML: {message}"), String::new()));
    Found { at: start + column, what, hint }
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
    Some((indent(line), what, "A comment begins with `#`.".to_owned()))
}

/// Word processors and chat programs put these for `"`.
fn typographic(line: &str) -> Guess {
    let quote = |c| matches!(c, '\u{201c}'..='\u{201f}' | '\u{2018}'..='\u{201b}' | '«' | '»');
    let (at, c) = find_bare(line, quote)?;
    Some((at, format!("a typographic quote {c}"), "Write plain quotes: \".".to_owned()))
}

fn header(lines: &Lines<'_>, index: usize, message: &str) -> Guess {
    let line = lines.line(index);
    if !is_header(line) {
        return None;
    }
    let code = code(line).trim();
    let name: String = code.chars().filter(|c| is_key_char(*c)).collect();
    let meant = table_named(code).map_or_else(|| format!("[{name}]"), |(table, _)| table);
    if message.contains("duplicate") || message.contains("extend") {
        let starts = |with: String| move |other: &str| other.trim_start().starts_with(&with);
        let hint = match first_of(lines, index, starts(format!("[{name}]"))) {
            _ if meant != code => format!("Did you mean {meant}?"),
            Some(line) if meant.starts_with("[[") => {
                format!("Line {line} says [{name}]: write {meant} there too.")
            }
            Some(line) => format!("See line {line}; put all its keys there."),
            None => String::new(),
        };
        return Some((indent(line), format!("{} is given twice", shown(code)), hint));
    }
    let what = format!("`{}` is not a table header", shown(code));
    Some((indent(line), what, format!("Did you mean {meant}?")))
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
    let at = indent(line);
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
    let at = indent(line);
    let key: String =
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    let rest = text.get(key.len()..)?;
    if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
        if text.starts_with(['"', '\'']) {
            let hint = "A key needs no quotes, a value one at each end.".to_owned();
            return Some((at, "the quote that begins this line is not closed".to_owned(), hint));
        }
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

/// A key that holds what no key holds.
fn odd_key(line: &str) -> Guess {
    let (key, _, _) = split(line)?;
    if key.is_empty() {
        let hint = "Write key = value.".to_owned();
        return Some((indent(line), "there is no key before `=`".to_owned(), hint));
    }
    let odd = |c: char| !is_key_char(c) || c == '.';
    if is_key(key) && !key.starts_with('.') && !key.ends_with('.') || key.starts_with(['"', '\'']) {
        return None;
    }
    let (at, c) = key.char_indices().find(|(_, c)| odd(*c))?;
    let c = if c.is_whitespace() { "a space".to_owned() } else { format!("`{c}`") };
    let meant: String = key.chars().filter(|c| !odd(*c)).collect();
    Some((
        indent(line) + at,
        format!("{c} does not belong in a key"),
        format!("Did you mean {} = ...?", shown(&meant)),
    ))
}

fn duplicate(lines: &Lines<'_>, index: usize, message: &str) -> Guess {
    let line = lines.line(index);
    let (key, _, _) = split(line)?;
    if !message.contains("duplicate") || !is_key(key) {
        return None;
    }
    let at = indent(line);
    let section = (0..index).rev().find(|i| is_header(lines.line(*i))).unwrap_or(0);
    let same = |i: &usize| split(lines.line(*i)).is_some_and(|(other, _, _)| other == key);
    let hint = match (section..index).find(same) {
        Some(first) => format!("See line {}; leave one out, or begin a new table.", first + 1),
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
    if let Some(guess) = before_value(value, at) {
        return Some(guess);
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

fn before_value(value: &str, at: usize) -> Guess {
    let c = value.chars().next().filter(|c| matches!(c, ',' | ']' | '}' | '=' | ';'))?;
    Some((at, format!("`{c}` stands before the value"), "Leave it out.".to_owned()))
}

/// `50 priority = 100`: two entries on one line.
fn two_entries(value: &str) -> Guess {
    let (equals, _) = find_bare(value, |c| c == '=')?;
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
    let marks = find_bare(line, |c| matches!(c, ';' | '/'));
    if let Some((at, mark)) = marks {
        if mark == ';' {
            return Some((at, "`;` ends no line here".to_owned(), "Leave it out.".to_owned()));
        }
        if line.get(at..).is_some_and(|rest| rest.starts_with("//")) {
            return Some((at, "`//` begins no comment".to_owned(), "A comment begins with `#`.".to_owned()));
        }
    }
    let (_, at, value) = split(line)?;
    after_text(value).map(|(column, what, hint)| (at + column, what, hint))
}

/// What stands behind a text that is complete: `"a" b`, and `"a" "b"`, where the comma between them was
/// forgotten.
fn after_text(item: &str) -> Guess {
    let quote = item.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let end = item.get(1..)?.find(quote)? + 2;
    let rest = item.get(end..)?;
    let at = end + indent(rest);
    let rest = rest.trim();
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    if rest.starts_with(['"', '\'']) && rest.len() > 1 {
        return Some((
            at,
            "a comma is missing before this".to_owned(),
            "Put one after every item.".to_owned(),
        ));
    }
    let what = format!("`{}` stands after the end of the text", shown(rest));
    Some((at, what, "Leave it out, or put it within the quotes.".to_owned()))
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
            guess = unquoted(item)
                .map(lone)
                .or_else(|| after_text(item).map(|(at, what, hint)| (column + at, what, hint)));
        }
        at += piece.len() + 1;
    }
    guess
}

/// `key = value` pairs of an inline table: the first that is none.
fn pairs(inner: &str) -> Guess {
    let mut at = 0;
    for piece in pieces(inner) {
        let pair = piece.trim_end_matches(['}', ' ', '\t']);
        if let Some((column, what, hint)) = self::pair(pair) {
            return Some((at + column, what, hint));
        }
        at += piece.len() + 1;
    }
    None
}

fn pair(pair: &str) -> Guess {
    let Some((key, at, value)) = split(pair) else { return no_equals(pair) };
    let within = |(column, what, hint)| (at + column, what, hint);
    let more = || {
        let comma = "Put one after every pair.".to_owned();
        find_bare(value, |c| c == '=').map(|_| (at, "a comma is missing after this value".to_owned(), comma))
    };
    odd_key(pair).or_else(|| before_value(value, at)).or_else(|| match value.chars().next() {
        Some('[') => {
            items(value.get(1..).unwrap_or("")).map(|(column, what, hint)| (at + 1 + column, what, hint))
        }
        Some('{') => None,
        Some('"' | '\'') => more().or_else(|| after_text(value).map(within)),
        _ => unquoted(value)
            .map(|(what, hint)| (at, what, format!("Did you mean {key} = {hint}?")))
            .or_else(more),
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
    if number.len() < word.len() && word.len() > 1 && number.bytes().all(|b| b.is_ascii_digit()) {
        let number = if number.is_empty() { "0" } else { number };
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
