//! HTTP_GET and SSL_GET.

use super::exact;

/// Status codes add up; the version of HTTP is kept.
#[test]
fn http() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        HTTP_GET {
            url {
                path /a
                status_code 200-204 301
                status_code 404
            }
            http_protocol 1.1
            virtualhost www.example.org
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
[service.check]
type = "http"
path = "/a"
virtual_host = "www.example.org"
status = ["200-204", 301, 404]
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 warning"],
    );
}

/// MD5, of the bytes on the wire.
#[test]
fn http_digest() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        HTTP_GET {
            url {
                path /a
                digest 640205B7B0FC66C1EA91C463FAC6334D
                virtualhost a.example.org
            }
            http_protocol 1.0C
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
[service.check]
type = "http"
path = "/a"
virtual_host = "a.example.org"
digest = "640205B7B0FC66C1EA91C463FAC6334D"
version = "1.0C"
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 warning"],
    );
}

/// Each page has its own demands.
#[test]
fn http_urls() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        HTTP_GET {
            virtualhost www.example.org
            url {
                path /
            }
            url {
                path /shop # the second
                status_code 302
                virtualhost shop.example.org
            }
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# the second
# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
# line 6: each probe asks for all pages of a checker. keepalived asks for one of them at a time,
# each after delay_loop.
[service.check]
type = "http"
virtual_host = "www.example.org"
pages = [{ path = "/" }, { path = "/shop", virtual_host = "shop.example.org", status = [302] }]
version = "1.0"
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 warning", "6:9 warning"],
    );
}

/// PCRE2's options as flags; the last byte becomes the one behind it.
#[test]
fn http_regex() {
    exact(
        r#"virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        HTTP_GET {
            url {
                path /
                regex "^ok [0-9]+$"
                regex_options caseless multiline
                regex_min_offset 10
                regex_max_offset 99
                regex_stack 1 2
            }
            url {
                path /b
                regex error
                regex_no_match
            }
        }
    }
}
"#,
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
# line 6: each probe asks for all pages of a checker. keepalived asks for one of them at a time,
# each after delay_loop.
[service.check]
type = "http"
pages = [
    { path = "/", regex = { pattern = "(?im)^ok [0-9]+$", first = 10, last = 100 } },
    { path = "/b", regex = { pattern = "error", not = true } },
]
version = "1.0"
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 warning", "6:9 warning", "13:17 note"],
    );
}

/// Its words say nothing without it.
#[test]
fn http_regex_without() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        HTTP_GET {
            url {
                path /
                regex_options caseless
                regex_no_match
            }
            url {
                path /b
                regex b
                regex_min_offset 9
                regex_max_offset 3
            }
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"

# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
# line 6: each probe asks for all pages of a checker. keepalived asks for one of them at a time,
# each after delay_loop.
# line 14: `regex_min_offset` 9 is above `regex_max_offset` 3: both are left out. keepalived
# leaves them out, too.
[service.check]
type = "http"
pages = [{ path = "/" }, { path = "/b", regex = "b" }]
version = "1.0"
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 warning", "6:9 warning", "9:17 note", "10:17 note", "14:23 warning"],
    );
}

/// keepalived sends what is written; servers want a path.
#[test]
fn http_paths() {
    exact(
        "virtual_server 10.0.0.1 80 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 80 {
        HTTP_GET {
            url {
                path http://www.example.org/a
            }
            url {
                path b
            }
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"
scheduler = "rr"
# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
# line 6: each probe asks for all pages of a checker. keepalived asks for one of them at a time,
# each after delay_loop.
# line 8: `path` has a whole URL, read as "/a". keepalived sends it as it is written.
# line 11: `path` has no slash at its beginning, read as "/b". keepalived sends it as it is
# written.
check = { type = "http", pages = [{ path = "/a" }, { path = "/b" }], version = "1.0", retry_interval = "3s" }

[[service.server]]
address = "192.168.1.11:80"
"#,
        &["6:9 warning", "6:9 warning", "8:22 warning", "11:22 warning"],
    );
}

/// No name is sent, no certificate looked at, unless it is said.
#[test]
fn ssl() {
    exact(
        "SSL {
    certificate /etc/ssl/a.pem
    key /etc/ssl/a.key
    ca /etc/ssl/ca.pem
}
virtual_server 10.0.0.1 443 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 443 {
        SSL_GET {
            virtualhost www.example.org
            url {
                path /
            }
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:443"
address = "10.0.0.1:443"
scheduler = "rr"

# line 11: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its
# steps. A server that trickles its answer is found out, too.
[service.check]
type = "https"
path = "/"
virtual_host = "www.example.org"
version = "1.0"
sni = false
certificate = "/etc/ssl/a.pem"
key = "/etc/ssl/a.key"
retry_interval = "3s"

[[service.server]]
address = "192.168.1.11:443"
"#,
        &["4:5 note", "11:9 warning"],
    );
}

/// sni_name is a switch, too.
#[test]
fn sni() {
    exact(
        "virtual_server 10.0.0.1 443 {
    lvs_sched rr
    delay_loop 10
    protocol TCP
    real_server 192.168.1.11 443 {
        SSL_GET {
            enable_sni
            virtualhost www.example.org
            url {
                path /
            }
        }
        SSL_GET {
            sni_name tls.example.org
            virtualhost www.example.org
            url {
                path /
            }
        }
        SSL_GET {
            sni_name off.example.org
            enable_sni false
            virtualhost www.example.org
            url {
                path /
            }
        }
    }
}
",
        r#"[[service]]
name = "10.0.0.1:443"
address = "10.0.0.1:443"
scheduler = "rr"

# line 6: `timeout` is for the whole probe; keepalived gives connect_timeout to each of its steps.
# A server that trickles its answer is found out, too.
[[service.checks]]
type = "https"
path = "/"
virtual_host = "www.example.org"
version = "1.0"
retry_interval = "3s"

[[service.checks]]
type = "https"
path = "/"
virtual_host = "www.example.org"
version = "1.0"
sni = "tls.example.org"
retry_interval = "3s"

[[service.checks]]
type = "https"
path = "/"
virtual_host = "www.example.org"
version = "1.0"
sni = false
retry_interval = "3s"

# line 21: `sni_name` is left out: `enable_sni` below it turns it off. keepalived leaves it out,
# too.
[[service.server]]
address = "192.168.1.11:443"
"#,
        &["6:9 warning", "21:22 warning"],
    );
}
