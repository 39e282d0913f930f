//! Virtual and static routes and rules.

use super::address::scope;
use super::reader::{Table, Value};
use super::report::{At, Problem, Report};
use super::suggest::shown;
use super::values::{self, family_of};
use crate::limits;
use crate::model::{Cidr, Family, Route, RouteKind, Rule, RuleAction, TABLE_MAIN};
use std::net::{IpAddr, Ipv6Addr};
use toml::de::DeValue;

/// Names of tables (`/etc/iproute2/rt_tables`).
const TABLES: [(&str, u32); 3] = [("main", TABLE_MAIN), ("default", 253), ("local", 255)];

const KINDS: [(&str, RouteKind); 5] = [
    ("unicast", RouteKind::Unicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
];

/// A list of routes. `is_static`: no interface stands behind them.
pub(super) fn routes(table: &mut Table<'_>, is_static: bool, report: &mut Report<'_>) -> Vec<At<Route>> {
    let Some(list) = table.list("routes", report) else { return Vec::new() };
    if let Some(first) = list.get(limits::ROUTES_MAX) {
        report.error(first.at, format!("more than {} in `routes`", limits::ROUTES_MAX), "");
    }
    let mut out: Vec<At<Route>> = Vec::new();
    for item in list.into_iter().take(limits::ROUTES_MAX) {
        let Some(read) = route(item, is_static, report) else { continue };
        if out.iter().any(|other| other.value.place() == read.value.place()) {
            let what = format!("`routes`: {} is given twice", read.value.destination);
            report.error(read.at, what, "Leave one out, or give it another `metric` or `table`.");
            continue;
        }
        out.push(read);
    }
    out
}

fn route(item: Value<'_>, is_static: bool, report: &mut Report<'_>) -> Option<At<Route>> {
    if let DeValue::String(text) = item.value {
        let hint = match route_as_table(text) {
            Some(table) => format!("Did you mean {table}?"),
            None => "Write { to = \"192.0.2.0/24\", via = \"10.0.0.1\" }.".to_owned(),
        };
        item.wrong("a table", hint, report);
        return None;
    }
    let mut table = item.table("routes", report)?;
    let via = table.parsed("via", values::ip, report);
    let source = table.parsed("source", values::ip, report);
    let family = via.or(source).map(|read| read.value);
    let to = destination(&mut table, "to", family, report);
    table.require("to", "to = \"192.0.2.0/24\", or \"default\"");
    let interface = table.parsed("interface", values::interface, report).map(|read| read.value);
    let number = table_number(&mut table, report);
    let metric = table.integer("metric", 0..=u32::MAX, report).map(|read| read.value);
    let scope = table.get("scope").and_then(|value| scope(value, report));
    let kind = table.choice("kind", &KINDS, report).map_or(RouteKind::Unicast, |read| read.value);
    let on_link = table.flag("on_link", false, report);
    let mtu = table.integer("mtu", 68..=65535, report).map(|read| read.value);
    let track = table.flag("track", true, report);
    if let (RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw, word) =
        (kind, KINDS.iter().find(|(_, other)| *other == kind).map_or("", |(word, _)| word))
    {
        let says = format!("`kind = \"{word}\"`, which forwards nothing");
        table.contradict(&["via", "interface", "on_link", "mtu"], &says, "Leave it out.", report);
    } else if is_static && via.is_none() && !table.has("via") && interface.is_none() {
        let what = "a static route goes to a gateway or an interface";
        report.error(item.at, what, "Add `via` or `interface`.");
    }
    if on_link && !table.has("via") {
        let what = "`on_link` says how the gateway is reached, and there is no `via`";
        report.error(table.key_at("on_link"), what, "Leave it out.");
    }
    if let Some(to) = to {
        let ip = to.value.address;
        via.inspect(|via| same_family("via", *via, ip, report));
        source.inspect(|source| same_family("source", *source, ip, report));
        if ip.is_ipv6() && scope.is_some() {
            report.error(table.key_at("scope"), "`scope`: an IPv6 route has none", "Leave it out.");
        }
    }
    table.finish(report);
    let route = Route {
        destination: to?.value,
        kind,
        gateway: via.map(|via| via.value),
        interface,
        source: source.map(|source| source.value),
        table: number,
        metric,
        scope,
        on_link,
        mtu,
        no_track: !track,
    };
    Some(At { at: item.at, value: route })
}

/// A net. `default` is that of the family of `other`, which stands beside it.
pub(super) fn destination(
    table: &mut Table<'_>,
    key: &'static str,
    other: Option<IpAddr>,
    report: &mut Report<'_>,
) -> Option<At<Cidr>> {
    const ALL: Cidr = Cidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_len: 0 };
    let read = |text: &str| match (text, other) {
        ("default", Some(IpAddr::V6(_))) => Ok(ALL),
        ("default6", _) => Err(Problem::new("\"default6\" is not a net", "Did you mean \"::/0\"?")),
        (text, _) => values::net(text),
    };
    table.parsed(key, read, report)
}

/// Refuses an address of another family than `of`.
pub(super) fn same_family(key: &str, address: At<IpAddr>, of: IpAddr, report: &mut Report<'_>) {
    if address.value.is_ipv6() != of.is_ipv6() {
        let [own, other] = [address.value, of].map(family_of);
        let what = format!("`{key}`: {} is {own}, what it belongs to is {other}", address.value);
        report.error(address.at, what, format!("Give an {other} address."));
    }
}

/// `table`: a number or one of the names that every system has.
pub(super) fn table_number(table: &mut Table<'_>, report: &mut Report<'_>) -> u32 {
    let read = table.get("table").and_then(|value| number_of_table(value, report));
    read.unwrap_or(TABLE_MAIN)
}

fn number_of_table(value: Value<'_>, report: &mut Report<'_>) -> Option<u32> {
    if let DeValue::String(text) = value.value
        && let Some((_, number)) = TABLES.iter().find(|(name, _)| *name == text.as_ref())
    {
        return Some(*number);
    }
    if let DeValue::String(text) = value.value
        && text.parse::<u32>().is_err()
    {
        let what = format!("`table`: \"{}\" is not a table that every system has", shown(text));
        report.error(value.at, what, "Give its number: /etc/iproute2/rt_tables is not read.");
        return None;
    }
    value.integer(1..=u32::MAX, report).map(|read| read.value)
}

/// A list of rules. `family` is that of the instance, for rules that name no net.
pub(super) fn rules(table: &mut Table<'_>, family: Family, report: &mut Report<'_>) -> Vec<At<Rule>> {
    let Some(list) = table.list("rules", report) else { return Vec::new() };
    if let Some(first) = list.get(limits::RULES_MAX) {
        report.error(first.at, format!("more than {} in `rules`", limits::RULES_MAX), "");
    }
    let mut out: Vec<At<Rule>> = Vec::new();
    for item in list.into_iter().take(limits::RULES_MAX) {
        let Some(read) = rule(item, family, report) else { continue };
        let same = |other: &At<Rule>| {
            Rule { no_track: false, ..other.value.clone() } == Rule { no_track: false, ..read.value.clone() }
        };
        if out.iter().any(same) {
            report.error(read.at, "`rules`: this rule is given twice", "Leave one out.");
            continue;
        }
        out.push(read);
    }
    out
}

fn rule(item: Value<'_>, family: Family, report: &mut Report<'_>) -> Option<At<Rule>> {
    if let DeValue::String(_) = item.value {
        let hint = "Write { from = \"10.0.0.0/24\", table = 100, priority = 1000 }.";
        item.wrong("a table", hint.to_owned(), report);
        return None;
    }
    let mut table = item.table("rules", report)?;
    let families = [("ipv4", Family::V4), ("ipv6", Family::V6)];
    let own = table.choice("family", &families, report);
    let to = destination(&mut table, "to", None, report);
    let from = destination(&mut table, "from", to.map(|to| to.value.address), report);
    let family = rule_family(own, [("from", from), ("to", to)], family, report);
    let input = table.parsed("input", values::interface, report).map(|read| read.value);
    let output = table.parsed("output", values::interface, report).map(|read| read.value);
    let fwmark = table.get("fwmark").and_then(|value| fwmark(value, report));
    let tos = table.number("tos", 0..=255, report).map_or(0, |tos| {
        if tos.value & 3 != 0 {
            let what = format!("`tos` is {}, its two lowest bits are not for rules (ECN)", tos.value);
            report.error(tos.at, what, format!("Did you mean {}?", tos.value & !3));
        }
        tos.value
    });
    let action = action(&mut table, item.at, report);
    // Main is 32766: what comes after it is hardly ever asked.
    let priority = table.integer("priority", 0..=32765, report);
    table.require("priority", "priority = 1000");
    let track = table.flag("track", true, report);
    let selects = ["from", "to", "input", "output", "fwmark", "tos"].iter().any(|key| table.has(key));
    if !selects {
        let what =
            "this rule takes all traffic: it has no `from`, `to`, `input`, `output`, `fwmark` or `tos`";
        report.warning(item.at, what, "Say which traffic is meant.");
    }
    table.finish(report);
    let rule = Rule {
        is_ipv6: family == Family::V6,
        from: from.map(|from| from.value),
        to: to.map(|to| to.value),
        input,
        output,
        fwmark,
        tos,
        priority: priority?.value,
        action: action?,
        no_track: !track,
    };
    Some(At { at: item.at, value: rule })
}

fn rule_family(
    own: Option<At<Family>>,
    nets: [(&str, Option<At<Cidr>>); 2],
    default: Family,
    report: &mut Report<'_>,
) -> Family {
    let mut family = own.map(|own| own.value);
    for (key, net) in nets {
        let Some(net) = net else { continue };
        let its = if net.value.address.is_ipv6() { Family::V6 } else { Family::V4 };
        if *family.get_or_insert(its) != its {
            let what = format!("`{key}`: {} is {}, the rule is not", net.value, family_of(net.value.address));
            report.error(net.at, what, "A rule is for one family.");
        }
    }
    family.unwrap_or(default)
}

/// `table`, or `action = "blackhole"` and the like: one of them.
fn action(table: &mut Table<'_>, at: usize, report: &mut Report<'_>) -> Option<RuleAction> {
    let words = [
        ("blackhole", RuleAction::Blackhole),
        ("unreachable", RuleAction::Unreachable),
        ("prohibit", RuleAction::Prohibit),
    ];
    let number = table.get("table").and_then(|value| number_of_table(value, report));
    let action = table.choice("action", &words, report).map(|read| read.value);
    match (table.has("table"), table.has("action")) {
        (true, true) => {
            table.contradict(&["action"], "`table`", "A rule does one thing: leave one out.", report);
            None
        }
        (false, false) => {
            report.error(at, "the rule does nothing", "Add table = 100, or action = \"prohibit\".");
            None
        }
        _ => action.or(number.map(RuleAction::Table)),
    }
}

/// `1`, `"0x1"` or `"0x1/0xff"`: mark and mask.
fn fwmark(value: Value<'_>, report: &mut Report<'_>) -> Option<(u32, u32)> {
    if let DeValue::Integer(_) = value.value {
        return value.integer(0..=u32::MAX, report).map(|read| (read.value, u32::MAX));
    }
    let number = |text: &str| match text.trim().strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.trim().parse().ok(),
    };
    let read = |text: &str| {
        let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
        match (number(mark), mask.map_or(Some(u32::MAX), number)) {
            (Some(mark), Some(mask)) if mark & !mask == 0 => Ok((mark, mask)),
            (Some(mark), Some(mask)) => Err(Problem::new(
                format!("\"{}\" has bits that the mask hides", shown(text)),
                format!("Did you mean \"{:#x}/{mask:#x}\"?", mark & mask),
            )),
            _ => {
                let what = format!("\"{}\" is not a mark", shown(text));
                Err(Problem::new(what, "Write \"0x1\", or with a mask \"0x1/0xff\"."))
            }
        }
    };
    value.parsed(read, report).map(|read| read.value)
}

/// keepalived's and iproute2's `[KIND] [to] NET via IP dev IF ...` in our words.
fn route_as_table(text: &str) -> Option<String> {
    let mut out = String::from("{ ");
    let mut to = None;
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let (key, is_number) = match word {
            "blackhole" | "unreachable" | "prohibit" | "throw" if to.is_none() => {
                out.push_str(&format!("kind = \"{word}\", "));
                continue;
            }
            "unicast" | "to" if to.is_none() => continue,
            net if to.is_none() => {
                values::net(net).ok()?;
                to = Some(net);
                out.push_str(&format!("to = \"{net}\""));
                continue;
            }
            "via" | "gw" => ("via", false),
            "dev" | "oif" => ("interface", false),
            "src" | "from" => ("source", false),
            "scope" => ("scope", false),
            "table" => ("table", true),
            "metric" | "priority" | "preference" => ("metric", true),
            "mtu" => ("mtu", true),
            _ => return None,
        };
        let value = shown(words.next()?);
        let bare = is_number && value.parse::<u32>().is_ok();
        out.push_str(&if bare { format!(", {key} = {value}") } else { format!(", {key} = \"{value}\"") });
    }
    to?;
    Some(out + " }")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_in_the_words_of_others_become_a_table() {
        for (text, wanted) in [
            ("192.0.2.0/24 via 10.0.0.1", "{ to = \"192.0.2.0/24\", via = \"10.0.0.1\" }"),
            (
                "to default gw 10.0.0.1 dev eth0 metric 5",
                "{ to = \"default\", via = \"10.0.0.1\", interface = \"eth0\", metric = 5 }",
            ),
            ("blackhole 10.0.0.0/8 table 100", "{ kind = \"blackhole\", to = \"10.0.0.0/8\", table = 100 }"),
        ] {
            assert_eq!(route_as_table(text).as_deref(), Some(wanted));
        }
        assert_eq!(route_as_table("10.0.0.0/8 nexthop via 10.0.0.1 weight 2"), None, "no half translation");
        assert_eq!(route_as_table("via 10.0.0.1"), None);
    }
}
