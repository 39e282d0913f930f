//! `vipd status NAME`: all that is known of one instance or service. As long as it takes, never wider than
//! the screen.

use super::age::{Age, Span};
use super::health;
use super::render::Screen;
use super::rows::{priority, server_note};
use super::table::{ascii, wrap};
use crate::model::status::{
    InstanceCounters, InstanceState, InstanceStatus, ServerStatus, ServiceStatus, Snapshot,
};
use core::fmt::Display;

/// Every instance and service of the snapshot in full.
pub fn detail(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    for instance in &snapshot.instances {
        page.instance(instance);
    }
    for service in &snapshot.services {
        page.service(service);
        if let Some(ipvs) = snapshot.ipvs.as_ref().filter(|ipvs| !ipvs.present) {
            page.line("!", &ipvs.why);
        }
    }
    page.out
}

#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    /// `  label          text`, wrapped under the text.
    fn line(&mut self, label: &str, text: &dyn Display) {
        let head = format!("  {:<18} ", ascii(label));
        let indent = head.len();
        for line in wrap(&(head + &ascii(&text.to_string())), Screen::default().columns, indent) {
            self.out.push_str(line.trim_end());
            self.out.push('\n');
        }
    }

    fn title(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        for line in wrap(&ascii(text), Screen::default().columns, 2) {
            self.out.push_str(&line);
            self.out.push('\n');
        }
    }

    fn instance(&mut self, instance: &InstanceStatus) {
        let i = instance;
        self.title(&format!("instance {}: {} for {}", i.name, i.state.word(), Age(i.since)));
        self.line("cause", &i.cause);
        self.line(
            "virtual router",
            &format_args!(
                "{}, VRID {}, VRRPv{}, advert every {}",
                i.interface,
                i.vrid,
                i.version,
                Span(i.advert_interval)
            ),
        );
        self.line("priority", &priority(i));
        match (&i.active_router, i.state) {
            (Some(peer), _) => self.line(
                "active router",
                &format_args!("{}, priority {}, heard {} ago", peer.address, peer.priority, Age(peer.heard)),
            ),
            (None, InstanceState::Active) => self.line("active router", &"this"),
            (None, InstanceState::Backup | InstanceState::Fault | InstanceState::Initialize) => {
                self.line("active router", &"none heard");
            }
        }
        for (at, vip) in i.addresses.iter().enumerate() {
            let there = match (vip.present, i.state) {
                (true, InstanceState::Active) => "on the interface",
                (false, InstanceState::Active) => "MISSING",
                (false, InstanceState::Backup | InstanceState::Fault | InstanceState::Initialize) => {
                    "not here"
                }
                (true, InstanceState::Backup | InstanceState::Fault | InstanceState::Initialize) => {
                    "on the interface although not Active"
                }
            };
            let label = if at == 0 { "addresses" } else { "" };
            match vip.put_back {
                0 => self.line(label, &format_args!("{} {there}", vip.address)),
                n => self.line(
                    label,
                    &format_args!("{} {there}, removed by someone and put back {n}x", vip.address),
                ),
            }
        }
        self.counters(&i.counters);
        for peer in &i.rejected {
            let (n, last) = (peer.count, Age(peer.last));
            self.line(
                "rejected",
                &format_args!("{}: {n} packets, last {last} ago: {}", peer.address, peer.why),
            );
        }
    }

    fn counters(&mut self, counters: &InstanceCounters) {
        let c = counters;
        self.line("adverts", &format_args!("{} received, {} sent", c.adverts_received, c.adverts_sent));
        self.line(
            "became Active",
            &format_args!("{} times, released {}", c.became_active, c.released_active),
        );
        self.line(
            "resignations",
            &format_args!("{} received, {} sent", c.priority_zero_received, c.priority_zero_sent),
        );
        self.line(
            "lower priority",
            &format_args!("{} adverts heard while Active", c.lower_priority_received),
        );
        self.line(
            "accepted, though",
            &format_args!(
                "{} other addresses, {} other checksum form, {} other interval",
                c.address_list_mismatch, c.other_checksum_form, c.interval_differs
            ),
        );
        if c.dropped.is_empty() {
            self.line("dropped packets", &"none");
        }
        for (at, (rung, count)) in c.dropped.iter().enumerate() {
            self.line(if at == 0 { "dropped packets" } else { "" }, &format_args!("{count} {rung}"));
        }
    }

    fn service(&mut self, service: &ServiceStatus) {
        let s = service;
        let serving = s.servers.iter().filter(|s| health::is_serving(s)).count();
        let word = health::service(s).word();
        self.title(&format!(
            "service {}: {word}, {serving} of {} servers up for {}",
            s.name,
            s.servers.len(),
            Age(s.since)
        ));
        self.line("address", &format_args!("{} {}, scheduler {}", s.protocol, s.address, s.scheduler));
        self.line("in the kernel", &if s.installed { "yes" } else { "NO" });
        self.line("connections", &format_args!("{} active", s.active_connections));
        match (s.sorry, s.sorry_active && s.installed) {
            (Some(sorry), true) => self.line("sorry server", &format_args!("{sorry} IN USE")),
            (Some(sorry), false) => self.line("sorry server", &format_args!("{sorry}, not in use")),
            (None, _) => self.line("sorry server", &"none"),
        }
        for server in &s.servers {
            self.server(server);
        }
    }

    fn server(&mut self, server: &ServerStatus) {
        let s = server;
        if !s.up {
            self.title_of_server(&server_note(s));
        } else {
            let reason =
                if s.reason.is_empty() { String::new() } else { format!("; last failure: {}", s.reason) };
            let state = if s.known { "up" } else { "up, not checked yet" };
            let table = if s.installed { "" } else { ", not in the kernel's table" };
            self.title_of_server(&format!("{} {state} {}{table}{reason}", s.address, Age(s.since)));
        }
        self.line(
            "",
            &format_args!(
                "{}, weight {}, {} active connections, {} inactive",
                s.forward.word(),
                s.weight,
                s.active_connections,
                s.inactive_connections
            ),
        );
        match s.probed {
            None => self.line("", &"no probe yet, or none configured"),
            Some(probed) => {
                let took =
                    s.probe_time.map(|t| format!(", the last good one took {}", Span(t))).unwrap_or_default();
                self.line(
                    "",
                    &format_args!(
                        "{} probes passed, {} failed, last {} ago{took}",
                        s.passed,
                        s.failed,
                        Age(probed)
                    ),
                );
            }
        }
    }

    fn title_of_server(&mut self, text: &str) {
        self.line("server", &text);
    }
}
