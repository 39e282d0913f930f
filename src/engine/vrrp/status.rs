//! What the instance tells of itself.

use super::receive::Mac;
use super::{Instance, State};
use crate::model::status::{AddressStatus, InstanceCounters, InstanceStatus, PeerStatus};
use crate::model::{Text, cut};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::Rung;

/// How long an event of the past is a problem of today.
const RECENT: Duration = Duration::from_secs(3600);

impl Instance {
    pub(in crate::engine) fn status(&self, now: Instant) -> InstanceStatus {
        let priority = self.config.priority.get();
        InstanceStatus {
            name: self.config.name.clone(),
            interface: self.config.interface.clone(),
            vrid: self.config.vrid.get(),
            family: self.config.family,
            version: self.config.version,
            group: None,
            state: self.state(),
            since: now - self.since,
            cause: self.cause.clone(),
            priority,
            effective_priority: priority,
            contributions: Vec::new(),
            faults: Vec::new(),
            waits: None,
            peers: Vec::new(),
            virtual_mac: None,
            rivals: 0,
            active_mac: None,
            routes: Vec::new(),
            advert_interval: self.config.advert_interval,
            active_router: match self.state {
                State::Backup { .. } => self.heard.filter(|h| h.priority > 0).or(self.rival),
                State::Active { .. } => self.rival,
                State::Initialize | State::Fault { .. } => None,
            }
            .map(|h| PeerStatus {
                address: h.address.into(),
                priority: h.priority,
                heard: now - h.at,
            }),
            addresses: self
                .vips
                .iter()
                .map(|v| AddressStatus { address: v.cidr, present: v.present, put_back: v.put_back })
                .collect(),
            counters: self.counters(),
            rejected: self.rejected.status(now, &self.config),
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
            signed_received: 0,
            unsigned_accepted: 0,
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
                "{name}: {} ({}) was Active, too, {} ago, priority {}",
                rival.address,
                Mac(rival.mac),
                Age(now - rival.at),
                rival.priority
            )));
        }
        if self.counters.own_address > 0 {
            problems.push(cut(format_args!(
                "{name}: {} adverts with our own source address: a loop, or another router has it",
                self.counters.own_address
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
