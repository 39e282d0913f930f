use super::*;
use crate::wire::ipvs::{
    Daemon, DaemonRole, Destination, Forwarding, Protocol, Service, Timeouts, Tunnel, TunnelChecksum,
};
use std::cell::{Cell, RefCell};

/// 44 bytes of a service, 24 of each destination.
type Entry = (Vec<u8>, Vec<Vec<u8>>);

/// The kernel's side of the old interface, with the layout of every CPU but i386.
#[derive(Default)]
struct Table {
    services: RefCell<Vec<Entry>>,
    timeouts: Cell<[u8; 12]>,
    daemons: RefCell<[[u8; 24]; 2]>,
    /// So many services come, one with each counting.
    coming: Cell<u8>,
    /// All calls end with it.
    errno: Cell<i32>,
    calls: Cell<u32>,
}

impl Table {
    fn call(&self) -> Result<(), i32> {
        self.calls.set(self.calls.get() + 1);
        if self.errno.get() == 0 { Ok(()) } else { Err(self.errno.get()) }
    }

    fn find(&self, identity: &[u8]) -> Option<usize> {
        self.services.borrow().iter().position(|(service, _)| service[..16] == identity[..16])
    }
}

impl Options for Table {
    fn set(&self, option: i32, value: &[u8]) -> Result<(), i32> {
        self.call()?;
        let len = match option {
            1154..=1156 => 44,
            1159..=1161 => 68,
            1162 => 12,
            1163..=1164 => 24,
            _ => return Err(libc::EINVAL),
        };
        if value.len() != len {
            return Err(libc::EINVAL); // IPVS-90
        }
        let found = self.find(value);
        let mut services = self.services.borrow_mut();
        match (option, found) {
            (1154, Some(_)) => return Err(libc::EEXIST),
            (1154, None) if value[16..].starts_with(b"none-such") => return Err(libc::ENOENT),
            (1154, None) => services.push((value.to_vec(), Vec::new())),
            (1155..=1156 | 1159..=1161, None) => return Err(libc::ESRCH),
            (1155, Some(at)) => services[at].0 = value.to_vec(),
            (1156, Some(at)) => drop(services.remove(at)),
            (1159..=1161, Some(at)) => {
                let (destinations, new) = (&mut services[at].1, value[44..].to_vec());
                match (option, destinations.iter().position(|old| old[..6] == new[..6])) {
                    (1159, Some(_)) => return Err(libc::EEXIST),
                    (1159, None) => destinations.push(new),
                    (_, None) => return Err(libc::ENOENT),
                    (1161, Some(at)) => destinations[at] = new,
                    (_, Some(at)) => drop(destinations.remove(at)),
                }
            }
            (1162, _) => self.timeouts.set(value.try_into().unwrap()),
            (_, _) => {
                let at = usize::from(value[..4] != 1u32.to_ne_bytes());
                let is_running = self.daemons.borrow()[at] != [0; 24];
                match (option, is_running) {
                    (1163, true) => return Err(libc::EEXIST),
                    (1163, false) => self.daemons.borrow_mut()[at].copy_from_slice(value),
                    (_, true) => self.daemons.borrow_mut()[at].fill(0),
                    (_, false) => return Err(libc::ESRCH),
                }
            }
        }
        Ok(())
    }

    fn get(&self, option: i32, buffer: &mut [u8]) -> Result<(), i32> {
        self.call()?;
        let number =
            |buffer: &[u8], at: usize| u32::from_ne_bytes(buffer[at..][..4].try_into().unwrap()) as usize;
        let exact = |len| if buffer.len() == len { Ok(()) } else { Err(libc::EINVAL) };
        match option {
            1153 => {
                exact(12)?;
                let count = self.services.borrow().len() as u32;
                buffer[8..].copy_from_slice(&count.to_ne_bytes());
                if let Some(left) = self.coming.get().checked_sub(1) {
                    self.coming.set(left);
                    for _ in 0..=SPARE {
                        let number = self.services.borrow().len() as u8;
                        let head = [&6u16.to_ne_bytes()[..], &[0, 0, 10, 9, left, number, 0, 80]].concat();
                        let mut service = [head, vec![0; 34]].concat();
                        service[16..18].copy_from_slice(b"rr");
                        self.services.borrow_mut().push((service, Vec::new()));
                    }
                }
            }
            1154 => {
                let count = number(buffer, 0);
                exact(8 + count * 104)?;
                for (at, (service, _)) in self.services.borrow().iter().take(count).enumerate() {
                    buffer[8 + at * 104..][..44].copy_from_slice(service);
                }
            }
            1155 => {
                exact(104)?;
                let at = self.find(buffer).ok_or(libc::ESRCH)?;
                let count = self.services.borrow()[at].1.len() as u32;
                buffer[44..48].copy_from_slice(&count.to_ne_bytes());
            }
            1156 => {
                let count = number(buffer, 16);
                exact(24 + count * 96)?;
                let at = self.find(buffer).ok_or(libc::ESRCH)?;
                for (at, destination) in self.services.borrow()[at].1.iter().take(count).enumerate() {
                    buffer[24 + at * 96..][..24].copy_from_slice(destination);
                }
            }
            1158 => buffer.copy_from_slice(&self.timeouts.get()),
            1159 => buffer.copy_from_slice(self.daemons.borrow().as_flattened()),
            _ => return Err(libc::EINVAL),
        }
        Ok(())
    }
}

struct Bed(Sockopt<Table>);

impl Bed {
    fn new() -> Self {
        Bed(Sockopt { kernel: Table::default(), telling: None })
    }

    fn ask(&mut self, request: IpvsRequest) -> Vec<String> {
        let mut told = Vec::new();
        let done = self.0.request(7, &request, &mut |event| told.push(short(&event)));
        done.unwrap();
        for _ in 0..1000 {
            if !self.0.is_telling() {
                return told;
            }
            assert!(self.0.tell(3, &mut |event| told.push(short(&event))) <= 3);
        }
        panic!("it tells for ever");
    }
}

fn short(event: &IpvsEvent) -> String {
    match event {
        IpvsEvent::Service(service) => format!("{:?} {}", service.key.address().unwrap(), service.scheduler),
        IpvsEvent::Destination(_, told) => {
            format!("{} {}", told.destination.address, told.destination.weight)
        }
        IpvsEvent::Timeouts(Timeouts { tcp, tcp_fin, udp }) => format!("{tcp} {tcp_fin} {udp}"),
        IpvsEvent::Daemon(role, daemon) => format!("{role:?} {} {}", daemon.interface, daemon.id),
        IpvsEvent::Done { token: 7, result } => format!("{result:?}"),
        other => format!("{other:?}"),
    }
}

fn key(last: u8) -> ServiceKey {
    let address = std::net::SocketAddr::from(([10, 0, 0, last], 80));
    ServiceKey::Address { protocol: Protocol::Tcp, address }
}

fn service(key: ServiceKey) -> Service {
    Service {
        key,
        scheduler: "wlc".try_into().unwrap(),
        flags: 0,
        timeout: 0,
        prefix_len: 32,
        engine: "".try_into().unwrap(),
    }
}

fn destination(address: &str, weight: u32) -> Destination {
    Destination {
        address: address.parse().unwrap(),
        forward: Forwarding::Masquerade,
        tunnel: Tunnel::Ipip,
        weight,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

#[test]
#[cfg(not(target_arch = "x86"))]
fn ipvs90_the_same_requests_have_the_same_answers() {
    let mut bed = Bed::new();
    let (one, two) = (key(1), ServiceKey::Mark { mark: 7, ipv6: false });
    assert_eq!(bed.ask(IpvsRequest::DumpServices), ["Ok(())"], "an empty table");
    assert_eq!(bed.ask(IpvsRequest::NewService(service(one))), ["Ok(())"]);
    assert_eq!(bed.ask(IpvsRequest::NewService(service(two))), ["Ok(())"]);
    assert_eq!(bed.ask(IpvsRequest::NewService(service(one))), ["Err(Exists)"], "IPVS-40");
    let web = destination("10.0.1.1:80", 5);
    assert_eq!(bed.ask(IpvsRequest::SetDestination(one, web)), ["Err(NotFound)"], "IPVS-42a");
    assert_eq!(bed.ask(IpvsRequest::NewDestination(one, web)), ["Ok(())"]);
    assert_eq!(bed.ask(IpvsRequest::NewDestination(one, web)), ["Err(Exists)"], "IPVS-42");
    assert_eq!(bed.ask(IpvsRequest::NewDestination(key(9), web)), ["Err(NotFound)"], "IPVS-41");
    for last in 2..=9 {
        let more = destination(&format!("10.0.1.{last}:80"), last);
        assert_eq!(bed.ask(IpvsRequest::NewDestination(one, more)), ["Ok(())"]);
    }
    let light = destination("10.0.1.2:80", 0);
    assert_eq!(bed.ask(IpvsRequest::SetDestination(one, light)), ["Ok(())"]);
    assert_eq!(bed.ask(IpvsRequest::DelDestination(one, web)), ["Ok(())"]);
    let told = bed.ask(IpvsRequest::DumpDestinations(one));
    assert_eq!(told.len(), 9, "in slices, each once: {told:?}");
    assert_eq!((&*told[0], &*told[1], &*told[8]), ("10.0.1.2:80 0", "10.0.1.3:80 3", "Ok(())"));
    assert_eq!(bed.ask(IpvsRequest::DumpDestinations(key(9))), ["Ok(())"], "IPVS-45: none, and no error");
    let sh = Service { scheduler: "sh".try_into().unwrap(), ..service(one) };
    assert_eq!(bed.ask(IpvsRequest::SetService(sh)), ["Ok(())"]);
    let mut told = Vec::new();
    bed.0.request(7, &IpvsRequest::DumpServices, &mut |event| told.push(event)).unwrap();
    while bed.0.is_telling() {
        bed.0.tell(1, &mut |event| told.push(event));
    }
    let keys: Vec<ServiceKey> = told
        .iter()
        .filter_map(|event| if let IpvsEvent::Service(service) = event { Some(service.key) } else { None })
        .collect();
    assert_eq!(keys, [one, two]);
    assert_eq!(bed.ask(IpvsRequest::DelService(two)), ["Ok(())"]);
    assert_eq!(bed.ask(IpvsRequest::DelService(two)), ["Err(NotFound)"], "IPVS-41");
    assert_eq!(bed.ask(IpvsRequest::DumpServices), ["10.0.0.1 sh", "Ok(())"]);
}

#[test]
fn ipvs90_what_concerns_the_whole_has_the_same_answers() {
    use WholeRequest::*;
    let mut bed = Bed::new();
    let mut ask = |request| bed.ask(IpvsRequest::Whole(request));
    assert_eq!(ask(SetTimeouts(Timeouts { tcp: 600, tcp_fin: 60, udp: 200 })), ["Ok(())"]);
    assert_eq!(ask(GetTimeouts), ["600 60 200", "Ok(())"]);
    let daemon = |ttl| Daemon {
        interface: "dummy0".try_into().unwrap(),
        id: 51,
        max_len: 0,
        group: None,
        port: 0,
        ttl,
    };
    assert_eq!(ask(DumpDaemons), ["Ok(())"]);
    assert_eq!(ask(NewDaemon(DaemonRole::Backup, daemon(0))), ["Ok(())"]);
    assert_eq!(ask(NewDaemon(DaemonRole::Backup, daemon(0))), ["Err(Exists)"], "IPVS-44");
    assert_eq!(ask(NewDaemon(DaemonRole::Master, daemon(9))), ["Err(NotBySockopt(Daemon))"]);
    assert_eq!(ask(DumpDaemons), ["Backup dummy0 51", "Ok(())"]);
    assert_eq!(ask(DelDaemon(DaemonRole::Master)), ["Err(NotFound)"], "IPVS-44a");
    assert_eq!(ask(DelDaemon(DaemonRole::Backup)), ["Ok(())"]);
    assert_eq!(ask(DumpDaemons), ["Ok(())"]);
}

#[test]
fn ipvs90_ipv6_and_what_else_cannot_be_said_is_refused_without_a_call() {
    let mut bed = Bed::new();
    let v6 = ServiceKey::Mark { mark: 7, ipv6: true };
    assert_eq!(bed.ask(IpvsRequest::NewService(service(v6))), ["Err(NotBySockopt(Ipv6))"]);
    assert_eq!(bed.ask(IpvsRequest::DumpDestinations(v6)), ["Err(NotBySockopt(Ipv6))"]);
    let there = destination("[2001:db8::1]:80", 1);
    assert_eq!(bed.ask(IpvsRequest::NewDestination(key(1), there)), ["Err(NotBySockopt(Ipv6))"]);
    let gre = Destination {
        forward: Forwarding::Tunnel,
        tunnel: Tunnel::Gre { checksum: TunnelChecksum::None },
        ..destination("10.0.1.1:80", 1)
    };
    assert_eq!(bed.ask(IpvsRequest::SetDestination(key(1), gre)), ["Err(NotBySockopt(Tunnel))"]);
    assert_eq!(bed.ask(IpvsRequest::DelService(v6)), ["Err(NotFound)"], "it is not in this table");
    assert_eq!(bed.ask(IpvsRequest::DelDestination(key(1), there)), ["Err(NotFound)"]);
    assert_eq!(bed.0.kernel.calls.get(), 0);
}

#[test]
#[cfg(not(target_arch = "x86"))]
fn ipvs90_services_that_come_meanwhile_are_not_missed() {
    let mut bed = Bed::new();
    bed.0.kernel.coming.set(2);
    let told = bed.ask(IpvsRequest::DumpServices);
    assert_eq!((told.len(), told.last().unwrap().as_str()), (2 * (SPARE + 1) + 1, "Ok(())"), "{told:?}");
    bed.0.kernel.coming.set(200);
    assert_eq!(bed.ask(IpvsRequest::DumpServices), ["Err(Interrupted)"], "but it does not try for ever");
    assert!(bed.0.kernel.calls.get() < 20);
}

#[test]
fn ipvs90_module_that_is_gone_is_told_apart_from_a_refusal() {
    let mut bed = Bed::new();
    for (errno, want) in [
        (libc::EPERM, "Err(NotPermitted)"),
        (libc::EINVAL, "Err(Invalid)"),
        (libc::ENOMEM, "Err(Busy)"),
        (libc::ENODEV, "Err(NoDevice)"),
        (libc::EINTR, "Err(Interrupted)"),
    ] {
        bed.0.kernel.errno.set(errno);
        assert_eq!(bed.ask(IpvsRequest::NewService(service(key(1)))), [want], "IPVS-40..45");
    }
    bed.0.kernel.errno.set(libc::ENOPROTOOPT);
    for request in [
        IpvsRequest::DumpServices,
        IpvsRequest::DumpDestinations(key(1)),
        IpvsRequest::DelService(key(1)),
        IpvsRequest::Whole(WholeRequest::GetTimeouts),
    ] {
        let mut told = Vec::new();
        let result = bed.0.request(7, &request, &mut |event| told.push(short(&event)));
        assert_eq!((result, told), (Err(Gone), vec!["Err(Interrupted)".to_string()]), "{request:?}");
    }
    bed.0.kernel.errno.set(0);
    let missing = Service { scheduler: "none-such".try_into().unwrap(), ..service(key(1)) };
    let result = bed.0.request(7, &IpvsRequest::NewService(missing), &mut |_| {});
    assert_eq!(result, Ok(Some(libc::ENOENT)), "IPVS-40a: what it lacks is kept in mind");
}

#[test]
fn limit_of_entries_holds() {
    assert_eq!(places(3), Ok((3 + SPARE, 3 + SPARE as u32)));
    let most = (limits::IPVS_SOCKOPT_ENTRIES_MAX - SPARE) as u32;
    assert_eq!(places(most), Ok((limits::IPVS_SOCKOPT_ENTRIES_MAX, most + SPARE as u32)));
    for many in [most + 1, u32::MAX] {
        assert_eq!(places(many), Err(Failure::Refused(Refusal::NotBySockopt(Lacking::Room))));
    }
}

#[test]
fn dump_that_is_given_up_ends() {
    let mut bed = Bed::new();
    bed.0.request(7, &IpvsRequest::DumpServices, &mut |_| {}).unwrap();
    assert!(bed.0.is_telling());
    let mut told = Vec::new();
    bed.0.interrupt(&mut |event| told.push(short(&event)));
    bed.0.interrupt(&mut |event| told.push(short(&event)));
    assert_eq!((told, bed.0.is_telling()), (vec!["Err(Interrupted)".to_string()], false));
}
