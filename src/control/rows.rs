//! Rows of the table of instances.

use super::age::{Age, Mac};
use super::health;
use super::problems::{is_told, s};
use super::section::{Rank, Row, Section};
use super::table::{Column, ascii, cut, lay_out, natural_width};
use crate::model::Family;
use crate::model::status::{InstanceState, InstanceStatus, Snapshot};

/// The sum of a priority may always be so long.
const SUM_MIN: usize = 13;
/// And never longer: more names would hide the columns behind it.
const SUM_MAX: usize = 40;

/// The table of instances.
pub(super) fn instances(snapshot: &Snapshot, width: usize) -> Section {
    let instances = &snapshot.instances;
    let columns = [
        Column::left("INSTANCE", 8),
        Column::left("IF", 6),
        Column::right("VRID"),
        Column::left("STATE", 6),
        Column::left("PRIO", SUM_MIN),
        Column::left("SINCE", 6),
        Column::left("ACTIVE ROUTER", 15),
        Column::left("HEARD", 6),
    ];
    let mixed =
        instances.iter().any(|i| i.family == Family::V4) && instances.iter().any(|i| i.family == Family::V6);
    let mut cells: Vec<[String; 8]> = instances.iter().map(|i| instance_cells(i, mixed)).collect();
    // What the other columns leave is the sum's.
    let others = natural_width(&columns, &cells).saturating_sub("PRIO".len());
    let sum_width = width.saturating_sub(others).clamp(SUM_MIN, SUM_MAX);
    for (cells, instance) in cells.iter_mut().zip(instances) {
        let [_, _, _, _, sum, ..] = cells;
        *sum = priority(instance, sum_width);
    }
    let table = lay_out(&columns, &cells, width);
    let rows = instances.iter().zip(table.lines).map(|(instance, line)| {
        let notes = instance_notes(snapshot, instance);
        Row {
            name: ascii(&instance.name),
            line,
            rank: rank(instance, notes.is_empty()),
            notes: notes.iter().map(|note| cut(&format!("  {}", ascii(note)), width)).collect(),
        }
    });
    Section { header: table.header, rows: rows.collect(), noun: "instance", is_main: true }
}

fn rank(instance: &InstanceStatus, is_quiet: bool) -> Rank {
    if health::is_instance_healthy(instance) {
        return if is_quiet { Rank::Quiet } else { Rank::Noted };
    }
    match instance.state {
        InstanceState::Active if health::rival(instance).is_some() => Rank::Worst,
        InstanceState::Fault => Rank::Worst,
        InstanceState::Active | InstanceState::Backup => Rank::Bad,
        InstanceState::Initialize => Rank::Poor,
    }
}

/// Its priority is left empty. `mixed`: both families are there.
fn instance_cells(instance: &InstanceStatus, mixed: bool) -> [String; 8] {
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
        if mixed { format!("{} {}", instance.vrid, family(instance)) } else { instance.vrid.to_string() },
        instance.state.word().to_owned(),
        String::new(),
        Age(instance.since).to_string(),
        router,
        heard,
    ]
}

/// `v4` or `v6`.
pub(super) fn family(instance: &InstanceStatus) -> &'static str {
    match instance.family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    }
}

/// `80=130-50 wan`: in use, configured, and what trackers make of it; as many as fit into `width`, then `..`;
/// the difference alone where none does.
pub(super) fn priority(instance: &InstanceStatus, width: usize) -> String {
    let (base, used) = (instance.priority, instance.effective_priority);
    let difference = i16::from(used) - i16::from(base);
    if instance.contributions.is_empty() {
        return if difference == 0 { base.to_string() } else { format!("{used}={base}{difference:+}") };
    }
    let mut sum = format!("{used}={base}");
    for (at, (name, number)) in instance.contributions.iter().enumerate() {
        let part = format!("{number:+} {}", ascii(name));
        let is_last = at + 1 == instance.contributions.len();
        if sum.len() + part.len() + if is_last { 0 } else { 2 } > width {
            return if at == 0 { format!("{used}={base}{difference:+}..") } else { format!("{sum}..") };
        }
        sum.push_str(&part);
    }
    sum
}

fn instance_notes(snapshot: &Snapshot, instance: &InstanceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    match instance.state {
        InstanceState::Fault | InstanceState::Initialize if !instance.cause.is_empty() => {
            let more = match instance.faults.len() {
                0 | 1 => String::new(),
                n => format!(" (and {} more)", n - 1),
            };
            notes.push(format!("{}: {}{more}", instance.state.word(), instance.cause));
        }
        InstanceState::Fault | InstanceState::Initialize | InstanceState::Backup | InstanceState::Active => {}
    }
    if let Some(peer) = health::rival(instance) {
        let mac = instance.active_mac.map(|mac| format!(" ({})", Mac(mac))).unwrap_or_default();
        let times = instance.rivals.max(1);
        notes.push(format!(
            "{}{mac} is Active too: {times} time{}, priority {}",
            peer.address,
            s(times),
            peer.priority
        ));
    }
    notes.extend(instance.waits.iter().map(|waits| waits.as_str().to_owned()));
    notes.extend(vip_notes(snapshot, instance));
    notes.extend(route_note(instance));
    notes
}

/// What there is to say of routes and rules.
fn route_note(instance: &InstanceStatus) -> Option<String> {
    if instance.state != InstanceState::Active {
        return None;
    }
    let total = instance.routes.len();
    let mut missing = instance.routes.iter().filter(|r| !r.present);
    let first = missing.next()?;
    match missing.count() {
        0 => Some(format!("missing: {}", first.text)),
        others => Some(format!("{} of {total} routes and rules missing: {} ...", others + 1, first.text)),
    }
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
        let s = s(times);
        notes
            .push(format!("{} {was} removed by someone and put back ({times} time{s})", name(first, others)));
    }
    notes
}
