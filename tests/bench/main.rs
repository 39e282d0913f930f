//! Benchmarks, by `tests/bench/run [--quick] [--without-keepalived]`: vipd beside Debian's keepalived,
//! medians of several runs, one table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod failover;
mod memory;
#[path = "../netns/mod.rs"]
mod netns;
mod size;
mod subject;
mod table;

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
    size::measure(&mut table);
    memory::measure(&mut table, &subjects, quick);
    failover::measure(&mut table, &subjects, quick);
    table.print();
}
