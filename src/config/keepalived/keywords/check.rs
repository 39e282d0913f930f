//! Keywords of LVS: virtual servers, their groups, real servers and checkers.

use super::Status::{Alias, Ignored, Unsupported};
use super::{Context, Keyword};

/// Checkers that keepalived starts at times of their own.
const LAUNCHED: Context = NETWORK.or(Context::MISC_CHECK);
/// Checkers that send something.
const NETWORK: Context = NOT_HTTP.or(Context::HTTP_GET);
const NOT_HTTP: Context = Context::TCP_CHECK
    .or(Context::SMTP_CHECK)
    .or(Context::DNS_CHECK)
    .or(Context::UDP_CHECK)
    .or(Context::PING_CHECK);
/// They, and the hosts of an SMTP_CHECK.
const DIALLED: Context = NETWORK.or(Context::SMTP_HOST);
const SERVERS: Context = Context::VIRTUAL_SERVER.or(Context::REAL_SERVER);

const NO_SNMP: &str = "vipd has no SNMP; `vipd status --metrics` prints the same numbers.";
const NO_PROCESS: &str = "vipd has no process for checkers of which this could be said.";
const NO_RANK: &str = "vipd is one process; `priority` in [realtime] gives it a place before others.";
const OWN_BUFFERS: &str = "vipd reads the kernel's state again after an overrun: no buffer need be sized.";
const NO_NFTABLES: &str =
    "keepalived marks packets by nftables rules of its own; vipd has one IPVS service per address instead.";
const NO_BFD: &str = "vipd speaks no BFD; a PING_CHECK with a short delay_loop notices a dead host, too.";

/// In the order of the reference's manual.
pub(super) const KEYWORDS: &[Keyword] = &[
    // The outermost level.
    Keyword::block("virtual_server_group", Context::ROOT, 1, 1),
    Keyword::block("virtual_server", Context::ROOT, 1, 2),
    Keyword::block("SSL", Context::ROOT, 0, 0),
    // global_defs
    Keyword::line("lvs_timeouts", Context::GLOBAL, 2, 6),
    Keyword::line("lvs_flush", Context::GLOBAL, 0, 0),
    Keyword::line("lvs_flush_on_stop", Context::GLOBAL, 0, 1),
    Keyword::other("lvs_flush_onstop", Context::GLOBAL, Alias("lvs_flush_on_stop")),
    Keyword::line("lvs_sync_daemon", Context::GLOBAL, 1, 14),
    Keyword::line("lvs_notify_fifo", Context::GLOBAL, 1, 3),
    Keyword::line("lvs_notify_fifo_script", Context::GLOBAL, 1, u8::MAX),
    Keyword::line("smtp_alert_checker", Context::GLOBAL, 0, 1),
    Keyword::other(
        "no_checker_emails",
        Context::GLOBAL,
        Ignored("vipd mails when a server goes up or down, never about a single check."),
    ),
    Keyword::other(
        "checker_log_all_failures",
        Context::GLOBAL,
        Ignored("`vipd status` shows the last failure of each check and how many there were."),
    ),
    Keyword::other(
        "rs_init_notifies",
        Context::GLOBAL,
        Unsupported("vipd runs `up` when a server comes up, not for those that are up from the start."),
    ),
    Keyword::other("checker_process_name", Context::GLOBAL, Ignored(NO_PROCESS)),
    Keyword::other("lvs_process_name", Context::GLOBAL, Ignored(NO_PROCESS)),
    Keyword::other("checker_priority", Context::GLOBAL, Ignored(NO_RANK)),
    Keyword::other("checker_rt_priority", Context::GLOBAL, Ignored(NO_RANK)),
    Keyword::other("checker_no_swap", Context::GLOBAL, Ignored(LOCKS)),
    Keyword::other("checker_cpu_affinity", Context::GLOBAL, Ignored("Start vipd by taskset for that.")),
    Keyword::other("checker_rlimit_rttime", Context::GLOBAL, Ignored(NO_LIMIT)),
    Keyword::other("checker_rlimit_rtime", Context::GLOBAL, Ignored(NO_LIMIT)),
    Keyword::other("nftables_ipvs", Context::GLOBAL, Ignored(NO_NFTABLES)),
    Keyword::other("nftables_ipvs_priority", Context::GLOBAL, Ignored(NO_NFTABLES)),
    Keyword::other("nftables_ipvs_start_fwmark", Context::GLOBAL, Ignored(NO_NFTABLES)),
    Keyword::other("lvs_netlink_cmd_rcv_bufs", Context::GLOBAL, Ignored(OWN_BUFFERS)),
    Keyword::other("lvs_netlink_cmd_rcv_bufs_force", Context::GLOBAL, Ignored(OWN_BUFFERS)),
    Keyword::other("lvs_netlink_monitor_rcv_bufs", Context::GLOBAL, Ignored(OWN_BUFFERS)),
    Keyword::other("lvs_netlink_monitor_rcv_bufs_force", Context::GLOBAL, Ignored(OWN_BUFFERS)),
    Keyword::other("snmp_vs_stats_update_interval", Context::GLOBAL, Ignored(NO_SNMP)),
    Keyword::other("snmp_rs_stats_update_interval", Context::GLOBAL, Ignored(NO_SNMP)),
    // virtual_server
    Keyword::line("ip_family", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::other("lb_algo", Context::VIRTUAL_SERVER, Alias("lvs_sched")),
    Keyword::line("lvs_sched", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::other("hashed", Context::VIRTUAL_SERVER, Ignored("The kernel sets this flag by itself.")),
    Keyword::line("flag-1", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("flag-2", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("flag-3", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("sh-port", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("sh-fallback", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("mh-port", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("mh-fallback", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("ops", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::other("lb_kind", Context::VIRTUAL_SERVER, Alias("lvs_method")),
    Keyword::line("lvs_method", SERVERS, 1, 6),
    Keyword::line("persistence_engine", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::line("persistence_timeout", Context::VIRTUAL_SERVER, 0, 1),
    Keyword::line("persistence_granularity", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::other("nat_mask", Context::VIRTUAL_SERVER, Ignored("It was for Linux 2.2.")),
    Keyword::line("protocol", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::line("ha_suspend", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("snmp_name", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::line("omega", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("quorum", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::line("hysteresis", Context::VIRTUAL_SERVER, 1, 1),
    Keyword::line("quorum_up", Context::VIRTUAL_SERVER, 1, u8::MAX),
    Keyword::line("quorum_down", Context::VIRTUAL_SERVER, 1, u8::MAX),
    Keyword::line("sorry_server", Context::VIRTUAL_SERVER, 1, 2),
    Keyword::line("sorry_server_inhibit", Context::VIRTUAL_SERVER, 0, 0),
    Keyword::line("sorry_server_lvs_method", Context::VIRTUAL_SERVER, 1, 6),
    Keyword::block("real_server", Context::VIRTUAL_SERVER, 1, 2),
    // virtual_server and real_server
    Keyword::line("inhibit_on_failure", SERVERS, 0, 1),
    Keyword::line("smtp_alert", SERVERS, 0, 1),
    Keyword::line("weight", SERVERS, 1, 1),
    Keyword::line("virtualhost", SERVERS.or(Context::HTTP_GET).or(Context::URL), 1, 1),
    Keyword::line("connect_timeout", SERVERS.or(DIALLED), 1, 1),
    Keyword::line("delay_loop", SERVERS.or(LAUNCHED), 1, 1),
    Keyword::line("retry", SERVERS.or(LAUNCHED), 1, 1),
    Keyword::line("delay_before_retry", SERVERS.or(LAUNCHED), 1, 1),
    Keyword::line("warmup", SERVERS.or(LAUNCHED), 1, 1),
    Keyword::line("alpha", SERVERS.or(LAUNCHED), 0, 1),
    // real_server
    Keyword::line("notify_up", Context::REAL_SERVER, 1, u8::MAX),
    Keyword::line("notify_down", Context::REAL_SERVER, 1, u8::MAX),
    Keyword::line("uthreshold", Context::REAL_SERVER, 1, 1),
    Keyword::line("lthreshold", Context::REAL_SERVER, 1, 1),
    Keyword::other("snmp_name", Context::REAL_SERVER, Ignored(NO_SNMP)),
    Keyword::block("TCP_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::block("HTTP_GET", Context::REAL_SERVER, 0, 0),
    Keyword::block("SSL_GET", Context::REAL_SERVER, 0, 0),
    Keyword::block("SMTP_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::block("DNS_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::block("MISC_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::block("UDP_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::block("PING_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::block("FILE_CHECK", Context::REAL_SERVER, 0, 0),
    Keyword::other("BFD_CHECK", Context::REAL_SERVER, Unsupported(NO_BFD)),
    // Checkers
    Keyword::line("connect_ip", DIALLED, 1, 1),
    Keyword::line("connect_port", DIALLED, 1, 1),
    Keyword::line("bindto", DIALLED, 1, 1),
    Keyword::line("bind_port", DIALLED, 1, 1),
    Keyword::line("bind_if", DIALLED, 1, 1),
    Keyword::line("fwmark", DIALLED, 1, 1),
    Keyword::other(
        "log_all_failures",
        LAUNCHED,
        Ignored("`vipd status` shows the last failure of each check and how many there were."),
    ),
    Keyword::other("nb_get_retry", Context::HTTP_GET, Alias("retry")),
    // keepalived knows it in HTTP_GET only; what is meant elsewhere is beyond doubt.
    Keyword::line("nb_get_retry", NOT_HTTP.or(Context::MISC_CHECK).or(SERVERS), 1, 1),
    Keyword::line("http_protocol", Context::HTTP_GET, 1, 1),
    Keyword::line("enable_sni", Context::HTTP_GET, 0, 1),
    Keyword::line("sni_name", Context::HTTP_GET, 0, 1),
    Keyword::other(
        "fast_recovery",
        Context::HTTP_GET,
        Ignored("A probe of vipd asks for all pages at once, so there is nothing to speed up."),
    ),
    Keyword::other(
        "tls_compliant",
        Context::HTTP_GET.or(Context::URL),
        Unsupported("A page that came whole is good here, with or without the end that TLS asks for."),
    ),
    Keyword::block("url", Context::HTTP_GET, 0, 0),
    Keyword::line("path", Context::URL, 1, 1),
    Keyword::line("digest", Context::URL, 1, 1),
    Keyword::line("status_code", Context::URL, 1, u8::MAX),
    Keyword::line("regex", Context::URL, 1, u8::MAX),
    Keyword::line("regex_no_match", Context::URL, 0, 0),
    Keyword::line("regex_options", Context::URL, 1, u8::MAX),
    Keyword::line("regex_min_offset", Context::URL, 1, 1),
    Keyword::line("regex_max_offset", Context::URL, 1, 1),
    Keyword::other(
        "regex_stack",
        Context::URL,
        Ignored("A search here takes time and memory in line with the text, and no stack."),
    ),
    Keyword::line("helo_name", Context::SMTP_CHECK, 1, 1),
    Keyword::block("host", Context::SMTP_CHECK, 0, 0),
    Keyword::line("type", Context::DNS_CHECK, 1, 1),
    Keyword::line("name", Context::DNS_CHECK, 1, 1),
    Keyword::line("misc_path", Context::MISC_CHECK, 1, u8::MAX),
    Keyword::line("misc_timeout", Context::MISC_CHECK, 1, 1),
    Keyword::line("misc_dynamic", Context::MISC_CHECK, 0, 1),
    Keyword::line("user", Context::MISC_CHECK, 1, 2),
    Keyword::line("payload", Context::UDP_CHECK, 1, u8::MAX),
    Keyword::line("require_reply", Context::UDP_CHECK, 0, u8::MAX),
    Keyword::line("min_reply_length", Context::UDP_CHECK, 1, 1),
    Keyword::line("max_reply_length", Context::UDP_CHECK, 1, 1),
    Keyword::line("track_file", Context::FILE_CHECK, 1, 1),
    Keyword::line("weight", Context::FILE_CHECK, 1, 2),
    Keyword::other("name", Context::BFD_CHECK, Unsupported(NO_BFD)),
    Keyword::other("alpha", Context::BFD_CHECK, Unsupported(NO_BFD)),
    // SSL
    Keyword::other(
        "password",
        Context::SSL,
        Unsupported("vipd reads keys without a password: write one by `openssl pkey`, mode 0600."),
    ),
    Keyword::other(
        "ca",
        Context::SSL,
        Ignored("keepalived never verifies; `verify` of a check with this file does."),
    ),
    Keyword::line("certificate", Context::SSL, 1, 1),
    Keyword::line("key", Context::SSL, 1, 1),
];

const LOCKS: &str = "`lock_memory` in [realtime] does it for all of vipd.";
const NO_LIMIT: &str = "vipd sets no limit of its own processor time.";
