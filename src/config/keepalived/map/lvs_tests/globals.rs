//! LVS words of global_defs, and such as keepalived had once.

use super::exact;

/// What keepalived 0.6 knew, and old files still have; and what an instance calls otherwise than all of them.
#[test]
fn words_of_long_ago() {
    exact(
        "global_defs {
    lvs_id LVS_1
    garp_master_delay 3
}
virtual_server 10.0.0.1 80 {
    lb_algo wlc
    nat_mask 255.255.255.0
    protocol TCP
    real_server 10.0.1.1 80 {
    }
}
",
        r#"# line 3: `garp_master_delay` is no keyword of keepalived here. Did you mean
# `vrrp_garp_master_delay`? keepalived leaves the line out.
[global]
router_name = "LVS_1"

[[service]]
name = "10.0.0.1:80"
address = "10.0.0.1:80"

[[service.server]]
address = "10.0.1.1:80"
"#,
        &["2:5 note", "3:5 error", "6:5 note", "7:5 note"],
    );
}

/// All its words.
#[test]
fn sync_daemon() {
    exact(
        "global_defs {
    lvs_sync_daemon eth1 inst VI_1 id 9 maxlen 1400 port 8849 ttl 3 group 224.0.0.82
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        10.0.0.1/24
    }
}
",
        r#"[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 51
addresses = ["10.0.0.1/24"]

[ipvs.sync]
interface = "eth1"
instance = "VI_1"
id = 9
max_len = 1400
port = 8849
ttl = 3
group = "224.0.0.82"
"#,
        &[],
    );
}

/// IF INSTANCE ID.
#[test]
fn sync_daemon_as_it_was_once() {
    exact(
        "global_defs {
    lvs_sync_daemon eth1 VI_1 9
    lvs_sync_daemon eth2
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        10.0.0.1/24
    }
}
",
        r#"# line 3: `lvs_sync_daemon` is void: line 2 says it, too. keepalived takes the first one, and so
# does this.

[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 51
addresses = ["10.0.0.1/24"]

[ipvs.sync]
interface = "eth1"
instance = "VI_1"
id = 9
"#,
        &["2:31 note", "3:5 warning"],
    );
}

/// Seconds; 0 leaves the kernel's own.
#[test]
fn timeouts() {
    exact(
        "global_defs {
    lvs_timeouts tcp 900 tcpfin 120
    lvs_timeouts udp 0
}
",
        r#"[ipvs]
tcp_timeout = "15m"
tcp_fin_timeout = "2m"
"#,
        &["0:0 warning", "3:18 note"],
    );
}

/// vipd takes its own away, and nothing else.
#[test]
fn flushes() {
    exact(
        "global_defs {
    lvs_flush
    lvs_flush_on_stop VS
}
",
        "# line 2: `lvs_flush`: entries of others stay in the kernel's table. vipd takes away what an
# earlier run left and what is its own, and nothing of others; `ipvsadm -C` does that.
",
        &["0:0 warning", "2:5 warning", "3:5 note"],
    );
}

/// A pipe, with who reads it.
#[test]
fn fifo() {
    exact(
        r#"global_defs {
    lvs_notify_fifo /run/lvs.fifo
    lvs_notify_fifo_script "/etc/reader.sh a" root
}
"#,
        r#"[notify]
lvs_fifo = { path = "/run/lvs.fifo", script = { run = "/etc/reader.sh a", user = "root" } }
"#,
        &["0:0 warning"],
    );
}
