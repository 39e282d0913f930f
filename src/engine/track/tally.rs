//! What a row of results says: keepalived's counter (keepalived §2.3).

/// Goes from 0 to rise + fall - 1; up from `rise` on. Nothing before the first result, which decides alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally(Option<u32>);

impl Tally {
    /// Counts a result; is it up now?
    pub(super) fn count(&mut self, passed: bool, rise: u16, fall: u16) -> bool {
        let (rise, top) = bounds(rise, fall);
        let counter = match (self.0, passed) {
            (None, true) => top,
            (None, false) => 0,
            (Some(c), true) if c + 1 < rise => c + 1,
            (Some(_), true) => top,
            (Some(c), false) if c > rise => c - 1,
            (Some(_), false) => 0,
        };
        self.0 = Some(counter);
        counter >= rise
    }

    /// Other numbers: a row that was under way begins anew.
    pub(super) fn reconfigure(&mut self, was_up: bool, rise: u16, fall: u16) {
        if self.0.is_some() {
            self.0 = Some(if was_up { bounds(rise, fall).1 } else { 0 });
        }
    }
}

/// `rise`, and the highest value of the counter.
fn bounds(rise: u16, fall: u16) -> (u32, u32) {
    let (rise, fall) = (u32::from(rise.max(1)), u32::from(fall.max(1)));
    (rise, rise + fall - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` and `-` in; the verdicts as `U` and `D`.
    fn row(rise: u16, fall: u16, results: &str) -> String {
        let mut tally = Tally::default();
        results.chars().map(|c| if tally.count(c == '+', rise, fall) { 'U' } else { 'D' }).collect()
    }

    #[test]
    fn rows_of_results_give_keepalived_s_verdicts() {
        for (rise, fall, results, wanted, why) in [
            (1, 1, "+-+-", "UDUD", "keepalived's default: each result decides"),
            (3, 3, "+", "U", "the first success decides alone"),
            (3, 3, "-++-+++", "DDDDDDU", "a failure breaks the row of successes"),
            (3, 3, "+--+---", "UUUUUUD", "a success forgives all failures"),
            (1, 3, "+---+", "UUUDU", "fall counts, rise = 1"),
            (2, 1, "-+++-", "DDUUD", "rise counts, fall = 1"),
            (0, 0, "-+-", "DUD", "zeros count as ones"),
            (3, 2, "---+++--", "DDDDDUUD", "failures below zero are not counted"),
        ] {
            assert_eq!(row(rise, fall, results), wanted, "rise {rise}, fall {fall}, {results}: {why}");
        }
    }

    /// The counter next to its definition by rows, for every sequence of 10 results.
    #[test]
    fn the_counter_is_the_same_as_counting_rows() {
        for (rise, fall) in [(1, 1), (1, 3), (2, 2), (3, 1), (4, 3)] {
            for bits in 0..1u32 << 10 {
                let (mut tally, mut up, mut same) = (Tally::default(), None, 0);
                for n in 0..10 {
                    let passed = bits >> n & 1 == 1;
                    up = match up {
                        None => Some(passed),
                        Some(up) if up == passed => {
                            same = 0;
                            Some(up)
                        }
                        Some(up) => {
                            same += 1;
                            let flips = same >= if up { fall } else { rise };
                            same = if flips { 0 } else { same };
                            Some(up != flips)
                        }
                    };
                    let counted = tally.count(passed, rise, fall);
                    assert_eq!(Some(counted), up, "rise {rise}, fall {fall}, {bits:010b} at {n}");
                }
            }
        }
    }

    #[test]
    fn other_numbers_keep_the_verdict_and_begin_the_row_anew() {
        let mut tally = Tally::default();
        tally.reconfigure(true, 2, 2);
        assert!(!tally.count(false, 2, 2), "the first result still decides alone");
        let mut tally = Tally::default();
        tally.count(true, 1, 2);
        tally.count(false, 1, 2);
        tally.reconfigure(true, 1, 3);
        assert!(tally.count(false, 1, 3) && tally.count(false, 1, 3), "two of three");
        assert!(!tally.count(false, 1, 3), "three of three");
    }
}
