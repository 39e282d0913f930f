//! Benchmarks, by `tests/bench/run [--quick] [--without-keepalived] [--only=PART]`: vipd beside Debian's
//! keepalived, medians of several runs, one table. A part is size, memory, failover, lateness, flood,
//! crowd, servers or ipvs.

#![allow(unreachable_pub, reason = "a program of several files")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod crowd;
mod failover;
mod flood;
mod ipvs;
mod memory;
#[path = "../netns/mod.rs"]
mod netns;
mod servers;
mod sick;
mod size;
mod subject;
mod table;
mod who;

use subject::Subject;
use table::Table;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    if let Some(why) = netns::obstacle() {
        println!("SKIPPED benchmarks: {why}");
        return;
    }
    let theirs = Subject::Keepalived.is_there();
    if !theirs {
        println!("keepalived is not installed (Debian: keepalived): its column stays empty");
    }
    let only = |subject: Subject| !arguments.contains(&format!("--without-{subject}"));
    let mut subjects = if theirs { vec![Subject::Vipd, Subject::Keepalived] } else { vec![Subject::Vipd] };
    subjects.retain(|s| only(*s));
    let mut table = Table::new();
    let parts: [(&str, Part); 8] = [
        ("size", |table, _, _| size::measure(table)),
        ("memory", memory::measure),
        ("failover", failover::measure),
        ("lateness", failover::measure_lateness),
        ("flood", flood::measure),
        ("crowd", crowd::measure),
        ("servers", servers::measure),
        ("ipvs", ipvs::measure),
    ];
    let chosen: Vec<&str> = arguments.iter().filter_map(|a| a.strip_prefix("--only=")).collect();
    for (name, part) in parts {
        if chosen.is_empty() || chosen.contains(&name) {
            part(&mut table, &subjects, quick);
        }
    }
    table.print();
}

/// Measures both daemons, or less of it when it has to be quick.
type Part = fn(&mut Table, &[Subject], bool);
