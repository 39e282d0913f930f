//! vipd's own conversation with the kernel's IPVS, without the rest of vipd: the same requests by netlink and
//! by socket options (IPVS-90), `ipvsadm` as second opinion.

use crate::net::Host;
use crate::stage::{Outcome, Stage, ensure};
use std::time::{Duration, Instant};
use vipd::engine::{Event, IpvsEvent, IpvsRequest, Refusal, WholeRequest};
use vipd::model::{IpvsInterface, IpvsSetting, IpvsValue};
use vipd::sys::ipvs::{IpvsSettings, IpvsSocket};
use vipd::sys::poll::PollSet;
use vipd::time;
use vipd::wire::ipvs::{
    Daemon, DaemonRole, Destination, Forwarding, Protocol, Service, ServiceKey, Timeouts, Tunnel,
    TunnelChecksum,
};

/// Services, and destinations of each, in the large table.
const LARGE: (u16, u16) = (400, 4);

/// How often the large table is read again where a neighbour disturbed the reading (IPVS-48).
const READINGS_MORE: u32 = 4;

/// The longest time for an answer. Turns are no measure: a slow processor has fewer, a fast one many.
const PATIENCE: Duration = Duration::from_secs(20);

/// A conversation, in the namespace of the thread that made it.
struct Talk {
    name: &'static str,
    ipvs: IpvsSocket,
    poll: PollSet,
    next_token: u32,
    /// The longest call.
    longest: Duration,
}

impl Talk {
    /// Opens it; `sockopt`: by socket options, as it must say itself.
    fn open(interface: IpvsInterface, sockopt: bool) -> Outcome<Talk> {
        let name = if sockopt { "socket options" } else { "netlink" };
        let mut ipvs = IpvsSocket::new();
        ipvs.set_interface(interface);
        let (poll, longest) = (PollSet::new(), Duration::ZERO);
        let mut talk = Talk { name, ipvs, poll, next_token: 1, longest };
        talk.ipvs.request(0, IpvsRequest::Resolve);
        let told = talk.until(|event| matches!(event, IpvsEvent::Ready { .. } | IpvsEvent::Absent { .. }))?;
        let wanted = format!("Ready {{ sockopt: {sockopt} }}");
        ensure(told.iter().any(|event| format!("{event:?}") == wanted), || format!("{name}: {told:?}"))?;
        Ok(talk)
    }

    fn until(&mut self, is_last: impl Fn(&IpvsEvent) -> bool) -> Outcome<Vec<IpvsEvent>> {
        let mut told = Vec::new();
        let asked_at = Instant::now();
        while asked_at.elapsed() < PATIENCE {
            self.poll.clear();
            self.ipvs.register(&mut self.poll);
            let is_due = self.ipvs.next_deadline().is_some_and(|at| at <= vipd::sys::clock::now());
            let wait = if is_due { 0 } else { 100 };
            self.poll.wait(Some(time::Duration::from_millis(wait))).map_err(|e| e.to_string())?;
            let begin = Instant::now();
            self.ipvs.process(vipd::sys::clock::now(), &self.poll, &mut |event| {
                if let Event::Ipvs(event) = event {
                    told.push(event);
                }
            });
            self.longest = self.longest.max(begin.elapsed());
            if told.iter().any(&is_last) {
                return Ok(told);
            }
        }
        Err(format!("{}: no answer", self.name))
    }

    /// Asks; what was told, sorted, and how it ended.
    fn ask(&mut self, request: IpvsRequest) -> Outcome<(Vec<String>, Result<(), Refusal>)> {
        let wanted = self.next_token;
        self.next_token += 1;
        self.ipvs.request(wanted, request);
        let mut result = Ok(());
        let told = self.until(|event| matches!(event, IpvsEvent::Done { token, .. } if *token == wanted))?;
        let mut lines = Vec::new();
        for event in told {
            match event {
                IpvsEvent::Done { token, result: ended } if token == wanted => result = ended,
                other => lines.push(format!("{other:?}")),
            }
        }
        lines.sort();
        Ok((lines, result))
    }

    /// Asks for something that must end well.
    fn get(&mut self, request: IpvsRequest) -> Outcome<Vec<String>> {
        let asked = format!("{request:?}");
        match self.ask(request)? {
            (told, Ok(())) => Ok(told),
            (_, Err(refusal)) => Err(format!("{}: {asked}: {refusal}", self.name)),
        }
    }

    /// Asks for something that must be refused.
    fn refused(&mut self, request: IpvsRequest, want: &str) -> Outcome {
        let asked = format!("{request:?}");
        let (_, result) = self.ask(request)?;
        let got = result.err().map(|refusal| format!("{refusal:?}"));
        ensure(got.as_deref() == Some(want), || format!("{}: {asked}: {got:?}, not {want}", self.name))
    }

    /// Asks for many things at once, which must end well.
    fn all(&mut self, requests: impl IntoIterator<Item = IpvsRequest>) -> Outcome<Duration> {
        let (begin, mut last) = (Instant::now(), 0);
        for request in requests {
            last = self.next_token;
            self.next_token += 1;
            self.ipvs.request(last, request);
        }
        let told = self.until(|event| matches!(event, IpvsEvent::Done { token, .. } if *token == last))?;
        let failed = told.iter().find(|event| matches!(event, IpvsEvent::Done { result: Err(_), .. }));
        ensure(failed.is_none(), || format!("{}: {failed:?}", self.name))?;
        Ok(begin.elapsed())
    }

    /// The whole table.
    fn table(&mut self) -> Outcome<Vec<String>> {
        let told = self.get(IpvsRequest::DumpServices)?;
        let mut table = Vec::new();
        for line in told {
            table.push(line.clone());
            for key in keys().into_iter().filter(|key| line.contains(&format!("key: {key:?},"))) {
                table.extend(self.get(IpvsRequest::DumpDestinations(key))?);
            }
        }
        Ok(table)
    }
}

fn address(protocol: Protocol, address: &str) -> ServiceKey {
    ServiceKey::Address { protocol, address: address.parse().unwrap() }
}

/// Every kind of service that both interfaces have.
fn keys() -> Vec<ServiceKey> {
    vec![
        address(Protocol::Tcp, "10.0.0.100:80"),
        address(Protocol::Udp, "10.0.0.100:53"),
        address(Protocol::Sctp, "10.0.0.101:9"),
        address(Protocol::Tcp, "10.0.0.102:0"),
        ServiceKey::Mark { mark: 7, ipv6: false },
    ]
}

fn service(key: ServiceKey, scheduler: &str) -> Service {
    Service {
        key,
        scheduler: scheduler.try_into().unwrap(),
        flags: 0,
        timeout: 0,
        prefix_len: if key.is_ipv6() { 128 } else { 32 },
        engine: "".try_into().unwrap(),
    }
}

fn services() -> Vec<Service> {
    let [web, dns, sctp, any, mark] = keys()[..] else { unreachable!() };
    vec![
        service(web, "wlc"),
        // One packet at a time.
        Service { flags: 0x4, ..service(dns, "rr") },
        // Fallback and port of the source hash.
        Service { flags: 0x18, ..service(sctp, "sh") },
        // Port 0 is for persistent services.
        Service { flags: 0x1, timeout: 360, prefix_len: 24, ..service(any, "wrr") },
        Service { flags: 0x1 | 0x8, timeout: 50, ..service(mark, "mh") },
    ]
}

fn destination(address: &str, forward: Forwarding, weight: u32) -> Destination {
    Destination {
        address: address.parse().unwrap(),
        forward,
        tunnel: Tunnel::Ipip,
        weight,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

fn destinations(key: &ServiceKey) -> Vec<Destination> {
    let port = key_port(key);
    let at = |host: u8| format!("192.168.234.{host}:{port}");
    vec![
        destination(&at(47), Forwarding::Masquerade, 1),
        destination(&at(57), Forwarding::DirectRoute, 0),
        destination(&at(67), Forwarding::Tunnel, 0x7fff_ffff),
        Destination {
            upper_threshold: 100,
            lower_threshold: 80,
            ..destination(&at(77), Forwarding::Masquerade, 5)
        },
    ]
}

fn key_port(key: &ServiceKey) -> u16 {
    match key {
        ServiceKey::Address { address, .. } => address.port(),
        ServiceKey::Mark { .. } => 0,
    }
}

/// All requests that make the table, and change it once.
fn making() -> Vec<IpvsRequest> {
    let mut requests = Vec::new();
    for service in services() {
        let key = service.key;
        requests.push(IpvsRequest::NewService(service));
        let all = destinations(&key);
        requests.extend(all.iter().map(|d| IpvsRequest::NewDestination(key, *d)));
        requests.push(IpvsRequest::SetDestination(key, Destination { weight: 9, ..all[0] }));
        requests.push(IpvsRequest::DelDestination(key, all[1]));
    }
    requests.push(IpvsRequest::SetService(service(keys()[0], "sed")));
    requests
}

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let host = Host::make(format!("{}-k", stage.name))?;
    host.ip_batch("link add dummy0 type dummy\nlink set dummy0 up\naddress add 10.9.9.1/24 dev dummy0")?;
    // Sockets stay in the namespace in which they were opened.
    let netlink = host.run(|| Talk::open(IpvsInterface::Auto, false))?;
    let sockopt = host.run(|| Talk::open(IpvsInterface::Sockopt, true))?;
    steps(stage, &host, netlink, sockopt)
}

fn steps(stage: &Stage, host: &Host, mut netlink: Talk, mut sockopt: Talk) -> Outcome {
    stage.step("the same requests make the same table, which both tell alike (IPVS-90)", || {
        tables(stage, [&mut netlink, &mut sockopt])
    })?;
    stage.step("what is refused by one is refused by the other, by the same name (IPVS-40..43)", || {
        refusals(&mut netlink)?;
        refusals(&mut sockopt)
    })?;
    stage.step("tunnels by GUE and GRE with their checksums (IPVS-30i..k)", || {
        tunnels(&mut netlink, &mut sockopt, host)
    })?;
    stage.step("IPv6, the other family behind it, and the persistence engine", || {
        netlink_alone(&mut netlink, &mut sockopt)
    })?;
    stage.step("timeouts are set and put back (IPVS-45b)", || {
        [&mut netlink, &mut sockopt].into_iter().try_for_each(|talk| timeouts(talk, host))
    })?;
    stage.step("the sync daemon starts and stops in both roles (IPVS-44)", || {
        [&mut netlink, &mut sockopt].into_iter().try_for_each(|talk| daemons(stage, talk, host))?;
        daemon_with_everything(&mut netlink)
    })?;
    stage.step("settings in /proc/sys/net/ipv4/vs, and what was there before (IPVS-80)", || {
        host.run(|| settings(host))
    })?;
    stage.step("a large table holds nobody up for long (law 1), and is read whole (IPVS-47)", || {
        [&mut netlink, &mut sockopt].into_iter().try_for_each(|talk| large(stage, talk))
    })
}

fn tables(stage: &Stage, talks: [&mut Talk; 2]) -> Outcome {
    let mut tables = Vec::new();
    let [netlink, sockopt] = talks;
    for maker in 0..2 {
        for request in making() {
            let talk = if maker == 0 { &mut *netlink } else { &mut *sockopt };
            talk.get(request)?;
        }
        tables.push((
            netlink.table()?,
            if maker == 0 { "made and told by netlink" } else { "told by netlink" },
        ));
        tables.push((sockopt.table()?, if maker == 0 { "told by socket options" } else { "both by them" }));
        for key in keys() {
            let talk = if maker == 0 { &mut *sockopt } else { &mut *netlink };
            talk.get(IpvsRequest::DelService(key))?;
        }
        let (left, left_too) = (netlink.table()?, sockopt.table()?);
        ensure(left.is_empty() && left_too.is_empty(), || format!("left over: {left:?} {left_too:?}"))?;
    }
    let (first, _) = &tables[0];
    ensure(first.len() == keys().len() * 4, || format!("{} lines: {first:#?}", first.len()))?;
    for (table, name) in &tables {
        ensure(table == first, || format!("{name}: {table:#?}\nnot {first:#?}"))?;
    }
    stage.say(format!("   {} entries, the same four times", first.len()));
    Ok(())
}

fn refusals(talk: &mut Talk) -> Outcome {
    let (key, missing) = (keys()[0], address(Protocol::Tcp, "10.0.0.199:1"));
    let web = destinations(&key)[0];
    talk.get(IpvsRequest::NewService(service(key, "wlc")))?;
    talk.get(IpvsRequest::NewDestination(key, web))?;
    talk.refused(IpvsRequest::NewService(service(key, "wlc")), "Exists")?;
    talk.refused(IpvsRequest::NewDestination(key, web), "Exists")?;
    talk.refused(IpvsRequest::NewDestination(missing, web), "NotFound")?;
    talk.refused(IpvsRequest::SetService(service(missing, "wlc")), "NotFound")?;
    talk.refused(IpvsRequest::DelService(missing), "NotFound")?;
    talk.refused(IpvsRequest::SetDestination(key, destinations(&key)[1]), "NotFound")?;
    talk.refused(IpvsRequest::DelDestination(key, destinations(&key)[1]), "NotFound")?;
    talk.refused(IpvsRequest::NewService(service(missing, "no-such")), "NotFound")?;
    talk.refused(IpvsRequest::SetService(service(key, "no-such")), "NotFound")?;
    let heavy = Destination { weight: 1 << 31, ..destinations(&key)[1] };
    talk.refused(IpvsRequest::NewDestination(key, heavy), "Invalid")?;
    let swapped = Destination { upper_threshold: 1, lower_threshold: 2, ..destinations(&key)[1] };
    talk.refused(IpvsRequest::NewDestination(key, swapped), "Invalid")?;
    let none = talk.get(IpvsRequest::DumpDestinations(missing))?;
    ensure(none.is_empty(), || format!("IPVS-45: {none:?}"))?;
    talk.get(IpvsRequest::DelService(key)).map(drop)
}

fn tunnels(netlink: &mut Talk, sockopt: &mut Talk, host: &Host) -> Outcome {
    use TunnelChecksum::{Full, None, Remote};
    let key = keys()[0];
    netlink.get(IpvsRequest::NewService(service(key, "wlc")))?;
    let gue = |checksum| Tunnel::Gue { port: 6080, checksum };
    let gre = |checksum| Tunnel::Gre { checksum };
    let kinds = [gue(None), gue(Full), gue(Remote), gre(None), gre(Full)];
    for tunnel in kinds {
        let plain = destination("192.168.234.47:80", Forwarding::Tunnel, 1);
        let kind = Destination { tunnel, ..plain };
        sockopt.refused(IpvsRequest::NewDestination(key, kind), "NotBySockopt(Tunnel)")?;
        let wanted = |d: &Destination| format!("tunnel: {:?}, weight", d.tunnel);
        for (request, now) in [
            (IpvsRequest::NewDestination(key, kind), kind),
            (IpvsRequest::SetDestination(key, plain), plain),
            (IpvsRequest::SetDestination(key, kind), kind),
        ] {
            netlink.get(request)?;
            let told = netlink.get(IpvsRequest::DumpDestinations(key))?;
            ensure(told.len() == 1 && told[0].contains(&wanted(&now)), || format!("{now:?}: {told:?}"))?;
        }
        let second = host.output("ipvsadm", &["-Sn"])?;
        let words = match tunnel {
            Tunnel::Ipip => "-i",
            Tunnel::Gue { checksum: None, .. } => "--tun-type gue --tun-port 6080 --tun-nocsum",
            Tunnel::Gue { checksum: Full, .. } => "--tun-type gue --tun-port 6080 --tun-csum",
            Tunnel::Gue { checksum: Remote, .. } => "--tun-type gue --tun-port 6080 --tun-remcsum",
            Tunnel::Gre { checksum: Full } => "--tun-type gre --tun-csum",
            Tunnel::Gre { checksum: None | Remote } => "--tun-type gre --tun-nocsum",
        };
        ensure(second.contains(words), || format!("no `{words}` in: {second}"))?;
        netlink.get(IpvsRequest::DelDestination(key, kind))?;
    }
    let port_zero = Tunnel::Gue { port: 0, checksum: None };
    let odd = Destination { tunnel: port_zero, ..destination("192.168.234.47:80", Forwarding::Tunnel, 1) };
    netlink.refused(IpvsRequest::NewDestination(key, odd), "Invalid")?;
    netlink.get(IpvsRequest::DelService(key)).map(drop)
}

fn netlink_alone(netlink: &mut Talk, sockopt: &mut Talk) -> Outcome {
    let key = address(Protocol::Tcp, "[2001:db8::100]:80");
    let mark = ServiceKey::Mark { mark: 7, ipv6: true };
    let (six, four) = ("[2001:db8::47]:80", "192.168.234.47:80");
    for key in [key, mark] {
        let wanted = Service { flags: 1, timeout: 60, prefix_len: 64, ..service(key, "wlc") };
        sockopt.refused(IpvsRequest::NewService(wanted.clone()), "NotBySockopt(Ipv6)")?;
        netlink.get(IpvsRequest::NewService(wanted))?;
        netlink.get(IpvsRequest::NewDestination(key, destination(six, Forwarding::DirectRoute, 1)))?;
        netlink.get(IpvsRequest::NewDestination(key, destination(four, Forwarding::Tunnel, 1)))?;
        let nat = destination("192.168.234.57:80", Forwarding::Masquerade, 1);
        netlink.refused(IpvsRequest::NewDestination(key, nat), "Invalid")?;
        let told = netlink.get(IpvsRequest::DumpDestinations(key))?;
        ensure(told.len() == 2, || format!("{told:?}"))?;
        let hidden = sockopt.get(IpvsRequest::DumpServices)?;
        ensure(hidden.is_empty(), || format!("IPv6 by socket options: {hidden:?}"))?;
        netlink.get(IpvsRequest::DelService(key))?;
    }
    // An IPv6 server behind an IPv4 service is one that the old interface does not tell.
    let web = keys()[0];
    netlink.get(IpvsRequest::NewService(service(web, "wlc")))?;
    netlink.get(IpvsRequest::NewDestination(web, destination(six, Forwarding::Tunnel, 1)))?;
    netlink.get(IpvsRequest::NewDestination(web, destination(four, Forwarding::Tunnel, 1)))?;
    let told = sockopt.get(IpvsRequest::DumpDestinations(web))?;
    ensure(told.len() == 1 && told[0].contains(four), || format!("{told:?}"))?;
    netlink.get(IpvsRequest::DelService(web))?;
    let dns = keys()[1];
    let sip = Service { engine: "sip".try_into().unwrap(), flags: 1, timeout: 60, ..service(dns, "rr") };
    sockopt.refused(IpvsRequest::NewService(sip.clone()), "NotBySockopt(Engine)")?;
    netlink.get(IpvsRequest::NewService(sip))?;
    let told = netlink.get(IpvsRequest::DumpServices)?;
    ensure(told.len() == 1 && told[0].contains("engine: \"sip\""), || format!("{told:?}"))?;
    netlink.get(IpvsRequest::SetService(service(dns, "rr")))?;
    let told = netlink.get(IpvsRequest::DumpServices)?;
    ensure(told.len() == 1 && told[0].contains("engine: \"\""), || format!("it stays: {told:?}"))?;
    netlink.get(IpvsRequest::DelService(dns)).map(drop)
}

fn timeouts(talk: &mut Talk, host: &Host) -> Outcome {
    let set =
        |tcp, tcp_fin, udp| IpvsRequest::Whole(WholeRequest::SetTimeouts(Timeouts { tcp, tcp_fin, udp }));
    let is = |talk: &mut Talk, tcp: u32, tcp_fin: u32, udp: u32| {
        let told = talk.get(IpvsRequest::Whole(WholeRequest::GetTimeouts))?;
        let wanted = format!("{:?}", IpvsEvent::Timeouts(Timeouts { tcp, tcp_fin, udp }));
        ensure(told == [wanted], || format!("{}: not {tcp} {tcp_fin} {udp}: {told:?}", talk.name))?;
        let second = host.output("ipvsadm", &["-L", "--timeout"])?;
        let wanted = format!("Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}");
        ensure(second.trim() == wanted, || format!("ipvsadm: {second}"))
    };
    is(talk, 900, 120, 300)?;
    talk.get(set(600, 0, 200))?;
    is(talk, 600, 120, 200)?;
    talk.refused(set(1 << 31, 0, 0), "Invalid")?;
    talk.get(set(900, 120, 300))?;
    is(talk, 900, 120, 300)
}

fn daemon(interface: &str) -> Daemon {
    Daemon { interface: interface.try_into().unwrap(), id: 51, max_len: 0, group: None, port: 0, ttl: 0 }
}

fn daemons(stage: &Stage, talk: &mut Talk, host: &Host) -> Outcome {
    let new = |role, daemon: &Daemon| IpvsRequest::Whole(WholeRequest::NewDaemon(role, daemon.clone()));
    let del = |role| IpvsRequest::Whole(WholeRequest::DelDaemon(role));
    let dump = || IpvsRequest::Whole(WholeRequest::DumpDaemons);
    let wanted = daemon("dummy0");
    talk.longest = Duration::ZERO;
    for role in [DaemonRole::Master, DaemonRole::Backup] {
        talk.refused(del(role), "NotFound")?;
        talk.refused(new(role, &daemon("no-such0")), "NoDevice")?;
        talk.get(new(role, &wanted))?;
        talk.refused(new(role, &wanted), "Exists")?;
    }
    let told = talk.get(dump())?;
    let has = |role: &str| told.iter().any(|t| t.contains(role) && t.contains("\"dummy0\", id: 51"));
    ensure(told.len() == 2 && has("Master") && has("Backup"), || format!("{}: {told:?}", talk.name))?;
    let second = host.output("ipvsadm", &["-L", "--daemon"])?;
    ensure(second.contains("master sync daemon") && second.contains("backup sync daemon"), || {
        second.clone()
    })?;
    for role in [DaemonRole::Master, DaemonRole::Backup] {
        stop(talk, role)?;
    }
    let told = talk.get(dump())?;
    ensure(told.is_empty(), || format!("{}: {told:?}", talk.name))?;
    stage.say(format!("   {}: the longest call took {:.1} ms", talk.name, talk.longest.as_secs_f64() * 1e3));
    Ok(())
}

fn daemon_with_everything(netlink: &mut Talk) -> Outcome {
    let whole = Daemon {
        max_len: 1400,
        group: Some("224.0.0.82".parse().unwrap()),
        port: 8849,
        ttl: 3,
        ..daemon("dummy0")
    };
    netlink.get(IpvsRequest::Whole(WholeRequest::NewDaemon(DaemonRole::Master, whole.clone())))?;
    let told = netlink.get(IpvsRequest::Whole(WholeRequest::DumpDaemons))?;
    let wanted = format!("{:?}", IpvsEvent::Daemon(DaemonRole::Master, whole));
    ensure(told == [wanted.clone()], || format!("{told:?}, not {wanted}"))?;
    stop(netlink, DaemonRole::Master)?;
    let told = netlink.get(IpvsRequest::Whole(WholeRequest::DumpDaemons))?;
    ensure(told.is_empty(), || format!("{told:?}"))
}

/// Stops a daemon. Where its thread has not had a processor yet, the kernel says EINTR, and it is gone all
/// the same.
fn stop(talk: &mut Talk, role: DaemonRole) -> Outcome {
    let (_, result) = talk.ask(IpvsRequest::Whole(WholeRequest::DelDaemon(role)))?;
    ensure(matches!(result, Ok(()) | Err(Refusal::Interrupted)), || format!("{}: {result:?}", talk.name))
}

fn settings(host: &Host) -> Outcome {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/vs/{name}"));
        text.map(|text| text.trim().to_string()).map_err(|error| format!("{name}: {error}"))
    };
    let socket = format!("/run/{}.sock", host.name);
    let wanted: [(&str, &str, &str); 4] = [
        ("expire_nodest_conn", "1", "0"),
        ("sync_threshold", "5 100", "3\t50"),
        ("drop_entry", "1", "0"),
        ("no_such_setting", "1", ""),
    ];
    let name = |name: &str| IpvsSetting::try_from(name).unwrap();
    let hold = |settings: &mut IpvsSettings| {
        for (key, value, _) in wanted {
            settings.hold(&name(key), &IpvsValue::try_from(value).unwrap());
        }
    };
    let are_set = || {
        wanted[..3].iter().try_for_each(|(key, value, _)| {
            let now = read(key)?;
            ensure(now.split_whitespace().eq(value.split_whitespace()), || format!("{key} is {now}"))
        })
    };
    let mut first = IpvsSettings::open(socket.as_ref());
    hold(&mut first);
    are_set()?;
    // As after a crash: nothing is put back, and the next one knows what was there.
    drop(first);
    let mut second = IpvsSettings::open(socket.as_ref());
    hold(&mut second);
    are_set()?;
    for (key, _, _) in wanted {
        second.release(&name(key));
    }
    for (key, _, before) in &wanted[..3] {
        let now = read(key)?;
        ensure(now == *before, || format!("{key} is {now}, not {before}"))?;
    }
    let record = format!("{socket}.ipvs");
    ensure(!std::path::Path::new(&record).exists(), || format!("{record} is left over"))
}

fn large(stage: &Stage, talk: &mut Talk) -> Outcome {
    let key = |number: u16| address(Protocol::Tcp, &format!("10.1.{}.{}:80", number / 250, number % 250 + 1));
    let servers = |number: u16| {
        let web = move |server| format!("10.2.{}.{}:80", server, number % 250 + 1);
        (0..LARGE.1).map(move |server| destination(&web(server), Forwarding::Masquerade, 1))
    };
    talk.longest = Duration::ZERO;
    let made = talk.all((0..LARGE.0).flat_map(|number| {
        let new = IpvsRequest::NewService(service(key(number), "wlc"));
        let all = servers(number).map(move |server| IpvsRequest::NewDestination(key(number), server));
        std::iter::once(new).chain(all).collect::<Vec<_>>()
    }))?;
    let making = talk.longest;
    talk.longest = Duration::ZERO;
    let begin = Instant::now();
    let mut told = talk.get(IpvsRequest::DumpServices)?;
    // IPVS-48: between two datagrams the kernel remembers a place in the table of all namespaces: a scenario
    // that removes its services meanwhile makes it skip as many of ours. A datagram that is cut loses them in
    // each reading.
    for _ in 0..READINGS_MORE {
        if told.len() == usize::from(LARGE.0) {
            break;
        }
        stage.say(format!("   {}: {} services; once more", talk.name, told.len()));
        told = talk.get(IpvsRequest::DumpServices)?;
    }
    ensure(told.len() == usize::from(LARGE.0), || format!("{}: {} services", talk.name, told.len()))?;
    for number in (0..LARGE.0).step_by(10) {
        let told = talk.get(IpvsRequest::DumpDestinations(key(number)))?;
        ensure(told.len() == usize::from(LARGE.1), || format!("{}: {told:?}", talk.name))?;
    }
    let (read, reading) = (begin.elapsed(), talk.longest);
    let removed = talk.all((0..LARGE.0).map(|number| IpvsRequest::DelService(key(number))))?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    stage.say(format!(
        "   {}: {} x {} made in {:.0} ms (longest call {:.1}), read in {:.0} ms ({:.1}), removed in {:.0} ms",
        talk.name,
        LARGE.0,
        LARGE.1,
        ms(made),
        ms(making),
        ms(read),
        ms(reading),
        ms(removed)
    ));
    Ok(())
}
