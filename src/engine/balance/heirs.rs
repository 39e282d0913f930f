//! What of another configuration was there before: services, and their servers.
//!
//! A service is known by its keys, or by the name of its group; a server by its address as configured.

use super::service::Service;
use crate::model::{self, Front, Name, Protocol, ServerAddress, ServiceKey, Shared};
use std::collections::{BTreeMap, BTreeSet};

/// Where a service of another configuration comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From nowhere.
    New,
    /// It was there, at this place, and is the same in every respect.
    Same(usize),
    /// It was there, at this place, and is another one now.
    Changed {
        from: usize,
        /// The place among the servers that it had of each of those that it has now.
        servers: Vec<Option<usize>>,
    },
}

impl Origin {
    /// Its place before.
    pub(super) fn old_place(&self) -> Option<usize> {
        match self {
            Origin::New => None,
            Origin::Same(from) | Origin::Changed { from, .. } => Some(*from),
        }
    }

    /// Is nothing to be done for it?
    pub(super) fn is_same(&self) -> bool {
        match self {
            Origin::Same(_) => true,
            Origin::New | Origin::Changed { .. } => false,
        }
    }
}

/// A service that is another one now, or new.
#[derive(Debug)]
pub(super) struct Change {
    /// Its place.
    pub(super) at: usize,
    pub(super) config: Shared<model::Service>,
    /// Its place before; `None`: it is new.
    pub(super) from: Option<usize>,
    /// As in [`Origin::Changed`].
    pub(super) servers: Vec<Option<usize>>,
}

/// The origin of each service of another configuration. What lies in its place costs no search, and what is
/// [`Shared`] with the old one no comparison. `is_touched`: what the service at this place leans on has
/// changed, so that it is not the same whatever it says.
pub(super) fn origins(
    old: &[Service],
    config: &[Shared<model::Service>],
    is_touched: impl Fn(usize) -> bool,
) -> Vec<Origin> {
    let origin = |(place, new): (Option<usize>, &Shared<model::Service>)| {
        let Some((from, old)) = place.and_then(|from| Some((from, &old.get(from)?.config))) else {
            return Origin::New;
        };
        if !is_touched(from) && *old == *new {
            return Origin::Same(from);
        }
        Origin::Changed { from, servers: pairs(&old.servers, &new.servers) }
    };
    places(old, config).into_iter().zip(config).map(origin).collect()
}

/// Where each service of a configuration was; none is taken twice.
fn places(old: &[Service], config: &[Shared<model::Service>]) -> Vec<Option<usize>> {
    let mut places: Vec<Option<usize>> = (0..)
        .zip(config)
        .map(|(at, new)| {
            // Keys are unique, so whoever has the same ones in the same place is it.
            let old = &old.get(at)?.config;
            let is_it = old.is(new) || (old.protocol, &old.front) == (new.protocol, &new.front);
            is_it.then_some(at)
        })
        .collect();
    if places.iter().all(Option::is_some) {
        return places;
    }
    let before = Before::new(old);
    let mut taken: BTreeSet<usize> = places.iter().flatten().copied().collect();
    for (place, new) in places.iter_mut().zip(config).filter(|(place, _)| place.is_none()) {
        *place = before.find(new, &taken);
        taken.extend(*place);
    }
    places
}

/// Finds the services of an earlier configuration.
struct Before<'a> {
    by_key: BTreeMap<ServiceKey, usize>,
    by_group: BTreeMap<(&'a Name, Protocol), usize>,
}

impl<'a> Before<'a> {
    fn new(services: &'a [Service]) -> Self {
        let keys = services.iter().enumerate().flat_map(|(at, s)| s.config.keys().map(move |key| (key, at)));
        let groups = services.iter().enumerate().filter_map(|(at, s)| match &s.config.front {
            Front::Group { name, .. } => Some(((name, s.config.protocol), at)),
            Front::Address(_) | Front::Mark { .. } => None,
        });
        Before { by_key: keys.collect(), by_group: groups.collect() }
    }

    fn find(&self, service: &model::Service, taken: &BTreeSet<usize>) -> Option<usize> {
        let group = match &service.front {
            Front::Group { name, .. } => self.by_group.get(&(name, service.protocol)).copied(),
            Front::Address(_) | Front::Mark { .. } => None,
        };
        let mut known = service.keys().filter_map(|key| self.by_key.get(&key).copied());
        let at = group.or_else(|| known.find(|at| !taken.contains(at)));
        at.filter(|at| !taken.contains(at))
    }
}

/// The old place of each server.
fn pairs(old: &[model::Server], new: &[model::Server]) -> Vec<Option<usize>> {
    let is_it = |(at, server): (usize, &model::Server)| {
        old.get(at).is_some_and(|old| old.address == server.address).then_some(at)
    };
    let mut pairs: Vec<Option<usize>> = new.iter().enumerate().map(is_it).collect();
    if pairs.iter().any(Option::is_none) {
        let known: BTreeMap<&ServerAddress, usize> = (0..).zip(old).map(|(at, s)| (&s.address, at)).collect();
        pairs = new.iter().map(|server| known.get(&server.address).copied()).collect();
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Forwarding, Server};
    use crate::time::Instant;

    fn service(name: &str, keys: &[&str], servers: &[&str]) -> model::Service {
        let protocol = Protocol::Tcp;
        let front = match keys {
            [address] => Front::Address(address.parse().unwrap()),
            many => Front::Group {
                name: Name::try_from("pool").unwrap(),
                keys: many
                    .iter()
                    .map(|key| ServiceKey::Address { protocol, address: key.parse().unwrap() })
                    .collect(),
            },
        };
        let server = |address: &&str| Server::new(address.parse().unwrap(), Forwarding::Masquerade);
        let servers = servers.iter().map(server).collect();
        model::Service { servers, ..model::Service::new(Name::try_from(name).unwrap(), protocol, front) }
    }

    fn found(old: &[model::Service], new: &[model::Service]) -> Vec<Origin> {
        let old: Vec<Service> = old.iter().map(|s| Service::new(Instant::ZERO, s.clone().into())).collect();
        let new: Vec<Shared<model::Service>> = new.iter().cloned().map(Shared::from).collect();
        origins(&old, &new, |_| false)
    }

    #[test]
    fn what_moves_or_has_another_name_is_still_known() {
        let a = service("a", &["10.0.0.1:80"], &["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]);
        let b = service("b", &["10.0.0.2:80"], &["192.0.2.1:80"]);
        let old = [a.clone(), b.clone()];
        assert_eq!(found(&old, &old), [Origin::Same(0), Origin::Same(1)]);
        assert_eq!(found(&old, &[b.clone(), a.clone()]), [Origin::Same(1), Origin::Same(0)]);
        let mut other = service("z", &["10.0.0.1:80"], &["192.0.2.3:80", "192.0.2.9:80", "192.0.2.1:80"]);
        let changed = |from, servers: &[Option<usize>]| Origin::Changed { from, servers: servers.to_vec() };
        let three = [Some(2), None, Some(0)];
        let new = service("new", &["10.0.0.3:80"], &[]);
        assert_eq!(found(&old, &[new, other.clone()]), [Origin::New, changed(0, &three)]);
        other = service("a", &["10.0.0.1:80"], &["192.0.2.1:80", "192.0.2.2:80"]);
        assert_eq!(found(&old, &[other]), [changed(0, &[Some(0), Some(1)])]);
        assert_eq!(found(&[], &[b]), [Origin::New]);
    }

    #[test]
    fn a_group_is_known_by_its_name_and_taken_once() {
        let group = |keys: &[&str]| service("g", keys, &[]);
        let old = [group(&["10.0.0.1:80", "10.0.0.2:80"]), service("c", &["10.0.0.3:80"], &[])];
        let changed = |from| Origin::Changed { from, servers: Vec::new() };
        let new = [service("x", &["10.0.0.1:80"], &[]), group(&["10.0.0.2:80", "10.0.0.3:80"])];
        assert_eq!(found(&old, &new), [changed(0), Origin::New], "none is taken twice");
        let new = [group(&["10.0.0.8:80", "10.0.0.9:80"]), service("x", &["10.0.0.1:80"], &[])];
        assert_eq!(found(&old, &new), [changed(0), Origin::New], "by its name, whatever its keys");
    }

    #[test]
    fn what_leans_on_something_else_is_not_the_same() {
        let a: Shared<model::Service> = service("a", &["10.0.0.1:80"], &["192.0.2.1:80"]).into();
        let old = [Service::new(Instant::ZERO, a.clone())];
        let origin = Origin::Changed { from: 0, servers: vec![Some(0)] };
        assert_eq!(origins(&old, &[a], |at| at == 0), [origin]);
    }
}
