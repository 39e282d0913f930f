//! Living with netifd: what it does to devices (`tests/firmware/netifd`), and what becomes of virtual
//! addresses.

use crate::device::project;
use crate::netns::{Lan, Node, Vipd, eventually, lan, run};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(200);
/// Three intervals and the skew of priority 200, and some for a busy machine.
const ELECTION: Duration = Duration::from_millis(600 + 44 + 150);

fn netifd(node: &Node, action: &str) {
    let script = project().join("tests/firmware/netifd");
    run(&[script.to_str().unwrap(), node.namespace.name(), action, &format!("{}/24", node.address)]);
}

/// Two addresses: one in the subnet of the router's own, which the kernel takes away along with that, and one
/// by itself.
fn config(priority: u8) -> String {
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"br-lan\"\nvrid = 51\nversion = 3\npriority = {priority}\n\
         advert_interval = \"200ms\"\naddresses = [\"10.9.0.100/24\", \"10.9.0.101/32\"]\n"
    )
}

fn has(node: &Node) -> bool {
    let there = |last| node.carries(&format!("10.9.0.{last}")).is_some();
    there(100) && there(101)
}

/// Router a Active on its bridge, router b Backup on its own.
fn pair() -> Option<(Lan, Vipd, Vipd)> {
    let lan = lan()?;
    netifd(&lan.a, "setup");
    netifd(&lan.b, "setup");
    let start = Instant::now();
    let a = Vipd::start(&lan, &lan.a, &config(200));
    lan.capture.advert('a', 51, 200, start, SOON);
    let b = Vipd::start(&lan, &lan.b, &config(100));
    eventually("b hears a", SOON, || b.status().contains("\"state\":\"backup\""));
    eventually("a carries the addresses, and b does not", SOON, || has(&lan.a) && !has(&lan.b));
    Some((lan, a, b))
}

/// How often the first address was put back.
fn put_back(vipd: &Vipd) -> u32 {
    let status = vipd.status();
    number_after(&status, "\"put_back\":")
}

/// How often its loop came late by more than an advert interval.
fn stalls(vipd: &Vipd) -> u32 {
    number_after(&vipd.status(), "\"stalls\":{\"count\":")
}

fn number_after(status: &str, key: &str) -> u32 {
    let number = status.split(key).nth(1).unwrap().split(['}', ',']).next().unwrap();
    number.parse().unwrap()
}

/// An interface is set up again: the box never stops being Active, and its own address survives ours.
#[test]
fn interface_that_is_set_up_again_has_its_addresses_back_within_an_interval() {
    let Some((lan, mut a, _b)) = pair() else { return };
    // A machine that keeps router a from running for an election's time proves nothing: then once more.
    let (mut times, mut excuses) = (0, 0);
    while times < 3 {
        times += 1;
        let (stalls_before, before) = (stalls(&a), Instant::now());
        netifd(&lan.a, "ifup");
        eventually("back within one advert interval", INTERVAL + Duration::from_millis(100), || has(&lan.a));
        // From the second time on it is the first of its subnet, and stays when the router's own goes.
        eventually("counted", SOON, || put_back(&a) == 1);
        // Long enough for b to take over, if it had missed anything.
        std::thread::sleep(ELECTION);
        let spoken = lan.capture.advert_times('b', 51, before);
        if !spoken.is_empty() && stalls(&a) > stalls_before && excuses < 2 {
            eprintln!("the machine did not let router a run: once more");
            eventually("a has them", SOON, || has(&lan.a) && !has(&lan.b));
            (times, excuses) = (times - 1, excuses + 1);
            continue;
        }
        assert!(spoken.is_empty(), "b took over {times}");
        let resigned = lan.capture.since(before, |f| f.advert().filter(|a| a.priority == 0));
        assert!(resigned.is_empty(), "{resigned:?}");
    }
    assert_eq!(a.terminate(SOON), Some(0));
    assert!(!has(&lan.a));
    assert!(lan.a.carries("10.9.0.1").is_some(), "the router's own address does not go with ours (RTNL-23)");
}

/// All that is on a device goes, with the link down for a second: the other router answers meanwhile. Then
/// there is an election, as after every fault (FSM-40).
#[test]
fn device_that_is_cleared_is_a_fault_and_heals() {
    let Some((lan, a, _b)) = pair() else { return };
    for action in ["clear", "bounce"] {
        netifd(&lan.a, action);
        eventually("b answers", SOON, || has(&lan.b));
        eventually("the link is up again", SOON, || lan.a.carries("10.9.0.1").is_some());
        eventually("a has them again after its election", ELECTION + INTERVAL, || has(&lan.a));
        eventually("and b does not", SOON, || !has(&lan.b));
    }
    let (_, events, _) = a.client(&["events"]);
    assert!(events.contains("down"), "the operator sees why: {events}");
}

/// The bridge goes and comes back as another one. Sockets and memberships were of the old one.
#[test]
fn bridge_with_another_index_is_found_again() {
    let Some((lan, mut a, b)) = pair() else { return };
    for _ in 0..2 {
        let index = lan.a.ip("-o link show dev br-lan").split(':').next().unwrap().to_owned();
        netifd(&lan.a, "restart");
        let there = Instant::now();
        assert_ne!(lan.a.ip("-o link show dev br-lan").split(':').next().unwrap(), index, "another index");
        lan.capture.advert('a', 51, 200, there, ELECTION + Duration::from_secs(1));
        eventually("a has them on the new bridge", SOON, || has(&lan.a) && !has(&lan.b));
        assert_eq!(lan.a.carries("10.9.0.100").as_deref(), Some("br-lan"));
    }
    // It hears on the new one, too.
    drop(b);
    let before = Instant::now();
    let _b = Vipd::start(&lan, &lan.b, &config(250));
    eventually("a hears who is better", SOON, || has(&lan.b) && !has(&lan.a));
    lan.capture.advert('b', 51, 250, before, SOON);
    assert!(a.status().contains("\"state\":\"backup\""));
    assert_eq!(a.terminate(SOON), Some(0));
}
