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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::balanced::balanced;
    use crate::control::examples::server;
    use crate::control::{Place, ServerWord};

    fn request(service: &str, server: &str) -> ServerRequest {
        ServerRequest { service: service.try_into().unwrap(), server: ServerWord::try_from(server).unwrap() }
    }

    fn farm() -> Snapshot {
        let mut snapshot = balanced();
        let web = &mut snapshot.services[0].servers;
        web.push(server("10.1.0.12:8080", 1));
        web.push(server("[2001:db8::1]:80", 1));
        let mut named = server("10.9.0.1:80", 1);
        named.address = ServerAddress::Name { host: "www.Example.org".into(), port: 80, ipv6: false };
        web.push(named);
        snapshot
    }

    fn drain(service: &str, server: &str) -> Result<Place, String> {
        Reply::drain(&request(service, server), &farm()).map(|(place, _)| place).map_err(|reply| {
            assert_eq!(reply.code, 2, "the caller's mistake: {}", reply.body);
            reply.body
        })
    }

    #[test]
    fn a_server_is_found_as_a_person_writes_it() {
        for (word, at) in [
            ("10.1.0.11:80", 0),
            ("10.1.0.11", 0),
            ("10.1.0.12:80", 1),
            ("10.1.0.12:8080", 3),
            ("[2001:db8::1]:80", 4),
            ("2001:db8::1", 4),
            ("[2001:0db8:0:0::1]", 4),
            ("www.example.org:80", 5),
            ("WWW.example.org", 5),
            ("10.9.0.1", 5),
        ] {
            assert_eq!(drain("web", word), Ok((0, at)), "{word}: another server would be drained");
        }
        assert_eq!(drain("mail", "mx2.example.org"), Ok((1, 1)));
    }

    #[test]
    fn what_is_not_clear_is_asked_back() {
        for (service, server, want) in [
            ("web", "10.1.0.12", "several servers \"10.1.0.12\". Which: 10.1.0.12:80, 10.1.0.12:8080?"),
            ("web", "10.1.0.1", "web has no server \"10.1.0.1\". It has: 10.1.0.11:80, "),
            ("web", "10.1.0.11:81", "no server \"10.1.0.11:81\""),
            ("web", "ww.example.org", "Is \"www.Example.org\" meant?"),
            ("web", "www.example.org:81", "Is \"www.Example.org\" meant?"),
            ("web", "::", "has no server"),
            ("web", ":80", "has no server"),
            ("web", "*", "has no server"),
            ("web", "\u{1b}[2J", "has no server \"?[2J\""),
            ("wbe", "10.1.0.11", "no service is named \"wbe\". Is \"web\" meant?"),
            ("printer", "10.1.0.11", "There are: web, mail, dns."),
        ] {
            let got = drain(service, server).expect_err("nothing is drained by guess");
            assert!(got.contains(want), "`drain {service} {server}` should say {want:?}: {got}");
        }
        let mut snapshot = farm();
        snapshot.services[0].servers.clear();
        let got = Reply::undrain(&request("web", "10.1.0.11"), &snapshot).unwrap_err();
        assert!(got.body.contains("It has none."), "{}", got.body);
    }

    #[test]
    fn the_answer_says_what_happens_to_clients() {
        let said = |service: &str, server: &str, snapshot: &Snapshot| {
            Reply::drain(&request(service, server), snapshot).unwrap().1.body
        };
        let got = said("web", "10.1.0.11", &balanced());
        assert!(got.contains("10.1.0.11:80 gets no new connections, 44 connections left"), "{got}");
        assert!(got.contains("WARNING: no other server of web is up: the sorry server"), "{got}");
        assert!(got.contains("persistence 6m00s") && got.contains("expire_quiescent_template"), "{got}");
        let got = said("web", "10.1.0.12", &balanced());
        assert!(got.contains("is drained already, 12 connections left") && !got.contains("WARNING"), "{got}");
        let mut snapshot = balanced();
        snapshot.services[0].name = "my site".try_into().unwrap();
        let got = said("my site", "10.1.0.13", &snapshot);
        assert!(got.contains("\"vipd undrain 'my site' 10.1.0.13:80\""), "{got}");
        let undrain = |word| Reply::undrain(&request("web", word), &balanced()).unwrap().1.body;
        assert_eq!(undrain("10.1.0.11"), "web: 10.1.0.11:80 was not drained.\n");
        assert_eq!(undrain("10.1.0.12"), "web: 10.1.0.12:80 gets new connections again.\n");
    }
}
