//! `[[track]]`, and what an instance or a group says of the trackers that it uses.

use super::check::{count, dns};
use super::command::{self, Owner, Terms};
use super::reader::{Table, Value};
use super::report::{At, Report};
use super::route;
use super::suggest::{nearest, shown};
use super::values;
use crate::limits;
use crate::model::{CheckKind, Name, Track, TrackKind, TrackUse};
use crate::time::Duration;
use core::ops::RangeInclusive;
use std::net::SocketAddr;
use toml::de::DeValue;

/// A weight beyond this would turn every priority into its limit (1..=254).
const WEIGHTS: RangeInclusive<i64> = -253..=253;

/// What could be read of a tracker.
pub(super) struct Draft {
    pub(super) at: usize,
    pub(super) name: Option<At<Name>>,
    /// For uses that say nothing else.
    pub(super) weight: i16,
    pub(super) reverse: bool,
    /// `None` where something that has no default could not be read.
    pub(super) kind: Option<TrackKind>,
}

impl Draft {
    pub(super) fn track(self) -> Option<Track> {
        Some(Track { name: self.name?.value, kind: self.kind? })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Interface,
    Script,
    File,
    Process,
    Address,
    Route,
    Path,
}

const TYPES: [(&str, Type); 7] = [
    ("interface", Type::Interface),
    ("script", Type::Script),
    ("file", Type::File),
    ("process", Type::Process),
    ("address", Type::Address),
    ("route", Type::Route),
    ("path", Type::Path),
];

/// Keys beside `name`, `type`, `weight` and `reverse`, each with the types that have it.
const KEYS: [(&str, &[Type]); 23] = [
    ("interface", &[Type::Interface, Type::Address, Type::Route, Type::Path]),
    ("command", &[Type::Script]),
    ("interval", &[Type::Script, Type::Path]),
    ("timeout", &[Type::Script, Type::Path]),
    ("rise", &[Type::Script, Type::Path]),
    ("fall", &[Type::Script, Type::Path]),
    ("path", &[Type::File]),
    ("process", &[Type::Process]),
    ("arguments", &[Type::Process]),
    ("quorum", &[Type::Process]),
    ("quorum_max", &[Type::Process]),
    ("up_delay", &[Type::Process]),
    ("down_delay", &[Type::Process]),
    ("address", &[Type::Address]),
    ("to", &[Type::Route]),
    ("via", &[Type::Route]),
    ("table", &[Type::Route]),
    ("target", &[Type::Path]),
    ("probe", &[Type::Path]),
    ("query", &[Type::Path]),
    ("record", &[Type::Path]),
    ("hold", &[Type::Path]),
    ("source", &[Type::Path]),
];

/// `[[track]]`.
pub(super) fn track(mut table: Table<'_>, owner: &Owner, report: &mut Report<'_>) -> Draft {
    let at = table.at;
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"uplink\"");
    let kind = table.choice("type", &TYPES, report).map(|kind| kind.value);
    table.require("type", "type = \"interface\", or script, file, process, address, route, path");
    let weight = table.get("weight").and_then(|value| self::weight(value, report));
    let reverse = table.flag("reverse", false, report);
    let read = kind.and_then(|kind| {
        let read = match kind {
            Type::Interface => interface(&mut table, report),
            Type::Script => script(&mut table, owner, report),
            Type::File => file(&mut table, report),
            Type::Process => process(&mut table, report),
            Type::Address => address(&mut table, report),
            Type::Route => route(&mut table, report),
            Type::Path => path(&mut table, report),
        };
        let word = TYPES.iter().find(|(_, other)| *other == kind).map_or("", |(word, _)| word);
        foreign(&mut table, kind, word, report);
        read
    });
    table.know(&KEYS.map(|(key, _)| key));
    table.finish(report);
    let weight = weight.unwrap_or(if kind == Some(Type::File) { 1 } else { 0 });
    Draft { at, name, weight, reverse, kind: read }
}

/// Keys of other types.
fn foreign(table: &mut Table<'_>, kind: Type, word: &str, report: &mut Report<'_>) {
    for (key, types) in KEYS {
        let Some(first) = types.first().filter(|_| !types.contains(&kind)) else { continue };
        let other = TYPES.iter().find(|(_, other)| other == first).map_or("", |(word, _)| word);
        let hint = match (key, kind) {
            ("address", Type::Path) => "Did you mean `target`?".to_owned(),
            ("target", Type::Address) => "Did you mean `address`, or type = \"path\"?".to_owned(),
            ("path", Type::Script | Type::Process) => format!(
                "Did you mean `{}`, or type = \"file\"?",
                if kind == Type::Script { "command" } else { "process" }
            ),
            ("address", Type::Route) => "Did you mean `to`?".to_owned(),
            _ => format!("Leave it out, or did you mean type = \"{other}\"?"),
        };
        table.contradict(&[key], &format!("`type = \"{word}\"`"), &hint, report);
    }
}

fn weight(value: Value<'_>, report: &mut Report<'_>) -> Option<i16> {
    value.signed(WEIGHTS, report).and_then(|read| i16::try_from(read.value).ok())
}

fn interface(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<TrackKind> {
    let interface = table.parsed("interface", values::interface, report);
    table.require("interface", "interface = \"eth1\"");
    Some(TrackKind::Interface { interface: interface?.value })
}

fn script(table: &mut Table<'_>, owner: &Owner, report: &mut Report<'_>) -> Option<TrackKind> {
    let millis = Duration::from_millis;
    let longest = Duration::from_secs(3600);
    let interval = table.duration("interval", millis(100)..=longest, report);
    let interval = interval.map_or(Duration::from_secs(1), |read| read.value);
    let timeout = table.duration("timeout", millis(10)..=longest, report);
    let rise = count(table, "rise", 1, report);
    let fall = count(table, "fall", 1, report);
    let terms = Terms::of(owner).with(timeout.map_or(interval, |read| read.value), longest);
    let value = table.get("command");
    table.require("command", "command = \"/etc/vipd/check-uplink\"");
    if let Some(Value { value: DeValue::Table(inner), .. }) = value
        && inner.contains_key("timeout")
    {
        let hint = "Leave one of the two out.";
        table.contradict(&["timeout"], "the `timeout` of `command`", hint, report);
    }
    let command = command::command(value?, terms, report)?;
    if command.timeout > interval {
        let [timeout, interval] = [command.timeout, interval].map(values::show_duration);
        let what = format!("`timeout` ({timeout}) is longer than `interval` ({interval})");
        let place = if table.has("timeout") { "timeout" } else { "command" };
        let hint = "A script that hangs delays its next run; give a timeout within the interval.";
        report.warning(table.key_at(place), what, hint);
    }
    Some(TrackKind::Script { command, interval, rise, fall })
}

fn file(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<TrackKind> {
    let path = table.parsed("path", command::path, report);
    table.require("path", "path = \"/run/uplink\"");
    Some(TrackKind::File { path: path?.value })
}

fn process(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<TrackKind> {
    let process = table.text("process", report).filter(|process| {
        let bad = process.value.is_empty() || process.value.contains(char::is_control);
        let words = process.value.contains(' ') && !process.value.starts_with('/');
        if bad || words || process.value.len() > limits::PATH_MAX {
            let what = format!("`process`: \"{}\" is not the name of a program", shown(process.value));
            report.error(process.at, what, "Its arguments go to `arguments = [\"...\"]`.");
        }
        !bad && !words
    });
    table.require("process", "process = \"unbound\"");
    let items = table.list("arguments", report).unwrap_or_default();
    if let Some(first) = items.get(limits::COMMAND_WORDS_MAX) {
        report.error(first.at, format!("more than {} in `arguments`", limits::COMMAND_WORDS_MAX), "");
    }
    let arguments: Vec<At<&str>> = items.into_iter().filter_map(|item| item.text(report)).collect();
    let quorum = table.integer("quorum", 1..=65535, report).map_or(1, |read| read.value);
    let quorum_max = table.integer("quorum_max", 1..=65535, report);
    if let Some(most) = quorum_max.filter(|most| most.value < quorum) {
        let what = format!("`quorum_max` ({}) is below `quorum` ({quorum})", most.value);
        report.error(most.at, what, "The tracker could never be up.");
    }
    let hour = Duration::from_secs(3600);
    let up_delay = table.duration("up_delay", Duration::ZERO..=hour, report);
    let down_delay = table.duration("down_delay", Duration::ZERO..=hour, report);
    Some(TrackKind::Process {
        process: process?.value.to_owned(),
        arguments: arguments.into_iter().map(|argument| argument.value.to_owned()).collect(),
        quorum,
        quorum_max: quorum_max.map(|read| read.value),
        up_delay: up_delay.map_or(Duration::ZERO, |read| read.value),
        down_delay: down_delay.map_or(Duration::ZERO, |read| read.value),
    })
}

fn address(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<TrackKind> {
    let address = table.parsed("address", values::ip, report);
    table.require("address", "address = \"192.0.2.1\"");
    let interface = table.parsed("interface", values::interface, report);
    Some(TrackKind::Address { address: address?.value, interface: interface.map(|read| read.value) })
}

fn route(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<TrackKind> {
    let via = table.parsed("via", values::ip, report);
    let destination = route::destination(table, "to", via.map(|via| via.value), report);
    table.require("to", "to = \"default\"");
    let interface = table.parsed("interface", values::interface, report);
    let number = route::table_number(table, report);
    let destination = destination?;
    if let Some(via) = via {
        route::same_family("via", via, destination.value.address, report);
    }
    Some(TrackKind::Route {
        destination: destination.value,
        gateway: via.map(|via| via.value),
        interface: interface.map(|read| read.value),
        table: number,
    })
}

/// The words for `probe`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probe {
    Ping,
    Tcp,
    Dns,
}

fn path(table: &mut Table<'_>, report: &mut Report<'_>) -> Option<TrackKind> {
    let words = [("ping", Probe::Ping), ("tcp", Probe::Tcp), ("dns", Probe::Dns)];
    let probe = table.choice("probe", &words, report).map_or(Probe::Ping, |probe| probe.value);
    let target = target(table, probe, report);
    table.require("target", "target = \"192.0.2.1\"");
    let (millis, secs) = (Duration::from_millis, Duration::from_secs);
    let interval = table.duration("interval", millis(100)..=secs(3600), report);
    let interval = interval.map_or(secs(1), |read| read.value);
    let timeout = table.duration("timeout", millis(10)..=secs(3600), report);
    if let Some(timeout) = timeout.filter(|timeout| timeout.value > interval) {
        let [timeout_shown, interval] = [timeout.value, interval].map(values::show_duration);
        let what = format!("`timeout` ({timeout_shown}) is longer than `interval` ({interval})");
        report.warning(timeout.at, what, "A probe that hangs delays the next one.");
    }
    let rise = count(table, "rise", 3, report);
    let fall = count(table, "fall", 3, report);
    let hold = table.duration("hold", Duration::ZERO..=secs(86_400), report);
    let source = table.parsed("source", values::ip, report);
    let interface = table.parsed("interface", values::interface, report);
    let dns = dns(table, report);
    if probe != Probe::Dns {
        let word = if probe == Probe::Tcp { "tcp" } else { "ping" };
        let says = format!("`probe = \"{word}\"`");
        table.contradict(&["query", "record"], &says, "Did you mean probe = \"dns\"?", report);
    }
    let target = target?;
    if let Some(source) = source {
        route::same_family("source", source, target.ip(), report);
    }
    Some(TrackKind::Path {
        target,
        probe: match probe {
            Probe::Ping => CheckKind::Ping,
            Probe::Tcp => CheckKind::Tcp,
            Probe::Dns => CheckKind::Dns(dns),
        },
        interval,
        // A second, but a probe of a shorter interval ends before the next begins.
        timeout: timeout.map_or(secs(1).min(interval), |read| read.value),
        rise,
        fall,
        hold: hold.map_or(Duration::ZERO, |read| read.value),
        source: source.map(|read| read.value),
        interface: interface.map(|read| read.value),
    })
}

fn target(table: &mut Table<'_>, probe: Probe, report: &mut Report<'_>) -> Option<SocketAddr> {
    const DNS_PORT: u16 = 53;
    let default = match probe {
        Probe::Ping => Some(0),
        Probe::Tcp => None,
        Probe::Dns => Some(DNS_PORT),
    };
    let target = table.parsed("target", |text| values::socket(text, default, DNS_PORT), report)?;
    let address = target.value;
    if probe == Probe::Ping && address.port() != 0 {
        let what = format!("`target`: a ping goes to no port, this is {}", address.port());
        report.error(target.at, what, "Did you mean probe = \"tcp\" or \"dns\"?");
    } else if probe != Probe::Ping && address.port() == 0 {
        report.error(target.at, "`target`: port 0", "Give the port that answers.");
    }
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        report.error(target.at, format!("`target`: {} is not an address that answers", address.ip()), "");
    }
    Some(address)
}

/// `track = ["uplink", { name = "wan", weight = -50 }]` of an instance or a group.
pub(super) fn uses(table: &mut Table<'_>, tracks: &[Draft], report: &mut Report<'_>) -> Vec<At<TrackUse>> {
    let Some(list) = table.list("track", report) else { return Vec::new() };
    if let Some(first) = list.get(limits::TRACK_USES_MAX) {
        report.error(first.at, format!("more than {} in `track`", limits::TRACK_USES_MAX), "");
    }
    let mut out: Vec<At<TrackUse>> = Vec::new();
    for item in list.into_iter().take(limits::TRACK_USES_MAX) {
        let Some(read) = track_use(item, tracks, report) else { continue };
        if out.iter().any(|other| other.value.track == read.value.track) {
            report.error(read.at, "`track`: this tracker is given twice", "Leave one out.");
            continue;
        }
        out.push(read);
    }
    out
}

fn track_use(item: Value<'_>, tracks: &[Draft], report: &mut Report<'_>) -> Option<At<TrackUse>> {
    let DeValue::Table(_) = item.value else {
        let name = item.text(report)?;
        let (track, draft) = find(name, tracks, report)?;
        return Some(name.map(|_| TrackUse { track, weight: draft.weight, reverse: draft.reverse }));
    };
    let mut table = item.table("track", report)?;
    let name = table.text("name", report);
    table.require("name", "name = \"uplink\", that of a [[track]]");
    let weight = table.get("weight").and_then(|value| self::weight(value, report));
    let reverse = table.boolean("reverse", report).map(|read| read.value);
    table.finish(report);
    let name = name?;
    let (track, draft) = find(name, tracks, report)?;
    let (weight, reverse) = (weight.unwrap_or(draft.weight), reverse.unwrap_or(draft.reverse));
    Some(name.map(|_| TrackUse { track, weight, reverse }))
}

/// The tracker of that name.
pub(super) fn find<'d>(
    name: At<&str>,
    tracks: &'d [Draft],
    report: &mut Report<'_>,
) -> Option<(usize, &'d Draft)> {
    let is = |draft: &&Draft| draft.name.as_ref().is_some_and(|other| other.value == name.value);
    if let Some(found) = tracks.iter().enumerate().find(|(_, draft)| is(draft)) {
        return Some(found);
    }
    if tracks.iter().any(|draft| draft.name.is_none()) {
        return None; // the name that could not be read may be this one
    }
    let names: Vec<&str> =
        tracks.iter().filter_map(|draft| draft.name.as_ref()).map(|name| name.value.as_str()).collect();
    let hint = match nearest(name.value, &names) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None if names.is_empty() => {
            format!("Add [[track]] with name = \"{}\" and a type.", shown(name.value))
        }
        None => {
            let few: Vec<&str> = names.into_iter().take(8).collect();
            format!("Those are: {}.", few.join(", "))
        }
    };
    report.error_of_whole(
        name.at,
        format!("`track`: no [[track]] is called \"{}\"", shown(name.value)),
        hint,
    );
    None
}
