//! What a key that we do not know was probably meant to be.

/// Tables and their keys. A test in `mod.rs` holds it against what the readers ask for.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("the file", &["global", "mail", "vrrp", "service", "ipvs"]),
    ("[global]", &["router_name", "multicast_group4"]),
    ("[mail]", &["server", "from", "to", "timeout", "helo"]),
    (
        "[[vrrp]]",
        &[
            "name",
            "interface",
            "vrid",
            "version",
            "priority",
            "advert_interval",
            "preempt",
            "auth_pass",
            "multicast_group4",
            "addresses",
            "checksum",
            "garp",
            "lease",
        ],
    ),
    ("garp", &["delay", "repeat", "refresh"]),
    (
        "[[service]]",
        &[
            "name",
            "address",
            "protocol",
            "scheduler",
            "forward",
            "persistence",
            "sorry",
            "start_up",
            "check",
            "server",
        ],
    ),
    ("[[service.server]]", &["address", "weight", "forward", "check"]),
    ("persistence", &["timeout", "prefix"]),
    ("sorry", &["address", "forward"]),
    (
        "check",
        &[
            "type",
            "interval",
            "timeout",
            "retry_interval",
            "rise",
            "fall",
            "path",
            "virtual_host",
            "status",
            "digest",
        ],
    ),
    ("[ipvs]", &["keep", "watch_interval"]),
];

/// Keys that belong to later releases, ours and keepalived's words for them.
const LATER: &[&str] = &[
    "accept",
    "auth_hmac",
    "bind_if",
    "bind_port",
    "bindto",
    "checks",
    "connect_ip",
    "connect_port",
    "enable_script_security",
    "excluded_addresses",
    "fwmark",
    "garp_lower_prio_delay",
    "garp_lower_prio_repeat",
    "group",
    "hysteresis",
    "inhibit_on_failure",
    "limits",
    "lthreshold",
    "lvs_sync_daemon",
    "lvs_timeouts",
    "mcast_src_ip",
    "misc_path",
    "no_accept",
    "notify",
    "notify_backup",
    "notify_down",
    "notify_fault",
    "notify_fifo",
    "notify_master",
    "notify_stop",
    "notify_up",
    "ops",
    "persistence_engine",
    "preempt_delay",
    "quorum",
    "quorum_down",
    "quorum_up",
    "routes",
    "rules",
    "script_user",
    "server_group",
    "smtp_alert",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "sync",
    "sync_group",
    "timeouts",
    "track",
    "track_file",
    "track_interface",
    "track_process",
    "track_script",
    "unicast_peer",
    "unicast_peers",
    "unicast_source",
    "unicast_src_ip",
    "uthreshold",
    "use_vmac",
    "virtual_ipaddress_excluded",
    "virtual_mac",
    "virtual_routes",
    "virtual_rules",
    "virtual_server_group",
    "vrrp_script",
    "vrrp_sync_group",
];

/// What keepalived's users type, and what it is here.
const KEEPALIVED: &[(&str, &str)] = &[
    ("HTTP_GET", "`check = { type = \"http\", ... }`"),
    ("SSL_GET", "not in this release: HTTPS comes later"),
    ("TCP_CHECK", "`check = { type = \"tcp\" }`"),
    ("advert_int", "`advert_interval`, with a unit: \"1s\""),
    ("alpha", "`start_up = false` of the service"),
    ("auth_type", "not needed: `auth_pass` alone says PASS"),
    ("authentication", "`auth_pass`"),
    ("connect_timeout", "`timeout`, with a unit, in `check`"),
    ("delay_before_retry", "`retry_interval`, with a unit, in `check`"),
    ("delay_loop", "`interval`, with a unit, in `check`"),
    ("garp_master_delay", "`garp = { delay = \"5s\" }`"),
    ("garp_master_refresh", "`garp = { refresh = \"60s\" }`"),
    ("garp_master_repeat", "`garp = { repeat = 5 }`"),
    ("global_defs", "`[global]` and `[mail]`"),
    ("lb_algo", "`scheduler`"),
    ("lb_kind", "`forward`: nat, direct or tunnel"),
    ("lvs_method", "`forward`: nat, direct or tunnel"),
    ("lvs_sched", "`scheduler`"),
    ("mcast_dst_ip", "`multicast_group4`"),
    ("nb_get_retry", "`fall` in `check`: failures in a row until down, that is retries + 1"),
    ("nopreempt", "`preempt = false`"),
    ("notification_email", "`to` in `[mail]`"),
    ("notification_email_from", "`from` in `[mail]`"),
    ("persistence_granularity", "`persistence = { timeout = \"6m\", prefix = 24 }`"),
    ("persistence_timeout", "`persistence`, with a unit: \"360s\""),
    ("real_server", "`[[service.server]]`"),
    ("retry", "`fall` in `check`: failures in a row until down, that is retries + 1"),
    ("router_id", "`router_name` in `[global]`"),
    ("smtp_connect_timeout", "`timeout`, with a unit, in `[mail]`"),
    ("smtp_helo_name", "`helo` in `[mail]`"),
    ("smtp_server", "`server` in `[mail]`: \"127.0.0.1:25\""),
    ("sorry_server", "`sorry`: \"127.0.0.1:80\""),
    ("state", "not needed: the priorities decide who is Active"),
    ("status_code", "`status`: [200] or [\"200-299\"]"),
    ("url", "`path`, `status` and `digest` of `check`"),
    ("v3_checksum_as_v2", "`checksum = \"message-only\"`"),
    ("virtual_ipaddress", "`addresses`: [\"10.0.0.100/24\"]"),
    ("virtual_router_id", "`vrid`"),
    ("virtual_server", "`[[service]]`"),
    ("virtualhost", "`virtual_host`"),
    ("vrrp_instance", "`[[vrrp]]`"),
    ("vrrp_mcast_group4", "`multicast_group4` in `[global]`"),
    ("vrrp_version", "`version` of each `[[vrrp]]`"),
];

/// What is wrong with a key that is none of `known` in `table`, and what to do: (what, hint).
pub(super) fn unknown_key(key: &str, table: &str, known: &[&str]) -> (String, String) {
    let shown = shown(key);
    if LATER.contains(&key) {
        return (format!("`{shown}` is not in this release"), "Leave it out.".to_owned());
    }
    let what = format!("unknown key `{shown}` in {table}");
    if let Some((word, ours)) = KEEPALIVED.iter().find(|(word, _)| *word == key) {
        return (what, format!("keepalived's `{word}` is {ours}."));
    }
    let nested = format!(".{key}]]");
    if let Some((nested, _)) = KEYS.iter().find(|(other, _)| *other != table && other.ends_with(&nested)) {
        return (what, format!("Did you mean {nested}?"));
    }
    if let Some(near) = akin(key, known) {
        return (what, format!("Did you mean `{near}`?"));
    }
    let owner = KEYS.iter().find(|(other, keys)| *other != table && keys.contains(&key));
    if let Some((owner, _)) = owner.filter(|(other, _)| *other != "the file") {
        return (what, format!("`{shown}` belongs in {owner}."));
    }
    if let Some(near) = nearest(key, known) {
        return (what, format!("Did you mean `{near}`?"));
    }
    (what, format!("Keys here: {}.", known.join(", ")))
}

/// The one of `known` that is `word` but for one slip, its beginning, or one of its parts: `address` for
/// `addresses`, `interval` for `advert_interval`. Surer than [`nearest`].
fn akin<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let part =
        |key: &&&str| word.len() > 3 && (key.starts_with(word) || key.split('_').any(|part| part == word));
    let slip = nearest(word, known).filter(|near| distance(&folded(word), &folded(near)) <= 1);
    slip.or_else(|| known.iter().find(part).copied())
}

/// The one of `known` that a person who typed `word` probably meant.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    const LONGEST: usize = 40;
    let word = folded(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = match word.chars().count() {
        0..=4 => 1,
        5..=7 => 2,
        _ => 3,
    };
    known
        .iter()
        .map(|candidate| (distance(&word, &folded(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len().min(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A text of the user's as it may stand in a message: short, one line.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push_str("...");
    }
    out
}

/// `advert-interval`, `advertInterval` and `advert_interval` are the same slip of the same key.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, ca) in a.chars().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        let mut left = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let at = |list: &[usize], k: usize| list.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best = at(&above, j) + usize::from(ca != *cb);
            best = best.min(at(&above, j + 1) + 1).min(left + 1);
            let swapped = j > 0 && last == Some(*cb) && b.get(j - 1) == Some(&ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
            left = best;
        }
        before = core::mem::replace(&mut above, row);
        last = Some(ca);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("priority", "priority"), 0);
        assert_eq!(distance("priorty", "priority"), 1, "a letter left out");
        assert_eq!(distance("priroity", "priority"), 1, "two letters swapped are one slip");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn nearest_knows_slips_but_does_not_guess_wildly() {
        let known = ["priority", "preempt", "vrid", "rr", "lc"];
        assert_eq!(nearest("prioritiy", &known), Some("priority"));
        assert_eq!(nearest("Pre-Empt", &known), Some("preempt"));
        assert_eq!(nearest("vird", &known), Some("vrid"));
        assert_eq!(nearest("colour", &known), None, "a wild guess misleads more than it helps");
        assert_eq!(nearest("xy", &known), None, "two edits turn any two letters into `rr`");
    }

    #[test]
    fn our_keys_are_neither_keepalived_words_nor_later_ones() {
        for (table, keys) in KEYS {
            for key in *keys {
                assert!(!LATER.contains(key), "{table}: {key} would be called later though we read it");
                assert!(!KEEPALIVED.iter().any(|(word, _)| word == key), "{table}: {key}");
            }
        }
    }
}
