//! Probes that leave by a certain way: source, port, interface, mark (HC-3, HC-4); and UDP probes (HC-35,
//! HC-36, B-122).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "prober/bench.rs"]
#[allow(dead_code, reason = "shared with the tests of conversations")]
mod bench;
#[path = "prober/network.rs"]
mod network;

use bench::Bench;
use network::{in_network, ip, set};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;
use vipd::engine::{Outcome, ProbeId, ProbeSpec};
use vipd::limits;
use vipd::model::{CheckKind, DnsCheck, IfName, UdpCheck};
use vipd::time as vt;

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0)
}

fn dns() -> CheckKind {
    CheckKind::Dns(DnsCheck { name: "example.com".into(), kind: 6, ..DnsCheck::default() })
}

/// By `source` and `interface` a path tracker says which uplink it means.
#[test]
fn a_probe_leaves_by_the_way_that_was_named() {
    in_network(|| {
        let mut bench = Bench::new();
        let listener = TcpListener::bind("10.77.0.1:0").unwrap();
        let (names, address) = (UdpSocket::bind("127.0.0.1:0").unwrap(), listener.local_addr().unwrap());
        let [lo, v0, gone] = ["lo", "v0", "gone0"].map(|name| IfName::try_from(name).unwrap());
        let start =
            |bench: &mut Bench, n: u32, address, kind: &CheckKind, source: Option<&str>, interface| {
                let (source, timeout) = (source.map(|s| s.parse().unwrap()), vt::Duration::from_millis(400));
                let spec = ProbeSpec {
                    address,
                    kind,
                    timeout,
                    was_up: true,
                    source,
                    source_port: 0,
                    interface,
                    mark: 0,
                };
                bench.start_spec(ProbeId::PATH + n, &spec);
            };
        let tcp = CheckKind::Tcp;
        start(&mut bench, 0, address, &tcp, Some("127.0.0.1"), None);
        start(&mut bench, 1, address, &tcp, Some("10.77.0.200"), None);
        start(&mut bench, 2, address, &tcp, None, Some(&gone));
        start(&mut bench, 3, at("127.0.0.1"), &CheckKind::Ping, None, Some(&lo));
        start(&mut bench, 4, at("10.77.0.5"), &CheckKind::Ping, Some("10.77.0.1"), Some(&lo));
        start(&mut bench, 5, names.local_addr().unwrap(), &dns(), Some("10.77.0.1"), Some(&v0));
        bench.until_ended(6);
        let path = |n: u32| ProbeId::PATH + n;
        bench.assert_passed(path(0));
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), "127.0.0.1".parse::<IpAddr>().unwrap(), "its source");
        bench.assert_failed(path(1), "its source 10.77.0.200 is not on this router");
        bench.assert_failed(path(2), "no interface gone0");
        bench.assert_passed(path(3));
        assert!(matches!(bench.outcome(path(4)), Outcome::Failed(_)), "{:?}", bench.outcome(path(4)));
        let mut nothing = [0; 64];
        names.set_nonblocking(true).unwrap();
        assert!(names.recv(&mut nothing).is_err(), "it went through another interface than v0");
    });
}

fn spec(address: SocketAddr, kind: &CheckKind) -> ProbeSpec<'_> {
    ProbeSpec {
        address,
        kind,
        timeout: vt::Duration::from_millis(600),
        was_up: true,
        source: None,
        source_port: 0,
        interface: None,
        mark: 0,
    }
}

/// The port is free again for the next probe, and serves several servers at one time.
#[test]
fn a_probe_comes_from_its_own_port() {
    in_network(|| {
        let mut bench = Bench::new();
        let tell = |listener: &TcpListener| listener.accept().unwrap().1.port();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        for _ in 0..3 {
            for (checker, listener) in (0..).zip(&listeners) {
                let address = listener.local_addr().unwrap();
                let spec = ProbeSpec { source_port: 4000, ..spec(address, &CheckKind::Tcp) };
                bench.start_spec(checker, &spec);
            }
            let before = bench.count(1);
            bench.until(|bench| bench.count(0) == before + 1 && bench.count(1) == before + 1);
            bench.assert_passed(0);
            bench.assert_passed(1);
            assert_eq!(listeners.each_ref().map(tell), [4000, 4000], "HC-3: `bind_port`");
        }
        let page = bench::server(|stream| {
            assert_eq!(stream.peer_addr().unwrap().port(), 4000);
            bench::read_request(stream);
            let _ = std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        for round in 1..=3 {
            let http = bench::http();
            bench.start_spec(2, &ProbeSpec { source_port: 4000, ..spec(page, &http) });
            bench.until(|bench| bench.count(2) == round);
            bench.assert_passed(2);
        }
        let names = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (kind, address) = (dns(), names.local_addr().unwrap());
        bench.start_spec(3, &ProbeSpec { source_port: 4001, ..spec(address, &kind) });
        bench.turn();
        assert_eq!(names.recv_from(&mut [0; 64]).unwrap().1.port(), 4001);
        bench.start_spec(4, &ProbeSpec { source_port: 4002, ..spec(at("127.0.0.1"), &CheckKind::Ping) });
        bench.until(|bench| bench.count(4) == 1);
        bench.assert_passed(4);
    });
}

#[test]
fn a_port_or_mark_that_this_host_refuses_is_no_verdict_hc4() {
    in_network(|| {
        let mut bench = Bench::new();
        let listener = TcpListener::bind("0.0.0.0:4003").unwrap();
        let address = SocketAddr::new("127.0.0.1".parse().unwrap(), listener.local_addr().unwrap().port());
        bench.start_spec(0, &ProbeSpec { source_port: 4003, ..spec(address, &CheckKind::Tcp) });
        // CAP_NET_ADMIN and CAP_NET_RAW (linux/capability.h), of this thread alone.
        let mut sets = [0_u32; 6];
        let header = [0x2008_0522_u32, 0];
        // SAFETY: both arrays are as long as the kernel wants them for this version.
        unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
        sets[0] &= !(3 << 12);
        // SAFETY: likewise.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }, 0);
        bench.start_spec(1, &ProbeSpec { mark: 9, ..spec(address, &CheckKind::Tcp) });
        bench.until_ended(2);
        let not_run = |why: &str| Outcome::NotRun(why.try_into().unwrap());
        assert_eq!(bench.outcome(0), not_run("cannot use 0.0.0.0:4003: Address already in use"));
        assert_eq!(bench.outcome(1), not_run("cannot set its mark: Operation not permitted"));
    });
}

/// By its mark a probe is routed another way; each kind of probe has one.
#[test]
fn a_marked_probe_takes_the_way_of_its_mark() {
    in_network(|| {
        ip("neigh replace 10.77.0.8 lladdr 02:00:00:00:00:08 dev v0");
        ip("rule add fwmark 7 table 77");
        ip("route add unreachable default table 77");
        let mut bench = Bench::new();
        let mut address = at("10.77.0.8");
        address.set_port(80);
        let kinds =
            [CheckKind::Tcp, bench::http(), CheckKind::Ping, dns(), udp(|check| check.needs_reply = true)];
        for (checker, kind) in (0..).zip(&kinds) {
            bench.start_spec(2 * checker, &spec(address, kind));
            bench.start_spec(2 * checker + 1, &ProbeSpec { mark: 7, ..spec(address, kind) });
        }
        bench.until_ended(2 * kinds.len());
        for checker in 0..kinds.len() as u32 {
            bench.assert_failed(2 * checker, "no answer within 600ms");
            bench.assert_failed(2 * checker + 1, "no route to host");
        }
    });
}

/// A window that takes a few bytes at a time: the request leaves in pieces, and whole.
#[test]
fn a_request_that_does_not_fit_at_once_is_sent_to_its_end() {
    in_network(|| {
        set("ipv4/tcp_wmem", "4096 4096 4096");
        set("ipv4/tcp_rmem", "4096 4096 4096");
        let (said, heard) = std::sync::mpsc::channel();
        let said = std::sync::Mutex::new(said);
        let slow = bench::server(move |stream| {
            std::thread::sleep(Duration::from_millis(100));
            let _ = said.lock().unwrap().send(bench::read_request(stream));
            let _ = std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        let path = format!("/{}", "ü".repeat(limits::HTTP_PATH_MAX / 2 - 1));
        let mut kind = bench::pages(&[&path]);
        let CheckKind::Http(check) = &mut kind else { panic!("it is one") };
        check.headers = (0..8).map(|n| (format!("X-{n}"), "x".repeat(400))).collect();
        let mut bench = Bench::new();
        bench.start_spec(0, &ProbeSpec { timeout: vt::Duration::from_secs(5), ..spec(slow, &kind) });
        bench.until_ended(1);
        bench.assert_passed(0);
        let request = heard.try_recv().unwrap();
        assert!(request.starts_with("GET /%C3%BC") && request.ends_with("x\r\n\r\n"));
        assert!(request.len() > 6000, "{} bytes", request.len());
    });
}

fn udp(change: impl FnOnce(&mut UdpCheck)) -> CheckKind {
    let mut check =
        UdpCheck { payload: Vec::new(), needs_reply: false, reply: Vec::new(), reply_min: 0, reply_max: 255 };
    change(&mut check);
    CheckKind::Udp(Box::new(check))
}

/// A server that answers each datagram with `reply`; `None`: not at all.
fn udp_server(reply: Option<&'static [u8]>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 2048]) {
            if let Some(reply) = reply {
                let _ = socket.send_to(reply, from);
            }
        }
    });
    address
}

#[test]
fn the_payload_is_keepalived_s_or_one_s_own_hc35() {
    let mut bench = Bench::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut buffer = [0; 2048];
    bench.start(0, address, &udp(|_| {}), 300, true);
    bench.turn();
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"keepalived check - keepalived ch", "what servers know");
    // An empty datagram is a reply, too.
    socket.send_to(b"", from).unwrap();
    bench.until_ended(1);
    bench.assert_passed(0);
    let payload: Vec<u8> = (0..limits::UDP_PAYLOAD_MAX).map(|n| n as u8).collect();
    bench.start(0, address, &udp(|check| check.payload = payload.clone()), 300, true);
    bench.turn();
    let (len, _) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], payload, "all of it, and nothing of the wanted reply");
}

#[test]
fn silence_is_a_success_unless_a_reply_is_needed_hc35() {
    let mut bench = Bench::new();
    let silent = udp_server(None);
    bench.start(0, silent, &udp(|_| {}), 300, true);
    bench.start(1, silent, &udp(|check| check.needs_reply = true), 300, true);
    bench.start(2, silent, &udp(|check| check.reply = vec![(1, 0xff)]), 300, true);
    bench.until_ended(3);
    bench.assert_passed(0);
    bench.assert_failed(1, "no answer within 300ms");
    bench.assert_passed(2);
    for checker in 0..3 {
        let took = bench.took(checker);
        assert!((300..450).contains(&took.as_millis()), "HC-1: {took:?}");
    }
}

#[test]
fn a_reply_is_judged_where_one_is_wanted_b122() {
    let mut bench = Bench::new();
    let long = udp_server(Some(&[7; 1500]));
    let short = udp_server(Some(b"ok"));
    let needs = |change: fn(&mut UdpCheck)| {
        udp(move |check| {
            check.needs_reply = true;
            change(check);
        })
    };
    for (checker, (address, kind, why)) in (0..).zip([
        (short, needs(|_| {}), None),
        (short, udp(|_| {}), None),
        // Longer than is read of it.
        (long, needs(|_| {}), Some("reply of 1500 bytes, want 0 to 255")),
        (long, needs(|check| check.reply_max = 1500), None),
        (long, udp(|_| {}), None),
        (short, needs(|check| check.reply_min = 3), Some("reply of 2 bytes, want 3 to 255")),
        (short, udp(|check| check.reply_min = 3), Some("reply of 2 bytes, want 3 to 255")),
        (short, needs(|check| check.reply = vec![(b'o', 0xff), (b'k', 0xff)]), None),
        // HC-35: as far as both go.
        (short, needs(|check| check.reply = vec![(b'o', 0xff), (b'k', 0xff), (1, 0xff)]), None),
        (
            short,
            needs(|check| check.reply = vec![(b'o', 0xff), (b'j', 0xff)]),
            Some("byte 1 of the reply is 0x6b, want 0x6a"),
        ),
        (short, needs(|check| check.reply = vec![(0x6f, 0xf0), (0x60, 0xf0)]), None),
        (short, needs(|check| check.reply = vec![(0, 0), (0, 0)]), None),
        (
            short,
            udp(|check| check.reply = vec![(0x70, 0xf0)]),
            Some("byte 0 of the reply is 0x60, want 0x70 under 0xf0"),
        ),
    ]) {
        bench.start(checker, address, &kind, 2000, true);
        bench.until_ended(checker as usize + 1);
        match why {
            None => bench.assert_passed(checker),
            Some(why) => bench.assert_failed(checker, why),
        }
    }
}

#[test]
fn what_icmp_says_of_a_udp_server_counts_at_once_b122() {
    in_network(|| {
        ip("route add unreachable 10.79.0.0/24");
        let mut bench = Bench::new();
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut nobody = at("10.77.0.9");
        nobody.set_port(53);
        bench.start(0, gone, &udp(|_| {}), 3000, true);
        // Its neighbour, whose errors are not its own.
        bench.start(1, udp_server(None), &udp(|_| {}), 300, true);
        bench.start(2, SocketAddr::new("10.79.0.9".parse().unwrap(), 53), &udp(|_| {}), 3000, true);
        bench.start(3, SocketAddr::new("192.0.2.1".parse().unwrap(), 53), &udp(|_| {}), 3000, true);
        bench.start(4, nobody, &udp(|_| {}), 8000, true);
        let sixth: SocketAddr = "[::1]:53".parse().unwrap();
        bench.start(5, sixth, &udp(|_| {}), 3000, true);
        bench.until_ended(6);
        bench.assert_failed(0, "port unreachable");
        assert!(bench.took(0) < Duration::from_millis(500), "{:?}", bench.took(0));
        bench.assert_passed(1);
        bench.assert_failed(2, "no route to host");
        bench.assert_failed(3, "no route to its network");
        bench.assert_failed(4, "host unreachable");
        assert!(bench.took(4) < Duration::from_millis(5000), "HC-36: about 3 s of ARP: {:?}", bench.took(4));
        bench.assert_failed(5, "port unreachable");
    });
}

/// The right reply from another port.
#[test]
fn a_stranger_s_reply_is_none_b122() {
    let mut bench = Bench::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        while let Ok((_, from)) = socket.recv_from(&mut [0; 512]) {
            let _ = other.send_to(b"ok", from);
        }
    });
    bench.start(0, address, &udp(|check| check.needs_reply = true), 300, true);
    bench.until_ended(1);
    bench.assert_failed(0, "no answer within 300ms");
}
