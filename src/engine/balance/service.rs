//! A service at run time: which servers are up, who serves, and what that wants of the kernel's table.

use super::checker::Checker;
use super::destination::Params;
use crate::model::{self, PersistenceEngine, Reason, ServerAddress};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::{self, ServiceKey};
use std::net::SocketAddr;

/// `IP_VS_SVC_F_PERSISTENT` (kernel header `linux/ip_vs.h`).
const PERSISTENT: u32 = 0x1;
/// `IP_VS_SVC_F_ONEPACKET`.
const ONE_PACKET: u32 = 0x4;
/// Weight of the sorry server.
const SORRY_WEIGHT: u32 = 1;

/// A server at run time; its parameters are in the service's configuration, at the same place.
#[derive(Debug)]
pub(super) struct Server {
    /// Its address; `None` while its name has none.
    pub(super) address: Option<SocketAddr>,
    /// `None`: always taken as up.
    pub(super) checker: Option<Checker>,
    /// Does it take part?
    pub(super) up: bool,
    /// Since when?
    pub(super) since: Instant,
    /// Why the last probe failed; empty after a success.
    pub(super) reason: Reason,
    /// Probes passed.
    pub(super) passed: u32,
    /// Probes failed.
    pub(super) failed: u32,
    /// When the last probe ended.
    pub(super) probed_at: Option<Instant>,
    /// Time of the last good probe.
    pub(super) probe_time: Option<Duration>,
}

impl Server {
    /// A server of which nothing is known yet; `up` is what it is taken for.
    pub(super) fn new(now: Instant, address: &ServerAddress, checker: Option<Checker>, up: bool) -> Self {
        Server {
            address: match address {
                ServerAddress::Ip(address) => Some(*address),
                ServerAddress::Name { .. } => None,
            },
            checker,
            up,
            since: now,
            reason: Reason::new(),
            passed: 0,
            failed: 0,
            probed_at: None,
            probe_time: None,
        }
    }

    /// Has its checker come to a verdict? Without a checker there is none to wait for.
    pub(super) fn is_known(&self) -> bool {
        self.checker.as_ref().is_none_or(Checker::is_known)
    }
}

/// A service at run time.
#[derive(Debug)]
pub(super) struct Service {
    /// As the user asked for it.
    pub(super) config: model::Service,
    /// As `config.servers`, in the same order.
    pub(super) servers: Vec<Server>,
    /// Its rows in the reconciler: one for each of its keys.
    pub(super) rows: Vec<u32>,
    /// Sum of the weights of the servers that are up.
    pub(super) weight: u64,
    /// Is there one that takes new connections? If not, the sorry server does.
    pub(super) is_served: bool,
    /// Since when?
    pub(super) since: Instant,
}

impl Service {
    /// A service without its servers' runtime; `count` follows when they are there.
    pub(super) fn new(now: Instant, config: model::Service) -> Self {
        Service { config, servers: Vec::new(), rows: Vec::new(), weight: 0, is_served: false, since: now }
    }

    /// Adds up the weights of the servers that are up. Returns the new `is_served` where it has changed.
    pub(super) fn count(&mut self, now: Instant) -> Option<bool> {
        let servers = self.config.servers.iter().zip(&self.servers);
        self.weight = servers.filter(|(_, s)| s.up).map(|(c, _)| u64::from(c.weight)).sum();
        let is_served = self.weight > 0;
        if self.is_served == is_served {
            return None;
        }
        self.is_served = is_served;
        self.since = now;
        Some(is_served)
    }

    /// How many servers are up.
    pub(super) fn up_count(&self) -> usize {
        self.servers.iter().filter(|s| s.up).count()
    }

    /// Is the sorry server in charge?
    pub(super) fn sorry_active(&self) -> bool {
        !self.is_served && self.config.sorry.is_some()
    }

    /// What should be in the table in the place of server `index`: the server while it is up, and the sorry
    /// server where that has the same address and is in charge.
    pub(super) fn wanted_of_server(&self, index: usize) -> Option<Params> {
        let (config, server) = (self.config.servers.get(index)?, self.servers.get(index)?);
        match self.wanted_sorry() {
            Some((address, params)) if ServerAddress::Ip(address) == config.address => Some(params),
            Some(_) | None => server.up.then_some(Params {
                method: config.method,
                weight: config.weight,
                upper_threshold: config.upper_threshold,
                lower_threshold: config.lower_threshold,
            }),
        }
    }

    /// All that should be in the table behind each key of the service, in any order.
    pub(super) fn wanted_destinations(&self) -> Vec<(SocketAddr, Params)> {
        let servers = self.servers.iter().enumerate();
        let servers = servers.filter_map(|(i, s)| Some((s.address?, self.wanted_of_server(i)?)));
        servers.chain(self.wanted_sorry()).collect()
    }

    /// The sorry server's address and parameters while it is in charge. Servers that are up with weight 0
    /// stay beside it: they keep the connections that they have (IPVS-50).
    pub(super) fn wanted_sorry(&self) -> Option<(SocketAddr, Params)> {
        let sorry = self.config.sorry.filter(|_| !self.is_served)?;
        Some((sorry.address, Params::new(sorry.method, SORRY_WEIGHT)))
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
        let mut service = Service::new(Instant::ZERO, config);
        let servers = service.config.servers.iter();
        service.servers = servers.map(|s| Server::new(Instant::ZERO, &s.address, None, true)).collect();
        service.count(Instant::ZERO);
        service
    }

    #[test]
    fn sorry_server_may_be_one_of_the_servers() {
        let mut s = service(&[2, 0]);
        let own = Params::new(Method::new(Forwarding::DirectRoute), 2);
        assert_eq!(s.wanted_of_server(0), Some(own), "up: its own weight and method");
        s.servers[0].up = false;
        assert_eq!(s.count(Instant::from_secs(1)), Some(false), "weight 0 serves nobody new (HC-6)");
        let sorry = Params::new(Method::new(Forwarding::Masquerade), 1);
        assert_eq!(s.wanted_of_server(0), Some(sorry), "the same address, now as the sorry server");
        assert_eq!(s.wanted_of_server(1).unwrap().weight, 0, "a quiesced server keeps its connections");
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
