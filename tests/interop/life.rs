//! What a pair of routers goes through, and in which words that is told.

use super::combination::Combination;
use super::netns::{Lan, Node, eventually};
use super::router::{Role, Router, Setup, VRID};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than the start of a v2 router and what a busy machine adds.
const SOON: Duration = Duration::from_secs(20);
const HIGH: u8 = 200;
const LOW: u8 = 100;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Who is Active at the start, of both at once.
    Election,
    /// How soon the other follows an Active that ends.
    Leave,
    /// How soon the other follows an Active that is killed.
    Kill,
    /// Whether the one with the higher priority takes over from a live one.
    Preempt,
    /// Whether it does not where that is off.
    NoPreempt,
    /// Who stays Active of two with the same priority.
    Equal,
    /// What becomes of another advert interval.
    Interval,
}

impl Column {
    pub const ALL: [Column; 7] = [
        Column::Election,
        Column::Leave,
        Column::Kill,
        Column::Preempt,
        Column::NoPreempt,
        Column::Equal,
        Column::Interval,
    ];

    /// What routers do that understand each other.
    pub fn usual(self, version: u8) -> &'static str {
        match self {
            Column::Election => "priority",
            Column::Leave => "skew",
            Column::Kill => "3+skew",
            Column::Preempt => "yes",
            Column::NoPreempt => "holds",
            Column::Equal => "address",
            Column::Interval if version == 2 => "named",
            Column::Interval => "learned",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Column::Election => "ELECTION",
            Column::Leave => "LEAVE",
            Column::Kill => "KILL",
            Column::Preempt => "PREEMPT",
            Column::NoPreempt => "NOPREEMPT",
            Column::Equal => "EQUAL",
            Column::Interval => "INTERVAL",
        }
    }
}

/// One run of a pair, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Election, clean leave, return, death.
    Whole,
    /// The higher one comes second and may not preempt.
    NoPreempt,
    /// Apart with one priority, then together.
    Equal,
    /// With different intervals.
    Interval,
}

impl Life {
    pub const ALL: [Life; 4] = [Life::Whole, Life::NoPreempt, Life::Equal, Life::Interval];

    /// The columns that it fills.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Life::Whole => &[Column::Election, Column::Leave, Column::Kill, Column::Preempt],
            Life::NoPreempt => &[Column::NoPreempt],
            Life::Equal => &[Column::Equal],
            Life::Interval => &[Column::Interval],
        }
    }
}

/// What was seen in a column.
pub type Seen = Vec<(Column, &'static str)>;

/// A life under way: router a is above router b, or as good.
pub struct Stage<'l> {
    pub lan: &'l Lan,
    pub row: Combination,
    pub ours_is_a: bool,
}

impl<'l> Stage<'l> {
    pub fn play(&self, life: Life) -> Seen {
        match life {
            Life::Whole => self.whole(),
            Life::NoPreempt => self.no_preempt(),
            Life::Equal => self.equal(),
            Life::Interval if self.row.version == 2 => self.interval_refused(),
            Life::Interval => self.interval_learned(),
        }
    }

    fn whole(&self) -> Seen {
        let begin = Instant::now();
        let (mut a, mut b) = (self.above(HIGH, true), self.below());
        let (_, advert) = self.lan.capture.advert('a', VRID, HIGH, begin, SOON);
        assert!(advert.checksum_good, "{advert:?}");
        // INT-18: a TTL protects nothing between unicast peers, and keepalived leaves the kernel's there.
        assert!(advert.ttl == 255 || self.row.unicast && !self.ours_is_a, "PKT-20: {advert:?}");
        self.settle(&a, &b);

        let stop = Instant::now();
        a.terminate();
        let (resigned, _) = self.lan.capture.advert('a', VRID, 0, stop, SOON);
        let leave = self.took_over('b', LOW, resigned, self.interval());
        self.alone(&b, self.lan.a.carries(self.row.address()));

        a = self.above(HIGH, true);
        self.settle(&a, &b);

        let kill = self.took_over('b', LOW, self.killed(&mut a), self.interval());
        self.alone(&b, a.carries());
        b.terminate();
        vec![
            (Column::Election, "priority"),
            (Column::Leave, leave),
            (Column::Preempt, "yes"),
            (Column::Kill, kill),
        ]
    }

    fn no_preempt(&self) -> Seen {
        let mut b = self.below();
        self.alone(&b, None);
        let begin = Instant::now();
        let a = self.above(HIGH, false);
        self.settle(&b, &a);
        sleep(self.down(self.interval(), HIGH) + 2 * self.interval());
        let spoken = self.lan.capture.advert_times('a', VRID, begin);
        if !spoken.is_empty() {
            return vec![(Column::NoPreempt, "BROKEN")];
        }
        self.settle(&b, &a);
        // It is no hindrance when nobody else is there.
        self.took_over('a', HIGH, self.killed(&mut b), self.interval());
        self.alone(&a, b.carries());
        vec![(Column::NoPreempt, "holds")]
    }

    fn equal(&self) -> Seen {
        self.lan.partition(&self.lan.b, true);
        let (a, b) = (self.above(LOW, true), self.below());
        [&a, &b].iter().for_each(|router| self.alone(router, None));
        self.lan.partition(&self.lan.b, false);
        self.settle(&b, &a);
        let settled = Instant::now();
        sleep(5 * self.interval());
        self.settle(&b, &a);
        let disputed = !self.lan.capture.advert_times('a', VRID, settled).is_empty();
        vec![(Column::Equal, if disputed { "DISPUTED" } else { "address" })]
    }

    /// v2: each drops what the other says, and both are Active (INT-2). Ours says so.
    fn interval_refused(&self) -> Seen {
        let setup =
            |priority, seconds| Setup { priority, preempt: true, interval: Duration::from_secs(seconds) };
        let (us, them) = if self.ours_is_a { (1, 2) } else { (2, 1) };
        let (ours, theirs) =
            if self.ours_is_a { (&self.lan.a, &self.lan.b) } else { (&self.lan.b, &self.lan.a) };
        let ours = Router::start(true, self.lan, ours, &self.row, setup(HIGH, us));
        let theirs = Router::start(false, self.lan, theirs, &self.row, setup(LOW, them));
        [&ours, &theirs].iter().for_each(|router| self.alone(router, None));
        let mut screen = String::new();
        eventually("ours names the interval", SOON, || {
            sleep(Duration::from_millis(200));
            screen = ours.screen();
            screen.contains("interval") && screen.contains(&theirs.node.address.to_string())
        });
        vec![(Column::Interval, "named")]
    }

    /// v3 (RX-17): the Backup takes over after three intervals of the Active, which are longer than its own.
    fn interval_learned(&self) -> Seen {
        let slow = 3 * self.interval();
        let setup = Setup { priority: HIGH, preempt: true, interval: slow };
        let mut a = Router::start(self.ours_is_a, self.lan, &self.lan.a, &self.row, setup);
        self.alone(&a, None);
        let b = self.below();
        self.settle(&a, &b);
        let settled = Instant::now();
        sleep(3 * slow);
        let disputed = !self.lan.capture.advert_times('b', VRID, settled).is_empty();
        self.settle(&a, &b);
        let last = self.killed(&mut a);
        let (taken, _) = self.lan.capture.advert('b', VRID, LOW, last, SOON);
        self.alone(&b, a.carries());
        let learned = taken - last > slow * 5 / 2;
        vec![(Column::Interval, if learned && !disputed { "learned" } else { "NOT LEARNED" })]
    }

    /// Router a.
    fn above(&self, priority: u8, preempt: bool) -> Router<'l> {
        let setup = Setup { priority, preempt, interval: self.interval() };
        Router::start(self.ours_is_a, self.lan, &self.lan.a, &self.row, setup)
    }

    /// Router b, of the other make.
    fn below(&self) -> Router<'l> {
        let setup = Setup { priority: LOW, preempt: true, interval: self.interval() };
        Router::start(!self.ours_is_a, self.lan, &self.lan.b, &self.row, setup)
    }

    /// v2 has whole seconds. Three of 300 ms are more than a machine full of routers makes one of them wait.
    fn interval(&self) -> Duration {
        Duration::from_millis(if self.row.version == 2 { 1000 } else { 300 })
    }

    fn skew(&self, interval: Duration, priority: u8) -> Duration {
        interval * (256 - u32::from(priority)) / 256
    }

    fn down(&self, interval: Duration, priority: u8) -> Duration {
        3 * interval + self.skew(interval, priority)
    }

    /// Kills a router; gives the time of its last advert.
    fn killed(&self, router: &mut Router<'_>) -> Instant {
        let at = router.kill();
        let recent = at.checked_sub(self.interval() * 6).unwrap();
        *self.lan.capture.advert_times(router.node.letter, VRID, recent).last().expect("an Active speaks")
    }

    /// How long a router of this priority took until its first advert: its skew time, or three intervals
    /// more. In between is as far from both as can be.
    fn took_over(&self, letter: char, priority: u8, since: Instant, interval: Duration) -> &'static str {
        let (taken, _) = self.lan.capture.advert(letter, VRID, priority, since, SOON);
        let took = taken - since;
        let skew = self.skew(interval, priority);
        if took < skew + interval * 3 / 2 {
            "skew"
        } else if took < self.down(interval, priority) + interval * 3 / 2 {
            "3+skew"
        } else {
            "LATE"
        }
    }

    /// Waits until both daemons and both kernels agree who is Active, and the other is silent.
    #[track_caller]
    fn settle(&self, active: &Router<'_>, backup: &Router<'_>) {
        let what = format!("{} is Active and {} Backup", active.node.letter, backup.node.letter);
        let quiet = 2 * self.interval();
        eventually(&what, SOON, || {
            // What asks a daemon starts a process: last, and not often.
            sleep(Duration::from_millis(250));
            let spoke = |node: &Node| {
                let since = Instant::now().checked_sub(quiet).unwrap();
                self.lan.capture.advert_times(node.letter, VRID, since).len()
            };
            active.carries().is_some()
                && backup.carries().is_none()
                && spoke(active.node) > 0
                && spoke(backup.node) == 0
                && active.role() == Role::Active
                && backup.role() == Role::Backup
        });
    }

    /// Waits until a router that hears no other says that it is Active, and is so.
    #[track_caller]
    fn alone(&self, active: &Router<'_>, other: Option<String>) {
        assert_eq!(other, None, "the virtual address is still on the router that left");
        let what = format!("{} is Active alone", active.node.letter);
        eventually(&what, SOON, || {
            sleep(Duration::from_millis(250));
            active.carries().is_some() && active.role() == Role::Active
        });
    }
}
