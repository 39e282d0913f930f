//! The interoperability table: vipd beside Debian's keepalived and FRR, every combination that can be, each
//! row on its own wire. What was seen is compared with `tests/golden/interop.txt`; `VIPD_BLESS=1` rewrites
//! that, and `VIPD_INTEROP=TEXT` plays only the rows that contain the text.

#![allow(unreachable_pub, reason = "a program of several files")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod combination;
mod life;
#[path = "../netns/mod.rs"]
mod netns;
mod router;
mod table;

use combination::{Combination, Peer};
use life::{Life, Seen, Stage};
use netns::{Frr, Keepalived, Lan};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use table::Cells;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/interop.txt");
/// Pairs at one time: they wait more than they work.
const PAIRS: usize = 48;
/// A busy machine may spoil a run; a daemon that cannot do it spoils every one.
const TRIES: usize = 4;

/// INT-32: the table in the tree is what was seen.
#[test]
fn interoperability_is_as_the_golden_table_says() {
    let obstacle = netns::obstacle().or_else(Keepalived::obstacle).or_else(Frr::obstacle);
    if let Some(why) = obstacle {
        netns::skip::<()>(why);
        return;
    }
    let wanted = std::env::var("VIPD_INTEROP").unwrap_or_default();
    let rows: Vec<Combination> = Combination::all()
        .into_iter()
        .filter(|row| row.impossible().is_none() && row.to_string().contains(&wanted))
        .collect();
    let seen = table::render(&peers(), &rows, &play_all(&rows));
    println!("{seen}");
    if wanted.is_empty() && std::env::var_os("VIPD_BLESS").is_some() {
        std::fs::write(GOLDEN, &seen).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let differs: Vec<&str> = seen.lines().filter(|l| !golden.lines().any(|g| same(g, l))).collect();
    let complete = !wanted.is_empty() || seen.lines().count() == golden.lines().count();
    assert!(differs.is_empty() && complete, "not in {GOLDEN}:\n{}", differs.join("\n"));
}

/// Column widths depend on the rows that were played.
fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// One life of one row.
type Job = (Combination, Life, bool);

fn play_all(rows: &[Combination]) -> Cells {
    let mut jobs: Vec<Job> = Vec::new();
    for life in Life::ALL {
        jobs.extend(rows.iter().flat_map(|row| [true, false].map(|ours_is_a| (*row, life, ours_is_a))));
    }
    // v2 has whole seconds: what takes longest begins first.
    jobs.sort_by_key(|(row, life, _)| (row.version, *life));
    let jobs = Mutex::new(jobs.into_iter());
    let cells = Mutex::new(Cells::new());
    std::thread::scope(|scope| {
        for _ in 0..PAIRS {
            scope.spawn(|| {
                loop {
                    let Some(job) = jobs.lock().unwrap().next() else { break };
                    let words = play(job);
                    let (row, life, ours_is_a) = job;
                    let mut cells = cells.lock().unwrap();
                    for column in life.columns() {
                        let word = words.as_ref().and_then(|w| w.iter().find(|(c, _)| c == column));
                        let word = word.map_or("FAILED", |(_, word)| word);
                        cells.entry((row, *column)).or_default()[usize::from(!ours_is_a)] = Some(word.into());
                    }
                }
            });
        }
    });
    cells.into_inner().unwrap()
}

/// What was seen; `None` when it never came to its end. What is not the usual is worth another try.
fn play((row, life, ours_is_a): Job) -> Option<Seen> {
    let mut seen = None;
    for attempt in 1..=TRIES {
        let lan = if row.ipv6 { Lan::dual() } else { Lan::new() };
        let stage = Stage { lan: &lan, row, ours_is_a };
        seen = catch_unwind(AssertUnwindSafe(|| stage.play(life))).ok();
        let good = |s: &Seen| s.iter().all(|(column, word)| *word == column.usual(row.version));
        if seen.as_ref().is_some_and(good) {
            break;
        }
        let above = if ours_is_a { "vipd" } else { "peer" };
        eprintln!("try {attempt}: {row} {life:?}, {above} above: {seen:?}");
        lan.tell();
    }
    seen
}

fn peers() -> String {
    // "Keepalived v2.2.7 (01/16,2022)" on standard error, "vrrpd version 8.4.4".
    let version = |command: &str| {
        let output = Command::new(command).arg("--version").output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let word = text
            .split_whitespace()
            .find(|w| w.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
        word.unwrap_or("?").trim_start_matches('v').to_string()
    };
    let name = |peer| match peer {
        Peer::Keepalived => format!("keepalived {}", version("keepalived")),
        Peer::Frr => format!("FRR {}", version("/usr/lib/frr/vrrpd")),
    };
    format!("{} and {}", name(Peer::Keepalived), name(Peer::Frr))
}
