//! How an instance goes from state to state, whatever the reason.

use super::announce::Announce;
use super::{FaultCause, Instance, State, Usable};
use crate::engine::Ctx;
use crate::engine::notify::About;
use crate::model::{self, Level, Text, cut, status::InstanceState};
use crate::time::{Duration, Instant};
use core::fmt;

impl Instance {
    /// Does the interface allow us to take part, and does the state agree?
    pub(super) fn evaluate(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match (self.fault_cause(), &self.state) {
            (Some(cause), State::Fault { cause: old }) if cause == *old => {}
            (Some(cause), _) => self.enter_fault(now, cause, cx),
            (None, State::Initialize | State::Fault { .. }) => self.start(now, cx),
            (None, State::Backup { .. } | State::Active { .. }) => {}
        }
    }

    pub(super) fn fault_cause(&self) -> Option<FaultCause> {
        match self.port {
            None => Some(FaultCause::Missing),
            Some(p) if !p.running => Some(FaultCause::Down),
            Some(p) if p.mac.is_none() => Some(FaultCause::NotEthernet),
            Some(p) if p.source.is_none() => Some(FaultCause::NoAddress),
            Some(_) => self.deaf.as_ref().map(|deaf| FaultCause::Deaf(deaf.why.clone())),
        }
    }

    pub(super) fn usable(&self) -> Option<Usable> {
        let p = self.port?;
        Some(Usable { index: p.index, mac: p.mac?, source: p.source? })
    }

    /// FSM-10, FSM-11. After a fault, too (FSM-40).
    pub(super) fn start(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.config.priority.is_owner() {
            return self.become_active(now, format_args!("owner of the addresses (priority 255)"), cx);
        }
        let interval = self.config.advert_interval;
        let state = State::Backup {
            active_down_at: now + self.down_interval(interval),
            active_adver_interval: interval,
        };
        self.enter(now, state, format_args!("started, listening"), cx);
        self.converge(now, cx);
    }

    pub(super) fn enter_fault(&mut self, now: Instant, cause: FaultCause, cx: &mut Ctx<'_>) {
        if self.is_active() {
            self.resign(cx);
        }
        let text: Text = cut(format_args!("{}", Explain(&cause, &self.config)));
        self.enter(now, State::Fault { cause }, format_args!("{text}"), cx);
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
        self.become_active(now, format_args!("{cause}"), cx);
    }

    /// FSM-34: the advert first, so that an old Active withdraws; then addresses; then announcements.
    pub(super) fn become_active(&mut self, now: Instant, cause: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        self.heard = None;
        self.rival = None;
        self.send_advert(self.config.priority.get(), cx);
        self.counters.became_active = self.counters.became_active.saturating_add(1);
        let state = State::Active {
            advert_at: now + self.config.advert_interval,
            renew_at: self.config.lease.map(|lease| now + lease / 3),
            renew_from: 0,
            announce: Announce::begin(now, &self.config.garp),
        };
        self.renewed_at = now;
        self.enter(now, state, cause, cx);
        self.converge(now, cx);
    }

    /// Leaves Active with priority 0, before the addresses go (FSM-35).
    pub(super) fn resign(&mut self, cx: &mut Ctx<'_>) {
        self.send_advert(0, cx);
        self.counters.priority_zero_sent = self.counters.priority_zero_sent.saturating_add(1);
    }

    pub(super) fn enter(&mut self, now: Instant, state: State, cause: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        let before = self.state();
        self.state = state;
        let after = self.state();
        self.cause = cut(cause);
        if before == after {
            return;
        }
        self.since = now;
        self.vips.start_over(now);
        if before == InstanceState::Active {
            self.counters.released_active = self.counters.released_active.saturating_add(1);
        }
        let level = if after == InstanceState::Fault { Level::Error } else { Level::Note };
        cx.note(
            now,
            level,
            "instance",
            &self.config.name,
            format_args!("{} -> {}: {}", before.word(), after.word(), self.cause),
        );
        cx.mailer.tell(now, cx.router_name, About::Instance(&self.config), (before, after), &self.cause);
    }
}

struct Explain<'a>(&'a FaultCause, &'a model::Instance);

impl fmt::Display for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.1.interface;
        match self.0 {
            FaultCause::Missing => write!(f, "no interface {name}"),
            FaultCause::Down => write!(f, "interface {name} is down"),
            FaultCause::NotEthernet => write!(f, "interface {name} has no Ethernet address"),
            FaultCause::NoAddress => write!(f, "interface {name} has no IPv4 address to send from"),
            FaultCause::Deaf(why) => write!(f, "cannot listen on {name}: {why}"),
        }
    }
}
