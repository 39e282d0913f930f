//! Names with `*`, `?`, `[..]` and `{a,b}`, looked up in directories.

use super::source::Loader;
use crate::limits;

/// What a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// Paths, sorted within each alternative.
    pub(super) paths: Vec<String>,
    /// Alternatives that nothing fits.
    pub(super) missing: Vec<String>,
    /// There was more than is looked at.
    pub(super) is_cut: bool,
}

/// Looks a pattern up. A name without a wildcard is taken as it stands, whether it is there or not.
pub(super) fn find(pattern: &str, loader: &mut dyn Loader) -> Found {
    let mut found = Found::default();
    let mut lists = 0;
    for alternative in alternatives(pattern, &mut found.is_cut) {
        if !has_wildcard(&alternative) {
            found.paths.push(unescaped(&alternative));
            continue;
        }
        let mut paths = vec![String::new()];
        for (n, part) in alternative.split('/').enumerate() {
            paths = step(paths, n == 0, part, loader, &mut lists, &mut found.is_cut);
        }
        paths.sort();
        if paths.is_empty() {
            found.missing.push(alternative);
        }
        found.paths.extend(paths);
        found.is_cut |= found.paths.len() > limits::IMPORT_NAMES_MAX;
        found.paths.truncate(limits::IMPORT_NAMES_MAX);
    }
    found
}

/// One component further.
fn step(
    paths: Vec<String>,
    is_first: bool,
    part: &str,
    loader: &mut dyn Loader,
    lists: &mut usize,
    is_cut: &mut bool,
) -> Vec<String> {
    let mut longer = Vec::new();
    for path in paths {
        let prefix = if is_first { String::new() } else { format!("{path}/") };
        if !has_wildcard(part) {
            longer.push(format!("{prefix}{}", unescaped(part)));
            continue;
        }
        *lists += 1;
        if *lists > limits::IMPORT_DIRECTORIES_MAX {
            *is_cut = true;
            break;
        }
        let names = loader.list(if is_first { "." } else { &prefix }).unwrap_or_default();
        *is_cut |= names.len() > limits::IMPORT_NAMES_MAX;
        let pattern: Vec<char> = part.chars().collect();
        for name in names.into_iter().take(limits::IMPORT_NAMES_MAX) {
            let is_hidden = name.starts_with('.') && !part.starts_with('.');
            let letters: Vec<char> = name.chars().collect();
            if !is_hidden && fits(&pattern, &letters) {
                longer.push(format!("{prefix}{name}"));
            }
        }
        *is_cut |= longer.len() > limits::IMPORT_NAMES_MAX;
        longer.truncate(limits::IMPORT_NAMES_MAX);
    }
    longer
}

/// Has it a sign that stands for others?
pub(super) fn has_wildcard(pattern: &str) -> bool {
    let mut is_escaped = false;
    pattern.chars().any(|c| {
        let is_one = !is_escaped && matches!(c, '*' | '?' | '[');
        is_escaped = c == '\\' && !is_escaped;
        is_one
    })
}

fn unescaped(pattern: &str) -> String {
    let mut is_escaped = false;
    pattern
        .chars()
        .filter(|c| {
            is_escaped = *c == '\\' && !is_escaped;
            !is_escaped
        })
        .collect()
}

/// `a{b,c{d,e}}` spelled out: ab, acd, ace.
fn alternatives(pattern: &str, is_cut: &mut bool) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    let mut turns = 0;
    while let Some(next) = open.pop() {
        turns += 1;
        if done.len() + open.len() >= limits::IMPORT_DIRECTORIES_MAX || turns > 1024 {
            *is_cut = true;
            break;
        }
        match first_braces(&next) {
            Some((before, choices, after)) => {
                open.extend(choices.iter().rev().map(|choice| format!("{before}{choice}{after}")));
            }
            None => done.push(next),
        }
    }
    done
}

/// What stands before, between (at its commas) and behind the first braces.
fn first_braces(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let start = pattern.find('{')?;
    let (before, inner) = pattern.split_at_checked(start)?;
    let inner = inner.get(1..)?;
    let mut depth = 0;
    let mut cuts = vec![0];
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                cuts.push(at + 1);
                let choices = cuts.windows(2).filter_map(|cut| inner.get(*cut.first()?..cut.last()? - 1));
                return Some((before, choices.collect(), inner.get(at + 1..)?));
            }
            '}' => depth -= 1,
            ',' if depth == 0 => cuts.push(at + 1),
            _ => {}
        }
    }
    None
}

/// Does a name fit a pattern without `/`? Goes back to the last `*` only, so the time is bounded by the
/// product of the lengths.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let here = name.get(n).copied().unwrap_or_default();
        match (pattern.get(p), one(pattern.get(p..).unwrap_or(&[]), here)) {
            (Some('*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (_, Some(length)) => {
                p += length;
                n += 1;
            }
            (_, None) => {
                let Some((star_p, star_n)) = star else { return false };
                star = Some((star_p, star_n + 1));
                p = star_p + 1;
                n = star_n + 1;
            }
        }
    }
    pattern.get(p..).unwrap_or(&[]).iter().all(|c| *c == '*')
}

/// How long the piece of the pattern is that takes this letter.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '\\' if pattern.len() > 1 => (pattern.get(1) == Some(&letter)).then_some(2),
        '[' => match set(pattern, letter) {
            Some((length, is_in)) => is_in.then_some(length),
            None => (letter == '[').then_some(1),
        },
        c => (*c == letter).then_some(1),
    }
}

/// `[a-z]`, `[!a]`, `[]x]`: its length, and is the letter in it?
fn set(pattern: &[char], letter: char) -> Option<(usize, bool)> {
    let is_other = matches!(pattern.get(1), Some('!' | '^'));
    let start = if is_other { 2 } else { 1 };
    let length = pattern.iter().skip(start + 1).take(64).position(|c| *c == ']')?;
    let inner = pattern.get(start..=start + length)?;
    let mut is_in = false;
    let mut at = 0;
    while let Some(&low) = inner.get(at) {
        match (inner.get(at + 1), inner.get(at + 2)) {
            (Some('-'), Some(&high)) => {
                is_in |= (low..=high).contains(&letter);
                at += 3;
            }
            (_, _) => {
                is_in |= low == letter;
                at += 1;
            }
        }
    }
    Some((start + length + 2, is_in != is_other))
}
