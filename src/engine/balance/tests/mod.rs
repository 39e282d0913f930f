//! Scripts of (time, event) and the actions that they must bring about, against a model of the kernel's
//! table.

mod checks;
mod errors;
mod foreign;
mod group;
mod interface;
mod kernel;
mod left;
mod model;
mod names;
mod quorum;
mod random;
mod reload;
mod script;
mod speed;
mod suspend;
mod whole;
mod words;

use self::kernel::Kernel;
use super::Balancer;
use crate::engine::history::History;
use crate::engine::links::Links;
use crate::engine::mail::Mailer;
use crate::engine::notify::Notifier;
use crate::engine::{
    Action, Actions, Ctx, HeldTimeouts, IpvsEvent, IpvsRequest, NameId, Outcome, ProbeId, RunId, RunOutcome,
    RunOwner, WholeRequest,
};
use crate::model::status::Snapshot;
use crate::model::{
    Check, CheckKind, Cidr, Config, Forwarding, Front, HttpCheck, HttpPage, IpvsInterface, Mail, MailServer,
    Method, Name, Protocol, Scheduler, Server, ServerAddress, Service, ServiceKey, Shared, Sorry,
    StatusRange, Tunnel, cut,
};
use crate::time::{Duration, Instant};
use crate::wire::ipvs::{Daemon, DaemonRole};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A balancer, the parts of the engine around it, a clock and a kernel.
struct Bed {
    balancer: Balancer,
    history: History,
    mailer: Mailer,
    notifier: Notifier,
    actions: Actions,
    now: Instant,
    kernel: Kernel,
    /// Requests that the kernel has had, in short form, dumps left out.
    log: Vec<String>,
    /// What the run-time directory says is ours.
    recorded: Vec<ServiceKey>,
    /// Likewise, of the timeouts.
    held: HeldTimeouts,
    /// Likewise, of the sync daemons.
    synced: Vec<(DaemonRole, Daemon)>,
    /// Lines for the FIFOs.
    fifo: Vec<String>,
    /// Settings that are held.
    settings: BTreeMap<String, String>,
    /// Probes started and not ended.
    probes: Vec<ProbeId>,
    stopped: Vec<ProbeId>,
    /// Scripts started and not ended.
    runs: Vec<RunId>,
    /// Names that are being looked up.
    asked: Vec<NameId>,
    /// The interface was changed: the kernel answers anew.
    is_other_kernel: bool,
    /// How often the kernel's addresses were asked for.
    redumps: u32,
}

impl Bed {
    /// A balancer that has not been started.
    fn new(config: &Config) -> Self {
        let now = Instant::from_secs(1000);
        Bed {
            balancer: Balancer::new(config, now, 7),
            history: History::new(),
            mailer: Mailer::new(config.mail.clone()),
            notifier: Notifier::default(),
            actions: Actions::new(),
            now,
            kernel: Kernel::default(),
            log: Vec::new(),
            recorded: Vec::new(),
            held: HeldTimeouts::default(),
            synced: Vec::new(),
            fifo: Vec::new(),
            settings: BTreeMap::new(),
            probes: Vec::new(),
            stopped: Vec::new(),
            runs: Vec::new(),
            asked: Vec::new(),
            is_other_kernel: false,
            redumps: 0,
        }
    }

    /// Started, and everything answered; the log is empty again.
    fn started(config: &Config) -> Self {
        let mut bed = Bed::new(config);
        bed.start();
        bed.settle();
        bed.log.clear();
        bed
    }

    fn call(&mut self, what: impl FnOnce(&mut Balancer, Instant, &mut Ctx<'_>)) {
        let mut claims = Default::default();
        let mut cx = Ctx {
            history: &mut self.history,
            mailer: &mut self.mailer,
            notifier: &mut self.notifier,
            claims: &mut claims,
            actions: &mut self.actions,
            router_name: "gw-a",
            links: &Links::default(),
            unix: Duration::ZERO,
        };
        what(&mut self.balancer, self.now, &mut cx);
    }

    fn start(&mut self) {
        self.call(|b, now, cx| b.start(now, cx));
    }

    fn ipvs(&mut self, event: IpvsEvent) {
        self.call(|b, now, cx| b.handle_ipvs(now, event, cx));
    }

    fn reload(&mut self, config: &Config) {
        self.call(|b, now, cx| b.reload(now, config, cx));
    }

    fn probe(&mut self, id: ProbeId, outcome: Outcome) {
        self.probes.retain(|p| *p != id);
        self.call(|b, now, cx| b.handle_probe(now, id, outcome, Duration::from_millis(3), cx));
    }

    /// Takes out the requests; books the probes.
    fn drain(&mut self) -> Vec<(u32, IpvsRequest)> {
        let mut requests = Vec::new();
        while let Some(action) = self.actions.take() {
            match action {
                Action::Ipvs { token, request } => {
                    if let IpvsRequest::NewService(s) = &request {
                        let is_new = !self.recorded.contains(&s.key);
                        assert!(!is_new, "{:?} goes in before it is written down as ours", s.key);
                    }
                    if let IpvsRequest::Whole(WholeRequest::NewDaemon(role, daemon)) = &request {
                        let ours = (*role, daemon.clone());
                        assert!(self.synced.contains(&ours), "{ours:?} starts before it is written down");
                    }
                    requests.push((token, request));
                }
                Action::HoldIpvsSetting { name, value } => {
                    self.log.push(format!("{name} = {value}"));
                    self.settings.insert(name.to_string(), value.to_string());
                }
                Action::ReleaseIpvsSetting { name } => {
                    self.log.push(format!("{name} back"));
                    assert!(self.settings.remove(name.as_str()).is_some(), "{name} is not held");
                }
                Action::UseIpvsInterface(interface) => {
                    self.log.push(format!("{interface:?}"));
                    // What was asked before it still goes the old way, or ends without an answer.
                    requests.clear();
                    self.kernel.sockopt = interface == IpvsInterface::Sockopt;
                    self.is_other_kernel = self.kernel.is_asked;
                }
                Action::RememberServices => self.recorded = self.balancer.own_services().collect(),
                Action::RememberTimeouts(held) => self.held = held,
                Action::RememberDaemons(ours) => self.synced = ours,
                Action::Fifo { line, .. } => self.fifo.push(line.to_string()),
                Action::StartProbe(id) => self.probes.push(id),
                Action::StopProbe(id) => {
                    self.stopped.push(id);
                    self.probes.retain(|p| *p != id);
                }
                Action::Run(id) => self.runs.push(id),
                Action::StopRun(id) => self.runs.retain(|run| *run != id),
                Action::Resolve(id) => self.asked.push(id),
                Action::Redump => self.redumps += 1,
                Action::Note { .. } => {}
                other => panic!("the balancer does not do this: {other:?}"),
            }
        }
        self.actions.clear();
        requests
    }

    /// Lets the kernel answer until nothing is asked any more.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let requests = self.drain();
            if core::mem::take(&mut self.is_other_kernel) {
                let sockopt = self.kernel.sockopt;
                self.ipvs(IpvsEvent::Ready { sockopt });
                continue;
            }
            if requests.is_empty() {
                // The rest of a long comparison is due at once.
                if self.balancer.table.has_more() || !self.balancer.changes.is_empty() {
                    self.call(|b, now, cx| b.tick(now, cx));
                    continue;
                }
                return;
            }
            for (token, request) in requests {
                if !is_reading(&request) {
                    self.log.push(brief(&request));
                }
                for event in self.kernel.answer(token, &request) {
                    self.ipvs(event);
                }
            }
        }
        panic!("commands without end: {:?}", &self.log[self.log.len() - 10..]);
    }

    /// Goes to `seconds` from the start, doing what is due on the way; the kernel answers, probes do not.
    fn go(&mut self, seconds: f64) {
        let until = Instant::from_micros(1_000_000_000 + (seconds * 1e6) as i64);
        while let Some(at) = self.balancer.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.tick();
        }
        self.now = until;
        self.tick();
    }

    fn tick(&mut self) {
        self.call(|b, now, cx| b.tick(now, cx));
        self.settle();
    }

    /// Ends the probe of a server (the one that is running now) and lets the kernel answer.
    fn verdict(&mut self, address: &str, passed: bool) {
        let address: SocketAddr = address.parse().unwrap();
        let on = |id: &&ProbeId| self.balancer.probe_spec(**id).is_some_and(|spec| spec.address == address);
        let id = *self.probes.iter().find(on).unwrap_or_else(|| panic!("no probe of {address} is running"));
        self.probe(id, if passed { Outcome::Passed } else { failed("refused") });
        self.settle();
    }

    /// Ends a script that is running.
    fn ran(&mut self, id: RunId, outcome: RunOutcome) {
        let RunOwner::Check(number) = id.owner else { panic!("{id:?} is no check's") };
        self.runs.retain(|run| *run != id);
        let took = Duration::from_millis(3);
        self.call(|b, now, cx| b.handle_ran(now, (number, id.serial), outcome, took, cx));
    }

    /// Answers the lookup of a name that is going on: with these addresses, or none.
    fn resolve(&mut self, host: &str, addresses: &[&str]) {
        self.settle();
        let is_it = |id: &&NameId| self.balancer.name_spec(**id).is_some_and(|spec| spec.host == host);
        let id = *self.asked.iter().find(is_it).unwrap_or_else(|| panic!("{host} is not looked up"));
        self.resolved(id, addresses);
        self.settle();
    }

    fn resolved(&mut self, id: NameId, addresses: &[&str]) {
        self.asked.retain(|asked| *asked != id);
        let result = match addresses {
            [] => Err(cut(format_args!("no such name"))),
            some => Ok(some.iter().map(|address| address.parse().unwrap()).collect()),
        };
        self.call(|b, now, cx| b.handle_resolved(now, id, result, cx));
    }

    /// The operator lets a server run dry, or not.
    fn set_draining(&mut self, service: usize, server: usize, draining: bool) {
        self.call(|b, now, cx| b.handle_drain(now, (service, server), draining, cx));
    }

    /// An address comes to this box, or goes.
    fn address(&mut self, index: u32, address: &str, is_present: bool) {
        let cidr = Cidr { address: address.parse().unwrap(), prefix_len: 24 };
        self.call(|b, now, cx| b.handle_address(now, index, &cidr, is_present, cx));
    }

    /// Which servers of a service are up.
    fn up(&self, service: usize) -> Vec<bool> {
        self.snapshot().services[service].servers.iter().map(|server| server.up).collect()
    }

    fn log(&mut self) -> Vec<String> {
        self.settle();
        core::mem::take(&mut self.log)
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.balancer.fill(self.now, &mut snapshot);
        snapshot
    }

    /// Texts of the notes, oldest first.
    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.history.iter().map(|n| n.text.to_string()).collect();
        notes.reverse();
        notes
    }
}

/// The first name of a service in the kernel's table.
fn key_of(service: &Service) -> ServiceKey {
    service.keys().next().unwrap()
}

/// A service as the kernel's table should hold it.
fn wanted(service: &Service) -> crate::wire::ipvs::Service {
    super::service::wanted(service, key_of(service))
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed(cut(format_args!("{reason}")))
}

/// Does it change nothing?
fn is_reading(request: &IpvsRequest) -> bool {
    use crate::engine::WholeRequest::{DumpDaemons, GetTimeouts};
    matches!(
        request,
        IpvsRequest::DumpServices
            | IpvsRequest::DumpDestinations(_)
            | IpvsRequest::Whole(GetTimeouts | DumpDaemons)
    )
}

/// A request in few characters: `+` new, `~` set, `-` delete.
fn brief(request: &IpvsRequest) -> String {
    let vip = |key: &ServiceKey| match key {
        ServiceKey::Address { address, .. } => address.to_string(),
        ServiceKey::Mark { mark, .. } => mark.to_string(),
    };
    match request {
        IpvsRequest::Resolve => "resolve".into(),
        IpvsRequest::DumpServices => "services".into(),
        IpvsRequest::DumpDestinations(key) => format!("destinations {}", vip(key)),
        IpvsRequest::Whole(request) => brief_whole(request),
        IpvsRequest::NewService(s) => format!("+{} {}", vip(&s.key), s.scheduler),
        IpvsRequest::SetService(s) => format!("~{} {}", vip(&s.key), s.scheduler),
        IpvsRequest::DelService(key) => format!("-{}", vip(key)),
        IpvsRequest::NewDestination(_, d) => format!("+ {} {}", d.address, d.weight),
        IpvsRequest::SetDestination(_, d) => format!("~ {} {}", d.address, d.weight),
        IpvsRequest::DelDestination(_, d) => format!("- {}", d.address),
    }
}

fn brief_whole(request: &WholeRequest) -> String {
    match request {
        WholeRequest::GetTimeouts => "timeouts".into(),
        WholeRequest::SetTimeouts(t) => format!("timeouts {} {} {}", t.tcp, t.tcp_fin, t.udp),
        WholeRequest::DumpDaemons => "daemons".into(),
        WholeRequest::NewDaemon(role, d) => format!("+{role:?} {} {}", d.interface, d.id),
        WholeRequest::DelDaemon(role) => format!("-{role:?}"),
    }
}

const A: &str = "192.168.234.47:80";
const B: &str = "192.168.234.57:80";
const SORRY: &str = "127.0.0.1:80";

/// The check of scenario S1.
fn http() -> Check {
    let page = HttpPage { status: vec![StatusRange { first: 200, last: 200 }], ..HttpPage::new("/") };
    Check {
        interval: Duration::from_secs(6),
        timeout: Duration::from_secs(3),
        retry_interval: Duration::from_secs(3),
        fall: 4,
        ..Check::new(CheckKind::Http(Box::new(HttpCheck::new(page))))
    }
}

fn server(address: &str, weight: u32) -> Server {
    let address = address.parse().unwrap();
    Server { weight, checks: vec![http()].into(), ..Server::new(address, Forwarding::DirectRoute) }
}

/// The service of scenario S1 on another address.
fn service(name: &str, address: &str) -> Service {
    let (name, front) = (Name::try_from(name).unwrap(), Front::Address(address.parse().unwrap()));
    let method = Method::new(Forwarding::DirectRoute);
    Service {
        scheduler: Scheduler::try_from("wrr").unwrap(),
        sorry: Some(Sorry { address: SORRY.parse().unwrap(), method, inhibit: false }),
        servers: vec![server(A, 1), server(B, 2)],
        ..Service::new(name, Protocol::Tcp, front)
    }
}

/// Scenario S1.
fn s1() -> Config {
    Config {
        mail: Some(Mail {
            server: MailServer::Ip("127.0.0.1:25".parse().unwrap()),
            from: "a@b".into(),
            to: vec!["c@d".into()],
            timeout: Duration::from_secs(30),
            helo: None,
        }),
        services: vec![service("web", "10.0.0.100:80").into()],
        ..Config::default()
    }
}
