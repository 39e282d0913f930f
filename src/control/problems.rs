//! What somebody should do something about, each with what to do.

use super::age::{Age, Mac, Span};
use super::health;
use super::table::ascii;
use crate::model::Name;
use crate::model::status::Snapshot;
use crate::time::Duration;

/// A peer whose packets were rejected is shown for so long after the last one.
const REJECTED_SHOWN: Duration = Duration::from_secs(600);

/// Each once: two Active routers, what the engine says, then what the numbers say.
pub(super) fn problems(snapshot: &Snapshot) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut add = |text: String| {
        let line = format!("! {}", ascii(&text));
        if !list.contains(&line) {
            list.push(line);
        }
    };
    let rivals: Vec<_> =
        snapshot.instances.iter().filter_map(|i| health::rival(i).map(|peer| (i, peer))).collect();
    for (instance, peer) in &rivals {
        let (name, address, priority) = (&instance.name, peer.address, peer.priority);
        add(format!(
            "{name}: two Active routers, this one and {address}{} (priority {priority}): one does not \
             hear the other, or rejects it. Look at vipd status there, at the switch (IGMP snooping), at \
             firewalls (protocol 112)",
            instance.active_mac.map(|mac| format!(" {}", Mac(mac))).unwrap_or_default()
        ));
    }
    // The engine tells of past ones, too.
    let is_rival = |text: &str| {
        let told = |address: String| text.contains("Active, too") && text.contains(&address);
        rivals.iter().any(|(i, peer)| text.starts_with(i.name.as_str()) && told(peer.address.to_string()))
    };
    let absent = snapshot.ipvs.as_ref().filter(|ipvs| !ipvs.present);
    if let Some(ipvs) = absent.filter(|ipvs| ipvs.why.is_empty() || !is_told(snapshot, &[&ipvs.why])) {
        add(if ipvs.why.is_empty() {
            "IPVS does not answer".to_owned()
        } else {
            ipvs.why.as_str().to_owned()
        });
    }
    for text in snapshot.problems.iter().filter(|text| !is_rival(text)) {
        add(text.as_str().to_owned());
    }
    for instance in &snapshot.instances {
        for peer in instance.rejected.iter().filter(|p| p.last <= REJECTED_SHOWN) {
            if is_told(snapshot, &[&instance.name, &peer.address.to_string()]) {
                continue;
            }
            let (name, from, count, last) = (&instance.name, peer.address, peer.count, Age(peer.last));
            add(format!(
                "{name}: {count} packet{} of {from} rejected, last {last} ago: {}",
                s(count),
                peer.why
            ));
        }
    }
    for run in snapshot.runs.iter().filter(|r| r.failed && r.server.is_none()) {
        let (subject, outcome) = (&run.subject, &run.outcome);
        let ago = run.last.map(|(ended, _)| format!(" {} ago", Age(ended))).unwrap_or_default();
        add(match run.what {
            "service" => format!("local service {subject} failed{ago}: {outcome}"),
            what => format!("{subject}: {what} program failed{ago}: {outcome}"),
        });
    }
    failed_of_servers(snapshot).into_iter().for_each(&mut add);
    if let Some(ipvs) = &snapshot.ipvs {
        if ipvs.refused > 0 {
            add(format!(
                "the kernel refused {} IPVS command{} (see vipd events)",
                ipvs.refused,
                s(ipvs.refused)
            ));
        }
        if ipvs.repaired > 0 && !is_told(snapshot, &["IPVS entries"]) {
            let n = ipvs.repaired;
            add(format!(
                "{n} IPVS entr{} changed by someone else, put right",
                if n == 1 { "y was" } else { "ies were" }
            ));
        }
    }
    if let Some(mail) = &snapshot.mail {
        if is_told(snapshot, &["mail"]) {
            // The engine has said it.
        } else if mail.lost > 0 {
            add(format!("{} mail{} lost{}", mail.lost, s(mail.lost), because(&mail.reason)));
        } else if mail.waiting > 0 && !mail.reason.is_empty() {
            add(format!("{} mail{} waiting{}", mail.waiting, s(mail.waiting), because(&mail.reason)));
        }
    }
    let stalls = snapshot.stalls;
    if stalls.count > 0 {
        let worst = Span(stalls.worst);
        add(format!(
            "{} late turn{} of the loop, {worst} at worst: is the router overloaded?",
            stalls.count,
            s(stalls.count)
        ));
    }
    list
}

/// One line for each service with servers whose program failed.
fn failed_of_servers(snapshot: &Snapshot) -> Vec<String> {
    let mut lines: Vec<(&Name, usize, String)> = Vec::new();
    for run in snapshot.runs.iter().filter(|run| run.failed) {
        let Some(server) = &run.server else { continue };
        match lines.iter_mut().find(|(name, ..)| *name == &run.subject) {
            Some((_, others, _)) => *others += 1,
            None => lines.push((&run.subject, 0, format!("{server} {}", run.outcome))),
        }
    }
    let line = |(name, others, first)| match others {
        0 => format!("{name}: program of a server failed: {first}"),
        n => format!("{name}: programs of {} servers failed: {first} ... (vipd status {name})", n + 1),
    };
    lines.into_iter().map(line).collect()
}

/// Does the engine say something of all these words already?
pub(super) fn is_told(snapshot: &Snapshot, words: &[&str]) -> bool {
    snapshot.problems.iter().any(|p| words.iter().all(|w| p.contains(w)))
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// The plural's ending.
pub(super) fn s<T: PartialEq + From<u8>>(n: T) -> &'static str {
    if n == T::from(1) { "" } else { "s" }
}
