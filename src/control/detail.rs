//! `vipd status NAME`: all that is known of one instance, group, tracker or service. As long as it takes,
//! never wider than the screen.

use super::age::{Age, Mac, Span};
use super::health;
use super::json_status::role_word;
use super::render::Screen;
use super::rows::family;
use super::service_rows::{draining, front, is_quorum_told, quorum, server_note, weight};
use super::table::{ascii, wrap};
use super::track_rows::{state, used_by};
use crate::model::status::{
    CheckStatus, GroupStatus, InstanceCounters, InstanceState, InstanceStatus, IpvsStatus, RunStatus,
    ServerStatus, ServiceStatus, Snapshot, TrackerStatus,
};
use crate::model::{Front, Persistence, ServerAddress, ServiceKey, Tunnel};
use core::fmt::Display;

/// All of the snapshot in full.
pub fn detail(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    for group in &snapshot.groups {
        page.group(group, &snapshot.instances);
    }
    for instance in &snapshot.instances {
        page.instance(instance);
    }
    for tracker in &snapshot.trackers {
        page.tracker(tracker);
    }
    // What was told of a server stands beside it.
    for run in snapshot.runs.iter().filter(|run| run.server.is_none()) {
        page.run(run);
    }
    for service in &snapshot.services {
        page.service(service, snapshot.ipvs.as_ref(), &snapshot.runs);
        if let Some(ipvs) = snapshot.ipvs.as_ref().filter(|ipvs| !ipvs.present) {
            page.line("!", &ipvs.why);
        }
    }
    page.out
}

/// Members of a group that are listed; more are counted.
const GROUP_KEYS_SHOWN: usize = 16;

/// A member of a group.
struct KeyText(ServiceKey);

impl Display for KeyText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            ServiceKey::Address { address, .. } => write!(f, "{address}"),
            ServiceKey::Mark { mark, ipv6: false } => write!(f, "mark {mark}"),
            ServiceKey::Mark { mark, ipv6: true } => write!(f, "mark {mark} ipv6"),
        }
    }
}

/// What is special about the kernel's IPVS.
struct IpvsText<'a>(&'a IpvsStatus);

impl Display for IpvsText<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut part = "";
        if self.0.sockopt {
            f.write_str("by socket options (IPv4 only)")?;
            part = ", ";
        }
        for role in &self.0.sync {
            write!(f, "{part}sync daemon is {}", role_word(*role))?;
            part = ", ";
        }
        Ok(())
    }
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

    fn group(&mut self, group: &GroupStatus, instances: &[InstanceStatus]) {
        let g = group;
        self.title(&format!("group {}: {} for {}", g.name, g.state.word(), Age(g.since)));
        for (at, name) in g.members.iter().enumerate() {
            let label = if at == 0 { "members" } else { "" };
            match instances.iter().find(|i| i.name == *name) {
                Some(i) => self.line(label, &format_args!("{name} {} for {}", i.state.word(), Age(i.since))),
                None => self.line(label, name),
            }
        }
    }

    fn tracker(&mut self, tracker: &TrackerStatus) {
        let t = tracker;
        self.title(&format!("tracker {}: {} {} for {}", t.name, t.kind, state(t), Age(t.since)));
        if !t.reason.is_empty() {
            self.line("reason", &t.reason);
        }
        if let Some(value) = t.value {
            self.line("value", &value);
        }
        if let Some((ended, took)) = t.last {
            let (passed, failed, ended, took) = (t.passed, t.failed, Age(ended), Span(took));
            self.line("runs", &format_args!("{passed} passed, {failed} failed, last {ended} ago in {took}"));
        }
        match (used_by(t), t.hurts) {
            (Some(users), true) => {
                self.line("used by", &format_args!("{users}: costs them priority, or a Fault"))
            }
            (Some(users), false) => self.line("used by", &users),
            (None, _) => self.line("used by", &"nobody"),
        }
    }

    fn run(&mut self, run: &RunStatus) {
        let r = run;
        self.title(&match r.what {
            "service" => format!("local service {}", r.subject),
            what => format!("{what} of {}", r.subject),
        });
        match (&r.last, r.failed) {
            (Some((ended, took)), failed) => self.line(
                if failed { "FAILED" } else { "last" },
                &format_args!("{} ({} ago, took {})", r.outcome, Age(*ended), Span(*took)),
            ),
            (None, _) => self.line("last", &"none has ended yet"),
        }
        if let Some(running) = r.running {
            self.line("now", &format_args!("one runs for {}", Age(running)));
        }
        self.line("waiting", &format_args!("{}, {} passed over for newer ones", r.waiting, r.collapsed));
    }

    fn instance(&mut self, instance: &InstanceStatus) {
        let i = instance;
        self.title(&format!("instance {}: {} for {}", i.name, i.state.word(), Age(i.since)));
        self.line("cause", &i.cause);
        for fault in i.faults.iter().filter(|fault| **fault != i.cause) {
            self.line("and", fault);
        }
        if let Some(waits) = &i.waits {
            self.line("waits", waits);
        }
        self.line(
            "virtual router",
            &format_args!(
                "{}, VRID {}, IP{}, VRRPv{}, advert every {}",
                i.interface,
                i.vrid,
                family(i),
                i.version,
                Span(i.advert_interval)
            ),
        );
        if let Some(group) = &i.group {
            self.line("sync group", group);
        }
        self.line("priority", &sum(i));
        self.neighbours(i);
        self.addresses(i);
        self.routes(i);
        self.counters(&i.counters);
        for peer in &i.rejected {
            let (n, last) = (peer.count, Age(peer.last));
            self.line(
                "rejected",
                &format_args!("{}: {n} packets, last {last} ago: {}", peer.address, peer.why),
            );
        }
    }

    /// Other routers, and the device that speaks to them.
    fn neighbours(&mut self, instance: &InstanceStatus) {
        let i = instance;
        let mac = i.active_mac.map(|mac| format!(" ({})", Mac(mac))).unwrap_or_default();
        let is_active = i.state == InstanceState::Active;
        match &i.active_router {
            Some(peer) if !is_active => self.line(
                "active router",
                &format_args!(
                    "{}{mac}, priority {}, heard {} ago",
                    peer.address,
                    peer.priority,
                    Age(peer.heard)
                ),
            ),
            Some(peer) => {
                self.line("active router", &"this");
                let (n, address, heard) = (i.rivals.max(1), peer.address, Age(peer.heard));
                let times = if n == 1 { "once" } else { "times" };
                let n = if n == 1 { String::new() } else { format!("{n} ") };
                self.line(
                    if health::rival(i).is_some() { "TWO ACTIVE" } else { "was Active, too" },
                    &format_args!("{address}{mac}, priority {}, {n}{times}, last {heard} ago", peer.priority),
                );
            }
            None if is_active => self.line("active router", &"this"),
            None => self.line("active router", &"none heard"),
        }
        for (at, peer) in i.peers.iter().enumerate() {
            self.line(if at == 0 { "unicast peers" } else { "" }, peer);
        }
        if let Some((name, mac)) = &i.virtual_mac {
            self.line("virtual MAC", &format_args!("{} on {name}", Mac(*mac)));
        }
    }

    fn addresses(&mut self, instance: &InstanceStatus) {
        let is_active = instance.state == InstanceState::Active;
        if instance.addresses.is_empty() {
            self.line("addresses", &"none");
        }
        for (at, vip) in instance.addresses.iter().enumerate() {
            let there = match (vip.present, is_active) {
                (true, true) => "on the interface",
                (false, true) => "MISSING",
                (false, false) => "not here",
                (true, false) => "on the interface although not Active",
            };
            let label = if at == 0 { "addresses" } else { "" };
            self.line(label, &format_args!("{} {there}{}", vip.address, put_back(vip.put_back)));
        }
    }

    fn routes(&mut self, instance: &InstanceStatus) {
        let is_active = instance.state == InstanceState::Active;
        for (at, route) in instance.routes.iter().enumerate() {
            let there = match (route.present, is_active) {
                (true, true) => "in the table",
                (false, true) => "MISSING",
                (false, false) => "not here",
                (true, false) => "in the table although not Active",
            };
            let label = if at == 0 { "routes and rules" } else { "" };
            self.line(label, &format_args!("{}: {there}{}", route.text, put_back(route.put_back)));
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
        if c.signed_received > 0 || c.unsigned_accepted > 0 {
            let (signed, unsigned) = (c.signed_received, c.unsigned_accepted);
            self.line("HMAC", &format_args!("{signed} good, {unsigned} without one accepted (mode)"));
        }
        if c.dropped.is_empty() {
            self.line("dropped packets", &"none");
        }
        for (at, (rung, count)) in c.dropped.iter().enumerate() {
            self.line(if at == 0 { "dropped packets" } else { "" }, &format_args!("{count} {rung}"));
        }
    }

    fn service(&mut self, service: &ServiceStatus, ipvs: Option<&IpvsStatus>, runs: &[RunStatus]) {
        let s = service;
        let serving = s.servers.iter().filter(|s| health::is_serving(s)).count();
        let word = if s.suspended { "suspended" } else { health::service(s).word() };
        self.title(&format!(
            "service {}: {word}, {serving} of {} servers up for {}",
            s.name,
            s.servers.len(),
            Age(s.since)
        ));
        self.line("address", &format_args!("{}, scheduler {}", front(s), s.scheduler));
        if let Front::Group { keys, .. } = &s.front {
            for (at, key) in keys.iter().take(GROUP_KEYS_SHOWN).enumerate() {
                self.line(if at == 0 { "its group" } else { "" }, &KeyText(*key));
            }
            if let Some(more) = keys.len().checked_sub(GROUP_KEYS_SHOWN).filter(|more| *more > 0) {
                self.line("", &format_args!("and {more} more"));
            }
        }
        if let Some(persistence) = &s.persistence {
            let Persistence { timeout, prefix_len, engine } = persistence;
            let engine = engine.as_ref().map(|engine| format!(", {engine}")).unwrap_or_default();
            self.line("persistence", &format_args!("{}, clients by /{prefix_len}{engine}", Span(*timeout)));
        }
        if !s.suspended && (is_quorum_told(s) || !s.has_quorum) {
            let held = if s.has_quorum { "held" } else { "LOST" };
            self.line("quorum", &format_args!("{held}: {}", quorum(s)));
        }
        if s.suspended {
            self.line("suspended", &"none of its addresses is on this router: no probes, no servers");
        }
        self.line("in the kernel", &if s.installed { "yes" } else { "NO" });
        if let Some(ipvs) = ipvs.filter(|ipvs| ipvs.sockopt || !ipvs.sync.is_empty()) {
            self.line("IPVS", &IpvsText(ipvs));
        }
        self.line("connections", &format_args!("{} active", s.active_connections));
        match (s.sorry, s.sorry_active && s.installed) {
            (Some(sorry), true) => self.line("sorry server", &format_args!("{sorry} IN USE")),
            (Some(sorry), false) => self.line("sorry server", &format_args!("{sorry}, not in use")),
            (None, _) => self.line("sorry server", &"none"),
        }
        for server in &s.servers {
            self.server(server);
            let is_its =
                |run: &&RunStatus| run.subject == s.name && run.server.as_ref() == Some(&server.address);
            for run in runs.iter().filter(is_its) {
                let ended = run.last.map(|(ended, took)| format!(" {} ago in {}", Age(ended), Span(took)));
                let mark = if run.failed { "FAILED: " } else { "" };
                self.line("", &format_args!("notify {mark}{}{}", run.outcome, ended.unwrap_or_default()));
            }
        }
    }

    fn server(&mut self, server: &ServerStatus) {
        let s = server;
        let address = match (&s.address, s.resolved) {
            (ServerAddress::Ip(address), _) => address.to_string(),
            (name @ ServerAddress::Name { .. }, Some(address)) => format!("{name} = {}", address.ip()),
            (name @ ServerAddress::Name { .. }, None) => format!("{name} (no address yet)"),
        };
        if s.draining {
            self.title_of_server(&format!("{address} {}", draining(s)));
        } else if !s.up {
            let note = server_note(s);
            let rest = note.strip_prefix(&ascii(&s.address.to_string())).unwrap_or(&note);
            let kept = if s.installed { " (kept in the table with weight 0)" } else { "" };
            self.title_of_server(&format!("{address}{rest}{kept}"));
        } else {
            let reason =
                if s.reason.is_empty() { String::new() } else { format!("; last failure: {}", s.reason) };
            let state = if s.known { "up" } else { "up, not checked yet" };
            let table = if s.installed { "" } else { ", not in the kernel's table" };
            self.title_of_server(&format!("{address} {state} {}{table}{reason}", Age(s.since)));
        }
        let tunnel = match s.method.tunnel {
            Tunnel::Ipip => String::new(),
            Tunnel::Gue { port, .. } => format!(" (gue, port {port})"),
            Tunnel::Gre { .. } => " (gre)".to_owned(),
        };
        self.line(
            "",
            &format_args!(
                "{}{tunnel}, weight {}, {} active connections, {} inactive",
                s.method.forward.word(),
                weight(s),
                s.active_connections,
                s.inactive_connections
            ),
        );
        if s.checks.len() > 1 {
            for (number, check) in (1..).zip(&s.checks) {
                self.check(number, check);
            }
            return;
        }
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

    /// One of several checks of a server.
    fn check(&mut self, number: usize, check: &CheckStatus) {
        let c = check;
        let state = match (c.known, c.up) {
            (true, true) => "passes",
            (true, false) => "FAILS",
            (false, true) => "not made yet, taken as passed",
            (false, false) => "not made yet",
        };
        let reason = if c.reason.is_empty() { String::new() } else { format!(": {}", c.reason) };
        let weight = if c.weight == 0 { String::new() } else { format!(", weight {:+}", c.weight) };
        let last = c.probed.map(|at| format!(", last {} ago", Age(at))).unwrap_or_default();
        let took = c.probe_time.map(|took| format!(" in {}", Span(took))).unwrap_or_default();
        let counts = if c.probed.is_some() {
            format!(", {} passed, {} failed", c.passed, c.failed)
        } else {
            String::new()
        };
        self.line("", &format_args!("check {number} {} {state}{reason}{weight}{counts}{last}{took}", c.kind));
    }

    fn title_of_server(&mut self, text: &str) {
        self.line("server", &text);
    }
}

fn put_back(times: u32) -> String {
    if times == 0 { String::new() } else { format!(", removed by someone and put back {times}x") }
}

/// `80 = 130 - 50 wan`, whatever its length.
fn sum(instance: &InstanceStatus) -> String {
    let (base, used) = (i32::from(instance.priority), i32::from(instance.effective_priority));
    let signed = |number: i32| format!(" {} {}", if number < 0 { '-' } else { '+' }, number.unsigned_abs());
    if instance.contributions.is_empty() {
        return if used == base {
            base.to_string()
        } else {
            format!("{used} = {base}{}", signed(used - base))
        };
    }
    let mut sum = format!("{used} = {base}");
    let mut total = i64::from(base);
    for (name, number) in &instance.contributions {
        sum.push_str(&format!("{} {name}", signed(*number)));
        total += i64::from(*number);
    }
    if total != i64::from(used) {
        sum.push_str(", kept within 1..254");
    }
    sum
}
