//! The virtual addresses of an instance: what should be on the box against what is (law 3, RTNL-20..RTNL-27).
//!
//! Each has a place: the interface that it names, or the one that the instance gives all others (its own, or
//! its macvlan). An address without a place waits.

use crate::engine::{Action, Actions, AddressOp, Refusal};
use crate::limits;
use crate::model::{AddressOptions, Cidr, IfName, VirtualAddress};
use crate::time::{Duration, Instant};

/// One virtual address.
#[derive(Debug, Clone)]
pub(super) struct Vip {
    pub(super) cidr: Cidr,
    /// The interface that it names.
    interface: Option<IfName>,
    options: AddressOptions,
    /// Index of the interface on which it is to be, where that is there.
    place: Option<u32>,
    /// On the box, as far as we know.
    pub(super) present: bool,
    /// Asked of the kernel, not answered yet.
    asked: Option<AddressOp>,
    /// Removals of ours that the kernel has confirmed and not yet told as a notification.
    leaving: u8,
    /// On the box, not put there by a vipd, and to be left alone: the owner's own address.
    foreign: bool,
    /// Somebody took it away who may (`no_track`): not put back before the next change of state.
    let_go: bool,
    /// How often somebody else took it away and it was put back.
    pub(super) put_back: u32,
    /// When it was taken away last, and whether by its own lease.
    pub(super) put_back_at: Option<Instant>,
    pub(super) lapsed: bool,
    /// Not before this time may it be put back (one advert interval after the last time).
    not_before: Option<Instant>,
    /// A round of announcements was of no use to it, because it was refused or had to wait.
    passed_by: bool,
    seen: bool,
}

/// All of an instance, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Vips {
    list: Vec<Vip>,
    /// Where to look first: results and notifications come in the order of the requests.
    hint: usize,
    /// When there is something to converge.
    converge_at: Option<Instant>,
    /// Where some may still be; each with its peer.
    moved: Vec<(u32, Cidr, Option<Cidr>)>,
}

/// What an answer of the kernel meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// As expected.
    Done,
    /// A VIP is on the box to which the last round of announcements was of no use.
    Late,
    /// It could not be done.
    Refused(Refusal),
}

/// What a VIP is to a round of announcements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is on the box, or will be when the frame leaves; on which interface.
    Now(Cidr, u32),
    /// It will be asked for soon; the round waits.
    Soon,
    /// It has to wait; the round goes on without it.
    PassedBy,
}

/// What a notification meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noticed {
    /// Nothing new.
    Nothing,
    /// None of these has its place there.
    Unknown,
    /// A VIP is here that should not be.
    Stray,
    /// Somebody took a VIP away.
    Taken,
}

impl Vips {
    pub(super) fn new<'a>(addresses: impl IntoIterator<Item = &'a VirtualAddress>) -> Self {
        let mut vips = Vips::default();
        vips.list.extend(addresses.into_iter().map(Vip::new));
        vips
    }

    /// Where each is to be now: `place(interface that it names)`. One that has to move is kept in mind where
    /// it was ([`Self::take_moved`]). True: one has another place.
    pub(super) fn place(&mut self, now: Instant, place: impl Fn(Option<&IfName>) -> Option<u32>) -> bool {
        let mut moved = false;
        for vip in &mut self.list {
            let wanted = place(vip.interface.as_ref());
            if vip.place != wanted {
                // Its interface may have another name only.
                let is_held = !vip.foreign && (vip.present || vip.asked.is_some());
                self.moved
                    .extend(vip.place.filter(|_| is_held).map(|index| (index, vip.cidr, vip.options.peer)));
                vip.forget_all();
                vip.place = wanted;
                moved = true;
            }
        }
        if moved {
            self.wake(now);
        }
        moved
    }

    /// Those that may still be where they were before they had to move: somebody else's to remove. Those with
    /// a peer are asked to be removed here, as in [`Self::remove_peers`].
    pub(super) fn take_moved(&mut self, actions: &mut Actions) -> Vec<(u32, Cidr)> {
        let moved = core::mem::take(&mut self.moved).into_iter();
        let plain = moved.filter_map(|(index, cidr, peer)| match peer {
            Some(_) => {
                actions.push(Action::RemoveAddress { index, cidr, peer });
                None
            }
            None => Some((index, cidr)),
        });
        plain.collect()
    }

    /// The addresses whose interface is there, and its index.
    pub(super) fn placed(&self) -> impl Iterator<Item = (u32, Cidr)> {
        self.list.iter().filter_map(|v| Some((v.place?, v.cidr)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Vip> {
        self.list.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Is it the turn of number `at` to be announced?
    pub(super) fn turn(&mut self, now: Instant, at: usize) -> Turn {
        match self.list.get_mut(at) {
            // What has no interface yet, or was let go, is not about to come.
            Some(Vip { place: None, .. } | Vip { let_go: true, .. }) => Turn::PassedBy,
            Some(vip) if vip.is_on_its_way() => Turn::Now(vip.cidr, vip.place.unwrap_or(0)),
            Some(vip) if vip.not_before.is_some_and(|at| at > now) => {
                vip.passed_by = true;
                Turn::PassedBy
            }
            Some(_) | None => Turn::Soon,
        }
    }

    fn find(&mut self, index: u32, cidr: &Cidr) -> Option<&mut Vip> {
        let is_it = |vip: &Vip| vip.cidr == *cidr && vip.place == Some(index);
        let at = match self.list.get(self.hint) {
            Some(vip) if is_it(vip) => self.hint,
            Some(_) | None => self.list.iter().position(is_it)?,
        };
        self.hint = at + 1;
        self.list.get_mut(at)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.converge_at
    }

    /// Is no VIP of ours on the box or on its way?
    pub(super) fn is_clean(&self) -> bool {
        self.list.iter().all(|v| v.foreign || (!v.present && v.asked.is_none()))
    }

    /// Something has changed: look through all of them at the next [`Self::converge`].
    pub(super) fn wake(&mut self, at: Instant) {
        self.converge_at = Some(self.converge_at.map_or(at, |old| old.min(at)));
    }

    /// Another state: what was to wait for its turn is wanted, or not wanted, at once.
    pub(super) fn start_over(&mut self, now: Instant) {
        for vip in &mut self.list {
            (vip.not_before, vip.let_go) = (None, false);
        }
        self.wake(now);
    }

    /// Asks for at most a batch of changes towards `wanted` (on the box or not); more are asked for at the
    /// next call, which is due at once, so that an advert can leave in between.
    pub(super) fn converge(
        &mut self,
        now: Instant,
        wanted: bool,
        lease: Option<Duration>,
        actions: &mut Actions,
    ) {
        self.converge_at = None;
        let mut left = limits::ADDRESS_BATCH;
        for vip in &mut self.list {
            let Some(index) =
                vip.place.filter(|_| vip.is_on_its_way() != wanted && !vip.foreign && !vip.let_go)
            else {
                continue;
            };
            if let Some(at) = vip.not_before.filter(|at| *at > now) {
                self.converge_at = Some(self.converge_at.map_or(at, |old| old.min(at)));
                continue;
            }
            if left == 0 {
                self.converge_at = Some(now);
                return;
            }
            left -= 1;
            let cidr = vip.cidr;
            if wanted {
                vip.asked = Some(AddressOp::Add);
                actions.push(Action::AddAddress { index, cidr, lease, options: vip.options.clone() });
            } else {
                vip.asked = Some(AddressOp::Remove);
                actions.push(Action::RemoveAddress { index, cidr, peer: vip.options.peer });
            }
        }
    }

    /// Renews the leases of a batch from `from`; the place to go on from, or `None` when through.
    pub(super) fn renew(&self, from: usize, lease: Option<Duration>, actions: &mut Actions) -> Option<usize> {
        let mut left = limits::ADDRESS_BATCH;
        for (at, vip) in self.list.iter().enumerate().skip(from) {
            let Some(index) = vip.place.filter(|_| vip.present && !vip.foreign) else { continue };
            if left == 0 {
                return Some(at);
            }
            left -= 1;
            actions.push(Action::AddAddress { index, cidr: vip.cidr, lease, options: vip.options.clone() });
        }
        None
    }

    /// The kernel's answer.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        (index, cidr): (u32, &Cidr),
        op: AddressOp,
        result: Result<(), Refusal>,
    ) -> Answer {
        let retry = now + Duration::from_secs(1);
        let Some(vip) = self.find(index, cidr) else { return Answer::Done };
        // A renewal was not asked by `converge`, and its success is nothing to look into.
        let converging = vip.asked == Some(op);
        if converging {
            vip.asked = None;
        }
        match (op, result) {
            (AddressOp::Add, Ok(()) | Err(Refusal::Exists)) => {
                (vip.present, vip.seen) = (true, true);
                let is_late = core::mem::replace(&mut vip.passed_by, false);
                if converging {
                    // It may have been asked for by a state that has been left meanwhile.
                    self.wake(now);
                }
                if is_late { Answer::Late } else { Answer::Done }
            }
            (AddressOp::Remove, Ok(())) => {
                vip.set_off();
                vip.leaving = vip.leaving.saturating_add(1);
                self.wake(now);
                Answer::Done
            }
            (AddressOp::Remove, Err(Refusal::NotFound | Refusal::NoDevice)) => {
                vip.set_off();
                self.wake(now);
                Answer::Done
            }
            // The address stays until its lease ends, and the next renewal is not far.
            (AddressOp::Add, Err(refusal)) if !converging => Answer::Refused(refusal),
            (AddressOp::Add, Err(refusal)) => {
                // The round may have announced it already, in vain.
                vip.set_off();
                vip.passed_by = true;
                vip.not_before = Some(retry);
                self.wake(retry);
                Answer::Refused(refusal)
            }
            (AddressOp::Remove, Err(refusal)) => {
                vip.not_before = Some(retry);
                self.wake(retry);
                Answer::Refused(refusal)
            }
        }
    }

    /// The kernel tells that an address is there. `owner`: ours of old, to be left alone unless a vipd put it
    /// there.
    pub(super) fn handle_present(
        &mut self,
        now: Instant,
        (index, cidr): (u32, &Cidr),
        ours: bool,
        wanted: bool,
        owner: bool,
    ) -> Noticed {
        let Some(vip) = self.find(index, cidr) else { return Noticed::Unknown };
        vip.seen = true;
        if vip.leaving > 0 {
            return Noticed::Nothing;
        }
        // One that was left alone until a reload is a new one.
        let was = vip.present && !vip.foreign;
        vip.present = true;
        vip.foreign = owner && !ours;
        if wanted || was || vip.foreign || vip.asked.is_some() {
            return Noticed::Nothing;
        }
        self.wake(now);
        Noticed::Stray
    }

    /// The kernel tells that an address is gone.
    pub(super) fn handle_gone(
        &mut self,
        now: Instant,
        (index, cidr): (u32, &Cidr),
        wanted: bool,
        interval: Duration,
        lapsed: bool,
    ) -> Noticed {
        let Some(vip) = self.find(index, cidr) else { return Noticed::Nothing };
        if vip.leaving > 0 {
            vip.leaving -= 1;
            return Noticed::Nothing;
        }
        vip.lapsed = lapsed;
        Self::lost(vip, now, wanted, interval)
            .inspect(|at| self.wake(*at))
            .map_or(Noticed::Nothing, |_| Noticed::Taken)
    }

    /// A VIP is gone that we did not take away; when to put it back.
    fn lost(vip: &mut Vip, now: Instant, wanted: bool, interval: Duration) -> Option<Instant> {
        let was = vip.present;
        vip.set_off();
        vip.let_go = was && wanted && vip.options.no_track;
        if !was || !wanted || vip.let_go {
            return None;
        }
        vip.put_back = vip.put_back.saturating_add(1);
        let at = vip.put_back_at.map_or(now, |last| (last + interval).max(now));
        vip.not_before = Some(at);
        vip.put_back_at = Some(at);
        Some(at)
    }

    pub(super) fn dump_start(&mut self) {
        for vip in &mut self.list {
            vip.seen = false;
        }
    }

    /// What the dump did not tell is gone; how many of those should have been there.
    pub(super) fn dump_end(&mut self, now: Instant, wanted: bool, interval: Duration) -> usize {
        let mut taken = 0;
        for at in 0..self.list.len() {
            let Some(vip) = self.list.get_mut(at) else { break };
            vip.leaving = 0;
            if vip.present
                && !vip.seen
                && vip.asked.is_none()
                && let Some(at) = Self::lost(vip, now, wanted, interval)
            {
                taken += 1;
                self.wake(at);
            }
        }
        taken
    }

    /// Another list of addresses: those that stay as they are keep what is known of them; those of the others
    /// that are on the box are returned. An address with other options is made anew.
    pub(super) fn reconfigure<'a>(
        &mut self,
        addresses: impl Iterator<Item = &'a VirtualAddress> + Clone,
        actions: &mut Actions,
    ) -> Vec<(u32, Cidr)> {
        let mut old = core::mem::take(self);
        let same = |v: &Vip, a: &VirtualAddress| {
            (&v.cidr, &v.interface, &v.options) == (&a.cidr, &a.interface, &a.options)
        };
        let keep = |a: &VirtualAddress| old.list.iter().find(|v| same(v, a)).cloned();
        self.list = addresses.clone().map(|a| keep(a).unwrap_or_else(|| Vip::new(a))).collect();
        self.converge_at = old.converge_at;
        old.list.retain(|v| !addresses.clone().any(|a| same(v, a)));
        old.remove_peers(actions);
        old.held().collect()
    }

    fn all_held(&self) -> impl Iterator<Item = &Vip> {
        self.list.iter().filter(|v| !v.foreign && (v.present || v.asked.is_some()))
    }

    /// Those that are ours and on the box, or may be, and where. Without the ones with a peer.
    pub(super) fn held(&self) -> impl Iterator<Item = (u32, Cidr)> {
        let plain = self.all_held().filter(|v| v.options.peer.is_none());
        plain.filter_map(|v| Some((v.place?, v.cidr)))
    }

    /// Asks for the removal of those with a peer: to the kernel that is a part of what they are called, which
    /// nobody else would know.
    pub(super) fn remove_peers(&self, actions: &mut Actions) {
        for vip in self.all_held() {
            if let (Some(index), Some(peer)) = (vip.place, vip.options.peer) {
                actions.push(Action::RemoveAddress { index, cidr: vip.cidr, peer: Some(peer) });
            }
        }
    }

    /// Somebody else had this one and leaves it on the box. Where it is wanted, it is asked for once more:
    /// the lease may be another one. False: it is not one of these.
    pub(super) fn hand_over(&mut self, now: Instant, index: u32, cidr: &Cidr, wanted: bool) -> bool {
        let Some(vip) = self.find(index, cidr) else { return false };
        vip.present |= !wanted;
        self.wake(now);
        true
    }

    /// This one is somebody else's business now.
    pub(super) fn forget(&mut self, cidr: &Cidr) {
        self.list.retain(|v| v.cidr != *cidr);
    }
}

impl Vip {
    /// Will it be on the box once all that was asked is done?
    pub(super) fn is_on_its_way(&self) -> bool {
        match self.asked {
            Some(AddressOp::Add) => true,
            Some(AddressOp::Remove) => false,
            None => self.present,
        }
    }

    /// What is not there is nobody's: it is put there where it is wanted.
    fn set_off(&mut self) {
        (self.present, self.foreign) = (false, false);
    }

    /// Nothing is known of it any more.
    fn forget_all(&mut self) {
        self.set_off();
        (self.asked, self.leaving, self.not_before) = (None, 0, None);
    }

    fn new(address: &VirtualAddress) -> Self {
        Vip {
            cidr: address.cidr,
            interface: address.interface.clone(),
            options: address.options.clone(),
            place: None,
            present: false,
            asked: None,
            leaving: 0,
            foreign: false,
            let_go: false,
            put_back: 0,
            put_back_at: None,
            lapsed: false,
            not_before: None,
            passed_by: false,
            seen: false,
        }
    }
}

#[cfg(test)]
mod tests;
