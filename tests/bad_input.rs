//! Bad input (protocols §10.1): what must fall, at which rung, and that nothing else happens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "bad_input/catalogue.rs"]
mod catalogue;
#[path = "bad_input/catalogue6.rs"]
mod catalogue6;
#[path = "bad_input/frame.rs"]
mod frame;
#[path = "bad_input/frame6.rs"]
mod frame6;
#[path = "bad_input/mutate.rs"]
mod mutate;
#[path = "sim/random.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod random;
#[path = "bad_input/router.rs"]
mod router;
#[path = "bad_input/signed.rs"]
mod signed;
#[path = "bad_input/storm.rs"]
mod storm;
#[path = "bad_input/whole.rs"]
mod whole;

use catalogue::{Case, Listener, cases};
use mutate::Mutator;
use std::net::IpAddr;
use vipd::time::Duration;
use vipd::wire::vrrp::{
    Advert, AdvertOut, AuthOut, Expect, ExpectAuth, Family, GROUP, Rung, Signer, Version, check, open,
};

const LISTENERS: [Listener; 10] = [
    Listener::Plain,
    Listener::Password,
    Listener::LongPassword,
    Listener::V3,
    Listener::V6,
    Listener::Unicast,
    Listener::Unicast6,
    Listener::Signed,
    Listener::SignedV2,
    Listener::Signed6,
];

/// The rungs of the wire: for the others it takes to know what was heard before, and what is configured.
fn rungs() -> impl Iterator<Item = Rung> {
    const OF_THE_ENGINE: [Rung; 4] = [Rung::HmacStale, Rung::HmacReplay, Rung::Peer, Rung::AddressList];
    Rung::ALL.into_iter().filter(|rung| !OF_THE_ENGINE.contains(rung))
}

fn expect(listener: Listener) -> Expect<'static> {
    let signed = ExpectAuth::Hmac { keys: &*signed::KEYS, is_strict: true };
    let (version, vrid, authentication) = match listener {
        Listener::Plain => (Version::V2, 51, ExpectAuth::None),
        Listener::Password => (Version::V2, 11, ExpectAuth::Pass(*b"1111\0\0\0\0")),
        Listener::LongPassword => (Version::V2, 12, ExpectAuth::Pass(*b"12345678")),
        Listener::V3 => (Version::V3, 13, ExpectAuth::None),
        Listener::V6 | Listener::Unicast6 => (Version::V3, 15, ExpectAuth::None),
        Listener::Unicast => (Version::V3, 17, ExpectAuth::None),
        Listener::Signed => (Version::V3, 13, signed),
        Listener::SignedV2 => (Version::V2, 51, signed),
        Listener::Signed6 => (Version::V3, 15, signed),
    };
    let (destination, hops) = match listener {
        Listener::V6 | Listener::Signed6 => ("ff02::12".parse().unwrap(), (255, 255)),
        Listener::Unicast => (signed::OWN.into(), (200, 255)),
        Listener::Unicast6 => (signed::OWN6.parse().unwrap(), (0, 255)),
        _ => (GROUP.into(), (255, 255)),
    };
    Expect {
        version,
        family: Family::of(destination),
        vrid,
        destination,
        hops,
        authentication,
        advert_interval: Duration::from_secs(1),
        may_be_empty: false,
    }
}

fn judge(frame: &[u8], listener: Listener) -> Result<Advert<'_>, Rung> {
    open(frame).and_then(|envelope| check(&envelope, &expect(listener)))
}

fn title(case: &Case) -> String {
    format!("{} ({}), heard by {:?}", case.id, case.what, case.listener)
}

/// Each bad frame falls at the rung that is named after what is wrong, and each odd one passes.
#[test]
fn wire_judges_the_whole_catalogue() {
    for case in cases() {
        let verdict = judge(&case.frame, case.listener).err();
        assert_eq!(verdict, case.falls_at, "{}", title(&case));
    }
}

/// Without this, an entry could be lost in an edit and nobody would see.
#[test]
fn the_catalogue_is_complete() {
    let cases = cases();
    // B-34, B-53 and B-61 are about who hears it: the engine's part.
    for number in (1..=60).filter(|n| ![34, 53].contains(n)).chain([66, 67, 68]) {
        let id = format!("B-{number}");
        assert!(cases.iter().any(|c| c.id == id), "{id} of protocols §10.1 is not in the catalogue");
    }
    for rung in rungs() {
        assert!(cases.iter().any(|c| c.falls_at == Some(rung)), "nothing falls at {}", rung.name());
    }
}

/// Random damage, 200,000 times: no panic, every rung is met, and what is accepted can be sent again and is
/// then understood in the same way.
#[test]
fn random_damage_never_panics() {
    let seed = 0x5eed_0112;
    let mut mutator = Mutator::new(seed, &LISTENERS);
    let mut fallen = [0u32; Rung::COUNT];
    let mut accepted = 0u32;
    for round in 0..200_000 {
        let frame = mutator.frame();
        for listener in LISTENERS {
            match judge(&frame, listener) {
                Ok(advert) => {
                    accepted += 1;
                    assert!((1..=255).contains(&advert.count()), "seed {seed:#x}, round {round}: RX-15");
                    assert!(advert.interval > Duration::ZERO, "seed {seed:#x}, round {round}: RX-16");
                    assert_survives_resending(&advert, listener, &format!("seed {seed:#x}, round {round}"));
                }
                Err(rung) => fallen[rung.index()] += 1,
            }
        }
    }
    for rung in rungs() {
        assert!(fallen[rung.index()] > 0, "no damage led to {}: the mutations are too tame", rung.name());
    }
    assert!(accepted > 1000, "only {accepted} accepted: the mutations are too wild");
}

fn assert_survives_resending(advert: &Advert<'_>, listener: Listener, title: &str) {
    let expect = expect(listener);
    let addresses: Vec<IpAddr> = advert.addresses().collect();
    let auth = match (expect.authentication, advert.signature) {
        (ExpectAuth::None, _) => AuthOut::None,
        (ExpectAuth::Pass(password), _) => AuthOut::Pass(password),
        (ExpectAuth::Hmac { keys, .. }, signature) => {
            let signature = signature.expect("strict listeners take nothing else");
            AuthOut::Hmac(Signer {
                key: keys.iter().find(|key| key.id == signature.key_id).expect("PKT-50: one of ours"),
                seconds: signature.seconds,
                subseconds: (signature.sequence >> 16) as u16,
                counter: signature.sequence as u16,
            })
        }
    };
    let again = AdvertOut {
        version: expect.version,
        family: expect.family,
        vrid: expect.vrid,
        priority: advert.priority,
        interval: advert.interval,
        auth,
        addresses: &addresses,
        checksum_form: advert.checksum_form,
    };
    let mut frame = vec![0; again.frame_len()];
    let packet_at = frame.len() - again.packet_len();
    if expect.destination.is_multicast() {
        again.emit_frame(advert.source_mac, advert.source, expect.destination, 1, &mut frame);
    } else {
        frame[6..12].copy_from_slice(&advert.source_mac);
        frame[12..14].copy_from_slice(if expect.family == Family::V4 { &[8, 0] } else { &[0x86, 0xdd] });
        again.emit_packet(advert.source, expect.destination, 255, 1, &mut frame[packet_at..]);
    }
    assert_eq!(judge(&frame, listener).as_ref(), Ok(advert), "{title}: what we print we can read back");
}

/// Without strictness nothing falls for its signature alone, and what falls otherwise falls at the same rung.
#[test]
fn b_59_who_is_not_strict_takes_and_tells() {
    let listeners = [Listener::Signed, Listener::SignedV2, Listener::Signed6];
    let (mut told, mut fell) = (0, 0);
    for case in cases().iter().filter(|case| listeners.contains(&case.listener)) {
        let authentication = ExpectAuth::Hmac { keys: &*signed::KEYS, is_strict: false };
        let expect = Expect { authentication, ..expect(case.listener) };
        let verdict = open(&case.frame).and_then(|envelope| check(&envelope, &expect));
        match case.falls_at {
            Some(rung @ (Rung::HmacMissing | Rung::HmacKey | Rung::HmacInvalid)) => {
                let advert = verdict.unwrap_or_else(|rung| panic!("{}: {rung:?}", title(case)));
                assert_eq!((advert.signature, advert.hmac_fault), (None, Some(rung)), "{}", title(case));
                told += 1;
            }
            other => {
                assert_eq!(verdict.err(), other, "{}", title(case));
                fell += u32::from(other.is_some());
            }
        }
    }
    assert!(told > 10 && fell > 5, "{told} told and {fell} fell: the catalogue has lost its signed ones");
}

/// B-59: the two that the wire cannot see by itself.
#[test]
fn b_59_stale_and_replayed_can_be_told() {
    let frame = frame::Frame::new([frame::hex(catalogue::G5), frame::hex(signed::TRAILER)].concat()).bytes();
    let signature = judge(&frame, Listener::Signed).expect("the vector").signature.expect("signed");
    assert_eq!(signature.seconds_from(1_700_000_003), 3, "PKT-50: the window is measured from this");
    assert!(!signature.is_after(signature.sequence), "PKT-50: the same one again");
    assert!(signature.is_after(signature.sequence - 1), "PKT-50: the first time");
}
