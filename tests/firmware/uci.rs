//! `/etc/config/keepalived` becomes a `vipd.toml`, under busybox and with a stand-in of OpenWrt's functions.

use crate::device::{Device, lan, project};
use crate::openwrt::router;

fn sample(name: &str) -> String {
    std::fs::read_to_string(project().join("tests/firmware/uci").join(name)).unwrap_or_default()
}

/// Exit code, TOML and remarks.
fn converted(device: &Device, uci: &str) -> (i32, String, String) {
    device.write("/etc/config/keepalived", uci);
    device.run(&["/usr/libexec/vipd/from-uci"])
}

#[test]
fn configurations_of_keepalived_become_vipds() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    device.put("/etc/config/keepalived", "", 0o644);
    device.idle(&lan.a, "rw");
    for name in ["pair", "balancer", "odd"] {
        let (code, toml, remarks) = converted(&device, &sample(name));
        assert_eq!(toml, sample(&format!("{name}.toml")), "{name}");
        assert_eq!(remarks, sample(&format!("{name}.remarks")), "{name}");
        assert_eq!(code, i32::from(!remarks.is_empty()), "{name}: something was left out, or nothing");
        device.write("/tmp/vipd.toml", &toml);
        let (code, _, findings) = device.run(&["vipd", "check", "--config", "/tmp/vipd.toml"]);
        assert_eq!((code, findings.contains(": error:")), (0, false), "{name}: {findings}");
    }
}

/// Every `option` and `list` of the schema that keepalived's package documents is named in the script, or is
/// one of those without a meaning here.
#[test]
fn every_option_of_the_schema_is_known() {
    const WITHOUT_MEANING: &[&str] = &[
        "linkbeat_use_polling", // interfaces are watched by netlink
        "state",                // the priorities decide
        "debug",
        "native_ipv6", // the addresses say it
        "accept",      // the default
        "vmac_xmit_base",
        "global_tracking",
    ];
    const SCHEMA: &[&str] = &[
        "alt_config_file notification_email notification_email_from smtp_server smtp_connect_timeout",
        "router_id vrrp_mcast_group4 vrrp_mcast_group6 linkbeat_use_polling vrrp_startup_delay address",
        "device scope label_suffix blackhole src_addr gateway table group track_script smtp_alert",
        "global_tracking value weight track_bfd min_ttl max_ttl auth_type auth_pass state interface",
        "mcast_src_ip unicast_src_ip virtual_router_id version priority advert_int preempt_delay debug",
        "lvs_sync_daemon_interface garp_master_delay garp_master_refresh garp_master_repeat",
        "garp_master_refresh_repeat vmac_xmit_base native_ipv6 accept dont_track_primary nopreempt",
        "use_vmac no_accept virtual_ipaddress virtual_ipaddress_excluded virtual_routes track_interface",
        "unicast_peer script interval fall rise timeout direction down_delay up_delay enabled ipaddr",
        "port fwmark delay_loop lb_kind persistence_timeout persistence_granularity virtualhost protocol",
        "lb_algo sorry_server_ip sorry_server_port real_server check connect_timeout connect_port",
        "misc_path nb_get_retry delay_before_retry url path digest",
    ];
    let script = project().join("board/openwrt/vipd/files/usr/libexec/vipd/from-uci");
    let script = std::fs::read_to_string(script).unwrap();
    let words: Vec<&str> = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for option in SCHEMA.iter().flat_map(|line| line.split(' ')) {
        let is_named = words.contains(&option);
        assert_ne!(is_named, WITHOUT_MEANING.contains(&option), "{option}");
    }
}

/// A configuration that UCI only points at is not half of one: nothing is written, and it is said who reads
/// it.
#[test]
fn nothing_to_take_over_is_said() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    device.idle(&lan.a, "rw");
    let (code, _, remarks) = device.run(&["/usr/libexec/vipd/from-uci"]);
    assert_eq!((code, remarks.contains("there is no /etc/config/keepalived")), (2, true), "{remarks}");
    let uci = "config globals 'globals'\n\toption alt_config_file '/etc/keepalived/keepalived.conf'\n";
    let (code, toml, remarks) = converted(&device, uci);
    assert_eq!(code, 2, "{remarks}");
    assert!(remarks.contains("vipd import /etc/keepalived/keepalived.conf"), "{remarks}");
    assert!(!toml.contains("[["), "{toml}");
}

/// What the shell leaves out of a value would be left out of the router.
#[test]
fn values_with_quotes_come_through() {
    let Some(lan) = lan() else { return };
    let mut device = router(&lan, &lan.a);
    device.put("/etc/config/keepalived", "", 0o644);
    device.idle(&lan.a, "rw");
    let uci = "config vrrp_script\n\toption name 'x'\n\toption script '/bin/a \"b  c\" \\d'\n";
    let (code, toml, remarks) = converted(&device, uci);
    assert_eq!((code, remarks.as_str()), (0, ""));
    assert!(toml.contains(r#"command = "/bin/a \"b  c\" \\d""#), "{toml}");
}
