//! `[global]` and `[mail]`.

use super::command::{self, Owner, Terms};
use super::host;
use super::reader::Table;
use super::report::Report;
use super::suggest::shown;
use super::values;
use crate::limits;
use crate::model::{Global, IfName, Mail, MailServer};
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use toml::de::DeValue;

/// What instances take from `[global]`.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) group4: Option<Ipv4Addr>,
    pub(super) group6: Option<Ipv6Addr>,
    /// `script_user`.
    pub(super) owner: Owner,
}

/// `[global]`.
pub(super) fn global(mut table: Table<'_>, report: &mut Report<'_>) -> (Global, Defaults) {
    let router_name = table.parsed("router_name", values::name, report).map(|name| name.value);
    let group4 = table.parsed("multicast_group4", values::group4, report).map(|group| group.value);
    let group6 = table.parsed("multicast_group6", values::group6, report).map(|group| group.value);
    let owner = table.parsed("script_user", command::owner_text, report);
    let owner = owner.map(|owner| owner.value).unwrap_or_default();
    let terms = Terms::of(&owner).with(Duration::from_secs(10), Duration::from_secs(1000));
    let start_script = command::optional(&mut table, "start_script", terms, report);
    let stop_script = command::optional(&mut table, "stop_script", terms, report);
    let announce_rates = announce_rates(&mut table, report);
    table.finish(report);
    (Global { router_name, announce_rates, start_script, stop_script }, Defaults { group4, group6, owner })
}

/// `announce_rates = { eth0 = 100 }`: the keys are interfaces.
fn announce_rates(table: &mut Table<'_>, report: &mut Report<'_>) -> Vec<(IfName, u32)> {
    const FASTEST: u32 = 100_000;
    let Some(rates) = table.table("announce_rates", "announce_rates", report) else { return Vec::new() };
    let mut out = Vec::new();
    for (key, value) in rates.entries("announce_rates") {
        if let DeValue::Table(_) = value.value {
            let what = format!("`announce_rates`: {} is split at a dot", shown(key.value));
            report.error(key.at, what, "Put an interface name with a dot into quotes: \"eth0.100\" = 50.");
            continue;
        }
        let rate = value.integer(1..=FASTEST, report);
        match values::interface(key.value) {
            Ok(interface) => out.extend(rate.map(|rate| (interface, rate.value))),
            Err(problem) => report.problem(key.at, problem),
        }
    }
    if let Some((interface, _)) = out.get(limits::INTERFACES_MAX) {
        let what = format!("more than {} in `announce_rates`, at {interface}", limits::INTERFACES_MAX);
        report.error(table.key_at("announce_rates"), what, "");
    }
    out
}

/// `[mail]`, which is said at `at`.
pub(super) fn mail(mut table: Table<'_>, at: usize, report: &mut Report<'_>) -> Option<Mail> {
    if !cfg!(feature = "mail") {
        let hint = "Leave it out, or take a vipd with the feature `mail`.";
        report.error(at, "[mail]: this vipd is built without mail", hint);
        return None;
    }
    const SMTP_PORT: u16 = 25;
    let minute = Duration::from_secs(60);
    let named = |host, port| MailServer::Name { host, port };
    let read = |text: &str| host::end(text, Some(SMTP_PORT), SMTP_PORT, MailServer::Ip, named);
    let server = table.parsed("server", read, report);
    table.require("server", "server = \"127.0.0.1:25\"");
    let server = server.filter(|server| {
        let bad = match &server.value {
            MailServer::Ip(address) => no_host(address.ip()).is_some() || address.port() == 0,
            MailServer::Name { port, .. } => *port == 0,
        };
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
