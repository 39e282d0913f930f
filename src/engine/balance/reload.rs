//! Another configuration: what is still there keeps its state, and only what differs is touched.
//!
//! A service is known by its keys, or by the name of its group; a server by its address as configured; a
//! probe by all that makes it what it is. What stands in another place, or under another name, is still the
//! same.

use super::probes::Key;
use super::server::{Link, Server};
use super::service::{Service, wanted};
use super::tell::{self, Gone};
use super::users::{Place, Users};
use super::verdict::tell_all_gone;
use super::{Balancer, Phase};
use crate::engine::{Action, Ctx};
use crate::model::{self, CheckKind, Config, Front, Name, Protocol, ServerAddress, ServiceKey};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// What a configuration that was taken over makes others do.
#[derive(Debug, Default)]
pub(super) struct News {
    /// What ends probes that nobody wants any more.
    stops: Vec<Action>,
    /// Servers that went up or down by it: (service, server).
    servers: Vec<(usize, usize)>,
    /// Services that won or lost their quorum by it.
    services: Vec<usize>,
    /// New ones that begin without.
    starts: Vec<usize>,
}

/// Finds the services of an earlier configuration.
struct Before {
    by_key: BTreeMap<ServiceKey, usize>,
    by_group: BTreeMap<(Name, Protocol), usize>,
}

impl Before {
    fn new(services: &[Service]) -> Self {
        let keys = services.iter().enumerate().flat_map(|(at, s)| s.config.keys().map(move |key| (key, at)));
        let groups = services.iter().enumerate().filter_map(|(at, s)| match &s.config.front {
            Front::Group { name, .. } => Some(((name.clone(), s.config.protocol), at)),
            Front::Address(_) | Front::Mark { .. } => None,
        });
        Before { by_key: keys.collect(), by_group: groups.collect() }
    }

    /// Where each service of a configuration was; none is taken twice.
    fn find_all(&self, config: &[model::Service]) -> Vec<Option<usize>> {
        let mut taken = BTreeSet::new();
        let mut find = |service: &model::Service| {
            let group = match &service.front {
                Front::Group { name, .. } => self.by_group.get(&(name.clone(), service.protocol)).copied(),
                Front::Address(_) | Front::Mark { .. } => None,
            };
            let mut known = service.keys().filter_map(|key| self.by_key.get(&key).copied());
            let at = group.or_else(|| known.find(|at| !taken.contains(at)));
            at.filter(|at| taken.insert(*at))
        };
        config.iter().map(&mut find).collect()
    }
}

/// The number of a probe, and whether it was made just now.
#[derive(Debug, Clone, Copy)]
struct Assigned {
    number: u32,
    is_new: bool,
}

impl Balancer {
    /// Takes over another configuration: verdicts, counters, weights, turns and probes on their way stay;
    /// changed parameters become SET commands; nothing else is touched.
    pub(in crate::engine) fn reload(&mut self, now: Instant, config: &Config, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::New | Phase::Running => {}
            Phase::Leaving { .. } | Phase::Left => return,
        }
        if self.phase == Phase::Running {
            self.tell_leaving(now, config, cx);
        }
        let news = self.take_over(now, config);
        cx.actions.extend(news.stops);
        if self.phase != Phase::Running {
            return;
        }
        for (at, index) in news.servers {
            let Some(service) = self.services.get_mut(at) else { continue };
            if let Some(server) = service.servers.get_mut(index) {
                server.told = true;
            }
            tell::tell_server(now, service, index, true, cx);
        }
        for service in news.services.into_iter().filter_map(|at| self.services.get(at)) {
            tell::tell_service(now, service, cx);
        }
        for at in news.starts {
            self.tell_start(now, at, cx);
        }
        self.table.retry_all_now(now);
        self.tick(now, cx);
    }

    /// Makes the services of a configuration from it and from those that are there.
    pub(super) fn take_over(&mut self, now: Instant, config: &Config) -> News {
        self.keep = config.ipvs.keep;
        self.table.reader.set_watch_interval(now, config.ipvs.watch_interval);
        self.table.whole.reconfigure(now, &config.ipvs);
        let old = core::mem::take(&mut self.services);
        let places = Before::new(&old).find_all(&config.services);
        let assigned = self.assign_probes(now, &old, config);
        self.files.reconfigure(&config.tracks);
        self.presence.reconfigure(config.services.iter());
        let servers = config.services.iter().flat_map(|s| &s.servers).map(|s| &s.address);
        let mut names = self.names.reconfigure(now, servers).into_iter();
        let mut assigned = assigned.into_iter();
        let mut old: Vec<Option<Service>> = old.into_iter().map(Some).collect();
        let mut news = News::default();
        for (config, place) in config.services.iter().zip(places) {
            let old = place.and_then(|at| old.get_mut(at)?.take());
            let service = self.merge(now, old, config, (&mut assigned, &mut names), &mut news);
            self.services.push(service);
        }
        self.find_users(now, &mut news);
        self.table.begin_round();
        for at in 0..self.services.len() {
            let Some(service) = self.services.get_mut(at) else { continue };
            let (config, table) = (&service.config, &mut self.table);
            let rows = config.keys().filter_map(|key| table.want(&config.name, wanted(config, key)));
            service.rows = rows.collect();
            self.want(at);
        }
        self.table.end_round();
        news
    }

    /// The probe of each check of a configuration, in order: one that is there already, or a new one.
    fn assign_probes(&mut self, now: Instant, old: &[Service], config: &Config) -> Vec<Option<Assigned>> {
        let mut known: BTreeMap<Key<'_>, u32> = BTreeMap::new();
        for service in old {
            for (config, server) in service.config.servers.iter().zip(&service.servers) {
                for (check, link) in config.checks.iter().zip(&server.links) {
                    if let (Some(key), Some(number)) = (Key::new(&config.address, check), link.probe) {
                        known.insert(key, number);
                    }
                }
            }
        }
        let mut list = Vec::new();
        let mut made: BTreeMap<Key<'_>, u32> = BTreeMap::new();
        for server in config.services.iter().flat_map(|service| &service.servers) {
            for check in &server.checks {
                list.push(Key::new(&server.address, check).map(|key| {
                    if let Some(number) = made.get(&key).or_else(|| known.get(&key)) {
                        return Assigned { number: *number, is_new: false };
                    }
                    let number = self.probes.make(now, check);
                    made.insert(key, number);
                    Assigned { number, is_new: true }
                }));
            }
        }
        list
    }

    /// One service, with the runtime of those of its servers that are still there.
    fn merge(
        &mut self,
        now: Instant,
        old: Option<Service>,
        config: &model::Service,
        (assigned, names): (
            &mut impl Iterator<Item = Option<Assigned>>,
            &mut impl Iterator<Item = Option<u32>>,
        ),
        news: &mut News,
    ) -> Service {
        let is_new = old.is_none();
        let mut service = Service::new(now, config.clone());
        // Where an address of a new one is on this box is known only when the kernel has told it.
        service.suspended = config.suspend && self.phase == Phase::Running && !self.presence.has(config);
        let mut known: BTreeMap<ServerAddress, (model::Server, Server)> = BTreeMap::new();
        if let Some(old) = old {
            (service.since, service.has_quorum) = (old.since, old.has_quorum);
            service.suspended = config.suspend && old.suspended;
            let servers = old.config.servers.into_iter().zip(old.servers);
            known = servers.map(|(config, server)| (config.address.clone(), (config, server))).collect();
        }
        let mut are_new = Vec::with_capacity(config.servers.len());
        for config in &config.servers {
            let (old, mut server) = match known.remove(&config.address) {
                Some((old, server)) => (Some(old), server),
                None => (None, Server::new(now, &config.address)),
            };
            server.name = names.next().flatten();
            let found = server.name.map(|name| (self.names.address(name), self.names.is_answered(name)));
            if let (Some((ip, is_answered)), ServerAddress::Name { port, .. }) = (found, &config.address) {
                server.address = ip.map(|ip| (ip, *port).into());
                service.unsettled += u32::from(!is_answered);
            }
            self.link(now, old.as_ref(), config, &mut server, assigned);
            service.servers.push(server);
            are_new.push(old.is_none());
        }
        service.leave_out();
        self.judge_merged(now, &mut service, &are_new, is_new, news);
        service
    }

    /// Looks at the servers and the quorum as they are now. Those of a service that rests wait for its
    /// waking, but for a first look.
    fn judge_merged(
        &self,
        now: Instant,
        service: &mut Service,
        are_new: &[bool],
        is_new: bool,
        news: &mut News,
    ) {
        let at = self.services.len();
        for (index, server_is_new) in are_new.iter().enumerate() {
            if service.suspended && !server_is_new {
                continue;
            }
            if service.judge(now, index, self.facts()).is_flipped && !server_is_new {
                news.servers.push((at, index));
            }
        }
        if service.suspended && !is_new {
            return;
        }
        let is_flipped = service.count(now).is_some();
        if service.unsettled > 0 {
            return;
        }
        if is_new && service.sorry_active() {
            news.starts.push(at);
        } else if is_flipped && !is_new {
            news.services.push(at);
        }
    }

    /// Ties a server's checks to their probes. A check that has other parameters now goes on from what is
    /// known; one that is new to a server counts as that server does.
    fn link(
        &mut self,
        now: Instant,
        old: Option<&model::Server>,
        config: &model::Server,
        server: &mut Server,
        assigned: &mut impl Iterator<Item = Option<Assigned>>,
    ) {
        let before = core::mem::take(&mut server.links);
        for (index, check) in config.checks.iter().enumerate() {
            let assigned = assigned.next().flatten();
            let was = old.and_then(|old| old.checks.get(index)).zip(before.get(index));
            let was = was.filter(|(was, _)| is_alike(&was.kind, &check.kind)).map(|(_, link)| *link);
            let kept = before.iter().find(|link| link.probe == assigned.map(|a| a.number));
            if let (Some(Assigned { number, is_new: true }), Some(Link { probe: Some(heir_of), .. })) =
                (assigned, was)
            {
                self.probes.inherit(now, check, number, heir_of);
            }
            let assumed = match old {
                None => config.start_up,
                Some(_) => kept.or(was.as_ref()).map_or(server.up, |link| link.assumed),
            };
            server.links.push(Link { probe: assigned.map(|a| a.number), assumed });
        }
    }

    /// Writes down whose is what; ends probes that are nobody's, and those that nobody wants for now.
    fn find_users(&mut self, now: Instant, news: &mut News) {
        let (mut probes, mut files, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (at, service) in self.services.iter().enumerate() {
            for (index, (config, server)) in service.config.servers.iter().zip(&service.servers).enumerate() {
                names.extend(server.name.map(|name| (name, Place::new(at, index, 0))));
                for (number, (check, link)) in config.checks.iter().zip(&server.links).enumerate() {
                    probes.extend(link.probe.map(|probe| (probe, Place::new(at, index, number))));
                    if let CheckKind::File(file) = &check.kind {
                        files.push((file.track as u32, Place::new(at, index, number)));
                    }
                }
            }
        }
        files.dedup_by_key(|(track, place)| (*track, place.service, place.server));
        self.file_users = Users::new(files);
        self.names.users = Users::new(names);
        self.probes.users = Users::new(probes);
        let was_active: Vec<bool> = (0..self.probes.end()).map(|n| self.probes.is_active(n)).collect();
        self.probes.deactivate_all();
        for service in &mut self.services {
            let suspended = service.suspended;
            for server in &mut service.servers {
                server.active = server.is_active(suspended);
                for number in server.links.iter().filter_map(|link| link.probe).filter(|_| server.active) {
                    self.probes.activate(number, true);
                }
            }
        }
        for (number, was_active) in (0..).zip(was_active) {
            news.stops.extend(if self.probes.users.first(number).is_none() {
                self.probes.drop_one(number)
            } else if was_active && !self.probes.is_active(number) {
                self.forget(now, number)
            } else {
                None
            });
        }
        self.probes.arm_all();
    }

    /// Tells of servers that are up, and of services, that another configuration does not have any more.
    fn tell_leaving(&self, now: Instant, config: &Config, cx: &mut Ctx<'_>) {
        let mut heirs: Vec<Option<&model::Service>> = vec![None; self.services.len()];
        for (place, config) in
            Before::new(&self.services).find_all(&config.services).iter().zip(&config.services)
        {
            if let Some(heir) = place.and_then(|at| heirs.get_mut(at)) {
                *heir = Some(config);
            }
        }
        for (service, heir) in self.services.iter().zip(heirs).filter(|(service, _)| !service.suspended) {
            let Some(heir) = heir else {
                tell_all_gone(now, service, Gone::Removed, cx);
                continue;
            };
            let stays: BTreeSet<&ServerAddress> = heir.servers.iter().map(|server| &server.address).collect();
            for (index, (config, server)) in service.config.servers.iter().zip(&service.servers).enumerate() {
                if server.up && !stays.contains(&config.address) {
                    tell::tell_gone(now, service, index, Gone::Removed, cx);
                }
            }
        }
    }
}

/// Are these of the same kind, whatever their parameters?
fn is_alike(a: &CheckKind, b: &CheckKind) -> bool {
    core::mem::discriminant(a) == core::mem::discriminant(b)
}
