//! Arguments of statements: numbers, times, switches.

use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::tree::Word;
use crate::config::keepalived::walk::Known;
use crate::config::suggest::shown;
use core::ops::RangeInclusive;

/// Microseconds of a second.
pub(super) const SECOND: u64 = 1_000_000;

/// The `n`th argument as a whole number of `range`; otherwise a finding, and `None`: keepalived keeps what it
/// has. What follows the digits is told, and left out as keepalived leaves it out.
pub(super) fn number(
    known: Known<'_>,
    n: usize,
    range: RangeInclusive<i64>,
    findings: &mut Findings,
) -> Option<i64> {
    let word = known.statement.argument(n)?;
    let name = known.name;
    let digits = digits(word, |b| b.is_ascii_digit());
    let Ok(number) = digits.parse::<i64>() else {
        let what = format!("`{name}` wants a number, not \"{}\"", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
        return None;
    };
    trailing(known, word, digits, findings);
    if !range.contains(&number) {
        let (least, most) = (range.start(), range.end());
        let what = format!("`{name}` {} is out of range, {least} to {most}", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
        return None;
    }
    Some(number)
}

/// As [`number`], for those that are not negative and fit.
pub(super) fn count(
    known: Known<'_>,
    n: usize,
    range: RangeInclusive<u32>,
    findings: &mut Findings,
) -> Option<u32> {
    let range = i64::from(*range.start())..=i64::from(*range.end());
    number(known, n, range, findings).and_then(|number| u32::try_from(number).ok())
}

/// The `n`th argument, seconds with at most six decimals, in microseconds; `range` likewise.
pub(super) fn micros(
    known: Known<'_>,
    n: usize,
    range: RangeInclusive<u64>,
    findings: &mut Findings,
) -> Option<u64> {
    let word = known.statement.argument(n)?;
    let name = known.name;
    let digits = digits(word, |b| b.is_ascii_digit() || b == b'.');
    let Some(micros) = decimal(digits) else {
        let what = format!("`{name}` wants a number of seconds, not \"{}\"", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
        return None;
    };
    trailing(known, word, digits, findings);
    if !range.contains(&micros) {
        let what = format!("`{name}` {} is out of range", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
        return None;
    }
    Some(micros)
}

/// A switch: `on`, `true`, `yes` or nothing; `off`, `false`, `no`; otherwise a finding, and `None`.
pub(super) fn flag(known: Known<'_>, findings: &mut Findings) -> Option<bool> {
    let Some(word) = known.statement.argument(0) else { return Some(true) };
    match word.text.as_str() {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => {
            let what =
                format!("`{}` is on, off, true, false, yes or no, not \"{}\"", known.name, shown(&word.text));
            findings.push(word.place, Kind::Invalid, what, "keepalived leaves the line out.");
            None
        }
    }
}

/// A word that is a switch elsewhere, and always on where it stands, whatever follows.
pub(super) fn always(known: Known<'_>, findings: &mut Findings) -> Option<bool> {
    if let Some(word) = known.statement.argument(0)
        && !matches!(word.text.as_str(), "on" | "true" | "yes")
    {
        let what = format!("`{} {}` is taken for on", known.name, shown(&word.text));
        findings.push(word.place, Kind::Changed, what, "keepalived does not look at what follows it here.");
    }
    Some(true)
}

/// What the word begins with, a sign included.
fn digits(word: &Word, is_digit: fn(u8) -> bool) -> &str {
    let signed = usize::from(word.text.starts_with(['-', '+']));
    let rest = word.text.bytes().skip(signed).take_while(|b| is_digit(*b)).count();
    word.text.get(..signed + rest).unwrap_or("")
}

/// keepalived takes the number and complains about what follows it.
fn trailing(known: Known<'_>, word: &Word, digits: &str, findings: &mut Findings) {
    if digits.len() < word.text.len() {
        let what = format!("`{}`: \"{}\" is read as {digits}", known.name, shown(&word.text));
        findings.push(word.place, Kind::Corrected, what, "keepalived reads it so, too.");
    }
}

/// Seconds with at most six decimals that count.
fn decimal(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut micros = whole.checked_mul(SECOND)?;
    let mut unit = SECOND;
    for digit in fraction.chars().take(6) {
        unit /= 10;
        micros = micros.checked_add(u64::from(digit.to_digit(10)?) * unit)?;
    }
    Some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keepalived::source::Place;
    use crate::config::keepalived::tree::Statement;

    fn read<T>(argument: &str, read: impl Fn(Known<'_>, &mut Findings) -> T) -> (T, Vec<Kind>) {
        let word = |text: &str| Word { text: text.to_owned(), place: Place::default() };
        let words = vec![word("delay_loop"), word(argument)];
        let statement = Statement { words, rest: String::new(), body: None, comments: Vec::new() };
        let mut findings = Findings::new(10);
        let value = read(Known { name: "delay_loop", statement: &statement }, &mut findings);
        (value, findings.kinds())
    }

    #[test]
    fn numbers_end_where_their_digits_end() {
        let number = |text: &str| read(text, |known, findings| number(known, 0, -5..=100, findings));
        assert_eq!(number("10"), (Some(10), vec![]));
        assert_eq!(number("-5"), (Some(-5), vec![]));
        assert_eq!(number("10s"), (Some(10), vec![Kind::Corrected]), "keepalived warns and takes the 10");
        for text in ["", "x", "-", "101", "-6", "99999999999999999999"] {
            assert_eq!(number(text), (None, vec![Kind::Invalid]), "{text:?}");
        }
    }

    #[test]
    fn seconds_have_decimals() {
        let micros = |text: &str| read(text, |known, findings| micros(known, 0, 1..=10 * SECOND, findings));
        for (text, value) in [("6", 6_000_000), ("0.5", 500_000), (".25", 250_000), ("1.", 1_000_000)] {
            assert_eq!(micros(text), (Some(value), vec![]), "{text}");
        }
        assert_eq!(micros("1.1234567"), (Some(1_123_456), vec![]));
        assert_eq!(micros("3s"), (Some(3_000_000), vec![Kind::Corrected]));
        for text in ["", ".", "-1", "1.2.3", "0", "11", "999999999999999999999"] {
            assert_eq!(micros(text), (None, vec![Kind::Invalid]), "{text:?}");
        }
    }

    #[test]
    fn switches_are_lower_case_words() {
        let flag = |text: &str| read(text, flag);
        assert_eq!((flag("on"), flag("no")), ((Some(true), vec![]), (Some(false), vec![])));
        assert_eq!(flag("True"), (None, vec![Kind::Invalid]));
        assert_eq!(flag("1"), (None, vec![Kind::Invalid]));
    }
}
