//! Another configuration: what is still there keeps its state, and only what differs is touched.

use super::checker::{Checker, place};
use super::service::{Server, Service, wanted};
use super::{Balancer, Phase};
use crate::engine::{Action, Ctx, ProbeId};
use crate::model::{self, Config, ServerAddress};
use crate::time::Instant;
use crate::wire::ipvs::ServiceKey;
use core::cmp::Reverse;
use std::collections::BTreeMap;

impl Balancer {
    /// Takes over another configuration. Services by their keys and servers by address keep
    /// their verdicts, counters and turns; changed parameters become SET commands; nothing else is touched.
    pub(in crate::engine) fn reload(&mut self, now: Instant, config: &Config, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::New | Phase::Running => {}
            Phase::Leaving { .. } | Phase::Left => return,
        }
        let before = self.running_probes();
        let flipped = self.take_over(now, config);
        self.stop_lost_probes(now, &before, cx);
        self.arm();
        if self.phase == Phase::Running {
            for at in flipped {
                if let Some(service) = self.services.get(at) {
                    super::tell::tell_service(now, service, cx);
                }
            }
            self.table.retry_all_now(now);
            self.tick(now, cx);
        }
    }

    /// Makes the services of a configuration from it and from those that are there. Returns those old ones
    /// that have won or lost their last server.
    pub(super) fn take_over(&mut self, now: Instant, config: &Config) -> Vec<usize> {
        self.keep = config.ipvs.keep;
        self.table.reader.set_watch_interval(now, config.ipvs.watch_interval);
        self.table.whole.reconfigure(now, &config.ipvs);
        let mut old: Vec<Option<Service>> = self.services.drain(..).map(Some).collect();
        let keys = |(at, service): (usize, &Option<Service>)| {
            let keys: Vec<ServiceKey> = service.iter().flat_map(|s| s.config.keys()).collect();
            keys.into_iter().map(move |key| (key, at))
        };
        let by_key: BTreeMap<ServiceKey, usize> = old.iter().enumerate().flat_map(keys).collect();
        self.table.begin_round();
        let mut flipped = Vec::new();
        self.checkers.clear();
        for (at, config) in config.services.iter().enumerate() {
            let before = config.keys().find_map(|key| old.get_mut(*by_key.get(&key)?)?.take());
            let is_new = before.is_none();
            let mut service = self.merge(now, at, before, config);
            if service.count(now).is_some() && !is_new {
                flipped.push(at);
            }
            let rows = config.keys().filter_map(|key| self.table.want(&config.name, wanted(config, key)));
            service.rows = rows.collect();
            self.services.push(service);
            self.want(at);
        }
        self.table.end_round();
        flipped
    }

    /// Gives every checker its first turn, counted from now.
    pub(super) fn begin_checkers(&mut self, now: Instant) {
        for (number, &(service, server)) in self.checkers.iter().enumerate() {
            let Some(service) = self.services.get_mut(service as usize) else { continue };
            let check = service.config.servers.get(server as usize).and_then(|s| s.checks.first());
            if let (Some(check), Some(server)) = (check, service.servers.get_mut(server as usize)) {
                server.checker = Some(Checker::new(now, check, place(self.seed, number as u32)));
            }
        }
        self.arm();
    }

    /// One service at place `at`, with the runtime of those of its servers that are still there.
    fn merge(&mut self, now: Instant, at: usize, old: Option<Service>, config: &model::Service) -> Service {
        let mut service = Service::new(now, config.clone());
        let mut known: BTreeMap<ServerAddress, (model::Server, Server)> = BTreeMap::new();
        if let Some(old) = old {
            (service.since, service.is_served) = (old.since, old.is_served);
            let servers = old.config.servers.into_iter().zip(old.servers);
            known = servers.map(|(config, server)| (config.address.clone(), (config, server))).collect();
        }
        for (index, config) in config.servers.iter().enumerate() {
            let place = place(self.seed, self.checkers.len() as u32);
            let fresh = |check: &model::Check| Checker::new(now, check, place);
            let server = match known.remove(&config.address) {
                None => {
                    let up = config.start_up || config.checks.is_empty();
                    Server::new(now, &config.address, config.checks.first().map(fresh), up)
                }
                Some((old, mut server)) => {
                    match (config.checks.first(), &mut server.checker) {
                        (None, _) => {
                            server.checker = None;
                            server.reason.clear();
                            if !server.up {
                                (server.up, server.since) = (true, now);
                            }
                        }
                        // What is up stays up until the first probe says otherwise.
                        (Some(check), None) => server.checker = Some(fresh(check)),
                        (Some(check), Some(checker)) => {
                            let was = old.checks.first();
                            if was.is_none_or(|was| was.kind != check.kind || was.timeout != check.timeout) {
                                checker.restart(now);
                            }
                            if was != Some(check) {
                                checker.reconfigure(now, check);
                            }
                        }
                    }
                    server
                }
            };
            if server.checker.is_some() {
                self.checkers.push((at as u32, index as u32));
            }
            service.servers.push(server);
        }
        service
    }

    /// The probes that are running, by number.
    fn running_probes(&self) -> Vec<ProbeId> {
        let serial = |&(service, server): &(u32, u32)| {
            self.services.get(service as usize)?.servers.get(server as usize)?.checker.as_ref()?.serial()
        };
        let checkers = self.checkers.iter().enumerate();
        checkers
            .filter_map(|(number, at)| Some(ProbeId { checker: number as u32, serial: serial(at)? }))
            .collect()
    }

    /// Forgets the probes whose checker is gone, has changed, or has got another number; the last two begin
    /// anew.
    fn stop_lost_probes(&mut self, now: Instant, before: &[ProbeId], cx: &mut Ctx<'_>) {
        for &id in before {
            if self.find(id).is_none() {
                cx.actions.push(Action::StopProbe(id));
            }
        }
        for number in 0..self.checkers.len() {
            let Some(&(service, server)) = self.checkers.get(number) else { continue };
            let Some(service) = self.services.get_mut(service as usize) else { continue };
            let Some(server) = service.servers.get_mut(server as usize) else { continue };
            let Some(checker) = &mut server.checker else { continue };
            let Some(serial) = checker.serial() else { continue };
            let id = ProbeId { checker: number as u32, serial };
            if before.binary_search_by_key(&id.checker, |b| b.checker).map(|at| before.get(at))
                != Ok(Some(&id))
            {
                checker.restart(now);
            }
        }
    }

    /// One entry for each checker that waits.
    fn arm(&mut self) {
        self.due.clear();
        for (number, &(service, server)) in self.checkers.iter().enumerate() {
            let service = self.services.get(service as usize);
            let checker =
                service.and_then(|s| s.servers.get(server as usize)).and_then(|s| s.checker.as_ref());
            if let Some(at) = checker.and_then(Checker::probe_at) {
                self.due.push(Reverse((at, number as u32)));
            }
        }
    }
}
