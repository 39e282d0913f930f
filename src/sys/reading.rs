//! A configuration file of either kind: vipd's own, or a keepalived.conf.

use super::file::read_key;
#[cfg(feature = "import")]
use super::import::Files;
use crate::config;
#[cfg(feature = "import")]
use crate::config::keepalived::{Loader, Options, Source};
use crate::model::{Config, Level};
use std::path::Path;

/// What a file holds.
#[derive(Debug)]
pub struct Reading {
    /// `None` where it is refused.
    pub config: Option<Config>,
    /// What there is to say about it, one line each.
    pub findings: Vec<(Level, String)>,
}

/// Reads a configuration from the bytes of the file `path`; a keepalived.conf, known by what is in it, as
/// what `vipd import` would make of it, with the files that it includes. `config_id` is for its lines with
/// `@`: the host's name up to the first dot where nothing is said. `breathe` is called now and then.
pub fn read(bytes: Vec<u8>, path: &Path, config_id: Option<&str>, breathe: &mut dyn FnMut()) -> Reading {
    let name = path.display().to_string();
    #[cfg(feature = "import")]
    if config::keepalived::looks_like_keepalived(&bytes) {
        return taken_over(import(bytes, &name, config_id, breathe), &name);
    }
    let _ = config_id;
    let (config, findings) = config::parse_file(&bytes, &name, &read_key, breathe);
    let mut lines: Vec<(Level, String)> = findings.iter().map(|f| (f.level, f.to_string())).collect();
    left_out(&name, findings.left_out(), &mut lines);
    Reading { config, findings: lines }
}

/// Makes TOML of the keepalived.conf `name`, whose bytes are read already, and of what it includes; otherwise
/// as [`read`].
#[cfg(feature = "import")]
pub fn import(
    bytes: Vec<u8>,
    name: &str,
    config_id: Option<&str>,
    breathe: &mut dyn FnMut(),
) -> config::keepalived::Import {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let config_id = config_id.unwrap_or_else(|| host.split('.').next().unwrap_or(""));
    let mut loader = First { name, bytes: Some(bytes), rest: Files::new() };
    config::keepalived::import_file(name, &mut loader, Options { config_id }, &read_key, breathe)
}

/// The files of this machine, of which the first has been read already: it may be a pipe.
#[cfg(feature = "import")]
struct First<'f> {
    name: &'f str,
    bytes: Option<Vec<u8>>,
    rest: Files,
}

#[cfg(feature = "import")]
impl Loader for First<'_> {
    fn read(&mut self, path: &str) -> Result<Source, String> {
        match self.bytes.take_if(|_| path == self.name) {
            Some(bytes) => Ok(Source { bytes, is_executable: false }),
            None => self.rest.read(path),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        self.rest.list(directory)
    }

    fn directory(&mut self) -> String {
        self.rest.directory()
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        self.rest.environment(name)
    }

    fn random(&mut self) -> u32 {
        self.rest.random()
    }
}

#[cfg(feature = "import")]
fn taken_over(import: config::keepalived::Import, name: &str) -> Reading {
    let findings = import.findings.iter().map(|f| (f.diagnostic.level, f.to_string()));
    let mut lines: Vec<(Level, String)> = findings.collect();
    left_out(name, import.left_out, &mut lines);
    let config = import.config.filter(|_| import.is_readable);
    if config.is_none() {
        let what = "this keepalived.conf cannot be taken as it is. \"vipd import\" makes a TOML file of it, \
                    in which what is missing can be put right.";
        lines.push((Level::Error, format!("{name}: error: {what}")));
    }
    Reading { config, findings: lines }
}

fn left_out(name: &str, count: usize, lines: &mut Vec<(Level, String)>) {
    if count > 0 {
        lines.push((Level::Warning, format!("{name}: {count} more findings are not shown")));
    }
}
