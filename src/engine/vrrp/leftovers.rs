//! Addresses that a reload left without an instance: taken off the box, and tried again where that is
//! refused (law 5).

use super::vips::Vips;
use crate::engine::{Actions, AddressOp, Refusal};
use crate::model::{Cidr, VirtualAddress};
use crate::time::Instant;

/// The addresses, by interface index; at most those of one configuration for each reload that the kernel
/// refuses.
#[derive(Debug, Default)]
pub(in crate::engine) struct Leftovers {
    list: Vec<(u32, Vips)>,
}

impl Leftovers {
    /// Has everything gone?
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(in crate::engine) fn add(&mut self, now: Instant, index: u32, cidrs: &[Cidr]) {
        let addresses: Vec<VirtualAddress> = cidrs.iter().map(|cidr| (*cidr).into()).collect();
        let mut vips = Vips::new(&addresses);
        vips.place(now, |_| Some(index));
        cidrs.iter().for_each(|cidr| _ = vips.hand_over(now, index, cidr, false));
        self.list.push((index, vips));
    }

    /// An instance wants this address (again): it is its business now.
    pub(in crate::engine) fn forget(&mut self, index: u32, cidr: &Cidr) {
        self.list.iter_mut().filter(|(i, _)| *i == index).for_each(|(_, vips)| vips.forget(cidr));
        self.list.retain(|(_, vips)| !vips.is_clean());
    }

    /// Keeps those whose interface is there.
    pub(in crate::engine) fn retain(&mut self, is_there: impl Fn(u32) -> bool) {
        self.list.retain(|(index, _)| is_there(*index));
    }

    pub(in crate::engine) fn handle_result(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        op: AddressOp,
        result: Result<(), Refusal>,
    ) {
        for (_, vips) in self.list.iter_mut().filter(|(i, _)| *i == index) {
            vips.handle_result(now, (index, cidr), op, result);
        }
        self.list.retain(|(_, vips)| !vips.is_clean());
    }

    pub(in crate::engine) fn next_deadline(&self) -> Option<Instant> {
        self.list.iter().filter_map(|(_, vips)| vips.next_deadline()).min()
    }

    pub(in crate::engine) fn tick(&mut self, now: Instant, actions: &mut Actions) {
        for (_, vips) in &mut self.list {
            if vips.next_deadline().is_some_and(|at| at <= now) {
                vips.converge(now, false, None, actions);
            }
        }
    }
}
