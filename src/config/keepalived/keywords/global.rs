//! Keywords of the root and `global_defs`, but for those of LVS.

use super::{Context, Keyword, Status};
use Context as C;

const fn ignored(name: &'static str, context: Context, why: &'static str) -> Keyword {
    Keyword::other(name, context, Status::Ignored(why))
}

const fn unsupported(name: &'static str, context: Context, why: &'static str) -> Keyword {
    Keyword::other(name, context, Status::Unsupported(why))
}

const NAMESPACE: &str = "Start vipd in the namespace: ip netns exec NAME vipd run.";
const LINKBEAT: &str = "vipd is told of every link by the kernel, and polls none.";
const NO_PID_FILES: &str = "vipd runs in the foreground and writes no pid files.";
const PROCESS_NAMES: &str = "vipd is one process, and called vipd.";
const NICE: &str = "Let the service manager set it, or use `priority` in [realtime].";
const AFFINITY: &str = "Let the service manager set it, or use taskset.";
const RTTIME: &str = "vipd gives the processor back by itself.";
const NO_BFD: &str = "vipd has no BFD.";
const NO_SNMP: &str = "vipd has no SNMP agent: `vipd status --json` and `--metrics` tell the same.";
const NO_SNMP_AT_ALL: &str = "vipd has no SNMP agent.";
const NO_DBUS: &str = "vipd is not on D-Bus: use `vipd status --json`, `vipd events` or a FIFO in [notify].";
const NO_DBUS_AT_ALL: &str = "vipd is not on D-Bus.";
const NO_FILTER: &str = "vipd sets no packet filter rules.";
const BUFFERS: &str = "vipd sizes its buffers itself, and asks the kernel again where a message was lost.";
const TIMED_RELOAD: &str = "Let cron run `vipd reload` at that time.";
const DUMPS: &str = "`vipd status`, `--json` and `--metrics` tell it without a file.";
const RELOADS: &str = "`vipd reload` reads the file once, and a file with an error changes nothing.";
const ON_TIME: &str = "vipd's loop waits for nobody; `priority` in [realtime] puts it before other programs.";

/// In the order of the reference's manual.
pub(super) const KEYWORDS: &[Keyword] = &[
    Keyword::block("global_defs", C::ROOT, 0, 0),
    ignored("linkbeat_use_polling", C::ROOT.or(C::INSTANCE), LINKBEAT),
    unsupported("net_namespace", C::ROOT, NAMESPACE),
    unsupported("net_namespace_ipvs", C::ROOT, NAMESPACE),
    ignored("namespace_with_ipsets", C::ROOT, NO_FILTER),
    ignored("use_pid_dir", C::ROOT, NO_PID_FILES),
    ignored("instance", C::ROOT, NO_PID_FILES),
    ignored("child_wait_time", C::ROOT, "vipd ends when it has resigned and its last scripts have ended."),
    ignored("process_names", C::GLOBAL, PROCESS_NAMES),
    ignored("process_name", C::GLOBAL, PROCESS_NAMES),
    ignored("vrrp_process_name", C::GLOBAL, PROCESS_NAMES),
    ignored("bfd_process_name", C::GLOBAL, PROCESS_NAMES),
    ignored("use_symlink_paths", C::GLOBAL, "vipd runs scripts by the paths that are written."),
    unsupported("set_supplementary_groups", C::GLOBAL, "vipd's scripts run with one group, that of `group`."),
    Keyword::line("router_id", C::GLOBAL, 1, 1),
    Keyword::other("lvs_id", C::GLOBAL, Status::Alias("router_id")),
    Keyword::line("notification_email_from", C::GLOBAL, 1, 1),
    Keyword::line("smtp_server", C::GLOBAL, 1, 2),
    Keyword::line("smtp_helo_name", C::GLOBAL, 1, 1),
    Keyword::line("smtp_connect_timeout", C::GLOBAL, 1, 1),
    Keyword::block("notification_email", C::GLOBAL, 0, 0),
    Keyword::line("smtp_alert", C::GLOBAL, 0, 1),
    Keyword::line("startup_script", C::GLOBAL, 1, u8::MAX),
    Keyword::line("startup_script_timeout", C::GLOBAL, 1, 1),
    Keyword::line("shutdown_script", C::GLOBAL, 1, u8::MAX),
    Keyword::line("shutdown_script_timeout", C::GLOBAL, 1, 1),
    ignored("max_auto_priority", C::GLOBAL, ON_TIME),
    ignored("min_auto_priority_delay", C::GLOBAL, ON_TIME),
    Keyword::line("smtp_alert_vrrp", C::GLOBAL, 0, 1),
    ignored("dynamic_interfaces", C::GLOBAL, "To vipd interfaces may always come and go."),
    unsupported("no_email_faults", C::GLOBAL, "vipd tells of Fault, too, where it tells of an instance."),
    Keyword::line("default_interface", C::GLOBAL, 1, 1),
    unsupported(
        "disable_local_igmp",
        C::GLOBAL,
        "Set net.ipv4.igmp_link_local_mcast_reports = 0 at boot, where that is wanted.",
    ),
    Keyword::line("v3_checksum_as_v2", C::GLOBAL, 0, 1),
    Keyword::line("vrrp_mcast_group4", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_mcast_group6", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_master_delay", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_master_repeat", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_master_refresh", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_master_refresh_repeat", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_lower_prio_delay", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_lower_prio_repeat", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_down_timer_adverts", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_garp_interval", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_gna_interval", C::GLOBAL, 1, 1),
    Keyword::line("vrrp_min_garp", C::GLOBAL, 0, 1),
    unsupported("vrrp_garp_extra_if", C::GLOBAL, super::vrrp::EXTRA_GARP),
    Keyword::other("vrrp_vmac_garp_intvl", C::GLOBAL, Status::Alias("vrrp_garp_extra_if")),
    Keyword::line("vrrp_lower_prio_no_advert", C::GLOBAL, 0, 1),
    Keyword::line("vrrp_higher_prio_send_advert", C::GLOBAL, 0, 1),
    Keyword::line("vrrp_version", C::GLOBAL, 1, 1),
    ignored("vrrp_iptables", C::GLOBAL, NO_FILTER),
    ignored("vrrp_ipsets", C::GLOBAL, NO_FILTER),
    ignored("nftables", C::GLOBAL, NO_FILTER),
    ignored("nftables_priority", C::GLOBAL, NO_FILTER),
    ignored("nftables_ifindex", C::GLOBAL, NO_FILTER),
    ignored("nftables_counters", C::GLOBAL, NO_FILTER),
    Keyword::line("vrrp_check_unicast_src", C::GLOBAL, 0, 1),
    ignored("vrrp_skip_check_adv_addr", C::GLOBAL, super::vrrp::SKIP_CHECK),
    Keyword::line("vrrp_strict", C::GLOBAL, 0, 1),
    unsupported("vrrp_priority", C::GLOBAL, NICE),
    Keyword::line("vrrp_no_swap", C::GLOBAL, 0, 0),
    Keyword::line("vrrp_rt_priority", C::GLOBAL, 1, 1),
    unsupported("vrrp_cpu_affinity", C::GLOBAL, AFFINITY),
    ignored("vrrp_rlimit_rttime", C::GLOBAL, RTTIME),
    ignored("vrrp_rlimit_rtime", C::GLOBAL, RTTIME),
    Keyword::line("notify_fifo", C::GLOBAL, 1, 3),
    Keyword::line("notify_fifo_script", C::GLOBAL, 1, u8::MAX),
    Keyword::line("vrrp_notify_fifo", C::GLOBAL, 1, 3),
    Keyword::line("vrrp_notify_fifo_script", C::GLOBAL, 1, u8::MAX),
    Keyword::line("vrrp_notify_priority_changes", C::GLOBAL, 0, 1),
    unsupported(
        "fifo_write_vrrp_states_on_reload",
        C::GLOBAL,
        "vipd writes changes only: let the reader ask `vipd status --json` after a reload.",
    ),
    ignored("bfd_priority", C::GLOBAL, NO_BFD),
    ignored("bfd_no_swap", C::GLOBAL, NO_BFD),
    ignored("bfd_rt_priority", C::GLOBAL, NO_BFD),
    ignored("bfd_cpu_affinity", C::GLOBAL, NO_BFD),
    ignored("bfd_rlimit_rttime", C::GLOBAL, NO_BFD),
    ignored("bfd_rlimit_rtime", C::GLOBAL, NO_BFD),
    ignored("snmp_socket", C::GLOBAL, NO_SNMP_AT_ALL),
    ignored("enable_traps", C::GLOBAL, NO_SNMP_AT_ALL),
    unsupported("enable_snmp_vrrp", C::GLOBAL, NO_SNMP),
    Keyword::other("enable_snmp_keepalived", C::GLOBAL, Status::Alias("enable_snmp_vrrp")),
    unsupported("enable_snmp_checker", C::GLOBAL, NO_SNMP),
    unsupported("enable_snmp_rfc", C::GLOBAL, NO_SNMP),
    unsupported("enable_snmp_rfcv2", C::GLOBAL, NO_SNMP),
    unsupported("enable_snmp_rfcv3", C::GLOBAL, NO_SNMP),
    unsupported("enable_dbus", C::GLOBAL, NO_DBUS),
    ignored("dbus_service_name", C::GLOBAL, NO_DBUS_AT_ALL),
    ignored("dbus_no_interface_name", C::GLOBAL, NO_DBUS_AT_ALL),
    Keyword::line("script_user", C::GLOBAL, 1, 2),
    Keyword::line("enable_script_security", C::GLOBAL, 0, 0),
    ignored("vrrp_netlink_cmd_rcv_bufs", C::GLOBAL, BUFFERS),
    ignored("vrrp_netlink_cmd_rcv_bufs_force", C::GLOBAL, BUFFERS),
    ignored("vrrp_netlink_monitor_rcv_bufs", C::GLOBAL, BUFFERS),
    ignored("vrrp_netlink_monitor_rcv_bufs_force", C::GLOBAL, BUFFERS),
    ignored("process_monitor_rcv_bufs", C::GLOBAL, BUFFERS),
    ignored("process_monitor_rcv_bufs_force", C::GLOBAL, BUFFERS),
    ignored("vrrp_rx_bufs_policy", C::GLOBAL, BUFFERS),
    ignored("vrrp_rx_bufs_multiplier", C::GLOBAL, BUFFERS),
    Keyword::line("vrrp_startup_delay", C::GLOBAL, 1, 1),
    unsupported(
        "vrrp_delay_after_boot",
        C::GLOBAL,
        "vipd does not ask when the box was booted: `start_delay` of [[vrrp]] counts from its own start.",
    ),
    ignored("log_unknown_vrids", C::GLOBAL, "`vipd status` shows the virtual routers of others."),
    unsupported("vrrp_owner_ignore_adverts", C::GLOBAL, super::vrrp::OWNER),
    Keyword::line("vmac_prefix", C::GLOBAL, 1, 1),
    unsupported("vmac_addr_prefix", C::GLOBAL, super::vrrp::VMAC_ADDR),
    ignored("umask", C::GLOBAL, "vipd writes no files but its sockets and FIFOs, whose rights it sets."),
    ignored("random_seed", C::GLOBAL, "vipd seeds its random numbers itself."),
    ignored("reload_check_config", C::GLOBAL, RELOADS),
    unsupported("reload_time_file", C::GLOBAL, TIMED_RELOAD),
    unsupported("reload_repeat", C::GLOBAL, TIMED_RELOAD),
    ignored("reload_file", C::GLOBAL, RELOADS),
    ignored("include_check", C::GLOBAL, "What could not be included is told anyway."),
    ignored("config_save_dir", C::GLOBAL, RELOADS),
    ignored("tmp_config_directory", C::GLOBAL, RELOADS),
    ignored("data_use_instance", C::GLOBAL, DUMPS),
    ignored("json_version", C::GLOBAL, DUMPS),
    ignored("state_dump_file", C::GLOBAL, DUMPS),
    ignored("stats_dump_file", C::GLOBAL, DUMPS),
    ignored("json_dump_file", C::GLOBAL, DUMPS),
    ignored("iproute_usr_dir", C::GLOBAL, "vipd's tables are numbers, and read from no file."),
    ignored("iproute_etc_dir", C::GLOBAL, "vipd's tables are numbers, and read from no file."),
];
