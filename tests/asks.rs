//! Ping and DNS probes (B-120, B-123, HC-30 to HC-40).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "prober/bench.rs"]
#[allow(dead_code, reason = "shared with the tests of conversations")]
mod bench;
#[path = "prober/network.rs"]
mod network;

use bench::Bench;
use network::{in_network, ip, set};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use vipd::engine::ProbeId;
use vipd::model::{CheckKind, DnsCheck};

fn dns() -> CheckKind {
    CheckKind::Dns(DnsCheck { name: "example.com".into(), kind: 6, ..DnsCheck::default() })
}

/// A DNS server that makes a list of datagrams of each query; counts queries.
fn name_server(
    answers: impl Fn(&[u8], u32) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, Arc<AtomicU32>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counter = count.clone();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut query) {
            let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
            for answer in answers(&query[..len], number) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (address, count)
}

/// The query as an answer, changed.
fn answer(query: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2] |= 0x80;
    change(&mut bytes);
    bytes
}

#[test]
fn dns_answers_pass_and_errors_fail_b120() {
    let mut bench = Bench::new();
    let good = |bytes: &mut Vec<u8>| bytes.extend([0; 40]);
    let (plain, _) = name_server(move |query, _| vec![answer(query, good)]);
    let (truncated, _) = name_server(|query, _| vec![answer(query, |b| b[2] |= 2)]);
    let (huge, _) = name_server(|query, _| vec![answer(query, |b| b.resize(65_000, 0xc0))]);
    bench.start(0, plain, &dns(), 2000, true);
    bench.start(1, truncated, &dns(), 2000, true);
    bench.start(2, huge, &dns(), 2000, true);
    for (checker, rcode) in [(3, 2), (4, 3), (5, 5)] {
        let (address, _) = name_server(move |query, _| vec![answer(query, |b| b[3] |= rcode)]);
        bench.start(checker, address, &dns(), 2000, true);
    }
    bench.until_ended(6);
    (0..3).for_each(|checker| bench.assert_passed(checker));
    bench.assert_failed(3, "DNS error 2 SERVFAIL");
    bench.assert_failed(4, "DNS error 3 NXDOMAIN");
    bench.assert_failed(5, "DNS error 5 REFUSED");
}

fn dns_wanting(rcode: u8, address: Option<&str>) -> CheckKind {
    let address = address.map(|address| address.parse().unwrap());
    CheckKind::Dns(DnsCheck { name: "example.com".into(), kind: 1, rcode, address })
}

#[test]
fn another_rcode_may_be_wanted() {
    let mut bench = Bench::new();
    let (missing, _) = name_server(|query, _| vec![answer(query, |b| b[3] |= 3)]);
    let (plain, _) = name_server(|query, _| vec![answer(query, |_| {})]);
    let (odd, _) = name_server(|query, _| vec![answer(query, |b| b[3] |= 12)]);
    bench.start(0, missing, &dns_wanting(3, None), 2000, true);
    bench.start(1, plain, &dns_wanting(3, None), 2000, true);
    bench.start(2, odd, &dns_wanting(0, None), 2000, true);
    bench.until_ended(3);
    bench.assert_passed(0);
    bench.assert_failed(1, "DNS says 0 NOERROR, want 3 NXDOMAIN");
    bench.assert_failed(2, "DNS error 12");
}

#[test]
fn a_wanted_address_must_be_among_the_answers_b120() {
    // One A record, whose name points to the question.
    let with = |query: &[u8], last: u8, cut: bool| {
        answer(query, |b| {
            b[2] |= if cut { 2 } else { 0 };
            b[7] = 1;
            b.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
        })
    };
    let mut bench = Bench::new();
    let (right, _) = name_server(move |query, _| vec![with(query, 1, false)]);
    let (wrong, _) = name_server(move |query, _| vec![with(query, 2, false)]);
    let (cut, _) = name_server(move |query, _| vec![with(query, 2, true)]);
    let (found, _) = name_server(move |query, _| vec![with(query, 1, true)]);
    let (looped, _) = name_server(|query, _| {
        vec![answer(query, |b| {
            b[6..8].fill(0xff);
            b.extend([0xc0; 900]);
        })]
    });
    for (checker, address) in (0..).zip([right, wrong, cut, found, looped]) {
        bench.start(checker, address, &dns_wanting(0, Some("192.0.2.1")), 2000, true);
    }
    bench.until_ended(5);
    bench.assert_passed(0);
    bench.assert_failed(1, "192.0.2.1 is not among the answers");
    bench.assert_failed(2, "the answer is cut short, without 192.0.2.1");
    bench.assert_passed(3);
    bench.assert_failed(4, "192.0.2.1 is not among the answers");
}

#[test]
fn what_is_no_answer_is_passed_over_b120() {
    let mut bench = Bench::new();
    let junk = |query: &[u8]| {
        vec![
            Vec::new(),
            query[..11].to_vec(),
            answer(query, |b| b[0] ^= 1),
            query.to_vec(),
            answer(query, |b| b[14] ^= 1),
            answer(query, |b| b[12..14].copy_from_slice(&[0xc0, 12])),
        ]
    };
    let (mixed, _) = name_server(move |query, _| {
        let mut list = junk(query);
        list.push(answer(query, |_| {}));
        list
    });
    let (bad, queries) = name_server(move |query, _| junk(query));
    bench.start(0, mixed, &dns(), 2000, true);
    bench.start(1, bad, &dns(), 400, true);
    bench.until_ended(2);
    bench.assert_passed(0);
    bench.assert_failed(1, "no answer within 400ms");
    let took = bench.took(1);
    assert!((400..550).contains(&took.as_millis()), "HC-1: one deadline: {took:?}");
    assert_eq!(queries.load(Ordering::Relaxed), 2, "asked once more after half of the time, not oftener");
}

#[test]
fn a_lost_datagram_is_no_failure() {
    let mut bench = Bench::new();
    let second = |query: &[u8], number| if number == 2 { vec![answer(query, |_| {})] } else { Vec::new() };
    let (address, _) = name_server(second);
    bench.start(0, address, &dns(), 600, true);
    bench.until_ended(1);
    bench.assert_passed(0);
    assert!((300..500).contains(&bench.took(0).as_millis()), "{:?}", bench.took(0));
}

#[test]
fn a_port_without_a_server_fails_at_once_b122() {
    let mut bench = Bench::new();
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.start(0, gone, &dns(), 3000, true);
    bench.until_ended(1);
    bench.assert_failed(0, "port unreachable");
    assert!(bench.took(0) < Duration::from_millis(500), "ICMP says so: {:?}", bench.took(0));
}

/// An answer from another address than was asked is a stranger's.
#[test]
fn strangers_do_not_answer_for_a_server_b122() {
    let mut bench = Bench::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let (other, mut query) = (UdpSocket::bind("127.0.0.1:0").unwrap(), [0; 512]);
        while let Ok((len, from)) = socket.recv_from(&mut query) {
            let _ = other.send_to(&answer(&query[..len], |_| {}), from);
        }
    });
    bench.start(0, address, &dns(), 300, true);
    bench.until_ended(1);
    bench.assert_failed(0, "no answer within 300ms");
}

#[test]
fn paths_have_a_table_of_their_own() {
    let mut bench = Bench::new();
    let (address, _) = name_server(|query, _| vec![answer(query, |_| {})]);
    let path = ProbeId::PATH + 3;
    bench.start(path, address, &dns(), 1000, true);
    bench.start(3, bench::server(|_| {}), &bench::tcp(), 1000, true);
    bench.until_ended(2);
    bench.assert_passed(path);
    bench.assert_passed(3);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The servers of before close their ends in their own time.
    bench.run_for(100);
    let before = bench::descriptors();
    bench.start(path, silent.local_addr().unwrap(), &dns(), 60_000, true);
    bench.stop(path);
    bench.run_for(50);
    assert_eq!(bench.count(path), 1, "stopped: no event comes of it");
    assert!(bench::descriptors() <= before, "its socket is closed");
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0)
}

/// With a datagram socket, and with a raw one where the kernel lets nobody have the other.
#[test]
fn living_hosts_answer_a_ping_hc40() {
    in_network(|| {
        for range in ["1 0", "0 2147483647"] {
            set("ipv4/ping_group_range", range);
            let mut bench = Bench::new();
            bench.start(0, at("127.0.0.1"), &CheckKind::Ping, 1000, true);
            bench.start(1, at("::1"), &CheckKind::Ping, 1000, true);
            bench.start(2, at("10.77.0.1"), &CheckKind::Ping, 1000, true);
            bench.until_ended(3);
            (0..3).for_each(|checker| bench.assert_passed(checker));
        }
    });
}

#[test]
fn dead_hosts_fail_a_ping_with_the_reason_b123() {
    in_network(|| {
        for range in ["1 0", "0 2147483647"] {
            set("ipv4/ping_group_range", range);
            let mut bench = Bench::new();
            ip("neigh replace 10.77.0.8 lladdr 02:00:00:00:00:08 dev v0");
            ip("route add unreachable 10.79.0.0/24");
            bench.start(0, at("10.77.0.8"), &CheckKind::Ping, 300, true);
            bench.start(1, at("10.77.0.9"), &CheckKind::Ping, 8000, true);
            bench.start(2, at("10.79.0.9"), &CheckKind::Ping, 8000, true);
            bench.start(3, at("192.0.2.1"), &CheckKind::Ping, 8000, true);
            bench.until_ended(4);
            bench.assert_failed(0, "no answer within 300ms");
            bench.assert_failed(1, "host unreachable");
            assert!(bench.took(1) < Duration::from_millis(5000), "ARP gives up: {:?}", bench.took(1));
            bench.assert_failed(2, "no route to host");
            bench.assert_failed(3, "no route to its network");
            ip("route del unreachable 10.79.0.0/24");
        }
    });
}

/// A host that answers first with a wrong sequence number, a wrong token and its own request, then rightly,
/// or never.
#[test]
fn only_the_right_reply_counts_b123() {
    in_network(|| {
        set("ipv4/icmp_echo_ignore_all", "1");
        for range in ["1 0", "0 2147483647"] {
            set("ipv4/ping_group_range", range);
            for rightly in [true, false] {
                let mut bench = Bench::new();
                // SAFETY: numbers only; a raw socket to hear requests and to send replies.
                let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) };
                assert!(raw >= 0);
                bench.start(0, at("127.0.0.1"), &CheckKind::Ping, 500, true);
                bench.turn();
                let request = request(raw);
                for (at, flip) in [(0, 8), (7, 1), (20, 1)] {
                    reply(raw, &request, at, flip);
                }
                bench.run_for(60);
                assert_eq!(bench.count(0), 0, "B-123: a wrong one is passed over ({range})");
                if rightly {
                    reply(raw, &request, 0, 0);
                }
                bench.until_ended(1);
                match rightly {
                    true => bench.assert_passed(0),
                    false => bench.assert_failed(0, "no answer within 500ms"),
                }
                // Late, for the next probe to hear.
                reply(raw, &request, 0, 0);
                bench.start(0, at("127.0.0.1"), &CheckKind::Ping, 200, true);
                bench.turn();
                reply(raw, &request, 0, 0);
                bench.until_ended(2);
                bench.assert_failed(0, "no answer within 200ms");
                // SAFETY: ours.
                unsafe { libc::close(raw) };
            }
        }
    });
}

/// The right answer from the wrong host: the kernel looks at the identifier alone where the socket is no raw
/// one.
#[test]
fn a_reply_of_a_stranger_does_not_count_hc40() {
    in_network(|| {
        set("ipv4/icmp_echo_ignore_all", "1");
        for range in ["1 0", "0 2147483647"] {
            set("ipv4/ping_group_range", range);
            let mut bench = Bench::new();
            // SAFETY: numbers only.
            let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) };
            // SAFETY: likewise.
            let stranger = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) };
            assert!(raw >= 0 && stranger >= 0);
            bind(stranger, [127, 0, 0, 2]);
            bench.start(0, at("127.0.0.1"), &CheckKind::Ping, 300, true);
            bench.turn();
            let request = request(raw);
            reply(stranger, &request, 0, 0);
            bench.until_ended(1);
            bench.assert_failed(0, "no answer within 300ms");
            // SAFETY: both are ours.
            unsafe { (libc::close(raw), libc::close(stranger)) };
        }
    });
}

/// The same over IPv6, whose replies no checksum of ours covers.
#[test]
fn only_the_right_reply_counts_over_ipv6_b123() {
    in_network(|| {
        set("ipv6/icmp/echo_ignore_all", "1");
        for range in ["1 0", "0 2147483647"] {
            set("ipv4/ping_group_range", range);
            for rightly in [true, false] {
                let mut bench = Bench::new();
                let raw = Raw6::new("::1");
                ip("-6 addr replace fd00::2/128 dev lo nodad");
                let stranger = Raw6::new("fd00::2");
                bench.start(0, at("::1"), &CheckKind::Ping, 500, true);
                bench.turn();
                let request = raw.request();
                stranger.reply(&request, 0, 0);
                // Its own request, a wrong sequence number, other data; then none at all.
                for (at, flip) in [(0, 1), (7, 1), (20, 1)] {
                    raw.reply(&request, at, flip);
                }
                raw.send(&[129, 0, 0, 0]);
                bench.run_for(60);
                assert_eq!(bench.count(0), 0, "B-123: a wrong one is passed over ({range})");
                if rightly {
                    raw.reply(&request, 0, 0);
                }
                bench.until_ended(1);
                match rightly {
                    true => bench.assert_passed(0),
                    false => bench.assert_failed(0, "no answer within 500ms"),
                }
                // Late, for the next probe to hear.
                bench.start(0, at("::1"), &CheckKind::Ping, 200, true);
                bench.turn();
                raw.reply(&request, 0, 0);
                bench.until_ended(2);
                bench.assert_failed(0, "no answer within 200ms");
            }
        }
    });
}

/// Somebody on the way says why there is no reply (RFC 4443 §3); a word about another packet says nothing.
#[test]
fn icmpv6_errors_are_told_at_once_b123() {
    in_network(|| {
        set("ipv6/icmp/echo_ignore_all", "1");
        ip("-6 addr add fd00:77::1/64 dev v0 nodad");
        ip("-6 route add unreachable fd00:79::/64");
        for range in ["1 0", "0 2147483647"] {
            set("ipv4/ping_group_range", range);
            // Type, code, and what becomes of the probe; `false`: it goes on.
            for (kind, code, words, ends) in [
                (1, 0, "network unreachable", true),
                (1, 1, "prohibited on the way", true),
                (1, 3, "host unreachable", true),
                (1, 4, "protocol unreachable", true),
                // "Packet too big": no honest router says so of a ping.
                (2, 0, "no answer within 400ms", false),
            ] {
                let mut bench = Bench::new();
                let raw = Raw6::new("::1");
                bench.start(0, at("::1"), &CheckKind::Ping, 400, true);
                bench.turn();
                let request = raw.request();
                raw.error(kind, code, &request);
                let mut turns = 0;
                while bench.count(0) == 0 {
                    bench.turn();
                    turns += 1;
                }
                bench.assert_failed(0, words);
                assert!(turns < 50, "the loop spins: {turns} turns ({range})");
                assert_eq!(bench.took(0) < Duration::from_millis(300), ends, "{:?} ({range})", bench.took(0));
            }
            let mut bench = Bench::new();
            bench.start(0, at("fd00:77::9"), &CheckKind::Ping, 8000, true);
            bench.start(1, at("fd00:79::9"), &CheckKind::Ping, 8000, true);
            bench.start(2, at("2001:db8::1"), &CheckKind::Ping, 8000, true);
            bench.until_ended(3);
            bench.assert_failed(0, "host unreachable");
            bench.assert_failed(1, "no route to host");
            bench.assert_failed(2, "no route to its network");
        }
        // The kernel knows our identifier on a datagram socket, and whose error it is.
        let mut bench = Bench::new();
        let raw = Raw6::new("::1");
        bench.start(0, at("::1"), &CheckKind::Ping, 400, true);
        bench.turn();
        let mut request = raw.request();
        request[4] ^= 1;
        raw.error(1, 3, &request);
        bench.until_ended(1);
        bench.assert_failed(0, "no answer within 400ms");
    });
}

/// A raw socket of ICMPv6 with an address of its own. The kernel puts the checksum into what it sends.
struct Raw6(i32);

impl Raw6 {
    fn new(address: &str) -> Self {
        // SAFETY: numbers only; then a zeroed address, which is one, and its fields are set.
        unsafe {
            let raw = libc::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6);
            let mut from: libc::sockaddr_in6 = std::mem::zeroed();
            from.sin6_family = libc::AF_INET6 as _;
            from.sin6_addr.s6_addr = address.parse::<std::net::Ipv6Addr>().unwrap().octets();
            let len = std::mem::size_of_val(&from) as u32;
            assert_eq!(libc::bind(raw, (&raw const from).cast(), len), 0, "{address}");
            Raw6(raw)
        }
    }

    /// The echo request that is on the loopback.
    fn request(&self) -> Vec<u8> {
        let end = Instant::now() + Duration::from_secs(2);
        let mut packet = [0; 256];
        loop {
            // SAFETY: the buffer is as long as said.
            let len = unsafe { libc::recv(self.0, packet.as_mut_ptr().cast(), 256, libc::MSG_DONTWAIT) };
            if len > 8 && packet[0] == 128 {
                return packet[..len as usize].to_vec();
            }
            assert!(Instant::now() < end, "no echo request was sent");
        }
    }

    /// Sends an echo reply to `request`, one byte of it changed.
    fn reply(&self, request: &[u8], at: usize, flip: u8) {
        let mut message = request.to_vec();
        message[0] = 129;
        message[at] ^= flip;
        self.send(&message);
    }

    /// Sends an error about `request`, which went from ::1 to ::1.
    fn error(&self, kind: u8, code: u8, request: &[u8]) {
        let mut message = vec![kind, code, 0, 0, 0, 0, 5, 0];
        message.extend([0x60, 0, 0, 0, 0, request.len() as u8, 58, 64]);
        for _ in 0..2 {
            message.extend(std::net::Ipv6Addr::LOCALHOST.octets());
        }
        message.extend_from_slice(request);
        self.send(&message);
    }

    fn send(&self, message: &[u8]) {
        // SAFETY: a zeroed address is one, and its fields are set; all pointers are to what is here.
        unsafe {
            let mut to: libc::sockaddr_in6 = std::mem::zeroed();
            to.sin6_family = libc::AF_INET6 as _;
            to.sin6_addr.s6_addr = std::net::Ipv6Addr::LOCALHOST.octets();
            let len = std::mem::size_of_val(&to) as u32;
            libc::sendto(self.0, message.as_ptr().cast(), message.len(), 0, (&raw const to).cast(), len);
        }
    }
}

impl Drop for Raw6 {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { libc::close(self.0) };
    }
}

/// Binds a raw socket to an address.
fn bind(raw: i32, address: [u8; 4]) {
    // SAFETY: a zeroed address is one, and its fields are set.
    unsafe {
        let mut from: libc::sockaddr_in = std::mem::zeroed();
        from.sin_family = libc::AF_INET as _;
        from.sin_addr.s_addr = u32::from_ne_bytes(address);
        assert_eq!(libc::bind(raw, (&raw const from).cast(), std::mem::size_of_val(&from) as u32), 0);
    }
}

/// The ICMP message of the echo request that is on the loopback.
fn request(raw: i32) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(2);
    let mut packet = [0; 256];
    loop {
        // SAFETY: the buffer is as long as said.
        let len = unsafe { libc::recv(raw, packet.as_mut_ptr().cast(), packet.len(), libc::MSG_DONTWAIT) };
        if len > 28 && packet[20] == 8 {
            return packet[20..len as usize].to_vec();
        }
        assert!(Instant::now() < end, "no echo request was sent");
    }
}

/// Sends an echo reply to `request`, one byte of it changed.
fn reply(raw: i32, request: &[u8], at: usize, flip: u8) {
    let mut message = request.to_vec();
    message[0] = 0;
    message[at] ^= flip;
    message[2..4].fill(0);
    let sum: u32 = message.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    // SAFETY: a zeroed address is one, and its fields are set; all pointers are to what is here.
    unsafe {
        let mut to: libc::sockaddr_in = std::mem::zeroed();
        to.sin_family = libc::AF_INET as _;
        to.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let len = std::mem::size_of_val(&to) as u32;
        libc::sendto(raw, message.as_ptr().cast(), message.len(), 0, (&raw const to).cast(), len);
    }
}
