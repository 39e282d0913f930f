//! Rows of the tables of sync groups and of trackers.

use super::age::Age;
use super::section::{Rank, Row, Section};
use super::table::{Column, ascii, lay_out};
use crate::model::status::{GroupStatus, InstanceState, InstanceStatus, TrackerStatus};

/// The kind that has a number in place of up and down.
const FILE: &str = "file";

/// The table of sync groups. Members that are not in the state of the group are shown with theirs.
pub(super) fn groups(groups: &[GroupStatus], instances: &[InstanceStatus], width: usize) -> Section {
    let columns = [
        Column::left("GROUP", 8),
        Column::left("STATE", 6),
        Column::left("SINCE", 6),
        Column::left("MEMBERS", 10),
    ];
    let mut ranks = Vec::with_capacity(groups.len());
    let mut cells: Vec<[String; 4]> = Vec::with_capacity(groups.len());
    for group in groups {
        let mut differs = false;
        let members = group.members.iter().map(|name| {
            let other = instances.iter().find(|i| i.name == *name && i.state != group.state);
            differs |= other.is_some();
            match other {
                Some(instance) => format!("{}={}", ascii(name), instance.state.word()),
                None => ascii(name),
            }
        });
        let members = members.collect::<Vec<_>>().join(" ");
        cells.push([
            ascii(&group.name),
            group.state.word().to_owned(),
            Age(group.since).to_string(),
            members,
        ]);
        ranks.push(match group.state {
            InstanceState::Fault | InstanceState::Initialize => Rank::Bad,
            InstanceState::Active | InstanceState::Backup if differs => Rank::Poor,
            InstanceState::Active | InstanceState::Backup => Rank::Quiet,
        });
    }
    let table = lay_out(&columns, &cells, width);
    let row = |((group, line), rank): ((&GroupStatus, String), Rank)| Row {
        name: ascii(&group.name),
        line,
        notes: Vec::new(),
        rank,
    };
    let rows = groups.iter().zip(table.lines).zip(ranks).map(row).collect();
    Section { header: table.header, rows, noun: "group", is_main: false }
}

/// The table of trackers.
pub(super) fn trackers(trackers: &[TrackerStatus], width: usize) -> Section {
    let columns = [
        Column::left("TRACK", 8),
        Column::left("KIND", 9),
        Column::left("STATE", 5),
        Column::left("SINCE", 6),
        Column::left("NOTE", 10),
    ];
    let cells: Vec<[String; 5]> = trackers.iter().map(tracker_cells).collect();
    let table = lay_out(&columns, &cells, width);
    let row = |(tracker, line): (&TrackerStatus, String)| Row {
        name: ascii(&tracker.name),
        line,
        notes: Vec::new(),
        rank: match (tracker.hurts, tracker.up) {
            (true, _) => Rank::Bad,
            (false, None | Some(false)) => Rank::Noted,
            (false, Some(true)) => Rank::Quiet,
        },
    };
    Section {
        header: table.header,
        rows: trackers.iter().zip(table.lines).map(row).collect(),
        noun: "tracker",
        is_main: false,
    }
}

fn tracker_cells(tracker: &TrackerStatus) -> [String; 5] {
    let mut notes = Vec::new();
    if !tracker.reason.is_empty() {
        notes.push(ascii(&tracker.reason));
    }
    if let Some(value) = tracker.value.filter(|_| tracker.kind != FILE) {
        notes.push(format!("{value} found"));
    }
    if let Some(users) = used_by(tracker).filter(|_| tracker.hurts) {
        notes.push(format!("used by {users}"));
    }
    [
        ascii(&tracker.name),
        tracker.kind.to_owned(),
        state(tracker),
        Age(tracker.since).to_string(),
        notes.join(", "),
    ]
}

/// `up`, `down`, a number, or `?` where nothing is known yet.
pub(super) fn state(tracker: &TrackerStatus) -> String {
    match (tracker.up, tracker.value) {
        (Some(_), Some(value)) if tracker.kind == FILE => value.to_string(),
        (Some(true), _) => "up".to_owned(),
        (Some(false), _) => "down".to_owned(),
        (None, _) => "?".to_owned(),
    }
}

/// `VI_1 VI_2 and 3 more`; `None`: nobody.
pub(super) fn used_by(tracker: &TrackerStatus) -> Option<String> {
    let names: Vec<String> = tracker.used_by.iter().take(3).map(|name| ascii(name)).collect();
    match tracker.used_by.len() {
        0 => None,
        n if n > names.len() => Some(format!("{} and {} more", names.join(" "), n - names.len())),
        _ => Some(names.join(" ")),
    }
}
