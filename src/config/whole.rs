//! What only shows when the tables are seen side by side.

use super::fixed::Fixed;
use super::report::{At, Report};
use super::{group, server_group, service, track, vrrp};
use crate::model::{Cidr, Family, IfName, Name, Route, Rule, Supervised, TrackKind};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Compares all tables with one another.
pub(super) fn compare(
    instances: &[vrrp::Draft],
    groups: &[group::Draft],
    tracks: &[track::Draft],
    fixed: &Fixed,
    server_groups: &[server_group::Draft],
    services: &[service::Draft],
    report: &mut Report<'_>,
) {
    names("[[vrrp]]", instances.iter().filter_map(|instance| instance.name.as_ref()), report);
    names("[[sync_group]]", groups.iter().filter_map(|group| group.name.as_ref()), report);
    names("[[track]]", tracks.iter().filter_map(|track| track.name.as_ref()), report);
    names("[[server_group]]", server_groups.iter().filter_map(|group| group.name.as_ref()), report);
    names("[[service]]", services.iter().filter_map(|service| service.name.as_ref()), report);
    vrids(instances, report);
    virtual_macs(instances, report);
    let vips = addresses(instances, fixed, report);
    routes(instances, fixed, report);
    rules(instances, fixed, report);
    supervised(instances, report);
    members(instances, groups, report);
    used(instances, groups, tracks, services, report);
    own_interface(instances, tracks, report);
    if !vips.is_empty() {
        service::on_vips(services, &vips, report);
    }
}

fn names<'d>(table: &str, list: impl Iterator<Item = &'d At<Name>>, report: &mut Report<'_>) {
    let mut seen: BTreeMap<&Name, usize> = BTreeMap::new();
    for name in list {
        if let Some(first) = seen.get(&name.value) {
            let line = report.lines().place(*first).0;
            let what = format!("`name` \"{}\" is taken by another {table}", name.value);
            report.error(name.at, what, format!("See line {line}; names are unique."));
        } else {
            seen.insert(&name.value, name.at);
        }
    }
}

/// Who hears an advert must know whom it is for: interface, family and VRID, or the peer that sent it.
fn vrids(instances: &[vrrp::Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<(&IfName, bool, u8), Vec<&vrrp::Draft>> = BTreeMap::new();
    for instance in instances {
        let (Some(interface), Some(vrid)) = (&instance.interface, instance.vrid) else { continue };
        let key = (&interface.value, instance.family == Family::V6, vrid.value.get());
        let before = seen.entry(key).or_default();
        let clash = before.iter().find(|other| {
            let apart = instance.peers.iter().all(|peer| !other.peers.contains(peer));
            !apart || instance.peers.is_empty() || other.peers.is_empty()
        });
        if let Some(first) = clash.and_then(|other| other.vrid) {
            let line = report.lines().place(first.at).0;
            let what = format!("`vrid` {} is taken on interface {}", vrid.value, interface.value);
            report.error(vrid.at, what, format!("See line {line}; give each [[vrrp]] its own."));
        }
        before.push(instance);
    }
}

/// One macvlan per instance, none with the name of a real interface (VMAC-3, VMAC-4).
fn virtual_macs(instances: &[vrrp::Draft], report: &mut Report<'_>) {
    let real: BTreeSet<&IfName> =
        instances.iter().filter_map(|draft| draft.interface.as_ref()).map(|name| &name.value).collect();
    let mut names: BTreeMap<&IfName, usize> = BTreeMap::new();
    let mut macs: BTreeMap<(&IfName, [u8; 6]), usize> = BTreeMap::new();
    for draft in instances {
        let Some(mac) = &draft.virtual_mac else { continue };
        let name = &mac.value.name;
        if real.contains(name) && draft.interface.as_ref().is_none_or(|own| own.value != *name) {
            let what = format!("`virtual_mac`: {name} is the interface of a [[vrrp]]");
            report.error(mac.at, what, "Give it another name: virtual_mac = { name = \"...\" }.");
        }
        if let Some(first) = names.insert(name, mac.at) {
            let line = report.lines().place(first).0;
            let what = format!("`virtual_mac`: {name} is the macvlan of another [[vrrp]]");
            let hint = format!("See line {line}; write virtual_mac = {{ name = \"...\" }} for one of them.");
            report.error(mac.at, what, hint);
            continue;
        }
        let Some(interface) = &draft.interface else { continue };
        if let Some(first) = macs.insert((&interface.value, mac.value.mac), mac.at) {
            let line = report.lines().place(first).0;
            let what = format!("`virtual_mac`: two on {} have the same MAC (VMAC-4)", interface.value);
            report.error(mac.at, what, format!("See line {line}; give one of them a `mac`."));
        }
    }
}

/// Two instances on one LAN would take the address from each other. Returns all addresses.
fn addresses(instances: &[vrrp::Draft], fixed: &Fixed, report: &mut Report<'_>) -> BTreeSet<IpAddr> {
    let mut seen: BTreeMap<IpAddr, (usize, usize)> = BTreeMap::new();
    let mut on: BTreeMap<(IpAddr, Option<&IfName>), (usize, usize)> = BTreeMap::new();
    for (index, draft) in instances.iter().enumerate() {
        for (key, address) in &draft.addresses {
            let ip = address.value.cidr.address;
            let own = draft.interface.as_ref().map(|interface| &interface.value);
            let interface = address.value.interface.as_ref().or(own);
            let others = |(_, owner): &&(usize, usize)| *owner != index;
            if let Some((first, _)) = on.get(&(ip, interface)).filter(others) {
                let line = report.lines().place(*first).0;
                let what = format!("`{key}`: {ip} is a virtual address of another [[vrrp]] already");
                let hint = format!("See line {line}; an address belongs to one instance.");
                report.error(address.at, what, hint);
            } else if let Some((first, _)) = seen.get(&ip).filter(others).filter(|_| !is_link_local(ip)) {
                let line = report.lines().place(*first).0;
                let what = format!("`{key}`: {ip} is a virtual address of another interface, too");
                report.warning(address.at, what, format!("See line {line}; both may be Active at one time."));
            }
            on.entry((ip, interface)).or_insert((address.at, index));
            seen.entry(ip).or_insert((address.at, index));
        }
    }
    for address in &fixed.addresses {
        let ip = address.value.cidr.address;
        if let Some((first, _)) = on.get(&(ip, address.value.interface.as_ref())) {
            let line = report.lines().place(*first).0;
            let what = format!("`addresses`: {ip} is a virtual address, and cannot be a static one");
            report.error(address.at, what, format!("See line {line}; leave one out."));
        }
        seen.entry(ip).or_insert((address.at, instances.len()));
    }
    seen.into_keys().collect()
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The kernel takes one route for a place, and which one would be a matter of who is Active first. Two
/// instances may never be Active together; `[static]` always is.
fn routes(instances: &[vrrp::Draft], fixed: &Fixed, report: &mut Report<'_>) {
    let on = |route: &Route, own: Option<&IfName>| Route {
        interface: route.interface_on(own).cloned(),
        metric: None,
        no_track: false,
        ..route.clone()
    };
    let mut seen: BTreeMap<(Cidr, u32, u32), (usize, bool, Route)> = BTreeMap::new();
    for route in &fixed.routes {
        seen.entry(route.value.place()).or_insert_with(|| (route.at, true, on(&route.value, None)));
    }
    for draft in instances {
        let Some(own) = &draft.interface else { continue };
        for route in &draft.routes {
            let whole = on(&route.value, Some(&own.value));
            let Some((first, is_static, other)) = seen.get(&route.value.place()) else {
                seen.insert(route.value.place(), (route.at, false, whole));
                continue;
            };
            if *other != whole {
                let line = report.lines().place(*first).0;
                let to = route.value.destination;
                let hint =
                    |why| format!("See line {line}; {why}another `metric` or `table` for one of them.");
                if *is_static {
                    let what = format!("`routes`: [static] has another route to {to}");
                    report.error(route.at, what, hint("choose "));
                } else {
                    let what = format!("`routes`: another [[vrrp]] has another route to {to}");
                    report.warning(route.at, what, hint("the first to be Active wins; choose "));
                }
            }
        }
    }
}

/// What two rules have in common of which only the first is ever asked.
type Selector<'r> = (u32, bool, [Option<Cidr>; 2], [Option<&'r IfName>; 2], Option<(u32, u32)>, u8);

/// As for routes. Rules of one priority that select different packets are good neighbours.
fn rules(instances: &[vrrp::Draft], fixed: &Fixed, report: &mut Report<'_>) {
    fn selector(rule: &Rule) -> Selector<'_> {
        // A net of length 0 is no condition.
        let nets = [rule.from, rule.to].map(|net| net.filter(|net| net.prefix_len > 0));
        let interfaces = [rule.input.as_ref(), rule.output.as_ref()];
        (rule.priority, rule.is_ipv6, nets, interfaces, rule.fwmark, rule.tos)
    }
    let mut seen: BTreeMap<Selector<'_>, (&At<Rule>, Option<usize>)> = BTreeMap::new();
    for rule in &fixed.rules {
        seen.entry(selector(&rule.value)).or_insert((rule, None));
    }
    for (index, draft) in instances.iter().enumerate() {
        for rule in &draft.rules {
            let (first, owner) = *seen.entry(selector(&rule.value)).or_insert((rule, Some(index)));
            if first.value.action == rule.value.action || owner == Some(index) {
                continue;
            }
            let line = report.lines().place(first.at).0;
            let priority = rule.value.priority;
            if owner.is_none() {
                let what = format!("`rules`: [static] does something else with the same at {priority}");
                let hint = format!("See line {line}; choose another `priority` for one of them.");
                report.error(rule.at, what, hint);
            } else {
                let what =
                    format!("`rules`: another [[vrrp]] does something else with the same at {priority}");
                let hint = "the first to be Active wins; choose another `priority` for one of them.";
                report.warning(rule.at, what, format!("See line {line}; {hint}"));
            }
        }
    }
}

/// One service runs while any of its instances is Active, so there is one way to start it.
fn supervised(instances: &[vrrp::Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<&Name, &At<Supervised>> = BTreeMap::new();
    for service in instances.iter().flat_map(|draft| &draft.supervised) {
        let first = *seen.entry(&service.value.name).or_insert(service);
        if first.value != service.value {
            let line = report.lines().place(first.at).0;
            let name = &service.value.name;
            let what = format!("`run_while_active`: \"{name}\" is started or stopped differently elsewhere");
            let hint = format!("See line {line}; write the same, or give it another `name`.");
            report.error(service.at, what, hint);
        }
    }
}

/// Members of groups: in one group only, and able to go together.
fn members(instances: &[vrrp::Draft], groups: &[group::Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for draft in groups {
        if let ([only], 1) = (draft.members.as_slice(), draft.named) {
            let what = "a group of one [[vrrp]] changes nothing";
            report.warning_of_whole(only.at, what, "Name all that belong together.");
        }
        for member in &draft.members {
            if let Some(first) = seen.insert(member.value, member.at) {
                let line = report.lines().place(first).0;
                let what = "`members`: this [[vrrp]] is in two groups";
                report.error(member.at, what, format!("See line {line}; make one group of both."));
            }
        }
        let of = |member: &At<usize>| instances.get(member.value);
        let is_owner = |member: &At<usize>| of(member).is_some_and(|instance| instance.priority.is_owner());
        if let Some(owner) = draft.members.iter().find(|member| is_owner(member))
            && !draft.members.iter().all(is_owner)
        {
            let what = "`members`: priority 255 and others in one group";
            let hint = "The owner of its addresses cannot wait for the others: use 254 or less.";
            report.warning(owner.at, what, hint);
        }
        let weighs = |member: &&At<usize>| {
            of(member).is_some_and(|instance| instance.tracks.iter().any(|track| track.value.weight != 0))
        };
        if let Some(member) = draft.members.iter().find(weighs).filter(|_| !draft.member_weights) {
            let what = "`members`: the weights of this one's trackers have no effect in a group";
            let hint = "Put its trackers into the group's `track`, or set member_weights = true.";
            report.warning(member.at, what, hint);
        }
    }
}

/// A tracker that nobody looks at was probably meant to change something.
fn used(
    instances: &[vrrp::Draft],
    groups: &[group::Draft],
    tracks: &[track::Draft],
    services: &[service::Draft],
    report: &mut Report<'_>,
) {
    let uses = instances.iter().map(|draft| &draft.tracks).chain(groups.iter().map(|draft| &draft.tracks));
    let checks = services.iter().flat_map(|service| &service.tracks).copied();
    let used: BTreeSet<usize> = uses.flatten().map(|track| track.value.track).chain(checks).collect();
    for (index, track) in tracks.iter().enumerate() {
        if let Some(name) = track.name.as_ref().filter(|_| !used.contains(&index))
            && !report.has_errors()
        {
            let what = format!("nobody tracks \"{}\"", name.value);
            let hint = format!("Add track = [\"{}\"] to a [[vrrp]] or a [[sync_group]].", name.value);
            report.warning_of_whole(track.at, what, hint);
        }
    }
}

/// The own interface is tracked anyway: a weight for it promises what cannot be.
fn own_interface(instances: &[vrrp::Draft], tracks: &[track::Draft], report: &mut Report<'_>) {
    for draft in instances {
        let Some(own) = &draft.interface else { continue };
        let always = draft.instance.as_ref().is_some_and(|instance| instance.track_interface);
        for track in &draft.tracks {
            let kind = tracks.get(track.value.track).and_then(|track| track.kind.as_ref());
            let is_own = matches!(kind, Some(TrackKind::Interface { interface }) if *interface == own.value);
            if is_own && always && !track.value.reverse {
                let what = format!("`track`: {} is tracked anyway, without it there is Fault", own.value);
                let hint = "Leave it out, or set track_interface = false to have its weight count.";
                report.warning(track.at, what, hint);
            }
        }
    }
}
