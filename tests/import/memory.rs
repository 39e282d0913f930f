//! Files, directories and the environment in memory.

use std::collections::BTreeMap;
use vipd::config::keepalived::{Loader, Source};

/// Paths and what is in them; those that end with `*` may be executed.
#[derive(Debug, Default)]
pub struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    /// How many files were read.
    pub reads: usize,
}

impl Memory {
    pub fn new(files: &[(&str, &str)]) -> Self {
        Memory {
            files: files.iter().map(|(path, text)| (path.to_string(), text.as_bytes().to_vec())).collect(),
            reads: 0,
        }
    }

    pub fn of_bytes(path: &str, bytes: &[u8]) -> Self {
        Memory { files: BTreeMap::from([(path.to_owned(), bytes.to_vec())]), reads: 0 }
    }

    /// Adds a file.
    pub fn put(&mut self, path: &str, bytes: &[u8]) {
        self.files.insert(path.to_owned(), bytes.to_vec());
    }
}

impl Loader for Memory {
    fn read(&mut self, path: &str) -> Result<Source, String> {
        self.reads += 1;
        let executable = format!("{path}*");
        let found = self.files.get(path).map(|bytes| (bytes, false));
        match found.or_else(|| self.files.get(&executable).map(|bytes| (bytes, true))) {
            Some((bytes, is_executable)) => Ok(Source { bytes: bytes.clone(), is_executable }),
            None => Err("no such file".to_owned()),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        let prefix = match directory.trim_end_matches('/') {
            "." => String::new(),
            directory => format!("{directory}/"),
        };
        let inside = self.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        let mut names: Vec<String> = inside
            .filter_map(|path| path.split('/').next())
            .map(|name| name.trim_end_matches('*').to_owned())
            .collect();
        names.dedup();
        names.reverse(); // in any order
        Ok(names)
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        (name == "IF").then(|| "eth7".to_owned())
    }

    fn random(&mut self) -> u32 {
        1_000_005
    }

    fn directory(&mut self) -> String {
        "/here".to_owned()
    }
}
