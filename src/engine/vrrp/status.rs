//! What the instance tells of itself.

use super::receive::Mac;
use super::{Heard, Instance, State};
use crate::model::status::{AddressStatus, InstanceCounters, InstanceStatus, PeerStatus};
use crate::model::{ChecksumForm, Text, cut};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::Rung;

/// How long an event of the past is a problem of today.
const RECENT: Duration = Duration::from_secs(3600);

impl Instance {
    pub(in crate::engine) fn status(&self, now: Instant) -> InstanceStatus {
        InstanceStatus {
            name: self.config.name.clone(),
            interface: self.config.interface.clone(),
            vrid: self.config.vrid.get(),
            family: self.config.family,
            version: self.config.version,
            group: self.group.clone(),
            state: self.state(),
            since: now - self.since,
            cause: self.cause.clone(),
            priority: self.config.priority.get(),
            effective_priority: self.priority(),
            contributions: self.standing.contributions.clone(),
            faults: match &self.state {
                State::Fault { causes } => {
                    causes.iter().map(|c| cut(format_args!("{}", self.explain(c)))).collect()
                }
                State::Initialize | State::Backup { .. } | State::Active { .. } => Vec::new(),
            },
            waits: self.waits(now),
            peers: self.config.unicast.iter().flat_map(|u| u.peers.iter().map(|p| p.address)).collect(),
            virtual_mac: self.config.virtual_mac.as_ref().map(|v| (v.name.clone(), v.mac)),
            rivals: self.counters.rivals,
            active_mac: self.shown_router().map(|h| h.mac),
            advert_interval: self.config.advert_interval,
            active_router: self.shown_router().map(|h| PeerStatus {
                address: h.address,
                priority: h.priority,
                heard: now - h.at,
            }),
            addresses: self
                .vips
                .iter()
                .map(|v| AddressStatus { address: v.cidr, present: v.present, put_back: v.put_back })
                .collect(),
            routes: self.routes.status(),
            counters: self.counters(),
            rejected: self.rejected.status(now, &self.config),
        }
    }

    /// The other router that matters: whom we obey, or who disputes our state.
    fn shown_router(&self) -> Option<Heard> {
        match self.state {
            State::Backup { .. } => self.heard.filter(|h| h.priority > 0).or(self.rival),
            State::Active { .. } => self.rival,
            State::Initialize | State::Fault { .. } => None,
        }
    }

    /// What is waited for, beside a silent Active router.
    fn waits(&self, now: Instant) -> Option<Text> {
        let left = |at: Instant| Age(if at > now { at - now } else { Duration::ZERO });
        match &self.state {
            State::Initialize => match self.held_until {
                Some(at) => Some(cut(format_args!("start delay, {} left", left(at)))),
                None => self.standing.faults.first().cloned(),
            },
            State::Backup { active_down_at: None, .. } => {
                let group = self.group.as_ref().map_or("", |g| g.as_str());
                Some(cut(format_args!("ready, waits for the rest of sync group {group}")))
            }
            State::Backup { preempt_at: Some(at), .. } if *at > now => {
                Some(cut(format_args!("preempts in {}", left(*at))))
            }
            State::Backup { .. } => None,
            State::Active { hook: Some(_), .. } => Some(cut(format_args!("pre_active runs, no address yet"))),
            State::Active { .. } => None,
            State::Fault { .. } => self
                .resigned_until
                .filter(|at| *at - now < Duration::from_secs(10 * 365 * 86_400))
                .map(|at| cut(format_args!("comes back in {}", left(at)))),
        }
    }

    fn counters(&self) -> InstanceCounters {
        let c = &self.counters;
        let rungs =
            Rung::ALL.iter().map(|r| (r.name(), self.rejected.drops.get(r.index()).copied().unwrap_or(0)));
        let others = [
            ("own_address", c.own_address),
            ("not_ready", c.not_ready),
            ("transmit_failed", c.transmit_failed),
            ("address_refused", c.address_refused),
        ];
        InstanceCounters {
            adverts_received: c.adverts_received,
            adverts_sent: c.adverts_sent,
            became_active: c.became_active,
            released_active: c.released_active,
            priority_zero_received: c.priority_zero_received,
            priority_zero_sent: c.priority_zero_sent,
            signed_received: c.signed_received,
            unsigned_accepted: c.unsigned_accepted,
            lower_priority_received: c.lower_priority_received,
            address_list_mismatch: c.address_list_mismatch,
            other_checksum_form: c.other_checksum_form,
            interval_differs: c.interval_differs,
            dropped: rungs.chain(others).filter(|(_, n)| *n > 0).collect(),
        }
    }

    /// What somebody should look at, each with what to do.
    pub(in crate::engine) fn problems(&self, now: Instant, problems: &mut Vec<Text>) {
        let name = &self.config.name;
        for vip in self.vips.iter() {
            let Some(at) = vip.put_back_at.filter(|at| now - *at < RECENT) else { continue };
            let how = if vip.lapsed { "ran out while vipd did not run" } else { "was removed by someone" };
            let (age, times) = (Age(now - at), vip.put_back);
            let s = if times == 1 { "" } else { "s" };
            problems.push(cut(format_args!(
                "VIP {} {how} {age} ago and was put back ({times} time{s})",
                vip.cidr
            )));
        }
        if let Some(rival) = self.rival.filter(|r| self.is_active() && now - r.at < RECENT) {
            problems.push(cut(format_args!(
                "{name}: {} ({}) was Active, too, {} ago, priority {} ({} x): does it hear us?",
                rival.address,
                Mac(rival.mac),
                Age(now - rival.at),
                rival.priority,
                self.counters.rivals
            )));
        }
        if self.counters.own_address > 0 {
            problems.push(cut(format_args!(
                "{name}: {} adverts with our own source address: a loop, or another router has it",
                self.counters.own_address
            )));
        }
        if let (State::Backup { active_adver_interval, .. }, Some(heard)) = (&self.state, self.heard)
            && *active_adver_interval != self.config.advert_interval
        {
            problems.push(cut(format_args!(
                "{name}: {} advertises every {active_adver_interval}, ours is {}: set the same on both",
                heard.address, self.config.advert_interval
            )));
        }
        if let Some((address, _)) = self.other_form.filter(|(_, at)| now - *at < RECENT)
            && self.config.checksum != ChecksumForm::Auto
        {
            problems.push(cut(format_args!(
                "{name}: {address} sends the other checksum form, may not take ours: set checksum = \"auto\""
            )));
        }
        if let Some(heard) = self.heard.filter(|h| h.priority == 255 && self.is_owner()) {
            problems.push(cut(format_args!(
                "{name}: {} says that it owns the addresses, too (priority 255): one must not",
                heard.address
            )));
        }
        for peer in self.rejected.status(now, &self.config) {
            problems.push(cut(format_args!(
                "{name}: {} x dropped from {}: {}",
                peer.count, peer.address, peer.why
            )));
        }
    }
}

/// `41s`, `2m10s`, `3h05m`, `3d04h`.
struct Age(Duration);

impl core::fmt::Display for Age {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let s = self.0.secs();
        match s {
            0..60 => write!(f, "{s}s"),
            60..3600 => write!(f, "{}m{:02}s", s / 60, s % 60),
            3600..86400 => write!(f, "{}h{:02}m", s / 3600, s / 60 % 60),
            _ => write!(f, "{}d{:02}h", s / 86400, s / 3600 % 24),
        }
    }
}
