//! One virtual router: the state machine of RFC 9568 §6.4 and RFC 3768 §6.4 (`FSM-*`), with a Fault state
//! beside it.

mod active;
mod announce;
mod grouped;
mod leftovers;
mod listen;
mod receive;
mod rejected;
mod status;
mod transition;
mod vips;

pub(super) use announce::Pace;
pub(super) use leftovers::Leftovers;

use self::announce::Announce;
use self::listen::Deaf;
use self::rejected::Rejected;
use self::vips::{Answer, Noticed, Vips};
use super::links::Interface;
use super::quiet::Quiet;
use super::routes::Routes;
use super::{AddressChange, AddressOp, Ctx, Refusal};
use crate::model::{self, Authentication, Cidr, Level, Text, Version, cut, status::InstanceState};
use crate::time::{Duration, Instant};
use crate::wire::ip;
use crate::wire::vrrp::{ChecksumForm, Expect, ExpectAuth, Family, max_addresses};
use std::net::{IpAddr, Ipv4Addr};

/// The interface as the instance needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Port {
    index: u32,
    running: bool,
    mac: Option<[u8; 6]>,
    source: Option<Ipv4Addr>,
    mtu: u32,
}

/// What an instance with all it needs works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Usable {
    index: u32,
    mac: [u8; 6],
    source: Ipv4Addr,
}

/// Why an instance cannot take part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FaultCause {
    Missing,
    Down,
    NotEthernet,
    NoAddress,
    Deaf(Text),
}

/// The state, with the deadlines that belong to it.
#[derive(Debug)]
enum State {
    /// Before the first look at the kernel, and after the shutdown.
    Initialize,
    Backup {
        /// Active_Down_Timer.
        active_down_at: Instant,
        /// Active_Adver_Interval: ours until a v3 advert was accepted (FSM-7).
        active_adver_interval: Duration,
    },
    Active {
        /// Adver_Timer.
        advert_at: Instant,
        /// Next renewal of the leases, and from which VIP on.
        renew_at: Option<Instant>,
        renew_from: usize,
        announce: Announce,
    },
    Fault {
        cause: FaultCause,
    },
}

/// The Active router that we obey.
#[derive(Debug, Clone, Copy)]
struct Heard {
    address: IpAddr,
    mac: [u8; 6],
    priority: u8,
    at: Instant,
}

/// Numbers for the status screen.
#[derive(Debug, Default)]
struct Counters {
    adverts_received: u32,
    adverts_sent: u32,
    became_active: u32,
    released_active: u32,
    priority_zero_received: u32,
    priority_zero_sent: u32,
    lower_priority_received: u32,
    address_list_mismatch: u32,
    other_checksum_form: u32,
    interval_differs: u32,
    own_address: u32,
    not_ready: u32,
    transmit_failed: u32,
    address_refused: u32,
}

/// One virtual router.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) config: model::Instance,
    state: State,
    since: Instant,
    cause: Text,
    port: Option<Port>,
    deaf: Option<Deaf>,
    /// The addresses for the advert (PKT-26, PKT-27).
    advertised: Vec<IpAddr>,
    ip_id: u16,
    transmit_form: ChecksumForm,
    heard: Option<Heard>,
    /// The last other router heard while Active, for the status screen.
    rival: Option<Heard>,
    vips: Vips,
    pub(super) routes: Routes,
    counters: Counters,
    rejected: Rejected,
    /// Lines about changes of addresses that the kernel refused, and about others who change them.
    refusals: Quiet,
    meddling: Quiet,
    /// When the last lower-priority advert was answered (FSM-33).
    answered_at: Option<Instant>,
    /// When the last resignation was answered (SEC-9).
    asserted_at: Option<Instant>,
    /// The last renewal of the leases, and the last time it came too late: they tell an expired lease from a
    /// VIP that somebody took away.
    renewed_at: Instant,
    lapsed_at: Option<Instant>,
}

impl Instance {
    pub(super) fn new(config: model::Instance, now: Instant) -> Self {
        let mut instance = Instance {
            state: State::Initialize,
            since: now,
            cause: cut(format_args!("starting")),
            port: None,
            deaf: None,
            advertised: Vec::new(),
            ip_id: 0,
            transmit_form: form(&config),
            heard: None,
            rival: None,
            vips: Vips::new(&cidrs(&config)),
            routes: Routes::new(&config.routes, &config.rules, Some(&config.interface)),
            counters: Counters::default(),
            rejected: Rejected::new(),
            refusals: Quiet::default(),
            meddling: Quiet::default(),
            answered_at: None,
            asserted_at: None,
            renewed_at: now,
            lapsed_at: None,
            config,
        };
        instance.list_addresses();
        instance
    }

    pub(super) fn state(&self) -> InstanceState {
        match self.state {
            State::Initialize => InstanceState::Initialize,
            State::Backup { .. } => InstanceState::Backup,
            State::Active { .. } => InstanceState::Active,
            State::Fault { .. } => InstanceState::Fault,
        }
    }

    fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Interface index, where the interface is there.
    pub(super) fn index(&self) -> Option<u32> {
        self.port.map(|p| p.index)
    }

    pub(super) fn is_vip(&self, address: IpAddr) -> bool {
        self.config.has_address(address)
    }

    /// Is no VIP of ours left on the box?
    pub(super) fn is_clean(&self) -> bool {
        self.vips.is_clean()
    }

    /// The next time at which [`Self::tick`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Initialize | State::Fault { .. } => None,
            State::Backup { active_down_at, .. } => Some(*active_down_at),
            State::Active { advert_at, renew_at, announce, .. } => {
                [Some(*advert_at), *renew_at, announce.next_deadline()].into_iter().flatten().min()
            }
        };
        let deaf = self.deaf.as_ref().map(|d| d.retry_at);
        [own, deaf, self.vips.next_deadline()].into_iter().flatten().min()
    }

    /// Does what is due, but for announcements.
    pub(super) fn tick(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match &self.state {
            State::Initialize | State::Fault { .. } => {}
            State::Backup { active_down_at, .. } if *active_down_at <= now => {
                let late = now - *active_down_at;
                self.active_down(now, late, cx);
            }
            State::Backup { .. } => {}
            State::Active { advert_at, .. } if *advert_at <= now => {
                let late = now - *advert_at;
                self.advert_due(now, late, cx);
            }
            State::Active { .. } => {}
        }
        self.retry_listen(now, cx);
        if self.vips.next_deadline().is_some_and(|at| at <= now) {
            self.converge(now, cx);
        }
        self.renew(now, cx);
    }

    /// Is [`Self::announce`] due?
    pub(super) fn has_announcements(&self, now: Instant) -> bool {
        match &self.state {
            State::Active { announce, .. } => announce.next_deadline().is_some_and(|at| at <= now),
            State::Initialize | State::Backup { .. } | State::Fault { .. } => false,
        }
    }

    /// The interface was looked at anew: `None` = it is gone.
    pub(super) fn set_interface(&mut self, now: Instant, interface: Option<&Interface>, cx: &mut Ctx<'_>) {
        let owner = self.config.priority.is_owner();
        let port = interface.map(|i| Port {
            index: i.link.index,
            running: i.link.running,
            mac: i.link.mac,
            source: i.source(|a| self.is_vip(a), owner),
            mtu: i.link.mtu,
        });
        if self.port.is_some() && self.index() != port.map(|p| p.index) {
            self.leave_interface(now, cx);
        }
        let old = core::mem::replace(&mut self.port, port);
        if old.is_none() {
            self.listen(cx.actions);
        }
        if old == port && !matches!(self.state, State::Initialize) {
            return;
        }
        self.list_addresses();
        self.evaluate(now, cx);
        if let (State::Active { announce, .. }, Some(old), Some(port)) = (&mut self.state, old, port) {
            // ARP-44: the switch may have flushed its table, or our MAC is another one.
            if old.mac != port.mac || old.running != port.running || old.source != port.source {
                announce.again(now, &self.config.garp);
                self.send_advert(self.config.priority.get(), cx);
            }
        }
    }

    /// The interface is gone, or has another name: the others are told and the addresses taken away, as far
    /// as that can still be done there (FSM-40, RTNL-41). What takes its place begins anew.
    fn leave_interface(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.enter_fault(now, FaultCause::Missing, cx);
        self.remove_addresses(now, cx);
        self.vips.interface_gone();
        self.deaf = None;
        self.port = None;
    }

    pub(super) fn handle_transmit_failed(&mut self) {
        self.counters.transmit_failed = self.counters.transmit_failed.saturating_add(1);
    }

    /// An address of our interface came or went.
    pub(super) fn handle_address(
        &mut self,
        now: Instant,
        cidr: &Cidr,
        change: AddressChange,
        cx: &mut Ctx<'_>,
    ) {
        let (wanted, owner) = (self.is_active(), self.config.priority.is_owner());
        let noticed = match change {
            AddressChange::Present { ours, .. } => self.vips.handle_present(now, cidr, ours, wanted, owner),
            AddressChange::Gone => {
                let lapsed = self.has_lapsed(now);
                self.vips.handle_gone(now, cidr, wanted, self.config.advert_interval, lapsed)
            }
        };
        match noticed {
            Noticed::Nothing => {}
            Noticed::Stray if !self.meddling.lets_through(now) => {}
            Noticed::Stray => cx.note(
                now,
                Level::Warning,
                "address",
                &self.config.name,
                format_args!("{cidr} was on {} while not Active: removed", self.config.interface),
            ),
            Noticed::Taken => self.put_back(now, format_args!("{cidr}"), cx),
        }
        if noticed != Noticed::Nothing {
            self.converge(now, cx);
        }
    }

    pub(super) fn handle_address_result(
        &mut self,
        now: Instant,
        cidr: &Cidr,
        op: AddressOp,
        result: Result<(), Refusal>,
        cx: &mut Ctx<'_>,
    ) {
        match self.vips.handle_result(now, cidr, op, result) {
            Answer::Done => {}
            Answer::Late => {
                if let State::Active { announce, .. } = &mut self.state {
                    announce.late(now, &self.config.garp);
                }
            }
            Answer::Refused(refusal) => self.refused(now, cidr, op, refusal, cx),
        }
    }

    fn refused(&mut self, now: Instant, cidr: &Cidr, op: AddressOp, refusal: Refusal, cx: &mut Ctx<'_>) {
        self.counters.address_refused = self.counters.address_refused.saturating_add(1);
        if !self.refusals.lets_through(now) {
            return;
        }
        let what = match op {
            AddressOp::Add => "put on",
            AddressOp::Remove => "taken off",
        };
        cx.note(
            now,
            Level::Error,
            "address",
            &self.config.name,
            format_args!("{cidr} could not be {what} {}: {refusal}", self.config.interface),
        );
    }

    pub(super) fn dump_start(&mut self) {
        self.vips.dump_start();
        self.routes.dump_start();
    }

    /// The kernel's tables have been told whole; the first time, this starts the instance.
    pub(super) fn dump_end(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let taken = self.vips.dump_end(now, self.is_active(), self.config.advert_interval);
        if taken > 0 {
            self.put_back(now, format_args!("{taken} addresses"), cx);
            self.converge(now, cx);
        }
    }

    /// The daemon ends: resign, take the addresses away (FSM-12, FSM-17, FSM-35).
    pub(super) fn shutdown(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.is_active() {
            self.resign(cx);
        }
        self.deaf = None;
        self.enter(now, State::Initialize, format_args!("shut down"), cx);
        self.converge(now, cx);
    }

    /// The instance is no more part of the configuration: it resigns, and tells what it leaves on the box.
    pub(super) fn remove(&mut self, now: Instant, cx: &mut Ctx<'_>) -> Vec<Cidr> {
        if self.is_active() {
            self.resign(cx);
        }
        self.enter(now, State::Initialize, format_args!("removed"), cx);
        self.vips.held().collect()
    }

    /// Another instance had this address and leaves it to us; false: it is not one of ours.
    pub(super) fn hand_over(&mut self, now: Instant, cidr: &Cidr) -> bool {
        let is_ours = self.config.all_addresses().any(|a| a.cidr == *cidr);
        if is_ours {
            self.vips.hand_over(now, cidr, self.is_active());
        }
        is_ours
    }

    /// All batches at once: nobody comes back for the rest.
    fn remove_addresses(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        while let (Some(at), Some(index)) = (self.vips.next_deadline(), self.index())
            && at <= now
        {
            self.vips.converge(now, false, index, None, cx.actions);
        }
    }

    /// Other parameters for the same virtual router: state, timers and what is on the box stay. The
    /// addresses that are no longer its own and on the box are returned.
    pub(super) fn reconfigure(
        &mut self,
        now: Instant,
        config: model::Instance,
        cx: &mut Ctx<'_>,
    ) -> Vec<Cidr> {
        let old = core::mem::replace(&mut self.config, config);
        if old.group != self.config.group {
            self.listen(cx.actions);
        }
        if old.checksum != self.config.checksum {
            self.transmit_form = form(&self.config);
        }
        let mut left = Vec::new();
        if old.addresses != self.config.addresses {
            left = self.vips.reconfigure(&cidrs(&self.config));
            self.converge(now, cx);
        }
        // Their number depends on the version, too.
        self.list_addresses();
        let (version, priority) = (self.config.version, self.config.priority.get());
        let down_interval = self.down_interval(self.config.advert_interval);
        match &mut self.state {
            State::Backup { active_down_at, active_adver_interval } => {
                if old.advert_interval != self.config.advert_interval || old.version != self.config.version {
                    *active_adver_interval = self.config.advert_interval;
                    *active_down_at = now + down_interval;
                } else {
                    let before = skew(version, old.priority.get(), *active_adver_interval);
                    let after = skew(version, priority, *active_adver_interval);
                    *active_down_at = (*active_down_at + after) - before;
                }
            }
            State::Active { advert_at, renew_at, renew_from, announce } => {
                *advert_at = (*advert_at).min(now + self.config.advert_interval);
                if old.lease != self.config.lease {
                    (*renew_at, *renew_from) = (Some(now), 0);
                    self.renewed_at = now;
                }
                if old.addresses != self.config.addresses {
                    announce.again(now, &self.config.garp);
                }
                if old.garp.refresh != self.config.garp.refresh {
                    announce.reconfigure(now, &self.config.garp);
                }
                if old != self.config {
                    self.send_advert(self.config.priority.get(), cx);
                }
            }
            State::Initialize | State::Fault { .. } => {}
        }
        left
    }

    fn converge(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let wanted = self.is_active();
        match self.index() {
            Some(index) => self.vips.converge(now, wanted, index, self.config.lease, cx.actions),
            // Whatever brings an interface makes the state anew, and that converges.
            None => self.vips.rest(),
        }
    }

    fn list_addresses(&mut self) {
        let mtu = self.port.map_or(1500, |p| p.mtu);
        let (family, is_hmac) =
            (self.config.family, matches!(self.config.authentication, Authentication::Hmac(_)));
        let most = max_addresses(self.config.version, family, mtu, is_hmac);
        self.advertised.clear();
        let of_family =
            self.config.addresses.iter().map(|a| a.cidr.address).filter(|a| Family::of(*a) == family);
        self.advertised.extend(of_family.take(most));
    }

    /// Active_Down_Interval (FSM-1, FSM-3).
    fn down_interval(&self, active_adver_interval: Duration) -> Duration {
        active_adver_interval * 3 + self.skew(active_adver_interval)
    }

    fn skew(&self, active_adver_interval: Duration) -> Duration {
        skew(self.config.version, self.config.priority.get(), active_adver_interval)
    }

    fn expect(&self) -> Expect<'_> {
        Expect {
            version: self.config.version,
            family: self.config.family,
            vrid: self.config.vrid.get(),
            destination: self.config.group,
            hops: (ip::HOPS, ip::HOPS),
            authentication: match self.config.authentication {
                Authentication::None | Authentication::Hmac(_) => ExpectAuth::None,
                Authentication::Pass(pass) => ExpectAuth::Pass(pass.0),
            },
            advert_interval: self.config.advert_interval,
        }
    }
}

/// Skew_Time: v2 whatever the interval, v3 in proportion to it (FSM-1, FSM-3). Multiplied first, then
/// divided.
fn skew(version: Version, priority: u8, active_adver_interval: Duration) -> Duration {
    let of = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => active_adver_interval,
    };
    Duration::from_micros(of.total_micros() * u64::from(256 - u16::from(priority)) / 256)
}

fn cidrs(config: &model::Instance) -> Vec<Cidr> {
    config.all_addresses().map(|a| a.cidr).collect()
}

fn form(config: &model::Instance) -> ChecksumForm {
    match config.checksum {
        model::ChecksumForm::PseudoHeader | model::ChecksumForm::Auto => ChecksumForm::PseudoHeader,
        model::ChecksumForm::MessageOnly => ChecksumForm::MessageOnly,
    }
}
