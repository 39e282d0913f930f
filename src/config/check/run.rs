//! `type = "script"` and `type = "file"`: checks that are no probe of ours.

use crate::config::command::{self, Terms};
use crate::config::reader::{Table, Value};
use crate::config::report::Report;
use crate::config::service::Scope;
use crate::config::track;
use crate::model::{FileCheck, ScriptCheck, TrackKind};
use crate::time::Duration;
use toml::de::DeValue;

/// `command`, `user` and `dynamic` (HC-45, HC-46); `timeout` is the check's.
pub(super) fn script(
    table: &mut Table<'_>,
    timeout: Duration,
    scope: &Scope<'_>,
    report: &mut Report<'_>,
) -> Option<ScriptCheck> {
    let dynamic = table.flag("dynamic", false, report);
    let user = table.parsed("user", command::owner_text, report);
    let owner = user.as_ref().map_or(scope.owner, |user| &user.value);
    let terms = Terms::of(owner).with(timeout, Duration::from_secs(3600));
    let value = table.get("command");
    table.require("command", "command = \"/etc/vipd/check-server\"");
    let value = value?;
    if let Value { value: DeValue::Table(inner), .. } = value {
        for key in ["timeout", "user"] {
            if inner.contains_key(key) {
                let other = format!("the `{key}` of `command`");
                table.contradict(&[key], &other, "Leave one of the two out.", report);
            }
        }
    }
    Some(ScriptCheck { command: command::command(value, terms, report)?, dynamic })
}

/// `track`, `weight` and `reverse`.
pub(super) fn file(table: &mut Table<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Option<FileCheck> {
    let weight = table.get("weight").and_then(|value| value.signed(-32767..=32767, report));
    let reverse = table.boolean("reverse", report).map(|read| read.value);
    let name = table.text("track", report);
    table.require("track", "track = \"fitness\", the name of a [[track]] of type \"file\"");
    let name = name?;
    let (track, draft) = track::find(name, scope.tracks, report)?;
    match draft.kind {
        Some(TrackKind::File { .. }) | None => {}
        Some(
            TrackKind::Interface { .. }
            | TrackKind::Script { .. }
            | TrackKind::Process { .. }
            | TrackKind::Address { .. }
            | TrackKind::Route { .. }
            | TrackKind::Path { .. },
        ) => {
            let files =
                scope.tracks.iter().filter(|other| matches!(other.kind, Some(TrackKind::File { .. })));
            let names: Vec<&str> =
                files.filter_map(|file| file.name.as_ref()).map(|name| name.value.as_str()).take(8).collect();
            let line = report.lines().place(draft.at).0;
            let what = format!("`track`: \"{}\" (line {line}) looks at no file", name.value);
            let hint = match names.is_empty() {
                true => "Add a [[track]] with type = \"file\".".to_owned(),
                false => format!("Those that do are: {}.", names.join(", ")),
            };
            report.error(name.at, what, hint);
        }
    }
    let weight = weight.and_then(|read| i16::try_from(read.value).ok()).unwrap_or(draft.weight);
    Some(FileCheck { track, weight, reverse: reverse.unwrap_or(draft.reverse) })
}
