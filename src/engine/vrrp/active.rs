//! What an Active router does from time to time: adverts, leases, announcements.

use super::announce::Pace;
use super::vips::Turn;
use super::{Instance, State};
use crate::engine::{Actions, Ctx};
use crate::model::{Garp, GarpForm, Level};
use crate::time::{Duration, Instant};
use crate::wire::arp::{GARP_LEN, emit_garp};
use crate::wire::ndisc::{NA_LEN, emit_na};
use crate::wire::vrrp::AdvertOut;
use core::fmt;
use std::net::IpAddr;

impl Instance {
    /// FSM-18; FSM-42 where the daemon did not run for longer than the others wait for us.
    pub(super) fn advert_due(&mut self, now: Instant, late: Duration, cx: &mut Ctx<'_>) {
        let interval = self.config.advert_interval;
        let overslept = late > self.down_interval(interval) - interval;
        if overslept && !self.config.preempt {
            // The others have given us up, and whoever took over is not to be disturbed (FSM-42).
            let cause = format_args!("this daemon did not run for {late}, and preempt is off");
            return self.step_down(now, cause, cx);
        }
        self.send_advert(self.priority(), cx);
        let State::Active { advert_at, announce, .. } = &mut self.state else { return };
        // From its own time, so that lateness does not add up; never in the past.
        *advert_at = if late < interval { *advert_at + interval } else { now + interval };
        if overslept {
            announce.again(now, &self.config.garp);
            cx.note(
                now,
                Level::Warning,
                "instance",
                &self.config.name,
                format_args!("this daemon did not run for {late} while Active: announcing again"),
            );
        }
        if let Some(text) = self.rejected.unlogged(now, &self.config) {
            cx.note(now, Level::Warning, "instance", &self.config.name, format_args!("{text}"));
        }
    }

    pub(super) fn renew(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let lease = self.config.lease;
        let State::Active { renew_at, renew_from, hook: None, .. } = &mut self.state else { return };
        if renew_at.is_none_or(|at| at > now) {
            return;
        }
        if lease.is_some_and(|lease| now - self.renewed_at >= lease) {
            self.lapsed_at = Some(now);
        }
        match self.vips.renew(*renew_from, lease, cx.actions) {
            Some(from) => (*renew_at, *renew_from) = (Some(now + Duration::from_millis(1)), from),
            None => {
                // Without a lease this was the round that took the last one off.
                (*renew_at, *renew_from) = (lease.map(|lease| now + lease / 3), 0);
                self.renewed_at = now;
            }
        }
    }

    /// The announcements of this turn.
    pub(in crate::engine) fn announce(&mut self, now: Instant, pace: &mut Pace, cx: &mut Ctx<'_>) {
        let vmac = self.vmac.as_ref().map(|v| (v.index, v.mac));
        let State::Active { announce, hook: None, .. } = &mut self.state else { return };
        let garp = self.config.garp;
        announce.tick(now, &garp);
        let vips = &mut self.vips;
        announce.slice(now, vips.len(), pace, |at| match vips.turn(now, at) {
            Turn::Now(cidr, place) => {
                let link = cx.links.by_index(place).map(|i| i.link);
                let mac = match vmac {
                    Some((index, mac)) if index == Some(place) => Some(mac),
                    Some(_) | None => link.and_then(|l| l.mac),
                };
                // Without an Ethernet address there is nobody who would keep it in mind (ARP-5).
                if let Some(mac) = mac {
                    let is_router = garp.router_flag.unwrap_or(link.is_none_or(|l| l.forwards_ipv6));
                    announce_one(cx.actions, place, mac, cidr.address, garp.form, is_router);
                }
                true
            }
            Turn::PassedBy => true,
            Turn::Soon => false,
        });
    }

    /// Did the leases run out, or have they just been renewed too late?
    pub(super) fn has_lapsed(&self, now: Instant) -> bool {
        let overdue = self.config.lease.is_some_and(|lease| now - self.renewed_at >= lease);
        overdue || self.lapsed_at.is_some_and(|at| now - at < self.config.advert_interval)
    }

    /// Says that VIPs were taken away, and by what.
    pub(super) fn put_back(&mut self, now: Instant, what: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        if let State::Active { announce, .. } = &mut self.state {
            announce.again(now, &self.config.garp);
        }
        if !self.meddling.lets_through(now) {
            return;
        }
        let expired = self.has_lapsed(now);
        let by =
            if expired { "the lease ran out while this daemon did not run" } else { "removed by someone" };
        cx.note(now, Level::Warning, "address", &self.config.name, format_args!("{what}: {by}; put back"));
    }

    /// One advert to the group, or to each unicast peer.
    pub(super) fn send_advert(&mut self, priority: u8, cx: &mut Ctx<'_>) {
        let Some(usable) = self.usable() else { return };
        self.ip_id = self.ip_id.wrapping_add(1);
        self.counters.adverts_sent = self.counters.adverts_sent.wrapping_add(1);
        self.next_number(cx.unix);
        let (config, id) = (&self.config, self.ip_id);
        let advert = AdvertOut {
            version: config.version,
            family: config.family,
            vrid: config.vrid.get(),
            priority,
            interval: config.advert_interval,
            auth: self.auth_out(),
            addresses: &self.advertised,
            checksum_form: self.transmit_form,
        };
        let Some(unicast) = &config.unicast else {
            return cx.actions.transmit(usable.index, advert.frame_len(), |buffer| {
                advert.emit_frame(usable.mac, usable.source, config.group, id, buffer);
            });
        };
        for peer in &unicast.peers {
            cx.actions.transmit_packet(usable.index, advert.packet_len(), |buffer| {
                advert.emit_packet(usable.source, peer.address, unicast.ttl, id, buffer);
            });
        }
    }

    /// ARP-46: the peers learn again where our own address is, after a time in which we were not there.
    pub(super) fn announce_source(&self, cx: &mut Ctx<'_>) {
        let (Some(_), Some(port)) = (&self.config.unicast, self.port) else { return };
        if let (Some(mac), Some(source)) = (port.mac, port.source) {
            let Garp { form, router_flag, .. } = self.config.garp;
            announce_one(cx.actions, port.index, mac, source, form, router_flag.unwrap_or(true));
        }
    }
}

/// One gratuitous ARP (or one of each form) or unsolicited NA.
fn announce_one(
    actions: &mut Actions,
    index: u32,
    mac: [u8; 6],
    address: IpAddr,
    form: GarpForm,
    is_router: bool,
) {
    match address {
        IpAddr::V4(address) => {
            let forms: &[bool] = match form {
                GarpForm::Request => &[false],
                GarpForm::Reply => &[true],
                GarpForm::Both => &[false, true],
            };
            for reply in forms {
                actions.transmit(index, GARP_LEN, |buffer| emit_garp(mac, address, *reply, buffer));
            }
        }
        IpAddr::V6(address) => {
            actions.transmit(index, NA_LEN, |buffer| emit_na(mac, address, is_router, buffer));
        }
    }
}
