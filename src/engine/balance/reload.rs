//! Another configuration: what is still there keeps its state, and only what differs is touched.
//!
//! A service is known by its keys, or by the name of its group; a server by its address as configured; a
//! probe by all that makes it what it is. What stands in another place, or under another name, is still the
//! same. What says the same as before costs next to nothing: a thousand services must not keep an advert
//! waiting because one of them has changed (law 1).

use super::heirs::{Origin, origins};
use super::probes::Key;
use super::server::{Link, Server};
use super::service::{Service, wanted};
use super::tell::{self, Gone};
use super::users::Place;
use super::verdict::tell_all_gone;
use super::{Balancer, Phase};
use crate::engine::{Action, Ctx};
use crate::model::{self, CheckKind, Config, ServerAddress, Shared};
use crate::time::Instant;
use std::collections::BTreeMap;

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
        let news = self.take_over(now, config, (self.phase == Phase::Running).then_some(&mut *cx));
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

    /// Replaces service number `at` of a configuration that is about to be taken over by ours, where they say
    /// the same: the reload has nothing to compare then, and nothing to throw away. `hint`: where ours may be
    /// found; returns the one for the next.
    pub(in crate::engine) fn share(&self, config: &mut Config, at: usize, hint: usize) -> usize {
        let Some(new) = config.services.get_mut(at) else { return hint };
        let (before, beyond) = self.services.split_at(hint.min(self.services.len()));
        let mut places = (hint..).zip(beyond).chain((0..).zip(before));
        let Some((place, ours)) = places.find(|(_, ours)| ours.config.name == new.name) else { return hint };
        if ours.config == *new {
            *new = ours.config.clone();
        }
        place + 1
    }

    /// Makes the services of a configuration from it and from those that are there. `cx`: who is to hear of
    /// those that leave.
    pub(super) fn take_over(&mut self, now: Instant, config: &Config, cx: Option<&mut Ctx<'_>>) -> News {
        self.keep = config.ipvs.keep;
        self.table.reader.set_watch_interval(now, config.ipvs.watch_interval);
        self.table.whole.reconfigure(now, &config.ipvs);
        self.table.want_interface(config.ipvs.interface);
        let origins = self.origins(config);
        if let Some(cx) = cx {
            self.tell_leaving(now, config, &origins, cx);
        }
        let old = core::mem::take(&mut self.services);
        let assigned = self.assign_probes(now, &old, config, &origins);
        self.presence.reconfigure(config.services.iter().map(|service| &**service));
        let named = config.services.iter().zip(&origins).filter(|(_, origin)| match origin {
            Origin::Same(from) => old.get(*from).is_some_and(|service| service.named > 0),
            Origin::New | Origin::Changed { .. } => true,
        });
        let addresses = named.flat_map(|(service, _)| &service.servers).map(|server| &server.address);
        let mut names = self.names.reconfigure(now, addresses).into_iter();
        let mut assigned = assigned.into_iter();
        let mut new_places = vec![None; old.len()];
        let mut old: Vec<Option<Service>> = old.into_iter().map(Some).collect();
        let mut news = News::default();
        let mut touched = Touched::default();
        for ((at, config), origin) in config.services.iter().enumerate().zip(&origins) {
            let before = origin.old_place().and_then(|from| old.get_mut(from)?.take());
            match (origin, before) {
                (Origin::Same(from), Some(service)) => {
                    if service.named > 0 {
                        names.by_ref().take(service.servers.len()).for_each(drop);
                    }
                    if let Some(place) = new_places.get_mut(*from) {
                        *place = Some(at as u32);
                    }
                    self.services.push(service);
                }
                (origin, before) => {
                    let before = before.map(|service| self.dismantle(service, &mut touched));
                    let pairs: &[_] = match origin {
                        Origin::Changed { servers, .. } => servers,
                        Origin::New | Origin::Same(_) => &[],
                    };
                    let service =
                        self.merge(now, (before, pairs), config, (&mut assigned, &mut names), &mut news);
                    self.services.push(service);
                }
            }
        }
        for gone in old.into_iter().flatten() {
            self.dismantle(gone, &mut touched);
        }
        self.find_users(now, &origins, &new_places, touched, &mut news);
        self.table.begin_round();
        for (at, origin) in origins.iter().enumerate() {
            let Some(service) = self.services.get_mut(at) else { continue };
            if origin.is_same() && self.table.keep(&service.rows) {
                continue;
            }
            let (config, table) = (&service.config, &mut self.table);
            let rows = config.keys().filter_map(|key| table.want(&config.name, wanted(config, key)));
            service.rows = rows.collect();
            self.want(at);
        }
        self.table.end_round();
        news
    }

    /// Where each service of a configuration comes from.
    fn origins(&mut self, config: &Config) -> Vec<Origin> {
        let mut look_at_files = Vec::new();
        if self.files.reconfigure(&config.tracks) {
            let users = (0..self.file_users.len()).filter_map(|at| self.file_users.get(at));
            look_at_files = users.map(|place| place.service as usize).collect();
            look_at_files.sort_unstable();
        }
        origins(&self.services, &config.services, |at| look_at_files.binary_search(&at).is_ok())
    }

    /// The probe of each check of the services that are not the same, in order: one that is there already, or
    /// a new one.
    fn assign_probes(
        &mut self,
        now: Instant,
        old: &[Service],
        config: &Config,
        origins: &[Origin],
    ) -> Vec<Option<Assigned>> {
        let mut list = Vec::new();
        let mut known = None;
        let mut made: BTreeMap<Key<'_>, u32> = BTreeMap::new();
        for (service, origin) in config.services.iter().zip(origins) {
            let (from, pairs): (_, &[_]) = match origin {
                Origin::Same(_) => continue,
                Origin::New => (None, &[]),
                Origin::Changed { from, servers } => (old.get(*from), servers),
            };
            for (index, server) in service.servers.iter().enumerate() {
                let before = from.zip(pairs.get(index).copied().flatten());
                let before = before.and_then(|(s, at)| Some((s.config.servers.get(at)?, s.servers.get(at)?)));
                if let Some((_, runtime)) = before.filter(|(config, _)| config.checks == server.checks) {
                    let numbers = runtime.links.iter().map(|link| link.probe);
                    list.extend(numbers.map(|n| n.map(|number| Assigned { number, is_new: false })));
                    continue;
                }
                for check in &server.checks {
                    list.push(Key::new(&server.address, check).map(|key| {
                        let known = known.get_or_insert_with(|| self.probes.by_hash());
                        let same = || self.probes.find(known, &key, |place| key_at(old, place));
                        if let Some(number) = made.get(&key).copied().or_else(same) {
                            return Assigned { number, is_new: false };
                        }
                        let number = self.probes.make(now, check, key.hash());
                        made.insert(key, number);
                        Assigned { number, is_new: true }
                    }));
                }
            }
        }
        list
    }

    /// A service is taken apart: its servers want no probes any more.
    fn dismantle(&mut self, service: Service, touched: &mut Touched) -> Service {
        for server in &service.servers {
            for number in server.links.iter().filter_map(|link| link.probe) {
                touched.probes.push((number, self.probes.is_active(number)));
                if server.active {
                    self.probes.activate(number, false);
                }
            }
        }
        service
    }

    /// One service, with the runtime of those of its servers that are still there.
    fn merge(
        &mut self,
        now: Instant,
        (old, pairs): (Option<Service>, &[Option<usize>]),
        config: &Shared<model::Service>,
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
        let mut known: Vec<Option<Server>> = Vec::new();
        let mut old_config = None;
        if let Some(old) = old {
            (service.since, service.has_quorum) = (old.since, old.has_quorum);
            service.suspended = config.suspend && old.suspended;
            known = old.servers.into_iter().map(Some).collect();
            old_config = Some(old.config);
        }
        service.servers.reserve_exact(config.servers.len());
        let mut are_new = Vec::with_capacity(config.servers.len());
        for (index, config) in config.servers.iter().enumerate() {
            let from = pairs.get(index).copied().flatten();
            let old = from.and_then(|from| old_config.as_ref()?.servers.get(from));
            let mut server = from
                .and_then(|from| known.get_mut(from)?.take())
                .unwrap_or_else(|| Server::new(now, &config.address));
            server.name = names.next().flatten();
            service.named += u32::from(server.name.is_some());
            let found = server.name.map(|name| (self.names.address(name), self.names.is_answered(name)));
            if let (Some((ip, is_answered)), ServerAddress::Name { port, .. }) = (found, &config.address) {
                server.address = ip.map(|ip| (ip, *port).into());
                service.unsettled += u32::from(!is_answered);
            }
            self.link(now, old, config, &mut server, assigned);
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
    /// `new_places`: where services are now that were there before and are the same.
    fn find_users(
        &mut self,
        now: Instant,
        origins: &[Origin],
        new_places: &[Option<u32>],
        touched: Touched,
        news: &mut News,
    ) {
        let (mut probes, mut files, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let services = self.services.iter().enumerate().zip(origins);
        for ((at, service), _) in services.filter(|(_, origin)| !origin.is_same()) {
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
        let mut wanted: Vec<u32> = probes.iter().map(|(number, _)| *number).collect();
        self.file_users.reconfigure(new_places, files);
        self.names.users.reconfigure(new_places, names);
        self.probes.users.reconfigure(new_places, probes);
        for (service, _) in self.services.iter_mut().zip(origins).filter(|(_, origin)| !origin.is_same()) {
            let suspended = service.suspended;
            for server in &mut service.servers {
                server.active = server.is_active(suspended);
                for number in server.links.iter().filter_map(|link| link.probe).filter(|_| server.active) {
                    self.probes.activate(number, true);
                }
            }
        }
        for (number, was_active) in touched.probes() {
            news.stops.extend(if self.probes.users.first(number).is_none() {
                self.probes.drop_one(number)
            } else if was_active && !self.probes.is_active(number) {
                self.forget(now, number)
            } else {
                None
            });
        }
        wanted.dedup();
        wanted.into_iter().for_each(|number| self.probes.arm(number));
    }

    /// Tells of servers that are up, and of services, that another configuration does not have any more.
    fn tell_leaving(&self, now: Instant, config: &Config, origins: &[Origin], cx: &mut Ctx<'_>) {
        let mut heirs: Vec<Option<(&Origin, &model::Service)>> = vec![None; self.services.len()];
        for (origin, config) in origins.iter().zip(&config.services) {
            if let Some(heir) = origin.old_place().and_then(|at| heirs.get_mut(at)) {
                *heir = Some((origin, config));
            }
        }
        for (service, heir) in self.services.iter().zip(heirs).filter(|(service, _)| !service.suspended) {
            let servers = match heir {
                None | Some((Origin::New, _)) => {
                    tell_all_gone(now, service, Gone::Removed, cx);
                    continue;
                }
                Some((Origin::Same(_), _)) => continue,
                Some((Origin::Changed { servers, .. }, _)) => servers,
            };
            let mut stays = vec![false; service.servers.len()];
            for at in servers.iter().flatten() {
                if let Some(stays) = stays.get_mut(*at) {
                    *stays = true;
                }
            }
            for (index, (server, stays)) in service.servers.iter().zip(stays).enumerate() {
                if server.up && !stays {
                    tell::tell_gone(now, service, index, Gone::Removed, cx);
                }
            }
        }
    }
}

/// Probes of services that are other ones now, or gone: (number, was it wanted?).
#[derive(Debug, Default)]
struct Touched {
    probes: Vec<(u32, bool)>,
}

impl Touched {
    /// Each once, with what it was at first.
    fn probes(mut self) -> Vec<(u32, bool)> {
        self.probes.sort_by_key(|(number, _)| *number);
        self.probes.dedup_by_key(|(number, _)| *number);
        self.probes
    }
}

/// What makes the probe of a check what it is.
fn key_at(services: &[Service], place: Place) -> Option<Key<'_>> {
    let server = services.get(place.service as usize)?.config.servers.get(place.server as usize)?;
    Key::new(&server.address, server.checks.get(place.check as usize)?)
}

/// Are these of the same kind, whatever their parameters?
fn is_alike(a: &CheckKind, b: &CheckKind) -> bool {
    core::mem::discriminant(a) == core::mem::discriminant(b)
}
