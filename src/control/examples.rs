//! Snapshots for tests: the ones that people will see, and random ones.

use crate::limits;
use crate::model::status::{
    AddressStatus, CheckStatus, GroupStatus, Happening, InstanceCounters, InstanceState, InstanceStatus,
    IpvsStatus, MailStatus, PeerStatus, RejectedPeer, RouteStatus, RunStatus, ServerStatus, ServiceStatus,
    Snapshot, Stalls, TrackerStatus,
};
use crate::model::{
    Cidr, DaemonRole, Family, Forwarding, Front, Level, Method, Persistence, Protocol, ServerAddress,
    ServiceKey, Tunnel, TunnelChecksum, Version, cut,
};
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) fn name<const N: usize>(text: &str) -> heapless::String<N> {
    cut(format_args!("{text}"))
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn vip(text: &str, present: bool) -> AddressStatus {
    AddressStatus { address: Cidr { address: text.parse().unwrap(), prefix_len: 24 }, present, put_back: 0 }
}

pub(super) fn instance(called: &str, vrid: u8, state: InstanceState, vip_address: &str) -> InstanceStatus {
    InstanceStatus {
        name: name(called),
        interface: name("ens37"),
        vrid,
        version: Version::V2,
        family: Family::V4,
        group: None,
        state,
        since: secs(3 * 86_400 + 4 * 3600),
        cause: name("no advert for 3.6s"),
        priority: 100,
        effective_priority: 100,
        contributions: Vec::new(),
        faults: Vec::new(),
        waits: None,
        peers: Vec::new(),
        virtual_mac: None,
        rivals: 0,
        active_mac: None,
        routes: Vec::new(),
        advert_interval: secs(1),
        active_router: match state {
            InstanceState::Backup => Some(PeerStatus {
                address: "192.168.234.37".parse().unwrap(),
                priority: 200,
                heard: Duration::from_millis(400),
            }),
            _ => None,
        },
        addresses: vec![vip(vip_address, state == InstanceState::Active)],
        counters: InstanceCounters { adverts_sent: 12, became_active: 1, ..InstanceCounters::default() },
        rejected: Vec::new(),
    }
}

pub(super) fn route(text: &str, present: bool) -> RouteStatus {
    RouteStatus { text: name(text), present, put_back: 0 }
}

pub(super) fn group(called: &str, state: InstanceState, members: &[&str]) -> GroupStatus {
    let members = members.iter().map(|member| name(member)).collect();
    GroupStatus { name: name(called), state, since: secs(3 * 86_400 + 4 * 3600), members }
}

pub(super) fn tracker(called: &str, kind: &'static str, used_by: &[&str]) -> TrackerStatus {
    TrackerStatus {
        name: name(called),
        kind,
        up: Some(true),
        hurts: false,
        value: None,
        since: secs(3 * 86_400 + 4 * 3600),
        reason: name(""),
        last: None,
        passed: 0,
        failed: 0,
        used_by: used_by.iter().map(|user| name(user)).collect(),
    }
}

pub(super) fn run(subject: &str, what: &'static str, outcome: &str, failed: bool) -> RunStatus {
    RunStatus {
        subject: name(subject),
        server: None,
        what,
        running: None,
        waiting: 0,
        collapsed: 0,
        outcome: name(outcome),
        failed,
        last: Some((secs(130), Duration::from_millis(20))),
    }
}

/// A router with all that VRRP has, in some trouble.
pub(super) fn busy() -> Snapshot {
    let mut lan = instance("lan", 51, InstanceState::Backup, "192.168.1.1");
    lan.since = secs(41);
    (lan.priority, lan.effective_priority) = (130, 80);
    lan.contributions = vec![(name("wan"), -50)];
    lan.waits = Some(name("preempts in 12s"));
    lan.group = Some(name("inside"));
    let mut lan6 = instance("lan6", 51, InstanceState::Backup, "192.168.1.1");
    (lan6.family, lan6.version, lan6.since) = (Family::V6, Version::V3, secs(41));
    (lan6.priority, lan6.effective_priority) = (130, 55);
    lan6.contributions = vec![(name("wan"), -50), (name("resolver"), -20), (name("upstream-dns"), -5)];
    lan6.group = Some(name("inside"));
    let mut guest = instance("guest", 52, InstanceState::Active, "192.168.2.1");
    guest.routes = vec![
        route("0.0.0.0/0 via 10.0.0.1 dev wan table 100", false),
        route("from 192.168.2.0/24 table 100", true),
    ];
    guest.rivals = 12;
    guest.active_mac = Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    guest.active_router = Some(PeerStatus {
        address: "192.168.2.3".parse().unwrap(),
        priority: 90,
        heard: Duration::from_millis(300),
    });
    guest.peers = vec!["192.168.2.3".parse().unwrap(), "192.168.2.4".parse().unwrap()];
    guest.virtual_mac = Some((name("vrrp.52"), [0, 0, 0x5e, 0, 1, 52]));
    guest.counters.signed_received = 1200;
    guest.counters.unsigned_accepted = 3;
    let mut wan = tracker("wan", "path", &["lan", "lan6"]);
    (wan.up, wan.hurts, wan.since, wan.reason) = (Some(false), true, secs(41), name("no answer in 1s"));
    (wan.passed, wan.failed) = (4000, 41);
    wan.last = Some((Duration::from_millis(600), secs(1)));
    let mut daemons = tracker("dhcp", "process", &["lan"]);
    daemons.value = Some(2);
    let mut load = tracker("load", "file", &["guest"]);
    load.value = Some(-3);
    let mut resolver = tracker("resolver", "script", &["lan6"]);
    (resolver.up, resolver.since) = (None, secs(1));
    Snapshot {
        router_name: name("gw-a"),
        instances: vec![lan, lan6, guest],
        groups: vec![group("inside", InstanceState::Backup, &["lan", "lan6"])],
        trackers: vec![daemons, wan, load, resolver],
        runs: vec![
            run("dnsmasq", "service", "start: exited with 7, 3 in a row, again in 4s", true),
            run("lan", "notify", "BACKUP: exited with 0", false),
        ],
        services: Vec::new(),
        ipvs: None,
        mail: None,
        foreign: vec![(7, "192.168.2.77".parse().unwrap(), secs(2))],
        ..s1()
    }
}

pub(super) fn server(address: &str, weight: u32) -> ServerStatus {
    ServerStatus {
        address: ServerAddress::Ip(address.parse().unwrap()),
        resolved: address.parse().ok(),
        method: Method::new(Forwarding::DirectRoute),
        weight,
        configured_weight: weight,
        draining: false,
        up: true,
        known: true,
        installed: true,
        since: secs(7200),
        reason: name(""),
        passed: 1200,
        failed: 0,
        probed: Some(secs(2)),
        probe_time: Some(Duration::from_millis(12)),
        active_connections: 44,
        inactive_connections: 3,
        checks: Vec::new(),
    }
}

pub(super) fn fail(server: &mut ServerStatus, seconds: u64, reason: &str) {
    server.up = false;
    server.installed = false;
    server.since = secs(seconds);
    server.reason = name(reason);
    server.failed += 4;
    server.active_connections = 0;
}

pub(super) fn service(called: &str, address: &str) -> ServiceStatus {
    ServiceStatus {
        name: name(called),
        protocol: Protocol::Tcp,
        front: Front::Address(address.parse().unwrap()),
        scheduler: name("wrr"),
        persistence: None,
        sorry_active: false,
        sorry: Some("127.0.0.1:80".parse().unwrap()),
        installed: true,
        servers: vec![server("192.168.234.47:80", 1), server("192.168.234.57:80", 2)],
        active_connections: 132,
        quorum: 1,
        hysteresis: 0,
        has_quorum: true,
        suspended: false,
        since: secs(7200),
    }
}

/// The seeds' first scenario: all is well, this router is Active.
pub(super) fn s1() -> Snapshot {
    Snapshot {
        router_name: name("kptwo"),
        up: secs(3 * 86_400 + 4 * 3600),
        instances: vec![instance("VI_1", 50, InstanceState::Active, "10.0.0.100")],
        services: vec![service("web", "10.0.0.100:80")],
        problems: Vec::new(),
        ipvs: Some(IpvsStatus { present: true, ..IpvsStatus::default() }),
        mail: Some(MailStatus { sent: 2, ..MailStatus::default() }),
        stalls: Stalls::default(),
        dropped: Vec::new(),
        ..Snapshot::default()
    }
}

/// Its other router.
pub(super) fn s1_backup() -> Snapshot {
    let mut snapshot = s1();
    snapshot.instances = vec![instance("VI_1", 50, InstanceState::Backup, "10.0.0.100")];
    snapshot
}

pub(super) fn happening(
    seconds: u64,
    level: Level,
    kind: &'static str,
    subject: &str,
    text: &str,
) -> Happening {
    Happening { age: secs(seconds), level, kind, subject: name(subject), text: name(text) }
}

/// Of names and reasons, with what does not belong on a terminal.
const ALPHABET: [char; 27] = [
    'a',
    'b',
    'c',
    'X',
    'Y',
    'Z',
    '0',
    '1',
    '9',
    '_',
    '-',
    ' ',
    '.',
    ':',
    '~',
    '%',
    '"',
    '\\',
    '\u{1b}',
    '\u{7f}',
    '\n',
    '\t',
    'é',
    '\u{9b}',
    '\u{4e2d}',
    '\u{1F600}',
    '/',
];

/// A generator of numbers that is the same everywhere (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Small numbers mostly, and now and then the largest.
    fn number(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX,
            1 => self.next(),
            2..=4 => self.below(100),
            _ => self.below(1_000_000),
        }
    }

    fn u32(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    fn duration(&mut self) -> Duration {
        Duration::from_micros(self.number())
    }

    /// As long as may be, at times, with characters that do not belong on a terminal.
    pub(super) fn text<const N: usize>(&mut self) -> heapless::String<N> {
        let length = if self.chance(20) { N as u64 } else { self.below(12) };
        let mut out = heapless::String::new();
        for _ in 0..length {
            let at = self.below(ALPHABET.len() as u64) as usize;
            let _ = out.push(if self.chance(70) { 'n' } else { ALPHABET[at] });
        }
        out
    }

    fn ip(&mut self) -> IpAddr {
        if self.chance(50) {
            IpAddr::V4(Ipv4Addr::from(self.next() as u32))
        } else {
            let high = u128::from(self.next());
            IpAddr::V6(Ipv6Addr::from(high << 64 | u128::from(self.next())))
        }
    }

    fn socket(&mut self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.next() as u16)
    }

    fn instance(&mut self) -> InstanceStatus {
        let states =
            [InstanceState::Initialize, InstanceState::Backup, InstanceState::Active, InstanceState::Fault];
        let state = states[self.below(4) as usize];
        let addresses = (0..self.below(6)).map(|_| AddressStatus {
            address: Cidr { address: self.ip(), prefix_len: self.below(33) as u8 },
            present: self.chance(80) == (state == InstanceState::Active),
            put_back: if self.chance(10) { self.u32() } else { 0 },
        });
        InstanceStatus {
            addresses: addresses.collect(),
            name: self.text(),
            interface: self.text::<{ limits::IFNAME_MAX }>(),
            vrid: self.next() as u8,
            version: if self.chance(50) { Version::V2 } else { Version::V3 },
            family: if self.chance(80) { Family::V4 } else { Family::V6 },
            group: self.chance(30).then(|| self.text()),
            state,
            since: self.duration(),
            cause: self.text(),
            priority: self.next() as u8,
            effective_priority: self.next() as u8,
            contributions: (0..self.below(8).saturating_sub(4))
                .map(|_| (self.text(), self.below(600) as i32 - 300))
                .collect(),
            faults: (0..self.below(6).saturating_sub(3)).map(|_| self.text()).collect(),
            waits: self.chance(10).then(|| self.text()),
            peers: (0..self.below(8).saturating_sub(5)).map(|_| self.ip()).collect(),
            virtual_mac: self.chance(20).then(|| (self.text(), self.mac())),
            rivals: if self.chance(10) { self.u32() } else { 0 },
            active_mac: self.chance(30).then(|| self.mac()),
            routes: (0..self.below(8).saturating_sub(5))
                .map(|_| RouteStatus {
                    text: self.text(),
                    present: self.chance(80) == (state == InstanceState::Active),
                    put_back: if self.chance(10) { self.u32() } else { 0 },
                })
                .collect(),
            advert_interval: self.duration(),
            active_router: self.chance(50).then(|| PeerStatus {
                address: self.ip(),
                priority: 1,
                heard: self.duration(),
            }),
            counters: InstanceCounters {
                adverts_received: self.u32(),
                signed_received: if self.chance(20) { self.u32() } else { 0 },
                unsigned_accepted: if self.chance(20) { self.u32() } else { 0 },
                dropped: if self.chance(20) { vec![("ttl is not 255", self.u32())] } else { Vec::new() },
                ..InstanceCounters::default()
            },
            rejected: (0..self.below(6).saturating_sub(3))
                .map(|_| RejectedPeer {
                    address: self.ip(),
                    why: self.text(),
                    count: self.u32(),
                    last: self.duration(),
                })
                .collect(),
        }
    }

    fn mac(&mut self) -> [u8; 6] {
        core::array::from_fn(|_| self.next() as u8)
    }

    fn group(&mut self) -> GroupStatus {
        let states = [InstanceState::Active, InstanceState::Backup, InstanceState::Fault];
        GroupStatus {
            name: self.text(),
            state: states[self.below(3) as usize],
            since: self.duration(),
            members: (0..self.below(6)).map(|_| self.text()).collect(),
        }
    }

    fn tracker(&mut self) -> TrackerStatus {
        let kinds = ["interface", "script", "file", "process", "address", "route", "path"];
        TrackerStatus {
            name: self.text(),
            kind: kinds[self.below(7) as usize],
            up: [None, Some(true), Some(true), Some(false)][self.below(4) as usize],
            hurts: self.chance(30),
            value: self.chance(30).then(|| self.number() as i64),
            since: self.duration(),
            reason: self.text(),
            last: self.chance(50).then(|| (self.duration(), self.duration())),
            passed: self.u32(),
            failed: self.u32(),
            used_by: (0..self.below(6)).map(|_| self.text()).collect(),
        }
    }

    fn run(&mut self) -> RunStatus {
        RunStatus {
            subject: self.text(),
            server: self.chance(20).then(|| ServerAddress::Ip(self.socket())),
            what: ["notify", "notify_group", "notify_server", "service"][self.below(4) as usize],
            running: self.chance(30).then(|| self.duration()),
            waiting: self.below(6) as u32,
            collapsed: self.u32(),
            outcome: self.text(),
            failed: self.chance(20),
            last: self.chance(80).then(|| (self.duration(), self.duration())),
        }
    }

    fn server(&mut self) -> ServerStatus {
        ServerStatus {
            address: if self.chance(80) {
                ServerAddress::Ip(self.socket())
            } else {
                let host = self.text::<{ limits::HOST_NAME_MAX }>().as_str().to_owned();
                ServerAddress::Name { host, port: self.next() as u16, ipv6: self.chance(50) }
            },
            resolved: self.chance(90).then(|| self.socket()),
            method: Method {
                forward: Forwarding::Tunnel,
                tunnel: [
                    Tunnel::Ipip,
                    Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None },
                    Tunnel::Gre { checksum: TunnelChecksum::Full },
                ][self.below(3) as usize],
            },
            weight: self.below(65_536) as u32,
            configured_weight: self.below(65_536) as u32,
            draining: self.chance(10),
            up: self.chance(80),
            known: self.chance(90),
            installed: self.chance(90),
            since: self.duration(),
            reason: self.text(),
            passed: self.u32(),
            failed: self.u32(),
            probed: self.chance(80).then(|| self.duration()),
            probe_time: self.chance(80).then(|| self.duration()),
            active_connections: self.u32(),
            inactive_connections: self.u32(),
            checks: (0..self.below(12).saturating_sub(8)).map(|_| self.check()).collect(),
        }
    }

    fn check(&mut self) -> CheckStatus {
        CheckStatus {
            kind: ["tcp", "http", "https", "smtp", "ping", "dns", "udp", "script", "file"]
                [self.below(9) as usize],
            up: self.chance(80),
            known: self.chance(90),
            reason: self.text(),
            passed: self.u32(),
            failed: self.u32(),
            probed: self.chance(80).then(|| self.duration()),
            probe_time: self.chance(80).then(|| self.duration()),
            weight: self.next() as i32,
        }
    }

    fn front(&mut self) -> Front {
        match self.below(6) {
            0 => Front::Mark { mark: self.u32(), ipv6: self.chance(50) },
            1 => Front::Group {
                name: self.text(),
                keys: (0..self.below(40))
                    .map(|_| ServiceKey::Address { protocol: Protocol::Tcp, address: self.socket() })
                    .chain([ServiceKey::Mark { mark: 7, ipv6: true }])
                    .collect(),
            },
            _ => Front::Address(self.socket()),
        }
    }

    fn service(&mut self) -> ServiceStatus {
        let count = if self.below(500) == 0 { limits::SERVERS_MAX as u64 } else { self.below(6) };
        ServiceStatus {
            name: self.text(),
            protocol: [Protocol::Tcp, Protocol::Udp, Protocol::Sctp][self.below(3) as usize],
            front: self.front(),
            scheduler: self.text(),
            persistence: self.chance(20).then(|| Persistence {
                timeout: self.duration(),
                prefix_len: 24,
                engine: self.chance(50).then(|| self.text()),
            }),
            sorry_active: self.chance(10),
            sorry: self.chance(50).then(|| self.socket()),
            installed: self.chance(95),
            servers: (0..count).map(|_| self.server()).collect(),
            active_connections: self.number(),
            quorum: self.u32(),
            hysteresis: self.u32(),
            has_quorum: self.chance(80),
            suspended: self.chance(10),
            since: self.duration(),
        }
    }

    fn size(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => 1,
            2 => self.below(8),
            _ => self.below(80),
        }
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            router_name: self.text(),
            up: self.duration(),
            instances: (0..self.size()).map(|_| self.instance()).collect(),
            groups: (0..self.size() / 2).map(|_| self.group()).collect(),
            trackers: (0..self.size() / 2).map(|_| self.tracker()).collect(),
            runs: (0..self.size() / 4).map(|_| self.run()).collect(),
            services: (0..self.size()).map(|_| self.service()).collect(),
            problems: (0..self.size() / 4).map(|_| self.text()).collect(),
            ipvs: self.chance(70).then(|| IpvsStatus {
                present: self.chance(70),
                why: self.text(),
                repaired: self.u32(),
                refused: self.u32(),
                sockopt: self.chance(10),
                sync: if self.chance(30) { vec![DaemonRole::Backup] } else { Vec::new() },
            }),
            mail: self.chance(50).then(|| MailStatus {
                waiting: self.u32(),
                sent: self.u32(),
                failed: self.u32(),
                lost: self.u32(),
                reason: self.text(),
            }),
            stalls: Stalls { count: self.u32(), worst: self.duration() },
            dropped: vec![("vlan", self.u32())],
            foreign: (0..self.below(4)).map(|_| (self.next() as u8, self.ip(), self.duration())).collect(),
        }
    }
}
