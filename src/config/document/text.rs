//! The text of a [`Document`].

use super::super::keepalived::Place;
use super::{Document, Printed, Row, Table, Value};

/// A row that would be longer is laid out over several lines.
const COLUMNS: usize = 120;
const INDENT: &str = "    ";

impl Document {
    /// Its text, which says what the document holds. Control characters are escaped; in comments, which have
    /// no escapes, they become blanks.
    pub(crate) fn to_toml(&self) -> Printed {
        let mut page = Page::default();
        let comments: Vec<&str> = self.comments.iter().map(String::as_str).collect();
        page.comments(&comments, Place::default());
        for table in &self.tables {
            page.table(table);
        }
        page.0
    }
}

/// A text that grows line by line.
#[derive(Default)]
struct Page(Printed);

/// A row, or a key of a row that has become a table.
struct Item<'d> {
    key: &'static str,
    value: &'d Value,
    place: Place,
    comments: Vec<&'d str>,
    notes: &'d [(&'static str, String)],
}

impl<'d> Item<'d> {
    fn of(row: &'d Row) -> Self {
        let Row { key, value, place, comments, notes } = row;
        let comments = comments.iter().map(String::as_str).collect();
        Item { key, value, place: *place, comments, notes }
    }

    /// All that is to be said about it, where it is on one line.
    fn remarks(&self) -> Vec<&'d str> {
        let notes = self.notes.iter().map(|(_, note)| note.as_str());
        self.comments.iter().copied().chain(notes).collect()
    }
}

impl Page {
    fn line(&mut self, line: &str, place: Place) {
        self.0.text.push_str(line);
        self.0.text.push('\n');
        self.0.places.push(place);
    }

    fn comments(&mut self, comments: &[&str], place: Place) {
        for line in comments.iter().flat_map(|comment| comment.lines()) {
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            self.line(["# ", line.trim()].concat().trim_end(), place);
        }
    }

    fn table(&mut self, table: &Table) {
        let comments: Vec<&str> = table.comments.iter().map(String::as_str).collect();
        // The tables within it make it, too.
        let says_something = table.is_array || table.tables.is_empty() || !table.rows.is_empty();
        if says_something || !comments.is_empty() {
            self.header(table.name, table.is_array, table.place, &comments);
        }
        self.rows(table.name, table.rows.iter().map(Item::of).collect());
        for inner in &table.tables {
            self.table(inner);
        }
    }

    fn header(&mut self, name: &str, is_array: bool, place: Place, comments: &[&str]) {
        if !self.0.text.is_empty() {
            self.line("", place);
        }
        self.comments(comments, place);
        let (open, close) = if is_array { ("[[", "]]") } else { ("[", "]") };
        self.line(&[open, name, close].concat(), place);
    }

    /// Rows of the table `path`. What becomes a table of its own stands behind the others, which would belong
    /// to it otherwise.
    fn rows(&mut self, path: &str, items: Vec<Item<'_>>) {
        let mut apart = Vec::new();
        for item in items {
            let mut text = String::new();
            write_key(item.key, &mut text);
            text.push_str(" = ");
            let begin = text.len();
            write(item.value, &mut text);
            let has_notes = !item.notes.is_empty() && matches!(item.value, Value::Keys(_));
            match layout(item.value, if has_notes { usize::MAX } else { columns(&text) }) {
                Layout::Line => {
                    self.comments(&item.remarks(), item.place);
                    self.line(&text, item.place);
                }
                Layout::Lines(list) => {
                    self.comments(&item.remarks(), item.place);
                    text.truncate(begin);
                    text.push('[');
                    self.line(&text, item.place);
                    for value in list {
                        self.line(&listed(value), item.place);
                    }
                    self.line("]", item.place);
                }
                Layout::Tables(list) => apart.push((item, list)),
            }
        }
        for (item, list) in apart {
            let mut name = [path, "."].concat();
            write_key(item.key, &mut name);
            let is_array = matches!(item.value, Value::List(_));
            let mut comments = if is_array { item.remarks() } else { item.comments };
            for value in list {
                let Value::Keys(keys) = value else { continue };
                self.header(&name, is_array, item.place, &comments);
                comments.clear();
                let place = item.place;
                let about = |key: &str| {
                    let notes = item.notes.iter().filter(|(of, _)| *of == key && !is_array);
                    notes.map(|(_, note)| note.as_str()).collect()
                };
                let items = keys.iter().map(|(key, value)| Item {
                    key,
                    value,
                    place,
                    comments: about(key),
                    notes: &[],
                });
                self.rows(&name, items.collect());
            }
        }
    }
}

/// How a value is laid out.
enum Layout<'d> {
    /// Behind its key.
    Line,
    /// A list, one item a line.
    Lines(&'d [Value]),
    /// As a table, or as several of one name.
    Tables(&'d [Value]),
}

/// `columns`: what its row takes on one line.
fn layout(value: &Value, columns: usize) -> Layout<'_> {
    match value {
        Value::Keys(keys) if columns > COLUMNS && !keys.is_empty() => {
            Layout::Tables(core::slice::from_ref(value))
        }
        Value::List(list) if columns > COLUMNS && !list.is_empty() => {
            let is_keys = |value: &Value| matches!(value, Value::Keys(_));
            let is_long = |value: &Value| self::columns(&listed(value)) > COLUMNS;
            if list.iter().all(is_keys) && list.iter().any(is_long) {
                Layout::Tables(list)
            } else {
                Layout::Lines(list)
            }
        }
        Value::Keys(_)
        | Value::Named(_)
        | Value::List(_)
        | Value::Text(_)
        | Value::Number(_)
        | Value::Flag(_) => Layout::Line,
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// An item of a list that has a line for each.
fn listed(value: &Value) -> String {
    let mut line = INDENT.to_owned();
    write(value, &mut line);
    line.push(',');
    line
}

/// A value on one line.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Text(value) => write_text(value, text),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::Flag(true) => text.push_str("true"),
        Value::Flag(false) => text.push_str("false"),
        Value::List(list) => {
            text.push('[');
            for (n, value) in list.iter().enumerate() {
                if n > 0 {
                    text.push_str(", ");
                }
                write(value, text);
            }
            text.push(']');
        }
        Value::Keys(keys) => write_keys(&mut keys.iter().map(|(key, value)| (*key, value)), text),
        Value::Named(keys) => write_keys(&mut keys.iter().map(|(key, value)| (key.as_str(), value)), text),
    }
}

fn write_keys(keys: &mut dyn Iterator<Item = (&str, &Value)>, text: &mut String) {
    let mut before = "{ ";
    for (key, value) in keys {
        text.push_str(before);
        write_key(key, text);
        text.push_str(" = ");
        write(value, text);
        before = ", ";
    }
    text.push_str(if before == "{ " { "{}" } else { " }" });
}

fn write_key(key: &str, text: &mut String) {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) { text.push_str(key) } else { write_text(key, text) }
}

/// In `"..."`; in `'...'` where that needs no escapes and the other does.
fn write_text(value: &str, text: &mut String) {
    let has_control = value.chars().any(char::is_control);
    if value.contains(['"', '\\']) && !value.contains('\'') && !has_control {
        text.push('\'');
        text.push_str(value);
        text.push('\'');
        return;
    }
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // Terminals obey those beyond ASCII, too.
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}
