use super::*;
use crate::wire::netlink::Body;

const PORT: u32 = 77;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const NEWADDR: u16 = 20;
const MULTI: u16 = NLM_F_MULTI;
const INTR: u16 = NLM_F_MULTI | NLM_F_DUMP_INTR;

/// The kernel's side: makes datagrams, keeps the events.
struct Bed {
    monitor: Monitor,
    now: Instant,
    events: Vec<Event<'static>>,
}

impl Bed {
    fn new() -> Self {
        Bed { monitor: Monitor::new(PORT, true), now: Instant::from_secs(100), events: Vec::new() }
    }

    /// What `next_request` sends: its type and number.
    fn asked(&mut self) -> Option<(u16, u32)> {
        let mut bytes = [0; 64];
        let mut batch = Batch::new(&mut bytes);
        let events = &mut self.events;
        if !self.monitor.next_request(self.now, &mut batch, &mut |e| events.push(e)) {
            return None;
        }
        let message = Messages::new(batch.bytes()).next().unwrap().unwrap();
        Some((message.kind, message.seq))
    }

    fn receive(&mut self, kind: u16, flags: u16, seq: u32, port: u32, fill: impl FnOnce(&mut Body<'_>)) {
        let mut bytes = [0; 256];
        let mut batch = Batch::new(&mut bytes);
        batch.message(kind, flags, seq, fill).unwrap();
        let mut bytes = batch.bytes().to_vec();
        bytes[12..16].copy_from_slice(&port.to_ne_bytes());
        let events = &mut self.events;
        self.monitor.handle_datagram(self.now, &bytes, &mut |e| events.push(e));
    }

    fn link(&mut self, kind: u16, flags: u16, seq: u32, port: u32, index: u32) {
        self.receive(kind, flags, seq, port, |body| link(body, index));
    }

    fn done(&mut self, flags: u16, seq: u32) {
        self.receive(DONE, flags, seq, PORT, |body| body.bytes(&[0; 4]));
    }

    /// Answers one whole dump from now on; says whether it was called complete.
    fn dump(&mut self, flags: u16) -> bool {
        let before = self.events.len();
        let (_, seq) = self.asked().expect("links are asked for");
        self.link(NEWLINK, flags, seq, PORT, 1);
        self.done(MULTI, seq);
        if let Some((kind, seq)) = self.asked()
            && kind == 22
        {
            self.done(MULTI, seq);
        }
        self.events[before..].iter().any(|e| matches!(e, Event::DumpEnd))
    }

    /// The events since the last call, in short.
    fn told(&mut self) -> Vec<String> {
        self.events
            .drain(..)
            .map(|event| match event {
                Event::DumpStart => "start".into(),
                Event::DumpEnd => "end".into(),
                Event::Link(link) => format!("link {}", link.index),
                Event::LinkGone { index } => format!("gone {index}"),
                Event::Address { cidr, change, .. } => format!("{cidr} {change:?}"),
                Event::Route { route, is_present } => {
                    let gateway = route.gateway.map_or("direct".into(), |g| g.to_string());
                    let sign = if is_present { '+' } else { '-' };
                    format!("{sign}route {} {gateway} dev {}", route.destination, route.index)
                }
                Event::Rule { rule, ours, is_present } => {
                    let sign = if is_present { '+' } else { '-' };
                    format!("{sign}rule {} ours {ours}", rule.priority)
                }
                other => panic!("not an event of the monitor: {other:?}"),
            })
            .collect()
    }
}

fn link(body: &mut Body<'_>, index: u32) {
    let [i0, i1, i2, i3] = index.to_ne_bytes();
    let [t0, t1] = 1u16.to_ne_bytes();
    let [f0, f1, f2, f3] = 0x1043u32.to_ne_bytes();
    body.bytes(&[0, 0, t0, t1, i0, i1, i2, i3, f0, f1, f2, f3, 0, 0, 0, 0]);
    body.attribute(3, b"eth0\0");
    body.attribute_u32(4, 1500);
    body.attribute(1, &[2, 0, 0, 0, 0, 1]);
}

fn address(body: &mut Body<'_>, protocol: Option<u8>, valid: Option<u32>) {
    let [i0, i1, i2, i3] = 3u32.to_ne_bytes();
    body.bytes(&[2, 24, if valid.is_none() { 0x80 } else { 0 }, 0, i0, i1, i2, i3]);
    body.attribute(2, &[10, 0, 0, 1]);
    let valid = valid.unwrap_or(u32::MAX).to_ne_bytes();
    body.attribute(6, &[&[0; 4][..], &valid, &[0; 8]].concat());
    if let Some(protocol) = protocol {
        body.attribute(11, &[protocol]);
    }
}

#[test]
fn dump_tells_links_then_addresses_between_start_and_end() {
    let mut bed = Bed::new();
    assert_eq!(bed.asked(), None, "nothing is asked for before it is wanted");
    assert_eq!(bed.monitor.next_deadline(), None);
    bed.monitor.want_dump();
    assert_eq!(bed.monitor.next_deadline(), Some(Instant::ZERO), "the loop comes at once");
    let (kind, seq) = bed.asked().unwrap();
    assert_eq!(kind, 18);
    assert_eq!(bed.asked(), None, "one request at a time");
    bed.link(NEWLINK, MULTI, seq, PORT, 3);
    bed.done(MULTI, seq);
    let (kind, seq) = bed.asked().unwrap();
    assert_eq!(kind, 22);
    bed.receive(NEWADDR, MULTI, seq, PORT, |body| address(body, Some(112), Some(3)));
    bed.done(MULTI, seq);
    assert_eq!(
        bed.told(),
        ["start", "link 3", "10.0.0.1/24 Present { ours: true, secondary: false }", "end"]
    );
    assert_eq!(bed.monitor.next_deadline(), None);
}

#[test]
fn link_without_arp_has_no_mac_and_running_needs_up() {
    let mut bed = Bed::new();
    bed.link(NEWLINK, 0, 0, 0, 3);
    let no_arp_and_down = |body: &mut Body<'_>| {
        let head = [&[0, 0][..], &1u16.to_ne_bytes(), &3u32.to_ne_bytes(), &0xc0u32.to_ne_bytes(), &[0; 4]];
        body.bytes(&head.concat());
        body.attribute(3, b"eth0\0");
        body.attribute_u32(4, 1500);
        body.attribute(1, &[2, 0, 0, 0, 0, 1]);
    };
    bed.receive(NEWLINK, 0, 0, 0, no_arp_and_down);
    let links: Vec<(bool, Option<[u8; 6]>)> = bed
        .events
        .iter()
        .map(|event| match event {
            Event::Link(link) => (link.running, link.mac),
            other => panic!("not a link: {other:?}"),
        })
        .collect();
    assert_eq!(links, [(true, Some([2, 0, 0, 0, 0, 1])), (false, None)], "ARP-5, RTNL-40");
}

#[test]
fn b85_parts_of_an_older_dump_and_ends_of_others_are_ignored() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    let (_, seq) = bed.asked().unwrap();
    bed.link(NEWLINK, MULTI, seq.wrapping_sub(1), PORT, 9);
    bed.done(MULTI, seq.wrapping_sub(1));
    bed.receive(DONE, MULTI, seq, PORT + 1, |body| body.bytes(&[0; 4]));
    assert_eq!(bed.asked(), None, "the dump of links is not over");
    bed.link(NEWLINK, MULTI, seq, PORT, 3);
    assert_eq!(bed.told(), ["start", "link 3"]);
    assert_eq!(bed.monitor.counters().foreign, 3);
}

#[test]
fn notification_that_looks_like_our_number_is_a_notification() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    let (_, seq) = bed.asked().unwrap();
    // Somebody in another namespace may have our port number; his notification is no part of a dump.
    bed.link(NEWLINK, 0, seq, PORT, 4);
    bed.link(NEWLINK, 0, 1234, PORT, 5);
    bed.link(NEWLINK, 0, 0, 0, 6);
    assert_eq!(bed.told(), ["start", "link 4", "link 5", "link 6"]);
}

#[test]
fn b86_dump_without_an_answer_is_asked_for_anew() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    bed.asked().unwrap();
    let deadline = bed.monitor.next_deadline().unwrap();
    assert_eq!(deadline, bed.now + DUMP_TIMEOUT);
    bed.now = deadline;
    bed.monitor.handle_timeout(bed.now);
    assert_eq!(bed.asked(), None, "not at once: the kernel may be short of memory");
    bed.now = bed.monitor.next_deadline().unwrap();
    assert_eq!(bed.now, deadline + RETRY_INTERVAL);
    assert_eq!(bed.asked().unwrap().0, 18);
    assert_eq!(bed.told(), ["start", "start"]);
    assert_eq!(bed.monitor.counters().failures, 1);
}

#[test]
fn refused_dump_is_asked_for_later() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    let (_, seq) = bed.asked().unwrap();
    let errno = (-libc::EBUSY).to_ne_bytes();
    bed.receive(ERROR, 0, seq, PORT, |body| body.bytes(&[&errno[..], &[0; 16]].concat()));
    assert_eq!(bed.monitor.next_deadline(), Some(bed.now + RETRY_INTERVAL));
    bed.now += RETRY_INTERVAL;
    assert!(bed.dump(MULTI), "and then works");
}

#[test]
fn b88_overruns_make_one_dump_after_the_queue_is_empty() {
    let mut bed = Bed::new();
    for _ in 0..3 {
        bed.monitor.handle_overrun();
        assert_eq!(bed.asked(), None, "RTNL-50: first read what is left");
    }
    bed.link(NEWLINK, 0, 0, 0, 3);
    assert_eq!(bed.asked(), None);
    bed.monitor.handle_drained();
    assert!(bed.dump(MULTI));
    assert_eq!(bed.told(), ["link 3", "start", "link 1", "end"]);
    assert_eq!(bed.asked(), None, "three overruns, one dump");
    assert_eq!(bed.monitor.counters().overruns, 3);
}

#[test]
fn b88_overrun_during_a_dump_makes_another_one() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    let (_, seq) = bed.asked().unwrap();
    bed.monitor.handle_overrun();
    bed.monitor.handle_drained();
    assert_eq!(bed.asked(), None, "the kernel has one dump at a time on a socket");
    bed.done(MULTI, seq);
    assert!(bed.dump(MULTI));
    assert_eq!(bed.told(), ["start", "start", "link 1", "end"], "no end is told of the first one");
}

#[test]
fn b90_inconsistent_dump_is_repeated_but_not_for_ever() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    for turn in 1..=INTERRUPTIONS_MAX {
        let (kind, seq) = bed.asked().unwrap();
        assert_eq!(kind, 18, "dump {turn} begins with the links (RTNL-51)");
        bed.link(NEWLINK, MULTI, seq, PORT, 3);
        bed.link(NEWLINK, INTR, seq, PORT, 4);
        bed.done(MULTI, seq);
    }
    assert_eq!(bed.monitor.counters().interruptions, u32::from(INTERRUPTIONS_MAX));
    assert!(!bed.told().contains(&"end".to_string()), "an inconsistent dump is never called complete");
    for kind in [18, 22] {
        let (asked, seq) = bed.asked().unwrap();
        assert_eq!(asked, kind);
        bed.done(INTR, seq);
    }
    assert_eq!(bed.told(), ["start", "end"], "a network that never rests must not keep us from starting");
}

#[test]
fn b84_dump_that_ends_with_an_error_is_repeated() {
    let mut bed = Bed::new();
    bed.monitor.want_dump();
    let (_, seq) = bed.asked().unwrap();
    bed.receive(DONE, MULTI, seq, PORT, |body| body.bytes(&(-libc::EINTR).to_ne_bytes()));
    assert_eq!(bed.asked().unwrap().0, 18, "links again, not on to the addresses");
    let seq = bed.monitor.seq;
    bed.receive(DONE, MULTI, seq, PORT, |_| {});
    assert_eq!(bed.asked().unwrap().0, 22, "an end without a payload is an end");
}

#[test]
fn b91_same_name_with_another_index_is_told_in_order() {
    let mut bed = Bed::new();
    bed.link(DELLINK, 0, 0, 0, 3);
    bed.link(NEWLINK, 0, 0, 0, 4);
    assert_eq!(bed.told(), ["gone 3", "link 4"]);
}

#[test]
fn b75_b82_garbage_is_counted_and_changes_nothing() {
    let mut bed = Bed::new();
    bed.receive(NEWLINK, 0, 0, 0, |body| body.bytes(&[0; 8]));
    bed.receive(NEWLINK, 0, 0, 0, |body| link(body, 0));
    bed.receive(1, 0, 0, 0, |_| {});
    bed.receive(999, 0, 0, 0, |_| {});
    let events = &mut bed.events;
    bed.monitor.handle_datagram(bed.now, &[0xff; 40], &mut |e| events.push(e));
    assert!(bed.told().is_empty());
    assert_eq!(bed.monitor.counters().malformed, 3);
    assert_eq!(bed.monitor.next_deadline(), None);
    bed.receive(4, 0, 0, 0, |_| {});
    bed.monitor.handle_drained();
    assert!(bed.asked().is_some(), "B-82: NLMSG_OVERRUN says that messages were lost");
}

#[test]
fn ours_is_told_by_the_number_and_on_old_kernels_by_the_lifetime() {
    for (has_proto, protocol, valid, want) in [
        (true, Some(112), Some(3), true),
        (true, Some(112), None, true),
        (true, Some(18), Some(3), false),
        (true, None, Some(3600), false),
        (false, None, Some(3), true),
        (false, None, None, false),
        (false, Some(2), Some(3), false),
    ] {
        let mut bed = Bed::new();
        bed.monitor.has_ifa_proto = has_proto;
        bed.receive(NEWADDR, 0, 0, 0, |body| address(body, protocol, valid));
        let want = format!("10.0.0.1/24 Present {{ ours: {want}, secondary: false }}");
        assert_eq!(bed.told(), [want], "IFA_PROTO {protocol:?}, valid {valid:?}, kernel has it: {has_proto}");
    }
    let mut bed = Bed::new();
    bed.monitor.has_ifa_proto = false;
    bed.receive(NEWADDR, 0, 0, 0, |body| address(body, Some(2), None));
    bed.receive(NEWADDR, 0, 0, 0, |body| address(body, None, Some(3600)));
    assert!(bed.told()[1].contains("ours: false"), "a kernel that shows one keeps all: this is a DHCP lease");
}

#[test]
fn release_of_the_kernel_is_read() {
    for (release, want) in [
        ("5.17.9", false),
        ("5.18.0-rc1\n", true),
        ("6.1.0-13-amd64", true),
        ("4.19", false),
        ("10.0", true),
        ("", false),
        ("x", false),
        ("6", false),
    ] {
        assert_eq!(release_has_ifa_proto(release), want, "{release:?}");
    }
}

#[test]
fn rtnl2_watched_routes_and_rules_are_dumped_after_addresses() {
    for (watched, want) in [
        (Watched { routes: true, rules: true }, vec![18, 22, 26, 34]),
        (Watched { routes: true, rules: false }, vec![18, 22, 26]),
        (Watched { routes: false, rules: true }, vec![18, 22, 34]),
    ] {
        let mut bed = Bed::new();
        bed.monitor.watch(watched);
        bed.monitor.want_dump();
        let mut kinds = Vec::new();
        while let Some((kind, seq)) = bed.asked() {
            kinds.push(kind);
            bed.done(MULTI, seq);
        }
        assert_eq!(kinds, want, "{watched:?}");
        assert_eq!(bed.told(), ["start", "end"], "one dump, whatever its parts");
    }
}

/// The route 203.0.113.0/24 of table 254 by two ways.
fn multipath(body: &mut Body<'_>) {
    body.bytes(&[2, 24, 0, 0, 254, 112, 0, 1, 0, 0, 0, 0]);
    body.attribute(1, &[203, 0, 113, 0]);
    let hop = |index: u32, last: u8| {
        let mut hop = 16u16.to_ne_bytes().to_vec();
        hop.extend([0, 0]);
        hop.extend(index.to_ne_bytes());
        hop.extend(8u16.to_ne_bytes());
        hop.extend(5u16.to_ne_bytes());
        hop.extend([192, 0, 2, last]);
        hop
    };
    body.attribute(9, &[hop(3, 1), hop(4, 2)].concat());
}

#[test]
fn each_next_hop_is_a_route_of_its_own() {
    let mut bed = Bed::new();
    bed.receive(24, 0, 0, 0, multipath);
    bed.receive(25, 0, 0, 0, multipath);
    let hops = ["203.0.113.0/24 192.0.2.1 dev 3", "203.0.113.0/24 192.0.2.2 dev 4"];
    let want: Vec<String> =
        ["+route", "-route"].iter().flat_map(|w| hops.map(|hop| format!("{w} {hop}"))).collect();
    assert_eq!(bed.told(), want);
}

#[test]
fn rtnl33_only_rules_with_our_number_are_ours() {
    let mut bed = Bed::new();
    for number in [Some(112), Some(18), None] {
        bed.receive(32, 0, 0, 0, |body| {
            body.bytes(&[2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0]);
            body.attribute_u32(6, 1000);
            if let Some(number) = number {
                body.attribute(21, &[number]);
            }
        });
    }
    assert_eq!(bed.told(), ["+rule 1000 ours true", "+rule 1000 ours false", "+rule 1000 ours false"]);
}

#[test]
fn flood_of_routes_makes_a_dump_a_second_at_most() {
    let mut bed = Bed::new();
    bed.monitor.watch(Watched { routes: true, rules: false });
    bed.monitor.want_dump();
    let mut dumps = 0;
    for _ in 0..100 {
        // Notifications are lost all the time, between two turns of 100 ms.
        bed.now += Duration::from_millis(100);
        while let Some((_, seq)) = bed.asked() {
            bed.done(MULTI, seq);
        }
        dumps += bed.told().iter().filter(|event| *event == "start").count();
        bed.monitor.handle_overrun();
        bed.monitor.handle_drained();
    }
    assert!((9..=11).contains(&dumps), "{dumps} dumps in 10 s");
}

#[test]
fn address_with_a_peer_is_told_as_one_host() {
    let mut bed = Bed::new();
    bed.receive(NEWADDR, 0, 0, 0, |body| {
        body.bytes(&[2, 24, 0x80, 0, 3, 0, 0, 0]);
        body.attribute(2, &[10, 0, 0, 1]);
        body.attribute(1, &[10, 9, 0, 2]);
    });
    assert!(bed.told()[0].starts_with("10.0.0.1/32 Present"), "the /24 is the peer's net");
}

#[test]
fn without_numbers_an_ipv6_address_that_skipped_the_test_for_duplicates_is_ours() {
    let mut bed = Bed::new();
    bed.monitor.has_ifa_proto = false;
    for (flags, want) in [(0x02, true), (0x00, false)] {
        bed.receive(NEWADDR, 0, 0, 0, |body| {
            body.bytes(&[10, 64, flags, 0, 3, 0, 0, 0]);
            body.attribute(1, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            body.attribute(6, &[&[0; 4][..], &3u32.to_ne_bytes(), &[0; 8]].concat());
        });
        assert!(
            bed.told()[0].contains(&format!("ours: {want}")),
            "a router's advert makes addresses with a lifetime, too, but not with IFA_F_NODAD"
        );
    }
}
