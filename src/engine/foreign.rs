//! Adverts of virtual routers that are not configured here. Other people's groups are normal; one that
//! advertises an address of ours under another VRID, or that authenticates by AH, is a mistake of somebody's.

use crate::limits;
use crate::model::{self, Name, Text, cut};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::{Envelope, Version};
use std::net::IpAddr;

/// How long one is remembered.
const MEMORY: Duration = Duration::from_secs(3600);
/// The addresses of one are looked at this often at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// And those of any: senders can be made up, and a look goes through all addresses of ours.
const PAUSE: Duration = Duration::from_millis(200);

/// One (interface, VRID, sender).
#[derive(Debug, Clone)]
struct Entry {
    index: u32,
    vrid: u8,
    source: IpAddr,
    last_at: Instant,
    looked_at: Option<Instant>,
    /// Our instance of another VRID that has one of its addresses, and that address.
    ours: Option<(Name, u8, IpAddr)>,
}

/// The last few of them.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    list: heapless::Vec<Entry, { limits::FOREIGN_MAX }>,
    ah_at: Option<Instant>,
    /// No look before then.
    free_at: Option<Instant>,
}

impl Foreign {
    /// A packet for a VRID that is not configured on its interface.
    pub(super) fn hear<'a>(
        &mut self,
        now: Instant,
        index: u32,
        envelope: &Envelope<'_>,
        instances: impl Iterator<Item = &'a model::Instance>,
    ) {
        let (vrid, source) = (envelope.vrid(), envelope.source());
        let is_it = |e: &Entry| (e.index, e.vrid, e.source) == (index, vrid, source);
        if let Some(entry) = self.list.iter_mut().find(|e| is_it(e)) {
            entry.last_at = now;
            if entry.looked_at.is_none_or(|at| now - at >= LOOK_INTERVAL)
                && self.free_at.is_none_or(|at| at <= now)
            {
                (entry.looked_at, self.free_at) = (Some(now), Some(now + PAUSE));
                entry.ours = find(envelope, instances);
            }
            return;
        }
        if self.list.is_full() {
            let oldest = self.list.iter().enumerate().min_by_key(|(_, e)| e.last_at).map(|(at, _)| at);
            if let Some(at) = oldest {
                self.list.swap_remove(at);
            }
        }
        let (mut ours, mut looked_at) = (None, None);
        if self.free_at.is_none_or(|at| at <= now) {
            (ours, looked_at, self.free_at) = (find(envelope, instances), Some(now), Some(now + PAUSE));
        }
        let _ = self.list.push(Entry { index, vrid, source, last_at: now, looked_at, ours });
    }

    /// A packet with AH.
    pub(super) fn hear_ah(&mut self, now: Instant) {
        self.ah_at = Some(now);
    }

    /// What somebody should change.
    pub(super) fn problems(&self, now: Instant, problems: &mut Vec<Text>) {
        for e in self.list.iter().filter(|e| now - e.last_at < MEMORY) {
            if let Some((name, vrid, address)) = &e.ours {
                problems.push(cut(format_args!(
                    "{name}: {} advertises {address} as VRID {}, ours is {vrid}: set the same on both sides",
                    e.source, e.vrid
                )));
            }
        }
        if self.ah_at.is_some_and(|at| now - at < MEMORY) {
            problems.push(cut(format_args!(
                "adverts with IPsec AH come in and are not read: there, set auth_type PASS, auth_hmac or none"
            )));
        }
    }

    /// (VRID, sender) of those heard lately.
    pub(super) fn status(&self, now: Instant) -> Vec<(u8, IpAddr, Duration)> {
        let recent = self.list.iter().filter(|e| now - e.last_at < MEMORY);
        recent.map(|e| (e.vrid, e.source, now - e.last_at)).collect()
    }
}

/// The instance that has one of the addresses in the packet. Nothing in the packet was checked: it is good
/// for a hint and no more.
fn find<'a>(
    envelope: &Envelope<'_>,
    mut instances: impl Iterator<Item = &'a model::Instance>,
) -> Option<(Name, u8, IpAddr)> {
    let message = envelope.message();
    let count = usize::from(*message.get(3)?);
    let list = message.get(8..)?;
    let is_v6 = envelope.version() == Version::V3.number() && envelope.source().is_ipv6();
    instances.find_map(|instance| {
        let has = |address: &IpAddr| instance.has_address(*address);
        let found = if is_v6 {
            list.as_chunks::<16>().0.iter().take(count).map(|raw| IpAddr::from(*raw)).find(has)
        } else {
            list.as_chunks::<4>().0.iter().take(count).map(|raw| IpAddr::from(*raw)).find(has)
        };
        found.map(|address| (instance.name.clone(), instance.vrid.get(), address))
    })
}
