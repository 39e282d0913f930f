//! `lb_kind` and its kin → `forward` and `tunnel`.

use crate::config::document::{Table, Value};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::source::Place;
use crate::config::keepalived::walk::Known;
use crate::config::suggest::shown;

/// How packets reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    /// vipd's word: `nat`, `direct` or `tunnel`.
    pub(super) forward: &'static str,
    /// Another tunnel than IP in IP.
    tunnel: Option<Value>,
}

impl Method {
    /// keepalived's and vipd's default.
    pub(super) const NAT: Method = Method { forward: "nat", tunnel: None };

    /// Packets keep their port on the way.
    pub(super) fn keeps_port(&self) -> bool {
        self.forward != "nat"
    }

    /// Its keys, where they differ from `default`.
    pub(super) fn keys(&self, default: &Method) -> Vec<(&'static str, Value)> {
        let mut keys = Vec::new();
        if self.forward != default.forward {
            keys.push(("forward", self.forward.into()));
        }
        if self.tunnel != default.tunnel {
            let ipip = || Value::Keys(vec![("type", "ipip".into())]);
            if let Some(tunnel) = self.tunnel.clone().or_else(|| (self.forward == "tunnel").then(ipip)) {
                keys.push(("tunnel", tunnel));
            }
        }
        keys
    }

    /// Adds these keys as rows.
    pub(super) fn put(&self, default: &Method, table: &mut Table, place: Place) {
        for (key, value) in self.keys(default) {
            table.put(key, value, place);
        }
    }
}

/// `NAT`, `DR`, or `TUN [type ipip|gue port N|gre [nocsum|csum|remcsum]]`. `None` is told: keepalived keeps
/// its default.
pub(super) fn method(known: Known<'_>, findings: &mut Findings) -> Option<Method> {
    let word = known.statement.argument(0)?;
    match word.text.as_str() {
        "NAT" => Some(Method::NAT),
        "DR" => Some(Method { forward: "direct", tunnel: None }),
        "TUN" => Some(Method { forward: "tunnel", tunnel: tunnel(known, findings) }),
        text => {
            let hint = match text.to_ascii_uppercase().as_str() {
                "FNAT" | "FULLNAT" => {
                    "Full NAT is of patched kernels, IPVS in Linux has none. keepalived takes its default."
                }
                "NAT" | "DR" | "TUN" => "It is written in capitals. keepalived takes its default.",
                _ => "One of NAT, DR, TUN. keepalived takes its default.",
            };
            let what = format!("`{}`: unknown method \"{}\"", known.name, shown(text));
            findings.push(word.place, Kind::Invalid, what, hint);
            None
        }
    }
}

/// `None`: IP in IP. What keepalived takes for wrong is told, and IP in IP to it, too.
fn tunnel(known: Known<'_>, findings: &mut Findings) -> Option<Value> {
    let mut words = known.statement.arguments().iter().skip(1);
    let (mut kind, mut port, mut checksum) = ("ipip", None, None);
    let mut wrong = |place: Place, what: String| {
        let what = format!("`{}`: {what}", known.name);
        findings.push(place, Kind::Invalid, what, "It becomes IP in IP, as in keepalived.");
        None
    };
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "type" => {
                let named = words.next().map_or("", |kind| kind.text.as_str());
                match ["ipip", "gue", "gre"].into_iter().find(|kind| *kind == named) {
                    Some(named) => kind = named,
                    None => {
                        return wrong(word.place, format!("\"{}\" is no type of a tunnel", shown(named)));
                    }
                }
            }
            "port" => {
                let number = words.next().map_or("", |port| port.text.as_str());
                match number.parse::<u16>() {
                    Ok(number) if number > 0 => port = Some(number),
                    Ok(_) | Err(_) => {
                        return wrong(word.place, format!("\"{}\" is not a port", shown(number)));
                    }
                }
            }
            "nocsum" => checksum = None,
            "csum" => checksum = Some("full"),
            "remcsum" => checksum = Some("remote"),
            text => return wrong(word.place, format!("\"{}\" is no word of a tunnel", shown(text))),
        }
    }
    let place = known.statement.place();
    match (kind, port, checksum) {
        ("gue", None, _) => return wrong(place, "a tunnel of type gue lacks its port".to_owned()),
        ("ipip" | "gre", Some(_), _) => return wrong(place, format!("a tunnel of type {kind} has no port")),
        ("ipip", None, Some(_)) => return wrong(place, "IP in IP has no checksum".to_owned()),
        ("gre", None, Some("remote")) => return wrong(place, "remcsum is for type gue".to_owned()),
        ("ipip", ..) => return None,
        _ => {}
    }
    let mut keys: Vec<(&'static str, Value)> = vec![("type", kind.into())];
    keys.extend(port.map(|port| ("port", u32::from(port).into())));
    keys.extend(checksum.map(|checksum| ("checksum", checksum.into())));
    Some(Value::Keys(keys))
}
