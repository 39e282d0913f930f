//! What only shows when the services are seen beside one another, and beside `[ipvs]` and `[mail]`.

use super::Draft;
use crate::config::global::no_host;
use crate::config::report::Report;
use crate::config::{ipvs, server_group};
use crate::limits;
use crate::model::ServiceKey;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Compares all of it.
pub(in crate::config) fn compare(
    services: &[Draft],
    groups: &[server_group::Draft],
    ipvs: &ipvs::Draft,
    has_mail: bool,
    report: &mut Report<'_>,
) {
    keys(services, report);
    old_interface(services, ipvs, report);
    if let Some(sync) = ipvs.sync {
        mixed(services, sync, report);
    }
    if !has_mail {
        for at in services.iter().flat_map(|service| &service.mails) {
            report.warning_of_whole(
                *at,
                "`mail = true`, and there is no [mail]",
                "Add [mail] with a server.",
            );
        }
    }
    used(services, groups, report);
}

/// Two services with one name in the kernel's table would undo each other's work.
fn keys(services: &[Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<ServiceKey, (usize, &str)> = BTreeMap::new();
    let mut count = 0;
    for service in services {
        let face = &service.face;
        count += face.keys.len();
        if count > limits::SERVICE_KEYS_MAX {
            let what = format!("`{}`: more than {} in all services", face.named, limits::SERVICE_KEYS_MAX);
            report.error(face.at, what, "A mark for many addresses is one.");
            return;
        }
        let taken = face.keys.iter().find_map(|key| seen.get(key).map(|first| (key, *first)));
        if let Some((key, (first, named))) = taken {
            let line = report.lines().place(first).0;
            let what = match key {
                ServiceKey::Address { protocol, address } if face.named == "address" => {
                    format!("`address`: {protocol} {address} is another service already")
                }
                ServiceKey::Address { protocol, address } => {
                    format!("`group`: {protocol} {address} of it is another service already")
                }
                ServiceKey::Mark { mark, .. } if face.named == "fwmark" => {
                    format!("`fwmark`: {mark} is another service already")
                }
                ServiceKey::Mark { mark, .. } => {
                    format!("`group`: the mark {mark} of it is another service already")
                }
            };
            let also = if named == "group" && face.named != "group" { ", by its group" } else { "" };
            let hint = format!("See line {line}{also}; put all servers under one [[service]].");
            report.error(face.at, what, hint);
        }
        for key in &face.keys {
            seen.entry(*key).or_insert((face.at, face.named));
        }
    }
}

/// IPVS-90: the old interface of the kernel has structs of a fixed size, and IPv4 only.
fn old_interface(services: &[Draft], ipvs: &ipvs::Draft, report: &mut Report<'_>) {
    let Some(at) = ipvs.sockopt else { return };
    let line = report.lines().place(at).0;
    for newer in services.iter().flat_map(|service| &service.newer).chain(&ipvs.newer) {
        let what = format!("{} needs netlink, and line {line} says interface = \"sockopt\"", newer.value);
        report.error(newer.at, what, "Leave one of the two out.");
    }
}

/// IPVS-44b: the kernel starts no sync daemon while it has such a server, and takes none beside one.
fn mixed(services: &[Draft], sync: usize, report: &mut Report<'_>) {
    let line = report.lines().place(sync).0;
    for at in services.iter().flat_map(|service| &service.mixed) {
        let what = "`address`: a server of the other family cannot be beside [ipvs.sync] (IPVS-44b)";
        report.error(*at, what, format!("See line {line}; the kernel refuses one of the two."));
    }
}

/// IPVS-56: a service on an address that is not on the box answers nobody. It may be there by other means, so
/// this is a warning.
pub(in crate::config) fn on_vips(services: &[Draft], vips: &BTreeSet<IpAddr>, report: &mut Report<'_>) {
    let known4 = vips.iter().any(|ip| ip.is_ipv4());
    let known6 = vips.iter().any(|ip| ip.is_ipv6());
    for service in services {
        let missing = service.face.keys.iter().filter_map(ServiceKey::address).find(|ip| {
            let known = if ip.is_ipv6() { known6 } else { known4 };
            known && !ip.is_loopback() && no_host(*ip).is_none() && !vips.contains(ip)
        });
        let Some(ip) = missing else { continue };
        let same = vips.iter().filter(|vip| vip.is_ipv6() == ip.is_ipv6());
        let mut shown: Vec<String> = same.take(5).map(|vip| vip.to_string()).collect();
        let more = if shown.len() > 4 { ", ..." } else { "" };
        shown.truncate(4);
        report.warning_of_whole(
            service.face.at,
            format!("`{}`: {ip} is not a virtual address of any [[vrrp]]", service.face.named),
            format!("Those are: {}{more}.", shown.join(", ")),
        );
    }
}

/// A group that no service names was probably meant for one.
fn used(services: &[Draft], groups: &[server_group::Draft], report: &mut Report<'_>) {
    let used: BTreeSet<&str> = services.iter().filter_map(|service| service.group()).collect();
    for group in groups {
        if let Some(name) = group.name.as_ref().filter(|name| !used.contains(name.value.as_str()))
            && !report.has_errors()
        {
            let what = format!("no [[service]] is for the group \"{}\"", name.value);
            report.warning_of_whole(group.at, what, format!("Add group = \"{}\" to one.", name.value));
        }
    }
}
