//! One route or rule: what the kernel has told of it, and what it was asked.

use super::item::Item;
use crate::engine::links::Links;
use crate::engine::{AddressOp, Refusal};
use crate::time::{Duration, Instant};

/// One of an instance.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) item: Item,
    /// In the kernel's table with our protocol number.
    pub(super) ours: bool,
    /// In the kernel's table, made by somebody else: good enough, and left alone.
    pub(super) foreign: bool,
    /// The kernel has one in this place, and has not told of it: taken for this one.
    pub(super) assumed: bool,
    /// The kernel has told of another one in this place.
    pub(super) rival: bool,
    pub(super) seen_ours: bool,
    pub(super) seen_foreign: bool,
    pub(super) seen_rival: bool,
    /// Something happened after which the kernel drops routes without a word: to be asked for once more.
    pub(super) doubt: bool,
    /// The kernel took the source out of it (IPv6): to be removed before it is added.
    pub(super) is_stale: bool,
    /// Asked of the kernel, not answered yet.
    pub(super) asked: Option<(u32, AddressOp)>,
    /// Counted among those who want it.
    pub(super) claimed: bool,
    /// Somebody took it away; counted once it is put back.
    pub(super) missed: bool,
    /// Somebody took it away, and may (`no_track`).
    pub(super) given_up: bool,
    /// It was there while not wanted.
    pub(super) stray: bool,
    /// Interface index that it is on, 0 where that is the kernel's choice; and whether that is up.
    pub(super) on: (u32, bool),
    /// Not before this time is it asked for again.
    pub(super) not_before: Option<Instant>,
    pub(super) put_back: u32,
    pub(super) put_back_at: Option<Instant>,
    /// Why it could not be changed the last time.
    pub(super) refusal: Option<Refusal>,
}

impl Entry {
    pub(super) fn new(item: Item) -> Self {
        Entry {
            item,
            ours: false,
            foreign: false,
            assumed: false,
            rival: false,
            seen_ours: false,
            seen_foreign: false,
            seen_rival: false,
            doubt: false,
            is_stale: false,
            asked: None,
            claimed: false,
            missed: false,
            given_up: false,
            stray: false,
            on: (0, true),
            not_before: None,
            put_back: 0,
            put_back_at: None,
            refusal: None,
        }
    }

    pub(super) fn is_present(&self) -> bool {
        (self.ours || self.foreign || self.assumed) && !self.doubt
    }

    /// May something in the kernel be ours? A removal concerns our protocol number alone, so it may be asked
    /// for in vain.
    pub(super) fn is_held(&self) -> bool {
        self.ours || self.assumed
    }

    pub(super) fn is_done(&self) -> bool {
        !self.is_held() && self.asked.is_none()
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// Not there any more, as far as it was ours to take away.
    pub(super) fn set_off(&mut self) {
        (self.ours, self.assumed, self.doubt, self.is_stale) = (false, false, false, false);
    }

    /// Where it is to go: the index of its interface (0: the kernel's choice). `None`: the interface is not
    /// there, or down, and the kernel would refuse.
    pub(super) fn place(&self, links: &Links) -> Option<u32> {
        match self.item.interface() {
            None => Some(0),
            Some(name) => links.by_name(name).filter(|i| i.link.up).map(|i| i.link.index),
        }
    }

    /// The interface index that a route of the kernel must have to be this one; 0: any.
    pub(super) fn index(&self) -> u32 {
        if self.item.interface().is_some() { self.on.0 } else { 0 }
    }

    /// The interface that it is on, or will be: its index (0: none, or not known) and whether it is up.
    fn link(&self, links: &Links) -> (u32, bool) {
        let found = match self.item.interface() {
            Some(name) => links.by_name(name),
            None if self.on.0 == 0 || !self.item.is_on_a_link() => return (self.on.0, true),
            None => links.by_index(self.on.0),
        };
        found.map_or((0, false), |i| (i.link.index, i.link.up))
    }

    /// Interfaces have changed. What stays behind on one that has another name now is returned.
    pub(super) fn look(&mut self, links: &Links) -> Option<Entry> {
        let (before, after) = (self.on, self.link(links));
        if before == after {
            return None;
        }
        self.on = after;
        self.not_before = None;
        if before.0 == after.0 || before.0 == 0 {
            self.doubt = true;
            return None;
        }
        let stays = self.is_held() && links.by_index(before.0).is_some();
        let behind =
            stays.then(|| Entry { ours: true, on: before, ..Entry::new(self.item.without_interface()) });
        self.set_off();
        (self.foreign, self.rival, self.asked) = (false, false, None);
        behind
    }

    /// It is there no more, and we did not take it away; when to put it back, or `None`: it is not missed.
    pub(super) fn lost(&mut self, now: Instant, wanted: bool, interval: Duration) -> Option<Instant> {
        let was = self.is_present();
        self.set_off();
        if !was || !wanted || self.foreign || self.asked.is_some() {
            return None;
        }
        if self.item.no_track() {
            self.given_up = true;
            return None;
        }
        self.missed = true;
        let at = self.put_back_at.map_or(now, |last| (last + interval).max(now));
        self.not_before = Some(at);
        Some(at)
    }
}
