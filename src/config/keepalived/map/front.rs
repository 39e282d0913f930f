//! Addresses with their ports, and what clients connect to.

use super::server_group::Group;
use crate::config::document::Table;
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::source::Place;
use crate::config::keepalived::tree::{Statement, Word};
use crate::config::suggest::shown;
use crate::config::{host, values};
use std::net::{IpAddr, SocketAddr};

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, which vipd looks up; keepalived leaves such a server out.
    Name(String),
}

/// An address with its port; 0 where none is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) host: Host,
    pub(super) port: u16,
}

impl End {
    pub(super) fn is_ipv6(&self) -> bool {
        matches!(self.host, Host::Ip(IpAddr::V6(_)))
    }

    /// As vipd has it; port 0 is left out where `bare`.
    pub(super) fn show(&self, bare: bool) -> String {
        match &self.host {
            Host::Ip(ip) if bare && self.port == 0 => ip.to_string(),
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).to_string(),
            Host::Name(name) if bare && self.port == 0 => name.clone(),
            Host::Name(name) => format!("{name}:{}", self.port),
        }
    }
}

/// Reads `IP [port]`. `IP:port` in one word is put right. `None` is told: keepalived leaves it out.
pub(super) fn end(words: &[Word], findings: &mut Findings) -> Option<End> {
    let first = words.first()?;
    let (text, own_port) = split(&first.text);
    let host = match text.parse::<IpAddr>() {
        Ok(ip) => Host::Ip(ip),
        Err(_) => match host::name(text) {
            Ok(name) => Host::Name(name),
            Err(problem) => {
                let what = format!("\"{}\" is not an address", shown(&first.text));
                let hint = match problem.hint.as_str() {
                    "" => "keepalived leaves it out.".to_owned(),
                    hint => format!("{hint} keepalived leaves it out."),
                };
                findings.push(first.place, Kind::Invalid, what, hint);
                return None;
            }
        },
    };
    let port = match (own_port, words.get(1)) {
        (Some(port), _) => {
            let what = format!("\"{}\" is read as {text} {port}", shown(&first.text));
            let hint = "keepalived wants a space between address and port, and leaves it out as it stands.";
            findings.push(first.place, Kind::Corrected, what, hint);
            port
        }
        (None, None) => 0,
        (None, Some(word)) => match word.text.parse::<u16>() {
            Ok(port) => port,
            Err(_) => {
                let what = format!("\"{}\" is not a port", shown(&word.text));
                findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
                return None;
            }
        },
    };
    Some(End { host, port })
}

/// As [`end`], where a name is of no use.
pub(super) fn socket(words: &[Word], findings: &mut Findings) -> Option<SocketAddr> {
    let end = end(words, findings)?;
    match end.host {
        Host::Ip(ip) => Some(SocketAddr::new(ip, end.port)),
        Host::Name(name) => {
            let place = words.first().map(|word| word.place).unwrap_or_default();
            let what = format!("\"{}\" is not an IP address", shown(&name));
            findings.push(place, Kind::Invalid, what, "keepalived leaves it out.");
            None
        }
    }
}

/// `10.0.0.1:80`, `[2001:db8::1]:80`, or the text itself.
fn split(text: &str) -> (&str, Option<u16>) {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
            (host.trim_matches(['[', ']']), Some(port))
        }
        Some(_) | None => (text, None),
    }
}

/// What a virtual_server is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Front {
    Address(SocketAddr),
    Mark(u32),
    Group(Group),
}

impl Front {
    /// The one port of all of it; `None` where packets may have several.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Front::Address(address) => Some(address.port()).filter(|port| *port != 0),
            Front::Mark(_) => None,
            Front::Group(group) => group.port,
        }
    }

    /// Has it an address, so that a protocol has a meaning?
    pub(super) fn has_address(&self) -> bool {
        match self {
            Front::Address(_) => true,
            Front::Mark(_) => false,
            Front::Group(group) => group.has_address,
        }
    }

    /// Is some of it a mark, so that no address of it could be here or away?
    pub(super) fn has_mark(&self) -> bool {
        match self {
            Front::Address(_) => false,
            Front::Mark(_) => true,
            Front::Group(group) => group.has_mark,
        }
    }

    /// Is all of it IPv6, or IPv4? `None`: it is of both, or it is its servers that say it.
    pub(super) fn is_ipv6(&self) -> Option<bool> {
        match self {
            Front::Address(address) => Some(address.is_ipv6()),
            Front::Mark(_) => None,
            Front::Group(group) => group.is_ipv6,
        }
    }

    /// Is some of it every port, which is for persistent services only?
    pub(super) fn has_any_port(&self) -> bool {
        match self {
            Front::Address(address) => address.port() == 0,
            Front::Mark(_) => false,
            Front::Group(group) => group.has_any_port,
        }
    }

    /// A name for the service. A mark of each family has the same.
    pub(super) fn name(&self, protocol: &str) -> String {
        let own = match self {
            Front::Address(address) => address.to_string(),
            Front::Mark(mark) => return format!("fwmark-{mark}"),
            Front::Group(group) => group.name.clone(),
        };
        if protocol == "tcp" || !self.has_address() { own } else { format!("{own}/{protocol}") }
    }

    /// Adds its row.
    pub(super) fn put(&self, table: &mut Table, place: Place) {
        match self {
            Front::Address(address) => table.put("address", address.to_string(), place),
            Front::Mark(mark) => table.put("fwmark", *mark, place),
            Front::Group(group) => table.put("group", group.name.clone(), place),
        }
    }
}

/// `IP [port]`, `fwmark N` or `group NAME`; `None` is told.
pub(super) fn front(statement: &Statement, groups: &[Group], findings: &mut Findings) -> Option<Front> {
    let arguments = statement.arguments();
    let first = arguments.first()?;
    let second = arguments.get(1);
    match (first.text.as_str(), second) {
        ("group", Some(name)) => {
            let group = groups.iter().find(|group| group.name == name.text);
            if group.is_none() {
                let what = format!("no virtual_server_group is called \"{}\"", shown(&name.text));
                findings.push(name.place, Kind::Invalid, what, "keepalived leaves the virtual_server out.");
            }
            group.cloned().map(Front::Group)
        }
        ("fwmark", Some(mark)) => match mark.text.parse::<u32>() {
            Ok(mark) if mark > 0 => Some(Front::Mark(mark)),
            Ok(_) | Err(_) => {
                let what = format!("\"{}\" is not a mark, a number above 0", shown(&mark.text));
                findings.push(mark.place, Kind::Invalid, what, "The virtual_server is left out.");
                None
            }
        },
        ("group" | "fwmark", None) => {
            let what = format!("`virtual_server {}` lacks its value", first.text);
            findings.push(first.place, Kind::Invalid, what, "The virtual_server is left out.");
            None
        }
        _ => socket(arguments, findings).map(Front::Address),
    }
}

/// An address; a finding, and `None`, for anything else.
pub(super) fn ip(word: &Word, findings: &mut Findings) -> Option<IpAddr> {
    match values::ip(&word.text) {
        Ok(ip) => Some(ip),
        Err(problem) => {
            findings.push(word.place, Kind::Invalid, problem.what, "keepalived leaves the line out.");
            None
        }
    }
}
