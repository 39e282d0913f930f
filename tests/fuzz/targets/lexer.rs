//! Any bytes: lines, comments, quotes, braces, words; and which format it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vipd::config::keepalived::{count_pieces, looks_like_keepalived};

fuzz_target!(|bytes: &[u8]| {
    let pieces = count_pieces(bytes);
    assert!(pieces <= bytes.len(), "more pieces than bytes");
    let _ = looks_like_keepalived(bytes);
});
