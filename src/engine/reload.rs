//! Another configuration, and the end.

use super::vrrp::Instance;
use super::{Action, Actions, Engine, Phase, SHUTDOWN_TIMEOUT, STATIC};
use crate::model::status::InstanceState;
use crate::model::{Cidr, Config, Level};
use crate::time::Instant;

impl Engine {
    pub(super) fn reload(&mut self, now: Instant, config: Config, actions: &mut Actions) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Left) {
            return;
        }
        let host_name = &self.desk.host_name;
        self.desk.router_name = config.global.router_name.clone().unwrap_or_else(|| host_name.clone());
        let mut cx = self.desk.cx(actions);
        cx.mailer.reconfigure(config.mail.clone());
        let same = |a: &crate::model::Instance, b: &crate::model::Instance| {
            (&a.interface, a.vrid) == (&b.interface, b.vrid)
        };
        let mut old = core::mem::take(&mut self.instances);
        let left = old.iter().filter_map(Instance::membership).collect();
        let mut freed: Vec<(u32, Cidr)> = Vec::new();
        for gone in old.iter_mut().filter(|i| !config.instances.iter().any(|c| same(c, &i.config))) {
            let held = gone.remove(now, &mut cx);
            freed.extend(gone.index().into_iter().flat_map(|index| held.iter().map(move |c| (index, *c))));
            cx.note(
                now,
                Level::Note,
                "instance",
                &gone.config.name,
                format_args!("removed from the configuration"),
            );
        }
        for wanted in &config.instances {
            match old.iter().position(|i| same(wanted, &i.config)) {
                Some(at) => {
                    let mut kept = old.swap_remove(at);
                    let held = kept.reconfigure(now, wanted.clone(), &mut cx);
                    freed.extend(
                        kept.index().into_iter().flat_map(|index| held.iter().map(move |c| (index, *c))),
                    );
                    self.instances.push(kept);
                }
                None => {
                    let mut new = Instance::new(wanted.clone(), now);
                    if self.phase == Phase::Running {
                        new.set_interface(now, self.links.by_name(&wanted.interface), &mut cx);
                    }
                    self.instances.push(new);
                }
            }
        }
        self.trackers.reconfigure(now, &config.tracks, &mut cx);
        self.static_routes.reconfigure(now, &config.static_routes, &config.static_rules, None);
        let is_active =
            |at: usize| self.instances.get(at).is_some_and(|i| i.state() == InstanceState::Active);
        cx.notifier.reconfigure(now, &config, is_active, cx.actions);
        self.balancer.reload(now, &config, &mut cx);
        // Addresses that are new to us may be on the box already.
        cx.actions.push(Action::Redump);
        cx.note(
            now,
            Level::Note,
            "reload",
            "",
            format_args!("{} instances, {} services", config.instances.len(), config.services.len()),
        );
        self.regroup(now, &config.groups);
        self.watch_routes(actions);
        self.unlisten(left, actions);
        self.settle(now, freed, actions);
    }

    pub(super) fn shutdown(&mut self, now: Instant, actions: &mut Actions) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Left) {
            return;
        }
        self.phase = Phase::Leaving { give_up_at: now + SHUTDOWN_TIMEOUT };
        let mut cx = self.desk.cx(actions);
        for instance in &mut self.instances {
            instance.shutdown(now, &mut cx);
        }
        cx.notifier.shutdown(now, cx.actions);
        self.static_routes.want(now, false);
        let mut cx = self.desk.cx(actions);
        self.static_routes.converge(now, &self.links, STATIC, &mut cx);
        self.balancer.shutdown(now, &mut cx);
    }

    /// Ends the daemon once nothing of ours is left in the kernel.
    pub(super) fn finish(&mut self, now: Instant, actions: &mut Actions) {
        let Phase::Leaving { give_up_at } = self.phase else { return };
        let clean = self.instances.iter().all(Instance::is_clean)
            && self.leftovers.is_empty()
            && self.static_routes.is_clean()
            && self.desk.notifier.is_idle()
            && self.balancer.is_shut_down();
        if clean || give_up_at <= now {
            self.phase = Phase::Left;
            actions.push(Action::Finished);
        }
    }
}
