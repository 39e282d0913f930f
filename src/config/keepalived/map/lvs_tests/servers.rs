//! Real servers, and what goes with them.

use super::exact;

/// Each server's own kind; the service's is theirs where they say nothing.
#[test]
fn tunnels() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    lvs_method TUN type gue port 6080 csum
    protocol TCP
    real_server 192.168.1.11 80 {
    }
    real_server 192.168.1.12 80 {
        lvs_method TUN type gre csum
    }
    real_server 192.168.1.13 80 {
        lvs_method TUN
    }
    real_server 192.168.1.14 80 {
        lvs_method TUN type gue port 6081 remcsum
    }
    real_server 192.168.1.15 80 {
        lvs_method DR
    }
    real_server 192.168.1.16 8080 {
        lvs_method NAT
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
forward = "tunnel"
tunnel = { type = "gue", port = 6080, checksum = "full" }

[[service.server]]
address = "192.168.1.11:80"

[[service.server]]
address = "192.168.1.12:80"
tunnel = { type = "gre", checksum = "full" }

[[service.server]]
address = "192.168.1.13:80"
tunnel = { type = "ipip" }

[[service.server]]
address = "192.168.1.14:80"
tunnel = { type = "gue", port = 6081, checksum = "remote" }

[[service.server]]
address = "192.168.1.15:80"
forward = "direct"

[[service.server]]
address = "192.168.1.16:8080"
forward = "nat"
"#,
        &[],
    );
}

/// keepalived reads the whole line, and takes IP in IP where some of it is wrong.
#[test]
fn tunnels_that_cannot_be() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    lvs_method TUN
    protocol TCP
    real_server 192.168.1.11 80 {
        lvs_method TUN type gue
    }
    real_server 192.168.1.12 80 {
        lvs_method TUN type gre port 6080
    }
    real_server 192.168.1.13 80 {
        lvs_method TUN type gre remcsum
    }
    real_server 192.168.1.14 80 {
        lvs_method TUN type ipip csum
    }
    real_server 192.168.1.15 80 {
        lvs_method TUN type vxlan
    }
    real_server 192.168.1.16 80 {
        lvs_method TUN gue
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
forward = "tunnel"

# line 6: `lvs_method`: a tunnel of type gue lacks its port. It becomes IP in IP, as in
# keepalived.
[[service.server]]
address = "192.168.1.11:80"

# line 9: `lvs_method`: a tunnel of type gre has no port. It becomes IP in IP, as in keepalived.
[[service.server]]
address = "192.168.1.12:80"

# line 12: `lvs_method`: remcsum is for type gue. It becomes IP in IP, as in keepalived.
[[service.server]]
address = "192.168.1.13:80"

# line 15: `lvs_method`: IP in IP has no checksum. It becomes IP in IP, as in keepalived.
[[service.server]]
address = "192.168.1.14:80"

# line 18: `lvs_method`: "vxlan" is no type of a tunnel. It becomes IP in IP, as in keepalived.
[[service.server]]
address = "192.168.1.15:80"

# line 21: `lvs_method`: "gue" is no word of a tunnel. It becomes IP in IP, as in keepalived.
[[service.server]]
address = "192.168.1.16:80"
"#,
        &["6:9 error", "9:9 error", "12:9 error", "15:9 error", "18:24 error", "21:24 error"],
    );
}

/// What the service says stands there once.
#[test]
fn defaults_of_servers() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched wrr
    weight 3
    inhibit_on_failure
    alpha
    ha_suspend
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
        }
    }
    real_server 192.168.1.12 80 {
        weight 1
        inhibit_on_failure no
        alpha false
        TCP_CHECK {
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "wrr"
suspend = true
weight = 3
inhibit = true
check = { type = "tcp", interval = "1m" }

[[service.server]]
address = "192.168.1.11:80"
start_up = false

[[service.server]]
address = "192.168.1.12:80"
weight = 1
inhibit = false
"#,
        &[],
    );
}

/// A service's switches have no `off`.
#[test]
fn always_on() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    inhibit_on_failure off
    alpha no
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
        }
    }
}
",
        r#"# line 3: `inhibit_on_failure off` is taken for on. keepalived does not look at what follows it
# here.
# line 4: `alpha no` is taken for on. keepalived does not look at what follows it here.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
inhibit = true
start_up = false
check = { type = "tcp", interval = "1m" }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:24 warning", "4:11 warning"],
    );
}

/// Everything a server has.
#[test]
fn server() {
    exact(
        r#"virtual_server 10.0.0.1 80 {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 8080 {
        weight 7
        uthreshold 100
        lthreshold 50
        inhibit_on_failure
        notify_up "/etc/up.sh $A" root
        notify_down /etc/down.sh
    }
    real_server 192.168.1.12 {
        weight 0
        lthreshold 5
    }
}
"#,
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# line 9: `notify_up`: "$A" is for a shell, and there is none. keepalived hands it over as an
# argument, and so does vipd: write ["/bin/sh", "-c", "..."].
[[service.server]]
address = "192.168.1.11:8080"
weight = 7
upper_threshold = 100
lower_threshold = 50
inhibit = true
notify = { up = { run = ["/etc/up.sh", "$A"], user = "root" }, down = "/etc/down.sh" }

# line 14: `lthreshold` 5 is above `uthreshold` 0. The kernel refuses a server with it:
# `lthreshold` is left out.
[[service.server]]
address = "192.168.1.12:80"
weight = 0
"#,
        &["9:19 warning", "14:9 error"],
    );
}

/// Off for services, on for servers, unless they say it (trap 5).
#[test]
fn mail() {
    exact(
        "global_defs {
    notification_email {
        root@example.org
    }
    notification_email_from lvs@example.org
    smtp_server 127.0.0.1
    router_id gw
}
virtual_server 10.0.0.1 80 {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
    }
    real_server 192.168.1.12 80 {
        smtp_alert no
    }
}
virtual_server 10.0.0.2 80 {
    lvs_sched rr
    smtp_alert
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[global]
router_name = "gw"

[mail]
server = "127.0.0.1:25"
from = "lvs@example.org"
to = ["root@example.org"]

[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
mail = false

[[service.server]]
address = "192.168.1.11:80"

[[service.server]]
address = "192.168.1.12:80"
mail = false

[[service]]
name = "10.0.0.2:80"
address = "10.0.0.2:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// Every line of it is told.
#[test]
fn mail_that_goes_nowhere() {
    exact(
        "global_defs {
    notification_email_from lvs@example.org
    smtp_server 127.0.0.1
    smtp_connect_timeout 30
    smtp_helo_name gw.example.org
}
virtual_server 10.0.0.1 80 {
    lvs_sched rr
    smtp_alert
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["2:5 note", "3:5 note", "4:5 note", "5:5 note"],
    );
}

/// IPVS-43d.
#[test]
fn ports_that_packets_keep() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    lvs_method DR
    protocol TCP
    real_server 192.168.1.11 8080 {
        TCP_CHECK {
        }
    }
    real_server 192.168.1.12 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
forward = "direct"

# line 5: port 8080 becomes 80, that of the virtual server. Only NAT changes the port of a packet.
# keepalived does the same, and its checks go on to the port as it is written.
[[service.server]]
address = "192.168.1.11:80"
check = { type = "tcp", port = 8080, interval = "1m" }

[[service.server]]
address = "192.168.1.12:80"
"#,
        &["5:17 warning"],
    );
}

/// The second is left out.
#[test]
fn servers_twice() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
    }
    real_server 192.168.1.11 80 {
        weight 2
    }
}
",
        r#"# line 6: real server 192.168.1.11:80 is in line 4 already. keepalived leaves the second one out,
# and so does this; a larger share is a larger weight.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:5 warning"],
    );
}
