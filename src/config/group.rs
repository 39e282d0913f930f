//! `[[sync_group]]`.

use super::reader::Table;
use super::report::{At, Report};
use super::suggest::{nearest, shown};
use super::values;
use super::{Context, notify, track, vrrp};
use crate::model::{Name, SyncGroup, TrackUse};

/// What could be read of a group.
pub(super) struct Draft {
    pub(super) name: Option<At<Name>>,
    /// Indexes of instances, each where it is named.
    pub(super) members: Vec<At<usize>>,
    /// How many are named, known or not.
    pub(super) named: usize,
    pub(super) tracks: Vec<At<TrackUse>>,
    pub(super) member_weights: bool,
    /// `None` where something that has no default could not be read.
    pub(super) group: Option<SyncGroup>,
}

/// `[[sync_group]]`.
pub(super) fn group(
    mut table: Table<'_>,
    instances: &[vrrp::Draft],
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> Draft {
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"VG_1\"");
    let (named, members) = members(&mut table, instances, report);
    let tracks = track::uses(&mut table, &context.tracks, report);
    let member_weights = table.flag("member_weights", false, report);
    let notify = notify::notify(&mut table, &context.owner, report);
    table.finish(report);
    let group = name.as_ref().map(|name| SyncGroup {
        name: name.value.clone(),
        members: members.iter().map(|member| member.value).collect(),
        tracks: tracks.iter().map(|track| track.value).collect(),
        member_weights,
        notify,
    });
    Draft { name, members, named, tracks, member_weights, group }
}

fn members(
    table: &mut Table<'_>,
    instances: &[vrrp::Draft],
    report: &mut Report<'_>,
) -> (usize, Vec<At<usize>>) {
    let list = table.list("members", report);
    table.require("members", "members = [\"VI_1\", \"VI_2\"]");
    let Some(list) = list else { return (0, Vec::new()) };
    if list.is_empty() {
        let hint = "Name the [[vrrp]] that belong together.";
        report.error(table.key_at("members"), "`members` is empty", hint);
    }
    let named = list.len();
    let mut out: Vec<At<usize>> = Vec::new();
    for item in list {
        let Some(name) = item.text(report) else { continue };
        let Some(index) = find(name, instances, report) else { continue };
        if out.iter().any(|other| other.value == index) {
            report.error(name.at, format!("`members`: \"{}\" is given twice", name.value), "Leave one out.");
            continue;
        }
        out.push(At { at: name.at, value: index });
    }
    (named, out)
}

fn find(name: At<&str>, instances: &[vrrp::Draft], report: &mut Report<'_>) -> Option<usize> {
    let is = |draft: &vrrp::Draft| draft.name.as_ref().is_some_and(|other| other.value == name.value);
    let found = instances.iter().position(is);
    if found.is_none() && instances.iter().all(|draft| draft.name.is_some()) {
        let names: Vec<&str> = instances
            .iter()
            .filter_map(|draft| draft.name.as_ref())
            .map(|name| name.value.as_str())
            .collect();
        let hint = match nearest(name.value, &names) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => {
                let few: Vec<&str> = names.into_iter().take(8).collect();
                format!("Those are: {}.", few.join(", "))
            }
        };
        let what = format!("`members`: no [[vrrp]] is called \"{}\"", shown(name.value));
        report.error_of_whole(name.at, what, hint);
    }
    found
}
