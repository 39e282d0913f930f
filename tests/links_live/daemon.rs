//! The daemon itself with a virtual MAC: what it leaves on the box while it runs, when it leaves, and when it
//! is killed.

use crate::netns::{Lan, Node, Vipd, eventually, lan};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn config(lines: &str) -> String {
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = 100\n\
         advert_interval = \"100ms\"\naddresses = [\"10.9.0.100/32\"]\n{lines}"
    )
}

fn setting(node: &Node, name: &str, key: &str) -> Option<String> {
    let path = format!("/proc/sys/net/ipv4/conf/{name}/{key}");
    node.namespace.inside(|| std::fs::read_to_string(path).ok()).map(|text| text.trim().to_string())
}

fn links(node: &Node) -> String {
    node.ip("-d -o link show")
}

/// Active with the address on the macvlan.
fn wait_for_active(node: &Node) {
    eventually("the address is on the macvlan", SOON, || {
        node.ip("-o -4 addr show").lines().any(|l| l.contains("vrrp.51") && l.contains("10.9.0.100/32"))
    });
}

fn start(lan: &Lan, lines: &str) -> Vipd {
    Vipd::start(lan, &lan.a, &config(lines))
}

#[test]
fn vmac18_vmac32_settings_and_macvlan_go_with_a_clean_leave() {
    let Some(lan) = lan() else { return };
    let mut vipd = start(&lan, "virtual_mac = true\n");
    wait_for_active(&lan.a);
    assert_eq!(setting(&lan.a, "eth0", "arp_ignore").as_deref(), Some("1"), "VMAC-34");
    assert_eq!(setting(&lan.a, "eth0", "arp_filter").as_deref(), Some("1"), "VMAC-34");
    assert_eq!(setting(&lan.a, "vrrp.51", "rp_filter").as_deref(), Some("2"), "VMAC-33");
    assert!(links(&lan.a).contains("mode private"), "VMAC-10");
    assert_eq!(vipd.terminate(SOON), Some(0));
    assert_eq!(setting(&lan.a, "eth0", "arp_ignore").as_deref(), Some("0"), "VMAC-32: restored");
    assert_eq!(setting(&lan.a, "eth0", "arp_filter").as_deref(), Some("0"), "VMAC-32: restored");
    assert!(!links(&lan.a).contains("vrrp.51"), "the macvlan is ours to remove: {}", links(&lan.a));
    let left: Vec<_> = std::fs::read_dir(lan.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let is_ours = |name: &std::ffi::OsString| name.to_string_lossy().contains(".settings");
    assert!(!left.iter().any(is_ours), "nothing is left to remember: {left:?}");
}

#[test]
fn vmac32_settings_of_a_killed_run_are_restored_by_the_next() {
    let Some(lan) = lan() else { return };
    let mut vipd = start(&lan, "virtual_mac = true\n");
    wait_for_active(&lan.a);
    vipd.kill_all();
    drop(vipd);
    assert_eq!(setting(&lan.a, "eth0", "arp_ignore").as_deref(), Some("1"), "nobody could restore it");
    let index = lan.a.ip("-o link show dev vrrp.51").split(':').next().unwrap().to_string();
    // The same again: what is there is taken over, and the original survives.
    let mut vipd = start(&lan, "virtual_mac = true\n");
    wait_for_active(&lan.a);
    assert!(lan.a.ip("-o link show dev vrrp.51").starts_with(&index), "VMAC-4: taken over, not made anew");
    vipd.kill_all();
    drop(vipd);
    // Without a virtual MAC nobody holds anything.
    let _vipd = start(&lan, "");
    eventually("VMAC-32: the settings are restored", SOON, || {
        let now = ["arp_ignore", "arp_filter"].map(|key| setting(&lan.a, "eth0", key));
        now.iter().all(|value| value.as_deref() == Some("0"))
    });
}
