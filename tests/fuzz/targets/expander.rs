//! Any files: conditions, definitions, repetitions, includes; and the tree.

#![no_main]

#[path = "../../import/memory.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod memory;

use libfuzzer_sys::fuzz_target;
use memory::Memory;
use vipd::config::keepalived::{Options, outline};

fuzz_target!(|bytes: &[u8]| {
    // Three files, divided by a byte that no text has.
    let mut memory = Memory::default();
    for (path, part) in ["main.conf", "a.conf", "d/b.conf"].iter().zip(bytes.split(|byte| *byte == 0xff)) {
        memory.put(path, part);
    }
    let (_, findings) = outline("main.conf", &mut memory, Options { config_id: "main" });
    assert!(findings.iter().all(|finding| !finding.diagnostic.what.is_empty()));
});
