//! Lines: bytes to characters with their columns, comments off, quotes found, words.
//!
//! Facts: `!` and `#` begin a comment outside `"..."`; `\#` and `\!` are the characters themselves; only `"`
//! quotes, and nothing is escaped within; `{` and `}` outside quotes stand for themselves wherever they are.

use super::finding::{Findings, Kind};
use super::source::Place;
use super::tree::Word;
use crate::limits;

/// A character, and the column that it is told at. Most text is changed by no substitution, and a line is
/// short: eight bytes each do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Char {
    /// The character.
    pub(super) c: char,
    /// Its column, from 1.
    pub(super) column: u32,
    /// A brace or comment sign that is a letter like any other.
    pub(super) is_plain: bool,
}

/// A line without its comment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    /// Without blanks before and after.
    pub(super) chars: Vec<Char>,
    /// File and line.
    pub(super) place: Place,
    /// What the comment says; `None`: there is none.
    pub(super) comment: Option<String>,
    /// Where `//` begins the comment.
    pub(super) slashes: Option<Place>,
    /// It ended with `\`, which is taken off: a definition goes on in the next line.
    pub(super) goes_on: bool,
}

impl Line {
    /// The place of a character of it.
    pub(super) fn place_of(&self, at: usize) -> Place {
        let column = self.chars.get(at).or(self.chars.last()).map_or(1, |found| found.column);
        Place { column, ..self.place }
    }
}

/// A blank of keepalived's.
pub(super) fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// The bytes of one line, without the line feed.
pub(super) fn read(bytes: &[u8], place: Place, findings: &mut Findings) -> Line {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut line = Line { place: Place { column: 1, ..place }, ..Line::default() };
    if bytes.contains(&0) {
        findings.push(
            line.place,
            Kind::Invalid,
            "a NUL byte in the line",
            "keepalived leaves such a line out.",
        );
        return line;
    }
    if bytes.len() > limits::IMPORT_LINE_MAX {
        let hint = format!("It is left out: a line has at most {} bytes here.", limits::IMPORT_LINE_MAX);
        findings.push(line.place, Kind::Invalid, "a line that is too long", hint);
        return line;
    }
    // keepalived's buffer holds 1024 bytes with the line feed and the NUL behind it.
    if bytes.len() > 1022 && !is_comment(bytes) {
        findings.push(
            line.place,
            Kind::Changed,
            format!("a line of {} bytes is taken", bytes.len()),
            "keepalived leaves out lines of more than 1022.",
        );
    }
    let text = String::from_utf8_lossy(bytes);
    let raw = text.chars().zip(1..).map(|(c, column)| Char { c, column, is_plain: false });
    clean(raw.collect(), &mut line, findings);
    line
}

fn is_comment(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t')).is_none_or(|byte| matches!(byte, b'#' | b'!'))
}

/// Takes comment, escapes and outer blanks off.
fn clean(raw: Vec<Char>, line: &mut Line, findings: &mut Findings) {
    // Where the open quote stands, and whether it is a curly one.
    let mut quote: Option<(u32, bool)> = None;
    let mut raw = raw.into_iter().peekable();
    while let Some(mut here) = raw.next() {
        let next = raw.peek().map(|next| next.c);
        let place = Place { column: here.column, ..line.place };
        match (here.c, next) {
            ('\\', None) => {
                line.goes_on = true;
                break;
            }
            ('\\', Some('#' | '!')) if quote.is_none() => {
                here = raw.next().map_or(here, |sign| Char { column: here.column, is_plain: true, ..sign });
            }
            ('\\', Some(_)) => {
                line.chars.push(here);
                here = raw.next().unwrap_or(here);
            }
            ('"', _) => quote = if quote.is_some() { None } else { Some((here.column, false)) },
            ('\u{201c}' | '\u{201d}', _) if quote.is_some_and(|(_, is_curly)| is_curly) => {
                quote = None;
                here.c = '"';
            }
            ('#' | '!', _) if quote.is_none() => {
                let mut rest: Vec<Char> = raw.collect();
                line.goes_on = ends_with_backslash(&rest);
                rest.truncate(rest.len() - usize::from(line.goes_on));
                line.comment = Some(comment(rest.into_iter()));
                break;
            }
            ('/', Some('/')) if quote.is_none() && begins_comment(&line.chars) => {
                let hint = "keepalived reads it as words: use `#`.";
                findings.often(place, Kind::Corrected, "what stands behind `//` is read as a comment", hint);
                line.slashes = Some(place);
                line.comment = Some(comment(raw.skip(1)));
                break;
            }
            (c, _) if quote.is_none() => {
                if let Some((meant, name)) = look_alike(c) {
                    let what = format!("U+{:04X} looks like {name}, and is read so", u32::from(c));
                    findings.push(place, Kind::Corrected, what, "keepalived takes it for a letter.");
                    here.c = meant;
                    quote = (meant == '"').then_some((here.column, true));
                }
            }
            (_, _) => {}
        }
        line.chars.push(here);
    }
    if let Some((column, _)) = quote {
        let place = Place { column, ..line.place };
        findings.push(
            place,
            Kind::Invalid,
            "the quote is not closed",
            "It is read up to the end of the line.",
        );
    }
    if let Some(strange) = line.chars.iter().find(|known| known.c == char::REPLACEMENT_CHARACTER) {
        let place = Place { column: strange.column, ..line.place };
        findings.push(place, Kind::Invalid, "bytes that are not UTF-8", "Write the file as UTF-8.");
    }
    trim(&mut line.chars);
}

/// Takes off the comment that a substitution brought (`${_HASH}`, `${_BANG}`).
pub(super) fn cut_comment(line: &mut Line) {
    let sign = bare(&line.chars).find(|(_, known)| matches!(known.c, '#' | '!')).map(|(at, _)| at);
    if let Some(at) = sign {
        let text = comment(line.chars.drain(at..).skip(1));
        line.comment.get_or_insert(text);
    }
}

/// The characters outside quotes that may mean something, with where they stand.
fn bare(chars: &[Char]) -> impl Iterator<Item = (usize, &Char)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    chars.iter().enumerate().filter(move |(_, here)| {
        match here.c {
            // Nothing is escaped in keepalived's own quotes; but a command's `\"` must not end them here.
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return !is_quoted && !here.is_plain,
        }
        false
    })
}

/// A `\` at the end that none before it takes for itself: a comment does not hide it.
fn ends_with_backslash(chars: &[Char]) -> bool {
    chars.iter().rev().take_while(|known| known.c == '\\').count() % 2 == 1
}

/// Blanks and quotes as word processors and chats make them: the sign that was typed, and its name.
fn look_alike(c: char) -> Option<(char, &'static str)> {
    match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => Some((' ', "a blank")),
        '\u{201c}' | '\u{201d}' => Some(('"', "`\"`")),
        _ => None,
    }
}

/// `//` after these characters: a comment, not a path. It is one at the start and after a blank, but for the
/// only value of a keyword that must have one (`misc_path //server/share/check`).
fn begins_comment(before: &[Char]) -> bool {
    match before.last() {
        None => true,
        Some(last) if !is_blank(last.c) => matches!(last.c, '{' | '}'),
        Some(_) => {
            let text: String = before.iter().map(|known| known.c).collect();
            let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
            match (words.next(), words.next()) {
                (Some(first), None) => !takes_path(first),
                (_, _) => true,
            }
        }
    }
}

fn takes_path(keyword: &str) -> bool {
    const NAMES: &[&str] = &["path", "file", "script", "misc_path", "quorum_up", "quorum_down"];
    NAMES.contains(&keyword)
        || keyword.starts_with("notify")
        || keyword.starts_with("include")
        || keyword.ends_with("_script")
}

/// Text of a comment, as it may stand in TOML.
fn comment(chars: impl Iterator<Item = Char>) -> String {
    let text: String = chars.map(|known| harmless(known.c)).collect();
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '!')).to_owned()
}

fn harmless(c: char) -> char {
    if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }
}

/// Takes blanks off both ends.
pub(super) fn trim(chars: &mut Vec<Char>) {
    let end = chars.iter().rposition(|known| !is_blank(known.c)).map_or(0, |last| last + 1);
    chars.truncate(end);
    let start = chars.iter().position(|known| !is_blank(known.c)).unwrap_or(0);
    chars.drain(..start);
}

/// The characters as a string.
pub(super) fn text(chars: &[Char]) -> String {
    chars.iter().map(|known| known.c).collect()
}

/// A piece of a line: what stands between braces, or a brace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'l> {
    /// At least one word.
    Words(&'l [Char]),
    /// `{`.
    Open(Place),
    /// `}`.
    Close(Place),
}

/// Takes off what stands behind the first brace that is followed by one of `signs` or by `include`:
/// keepalived reads that as a line of its own.
pub(super) fn residue(line: &mut Line, signs: &[char]) -> Option<Line> {
    let is_line = |at: usize| {
        let mut behind = line.chars.get(at + 1..).unwrap_or(&[]).iter().skip_while(|c| is_blank(c.c));
        let mut word = behind.clone().map(|known| known.c);
        behind.next().is_some_and(|first| signs.contains(&first.c))
            || "include".chars().all(|c| word.next() == Some(c))
    };
    let is_one = |(at, here): &(usize, &Char)| matches!(here.c, '{' | '}') && is_line(*at);
    let (brace, _) = bare(&line.chars).find(is_one)?;
    let mut chars = line.chars.split_off(brace + 1);
    trim(&mut chars);
    let goes_on = line.goes_on;
    line.goes_on = false;
    let comment = line.comment.take();
    Some(Line { chars, place: line.place, comment, goes_on, ..Line::default() })
}

/// Calls `handle` for each piece of a line, in order.
pub(super) fn split(line: &Line, mut handle: impl FnMut(Piece<'_>)) {
    let mut start = 0;
    let words = |from: usize, to: usize, handle: &mut dyn FnMut(Piece<'_>)| {
        let piece = line.chars.get(from..to).unwrap_or(&[]);
        if piece.iter().any(|known| !is_blank(known.c)) {
            handle(Piece::Words(piece));
        }
    };
    for (at, here) in bare(&line.chars).filter(|(_, here)| matches!(here.c, '{' | '}')) {
        words(start, at, &mut handle);
        let place = line.place_of(at);
        handle(if here.c == '{' { Piece::Open(place) } else { Piece::Close(place) });
        start = at + 1;
    }
    words(start, line.chars.len(), &mut handle);
}

/// Words of a piece, quotes off: `a"b c"d` is three. And the text after the first, quotes untouched.
pub(super) fn words(piece: &[Char], place: Place) -> (Vec<Word>, String) {
    let mut words = Vec::new();
    let mut rest = 0;
    let mut at = 0;
    while let Some(&first) = piece.get(at) {
        if is_blank(first.c) {
            at += 1;
            continue;
        }
        let from_here = piece.get(at..).unwrap_or(&[]);
        let (skip, end) = if first.c == '"' {
            let length = from_here.iter().skip(1).position(|known| known.c == '"');
            (1, length.map_or(from_here.len(), |length| length + 1))
        } else {
            let length = from_here.iter().position(|known| is_blank(known.c) || known.c == '"');
            (0, length.unwrap_or(from_here.len()))
        };
        let text = text(from_here.get(skip..end).unwrap_or(&[]));
        words.push(Word { text, place: Place { column: first.column, ..place } });
        at += end + skip;
        if words.len() == 1 {
            rest = at;
        }
    }
    let rest = text(piece.get(rest..).unwrap_or(&[])).trim_matches([' ', '\t']).to_owned();
    (words, rest)
}
