//! `$NAME=value`, and `$NAME` and `${NAME}` replaced by it.

use super::finding::{Findings, Kind};
use super::lines::{Char, Line, is_blank};
use super::repeat::Repeat;
use super::source::Loader;
use crate::limits;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// One line, or several.
    pub(super) lines: Vec<Vec<char>>,
    /// It was written with `\`, and may only stand at the end of a line.
    pub(super) is_long: bool,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    known: BTreeMap<String, Rc<Definition>>,
}

/// A line after replacement.
pub(super) enum Replaced {
    /// Nothing of it was replaced.
    Nothing,
    /// The further lines of these definitions come behind it: those of the last one first.
    Done(Vec<Rc<Definition>>),
    /// It has no end: told.
    TooLong,
}

/// What a replacement may ask of the file that it stands in.
pub(super) struct Scene<'s> {
    pub(super) loader: &'s mut dyn Loader,
    /// Directory of the file (`${_PWD}`).
    pub(super) directory: &'s str,
    /// Characters that may still come from replacements.
    pub(super) chars_left: &'s mut usize,
}

/// `$NAME=value`: the name, and where the value begins. keepalived allows no blank before `=`.
pub(super) fn definition(chars: &[Char]) -> Option<(String, usize, bool)> {
    let mut letters = chars.iter().map(|known| known.c);
    if letters.next() != Some('$') {
        return None;
    }
    let name: String = letters.clone().take_while(|c| is_letter(*c)).collect();
    let blanks = letters.clone().skip(name.len()).take_while(|c| is_blank(*c)).count();
    let has_equals = letters.nth(name.len() + blanks) == Some('=');
    if !has_equals || !is_start(&name) {
        return None;
    }
    let after = 1 + name.len() + blanks + 1;
    let more = chars.get(after..)?.iter().take_while(|known| is_blank(known.c)).count();
    Some((name, after + more, blanks > 0))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_start(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// A use: `$NAME` or `${NAME more}`.
struct Use {
    name: String,
    parameters: Vec<String>,
    /// How many characters it takes.
    length: usize,
    has_braces: bool,
    /// What follows lets keepalived see it.
    is_seen: bool,
}

impl Definitions {
    /// Sets one; where there are too many of them it is `false`.
    pub(super) fn set(&mut self, name: &str, definition: Definition) -> bool {
        if self.known.len() >= limits::IMPORT_DEFINITIONS_MAX && !self.known.contains_key(name) {
            return false;
        }
        self.known.insert(name.to_owned(), Rc::new(definition));
        true
    }

    /// Sets one of one line.
    pub(super) fn set_text(&mut self, name: &str, value: &str) -> bool {
        self.set(name, Definition { lines: vec![value.chars().collect()], is_long: false })
    }

    /// Replaces what there is between `from` and `to` in a line, again and again, as keepalived does.
    pub(super) fn replace(
        &self,
        line: &mut Line,
        to: Option<usize>,
        scene: &mut Scene<'_>,
        findings: &mut Findings,
    ) -> Replaced {
        let mut to = to.unwrap_or(line.chars.len());
        // The first line of a definition may end with another one: then both go on.
        let mut more = Vec::new();
        let mut count = 0;
        let mut at = 0;
        while at < to {
            if line.chars.get(at).is_none_or(|known| known.c != '$') {
                at += 1;
                continue;
            }
            let place = line.place_of(at);
            let Some(found) = find_use(line.chars.get(at..).unwrap_or(&[])) else {
                at += 1;
                continue;
            };
            let is_last = at + found.length == line.chars.len();
            // `$A=1` out of a definition: it is set, not used.
            let is_set = at == 0 && definition(&line.chars).is_some();
            let value = match self.known.get(&found.name) {
                Some(_) if is_set => None,
                Some(_) if !found.is_seen => {
                    let hint = format!(
                        "keepalived wants a blank, `,` or `)` behind it; write `${{{}}}`.",
                        found.name
                    );
                    findings.push(
                        place,
                        Kind::Invalid,
                        format!("`${}` is not replaced here", found.name),
                        hint,
                    );
                    None
                }
                Some(known) if known.is_long && !is_last => {
                    let what =
                        format!("`${}` has several lines, and is not at the end of a line", found.name);
                    findings.push(place, Kind::Invalid, what, "It is not replaced.");
                    None
                }
                Some(known) => {
                    if known.is_long {
                        more.push(Rc::clone(known));
                    }
                    Some(known.lines.first().cloned().unwrap_or_default())
                }
                None => standard(&found, place, scene, findings),
            };
            let Some(value) = value else {
                let unknown = !self.known.contains_key(&found.name);
                if unknown && found.has_braces && !found.name.starts_with('_') {
                    let what = format!("`${{{}}}` is not defined", found.name);
                    let hint = "keepalived takes it as it stands, and so does this.";
                    findings.push(place, Kind::Changed, what, hint);
                }
                // Its braces are no blocks, whatever keepalived makes of them.
                for known in line.chars.iter_mut().skip(at + 1).take(found.length - 1) {
                    known.is_plain = true;
                }
                at += found.length;
                continue;
            };
            count += 1;
            let length = line.chars.len() - found.length + value.len();
            let is_spent = *scene.chars_left < length;
            if count > limits::IMPORT_REPLACEMENTS_MAX || length > limits::IMPORT_LINE_MAX || is_spent {
                let what = format!("replacing `${}` has no end", found.name);
                findings.push(place, Kind::Invalid, what, "The line is left out.");
                *scene.chars_left = scene.chars_left.saturating_sub(length);
                return Replaced::TooLong;
            }
            *scene.chars_left -= length;
            // What the environment has is no text of keepalived's.
            let is_plain = found.name == "_ENV";
            to = to + value.len() - found.length;
            let column = place.column;
            let value = value.into_iter().map(|c| Char { c, column, is_plain });
            line.chars.splice(at..at + found.length, value);
            if is_plain {
                at += 1;
            }
            if Repeat::is_one(&line.chars) && at == 0 {
                // What stands behind it is replaced in each turn.
                break;
            }
        }
        if count == 0 { Replaced::Nothing } else { Replaced::Done(more) }
    }
}

/// The use that begins at the first character, `$`.
fn find_use(chars: &[Char]) -> Option<Use> {
    let letter = |at: usize| chars.get(at).map(|known| known.c);
    let has_braces = letter(1) == Some('{');
    let start = if has_braces { 2 } else { 1 };
    let letters = chars.get(start..)?.iter().map(|known| known.c);
    let name: String = letters.clone().take_while(|c| is_letter(*c)).collect();
    if !is_start(&name) {
        return None;
    }
    let end = start + name.len();
    if !has_braces {
        let is_seen = letter(end).is_none_or(|c| is_blank(c) || c == ',' || c == ')');
        return Some(Use { name, parameters: Vec::new(), length: end, has_braces, is_seen });
    }
    let inner: String =
        letters.skip(name.len()).take_while(|c| is_blank(*c) || is_letter(*c)).take(200).collect();
    let close = end + inner.len();
    if letter(close) != Some('}') {
        return None;
    }
    let parameters = inner.split_ascii_whitespace().map(str::to_owned).collect();
    Some(Use { name, parameters, length: close + 1, has_braces, is_seen: true })
}

/// keepalived's own names; `None`: it is none of them, or used wrongly, which is told.
fn standard(
    found: &Use,
    place: super::source::Place,
    scene: &mut Scene<'_>,
    findings: &mut Findings,
) -> Option<Vec<char>> {
    let name = found.name.as_str();
    let most = match name {
        "_PWD" | "_INSTANCE" | "_HASH" | "_BANG" => 0..=0,
        "_RANDOM" => 0..=2,
        "_ENV" => 1..=1,
        _ => return None,
    };
    if !found.is_seen || !most.contains(&found.parameters.len()) {
        findings.push(place, Kind::Invalid, format!("`${{{name}}}` is not used as it must be"), "");
        return None;
    }
    let text = match name {
        "_PWD" => scene.directory.to_owned(),
        "_HASH" => "#".to_owned(),
        "_BANG" => "!".to_owned(),
        "_INSTANCE" => {
            let hint = "It is keepalived's option -I, and empty here.";
            findings.push(place, Kind::Changed, "`${_INSTANCE}` has no counterpart", hint);
            String::new()
        }
        "_RANDOM" => {
            let bound = |n: usize, default: u64| match found.parameters.get(n) {
                Some(word) => word.parse::<u32>().map(u64::from),
                None => Ok(default),
            };
            let (Ok(least), Ok(most)) = (bound(0, 0), bound(1, 32_767)) else {
                findings.push(
                    place,
                    Kind::Invalid,
                    "`${_RANDOM}` takes whole numbers",
                    "It is not replaced.",
                );
                return None;
            };
            let drawn = least + u64::from(scene.loader.random()) % (most.max(least) - least + 1);
            let hint = "keepalived draws another one whenever it starts.";
            findings.push(place, Kind::Changed, format!("`${{_RANDOM}}` is {drawn}, drawn now"), hint);
            drawn.to_string()
        }
        _ => {
            let variable = found.parameters.first().map_or("", String::as_str);
            let value = scene.loader.environment(variable);
            let what = match &value {
                Some(_) => format!("the environment's `{variable}` is taken as it is now"),
                None => format!("the environment has no `{variable}`: nothing stands for it"),
            };
            findings.push(place, Kind::Changed, what, "keepalived looks it up whenever it starts.");
            value.unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
        }
    };
    Some(text.chars().collect())
}
