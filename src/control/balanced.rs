//! A snapshot for tests: services of every sort.

use super::examples::{fail, name, run, s1, secs, server, service};
use crate::model::status::{CheckStatus, IpvsStatus, Snapshot};
use crate::model::{DaemonRole, Front, Persistence, Protocol, ServerAddress, ServiceKey};
use crate::time::Duration;

fn check(kind: &'static str) -> CheckStatus {
    CheckStatus {
        kind,
        up: true,
        known: true,
        reason: name(""),
        passed: 1200,
        failed: 0,
        probed: Some(secs(2)),
        probe_time: Some(Duration::from_millis(12)),
        weight: 0,
    }
}

/// Services by mark, by address and by group: two servers drained, a quorum lost, one that rests.
pub(super) fn balanced() -> Snapshot {
    let mut web = service("web", "10.0.0.100:80");
    web.front = Front::Mark { mark: 7, ipv6: false };
    web.persistence = Some(Persistence { timeout: secs(360), prefix_len: 24, engine: None });
    web.servers = ["10.1.0.11:80", "10.1.0.12:80", "10.1.0.13:80"].map(|a| server(a, 1)).into();
    web.servers[1].draining = true;
    web.servers[1].active_connections = 12;
    web.servers[2].draining = true;
    web.servers[2].active_connections = 0;
    let mut mail = service("mail", "10.0.0.100:25");
    (mail.quorum, mail.has_quorum, mail.sorry) = (2, false, None);
    mail.servers = vec![server("10.1.0.21:25", 6), server("10.1.0.22:25", 1)];
    mail.servers[0].weight = 1;
    mail.servers[0].checks = vec![check("smtp"), check("file")];
    mail.servers[0].checks[1].weight = -5;
    let host = "mx2.example.org".to_owned();
    fail(&mut mail.servers[1], 41, "no answer within 3s");
    mail.servers[1].address = ServerAddress::Name { host, port: 25, ipv6: false };
    let mut dns = service("dns", "10.0.0.100:53");
    dns.protocol = Protocol::Udp;
    let key = |ip: &str| ServiceKey::Address { protocol: Protocol::Udp, address: ip.parse().unwrap() };
    dns.front =
        Front::Group { name: name("pool"), keys: vec![key("10.0.0.53:53"), key("[2001:db8::53]:53")] };
    (dns.suspended, dns.has_quorum) = (true, false);
    dns.servers.iter_mut().for_each(|server| server.installed = false);
    let mut told = run("mail", "notify_server", "DOWN: exited with 1", true);
    told.server = Some(ServerAddress::Ip("10.1.0.21:25".parse().unwrap()));
    Snapshot {
        services: vec![web, mail, dns],
        runs: vec![told],
        ipvs: Some(IpvsStatus {
            present: true,
            sockopt: true,
            sync: vec![DaemonRole::Master],
            ..IpvsStatus::default()
        }),
        ..s1()
    }
}
