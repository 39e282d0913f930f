//! `[[service]]`: its own keys, and what its servers take from them.

mod beside;
mod front;
mod method;
mod persistence;
mod scheduler;
mod server;
mod sorry;

pub(super) use beside::{compare, on_vips};
pub(super) use front::Face;
#[cfg(feature = "import")]
pub(super) use scheduler::name as scheduler_name;

use super::check::{checks, weighs};
use super::command::{self, Owner, Terms};
use super::reader::Table;
use super::report::{At, Report};
use super::{server_group, track, values};
use crate::model::{
    Check, CheckKind, Forwarding, Front, Method, Name, Scheduler, Server, ServerAddress, Service, ServiceKey,
    Shared, Sorry,
};
use front::Wants;

/// The kernel keeps weights and thresholds as signed numbers of 32 bits (IPVS-43, IPVS-43a).
const WEIGHT_MAX: u32 = i32::MAX.unsigned_abs();

/// What services need to know of the rest of the file.
pub(super) struct Scope<'s> {
    /// As whom commands run that do not say.
    pub(super) owner: &'s Owner,
    /// `[[track]]`, for checks that follow a file.
    pub(super) tracks: &'s [track::Draft],
    /// `[[server_group]]`.
    pub(super) groups: &'s [server_group::Draft],
}

/// What could be read of a service, for comparisons with the others.
pub(super) struct Draft {
    pub(super) name: Option<At<Name>>,
    /// What clients connect to.
    pub(super) face: Face,
    /// Servers of another family than (a part of) the front has (IPVS-44b).
    pub(super) mixed: Vec<usize>,
    /// What the old interface of the kernel cannot be told of (IPVS-90).
    pub(super) newer: Vec<At<&'static str>>,
    /// `mail = true`, where nothing else could be meant.
    pub(super) mails: Vec<usize>,
    /// Trackers that its checks follow.
    pub(super) tracks: Vec<usize>,
    /// `None` where something that has no default could not be read.
    pub(super) service: Option<Service>,
}

/// What servers take from their service.
struct Defaults {
    weight: u32,
    inhibit: bool,
    start_up: bool,
    method: Method,
    checks: Shared<Vec<Check>>,
    any_check: bool,
}

/// `[[service]]`.
pub(super) fn service(mut table: Table<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Draft {
    let name = table.parsed("name", values::name, report);
    table.require("name", "name = \"web\"");
    let (protocol, front, face) = front::front(&mut table, scope, report);
    let scheduler = scheduler::scheduler(&mut table, report);
    let named = scheduler.as_ref().map(|scheduler| scheduler.value.as_str());
    let flags = match (named, table.has("scheduler")) {
        (None, true) => {
            table.know(&["scheduler_flags"]); // nobody knows whose flags they are
            0
        }
        _ => scheduler::flags(&mut table, named, report),
    };
    let method = method::method(&mut table, Method::new(Forwarding::Masquerade), report);
    let persistence = persistence::persistence(&mut table, protocol, &face, report);
    let one_packet = table.flag("one_packet", false, report);
    let suspend = table.flag("suspend", false, report);
    let tells_stop = table.flag("notify_stop", false, report);
    let mail = table.boolean("mail", report);
    let wants = Wants {
        persistent: table.has("persistence"),
        one_packet: one_packet.then(|| table.key_at("one_packet")),
        suspend: suspend.then(|| table.key_at("suspend")),
    };
    front::suits(&face, &wants, protocol, report);
    let sorry = table.get("sorry").and_then(|value| sorry::sorry(value, &face, method, report));
    let (mut quorum_up, mut quorum_down) = (None, None);
    if let Some(mut notify) = server::notify(&mut table, "a service's notify", report) {
        let terms = Terms::of(scope.owner);
        quorum_up = command::optional(&mut notify, "quorum_up", terms, report).map(Box::new);
        quorum_down = command::optional(&mut notify, "quorum_down", terms, report).map(Box::new);
        notify.finish(report);
    }
    let defaults = defaults(&mut table, method, scope, report);
    let mut mails: Vec<usize> = mail.filter(|mail| mail.value).map(|mail| mail.at).into_iter().collect();
    let servers = server::servers(&mut table, &defaults, &face, scope, &mut mails, report);
    let (quorum, hysteresis) = quorum(&mut table, &servers, report);
    unserved(&table, &servers, sorry.as_ref(), report);
    table.finish(report);
    let mut draft = Draft::new(name, face, &servers, sorry.as_ref());
    draft.newer.extend(
        persistence
            .as_ref()
            .filter(|read| read.value.engine.is_some())
            .map(|read| At { at: read.at, value: "a persistence engine" }),
    );
    draft.mails = mails;
    let mut servers: Vec<Server> = servers.into_iter().map(|server| server.value).collect();
    servers.shrink_to_fit();
    let service = draft.name.as_ref().zip(front).map(|(name, front): (&At<Name>, Front)| Service {
        scheduler: scheduler.map_or_else(default_scheduler, |scheduler| scheduler.value),
        scheduler_flags: flags,
        one_packet,
        persistence: persistence.map(|persistence| persistence.value),
        sorry: sorry.map(|sorry| sorry.value),
        quorum,
        hysteresis,
        tells_stop,
        suspend,
        mail: mail.map(|mail| mail.value),
        quorum_up,
        quorum_down,
        servers,
        ..Service::new(name.value.clone(), protocol, front)
    });
    Draft { service, ..draft }
}

impl Draft {
    /// The group that it is for.
    fn group(&self) -> Option<&str> {
        match self.service.as_ref().map(|service| &service.front) {
            Some(Front::Group { name, .. }) => Some(name),
            Some(Front::Address(_) | Front::Mark { .. }) | None => None,
        }
    }

    fn new(name: Option<At<Name>>, face: Face, servers: &[At<Server>], sorry: Option<&At<Sorry>>) -> Self {
        let ends = servers
            .iter()
            .map(|server| (server.at, server.value.address.clone(), server.value.method))
            .chain(sorry.map(|sorry| (sorry.at, ServerAddress::Ip(sorry.value.address), sorry.value.method)));
        let (mut mixed, mut newer) = (Vec::new(), Vec::new());
        for (at, address, method) in ends {
            let ipv6 = match &address {
                ServerAddress::Ip(address) => address.is_ipv6(),
                ServerAddress::Name { ipv6, .. } => *ipv6,
            };
            if method.forward == Forwarding::Tunnel && face.keys.iter().any(|key| key.is_ipv6() != ipv6) {
                mixed.push(at);
            }
            newer.extend(method::newer(method, ipv6 && !face.has_ipv6()).map(|value| At { at, value }));
        }
        if face.keys.iter().any(ServiceKey::is_ipv6) {
            newer.push(At { at: face.at, value: "an IPv6 service" });
        }
        let checks = servers.iter().flat_map(|server| server.value.checks.iter());
        let tracks = checks.filter_map(|check| match &check.kind {
            CheckKind::File(file) => Some(file.track),
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp(_)
            | CheckKind::Ping
            | CheckKind::Dns(_)
            | CheckKind::Udp(_)
            | CheckKind::Script(_) => None,
        });
        Draft { tracks: tracks.collect(), mails: Vec::new(), name, face, mixed, newer, service: None }
    }
}

fn default_scheduler() -> Scheduler {
    Scheduler::try_from("wlc").unwrap_or_default()
}

/// Keys of the service that are those of its servers where they say nothing else.
fn defaults(table: &mut Table<'_>, method: Method, scope: &Scope<'_>, report: &mut Report<'_>) -> Defaults {
    Defaults {
        weight: server::weight(table, 1, report),
        inhibit: table.flag("inhibit", false, report),
        start_up: table.flag("start_up", true, report),
        method,
        checks: checks(table, scope, report).unwrap_or_default().into(),
        any_check: server::any_check(table, false, report),
    }
}

/// `quorum` and `hysteresis` (HC-6).
fn quorum(table: &mut Table<'_>, servers: &[At<Server>], report: &mut Report<'_>) -> (u32, u32) {
    let quorum = table.integer("quorum", 1..=WEIGHT_MAX, report);
    let hysteresis = table.integer("hysteresis", 0..=WEIGHT_MAX, report);
    if quorum.is_none() && table.has("quorum") {
        return (1, 0);
    }
    let least = quorum.map_or(1, |quorum| quorum.value);
    let more = hysteresis.map_or(0, |hysteresis| hysteresis.value);
    if let Some(hysteresis) = hysteresis.filter(|hysteresis| hysteresis.value >= least) {
        let what = format!("`hysteresis` ({more}) is not below `quorum` ({least})");
        report.error(hysteresis.at, what, "The quorum could never be lost while a server is up.");
        return (least, more);
    }
    let all: u64 = servers.iter().map(|server| u64::from(server.value.weight)).sum();
    let fixed = !servers.iter().any(|server| server.value.checks.iter().any(weighs));
    let needed = u64::from(least) + u64::from(more);
    if let Some(place) =
        quorum.or(hysteresis).filter(|_| fixed && !servers.is_empty() && needed > all && !report.has_errors())
    {
        let (what, hint) = if u64::from(least) > all {
            let what = format!("`quorum` ({least}) is above the weight of all servers ({all})");
            (what, format!("It counts as {}.", all.max(1)))
        } else {
            let what =
                format!("`quorum` and `hysteresis` ({needed}) are above the weight of all servers ({all})");
            (what, "Once lost the quorum is never gained again.".to_owned())
        };
        report.warning_of_whole(place.at, what, hint);
    }
    (least, more)
}

/// Services that serve nobody, or not as meant.
fn unserved(table: &Table<'_>, servers: &[At<Server>], sorry: Option<&At<Sorry>>, report: &mut Report<'_>) {
    if let Some(sorry) = sorry
        && servers.iter().any(|server| server.value.address == ServerAddress::Ip(sorry.value.address))
    {
        let what = format!("`sorry` {} is one of the servers", sorry.value.address);
        report.warning(table.key_at("sorry"), what, "It will be served by a machine that was found dead.");
    }
    if servers.is_empty() && sorry.is_none() && !table.has("server") {
        let hint = "Add [[service.server]] with an address.";
        report.warning_of_whole(
            table.at,
            "the service has no server: every connection will be refused",
            hint,
        );
    }
    if !servers.is_empty() && servers.iter().all(|server| server.value.weight == 0) {
        let what = "every server has weight 0: new connections will be refused";
        report.warning_of_whole(table.at, what, "Give one of them a weight.");
    }
    let several = servers.iter().any(|server| server.value.checks.len() > 1);
    if table.has("require") && !several && !servers.is_empty() {
        let what = "`require` has no effect with less than two checks of a server";
        report.warning_of_whole(table.key_at("require"), what, "");
    }
}
