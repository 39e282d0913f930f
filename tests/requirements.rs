//! Every requirement of protocols §1 to §4, §6 and §7 that says MUST is named by a test, or excused here with
//! its reason. Without this a requirement could be forgotten, and nobody would see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The ids, as the specification has them: what says MUST, and every row of the receive ladder and of the
/// transitions. The specification is not part of this repository, so they are kept here.
const MUST: &str = "
    PKT-1 PKT-2 PKT-3 PKT-5 PKT-6 PKT-10 PKT-11 PKT-12 PKT-13 PKT-14 PKT-20 PKT-21 PKT-23 PKT-25 PKT-26
    PKT-27 PKT-30 PKT-35 PKT-36 PKT-51
    RX-1 RX-2 RX-3 RX-4 RX-5 RX-6 RX-7 RX-8 RX-9 RX-10 RX-11 RX-12 RX-13 RX-14 RX-15 RX-16 RX-17 RX-18 RX-19
    RX-20 RX-21 RX-30 RX-32
    FSM-1 FSM-2 FSM-3 FSM-4 FSM-5 FSM-7 FSM-10 FSM-11 FSM-12 FSM-13 FSM-14 FSM-15 FSM-16 FSM-17 FSM-18
    FSM-19 FSM-20 FSM-21 FSM-30 FSM-36 FSM-37 FSM-38 FSM-46
    VMAC-1 VMAC-2 VMAC-10 VMAC-13 VMAC-17 VMAC-18 VMAC-20 VMAC-21 VMAC-30 VMAC-32
    ARP-1 ARP-2 ARP-4 ARP-5 ARP-30 ARP-31 ARP-33 ARP-35 ARP-43
    RTNL-2 RTNL-3 RTNL-4 RTNL-5 RTNL-20 RTNL-25 RTNL-27 RTNL-33 RTNL-41 RTNL-43 RTNL-50
    SOCK-2 SOCK-10a SOCK-12 SOCK-13 SOCK-21 SOCK-22 SOCK-23 SOCK-30 SOCK-31
";

/// What no test of ours can show: (id, why).
const EXCUSED: &[(&str, &str)] = &[
    ("PKT-21", "the daemon forwards nothing, and no Linux kernel forwards what goes to a group of one link"),
    (
        "SOCK-10a",
        "it is about sockets for every ethertype (design A); ours are bound to IPv4 or IPv6 (design B)",
    ),
];

#[test]
fn every_requirement_is_named_by_a_test_or_excused() {
    let tests = tests();
    let missing: Vec<&str> = ids().filter(|id| !is_named(id, &tests) && !is_excused(id)).collect();
    assert!(missing.is_empty(), "no test names {}: {}", missing.len(), missing.join(" "));
}

#[test]
fn excuses_are_needed_and_reasoned() {
    let tests = tests();
    for (id, why) in EXCUSED {
        assert!(ids().any(|known| known == *id), "{id} is excused and no requirement");
        assert!(why.len() > 20, "{id}: `{why}` is no reason");
        assert!(!is_named(id, &tests), "{id} is named by a test by now: take its excuse out");
    }
}

/// Where the specification lies beside the repository, the table is held against it.
#[test]
fn the_table_is_that_of_the_specification() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path =
        std::env::var_os("VIPD_SPEC").map_or_else(|| root.join("../shared/spec/protocols.md"), PathBuf::from);
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: no specification at {}", path.display());
        return;
    };
    let (ours, theirs): (BTreeSet<String>, _) = (ids().map(str::to_string).collect(), read(&text));
    let lost: Vec<_> = theirs.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(lost.is_empty() && invented.is_empty(), "not in the table: {lost:?}; not there: {invented:?}");
    assert!(
        theirs.len() > 100,
        "only {} requirements found: the specification looks different",
        theirs.len()
    );
}

/// What a scan for names takes for one.
#[test]
fn a_name_is_a_whole_name() {
    let named = |text: &str| is_named("PKT-2", &[text.to_string()]);
    for text in ["fn pkt_2_layout() {", "\"PKT-2: layout\"", "rx_1_pkt_2()", "(PKT-2)", "fn pkt2_x()"] {
        assert!(named(text), "{text}");
    }
    for text in ["PKT-26", "fn pkt_20_x()", "fn pkt22()", "XPKT-2", "PKT-1", "PKT 2"] {
        assert!(!named(text), "{text}");
    }
}

fn ids() -> impl Iterator<Item = &'static str> {
    MUST.split_whitespace()
}

fn is_excused(id: &str) -> bool {
    EXCUSED.iter().any(|(excused, _)| *excused == id)
}

/// As `PKT-2` in a text, or as `pkt_2` or `pkt2` in the name of a function.
fn is_named(id: &str, tests: &[String]) -> bool {
    let in_names = ["_", ""].map(|between| id.to_lowercase().replace('-', between));
    let has = |text: &str, name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
    };
    tests.iter().any(|text| has(text, id) || in_names.iter().any(|name| has(text, name)))
}

/// The text of all tests but this one.
fn tests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut texts) = (Vec::new(), Vec::new());
    for folder in ["src", "tests"] {
        walk(&root.join(folder), &mut files);
    }
    for file in files {
        let relative = file.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        if relative == "tests/requirements.rs" {
            continue;
        }
        if relative.contains("tests") {
            texts.push(text);
        } else if let Some(at) = text.find("#[cfg(test)]\nmod tests {") {
            texts.push(text[at..].to_string());
        }
    }
    assert!(texts.len() > 50, "only {} files with tests found", texts.len());
    texts
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The ids of sections 1 to 4, 6 and 7 that say MUST: list entries with their continuation lines, and the
/// rows of the two tables.
fn read(specification: &str) -> BTreeSet<String> {
    let (mut found, mut section, mut entry) = (BTreeSet::new(), "", None);
    for line in specification.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.split('.').next().unwrap_or_default();
        }
        if !["1", "2", "3", "4", "6", "7"].contains(&section) {
            continue;
        }
        if let Some((id, _)) = line.strip_prefix("- `").and_then(|rest| rest.split_once('`')) {
            entry = Some(id);
        } else if !line.starts_with("  ") {
            entry = None;
        }
        let row = line.strip_prefix("| ").and_then(|rest| rest.split_once(' ')).map(|(id, _)| id);
        if let Some(id) = row.filter(|id| id.starts_with("RX-") || id.starts_with("FSM-")) {
            found.insert(id.to_string());
        }
        if let Some(id) = entry.filter(|_| line.split(|c: char| !c.is_alphanumeric()).any(|w| w == "MUST")) {
            found.insert(id.to_string());
        }
    }
    found
}
