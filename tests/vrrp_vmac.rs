//! The virtual MAC: hosts keep one entry for ever, and only the Active router speaks and listens with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::host::{
    answers, forget_neighbours, forwarded, neighbour, serve_letters, set, settings, who_answers,
};
use netns::{Lan, Node, Vipd, eventually, lan6};
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

/// One family's names.
#[derive(Clone, Copy)]
struct Family {
    device: &'static str,
    mac: [u8; 6],
    /// As `ip neigh` writes it.
    text: &'static str,
    addresses: &'static str,
    vip: &'static str,
}

const FOUR: Family = Family {
    device: "vrrp.51",
    mac: [0, 0, 0x5e, 0, 1, 51],
    text: "00:00:5e:00:01:33",
    addresses: "\"10.9.0.100/24\"",
    vip: "10.9.0.100",
};

const SIX: Family = Family {
    device: "vrrp6.51",
    mac: [0, 0, 0x5e, 0, 2, 51],
    text: "00:00:5e:00:02:33",
    addresses: "\"fe80::100/64\", \"fd09::100/64\"",
    vip: "fd09::100",
};

impl Family {
    fn config(self, priority: u8, extra: &str) -> String {
        format!(
            "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = {priority}\n\
             advert_interval = \"100ms\"\nlease = \"2s\"\nvirtual_mac = true\naddresses = [{}]\n{extra}\n",
            self.addresses
        )
    }

    /// Router a Active with priority 200, router b Backup with 100.
    fn pair(self, lan: &Lan) -> (Vipd, Vipd) {
        let b = Vipd::start(lan, &lan.b, &self.config(100, ""));
        let a = Vipd::start(lan, &lan.a, &self.config(200, ""));
        self.settles_on(lan, &lan.a);
        (a, b)
    }

    #[track_caller]
    fn settles_on(self, lan: &Lan, node: &Node) {
        let other = if node.letter == 'a' { &lan.b } else { &lan.a };
        let what = format!("only {} carries {} on {}", node.letter, self.vip, self.device);
        eventually(&what, SOON, || {
            node.carries(self.vip).as_deref() == Some(self.device) && other.carries(self.vip).is_none()
        });
    }
}

/// Is a device there, and is it up?
fn link(node: &Node, device: &str) -> (bool, bool) {
    let text = node.ip("-o link show");
    let line = text.lines().find(|l| l.contains(&format!(": {device}"))).unwrap_or("").to_string();
    (!line.is_empty(), line.contains(",UP"))
}

fn index(node: &Node, device: &str) -> String {
    let text = node.ip(&format!("-o link show dev {device}"));
    text.split(':').next().unwrap_or("").to_string()
}

fn one_entry_for_ever(family: Family) {
    let Some(lan) = lan6() else { return };
    serve_letters(&lan);
    let start = Instant::now();
    let (mut a, mut b) = family.pair(&lan);
    let of_a = |f: &netns::Frame| f.advert().filter(|a| f.from == 'a' && a.priority == 200);
    let (frame, advert) = lan.capture.wait("an advert of a", start, SOON, of_a);
    assert_eq!(frame.bytes[6..12], family.mac, "FSM-37: adverts come from the virtual MAC");
    let own: std::net::IpAddr =
        if family.vip.contains(':') { lan.a.link_local().into() } else { lan.a.address.into() };
    assert_eq!(advert.source, own, "VMAC-30: and from an address of the router's own");
    // The kernel hears questions for a new address only a moment after it is there.
    eventually("a answers", SOON, || who_answers(&lan, family.vip) == Some('a'));
    // VMAC-34: nor do a's own questions for the host tell the base's MAC as the address's.
    assert_eq!(neighbour(&lan, family.vip).as_deref(), Some(family.text));
    let killed = a.kill_all();
    lan.capture.advert('b', 51, 100, killed, SOON);
    lan.capture.garp('b', family.vip, killed, SOON);
    assert_eq!(neighbour(&lan, family.vip).as_deref(), Some(family.text), "the same over a failover");
    eventually("b answers", SOON, || who_answers(&lan, family.vip) == Some('b'));
    assert_eq!(neighbour(&lan, family.vip).as_deref(), Some(family.text));
    assert_eq!(b.terminate(SOON), Some(0));
    assert_eq!(link(&lan.b, family.device), (false, false), "a clean end takes the device away");
}

#[test]
fn neighbour_entry_stays_over_a_failover_ipv4() {
    one_entry_for_ever(FOUR);
}

#[test]
fn neighbour_entry_stays_over_a_failover_ipv6() {
    one_entry_for_ever(SIX);
}

/// FSM-36, FSM-37: asked who has the address, the Active alone answers, and with the virtual MAC alone.
fn only_the_active_answers(family: Family) {
    let Some(lan) = lan6() else { return };
    lan.hub();
    serve_letters(&lan);
    let (_a, _b) = family.pair(&lan);
    let asked = Instant::now();
    for _ in 0..3 {
        forget_neighbours(&lan);
        assert_eq!(who_answers(&lan, family.vip), Some('a'));
    }
    sleep(Duration::from_millis(300));
    let seen = answers(&lan.capture, family.vip, asked);
    assert!(seen.len() >= 3, "asked three times: {seen:?}");
    assert!(seen.iter().all(|(from, _, _)| *from == 'a'), "FSM-36: the Backup is silent: {seen:?}");
    assert!(seen.iter().all(|(_, told, used)| [*told, *used] == [family.mac; 2]), "FSM-37: {seen:?}");
}

#[test]
fn only_the_active_answers_ipv4() {
    only_the_active_answers(FOUR);
}

#[test]
fn only_the_active_answers_ipv6() {
    only_the_active_answers(SIX);
}

/// A UDP packet of the client in a frame to this MAC; port 9.
fn udp(mac: [u8; 6], to: [u8; 4]) -> Vec<u8> {
    let mut frame = [mac, [2, 0, 0, 0, 0, 3]].concat();
    frame.extend([8, 0]);
    let mut header = vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 0, 3];
    header.extend(to);
    let sum = netns::checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    // Port 9 to port 9, 12 bytes, no checksum.
    frame.extend([0, 9, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame
}

/// VMAC-17, FSM-36: a switch floods, the Backup forwards; it neither forwards nor takes in what is sent to
/// the virtual MAC.
#[test]
fn backup_discards_frames_to_the_virtual_mac() {
    let Some(lan) = lan6() else { return };
    lan.hub();
    let (_a, b) = FOUR.pair(&lan);
    set(&lan.b, "net/ipv4/ip_forward", "1");
    lan.b.ip("link add far0 type veth peer name far1");
    lan.b.ip("addr add 10.44.0.1/24 dev far0");
    lan.b.ip("link set far0 up");
    lan.b.ip("link set far1 up");
    lan.b.ip("neigh add 10.44.0.9 lladdr 02:00:00:00:00:44 dev far0");
    let socket = lan.b.namespace.inside(|| UdpSocket::bind("0.0.0.0:9").unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let injector = lan.injector();
    let passes = |mac: [u8; 6]| {
        let before = forwarded(&lan.b);
        for _ in 0..5 {
            injector.send(&udp(mac, [10, 44, 0, 9]));
        }
        injector.send(&udp(mac, [10, 9, 0, 2]));
        let taken_in = socket.recv(&mut [0; 64]).is_ok();
        (forwarded(&lan.b) - before, taken_in)
    };
    assert_eq!(passes(lan.b.mac), (5, true), "the bed can tell");
    assert_eq!(passes(FOUR.mac), (0, false), "VMAC-17: as Backup");
    assert!(b.status().contains("\"state\":\"backup\""));
    // As Active it is its work.
    drop(_a);
    eventually("b is Active", SOON, || lan.b.carries(FOUR.vip).is_some());
    assert_eq!(passes(FOUR.mac), (5, true), "as Active");
}

/// VMAC-4: a killed run leaves its device; the next one takes it over, Active or Backup, and removes it at
/// its clean end.
fn left_over(family: Family) {
    let Some(lan) = lan6() else { return };
    let mut a = Vipd::start(&lan, &lan.a, &family.config(200, ""));
    eventually("a is Active", SOON, || lan.a.carries(family.vip).is_some());
    let device = index(&lan.a, family.device);
    a.kill_all();
    assert_eq!(link(&lan.a, family.device), (true, true), "left by the kill");
    let again = Instant::now();
    let mut a = Vipd::start(&lan, &lan.a, &family.config(200, ""));
    lan.capture.garp('a', family.vip, again, SOON);
    eventually("a is Active again", SOON, || lan.a.carries(family.vip).as_deref() == Some(family.device));
    assert_eq!(index(&lan.a, family.device), device, "the device of the killed run");
    a.kill_all();
    // Another router is Active meanwhile.
    let _b = Vipd::start(&lan, &lan.b, &family.config(100, ""));
    eventually("b is Active", SOON, || lan.b.carries(family.vip).is_some());
    let mut a = Vipd::start(&lan, &lan.a, &family.config(200, "preempt = false"));
    eventually("VMAC-18: what a killed Active left is put down", SOON, || {
        link(&lan.a, family.device) == (true, false) && lan.a.carries(family.vip).is_none()
    });
    assert_eq!(index(&lan.a, family.device), device);
    family.settles_on(&lan, &lan.b);
    assert_eq!(a.terminate(SOON), Some(0));
    assert_eq!(link(&lan.a, family.device), (false, false), "gone");
}

#[test]
fn left_over_device_is_adopted_ipv4() {
    left_over(FOUR);
}

#[test]
fn left_over_device_is_adopted_ipv6() {
    left_over(SIX);
}

/// VMAC-32: settings of the interface below are as they were, also when a run was killed in between.
#[test]
fn settings_of_the_base_interface_come_back() {
    let Some(lan) = lan6() else { return };
    // Somebody's own choice, which is none of vipd's defaults.
    set(&lan.a, "net/ipv4/conf/eth0/arp_announce", "1");
    let all = |node: &Node| [settings(node, "eth0"), settings(node, "all")].concat();
    let active = || {
        let begin = Instant::now();
        let a = Vipd::start(&lan, &lan.a, &FOUR.config(200, ""));
        lan.capture.garp('a', FOUR.vip, begin, SOON);
        a
    };
    let before = all(&lan.a);
    assert_eq!(active().terminate(SOON), Some(0));
    assert_eq!(all(&lan.a), before, "after a clean end");
    active().kill_all();
    assert_eq!(active().terminate(SOON), Some(0));
    assert_eq!(all(&lan.a), before, "after a killed run and a clean end");
}

/// VMAC-4: a device of that name that is not ours is never touched, and it is said.
#[test]
fn strangers_device_is_left_alone() {
    let Some(lan) = lan6() else { return };
    lan.a.ip("link add vrrp.51 type bridge");
    lan.a.ip("link set vrrp.51 up");
    let device = index(&lan.a, "vrrp.51");
    let mut a = Vipd::start(&lan, &lan.a, &FOUR.config(200, ""));
    eventually("it is said", SOON, || a.client(&["status"]).1.contains("vrrp.51"));
    sleep(Duration::from_millis(600));
    assert_eq!(lan.a.carries(FOUR.vip), None, "not Active without its device");
    a.terminate(SOON);
    assert_eq!(index(&lan.a, "vrrp.51"), device, "still there");
}
