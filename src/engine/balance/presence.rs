//! Which addresses of services that rest without them (`suspend`) are on this box.

use super::users::{Place, Users};
use crate::model::{self, ServiceKey};
use std::net::IpAddr;

/// Interfaces that are kept in mind of one address. More are not counted: once those that are kept have gone,
/// the kernel's addresses are asked for anew.
const PLACES_MAX: usize = 4;

/// An address, and where it is.
#[derive(Debug)]
struct Watched {
    address: IpAddr,
    /// Index of the interface, prefix length, told since the last dump began.
    places: heapless::Vec<(u32, u8, bool), PLACES_MAX>,
    /// It was in more places than are kept.
    has_more: bool,
}

/// What an address that came or went means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing to anybody here.
    Nothing,
    /// Address number `.0` came, or went.
    Changed(u32),
    /// It went, as far as is known; the kernel has to tell all anew.
    Doubtful,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Sorted by address.
    list: Vec<Watched>,
    /// Whose they are: services.
    pub(super) users: Users,
}

impl Presence {
    /// Takes the addresses of those services that rest without them; what is known of an address stays.
    pub(super) fn reconfigure<'a>(&mut self, services: impl Iterator<Item = &'a model::Service>) {
        let mut wanted: Vec<(IpAddr, u32)> = Vec::new();
        for (at, service) in (0..).zip(services) {
            if service.suspend {
                wanted.extend(addresses(service).map(|address| (address, at)));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut old = core::mem::take(&mut self.list).into_iter().peekable();
        let mut users = Vec::with_capacity(wanted.len());
        for (address, service) in wanted {
            if self.list.last().is_none_or(|last| last.address != address) {
                while old.next_if(|w| w.address < address).is_some() {}
                let fresh = Watched { address, places: heapless::Vec::new(), has_more: false };
                self.list.push(old.next_if(|w| w.address == address).unwrap_or(fresh));
            }
            users.push((self.list.len() as u32 - 1, Place::new(service as usize, 0, 0)));
        }
        self.users = Users::new(users);
    }

    /// Is one of the addresses of a service here?
    pub(super) fn has(&self, service: &model::Service) -> bool {
        addresses(service).any(|address| {
            let at = self.list.binary_search_by(|w| w.address.cmp(&address)).ok();
            at.and_then(|at| self.list.get(at)).is_some_and(|w| !w.places.is_empty())
        })
    }

    /// An address of an interface came or went.
    pub(super) fn handle(&mut self, index: u32, address: IpAddr, prefix_len: u8, is_present: bool) -> Seen {
        let Ok(at) = self.list.binary_search_by(|w| w.address.cmp(&address)) else { return Seen::Nothing };
        let Some(watched) = self.list.get_mut(at) else { return Seen::Nothing };
        let was_here = !watched.places.is_empty();
        let place = watched.places.iter().position(|&(i, p, _)| (i, p) == (index, prefix_len));
        match (is_present, place) {
            (true, Some(place)) => {
                if let Some((_, _, seen)) = watched.places.get_mut(place) {
                    *seen = true;
                }
            }
            (true, None) => watched.has_more |= watched.places.push((index, prefix_len, true)).is_err(),
            (false, Some(place)) => _ = watched.places.swap_remove(place),
            (false, None) => {}
        }
        watched.change(at, was_here)
    }

    /// An interface is gone, with its addresses. What that means, one after the other.
    pub(super) fn remove_link(&mut self, index: u32) -> impl Iterator<Item = Seen> + '_ {
        self.retain(move |(i, _, _)| *i != index)
    }

    /// All addresses are about to be told anew.
    pub(super) fn dump_start(&mut self) {
        for watched in &mut self.list {
            watched.has_more = false;
            watched.places.iter_mut().for_each(|(_, _, seen)| *seen = false);
        }
    }

    /// They have been told: what was not is gone.
    pub(super) fn dump_end(&mut self) {
        self.retain(|(_, _, seen)| *seen).for_each(drop);
    }

    fn retain(
        &mut self,
        stays: impl Fn(&(u32, u8, bool)) -> bool + 'static,
    ) -> impl Iterator<Item = Seen> + '_ {
        self.list.iter_mut().enumerate().map(move |(at, watched)| {
            let was_here = !watched.places.is_empty();
            watched.places.retain(&stays);
            watched.change(at, was_here)
        })
    }
}

impl Watched {
    fn change(&self, at: usize, was_here: bool) -> Seen {
        match (was_here, !self.places.is_empty()) {
            (true, true) | (false, false) => Seen::Nothing,
            (true, false) if self.has_more => Seen::Doubtful,
            (true, false) | (false, true) => Seen::Changed(at as u32),
        }
    }
}

fn addresses(service: &model::Service) -> impl Iterator<Item = IpAddr> + '_ {
    service.keys().filter_map(|key| match key {
        ServiceKey::Address { address, .. } => Some(address.ip()),
        ServiceKey::Mark { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Front, Name, Protocol};

    fn service(address: &str, suspend: bool) -> model::Service {
        let front = Front::Address(address.parse().unwrap());
        model::Service { suspend, ..model::Service::new(Name::new(), Protocol::Tcp, front) }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_here_while_any_interface_has_it() {
        let services =
            [service("10.0.0.2:80", true), service("10.0.0.1:80", true), service("10.0.0.1:81", true)];
        let mut presence = Presence::default();
        presence.reconfigure(services.iter());
        assert_eq!(presence.handle(3, ip("10.0.0.9"), 24, true), Seen::Nothing, "nobody's");
        assert_eq!(presence.handle(3, ip("10.0.0.1"), 24, true), Seen::Changed(0));
        let users: Vec<_> = presence.users.of(0).map(|at| presence.users.get(at).unwrap().service).collect();
        assert_eq!(users, [1, 2], "both of its services");
        assert!(presence.has(&services[2]) && !presence.has(&services[0]));
        assert_eq!(presence.handle(4, ip("10.0.0.1"), 32, true), Seen::Nothing, "it was here already");
        assert_eq!(presence.handle(3, ip("10.0.0.1"), 24, false), Seen::Nothing, "it still is");
        let gone: Vec<Seen> = presence.remove_link(4).collect();
        assert_eq!(gone, [Seen::Changed(0), Seen::Nothing], "its interface takes it along");
        assert!(!presence.has(&services[1]));
    }

    #[test]
    fn a_dump_and_a_reload_keep_what_is_true() {
        let mut services = vec![service("10.0.0.2:80", true), service("10.0.0.1:80", false)];
        let mut presence = Presence::default();
        presence.reconfigure(services.iter());
        presence.handle(3, ip("10.0.0.2"), 24, true);
        services.insert(0, service("10.0.0.0:80", true));
        presence.reconfigure(services.iter());
        assert!(presence.has(&services[1]), "known before, known now");
        assert!(!presence.has(&services[2]), "not watched: it never rests");
        presence.dump_start();
        presence.dump_end();
        assert!(!presence.has(&services[1]), "not told, not here");
    }

    #[test]
    fn more_places_than_are_kept_are_asked_for_anew() {
        let services = [service("10.0.0.1:80", true)];
        let mut presence = Presence::default();
        presence.reconfigure(services.iter());
        let last = PLACES_MAX as u32;
        for index in 0..=last {
            presence.handle(index, ip("10.0.0.1"), 24, true);
        }
        let went: Vec<Seen> = (0..last).map(|i| presence.handle(i, ip("10.0.0.1"), 24, false)).collect();
        assert_eq!(went.last(), Some(&Seen::Doubtful), "interface {last} may have it still: {went:?}");
    }
}
