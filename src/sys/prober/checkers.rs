//! What is kept of the checkers from probe to probe.

use super::slot::Key;
use crate::engine::ProbeId;

/// By `ProbeId::checker`: servers, and from [`ProbeId::PATH`] on, paths.
#[derive(Default)]
pub(super) struct Checkers {
    servers: Vec<Checker>,
    paths: Vec<Checker>,
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
        match id.checker.checked_sub(ProbeId::PATH) {
            Some(path) => self.paths.get(path as usize),
            None => self.servers.get(id.checker as usize),
        }
    }

    pub(super) fn get_mut(&mut self, id: ProbeId) -> Option<&mut Checker> {
        match id.checker.checked_sub(ProbeId::PATH) {
            Some(path) => self.paths.get_mut(path as usize),
            None => self.servers.get_mut(id.checker as usize),
        }
    }

    /// As `get_mut`, and makes it where it is not there: one that has just had its turn.
    pub(super) fn make(&mut self, id: ProbeId, given: u64) -> Option<&mut Checker> {
        let (list, index) = match id.checker.checked_sub(ProbeId::PATH) {
            Some(path) => (&mut self.paths, path as usize),
            None => (&mut self.servers, id.checker as usize),
        };
        if list.len() <= index {
            list.resize(index + 1, Checker { key: None, given, passed: None });
        }
        list.get_mut(index)
    }
}
