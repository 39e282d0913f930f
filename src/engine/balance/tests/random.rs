//! Seeded random lives: a kernel that refuses, loses answers and is edited by others, servers that come and
//! go, reloads. Safety: nothing that serves goes before its replacement is in. Liveness: when the trouble
//! ends, the table is as wanted within a bound, and quiet.

use super::model::Model;
use super::*;
use crate::engine::Refusal;
use crate::model::{Command, ScriptCheck};
use crate::wire::ipvs::Destination;
use std::collections::VecDeque;

/// xorshift: the same numbers on every machine.
struct Dice(u32);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}

/// What may go wrong in a life.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// Refusals, interrupted and lost answers.
    Faults,
    /// As before, and others edit the table.
    Edits,
    /// As before, and the family comes and goes.
    Family,
}

struct Life {
    bed: Bed,
    dice: Dice,
    trouble: Option<Trouble>,
    config: Config,
    /// On their way to the kernel, and back.
    requests: VecDeque<(u32, IpvsRequest)>,
    answers: VecDeque<IpvsEvent>,
    /// Services that have had a destination that serves.
    filled: Vec<ServiceKey>,
    /// What the services should come to.
    model: Model,
    seed: u32,
}

impl Life {
    fn new(seed: u32, trouble: Trouble) -> Self {
        let mut dice = Dice(seed.wrapping_mul(2_654_435_761) | 1);
        let config = random_config(&mut dice, trouble);
        let bed = Bed::new(&config);
        let (requests, answers, filled) = (VecDeque::new(), VecDeque::new(), Vec::new());
        let model = Model::default();
        let mut life =
            Life { bed, dice, trouble: Some(trouble), config, requests, answers, filled, model, seed };
        life.follow("begins");
        life
    }

    /// Is everything as the model has it?
    fn follow(&mut self, what: &str) {
        let what = format!("seed {}: {what}", self.seed);
        self.model.follow(&self.config, &self.bed.snapshot(), &what);
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=5 => self.execute(),
            6..=10 => self.deliver(),
            11 | 12 => {
                let millis = if self.dice.one_in(8) { 20_000 } else { 300 };
                let millis = self.dice.below(millis);
                self.pass(u64::from(millis));
            }
            13 => match self.dice.below(8) {
                0..=4 => self.end_probe(),
                5 => self.drain(),
                6 => self.answer_name(),
                _ => self.move_address(),
            },
            14 if self.dice.one_in(6) => self.reload(),
            14 | 15 => self.meddle(),
            _ => {}
        }
        self.collect();
    }

    /// The kernel does the next request, or not.
    fn execute(&mut self) {
        let Some((token, request)) = self.requests.pop_front() else { return };
        let faulty = self.trouble.is_some() && self.dice.one_in(5);
        if !faulty || request == IpvsRequest::Resolve {
            self.answers.extend(self.bed.kernel.answer(token, &request));
        } else {
            let refusals = [Refusal::Busy, Refusal::NotPermitted, Refusal::Invalid, Refusal::Other(99)];
            match self.dice.below(8) {
                n @ 0..=3 => {
                    self.answers.push_back(IpvsEvent::Done { token, result: Err(refusals[n as usize]) });
                }
                4 | 5 => {
                    // Done or half told, and then no end of it.
                    let mut events = self.bed.kernel.answer(token, &request);
                    events.pop();
                    events.truncate(events.len() / 2);
                    self.answers.extend(events);
                    self.answers.push_back(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
                }
                6 => {
                    self.answers.push_back(IpvsEvent::Done { token, result: Err(Refusal::Interrupted) });
                }
                _ => {
                    self.bed.kernel.answer(token, &request); // done, and the answer is lost
                }
            }
        }
        self.check_served(&request);
    }

    /// While nobody else edits the table, a service that was served stays served.
    fn check_served(&mut self, request: &IpvsRequest) {
        for (key, (_, destinations)) in &self.bed.kernel.table {
            let serves = destinations.values().any(|d| d.weight > 0);
            let ours = self.config.services.iter().any(|s| key_of(s) == *key);
            // One that was removed and has come back is still on its way out.
            let leaving = self.requests.iter().any(|(_, r)| *r == IpvsRequest::DelService(*key));
            if serves && ours && !leaving && !self.filled.contains(key) {
                self.filled.push(*key);
            }
        }
        if self.trouble == Some(Trouble::Faults) {
            let kernel = &self.bed.kernel.table;
            for key in &self.filled {
                let serves = kernel.get(key).is_some_and(|(_, d)| d.values().any(|d| d.weight > 0));
                assert!(serves, "seed {}: {key:?} serves nobody after {}", self.seed, brief(request));
            }
        }
    }

    fn deliver(&mut self) {
        if let Some(event) = self.answers.pop_front() {
            self.bed.ipvs(event);
        }
    }

    fn pass(&mut self, millis: u64) {
        let until = self.bed.now + Duration::from_millis(millis);
        self.bed.now = self.bed.balancer.next_deadline().map_or(until, |at| until.min(at.max(self.bed.now)));
        self.bed.call(|b, now, cx| b.tick(now, cx));
        self.follow("time passes");
    }

    /// Another configuration; the kernel is asked for its addresses anew.
    fn reload(&mut self) {
        let mut config = random_config(&mut self.dice, self.trouble.unwrap_or(Trouble::Faults));
        // Some stay as they are, in their places or in others; some of these are known to be the same.
        for new in &mut config.services {
            let old = self.config.services.iter().find(|old| key_of(old) == key_of(new));
            if let Some(old) = old.filter(|_| self.dice.one_in(2)) {
                *new = if self.dice.one_in(2) { old.clone() } else { Shared::from(Service::clone(old)) };
            }
        }
        let turn = self.dice.below(config.services.len() as u32) as usize;
        config.services.rotate_left(turn);
        self.config = config.clone();
        self.bed.reload(&config);
        self.bed.call(|b, _, _| b.dump_start());
        for address in &self.model.here {
            self.bed.address(3, &address.to_string(), true);
        }
        self.bed.call(|b, now, cx| b.dump_end(now, cx));
        self.follow("a reload");
        let keys: Vec<ServiceKey> = config.services.iter().map(|s| key_of(s)).collect();
        self.filled.retain(|key| keys.contains(key));
    }

    fn drain(&mut self) {
        let service = self.dice.below(self.config.services.len() as u32) as usize;
        let server = self.dice.below(self.config.services[service].servers.len() as u32) as usize;
        let draining = self.dice.one_in(2);
        self.bed.set_draining(service, server, draining);
        self.model.drain(&self.config.services[service], server, draining);
        self.follow("the operator");
    }

    fn answer_name(&mut self) {
        let Some(id) = self.bed.asked.first().copied() else { return };
        let addresses = [self.dice.below(8), self.dice.below(8)].map(|n| format!("192.0.2.{n}"));
        let count = self.dice.below(3) as usize;
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).take(count).collect();
        self.bed.resolved(id, &addresses);
        self.follow("a name");
    }

    fn move_address(&mut self) {
        let address = format!("10.0.0.{}", 1 + self.dice.below(5));
        let is_present = self.dice.one_in(2);
        self.bed.address(3, &address, is_present);
        let ip = address.parse().unwrap();
        if is_present {
            self.model.here.insert(ip)
        } else {
            self.model.here.remove(&ip)
        };
        self.follow("an address");
    }

    fn end_probe(&mut self) {
        let (probes, runs) = (self.bed.probes.len() as u32, self.bed.runs.len() as u32);
        if probes + runs == 0 {
            return;
        }
        let which = self.dice.below(probes + runs);
        if which >= probes {
            let outcome = match self.dice.below(8) {
                0 => RunOutcome::NotStarted(2),
                1 => RunOutcome::TimedOut,
                n => RunOutcome::Exited(n as i32 - 2),
            };
            let id = self.bed.runs[(which - probes) as usize];
            self.bed.ran(id, outcome);
            self.follow("a script");
            return;
        }
        let id = self.bed.probes[which as usize];
        let outcome = match self.dice.below(5) {
            0 | 1 => Outcome::Passed,
            2 | 3 => failed("chance"),
            _ => Outcome::NotRun(cut(format_args!("chance"))),
        };
        self.bed.probe(id, outcome);
        self.follow("a probe");
    }

    /// Others at work.
    fn meddle(&mut self) {
        let (Some(trouble), kernel) = (self.trouble, &mut self.bed.kernel) else { return };
        if trouble == Trouble::Faults {
            return;
        }
        if trouble == Trouble::Family && self.dice.one_in(10) {
            kernel.absent = !kernel.absent;
            if kernel.absent {
                kernel.table.retain(|key, _| *key == stranger());
                self.requests.clear();
                self.answers.clear();
                self.bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("unloaded")) });
            }
            return;
        }
        let keys: Vec<ServiceKey> = kernel.table.keys().filter(|key| **key != stranger()).copied().collect();
        if keys.is_empty() {
            return;
        }
        let key = keys[self.dice.below(keys.len() as u32) as usize];
        match self.dice.below(12) {
            0 => kernel.table.retain(|key, _| *key == stranger()),
            1 | 2 => {
                kernel.table.remove(&key);
            }
            3..=5 => {
                let (service, _) = kernel.table.get_mut(&key).unwrap();
                service.scheduler = Scheduler::try_from("nq").unwrap();
            }
            n => {
                let (_, destinations) = kernel.table.get_mut(&key).unwrap();
                let address = format!("192.0.2.{}:80", self.dice.below(8)).parse().unwrap();
                if n < 9 {
                    destinations.remove(&address);
                } else {
                    let weight = self.dice.below(3);
                    let forward = Forwarding::DirectRoute;
                    let d = Destination {
                        address,
                        forward,
                        tunnel: Tunnel::Ipip,
                        weight,
                        upper_threshold: 0,
                        lower_threshold: 0,
                    };
                    destinations.insert(address, d);
                }
            }
        }
    }

    fn collect(&mut self) {
        let drained = self.bed.drain();
        self.requests.extend(drained);
    }

    /// The trouble is over: everything is answered, for so long.
    fn calm(&mut self, seconds: u64) -> Vec<String> {
        self.trouble = None;
        self.bed.kernel.absent = false;
        let until = self.bed.now + Duration::from_secs(seconds);
        let mut commands = Vec::new();
        for _ in 0..100_000 {
            self.collect();
            if let Some((_, request)) = self.requests.front() {
                if !is_reading(request) {
                    commands.push(brief(request));
                }
                self.execute();
            } else if !self.answers.is_empty() {
                self.deliver();
            } else if self.bed.now < until {
                self.pass(1000);
            } else {
                return commands;
            }
        }
        panic!("seed {}: no end: {:?}", self.seed, &commands[commands.len().saturating_sub(20)..]);
    }

    /// What the table should hold.
    fn expected(&self) -> BTreeMap<ServiceKey, BTreeMap<SocketAddr, u32>> {
        let mut expected = self.model.expected(&self.config, &self.bed.snapshot());
        expected.insert(stranger(), BTreeMap::new());
        expected
    }

    fn table(&self) -> BTreeMap<ServiceKey, BTreeMap<SocketAddr, u32>> {
        let row = |(key, (_, d)): (&ServiceKey, &(_, BTreeMap<SocketAddr, Destination>))| {
            (*key, d.iter().map(|(address, d)| (*address, d.weight)).collect())
        };
        self.bed.kernel.table.iter().map(row).collect()
    }
}

/// A service that is not ours.
fn stranger() -> ServiceKey {
    ServiceKey::Mark { mark: 7, ipv6: false }
}

/// One to five services with one to five servers of the same few addresses and names; all have a sorry
/// server. None rests where it must stay served.
fn random_config(dice: &mut Dice, trouble: Trouble) -> Config {
    let mut config = Config::default();
    for i in 0..1 + dice.below(5) {
        let mut s = service(&format!("s{i}"), &format!("10.0.0.{}:80", i + 1));
        let start_up = dice.one_in(2);
        s.scheduler = Scheduler::try_from(if dice.one_in(4) { "rr" } else { "wrr" }).unwrap();
        let sorry = format!("192.0.2.{}:80", 4 + dice.below(4)); // may be one of the servers
        s.sorry = Some(Sorry {
            address: sorry.parse().unwrap(),
            method: Method::new(Forwarding::DirectRoute),
            inhibit: dice.one_in(3),
        });
        s.quorum = 1 + dice.below(5);
        s.hysteresis = dice.below(s.quorum);
        s.suspend = trouble != Trouble::Faults && dice.one_in(4);
        let first = dice.below(3);
        s.servers = (first..first + 1 + dice.below(4)).map(|n| random_server(dice, n, start_up)).collect();
        config.services.push(s.into());
    }
    config
}

fn random_server(dice: &mut Dice, n: u32, start_up: bool) -> Server {
    let mut server = server(&format!("192.0.2.{n}:80"), dice.below(3));
    server.start_up = start_up;
    server.inhibit = dice.one_in(3);
    server.any_check = dice.one_in(3);
    if dice.one_in(4) {
        server.address = ServerAddress::Name { host: format!("h{n}.example"), port: 80, ipv6: false };
    }
    let argv = vec!["/check".to_string()];
    let command = Command { argv, user: None, group: None, timeout: Duration::from_secs(1) };
    let kinds = [CheckKind::Tcp, CheckKind::Script(ScriptCheck { command, dynamic: dice.one_in(2) })];
    server.checks.extend(kinds.into_iter().map(Check::new));
    server.checks.rotate_left(dice.below(3) as usize);
    server.checks.truncate([0, 1, 1, 1, 1, 2, 2, 3][dice.below(8) as usize]);
    for check in server.checks.iter_mut() {
        (check.fall, check.rise) = (1 + dice.below(2) as u16, 1 + dice.below(2) as u16);
    }
    server
}

fn live(seed: u32, trouble: Trouble) {
    let mut life = Life::new(seed, trouble);
    let mut foreign = wanted(&service("x", "10.9.9.9:80"));
    foreign.key = stranger();
    life.bed.kernel.execute(&IpvsRequest::NewService(foreign)).unwrap();
    life.bed.start();
    life.model.started = true;
    life.follow("starts");
    for _ in 0..1500 {
        life.step();
    }
    // A retry after at most 30 s, an answer given up after 15 s, an audit after 10 s, a family asked for
    // after 60 s.
    life.calm(if trouble == Trouble::Family { 150 } else { 90 });
    assert_eq!(life.table(), life.expected(), "seed {seed}: the table is not as wanted");
    for (config, status) in life.config.services.iter().zip(life.bed.snapshot().services) {
        let there = &life.bed.kernel.table[&key_of(config)].0;
        assert_eq!(there.scheduler, config.scheduler, "seed {seed}");
        assert!(status.installed, "seed {seed}: what is in the table is told as missing");
    }
    let problems = life.bed.snapshot().problems;
    let ours = ["a probe", "cannot be looked up", "left out"];
    let lasting = problems.iter().find(|p| !ours.iter().any(|ours| p.contains(ours)));
    assert_eq!(lasting, None, "seed {seed}: a problem that is over is still shown");
    life.bed.probes.clear();
    life.bed.runs.clear();
    assert_eq!(life.calm(60), [""; 0], "seed {seed}: commands without a cause");
    life.bed.call(|b, now, cx| b.shutdown(now, cx));
    life.calm(1);
    let left: Vec<ServiceKey> = life.bed.kernel.table.keys().copied().collect();
    assert_eq!(left, [stranger()], "seed {seed}: ours go, others stay");
    assert!(life.bed.balancer.is_shut_down(), "seed {seed}");
}

#[test]
fn served_services_stay_served_while_commands_fail() {
    (1..=150).for_each(|seed| live(seed, Trouble::Faults));
}

#[test]
fn tables_edited_by_others_converge() {
    (1..=150).for_each(|seed| live(seed, Trouble::Edits));
}

#[test]
fn a_family_that_comes_and_goes_converges() {
    (1..=150).for_each(|seed| live(seed, Trouble::Family));
}
