//! Bytes to logical lines: comments, quotes, braces.

use super::finding::{Findings, Kind};
use super::source::Place;
use super::tree::Word;

/// A line of a file without its comment, and the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What is left, blanks at both ends gone.
    pub(crate) code: String,
    /// Where `code` begins.
    pub(crate) place: Place,
    /// What stood behind `#`, `!` or `//`, made harmless for TOML; `None`: no comment, or an empty one.
    pub(crate) comment: Option<String>,
}

/// What a logical line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Words, and the text behind the first one, quotes and escapes untouched.
    Words(Vec<Word>, String),
    /// `{`
    Open(Place),
    /// `}`
    Close(Place),
}

/// The lines of a file. Bytes that are no UTF-8 become U+FFFD; a line with a NUL byte is left out, as keepalived
/// does.
pub(crate) fn lines(bytes: &[u8], file: u16, findings: &mut Findings) -> Vec<Line> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (number, raw) in (1_u32..).zip(bytes.split(|byte| *byte == b'\n')) {
        let place = Place { file, line: number, column: 1 };
        if raw.contains(&0) {
            findings.push(
                place,
                Kind::Ignored,
                "the line holds a NUL byte",
                "keepalived leaves it out, too.",
            );
            continue;
        }
        let text = String::from_utf8_lossy(raw);
        lines.push(line(text.trim_end_matches('\r'), place, findings));
    }
    lines
}

/// Takes the comment off. `#` and `!` begin one outside quotes, `\#` and `\!` are the characters themselves.
fn line(text: &str, start: Place, findings: &mut Findings) -> Line {
    let mut code = String::new();
    let mut comment = None;
    let mut is_quoted = false;
    let mut before = None;
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let next = rest.peek().map(|(_, next)| *next);
        let behind = text.get(at + c.len_utf8()..).unwrap_or("");
        match (c, next) {
            ('\\', Some(escaped @ ('#' | '!'))) if !is_quoted => {
                rest.next();
                code.push(escaped);
                before = Some(escaped);
                continue;
            }
            ('#' | '!', _) if !is_quoted => {
                comment = Some(behind);
                break;
            }
            ('/', Some('/')) if !is_quoted && before.is_none_or(char::is_whitespace) => {
                let column = text.get(..at).map_or(1, |before| before.chars().count() + 1);
                let place = Place { column: u32::try_from(column).unwrap_or(u32::MAX), ..start };
                let hint = "keepalived takes what follows for words.";
                findings.push(place, Kind::Corrected, "`//` begins no comment, read as one", hint);
                comment = behind.get(1..);
                break;
            }
            ('"', _) => is_quoted = !is_quoted,
            _ => {}
        }
        code.push(c);
        before = Some(c);
    }
    let indent = code.chars().take_while(|c| c.is_whitespace()).count();
    let column = u32::try_from(indent + 1).unwrap_or(u32::MAX);
    let comment = comment.map(harmless).filter(|comment| !comment.is_empty());
    Line { code: code.trim().to_owned(), place: Place { column, ..start }, comment }
}

/// A comment that TOML takes: no control characters, no marks of its own.
fn harmless(comment: &str) -> String {
    let comment = comment.trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '!'));
    comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Cuts a line at braces outside quotes. `${NAME}` is none. `is_exact`: columns in `code` are those of the
/// file.
pub(crate) fn pieces(code: &str, place: Place, is_exact: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut is_quoted = false;
    let mut before = ' ';
    let mut in_name = false;
    for (at, c) in code.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '{' if !is_quoted && before == '$' => in_name = code.get(at..).is_some_and(|r| r.contains('}')),
            '}' if in_name => in_name = false,
            '{' | '}' if !is_quoted => {
                words(code, from, at, place, is_exact, &mut pieces);
                let place = column(code, at, place, is_exact);
                pieces.push(if c == '{' { Piece::Open(place) } else { Piece::Close(place) });
                from = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    words(code, from, code.len(), place, is_exact, &mut pieces);
    pieces
}

fn column(code: &str, at: usize, place: Place, is_exact: bool) -> Place {
    if !is_exact {
        return place;
    }
    let chars = code.get(..at).map_or(0, |before| before.chars().count());
    Place { column: place.column.saturating_add(u32::try_from(chars).unwrap_or(0)), ..place }
}

/// The words between two places of a line. A quoted string is a word; a quote within a word splits it.
fn words(code: &str, from: usize, to: usize, place: Place, is_exact: bool, pieces: &mut Vec<Piece>) {
    let part = code.get(from..to).unwrap_or("");
    let mut words: Vec<Word> = Vec::new();
    let mut rest_at = None;
    let mut chars = part.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let end = if c == '"' {
            chars.find(|(_, c)| *c == '"').map_or(part.len(), |(end, _)| end)
        } else {
            while chars.peek().is_some_and(|(_, c)| !c.is_whitespace() && *c != '"') {
                chars.next();
            }
            chars.peek().map_or(part.len(), |(end, _)| *end)
        };
        let begin = if c == '"' { at + 1 } else { at };
        let text = part.get(begin..end).unwrap_or("").to_owned();
        words.push(Word { text, place: column(code, from + at, place, is_exact) });
        rest_at = rest_at.or(Some(if c == '"' { end + 1 } else { end }));
    }
    if !words.is_empty() {
        let rest = rest_at.and_then(|at| part.get(at..)).unwrap_or("").trim().to_owned();
        pieces.push(Piece::Words(words, rest));
    }
}
