//! `vipd import`: a keepalived.conf as vipd's own TOML.

use super::EXIT_USAGE;
use super::arguments::ImportOptions;
use super::check::read;
use super::output::{complain, print};
use crate::config::keepalived::Import;
use crate::model::Level;
use crate::sys::file::replace_config;
use crate::sys::reading;
use std::path::Path;

/// TOML where it was asked for, findings on standard error, one per line, and at last their numbers. 0:
/// everything that matters is there; 1: something that changes behaviour is not; 2: not readable as a
/// keepalived.conf, or nothing could be written.
pub(super) fn import(options: &ImportOptions) -> u8 {
    let from = options.from.as_path();
    let name = from.display().to_string();
    if let Some(to) = &options.to
        && is_same(from, to)
    {
        complain(&format!("vipd import: {} is what is read; choose another file", to.display()));
        return EXIT_USAGE;
    }
    let bytes = match read(from) {
        Ok(bytes) => bytes,
        Err(error) => {
            complain(&format!("{name}: error: cannot be read: {error}"));
            return EXIT_USAGE;
        }
    };
    let import = reading::import(bytes, &name, options.config_id.as_deref(), &mut || {});
    for finding in &import.findings {
        complain(&finding.to_string());
    }
    let is_written = import.is_readable && !(options.strict && import.has_errors);
    let written = if is_written { write(&import.text, options.to.as_deref()) } else { Ok(()) };
    complain(&format!("{name}: {}", summary(&import)));
    match written {
        Err(why) => {
            complain(&why);
            EXIT_USAGE
        }
        Ok(()) if !import.is_readable => EXIT_USAGE,
        Ok(()) if import.has_errors => {
            if !is_written {
                complain("Nothing is written: --strict.");
            }
            1
        }
        Ok(()) => 0,
    }
}

fn write(text: &str, to: Option<&Path>) -> Result<(), String> {
    match to {
        Some(path) => {
            replace_config(path, text.as_bytes()).map_err(|e| format!("{}: error: {e}", path.display()))
        }
        None if print(text) => Ok(()),
        None => Err("vipd import: standard output does not take it all".to_owned()),
    }
}

/// "3 notes, 1 warning, 0 errors"
fn summary(import: &Import) -> String {
    let count = |level: Level, word: &str| {
        let n = import.findings.iter().filter(|finding| finding.diagnostic.level == level).count();
        format!("{n} {word}{}", if n == 1 { "" } else { "s" })
    };
    let mut text = [(Level::Note, "note"), (Level::Warning, "warning"), (Level::Error, "error")]
        .map(|(level, word)| count(level, word))
        .join(", ");
    if import.left_out > 0 {
        text.push_str(&format!("; {} more are not shown", import.left_out));
    }
    text
}

/// Are both names of one file?
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
