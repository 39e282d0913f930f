//! Keeps one kind of line from flooding the log; what it withholds is counted where the status screen shows
//! it.

use crate::time::{Duration, Instant};

/// The span over which lines are counted.
const SPAN: Duration = Duration::from_secs(60);
/// Lines in one span. More: withheld.
const LINES_MAX: u8 = 5;

/// One kind of line of one instance.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    since: Option<Instant>,
    lines: u8,
}

impl Quiet {
    /// May a line be written now?
    pub(super) fn lets_through(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= SPAN) {
            (self.since, self.lines) = (Some(now), 0);
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_minute_and_then_again() {
        let mut quiet = Quiet::default();
        let through = |quiet: &mut Quiet, at| (0..1000).filter(|_| quiet.lets_through(at)).count();
        assert_eq!(through(&mut quiet, Instant::from_secs(100)), 5, "the first ones are news");
        assert_eq!(through(&mut quiet, Instant::from_secs(159)), 0, "the log is not flooded");
        assert_eq!(through(&mut quiet, Instant::from_secs(160)), 5, "it is not forgotten either");
    }
}
