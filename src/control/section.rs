//! A table on the status screen with notes under its rows, cut to the room that there is: the worst first.

/// How badly a row is needed on a screen that has no room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Nobody is served, or two are.
    Worst,
    /// Not as it should be.
    Bad,
    /// Not quite as it should be.
    Poor,
    /// Healthy, with something to say.
    Noted,
    /// Healthy, with nothing to say: such rows give way first.
    Quiet,
}

impl Rank {
    fn is_healthy(self) -> bool {
        self >= Rank::Noted
    }
}

/// One line of a table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) line: String,
    /// Lines under it.
    pub(super) notes: Vec<String>,
    pub(super) rank: Rank,
}

/// A table with what belongs under its rows.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) header: String,
    pub(super) rows: Vec<Row>,
    /// What one row is.
    pub(super) noun: &'static str,
    /// Shown whole before others are.
    pub(super) is_main: bool,
}

impl Section {
    /// Lines of the whole section; 0 where it has no rows.
    pub(super) fn lines(&self) -> usize {
        if self.rows.is_empty() { 0 } else { 1 + self.rows.iter().map(|r| 1 + r.notes.len()).sum::<usize>() }
    }

    /// Lines without which something that is wrong would not be seen: a line that counts where all is quiet.
    pub(super) fn needs(&self) -> usize {
        let loud =
            self.rows.iter().filter(|r| r.rank != Rank::Quiet).map(|r| 1 + r.notes.len()).sum::<usize>();
        match loud {
            0 => usize::from(!self.rows.is_empty()),
            loud => (loud + 2).min(self.lines()),
        }
    }

    /// At most `budget` lines. Where that is not enough, the worst rows come first with their notes, the rest
    /// is counted; else all stand in the order of the configuration.
    pub(super) fn fit(mut self, budget: usize) -> Vec<String> {
        if self.rows.is_empty() || budget == 0 {
            return Vec::new();
        }
        if self.lines() <= budget {
            let rows = self.rows.into_iter().flat_map(|row| core::iter::once(row.line).chain(row.notes));
            return core::iter::once(self.header).chain(rows).collect();
        }
        if budget < 3 {
            return vec![self.rest(0)];
        }
        self.rows.sort_by_key(|row| row.rank);
        let room = budget - 2;
        let loud = self.rows.iter().filter(|r| r.rank != Rank::Quiet).count().min(room);
        let notes_max = self.notes_that_fit(loud, room);
        let mut out = vec![core::mem::take(&mut self.header)];
        let mut shown = 0;
        for (at, row) in self.rows.iter_mut().enumerate() {
            let notes = if at < loud { row.notes.len().min(notes_max) } else { 0 };
            if out.len() + notes > room {
                break;
            }
            shown += 1;
            out.push(core::mem::take(&mut row.line));
            let left_out = row.notes.len().saturating_sub(notes);
            let whole = if left_out > 0 { notes.saturating_sub(1) } else { notes };
            let hint = format!("  ... and {} more (vipd status {})", row.notes.len() - whole, row.name);
            out.extend(row.notes.drain(..whole));
            if whole < notes {
                out.push(hint);
            }
        }
        if shown < self.rows.len() {
            out.push(self.rest(shown));
        }
        out
    }

    /// How many notes each of the first `loud` rows may have so that all of them fit with theirs.
    fn notes_that_fit(&self, loud: usize, room: usize) -> usize {
        let rows = || self.rows.iter().take(loud);
        let most = rows().map(|r| r.notes.len()).max().unwrap_or(0);
        let lines = |max: usize| rows().map(|r| 1 + r.notes.len().min(max)).sum::<usize>();
        (1..=most.min(room)).rev().find(|max| lines(*max) <= room).unwrap_or(0)
    }

    /// The line for the rows that are not `shown`.
    fn rest(&self, shown: usize) -> String {
        let rest = self.rows.get(shown..).unwrap_or(&[]);
        let (hidden, poor) = (rest.len(), rest.iter().filter(|r| !r.rank.is_healthy()).count());
        let noun = self.noun;
        let s = if hidden == 1 { "" } else { "s" };
        let (and, more) = if shown > 0 { ("... and ", "more ") } else { ("", "") };
        let hint = "(vipd status NAME shows one)";
        match poor {
            0 => format!("{and}{hidden} {more}healthy {noun}{s} {hint}"),
            _ if poor == hidden => format!("{and}{hidden} {more}unhealthy {noun}{s} {hint}"),
            _ => format!("{and}{hidden} {more}{noun}{s}, {poor} of them unhealthy {hint}"),
        }
    }
}

/// Lines for each section: first what is wrong, in all of them; then all of the main ones, then the rest.
pub(super) fn shares(sections: &[Section], room: usize) -> Vec<usize> {
    let mut shares = vec![0; sections.len()];
    let mut left = room;
    let needs: Vec<usize> = sections.iter().map(Section::needs).collect();
    pour(&mut shares, &needs, &mut left);
    let all: Vec<usize> = sections.iter().map(Section::lines).collect();
    let main = |section: &Section| if section.is_main { section.lines() } else { section.needs() };
    let main: Vec<usize> = sections.iter().map(main).collect();
    pour(&mut shares, &main, &mut left);
    pour(&mut shares, &all, &mut left);
    shares
}

/// Fills all glasses alike until each has its measure or nothing is left.
fn pour(glasses: &mut [usize], measures: &[usize], left: &mut usize) {
    loop {
        let thirsty = glasses.iter().zip(measures).filter(|(glass, measure)| glass < measure).count();
        if thirsty == 0 || *left == 0 {
            return;
        }
        let part = (*left / thirsty).max(1);
        for (glass, measure) in glasses.iter_mut().zip(measures) {
            let gulp = part.min(measure.saturating_sub(*glass)).min(*left);
            *glass += gulp;
            *left -= gulp;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(ranks: &[Rank]) -> Section {
        let row = |(at, rank): (usize, &Rank)| Row {
            name: format!("n{at}"),
            line: format!("row {at}"),
            notes: if *rank < Rank::Noted { vec![format!("  note {at}")] } else { Vec::new() },
            rank: *rank,
        };
        Section {
            header: "HEADER".into(),
            rows: ranks.iter().enumerate().map(row).collect(),
            noun: "thing",
            is_main: false,
        }
    }

    #[test]
    fn the_worst_rows_come_first_and_the_rest_is_counted() {
        use Rank::{Bad, Poor, Quiet, Worst};
        let ranks = [Quiet, Poor, Quiet, Worst, Bad];
        assert_eq!(section(&ranks).fit(99).len(), 9, "all, in their order");
        let lines = section(&ranks).fit(6);
        let want = [
            "HEADER",
            "row 3",
            "row 4",
            "row 1",
            "row 0",
            "... and 1 more healthy thing (vipd status NAME shows one)",
        ];
        assert_eq!(lines, want, "a row that is wrong is more than a note of another");
        assert_eq!(section(&ranks).fit(1), ["5 things, 3 of them unhealthy (vipd status NAME shows one)"]);
        for budget in 0..12 {
            assert!(section(&ranks).fit(budget).len() <= budget, "the first line would scroll away");
        }
    }

    #[test]
    fn room_goes_to_what_is_wrong_then_to_the_main_ones() {
        use Rank::{Bad, Quiet};
        let mut sections = [section(&[Quiet; 30]), section(&[Bad, Quiet, Quiet]), section(&[Quiet; 5])];
        sections[0].is_main = true;
        assert_eq!(shares(&sections, 20), [15, 4, 1], "trouble is seen; healthy trackers are counted");
        assert_eq!(shares(&sections, 99), [31, 5, 6], "all that is there, and no more");
        assert_eq!(shares(&sections, 2).iter().sum::<usize>(), 2);
    }
}
