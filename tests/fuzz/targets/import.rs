//! A whole import: what has no errors passes `config::parse`.

#![no_main]

#[path = "../../import/memory.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod memory;

use libfuzzer_sys::fuzz_target;
use memory::Memory;
use vipd::config::keepalived::{Options, import};

fuzz_target!(|bytes: &[u8]| {
    let done = import("main.conf", &mut Memory::of_bytes("main.conf", bytes), Options { config_id: "main" });
    assert!(done.is_readable || done.has_errors, "silence");
    assert!(done.has_errors || vipd::config::parse(&done.text, "f").0.is_some(), "{}", done.text);
});
