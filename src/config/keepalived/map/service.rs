//! `virtual_server` → `[[service]]`.

use super::checker::Key;
use super::front::{self, Front, Host};
use super::lines::{Granularity, Lines};
use super::method::{self, Method};
use super::names::{Names, Sort};
use super::server::{self, Above, Server, Usual};
use super::settings::{self, About};
use super::{args, hoist, http, named, server_group, times};
use crate::config::document::{Document, Table, Value};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::keywords::Context;
use crate::config::keepalived::source::Place;
use crate::config::keepalived::walk::{self, Known};

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
    breathe: &mut dyn FnMut(),
) {
    let groups = server_group::map(root, document, findings);
    let certificate = http::certificate(root, findings);
    let files = names.all(Sort::File);
    let files = files.filter_map(|name| Some((name.to_owned(), names.find(Sort::File, name)?.to_owned())));
    let files = files.collect();
    let has_mail = document.tables.iter().any(|table| table.name == "mail");
    let mail = has_mail.then(|| alerts(globals, findings));
    let scope = Scope { groups, certificate, files, mail };
    let mut services: Vec<Found<'_>> = Vec::new();
    for known in named(root, "virtual_server") {
        breathe();
        let Some(found) = find(known, &scope, findings) else { continue };
        match services.iter_mut().find(|first| first.is_same(&found)) {
            Some(first) => first.more.push(found),
            None => services.push(found),
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for found in services {
        breathe();
        let Some(mut table) = service(&found, &scope, findings) else { continue };
        let own = found.name();
        let mut name = found.lines.name.clone().unwrap_or_else(|| own.clone());
        if seen.contains(&name) {
            name = format!("{name} {own}");
        }
        table.put("name", name.clone(), table.place);
        seen.push(name);
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

/// A virtual_server, and those further below that are for the same.
struct Found<'t> {
    known: Known<'t>,
    lines: Lines<'t>,
    front: Front,
    protocol: &'static str,
    /// Family of a mark: one mark may be for both, which are two services.
    mark_is_ipv6: Option<bool>,
    more: Vec<Found<'t>>,
}

impl Found<'_> {
    /// A name for the service: unique, as no two services are for the same.
    fn name(&self) -> String {
        let own = self.front.name(self.protocol);
        if self.mark_is_ipv6 == Some(true) { format!("{own}/ipv6") } else { own }
    }

    /// Are both for one service of the kernel?
    fn is_same(&self, other: &Found<'_>) -> bool {
        let is_protocol = self.protocol == other.protocol || !self.front.has_address();
        self.front == other.front && is_protocol && self.mark_is_ipv6 == other.mark_is_ipv6
    }
}

/// `None` is told: keepalived leaves it out.
fn find<'t>(known: Known<'t>, scope: &Scope, findings: &mut Findings) -> Option<Found<'t>> {
    let lines = Lines::read(known, findings);
    let place = known.statement.place();
    let Some(front) = front::front(known.statement, &scope.groups, findings) else {
        for server in &lines.servers {
            let what = "`real_server` is left out with its virtual_server";
            findings.push(server.statement.place(), Kind::Ignored, what, "Its address is wrong.");
        }
        return None;
    };
    if lines.servers.is_empty() {
        let what = "`virtual_server` without a real server";
        findings.push(place, Kind::Invalid, what, "keepalived leaves it out.");
        return None;
    }
    let protocol = protocol(&lines, &front, place, findings);
    let mark_is_ipv6 = matches!(front, Front::Mark(_)).then(|| mark_is_ipv6(&front, &lines));
    Some(Found { known, lines, front, protocol, mark_is_ipv6, more: Vec::new() })
}

/// Marks have no family. What the block says counts; then the first server, then the sorry server, that no
/// tunnel leads to. Tunnels lead anywhere: they count if all are of one family (keepalived 2.2.7).
fn mark_is_ipv6(front: &Front, lines: &Lines<'_>) -> bool {
    let silent = || Findings::new(0);
    let is_ipv6 =
        |server: &Known<'_>| Some(front::end(server.statement.arguments(), &mut silent())?.is_ipv6());
    let is_tunnel = |method: Option<&Method>| method.is_some_and(|method| method.forward == "tunnel");
    let is_tunnelled = |server: &&Known<'_>| {
        let inside = walk::known(Context::REAL_SERVER, server.statement.inside(), &mut silent());
        let own =
            named(&inside, "lvs_method").filter_map(|line| method::method(line, &mut silent())).next_back();
        is_tunnel(own.as_ref().or(lines.method.as_ref()))
    };
    let sorry = lines.sorry.iter();
    let sorry_is_tunnelled =
        is_tunnel(lines.sorry_method.as_ref().map(|(own, _)| own).or(lines.method.as_ref()));
    let direct = || lines.servers.iter().filter(|server| !is_tunnelled(server)).find_map(is_ipv6);
    let direct_sorry = || sorry.clone().filter(|_| !sorry_is_tunnelled).find_map(is_ipv6);
    let all = || lines.servers.iter().chain(sorry.clone()).filter_map(is_ipv6).all(|ipv6| ipv6);
    family(front, lines, &mut silent()).or_else(direct).or_else(direct_sorry).unwrap_or_else(all)
}

/// `None` is told: keepalived leaves it out.
fn service(found: &Found<'_>, scope: &Scope, findings: &mut Findings) -> Option<Table> {
    let Found { known, lines, front, protocol, more, .. } = found;
    let place = known.statement.place();
    let method = lines.method.clone().unwrap_or(Method::NAT);
    let is_ipv6 = found.mark_is_ipv6.or_else(|| family(front, lines, findings));
    let usual = Usual { method: &method, weight: lines.weight, is_inhibited: lines.inhibit };
    let mut servers = Vec::new();
    for found in core::iter::once(found).chain(more) {
        self::servers(found, &usual, is_ipv6, scope, &mut servers, findings);
    }
    if servers.is_empty() {
        let what = "`virtual_server` without a real server";
        findings.push(place, Kind::Invalid, what, "keepalived leaves it out.");
        return None;
    }
    let mut table = Table::new("service", true, place);
    table.comments.extend(known.statement.comments.iter().cloned());
    // Its place is the first; its value is known when all services are.
    table.put("name", found.name(), place);
    front.put(&mut table, known.statement.argument(0).map_or(place, |word| word.place));
    if found.mark_is_ipv6 == Some(true) {
        table.put("family", "ipv6", place);
    }
    if front.has_address() {
        table.put_unless("protocol", *protocol, "tcp", place);
    }
    let mail = scope.mail.map(|(services, _)| services);
    let about = About { front, protocol, is_ipv6, method: &method, place };
    settings::put(lines, &servers, mail, &about, &mut table, findings);
    for further in more {
        table.more.push(further.known.statement.place());
        lost(further, &about, &servers, mail, &table, findings);
    }
    hoist::put_checks(servers, &mut table, findings);
    for ((key, inner), comments) in
        core::iter::once(found).chain(more).flat_map(|found| &found.lines.comments)
    {
        table.note(key, inner, comments.iter().cloned());
    }
    Some(table)
}

/// What a second virtual_server for the same says of the service, which has the settings of the first: the
/// kernel knows one service only.
fn lost(
    found: &Found<'_>,
    first: &About<'_>,
    servers: &[Server],
    mail: Option<bool>,
    table: &Table,
    findings: &mut Findings,
) {
    let place = found.known.statement.place();
    let what =
        format!("its servers go to the virtual_server of line {}, which is for the same", first.place.line);
    findings.push(place, Kind::Changed, what, "keepalived puts the servers of both into one service, too.");
    let method = found.lines.method.clone().unwrap_or(Method::NAT);
    let about = About { method: &method, place, ..*first };
    let mut own = Table::new("service", true, place);
    settings::put(&found.lines, servers, mail, &about, &mut own, &mut Findings::new(0));
    for row in own.rows.iter().filter(|row| table.get(row.key) != Some(&row.value)) {
        let (kind, hint) = match row.key {
            // Its servers have them, each for itself.
            "forward" | "tunnel" | "weight" | "inhibit" => continue,
            "scheduler" | "scheduler_flags" | "persistence" | "one_packet" => {
                (Kind::Changed, "The settings of the first count, as in keepalived.")
            }
            _ => (Kind::Unsupported, "Put all servers under one virtual_server, and it there."),
        };
        findings.push(row.place, kind, format!("its `{}` is left out", row.key), hint);
    }
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

/// The family of a service, as far as it is known before its servers are.
fn family(front: &Front, lines: &Lines<'_>, findings: &mut Findings) -> Option<bool> {
    let own = front.is_ipv6();
    if let (Some((wanted, at)), Some(own)) = (lines.is_ipv6, own)
        && wanted != own
    {
        let what = "`ip_family` is not that of the address";
        findings.push(at, Kind::Invalid, what, "keepalived leaves it out.");
    }
    let granularity = || match lines.granularity? {
        Granularity::Mask(..) | Granularity::Holes(..) => Some(false),
        Granularity::Len(..) => Some(true),
    };
    own.or(lines.is_ipv6.map(|(ipv6, _)| ipv6)).or_else(granularity)
}

/// Adds the servers of a virtual_server.
fn servers(
    found: &Found<'_>,
    usual: &Usual<'_>,
    is_ipv6: Option<bool>,
    scope: &Scope,
    servers: &mut Vec<Server>,
    findings: &mut Findings,
) {
    let Found { lines, front, .. } = found;
    let method = lines.method.clone().unwrap_or(Method::NAT);
    let above = Above {
        front,
        method: &method,
        times: &lines.times,
        weight: lines.weight,
        is_inhibited: lines.inhibit,
        certificate: &scope.certificate,
        files: &scope.files,
        mail: scope.mail.map(|(_, servers)| servers),
        usual,
    };
    let is_first = servers.is_empty();
    let mut used = Vec::new();
    for known in &lines.servers {
        let Some(server) = server::server(*known, &above, findings) else { continue };
        used.extend(server.checks.iter().flat_map(|check| check.used.iter().copied()));
        let place = known.statement.place();
        if let (Host::Ip(ip), Some(wanted)) = (&server.end.host, is_ipv6)
            && ip.is_ipv6() != wanted
            && server.method.forward != "tunnel"
        {
            let what = format!("`real_server` {ip} is of another family than the service");
            findings.push(place, Kind::Invalid, what, "keepalived leaves it out.");
            continue;
        }
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
            let hint = match is_first {
                true => {
                    "keepalived leaves the second one out, and so does this; a larger share is a larger \
                     weight."
                }
                false => "The kernel has it once. keepalived checks it for both; here the first one counts.",
            };
            findings.push(place, Kind::Changed, what, hint);
            continue;
        }
        servers.push(server);
    }
    times::unused(&lines.times, &used, findings);
}
