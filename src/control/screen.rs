//! The status screen: first the answer, then tables, then problems with what to do; never more than a screen.

use super::age::Age;
use super::health::{self, ServiceHealth};
use super::problems::{problems, s};
use super::render::Screen;
use super::section::{Section, shares};
use super::table::{ascii, cut, wrap};
use super::{rows, service_rows, track_rows};
use crate::model::status::{InstanceState, Snapshot};

/// Lines that problems may take where room is short.
const PROBLEM_LINES: usize = 7;

/// The whole status on one screen. Where it does not fit, healthy rows give way first, and a line says how
/// many.
pub fn text(snapshot: &Snapshot, screen: Screen) -> String {
    let width = screen.columns.max(60);
    let mut out = head(snapshot, width);
    let sections = [
        rows::instances(snapshot, width),
        track_rows::groups(&snapshot.groups, &snapshot.instances, width),
        track_rows::trackers(&snapshot.trackers, width),
        service_rows::services(&snapshot.services, width),
    ];
    let problems = problems(snapshot);
    let problems: Vec<Vec<String>> = problems.iter().map(|p| wrap(p, width, 2)).collect();

    let mut left = screen.lines.max(20).saturating_sub(out.len());
    let problem_lines: usize = problems.iter().map(Vec::len).sum();
    let wanted: usize = sections.iter().map(Section::lines).sum();
    let problems = if wanted + problem_lines > left { cap(problems, PROBLEM_LINES) } else { problems };
    left = left.saturating_sub(problems.iter().map(Vec::len).sum());

    let shares = shares(&sections, left);
    out.extend(sections.into_iter().zip(shares).flat_map(|(section, share)| section.fit(share)));
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
    let hurting = snapshot.trackers.iter().filter(|t| t.hurts).count();
    if hurting > 0 {
        clauses.push(format!("{hurting} tracker{} failing", s(hurting)));
    }
    let failed = snapshot.runs.iter().filter(|r| health::is_service_failed(r)).count();
    if failed > 0 {
        clauses.push(format!("{failed} local service{} failed", s(failed)));
    }
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
    let routes: usize = instances.iter().map(health::routes_missing).sum();
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
    if routes > 0 {
        clauses.push(format!("{routes} route{} missing", s(routes)));
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
