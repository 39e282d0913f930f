//! Random events against the engine: interfaces, addresses, frames good and bad, refusals, reloads, time,
//! and at the end the leave. Held after every step: no panic, no deadline that a tick does not move, a bad
//! frame changes nothing. Held after every rest: a VIP is on the box exactly while its instance is Active,
//! and groups are those of the instances. `VIPD_SEED=n` runs one seed alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code, reason = "a test")]

#[path = "sim/random.rs"]
mod random;
mod router;

use random::Random;
use router::{Refused, Router, advert_of, base, config, instance, link, vip};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use vipd::engine::{AddressOp, Ear, Event, Link, Refusal};
use vipd::model::status::InstanceState;
use vipd::model::{Config, Family, Garp, Instance, Priority, Version, cut};
use vipd::time::Duration;
use vipd::wire::vrrp::{Expect, ExpectAuth, check, open};

const SEEDS: u64 = 400;
const STEPS: u64 = 120;
const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 3] = ["eth0", "eth1", "lan0"];
const GROUPS: [Ipv4Addr; 2] = [Ipv4Addr::new(224, 0, 0, 18), Ipv4Addr::new(234, 10, 10, 10)];
/// Nobody else's interval is above 1 s, and the lowest priority waits for less than 4 s: by then all is
/// decided.
const REST: Duration = Duration::from_secs(12);

#[test]
fn law3_whatever_happens_a_vip_is_where_its_instance_is_active() {
    let only = std::env::var("VIPD_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in (0..SEEDS).filter(|seed| only.is_none_or(|only: u64| only == *seed)) {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(run.is_ok(), "seed {seed} (VIPD_SEED={seed} runs it alone)");
    }
}

struct World {
    random: Random,
    router: Router,
    config: Config,
    next_index: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = some_config(&mut random);
        let mut router = Router::bare(&config);
        // What an earlier run or somebody else left.
        for (index, name) in (2..).zip(NAMES) {
            if random.percent(70) {
                router.links.insert(index, link(index, name));
                router.addresses.insert((index, base(index)), false);
                router.addresses.insert((index, vip(1 + random.below(8) as u8)), true);
            }
        }
        World { random, router, config, next_index: 5 }
    }

    fn run(mut self) {
        if self.random.percent(90) {
            self.router.dump();
        }
        for step in 0..self.random.below(STEPS) {
            self.step();
            self.router.settle();
            if step % 20 == 19 {
                self.rest();
            }
        }
        self.leave();
    }

    fn step(&mut self) {
        let index = 2 + self.random.below(u64::from(self.next_index) - 2) as u32;
        let cidr = vip(1 + self.random.below(8) as u8);
        match self.random.below(20) {
            0..6 => {
                let most = if self.random.percent(10) { SECOND * 5 } else { SECOND };
                let length = self.random.between(Duration::ZERO, most);
                self.router.pass(length);
            }
            6..9 => self.frame(index),
            9 => self.router.set_running(index, self.random.percent(60)),
            10 => self.change_link(index),
            11 => self.router.delete_link(index),
            12 => self.create_link(),
            13 => self.router.put_address(index, cidr),
            14 => self.router.take_address(index, cidr),
            15 => {
                if self.random.percent(50) {
                    self.router.take_address(index, base(index));
                } else {
                    self.router.put_address(index, base(index));
                }
            }
            16 | 17 => {
                self.config = some_config(&mut self.random);
                let config = self.config.clone();
                self.router.reload(&config);
            }
            18 => {
                self.router.is_deaf = self.random.percent(30);
                self.router.refused = match self.random.below(4) {
                    0 => Some(Refused::Adding(cidr)),
                    1 => Some(Refused::All),
                    _ => None,
                };
            }
            _ => self.stray(index),
        }
    }

    /// What no kernel would tell, or late.
    fn stray(&mut self, index: u32) {
        let cidr = vip(1 + self.random.below(8) as u8);
        match self.random.below(5) {
            0 => self.router.dump(),
            1 => self.router.feed(Event::DumpStart),
            2 => {
                let op = if self.random.percent(50) { AddressOp::Add } else { AddressOp::Remove };
                let result = Err(Refusal::Interrupted);
                self.router.feed(Event::AddressResult { index, cidr, op, result });
            }
            3 => self.router.feed(Event::TransmitFailed { index, refusal: Refusal::Busy }),
            // The notifications of an interface were lost, a dump tells.
            _ => {
                let name = self.router.links.get(&index).map(|l| l.name);
                if let Some(name) = name {
                    self.router.links.remove(&index);
                    self.router.addresses.retain(|(i, _), _| *i != index);
                    self.router.members.retain(|ear| ear.index != index);
                    let new = self.next_index;
                    self.next_index += 1;
                    self.router.links.insert(new, link(new, name.as_str()));
                    self.router.addresses.insert((new, base(new)), false);
                    self.router.dump();
                }
            }
        }
    }

    fn create_link(&mut self) {
        let name = NAMES[self.random.below(3) as usize];
        if self.router.index_of(name).is_none() {
            let index = self.next_index;
            self.next_index += 1;
            self.router.set_link(link(index, name));
            self.router.put_address(index, base(index));
        }
    }

    fn change_link(&mut self, index: u32) {
        let Some(link) = self.router.links.get(&index).copied() else { return };
        let name = NAMES[self.random.below(3) as usize];
        let changed = match self.random.below(3) {
            0 => Link { mtu: 68 + self.random.below(9000) as u32, ..link },
            1 => Link { mac: self.random.percent(70).then_some([2, 0, 0, 0, 0, 7]), ..link },
            _ if self.router.index_of(name).is_none() => {
                Link { name: vipd::engine::LinkName::new(name), ..link }
            }
            _ => return,
        };
        self.router.set_link(changed);
    }

    fn frame(&mut self, index: u32) {
        let Some(of) = self.config.instances.get(self.random.below(8) as usize).cloned() else { return };
        let index = self.router.index_of(&of.interface).filter(|_| self.random.percent(80)).unwrap_or(index);
        let from = Ipv4Addr::new(192, 0, 2, self.random.below(256) as u8);
        let priority = [0, 1, 99, 100, 101, 200, 255][self.random.below(7) as usize];
        let mut bytes = advert_of(&of, from, priority);
        match self.random.below(4) {
            0 => {
                let at = self.random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
            }
            1 => bytes.truncate(self.random.below(bytes.len() as u64) as usize),
            _ => {}
        }
        let expect = Expect {
            version: of.version,
            family: of.family,
            vrid: of.vrid.get(),
            destination: of.group,
            hops: (255, 255),
            authentication: ExpectAuth::None,
            advert_interval: of.advert_interval,
            may_be_empty: of.addresses.is_empty(),
        };
        let is_good = open(&bytes).is_ok_and(|envelope| check(&envelope, &expect).is_ok());
        let seen = |r: &Router| {
            let states: Vec<InstanceState> = r.engine.states().collect();
            (r.engine.next_deadline(), states, r.sent.len(), r.lines.len(), r.addresses.clone())
        };
        let before = seen(&self.router);
        self.router.hear(index, &bytes);
        if !is_good {
            assert!(before == seen(&self.router), "law 2: a bad packet changed something");
        }
    }

    /// Nothing happens for a while; then all is where it belongs.
    fn rest(&mut self) {
        (self.router.is_deaf, self.router.refused) = (false, None);
        self.router.dump();
        self.router.pass(REST);
        self.router.lines.clear();
        self.router.ticks = 0;
        self.router.pass(REST);
        let r = &self.router;
        let rest = REST.secs() as usize;
        assert!(r.lines.is_empty(), "log lines without news: {:?}", r.lines);
        let quick = self.config.instances.iter().map(|i| 1000 / i.advert_interval.total_millis() as usize);
        let most = (quick.sum::<usize>() + 30 * self.config.instances.len()) * rest;
        assert!(
            r.ticks <= most,
            "{} ticks in {rest} s, not more than {most} expected: {:?}",
            r.ticks,
            r.addresses
        );
        let mut groups = BTreeSet::new();
        let snapshot = r.engine.snapshot(r.now);
        for (of, status) in self.config.instances.iter().zip(&snapshot.instances) {
            assert_eq!((&of.interface, of.vrid.get()), (&status.interface, status.vrid));
            let index = r.index_of(&of.interface);
            let ear = |index| Ear { index, family: of.family, group: Some(of.group), joins: true };
            groups.extend(index.map(ear));
            let link = index.and_then(|index| r.links.get(&index));
            // PKT-25: any address that no vipd put there and that is not a VIP of its own will do.
            let has_source = r
                .addresses
                .iter()
                .any(|((i, cidr), ours)| Some(*i) == index && !ours && !of.has_address(cidr.address));
            if link.is_some_and(|l| l.running && l.mac.is_some()) && has_source {
                assert_eq!(status.state, InstanceState::Active, "nobody else is there: {}", status.cause);
            } else if !of.priority.is_owner() {
                assert_eq!(status.state, InstanceState::Fault, "{}", status.cause);
            }
            for cidr in of.addresses.iter().map(|a| &a.cidr) {
                let holders: Vec<u32> = r
                    .addresses
                    .iter()
                    .filter(|((_, c), _)| c == cidr)
                    .map(|((index, _), _)| *index)
                    .collect();
                let is_there = index.is_some_and(|index| holders.contains(&index));
                let is_active = status.state == InstanceState::Active;
                let is_the_owners =
                    of.priority.is_owner() && holders.iter().any(|h| !r.addresses[&(*h, *cidr)]);
                assert!(
                    is_there == is_active || is_the_owners,
                    "law 3: {cidr} of {} ({:?}: {}) is on {holders:?}",
                    of.name,
                    status.state,
                    status.cause
                );
            }
        }
        assert_eq!(r.members, groups, "memberships and instances differ");
    }

    fn leave(&mut self) {
        let is_refusing = self.router.refused.is_some();
        // Told to leave before the kernel's first dump was through, it has looked after nothing.
        let has_begun = self.router.engine.states().any(|s| s != InstanceState::Initialize);
        self.router.feed(Event::Shutdown);
        let index = 2;
        if self.random.percent(50) {
            let group = Some(vipd::wire::vrrp::GROUP.into());
            let ear = Ear { index, family: Family::V4, group, joins: true };
            self.router.feed(Event::ListenFailed { ear, why: cut(format_args!("late")) });
            self.router.dump();
            let config = self.config.clone();
            self.router.reload(&config);
        }
        self.router.pass(SECOND * 6);
        assert!(self.router.is_finished, "the leave does not end");
        let running = self.router.engine.states().any(|s| s != InstanceState::Initialize);
        assert!(!running, "an instance is alive after the end");
        let r = &self.router;
        for of in self.config.instances.iter().filter(|_| has_begun && !is_refusing) {
            let index = r.index_of(&of.interface);
            for cidr in of.addresses.iter().map(|a| &a.cidr) {
                let left = index.and_then(|index| r.addresses.get(&(index, *cidr)));
                assert_ne!(left, Some(&true), "{cidr} stays behind on {}", of.interface);
            }
        }
    }
}

fn v4(group: IpAddr) -> Ipv4Addr {
    match group {
        IpAddr::V4(group) => group,
        IpAddr::V6(_) => unreachable!("no IPv6 here"),
    }
}

/// Up to four instances; VIPs 1 to 8 belong to at most one.
fn some_config(random: &mut Random) -> Config {
    let mut free: Vec<u8> = (1..=8).collect();
    let mut instances: Vec<Instance> = Vec::new();
    for _ in 0..random.below(5) {
        let interface = NAMES[random.below(3) as usize];
        let vrid = 1 + random.below(3) as u8;
        if instances.iter().any(|i| i.interface == interface && i.vrid.get() == vrid) {
            continue;
        }
        let mut addresses = Vec::new();
        // None now and then: it only elects (PKT-14).
        for _ in 0..random.below(5) {
            if !free.is_empty() {
                addresses.push(vip(free.swap_remove(random.below(free.len() as u64) as usize)).into());
            }
        }
        let version = if random.percent(50) { Version::V2 } else { Version::V3 };
        let quick = version == Version::V3 && random.percent(30);
        let priorities = [1, 100, 100, 200, 255];
        instances.push(Instance {
            version,
            priority: Priority::new(priorities[random.below(5) as usize]).unwrap(),
            advert_interval: if quick { Duration::from_millis(100) } else { SECOND },
            preempt: random.percent(70),
            group: GROUPS[usize::from(random.percent(20))].into(),
            addresses,
            garp: Garp {
                delay: if random.percent(50) { SECOND * 2 } else { Duration::ZERO },
                repeat: 1 + random.below(5) as u8,
                refresh: if random.percent(30) { SECOND } else { Duration::ZERO },
                ..Garp::default()
            },
            lease: random.percent(60).then_some(SECOND * 3),
            ..instance(interface, vrid)
        });
    }
    config(&instances)
}
