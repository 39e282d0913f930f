//! Services of another configuration made from those that are there: what is known of a server, and of a
//! probe, goes on.

use super::Balancer;
use super::Phase;
use super::heirs::Change;
use super::probes::{Key, Probes};
use super::reload::News;
use super::server::{Link, Server};
use super::service::Service;
use super::users::Place;
use crate::model::{self, CheckKind, ServerAddress};
use crate::time::Instant;
use std::collections::BTreeMap;

/// The number of a probe, and whether it was made just now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assigned {
    number: u32,
    is_new: bool,
}

/// The probe of each check of these services, in order: one that is there already, or a new one.
pub(super) fn assign(
    probes: &mut Probes,
    now: Instant,
    old: &[Service],
    changes: &[Change],
) -> Vec<Option<Assigned>> {
    let mut list = Vec::new();
    let mut known = None;
    let mut made: BTreeMap<Key<'_>, u32> = BTreeMap::new();
    for change in changes {
        let from = change.from.and_then(|from| old.get(from));
        for (index, server) in change.config.servers.iter().enumerate() {
            let before = from.zip(change.servers.get(index).copied().flatten());
            let before = before.and_then(|(s, at)| Some((s.config.servers.get(at)?, s.servers.get(at)?)));
            if let Some((_, runtime)) = before.filter(|(config, _)| config.checks == server.checks) {
                let numbers = runtime.links.iter().map(|link| link.probe);
                list.extend(numbers.map(|n| n.map(|number| Assigned { number, is_new: false })));
                continue;
            }
            for check in server.checks.iter() {
                list.push(Key::new(&server.address, check).map(|key| {
                    let known = known.get_or_insert_with(|| probes.by_hash());
                    let same = || probes.find(known, &key, |place| key_at(old, place));
                    if let Some(number) = made.get(&key).copied().or_else(same) {
                        return Assigned { number, is_new: false };
                    }
                    let number = probes.make(now, check, key.hash());
                    made.insert(key, number);
                    Assigned { number, is_new: true }
                }));
            }
        }
    }
    list
}

/// What makes the probe of a check what it is.
fn key_at(services: &[Service], place: Place) -> Option<Key<'_>> {
    let server = services.get(place.service as usize)?.config.servers.get(place.server as usize)?;
    Key::new(&server.address, server.checks.get(place.check as usize)?)
}

impl Balancer {
    /// One service, with the runtime of those of its servers that are still there.
    pub(super) fn merge(
        &mut self,
        now: Instant,
        old: Option<Service>,
        change: &Change,
        (assigned, names): (
            &mut impl Iterator<Item = Option<Assigned>>,
            &mut impl Iterator<Item = Option<u32>>,
        ),
        news: &mut News,
    ) -> Service {
        let (config, is_new) = (&change.config, old.is_none());
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
            let from = change.servers.get(index).copied().flatten();
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
        self.judge_merged(now, &mut service, &are_new, (change.at, is_new), news);
        service
    }

    /// Looks at the servers and the quorum as they are now. Those of a service that rests wait for its
    /// waking, but for a first look.
    fn judge_merged(
        &self,
        now: Instant,
        service: &mut Service,
        are_new: &[bool],
        (at, is_new): (usize, bool),
        news: &mut News,
    ) {
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
        server.links.reserve_exact(config.checks.len());
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
}

/// Are these of the same kind, whatever their parameters?
fn is_alike(a: &CheckKind, b: &CheckKind) -> bool {
    core::mem::discriminant(a) == core::mem::discriminant(b)
}
