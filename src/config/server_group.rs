//! `[[server_group]]`: addresses and marks before which the same servers stand.

use super::global::no_host;
use super::range::range;
use super::reader::{Table, Value};
use super::report::{At, Report};
use super::values;
use crate::limits;
use crate::model::{Name, Protocol, ServiceKey};
use core::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What could be read of a group.
pub(super) struct Draft {
    pub(super) at: usize,
    pub(super) name: Option<At<Name>>,
    /// Ranges spelled out, in the order of the file, each once.
    addresses: Vec<SocketAddr>,
    marks: Vec<u32>,
    ipv6_marks: bool,
    /// Protocols of the services that have asked for its members.
    asked: Cell<[bool; 3]>,
}

impl Draft {
    /// Its members as the services of a service with that protocol; none where the group could not be read.
    /// A second service of one protocol is refused for the first member alone, and gets no others: thousands
    /// of services may name one group of a thousand addresses.
    pub(super) fn keys(&self, protocol: Protocol) -> Vec<ServiceKey> {
        let address = |address: &SocketAddr| ServiceKey::Address { protocol, address: *address };
        let mark = |mark: &u32| ServiceKey::Mark { mark: *mark, ipv6: self.ipv6_marks };
        let all = self.addresses.iter().map(address).chain(self.marks.iter().map(mark));
        let [tcp, udp, sctp] = self.asked.get();
        let (before, asked) = match protocol {
            Protocol::Tcp => (tcp, [true, udp, sctp]),
            Protocol::Udp => (udp, [tcp, true, sctp]),
            Protocol::Sctp => (sctp, [tcp, udp, true]),
        };
        self.asked.set(asked);
        all.take(if before { 1 } else { limits::GROUP_KEYS_MAX }).collect()
    }
}

/// `[[server_group]]`.
pub(super) fn group(mut table: Table<'_>, report: &mut Report<'_>) -> Draft {
    let at = table.at;
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"pool\"");
    let addresses = addresses(&mut table, report);
    let marks = marks(&mut table, report);
    let families = [("ipv4", false), ("ipv6", true)];
    let family = table.choice("family", &families, report);
    if !table.has("addresses") && !table.has("fwmarks") {
        table.require("addresses", "addresses = [\"10.0.0.100:80\"], or `fwmarks`");
    } else if table.has("family") && !table.has("fwmarks") {
        let hint = "Leave it out: the addresses say it. It is for `fwmarks`.";
        table.contradict(&["family"], "`addresses` alone", hint, report);
    }
    let count = addresses.len() + marks.len();
    if count > limits::GROUP_KEYS_MAX {
        let what = format!("a group of {count} addresses and marks, at most {}", limits::GROUP_KEYS_MAX);
        report.error(table.key_at("fwmarks"), what, "Split it, or take a mark for all of it.");
    }
    table.finish(report);
    Draft {
        at,
        name,
        addresses,
        marks,
        ipv6_marks: family.is_some_and(|family| family.value),
        asked: Cell::default(),
    }
}

fn addresses(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<SocketAddr> {
    let Some(list) = table.list("addresses", report) else { return Vec::new() };
    if list.is_empty() {
        report.error(table.key_at("addresses"), "`addresses` is empty", "Leave it out, or name one.");
    }
    let mut seen: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for item in list {
        let Some(read) = item.parsed(range, report) else { continue };
        if out.len() + read.value.len() > limits::GROUP_KEYS_MAX {
            let what = format!("`addresses`: more than {} with this one", limits::GROUP_KEYS_MAX);
            report.error(item.at, what, "Split the group, or take a mark for all of it.");
            break;
        }
        for address in read.value {
            if let Some(first) = seen.insert(address, item.at) {
                let line = report.lines().place(first).0;
                let what = format!("`addresses`: {address} is given twice");
                report.error(item.at, what, format!("See line {line}; leave one out."));
                break;
            }
            if let Some(kind) = no_host(address.ip()) {
                let what = format!("`addresses`: {} is {kind}, no client can connect to it", address.ip());
                report.error(item.at, what, "Give virtual addresses.");
                break;
            }
            out.push(address);
        }
    }
    out
}

fn marks(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<u32> {
    let Some(list) = table.list("fwmarks", report) else { return Vec::new() };
    if list.is_empty() {
        report.error(table.key_at("fwmarks"), "`fwmarks` is empty", "Leave it out, or name one.");
    }
    let mut out: Vec<u32> = Vec::new();
    for item in list {
        let Some(mark) = mark(item, report) else { continue };
        if out.contains(&mark) {
            report.error(item.at, format!("`fwmarks`: {mark} is given twice"), "Leave one out.");
            continue;
        }
        if out.len() == limits::GROUP_KEYS_MAX {
            let what = format!("more than {} in `fwmarks`", limits::GROUP_KEYS_MAX);
            report.error(item.at, what, "");
            break;
        }
        out.push(mark);
    }
    out
}

/// IPVS-40f: mark 0 is that of every packet without one.
fn mark(item: Value<'_>, report: &mut Report<'_>) -> Option<u32> {
    item.integer(1..=u32::MAX, report).map(|read| read.value)
}
