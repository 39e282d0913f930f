//! A file that is a text, and nothing else, for tests.

use super::{Loader, Source};

pub(super) struct Memory<'m>(pub(super) &'m str);

impl Loader for Memory<'_> {
    fn read(&mut self, _path: &str) -> Result<Source, String> {
        Ok(Source { bytes: self.0.into(), is_executable: false })
    }

    fn list(&mut self, _directory: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn environment(&mut self, _name: &str) -> Option<String> {
        None
    }

    fn random(&mut self) -> u32 {
        4
    }
}
