//! Other parameters for the same virtual router.

use super::vmac::Vmac;
use super::{Instance, State, form};
use crate::engine::{Action, Ctx};
use crate::model::{self, Cidr, IfName};
use crate::time::Instant;

impl Instance {
    /// State, timers and what is on the box stay. The addresses that are no longer its own and on the box are
    /// returned, each with its interface.
    pub(in crate::engine) fn reconfigure(
        &mut self,
        now: Instant,
        config: model::Instance,
        cx: &mut Ctx<'_>,
    ) -> Vec<(u32, Cidr)> {
        let priority = self.priority();
        let old = core::mem::replace(&mut self.config, config);
        if old.priority != self.config.priority {
            // With what the trackers add, as far as that is known: they are looked at again at once.
            self.standing.rebase(self.config.priority);
        }
        let other_ears =
            (old.group, old.unicast.is_some()) != (self.config.group, self.config.unicast.is_some());
        if old.checksum != self.config.checksum {
            self.transmit_form = form(&self.config);
        }
        if old.authentication != self.config.authentication {
            self.signing = super::Signing::default();
        }
        let other_addresses =
            (&old.addresses, &old.excluded) != (&self.config.addresses, &self.config.excluded);
        let mut left = Vec::new();
        if other_addresses {
            left = self.vips.reconfigure(self.config.all_addresses(), cx.actions);
            self.clear_the_way(&mut left, cx);
        }
        if old.virtual_mac != self.config.virtual_mac {
            // The addresses move: what is where they were is somebody's to take away.
            self.vips.remove_peers(cx.actions);
            left.extend(self.vips.held());
            self.leave_vmac(cx);
            self.vmac = Vmac::new(&self.config);
        }
        if (&old.routes, &old.rules, &old.interface)
            != (&self.config.routes, &self.config.rules, &self.config.interface)
        {
            let interface: Option<&IfName> = Some(&self.config.interface);
            self.routes.reconfigure(now, &self.config.routes, &self.config.rules, interface);
        }
        // Their number depends on version and authentication, too.
        self.list_addresses();
        self.adjust_timers(now, &old, priority, cx);
        if let State::Active { announce, .. } = &mut self.state
            && other_addresses
        {
            announce.again(now, &self.config.garp);
        }
        if other_ears {
            self.listen(cx.actions);
        }
        // Source, unicast peers and delays are looked up anew.
        self.look(now, cx);
        self.hold_settings(cx);
        left.retain(|(index, cidr)| !self.is_placed(*index, cidr));
        left
    }

    fn adjust_timers(&mut self, now: Instant, old: &model::Instance, priority: u8, cx: &mut Ctx<'_>) {
        let (version, new) = (self.config.version, self.priority());
        let down_interval = self.down_interval(self.config.advert_interval);
        match &mut self.state {
            State::Backup { active_down_at: Some(at), active_adver_interval, .. } => {
                if (old.advert_interval, old.version, old.down_adverts)
                    != (self.config.advert_interval, self.config.version, self.config.down_adverts)
                {
                    *active_adver_interval = self.config.advert_interval;
                    *at = now + down_interval;
                } else {
                    let before = super::skew(version, priority, *active_adver_interval);
                    let after = super::skew(version, new, *active_adver_interval);
                    *at = (*at + after) - before;
                }
            }
            State::Active { advert_at, renew_at, renew_from, announce, .. } => {
                *advert_at = (*advert_at).min(now + self.config.advert_interval);
                if old.lease != self.config.lease {
                    (*renew_at, *renew_from) = (Some(now), 0);
                    self.renewed_at = now;
                }
                if old.garp.refresh != self.config.garp.refresh {
                    announce.reconfigure(now, &self.config.garp);
                }
                if *old != self.config {
                    self.send_advert(new, cx);
                }
            }
            State::Backup { active_down_at: None, .. } | State::Initialize | State::Fault { .. } => {}
        }
        if let State::Backup { preempt_at, .. } = &mut self.state
            && (!self.config.preempt || self.config.preempt_delay.total_micros() == 0)
        {
            *preempt_at = None;
        }
    }

    /// Takes off at once what the kernel would take for the address that comes in its place: the same one
    /// with other options, and in IPv6 the same one with another prefix length.
    fn clear_the_way(&self, left: &mut Vec<(u32, Cidr)>, cx: &mut Ctx<'_>) {
        left.retain(|(index, old)| {
            let is_it = |new: &Cidr| new == old || (new.address == old.address && old.address.is_ipv6());
            let comes = self.config.all_addresses().any(|a| is_it(&a.cidr));
            if comes {
                cx.actions.push(Action::RemoveAddress { index: *index, cidr: *old, peer: None });
            }
            !comes
        });
    }

    fn is_placed(&self, index: u32, cidr: &Cidr) -> bool {
        self.vips.held().any(|(i, c)| (i, c) == (index, *cidr))
    }
}
