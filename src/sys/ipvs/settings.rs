//! `/proc/sys/net/ipv4/vs/NAME`: set while the configuration wants it, and afterwards what it was before,
//! also after a crash (IPVS-80). Each of them is optional: kernels lack some, and none is there before
//! `ip_vs` is.

use crate::limits;
use crate::model::{IpvsSetting, IpvsValue};
use crate::sys::file;
use crate::sys::record::Record;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The kernel's folder of them, that of the loop's network namespace.
const FOLDER: &str = "/proc/sys/net/ipv4/vs";
/// Bytes of one value that are read. Longer: it cannot be saved, and is left as it is.
const VALUE_MAX: usize = 64;
/// These the kernel changes between 1 and 2 by itself, as memory is short or not.
const AUTOMATIC: [&str; 3] = ["drop_entry", "drop_packet", "secure_tcp"];
/// Bytes of the record: more than [`limits::IPVS_SETTINGS_MAX`] lines ever have.
const RECORD_MAX: usize = limits::IPVS_SETTINGS_MAX * 128;

/// What is held, and what was there before.
#[derive(Debug)]
pub struct IpvsSettings {
    record: Record,
    folder: PathBuf,
    held: Vec<Saved>,
    /// Left by an earlier run, and not held again yet; or not put back, because the kernel refused.
    orphans: Vec<Saved>,
    /// Names that have had their warning.
    warned: Vec<IpvsSetting>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Saved {
    name: IpvsSetting,
    before: IpvsValue,
    ours: IpvsValue,
}

impl IpvsSettings {
    /// Reads what an earlier run left in `SOCKET.ipvs`, `socket` being that of the control socket. Lines that
    /// cannot be read are of no use to anybody.
    pub fn open(socket: &Path) -> Self {
        Self::open_in(PathBuf::from(FOLDER), file::with_suffix(socket, ".ipvs"))
    }

    fn open_in(folder: PathBuf, file: PathBuf) -> Self {
        let record = Record::new(file);
        let parse = |text: &str| {
            Some(text.lines().filter_map(Saved::parse).take(limits::IPVS_SETTINGS_MAX).collect())
        };
        let orphans = record.recall(RECORD_MAX, parse, "IPVS settings that an earlier run left stay");
        IpvsSettings { record, folder, held: Vec::new(), orphans, warned: Vec::new() }
    }

    /// Sets a setting. What was there before the first time is saved; a module that was loaded anew has
    /// forgotten what we set, and gets it again. More than [`limits::IPVS_SETTINGS_MAX`]: it is left as it
    /// is, with a warning.
    pub fn hold(&mut self, name: &IpvsSetting, value: &IpvsValue) {
        let now = match self.read(name) {
            Ok(now) => now,
            Err(error) => return self.warn(name, &error),
        };
        let is_full = self.held.len() + self.orphans.len() >= limits::IPVS_SETTINGS_MAX;
        let orphan = self.orphans.iter().position(|saved| saved.name == *name);
        match self.held.iter_mut().find(|saved| saved.name == *name) {
            Some(saved) => saved.ours.clone_from(value),
            None if orphan.is_none() && is_full => {
                return self.warn(name, &io::Error::other("too many settings are held"));
            }
            None => {
                // Where an earlier run died, the value of now is its own, and what it saved was there before.
                // Another value was set since, by somebody who meant it.
                let before = match orphan.map(|at| self.orphans.swap_remove(at)) {
                    Some(saved) if is_same(name, &now, &saved.ours) => saved.before,
                    Some(_) | None => now.clone(),
                };
                self.held.push(Saved { name: name.clone(), before, ours: value.clone() });
            }
        }
        // Saved before it is changed: a crash between the two must not lose it.
        self.store();
        if !words(&now).eq(words(value))
            && let Err(error) = self.write(name, value)
        {
            self.warn(name, &error);
        }
    }

    /// Puts back what was there, unless somebody else has changed it since.
    pub fn release(&mut self, name: &IpvsSetting) {
        if let Some(at) = self.held.iter().position(|saved| saved.name == *name) {
            let saved = self.held.swap_remove(at);
            self.restore(saved);
            self.store();
        }
    }

    /// Puts back what an earlier run left, and what the kernel refused to take back, except for names that
    /// `is_wanted`: they are held as soon as the kernel's IPVS is there.
    pub fn settle(&mut self, is_wanted: impl Fn(&IpvsSetting) -> bool) {
        if self.orphans.iter().all(|saved| is_wanted(&saved.name)) {
            return;
        }
        for saved in core::mem::take(&mut self.orphans) {
            if is_wanted(&saved.name) {
                self.orphans.push(saved);
            } else {
                self.restore(saved);
            }
        }
        self.store();
    }

    /// What the kernel refuses is kept for the next try.
    fn restore(&mut self, saved: Saved) {
        let result = match self.read(&saved.name) {
            Ok(now) if is_same(&saved.name, &now, &saved.ours) && now != saved.before => {
                log::debug!("{} is put back to {}", saved.name, saved.before);
                self.write(&saved.name, &saved.before)
            }
            // Somebody has set it since, and meant it.
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match result {
            // The module is gone, and what was set with it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                self.warn(&saved.name, &error);
                self.orphans.push(saved);
            }
            Ok(()) => {}
        }
    }

    fn read(&self, name: &str) -> io::Result<IpvsValue> {
        let bytes = file::read_small(&self.path(name)?, VALUE_MAX)?;
        let odd = || io::Error::new(ErrorKind::InvalidData, "what is there cannot be saved");
        let mut value = IpvsValue::new();
        for word in words(core::str::from_utf8(&bytes).map_err(|_| odd())?) {
            let space = if value.is_empty() { "" } else { " " };
            value.push_str(space).and_then(|()| value.push_str(word)).map_err(|_| odd())?;
        }
        if value.is_empty() { Err(odd()) } else { Ok(value) }
    }

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        OpenOptions::new().write(true).truncate(true).open(self.path(name)?)?.write_all(value.as_bytes())
    }

    /// Names of another kind would leave the folder.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Ok(self.folder.join(name));
        }
        Err(ErrorKind::NotFound.into())
    }

    /// Once for each name: what the kernel does not have today it does not have tomorrow.
    fn warn(&mut self, name: &IpvsSetting, error: &io::Error) {
        if self.warned.contains(name) {
            return;
        }
        if self.warned.len() < limits::IPVS_SETTINGS_MAX {
            self.warned.push(name.clone());
        }
        match error.kind() {
            ErrorKind::NotFound => log::warn!("IPVS setting {name}: this kernel has none of that name"),
            _ => log::warn!("IPVS setting {name}: {error}"),
        }
    }

    fn store(&mut self) {
        let lines: String = self.held.iter().chain(&self.orphans).map(Saved::line).collect();
        self.record.keep(&lines, "after a crash, IPVS settings stay as they are then");
    }
}

impl Saved {
    /// Name, what was there, what is ours: values have spaces, and no tabs.
    fn line(&self) -> String {
        format!("{}\t{}\t{}\n", self.name, self.before, self.ours)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split('\t').map(|part| Some(part).filter(|part| !part.is_empty()));
        let name = parts.next()??.try_into().ok()?;
        let before = parts.next()??.try_into().ok()?;
        let ours = parts.next()??.try_into().ok()?;
        parts.next().is_none().then_some(Saved { name, before, ours })
    }
}

fn words(value: &str) -> core::str::SplitAsciiWhitespace<'_> {
    value.split_ascii_whitespace()
}

/// Is `now` what was set as `ours`?
fn is_same(name: &str, now: &str, ours: &str) -> bool {
    words(now).eq(words(ours))
        || (AUTOMATIC.contains(&name) && [now, ours].iter().all(|v| ["1", "2"].contains(v)))
}

#[cfg(test)]
mod tests;
