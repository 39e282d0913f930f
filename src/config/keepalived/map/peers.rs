//! Where adverts go and come from: unicast peers, groups, source addresses.

use super::super::finding::{Findings, Kind};
use super::super::tree::{Statement, Word};
use super::super::walk::Known;
use super::args;
use super::block::Block;
use crate::config::document::{Table, Value};
use crate::config::suggest::shown;
use std::net::IpAddr;

/// Puts the rows. `check_source` is the global default.
pub(super) fn put(
    block: &Block<'_>,
    is_ipv6: bool,
    check_source: bool,
    table: &mut Table,
    findings: &mut Findings,
) {
    let mut seen = Vec::new();
    let lines = block.lines("unicast_peer");
    let peers: Vec<Value> = lines.filter_map(|line| peer(line, is_ipv6, &mut seen, findings)).collect();
    let is_unicast = !peers.is_empty();
    if let Some(known) = block.last("unicast_peer") {
        let place = known.statement.place();
        if is_unicast {
            table.put("unicast_peers", peers, place);
        } else {
            findings.push(place, Kind::Changed, "no unicast peers: adverts go to the group", "");
        }
    }
    if is_unicast {
        unicast(block, check_source, table, findings);
    } else {
        for word in ["unicast_ttl", "check_unicast_src"] {
            let Some(known) = block.last(word) else { continue };
            let what = format!("`{word}` is left out");
            findings.push(known.statement.place(), Kind::Ignored, what, "There are no unicast peers.");
        }
    }
    source(block, is_unicast, is_ipv6, table, findings);
    group(block, is_unicast, is_ipv6, table, findings);
}

/// `IP [min_ttl N] [max_ttl N]`.
fn peer(line: &Statement, is_ipv6: bool, seen: &mut Vec<IpAddr>, findings: &mut Findings) -> Option<Value> {
    let ip = own(line.words.first()?, is_ipv6, findings)?;
    if seen.contains(&ip) {
        findings.push(line.place(), Kind::Changed, format!("{ip} is there already"), "It is left out.");
        return None;
    }
    seen.push(ip);
    let mut keys: Vec<(&'static str, Value)> = Vec::new();
    let mut words = line.arguments().iter();
    while let Some(word) = words.next() {
        let key = match word.text.as_str() {
            "min_ttl" => "ttl_min",
            "max_ttl" => "ttl_max",
            other => {
                let what = format!("\"{}\" is no option of a peer", shown(other));
                findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
                continue;
            }
        };
        match words.next().map(|value| (value.text.parse::<u8>(), value.place)) {
            Some((Ok(0), _)) if key == "ttl_min" => {}
            Some((Ok(255), _)) if key == "ttl_max" => {}
            Some((Ok(ttl), _)) => keys.push((key, Value::Number(ttl.into()))),
            Some((Err(_), place)) => {
                findings.push(place, Kind::Invalid, "a TTL is 0 to 255", "keepalived leaves it out.");
            }
            None => findings.push(word.place, Kind::Invalid, "there is no TTL", "It is left out."),
        }
    }
    if keys.is_empty() {
        return Some(Value::Text(ip.to_string()));
    }
    keys.insert(0, ("address", Value::Text(ip.to_string())));
    Some(Value::Keys(keys))
}

/// An address of the instance's family.
fn own(word: &Word, is_ipv6: bool, findings: &mut Findings) -> Option<IpAddr> {
    match word.text.parse::<IpAddr>() {
        Ok(ip) if ip.is_ipv6() == is_ipv6 => Some(ip),
        Ok(ip) => {
            let what = format!("{ip} is of another family than the instance");
            findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
            None
        }
        Err(_) => {
            let what = format!("\"{}\" is not an address", shown(&word.text));
            findings.push(word.place, Kind::Invalid, what, "keepalived leaves it out.");
            None
        }
    }
}

fn unicast(block: &Block<'_>, check_source: bool, table: &mut Table, findings: &mut Findings) {
    if let Some(known) = block.last("unicast_ttl")
        && let Some(ttl) = args::count(known, 0, 0..=255, findings)
    {
        let place = known.statement.place();
        if ttl == 0 {
            findings.push(place, Kind::Changed, "`unicast_ttl` 0 becomes 1", "0 goes nowhere.");
        }
        table.put_unless("unicast_ttl", ttl.max(1), 255u32, place);
    }
    let known = block.last("check_unicast_src");
    let check = known.and_then(|known| args::flag(known, findings)).unwrap_or(check_source);
    // vipd checks unless it is told not to.
    let place = known.or(block.last("unicast_peer")).map_or(table.place, |known| known.statement.place());
    table.put_unless("check_source", check, true, place);
}

fn source(block: &Block<'_>, is_unicast: bool, is_ipv6: bool, table: &mut Table, findings: &mut Findings) {
    let words =
        if is_unicast { ["unicast_src_ip", "mcast_src_ip"] } else { ["mcast_src_ip", "unicast_src_ip"] };
    let given: Vec<Known<'_>> = words.into_iter().filter_map(|word| block.last(word)).collect();
    let word = given.first().and_then(|known| known.statement.argument(0));
    let ip = word.and_then(|word| own(word, is_ipv6, findings));
    if let (Some(ip), Some(word)) = (ip, word) {
        table.put("source", ip.to_string(), word.place);
    }
    if let Some(second) = given.get(1) {
        let what = format!("`{}` is left out", second.name);
        findings.push(second.statement.place(), Kind::Changed, what, "The other source address counts.");
    }
    if let Some(known) = block.last("track_src_ip") {
        let place = known.statement.place();
        if ip.is_some() {
            table.put("track_source", true, place);
        } else {
            let hint = "No source address is named, and without any there is Fault anyway.";
            findings.push(place, Kind::Ignored, "`track_src_ip` is left out", hint);
        }
    }
}

fn group(
    block: &Block<'_>,
    is_unicast: bool,
    is_ipv6: bool,
    table: &mut Table,
    findings: &mut Findings,
) -> Option<()> {
    let known = block.last("mcast_dst_ip")?;
    let word = known.statement.argument(0)?;
    if is_unicast {
        let what = "`mcast_dst_ip` is left out";
        findings.push(word.place, Kind::Ignored, what, "Adverts go to the unicast peers.");
        return None;
    }
    let ip = own(word, is_ipv6, findings)?;
    table.put(if is_ipv6 { "multicast_group6" } else { "multicast_group4" }, ip.to_string(), word.place);
    Some(())
}
