//! Checkers other than of TCP and the web.

use super::exact;

/// HELO has keepalived's name where none is given.
#[test]
fn smtp() {
    exact(
        "virtual_server 10.0.0.1 25 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 25 {
        SMTP_CHECK {
            connect_timeout 4
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:25"
address = "10.0.0.1:25"
scheduler = "rr"
# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
check = { type = "smtp", helo = "smtpchecker.keepalived.org", timeout = "4s" }

[[service.server]]
address = "192.168.1.11:25"
"#,
        &["6:9 warning"],
    );
}

/// Each host is a checker; the outer connection is one more where it says anything.
#[test]
fn smtp_hosts() {
    exact(
        "virtual_server 10.0.0.1 25 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 25 {
        SMTP_CHECK {
            helo_name lb.example
            connect_timeout 6
            retry 2
            host {
                connect_ip 192.168.2.1
                connect_port 2525
                connect_timeout 3
            }
            host {
                bindto 192.168.1.1
            }
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:25"
address = "10.0.0.1:25"
scheduler = "rr"
# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
checks = [
    { type = "smtp", helo = "lb.example", timeout = "6s", fall = 3 },
    { type = "smtp", helo = "lb.example", address = "192.168.2.1", port = 2525, timeout = "3s", fall = 3 },
    { type = "smtp", helo = "lb.example", source = "192.168.1.1", fall = 3 },
]

[[service.server]]
address = "192.168.1.11:25"
"#,
        &["6:9 warning", "10:13 note"],
    );
}

/// SOA of the root, three retries, as far apart as probes.
#[test]
fn dns() {
    exact(
        "virtual_server 10.0.0.1 53 {
    lvs_sched rr
    delay_loop 10
    protocol UDP
    real_server 192.168.1.11 53 {
        DNS_CHECK {
            type txt
            name example.org
            name second.example.org
        }
        DNS_CHECK {
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:53/udp"
address = "10.0.0.1:53"
protocol = "udp"
scheduler = "rr"
# line 9: `name` is void: line 8 says it, too. keepalived takes the first one, and so does this.
checks = [
    { type = "dns", query = "example.org", record = "TXT", fall = 4, retry_interval = "10s" },
    { type = "dns", record = "SOA", fall = 4, retry_interval = "10s" },
]

[[service.server]]
address = "192.168.1.11:53"
"#,
        &["9:13 warning"],
    );
}

/// Bytes in hexadecimal, with a mask.
#[test]
fn udp() {
    exact(
        "virtual_server 10.0.0.1 53 {
    lvs_sched rr
    delay_loop 10
    protocol UDP
    real_server 192.168.1.11 53 {
        UDP_CHECK {
            payload 0a 1
            require_reply 4x ff
            max_reply_length 99
        }
        UDP_CHECK {
            payload 00
            min_reply_length 2
        }
        UDP_CHECK {
            payload 01
            require_reply
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:53/udp"
address = "10.0.0.1:53"
protocol = "udp"
scheduler = "rr"
checks = [
    { type = "udp", payload = "0a01", require_reply = true, reply = "40ff/f0ff", reply_max = 99 },
    { type = "udp", payload = "00" },
    { type = "udp", payload = "01", require_reply = true, reply_max = 65507 },
]

[[service.server]]
address = "192.168.1.11:53"
"#,
        &["11:9 note"],
    );
}

/// keepalived sends random bytes.
#[test]
fn udp_without_payload() {
    exact(
        "virtual_server 10.0.0.1 53 {
    lvs_sched rr
    delay_loop 10
    protocol UDP
    real_server 192.168.1.11 53 {
        UDP_CHECK {
            connect_timeout 3
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:53/udp"
address = "10.0.0.1:53"
protocol = "udp"
scheduler = "rr"
# line 6: UDP_CHECK without `payload`: vipd sends an empty datagram, keepalived random bytes. Give
# a payload that the server answers.
check = { type = "udp", timeout = "3s" }

[[service.server]]
address = "192.168.1.11:53"
"#,
        &["6:9 warning"],
    );
}

/// No retry; as long as the service's delay_loop; the exit code as a weight.
#[test]
fn script() {
    exact(
        r#"virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        MISC_CHECK {
            misc_path "/etc/check.sh 192.168.1.11 'a b'"
            misc_dynamic
            user nobody nogroup
        }
        MISC_CHECK {
            misc_path /etc/other.sh
            misc_timeout 4
            retry 2
            delay_loop 30
        }
    }
}
"#,
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.checks]]
type = "script"
command = ["/etc/check.sh", "192.168.1.11", "a b"]
user = "nobody:nogroup"
dynamic = true
timeout = "10s"
fall = 1

[[service.checks]]
type = "script"
command = "/etc/other.sh"
interval = "30s"
timeout = "4s"
fall = 3

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// No port.
#[test]
fn ping() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        PING_CHECK {
            connect_timeout 1
            connect_port 99
            bindto 192.168.1.1
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
check = { type = "ping", source = "192.168.1.1", timeout = "1s" }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["8:13 note"],
    );
}

/// The file's own weight, or another.
#[test]
fn file() {
    exact(
        "track_file load {
    file /run/load
    weight 2
}
virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        FILE_CHECK {
            track_file load
        }
        FILE_CHECK {
            track_file load
            weight -3 reverse
        }
    }
}
",
        r#"[[track]]
name = "load"
type = "file"
path = "/run/load"
weight = 2

[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
checks = [{ type = "file", track = "load" }, { type = "file", track = "load", weight = -3, reverse = true }]

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["7:5 note"],
    );
}

/// Told, and left out as keepalived does.
#[test]
fn file_that_cannot_be() {
    exact(
        "track_file load {
    file /run/load
}
virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        FILE_CHECK {
            track_file none
        }
        FILE_CHECK {
            weight 3
        }
        FILE_CHECK {
            track_file load
            weight 3 dynamic
        }
    }
}
",
        r#"[[track]]
name = "load"
type = "file"
path = "/run/load"

[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
# line 17: `weight`: "dynamic" is none of its words. keepalived leaves it out.
check = { type = "file", track = "load" }

# line 10: no track_file is called "none". keepalived leaves the FILE_CHECK out.
# line 12: FILE_CHECK without a track_file. keepalived leaves it out.
[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:5 note", "10:24 error", "12:9 error", "17:13 error"],
    );
}

/// vipd speaks no BFD.
#[test]
fn bfd() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        BFD_CHECK {
            name peer
        }
        TCP_CHECK {
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
check = { type = "tcp" }

# line 6: `BFD_CHECK` has no counterpart. vipd speaks no BFD; a PING_CHECK with a short delay_loop
# notices a dead host, too.
[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 error"],
    );
}
