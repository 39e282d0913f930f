//! Texts of keepalived, and the TOML and the findings that they become.

use crate::config::keepalived::memory::Memory;
use crate::config::keepalived::{Import, Kind, Options, import};
use crate::config::parse;

fn read(text: &str) -> Import {
    import("keepalived.conf", &mut Memory(text), Options { config_id: "gw" })
}

/// The TOML text, which vipd accepts, and the sorts of findings.
fn map(text: &str) -> (String, Vec<Kind>) {
    let import = read(text);
    let told: Vec<String> = import.findings.iter().map(ToString::to_string).collect();
    let (config, diagnostics) = parse(&import.text, "vipd.toml");
    assert!(config.is_some(), "{}\n{told:#?}\n{diagnostics:?}", import.text);
    // What is told of a line stands beside it, last of all comments: `lvs_tests` look at that.
    let mut is_told = false;
    let mut text = String::new();
    for line in import.text.lines() {
        is_told = line.starts_with('#') && (is_told || line.starts_with("# line "));
        let is_leading = line.is_empty() && text.is_empty();
        if !is_told && !is_leading {
            text.push_str(line);
            text.push('\n');
        }
    }
    (text, import.findings.iter().map(|finding| finding.kind).collect())
}

/// As [`map`], for an instance with these lines and an address.
fn instance(lines: &str) -> (String, Vec<Kind>) {
    let (text, kinds) = map(&format!(
        "vrrp_instance VI {{\ninterface eth0\nvirtual_router_id 1\n{lines}\n\
         virtual_ipaddress {{\n10.0.0.9\n}}\n}}\n"
    ));
    let rows = text.strip_prefix("[[vrrp]]\nname = \"VI\"\ninterface = \"eth0\"\nvrid = 1\n");
    let rows = rows.unwrap_or_else(|| panic!("{text}")).replace("addresses = [\"10.0.0.9\"]\n", "");
    (rows, kinds)
}

use Kind::{Changed, Corrected, Deprecated, Ignored, Invalid, Refused, Unsupported};

#[test]
fn what_a_person_would_have_written() {
    let text = "\
! Configuration File for keepalived
global_defs {
   notification_email {
     root@localhost
   }
   notification_email_from keepalived@localhost
   smtp_server 127.0.0.1
   smtp_connect_timeout 30
   router_id kptwo
   vrrp _mcast_group4 234.10.10.10
}

# the LAN
vrrp_instance VI_1 {
    state MASTER
    interface ens37
    virtual_router_id 50
    priority 120   # more than the other
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        10.0.0.100/24
    }
    smtp_alert
}
";
    let toml = "\
# Configuration File for keepalived

[global]
router_name = \"kptwo\"
multicast_group4 = \"234.10.10.10\"

[mail]
server = \"127.0.0.1:25\"
from = \"keepalived@localhost\"
to = [\"root@localhost\"]

# the LAN
[[vrrp]]
name = \"VI_1\"
interface = \"ens37\"
vrid = 50
# more than the other
priority = 120
auth_pass = \"1111\"
addresses = [\"10.0.0.100/24\"]
";
    assert_eq!(map(text), (toml.to_owned(), vec![Corrected]), "the space in vrrp_mcast_group4 is a slip");
}

#[test]
fn a_master_without_a_priority_is_the_owner() {
    let (rows, kinds) = instance("state MASTER\nnopreempt\npreempt_delay 5");
    assert_eq!(rows, "# state MASTER without priority\npriority = 255\n");
    assert_eq!(kinds, [Changed, Changed, Changed], "priority, nopreempt, preempt_delay");
    assert_eq!(instance("state MASTER\npriority 100\nnopreempt"), (String::new(), vec![Changed]));
    let want = "priority = 90\npreempt = false\n".to_owned();
    assert_eq!(instance("state BACKUP\npriority 90\nnopreempt"), (want, vec![]));
    assert_eq!(instance("priority 300"), (String::new(), vec![Invalid]), "keepalived takes 100");
    assert_eq!(instance("preempt_delay 2.5").0, "preempt_delay = \"2500ms\"\n");
    assert_eq!(instance("nopreempt\npreempt").0, "", "the last line counts");
}

#[test]
fn adverts_are_as_often_as_keepalived_sends_them() {
    let interval = |lines: &str| instance(lines);
    assert_eq!(
        interval("advert_int 0.3"),
        (String::new(), vec![Changed]),
        "v2 rounds to seconds, at least one"
    );
    assert_eq!(interval("advert_int 2.6"), ("advert_interval = \"3s\"\n".to_owned(), vec![Changed]));
    assert_eq!(interval("advert_int 300"), (String::new(), vec![Invalid]));
    let v3 = |rest: &str| format!("version = 3\n{rest}");
    assert_eq!(interval("version 3\nadvert_int 0.05"), (v3("advert_interval = \"50ms\"\n"), vec![]));
    assert_eq!(
        interval("version 3\nadvert_int 1.234"),
        (v3("advert_interval = \"1230ms\"\n"), vec![Changed])
    );
    assert_eq!(interval("version 3\nadvert_int 60"), (v3("advert_interval = \"40950ms\"\n"), vec![Changed]));
}

#[test]
fn passwords_are_cut_and_go_with_v2_alone() {
    let auth = |kind: &str, more: &str| {
        instance(&format!("authentication {{\nauth_type {kind}\nauth_pass longer-than-8\n}}\n{more}"))
    };
    assert_eq!(auth("PASS", ""), ("auth_pass = \"longer-t\"\n".to_owned(), vec![Changed]));
    assert_eq!(auth("PASS", "version 3"), ("version = 3\n".to_owned(), vec![Changed]));
    assert_eq!(auth("AH", ""), (String::new(), vec![Unsupported, Ignored]));
    assert_eq!(auth("NONE", ""), (String::new(), vec![Invalid, Ignored]));
    let hmac = "auth_hmac {\nkey 1 ascii:0123456789abcdef0123456789abcdef\nmode permissive\n}";
    let want = "auth_hmac = { keys = [{ id = 1, ascii = \"0123456789abcdef0123456789abcdef\" }], \
                mode = \"permissive\" }\n";
    assert_eq!(instance(hmac), (want.to_owned(), vec![]));
}

#[test]
fn peers_are_believed_as_keepalived_believes_them() {
    let lines = "unicast_src_ip 10.0.0.1\nunicast_peer {\n10.0.0.2\n10.0.0.3 min_ttl 254 max_ttl 255\n}";
    let want = "unicast_peers = [\"10.0.0.2\", { address = \"10.0.0.3\", ttl_min = 254 }]\n\
                check_source = false\nsource = \"10.0.0.1\"\n";
    assert_eq!(instance(lines), (want.to_owned(), vec![]));
    let checked = instance(&format!("{lines}\ncheck_unicast_src")).0;
    assert!(!checked.contains("check_source"), "vipd checks anyway: {checked}");
    assert_eq!(
        instance("mcast_src_ip 10.0.0.1\ntrack_src_ip").0,
        "source = \"10.0.0.1\"\ntrack_source = true\n"
    );
}

#[test]
fn addresses_keep_their_options() {
    let text = "\
vrrp_instance VI {
  interface eth0
  virtual_router_id 1
  virtual_ipaddress {
    10.0.0.1/24 dev eth0 label eth0:vip scope link brd 10.0.0.255
    10.0.0.2/24 dev eth1 label other noprefixroute
    10.0.0.1/24
    fe80::1/64
  }
  virtual_ipaddress_excluded {
    2001:db8::1/128 preferred_lft forever
    10.0.0.3 home
  }
}
";
    let toml = "\
[[vrrp]]
name = \"VI\"
interface = \"eth0\"
vrid = 1
addresses = [
    { address = \"10.0.0.1/24\", scope = \"link\", broadcast = \"10.0.0.255\", label = \"eth0:vip\" },
    { address = \"10.0.0.2/24\", interface = \"eth1\", prefix_route = false },
]
excluded_addresses = [{ address = \"2001:db8::1/128\", deprecated = false }, \"10.0.0.3\"]
";
    assert_eq!(map(text), (toml.to_owned(), vec![Changed, Changed, Invalid, Unsupported]));
}

/// A pair that only elects, and lets its scripts do the rest (a cloud's own address, say), is not refused.
#[test]
fn an_instance_may_be_without_addresses() {
    let text = |rest: &str| format!("vrrp_instance V {{\ninterface e\nvirtual_router_id 1\n{rest}\n}}\n");
    let toml = |rest: &str| format!("[[vrrp]]\nname = \"V\"\ninterface = \"e\"\nvrid = 1\n{rest}");
    let without = toml("no_addresses = true\n");
    assert_eq!(map(&text("")), (without.clone(), vec![Changed]), "keepalived warns");
    assert_eq!(map(&text("virtual_ipaddress {\n}")), (without.clone(), vec![Changed]));
    assert_eq!(map(&text("no_virtual_ipaddress")), (without, vec![]));
    let excluded = toml("excluded_addresses = [\"10.0.0.3\"]\nno_addresses = true\n");
    assert_eq!(map(&text("virtual_ipaddress_excluded {\n10.0.0.3\n}")), (excluded, vec![Changed]));
    let v3 = toml("version = 3\nno_addresses = true\n");
    assert_eq!(map(&text("version 3\nno_virtual_ipaddress")), (v3, vec![]));
    for rest in ["version 3", "strict_mode on\nno_virtual_ipaddress"] {
        let findings = read(&text(rest)).findings;
        assert!(findings.iter().any(|f| f.kind == Refused), "{rest}: nor does keepalived start it");
    }
    let both = text("no_virtual_ipaddress\nvirtual_ipaddress {\n10.0.0.3\n}");
    assert_eq!(map(&both), (toml("addresses = [\"10.0.0.3\"]\n"), vec![Ignored]));
}

#[test]
fn ipv6_is_version_3() {
    let text = |version: &str| {
        format!(
            "vrrp_instance V {{\ninterface e\nvirtual_router_id 1\n{version}\n\
             virtual_ipaddress {{ fe80::1/64 }}\n}}\n"
        )
    };
    let toml = "[[vrrp]]\nname = \"V\"\ninterface = \"e\"\nvrid = 1\naddresses = [\"fe80::1/64\"]\n";
    assert_eq!(map(&text("")), (toml.to_owned(), vec![]));
    assert_eq!(map(&text("version 2")), (toml.to_owned(), vec![Unsupported]));
}

#[test]
fn instances_inherit() {
    let text = "\
global_defs {
  vrrp_version 3
  vrrp_garp_master_delay 0
  vrrp_garp_master_refresh 60
  vrrp_garp_interval 0.01
  vrrp_lower_prio_no_advert
  v3_checksum_as_v2
  vrrp_startup_delay 5.5
  default_interface eth7
  script_user nobody
  enable_script_security
  dynamic_interfaces
}
vrrp_instance VI {
  virtual_router_id 1
  garp_master_repeat 2
  virtual_ipaddress { 10.0.0.1 }
}
";
    let toml = "\
[global]
script_user = \"nobody\"
announce_rates = { eth7 = 100 }

[[vrrp]]
name = \"VI\"
interface = \"eth7\"
vrid = 1
version = 3
start_delay = \"5500ms\"
addresses = [\"10.0.0.1\"]
checksum = \"message-only\"
lower_priority_advert = false
garp = { delay = \"0s\", repeat = 2, refresh = \"1m\", lower_priority_repeat = 5 }
";
    assert_eq!(map(text), (toml.to_owned(), vec![Changed, Ignored]), "security, dynamic_interfaces");
    // Seen of keepalived 2.2.7: after a lower priority an instance's own values do not count.
    let (rows, _) = instance("garp_master_delay 1");
    assert_eq!(rows, "garp = { delay = \"1s\", lower_priority_delay = \"5s\" }\n");
}

#[test]
fn strict_mode_is_what_it_does() {
    let (rows, kinds) =
        instance("strict_mode\npreempt_delay 3\nauthentication { auth_type PASS\nauth_pass x\n}");
    let want = "lower_priority_advert = false\n\
                garp = { lower_priority_delay = \"0s\", lower_priority_repeat = 0 }\n";
    assert_eq!((rows.as_str(), kinds), (want, vec![Changed, Changed, Changed]));
}

#[test]
fn trackers_may_be_defined_further_below() {
    let text = "\
vrrp_instance VI {
  interface eth0
  virtual_router_id 1
  track_interface {
    eth1 weight -20
    eth0
  }
  track_script {
    chk weight 5
    chkk
  }
  track_file {
    chk
  }
  virtual_ipaddress { 10.0.0.1 }
}
vrrp_script chk {
  script \"/bin/check a 'b c'\"
  interval 2
  fall 3
  weight 10 reverse
  user nobody
}
vrrp_track_file chk {
  file /run/number
}
";
    let toml = "\
[[track]]
name = \"chk\"
type = \"script\"
command = { run = [\"/bin/check\", \"a\", \"b c\"], user = \"nobody\" }
interval = \"2s\"
fall = 3
weight = 10
reverse = true

[[track]]
name = \"chk-file\"
type = \"file\"
path = \"/run/number\"

[[track]]
name = \"eth1\"
type = \"interface\"
interface = \"eth1\"

[[vrrp]]
name = \"VI\"
interface = \"eth0\"
vrid = 1
addresses = [\"10.0.0.1\"]
track = [{ name = \"eth1\", weight = -20 }, { name = \"chk\", weight = 5, reverse = false }, \"chk-file\"]
";
    let kinds = vec![Ignored, Changed, Invalid, Changed, Deprecated, Changed];
    assert_eq!(
        map(text),
        (toml.to_owned(), kinds),
        "own interface, order, unknown, order, old name, new name"
    );
}

#[test]
fn routes_and_rules_in_our_words() {
    let (rows, kinds) = instance(
        "virtual_routes {\nsrc 10.0.0.5 10.1.0.0/16 via 10.0.0.2 dev eth1 metric 7 onlink\n\
         blackhole 10.9.0.0/16\n\
         10.2.0.0/16 gw 10.0.0.3 or 10.0.0.4\n10.3.0.0/16 via 10.0.0.2 table mine\n10.4.0.1/16 dev eth0\n}\n\
         virtual_rules {\nfrom 10.1.0.0/16 table 7 priority 100\nto 10.0.0. table 1\nfwmark 0x1 lookup 9\n\
         from 10.0.0.0/8 sport 7 table 3\n}",
    );
    let want = "\
routes = [
    { to = \"10.1.0.0/16\", source = \"10.0.0.5\", via = \"10.0.0.2\", interface = \"eth1\", metric = 7,
      on_link = true },
    { to = \"10.9.0.0/16\", kind = \"blackhole\" },
    { to = \"10.2.0.0/16\", via = \"10.0.0.3\" },
]
rules = [{ from = \"10.1.0.0/16\", table = 7, priority = 100 },
  { fwmark = \"0x1\", table = 9, priority = 32765 }]
";
    let flat = |text: &str| text.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert_eq!(flat(&rows).replace(" ,", ","), flat(want).replace(" ,", ","));
    let kinds_wanted = [Deprecated, Unsupported, Unsupported, Invalid, Invalid, Changed, Unsupported];
    assert_eq!(kinds, kinds_wanted, "gw, or, table, host bits, no net, no priority, sport");
}

/// As keepalived 2.2.7 and the kernel make them: without the family an IPv6 default route went for a second
/// one of IPv4 and was left out.
#[test]
fn routes_have_a_family_and_the_last_one_counts() {
    let (rows, kinds) = instance(
        "virtual_routes {\ndefault via 10.0.0.2 dev eth1\ndefault via inet6 2001:db8::1 dev eth1\n\
         default6 via 2001:db8::2 dev eth1 metric 7\ninet6 default dev eth1 metric 8\n\
         10.7.0.0/16 via 10.0.0.2\n10.7.0.0/16 via 10.0.0.3\n\
         10.8.0.0/16 nexthop via 10.0.0.4 dev eth1 onlink weight 1 nexthop via 10.0.0.5\n}\n\
         virtual_rules {\nfrom 10.1.2.3/28 table 7 priority 100\n}",
    );
    let want = "\
routes = [
    { to = \"default\", via = \"10.0.0.2\", interface = \"eth1\" },
    { to = \"::/0\", via = \"2001:db8::1\", interface = \"eth1\" },
    { to = \"::/0\", via = \"2001:db8::2\", interface = \"eth1\", metric = 7 },
    { to = \"::/0\", interface = \"eth1\", metric = 8 },
    { to = \"10.7.0.0/16\", via = \"10.0.0.3\" },
    { to = \"10.8.0.0/16\", via = \"10.0.0.4\", interface = \"eth1\", on_link = true },
]
rules = [{ from = \"10.1.2.0/28\", table = 7, priority = 100 }]
";
    let kinds_wanted = [Deprecated, Changed, Unsupported, Changed];
    assert_eq!((rows.as_str(), kinds), (want, kinds_wanted.to_vec()), "default6, twice, hops, host bits");
}

/// Any word may say the family, and no other may say another one; no key stands twice in what is written.
#[test]
fn a_route_has_one_family_and_each_key_once() {
    let (rows, kinds) = instance(
        "virtual_routes {\ndefault inet6 dev eth1 scope link\nto inet6 default dev eth1\n\
         default via inet6 2001:db8::1 via 10.0.0.1\n2001:db8:1::/48 via 10.0.0.1\n\
         10.0.0.0/8 dev eth0 nexthop via 10.0.0.1 dev eth1\ninet 0.0.0.0/0 dev eth1\ndefault dev eth2\n}\n\
         virtual_rules {\nfrom 10.1.0.0/16 from 10.2.0.0/16 table 7 priority 100\n}",
    );
    let want = "\
routes = [
    { to = \"::/0\", interface = \"eth1\" },
    { to = \"10.0.0.0/8\", interface = \"eth1\", via = \"10.0.0.1\" },
    { to = \"default\", interface = \"eth2\" },
]
rules = [{ from = \"10.2.0.0/16\", table = 7, priority = 100 }]
";
    let kinds_wanted = [Ignored, Changed, Unsupported, Unsupported, Unsupported, Changed];
    assert_eq!((rows.as_str(), kinds), (want, kinds_wanted.to_vec()));
}

/// `vrrp_min_garp` leaves what a line above it has set (keepalived 2.2.7).
#[test]
fn few_announcements_but_for_what_is_set() {
    let import = |globals: &str| {
        let text = format!(
            "global_defs {{\n{globals}\n}}\nvrrp_instance V {{\ninterface e\nvirtual_router_id 1\n\
             virtual_ipaddress {{\n10.0.0.1\n}}\n}}\n"
        );
        map(&text).0
    };
    let set = import("vrrp_garp_master_repeat 3\nvrrp_garp_master_delay 9\nvrrp_min_garp");
    assert_eq!(set, import("vrrp_garp_master_repeat 3\nvrrp_garp_master_delay 9"));
    let few = import("vrrp_garp_master_repeat 1\nvrrp_garp_master_delay 0");
    assert_eq!(few, import("vrrp_min_garp"));
    assert_ne!(few, set);
}

#[test]
fn paces_of_announcements_are_whole_numbers() {
    let text = |gaps: &str| {
        format!(
            "global_defs {{\n{gaps}\n}}\nvrrp_instance V {{\ninterface e\nvirtual_router_id 1\n\
             virtual_ipaddress {{ 10.0.0.1 }}\n}}\nvrrp_instance W {{\ninterface e\nvirtual_router_id 1\n\
             virtual_ipaddress {{ fe80::1 }}\n}}\n"
        )
    };
    let rate = |gaps: &str| {
        let (text, kinds) = map(&text(gaps));
        (text.lines().find_map(|line| line.strip_prefix("announce_rates = ")).map(str::to_owned), kinds)
    };
    assert_eq!(rate("vrrp_garp_interval 0.01\nvrrp_gna_interval 0.01").1, vec![]);
    assert_eq!(rate("vrrp_garp_interval 10.5\nvrrp_gna_interval 10.5"), {
        (Some("{ e = 1 }".to_owned()), vec![Changed, Changed])
    });
    assert_eq!(rate("vrrp_garp_interval 0.01\nvrrp_gna_interval 0.1"), {
        (Some("{ e = 10 }".to_owned()), vec![Changed])
    });
}

#[test]
fn groups_and_what_they_tell() {
    let text = "\
vrrp_sync_group G {
  A
  group {
    B
    C
  }
  notify \"/etc/n.sh x\" root
}
vrrp_instance A {
  interface eth0
  virtual_router_id 1
  notify_master /etc/up.sh
  virtual_ipaddress { 10.0.0.1 }
}
vrrp_instance B {
  interface eth1
  virtual_router_id 1
  use_vmac
  virtual_ipaddress { 10.1.0.1 }
}
vrrp_instance B {
  interface eth2
}
static_ipaddress {
  192.0.2.1/24 dev eth5
}
interface_up_down_delays {
  eth0 1 3
}
";
    let toml = "\
[[vrrp]]
name = \"A\"
interface = \"eth0\"
vrid = 1
settle = \"3s\"
down_delay = \"1s\"
addresses = [\"10.0.0.1\"]
notify = { active = \"/etc/up.sh\" }

[[vrrp]]
name = \"B\"
interface = \"eth1\"
vrid = 1
virtual_mac = true
addresses = [\"10.1.0.1\"]

[[sync_group]]
name = \"G\"
members = [\"A\", \"B\"]
notify = { any = { run = \"/etc/n.sh x\", user = \"root\" } }

[static]
addresses = [{ address = \"192.0.2.1/24\", interface = \"eth5\" }]
";
    let kinds = vec![Corrected, Invalid, Changed, Invalid];
    assert_eq!(map(text), (toml.to_owned(), kinds), "a bare member, no C, notify, a second B");
}

#[test]
fn an_old_sync_daemon_and_pipes() {
    let text = "\
global_defs {
  notify_fifo /run/all root adm
  notify_fifo_script /etc/reader
  vrrp_notify_fifo /run/vrrp
  vrrp_rt_priority 50
  vrrp_no_swap
  startup_script /etc/start now
  startup_script_timeout 20
  notification_email { a b@c }
  smtp_server mail.example.org
}
vrrp_instance A {
  interface eth0
  virtual_router_id 1
  lvs_sync_daemon_interface eth1
  virtual_ipaddress { 10.0.0.1 }
}
";
    let toml = "\
[global]
start_script = { run = \"/etc/start now\", timeout = \"20s\" }

[mail]
server = \"mail.example.org:25\"
from = \"root@localhost\"
to = [\"a@localhost\", \"b@c\"]

[notify]
fifo = { path = \"/run/all\", user = \"root\", group = \"adm\", script = \"/etc/reader\" }
vrrp_fifo = \"/run/vrrp\"

[realtime]
priority = 50
lock_memory = true

[[vrrp]]
name = \"A\"
interface = \"eth0\"
vrid = 1
addresses = [\"10.0.0.1\"]
notify = { mail = false }

[ipvs.sync]
interface = \"eth1\"
instance = \"A\"
";
    assert_eq!(
        map(text),
        (toml.to_owned(), vec![Changed, Changed, Deprecated]),
        "no `from`, `a`, the daemon"
    );
}
