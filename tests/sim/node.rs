//! One router: an engine with a kernel played around it.

use crate::random::Random;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use vipd::engine::{
    Action, Actions, AddressChange, AddressOp, Engine, Event, Link, LinkKind, LinkName, Refusal,
};
use vipd::model::status::InstanceState;
use vipd::model::{Cidr, Config, Instance};
use vipd::time::{Duration, Instant};

const INDEX: u32 = 2;

/// What a node does to the world.
pub(crate) struct Sent(pub(crate) Vec<u8>);

/// An address in the played kernel.
#[derive(Debug, Clone, Copy)]
struct Held {
    cidr: Cidr,
    until: Option<Instant>,
}

/// A notification of the kernel on its way to the engine.
#[derive(Debug, Clone, Copy)]
struct Notification {
    at: Instant,
    cidr: Cidr,
    change: AddressChange,
}

pub(crate) struct Node {
    pub(crate) name: char,
    pub(crate) address: Ipv4Addr,
    pub(crate) config: Instance,
    engine: Option<Engine>,
    /// Frozen until then: nothing is handed in.
    pub(crate) paused_until: Option<Instant>,
    pub(crate) link_up: bool,
    held: Vec<Held>,
    notifications: VecDeque<Notification>,
    inbox: Vec<(Instant, Vec<u8>)>,
    /// Percent of address changes that the kernel refuses.
    pub(crate) refuse_percent: u64,
    pub(crate) never_removes: bool,
    /// Since when the engine may be behind: it has had no chance to act on what happened.
    pub(crate) disturbed_at: Instant,
}

impl Node {
    pub(crate) fn new(name: char, address: Ipv4Addr, config: Instance, now: Instant) -> Self {
        Node {
            name,
            address,
            config,
            engine: None,
            paused_until: None,
            link_up: true,
            held: Vec::new(),
            notifications: VecDeque::new(),
            inbox: Vec::new(),
            refuse_percent: 0,
            never_removes: false,
            disturbed_at: now,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.engine.is_some() && self.paused_until.is_none()
    }

    pub(crate) fn has_engine(&self) -> bool {
        self.engine.is_some()
    }

    pub(crate) fn state(&self) -> Option<InstanceState> {
        self.engine.as_ref()?.states().next()
    }

    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn holds_all(&self) -> bool {
        self.config.addresses.iter().all(|c| self.held.iter().any(|h| h.cidr == c.cidr))
    }

    /// Starts vipd: links and addresses are told, left-over VIPs among them.
    pub(crate) fn start(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        let whole = Config { instances: vec![self.config.clone()], ..Config::default() };
        self.engine = Some(Engine::new(&whole, "node", random.next() as u32, now));
        self.notifications.clear();
        self.inbox.clear();
        self.disturbed_at = now;
        self.feed(now, Event::DumpStart, random, sent);
        self.feed(now, Event::Link(self.link()), random, sent);
        let base = Cidr { address: self.address.into(), prefix_len: 24 };
        let there = |ours| AddressChange::Present { ours, secondary: false };
        self.feed(now, Event::Address { index: INDEX, cidr: base, change: there(false) }, random, sent);
        for held in self.held.clone() {
            self.feed(
                now,
                Event::Address { index: INDEX, cidr: held.cidr, change: there(true) },
                random,
                sent,
            );
        }
        self.feed(now, Event::DumpEnd, random, sent);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, now: Instant) {
        self.engine = None;
        self.paused_until = None;
        self.disturbed_at = now;
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        self.refuse_percent = 0;
        self.feed(now, Event::Shutdown, random, sent);
        while let Some(at) = self.engine.as_ref().and_then(Engine::next_deadline).filter(|at| *at <= now) {
            let _ = at;
            self.feed(now, Event::Tick, random, sent);
        }
        self.kill(now);
    }

    pub(crate) fn set_link(&mut self, now: Instant, up: bool, random: &mut Random, sent: &mut Vec<Sent>) {
        self.link_up = up;
        self.disturbed_at = now;
        if !up {
            self.inbox.clear();
        }
        if self.is_running() {
            self.feed(now, Event::Link(self.link()), random, sent);
        }
    }

    pub(crate) fn reload(
        &mut self,
        now: Instant,
        config: Instance,
        random: &mut Random,
        sent: &mut Vec<Sent>,
    ) {
        self.config = config;
        self.disturbed_at = now;
        let whole = Config { instances: vec![self.config.clone()], ..Config::default() };
        self.feed(now, Event::Reload(Box::new(whole)), random, sent);
    }

    /// Somebody else removes a VIP.
    pub(crate) fn take_vip(&mut self, now: Instant) {
        if let Some(held) = self.held.pop() {
            self.notify(now, held.cidr, AddressChange::Gone);
            self.disturbed_at = now;
        }
    }

    pub(crate) fn wake(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        self.paused_until = None;
        self.disturbed_at = now;
        self.feed(now, Event::Link(self.link()), random, sent);
    }

    pub(crate) fn receive_later(&mut self, at: Instant, frame: Vec<u8>) {
        // A socket's queue has an end.
        if self.inbox.len() < 200 {
            self.inbox.push((at, frame));
        }
    }

    /// When something happens here next.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let leases = self.held.iter().filter_map(|h| h.until).min();
        let others = if self.is_running() {
            let inbox = self.inbox.iter().map(|(at, _)| *at).min();
            let told = self.notifications.front().map(|n| n.at);
            [self.engine.as_ref().and_then(Engine::next_deadline), inbox, told].into_iter().flatten().min()
        } else {
            self.paused_until
        };
        [leases, others].into_iter().flatten().min()
    }

    /// One turn of the loop, in the daemon's order: adverts, timers, the kernel's news.
    pub(crate) fn turn(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        for held in self.held.extract_if(.., |h| h.until.is_some_and(|at| at <= now)).collect::<Vec<_>>() {
            self.notify(now, held.cidr, AddressChange::Gone);
        }
        if !self.is_running() {
            if self.paused_until.is_some_and(|at| at <= now) {
                self.wake(now, random, sent);
            }
            return;
        }
        let mut due: Vec<_> = self.inbox.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, bytes) in due {
            self.feed(now, Event::Frame { index: INDEX, bytes: &bytes, truncated: false }, random, sent);
        }
        if self.engine.as_ref().and_then(Engine::next_deadline).is_some_and(|at| at <= now) {
            self.feed(now, Event::Tick, random, sent);
        }
        while let Some(n) = self.notifications.front().copied().filter(|n| n.at <= now) {
            self.notifications.pop_front();
            self.feed(now, Event::Address { index: INDEX, cidr: n.cidr, change: n.change }, random, sent);
        }
    }

    fn link(&self) -> Link {
        let last = self.address.octets()[3];
        Link {
            index: INDEX,
            name: LinkName::new("lan0"),
            up: true,
            running: self.link_up,
            kind: LinkKind::Other,
            forwards_ipv6: true,
            mac: Some([2, 0, 0, 0, 0, last]),
            mtu: 1500,
        }
    }

    fn notify(&mut self, now: Instant, cidr: Cidr, change: AddressChange) {
        if self.engine.is_some() {
            let at = now + Duration::from_micros(200);
            self.notifications.push_back(Notification { at, cidr, change });
        }
    }

    fn feed(&mut self, now: Instant, event: Event<'_>, random: &mut Random, sent: &mut Vec<Sent>) {
        let Some(engine) = &mut self.engine else { return };
        let mut actions = Actions::new();
        engine.handle(now, event, &mut actions);
        let mut results = Vec::new();
        while let Some(action) = actions.take() {
            match action {
                Action::Transmit { frame, .. } => {
                    if self.link_up {
                        sent.push(Sent(actions.bytes(&frame).to_vec()));
                    }
                }
                Action::AddAddress { cidr, lease, .. } => {
                    let refused = random.percent(self.refuse_percent);
                    results.push((cidr, AddressOp::Add, refused, lease.map(|l| now + l)));
                }
                Action::RemoveAddress { cidr, .. } => {
                    let refused = random.percent(self.refuse_percent) || self.never_removes;
                    results.push((cidr, AddressOp::Remove, refused, None));
                }
                Action::TransmitPacket { .. }
                | Action::WatchRoutes { .. }
                | Action::ChangeRoute { .. }
                | Action::ChangeRule { .. }
                | Action::MakeMacvlan { .. }
                | Action::SetLink { .. }
                | Action::RemoveLink { .. }
                | Action::HoldSetting { .. }
                | Action::ReleaseSetting { .. }
                | Action::SettingsSettled
                | Action::Run(_)
                | Action::StopRun(_)
                | Action::Fifo { .. }
                | Action::Listen(_)
                | Action::Unlisten(_)
                | Action::Redump
                | Action::Ipvs { .. }
                | Action::StartProbe(_)
                | Action::StopProbe(_)
                | Action::SendMail { .. }
                | Action::Note { .. }
                | Action::Finished => {}
            }
        }
        for (cidr, op, refused, until) in results {
            let result = if refused { Err(Refusal::Busy) } else { self.change_address(now, cidr, op, until) };
            self.feed(now, Event::AddressResult { index: INDEX, cidr, op, result }, random, sent);
        }
    }

    fn change_address(
        &mut self,
        now: Instant,
        cidr: Cidr,
        op: AddressOp,
        until: Option<Instant>,
    ) -> Result<(), Refusal> {
        let at = self.held.iter().position(|h| h.cidr == cidr);
        match op {
            AddressOp::Add => {
                match at.and_then(|at| self.held.get_mut(at)) {
                    Some(held) => held.until = until,
                    None => self.held.push(Held { cidr, until }),
                }
                self.notify(now, cidr, AddressChange::Present { ours: true, secondary: false });
                Ok(())
            }
            AddressOp::Remove => {
                let at = at.ok_or(Refusal::NotFound)?;
                self.held.remove(at);
                self.notify(now, cidr, AddressChange::Gone);
                Ok(())
            }
        }
    }
}
