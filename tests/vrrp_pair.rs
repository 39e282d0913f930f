//! Two vipd on the host's kernel: who carries the VIP, who says so, and how fast that changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Advert, Lan, Node, Vipd, eventually, lan};
use std::thread::sleep;
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
const SOON: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(100);
/// Three intervals and the longest skew of a 100 ms instance of priority 100, and some for a busy machine.
const TAKEOVER: Duration = Duration::from_millis(361 + 150);
const LEASE: Duration = Duration::from_secs(2);

/// VRID 51 at 100 ms with VIP 10.9.0.100 and a lease of 2 s.
fn config(priority: u8, extra: &str) -> String {
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = {priority}\n\
         advert_interval = \"100ms\"\nlease = \"2s\"\naddresses = [\"10.9.0.100/24\"]\n{extra}\n"
    )
}

/// Router a Active with priority 200, router b Backup with 100.
fn pair(lan: &Lan) -> (Vipd, Vipd) {
    let start = Instant::now();
    let b = Vipd::start(lan, &lan.b, &config(100, ""));
    let a = Vipd::start(lan, &lan.a, &config(200, ""));
    lan.capture.advert('a', 51, 200, start, SOON);
    eventually("a carries the VIP", SOON, || lan.a.has(VIP));
    eventually("b does not", SOON, || !lan.b.has(VIP));
    (a, b)
}

/// Waits until exactly `node` carries the VIP.
#[track_caller]
fn settles_on(lan: &Lan, node: &Node, timeout: Duration) {
    let other = if node.letter == 'a' { &lan.b } else { &lan.a };
    let what = format!("only {} carries the VIP", node.letter);
    eventually(&what, timeout, || node.has(VIP) && !other.has(VIP));
}

/// After this, a router that wrongly thinks itself Active has sent several adverts.
fn a_while() {
    sleep(6 * INTERVAL);
}

#[test]
fn higher_priority_is_active_and_announces() {
    let Some(lan) = lan() else { return };
    let start = Instant::now();
    let (a, b) = pair(&lan);
    assert_eq!(lan.holder(VIP).map(|n| n.letter), Some('a'), "law 3: on exactly the Active");
    let first = lan.capture.garp('a', VIP, start, SOON);
    eventually("ARP-40: five gratuitous ARPs", SOON, || lan.capture.garp_times('a', VIP, first).len() >= 5);
    let garps = lan.capture.since(first, |f| f.garp().filter(|_| f.from == 'a'));
    assert_eq!(garps.len(), 5, "ARP-40: five in the first burst");
    assert!(garps.iter().all(|g| g.request && g.mac == lan.a.mac), "ARP-1: {garps:?}");
    a_while();
    let spoken = lan.capture.advert_times('b', 51, first);
    assert!(spoken.is_empty(), "FSM-15: a Backup that hears the Active is silent, sent {}", spoken.len());
    let status = a.status();
    assert!(status.contains("\"state\":\"active\""), "{status}");
    assert!(b.status().contains("\"state\":\"backup\""), "{}", b.status());
}

#[test]
fn adverts_are_the_golden_vectors() {
    let Some(lan) = lan() else { return };
    lan.a.ip("addr flush dev eth0");
    lan.a.ip("addr add 192.0.2.1/24 dev eth0");
    let instance = |name: &str, vrid: u8, rest: &str| {
        format!("[[vrrp]]\nname = \"{name}\"\ninterface = \"eth0\"\nvrid = {vrid}\npriority = 100\n{rest}\n")
    };
    let start = Instant::now();
    let mut a = Vipd::start(
        &lan,
        &lan.a,
        &[
            instance("G1", 51, "addresses = [\"192.0.2.100/24\"]"),
            instance("G2", 11, "auth_pass = \"1111\"\naddresses = [\"192.0.2.101/24\", \"192.0.2.111/24\"]"),
            instance("G5", 13, "version = 3\naddresses = [\"192.0.2.103/24\"]"),
        ]
        .concat(),
    );
    let golden = [
        (51, 100, "213364010001b865c00002640000000000000000"),
        (11, 100, "210b6402010192b9c0000265c000026f3131313100000000"),
        (13, 100, "310d640100640595c0000267"),
    ];
    for (vrid, priority, hex) in golden {
        let bytes = on_the_wire(&lan, vrid, priority, start);
        assert_eq!(bytes, hex.replace(' ', ""), "golden vector of VRID {vrid}");
    }
    let stop = Instant::now();
    assert_eq!(a.terminate(SOON), Some(0));
    assert_eq!(on_the_wire(&lan, 51, 0, stop), "2133000100011c66c00002640000000000000000", "G3");
}

/// Waits for an advert and checks what carries it (PKT-20, PKT-22, G11); gives its message in hex.
#[track_caller]
fn on_the_wire(lan: &Lan, vrid: u8, priority: u8, since: Instant) -> String {
    let (frame, advert) = lan.capture.wait(&format!("VRID {vrid} priority {priority}"), since, SOON, |f| {
        f.advert().filter(|a| a.vrid == vrid && a.priority == priority)
    });
    assert_eq!((advert.ttl, advert.tos, advert.source_mac), (255, 0xc0, lan.a.mac));
    assert_eq!(frame.bytes[..6], [1, 0, 0x5e, 0, 0, 0x12]);
    frame.bytes[34..].iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn sigterm_resigns_and_the_backup_takes_over_within_skew() {
    let Some(lan) = lan() else { return };
    let (mut a, _b) = pair(&lan);
    let stop = Instant::now();
    assert_eq!(a.terminate(SOON), Some(0), "a clean end");
    let (resigned, _) = lan.capture.advert('a', 51, 0, stop, SOON);
    let (taken, _) = lan.capture.advert('b', 51, 100, resigned, SOON);
    let took = taken - resigned;
    assert!(took > Duration::from_millis(50), "FSM-14: not before the skew time of 61 ms, took {took:?}");
    assert!(took < Duration::from_millis(61 + 100), "FSM-14: within the skew time of 61 ms, took {took:?}");
    assert!(!lan.a.has(VIP), "a clean end takes the VIP away");
    settles_on(&lan, &lan.b, SOON);
    assert!(lan.capture.advert_times('a', 51, taken).is_empty(), "silent after the resignation");
}

#[test]
fn sigkill_is_taken_over_and_the_lease_ends() {
    let Some(lan) = lan() else { return };
    let (mut a, _b) = pair(&lan);
    let killed = a.kill_all();
    let (taken, _) = lan.capture.advert('b', 51, 100, killed, SOON);
    assert!(taken - killed < TAKEOVER, "three adverts and skew, took {:?}", taken - killed);
    lan.capture.garp('b', VIP, taken, SOON);
    let left = LEASE + Duration::from_millis(1200);
    eventually("law 3: the dead router's VIP is gone", left, || !lan.a.has(VIP));
    settles_on(&lan, &lan.b, SOON);
}

#[test]
fn frozen_active_loses_the_vip_and_comes_back_in_order() {
    let Some(lan) = lan() else { return };
    let (a, _b) = pair(&lan);
    let frozen = Instant::now();
    a.signal(libc::SIGSTOP);
    let (taken, _) = lan.capture.advert('b', 51, 100, frozen, SOON);
    assert!(taken - frozen < TAKEOVER, "took {:?}", taken - frozen);
    eventually("law 3: the frozen router's VIP is gone", LEASE + Duration::from_secs(2), || !lan.a.has(VIP));
    let thawed = Instant::now();
    a.signal(libc::SIGCONT);
    // Priority 200 against 100: a takes the VIP back, and in the end exactly one has it.
    let (back, _) = lan.capture.advert('a', 51, 200, thawed, SOON);
    settles_on(&lan, &lan.a, SOON);
    lan.capture.garp('a', VIP, back, SOON);
    a_while();
    assert_eq!(lan.holder(VIP).map(|n| n.letter), Some('a'));
}

/// B-69, FSM-42: both its timer and a queue of good adverts are true when it wakes; the adverts must win.
#[test]
fn frozen_backup_hears_before_it_judges() {
    let Some(lan) = lan() else { return };
    let (_a, b) = pair(&lan);
    let frozen = Instant::now();
    b.signal(libc::SIGSTOP);
    sleep(10 * INTERVAL);
    b.signal(libc::SIGCONT);
    a_while();
    assert!(lan.capture.advert_times('b', 51, frozen).is_empty(), "a woken Backup must not declare itself");
    assert_eq!(lan.holder(VIP).map(|n| n.letter), Some('a'));
}

#[test]
fn link_down_is_a_fault_and_link_up_heals_it() {
    let Some(lan) = lan() else { return };
    let (a, _b) = pair(&lan);
    let down = Instant::now();
    lan.a.ip("link set eth0 down");
    lan.capture.advert('b', 51, 100, down, SOON);
    settles_on(&lan, &lan.b, SOON);
    eventually("status says Fault", SOON, || a.status().contains("\"state\":\"fault\""));
    let up = Instant::now();
    lan.a.ip("link set eth0 up");
    let (back, _) = lan.capture.advert('a', 51, 200, up, SOON);
    assert!(
        back - up > Duration::from_millis(300),
        "FSM-40: a full down interval first, was {:?}",
        back - up
    );
    settles_on(&lan, &lan.a, SOON);
}

#[test]
fn lost_carrier_is_a_fault_too() {
    let Some(lan) = lan() else { return };
    let (_a, _b) = pair(&lan);
    lan.carrier(&lan.a, false);
    settles_on(&lan, &lan.b, SOON);
    let up = Instant::now();
    lan.carrier(&lan.a, true);
    lan.capture.advert('a', 51, 200, up, SOON);
    settles_on(&lan, &lan.a, SOON);
}

#[test]
fn removed_vip_comes_back_and_is_counted() {
    let Some(lan) = lan() else { return };
    let (a, _b) = pair(&lan);
    for times in 1..=3 {
        let removed = Instant::now();
        lan.a.ip(&format!("addr del {VIP}/24 dev eth0"));
        eventually("law 3: back within one advert interval", INTERVAL + Duration::from_millis(100), || {
            lan.a.has(VIP)
        });
        lan.capture.garp('a', VIP, removed, SOON);
        eventually("counted", SOON, || a.status().contains(&format!("\"put_back\":{times}")));
    }
    let (_, text, _) = a.client(&["status"]);
    assert!(text.contains("put back"), "the screen tells it:\n{text}");
}

#[test]
fn removed_interface_address_is_a_fault() {
    let Some(lan) = lan() else { return };
    let (_a, _b) = pair(&lan);
    lan.a.ip("addr flush dev eth0");
    settles_on(&lan, &lan.b, SOON);
    let there = Instant::now();
    lan.a.ip("addr add 10.9.0.1/24 dev eth0");
    lan.capture.advert('a', 51, 200, there, SOON);
    settles_on(&lan, &lan.a, SOON);
}

/// Every address of an instance is on the box once, whatever an earlier run left there.
#[test]
fn stale_vip_is_removed_by_a_backup_and_adopted_by_an_active() {
    let Some(lan) = lan() else { return };
    let long = |priority: u8| config(priority, "preempt = false").replace("2s", "60s");
    let mut a = Vipd::start(&lan, &lan.a, &long(200));
    eventually("a carries the VIP", SOON, || lan.a.has(VIP));
    a.kill_all();
    assert!(lan.a.has(VIP), "the lease is long");
    // Alone on the LAN: adopted.
    let again = Instant::now();
    let mut a = Vipd::start(&lan, &lan.a, &long(200));
    lan.capture.garp('a', VIP, again, SOON);
    eventually("adopted", SOON, || lan.a.has(VIP));
    assert_eq!(lan.a.count("10.9.0.100/"), 1);
    // Another router has it meanwhile: removed.
    let killed = a.kill_all();
    let _b = Vipd::start(&lan, &lan.b, &long(100));
    lan.capture.advert('b', 51, 100, killed, SOON);
    eventually("b carries it", SOON, || lan.b.has(VIP));
    assert!(lan.a.has(VIP), "left by the kill");
    let again = Instant::now();
    let _a = Vipd::start(&lan, &lan.a, &long(200));
    eventually("the Backup removes what a dead run left", SOON, || !lan.a.has(VIP));
    a_while();
    assert!(lan.capture.advert_times('a', 51, again).is_empty(), "preempt = false");
    assert!(lan.a.has("10.9.0.1"), "the interface's own address stays");
}

#[test]
fn no_preemption_where_it_is_off() {
    let Some(lan) = lan() else { return };
    let _b = Vipd::start(&lan, &lan.b, &config(100, ""));
    eventually("b carries the VIP", SOON, || lan.b.has(VIP));
    let start = Instant::now();
    let a = Vipd::start(&lan, &lan.a, &config(200, "preempt = false"));
    eventually("a runs", SOON, || a.status().contains("\"state\":\"backup\""));
    a_while();
    assert!(lan.capture.advert_times('a', 51, start).is_empty(), "FSM-15");
    assert_eq!(lan.holder(VIP).map(|n| n.letter), Some('b'));
}

#[test]
fn equal_priority_goes_to_the_higher_address() {
    let Some(lan) = lan() else { return };
    lan.partition(&lan.b, true);
    let _a = Vipd::start(&lan, &lan.a, &config(100, ""));
    let _b = Vipd::start(&lan, &lan.b, &config(100, ""));
    eventually("both Active, apart", SOON, || lan.a.has(VIP) && lan.b.has(VIP));
    lan.partition(&lan.b, false);
    settles_on(&lan, &lan.b, SOON);
    let healed = Instant::now();
    a_while();
    assert!(lan.capture.advert_times('a', 51, healed).is_empty(), "FSM-20, FSM-30: 10.9.0.2 is higher");
}

#[test]
fn split_brain_heals_and_the_winner_announces_again() {
    let Some(lan) = lan() else { return };
    let (_a, _b) = pair(&lan);
    lan.partition(&lan.a, true);
    eventually("both Active, apart", SOON, || lan.a.has(VIP) && lan.b.has(VIP));
    // Past the first bursts, so that what is seen below is an answer to the healing.
    sleep(Duration::from_millis(300));
    let healed = Instant::now();
    lan.partition(&lan.a, false);
    settles_on(&lan, &lan.a, SOON);
    lan.capture.garp('a', VIP, healed, SOON);
}

/// FSM-21, FSM-33, SEC-9: an answer at once, and no storm.
#[test]
fn lower_priority_advert_is_answered_at_a_limited_rate() {
    let Some(lan) = lan() else { return };
    let slow = config(200, "").replace("100ms", "2s");
    let _a = Vipd::start(&lan, &lan.a, &slow);
    eventually("a carries the VIP", Duration::from_secs(10), || lan.a.has(VIP));
    sleep(Duration::from_millis(200));
    let heard = Instant::now();
    let lower = Advert::new(3, 51, 50, 200, VIP).frame();
    let injector = lan.injector();
    injector.send(&lower);
    let (answered, _) = lan.capture.advert('a', 51, 200, heard, SOON);
    assert!(answered - heard < Duration::from_millis(100), "took {:?}", answered - heard);
    injector.flood(&[lower], 500, Duration::from_secs(1));
    let answers = lan.capture.advert_times('a', 51, answered).len();
    assert!(answers <= 15, "{answers} adverts in a second for 500 lower ones");
}

#[test]
fn reload_keeps_the_vip_and_refuses_nonsense() {
    let Some(lan) = lan() else { return };
    let (a, _b) = pair(&lan);
    let before = Instant::now();
    a.write_config(&config(200, "").replace("vrid = 51", "vird = 51"));
    let (code, _, error) = a.client(&["reload"]);
    assert_ne!(code, Some(0), "law 4: refused");
    assert!(error.contains(".toml:4:1") && error.contains("vrid"), "law 4: place and hint, not {error:?}");
    a.signal(libc::SIGHUP);
    a_while();
    assert!(a.status().contains("\"state\":\"active\""), "the running configuration is untouched");
    // One VIP more, without a change of state.
    let two = config(200, "").replace("\"10.9.0.100/24\"", "\"10.9.0.100/24\", \"10.9.0.101/24\"");
    a.write_config(&two);
    let (code, _, error) = a.client(&["reload"]);
    assert_eq!(code, Some(0), "{error}");
    lan.capture.garp('a', "10.9.0.101", before, SOON);
    eventually("the new VIP", SOON, || lan.a.has("10.9.0.101"));
    lan.capture.wait("an advert with both", before, SOON, |f| f.advert().filter(|a| a.addresses.len() == 2));
    // And one less, by the signal.
    a.write_config(&config(200, ""));
    a.signal(libc::SIGHUP);
    eventually("the old VIP goes", SOON, || !lan.a.has("10.9.0.101"));
    assert!(lan.a.has(VIP));
    assert!(lan.capture.advert_times('b', 51, before).is_empty(), "no takeover by all that");
    let gaps = spacing(&lan.capture.advert_times('a', 51, before));
    assert!(gaps < 2 * INTERVAL, "no advert is left out over a reload, longest gap {gaps:?}");
}

#[test]
fn reload_of_priority_lets_the_other_win() {
    let Some(lan) = lan() else { return };
    let (a, _b) = pair(&lan);
    a.write_config(&config(50, ""));
    assert_eq!(a.client(&["reload"]).0, Some(0));
    settles_on(&lan, &lan.b, SOON);
}

#[test]
fn reload_without_an_instance_releases_it() {
    let Some(lan) = lan() else { return };
    let (a, _b) = pair(&lan);
    let before = Instant::now();
    a.write_config(&config(200, "").replace("vrid = 51", "vrid = 52").replace("VI_1", "VI_2"));
    assert_eq!(a.client(&["reload"]).0, Some(0));
    lan.capture.advert('a', 51, 0, before, SOON);
    lan.capture.advert('b', 51, 100, before, SOON);
    assert!(lan.capture.advert_times('a', 52, before).len() <= 1 || lan.a.has(VIP));
}

#[test]
fn own_groups_are_joined_and_used() {
    let Some(lan) = lan() else { return };
    let global = "[global]\nmulticast_group4 = \"234.10.10.10\"\n";
    let a = Vipd::start(&lan, &lan.a, &format!("{global}{}", config(200, "")));
    let b = Vipd::start(&lan, &lan.b, &format!("{global}{}", config(100, "")));
    settles_on(&lan, &lan.a, SOON);
    let start = Instant::now();
    let (frame, advert) = lan.capture.wait("advert", start, SOON, netns_advert);
    assert_eq!(advert.group.to_string(), "234.10.10.10");
    assert_eq!(frame.bytes[..6], [1, 0, 0x5e, 10, 10, 10]);
    for node in [&lan.a, &lan.b] {
        let groups = node.ip("maddr show dev eth0");
        assert!(
            groups.contains("inet  234.10.10.10"),
            "SOCK-10b: membership for snooping switches:\n{groups}"
        );
        assert!(!groups.contains("224.0.0.18"), "not the group that nobody uses:\n{groups}");
    }
    a_while();
    assert!(lan.capture.advert_times('b', 51, start).is_empty(), "b hears that group");
    // A reload brings another group; the old membership goes.
    for daemon in [&a, &b] {
        let letter = if daemon.pid() == a.pid() { 200 } else { 100 };
        daemon.write_config(&format!(
            "{}{}",
            global.replace("234.10.10.10", "234.10.10.11"),
            config(letter, "")
        ));
        assert_eq!(daemon.client(&["reload"]).0, Some(0));
    }
    eventually("membership moves", SOON, || {
        let groups = lan.b.ip("maddr show dev eth0");
        groups.contains("234.10.10.11") && !groups.contains("234.10.10.10")
    });
    settles_on(&lan, &lan.a, SOON);
}

fn netns_advert(frame: &netns::Frame) -> Option<Advert> {
    frame.advert()
}

/// S2 without IPVS: each router Active for one instance, and for both when the other leaves.
#[test]
fn two_instances_two_actives() {
    let Some(lan) = lan() else { return };
    let both = |first: u8, second: u8| {
        let one = config(first, "");
        let two = config(second, "").replace("VI_1", "VI_2").replace("51", "52").replace(".100/", ".200/");
        format!("{one}{two}")
    };
    let mut a = Vipd::start(&lan, &lan.a, &both(100, 80));
    let b = Vipd::start(&lan, &lan.b, &both(80, 100));
    let second = "10.9.0.200";
    let one_each = || lan.a.has(VIP) && !lan.a.has(second) && lan.b.has(second) && !lan.b.has(VIP);
    eventually("one each", SOON, one_each);
    assert_eq!(a.terminate(SOON), Some(0));
    eventually("b has both", SOON, || lan.b.has(VIP) && lan.b.has(second));
    assert!(!lan.a.has(VIP) && !lan.a.has(second));
    let (_, screen, _) = b.client(&["status"]);
    assert!(screen.lines().next().unwrap_or("").contains("2 of 2"), "the first line is true:\n{screen}");
    let _a = Vipd::start(&lan, &lan.a, &both(100, 80));
    eventually("one each again", SOON, one_each);
}

#[test]
fn many_vips_of_one_instance_all_arrive() {
    let Some(lan) = lan() else { return };
    let addresses: Vec<String> = (0..200).map(|i| format!("\"10.9.1.{i}/32\"")).collect();
    let config = config(200, "").replace("\"10.9.0.100/24\"", &addresses.join(", "));
    let start = Instant::now();
    let mut a = Vipd::start(&lan, &lan.a, &config);
    eventually("all VIPs", SOON, || lan.a.count("10.9.1.") == 200);
    for i in [0, 99, 199] {
        lan.capture.garp('a', &format!("10.9.1.{i}"), start, SOON);
    }
    let gaps = spacing(&lan.capture.advert_times('a', 51, start));
    assert!(gaps < 2 * INTERVAL, "announcements never delay an advert, longest gap {gaps:?}");
    assert_eq!(a.terminate(SOON), Some(0));
    assert_eq!(lan.a.count("10.9.1."), 0, "a clean end takes all of them away");
}

#[test]
fn control_socket_answers() {
    let Some(lan) = lan() else { return };
    let (mut a, _b) = pair(&lan);
    let (code, text, _) = a.client(&["status"]);
    let first = text.lines().next().unwrap_or("");
    assert_eq!(code, Some(0), "healthy:\n{text}");
    assert!(first.contains("ACTIVE for 1 of 1"), "{first:?}");
    assert!(text.lines().count() <= 24 && text.lines().all(|l| l.chars().count() <= 80), "80x24:\n{text}");
    assert!(text.is_ascii(), "plain ASCII:\n{text}");
    let (code, events, _) = a.client(&["events"]);
    assert!(code == Some(0) && events.contains("VI_1"), "{events}");
    a.kill_all();
    assert_eq!(a.client(&["status"]).0, Some(3), "not running");
}

/// The longest time between two neighbours.
fn spacing(times: &[Instant]) -> Duration {
    times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or_default()
}
