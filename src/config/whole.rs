//! What only shows when the tables are seen side by side.

use super::global::no_host;
use super::report::{At, Report};
use super::{service, vrrp};
use crate::model::{Name, Protocol};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Compares all instances and services with one another.
pub(super) fn compare(instances: &[vrrp::Draft], services: &[service::Draft], report: &mut Report<'_>) {
    names("[[vrrp]]", instances.iter().filter_map(|instance| instance.name.as_ref()), report);
    names("[[service]]", services.iter().filter_map(|service| service.name.as_ref()), report);
    vrids(instances, report);
    let vips = addresses(instances, report);
    keys(services, report);
    if !vips.is_empty() {
        on_vips(services, &vips, report);
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

fn vrids(instances: &[vrrp::Draft], report: &mut Report<'_>) {
    let mut seen = BTreeMap::new();
    for instance in instances {
        let (Some(interface), Some(vrid)) = (&instance.interface, instance.vrid) else { continue };
        let key = (&interface.value, vrid.value);
        if let Some(first) = seen.get(&key) {
            let line = report.lines().place(*first).0;
            let what = format!("`vrid` {} is taken on interface {}", vrid.value, interface.value);
            report.error(vrid.at, what, format!("See line {line}; give each [[vrrp]] its own."));
        } else {
            seen.insert(key, vrid.at);
        }
    }
}

/// Two instances on one router would take the address from each other.
fn addresses(instances: &[vrrp::Draft], report: &mut Report<'_>) -> BTreeMap<IpAddr, usize> {
    let mut seen: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for address in instances.iter().flat_map(|instance| &instance.addresses) {
        let ip = address.value.address;
        if let Some(first) = seen.get(&ip) {
            let line = report.lines().place(*first).0;
            let what = format!("`addresses`: {ip} is a virtual address of another [[vrrp]] already");
            report.error(address.at, what, format!("See line {line}; an address belongs to one instance."));
        } else {
            seen.insert(ip, address.at);
        }
    }
    seen
}

fn keys(services: &[service::Draft], report: &mut Report<'_>) {
    let mut seen: BTreeMap<(Protocol, SocketAddr), usize> = BTreeMap::new();
    for service in services {
        let Some(address) = service.address else { continue };
        let key = (service.protocol, address.value);
        if let Some(first) = seen.get(&key) {
            let line = report.lines().place(*first).0;
            let what =
                format!("`address`: {} {} is another service already", service.protocol, address.value);
            report.error(
                address.at,
                what,
                format!("See line {line}; put all servers under one [[service]]."),
            );
        } else {
            seen.insert(key, address.at);
        }
    }
}

/// IPVS-56: a service on an address that is not on the box answers nobody. It may be there by other means, so
/// this is a warning; and IPv6 services can have no VIP of ours in this release.
fn on_vips(services: &[service::Draft], vips: &BTreeMap<IpAddr, usize>, report: &mut Report<'_>) {
    for service in services {
        let Some(address) = service.address else { continue };
        let ip = address.value.ip();
        let other = ip.is_ipv6() || ip.is_loopback() || no_host(ip).is_some();
        if !other && !vips.contains_key(&ip) {
            let shown: Vec<String> = vips.keys().take(4).map(IpAddr::to_string).collect();
            let more = if vips.len() > shown.len() { ", ..." } else { "" };
            report.warning_of_whole(
                address.at,
                format!("`address`: {ip} is not a virtual address of any [[vrrp]]"),
                format!("Those are: {}{more}.", shown.join(", ")),
            );
        }
    }
}
