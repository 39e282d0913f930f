//! A model of the kernel's IPVS: one table, the errors of spec/protocols.md §5.3.

use crate::engine::{IpvsEvent, IpvsRequest, Refusal, WholeRequest};
use crate::model::cut;
use crate::wire::ipvs::{
    Daemon, DaemonRole, Destination, DestinationEntry, Forwarding, PersistenceEngine, Service, ServiceKey,
    Timeouts, Tunnel,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) struct Kernel {
    pub(super) timeouts: Timeouts,
    pub(super) daemons: BTreeMap<DaemonRole, Daemon>,
    /// Left out of dumps though it is there (IPVS-48).
    pub(super) skips_service: Option<ServiceKey>,
    pub(super) skips_destination: Option<SocketAddr>,
    /// Dumps tell everything twice (IPVS-48).
    pub(super) doubles: bool,
    /// Has anybody looked for it?
    pub(super) is_asked: bool,
    /// It is talked to by socket options: IPv6 is neither told nor taken, and there is nothing to remove.
    pub(super) sockopt: bool,
    /// Knows neither tunnels but IP in IP nor persistence engines, and takes no notice of them.
    pub(super) is_old: bool,
    pub(super) table: BTreeMap<ServiceKey, (Service, BTreeMap<SocketAddr, Destination>)>,
    /// No such scheduler.
    pub(super) lacks: Option<&'static str>,
    /// The family is not there.
    pub(super) absent: bool,
    /// Refuses requests whose short form begins so, this way.
    pub(super) refuse: Vec<(&'static str, Refusal)>,
    /// Answers nothing at all.
    pub(super) mute: bool,
    /// Tells `Local` of destinations on 127.0.0.1, as some kernels do.
    pub(super) tells_local: bool,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            timeouts: Timeouts { tcp: 900, tcp_fin: 120, udp: 300 },
            daemons: BTreeMap::new(),
            skips_service: None,
            skips_destination: None,
            doubles: false,
            is_asked: false,
            sockopt: false,
            is_old: false,
            table: BTreeMap::new(),
            lacks: None,
            absent: false,
            refuse: Vec::new(),
            mute: false,
            tells_local: false,
        }
    }
}

impl Kernel {
    /// Does what is asked; the events that come of it.
    pub(super) fn answer(&mut self, token: u32, request: &IpvsRequest) -> Vec<IpvsEvent> {
        if self.mute {
            return Vec::new();
        }
        if *request == IpvsRequest::Resolve {
            self.is_asked = true;
            return vec![match self.absent {
                true => IpvsEvent::Absent { why: cut(format_args!("install kmod-nf-ipvs")) },
                false => IpvsEvent::Ready { sockopt: self.sockopt },
            }];
        }
        let short = super::brief(request);
        let refusal = self.refuse.iter().find(|(start, _)| short.starts_with(start)).map(|(_, r)| *r);
        if let Some(refusal) = refusal {
            return vec![IpvsEvent::Done { token, result: Err(refusal) }];
        }
        let mut events = self.told(request);
        if self.doubles {
            events.extend(self.told(request));
        }
        events.push(IpvsEvent::Done { token, result: self.execute(request) });
        events
    }

    /// What a dump tells.
    fn told(&self, request: &IpvsRequest) -> Vec<IpvsEvent> {
        match request {
            IpvsRequest::DumpServices => {
                let told = self
                    .table
                    .values()
                    .filter(|(s, _)| self.skips_service != Some(s.key) && !(self.sockopt && s.key.is_ipv6()));
                let told = told.map(|(s, _)| {
                    let mut service = s.clone();
                    if self.is_old {
                        service.engine = PersistenceEngine::new();
                    }
                    IpvsEvent::Service(service)
                });
                told.collect()
            }
            IpvsRequest::DumpDestinations(key) => {
                let destinations = self.table.get(key).map(|(_, d)| d.values());
                let told = destinations.into_iter().flatten();
                let told = told.filter(|d| !(self.sockopt && d.address.is_ipv6()));
                let told = told.filter(|d| self.skips_destination != Some(d.address)).map(|d| {
                    let mut destination = *d;
                    if self.is_old {
                        destination.tunnel = Tunnel::Ipip;
                    }
                    if self.tells_local && d.address.ip().is_loopback() {
                        destination.forward = Forwarding::Local;
                    }
                    let entry =
                        DestinationEntry { destination, active_connections: 3, inactive_connections: 4 };
                    IpvsEvent::Destination(*key, entry)
                });
                told.collect() // IPVS-45: nothing of a missing service, and no error
            }
            IpvsRequest::Whole(WholeRequest::GetTimeouts) => vec![IpvsEvent::Timeouts(self.timeouts)],
            IpvsRequest::Whole(WholeRequest::DumpDaemons) => {
                self.daemons.iter().map(|(role, daemon)| IpvsEvent::Daemon(*role, daemon.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Does a command, with the errors of IPVS-40 to IPVS-42.
    pub(super) fn execute(&mut self, request: &IpvsRequest) -> Result<(), Refusal> {
        match request {
            IpvsRequest::Resolve | IpvsRequest::DumpServices | IpvsRequest::DumpDestinations(_) => Ok(()),
            IpvsRequest::Whole(request) => self.change_whole(request),
            IpvsRequest::NewService(s) => {
                if self.table.contains_key(&s.key) {
                    return Err(Refusal::Exists);
                }
                if self.lacks == Some(s.scheduler.as_str()) {
                    return Err(Refusal::NotFound);
                }
                self.table.insert(s.key, (s.clone(), BTreeMap::new()));
                Ok(())
            }
            IpvsRequest::SetService(s) => {
                let there = self.table.get_mut(&s.key).ok_or(Refusal::NotFound)?;
                if self.lacks == Some(s.scheduler.as_str()) {
                    return Err(Refusal::NotFound);
                }
                there.0 = s.clone();
                Ok(())
            }
            IpvsRequest::DelService(key) if self.sockopt && key.is_ipv6() => Err(Refusal::NotFound),
            IpvsRequest::DelService(key) => self.table.remove(key).map(|_| ()).ok_or(Refusal::NotFound),
            IpvsRequest::NewDestination(key, d) => {
                let (_, destinations) = self.table.get_mut(key).ok_or(Refusal::NotFound)?;
                if destinations.contains_key(&d.address) {
                    return Err(Refusal::Exists);
                }
                destinations.insert(d.address, *d);
                Ok(())
            }
            IpvsRequest::SetDestination(key, d) => {
                let (_, destinations) = self.table.get_mut(key).ok_or(Refusal::NotFound)?;
                *destinations.get_mut(&d.address).ok_or(Refusal::NotFound)? = *d;
                Ok(())
            }
            IpvsRequest::DelDestination(_, d) if self.sockopt && d.address.is_ipv6() => {
                Err(Refusal::NotFound)
            }
            IpvsRequest::DelDestination(key, d) => {
                let (_, destinations) = self.table.get_mut(key).ok_or(Refusal::NotFound)?;
                destinations.remove(&d.address).map(|_| ()).ok_or(Refusal::NotFound)
            }
        }
    }

    /// IPVS-44, IPVS-45b.
    fn change_whole(&mut self, request: &WholeRequest) -> Result<(), Refusal> {
        match request {
            WholeRequest::GetTimeouts | WholeRequest::DumpDaemons => Ok(()),
            WholeRequest::SetTimeouts(set) => {
                let Timeouts { tcp, tcp_fin, udp } = &mut self.timeouts;
                for (there, set) in [(tcp, set.tcp), (tcp_fin, set.tcp_fin), (udp, set.udp)] {
                    if set != 0 {
                        *there = set;
                    }
                }
                Ok(())
            }
            WholeRequest::NewDaemon(role, daemon) => {
                if self.daemons.contains_key(role) {
                    return Err(Refusal::Exists);
                }
                if !daemon.interface.starts_with("eth") {
                    return Err(Refusal::NoDevice);
                }
                // What is not said is the kernel's choice; a backup reads at least 1024 bytes.
                let mut told = daemon.clone();
                if told.max_len == 0 {
                    told.max_len = 1472;
                } else if *role == DaemonRole::Backup {
                    told.max_len = told.max_len.max(1024);
                }
                told.group = told.group.or(Some("224.0.0.81".parse().unwrap()));
                told.port = if told.port == 0 { 8848 } else { told.port };
                told.ttl = told.ttl.max(1);
                if self.sockopt || self.is_old {
                    (told.max_len, told.group, told.port, told.ttl) = (0, None, 0, 0);
                }
                self.daemons.insert(*role, told);
                Ok(())
            }
            WholeRequest::DelDaemon(role) => self.daemons.remove(role).map(|_| ()).ok_or(Refusal::NotFound),
        }
    }

    /// The table as text: `10.0.0.100:80 wrr: 192.168.234.47:80 1, ...` a service.
    pub(super) fn text(&self) -> Vec<String> {
        let line =
            |(key, (service, destinations)): (&ServiceKey, &(Service, BTreeMap<SocketAddr, Destination>))| {
                let ServiceKey::Address { address, .. } = key else { return String::from("mark") };
                let list: Vec<String> =
                    destinations.values().map(|d| format!("{} {}", d.address, d.weight)).collect();
                format!("{address} {}: {}", service.scheduler, list.join(", "))
            };
        self.table.iter().map(line).collect()
    }
}
