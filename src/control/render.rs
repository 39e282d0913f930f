//! A snapshot as text for people.

pub use super::detail::detail;
pub use super::screen::text;

use super::age::{Age, Count};
use super::health::{self, ServiceHealth};
use super::table::{ascii, cut};
use super::track_rows::state;
use crate::model::status::{
    GroupStatus, InstanceState, InstanceStatus, ServiceStatus, Snapshot, TrackerStatus,
};

/// Size of a screen. A serial console has no window size: these are the widest and the longest that never
/// scroll the first line away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Characters in a line, 60 at least. 79 by default: some terminals make an empty line after the 80th
    /// character.
    pub columns: usize,
    /// Lines, 20 at least. 23 by default: the prompt takes the 24th.
    pub lines: usize,
}

impl Default for Screen {
    fn default() -> Self {
        Screen { columns: 79, lines: 23 }
    }
}

/// One line for each instance, group, tracker and service, for scripts and prompts: what, name, state, age,
/// and what is wrong. Lines of other kinds may come; a script takes those whose first word it knows.
///
/// ```text
/// instance VI_1 Active 3d04h prio 100 this
/// group VG_1 Active 3d04h 2
/// tracker wan down 41s path
/// service web degraded 41s 1/2
/// ```
pub fn brief(snapshot: &Snapshot) -> String {
    let width = Screen::default().columns;
    let mut out = String::new();
    let instances = snapshot.instances.iter().map(brief_instance);
    let groups = snapshot.groups.iter().map(brief_group);
    let trackers = snapshot.trackers.iter().map(brief_tracker);
    let services = snapshot.services.iter().map(brief_service);
    for line in instances.chain(groups).chain(trackers).chain(services) {
        out.push_str(&cut(&line, width));
        out.push('\n');
    }
    out
}

fn brief_instance(instance: &InstanceStatus) -> String {
    let router = match (instance.state, &instance.active_router) {
        (InstanceState::Active, _) => "this".to_owned(),
        (_, Some(peer)) => peer.address.to_string(),
        (_, None) => "-".to_owned(),
    };
    let mut line = format!(
        "instance {} {} {} prio {} {router}",
        cut(&word(&instance.name), 24),
        instance.state.word(),
        Age(instance.since),
        instance.effective_priority,
    );
    if let Some(rival) = health::rival(instance) {
        line.push_str(&format!(" rival={}", rival.address));
    }
    if health::routes_missing(instance) > 0 {
        line.push_str(&format!(" routes-missing={}", health::routes_missing(instance)));
    }
    match (health::missing(instance), health::left_over(instance)) {
        (0, 0) => {}
        (0, left) => line.push_str(&format!(" vips-left={left}")),
        (missing, _) => line.push_str(&format!(" vips-missing={missing}")),
    }
    line
}

fn brief_group(group: &GroupStatus) -> String {
    let (name, state, since) = (cut(&word(&group.name), 24), group.state.word(), Age(group.since));
    format!("group {name} {state} {since} {}", group.members.len())
}

fn brief_tracker(tracker: &TrackerStatus) -> String {
    let (name, state, since) = (cut(&word(&tracker.name), 24), state(tracker), Age(tracker.since));
    let hurts = if tracker.hurts { " hurts" } else { "" };
    format!("tracker {name} {state} {since} {}{hurts}", tracker.kind)
}

fn brief_service(service: &ServiceStatus) -> String {
    let serving = service.servers.iter().filter(|s| health::is_serving(s)).count();
    let state = health::service(service);
    let mut line = format!(
        "service {} {} {} {serving}/{} {}",
        cut(&word(&service.name), 24),
        state.word(),
        Age(service.since),
        service.servers.len(),
        Count(service.active_connections),
    );
    if state == ServiceHealth::Down && !service.installed {
        line.push_str(" not-in-kernel");
    }
    if service.suspended {
        line.push_str(" suspended");
    } else if !service.has_quorum {
        line.push_str(" no-quorum");
    }
    match service.servers.iter().filter(|s| s.draining).count() {
        0 => {}
        drained => line.push_str(&format!(" draining={drained}")),
    }
    line
}

/// A name as one word, for scripts that split at spaces.
fn word(name: &str) -> String {
    ascii(name).replace(' ', "_")
}
