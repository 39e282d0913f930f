//! Lines in a file of the run-time directory, for the next run: they outlive a crash, and not a reboot.
//!
//! What they speak of is in the kernel and goes with it, so the file says of which boot it is. It is written
//! in one step, and there is none where there is nothing to say. Never on flash (law 7): it lies beside the
//! control socket.

use super::file;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub(super) struct Record {
    file: PathBuf,
    /// First line of the file: which boot it is.
    head: String,
    /// It has been said once that it cannot be written as it should be.
    pub(super) is_warned: bool,
}

impl Record {
    /// Nothing is read or written yet.
    pub(super) fn new(file: PathBuf) -> Self {
        Record { file, head: head(), is_warned: false }
    }

    /// What `parse` makes of the lines that an earlier run of this boot left. A file of more than `most`
    /// bytes, or one that cannot be read in whole, is not believed at all: that is logged, with `lost`, what
    /// comes of it.
    pub(super) fn recall<T: Default>(
        &self,
        most: usize,
        parse: impl FnOnce(&str) -> Option<T>,
        lost: &str,
    ) -> T {
        let text = self.read(most).map_err(|e| e.to_string());
        text.and_then(|text| parse(&text).ok_or_else(|| "it is damaged".to_owned())).unwrap_or_else(|why| {
            log::warn!("{}: {why}; {lost}", self.file.display());
            T::default()
        })
    }

    /// As [`Record::write`]; where that fails, it is logged with `lost`.
    pub(super) fn keep(&mut self, lines: &str, lost: &str) {
        if let Err(e) = self.write(lines) {
            self.warn(format_args!("{e}; {lost}"));
        }
    }

    /// Says once what is wrong with it.
    pub(super) fn warn(&mut self, why: core::fmt::Arguments<'_>) {
        if !core::mem::replace(&mut self.is_warned, true) {
            log::warn!("{}: {why}", self.file.display());
        }
    }

    /// The lines that an earlier run of this boot left; empty where there is no file.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where it has more than `most` bytes.
    pub(super) fn read(&self, most: usize) -> io::Result<String> {
        let most = most.saturating_add(self.head.len());
        let bytes = match file::read_own(&self.file, most.saturating_add(1)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(String::new()),
            other => other?,
        };
        if bytes.len() > most {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is too long"));
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.strip_prefix(&self.head).unwrap_or_default().to_owned())
    }

    /// Writes the file anew, in one step; without a line it goes.
    ///
    /// # Errors
    /// What the system says; the file is then what it was.
    pub(super) fn write(&self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return match fs::remove_file(&self.file) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        file::replace_own(&self.file, [&self.head, lines].concat().as_bytes())
    }
}

/// `boot ID`. Where the id cannot be read there is none, and files of all boots are taken for our own.
pub(super) fn head() -> String {
    let id = file::read_small(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default();
    format!("boot {}\n", String::from_utf8_lossy(&id).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_there_again_in_the_same_boot_alone() {
        let file = std::env::temp_dir().join(format!("vipd-record-{}", std::process::id()));
        let record = Record::new(file.clone());
        assert_eq!(record.read(10).unwrap(), "", "no file is no line");
        record.write("a\nb\n").unwrap();
        assert_eq!(Record::new(file.clone()).read(4).unwrap(), "a\nb\n");
        let error = record.read(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "a file that is too long is not read in part");
        let other = Record { head: "boot 0\n".into(), ..Record::new(file.clone()) };
        assert_eq!(other.read(100).unwrap(), "", "another boot");
        record.write("").unwrap();
        assert!(!file.exists(), "nothing is left behind");
        record.write("").unwrap();
        assert_eq!(head().len(), "boot 00000000-0000-0000-0000-000000000000\n".len(), "{:?}", head());
    }
}
