//! On the real kernel, in a network namespace of the test's own thread.

use super::super::clock::now;
use super::*;
use crate::engine::AddressChange;
use nix::sched::{CloneFlags, unshare};

/// A namespace with the loopback interface alone, which has the index 1.
struct Bed {
    rtnl: Rtnl,
    poll: PollSet,
    events: Vec<Event<'static>>,
}

impl Bed {
    /// Waits until `wanted` has come, for at most `timeout`.
    #[track_caller]
    fn until(&mut self, what: &str, timeout: Duration, wanted: impl Fn(&Event<'_>) -> bool) {
        let end = now() + timeout;
        let mut seen = 0;
        loop {
            if self.events[seen..].iter().any(&wanted) {
                self.events.clear();
                return;
            }
            seen = self.events.len();
            let at = now();
            assert!(at < end, "{what} has not come in {timeout}: {:?}", self.events);
            self.poll.clear();
            self.rtnl.register(&mut self.poll);
            let wake_at = self.rtnl.next_deadline().unwrap_or(end).min(end);
            self.poll.wait(Some(if wake_at > at { wake_at - at } else { Duration::ZERO })).unwrap();
            let events = &mut self.events;
            self.rtnl.process(now(), &self.poll, &mut |event| events.push(event));
        }
    }

    fn flush_all(&mut self) -> Vec<Result<(), crate::engine::Refusal>> {
        let mut results = Vec::new();
        let mut more = true;
        while more {
            more = self.rtnl.flush(&mut |event| match event {
                Event::AddressResult { result, .. } => results.push(result),
                other => panic!("not a result: {other:?}"),
            });
            let events = &mut self.events;
            self.rtnl.drain(now(), &mut |event| events.push(event));
        }
        results
    }
}

/// Runs `test` in a fresh namespace; without the right to make one, says so and does nothing.
fn in_namespace(test: impl FnOnce(&mut Bed) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("SKIPPED: needs root to make a network namespace: {errno}");
            return;
        }
        test(&mut Bed { rtnl: Rtnl::open().unwrap(), poll: PollSet::new(), events: Vec::new() });
    });
    thread.join().unwrap();
}

fn cidr(text: &str) -> Cidr {
    let (address, prefix_len) = text.split_once('/').unwrap();
    Cidr { address: address.parse().unwrap(), prefix_len: prefix_len.parse().unwrap() }
}

fn is_address(event: &Event<'_>, want: Cidr, want_change: AddressChange) -> bool {
    matches!(event, Event::Address { index: 1, cidr, change } if *cidr == want && *change == want_change)
}

const OURS: AddressChange = AddressChange::Present { ours: true, secondary: false };
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn law3_leased_address_comes_and_goes_by_itself() {
    in_namespace(|bed| {
        bed.rtnl.start_dump();
        bed.until(
            "the loopback interface",
            SECOND * 5,
            |event| matches!(event, Event::Link(link) if link.name.as_str() == "lo" && link.index == 1),
        );
        let vips = [cidr("10.1.2.3/24"), cidr("2001:db8::100/128")];
        for vip in vips {
            bed.rtnl.queue_add(1, vip, Some(SECOND * 2), AddressOptions::default());
            assert_eq!(bed.flush_all(), [Ok(())], "{vip}");
            bed.rtnl.queue_add(1, vip, Some(SECOND * 2), AddressOptions::default());
            assert_eq!(bed.flush_all(), [Ok(())], "{vip}: a renewal is an add");
            bed.rtnl.start_dump();
            bed.until("the address", SECOND * 5, |event| is_address(event, vip, OURS));
        }
        for vip in vips {
            bed.rtnl.queue_add(1, vip, Some(SECOND * 2), AddressOptions::default());
        }
        assert_eq!(bed.flush_all(), [Ok(()), Ok(())]);
        bed.until("the end of the first lease", SECOND * 6, |event| {
            vips.iter().any(|vip| is_address(event, *vip, AddressChange::Gone))
        });
    });
}

#[test]
fn results_are_told_apart_within_a_batch() {
    use crate::engine::Refusal;
    in_namespace(|bed| {
        let vip = cidr("10.1.2.3/32");
        bed.rtnl.queue_remove(1, vip, None);
        bed.rtnl.queue_add(1, vip, None, AddressOptions::default());
        bed.rtnl.queue_add(4000, vip, None, AddressOptions::default());
        bed.rtnl.queue_add(1, cidr("10.1.2.4/33"), None, AddressOptions::default());
        bed.rtnl.queue_remove(1, vip, None);
        assert_eq!(
            bed.flush_all(),
            [Err(Refusal::NotFound), Ok(()), Err(Refusal::NoDevice), Err(Refusal::Invalid), Ok(())],
            "B-93: each change has its own answer"
        );
        assert_eq!(bed.flush_all(), [], "nothing is left");
    });
}

#[test]
fn b92_two_thousand_addresses_are_added_seen_and_dumped() {
    in_namespace(|bed| {
        let all: Vec<Cidr> =
            (0..2000u32).map(|n| cidr(&format!("10.9.{}.{}/32", n / 250, n % 250 + 1))).collect();
        for vip in &all {
            bed.rtnl.queue_add(1, *vip, Some(SECOND * 60), AddressOptions::default());
        }
        let started = now();
        let results = bed.flush_all();
        eprintln!("2,000 addresses added in {}", now() - started);
        assert_eq!(results.len(), 2000);
        assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|r| r.is_err()));
        assert_eq!(bed.rtnl.counters(), Counters::default(), "RTNL-54: our own notifications lost nothing");
        let seen = |events: &[Event<'_>]| {
            all.iter().filter(|vip| events.iter().any(|event| is_address(event, **vip, OURS))).count()
        };
        assert_eq!(seen(&bed.events), 2000, "each is told by a notification");
        bed.events.clear();

        bed.rtnl.start_dump();
        let mut dumped = Vec::new();
        for _ in 0..100 {
            bed.poll.clear();
            bed.rtnl.register(&mut bed.poll);
            bed.poll.wait(Some(Duration::from_millis(10))).unwrap();
            let before = dumped.len();
            bed.rtnl.process(now(), &bed.poll, &mut |event| dumped.push(event));
            assert!(
                dumped.len() - before < 1000,
                "a turn must stay short, and had {}",
                dumped.len() - before
            );
            if dumped.iter().any(|event| matches!(event, Event::DumpEnd)) {
                break;
            }
        }
        assert!(matches!(dumped.first(), Some(Event::DumpStart)));
        assert!(matches!(dumped.last(), Some(Event::DumpEnd)), "the dump has an end");
        assert_eq!(seen(&dumped), 2000, "each is told by the dump");
    });
}

#[test]
fn b88_overrun_is_noticed_and_healed_by_a_dump() {
    in_namespace(|bed| {
        // The queue holds some 2,700 notifications; nobody drains it meanwhile.
        for round in 0..8u32 {
            for n in 0..1000u32 {
                let vip = cidr(&format!("10.{round}.{}.{}/32", n / 250, n % 250 + 1));
                bed.rtnl.queue_add(1, vip, Some(SECOND * 60), AddressOptions::default());
            }
            while bed.rtnl.flush(&mut |_| {}) {}
        }
        bed.until("the end of the dump", SECOND * 20, |event| matches!(event, Event::DumpEnd));
        assert!(bed.rtnl.counters().overruns > 0, "8,000 notifications did not fill the queue: a weak test");
    });
}

#[test]
fn b88_overrun_whose_queue_ended_with_the_turn_is_healed_too() {
    in_namespace(|bed| {
        // The turn's last message was the last of the queue, so nobody has seen it empty.
        bed.rtnl.monitor.handle_overrun();
        bed.until("the end of the dump", SECOND * 5, |event| matches!(event, Event::DumpEnd));
    });
}

#[test]
fn b87_b89_foreign_and_cut_datagrams_are_no_news() {
    in_namespace(|bed| {
        // As if another process told that the loopback interface were gone.
        let mut bytes = [0; 64];
        let mut batch = Batch::new(&mut bytes);
        let [i0, i1, i2, i3] = 1u32.to_ne_bytes();
        batch.message(17, 0, 0, |b| b.bytes(&[0, 0, 0, 0, i0, i1, i2, i3, 0, 0, 0, 0, 0, 0, 0, 0])).unwrap();
        let stranger = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Netlink,
            nix::sys::socket::SockType::Raw,
            nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )
        .unwrap();
        let to = nix::sys::socket::NetlinkAddr::new(bed.rtnl.monitor_socket.port(), 0);
        let flags = nix::sys::socket::MsgFlags::empty();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&stranger);
        nix::sys::socket::sendto(fd, batch.bytes(), &to, flags).unwrap();
        let events = &mut bed.events;
        bed.rtnl.drain(now(), &mut |event| events.push(event));
        assert!(bed.events.is_empty(), "RTNL-3: {:?}", bed.events);
        assert_eq!(bed.rtnl.counters().foreign, 1);

        bed.rtnl.buffer = vec![0; 64].into();
        bed.rtnl.queue_add(1, cidr("10.1.2.3/32"), None, AddressOptions::default());
        bed.flush_all();
        assert!(bed.rtnl.counters().overruns > 0, "B-89: a cut notification is a lost one");
        bed.rtnl.buffer = vec![0; DATAGRAM_MAX].into();
        bed.until("the end of the dump", SECOND * 5, |event| matches!(event, Event::DumpEnd));
    });
}

/// Runs `ip`; its namespace is that of the calling thread.
fn ip(arguments: &str) -> bool {
    let status = std::process::Command::new("ip").args(arguments.split(' ')).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn rtnl41_life_of_a_link_is_told_as_it_is() {
    in_namespace(|bed| {
        if !ip("link add v0 address 02:00:00:00:00:01 type veth peer name v1") {
            eprintln!("SKIPPED: needs `ip` (iproute2) and veth");
            return;
        }
        let mac = Some([2, 0, 0, 0, 0, 1]);
        let is = |event: &Event<'_>, name: &str, running: bool, mtu: u32| {
            matches!(event, Event::Link(link)
                if link.name.as_str() == name
                    && (link.running, link.mac, link.mtu) == (running, mac, mtu))
        };
        bed.until("the new link", SECOND * 5, |event| is(event, "v0", false, 1500));
        assert!(ip("link set v0 mtu 1400 up") && ip("link set v1 up"));
        bed.until("the running link", SECOND * 5, |event| is(event, "v0", true, 1400));
        assert!(ip("link set v1 down"));
        bed.until("the loss of carrier", SECOND * 5, |event| is(event, "v0", false, 1400));
        assert!(ip("link add br0 type bridge") && ip("link set v0 master br0") && ip("link set v0 nomaster"));
        assert!(ip("link set v0 down") && ip("link set v0 name wan"));
        let mut seen = Vec::new();
        bed.rtnl.drain(now(), &mut |event| seen.push(event));
        assert!(seen.iter().any(|event| is(event, "wan", false, 1400)), "a new name: {seen:?}");
        let is_gone = |event: &Event<'_>| matches!(event, Event::LinkGone { .. });
        assert!(!seen.iter().any(is_gone), "to leave a bridge is not to be gone: {seen:?}");
        assert!(ip("link del wan"));
        bed.until("the end of the link", SECOND * 5, is_gone);
    });
}
