//! Broken virtual routers, one mistake each: the exact line and column, what is wrong and
//! what was probably meant (law 4). Without these a mistake could be reported elsewhere, or pass in silence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "others use the rest of it")]
mod texts;

use texts::{RIGHT, check, messages};
use vipd::model::Level;

#[test]
fn the_right_one_is_right() {
    assert_eq!(messages(RIGHT), [""; 0]);
}

#[test]
fn families() {
    check(
        Level::Error,
        &[
            ("vrid = 52", "vrid = 52\nversion = 2", (1, 11), &["`version = 2` is for IPv4 only"]),
            (
                "\"2001:db8::1/64\"",
                "\"10.0.0.1/24\"",
                (0, 28),
                &["10.0.0.1/24 is IPv4, this [[vrrp]] is IPv6", "`excluded_addresses`"],
            ),
            ("\"10.0.0.100/24\"", "\"10.0.0.100/24\", \"::2\"", (0, 31), &["is IPv6, this [[vrrp]] is IPv4"]),
            ("vrid = 51", "vrid = 51\nfamily = \"v4\"", (1, 10), &["unknown family \"v4\"", "ipv4"]),
            ("vrid = 52", "vrid = 52\nauth_pass = \"x\"", (1, 1), &["`auth_pass` contradicts VRRPv3"]),
            (
                "vrid = 52",
                "vrid = 52\nmulticast_group4 = \"224.0.0.19\"",
                (1, 1),
                &["contradicts the family of this [[vrrp]], IPv6", "Did you mean `multicast_group6`?"],
            ),
            (
                "[global]",
                "[global]\nmulticast_group6 = \"fe80::1\"",
                (1, 20),
                &["not a multicast group", "ff02::12"],
            ),
            ("[global]", "[global]\nmulticast_group4 = \"ff02::12\"", (1, 20), &["multicast_group6"]),
            ("\"fe80::1/64\"", "\"fe80::1/129\"", (0, 14), &["of an IPv6 address, wants 1 to 128"]),
            ("\"fe80::1/64\"", "\"fe80::1%eth1/64\"", (0, 14), &["Leave out what follows %"]),
            ("\"fe80::1/64\"", "\"ff02::1/64\"", (0, 14), &["a multicast address and cannot be"]),
        ],
    );
    check(
        Level::Warning,
        &[
            ("\"fe80::1/64\", ", "", (0, 14), &["is to be link-local", "PKT-13", "Begin with \"fe80::34\""]),
            ("vrid = 52", "vrid = 52\nchecksum = \"auto\"", (1, 1), &["no effect with IPv6"]),
            ("vrid = 52", "vrid = 52\nsource = \"2001:db8::9\"", (1, 10), &["not link-local"]),
        ],
    );
}

#[test]
fn timers() {
    check(
        Level::Error,
        &[
            (
                "vrid = 51",
                "vrid = 51\ndown_delay = \"2s\"",
                (1, 14),
                &["`down_delay` is 2s, wants less than 2s", "(down_adverts - 1) x advert_interval"],
            ),
            (
                "vrid = 51",
                "vrid = 51\npreempt = false\npreempt_delay = \"1s\"",
                (2, 1),
                &["`preempt_delay` contradicts `preempt = false`"],
            ),
            ("priority = 150", "preempt_delay = \"1001s\"", (0, 17), &["wants 0s to 1000s"]),
            ("vrid = 51", "vrid = 51\ndown_adverts = 0", (1, 16), &["wants 1 to 100"]),
            ("vrid = 51", "vrid = 51\nsettle = 5", (1, 10), &["Did you mean \"5s\"?"]),
            ("vrid = 51", "vrid = 51\nstart_delay = \"2h\"", (1, 15), &["wants 0s to 1h"]),
        ],
    );
    let owner = RIGHT.replace("priority = 150", "priority = 255\npreempt_delay = \"5s\"");
    let said = messages(&owner);
    assert!(
        said.iter().any(|s| s.contains(":24:1: error: `preempt_delay` contradicts priority 255")),
        "{said:?}"
    );
}

#[test]
fn authentication() {
    let hmac = |more: &str| format!("vrid = 51\nauth_hmac = {{ {more} }}");
    let key = format!("{{ id = 1, hex = \"{}\" }}", "ab".repeat(32));
    let cases: Vec<(String, (u32, u32), Vec<&str>)> = vec![
        (
            "vrid = 51\nauth_type = \"AH\"".to_owned(),
            (1, 1),
            vec!["`auth_type = \"AH\"` is not supported", "`auth_hmac`"],
        ),
        ("vrid = 51\nauth_type = \"PASS\"".to_owned(), (1, 1), vec!["`auth_pass` alone"]),
        (hmac("keys = []"), (1, 15), vec!["`keys` is empty"]),
        (hmac("mode = \"enforce\""), (1, 13), vec!["auth_hmac has no `keys`"]),
        (hmac("keys = [{ id = 1 }]"), (1, 23), vec!["the key has no secret"]),
        (hmac("keys = [{ id = 1, hex = \"abc\" }]"), (1, 39), vec!["3 hexadecimal digits, an even number"]),
        (hmac("keys = [{ id = 1, hex = \"ab\" }]"), (1, 39), vec!["a key of 1 bytes, wants 32 to 64"]),
        (hmac("keys = [{ id = 1, ascii = \"secret\" }]"), (1, 41), vec!["a key of 6 bytes", "openssl rand"]),
        (hmac("keys = [{ id = 1, file = \"key\" }]"), (1, 40), vec!["not an absolute path"]),
        (hmac("keys = [{ id = 1, file = \"/k\" }]"), (1, 40), vec!["/k cannot be read"]),
        (hmac(&format!("keys = [{key}, {key}]")), (1, 109), vec!["the id 1 is given twice"]),
        (hmac(&format!("active = 2, keys = [{key}]")), (1, 24), vec!["no key has the id 2", "Those are: 1."]),
        (hmac(&format!("active_key = 1, keys = [{key}]")), (1, 15), vec!["`active_key` is `active` here"]),
        (hmac(&format!("window = \"10m\", keys = [{key}]")), (1, 24), vec!["wants 1s to 5m"]),
        (
            hmac(&format!("mode = \"strict\", keys = [{key}]")),
            (1, 22),
            vec!["One of: enforce, permissive, receive-only"],
        ),
    ];
    for (wrong, place, says) in &cases {
        let text = RIGHT.replacen("vrid = 51", wrong, 1);
        let said: Vec<String> =
            messages(&text).into_iter().filter(|s| !s.contains("has no `active`")).collect();
        assert_eq!(said.len(), 1, "{wrong}: {said:#?}");
        let prefix = format!("f:{}:{}: error: ", 22 + place.0, place.1);
        assert!(said[0].starts_with(&prefix), "{wrong} is at {prefix}: {said:#?}");
        for word in says {
            assert!(said[0].contains(word), "{wrong} does not say {word:?}: {said:#?}");
        }
    }
    let both =
        RIGHT.replacen("vrid = 51", &format!("auth_pass = \"x\"\n{}", hmac(&format!("keys = [{key}]"))), 1);
    let said = messages(&both);
    assert!(
        said.len() == 1 && said[0].starts_with("f:22:1: error: `auth_pass` contradicts `auth_hmac`"),
        "{said:?}"
    );
}

#[test]
fn unicast_and_source() {
    check(
        Level::Error,
        &[
            ("vrid = 51", "vrid = 51\nunicast_peers = []", (1, 1), &["`unicast_peers` is empty"]),
            ("vrid = 51", "unicast_ttl = 64\nvrid = 51", (0, 1), &["no effect without `unicast_peers`"]),
            ("vrid = 51", "check_source = false\nvrid = 51", (0, 1), &["no effect without `unicast_peers`"]),
            ("vrid = 51", "track_source = true\nvrid = 51", (0, 1), &["no effect without `source`"]),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [\"fe80::2\"]",
                (1, 18),
                &["fe80::2 is IPv6, this [[vrrp]] is IPv4"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [\"224.0.0.18\"]",
                (1, 18),
                &["not the address of a router", "multicast_group4"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [\"gw2.example\"]",
                (1, 18),
                &["host name", "Only servers of a service"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [\"10.0.0.2\", \"10.0.0.2\"]",
                (1, 30),
                &["given twice"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = \"10.0.0.2\"",
                (1, 17),
                &["in brackets: [\"10.0.0.2\"]"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [{ address = \"10.0.0.2\", ttl_min = 9, ttl_max = 8 }]",
                (1, 65),
                &["`ttl_max` (8) is below `ttl_min` (9)"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [{ address = \"10.0.0.2\", min_ttl = 254 }]",
                (1, 42),
                &["`min_ttl` is `ttl_min` here"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nunicast_peers = [\"10.0.0.2\"]\nmulticast_group4 = \"224.0.0.19\"",
                (2, 1),
                &["`multicast_group4` contradicts `unicast_peers`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nsource = \"10.0.0.100\"",
                (1, 10),
                &["is a virtual address, which moves"],
            ),
            ("vrid = 51", "vrid = 51\nsource = \"fe80::9\"", (1, 10), &["is IPv6, this [[vrrp]] is IPv4"]),
            (
                "vrid = 51",
                "vrid = 51\nunicast_source = \"10.0.0.1\"",
                (1, 1),
                &["`unicast_source` is `source`"],
            ),
            ("vrid = 51", "vrid = 51\nmcast_src_ip = \"10.0.0.1\"", (1, 1), &["`mcast_src_ip` is `source`"]),
        ],
    );
}

#[test]
fn virtual_macs() {
    check(
        Level::Error,
        &[
            (
                "vrid = 51",
                "vrid = 51\nvirtual_mac = \"vrrp.51\"",
                (1, 15),
                &["wants true, false or a table", "name = "],
            ),
            (
                "vrid = 51",
                "vrid = 51\nvirtual_mac = { name = \"eth0\" }",
                (1, 24),
                &["is the interface below it"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nvirtual_mac = { name = \"eth1\" }",
                (1, 24),
                &["is the interface of a [[vrrp]]"],
            ),
            ("vrid = 51", "vrid = 51\nvirtual_mac = { name = \"a-name-of-16-byte\" }", (1, 24), &["1 to 15"]),
            (
                "vrid = 51",
                "vrid = 51\nvirtual_mac = { mac = \"01:00:5e:00:00:12\" }",
                (1, 23),
                &["a single station"],
            ),
            ("vrid = 51", "vrid = 51\nvirtual_mac = { mac = \"00:00:5e\" }", (1, 23), &["is not a MAC"]),
            ("vrid = 51", "vrid = 51\nuse_vmac = true", (1, 1), &["is `virtual_mac = true`"]),
        ],
    );
    let both = RIGHT.replace("vrid = 51", "vrid = 51\nvirtual_mac = true");
    let both = both.replace("vrid = 52", "vrid = 52\nvirtual_mac = { name = \"vrrp.51\" }");
    let said = messages(&both);
    assert!(
        said.len() == 1 && said[0].starts_with("f:32:24: error: `virtual_mac`: vrrp.51 is the macvlan"),
        "{said:?}"
    );
    assert!(said[0].contains("See line 23"), "{said:?}");
}

#[test]
fn addresses() {
    check(
        Level::Error,
        &[
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100/24\", label = \"vip\" }]",
                (0, 51),
                &["does not begin with \"eth0:\"", "Did you mean \"eth0:vip\"?"],
            ),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100/24\", scope = \"lan\" }]",
                (0, 51),
                &["One of: global, site, link, host"],
            ),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100/24\", dev = \"eth2\" }]",
                (0, 43),
                &["`dev` is `interface` here"],
            ),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100/24\", broadcast = \"10.0.0.300\" }]",
                (0, 55),
                &["is not an IP address", "300"],
            ),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100\", broadcast = \"+\" }]",
                (0, 52),
                &["a /32 has no broadcast address"],
            ),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100\", peer = \"fe80::1\" }]",
                (0, 47),
                &["`peer`: IPv6, while the address is IPv4"],
            ),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100\", deprecated = true }]",
                (0, 40),
                &["never asks it of an IPv4 address"],
            ),
            ("[\"10.0.0.100/24\"]", "[{ addres = \"10.0.0.100\" }]", (0, 16), &["Did you mean `address`?"]),
            ("[\"10.0.0.100/24\"]", "[{ label = \"eth0:1\" }]", (0, 14), &["addresses has no `address`"]),
            (
                "[\"10.0.0.100/24\"]",
                "[{ address = \"10.0.0.100\", home = true }]",
                (0, 40),
                &["vipd has no `home`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nno_addresses = true",
                (3, 1),
                &["`addresses` contradicts `no_addresses = true`", "`excluded_addresses`"],
            ),
            ("[\"10.0.0.100/24\"]", "[]", (0, 1), &["is empty", "no_addresses = true"]),
            (
                "vrid = 51",
                "vrid = 51\nexcluded_addresses = [\"10.0.0.100\"]",
                (1, 23),
                &["is in `addresses`, too"],
            ),
            ("vrid = 51", "vrid = 51\nvirtual_ipaddress_excluded = []", (1, 1), &["is `excluded_addresses`"]),
            (
                "\"fe80::1/64\"",
                "{ address = \"fe80::1\", label = \"eth1:1\" }",
                (0, 37),
                &["an IPv6 address has none"],
            ),
            (
                "vrid = 51",
                "vrid = 51\naccept = false",
                (1, 10),
                &["needs a packet filter", "FSM-38", "nftables"],
            ),
            (
                "\"10.0.0.100/24\"",
                "\"10.0.0.100/24 brd + home\"",
                (0, 14),
                &["Did you mean \"10.0.0.100/24\"?"],
            ),
        ],
    );
    check(
        Level::Warning,
        &[(
            "addresses = [\"10.0.0.100/24\"]",
            "excluded_addresses = [\"10.0.0.100/24\"]",
            (0, 1),
            &["RX-15"],
        )],
    );
    let said = messages(&RIGHT.replace("addresses = [\"10.0.0.100/24\"]", "excluded_addresses = []"));
    assert!(said.len() == 1 && said[0].contains(":24:1: error: this [[vrrp]] has no address"), "{said:?}");
    let said = messages(&RIGHT.replace("\"2001:db8::1/64\"", "{ address = \"10.0.0.100\" }"));
    assert!(said[0].contains("is IPv4, this [[vrrp]] is IPv6"), "{said:?}");
    assert!(
        said[1].contains("warning: `addresses`: 10.0.0.100 is a virtual address of another interface"),
        "{said:?}"
    );
}

#[test]
fn routes_and_rules() {
    check(
        Level::Error,
        &[
            (
                "vrid = 51",
                "vrid = 51\nroutes = [\"default via 10.0.0.1\"]",
                (1, 11),
                &["Did you mean { to = \"default\", via = \"10.0.0.1\" }?"],
            ),
            ("vrid = 51", "vrid = 51\nroutes = [{ via = \"10.0.0.1\" }]", (1, 11), &["routes has no `to`"]),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"10.0.0.1/24\" }]",
                (1, 18),
                &["Did you mean \"10.0.0.0/24\"?"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"10.0.0.0/24\", via = \"fe80::1\" }]",
                (1, 39),
                &["fe80::1 is IPv6"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default6\", on_link = false }]",
                (1, 18),
                &["Did you mean \"::/0\"?"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", on_link = true }]",
                (1, 29),
                &["there is no `via`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", kind = \"blackhole\", via = \"10.0.0.1\" }]",
                (1, 49),
                &["`via` contradicts `kind = \"blackhole\"`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", kind = \"reject\" }]",
                (1, 36),
                &["One of: unicast, blackhole"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", table = \"vpn\" }]",
                (1, 37),
                &["Give its number"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", table = 0 }]",
                (1, 37),
                &["wants 1 to 4294967295"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", advmss = 1 }]",
                (1, 29),
                &["vipd has no `advmss`", "command of `notify`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\", dev = \"x\" }]",
                (1, 29),
                &["`dev` is `interface` here"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nroutes = [{ to = \"default\" }, { to = \"default\" }]",
                (1, 31),
                &["0.0.0.0/0 is given twice"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ from = \"10.0.0.0/24\", table = 5 }]",
                (1, 10),
                &["rules has no `priority`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ from = \"10.0.0.0/24\", priority = 5 }]",
                (1, 10),
                &["the rule does nothing"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ from = \"10.0.0.0/24\", table = 5, priority = 32766 }]",
                (1, 56),
                &["wants 0 to 32765"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ tos = 8, table = 5, action = \"prohibit\", priority = 1 }]",
                (1, 32),
                &["`action` contradicts `table`"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ from = \"10.0.0.0/8\", to = \"::/0\", table = 5, priority = 1 }]",
                (1, 38),
                &["A rule is for one family"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ fwmark = \"0x11/0x10\", table = 5, priority = 1 }]",
                (1, 21),
                &["Did you mean \"0x10/0x10\"?"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ tos = 3, table = 5, priority = 1 }]",
                (1, 18),
                &["(ECN)", "Did you mean 0?"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ iif = \"eth0\", table = 5, priority = 1, tos = 4 }]",
                (1, 12),
                &["`iif` is `input` here"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrules = [{ tos = 4, uidrange = 1, table = 5, priority = 1 }]",
                (1, 21),
                &["vipd has no `uidrange`"],
            ),
            (
                "[global]",
                "[static]\naddresses = [\"10.0.0.1/24\"]\n[global]",
                (1, 14),
                &["needs its interface"],
            ),
            (
                "[global]",
                "[static]\nroutes = [{ to = \"default\" }]\n[global]",
                (1, 11),
                &["goes to a gateway or an interface"],
            ),
            ("[global]", "static_routes = []\n[global]", (0, 1), &["is `routes` in `[static]`"]),
        ],
    );
    check(
        Level::Warning,
        &[("vrid = 51", "vrid = 51\nrules = [{ table = 5, priority = 1 }]", (1, 10), &["takes all traffic"])],
    );
    let said = messages(&format!(
        "[static]\naddresses = [{{ address = \"10.0.0.100\", interface = \"eth0\" }}]\n{RIGHT}"
    ));
    assert!(
        said.len() == 1 && said[0].contains("f:2:26: error: `addresses`: 10.0.0.100 is a virtual"),
        "{said:?}"
    );
}

/// `first` is added to VI_1 (line 22), `second` to VI_2 (line 30), `fixed` as [static] at the end (line 34).
fn of_two(key: &str, first: &str, second: &str, fixed: &str) -> Vec<String> {
    let text = RIGHT.replace("vrid = 51", &format!("vrid = 51\n{key} = [{first}]"));
    let text = text.replace("vrid = 52", &format!("vrid = 52\n{key} = [{second}]"));
    messages(&if fixed.is_empty() { text } else { format!("{text}[static]\n{key} = [{fixed}]\n") })
}

/// Otherwise the one that becomes Active first would win, without a word.
#[test]
fn rtnl33_routes_and_rules_of_two_that_contradict_each_other() {
    const WARNS: &str = "f:32:11: warning: `routes`: another [[vrrp]] has another route to 10.9.0.0/16";
    const REFUSED: &str = "f:23:11: error: `routes`: [static] has another route to 10.9.0.0/16";
    let one = "{ to = \"10.9.0.0/16\", via = \"10.0.0.1\" }";
    let other = "{ to = \"10.9.0.0/16\", via = \"10.0.0.2\" }";
    let said = of_two("routes", one, other, "");
    assert!(said.len() == 1 && said[0].starts_with(WARNS) && said[0].contains("See line 23;"), "{said:?}");
    let said = of_two("routes", one, one, other);
    assert!(said.len() == 2 && said[0].starts_with(REFUSED) && said[0].contains("See line 35;"), "{said:?}");
    assert_eq!(of_two("routes", one, one, one), [""; 0], "RTNL-34: the same one may be wanted by all");
    let untracked = "{ to = \"10.9.0.0/16\", via = \"10.0.0.1\", track = false, metric = 0 }";
    assert_eq!(of_two("routes", one, untracked, ""), [""; 0], "the kernel takes it for the same");
    let far = "{ to = \"10.9.0.0/16\", via = \"10.0.0.2\", metric = 5 }";
    assert_eq!(of_two("routes", one, far, ""), [""; 0], "the kernel takes both");
    let bare = "{ to = \"2001:db8:9::/48\" }";
    let said = of_two("routes", bare, "{ to = \"2001:db8:9::/48\", metric = 1024 }", "");
    assert!(said.len() == 1 && said[0].contains("another route to 2001:db8:9::/48"), "eth0, eth1: {said:?}");
    let on_eth0 = "{ to = \"2001:db8:9::/48\", interface = \"eth0\" }";
    assert_eq!(of_two("routes", bare, on_eth0, on_eth0), [""; 0], "VI_1 is on eth0");

    let rule = |more: &str| format!("{{ from = \"10.9.0.0/16\", priority = 7, {more} }}");
    let (five, six) = (rule("table = 5"), rule("table = 6"));
    let said = of_two("rules", &five, &six, "");
    let warns = "f:32:10: warning: `rules`: another [[vrrp]] does something else with the same at 7";
    assert!(said.len() == 1 && said[0].starts_with(warns) && said[0].contains("See line 23;"), "{said:?}");
    let said = of_two("rules", &five, &rule("table = 6, tos = 8"), &six);
    let refused = "f:23:10: error: `rules`: [static] does something else with the same at 7";
    assert!(said.len() == 1 && said[0].starts_with(refused) && said[0].contains("See line 35;"), "{said:?}");
    assert_eq!(of_two("rules", &five, &five, &five), [""; 0]);
}
