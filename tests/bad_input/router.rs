//! A router to throw packets at: the real engine with one instance, on a kernel that does all it is asked.

use crate::catalogue::Listener;
use crate::{expect, frame};
use std::net::{IpAddr, Ipv4Addr};
use vipd::engine::{Action, Actions, AddressChange, Engine, Event, Link, LinkKind, LinkName};
use vipd::model::status::{InstanceState, InstanceStatus, Snapshot};
use vipd::model::{
    AntiReplay, AuthPass, Authentication, Cidr, Config, Family, Garp, Hmac, HmacMode, IfName, Instance, Name,
    Peer, Unicast, Vrid, default_group,
};
use vipd::time::{Duration, Instant};
use vipd::wire::vrrp::{ExpectAuth, open};

/// The interface of the instance, and another one.
pub(crate) const LAN: u32 = 3;
pub(crate) const OTHER: u32 = 4;
/// The wall clock, at rest: when the signed ones of the catalogue were signed.
const UNIX: Duration = Duration::from_secs(1_700_000_000);
const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 50];

/// Our own address, higher than that of the catalogue's sender.
pub(crate) fn own(listener: Listener) -> IpAddr {
    match listener {
        Listener::V6 | Listener::Signed6 => "fe80::ff:fe00:50".parse().unwrap(),
        Listener::Unicast | Listener::Unicast6 => expect(listener).destination,
        Listener::Plain
        | Listener::Password
        | Listener::LongPassword
        | Listener::V3
        | Listener::Signed
        | Listener::SignedV2 => Ipv4Addr::new(192, 0, 2, 50).into(),
    }
}

pub(crate) struct Router {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    /// Frames that left, with their time.
    pub(crate) sent: Vec<(Instant, Vec<u8>)>,
    /// Lines of log.
    pub(crate) notes: usize,
    actions: Actions,
}

impl Router {
    /// One instance, listening as the catalogue says, at rest: its next deadline is its advert or down timer
    /// and nothing else.
    pub(crate) fn new(listener: Listener, state: InstanceState) -> Router {
        Router::with(listener, state, |_| ())
    }

    /// The same, configured a little differently.
    pub(crate) fn with(listener: Listener, state: InstanceState, change: impl FnOnce(&mut Config)) -> Router {
        let now = Instant::from_secs(1000);
        let mut config = config(listener);
        change(&mut config);
        let engine = Engine::new(&config, "test", 1, now);
        let mut router = Router { engine, now, sent: Vec::new(), notes: 0, actions: Actions::new() };
        router.engine.set_unix_time(UNIX);
        router.handle(Event::DumpStart);
        let elsewhere = Ipv4Addr::new(198, 51, 100, 1).into();
        for (index, name, own) in [(LAN, "eth0", own(listener)), (OTHER, "eth1", elsewhere)] {
            let name = LinkName::new(name);
            router.handle(Event::Link(Link {
                index,
                name,
                up: true,
                running: true,
                mac: Some(OWN_MAC),
                mtu: 1500,
                kind: LinkKind::Other,
                forwards_ipv6: true,
            }));
            let change = AddressChange::Present { ours: false, secondary: false };
            router.handle(Event::Address { index, cidr: cidr(own), change });
        }
        router.handle(Event::DumpEnd);
        if state == InstanceState::Active {
            router.run_until(now + Duration::from_secs(10));
        }
        router.now += Duration::from_millis(300);
        assert_eq!(router.instance().state, state, "the bench does not get the router into this state");
        router
    }

    /// Hands in an event and does what comes of it.
    pub(crate) fn handle(&mut self, event: Event<'_>) {
        self.engine.handle(self.now, event, &mut self.actions);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.actions.take() {
            match action {
                Action::Transmit { index, frame } => {
                    assert_eq!(index, LAN, "sent to a wrong interface");
                    self.sent.push((self.now, self.actions.bytes(&frame).to_vec()));
                }
                // Without a device's own header there are no MACs (`Event::Frame`).
                Action::TransmitPacket { index, packet } => {
                    assert_eq!(index, LAN, "sent to a wrong interface");
                    let packet = self.actions.bytes(&packet);
                    let ethertype = if packet[0] >> 4 == 4 { "0800" } else { "86dd" };
                    let frame = [&[0; 12], &frame::hex(ethertype)[..], packet].concat();
                    self.sent.push((self.now, frame));
                }
                Action::AddAddress { index, cidr, .. } => {
                    let change = AddressChange::Present { ours: true, secondary: false };
                    self.engine.handle(self.now, Event::Address { index, cidr, change }, &mut self.actions);
                    let op = vipd::engine::AddressOp::Add;
                    let result = Event::AddressResult { index, cidr, op, result: Ok(()) };
                    self.engine.handle(self.now, result, &mut self.actions);
                }
                Action::RemoveAddress { index, cidr, .. } => {
                    let change = AddressChange::Gone;
                    self.engine.handle(self.now, Event::Address { index, cidr, change }, &mut self.actions);
                    let op = vipd::engine::AddressOp::Remove;
                    let result = Event::AddressResult { index, cidr, op, result: Ok(()) };
                    self.engine.handle(self.now, result, &mut self.actions);
                }
                Action::Note { .. } => self.notes += 1,
                Action::Redump
                | Action::Listen(_)
                | Action::Unlisten(_)
                | Action::Resolve(_)
                | Action::HoldIpvsSetting { .. }
                | Action::ReleaseIpvsSetting { .. }
                | Action::UseIpvsInterface(_)
                | Action::RememberServices
                | Action::RememberTimeouts(_)
                | Action::RememberDaemons(_)
                | Action::SettingsSettled
                | Action::WatchRoutes { .. }
                | Action::Finished => {}
                Action::ChangeRoute { .. }
                | Action::ChangeRule { .. }
                | Action::MakeMacvlan { .. }
                | Action::SetLink { .. }
                | Action::RemoveLink { .. }
                | Action::HoldSetting { .. }
                | Action::ReleaseSetting { .. }
                | Action::Run(_)
                | Action::StopRun(_)
                | Action::Fifo { .. }
                | Action::Ipvs { .. }
                | Action::StartProbe(_)
                | Action::StopProbe(_)
                | Action::SendMail { .. } => panic!("nothing of the kind is configured: {action:?}"),
            }
        }
        self.actions.clear();
    }

    /// Hands in a frame and does what comes of it; tells whether anything at all was to be done.
    pub(crate) fn hear(&mut self, index: u32, bytes: &[u8], truncated: bool) -> bool {
        self.engine.handle(self.now, Event::Frame { index, bytes, truncated }, &mut self.actions);
        let acts = !self.actions.is_empty();
        self.drain();
        acts
    }

    /// Lets time pass, deadline by deadline.
    pub(crate) fn run_until(&mut self, end: Instant) {
        for _ in 0..100_000 {
            match self.engine.next_deadline().filter(|at| *at <= end) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.handle(Event::Tick);
                }
                None => {
                    self.now = self.now.max(end);
                    return;
                }
            }
        }
        panic!("the engine has a deadline in the past and does not clear it");
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    pub(crate) fn instance(&self) -> InstanceStatus {
        self.snapshot().instances.remove(0)
    }

    /// When adverts left since `start`; those to several peers leave at one moment.
    pub(crate) fn adverts_since(&self, start: Instant) -> Vec<Instant> {
        let adverts = self.sent.iter().filter(|(at, bytes)| *at >= start && open(bytes).is_ok());
        let mut times: Vec<Instant> = adverts.map(|(at, _)| *at).collect();
        times.dedup();
        times
    }
}

fn cidr(address: IpAddr) -> Cidr {
    Cidr { address, prefix_len: if address.is_ipv4() { 24 } else { 64 } }
}

/// Without lease and second burst, so that no other deadline hides the one that matters.
pub(crate) fn config(listener: Listener) -> Config {
    let expect = expect(listener);
    let vip = match expect.family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 100).into(),
        Family::V6 => "fe80::100".parse().unwrap(),
    };
    let peers: &[&str] = match listener {
        Listener::Unicast => &["192.0.2.1"],
        Listener::Unicast6 => &["2001:db8::1", "fe80::1"],
        _ => &[],
    };
    let (ttl_min, ttl_max) = expect.hops;
    let peer = |address: &&str| Peer { address: address.parse().unwrap(), ttl_min, ttl_max };
    let unicast = Unicast { peers: peers.iter().map(peer).collect(), ttl: 255, check_source: true };
    let instance = Instance {
        version: expect.version,
        advert_interval: expect.advert_interval,
        authentication: match expect.authentication {
            ExpectAuth::None => Authentication::None,
            ExpectAuth::Pass(pass) => Authentication::Pass(AuthPass(pass)),
            ExpectAuth::Hmac { keys, .. } => Authentication::Hmac(Box::new(Hmac {
                keys: keys.to_vec(),
                active: 0,
                window: None,
                anti_replay: AntiReplay::Time,
                mode: HmacMode::Enforce,
            })),
        },
        group: if peers.is_empty() { expect.destination } else { default_group(expect.family) },
        source: (!peers.is_empty()).then(|| own(listener)),
        unicast: (!peers.is_empty()).then_some(unicast),
        addresses: vec![cidr(vip).into()],
        garp: Garp { delay: Duration::ZERO, repeat: 1, ..Garp::default() },
        lease: None,
        ..Instance::new(
            Name::try_from("VI").unwrap(),
            IfName::try_from("eth0").unwrap(),
            Vrid::new(expect.vrid).unwrap(),
            expect.family,
        )
    };
    Config { instances: vec![instance], ..Config::default() }
}
