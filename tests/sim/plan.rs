//! What a world is made of: virtual routers on one or two LANs, and what each router is configured to.

use crate::random::Random;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vipd::model::{
    AntiReplay, AuthPass, Authentication, ChecksumForm, Cidr, Command, Config, Family, Hmac, HmacKey,
    HmacMode, IfName, Instance, Peer, Priority, Route, RouteKind, Rule, RuleAction, SyncGroup, Track,
    TrackKind, TrackUse, Unicast, Version, VirtualAddress, VirtualMac, Vrid, cut, virtual_mac,
};
use vipd::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A virtual router: what all nodes have in common.
#[derive(Debug, Clone)]
pub(crate) struct Vr {
    pub(crate) lan: usize,
    pub(crate) config: Instance,
    pub(crate) is_hmac: bool,
}

/// Of all nodes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) lans: usize,
    pub(crate) vrs: Vec<Vr>,
    pub(crate) tracks: Vec<Track>,
    /// Members of the sync group, by VR; empty: there is none.
    pub(crate) group: Vec<usize>,
    group_tracks: Vec<TrackUse>,
    member_weights: bool,
}

impl Plan {
    pub(crate) fn new(random: &mut Random, nodes: usize) -> Self {
        let lans = 1 + usize::from(random.percent(40));
        let tracks: Vec<Track> = (0..random.below(4)).map(|n| track(random, n)).collect();
        let mut vrs: Vec<Vr> = Vec::new();
        let count = if random.percent(40) { 1 } else { 2 + random.below(3) };
        for number in 0..count as u8 {
            // IPv4 and IPv6 may have the same VRID.
            let vrid = 1 + number / 2 * 3 + if random.percent(50) { number % 2 } else { 0 };
            let family = if number % 2 == 1 { Family::V6 } else { Family::V4 };
            let family = if count == 1 && random.percent(40) { Family::V6 } else { family };
            let lan = random.index(lans);
            vrs.push(vr(random, number, lan, family, vrid, nodes, &tracks));
        }
        let mut group = Vec::new();
        if count > 1 && random.percent(50) {
            group = (0..vrs.len()).collect();
            if count > 2 && random.percent(50) {
                group.pop();
            }
        }
        Plan {
            lans,
            group_tracks: uses(random, &tracks, 30),
            vrs,
            tracks,
            group,
            member_weights: random.percent(50),
        }
    }

    /// The configuration of a node with these priorities; a VR without one is left out.
    pub(crate) fn config(&self, random: &mut Random, node: usize, priorities: &[Option<u8>]) -> Config {
        let start_delay =
            if random.percent(20) { SECOND * (1 + random.below(8) as u32) } else { Duration::ZERO };
        let mut instances = Vec::new();
        let mut places = vec![None; self.vrs.len()];
        for (at, vr) in self.vrs.iter().enumerate() {
            let Some(priority) = priorities[at] else { continue };
            let mut config = vr.config.clone();
            config.priority = Priority::new(priority).unwrap();
            config.start_delay = start_delay;
            if config.version == Version::V3 && random.percent(10) {
                // v3 learns the interval of the Active router (FSM-7).
                config.advert_interval *= 2;
            }
            if let Some(unicast) = &mut config.unicast {
                unicast.peers.retain(|p| p.address != base(node, vr.lan, config.family).address);
            }
            places[at] = Some(instances.len());
            instances.push(config);
        }
        let members: Vec<usize> = self.group.iter().filter_map(|vr| places[*vr]).collect();
        let groups = if members.is_empty() {
            Vec::new()
        } else {
            vec![SyncGroup {
                name: cut(format_args!("G")),
                members,
                tracks: self.group_tracks.clone(),
                member_weights: self.member_weights,
                notify: Default::default(),
            }]
        };
        Config { instances, groups, tracks: self.tracks.clone(), ..Config::default() }
    }

    /// How long a world without faults may take to come to rest.
    pub(crate) fn settling(&self, configs: &[Config]) -> Duration {
        let all = || configs.iter().flat_map(|c| &c.instances);
        let most = |of: fn(&Instance) -> Duration| all().map(of).max().unwrap_or(Duration::ZERO);
        let interval = most(|i| i.advert_interval);
        let lease = most(|i| i.lease.unwrap_or(Duration::ZERO));
        let delays = most(|i| i.start_delay) + most(|i| i.preempt_delay) + most(|i| i.settle);
        // Contests of groups, each a round of listening and a pause.
        let rounds = if self.group.is_empty() { 1 } else { 6 };
        // A clock that was set back is believed after the window, or once it has caught up; a macvlan, a
        // socket, a route or a script is tried again.
        let is_monotonic = |i: &Instance| match &i.authentication {
            Authentication::Hmac(hmac) => hmac.anti_replay == AntiReplay::Monotonic,
            Authentication::None | Authentication::Pass(_) => false,
        };
        let hmac = if all().any(is_monotonic) {
            SECOND * 60 + interval * 6
        } else if self.vrs.iter().any(|v| v.is_hmac) {
            SECOND * 10 + interval * 6
        } else {
            Duration::ZERO
        };
        (interval * 5 + SECOND * 2) * rounds + lease + delays + hmac + SECOND * 10
    }
}

/// An address of a node's own.
pub(crate) fn base(node: usize, lan: usize, family: Family) -> Cidr {
    let last = 10 + node as u16;
    match family {
        Family::V4 => {
            let address = Ipv4Addr::new(192, 0, 2 + lan as u8, last as u8);
            Cidr { address: address.into(), prefix_len: 24 }
        }
        Family::V6 => {
            let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1 + lan as u16, last);
            Cidr { address: address.into(), prefix_len: 64 }
        }
    }
}

pub(crate) fn mac(node: usize, lan: usize) -> [u8; 6] {
    [2, 0, 0, 0, lan as u8, 10 + node as u8]
}

pub(crate) fn lan_name(lan: usize) -> &'static str {
    ["lan0", "lan1"][lan]
}

fn vr(
    random: &mut Random,
    number: u8,
    lan: usize,
    family: Family,
    vrid: u8,
    nodes: usize,
    tracks: &[Track],
) -> Vr {
    let interface: IfName = cut(format_args!("{}", lan_name(lan)));
    let vrid = Vrid::new(vrid).unwrap();
    let mut config = Instance::new(cut(format_args!("VI_{number}")), interface, vrid, family);
    if family == Family::V4 && random.percent(60) {
        config.version = Version::V3;
    }
    config.advert_interval = match config.version {
        Version::V2 => SECOND * (1 + random.below(2) as u32),
        Version::V3 => Duration::from_millis(100 * (1 + random.below(20))),
    };
    config.down_adverts = if random.percent(80) { 3 } else { 2 + random.below(4) as u8 };
    config.preempt = random.percent(75);
    if random.percent(20) {
        config.preempt_delay = Duration::from_millis(100 * (1 + random.below(100)));
    }
    if random.percent(15) {
        config.settle = Duration::from_millis(100 * random.below(30));
    }
    if random.percent(15) {
        config.down_delay = Duration::from_millis(100 * random.below(10));
    }
    let is_hmac = random.percent(20);
    if is_hmac {
        config.authentication = Authentication::Hmac(Box::new(hmac(random)));
    } else if config.version == Version::V2 && random.percent(30) {
        config.authentication = Authentication::Pass(AuthPass(*b"1111\0\0\0\0"));
    }
    if random.percent(20) {
        let peers = (0..nodes).map(|n| base(n, lan, family).address);
        let peers = peers.map(|address| Peer { address, ttl_min: 0, ttl_max: 255 }).collect();
        config.unicast = Some(Unicast { peers, ttl: 255, check_source: random.percent(80) });
    } else if random.percent(25) {
        let word = if family == Family::V4 { "vrrp" } else { "vrrp6" };
        let name = cut(format_args!("{word}.{vrid}.{lan}"));
        config.virtual_mac = Some(VirtualMac { name, mac: virtual_mac(family, vrid) });
    }
    config.checksum = if random.percent(80) { ChecksumForm::PseudoHeader } else { ChecksumForm::Auto };
    config.lower_priority_advert = random.percent(85);
    config.higher_priority_advert = random.percent(15);
    config.lease = random.percent(90).then(|| SECOND * (2 + random.below(4) as u32));
    config.addresses = (0..1 + random.below(4)).map(|n| vip(family, number, n as u8).into()).collect();
    if random.percent(25) {
        config.excluded = vec![vip(Family::V4, number, 50).into(), vip(Family::V6, number, 50).into()];
    }
    if random.percent(30) {
        routes(random, number, &mut config);
    }
    config.tracks = uses(random, tracks, 50);
    Vr { lan, config, is_hmac }
}

/// Number `n` of a virtual router; the first of IPv6 is link-local (PKT-13).
fn vip(family: Family, number: u8, n: u8) -> Cidr {
    match family {
        Family::V4 => Cidr { address: Ipv4Addr::new(10, 0, number, 100 + n).into(), prefix_len: 24 },
        Family::V6 => {
            let net = if n == 0 { 0xfe80 } else { 0xfd00 };
            let address = Ipv6Addr::new(net, 0, 0, 0, 0, 0x100, number.into(), n.into());
            Cidr { address: address.into(), prefix_len: 64 }
        }
    }
}

fn routes(random: &mut Random, number: u8, config: &mut Instance) {
    let is_ipv6 = config.family == Family::V6;
    let destination = match config.family {
        Family::V4 => Cidr { address: Ipv4Addr::new(10, 100, number, 0).into(), prefix_len: 24 },
        Family::V6 => {
            let address: IpAddr = Ipv6Addr::new(0xfd01, 0, 0, number.into(), 0, 0, 0, 0).into();
            Cidr { address, prefix_len: 64 }
        }
    };
    let vip = config.addresses.last().map(|a: &VirtualAddress| a.cidr.address);
    let route = Route {
        destination,
        kind: RouteKind::Unicast,
        gateway: None,
        interface: None,
        source: vip.filter(|_| random.percent(50)),
        table: 254,
        metric: None,
        scope: None,
        on_link: false,
        mtu: None,
        no_track: false,
    };
    let hole = Route { kind: RouteKind::Blackhole, source: None, metric: Some(7), ..route.clone() };
    config.routes = vec![route, hole];
    config.rules = vec![Rule {
        is_ipv6,
        from: Some(destination),
        to: None,
        input: None,
        output: None,
        fwmark: None,
        tos: 0,
        priority: 1000 + u32::from(number),
        action: RuleAction::Table(100),
        no_track: false,
    }];
}

fn hmac(random: &mut Random) -> Hmac {
    let secret = heapless::Vec::from_slice(b"0123456789abcdef0123456789abcdef").unwrap();
    Hmac {
        keys: vec![HmacKey { id: 7, secret }],
        active: 0,
        window: None,
        anti_replay: if random.percent(70) { AntiReplay::Time } else { AntiReplay::Monotonic },
        mode: if random.percent(80) { HmacMode::Enforce } else { HmacMode::Permissive },
    }
}

fn track(random: &mut Random, number: u64) -> Track {
    let kind = match random.below(4) {
        0 => TrackKind::Interface { interface: cut(format_args!("lan0")) },
        1 => TrackKind::Script {
            command: Command { argv: vec!["/check".into()], user: None, group: None, timeout: SECOND },
            interval: SECOND * (1 + random.below(5) as u32),
            rise: 1 + random.below(2) as u16,
            fall: 1 + random.below(3) as u16,
        },
        2 => TrackKind::Process {
            process: "dnsmasq".into(),
            arguments: Vec::new(),
            quorum: 1,
            quorum_max: None,
            up_delay: SECOND * random.below(2) as u32,
            down_delay: SECOND * random.below(2) as u32,
        },
        _ => TrackKind::File { path: format!("/run/{number}") },
    };
    Track { name: cut(format_args!("t{number}")), kind }
}

fn uses(random: &mut Random, tracks: &[Track], percent: u64) -> Vec<TrackUse> {
    let mut uses = Vec::new();
    for track in 0..tracks.len() {
        if random.percent(percent) {
            let weight = if random.percent(30) { 0 } else { random.below(100) as i16 - 50 };
            uses.push(TrackUse { track, weight, reverse: false });
        }
    }
    uses
}
