//! One virtual router: the state machine of RFC 9568 §6.4 and RFC 3768 §6.4 (`FSM-*`), with a Fault state
//! beside it.
//!
//! [`port`] is its place among the interfaces, [`vmac`] the macvlan; [`receive`] and [`active`] are what
//! comes in and goes out; [`transition`] is how states change, [`grouped`] what others decide for it.

mod active;
mod announce;
mod grouped;
mod hook;
mod leftovers;
mod listen;
mod port;
mod receive;
mod rejected;
mod reload;
mod signing;
mod status;
mod transition;
mod vips;
mod vmac;

pub(super) use announce::Pace;
pub(super) use leftovers::Leftovers;

use self::announce::Announce;
use self::hook::Hook;
use self::listen::Deaf;
use self::port::Port;
use self::rejected::Rejected;
use self::signing::Signing;
use self::transition::FaultCause;
use self::vips::{Answer, Noticed, Vips};
use self::vmac::Vmac;
use super::quiet::Quiet;
use super::routes::Routes;
use super::standing::Standing;
use super::{AddressChange, AddressOp, Ctx, LinkName, Refusal, Setting};
use crate::model::{self, Cidr, Level, Name, Text, Version, cut, status::InstanceState};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::{ChecksumForm, max_addresses};
use std::net::IpAddr;

/// The state, with the deadlines that belong to it.
#[derive(Debug)]
enum State {
    /// Before the first look at the kernel, during the start delay, and after the shutdown.
    Initialize,
    Backup {
        /// Active_Down_Timer. `None`: it has fired, and the sync group is all that is waited for.
        active_down_at: Option<Instant>,
        /// Active_Adver_Interval: ours until a v3 advert was accepted (FSM-7).
        active_adver_interval: Duration,
        /// Until then a live router of lower priority is left in peace (`preempt_delay`).
        preempt_at: Option<Instant>,
    },
    Active {
        /// Adver_Timer.
        advert_at: Instant,
        /// The `pre_active` hook runs; the addresses wait for it.
        hook: Option<Hook>,
        /// Next renewal of the leases, and from which VIP on.
        renew_at: Option<Instant>,
        renew_from: usize,
        announce: Announce,
    },
    Fault {
        causes: Vec<FaultCause>,
    },
}

/// Another router, as its advert showed it.
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
    signed_received: u32,
    unsigned_accepted: u32,
    rivals: u32,
}

/// One virtual router.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) config: model::Instance,
    /// Its own among all instances of this run; reloads do not change it.
    key: u32,
    state: State,
    since: Instant,
    cause: Text,
    port: Option<Port>,
    vmac: Option<Vmac>,
    deaf: Option<Deaf>,
    /// Settings of interfaces that are held for it.
    held: Vec<(u32, LinkName, Setting)>,
    /// No part is taken before this time (`start_delay`).
    held_until: Option<Instant>,
    standing: Standing,
    group: Option<Name>,
    group_fault: Option<Text>,
    /// The state that is about to be entered is the group's, not its own: the group sends the mail.
    follows: bool,
    /// It is no more part of the configuration: that is what its programs are told, not a stop.
    is_deleted: bool,
    /// It has left for good: nothing makes it begin again.
    has_left: bool,
    /// The operator has taken it out until then.
    resigned_until: Option<Instant>,
    /// The addresses for the advert (PKT-26, PKT-27).
    advertised: Vec<IpAddr>,
    ip_id: u16,
    transmit_form: ChecksumForm,
    /// Who sent the other form last, and when.
    other_form: Option<(IpAddr, Instant)>,
    signing: Signing,
    heard: Option<Heard>,
    /// The last other router that claimed to be Active while we were, or that we shall take over from.
    rival: Option<Heard>,
    vips: Vips,
    pub(super) routes: Routes,
    counters: Counters,
    rejected: Rejected,
    /// Lines about changes of addresses that the kernel refused, and about others who change them.
    refusals: Quiet,
    meddling: Quiet,
    /// Lines about the priority: a tracker may change it all the time.
    priorities: Quiet,
    /// When the last lower-priority advert was answered (FSM-33).
    answered_at: Option<Instant>,
    /// When the last resignation was answered (SEC-9).
    asserted_at: Option<Instant>,
    /// The last renewal of the leases, and the last time it came too late: they tell an expired lease from a
    /// VIP that somebody took away.
    renewed_at: Instant,
    lapsed_at: Option<Instant>,
    hook_serial: u32,
}

impl Instance {
    /// `key`: no other instance of this run has it. `started_at`: that of the daemon, for the start delay.
    pub(super) fn new(config: model::Instance, key: u32, started_at: Instant, now: Instant) -> Self {
        let mut instance = Instance {
            key,
            state: State::Initialize,
            since: now,
            cause: cut(format_args!("starting")),
            port: None,
            vmac: Vmac::new(&config),
            deaf: None,
            held: Vec::new(),
            held_until: Some(started_at + config.start_delay).filter(|until| *until > now),
            standing: Standing { priority: config.priority.get(), ..Standing::default() },
            group: None,
            group_fault: None,
            follows: false,
            is_deleted: false,
            has_left: false,
            resigned_until: None,
            advertised: Vec::new(),
            ip_id: 0,
            transmit_form: form(&config),
            other_form: None,
            signing: Signing::default(),
            heard: None,
            rival: None,
            vips: Vips::new(config.all_addresses()),
            routes: Routes::new(&config.routes, &config.rules, Some(&config.interface)),
            counters: Counters::default(),
            rejected: Rejected::new(),
            refusals: Quiet::default(),
            meddling: Quiet::default(),
            priorities: Quiet::default(),
            answered_at: None,
            asserted_at: None,
            renewed_at: now,
            lapsed_at: None,
            hook_serial: 0,
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

    /// Active, and no hook is waited for: the addresses are to be on the box.
    fn is_live(&self) -> bool {
        matches!(self.state, State::Active { hook: None, .. })
    }

    /// The priority in use.
    fn priority(&self) -> u8 {
        self.standing.priority
    }

    fn is_owner(&self) -> bool {
        self.config.priority.is_owner()
    }

    /// Is nothing of ours left in the kernel?
    pub(super) fn is_clean(&self) -> bool {
        self.vips.is_clean() && self.routes.is_clean() && self.vmac.as_ref().is_none_or(Vmac::is_gone)
    }

    /// The next time at which [`Self::tick`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Initialize => self.held_until,
            State::Fault { .. } => None,
            State::Backup { active_down_at, .. } => *active_down_at,
            State::Active { advert_at, hook, renew_at, announce, .. } => {
                // Before the addresses are there, there is nothing to renew or to announce.
                let later = match hook {
                    None => [*renew_at, announce.next_deadline()],
                    Some(hook) => [Some(hook.give_up_at), None],
                };
                later.into_iter().flatten().chain([*advert_at]).min()
            }
        };
        let deaf = self.deaf.as_ref().map(|d| d.retry_at);
        let port = self.port.as_ref().and_then(Port::next_deadline);
        let vmac = self.vmac.as_ref().and_then(Vmac::next_deadline);
        let others = [self.vips.next_deadline(), self.routes.next_deadline(), self.resigned_until];
        [own, deaf, port, vmac].into_iter().chain(others).flatten().min()
    }

    /// Active_Down_Timer and Adver_Timer, where due: what follows of it, but for an advert, is for
    /// [`Self::tick`].
    pub(super) fn tick_timer(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        match &self.state {
            State::Initialize | State::Fault { .. } => {}
            State::Backup { active_down_at: Some(at), .. } if *at <= now => {
                let late = now - *at;
                self.active_down(now, late, cx);
            }
            State::Backup { .. } => {}
            State::Active { advert_at, .. } if *advert_at <= now => {
                let late = now - *advert_at;
                self.advert_due(now, late, cx);
            }
            State::Active { .. } => {}
        }
    }

    /// Does what else is due, but for announcements.
    pub(super) fn tick(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.held_until.is_some_and(|at| at <= now) {
            self.held_until = None;
            self.evaluate(now, cx);
        }
        if self.resigned_until.is_some_and(|at| at <= now) {
            self.handle_resign(now, Duration::ZERO, cx);
        }
        self.retry_listen(now, cx);
        self.tick_port(now, cx);
        self.tick_vmac(now, cx);
        self.tick_hook(now, cx);
        if self.vips.next_deadline().is_some_and(|at| at <= now)
            || self.routes.next_deadline().is_some_and(|at| at <= now)
        {
            self.converge(now, cx);
        }
        self.renew(now, cx);
    }

    /// Is [`Self::announce`] due?
    pub(super) fn has_announcements(&self, now: Instant) -> bool {
        match &self.state {
            State::Active { announce, hook: None, .. } => {
                announce.next_deadline().is_some_and(|at| at <= now)
            }
            State::Active { hook: Some(_), .. }
            | State::Initialize
            | State::Backup { .. }
            | State::Fault { .. } => false,
        }
    }

    pub(super) fn handle_transmit_failed(&mut self) {
        self.counters.transmit_failed = self.counters.transmit_failed.saturating_add(1);
    }

    /// An address came or went. False: it is there, and that is not the place of one of these.
    pub(super) fn handle_address(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        change: AddressChange,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let (wanted, owner, interval) = (self.is_live(), self.is_owner(), self.config.advert_interval);
        let noticed = match change {
            AddressChange::Present { ours, .. } => {
                self.vips.handle_present(now, (index, cidr), ours, wanted, owner)
            }
            AddressChange::Gone => {
                let lapsed = self.has_lapsed(now);
                self.vips.handle_gone(now, (index, cidr), wanted, interval, lapsed)
            }
        };
        match noticed {
            Noticed::Nothing | Noticed::Unknown => return noticed == Noticed::Nothing,
            Noticed::Stray if !self.meddling.lets_through(now) => {}
            Noticed::Stray => cx.note(
                now,
                Level::Warning,
                "address",
                &self.config.name,
                format_args!("{cidr} was on {} while not Active: removed", on(index, cx)),
            ),
            Noticed::Taken => self.put_back(now, format_args!("{cidr} on {}", on(index, cx)), cx),
        }
        self.converge(now, cx);
        true
    }

    pub(super) fn handle_address_result(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        op: AddressOp,
        result: Result<(), Refusal>,
        cx: &mut Ctx<'_>,
    ) {
        match self.vips.handle_result(now, (index, cidr), op, result) {
            Answer::Done => {}
            Answer::Late => {
                if let State::Active { announce, .. } = &mut self.state {
                    announce.late(now, &self.config.garp);
                }
            }
            Answer::Refused(refusal) => self.refused(now, index, cidr, (op, refusal), cx),
        }
    }

    fn refused(
        &mut self,
        now: Instant,
        index: u32,
        cidr: &Cidr,
        (op, refusal): (AddressOp, Refusal),
        cx: &mut Ctx<'_>,
    ) {
        self.counters.address_refused = self.counters.address_refused.saturating_add(1);
        if !self.refusals.lets_through(now) {
            return;
        }
        let what = match op {
            AddressOp::Add => "put on",
            AddressOp::Remove => "taken off",
        };
        let text: Text = cut(format_args!("{cidr} could not be {what} {}: {refusal}", on(index, cx)));
        cx.note(now, Level::Error, "address", &self.config.name, format_args!("{text}"));
    }

    pub(super) fn dump_start(&mut self) {
        self.vips.dump_start();
        self.routes.dump_start();
    }

    /// The kernel's tables have been told whole.
    pub(super) fn dump_end(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let taken = self.vips.dump_end(now, self.is_live(), self.config.advert_interval);
        self.routes.dump_end(now);
        if taken > 0 {
            self.put_back(now, format_args!("{taken} addresses"), cx);
        }
        self.converge(now, cx);
    }

    /// The daemon ends: resign, take the addresses away (FSM-12, FSM-17, FSM-35).
    pub(super) fn shutdown(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.resign(cx);
        (self.deaf, self.held_until, self.resigned_until) = (None, None, None);
        self.has_left = true;
        if let Some(port) = &mut self.port {
            port.forget_delays();
        }
        self.enter(now, State::Initialize, format_args!("shut down"), cx);
        self.converge(now, cx);
        self.leave_vmac(cx);
        self.release_settings(cx);
    }

    /// The instance is no more part of the configuration: it resigns, and tells what it leaves on the box.
    pub(super) fn remove(&mut self, now: Instant, cx: &mut Ctx<'_>) -> Vec<(u32, Cidr)> {
        self.resign(cx);
        (self.is_deleted, self.has_left) = (true, true);
        self.enter(now, State::Initialize, format_args!("removed"), cx);
        self.routes.want(now, false);
        while self.routes.next_deadline().is_some_and(|at| at <= now) {
            self.routes.converge(now, cx);
        }
        self.vips.remove_peers(cx.actions);
        let held = self.vips.held().collect();
        self.leave_vmac(cx);
        self.release_settings(cx);
        held
    }

    /// Another instance had this address and leaves it to us; false: it is not one of ours.
    pub(super) fn hand_over(&mut self, now: Instant, index: u32, cidr: &Cidr) -> bool {
        let wanted = self.is_live();
        self.vips.hand_over(now, index, cidr, wanted)
    }

    /// The addresses and the interface of each.
    pub(super) fn placed(&self) -> impl Iterator<Item = (u32, Cidr)> {
        self.vips.placed()
    }

    /// All batches at once: nobody comes back for the rest.
    fn remove_addresses(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        while self.vips.next_deadline().is_some_and(|at| at <= now) {
            self.vips.converge(now, false, None, cx.actions);
        }
    }

    /// Brings the kernel nearer to what the state wants: the macvlan, then addresses, then routes and rules;
    /// the other way round when leaving (RTNL-34).
    fn converge(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let wanted = self.is_live();
        self.routes.want(now, wanted);
        if !wanted {
            self.routes.converge(now, cx);
        }
        self.converge_vmac(now, cx);
        self.vips.converge(now, wanted, self.config.lease, cx.actions);
        if wanted {
            self.routes.converge(now, cx);
        }
    }

    fn list_addresses(&mut self) {
        let mtu = self.port.map_or(1500, |p| p.mtu);
        let most = max_addresses(self.config.version, self.config.family, mtu, self.is_signing());
        self.advertised.clear();
        self.advertised.extend(self.config.addresses.iter().map(|a| a.cidr.address).take(most));
    }

    /// Active_Down_Interval (FSM-1, FSM-3).
    fn down_interval(&self, active_adver_interval: Duration) -> Duration {
        active_adver_interval * u32::from(self.config.down_adverts) + self.skew(active_adver_interval)
    }

    fn skew(&self, active_adver_interval: Duration) -> Duration {
        skew(self.config.version, self.priority(), active_adver_interval)
    }
}

/// Name of an interface for a line.
fn on(index: u32, cx: &Ctx<'_>) -> LinkName {
    cx.links.by_index(index).map_or(LinkName::new("?"), |i| i.link.name)
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

fn form(config: &model::Instance) -> ChecksumForm {
    match config.checksum {
        model::ChecksumForm::PseudoHeader | model::ChecksumForm::Auto => ChecksumForm::PseudoHeader,
        model::ChecksumForm::MessageOnly => ChecksumForm::MessageOnly,
    }
}
