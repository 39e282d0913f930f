//! Random events: whoever wants what, links, addresses, others who add and remove, refusals, lost
//! notifications, reloads, restarts. Held after every rest: all that is wanted and can be there is there, of
//! ours nothing else is, and what others made is untouched. `VIPD_SEED=n` runs one seed alone.

use super::kernel::{Kernel, OTHERS, Set, cidr, route, rule};
use super::*;
use crate::model::RouteKind;

const SEEDS: u64 = 400;
const STEPS: u64 = 60;
const SECOND: Duration = Duration::from_secs(1);
const NETS: [&str; 4] = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/64", "2001:db8:2::/64"];
const NAMES: [&str; 2] = ["eth0", "eth1"];
const SOURCES: [&str; 2] = ["10.0.0.100", "2001:db8::100"];

struct Random(u64);

impl Random {
    /// splitmix64.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn set(&mut self) -> Set {
        let mut routes: Vec<Route> = Vec::new();
        for _ in 0..self.below(5) {
            let (net, name) = (self.one(&NETS), self.one(&NAMES));
            let mut route = route(net, name);
            let is_ipv6 = route.destination.address.is_ipv6();
            match self.below(5) {
                0 => {
                    let gateway = if is_ipv6 { "2001:db8::fe" } else { "192.0.2.254" };
                    route.gateway = Some(gateway.parse().unwrap());
                    route.interface = route.interface.filter(|_| self.percent(50));
                }
                1 => route.source = Some(SOURCES[usize::from(is_ipv6)].parse().unwrap()),
                2 => (route.kind, route.interface) = (RouteKind::Prohibit, None),
                _ => {}
            }
            route.metric = self.percent(30).then_some(7);
            // The kernel takes one of them.
            if !routes.iter().any(|r| (r.destination, r.metric) == (route.destination, route.metric)) {
                routes.push(route);
            }
        }
        let mut rules: Vec<Rule> = Vec::new();
        for _ in 0..self.below(4) {
            let from = self.percent(50).then(|| cidr("10.0.0.0/8"));
            let rule = Rule { from, ..rule(100 + self.below(2) as u32) };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        (routes, rules)
    }
}

struct World {
    random: Random,
    k: Kernel,
    sets: Vec<Set>,
    wanted: Vec<bool>,
    next_index: u32,
    sources: [bool; 2],
}

#[test]
fn law5_whatever_happens_the_kernel_has_what_is_wanted_and_no_more_of_ours() {
    let only = std::env::var("VIPD_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in (0..SEEDS).filter(|seed| only.is_none_or(|only: u64| only == *seed)) {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(run.is_ok(), "seed {seed} (VIPD_SEED={seed} runs it alone)");
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let sets: Vec<Set> = (0..1 + random.below(3)).map(|_| random.set()).collect();
        let k = Kernel::new(&sets);
        let wanted = vec![false; sets.len()];
        World { random, k, sets, wanted, next_index: 4, sources: [false; 2] }
    }

    fn run(mut self) {
        for step in 0..self.random.below(STEPS) {
            self.step();
            if step % 10 == 9 {
                self.rest();
            }
        }
        (self.k.refused, self.k.refused_one_in) = (None, None);
        self.wanted.fill(false);
        for at in 0..self.sets.len() {
            self.k.want(at, false);
        }
        self.rest();
        assert!(!self.k.routes.iter().any(|r| r.ours), "left behind: {:?}", self.k.routes);
        assert!(!self.k.rules.iter().any(|(_, ours)| *ours), "left behind: {:?}", self.k.rules);
        assert!(self.k.sets.iter().all(Routes::is_clean), "the leave would not end");
    }

    fn step(&mut self) {
        let at = self.random.below(self.sets.len() as u64) as usize;
        match self.random.below(17) {
            0..4 => {
                let length = Duration::from_millis(self.random.below(3000));
                self.k.pass(length);
            }
            4..6 => {
                self.wanted[at] = !self.wanted[at];
                self.k.want(at, self.wanted[at]);
            }
            6 => {
                self.sets[at] = self.random.set();
                let (routes, rules) = self.sets[at].clone();
                self.k.reconfigure(at, &routes, &rules);
            }
            7..10 => self.change_link(),
            10 => {
                let gateway = self.random.percent(50).then_some("192.0.2.1");
                let (net, name) = (self.random.one(&NETS[..2]), self.random.one(&NAMES));
                self.k.put_route(net, name, gateway);
            }
            11 => {
                let number = self.random.below(6) as usize;
                self.k.take_route(number);
            }
            12 if self.random.percent(50) => {
                let number = self.random.below(4) as usize;
                self.k.take_rule(number);
            }
            12 if !self.k.rules.contains(&(rule(100), OTHERS)) => self.k.put_rule(&rule(100)),
            13 => {
                let which = self.random.below(2) as usize;
                self.sources[which] = !self.sources[which];
                self.k.set_address(SOURCES[which].parse().unwrap(), self.sources[which]);
            }
            14 => self.k.refused_one_in = self.random.percent(60).then(|| 2 + self.random.below(4)),
            15 => self.k.is_deaf = true,
            16 if self.random.percent(50) => {
                let sets: Vec<Set> = (0..1 + self.random.below(3)).map(|_| self.random.set()).collect();
                self.k.restart(&sets);
                self.wanted = vec![false; sets.len()];
                self.sets = sets;
            }
            16 if at > 0 => {
                self.k.adopt(at);
                self.sets.remove(at);
                self.wanted.remove(at);
            }
            _ => self.k.dump(),
        }
    }

    fn change_link(&mut self) {
        let all: Vec<u32> = self.k.real.keys().copied().filter(|index| *index > 1).collect();
        let index = all.get(self.random.below(3) as usize).copied();
        let name = self.random.one(&NAMES);
        match (self.random.below(3), index) {
            (0, Some(index)) => {
                let up = self.random.percent(60);
                // Sometimes under the other name.
                let old = self.k.real[&index].name;
                let name = if self.named(name).is_none() { name } else { old.as_str() };
                self.k.set_link(index, name, up);
            }
            (1, Some(index)) => self.k.delete_link(index),
            _ if self.named(name).is_none() => {
                self.k.set_link(self.next_index, name, true);
                self.next_index += 1;
            }
            _ => {}
        }
    }

    fn named(&self, name: &str) -> Option<u32> {
        self.k.real.values().find(|l| l.name.as_str() == name).map(|l| l.index)
    }

    fn others(&self) -> (Vec<KernelRoute>, Vec<Rule>) {
        let routes = self.k.routes.iter().filter(|r| !r.ours).copied().collect();
        (routes, self.k.rules.iter().filter(|(_, ours)| !ours).map(|(rule, _)| rule.clone()).collect())
    }

    fn rest(&mut self) {
        (self.k.refused, self.k.refused_one_in) = (None, None);
        let others = self.others();
        self.k.dump();
        self.k.pass(SECOND * 6);
        self.k.asked();
        self.k.pass(SECOND * 6);
        let asked = self.k.asked();
        assert!(asked.iter().all(|a| a.starts_with("add")), "no rest: {asked:?}");
        assert_eq!(others, self.others(), "RTNL-33: what others made was touched");
        self.check();
    }

    fn check(&self) {
        let wanted = || self.sets.iter().zip(&self.wanted).filter(|(_, wanted)| **wanted).map(|(set, _)| set);
        for real in self.k.routes.iter().filter(|r| r.ours) {
            let is_it = |r: &Route| {
                let index = self.index_of(r).unwrap_or(0);
                // IPv6: a route whose source is gone stays, without it.
                let source = r.source.filter(|s| !s.is_ipv6() || self.sources[1]);
                let wanted = Route { source, ..r.clone() };
                Item::route(&wanted, None).likeness(real, index) == Likeness::Same
            };
            assert!(wanted().flat_map(|(routes, _)| routes).any(is_it), "{real:?}: {:#?}", self.k.sets);
        }
        for (rule, ours) in &self.k.rules {
            assert!(!ours || wanted().any(|(_, rules)| rules.contains(rule)), "nobody wants {rule:?}");
        }
        for (at, (routes, rules)) in self.sets.iter().enumerate().filter(|(at, _)| self.wanted[*at]) {
            let status = self.k.sets[at].status();
            for (number, route) in routes.iter().enumerate() {
                let item = Item::route(route, None);
                let index = self.index_of(route).unwrap_or(0);
                let is_any = |what| self.k.routes.iter().any(|r| item.likeness(r, index) == what);
                let is_there = is_any(Likeness::Same);
                let is_possible = self.is_possible(route) && !is_any(Likeness::Rival);
                assert!(is_there || !is_possible, "law 5: {item} is wanted: {:#?}", self.k.sets[at]);
                if self.is_possible(route) {
                    assert_eq!(is_there, status[number].present, "{item}: {:#?}", self.k.sets[at]);
                }
            }
            for (number, rule) in rules.iter().enumerate() {
                let is_there = self.k.rules.iter().any(|(r, _)| r == rule);
                assert!(is_there && status[routes.len() + number].present, "{rule:?} is wanted");
            }
        }
    }

    fn index_of(&self, route: &Route) -> Option<u32> {
        self.named(route.interface.as_ref()?)
    }

    fn is_possible(&self, route: &Route) -> bool {
        let is_up = |index: u32| self.k.real.get(&index).is_some_and(|l| l.up);
        let is_there = match (&route.interface, route.gateway) {
            (Some(name), _) => self.named(name).is_some_and(is_up),
            (None, Some(_)) => is_up(2),
            (None, None) => true,
        };
        let source = route.source.map(|s| SOURCES.iter().position(|x| x.parse() == Ok(s)).unwrap());
        is_there && source.is_none_or(|at| self.sources[at])
    }
}
