//! The status screen: first the answer, then tables, then problems with what to do; never more than a screen.

use super::age::{Age, Span};
use super::health::{self, ServiceHealth};
use super::render::Screen;
use super::rows::{self, Section};
use super::table::{ascii, cut, wrap};
use crate::model::status::{InstanceState, Snapshot};
use crate::time::Duration;

/// Lines that problems may take where room is short.
const PROBLEM_LINES: usize = 7;
/// A peer whose packets were rejected is shown for so long after the last one.
const REJECTED_SHOWN: Duration = Duration::from_secs(600);

/// The whole status on one screen. Where it does not fit, healthy rows give way first, and a line says how
/// many.
pub fn text(snapshot: &Snapshot, screen: Screen) -> String {
    let width = screen.columns.max(60);
    let mut out = head(snapshot, width);
    let instances = rows::instances(snapshot, width);
    let services = rows::services(&snapshot.services, width);
    let problems = problems(snapshot);
    let problems: Vec<Vec<String>> = problems.iter().map(|p| wrap(p, width, 2)).collect();

    let mut left = screen.lines.max(20).saturating_sub(out.len());
    let problem_lines: usize = problems.iter().map(Vec::len).sum();
    let wanted = instances.lines() + services.lines();
    let problems = if wanted + problem_lines > left { cap(problems, PROBLEM_LINES) } else { problems };
    left = left.saturating_sub(problems.iter().map(Vec::len).sum());

    // Each table may have half; what one does not need is the other's.
    let half = left / 2;
    let for_instances = instances.lines().min(left.saturating_sub(services.lines().min(left - half)));
    out.extend(instances.fit(for_instances));
    out.extend(services.fit(left - for_instances));
    out.extend(problems.into_iter().flatten());
    out.iter().map(|line| cut(line, width) + "\n").collect()
}

/// Whole problems, as many as there is room for, and one line for the rest.
fn cap(problems: Vec<Vec<String>>, lines_max: usize) -> Vec<Vec<String>> {
    let total = problems.len();
    if problems.iter().map(Vec::len).sum::<usize>() <= lines_max {
        return problems;
    }
    let mut used = 1;
    let mut kept: Vec<Vec<String>> = problems
        .into_iter()
        .take_while(|p| {
            used += p.len();
            used <= lines_max
        })
        .collect();
    kept.push(vec![format!("! ... and {} more problems (vipd status --json)", total - kept.len())]);
    kept
}

/// The first line: who, what it is doing, what is wrong, since when it runs. What does not fit goes on a
/// second line.
fn head(snapshot: &Snapshot, width: usize) -> Vec<String> {
    let up = format!("up {}", Age(snapshot.up));
    let name = cut(&ascii(&snapshot.router_name), 24);
    let mut lines = Vec::new();
    let mut line = format!("{name}: ");
    let mut empty = true;
    for clause in clauses(snapshot) {
        let room = if lines.is_empty() { width.saturating_sub(up.len() + 2) } else { width };
        if !empty && line.len() + clause.len() + 2 > room {
            line.push(',');
            lines.push(core::mem::replace(&mut line, "  ".to_owned()));
            empty = true;
        }
        if !empty {
            line.push_str(", ");
        }
        line.push_str(&clause);
        empty = false;
    }
    lines.push(line);
    if let Some(first) = lines.first_mut() {
        let pad = width.saturating_sub(first.len() + up.len());
        first.extend(core::iter::repeat_n(' ', pad));
        first.push_str(&up);
    }
    lines
}

/// What the first line says, the most important first.
fn clauses(snapshot: &Snapshot) -> Vec<String> {
    let mut clauses = instance_clauses(snapshot);
    if snapshot.ipvs.as_ref().is_some_and(|ipvs| !ipvs.present) {
        clauses.push("no IPVS".to_owned());
    }
    clauses.extend(service_clauses(snapshot));
    clauses
}

fn instance_clauses(snapshot: &Snapshot) -> Vec<String> {
    let instances = &snapshot.instances;
    let total = instances.len();
    if total == 0 {
        return vec!["no VRRP instance".to_owned()];
    }
    let states = [
        ("ACTIVE", InstanceState::Active),
        ("FAULT", InstanceState::Fault),
        ("BACKUP", InstanceState::Backup),
        ("starting", InstanceState::Initialize),
    ];
    let mut clauses = Vec::new();
    for (word, state) in states {
        let count = instances.iter().filter(|i| i.state == state).count();
        match (count, clauses.is_empty()) {
            (0, _) => {}
            (_, true) => clauses.push(format!("{word} for {count} of {total} instance{}", s(total))),
            (_, false) => clauses.push(format!("{word} for {count}")),
        }
    }
    let rivals = instances.iter().filter(|i| health::rival(i).is_some()).count();
    let missing: usize = instances.iter().map(health::missing).sum();
    let left: usize = instances.iter().map(health::left_over).sum();
    if rivals > 0 {
        clauses.push(format!("{rivals} also claimed by another router"));
    }
    let rejecting = instances.iter().filter(|i| health::is_rejecting(i)).count();
    if rejecting > 0 {
        clauses.push(format!("{rejecting} rejecting another router"));
    }
    if missing > 0 {
        clauses.push(format!("{missing} VIP{} missing", s(missing)));
    }
    if left > 0 {
        clauses.push(format!("{left} VIP{} left behind", s(left)));
    }
    clauses
}

fn service_clauses(snapshot: &Snapshot) -> Vec<String> {
    let total = snapshot.services.len();
    let count = |health| snapshot.services.iter().filter(|s| health::service(s) == health).count();
    let kinds = [
        (count(ServiceHealth::Down), "down"),
        (count(ServiceHealth::Sorry), "on sorry server"),
        (count(ServiceHealth::Degraded), "degraded"),
    ];
    if kinds.iter().all(|(n, _)| *n == 0) {
        return if total == 0 { Vec::new() } else { vec![format!("{total} service{} healthy", s(total))] };
    }
    let mut clauses: Vec<String> = Vec::new();
    for (n, word) in kinds.into_iter().filter(|(n, _)| *n > 0) {
        let noun = if clauses.is_empty() { format!(" service{}", s(n)) } else { String::new() };
        clauses.push(format!("{n}{noun} {word}"));
    }
    clauses
}

/// What somebody should do something about, each once: what the engine says, then what the numbers say.
fn problems(snapshot: &Snapshot) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut add = |text: String| {
        let line = format!("! {}", ascii(&text));
        if !list.contains(&line) {
            list.push(line);
        }
    };
    let absent = snapshot.ipvs.as_ref().filter(|ipvs| !ipvs.present);
    if let Some(ipvs) = absent.filter(|ipvs| ipvs.why.is_empty() || !is_told(snapshot, &[&ipvs.why])) {
        add(if ipvs.why.is_empty() {
            "IPVS does not answer".to_owned()
        } else {
            ipvs.why.as_str().to_owned()
        });
    }
    for text in &snapshot.problems {
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

/// Does the engine say something of all these words already?
pub(super) fn is_told(snapshot: &Snapshot, words: &[&str]) -> bool {
    snapshot.problems.iter().any(|p| words.iter().all(|w| p.contains(w)))
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// The plural's ending.
fn s<T: PartialEq + From<u8>>(n: T) -> &'static str {
    if n == T::from(1) { "" } else { "s" }
}

impl Section {
    /// Lines of the whole section; 0 where it has no rows.
    fn lines(&self) -> usize {
        if self.rows.is_empty() { 0 } else { 1 + self.rows.iter().map(|r| 1 + r.notes.len()).sum::<usize>() }
    }

    /// At most `budget` lines: rows with something to say first, then their notes, then the rest; in the
    /// order of the configuration.
    fn fit(self, budget: usize) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let whole = self.lines() <= budget;
        let room = budget.saturating_sub(if whole { 1 } else { 2 });
        let poor = self.rows.iter().filter(|r| !r.quiet).count().min(room);
        let notes_max = if whole { usize::MAX } else { self.notes_that_fit(room) };
        let noted: usize =
            self.rows.iter().filter(|r| !r.quiet).take(poor).map(|r| r.notes.len().min(notes_max)).sum();
        let (mut poor_left, mut well_left) = (poor, room.saturating_sub(poor + noted));

        let mut out = vec![self.header];
        let (mut hidden, mut hidden_poor) = (0, 0);
        for row in self.rows {
            let left = if row.quiet { &mut well_left } else { &mut poor_left };
            if *left == 0 {
                hidden += 1;
                hidden_poor += usize::from(!row.healthy);
                continue;
            }
            *left -= 1;
            out.push(row.line);
            let notes = row.notes.len();
            let keep = if notes > notes_max { notes_max.saturating_sub(1) } else { notes };
            out.extend(row.notes.into_iter().take(keep));
            if notes > keep && notes_max > 0 {
                out.push(format!("  ... and {} more (vipd status {})", notes - keep, row.name));
            }
        }
        if hidden > 0 {
            out.push(more(hidden, hidden_poor, self.noun));
        }
        out
    }

    /// How many notes each unhealthy row may have so that all unhealthy rows fit with theirs.
    fn notes_that_fit(&self, room: usize) -> usize {
        let poor = || self.rows.iter().filter(|r| !r.quiet);
        let most = poor().map(|r| r.notes.len()).max().unwrap_or(0);
        (1..=most.min(room))
            .rev()
            .find(|k| poor().map(|r| 1 + r.notes.len().min(*k)).sum::<usize>() <= room)
            .unwrap_or(0)
    }
}

fn more(hidden: usize, poor: usize, noun: &str) -> String {
    let hint = "(vipd status NAME shows one)";
    match poor {
        0 => format!("... and {hidden} more healthy {noun}{} {hint}", s(hidden)),
        _ if poor == hidden => format!("... and {hidden} more unhealthy {noun}{} {hint}", s(hidden)),
        _ => format!("... and {hidden} more {noun}{}, {poor} of them unhealthy {hint}", s(hidden)),
    }
}
