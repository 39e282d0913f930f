//! Who cares for what: a probe, a name, a file or an address, and the servers behind it.

/// A check of a server of a service; where a server or a service is meant, the rest is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index in the services.
    pub(super) service: u32,
    /// Index in its servers.
    pub(super) server: u32,
    /// Index in the checks of that.
    pub(super) check: u32,
}

impl Place {
    /// From indices.
    pub(super) fn new(service: usize, server: usize, check: usize) -> Self {
        Place { service: service as u32, server: server as u32, check: check as u32 }
    }
}

/// The places of each number: a lookup allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Sorted.
    list: Vec<(u32, Place)>,
}

impl Users {
    /// Takes a list of (number, place) in any order.
    pub(super) fn new(mut list: Vec<(u32, Place)>) -> Self {
        list.sort_unstable();
        Users { list }
    }

    /// Another configuration: services that are the same as before have `new_places`, by their old ones; the
    /// places of all others are in `list`, in any order.
    pub(super) fn reconfigure(&mut self, new_places: &[Option<u32>], list: Vec<(u32, Place)>) {
        self.list.retain_mut(|(_, place)| {
            let at = new_places.get(place.service as usize).copied().flatten();
            place.service = at.unwrap_or_default();
            at.is_some()
        });
        self.list.extend(list);
        self.list.sort(); // the first part mostly is in order: runs are found
        self.list.shrink_to_fit();
    }

    /// Where the places of a number are; `get` has them, in order.
    pub(super) fn of(&self, number: u32) -> core::ops::Range<usize> {
        let first = self.list.partition_point(|(n, _)| *n < number);
        let beyond = self.list.get(first..).unwrap_or(&[]).iter().take_while(|(n, _)| *n == number).count();
        first..first + beyond
    }

    /// How many there are, of all numbers.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The place at one of the indices of `of`.
    pub(super) fn get(&self, at: usize) -> Option<Place> {
        self.list.get(at).map(|(_, place)| *place)
    }

    /// The first place of a number: all others have the same parameters.
    pub(super) fn first(&self, number: u32) -> Option<Place> {
        let at = self.list.partition_point(|(n, _)| *n < number);
        self.list.get(at).filter(|(n, _)| *n == number).map(|(_, place)| *place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_places_in_order() {
        let users = Users::new(vec![
            (7, Place::new(2, 0, 0)),
            (3, Place::new(9, 1, 0)),
            (7, Place::new(1, 0, 1)),
            (7, Place::new(1, 0, 0)),
        ]);
        let of = |number| users.of(number).map(|at| users.get(at).unwrap()).collect::<Vec<_>>();
        assert_eq!(of(7), [Place::new(1, 0, 0), Place::new(1, 0, 1), Place::new(2, 0, 0)]);
        assert_eq!(users.first(3), Some(Place::new(9, 1, 0)));
        assert_eq!((of(4), users.first(4), users.first(99)), (vec![], None, None), "nobody cares");
    }
}
