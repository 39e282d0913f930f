//! `[[service.server]]`.

use super::front::Face;
use super::method::{crosses, keeps_port, method, reachable};
use super::{Defaults, Scope, WEIGHT_MAX};
use crate::config::check::{cannot_reach, checks, lacks_port};
use crate::config::command::{self, Terms};
use crate::config::host;
use crate::config::reader::Table;
use crate::config::report::{At, Problem, Report};
use crate::config::suggest::shown;
use crate::limits;
use crate::model::{Forwarding, Server, ServerAddress, Shared};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `weight`; what is not given is `default`.
pub(super) fn weight(table: &mut Table<'_>, default: u32, report: &mut Report<'_>) -> u32 {
    /// ipvsadm takes no more (IPVS-60).
    const USUAL: u32 = 65535;
    let Some(read) = table.integer("weight", 0..=WEIGHT_MAX, report) else { return default };
    if read.value > USUAL {
        let what = format!("`weight` {} is more than the {USUAL} that ipvsadm takes", read.value);
        report.warning(read.at, what, "Smaller ones in the same proportion do the same.");
    }
    read.value
}

/// `require`: all checks, or any of them.
pub(super) fn any_check(table: &mut Table<'_>, default: bool, report: &mut Report<'_>) -> bool {
    table.choice("require", &[("all", false), ("any", true)], report).map_or(default, |read| read.value)
}

/// All servers of a service, each with the place of its address; `mails` gets that of each `mail = true`.
pub(super) fn servers(
    table: &mut Table<'_>,
    defaults: &Defaults,
    face: &Face,
    scope: &Scope<'_>,
    mails: &mut Vec<usize>,
    report: &mut Report<'_>,
) -> Vec<At<Server>> {
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for item in table.tables("server", "[[service.server]]", limits::SERVERS_MAX, report) {
        let Some(read) = server(item, defaults, face, scope, mails, report) else { continue };
        if let Some(first) = seen.insert(identity(&read.value, face), read.at) {
            let line = report.lines().place(first).0;
            let what = format!("`address`: {} is a server of this service already", read.value.address);
            report.error(read.at, what, format!("See line {line}; a larger share is a larger weight."));
        }
        out.push(read);
    }
    out
}

/// By what the kernel tells servers apart: where packets keep their ports, that of the server is for its
/// checks alone.
fn identity(server: &Server, face: &Face) -> ServerAddress {
    let keeps = matches!(server.method.forward, Forwarding::Tunnel | Forwarding::DirectRoute);
    let only = |port| if keeps && face.port().is_none() { 0 } else { port };
    match &server.address {
        ServerAddress::Ip(address) => ServerAddress::Ip(SocketAddr::new(address.ip(), only(address.port()))),
        ServerAddress::Name { host, port, ipv6 } => ServerAddress::Name {
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            port: only(*port),
            ipv6: *ipv6,
        },
    }
}

fn server(
    mut table: Table<'_>,
    defaults: &Defaults,
    face: &Face,
    scope: &Scope<'_>,
    mails: &mut Vec<usize>,
    report: &mut Report<'_>,
) -> Option<At<Server>> {
    let address = address(&mut table, face, report);
    let weight = weight(&mut table, defaults.weight, report);
    let (upper_threshold, lower_threshold) = thresholds(&mut table, report);
    let method = method(&mut table, defaults.method, report);
    let checks = checks(&mut table, scope, report);
    let any_check = any_check(&mut table, defaults.any_check, report);
    let inhibit = table.flag("inhibit", defaults.inhibit, report);
    let start_up = table.flag("start_up", defaults.start_up, report);
    let mail = table.boolean("mail", report);
    mails.extend(mail.filter(|mail| mail.value).map(|mail| mail.at));
    let (mut up, mut down) = (None, None);
    if let Some(mut notify) = notify(&mut table, "a server's notify", report) {
        up = command::optional(&mut notify, "up", Terms::of(scope.owner), report).map(Box::new);
        down = command::optional(&mut notify, "down", Terms::of(scope.owner), report).map(Box::new);
        notify.finish(report);
    }
    let checks = checks.map_or_else(|| defaults.checks.clone(), Shared::from);
    if table.has("require") && any_check && checks.len() < 2 {
        let what = "`require` has no effect with less than two checks";
        report.warning(table.key_at("require"), what, "");
    }
    if table.has("start_up") && !start_up && checks.is_empty() {
        let what = "`start_up = false` has no effect without a check";
        report.warning(table.key_at("start_up"), what, "Without one a server is always taken as up.");
    }
    table.finish(report);
    let address = address?;
    let read = Server {
        address: address.value.clone(),
        weight,
        method,
        upper_threshold,
        lower_threshold,
        inhibit,
        start_up,
        checks,
        any_check,
        mail: mail.map(|mail| mail.value),
        up,
        down,
    };
    suits(address.at, &read, face, report);
    Some(At { at: address.at, value: read })
}

/// `notify = { ... }` of a service or a server.
pub(super) fn notify<'t>(
    table: &mut Table<'t>,
    name: &'static str,
    report: &mut Report<'_>,
) -> Option<Table<'t>> {
    let value = table.get("notify")?;
    if let toml::de::DeValue::String(text) = value.value {
        let key = if name == "a server's notify" { "down" } else { "quorum_down" };
        let hint = format!("Did you mean {{ {key} = \"{}\" }}?", shown(text));
        value.wrong("a table", hint, report);
        return None;
    }
    value.table(name, report)
}

/// IPVS-43: the kernel refuses them only when the server is added.
fn thresholds(table: &mut Table<'_>, report: &mut Report<'_>) -> (u32, u32) {
    let upper = table.integer("upper_threshold", 0..=WEIGHT_MAX, report);
    let lower = table.integer("lower_threshold", 0..=WEIGHT_MAX, report);
    let most = upper.map_or(0, |upper| upper.value);
    let known = upper.is_some() || !table.has("upper_threshold");
    if let Some(least) = lower.filter(|lower| known && lower.value > most) {
        let (what, hint) = match most {
            0 if upper.is_none() => (
                "`lower_threshold` is given without `upper_threshold`".to_owned(),
                "It says when new connections come again after there were too many.",
            ),
            0 => {
                ("`lower_threshold` contradicts `upper_threshold = 0`, no limit".to_owned(), "Leave it out.")
            }
            _ => {
                let what = format!("`lower_threshold` ({}) is above `upper_threshold` ({most})", least.value);
                (what, "Leave it out for three quarters of the upper one.")
            }
        };
        report.error(least.at, what, hint);
    }
    (most, lower.map_or(0, |lower| lower.value))
}

/// `address` and `family`.
fn address(table: &mut Table<'_>, face: &Face, report: &mut Report<'_>) -> Option<At<ServerAddress>> {
    table.know(&["address"]);
    let port = face.port();
    let families = [("ipv4", false), ("ipv6", true)];
    let family = table.choice("family", &families, report).map(|read| read.value);
    let wanted = family.unwrap_or_else(|| face.prefers_ipv6());
    let read = |text: &str| server_address(text, port, wanted);
    let address = table.parsed("address", read, report);
    if !table.has("address") {
        table.require("address", format!("address = \"192.168.234.47:{}\"", port.unwrap_or(80)));
    }
    if let Some(At { value: ServerAddress::Ip(_), .. }) = address {
        let hint = "Leave it out: the address says it.";
        table.contradict(&["family"], "an address that is no name", hint, report);
    }
    address
}

/// `IP:port`, `[IPv6]:port`, `name:port`. The port may be left out where the front has no port of its own.
fn server_address(text: &str, port: Option<u16>, ipv6: bool) -> Result<ServerAddress, Problem> {
    let (default, example) = match port {
        Some(port) => (None, port),
        None => (Some(0), 0),
    };
    let named = |host, port| ServerAddress::Name { host, port, ipv6 };
    host::end(text, default, example, ServerAddress::Ip, named)
}

/// Compares a server with its service's front and its own checks.
fn suits(at: usize, server: &Server, face: &Face, report: &mut Report<'_>) {
    let forward = server.method.forward;
    let (port, ipv6) = match &server.address {
        ServerAddress::Ip(address) => {
            reachable("address", At { at, value: *address }, forward, face, report);
            (address.port(), address.is_ipv6())
        }
        ServerAddress::Name { host, port, ipv6 } => {
            crosses("address", At { at, value: *ipv6 }, forward, face, report);
            if let Some(wanted) = face.port() {
                let meant = format_args!("{host}:{wanted}");
                keeps_port("address", At { at, value: *port }, forward, wanted, &meant, report);
            }
            (*port, *ipv6)
        }
    };
    let known = !face.keys.is_empty();
    if known && face.port().is_none() && server.checks.iter().any(|check| lacks_port(check, port)) {
        let hint = "Give the port, here or as `port` of the check, or set check = false.";
        report.error(at, "`address`: a check needs a port", hint);
    }
    if let Some(why) = server.checks.iter().find_map(|check| cannot_reach(check, ipv6)) {
        report.error(at, format!("`address`: {} {why}", server.address), "Give this server its own check.");
    }
}
