//! `[global]`, `[mail]` and `[ipvs]`.

use super::reader::Table;
use super::report::Report;
use super::values;
use crate::limits;
use crate::model::{Global, Ipvs, Mail};
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

/// `[global]`, and the multicast group that instances take where they name none.
pub(super) fn global(mut table: Table<'_>, report: &mut Report<'_>) -> (Global, Option<Ipv4Addr>) {
    let router_name = table.parsed("router_name", values::name, report).map(|name| name.value);
    let group = table.parsed("multicast_group4", values::group4, report).map(|group| group.value);
    table.finish(report);
    (Global { router_name, ..Global::default() }, group)
}

/// `[mail]`.
pub(super) fn mail(mut table: Table<'_>, report: &mut Report<'_>) -> Option<Mail> {
    const SMTP_PORT: u16 = 25;
    let minute = Duration::from_secs(60);
    let server = table.parsed("server", |text| values::socket(text, Some(SMTP_PORT), SMTP_PORT), report);
    table.require("server", "server = \"127.0.0.1:25\"");
    let server = server.filter(|server| {
        let ip = server.value.ip();
        let bad = no_host(ip).is_some() || server.value.port() == 0;
        if bad {
            report.error(server.at, format!("`server`: {} cannot be connected to", server.value), "");
        }
        !bad
    });
    let from = table.parsed("from", values::mail_address, report);
    table.require("from", "from = \"vipd@localhost\"");
    let to = recipients(&mut table, report);
    let timeout = table.duration("timeout", Duration::from_secs(1)..=minute * 10, report);
    let helo = table.parsed("helo", values::host, report);
    table.finish(report);
    Some(Mail {
        server: server?.value,
        from: from?.value,
        to,
        timeout: timeout.map_or(Duration::from_secs(30), |timeout| timeout.value),
        helo: helo.map(|helo| helo.value),
    })
}

fn recipients(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<String> {
    let list = table.list("to", report);
    table.require("to", "to = [\"root@localhost\"]");
    let Some(list) = list else { return Vec::new() };
    if list.is_empty() {
        report.error(table.key_at("to"), "`to` names nobody", "Leave [mail] out to send none.");
    }
    if let Some(first) = list.get(limits::RECIPIENTS_MAX) {
        report.error(first.at, format!("more than {} recipients", limits::RECIPIENTS_MAX), "Use an alias.");
    }
    let read = list.into_iter().filter_map(|item| item.parsed(values::mail_address, report));
    read.map(|address| address.value).collect()
}

/// `[ipvs]`.
pub(super) fn ipvs(mut table: Table<'_>, report: &mut Report<'_>) -> Ipvs {
    let default = Ipvs::default();
    let keep = table.boolean("keep", report).map_or(default.keep, |keep| keep.value);
    let hour = Duration::from_secs(3600);
    let watch = table.duration("watch_interval", Duration::from_secs(1)..=hour, report);
    table.finish(report);
    Ipvs { keep, watch_interval: watch.map_or(default.watch_interval, |watch| watch.value) }
}

/// Is this one of those that no host can have (IPVS-60)? Then what it is.
pub(super) fn no_host(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V4(v4) if v4.octets().starts_with(&[0]) => Some("no address"),
        ip if ip.is_unspecified() => Some("no address"),
        ip if ip.is_multicast() => Some("a multicast address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
        _ => None,
    }
}
