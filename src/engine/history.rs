//! stub
use super::*;
/// Note
#[derive(Debug)]
pub struct Note {
    /// n
    pub number: u32,
    /// n
    pub at: Instant,
    /// n
    pub level: Level,
    /// n
    pub kind: &'static str,
    /// n
    pub subject: Name,
    /// n
    pub text: Text,
}
#[derive(Debug)]
pub(super) struct History {
    n: u32,
    list: std::collections::VecDeque<Note>,
}
impl History {
    pub(super) fn new() -> Self {
        History { n: 0, list: Default::default() }
    }
    pub(super) fn note(
        &mut self,
        now: Instant,
        level: Level,
        kind: &'static str,
        subject: &str,
        text: fmt::Arguments<'_>,
        actions: &mut Actions,
    ) {
        self.n += 1;
        self.list.push_front(Note {
            number: self.n,
            at: now,
            level,
            kind,
            subject: cut(format_args!("{subject}")),
            text: cut(text),
        });
        actions.push(Action::Note { number: self.n });
    }
    pub(super) fn get(&self, number: u32) -> Option<&Note> {
        self.list.iter().find(|n| n.number == number)
    }
    pub(super) fn happenings(&self, _now: Instant) -> Vec<Happening> {
        vec![]
    }
}
