//! Lines of `virtual_routes`, `virtual_rules`, `static_routes` and `static_rules`.

use super::super::finding::{Findings, Kind};
use super::super::tree::{Statement, Word};
use super::address::{scope, unsupported, value};
use crate::config::document::Value;
use crate::config::others::ROUTE_VALUES;
use crate::config::suggest::shown;
use crate::config::values;
use crate::model::Cidr;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kernel takes it for the first rule without a priority, and one less for each other.
const LAST_RULE: u32 = 32_765;

type Keys = Vec<(&'static str, Value)>;

/// `[TYPE] [to] NET [via IP] [dev IF] ...` of every line.
pub(super) fn routes<'t>(lines: impl Iterator<Item = &'t Statement>, findings: &mut Findings) -> Vec<Value> {
    let mut out: Vec<Option<Value>> = Vec::new();
    let mut places = BTreeMap::new();
    for line in lines {
        let Some(keys) = route(line, findings) else { continue };
        if let Some(at) = places.insert(place(&keys), out.len()) {
            out.get_mut(at).map(Option::take);
            let what = "a line above has a route to this net in this table, too";
            let hint = "The kernel takes the last one, and so does this: the other one is left out.";
            findings.push(line.place(), Kind::Changed, what, hint);
        }
        out.push(Some(Value::Keys(keys)));
    }
    out.into_iter().flatten().collect()
}

/// What the kernel takes one route for: its net, table and metric.
fn place(keys: &Keys) -> (Option<Cidr>, [String; 2]) {
    let get = |key| keys.iter().find(|(other, _)| *other == key).map(|(_, value)| value);
    let net = match get("to") {
        Some(Value::Text(text)) => values::net(text).ok(),
        _ => None,
    };
    let number = |key| match get(key) {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    (net, ["table", "metric"].map(number))
}

/// Family of a route, which any word may be the first to say. `None` is told: another word said another one.
fn of_family(is_ipv6: bool, known: &mut Option<bool>, word: &Word, findings: &mut Findings) -> Option<()> {
    if *known.get_or_insert(is_ipv6) == is_ipv6 {
        return Some(());
    }
    let what = format!("\"{}\" is of another family than the words before it", shown(&word.text));
    findings.push(word.place, Kind::Unsupported, what, "The line is left out.");
    None
}

/// The last value of each key counts.
fn unique(keys: Keys) -> Keys {
    let mut out = Keys::new();
    for (key, value) in keys {
        match out.iter_mut().find(|(other, _)| *other == key) {
            Some(known) => known.1 = value,
            None => out.push((key, value)),
        }
    }
    out
}

/// Tells what is no net, or one with host bits.
fn is_net(word: &Word, findings: &mut Findings) -> bool {
    match values::net(&word.text) {
        Ok(_) => true,
        Err(problem) => {
            findings.push(word.place, Kind::Invalid, problem.what, "The line is left out.");
            false
        }
    }
}

fn route(line: &Statement, findings: &mut Findings) -> Option<Keys> {
    let mut keys = Keys::new();
    let mut to: Option<&Word> = None;
    let mut kind = None;
    let mut family: Option<bool> = None;
    let mut scope_word: Option<&Word> = None;
    let mut words = line.words.iter().peekable();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        match text {
            "blackhole" | "unreachable" | "prohibit" | "throw" if to.is_none() => {
                kind = Some(("kind", Value::from(text)));
            }
            "unicast" if to.is_none() => {}
            "local" | "broadcast" | "multicast" | "anycast" | "nat" | "xresolve" if to.is_none() => {
                let what = format!("a route of type `{text}` has no counterpart here");
                findings.push(word.place, Kind::Unsupported, what, "The line is left out.");
                return None;
            }
            "inet" | "inet6" => of_family(text == "inet6", &mut family, word, findings)?,
            "to" => to = value(word, words.next(), findings),
            "via" | "gw" => {
                words.next_if(|word| matches!(word.text.as_str(), "inet" | "inet6"));
                if text == "gw" {
                    findings.push(word.place, Kind::Deprecated, "`gw` is an old name of `via`", "");
                }
                ip("via", word, words.next(), &mut keys, &mut family, findings)?;
            }
            "or" => {
                words.next();
                let hint = "vipd's routes have one next hop: the first is taken.";
                findings.push(word.place, Kind::Unsupported, "a second next hop (`or`)", hint);
            }
            "nexthop" => {
                let hint = "vipd's routes have one next hop: the first is taken.";
                findings.push(word.place, Kind::Unsupported, "several next hops", hint);
                let has_one = keys.iter().any(|(key, _)| *key == "via");
                while let Some(word) = words.next_if(|word| !has_one && word.text != "nexthop") {
                    match word.text.as_str() {
                        "via" => {
                            words.next_if(|word| matches!(word.text.as_str(), "inet" | "inet6"));
                            ip("via", word, words.next(), &mut keys, &mut family, findings)?;
                        }
                        "dev" => option("interface", word, words.next(), &mut keys, findings),
                        "onlink" => keys.push(("on_link", Value::Flag(true))),
                        _ => {}
                    }
                }
                words.by_ref().for_each(drop);
            }
            "dev" | "oif" => option("interface", word, words.next(), &mut keys, findings),
            "src" | "from" => ip("source", word, words.next(), &mut keys, &mut family, findings)?,
            "table" => match table(words.next(), word, findings) {
                Some(number) => keys.push(("table", number)),
                None => return None,
            },
            "metric" | "priority" | "preference" => number("metric", word, words.next(), &mut keys, findings),
            "scope" => scope_word = value(word, words.next(), findings),
            "onlink" => keys.push(("on_link", Value::Flag(true))),
            "no_track" => keys.push(("track", Value::Flag(false))),
            "mtu" => {
                words.next_if(|word| word.text == "lock");
                number("mtu", word, words.next(), &mut keys, findings);
            }
            "protocol" => {
                words.next();
                let what = "`protocol` of a route is left out";
                findings.push(word.place, Kind::Ignored, what, "vipd marks its routes with its own.");
            }
            "encap" | "as" => {
                unsupported(word, findings);
                words.by_ref().for_each(drop);
            }
            "fastopen_no_cookie" => {
                words.next();
                unsupported(word, findings);
            }
            text if ROUTE_VALUES.contains(&text) => {
                words.next_if(|word| word.text == "lock");
                words.next();
                unsupported(word, findings);
            }
            _ if to.is_none() => to = Some(word),
            _ => {
                let what = format!("\"{}\" is no option of a route", shown(text));
                let hint = "keepalived leaves the line out, and so does this.";
                findings.push(word.place, Kind::Changed, what, hint);
                return None;
            }
        }
    }
    let Some(to) = to else {
        findings.push(line.place(), Kind::Invalid, "the route goes nowhere", "The line is left out.");
        return None;
    };
    let net = match to.text.as_str() {
        "default6" => {
            findings.push(
                to.place,
                Kind::Deprecated,
                "`default6` is an old way to write `inet6 default`",
                "",
            );
            of_family(true, &mut family, to, findings)?;
            "::/0"
        }
        "default" if family == Some(true) => "::/0",
        "default" => "default",
        _ if !is_net(to, findings) => return None,
        text => {
            of_family(text.contains(':'), &mut family, to, findings)?;
            text
        }
    };
    let mut all = vec![("to", Value::from(net))];
    all.extend(kind);
    let scope = scope_word.and_then(|word| scope(word, family == Some(true), findings));
    keys.extend(scope.map(|scope| ("scope", scope)));
    all.extend(keys);
    Some(unique(all))
}

/// What rules need to know of one another.
pub(super) struct Rules {
    next: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { next: LAST_RULE }
    }
}

impl Rules {
    /// `[from NET] [to NET] ... [table N]` of every line.
    pub(super) fn rules<'t>(
        &mut self,
        lines: impl Iterator<Item = &'t Statement>,
        findings: &mut Findings,
    ) -> Vec<Value> {
        lines.filter_map(|line| self.rule(line, findings)).map(Value::Keys).collect()
    }

    fn rule(&mut self, line: &Statement, findings: &mut Findings) -> Option<Keys> {
        let mut keys = Keys::new();
        let mut words = line.words.iter();
        while let Some(word) = words.next() {
            let text = word.text.as_str();
            match text {
                "inet" => keys.push(("family", Value::from("ipv4"))),
                "inet6" => keys.push(("family", Value::from("ipv6"))),
                "from" => net("from", word, words.next(), &mut keys, findings)?,
                "to" => net("to", word, words.next(), &mut keys, findings)?,
                "table" | "lookup" => match table(words.next(), word, findings) {
                    Some(number) => keys.push(("table", number)),
                    None => return None,
                },
                "priority" | "preference" | "order" => {
                    number("priority", word, words.next(), &mut keys, findings);
                }
                "tos" | "dsfield" => match value(word, words.next(), findings).map(|word| hex(&word.text)) {
                    Some(Some(tos)) => keys.push(("tos", Value::from(tos))),
                    _ => return refused(word, findings),
                },
                "fwmark" => option("fwmark", word, words.next(), &mut keys, findings),
                "iif" | "dev" => option("input", word, words.next(), &mut keys, findings),
                "oif" => option("output", word, words.next(), &mut keys, findings),
                "blackhole" | "unreachable" | "prohibit" => keys.push(("action", Value::from(text))),
                "type" => match value(word, words.next(), findings).map(|word| word.text.as_str()) {
                    Some(kind @ ("blackhole" | "unreachable" | "prohibit")) => {
                        keys.push(("action", Value::from(kind)));
                    }
                    Some("unicast") => {}
                    _ => return refused(word, findings),
                },
                "protocol" => {
                    words.next();
                    let what = "`protocol` of a rule is left out";
                    findings.push(word.place, Kind::Ignored, what, "vipd marks its rules with its own.");
                }
                "no_track" => keys.push(("track", Value::Flag(false))),
                // Without one of its conditions a rule would take other traffic.
                _ => return refused(word, findings),
            }
        }
        if !keys.iter().any(|(key, _)| *key == "priority") {
            let what = format!("a rule without a priority gets {}", self.next);
            let hint = "The kernel counts down so, as long as nobody else makes rules.";
            findings.push(line.place(), Kind::Changed, what, hint);
            keys.push(("priority", Value::from(self.next)));
            self.next = self.next.saturating_sub(1);
        }
        Some(unique(keys))
    }
}

fn refused(word: &Word, findings: &mut Findings) -> Option<Keys> {
    let what = format!("a rule with `{}` has no counterpart here", shown(&word.text));
    findings.push(word.place, Kind::Unsupported, what, "The whole rule is left out.");
    None
}

fn option(key: &'static str, word: &Word, next: Option<&Word>, keys: &mut Keys, findings: &mut Findings) {
    keys.extend(value(word, next, findings).map(|value| (key, Value::from(value.text.as_str()))));
}

/// An address of a route. `None` is told: it is none, or of another family.
fn ip(
    key: &'static str,
    word: &Word,
    next: Option<&Word>,
    keys: &mut Keys,
    family: &mut Option<bool>,
    findings: &mut Findings,
) -> Option<()> {
    let next = value(word, next, findings)?;
    let Ok(ip) = next.text.parse::<IpAddr>() else {
        let what = format!("\"{}\" is not an address", shown(&next.text));
        findings.push(next.place, Kind::Invalid, what, "The line is left out.");
        return None;
    };
    of_family(ip.is_ipv6(), family, next, findings)?;
    keys.push((key, Value::from(next.text.as_str())));
    Some(())
}

/// A net of a rule; `all` and `default` are no condition. `None`: it is no net.
fn net(
    key: &'static str,
    word: &Word,
    next: Option<&Word>,
    keys: &mut Keys,
    findings: &mut Findings,
) -> Option<()> {
    let next = value(word, next, findings)?;
    match values::masked_net(&next.text) {
        _ if matches!(next.text.as_str(), "all" | "any" | "default") => {}
        // The kernel compares the bits of the prefix alone.
        Some(net) if values::net(&next.text).is_err() => {
            let what = format!("\"{}\" is read as {net}", shown(&next.text));
            findings.push(next.place, Kind::Changed, what, "The kernel takes it so.");
            keys.push((key, Value::from(net.to_string())));
        }
        _ => {
            is_net(next, findings).then_some(())?;
            keys.push((key, Value::from(next.text.as_str())));
        }
    }
    Some(())
}

fn number(key: &'static str, word: &Word, next: Option<&Word>, keys: &mut Keys, findings: &mut Findings) {
    let Some(next) = value(word, next, findings) else { return };
    match hex(&next.text) {
        Some(number) => keys.push((key, Value::from(number))),
        None => {
            let what = format!("`{}` wants a number, not \"{}\"", shown(&word.text), shown(&next.text));
            findings.push(next.place, Kind::Invalid, what, "It is left out.");
        }
    }
}

/// Decimal, or with `0x`.
fn hex(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A table by its number, or by a name that every system has.
fn table(word: Option<&Word>, option: &Word, findings: &mut Findings) -> Option<Value> {
    let word = value(option, word, findings)?;
    match word.text.as_str() {
        text @ ("main" | "default" | "local") => Some(Value::from(text)),
        text => match hex(text).filter(|number| *number > 0) {
            Some(number) => Some(Value::from(number)),
            None => {
                let what = format!("\"{}\" is not a table that every system has", shown(text));
                let hint = "The line is left out: give the number from /etc/iproute2/rt_tables.";
                findings.push(word.place, Kind::Unsupported, what, hint);
                None
            }
        },
    }
}
