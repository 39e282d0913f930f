//! The OpenWrt package, under busybox: its init script with a stand-in of rc.common and procd that does what
//! the script declares (`tests/firmware/openwrt`), hotplug, and the ubus object.

use crate::device::{Device, lan, project};
use crate::netns::{Daemon, Lan, Node, Vipd, eventually, skip, vipd_binary};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const VIP: &str = "10.9.0.100";
const INIT: &str = "/etc/init.d/vipd";

pub(crate) fn config(priority: u8, more: &str) -> String {
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = {priority}\n\
         advert_interval = \"100ms\"\naddresses = [\"{VIP}/24\"]\n{more}"
    )
}

/// A router with the package's files and the stand-ins of OpenWrt's own.
pub(crate) fn router(lan: &Lan, node: &Node) -> Device {
    let device = Device::new(lan, node);
    device.install_all("board/openwrt/vipd/files");
    device.install("tests/firmware/openwrt/rc.common", "/etc/rc.common");
    device.install("tests/firmware/openwrt/functions.sh", "/lib/functions.sh");
    device.install("tests/firmware/openwrt/procd.sh", "/lib/functions/procd.sh");
    device.install("tests/firmware/openwrt/hotplug-call", "/sbin/hotplug-call");
    device
}

fn enable(device: &Device, file: &str) {
    let text = format!("config vipd 'main'\n\toption enabled '1'\n\toption config '{file}'\n");
    device.write("/etc/config/vipd", &text);
}

#[test]
fn init_script_starts_reloads_keeps_and_stops() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    device.idle(&lan.a, "rw");
    device.write("/etc/vipd.toml", &config(100, ""));
    device.must(&[INIT, "start"]);
    assert!(device.vipd().is_empty(), "as shipped it is not enabled");

    enable(&device, "/etc/vipd.toml");
    let start = Instant::now();
    device.must(&[INIT, "start"]);
    lan.capture.advert('a', 51, 100, start, SOON);
    eventually("the address is there", SOON, || lan.a.has(VIP));
    let (code, status, _) = device.run(&["vipd", "status", "--brief"]);
    assert_eq!((code, status.contains("VI_1")), (0, true), "{status}");
    let daemon = device.vipd();
    assert_eq!(daemon.len(), 1, "{daemon:?}");
    device.must(&[INIT, "start"]);
    assert_eq!(device.vipd(), daemon, "the same again changes nothing");

    // A file with a mistake: refused by the script, and the daemon is not even told.
    let before = Instant::now();
    device.write("/etc/vipd.toml", &config(100, "priorty = 5\n"));
    let (code, _, error) = device.run(&[INIT, "reload"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("/etc/vipd.toml:9:1"), "the operator has to know where: {error}");
    assert_eq!(device.vipd(), daemon);
    assert!(lan.a.has(VIP), "still Active");
    lan.capture.advert('a', 51, 100, before + Duration::from_millis(300), SOON);
    let resigned = lan.capture.since(before, |f| f.advert().filter(|a| a.priority == 0));
    assert!(resigned.is_empty(), "not for a moment given up: {resigned:?}");

    // A good one is taken over by the same process.
    device.write("/etc/vipd.toml", &config(150, ""));
    let before = Instant::now();
    device.must(&[INIT, "reload"]);
    lan.capture.advert('a', 51, 150, before, SOON);
    assert_eq!(device.vipd(), daemon, "told by SIGHUP, not restarted");

    // It ends by itself: started again, without end.
    for _ in 0..2 {
        let daemon = device.vipd();
        device.must(&["kill", "-9", &daemon[0]]);
        eventually("it is started again", SOON, || device.vipd().iter().any(|pid| *pid != daemon[0]));
    }
    eventually("and carries the address again", SOON, || {
        device.run(&["vipd", "status", "--brief"]).1.contains("Active") && lan.a.has(VIP)
    });

    let stop = Instant::now();
    device.must(&[INIT, "stop"]);
    lan.capture.advert('a', 51, 0, stop, SOON);
    assert!(!lan.a.has(VIP), "the address is gone with the end of the script");
    assert!(device.vipd().is_empty());
    assert_eq!(device.run(&["vipd", "status"]).0, 3, "not running");
}

#[test]
fn init_script_follows_the_toggle_and_the_name_of_the_file() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    device.idle(&lan.a, "rw");
    device.write("/etc/vipd.toml", &config(100, ""));
    device.write("/etc/other.toml", &config(120, ""));
    enable(&device, "/etc/vipd.toml");
    let start = Instant::now();
    // What the config trigger calls when somebody commits.
    device.must(&[INIT, "reload"]);
    lan.capture.advert('a', 51, 100, start, SOON);
    assert_eq!(device.read("/run/procd/vipd.triggers").trim(), "vipd");
    let declared = |parameter: &str| device.read(&format!("/run/procd/vipd/_etc_vipd.toml/{parameter}"));
    assert_eq!(declared("respawn").trim(), "3600 1 0", "without end");
    assert_eq!(declared("reload_signal").trim(), "HUP");
    assert!(declared("netdev").starts_with("eth0 "), "{}", declared("netdev"));

    let daemon = device.vipd();
    enable(&device, "/etc/other.toml");
    let before = Instant::now();
    device.must(&[INIT, "reload"]);
    lan.capture.advert('a', 51, 120, before, SOON);
    assert_ne!(device.vipd(), daemon, "a file of another name needs a new process");

    device.write("/etc/config/vipd", "config vipd 'main'\n\toption enabled '0'\n");
    let before = Instant::now();
    device.must(&[INIT, "reload"]);
    lan.capture.advert('a', 51, 0, before, SOON);
    assert!(device.vipd().is_empty(), "switched off");

    // A start with a mistake leaves nothing behind that is started again and again.
    enable(&device, "/etc/vipd.toml");
    device.write("/etc/vipd.toml", "[[vrrp]]\n");
    assert_eq!(device.run(&[INIT, "start"]).0, 1);
    assert!(device.vipd().is_empty());
    device.write("/etc/vipd.toml", &config(90, ""));
    let before = Instant::now();
    device.must(&[INIT, "reload"]);
    lan.capture.advert('a', 51, 90, before, SOON);
}

/// With nothing but what `/etc/capabilities/vipd.json` lists: everything works, workers are confined.
#[test]
fn capabilities_of_the_jail_suffice() {
    let Some(lan) = lan() else { return };
    let list = std::fs::read_to_string(project().join("board/openwrt/vipd/files/etc/capabilities/vipd.json"));
    let list: serde_json::Value = serde_json::from_str(&list.unwrap()).unwrap();
    for set in ["effective", "permitted"] {
        assert_eq!(list["bounding"], list[set], "{set}");
    }
    let names: Vec<String> = list["bounding"].as_array().unwrap().iter().map(name_for_setpriv).collect();
    let told = lan.folder().join("told");
    std::fs::write(&told, "").unwrap();
    std::fs::set_permissions(&told, std::fs::Permissions::from_mode(0o666)).unwrap();
    std::fs::set_permissions(lan.folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = lan.folder().join("script");
    std::fs::write(&script, format!("#!/bin/sh\nid -u >{}\n", told.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let more = format!(
        "virtual_mac = true\nnotify = {{ any = {{ run = \"{}\", user = \"65534\" }} }}\n\
         [realtime]\npriority = 5\nlock_memory = true\n\
         [notify]\nfifo = {{ path = \"{}\", user = \"65534\" }}\n\
         [[service]]\nname = \"web\"\naddress = \"{VIP}:80\"\n\
         check = {{ type = \"http\", path = \"/\", interval = \"1s\", timeout = \"500ms\" }}\n\
         [[service.server]]\naddress = \"10.9.0.3:8000\"\n",
        script.display(),
        lan.folder().join("fifo").display()
    );
    let (file, socket) = (lan.folder().join("a.toml"), lan.folder().join("a.sock"));
    std::fs::write(&file, config(100, &more)).unwrap();
    crate::web::serve(&lan, 8000);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", &format!("-all,+{}", names.join(",+")), "--inh-caps", "-all"]);
    command.arg("--no-new-privs").arg("--").arg(vipd_binary());
    command.arg("run").arg("--config").arg(file).arg("--socket").arg(socket).args(["--log-level", "debug"]);
    let mut daemon = Daemon::start(&lan.a, command, lan.folder().join("a.log"));
    eventually("the address is on the virtual MAC", SOON, || {
        lan.a.carries(VIP).as_deref() == Some("vrrp.51")
    });
    eventually("the script runs as its user", SOON, || {
        std::fs::read_to_string(&told).is_ok_and(|text| text.trim() == "65534")
    });
    eventually("a worker is at work", SOON, || daemon.log().contains("workers are confined"));
    for lack in ["ermitted", "realtime", "lock_memory", "not fully", "cannot"] {
        let lines = daemon.log();
        let line = lines.lines().find(|line| line.contains(lack) && !line.contains("IPVS"));
        assert_eq!(line, None, "{lines}");
    }
    assert_eq!(daemon.terminate(SOON), Some(0));
    assert!(lan.a.carries(VIP).is_none());
}

/// `"CAP_NET_ADMIN"` is `net_admin` to setpriv(1).
fn name_for_setpriv(name: &serde_json::Value) -> String {
    name.as_str().unwrap().strip_prefix("CAP_").unwrap().to_lowercase()
}

/// Every state comes to keepalived's scripts with its words, in the environment that they look into.
#[test]
fn hotplug_scripts_of_keepalived_are_told_of_every_state() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    let script = "echo \"$ACTION|$TYPE|$NAME|$#|$LEFT_OVER\" >>/run/told\n";
    device.put("/etc/hotplug.d/keepalived/10-user", script, 0o644);
    device.put("/etc/hotplug.d/vipd/10-own", "echo \"own $ACTION\" >>/run/own\n", 0o644);
    device.idle(&lan.a, "rw");
    let hotplug = |words: &[&str]| {
        device.write("/run/told", "");
        let mut all = vec!["/usr/libexec/vipd/hotplug"];
        all.extend(words);
        let (code, out, error) = device.run(&all);
        assert_eq!((out.as_str(), error.as_str()), ("", ""), "{words:?}");
        (code, device.read("/run/told"))
    };
    for (state, action) in [
        ("MASTER", "NOTIFY_MASTER"),
        ("BACKUP", "NOTIFY_BACKUP"),
        ("FAULT", "NOTIFY_FAULT"),
        ("STOP", "NOTIFY_STOP"),
        ("DELETED", "NOTIFY_FAULT"),
    ] {
        let (code, told) = hotplug(&["INSTANCE", "VI 1", state, "100"]);
        assert_eq!((code, told), (0, format!("{action}|INSTANCE|VI 1|1|\n")), "{state}");
        let (code, told) = hotplug(&["GROUP", "G", state, "0"]);
        assert_eq!((code, told), (0, format!("{action}|GROUP|G|1|\nNOTIFY|GROUP|G|5|\n")), "{state}");
    }
    for state in ["MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY"] {
        assert_eq!(hotplug(&["INSTANCE", "VI_1", state, "100"]), (0, String::new()), "{state}");
    }
    assert_eq!(hotplug(&["REAL_SERVER", "s1", "UP"]), (0, "NOTIFY_UP|REAL_SERVER|s1|1|\n".into()));
    assert_eq!(hotplug(&["REAL_SERVER", "s1", "DOWN"]), (0, "NOTIFY_DOWN|REAL_SERVER|s1|1|\n".into()));
    assert_eq!(hotplug(&["startup"]), (0, "startup|||1|\n".into()));
    assert_eq!(hotplug(&["shutdown"]), (0, "shutdown|||1|\n".into()));
    assert!(device.read("/run/own").contains("own NOTIFY_MASTER\n"), "and vipd's own folder");
    for words in [&["INSTANCE", "VI_1", "NONSENSE"][..], &["NONSENSE"], &[]] {
        let mut all = vec!["/usr/libexec/vipd/hotplug"];
        all.extend(words);
        assert_eq!(device.run(&all).0, 2, "{words:?}");
    }
}

/// The daemon itself calls it, by the line of the shipped configuration.
#[test]
fn hotplug_scripts_follow_the_daemon() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    let script = "[ -z \"$NAME\" ] || echo \"$ACTION $TYPE $NAME\" >>/run/told\n";
    device.put("/etc/hotplug.d/keepalived/10-user", script, 0o644);
    device.idle(&lan.a, "rw");
    let shipped = device.read("/etc/vipd.toml");
    let line = shipped.lines().find(|line| line.starts_with("notify = ")).unwrap();
    device.write("/etc/vipd.toml", &config(100, &format!("{line}\n")));
    enable(&device, "/etc/vipd.toml");
    device.must(&[INIT, "start"]);
    eventually("told of Active", SOON, || {
        device.read("/run/told").ends_with("NOTIFY_MASTER INSTANCE VI_1\n")
    });
    device.must(&[INIT, "stop"]);
    assert!(
        device.read("/run/told").ends_with("NOTIFY_STOP INSTANCE VI_1\n"),
        "{}",
        device.read("/run/told")
    );
}

#[test]
fn ubus_object_gives_one_json_object_whatever_happens() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    device.idle(&lan.a, "rw");
    let object = |words: &[&str]| -> serde_json::Value {
        let mut all = vec!["/usr/libexec/rpcd/vipd"];
        all.extend(words);
        let text = device.must(&all);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert!(value.is_object(), "{text}");
        value
    };
    let methods = object(&["list"]);
    assert!(methods["status"].is_object() && methods["events"].is_object());
    let acl =
        std::fs::read_to_string(project().join("board/openwrt/vipd/files/usr/share/rpcd/acl.d/vipd.json"));
    let acl: serde_json::Value = serde_json::from_str(&acl.unwrap()).unwrap();
    let allowed: Vec<_> = acl["vipd"]["read"]["ubus"]["vipd"].as_array().unwrap().clone();
    assert_eq!(allowed, ["status", "events"], "what is offered may be read");
    assert_eq!(object(&["call", "status"])["exit_code"], 3, "not running");
    device.write("/etc/vipd.toml", &config(100, ""));
    enable(&device, "/etc/vipd.toml");
    device.must(&[INIT, "start"]);
    eventually("Active", SOON, || lan.a.has(VIP));
    assert_eq!(object(&["call", "status"])["instances"][0]["name"], "VI_1");
    assert!(object(&["call", "events"])["events"].is_array());
    assert!(object(&["call", "nonsense"])["error"].is_string());
}

/// The filter's rule, where `nft` can say what it thinks of it.
#[test]
fn rule_of_the_firewall_lets_adverts_in() {
    let Some(lan) = lan() else { return };
    let rule = project().join("board/openwrt/vipd/files/usr/share/nftables.d/chain-pre/input/20-vipd.nft");
    let rule = std::fs::read_to_string(rule).unwrap();
    // fw4 puts the file at the head of its chain, like this.
    let table = format!(
        "table inet fw4 {{\nchain input {{\ntype filter hook input priority filter; policy drop;\n\
         {rule}\n}}\n}}\n"
    );
    let file = lan.folder().join("fw4.nft");
    std::fs::write(&file, table).unwrap();
    let Ok(output) =
        Command::new("ip").args(["netns", "exec", lan.b.namespace.name(), "nft", "-f"]).arg(&file).output()
    else {
        return;
    };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if error.contains("nft") && error.contains("No such file") {
        let _: Option<()> = skip("needs `nft` (Debian: nftables)");
        return;
    }
    assert!(output.status.success(), "{error}");
    let a = Vipd::start(&lan, &lan.a, &config(200, ""));
    let b = Vipd::start(&lan, &lan.b, &config(100, ""));
    eventually("adverts pass the filter and are counted there", SOON, || {
        let list =
            crate::netns::run(&["ip", "netns", "exec", lan.b.namespace.name(), "nft", "list", "ruleset"]);
        let packets =
            list.split("counter packets ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        packets.is_some_and(|count: u64| count > 3)
    });
    assert!(a.status().contains("\"state\":\"active\"") && b.status().contains("\"state\":\"backup\""));
}
