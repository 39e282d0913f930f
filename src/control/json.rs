//! A small JSON writer, and the events in it. No serde in the device binary (design.md §10).

use crate::model::status::Happening;
use crate::time::Duration;
use core::fmt::{Display, Write};

/// Number of the JSON form; grows when a key changes its meaning or goes. New keys do not count.
pub(super) const SCHEMA: u32 = 1;

/// Writes one JSON value; commas and closing brackets come by themselves.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: String,
    /// Does the next value or key need a comma before it?
    comma: bool,
}

impl Json {
    /// The text, with a line end.
    pub(super) fn finish(mut self) -> String {
        self.out.push('\n');
        self.out
    }

    pub(super) fn object(&mut self, inside: impl FnOnce(&mut Self)) {
        self.bracketed('{', '}', inside);
    }

    /// `each` writes one value.
    pub(super) fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.bracketed('[', ']', |json| items.into_iter().for_each(|item| each(json, item)));
    }

    /// A key; its value follows.
    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.text(key);
        self.out.push(':');
        self.comma = false;
        self
    }

    pub(super) fn text(&mut self, text: &str) {
        self.separate();
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\t' => self.out.push_str("\\t"),
                '\r' => self.out.push_str("\\r"),
                // DEL and the C1 codes may stand in JSON, but not on a terminal (SEC-15).
                c if c.is_control() => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        self.comma = true;
    }

    /// A text that is printed by its type: an address.
    pub(super) fn shown(&mut self, value: impl Display) {
        self.text(&value.to_string());
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) {
        self.separate();
        let _ = write!(self.out, "{}", number.into());
        self.comma = true;
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.separate();
        let _ = write!(self.out, "{number}");
        self.comma = true;
    }

    pub(super) fn millis(&mut self, duration: Duration) {
        self.number(duration.total_millis());
    }

    pub(super) fn boolean(&mut self, yes: bool) {
        self.separate();
        self.out.push_str(if yes { "true" } else { "false" });
        self.comma = true;
    }

    /// `null` for `None`.
    pub(super) fn optional<T>(&mut self, value: Option<T>, some: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => some(self, value),
            None => {
                self.separate();
                self.out.push_str("null");
                self.comma = true;
            }
        }
    }

    fn bracketed(&mut self, open: char, close: char, inside: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(open);
        self.comma = false;
        inside(self);
        self.out.push(close);
        self.comma = true;
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = false;
    }
}

/// `{"schema":1,"events":[...]}`, oldest first; `happenings` come newest first.
pub(super) fn events(happenings: &[Happening]) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.key("schema").number(SCHEMA);
        json.key("events").array(happenings.iter().rev(), |json, happening| {
            let Happening { age, level, kind, subject, text } = happening;
            json.object(|json| {
                json.key("age_ms").millis(*age);
                json.key("level").shown(level);
                json.key("kind").text(kind);
                json.key("subject").text(subject);
                json.key("text").text(text);
            });
        });
    });
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_survives() {
        let nasty: String =
            (0u8..=127).map(char::from).chain("é\u{7f}\u{85}\u{9b}\u{2028}\u{1F600}\"\\".chars()).collect();
        let mut json = Json::default();
        json.array([nasty.as_str(), ""], |json, text| json.text(text));
        let text = json.finish();
        let back: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(back, [nasty, String::new()], "a program must read what the daemon meant");
        let raw = text.trim_end().chars().filter(|c| c.is_control()).count();
        assert_eq!(raw, 0, "SEC-15: `vipd status --json` on a console must not steer it");
    }

    #[test]
    fn commas_stand_where_they_belong() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("a").array([1u32, 2], |json, n| json.number(n));
            json.key("b").object(|_| ());
            json.key("c").optional(None::<u32>, |json, n| json.number(n));
            json.key("d").boolean(true);
        });
        assert_eq!(
            json.finish(),
            "{\"a\":[1,2],\"b\":{},\"c\":null,\"d\":true}\n",
            "no parser takes a stray comma"
        );
    }
}
