//! What clients connect to: addresses, marks and groups of both.

use super::{exact, import};

/// Ranges by their last number, whole ends and prefixes; ports are the group's.
#[test]
fn group_of_addresses() {
    exact(
        "virtual_server_group web {
    10.0.0.1 80
    10.0.1.1-20 80
    10.0.2.1-10.0.2.3 80
    10.0.3.0/30 80
}
virtual_server group web {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[server_group]]
name = "web"
addresses = ["10.0.0.1:80", "10.0.1.1-20:80", "10.0.2.1-10.0.2.3:80", "10.0.3.0/30:80"]

[[service]]
name = "web"
group = "web"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// Several ports: a server behind NAT has the client's where it names none.
#[test]
fn group_of_both_ports() {
    exact(
        "virtual_server_group web {
    10.0.0.1 80 # plain
    10.0.0.1 443
}
virtual_server group web {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 {
    }
}
",
        r#"# plain
[[server_group]]
name = "web"
addresses = ["10.0.0.1:80", "10.0.0.1:443"]

[[service]]
name = "web"
group = "web"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11"
"#,
        &[],
    );
}

/// Marks have the family that they say.
#[test]
fn group_of_marks() {
    exact(
        "virtual_server_group six {
    fwmark 7 inet6
    fwmark 8 inet6
}
virtual_server group six {
    lvs_sched rr
    real_server fd00::11 80 {
    }
}
",
        r#"[[server_group]]
name = "six"
fwmarks = [7, 8]
family = "ipv6"

[[service]]
name = "six"
group = "six"
scheduler = "rr"

[[service.server]]
address = "[fd00::11]:80"
"#,
        &[],
    );
}

/// The last 16 bits, in hexadecimal.
#[test]
fn group_of_ipv6_range() {
    exact(
        "virtual_server_group six {
    2001:db8::1-ff 443
}
virtual_server group six {
    lvs_sched rr
    protocol TCP
    real_server fd00::11 443 {
    }
}
",
        r#"[[server_group]]
name = "six"
addresses = ["[2001:db8::1-ff]:443"]

[[service]]
name = "six"
group = "six"
scheduler = "rr"

[[service.server]]
address = "[fd00::11]:443"
"#,
        &[],
    );
}

/// ha_suspend is not for marks.
#[test]
fn group_with_an_address_and_a_mark() {
    exact(
        "virtual_server_group both {
    10.0.0.1 80
    fwmark 3
}
virtual_server group both {
    lvs_sched rr
    ha_suspend
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[server_group]]
name = "both"
addresses = ["10.0.0.1:80"]
fwmarks = [3]

# line 7: `ha_suspend` with a mark. A mark has no address that could be here or away: keepalived
# leaves it out.
[[service]]
name = "both"
group = "both"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["7:5 error"],
    );
}

/// Each is told.
#[test]
fn group_lines_that_cannot_be() {
    exact(
        "virtual_server_group web {
    10.0.0.1:80
    10.0.0.2 80 more
    10.0.0.300 80
    fwmark 7 inet7
}
virtual_server group web {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 2: "10.0.0.1:80" is read as 10.0.0.1 80. keepalived wants a space between address and port,
# and leaves it out as it stands.
# line 3: more words than an entry of a group takes. keepalived ignores them, and so does this.
# line 4: "10.0.0.300" is not an IP address. 300 is more than 255.
# line 5: "inet7" is neither inet nor inet6. keepalived leaves the line out.
[[server_group]]
name = "web"
addresses = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name = "web"
group = "web"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["2:5 warning", "3:17 warning", "4:5 error", "5:5 error"],
    );
}

/// A protocol means nothing; ports of servers that keep the packet's are for checks alone.
#[test]
fn fwmark() {
    exact(
        "virtual_server fwmark 5 {
    lvs_sched rr
    lvs_method DR
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
            connect_timeout 3
        }
    }
    real_server 192.168.1.12 80 {
        TCP_CHECK {
            connect_timeout 3
        }
    }
}
",
        r#"[[service]]
name = "fwmark-5"
fwmark = 5
scheduler = "rr"
forward = "direct"
check = { type = "tcp", interval = "1m", timeout = "3s" }

[[service.server]]
address = "192.168.1.11:80"

[[service.server]]
address = "192.168.1.12:80"
"#,
        &["4:14 note"],
    );
}

/// Family by the servers, or by ip_family.
#[test]
fn fwmark_of_ipv6() {
    exact(
        "virtual_server fwmark 5 {
    lvs_sched rr
    real_server fd00::11 80 {
    }
}
virtual_server fwmark 6 {
    ip_family inet6
    lvs_sched rr
    lvs_method TUN
    real_server 192.168.1.11 {
    }
}
",
        r#"[[service]]
name = "fwmark-5/ipv6"
fwmark = 5
family = "ipv6"
scheduler = "rr"

[[service.server]]
address = "[fd00::11]:80"

[[service]]
name = "fwmark-6/ipv6"
fwmark = 6
family = "ipv6"
scheduler = "rr"
forward = "tunnel"

[[service.server]]
address = "192.168.1.11"
"#,
        &[],
    );
}

/// Port 0 forces persistence.
#[test]
fn every_port() {
    exact(
        "virtual_server 10.0.0.1 0 {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 1: port 0, which is every port, needs `persistence_timeout`: 360 is taken. keepalived takes
# it, too.
[[service]]
name = "10.0.0.1:0"
address = "10.0.0.1:0"
scheduler = "rr"
persistence = "6m"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["1:1 warning"],
    );
}

/// Trap 2.
#[test]
fn no_protocol_is_udp() {
    exact(
        "virtual_server 10.0.0.1 53 {
    lvs_sched rr
    real_server 192.168.1.11 53 {
    }
}
",
        r#"# line 1: no `protocol`: keepalived takes UDP then, and so does this. Write protocol TCP where
# that is meant.
[[service]]
name = "10.0.0.1:53/udp"
address = "10.0.0.1:53"
protocol = "udp"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:53"
"#,
        &["1:1 warning"],
    );
}

/// Only a tunnel goes from one family to the other: the rest is left out.
#[test]
fn another_family() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    protocol TCP
    sorry_server fd00::1 80
    real_server 192.168.1.11 80 {
    }
    real_server fd00::11 80 {
    }
}
",
        r#"# line 4: `sorry_server` fd00::1 is of another family than the service. keepalived leaves it out.
# line 7: `real_server` fd00::11 is of another family than the service. keepalived leaves it out.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["4:5 error", "7:5 error"],
    );
}

/// One service in the kernel: the servers of both, the settings of the first.
#[test]
fn the_same_front_twice() {
    exact(
        "virtual_server 10.0.0.1 80 {
    delay_loop 5
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
        }
    }
}
virtual_server 10.0.0.1 80 {
    delay_loop 5
    lvs_sched wrr
    lvs_method DR
    quorum 2
    protocol TCP
    real_server 192.168.1.12 80 {
        weight 5
        TCP_CHECK {
        }
    }
    real_server 192.168.1.11 80 {
        TCP_CHECK {
        }
    }
}
",
        r#"# line 10: its servers go to the virtual_server of line 1, which is for the same. keepalived puts
# the servers of both into one service, too.
# line 12: its `scheduler` is left out. The settings of the first count, as in keepalived.
# line 14: its `quorum` is left out. Put all servers under one virtual_server, and it there.
# line 21: real server 192.168.1.11:80 is in line 5 already. The kernel has it once. keepalived
# checks it for both; here the first one counts.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
check = { type = "tcp", interval = "5s" }

[[service.server]]
address = "192.168.1.11:80"

[[service.server]]
address = "192.168.1.12:80"
weight = 5
forward = "direct"
"#,
        &["10:1 warning", "12:15 warning", "14:5 error", "21:5 warning"],
    );
}

/// A front that cannot be takes its servers with it, and says so.
#[test]
fn left_out() {
    exact(
        "virtual_server 10.0.0.300 80 {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 1: "10.0.0.300" is not an address. 300 is more than 255. keepalived leaves it out.
"#,
        &["0:0 warning", "1:16 error", "4:5 note"],
    );
}

/// One mark, both families: two services of the kernel, as keepalived 2.2.7 dumps them. Before, the servers
/// of the second went into the first.
#[test]
fn mark_of_both_families() {
    exact(
        "virtual_server fwmark 80 {
    lvs_sched rr
    real_server 192.168.0.1 {
    }
}
virtual_server fwmark 80 {
    lvs_sched rr
    protocol TCP
    real_server 2001:db8::1 {
    }
}
virtual_server fwmark 80 {
    lvs_sched rr
    real_server 192.168.0.2 {
    }
}
",
        r#"# line 12: its servers go to the virtual_server of line 1, which is for the same. keepalived puts
# the servers of both into one service, too.
[[service]]
name = "fwmark-80"
fwmark = 80
scheduler = "rr"

[[service.server]]
address = "192.168.0.1"

[[service.server]]
address = "192.168.0.2"

[[service]]
name = "fwmark-80/ipv6"
fwmark = 80
family = "ipv6"
scheduler = "rr"

[[service.server]]
address = "2001:db8::1"
"#,
        &["8:14 note", "12:1 warning"],
    );
}

/// Where packets go through a tunnel the family of the servers says nothing, unless all have the same
/// (keepalived 2.2.7); the sorry server says it, too. Names of services stay apart.
#[test]
fn marks_of_tunnels_and_names() {
    let mark = |n: u32, lines: &str| {
        format!("virtual_server fwmark {n} {{\nlvs_sched rr\nsnmp_name web\n{lines}\n}}\n")
    };
    let server = |ip: &str| format!("real_server {ip} {{\n}}\n");
    let mixed = server("2001:db8::1") + &server("192.168.0.1");
    let file = [
        mark(1, &format!("lvs_method TUN\n{mixed}")),
        mark(2, &format!("lvs_method TUN\n{}", server("2001:db8::1"))),
        mark(3, &format!("lvs_method TUN\nsorry_server 2001:db8::9\nsorry_server_lvs_method NAT\n{mixed}")),
        mark(4, &format!("real_server 2001:db8::1 {{\nlvs_method TUN\n}}\n{}", server("192.168.0.1"))),
    ];
    let (text, _) = import(file.concat().leak());
    let rows = text.lines().filter(|line| line.starts_with("name") || line.starts_with("family"));
    let want = [
        "name = \"web\"",
        "name = \"web fwmark-2/ipv6\"",
        "family = \"ipv6\"",
        "name = \"web fwmark-3/ipv6\"",
        "family = \"ipv6\"",
        "name = \"web fwmark-4\"",
    ];
    assert_eq!(rows.collect::<Vec<_>>(), want);
}

/// A sorry server that is a server, too, stays or goes as that does (keepalived 2.2.7).
#[test]
fn sorry_server_that_is_a_server() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    protocol TCP
    sorry_server 192.168.0.1 80
    real_server 192.168.0.1 80 {
        inhibit_on_failure
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
# line 4: the sorry server is one of the servers, and has their `inhibit`. keepalived does so,
# too.
sorry = { address = "192.168.0.1:80", inhibit = true }

[[service.server]]
address = "192.168.0.1:80"
inhibit = true
"#,
        &["4:5 warning", "4:5 warning"],
    );
}
