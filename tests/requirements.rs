//! Every requirement of protocols §1 to §7 that says MUST, all of §8 (probes) and every bad input of §10.1 is
//! named by a test, or excused here with its reason. Without this one could be forgotten, and nobody would
//! see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The ids, as the specification has them: what says MUST, and every row of the receive ladder, of the
/// transitions, and of the attributes and results of IPVS. The specification is not part of this repository,
/// so they are kept here.
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
    IPVS-1 IPVS-4 IPVS-46 IPVS-47 IPVS-48 IPVS-54 IPVS-56 IPVS-60 IPVS-65 IPVS-80 IPVS-90
    IPVS-20 IPVS-21 IPVS-21a IPVS-22 IPVS-23 IPVS-23a IPVS-24 IPVS-25 IPVS-26 IPVS-26a IPVS-26b IPVS-26c
    IPVS-30 IPVS-30a IPVS-30b IPVS-30c IPVS-30d IPVS-30e IPVS-30f IPVS-30g IPVS-30h IPVS-30i IPVS-30j IPVS-30k
    IPVS-40 IPVS-40a IPVS-40b IPVS-40c IPVS-40d IPVS-40e IPVS-40f IPVS-41 IPVS-42 IPVS-42a IPVS-43 IPVS-43a
    IPVS-43b IPVS-43c IPVS-43d IPVS-44 IPVS-44a IPVS-44b IPVS-44c IPVS-45 IPVS-45a IPVS-45b IPVS-45c IPVS-45d
    IPVS-45e
    HC-1 HC-2 HC-3 HC-4 HC-5 HC-6 HC-10 HC-11 HC-12 HC-13 HC-14 HC-15 HC-20 HC-25 HC-26 HC-30 HC-31 HC-32
    HC-35 HC-36 HC-40 HC-45 HC-46
    BFD-1 BFD-2 BFD-3 BFD-4 BFD-5 BFD-6 BFD-7 BFD-8 BFD-9
    B-1 B-2 B-3 B-4 B-5 B-6 B-7 B-8 B-9 B-10 B-11 B-12 B-13 B-14 B-15 B-16 B-17 B-18 B-19 B-20 B-21 B-22 B-23
    B-24 B-25 B-26 B-27 B-28 B-29 B-30 B-31 B-32 B-33 B-34 B-35 B-36 B-37 B-38 B-39 B-40 B-41 B-42 B-43 B-44
    B-45 B-46 B-47 B-48 B-49 B-50 B-51 B-52 B-53 B-54 B-55 B-56 B-57 B-58 B-59 B-60 B-61 B-62 B-63 B-64 B-65
    B-66 B-67 B-68 B-69 B-70 B-71 B-72 B-75 B-76 B-77 B-78 B-79 B-80 B-81 B-82 B-83 B-84 B-85 B-86 B-87 B-88
    B-89 B-90 B-91 B-92 B-93 B-95 B-96 B-97 B-98 B-99 B-100 B-101 B-102 B-103 B-105 B-106 B-107 B-108 B-109
    B-110 B-111 B-112 B-113 B-114 B-115 B-116 B-117 B-118 B-120 B-121 B-122 B-123 B-124 B-125
";

const NO_BFD: &str =
    "vipd has no BFD: the importer says so of each of its keywords, and what to take instead";

/// What no test of ours can show: (id, why).
const EXCUSED: &[(&str, &str)] = &[
    ("PKT-21", "the daemon forwards nothing, and no Linux kernel forwards what goes to a group of one link"),
    (
        "SOCK-10a",
        "it is about sockets for every ethertype (design A); ours are bound to IPv4 or IPv6 (design B)",
    ),
    ("BFD-1", NO_BFD),
    ("BFD-2", NO_BFD),
    ("BFD-3", NO_BFD),
    ("BFD-4", NO_BFD),
    ("BFD-5", NO_BFD),
    ("BFD-6", NO_BFD),
    ("BFD-7", NO_BFD),
    ("BFD-8", NO_BFD),
    ("BFD-9", NO_BFD),
    ("B-124", NO_BFD),
];

#[test]
fn every_requirement_is_named_by_a_test_or_excused() {
    let named = named();
    let missing: Vec<&str> = ids().filter(|id| !named.contains(*id) && !is_excused(id)).collect();
    assert!(missing.is_empty(), "no test names {}: {}", missing.len(), missing.join(" "));
}

#[test]
fn excuses_are_needed_and_reasoned() {
    let named = named();
    for (id, why) in EXCUSED {
        assert!(ids().any(|known| known == *id), "{id} is excused and no requirement");
        assert!(why.len() > 20, "{id}: `{why}` is no reason");
        assert!(!named.contains(*id), "{id} is named by a test by now: take its excuse out");
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
        theirs.len() > 300,
        "only {} requirements found: the specification looks different",
        theirs.len()
    );
}

/// What a scan for names takes for one.
#[test]
fn a_name_is_a_whole_name() {
    let named = |text: &str| {
        let mut found = BTreeSet::new();
        names(text, &mut found);
        found.contains("PKT-2")
    };
    for text in
        ["fn pkt_2_layout() {", "\"PKT-2: layout\"", "rx_1_pkt_2()", "(PKT-2)", "fn pkt2_x()", "a1 pkt2"]
    {
        assert!(named(text), "{text}");
    }
    for text in
        ["PKT-26", "fn pkt_20_x()", "fn pkt22()", "XPKT-2", "PKT-1", "PKT 2", "PKT-2a", "2PKT-2", "Pkt-2"]
    {
        assert!(!named(text), "{text}");
    }
}

fn ids() -> impl Iterator<Item = &'static str> {
    MUST.split_whitespace()
}

fn is_excused(id: &str) -> bool {
    EXCUSED.iter().any(|(excused, _)| *excused == id)
}

/// The ids that a text names: as `PKT-2`, or as `pkt_2` or `pkt2` in the name of a function.
fn names(text: &str, found: &mut BTreeSet<String>) {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let is_word = rest[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        rest = &rest[at..];
        let len = |text: &str, is_it: fn(&char) -> bool| text.chars().take_while(is_it).count();
        let letters = len(rest, char::is_ascii_alphabetic);
        let (kind, after) = rest.split_at(letters);
        rest = after;
        let between = ['-', '_'].into_iter().find(|c| after.starts_with(*c));
        let number = after.strip_prefix(['-', '_']).unwrap_or(after);
        let digits = len(number, char::is_ascii_digit);
        let (number, after) = number.split_at(digits);
        let suffix = len(after, char::is_ascii_lowercase);
        let ends = after[suffix..].chars().next().is_none_or(|next| !next.is_alphanumeric());
        let is_cased = match between {
            Some('-') => kind.chars().all(|c| c.is_ascii_uppercase()),
            Some(_) | None => kind.chars().all(|c| c.is_ascii_lowercase()),
        };
        if is_word && ends && is_cased && digits > 0 && suffix < 2 {
            found.insert(format!("{}-{number}{}", kind.to_uppercase(), &after[..suffix]));
        }
    }
}

/// All ids that tests name, this one left out.
fn named() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut found, mut count) = (Vec::new(), BTreeSet::new(), 0);
    for folder in ["src", "tests"] {
        walk(&root.join(folder), "rs", &mut files);
    }
    // Lists of cases, which tests read.
    walk(&root.join("tests/golden"), "txt", &mut files);
    for file in files {
        let relative = file.strip_prefix(root).unwrap().display().to_string();
        if relative == "tests/requirements.rs" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let start = if relative.contains("tests") { Some(0) } else { text.find("#[cfg(test)]\nmod tests {") };
        if let Some(start) = start {
            names(&text[start..], &mut found);
            count += 1;
        }
    }
    assert!(count > 50, "only {count} files with tests found");
    found
}

fn walk(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, ending, files);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            files.push(path);
        }
    }
}

/// The ids of sections 1 to 7 that say MUST (list entries with their continuation lines, and the rows of
/// tables), all entries of section 8, and the bad inputs of section 10.
fn read(specification: &str) -> BTreeSet<String> {
    let (mut found, mut section, mut entry) = (BTreeSet::new(), "", None);
    for line in specification.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.split('.').next().unwrap_or_default();
        }
        if section == "10" {
            let ids = line.split('`').filter_map(|text| text.strip_prefix("B-"));
            let ids = ids.filter(|number| number.parse::<u32>().is_ok());
            found.extend(ids.map(|number| format!("B-{number}")));
        }
        if !["1", "2", "3", "4", "5", "6", "7", "8"].contains(&section) {
            continue;
        }
        if let Some((id, _)) = line.strip_prefix("- `").and_then(|rest| rest.split_once('`')) {
            entry = Some(id);
        } else if !line.starts_with("  ") {
            entry = None;
        }
        let row = line.strip_prefix("| ").and_then(|rest| rest.split_once(' ')).map(|(id, _)| id);
        if let Some(id) = row.filter(|id| ["RX-", "FSM-", "IPVS-"].iter().any(|kind| id.starts_with(kind))) {
            found.insert(id.to_string());
        }
        let is_must = section == "8" || line.split(|c: char| !c.is_alphanumeric()).any(|w| w == "MUST");
        if let Some(id) = entry.filter(|_| is_must) {
            found.insert(id.to_string());
        }
    }
    found
}
