//! After the kernel has told all, and after every event: what the trackers found goes to the instances, and
//! the groups follow their members.

use super::group::{Group, mix};
use super::standing::{Case, Standing, hurts};
use super::vrrp::Instance;
use super::{Action, Actions, Engine, Phase};
use crate::model::SyncGroup;
use crate::model::status::{GroupStatus, InstanceState, TrackerStatus};
use crate::time::Instant;

impl Engine {
    /// The kernel has told all; the first time, everything begins.
    pub(super) fn dump_end(&mut self, now: Instant, actions: &mut Actions) {
        self.links.drop_unseen();
        self.leftovers.retain(|index| self.links.by_index(index).is_some());
        let first = self.phase == Phase::Waiting;
        if first {
            self.phase = Phase::Running;
            self.mix_salt();
        }
        let mut cx = self.desk.cx(&self.links, actions);
        self.trackers.dump_end();
        if first {
            self.trackers.start();
        }
        self.trackers.look(now, &self.links, &mut cx);
        if self.phase == Phase::Running {
            // Before the instances begin: a tracker that knows nothing yet, or is down, holds them.
            self.restand(now, actions);
        }
        let mut cx = self.desk.cx(&self.links, actions);
        let mut left = Vec::new();
        for instance in &mut self.instances {
            if self.phase == Phase::Running {
                left.extend(instance.ears());
                instance.look(now, &mut cx);
            }
            instance.dump_end(now, &mut cx);
        }
        self.balancer.dump_end(now, &mut cx);
        self.tables_told(now);
        self.unlisten(left, actions);
        self.settle_moved(now, actions);
        if !first {
            self.end_first_look(actions);
        }
        if first {
            self.statics.want(now, true);
            self.static_routes.want(now, true);
            self.watch_routes(actions);
            actions.push(Action::SettingsSettled);
            let mut cx = self.desk.cx(&self.links, actions);
            self.balancer.start(now, &mut cx);
        }
    }

    /// `is_idle`: the event has changed nothing, as most packets do.
    pub(super) fn follow(&mut self, now: Instant, is_idle: bool, actions: &mut Actions) {
        match self.phase {
            Phase::Running => {}
            Phase::Waiting | Phase::Leaving { .. } | Phase::Left => return,
        }
        if self.trackers.take_changed() {
            self.restand(now, actions);
        } else if is_idle {
            return;
        }
        let mut cx = self.desk.cx(&self.links, actions);
        for group in &mut self.groups {
            group.follow(now, self.salt, &mut self.instances, &mut cx);
        }
        if let Some(followed) = self.balancer.followed_instance() {
            let state = self.instances.get(followed).map(Instance::state);
            self.balancer.follow_instance(now, state == Some(InstanceState::Active), &mut cx);
        }
    }

    /// How every instance stands, after the verdicts of now.
    pub(super) fn restand(&mut self, now: Instant, actions: &mut Actions) {
        let mut cx = self.desk.cx(&self.links, actions);
        for (number, instance) in self.instances.iter_mut().enumerate() {
            let group = self.groups.iter().find(|g| g.config.members.contains(&number));
            let case = Case {
                priority: instance.config.priority,
                own: &instance.config.tracks,
                group: group.map(|g| (g.config.tracks.as_slice(), g.config.member_weights)),
                takes_part: match instance.state() {
                    InstanceState::Backup | InstanceState::Active => true,
                    InstanceState::Initialize | InstanceState::Fault => false,
                },
            };
            let standing = Standing::of(&case, |track| self.trackers.finding(track));
            instance.set_standing(now, standing, &mut cx);
        }
    }

    /// Another configuration's groups; those of the same name go on.
    pub(super) fn regroup(&mut self, now: Instant, groups: &[SyncGroup], actions: &mut Actions) {
        let mut old = core::mem::take(&mut self.groups);
        for config in groups {
            self.groups.push(match old.iter().position(|g| g.config.name == config.name) {
                None => Group::new(config.clone(), now),
                Some(at) => {
                    let mut kept = old.swap_remove(at);
                    kept.reconfigure(now, config.clone(), &self.instances);
                    kept
                }
            });
        }
        let mut cx = self.desk.cx(&self.links, actions);
        for (number, instance) in self.instances.iter_mut().enumerate() {
            let group = self.groups.iter().find(|g| g.config.members.contains(&number));
            if group.is_none() {
                // Nobody keeps it from it any more.
                instance.set_group_fault(now, None, &mut cx);
                instance.follow_to_active(now, &mut cx);
            }
            instance.set_group(group.map(|g| g.config.name.clone()));
        }
    }

    /// For the status screen.
    pub(super) fn group_status(&self, now: Instant) -> Vec<GroupStatus> {
        self.groups.iter().map(|g| g.status(now, &self.instances)).collect()
    }

    /// For the status screen.
    pub(super) fn tracker_status(&self, now: Instant) -> Vec<TrackerStatus> {
        let mut all = self.trackers.status(now);
        let uses = self.instances.iter().flat_map(|i| &i.config.tracks);
        for track in uses.chain(self.groups.iter().flat_map(|g| &g.config.tracks)) {
            if let (Some(status), Some(finding)) =
                (all.get_mut(track.track), self.trackers.finding(track.track))
            {
                status.hurts |= hurts(track, &finding);
            }
        }
        all
    }

    /// Names and MACs go into the salt, so that no other router has the same.
    pub(super) fn mix_salt(&mut self) {
        let macs = self.instances.iter().filter_map(|i| self.links.by_name(&i.config.interface)?.link.mac);
        let bytes = self.desk.router_name.bytes().chain(macs.flatten());
        self.salt = bytes.fold(self.salt, |salt, byte| mix(salt ^ u32::from(byte)));
    }
}
