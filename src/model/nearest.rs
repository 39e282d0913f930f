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
    let near = |candidate: &&'k str| {
        distance(&word, &folded(candidate), allowed)
            .filter(|slips| *slips < candidate.len().min(word.len()))
            .map(|slips| (slips, *candidate))
    };
    known.iter().filter_map(near).min_by_key(|(slips, _)| *slips).map(|(_, candidate)| candidate)
}

/// How many slips of the fingers lie between two words, their spelling with `_`, `-` and capitals aside.
pub fn slips(a: &str, b: &str) -> usize {
    distance(&folded(a), &folded(b), usize::MAX).unwrap_or(usize::MAX)
}

/// `advert-interval`, `advertInterval` and `advert_interval` are the same slip of the same key.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; `None`: more than `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let b: Vec<char> = b.chars().collect();
    // Most of some hundred keywords end here, at a fraction of what comparing costs.
    if a.chars().count().abs_diff(b.len()) > most {
        return None;
    }
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
        // A later row is made of these two, and never less.
        if row.iter().chain(&above).all(|slips| *slips > most) {
            return None;
        }
        before = core::mem::replace(&mut above, row);
        last = Some(ca);
    }
    above.last().copied().filter(|slips| *slips <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let distance = |a, b| super::distance(a, b, usize::MAX).unwrap();
        assert_eq!(distance("priority", "priority"), 0);
        assert_eq!(distance("priorty", "priority"), 1, "a letter left out");
        assert_eq!(distance("priroity", "priority"), 1, "two letters swapped are one slip");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }

    /// The limit saves work and changes no answer.
    #[test]
    fn a_limit_only_hides_what_is_beyond() {
        let words =
            ["", "a", "ba", "ab", "priority", "priroity", "prty", "vrrp_version", "nopreempt", "preempt"];
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (*a, *b))) {
            let whole = distance(a, b, usize::MAX).unwrap();
            for most in 0..5 {
                assert_eq!(distance(a, b, most), (whole <= most).then_some(whole), "{a} {b} {most}");
            }
        }
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
