//! What an Active router does from time to time: adverts, leases, announcements.

use super::announce::Pace;
use super::vips::Turn;
use super::{Instance, State};
use crate::engine::Ctx;
use crate::model::Level;
use crate::time::{Duration, Instant};
use crate::wire::arp::{GARP_LEN, emit_garp};
use crate::wire::vrrp::{AdvertOut, AuthOut, ExpectAuth};
use core::fmt;
use std::net::IpAddr;

impl Instance {
    /// FSM-18; FSM-42 where the daemon did not run for longer than the others wait for us.
    pub(super) fn advert_due(&mut self, now: Instant, late: Duration, cx: &mut Ctx<'_>) {
        let interval = self.config.advert_interval;
        self.send_advert(self.config.priority.get(), cx);
        let overslept = late > self.down_interval(interval) - interval;
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
        let (Some(port), lease) = (self.port, self.config.lease) else { return };
        let State::Active { renew_at, renew_from, .. } = &mut self.state else { return };
        if renew_at.is_none_or(|at| at > now) {
            return;
        }
        if lease.is_some_and(|lease| now - self.renewed_at >= lease) {
            self.lapsed_at = Some(now);
        }
        match self.vips.renew(*renew_from, port.index, lease, cx.actions) {
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
        let Some(usable) = self.usable() else { return };
        let State::Active { announce, .. } = &mut self.state else { return };
        announce.tick(now, &self.config.garp);
        let vips = &mut self.vips;
        announce.slice(now, vips.len(), pace, |at| match vips.turn(now, at) {
            Turn::Now(cidr) => {
                if let IpAddr::V4(address) = cidr.address {
                    cx.actions.transmit(usable.index, GARP_LEN, |buffer| {
                        emit_garp(usable.mac, address, false, buffer);
                    });
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
        cx.note(
            now,
            Level::Warning,
            "address",
            &self.config.name,
            format_args!("{what} on {}: {by}; put back", self.config.interface),
        );
    }

    pub(super) fn send_advert(&mut self, priority: u8, cx: &mut Ctx<'_>) {
        let Some(usable) = self.usable() else { return };
        self.ip_id = self.ip_id.wrapping_add(1);
        self.counters.adverts_sent = self.counters.adverts_sent.wrapping_add(1);
        let expect = self.expect();
        let advert = AdvertOut {
            version: expect.version,
            family: expect.family,
            vrid: expect.vrid,
            priority,
            interval: expect.advert_interval,
            auth: match expect.authentication {
                ExpectAuth::None | ExpectAuth::Hmac { .. } => AuthOut::None,
                ExpectAuth::Pass(password) => AuthOut::Pass(password),
            },
            addresses: &self.advertised,
            checksum_form: self.transmit_form,
        };
        let (group, id) = (expect.destination, self.ip_id);
        cx.actions.transmit(usable.index, advert.frame_len(), |buffer| {
            advert.emit_frame(usable.mac, usable.source.into(), group, id, buffer);
        });
    }
}
