//! Settings of interfaces that are changed while somebody needs them, and afterwards what they were before
//! (VMAC-32), also after a crash: what they were is kept in a file beside the control socket, in the run-time
//! directory. A reboot takes the settings away, so the file says of which boot it is.

use super::file;
use super::record::Record;
use super::rtnl::Rtnl;
use crate::engine::{LinkName, Refusal, Setting};
use crate::limits;
use crate::wire::rtnetlink::ipv4_setting;
use std::path::{Path, PathBuf};

/// What is held, and what was there before.
#[derive(Debug)]
pub struct Settings {
    record: Record,
    held: Vec<Held>,
    /// Left by an earlier run, and not held again yet; or not put back, because the kernel refused.
    orphans: Vec<Saved>,
}

#[derive(Debug)]
struct Held {
    saved: Saved,
    holders: u32,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saved {
    index: u32,
    setting: Setting,
    value: u32,
    name: String,
}

/// Where settings are read and written: the kernel, and in tests a table.
trait Kernel {
    /// The setting, and the name that the interface has now.
    fn read(&mut self, index: u32, setting: Setting) -> Result<(String, u32), Refusal>;
    fn write(&mut self, index: u32, setting: Setting, value: u32) -> Result<(), Refusal>;
}

impl Kernel for Rtnl {
    fn read(&mut self, index: u32, setting: Setting) -> Result<(String, u32), Refusal> {
        let (name, value) = self.ipv4_setting(index, number(setting))?;
        Ok((name.as_str().to_owned(), value))
    }

    fn write(&mut self, index: u32, setting: Setting, value: u32) -> Result<(), Refusal> {
        self.set_ipv4_setting(index, number(setting), value)
    }
}

impl Settings {
    /// Where settings are kept: `SOCKET.settings`.
    pub fn beside(socket: &Path) -> PathBuf {
        file::with_suffix(socket, ".settings")
    }

    /// Reads what an earlier run left in `file`. Lines that cannot be read are of no use to anybody, nor is a
    /// file of another boot: the indexes in it are those of other interfaces.
    pub fn open(file: PathBuf) -> Self {
        let record = Record::new(file);
        let parse =
            |text: &str| Some(text.lines().filter_map(Saved::parse).take(limits::SETTINGS_MAX).collect());
        let orphans: Vec<Saved> = record.recall(FILE_MAX, parse, "settings that an earlier run left stay");
        Settings { record, held: Vec::new(), orphans }
    }

    /// Sets a setting to what its holders need; the first who does saves what was there. More than
    /// [`limits::SETTINGS_MAX`]: it is left as it is, with a warning.
    pub fn hold(&mut self, rtnl: &mut Rtnl, index: u32, setting: Setting) {
        self.hold_in(rtnl, index, setting);
    }

    /// The last who releases a setting puts back what was there, unless somebody else has changed it since.
    pub fn release(&mut self, rtnl: &mut Rtnl, index: u32, setting: Setting) {
        self.release_in(rtnl, index, setting);
    }

    /// Everybody who needs a setting holds it: puts back what an earlier run left, and what the kernel
    /// refused to take back.
    pub fn settle(&mut self, rtnl: &mut Rtnl) {
        self.settle_in(rtnl);
    }

    /// An interface is gone, and its settings with it.
    pub fn forget(&mut self, index: u32) {
        let before = self.held.len() + self.orphans.len();
        self.held.retain(|held| held.saved.index != index);
        self.orphans.retain(|saved| saved.index != index);
        if before != self.held.len() + self.orphans.len() {
            self.store();
        }
    }

    fn hold_in(&mut self, kernel: &mut impl Kernel, index: u32, setting: Setting) {
        if let Some(held) = self.held.iter_mut().find(|held| held.saved.is(index, setting)) {
            held.holders = held.holders.saturating_add(1);
            return;
        }
        let orphan = self.orphans.iter().position(|saved| saved.is(index, setting));
        if self.held.len() + self.orphans.len() - usize::from(orphan.is_some()) >= limits::SETTINGS_MAX {
            return self.warn(setting, index, &"too many settings are held");
        }
        let (name, now) = match kernel.read(index, setting) {
            Ok(found) => found,
            // The interface is gone, and comes back with another index.
            Err(Refusal::NoDevice) => return,
            Err(refusal) => return self.warn(setting, index, &refusal),
        };
        // Where an earlier run died, the value of now is its own, and what it saved was there before. Another
        // value was set since, by somebody who meant it; another name is another interface.
        let saved = match orphan.map(|at| self.orphans.swap_remove(at)) {
            Some(saved) if saved.name == name && now == needed(setting) => saved,
            Some(_) | None => Saved { index, setting, value: now, name },
        };
        self.held.push(Held { saved, holders: 1 });
        // Saved before it is changed: a crash between the two must not lose it.
        self.store();
        if now != needed(setting)
            && let Err(refusal) = kernel.write(index, setting, needed(setting))
        {
            self.warn(setting, index, &refusal);
        }
    }

    fn release_in(&mut self, kernel: &mut impl Kernel, index: u32, setting: Setting) {
        let Some(at) = self.held.iter().position(|held| held.saved.is(index, setting)) else { return };
        let Some(held) = self.held.get_mut(at) else { return };
        held.holders = held.holders.saturating_sub(1);
        if held.holders > 0 {
            return;
        }
        let saved = self.held.swap_remove(at).saved;
        // Under another name it is the same interface: one that goes is told (`forget`).
        self.restore(kernel, saved, |_| true);
        self.store();
    }

    fn settle_in(&mut self, kernel: &mut impl Kernel) {
        if self.orphans.is_empty() {
            return;
        }
        for saved in core::mem::take(&mut self.orphans) {
            if self.held.iter().any(|held| held.saved.is(saved.index, saved.setting)) {
                continue;
            }
            log::info!("{} of {} is put back", key(saved.setting), saved.name);
            let name = saved.name.clone();
            self.restore(kernel, saved, |now| now == name);
        }
        self.store();
    }

    /// Puts back what was there, on an interface of a name that `is_it`. What the kernel refuses is kept for
    /// the next try.
    fn restore(&mut self, kernel: &mut impl Kernel, saved: Saved, is_it: impl Fn(&str) -> bool) {
        let result = match kernel.read(saved.index, saved.setting) {
            Ok((name, _)) if !is_it(&name) => Ok(()),
            // Somebody has set it since, and meant it.
            Ok((_, now)) if now != needed(saved.setting) || now == saved.value => Ok(()),
            Ok(_) => kernel.write(saved.index, saved.setting, saved.value),
            Err(refusal) => Err(refusal),
        };
        match result {
            Ok(()) | Err(Refusal::NoDevice) => {}
            Err(refusal) => {
                self.warn(saved.setting, saved.index, &refusal);
                self.orphans.push(saved);
            }
        }
    }

    /// One warning is enough: where one setting is out of reach, all are (RTNL-62).
    fn warn(&mut self, setting: Setting, index: u32, why: &dyn core::fmt::Display) {
        if !core::mem::replace(&mut self.record.is_warned, true) {
            log::warn!("{} of interface {index} cannot be changed: {why}", key(setting));
        }
    }

    /// Writes the file anew, in one step.
    fn store(&mut self) {
        let all = self.held.iter().map(|held| &held.saved).chain(&self.orphans);
        let lines: String = all.map(Saved::line).collect();
        self.record.keep(&lines, "after a crash, settings stay as they are then");
    }
}

/// Bytes of the file that are read: more than the first line and [`limits::SETTINGS_MAX`] others ever have.
const FILE_MAX: usize = (limits::SETTINGS_MAX + 2) * 64;

impl Saved {
    fn is(&self, index: u32, setting: Setting) -> bool {
        self.index == index && self.setting == setting
    }

    /// Index, setting, value, name: names have no white space.
    fn line(&self) -> String {
        format!("{} {} {} {}\n", self.index, key(self.setting), self.value, self.name)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let index = words.next()?.parse().ok().filter(|index| *index > 0)?;
        let word = words.next()?;
        let all = [Setting::ArpIgnore, Setting::ArpFilter, Setting::ArpAnnounce, Setting::PromoteSecondaries];
        let setting = all.into_iter().find(|setting| key(*setting) == word)?;
        let value = words.next()?.parse().ok()?;
        let name = words.next().filter(|name| !name.is_empty() && *name == LinkName::new(name).as_str())?;
        words.next().is_none().then(|| Saved { index, setting, value, name: name.to_owned() })
    }
}

/// What its holders need.
const fn needed(setting: Setting) -> u32 {
    match setting {
        Setting::ArpIgnore | Setting::ArpFilter | Setting::PromoteSecondaries => 1,
        // Always the best address of the interface itself: with 1, one of the same subnet will do.
        Setting::ArpAnnounce => 2,
    }
}

const fn key(setting: Setting) -> &'static str {
    match setting {
        Setting::ArpIgnore => "arp_ignore",
        Setting::ArpFilter => "arp_filter",
        Setting::ArpAnnounce => "arp_announce",
        Setting::PromoteSecondaries => "promote_secondaries",
    }
}

const fn number(setting: Setting) -> u16 {
    match setting {
        Setting::ArpIgnore => ipv4_setting::ARP_IGNORE,
        Setting::ArpFilter => ipv4_setting::ARP_FILTER,
        Setting::ArpAnnounce => ipv4_setting::ARP_ANNOUNCE,
        Setting::PromoteSecondaries => ipv4_setting::PROMOTE_SECONDARIES,
    }
}

#[cfg(test)]
mod tests;
