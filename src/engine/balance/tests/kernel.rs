//! A model of the kernel's IPVS: one table, the errors of spec/protocols.md §5.3.

use crate::engine::{IpvsEvent, IpvsRequest, Refusal};
use crate::model::cut;
use crate::wire::ipvs::{Destination, DestinationEntry, Forwarding, Service, ServiceKey};
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[derive(Default)]
pub(super) struct Kernel {
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

impl Kernel {
    /// Does what is asked; the events that come of it.
    pub(super) fn answer(&mut self, token: u32, request: &IpvsRequest) -> Vec<IpvsEvent> {
        if self.mute {
            return Vec::new();
        }
        if *request == IpvsRequest::Resolve {
            return vec![match self.absent {
                true => IpvsEvent::Absent { why: cut(format_args!("install kmod-nf-ipvs")) },
                false => IpvsEvent::Ready { sockopt: false },
            }];
        }
        let short = super::brief(request);
        let refusal = self.refuse.iter().find(|(start, _)| short.starts_with(start)).map(|(_, r)| *r);
        if let Some(refusal) = refusal {
            return vec![IpvsEvent::Done { token, result: Err(refusal) }];
        }
        let mut events = self.told(request);
        events.push(IpvsEvent::Done { token, result: self.execute(request) });
        events
    }

    /// What a dump tells.
    fn told(&self, request: &IpvsRequest) -> Vec<IpvsEvent> {
        match request {
            IpvsRequest::DumpServices => {
                self.table.values().map(|(s, _)| IpvsEvent::Service(s.clone())).collect()
            }
            IpvsRequest::DumpDestinations(key) => {
                let destinations = self.table.get(key).map(|(_, d)| d.values());
                let told = destinations.into_iter().flatten().map(|d| {
                    let mut destination = *d;
                    if self.tells_local && d.address.ip().is_loopback() {
                        destination.forward = Forwarding::Local;
                    }
                    let entry =
                        DestinationEntry { destination, active_connections: 3, inactive_connections: 4 };
                    IpvsEvent::Destination(*key, entry)
                });
                told.collect() // IPVS-45: nothing of a missing service, and no error
            }
            _ => Vec::new(),
        }
    }

    /// Does a command, with the errors of IPVS-40 to IPVS-42.
    pub(super) fn execute(&mut self, request: &IpvsRequest) -> Result<(), Refusal> {
        match request {
            IpvsRequest::Resolve
            | IpvsRequest::DumpServices
            | IpvsRequest::DumpDestinations(_)
            | IpvsRequest::Whole(_) => Ok(()),
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
            IpvsRequest::DelDestination(key, d) => {
                let (_, destinations) = self.table.get_mut(key).ok_or(Refusal::NotFound)?;
                destinations.remove(&d.address).map(|_| ()).ok_or(Refusal::NotFound)
            }
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
