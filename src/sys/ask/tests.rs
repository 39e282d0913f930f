//! What decides a probe of one datagram, and what does not.

use super::*;
use crate::sys::poll::{Interest, PollSet};

/// Its socket has the error before the question is repeated, and is not read in between.
#[test]
fn what_a_repeated_question_is_told_is_the_outcome_b122() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let (now, timeout, target) = (Instant::ZERO, Duration::from_secs(2), Target::new(address));
    let question = Question::Dns { rcode: 0, address: None };
    let mut ask = Ask::begin(now, question, b"query", &target, timeout).unwrap();
    let mut set = PollSet::new();
    let slot = set.add(ask.as_fd(), Interest::Read);
    set.wait(Some(timeout)).unwrap();
    assert!(set.is_ready(slot), "the kernel tells at once");
    assert_eq!(ask.tick(now, b"query"), None, "it is not due yet");
    let outcome = ask.tick(now + timeout, b"query");
    assert_eq!(outcome, Some(Outcome::Failed(cut(format_args!("port unreachable")))), "the loop would spin");
}

/// What is made of a good reply.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

const SECOND: Duration = Duration::from_secs(1);

/// A question on its way, with a socket that nobody asks.
fn asking(question: Question, address: &str, is_raw: bool) -> Ask {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
    Ask { socket, question, address: address.parse().unwrap(), is_raw, again_at: None }
}

/// The message of a ping, and what the host makes of it: as a datagram socket gives it, and a raw one.
fn echo(address: &str) -> (Vec<u8>, Vec<u8>) {
    let mut message = vec![0; ECHO_LEN];
    let address = SocketAddr::new(address.parse().unwrap(), 0);
    assert_eq!(ping(address, 0x1234, &mut message), Some(ECHO_LEN));
    let mut reply = message.clone();
    match address {
        SocketAddr::V4(_) => {
            reply[0] = 0;
            put_sum(&mut reply);
        }
        SocketAddr::V6(_) => reply[0] = 129,
    }
    (message, reply)
}

fn put_sum(message: &mut [u8]) {
    use crate::wire::checksum::{finish, sum};
    message[2..4].fill(0);
    let sum = finish(sum(0, message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// `reply` as a raw socket of IPv4 gives it.
fn with_header(reply: &[u8]) -> Vec<u8> {
    let mut packet =
        vec![0x45, 0, 0, (20 + reply.len()) as u8, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    packet.extend_from_slice(reply);
    packet
}

/// HC-40: the one reply with our sequence number and our data, and on a raw socket our identifier.
#[test]
fn an_echo_reply_is_ours_or_nothing_b123() {
    for (address, is_raw) in [("127.0.0.1", false), ("127.0.0.1", true), ("::1", false), ("::1", true)] {
        let ask = asking(Question::Ping, address, is_raw);
        let is_v4 = ask.address.is_ipv4();
        let (message, good) = echo(address);
        let judge = |change: Change<'_>| {
            let mut reply = good.clone();
            change(&mut reply);
            if is_v4 && reply.len() >= 4 {
                put_sum(&mut reply);
            }
            let datagram = if is_v4 && is_raw { with_header(&reply) } else { reply };
            ask.judge(&message, &datagram, datagram.len())
        };
        assert_eq!(judge(&|_| {}), Some(Outcome::Passed), "{address} {is_raw}");
        let by_ident = judge(&|reply| reply[5] ^= 1);
        let want = if is_raw { None } else { Some(Outcome::Passed) };
        assert_eq!(by_ident, want, "{address}: the kernel compares it on a datagram socket alone");
        let wrong: &[(&str, Change<'_>)] = &[
            ("the peer's own request", &|reply| reply[0] = if is_v4 { 8 } else { 128 }),
            ("unreachable", &|reply| reply[0] = if is_v4 { 3 } else { 1 }),
            ("time exceeded", &|reply| reply[0] = if is_v4 { 11 } else { 3 }),
            ("the sequence number of another one", &|reply| reply[7] ^= 1),
            ("in the wrong byte order", &|reply| reply[6..8].reverse()),
            ("other data", &|reply| reply[8] ^= 1),
            ("other data at the end", &|reply| reply[ECHO_LEN - 1] ^= 1),
            ("no data", &|reply| reply.truncate(8)),
            ("a byte less", &|reply| reply.truncate(ECHO_LEN - 1)),
            ("a byte more", &|reply| reply.push(0)),
            ("the data of a large packet", &|reply| reply.resize(1000, 0)),
            ("nothing", &|reply| reply.clear()),
        ];
        for (what, change) in wrong {
            assert_eq!(judge(change), None, "{address}, raw {is_raw}: {what}");
        }
    }
}

/// 2,000 damaged replies, and each cut: none is taken for the answer, and none ends the probe.
#[test]
fn a_damaged_echo_reply_is_passed_over_b123() {
    let mut random = 0x9e37_79b9_u32;
    for (address, is_raw) in [("127.0.0.1", false), ("127.0.0.1", true), ("::1", true)] {
        let ask = asking(Question::Ping, address, is_raw);
        let (message, good) = echo(address);
        let good = if is_raw && ask.address.is_ipv4() { with_header(&good) } else { good };
        assert_eq!(ask.judge(&message, &good, good.len()), Some(Outcome::Passed));
        for len in 0..good.len() {
            assert_eq!(ask.judge(&message, &good[..len], len), None, "{len} bytes");
        }
        let icmp = good.len() - ECHO_LEN;
        for _ in 0..2000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (at, bit) = (icmp + (random >> 8) as usize % ECHO_LEN, random >> 29);
            // The kernel has verified the checksum of ICMPv6.
            if !ask.address.is_ipv4() && (2..4).contains(&(at - icmp)) {
                continue;
            }
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert_eq!(ask.judge(&message, &bad, bad.len()), None, "{address}: bit {bit} of byte {at}");
        }
    }
}

/// Nothing came: the words, and what UDP may want (HC-35).
#[test]
fn silence_has_its_words_b123() {
    let udp = |needs_reply| Question::Udp { payload_len: 1, needs_reply, reply_min: 0, reply_max: 9 };
    let words = |question| asking(question, "127.0.0.1", false).late(SECOND);
    let silent = Outcome::Failed(cut(format_args!("no answer within 1s")));
    assert_eq!(words(Question::Ping), silent);
    assert_eq!(words(Question::Dns { rcode: 0, address: None }), silent);
    assert_eq!(words(udp(true)), silent);
    assert_eq!(words(udp(false)), Outcome::Passed);
}

/// What the network says instead of an answer (B-122, B-123): a verdict, but not where this host lacks
/// something (HC-4).
#[test]
fn errors_on_the_way_have_their_words_b122() {
    let udp = Question::Udp { payload_len: 1, needs_reply: true, reply_min: 0, reply_max: 9 };
    for (question, errno, words) in [
        (Question::Ping, Errno::ECONNREFUSED, "protocol unreachable"),
        (udp, Errno::ECONNREFUSED, "port unreachable"),
        (Question::Dns { rcode: 0, address: None }, Errno::ECONNREFUSED, "port unreachable"),
        (Question::Ping, Errno::EHOSTUNREACH, "host unreachable"),
        (udp, Errno::EHOSTDOWN, "host unreachable"),
        (Question::Ping, Errno::ENETUNREACH, "network unreachable"),
        (Question::Ping, Errno::EACCES, "prohibited on the way"),
        (udp, Errno::EPROTO, "error on the way: Protocol error"),
    ] {
        assert_eq!(told(question, errno), Outcome::Failed(cut(format_args!("{words}"))), "{errno}");
    }
    for errno in [Errno::ENOMEM, Errno::ENOBUFS] {
        assert!(matches!(told(udp, errno), Outcome::NotRun(_)), "HC-4: {errno}");
    }
}
