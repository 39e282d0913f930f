//! Where findings are gathered: byte offsets in, `line:col` out.

use super::line::is_header;
use crate::limits;
use crate::model::{Diagnostic, Diagnostics, Level};
use std::collections::BTreeSet;

/// A value and the byte offset at which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At<T> {
    /// Byte offset in the text.
    pub(super) at: usize,
    /// The value.
    pub(super) value: T,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At { at: self.at, value: f(self.value) }
    }
}

/// What is wrong with a value, and what was probably meant; the place is known to who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) hint: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem { what: what.into(), hint: hint.into() }
    }
}

/// Findings in one text.
pub(super) struct Report<'a> {
    file: &'a str,
    lines: Lines<'a>,
    spoiled: BTreeSet<usize>,
    list: Diagnostics,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str, file: &'a str) -> Self {
        Report { file, lines: Lines::new(text), spoiled: BTreeSet::new(), list: Diagnostics::default() }
    }

    /// The lines of the text.
    pub(super) fn lines(&self) -> &Lines<'a> {
        &self.lines
    }

    /// Refuses the configuration for what stands at byte `at`.
    pub(super) fn error(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        let place = self.lines.place(at);
        self.push(Level::Error, place, what.into(), hint.into());
    }

    /// As [`Report::error`].
    pub(super) fn problem(&mut self, at: usize, problem: Problem) {
        self.error(at, problem.what, problem.hint);
    }

    /// Says that what stands at byte `at` is probably not what was meant.
    pub(super) fn warning(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        let place = self.lines.place(at);
        self.push(Level::Warning, place, what.into(), hint.into());
    }

    /// Says what is worth knowing of what stands at byte `at`.
    pub(super) fn note(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        let place = self.lines.place(at);
        self.push(Level::Note, place, what.into(), hint.into());
    }

    /// As [`Report::error`], where one only shows in a file that could be read as a whole.
    pub(super) fn error_of_whole(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        if self.spoiled.is_empty() {
            self.error(at, what, hint);
        }
    }

    /// As [`Report::warning`], where one is only worth saying of a file that could be read as a whole.
    pub(super) fn warning_of_whole(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        if self.spoiled.is_empty() {
            self.warning(at, what, hint);
        }
    }

    /// Refuses the text as a whole.
    pub(super) fn error_of_file(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.push(Level::Error, (0, 0), what.into(), hint.into());
    }

    /// A warning on the text as a whole.
    pub(super) fn warning_of_file(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.push(Level::Warning, (0, 0), what.into(), hint.into());
    }

    /// Refuses for a key that the table at byte `at` lacks. Nothing is said where a line of that table could
    /// not be read, for it may hold the key.
    pub(super) fn missing(&mut self, at: usize, what: impl Into<String>, hint: impl Into<String>) {
        let first = self.lines.index(at);
        let last = self.lines.section_end(first);
        if self.spoiled.range(first..last).next().is_none() {
            self.error(at, what, hint);
        }
    }

    /// Notes a line (from 0) that could not be read.
    pub(super) fn spoil(&mut self, line: usize) {
        self.spoiled.insert(line);
    }

    /// Is anything refused so far?
    pub(super) fn has_errors(&self) -> bool {
        self.list.has_errors()
    }

    /// Is there so much refused that more is only counted?
    pub(super) fn is_full(&self) -> bool {
        self.list.errors() >= limits::DIAGNOSTICS_MAX
    }

    /// All of it, in the order of the text.
    pub(super) fn finish(mut self) -> Diagnostics {
        self.list.sort();
        self.list
    }

    fn push(&mut self, level: Level, (line, column): (u32, u32), what: String, hint: String) {
        let [what, hint] = [what, hint].map(one_line);
        self.list.push(Diagnostic { level, file: self.file.to_owned(), line, column, what, hint });
    }
}

/// What the file holds reaches a terminal with the message: no control characters (SEC-15).
fn one_line(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    } else {
        text
    }
}

/// A text by lines.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = core::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// Line that holds byte `at`, from 0.
    pub(super) fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Byte offset at which line `index` (from 0) begins; the end of the text where there is no such line.
    pub(super) fn start(&self, index: usize) -> usize {
        self.starts.get(index).copied().unwrap_or(self.text.len())
    }

    /// Line `index` (from 0) without its end; empty where there is none.
    pub(super) fn line(&self, index: usize) -> &'a str {
        let line = self.text.get(self.start(index)..self.start(index + 1)).unwrap_or("");
        line.trim_end_matches(['\r', '\n'])
    }

    /// Does the key at byte `at` stand in the header of a table below it, `[[key.below]]`?
    pub(super) fn names_below(&self, at: usize, key: &str) -> bool {
        let rest = self.text.get(at..).and_then(|rest| rest.strip_prefix(key));
        rest.is_some_and(|rest| rest.trim_start().starts_with('.'))
    }

    /// Line and column of byte `at`, both from 1, the column in characters. A byte order mark is no
    /// character.
    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        let index = self.index(at);
        let start = self.start(index);
        let mut end = at.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(start..end).unwrap_or("").trim_start_matches('\u{feff}');
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(index + 1), number(before.chars().count() + 1))
    }

    /// The line (from 0) after the last one of the table that begins at line `first`.
    pub(super) fn section_end(&self, first: usize) -> usize {
        (first + 1..self.count()).find(|i| is_header(self.line(*i))).unwrap_or(self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let lines = Lines::new("a\nnäme = 1\r\nlast");
        assert_eq!(lines.place(0), (1, 1));
        assert_eq!(lines.place(5), (2, 3), "two bytes of `ä` are one column");
        assert_eq!(lines.place(4), (2, 2), "the middle of a character is that character, not a panic");
        assert_eq!(lines.place(999), (3, 5), "beyond the end is the end, not a panic");
        assert_eq!(lines.line(1), "näme = 1", "neither end of line is part of the line");
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        assert_eq!(Lines::new("\u{feff}x").place(3), (1, 1));
    }
}
