//! What a `virtual_server` says beside its servers → rows of `[[service]]`.

use super::args;
use super::checker::Key;
use super::front::{self, End, Front, Host};
use super::lines::{Granularity, Lines};
use super::method::Method;
use super::server::{self, Server, WEIGHT_MAX};
use crate::config::document::{Table, Value, span};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::source::Place;

/// What all of them need to know.
pub(super) struct About<'a> {
    pub(super) front: &'a Front,
    pub(super) protocol: &'static str,
    pub(super) is_ipv6: Option<bool>,
    pub(super) method: &'a Method,
    pub(super) place: Place,
}

/// Puts scheduler, persistence, sorry server, quorum and who is told. `mail`: whether mail about services is
/// sent that say nothing; `None`: there is no mail at all.
pub(super) fn put(
    lines: &Lines<'_>,
    servers: &[Server],
    mail: Option<bool>,
    about: &About<'_>,
    table: &mut Table,
    findings: &mut Findings,
) {
    let place = about.place;
    scheduling(lines, about, table, findings);
    persistence(lines, about, table, findings);
    about.method.put(&Method::NAT, table, place);
    sorry(lines, servers, about, table, findings);
    quorum(lines, servers, table, place, findings);
    if let Some(at) = lines.suspend {
        if about.front.has_mark() {
            let hint = "A mark has no address that could be here or away: keepalived leaves it out.";
            findings.push(at, Kind::Invalid, "`ha_suspend` with a mark", hint);
        } else {
            table.put("suspend", true, at);
        }
    }
    let commands = [("quorum_up", lines.up.clone()), ("quorum_down", lines.down.clone())];
    let commands: Vec<Key> = commands.into_iter().filter_map(|(key, run)| Some((key, run?))).collect();
    if !commands.is_empty() {
        table.put("notify", Value::Keys(commands), place);
    }
    table.put_unless("notify_stop", lines.omega, false, place);
    if let Some(services) = mail {
        table.put_unless("mail", lines.mail.unwrap_or(services), true, place);
    }
    table.put_unless("weight", lines.weight, 1_u32, place);
    table.put_unless("inhibit", lines.inhibit, false, place);
}

fn scheduling(lines: &Lines<'_>, about: &About<'_>, table: &mut Table, findings: &mut Findings) {
    let About { front, protocol, place, .. } = *about;
    match &lines.scheduler {
        Some((name, at)) => table.put_unless("scheduler", name.clone(), "wlc", *at),
        None => {
            let what = "no `lb_algo` that is known: wlc is taken";
            findings.push(place, Kind::Changed, what, "keepalived takes it, too.");
        }
    }
    if !lines.flags.is_empty() {
        table.put("scheduler_flags", lines.flags.clone(), place);
    }
    if let Some(at) = lines.one_packet {
        if front.has_address() && protocol != "udp" {
            let hint = "One packet at a time is for UDP and marks: keepalived leaves it out.";
            findings.push(at, Kind::Invalid, format!("`ops` with protocol {protocol}"), hint);
        } else {
            table.put("one_packet", true, at);
        }
    }
}

fn persistence(lines: &Lines<'_>, about: &About<'_>, table: &mut Table, findings: &mut Findings) {
    const DEFAULT: u32 = 360;
    let About { front, protocol, place, .. } = *about;
    let engine = lines.engine.as_ref().filter(|(_, at)| {
        let fits = !front.has_address() || protocol == "udp";
        if !fits {
            let what = format!("`persistence_engine` is left out: it is of UDP, not of {protocol}");
            let hint = "The kernel's engine reads SIP from UDP only, and takes no packet of any other.";
            findings.push(*at, Kind::Changed, what, hint);
        }
        fits
    });
    let granularity = granularity(lines, about.is_ipv6, findings);
    let forced = front.has_any_port() && lines.persistence.is_none() && granularity.is_none();
    if forced {
        let what = "port 0, which is every port, needs `persistence_timeout`: 360 is taken";
        findings.push(place, Kind::Changed, what, "keepalived takes it, too.");
    }
    let timeout = match (lines.persistence, granularity) {
        (Some(seconds), _) => seconds,
        (None, Some(_)) => DEFAULT,
        (None, None) if forced => DEFAULT,
        (None, None) => {
            if let Some((_, at)) = engine {
                let what = "`persistence_engine` is left out: the service is not persistent";
                findings.push(
                    *at,
                    Kind::Changed,
                    what,
                    "Add `persistence_timeout`, where it is meant to be.",
                );
            }
            return;
        }
    };
    let text = || Value::from(span(u64::from(timeout) * args::SECOND));
    let prefix = granularity.flatten();
    if prefix.is_none() && engine.is_none() {
        table.put("persistence", text(), place);
        return;
    }
    let mut keys: Vec<Key> = vec![("timeout", text())];
    keys.extend(prefix.map(|len| ("prefix", u32::from(len).into())));
    keys.extend(engine.map(|(engine, _)| ("engine", engine.clone().into())));
    table.put("persistence", Value::Keys(keys), place);
}

/// How many bits of their addresses tell clients apart; `Some(None)`: all of them. `None` also where
/// keepalived leaves the line out.
fn granularity(lines: &Lines<'_>, is_ipv6: Option<bool>, findings: &mut Findings) -> Option<Option<u8>> {
    let (len, longest) = match lines.granularity? {
        Granularity::Mask(_, at) | Granularity::Holes(_, at) if is_ipv6 == Some(true) => {
            let what = "`persistence_granularity` wants a number for IPv6, 1 to 128";
            findings.push(at, Kind::Invalid, what, "keepalived leaves it out.");
            return None;
        }
        Granularity::Mask(len, _) => (len, 32),
        Granularity::Holes(mask, at) => {
            let what = format!("`persistence_granularity` {mask} is no prefix");
            let hint = "The kernel takes it; vipd has the first bits of an address only: each client stands \
                        for itself.";
            findings.push(at, Kind::Unsupported, what, hint);
            return Some(None);
        }
        Granularity::Len(len, at) if is_ipv6 == Some(false) && len <= 32 => {
            let what = format!("`persistence_granularity` {len} is read as a prefix of {len} bits");
            let hint = format!("keepalived takes it for the netmask 0.0.0.{len}: write a netmask.");
            findings.push(at, Kind::Corrected, what, hint);
            (len, 32)
        }
        Granularity::Len(len, at) if is_ipv6 == Some(false) => {
            let what = format!("`persistence_granularity` {len} is no netmask of IPv4");
            findings.push(at, Kind::Invalid, what, "Write one: 255.255.255.0 and the like.");
            return Some(None);
        }
        Granularity::Len(len, _) => (len, 128),
    };
    Some(Some(len).filter(|len| *len != longest))
}

fn sorry(
    lines: &Lines<'_>,
    servers: &[Server],
    about: &About<'_>,
    table: &mut Table,
    findings: &mut Findings,
) {
    let inhibit = lines.sorry_inhibit.map(|at| ("sorry_server_inhibit", at));
    let own = lines.sorry_method.as_ref().map(|(_, at)| ("sorry_server_lvs_method", *at));
    let Some(known) = lines.sorry else {
        for (name, at) in inhibit.into_iter().chain(own) {
            let what = format!("`{name}` without `sorry_server`");
            findings.push(at, Kind::Changed, what, "keepalived leaves it out, and so does this.");
        }
        return;
    };
    let at = known.statement.place();
    for (name, above) in inhibit.into_iter().chain(own).filter(|(_, above)| *above < at) {
        let what = format!("`{name}` above its `sorry_server` is taken");
        findings.push(above, Kind::Corrected, what, "keepalived leaves it out there.");
    }
    let Some(address) = front::socket(known.statement.arguments(), findings) else { return };
    let method = lines.sorry_method.as_ref().map_or(about.method, |(method, _)| method);
    if method.forward != "tunnel" && about.is_ipv6.is_some_and(|ipv6| ipv6 != address.is_ipv6()) {
        let what = format!("`sorry_server` {} is of another family than the service", address.ip());
        findings.push(at, Kind::Invalid, what, "keepalived leaves it out.");
        return;
    }
    let mut end = End { host: Host::Ip(address.ip()), port: address.port() };
    server::port(&mut end, method, about.front, at, findings);
    let text = end.show(about.front.port().is_none());
    let mut keys: Vec<Key> = method.keys(about.method);
    let mut is_inhibited = inhibit.is_some();
    if let Some(twin) = servers.iter().find(|server| server.end == end) {
        let theirs = lines.inhibit || twin.table.get("inhibit") == Some(&true.into());
        if theirs != core::mem::replace(&mut is_inhibited, theirs) {
            let what = "the sorry server is one of the servers, and has their `inhibit`";
            findings.push(at, Kind::Changed, what, "keepalived does so, too.");
        }
    }
    if is_inhibited {
        keys.push(("inhibit", true.into()));
    }
    if keys.is_empty() {
        table.put("sorry", text, at);
    } else {
        keys.insert(0, ("address", text.into()));
        table.put("sorry", Value::Keys(keys), at);
    }
}

/// What could never be reached is lowered, as keepalived does.
fn quorum(lines: &Lines<'_>, servers: &[Server], table: &mut Table, place: Place, findings: &mut Findings) {
    let all: u64 = servers.iter().map(|server| u64::from(server.weight)).sum();
    let all = u32::try_from(all).unwrap_or(u32::MAX).clamp(1, WEIGHT_MAX);
    let (mut quorum, at) = lines.quorum.unwrap_or((1, place));
    if quorum > all {
        let what = format!("`quorum` {quorum} is more than all servers weigh: {all} is taken");
        findings.push(at, Kind::Changed, what, "keepalived takes it, too.");
        quorum = all;
    }
    table.put_unless("quorum", quorum, 1_u32, at);
    let (mut hysteresis, at) = lines.hysteresis.unwrap_or((0, place));
    if hysteresis >= quorum {
        let what = format!("`hysteresis` {hysteresis} is not below the quorum: {} is taken", quorum - 1);
        findings.push(at, Kind::Changed, what, "keepalived takes it, too.");
        hysteresis = quorum - 1;
    }
    table.put_unless("hysteresis", hysteresis, 0_u32, at);
}
