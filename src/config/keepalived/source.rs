//! Where the files come from.

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its bytes; of a file longer than [`crate::limits::CONFIG_BYTES_MAX`] up to there, or one more.
    pub bytes: Vec<u8>,
    /// Has it an execute permission? (keepalived skips such an included file.)
    pub is_executable: bool,
}

/// Files, directories and the environment, as they are on this machine or in a test's memory. Paths are as
/// they are written, relative ones already joined to the directory of the including file.
pub trait Loader {
    /// A file's bytes, or why not.
    fn read(&mut self, path: &str) -> Result<Source, String>;
    /// Names in a directory, in any order, without `.` and `..`, or why not.
    fn list(&mut self, directory: &str) -> Result<Vec<String>, String>;
    /// A variable of the environment (`${_ENV NAME}`).
    fn environment(&mut self, name: &str) -> Option<String>;
    /// A number that is hard to guess (`${_RANDOM}`).
    fn random(&mut self) -> u32;
    /// The working directory (`${_PWD}` of a file without a path); empty where it is not known.
    fn directory(&mut self) -> String {
        String::new()
    }
}

/// Where something stands. Line 0: the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Index in [`super::tree::Tree::files`], in the order of their first reading.
    pub(crate) file: u16,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1; that of the line's first word where the word came out of a substitution.
    pub(crate) column: u32,
}
