//! Static addresses of an engine without any virtual router.

use super::*;
use crate::engine::{Actions, Engine, Event, Link, LinkKind, LinkName};
use crate::model::{AddressOptions, Config};

const SECOND: Duration = Duration::from_secs(1);
const OURS: AddressChange = AddressChange::Present { ours: true, secondary: false };
const THEIRS: AddressChange = AddressChange::Present { ours: false, secondary: false };

struct Bed {
    engine: Engine,
    actions: Actions,
    now: Instant,
    refused: Option<Refusal>,
    lines: Vec<String>,
    is_finished: bool,
}

impl Bed {
    /// eth0 (2) is there and up.
    fn new(addresses: &[&str]) -> Self {
        let mut bed = Bed::bare(addresses);
        bed.dump(&[]);
        bed
    }

    fn bare(addresses: &[&str]) -> Self {
        let now = Instant::from_secs(1000);
        Bed {
            engine: Engine::new(&config(addresses), "gw", 1, now),
            actions: Actions::new(),
            now,
            refused: None,
            lines: Vec::new(),
            is_finished: false,
        }
    }

    fn dump(&mut self, there: &[(&str, AddressChange)]) -> Vec<String> {
        self.feed(Event::DumpStart);
        self.feed(Event::Link(link(2, "eth0", true)));
        for (text, change) in there {
            self.feed(Event::Address { index: 2, cidr: cidr(text), change: *change });
        }
        self.feed(Event::DumpEnd);
        self.pass(Duration::ZERO)
    }

    fn feed(&mut self, event: Event<'_>) {
        self.engine.handle(self.now, event, &mut self.actions);
    }

    fn tell(&mut self, text: &str, change: AddressChange) -> Vec<String> {
        self.feed(Event::Address { index: 2, cidr: cidr(text), change });
        self.pass(Duration::ZERO)
    }

    /// What is asked of the kernel meanwhile; it answers and tells.
    fn pass(&mut self, length: Duration) -> Vec<String> {
        let (end, mut asked) = (self.now + length, Vec::new());
        loop {
            while let Some(action) = self.actions.take() {
                let (index, cidr, op) = match action {
                    Action::AddAddress { index, cidr, lease, .. } => {
                        assert_eq!(lease, None, "it stays when the daemon is killed");
                        (index, cidr, AddressOp::Add)
                    }
                    Action::RemoveAddress { index, cidr, .. } => (index, cidr, AddressOp::Remove),
                    Action::Note { number } => {
                        self.lines.push(self.engine.note(number).unwrap().text.to_string());
                        continue;
                    }
                    Action::Finished => {
                        self.is_finished = true;
                        continue;
                    }
                    _ => continue,
                };
                let (word, change) = match op {
                    AddressOp::Add => ("add", OURS),
                    AddressOp::Remove => ("remove", AddressChange::Gone),
                };
                asked.push(format!("{word} {cidr} on {index}"));
                let result = self.refused.map_or(Ok(()), Err);
                self.feed(Event::AddressResult { index, cidr, op, result });
                if result.is_ok() {
                    self.feed(Event::Address { index, cidr, change });
                }
            }
            match self.engine.next_deadline().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.feed(Event::Tick);
        }
        self.now = end;
        asked
    }
}

fn config(addresses: &[&str]) -> Config {
    let address =
        |text: &&str| VirtualAddress { interface: Some("eth0".try_into().unwrap()), ..cidr(text).into() };
    Config { static_addresses: addresses.iter().map(address).collect(), ..Config::default() }
}

fn cidr(text: &str) -> Cidr {
    let (address, len) = text.split_once('/').unwrap();
    Cidr { address: address.parse().unwrap(), prefix_len: len.parse().unwrap() }
}

fn link(index: u32, name: &str, up: bool) -> Link {
    Link {
        index,
        name: LinkName::new(name),
        up,
        running: up,
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        kind: LinkKind::Other,
        forwards_ipv6: false,
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn there_as_long_as_the_daemon_runs_and_gone_at_the_end() {
    let mut bed = Bed::bare(&["10.0.0.1/24", "2001:db8::1/64"]);
    assert_eq!(bed.dump(&[]), ["add 10.0.0.1/24 on 2", "add 2001:db8::1/64 on 2"]);
    assert_eq!(bed.pass(SECOND * 60), NOTHING, "no lease to renew");
    bed.feed(Event::Shutdown);
    assert!(!bed.is_finished);
    assert_eq!(bed.pass(SECOND).len(), 2);
    assert!(bed.is_finished, "the end waits for it, and no longer");
}

#[test]
fn law5_taken_away_it_comes_back_at_once_then_once_a_second() {
    let mut bed = Bed::new(&["10.0.0.1/24"]);
    assert_eq!(bed.tell("10.0.0.1/24", AddressChange::Gone), ["add 10.0.0.1/24 on 2"]);
    assert_eq!(bed.tell("10.0.0.1/24", AddressChange::Gone), NOTHING, "two who fight must not spin");
    assert_eq!(bed.pass(SECOND), ["add 10.0.0.1/24 on 2"]);
    assert_eq!(bed.lines[0], "10.0.0.1/24 on eth0 was removed by someone: put back");
    assert_eq!(bed.dump(&[]), NOTHING);
    assert_eq!(bed.pass(SECOND), ["add 10.0.0.1/24 on 2"], "RTNL-50: a dump tells that it is gone");
}

#[test]
fn law5_refused_it_is_tried_each_second_and_shown() {
    let mut bed = Bed::bare(&["10.0.0.1/24"]);
    bed.refused = Some(Refusal::Busy);
    bed.dump(&[]);
    assert_eq!(bed.pass(SECOND * 3).len(), 3);
    let problems = bed.engine.snapshot(bed.now).problems;
    assert!(problems[0].contains("10.0.0.1/24 could not be put on eth0"), "{problems:?}");
    bed.refused = None;
    assert_eq!(bed.pass(SECOND * 3).len(), 1);
    assert!(bed.engine.snapshot(bed.now).problems.is_empty());
    bed.refused = Some(Refusal::Busy);
    bed.feed(Event::Shutdown);
    bed.pass(SECOND * 2);
    assert!(!bed.is_finished, "it is tried again before the end");
    bed.pass(SECOND * 4);
    assert!(bed.is_finished);
}

#[test]
fn rtnl21_the_operators_own_stays_at_the_end() {
    let mut bed = Bed::bare(&["10.0.0.1/24"]);
    assert_eq!(bed.dump(&[("10.0.0.1/24", THEIRS)]), NOTHING);
    assert_eq!(bed.tell("10.0.0.1/24", AddressChange::Gone), ["add 10.0.0.1/24 on 2"], "now it is ours");
    let mut bed = Bed::bare(&["10.0.0.1/24"]);
    bed.dump(&[("10.0.0.1/24", THEIRS)]);
    bed.feed(Event::Shutdown);
    assert_eq!(bed.pass(SECOND), NOTHING);
    assert!(bed.is_finished);
    // An older kernel does not show whose it is: what we have put there is ours all the same.
    let mut bed = Bed::new(&["10.0.0.1/24"]);
    bed.dump(&[("10.0.0.1/24", THEIRS)]);
    bed.feed(Event::Shutdown);
    assert_eq!(bed.pass(SECOND), ["remove 10.0.0.1/24 on 2"]);
}

#[test]
fn what_a_crashed_run_left_is_taken_over() {
    let mut bed = Bed::bare(&["10.0.0.1/24"]);
    assert_eq!(bed.dump(&[("10.0.0.1/24", OURS)]), NOTHING);
    bed.feed(Event::Shutdown);
    assert_eq!(bed.pass(SECOND), ["remove 10.0.0.1/24 on 2"]);
}

#[test]
fn interfaces_that_come_and_go() {
    let mut bed = Bed::new(&["10.0.0.1/24", "2001:db8::1/64"]);
    bed.feed(Event::Link(link(2, "eth0", false)));
    bed.tell("2001:db8::1/64", AddressChange::Gone);
    assert_eq!(bed.pass(SECOND * 3), NOTHING, "IPv6 waits for the link (RTNL-26)");
    bed.feed(Event::Link(link(2, "eth0", true)));
    assert_eq!(bed.pass(SECOND), ["add 2001:db8::1/64 on 2"]);
    assert!(bed.lines.is_empty(), "nobody took it away: {:?}", bed.lines);
    bed.feed(Event::LinkGone { index: 2 });
    assert_eq!(bed.pass(SECOND * 3), NOTHING);
    assert!(bed.engine.snapshot(bed.now).problems[0].contains("waits for interface eth0"));
    bed.feed(Event::Link(link(9, "eth0", true)));
    assert_eq!(bed.pass(SECOND), ["add 10.0.0.1/24 on 9", "add 2001:db8::1/64 on 9"], "made anew");
    bed.feed(Event::Link(link(9, "wan", true)));
    assert_eq!(bed.pass(SECOND).len(), 2, "not on one that has another name now");
}

#[test]
fn law5_a_reload_changes_what_differs_and_nothing_else() {
    let mut bed = Bed::new(&["10.0.0.1/24", "10.0.0.2/24"]);
    bed.feed(Event::Reload(Box::new(config(&["10.0.0.2/24", "10.0.0.3/24"]))));
    assert_eq!(bed.pass(SECOND), ["add 10.0.0.3/24 on 2", "remove 10.0.0.1/24 on 2"]);
    let mut labelled = config(&["10.0.0.2/24", "10.0.0.3/24"]);
    labelled.static_addresses[0].options =
        AddressOptions { label: Some("eth0:1".try_into().unwrap()), ..AddressOptions::default() };
    bed.feed(Event::Reload(Box::new(labelled)));
    assert_eq!(bed.pass(SECOND), ["add 10.0.0.2/24 on 2"], "with its new options");
}

#[test]
fn one_that_may_be_taken_away_is_not_put_back() {
    let mut free = config(&["10.0.0.1/24"]);
    free.static_addresses[0].options.no_track = true;
    let mut bed = Bed::new(&[]);
    bed.feed(Event::Reload(Box::new(free)));
    assert_eq!(bed.pass(SECOND).len(), 1);
    assert_eq!(bed.tell("10.0.0.1/24", AddressChange::Gone), NOTHING);
    assert_eq!(bed.pass(SECOND * 5), NOTHING);
}

#[test]
fn many_go_in_batches() {
    let all: Vec<String> = (0..200).map(|n| format!("10.1.{n}.1/24")).collect();
    let mut bed = Bed::bare(&all.iter().map(String::as_str).collect::<Vec<_>>());
    bed.feed(Event::DumpStart);
    bed.feed(Event::Link(link(2, "eth0", true)));
    bed.feed(Event::DumpEnd);
    while bed.actions.take().is_some() {}
    bed.feed(Event::Tick);
    let adds = bed.actions.iter().filter(|a| matches!(a, Action::AddAddress { .. })).count();
    assert_eq!(adds, limits::ADDRESS_BATCH, "an advert can leave between two batches");
    assert_eq!(bed.pass(SECOND).len(), 200);
}
