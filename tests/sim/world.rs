//! The LAN, the clock, and the course of a run: faults for a while, then none.

use crate::checker::Checker;
use crate::faults::Fault;
use crate::node::{Node, Sent};
use crate::random::Random;
use std::net::Ipv4Addr;
use vipd::model::{Cidr, Family, Instance, Priority, Version, Vrid, cut, status::InstanceState};
use vipd::time::{Duration, Instant};

/// How long faults go on, and how long the end may take.
const TROUBLED: Duration = Duration::from_secs(600);

/// What a run amounted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) frames: u64,
    pub(crate) frames_lost: u64,
    pub(crate) faults: u64,
    pub(crate) failovers: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Summary) {
        self.frames += other.frames;
        self.frames_lost += other.frames_lost;
        self.faults += other.faults;
        self.failovers += other.failovers;
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    /// Which side of a partition each node is on.
    pub(crate) side: Vec<u8>,
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) delay_max: Duration,
    /// The last time the LAN did something to a frame, or changed.
    pub(crate) lan_disturbed_at: Instant,
    pub(crate) random: Random,
    pub(crate) summary: Summary,
    deaf: bool,
    verbose: bool,
    last_active: Option<usize>,
}

impl World {
    pub(crate) fn new(mut random: Random, verbose: bool) -> Self {
        let now = Instant::from_secs(1_000_000);
        let count = 2 + random.below(3) as usize;
        let shared = instance(&mut random);
        let nodes = (0..count)
            .map(|n| {
                let priority = if random.percent(20) { 100 } else { 1 + random.below(254) as u8 };
                let config = Instance { priority: Priority::new(priority).unwrap(), ..shared.clone() };
                let address = Ipv4Addr::new(192, 0, 2, 10 + n as u8);
                Node::new(char::from(b'a' + n as u8), address, config, now)
            })
            .collect();
        World {
            now,
            nodes,
            side: vec![0; count],
            loss_percent: 0,
            duplicate_percent: 0,
            delay_max: Duration::from_millis(2),
            lan_disturbed_at: now,
            random,
            summary: Summary::default(),
            deaf: false,
            verbose,
            last_active: None,
        }
    }

    /// For the test of the checkers: no frame arrives, and nobody admits it.
    pub(crate) fn break_hearing(&mut self) {
        self.deaf = true;
    }

    /// For the test of the checkers: the kernel refuses every removal.
    pub(crate) fn break_removal(&mut self) {
        for node in &mut self.nodes {
            node.never_removes = true;
            node.config.lease = None;
        }
    }

    pub(crate) fn run(&mut self) -> Result<Summary, String> {
        for at in 0..self.nodes.len() {
            self.act(at, Node::start);
        }
        let mut checker = Checker::new(self);
        let end_of_trouble = self.now + TROUBLED;
        let mut next_fault = self.now + Duration::from_secs(5);
        while self.now < end_of_trouble {
            if next_fault <= self.now {
                Fault::strike(self);
                self.summary.faults += 1;
                next_fault =
                    self.now + self.random.between(Duration::from_millis(50), Duration::from_secs(20));
            }
            self.step(next_fault.min(end_of_trouble));
            checker.check(self)?;
        }
        Fault::heal(self);
        let settled_at = self.now + checker.settling(self);
        while self.now < settled_at {
            self.step(settled_at);
            checker.check(self)?;
        }
        let watch_until = self.now + Duration::from_secs(30);
        while self.now < watch_until {
            checker.check_settled(self)?;
            self.step(watch_until);
        }
        Ok(self.summary)
    }

    /// On to the next thing that happens, at most to `limit`.
    fn step(&mut self, limit: Instant) {
        let next = self.nodes.iter().filter_map(Node::next_at).min().unwrap_or(limit);
        self.now = next.clamp(self.now, limit);
        for at in 0..self.nodes.len() {
            self.act(at, Node::turn);
        }
        self.count_failover();
    }

    /// Lets a node do something, and puts what it sends on the LAN.
    pub(crate) fn act(
        &mut self,
        at: usize,
        what: impl FnOnce(&mut Node, Instant, &mut Random, &mut Vec<Sent>),
    ) {
        let mut sent = Vec::new();
        what(&mut self.nodes[at], self.now, &mut self.random, &mut sent);
        for Sent(frame) in sent {
            self.carry(at, &frame);
        }
    }

    fn carry(&mut self, from: usize, frame: &[u8]) {
        // Announcements are for hosts and switches; the routers' filter does not let them through.
        if frame.get(12..14) != Some(&[8, 0]) {
            return;
        }
        for to in 0..self.nodes.len() {
            if to == from || self.side[to] != self.side[from] || !self.nodes[to].link_up || self.deaf {
                continue;
            }
            self.summary.frames += 1;
            if self.random.percent(self.loss_percent) {
                self.summary.frames_lost += 1;
                self.lan_disturbed_at = self.now;
                continue;
            }
            let copies = if self.random.percent(self.duplicate_percent) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = self.random.between(Duration::from_micros(50), self.delay_max);
                self.nodes[to].receive_later(self.now + delay, frame.to_vec());
            }
        }
    }

    fn count_failover(&mut self) {
        let active = self.nodes.iter().position(|n| n.state() == Some(InstanceState::Active));
        if active.is_some() && active != self.last_active {
            self.last_active = active;
            self.summary.failovers += 1;
        }
    }

    pub(crate) fn tell(&self, what: std::fmt::Arguments<'_>) {
        if self.verbose {
            println!("{:>12} {what}", self.now.total_micros() - 1_000_000_000_000);
        }
    }
}

/// What the routers of a world have in common.
fn instance(random: &mut Random) -> Instance {
    let version = if random.percent(50) { Version::V2 } else { Version::V3 };
    let advert_interval = match version {
        Version::V2 => Duration::from_secs(1 + random.below(2)),
        Version::V3 => Duration::from_millis(100 * (1 + random.below(20))),
    };
    let count = 1 + random.below(5) as u8;
    let (name, interface) = (cut(format_args!("VI")), cut(format_args!("lan0")));
    let vrid = Vrid::new(1 + random.below(255) as u8).unwrap();
    Instance {
        version,
        advert_interval,
        preempt: random.percent(80),
        addresses: (0..count)
            .map(|n| Cidr { address: Ipv4Addr::new(192, 0, 2, 100 + n).into(), prefix_len: 24 }.into())
            .collect(),
        lease: random.percent(90).then(|| Duration::from_secs(2 + random.below(4))),
        ..Instance::new(name, interface, vrid, Family::V4)
    }
}
