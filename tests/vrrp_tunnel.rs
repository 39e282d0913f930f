//! Two vipd that know each other by unicast alone: on a LAN, and over a tunnel without an Ethernet address.
//!
//! The tunnel is a TUN device on each router and a thread between the two: GRE, IPIP and SIT are not in
//! every kernel, and to vipd they are the same, a device that carries bare IP packets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Advert, Lan, Node, Vipd, eventually, lan, lan6};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

/// A cable between the routers that carries bare IP packets.
struct Tunnel {
    cut: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Tunnel {
    /// `tun0` on both routers: 10.77.0.1 and .2, fd77::1 and ::2.
    fn between(lan: &Lan) -> Self {
        let ends = [&lan.a, &lan.b].map(|node| {
            let end = tun(node);
            let (own, other) = if node.letter == 'a' { (1, 2) } else { (2, 1) };
            node.ip(&format!("addr add 10.77.0.{own} peer 10.77.0.{other} dev tun0"));
            node.try_ip(&format!("addr add fd77::{own}/64 dev tun0 nodad"));
            node.ip("link set tun0 up");
            end
        });
        let [a, b] = ends.map(Arc::new);
        let (cut, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let threads = [(a.clone(), b.clone()), (b, a)]
            .into_iter()
            .map(|(from, to)| {
                let (cut, over) = (cut.clone(), over.clone());
                std::thread::spawn(move || relay(&from, &to, &cut, &over))
            })
            .collect();
        Tunnel { cut, over, threads }
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| _ = t.join());
    }
}

fn relay(mut from: &File, mut to: &File, cut: &AtomicBool, over: &AtomicBool) {
    let mut packet = [0; 2048];
    while !over.load(Ordering::Relaxed) {
        let mut ready = libc::pollfd { fd: from.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd.
        if unsafe { libc::poll(&raw mut ready, 1, 50) } < 1 {
            continue;
        }
        let Ok(length) = from.read(&mut packet) else { continue };
        if !cut.load(Ordering::Relaxed) {
            let _ = to.write_all(&packet[..length]);
        }
    }
}

/// The other end of a new `tun0` on a node.
fn tun(node: &Node) -> File {
    node.namespace.inside(|| {
        let file = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
        // SAFETY: an ifreq of zeros is one; the ioctl reads it and writes the name back.
        let done = unsafe {
            let mut request: libc::ifreq = std::mem::zeroed();
            for (to, from) in request.ifr_name.iter_mut().zip(b"tun0") {
                *to = *from as libc::c_char;
            }
            request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
            libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request)
        };
        assert_eq!(done, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
        file
    })
}

/// VRID 51 at 100 ms between two addresses of one interface.
fn config(interface: &str, priority: u8, own: &str, other: &str, vips: &str) -> String {
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"{interface}\"\nvrid = 51\nversion = 3\n\
         priority = {priority}\nadvert_interval = \"100ms\"\nlease = \"2s\"\nsource = \"{own}\"\n\
         unicast_peers = [\"{other}\"]\naddresses = [{vips}]\n"
    )
}

fn carries(node: &Node, vip: &str) -> bool {
    node.carries(vip).is_some()
}

/// Election, death, return, a cut cable and a clean end.
fn whole_life(
    lan: &Lan,
    interface: &str,
    [own, other]: [&str; 2],
    vips: &str,
    vip: &str,
    apart: impl Fn(bool),
) {
    let above = config(interface, 200, own, other, vips);
    let below = config(interface, 100, other, own, vips);
    let settles_on = |node: &Node| {
        let peer = if node.letter == 'a' { &lan.b } else { &lan.a };
        let what = format!("only {} carries {vip}", node.letter);
        eventually(&what, SOON, || carries(node, vip) && !carries(peer, vip));
        sleep(Duration::from_millis(400));
        assert!(carries(node, vip) && !carries(peer, vip), "{what}, and it stays so");
    };
    let mut a = Vipd::start(lan, &lan.a, &above);
    let mut b = Vipd::start(lan, &lan.b, &below);
    settles_on(&lan.a);
    assert!(b.status().contains("\"state\":\"backup\""), "{}", b.status());
    let killed = a.kill_all();
    eventually("b takes over", SOON, || carries(&lan.b, vip));
    assert!(killed.elapsed() < Duration::from_millis(361 + 300), "took {:?}", killed.elapsed());
    eventually("law 3: the lease takes it from a", SOON, || !carries(&lan.a, vip));
    a = Vipd::start(lan, &lan.a, &above);
    settles_on(&lan.a);
    apart(true);
    eventually("both are Active, apart", SOON, || carries(&lan.a, vip) && carries(&lan.b, vip));
    apart(false);
    settles_on(&lan.a);
    assert_eq!(a.terminate(SOON), Some(0));
    assert!(!carries(&lan.a, vip));
    settles_on(&lan.b);
    let (code, screen, _) = b.client(&["status"]);
    assert_eq!(code, Some(0), "healthy:\n{screen}");
    assert_eq!(b.terminate(SOON), Some(0));
    assert!(!carries(&lan.b, vip));
}

#[test]
fn tunnel_without_ethernet_ipv4() {
    let Some(lan) = lan() else { return };
    let tunnel = Tunnel::between(&lan);
    let (vips, vip) = ("\"10.77.0.100/32\"", "10.77.0.100");
    whole_life(&lan, "tun0", ["10.77.0.1", "10.77.0.2"], vips, vip, |apart| tunnel.cut(apart));
}

#[test]
fn tunnel_without_ethernet_ipv6() {
    let Some(lan) = lan6() else { return };
    let tunnel = Tunnel::between(&lan);
    let vips = "\"fe80::100/64\", \"fd77::100/64\"";
    whole_life(&lan, "tun0", ["fd77::1", "fd77::2"], vips, "fd77::100", |apart| tunnel.cut(apart));
}

#[test]
fn lan_ipv4() {
    let Some(lan) = lan() else { return };
    let (vips, vip) = ("\"10.9.0.100/24\"", "10.9.0.100");
    let start = Instant::now();
    whole_life(&lan, "eth0", ["10.9.0.1", "10.9.0.2"], vips, vip, |apart| lan.partition(&lan.a, apart));
    let groups = lan.capture.since(start, |f| f.advert().map(|a| a.group.to_string()));
    assert!(groups.iter().all(|g| g == "10.9.0.1" || g == "10.9.0.2"), "to the peer alone");
}

#[test]
fn lan_ipv6() {
    let Some(lan) = lan6() else { return };
    let vips = "\"fe80::100/64\", \"fd09::100/64\"";
    whole_life(&lan, "eth0", ["fd09::1", "fd09::2"], vips, "fd09::100", |apart| lan.partition(&lan.a, apart));
}

/// RX-18: a stranger's good advert of the highest priority changes nothing, unless the check is off.
#[test]
fn strangers_are_not_believed() {
    let Some(lan) = lan() else { return };
    let config = config("eth0", 200, "10.9.0.1", "10.9.0.2", "\"10.9.0.100/24\"");
    let a = Vipd::start(&lan, &lan.a, &config);
    eventually("a is Active", SOON, || carries(&lan.a, "10.9.0.100"));
    let stranger = Advert { group: lan.a.address.into(), ..Advert::new(3, 51, 254, 10, "10.9.0.100") };
    let mut frame = stranger.frame();
    frame[..6].copy_from_slice(&lan.a.mac);
    lan.injector().flood(&[frame.clone()], 50, Duration::from_secs(1));
    assert!(carries(&lan.a, "10.9.0.100"), "RX-18");
    assert!(a.status().contains("10.9.0.3"), "the stranger is named: {}", a.status());
    a.write_config(&format!("{config}check_source = false\n"));
    assert_eq!(a.client(&["reload"]).0, Some(0));
    lan.injector().send(&frame);
    eventually("believed, where the check is off", SOON, || !carries(&lan.a, "10.9.0.100"));
}
