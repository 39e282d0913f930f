//! Lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`.

use super::super::finding::{Findings, Kind};
use super::super::tree::{Statement, Word};
use crate::config::document::Value;
use crate::config::suggest::shown;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Where addresses go.
pub(super) struct Home<'h> {
    /// Interface of those that name none.
    pub(super) interface: &'h str,
    /// They are of this family alone (`true`: IPv6).
    pub(super) is_ipv6: Option<bool>,
    /// Each names its interface.
    pub(super) is_static: bool,
}

/// The address that a line begins with, if it is one.
pub(super) fn first_ip(line: &Statement) -> Option<IpAddr> {
    let text = line.keyword();
    text.split_once('/').map_or(text, |(ip, _)| ip).parse().ok()
}

/// The values of some lines. `seen` has those that stand in another list of the same owner.
pub(super) fn list<'t>(
    lines: impl Iterator<Item = &'t Statement>,
    home: &Home<'_>,
    seen: &mut BTreeSet<(IpAddr, String)>,
    findings: &mut Findings,
) -> Vec<Value> {
    lines.filter_map(|line| address(line, home, seen, findings)).collect()
}

fn address(
    line: &Statement,
    home: &Home<'_>,
    seen: &mut BTreeSet<(IpAddr, String)>,
    findings: &mut Findings,
) -> Option<Value> {
    let place = line.place();
    let written = line.keyword();
    let Some(ip) = first_ip(line) else {
        let what = format!("\"{}\" is not an address", shown(written));
        findings.push(place, Kind::Invalid, what, "keepalived leaves the line out.");
        return None;
    };
    if home.is_ipv6.is_some_and(|is_ipv6| is_ipv6 != ip.is_ipv6()) {
        let what = format!("{ip} is of another family than the first address");
        let hint = "keepalived leaves it out: virtual_ipaddress_excluded takes both families.";
        findings.push(place, Kind::Invalid, what, hint);
        return None;
    }
    let mut keys: Vec<(&'static str, Value)> = Vec::new();
    let mut interface = None;
    let mut label = None;
    let mut words = line.arguments().iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "dev" => interface = value(word, words.next(), findings),
            "label" => label = value(word, words.next(), findings),
            "scope" => {
                let Some(scope) = value(word, words.next(), findings) else { continue };
                keys.extend(self::scope(scope, ip.is_ipv6(), findings).map(|scope| ("scope", scope)));
            }
            "brd" | "broadcast" => {
                let Some(broadcast) = value(word, words.next(), findings) else { continue };
                if ip.is_ipv6() {
                    left_out(word, "an IPv6 address has no broadcast address", findings);
                } else if broadcast.text != "-" {
                    keys.push(("broadcast", Value::from(broadcast.text.as_str())));
                }
            }
            "peer" => {
                let peer = value(word, words.next(), findings);
                keys.extend(peer.map(|peer| ("peer", Value::from(peer.text.as_str()))));
            }
            "preferred_lft" => {
                let Some(time) = value(word, words.next(), findings) else { continue };
                lifetime(time, ip, &mut keys, findings);
            }
            "noprefixroute" => keys.push(("prefix_route", Value::Flag(false))),
            "no_track" => keys.push(("track", Value::Flag(false))),
            "home" | "mngtmpaddr" | "autojoin" | "-nodad" | "nodad" | "use_vmac" => {
                unsupported(word, findings);
            }
            "track_group" => {
                words.next();
                unsupported(word, findings);
            }
            _ => {
                let what = format!("\"{}\" is no option of an address", shown(&word.text));
                findings.push(word.place, Kind::Changed, what, "keepalived leaves it out, and so does this.");
            }
        }
    }
    let on = interface.map_or(home.interface, |word| word.text.as_str());
    if !seen.insert((ip, on.to_owned())) {
        let what = format!("{ip} is there already");
        findings.push(place, Kind::Changed, what, "The second one is left out.");
        return None;
    }
    if let Some(label) = label {
        keys.extend(self::label(label, on, ip, findings).map(|label| ("label", label)));
    }
    if home.is_static || interface.is_some_and(|word| word.text != home.interface) {
        keys.insert(0, ("interface", Value::from(on)));
    }
    if keys.is_empty() {
        return Some(Value::from(written));
    }
    keys.insert(0, ("address", Value::from(written)));
    Some(Value::Keys(keys))
}

/// The word after an option; without one there is a finding.
pub(super) fn value<'t>(option: &Word, value: Option<&'t Word>, findings: &mut Findings) -> Option<&'t Word> {
    if value.is_none() {
        let what = format!("`{}` lacks its value", shown(&option.text));
        findings.push(option.place, Kind::Invalid, what, "It is left out.");
    }
    value
}

/// An option that vipd does not have.
pub(super) fn unsupported(word: &Word, findings: &mut Findings) {
    let what = format!("`{}` has no counterpart here", shown(&word.text));
    findings.push(word.place, Kind::Unsupported, what, "It is left out.");
}

/// An option without use.
fn left_out(word: &Word, why: &str, findings: &mut Findings) {
    let what = format!("`{}` is left out: {why}", shown(&word.text));
    findings.push(word.place, Kind::Ignored, what, "");
}

/// A scope of IPv4, by a name that all systems have or by its number.
pub(super) fn scope(word: &Word, is_ipv6: bool, findings: &mut Findings) -> Option<Value> {
    if is_ipv6 {
        left_out(word, "IPv6 knows no scopes here", findings);
        return None;
    }
    match word.text.as_str() {
        "global" => None,
        "site" | "link" | "host" => Some(Value::from(word.text.as_str())),
        "nowhere" => Some(Value::Number(255)),
        text => match text.parse::<u8>() {
            Ok(0) => None,
            Ok(number) => Some(Value::Number(number.into())),
            Err(_) => {
                let what = format!("\"{}\" is not a scope that every system has", shown(text));
                findings.push(word.place, Kind::Invalid, what, "Give its number; it is left out.");
                None
            }
        },
    }
}

/// A lifetime of 0 makes an IPv6 address deprecated; any other does not, and vipd counts none down.
fn lifetime(word: &Word, ip: IpAddr, keys: &mut Vec<(&'static str, Value)>, findings: &mut Findings) {
    let is_zero = word.text == "0";
    if ip.is_ipv4() {
        left_out(word, "IPv4 asks no address for its lifetime", findings);
        return;
    }
    if !is_zero && word.text != "forever" {
        let what = format!("`preferred_lft {}` is taken for forever", shown(&word.text));
        findings.push(word.place, Kind::Changed, what, "vipd's addresses are deprecated or not.");
    }
    keys.push(("deprecated", Value::Flag(is_zero)));
}

/// vipd's labels begin with the interface, so that everybody finds the address there.
fn label(word: &Word, interface: &str, ip: IpAddr, findings: &mut Findings) -> Option<Value> {
    if ip.is_ipv6() {
        left_out(word, "an IPv6 address has no label", findings);
        return None;
    }
    let rest = word.text.strip_prefix(interface);
    if rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(':')) {
        let what = format!("the label \"{}\" is left out", shown(&word.text));
        let hint = format!("It does not begin with the interface, \"{interface}:\".");
        findings.push(word.place, Kind::Changed, what, hint);
        return None;
    }
    Some(Value::from(word.text.as_str()))
}
