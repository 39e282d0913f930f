//! Rows of the table of services.

use super::age::{Age, Count};
use super::health::{self, ServiceHealth};
use super::problems::s;
use super::section::{Rank, Row, Section};
use super::table::{Column, ascii, cut, lay_out};
use crate::model::Front;
use crate::model::status::{ServerStatus, ServiceStatus};

/// The table of services.
pub(super) fn services(services: &[ServiceStatus], width: usize) -> Section {
    let columns = [
        Column::left("SERVICE", 7),
        Column::address("ADDRESS", 14),
        Column::left("SCHED", 5),
        Column::right("UP"),
        Column::right("WEIGHT"),
        Column::right("CONNS"),
        Column::left("NOTE", 10),
    ];
    let mut all_notes: Vec<Vec<String>> = services.iter().map(service_notes).collect();
    let cells: Vec<[String; 7]> = services.iter().map(service_cells).collect();
    let table = lay_out(&columns, &cells, width);
    let mut rows = Vec::with_capacity(services.len());
    for ((service, line), notes) in services.iter().zip(table.lines).zip(&mut all_notes) {
        let mut line = line;
        // The first note takes the place of the short one where it fits behind the other columns.
        let first_fits = notes.first().is_some_and(|n| table.last_at + n.len() <= width);
        if first_fits {
            line.truncate(table.last_at);
            line.extend(core::iter::repeat_n(' ', table.last_at.saturating_sub(line.len())));
            line.push_str(&notes.remove(0));
        }
        // The rest stands below it, or at the left where one of them is too long for that.
        let fits = notes.iter().all(|n| table.last_at + n.len() <= width);
        let indent = if fits { table.last_at } else { 2 };
        let below = notes.iter().map(|note| cut(&format!("{:indent$}{note}", ""), width));
        rows.push(Row {
            name: ascii(&service.name),
            line,
            notes: below.collect(),
            rank: match health::service(service) {
                ServiceHealth::Down => Rank::Worst,
                ServiceHealth::Sorry => Rank::Bad,
                ServiceHealth::Degraded => Rank::Poor,
                ServiceHealth::Healthy if is_noted(service) => Rank::Noted,
                ServiceHealth::Healthy => Rank::Quiet,
            },
        });
    }
    Section { header: table.header, rows, noun: "service", is_main: true }
}

fn service_cells(service: &ServiceStatus) -> [String; 7] {
    let serving = service.servers.iter().filter(|s| health::is_serving(s));
    let weight: u64 = serving.clone().map(|s| u64::from(s.weight)).sum();
    let total: u64 = service.servers.iter().map(|s| u64::from(s.configured_weight)).sum();
    [
        ascii(&service.name),
        front(service),
        ascii(&service.scheduler),
        format!("{}/{}", serving.count(), service.servers.len()),
        format!("{}/{}", Count(weight), Count(total)),
        Count(service.active_connections).to_string(),
        short_note(service),
    ]
}

/// `tcp 10.0.0.100:80`, `mark 7`, `tcp group pool`: a mark has no protocol.
pub(super) fn front(service: &ServiceStatus) -> String {
    match &service.front {
        Front::Mark { .. } => ascii(&service.front_text()),
        Front::Address(_) | Front::Group { .. } => {
            format!("{} {}", service.protocol, ascii(&service.front_text()))
        }
    }
}

/// Is there something to say of a service that is healthy?
fn is_noted(service: &ServiceStatus) -> bool {
    service.suspended || service.servers.iter().any(|server| server.draining)
}

/// What the NOTE column says where the whole story stands below the row.
fn short_note(service: &ServiceStatus) -> String {
    let out = service.servers.iter().filter(|s| !health::is_serving(s) && !s.draining).count();
    let drained = service.servers.iter().filter(|s| s.draining).count();
    match health::service(service) {
        ServiceHealth::Healthy if service.suspended => "suspended".to_owned(),
        ServiceHealth::Healthy if drained > 0 => format!("{drained} draining"),
        ServiceHealth::Healthy => String::new(),
        ServiceHealth::Sorry => "sorry in use".to_owned(),
        ServiceHealth::Down if !service.installed => "not in kernel".to_owned(),
        ServiceHealth::Degraded if !service.has_quorum => "no quorum".to_owned(),
        ServiceHealth::Down if out == 0 => "no server".to_owned(),
        ServiceHealth::Down | ServiceHealth::Degraded => format!("{out} down"),
    }
}

/// What there is to say of a service and of each server that gets no connections.
fn service_notes(service: &ServiceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if service.suspended {
        return vec!["suspended: none of its addresses is on this router".to_owned()];
    }
    if !service.installed {
        notes.push("not in kernel".to_owned());
    }
    if service.sorry_active && service.installed {
        notes.push(match service.sorry {
            Some(sorry) => format!("sorry server {sorry} in use"),
            None => "sorry server in use".to_owned(),
        });
    }
    if service.servers.is_empty() && !service.sorry_active {
        notes.push("no server configured".to_owned());
    }
    if !service.has_quorum && is_quorum_told(service) {
        notes.push(format!("no quorum: {}", quorum(service)));
    }
    // A service that is not there has none of its servers there: that is said once.
    let told =
        |server: &&ServerStatus| !server.up || server.draining || (service.installed && !server.installed);
    notes.extend(service.servers.iter().filter(told).map(server_note));
    notes
}

/// Is its quorum more than that any server is up?
pub(super) fn is_quorum_told(service: &ServiceStatus) -> bool {
    service.quorum > 1 || service.hysteresis > 0
}

/// `quorum 2, weight 1 up`, with what is needed now where that is another number.
pub(super) fn quorum(service: &ServiceStatus) -> String {
    let counting = service.servers.iter().filter(|s| s.up && !s.draining);
    let weight: u64 = counting.map(|s| u64::from(s.weight)).sum();
    let (quorum, hysteresis) = (u64::from(service.quorum), u64::from(service.hysteresis));
    let needed = match (hysteresis, service.has_quorum) {
        (0, _) => String::new(),
        (_, true) => format!(" ({} to keep it)", quorum.saturating_sub(hysteresis)),
        (_, false) => format!(" ({} to gain it)", quorum + hysteresis),
    };
    format!("quorum {quorum}{needed}, weight {weight} up")
}

/// `192.168.234.57:80 down 41s: HTTP 503, want 200`
pub(super) fn server_note(server: &ServerStatus) -> String {
    let (address, since) = (ascii(&server.address.to_string()), Age(server.since));
    if server.draining {
        return format!("{address} {}", draining(server));
    }
    match (server.up, server.known, server.reason.is_empty()) {
        (true, _, _) => format!("{address} up, not in the kernel's table"),
        (false, false, true) => format!("{address} waits for its first check, {since}"),
        (false, false, false) => format!("{address} not up yet, {since}: {}", ascii(&server.reason)),
        (false, true, true) => format!("{address} down {since}"),
        (false, true, false) => format!("{address} down {since}: {}", ascii(&server.reason)),
    }
}

/// `draining, 12 connections left`, and `drained` when none is; what else there is to know of it.
pub(super) fn draining(server: &ServerStatus) -> String {
    let state = match server.active_connections {
        0 => "drained".to_owned(),
        n => format!("draining, {n} connection{} left", s(n)),
    };
    if server.up { state } else { format!("{state}; down {}", Age(server.since)) }
}

/// `5=10-5`: in use, configured, and the difference that its checks make.
pub(super) fn weight(server: &ServerStatus) -> String {
    let (used, base) = (i64::from(server.weight), i64::from(server.configured_weight));
    if used == base { used.to_string() } else { format!("{used}={base}{:+}", used - base) }
}
