//! `forward` and `tunnel`: how packets reach a server.

use super::front::Face;
use crate::config::global::no_host;
use crate::config::reader::{Table, Value};
use crate::config::report::{At, Report};
use crate::model::{Forwarding, Method, Tunnel, TunnelChecksum};
use core::fmt;
use std::net::SocketAddr;
use toml::de::DeValue;

const FORWARDS: [(&str, Forwarding); 3] =
    [("nat", Forwarding::Masquerade), ("direct", Forwarding::DirectRoute), ("tunnel", Forwarding::Tunnel)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ipip,
    Gue,
    Gre,
}

const KINDS: [(&str, Kind); 3] = [("ipip", Kind::Ipip), ("gue", Kind::Gue), ("gre", Kind::Gre)];

const CHECKSUMS: [(&str, TunnelChecksum); 3] =
    [("none", TunnelChecksum::None), ("full", TunnelChecksum::Full), ("remote", TunnelChecksum::Remote)];

/// Both keys; what is not given is as `default` has it.
pub(super) fn method(table: &mut Table<'_>, default: Method, report: &mut Report<'_>) -> Method {
    let given = table.choice("forward", &FORWARDS, report);
    let forward = given.map_or(default.forward, |read| read.value);
    let own = table.get("tunnel").and_then(|value| tunnel(value, report));
    let is_tunnel = forward == Forwarding::Tunnel;
    let known = given.is_some() || !table.has("forward");
    if known && !is_tunnel && table.has("tunnel") {
        let says = format!("`forward = \"{}\"`", forward.word());
        table.contradict(&["tunnel"], &says, "Did you mean forward = \"tunnel\"?", report);
    }
    let inherited = if default.forward == Forwarding::Tunnel { default.tunnel } else { Tunnel::Ipip };
    Method { forward, tunnel: if is_tunnel { own.unwrap_or(inherited) } else { Tunnel::Ipip } }
}

/// `{ type, port, checksum }`.
fn tunnel(value: Value<'_>, report: &mut Report<'_>) -> Option<Tunnel> {
    if let DeValue::String(word) = value.value
        && let Some((word, kind)) = KINDS.iter().find(|(known, _)| *known == word.as_ref())
    {
        let more = if *kind == Kind::Gue { ", port = 6080" } else { "" };
        value.wrong("a table", format!("Did you mean {{ type = \"{word}\"{more} }}?"), report);
        return None;
    }
    let mut table = value.table("tunnel", report)?;
    let kind = table.choice("type", &KINDS, report).map(|kind| kind.value);
    table.require("type", "type = \"gue\", or ipip, gre");
    let port = table.number::<u16>("port", 1..=65535, report);
    let checksum = table.choice("checksum", &CHECKSUMS, report);
    let read = kind.and_then(|kind| match kind {
        Kind::Ipip => {
            table.contradict(&["port", "checksum"], "`type = \"ipip\"`", "Leave it out.", report);
            Some(Tunnel::Ipip)
        }
        Kind::Gue => {
            table.require("port", "port = 6080");
            let checksum = checksum.map_or(TunnelChecksum::None, |checksum| checksum.value);
            Some(Tunnel::Gue { port: port?.value, checksum })
        }
        Kind::Gre => {
            table.contradict(&["port"], "`type = \"gre\"`", "Leave it out: GRE has no port.", report);
            if let Some(checksum) = checksum.filter(|read| read.value == TunnelChecksum::Remote) {
                let what = "`checksum`: \"remote\" is for type = \"gue\"";
                report.error(checksum.at, what, "Did you mean \"full\"?");
            }
            Some(Tunnel::Gre { checksum: checksum.map_or(TunnelChecksum::None, |checksum| checksum.value) })
        }
    });
    table.finish(report);
    read
}

/// IPVS-60 and IPVS-61, the part on destinations: what the kernel refuses late, or takes and then drops
/// packets. Where the front has more than one port, or none, packets keep theirs with "direct" and "tunnel".
pub(super) fn reachable(
    key: &str,
    server: At<SocketAddr>,
    forward: Forwarding,
    face: &Face,
    report: &mut Report<'_>,
) {
    let address = server.value;
    if let Some(kind) = no_host(address.ip()) {
        report.error(server.at, format!("`{key}`: {} is {kind}, not a server's", address.ip()), "");
        return;
    }
    crosses(key, server.map(|address| address.is_ipv6()), forward, face, report);
    let Some(port) = face.port() else { return };
    let meant = SocketAddr::new(address.ip(), port);
    keeps_port(key, server.map(|address| address.port()), forward, port, &meant, report);
}

/// IPVS-43b: only a tunnel goes from one family to the other.
pub(super) fn crosses(
    key: &str,
    server: At<bool>,
    forward: Forwarding,
    face: &Face,
    report: &mut Report<'_>,
) {
    let other = if server.value { face.has_ipv4() } else { face.has_ipv6() };
    if other && forward != Forwarding::Tunnel {
        let [own, its] = if server.value { ["IPv6", "IPv4"] } else { ["IPv4", "IPv6"] };
        let what = format!("`{key}`: forward \"{}\" cannot go from {its} to {own}", forward.word());
        report.error(server.at, what, "Only forward = \"tunnel\" crosses families.");
    }
}

/// IPVS-43d: only NAT changes the port.
pub(super) fn keeps_port(
    key: &str,
    server: At<u16>,
    forward: Forwarding,
    port: u16,
    meant: &dyn fmt::Display,
    report: &mut Report<'_>,
) {
    let keeps = matches!(forward, Forwarding::Tunnel | Forwarding::DirectRoute);
    if keeps && server.value != port {
        let word = forward.word();
        let what = format!("`{key}`: forward \"{word}\" cannot change port {port} to {}", server.value);
        report.error(server.at, what, format!("Did you mean \"{meant}\", or forward = \"nat\"?"));
    } else if server.value == 0 {
        report.error(server.at, format!("`{key}`: port 0"), format!("Did you mean \"{meant}\"?"));
    }
}

/// What the old interface of the kernel cannot be told of a destination (IPVS-90).
pub(super) fn newer(method: Method, ipv6: bool) -> Option<&'static str> {
    if method.forward == Forwarding::Tunnel && ipv6 {
        return Some("an IPv6 server");
    }
    match method.tunnel {
        Tunnel::Ipip => None,
        Tunnel::Gue { .. } => Some("a tunnel of type gue"),
        Tunnel::Gre { .. } => Some("a tunnel of type gre"),
    }
}
