//! LVS words of `global_defs` → `[ipvs]` and `[notify]`.

use super::args::SECOND;
use super::names::{Names, Sort};
use super::{command, front, named, table};
use crate::config::document::{Document, Table, span};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::source::Place;
use crate::config::keepalived::tree::Word;
use crate::config::keepalived::walk::Known;
use crate::config::suggest::shown;
use core::ops::RangeInclusive;

/// All of them.
pub(super) fn map(globals: &[Known<'_>], names: &Names, document: &mut Document, findings: &mut Findings) {
    timeouts(globals, document, findings);
    sync(globals, names, document, findings);
    flushes(globals, findings);
    let script = named(globals, "lvs_notify_fifo_script").last();
    let fifo = named(globals, "lvs_notify_fifo").last();
    match fifo {
        Some(fifo) => {
            let place = fifo.statement.place();
            if let Some(value) = command::fifo(fifo, script, findings) {
                let notify = table(document, "notify", place);
                notify.put("lvs_fifo", value, place);
                notify.comment("lvs_fifo", fifo.statement.comments.iter().cloned());
            }
        }
        None => {
            if let Some(script) = script {
                let what = "`lvs_notify_fifo_script` without `lvs_notify_fifo`";
                findings.push(script.statement.place(), Kind::Invalid, what, "It has nothing to read from.");
            }
        }
    }
}

/// A number of `range` behind its word; otherwise a finding.
fn number(
    word: &Word,
    value: Option<&Word>,
    range: RangeInclusive<u32>,
    findings: &mut Findings,
) -> Option<u32> {
    let read = value.and_then(|value| value.text.parse::<u32>().ok()).filter(|read| range.contains(read));
    if read.is_none() {
        let (least, most) = (range.start(), range.end());
        let written = value.map_or("", |value| value.text.as_str());
        let what = format!("`{}` wants {least} to {most}, not \"{}\"", word.text, shown(written));
        findings.push(word.place, Kind::Invalid, what, "It is left out.");
    }
    read
}

/// `lvs_timeouts [tcp N] [tcpfin N] [udp N]`: put back at the end by both.
fn timeouts(globals: &[Known<'_>], document: &mut Document, findings: &mut Findings) {
    /// vipd's limit is the kernel's (IPVS-45c); keepalived takes 31 days.
    const MOST: u32 = 2_147_483;
    for known in named(globals, "lvs_timeouts") {
        let place = known.statement.place();
        let mut rows = Vec::new();
        let mut words = known.statement.arguments().iter();
        while let Some(word) = words.next() {
            let key = match word.text.as_str() {
                "tcp" => "tcp_timeout",
                "tcpfin" => "tcp_fin_timeout",
                "udp" => "udp_timeout",
                text => {
                    let what = format!("`lvs_timeouts`: \"{}\" is none of tcp, tcpfin, udp", shown(text));
                    findings.push(word.place, Kind::Invalid, what, "It is left out.");
                    continue;
                }
            };
            match number(word, words.next(), 0..=MOST, findings) {
                Some(0) => {
                    let what = format!("`lvs_timeouts`: {} 0 is left out", word.text);
                    findings.push(word.place, Kind::Ignored, what, "To both it means the kernel's own.");
                }
                Some(seconds) => rows.push((key, seconds)),
                None => {}
            }
        }
        let ipvs = table(document, "ipvs", place);
        for (key, seconds) in rows {
            ipvs.put(key, span(u64::from(seconds) * SECOND), place);
        }
        ipvs.comments.extend(known.statement.comments.iter().cloned());
    }
}

/// `lvs_sync_daemon IF [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group IP]`.
fn sync(globals: &[Known<'_>], names: &Names, document: &mut Document, findings: &mut Findings) {
    let Some(known) = named(globals, "lvs_sync_daemon").next() else { return };
    let place = known.statement.place();
    let mut words = known.statement.arguments().iter();
    let Some(interface) = words.next() else { return };
    let mut sync = Table::new("ipvs.sync", false, place);
    sync.comments.extend(known.statement.comments.iter().cloned());
    sync.put("interface", interface.text.clone(), interface.place);
    let mut n = 0;
    while let Some(word) = words.next() {
        let at = word.place;
        n += 1;
        match word.text.as_str() {
            "inst" => {
                if let Some(name) = words.next() {
                    instance(name, names, &mut sync, findings);
                }
            }
            "id" => put(&mut sync, "id", number(word, words.next(), 0..=255, findings), at),
            "maxlen" => put(&mut sync, "max_len", number(word, words.next(), 576..=65_507, findings), at),
            "port" => put(&mut sync, "port", number(word, words.next(), 1..=65_535, findings), at),
            "ttl" => put(&mut sync, "ttl", number(word, words.next(), 1..=255, findings), at),
            "group" => {
                let group = words.next().and_then(|group| front::ip(group, findings));
                if let Some(group) = group {
                    sync.put("group", group.to_string(), at);
                }
            }
            _ if n == 1 => instance(word, names, &mut sync, findings),
            // IF INSTANCE ID, as it was once.
            text if n == 2 && text.parse::<u8>().is_ok() => {
                put(&mut sync, "id", text.parse::<u32>().ok(), at);
                let what = format!("`lvs_sync_daemon`: {text} is read as id {text}");
                findings.push(at, Kind::Deprecated, what, "Write `id` before it.");
            }
            text => {
                let what = format!("`lvs_sync_daemon`: unknown word \"{}\"", shown(text));
                findings.push(at, Kind::Invalid, what, "It is left out.");
            }
        }
    }
    table(document, "ipvs", place).tables.push(sync);
}

fn put(table: &mut Table, key: &'static str, value: Option<u32>, place: Place) {
    if let Some(value) = value {
        table.put(key, value, place);
    }
}

fn instance(name: &Word, names: &Names, sync: &mut Table, findings: &mut Findings) {
    match names.find(Sort::Instance, &name.text) {
        Some(ours) => sync.put("instance", ours, name.place),
        None => {
            let what = format!("`lvs_sync_daemon`: no vrrp_instance is called \"{}\"", shown(&name.text));
            let hint = "Both daemons run all the time then.";
            findings.push(name.place, Kind::Invalid, what, hint);
        }
    }
}

/// vipd takes away what an earlier run left, and its own at the end, and nothing else.
fn flushes(globals: &[Known<'_>], findings: &mut Findings) {
    let hint = "vipd takes away what an earlier run left and what is its own, and nothing of others; \
                `ipvsadm -C` does that.";
    for known in named(globals, "lvs_flush") {
        let what = "`lvs_flush`: entries of others stay in the kernel's table";
        findings.push(known.statement.place(), Kind::Changed, what, hint);
    }
    for known in named(globals, "lvs_flush_on_stop") {
        let place = known.statement.place();
        match known.statement.argument(0) {
            Some(word) if word.text == "VS" => {
                let what = "`lvs_flush_on_stop VS` is left out";
                findings.push(place, Kind::Ignored, what, "vipd's part of the table is gone either way.");
            }
            Some(_) | None => {
                let what = "`lvs_flush_on_stop`: entries of others stay in the kernel's table";
                findings.push(place, Kind::Changed, what, hint);
            }
        }
    }
}
