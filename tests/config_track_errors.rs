//! Broken trackers, groups and commands, one mistake each: the exact line and column, what is wrong and
//! what was probably meant (law 4). Without these a mistake could be reported elsewhere, or pass in silence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "others use the rest of it")]
mod texts;

use texts::{RIGHT, check, messages};
use vipd::model::Level;

#[test]
fn trackers() {
    check(
        Level::Error,
        &[
            (
                "type = \"path\"",
                "type = \"ping\"",
                (0, 8),
                &["unknown type \"ping\"", "One of: interface, script, file"],
            ),
            ("type = \"path\"\n", "", (-2, 1), &["[[track]] has no `type`"]),
            (
                "target = \"192.0.2.1\"",
                "target = \"192.0.2.1:53\"",
                (0, 10),
                &["a ping goes to no port", "probe = \"tcp\""],
            ),
            ("target = \"192.0.2.1\"", "target = \"192.0.2.1\"\nprobe = \"tcp\"", (0, 10), &["has no port"]),
            ("target = \"192.0.2.1\"", "target = \"example.org\"", (0, 10), &["host name"]),
            (
                "target = \"192.0.2.1\"",
                "target = \"192.0.2.1\"\nquery = \"a\"",
                (1, 1),
                &["`query` contradicts `probe = \"ping\"`"],
            ),
            (
                "target = \"192.0.2.1\"",
                "target = \"192.0.2.1\"\nsource = \"fe80::1\"",
                (1, 10),
                &["fe80::1 is IPv6"],
            ),
            (
                "target = \"192.0.2.1\"",
                "target = \"192.0.2.1\"\npath = \"/x\"",
                (1, 1),
                &["`path` contradicts `type = \"path\"`"],
            ),
            ("target = \"192.0.2.1\"", "address = \"192.0.2.1\"", (0, 1), &["Did you mean `target`?"]),
            (
                "target = \"192.0.2.1\"",
                "target = \"192.0.2.1\"\nweight = 254",
                (1, 10),
                &["wants -253 to 253"],
            ),
            ("command = \"/etc/check\"", "script = \"/etc/check\"", (0, 1), &["`script` is `command` here"]),
            (
                "command = \"/etc/check\"",
                "command = \"check\"",
                (0, 11),
                &["not an absolute path", "no search path"],
            ),
            (
                "command = \"/etc/check\"",
                "command = \"/etc/check | grep x\"",
                (0, 11),
                &["`|` is for a shell", "script file"],
            ),
            (
                "command = \"/etc/check\"",
                "command = \"/etc/check\"\nuser = \"root\"",
                (1, 1),
                &["`command = { run = ..., user = ... }`"],
            ),
            (
                "command = \"/etc/check\"",
                "command = \"/etc/check\"\ninterval = 5",
                (1, 12),
                &["Did you mean \"5s\"?"],
            ),
            ("command = \"/etc/check\"", "command = \"/etc/check\"\nfall = 0", (1, 8), &["wants 1 to 65535"]),
            (
                "type = \"script\"\ncommand = \"/etc/check\"",
                "type = \"process\"\nprocess = \"unbound -d\"",
                (1, 11),
                &["not the name of a program", "`arguments"],
            ),
            (
                "type = \"script\"\ncommand = \"/etc/check\"",
                "type = \"process\"\nprocess = \"a\"\nquorum = 3\nquorum_max = 2",
                (3, 14),
                &["`quorum_max` (2) is below `quorum` (3)"],
            ),
            (
                "track = [\"script\"]",
                "track = [\"scirpt\"]",
                (0, 10),
                &["no [[track]] is called", "Did you mean \"script\"?"],
            ),
            ("track = [\"script\"]", "track = [\"eth7\"]", (0, 10), &["Those are: uplink, script."]),
            ("track = [\"script\"]", "track = [\"script\", \"script\"]", (0, 20), &["given twice"]),
            (
                "track = [\"script\"]",
                "track = [{ name = \"script\", wieght = 5 }]",
                (0, 29),
                &["Did you mean `weight`?"],
            ),
            ("track = [\"script\"]", "track = \"script\"", (0, 9), &["in brackets: [\"script\"]"]),
            (
                "track = [\"script\"]",
                "track = [\"script\"]\ntrack_interface = [\"eth1\"]",
                (1, 19),
                &["type = \"interface\""],
            ),
            (
                "track = [\"script\"]",
                "track = [\"script\"]\ntrack_script = [\"x\"]",
                (1, 1),
                &["is `[[track]]` with `type = \"script\"`"],
            ),
        ],
    );
    check(
        Level::Warning,
        &[
            ("track = [\"uplink\"]\n", "", (-13, 1), &["nobody tracks \"uplink\"", "track = [\"uplink\"]"]),
            (
                "command = \"/etc/check\"",
                "command = \"/etc/check\"\ntimeout = \"2s\"",
                (1, 1),
                &["longer than `interval`"],
            ),
            (
                "track = [\"script\"]",
                "track = [{ name = \"script\", weight = -10 }]",
                (-9, 12),
                &["the weights of this one's trackers have no effect", "member_weights"],
            ),
            (
                "type = \"script\"\ncommand = \"/etc/check\"",
                "type = \"interface\"\ninterface = \"eth0\"",
                (14, 10),
                &["eth0 is tracked anyway", "track_interface = false"],
            ),
        ],
    );
}

#[test]
fn groups() {
    check(
        Level::Error,
        &[
            (
                "[\"VI_1\", \"VI_2\"]",
                "[\"VI_1\", \"VI_3\", \"VI_2\"]",
                (0, 20),
                &["no [[vrrp]] is called \"VI_3\"", "Did you mean"],
            ),
            ("[\"VI_1\", \"VI_2\"]", "[\"VI_1\", \"VI_1\", \"VI_2\"]", (0, 20), &["given twice"]),
            ("[\"VI_1\", \"VI_2\"]", "[]", (0, 1), &["`members` is empty"]),
            ("members = ", "group = ", (0, 1), &["`group` is `members` here"]),
            ("members = [\"VI_1\", \"VI_2\"]\n", "", (-2, 1), &["[[sync_group]] has no `members`"]),
            ("name = \"G\"\n", "", (-1, 1), &["[[sync_group]] has no `name`"]),
        ],
    );
    let second = "[[sync_group]]\nname = \"G\"\nmembers = [\"VI_2\", \"VI_1\"]\n";
    let said = messages(&format!("{RIGHT}{second}"));
    assert_eq!(said.len(), 3, "the name and both members: {said:?}");
    assert!(said[0].contains(":33:8: error: `name` \"G\" is taken by another [[sync_group]]"), "{said:?}");
    assert!(
        said[1].contains(":34:12: error: `members`: this [[vrrp]] is in two groups. See line 16"),
        "{said:?}"
    );
    check(
        Level::Warning,
        &[
            ("[\"VI_1\", \"VI_2\"]", "[\"VI_1\"]", (0, 12), &["a group of one [[vrrp]] changes nothing"]),
            ("priority = 150", "priority = 255", (-7, 12), &["priority 255 and others in one group"]),
        ],
    );
}

#[test]
fn commands() {
    check(
        Level::Error,
        &[
            (
                "vrid = 51",
                "vrid = 51\nnotify = \"/etc/notify\"",
                (1, 10),
                &["Did you mean { any = \"/etc/notify\" }?"],
            ),
            ("vrid = 51", "vrid = 51\nnotify = { master = \"/x\" }", (1, 12), &["`master` is `active` here"]),
            ("vrid = 51", "vrid = 51\nnotify_master = \"/x\"", (1, 1), &["notify = { active = \"/path\" }"]),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = \"/x > /dev/null\" }",
                (1, 21),
                &["`>` is for a shell"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = \"/x $(date)\" }",
                (1, 21),
                &["`$` is for a shell"],
            ),
            ("vrid = 51", "vrid = 51\nnotify = { active = \"\" }", (1, 21), &["the command is empty"]),
            ("vrid = 51", "vrid = 51\nnotify = { active = [] }", (1, 21), &["the command is empty"]),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = [\"/x\", 5] }",
                (1, 28),
                &["Write it in quotes: \"5\"."],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = true }",
                (1, 21),
                &["wants a command, this is true or false"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = \"PATH=/x /y\" }",
                (1, 21),
                &["Variables are set in a script file"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = \"/x 'y\" }",
                (1, 21),
                &["the quote ' is not closed"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = { run = \"/x\", timeout = \"2h\" } }",
                (1, 45),
                &["wants 100ms to 1h"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = { command = \"/x\" } }",
                (1, 23),
                &["`command` is `run` here"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nnotify = { active = { run = \"/x\", user = \"a:b\" } }",
                (1, 42),
                &["Did you mean user = \"a\", group = \"b\"?"],
            ),
            ("\"nobody\"", "\"no body x\"", (0, 15), &["is not the name of a user or group"]),
            (
                "vrid = 51",
                "vrid = 51\npre_active = { run = \"/x\", timeout = \"6s\" }",
                (1, 38),
                &["wants 100ms to 5s"],
            ),
            (
                "vrid = 51",
                "vrid = 51\nrun_while_active = [\"a b\"]",
                (1, 21),
                &["script in /etc/init.d", "start = "],
            ),
            ("vrid = 51", "vrid = 51\nrun_while_active = [\"a\", \"a\"]", (1, 26), &["\"a\" is given twice"]),
            (
                "vrid = 51",
                "vrid = 51\nrun_while_active = [{ name = \"a\", start = \"/x\" }]",
                (1, 35),
                &["`start` is given without `stop`"],
            ),
            ("[global]", "[notify]\nfifo = \"run\"\n[global]", (1, 8), &["not an absolute path"]),
            (
                "[global]",
                "[notify]\nfifo = \"/run/x\"\nlvs_fifo = \"/run/x\"\n[global]",
                (2, 12),
                &["`fifo` writes to /run/x already"],
            ),
            (
                "[global]",
                "[notify]\nfifo = { path = \"/x\", script = { run = \"/y\", timeout = \"1s\" } }\n[global]",
                (1, 46),
                &["`timeout` has no meaning here"],
            ),
            ("[global]", "[realtime]\npriority = 100\n[global]", (1, 12), &["wants 1 to 99"]),
            (
                "[global]",
                "[global]\nannounce_rates = { eth0.1 = 5 }",
                (1, 20),
                &["split at a dot", "\"eth0.100\" = 50"],
            ),
            ("[global]", "[global]\nannounce_rates = { eth0 = 0 }", (1, 27), &["wants 1 to 100000"]),
            ("[global]", "[global]\nvrrp_notify_fifo = \"/x\"", (1, 1), &["is `vrrp_fifo` in `[notify]`"]),
            (
                "vrid = 51",
                "vrid = 51\ngarp = { refresh_repeat = 2 }",
                (1, 10),
                &["no effect without `refresh`"],
            ),
            ("vrid = 51", "vrid = 51\ngarp = { form = \"arp\" }", (1, 17), &["One of: request, reply, both"]),
        ],
    );
}

#[test]
fn instances_beside_one_another() {
    let two = |first: &str, second: &str| {
        let one = |name: &str, more: &str| {
            format!("[[vrrp]]\nname = \"{name}\"\ninterface = \"eth0\"\nvrid = 1\n{more}\n")
        };
        messages(&format!("{}{}", one("a", first), one("b", second)))
    };
    let v4 = |last: &str, more: &str| format!("addresses = [\"10.0.0.{last}/24\"]\n{more}");
    let peer = "unicast_peers = [\"10.0.0.2\"]";
    for (first, second) in [("", ""), (peer, peer), (peer, ""), ("", peer)] {
        let said = two(&v4("10", first), &v4("11", second));
        assert_eq!(said.len(), 1, "{first} {second}: {said:?}");
        assert!(said[0].contains("error: `vrid` 1 is taken on interface eth0. See line 4"), "{said:?}");
    }
    let said = two("addresses = [\"fe80::1\"]", "addresses = [\"fe80::2\"]");
    assert!(said.len() == 1 && said[0].contains("`vrid` 1 is taken"), "one family has it once: {said:?}");
    let said =
        two("addresses = [\"10.0.0.1\"]\nexcluded_addresses = [\"fe80::1\"]", "addresses = [\"fe80::1\"]");
    assert!(
        said.len() == 1
            && said[0].contains(":11:14: error: `addresses`: fe80::1 is a virtual address of another"),
        "{said:?}"
    );
}

#[test]
fn names_of_trackers_are_unique() {
    let more = "[[track]]\nname = \"uplink\"\ntype = \"file\"\npath = \"/x\"\n";
    let said = messages(&format!("{RIGHT}{more}"));
    assert!(said.iter().any(|s| s.contains(":33:8: error: `name` \"uplink\" is taken by another [[track]]")));
}

/// A use of what could not be read is no second mistake.
#[test]
fn one_mistake_is_told_once() {
    for (right, wrong) in [
        ("name = \"uplink\"", "name = \"\""),
        ("name = \"uplink\"", "name = \"up"),
        ("name = \"VI_1\"", "name = 5"),
        ("name = \"VI_1\"", "nam = \"VI_1\""),
        ("[[track]]", "[[trakc]]"),
        ("[[vrrp]]", "[[vrpp]]"),
    ] {
        let said = messages(&RIGHT.replacen(right, wrong, 1));
        assert_eq!(said.len(), 1, "{wrong}: {said:#?}");
    }
}

/// Otherwise the last one would be taken for all, without a word.
#[test]
fn a_service_that_two_start_differently_is_refused() {
    let of_two = |first: &str, second: &str| {
        let text = RIGHT.replace("vrid = 51", &format!("vrid = 51\nrun_while_active = [{first}]"));
        messages(&text.replace("vrid = 52", &format!("vrid = 52\nrun_while_active = [{second}]")))
    };
    let own = |more: &str| format!("{{ name = \"vpn\", start = \"/x up\", {more} }}");
    let down = own("stop = \"/x down\"");
    assert_eq!(of_two(&down, &down), [""; 0], "one service may follow both");
    assert_eq!(of_two("\"vpn\"", "{ name = \"vpn\", timeout = \"30s\" }"), [""; 0], "30 s by default");
    for other in ["\"vpn\"", &own("stop = \"/x off\""), &own("stop = \"/x down\", timeout = \"5s\"")] {
        let said = of_two(&down, other);
        let refused = "f:32:21: error: `run_while_active`: \"vpn\" is started or stopped differently";
        assert!(said.len() == 1 && said[0].starts_with(refused), "{other}: {said:?}");
        assert!(said[0].contains("See line 23;"), "{said:?}");
    }
}
