//! Bytes on flash, as installed.

use super::{Subject, Table, netns};
use std::path::Path;
use std::process::Command;

pub fn measure(table: &mut Table) {
    let ours = netns::vipd_binary();
    table.put("binary, dynamic", Subject::Vipd, bytes(&ours), "stripped, as the release profile makes it");
    table.put("binary and its libraries", Subject::Vipd, bytes_with_libraries(&ours), "libc and all, by ldd");
    if let Some(path) = std::env::var_os("VIPD_STATIC") {
        table.put("binary, static", Subject::Vipd, bytes(Path::new(&path)), "glibc; musl is smaller");
    }
    let theirs = Path::new("/usr/sbin/keepalived");
    if theirs.exists() {
        table.put("binary, dynamic", Subject::Keepalived, bytes(theirs), "");
        table.put("binary and its libraries", Subject::Keepalived, bytes_with_libraries(theirs), "");
    }
}

fn bytes(path: &Path) -> String {
    std::fs::metadata(path).map_or("-".to_string(), |m| format!("{} kB", m.len().div_ceil(1024)))
}

fn bytes_with_libraries(path: &Path) -> String {
    let output = Command::new("ldd").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|w| w.starts_with('/'));
    let sizes = libraries.filter_map(|l| std::fs::metadata(l).ok()).map(|m| m.len());
    let own = std::fs::metadata(path).map_or(0, |m| m.len());
    format!("{} kB", (own + sizes.sum::<u64>()).div_ceil(1024))
}
