//! Debian's keepalived as the other router, both ways round, on the host's kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Daemon, Keepalived, Lan, Node, Vipd, eventually, lan_with_keepalived};
use std::thread::sleep;
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
/// Longer than the start of a v2 router with its 3.6 s of listening.
const SOON: Duration = Duration::from_secs(9);

/// How the two speak.
#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    /// v2, 1 s.
    Plain,
    /// v2, 1 s, simple text.
    Pass(&'static str),
    /// v3, 100 ms.
    V3,
}

impl Dialect {
    fn interval(self) -> Duration {
        if self == Dialect::V3 { Duration::from_millis(100) } else { Duration::from_secs(1) }
    }

    /// RFC 3768 §6.1, RFC 9568 §6.1 (FSM-3): v2's does not scale with the interval; nor does it matter at 1
    /// s.
    fn skew(self, priority: u8) -> Duration {
        self.interval() * (256 - u32::from(priority)) / 256
    }
}

/// vipd's side of VRID 51 with VIP 10.9.0.100.
fn vipd(dialect: Dialect, priority: u8, extra: &str) -> String {
    let how = match dialect {
        Dialect::Plain => "version = 2\nadvert_interval = \"1s\"".to_string(),
        Dialect::Pass(word) => format!("version = 2\nadvert_interval = \"1s\"\nauth_pass = \"{word}\""),
        Dialect::V3 => "version = 3\nadvert_interval = \"100ms\"".to_string(),
    };
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\npriority = {priority}\n{how}\n\
         addresses = [\"10.9.0.100/24\"]\n{extra}\n"
    )
}

/// keepalived's side of the same.
fn keepalived(dialect: Dialect, priority: u8, extra: &str) -> String {
    let (version, interval, auth) = match dialect {
        Dialect::Plain => (2, "1", String::new()),
        Dialect::Pass(word) => {
            (2, "1", format!("authentication {{\n auth_type PASS\n auth_pass {word}\n }}"))
        }
        Dialect::V3 => (3, "0.1", String::new()),
    };
    format!(
        "global_defs {{\n router_id test\n vrrp_version {version}\n}}\n\
         vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority {priority}\n\
         advert_int {interval}\n {auth}\n {extra}\n virtual_ipaddress {{\n 10.9.0.100/24\n }}\n}}\n"
    )
}

/// One of the two, as the test does not care which.
enum Router {
    Vipd(Vipd),
    Keepalived(Keepalived),
}

impl Router {
    fn start(ours: bool, lan: &Lan, node: &Node, dialect: Dialect, priority: u8) -> Self {
        if ours {
            Router::Vipd(Vipd::start(lan, node, &vipd(dialect, priority, "")))
        } else {
            Router::Keepalived(Keepalived::start(lan, node, &keepalived(dialect, priority, "")))
        }
    }

    fn daemon(&mut self) -> &mut Daemon {
        match self {
            Router::Vipd(v) => v,
            Router::Keepalived(k) => k,
        }
    }
}

#[track_caller]
fn settles_on(lan: &Lan, node: &Node) {
    let other = if node.letter == 'a' { &lan.b } else { &lan.a };
    let what = format!("only {} carries the VIP", node.letter);
    eventually(&what, SOON, || node.has(VIP) && !other.has(VIP));
}

/// Elections without an address, for the sake of scripts alone: each silences the other by adverts that
/// list none.
fn without_addresses(ours_is_a: bool) {
    let Some(lan) = lan_with_keepalived() else { return };
    let start = |ours: bool, node: &Node, priority| {
        if ours {
            let with = vipd(Dialect::Plain, priority, "");
            let text = with.replace("addresses = [\"10.9.0.100/24\"]", "no_addresses = true");
            Router::Vipd(Vipd::start(&lan, node, &text))
        } else {
            let with = keepalived(Dialect::Plain, priority, "");
            let text = with.replace(" virtual_ipaddress {\n 10.9.0.100/24\n }\n", "");
            Router::Keepalived(Keepalived::start(&lan, node, &text))
        }
    };
    let begin = Instant::now();
    let mut a = start(ours_is_a, &lan.a, 200);
    let (first, _) = lan.capture.advert('a', 51, 200, begin, SOON);
    let _b = start(!ours_is_a, &lan.b, 100);
    sleep(Duration::from_secs(6));
    assert!(lan.capture.advert_times('b', 51, first).is_empty(), "PKT-14: b hears a and is silent");
    let stop = Instant::now();
    a.daemon().terminate(SOON);
    let (resigned, _) = lan.capture.advert('a', 51, 0, stop, SOON);
    let (taken, _) = lan.capture.advert('b', 51, 100, resigned, SOON);
    assert!(taken - resigned < Duration::from_secs(1), "FSM-14: took {:?}", taken - resigned);
    assert!(!lan.a.has(VIP) && !lan.b.has(VIP));
}

/// a has priority 200, b 100: election, resignation, takeover within the skew time, preemption.
fn whole_life(ours_is_a: bool, dialect: Dialect) {
    let Some(lan) = lan_with_keepalived() else { return };
    let start = Instant::now();
    let mut a = Router::start(ours_is_a, &lan, &lan.a, dialect, 200);
    let mut b = Router::start(!ours_is_a, &lan, &lan.b, dialect, 100);
    let (first, advert) = lan.capture.advert('a', 51, 200, start, SOON);
    assert!(advert.checksum_good && advert.ttl == 255, "{advert:?}");
    settles_on(&lan, &lan.a);
    sleep(3 * dialect.interval());
    assert!(lan.capture.advert_times('b', 51, first).is_empty(), "b hears a and is silent");

    let stop = Instant::now();
    a.daemon().terminate(SOON);
    let (resigned, _) = lan.capture.advert('a', 51, 0, stop, SOON);
    let (taken, _) = lan.capture.advert('b', 51, 100, resigned, SOON);
    let (took, skew) = (taken - resigned, dialect.skew(100));
    assert!(took + Duration::from_millis(10) > skew, "FSM-14: skew is {skew:?}, took {took:?}");
    assert!(took < skew + Duration::from_millis(120), "FSM-14: skew is {skew:?}, took {took:?}");
    settles_on(&lan, &lan.b);

    let back = Instant::now();
    let mut a = Router::start(ours_is_a, &lan, &lan.a, dialect, 200);
    lan.capture.advert('a', 51, 200, back, SOON);
    lan.capture.garp('a', VIP, back, SOON);
    settles_on(&lan, &lan.a);

    // Killed outright: three adverts and skew.
    let killed = a.daemon().kill_all();
    let (taken, _) = lan.capture.advert('b', 51, 100, killed, SOON);
    let limit = 3 * dialect.interval() + skew + Duration::from_millis(150);
    assert!(taken - killed < limit, "limit {limit:?}, took {:?}", taken - killed);

    let end = Instant::now();
    b.daemon().terminate(SOON);
    lan.capture.advert('b', 51, 0, end, SOON);
}

#[test]
fn pkt_14_without_addresses_ours_above() {
    without_addresses(true);
}

#[test]
fn pkt_14_without_addresses_ours_below() {
    without_addresses(false);
}

#[test]
fn v2_ours_above() {
    whole_life(true, Dialect::Plain);
}

#[test]
fn v2_ours_below() {
    whole_life(false, Dialect::Plain);
}

#[test]
fn v2_pass_ours_above() {
    whole_life(true, Dialect::Pass("1111"));
}

#[test]
fn v2_pass_ours_below() {
    whole_life(false, Dialect::Pass("1111"));
}

#[test]
fn v3_ours_above() {
    whole_life(true, Dialect::V3);
}

#[test]
fn v3_ours_below() {
    whole_life(false, Dialect::V3);
}

/// PKT-4: the field cuts at 8 bytes, and so do both daemons.
#[test]
fn pass_of_full_length_is_the_same_to_both() {
    let Some(lan) = lan_with_keepalived() else { return };
    let _a = Router::start(false, &lan, &lan.a, Dialect::Pass("12345678"), 200);
    settles_on(&lan, &lan.a);
    let start = Instant::now();
    let b = Vipd::start(&lan, &lan.b, &vipd(Dialect::Pass("12345678"), 100, ""));
    sleep(Duration::from_millis(4500));
    assert!(lan.capture.advert_times('b', 51, start).is_empty(), "accepted as authentic");
    assert!(b.status().contains("\"state\":\"backup\""));
}

/// The tie-break of FSM-20 by address, both ways round.
fn tie(ours_is_a: bool) {
    let Some(lan) = lan_with_keepalived() else { return };
    lan.partition(&lan.b, true);
    let _a = Router::start(ours_is_a, &lan, &lan.a, Dialect::V3, 100);
    let _b = Router::start(!ours_is_a, &lan, &lan.b, Dialect::V3, 100);
    eventually("both Active, apart", SOON, || lan.a.has(VIP) && lan.b.has(VIP));
    lan.partition(&lan.b, false);
    settles_on(&lan, &lan.b);
    let healed = Instant::now();
    sleep(Duration::from_millis(600));
    assert!(lan.capture.advert_times('a', 51, healed).is_empty(), "10.9.0.2 beats 10.9.0.1");
}

#[test]
fn tie_is_won_by_the_higher_address_ours() {
    tie(false);
}

#[test]
fn tie_is_won_by_the_higher_address_theirs() {
    tie(true);
}

#[test]
fn no_preemption_over_a_live_keepalived() {
    let Some(lan) = lan_with_keepalived() else { return };
    let _b = Router::start(false, &lan, &lan.b, Dialect::V3, 100);
    settles_on(&lan, &lan.b);
    let start = Instant::now();
    let _a = Vipd::start(&lan, &lan.a, &vipd(Dialect::V3, 200, "preempt = false"));
    sleep(Duration::from_millis(800));
    assert!(lan.capture.advert_times('a', 51, start).is_empty());
    settles_on(&lan, &lan.b);
}

#[test]
fn keepalived_with_nopreempt_stays_below() {
    let Some(lan) = lan_with_keepalived() else { return };
    let _b = Router::start(true, &lan, &lan.b, Dialect::V3, 100);
    settles_on(&lan, &lan.b);
    let start = Instant::now();
    let _a = Keepalived::start(&lan, &lan.a, &keepalived(Dialect::V3, 200, "nopreempt"));
    sleep(Duration::from_millis(1500));
    assert!(lan.capture.advert_times('a', 51, start).is_empty(), "our adverts hold it down");
    settles_on(&lan, &lan.b);
}

/// Two that cannot understand each other are both Active; the screen says whose fault it may be.
fn misunderstanding(ours: &str, theirs: &str, words: &[&str], rung: &str) {
    let Some(lan) = lan_with_keepalived() else { return };
    let a = Vipd::start(&lan, &lan.a, ours);
    let _b = Keepalived::start(&lan, &lan.b, theirs);
    eventually("both Active", SOON, || lan.a.has(VIP) && lan.b.has(VIP));
    eventually("the peer is named", SOON, || a.status().contains("10.9.0.2"));
    let status = a.status();
    assert!(status.contains(rung), "a counter for {rung}: {status}");
    let (code, screen, _) = a.client(&["status"]);
    for word in words {
        assert!(screen.to_lowercase().contains(word), "{word:?} is not on the screen:\n{screen}");
    }
    assert_eq!(code, Some(1), "degraded:\n{screen}");
}

#[test]
fn wrong_password_is_named() {
    let (ours, theirs) = (Dialect::Pass("1111"), Dialect::Pass("2222"));
    misunderstanding(&vipd(ours, 200, ""), &keepalived(theirs, 100, ""), &["10.9.0.2", "auth"], "auth");
}

#[test]
fn missing_password_is_named() {
    let (ours, theirs) = (Dialect::Pass("1111"), Dialect::Plain);
    misunderstanding(&vipd(ours, 200, ""), &keepalived(theirs, 100, ""), &["10.9.0.2", "auth"], "auth");
}

#[test]
fn other_v2_interval_is_named() {
    let theirs = keepalived(Dialect::Plain, 100, "").replace("advert_int 1", "advert_int 2");
    misunderstanding(&vipd(Dialect::Plain, 200, ""), &theirs, &["10.9.0.2", "interval"], "interval");
}

#[test]
fn other_version_is_named() {
    let (ours, theirs) = (Dialect::V3, Dialect::Plain);
    misunderstanding(&vipd(ours, 200, ""), &keepalived(theirs, 100, ""), &["10.9.0.2", "version"], "version");
}

/// RX-17: a v3 Backup learns the Active's interval, and does not fire after three of its own.
#[test]
fn other_v3_interval_is_learned() {
    let Some(lan) = lan_with_keepalived() else { return };
    let slow = keepalived(Dialect::V3, 200, "").replace("advert_int 0.1", "advert_int 0.7");
    let _a = Keepalived::start(&lan, &lan.a, &slow);
    settles_on(&lan, &lan.a);
    let heard = lan.capture.advert('a', 51, 200, Instant::now(), SOON).0;
    let b = Vipd::start(&lan, &lan.b, &vipd(Dialect::V3, 100, ""));
    // The first advert may come after b's own first 361 ms; from the one after that on, b is silent.
    let first = lan.capture.advert('a', 51, 200, heard + Duration::from_millis(400), SOON).0;
    sleep(Duration::from_millis(2500));
    assert!(lan.capture.advert_times('b', 51, first + Duration::from_millis(100)).is_empty());
    assert!(b.status().contains("\"state\":\"backup\""));
}

/// The bed itself, without us: what it says of keepalived is known to be true.
#[test]
fn bed_sees_what_two_keepalived_do() {
    let Some(lan) = lan_with_keepalived() else { return };
    let start = Instant::now();
    let mut a = Router::start(false, &lan, &lan.a, Dialect::V3, 200);
    let _b = Router::start(false, &lan, &lan.b, Dialect::V3, 100);
    let (_, advert) = lan.capture.advert('a', 51, 200, start, SOON);
    assert_eq!(advert.interval, 10, "centiseconds");
    assert!(advert.checksum_good && advert.pseudo_header, "keepalived sends the pseudo-header form");
    lan.capture.garp('a', VIP, start, SOON);
    settles_on(&lan, &lan.a);
    let stop = Instant::now();
    a.daemon().terminate(SOON);
    let (resigned, _) = lan.capture.advert('a', 51, 0, stop, SOON);
    let (taken, _) = lan.capture.advert('b', 51, 100, resigned, SOON);
    assert!(taken - resigned < Duration::from_millis(160), "skew is 61 ms, took {:?}", taken - resigned);
}
