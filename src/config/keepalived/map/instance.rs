//! `vrrp_instance`.

use super::super::finding::{Findings, Kind};
use super::super::keywords::Context;
use super::super::source::Place;
use super::super::walk::Known;
use super::args::{self, SECOND};
use super::block::Block;
use super::global::{self, Defaults};
use super::route::Rules;
use super::track::Tracks;
use super::{Scope, address, auth, notify, peers, route};
use crate::config::document::{Table, Value, span};
use crate::config::suggest::shown;
use std::collections::BTreeSet;
use std::net::IpAddr;

const OWNER: u32 = 255;
const HUNDREDTH: u64 = SECOND / 100;
const V3_MAX: u64 = 40_950_000;

/// Keywords whose rows are called otherwise, for comments.
const KEYS: &[(&str, &str)] = &[
    ("state", "priority"),
    ("virtual_router_id", "vrid"),
    ("advert_int", "advert_interval"),
    ("virtual_ipaddress", "addresses"),
    ("virtual_ipaddress_excluded", "excluded_addresses"),
    ("no_virtual_ipaddress", "no_addresses"),
    ("virtual_routes", "routes"),
    ("virtual_rules", "rules"),
    ("authentication", "auth_pass"),
    ("nopreempt", "preempt"),
    ("unicast_peer", "unicast_peers"),
    ("unicast_src_ip", "source"),
    ("mcast_src_ip", "source"),
    ("track_interface", "track"),
    ("track_script", "track"),
    ("track_process", "track"),
    ("track_file", "track"),
    ("use_vmac", "virtual_mac"),
    ("notify_master", "notify"),
    ("notify_backup", "notify"),
    ("notify_fault", "notify"),
    ("notify_stop", "notify"),
    ("notify_deleted", "notify"),
    ("notify_master_rx_lower_pri", "notify"),
    ("smtp_alert", "notify"),
    ("garp_master_delay", "garp"),
    ("garp_master_repeat", "garp"),
    ("garp_master_refresh", "garp"),
    ("garp_master_refresh_repeat", "garp"),
    ("down_timer_adverts", "down_adverts"),
];

/// What decides over other rows.
struct Basis {
    interface: String,
    is_ipv6: bool,
    version: u32,
    is_master: bool,
    priority: u32,
    strict: bool,
}

/// `[[vrrp]]` of an instance; `None` where keepalived leaves it out.
pub(super) fn instance(
    known: Known<'_>,
    scope: &mut Scope<'_>,
    tracks: &mut Tracks,
    rules: &mut Rules,
    findings: &mut Findings,
) -> Option<Table> {
    let word = known.statement.argument(0)?;
    let name = scope.names.find(super::Sort::Instance, &word.text)?.to_owned();
    let block = Block::new(Context::INSTANCE, known.statement, findings);
    let mut table = Table::new("vrrp", true, known.statement.place());
    table.put("name", name, word.place);
    let basis = basis(&block, word.place, scope.defaults, &mut table, findings);
    interval(&block, &basis, &mut table, findings);
    preempt(&block, &basis, &mut table, findings);
    delays(&block, &basis, scope, &mut table, findings);
    let refused = match (basis.version, basis.strict) {
        (3, _) => Some("VRRPv3 has none"),
        (_, true) => Some("strict mode has none"),
        _ => None,
    };
    if block.has("auth_hmac") {
        auth::hmac(&block, &mut table, findings);
    } else {
        auth::pass(&block, refused, &mut table, findings);
    }
    peers::put(&block, basis.is_ipv6, scope.defaults.check_source, &mut table, findings);
    if basis.strict && block.lines("unicast_peer").next().is_some() {
        let hint = "keepalived does not start such an instance: leave strict mode or the peers out.";
        findings.push(word.place, Kind::Invalid, "strict mode does not go with unicast peers", hint);
    }
    let on = virtual_mac(&block, &basis, scope, &mut table, findings).unwrap_or(basis.interface.clone());
    addresses(&block, &on, basis.is_ipv6, &mut table, findings);
    no_addresses(&block, &basis, word.place, &mut table, findings);
    let routes = route::routes(block.lines("virtual_routes"), findings);
    put_list(&mut table, "routes", routes, &block, "virtual_routes");
    let rules = rules.rules(block.lines("virtual_rules"), findings);
    put_list(&mut table, "rules", rules, &block, "virtual_rules");
    if let Some(known) = block.last("dont_track_primary") {
        table.put("track_interface", false, known.statement.place());
    }
    let own = Some(basis.interface.as_str()).filter(|_| !block.has("dont_track_primary"));
    let uses = tracks.uses(&block, own, scope.names, findings);
    let first = ["track_interface", "track_script", "track_process", "track_file"];
    let first = first.into_iter().find(|word| block.has(word)).unwrap_or("track_script");
    put_list(&mut table, "track", uses, &block, first);
    adverts(&block, &basis, scope.defaults, &mut table, findings);
    announce(&block, &basis, scope.defaults, &mut table, findings);
    if let Some(known) = block.last("promote_secondaries") {
        table.put("promote_secondaries", true, known.statement.place());
    }
    notify::put(&block, scope.defaults, &mut table, findings);
    block.comment(&mut table, KEYS);
    scope.remember(&basis.interface, basis.is_ipv6);
    if let Some(known) = block.last("lvs_sync_daemon_interface")
        && let Some(word) = known.statement.argument(0)
    {
        scope.sync = Some((word.text.clone(), table.get("name").cloned(), word.place));
    }
    Some(table)
}

fn put_list(table: &mut Table, key: &'static str, list: Vec<Value>, block: &Block<'_>, word: &str) {
    if !list.is_empty() {
        table.put(key, list, block.last(word).map_or(table.place, |known| known.statement.place()));
    }
}

/// Interface, VRID, family, version and priority.
fn basis(
    block: &Block<'_>,
    place: Place,
    defaults: &Defaults,
    table: &mut Table,
    findings: &mut Findings,
) -> Basis {
    let word = block.last("interface").and_then(|known| known.statement.argument(0));
    let interface = word.map_or_else(
        || {
            let default = defaults.interface.clone().unwrap_or_else(|| "eth0".to_owned());
            if defaults.interface.is_none() {
                let hint = "That is keepalived's default where no `default_interface` is given.";
                findings.push(place, Kind::Changed, "the instance names no interface: eth0", hint);
            }
            default
        },
        |word| word.text.clone(),
    );
    table.put("interface", interface.as_str(), word.map_or(place, |word| word.place));
    let vrid = block.all("virtual_router_id");
    let vrid = vrid.filter_map(|known| Some((args::count(known, 0, 1..=255, findings)?, known))).last();
    if let Some((vrid, known)) = vrid {
        table.put("vrid", vrid, known.statement.place());
    }
    let native = block.last("native_ipv6");
    let first = block.lines("virtual_ipaddress").find_map(address::first_ip);
    let is_ipv6 = native.is_some() || first.is_some_and(|ip| ip.is_ipv6());
    if let Some(known) = native.filter(|_| !first.is_some_and(|ip| ip.is_ipv6())) {
        table.put("family", "ipv6", known.statement.place());
    }
    let version = version(block, is_ipv6, defaults, table, findings);
    let strict = strict(block, defaults, findings);
    let state = block.all("state").filter_map(|known| state(known, findings)).last().unwrap_or(false);
    let given = block.all("priority").map(|known| (args::count(known, 0, 1..=OWNER, findings), known)).last();
    let priority = match given {
        Some((priority, _)) => priority.unwrap_or(100),
        None if state => OWNER,
        None => 100,
    };
    let at = given.map(|(_, known)| known).or(block.last("state")).map_or(place, |k| k.statement.place());
    table.put_unless("priority", priority, 100u32, at);
    if given.is_none() && state {
        let hint =
            "keepalived takes it for the owner of the addresses, who takes over at once: set `priority`.";
        findings.push(at, Kind::Changed, "`state MASTER` without `priority` makes it 255", hint);
        table.comment("priority", ["state MASTER without priority".to_owned()]);
    }
    // Strict mode puts the state right.
    let is_master = if strict { priority == OWNER } else { state };
    Basis { interface, is_ipv6, version, is_master, priority, strict }
}

/// Is it MASTER?
fn state(known: Known<'_>, findings: &mut Findings) -> Option<bool> {
    let word = known.statement.argument(0)?;
    match word.text.as_str() {
        "MASTER" => Some(true),
        "BACKUP" => Some(false),
        other => {
            let what = format!("`state` is MASTER or BACKUP, not \"{}\"", shown(other));
            findings.push(word.place, Kind::Invalid, what, "keepalived takes BACKUP.");
            None
        }
    }
}

fn version(
    block: &Block<'_>,
    is_ipv6: bool,
    defaults: &Defaults,
    table: &mut Table,
    findings: &mut Findings,
) -> u32 {
    let given = block.all("version");
    let given = given.filter_map(|known| Some((args::count(known, 0, 2..=3, findings)?, known))).last();
    let place = given.map_or(table.place, |(_, known)| known.statement.place());
    if is_ipv6 {
        if let Some((2, known)) = given {
            let hint = "vipd takes version 3: set it on all routers of this VRID.";
            findings.push(
                known.statement.place(),
                Kind::Unsupported,
                "VRRPv2 over IPv6 is no standard",
                hint,
            );
        }
        return 3;
    }
    let version = given.map_or(defaults.version, |(version, _)| version);
    table.put_unless("version", version, 2u32, place);
    version
}

/// Strict mode; what vipd has no counterpart for is told where it is switched on for the instance.
fn strict(block: &Block<'_>, defaults: &Defaults, findings: &mut Findings) -> bool {
    let Some(known) = block.last("strict_mode") else { return defaults.strict };
    let strict = args::flag(known, findings).unwrap_or(defaults.strict);
    if strict && !block.has("accept") {
        told_strict(known, findings);
    }
    strict
}

/// Says what strict mode comes to.
pub(super) fn told_strict(known: Known<'_>, findings: &mut Findings) {
    let hint = "vipd sets no packet filter, so that hosts can reach the addresses of the Active router.";
    let what = format!("`{}` is taken over but for its packet filter", known.name);
    findings.push(known.statement.place(), Kind::Changed, what, hint);
}

/// v2 has whole seconds, v3 hundredths.
fn interval(block: &Block<'_>, basis: &Basis, table: &mut Table, findings: &mut Findings) -> Option<()> {
    let all = block.all("advert_int");
    let all =
        all.filter_map(|known| Some((args::micros(known, 0, HUNDREDTH..=255 * SECOND, findings)?, known)));
    let (micros, known) = all.last()?;
    let step = if basis.version == 3 { HUNDREDTH } else { SECOND };
    let rounded = (micros.saturating_add(step / 2) / step * step).max(step);
    let fit = if basis.version == 3 { rounded.min(V3_MAX) } else { rounded };
    let place = known.statement.place();
    if fit != micros {
        let what = format!("`advert_int` {} becomes {}", span(micros), span(fit));
        let hint = match basis.version {
            3 => "VRRPv3 has hundredths of a second, up to 40.95: keepalived rounds, too.",
            _ => "VRRPv2 has whole seconds: keepalived rounds, too.",
        };
        findings.push(place, Kind::Changed, what, hint);
    }
    table.put_unless("advert_interval", span(fit), "1s", place);
    Some(())
}

/// `nopreempt` and `preempt_delay`, where keepalived does not clear them.
fn preempt(block: &Block<'_>, basis: &Basis, table: &mut Table, findings: &mut Findings) {
    let is_owner = basis.priority == OWNER;
    let why = match (is_owner, basis.is_master) {
        (true, _) => Some("priority 255 always takes over"),
        (_, true) => Some("keepalived clears it with `state MASTER`"),
        _ => None,
    };
    let no = block.last("nopreempt").filter(|no| {
        let after = |yes: Known<'_>| yes.statement.place() > no.statement.place();
        !block.last("preempt").is_some_and(after)
    });
    if let Some(known) = no {
        let place = known.statement.place();
        match why {
            Some(why) => findings.push(place, Kind::Changed, format!("`nopreempt` is left out: {why}"), ""),
            None => table.put("preempt", false, place),
        }
    }
    let Some(known) = block.last("preempt_delay") else { return };
    let Some(delay) = args::micros(known, 0, 0..=1000 * SECOND, findings).filter(|delay| *delay > 0) else {
        return;
    };
    let why = match (why, no.is_some(), basis.strict) {
        (Some(why), ..) => Some(why),
        (None, true, _) => Some("with `nopreempt` nobody preempts"),
        (None, false, true) => Some("strict mode has none"),
        (None, false, false) => None,
    };
    let place = known.statement.place();
    match why {
        Some(why) => findings.push(place, Kind::Changed, format!("`preempt_delay` is left out: {why}"), ""),
        None => table.put("preempt_delay", span(delay), place),
    }
}

/// `start_delay`, `settle` and `down_delay`.
fn delays(block: &Block<'_>, basis: &Basis, scope: &Scope<'_>, table: &mut Table, findings: &mut Findings) {
    let place = table.place;
    table.put_unless("start_delay", span(scope.defaults.start_delay), "0s", place);
    let Some((down, up, at)) = scope.delays.get(&basis.interface).copied() else { return };
    table.put_unless("settle", span(u64::from(up) * SECOND), "0s", at);
    if down == 0 {
        return;
    }
    let adverts = block.last("down_timer_adverts").and_then(|known| args::count(known, 0, 1..=100, findings));
    let adverts = adverts.unwrap_or(scope.defaults.down_adverts);
    let interval = match table.get("advert_interval") {
        Some(Value::Text(text)) => {
            crate::config::values::duration(text).map_or(SECOND, |duration| duration.total_micros())
        }
        _ => SECOND,
    };
    let end = interval * u64::from(adverts.saturating_sub(1));
    let down = u64::from(down) * SECOND;
    if down >= end {
        let what = format!("the delay of {} when {} goes down is left out", span(down), basis.interface);
        let hint = format!("vipd's is shorter than {}, after which another router takes over.", span(end));
        findings.push(at, Kind::Unsupported, what, hint);
    } else {
        table.put("down_delay", span(down), at);
    }
}

/// Puts `virtual_mac`; returns the name of the macvlan.
fn virtual_mac(
    block: &Block<'_>,
    basis: &Basis,
    scope: &mut Scope<'_>,
    table: &mut Table,
    findings: &mut Findings,
) -> Option<String> {
    let known = block.last("use_vmac")?;
    let place = known.statement.place();
    let (mut name, mut mac) = (None, None);
    let mut words = known.statement.arguments().iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "name" => name = words.next().map(|word| word.text.clone()),
            "netlink_notify_msg" => {
                let what = "`netlink_notify_msg` is left out";
                findings.push(word.place, Kind::Ignored, what, "vipd tells every change of its macvlans.");
            }
            "group" => {
                words.next();
                let what = "`group` of `use_vmac` has no counterpart";
                findings.push(word.place, Kind::Unsupported, what, "It is left out.");
            }
            text if text.split(':').count() == 6 => mac = Some(text.to_owned()),
            text if text.contains(':') => {
                let what = format!("\"{}\" is neither a MAC nor a name", shown(text));
                findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
            }
            text => name = Some(text.to_owned()),
        }
    }
    let vrid = match table.get("vrid") {
        Some(Value::Number(vrid)) => *vrid,
        _ => 0,
    };
    let own = format!("{}.{vrid}", if basis.is_ipv6 { "vrrp6" } else { "vrrp" });
    let prefixed = scope.defaults.vmac_prefix.as_ref().map(|prefix| format!("{prefix}.{vrid}"));
    let wanted = name.or(prefixed).unwrap_or_else(|| own.clone());
    let mut given = wanted.clone();
    let mut number = 2u32;
    // Another interface may have the same VRID.
    while !scope.macvlans.insert(given.clone()) {
        given = format!("{wanted}.{number}");
        number += 1;
    }
    let name = Some(given).filter(|name| *name != own);
    let mut keys: Vec<(&'static str, Value)> = Vec::new();
    keys.extend(name.clone().map(|name| ("name", Value::Text(name))));
    keys.extend(mac.map(|mac| ("mac", Value::Text(mac))));
    table.put("virtual_mac", if keys.is_empty() { Value::Flag(true) } else { Value::Keys(keys) }, place);
    Some(name.unwrap_or(own))
}

fn addresses(block: &Block<'_>, on: &str, is_ipv6: bool, table: &mut Table, findings: &mut Findings) {
    let mut seen: BTreeSet<(IpAddr, String)> = BTreeSet::new();
    let lists = [
        ("virtual_ipaddress", "addresses", Some(is_ipv6)),
        ("virtual_ipaddress_excluded", "excluded_addresses", None),
    ];
    for (word, key, is_ipv6) in lists {
        let home = address::Home { interface: on, is_ipv6, is_static: false };
        let list = address::list(block.lines(word), &home, &mut seen, findings);
        put_list(table, key, list, block, word);
    }
}

/// keepalived lets an instance without addresses run, in version 2 with a warning, in version 3 where
/// `no_virtual_ipaddress` says that it is meant.
fn no_addresses(block: &Block<'_>, basis: &Basis, place: Place, table: &mut Table, findings: &mut Findings) {
    let said = block.last("no_virtual_ipaddress");
    // A line that could not be read is told, and is no lack of lines.
    if block.lines("virtual_ipaddress").next().is_some() {
        if let Some(known) = said {
            let hint = "The instance has addresses.";
            findings.push(known.statement.place(), Kind::Ignored, "`no_virtual_ipaddress` is left out", hint);
        }
        return;
    }
    match said {
        Some(known) if basis.strict => {
            let hint = "keepalived does not start such an instance: leave strict mode, or give an address.";
            let what = "strict mode does not go with `no_virtual_ipaddress`";
            findings.push(known.statement.place(), Kind::Invalid, what, hint);
        }
        Some(known) => table.put("no_addresses", true, known.statement.place()),
        None if basis.version == 2 && !basis.strict => {
            table.put("no_addresses", true, place);
            let what = "the instance advertises no address: `no_addresses = true`";
            let hint = "keepalived warns, and holds the election all the same. One address is sensible.";
            findings.push(place, Kind::Changed, what, hint);
        }
        // keepalived does not start it.
        None => {}
    }
}

/// What adverts look like and who answers whom.
fn adverts(
    block: &Block<'_>,
    basis: &Basis,
    defaults: &Defaults,
    table: &mut Table,
    findings: &mut Findings,
) {
    let mut flag = |word: &str, default: bool| {
        let known = block.last(word);
        let value = known.and_then(|known| args::flag(known, findings)).unwrap_or(default);
        (value, known.map_or(table.place, |known| known.statement.place()))
    };
    let (as_v2, as_v2_at) = flag("v3_checksum_as_v2", defaults.checksum_as_v2);
    let (silent, silent_at) = flag("lower_prio_no_advert", defaults.lower_no_advert || basis.strict);
    let (higher, higher_at) = flag("higher_prio_send_advert", defaults.higher_advert && !basis.strict);
    if as_v2 && basis.version == 3 && !basis.is_ipv6 {
        table.put("checksum", "message-only", as_v2_at);
    }
    table.put_unless("lower_priority_advert", !silent, true, silent_at);
    table.put_unless("higher_priority_advert", higher, false, higher_at);
    let known = block.last("down_timer_adverts");
    let adverts = known.and_then(|known| args::count(known, 0, 1..=100, findings));
    let adverts = if basis.strict { 3 } else { adverts.unwrap_or(defaults.down_adverts) };
    table.put_unless("down_adverts", adverts, 3u32, known.map_or(table.place, |k| k.statement.place()));
    if let Some(known) = block.last("old_unicast_checksum") {
        let place = known.statement.place();
        let is_v3 = basis.version == 3 && !basis.is_ipv6 && block.has("unicast_peer");
        if is_v3 && known.statement.argument(0).is_none() {
            let what = "`old_unicast_checksum` has no counterpart";
            let hint = "Only keepalived up to 1.3.6 needs it: bring the other routers up to date.";
            findings.push(place, Kind::Unsupported, what, hint);
        } else {
            let hint = "It is for VRRPv3 over IPv4 between old keepalived alone.";
            findings.push(place, Kind::Ignored, "`old_unicast_checksum` is left out", hint);
        }
    }
}

fn announce(
    block: &Block<'_>,
    basis: &Basis,
    defaults: &Defaults,
    table: &mut Table,
    findings: &mut Findings,
) {
    let mut announce = defaults.announce;
    // What is for all stands for the bursts after a lower priority, too: an instance's own does not.
    announce.lower_delay.get_or_insert(announce.delay);
    announce.lower_repeat.get_or_insert(announce.repeat);
    for known in block.all("garp_master_delay") {
        announce.delay = global::seconds(known, findings).unwrap_or(announce.delay);
    }
    for known in block.all("garp_master_repeat") {
        announce.repeat = global::repeat(known, findings).unwrap_or(announce.repeat);
    }
    for known in block.all("garp_master_refresh") {
        announce.refresh = global::seconds(known, findings).unwrap_or(announce.refresh);
    }
    for known in block.all("garp_master_refresh_repeat") {
        announce.refresh_repeat = global::repeat(known, findings).unwrap_or(announce.refresh_repeat);
    }
    for known in block.all("garp_lower_prio_delay") {
        announce.lower_delay = global::seconds(known, findings).or(announce.lower_delay);
    }
    for known in block.all("garp_lower_prio_repeat") {
        announce.lower_repeat = global::lower_repeat(known, findings).or(announce.lower_repeat);
    }
    if basis.strict {
        (announce.lower_delay, announce.lower_repeat) = (Some(0), Some(0));
    }
    global::announce(announce, block, table);
}
