//! Services, servers and the kernel's IPVS for `vipd status`.

use super::Balancer;
use super::quorum::Terms;
use super::reconcile::Family;
use super::server::Server;
use super::service::Service;
use crate::engine::history::age;
use crate::model::status::{IpvsStatus, ServerStatus, ServiceStatus, Snapshot};
use crate::model::{self, Text, cut};
use crate::time::{Duration, Instant};

/// How long probes that could not be made are shown as a problem.
const NOT_RUN_SHOWN: Duration = Duration::from_secs(60);
/// Services listed one by one among the problems; more are counted in one line.
const FAULTS_SHOWN: usize = 8;

impl Balancer {
    /// Puts services, the state of the kernel's IPVS and problems into the snapshot.
    pub(in crate::engine) fn fill(&self, now: Instant, snapshot: &mut Snapshot) {
        snapshot.services.extend(self.services.iter().map(|service| self.service_status(now, service)));
        if !self.services.is_empty() || self.table.whole.is_needed() {
            snapshot.ipvs = Some(self.ipvs_status());
        }
        self.problems(now, &mut snapshot.problems);
    }

    fn service_status(&self, now: Instant, service: &Service) -> ServiceStatus {
        let Terms { quorum, hysteresis } = service.terms();
        ServiceStatus {
            name: service.config.name.clone(),
            protocol: service.config.protocol,
            front: service.config.front.clone(),
            scheduler: service.config.scheduler.clone(),
            persistence: service.config.persistence.clone(),
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
            quorum,
            hysteresis,
            has_quorum: service.has_quorum,
            suspended: service.suspended,
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
        let probes = || server.probes(&self.probes);
        let of = |address| self.table.server(&service.rows, address, &config.method);
        let (installed, active_connections, inactive_connections) = server.address.map_or((false, 0, 0), of);
        ServerStatus {
            address: config.address.clone(),
            resolved: server.address,
            method: config.method,
            weight: server.weight,
            configured_weight: config.weight,
            draining: server.draining,
            up: server.up,
            known: server.is_known(config, &self.probes, &self.files),
            installed,
            since: age(now, server.since),
            reason: server.reason.get(),
            passed: probes().fold(0, |sum, probe| sum.saturating_add(probe.passed)),
            failed: probes().fold(0, |sum, probe| sum.saturating_add(probe.failed)),
            probed: probes().filter_map(|probe| probe.probed_at).max().map(|at| age(now, at)),
            probe_time: probes().find_map(|probe| probe.probe_time),
            active_connections,
            inactive_connections,
            checks: server.check_status(now, config, &self.probes, &self.files),
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
            sockopt: self.table.sockopt,
            sync: self.table.whole.roles(),
        }
    }

    fn problems(&self, now: Instant, problems: &mut Vec<Text>) {
        if let Family::Absent { why, .. } = &self.table.family {
            problems.push(why.clone());
        }
        if let Some(refusal) = self.table.reader.refusal {
            problems.push(cut(format_args!("the IPVS table cannot be read: {refusal}")));
        }
        self.table.whole.problems(problems);
        problems.extend(self.table.interface_problem());
        let mut faults = self.table.rows.iter().flatten().filter_map(|row| row.explain());
        problems.extend(faults.by_ref().take(FAULTS_SHOWN));
        let more = faults.count();
        if more > 0 {
            problems.push(cut(format_args!("{more} more services are not in the IPVS table as wanted")));
        }
        self.names.problems(problems);
        self.left_out(problems);
        if let Some((at, why)) = self.not_run.as_ref().filter(|(at, _)| age(now, *at) < NOT_RUN_SHOWN) {
            problems
                .push(cut(format_args!("a probe could not be made {} s ago: {why}", age(now, *at).secs())));
        }
    }

    /// Servers that are left out because their names have the address of another one.
    fn left_out(&self, problems: &mut Vec<Text>) {
        let mut left_out = self.services.iter().flat_map(|service| {
            let servers = service.config.servers.iter().zip(&service.servers);
            servers.filter(|(_, server)| server.left_out).map(move |(config, _)| (service, config))
        });
        problems.extend(left_out.by_ref().take(FAULTS_SHOWN).map(|(service, config)| {
            let (name, address) = (&service.config.name, &config.address);
            cut(format_args!("service {name}: {address} has the address of another server, and is left out"))
        }));
        let more = left_out.count();
        if more > 0 {
            problems.push(cut(format_args!("{more} more servers are left out likewise")));
        }
    }
}
