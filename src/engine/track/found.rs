//! Where the kernel has what a tracker looks for: an address on interfaces, a route by next hops.

use crate::limits;

/// A place, and whether the dump that is going on has told it.
#[derive(Debug, Clone, Copy)]
struct Place<T> {
    place: T,
    seen: bool,
}

/// All places of one address or one net. At most [`limits::TRACKED_PLACES_MAX`].
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    places: Vec<Place<T>>,
    /// There were more.
    has_more: bool,
    /// A dump that tells them is going on.
    telling: bool,
    /// A dump has told all once: what is not here is nowhere.
    is_told: bool,
}

impl<T: Copy + PartialEq> Found<T> {
    pub(super) fn new() -> Self {
        Found { places: Vec::new(), has_more: false, telling: false, is_told: false }
    }

    pub(super) fn put(&mut self, place: T) {
        if let Some(known) = self.places.iter_mut().find(|p| p.place == place) {
            known.seen = true;
        } else if self.places.len() < limits::TRACKED_PLACES_MAX {
            self.places.push(Place { place, seen: true });
        } else {
            self.has_more = true;
        }
    }

    pub(super) fn remove(&mut self, place: T) {
        self.places.retain(|p| p.place != place);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.places.retain(|p| keep(&p.place));
    }

    pub(super) fn dump_start(&mut self) {
        (self.telling, self.has_more) = (true, false);
        self.places.iter_mut().for_each(|p| p.seen = false);
    }

    pub(super) fn dump_end(&mut self) {
        if core::mem::take(&mut self.telling) {
            self.is_told = true;
            self.places.retain(|p| p.seen);
        }
    }

    /// Is it certain that there are no others?
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// None is left of those that were kept, but there were more: only another dump can tell.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.places.is_empty() && self.has_more && !self.telling
    }

    pub(super) fn is_telling(&self) -> bool {
        self.telling
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().map(|p| &p.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_drops_what_it_does_not_tell_and_a_repeated_notification_counts_once() {
        let mut found = Found::new();
        found.put(1);
        assert!(!found.is_told(), "before a dump nobody knows where else it is");
        found.dump_start();
        found.put(2);
        found.put(2);
        assert_eq!(found.iter().count(), 2, "while it is told, what was known still counts");
        found.dump_end();
        assert!(found.is_told());
        assert_eq!(found.iter().collect::<Vec<_>>(), [&2], "a missed removal must not leave a ghost");
    }

    #[test]
    fn at_the_limit_the_surplus_is_looked_for_once_the_others_have_gone() {
        let mut found = Found::new();
        for place in 0..=limits::TRACKED_PLACES_MAX {
            found.put(place);
        }
        assert_eq!(found.iter().count(), limits::TRACKED_PLACES_MAX, "law 8");
        assert!(!found.is_in_doubt());
        found.retain(|place| *place == limits::TRACKED_PLACES_MAX);
        assert!(found.is_in_doubt(), "one more was there: only a dump can tell");
        found.dump_start();
        assert!(!found.is_in_doubt(), "it is being told");
    }
}
