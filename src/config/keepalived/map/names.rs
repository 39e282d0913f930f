//! Names that vipd takes, for those that keepalived has.

use super::super::finding::{Findings, Kind};
use super::super::source::Place;
use crate::config::suggest::shown;
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};

/// Whose name it is. keepalived's trackers of different sorts may share a name, vipd's may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// `vrrp_instance`.
    Instance,
    /// `vrrp_sync_group`.
    Group,
    /// `vrrp_script`.
    Script,
    /// `vrrp_track_process`.
    Process,
    /// `track_file`.
    File,
    /// An interface that is tracked.
    Interface,
}

impl Sort {
    /// Where names must differ.
    fn room(self) -> u8 {
        match self {
            Sort::Instance => 0,
            Sort::Group => 1,
            Sort::Script | Sort::Process | Sort::File | Sort::Interface => 2,
        }
    }

    /// For a name that is taken.
    fn suffix(self) -> &'static str {
        match self {
            Sort::Instance | Sort::Group => "",
            Sort::Script => "-script",
            Sort::Process => "-process",
            Sort::File => "-file",
            Sort::Interface => "-interface",
        }
    }
}

/// keepalived's names with ours.
#[derive(Default)]
pub(super) struct Names {
    given: BTreeMap<(Sort, String), String>,
    taken: BTreeSet<(u8, String)>,
}

impl Names {
    /// A name for what is called `written`: the same where that is possible, otherwise like it, with a
    /// finding. `None`: keepalived knows one of that sort already, and leaves the second out; that is told.
    pub(super) fn give(
        &mut self,
        sort: Sort,
        written: &str,
        place: Place,
        findings: &mut Findings,
    ) -> Option<String> {
        if self.given.contains_key(&(sort, written.to_owned())) {
            let what = format!("\"{}\" is there already, this second one is left out", shown(written));
            findings.push(place, Kind::Invalid, what, "keepalived leaves it out, too.");
            return None;
        }
        let mut like: String = written.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
        cut(&mut like, limits::NAME_MAX);
        if like.trim().is_empty() {
            like = "unnamed".to_owned();
        }
        if self.taken.contains(&(sort.room(), like.clone())) {
            cut(&mut like, limits::NAME_MAX - sort.suffix().len());
            like.push_str(sort.suffix());
        }
        let mut name = like.clone();
        let mut number = 2u32;
        while !self.taken.insert((sort.room(), name.clone())) {
            let tail = format!("-{number}");
            name.clone_from(&like);
            cut(&mut name, limits::NAME_MAX - tail.len());
            name.push_str(&tail);
            number += 1;
        }
        if name != written {
            let what = format!("the name \"{}\" becomes \"{}\"", shown(written), shown(&name));
            let hint = format!("vipd's names are unique, and have 1 to {} bytes.", limits::NAME_MAX);
            findings.push(place, Kind::Changed, what, hint);
        }
        self.given.insert((sort, written.to_owned()), name.clone());
        Some(name)
    }

    /// Ours for what keepalived calls `written`.
    pub(super) fn find(&self, sort: Sort, written: &str) -> Option<&str> {
        self.given.get(&(sort, written.to_owned())).map(String::as_str)
    }

    /// keepalived's names of a sort.
    pub(super) fn all(&self, sort: Sort) -> impl Iterator<Item = &str> {
        self.given.keys().filter(move |(other, _)| *other == sort).map(|(_, name)| name.as_str())
    }
}

/// Cuts at a character.
fn cut(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_valid_and_unique() {
        let mut findings = Findings::new(10);
        let mut names = Names::default();
        let mut give = |sort, written: &str| names.give(sort, written, Place::default(), &mut findings);
        let long = "x".repeat(70);
        assert_eq!(give(Sort::Instance, "VI_1").as_deref(), Some("VI_1"));
        assert_eq!(give(Sort::Instance, "VI_1"), None, "keepalived leaves the second out");
        assert_eq!(give(Sort::Group, "VI_1").as_deref(), Some("VI_1"), "another room");
        assert_eq!(give(Sort::Script, "a").as_deref(), Some("a"));
        assert_eq!(give(Sort::File, "a").as_deref(), Some("a-file"), "trackers share a room");
        assert_eq!(give(Sort::Interface, "a-file").as_deref(), Some("a-file-interface"));
        assert_eq!(give(Sort::Instance, &long), Some("x".repeat(64)));
        assert_eq!(give(Sort::Instance, &format!("{long}y")), Some(format!("{}-2", "x".repeat(62))));
        assert_eq!(give(Sort::Instance, "é\u{7}"), Some("é_".to_owned()));
        assert_eq!(give(Sort::Instance, ""), Some("unnamed".to_owned()));
        assert_eq!(names.find(Sort::File, "a"), Some("a-file"));
        use Kind::{Changed, Invalid};
        assert_eq!(findings.kinds(), [Invalid, Changed, Changed, Changed, Changed, Changed, Changed]);
    }
}
