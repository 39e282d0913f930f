//! The last things that happened, for `vipd events` and the log.

use super::{Action, Actions};
use crate::limits;
use crate::model::status::Happening;
use crate::model::{Level, Name, Text, cut};
use crate::time::{Duration, Instant};
use core::fmt;
use std::collections::VecDeque;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its number, as in [`Action::Note`].
    pub number: u32,
    /// When.
    pub at: Instant,
    /// How much it matters, as in [`Happening::level`].
    pub level: Level,
    /// A stable word for scripts, as in [`Happening::kind`].
    pub kind: &'static str,
    /// Whom it is about; empty for the daemon.
    pub subject: Name,
    /// What happened, and why.
    pub text: Text,
}

/// A ring of [`limits::HISTORY_MAX`] notes; the oldest goes.
#[derive(Debug)]
pub(super) struct History {
    notes: VecDeque<Note>,
    next: u32,
}

impl History {
    /// An empty ring.
    pub(super) fn new() -> Self {
        History { notes: VecDeque::with_capacity(limits::HISTORY_MAX), next: 1 }
    }

    /// Keeps a note and has it logged. What does not fit into `subject` or `text` is cut.
    pub(super) fn note(
        &mut self,
        now: Instant,
        level: Level,
        kind: &'static str,
        subject: &str,
        text: fmt::Arguments<'_>,
        actions: &mut Actions,
    ) {
        if self.notes.len() >= limits::HISTORY_MAX {
            self.notes.pop_front();
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let subject = cut(format_args!("{subject}"));
        self.notes.push_back(Note { number, at: now, level, kind, subject, text: cut(text) });
        actions.push(Action::Note { number });
    }

    /// A note by its number; `None` when it has gone.
    pub(super) fn get(&self, number: u32) -> Option<&Note> {
        let first = self.notes.front()?.number;
        self.notes.get(number.wrapping_sub(first) as usize)
    }

    /// All that are kept, newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().rev()
    }

    /// All that are kept, newest first, with their ages.
    pub(super) fn happenings(&self, now: Instant) -> Vec<Happening> {
        self.iter()
            .map(|note| Happening {
                age: age(now, note.at),
                level: note.level,
                kind: note.kind,
                subject: note.subject.clone(),
                text: note.text.clone(),
            })
            .collect()
    }
}

/// Time from `at` to `now`; zero where `at` lies ahead (the difference of two instants has no sign).
pub(super) fn age(now: Instant, at: Instant) -> Duration {
    if now > at { now - at } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_note_goes_and_numbers_stay_valid() {
        let mut history = History::new();
        let mut actions = Actions::new();
        for i in 0..limits::HISTORY_MAX as i64 + 3 {
            let text = format_args!("n{i}");
            history.note(Instant::from_secs(i), Level::Note, "daemon", "", text, &mut actions);
        }
        let newest = history.iter().next().unwrap();
        assert_eq!(newest.text, "n130", "newest first");
        assert_eq!(history.iter().count(), limits::HISTORY_MAX, "the ring has a limit");
        assert!(history.get(3).is_none(), "a note that has gone must not be taken for another");
        assert_eq!(history.get(4).unwrap().text, "n3", "the oldest that is kept");
        assert!(history.get(newest.number + 1).is_none(), "a number not given out yet");
        let last = actions.iter().last();
        assert!(
            matches!(last, Some(Action::Note { number }) if *number == newest.number),
            "logged by number"
        );
        let happenings = history.happenings(Instant::from_secs(131));
        assert_eq!(happenings[0].age, Duration::from_secs(1), "ages, not dates");
    }

    #[test]
    fn an_age_never_comes_from_the_future() {
        let (early, late) = (Instant::from_secs(1), Instant::from_secs(5));
        assert_eq!(age(early, late), Duration::ZERO, "smoltcp's difference of instants is absolute");
        assert_eq!(age(late, early), Duration::from_secs(4));
    }
}
