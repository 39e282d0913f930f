//! Lines of all files in the order that keepalived reads them: `@id` conditions, definitions, `~SEQ` and
//! `~LST`, includes.

use super::Options;
use super::define::{self, Definition, Definitions, Replaced, Scene};
use super::finding::{Findings, Kind};
use super::glob;
use super::lines::{self, Char, Line, is_blank};
use super::repeat::Repeat;
use super::source::{Loader, Place};
use crate::limits;
use std::rc::Rc;

/// Where lines come from; the newest first.
enum Frame {
    File { bytes: Vec<u8>, at: usize, place: Place, path: String, directory: String },
    Long { definition: Rc<Definition>, next: usize, place: Place },
    Repeat { repeat: Repeat, place: Place },
}

/// What is to be done with a line.
enum Step {
    /// It has words.
    Use,
    /// It is none of keepalived's words, and done with.
    Done,
    /// It is left out, and its comment too.
    Drop,
}

/// Reads lines until there are none.
pub(super) struct Expander<'e> {
    loader: &'e mut dyn Loader,
    options: Options<'e>,
    frames: Vec<Frame>,
    /// Names of the files, for messages.
    pub(super) files: Vec<String>,
    definitions: Definitions,
    /// The rest of a line behind a brace, the first last.
    residues: Vec<Line>,
    /// A definition of several lines while it is read.
    open: Option<(String, Place, Vec<Vec<char>>)>,
    /// Ids of conditions that leave lines out: the first such line of each.
    others: Vec<(String, Place)>,
    has_includes: bool,
    bytes_left: usize,
    reads_left: usize,
    lines_left: usize,
    chars_left: usize,
}

impl<'e> Expander<'e> {
    /// Begins with a file, or says why it cannot be read.
    pub(super) fn new(
        file: &str,
        loader: &'e mut dyn Loader,
        options: Options<'e>,
        findings: &mut Findings,
    ) -> Self {
        let mut new = Expander {
            loader,
            options,
            frames: Vec::new(),
            files: vec![file.to_owned()],
            definitions: Definitions::default(),
            residues: Vec::new(),
            open: None,
            others: Vec::new(),
            has_includes: false,
            bytes_left: limits::IMPORT_BYTES_MAX,
            reads_left: limits::IMPORT_FILES_MAX,
            lines_left: limits::IMPORT_LINES_MAX,
            chars_left: limits::IMPORT_CHARS_MAX,
        };
        match new.loader.read(file) {
            Ok(source) => new.enter(file, source.bytes, Place::default(), findings),
            Err(why) => findings.unreadable(Place::default(), format!("cannot be read: {why}"), ""),
        }
        new
    }

    /// Did a line name other files?
    pub(super) fn has_includes(&self) -> bool {
        self.has_includes
    }

    /// Did a condition leave lines out?
    pub(super) fn has_conditions(&self) -> bool {
        !self.others.is_empty()
    }

    /// The beginning of the first file.
    pub(super) fn head(&self) -> &[u8] {
        match self.frames.first() {
            Some(Frame::File { bytes, .. }) => bytes,
            Some(Frame::Long { .. } | Frame::Repeat { .. }) | None => &[],
        }
    }

    /// The next line that has words, or that has nothing but a comment.
    pub(super) fn next(&mut self, findings: &mut Findings) -> Option<Line> {
        while let Some(mut line) = self.take(findings) {
            if self.lines_left == 0 || self.chars_left < line.chars.len() {
                let hint = "The rest is not read.";
                findings.push(line.place, Kind::Invalid, "too much text after substitution", hint);
                self.frames.truncate(1);
                if let Some(Frame::File { bytes, at, .. }) = self.frames.first_mut() {
                    *at = bytes.len();
                }
                break;
            }
            let is_of_file = matches!(self.frames.last(), Some(Frame::File { .. }));
            let is_empty = line.chars.is_empty() && line.comment.is_none();
            self.lines_left -= usize::from(!(is_of_file && is_empty));
            self.chars_left -= line.chars.len();
            if self.continue_definition(&mut line, findings) {
                continue;
            }
            let is_definition = define::definition(without_condition(&line.chars)).is_some();
            if line.goes_on && !line.chars.is_empty() && !is_definition {
                let hint = "keepalived continues definitions (`$NAME=`), and nothing else.";
                findings.push(line.place_of(usize::MAX), Kind::Changed, "`\\` at the end of the line", hint);
            }
            match self.step(&mut line, findings) {
                Step::Use => {
                    self.residues.extend(lines::residue(&mut line, &['@', '$', '~']));
                    return Some(line);
                }
                Step::Done if line.comment.is_some() => {
                    line.chars.clear();
                    return Some(line);
                }
                Step::Done | Step::Drop => {}
            }
        }
        self.finish(findings);
        None
    }

    fn finish(&mut self, findings: &mut Findings) {
        if let Some((name, place, lines)) = self.open.take() {
            findings.push(
                place,
                Kind::Changed,
                format!("the definition of `${name}` ends with the file"),
                "",
            );
            self.definitions.set(&name, Definition { lines, is_long: true });
        }
        for (id, place) in &self.others {
            let what =
                format!("lines for other routers than `{}` are left out: {id}", self.options.config_id);
            findings.push(*place, Kind::Ignored, what, "Say which one is meant by --config-id.");
        }
    }

    /// The next line of what is read now.
    fn take(&mut self, findings: &mut Findings) -> Option<Line> {
        if let Some(residue) = self.residues.pop() {
            return Some(residue);
        }
        loop {
            match self.frames.last_mut()? {
                Frame::File { bytes, at, place, .. } => {
                    let rest = bytes.get(*at..).unwrap_or(&[]);
                    if !rest.is_empty() {
                        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                        *at += length + 1;
                        place.line += 1;
                        return Some(lines::read(rest.get(..length).unwrap_or(rest), *place, findings));
                    }
                }
                Frame::Long { definition, next, place } => {
                    if let Some(text) = definition.lines.get(*next) {
                        *next += 1;
                        return Some(line_of(text, *place));
                    }
                }
                Frame::Repeat { repeat, place } => {
                    if let Some(values) = repeat.turn() {
                        let line = Line { chars: repeat.body.clone(), place: *place, ..Line::default() };
                        for (name, value) in values {
                            if !self.definitions.set_text(&name, &value) {
                                too_many_definitions(line.place, findings);
                            }
                        }
                        return Some(line);
                    }
                }
            }
            // The main file stays: its head says what it is if it is nothing that we know.
            if self.frames.len() == 1 {
                return None;
            }
            self.frames.pop();
        }
    }

    /// Is the line part of a definition of several lines?
    fn continue_definition(&mut self, line: &mut Line, findings: &mut Findings) -> bool {
        let Some((name, place, mut texts)) = self.open.take() else { return false };
        if !line.chars.is_empty() {
            texts.push(line.chars.iter().map(|known| known.c).collect());
        }
        if line.goes_on {
            self.open = Some((name, place, texts));
            return true;
        }
        if line.chars.is_empty() && line.comment.is_some() {
            // keepalived before 2.2 went over it; since then its daemon reads a copy without comments.
            let what = format!("the definition of `${name}` ends at this comment");
            let hint = "keepalived ends it there, too: put `\\` behind the comment where it is to go on.";
            findings.push(line.place, Kind::Changed, what, hint);
        }
        if !self.definitions.set(&name, Definition { lines: texts, is_long: true }) {
            too_many_definitions(place, findings);
        }
        true
    }

    fn step(&mut self, line: &mut Line, findings: &mut Findings) -> Step {
        if let Some(step) = self.condition(line, findings).or_else(|| self.define(line, findings)) {
            return step;
        }
        if Repeat::is_one(&line.chars) {
            return self.repeat(line, findings);
        }
        // What is repeated has names that are not known before.
        self.residues.extend(lines::residue(line, &['~']));
        mark_templates(line, findings);
        match self.replace(line, None, findings) {
            Replaced::Nothing => {}
            Replaced::Done(definitions) => {
                if definitions.iter().any(|definition| self.is_within(definition)) {
                    let hint = "The line is left out.";
                    findings.push(line.place_of(0), Kind::Invalid, "a definition contains itself", hint);
                    return Step::Drop;
                }
                lines::cut_comment(line);
                for definition in definitions {
                    self.nest(line, findings, |place| Frame::Long { definition, next: 1, place });
                }
            }
            Replaced::TooLong => return Step::Drop,
        }
        lines::trim(&mut line.chars);
        // What came out of a substitution may be such a line, too.
        if let Some(step) = self.condition(line, findings).or_else(|| self.define(line, findings)) {
            return step;
        }
        if Repeat::is_one(&line.chars) {
            return self.repeat(line, findings);
        }
        match include(&line.chars) {
            Some((variant, pattern)) => {
                self.include(variant, &pattern, line.place_of(0), findings);
                Step::Done
            }
            None if line.chars.is_empty() => Step::Done,
            None => Step::Use,
        }
    }

    fn replace(&mut self, line: &mut Line, to: Option<usize>, findings: &mut Findings) -> Replaced {
        if !line.chars.iter().any(|known| known.c == '$') {
            return Replaced::Nothing;
        }
        let directory = self.frames.iter().rev().find_map(|frame| match frame {
            Frame::File { directory, .. } => Some(directory.as_str()),
            Frame::Long { .. } | Frame::Repeat { .. } => None,
        });
        let directory = absolute(directory.unwrap_or(""), self.loader);
        let mut scene =
            Scene { loader: &mut *self.loader, directory: &directory, chars_left: &mut self.chars_left };
        self.definitions.replace(line, to, &mut scene, findings)
    }

    /// `@id rest`, `@^id rest`.
    fn condition(&mut self, line: &mut Line, findings: &mut Findings) -> Option<Step> {
        if line.chars.first().is_none_or(|known| known.c != '@') {
            return None;
        }
        let end = line.chars.iter().position(|known| is_blank(known.c)).unwrap_or(line.chars.len());
        let word = lines::text(line.chars.get(1..end).unwrap_or(&[]));
        if word.contains('@') {
            return None; // `@IFACE@`: a template, and told as one
        }
        if end == line.chars.len() {
            let hint = "keepalived leaves the line out.";
            findings.push(line.place_of(0), Kind::Invalid, format!("nothing stands behind `@{word}`"), hint);
            return Some(Step::Drop);
        }
        let (id, is_reversed) = match word.strip_prefix('^') {
            Some(id) => (id, true),
            None => (word.as_str(), false),
        };
        if (id == self.options.config_id) == is_reversed {
            let name = format!("`@{word}`");
            if self.others.len() < 64 && self.others.iter().all(|(known, _)| *known != name) {
                self.others.push((name, line.place_of(0)));
            }
            return Some(Step::Drop);
        }
        line.chars.drain(..end);
        lines::trim(&mut line.chars);
        None
    }

    /// `$NAME=value`.
    fn define(&mut self, line: &Line, findings: &mut Findings) -> Option<Step> {
        let (name, value, has_blank) = define::definition(&line.chars)?;
        if has_blank {
            let hint = "keepalived wants no blank before `=`.";
            findings.push(
                line.place_of(0),
                Kind::Corrected,
                format!("read as the definition of `${name}`"),
                hint,
            );
        }
        let value: Vec<char> = line.chars.get(value..).unwrap_or(&[]).iter().map(|known| known.c).collect();
        if line.goes_on {
            let lines = if value.is_empty() { Vec::new() } else { vec![value] };
            self.open = Some((name, line.place_of(0), lines));
        } else if !self.definitions.set(&name, Definition { lines: vec![value], is_long: false }) {
            too_many_definitions(line.place, findings);
        }
        Some(Step::Done)
    }

    /// `~SEQ(...)`, `~LST(...)`.
    fn repeat(&mut self, line: &mut Line, findings: &mut Findings) -> Step {
        let end = Repeat::head_end(&line.chars);
        match self.replace(line, Some(end), findings) {
            Replaced::Nothing => {}
            Replaced::Done(definitions) if definitions.is_empty() => {}
            Replaced::Done(_) => {
                let what = "a definition of several lines within `~SEQ` or `~LST`";
                findings.push(line.place_of(0), Kind::Invalid, what, "The line is left out.");
                return Step::Drop;
            }
            Replaced::TooLong => return Step::Drop,
        }
        match Repeat::read(&line.chars) {
            Ok(repeat) => {
                self.nest(line, findings, |place| Frame::Repeat { repeat, place });
                Step::Done
            }
            Err(why) => {
                let what = format!("this repetition cannot be: {why}");
                findings.push(line.place_of(0), Kind::Invalid, what, "The line is left out.");
                Step::Drop
            }
        }
    }

    /// Do we read lines of this definition, or of one that it stands in?
    fn is_within(&self, definition: &Rc<Definition>) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::Long { definition: outer, .. } => Rc::ptr_eq(outer, definition),
            Frame::File { .. } | Frame::Repeat { .. } => false,
        })
    }

    fn nest(&mut self, line: &Line, findings: &mut Findings, frame: impl FnOnce(Place) -> Frame) {
        let inner = |frame: &&Frame| !matches!(frame, Frame::File { .. });
        if self.frames.iter().rev().take_while(inner).count() >= limits::IMPORT_NESTING_MAX {
            let hint = "What comes further inside is left out.";
            findings.push(
                line.place_of(0),
                Kind::Invalid,
                "definitions within definitions have no end",
                hint,
            );
        } else {
            self.frames.push(frame(line.place_of(0)));
        }
    }

    fn include(&mut self, variant: char, pattern: &str, place: Place, findings: &mut Findings) {
        self.has_includes = true;
        let unquoted = pattern.trim_matches('"');
        if unquoted != pattern {
            let hint = "keepalived takes the quotes for a part of the name.";
            findings.push(place, Kind::Corrected, "the quotes around the file's name are left out", hint);
        }
        let directory = self.frames.iter().rev().find_map(|frame| match frame {
            Frame::File { directory, .. } => Some(directory.as_str()),
            Frame::Long { .. } | Frame::Repeat { .. } => None,
        });
        let path = match directory {
            Some(directory) if !unquoted.starts_with('/') && !directory.is_empty() => {
                format!("{}/{unquoted}", directory.trim_end_matches('/'))
            }
            Some(_) | None => unquoted.to_owned(),
        };
        let found = glob::find(&path, self.loader);
        if found.is_cut {
            findings.push(place, Kind::Invalid, format!("`{unquoted}` stands for too many files"), "");
        }
        for missing in &found.missing {
            let must = matches!(variant, 'w' | 'a' | 'b');
            let kind = if must { Kind::Invalid } else { Kind::Changed };
            findings.push(place, kind, format!("no file is called `{missing}`"), "Nothing is included.");
        }
        let mut sources = Vec::new();
        for path in found.paths {
            sources.extend(self.load(path, variant, place, findings));
        }
        // The last one in is read first.
        while let Some((path, bytes)) = sources.pop() {
            self.enter(&path, bytes, place, findings);
        }
    }

    /// The bytes of an included file, or why there are none.
    fn load(
        &mut self,
        path: String,
        variant: char,
        place: Place,
        findings: &mut Findings,
    ) -> Option<(String, Vec<u8>)> {
        let is_within = |frame: &Frame| matches!(frame, Frame::File { path: open, .. } if *open == path);
        if self.frames.iter().any(is_within) {
            findings.push(place, Kind::Invalid, format!("`{path}` includes itself"), "It is not read again.");
            return None;
        }
        let depth = self.frames.iter().filter(|frame| matches!(frame, Frame::File { .. })).count();
        if depth > limits::IMPORT_INCLUDES_MAX || self.reads_left == 0 || self.bytes_left == 0 {
            findings.push(place, Kind::Invalid, "too many included files", format!("`{path}` is not read."));
            return None;
        }
        self.reads_left -= 1;
        let source = match self.loader.read(&path) {
            Ok(source) => source,
            Err(why) => {
                let (kind, hint) = match variant {
                    ' ' => {
                        (Kind::Changed, "keepalived goes on without it, and so does this: is it elsewhere?")
                    }
                    _ => (Kind::Invalid, "It is not included."),
                };
                findings.push(place, kind, format!("`{path}` cannot be read: {why}"), hint);
                return None;
            }
        };
        if source.is_executable {
            let kind = if variant == ' ' { Kind::Changed } else { Kind::Invalid };
            let what = format!("`{path}` may be executed, so it is left out");
            findings.push(place, kind, what, "keepalived leaves such a file out, too.");
            return None;
        }
        if source.bytes.len() > self.bytes_left || source.bytes.len() > limits::CONFIG_BYTES_MAX {
            findings.push(place, Kind::Invalid, format!("`{path}` is too large"), "It is not included.");
            return None;
        }
        self.bytes_left -= source.bytes.len();
        Some((path, source.bytes))
    }

    fn enter(&mut self, path: &str, mut bytes: Vec<u8>, from: Place, findings: &mut Findings) {
        let known = self.files.iter().position(|known| known == path);
        let file = known.unwrap_or_else(|| {
            self.files.push(path.to_owned());
            self.files.len() - 1
        });
        let place = Place { file: u16::try_from(file).unwrap_or(from.file), line: 0, column: 1 };
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
            let place = Place { line: 1, ..place };
            let hint = "keepalived takes it for a part of the first word.";
            findings.push(place, Kind::Corrected, "the byte order mark is left out", hint);
        }
        if bytes.len() > limits::CONFIG_BYTES_MAX {
            let hint = format!("The rest is not read; the limit is {} bytes.", limits::CONFIG_BYTES_MAX);
            findings.push(Place { line: 1, ..place }, Kind::Invalid, "the file is too large", hint);
            bytes.truncate(limits::CONFIG_BYTES_MAX);
        }
        let directory = match path.rsplit_once('/') {
            Some(("", _)) => "/".to_owned(),
            Some((directory, _)) => directory.to_owned(),
            None => String::new(),
        };
        self.frames.push(Frame::File { bytes, at: 0, place, path: path.to_owned(), directory });
    }
}

fn too_many_definitions(place: Place, findings: &mut Findings) {
    findings.push(place, Kind::Invalid, "too many definitions", "This one is left out.");
}

fn line_of(text: &[char], place: Place) -> Line {
    let chars = text.iter().map(|&c| Char { c, column: place.column, is_plain: false }).collect();
    Line { chars, place, ..Line::default() }
}

fn without_condition(chars: &[Char]) -> &[Char] {
    if chars.first().is_none_or(|known| known.c != '@') {
        return chars;
    }
    let end = chars.iter().position(|known| is_blank(known.c)).unwrap_or(chars.len());
    let rest = chars.get(end..).unwrap_or(&[]);
    let start = rest.iter().position(|known| !is_blank(known.c)).unwrap_or(0);
    rest.get(start..).unwrap_or(&[])
}

/// The directory as commands can use it.
fn absolute(directory: &str, loader: &mut dyn Loader) -> String {
    if directory.starts_with('/') {
        return directory.to_owned();
    }
    let here = loader.directory();
    match (here.as_str(), directory) {
        ("", "") => ".".to_owned(),
        ("", directory) => directory.to_owned(),
        (here, "") => here.to_owned(),
        (here, directory) => format!("{}/{directory}", here.trim_end_matches('/')),
    }
}

/// `include PATTERN` and its variants: their letter (a blank for the plain one), and the pattern.
fn include(chars: &[Char]) -> Option<(char, String)> {
    let text = lines::text(chars.get(..chars.len().min(limits::IMPORT_LINE_MAX))?);
    let (word, pattern) = text.split_once([' ', '\t'])?;
    let variant = match word.strip_prefix("include")? {
        "" => ' ',
        "r" => 'r',
        "m" => 'm',
        "w" => 'w',
        "b" => 'b',
        "a" => 'a',
        _ => return None,
    };
    Some((variant, pattern.trim_matches([' ', '\t']).to_owned()))
}

/// `{{ name }}`, `{% if %}` and `@NAME@` of templates that nobody has filled in: told, and taken for words.
fn mark_templates(line: &mut Line, findings: &mut Findings) {
    let mut at = 0;
    while let Some(here) = line.chars.get(at) {
        let length = match here.c {
            '{' if !here.is_plain => braces(line.chars.get(at..).unwrap_or(&[])),
            '@' => between_ats(line.chars.get(at..).unwrap_or(&[])),
            _ => None,
        };
        let Some(length) = length else {
            at += 1;
            continue;
        };
        let what = lines::text(line.chars.get(at..at + length).unwrap_or(&[]));
        let what = format!("`{what}` is a template's gap that is not filled in");
        findings.push(line.place_of(at), Kind::Invalid, what, "Run the template first.");
        for known in line.chars.iter_mut().skip(at).take(length) {
            known.is_plain = true;
        }
        at += length;
    }
}

/// `{{ … }}` and `{% … %}`.
fn braces(chars: &[Char]) -> Option<usize> {
    let close = match chars.get(1)?.c {
        '{' => '}',
        '%' => '%',
        _ => return None,
    };
    let inner = chars.iter().skip(2).take(256).zip(chars.iter().skip(3));
    let end = inner.into_iter().position(|(a, b)| a.c == close && b.c == '}')?;
    Some(end + 4)
}

/// `@NAME@`, in capital letters, digits and `_`.
fn between_ats(chars: &[Char]) -> Option<usize> {
    let is_letter = |known: &Char| known.c.is_ascii_uppercase() || known.c.is_ascii_digit() || known.c == '_';
    let length = chars.iter().skip(1).take(64).take_while(|known| is_letter(known)).count();
    (length > 0 && chars.get(length + 1)?.c == '@').then_some(length + 2)
}
