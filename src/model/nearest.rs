//! What a person who typed a word probably meant.

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

/// How many slips of the fingers lie between two words, their spelling with `_`, `-` and capitals aside.
pub fn slips(a: &str, b: &str) -> usize {
    distance(&folded(a), &folded(b))
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
}
