//! Every transition of the virtual router's state machine (protocols §2.2), by its id: events with times in,
//! actions out. Without these a router that is Active twice, or never, would pass unnoticed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

use std::net::Ipv4Addr;
use vipd::engine::{Action, Actions, AddressChange, AddressOp, Engine, Event, Link, LinkKind, LinkName};
use vipd::model::status::{InstanceState, InstanceStatus};
use vipd::model::{AuthPass, Authentication, Cidr, Config, Family, Instance, Priority, Version, Vrid, cut};
use vipd::time::{Duration, Instant};
use vipd::wire::vrrp::{self, AdvertOut, AuthOut, Expect, ExpectAuth, check, open};

const INDEX: u32 = 7;
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const LOWER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const HIGHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 10];

fn instance() -> Instance {
    let (name, interface) = (cut(format_args!("VI_1")), cut(format_args!("eth0")));
    Instance {
        addresses: vec![vip().into()],
        ..Instance::new(name, interface, Vrid::new(51).unwrap(), Family::V4)
    }
}

fn vip() -> Cidr {
    Cidr { address: VIP.into(), prefix_len: 24 }
}

fn v3() -> Instance {
    Instance { version: Version::V3, ..instance() }
}

fn priority(priority: u8) -> Instance {
    Instance { priority: Priority::new(priority).unwrap(), ..instance() }
}

fn link(running: bool) -> Link {
    Link {
        index: INDEX,
        name: LinkName::new("eth0"),
        up: true,
        running,
        mac: Some(MAC),
        mtu: 1500,
        kind: LinkKind::Other,
        forwards_ipv6: true,
    }
}

/// What an action was, as a test reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Listen,
    Advert(u8),
    Add,
    Remove,
    Garp,
    Finished,
}

/// An engine with the kernel's part played: addresses go on and off at once.
struct Bench {
    engine: Engine,
    now: Instant,
    config: Instance,
    did: Vec<Did>,
}

impl Bench {
    fn new(config: Instance) -> Self {
        let now = Instant::from_secs(1000);
        let whole = Config { instances: vec![config.clone()], ..Config::default() };
        let engine = Engine::new(&whole, "gw-a", 1, now);
        let mut bench = Bench { engine, now, config, did: Vec::new() };
        bench.feed(Event::DumpStart);
        bench.feed(Event::Link(link(true)));
        let there = AddressChange::Present { ours: false, secondary: false };
        let cidr = Cidr { address: OURS.into(), prefix_len: 24 };
        bench.feed(Event::Address { index: INDEX, cidr, change: there });
        bench.feed(Event::DumpEnd);
        bench
    }

    fn feed(&mut self, event: Event<'_>) {
        let mut actions = Actions::new();
        self.engine.handle(self.now, event, &mut actions);
        let mut results = Vec::new();
        while let Some(action) = actions.take() {
            match action {
                Action::Transmit { index, frame } => {
                    assert_eq!(index, INDEX);
                    self.did.push(classify(actions.bytes(&frame), &self.config));
                }
                Action::AddAddress { cidr, .. } => {
                    self.did.push(Did::Add);
                    results.push((cidr, AddressOp::Add));
                }
                Action::RemoveAddress { cidr, .. } => {
                    self.did.push(Did::Remove);
                    results.push((cidr, AddressOp::Remove));
                }
                Action::Listen(_) => self.did.push(Did::Listen),
                Action::Finished => self.did.push(Did::Finished),
                Action::Note { number } => assert!(self.engine.note(number).is_some(), "a note has its text"),
                Action::TransmitPacket { .. }
                | Action::WatchRoutes { .. }
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
                | Action::Run(_)
                | Action::StopRun(_)
                | Action::Fifo { .. }
                | Action::Unlisten(_)
                | Action::Redump
                | Action::Ipvs { .. }
                | Action::StartProbe(_)
                | Action::StopProbe(_)
                | Action::SendMail { .. } => {}
            }
        }
        for (cidr, op) in results {
            self.feed(Event::AddressResult { index: INDEX, cidr, op, result: Ok(()) });
        }
    }

    fn advert(&mut self, from: Ipv4Addr, priority: u8) {
        self.advert_with(from, priority, self.config.advert_interval);
    }

    fn advert_with(&mut self, from: Ipv4Addr, priority: u8, interval: Duration) {
        let bytes = emit(&self.config, from, priority, interval);
        self.feed(Event::Frame { index: INDEX, bytes: &bytes, truncated: false });
    }

    /// Lets time pass up to `length` from now, ticking at every deadline; stops at the first advert of ours.
    fn wait(&mut self, length: Duration) -> Option<Duration> {
        let start = self.now;
        let end = start + length;
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let before = self.did.len();
            self.feed(Event::Tick);
            if self.did.get(before..).is_some_and(|d| d.iter().any(|d| matches!(d, Did::Advert(_)))) {
                return Some(self.now - start);
            }
        }
        self.now = end;
        None
    }

    fn did(&mut self) -> Vec<Did> {
        std::mem::take(&mut self.did)
    }

    fn status(&self) -> InstanceStatus {
        self.engine.snapshot(self.now).instances.remove(0)
    }

    fn state(&self) -> InstanceState {
        self.status().state
    }

    fn active(mut self) -> Self {
        self.wait(Duration::from_secs(100)).expect("becomes Active where nobody else is");
        assert_eq!(self.state(), InstanceState::Active);
        self.did.clear();
        self
    }
}

fn emit(config: &Instance, from: Ipv4Addr, priority: u8, interval: Duration) -> Vec<u8> {
    let auth = match config.authentication {
        Authentication::None | Authentication::Hmac(_) => AuthOut::None,
        Authentication::Pass(pass) => AuthOut::Pass(pass.0),
    };
    let advert = AdvertOut {
        version: config.version,
        family: config.family,
        vrid: config.vrid.get(),
        priority,
        interval,
        auth,
        addresses: &[VIP.into()],
        checksum_form: vrrp::ChecksumForm::PseudoHeader,
    };
    let mut bytes = vec![0; advert.frame_len()];
    advert.emit_frame([2, 0, 0, 0, 0, 1], from.into(), vrrp::GROUP.into(), 1, &mut bytes);
    bytes
}

fn classify(frame: &[u8], config: &Instance) -> Did {
    if frame.get(12..14) == Some(&[8, 6]) {
        assert_eq!(frame.get(28..32), Some(&VIP.octets()[..]), "ARP-1: sender address is the VIP");
        return Did::Garp;
    }
    let expect = Expect {
        version: config.version,
        family: config.family,
        vrid: config.vrid.get(),
        destination: vrrp::GROUP.into(),
        hops: (255, 255),
        authentication: ExpectAuth::None,
        advert_interval: config.advert_interval,
        may_be_empty: config.addresses.is_empty(),
    };
    let envelope = open(frame).expect("our own frame is sound");
    let advert = check(&envelope, &expect).expect("our own advert is valid");
    assert_eq!(advert.addresses().collect::<Vec<_>>(), [VIP]);
    Did::Advert(advert.priority)
}

const DOWN_V2: Duration = Duration::from_micros(3_609_375);

#[test]
fn fsm_10_owner_is_active_at_once() {
    let mut b = Bench::new(priority(255));
    assert_eq!(b.state(), InstanceState::Active);
    let did = b.did();
    assert_eq!(
        did.get(..3),
        Some(&[Did::Listen, Did::Advert(255), Did::Add][..]),
        "FSM-34: advert, then address"
    );
    assert_eq!(b.wait(Duration::from_secs(5)), Some(Duration::from_secs(1)), "Adver_Timer");
    assert_eq!(b.did().iter().filter(|d| **d == Did::Garp).count(), 5, "ARP-40");
}

#[test]
fn fsm_11_start_as_backup_with_the_full_down_interval() {
    let mut b = Bench::new(instance());
    assert_eq!(b.state(), InstanceState::Backup);
    assert_eq!(b.did(), [Did::Listen], "a Backup says nothing");
    assert_eq!(
        b.wait(Duration::from_secs(10)),
        Some(DOWN_V2),
        "FSM-1: 3 s + skew of priority 100, to the microsecond"
    );
}

#[test]
fn fsm_1_and_3_down_intervals() {
    for (p, micros) in [(1u8, 3_996_093), (150, 3_414_062), (254, 3_007_812)] {
        let mut b = Bench::new(priority(p));
        assert_eq!(b.wait(Duration::from_secs(10)), Some(Duration::from_micros(micros)), "v2 priority {p}");
    }
    let ten = Duration::from_secs(10);
    let mut b = Bench::new(Instance { advert_interval: ten, ..instance() });
    assert_eq!(
        b.wait(ten * 9),
        Some(ten * 3 + Duration::from_micros(609_375)),
        "FSM-3: v2 skew does not scale"
    );
    let mut b = Bench::new(Instance { advert_interval: ten, ..v3() });
    assert_eq!(b.wait(ten * 9), Some(ten * 3 + Duration::from_micros(6_093_750)), "FSM-3: v3 skew does");
}

#[test]
fn fsm_12_backup_shutdown() {
    let mut b = Bench::new(instance());
    b.did();
    b.feed(Event::Shutdown);
    assert_eq!(b.did(), [Did::Finished], "nothing to resign, nothing to remove");
    assert_eq!(b.state(), InstanceState::Initialize);
    assert_eq!(b.wait(Duration::from_secs(60)), None, "Active_Down_Timer is cancelled");
}

#[test]
fn fsm_13_active_down_timer() {
    let mut b = Bench::new(instance());
    b.did();
    b.wait(Duration::from_secs(10));
    assert_eq!(b.state(), InstanceState::Active);
    let did = b.did();
    assert_eq!(did.get(..3), Some(&[Did::Advert(100), Did::Add, Did::Garp][..]), "FSM-34");
    assert_eq!(did.iter().filter(|d| **d == Did::Garp).count(), 5, "the first burst leaves in the same turn");
}

#[test]
fn fsm_14_resignation_shortens_to_the_skew() {
    let mut b = Bench::new(instance());
    b.advert(HIGHER, 200);
    b.advert(HIGHER, 0);
    assert_eq!(b.wait(Duration::from_secs(10)), Some(Duration::from_micros(609_375)));
    assert_eq!(b.status().cause, "192.0.2.11 resigned", "the status screen says why");
}

#[test]
fn fsm_15_higher_or_equal_resets_the_timer() {
    for p in [100, 101, 255] {
        let mut b = Bench::new(instance());
        b.did();
        for _ in 0..5 {
            assert_eq!(b.wait(Duration::from_secs(3)), None, "quiet while priority {p} advertises");
            b.advert(LOWER, p);
        }
        assert_eq!(
            b.wait(Duration::from_secs(10)),
            Some(DOWN_V2),
            "FSM-31: an equal priority, whatever the address"
        );
    }
}

#[test]
fn fsm_15_v3_learns_the_interval_and_fsm_7_forgets_it() {
    let mut b = Bench::new(v3());
    b.advert_with(HIGHER, 200, Duration::from_secs(4));
    let down = Duration::from_secs(12) + Duration::from_micros(4_000_000 * 156 / 256);
    assert_eq!(b.wait(Duration::from_secs(60)), Some(down), "three of the Active router's intervals");
    assert_eq!(b.wait(Duration::from_secs(60)), Some(Duration::from_secs(1)), "FSM-7: our own when Active");
    b.advert_with(HIGHER, 200, Duration::from_secs(4));
    b.feed(Event::Link(link(false)));
    b.feed(Event::Link(link(true)));
    let own = Duration::from_secs(3) + Duration::from_micros(609_375);
    assert_eq!(b.wait(Duration::from_secs(60)), Some(own), "FSM-7: our own after Initialize");
    assert_eq!(b.status().counters.interval_differs, 2, "RX-17: accepted and counted");
}

#[test]
fn fsm_15_without_preempt_any_active_router_is_obeyed() {
    let mut b = Bench::new(Instance { preempt: false, ..priority(200) });
    b.did();
    for _ in 0..5 {
        assert_eq!(b.wait(Duration::from_secs(3)), None, "preempt = false holds");
        b.advert(LOWER, 1);
    }
    assert_eq!(b.state(), InstanceState::Backup);
}

#[test]
fn fsm_16_lower_priority_leaves_the_timer_alone() {
    let mut b = Bench::new(instance());
    assert_eq!(b.wait(Duration::from_secs(2)), None);
    let before = b.engine.next_deadline();
    b.advert(HIGHER, 99);
    assert_eq!(b.engine.next_deadline(), before, "not reset, not shortened");
    assert_eq!(b.wait(Duration::from_secs(10)), Some(DOWN_V2 - Duration::from_secs(2)));
}

#[test]
fn fsm_17_active_shutdown_resigns_before_the_address_goes() {
    let mut b = Bench::new(instance()).active();
    b.feed(Event::Shutdown);
    let did = b.did();
    assert_eq!(did, [Did::Advert(0), Did::Remove, Did::Finished], "FSM-35; the end waits for no timer");
    assert_eq!(b.wait(Duration::from_secs(60)), None, "ARP-43: no announcement, no advert afterwards");
}

#[test]
fn fsm_18_adverts_keep_their_pace() {
    let mut b = Bench::new(instance()).active();
    for _ in 0..10 {
        assert_eq!(b.wait(Duration::from_secs(5)), Some(Duration::from_secs(1)));
    }
}

#[test]
fn fsm_19_priority_zero_while_active_is_answered() {
    let mut b = Bench::new(instance()).active();
    b.wait(Duration::from_millis(300));
    b.did();
    b.advert(HIGHER, 0);
    assert_eq!(b.did(), [Did::Advert(100)]);
    assert_eq!(b.wait(Duration::from_secs(5)), Some(Duration::from_secs(1)), "Adver_Timer starts again");
    b.did();
    for _ in 0..100 {
        b.advert(HIGHER, 0);
    }
    assert_eq!(b.did(), [Did::Advert(100)], "SEC-9: one out for one in would be an amplifier");
    assert_eq!(
        b.wait(Duration::from_secs(5)),
        Some(Duration::from_millis(10)),
        "what was held back is said soon, before a Backup's skew time is over"
    );
    assert_eq!(b.wait(Duration::from_secs(5)), Some(Duration::from_secs(1)));
}

#[test]
fn fsm_20_higher_priority_or_address_takes_over() {
    for (from, p) in [(LOWER, 101), (HIGHER, 100), (LOWER, 255)] {
        let mut b = Bench::new(instance()).active();
        b.advert(from, p);
        assert_eq!(b.did(), [Did::Remove], "no resignation, the addresses go at once");
        assert_eq!(b.state(), InstanceState::Backup);
        assert_eq!(b.wait(Duration::from_secs(10)), Some(DOWN_V2));
    }
}

#[test]
fn fsm_32_preempt_is_not_asked_while_active() {
    let mut b = Bench::new(Instance { preempt: false, ..instance() }).active();
    b.advert(LOWER, 101);
    assert_eq!(b.state(), InstanceState::Backup);
}

#[test]
fn fsm_21_and_33_lower_priority_is_answered_but_not_each_time() {
    for (from, p) in [(HIGHER, 99), (LOWER, 100)] {
        let mut b = Bench::new(instance()).active();
        b.wait(Duration::from_secs(20));
        b.wait(Duration::from_millis(200));
        b.did();
        b.advert(from, p);
        assert_eq!(b.did().first(), Some(&Did::Advert(100)), "RFC 9568: at once");
        for _ in 0..100 {
            b.advert(from, p);
        }
        assert_eq!(b.did(), [], "SEC-9: one out for one in would be an amplifier");
        assert_eq!(b.state(), InstanceState::Active);
        assert_eq!(b.wait(Duration::from_secs(5)), Some(Duration::from_secs(1)));
        assert!(b.did().contains(&Did::Garp), "ARP-44: hosts that learned the other MAC learn ours again");
        assert_eq!(b.status().counters.lower_priority_received, 101);
    }
}

#[test]
fn fsm_40_interface_down_and_up() {
    let mut b = Bench::new(instance()).active();
    b.feed(Event::Link(link(false)));
    assert_eq!(b.did(), [Did::Advert(0), Did::Remove]);
    assert_eq!(b.state(), InstanceState::Fault);
    assert_eq!(b.status().cause, "interface eth0 is down");
    assert_eq!(b.wait(Duration::from_secs(60)), None, "no timer runs in Fault");
    b.feed(Event::Link(link(true)));
    assert_eq!(b.state(), InstanceState::Backup);
    assert_eq!(b.wait(Duration::from_secs(10)), Some(DOWN_V2), "a full down interval");
}

#[test]
fn fsm_42_an_active_router_that_overslept_announces_again() {
    let mut b = Bench::new(instance()).active();
    b.wait(Duration::from_secs(20));
    b.did();
    b.now += Duration::from_secs(10);
    b.feed(Event::Tick);
    let did = b.did();
    assert_eq!(did.first(), Some(&Did::Advert(100)));
    assert!(did.contains(&Did::Garp), "others may have been Active meanwhile");
    assert_eq!(b.wait(Duration::from_secs(5)), Some(Duration::from_secs(1)), "no burst of missed adverts");
}

#[test]
fn fsm_42_a_backup_that_overslept_hears_first() {
    let mut b = Bench::new(instance());
    b.did();
    b.now += Duration::from_secs(10);
    b.advert(HIGHER, 200);
    b.feed(Event::Tick);
    assert_eq!(b.state(), InstanceState::Backup, "the advert that waited in the socket wins over the timer");
    assert_eq!(b.did(), []);
}

#[test]
fn rx_21_an_advert_with_our_own_address_changes_nothing() {
    let mut b = Bench::new(instance()).active();
    let before = b.engine.next_deadline();
    b.advert(OURS, 200);
    assert_eq!((b.did(), b.engine.next_deadline()), (vec![], before));
    assert_eq!(b.state(), InstanceState::Active);
    let problems = b.engine.snapshot(b.now).problems;
    assert!(problems.iter().any(|p| p.contains("own source address")), "SEC-17: {problems:?}");
}

#[test]
fn law_3_leases_are_renewed_and_a_taken_vip_comes_back() {
    let mut b = Bench::new(instance()).active();
    for _ in 0..5 {
        b.wait(Duration::from_secs(1));
        assert!(b.did().contains(&Did::Add), "renewed three times a lease");
    }
    b.feed(Event::Address { index: INDEX, cidr: vip(), change: AddressChange::Gone });
    assert_eq!(b.did().first(), Some(&Did::Add), "back at once");
    assert_eq!(b.status().addresses[0].put_back, 1);
    assert!(b.engine.snapshot(b.now).problems[0].contains("removed by someone"));
}

#[test]
fn rtnl_27_a_vip_of_an_earlier_run_is_removed_from_a_backup() {
    let mut b = Bench::new(instance());
    b.did();
    let change = AddressChange::Present { ours: true, secondary: false };
    b.feed(Event::Address { index: INDEX, cidr: vip(), change });
    assert_eq!(b.did(), [Did::Remove], "FSM-36");
}

#[test]
fn int_4_a_wrong_password_is_named_and_nothing_moves() {
    let pass = |p: &[u8; 8]| Instance { authentication: Authentication::Pass(AuthPass(*p)), ..instance() };
    let mut b = Bench::new(pass(b"1111\0\0\0\0"));
    let before = b.engine.next_deadline();
    let bytes = emit(&pass(b"2222\0\0\0\0"), HIGHER, 200, Duration::from_secs(1));
    b.feed(Event::Frame { index: INDEX, bytes: &bytes, truncated: false });
    assert_eq!(b.engine.next_deadline(), before, "law 2");
    let status = b.status();
    assert_eq!(status.counters.dropped, [("auth_failed", 1)]);
    assert!(status.rejected[0].why.contains("auth_pass"), "says what to change: {:?}", status.rejected[0]);
}

#[test]
fn reload_keeps_an_active_router_active() {
    let mut b = Bench::new(instance()).active();
    let second = Cidr { address: Ipv4Addr::new(192, 0, 2, 101).into(), prefix_len: 24 };
    let config = Instance { addresses: vec![vip().into(), second.into()], ..instance() };
    b.config = config.clone();
    let mut actions = Actions::new();
    let whole = Config { instances: vec![config], ..Config::default() };
    b.engine.handle(b.now, Event::Reload(Box::new(whole)), &mut actions);
    let adds: Vec<_> = actions
        .iter()
        .filter_map(|a| match a {
            Action::AddAddress { cidr, .. } => Some(*cidr),
            _ => None,
        })
        .collect();
    assert_eq!(adds, [second], "only what is new");
    assert_eq!(b.state(), InstanceState::Active);
    let whole = Config::default();
    let mut actions = Actions::new();
    b.engine.handle(b.now, Event::Reload(Box::new(whole)), &mut actions);
    let removed = actions.iter().filter(|a| matches!(a, Action::RemoveAddress { .. })).count();
    assert_eq!(removed, 2, "an instance that is gone takes its addresses with it");
    assert!(actions.iter().any(|a| matches!(a, Action::Transmit { .. })), "and resigns");
}
