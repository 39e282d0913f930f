//! Steady state allocates nothing: a counting allocator watches two engines for 1000 simulated seconds, one
//! Active (adverts out in both families, to groups and peers, plain and signed; leases renewed, probes
//! passing, the kernel's IPVS table read and compared), one Backup that hears it.
//!
//! On a box with 32 MB that runs for years, a byte a second is a reboot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use vipd::engine::{
    Action, Actions, AddressChange, AddressOp, Engine, Event, IpvsEvent, IpvsRequest, Link, LinkKind,
    LinkName, Outcome, ProbeId, RunOutcome,
};
use vipd::model::Cidr;
use vipd::time::{Duration, Instant};
use vipd::wire::ipvs::{Destination, DestinationEntry, Service, ServiceKey};

thread_local! {
    /// Allocations of this thread while it is `true` in `WATCHING`.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    /// Bytes that this thread has, as far as it asked for them itself.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands every call on to the system's allocator; the counters are plain cells of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size as isize - layout.size() as isize);
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        unsafe { System.dealloc(old, layout) }
    }
}

fn count() {
    if WATCHING.with(Cell::get) {
        COUNT.with(|c| c.set(c.get() + 1));
    }
}

fn hold(bytes: isize) {
    HELD.with(|held| held.set(held.get() + bytes));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `f` allocates.
fn allocations<T>(f: impl FnOnce() -> T) -> (T, u64) {
    let before = COUNT.with(Cell::get);
    WATCHING.with(|w| w.set(true));
    let result = f();
    WATCHING.with(|w| w.set(false));
    (result, COUNT.with(Cell::get) - before)
}

const INDEX: u32 = 2;
/// The wall clock when the simulated one is 0; signed adverts carry it.
const UNIX: Duration = Duration::from_secs(1_700_000_000);

const CONFIG: &str = r#"
[[track]]
name = "script"
type = "script"
command = ["/bin/true"]
interval = "1s"
weight = -10

[[track]]
name = "uplink"
type = "path"
target = "10.0.0.254:53"
probe = "tcp"
interval = "1s"

[[sync_group]]
name = "VG"
members = ["VI_1", "VI_2"]
track = ["script", "uplink"]

[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 51
priority = PRIORITY
auth_pass = "1111"
addresses = ["10.0.0.100/24", "10.0.0.101/24"]
notify = { any = ["/bin/true"], priority_changes = true }
run_while_active = ["dnsmasq"]

[[vrrp]]
name = "VI_2"
interface = "eth0"
vrid = 52
version = 3
advert_interval = "100ms"
priority = PRIORITY
addresses = ["10.0.0.200/24"]
garp = { refresh = "10s" }

[[vrrp]]
name = "VI_3"
interface = "eth0"
vrid = 53
priority = PRIORITY
addresses = ["fe80::100/64", "2001:db8::100/64"]

[vrrp.auth_hmac]
keys = [{ id = 1, hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" }]

[[vrrp]]
name = "VI_4"
interface = "eth0"
vrid = 54
version = 3
priority = PRIORITY
unicast_peers = ["10.0.0.PEER"]
addresses = ["10.0.0.210/24"]

[[service]]
name = "web"
address = "10.0.0.100:80"
protocol = "tcp"
scheduler = "wrr"
forward = "direct"
sorry = "127.0.0.1:80"
check = { type = "http", path = "/", status = [200], interval = "2s", timeout = "1s" }

[[service.server]]
address = "10.0.0.47:80"
weight = 1

[[service.server]]
address = "10.0.0.57:80"
weight = 2
check = { type = "tcp", interval = "1s", timeout = "500ms" }
"#;

/// An engine and the kernel below it. Its tables are part of the harness: what they allocate is not counted.
struct Router {
    engine: Engine,
    actions: Actions,
    answers: VecDeque<Event<'static>>,
    services: Vec<(Service, Vec<Destination>)>,
    probes: Vec<(Instant, ProbeId)>,
    heard: Vec<Vec<u8>>,
    allocated: u64,
    adverts: u32,
    probed: u32,
    renewed: u32,
    dumped: u32,
    ran: u32,
}

impl Router {
    fn new(priority: u8, host: u8, now: Instant) -> Self {
        let text = CONFIG.replace("PRIORITY", &priority.to_string()).replace("PEER", &(3 - host).to_string());
        let config = vipd::config::parse(&text, "alloc.toml").0.unwrap();
        let mut it = Router {
            engine: Engine::new(&config, "gw", 1, now),
            actions: Actions::new(),
            answers: VecDeque::new(),
            services: Vec::new(),
            probes: Vec::new(),
            heard: Vec::new(),
            allocated: 0,
            adverts: 0,
            probed: 0,
            renewed: 0,
            dumped: 0,
            ran: 0,
        };
        let mac = Some([2, 0, 0, 0, 0, host]);
        let link = Link {
            index: INDEX,
            name: LinkName::new("eth0"),
            up: true,
            running: true,
            mac,
            mtu: 1500,
            kind: LinkKind::Other,
            forwards_ipv6: true,
        };
        let own = Cidr { address: [10, 0, 0, host].into(), prefix_len: 24 };
        let own_v6 = Cidr { address: [0xfe80, 0, 0, 0, 0, 0, 0, host.into()].into(), prefix_len: 64 };
        let change = AddressChange::Present { ours: false, secondary: false };
        it.feed(now, Event::DumpStart);
        it.feed(now, Event::Link(link));
        for cidr in [own, own_v6] {
            it.feed(now, Event::Address { index: INDEX, cidr, change });
        }
        it.feed(now, Event::DumpEnd);
        it
    }

    fn next(&self) -> Instant {
        let probe = self.probes.iter().map(|(at, _)| *at).min();
        [self.engine.next_deadline(), probe].into_iter().flatten().min().unwrap()
    }

    /// What is due: probes that pass, then the engine's own deadlines.
    fn turn(&mut self, now: Instant) {
        while let Some(at) = self.probes.iter().position(|(at, _)| *at <= now) {
            let (_, id) = self.probes.swap_remove(at);
            self.probed += 1;
            self.feed(now, Event::Probe { id, outcome: Outcome::Passed, took: Duration::from_millis(20) });
        }
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.feed(now, Event::Tick);
        }
    }

    /// One event, its actions, then the kernel's answers to them, one by one.
    fn feed(&mut self, now: Instant, event: Event<'_>) {
        self.handle(now, event);
        while let Some(answer) = self.answers.pop_front() {
            self.handle(now, answer);
        }
    }

    fn handle(&mut self, now: Instant, event: Event<'_>) {
        let (engine, actions) = (&mut self.engine, &mut self.actions);
        engine.set_unix_time(UNIX + (now - Instant::ZERO));
        self.allocated += allocations(|| engine.handle(now, event, actions)).1;
        while let Some(action) = self.actions.take() {
            self.act(now, action);
        }
        self.actions.clear();
    }

    /// Plays the kernel's part.
    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Transmit { frame, .. } => {
                let bytes = self.actions.bytes(&frame);
                if vipd::wire::vrrp::open(bytes).is_ok() {
                    self.adverts += 1;
                    self.heard.push(bytes.to_vec());
                }
            }
            Action::TransmitPacket { packet, .. } => {
                self.adverts += 1;
                let headers = [&[0; 12][..], &[8, 0]].concat();
                self.heard.push([&headers, self.actions.bytes(&packet)].concat());
            }
            Action::AddAddress { index, cidr, .. } => {
                self.renewed += 1;
                let change = AddressChange::Present { ours: true, secondary: true };
                self.answer(Event::AddressResult { index, cidr, op: AddressOp::Add, result: Ok(()) });
                self.answer(Event::Address { index, cidr, change });
            }
            Action::RemoveAddress { index, cidr, .. } => {
                self.answer(Event::AddressResult { index, cidr, op: AddressOp::Remove, result: Ok(()) });
                self.answer(Event::Address { index, cidr, change: AddressChange::Gone });
            }
            Action::Ipvs { token, request } => {
                self.ipvs(request);
                self.answer(Event::Ipvs(IpvsEvent::Done { token, result: Ok(()) }));
            }
            Action::StartProbe(id) => self.probes.push((now + Duration::from_millis(20), id)),
            Action::Run(id) => {
                self.ran += 1;
                let took = Duration::from_millis(5);
                self.answer(Event::Ran { id, outcome: RunOutcome::Exited(0), took });
            }
            Action::StopProbe(id) => self.probes.retain(|(_, p)| *p != id),
            Action::WatchRoutes { .. }
            | Action::ChangeRoute { .. }
            | Action::ChangeRule { .. }
            | Action::MakeMacvlan { .. }
            | Action::SetLink { .. }
            | Action::RemoveLink { .. }
            | Action::HoldSetting { .. }
            | Action::ReleaseSetting { .. }
            | Action::Resolve(_)
            | Action::HoldIpvsSetting { .. }
            | Action::ReleaseIpvsSetting { .. }
            | Action::UseIpvsInterface(_)
            | Action::RememberServices
            | Action::RememberTimeouts(_)
            | Action::RememberDaemons(_)
            | Action::SettingsSettled
            | Action::StopRun(_)
            | Action::Fifo { .. }
            | Action::Redump
            | Action::Listen(_)
            | Action::Unlisten(_)
            | Action::SendMail { .. }
            | Action::Note { .. }
            | Action::Finished => {}
        }
    }

    fn answer(&mut self, event: Event<'static>) {
        self.answers.push_back(event);
    }

    fn ipvs(&mut self, request: IpvsRequest) {
        match request {
            IpvsRequest::Resolve => self.answer(Event::Ipvs(IpvsEvent::Ready { sockopt: false })),
            IpvsRequest::DumpServices => {
                self.dumped += 1;
                for i in 0..self.services.len() {
                    let service = self.services[i].0.clone();
                    self.answer(Event::Ipvs(IpvsEvent::Service(service)));
                }
            }
            IpvsRequest::DumpDestinations(key) => {
                for destination in self.destinations(&key).clone() {
                    let entry =
                        DestinationEntry { destination, active_connections: 3, inactive_connections: 1 };
                    self.answer(Event::Ipvs(IpvsEvent::Destination(key, entry)));
                }
            }
            IpvsRequest::Whole(_) => {}
            IpvsRequest::NewService(service) => self.services.push((service, Vec::new())),
            IpvsRequest::SetService(service) => {
                let key = service.key;
                self.services
                    .iter_mut()
                    .filter(|(s, _)| s.key == key)
                    .for_each(|(s, _)| *s = service.clone());
            }
            IpvsRequest::DelService(key) => self.services.retain(|(s, _)| s.key != key),
            IpvsRequest::NewDestination(key, d) => self.destinations(&key).push(d),
            IpvsRequest::SetDestination(key, d) => {
                self.destinations(&key).iter_mut().filter(|x| x.address == d.address).for_each(|x| *x = d);
            }
            IpvsRequest::DelDestination(key, d) => {
                let gone: SocketAddr = d.address;
                self.destinations(&key).retain(|x| x.address != gone);
            }
        }
    }

    fn destinations(&mut self, key: &ServiceKey) -> &mut Vec<Destination> {
        &mut self.services.iter_mut().find(|(s, _)| s.key == *key).unwrap().1
    }
}

#[test]
fn steady_state_allocates_nothing() {
    let start = Instant::from_secs(1000);
    let mut a = Router::new(200, 1, start);
    let mut b = Router::new(100, 2, start);
    let warm = start + Duration::from_secs(60);
    let end = warm + Duration::from_secs(1000);
    let mut now = start;
    let mut counted_from = None;
    let mut ran = (0, 0);
    while now < end {
        now = now.max(a.next().min(b.next()));
        if now >= warm && counted_from.is_none() {
            ran = (a.ran, b.ran);
            counted_from =
                Some((a.allocated, b.allocated, a.adverts, a.probed, b.probed, a.renewed, a.dumped));
        }
        a.turn(now);
        b.turn(now);
        for frame in std::mem::take(&mut a.heard) {
            b.feed(now, Event::Frame { index: INDEX, bytes: &frame, truncated: false });
        }
        for frame in std::mem::take(&mut b.heard) {
            a.feed(now, Event::Frame { index: INDEX, bytes: &frame, truncated: false });
        }
    }
    let (a0, b0, adverts, probed, probed_b, renewed, dumped) = counted_from.unwrap();
    // The run was what it claims to be; otherwise nothing was proved.
    assert!(a.adverts - adverts >= 12_980, "3 of 1 s and one of 100 ms, only {}", a.adverts - adverts);
    let snapshot = b.engine.snapshot(now);
    for (instance, least) in snapshot.instances.iter().zip([990, 9990, 990, 990]) {
        let heard = instance.counters.adverts_received;
        assert!(heard >= least, "{}: only {heard} adverts accepted: {:?}", instance.name, instance.counters);
    }
    assert!(snapshot.instances[2].counters.signed_received >= 990, "VI_3 is signed");
    assert!(a.probed - probed > 2400, "2 s and 1 s probes, 1 s paths, only {}", a.probed - probed);
    assert!(a.ran - ran.0 > 990 && b.ran - ran.1 > 990, "a script every second: {} {}", a.ran, b.ran);
    assert!(b.probed - probed_b > 2400, "the Backup probes too, only {}", b.probed - probed_b);
    assert!(a.renewed - renewed > 900, "leases of 3 s, only {} renewals", a.renewed - renewed);
    assert!(a.dumped - dumped >= 99, "the table is read every 10 s, only {} times", a.dumped - dumped);
    assert!(a.ran >= 4 && b.ran >= 2, "programs were run at the start: {} and {}", a.ran, b.ran);
    assert_eq!(b.adverts, 0, "b is a Backup");
    assert_eq!(a.allocated - a0, 0, "allocations of the Active in 1000 s");
    assert_eq!(b.allocated - b0, 0, "allocations of the Backup in 1000 s");
}

/// The counter counts; else the test above could not fail.
/// What one server more costs: in the configuration and in the engine, together, before it is in the kernel's
/// table. A box of 32 MB may have thousands.
#[test]
fn a_server_is_light() {
    let weigh = |check: &str, services: usize| {
        let mut text = String::new();
        for i in 0..services {
            text +=
                &format!("[[service]]\nname = \"s{i}\"\naddress = \"10.0.{}.{}:80\"\n", i / 250, i % 250 + 1);
            text += &format!("forward = \"nat\"\n{check}");
            for j in 1..=8 {
                text += &format!("[[service.server]]\naddress = \"10.8.{i}.{j}:80\"\n");
            }
        }
        let before = HELD.with(Cell::get);
        let config = vipd::config::parse(&text, "f").0.unwrap();
        let engine = Engine::new(&config, "gw", 7, Instant::ZERO);
        drop(config);
        let held = HELD.with(Cell::get) - before;
        drop(engine);
        held
    };
    for (check, most) in
        [("", 420), ("check = { type = \"tcp\" }\n", 680), ("check = { type = \"http\" }\n", 710)]
    {
        let each = (weigh(check, 200) - weigh(check, 100)) / 800;
        println!("{each} bytes a server with {check:?}");
        assert!(each <= most, "{each} bytes a server with {check:?}, at most {most}");
    }
}

#[test]
fn allocator_counts() {
    let (text, n) = allocations(|| std::hint::black_box(String::from("one")));
    assert_eq!((text.as_str(), n), ("one", 1));
    assert_eq!(allocations(|| std::hint::black_box(1 + 1)).1, 0);
}
