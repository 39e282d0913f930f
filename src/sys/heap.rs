//! Whose turn is next, among many: what a turn of the loop costs does not grow with how many wait.

/// A binary heap of numbers (places in a table) in the order of their keys, the least one first; an entry is
/// moved and removed by its number. Its memory is kept.
#[derive(Debug)]
pub(super) struct Heap<K> {
    items: Vec<(K, usize)>,
    /// By number: where its entry is in `items`.
    at: Vec<usize>,
}

const NOWHERE: usize = usize::MAX;

impl<K> Default for Heap<K> {
    fn default() -> Self {
        Heap { items: Vec::new(), at: Vec::new() }
    }
}

impl<K: Ord + Copy> Heap<K> {
    /// Puts `number` in at `key`, or moves it there.
    pub(super) fn set(&mut self, number: usize, key: K) {
        let at = match self.place(number) {
            Some(at) => {
                if let Some(item) = self.items.get_mut(at) {
                    item.0 = key;
                }
                at
            }
            None => {
                self.items.push((key, number));
                self.items.len() - 1
            }
        };
        self.note(at);
        self.settle(at);
    }

    /// Takes `number` out, where it is in.
    pub(super) fn remove(&mut self, number: usize) {
        let Some(at) = self.place(number) else { return };
        self.items.swap_remove(at);
        if let Some(place) = self.at.get_mut(number) {
            *place = NOWHERE;
        }
        if at < self.items.len() {
            self.note(at);
            self.settle(at);
        }
    }

    /// The least key, and whose it is.
    pub(super) fn first(&self) -> Option<(K, usize)> {
        self.items.first().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.at.clear();
    }

    fn place(&self, number: usize) -> Option<usize> {
        self.at.get(number).copied().filter(|at| *at != NOWHERE)
    }

    fn key(&self, at: usize) -> Option<K> {
        self.items.get(at).map(|(key, _)| *key)
    }

    /// Writes down where the entry at `at` is.
    fn note(&mut self, at: usize) {
        let Some(&(_, number)) = self.items.get(at) else { return };
        if self.at.len() <= number {
            self.at.resize(number + 1, NOWHERE);
        }
        if let Some(place) = self.at.get_mut(number) {
            *place = at;
        }
    }

    /// Moves the entry at `at` up or down to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while at > 0 && self.key(at) < self.key((at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let children = [2 * at + 1, 2 * at + 2];
            let least = children.into_iter().filter_map(|child| Some((self.key(child)?, child))).min();
            match least {
                Some((key, child)) if Some(key) < self.key(at) => {
                    self.swap(at, child);
                    at = child;
                }
                Some(_) | None => return,
            }
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.items.swap(a, b);
        self.note(a);
        self.note(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Beside a plain map, by a fixed sequence of pseudo-random steps.
    #[test]
    fn it_is_a_map_whose_least_key_is_known() {
        let (mut heap, mut map) = (Heap::default(), BTreeMap::new());
        let mut seed = 12_345_u32;
        let mut next = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        for step in 0..20_000 {
            let number = next(200) as usize;
            if next(3) > 0 {
                let key = next(1000);
                heap.set(number, key);
                map.insert(number, key);
            } else {
                heap.remove(number);
                map.remove(&number);
            }
            let least = map.values().min().copied();
            assert_eq!(heap.first().map(|(key, _)| key), least, "step {step}");
            if let Some((key, number)) = heap.first() {
                assert_eq!(map.get(&number), Some(&key), "step {step}");
            }
            assert_eq!(heap.is_empty(), map.is_empty());
        }
        while let Some((key, number)) = heap.first() {
            assert_eq!(Some(key), map.values().min().copied(), "in order to the end");
            heap.remove(number);
            map.remove(&number);
        }
        assert!(map.is_empty());
    }
}
