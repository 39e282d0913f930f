//! What arrives from the network's side: frames, addresses, interfaces that change, each handed to those
//! whom it concerns.

use super::vrrp::Instance;
use super::{Action, Actions, AddressChange, Ear, Engine, LinkName, Phase};
use crate::model::Cidr;
use crate::time::Instant;
use crate::wire::vrrp::{Rung, open};

impl Engine {
    /// A frame came in: it goes to the instance of its VRID and family.
    pub(super) fn handle_frame(
        &mut self,
        now: Instant,
        index: u32,
        bytes: &[u8],
        truncated: bool,
        actions: &mut Actions,
    ) {
        let envelope = match open(bytes) {
            _ if truncated => Err(Rung::Truncated),
            opened => opened,
        };
        let rung = match envelope {
            Ok(envelope) => {
                let mut cx = self.desk.cx(&self.links, actions);
                let key = (envelope.vrid(), envelope.family());
                let mut chosen: Option<&mut Instance> = None;
                let mut is_known = false;
                for instance in &mut self.instances {
                    if (instance.config.vrid.get(), instance.config.family) != key {
                        continue;
                    }
                    if instance.hears_on() != Some(index) {
                        // The macvlan and its base hear the same packet (VMAC-13).
                        is_known |= instance.ears().any(|ear| ear.index == index);
                    } else if chosen.is_none() || instance.has_peer(envelope.source()) {
                        // Unicast instances may share a VRID; their peers tell them apart.
                        chosen = Some(instance);
                    }
                }
                match chosen {
                    Some(instance) => return instance.handle_packet(now, &envelope, &mut cx),
                    None if is_known => return,
                    None => {
                        let instances = self.instances.iter().map(|i| &i.config);
                        self.foreign.hear(now, index, &envelope, instances);
                        Rung::UnknownVrid
                    }
                }
            }
            Err(rung) => {
                if rung == Rung::Ah {
                    self.foreign.hear_ah(now);
                }
                rung
            }
        };
        if let Some(n) = self.drops.get_mut(rung.index()) {
            *n = n.saturating_add(1);
        }
    }

    /// An address came or went: all who care for addresses are told.
    pub(super) fn handle_address(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        change: AddressChange,
        actions: &mut Actions,
    ) {
        let is_present = change != AddressChange::Gone;
        self.balancer.handle_address(now, index, cidr, is_present, &mut self.desk.cx(&self.links, actions));
        let Some(name) = self.links.by_index(index).map(|i| i.link.name) else { return };
        let change = self.handle_table_address(now, index, &name, cidr, change);
        let changed = self.links.address(index, *cidr, change);
        let mut cx = self.desk.cx(&self.links, actions);
        self.trackers.handle_address(now, (index, cidr), change, &self.links, &mut cx);
        let mut is_known = false;
        for instance in &mut self.instances {
            is_known |= instance.handle_address(now, index, cidr, change, &mut cx);
        }
        if !is_known && matches!(change, AddressChange::Present { ours: true, .. }) {
            self.handle_stray_address(now, index, cidr, actions);
        }
        if changed {
            self.look_at(now, None, name, actions);
        }
    }

    /// An interface has changed, or one has another name: those who live on it look again. Before the first
    /// whole telling they only learn where their addresses would be, so that what an earlier run left counts.
    pub(super) fn look_at(
        &mut self,
        now: Instant,
        old: Option<LinkName>,
        name: LinkName,
        actions: &mut Actions,
    ) {
        let mut cx = self.desk.cx(&self.links, actions);
        self.trackers.look(now, &self.links, &mut cx);
        let mut left = Vec::new();
        for instance in &mut self.instances {
            if !instance.lives_on(&name) && !old.is_some_and(|old| instance.lives_on(&old)) {
                continue;
            }
            match self.phase {
                Phase::Waiting => _ = instance.place(now, &mut cx),
                Phase::Running => {
                    left.extend(instance.ears());
                    instance.look(now, &mut cx);
                }
                Phase::Leaving { .. } | Phase::Left => instance.look_away(now, &mut cx),
            }
        }
        self.unlisten(left, actions);
        self.settle_moved(now, actions);
    }

    /// Leaves those groups of `left` that no instance listens on any more.
    pub(super) fn unlisten(&self, mut left: Vec<Ear>, actions: &mut Actions) {
        left.sort_unstable();
        left.dedup();
        for ear in left {
            if !self.instances.iter().any(|i| i.ears().any(|e| e == ear)) {
                actions.push(Action::Unlisten(ear));
            }
        }
    }
}
