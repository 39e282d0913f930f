//! Clients that stick to a server.

use super::exact;

/// A timeout; none is 360 s.
#[test]
fn persistence() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    persistence_timeout 50
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
virtual_server 10.0.0.2 80 {
    lvs_sched rr
    persistence_timeout
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
persistence = "50s"

[[service.server]]
address = "192.168.1.11:80"

[[service]]
name = "10.0.0.2:80"
address = "10.0.0.2:80"
scheduler = "rr"
persistence = "6m"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// A netmask alone makes a service persistent, too.
#[test]
fn persistence_of_networks() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    persistence_timeout 300
    persistence_granularity 255.255.255.0
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
virtual_server 2001:db8::1 80 {
    lvs_sched rr
    persistence_granularity 64
    protocol TCP
    real_server fd00::11 80 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
persistence = { timeout = "5m", prefix = 24 }

[[service.server]]
address = "192.168.1.11:80"

[[service]]
name = "[2001:db8::1]:80"
address = "[2001:db8::1]:80"
scheduler = "rr"
persistence = { timeout = "6m", prefix = 64 }

[[service.server]]
address = "[fd00::11]:80"
"#,
        &[],
    );
}

/// SIP, of UDP.
#[test]
fn persistence_engine() {
    exact(
        "virtual_server 10.0.0.1 5060 {
    lvs_sched rr
    persistence_timeout 60
    persistence_engine sip
    protocol UDP
    real_server 192.168.1.11 5060 {
    }
}
",
        r#"[[service]]
name = "10.0.0.1:5060/udp"
address = "10.0.0.1:5060"
protocol = "udp"
scheduler = "rr"
persistence = { timeout = "1m", engine = "sip" }

[[service.server]]
address = "192.168.1.11:5060"
"#,
        &[],
    );
}

/// Each of them is told.
#[test]
fn persistence_that_cannot_be() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    persistence_granularity 255.0.255.0
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
virtual_server 10.0.0.2 80 {
    lvs_sched rr
    persistence_granularity 24
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
virtual_server 2001:db8::1 80 {
    lvs_sched rr
    persistence_granularity 255.255.255.0
    protocol TCP
    real_server fd00::11 80 {
    }
}
virtual_server 10.0.0.4 80 {
    lvs_sched rr
    persistence_timeout 60
    persistence_engine sip
    protocol TCP
    real_server 192.168.1.11 80 {
    }
}
virtual_server 10.0.0.5 80 {
    lvs_sched rr
    persistence_engine sip
    protocol UDP
    real_server 192.168.1.11 80 {
    }
}
",
        r#"# line 3: `persistence_granularity` 255.0.255.0 is no prefix. The kernel takes it; vipd has the
# first bits of an address only: each client stands for itself.
[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
persistence = "6m"

[[service.server]]
address = "192.168.1.11:80"

# line 10: `persistence_granularity` 24 is read as a prefix of 24 bits. keepalived takes it for
# the netmask 0.0.0.24: write a netmask.
[[service]]
name = "10.0.0.2:80"
address = "10.0.0.2:80"
scheduler = "rr"
persistence = { timeout = "6m", prefix = 24 }

[[service.server]]
address = "192.168.1.11:80"

# line 17: `persistence_granularity` wants a number for IPv6, 1 to 128. keepalived leaves it out.
[[service]]
name = "[2001:db8::1]:80"
address = "[2001:db8::1]:80"
scheduler = "rr"

[[service.server]]
address = "[fd00::11]:80"

# line 25: `persistence_engine` is left out: it is of UDP, not of tcp. The kernel's engine reads
# SIP from UDP only, and takes no packet of any other.
[[service]]
name = "10.0.0.4:80"
address = "10.0.0.4:80"
scheduler = "rr"
persistence = "1m"

[[service.server]]
address = "192.168.1.11:80"

# line 32: `persistence_engine` is left out: the service is not persistent. Add
# `persistence_timeout`, where it is meant to be.
[[service]]
name = "10.0.0.5:80/udp"
address = "10.0.0.5:80"
protocol = "udp"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:29 error", "10:29 warning", "17:29 error", "25:24 warning", "32:24 warning"],
    );
}
