//! `sys::rtnl` with an ear.

use vipd::engine::{Event, KernelRoute, Link, LinkName, Refusal};
use vipd::model::{AddressOptions, Cidr};
use vipd::sys::clock::now;
use vipd::sys::poll::PollSet;
use vipd::sys::rtnl::Rtnl;
use vipd::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Kernel {
    pub(crate) rtnl: Rtnl,
    poll: PollSet,
    pub(crate) events: Vec<Event<'static>>,
}

impl Kernel {
    pub(crate) fn open() -> Self {
        let mut kernel = Kernel { rtnl: Rtnl::open().unwrap(), poll: PollSet::new(), events: Vec::new() };
        kernel.dump();
        kernel
    }

    /// Asks for a dump and takes it in.
    pub(crate) fn dump(&mut self) {
        self.rtnl.start_dump();
        self.until("the end of the dump", |event| matches!(event, Event::DumpEnd));
    }

    /// Reads until `wanted` has come, at most five seconds. The events stay.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Event<'_>) -> bool) {
        let (end, mut seen) = (now() + SECOND * 5, 0);
        while !self.events[seen..].iter().any(&wanted) {
            seen = self.events.len();
            assert!(now() < end, "{what} has not come: {:?}", self.events);
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.poll.clear();
        self.rtnl.register(&mut self.poll);
        self.poll.wait(Some(Duration::from_millis(20))).unwrap();
        let events = &mut self.events;
        self.rtnl.process(now(), &self.poll, &mut |event| events.push(event));
    }

    /// Takes in what is there, and forgets it.
    pub(crate) fn quiet(&mut self) {
        self.rtnl.drain(now(), &mut |_| {});
        self.events.clear();
    }

    pub(crate) fn flush(&mut self) -> Vec<Result<(), Refusal>> {
        let mut results = Vec::new();
        while self.rtnl.flush(&mut |event| match event {
            Event::AddressResult { result, .. } => results.push(result),
            other => panic!("not a result: {other:?}"),
        }) {}
        results
    }

    #[track_caller]
    pub(crate) fn add(&mut self, index: u32, text: &str, lease: Option<Duration>, options: AddressOptions) {
        self.rtnl.queue_add(index, cidr(text), lease, options);
        assert_eq!(self.flush(), [Ok(())], "{text}");
    }

    /// The last that was told of a link.
    pub(crate) fn link(&self, name: &str) -> Option<Link> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Link(link) if link.name == LinkName::new(name) => Some(*link),
            _ => None,
        })
    }

    /// Routes that were told present (or gone) since the last `quiet`.
    pub(crate) fn routes(&self, present: bool) -> Vec<KernelRoute> {
        let all = self.events.iter().filter_map(|event| match event {
            Event::Route { route, is_present } if *is_present == present => Some(*route),
            _ => None,
        });
        all.collect()
    }
}

pub(crate) fn cidr(text: &str) -> Cidr {
    let (address, prefix_len) = text.split_once('/').unwrap();
    Cidr { address: address.parse().unwrap(), prefix_len: prefix_len.parse().unwrap() }
}
