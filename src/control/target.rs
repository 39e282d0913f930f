//! Which server somebody means who names a service and a server.

use super::reply::Reply;
use super::request::ServerRequest;
use super::table::ascii;
use crate::model::nearest;
use crate::model::status::{ServerStatus, ServiceStatus, Snapshot};
use crate::model::{ServerAddress, Text, cut};
use core::net::{IpAddr, SocketAddr};

/// Names in a list, before it says how many more there are.
const NAMES_MAX: usize = 16;

/// The service and the server that are meant, with their places in the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// Index in `Config::services`.
    pub(super) service_at: usize,
    /// Index in its servers.
    pub(super) server_at: usize,
    pub(super) service: &'a ServiceStatus,
    pub(super) server: &'a ServerStatus,
}

/// Finds a server: by its address or name as configured, or by the address that its name has now. The port
/// may be left out where only one server has that address.
///
/// # Errors
/// The reply, with exit code 2: no such service, no such server, or several.
pub(super) fn find<'a>(request: &ServerRequest, snapshot: &'a Snapshot) -> Result<Target<'a>, Reply> {
    let services = &snapshot.services;
    let found = services.iter().enumerate().find(|(_, service)| service.name == request.service);
    let Some((service_at, service)) = found else {
        return Err(no_service(&request.service, snapshot));
    };
    let wanted = Wanted::parse(&request.server);
    let mut ranked: Vec<(u8, usize)> = Vec::new();
    for (at, server) in service.servers.iter().enumerate() {
        if let Some(rank) = wanted.rank(server) {
            ranked.push((rank, at));
        }
    }
    // What is configured goes before what a name happens to mean now.
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    ranked.retain(|(rank, _)| Some(*rank) == best);
    match ranked[..] {
        [(_, server_at)] => {
            let server = service.servers.get(server_at).ok_or_else(|| no_server(request, service))?;
            Ok(Target { service_at, server_at, service, server })
        }
        [] => Err(no_server(request, service)),
        [..] => {
            let servers: Vec<_> = ranked.iter().filter_map(|(_, at)| service.servers.get(*at)).collect();
            let list = list(servers.into_iter().map(name_of));
            let (name, word) = (ascii(&service.name), ascii(&request.server));
            Err(refuse(format!("{name} has several servers \"{word}\". Which: {list}?")))
        }
    }
}

/// A server's name as the configuration has it.
pub(super) fn name_of(server: &ServerStatus) -> String {
    ascii(&server.address.to_string())
}

/// What a user wrote.
enum Wanted<'a> {
    Socket(SocketAddr),
    Ip(IpAddr),
    /// A host name and a port.
    Host(&'a str, Option<u16>),
}

impl<'a> Wanted<'a> {
    fn parse(word: &'a str) -> Self {
        let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
        if let Ok(address) = word.parse() {
            return Wanted::Socket(address);
        }
        if let Ok(address) = bare.parse() {
            return Wanted::Ip(address);
        }
        match word.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some((host, port)) => Wanted::Host(host, Some(port)),
            None => Wanted::Host(word, None),
        }
    }

    /// 0: as configured; 1: by the address that a name has now; `None`: another server.
    fn rank(&self, server: &ServerStatus) -> Option<u8> {
        if self.is(&server.address) {
            return Some(0);
        }
        match (&server.address, server.resolved) {
            (ServerAddress::Name { .. }, Some(address)) => self.is(&ServerAddress::Ip(address)).then_some(1),
            (ServerAddress::Ip(_) | ServerAddress::Name { .. }, _) => None,
        }
    }

    fn is(&self, address: &ServerAddress) -> bool {
        match (self, address) {
            (Wanted::Socket(wanted), ServerAddress::Ip(address)) => wanted == address,
            (Wanted::Ip(wanted), ServerAddress::Ip(address)) => *wanted == address.ip(),
            (Wanted::Host(wanted, None), ServerAddress::Name { host, .. }) => {
                host.eq_ignore_ascii_case(wanted)
            }
            (Wanted::Host(wanted, Some(wanted_port)), ServerAddress::Name { host, port, .. }) => {
                host.eq_ignore_ascii_case(wanted) && wanted_port == port
            }
            (Wanted::Socket(_) | Wanted::Ip(_), ServerAddress::Name { .. })
            | (Wanted::Host(..), ServerAddress::Ip(_)) => false,
        }
    }
}

fn refuse(text: String) -> Reply {
    Reply { code: 2, body: format!("vipd: {text}\n") }
}

fn no_service(name: &str, snapshot: &Snapshot) -> Reply {
    let names: Vec<&str> = snapshot.services.iter().map(|service| service.name.as_str()).collect();
    let name = ascii(name);
    if names.is_empty() {
        return refuse(format!("no service is named \"{name}\". There are none."));
    }
    refuse(match nearest(&name, &names) {
        Some(near) => format!("no service is named \"{name}\". Is \"{}\" meant?", ascii(near)),
        None => {
            let list = list(names.iter().map(|name| ascii(name)));
            format!("no service is named \"{name}\". There are: {list}.")
        }
    })
}

/// For an address no likely one is named: its neighbour is another machine.
fn no_server(request: &ServerRequest, service: &ServiceStatus) -> Reply {
    let (name, word) = (ascii(&service.name), ascii(&request.server));
    if service.servers.is_empty() {
        return refuse(format!("{name} has no server \"{word}\". It has none."));
    }
    let hosts: Vec<Text> = service
        .servers
        .iter()
        .filter_map(|server| match &server.address {
            ServerAddress::Name { host, .. } => Some(cut(format_args!("{host}"))),
            ServerAddress::Ip(_) => None,
        })
        .collect();
    let hosts: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    let near = match Wanted::parse(&request.server) {
        Wanted::Host(host, _) => nearest(host, &hosts),
        Wanted::Socket(_) | Wanted::Ip(_) => None,
    };
    refuse(match near {
        Some(near) => format!("{name} has no server \"{word}\". Is \"{}\" meant?", ascii(near)),
        None => {
            let list = list(service.servers.iter().map(name_of));
            format!("{name} has no server \"{word}\". It has: {list}.")
        }
    })
}

/// `a, b and 3 more`
pub(super) fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown: Vec<String> = names.take(NAMES_MAX).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
