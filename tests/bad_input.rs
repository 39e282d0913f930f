//! Bad input (protocols §10.1): what must fall, at which rung, and that nothing else happens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "bad_input/catalogue.rs"]
mod catalogue;
#[path = "bad_input/frame.rs"]
mod frame;
#[path = "bad_input/mutate.rs"]
mod mutate;
#[path = "sim/random.rs"]
#[allow(dead_code, reason = "others use the rest of it")]
mod random;
#[path = "bad_input/router.rs"]
mod router;
#[path = "bad_input/storm.rs"]
mod storm;
#[path = "bad_input/whole.rs"]
mod whole;

use catalogue::{Case, Listener, cases};
use mutate::Mutator;
use std::net::IpAddr;
use vipd::time::Duration;
use vipd::wire::vrrp::{
    Advert, AdvertOut, AuthOut, Expect, ExpectAuth, Family, GROUP, Rung, Version, check, open,
};

const LISTENERS: [Listener; 4] = [Listener::Plain, Listener::Password, Listener::LongPassword, Listener::V3];

/// The rungs that such listeners can meet: without HMAC, and without the state that the engine keeps.
fn rungs() -> impl Iterator<Item = Rung> {
    const OTHERS: [Rung; 7] = [
        Rung::HmacMissing,
        Rung::HmacKey,
        Rung::HmacInvalid,
        Rung::HmacStale,
        Rung::HmacReplay,
        Rung::Peer,
        Rung::AddressList,
    ];
    Rung::ALL.into_iter().filter(|rung| !OTHERS.contains(rung))
}

fn expect(listener: Listener) -> Expect<'static> {
    let (version, vrid, authentication) = match listener {
        Listener::Plain => (Version::V2, 51, ExpectAuth::None),
        Listener::Password => (Version::V2, 11, ExpectAuth::Pass(*b"1111\0\0\0\0")),
        Listener::LongPassword => (Version::V2, 12, ExpectAuth::Pass(*b"12345678")),
        Listener::V3 => (Version::V3, 13, ExpectAuth::None),
    };
    Expect {
        version,
        family: Family::V4,
        vrid,
        destination: GROUP.into(),
        hops: (255, 255),
        authentication,
        advert_interval: Duration::from_secs(1),
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
    for number in (1..=60).filter(|n| ![34, 53].contains(n)).chain([66, 67]) {
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
    let mut mutator = Mutator::new(seed);
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
    let again = AdvertOut {
        version: expect.version,
        family: expect.family,
        vrid: expect.vrid,
        priority: advert.priority,
        interval: advert.interval,
        auth: match expect.authentication {
            ExpectAuth::None | ExpectAuth::Hmac { .. } => AuthOut::None,
            ExpectAuth::Pass(password) => AuthOut::Pass(password),
        },
        addresses: &addresses,
        checksum_form: advert.checksum_form,
    };
    let mut frame = vec![0; again.frame_len()];
    again.emit_frame(advert.source_mac, advert.source, expect.destination, 1, &mut frame);
    assert_eq!(judge(&frame, listener).as_ref(), Ok(advert), "{title}: what we print we can read back");
}
