//! Buildroot's image under busybox: the board's files, booted by busybox' init on a read-only root, and the
//! init script by hand.

use crate::console::Console;
use crate::device::{Device, lan, project};
use crate::netns::{Lan, Node, eventually};
use crate::openwrt::config;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const VIP: &str = "10.9.0.100";
const INIT: &str = "/etc/init.d/S60vipd";

/// A router with the board's and the package's files. Of Buildroot's own it has what starts and stops
/// scripts, in their order.
fn image(lan: &Lan, node: &Node) -> Device {
    let device = Device::new(lan, node);
    device.install_all("board/qemu/overlay");
    // By its make file's mode.
    let script = std::fs::read_to_string(project().join("buildroot/package/vipd/S60vipd")).unwrap();
    device.put(INIT, &script, 0o755);
    let run = |words: &str, action: &str| {
        format!("#!/bin/sh\nfor script in $(ls {words} /etc/init.d/S??*); do $script {action}; done\n")
    };
    device.put("/etc/init.d/rcS", &run("", "start"), 0o755);
    device.put("/etc/init.d/rcK", &run("-r", "stop"), 0o755);
    device.put("/etc/init.d/S01syslogd", "#!/bin/sh\n[ $1 = stop ] || syslogd -O /run/messages\n", 0o755);
    device.put("/etc/fstab", "", 0o644);
    device.put("/etc/passwd", "root::0:0:root:/root:/bin/sh\n", 0o644);
    device.put("/etc/vipd.toml", &config(100, ""), 0o600);
    device
}

#[test]
fn image_boots_shows_its_state_on_the_console_and_resigns_at_the_end() {
    let Some(lan) = lan() else { return };
    let mut device = image(&lan, &lan.a);
    let mut console = Console::new();
    let start = Instant::now();
    device.boot(&lan.a, "ro", &["/sbin/init"], Some(console.device()));
    console.wait("Please press Enter to activate this console");
    lan.capture.advert('a', 51, 100, start, SOON);
    eventually("the address is there", SOON, || lan.a.has(VIP));
    assert_eq!(device.must(&["hostname"]).trim(), "router");
    console.send("\n");
    console.wait("ACTIVE for 1 of 1 instance");
    console.wait("VI_1");
    // And again, because it watches.
    console.wait("VI_1");
    console.send("\x03");
    console.wait("login:");
    eventually("its words are in the system log", SOON, || {
        device.read("/run/messages").contains("daemon.info vipd")
    });

    let daemon = device.vipd();
    device.must(&["kill", "-9", &daemon[0]]);
    eventually("it is started again", SOON, || device.vipd().iter().any(|pid| *pid != daemon[0]));
    eventually("and is Active again", SOON, || {
        device.run(&[INIT, "status"]).1.contains("Active") && lan.a.has(VIP)
    });

    let stop = Instant::now();
    device.must(&["poweroff"]);
    lan.capture.advert('a', 51, 0, stop, SOON);
    device.ended();
    assert!(!lan.a.has(VIP), "nothing is left");
}

#[test]
fn init_script_starts_reloads_keeps_and_stops() {
    let Some(lan) = lan() else { return };
    let mut device = image(&lan, &lan.a);
    device.idle(&lan.a, "rw");
    device.must(&["syslogd", "-O", "/run/messages"]);
    assert_eq!(device.run(&[INIT, "status"]).0, 3, "not running");
    assert_ne!(device.run(&[INIT, "stop"]).0, 0, "there is nothing to be stopped");
    device.write("/etc/vipd.toml", "[[vrrp]]\n");
    let (code, out, error) = device.run(&[INIT, "start"]);
    assert_eq!((code, out.as_str()), (1, "Starting vipd: FAIL\n"), "{error}");
    assert!(error.contains("/etc/vipd.toml:1:1"), "{error}");

    device.write("/etc/vipd.toml", &config(100, ""));
    let start = Instant::now();
    assert_eq!(device.must(&[INIT, "start"]), "Starting vipd: OK\n");
    lan.capture.advert('a', 51, 100, start, SOON);
    eventually("the address is there", SOON, || lan.a.has(VIP));
    let status = device.must(&[INIT, "status"]);
    assert!(status.contains("VI_1"), "{status}");
    let daemon = device.vipd();
    assert_ne!(device.run(&[INIT, "start"]).0, 0, "it runs already");
    assert_eq!(device.vipd(), daemon);

    let before = Instant::now();
    device.write("/etc/vipd.toml", &config(100, "priorty = 5\n"));
    let (code, out, error) = device.run(&[INIT, "reload"]);
    assert_eq!((code, out.as_str()), (1, "Reloading vipd: FAIL\n"), "{error}");
    assert!(error.contains("/etc/vipd.toml:9:1"), "{error}");
    lan.capture.advert('a', 51, 100, before + Duration::from_millis(300), SOON);
    assert!(lan.a.has(VIP), "still Active");
    let resigned = lan.capture.since(before, |f| f.advert().filter(|a| a.priority == 0));
    assert!(resigned.is_empty(), "{resigned:?}");

    device.write("/etc/vipd.toml", &config(150, ""));
    let before = Instant::now();
    device.must(&[INIT, "reload"]);
    lan.capture.advert('a', 51, 150, before, SOON);
    assert_eq!(device.vipd(), daemon, "told, not restarted");

    device.must(&["kill", "-9", &daemon[0]]);
    eventually("it is started again", SOON, || device.vipd().iter().any(|pid| *pid != daemon[0]));
    eventually("and is Active", SOON, || device.run(&[INIT, "status"]).1.contains("Active"));

    let before = Instant::now();
    device.must(&[INIT, "restart"]);
    lan.capture.advert('a', 51, 0, before, SOON);
    eventually("it runs again", SOON, || device.run(&[INIT, "status"]).1.contains("Active"));

    let stop = Instant::now();
    device.must(&[INIT, "stop"]);
    lan.capture.advert('a', 51, 0, stop, SOON);
    assert!(!lan.a.has(VIP), "the address is gone with the end of the script");
    assert!(device.vipd().is_empty());
    assert_eq!(device.read("/run/vipd.pid"), "", "nothing is left");
}
