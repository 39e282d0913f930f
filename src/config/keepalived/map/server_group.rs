//! `virtual_server_group` → `[[server_group]]`.

use super::named;
use crate::config::document::{Document, Table, Value};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::tree::{Statement, Word};
use crate::config::keepalived::walk::Known;
use crate::config::range::range;
use crate::config::suggest::shown;
use std::net::{IpAddr, SocketAddr};

/// What services need to know of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    /// The one port of all of it.
    pub(super) port: Option<u16>,
    pub(super) has_address: bool,
    pub(super) has_mark: bool,
    pub(super) has_any_port: bool,
    /// `None`: it is of both families.
    pub(super) is_ipv6: Option<bool>,
}

/// All groups, in order.
pub(super) fn map(root: &[Known<'_>], document: &mut Document, findings: &mut Findings) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for known in named(root, "virtual_server_group") {
        let Some(name) = known.statement.argument(0) else { continue };
        if groups.iter().any(|group| group.name == name.text) {
            let what = format!("a virtual_server_group is called \"{}\" already", shown(&name.text));
            findings.push(name.place, Kind::Unsupported, what, "Give it another name; it is left out.");
            continue;
        }
        let Some((table, group)) = group(known.statement, name, root, findings) else { continue };
        document.tables.push(table);
        groups.push(group);
    }
    groups
}

/// What was read of a group.
#[derive(Default)]
struct Members {
    texts: Vec<Value>,
    addresses: Vec<SocketAddr>,
    marks: Vec<u32>,
    /// Of the marks that say so.
    families: Vec<bool>,
}

fn group(
    statement: &Statement,
    name: &Word,
    root: &[Known<'_>],
    findings: &mut Findings,
) -> Option<(Table, Group)> {
    let mut members = Members::default();
    let place = statement.place();
    let mut table = Table::new("server_group", true, place);
    table.comments.extend(statement.comments.iter().cloned());
    for line in statement.inside() {
        table.comments.extend(line.comments.iter().cloned());
        member(line, &mut members, findings);
    }
    if members.addresses.is_empty() && members.marks.is_empty() {
        let what = format!("virtual_server_group \"{}\" has no entry", shown(&name.text));
        findings.push(place, Kind::Invalid, what, "keepalived leaves it out, and what is for it.");
        return None;
    }
    let is_ipv6 = match members.families.first() {
        Some(ipv6) => *ipv6,
        None if members.addresses.is_empty() => serves_ipv6(&name.text, root),
        None => members.addresses.iter().any(SocketAddr::is_ipv6),
    };
    if members.families.iter().any(|ipv6| *ipv6 != is_ipv6) {
        let what = format!("marks of IPv4 and of IPv6 in one group, \"{}\"", shown(&name.text));
        let hint = "Make a group for each family; here all are of the family of the first.";
        findings.push(place, Kind::Unsupported, what, hint);
    }
    table.put("name", name.text.clone(), name.place);
    if !members.texts.is_empty() {
        table.put("addresses", members.texts, place);
    }
    if !members.marks.is_empty() {
        let marks: Vec<Value> = members.marks.iter().map(|mark| Value::from(*mark)).collect();
        table.put("fwmarks", marks, place);
        table.put_unless("family", if is_ipv6 { "ipv6" } else { "ipv4" }, "ipv4", place);
    }
    let first = members.addresses.first().map(SocketAddr::port);
    let port = first.filter(|port| {
        *port != 0
            && members.marks.is_empty()
            && members.addresses.iter().all(|address| address.port() == *port)
    });
    let group = Group {
        name: name.text.clone(),
        port,
        has_address: first.is_some(),
        has_mark: !members.marks.is_empty(),
        has_any_port: members.addresses.iter().any(|address| address.port() == 0),
        is_ipv6: members.addresses.iter().all(|address| address.is_ipv6() == is_ipv6).then_some(is_ipv6),
    };
    Some((table, group))
}

/// `IP [port]`, `IP-N [port]`, `IP-IP [port]`, `IP/len [port]`, `fwmark N [inet|inet6]`.
fn member(line: &Statement, members: &mut Members, findings: &mut Findings) {
    let place = line.place();
    let word = line.keyword();
    let most = if word == "fwmark" { 2 } else { 1 };
    if let Some(extra) = line.argument(most) {
        let what = "more words than an entry of a group takes";
        findings.push(extra.place, Kind::Changed, what, "keepalived ignores them, and so does this.");
    }
    if word == "fwmark" {
        let family = line.argument(1).map(|family| family.text.as_str());
        if let Some(family) = family.filter(|family| !matches!(*family, "inet" | "inet6")) {
            let what = format!("\"{}\" is neither inet nor inet6", shown(family));
            findings.push(place, Kind::Invalid, what, "keepalived leaves the line out.");
            return;
        }
        match line.argument(0).and_then(|mark| mark.text.parse::<u32>().ok()) {
            Some(mark) if mark > 0 && !members.marks.contains(&mark) => {
                members.marks.push(mark);
                members.families.extend(family.map(|family| family == "inet6"));
            }
            Some(mark) if mark > 0 => {
                findings.push(place, Kind::Changed, format!("mark {mark} is given twice"), "Once is enough.");
            }
            Some(_) | None => {
                let what = "`fwmark` wants a number above 0";
                findings.push(place, Kind::Invalid, what, "keepalived leaves the line out.");
            }
        }
        return;
    }
    // IP:port in one word.
    if let (Ok(SocketAddr::V4(both)), None) = (word.parse::<SocketAddr>(), line.argument(0)) {
        let what = format!("\"{}\" is read as {} {}", shown(word), both.ip(), both.port());
        let hint = "keepalived wants a space between address and port, and leaves it out as it stands.";
        findings.push(place, Kind::Corrected, what, hint);
        if !members.addresses.contains(&both.into()) {
            members.addresses.push(both.into());
            members.texts.push(both.to_string().into());
        }
        return;
    }
    let port = line.argument(0).map_or("0", |port| port.text.as_str());
    let text = if word.contains(':') { format!("[{word}]:{port}") } else { format!("{word}:{port}") };
    match range(&text) {
        Ok(addresses) if addresses.iter().any(|address| members.addresses.contains(address)) => {
            let what = format!("{} {port} is in the group already, or some of it", shown(word));
            findings.push(place, Kind::Changed, what, "This line is left out.");
        }
        Ok(addresses) => {
            members.addresses.extend(addresses);
            members.texts.push(text.into());
        }
        Err(problem) => {
            // What begins with an address may be too long for vipd alone.
            let begins = word.split(['-', '/']).next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok());
            let kind = if begins { Kind::Unsupported } else { Kind::Invalid };
            findings.push(place, kind, problem.what, problem.hint);
        }
    }
}

/// Marks have no family of their own: theirs is that of the servers.
fn serves_ipv6(name: &str, root: &[Known<'_>]) -> bool {
    let is_for = |known: &Known<'_>| {
        let [kind, group] = [0, 1].map(|n| known.statement.argument(n).map(|word| word.text.as_str()));
        kind == Some("group") && group == Some(name)
    };
    let mut servers = named(root, "virtual_server").filter(is_for).flat_map(|known| known.statement.inside());
    let first = servers.find(|line| line.keyword() == "real_server");
    first
        .and_then(|line| line.argument(0))
        .is_some_and(|word| matches!(word.text.parse::<IpAddr>(), Ok(IpAddr::V6(_))))
}
