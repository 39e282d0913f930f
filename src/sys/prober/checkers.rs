//! What is kept of the checkers from probe to probe.

use super::slot::Key;
use crate::engine::ProbeId;

/// By `ProbeId::checker`: servers, from [`ProbeId::PATH`] on paths, from [`ProbeId::ASKED`] on those that
/// somebody asks for.
#[derive(Default)]
pub(super) struct Checkers {
    servers: Vec<Checker>,
    paths: Vec<Checker>,
    asked: Vec<Checker>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Checker {
    /// Where its probe is.
    pub(super) key: Option<Key>,
    /// How many conversations had been given to workers when one took its own last.
    pub(super) given: u64,
    /// Did its last probe pass?
    pub(super) passed: Option<bool>,
}

impl Checkers {
    pub(super) fn get(&self, id: ProbeId) -> Option<&Checker> {
        match place(id) {
            (List::Servers, at) => self.servers.get(at),
            (List::Paths, at) => self.paths.get(at),
            (List::Asked, at) => self.asked.get(at),
        }
    }

    pub(super) fn get_mut(&mut self, id: ProbeId) -> Option<&mut Checker> {
        let (list, at) = self.list(id);
        list.get_mut(at)
    }

    /// As `get_mut`, and makes it where it is not there: one that has just had its turn.
    pub(super) fn make(&mut self, id: ProbeId, given: u64) -> Option<&mut Checker> {
        let (list, at) = self.list(id);
        if list.len() <= at {
            list.resize(at + 1, Checker { key: None, given, passed: None });
        }
        list.get_mut(at)
    }

    fn list(&mut self, id: ProbeId) -> (&mut Vec<Checker>, usize) {
        match place(id) {
            (List::Servers, at) => (&mut self.servers, at),
            (List::Paths, at) => (&mut self.paths, at),
            (List::Asked, at) => (&mut self.asked, at),
        }
    }
}

enum List {
    Servers,
    Paths,
    Asked,
}

fn place(id: ProbeId) -> (List, usize) {
    match (id.checker.checked_sub(ProbeId::ASKED), id.checker.checked_sub(ProbeId::PATH)) {
        (Some(at), _) => (List::Asked, at as usize),
        (None, Some(at)) => (List::Paths, at as usize),
        (None, None) => (List::Servers, id.checker as usize),
    }
}
