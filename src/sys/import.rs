//! Files and the environment of this machine, for the importer.

use super::file::{open_regular, read_small};
use crate::config::keepalived::{Loader, Source};
use crate::limits;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Names of a directory that are looked at.
const NAMES_MAX: usize = 10_000;

/// Reads regular files alone: a FIFO or a terminal would make the loop wait (law 1).
#[derive(Debug, Default)]
pub struct Files;

impl Files {
    /// This machine's.
    pub fn new() -> Self {
        Files
    }
}

impl Loader for Files {
    fn read(&mut self, path: &str) -> Result<Source, String> {
        let path = Path::new(path);
        let read = || -> io::Result<Source> {
            let mode = open_regular(path)?.metadata()?.permissions().mode();
            let bytes = read_small(path, limits::CONFIG_BYTES_MAX + 1)?;
            Ok(Source { bytes, is_executable: mode & 0o111 != 0 })
        };
        read().map_err(|e| e.to_string())
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        let entries = std::fs::read_dir(directory).map_err(|e| e.to_string())?;
        // What is no text can be matched by no pattern.
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.take(NAMES_MAX).collect())
    }

    fn directory(&mut self) -> String {
        std::env::current_dir()
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
            .unwrap_or_default()
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn random(&mut self) -> u32 {
        let mut bytes = [0; 4];
        // Without it keepalived's own number would not be hard to guess either.
        let filled = open_random().and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes));
        filled.map_or_else(|_| std::process::id(), |()| u32::from_ne_bytes(bytes))
    }
}

fn open_random() -> io::Result<std::fs::File> {
    std::fs::File::open("/dev/urandom")
}
