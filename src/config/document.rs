//! A TOML text as a person would have written it: tables in their order, comments above what they explain.

#[cfg(test)]
mod tests;
mod text;

use super::keepalived::Place;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
    /// A boolean.
    Flag(bool),
    /// A list; one item a line where it would be too long for one.
    List(Vec<Value>),
    /// Keys and values: in braces on one line where there is room, otherwise as a table of its own.
    Keys(Vec<(&'static str, Value)>),
    /// As `Keys`, always on one line, for keys that are names of the user's: `{ eth0 = 100 }`.
    Named(Vec<(String, Value)>),
}

/// `key = value`, where it came from, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The key.
    pub(crate) key: &'static str,
    /// The value.
    pub(crate) value: Value,
    /// Where it came from.
    pub(crate) place: Place,
    /// Comments above it.
    pub(crate) comments: Vec<String>,
    /// Comments about keys of its value, which stand above them where the value becomes a table of its own.
    pub(crate) notes: Vec<(&'static str, String)>,
}

/// `[name]` or `[[name]]` with its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As it stands between the brackets: `vrrp`, `service.server`.
    pub(crate) name: &'static str,
    /// `[[name]]`: one of several.
    pub(crate) is_array: bool,
    /// Where it came from.
    pub(crate) place: Place,
    /// What else became a part of it.
    pub(crate) more: Vec<Place>,
    /// Comments above it.
    pub(crate) comments: Vec<String>,
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// Tables within it, printed after its rows.
    pub(crate) tables: Vec<Table>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(name: &'static str, is_array: bool, place: Place) -> Self {
        Table {
            name,
            is_array,
            place,
            more: Vec::new(),
            comments: Vec::new(),
            rows: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Adds a row; the value of a key that is there already is replaced (the last line counts in keepalived).
    pub(crate) fn put(&mut self, key: &'static str, value: impl Into<Value>, place: Place) {
        let value = value.into();
        match self.rows.iter_mut().find(|row| row.key == key) {
            Some(old) => (old.value, old.place) = (value, place),
            None => self.rows.push(Row { key, value, place, comments: Vec::new(), notes: Vec::new() }),
        }
    }

    /// As [`Table::put`], but for the value that the key has anyway.
    pub(crate) fn put_unless(
        &mut self,
        key: &'static str,
        value: impl Into<Value>,
        default: impl Into<Value>,
        place: Place,
    ) {
        let value = value.into();
        if value == default.into() {
            self.rows.retain(|row| row.key != key);
        } else {
            self.put(key, value, place);
        }
    }

    /// Adds comments above the row of a key, or above the table where there is no such row.
    pub(crate) fn comment(&mut self, key: &str, comments: impl IntoIterator<Item = String>) {
        match self.rows.iter_mut().find(|row| row.key == key) {
            Some(row) => row.comments.extend(comments),
            None => self.comments.extend(comments),
        }
    }

    /// As [`Table::comment`], about the key `inner` of the value, where it has one of that name.
    pub(crate) fn note(&mut self, key: &str, inner: &str, comments: impl IntoIterator<Item = String>) {
        let row = self.rows.iter_mut().find(|row| row.key == key);
        let found = row.and_then(|Row { value, notes, .. }| {
            let Value::Keys(keys) = value else { return None };
            keys.iter().find(|(name, _)| *name == inner).map(|(name, _)| (*name, notes))
        });
        match found {
            Some((name, notes)) => notes.extend(comments.into_iter().map(|comment| (name, comment))),
            None => self.comment(key, comments),
        }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.rows.iter().find(|row| row.key == key).map(|row| &row.value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Value::List(list)
    }
}

/// A whole text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Document {
    /// Comments at its head.
    pub(crate) comments: Vec<String>,
    /// Its tables, in order.
    pub(crate) tables: Vec<Table>,
}

/// A printed text, and where each of its lines came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Printed {
    /// TOML.
    pub(crate) text: String,
    /// One for each line.
    pub(crate) places: Vec<Place>,
}

impl Printed {
    /// Where a line came from, which counts from 1; `None` for line 0, the file as a whole.
    pub(crate) fn place(&self, line: u32) -> Option<Place> {
        let row = usize::try_from(line).ok()?.checked_sub(1)?;
        self.places.get(row).copied()
    }
}

/// A duration as vipd's configuration has it: `500ms`, `6s`, `10m`; the largest unit without a remainder.
pub(crate) fn span(micros: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"), (1, "us")];
    let (size, unit) =
        UNITS.iter().find(|(size, _)| micros.is_multiple_of(*size)).copied().unwrap_or((1, "us"));
    if micros == 0 { "0s".to_owned() } else { format!("{}{unit}", micros / size) }
}
