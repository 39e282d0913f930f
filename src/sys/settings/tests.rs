use super::*;
use std::collections::BTreeMap;

/// A kernel with interfaces 3 (eth0) and 4 (eth1).
#[derive(Default)]
struct Table {
    values: BTreeMap<(u32, Setting), u32>,
    gone: Vec<u32>,
    is_read_only: bool,
    writes: u32,
}

impl Kernel for Table {
    fn read(&mut self, index: u32, setting: Setting) -> Result<(String, u32), Refusal> {
        if self.gone.contains(&index) {
            return Err(Refusal::NoDevice);
        }
        Ok((format!("eth{}", index - 3), *self.values.get(&(index, setting)).unwrap_or(&0)))
    }

    fn write(&mut self, index: u32, setting: Setting, value: u32) -> Result<(), Refusal> {
        if self.is_read_only {
            return Err(Refusal::NotPermitted);
        }
        self.writes += 1;
        self.values.insert((index, setting), value);
        Ok(())
    }
}

use Setting::{ArpAnnounce, ArpFilter, ArpIgnore, PromoteSecondaries};

/// A file of its own, and away at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vipd-settings-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("settings")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn vmac32_the_first_holder_saves_and_the_last_one_restores() {
    let (folder, mut kernel) = (Folder::new("count"), Table::default());
    kernel.values.insert((3, ArpIgnore), 2);
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    settings.hold_in(&mut kernel, 4, ArpIgnore);
    assert_eq!((kernel.values[&(3, ArpIgnore)], kernel.values[&(4, ArpIgnore)]), (1, 1));
    assert_eq!(folder.text(), "3 arp_ignore 2 eth0\n4 arp_ignore 0 eth1\n");
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 1, "one holder is left");
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 2, "what was there before, not 0");
    settings.release_in(&mut kernel, 3, ArpIgnore);
    settings.release_in(&mut kernel, 4, ArpFilter);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 2, "a release too many changes nothing");
    settings.release_in(&mut kernel, 4, ArpIgnore);
    assert_eq!(
        (kernel.values[&(4, ArpIgnore)], folder.file().exists()),
        (0, false),
        "nothing is left behind"
    );
}

#[test]
fn vmac34_each_setting_is_put_to_what_it_needs_and_back_unless_somebody_changed_it() {
    let (folder, mut kernel) = (Folder::new("needed"), Table::default());
    kernel.values.insert((3, ArpAnnounce), 1);
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpAnnounce);
    assert_eq!(kernel.values[&(3, ArpAnnounce)], 2, "1 would let the address of the macvlan be told");
    settings.release_in(&mut kernel, 3, ArpAnnounce);
    assert_eq!(kernel.values[&(3, ArpAnnounce)], 1);
    settings.hold_in(&mut kernel, 3, ArpAnnounce);
    kernel.values.insert((3, ArpAnnounce), 0);
    settings.release_in(&mut kernel, 3, ArpAnnounce);
    assert_eq!(kernel.values[&(3, ArpAnnounce)], 0, "somebody set it since, and meant it");
}

#[test]
fn vmac32_after_a_crash_the_original_survives_and_what_nobody_holds_is_restored() {
    let (folder, mut kernel) = (Folder::new("crash"), Table::default());
    kernel.values.insert((3, PromoteSecondaries), 0);
    let mut first = Settings::open(folder.file());
    for setting in [ArpIgnore, ArpFilter, PromoteSecondaries] {
        first.hold_in(&mut kernel, 3, setting);
    }
    drop(first);
    let mut second = Settings::open(folder.file());
    second.hold_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(folder.text().lines().count(), 3, "until all is settled, the file keeps what was left");
    second.settle_in(&mut kernel);
    assert_eq!(kernel.values[&(3, ArpFilter)], 0, "not held again: put back");
    assert_eq!(kernel.values[&(3, PromoteSecondaries)], 0);
    assert_eq!((kernel.values[&(3, ArpIgnore)], &*folder.text()), (1, "3 arp_ignore 0 eth0\n"), "held again");
    second.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 0, "the original, not the 1 of the first run");
}

#[test]
fn an_index_that_is_another_interface_by_now_is_not_taken_for_the_old_one() {
    let (folder, mut kernel) = (Folder::new("other"), Table::default());
    fs::write(folder.file(), "3 arp_ignore 2 wan\n").unwrap();
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 0, "eth0 was at 0; the 2 is another interface's");
}

#[test]
fn b91_interface_that_is_gone_is_forgotten() {
    let (folder, mut kernel) = (Folder::new("gone"), Table::default());
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    kernel.gone.push(3);
    settings.forget(3);
    assert_eq!(folder.text(), "");
    settings.hold_in(&mut kernel, 3, ArpFilter);
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!((kernel.writes, folder.text()), (1, String::new()), "nothing is held where there is nothing");
    assert!(!settings.is_warned, "and that is nobody's fault");
}

#[test]
fn what_somebody_else_has_set_meanwhile_stays() {
    let (folder, mut kernel) = (Folder::new("else"), Table::default());
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    kernel.values.insert((3, ArpIgnore), 8);
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 8);
}

#[test]
fn rtnl62_read_only_settings_are_one_warning() {
    let (folder, mut kernel) = (Folder::new("ro"), Table { is_read_only: true, ..Table::default() });
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    assert!(settings.is_warned);
    settings.hold_in(&mut kernel, 4, ArpIgnore);
    settings.release_in(&mut kernel, 3, ArpIgnore);
    settings.release_in(&mut kernel, 4, ArpIgnore);
    assert!(kernel.values.is_empty() && !folder.file().exists());
    let mut lost = Settings::open(folder.0.join("missing").join("settings"));
    kernel.is_read_only = false;
    lost.hold_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 1, "a file that cannot be written is no reason not to work");
    assert!(lost.is_warned);
}

#[test]
fn a_damaged_file_gives_what_is_whole_in_it() {
    let folder = Folder::new("damaged");
    let good = "3 arp_ignore 2 eth0\n";
    let bad = "0 arp_ignore 2 eth0\n\n4 arp_bogus 1 eth1\n4 arp_ignore x eth1\n4 arp_ignore 1\n\
               4 arp_ignore 1 a-name-of-20-letters\n-1 arp_filter 0 eth2\n4 arp_filter 1 eth1 more\n";
    fs::write(folder.file(), [bad.as_bytes(), good.as_bytes(), b"\xff\xfe \x00"].concat()).unwrap();
    let settings = Settings::open(folder.file());
    assert_eq!(settings.orphans, [Saved { index: 3, setting: ArpIgnore, value: 2, name: "eth0".into() }]);
    assert_eq!(Saved::parse(settings.orphans[0].line().trim_end()).as_ref(), settings.orphans.first());
}

#[test]
fn limit_of_settings_holds() {
    let (folder, mut kernel) = (Folder::new("limit"), Table::default());
    let mut settings = Settings::open(folder.file());
    // The file is written at each, so the list is filled by hand.
    for index in 0..limits::SETTINGS_MAX as u32 {
        let saved = Saved { index: index + 10, setting: ArpIgnore, value: 0, name: "x".into() };
        settings.held.push(Held { saved, holders: 1 });
    }
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    assert!(kernel.values.is_empty() && settings.is_warned, "more than the limit: left as it is, and said");
}
