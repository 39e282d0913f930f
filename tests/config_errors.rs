//! Broken configurations, one mistake each: the message names the exact line and column and what was probably
//! meant (law 4, no silent acceptance). Without these a mistake could be reported elsewhere, or pass in
//! silence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use vipd::config::{parse, parse_bytes};
use vipd::limits;
use vipd::model::Level;

/// The scenario of two routers and two web servers, which is right.
const S1: &str = include_str!("../configs/s1-router-27.toml");

/// Its line 32.
const CHECK: &str = "check = { type = \"http\", path = \"/\", status = [200], interval = \"6s\", \
    timeout = \"3s\", fall = 4, retry_interval = \"3s\" }";

/// One mistake: `right`, where it first stands in S1, becomes `wrong`. Place: lines below that of `right`,
/// and column. What the message must hold.
type Case = (&'static str, &'static str, (u32, u32), &'static [&'static str]);

fn line_of(text: &str, part: &str) -> u32 {
    let at = text.find(part).unwrap_or_else(|| panic!("{part:?} is not in the file"));
    u32::try_from(text[..at].matches('\n').count()).unwrap() + 1
}

fn messages(text: &str) -> Vec<String> {
    parse(text, "vipd.toml").1.iter().map(|d| d.to_string()).collect()
}

/// Every case must give exactly one diagnostic of `level`, at its place, with its words.
fn check(level: Level, cases: &[Case]) {
    for (right, wrong, place, says) in cases {
        let line = line_of(S1, right) + place.0;
        let (config, diagnostics) = parse(&S1.replacen(right, wrong, 1), "vipd.toml");
        let all: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
        assert_eq!(config.is_none(), level == Level::Error, "{wrong:?}: {all:#?}");
        assert_eq!(all.len(), 1, "{wrong:?} is one mistake: {all:#?}");
        let prefix = format!("vipd.toml:{line}:{}: {level}: ", place.1);
        assert!(all[0].starts_with(&prefix), "{wrong:?} is at {prefix}: {all:#?}");
        for word in *says {
            assert!(all[0].contains(word), "{wrong:?} does not say {word:?}: {all:#?}");
        }
    }
}

#[test]
fn unknown_keys_get_the_key_that_was_meant() {
    check(
        Level::Error,
        &[
            (
                "priority = 100",
                "priorty = 100",
                (0, 1),
                &["unknown key `priorty` in [[vrrp]]", "Did you mean `priority`?"],
            ),
            ("priority = 100", "Priority = 100", (0, 1), &["Did you mean `priority`?"]),
            ("priority = 100", "  prio = 100", (0, 3), &["Did you mean `priority`?"]),
            ("advert_interval", "interval", (0, 1), &["Did you mean `advert_interval`?"]),
            ("advert_interval", "advert-interval", (0, 1), &["Did you mean `advert_interval`?"]),
            ("addresses = ", "address = ", (0, 1), &["Did you mean `addresses`?"]),
            ("vrid = 50", "vird = 50", (0, 1), &["Did you mean `vrid`?"]),
            ("weight = 1", "wieght = 1", (0, 1), &["[[service.server]]", "Did you mean `weight`?"]),
            ("weight = 1", "priority = 1", (0, 1), &["`priority` belongs in [[vrrp]]"]),
            ("weight = 1", "colour = 1", (0, 1), &["Keys here: address, family, weight, "]),
            ("timeout = \"30s\"", "timeuot = \"30s\"", (0, 1), &["[mail]", "Did you mean `timeout`?"]),
            ("fall = 4", "fal = 4", (0, 87), &["in check", "Did you mean `fall`?"]),
            ("[global]", "[globl]", (0, 2), &["unknown key `globl`", "Did you mean `global`?"]),
            ("sorry = ", "sory = ", (0, 1), &["Did you mean `sorry`?"]),
            ("[global]", "vrid = 50\n[global]", (0, 1), &["`vrid` belongs in [[vrrp]]"]),
        ],
    );
}

#[test]
fn keepalived_words_are_translated() {
    check(
        Level::Error,
        &[
            ("vrid = 50", "virtual_router_id = 50", (0, 1), &["`virtual_router_id` is `vrid`"]),
            ("advert_interval = \"1s\"", "advert_int = 1", (0, 1), &["`advert_int` is `advert_interval`"]),
            ("addresses", "virtual_ipaddress", (0, 1), &["is `addresses`"]),
            ("priority = 100", "priority = 100\nstate = \"MASTER\"", (1, 1), &["the priorities decide"]),
            ("priority = 100", "nopreempt = true", (0, 1), &["`preempt = false`"]),
            ("auth_pass", "auth_type = \"PASS\"\nauth_pass", (0, 1), &["`auth_pass` alone"]),
            ("scheduler", "lb_algo", (0, 1), &["is `scheduler`"]),
            ("forward = \"direct\"", "lb_kind = \"DR\"", (0, 1), &["is `forward`"]),
            ("protocol = \"tcp\"", "delay_loop = 6", (0, 1), &["is `interval`"]),
            ("fall = 4", "nb_get_retry = 3", (0, 87), &["is `fall`", "retries + 1"]),
            ("timeout = \"3s\"", "connect_timeout = 3", (0, 71), &["is `timeout`"]),
            ("fall = 4", "retry = 3", (0, 87), &["is `fall`"]),
            ("router_name = ", "router_id = ", (0, 1), &["is `router_name`"]),
            ("forward = \"direct\"", "forward = \"DR\"", (0, 11), &["Did you mean \"direct\"?"]),
        ],
    );
    let text = S1.replacen("[[service.server]]", "[[service.real_server]]", 1);
    let said = messages(&text);
    assert!(said[0].contains("vipd.toml:34:11: error: unknown key `real_server`"), "{said:?}");
    assert!(said[0].contains("[[service.server]]"), "{said:?}");
}

#[test]
fn keys_of_later_releases_are_named_as_such() {
    for key in ["smtp_alert", "enable_script_security"] {
        let text = S1.replacen("router_name = \"kptwo\"", &format!("{key} = true"), 1);
        let said = messages(&text);
        assert_eq!(said, [format!("vipd.toml:7:1: error: `{key}` is not in this release. Leave it out.")]);
    }
    let said = messages(&S1.replacen("[mail]", "[limits]\n[mail]", 1));
    assert_eq!(said, ["vipd.toml:10:2: error: `limits` is not in this release. Leave it out."]);
}

#[test]
fn syntax() {
    check(
        Level::Error,
        &[
            ("\"1s\"", "1s", (0, 19), &["length of time `1s` needs quotes", "advert_interval = \"1s\""]),
            ("\"ens37\"", "ens37", (0, 13), &["text `ens37` needs quotes", "interface = \"ens37\""]),
            ("\"10.0.0.100:80\"", "10.0.0.100:80", (0, 11), &["address `10.0.0.100:80` needs quotes"]),
            ("[\"10.0.0.100/24\"]", "[10.0.0.100/24]", (0, 14), &["address `10.0.0.100/24` needs quotes"]),
            ("[\"10.0.0.100/24\"]", "[\n  \"10.0.0.99\",\n  10.0.0.100/24,\n]", (2, 3), &["needs quotes"]),
            ("interval = \"6s\"", "interval = 6s", (0, 65), &["length of time `6s` needs quotes"]),
            ("vrid = 50", "vrid 50", (0, 5), &["`=` is missing after `vrid`", "Did you mean vrid = 50?"]),
            ("\"ens37\"", "\"ens37\"\npreempt true", (1, 8), &["`=` is missing", "preempt = true"]),
            ("vrid = 50", "vrid: 50", (0, 5), &["`:` stands where `=` is wanted", "Did you mean vrid = 50?"]),
            ("vrid = 50", "vrid =", (0, 7), &["`vrid` has no value"]),
            ("vrid = 50", "vrid", (0, 1), &["`vrid` has no value"]),
            ("vrid = 50", "vrid = 050", (0, 8), &["begins with 0", "vrid = 50"]),
            ("vrid = 50", "vrid = 50\npreempt = yes", (1, 11), &["preempt = true?"]),
            ("vrid = 50", "vrid = 50;", (0, 10), &["`;` ends no line here"]),
            ("vrid = 50", "vrid = 50 // id", (0, 11), &["A comment begins with `#`"]),
            ("vrid = 50", "; id\nvrid = 50", (0, 1), &["A comment begins with `#`"]),
            ("vrid = 50", "vrid = 50 priority = 1", (0, 11), &["second entry", "line of its own"]),
            ("vrid = 50", "vrid = 50\nvrid = 51", (1, 1), &["`vrid` is given twice", "See line 19"]),
            ("\"VI_1\"", "\"VI_1", (0, 8), &["the quote \" is not closed", "Did you mean \"VI_1\"?"]),
            ("\"VI_1\"", "“VI_1”", (0, 8), &["typographic quote"]),
            ("\"VI_1\"", "\"VI\\_1\"", (0, 11), &["backslash", "single quotes"]),
            ("\"VI_1\"", "\"VI_1\" x", (0, 15), &["`x` stands after the end"]),
            ("\"VI_1\"", "\"VI_1\" \u{7}", (0, 15), &["control character (U+0007)"]),
            ("[\"10.0.0.100/24\"]", "[\"10.0.0.100/24\"", (0, 13), &["the list is not closed"]),
            ("[\"10.0.0.100/24\"]", "[\n  \"10.0.0.100/24\",\n", (0, 13), &["the list is not closed"]),
            ("[\"10.0.0.100/24\"]", "[\"10.0.0.100\" \"10.0.0.101\"]", (0, 27), &["a comma is missing"]),
            ("[\"10.0.0.100/24\"]", "[\n\"10.0.0.100\"\n\"10.0.0.101\"]", (2, 1), &["a comma is missing"]),
            ("\"3s\" }", "\"3s\"", (0, 9), &["the table is not closed", "`}`"]),
            ("fall = 4", "fall 4", (0, 91), &["`=` is missing after `fall`"]),
            ("\"6s\", ", "\"6s\" ", (0, 65), &["a comma is missing"]),
            ("[[vrrp]]", "[[vrrp]", (0, 1), &["Did you mean [[vrrp]]?"]),
            ("[[vrrp]]", "[[vrrp", (0, 1), &["Did you mean [[vrrp]]?"]),
            ("[[vrrp]]", "[[vrrp]] VI_1", (0, 1), &["Did you mean [[vrrp]]?"]),
            ("[[vrrp]]", "[vrrp]", (0, 1), &["Did you mean [[vrrp]]?"]),
            (
                "vrid = 50",
                "vr id = 50",
                (0, 3),
                &["a space does not belong in a key", "Did you mean vrid = ...?"],
            ),
            ("vrid = 50", "= 50", (0, 1), &["there is no key before `=`"]),
            ("vrid = 50", "vrid = ]50", (0, 8), &["`]` stands before the value"]),
            ("vrid = 50", "}", (0, 1), &["closes what was not opened"]),
            ("\"VI_1\"", "\"\"\"VI_1", (0, 8), &["is not closed"]),
            ("[\"root@localhost\"]", "[\"root@localhos\"t]", (0, 22), &["`t` stands after the end"]),
            ("[[vrrp]]", "}[[vrrp]]", (0, 1), &["Did you mean [[vrrp]]?"]),
            ("[[service]]", "[[serivce]]", (0, 3), &["Did you mean `service`?"]),
            ("[[service]]", "[['service]]", (0, 1), &["Did you mean [[service]]?"]),
            ("[mail]", "mail]", (0, 1), &["Did you mean [mail]?"]),
            ("[mail]", "[global]", (0, 1), &["[global] is given twice", "See line 6"]),
            ("[global]", "[[global]]", (0, 1), &["Did you mean [global]?"]),
            ("[[service.server]]", "[[server]]", (0, 3), &["Did you mean [[service.server]]?"]),
        ],
    );
}

#[test]
fn types() {
    check(
        Level::Error,
        &[
            (
                "vrid = 50",
                "vrid = \"50\"",
                (0, 8),
                &["`vrid` wants a whole number", "Write 50 without quotes."],
            ),
            ("vrid = 50", "vrid = 50.0", (0, 8), &["a number with a point"]),
            ("vrid = 50", "vrid = true", (0, 8), &["this is true or false"]),
            ("\"1s\"", "1", (0, 19), &["wants a length of time with its unit", "Did you mean \"1s\"?"]),
            ("\"1s\"", "0.5", (0, 19), &["Did you mean \"500ms\"?"]),
            ("\"1s\"", "\"1\"", (0, 19), &["is not a length of time", "Did you mean \"1s\"?"]),
            ("\"1111\"", "1111", (0, 13), &["Write it in quotes: \"1111\"."]),
            (
                "[\"10.0.0.100/24\"]",
                "\"10.0.0.100/24\"",
                (0, 13),
                &["Write it in brackets: [\"10.0.0.100/24\"]."],
            ),
            ("[200]", "200", (0, 47), &["Write it in brackets: [200]."]),
            ("[\"root@localhost\"]", "\"root@localhost\"", (0, 6), &["Write it in brackets"]),
            ("vrid = 50", "vrid = 50\npreempt = \"no\"", (1, 11), &["wants true or false"]),
            (CHECK, "check = \"http\"", (0, 9), &["check = { type = \"http\" }"]),
            ("\"ens37\"", "[\"ens37\"]", (0, 13), &["this is a list", "without brackets"]),
            ("name = \"VI_1\"", "name = 2024-01-01", (0, 8), &["this is a date"]),
            ("forward = \"direct\"", "persistence = true", (0, 15), &["Did you mean \"6m\"?"]),
        ],
    );
}

#[test]
fn ranges() {
    check(
        Level::Error,
        &[
            ("vrid = 50", "vrid = 0", (0, 8), &["`vrid` is 0, wants 1 to 255"]),
            ("vrid = 50", "vrid = 256", (0, 8), &["wants 1 to 255"]),
            ("vrid = 50", "vrid = -1", (0, 8), &["`vrid` is -1, wants 1 to 255"]),
            ("vrid = 50", "vrid = 99999999999999999999999", (0, 8), &["wants 1 to 255"]),
            ("priority = 100", "priority = 300", (0, 12), &["wants 1 to 255"]),
            ("priority = 100", "version = 4", (0, 11), &["wants 2 to 3"]),
            ("weight = 1", "weight = 2147483648", (0, 10), &["wants 0 to 2147483647"]),
            ("fall = 4", "fall = 0", (0, 94), &["wants 1 to 65535"]),
            ("fall = 4", "rise = 0", (0, 94), &["wants 1 to 65535"]),
            ("\"1s\"", "\"0s\"", (0, 19), &["`advert_interval` is 0s, wants 10ms to 255s"]),
            ("\"6s\"", "\"1ms\"", (0, 65), &["`interval` is 1ms, wants 100ms to 1d"]),
            ("[200]", "[99]", (0, 48), &["wants 100 to 599"]),
            ("[200]", "[\"299-200\"]", (0, 48), &["Did you mean \"200-299\"?"]),
            ("[200]", "[\"2xx\"]", (0, 48), &["Did you mean \"200-299\"?"]),
            ("[200]", "[]", (0, 38), &["`status` is empty"]),
        ],
    );
    check(
        Level::Error,
        &[
            ("10.0.0.100/24", "10.0.0.100/33", (0, 14), &["wants 1 to 32"]),
            ("10.0.0.100/24", "10.0.0.100/255.255.255.0", (0, 14), &["Did you mean \"10.0.0.100/24\"?"]),
            ("vrid = 50", "vrid = 50\nlease = \"1s\"", (1, 9), &["wants 2s to 1h"]),
            ("vrid = 50", "vrid = 50\nlease = \"2500ms\"", (1, 9), &["whole seconds"]),
            ("vrid = 50", "vrid = 50\nlease = \"never\"", (1, 9), &["Did you mean \"forever\"?"]),
            ("vrid = 50", "vrid = 50\ngarp = { repeat = 0 }", (1, 19), &["wants 1 to 255"]),
            (
                "forward = \"direct\"",
                "persistence = \"32d\"\nforward = \"direct\"",
                (0, 15),
                &["wants 1s to 31d"],
            ),
            ("127.0.0.1:25", "mail.example:smtp", (0, 10), &["\"smtp\" is not a port"]),
            ("127.0.0.1:25", "mail.example:0", (0, 10), &["mail.example:0 cannot be connected to"]),
            ("127.0.0.1:25", "mail_.example", (0, 10), &["is not a host name"]),
            ("[mail]", "[ipvs]\nwatch_interval = \"1ms\"\n[mail]", (1, 18), &["wants 1s to 1h"]),
            ("path = \"/\"", "path = \"index.html\"", (0, 33), &["Did you mean \"/index.html\"?"]),
            ("path = \"/\"", "path = \"/a b\"", (0, 33), &["%20"]),
            ("path = \"/\"", "path = \"http://web/x\"", (0, 33), &["Did you mean \"/x\"?"]),
            ("path = \"/\"", "digest = \"abc\"", (0, 35), &["32 hexadecimal digits"]),
            ("path = \"/\"", "virtual_host = \"a b\"", (0, 41), &["not a host name"]),
            ("addresses = [\"10.0.0.100/24\"]", "addresses = []", (0, 1), &["`addresses` is empty"]),
            ("to = [\"root@localhost\"]", "to = []", (0, 1), &["`to` names nobody"]),
            ("\"root@localhost\"", "\"root\"", (0, 7), &["Did you mean \"root@localhost\"?"]),
        ],
    );
}

#[test]
fn addresses_and_names() {
    check(
        Level::Error,
        &[
            ("\"127.0.0.1:25\"", "\"127.0.0.1:70000\"", (0, 10), &["\"70000\" is not a port"]),
            ("10.0.0.100:80", "10.0.0.100", (0, 11), &["has no port", "Did you mean \"10.0.0.100:80\"?"]),
            ("192.168.234.47:80", "192.168.234.47 80", (0, 11), &["Did you mean \"192.168.234.47:80\"?"]),
            ("192.168.234.47:80", "www_example.org:80", (0, 11), &["not a host name", "a dash"]),
            ("192.168.234.47:80", "192.168.234.470:80", (0, 11), &["470 is more than 255"]),
            ("192.168.234.47:80", "http://192.168.234.47:80", (0, 11), &["without http://"]),
            ("10.0.0.100/24", "10.0.0/24", (0, 14), &["four numbers"]),
            (
                "10.0.0.100/24",
                "10.0.0.100/24 dev ens37",
                (0, 14),
                &["{ address = \"10.0.0.100/24\", interface = \"ens37\" }"],
            ),
            ("10.0.0.100/24", "224.0.0.5/24", (0, 14), &["cannot be a virtual address"]),
            ("\"10.0.0.100/24\"", "\"10.0.0.100/24\", \"10.0.0.100\"", (0, 31), &["given twice"]),
            ("234.10.10.10", "10.10.10.10", (0, 20), &["not a multicast group", "224.0.0.18"]),
            ("\"ens37\"", "\"eth0:1\"", (0, 13), &["alias"]),
            ("\"ens37\"", "\"a-much-too-long-name\"", (0, 13), &["20 bytes"]),
            ("\"ens37\"", "\"\"", (0, 13), &["the interface name is empty"]),
            ("\"VI_1\"", "\"\"", (0, 8), &["the name is empty"]),
            ("\"VI_1\"", "\"VI\\n1\"", (0, 8), &["control character"]),
        ],
    );
}

/// IPVS-60, and what the kernel takes and then serves nobody (IPVS-40e, IPVS-43d).
#[test]
fn ipvs_60() {
    check(
        Level::Error,
        &[
            ("10.0.0.100:80", "0.0.0.0:80", (0, 11), &["0.0.0.0 is no address"]),
            ("10.0.0.100:80", "224.1.1.1:80", (0, 11), &["a multicast address"]),
            ("10.0.0.100:80", "255.255.255.255:80", (0, 11), &["the broadcast address"]),
            ("\"wrr\"", "\"none\"", (0, 13), &["unknown scheduler", "serves nobody"]),
            ("\"wrr\"", "\"wwr\"", (0, 13), &["Did you mean \"wrr\"?"]),
            ("\"wrr\"", "\"round-robin\"", (0, 13), &["Did you mean \"rr\"?"]),
            ("\"wrr\"", "\"Magic!\"", (0, 13), &["One of: rr, wrr, lc, wlc"]),
            ("\"tcp\"", "\"TCP\"", (0, 12), &["Did you mean \"tcp\"?"]),
            ("\"tcp\"", "\"icmp\"", (0, 12), &["One of: tcp, udp, sctp"]),
            (
                "192.168.234.47:80",
                "192.168.234.47:8080",
                (0, 11),
                &["cannot change port 80 to 8080", "forward = \"nat\""],
            ),
            ("192.168.234.47:80", "[2001:db8::47]:80", (0, 11), &["cannot go from IPv4 to IPv6", "tunnel"]),
            ("192.168.234.47:80", "224.0.0.1:80", (0, 11), &["a multicast address"]),
            ("192.168.234.47:80", "0.0.0.0:80", (0, 11), &["no address"]),
            (
                "192.168.234.47:80",
                "192.168.234.57:80",
                (4, 11),
                &["a server of this service already", "See line 35"],
            ),
            ("127.0.0.1:80", "127.0.0.1:8080", (0, 9), &["cannot change port"]),
        ],
    );
    let said = messages(&S1.replace("10.0.0.100:80", "[fe80::1]:80").replace("direct\"", "tunnel\""));
    assert!(said[0].contains(":27:11: error") && said[0].contains("a link-local address"), "{said:?}");
    let said = messages(&S1.replace(":80\"", ":0\""));
    assert!(said[0].contains(":27:11: error") && said[0].contains("needs `persistence`"), "{said:?}");
    assert!(said[1].contains(":35:11: error") && said[1].contains("a check needs a port"), "{said:?}");
}

#[test]
fn contradictions() {
    check(
        Level::Error,
        &[
            (
                "vrid = 50",
                "vrid = 50\nversion = 3",
                (4, 1),
                &["`auth_pass` contradicts VRRPv3", "version = 2"],
            ),
            ("\"1s\"", "\"500ms\"", (0, 19), &["VRRPv2 knows whole seconds only", "version = 3"]),
            (
                "priority = 100",
                "priority = 255\npreempt = false",
                (1, 11),
                &["contradicts priority 255", "254"],
            ),
        ],
    );
    let v3 = S1.replace("auth_pass = \"1111\"\n", "version = 3\n");
    for (interval, says) in [("\"41s\"", "10ms to 40950ms"), ("\"15ms\"", "Did you mean \"20ms\"?")] {
        let said = messages(&v3.replace("\"1s\"", interval));
        assert!(said.len() == 1 && said[0].contains(":21:19: error") && said[0].contains(says), "{said:?}");
    }
    let said = messages(&S1.replace("\"http\"", "\"tcp\""));
    assert_eq!(said.len(), 2, "`path` and `status` are both pointed at: {said:?}");
    assert!(said[0].contains(":32:25: error: `path` contradicts `type = \"tcp\"`"), "{said:?}");
    assert!(said[0].contains("Did you mean type = \"http\"?"), "{said:?}");
}

#[test]
fn duplicates() {
    let instance = "\n[[vrrp]]\nname = \"NAME\"\ninterface = \"ens37\"\nvrid = VRID\naddresses = [\"VIP\"]\n";
    let with = |name: &str, vrid: &str, vip: &str| {
        let more = instance.replace("NAME", name).replace("VRID", vrid).replace("VIP", vip);
        messages(&format!("{S1}{more}"))
    };
    assert_eq!(with("VI_2", "51", "10.0.0.200"), [""; 0], "nothing is wrong with two instances");
    let said = with("VI_1", "51", "10.0.0.200");
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains(":43:8: error: `name` \"VI_1\" is taken") && said[0].contains("See line 17"),
        "{said:?}"
    );
    let said = with("VI_2", "50", "10.0.0.200");
    assert_eq!(said.len(), 1);
    assert!(said[0].contains(":45:8: error: `vrid` 50 is taken on interface ens37. See line 19"), "{said:?}");
    let said = with("VI_2", "51", "10.0.0.100/32");
    assert_eq!(said.len(), 1);
    assert!(said[0].contains(":46:14: error") && said[0].contains("See line 23"), "{said:?}");

    let service = "\n[[service]]\nname = \"web\"\naddress = \"10.0.0.100:80\"\nsorry = \"127.0.0.1:80\"\n";
    let said = messages(&format!("{S1}{service}"));
    assert_eq!(said.len(), 2, "the name and the key: {said:?}");
    assert!(said[0].contains(":43:8: error: `name` \"web\" is taken by another [[service]]"), "{said:?}");
    assert!(said[1].contains(":44:11: error: `address`: tcp 10.0.0.100:80 is another service"), "{said:?}");
}

#[test]
fn warnings_leave_the_configuration_usable() {
    check(
        Level::Warning,
        &[
            ("\"1111\"", "\"123456789\"", (0, 13), &["9 bytes, only the first 8 are used"]),
            (
                "timeout = \"3s\"",
                "timeout = \"7s\"",
                (0, 71),
                &["`timeout` (7s) is longer than `interval` (6s)"],
            ),
            ("10.0.0.100:80", "10.0.0.101:80", (0, 11), &["not a virtual address", "Those are: 10.0.0.100."]),
            ("10.0.0.100/24", "10.0.0.100/30", (0, 14), &["the address of the net itself"]),
            ("vrid = 50", "vrid = 50\nchecksum = \"auto\"", (1, 1), &["no effect with VRRPv2"]),
            ("127.0.0.1:80", "192.168.234.47:80", (0, 1), &["one of the servers"]),
        ],
    );
    let (config, diagnostics) =
        parse(&S1.replace("weight = 1", "weight = 0").replace("weight = 2", "weight = 0"), "f");
    assert!(config.is_some());
    assert!(diagnostics.iter().any(|d| d.line == 25 && d.what.contains("every server has weight 0")));
}

#[test]
fn missing_keys() {
    for (line, place, says) in [
        ("name = \"VI_1\"\n", "16:1", "[[vrrp]] has no `name`. Add: name = \"VI_1\""),
        ("interface = \"ens37\"\n", "16:1", "[[vrrp]] has no `interface`"),
        ("vrid = 50\n", "16:1", "[[vrrp]] has no `vrid`. Add: vrid = 50"),
        ("addresses = [\"10.0.0.100/24\"]\n", "16:1", "Add: addresses = [\"10.0.0.100/24\"]"),
        ("name = \"web\"\n", "25:1", "[[service]] has no `name`"),
        ("address = \"10.0.0.100:80\"\n", "25:1", "[[service]] has no `address`"),
        ("address = \"192.168.234.47:80\"\n", "34:1", "[[service.server]] has no `address`"),
        ("type = \"http\", ", "32:9", "check has no `type`"),
        ("server = \"127.0.0.1:25\"\n", "10:1", "[mail] has no `server`"),
        ("to = [\"root@localhost\"]\n", "10:1", "[mail] has no `to`"),
    ] {
        let said = messages(&S1.replacen(line, "", 1));
        assert_eq!(said.len(), 1, "{line}: {said:?}");
        assert!(said[0].starts_with(&format!("vipd.toml:{place}: error: ")), "{line}: {said:?}");
        assert!(said[0].contains(says), "{line}: {said:?}");
    }
}

/// One mistake must not hide the others.
#[test]
fn all_mistakes_are_told_at_once() {
    let text = S1
        .replacen("[mail]", "[mail", 1)
        .replacen("vrid = 50", "vrid = 500", 1)
        .replacen("priority = 100", "priority 100", 1)
        .replacen("\"1s\"", "1s", 1)
        .replacen("\"wrr\"", "\"wr\"", 1)
        .replacen("fall = 4", "fal = 4", 1)
        .replacen("weight = 2", "weight = 2;", 1);
    let said = messages(&text);
    let places: Vec<&str> = said.iter().map(|s| s.split(": ").next().unwrap()).collect();
    let wanted = ["10:1", "19:8", "20:9", "21:19", "29:13", "32:87", "40:11"];
    assert_eq!(places, wanted.map(|place| format!("vipd.toml:{place}")), "{said:#?}");
}

#[test]
fn files_that_are_something_else() {
    let keepalived =
        "! Configuration\nglobal_defs {\n  router_id a\n}\nvrrp_instance VI_1 {\n  state MASTER\n}\n";
    let said = messages(keepalived);
    assert_eq!(said.len(), 1, "one message says more than a hundred: {said:?}");
    assert!(
        said[0].starts_with("vipd.toml:2:1: error: ") && said[0].contains("looks like keepalived.conf"),
        "{said:?}"
    );

    let bytes = |bytes: &[u8]| -> Vec<String> {
        let (config, diagnostics) = parse_bytes(bytes, "f");
        assert!(config.is_none());
        diagnostics.iter().map(|d| d.to_string()).collect()
    };
    assert_eq!(
        bytes(b"a = 1\nb = \"\xe4\""),
        ["f:2:6: error: the file is not UTF-8 from here on. Save it as UTF-8."]
    );
    assert!(bytes(b"\xff\xfe[\0m\0")[0].contains("UTF-16"));
    assert!(bytes(b"\x1f\x8b\x08\0")[0].contains("right file"));
    let large = vec![b'#'; limits::CONFIG_BYTES_MAX + 1];
    assert_eq!(bytes(&large).len(), 1);
    assert!(bytes(&large)[0].starts_with("f: error: the file has 1048577 bytes, at most 1048576"));
    assert!(parse_bytes(&large[1..], "f").0.is_some(), "the limit itself is allowed");

    let (config, diagnostics) = parse("", "f");
    assert!(config.is_some() && diagnostics.iter().any(|d| d.what == "there is nothing to do"));
    assert!(bytes(&[b'['; 100_000]).len() <= 2, "deep nesting is refused, not followed");
    assert!(!bytes("a.".repeat(50_000).as_bytes()).is_empty());
}

#[test]
fn limits_refuse() {
    let head = "[[vrrp]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 1\n";
    let list = |n: usize| -> String {
        let address = |i: usize| format!("\"10.{}.{}.{}\"", i >> 16, (i >> 8) & 255, i & 255);
        let all: Vec<String> = (1..=n).map(address).collect();
        format!("{head}addresses = [{}]\n", all.join(","))
    };
    let (config, diagnostics) = parse(&list(limits::ADDRESSES_MAX), "f");
    assert_eq!(config.unwrap().instances[0].addresses.len(), limits::ADDRESSES_MAX);
    assert!(diagnostics.iter().any(|d| d.level == Level::Note && d.what.contains("first 255")), "PKT-27");
    let (config, diagnostics) = parse(&list(limits::ADDRESSES_MAX + 1), "f");
    assert!(config.is_none() && diagnostics.iter().any(|d| d.what.contains("more than 4096 addresses")));

    let many: String = "[[vrrp]]\n".repeat(limits::INSTANCES_MAX + 1);
    let (_, diagnostics) = parse(&many, "f");
    assert_eq!(diagnostics.iter().count(), limits::DIAGNOSTICS_MAX);
    assert!(diagnostics.left_out() > 0 && diagnostics.errors() > limits::DIAGNOSTICS_MAX);

    let garbage = "this is no toml\n".repeat(1000);
    let said = messages(&garbage);
    assert_eq!(said.len(), limits::SYNTAX_ERRORS_MAX + 1, "{said:#?}");
    assert!(said.last().unwrap().contains("the rest is not read"));
}
