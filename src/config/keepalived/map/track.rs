//! Trackers, and who looks at them.

use super::super::finding::{Findings, Kind};
use super::super::keywords::Context;
use super::super::source::Place;
use super::super::tree::{Statement, Word};
use super::super::walk::Known;
use super::args::{self, SECOND};
use super::block::Block;
use super::command;
use super::names::{Names, Sort};
use crate::config::document::{Table, Value, span};
use crate::config::suggest::shown;
use crate::model::nearest;
use std::collections::BTreeMap;

const HOUR: u64 = 3600 * SECOND;
/// Weights beyond it mean the same.
const WEIGHT_MIN: i64 = -253;
const WEIGHT_MAX: i64 = 253;
const KEYS: &[(&str, &str)] = &[
    ("script", "command"),
    ("user", "command"),
    ("file", "path"),
    ("param_match", "arguments"),
    ("delay", "up_delay"),
    ("fork_delay", "up_delay"),
    ("terminate_delay", "down_delay"),
];

/// What is known of trackers that were read.
struct Defined {
    reverse: bool,
    place: Place,
}

/// `[[track]]` tables, as they become known.
#[derive(Default)]
pub(super) struct Tracks {
    defined: BTreeMap<(Sort, String), Defined>,
    tables: Vec<Table>,
}

impl Tracks {
    /// Reads all trackers; whoever uses one may stand above it.
    pub(super) fn read(root: &[Known<'_>], names: &mut Names, findings: &mut Findings) -> Self {
        let mut tracks = Tracks::default();
        for known in root {
            let (sort, read): (Sort, Read) = match known.name {
                "vrrp_script" => (Sort::Script, script),
                "vrrp_track_process" => (Sort::Process, process),
                "track_file" => (Sort::File, file),
                _ => continue,
            };
            tracks.define(*known, sort, read, names, findings);
        }
        tracks
    }

    /// Their tables.
    pub(super) fn into_tables(self) -> Vec<Table> {
        self.tables
    }

    fn define(
        &mut self,
        known: Known<'_>,
        sort: Sort,
        read: Read,
        names: &mut Names,
        findings: &mut Findings,
    ) -> Option<()> {
        let word = known.statement.argument(0)?;
        let mut table = Table::new("track", true, known.statement.place());
        let name = names.give(sort, &word.text, word.place, findings)?;
        table.put("name", name, word.place);
        let reverse = read(known.statement, &mut table, findings);
        if !["command", "process", "path"].iter().any(|key| table.get(key).is_some()) {
            let what = format!("\"{}\" does not say what is looked at", shown(&word.text));
            findings.push(word.place, Kind::Changed, what, "keepalived leaves it out, and so does this.");
            return None;
        }
        self.defined.insert((sort, word.text.clone()), Defined { reverse, place: word.place });
        self.tables.push(table);
        Some(())
    }

    /// The trackers that an instance or a group looks at: `track_script` and the others. `own` is its
    /// interface, which it looks at anyway.
    pub(super) fn uses(
        &mut self,
        block: &Block<'_>,
        own: Option<&str>,
        names: &mut Names,
        findings: &mut Findings,
    ) -> Vec<Value> {
        let mut out = Vec::new();
        let mut seen = Vec::new();
        let lists = [
            ("track_interface", Sort::Interface),
            ("track_script", Sort::Script),
            ("track_process", Sort::Process),
            ("track_file", Sort::File),
        ];
        for (list, sort) in lists {
            for line in block.lines(list) {
                let key = (sort, line.keyword());
                if sort == Sort::Interface && own == Some(line.keyword()) {
                    let what = format!("{} is tracked anyway", shown(line.keyword()));
                    findings.push(line.place(), Kind::Ignored, what, "keepalived ignores the line, too.");
                } else if seen.contains(&key) {
                    let what = format!("{} is tracked twice", shown(line.keyword()));
                    findings.push(line.place(), Kind::Changed, what, "The second one is left out.");
                } else if let Some(value) = self.one_use(line, sort, names, findings) {
                    seen.push(key);
                    out.push(value);
                }
            }
        }
        out
    }

    fn one_use(
        &mut self,
        line: &Statement,
        sort: Sort,
        names: &mut Names,
        findings: &mut Findings,
    ) -> Option<Value> {
        let written = line.keyword();
        let key = (sort, written.to_owned());
        if sort == Sort::Interface && !self.defined.contains_key(&key) {
            let name = names.give(sort, written, line.place(), findings)?;
            let mut table = Table::new("track", true, line.place());
            table.put("name", name, line.place());
            table.put("type", "interface", line.place());
            table.put("interface", written, line.place());
            self.tables.push(table);
            self.defined.insert(key.clone(), Defined { reverse: false, place: line.place() });
        }
        let Some(defined) = self.defined.get(&key) else {
            unknown(line, sort, names, findings);
            return None;
        };
        if defined.place > line.place() {
            let what = format!("\"{}\" is defined further below", shown(written));
            let hint = "keepalived leaves such a line out; to vipd the order is all one.";
            findings.push(line.place(), Kind::Changed, what, hint);
        }
        let name = Value::from(names.find(sort, written)?);
        let mut words = line.arguments().iter();
        let Some((weight, reverse)) = use_weight(&mut words, findings) else { return Some(name) };
        let mut keys = vec![("name", name), ("weight", Value::Number(weight))];
        if reverse != defined.reverse {
            keys.push(("reverse", Value::Flag(reverse)));
        }
        Some(Value::Keys(keys))
    }
}

fn unknown(line: &Statement, sort: Sort, names: &Names, findings: &mut Findings) {
    // Its name is known where its definition was left out, which is told there.
    if names.find(sort, line.keyword()).is_some() {
        let what = format!("\"{}\" is left out with its definition", shown(line.keyword()));
        findings.push(line.place(), Kind::Changed, what, "keepalived leaves the line out, too.");
        return;
    }
    let known: Vec<&str> = names.all(sort).collect();
    let hint = match nearest(line.keyword(), &known) {
        Some(near) => format!("Did you mean \"{near}\"? keepalived leaves the line out."),
        None => "keepalived leaves the line out.".to_owned(),
    };
    let what = format!("\"{}\" is not defined", shown(line.keyword()));
    findings.push(line.place(), Kind::Invalid, what, hint);
}

/// `weight N [reverse]` behind a name.
fn use_weight<'t>(
    words: &mut impl Iterator<Item = &'t Word>,
    findings: &mut Findings,
) -> Option<(i64, bool)> {
    let mut out = None;
    while let Some(word) = words.next() {
        match (word.text.as_str(), out) {
            ("weight", _) => {
                out = words.next().and_then(|word| self::weight(word, findings)).map(|n| (n, false))
            }
            ("reverse", Some((weight, _))) => out = Some((weight, true)),
            _ => {
                let what = format!("\"{}\" is no option of a tracker", shown(&word.text));
                findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
            }
        }
    }
    out
}

/// -254 to 254, of which the outermost mean what their neighbours do.
fn weight(word: &Word, findings: &mut Findings) -> Option<i64> {
    match word.text.parse::<i64>() {
        Ok(weight @ WEIGHT_MIN..=WEIGHT_MAX) => Some(weight),
        Ok(weight @ (-254 | 254)) => Some(weight.clamp(WEIGHT_MIN, WEIGHT_MAX)),
        _ => {
            let what = format!("a weight is -253 to 253, not \"{}\"", shown(&word.text));
            findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
            None
        }
    }
}

/// Puts the rows of a tracker; is its weight reversed?
type Read = fn(&Statement, &mut Table, &mut Findings) -> bool;

fn script(statement: &Statement, table: &mut Table, findings: &mut Findings) -> bool {
    let block = Block::new(Context::SCRIPT, statement, findings);
    table.put("type", "script", statement.place());
    let owner = block.last("user").and_then(|known| command::owner(known.statement.arguments()));
    if let Some(known) = block.last("script")
        && let Some(command) = command::script(known, owner, findings)
    {
        table.put("command", command, known.statement.place());
    }
    let interval = delay(&block, "interval", SECOND / 10, findings).map(|micros| micros.max(SECOND / 10));
    let interval = interval.unwrap_or(SECOND);
    put_span(table, &block, "interval", "interval", interval, SECOND);
    if let Some(timeout) = delay(&block, "timeout", SECOND / 100, findings).filter(|micros| *micros > 0) {
        put_span(table, &block, "timeout", "timeout", timeout, interval);
    }
    for key in ["rise", "fall"] {
        put_count(table, &block, key, key, 65_535, findings);
    }
    finish(&block, table, 0, findings)
}

fn file(statement: &Statement, table: &mut Table, findings: &mut Findings) -> bool {
    let block = Block::new(Context::FILE, statement, findings);
    table.put("type", "file", statement.place());
    if let Some(known) = block.last("file")
        && let Some(word) = known.statement.argument(0)
    {
        table.put("path", word.text.as_str(), word.place);
    }
    if let Some(known) = block.last("init_file") {
        let value = known.statement.argument(0).map_or("0", |word| word.text.as_str());
        if value == "0" || value == "overwrite" {
            let hint = "To vipd a file that is not there says 0.";
            findings.push(known.statement.place(), Kind::Ignored, "`init_file` is left out", hint);
        } else {
            let hint = "vipd makes no file: write it at boot.";
            findings.push(known.statement.place(), Kind::Unsupported, "`init_file` has no counterpart", hint);
        }
    }
    finish(&block, table, 1, findings)
}

fn process(statement: &Statement, table: &mut Table, findings: &mut Findings) -> bool {
    let block = Block::new(Context::PROCESS, statement, findings);
    table.put("type", "process", statement.place());
    if let Some(known) = block.last("process") {
        let words = command::words(known);
        let (process, arguments) = words.split_first().map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
        table.put("process", process, known.statement.place());
        if !arguments.is_empty() {
            let list = arguments.iter().map(|word| Value::from(word.as_str())).collect::<Vec<Value>>();
            table.put("arguments", list, known.statement.place());
            let is_initial =
                |known: Known<'_>| known.statement.argument(0).is_some_and(|w| w.text == "initial");
            if !block.last("param_match").is_some_and(is_initial) {
                let hint = "A process with more arguments behind them counts, too.";
                let what = "vipd compares the first arguments of a process";
                findings.push(known.statement.place(), Kind::Changed, what, hint);
            }
        }
    }
    put_count(table, &block, "quorum", "quorum", 65_535, findings);
    if let Some(most) = block.last("quorum_max").and_then(|known| args::count(known, 0, 1..=65_535, findings))
    {
        table.put("quorum_max", most, block.last("quorum_max").map_or(table.place, |k| k.statement.place()));
    }
    let both = delay(&block, "delay", 0, findings).unwrap_or(0);
    for (word, key) in [("fork_delay", "up_delay"), ("terminate_delay", "down_delay")] {
        let delay = delay(&block, word, 0, findings).unwrap_or(both);
        let word = if block.has(word) { word } else { "delay" };
        put_span(table, &block, word, key, delay, 0);
    }
    finish(&block, table, 0, findings)
}

/// Seconds up to an hour, vipd's most; `least` is vipd's least but for 0.
fn delay(block: &Block<'_>, word: &str, least: u64, findings: &mut Findings) -> Option<u64> {
    let known = block.last(word)?;
    let micros = args::micros(known, 0, 0..=4_294 * SECOND, findings)?;
    // keepalived takes an interval of 0 as a second.
    let micros = if micros == 0 && word == "interval" { SECOND } else { micros };
    let fit = if micros == 0 { 0 } else { micros.clamp(least.max(1), HOUR) };
    if fit != micros {
        let what = format!("`{word}` becomes {}", span(fit));
        findings.push(
            known.statement.place(),
            Kind::Changed,
            what,
            "vipd has none that is shorter or longer.",
        );
    }
    Some(fit)
}

fn put_span(table: &mut Table, block: &Block<'_>, word: &str, key: &'static str, micros: u64, default: u64) {
    let place = block.last(word).map_or(table.place, |known| known.statement.place());
    table.put_unless(key, span(micros), span(default), place);
}

fn put_count(
    table: &mut Table,
    block: &Block<'_>,
    word: &str,
    key: &'static str,
    most: u32,
    findings: &mut Findings,
) {
    if let Some(known) = block.last(word)
        && let Some(count) = args::count(known, 0, 1..=most, findings)
    {
        table.put_unless(key, count, 1u32, known.statement.place());
    }
}

/// `weight` and the comments.
fn finish(block: &Block<'_>, table: &mut Table, default: i64, findings: &mut Findings) -> bool {
    let mut reverse = false;
    if let Some(known) = block.last("weight")
        && let Some(word) = known.statement.argument(0)
    {
        let place = known.statement.place();
        if let Some(weight) = weight(word, findings) {
            table.put_unless("weight", Value::Number(weight), Value::Number(default), place);
        }
        reverse = known.statement.argument(1).is_some_and(|word| word.text == "reverse");
        table.put_unless("reverse", reverse, false, place);
    }
    block.comment(table, KEYS);
    reverse
}
