//! The macvlan of an instance with a virtual MAC: made in advance, up exactly while the addresses are to be
//! live, so that a Backup neither answers nor forwards for that MAC (VMAC-16..VMAC-18, FSM-36).

use super::{Instance, State};
use crate::engine::links::Links;
use crate::engine::{Action, Ctx, Link, LinkKind, LinkName, Refusal};
use crate::model::{self, AddressOptions, Cidr, Family, Level, Text, cut};
use crate::time::{Duration, Instant};
use std::net::IpAddr;

/// From a refusal, or from a request without an effect, to the next try.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// The macvlan as it is, and as it was asked to be.
#[derive(Debug)]
pub(super) struct Vmac {
    pub(super) name: LinkName,
    pub(super) mac: [u8; 6],
    /// Where it is there and ours.
    pub(super) index: Option<u32>,
    pub(super) is_up: bool,
    /// It was asked for, or to go up or down; not again before then.
    asked_until: Option<Instant>,
    /// The last request was for this.
    asked_up: Option<bool>,
    /// Why it cannot be had.
    pub(super) refusal: Option<Text>,
    /// It was asked for by this run: one that an earlier run left is set up anew.
    is_made: bool,
    /// It is to be removed and not to be made again.
    leaves: bool,
    /// One that this run made, left behind on an interface that has another name now: it is in the way of the
    /// next one, and to be removed.
    behind: Option<u32>,
    /// Its own link-local address, and whether that was asked for (VMAC-30).
    link_local: Option<IpAddr>,
}

impl Vmac {
    pub(super) fn new(config: &model::Instance) -> Option<Self> {
        config.virtual_mac.as_ref().map(|v| Vmac {
            name: LinkName::new(&v.name),
            mac: v.mac,
            index: None,
            is_up: false,
            asked_until: None,
            asked_up: None,
            refusal: None,
            is_made: false,
            leaves: false,
            behind: None,
            link_local: None,
        })
    }

    /// The device, where it is there and what it should be.
    pub(super) fn find(&self, parent: u32, links: &Links) -> Option<Link> {
        let link = links.by_name(self.name.as_str()).map(|i| i.link)?;
        let is_ours =
            link.mac == Some(self.mac) && link.kind == LinkKind::Macvlan { parent, is_private: true };
        is_ours.then_some(link)
    }

    /// Is no device of ours left?
    pub(super) fn is_gone(&self) -> bool {
        self.index.is_none() && self.behind.is_none()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.asked_until
    }
}

impl Instance {
    /// Is the macvlan still to come, though nobody refused it? The instance waits for it before it starts.
    pub(super) fn awaits_vmac(&self) -> bool {
        self.vmac.as_ref().is_some_and(|v| v.index.is_none() && v.refusal.is_none())
    }

    /// The interfaces have changed: is it there, is it ours, is it up?
    pub(super) fn look_at_vmac(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if let Some(vmac) = &mut self.vmac {
            vmac.behind = vmac.behind.filter(|index| cx.links.by_index(*index).is_some());
        }
        let (Some(vmac), Some(port)) = (&mut self.vmac, self.port) else { return };
        let link = vmac.find(port.index, cx.links);
        let (index, is_up) = (link.map(|l| l.index), link.is_some_and(|l| l.up));
        if index.is_some() && vmac.index != index {
            // Made, or found; a left-over of an earlier run is set up by MakeMacvlan all the same.
            (vmac.refusal, vmac.link_local) = (None, None);
            vmac.asked_until = Some(now);
        }
        if index.is_none() && vmac.index.is_some() {
            // Somebody removed it: it is made again at once.
            vmac.asked_until = Some(now);
            // An old refusal is not why it is missing now.
            (vmac.link_local, vmac.is_made, vmac.refusal) = (None, false, None);
            if !vmac.leaves {
                let text = format_args!("somebody removed {}: made again", vmac.name);
                cx.note(now, Level::Warning, "link", &self.config.name, text);
            }
        }
        if vmac.asked_up == Some(is_up) {
            (vmac.asked_up, vmac.refusal) = (None, None);
        }
        (vmac.index, vmac.is_up) = (index, is_up);
    }

    /// Asks for what is missing: the device, its state, its own link-local address.
    pub(super) fn converge_vmac(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let wanted = self.is_live();
        let (Some(port), with_ipv6) = (self.port, self.has_ipv6()) else { return };
        let family = self.config.family;
        let Some(vmac) = self.vmac.as_mut().filter(|v| !v.leaves) else { return };
        let name = vmac.name;
        let is_due = vmac.asked_until.is_none_or(|at| at <= now);
        if !vmac.is_made || (vmac.index.is_none() && is_due) {
            (vmac.is_made, vmac.asked_until) = (true, Some(now + RETRY_DELAY));
            let mac = vmac.mac;
            cx.actions.extend(vmac.behind.map(|index| Action::RemoveLink { index, name }));
            cx.actions.push(Action::MakeMacvlan { parent: port.index, name, mac, family, with_ipv6 });
        }
        let Some(index) = vmac.index else { return };
        if vmac.is_up == wanted && vmac.asked_up.is_none() {
            vmac.asked_until = None;
        } else if vmac.asked_up != Some(wanted) || vmac.asked_until.is_some_and(|at| at <= now) {
            vmac.asked_up = Some(wanted);
            vmac.asked_until = Some(now + RETRY_DELAY);
            // Going down takes IPv6 addresses with it.
            vmac.link_local = None;
            cx.actions.push(Action::SetLink { index, name, up: wanted });
        }
        if wanted
            && family == Family::V6
            && let Some(source) = port.source.filter(|s| vmac.link_local != Some(*s))
        {
            vmac.link_local = Some(source);
            let cidr = Cidr { address: source, prefix_len: 64 };
            let options = AddressOptions { deprecated: true, ..AddressOptions::default() };
            cx.actions.push(Action::AddAddress { index, cidr, lease: None, options });
        }
    }

    pub(super) fn tick_vmac(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        if self.vmac.as_ref().and_then(|v| v.asked_until).is_some_and(|at| at <= now) {
            self.converge_vmac(now, cx);
            if let Some(vmac) = self.vmac.as_mut()
                && vmac.asked_until.is_some_and(|at| at <= now)
            {
                vmac.asked_until = None;
            }
        }
    }

    fn has_ipv6(&self) -> bool {
        self.config.all_addresses().any(|a| a.interface.is_none() && a.cidr.address.is_ipv6())
    }

    /// It could not be made or changed.
    pub(in crate::engine) fn handle_link_failed(
        &mut self,
        now: Instant,
        name: &LinkName,
        refusal: Refusal,
        cx: &mut Ctx<'_>,
    ) {
        let Some(vmac) = self.vmac.as_mut().filter(|v| v.name == *name) else { return };
        vmac.asked_until = Some(now + RETRY_DELAY);
        let why: Text = match refusal {
            Refusal::Exists => cut(format_args!("a device {} of another kind is there", name)),
            refusal => cut(format_args!("macvlan {}: {refusal}", name)),
        };
        if vmac.refusal.as_ref() != Some(&why) && !vmac.leaves {
            cx.note(now, Level::Error, "link", &self.config.name, format_args!("{why}"));
        }
        if vmac.leaves {
            // Nobody waits for it at the end: it carries no address and is down.
            (vmac.index, vmac.behind) = (None, None);
            return;
        }
        vmac.refusal = Some(why);
        if !matches!(self.state, State::Initialize) || self.port.is_some() {
            self.evaluate(now, cx);
        }
    }

    /// The device goes with the instance.
    pub(super) fn leave_vmac(&mut self, cx: &mut Ctx<'_>) {
        let Some(vmac) = &mut self.vmac else { return };
        (vmac.leaves, vmac.asked_until, vmac.asked_up) = (true, None, None);
        for index in vmac.behind.into_iter().chain(vmac.index) {
            cx.actions.push(Action::RemoveLink { index, name: vmac.name });
        }
    }

    /// Its parent is gone, and so is it; or its parent has another name, and it is to go.
    pub(super) fn forget_vmac(&mut self, cx: &mut Ctx<'_>) {
        let has_parent = self.port.is_some_and(|p| cx.links.by_index(p.index).is_some());
        if let Some(vmac) = &mut self.vmac {
            let behind = vmac.index.filter(|index| has_parent && cx.links.by_index(*index).is_some());
            if let Some(index) = behind {
                vmac.behind = Some(index);
                cx.actions.push(Action::RemoveLink { index, name: vmac.name });
            }
            (vmac.index, vmac.is_up, vmac.asked_until, vmac.asked_up) = (None, false, None, None);
            (vmac.refusal, vmac.link_local, vmac.is_made) = (None, None, false);
        }
    }
}
