//! Bad input by the thousand, in virtual time: adverts keep their spacing, nobody is moved, the log stays
//! short (SEC-4, SEC-8, SEC-9).

use crate::LISTENERS;
use crate::catalogue::{Listener, cases};
use crate::frame::{Frame, hex, summed};
use crate::frame6::Frame6;
use crate::mutate::Mutator;
use crate::router::{LAN, Router};
use std::net::Ipv4Addr;
use vipd::model::status::InstanceState;
use vipd::time::{Duration, Instant};

/// Every bad frame of the catalogue in turn, `rate` a second, for `seconds`.
fn storm(router: &mut Router, frames: &[Vec<u8>], rate: u64, seconds: u64) -> Instant {
    let start = router.now;
    for n in 0..rate * seconds {
        router.run_until(start + Duration::from_micros(n * 1_000_000 / rate));
        router.hear(LAN, &frames[n as usize % frames.len()], false);
    }
    router.run_until(start + Duration::from_secs(seconds));
    start
}

fn bad_frames(listener: Listener) -> Vec<Vec<u8>> {
    cases().into_iter().filter(|c| c.listener == listener && c.falls_at.is_some()).map(|c| c.frame).collect()
}

fn assert_spacing(adverts: &[Instant], wanted: usize, what: &str) {
    assert!(adverts.len().abs_diff(wanted) <= 1, "{what}: {} adverts, not {wanted}", adverts.len());
    for pair in adverts.windows(2) {
        assert_eq!(pair[1] - pair[0], Duration::from_secs(1), "{what}: spacing");
    }
}

#[test]
fn b_63_b_65_bad_packets_do_not_silence_an_active() {
    for listener in LISTENERS {
        let frames = bad_frames(listener);
        for (rate, seconds) in [(5, 60), (1000, 10), (10_000, 3)] {
            let mut router = Router::new(listener, InstanceState::Active);
            router.notes = 0;
            let start = storm(&mut router, &frames, rate, seconds);
            let what = format!("{listener:?}, {rate} bad packets a second");
            assert_spacing(&router.adverts_since(start), seconds as usize, &what);
            assert_eq!(router.instance().state, InstanceState::Active, "{what}");
            assert!(router.notes <= 2, "{what}: {} lines of log (RX-30)", router.notes);
            let rejected = router.instance().rejected.len();
            assert!(rejected <= vipd::limits::PEERS_MAX, "{what}: {rejected} senders kept");
        }
    }
}

#[test]
fn b_65_bad_packets_do_not_hold_a_backup_down() {
    for listener in LISTENERS {
        let mut router = Router::new(listener, InstanceState::Backup);
        let due = router.engine.next_deadline().expect("a Backup waits for its down timer");
        storm(&mut router, &bad_frames(listener), 1000, 6);
        let first = router.adverts_since(Instant::ZERO).first().copied();
        assert_eq!(first, Some(due), "{listener:?}: takes over when its own timer says so");
    }
}

#[test]
fn b_62_a_flood_of_lower_priority_is_answered_seldom() {
    let lower = [
        (Listener::Plain, Frame::new(summed(hex("21333201 00010000 c0000264 00000000 00000000"))).bytes()),
        (Listener::V3, Frame::new(summed(hex("310d3201 00640000 c0000264"))).bytes()),
        (Listener::V6, Frame6::summed(hex("310f3201 00640000 fe80000000000000 0000000000000100")).bytes()),
    ];
    for (listener, frame) in lower {
        let mut router = Router::new(listener, InstanceState::Active);
        router.sent.clear();
        router.notes = 0;
        let start = storm(&mut router, &[frame], 10_000, 6);
        let adverts = router.adverts_since(start);
        for pair in adverts.windows(2) {
            assert!(pair[1] - pair[0] <= Duration::from_secs(1), "{listener:?}: an advert came late");
        }
        assert!((6..=12).contains(&adverts.len()), "{listener:?}: {} adverts (SEC-9)", adverts.len());
        assert!(router.sent.len() <= 24, "{listener:?}: {} frames: an amplifier", router.sent.len());
        assert_eq!(router.instance().state, InstanceState::Active, "{listener:?}");
        assert!(router.notes <= 2, "{listener:?}: {} lines of log", router.notes);
    }
}

#[test]
fn b_64_two_better_routers_in_turn_leave_a_backup_at_rest() {
    let from = |d, priority: &str| {
        let mut frame =
            Frame::new(summed(hex(&format!("2133{priority}01 00010000 c0000264 00000000 00000000"))));
        frame.source = Ipv4Addr::new(192, 0, 2, d);
        frame.bytes()
    };
    let frames = [from(1, "fe"), from(2, "fd")];
    let mut router = Router::new(Listener::Plain, InstanceState::Backup);
    router.notes = 0;
    storm(&mut router, &frames, 100, 10);
    assert_eq!(router.instance().counters.became_active, 0, "a live Active was heard all the time");
    assert!(router.sent.is_empty(), "a Backup is silent");
    assert!(router.notes <= 2, "{} lines of log", router.notes);
}

/// Random damage through the whole engine, in all its states: no panic, and each frame is accounted for once.
#[test]
fn every_damaged_frame_is_counted_once() {
    for listener in LISTENERS {
        let mut mutator = Mutator::new(0x5eed_0112, &[listener, Listener::V3, Listener::V6]);
        let mut router = Router::new(listener, InstanceState::Backup);
        let frames = 20_000;
        for _ in 0..frames {
            router.hear(LAN, &mutator.frame(), false);
            router.run_until(router.now + Duration::from_millis(20));
        }
        let (all, instance) = (router.snapshot(), router.instance());
        let dropped = all.dropped.iter().chain(&instance.counters.dropped).map(|(_, n)| n).sum::<u32>();
        let taken = instance.counters.adverts_received;
        assert_eq!(dropped + taken, frames, "{listener:?}: {:?} {:?}", all.dropped, instance.counters);
        assert!(dropped > frames / 2, "{listener:?}: only {dropped} dropped");
    }
}
