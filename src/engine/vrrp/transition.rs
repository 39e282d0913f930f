//! How an instance goes from state to state, whatever the reason.

use super::announce::Announce;
use super::{Instance, State};
use crate::engine::notify::{About, Change};
use crate::engine::{Action, Ctx};
use crate::model::{self, Family, Level, Text, cut, status::InstanceState};
use crate::time::{Duration, Instant};
use core::fmt;
use std::net::IpAddr;

/// Why an instance cannot take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FaultCause {
    /// No such interface.
    Missing,
    /// It is down.
    Down,
    /// It came up a moment ago (`settle`).
    Settling,
    /// It is a port of a bridge (ARP-51).
    BridgePort,
    /// Multicast needs an Ethernet address.
    NotEthernet,
    /// Nothing to send from.
    NoAddress,
    /// The configured source is not on the box (`track_source`).
    NoSource(IpAddr),
    /// The socket was refused.
    Deaf(Text),
    /// The macvlan cannot be had.
    NoVmac(Text),
    /// A tracker is down.
    Tracker(Text),
    /// Another member of the sync group is in Fault.
    Group(Text),
    /// The operator has taken it out.
    Resigned,
}

impl Instance {
    /// Do the interface, the trackers, the group and the operator allow us to take part, and does the state
    /// agree?
    pub(super) fn evaluate(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.has_left {
            return;
        }
        let causes = self.fault_causes(cx);
        match &self.state {
            State::Fault { causes: old } if causes == *old => {}
            // At the start, what is not known yet is nothing to wake anybody for.
            State::Initialize if self.waits_for_trackers(causes.len()) => {}
            _ if !causes.is_empty() => self.enter_fault(now, causes, cx),
            State::Initialize | State::Fault { .. } if self.awaits_vmac() => {}
            State::Initialize if self.held_until.is_some() => {}
            State::Fault { .. } if self.held_until.is_some() => {
                self.enter(now, State::Initialize, format_args!("start delay"), cx);
            }
            State::Initialize | State::Fault { .. } => self.start(now, cx),
            State::Backup { .. } | State::Active { .. } => {}
        }
    }

    /// Are the first results of trackers all that is missing?
    fn waits_for_trackers(&self, causes: usize) -> bool {
        self.standing.is_waiting && causes == self.standing.faults.len()
    }

    /// All reasons for Fault but the group's.
    pub(super) fn own_fault_causes(&self, cx: &Ctx<'_>) -> Vec<FaultCause> {
        let mut causes = Vec::new();
        match self.port {
            None => causes.push(FaultCause::Missing),
            Some(p) if p.is_bridge_port => causes.push(FaultCause::BridgePort),
            Some(p) if !p.is_running && self.config.track_interface => causes.push(FaultCause::Down),
            Some(p) if p.mac.is_none() && self.config.unicast.is_none() => {
                causes.push(FaultCause::NotEthernet);
            }
            Some(p) if p.source.is_none() => causes.push(FaultCause::NoAddress),
            Some(_) if self.settles() => causes.push(FaultCause::Settling),
            Some(_) => {}
        }
        causes.extend(self.lacks_source(cx).map(FaultCause::NoSource));
        if self.port.is_some() {
            causes.extend(self.deaf.as_ref().map(|deaf| FaultCause::Deaf(deaf.why.clone())));
            let refusal = self.vmac.as_ref().filter(|v| v.index.is_none()).and_then(|v| v.refusal.clone());
            causes.extend(refusal.map(FaultCause::NoVmac));
        }
        causes.extend(self.standing.faults.iter().cloned().map(FaultCause::Tracker));
        if self.resigned_until.is_some() {
            causes.push(FaultCause::Resigned);
        }
        causes
    }

    fn fault_causes(&self, cx: &Ctx<'_>) -> Vec<FaultCause> {
        let mut causes = self.own_fault_causes(cx);
        causes.extend(self.group_fault.clone().map(FaultCause::Group));
        causes
    }

    /// FSM-10, FSM-11. After a fault, too (FSM-40).
    pub(super) fn start(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.announce_source(cx);
        if self.is_owner() && self.group.is_none() {
            self.become_active(now, format_args!("owner of the addresses (priority 255)"), cx);
            return self.converge(now, cx);
        }
        let interval = self.config.advert_interval;
        // An owner of a group asks the others first, and does not wait for itself.
        let wait = if self.is_owner() { Duration::ZERO } else { self.down_interval(interval) };
        let state = State::Backup {
            active_down_at: Some(now + wait),
            active_adver_interval: interval,
            preempt_at: None,
        };
        self.enter(now, state, format_args!("started, listening"), cx);
        self.converge(now, cx);
    }

    pub(super) fn enter_fault(&mut self, now: Instant, causes: Vec<FaultCause>, cx: &mut Ctx<'_>) {
        self.resign(cx);
        let text: Text = match causes.as_slice() {
            [] => Text::new(),
            [cause] => cut(format_args!("{}", self.explain(cause))),
            [cause, rest @ ..] => cut(format_args!("{} (and {} more)", self.explain(cause), rest.len())),
        };
        self.enter(now, State::Fault { causes }, format_args!("{text}"), cx);
        self.converge(now, cx);
    }

    /// FSM-13: the Active router is silent.
    pub(super) fn active_down(&mut self, now: Instant, late: Duration, cx: &mut Ctx<'_>) {
        let cause: Text = match self.heard {
            Some(h) if late > self.config.advert_interval => cut(format_args!(
                "no advert of {} for {}, and this daemon did not run for {late}",
                h.address,
                now - h.at
            )),
            Some(h) if h.priority == 0 => cut(format_args!("{} resigned", h.address)),
            Some(h) => cut(format_args!("no advert of {} for {}", h.address, now - h.at)),
            None => cut(format_args!("no other router was heard")),
        };
        if self.group.is_some() {
            // The group decides, at once where all the others are ready.
            if let State::Backup { active_down_at, .. } = &mut self.state {
                *active_down_at = None;
            }
            self.cause = cause;
            return;
        }
        self.become_active(now, format_args!("{cause}"), cx);
    }

    /// FSM-34: the advert first, so that an old Active withdraws; then addresses, which are due at once for
    /// [`Self::converge`]; then announcements.
    pub(super) fn become_active(&mut self, now: Instant, cause: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        self.heard = None;
        self.rival = None;
        self.send_advert(self.priority(), cx);
        self.counters.became_active = self.counters.became_active.saturating_add(1);
        let hook = self.begin_hook(now, cx);
        let state = State::Active {
            advert_at: now + self.config.advert_interval,
            hook,
            renew_at: self.config.lease.map(|lease| now + lease / 3),
            renew_from: 0,
            announce: Announce::begin(now, &self.config.garp),
        };
        self.renewed_at = now;
        self.enter(now, state, cause, cx);
    }

    /// Leaves Active with priority 0, before the addresses go (FSM-35).
    /// Does nothing in any other state.
    pub(super) fn resign(&mut self, cx: &mut Ctx<'_>) {
        if !self.is_active() {
            return;
        }
        self.send_advert(0, cx);
        self.counters.priority_zero_sent = self.counters.priority_zero_sent.saturating_add(1);
    }

    pub(super) fn enter(&mut self, now: Instant, state: State, cause: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        let before = self.state();
        if let State::Active { hook: Some(hook), .. } = &self.state {
            cx.actions.push(Action::StopRun(hook.id));
        }
        self.state = state;
        let after = self.state();
        self.cause = cut(cause);
        let follows = core::mem::take(&mut self.follows);
        if before == after {
            return;
        }
        self.since = now;
        self.vips.start_over(now);
        if before == InstanceState::Active {
            self.counters.released_active = self.counters.released_active.saturating_add(1);
        }
        let is_wanted = matches!(&self.state, State::Fault { causes } if *causes == [FaultCause::Resigned]);
        let level = if after == InstanceState::Fault && !is_wanted { Level::Error } else { Level::Note };
        cx.note(
            now,
            level,
            "instance",
            &self.config.name,
            format_args!("{} -> {}: {}", before.word(), after.word(), self.cause),
        );
        // To Initialize it goes at the end of the daemon or of its configuration, and during the start delay,
        // which is no stop.
        if after != InstanceState::Initialize || self.held_until.is_none() {
            let change = Change::State { state: after, quietly: self.is_deleted };
            cx.notifier.tell(now, About::Instance(&self.config), change, self.priority(), cx.actions);
        }
        // One mail for a whole group is enough; programs are told of each, as keepalived does.
        if !follows {
            cx.mailer.tell(now, cx.router_name, About::Instance(&self.config), (before, after), &self.cause);
        }
    }
}

pub(super) struct Explain<'a>(&'a FaultCause, &'a model::Instance);

impl Instance {
    /// A cause in words.
    pub(super) fn explain<'a>(&'a self, cause: &'a FaultCause) -> Explain<'a> {
        Explain(cause, &self.config)
    }
}

impl fmt::Display for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.1.interface;
        match self.0 {
            FaultCause::Missing => write!(f, "no interface {name}"),
            FaultCause::Down => write!(f, "interface {name} is down"),
            FaultCause::Settling => write!(f, "interface {name} came up a moment ago and settles"),
            FaultCause::BridgePort => write!(f, "interface {name} is a port of a bridge: use the bridge"),
            FaultCause::NotEthernet => {
                write!(f, "interface {name} has no Ethernet address: set unicast_peers to use it")
            }
            FaultCause::NoAddress => match (self.1.family, &self.1.unicast) {
                (Family::V4, _) => write!(f, "interface {name} has no IPv4 address to send from"),
                (Family::V6, None) => write!(f, "interface {name} has no link-local address to send from"),
                (Family::V6, Some(_)) => write!(f, "interface {name} has no IPv6 address to send from"),
            },
            FaultCause::NoSource(source) => write!(f, "source {source} is not on this router"),
            FaultCause::Deaf(why) => write!(f, "cannot listen on {name}: {why}"),
            FaultCause::NoVmac(why) | FaultCause::Tracker(why) | FaultCause::Group(why) => f.write_str(why),
            FaultCause::Resigned => f.write_str("taken out by the operator (vipd resign)"),
        }
    }
}
