//! Two vipd over IPv6, and a host that uses their address.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::host::{neighbour, serve_letters, set, who_answers};
use netns::{Advert, Lan, Node, Vipd, eventually, lan6};
use std::thread::sleep;
use std::time::{Duration, Instant};

const VIP: &str = "fd09::100";
const LINK_LOCAL: &str = "fe80::100";
const SOON: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(100);

/// VRID 51 at 100 ms.
fn config(priority: u8, extra: &str) -> String {
    format!(
        "[[vrrp]]\nname = \"VI_6\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = {priority}\n\
         advert_interval = \"100ms\"\nlease = \"2s\"\n\
         addresses = [\"fe80::100/64\", \"fd09::100/64\"]\n{extra}\n"
    )
}

/// Router a Active with priority 200, router b Backup with 100.
fn pair(lan: &Lan) -> (Vipd, Vipd) {
    let start = Instant::now();
    let b = Vipd::start(lan, &lan.b, &config(100, ""));
    let a = Vipd::start(lan, &lan.a, &config(200, ""));
    lan.capture.advert('a', 51, 200, start, SOON);
    settles_on(lan, &lan.a);
    (a, b)
}

/// Waits until the host's connections end at one router. The kernel hears questions for a new address only a
/// moment after it is there, and a host repeats them after a second.
#[track_caller]
fn host_reaches(lan: &Lan, node: &Node) {
    let what = format!("{} answers the host", node.letter);
    eventually(&what, SOON, || who_answers(lan, VIP) == Some(node.letter));
}

#[track_caller]
fn settles_on(lan: &Lan, node: &Node) {
    let other = if node.letter == 'a' { &lan.b } else { &lan.a };
    let what = format!("only {} carries both addresses", node.letter);
    eventually(&what, SOON, || [VIP, LINK_LOCAL].iter().all(|vip| node.has(vip) && !other.has(vip)));
}

/// What carries an advert: PKT-20, PKT-22, and RX-5's link-local source.
#[test]
fn adverts_come_from_the_link_local_address() {
    let Some(lan) = lan6() else { return };
    let start = Instant::now();
    let (_a, _b) = pair(&lan);
    let (frame, advert) = lan.capture.wait("an advert", start, SOON, |f| f.advert());
    assert_eq!(advert.source, lan.a.link_local());
    assert_eq!(advert.group.to_string(), "ff02::12");
    assert_eq!((advert.ttl, advert.tos, advert.interval), (255, 0xc0, 10));
    assert_eq!(frame.bytes[..6], [0x33, 0x33, 0, 0, 0, 0x12]);
    assert!(advert.checksum_good && advert.pseudo_header, "{advert:?}");
    let listed: Vec<String> = advert.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(listed, [LINK_LOCAL, VIP], "PKT-13: link-local first");
    for node in [&lan.a, &lan.b] {
        let groups = node.ip("maddr show dev eth0");
        assert!(groups.contains("inet6 ff02::12"), "SOCK-22: for switches that snoop MLD:\n{groups}");
    }
}

/// ARP-30: what tells the hosts.
#[test]
fn neighbour_advertisements_are_the_protocols() {
    let Some(lan) = lan6() else { return };
    set(&lan.a, "net/ipv6/conf/eth0/forwarding", "1");
    let start = Instant::now();
    let (_a, _b) = pair(&lan);
    for vip in [VIP, LINK_LOCAL] {
        let at = lan.capture.garp('a', vip, start, SOON);
        let frames =
            lan.capture.since(at, |f| f.garp().filter(|g| g.address.to_string() == vip).map(|_| f.clone()));
        let bytes = &frames[0].bytes;
        assert_eq!(bytes[..6], [0x33, 0x33, 0, 0, 0, 1], "to all nodes");
        assert_eq!(bytes[21], 255, "hop limit");
        assert_eq!(bytes[22..38], netns::octets(vip.parse().unwrap()), "from the address itself");
        assert_eq!(bytes[58] & 0xe0, 0xa0, "ARP-30, ARP-33: R where it forwards, no S, O");
        assert!(frames.iter().all(|f| f.garp().is_some_and(|g| g.mac == lan.a.mac)));
    }
}

/// The host's connections go to the Active, before and after its box dies, and when it returns.
#[test]
fn host_reaches_the_active_through_a_failover() {
    let Some(lan) = lan6() else { return };
    serve_letters(&lan);
    let (mut a, mut b) = pair(&lan);
    host_reaches(&lan, &lan.a);
    lan.partition(&lan.a, true);
    let killed = a.kill_all();
    let (taken, _) = lan.capture.advert('b', 51, 100, killed, SOON);
    assert!(taken - killed < Duration::from_millis(361 + 150), "took {:?}", taken - killed);
    lan.capture.garp('b', VIP, killed, SOON);
    host_reaches(&lan, &lan.b);
    eventually("law 3: the lease takes it from a", SOON, || !lan.a.has(VIP) && !lan.a.has(LINK_LOCAL));
    lan.partition(&lan.a, false);
    let back = Instant::now();
    let mut a = Vipd::start(&lan, &lan.a, &config(200, ""));
    lan.capture.garp('a', VIP, back, SOON);
    settles_on(&lan, &lan.a);
    host_reaches(&lan, &lan.a);
    let stop = Instant::now();
    assert_eq!(a.terminate(SOON), Some(0));
    let (resigned, _) = lan.capture.advert('a', 51, 0, stop, SOON);
    let (taken, _) = lan.capture.advert('b', 51, 100, resigned, SOON);
    assert!(taken - resigned < Duration::from_millis(61 + 150), "FSM-14: took {:?}", taken - resigned);
    assert!(!lan.a.has(VIP) && !lan.a.has(LINK_LOCAL));
    host_reaches(&lan, &lan.b);
    assert_eq!(b.terminate(SOON), Some(0));
    assert!(!lan.b.has(VIP) && lan.b.has(&lan.b.link_local().to_string()), "nothing else goes");
}

/// ARP-35: duplicate detection would keep the address unusable for a second or more after each takeover, and
/// for ever where the old Active is half dead and answers.
#[test]
fn addresses_are_usable_at_once() {
    let Some(lan) = lan6() else { return };
    set(&lan.b, "net/ipv6/conf/eth0/accept_dad", "1");
    set(&lan.b, "net/ipv6/conf/eth0/dad_transmits", "5");
    serve_letters(&lan);
    let (mut a, _b) = pair(&lan);
    // Its address stays for the rest of its lease, and its kernel would defend it.
    let killed = a.kill_all();
    lan.capture.garp('b', VIP, killed, SOON);
    let shown = lan.b.ip("-6 -o addr show dev eth0");
    let line = shown.lines().find(|l| l.contains("fd09::100/")).unwrap_or("");
    assert!(!line.contains("tentative") && !line.contains("dadfailed") && line.contains("nodad"), "{line}");
    eventually("a's lease is over", SOON, || !lan.a.has(VIP));
    host_reaches(&lan, &lan.b);
}

/// ARP-35: a /128 is no source address for what the router itself sends; others are.
#[test]
fn host_addresses_are_deprecated() {
    let Some(lan) = lan6() else { return };
    let more = config(200, "").replace("\"fd09::100/64\"", "\"fd09::100/64\", \"fd09::200/128\"");
    let _a = Vipd::start(&lan, &lan.a, &more);
    eventually("a carries them", SOON, || lan.a.has(VIP) && lan.a.has("fd09::200"));
    for when in ["at once", "after the lease was renewed"] {
        let shown = lan.a.ip("-6 -o addr show dev eth0");
        let line = |vip: &str| shown.lines().find(|l| l.contains(vip)).unwrap_or("").to_string();
        assert!(line("fd09::200/").contains("deprecated"), "{when}: {}", line("fd09::200/"));
        assert!(!line("fd09::100/").contains("deprecated"), "{when}: {}", line("fd09::100/"));
        sleep(Duration::from_millis(2200));
    }
}

/// FSM-46: the sources differ, and the higher one stays.
#[test]
fn equal_priority_goes_to_the_higher_link_local_address() {
    let Some(lan) = lan6() else { return };
    lan.partition(&lan.b, true);
    let _a = Vipd::start(&lan, &lan.a, &config(100, ""));
    let _b = Vipd::start(&lan, &lan.b, &config(100, ""));
    eventually("both Active, apart", SOON, || lan.a.has(VIP) && lan.b.has(VIP));
    lan.partition(&lan.b, false);
    settles_on(&lan, &lan.b);
    let healed = Instant::now();
    sleep(6 * INTERVAL);
    assert!(lan.capture.advert_times('a', 51, healed).is_empty(), "FSM-20, FSM-46");
}

/// One VRID is one virtual router per family (RFC 9568 \u00a75.2.3).
#[test]
fn families_of_one_vrid_are_independent() {
    let Some(lan) = lan6() else { return };
    let four = |priority: u8| {
        config(priority, "")
            .replace("VI_6", "VI_4")
            .replace("\"fe80::100/64\", \"fd09::100/64\"", "\"10.9.0.100/24\"")
    };
    let a = Vipd::start(&lan, &lan.a, &(config(100, "") + &four(200)));
    let b = Vipd::start(&lan, &lan.b, &(config(200, "") + &four(100)));
    eventually("one each", SOON, || {
        lan.a.has("10.9.0.100") && !lan.a.has(VIP) && lan.b.has(VIP) && !lan.b.has("10.9.0.100")
    });
    let (code, screen, _) = a.client(&["status"]);
    assert_eq!(code, Some(0), "healthy:\n{screen}");
    drop(b);
    eventually("a carries both", SOON, || lan.a.has("10.9.0.100") && lan.a.has(VIP));
}

/// Law 2: a unicast advert or one of a higher priority with a hop limit below 255 changes nothing.
#[test]
fn strangers_do_not_take_over() {
    let Some(lan) = lan6() else { return };
    let (a, _b) = pair(&lan);
    let start = Instant::now();
    let good = Advert {
        source: lan.c.link_local().into(),
        group: "ff02::12".parse().unwrap(),
        addresses: vec![LINK_LOCAL.parse().unwrap(), VIP.parse().unwrap()],
        ..Advert::new(3, 51, 254, 10, "10.9.0.100")
    };
    let bad = [
        Advert { ttl: 64, ..good.clone() },
        Advert { checksum_good: false, ..good.clone() },
        Advert { source: "fd09::3".parse().unwrap(), ..good.clone() },
        Advert { interval: 0, ..good.clone() },
    ];
    let frames: Vec<Vec<u8>> = bad.iter().map(Advert::frame).collect();
    lan.injector().flood(&frames, 200, Duration::from_secs(1));
    assert!(lan.a.has(VIP) && a.status().contains("\"state\":\"active\""), "law 2");
    let times = lan.capture.advert_times('a', 51, start);
    let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap();
    assert!(longest < 2 * INTERVAL, "law 2: spacing {longest:?}");
    // The bed can tell: the good one is believed.
    lan.injector().send(&good.frame());
    eventually("a yields", SOON, || !lan.a.has(VIP));
}

/// A host that heard the announcements needs no question: its entry changes by them alone.
#[test]
fn neighbour_entry_follows_the_announcement() {
    let Some(lan) = lan6() else { return };
    serve_letters(&lan);
    let (mut a, _b) = pair(&lan);
    host_reaches(&lan, &lan.a);
    assert_eq!(neighbour(&lan, VIP).as_deref(), Some("02:00:00:00:00:01"));
    let killed = a.kill_all();
    lan.capture.garp('b', VIP, killed, SOON);
    eventually("the entry is b's", SOON, || neighbour(&lan, VIP).as_deref() == Some("02:00:00:00:00:02"));
}
