//! Another configuration, and the end.

use super::notify::{About, Change};
use super::vrrp::Instance;
use super::{Action, Actions, Engine, LAST_MAILS_TIMEOUT, Phase, SHUTDOWN_TIMEOUT};
use crate::limits;
use crate::model::status::InstanceState;
use crate::model::{self, Cidr, Config, Level};
use crate::time::Instant;

impl Engine {
    pub(super) fn reload(&mut self, now: Instant, config: Config, actions: &mut Actions) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Left) {
            return;
        }
        let host_name = &self.desk.host_name;
        self.desk.router_name = config.global.router_name.clone().unwrap_or_else(|| host_name.clone());
        let mut cx = self.desk.cx(&self.links, actions);
        cx.mailer.reconfigure(config.mail.clone());
        self.announce_rates.clone_from(&config.global.announce_rates);
        self.paces.clear();
        let same = |a: &model::Instance, b: &model::Instance| {
            let is_it = (&a.interface, a.vrid, a.family) == (&b.interface, b.vrid, b.family);
            // Unicast instances may share these; their names tell them apart.
            is_it && (a.name == b.name || a.unicast.is_none() || b.unicast.is_none())
        };
        let mut old = core::mem::take(&mut self.instances);
        let left = old.iter().flat_map(Instance::ears).collect();
        let mut freed: Vec<(u32, Cidr)> = Vec::new();
        let mut fresh = Vec::new();
        let mut gone_routes = Vec::new();
        // Before the kernel has told its tables, nothing is known that would be worth keeping.
        let keeps = self.phase == Phase::Running;
        let kept: Vec<Option<Instance>> = config
            .instances
            .iter()
            .map(|wanted| old.iter().position(|i| keeps && same(wanted, &i.config)).map(|at| old.remove(at)))
            .collect();
        for gone in &mut old {
            freed.extend(gone.remove(now, &mut cx));
            gone_routes.push(core::mem::take(&mut gone.routes));
            if !keeps {
                continue;
            }
            let priority = gone.config.priority.get();
            cx.notifier.tell(now, About::Instance(&gone.config), Change::Deleted, priority, cx.actions);
            let text = format_args!("removed from the configuration");
            cx.note(now, Level::Note, "instance", &gone.config.name, text);
        }
        for (wanted, kept) in config.instances.iter().zip(kept) {
            match kept {
                Some(mut kept) => {
                    freed.extend(kept.reconfigure(now, wanted.clone(), &mut cx));
                    self.instances.push(kept);
                }
                None => {
                    fresh.push(self.instances.len());
                    let mut new = Instance::new(wanted.clone(), self.next_key, self.started_at, now);
                    self.next_key = self.next_key.wrapping_add(1);
                    if !keeps {
                        new.place(now, &mut cx);
                    }
                    self.instances.push(new);
                }
            }
        }
        self.trackers.reconfigure(now, &config, &mut cx);
        let is_active =
            |at: usize| self.instances.get(at).is_some_and(|i| i.state() == InstanceState::Active);
        cx.notifier.reconfigure(now, &config, is_active, cx.actions);
        self.balancer.reload(now, &config, &mut cx);
        self.reload_tables(now, &config, gone_routes);
        self.watch_routes(actions);
        let mut cx = self.desk.cx(&self.links, actions);
        // Addresses that are new to us may be on the box already.
        cx.actions.push(Action::Redump);
        cx.note(
            now,
            Level::Note,
            "reload",
            "",
            format_args!("{} instances, {} services", config.instances.len(), config.services.len()),
        );
        self.trackers.look(now, &self.links, &mut cx);
        // New instances begin only when trackers and groups have had their say.
        self.regroup(now, &config.groups, actions);
        if self.phase == Phase::Running {
            self.restand(now, actions);
        }
        let mut cx = self.desk.cx(&self.links, actions);
        if self.phase == Phase::Running {
            for number in fresh {
                if let Some(new) = self.instances.get_mut(number) {
                    new.look(now, &mut cx);
                }
            }
        }
        self.unlisten(left, actions);
        self.settle(now, freed, actions);
        self.settle_moved(now, actions);
    }

    /// RTNL-27: one of our virtual addresses, put by a vipd where no instance has it now: an earlier run left
    /// it on an interface that has another name since.
    pub(super) fn handle_stray_address(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        actions: &mut Actions,
    ) {
        let is_vip = |i: &Instance| i.config.all_addresses().any(|a| a.cidr == *cidr);
        if self.strays.len() < limits::ADDRESSES_MAX && self.instances.iter().any(is_vip) {
            self.strays.push((index, *cidr));
            // Before the first whole telling it may yet turn out to be in its place.
            if self.phase != Phase::Waiting {
                self.settle_moved(now, actions);
            }
        }
    }

    /// An interface that has another name now keeps what was on it until that is taken off, however often the
    /// kernel refuses (law 5).
    pub(super) fn settle_moved(&mut self, now: Instant, actions: &mut Actions) {
        let mut moved = core::mem::take(&mut self.strays);
        for instance in &mut self.instances {
            moved.extend(instance.take_moved(actions));
        }
        moved.retain(|(index, _)| self.links.by_index(*index).is_some());
        if !moved.is_empty() || !self.leftovers.is_empty() {
            self.settle(now, moved, actions);
        }
    }

    /// Addresses that an instance had before a reload go to the one that has them now; those that nobody
    /// has go.
    fn settle(&mut self, now: Instant, mut freed: Vec<(u32, Cidr)>, actions: &mut Actions) {
        for instance in &self.instances {
            instance.placed().for_each(|(index, cidr)| self.leftovers.forget(index, &cidr));
        }
        let (links, statics) = (&self.links, &self.statics);
        freed.retain(|(index, cidr)| {
            !links.by_index(*index).is_some_and(|i| statics.has(i.link.name.as_str(), cidr))
        });
        freed.retain(|(index, cidr)| !self.instances.iter_mut().any(|i| i.hand_over(now, *index, cidr)));
        freed.sort_unstable();
        for group in freed.chunk_by(|a, b| a.0 == b.0) {
            let cidrs: Vec<Cidr> = group.iter().map(|(_, cidr)| *cidr).collect();
            self.leftovers.add(now, group.first().map_or(0, |(index, _)| *index), &cidrs);
        }
        self.leftovers.tick(now, actions);
    }

    pub(super) fn shutdown(&mut self, now: Instant, actions: &mut Actions) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Left) {
            return;
        }
        self.phase =
            Phase::Leaving { give_up_at: now + SHUTDOWN_TIMEOUT, mail_until: now + LAST_MAILS_TIMEOUT };
        let mut cx = self.desk.cx(&self.links, actions);
        for instance in &mut self.instances {
            instance.shutdown(now, &mut cx);
        }
        self.trackers.shutdown(&mut cx);
        self.groups.iter_mut().for_each(|g| g.shutdown(now, &mut cx));
        // Whatever is still told comes before the notifier's last second begins.
        self.balancer.shutdown(now, &mut cx);
        cx.notifier.shutdown(now, cx.actions);
        self.shutdown_tables(now, actions);
    }

    /// Ends the daemon once nothing of ours is left in the kernel.
    pub(super) fn finish(&mut self, now: Instant, actions: &mut Actions) {
        let Phase::Leaving { give_up_at, mail_until } = &mut self.phase else { return };
        let has_mails = *mail_until > now && self.desk.mailer.is_busy(now);
        if *mail_until <= now {
            *mail_until = *give_up_at; // no need to look again
        }
        let give_up_at = *give_up_at;
        let clean = self.instances.iter().all(Instance::is_clean)
            && self.leftovers.is_empty()
            && self.has_clean_tables()
            && self.desk.notifier.is_idle()
            && self.balancer.is_shut_down()
            && !has_mails;
        if clean || give_up_at <= now {
            self.phase = Phase::Left;
            actions.push(Action::Finished);
        }
    }
}
