//! One router: an engine with a kernel played around it.

use crate::kernel::{Kernel, Notice};
use crate::plan::{base, lan_name, mac};
use crate::random::Random;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use vipd::engine::{
    Action, Actions, AddressChange, AddressOp, Ear, Engine, Event, IpvsEvent, LinkKind, Outcome, Refusal,
    RunId, RunOutcome,
};
use vipd::model::status::InstanceState;
use vipd::model::{Cidr, Config, Family, TrackKind, cut};
use vipd::time::{Duration, Instant};

/// How long a program of a tracker takes.
const RUN_TIME: Duration = Duration::from_millis(50);
/// Frames that a socket keeps. More: lost.
const INBOX_MAX: usize = 400;

/// What a node puts on a LAN: a frame with its Ethernet header.
pub(crate) struct Sent {
    pub(crate) lan: usize,
    pub(crate) bytes: Rc<[u8]>,
    /// To one address alone.
    pub(crate) unicast: Option<IpAddr>,
}

/// A frame that has arrived.
pub(crate) struct Arrived {
    pub(crate) at: Instant,
    pub(crate) lan: usize,
    pub(crate) bytes: Rc<[u8]>,
}

pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) config: Config,
    /// Which virtual router each instance is.
    pub(crate) vrs: Vec<usize>,
    engine: Option<Engine>,
    actions: Actions,
    pending: VecDeque<Event<'static>>,
    pub(crate) kernel: Kernel,
    ears: Vec<Ear>,
    inbox: Vec<Arrived>,
    runs: Vec<(Instant, RunId)>,
    dump_at: Option<Instant>,
    /// Frozen until then: nothing is handed in.
    pub(crate) paused_until: Option<Instant>,
    pub(crate) started_at: Instant,
    pub(crate) reloaded_at: Instant,
    pub(crate) is_leaving: bool,
    /// Percent of changes that the kernel refuses.
    pub(crate) refuse_percent: u64,
    pub(crate) never_removes: bool,
    /// Since when the engine may be behind: it has had no chance to act on what happened.
    pub(crate) disturbed_at: Instant,
    /// How far the wall clock is ahead, in seconds.
    pub(crate) clock_ahead: i64,
    /// What each tracker finds.
    pub(crate) verdicts: Vec<i32>,
    /// The state of each virtual router; `None`: not configured, or no engine.
    pub(crate) states: Vec<Option<InstanceState>>,
    next_at: Option<Instant>,
    pub(crate) verbose: bool,
}

impl Node {
    pub(crate) fn new(number: usize, lans: usize, config: Config, vrs: usize, now: Instant) -> Self {
        let mut node = Node {
            number,
            verdicts: vec![0; config.tracks.len()],
            vrs: Vec::new(),
            config,
            engine: None,
            actions: Actions::new(),
            pending: VecDeque::new(),
            kernel: Kernel::default(),
            ears: Vec::new(),
            inbox: Vec::new(),
            runs: Vec::new(),
            dump_at: None,
            paused_until: None,
            started_at: now,
            reloaded_at: now,
            is_leaving: false,
            refuse_percent: 0,
            never_removes: false,
            disturbed_at: now,
            clock_ahead: 0,
            states: vec![None; vrs],
            next_at: None,
            verbose: false,
        };
        for lan in 0..lans {
            node.plug(now, lan);
        }
        node
    }

    pub(crate) fn name(&self) -> char {
        char::from(b'a' + self.number as u8)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.engine.is_some() && self.paused_until.is_none()
    }

    pub(crate) fn has_engine(&self) -> bool {
        self.engine.is_some()
    }

    pub(crate) fn is_active(&self, vr: usize) -> bool {
        self.states[vr] == Some(InstanceState::Active)
    }

    /// Does its interface work?
    pub(crate) fn is_on(&self, lan: usize) -> bool {
        self.kernel.named(lan_name(lan)).is_some_and(|l| l.running)
    }

    pub(crate) fn has_macvlan(&self) -> bool {
        self.kernel.links.iter().any(|l| matches!(l.kind, LinkKind::Macvlan { .. }))
    }

    /// The instance that is this virtual router.
    pub(crate) fn instance(&self, vr: usize) -> Option<usize> {
        self.vrs.iter().position(|v| *v == vr)
    }

    pub(crate) fn effective_priority(&self, vr: usize, now: Instant) -> u8 {
        let of = |engine: &Engine, at: usize| engine.snapshot(now).instances[at].effective_priority;
        self.engine.as_ref().zip(self.instance(vr)).map_or(0, |(engine, at)| of(engine, at))
    }

    pub(crate) fn explain(&self, now: Instant) -> String {
        let Some(engine) = &self.engine else { return format!("{}: no engine", self.name()) };
        let snapshot = engine.snapshot(now);
        let each = snapshot.instances.iter().map(|i| {
            format!(
                "{} {:?} {} since {}: {}; waits {:?}",
                i.name, i.state, i.effective_priority, i.since, i.cause, i.waits
            )
        });
        format!("{}: {}", self.name(), each.collect::<Vec<_>>().join(" | "))
    }

    // ---- what happens to it

    pub(crate) fn plug(&mut self, now: Instant, lan: usize) {
        let own = [base(self.number, lan, Family::V4), base(self.number, lan, Family::V6)];
        self.kernel.plug(now, lan_name(lan), mac(self.number, lan), &own);
    }

    /// Starts vipd: links and addresses are told, left-overs among them.
    pub(crate) fn start(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        let seed = random.next() as u32;
        self.engine = Some(Engine::new(&self.config, "node", seed, now));
        self.ears.clear();
        self.inbox.clear();
        self.runs.clear();
        self.pending.clear();
        self.kernel.notices.clear();
        self.kernel.watched = (false, false);
        (self.started_at, self.disturbed_at, self.reloaded_at) = (now, now, now);
        (self.is_leaving, self.paused_until) = (false, None);
        self.dump(now, random, sent);
        for track in 0..self.verdicts.len() {
            self.tell_track(now, track, random, sent);
        }
    }

    fn dump(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        self.dump_at = None;
        self.kernel.is_heard = true;
        while let Some((_, notice)) = self.kernel.notices.pop_front() {
            self.feed(now, event(notice), random, sent);
        }
        self.feed(now, Event::DumpStart, random, sent);
        for link in self.kernel.links.clone() {
            self.feed(now, Event::Link(link), random, sent);
        }
        for held in self.kernel.held.clone() {
            let change = AddressChange::Present { ours: held.ours, secondary: false };
            let event = Event::Address { index: held.index, cidr: held.cidr, change };
            self.feed(now, event, random, sent);
        }
        let (routes, rules) = self.kernel.watched;
        for route in self.kernel.routes.clone().into_iter().filter(|_| routes) {
            self.feed(now, Event::Route { route, is_present: true }, random, sent);
        }
        for rule in self.kernel.rules.clone().into_iter().filter(|_| rules) {
            self.feed(now, Event::Rule { rule, ours: true, is_present: true }, random, sent);
        }
        self.feed(now, Event::DumpEnd, random, sent);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, now: Instant) {
        self.engine = None;
        self.paused_until = None;
        self.disturbed_at = now;
        self.kernel.is_heard = false;
        self.dump_at = None;
        self.states.fill(None);
        self.reschedule();
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        self.is_leaving = true;
        self.disturbed_at = now;
        self.feed(now, Event::Shutdown, random, sent);
    }

    pub(crate) fn reload(
        &mut self,
        now: Instant,
        config: Config,
        vrs: Vec<usize>,
        random: &mut Random,
        sent: &mut Vec<Sent>,
    ) {
        (self.config, self.vrs) = (config, vrs);
        self.states.fill(None);
        (self.disturbed_at, self.reloaded_at) = (now, now);
        self.feed(now, Event::Reload(Box::new(self.config.clone())), random, sent);
        for track in 0..self.verdicts.len() {
            self.tell_track(now, track, random, sent);
        }
    }

    pub(crate) fn resign(
        &mut self,
        now: Instant,
        vr: usize,
        wanted_for: Duration,
        random: &mut Random,
        sent: &mut Vec<Sent>,
    ) {
        self.disturbed_at = now;
        if let Some(instance) = self.instance(vr) {
            self.feed(now, Event::Resign { instance, wanted_for }, random, sent);
        }
    }

    /// What a tracker finds from now on; a script finds it when it runs.
    pub(crate) fn tell_track(
        &mut self,
        now: Instant,
        track: usize,
        random: &mut Random,
        sent: &mut Vec<Sent>,
    ) {
        let value = self.verdicts[track];
        let event = match &self.config.tracks[track].kind {
            TrackKind::File { .. } => Event::TrackedFile { track, value: Ok(value) },
            TrackKind::Process { .. } => Event::TrackedProcess { track, count: Ok(u32::from(value == 0)) },
            _ => return,
        };
        self.feed(now, event, random, sent);
    }

    /// Notifications were lost; the daemon finds out and has all told anew.
    pub(crate) fn overrun(&mut self, now: Instant, found_at: Instant) {
        self.kernel.notices.clear();
        if self.engine.is_some() {
            self.kernel.is_heard = false;
            self.dump_at = Some(found_at);
            self.disturbed_at = now;
        }
        self.reschedule();
    }

    pub(crate) fn wake(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        self.paused_until = None;
        self.disturbed_at = now;
        self.turn(now, random, sent);
    }

    pub(crate) fn receive_later(&mut self, arrived: Arrived) {
        if self.inbox.len() < INBOX_MAX && self.engine.is_some() {
            let at = arrived.at;
            self.inbox.push(arrived);
            if self.paused_until.is_none() && self.next_at.is_none_or(|next| at < next) {
                self.next_at = Some(at);
            }
        }
    }

    pub(crate) fn empty_inbox(&mut self, lan: usize) {
        self.inbox.retain(|a| a.lan != lan);
    }

    // ---- time

    /// When something happens here next.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    pub(crate) fn reschedule(&mut self) {
        let leases = self.kernel.next_expiry();
        let others = if self.is_running() {
            let inbox = self.inbox.iter().map(|a| a.at).min();
            let told = self.kernel.notices.front().map(|(at, _)| *at);
            let runs = self.runs.iter().map(|(at, _)| *at).min();
            let own = self.engine.as_ref().and_then(Engine::next_deadline);
            [own, inbox, told, runs, self.dump_at].into_iter().flatten().min()
        } else {
            self.paused_until
        };
        self.next_at = [leases, others].into_iter().flatten().min();
    }

    /// One turn of the loop, in the daemon's order: adverts, timers, the kernel's news, programs.
    pub(crate) fn turn(&mut self, now: Instant, random: &mut Random, sent: &mut Vec<Sent>) {
        self.kernel.expire(now);
        if self.paused_until.is_some_and(|at| at <= now) {
            self.paused_until = None;
            self.disturbed_at = now;
        }
        if self.is_running() {
            while let Some(at) = self.first_frame(now) {
                let arrived = self.inbox.swap_remove(at);
                self.hear(now, &arrived, random, sent);
            }
            if self.engine.as_ref().and_then(Engine::next_deadline).is_some_and(|at| at <= now) {
                self.feed(now, Event::Tick, random, sent);
            }
            while self.kernel.notices.front().is_some_and(|(at, _)| *at <= now) {
                let Some((_, notice)) = self.kernel.notices.pop_front() else { break };
                self.feed(now, event(notice), random, sent);
            }
            if self.dump_at.is_some_and(|at| at <= now) {
                self.dump(now, random, sent);
            }
            while let Some(at) = self.runs.iter().position(|(at, _)| *at <= now) {
                let (_, id) = self.runs.swap_remove(at);
                let is_good = match id.owner {
                    vipd::engine::RunOwner::Track(track) => self.verdicts.get(track as usize) == Some(&0),
                    _ => true,
                };
                let outcome = RunOutcome::Exited(i32::from(!is_good));
                self.feed(now, Event::Ran { id, outcome, took: RUN_TIME }, random, sent);
            }
        }
        self.reschedule();
    }

    fn first_frame(&self, now: Instant) -> Option<usize> {
        let due = self.inbox.iter().enumerate().filter(|(_, a)| a.at <= now);
        due.min_by_key(|(_, a)| a.at).map(|(at, _)| at)
    }

    /// Hands a frame to every socket that lets it through.
    fn hear(&mut self, now: Instant, arrived: &Arrived, random: &mut Random, sent: &mut Vec<Sent>) {
        let bytes = &arrived.bytes;
        let (family, to) = match bytes.get(12..14) {
            Some([0x08, 0x00]) => {
                (Family::V4, bytes.get(30..34).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(IpAddr::from))
            }
            _ => (Family::V6, bytes.get(38..54).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(IpAddr::from)),
        };
        let Some(to) = to else { return };
        let name = lan_name(arrived.lan);
        let mut indexes: Vec<u32> = Vec::new();
        for ear in &self.ears {
            let is_there = self.kernel.base_of(ear.index).is_some_and(|l| l.name.as_str() == name)
                && self.kernel.link(ear.index).is_some_and(|l| l.running);
            let fits = match ear.group {
                Some(group) => to == group,
                None => self.kernel.is_at(to, ear.index),
            };
            if is_there && fits && ear.family == family && !indexes.contains(&ear.index) {
                indexes.push(ear.index);
            }
        }
        for index in indexes {
            self.feed(now, Event::Frame { index, bytes, truncated: false }, random, sent);
        }
    }

    // ---- the engine

    fn feed(&mut self, now: Instant, event: Event<'_>, random: &mut Random, sent: &mut Vec<Sent>) {
        let Some(mut engine) = self.engine.take() else { return };
        if engine.wants_clock() {
            let micros = now.total_micros() + self.clock_ahead * 1_000_000;
            engine.set_unix_time(Duration::from_micros(micros as u64));
        }
        engine.handle(now, event, &mut self.actions);
        let mut is_finished = self.act(now, &engine, random, sent);
        while let Some(event) = self.pending.pop_front() {
            engine.handle(now, event, &mut self.actions);
            is_finished |= self.act(now, &engine, random, sent);
        }
        for (state, vr) in engine.states().zip(&self.vrs) {
            self.states[*vr] = Some(state);
        }
        self.engine = Some(engine);
        if is_finished {
            self.kill(now);
        }
    }

    fn act(&mut self, now: Instant, engine: &Engine, random: &mut Random, sent: &mut Vec<Sent>) -> bool {
        let mut is_finished = false;
        while let Some(action) = self.actions.take() {
            match action {
                Action::Transmit { index, frame } => {
                    let bytes = self.actions.bytes(&frame);
                    // Announcements are for hosts and switches.
                    if is_advert(bytes) {
                        self.transmit(index, bytes.into(), None, sent);
                    }
                }
                Action::TransmitPacket { index, packet } => {
                    let (bytes, to) = framed(self.actions.bytes(&packet));
                    self.transmit(index, bytes, to, sent);
                }
                Action::AddAddress { index, cidr, lease, .. } => {
                    self.change_address(now, (index, cidr), AddressOp::Add, lease.map(|l| now + l), random);
                }
                Action::RemoveAddress { index, cidr, .. } => {
                    self.change_address(now, (index, cidr), AddressOp::Remove, None, random);
                }
                Action::Listen(ear) if random.percent(self.refuse_percent) => {
                    let why = cut(format_args!("packet socket: out of memory"));
                    self.pending.push_back(Event::ListenFailed { ear, why });
                }
                Action::Listen(ear) if !self.ears.contains(&ear) => self.ears.push(ear),
                Action::Listen(_) => {}
                Action::Unlisten(ear) => self.ears.retain(|e| *e != ear),
                Action::WatchRoutes { routes, rules } => {
                    let (was_routes, was_rules) = self.kernel.watched;
                    self.kernel.watched = (routes, rules);
                    if (routes && !was_routes) || (rules && !was_rules) {
                        self.want_dump(now);
                    }
                }
                Action::Redump => self.want_dump(now),
                Action::ChangeRoute { token, op, index, route } => {
                    let result = match random.percent(self.refuse_percent) {
                        true => Err(Refusal::Busy),
                        false => self.kernel.change_route(now, op, index, &route),
                    };
                    self.pending.push_back(Event::RouteResult { token, result });
                }
                Action::ChangeRule { token, op, rule } => {
                    let result = match random.percent(self.refuse_percent) {
                        true => Err(Refusal::Busy),
                        false => self.kernel.change_rule(now, op, &rule),
                    };
                    self.pending.push_back(Event::RouteResult { token, result });
                }
                Action::MakeMacvlan { parent, name, mac, .. } => {
                    let result = match random.percent(self.refuse_percent) {
                        true => Err(Refusal::Busy),
                        false => self.kernel.make_macvlan(now, parent, name, mac),
                    };
                    let failed = |refusal| Event::LinkFailed { name, refusal };
                    self.pending.extend(result.err().map(failed));
                }
                Action::SetLink { index, name, up } => {
                    let base = self.kernel.base_of(index).is_some_and(|l| l.running);
                    if random.percent(self.refuse_percent) || self.kernel.link(index).is_none() {
                        self.pending.push_back(Event::LinkFailed { name, refusal: Refusal::Busy });
                    } else {
                        self.kernel.set_up(now, index, up, base);
                    }
                }
                Action::RemoveLink { index, name } => {
                    if random.percent(self.refuse_percent) || self.kernel.link(index).is_none() {
                        self.pending.push_back(Event::LinkFailed { name, refusal: Refusal::Busy });
                    } else {
                        self.kernel.unplug(now, index);
                    }
                }
                Action::Run(id) => self.runs.push((now + RUN_TIME, id)),
                Action::StopRun(id) => self.runs.retain(|(_, run)| *run != id),
                Action::StartProbe(id) => {
                    let took = Duration::ZERO;
                    self.pending.push_back(Event::Probe { id, outcome: Outcome::Passed, took });
                }
                Action::Ipvs { token, .. } => {
                    let why = cut(format_args!("no ip_vs"));
                    self.pending.push_back(Event::Ipvs(IpvsEvent::Absent { why }));
                    let result = Err(Refusal::NotFound);
                    self.pending.push_back(Event::Ipvs(IpvsEvent::Done { token, result }));
                }
                Action::SendMail { id } => self.pending.push_back(Event::Mail { id, result: Ok(()) }),
                Action::Note { number } if self.verbose => {
                    let note = engine.note(number).expect("a note has its text");
                    let at = now.total_micros() - 1_000_000_000_000;
                    println!("{at:>12} {} {} {}: {}", self.name(), note.kind, note.subject, note.text);
                }
                Action::Finished => is_finished = true,
                Action::Note { .. }
                | Action::HoldSetting { .. }
                | Action::ReleaseSetting { .. }
                | Action::Resolve(_)
                | Action::HoldIpvsSetting { .. }
                | Action::ReleaseIpvsSetting { .. }
                | Action::UseIpvsInterface(_)
                | Action::RememberServices
                | Action::RememberTimeouts(_)
                | Action::RememberDaemons(_)
                | Action::SettingsSettled
                | Action::Fifo { .. }
                | Action::StopProbe(_) => {}
            }
        }
        self.actions.clear();
        is_finished
    }

    fn want_dump(&mut self, now: Instant) {
        let at = now + Duration::from_millis(1);
        self.dump_at = Some(self.dump_at.map_or(at, |old| old.min(at)));
    }

    fn transmit(&mut self, index: u32, bytes: Rc<[u8]>, unicast: Option<IpAddr>, sent: &mut Vec<Sent>) {
        match self.kernel.base_of(index).filter(|l| l.running) {
            Some(link) => {
                let lan = usize::from(link.name.as_str() == lan_name(1));
                // Under another name it is plugged in nowhere.
                if link.name.as_str() == lan_name(lan) {
                    sent.push(Sent { lan, bytes, unicast });
                }
            }
            None => self.pending.push_back(Event::TransmitFailed { index, refusal: Refusal::Down }),
        }
    }

    fn change_address(
        &mut self,
        now: Instant,
        (index, cidr): (u32, Cidr),
        op: AddressOp,
        until: Option<Instant>,
        random: &mut Random,
    ) {
        let is_stuck = self.never_removes && op == AddressOp::Remove;
        let result = if random.percent(self.refuse_percent) || is_stuck {
            Err(Refusal::Busy)
        } else {
            self.kernel.change_address(now, (index, cidr), op, until)
        };
        self.pending.push_back(Event::AddressResult { index, cidr, op, result });
    }
}

fn event(notice: Notice) -> Event<'static> {
    match notice {
        Notice::Link(link) => Event::Link(link),
        Notice::LinkGone(index) => Event::LinkGone { index },
        Notice::Address(index, cidr, change) => Event::Address { index, cidr, change },
        Notice::Route(route, is_present) => Event::Route { route, is_present },
        Notice::Rule(rule, is_present) => Event::Rule { rule, ours: true, is_present },
    }
}

/// Protocol 112 over IPv4, or directly over IPv6.
fn is_advert(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&112),
        Some([0x86, 0xdd]) => frame.get(20) == Some(&112),
        _ => false,
    }
}

/// An IP packet as the neighbour gets it, and where it goes.
fn framed(packet: &[u8]) -> (Rc<[u8]>, Option<IpAddr>) {
    let is_ipv4 = packet.first().is_some_and(|b| b >> 4 == 4);
    let to = if is_ipv4 {
        packet.get(16..20).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(IpAddr::from)
    } else {
        packet.get(24..40).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(IpAddr::from)
    };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(if is_ipv4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame.extend(packet);
    (frame.into(), to)
}
