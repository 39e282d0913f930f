//! Another configuration: what is still there keeps its state, and only what differs is touched.
//!
//! A service is known by its keys, or by the name of its group; a server by its address as configured; a
//! probe by all that makes it what it is. What stands in another place, or under another name, is still the
//! same. What says the same as before costs next to nothing, and where all services stay in their places,
//! those that change are taken over some at a time: a thousand must not keep an advert waiting (law 1). Each
//! is wholly as it was, or wholly as it will be.

use super::heirs::{Change, Origin, origins};
use super::merge::assign;
use super::names::Names;
use super::service::{Service, wanted};
use super::tell::{self, Gone};
use super::users::Place;
use super::verdict::tell_all_gone;
use super::{Balancer, Phase};
use crate::engine::{Action, Ctx};
use crate::limits;
use crate::model::{self, CheckKind, Config, ServerAddress};
use crate::time::Instant;
use std::collections::{BTreeSet, VecDeque};

/// What a configuration that was taken over makes others do.
#[derive(Debug, Default)]
pub(super) struct News {
    /// What ends probes that nobody wants any more.
    stops: Vec<Action>,
    /// Servers that went up or down by it: (service, server).
    pub(super) servers: Vec<(usize, usize)>,
    /// Services that won or lost their quorum by it.
    pub(super) services: Vec<usize>,
    /// New ones that begin without.
    pub(super) starts: Vec<usize>,
}

impl Balancer {
    /// Takes over another configuration: verdicts, counters, weights, turns and probes on their way stay;
    /// changed parameters become SET commands; nothing else is touched. The next ticks do what is left of it.
    pub(in crate::engine) fn reload(&mut self, now: Instant, config: &Config, cx: &mut Ctx<'_>) {
        match self.phase {
            Phase::New | Phase::Running => {}
            Phase::Leaving { .. } | Phase::Left => return,
        }
        let news = self.take_over(now, config, (self.phase == Phase::Running).then_some(&mut *cx));
        self.spread(now, news, cx);
        if self.phase == Phase::Running {
            self.table.retry_all_now(now);
            self.do_what_is_due(now, cx);
        }
    }

    /// Goes on with a reload that is half done.
    pub(super) fn go_on(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if !self.changes.is_empty() {
            let news = self.take_over_some(now, limits::RELOADED_PER_TURN, Some(&mut *cx));
            self.spread(now, news, cx);
        }
    }

    /// Tells what came of a configuration.
    fn spread(&mut self, now: Instant, news: News, cx: &mut Ctx<'_>) {
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
    /// those that leave; with it, there will be ticks for the rest.
    pub(super) fn take_over(&mut self, now: Instant, config: &Config, cx: Option<&mut Ctx<'_>>) -> News {
        self.keep = config.ipvs.keep;
        self.table.reader.set_watch_interval(now, config.ipvs.watch_interval);
        self.table.whole.reconfigure(now, &config.ipvs);
        self.table.want_interface(config.ipvs.interface);
        let touched = self.touched_by_files(config);
        let origins = origins(&self.services, &config.services, |at| touched.binary_search(&at).is_ok());
        let is_in_place = self.are_in_place(config, &origins);
        let changes = (0..).zip(&config.services).zip(&origins).filter_map(|((at, config), origin)| {
            let (from, servers): (_, &[_]) = match origin {
                Origin::New => (None, &[]),
                Origin::Same(_) => return None,
                Origin::Changed { from, servers } => (Some(*from), servers),
            };
            Some(Change { at, config: config.clone(), from, servers: servers.to_vec() })
        });
        let changes: VecDeque<Change> = changes.collect();
        if !is_in_place {
            self.changes.clear();
            return self.take_over_whole(now, (config, &origins), changes.into(), cx);
        }
        self.changes = changes;
        // Before the start there are no ticks; and which file is which, one configuration alone may say.
        let is_whole = cx.is_none() || !touched.is_empty();
        self.take_over_some(now, if is_whole { usize::MAX } else { limits::RELOADED_PER_TURN }, cx)
    }

    /// Services that lean on files whose places in the list of trackers may be others now.
    fn touched_by_files(&mut self, config: &Config) -> Vec<usize> {
        if !self.files.reconfigure(&config.tracks) {
            return Vec::new();
        }
        let users = (0..self.file_users.len()).filter_map(|at| self.file_users.get(at));
        let mut services: Vec<usize> = users.map(|place| place.service as usize).collect();
        services.sort_unstable();
        services
    }

    /// Is every service where it was, under the same keys?
    fn are_in_place(&self, config: &Config, origins: &[Origin]) -> bool {
        let has_keys_of = |at: usize, new: &model::Service| {
            let old = self.services.get(at).map(|old| (old.config.protocol, &old.config.front));
            old == Some((new.protocol, &new.front))
        };
        origins.len() == self.services.len()
            && origins.iter().zip(&config.services).enumerate().all(|(at, (origin, new))| match origin {
                Origin::New => false,
                Origin::Same(from) => *from == at,
                Origin::Changed { from, .. } => *from == at && has_keys_of(at, new),
            })
    }

    /// The next of `changes`, up to so many servers; all other services are as they were.
    fn take_over_some(&mut self, now: Instant, most: usize, cx: Option<&mut Ctx<'_>>) -> News {
        let (mut changes, mut room) = (Vec::new(), most);
        while room > 0
            && let Some(change) = self.changes.pop_front()
        {
            room = room.saturating_sub(change.config.servers.len().max(1));
            changes.push(change);
        }
        let mut news = News::default();
        if changes.is_empty() {
            return news;
        }
        if let Some(cx) = cx {
            for change in &changes {
                if let Some(service) = self.services.get(change.at) {
                    tell_leaving(now, service, &change.servers, cx);
                }
            }
        }
        let assigned = assign(&mut self.probes, now, &self.services, &changes);
        let rests = |at: usize| self.services.get(at).is_some_and(|old| old.config.suspend);
        if changes.iter().any(|change| change.config.suspend || rests(change.at)) {
            self.presence.reconfigure(coming(&self.services, &changes).map(|(_, config, _)| config));
        }
        let others =
            coming(&self.services, &changes).filter(|(old, _, is_changed)| !is_changed && old.named > 0);
        let others = others.map(|(_, config, _)| config);
        let mut names = take_names(&mut self.names, now, &changes, others).into_iter();
        let mut assigned = assigned.into_iter();
        let mut touched = Touched::default();
        for change in &changes {
            let Some(slot) = self.services.get_mut(change.at) else { continue };
            let old = core::mem::replace(slot, Service::new(now, change.config.clone()));
            let old = self.dismantle(change.at, old, &mut touched);
            let merged = self.merge(now, Some(old), change, (&mut assigned, &mut names), &mut news);
            if let Some(slot) = self.services.get_mut(change.at) {
                *slot = merged;
            }
        }
        self.find_users(now, &changes, None, touched, &mut news);
        // Keys are the same: no row leaves.
        self.table.begin_round();
        changes.iter().for_each(|change| self.want_all(change.at));
        news
    }

    /// All at once: services come, go, or have other places.
    fn take_over_whole(
        &mut self,
        now: Instant,
        (config, origins): (&Config, &[Origin]),
        changes: Vec<Change>,
        cx: Option<&mut Ctx<'_>>,
    ) -> News {
        if let Some(cx) = cx {
            self.tell_all_leaving(now, origins, cx);
        }
        let old = core::mem::take(&mut self.services);
        let mut assigned = assign(&mut self.probes, now, &old, &changes).into_iter();
        self.presence.reconfigure(config.services.iter().map(|service| &**service));
        let others = config.services.iter().zip(origins).filter(|(_, origin)| match origin {
            Origin::Same(from) => old.get(*from).is_some_and(|service| service.named > 0),
            Origin::New | Origin::Changed { .. } => false,
        });
        let others = others.map(|(service, _)| &**service);
        let mut names = take_names(&mut self.names, now, &changes, others).into_iter();
        let mut new_places = vec![None; old.len()];
        let mut old: Vec<Option<Service>> = old.into_iter().map(Some).collect();
        let (mut news, mut touched) = (News::default(), Touched::default());
        let mut rest = changes.iter();
        self.services.reserve_exact(origins.len());
        for (at, origin) in origins.iter().enumerate() {
            let before = origin.old_place().and_then(|from| Some((from, old.get_mut(from)?.take()?)));
            match (origin, before) {
                (Origin::Same(_), Some((from, service))) => {
                    if let Some(place) = new_places.get_mut(from) {
                        *place = Some(at as u32);
                    }
                    self.services.push(service);
                }
                (_, before) => {
                    let Some(change) = rest.next() else { continue };
                    let before = before.map(|(from, service)| self.dismantle(from, service, &mut touched));
                    let service = self.merge(now, before, change, (&mut assigned, &mut names), &mut news);
                    self.services.push(service);
                }
            }
        }
        for (from, gone) in old.into_iter().enumerate() {
            if let Some(gone) = gone {
                self.dismantle(from, gone, &mut touched);
            }
        }
        self.find_users(now, &changes, Some(&new_places), touched, &mut news);
        self.table.begin_round();
        for (at, origin) in origins.iter().enumerate() {
            let is_kept = origin.is_same() && self.services.get(at).is_some_and(|s| self.table.keep(&s.rows));
            if !is_kept {
                self.want_all(at);
            }
        }
        self.table.end_round();
        news
    }

    /// Says to the table what a service wants, itself and its servers.
    fn want_all(&mut self, at: usize) {
        let Some(service) = self.services.get_mut(at) else { return };
        let (config, table) = (&service.config, &mut self.table);
        let rows = config.keys().filter_map(|key| table.want(&config.name, wanted(config, key)));
        service.rows = rows.collect();
        self.want(at);
    }

    /// A service is taken apart: its servers want no probes any more.
    fn dismantle(&mut self, at: usize, service: Service, touched: &mut Touched) -> Service {
        touched.users.collect(at, &service);
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

    /// Writes down whose is what; ends probes that are nobody's, and those that nobody wants for now.
    /// `new_places`: where services are now that were there before and are the same; `None`: all in theirs.
    fn find_users(
        &mut self,
        now: Instant,
        changes: &[Change],
        new_places: Option<&[Option<u32>]>,
        mut touched: Touched,
        news: &mut News,
    ) {
        let mut users = Places::default();
        for at in changes.iter().map(|change| change.at) {
            let Some(service) = self.services.get(at) else { continue };
            users.collect(at, service);
        }
        let mut wanted: Vec<u32> = users.probes.iter().map(|(number, _)| *number).collect();
        if new_places.is_some() || users != touched.users {
            let (before, changed);
            let new_places = match new_places {
                Some(places) => places,
                None => {
                    changed = changes.iter().map(|change| change.at).collect::<BTreeSet<usize>>();
                    let stays = |at: usize| (!changed.contains(&at)).then_some(at as u32);
                    before = (0..self.services.len()).map(stays).collect::<Vec<_>>();
                    &before
                }
            };
            self.file_users.reconfigure(new_places, users.files);
            self.names.users.reconfigure(new_places, users.names);
            self.probes.users.reconfigure(new_places, users.probes);
        }
        for at in changes.iter().map(|change| change.at) {
            let Some(service) = self.services.get_mut(at) else { continue };
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
    fn tell_all_leaving(&self, now: Instant, origins: &[Origin], cx: &mut Ctx<'_>) {
        let mut heirs: Vec<Option<&Origin>> = vec![None; self.services.len()];
        for origin in origins {
            if let Some(heir) = origin.old_place().and_then(|at| heirs.get_mut(at)) {
                *heir = Some(origin);
            }
        }
        for (service, heir) in self.services.iter().zip(heirs) {
            match heir {
                Some(Origin::Same(_)) => {}
                Some(Origin::Changed { servers, .. }) => tell_leaving(now, service, servers, cx),
                None | Some(Origin::New) if service.suspended => {}
                None | Some(Origin::New) => tell_all_gone(now, service, Gone::Removed, cx),
            }
        }
    }
}

/// Tells of servers of a service that are up, and not among those that stay: the old place of each.
fn tell_leaving(now: Instant, service: &Service, servers: &[Option<usize>], cx: &mut Ctx<'_>) {
    if service.suspended {
        return;
    }
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

/// All services in order, with the configuration that they are about to have: is it another one?
fn coming<'a>(
    services: &'a [Service],
    changes: &'a [Change],
) -> impl Iterator<Item = (&'a Service, &'a model::Service, bool)> {
    let mut changes = changes.iter().peekable();
    services.iter().enumerate().map(move |(at, service)| match changes.next_if(|change| change.at == at) {
        Some(change) => (service, &*change.config, true),
        None => (service, &*service.config, false),
    })
}

/// The number of the name of each server that changes, in order; `others`: whose names are to stay.
fn take_names<'a>(
    names: &mut Names,
    now: Instant,
    changes: &'a [Change],
    others: impl Iterator<Item = &'a model::Service>,
) -> Vec<Option<u32>> {
    let servers = changes.iter().flat_map(|change| &change.config.servers);
    if names.is_empty() && !servers.clone().any(|s| matches!(s.address, ServerAddress::Name { .. })) {
        return Vec::new();
    }
    let addresses = servers.chain(others.flat_map(|service| &service.servers)).map(|server| &server.address);
    names.reconfigure(now, addresses)
}

/// What leans on what, as of some services.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    probes: Vec<(u32, Place)>,
    files: Vec<(u32, Place)>,
    names: Vec<(u32, Place)>,
}

impl Places {
    /// Those of service number `at`.
    fn collect(&mut self, at: usize, service: &Service) {
        for (index, (config, server)) in service.config.servers.iter().zip(&service.servers).enumerate() {
            self.names.extend(server.name.map(|name| (name, Place::new(at, index, 0))));
            for (number, (check, link)) in config.checks.iter().zip(&server.links).enumerate() {
                self.probes.extend(link.probe.map(|probe| (probe, Place::new(at, index, number))));
                let CheckKind::File(file) = &check.kind else { continue };
                let file = (file.track as u32, Place::new(at, index, number));
                let is_it = |(track, place): &(u32, Place)| {
                    (*track, place.service, place.server) == (file.0, file.1.service, file.1.server)
                };
                if !self.files.last().is_some_and(is_it) {
                    self.files.push(file);
                }
            }
        }
    }
}

/// What services wanted that are other ones now, or gone.
#[derive(Debug, Default)]
struct Touched {
    /// (number, was it wanted?)
    probes: Vec<(u32, bool)>,
    users: Places,
}

impl Touched {
    /// Each once, with what it was at first.
    fn probes(&mut self) -> Vec<(u32, bool)> {
        let mut probes = core::mem::take(&mut self.probes);
        probes.sort_by_key(|(number, _)| *number);
        probes.dedup_by_key(|(number, _)| *number);
        probes
    }
}
