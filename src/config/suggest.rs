//! What a key that we do not know was probably meant to be.

use super::others::{IN_TABLE, KEEPALIVED, NOT_OURS};
use super::words::{KEYS, LATER};

/// What is wrong with a key that is none of `known` in `table`, and what to do: (what, hint).
pub(super) fn unknown_key(key: &str, table: &str, known: &[&str]) -> (String, String) {
    let shown = shown(key);
    let listed = |(begins, keys): &&(&str, &[&str])| table.starts_with(begins) && keys.contains(&key);
    if LATER.iter().any(|entry| listed(&entry)) {
        return (format!("`{shown}` is not in this release"), "Leave it out.".to_owned());
    }
    if NOT_OURS.iter().any(|entry| listed(&entry)) {
        let hint = match table {
            "addresses" | "routes" | "rules" => "Leave it out, or set it with a command of `notify`.",
            _ => "Leave it out.",
        };
        return (format!("vipd has no `{shown}`"), hint.to_owned());
    }
    let what = format!("unknown key `{shown}` in {table}");
    let own = IN_TABLE.iter().find(|(owner, word, _)| *owner == table && *word == key);
    if let Some((_, _, ours)) = own {
        return (what, format!("`{shown}` is {ours} here."));
    }
    if let Some((word, ours)) = KEEPALIVED.iter().find(|(word, _)| *word == key) {
        return (what, format!("keepalived's `{word}` is {ours}."));
    }
    let nested = format!(".{key}]]");
    if let Some((nested, _)) = KEYS.iter().find(|(other, _)| *other != table && other.ends_with(&nested)) {
        return (what, format!("Did you mean {nested}?"));
    }
    if let Some(near) = akin(key, known) {
        return (what, format!("Did you mean `{near}`?"));
    }
    let owner = KEYS.iter().find(|(other, keys)| *other != table && keys.contains(&key));
    if let Some((owner, _)) = owner.filter(|(other, _)| *other != "the file") {
        return (what, format!("`{shown}` belongs in {owner}."));
    }
    if let Some(near) = nearest(key, known) {
        return (what, format!("Did you mean `{near}`?"));
    }
    (what, format!("Keys here: {}.", known.join(", ")))
}

/// The one of `known` that is `word` but for one slip, its beginning, or one of its parts: `address` for
/// `addresses`, `interval` for `advert_interval`. Surer than [`nearest`].
fn akin<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let part =
        |key: &&&str| word.len() > 3 && (key.starts_with(word) || key.split('_').any(|part| part == word));
    let slip = nearest(word, known).filter(|near| distance(&folded(word), &folded(near)) <= 1);
    slip.or_else(|| known.iter().find(part).copied())
}

/// The one of `known` that a person who typed `word` probably meant.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    const LONGEST: usize = 40;
    let word = folded(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = match word.chars().count() {
        0..=4 => 1,
        5..=7 => 2,
        _ => 3,
    };
    known
        .iter()
        .map(|candidate| (distance(&word, &folded(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len().min(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A text of the user's as it may stand in a message: short, one line.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push_str("...");
    }
    out
}

/// `advert-interval`, `advertInterval` and `advert_interval` are the same slip of the same key.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, ca) in a.chars().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        let mut left = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let at = |list: &[usize], k: usize| list.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best = at(&above, j) + usize::from(ca != *cb);
            best = best.min(at(&above, j + 1) + 1).min(left + 1);
            let swapped = j > 0 && last == Some(*cb) && b.get(j - 1) == Some(&ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
            left = best;
        }
        before = core::mem::replace(&mut above, row);
        last = Some(ca);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("priority", "priority"), 0);
        assert_eq!(distance("priorty", "priority"), 1, "a letter left out");
        assert_eq!(distance("priroity", "priority"), 1, "two letters swapped are one slip");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn nearest_knows_slips_but_does_not_guess_wildly() {
        let known = ["priority", "preempt", "vrid", "rr", "lc"];
        assert_eq!(nearest("prioritiy", &known), Some("priority"));
        assert_eq!(nearest("Pre-Empt", &known), Some("preempt"));
        assert_eq!(nearest("vird", &known), Some("vrid"));
        assert_eq!(nearest("colour", &known), None, "a wild guess misleads more than it helps");
        assert_eq!(nearest("xy", &known), None, "two edits turn any two letters into `rr`");
    }

    #[test]
    fn our_keys_are_neither_keepalived_words_nor_later_ones() {
        for (table, keys) in KEYS {
            for key in *keys {
                let listed = |list: &[(&str, &[&str])]| {
                    list.iter().any(|(begins, keys)| table.starts_with(begins) && keys.contains(key))
                };
                assert!(!listed(LATER), "{table}: {key} would be called later though we read it");
                assert!(!listed(NOT_OURS), "{table}: {key} would be called foreign though we read it");
                assert!(!KEEPALIVED.iter().any(|(word, _)| word == key), "{table}: {key}");
                assert!(!IN_TABLE.iter().any(|(own, word, _)| own == table && word == key), "{table}: {key}");
            }
        }
    }
}
