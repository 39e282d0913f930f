use super::*;
use crate::sys::record::head;
use std::collections::BTreeMap;
use std::fs;

/// A kernel with interfaces 3 (eth0) and 4 (eth1).
#[derive(Default)]
struct Table {
    values: BTreeMap<(u32, Setting), u32>,
    gone: Vec<u32>,
    is_read_only: bool,
    /// Names that are not those of the beginning.
    names: BTreeMap<u32, &'static str>,
    writes: u32,
}

impl Kernel for Table {
    fn read(&mut self, index: u32, setting: Setting) -> Result<(String, u32), Refusal> {
        if self.gone.contains(&index) {
            return Err(Refusal::NoDevice);
        }
        let name = self.names.get(&index).map_or_else(|| format!("eth{}", index - 3), |name| (*name).into());
        Ok((name, *self.values.get(&(index, setting)).unwrap_or(&0)))
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

    /// What is in the file below its first line.
    fn text(&self) -> String {
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        text.strip_prefix(&head()).unwrap_or(&text).to_owned()
    }

    /// A file of this boot.
    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.file(), [head().as_bytes(), text.as_ref()].concat()).unwrap();
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
    folder.write("3 arp_ignore 2 wan\n4 arp_filter 0 wan\n");
    kernel.values.extend([((3, ArpIgnore), 1), ((4, ArpFilter), 1)]);
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 1, "eth0 was at 1; the 2 is another interface's");
    settings.settle_in(&mut kernel);
    assert_eq!(kernel.values[&(4, ArpFilter)], 1, "eth1 was at 1; the 0 is another interface's");
    assert_eq!((kernel.writes, folder.file().exists()), (0, false));
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
    assert!(!settings.record.is_warned, "and that is nobody's fault");
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
    assert!(settings.record.is_warned);
    settings.hold_in(&mut kernel, 4, ArpIgnore);
    settings.release_in(&mut kernel, 3, ArpIgnore);
    settings.release_in(&mut kernel, 4, ArpIgnore);
    assert!(kernel.values.is_empty() && !folder.file().exists());
    let mut lost = Settings::open(folder.0.join("missing").join("settings"));
    kernel.is_read_only = false;
    lost.hold_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 1, "a file that cannot be written is no reason not to work");
    assert!(lost.record.is_warned);
}

#[test]
fn a_damaged_file_gives_what_is_whole_in_it() {
    let folder = Folder::new("damaged");
    let good = "3 arp_ignore 2 eth0\n";
    let bad = "0 arp_ignore 2 eth0\n\n4 arp_bogus 1 eth1\n4 arp_ignore x eth1\n4 arp_ignore 1\n\
               4 arp_ignore 1 a-name-of-20-letters\n-1 arp_filter 0 eth2\n4 arp_filter 1 eth1 more\n";
    folder.write([bad.as_bytes(), good.as_bytes(), b"\xff\xfe \x00"].concat());
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
    assert!(
        kernel.values.is_empty() && settings.record.is_warned,
        "more than the limit: left as it is, and said"
    );
}

#[test]
fn vmac32_what_was_set_between_two_runs_is_what_is_put_back() {
    let (folder, mut kernel) = (Folder::new("between"), Table::default());
    folder.write("3 arp_ignore 2 eth0\n4 arp_ignore 2 eth1\n");
    kernel.values.extend([((3, ArpIgnore), 8), ((4, ArpIgnore), 1)]);
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    settings.hold_in(&mut kernel, 4, ArpIgnore);
    assert_eq!(folder.text(), "3 arp_ignore 8 eth0\n4 arp_ignore 2 eth1\n");
    settings.settle_in(&mut kernel);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 1, "held: what an earlier run left is of no use any more");
    settings.release_in(&mut kernel, 3, ArpIgnore);
    settings.release_in(&mut kernel, 4, ArpIgnore);
    assert_eq!((kernel.values[&(3, ArpIgnore)], kernel.values[&(4, ArpIgnore)]), (8, 2));
}

#[test]
fn vmac32_what_is_held_is_not_put_back_by_a_second_line_of_the_file() {
    let (folder, mut kernel) = (Folder::new("twice"), Table::default());
    folder.write("3 arp_ignore 2 eth0\n3 arp_ignore 0 eth0\n");
    kernel.values.insert((3, ArpIgnore), 1);
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    settings.settle_in(&mut kernel);
    assert_eq!((kernel.values[&(3, ArpIgnore)], &*folder.text()), (1, "3 arp_ignore 2 eth0\n"));
}

#[test]
fn vmac32_an_interface_with_a_new_name_gets_back_what_was_held() {
    let (folder, mut kernel) = (Folder::new("name"), Table::default());
    let mut settings = Settings::open(folder.file());
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    kernel.names.insert(3, "wan");
    settings.release_in(&mut kernel, 3, ArpIgnore);
    assert_eq!(kernel.values[&(3, ArpIgnore)], 0, "otherwise a renaming would leave it changed for ever");
}

#[test]
fn vmac32_a_refusal_does_not_lose_what_was_there() {
    let (folder, mut kernel) = (Folder::new("refused"), Table::default());
    kernel.values.insert((3, ArpIgnore), 2);
    let mut settings = Settings::open(folder.file());
    for _ in 0..2 {
        settings.hold_in(&mut kernel, 3, ArpIgnore);
        kernel.is_read_only = true;
        settings.release_in(&mut kernel, 3, ArpIgnore);
        settings.settle_in(&mut kernel);
        assert_eq!((kernel.values[&(3, ArpIgnore)], &*folder.text()), (1, "3 arp_ignore 2 eth0\n"));
        kernel.is_read_only = false;
    }
    drop(settings);
    Settings::open(folder.file()).settle_in(&mut kernel);
    assert_eq!((kernel.values[&(3, ArpIgnore)], folder.file().exists()), (2, false), "the next try");
}

#[test]
fn a_file_of_another_boot_says_nothing_of_this_one() {
    let folder = Folder::new("boot");
    let line = "3 arp_ignore 2 eth0\n";
    for head in ["boot 00000000-0000-0000-0000-000000000000\n", "boot \n", ""] {
        fs::write(folder.file(), format!("{head}{line}")).unwrap();
        assert!(Settings::open(folder.file()).orphans.is_empty(), "index 3 may be anybody: {head:?}");
    }
    folder.write(line);
    assert_eq!(Settings::open(folder.file()).orphans.len(), 1);
}

#[test]
fn two_sockets_have_two_files() {
    let of = |socket| Settings::beside(Path::new(socket)).to_string_lossy().into_owned();
    assert_eq!(of("/run/vipd.a"), "/run/vipd.a.settings", "vipd.b must not put back what vipd.a holds");
    assert_eq!(of("/run/vipd/vipd.sock"), "/run/vipd/vipd.sock.settings");
}

#[test]
fn no_link_makes_root_write_or_read_elsewhere() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, mut kernel) = (Folder::new("links"), Table::default());
    let victim = folder.0.join("victim");
    let text = format!("{}3 arp_filter 7 eth0\n", head());
    fs::write(&victim, &text).unwrap();
    symlink(&victim, folder.file()).unwrap();
    symlink(&victim, folder.0.join("settings.new")).unwrap();
    let mut settings = Settings::open(folder.file());
    assert!(settings.orphans.is_empty(), "whoever makes the link would say what is written to the kernel");
    settings.hold_in(&mut kernel, 3, ArpIgnore);
    assert_eq!((fs::read_to_string(&victim).unwrap(), &*folder.text()), (text, "3 arp_ignore 0 eth0\n"));
    let found = fs::symlink_metadata(folder.file()).unwrap();
    assert_eq!((found.is_file(), found.permissions().mode() & 0o777), (true, 0o600));
    assert!(fs::symlink_metadata(folder.0.join("settings.new")).is_err(), "nothing is left over");
}

#[test]
fn law1_a_fifo_in_its_place_does_not_stop_the_loop() {
    let folder = Folder::new("fifo");
    nix::unistd::mkfifo(&folder.file(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(Settings::open(folder.file()).orphans.is_empty());
}
