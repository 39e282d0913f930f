//! What belongs to no instance: `static_*`, delays and announcement rates of interfaces, the sync daemon of
//! an instance.

use super::super::finding::{Findings, Kind};
use super::super::keywords::Context;
use super::super::source::Place;
use super::super::walk::Known;
use super::block::{self, Block};
use super::global::{self, Defaults};
use super::route::{self, Rules};
use super::{address, named, table};
use crate::config::document::{Document, Table, Value};
use crate::config::suggest::shown;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// `[static]`.
pub(super) fn fixed(
    root: &[Known<'_>],
    interface: &str,
    rules: &mut Rules,
    document: &mut Document,
    findings: &mut Findings,
) {
    let mut seen: BTreeSet<(IpAddr, String)> = BTreeSet::new();
    let lists = [("static_ipaddress", "addresses"), ("static_routes", "routes"), ("static_rules", "rules")];
    for (word, key) in lists {
        let lines = named(root, word).flat_map(|known| known.statement.inside());
        let list = match key {
            "addresses" => {
                let home = address::Home { interface, is_ipv6: None, is_static: true };
                address::list(lines, &home, &mut seen, findings)
            }
            "routes" => route::routes(lines, findings),
            _ => rules.rules(lines, findings),
        };
        let mut comments = Vec::new();
        named(root, word).for_each(|known| block::gather(known.statement, &mut comments));
        if let Some(known) = named(root, word).next().filter(|_| !list.is_empty()) {
            let table = table(document, "static", known.statement.place());
            table.put(key, list, known.statement.place());
            table.comment(key, comments);
        } else {
            document.comments.extend(comments);
        }
    }
}

/// `interface_up_down_delays { IF DOWN [UP] }`, in seconds.
pub(super) fn delays(root: &[Known<'_>], findings: &mut Findings) -> BTreeMap<String, (u32, u32, Place)> {
    let mut out = BTreeMap::new();
    for line in named(root, "interface_up_down_delays").flat_map(|known| known.statement.inside()) {
        let mut read = |n: usize| {
            let word = line.argument(n)?;
            let seconds = word.text.parse::<u8>();
            if seconds.is_err() {
                let what = format!("a delay is 0 to 255 seconds, not \"{}\"", shown(&word.text));
                findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
            }
            seconds.ok().map(u32::from)
        };
        let (down, up) = (read(0).unwrap_or(0), read(1).unwrap_or(0));
        out.insert(line.keyword().to_owned(), (down, up, line.place()));
    }
    out
}

/// `[global] announce_rates`, of `vrrp_garp_interval`, `vrrp_gna_interval` and `garp_group`.
pub(super) fn rates(
    root: &[Known<'_>],
    defaults: &Defaults,
    interfaces: &BTreeMap<String, [bool; 2]>,
    document: &mut Document,
    findings: &mut Findings,
) {
    let mut rates: BTreeMap<String, u64> = BTreeMap::new();
    let mut place = Place::default();
    let slowest = |gaps: [u64; 2], families: [bool; 2]| {
        let gap = gaps.into_iter().zip(families).filter(|(_, is)| *is).map(|(gap, _)| gap).max();
        gap.map(global::frames_a_second).filter(|rate| *rate > 0)
    };
    let has_both = interfaces.values().any(|families| *families == [true; 2]);
    if has_both && defaults.gaps[0] != defaults.gaps[1] {
        let at = named(root, "global_defs").next().map_or(place, |known| known.statement.place());
        let hint = "The slower one is taken where an interface has both.";
        findings.push(at, Kind::Changed, "ARP and neighbour discovery have one pace", hint);
    }
    for (interface, families) in interfaces {
        rates.extend(slowest(defaults.gaps, *families).map(|rate| (interface.clone(), rate)));
    }
    for known in named(root, "garp_group") {
        place = known.statement.place();
        let block = Block::new(Context::GARP_GROUP, known.statement, findings);
        let gaps = ["garp_interval", "gna_interval"].map(|word| {
            let known = block.last(word);
            known.and_then(|known| global::gap(known, findings)).unwrap_or(0)
        });
        let one = block.all("interface").filter_map(|known| known.statement.argument(0));
        let many = block.lines("interfaces").flat_map(|line| &line.words);
        let all: Vec<String> = one.chain(many).map(|word| word.text.clone()).collect();
        if all.len() > 1 {
            let hint = "keepalived has one pace for all of them together.";
            findings.push(place, Kind::Changed, "each interface of the group gets its own pace", hint);
        }
        for interface in all {
            rates.extend(slowest(gaps, [true; 2]).map(|rate| (interface, rate)));
        }
    }
    if !rates.is_empty() {
        let rates = rates
            .into_iter()
            .map(|(interface, rate)| (interface, Value::Number(i64::try_from(rate).unwrap_or(i64::MAX))));
        table(document, "global", place).put("announce_rates", Value::Named(rates.collect()), place);
    }
}

/// `[ipvs.sync]` of an instance's `lvs_sync_daemon_interface`.
pub(super) fn sync(
    sync: Option<(String, Option<Value>, Place)>,
    globals: &[Known<'_>],
    document: &mut Document,
    findings: &mut Findings,
) {
    let Some((interface, instance, place)) = sync else { return };
    let what = "`lvs_sync_daemon_interface` is an old way to write `lvs_sync_daemon`";
    findings.push(place, Kind::Deprecated, what, "");
    if named(globals, "lvs_sync_daemon").next().is_some() {
        return;
    }
    let mut daemon = Table::new("ipvs.sync", false, place);
    daemon.put("interface", interface, place);
    if let Some(instance) = instance {
        daemon.put("instance", instance, place);
    }
    table(document, "ipvs", place).tables.push(daemon);
}
