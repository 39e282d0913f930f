//! Who is told of instances and groups.

use super::super::finding::{Findings, Kind};
use super::args;
use super::block::Block;
use super::command;
use super::global::Defaults;
use crate::config::document::{Table, Value};

/// keepalived's words and ours, in the order of ours.
const EVENTS: [(&str, &str); 7] = [
    ("notify_master", "active"),
    ("notify_backup", "backup"),
    ("notify_fault", "fault"),
    ("notify_stop", "stop"),
    ("notify_deleted", "deleted"),
    ("notify_master_rx_lower_pri", "lower_priority"),
    ("notify", "any"),
];

/// Puts `notify = { ... }`, where there is anything to be said.
pub(super) fn put(block: &Block<'_>, defaults: &Defaults, table: &mut Table, findings: &mut Findings) {
    let mut keys: Vec<(&'static str, Value)> = Vec::new();
    let mut place = None;
    for (word, key) in EVENTS {
        let commands = block.all(word).filter_map(|known| Some((known, command::command(known, findings)?)));
        if let Some((known, command)) = commands.last() {
            place.get_or_insert(known.statement.place());
            keys.push((key, command));
        }
    }
    if let Some(place) = place
        && defaults.first_notify.replace(false)
    {
        let hint = "It lets them run one after another, for at most 30s each: { run = ..., timeout = ... } \
                    gives one more time.";
        findings.push(place, Kind::Changed, "vipd keeps the order of notify scripts", hint);
    }
    let changes = block.last("notify_priority_changes");
    let changes = changes.and_then(|known| args::flag(known, findings)).unwrap_or(defaults.priority_changes);
    if changes {
        keys.push(("priority_changes", Value::Flag(true)));
    }
    let alert = block.last("smtp_alert");
    let at = alert.map(|known| known.statement.place()).or(place).unwrap_or(table.place);
    let alert = alert.and_then(|known| args::flag(known, findings)).unwrap_or(defaults.alert);
    // vipd tells by mail wherever it knows a mail server.
    if defaults.has_mail && !alert {
        keys.push(("mail", Value::Flag(false)));
    }
    if !keys.is_empty() {
        table.put("notify", Value::Keys(keys), at);
    }
}
