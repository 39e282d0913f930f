use super::*;
use crate::sys::record::head;
use std::fs;

/// A folder like the kernel's, and a record beside it.
struct Bed(PathBuf);

impl Bed {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let bed = Bed(std::env::temp_dir().join(format!("vipd-vs-{name}-{}", std::process::id())));
        fs::create_dir_all(bed.0.join("vs")).unwrap();
        files.iter().for_each(|(name, value)| bed.set(name, value));
        bed
    }

    fn open(&self) -> IpvsSettings {
        IpvsSettings::open_in(self.0.join("vs"), self.0.join("record"))
    }

    fn set(&self, name: &str, value: &str) {
        fs::write(self.0.join("vs").join(name), value).unwrap();
    }

    fn get(&self, name: &str) -> String {
        fs::read_to_string(self.0.join("vs").join(name)).unwrap_or_else(|e| e.kind().to_string())
    }

    /// What is in the record below its first line; `None` without a file.
    fn record(&self) -> Option<String> {
        let text = fs::read_to_string(self.0.join("record")).ok()?;
        Some(text.strip_prefix(&head()).unwrap().to_string())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name(text: &str) -> IpvsSetting {
    text.try_into().unwrap()
}

fn hold(settings: &mut IpvsSettings, setting: &str, value: &str) {
    settings.hold(&name(setting), &value.try_into().unwrap());
}

#[test]
fn ipvs80_what_was_there_is_put_back_at_the_end() {
    let bed = Bed::new("back", &[("conntrack", "0\n"), ("sync_threshold", "3\t50\n")]);
    let mut settings = bed.open();
    hold(&mut settings, "conntrack", "1");
    hold(&mut settings, "sync_threshold", "5 100");
    assert_eq!((&*bed.get("conntrack"), &*bed.get("sync_threshold")), ("1", "5 100"));
    assert_eq!(bed.record().unwrap(), "conntrack\t0\t1\nsync_threshold\t3 50\t5 100\n");
    hold(&mut settings, "sync_threshold", "7 200");
    assert_eq!(bed.record().unwrap(), "conntrack\t0\t1\nsync_threshold\t3 50\t7 200\n", "a reload");
    settings.release(&name("sync_threshold"));
    settings.release(&name("conntrack"));
    assert_eq!((&*bed.get("conntrack"), &*bed.get("sync_threshold")), ("0", "3 50"));
    assert_eq!(bed.record(), None, "nothing is left behind");
    settings.release(&name("conntrack"));
    settings.release(&name("never_held"));
}

#[test]
fn ipvs80_after_a_crash_the_original_is_put_back() {
    let bed = Bed::new("crash", &[("conntrack", "0\n"), ("nat_icmp_send", "0\n"), ("sync_version", "0\n")]);
    let mut first = bed.open();
    hold(&mut first, "conntrack", "1");
    hold(&mut first, "nat_icmp_send", "1");
    hold(&mut first, "sync_version", "1");
    drop(first);
    bed.set("sync_version", "9");
    let mut second = bed.open();
    hold(&mut second, "conntrack", "1");
    hold(&mut second, "sync_version", "1");
    let wanted = |setting: &IpvsSetting| setting == "other";
    second.settle(wanted);
    assert_eq!(bed.get("nat_icmp_send").trim(), "0", "not held again: put back");
    second.release(&name("conntrack"));
    second.release(&name("sync_version"));
    assert_eq!(bed.get("conntrack").trim(), "0", "the original, not the 1 of the first run");
    assert_eq!(bed.get("sync_version"), "9", "somebody has set it between the two runs");
    assert_eq!(bed.record(), None);
}

#[test]
fn ipvs80_what_is_wanted_waits_for_the_module() {
    let bed = Bed::new("waits", &[("conntrack", "0\n")]);
    hold(&mut bed.open(), "conntrack", "1");
    let mut second = bed.open();
    second.settle(|setting| setting == "conntrack");
    assert_eq!(bed.get("conntrack").trim(), "1", "no moment with another value");
    hold(&mut second, "conntrack", "1");
    second.settle(|_| false);
    assert_eq!(bed.get("conntrack").trim(), "1", "it is held");
    drop(second);
    let mut third = bed.open();
    third.settle(|_| false);
    assert_eq!((bed.get("conntrack").trim(), bed.record()), ("0", None), "it ends without having held it");
}

#[test]
fn ipvs80_every_one_is_optional() {
    let bed = Bed::new("optional", &[]);
    let mut settings = bed.open();
    for _ in 0..2 {
        hold(&mut settings, "conntrack", "1");
        hold(&mut settings, "../conntrack", "1");
        hold(&mut settings, "", "1");
    }
    assert_eq!(settings.warned, [name("conntrack"), name("../conntrack"), name("")], "each is told once");
    assert_eq!((bed.get("conntrack").as_str(), bed.record()), ("entity not found", None), "and none is made");
    bed.set("conntrack", "0\n");
    hold(&mut settings, "conntrack", "1");
    assert_eq!(bed.get("conntrack"), "1", "ip_vs has been loaded");
    fs::remove_file(bed.0.join("vs/conntrack")).unwrap();
    settings.release(&name("conntrack"));
    assert_eq!(bed.record(), None, "the module is gone, and what was set with it");
}

#[test]
fn ipvs80_module_loaded_anew_gets_it_again() {
    let bed = Bed::new("anew", &[("conntrack", "0\n")]);
    let mut settings = bed.open();
    hold(&mut settings, "conntrack", "1");
    bed.set("conntrack", "0");
    hold(&mut settings, "conntrack", "1");
    assert_eq!(bed.get("conntrack"), "1");
    settings.release(&name("conntrack"));
    assert_eq!(bed.get("conntrack"), "0");
}

#[test]
fn ipvs80_what_somebody_else_has_set_meanwhile_stays() {
    let bed = Bed::new("else", &[("conntrack", "0"), ("drop_entry", "0")]);
    let mut settings = bed.open();
    hold(&mut settings, "conntrack", "1");
    hold(&mut settings, "drop_entry", "1");
    bed.set("conntrack", "5");
    bed.set("drop_entry", "2");
    settings.release(&name("conntrack"));
    settings.release(&name("drop_entry"));
    assert_eq!(bed.get("conntrack"), "5");
    assert_eq!(bed.get("drop_entry"), "0", "the kernel itself makes 2 of 1 where memory is short");
}

#[test]
fn ipvs80_odd_values_and_files_are_left_alone() {
    let bed = Bed::new("odd", &[("empty", ""), ("long", &"9 ".repeat(30)), ("bytes", "")]);
    fs::write(bed.0.join("vs/bytes"), b"\xff").unwrap();
    let mut settings = bed.open();
    for odd in ["empty", "long", "bytes"] {
        hold(&mut settings, odd, "1");
    }
    assert_eq!((settings.warned.len(), bed.record()), (3, None), "what cannot be saved is not changed");
    assert_eq!((bed.get("empty").as_str(), bed.get("long").len()), ("", 60));
    let bad = "conntrack\t0\nconntrack\t0\t1\tmore\n\t0\t1\nconntrack\t\t1\n\n";
    fs::write(bed.0.join("record"), format!("{}{bad}snat_reroute\t1\t0\n", head())).unwrap();
    let settings = bed.open();
    assert_eq!(settings.orphans.iter().map(Saved::line).collect::<String>(), "snat_reroute\t1\t0\n");
}

#[test]
fn limit_of_ipvs_settings_holds() {
    let bed = Bed::new("limit", &[("conntrack", "0")]);
    let mut settings = bed.open();
    for number in 0..limits::IPVS_SETTINGS_MAX {
        let (before, ours) = ("0".try_into().unwrap(), "1".try_into().unwrap());
        settings.held.push(Saved { name: name(&format!("n{number}")), before, ours });
    }
    hold(&mut settings, "conntrack", "1");
    assert_eq!(bed.get("conntrack"), "0", "more than the limit: left as it is");
    assert_eq!(settings.warned, [name("conntrack")], "and said");
}
