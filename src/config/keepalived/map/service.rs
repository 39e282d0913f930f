//! `virtual_server` → `[[service]]`.

use super::checker::{Check, Key};
use super::front::{self, End, Front, Host};
use super::lines::Lines;
use super::method::Method;
use super::names::{Names, Sort};
use super::server::{self, Above, Server, WEIGHT_MAX};
use super::{args, http, named, server_group};
use crate::config::document::{Document, Table, Value, span};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::source::Place;
use crate::config::keepalived::walk::Known;
use crate::limits;

/// What all services need to know.
struct Scope {
    groups: Vec<server_group::Group>,
    certificate: Vec<Key>,
    files: Vec<(String, String)>,
    /// Mail about services and about servers that say nothing; `None`: there is no mail at all.
    mail: Option<(bool, bool)>,
}

/// All groups and virtual servers, in order.
pub(super) fn map(
    root: &[Known<'_>],
    globals: &[Known<'_>],
    names: &Names,
    document: &mut Document,
    findings: &mut Findings,
) {
    let groups = server_group::map(root, document, findings);
    let certificate = http::certificate(root, findings);
    let files = names.all(Sort::File);
    let files = files.filter_map(|name| Some((name.to_owned(), names.find(Sort::File, name)?.to_owned())));
    let files = files.collect();
    let has_mail = document.tables.iter().any(|table| table.name == "mail");
    let mail = has_mail.then(|| alerts(globals, findings));
    let scope = Scope { groups, certificate, files, mail };
    let mut services: Vec<(String, Front, &'static str, Place)> = Vec::new();
    for known in named(root, "virtual_server") {
        let Some((table, front, protocol)) = service(known, &scope, findings) else { continue };
        let place = known.statement.place();
        let mut table = table;
        if let Some((.., first)) =
            services.iter().find(|(_, other, same, _)| *other == front && *same == protocol)
        {
            let what = format!("a virtual_server for the same is in line {} already", first.line);
            let hint = "keepalived puts the servers of both into one service: put them under one \
                        virtual_server. This one is left out.";
            findings.push(place, Kind::Unsupported, what, hint);
            continue;
        }
        let mut name = match table.get("name") {
            Some(Value::Text(name)) => name.clone(),
            _ => front.name(protocol),
        };
        if services.iter().any(|(other, ..)| *other == name) {
            name = format!("{name} {}", front.name(protocol));
        }
        table.put("name", name.clone(), place);
        services.push((name, front, protocol, place));
        document.tables.push(table);
    }
    whole_timeout(document, findings);
}

/// Says once, at the first check that it is about, what `timeout` means (HC-1).
fn whole_timeout(document: &Document, findings: &mut Findings) {
    let of_several_steps = |check: &Value| match check {
        Value::Keys(keys) => {
            let kind = keys.iter().find(|(key, _)| *key == "type").map(|(_, kind)| kind);
            ["http", "https", "smtp"].iter().any(|name| kind == Some(&Value::from(*name)))
        }
        Value::Text(_) | Value::Number(_) | Value::Flag(_) | Value::List(_) | Value::Named(_) => false,
    };
    let services = document.tables.iter().filter(|table| table.name == "service");
    let rows =
        services.flat_map(|service| service.tables.iter().chain([service])).flat_map(|table| &table.rows);
    let first = rows.filter(|row| match (row.key, &row.value) {
        ("check", check) => of_several_steps(check),
        ("checks", Value::List(checks)) => checks.iter().any(of_several_steps),
        _ => false,
    });
    if let Some(row) = first.min_by_key(|row| row.place) {
        let what = "`timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps";
        findings.push(row.place, Kind::Changed, what, "A server that trickles its answer is found out, too.");
    }
}

/// Trap 5: off for services and on for servers, unless `smtp_alert_checker` or `smtp_alert` says it for both.
fn alerts(globals: &[Known<'_>], findings: &mut Findings) -> (bool, bool) {
    let mut silent = Findings::new(0);
    let own = named(globals, "smtp_alert_checker").filter_map(|known| args::flag(known, findings)).last();
    let all = named(globals, "smtp_alert").filter_map(|known| args::flag(known, &mut silent)).last();
    own.or(all).map_or((false, true), |wanted| (wanted, wanted))
}

/// `None` is told: keepalived leaves it out.
fn service(known: Known<'_>, scope: &Scope, findings: &mut Findings) -> Option<(Table, Front, &'static str)> {
    let statement = known.statement;
    let place = statement.place();
    let at = statement.argument(0).map_or(place, |word| word.place);
    let lines = Lines::read(known, findings);
    let front = front::front(statement, &scope.groups, findings)?;
    let protocol = protocol(&lines, &front, place, findings);
    let method = lines.method.clone().unwrap_or(Method::NAT);
    let servers = servers(&lines, &front, &method, scope, findings);
    if servers.is_empty() {
        let what = "`virtual_server` without a real server";
        findings.push(place, Kind::Invalid, what, "keepalived leaves it out.");
        return None;
    }
    let mut table = Table::new("service", true, place);
    table.comments.extend(statement.comments.iter().cloned());
    if let Some(name) = &lines.name {
        table.put("name", name.clone(), place);
    } else {
        table.put("name", front.name(protocol), place);
    }
    front.put(&mut table, at);
    if matches!(front, Front::Mark(_)) && is_ipv6(&lines, &servers) {
        table.put("family", "ipv6", place);
    }
    if front.has_address() {
        table.put_unless("protocol", protocol, "tcp", place);
    }
    scheduling(&lines, &front, protocol, &mut table, place, findings);
    persistence(&lines, &front, protocol, &mut table, place, findings);
    method.put(&Method::NAT, &mut table, place);
    sorry(&lines, &front, &method, &mut table, findings);
    quorum(&lines, &servers, &mut table, place, findings);
    if let Some(at) = lines.suspend {
        if front.has_address() {
            table.put("suspend", true, at);
        } else {
            let hint = "A mark has no address that could be here or away: keepalived leaves it out.";
            findings.push(at, Kind::Invalid, "`ha_suspend` with a mark", hint);
        }
    }
    let commands = [("quorum_up", lines.up.clone()), ("quorum_down", lines.down.clone())];
    let commands: Vec<Key> = commands.into_iter().filter_map(|(key, run)| Some((key, run?))).collect();
    if !commands.is_empty() {
        table.put("notify", Value::Keys(commands), place);
    }
    table.put_unless("notify_stop", lines.omega, false, place);
    if let Some((services, _)) = scope.mail {
        table.put_unless("mail", lines.mail.unwrap_or(services), true, place);
    }
    table.put_unless("weight", lines.weight, 1_u32, place);
    table.put_unless("inhibit", lines.inhibit, false, place);
    put_checks(servers, &mut table, place, findings);
    for (key, comments) in lines.comments {
        table.comment(key, comments);
    }
    Some((table, front, protocol))
}

/// Trap 2: UDP where nothing is said.
fn protocol(lines: &Lines<'_>, front: &Front, place: Place, findings: &mut Findings) -> &'static str {
    match lines.protocol {
        Some((protocol, at)) => {
            if !front.has_address() {
                let what = "`protocol` is left out";
                findings.push(at, Kind::Ignored, what, "Whatever bears the mark is taken, of any protocol.");
            }
            protocol
        }
        None => {
            if front.has_address() {
                let what = "no `protocol`: keepalived takes UDP then, and so does this";
                findings.push(place, Kind::Changed, what, "Write protocol TCP where that is meant.");
            }
            "udp"
        }
    }
}

/// Marks have no family of their own: theirs is that of the servers.
fn is_ipv6(lines: &Lines<'_>, servers: &[Server]) -> bool {
    let prefix = lines.granularity.map(|(_, ipv6)| ipv6);
    let of_servers = || servers.first().is_some_and(|server| server.end.is_ipv6());
    lines.is_ipv6.or(prefix).unwrap_or_else(of_servers)
}

fn servers(
    lines: &Lines<'_>,
    front: &Front,
    method: &Method,
    scope: &Scope,
    findings: &mut Findings,
) -> Vec<Server> {
    let above = Above {
        front,
        method,
        times: &lines.times,
        weight: lines.weight,
        is_inhibited: lines.inhibit,
        certificate: &scope.certificate,
        files: &scope.files,
        mail: scope.mail.map(|(_, servers)| servers),
    };
    let mut servers: Vec<Server> = Vec::new();
    for known in &lines.servers {
        let Some(server) = server::server(*known, &above, findings) else { continue };
        let port = |server: &Server| {
            // Where packets keep their ports, the kernel knows servers by their addresses.
            if server.method.keeps_port() && front.port().is_none() { 0 } else { server.end.port }
        };
        let same = |other: &&Server| other.end.host == server.end.host && port(other) == port(&server);
        if let Some(first) = servers.iter().find(same) {
            let what = format!(
                "real server {} is in line {} already",
                server.end.show(true),
                first.table.place.line
            );
            let hint = "keepalived leaves the second one out, and so does this; a larger share is a larger \
                        weight.";
            findings.push(known.statement.place(), Kind::Changed, what, hint);
            continue;
        }
        servers.push(server);
    }
    servers
}

fn scheduling(
    lines: &Lines<'_>,
    front: &Front,
    protocol: &str,
    table: &mut Table,
    place: Place,
    findings: &mut Findings,
) {
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

fn persistence(
    lines: &Lines<'_>,
    front: &Front,
    protocol: &str,
    table: &mut Table,
    place: Place,
    findings: &mut Findings,
) {
    const DEFAULT: u32 = 360;
    let engine = lines.engine.as_ref().filter(|(_, at)| {
        let fits = !front.has_address() || protocol == "udp";
        if !fits {
            let what = format!("`persistence_engine` with protocol {protocol}");
            findings.push(*at, Kind::Invalid, what, "The kernel reads SIP from UDP only: it is left out.");
        }
        fits
    });
    let forced = front.has_any_port() && lines.persistence.is_none() && lines.granularity.is_none();
    if forced {
        let what = "port 0, which is every port, needs `persistence_timeout`: 360 is taken";
        findings.push(place, Kind::Changed, what, "keepalived takes it, too.");
    }
    let timeout = match (lines.persistence, lines.granularity) {
        (Some(seconds), _) => seconds,
        (None, Some(_)) => DEFAULT,
        (None, None) if forced || engine.is_some() => DEFAULT,
        (None, None) => return,
    };
    let text = || Value::from(span(u64::from(timeout) * args::SECOND));
    let prefix = lines.granularity.filter(|(len, ipv6)| *len != if *ipv6 { 128 } else { 32 });
    if prefix.is_none() && engine.is_none() {
        table.put("persistence", text(), place);
        return;
    }
    let mut keys: Vec<Key> = vec![("timeout", text())];
    keys.extend(prefix.map(|(len, _)| ("prefix", u32::from(len).into())));
    keys.extend(engine.map(|(engine, _)| ("engine", engine.clone().into())));
    table.put("persistence", Value::Keys(keys), place);
}

fn sorry(lines: &Lines<'_>, front: &Front, method: &Method, table: &mut Table, findings: &mut Findings) {
    let Some(known) = lines.sorry else { return };
    let Some(address) = front::socket(known.statement.arguments(), findings) else { return };
    let at = known.statement.place();
    let own = lines.sorry_method.as_ref().unwrap_or(method);
    let mut end = End { host: Host::Ip(address.ip()), port: address.port() };
    server::port(&mut end, own, front, at, findings);
    let text = end.show(front.port().is_none());
    let mut keys: Vec<Key> = own.keys(method);
    if lines.sorry_inhibit {
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

/// Adds the servers. What most of them have as their checks stands at the service, once.
fn put_checks(servers: Vec<Server>, table: &mut Table, place: Place, findings: &mut Findings) {
    fn values(checks: &[Check]) -> impl Iterator<Item = &Value> {
        checks.iter().map(|check| &check.value)
    }
    let count =
        |of: &Server| servers.iter().filter(|other| values(&other.checks).eq(values(&of.checks))).count();
    let mut usual: Option<(usize, &Server)> = None;
    for server in servers.iter().filter(|server| !server.checks.is_empty()) {
        let count = count(server);
        if usual.is_none_or(|(most, _)| count > most) {
            usual = Some((count, server));
        }
    }
    let without = servers.iter().filter(|server| server.checks.is_empty()).count();
    let usual = usual.filter(|(count, _)| (*count > 1 || servers.len() == 1) && *count >= without);
    let common: Vec<Value> =
        usual.map(|(_, server)| values(&server.checks).cloned().collect()).unwrap_or_default();
    let mut checked = servers.iter().filter(|server| !server.checks.is_empty()).peekable();
    let starts_up = checked.peek().is_none() || checked.any(|server| server.starts_up);
    table.put_unless("start_up", starts_up, true, place);
    if let Some((_, first)) = usual {
        let mut comments: Vec<String> = Vec::new();
        for check in
            servers.iter().filter(|server| values(&server.checks).eq(&common)).flat_map(|s| &s.checks)
        {
            comments.extend(check.comments.iter().cloned());
        }
        let mut seen = std::collections::BTreeSet::new();
        comments.retain(|comment| seen.insert(comment.clone()));
        put(&first.checks, comments, table, findings);
    }
    for server in servers {
        let mut own = server.table;
        if !server.checks.is_empty() {
            own.put_unless("start_up", server.starts_up, starts_up, own.place);
        }
        if !values(&server.checks).eq(&common) {
            if server.checks.is_empty() {
                own.put("check", false, own.place);
            } else {
                let comments = server.checks.iter().flat_map(|check| check.comments.clone()).collect();
                put(&server.checks, comments, &mut own, findings);
            }
        }
        table.tables.push(own);
    }
}

/// `check`, or `checks` where there are several.
fn put(checks: &[Check], comments: Vec<String>, table: &mut Table, findings: &mut Findings) {
    let Some(first) = checks.first() else { return };
    if let Some(more) = checks.get(limits::CHECKS_MAX) {
        let what = format!("more than {} checks of a server", limits::CHECKS_MAX);
        findings.push(more.place, Kind::Unsupported, what, "Those behind are left out.");
    }
    let key = match checks {
        [only] => {
            table.put("check", only.value.clone(), first.place);
            "check"
        }
        _ => {
            let list = checks.iter().take(limits::CHECKS_MAX).map(|check| check.value.clone());
            table.put("checks", Value::List(list.collect()), first.place);
            "checks"
        }
    };
    table.comment(key, comments);
}
