//! Broken services, servers, checks and `[ipvs]`, one mistake each: the exact line and column, what is wrong
//! and what was probably meant (law 4). Without these a mistake could be reported elsewhere, or reach the
//! kernel, which takes many of them in silence (IPVS-60).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "others use the rest of it")]
mod texts;

use texts::{good, messages};
use vipd::config::parse;
use vipd::limits;

/// A configuration in which nothing is wrong.
const BALANCE: &str = r#"[global]
script_user = "nobody"

[[track]]
name = "fitness"
type = "file"
path = "/run/fitness"

[[track]]
name = "uplink"
type = "path"
target = "192.0.2.1"

[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 51
addresses = ["10.0.0.100/24", "10.0.0.101/24", "10.0.0.102/24"]
track = ["uplink"]

[ipvs]
tcp_timeout = "15m"

[ipvs.sync]
interface = "eth1"
instance = "VI_1"

[ipvs.settings]
expire_nodest_conn = 1
sync_threshold = "3 50"

[[server_group]]
name = "pool"
addresses = ["10.0.0.101:80", "10.0.0.102:443"]
fwmarks = [7, 8]

[[service]]
name = "web"
address = "10.0.0.100:80"
scheduler = "mh"
scheduler_flags = ["fallback"]
persistence = { timeout = "6m", prefix = 24 }
quorum = 2
hysteresis = 1
check = { type = "http", path = "/health" }

[[service.server]]
address = "192.168.1.11:8080"
weight = 2
upper_threshold = 100
lower_threshold = 50

[[service.server]]
address = "www.example.org:8080"

[[service]]
name = "marked"
fwmark = 9
forward = "tunnel"
tunnel = { type = "gue", port = 6080 }
sorry = "127.0.0.1"
require = "any"
checks = [{ type = "ping" }, { type = "udp", payload = "00ff", reply = "4f4b/ffff" }]

[[service.server]]
address = "192.168.1.11:53"

[[service]]
name = "all"
group = "pool"

[[service.server]]
address = "192.168.1.12:80"
check = { type = "file", track = "fitness" }
"#;

/// One mistake each, in groups: what is right, what it becomes, what is said.
const MISTAKES: &str = include_str!("golden/config-service-errors.txt");

/// Exactly one message each, to the letter: place, what is wrong, what was probably meant.
#[test]
fn every_mistake_is_told_at_its_place() {
    let mut lines = MISTAKES.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let (mut count, mut wrongs, mut runs) = (0, Vec::new(), true);
    while let Some(line) = lines.next() {
        if let Some(group) = line.strip_prefix("## ") {
            runs = !group.starts_with("https") || cfg!(feature = "https");
            continue;
        }
        let (right, wrong) = line.split_once(" => ").unwrap_or_else(|| panic!("{line} is no mistake"));
        let [right, wrong] =
            [right, wrong].map(|text| text.replace("\\\\", "\0").replace("\\n", "\n").replace('\0', "\\"));
        let says = lines.next().and_then(|says| says.strip_prefix("    ")).unwrap();
        if !runs {
            continue;
        }
        assert!(BALANCE.contains(&right), "{right:?} is not in the file");
        let text = BALANCE.replacen(&right, &wrong, 1);
        // A large file is read service by service, and must be told the same of.
        for text in [format!("{text}# {}\n", "-".repeat(20_000)), text] {
            let (config, diagnostics) = parse(&text, "f");
            let all: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
            if all != [says] || config.is_none() != says.contains(": error: ") {
                let shape = if text.len() > BALANCE.len() + 10_000 { "large" } else { "small" };
                wrongs.push(format!("{shape}: {wrong:?} is told as {says}\nnot as {all:#?}"));
            }
        }
        count += 1;
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
    assert!(count > 240, "only {count} mistakes were tried");
}

#[test]
fn the_model_of_all_these_is_right() {
    assert_eq!(good(BALANCE).services.len(), 3, "otherwise a mistake in it would be told as another's");
}

/// `right` replaced by `wrong`: all that is said.
fn said(right: &str, wrong: &str) -> Vec<String> {
    assert!(BALANCE.contains(right), "{right}");
    messages(&BALANCE.replacen(right, wrong, 1))
}

/// Every table has a limit, and one more than it is refused at its place.
#[test]
fn limits_refuse() {
    let list = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<Vec<_>>().join(", ");
    let page = |i: usize| format!("{{ path = \"/{i}\" }}");
    let field = |i: usize| format!("X{i} = \"a\"");
    let tcp = |i: usize| format!("{{ type = \"tcp\", port = {} }}", i + 1);
    let http = "path = \"/health\"";
    let check = "check = { type = \"http\", path = \"/health\" }";
    for (right, max, wrong, says) in [
        (
            http,
            limits::PAGES_MAX,
            &(|n| format!("pages = [{}]", list(n, &page))) as &dyn Fn(usize) -> String,
            "more than 8 in `pages`",
        ),
        (
            http,
            limits::HTTP_HEADERS_MAX,
            &|n| format!("headers = {{ {} }}", list(n, &field)),
            "more than 16 in `headers`",
        ),
        (check, limits::CHECKS_MAX, &|n| format!("checks = [{}]", list(n, &tcp)), "more than 8 in `checks`"),
        (
            "fwmarks = [7, 8]",
            limits::GROUP_KEYS_MAX - 2,
            &|n| format!("fwmarks = [{}]", list(n, &|i| (i + 10).to_string())),
            "a group of 1025 addresses and marks, at most 1024",
        ),
    ] {
        assert_eq!(said(right, &wrong(max)), [""; 0], "the limit itself is allowed");
        let said = said(right, &wrong(max + 1));
        assert!(said.len() == 1 && said[0].contains(&format!("error: {says}")), "{says}: {said:?}");
    }
    let many = |range: &str| said("\"10.0.0.102:443\"", &format!("\"{range}\""));
    let said = many("10.0.0.101-10.0.4.97:81");
    assert!(said.len() == 1 && said[0].contains("warning: `group`: 10.0.0.103 is not a virtual"), "{said:?}");
    let said = many("10.0.0.101-10.0.4.98:81");
    assert!(said[0].contains("error: a group of 1025"), "{said:?}");
    let said = many("10.0.0.101-10.0.4.100:81");
    assert!(said[0].contains("error: `addresses`: more than 1024"), "{said:?}");
}

/// The kernel has one row for each name; thousands of services that name one group must not fill the memory
/// before they are refused.
#[test]
fn a_group_for_thousands_of_services_is_refused_without_a_copy_for_each() {
    let mut text = "[[server_group]]\nname = \"g\"\naddresses = [\"10.0.0.0/22:80\"]\n".to_owned();
    for i in 0..limits::SERVICES_MAX {
        text += &format!("[[service]]\nname = \"{i}\"\ngroup = \"g\"\n");
    }
    let (config, diagnostics) = parse(&text, "f");
    assert!(config.is_none());
    let clashes = "error: `group`: tcp 10.0.0.0:80 of it is another service already. See line 6";
    assert!(diagnostics.iter().filter(|d| d.to_string().contains(clashes)).count() > 50);
    assert_eq!(diagnostics.errors(), limits::SERVICES_MAX - 1, "each but the first");
}

/// IPVS-90: what the kernel's old structs have no room for is refused, with the line that asks for them.
#[test]
fn ipvs_90_the_old_interface_knows_less() {
    let old = |right: &str, wrong: &str| {
        let text = BALANCE.replacen("tunnel = { type = \"gue\", port = 6080 }\n", "", 1);
        let text = text.replacen("tcp_timeout = \"15m\"", "interface = \"sockopt\"", 1);
        assert!(text.contains(right), "{right}");
        messages(&text.replacen(right, wrong, 1))
    };
    assert_eq!(old("[global]", "[global]"), [""; 0]);
    for (right, wrong, place, says) in [
        ("forward = \"tunnel\"", "forward = \"tunnel\"\ntunnel = { type = \"gre\" }", "66:11", "of type gre"),
        ("\"192.168.1.11:53\"", "\"[2001:db8::11]:53\"", "65:11", "an IPv6 server"),
        ("\"192.168.1.11:53\"", "\"six.example.org:53\"\nfamily = \"ipv6\"", "65:11", "an IPv6 server"),
        ("timeout = \"6m\", ", "engine = \"abc\", ", "42:15", "a persistence engine"),
        ("interface = \"eth1\"", "interface = \"eth1\"\nttl = 2", "26:1", "`ttl`"),
        ("interface = \"eth1\"", "interface = \"eth1\"\nmax_len = 1000", "26:1", "`max_len`"),
        ("interface = \"eth1\"", "interface = \"eth1\"\nport = 8849", "26:1", "`port`"),
        ("interface = \"eth1\"", "interface = \"eth1\"\ngroup = \"224.0.0.82\"", "26:1", "`group`"),
    ] {
        let said = old(right, wrong);
        let start = format!("f:{place}: error: ");
        let ends = "needs netlink, and line 22 says interface = \"sockopt\". Leave one of the two out.";
        let found = said.iter().find(|s| s.starts_with(&start) && s.contains(says) && s.ends_with(ends));
        assert!(found.is_some(), "{wrong}: {said:#?}");
    }
    let six = "[ipvs]\ninterface = \"sockopt\"\n[[service]]\nname = \"s\"\naddress = \"[2001:db8::1]:80\"\n\
        [[service.server]]\naddress = \"[2001:db8::2]:80\"\n";
    let said = messages(six);
    assert_eq!(said.len(), 1, "the servers are IPv6 because the service is: {said:?}");
    assert!(said[0].starts_with("f:5:11: error: an IPv6 service needs netlink, and line 2 says"), "{said:?}");
}

/// IPVS-44b: the kernel would refuse one of the two, whichever came later.
#[test]
fn ipvs_44b_a_server_of_the_other_family_excludes_the_sync_daemon() {
    for server in ["[2001:db8::11]:53\"", "six.example.org:53\"\nfamily = \"ipv6\""] {
        let said = said("192.168.1.11:53\"", server);
        assert_eq!(said.len(), 1, "{said:?}");
        let start = "f:66:11: error: `address`: a server of the other family cannot be beside";
        assert!(said[0].starts_with(start) && said[0].contains("See line 24"), "{said:?}");
    }
    let said = said("sorry = \"127.0.0.1\"", "sorry = \"[2001:db8::1]:0\"");
    assert!(said.len() == 1 && said[0].starts_with("f:61:9: error: "), "{said:?}");
}

/// Two services with a name in common would undo each other's work in the kernel's table.
#[test]
fn services_have_no_name_in_common() {
    let service = |name: &str, front: &str| {
        format!("[[service]]\nname = \"{name}\"\n{front}\nsorry = \"192.0.2.1:80\"\nforward = \"nat\"\n")
    };
    let of = |first: &str, second: &str| {
        let group = "[[server_group]]\nname = \"g\"\naddresses = [\"10.0.0.1-3:80\"]\nfwmarks = [7]\n";
        let more = "[[server_group]]\nname = \"h\"\naddresses = [\"10.0.0.3-4:80\"]\n";
        let whole = format!("{group}{more}{}{}", service("a", first), service("b", second));
        let errors = messages(&whole).into_iter().filter(|said| said.contains("another service"));
        errors.collect::<Vec<_>>()
    };
    for (first, second, says) in [
        ("group = \"g\"", "group = \"h\"", "`group`: tcp 10.0.0.3:80 of it is another service already"),
        ("group = \"g\"", "group = \"g\"", "`group`: tcp 10.0.0.1:80 of it is another service already"),
        (
            "group = \"g\"",
            "address = \"10.0.0.2:80\"",
            "`address`: tcp 10.0.0.2:80 is another service already",
        ),
        ("address = \"10.0.0.2:80\"", "group = \"g\"", "`group`: tcp 10.0.0.2:80 of it is another"),
        ("group = \"g\"", "fwmark = 7", "`fwmark`: 7 is another service already"),
        ("fwmark = 7", "fwmark = 7", "`fwmark`: 7 is another service already"),
        ("fwmark = 7", "group = \"g\"", "`group`: the mark 7 of it is another service already"),
        ("group = \"g\"\nprotocol = \"udp\"", "fwmark = 7", "`fwmark`: 7 is another service already"),
    ] {
        let said = of(first, second);
        assert_eq!(said.len(), 1, "{first} {second}: {said:?}");
        assert!(said[0].contains(says) && said[0].contains("See line 10"), "{first} {second}: {said:?}");
    }
    for (first, second) in [
        ("address = \"10.0.0.2:80\"\nprotocol = \"udp\"", "address = \"10.0.0.2:80\""),
        ("address = \"10.0.0.2:81\"", "address = \"10.0.0.2:80\""),
        ("group = \"h\"\nprotocol = \"udp\"", "group = \"h\""),
        ("fwmark = 7\nfamily = \"ipv6\"", "fwmark = 7"),
        ("group = \"h\"\nprotocol = \"udp\"", "group = \"g\""),
    ] {
        assert_eq!(of(first, second), [""; 0], "{first} {second} are different services");
    }
}

/// What a mark, a group or every port needs of its servers.
#[test]
fn ipvs_61_ports_of_servers_behind_marks_and_groups() {
    let of = |front: &str, forward: &str, server: &str| {
        let group = "[[server_group]]\nname = \"g\"\naddresses = [\"10.0.0.1:80\", \"10.0.0.1:443\"]\n";
        let service = format!("[[service]]\nname = \"s\"\n{front}\nforward = \"{forward}\"\n");
        let group = if front.contains("group") { group } else { "" };
        messages(&format!("{group}{service}[[service.server]]\naddress = \"{server}\"\n"))
    };
    let any = "address = \"10.0.0.1:0\"\npersistence = \"6m\"";
    for front in ["fwmark = 7", "group = \"g\"", any] {
        for forward in ["nat", "direct", "tunnel"] {
            for server in ["192.168.1.11", "192.168.1.11:0", "192.168.1.11:8080", "www.example.org"] {
                assert_eq!(of(front, forward, server), [""; 0], "{front} {forward} {server}");
            }
        }
    }
    let said = of("fwmark = 7", "nat", "[2001:db8::1]:80");
    assert!(said.len() == 1 && said[0].contains("cannot go from IPv4 to IPv6"), "{said:?}");
    let said = of("fwmark = 7\nfamily = \"ipv6\"", "nat", "192.168.1.11:80");
    assert!(said.len() == 1 && said[0].contains("cannot go from IPv6 to IPv4"), "{said:?}");
    assert_eq!(of("fwmark = 7\nfamily = \"ipv6\"", "nat", "www.example.org"), [""; 0], "asked for AAAA");
}

/// One mistake in what others depend on is told once.
#[test]
fn one_mistake_is_told_once() {
    for (right, wrong) in [
        ("name = \"pool\"", "name = \"\""),
        ("name = \"pool\"", "nam = \"pool\""),
        ("\"10.0.0.101:80\", \"10.0.0.102:443\"", "\"10.0.0.101\""),
        ("name = \"fitness\"", "name = 5"),
        ("path = \"/run/fitness\"", "path = \"run\""),
        ("[[server_group]]", "[[server_grup]]"),
        ("name = \"VI_1\"", "name = \"\""),
        ("address = \"10.0.0.100:80\"", "address = \"10.0.0.100\""),
        ("fwmark = 9", "fwmrak = 9"),
        ("group = \"pool\"", "gruop = \"pool\""),
        ("scheduler = \"mh\"", "scheduler = \"hm!\""),
    ] {
        let text = BALANCE.replacen(right, wrong, 1);
        if text != BALANCE {
            let said = messages(&text);
            assert_eq!(said.len(), 1, "{wrong}: {said:#?}");
        }
    }
}

/// A check follows a file, no other tracker.
#[test]
fn a_check_of_a_file_needs_a_tracker_of_one() {
    let said = said("track = \"fitness\"", "track = \"uplink\"");
    let what = "f:74:34: error: `track`: \"uplink\" (line 9) looks at no file. Those that do are: fitness.";
    assert_eq!(said[0].replace("f:4:1", ""), what, "{said:?}");
}

/// Probes go out by the family of their source.
#[test]
fn hc_3_source_and_server_are_of_one_family() {
    let said = said("path = \"/health\"", "path = \"/\", source = \"2001:db8::2\"");
    assert_eq!(said.len(), 2, "both servers have the service's check: {said:?}");
    let what = "`address`: 192.168.1.11:8080 is IPv4, the check's `source` 2001:db8::2 is IPv6";
    assert!(said[0].starts_with("f:48:11: error: ") && said[0].contains(what), "{said:?}");
}

/// IPVS-40d: of IPv6 the kernel wants a length from 1 to 128, and says EINVAL to others.
#[test]
fn ipvs_40d_persistence_of_ipv6_has_a_length_that_the_kernel_takes() {
    for (prefix, fits) in [(0, false), (1, true), (128, true), (129, false)] {
        let said = messages(&format!(
            "[[service]]\nname = \"six\"\naddress = \"[2001:db8::1]:80\"\n\
             persistence = {{ timeout = \"6m\", prefix = {prefix} }}\n\
             [[service.server]]\naddress = \"[2001:db8::2]:80\"\n"
        ));
        match fits {
            true => assert_eq!(said, [""; 0], "{prefix}"),
            false => assert_eq!(said, [format!("f:4:42: error: `prefix` is {prefix}, wants 1 to 128.")]),
        }
    }
}
