//! `global_defs`: what instances inherit, and `[global]`, `[notify]` and `[realtime]`.

use super::super::finding::{Findings, Kind};
use super::super::walk::Known;
use super::args::{self, SECOND};
use super::block::{self, Block};
use super::{command, mail, table};
use crate::config::document::{Document, Table, Value, span};
use core::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How and when addresses are announced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announce {
    /// Seconds until the second burst.
    pub(super) delay: u32,
    /// Frames of a burst.
    pub(super) repeat: u32,
    /// Seconds between later bursts; 0: none.
    pub(super) refresh: u32,
    /// Their frames.
    pub(super) refresh_repeat: u32,
    /// As `delay` after an advert of lower priority; as `delay` of all instances where not given.
    pub(super) lower_delay: Option<u32>,
    /// As `repeat` then.
    pub(super) lower_repeat: Option<u32>,
}

/// What instances and groups inherit.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    /// `vrrp_version`.
    pub(super) version: u32,
    /// `default_interface`.
    pub(super) interface: Option<String>,
    /// `vrrp_strict`.
    pub(super) strict: bool,
    /// `vrrp_check_unicast_src`.
    pub(super) check_source: bool,
    /// `v3_checksum_as_v2`.
    pub(super) checksum_as_v2: bool,
    /// `vrrp_garp_*`.
    pub(super) announce: Announce,
    /// `vrrp_down_timer_adverts`.
    pub(super) down_adverts: u32,
    /// `vrrp_lower_prio_no_advert`.
    pub(super) lower_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`.
    pub(super) higher_advert: bool,
    /// `vrrp_startup_delay`, in microseconds.
    pub(super) start_delay: u64,
    /// `vrrp_notify_priority_changes`.
    pub(super) priority_changes: bool,
    /// Mails of instances and groups that say nothing.
    pub(super) alert: bool,
    /// Is there anybody to write to?
    pub(super) has_mail: bool,
    /// `vmac_prefix`.
    pub(super) vmac_prefix: Option<String>,
    /// `vrrp_garp_interval` and `vrrp_gna_interval`, in microseconds.
    pub(super) gaps: [u64; 2],
    /// Nothing was said of notify scripts yet.
    pub(super) first_notify: Cell<bool>,
}

impl Announce {
    /// `vrrp_min_garp`: what a line above it has set stays.
    fn be_few(&mut self) {
        let usual = Defaults::default().announce;
        if self.delay == usual.delay {
            self.delay = 0;
        }
        if self.repeat == usual.repeat {
            self.repeat = 1;
        }
        // keepalived sets the repetitions of a refresh to 0, so that there is none.
        if self.refresh_repeat == usual.refresh_repeat {
            self.refresh = 0;
        }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults {
            version: 2,
            interface: None,
            strict: false,
            check_source: false,
            checksum_as_v2: false,
            announce: Announce {
                delay: 5,
                repeat: 5,
                refresh: 0,
                refresh_repeat: 1,
                lower_delay: None,
                lower_repeat: None,
            },
            down_adverts: 3,
            lower_no_advert: false,
            higher_advert: false,
            start_delay: 0,
            priority_changes: false,
            alert: false,
            has_mail: false,
            vmac_prefix: None,
            gaps: [0; 2],
            first_notify: Cell::new(true),
        }
    }
}

/// Reads what instances inherit, and writes what is global.
pub(super) fn map(globals: &[Known<'_>], document: &mut Document, findings: &mut Findings) -> Defaults {
    let mut defaults = Defaults::default();
    let mut alerts = [None; 2];
    for known in globals {
        inherited(*known, &mut defaults, &mut alerts, findings);
    }
    let [all, vrrp] = alerts;
    defaults.alert = vrrp.or(all).unwrap_or(false);
    defaults.has_mail = mail::map(globals, document, findings);
    for known in globals {
        own(*known, globals, document, findings);
    }
    comments(globals, document);
    defaults
}

/// One statement that instances inherit.
fn inherited(
    known: Known<'_>,
    defaults: &mut Defaults,
    alerts: &mut [Option<bool>; 2],
    findings: &mut Findings,
) {
    let announce = &mut defaults.announce;
    match known.name {
        "vrrp_version" => set(&mut defaults.version, args::count(known, 0, 2..=3, findings)),
        "default_interface" => {
            defaults.interface = known.statement.argument(0).map(|word| word.text.clone());
        }
        "vrrp_strict" => set(&mut defaults.strict, args::flag(known, findings)),
        "vrrp_check_unicast_src" => set(&mut defaults.check_source, args::flag(known, findings)),
        "v3_checksum_as_v2" => set(&mut defaults.checksum_as_v2, args::flag(known, findings)),
        "vrrp_garp_master_delay" => set(&mut announce.delay, seconds(known, findings)),
        "vrrp_garp_master_repeat" => set(&mut announce.repeat, repeat(known, findings)),
        "vrrp_garp_master_refresh" => set(&mut announce.refresh, seconds(known, findings)),
        "vrrp_garp_master_refresh_repeat" => set(&mut announce.refresh_repeat, repeat(known, findings)),
        "vrrp_garp_lower_prio_delay" => announce.lower_delay = seconds(known, findings),
        "vrrp_garp_lower_prio_repeat" => announce.lower_repeat = lower_repeat(known, findings),
        "vrrp_min_garp" if args::flag(known, findings) == Some(true) => announce.be_few(),
        "vrrp_min_garp" => {}
        "vrrp_garp_interval" => set(&mut defaults.gaps[0], gap(known, findings)),
        "vrrp_gna_interval" => set(&mut defaults.gaps[1], gap(known, findings)),
        "vrrp_down_timer_adverts" => {
            set(&mut defaults.down_adverts, args::count(known, 0, 1..=100, findings));
        }
        "vrrp_lower_prio_no_advert" => set(&mut defaults.lower_no_advert, args::flag(known, findings)),
        "vrrp_higher_prio_send_advert" => set(&mut defaults.higher_advert, args::flag(known, findings)),
        "vrrp_startup_delay" => {
            set(&mut defaults.start_delay, args::micros(known, 0, 0..=3600 * SECOND, findings));
        }
        "vrrp_notify_priority_changes" => {
            set(&mut defaults.priority_changes, args::flag(known, findings));
        }
        "vmac_prefix" => {
            defaults.vmac_prefix = known.statement.argument(0).map(|word| word.text.clone());
        }
        "smtp_alert" => alerts[0] = args::flag(known, findings),
        "smtp_alert_vrrp" => alerts[1] = args::flag(known, findings),
        _ => {}
    }
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

/// Whole seconds, up to an hour.
pub(super) fn seconds(known: Known<'_>, findings: &mut Findings) -> Option<u32> {
    let seconds = args::count(known, 0, 0..=i32::MAX.unsigned_abs(), findings)?;
    Some(clamped(known, seconds, 3600, findings))
}

/// Frames of a burst; 0 is 1.
pub(super) fn repeat(known: Known<'_>, findings: &mut Findings) -> Option<u32> {
    let count = args::count(known, 0, 0..=i32::MAX.unsigned_abs(), findings)?;
    if count == 0 {
        let what = format!("`{}` 0 is 1", known.name);
        findings.push(known.statement.place(), Kind::Changed, what, "keepalived does so, too.");
    }
    Some(clamped(known, count.max(1), 255, findings))
}

/// Frames of a burst after an advert of lower priority; 0 is none.
pub(super) fn lower_repeat(known: Known<'_>, findings: &mut Findings) -> Option<u32> {
    let count = args::count(known, 0, 0..=i32::MAX.unsigned_abs(), findings)?;
    Some(clamped(known, count, 255, findings))
}

/// Microseconds between two frames; 0: no limit. What is not a whole number of frames a second is told.
pub(super) fn gap(known: Known<'_>, findings: &mut Findings) -> Option<u64> {
    let gap = args::micros(known, 0, 0..=(1 << 20) * SECOND, findings)?;
    let rate = frames_a_second(gap);
    if gap > 0 && rate * gap != SECOND {
        let what = format!("`{}` becomes {rate} frames a second", known.name);
        findings.push(known.statement.place(), Kind::Changed, what, "vipd counts whole frames a second.");
    }
    Some(gap)
}

/// How many frames that lets through; 0: no limit.
pub(super) fn frames_a_second(gap: u64) -> u64 {
    SECOND.checked_div(gap).map_or(0, |rate| rate.clamp(1, 100_000))
}

fn clamped(known: Known<'_>, value: u32, most: u32, findings: &mut Findings) -> u32 {
    if value > most {
        let what = format!("`{}` {value} becomes {most}, vipd's most", known.name);
        findings.push(known.statement.place(), Kind::Changed, what, "");
    }
    value.min(most)
}

/// One statement of `[global]`, `[notify]` or `[realtime]`.
fn own(
    known: Known<'_>,
    globals: &[Known<'_>],
    document: &mut Document,
    findings: &mut Findings,
) -> Option<()> {
    let place = known.statement.place();
    let word = known.statement.argument(0);
    let another = |name: &str| globals.iter().rev().copied().find(|other| other.name == name);
    match known.name {
        "router_id" => table(document, "global", place).put("router_name", word?.text.as_str(), place),
        "vrrp_mcast_group4" => {
            let default = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
            group(known, "multicast_group4", default, document, findings);
        }
        "vrrp_mcast_group6" => {
            let default = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
            group(known, "multicast_group6", default, document, findings);
        }
        "script_user" => {
            let (user, group) = command::owner(known.statement.arguments())?;
            let text = group.map_or(user.clone(), |group| format!("{user}:{group}"));
            table(document, "global", place).put("script_user", text, place);
        }
        "enable_script_security" => {
            let hint = "See to it that nobody but root can write to the scripts and their directories.";
            let what = "vipd does not look at who may write to a script";
            findings.push(place, Kind::Changed, what, hint);
        }
        "startup_script" | "shutdown_script" => {
            let (key, timeout) = match known.name {
                "startup_script" => ("start_script", "startup_script_timeout"),
                _ => ("stop_script", "shutdown_script_timeout"),
            };
            let run = command::script(known, None, findings)?;
            let timeout = another(timeout).and_then(|known| args::count(known, 0, 1..=1000, findings));
            let value = match timeout.filter(|timeout| *timeout != 10) {
                Some(timeout) => {
                    let timeout = Value::from(span(u64::from(timeout) * SECOND));
                    Value::Keys(vec![("run", run), ("timeout", timeout)])
                }
                None => run,
            };
            table(document, "global", place).put(key, value, place);
        }
        "notify_fifo" | "vrrp_notify_fifo" => {
            let (key, script) = match known.name {
                "notify_fifo" => ("fifo", "notify_fifo_script"),
                _ => ("vrrp_fifo", "vrrp_notify_fifo_script"),
            };
            let value = command::fifo(known, another(script), findings)?;
            table(document, "notify", place).put(key, value, place);
        }
        "vrrp_rt_priority" => {
            let priority = args::count(known, 0, 0..=99, findings).filter(|priority| *priority > 0)?;
            table(document, "realtime", place).put("priority", priority, place);
        }
        "vrrp_no_swap" => table(document, "realtime", place).put("lock_memory", true, place),
        _ => {}
    }
    Some(())
}

fn group(
    known: Known<'_>,
    key: &'static str,
    default: IpAddr,
    document: &mut Document,
    findings: &mut Findings,
) -> Option<()> {
    let word = known.statement.argument(0)?;
    match word.text.parse::<IpAddr>() {
        Ok(group) if group.is_ipv6() == default.is_ipv6() && group.is_multicast() => {
            if group != default {
                table(document, "global", word.place).put(key, group.to_string(), word.place);
            }
        }
        _ => {
            let what = format!("`{}`: \"{}\" is no such group", known.name, word.text);
            findings.push(word.place, Kind::Invalid, what, "keepalived keeps its default.");
        }
    }
    Some(())
}

/// Comments go to the table that a statement became a part of, or to the head of the text.
fn comments(globals: &[Known<'_>], document: &mut Document) {
    const KEYS: [(&str, &str, &str); 12] = [
        ("router_id", "global", "router_name"),
        ("vrrp_mcast_group4", "global", "multicast_group4"),
        ("vrrp_mcast_group6", "global", "multicast_group6"),
        ("script_user", "global", "script_user"),
        ("startup_script", "global", "start_script"),
        ("shutdown_script", "global", "stop_script"),
        ("notification_email", "mail", "to"),
        ("notification_email_from", "mail", "from"),
        ("smtp_server", "mail", "server"),
        ("smtp_connect_timeout", "mail", "timeout"),
        ("smtp_helo_name", "mail", "helo"),
        ("notify_fifo", "notify", "fifo"),
    ];
    for known in globals {
        let mut gathered = Vec::new();
        block::gather(known.statement, &mut gathered);
        if gathered.is_empty() {
            continue;
        }
        let place = KEYS.iter().find(|(word, ..)| *word == known.name).map(|(_, table, key)| (*table, *key));
        let table = place.and_then(|(name, key)| {
            let table = document.tables.iter_mut().find(|table| table.name == name)?;
            Some((table, key))
        });
        match table {
            Some((table, key)) => table.comment(key, gathered),
            None => document.comments.extend(gathered),
        }
    }
}

/// Puts `garp = { ... }`, where anything differs from vipd's defaults, which are keepalived's.
pub(super) fn announce(announce: Announce, block: &Block<'_>, table: &mut Table) {
    let time = |seconds: u32| Value::from(span(u64::from(seconds) * SECOND));
    let mut keys: Vec<(&'static str, Value)> = Vec::new();
    if announce.delay != 5 {
        keys.push(("delay", time(announce.delay)));
    }
    if announce.repeat != 5 {
        keys.push(("repeat", Value::from(announce.repeat)));
    }
    if announce.refresh != 0 {
        keys.push(("refresh", time(announce.refresh)));
        if announce.refresh_repeat != 1 {
            keys.push(("refresh_repeat", Value::from(announce.refresh_repeat)));
        }
    }
    if let Some(delay) = announce.lower_delay.filter(|delay| *delay != announce.delay) {
        keys.push(("lower_priority_delay", time(delay)));
    }
    if let Some(repeat) = announce.lower_repeat.filter(|repeat| *repeat != announce.repeat) {
        keys.push(("lower_priority_repeat", Value::from(repeat)));
    }
    if !keys.is_empty() {
        let own =
            ["garp_master_delay", "garp_master_repeat", "garp_master_refresh", "garp_lower_prio_repeat"];
        let first = own.into_iter().find_map(|word| block.last(word));
        let place = first.map_or(table.place, |known| known.statement.place());
        table.put("garp", Value::Keys(keys), place);
    }
}
