//! A router: an engine, and the kernel played around it with links, addresses, memberships and refusals.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use vipd::engine::{Action, Actions, AddressChange, AddressOp, Ear, Engine, Event, IpvsEvent, IpvsRequest};
use vipd::engine::{Link, LinkKind, LinkName, Refusal, RunId, RunOutcome, Setting};
use vipd::model::status::{InstanceState, InstanceStatus};
use vipd::model::{Cidr, Config, Family, Instance, Vrid, cut};
use vipd::time::{Duration, Instant};
use vipd::wire::vrrp::{self, AdvertOut};

/// Ticks at one moment after which the loop is taken to spin.
const TICKS_MAX: usize = 1000;

/// An instance with a VIP `10.0.0.VRID/32`.
pub(crate) fn instance(interface: &str, vrid: u8) -> Instance {
    let name = cut(format_args!("{interface}-{vrid}"));
    let (interface, vrid) = (cut(format_args!("{interface}")), Vrid::new(vrid).unwrap());
    Instance { addresses: vec![vip(vrid.get()).into()], ..Instance::new(name, interface, vrid, Family::V4) }
}

pub(crate) fn vip(last: u8) -> Cidr {
    Cidr { address: Ipv4Addr::new(10, 0, 0, last).into(), prefix_len: 32 }
}

pub(crate) fn config(instances: &[Instance]) -> Config {
    Config { instances: instances.to_vec(), ..Config::default() }
}

pub(crate) fn advert_of(config: &Instance, from: Ipv4Addr, priority: u8) -> Vec<u8> {
    let own = [Ipv4Addr::new(10, 0, 0, config.vrid.get()).into()];
    let advert = AdvertOut {
        version: config.version,
        family: Family::V4,
        vrid: config.vrid.get(),
        priority,
        interval: config.advert_interval,
        auth: vrrp::AuthOut::None,
        addresses: if config.addresses.is_empty() { &[] } else { &own },
        checksum_form: vrrp::ChecksumForm::PseudoHeader,
    };
    let mut bytes = vec![0; advert.frame_len()];
    advert.emit_frame([2, 0, 0, 0, 0, 1], from.into(), vrrp::GROUP.into(), 1, &mut bytes);
    bytes
}

/// A frame that left.
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) index: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    /// Priority of an advert; `None` for anything else.
    pub(crate) fn priority(&self) -> Option<u8> {
        (!self.is_garp()).then(|| self.bytes.get(36).copied())?
    }

    pub(crate) fn is_garp(&self) -> bool {
        self.bytes.get(12..14) == Some(&[8, 6])
    }

    /// Which address a gratuitous ARP announces.
    pub(crate) fn announces(&self, cidr: &Cidr) -> bool {
        let octets: Option<[u8; 4]> = self.bytes.get(28..32).and_then(|b| b.try_into().ok());
        self.is_garp() && octets.is_some_and(|o| cidr.address == Ipv4Addr::from(o))
    }
}

pub(crate) struct Router {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    actions: Actions,
    pending: VecDeque<Event<'static>>,
    pub(crate) links: BTreeMap<u32, Link>,
    /// What is on the box, and whether a vipd put it there.
    pub(crate) addresses: BTreeMap<(u32, Cidr), bool>,
    pub(crate) members: BTreeSet<Ear>,
    /// Refuses adding this address (and with `Refuse::All` every change).
    pub(crate) refused: Option<Refused>,
    pub(crate) is_deaf: bool,
    pub(crate) sent: Vec<Sent>,
    /// IP packets to unicast peers.
    pub(crate) packets: Vec<Sent>,
    /// How often each setting is held.
    pub(crate) settings: BTreeMap<(u32, Setting), i32>,
    /// Peers of addresses that were removed.
    pub(crate) removed_peers: Vec<Option<Cidr>>,
    /// Programs that run.
    pub(crate) runs: Vec<RunId>,
    /// Lines written into FIFOs.
    pub(crate) fifo: Vec<String>,
    pub(crate) lines: Vec<(Instant, String)>,
    /// Ticks that had to be handed in.
    pub(crate) ticks: usize,
    pub(crate) mails: usize,
    pub(crate) is_finished: bool,
}

/// Which address changes the kernel refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Adding(Cidr),
    All,
}

impl Router {
    /// Interfaces `eth0` (index 2) and `eth1` (3), both up, with an address each.
    pub(crate) fn new(config: &Config) -> Self {
        let mut router = Self::bare(config);
        for (index, name) in [(2, "eth0"), (3, "eth1")] {
            router.links.insert(index, link(index, name));
            router.addresses.insert((index, base(index)), false);
        }
        router.dump();
        router
    }

    /// No interface but those that the caller puts in.
    pub(crate) fn bare(config: &Config) -> Self {
        let now = Instant::from_secs(1000);
        Router {
            engine: Engine::new(config, "gw-a", 1, now),
            now,
            actions: Actions::new(),
            pending: VecDeque::new(),
            links: BTreeMap::new(),
            addresses: BTreeMap::new(),
            members: BTreeSet::new(),
            refused: None,
            is_deaf: false,
            sent: Vec::new(),
            packets: Vec::new(),
            settings: BTreeMap::new(),
            removed_peers: Vec::new(),
            runs: Vec::new(),
            fifo: Vec::new(),
            lines: Vec::new(),
            ticks: 0,
            mails: 0,
            is_finished: false,
        }
    }

    /// The kernel tells all.
    pub(crate) fn dump(&mut self) {
        self.queue_dump();
        self.drain();
    }

    fn queue_dump(&mut self) {
        self.pending.push_back(Event::DumpStart);
        self.pending.extend(self.links.values().map(|link| Event::Link(*link)));
        for (&(index, cidr), &ours) in &self.addresses {
            let change = AddressChange::Present { ours, secondary: false };
            self.pending.push_back(Event::Address { index, cidr, change });
        }
        self.pending.push_back(Event::DumpEnd);
    }

    pub(crate) fn feed(&mut self, event: Event<'_>) {
        self.engine.handle(self.now, event, &mut self.actions);
        self.act();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            self.engine.handle(self.now, event, &mut self.actions);
            self.act();
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.actions.take() {
            match action {
                Action::Transmit { index, frame } => {
                    let bytes = self.actions.bytes(&frame).to_vec();
                    assert!(!bytes.is_empty(), "a frame has bytes");
                    if self.links.get(&index).is_some_and(|l| l.running) {
                        self.sent.push(Sent { at: self.now, index, bytes });
                    } else {
                        self.pending.push_back(Event::TransmitFailed { index, refusal: Refusal::Down });
                    }
                }
                Action::Listen(ear) if self.is_deaf || !self.links.contains_key(&ear.index) => {
                    let why = cut(format_args!("packet socket: out of memory"));
                    self.pending.push_back(Event::ListenFailed { ear, why });
                }
                Action::Listen(ear) => _ = self.members.insert(ear),
                Action::Unlisten(ear) => _ = self.members.remove(&ear),
                Action::AddAddress { index, cidr, .. } => self.change(index, cidr, AddressOp::Add),
                Action::RemoveAddress { index, cidr, peer } => {
                    self.removed_peers.extend(peer.map(Some));
                    self.change(index, cidr, AddressOp::Remove);
                }
                Action::Redump => self.queue_dump(),
                Action::Ipvs { token, request } => {
                    if request == IpvsRequest::Resolve {
                        let why = cut(format_args!("no ip_vs"));
                        self.pending.push_back(Event::Ipvs(IpvsEvent::Absent { why }));
                    }
                    let result = Err(Refusal::NotFound);
                    self.pending.push_back(Event::Ipvs(IpvsEvent::Done { token, result }));
                }
                Action::StartProbe(_) | Action::StopProbe(_) => {}
                Action::TransmitPacket { index, packet } => {
                    let bytes = self.actions.bytes(&packet).to_vec();
                    self.packets.push(Sent { at: self.now, index, bytes });
                }
                Action::MakeMacvlan { parent, name, mac, .. } => self.make_macvlan(parent, name, mac),
                Action::SetLink { index, name, up } => self.set_up(index, name, up),
                Action::RemoveLink { index, .. } => self.queue_link_gone(index),
                Action::HoldSetting { index, setting, .. } => {
                    *self.settings.entry((index, setting)).or_insert(0) += 1;
                }
                Action::ReleaseSetting { index, setting, .. } => {
                    *self.settings.entry((index, setting)).or_insert(0) -= 1;
                }
                Action::Run(id) => self.runs.push(id),
                Action::StopRun(id) => self.runs.retain(|run| *run != id),
                Action::WatchRoutes { .. }
                | Action::ChangeRoute { .. }
                | Action::ChangeRule { .. }
                | Action::Resolve(_)
                | Action::HoldIpvsSetting { .. }
                | Action::ReleaseIpvsSetting { .. }
                | Action::UseIpvsInterface(_)
                | Action::RememberServices
                | Action::RememberTimeouts(_)
                | Action::RememberDaemons(_)
                | Action::SettingsSettled => {}
                Action::Fifo { line, .. } => self.fifo.push(line.as_str().to_owned()),
                Action::SendMail { id } => {
                    self.mails += 1;
                    self.pending.push_back(Event::Mail { id, result: Ok(()) });
                }
                Action::Note { number } => {
                    let note = self.engine.note(number).expect("a note has its text");
                    self.lines.push((self.now, format!("{} {}: {}", note.kind, note.subject, note.text)));
                }
                Action::Finished => self.is_finished = true,
            }
        }
        self.actions.clear();
    }

    fn change(&mut self, index: u32, cidr: Cidr, op: AddressOp) {
        let is_refused = match self.refused {
            Some(Refused::Adding(refused)) => refused == cidr && op == AddressOp::Add,
            Some(Refused::All) => true,
            None => false,
        };
        let (result, change) = if !self.links.contains_key(&index) {
            (Err(Refusal::NoDevice), None)
        } else if is_refused {
            (Err(Refusal::Busy), None)
        } else {
            match op {
                AddressOp::Add => {
                    // As the kernel does: a replaced address keeps its protocol number.
                    let ours = *self.addresses.entry((index, cidr)).or_insert(true);
                    (Ok(()), Some(AddressChange::Present { ours, secondary: false }))
                }
                AddressOp::Remove => match self.addresses.remove(&(index, cidr)) {
                    Some(_) => (Ok(()), Some(AddressChange::Gone)),
                    None => (Err(Refusal::NotFound), None),
                },
            }
        };
        self.pending.push_back(Event::AddressResult { index, cidr, op, result });
        self.pending.extend(change.map(|change| Event::Address { index, cidr, change }));
    }

    fn make_macvlan(&mut self, parent: u32, name: LinkName, mac: [u8; 6]) {
        let kind = LinkKind::Macvlan { parent, is_private: true };
        match self.links.values().find(|l| l.name == name).copied() {
            Some(link) if link.kind == kind && link.mac == Some(mac) => {}
            Some(_) => self.pending.push_back(Event::LinkFailed { name, refusal: Refusal::Exists }),
            None => {
                let index = 100 + self.links.keys().max().copied().unwrap_or(0);
                let off = Link { up: false, running: false, mac: Some(mac), kind, name, ..link(index, "") };
                self.links.insert(index, off);
                self.pending.push_back(Event::Link(off));
            }
        }
    }

    /// Going down takes the IPv6 addresses with it (RTNL-26).
    fn set_up(&mut self, index: u32, name: LinkName, up: bool) {
        let Some(link) = self.links.get_mut(&index) else {
            let refusal = Refusal::NoDevice;
            return self.pending.push_back(Event::LinkFailed { name, refusal });
        };
        (link.up, link.running) = (up, up);
        self.pending.push_back(Event::Link(*link));
        let lost = |(i, cidr): &(u32, Cidr)| !up && *i == index && cidr.address.is_ipv6();
        let gone: Vec<(u32, Cidr)> = self.addresses.keys().filter(|key| lost(key)).copied().collect();
        for (index, cidr) in gone {
            self.addresses.remove(&(index, cidr));
            self.pending.push_back(Event::Address { index, cidr, change: AddressChange::Gone });
        }
    }

    fn queue_link_gone(&mut self, index: u32) {
        self.addresses.retain(|(i, _), _| *i != index);
        self.links.remove(&index);
        self.pending.push_back(Event::LinkGone { index });
    }

    /// A program ends.
    pub(crate) fn end_run(&mut self, id: RunId, outcome: RunOutcome) {
        self.runs.retain(|run| *run != id);
        self.feed(Event::Ran { id, outcome, took: Duration::from_millis(5) });
    }

    // ---- what happens to the box

    /// An interface comes, or changes.
    pub(crate) fn set_link(&mut self, link: Link) {
        self.links.insert(link.index, link);
        self.feed(Event::Link(link));
    }

    pub(crate) fn set_running(&mut self, index: u32, running: bool) {
        if let Some(link) = self.links.get(&index).copied() {
            self.set_link(Link { running, ..link });
        }
    }

    /// Its addresses go first, as the kernel tells it.
    pub(crate) fn delete_link(&mut self, index: u32) {
        self.set_running(index, false);
        let gone: Vec<Cidr> = self.addresses.keys().filter(|(i, _)| *i == index).map(|(_, c)| *c).collect();
        for cidr in gone {
            self.take_address(index, cidr);
        }
        self.members.retain(|ear| ear.index != index);
        self.links.remove(&index);
        self.feed(Event::LinkGone { index });
    }

    /// Somebody puts an address there.
    pub(crate) fn put_address(&mut self, index: u32, cidr: Cidr) {
        if self.links.contains_key(&index) {
            let ours = *self.addresses.entry((index, cidr)).or_insert(false);
            let change = AddressChange::Present { ours, secondary: false };
            self.feed(Event::Address { index, cidr, change });
        }
    }

    /// Somebody takes an address away.
    pub(crate) fn take_address(&mut self, index: u32, cidr: Cidr) {
        if self.addresses.remove(&(index, cidr)).is_some() {
            self.feed(Event::Address { index, cidr, change: AddressChange::Gone });
        }
    }

    pub(crate) fn hear(&mut self, index: u32, bytes: &[u8]) {
        self.feed(Event::Frame { index, bytes, truncated: false });
    }

    pub(crate) fn reload(&mut self, config: &Config) {
        self.feed(Event::Reload(Box::new(config.clone())));
    }

    // ---- time

    /// Ticks until nothing is due. A deadline that no tick moves is a loop that spins.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        for _ in 0..TICKS_MAX {
            if self.is_finished || self.engine.next_deadline().is_none_or(|at| at > self.now) {
                return;
            }
            self.ticks += 1;
            self.feed(Event::Tick);
        }
        panic!("the loop spins at {}: {:?}", self.now, self.engine.snapshot(self.now).instances);
    }

    #[track_caller]
    pub(crate) fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        self.settle();
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end && !self.is_finished) {
            self.now = at;
            self.settle();
        }
        self.now = end;
    }

    // ---- what is

    pub(crate) fn status(&self, number: usize) -> InstanceStatus {
        self.engine.snapshot(self.now).instances.swap_remove(number)
    }

    pub(crate) fn state(&self, number: usize) -> InstanceState {
        self.status(number).state
    }

    pub(crate) fn has(&self, index: u32, cidr: Cidr) -> bool {
        self.addresses.contains_key(&(index, cidr))
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.links.values().find(|l| l.name.as_str() == name).map(|l| l.index)
    }
}

pub(crate) fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: LinkName::new(name),
        up: true,
        running: true,
        mac: Some([2, 0, 0, 0, 1, 7]),
        mtu: 1500,
        kind: LinkKind::Other,
        forwards_ipv6: true,
    }
}

/// The interface's own address.
pub(crate) fn base(index: u32) -> Cidr {
    Cidr { address: Ipv4Addr::new(192, 0, 2, index as u8).into(), prefix_len: 24 }
}
