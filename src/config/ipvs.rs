//! `[ipvs]`: how the kernel's table is looked after.

mod settings;

use super::reader::Table;
use super::report::{At, Report};
use super::suggest::{nearest, shown};
use super::values;
use super::vrrp;
use crate::model::{Daemon, Ipvs, IpvsInterface, SyncDaemon, Timeouts};
use crate::time::Duration;
use std::net::IpAddr;

/// Seconds that the kernel can multiply by its HZ, which is 1000 at most (IPVS-45c).
const TIMEOUT_MAX: Duration = Duration::from_secs(2_147_483);

/// What could be read of `[ipvs]`, for comparisons with the services.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) ipvs: Ipvs,
    /// Where `interface = "sockopt"` stands.
    pub(super) sockopt: Option<usize>,
    /// Where `[ipvs.sync]` stands.
    pub(super) sync: Option<usize>,
    /// Parameters of the sync daemon that the old interface of the kernel does not have.
    pub(super) newer: Vec<At<&'static str>>,
}

/// `[ipvs]`.
pub(super) fn ipvs(mut table: Table<'_>, instances: &[vrrp::Draft], report: &mut Report<'_>) -> Draft {
    let default = Ipvs::default();
    let keep = table.flag("keep", default.keep, report);
    let hour = Duration::from_secs(3600);
    let watch = table.duration("watch_interval", Duration::from_secs(1)..=hour, report);
    let words = [
        ("auto", IpvsInterface::Auto),
        ("netlink", IpvsInterface::Netlink),
        ("sockopt", IpvsInterface::Sockopt),
    ];
    let interface = table.choice("interface", &words, report);
    let mut timeout = |key| {
        let read = table.duration(key, Duration::from_secs(1)..=TIMEOUT_MAX, report)?;
        values::whole_seconds(key, read, report);
        u32::try_from(read.value.secs()).ok()
    };
    let timeouts = Timeouts {
        tcp: timeout("tcp_timeout").unwrap_or(0),
        tcp_fin: timeout("tcp_fin_timeout").unwrap_or(0),
        udp: timeout("udp_timeout").unwrap_or(0),
    };
    let sync_at = table.has("sync").then(|| table.key_at("sync"));
    let mut newer = Vec::new();
    let sync = table.table("sync", "[ipvs.sync]", report);
    let sync = sync.and_then(|table| sync_daemon(table, instances, &mut newer, report));
    let settings = table.table("settings", "[ipvs.settings]", report);
    let settings = settings.map(|table| settings::settings(&table, report)).unwrap_or_default();
    table.finish(report);
    let sockopt = interface.filter(|read| read.value == IpvsInterface::Sockopt).map(|read| read.at);
    let ipvs = Ipvs {
        keep,
        watch_interval: watch.map_or(default.watch_interval, |watch| watch.value),
        interface: interface.map_or(default.interface, |read| read.value),
        timeouts,
        sync,
        settings,
    };
    Draft { ipvs, sockopt, sync: sync_at, newer }
}

/// `[ipvs.sync]` (IPVS-74). What is not given is the kernel's own choice.
fn sync_daemon(
    mut table: Table<'_>,
    instances: &[vrrp::Draft],
    newer: &mut Vec<At<&'static str>>,
    report: &mut Report<'_>,
) -> Option<SyncDaemon> {
    let interface = table.parsed("interface", values::interface, report);
    table.require("interface", "interface = \"eth1\"");
    let instance = table.text("instance", report).and_then(|name| instance(name, instances, report));
    let id = table.number::<u8>("id", 0..=255, report).map(|id| id.value);
    let group = table.parsed("group", group, report).map(|group| group.value);
    let max_len = max_len(&mut table, group, report);
    let port = table.number::<u16>("port", 1..=65535, report).map_or(0, |port| port.value);
    let ttl = table.number::<u8>("ttl", 1..=255, report).map_or(0, |ttl| ttl.value);
    let of_netlink = [("max_len", "`max_len`"), ("group", "`group`"), ("port", "`port`"), ("ttl", "`ttl`")];
    let given = of_netlink.into_iter().filter(|(key, _)| table.has(key));
    newer.extend(given.map(|(key, value)| At { at: table.key_at(key), value }));
    table.finish(report);
    let vrid = |index: &usize| instances.get(*index).and_then(|draft| draft.vrid);
    let id = id.or_else(|| instance.as_ref().and_then(vrid).map(|vrid| vrid.value.get())).unwrap_or(0);
    let interface = interface?.value;
    Some(SyncDaemon { instance, daemon: Daemon { interface, id, max_len, group, port, ttl } })
}

/// The kernel would cut a length beyond these in silence: the least MTU, and the longest datagram.
fn max_len(table: &mut Table<'_>, group: Option<IpAddr>, report: &mut Report<'_>) -> u16 {
    let range = match group {
        None | Some(IpAddr::V4(_)) => 576..=65_507,
        Some(IpAddr::V6(_)) => 1280..=65_487,
    };
    table.number::<u16>("max_len", range, report).map_or(0, |read| read.value)
}

fn group(text: &str) -> Result<IpAddr, super::report::Problem> {
    let problem = |what: String| super::report::Problem::new(what, "The kernel's own is 224.0.0.81.");
    match values::ip(text)? {
        ip if ip.is_multicast() => Ok(ip),
        ip => Err(problem(format!("{ip} is not a multicast group"))),
    }
}

/// The `[[vrrp]]` of that name.
fn instance(name: At<&str>, instances: &[vrrp::Draft], report: &mut Report<'_>) -> Option<usize> {
    let own = |draft: &vrrp::Draft| draft.name.as_ref().is_some_and(|own| own.value == name.value);
    if let Some(index) = instances.iter().position(own) {
        return Some(index);
    }
    if instances.iter().any(|draft| draft.name.is_none()) {
        return None; // the name that could not be read may be this one
    }
    let names: Vec<&str> =
        instances.iter().filter_map(|draft| draft.name.as_ref()).map(|name| name.value.as_str()).collect();
    let hint = match nearest(name.value, &names) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None if names.is_empty() => "There is no [[vrrp]]: leave it out for both roles at once.".to_owned(),
        None => format!("Those are: {}.", names.into_iter().take(8).collect::<Vec<_>>().join(", ")),
    };
    let what = format!("`instance`: no [[vrrp]] is called \"{}\"", shown(name.value));
    report.error_of_whole(name.at, what, hint);
    None
}
