//! Who is told of changes and what is run: `notify`, `run_while_active`, `[notify]` and `[realtime]`.

use super::command::{self, Owner, Terms};
use super::reader::{Table, Value};
use super::report::{At, Report};
use super::suggest::shown;
use super::values;
use crate::limits;
use crate::model::{Command, Fifo, Fifos, Notify, Realtime, Supervised};
use crate::time::Duration;
use std::collections::BTreeMap;
use toml::de::DeValue;

/// `notify = { ... }` of an instance or a group.
pub(super) fn notify(table: &mut Table<'_>, owner: &Owner, report: &mut Report<'_>) -> Notify {
    let Some(value) = table.get("notify") else { return Notify::default() };
    if let DeValue::String(text) = value.value {
        let hint = format!("Did you mean {{ any = \"{}\" }}?", shown(text));
        value.wrong("a table", hint, report);
        return Notify::default();
    }
    let Some(mut table) = value.table("notify", report) else { return Notify::default() };
    let terms = Terms::of(owner);
    let mut read = |key| command::optional(&mut table, key, terms, report);
    let notify = Notify {
        active: read("active"),
        backup: read("backup"),
        fault: read("fault"),
        stop: read("stop"),
        deleted: read("deleted"),
        lower_priority: read("lower_priority"),
        any: read("any"),
        priority_changes: table.flag("priority_changes", false, report),
        mail: table.boolean("mail", report).map(|mail| mail.value),
    };
    table.finish(report);
    notify
}

/// `pre_active`: the takeover waits for it, so it has little time.
pub(super) fn pre_active(table: &mut Table<'_>, owner: &Owner, report: &mut Report<'_>) -> Option<Command> {
    let (second, longest) = (Duration::from_secs(1), Duration::from_secs(5));
    command::optional(table, "pre_active", Terms::of(owner).with(second, longest), report)
}

/// `run_while_active`.
pub(super) fn run_while_active(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<At<Supervised>> {
    let key = "run_while_active";
    let Some(list) = table.list(key, report) else { return Vec::new() };
    if let Some(first) = list.get(limits::SUPERVISED_MAX) {
        report.error(first.at, format!("more than {} in `{key}`", limits::SUPERVISED_MAX), "");
    }
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for item in list.into_iter().take(limits::SUPERVISED_MAX) {
        let Some(read) = supervised(item, report) else { continue };
        if seen.insert(read.name.clone(), item.at).is_some() {
            report.error(item.at, format!("`{key}`: \"{}\" is given twice", read.name), "Leave one out.");
            continue;
        }
        out.push(At { at: item.at, value: read });
    }
    out
}

/// `"conntrackd"`, or `{ name, start, stop, timeout }`. Services are started by vipd's own user, whatever
/// `script_user` says: it may not.
fn supervised(item: Value<'_>, report: &mut Report<'_>) -> Option<Supervised> {
    let nobody = Owner::default();
    let terms = Terms::of(&nobody);
    let script = |path: &str, word: &str, timeout| Command {
        argv: vec![path.to_owned(), word.to_owned()],
        user: None,
        group: None,
        timeout,
    };
    let DeValue::Table(_) = item.value else {
        let name = item.text(report)?;
        let path = item.parsed(command::init_script, report)?.value;
        let timeout = terms.timeout;
        return Some(Supervised {
            name: values::name(name.value).ok()?,
            start: script(&path, "start", timeout),
            stop: script(&path, "stop", timeout),
        });
    };
    let mut table = item.table("run_while_active", report)?;
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"conntrackd\"");
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    let timeout = table.duration("timeout", range, report).map_or(terms.timeout, |read| read.value);
    let terms = Terms { timeout, ..terms };
    let start = command::optional(&mut table, "start", terms, report);
    let stop = command::optional(&mut table, "stop", terms, report);
    for (own, other) in [("start", "stop"), ("stop", "start")] {
        if table.has(own) && !table.has(other) {
            let what = format!("`{own}` is given without `{other}`");
            report.error(table.key_at(own), what, "Give both, or neither for /etc/init.d/NAME.");
        }
    }
    let own = table.has("start") || table.has("stop");
    table.finish(report);
    let name = name?;
    if own {
        return Some(Supervised { name: name.value, start: start?, stop: stop? });
    }
    match command::init_script(&name.value) {
        Ok(path) => Some(Supervised {
            start: script(&path, "start", timeout),
            stop: script(&path, "stop", timeout),
            name: name.value,
        }),
        Err(problem) => {
            report.problem(name.at, problem);
            None
        }
    }
}

/// `[notify]`: the pipes.
pub(super) fn fifos(mut table: Table<'_>, owner: &Owner, report: &mut Report<'_>) -> Fifos {
    let places = ["fifo", "vrrp_fifo", "lvs_fifo"];
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let [all, vrrp, balance] = places.map(|key| {
        let value = table.get(key)?;
        let read = fifo(value, owner, report)?;
        if let Some(first) = seen.insert(read.path.clone(), key) {
            let what = format!("`{key}`: `{first}` writes to {} already", shown(&read.path));
            report.error(value.at, what, "Each pipe has a path of its own.");
        }
        Some(read)
    });
    table.finish(report);
    Fifos { all, vrrp, balance }
}

/// `"/run/vipd/events"`, or `{ path, user, group, script }`.
fn fifo(value: Value<'_>, owner: &Owner, report: &mut Report<'_>) -> Option<Fifo> {
    let DeValue::Table(_) = value.value else {
        let path = value.parsed(command::path, report)?.value;
        let Owner { user, group } = owner.clone();
        return Some(Fifo { path, user, group, script: None });
    };
    let mut table = value.table("a fifo", report)?;
    let path = table.parsed("path", command::path, report);
    table.require("path", "path = \"/run/vipd/events\"");
    let own = command::owner(&mut table, owner, report);
    let script = command::optional(&mut table, "script", Terms::of(&own).endless(), report);
    table.finish(report);
    Some(Fifo { path: path?.value, user: own.user, group: own.group, script })
}

/// `[realtime]`.
pub(super) fn realtime(mut table: Table<'_>, report: &mut Report<'_>) -> Realtime {
    let priority = table.number("priority", 1..=99, report).map(|priority| priority.value);
    let lock_memory = table.flag("lock_memory", false, report);
    table.finish(report);
    Realtime { priority, lock_memory }
}
