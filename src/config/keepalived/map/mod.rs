//! What statements mean here.

mod address;
mod args;
mod auth;
mod block;
mod checker;
mod command;
mod fixed;
mod front;
mod global;
mod group;
mod hoist;
mod http;
mod instance;
mod ipvs;
mod lines;
mod mail;
mod method;
mod names;
mod notify;
mod peers;
mod route;
mod server;
mod server_group;
mod service;
mod settings;
mod times;
mod track;
mod udp;

#[cfg(test)]
mod lvs_tests;
#[cfg(test)]
mod tests;

use super::finding::Findings;
use super::keywords::Context;
use super::source::Place;
use super::tree::Tree;
use super::walk::{self, Known};
use crate::config::document::{Document, Table, Value};
use global::Defaults;
use names::{Names, Sort};
use std::collections::{BTreeMap, BTreeSet};

/// Tables in the order in which a person would write them.
const ORDER: [&str; 11] = [
    "global",
    "mail",
    "notify",
    "realtime",
    "track",
    "vrrp",
    "sync_group",
    "static",
    "ipvs",
    "server_group",
    "service",
];

/// What the mappers of instances and groups share.
struct Scope<'s> {
    defaults: &'s Defaults,
    names: &'s mut Names,
    /// `interface_up_down_delays`: seconds down and up, by interface.
    delays: BTreeMap<String, (u32, u32, Place)>,
    /// Interfaces of instances, and which families are announced there.
    interfaces: BTreeMap<String, [bool; 2]>,
    /// Names of macvlans.
    macvlans: BTreeSet<String>,
    /// `lvs_sync_daemon_interface`: the interface and the name of the instance.
    sync: Option<(String, Option<Value>, Place)>,
}

impl Scope<'_> {
    fn remember(&mut self, interface: &str, is_ipv6: bool) {
        let [v4, v6] = self.interfaces.entry(interface.to_owned()).or_default();
        *(if is_ipv6 { v6 } else { v4 }) = true;
    }
}

/// The whole tree, mapped; `breathe` is called before each instance and each service.
pub(super) fn document(tree: &Tree, findings: &mut Findings, breathe: &mut dyn FnMut()) -> Document {
    let mut document = Document::default();
    let joined = walk::joined(&tree.statements, findings);
    let root = walk::known(Context::ROOT, joined.as_deref().unwrap_or(&tree.statements), findings);
    // Several blocks are one, and a later line wins.
    let blocks = named(&root, "global_defs");
    let lines = blocks.clone().flat_map(|block| block.statement.inside());
    let globals = walk::known(Context::GLOBAL, lines, findings);
    for block in blocks {
        document.comments.extend(block.statement.comments.iter().cloned());
    }
    let mut names = Names::default();
    vrrp(&root, &globals, &mut names, &mut document, findings, breathe);
    service::map(&root, &globals, &names, &mut document, findings, breathe);
    ipvs::map(&globals, &names, &mut document, findings);
    document.tables.sort_by_key(|table| ORDER.iter().position(|name| *name == table.name));
    document
}

/// Everything of VRRP, and what is global.
fn vrrp(
    root: &[Known<'_>],
    globals: &[Known<'_>],
    names: &mut Names,
    document: &mut Document,
    findings: &mut Findings,
    breathe: &mut dyn FnMut(),
) {
    let defaults = global::map(globals, document, findings);
    if let Some(known) = globals.iter().rev().find(|known| known.name == "vrrp_strict")
        && defaults.strict
    {
        instance::told_strict(*known, findings);
    }
    let mut tracks = track::Tracks::read(root, names, findings);
    // Groups may stand above their instances; of two with one name the second is left out.
    let mut instances = Vec::new();
    for known in named(root, "vrrp_instance") {
        let Some(word) = known.statement.argument(0) else { continue };
        if names.give(Sort::Instance, &word.text, word.place, findings).is_some() {
            instances.push(known);
        }
    }
    let delays = fixed::delays(root, findings);
    let mut scope = Scope {
        defaults: &defaults,
        names,
        delays,
        interfaces: BTreeMap::new(),
        macvlans: BTreeSet::new(),
        sync: None,
    };
    let mut rules = route::Rules::default();
    let mut tables: Vec<Table> = Vec::new();
    for known in instances {
        breathe();
        tables.extend(instance::instance(known, &mut scope, &mut tracks, &mut rules, findings));
    }
    for known in named(root, "vrrp_sync_group") {
        tables.extend(group::group(known, &mut scope, &mut tracks, findings));
    }
    document.tables.extend(tracks.into_tables());
    document.tables.extend(tables);
    let interface = defaults.interface.as_deref().unwrap_or("eth0");
    fixed::fixed(root, interface, &mut rules, document, findings);
    fixed::rates(root, &defaults, &scope.interfaces, document, findings);
    fixed::sync(scope.sync, globals, document, findings);
}

/// Those of a name, in order.
fn named<'k, 't>(
    list: &'k [Known<'t>],
    name: &'k str,
) -> impl DoubleEndedIterator<Item = Known<'t>> + Clone + 'k {
    list.iter().copied().filter(move |known| known.name == name)
}

/// The only table of that name; made where it is not there.
fn table<'d>(document: &'d mut Document, name: &'static str, place: Place) -> &'d mut Table {
    let tables = &mut document.tables;
    let at = tables.iter().position(|table| table.name == name).unwrap_or_else(|| {
        tables.push(Table::new(name, false, place));
        tables.len() - 1
    });
    &mut tables[at]
}
