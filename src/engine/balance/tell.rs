//! What is said of services and servers: notes, mails in keepalived's words (spec/keepalived.md §2.6),
//! status.

use super::Balancer;
use super::reconcile::Family;
use super::service::{Server, Service};
use crate::engine::Ctx;
use crate::engine::history::age;
use crate::model::status::{IpvsStatus, ServerStatus, ServiceStatus, Snapshot};
use crate::model::{self, CheckKind, Front, Level, Text, cut};
use crate::time::{Duration, Instant};
use core::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How long probes that could not be made are shown as a problem.
const NOT_RUN_SHOWN: Duration = Duration::from_secs(60);
/// Services listed one by one among the problems; more are counted in one line.
const FAULTS_SHOWN: usize = 8;

/// keepalived's way to write a service or a server: `[10.0.0.1]:tcp:80`.
struct Place(model::Protocol, SocketAddr);

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]:{}:{}", self.1.ip(), self.0, self.1.port())
    }
}

fn place_of(protocol: model::Protocol, address: Option<SocketAddr>) -> Place {
    Place(protocol, address.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)))
}

fn front(config: &model::Service) -> Option<SocketAddr> {
    match &config.front {
        Front::Address(address) => Some(*address),
        Front::Mark { .. } | Front::Group { .. } => None,
    }
}

const fn up_down(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

/// Tells that a server went up or down. `changed`: does it take part otherwise than before? (If not, its
/// first verdict only said what it was taken for.)
pub(super) fn tell_server(now: Instant, service: &Service, index: usize, changed: bool, cx: &mut Ctx<'_>) {
    let (Some(config), Some(server)) = (service.config.servers.get(index), service.servers.get(index)) else {
        return;
    };
    let (name, address) = (&service.config.name, &config.address);
    if server.up {
        cx.note(now, Level::Note, "server", name, format_args!("{address} is up"));
    } else {
        let text = format_args!("{address} is down: {}", server.reason);
        cx.note(now, Level::Warning, "server", name, text);
    }
    let Some(check) = config.checks.first().filter(|_| changed) else { return };
    let body = match (&check.kind, server.up) {
        (CheckKind::Tcp, true) => "TCP CHECK succeed on service",
        (CheckKind::Tcp, false) => "TCP CHECK failed on service",
        (CheckKind::Ping, true) => "PING CHECK succeed on service",
        (CheckKind::Ping, false) => "PING CHECK failed on service",
        (CheckKind::Dns(_), true) => "DNS CHECK succeed on service",
        (CheckKind::Dns(_), false) => "DNS CHECK failed on service",
        (CheckKind::Smtp(_) | CheckKind::Udp(_) | CheckKind::Script(_) | CheckKind::File(_), true) => {
            "CHECK succeed on service"
        }
        (CheckKind::Smtp(_) | CheckKind::Udp(_) | CheckKind::Script(_) | CheckKind::File(_), false) => {
            "CHECK failed on service"
        }
        (CheckKind::Http(_), true) => "CHECK succeed on service",
        (CheckKind::Http(_), false) => "CHECK failed on service : HTTP/SSL request failed",
    };
    cx.mailer.push(
        now,
        format_args!(
            "[{}] Realserver {} of virtual server {} - {}",
            cx.router_name,
            place_of(service.config.protocol, server.address),
            place_of(service.config.protocol, front(&service.config)),
            up_down(server.up)
        ),
        format_args!("=> {body} <=\n{}{}", server.reason, if server.reason.is_empty() { "" } else { "\n" }),
    );
}

/// Tells that a service has a server again, or none any more.
pub(super) fn tell_service(now: Instant, service: &Service, cx: &mut Ctx<'_>) {
    let name = &service.config.name;
    match (service.is_served, &service.config.sorry) {
        (true, _) => {
            let text = format_args!("served again, {} of {} up", service.up_count(), service.servers.len());
            cx.note(now, Level::Note, "service", name, text);
        }
        (false, Some(sorry)) => {
            let text = format_args!("no server left, the sorry server {} answers", sorry.address);
            cx.note(now, Level::Error, "service", name, text);
        }
        (false, None) => {
            let text = format_args!("no server left, and there is no sorry server: clients are refused");
            cx.note(now, Level::Error, "service", name, text);
        }
    }
    let place = place_of(service.config.protocol, front(&service.config));
    let subject = format_args!("[{}] Virtualserver {place} - {}", cx.router_name, up_down(service.is_served));
    if service.is_served {
        let body = format_args!("=> Gained quorum 1+0=1 <= {} <=\n", service.weight);
        cx.mailer.push(now, subject, body);
    } else {
        cx.mailer.push(now, subject, format_args!("=> Lost quorum 1-0=1 > {} <=\n", service.weight));
    }
}

impl Balancer {
    /// Puts services, the state of the kernel's IPVS and problems into the snapshot.
    pub(in crate::engine) fn fill(&self, now: Instant, snapshot: &mut Snapshot) {
        snapshot.services.extend(self.services.iter().map(|service| self.service_status(now, service)));
        if !self.services.is_empty() {
            snapshot.ipvs = Some(self.ipvs_status());
        }
        self.problems(now, &mut snapshot.problems);
    }

    fn service_status(&self, now: Instant, service: &Service) -> ServiceStatus {
        ServiceStatus {
            name: service.config.name.clone(),
            protocol: service.config.protocol,
            front: service.config.front.clone(),
            scheduler: service.config.scheduler.clone(),
            sorry_active: service.sorry_active(),
            sorry: service.config.sorry.map(|sorry| sorry.address),
            installed: self.table.is_installed(&service.rows),
            servers: service
                .config
                .servers
                .iter()
                .zip(&service.servers)
                .map(|(config, server)| self.server_status(now, service, config, server))
                .collect(),
            active_connections: self.table.connections(&service.rows),
            quorum: service.config.quorum,
            hysteresis: service.config.hysteresis,
            has_quorum: service.is_served,
            suspended: false,
            since: age(now, service.since),
        }
    }

    fn server_status(
        &self,
        now: Instant,
        service: &Service,
        config: &model::Server,
        server: &Server,
    ) -> ServerStatus {
        let of = |address| self.table.server(&service.rows, address, &config.method);
        let (installed, active_connections, inactive_connections) = server.address.map_or((false, 0, 0), of);
        ServerStatus {
            address: config.address.clone(),
            resolved: server.address,
            method: config.method,
            weight: config.weight,
            configured_weight: config.weight,
            draining: false,
            up: server.up,
            known: server.is_known(),
            installed,
            since: age(now, server.since),
            reason: server.reason.clone(),
            passed: server.passed,
            failed: server.failed,
            probed: server.probed_at.map(|at| age(now, at)),
            probe_time: server.probe_time,
            active_connections,
            inactive_connections,
            checks: Vec::new(),
        }
    }

    fn ipvs_status(&self) -> IpvsStatus {
        IpvsStatus {
            present: self.table.family == Family::Ready,
            why: match &self.table.family {
                Family::Absent { why, .. } => why.clone(),
                Family::Unneeded | Family::Resolving { .. } | Family::Ready => Text::new(),
            },
            repaired: self.table.repaired,
            refused: self.table.refused,
            sockopt: false,
            sync: Vec::new(),
        }
    }

    fn problems(&self, now: Instant, problems: &mut Vec<Text>) {
        if let Family::Absent { why, .. } = &self.table.family {
            problems.push(why.clone());
        }
        if let Some(refusal) = self.table.reader.refusal {
            problems.push(cut(format_args!("the IPVS table cannot be read: {refusal}")));
        }
        let mut faults = self.table.rows.iter().flatten().filter_map(|row| row.explain());
        problems.extend(faults.by_ref().take(FAULTS_SHOWN));
        let more = faults.count();
        if more > 0 {
            problems.push(cut(format_args!("{more} more services are not in the IPVS table as wanted")));
        }
        if let Some((at, why)) = self.not_run.as_ref().filter(|(at, _)| age(now, *at) < NOT_RUN_SHOWN) {
            problems
                .push(cut(format_args!("a probe could not be made {} s ago: {why}", age(now, *at).secs())));
        }
    }
}
