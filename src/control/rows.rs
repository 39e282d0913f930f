//! Rows of the status screen's two tables.

use super::age::{Age, Count};
use super::health::{self, ServiceHealth};
use super::screen::is_told;
use super::table::{Column, ascii, cut, lay_out};
use crate::model::status::{InstanceState, InstanceStatus, ServerStatus, ServiceStatus, Snapshot};

/// A table with what belongs under its rows.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) header: String,
    pub(super) rows: Vec<Row>,
    /// What one row is.
    pub(super) noun: &'static str,
}

/// One instance or service.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) line: String,
    /// Lines under it.
    pub(super) notes: Vec<String>,
    /// As it should be?
    pub(super) healthy: bool,
    /// Healthy, and nothing to say of it: such rows give way first where room is short.
    pub(super) quiet: bool,
}

/// The table of instances.
pub(super) fn instances(snapshot: &Snapshot, width: usize) -> Section {
    let instances = &snapshot.instances;
    let columns = [
        Column::left("INSTANCE", 8),
        Column::left("IF", 6),
        Column::right("VRID"),
        Column::left("STATE", 6),
        Column::left("PRIO", 11),
        Column::left("SINCE", 6),
        Column::left("ACTIVE ROUTER", 15),
        Column::left("HEARD", 6),
    ];
    let cells: Vec<[String; 8]> = instances.iter().map(instance_cells).collect();
    let table = lay_out(&columns, &cells, width);
    let rows = instances.iter().zip(table.lines).map(|(instance, line)| {
        let notes = instance_notes(snapshot, instance);
        Row {
            name: ascii(&instance.name),
            line,
            healthy: health::is_instance_healthy(instance),
            quiet: notes.is_empty() && health::is_instance_healthy(instance),
            notes: notes.iter().map(|note| cut(&format!("  {}", ascii(note)), width)).collect(),
        }
    });
    Section { header: table.header, rows: rows.collect(), noun: "instance" }
}

fn instance_cells(instance: &InstanceStatus) -> [String; 8] {
    let (router, heard) = match (instance.state, &instance.active_router) {
        (InstanceState::Active, None) => ("this".to_owned(), "-".to_owned()),
        (InstanceState::Active, Some(_)) if health::rival(instance).is_none() => {
            ("this".to_owned(), "-".to_owned())
        }
        (InstanceState::Active, Some(peer)) => {
            (format!("this+{}", peer.address), Age(peer.heard).to_string())
        }
        (InstanceState::Backup, None) => ("none heard yet".to_owned(), "-".to_owned()),
        (InstanceState::Backup, Some(peer)) => (peer.address.to_string(), Age(peer.heard).to_string()),
        (InstanceState::Initialize | InstanceState::Fault, _) => ("-".to_owned(), "-".to_owned()),
    };
    [
        ascii(&instance.name),
        ascii(&instance.interface),
        instance.vrid.to_string(),
        instance.state.word().to_owned(),
        priority(instance),
        Age(instance.since).to_string(),
        router,
        heard,
    ]
}

/// `80=130-50`: in use, configured, and what trackers make of it.
pub(super) fn priority(instance: &InstanceStatus) -> String {
    let (base, used) = (instance.priority, instance.effective_priority);
    if used < base {
        format!("{used}={base}-{}", base - used)
    } else if used > base {
        format!("{used}={base}+{}", used - base)
    } else {
        base.to_string()
    }
}

fn instance_notes(snapshot: &Snapshot, instance: &InstanceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    match instance.state {
        InstanceState::Fault | InstanceState::Initialize if !instance.cause.is_empty() => {
            notes.push(format!("{}: {}", instance.state.word(), instance.cause));
        }
        InstanceState::Fault | InstanceState::Initialize | InstanceState::Backup | InstanceState::Active => {}
    }
    if let Some(peer) = health::rival(instance)
        && !is_told(snapshot, &[&peer.address.to_string(), "Active, too"])
    {
        notes.push(format!("{} is Active too, priority {}: do they hear us?", peer.address, peer.priority));
    }
    notes.extend(vip_notes(snapshot, instance));
    notes
}

/// What there is to say of the VIPs: at most one line for each kind of trouble.
fn vip_notes(snapshot: &Snapshot, instance: &InstanceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    let total = instance.addresses.len();
    let list = |wanted: &dyn Fn(bool, u32) -> bool| {
        let mut found =
            instance.addresses.iter().filter(|a| wanted(a.present, a.put_back)).map(|a| a.address);
        let first = found.next();
        (first, found.count())
    };
    let name = |first, others: usize| match others {
        0 => format!("VIP {first}"),
        _ => format!("{} of {total} VIPs ({first} ...)", others + 1),
    };
    if health::missing(instance) > 0
        && let (Some(first), others) = list(&|present, _| !present)
    {
        let is = if others == 0 { "is" } else { "are" };
        notes.push(format!("{} {is} not on {}", name(first, others), instance.interface));
    }
    if health::left_over(instance) > 0
        && let (Some(first), others) = list(&|present, _| present)
    {
        let is = if others == 0 { "is" } else { "are" };
        notes.push(format!("{} {is} on {} although not Active", name(first, others), instance.interface));
    }
    if let (Some(first), others) = list(&|_, put_back| put_back > 0)
        && !is_told(snapshot, &[&first.to_string(), "put back"])
    {
        let times: u64 = instance.addresses.iter().map(|a| u64::from(a.put_back)).sum();
        let was = if others == 0 { "was" } else { "were" };
        let s = if times == 1 { "" } else { "s" };
        notes
            .push(format!("{} {was} removed by someone and put back ({times} time{s})", name(first, others)));
    }
    notes
}

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
            healthy: health::service(service) == ServiceHealth::Healthy,
            quiet: health::service(service) == ServiceHealth::Healthy,
        });
    }
    Section { header: table.header, rows, noun: "service" }
}

fn service_cells(service: &ServiceStatus) -> [String; 7] {
    let serving = service.servers.iter().filter(|s| health::is_serving(s));
    let weight: u64 = serving.clone().map(|s| u64::from(s.weight)).sum();
    let total: u64 = service.servers.iter().map(|s| u64::from(s.weight)).sum();
    [
        ascii(&service.name),
        format!("{} {}", service.protocol, service.address),
        ascii(&service.scheduler),
        format!("{}/{}", serving.count(), service.servers.len()),
        format!("{}/{}", Count(weight), Count(total)),
        Count(service.active_connections).to_string(),
        short_note(service),
    ]
}

/// What the NOTE column says where the whole story stands below the row.
fn short_note(service: &ServiceStatus) -> String {
    let out = service.servers.iter().filter(|s| !health::is_serving(s)).count();
    match health::service(service) {
        ServiceHealth::Healthy => String::new(),
        ServiceHealth::Sorry => "sorry in use".to_owned(),
        ServiceHealth::Down if !service.installed => "not in kernel".to_owned(),
        ServiceHealth::Down if out == 0 => "no server".to_owned(),
        ServiceHealth::Down | ServiceHealth::Degraded => format!("{out} down"),
    }
}

/// What there is to say of a service and of each server that gets no connections.
fn service_notes(service: &ServiceStatus) -> Vec<String> {
    let mut notes = Vec::new();
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
    // A service that is not there has none of its servers there: that is said once.
    let told = |server: &&ServerStatus| !server.up || (service.installed && !server.installed);
    notes.extend(service.servers.iter().filter(told).map(server_note));
    notes
}

/// `192.168.234.57:80 down 41s: HTTP 503, want 200`
pub(super) fn server_note(server: &ServerStatus) -> String {
    let (address, since) = (server.address, Age(server.since));
    match (server.up, server.known, server.reason.is_empty()) {
        (true, _, _) => format!("{address} up, not in the kernel's table"),
        (false, false, true) => format!("{address} waits for its first check, {since}"),
        (false, false, false) => format!("{address} not up yet, {since}: {}", ascii(&server.reason)),
        (false, true, true) => format!("{address} down {since}"),
        (false, true, false) => format!("{address} down {since}: {}", ascii(&server.reason)),
    }
}
