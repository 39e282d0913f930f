//! Who wants what of the kernel's routes and rules: two instances may want the same one, and the one that
//! leaves first must not take it from the other.

use super::item::Key;
use std::collections::BTreeMap;

/// How many want each, at most one for each entry of the configuration; and the numbers of the requests.
#[derive(Debug, Default)]
pub(in crate::engine) struct Claims {
    wanted: BTreeMap<Key, u32>,
    last_token: u32,
}

impl Claims {
    pub(super) fn add(&mut self, key: Key) {
        *self.wanted.entry(key).or_insert(0) += 1;
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(count) = self.wanted.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.wanted.remove(key);
            }
        }
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.wanted.contains_key(key)
    }

    /// Numbers are used anew after four billion; an answer comes long before.
    pub(super) fn next_token(&mut self) -> u32 {
        self.last_token = self.last_token.wrapping_add(1);
        self.last_token
    }
}
