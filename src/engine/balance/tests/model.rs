//! What a service should come to, predicted without a line of what is tested: from the configuration, what
//! each check says, the addresses of names, what the operator wants, and which addresses are here.

use super::*;
use crate::model::status::{ServerStatus, ServiceStatus};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What is remembered of a service from event to event.
#[derive(Debug, Clone, Default)]
struct Memory {
    held: bool,
    rests: bool,
    drained: BTreeSet<ServerAddress>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    services: BTreeMap<ServiceKey, Memory>,
    /// Addresses of this box.
    pub(super) here: BTreeSet<IpAddr>,
    /// The balancer has been started.
    pub(super) started: bool,
}

/// A server as it should be: up, weight.
fn predicted(config: &Service, status: &ServiceStatus, index: usize) -> (bool, u32) {
    let (server, told) = (&config.servers[index], &status.servers[index]);
    let ip = |status: &ServerStatus| status.resolved.map(|address| address.ip());
    let is_second = status.servers[..index].iter().any(|other| ip(other).is_some() && ip(other) == ip(told));
    let says: Vec<bool> = told.checks.iter().map(|check| check.up).collect();
    let fit =
        if server.any_check && !says.is_empty() { says.contains(&true) } else { !says.contains(&false) };
    let sum = i64::from(server.weight) + told.checks.iter().map(|c| i64::from(c.weight)).sum::<i64>();
    (told.resolved.is_some() && !is_second && fit, sum.clamp(0, i32::MAX.into()) as u32)
}

impl Model {
    /// Something has happened: is every service as it should be?
    pub(super) fn follow(&mut self, config: &Config, snapshot: &Snapshot, what: &str) {
        let old = core::mem::take(&mut self.services);
        for (config, status) in config.services.iter().zip(&snapshot.services) {
            let mut memory = old.get(&key_of(config)).cloned().unwrap_or_default();
            memory.drained.retain(|address| config.servers.iter().any(|s| s.address == *address));
            let ServiceKey::Address { address, .. } = key_of(config) else { panic!("{config:?}") };
            let rested = core::mem::replace(
                &mut memory.rests,
                self.started && config.suspend && !self.here.contains(&address.ip()),
            );
            if !rested || !memory.rests {
                memory.held = self.count(config, status, &memory);
            }
            assert_eq!(status.suspended, memory.rests, "{what}: {} rests", config.name);
            assert_eq!(status.has_quorum, memory.held, "{what}: {} has its quorum: {status:?}", config.name);
            for (index, told) in status.servers.iter().enumerate().filter(|_| !memory.rests) {
                let (up, weight) = predicted(config, status, index);
                assert_eq!(told.up, up, "{what}: {}: {told:?}", config.name);
                assert!(!up || told.weight == weight, "{what}: {}: {told:?}, not {weight}", config.name);
                assert_eq!(told.draining, memory.drained.contains(&told.address), "{what}: {told:?}");
            }
            self.services.insert(key_of(config), memory);
        }
    }

    /// keepalived §2.4.
    fn count(&self, config: &Service, status: &ServiceStatus, memory: &Memory) -> bool {
        let servers = config.servers.iter().enumerate();
        let counting = servers.filter(|(_, server)| !memory.drained.contains(&server.address));
        let weights = counting.map(|(index, _)| predicted(config, status, index));
        let sum: i64 = weights.filter(|(up, _)| *up).map(|(_, weight)| i64::from(weight)).sum();
        let total: i64 = config.servers.iter().map(|server| i64::from(server.weight)).sum();
        let quorum = i64::from(config.quorum).min(total.max(1));
        let hysteresis = i64::from(config.hysteresis).min(quorum - 1);
        let threshold = if memory.held { quorum - hysteresis } else { quorum + hysteresis };
        sum > 0 && sum >= threshold
    }

    /// The operator has spoken.
    pub(super) fn drain(&mut self, config: &Service, index: usize, draining: bool) {
        let memory = self.services.entry(key_of(config)).or_default();
        let address = config.servers[index].address.clone();
        if draining {
            memory.drained.insert(address)
        } else {
            memory.drained.remove(&address)
        };
    }

    /// What the table should hold.
    pub(super) fn expected(
        &self,
        config: &Config,
        snapshot: &Snapshot,
    ) -> BTreeMap<ServiceKey, BTreeMap<SocketAddr, u32>> {
        let services = config.services.iter().zip(&snapshot.services);
        services.map(|(config, status)| (key_of(config), self.expected_of(config, status))).collect()
    }

    fn expected_of(&self, config: &Service, status: &ServiceStatus) -> BTreeMap<SocketAddr, u32> {
        let (memory, mut wanted) = (&self.services[&key_of(config)], BTreeMap::new());
        if memory.rests {
            return wanted;
        }
        let takes_over = config.sorry.filter(|_| !memory.held);
        for (index, server) in config.servers.iter().enumerate() {
            let told = &status.servers[index];
            let Some(address) = told.resolved else { continue };
            let mut before = status.servers[..index].iter().filter_map(|s| s.resolved);
            if before.any(|other| other.ip() == address.ip()) {
                continue;
            }
            let (up, weight) = predicted(config, status, index);
            if memory.drained.contains(&server.address) {
                wanted.insert(address, 0);
            } else if up && (takes_over.is_none() || weight == 0) {
                wanted.insert(address, weight);
            } else if server.inhibit {
                wanted.insert(address, 0);
            }
        }
        if let Some(sorry) = takes_over {
            wanted.insert(sorry.address, 1);
        } else if let Some(sorry) = config.sorry.filter(|sorry| sorry.inhibit) {
            wanted.entry(sorry.address).or_insert(0);
        }
        wanted
    }
}
