//! `~SEQ(var,[start,[step,]]end) line` and `~LST(var,value,…) line`: one line becomes several.

use super::lines::{self, Char, is_blank};
use crate::limits;

/// A repetition, turn by turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeat {
    /// What is repeated.
    pub(super) body: Vec<Char>,
    turns: Turns,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Turns {
    Numbers { name: String, next: i64, step: i64, left: usize, is_hex: bool },
    Values { names: Vec<String>, rows: Vec<Vec<String>>, next: usize },
}

impl Repeat {
    /// Is this the head of one?
    pub(super) fn is_one(chars: &[Char]) -> bool {
        starts_with(chars, "~SEQ") || starts_with(chars, "~LST")
    }

    /// Up to where `$NAME` is replaced before the repetition is read: behind its `)`.
    pub(super) fn head_end(chars: &[Char]) -> usize {
        chars.iter().position(|known| known.c == ')').map_or(chars.len(), |at| at + 1)
    }

    /// Reads one, or says what is wrong with it.
    pub(super) fn read(chars: &[Char]) -> Result<Repeat, String> {
        let is_list = starts_with(chars, "~LST");
        let is_hex = starts_with(chars, "~SEQx");
        let after_name = if is_hex { 5 } else { 4 };
        let all = lines::text(chars.get(after_name..).unwrap_or(&[]));
        let inner = all.trim_start_matches([' ', '\t']).strip_prefix('(');
        let Some((inner, _)) = inner.and_then(|inner| inner.split_once(')')) else {
            return Err("it needs `(`, and `)` behind its values".to_owned());
        };
        let turns = if is_list { values(inner)? } else { numbers(inner, is_hex)? };
        let mut body = chars.get(Repeat::head_end(chars)..).unwrap_or(&[]).to_vec();
        lines::trim(&mut body);
        Ok(Repeat { body, turns })
    }

    /// What the variables are in the next turn; `None`: that was all.
    pub(super) fn turn(&mut self) -> Option<Vec<(String, String)>> {
        match &mut self.turns {
            Turns::Numbers { name, next, step, left, is_hex } => {
                *left = left.checked_sub(1)?;
                let value = if *is_hex { format!("{next:x}") } else { format!("{next}") };
                *next = next.saturating_add(*step);
                Some(vec![(name.clone(), value)])
            }
            Turns::Values { names, rows, next } => {
                let row = rows.get(*next)?;
                *next += 1;
                let value = |n: usize| row.get(n).cloned().unwrap_or_default();
                Some(names.iter().enumerate().map(|(n, name)| (name.clone(), value(n))).collect())
            }
        }
    }
}

fn starts_with(chars: &[Char], word: &str) -> bool {
    chars.len() >= word.len() && word.chars().zip(chars).all(|(c, known)| c == known.c)
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(letter) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// `var,[start,[step,]]end`.
fn numbers(inner: &str, is_hex: bool) -> Result<Turns, String> {
    let mut parts = inner.split(',').map(|part| part.trim_matches(is_blank));
    let name = parts.next().unwrap_or_default().to_owned();
    if !is_name(&name) {
        return Err(format!("`{name}` is no name for what it counts"));
    }
    let numbers: Vec<i64> = parts.take(4).map(number).collect::<Result<_, _>>()?;
    // keepalived's own way: a sole end counts from 1 upward, or from -1 (0: from 1) downward.
    let (start, step, end) = match *numbers {
        [end] => (if end < 0 { -1 } else { 1 }, if end < 1 { -1 } else { 1 }, end),
        [start, end] => (start, if start <= end { 1 } else { -1 }, end),
        [start, step, end] => (start, step, end),
        _ => return Err("it takes a name and one to three numbers".to_owned()),
    };
    if step == 0 || (start < end && step < 0) || (start > end && step > 0) {
        return Err(format!("a step of {step} never comes from {start} to {end}"));
    }
    if is_hex && (start < 0 || end < 0) {
        return Err("`~SEQx` takes no numbers below zero".to_owned());
    }
    let turns = end.abs_diff(start) / step.unsigned_abs() + 1;
    let left = usize::try_from(turns).unwrap_or(usize::MAX);
    if left > limits::IMPORT_TURNS_MAX {
        return Err(format!("{turns} turns are more than {}", limits::IMPORT_TURNS_MAX));
    }
    Ok(Turns::Numbers { name, next: start, step, left, is_hex })
}

/// As C's `strtol` with base 0, but all of it.
fn number(word: &str) -> Result<i64, String> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    // Far from the ends of 64 bits, so that differences stay in them.
    let found = if digits.starts_with(['+', '-']) { None } else { i64::from_str_radix(digits, radix).ok() };
    match found {
        Some(n) if n <= i64::MAX / 4 => Ok(if sign == "-" { -n } else { n }),
        Some(_) | None => Err(format!("`{word}` is not a number")),
    }
}

/// `var,value,…` or `{a,b},{1,2},…`.
fn values(inner: &str) -> Result<Turns, String> {
    let mut groups = Vec::new();
    let mut rest = inner.trim_matches(is_blank);
    loop {
        let (group, after) = match rest.strip_prefix('{') {
            Some(braced) => {
                let (group, after) = braced.split_once('}').ok_or("a `}` is missing")?;
                (group.split(',').map(|part| part.trim_matches(is_blank)).collect(), after)
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (vec![value.trim_matches(is_blank)], after)
            }
        };
        groups.push(group);
        if groups.len() > limits::IMPORT_TURNS_MAX {
            return Err(format!("more than {} values", limits::IMPORT_TURNS_MAX));
        }
        let after = after.trim_matches(is_blank);
        if after.is_empty() {
            break;
        }
        rest = after.strip_prefix(',').ok_or("a `,` is missing")?.trim_matches(is_blank);
    }
    let owned = |group: &Vec<&str>| group.iter().map(|&part| part.to_owned()).collect::<Vec<String>>();
    let names: Vec<String> = groups.first().map(owned).unwrap_or_default();
    if let Some(strange) = names.iter().find(|name| !is_name(name)) {
        return Err(format!("`{strange}` is no name"));
    }
    let rows: Vec<Vec<String>> = groups.iter().skip(1).map(owned).collect();
    if rows.is_empty() {
        return Err("it has no values".to_owned());
    }
    if rows.iter().any(|row| row.len() > names.len()) {
        return Err("it has more values than names".to_owned());
    }
    if let Some(blank) = rows.iter().flatten().find(|value| value.contains(is_blank)) {
        return Err(format!("`{blank}` has a blank in it"));
    }
    Ok(Turns::Values { names, rows, next: 0 })
}
