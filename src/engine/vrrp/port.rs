//! The instance's place among the interfaces: its own one, how fit that is, and where its addresses go.

use super::transition::FaultCause;
use super::{Instance, State};
use crate::engine::links::Reach;
use crate::engine::{Action, Actions, Ctx, Ear, LinkKind, LinkName, Setting};
use crate::model::{Cidr, IfName};
use crate::time::{Duration, Instant};
use std::net::IpAddr;

/// The interface as the instance needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) index: u32,
    pub(super) name: LinkName,
    /// As the instance takes it: a link that is down for less than `down_delay` is running.
    pub(super) is_running: bool,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) source: Option<IpAddr>,
    pub(super) mtu: u32,
    pub(super) is_bridge_port: bool,
    /// It counts as down from then on (RTNL-42).
    down_at: Option<Instant>,
    /// It has come up, and is given time until then (`settle`).
    settles_until: Option<Instant>,
    /// Its address is gone; adverts have the old one as their source until then.
    source_until: Option<Instant>,
    /// It was down for a moment that did not count (RTNL-43).
    has_flapped: bool,
}

impl Port {
    /// Nothing is waited for any more.
    pub(super) fn forget_delays(&mut self) {
        (self.down_at, self.settles_until, self.source_until) = (None, None, None);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.down_at.into_iter().chain(self.settles_until).chain(self.source_until).min()
    }
}

/// What an instance with all it needs works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usable {
    pub(super) index: u32,
    /// Source of Ethernet frames: that of the virtual router, or the interface's. Zeros where there is none.
    pub(super) mac: [u8; 6],
    pub(super) source: IpAddr,
}

impl Instance {
    /// Interface index, where the interface is there.
    pub(in crate::engine) fn index(&self) -> Option<u32> {
        self.port.map(|p| p.index)
    }

    /// Does it matter to this instance what becomes of the interface of that name?
    pub(in crate::engine) fn lives_on(&self, name: &LinkName) -> bool {
        *name == self.config.interface
            || self.vmac.as_ref().is_some_and(|v| v.name == *name)
            || self.config.all_addresses().any(|a| a.interface.as_ref().is_some_and(|i| *name == *i))
    }

    /// What the instance listens on; the first is the one of its own interface.
    pub(in crate::engine) fn ears(&self) -> impl Iterator<Item = Ear> + use<> {
        let family = self.config.family;
        let group = if self.config.unicast.is_some() { None } else { Some(self.config.group) };
        let own = self.index().map(|index| Ear { index, family, group, joins: true });
        let vmac = self.vmac.as_ref().and_then(|v| v.index).filter(|_| group.is_some());
        // IGMP or MLD on the macvlan would send its MAC to the switches while Backup (SOCK-20, SOCK-21).
        own.into_iter().chain(vmac.map(|index| Ear { index, family, group, joins: false }))
    }

    /// The interface whose packets count. With the macvlan up that one hears everybody, and the base hears
    /// some a second time (VMAC-12, VMAC-13).
    pub(in crate::engine) fn hears_on(&self) -> Option<u32> {
        let vmac = self.vmac.as_ref().filter(|v| v.is_up && self.config.unicast.is_none());
        vmac.and_then(|v| v.index).or(self.index())
    }

    pub(super) fn usable(&self) -> Option<Usable> {
        let p = self.port?;
        let mac = self.vmac.as_ref().map(|v| v.mac).or(p.mac);
        Some(Usable { index: p.index, mac: mac.unwrap_or([0; 6]), source: p.source? })
    }

    /// The interfaces or their addresses have changed; the first time, this starts the instance.
    pub(in crate::engine) fn look(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let port = self.find_port(now, cx);
        if self.port.is_some() && self.index() != port.map(|p| p.index) {
            self.leave_interface(now, cx);
        }
        let ears: heapless::Vec<Ear, 2> = self.ears().collect();
        let old = core::mem::replace(&mut self.port, port);
        self.look_at_vmac(now, cx);
        if !self.ears().eq(ears) {
            self.listen(cx.actions);
        }
        if self.place(now, cx) {
            self.hold_settings(cx);
            if let State::Active { announce, .. } = &mut self.state {
                announce.again(now, &self.config.garp);
            }
        }
        if port.is_some() {
            self.hold_settings(cx);
        }
        if old != port {
            self.list_addresses();
        }
        self.evaluate(now, cx);
        self.converge(now, cx);
        if let (Some(old), Some(port)) = (old, self.port)
            && self.is_active()
        {
            // ARP-44: the switch may have flushed its table, or our MAC is another one.
            let fresh = (old.mac, old.is_running, old.source) != (port.mac, port.is_running, port.source);
            if fresh || port.has_flapped {
                if let State::Active { announce, .. } = &mut self.state {
                    announce.again(now, &self.config.garp);
                }
                self.send_advert(self.priority(), cx);
            }
        }
        if let Some(port) = &mut self.port {
            port.has_flapped = false;
        }
    }

    fn find_port(&self, now: Instant, cx: &Ctx<'_>) -> Option<Port> {
        let interface = cx.links.by_name(&self.config.interface)?;
        let link = interface.link;
        let old = self.port.filter(|p| p.index == link.index);
        let later = |delay: Duration| (delay > Duration::ZERO).then(|| now + delay);
        let (mut is_running, mut down_at, mut settles_until) = (link.running, None, None);
        if let Some(old) = old {
            settles_until = old.settles_until.filter(|_| link.running);
            if !link.running && old.is_running {
                down_at = old.down_at.or_else(|| later(self.config.down_delay));
                is_running = down_at.is_some_and(|at| at > now);
            } else if link.running && !old.is_running {
                settles_until = later(self.config.settle);
            }
        } else if !matches!(self.state, State::Initialize) {
            settles_until = later(self.config.settle).filter(|_| link.running);
        }
        let mut source = self.find_source(cx);
        let mut source_until = None;
        if source.is_none()
            && self.is_active()
            && let Some(old) = old
        {
            // Who sets an interface up again (netifd, networkd, DHCP) takes its address away for a moment.
            // Meanwhile the others hear us as before, so nobody is misled.
            source_until =
                old.source_until.or(Some(now + self.config.advert_interval)).filter(|at| *at > now);
            source = old.source.filter(|_| source_until.is_some());
        }
        Some(Port {
            index: link.index,
            name: link.name,
            is_running,
            mac: link.mac,
            source,
            mtu: link.mtu,
            is_bridge_port: matches!(link.kind, LinkKind::BridgePort { .. }),
            down_at: down_at.filter(|_| is_running),
            settles_until,
            source_until: source_until.filter(|_| source.is_some()),
            has_flapped: link.running && old.is_some_and(|p| p.down_at.is_some()),
        })
    }

    /// Source of our adverts: as configured, or as PKT-25 and RFC 9568 §5.1.2.1 say.
    fn find_source(&self, cx: &Ctx<'_>) -> Option<IpAddr> {
        if self.config.source.is_some() {
            return self.config.source;
        }
        let to = match &self.config.unicast {
            None => self.config.group,
            Some(unicast) => unicast.peers.first()?.address,
        };
        let reach = match to {
            IpAddr::V4(_) => Reach::V4,
            IpAddr::V6(to) if to.is_multicast() || to.is_unicast_link_local() => Reach::LinkLocal,
            IpAddr::V6(_) => Reach::Global,
        };
        let interface = cx.links.by_name(&self.config.interface)?;
        interface.source(reach, |a| self.config.has_address(a), self.is_owner())
    }

    /// Does the configured source exist on this box?
    pub(super) fn lacks_source(&self, cx: &Ctx<'_>) -> Option<IpAddr> {
        let source = self.config.source.filter(|_| self.config.track_source)?;
        if cx.links.has_address(source) { None } else { Some(source) }
    }

    /// Gives every address its interface; true: one has another one now.
    pub(in crate::engine) fn place(&mut self, now: Instant, cx: &mut Ctx<'_>) -> bool {
        let (links, index_of) = (cx.links, |name: &str| cx.links.by_name(name).map(|i| i.link.index));
        let base = index_of(&self.config.interface);
        let own = match &self.vmac {
            Some(vmac) => base.and_then(|parent| vmac.find(parent, links)).map(|link| link.index),
            None => base,
        };
        let place = |name: Option<&IfName>| name.map_or(own, |name| index_of(name));
        self.vips.place(now, place)
    }

    /// Addresses that may still be where they were before an interface got another name, each with the index
    /// of that.
    pub(in crate::engine) fn take_moved(&mut self, actions: &mut Actions) -> Vec<(u32, Cidr)> {
        self.vips.take_moved(actions)
    }

    /// The interface is gone, or has another name: the others are told and the addresses taken away, as far
    /// as that can still be done there (FSM-40, RTNL-41). What takes its place begins anew.
    fn leave_interface(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.enter_fault(now, vec![FaultCause::Missing], cx);
        self.remove_addresses(now, cx);
        self.release_settings(cx);
        self.forget_vmac(cx);
        self.deaf = None;
        self.port = None;
    }

    /// The daemon leaves, and an interface changes: only what is still awaited matters.
    pub(in crate::engine) fn look_away(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.look_at_vmac(now, cx);
        let _ = self.place(now, cx);
    }

    /// Delays of the interface that have ended.
    pub(super) fn tick_port(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let Some(port) = &mut self.port else { return };
        if port.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        if port.settles_until.is_some_and(|at| at <= now) {
            port.settles_until = None;
        }
        self.look(now, cx);
    }

    /// Is the interface given time to settle?
    pub(super) fn settles(&self) -> bool {
        self.port.is_some_and(|p| p.settles_until.is_some())
    }

    /// Holds what the instance needs of its interfaces (VMAC-32, VMAC-34, RTNL-23).
    pub(super) fn hold_settings(&mut self, cx: &mut Ctx<'_>) {
        let mut wanted: Vec<(u32, LinkName, Setting)> = Vec::new();
        if let (Some(port), Some(_), IpAddr::V4(_)) = (self.port, &self.vmac, self.config.group) {
            wanted.push((port.index, port.name, Setting::ArpIgnore));
            wanted.push((port.index, port.name, Setting::ArpFilter));
            // What the box sends from the address may leave by the base: asked from there, hosts would learn
            // the base's MAC for it.
            wanted.push((port.index, port.name, Setting::ArpAnnounce));
        }
        // An address that came back after our own had taken its place hangs on ours, and would go with it.
        let is_needed = |(index, cidr): &(u32, Cidr)| {
            self.config.promote_secondaries || cx.links.by_index(*index).is_some_and(|i| i.hangs_on(cidr))
        };
        let mut places: Vec<u32> = self.vips.placed().filter(is_needed).map(|(index, _)| index).collect();
        places.sort_unstable();
        places.dedup();
        for index in places {
            if let Some(interface) = cx.links.by_index(index) {
                wanted.push((index, interface.link.name, Setting::PromoteSecondaries));
            }
        }
        let old = core::mem::take(&mut self.held);
        for &(index, name, setting) in wanted.iter().filter(|w| !old.contains(w)) {
            cx.actions.push(Action::HoldSetting { index, name, setting });
        }
        for &(index, name, setting) in old.iter().filter(|o| !wanted.contains(o)) {
            cx.actions.push(Action::ReleaseSetting { index, name, setting });
        }
        self.held = wanted;
    }

    pub(super) fn release_settings(&mut self, cx: &mut Ctx<'_>) {
        for (index, name, setting) in core::mem::take(&mut self.held) {
            cx.actions.push(Action::ReleaseSetting { index, name, setting });
        }
    }
}
