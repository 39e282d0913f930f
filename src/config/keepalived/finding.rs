//! What was not taken over as it stands, and why.

use super::Import;
use super::source::Place;
use super::tree::Tree;
use crate::config::document::Printed;
use crate::config::{LoadKeyFile, parse_file};
use crate::model::{Diagnostic, Level};
use core::fmt;

/// One finding: what the line in keepalived.conf became, and why. Prints as a [`Diagnostic`] does.
///
/// Levels: error = something that changes behaviour is not in the TOML (or probably not as it was meant);
/// warning = it is there and means something else, or a slip was put right; note = old name, or of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What sort of finding.
    pub kind: Kind,
    /// Place, level and words.
    pub diagnostic: Diagnostic,
}

/// Sorts of findings, for tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Taken over, with a difference in meaning. Warning.
    Changed,
    /// A slip of the fingers whose intention is beyond doubt: taken over as it was meant. Warning.
    Corrected,
    /// An old name: taken over. Note.
    Deprecated,
    /// Of no use here, and nothing is lost: left out on purpose. Note.
    Ignored,
    /// Not a word of keepalived: keepalived leaves it out, too. Error.
    Unknown,
    /// A value that cannot be; keepalived takes its default, and so does the TOML. Error.
    Invalid,
    /// Has no counterpart here, and its lack changes behaviour. Error.
    Unsupported,
    /// The TOML is refused by vipd, at the row that this line became. Error.
    Refused,
}

impl Kind {
    /// How bad it is.
    pub fn level(self) -> Level {
        match self {
            Kind::Deprecated | Kind::Ignored => Level::Note,
            Kind::Changed | Kind::Corrected => Level::Warning,
            Kind::Unknown | Kind::Invalid | Kind::Unsupported | Kind::Refused => Level::Error,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

/// What, why, and where it is found.
type Told = (Place, Kind, String, String);

/// What changes the meaning of a line.
pub(crate) struct Remark<'f> {
    pub(crate) place: Place,
    pub(crate) what: &'f str,
    pub(crate) hint: &'f str,
}

/// Findings while they are gathered.
pub(crate) struct Findings {
    list: Vec<Told>,
    /// What is told once for each file, with the other lines in which it is.
    often: Vec<(Told, Vec<u32>)>,
    max: usize,
    left_out: usize,
    has_errors: bool,
    is_unreadable: bool,
}

impl Findings {
    pub(crate) fn new(max: usize) -> Self {
        Findings {
            list: Vec::new(),
            often: Vec::new(),
            max,
            left_out: 0,
            has_errors: false,
            is_unreadable: false,
        }
    }

    /// `what` without a full stop; `hint` is a sentence, or empty.
    pub(crate) fn push(
        &mut self,
        place: Place,
        kind: Kind,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.has_errors |= kind.level() == Level::Error;
        if self.list.len() < self.max {
            self.list.push((place, kind, one_line(what.into()), one_line(hint.into())));
        } else {
            self.left_out += 1;
        }
    }

    /// As [`Findings::push`], for what is found again and again: it is told at the first place of each file,
    /// with the lines of the others.
    pub(crate) fn often(&mut self, place: Place, kind: Kind, what: impl Into<String>, hint: &str) {
        let what = one_line(what.into());
        let same =
            |((first, _, other, _), _): &&mut (Told, Vec<u32>)| first.file == place.file && *other == what;
        match self.often.iter_mut().find(same) {
            Some((_, lines)) => lines.push(place.line),
            None => {
                self.has_errors |= kind.level() == Level::Error;
                self.often.push(((place, kind, what, one_line(hint.to_owned())), Vec::new()));
            }
        }
    }

    /// Puts what is told once among the rest.
    fn gather(&mut self) {
        for ((place, kind, what, hint), lines) in core::mem::take(&mut self.often) {
            self.push(place, kind, what + &also(place.line, lines), hint);
        }
    }

    /// Those so far that are more than notes, in the order of the files. What is told once is among them
    /// where it changes a meaning, as a slip that was put right again and again does not.
    pub(crate) fn remarks(&self) -> Vec<Remark<'_>> {
        let told = self.list.iter().filter(|(_, kind, ..)| kind.level() != Level::Note);
        let often = self.often.iter().map(|(told, _)| told).filter(|(_, kind, ..)| *kind == Kind::Changed);
        let mut told: Vec<&Told> = told.chain(often).collect();
        told.sort();
        told.dedup();
        told.iter().map(|(place, _, what, hint)| Remark { place: *place, what, hint }).collect()
    }

    /// What was found so far, in order.
    #[cfg(test)]
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.list.iter().map(|(_, kind, ..)| *kind).collect()
    }

    /// The whole is no keepalived.conf: `what` says why.
    pub(crate) fn unreadable(&mut self, place: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.is_unreadable = true;
        self.push(place, Kind::Invalid, what, hint);
    }

    /// Was it told that the whole is no keepalived.conf?
    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// What there is so far, in the order of the files.
    pub(crate) fn so_far(mut self, tree: &Tree) -> Vec<Finding> {
        self.gather();
        self.list.sort_by_key(|(place, ..)| *place);
        let finding = |(place, kind, what, hint): (Place, Kind, String, String)| {
            let file = tree.files.get(usize::from(place.file)).cloned().unwrap_or_default();
            let (level, line, column) = (kind.level(), place.line, place.column);
            Finding { kind, diagnostic: Diagnostic { level, file, line, column, what, hint } }
        };
        self.list.into_iter().map(finding).collect()
    }

    /// Is there no room for another one? Then it need not be worked out.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= self.max
    }

    /// Reads the printed text as vipd will, and tells what it says of it at the line in keepalived.conf.
    pub(crate) fn finish(
        mut self,
        tree: &Tree,
        printed: Printed,
        key_file: LoadKeyFile<'_>,
        breathe: &mut dyn FnMut(),
    ) -> Import {
        let (config, diagnostics) = parse_file(printed.text.as_bytes(), "vipd.toml", key_file, breathe);
        for diagnostic in diagnostics.iter() {
            // Line 0, the file as a whole, comes from keepalived.conf as a whole.
            let place = printed.place(diagnostic.line).unwrap_or_default();
            let hint = translated(&diagnostic.hint, place, &printed, tree);
            let kind = match diagnostic.level {
                Level::Error => Kind::Refused,
                Level::Warning | Level::Note => Kind::Changed,
            };
            self.push(place, kind, &*diagnostic.what, hint);
        }
        self.left_out += diagnostics.left_out();
        self.gather();
        // What a virtual server says is read for each of its servers: once is enough.
        self.list.sort();
        self.list.dedup();
        let findings = self.list.into_iter().map(|(place, kind, what, hint)| {
            let file = tree.files.get(usize::from(place.file)).cloned().unwrap_or_default();
            let diagnostic =
                Diagnostic { level: kind.level(), file, line: place.line, column: place.column, what, hint };
            Finding { kind, diagnostic }
        });
        Import {
            text: printed.text,
            findings: findings.collect(),
            left_out: self.left_out,
            is_readable: !self.is_unreadable,
            has_errors: self.has_errors,
            config: config.filter(|_| !self.has_errors),
        }
    }
}

/// A hint that names another line of the TOML, which the user has never seen, names that of keepalived.conf.
fn translated(hint: &str, of: Place, printed: &Printed, tree: &Tree) -> String {
    const BEGIN: &str = "See line ";
    let Some(rest) = hint.strip_prefix(BEGIN) else { return hint.to_owned() };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let Some(place) = number.parse().ok().and_then(|line| printed.place(line)) else {
        return hint.to_owned();
    };
    let file = tree.files.get(usize::from(place.file)).filter(|_| place.file != of.file);
    match file {
        Some(file) => format!("See {file}:{}{rest}", place.line),
        None => format!("{BEGIN}{}{rest}", place.line),
    }
}

/// ` (lines 6, 7 and 12, too)` for the lines of more places than the first.
fn also(first: u32, mut lines: Vec<u32>) -> String {
    lines.sort_unstable();
    lines.dedup();
    lines.retain(|line| *line != first);
    let Some((last, others)) = lines.split_last() else { return String::new() };
    let others: Vec<String> = others.iter().map(u32::to_string).collect();
    match others.is_empty() {
        true => format!(" (line {last}, too)"),
        false => format!(" (lines {} and {last}, too)", others.join(", ")),
    }
}

/// A text that came out of a file, on one line and of a length that can be read (SEC-15).
fn one_line(text: String) -> String {
    const LONGEST: usize = 400;
    if text.len() <= LONGEST && !text.chars().any(char::is_control) {
        return text;
    }
    let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let cut: String = text.chars().take(LONGEST).map(harmless).collect();
    if cut.chars().count() < text.chars().count() { cut + "..." } else { cut }
}
