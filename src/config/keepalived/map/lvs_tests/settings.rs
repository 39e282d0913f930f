//! What a virtual_server says of itself.

use super::exact;

/// By name and by number (IPVS-65).
#[test]
fn flags_of_sh() {
    exact(
        "virtual_server 10.0.0.1 80 {
    flag-3
    lvs_sched sh
    sh-port
    sh-fallback
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "sh"
scheduler_flags = ["port", "fallback"]

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["2:5 note"],
    );
}

/// By name and by number (IPVS-65).
#[test]
fn flags_of_mh() {
    exact(
        "virtual_server 10.0.0.1 80 {
    flag-3
    lvs_sched mh
    mh-port
    mh-fallback
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "mh"
scheduler_flags = ["port", "fallback"]

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["2:5 note"],
    );
}

/// They stand for themselves wherever they stand.
#[test]
fn flags_by_number() {
    exact(
        "virtual_server 10.0.0.1 80 {
    flag-1
    flag-2
    lvs_sched mh
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "mh"
scheduler_flags = ["fallback", "port"]

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// Told, and left out as keepalived does.
#[test]
fn flags_of_another_scheduler() {
    exact(
        "virtual_server 10.0.0.1 80 {
    mh-port
    lvs_sched sh
    mh-fallback
    sh-port
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 2: `mh-port` is left out: no scheduler of that name stands above it. keepalived leaves it
# out, too.
# line 4: `mh-fallback` is left out: no scheduler of that name stands above it. keepalived leaves
# it out, too.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "sh"
scheduler_flags = ["port"]

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["2:5 warning", "4:5 warning"],
    );
}

/// Numbers mean nothing to most schedulers.
#[test]
fn flags_without_meaning() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched wrr
    flag-1
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "wrr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:5 note"],
    );
}

/// UDP and marks only.
#[test]
fn one_packet() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    ops
    protocol UDP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80/udp"
address = "10.0.0.1:80"
protocol = "udp"
scheduler = "rr"
one_packet = true

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// Left out, told.
#[test]
fn one_packet_of_tcp() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    ops
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 3: `ops` with protocol tcp. One packet at a time is for UDP and marks: keepalived leaves it
# out.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:5 error"],
    );
}

/// wlc to both.
#[test]
fn no_scheduler() {
    exact(
        "virtual_server 10.0.0.1 80 {
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 1: no `lb_algo` that is known: wlc is taken. keepalived takes it, too.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["1:1 warning"],
    );
}

/// The last one counts, of scripts the first.
#[test]
fn given_twice() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    lb_algo wrr
    quorum_up /etc/one
    quorum_up /etc/two
    protocol TCP
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 2: `lvs_sched` is void: line 3 says it, too. keepalived takes the last one, and so does
# this.
# line 5: `quorum_up` is void: line 4 says it, too. keepalived takes the first one, and so does
# this.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "wrr"
notify = { quorum_up = "/etc/one" }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["2:5 warning", "3:5 note", "5:5 warning", "6:5 note"],
    );
}

/// Commands are run as they are.
#[test]
fn quorum() {
    exact(
        r#"virtual_server 10.0.0.1 80 {
    lvs_sched rr
    quorum 3
    hysteresis 1
    quorum_up "/etc/up.sh 'a b' c"
    quorum_down "/etc/down.sh" nobody
    omega
    protocol TCP
    real_server 192.168.1.11 80 {
        weight 2
    }
    real_server 192.168.1.12 80 {
        weight 2
    }
}
"#,
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
quorum = 3
hysteresis = 1
notify = { quorum_up = ["/etc/up.sh", "a b", "c"], quorum_down = { run = "/etc/down.sh", user = "nobody" } }
notify_stop = true

[[service.server]]
address = "192.168.1.11:80"
weight = 2

[[service.server]]
address = "192.168.1.12:80"
weight = 2
"#,
        &[],
    );
}

/// keepalived lowers both.
#[test]
fn quorum_out_of_reach() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    quorum 9
    hysteresis 9
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 3: `quorum` 9 is more than all servers weigh: 1 is taken. keepalived takes it, too.
# line 4: `hysteresis` 9 is not below the quorum: 0 is taken. keepalived takes it, too.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:5 warning", "4:5 warning"],
    );
}

/// Its own way, and in the table from the start.
#[test]
fn sorry_server() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    lvs_method DR
    protocol TCP
    sorry_server 127.0.0.1 80
    sorry_server_inhibit
    sorry_server_lvs_method NAT
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
forward = "direct"
sorry = { address = "127.0.0.1:80", forward = "nat", inhibit = true }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// As the service's servers.
#[test]
fn sorry_server_plain() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    sorry_server 192.168.1.99 8080
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
sorry = "192.168.1.99:8080"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// They say nothing by themselves.
#[test]
fn sorry_words_without_it() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    sorry_server_inhibit
    sorry_server_lvs_method DR
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
virtual_server 10.0.0.2 80 {
    lvs_sched rr
    sorry_server_inhibit
    sorry_server 192.168.1.99 80
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 3: `sorry_server_inhibit` without `sorry_server`. keepalived leaves it out, and so does
# this.
# line 4: `sorry_server_lvs_method` without `sorry_server`. keepalived leaves it out, and so does
# this.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"

# line 11: `sorry_server_inhibit` above its `sorry_server` is taken. keepalived leaves it out
# there.
[[service]]
name = "10.0.0.2:80"
address = "10.0.0.2:80"
scheduler = "rr"
sorry = { address = "192.168.1.99:80", inhibit = true }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:5 warning", "4:5 warning", "11:5 warning"],
    );
}

/// snmp_name names it.
#[test]
fn name() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    snmp_name shop
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 3: `snmp_name` becomes the service's name. vipd has no SNMP.
[[service]]
name = "shop"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:15 warning"],
    );
}
