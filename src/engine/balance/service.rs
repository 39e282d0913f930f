//! A service at run time: which servers are up, who serves, and what that wants of the kernel's table.

use super::destination::Params;
use super::names::Names;
use super::probes::Probes;
use super::quorum::Terms;
use super::server::{Files, Judgment, Server};
use crate::model::{self, Forwarding, PersistenceEngine, Shared};
use crate::time::Instant;
use crate::wire::ipvs::{self, ServiceKey};
use std::net::SocketAddr;

/// `IP_VS_SVC_F_PERSISTENT` (kernel header `linux/ip_vs.h`).
const PERSISTENT: u32 = 0x1;
/// `IP_VS_SVC_F_ONEPACKET`.
const ONE_PACKET: u32 = 0x4;
/// Weight of the sorry server.
const SORRY_WEIGHT: u32 = 1;

/// What a judgment of a server leans on.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) probes: &'a Probes,
    pub(super) files: &'a Files,
    pub(super) names: &'a Names,
}

/// What a new judgment of a server changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    /// It went up, or down.
    pub(super) is_flipped: bool,
    /// It counts, or is to be in the table, otherwise than before.
    pub(super) is_other: bool,
}

/// A service at run time.
#[derive(Debug)]
pub(super) struct Service {
    /// As the user asked for it.
    pub(super) config: Shared<model::Service>,
    /// As `config.servers`, in the same order.
    pub(super) servers: Vec<Server>,
    /// Its rows in the reconciler: one for each of its keys.
    pub(super) rows: Vec<u32>,
    /// Sum of the weights of the servers that are up and take new connections.
    pub(super) weight: u64,
    /// Is that enough? If not, the sorry server is in charge.
    pub(super) has_quorum: bool,
    /// None of its addresses is on this box, and it rests meanwhile.
    pub(super) suspended: bool,
    /// So many of its servers have a name.
    pub(super) named: u32,
    /// Names of its servers that have not been looked up yet. Until then nothing is told of its quorum.
    pub(super) unsettled: u32,
    /// Since when it has the quorum, or has not.
    pub(super) since: Instant,
}

impl Service {
    /// A service without its servers' runtime; `count` follows when they are there.
    pub(super) fn new(now: Instant, config: Shared<model::Service>) -> Self {
        Service {
            config,
            servers: Vec::new(),
            rows: Vec::new(),
            weight: 0,
            has_quorum: false,
            suspended: false,
            named: 0,
            unsettled: 0,
            since: now,
        }
    }

    /// The quorum in force.
    pub(super) fn terms(&self) -> Terms {
        Terms::of(&self.config)
    }

    /// Looks at what is known of a server.
    pub(super) fn judge(&mut self, now: Instant, index: usize, facts: Facts<'_>) -> Judged {
        let (Some(config), Some(server)) = (self.config.servers.get(index), self.servers.get_mut(index))
        else {
            return Judged { is_flipped: false, is_other: false };
        };
        let Judgment { up, weight, deciding, reason } =
            server.judge(config, facts.probes, facts.files, facts.names);
        let is_flipped = server.up != up;
        let is_other = is_flipped || server.weight != weight;
        if is_flipped {
            server.since = now;
        }
        (server.up, server.weight) = (up, weight);
        server.reason.set(&reason);
        // One that comes up again does so by the check that brought it down.
        server.deciding = deciding.filter(|_| !up).unwrap_or(server.deciding);
        Judged { is_flipped, is_other }
    }

    /// Adds up the weights of the servers that are up, but for those that run dry. Returns the new
    /// `has_quorum` where it has changed.
    pub(super) fn count(&mut self, now: Instant) -> Option<bool> {
        let counting = self.servers.iter().filter(|s| s.up && !s.draining);
        self.weight = counting.map(|s| u64::from(s.weight)).sum();
        let has_quorum = self.terms().is_held(self.has_quorum, self.weight);
        if self.has_quorum == has_quorum {
            return None;
        }
        self.has_quorum = has_quorum;
        self.since = now;
        Some(has_quorum)
    }

    /// Finds out which servers have the address of one before them. Names alone can bring that about.
    pub(super) fn leave_out(&mut self) {
        self.servers.iter_mut().for_each(|server| server.left_out = false);
        if self.servers.iter().all(|server| server.name.is_none()) {
            return;
        }
        let servers = self.config.servers.iter().zip(&self.servers).enumerate();
        let mut places: Vec<(SocketAddr, usize)> = servers
            .filter_map(|(index, (config, server))| {
                let mut place = server.address?;
                match config.method.forward {
                    Forwarding::Masquerade | Forwarding::Local | Forwarding::Bypass => {}
                    // NAT alone knows ports (IPVS-61).
                    Forwarding::Tunnel | Forwarding::DirectRoute => place.set_port(0),
                }
                Some((place, index))
            })
            .collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            if let [(first, _), (second, index)] = pair
                && first == second
                && let Some(server) = self.servers.get_mut(*index)
            {
                server.left_out = true;
            }
        }
    }

    /// How many servers are up.
    pub(super) fn up_count(&self) -> usize {
        self.servers.iter().filter(|s| s.up).count()
    }

    /// Is the sorry server in charge?
    pub(super) fn sorry_active(&self) -> bool {
        !self.has_quorum && !self.suspended && self.config.sorry.is_some()
    }

    /// All that should be in the table behind each key of the service, in any order. A server may have the
    /// sorry server's address: the greater weight counts.
    pub(super) fn wanted_destinations(&self) -> Vec<(SocketAddr, Params)> {
        if self.suspended {
            return Vec::new();
        }
        let servers = (0..self.servers.len()).filter_map(|index| self.wanted_of_server(index));
        servers.chain(self.wanted_sorry()).collect()
    }

    fn wanted_sorry(&self) -> Option<(SocketAddr, Params)> {
        let sorry = self.config.sorry?;
        let weight = match self.sorry_active() {
            true => SORRY_WEIGHT,
            false if sorry.inhibit => 0,
            false => return None,
        };
        Some((sorry.address, Params::new(sorry.method, weight)))
    }

    /// What should be in the table of server `index`. One that takes no new connections any more keeps those
    /// that it has (IPVS-50) where it runs dry, or weighs nothing, or is inhibited (IPVS-54). With the sorry
    /// server in charge all others leave (keepalived §2.4).
    fn wanted_of_server(&self, index: usize) -> Option<(SocketAddr, Params)> {
        let (config, server) = (self.config.servers.get(index)?, self.servers.get(index)?);
        if server.left_out {
            return None;
        }
        let is_in_turn = server.up && !(self.sorry_active() && server.weight > 0);
        let weight = match (server.draining, is_in_turn) {
            (true, _) => 0,
            (false, true) => server.weight,
            (false, false) if config.inhibit => 0,
            (false, false) => return None,
        };
        let params = Params {
            method: config.method,
            weight,
            upper_threshold: config.upper_threshold,
            lower_threshold: config.lower_threshold,
        };
        Some((server.address?, params))
    }
}

/// A service as the kernel's table should hold it, under one of its keys.
pub(super) fn wanted(config: &model::Service, key: ServiceKey) -> ipvs::Service {
    let full = if key.is_ipv6() { 128 } else { 32 };
    let mut service = ipvs::Service {
        key,
        scheduler: config.scheduler.clone(),
        flags: config.scheduler_flags,
        timeout: 0,
        prefix_len: full,
        engine: PersistenceEngine::new(),
    };
    if config.one_packet {
        service.flags |= ONE_PACKET;
    }
    if let Some(persistence) = &config.persistence {
        service.flags |= PERSISTENT;
        service.timeout = u32::try_from(persistence.timeout.secs()).unwrap_or(u32::MAX);
        // A group may have both families.
        service.prefix_len = persistence.prefix_len.min(full);
        service.engine = persistence.engine.clone().unwrap_or_default();
    }
    service
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Forwarding, Front, Method, Name, Persistence, Protocol, Sorry};
    use crate::time::Duration;

    fn service(weights: &[u32]) -> Service {
        let servers = weights.iter().enumerate().map(|(i, &weight)| model::Server {
            weight,
            ..model::Server::new(format!("192.0.2.{}:80", i + 1).parse().unwrap(), Forwarding::DirectRoute)
        });
        let front = Front::Address("10.0.0.100:80".parse().unwrap());
        let method = Method::new(Forwarding::Masquerade);
        let config = model::Service {
            persistence: Some(Persistence {
                timeout: Duration::from_secs(300),
                prefix_len: 24,
                engine: None,
            }),
            sorry: Some(Sorry { address: "192.0.2.1:80".parse().unwrap(), method, inhibit: false }),
            servers: servers.collect(),
            ..model::Service::new(Name::try_from("web").unwrap(), Protocol::Tcp, front)
        };
        let mut service = Service::new(Instant::ZERO, config.into());
        for config in &service.config.servers {
            let server = Server::new(Instant::ZERO, &config.address);
            service.servers.push(Server { up: true, weight: config.weight, ..server });
        }
        service.count(Instant::ZERO);
        service
    }

    /// `1:80 direct 2`: what is wanted, in short.
    fn wants(service: &Service) -> Vec<String> {
        let short = |(address, params): (SocketAddr, Params)| {
            let method = match params.method.forward {
                Forwarding::DirectRoute => "direct",
                _ => "nat",
            };
            format!("{} {method} {}", address.to_string().trim_start_matches("192.0.2."), params.weight)
        };
        service.wanted_destinations().into_iter().map(short).collect()
    }

    #[test]
    fn sorry_server_may_be_one_of_the_servers() {
        let mut s = service(&[2, 0]);
        assert_eq!(wants(&s), ["1:80 direct 2", "2:80 direct 0"], "up: their own weight and method");
        s.servers[0].up = false;
        assert_eq!(s.count(Instant::from_secs(1)), Some(false), "weight 0 serves nobody new (HC-6)");
        assert_eq!(
            wants(&s),
            ["2:80 direct 0", "1:80 nat 1"],
            "the same address, now as the sorry server; a quiesced server keeps its connections (IPVS-50)"
        );
    }

    /// keepalived §2.4: with the quorum lost the servers that are left go, where a sorry server takes over.
    #[test]
    fn with_the_sorry_server_in_charge_the_others_leave() {
        let mut s = service(&[1, 1, 1]);
        (s.config.quorum, s.servers[0].up) = (3, false);
        s.config.sorry.as_mut().unwrap().address = "192.0.2.9:80".parse().unwrap();
        assert_eq!((s.count(Instant::ZERO), s.weight), (Some(false), 2), "up, but too few");
        assert_eq!(wants(&s), ["9:80 nat 1"]);
        s.servers[2].draining = true;
        s.config.servers[1].inhibit = true;
        assert_eq!(
            wants(&s),
            ["2:80 direct 0", "3:80 direct 0", "9:80 nat 1"],
            "IPVS-54: these may end theirs"
        );
        s.config.sorry = None;
        assert_eq!(wants(&s), ["2:80 direct 1", "3:80 direct 0"], "without a sorry server they stay");
        s.suspended = true;
        assert_eq!(wants(&s), [""; 0], "nothing of a service that rests");
    }

    #[test]
    fn inhibited_ones_stay_with_weight_0() {
        let mut s = service(&[5, 6]);
        s.config.servers.iter_mut().for_each(|server| server.inhibit = true);
        s.config.sorry.as_mut().unwrap().inhibit = true;
        s.config.sorry.as_mut().unwrap().address = "192.0.2.9:80".parse().unwrap();
        s.servers[0].up = false;
        s.count(Instant::ZERO);
        assert_eq!(wants(&s), ["1:80 direct 0", "2:80 direct 6", "9:80 nat 0"], "IPVS-54");
        s.servers[1].up = false;
        s.count(Instant::ZERO);
        assert_eq!(wants(&s), ["1:80 direct 0", "2:80 direct 0", "9:80 nat 1"]);
    }

    #[test]
    fn a_server_that_runs_dry_does_not_count() {
        let mut s = service(&[1, 2]);
        s.servers[1].draining = true;
        assert_eq!((s.count(Instant::ZERO), s.weight), (None, 1));
        assert_eq!(wants(&s), ["1:80 direct 1", "2:80 direct 0"], "IPVS-50: its connections go on");
        s.servers[1].up = false;
        assert_eq!(wants(&s)[1], "2:80 direct 0", "whatever its checks say");
    }

    #[test]
    fn of_servers_with_one_address_the_first_counts() {
        let mut s = service(&[1, 1, 1]);
        s.leave_out();
        assert!(s.servers.iter().all(|server| !server.left_out), "addresses that are configured differ");
        s.servers[2].name = Some(0);
        s.servers[2].address = Some("192.0.2.2:81".parse().unwrap());
        s.leave_out();
        let left_out = |s: &Service| s.servers.iter().map(|server| server.left_out).collect::<Vec<_>>();
        assert_eq!(left_out(&s), [false, false, true], "IPVS-61: without NAT a port makes no difference");
        s.config.servers[2].method.forward = Forwarding::Masquerade;
        s.leave_out();
        assert_eq!(left_out(&s), [false, false, false]);
        assert_eq!(wants(&s).len(), 3);
    }

    #[test]
    fn persistence_becomes_flag_timeout_and_mask() {
        let mut config = service(&[1]).config;
        let key = |config: &model::Service| config.keys().next().unwrap();
        let there = wanted(&config, key(&config));
        assert_eq!((there.flags, there.timeout, there.prefix_len), (1, 300, 24), "IPVS-24 to IPVS-26");
        let ipv6 = ServiceKey::Mark { mark: 7, ipv6: true };
        config.persistence.as_mut().unwrap().prefix_len = 64;
        assert_eq!(wanted(&config, ipv6).prefix_len, 64, "IPVS-26: in a group of both families");
        assert_eq!(wanted(&config, key(&config)).prefix_len, 32, "IPv4 has no longer one");
        config.persistence.as_mut().unwrap().engine = Some(PersistenceEngine::try_from("sip").unwrap());
        assert_eq!(wanted(&config, ipv6).engine, "sip", "IPVS-26b");
        config.persistence = None;
        assert_eq!(wanted(&config, ipv6).prefix_len, 128, "IPVS-26: an IPv6 mask of 0 is refused");
        (config.scheduler_flags, config.one_packet) = (0x18, true);
        assert_eq!(wanted(&config, ipv6).flags, 0x1c, "IPVS-24: fallback and port of sh and mh, one packet");
    }
}
