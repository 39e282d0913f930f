//! `regex`: what is looked for in a page.

use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Report};
use crate::config::suggest::shown;
use crate::limits;
use crate::model::PageRegex;
use regex_lite::RegexBuilder;
use toml::de::DeValue;

/// `"text"`, or `{ pattern, not, first, last }`.
pub(super) fn regex(value: Value<'_>, report: &mut Report<'_>) -> Option<PageRegex> {
    let DeValue::Table(_) = value.value else {
        let pattern = value.parsed(pattern, report)?.value;
        return Some(PageRegex { pattern, negated: false, first: 0, last: 0 });
    };
    let mut table = value.table("regex", report)?;
    let read = table.parsed("pattern", pattern, report);
    table.require("pattern", "pattern = \"OK\"");
    let negated = table.flag("not", false, report);
    let (first, last) = span(&mut table, report);
    table.finish(report);
    Some(PageRegex { pattern: read?.value, negated, first, last })
}

/// `first` and `last`: the bytes of a page that are read, at most.
fn span(table: &mut Table<'_>, report: &mut Report<'_>) -> (u32, u32) {
    let longest = u32::try_from(limits::BODY_MAX).unwrap_or(u32::MAX);
    let first = table.integer("first", 0..=longest, report).map_or(0, |read| read.value);
    let last = table.integer("last", 0..=longest, report);
    if let Some(last) = last.filter(|last| last.value != 0 && last.value <= first) {
        let what = format!("`last` ({}) leaves no room after `first` ({first})", last.value);
        report.error(last.at, what, "A match begins at `first` or later, and before `last`; 0: anywhere.");
    }
    (first, last.map_or(0, |last| last.value))
}

/// A regular expression that the worker will be able to compile: with the same limit.
pub(in crate::config) fn pattern(text: &str) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(Problem::new("the pattern is empty", "Leave `regex` out for any text."));
    }
    if text.len() > limits::REGEX_MAX {
        let what = format!("a pattern of {} bytes, at most {}", text.len(), limits::REGEX_MAX);
        return Err(Problem::new(what, ""));
    }
    match RegexBuilder::new(text).size_limit(limits::REGEX_SIZE_MAX).build() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let what = format!("\"{}\" is not a regular expression: {error}", shown(text));
            Err(Problem::new(what, meant(text)))
        }
    }
}

/// What people use that no engine of linear time has, and what they forget.
fn meant(text: &str) -> &'static str {
    let backslashed = |is: fn(char) -> bool| {
        let mut before = ' ';
        text.chars().any(|c| {
            let found = before == '\\' && is(c);
            before = if before == '\\' { ' ' } else { c };
            found
        })
    };
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| text.contains(look)) {
        "There is no looking ahead or back; `not = true` turns a whole pattern round."
    } else if backslashed(|c| matches!(c, '1'..='9')) {
        "There are no references back to a group."
    } else if backslashed(|c| matches!(c, 'p' | 'P')) {
        "There are no Unicode classes: write [A-Za-z], or \\w."
    } else if text.contains("(?>") {
        "Nothing goes back over the text here: write it without `?>`."
    } else if text.starts_with('/') && text.len() > 1 {
        "Write the pattern without slashes around it, and flags in front: \"(?i)text\"."
    } else {
        "A character that has a meaning of its own is written with a backslash, in single quotes: '\\['."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_does_not_have_is_named() {
        for (text, hint) in [
            ("a(?=b)", "looking ahead"),
            ("(?<!a)b", "looking ahead"),
            (r"(a)\1", "references back"),
            (r"\p{L}+", "Unicode classes"),
            ("(?>a)", "back over the text"),
            ("[", "backslash"),
            ("(", "backslash"),
            ("*", "backslash"),
        ] {
            let problem = pattern(text).unwrap_err();
            assert!(problem.hint.contains(hint), "{text}: {problem:?}");
        }
        assert!(pattern(r"\\1").is_ok(), "a backslash and a 1");
        for text in ["OK", "(?i)ok", "(?s)<body>.*</body>", "^status: (up|fine)$", r"\d{3}"] {
            assert!(pattern(text).is_ok(), "{text}");
        }
    }

    /// A pattern of a few bytes may need megabytes: a router has none to spare, and the worker would end.
    #[test]
    fn patterns_that_grow_too_large_are_refused() {
        assert!(pattern("((a{100}){100}){100}").is_err());
        assert!(pattern(&"a".repeat(limits::REGEX_MAX)).is_ok());
        assert!(pattern(&"a".repeat(limits::REGEX_MAX + 1)).is_err());
    }
}
