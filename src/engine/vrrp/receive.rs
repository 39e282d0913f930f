//! What a received advert does. A packet that fails the ladder only counts (law 2).

use super::{Heard, Instance, State};
use crate::engine::Ctx;
use crate::engine::notify::{About, Change};
use crate::model::{self, HmacMode, Version, cut};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::{Advert, Envelope, Expect, Rung, check};
use core::cmp::Ordering;
use std::net::IpAddr;

/// Contests are answered at most this often, and never more often than every third advert (FSM-33, SEC-9): a
/// router that hears us steps down after the first answer, and one that does not is not helped by more.
const ANSWER_INTERVAL: Duration = Duration::from_secs(1);

/// Resignations are answered at most this often (SEC-9). An answer that this holds back leaves when the time
/// is over, so that no Backup takes the silence for our end.
const ASSERT_INTERVAL: Duration = Duration::from_millis(10);

/// A router of lower priority that is heard again after so long is a new contest.
const CONTEST_PAUSE: Duration = Duration::from_secs(10);

/// What a valid advert means to the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Resign,
    Higher,
    EqualHigherAddress,
    EqualLowerAddress,
    Lower,
}

impl Instance {
    /// Is the packet, by its sender, more likely ours than that of another instance with the same VRID?
    pub(in crate::engine) fn has_peer(&self, source: IpAddr) -> bool {
        self.config.unicast.as_ref().is_some_and(|u| u.peers.iter().any(|p| p.address == source))
    }

    /// A packet for our VRID came in on our interface.
    pub(in crate::engine) fn handle_packet(
        &mut self,
        now: Instant,
        envelope: &Envelope<'_>,
        cx: &mut Ctx<'_>,
    ) {
        let Some(usable) = self.usable() else {
            self.counters.not_ready = self.counters.not_ready.saturating_add(1);
            return;
        };
        let advert = match self.judge(now, envelope, usable.source, cx) {
            Ok(advert) => advert,
            Err(rung) => return self.rejected.count(now, envelope.source(), rung),
        };
        // RX-21: a reflected packet, or another router with our address. Its state machine cannot be told
        // from ours.
        if advert.source == usable.source {
            self.counters.own_address = self.counters.own_address.saturating_add(1);
            return;
        }
        self.count_advert(now, &advert);
        let heard =
            Heard { address: advert.source, mac: advert.source_mac, priority: advert.priority, at: now };
        let ours = self.priority();
        // FSM-30: addresses compare as numbers in network order.
        let rank = match (advert.priority, advert.priority.cmp(&ours), advert.source.cmp(&usable.source)) {
            (0, _, _) => Rank::Resign,
            (_, Ordering::Greater, _) => Rank::Higher,
            (_, Ordering::Less, _) => Rank::Lower,
            (_, Ordering::Equal, Ordering::Greater) => Rank::EqualHigherAddress,
            (_, Ordering::Equal, Ordering::Equal | Ordering::Less) => Rank::EqualLowerAddress,
        };
        match (&self.state, rank) {
            (State::Initialize | State::Fault { .. }, _) => {
                self.counters.not_ready = self.counters.not_ready.saturating_add(1);
            }
            (State::Backup { .. }, Rank::Resign) => self.backup_resign(now, heard),
            // FSM-15: a Backup accepts an equal priority whatever the address (FSM-31).
            (State::Backup { .. }, Rank::Higher | Rank::EqualHigherAddress | Rank::EqualLowerAddress) => {
                if let State::Backup { preempt_at, .. } = &mut self.state {
                    *preempt_at = None;
                }
                self.obey(now, heard, &advert);
            }
            // FSM-5: an owner takes over whatever `preempt` says.
            (State::Backup { .. }, Rank::Lower) if !self.config.preempt && !self.is_owner() => {
                self.obey(now, heard, &advert);
            }
            (State::Backup { .. }, Rank::Lower) => self.hear_lower(now, heard, &advert),
            (State::Active { .. }, Rank::Resign) => self.answer_resign(now, cx),
            (State::Active { .. }, Rank::Higher | Rank::EqualHigherAddress) => {
                self.yield_to(now, heard, &advert, cx)
            }
            (State::Active { .. }, Rank::EqualLowerAddress | Rank::Lower) => self.contest(now, heard, cx),
        }
    }

    /// The whole ladder of protocols §1.7. Nothing but a fresh signature is kept in mind.
    fn judge<'a>(
        &mut self,
        now: Instant,
        envelope: &Envelope<'a>,
        source: IpAddr,
        cx: &Ctx<'_>,
    ) -> Result<Advert<'a>, Rung> {
        let config = &self.config;
        let (destination, hops, is_peer) = match &config.unicast {
            None => (config.group, (255, 255), true),
            Some(unicast) => match unicast.peers.iter().find(|p| p.address == envelope.source()) {
                Some(peer) => (source, (peer.ttl_min, peer.ttl_max), true),
                None => (source, (0, 255), !unicast.check_source),
            },
        };
        let expect = Expect {
            version: config.version,
            family: config.family,
            vrid: config.vrid.get(),
            destination,
            hops,
            authentication: self.expect_auth(),
            advert_interval: config.advert_interval,
            may_be_empty: config.addresses.is_empty(),
        };
        let advert = check(envelope, &expect)?;
        if !is_peer {
            return Err(Rung::Peer);
        }
        if config.strict_addresses && self.differs(&advert) {
            return Err(Rung::AddressList);
        }
        if let model::Authentication::Hmac(hmac) = &config.authentication {
            match (advert.signature, advert.hmac_fault) {
                (Some(signature), _) => self.check_fresh(now, cx.unix, advert.source, signature)?,
                // Only what is not signed at all is let through while a group moves over.
                (None, Some(Rung::HmacMissing) | None) if hmac.mode != HmacMode::Enforce => {}
                (None, fault) => return Err(fault.unwrap_or(Rung::HmacMissing)),
            }
        }
        Ok(advert)
    }

    /// RX-19: order does not matter.
    fn differs(&self, advert: &Advert<'_>) -> bool {
        let listed = advert.addresses();
        listed.len() != self.advertised.len() || !listed.clone().all(|a| self.advertised.contains(&a))
    }

    fn count_advert(&mut self, now: Instant, advert: &Advert<'_>) {
        let c = &mut self.counters;
        c.adverts_received = c.adverts_received.wrapping_add(1);
        if advert.priority == 0 {
            c.priority_zero_received = c.priority_zero_received.saturating_add(1);
        }
        if advert.interval_differs {
            c.interval_differs = c.interval_differs.saturating_add(1);
        }
        if advert.signature.is_some() {
            c.signed_received = c.signed_received.wrapping_add(1);
        } else if matches!(self.config.authentication, model::Authentication::Hmac(_)) {
            c.unsigned_accepted = c.unsigned_accepted.saturating_add(1);
        }
        // RX-19: a list that differs is accepted.
        if self.differs(advert) {
            let c = &mut self.counters;
            c.address_list_mismatch = c.address_list_mismatch.saturating_add(1);
        }
        let (c, is_v4) = (&mut self.counters, advert.source.is_ipv4());
        if self.config.version == Version::V3 && is_v4 && advert.checksum_form != self.transmit_form {
            c.other_checksum_form = c.other_checksum_form.saturating_add(1);
            self.other_form = Some((advert.source, now));
            if self.config.checksum == model::ChecksumForm::Auto {
                self.transmit_form = advert.checksum_form;
            }
        }
    }

    /// FSM-14.
    fn backup_resign(&mut self, now: Instant, heard: Heard) {
        self.heard = Some(heard);
        let State::Backup { active_adver_interval, .. } = self.state else { return };
        let at = now + self.skew(active_adver_interval);
        if let State::Backup { active_down_at, .. } = &mut self.state {
            *active_down_at = Some(at);
        }
    }

    /// FSM-15: v3 learns the interval.
    fn obey(&mut self, now: Instant, heard: Heard, advert: &Advert<'_>) {
        self.heard = Some(heard);
        self.rival = None;
        let learned = match self.config.version {
            Version::V2 => self.config.advert_interval,
            Version::V3 => advert.interval,
        };
        let at = now + self.down_interval(learned);
        if let State::Backup { active_down_at, active_adver_interval, .. } = &mut self.state {
            (*active_down_at, *active_adver_interval) = (Some(at), learned);
        }
    }

    /// FSM-16: the timer keeps running, so that we take over when it fires; with `preempt_delay` only once
    /// that has passed. Until then the lower router counts as alive, so that its silence is noticed as ever.
    fn hear_lower(&mut self, now: Instant, heard: Heard, advert: &Advert<'_>) {
        let delay = self.config.preempt_delay;
        let State::Backup { preempt_at, .. } = &mut self.state else { return };
        if delay > Duration::ZERO && !self.config.priority.is_owner() {
            let at = *preempt_at.get_or_insert(now + delay);
            if now < at {
                return self.obey(now, heard, advert);
            }
        }
        self.rival = Some(heard);
    }

    /// FSM-19: another router leaves; we say that we are here.
    fn answer_resign(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        let free_at = self.asserted_at.map_or(now, |at| at + ASSERT_INTERVAL);
        if free_at <= now {
            self.asserted_at = Some(now);
            self.assert_active(now, cx);
        } else if let State::Active { advert_at, .. } = &mut self.state
            && *advert_at > free_at
        {
            *advert_at = free_at;
            self.asserted_at = Some(free_at);
        }
    }

    fn assert_active(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        self.send_advert(self.priority(), cx);
        let interval = self.config.advert_interval;
        if let State::Active { advert_at, .. } = &mut self.state {
            *advert_at = now + interval;
        }
    }

    /// FSM-20.
    fn yield_to(&mut self, now: Instant, heard: Heard, advert: &Advert<'_>, cx: &mut Ctx<'_>) {
        let ours = self.priority();
        let cause: model::Text = if advert.priority > ours {
            cut(format_args!("{} has priority {}, ours is {ours}", heard.address, advert.priority))
        } else {
            cut(format_args!("{} has our priority {ours} and the higher address", heard.address))
        };
        if self.config.higher_priority_advert {
            self.send_advert(ours, cx);
        }
        self.step_down(now, format_args!("{cause}"), cx);
        self.obey(now, heard, advert);
    }

    /// To Backup, without a word: somebody else is Active.
    pub(super) fn step_down(&mut self, now: Instant, cause: core::fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        let interval = self.config.advert_interval;
        let state = State::Backup {
            active_down_at: Some(now + self.down_interval(interval)),
            active_adver_interval: interval,
            preempt_at: None,
        };
        self.enter(now, state, cause, cx);
        self.converge(now, cx);
    }

    /// FSM-21, FSM-33: a lower router is Active, too. Our advert at once, and our MAC to those that learned
    /// the other.
    fn contest(&mut self, now: Instant, heard: Heard, cx: &mut Ctx<'_>) {
        self.counters.lower_priority_received = self.counters.lower_priority_received.saturating_add(1);
        let pause = CONTEST_PAUSE.max(self.config.advert_interval * 3);
        let is_new = self.rival.is_none_or(|r| r.address != heard.address || now - r.at > pause);
        self.rival = Some(heard);
        // Senders can be made up: neither programs nor lines more than a few a minute.
        let is_told = is_new && self.meddling.lets_through(now);
        if is_new {
            self.counters.rivals = self.counters.rivals.saturating_add(1);
        }
        if is_told {
            let priority = self.priority();
            let change = Change::LowerPriority;
            cx.notifier.tell(now, About::Instance(&self.config), change, priority, cx.actions);
        }
        let limit = ANSWER_INTERVAL.max(self.config.advert_interval * 3);
        if self.answered_at.is_none_or(|at| now - at >= limit) {
            self.answered_at = Some(now);
            if self.config.lower_priority_advert {
                self.assert_active(now, cx);
            }
            if let State::Active { announce, .. } = &mut self.state {
                announce.contest(now, &self.config.garp);
            }
        }
        if is_told {
            cx.note(
                now,
                model::Level::Warning,
                "instance",
                &self.config.name,
                format_args!(
                    "{} ({}) was Active, too, with priority {}: told it to step down",
                    heard.address,
                    Mac(heard.mac),
                    heard.priority
                ),
            );
        }
    }
}

pub(super) struct Mac(pub(super) [u8; 6]);

impl core::fmt::Display for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
