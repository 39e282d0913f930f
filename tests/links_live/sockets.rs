//! The VRRP sockets.

use crate::bed::{in_namespace, index_of, ip};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use vipd::engine::{Ear, Refusal};
use vipd::sys::packet::{PacketSockets, frame_buffer};
use vipd::sys::poll::PollSet;
use vipd::time::Duration;
use vipd::wire::vrrp::Family;

const GROUP4: &str = "224.0.0.18";
const GROUP6: &str = "ff02::12";
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn ear(index: u32, group: &str, joins: bool) -> Ear {
    let group: IpAddr = group.parse().unwrap();
    Ear { index, family: Family::of(group), group: Some(group), joins }
}

/// Two ends of a cable, `v0` and `v1`, both up.
fn cable() -> (u32, u32) {
    ip("link add v0 type veth peer name v1");
    ip("link set v0 up");
    ip("link set v1 up");
    settle();
    (index_of("v0"), index_of("v1"))
}

/// Waits until both ends of the cable send: the kernel drops everything until its link watch, which is up to
/// a second late, has seen the carrier.
fn settle() {
    for _ in 0..100 {
        if ["v0", "v1"].iter().all(|name| ip(&format!("link show dev {name}")).contains("state UP")) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("a cable without a carrier: {}", ip("link"));
}

fn ipv4(protocol: u8, destination: [u8; 4], last: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0xc0, 0, 28, 0, 1, 0, 0, 255, protocol, 0, 0, 10, 0, 0, 9];
    packet.extend(destination);
    packet.extend([0x31, 51, 100, 0, 0, 0, 0, last]);
    packet
}

fn ipv6(next_header: u8, last: u8) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 8, next_header, 255];
    packet.extend("fe80::9".parse::<std::net::Ipv6Addr>().unwrap().octets());
    packet.extend(GROUP6.parse::<std::net::Ipv6Addr>().unwrap().octets());
    packet.extend([0x31, 51, 100, 0, 0, 0, 0, last]);
    packet
}

fn ethernet(destination: [u8; 6], ethertype: u16, packet: &[u8]) -> Vec<u8> {
    [&destination[..], &MAC, &ethertype.to_be_bytes(), packet].concat()
}

/// What comes in within a moment.
fn heard(sockets: &mut PacketSockets) -> Vec<(u32, Vec<u8>)> {
    let (mut poll, mut buffer, mut all) = (PollSet::new(), frame_buffer(), Vec::new());
    for _ in 0..20 {
        poll.clear();
        sockets.register(&mut poll);
        poll.wait(Some(Duration::from_millis(20))).unwrap();
        let before = all.len();
        for port in 0..sockets.count() {
            while let Some(got) = sockets.receive(port, &poll, &mut buffer) {
                assert!(!got.truncated);
                all.push((got.index, buffer[..got.len].to_vec()));
            }
        }
        if all.len() == before && !all.is_empty() {
            break;
        }
    }
    all
}

#[test]
fn sock12_sock13_sock14_both_families_hear_their_own_untagged_frames_alone() {
    in_namespace(|| {
        let (v0, v1) = cable();
        let mut sockets = PacketSockets::open().unwrap();
        sockets.listen(&ear(v0, GROUP4, true)).unwrap();
        sockets.listen(&ear(v0, GROUP6, true)).unwrap();
        sockets.listen(&ear(v0, GROUP6, true)).unwrap();
        assert_eq!(sockets.count(), 2, "one socket for each family, and none twice");
        let (group4, group6) = ([1, 0, 0x5e, 0, 0, 18], [0x33, 0x33, 0, 0, 0, 0x12]);
        let other = PacketSockets::open().unwrap();
        let send = |frame: &[u8]| other.send(v1, frame).unwrap();
        let good4 = ethernet(group4, 0x800, &ipv4(112, [224, 0, 0, 18], 1));
        let good6 = ethernet(group6, 0x86dd, &ipv6(112, 2));
        let ah = ethernet(group4, 0x800, &ipv4(51, [224, 0, 0, 18], 3));
        send(&good4);
        send(&ethernet(group4, 0x800, &ipv4(17, [224, 0, 0, 18], 4)));
        send(&good6);
        send(&ethernet(group6, 0x86dd, &ipv6(58, 5)));
        send(&ah);
        send(&ethernet(group4, 0x800, &ipv4(51, [10, 0, 0, 1], 6)));
        // Tagged for VLAN 7, as it is on the wire.
        send(&ethernet(group4, 0x8100, &[&[0, 7, 8, 0][..], &ipv4(112, [224, 0, 0, 18], 7)].concat()));
        other.send(v0, &good4).unwrap();
        let mut got = heard(&mut sockets);
        got.sort();
        let mut want = vec![(v0, good4), (v0, good6), (v0, ah)];
        want.sort();
        assert_eq!(got, want, "VRRP and multicast AH, not tagged (SOCK-12), not our own (SOCK-13)");
    });
}

#[test]
fn sock21_sock22_sock23_memberships_are_told_on_the_base_and_survive_the_link() {
    in_namespace(|| {
        let (v0, v1) = cable();
        ip("addr add 10.0.0.1/24 dev v0");
        let mut sockets = PacketSockets::open().unwrap();
        for group in [GROUP4, GROUP6] {
            sockets.listen(&ear(v0, group, true)).unwrap();
            sockets.listen(&ear(v1, group, false)).unwrap();
        }
        let told = |name: &str| {
            let all = ip(&format!("maddr show dev {name}"));
            (all.contains("inet  224.0.0.18"), all.contains("inet6 ff02::12"))
        };
        let filtered = |name: &str| {
            let all = ip(&format!("maddr show dev {name}"));
            (all.contains("link  01:00:5e:00:00:12"), all.contains("link  33:33:00:00:00:12"))
        };
        assert_eq!((told("v0"), filtered("v0")), ((true, true), (true, true)), "SOCK-22: MLD on the base");
        assert_eq!(told("v1"), (false, false), "SOCK-21: no report goes out of a macvlan");
        assert_eq!(filtered("v1"), (true, true), "SOCK-10: its filter lets the groups in all the same");
        ip("link set v0 down");
        ip("link set v0 up");
        assert_eq!(told("v0"), (true, true), "SOCK-23: a membership lives as long as the interface");
        for group in [GROUP4, GROUP6] {
            sockets.unlisten(&ear(v0, group, true));
            sockets.unlisten(&ear(v1, group, false));
        }
        assert_eq!((told("v0"), filtered("v0")), ((false, false), (false, false)), "SOCK-23: left");
        assert_eq!((filtered("v1"), sockets.count()), ((false, false), 0));
    });
}

#[test]
fn sock24_twenty_five_interfaces_have_a_membership_each() {
    in_namespace(|| {
        let mut sockets = PacketSockets::open().unwrap();
        for n in 0..25 {
            ip(&format!("link add v{n} type veth peer name w{n}"));
            ip(&format!("link set v{n} up"));
            sockets.listen(&ear(index_of(&format!("v{n}")), GROUP4, true)).unwrap();
        }
        let all = ip("maddr show");
        assert_eq!(all.matches("inet  224.0.0.18").count(), 25, "the kernel gives 20 groups to a socket");
    });
}

#[test]
fn sock11_interface_that_goes_down_or_away_is_no_disaster() {
    in_namespace(|| {
        let (v0, v1) = cable();
        let mut sockets = PacketSockets::open().unwrap();
        sockets.listen(&ear(v0, GROUP4, true)).unwrap();
        let good = ethernet([1, 0, 0x5e, 0, 0, 18], 0x800, &ipv4(112, [224, 0, 0, 18], 1));
        ip("link set v0 down");
        assert_eq!(heard(&mut sockets), [], "ENETDOWN is told once, and is nothing");
        ip("link set v0 up");
        settle();
        PacketSockets::open().unwrap().send(v1, &good).unwrap();
        assert_eq!(heard(&mut sockets), [(v0, good.clone())], "the same socket hears again");
        ip("link del v0");
        assert_eq!(heard(&mut sockets), []);
        sockets.unlisten(&ear(v0, GROUP4, true));
        assert_eq!(sockets.count(), 0);
        assert!(sockets.listen(&ear(v0, GROUP4, true)).is_err(), "the index is gone");
        assert_eq!(sockets.count(), 0, "a refusal leaves nothing behind");
    });
}

#[test]
fn sock17_lost_frames_are_counted() {
    in_namespace(|| {
        let (v0, v1) = cable();
        let mut sockets = PacketSockets::open().unwrap();
        sockets.listen(&ear(v0, GROUP4, true)).unwrap();
        let good = ethernet([1, 0, 0x5e, 0, 0, 18], 0x800, &ipv4(112, [224, 0, 0, 18], 1));
        let other = PacketSockets::open().unwrap();
        for _ in 0..5000 {
            let _ = other.send(v1, &good);
        }
        sockets.watch_drops(vipd::sys::clock::now());
        assert!(sockets.dropped() > 0, "5,000 frames do not fit into the queue of a socket");
        let dropped = sockets.dropped();
        sockets.watch_drops(vipd::sys::clock::now());
        assert_eq!(sockets.dropped(), dropped, "asked at most once a minute");
    });
}

/// A tunnel device of our own, and its descriptor: what is written there comes out of the interface.
fn tun(name: &str) -> OwnedFd {
    // SAFETY: constants and a zeroed ifreq of the right size; the descriptor is ours alone.
    unsafe {
        let fd = libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | libc::O_NONBLOCK);
        assert!(fd >= 0, "tun: {}", std::io::Error::last_os_error());
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as _;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as _;
        let rc = libc::ioctl(fd, libc::TUNSETIFF as _, &raw mut request);
        assert_eq!(rc, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

#[test]
fn sock15_tunnel_without_ethernet_gives_frames_too() {
    in_namespace(|| {
        let fd = tun("tun0");
        ip("link set tun0 up");
        ip("addr add 10.7.0.1/24 dev tun0");
        let index = index_of("tun0");
        let mut sockets = PacketSockets::open().unwrap();
        for family in [Family::V4, Family::V6] {
            sockets.listen(&Ear { index, family, group: None, joins: false }).unwrap();
        }
        let (four, six) = (ipv4(112, [10, 7, 0, 1], 1), ipv6(112, 2));
        for packet in [&four, &six, &ipv4(17, [10, 7, 0, 1], 3)] {
            // SAFETY: the packet is as long as said.
            let n = unsafe { libc::write(fd.as_raw_fd(), packet.as_ptr().cast(), packet.len()) };
            assert_eq!(n, packet.len() as isize, "{}", std::io::Error::last_os_error());
        }
        let mut got = heard(&mut sockets);
        got.sort();
        let frame = |ethertype: u16, packet: &[u8]| {
            (index, [&[0; 12][..], &ethertype.to_be_bytes(), packet].concat())
        };
        assert_eq!(got, [frame(0x800, &four), frame(0x86dd, &six)], "an Ethernet header of zeros in front");
    });
}

#[test]
fn sock6_packets_to_unicast_peers_leave_by_the_interface_as_they_are() {
    in_namespace(|| {
        let (v0, v1) = cable();
        let local = [("v0", "10.0.0.9/24", "fe80::9/64"), ("v1", "10.0.0.2/24", "fe80::2/64")];
        for (name, four, six) in local {
            ip(&format!("addr add {four} dev {name}"));
            ip(&format!("addr add {six} dev {name} nodad"));
        }
        // Both ends are in one namespace, where nobody would answer for the peer.
        ip("link set v1 address 02:00:00:00:00:07");
        ip("neigh add 10.0.0.7 dev v0 lladdr 02:00:00:00:00:07");
        ip("neigh add fe80::7 dev v0 lladdr 02:00:00:00:00:07");
        let mut sockets = PacketSockets::open().unwrap();
        for family in [Family::V4, Family::V6] {
            sockets.listen(&Ear { index: v1, family, group: None, joins: false }).unwrap();
        }
        let mut four = ipv4(112, [10, 0, 0, 7], 1);
        let sum = vipd_sum(&four[..20]);
        four[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut six = ipv6(112, 2);
        six[24..40].copy_from_slice(&"fe80::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        sockets.send_packet(v0, &four).unwrap();
        sockets.send_packet(v0, &six).unwrap();
        let got = heard(&mut sockets);
        let of = |packet: &[u8]| got.iter().any(|(index, frame)| *index == v1 && frame[14..] == *packet);
        assert!(of(&four), "IPv4, TTL 255 and checksum as we wrote them: {got:?}");
        assert!(of(&six), "IPv6, link-local, hop limit 255: {got:?}");
        for bad in [&[][..], &[0x45; 10], &[0x60; 30], &[0; 40]] {
            assert_eq!(sockets.send_packet(v0, bad), Err(Refusal::Invalid), "{bad:?}");
        }
        assert!(sockets.send_packet(4000, &four).is_err(), "no such interface");
        assert!(sockets.send_packet(4000, &six).is_err(), "no such interface");
    });
}

#[test]
fn sock6_the_interface_wins_over_the_route() {
    in_namespace(|| {
        cable();
        let fd = tun("tun0");
        ip("link set tun0 up");
        ip("addr add 10.7.0.1/24 dev tun0");
        ip("addr add 2001:db8:7::1/64 dev tun0 nodad");
        ip("addr add 10.0.0.9/24 dev v0");
        let index = index_of("tun0");
        let mut sockets = PacketSockets::open().unwrap();
        let read = || {
            let mut buffer = [0; 2048];
            // SAFETY: the buffer is as long as said.
            let n = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            usize::try_from(n).ok().map(|n| buffer[..n].to_vec())
        };
        // What the kernel says on a new interface by itself.
        while read().is_some() {}
        // 10.0.0.7 would go through v0.
        let packet = ipv4(112, [10, 0, 0, 7], 1);
        sockets.send_packet(index, &packet).unwrap();
        let got = std::iter::from_fn(read).find(|p| p.get(9) == Some(&112)).expect("it left by the tunnel");
        assert_eq!((got[8], &got[16..20], got[27]), (255, &[10, 0, 0, 7][..], 1));
        let mut six = ipv6(112, 2);
        six[24..40].copy_from_slice(&"2001:db8:7::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        sockets.send_packet(index, &six).unwrap();
        assert!(std::iter::from_fn(read).any(|p| p == six), "IPv6, as it was handed over");
    });
}

fn vipd_sum(header: &[u8]) -> u16 {
    let mut sum: u32 = header.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
