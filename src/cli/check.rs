//! `vipd check`: is this a configuration that `vipd run` would take?

use super::output::{complain, print};
use crate::limits;
use crate::model::Config;
use crate::sys::programs;
use crate::sys::reading;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Findings on standard error, one per line; on standard output what the configuration holds. 0 valid, 1 not.
pub(super) fn check(path: &Path, config_id: Option<&str>) -> u8 {
    let name = path.display().to_string();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            complain(&format!("{name}: error: cannot be read: {error}"));
            return 1;
        }
    };
    let reading = reading::read(bytes, path, config_id, &mut || {});
    for (_, finding) in &reading.findings {
        complain(finding);
    }
    match reading.config {
        Some(config) => {
            for finding in programs::findings(&config) {
                complain(&format!("{name}: warning: {finding}."));
            }
            print(&format!("{name} is valid: {}\n", contents(&config)));
            0
        }
        None => 1,
    }
}

/// At most a byte more than a configuration may have: whoever parses it refuses that, and `/dev/zero` has an
/// end.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::CONFIG_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn contents(config: &Config) -> String {
    let servers = config.services.iter().map(|s| s.servers.len()).sum();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    // Groups and trackers only where there are some.
    let few = [(config.groups.len(), "sync group"), (config.tracks.len(), "tracker")];
    let few = few.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{}, ", count(n, what)));
    format!(
        "{}, {}{}, {}",
        count(config.instances.len(), "instance"),
        few.collect::<String>(),
        count(config.services.len(), "service"),
        count(servers, "server")
    )
}
