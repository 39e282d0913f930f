//! `[[service]]` and `[[service.server]]`.

use super::check::check;
use super::global::no_host;
use super::reader::{Table, Value};
use super::report::{At, Problem, Report};
use super::suggest::{nearest, shown};
use super::values;
use crate::limits;
use crate::model::{
    Check, CheckKind, Forwarding, Front, Method, Name, Persistence, Protocol, Scheduler, Server,
    ServerAddress, Service, Sorry,
};
use crate::time::Duration;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use toml::de::DeValue;

/// The kernel's schedulers (§5.6): `ip_vs_<name>` is the module.
const SCHEDULERS: [&str; 14] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"];

const FORWARDS: [(&str, Forwarding); 3] =
    [("nat", Forwarding::Masquerade), ("direct", Forwarding::DirectRoute), ("tunnel", Forwarding::Tunnel)];

/// What could be read of a service, for comparisons with the others.
pub(super) struct Draft {
    pub(super) name: Option<At<Name>>,
    pub(super) protocol: Protocol,
    pub(super) address: Option<At<SocketAddr>>,
    /// `None` where something that has no default could not be read.
    pub(super) service: Option<Service>,
}

/// What servers take from their service.
struct Parent {
    address: Option<SocketAddr>,
    forward: Forwarding,
    check: Option<Check>,
    start_up: bool,
}

/// `[[service]]`.
pub(super) fn service(mut table: Table<'_>, report: &mut Report<'_>) -> Draft {
    let at = table.at;
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"web\"");
    let address = table.parsed("address", |text| values::socket(text, None, 80), report);
    table.require("address", "address = \"10.0.0.100:80\"");
    let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];
    let protocol = table.choice("protocol", &words, report).map_or(Protocol::Tcp, |protocol| protocol.value);
    let scheduler = table.parsed("scheduler", scheduler, report).map(|scheduler| scheduler.value);
    let forward = forward(&mut table, Forwarding::Masquerade, report);
    let persistence = persistence(&mut table, address.map(|address| address.value), report);
    if let Some(address) = address {
        virtual_service(address, table.has("persistence"), report);
    }
    let parent_address = address.map(|address| address.value);
    let sorry = table.get("sorry").and_then(|value| sorry(value, parent_address, forward, report));
    let start_up = table.boolean("start_up", report).is_none_or(|start_up| start_up.value);
    let default_check = table.get("check").and_then(|value| check(value, report));
    let parent = Parent { address: parent_address, forward, check: default_check, start_up };
    let servers = servers(&mut table, &parent, report);
    if let Some(sorry) = sorry
        && servers.iter().any(|server| server.address == ServerAddress::Ip(sorry.address))
    {
        let what = format!("`sorry` {} is one of the servers", sorry.address);
        report.warning(table.key_at("sorry"), what, "It will be served by a machine that was found dead.");
    }
    if servers.is_empty() && sorry.is_none() && !table.has("server") {
        let hint = "Add [[service.server]] with an address.";
        report.warning_of_whole(at, "the service has no server: every connection will be refused", hint);
    }
    if !servers.is_empty() && servers.iter().all(|server| server.weight == 0) {
        let what = "every server has weight 0: new connections will be refused";
        report.warning_of_whole(at, what, "Give one of them a weight.");
    }
    table.finish(report);
    let service = match (&name, address) {
        (Some(name), Some(address)) => Some(Service {
            scheduler: scheduler.unwrap_or_else(default_scheduler),
            persistence,
            sorry,
            servers,
            ..Service::new(name.value.clone(), protocol, Front::Address(address.value))
        }),
        _ => None,
    };
    Draft { name, protocol, address, service }
}

fn default_scheduler() -> Scheduler {
    Scheduler::try_from("wlc").unwrap_or_default()
}

fn scheduler(text: &str) -> Result<Scheduler, Problem> {
    if SCHEDULERS.contains(&text)
        && let Ok(name) = Scheduler::try_from(text)
    {
        return Ok(name);
    }
    let what = format!("unknown scheduler \"{}\"", shown(text));
    let hint = match (text.to_ascii_lowercase().as_str(), nearest(text, &SCHEDULERS)) {
        ("none", _) => {
            "A service without a scheduler serves nobody (IPVS-40b); wlc is the default.".to_owned()
        }
        ("round-robin" | "roundrobin" | "round_robin", _) => "Did you mean \"rr\"?".to_owned(),
        ("leastconn" | "least_conn" | "least-connection", _) => "Did you mean \"lc\"?".to_owned(),
        ("source" | "source-hash" | "ip_hash", _) => "Did you mean \"sh\"?".to_owned(),
        (_, Some(near)) => format!("Did you mean \"{near}\"?"),
        (_, None) => format!("One of: {}.", SCHEDULERS.join(", ")),
    };
    Err(Problem::new(what, hint))
}

fn forward(table: &mut Table<'_>, default: Forwarding, report: &mut Report<'_>) -> Forwarding {
    table.choice("forward", &FORWARDS, report).map_or(default, |forward| forward.value)
}

/// IPVS-60, the part on the virtual address: the kernel takes all of these and serves nobody (IPVS-40e).
fn virtual_service(address: At<SocketAddr>, persistent: bool, report: &mut Report<'_>) {
    if let Some(kind) = no_host(address.value.ip()) {
        let what = format!("`address`: {} is {kind}, no client can connect to it", address.value.ip());
        report.error(address.at, what, "Give the virtual address.");
    }
    if address.value.port() == 0 && !persistent {
        let what = "`address`: port 0, which is every port, needs `persistence`";
        report.error(address.at, what, "Give the port, or add persistence = \"6m\".");
    }
}

/// `"6m"`, or `{ timeout, prefix }`.
fn persistence(
    table: &mut Table<'_>,
    address: Option<SocketAddr>,
    report: &mut Report<'_>,
) -> Option<Persistence> {
    const DEFAULT: Duration = Duration::from_secs(360);
    let longest = if address.is_none_or(|address| address.is_ipv6()) { 128 } else { 32 };
    let value = table.get("persistence")?;
    let DeValue::Table(_) = value.value else {
        if let DeValue::Boolean(_) = value.value {
            let hint = "Did you mean \"6m\"? Leave it out for none.";
            value.wrong("a length of time or a table", hint.to_owned(), report);
            return None;
        }
        let timeout = persistence_timeout(value.duration(persistence_range(), report)?, report);
        return Some(Persistence { timeout, prefix_len: longest, engine: None });
    };
    let mut table = value.table("persistence", report)?;
    let timeout = table.duration("timeout", persistence_range(), report);
    let timeout = timeout.map_or(DEFAULT, |timeout| persistence_timeout(timeout, report));
    let prefix_len = match table.get("prefix") {
        Some(prefix) => self::prefix_len(prefix, longest, report).unwrap_or(longest),
        None => longest,
    };
    table.finish(report);
    Some(Persistence { timeout, prefix_len, engine: None })
}

/// The kernel multiplies the seconds by its HZ in 32 bits: 31 days is keepalived's limit too (IPVS-60).
fn persistence_range() -> RangeInclusive<Duration> {
    Duration::from_secs(1)..=Duration::from_secs(31 * 86_400)
}

fn persistence_timeout(timeout: At<Duration>, report: &mut Report<'_>) -> Duration {
    if !timeout.value.total_micros().is_multiple_of(1_000_000) {
        let shown = values::show_duration(timeout.value);
        report.error(
            timeout.at,
            format!("`persistence` is {shown}, the kernel knows whole seconds only"),
            "",
        );
    }
    timeout.value
}

fn prefix_len(value: Value<'_>, longest: u8, report: &mut Report<'_>) -> Option<u8> {
    if let DeValue::String(text) = value.value
        && let Some(len) = text.parse::<Ipv4Addr>().ok().and_then(values::mask_len)
    {
        value.wrong("a prefix length", format!("Did you mean prefix = {len}?"), report);
        return None;
    }
    value.integer(1..=u32::from(longest), report).and_then(|read| u8::try_from(read.value).ok())
}

/// `"IP:port"`, or `{ address, forward }`.
fn sorry(
    value: Value<'_>,
    service: Option<SocketAddr>,
    default: Forwarding,
    report: &mut Report<'_>,
) -> Option<Sorry> {
    let port = service.map_or(80, |service| service.port());
    let read = |text: &str| values::socket(text, None, port);
    let (address, forward) = match value.value {
        DeValue::Table(_) => {
            let mut table = value.table("sorry", report)?;
            let address = table.parsed("address", read, report);
            table.require("address", "address = \"127.0.0.1:80\"");
            let forward = forward(&mut table, default, report);
            table.finish(report);
            (address?, forward)
        }
        _ => (value.parsed(read, report)?, default),
    };
    reachable("sorry", address, forward, service, report);
    Some(Sorry { address: address.value, method: Method::new(forward), inhibit: false })
}

fn servers(table: &mut Table<'_>, parent: &Parent, report: &mut Report<'_>) -> Vec<Server> {
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for item in table.tables("server", "[[service.server]]", limits::SERVERS_MAX, report) {
        let Some(read) = server(item, parent, report) else { continue };
        if let Some(first) = seen.insert(read.value.address.clone(), read.at) {
            let line = report.lines().place(first).0;
            let what = format!("`address`: {} is a server of this service already", read.value.address);
            report.error(read.at, what, format!("See line {line}; a larger share is a larger weight."));
        }
        out.push(read.value);
    }
    out
}

/// `[[service.server]]`; the place is that of its address.
fn server(mut table: Table<'_>, parent: &Parent, report: &mut Report<'_>) -> Option<At<Server>> {
    let port = parent.address.map_or(80, |service| service.port());
    let address = table.parsed("address", |text| values::socket(text, None, port), report);
    table.require("address", format!("address = \"192.168.234.47:{port}\""));
    let weight = table.integer("weight", 0..=u32::from(u16::MAX), report).map_or(1, |weight| weight.value);
    let forward = forward(&mut table, parent.forward, report);
    let check = match table.get("check") {
        Some(value) => check(value, report),
        None => parent.check.clone(),
    };
    table.finish(report);
    let address = address?;
    reachable("address", address, forward, parent.address, report);
    let any_port = parent.address.is_none_or(|service| service.port() == 0);
    let needs_port = check.as_ref().is_some_and(|check| check.kind != CheckKind::Ping);
    if any_port && needs_port && address.value.port() == 0 {
        report.error(address.at, "`address`: a check needs a port", "Give the port, or set check = false.");
    }
    Some(address.map(|address| Server {
        weight,
        start_up: parent.start_up,
        checks: check.into_iter().collect(),
        ..Server::new(address, forward)
    }))
}

/// IPVS-60, the part on destinations: what the kernel refuses late, or takes and then drops packets.
fn reachable(
    key: &str,
    server: At<SocketAddr>,
    forward: Forwarding,
    service: Option<SocketAddr>,
    report: &mut Report<'_>,
) {
    let address = server.value;
    if let Some(kind) = no_host(address.ip()) {
        report.error(server.at, format!("`{key}`: {} is {kind}, not a server's", address.ip()), "");
        return;
    }
    let Some(service) = service else { return };
    let word = forward.word();
    let tunnel = forward == Forwarding::Tunnel;
    if address.is_ipv6() != service.is_ipv6() && !tunnel {
        let [own, its] = [address.ip(), service.ip()].map(family);
        let what = format!("`{key}`: forward \"{word}\" cannot go from {its} to {own}");
        report.error(server.at, what, "Only forward = \"tunnel\" crosses families.");
    }
    let keeps_port = tunnel || forward == Forwarding::DirectRoute;
    if keeps_port && address.port() != service.port() {
        let meant = SocketAddr::new(address.ip(), service.port());
        let what = format!(
            "`{key}`: forward \"{word}\" cannot change port {} to {}",
            service.port(),
            address.port()
        );
        report.error(server.at, what, format!("Did you mean \"{meant}\", or forward = \"nat\"?"));
    } else if address.port() == 0 && service.port() != 0 {
        let meant = SocketAddr::new(address.ip(), service.port());
        report.error(server.at, format!("`{key}`: port 0"), format!("Did you mean \"{meant}\"?"));
    }
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv6() { "IPv6" } else { "IPv4" }
}
