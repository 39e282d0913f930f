//! The LANs, the clock, and the course of a run: faults for a while, then none, then the end.

use crate::checker::Checker;
use crate::faults::Fault;
use crate::node::{Arrived, Node, Sent};
use crate::plan::{Plan, base};
use crate::random::Random;
use std::rc::Rc;
use vipd::model::{Config, Family, Instance};
use vipd::time::{Duration, Instant};

/// How often what lasts is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What a run amounted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) frames: u64,
    pub(crate) frames_lost: u64,
    pub(crate) faults: u64,
    pub(crate) failovers: u64,
    /// Takeovers in which the rules of preemption were looked at.
    pub(crate) judged: u64,
    /// Times that two Active routers were looked at that should hear each other.
    pub(crate) contests: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Summary) {
        self.frames += other.frames;
        self.frames_lost += other.frames_lost;
        self.faults += other.faults;
        self.failovers += other.failovers;
        self.judged += other.judged;
        self.contests += other.contests;
    }
}

pub(crate) struct Lan {
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) delay_max: Duration,
    /// Which side of a partition each node is on.
    pub(crate) side: Vec<u8>,
    /// The last time that any of it changed.
    pub(crate) changed_at: Instant,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    pub(crate) lans: Vec<Lan>,
    pub(crate) random: Random,
    pub(crate) summary: Summary,
    pub(crate) verbose: bool,
    /// The priorities of each node, by virtual router.
    pub(crate) priorities: Vec<Vec<Option<u8>>>,
    /// When the last advert of a virtual router from one node to another was lost.
    lost_at: Vec<Instant>,
    /// When a resignation (priority 0) of a virtual router last came to a node, whoever it was from.
    resigned_at: Vec<Instant>,
    deaf: bool,
    sent: Vec<Sent>,
    troubled: Duration,
}

impl World {
    pub(crate) fn new(mut random: Random, troubled: Duration, verbose: bool) -> Self {
        let now = Instant::from_secs(1_000_000);
        let count = 2 + random.index(3);
        let plan = Plan::new(&mut random, count);
        let mut priorities = Vec::new();
        let mut nodes: Vec<Node> = Vec::new();
        for number in 0..count {
            let own: Vec<Option<u8>> = plan.vrs.iter().map(|_| Some(priority(&mut random))).collect();
            let config = plan.config(&mut random, number, &own);
            let mut node = Node::new(number, plan.lans, config, plan.vrs.len(), now);
            node.vrs = (0..plan.vrs.len()).collect();
            node.verbose = verbose;
            nodes.push(node);
            priorities.push(own);
        }
        let lan = || Lan {
            loss_percent: 0,
            duplicate_percent: 0,
            delay_max: Duration::from_millis(2),
            side: vec![0; count],
            changed_at: now,
        };
        let world = World {
            now,
            lans: (0..plan.lans).map(|_| lan()).collect(),
            lost_at: vec![now; plan.vrs.len() * count * count],
            resigned_at: vec![now; plan.vrs.len() * count],
            plan,
            nodes,
            random,
            summary: Summary::default(),
            verbose,
            priorities,
            deaf: false,
            sent: Vec::new(),
            troubled,
        };
        if verbose {
            for (node, own) in world.nodes.iter().zip(&world.priorities) {
                println!("{}: {own:?} {:#?}", node.name(), node.config);
            }
        }
        world
    }

    /// For the test of the checkers: no frame arrives, and nobody admits it.
    pub(crate) fn break_hearing(&mut self) {
        self.deaf = true;
    }

    /// For the test of the checkers: the kernel refuses every removal.
    pub(crate) fn break_removal(&mut self) {
        for node in &mut self.nodes {
            node.never_removes = true;
            node.config.instances.iter_mut().for_each(unleased);
        }
        self.plan.vrs.iter_mut().for_each(|vr| unleased(&mut vr.config));
    }

    pub(crate) fn run(&mut self) -> Result<Summary, String> {
        let mut checker = Checker::new(self);
        for at in 0..self.nodes.len() {
            self.act(at, Node::start);
        }
        let end_of_trouble = self.now + self.troubled;
        let mut next_fault = self.now + Duration::from_secs(5);
        while self.now < end_of_trouble {
            if next_fault <= self.now {
                Fault::strike(self);
                self.summary.faults += 1;
                let pause = self.random.between(Duration::from_millis(50), Duration::from_secs(20));
                next_fault = self.now + pause;
                checker.after_all(self)?;
            }
            self.step(next_fault.min(end_of_trouble), &mut checker)?;
        }
        Fault::heal(self);
        checker.after_all(self)?;
        let configs: Vec<Config> = self.nodes.iter().map(|n| n.config.clone()).collect();
        let settled_at = self.now + self.plan.settling(&configs);
        while self.now < settled_at {
            self.step(settled_at, &mut checker)?;
        }
        let watch_until = self.now + Duration::from_secs(10);
        while self.now < watch_until {
            checker.check_settled(self)?;
            let until = self.now + Duration::from_millis(500);
            while self.now < until {
                self.step(until, &mut checker)?;
            }
        }
        self.end(&mut checker)?;
        Ok(self.summary)
    }

    /// All leave, one after the other.
    fn end(&mut self, checker: &mut Checker) -> Result<(), String> {
        for at in 0..self.nodes.len() {
            self.tell(format_args!("{} is stopped", self.nodes[at].name()));
            self.act(at, Node::stop);
            checker.after(self, at)?;
            let until = self.now + Duration::from_secs(6);
            while self.now < until {
                self.step(until, checker)?;
            }
            checker.check_gone(self, at)?;
        }
        Ok(())
    }

    /// On to the next thing that happens, at most to `limit`.
    fn step(&mut self, limit: Instant, checker: &mut Checker) -> Result<(), String> {
        let next = self.nodes.iter().enumerate().filter_map(|(at, n)| Some((n.next_at()?, at))).min();
        let limit = limit.min(checker.looked_at + LOOK_INTERVAL);
        match next {
            Some((time, at)) if time <= limit => {
                self.now = time.max(self.now);
                self.act(at, Node::turn);
                checker.after(self, at)?;
            }
            Some(_) | None => self.now = limit.max(self.now),
        }
        if self.now >= checker.looked_at + LOOK_INTERVAL {
            checker.look(self)?;
        }
        Ok(())
    }

    /// Lets a node do something, and puts what it sends on the LANs.
    pub(crate) fn act(
        &mut self,
        at: usize,
        what: impl FnOnce(&mut Node, Instant, &mut Random, &mut Vec<Sent>),
    ) {
        let mut sent = core::mem::take(&mut self.sent);
        what(&mut self.nodes[at], self.now, &mut self.random, &mut sent);
        self.nodes[at].reschedule();
        for frame in sent.drain(..) {
            self.carry(at, &frame);
        }
        self.sent = sent;
    }

    fn carry(&mut self, from: usize, frame: &Sent) {
        let vr = self.vr_of(frame);
        for to in 0..self.nodes.len() {
            let lan = &self.lans[frame.lan];
            let node = &self.nodes[to];
            let is_for = |address| {
                let own = |family| base(to, frame.lan, family).address == address;
                own(Family::V4) || own(Family::V6)
            };
            if to == from
                || lan.side[to] != lan.side[from]
                || !node.is_on(frame.lan)
                || self.deaf
                || !frame.unicast.is_none_or(is_for)
            {
                continue;
            }
            self.summary.frames += 1;
            if self.random.percent(lan.loss_percent) {
                self.summary.frames_lost += 1;
                if let Some(vr) = vr {
                    let place = self.pair(vr, from, to);
                    self.lost_at[place] = self.now;
                }
                continue;
            }
            let copies = if self.random.percent(lan.duplicate_percent) { 2 } else { 1 };
            for _ in 0..copies {
                // Reordering comes of it: each frame has its own delay.
                let delay = self.random.between(Duration::from_micros(50), lan.delay_max);
                if let Some(vr) = vr.filter(|_| is_resignation(&frame.bytes)) {
                    let at = &mut self.resigned_at[vr * self.nodes.len() + to];
                    *at = (*at).max(self.now + delay);
                }
                let bytes = Rc::clone(&frame.bytes);
                self.nodes[to].receive_later(Arrived { at: self.now + delay, lan: frame.lan, bytes });
            }
        }
    }

    /// Which virtual router an advert is of.
    fn vr_of(&self, frame: &Sent) -> Option<usize> {
        let (family, header) =
            if frame.bytes.get(12) == Some(&8) { (Family::V4, 20) } else { (Family::V6, 40) };
        let vrid = *frame.bytes.get(14 + header + 1)?;
        self.plan
            .vrs
            .iter()
            .position(|v| (v.lan, v.config.family, v.config.vrid.get()) == (frame.lan, family, vrid))
    }

    fn pair(&self, vr: usize, from: usize, to: usize) -> usize {
        (vr * self.nodes.len() + from) * self.nodes.len() + to
    }

    /// Do the two hear each other, as far as the world is concerned?
    pub(crate) fn are_connected(&self, vr: usize, a: usize, b: usize) -> bool {
        let lan = self.plan.vrs[vr].lan;
        let works = |n: usize| self.nodes[n].is_running() && self.nodes[n].is_on(lan);
        self.lans[lan].side[a] == self.lans[lan].side[b] && works(a) && works(b)
    }

    /// Since when nothing has come between the two.
    pub(crate) fn calm_since(&self, vr: usize, a: usize, b: usize) -> Instant {
        let lost = self.lost_at[self.pair(vr, a, b)].max(self.lost_at[self.pair(vr, b, a)]);
        let nodes = self.nodes[a].disturbed_at.max(self.nodes[b].disturbed_at);
        lost.max(nodes).max(self.lans[self.plan.vrs[vr].lan].changed_at)
    }

    /// When the last resignation came to a node. It shortens the node's wait, whoever it is from (FSM-14,
    /// B-49): a router that wakes up and steps down lets others take over from the one that lives.
    pub(crate) fn resigned_at(&self, vr: usize, node: usize) -> Instant {
        self.resigned_at[vr * self.nodes.len() + node]
    }

    pub(crate) fn tell(&self, what: std::fmt::Arguments<'_>) {
        if self.verbose {
            println!("{:>12} {what}", self.now.total_micros() - 1_000_000_000_000);
        }
    }
}

/// Is an advert's priority 0?
fn is_resignation(frame: &[u8]) -> bool {
    let header = if frame.get(12) == Some(&8) { 20 } else { 40 };
    frame.get(14 + header + 2) == Some(&0)
}

/// What neither ends by itself nor goes with its interface.
fn unleased(config: &mut Instance) {
    (config.lease, config.virtual_mac) = (None, None);
}

pub(crate) fn priority(random: &mut Random) -> u8 {
    match random.below(20) {
        0..4 => 100,
        4 => 255,
        _ => 1 + random.below(254) as u8,
    }
}
