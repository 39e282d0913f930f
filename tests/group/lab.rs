//! Two routers with a group each, one LAN for each member, a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use vipd::engine::{Action, Actions, AddressChange, AddressOp, Engine, Event, Link, LinkKind, LinkName};
use vipd::model::status::{GroupStatus, InstanceState, InstanceStatus};
use vipd::model::{
    Cidr, Config, Family, Fifo, Fifos, Instance, Mail, MailServer, Notify, Priority, SyncGroup, Track,
    TrackKind, TrackUse, Version, Vrid, cut,
};
use vipd::time::{Duration, Instant};

/// Interface index of the first member; the others follow.
pub(crate) const FIRST: u32 = 2;

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A member with this priority, alone on its LAN.
pub(crate) fn member(number: usize, priority: u8) -> Instance {
    let name = cut(format_args!("VI_{number}"));
    let interface = cut(format_args!("eth{number}"));
    let vrid = Vrid::new(number as u8 + 1).unwrap();
    Instance {
        priority: Priority::new(priority).unwrap(),
        addresses: vec![vip(number).into()],
        ..Instance::new(name, interface, vrid, Family::V4)
    }
}

pub(crate) fn vip(number: usize) -> Cidr {
    Cidr { address: Ipv4Addr::new(10, number as u8, 0, 100).into(), prefix_len: 32 }
}

/// All instances are members of `VG`.
pub(crate) fn config(priorities: &[u8]) -> Config {
    let instances: Vec<Instance> =
        priorities.iter().enumerate().map(|(number, priority)| member(number, *priority)).collect();
    Config { groups: vec![group(0..instances.len())], instances, ..Config::default() }
}

pub(crate) fn group(members: impl Iterator<Item = usize>) -> SyncGroup {
    SyncGroup {
        name: cut(format_args!("VG")),
        members: members.collect(),
        tracks: Vec::new(),
        member_weights: false,
        notify: Notify::default(),
    }
}

/// A tracked file: its number is added (weight 1), or makes unfit (weight 0).
pub(crate) fn track(config: &mut Config, name: &str) -> usize {
    let path = format!("/run/{name}");
    config.tracks.push(Track { name: cut(format_args!("{name}")), kind: TrackKind::File { path } });
    config.tracks.len() - 1
}

pub(crate) fn used(track: usize, weight: i16) -> TrackUse {
    TrackUse { track, weight, reverse: false }
}

/// With mails and a FIFO that is told of everything.
pub(crate) fn told(config: Config) -> Config {
    let mail = Mail {
        server: MailServer::Ip("192.0.2.25:25".parse().unwrap()),
        from: "a@b".into(),
        to: vec!["c@d".into()],
        timeout: secs(5),
        helo: None,
    };
    let all = Fifo { path: "/run/fifo".into(), user: None, group: None, script: None };
    Config { mail: Some(mail), fifos: Fifos { all: Some(all), ..Fifos::default() }, ..config }
}

pub(crate) struct Router {
    pub(crate) engine: Engine,
    name: char,
    host: u8,
    down: BTreeSet<u32>,
    pub(crate) addresses: BTreeMap<(u32, Cidr), bool>,
    /// (member, priority) of adverts.
    pub(crate) adverts: Vec<(Instant, usize, u8)>,
    pub(crate) fifo: Vec<String>,
    pub(crate) mails: Vec<String>,
    pub(crate) lines: Vec<String>,
    pub(crate) is_finished: bool,
    members: usize,
    /// How often the state of the first member changed.
    pub(crate) changes: u32,
}

/// A frame on its way: when, to which router, on which interface.
struct Flight {
    at: Instant,
    to: usize,
    index: u32,
    bytes: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) routers: Vec<Router>,
    flights: Vec<Flight>,
    pub(crate) delay: Duration,
    /// LANs that carry nothing.
    pub(crate) cut: BTreeSet<u32>,
    /// Members may differ, for a while, after a reload.
    pub(crate) may_differ: bool,
}

impl World {
    /// Two routers, both start now.
    pub(crate) fn new(a: &Config, b: &Config, seed: u32) -> Self {
        let mut world = Self::empty();
        world.start('a', a, seed);
        world.start('b', b, seed);
        world
    }

    pub(crate) fn empty() -> Self {
        World {
            now: Instant::from_secs(1000),
            routers: Vec::new(),
            flights: Vec::new(),
            delay: Duration::from_millis(1),
            cut: BTreeSet::new(),
            may_differ: false,
        }
    }

    pub(crate) fn start(&mut self, name: char, config: &Config, seed: u32) {
        let host = self.routers.len() as u8 + 1;
        self.routers.push(Router {
            // Both have the same name and seed, as two boxes of one image may.
            engine: Engine::new(config, "router", seed, self.now),
            name,
            host,
            down: BTreeSet::new(),
            addresses: BTreeMap::new(),
            adverts: Vec::new(),
            fifo: Vec::new(),
            mails: Vec::new(),
            lines: Vec::new(),
            is_finished: false,
            members: config.instances.len(),
            changes: 0,
        });
        let router = self.routers.len() - 1;
        self.feed(router, Event::DumpStart);
        for number in 0..4 {
            let index = FIRST + number;
            let change = AddressChange::Present { ours: false, secondary: false };
            let cidr = Cidr { address: Ipv4Addr::new(10, number as u8, 0, host).into(), prefix_len: 24 };
            self.feed(router, Event::Link(link(index, host, true)));
            self.feed(router, Event::Address { index, cidr, change });
        }
        self.feed(router, Event::DumpEnd);
    }

    pub(crate) fn feed(&mut self, router: usize, event: Event<'_>) {
        let before = self.states(router);
        let mut actions = Actions::new();
        let mut answers = Vec::new();
        let node = &mut self.routers[router];
        node.engine.handle(self.now, event, &mut actions);
        while let Some(action) = actions.take() {
            match action {
                Action::Transmit { index, frame } => {
                    let bytes = actions.bytes(&frame);
                    if bytes.get(12..14) == Some(&[8, 0]) {
                        node.adverts.push((self.now, (index - FIRST) as usize, bytes[36]));
                    }
                    if !node.down.contains(&index) && !self.cut.contains(&index) {
                        let (at, to) = (self.now + self.delay, 1 - router);
                        self.flights.push(Flight { at, to, index, bytes: bytes.to_vec() });
                    }
                }
                Action::AddAddress { index, cidr, .. } => {
                    node.addresses.insert((index, cidr), true);
                    answers.push((index, cidr, AddressOp::Add));
                }
                Action::RemoveAddress { index, cidr, .. } => {
                    node.addresses.remove(&(index, cidr));
                    answers.push((index, cidr, AddressOp::Remove));
                }
                Action::Fifo { line, .. } => node.fifo.push(line.as_str().into()),
                Action::SendMail { id } => {
                    node.mails.push(node.engine.letter(id).unwrap().0.subject.as_str().into());
                }
                Action::Note { number } => {
                    let note = node.engine.note(number).unwrap();
                    node.lines.push(format!("{} {}: {}", note.kind, note.subject, note.text));
                }
                Action::Finished => node.is_finished = true,
                _ => {}
            }
        }
        let after = self.states(router);
        if before.first() != after.first() {
            self.routers[router].changes += 1;
        }
        if !self.may_differ {
            // Who waits for a first result holds nothing, as a Backup holds nothing.
            let held = |state: InstanceState| match state {
                InstanceState::Initialize => InstanceState::Backup,
                other => other,
            };
            assert!(
                after.windows(2).all(|pair| held(pair[0]) == held(pair[1])),
                "members of {} differ at {}: {after:?}",
                self.routers[router].name,
                self.now
            );
        }
        for (index, cidr, op) in answers {
            self.feed(router, Event::AddressResult { index, cidr, op, result: Ok(()) });
        }
    }

    /// Mails are handed over.
    pub(crate) fn deliver_mails(&mut self, router: usize) {
        for id in 0..100 {
            self.feed(router, Event::Mail { id, result: Ok(()) });
        }
    }

    pub(crate) fn reload(&mut self, router: usize, config: &Config) {
        self.routers[router].members = config.instances.len();
        self.feed(router, Event::Reload(Box::new(config.clone())));
    }

    pub(crate) fn set_link(&mut self, router: usize, member: usize, up: bool) {
        let index = FIRST + member as u32;
        let node = &mut self.routers[router];
        if up {
            node.down.remove(&index)
        } else {
            node.down.insert(index)
        };
        let host = node.host;
        self.feed(router, Event::Link(link(index, host, up)));
    }

    pub(crate) fn number(&mut self, router: usize, track: usize, value: i32) {
        self.feed(router, Event::TrackedFile { track, value: Ok(value) });
    }

    #[track_caller]
    pub(crate) fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        for _ in 0..2_000_000 {
            let frame = self.flights.iter().map(|f| f.at).min();
            let live = self.routers.iter().filter(|r| !r.is_finished);
            let tick = live.filter_map(|r| r.engine.next_deadline()).min();
            let Some(at) = frame.into_iter().chain(tick).min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            // Adverts before timers, as the loop does.
            if let Some(place) = self.flights.iter().position(|f| f.at <= self.now) {
                let Flight { to, index, bytes, .. } = self.flights.remove(place);
                let is_there = self.routers.get(to).is_some_and(|r| !r.is_finished);
                if is_there && !self.routers[to].down.contains(&index) {
                    self.feed(to, Event::Frame { index, bytes: &bytes, truncated: false });
                }
                continue;
            }
            for router in 0..self.routers.len() {
                let node = &self.routers[router];
                if !node.is_finished && node.engine.next_deadline().is_some_and(|at| at <= self.now) {
                    self.feed(router, Event::Tick);
                }
            }
        }
        panic!("the loop spins at {}", self.now);
    }

    pub(crate) fn states(&self, router: usize) -> Vec<InstanceState> {
        self.routers[router].engine.states().collect()
    }

    pub(crate) fn status(&self, router: usize, number: usize) -> InstanceStatus {
        self.routers[router].engine.snapshot(self.now).instances.swap_remove(number)
    }

    pub(crate) fn group(&self, router: usize) -> GroupStatus {
        self.routers[router].engine.snapshot(self.now).groups.swap_remove(0)
    }

    /// Are all members in this state, the group, too, and the addresses where they belong?
    #[track_caller]
    pub(crate) fn expect(&self, router: usize, state: InstanceState, why: &str) {
        let node = &self.routers[router];
        let states = self.states(router);
        assert_eq!(states, vec![state; node.members], "router {} at {}: {why}", node.name, self.now);
        assert_eq!(self.group(router).state, state, "router {}: its group: {why}", node.name);
        let wanted = if state == InstanceState::Active { node.members } else { 0 };
        assert_eq!(node.addresses.len(), wanted, "router {}: its addresses (law 3): {why}", node.name);
    }

    /// The router that is Active with all of its members, the other being Backup with all of its own.
    pub(crate) fn one_active(&self) -> Result<usize, String> {
        let all = |router: usize, state| self.states(router).iter().all(|s| *s == state);
        for router in 0..2 {
            if all(router, InstanceState::Active) && all(1 - router, InstanceState::Backup) {
                return Ok(router);
            }
        }
        Err(format!("at {}: a {:?}, b {:?}", self.now, self.states(0), self.states(1)))
    }
}

fn link(index: u32, host: u8, running: bool) -> Link {
    let name: vipd::model::IfName = cut(format_args!("eth{}", index - FIRST));
    Link {
        index,
        name: LinkName::new(&name),
        up: true,
        running,
        mac: Some([2, 0, 0, 0, host, index as u8]),
        mtu: 1500,
        forwards_ipv6: false,
        kind: LinkKind::Other,
    }
}

/// v3 with this interval.
pub(crate) fn quick(mut config: Config, interval: Duration) -> Config {
    for instance in &mut config.instances {
        instance.version = Version::V3;
        instance.advert_interval = interval;
    }
    config
}
