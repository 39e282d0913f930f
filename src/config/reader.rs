//! A table of the file, read key by key: every key asked for is remembered, and what was not asked for is
//! reported.

use super::report::{At, Problem, Report};
use super::suggest::{nearest, shown, unknown_key};
use super::values;
use crate::time::Duration;
use core::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most tables have fewer keys.
const ASKED: usize = 32;

/// One table.
pub(super) struct Table<'t> {
    /// How messages call it, `[[vrrp]]`.
    pub(super) name: &'static str,
    /// Byte offset of its header or its brace.
    pub(super) at: usize,
    /// Byte offset of the part of the text from which the places of `entries` count.
    base: usize,
    entries: &'t DeTable<'t>,
    /// Some stand there twice: looking for them at each key took longer than reading it.
    asked: Vec<&'static str>,
    /// Keys that are given and refused with a reason of their own.
    refused: Vec<&'static str>,
    /// What was said to do about keys that cannot be here; the key that it names is then not missing.
    hints: Vec<String>,
    /// Lists whose first table was never begun: `[[service.server]]` without `[[service]]`.
    orphans: Vec<(&'static str, usize)>,
    /// Keys that are not given although they must be, each with a whole line as an example.
    missing: Vec<(&'static str, String)>,
}

/// A value with its place.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    /// How messages call it: its key.
    pub(super) key: &'static str,
    /// Byte offset of the value.
    pub(super) at: usize,
    /// As [`Table::base`].
    pub(super) base: usize,
    /// The value.
    pub(super) value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// A table whose places count from byte `base` of the text, where the part that was parsed begins.
    pub(super) fn new(name: &'static str, at: usize, base: usize, entries: &'t DeTable<'t>) -> Self {
        Table {
            name,
            at,
            base,
            entries,
            asked: Vec::with_capacity(ASKED),
            refused: Vec::new(),
            hints: Vec::new(),
            orphans: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The value of `key`, whatever it is.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.know(&[key]);
        let value = self.entries.get(key)?;
        Some(Value { key, at: self.base + value.span().start, base: self.base, value: value.get_ref() })
    }

    /// The value of `key`, without making it known.
    pub(super) fn peek(&self, key: &str) -> Option<&'t DeValue<'t>> {
        self.entries.get(key).map(Spanned::get_ref)
    }

    /// Byte offset of `key` itself, or that of the table where there is no such key.
    pub(super) fn key_at(&self, key: &str) -> usize {
        self.entries.get_key_value(key).map_or(self.at, |(key, _)| self.base + key.span().start)
    }

    /// Is the key there, readable or not?
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<At<&'t str>> {
        self.get(key)?.text(report)
    }

    /// A text that `read` turns into a value.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, Problem>,
        report: &mut Report<'_>,
    ) -> Option<At<T>> {
        self.get(key)?.parsed(read, report)
    }

    /// A whole number in a range.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        report: &mut Report<'_>,
    ) -> Option<At<u32>> {
        self.get(key)?.integer(range, report)
    }

    /// A whole number in a range that fits a smaller type.
    pub(super) fn number<T: TryFrom<u32>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        report: &mut Report<'_>,
    ) -> Option<At<T>> {
        let read = self.integer(key, range, report)?;
        T::try_from(read.value).ok().map(|value| At { at: read.at, value })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<At<bool>> {
        self.get(key)?.boolean(report)
    }

    /// `true` or `false`, with what it is when it is not given or cannot be read.
    pub(super) fn flag(&mut self, key: &'static str, default: bool, report: &mut Report<'_>) -> bool {
        self.boolean(key, report).map_or(default, |read| read.value)
    }

    /// A length of time in a range.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        report: &mut Report<'_>,
    ) -> Option<At<Duration>> {
        self.get(key)?.duration(range, report)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
        report: &mut Report<'_>,
    ) -> Option<At<T>> {
        self.get(key)?.choice(words, report)
    }

    /// A list.
    pub(super) fn list(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Vec<Value<'t>>> {
        let value = self.get(key)?;
        value.list(report)
    }

    /// A table in one piece, `key = { ... }` or `[key]`.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        name: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Table<'t>> {
        self.get(key)?.table(name, report)
    }

    /// Tables in a row, `[[key]]`; at most `max`. Reads on where `[key]` was written for `[[key]]`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        name: &'static str,
        max: usize,
        report: &mut Report<'_>,
    ) -> Vec<Table<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        match value.value {
            DeValue::Array(list) => {
                if let Some(first) = list.get(max) {
                    report.error(value.base + first.span().start, format!("more than {max} {name}"), "");
                }
                let tables = list.iter().take(max).filter_map(|item| {
                    let (at, base) = (value.base + item.span().start, value.base);
                    match item.get_ref() {
                        DeValue::Table(entries) => Some(Table::new(name, at, base, entries)),
                        _ => {
                            let item = Value { key, at, base, value: item.get_ref() };
                            item.wrong("tables", format!("Write {name}."), report);
                            None
                        }
                    }
                });
                tables.collect()
            }
            DeValue::Table(_) if report.lines().names_below(value.at, key) => {
                self.orphans.push((name, value.at));
                Vec::new()
            }
            DeValue::Table(entries) => {
                let wrong = name.replace("[[", "[").replace("]]", "]");
                let what = format!("{wrong} is a single table, {name} can be given several times");
                report.error(value.at, what, format!("Did you mean {name}?"));
                vec![Table::new(name, value.at, value.base, entries)]
            }
            _ => {
                value.wrong("tables", format!("Write {name}."), report);
                Vec::new()
            }
        }
    }

    /// The names of all keys and their values, for a table whose keys are the user's own; `name` is how
    /// messages call a value.
    pub(super) fn entries(&self, name: &'static str) -> Vec<(At<&'t str>, Value<'t>)> {
        let entry = |(key, value): (&'t Spanned<_>, &'t Spanned<DeValue<'t>>)| {
            let word: &'t str = AsRef::<str>::as_ref(Spanned::get_ref(key));
            let (at, base) = (self.base + value.span().start, self.base);
            let value = Value { key: name, at, base, value: value.get_ref() };
            (At { at: base + key.span().start, value: word }, value)
        };
        self.entries.iter().map(entry).collect()
    }

    /// Makes `keys` known without reading them.
    pub(super) fn know(&mut self, keys: &[&'static str]) {
        self.asked.extend_from_slice(keys);
    }

    /// Refuses `key` where it is given: known, but nothing that we do.
    pub(super) fn refuse(
        &mut self,
        key: &'static str,
        what: impl Into<String>,
        hint: &str,
        report: &mut Report<'_>,
    ) {
        if self.has(key) {
            self.refused.push(key);
            report.error(self.key_at(key), what, hint);
        }
    }

    /// Refuses each of `keys` that is given beside what `other` says.
    pub(super) fn contradict(&mut self, keys: &[&str], other: &str, hint: &str, report: &mut Report<'_>) {
        for key in keys {
            if !self.has(key) {
                continue;
            }
            report.error(self.key_at(key), format!("`{key}` contradicts {other}"), hint);
            self.hints.push(hint.to_owned());
        }
    }

    /// Says that `key` has no default; `example` is a whole line that gives it.
    pub(super) fn require(&mut self, key: &'static str, example: impl Into<String>) {
        if !self.has(key) {
            self.missing.push((key, example.into()));
        }
    }

    /// Reports every key that nobody asked for, and those that are missing; a misspelt one is not missing
    /// too.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        let mut hints = self.hints;
        for (key, _) in self.entries.iter() {
            let word: &str = key.get_ref();
            if !self.asked.contains(&word) && !self.refused.contains(&word) {
                if report.is_full() {
                    report.error(self.base + key.span().start, "", "");
                    continue;
                }
                let mut known: Vec<&str> = Vec::new();
                for key in &self.asked {
                    if !known.contains(key) {
                        known.push(key);
                    }
                }
                let (what, hint) = unknown_key(word, self.name, &known);
                hints.push(hint.clone());
                report.error(self.base + key.span().start, what, hint);
            }
        }
        for (name, at) in self.orphans {
            let bare = format!("`{}`", name.trim_matches(['[', ']']));
            if !hints.iter().any(|hint| hint.contains(&bare)) {
                let what = format!("this table stands before any {name}");
                report.error_of_whole(at, what, format!("Begin with {name}."));
            }
        }
        for (key, example) in self.missing {
            let quoted = format!("`{key}`");
            // The example may name other keys that would do as well.
            let others = example.split('`').skip(1).step_by(2).map(|other| format!("`{other}`"));
            let mut instead = others.chain([quoted.clone()]);
            if !instead.any(|key| hints.iter().any(|hint| hint.contains(&key))) {
                let what = format!("{} has no {quoted}", self.name);
                report.missing(self.at, what, format!("Add: {example}"));
            }
        }
    }
}

impl<'t> Value<'t> {
    /// A text.
    pub(super) fn text(self, report: &mut Report<'_>) -> Option<At<&'t str>> {
        match self.value {
            DeValue::String(text) => Some(At { at: self.at, value: text }),
            DeValue::Integer(number) => {
                self.wrong("a text", format!("Write it in quotes: \"{}\".", shown(number.as_str())), report);
                None
            }
            DeValue::Array(list) if list.len() == 1 => {
                self.wrong("a single text", "Write it without brackets.".to_owned(), report);
                None
            }
            _ => {
                self.wrong("a text", String::new(), report);
                None
            }
        }
    }

    /// A text that `read` turns into a value.
    pub(super) fn parsed<T>(
        self,
        read: impl FnOnce(&str) -> Result<T, Problem>,
        report: &mut Report<'_>,
    ) -> Option<At<T>> {
        let text = self.text(report)?;
        match read(text.value) {
            Ok(value) => Some(At { at: text.at, value }),
            Err(problem) => {
                report.problem(
                    text.at,
                    Problem { what: format!("`{}`: {}", self.key, problem.what), ..problem },
                );
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(self, report: &mut Report<'_>) -> Option<At<bool>> {
        match self.value {
            DeValue::Boolean(b) => Some(At { at: self.at, value: *b }),
            _ => {
                self.wrong("true or false", "Write true or false, without quotes.".to_owned(), report);
                None
            }
        }
    }

    /// A whole number in a range.
    pub(super) fn integer(self, range: RangeInclusive<u32>, report: &mut Report<'_>) -> Option<At<u32>> {
        let read = self.signed(i64::from(*range.start())..=i64::from(*range.end()), report)?;
        u32::try_from(read.value).ok().map(|value| At { at: read.at, value })
    }

    /// A whole number in a range, with its sign.
    pub(super) fn signed(self, range: RangeInclusive<i64>, report: &mut Report<'_>) -> Option<At<i64>> {
        let (first, last) = (range.start(), range.end());
        let wanted = format!("a whole number from {first} to {last}");
        match self.value {
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
                if let Some(value) = read.filter(|n| range.contains(n)) {
                    return Some(At { at: self.at, value });
                }
                let shown = shown(&number.to_string());
                report.error(self.at, format!("`{}` is {shown}, wants {first} to {last}", self.key), "");
            }
            DeValue::String(text) if text.trim().parse::<i64>().is_ok() => {
                self.wrong(&wanted, format!("Write {} without quotes.", text.trim()), report);
            }
            _ => self.wrong(&wanted, String::new(), report),
        }
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        self,
        words: &[(&'static str, T)],
        report: &mut Report<'_>,
    ) -> Option<At<T>> {
        let text = self.text(report)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = match meant_word(text.value).or_else(|| nearest(text.value, &known)) {
                Some(word) if known.contains(&word) => format!("Did you mean \"{word}\"?"),
                _ => format!("One of: {}.", known.join(", ")),
            };
            report.error(text.at, format!("unknown {} \"{}\"", self.key, shown(text.value)), hint);
        }
        found.map(|(_, value)| At { at: text.at, value: *value })
    }

    /// A length of time in a range.
    pub(super) fn duration(
        self,
        range: RangeInclusive<Duration>,
        report: &mut Report<'_>,
    ) -> Option<At<Duration>> {
        let number = match self.value {
            DeValue::Integer(number) => Some(number.as_str()),
            DeValue::Float(number) => Some(number.as_str()),
            _ => None,
        };
        if let Some(number) = number {
            let hint = values::duration(number).err().map(|problem| problem.hint).unwrap_or_default();
            self.wrong("a length of time with its unit, in quotes", hint, report);
            return None;
        }
        let read = self.parsed(values::duration, report)?;
        if range.contains(&read.value) {
            return Some(read);
        }
        let [is, first, last] = [read.value, *range.start(), *range.end()].map(values::show_duration);
        report.error(self.at, format!("`{}` is {is}, wants {first} to {last}", self.key), "");
        None
    }

    /// A list.
    pub(super) fn list(self, report: &mut Report<'_>) -> Option<Vec<Value<'t>>> {
        let key = self.key;
        match self.value {
            DeValue::Array(list) => {
                let item = |item: &'t Spanned<DeValue<'t>>| Value {
                    key,
                    at: self.base + item.span().start,
                    base: self.base,
                    value: item.get_ref(),
                };
                Some(list.iter().map(item).collect())
            }
            DeValue::String(text) => {
                self.wrong("a list", format!("Write it in brackets: [\"{}\"].", shown(text)), report);
                None
            }
            DeValue::Integer(number) => {
                self.wrong("a list", format!("Write it in brackets: [{number}]."), report);
                None
            }
            _ => {
                self.wrong("a list", String::new(), report);
                None
            }
        }
    }

    /// A table in one piece; reads the first where `[[key]]` was written for `[key]`.
    pub(super) fn table(self, name: &'static str, report: &mut Report<'_>) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(name, self.at, self.base, entries)),
            DeValue::Array(list) => {
                let first = list.first()?;
                let DeValue::Table(entries) = first.get_ref() else {
                    self.wrong("a table", String::new(), report);
                    return None;
                };
                let bare = name.trim_matches(['[', ']']);
                report.error(
                    self.at,
                    format!("`{bare}` can be given only once, this is a list of tables"),
                    format!("Did you mean [{bare}]?"),
                );
                Some(Table::new(name, self.base + first.span().start, self.base, entries))
            }
            _ => {
                self.wrong("a table", format!("Write {} = {{ ... }}.", self.key), report);
                None
            }
        }
    }

    /// Reports that this is not what is wanted here.
    pub(super) fn wrong(self, wanted: &str, hint: String, report: &mut Report<'_>) {
        let is = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        report.error(self.at, format!("`{}` wants {wanted}, this is {is}", self.key), hint);
    }
}

/// Words of keepalived and ipvsadm for ours.
fn meant_word(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "dr" | "route" | "gatewaying" | "gate" | "dsr" => "direct",
        "masq" | "masquerade" | "masquerading" => "nat",
        "tun" | "ipip" => "tunnel",
        "tcp_check" => "tcp",
        "http_get" => "http",
        "ssl_get" | "tls" | "ssl" => "https",
        "smtp_check" => "smtp",
        "dns_check" => "dns",
        "misc_check" | "exec" | "command" => "script",
        "udp_check" => "udp",
        "ping_check" | "icmp" => "ping",
        "file_check" => "file",
        "sh-port" | "mh-port" => "port",
        "sh-fallback" | "mh-fallback" => "fallback",
        "inet" | "ip" | "4" => "ipv4",
        "inet6" | "ip6" | "6" => "ipv6",
        "nocsum" | "no" => "none",
        "csum" => "full",
        "remcsum" => "remote",
        "rfc" | "rfc9568" => "message-only",
        _ => return None,
    })
}
