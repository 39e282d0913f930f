//! The checks of a service's servers → `check` and `checks`, once where they are the same.

use super::checker::Check;
use super::server::Server;
use crate::config::document::{Table, Value};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::limits;
use std::collections::BTreeSet;

/// Kinds of checks of which the most frequent is looked for. Behind them: each stands with its server.
const KINDS_MAX: usize = 64;

/// Adds the servers. What most of them have as their checks stands at the service, once.
pub(super) fn put_checks(servers: Vec<Server>, table: &mut Table, findings: &mut Findings) {
    fn values(checks: &[Check]) -> impl Iterator<Item = &Value> {
        checks.iter().map(|check| &check.value)
    }
    let mut kinds: Vec<(usize, &Server)> = Vec::new();
    for server in servers.iter().filter(|server| !server.checks.is_empty()) {
        let is_of = |(_, kind): &&mut (usize, &Server)| values(&kind.checks).eq(values(&server.checks));
        if let Some((count, _)) = kinds.iter_mut().find(is_of) {
            *count += 1;
        } else if kinds.len() < KINDS_MAX {
            kinds.push((1, server));
        }
    }
    // The first of those that are as many.
    let usual = kinds.into_iter().rev().max_by_key(|(count, _)| *count);
    let without = servers.iter().filter(|server| server.checks.is_empty()).count();
    let usual = usual.filter(|(count, _)| (*count > 1 || servers.len() == 1) && *count >= without);
    let common: Vec<Value> =
        usual.map(|(_, server)| values(&server.checks).cloned().collect()).unwrap_or_default();
    let mut checked = servers.iter().filter(|server| !server.checks.is_empty()).peekable();
    let starts_up = checked.peek().is_none() || checked.any(|server| server.starts_up);
    table.put_unless("start_up", starts_up, true, table.place);
    // What is said of the first one's stands above them; what is said of others' only with their servers.
    let mut said = BTreeSet::new();
    let first = usual.and_then(|(_, server)| servers.iter().position(|other| other.end == server.end));
    if let Some((_, server)) = usual {
        put(&server.checks, table, findings);
        said.extend(server.checks.iter().flat_map(|check| &check.comments).map(|(_, text)| text.clone()));
    }
    for (n, server) in servers.into_iter().enumerate() {
        let mut own = server.table;
        if !server.checks.is_empty() {
            own.put_unless("start_up", server.starts_up, starts_up, own.place);
        }
        if !values(&server.checks).eq(&common) {
            if server.checks.is_empty() {
                own.put("check", false, own.place);
            } else {
                put(&server.checks, &mut own, findings);
            }
        } else if first != Some(n) {
            let comments = server.checks.iter().flat_map(|check| &check.comments);
            let new = comments.filter(|(_, text)| !said.contains(text));
            own.comments.extend(new.map(|(_, text)| text.clone()));
        }
        table.tables.push(own);
    }
}

/// `check`, or `checks` where there are several.
fn put(checks: &[Check], table: &mut Table, findings: &mut Findings) {
    let Some(first) = checks.first() else { return };
    if let Some(more) = checks.get(limits::CHECKS_MAX) {
        let what = format!("more than {} checks of a server", limits::CHECKS_MAX);
        findings.push(more.place, Kind::Unsupported, what, "Those behind are left out.");
    }
    if let [only] = checks {
        table.put("check", only.value.clone(), first.place);
        for (key, text) in &only.comments {
            table.note("check", key, [text.clone()]);
        }
        return;
    }
    let list = checks.iter().take(limits::CHECKS_MAX).map(|check| check.value.clone());
    table.put("checks", Value::List(list.collect()), first.place);
    let mut said = BTreeSet::new();
    for (_, text) in checks.iter().flat_map(|check| &check.comments) {
        if said.insert(text) {
            table.comment("checks", [text.clone()]);
        }
    }
}
