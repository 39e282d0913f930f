//! Real keepalived.conf files, as many as there are: keepalived's own samples, those that its users attached
//! to issues, and an article's. Nothing is lost in silence, nothing panics, and what Debian's keepalived has
//! no complaint about is taken over, or refused for a reason.
//!
//! The files are keepalived's and its users', so they are no part of this tree: they are looked for in
//! `../shared/corpus`, or where VIPD_CORPUS says. `tests/golden/import.txt` keeps what becomes of them
//! (VIPD_BLESS=1 writes it anew).

#![cfg(feature = "import")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Daemon, Keepalived};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use vipd::config::keepalived::{Import, Kind, Loader, Options, Source, import};
use vipd::model::Level;
use vipd::sys::import::Files;

/// Folder, and how many files are in it.
const FOLDERS: [(&str, usize); 3] = [("article", 4), ("keepalived-samples", 25), ("keepalived-issues", 170)];

fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = here.ancestors().skip(1).take(2).map(|folder| folder.join("shared/corpus"));
    let found = std::env::var_os("VIPD_CORPUS").map(PathBuf::from).into_iter().chain(beside);
    let found = found.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no files in ../shared/corpus, nor VIPD_CORPUS");
    }
    found
}

/// Names from the corpus on, and paths, in order.
fn files() -> Option<Vec<(String, PathBuf)>> {
    let corpus = corpus()?;
    let mut all = Vec::new();
    for (folder, count) in FOLDERS {
        let entries = std::fs::read_dir(corpus.join(folder)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= count, "{folder} has only {} files", paths.len());
        all.extend(paths.into_iter().map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (format!("{folder}/{name}"), path)
        }));
    }
    Some(all)
}

/// One file from memory, the others as they are.
struct Changed<'c> {
    name: &'c str,
    bytes: &'c [u8],
    rest: Files,
}

impl Loader for Changed<'_> {
    fn read(&mut self, path: &str) -> Result<Source, String> {
        if path == self.name {
            return Ok(Source { bytes: self.bytes.to_vec(), is_executable: false });
        }
        self.rest.read(path)
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        self.rest.list(directory)
    }

    fn directory(&mut self) -> String {
        self.rest.directory()
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        self.rest.environment(name)
    }

    /// Always the same, for a golden file.
    fn random(&mut self) -> u32 {
        7
    }
}

fn import_bytes(path: &Path, bytes: &[u8]) -> Import {
    let name = path.to_str().unwrap();
    let mut loader = Changed { name, bytes, rest: Files::new() };
    import(name, &mut loader, Options { config_id: "router" })
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Mapped,
    Remarked,
    Refused,
    Unreadable,
}

impl Outcome {
    const ALL: [(Outcome, &str); 4] = [
        (Outcome::Mapped, "mapped"),
        (Outcome::Remarked, "mapped with remark"),
        (Outcome::Refused, "refused with reason"),
        (Outcome::Unreadable, "not readable"),
    ];

    fn of(import: &Import) -> Outcome {
        match import {
            Import { is_readable: false, .. } => Outcome::Unreadable,
            Import { has_errors: true, .. } => Outcome::Refused,
            Import { findings, .. } if !findings.is_empty() => Outcome::Remarked,
            Import { .. } => Outcome::Mapped,
        }
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).unwrap().1
    }
}

/// Every file is imported; what comes out is a configuration, and its table is the golden one.
#[test]
fn table() {
    let Some(files) = files() else { return };
    let mut lines = String::new();
    let mut counts: BTreeMap<(&str, Outcome), usize> = BTreeMap::new();
    let mut reasons: BTreeMap<(Level, String), usize> = BTreeMap::new();
    let mut slowest = (Duration::ZERO, String::new());
    for (name, path) in &files {
        let begin = Instant::now();
        let import = import_bytes(path, &std::fs::read(path).unwrap());
        slowest = slowest.max((begin.elapsed(), name.clone()));
        assert_eq!(import.left_out, 0, "{name}: a person's file has no thousands of findings");
        let worst = import.findings.iter().map(|finding| finding.diagnostic.level).max();
        assert_eq!(import.has_errors, worst == Some(Level::Error), "{name}: exit code and findings");
        assert_eq!(import.config.is_some(), !import.has_errors, "{name}: run and check take it, or say why");
        let (config, findings) = vipd::config::parse(&import.text, "vipd.toml");
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let told = import.findings.iter().any(|finding| finding.kind == Kind::Refused);
        assert!(config.is_some() || told, "{name}: {}\n{}", findings.join("\n"), import.text);
        for finding in &import.findings {
            let text = &finding.diagnostic.what;
            assert!(!text.is_empty() && !text.contains(char::is_control), "{name}: {text:?}");
            let text = text.replace(&root(name, path), "");
            *reasons.entry((finding.diagnostic.level, reason(&text))).or_default() += 1;
        }
        let outcome = Outcome::of(&import);
        *counts.entry((name.split('/').next().unwrap(), outcome)).or_default() += 1;
        let of = |level| import.findings.iter().filter(|finding| finding.diagnostic.level == level).count();
        let [notes, warnings, errors] = [Level::Note, Level::Warning, Level::Error].map(of);
        writeln!(lines, "{:20} {notes:3} {warnings:3} {errors:3}  {name}", outcome.name()).unwrap();
    }
    let mut text = format!("{:20}", "files");
    Outcome::ALL.iter().for_each(|(_, name)| write!(text, "{name:>21}").unwrap());
    for (folder, _) in FOLDERS {
        write!(text, "\n{folder:20}").unwrap();
        for (outcome, _) in Outcome::ALL {
            write!(text, "{:21}", counts.get(&(folder, outcome)).unwrap_or(&0)).unwrap();
        }
    }
    writeln!(text, "\n\nreasons by count").unwrap();
    let mut reasons: Vec<((Level, String), usize)> = reasons.into_iter().collect();
    reasons.sort_by(|((a, x), m), ((b, y), n)| (b, n, x).cmp(&(a, m, y)));
    for ((level, what), count) in reasons {
        writeln!(text, "{count:5} {level:7} {what}").unwrap();
    }
    writeln!(text, "\noutcome         notes, warnings, errors\n{lines}").unwrap();
    println!("{text}slowest: {} in {:?}", slowest.1, slowest.0);
    golden("import.txt", text.trim_end());
}

/// The directory of all folders, with its `/`.
fn root(name: &str, path: &Path) -> String {
    path.to_str().unwrap().strip_suffix(name).unwrap().to_owned()
}

/// What files have in common: names, numbers and addresses of their own aside.
fn reason(what: &str) -> String {
    let mut text = String::new();
    let mut is_quoted = false;
    for c in what.chars() {
        match c {
            '"' if is_quoted => text.push_str("...\""),
            '"' => text.push(c),
            _ if is_quoted => {}
            c if c.is_ascii_digit() && text.ends_with('0') => {}
            c if c.is_ascii_digit() => text.push('0'),
            c => text.push(c),
        }
        is_quoted ^= c == '"';
    }
    text
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("VIPD_BLESS").is_some() {
        let end = if text.is_empty() { "" } else { "\n" };
        std::fs::write(&path, format!("{text}{end}")).unwrap();
        return;
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), text.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}\n"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}\n"));
    let changes: String = gone.chain(come).collect();
    assert!(changes.is_empty(), "{} is another (VIPD_BLESS=1 takes it):\n{changes}", path.display());
}

/// A line of a file with something to say.
struct Line {
    /// From 0.
    index: usize,
    /// Byte range of its last word.
    last: core::ops::Range<usize>,
    /// Lines of the blocks that it stands in, from 0.
    within: Vec<usize>,
}

/// Lines that are neither comments, conditions nor braces alone, as far as an eye sees.
fn statements(text: &str) -> Vec<Line> {
    let (mut lines, mut heads) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let code = &line[..line.find(['#', '!']).unwrap_or(line.len())];
        let code = &code[..code.find("//").unwrap_or(code.len())];
        let is_plain = !code.contains(['"', '\'', '$', '~', '@', '\\']) && !code.contains("include");
        let words = code.trim_end_matches(|c: char| c.is_whitespace() || c == '{' || c == '}');
        if is_plain && words.contains(|c: char| c.is_alphanumeric()) {
            let start = words.rfind(|c: char| c.is_whitespace() || c == '{' || c == '}');
            let start = start.map_or(0, |at| at + words[at..].chars().next().unwrap().len_utf8());
            lines.push(Line { index, last: start..words.len(), within: heads.clone() });
        }
        for c in code.chars() {
            match c {
                '{' => heads.push(index),
                '}' => _ = heads.pop(),
                _ => {}
            }
        }
    }
    lines
}

/// Law 4. A statement has a finding, or the block around it has; otherwise another word in its place makes a
/// difference.
#[test]
fn no_statement_is_lost_in_silence() {
    let Some(files) = files() else { return };
    let (mut silent, mut tried) = (Vec::new(), 0);
    for (name, path) in &files {
        let bytes = std::fs::read(path).unwrap();
        let Ok(text) = core::str::from_utf8(&bytes) else { continue };
        let import = import_bytes(path, &bytes);
        if !import.is_readable {
            continue;
        }
        let is_told = |index: &usize| {
            let here = |finding: &vipd::config::keepalived::Finding| {
                usize::try_from(finding.diagnostic.line).unwrap() == index + 1
                    && finding.diagnostic.file == path.to_str().unwrap()
            };
            import.findings.iter().any(here)
        };
        let seen = |import: &Import| {
            let findings: Vec<String> = import.findings.iter().map(ToString::to_string).collect();
            (import.text.clone(), findings)
        };
        let before = seen(&import);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for line in statements(text) {
            if is_told(&line.index) || line.within.iter().any(is_told) {
                continue;
            }
            let mut old = lines[line.index].clone();
            lines[line.index].replace_range(line.last.clone(), "zzqq");
            let after = seen(&import_bytes(path, lines.join("\n").as_bytes()));
            core::mem::swap(&mut lines[line.index], &mut old);
            tried += 1;
            if after == before {
                silent.push(format!("{name}:{}: {}", line.index + 1, lines[line.index].trim()));
            }
        }
    }
    println!("{tried} statements changed, {} without an effect", silent.len());
    assert!(tried > 1_000, "{tried}");
    // Statements that are known to be lost: the list gets shorter, never longer.
    golden("import-silent.txt", &silent.join("\n"));
}

/// Where Debian's keepalived finds no fault, the importer finds none of the user's either: what it does not
/// take over has a reason of its own.
#[test]
fn what_keepalived_accepts_is_taken_over_or_has_a_reason() {
    let Some(files) = files() else { return };
    if let Some(why) = Keepalived::obstacle() {
        return netns::skip::<()>(why).unwrap_or(());
    }
    let Some(lan) = netns::lan() else { return };
    for name in ["eth1", "eth2"] {
        lan.a.ip(&format!("link add {name} type veth peer name {name}-far"));
        lan.a.ip(&format!("link set {name} up"));
        lan.a.ip(&format!("link set {name}-far up"));
    }
    let copy = lan.folder().join("copy");
    let mut codes: BTreeMap<(Option<i32>, Outcome), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, path) in &files {
        std::fs::create_dir_all(&copy).unwrap();
        let file = copy.join("keepalived.conf");
        std::fs::copy(path, &file).unwrap();
        let mut command = Command::new("keepalived");
        command.current_dir(&copy).arg("--use-file").arg(&file);
        command.arg(format!("--config-test={}", copy.join("said").display()));
        let mut test = Daemon::start(&lan.a, command, lan.folder().join("keepalived-t.log"));
        // One that does not end has no opinion.
        let begin = Instant::now();
        while test.is_running() && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let code = if test.is_running() { None } else { test.ended(Duration::from_secs(1)) };
        drop(test);
        std::fs::remove_dir_all(&copy).unwrap();
        let import = import_bytes(path, &std::fs::read(path).unwrap());
        *codes.entry((code, Outcome::of(&import))).or_default() += 1;
        if code != Some(0) {
            continue;
        }
        assert!(import.is_readable, "{name}");
        for finding in import.findings.iter().filter(|finding| finding.diagnostic.level == Level::Error) {
            let has_reason = match finding.kind {
                Kind::Unsupported => !finding.diagnostic.hint.is_empty(),
                Kind::Refused => true,
                // The user's mistakes; keepalived would have told.
                Kind::Unknown | Kind::Invalid => false,
                Kind::Changed | Kind::Corrected | Kind::Deprecated | Kind::Ignored => true,
            };
            if !has_reason || !finding.diagnostic.what.contains('`') {
                wrong.push(finding.to_string().replace(&root(name, path), ""));
            }
        }
    }
    println!("keepalived -t   import");
    for ((code, outcome), count) in codes {
        let code = code.map_or("a signal".to_owned(), |code| format!("exit {code}"));
        println!("{code:15} {:20} {count:4}", outcome.name());
    }
    // Known ones: the list gets shorter, never longer.
    golden("import-complaints.txt", &wrong.join("\n"));
}
