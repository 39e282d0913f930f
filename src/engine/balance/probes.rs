//! The probes of all checks. The same probe of the same address runs once, however many checks of however
//! many services want it, and its results go to all of them.
//!
//! A probe has a number, kept as long as any check wants it, over reloads too. Its parameters are those of
//! the first check that uses it: they are all the same.

use super::checker::{Checker, place};
use super::users::{Place, Users};
use super::why::Why;
use crate::engine::{Action, Outcome, ProbeId, RunId, RunOwner};
use crate::model::{Check, CheckKind, IfName, Reason, ServerAddress};
use crate::time::{Duration, Instant};
use core::cmp::Reverse;
use core::hash::{Hash, Hasher};
use std::collections::BinaryHeap;
use std::hash::DefaultHasher;
use std::net::{IpAddr, SocketAddr};

/// A script's end is told 2 s after its deadline at the latest; one of which nothing is told by then, because
/// programs that cannot be killed hold all places, has not run.
pub(super) const RUN_LOST: Duration = Duration::from_secs(10);

/// Where a probe goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Target<'a> {
    Ip(SocketAddr),
    /// Servers with the same name have the same address at all times.
    Name(&'a str, u16, bool),
}

/// What makes two probes the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    target: Target<'a>,
    kind: &'a CheckKind,
    from: (Option<IpAddr>, u16, Option<&'a IfName>, u32),
    times: (Duration, Duration, Duration, Option<Duration>),
    counts: (u16, u16),
}

impl<'a> Key<'a> {
    /// Of a check of a server; `None` for one without probes.
    pub(super) fn new(server: &'a ServerAddress, check: &'a Check) -> Option<Self> {
        let has_port = match check.kind {
            CheckKind::File(_) => return None,
            CheckKind::Ping => false,
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp(_)
            | CheckKind::Dns(_)
            | CheckKind::Udp(_)
            | CheckKind::Script(_) => true,
        };
        let via = &check.via;
        let port = |own| if has_port { via.port.unwrap_or(own) } else { 0 };
        let target = match (server, via.address) {
            (ServerAddress::Ip(own), Some(ip)) => Target::Ip(SocketAddr::new(ip, port(own.port()))),
            (ServerAddress::Name { port: own, .. }, Some(ip)) => Target::Ip(SocketAddr::new(ip, port(*own))),
            (ServerAddress::Ip(own), None) => {
                let mut target = *own;
                target.set_port(port(own.port()));
                Target::Ip(target)
            }
            (ServerAddress::Name { host, port: own, ipv6 }, None) => Target::Name(host, port(*own), *ipv6),
        };
        Some(Key {
            target,
            kind: &check.kind,
            from: (via.source, via.source_port, via.interface.as_ref(), via.mark),
            times: (check.interval, check.timeout, check.retry_interval, check.warmup),
            counts: (check.rise, check.fall),
        })
    }

    /// A number by which it is found; others may have the same one.
    pub(super) fn hash(&self) -> u32 {
        let (interval, ..) = self.times;
        let mut hasher = DefaultHasher::new();
        (self.target, core::mem::discriminant(self.kind), interval.total_micros()).hash(&mut hasher);
        hasher.finish() as u32
    }
}

/// Where the probe of a check goes, for a server that is at `own`, if that is known. `None`: nowhere yet.
pub(super) fn target(own: Option<SocketAddr>, server: &ServerAddress, check: &Check) -> Option<SocketAddr> {
    let port = check.via.port.unwrap_or(server.port());
    match check.via.address {
        Some(ip) => Some(SocketAddr::new(ip, port)),
        None => {
            let mut target = own?; // with its zone
            target.set_port(port);
            Some(target)
        }
    }
}

/// One probe, again and again.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) checker: Checker,
    /// That of its key.
    hash: u32,
    /// It is a program, which the loop runs.
    is_script: bool,
    /// How many servers want it now: those of suspended services, and those without an address, do not.
    active: u32,
    /// The one entry in `due` that counts.
    armed_at: Option<Instant>,
    /// When a run of which nothing is heard is given up.
    lost_at: Option<Instant>,
    /// The weight that a script has told with its last success.
    pub(super) dynamic: Option<u8>,
    /// Why the last one failed; empty after a success.
    pub(super) reason: Why,
    /// How many passed.
    pub(super) passed: u32,
    /// How many failed.
    pub(super) failed: u32,
    /// When the last one ended.
    pub(super) probed_at: Option<Instant>,
    /// Time of the last good one.
    pub(super) probe_time: Option<Duration>,
}

impl Probe {
    fn new(now: Instant, check: &Check, hash: u32, place: u32) -> Self {
        Probe {
            hash,
            checker: Checker::new(now, check, place),
            is_script: matches!(check.kind, CheckKind::Script(_)),
            active: 0,
            armed_at: None,
            lost_at: None,
            dynamic: None,
            reason: Why::default(),
            passed: 0,
            failed: 0,
            probed_at: None,
            probe_time: None,
        }
    }

    /// Takes in how a probe ended; true where that is news to whoever uses it, verdicts aside.
    pub(super) fn count(&mut self, now: Instant, outcome: Outcome, took: Duration) -> bool {
        self.lost_at = None;
        match outcome {
            Outcome::Passed => {
                self.passed = self.passed.saturating_add(1);
                self.probe_time = Some(took);
                self.probed_at = Some(now);
                self.reason.set(&Reason::new())
            }
            Outcome::Failed(reason) => {
                self.failed = self.failed.saturating_add(1);
                self.probed_at = Some(now);
                self.reason.set(&reason)
            }
            Outcome::NotRun(_) => false,
        }
    }

    /// Does a script run that should have been heard of by now?
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.lost_at.is_some_and(|at| at <= now)
    }
}

/// All probes.
#[derive(Debug)]
pub(super) struct Probes {
    /// Holes are probes that are gone; numbers stay valid.
    slots: Vec<Option<Probe>>,
    holes: Vec<u32>,
    /// Whose results are whose.
    pub(super) users: Users,
    /// When something of a probe is due; entries that are not the probe's `armed_at` mean nothing.
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    /// The serial of the last probe.
    serial: u32,
    seed: u32,
}

impl Probes {
    /// None yet. `seed` spreads the first probes.
    pub(super) fn new(seed: u32) -> Self {
        Probes {
            slots: Vec::new(),
            holes: Vec::new(),
            users: Users::default(),
            due: BinaryHeap::new(),
            serial: 0,
            seed,
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&Probe> {
        self.slots.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Probe> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// The numbers that are in use lie below this.
    pub(super) fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// All, in the order of the hashes of their keys: (hash, number). Only a reload looks for a key, and
    /// makes this list for it.
    pub(super) fn by_hash(&self) -> Vec<(u32, u32)> {
        let all = (0..).zip(&self.slots).filter_map(|(number, slot)| Some((slot.as_ref()?.hash, number)));
        let mut list: Vec<(u32, u32)> = all.collect();
        list.sort_unstable();
        list
    }

    /// The one with this key, by the list of `by_hash`; `key_at` says what a place has.
    pub(super) fn find<'k>(
        &self,
        by_hash: &[(u32, u32)],
        key: &Key<'_>,
        key_at: impl Fn(Place) -> Option<Key<'k>>,
    ) -> Option<u32> {
        let hash = key.hash();
        let from = by_hash.get(by_hash.partition_point(|(other, _)| *other < hash)..)?;
        let alike = from.iter().take_while(|(other, _)| *other == hash).map(|(_, number)| *number);
        let key_of = |number: u32| self.users.first(number).and_then(&key_at);
        alike.into_iter().find(|number| key_of(*number).is_some_and(|other| other == *key))
    }

    /// Makes one, which begins when a server wants it. `hash`: of its key.
    pub(super) fn make(&mut self, now: Instant, check: &Check, hash: u32) -> u32 {
        let number = self.holes.pop().unwrap_or(self.slots.len() as u32);
        let probe = Some(Probe::new(now, check, hash, place(self.seed, number)));
        match self.slots.get_mut(number as usize) {
            Some(slot) => *slot = probe,
            None => self.slots.push(probe),
        }
        number
    }

    /// Number `heir` takes over what `old` has found out and counted with other parameters.
    pub(super) fn inherit(&mut self, now: Instant, check: &Check, heir: u32, old: u32) {
        let Some(Some(old)) = self.slots.get_mut(old as usize) else { return };
        let (checker, reason) = (old.checker.clone(), old.reason.clone());
        let (passed, failed, probed_at, probe_time) = (old.passed, old.failed, old.probed_at, old.probe_time);
        let dynamic = old.dynamic;
        let Some(heir) = self.get_mut(heir) else { return };
        heir.checker.inherit(now, check, &checker);
        (heir.dynamic, heir.reason) = (dynamic, reason);
        (heir.passed, heir.failed, heir.probed_at, heir.probe_time) = (passed, failed, probed_at, probe_time);
    }

    /// Nobody wants it any more; what ends it where it is running.
    pub(super) fn drop_one(&mut self, number: u32) -> Option<Action> {
        let probe = self.slots.get_mut(number as usize)?.take()?;
        self.holes.push(number);
        stop_of(number, &probe)
    }

    /// What ends a probe; `None` where none is running.
    pub(super) fn stop(&self, number: u32) -> Option<Action> {
        stop_of(number, self.get(number)?)
    }

    /// One server more wants it, or one less. True: it is the first one, or the last.
    pub(super) fn activate(&mut self, number: u32, is_wanted: bool) -> bool {
        let Some(probe) = self.get_mut(number) else { return false };
        if is_wanted {
            probe.active += 1;
            probe.active == 1
        } else {
            probe.active = probe.active.saturating_sub(1);
            probe.active == 0
        }
    }

    /// Is any server's check wanted?
    pub(super) fn is_active(&self, number: u32) -> bool {
        self.get(number).is_some_and(|probe| probe.active > 0)
    }

    /// What was found out counts no more than an assumption. What ends the probe that is running; the next
    /// one is soon, and decides alone.
    pub(super) fn start_over(&mut self, now: Instant, number: u32, check: &Check) -> Option<Action> {
        let stop = self.stop(number);
        let probe = self.get_mut(number)?;
        probe.checker.start_over(now, check);
        probe.lost_at = None;
        self.arm(number);
        stop
    }

    // ---- time

    /// When `take_due` has something.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Puts its next turn into the queue: where one is wanted, and none that is due earlier is there.
    pub(super) fn arm(&mut self, number: u32) {
        let Some(probe) = self.get_mut(number) else { return };
        let at = if probe.active == 0 { None } else { probe.checker.probe_at().or(probe.lost_at) };
        let Some(at) = at.filter(|at| probe.armed_at.is_none_or(|armed| *at < armed)) else { return };
        probe.armed_at = Some(at);
        self.due.push(Reverse((at, number)));
    }

    /// As `arm`, but no sooner than `at`.
    pub(super) fn arm_at(&mut self, number: u32, at: Instant) {
        let Some(probe) = self.get_mut(number) else { return };
        probe.armed_at = Some(at);
        self.due.push(Reverse((at, number)));
    }

    /// Puts all into the queue anew.
    pub(super) fn arm_all(&mut self) {
        self.due.clear();
        for number in 0..self.end() {
            if let Some(probe) = self.get_mut(number) {
                probe.armed_at = None;
                self.arm(number);
            }
        }
    }

    /// Nothing is due any more.
    pub(super) fn disarm_all(&mut self) {
        self.due.clear();
    }

    /// The next one that is due, and wanted.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u32> {
        while let Some(&Reverse((at, number))) = self.due.peek() {
            let counts = self.get(number).is_some_and(|probe| probe.armed_at == Some(at));
            if counts && at > now {
                return None;
            }
            self.due.pop();
            if let Some(probe) = self.get_mut(number).filter(|_| counts) {
                probe.armed_at = None;
                if probe.active > 0 {
                    return Some(number);
                }
            }
        }
        None
    }

    /// The serial of the next probe.
    pub(super) fn next_serial(&self) -> u32 {
        self.serial.wrapping_add(1)
    }

    /// What begins a probe that its checker has just begun.
    pub(super) fn start(&mut self, now: Instant, number: u32, check: &Check) -> Option<Action> {
        self.serial = self.next_serial();
        let serial = self.serial;
        let probe = self.get_mut(number)?;
        if !probe.is_script {
            return Some(Action::StartProbe(ProbeId { checker: number, serial }));
        }
        let lost_at = now + check.timeout + RUN_LOST;
        probe.lost_at = Some(lost_at);
        self.arm_at(number, lost_at);
        Some(Action::Run(RunId { owner: RunOwner::Check(number), serial }))
    }

    /// Makes all begin anew, as at the start. `check` has the parameters.
    pub(super) fn begin<'a>(&mut self, now: Instant, check: impl Fn(Place) -> Option<&'a Check>) {
        for number in 0..self.end() {
            let check = self.users.first(number).and_then(&check);
            if let (Some(probe), Some(check)) = (self.get_mut(number), check) {
                probe.checker.start_over(now, check);
            }
        }
        self.arm_all();
    }
}

fn stop_of(number: u32, probe: &Probe) -> Option<Action> {
    let serial = probe.checker.serial()?;
    Some(if probe.is_script {
        Action::StopRun(RunId { owner: RunOwner::Check(number), serial })
    } else {
        Action::StopProbe(ProbeId { checker: number, serial })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProbeVia;

    fn key<'a>(server: &'a ServerAddress, check: &'a Check) -> Key<'a> {
        Key::new(server, check).unwrap()
    }

    /// "The same probe of the same address runs once": and no other one is taken for it.
    #[test]
    fn what_is_the_same_probe_and_what_is_not() {
        let at = |text: &str| ServerAddress::Ip(text.parse().unwrap());
        let named = |port| ServerAddress::Name { host: "a.example".into(), port, ipv6: false };
        let tcp = Check::new(CheckKind::Tcp);
        let (a, b) = (at("192.0.2.1:80"), at("192.0.2.1:81"));
        assert_eq!(key(&a, &tcp), key(&at("192.0.2.1:80"), &tcp.clone()));
        assert_ne!(key(&a, &tcp), key(&b, &tcp), "another port");
        assert_eq!(key(&named(80), &tcp), key(&named(80), &tcp));
        assert_ne!(key(&named(80), &tcp), key(&a, &tcp), "a name may get another address");
        let ping = Check::new(CheckKind::Ping);
        assert_eq!(key(&a, &ping), key(&b, &ping), "a ping knows no port");
        let elsewhere = Check {
            via: ProbeVia { address: Some([192, 0, 2, 9].into()), port: Some(9), ..ProbeVia::default() },
            ..tcp.clone()
        };
        assert_eq!(key(&a, &elsewhere), key(&named(81), &elsewhere), "both probe 192.0.2.9:9");
        let there = Some("192.0.2.9:9".parse().unwrap());
        assert_eq!(target(None, &named(81), &elsewhere), there, "also while the name has no address");
        assert_eq!(target(None, &named(81), &tcp), None);
        assert_ne!(key(&a, &tcp), key(&a, &Check { timeout: Duration::from_secs(1), ..tcp.clone() }));
        assert_ne!(key(&a, &tcp), key(&a, &Check { fall: 9, ..tcp.clone() }));
        let marked = Check { via: ProbeVia { mark: 7, ..ProbeVia::default() }, ..tcp.clone() };
        assert_ne!(key(&a, &tcp), key(&a, &marked), "it may take another way");
        let file = crate::model::FileCheck { track: 0, weight: 0, reverse: false };
        assert_eq!(Key::new(&a, &Check::new(CheckKind::File(file))), None, "a file has no probe");
    }

    #[test]
    fn numbers_are_used_again_and_old_turns_mean_nothing() {
        let tcp = Check { warmup: Some(Duration::ZERO), ..Check::new(CheckKind::Tcp) };
        let now = Instant::from_secs(1);
        let mut probes = Probes::new(5);
        let first = probes.make(now, &tcp, 0);
        assert_eq!(probes.make(now, &tcp, 0), 1);
        assert_eq!(probes.take_due(now), None, "nobody wants them yet");
        assert!(probes.activate(first, true) && !probes.activate(first, true), "the first one counts");
        probes.arm(first);
        probes.arm(first);
        assert_eq!((probes.take_due(now), probes.take_due(now)), (Some(first), None), "one turn, not two");
        assert!(!probes.activate(first, false) && probes.activate(first, false), "and the last one");
        probes.arm_at(first, now);
        assert_eq!(probes.take_due(now), None, "wanted no more");
        assert!(probes.drop_one(first).is_none(), "it was not running");
        assert_eq!(probes.make(now, &tcp, 0), first, "its number is free");
    }
}
