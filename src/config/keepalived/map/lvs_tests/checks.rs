//! What checkers take from what stands around them, and where they stand.

use super::exact;

/// Where to, whence, how often.
#[test]
fn tcp() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
            connect_ip 192.168.2.1
            connect_port 8080
            bindto 192.168.1.1
            bind_port 4000
            bind_if eth1
            fwmark 9
            connect_timeout 2.5
            retry 4
            delay_before_retry 0.5
            warmup 3
            delay_loop 20
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[service.check]
type = "tcp"
address = "192.168.2.1"
port = 8080
source = "192.168.1.1"
source_port = 4000
interface = "eth1"
mark = 9
interval = "20s"
timeout = "2500ms"
fall = 5
retry_interval = "500ms"
warmup = "3s"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["3:5 note"],
    );
}

/// 60 s, 5 s, one retry after 1 s (trap 3).
#[test]
fn defaults() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
check = { type = "tcp", interval = "1m" }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &[],
    );
}

/// A checker takes what its server has, and the server what its service has.
#[test]
fn inheritance() {
    exact(
        "virtual_server 10.0.0.1 80 {
    delay_loop 7
    retry 5
    delay_before_retry 2
    connect_timeout 4
    warmup 1
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
        }
    }
    real_server 192.168.1.12 80 {
        delay_loop 8
        retry 6
        TCP_CHECK {
        }
        PING_CHECK {
            retry 0
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"
check = { type = "tcp", interval = "7s", timeout = "4s", fall = 6, retry_interval = "2s", warmup = "1s" }

[[service.server]]
address = "192.168.1.12:80"
checks = [
    { type = "tcp", interval = "8s", timeout = "4s", fall = 7, retry_interval = "2s", warmup = "1s" },
    { type = "ping", interval = "8s", timeout = "4s", fall = 1, warmup = "1s" },
]
"#,
        &[],
    );
}

/// What every checker says for itself.
#[test]
fn of_no_use() {
    exact(
        "virtual_server 10.0.0.1 80 {
    delay_loop 7
    virtualhost www.example.org
    connect_timeout 9
    lvs_sched rr
    protocol TCP
    real_server 192.168.1.11 80 {
        retry 3
        HTTP_GET {
            virtualhost own.example.org
            url {
                path /
            }
            connect_timeout 3
            retry 0
            delay_before_retry 3
        }
    }
    real_server 192.168.1.12 80 {
        MISC_CHECK {
            misc_path /etc/check
            delay_before_retry 3
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

[[service.server]]
address = "192.168.1.11:80"

# line 9: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
[service.server.check]
type = "http"
path = "/"
virtual_host = "own.example.org"
version = "1.0"
interval = "7s"
timeout = "3s"
fall = 1

[[service.server]]
address = "192.168.1.12:80"
check = { type = "script", command = "/etc/check", interval = "7s", timeout = "7s", fall = 1 }
"#,
        &["3:5 note", "4:5 note", "8:9 note", "9:9 warning", "16:13 note", "22:13 note"],
    );
}

/// Down until the first success, one checker for its server.
#[test]
fn alpha() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
            alpha
        }
    }
    real_server 192.168.1.12 80 {
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

[[service.server]]
address = "192.168.1.11:80"
start_up = false

[[service.server]]
address = "192.168.1.12:80"
"#,
        &[],
    );
}

/// What most have stands at the service, with what is said of it there; the rest stays where it is.
#[test]
fn hoisted() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 6 # often enough
    protocol TCP
    real_server 192.168.1.11 80 {
        # the first
        HTTP_GET { # by HTTP
            url {
                path / # the shop
            }
            connect_timeout 3 # patient
            retry 2
        }
    }
    real_server 192.168.1.12 80 {
        HTTP_GET { # by HTTP
            url {
                path / # the shop's other half
            }
            connect_timeout 3
            retry 2
        }
    }
    real_server 192.168.1.13 80 {
        # no check at all
    }
    real_server 192.168.1.14 80 {
        TCP_CHECK {
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# the first
# by HTTP
# line 7: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
[service.check]
type = "http"
# the shop
path = "/"
version = "1.0"
# often enough
interval = "6s"
# patient
timeout = "3s"
fall = 3
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:80"

# the shop's other half
[[service.server]]
address = "192.168.1.12:80"

# no check at all
[[service.server]]
address = "192.168.1.13:80"
check = false

[[service.server]]
address = "192.168.1.14:80"
check = { type = "tcp", interval = "6s" }
"#,
        &["7:9 warning"],
    );
}

/// Once is enough.
#[test]
fn twice() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        TCP_CHECK {
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

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["8:9 note"],
    );
}

/// A server behind any port, whose check has one.
#[test]
fn port_of_its_own() {
    exact(
        "virtual_server fwmark 5 {
    lvs_sched rr
    delay_loop 10
    real_server 192.168.1.11 {
        TCP_CHECK {
            connect_port 80
        }
    }
}
",
        r#"[[service]]
name = "fwmark-5"
fwmark = 5
scheduler = "rr"
check = { type = "tcp", port = 80 }

[[service.server]]
address = "192.168.1.11"
"#,
        &[],
    );
}
