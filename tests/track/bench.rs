//! An engine with trackers, and what it does.

use vipd::engine::{
    Action, Actions, AddressChange, Engine, Event, KernelRoute, Link, LinkKind, LinkName, Outcome, ProbeId,
    RunId, RunOutcome,
};
use vipd::model::status::TrackerStatus;
use vipd::model::{
    CheckKind, Cidr, Command, Config, Family, IfName, Instance, Reason, RouteKind, Scope, Track, TrackKind,
    TrackUse, Vrid, cut,
};
use vipd::time::{Duration, Instant};

pub(crate) const LAN: u32 = 2;
pub(crate) const WAN: u32 = 3;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn name(text: &str) -> IfName {
    cut(format_args!("{text}"))
}

pub(crate) fn script(interval: u64, timeout: u64, rise: u16, fall: u16) -> TrackKind {
    let argv = vec!["/bin/check".to_string()];
    let command = Command { argv, user: None, group: None, timeout: ms(timeout) };
    TrackKind::Script { command, interval: ms(interval), rise, fall }
}

pub(crate) fn path(interval: u64, timeout: u64, rise: u16, fall: u16, hold: u64) -> TrackKind {
    TrackKind::Path {
        target: "192.0.2.1:53".parse().unwrap(),
        probe: CheckKind::Tcp,
        interval: ms(interval),
        timeout: ms(timeout),
        rise,
        fall,
        hold: ms(hold),
        source: None,
        interface: Some(name("wan0")),
    }
}

pub(crate) fn process(quorum: u32, quorum_max: Option<u32>, up: u64, down: u64) -> TrackKind {
    TrackKind::Process {
        process: "named".into(),
        arguments: Vec::new(),
        quorum,
        quorum_max,
        up_delay: ms(up),
        down_delay: ms(down),
    }
}

pub(crate) fn interface(on: &str) -> TrackKind {
    TrackKind::Interface { interface: name(on) }
}

pub(crate) fn file() -> TrackKind {
    TrackKind::File { path: "/run/weight".into() }
}

pub(crate) fn address(address: &str, interface: Option<&str>) -> TrackKind {
    TrackKind::Address { address: address.parse().unwrap(), interface: interface.map(name) }
}

pub(crate) fn default_route(gateway: Option<&str>, interface: Option<&str>) -> TrackKind {
    TrackKind::Route {
        destination: cidr("0.0.0.0", 0),
        gateway: gateway.map(|g| g.parse().unwrap()),
        interface: interface.map(name),
        table: 254,
    }
}

pub(crate) fn cidr(address: &str, prefix_len: u8) -> Cidr {
    Cidr { address: address.parse().unwrap(), prefix_len }
}

/// One instance that uses all trackers with `weight`; tracker `t0` is the first one.
pub(crate) fn config(kinds: &[TrackKind], weight: i16) -> Config {
    let tracks: Vec<Track> = kinds
        .iter()
        .enumerate()
        .map(|(n, kind)| Track { name: cut(format_args!("t{n}")), kind: kind.clone() })
        .collect();
    let uses = (0..tracks.len()).map(|track| TrackUse { track, weight, reverse: false }).collect();
    let vrid = Vrid::new(51).unwrap();
    let instance = Instance {
        addresses: vec![cidr("192.0.2.100", 32).into()],
        tracks: uses,
        ..Instance::new(cut(format_args!("VI")), name("lan0"), vrid, Family::V4)
    };
    Config { instances: vec![instance], tracks, ..Config::default() }
}

pub(crate) fn link(index: u32, running: bool) -> Link {
    let name = LinkName::new(if index == LAN { "lan0" } else { "wan0" });
    let mac = Some([2, 0, 0, 0, 0, index as u8]);
    Link { index, name, up: true, running, mac, mtu: 1500, forwards_ipv6: false, kind: LinkKind::Other }
}

pub(crate) fn via(gateway: &str, index: u32, metric: u32) -> KernelRoute {
    KernelRoute {
        destination: cidr("0.0.0.0", 0),
        kind: Some(RouteKind::Unicast),
        gateway: Some(gateway.parse().unwrap()),
        index,
        source: None,
        table: 254,
        metric,
        scope: Scope::GLOBAL,
        ours: false,
    }
}

/// What began or was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    Run(RunId),
    StopRun(RunId),
    Probe(ProbeId),
    StopProbe(ProbeId),
    WatchRoutes,
    UnwatchRoutes,
    Redump,
}

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) did: Vec<(Instant, Did)>,
    pub(crate) lines: Vec<String>,
    pub(crate) addresses: Vec<(u32, Cidr)>,
    pub(crate) routes: Vec<KernelRoute>,
}

impl Bench {
    /// Not told anything yet.
    pub(crate) fn bare(config: &Config) -> Self {
        let now = Instant::from_secs(1000);
        // Seed 0: the first tracker's first run is due at once.
        let engine = Engine::new(config, "gw-a", 0, now);
        let addresses = vec![(LAN, cidr("192.0.2.10", 24))];
        Bench { engine, now, did: Vec::new(), lines: Vec::new(), addresses, routes: Vec::new() }
    }

    pub(crate) fn new(config: &Config) -> Self {
        let mut bench = Self::bare(config);
        bench.dump();
        bench
    }

    pub(crate) fn dump(&mut self) {
        self.feed(Event::DumpStart);
        self.feed(Event::Link(link(LAN, true)));
        self.feed(Event::Link(link(WAN, true)));
        for (index, cidr) in self.addresses.clone() {
            self.address(index, cidr, true);
        }
        for route in self.routes.clone() {
            self.feed(Event::Route { route, is_present: true });
        }
        self.feed(Event::DumpEnd);
    }

    pub(crate) fn address(&mut self, index: u32, cidr: Cidr, is_present: bool) {
        let change = match is_present {
            true => AddressChange::Present { ours: false, secondary: false },
            false => AddressChange::Gone,
        };
        self.feed(Event::Address { index, cidr, change });
    }

    pub(crate) fn feed(&mut self, event: Event<'_>) {
        let mut actions = Actions::new();
        self.engine.handle(self.now, event, &mut actions);
        let mut lists = Vec::new();
        while let Some(action) = actions.take() {
            let did = match action {
                Action::Run(id) => Did::Run(id),
                Action::StopRun(id) => Did::StopRun(id),
                Action::StartProbe(id) => Did::Probe(id),
                Action::StopProbe(id) => Did::StopProbe(id),
                Action::WatchRoutes { routes: true, .. } => Did::WatchRoutes,
                Action::WatchRoutes { routes: false, .. } => Did::UnwatchRoutes,
                Action::Redump => Did::Redump,
                Action::Note { number } => {
                    let note = self.engine.note(number).unwrap();
                    lists.push(format!("{:?} {} {}: {}", note.level, note.kind, note.subject, note.text));
                    continue;
                }
                _ => continue,
            };
            self.did.push((self.now, did));
        }
        self.lines.extend(lists);
    }

    /// What was done since the last call.
    pub(crate) fn take(&mut self) -> Vec<Did> {
        self.did.drain(..).map(|(_, did)| did).collect()
    }

    /// Lets time pass, tick by tick.
    pub(crate) fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        for _ in 0..100_000 {
            let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.feed(Event::Tick);
        }
        panic!("the loop spins at {}", self.now);
    }

    pub(crate) fn tracker(&self, number: usize) -> TrackerStatus {
        self.engine.snapshot(self.now).trackers.swap_remove(number)
    }

    pub(crate) fn up(&self, number: usize) -> Option<bool> {
        self.tracker(number).up
    }

    /// The run that is under way.
    pub(crate) fn run(&mut self) -> RunId {
        let runs = self.take();
        let id = runs.iter().rev().find_map(|did| if let Did::Run(id) = did { Some(*id) } else { None });
        id.unwrap_or_else(|| panic!("nothing runs: {runs:?}"))
    }

    pub(crate) fn ran(&mut self, id: RunId, outcome: RunOutcome) {
        self.feed(Event::Ran { id, outcome, took: ms(10) });
    }

    pub(crate) fn probe(&mut self) -> ProbeId {
        let probes = self.take();
        let id = probes.iter().rev().find_map(|did| if let Did::Probe(id) = did { Some(*id) } else { None });
        id.unwrap_or_else(|| panic!("no probe: {probes:?}"))
    }

    pub(crate) fn probed(&mut self, id: ProbeId, outcome: Outcome) {
        self.feed(Event::Probe { id, outcome, took: ms(10) });
    }

    pub(crate) fn reload(&mut self, config: &Config) {
        self.feed(Event::Reload(Box::new(config.clone())));
    }

    pub(crate) fn said(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }
}

pub(crate) fn failed(why: &str) -> Outcome {
    Outcome::Failed(reason(why))
}

pub(crate) fn reason(why: &str) -> Reason {
    cut(format_args!("{why}"))
}
