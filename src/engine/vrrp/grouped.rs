//! What others decide for an instance: trackers, its sync group, the operator.

use super::transition::FaultCause;
use super::{Instance, State, skew};
use crate::engine::Ctx;
use crate::engine::notify::{About, Change};
use crate::engine::standing::Standing;
use crate::model::{Level, Name, Text, cut};
use crate::time::{Duration, Instant};

impl Instance {
    /// The trackers found something new.
    pub(in crate::engine) fn set_standing(&mut self, now: Instant, standing: Standing, cx: &mut Ctx<'_>) {
        let old = core::mem::replace(&mut self.standing, standing);
        if old.priority != self.standing.priority {
            self.priority_changed(now, old.priority, cx);
        }
        if old.faults != self.standing.faults {
            self.evaluate_begun(now, cx);
        }
    }

    /// What has not begun yet, or has ended, finds out when it begins.
    fn evaluate_begun(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match self.state {
            State::Initialize if self.port.is_none() => {}
            State::Initialize | State::Backup { .. } | State::Active { .. } | State::Fault { .. } => {
                self.evaluate(now, cx)
            }
        }
    }

    fn priority_changed(&mut self, now: Instant, old: u8, cx: &mut Ctx<'_>) {
        let (new, state) = (self.standing.priority, self.state());
        if self.priorities.lets_through(now) {
            let text = format_args!("priority {old} -> {new}, {} is configured", self.config.priority);
            cx.note(now, Level::Note, "instance", &self.config.name, text);
        }
        cx.notifier.tell(now, About::Instance(&self.config), Change::Priority(state), new, cx.actions);
        match &mut self.state {
            State::Backup { active_down_at: Some(at), active_adver_interval, .. } => {
                // Only the skew is another one.
                let before = skew(self.config.version, old, *active_adver_interval);
                let after = skew(self.config.version, new, *active_adver_interval);
                *at = (*at + after) - before;
            }
            // The others need not wait for the next advert to know that they are better.
            State::Active { .. } => self.send_advert(new, cx),
            State::Backup { active_down_at: None, .. } | State::Initialize | State::Fault { .. } => {}
        }
    }

    /// Its own among all instances of this run.
    pub(in crate::engine) fn key(&self) -> u32 {
        self.key
    }

    /// The sync group of the instance, if it has one: from now on it asks before it becomes Active.
    pub(in crate::engine) fn set_group(&mut self, group: Option<Name>) {
        self.group = group;
    }

    /// Is the group all that keeps it from becoming Active?
    pub(in crate::engine) fn wants_active(&self) -> bool {
        matches!(self.state, State::Backup { active_down_at: None, .. })
    }

    /// The whole group becomes Active, and so does this one (from Backup).
    pub(in crate::engine) fn follow_to_active(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.wants_active() {
            self.follows = true;
            let cause = self.cause.clone();
            self.become_active(now, format_args!("{cause}"), cx);
            self.converge(now, cx);
        }
    }

    /// Another member is Backup, and so is this one (from Active): it resigns, so that the router that took
    /// over there takes over here.
    pub(in crate::engine) fn follow_to_backup(&mut self, now: Instant, why: &Text, cx: &mut Ctx<'_>) {
        if !self.is_active() {
            return;
        }
        self.resign(cx);
        self.follows = true;
        let interval = self.config.advert_interval;
        let state = State::Backup {
            active_down_at: Some(now + self.down_interval(interval)),
            active_adver_interval: interval,
            preempt_at: None,
        };
        self.enter(now, state, format_args!("{why}"), cx);
        self.converge(now, cx);
    }

    /// Another member is in Fault, or no more.
    pub(in crate::engine) fn set_group_fault(&mut self, now: Instant, why: Option<Text>, cx: &mut Ctx<'_>) {
        if self.group_fault != why {
            self.follows = why.is_some() && !matches!(self.state, State::Fault { .. });
            self.group_fault = why;
            self.evaluate_begun(now, cx);
            self.follows = false;
        }
    }

    /// Why it is in Fault, but for its group's reasons.
    pub(in crate::engine) fn own_fault(&self) -> Option<Text> {
        match &self.state {
            State::Fault { causes } => {
                let own = causes.iter().find(|c| !matches!(c, FaultCause::Group(_)))?;
                Some(cut(format_args!("{}", self.explain(own))))
            }
            State::Initialize | State::Backup { .. } | State::Active { .. } => None,
        }
    }

    /// The operator wants it to leave Active for so long; zero: no more.
    pub(in crate::engine) fn handle_resign(&mut self, now: Instant, wanted_for: Duration, cx: &mut Ctx<'_>) {
        let was = self.resigned_until.is_some();
        let forever = Duration::from_secs(100 * 365 * 24 * 3600);
        self.resigned_until = (wanted_for > Duration::ZERO).then(|| now + wanted_for.min(forever));
        match (was, self.resigned_until.is_some()) {
            (false, true) if wanted_for >= forever => {
                let text = format_args!("taken out by the operator until `vipd restore`");
                cx.note(now, Level::Note, "instance", &self.config.name, text);
            }
            (_, true) => {
                let text = format_args!("taken out by the operator for {} s", wanted_for.secs());
                cx.note(now, Level::Note, "instance", &self.config.name, text);
            }
            (true, false) => {
                let text = format_args!("takes part again");
                cx.note(now, Level::Note, "instance", &self.config.name, text);
            }
            (false, false) => return,
        }
        self.evaluate(now, cx);
    }
}
