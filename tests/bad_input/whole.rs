//! The catalogue through the whole engine: a packet that falls changes one counter and nothing else (law 2).

use crate::catalogue::{Case, Listener, cases};
use crate::frame::{Frame, hex, summed};
use crate::frame6::Frame6;
use crate::router::{self, LAN, OTHER, Router, own};
use crate::{LISTENERS, expect, title};
use std::net::{IpAddr, Ipv4Addr};
use vipd::engine::{AddressChange, Event};
use vipd::model::status::{InstanceState, InstanceStatus, Snapshot};
use vipd::model::{Authentication, Cidr, HmacMode, Priority, cut};
use vipd::time::Duration;
use vipd::wire::vrrp::{Rung, open};

const STATES: [InstanceState; 2] = [InstanceState::Backup, InstanceState::Active];

/// Whose counter grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The packet was known to be for our instance.
    Instance,
    Router,
}

#[test]
fn a_bad_packet_changes_one_counter() {
    let cases = cases();
    for state in STATES {
        for listener in LISTENERS {
            let mut router = Router::new(listener, state);
            for case in cases.iter().filter(|c| c.listener == listener) {
                let Some(rung) = case.falls_at else { continue };
                let ours = expect(listener);
                let (scope, rung) = match open(&case.frame) {
                    Ok(e) if (e.vrid(), e.family()) == (ours.vrid, ours.family) => (Scope::Instance, rung),
                    // Nobody is there to find more wrong with it.
                    Ok(_) => (Scope::Router, Rung::UnknownVrid),
                    Err(_) => (Scope::Router, rung),
                };
                let what = format!("{}, {state:?}", title(case));
                assert_only_counts(&mut router, (LAN, &case.frame, false), scope, rung.name(), &what);
            }
        }
    }
}

/// B-67: MSG_TRUNC, whatever the rest looks like.
#[test]
fn b_67_what_the_kernel_cut_is_not_read() {
    for state in STATES {
        for case in cases().iter().filter(|c| c.falls_at.is_none()) {
            let mut router = Router::new(case.listener, state);
            let what = format!("B-67, {}, {state:?}", title(case));
            assert_only_counts(&mut router, (LAN, &case.frame, true), Scope::Router, "truncated", &what);
        }
    }
}

#[test]
fn b_34_right_vrid_on_the_wrong_interface() {
    for state in STATES {
        for case in cases().iter().filter(|c| c.falls_at.is_none()) {
            let mut router = Router::new(case.listener, state);
            let what = format!("B-34, {}, {state:?}", title(case));
            for index in [OTHER, 99, 0] {
                let heard = (index, &case.frame[..], false);
                assert_only_counts(&mut router, heard, Scope::Router, "unknown_vrid", &what);
            }
        }
    }
}

/// RX-21: with our own address as its source, neither a reflection nor a duplicate may move the state
/// machine.
#[test]
fn b_52_b_53_adverts_with_our_own_address() {
    for state in STATES {
        for case in cases().iter().filter(|c| ["B-49", "B-50", "B-52"].contains(&c.id)) {
            let mut router = Router::new(case.listener, state);
            let frame = match own(case.listener) {
                IpAddr::V4(source) => Frame { source, ..Frame::new(case.frame[34..].to_vec()) }.bytes(),
                IpAddr::V6(source) => {
                    Frame6 { source, ..Frame6::new(case.frame[54..].to_vec()) }.sum().bytes()
                }
            };
            let what = format!("B-52, {}, {state:?}", title(case));
            let heard = (LAN, &frame[..], false);
            assert_only_counts(&mut router, heard, Scope::Instance, "own_address", &what);
        }
    }
}

/// Whatever the router sends comes back to it. What goes to a peer is not even for us.
#[test]
fn b_53_b_61_our_own_frames() {
    for listener in LISTENERS {
        let mut router = Router::new(listener, InstanceState::Active);
        let sent = core::mem::take(&mut router.sent);
        let (mut adverts, mut announcements) = (0, 0);
        for (_, frame) in &sent {
            let (scope, name) = match open(frame) {
                Err(rung) => {
                    assert_eq!(rung, Rung::NotVrrp, "{listener:?}: neither advert nor ARP nor ND");
                    announcements += 1;
                    (Scope::Router, rung.name())
                }
                Ok(envelope) => {
                    adverts += 1;
                    let is_to_peer = !envelope.destination().is_multicast();
                    (Scope::Instance, if is_to_peer { Rung::Destination.name() } else { "own_address" })
                }
            };
            let what = format!("B-53, B-61, {listener:?}: {frame:02x?}");
            assert_only_counts(&mut router, (LAN, frame, false), scope, name, &what);
        }
        assert!(adverts > 0 && announcements > 0, "{listener:?}: {adverts} adverts, {announcements} others");
    }
}

/// RX-18: somebody who is not configured, with an impeccable advert.
#[test]
fn rx_18_unicast_from_others_than_the_peers() {
    for state in STATES {
        let mut router = Router::new(Listener::Unicast, state);
        let mut frame = Frame::new(summed(hex(crate::signed::G6)));
        (frame.source, frame.destination) = (Ipv4Addr::new(192, 0, 2, 9), crate::signed::OWN);
        let what = format!("RX-18, {state:?}");
        let heard = (LAN, &frame.bytes()[..], false);
        assert_only_counts(&mut router, heard, Scope::Instance, "peer", &what);
        frame.ttl = 64;
        let heard = (LAN, &frame.bytes()[..], false);
        assert_only_counts(&mut router, heard, Scope::Instance, "peer", &format!("{what}: TTL of nobody"));
    }
}

/// B-68: each hears its own family alone.
#[test]
fn b_68_fsm_4_the_same_vrid_in_both_families() {
    let mut router = Router::with(Listener::V3, InstanceState::Backup, |config| {
        let mut v6 = router::config(Listener::V6).instances.remove(0);
        (v6.name, v6.vrid) = (cut(format_args!("VI6")), config.instances[0].vrid);
        config.instances.push(v6);
    });
    let change = AddressChange::Present { ours: false, secondary: false };
    let cidr = Cidr { address: own(Listener::V6), prefix_len: 64 };
    router.handle(Event::Address { index: LAN, cidr, change });
    let states = |router: &Router| {
        let of = |i: &InstanceStatus| (i.state, i.counters.adverts_received, i.counters.dropped.len());
        router.snapshot().instances.iter().map(of).collect::<Vec<_>>()
    };
    let backup = |heard| (InstanceState::Backup, heard, 0);
    assert_eq!(states(&router), [backup(0), backup(0)], "both listen");
    router.hear(LAN, &Frame::new(summed(hex("310d6401 00640000 c0000264"))).bytes(), false);
    assert_eq!(states(&router), [backup(1), backup(0)], "B-68: IPv4 for IPv4 alone");
    let v6 = Frame6::summed(hex("310d6401 00640000 fe80000000000000 0000000000000100"));
    router.hear(LAN, &v6.bytes(), false);
    assert_eq!(states(&router), [backup(1), backup(1)], "B-68: and IPv6 for IPv6");
}

/// RX-19 on demand; the same list in another order is the same.
#[test]
fn rx_19_strict_instances_want_their_own_list() {
    let vips = ["192.0.2.100", "192.0.2.101"].map(|a| Cidr { address: a.parse().unwrap(), prefix_len: 24 });
    let mut router = Router::with(Listener::V3, InstanceState::Backup, |config| {
        config.instances[0].addresses = vips.map(Into::into).to_vec();
        config.instances[0].strict_addresses = true;
    });
    for (what, list) in [
        ("one is missing", "01 00640000 c0000264"),
        ("one is another", "02 00640000 c0000264 c0000266"),
        ("one is too many", "03 00640000 c0000264 c0000265 c0000266"),
    ] {
        let frame = Frame::new(summed(hex(&format!("310d64{list}")))).bytes();
        let what = format!("RX-19, B-56: {what}");
        assert_only_counts(&mut router, (LAN, &frame, false), Scope::Instance, "address_list", &what);
    }
    router.hear(LAN, &Frame::new(summed(hex("310d6402 00640000 c0000265 c0000264"))).bytes(), false);
    assert_eq!(router.instance().counters.adverts_received, 1, "RX-19: the order is no matter");
}

/// PKT-50: while a group moves over, what is not signed at all is taken; what is signed wrongly is not.
#[test]
fn pkt_50_modes_of_a_move() {
    let bare = Frame::new(hex(crate::catalogue::G5)).bytes();
    let vector = Frame::new([hex(crate::catalogue::G5), hex(crate::signed::TRAILER)].concat()).bytes();
    let mut wrong = vector.clone();
    *wrong.last_mut().unwrap() ^= 1;
    for mode in [HmacMode::Permissive, HmacMode::ReceiveOnly] {
        let mut router = Router::with(Listener::Signed, InstanceState::Backup, |config| {
            if let Authentication::Hmac(hmac) = &mut config.instances[0].authentication {
                hmac.mode = mode;
            }
        });
        router.hear(LAN, &bare, false);
        let c = router.instance().counters;
        assert_eq!(
            (c.adverts_received, c.unsigned_accepted, c.signed_received),
            (1, 1, 0),
            "{mode:?}: plain"
        );
        router.hear(LAN, &vector, false);
        let c = router.instance().counters;
        assert_eq!(
            (c.adverts_received, c.unsigned_accepted, c.signed_received),
            (2, 1, 1),
            "{mode:?}: signed"
        );
        let what = format!("{mode:?}: signed by somebody else");
        assert_only_counts(&mut router, (LAN, &wrong, false), Scope::Instance, "hmac_invalid", &what);
        let what = format!("{mode:?}: replayed");
        assert_only_counts(&mut router, (LAN, &vector, false), Scope::Instance, "hmac_replay", &what);
        router.run_until(router.now + Duration::from_secs(10));
        let (_, frame) = router.sent.iter().find(|(_, frame)| open(frame).is_ok()).expect("Active by now");
        let is_signed = frame.len() == 14 + 20 + 12 + 28;
        assert_eq!(is_signed, mode == HmacMode::Permissive, "{mode:?}: what it sends itself");
    }
}

/// RX-20, B-51: two owners settle it by their addresses; neither drops the other's adverts.
#[test]
fn rx_20_two_owners_resolve_by_election() {
    for (source, wanted) in [(1, InstanceState::Active), (99, InstanceState::Backup)] {
        let mut router = Router::with(Listener::V3, InstanceState::Active, |config| {
            config.instances[0].priority = Priority::OWNER;
        });
        let mut frame = Frame::new(summed(hex("310dff01 00640000 c0000264")));
        frame.source = Ipv4Addr::new(192, 0, 2, source);
        router.hear(LAN, &frame.bytes(), false);
        let status = router.instance();
        assert_eq!((status.state, status.counters.adverts_received), (wanted, 1), "RX-20: {}", frame.source);
        assert!(status.counters.dropped.is_empty(), "RX-20: {:?}", status.counters.dropped);
    }
}

/// B-59: what was good once is not good again, nor is it for ever.
#[test]
fn b_59_stale_and_replayed() {
    let vector = Frame::new([hex(crate::catalogue::G5), hex(crate::signed::TRAILER)].concat()).bytes();
    let heard = (LAN, &vector[..], false);
    for state in STATES {
        let mut router = Router::new(Listener::Signed, state);
        for late in [6, 86_400] {
            router.engine.set_unix_time(Duration::from_secs(1_700_000_000 + late));
            let what = format!("B-59, {late} s late, {state:?}");
            assert_only_counts(&mut router, heard, Scope::Instance, "hmac_stale", &what);
        }
        router.engine.set_unix_time(Duration::from_secs(1_700_000_000 - 6));
        let what = format!("B-59, from the future, {state:?}");
        assert_only_counts(&mut router, heard, Scope::Instance, "hmac_stale", &what);
        router.engine.set_unix_time(Duration::from_secs(1_700_000_005));
        router.hear(LAN, &vector, false);
        let counters = router.instance().counters;
        assert_eq!((counters.adverts_received, counters.signed_received), (1, 1), "PKT-50: within 5 s");
        let what = format!("B-59, replayed, {state:?}");
        assert_only_counts(&mut router, heard, Scope::Instance, "hmac_replay", &what);
    }
}

/// PKT-23: or a filter against duplicates takes the second advert for the first.
#[test]
fn pkt_23_every_advert_has_an_identification_of_its_own() {
    let mut router = Router::new(Listener::Plain, InstanceState::Active);
    router.run_until(router.now + Duration::from_secs(3));
    let adverts = router.sent.iter().filter(|(_, frame)| frame[12..14] == [0x08, 0x00]);
    let ids: Vec<u16> = adverts.map(|(_, frame)| u16::from_be_bytes([frame[18], frame[19]])).collect();
    assert!(ids.len() > 3, "{} adverts are too few to tell", ids.len());
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "PKT-23: {ids:?}");
}

/// The odd ones that must pass: counted as received, dropped nowhere.
#[test]
fn odd_but_valid_packets_are_taken() {
    for state in STATES {
        for case in cases().iter().filter(|c| c.falls_at.is_none()) {
            let mut router = Router::new(case.listener, state);
            router.hear(LAN, &case.frame, false);
            let (all, instance) = (router.snapshot(), router.instance());
            let what = format!("{}, {state:?}", title(case));
            assert_eq!(instance.counters.adverts_received, 1, "{what}: {:?}", instance.counters);
            assert_eq!((instance.counters.dropped, all.dropped), (Vec::new(), Vec::new()), "{what}");
            let wanted = if priority(case) > 100 { InstanceState::Backup } else { state };
            assert_eq!(instance.state, wanted, "{what}");
        }
    }
}

/// B-36, B-48, B-56: accepted, and told on the status screen.
#[test]
fn what_differs_is_counted() {
    let count = |listener, message: &str| {
        let mut router = Router::new(listener, InstanceState::Backup);
        router.hear(LAN, &Frame::new(summed(hex(message))).bytes(), false);
        let c = router.instance().counters;
        (c.other_checksum_form, c.interval_differs, c.address_list_mismatch)
    };
    assert_eq!(
        count(Listener::V3, "310d6401 00640000 c0000264"),
        (1, 0, 0),
        "B-36: message-only to a v3 router"
    );
    assert_eq!(count(Listener::V3, "310d6401 0fff0000 c0000264"), (1, 1, 0), "B-48: RX-17");
    assert_eq!(count(Listener::V3, "310d6401 00640000 c0000265"), (1, 0, 1), "B-56: RX-19");
    let v2 = "21336401 00010000 c0000264 00000000 00000000";
    assert_eq!(count(Listener::Plain, v2), (0, 0, 0), "v2 knows one form only");
}

fn priority(case: &Case) -> u8 {
    open(&case.frame).expect("an accepted one").message()[2]
}

/// Hands in one frame; all that may differ afterwards is one counter and what the status screen says of its
/// sender.
fn assert_only_counts(
    router: &mut Router,
    (index, frame, truncated): (u32, &[u8], bool),
    scope: Scope,
    counter: &'static str,
    what: &str,
) {
    let (before, deadline) = (router.snapshot(), router.engine.next_deadline());
    let acts = router.hear(index, frame, truncated);
    assert!(!acts, "{what}: something was done");
    assert_eq!(router.engine.next_deadline(), deadline, "{what}: a timer was touched (SEC-4)");
    let mut wanted = before;
    let counters = match scope {
        Scope::Instance => &mut wanted.instances[0].counters.dropped,
        Scope::Router => &mut wanted.dropped,
    };
    match counters.iter_mut().find(|(name, _)| *name == counter) {
        Some((_, n)) => *n += 1,
        None => counters.push((counter, 1)),
    }
    assert_eq!(comparable(router.snapshot()), comparable(wanted), "{what}");
}

/// Without what is said of the senders of dropped packets, and with the counters sorted.
fn comparable(mut snapshot: Snapshot) -> Snapshot {
    snapshot.problems.clear();
    snapshot.foreign.clear();
    snapshot.dropped.sort_unstable();
    for instance in &mut snapshot.instances {
        instance.rejected.clear();
        instance.counters.dropped.sort_unstable();
    }
    snapshot
}
