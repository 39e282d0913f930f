//! Whose packets were dropped, and why: the material of the status screen. Nothing here sends, logs or sets a
//! timer (law 2).

use crate::limits;
use crate::model::{self, Text, Version, cut, status::RejectedPeer};
use crate::time::Instant;
use crate::wire::vrrp::Rung;
use std::net::IpAddr;

#[derive(Debug, Clone, Copy)]
struct Entry {
    address: IpAddr,
    rung: Rung,
    count: u32,
    last_at: Instant,
    logged: bool,
}

/// The last few (sender, reason) pairs of an instance, and a counter for each reason.
#[derive(Debug)]
pub(super) struct Rejected {
    entries: heapless::Vec<Entry, { limits::PEERS_MAX }>,
    pub(super) drops: [u32; Rung::COUNT],
    logged_at: Option<Instant>,
}

impl Rejected {
    pub(super) fn new() -> Self {
        Rejected { entries: heapless::Vec::new(), drops: [0; Rung::COUNT], logged_at: None }
    }

    /// Counts a packet that stopped at `rung`. The oldest pair gives way to a new one.
    pub(super) fn count(&mut self, now: Instant, address: IpAddr, rung: Rung) {
        if let Some(n) = self.drops.get_mut(rung.index()) {
            *n = n.saturating_add(1);
        }
        if let Some(e) = self.entries.iter_mut().find(|e| e.address == address && e.rung == rung) {
            (e.count, e.last_at) = (e.count.saturating_add(1), now);
            return;
        }
        if self.entries.is_full() {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, e)| e.last_at).map(|(at, _)| at);
            if let Some(at) = oldest {
                self.entries.swap_remove(at);
            }
        }
        let _ = self.entries.push(Entry { address, rung, count: 1, last_at: now, logged: false });
    }

    /// A sender and reason not logged yet, at most one a minute however many senders are made up (RX-30).
    pub(super) fn unlogged(&mut self, now: Instant, config: &model::Instance) -> Option<Text> {
        if self.logged_at.is_some_and(|at| now - at < crate::time::Duration::from_secs(60)) {
            return None;
        }
        let e = self.entries.iter_mut().find(|e| !e.logged)?;
        e.logged = true;
        self.logged_at = Some(now);
        Some(cut(format_args!("dropped a packet of {}: {}", e.address, why(e.rung, config))))
    }

    /// For the status screen, the latest first, of the last hour.
    pub(super) fn status(&self, now: Instant, config: &model::Instance) -> Vec<RejectedPeer> {
        let mut list: Vec<RejectedPeer> = self
            .entries
            .iter()
            .map(|e| RejectedPeer {
                address: e.address,
                why: why(e.rung, config),
                count: e.count,
                last: now - e.last_at,
            })
            .filter(|p| p.last.secs() < 3600)
            .collect();
        list.sort_by_key(|p| p.last);
        list
    }
}

/// What is wrong, and what to change on which side (INT-2..INT-4).
fn why(rung: Rung, config: &model::Instance) -> Text {
    let other = match config.version {
        Version::V2 => 3,
        Version::V3 => 2,
    };
    match rung {
        Rung::AuthType => match config.authentication {
            model::Authentication::None => {
                cut(format_args!("it authenticates and we do not: set auth_pass here, or none there"))
            }
            model::Authentication::Pass(_) | model::Authentication::Hmac(_) => {
                cut(format_args!("other authentication type: set the same auth_pass on both sides"))
            }
        },
        Rung::AuthFailed => cut(format_args!("wrong password: set the same auth_pass on both sides")),
        Rung::Interval => match config.version {
            Version::V2 => cut(format_args!(
                "other advert interval, ours is {} s: set the same on both sides",
                config.advert_interval.secs()
            )),
            Version::V3 => cut(format_args!("its advert interval is zero: it is broken, or forged")),
        },
        Rung::Version => {
            cut(format_args!("other VRRP version: set version = {other} here, or {} there", config.version))
        }
        Rung::Destination => cut(format_args!(
            "sent to another group than {}: set the same multicast group on both sides",
            config.group
        )),
        Rung::Ttl if config.unicast.is_some() => cut(format_args!(
            "its TTL is outside ttl_min and ttl_max of this peer: set them as far as it is away"
        )),
        Rung::Ttl => cut(format_args!("TTL is not 255: it comes from outside this network, or is forged")),
        Rung::Checksum => cut(format_args!("bad checksum")),
        Rung::Peer => cut(format_args!("not in unicast_peers: add it there, or find out who it is")),
        Rung::AddressList => cut(format_args!("other virtual addresses: list the same on both sides")),
        Rung::Count => {
            cut(format_args!("it advertises no address: give it the virtual addresses of this side"))
        }
        Rung::Length => cut(format_args!(
            "wrong length: another protocol on this VRID (CARP?), or auth_hmac on one side only"
        )),
        Rung::HmacMissing => {
            cut(format_args!("not signed: set auth_hmac there, or mode = \"permissive\" here"))
        }
        Rung::HmacKey => cut(format_args!("signed with a key id that is not here: set the same keys")),
        Rung::HmacInvalid => cut(format_args!("bad signature: other key under the same id, or forged")),
        Rung::HmacStale => {
            cut(format_args!("its clock and ours differ: set both by NTP, or anti_replay = \"monotonic\""))
        }
        Rung::HmacReplay => cut(format_args!("replayed, or its clock was set back")),
        Rung::Truncated
        | Rung::Vlan
        | Rung::NotVrrp
        | Rung::Ah
        | Rung::IpHeader
        | Rung::Fragment
        | Rung::IpChecksum
        | Rung::Source
        | Rung::Type
        | Rung::UnknownVrid => cut(format_args!("{} check failed", rung.name())),
    }
}
