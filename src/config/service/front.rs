//! What clients connect to: `address`, `fwmark` or `group`.

use super::Scope;
use crate::config::global::no_host;
use crate::config::reader::Table;
use crate::config::report::{At, Report};
use crate::config::server_group;
use crate::config::suggest::{nearest, shown};
use crate::config::values;
use crate::model::{Front, Name, Protocol, ServiceKey};

/// What a service's own keys, its servers and the other services need to know of its front.
#[derive(Default)]
pub(in crate::config) struct Face {
    /// Where it is named.
    pub(in crate::config) at: usize,
    /// The key that names it.
    pub(in crate::config) named: &'static str,
    /// Its names in the kernel's table; none where they could not be read.
    pub(in crate::config) keys: Vec<ServiceKey>,
}

impl Face {
    pub(super) fn has_ipv4(&self) -> bool {
        self.keys.iter().any(|key| !key.is_ipv6())
    }

    pub(super) fn has_ipv6(&self) -> bool {
        self.keys.iter().any(ServiceKey::is_ipv6)
    }

    pub(super) fn has_address(&self) -> bool {
        self.keys.iter().any(|key| key.address().is_some())
    }

    /// The family of servers that are given by name and say nothing else.
    pub(super) fn prefers_ipv6(&self) -> bool {
        self.has_ipv6() && !self.has_ipv4()
    }

    /// The one port that all of it has; `None` where there are several, where any will do, or where nothing
    /// is known.
    pub(super) fn port(&self) -> Option<u16> {
        let mut ports = self.keys.iter().map(port);
        let first = ports.next().filter(|port| *port != 0)?;
        ports.all(|port| port == first).then_some(first)
    }
}

/// 0 for a mark, and for all ports.
fn port(key: &ServiceKey) -> u16 {
    match key {
        ServiceKey::Address { address, .. } => address.port(),
        ServiceKey::Mark { .. } => 0,
    }
}

/// Reads the keys; exactly one of the three names the front.
pub(super) fn front(
    table: &mut Table<'_>,
    scope: &Scope<'_>,
    report: &mut Report<'_>,
) -> (Protocol, Option<Front>, Face) {
    let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];
    let protocol = table.choice("protocol", &words, report).map_or(Protocol::Tcp, |read| read.value);
    let address = table.parsed("address", |text| values::socket(text, None, 80), report);
    let mark = table.integer("fwmark", 1..=u32::MAX, report);
    let families = [("ipv4", false), ("ipv6", true)];
    let ipv6 = table.choice("family", &families, report).is_some_and(|read| read.value);
    let group = table.text("group", report);
    alone(table, report);
    if let Some(address) = address {
        if let Some(kind) = no_host(address.value.ip()) {
            let what = format!("`address`: {} is {kind}, no client can connect to it", address.value.ip());
            report.error(address.at, what, "Give the virtual address.");
        }
        let key = ServiceKey::Address { protocol, address: address.value };
        let face = Face { at: address.at, named: "address", keys: vec![key] };
        return (protocol, Some(Front::Address(address.value)), face);
    }
    if let Some(mark) = mark {
        let face =
            Face { at: mark.at, named: "fwmark", keys: vec![ServiceKey::Mark { mark: mark.value, ipv6 }] };
        return (Protocol::Tcp, Some(Front::Mark { mark: mark.value, ipv6 }), face);
    }
    let Some(group) = group else { return (protocol, None, Face::default()) };
    let Some((name, keys)) = find(group, protocol, scope, report) else {
        return (protocol, None, Face::default());
    };
    let face = Face { at: group.at, named: "group", keys: keys.clone() };
    if !face.has_address() {
        no_protocol(table, "a group of marks", report);
    }
    (protocol, Some(Front::Group { name, keys }), face)
}

/// Exactly one, and beside it nothing that has no meaning there.
fn alone(table: &mut Table<'_>, report: &mut Report<'_>) {
    let given: Vec<&str> = ["address", "fwmark", "group"].into_iter().filter(|key| table.has(key)).collect();
    match given.as_slice() {
        [] => table.require("address", "address = \"10.0.0.100:80\", or `fwmark`, or `group`"),
        [first, others @ ..] => {
            let says = format!("`{first}`");
            table.contradict(others, &says, "A service has one of address, fwmark and group.", report);
        }
    }
    if table.has("fwmark") {
        no_protocol(table, "`fwmark`", report);
    } else if table.has("address") {
        let hint = "Leave it out: the address says it.";
        table.contradict(&["family"], "`address`", hint, report);
    } else if table.has("group") {
        let hint = "Leave it out; a [[server_group]] says of which family its marks are.";
        table.contradict(&["family"], "`group`", hint, report);
    }
}

fn no_protocol(table: &mut Table<'_>, front: &str, report: &mut Report<'_>) {
    if table.has("protocol") {
        let what = format!("`protocol` has no meaning with {front}");
        let hint = "Leave it out: whatever bears the mark is taken, of any protocol.";
        report.error(table.key_at("protocol"), what, hint);
    }
}

/// The group of that name, and its members.
fn find(
    name: At<&str>,
    protocol: Protocol,
    scope: &Scope<'_>,
    report: &mut Report<'_>,
) -> Option<(Name, Vec<ServiceKey>)> {
    fn named(group: &server_group::Draft) -> Option<&Name> {
        group.name.as_ref().map(|name| &name.value)
    }
    if let Some(group) = scope.groups.iter().find(|group| named(group).is_some_and(|own| *own == name.value))
    {
        let keys = group.keys(protocol);
        return Some((group.name.as_ref()?.value.clone(), keys)).filter(|(_, keys)| !keys.is_empty());
    }
    if scope.groups.iter().any(|group| group.name.is_none()) {
        return None; // the name that could not be read may be this one
    }
    let names: Vec<&str> = scope.groups.iter().filter_map(named).map(|name| name.as_str()).collect();
    let hint = match nearest(name.value, &names) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None if names.is_empty() => format!("Add [[server_group]] with name = \"{}\".", shown(name.value)),
        None => {
            let few: Vec<&str> = names.into_iter().take(8).collect();
            format!("Those are: {}.", few.join(", "))
        }
    };
    let what = format!("`group`: no [[server_group]] is called \"{}\"", shown(name.value));
    report.error_of_whole(name.at, what, hint);
    None
}

/// What is only taken with `persistence`, only with UDP, or only with an address (IPVS-60).
pub(super) struct Wants {
    /// Clients stick to a server.
    pub(super) persistent: bool,
    /// Where `one_packet = true` stands.
    pub(super) one_packet: Option<usize>,
    /// Where `suspend = true` stands.
    pub(super) suspend: Option<usize>,
}

/// Compares the front with the rest of its service.
pub(super) fn suits(face: &Face, wants: &Wants, protocol: Protocol, report: &mut Report<'_>) {
    if face.keys.is_empty() {
        return;
    }
    let any_port = face.keys.iter().find(|key| port(key) == 0 && key.address().is_some());
    if let Some(key) = any_port.filter(|_| !wants.persistent) {
        let what = match (face.named, key.address()) {
            ("group", Some(ip)) => format!("`group`: it has {ip} with port 0, which needs `persistence`"),
            _ => "`address`: port 0, which is every port, needs `persistence`".to_owned(),
        };
        report.error(face.at, what, "Give the port, or add persistence = \"6m\".");
    }
    if let Some(at) = wants.one_packet
        && protocol != Protocol::Udp
        && face.has_address()
    {
        let what = format!("`one_packet` is for UDP or a mark, this is {protocol}");
        report.error(at, what, "Set protocol = \"udp\", or leave it out.");
    }
    if let Some(at) = wants.suspend.filter(|_| !face.has_address()) {
        let what = "`suspend`: a mark has no address that could be here or away";
        report.error(at, what, "Leave it out.");
    }
}
