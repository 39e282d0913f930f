//! What a key that we do not know was probably meant to be.

use super::others::{IN_TABLE, KEEPALIVED, NOT_OURS};
use super::words::{KEYS, LATER};
pub use crate::model::nearest;

use crate::model::slips;

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
    let slip = nearest(word, known).filter(|near| slips(word, near) <= 1);
    slip.or_else(|| known.iter().find(part).copied())
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

#[cfg(test)]
mod tests {
    use super::*;

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
