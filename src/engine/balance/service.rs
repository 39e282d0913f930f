//! A service at run time: which servers are up, who serves, and what that wants of the kernel's table.

use super::checker::Checker;
use super::table::Params;
use crate::model::{self, PersistenceEngine, Reason, ServerAddress};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::{self, ServiceKey};
use std::net::SocketAddr;

/// `IP_VS_SVC_F_PERSISTENT` (kernel header `linux/ip_vs.h`).
const PERSISTENT: u32 = 0x1;
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
    /// Its row in the reconciler.
    pub(super) row: u32,
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
        Service { config, servers: Vec::new(), row: 0, weight: 0, is_served: false, since: now }
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
            Some(_) | None => server.up.then(|| Params::new(config.method, config.weight)),
        }
    }

    /// The sorry server's address and parameters while it is in charge. Servers that are up with weight 0
    /// stay beside it: they keep the connections that they have (IPVS-50).
    pub(super) fn wanted_sorry(&self) -> Option<(SocketAddr, Params)> {
        let sorry = self.config.sorry.filter(|_| !self.is_served)?;
        Some((sorry.address, Params::new(sorry.method, SORRY_WEIGHT)))
    }
}

/// The name of a service in the kernel's table.
pub(super) fn key(config: &model::Service) -> ServiceKey {
    config.keys().next().unwrap_or(ServiceKey::Mark { mark: 0, ipv6: false })
}

/// A service as the kernel's table should hold it.
pub(super) fn wanted(config: &model::Service) -> ipvs::Service {
    let full = if key(config).is_ipv6() { 128 } else { 32 };
    let (flags, timeout, prefix_len) = match &config.persistence {
        Some(p) => (PERSISTENT, u32::try_from(p.timeout.secs()).unwrap_or(u32::MAX), p.prefix_len),
        None => (0, 0, full),
    };
    ipvs::Service {
        key: key(config),
        scheduler: config.scheduler.clone(),
        flags,
        timeout,
        prefix_len,
        engine: PersistenceEngine::new(),
    }
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
        let there = wanted(&config);
        assert_eq!((there.flags, there.timeout, there.prefix_len), (1, 300, 24), "IPVS-24 to IPVS-26");
        config.persistence = None;
        config.front = Front::Address("[2001:db8::1]:80".parse().unwrap());
        assert_eq!(wanted(&config).prefix_len, 128, "IPVS-26: an IPv6 mask of 0 is refused");
    }
}
