//! The HMAC trailer (PKT-50, PKT-51): what is accepted, and what is sent.

use crate::router::{Router, advert_of, instance};
use crate::{LAN, OTHER, SECOND, dropped, start};
use std::net::IpAddr;
use vipd::model::status::InstanceState::{Active, Backup};
use vipd::model::{AntiReplay, Authentication, Family, Hmac, HmacKey, HmacMode, Instance};
use vipd::time::Duration;
use vipd::wire::vrrp::{self, AdvertOut, AuthOut, ChecksumForm, Signer};

fn signed(mode: HmacMode, anti_replay: AntiReplay) -> Instance {
    let key = HmacKey { id: 1, secret: (0..32).collect() };
    let hmac = Hmac { keys: vec![key], active: 0, window: None, anti_replay, mode };
    Instance { authentication: Authentication::Hmac(Box::new(hmac)), ..instance("eth0", 1) }
}

fn signed_advert(of: &Instance, number: u8, seconds: u32, counter: u16) -> Vec<u8> {
    let Authentication::Hmac(hmac) = &of.authentication else { panic!("not signed") };
    let addresses: Vec<IpAddr> = of.addresses.iter().map(|a| a.cidr.address).collect();
    let advert = AdvertOut {
        version: of.version,
        family: Family::V4,
        vrid: of.vrid.get(),
        priority: number,
        interval: of.advert_interval,
        auth: AuthOut::Hmac(Signer { key: &hmac.keys[0], seconds, subseconds: 0, counter }),
        addresses: &addresses,
        checksum_form: ChecksumForm::PseudoHeader,
    };
    let mut bytes = vec![0; advert.frame_len()];
    advert.emit_frame([2, 0, 0, 0, 0, 1], OTHER.into(), vrrp::GROUP.into(), 1, &mut bytes);
    bytes
}

const NOW: u32 = 1_700_000_000;

fn signing(mode: HmacMode, anti_replay: AntiReplay) -> (Router, Instance) {
    let wanted = signed(mode, anti_replay);
    let mut r = start(&wanted);
    assert!(r.engine.wants_clock());
    r.engine.set_unix_time(Duration::from_secs(u64::from(NOW)));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), Active);
    (r, wanted)
}

#[test]
fn pkt_50_unsigned_stale_and_replayed_adverts_are_dropped() {
    let (mut r, wanted) = signing(HmacMode::Enforce, AntiReplay::Time);
    let plain = Instance { authentication: Authentication::None, ..wanted.clone() };
    r.hear(LAN, &advert_of(&plain, OTHER, 200));
    assert_eq!((r.state(0), dropped(&r, "hmac_missing")), (Active, 1));
    r.hear(LAN, &signed_advert(&wanted, 200, NOW - 6, 0));
    assert_eq!((r.state(0), dropped(&r, "hmac_stale")), (Active, 1), "older than 5 s");
    r.hear(LAN, &signed_advert(&wanted, 50, NOW, 7));
    assert_eq!(r.status(0).counters.signed_received, 1);
    r.hear(LAN, &signed_advert(&wanted, 200, NOW, 7));
    assert_eq!((r.state(0), dropped(&r, "hmac_replay")), (Active, 1), "SEC-3");
    r.hear(LAN, &signed_advert(&wanted, 200, NOW, 8));
    assert_eq!(r.state(0), Backup);
}

#[test]
fn pkt_50_a_sender_whose_clock_was_set_back_is_heard_again() {
    let (mut r, wanted) = signing(HmacMode::Enforce, AntiReplay::Time);
    r.hear(LAN, &signed_advert(&wanted, 50, NOW + 5, 0));
    r.engine.set_unix_time(Duration::from_secs(u64::from(NOW) - 3600));
    r.hear(LAN, &signed_advert(&wanted, 200, NOW - 3600, 0));
    assert_eq!(r.state(0), Backup, "both clocks were put right by an hour");
}

#[test]
fn pkt_50_without_clocks_growing_numbers_are_enough() {
    let (mut r, wanted) = signing(HmacMode::Enforce, AntiReplay::Monotonic);
    r.hear(LAN, &signed_advert(&wanted, 50, 1000, 0));
    r.hear(LAN, &signed_advert(&wanted, 200, 999, 0));
    assert_eq!((r.state(0), dropped(&r, "hmac_replay")), (Active, 1));
    r.hear(LAN, &signed_advert(&wanted, 200, 1001, 0));
    assert_eq!(r.state(0), Backup);
}

#[test]
fn pkt_51_a_group_moves_over_in_steps() {
    for (mode, len) in [(HmacMode::Permissive, 28), (HmacMode::ReceiveOnly, 0)] {
        let (mut r, wanted) = signing(mode, AntiReplay::Time);
        let advert = r.sent.iter().find(|s| s.priority().is_some()).unwrap();
        assert_eq!(advert.bytes.len(), 14 + 20 + 20 + len, "{mode:?}");
        let mut forged = signed_advert(&wanted, 200, NOW, 0);
        *forged.last_mut().unwrap() ^= 1;
        r.hear(LAN, &forged);
        assert_eq!(
            (r.state(0), dropped(&r, "hmac_invalid")),
            (Active, 1),
            "{mode:?}: a bad one never counts"
        );
        let plain = Instance { authentication: Authentication::None, ..wanted };
        r.hear(LAN, &advert_of(&plain, OTHER, 200));
        assert_eq!(r.state(0), Backup, "{mode:?}: the others do not sign yet");
        assert_eq!(r.status(0).counters.unsigned_accepted, 1);
    }
}

#[test]
fn what_we_sign_grows_though_the_clock_stands_still() {
    let (r, _) = signing(HmacMode::Enforce, AntiReplay::Time);
    let numbers: Vec<u64> = r
        .sent
        .iter()
        .filter(|s| s.priority().is_some())
        .map(|s| u64::from_be_bytes(s.bytes[s.bytes.len() - 24..s.bytes.len() - 16].try_into().unwrap()))
        .collect();
    assert!(numbers.len() > 3 && numbers.is_sorted_by(|a, b| a < b), "{numbers:x?}");
}
