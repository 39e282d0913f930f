//! Static addresses: on the box as long as the daemon runs.
//!
//! They carry no lease: an interface whose only address is one of these must stay reachable when the daemon
//! is killed. What somebody else put there already is left as it is, and stays at the end (RTNL-21).

use super::event::earlier;
use super::links::Links;
use super::quiet::Quiet;
use super::{Action, AddressChange, AddressOp, Ctx, Refusal};
use crate::limits;
use crate::model::{Cidr, Level, Text, VirtualAddress, cut};
use crate::time::{Duration, Instant};

/// What the kernel refused, and what somebody takes away again and again, is asked for after so long.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Whose they are, in notes.
const STATIC: &str = "static";

/// One static address.
#[derive(Debug)]
struct Entry {
    address: VirtualAddress,
    /// Interface index that it is on, or will be; 0: the interface is not there.
    on: u32,
    /// The interface takes it.
    is_up: bool,
    /// On the box, and we put it there.
    ours: bool,
    /// On the box, and somebody else put it there.
    foreign: bool,
    seen: bool,
    /// The interface was down meanwhile: to be asked for once more.
    doubt: bool,
    /// Asked of the kernel, not answered yet.
    asked: Option<AddressOp>,
    /// Somebody took it away; told once it is put back.
    missed: bool,
    /// Somebody took it away, and may (`no_track`).
    given_up: bool,
    not_before: Option<Instant>,
    put_back_at: Option<Instant>,
    refusal: Option<Refusal>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Statics {
    list: Vec<Entry>,
    /// No more wanted, and perhaps still there.
    doomed: Vec<Entry>,
    wanted: bool,
    converge_at: Option<Instant>,
    refusals: Quiet,
    meddling: Quiet,
}

impl Statics {
    pub(super) fn new(addresses: &[VirtualAddress]) -> Self {
        Statics {
            list: addresses.iter().cloned().map(Entry::new).collect(),
            doomed: Vec::new(),
            wanted: false,
            converge_at: None,
            refusals: Quiet::default(),
            meddling: Quiet::default(),
        }
    }

    /// Other addresses: those that stay keep what is known of them, the others are removed but for those that
    /// are somebody's virtual addresses now.
    pub(super) fn reconfigure(
        &mut self,
        now: Instant,
        addresses: &[VirtualAddress],
        is_vip: impl Fn(&Cidr) -> bool,
    ) {
        let mut old = core::mem::take(&mut self.list);
        old.append(&mut self.doomed);
        for address in addresses {
            let kept = old
                .iter()
                .position(|e| (e.address.cidr, &e.address.interface) == (address.cidr, &address.interface));
            let mut entry = kept.map_or_else(|| Entry::new(address.clone()), |at| old.swap_remove(at));
            if entry.address != *address {
                // Asked for once more, with the new options.
                (entry.address, entry.doubt, entry.given_up) = (address.clone(), true, false);
            }
            self.list.push(entry);
        }
        old.retain(|e| !e.is_done() && !is_vip(&e.address.cidr));
        self.doomed = old;
        self.wake(now);
    }

    /// Is it a static address of this interface?
    pub(super) fn has(&self, interface: &str, cidr: &Cidr) -> bool {
        let is_it = |e: &&Entry| e.address.cidr == *cidr;
        self.list.iter().filter(is_it).any(|e| e.interface() == interface)
    }

    /// Wanted from now on, or not.
    pub(super) fn want(&mut self, now: Instant, wanted: bool) {
        self.wanted = wanted;
        if !self.list.is_empty() {
            self.wake(now);
        }
    }

    /// When is [`Self::converge`] due?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.converge_at
    }

    fn wake(&mut self, at: Instant) {
        self.converge_at = earlier(self.converge_at, Some(at));
    }

    /// Asks for a batch of changes; more at the next call, which is due at once.
    pub(super) fn converge(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.converge_at = None;
        let mut left = limits::ADDRESS_BATCH;
        for at in 0..self.list.len() + self.doomed.len() {
            let (entry, wanted) = match at.checked_sub(self.list.len()) {
                None => (self.list.get_mut(at), self.wanted),
                Some(at) => (self.doomed.get_mut(at), false),
            };
            let Some(entry) = entry else { break };
            let Some(op) = entry.step(wanted) else { continue };
            if let Some(at) = entry.not_before.filter(|at| *at > now) {
                self.converge_at = earlier(self.converge_at, Some(at));
                continue;
            }
            if left == 0 {
                self.converge_at = Some(now);
                return;
            }
            left -= 1;
            entry.asked = Some(op);
            let (index, cidr) = (entry.on, entry.address.cidr);
            cx.actions.push(match op {
                AddressOp::Add => {
                    Action::AddAddress { index, cidr, lease: None, options: entry.address.options.clone() }
                }
                AddressOp::Remove => Action::RemoveAddress { index, cidr, peer: entry.address.options.peer },
            });
        }
        self.doomed.retain(|e| !e.is_done());
    }

    /// The kernel's answer.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        op: AddressOp,
        result: Result<(), Refusal>,
        cx: &mut Ctx<'_>,
    ) {
        let is_it = |e: &&mut Entry| e.on == index && e.address.cidr == *cidr && e.asked == Some(op);
        let Some(entry) = self.list.iter_mut().chain(&mut self.doomed).find(is_it) else { return };
        entry.asked = None;
        match (op, result) {
            (AddressOp::Add, Ok(())) => {
                (entry.ours, entry.seen, entry.doubt, entry.refusal) = (true, true, false, None);
                if core::mem::replace(&mut entry.missed, false) && self.meddling.lets_through(now) {
                    let text = entry.text();
                    let line = format_args!("{text} was removed by someone: put back");
                    cx.note(now, Level::Warning, "address", STATIC, line);
                }
            }
            (AddressOp::Add, Err(Refusal::Exists)) => {
                (entry.foreign, entry.doubt, entry.refusal) = (!entry.ours, false, None);
            }
            (AddressOp::Remove, Ok(()) | Err(Refusal::NotFound | Refusal::NoDevice)) => entry.ours = false,
            (AddressOp::Add | AddressOp::Remove, Err(refusal)) => {
                entry.refusal = Some(refusal);
                entry.not_before = Some(now + RETRY_INTERVAL);
                if self.refusals.lets_through(now) {
                    let line = entry.refused(op, refusal);
                    cx.note(now, Level::Error, "address", STATIC, format_args!("{line}"));
                }
            }
        }
        let at = entry.not_before.unwrap_or(now).max(now);
        self.wake(at);
    }

    /// An address of an interface came or went.
    pub(super) fn handle_address(
        &mut self,
        now: Instant,
        index: u32,
        interface: &str,
        cidr: &Cidr,
        change: AddressChange,
    ) {
        for at in 0..self.list.len() {
            let Some(entry) = self.list.get_mut(at) else { break };
            if entry.address.cidr != *cidr || entry.interface() != interface {
                continue;
            }
            match change {
                AddressChange::Present { ours, secondary: _ } => {
                    (entry.seen, entry.missed, entry.given_up) = (true, false, false);
                    entry.ours |= ours;
                    entry.doubt = false;
                    entry.foreign = !entry.ours && entry.asked.is_none();
                }
                AddressChange::Gone => {
                    if let Some(due) = entry.lost(now, self.wanted) {
                        self.wake(due);
                    }
                }
            }
        }
        for entry in &mut self.doomed {
            if entry.address.cidr == *cidr && entry.on == index && change == AddressChange::Gone {
                entry.ours = false;
            }
        }
    }

    /// Interfaces came, went or changed.
    pub(super) fn handle_links(&mut self, now: Instant, links: &Links) {
        let mut is_changed = false;
        for entry in &mut self.list {
            let (on, is_up) = entry.place(links);
            if (entry.on, entry.is_up) == (on, is_up) {
                continue;
            }
            is_changed = true;
            if entry.on != on && entry.on != 0 {
                // One that has another name now keeps the address until it is taken off.
                if entry.ours && links.by_index(entry.on).is_some() {
                    self.doomed.push(Entry { ours: true, on: entry.on, ..Entry::new(entry.address.clone()) });
                }
                (entry.ours, entry.foreign, entry.asked) = (false, false, None);
            }
            // Down, it lost its IPv6 addresses, or not (RTNL-26).
            entry.doubt |= entry.on != 0;
            (entry.on, entry.is_up) = (on, is_up);
            (entry.missed, entry.not_before, entry.refusal) = (false, None, None);
        }
        for entry in &mut self.doomed {
            if links.by_index(entry.on).is_none() {
                (entry.ours, entry.asked) = (false, None);
            }
        }
        if is_changed {
            self.wake(now);
        }
    }

    /// The kernel's tables are told anew.
    pub(super) fn dump_start(&mut self) {
        for entry in &mut self.list {
            entry.seen = false;
        }
    }

    /// They have been told: what was not is gone.
    pub(super) fn dump_end(&mut self, now: Instant) {
        for at in 0..self.list.len() {
            let Some(entry) = self.list.get_mut(at).filter(|e| !e.seen && e.asked.is_none()) else {
                continue;
            };
            if let Some(due) = entry.lost(now, self.wanted) {
                self.wake(due);
            }
        }
    }

    /// Is none of ours on the box, or on its way?
    pub(super) fn is_clean(&self) -> bool {
        self.list.iter().chain(&self.doomed).all(Entry::is_done)
    }

    /// What somebody should look at.
    pub(super) fn problems(&self, problems: &mut Vec<Text>) {
        for entry in self.list.iter().filter(|_| self.wanted) {
            if let Some(refusal) = entry.refusal {
                problems.push(cut(format_args!("static: {}", entry.refused(AddressOp::Add, refusal))));
            } else if entry.on == 0 {
                let (text, interface) = (entry.text(), entry.interface());
                problems.push(cut(format_args!("static: {text} waits for interface {interface}")));
            }
        }
    }
}

impl Entry {
    fn new(address: VirtualAddress) -> Self {
        Entry {
            address,
            on: 0,
            is_up: false,
            ours: false,
            foreign: false,
            seen: false,
            doubt: false,
            asked: None,
            missed: false,
            given_up: false,
            not_before: None,
            put_back_at: None,
            refusal: None,
        }
    }

    fn interface(&self) -> &str {
        self.address.interface.as_deref().unwrap_or("")
    }

    fn is_done(&self) -> bool {
        !self.ours && self.asked.is_none()
    }

    /// The index of its interface, 0 where that is not there; and whether it takes the address: IPv4 always,
    /// IPv6 while it is up.
    fn place(&self, links: &Links) -> (u32, bool) {
        let is_ipv4 = self.address.cidr.address.is_ipv4();
        links.by_name(self.interface()).map_or((0, false), |i| (i.link.index, is_ipv4 || i.link.up))
    }

    /// What is to be asked of the kernel.
    fn step(&self, wanted: bool) -> Option<AddressOp> {
        if self.asked.is_some() || self.on == 0 {
            return None;
        }
        if !wanted {
            return self.ours.then_some(AddressOp::Remove);
        }
        let is_there = self.foreign || (self.ours && !self.doubt);
        (self.is_up && !is_there && !self.given_up).then_some(AddressOp::Add)
    }

    /// It is there no more, and we did not take it away; when to put it back.
    fn lost(&mut self, now: Instant, wanted: bool) -> Option<Instant> {
        let was_foreign = core::mem::replace(&mut self.foreign, false);
        if self.asked.is_some() {
            return None;
        }
        let was = core::mem::replace(&mut self.ours, false) && !self.doubt;
        if !wanted || !self.is_up || !(was || was_foreign) {
            return None;
        }
        if self.address.options.no_track {
            self.given_up = true;
            return None;
        }
        // At once the first time, then once a second.
        let at = self.put_back_at.map_or(now, |last| (last + RETRY_INTERVAL).max(now));
        (self.missed, self.not_before, self.put_back_at) = (was, Some(at), Some(at));
        Some(at)
    }

    fn text(&self) -> Text {
        cut(format_args!("{} on {}", self.address.cidr, self.interface()))
    }

    fn refused(&self, op: AddressOp, refusal: Refusal) -> Text {
        let what = match op {
            AddressOp::Add => "put on",
            AddressOp::Remove => "taken off",
        };
        cut(format_args!("{} could not be {what} {}: {refusal}", self.address.cidr, self.interface()))
    }
}

#[cfg(test)]
mod tests;
