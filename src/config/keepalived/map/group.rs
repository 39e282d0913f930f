//! `vrrp_sync_group`.

use super::super::finding::{Findings, Kind};
use super::super::keywords::{self, Context};
use super::super::tree::{Statement, Word};
use super::super::walk::{self, Known};
use super::block::Block;
use super::names::{Names, Sort};
use super::track::Tracks;
use super::{Scope, notify};
use crate::config::document::{Table, Value};
use crate::config::suggest::shown;
use crate::model::nearest;

const KEYS: &[(&str, &str)] = &[
    ("group", "members"),
    ("track_interface", "track"),
    ("track_script", "track"),
    ("track_process", "track"),
    ("track_file", "track"),
    ("sync_group_tracking_weight", "member_weights"),
    ("notify_master", "notify"),
    ("notify_backup", "notify"),
    ("notify_fault", "notify"),
    ("notify_stop", "notify"),
    ("smtp_alert", "notify"),
];

/// `[[sync_group]]` of a group; `None` where it has no members.
pub(super) fn group(
    known: Known<'_>,
    scope: &mut Scope<'_>,
    tracks: &mut Tracks,
    findings: &mut Findings,
) -> Option<Table> {
    let head = known.statement;
    let word = head.argument(0)?;
    let name = scope.names.give(Sort::Group, &word.text, word.place, findings)?;
    let mut table = Table::new("sync_group", true, head.place());
    table.put("name", name, word.place);
    let mut members: Vec<Value> = Vec::new();
    let mut inner = Vec::new();
    for statement in head.inside() {
        if is_bare_member(statement, scope.names) {
            let what = format!("\"{}\" is read as a member of the group", shown(statement.keyword()));
            let hint = "keepalived wants members in group { }, and leaves the line out.";
            findings.push(statement.place(), Kind::Corrected, what, hint);
            statement.words.iter().for_each(|word| member(word, scope.names, &mut members, findings));
        } else {
            inner.extend(walk::known(Context::GROUP, core::slice::from_ref(statement), findings));
        }
    }
    let block = Block::of(inner, head);
    for line in block.lines("group") {
        line.words.iter().for_each(|word| member(word, scope.names, &mut members, findings));
    }
    if members.is_empty() {
        let what = format!("the group \"{}\" has no members", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "It is left out, as keepalived leaves it out.");
        return None;
    }
    table.put("members", members, block.last("group").map_or(head.place(), |known| known.statement.place()));
    let uses = tracks.uses(&block, None, scope.names, findings);
    if !uses.is_empty() {
        table.put("track", uses, head.place());
    }
    if let Some(known) = block.last("sync_group_tracking_weight") {
        table.put("member_weights", true, known.statement.place());
    }
    notify::put(&block, scope.defaults, &mut table, findings);
    block.comment(&mut table, KEYS);
    Some(table)
}

/// The name of an instance where keepalived wants a keyword.
fn is_bare_member(statement: &Statement, names: &Names) -> bool {
    statement.body.is_none()
        && keywords::find(Context::GROUP, statement.keyword()).is_none()
        && statement.words.iter().all(|word| names.find(Sort::Instance, &word.text).is_some())
}

fn member(word: &Word, names: &Names, members: &mut Vec<Value>, findings: &mut Findings) {
    match names.find(Sort::Instance, &word.text).map(Value::from) {
        Some(name) if members.contains(&name) => {
            let what = format!("{} is a member already", shown(&word.text));
            findings.push(word.place, Kind::Changed, what, "The second one is left out.");
        }
        Some(name) => members.push(name),
        None => {
            let known: Vec<&str> = names.all(Sort::Instance).collect();
            let hint = match nearest(&word.text, &known) {
                Some(near) => format!("Did you mean \"{near}\"? keepalived leaves it out."),
                None => "keepalived leaves it out.".to_owned(),
            };
            let what = format!("no vrrp_instance is called \"{}\"", shown(&word.text));
            findings.push(word.place, Kind::Invalid, what, hint);
        }
    }
}
