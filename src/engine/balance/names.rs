//! Names of servers: when each is looked up, and which of its addresses counts.
//!
//! A name that several servers have is looked up once. Its address stays while it is among the answers, and
//! while there is no answer.

use super::checker::{part, place};
use super::reconcile::doubled;
use super::users::Users;
use crate::engine::{Action, NameId, NameSpec};
use crate::model::{Reason, ServerAddress, Text, cut};
use crate::time::{Duration, Instant};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;

/// From one answer to the next question.
const REFRESH: Duration = Duration::from_secs(60);
/// Pause after a failure, doubled up to `RETRY_MAX`.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// No answer after this is a failure; whoever looks names up gives up long before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The first questions are spread over this for each name, and over `SPREAD_MAX` in all.
const SPREAD: Duration = Duration::from_millis(20);
const SPREAD_MAX: Duration = Duration::from_secs(2);
/// Names listed one by one among the problems; more are counted in one line.
const SHOWN: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// When is it looked up?
    Waiting { ask_at: Instant },
    /// Asked; given up when?
    Asking { serial: u32, lost_at: Instant },
}

impl State {
    fn due_at(self) -> Instant {
        match self {
            State::Waiting { ask_at } => ask_at,
            State::Asking { lost_at, .. } => lost_at,
        }
    }
}

#[derive(Debug)]
struct Name {
    host: String,
    ipv6: bool,
    address: Option<IpAddr>,
    state: State,
    /// The last question, while it has no answer: also once it was given up, because behind many dead names
    /// an answer may take its time, and is still the best that is known.
    open: Option<u32>,
    /// It was looked up, with whatever success.
    is_answered: bool,
    /// Failures in a row.
    failures: u8,
    /// Why the last lookup failed; empty after a success.
    reason: Reason,
}

/// What an answer changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It has an address that it did not have.
    Address(IpAddr),
    /// The address is the same.
    Same,
    /// No address. True: nor has it one from before.
    Failed(bool),
}

/// An answer to a question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which name.
    pub(super) number: u32,
    pub(super) found: Found,
    /// It is the first one.
    pub(super) is_first: bool,
    /// It is a failure, and the one before was none.
    pub(super) is_news: bool,
}

/// All names.
#[derive(Debug)]
pub(super) struct Names {
    /// Holes are names that are gone; numbers stay valid.
    slots: Vec<Option<Name>>,
    holes: Vec<u32>,
    /// Whose names they are.
    pub(super) users: Users,
    /// When something of a name is due: one entry for each, and old ones.
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    serial: u32,
    seed: u32,
}

impl Names {
    /// None yet. `seed` spreads the first questions.
    pub(super) fn new(seed: u32) -> Self {
        Names {
            slots: Vec::new(),
            holes: Vec::new(),
            users: Users::default(),
            due: BinaryHeap::new(),
            serial: 0,
            seed,
        }
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.holes.len()
    }

    fn get(&self, number: u32) -> Option<&Name> {
        self.slots.get(number as usize)?.as_ref()
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Name> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// Takes the names of a configuration, those of its servers in order: what is still there keeps its
    /// number, its address and its turn. The number of each server's name.
    pub(super) fn reconfigure<'a>(
        &mut self,
        now: Instant,
        servers: impl Iterator<Item = &'a ServerAddress>,
    ) -> Vec<Option<u32>> {
        let wanted = |address: &'a ServerAddress| match address {
            ServerAddress::Ip(_) => None,
            ServerAddress::Name { host, ipv6, .. } => Some((host.as_str(), *ipv6)),
        };
        let keys: Vec<_> = servers.map(wanted).collect();
        let count = keys.iter().flatten().count() as u32;
        let mut known: BTreeMap<(String, bool), u32> = BTreeMap::new();
        for (number, slot) in (0..).zip(&self.slots) {
            if let Some(name) = slot {
                known.insert((name.host.clone(), name.ipv6), number);
            }
        }
        let mut numbers: BTreeMap<(&str, bool), u32> = BTreeMap::new();
        let mut list = Vec::with_capacity(keys.len());
        for key in keys {
            let Some((host, ipv6)) = key else {
                list.push(None);
                continue;
            };
            let number = match numbers.get(&(host, ipv6)) {
                Some(number) => *number,
                None => known
                    .remove(&(host.to_owned(), ipv6))
                    .unwrap_or_else(|| self.make(now, host.to_owned(), ipv6, count)),
            };
            numbers.insert((host, ipv6), number);
            list.push(Some(number));
        }
        for gone in known.into_values() {
            if let Some(slot) = self.slots.get_mut(gone as usize) {
                *slot = None;
                self.holes.push(gone);
            }
        }
        self.arm_all();
        list
    }

    fn make(&mut self, now: Instant, host: String, ipv6: bool, count: u32) -> u32 {
        let number = self.holes.pop().unwrap_or(self.slots.len() as u32);
        let wait = part((SPREAD * count).min(SPREAD_MAX), place(self.seed, number));
        let name = Some(Name {
            host,
            ipv6,
            address: None,
            state: State::Waiting { ask_at: now + wait },
            open: None,
            is_answered: false,
            failures: 0,
            reason: Reason::new(),
        });
        match self.slots.get_mut(number as usize) {
            Some(slot) => *slot = name,
            None => self.slots.push(name),
        }
        number
    }

    fn arm_all(&mut self) {
        self.due.clear();
        for (number, slot) in (0..).zip(&self.slots) {
            if let Some(name) = slot {
                self.due.push(Reverse((name.state.due_at(), number)));
            }
        }
    }

    /// Nothing is looked up any more.
    pub(super) fn stop(&mut self) {
        self.due.clear();
    }

    /// When `tick` has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Asks what is due. Returns one question of which nothing was heard, for `give_up`; call again until
    /// there is none.
    pub(super) fn tick(&mut self, now: Instant, actions: &mut crate::engine::Actions) -> Option<NameId> {
        while let Some(&Reverse((at, number))) = self.due.peek() {
            let state = self.get(number).map(|name| name.state).filter(|state| state.due_at() == at);
            if state.is_some() && at > now {
                return None;
            }
            self.due.pop();
            match state {
                None => {}
                Some(State::Asking { serial, .. }) => return Some(NameId { number, serial }),
                Some(State::Waiting { .. }) => {
                    self.serial = self.serial.wrapping_add(1);
                    let id = NameId { number, serial: self.serial };
                    let state = State::Asking { serial: self.serial, lost_at: now + ANSWER_TIMEOUT };
                    self.set(number, state);
                    if let Some(name) = self.get_mut(number) {
                        name.open = Some(id.serial);
                    }
                    actions.push(Action::Resolve(id));
                }
            }
        }
        None
    }

    fn set(&mut self, number: u32, state: State) {
        if let Some(name) = self.get_mut(number) {
            name.state = state;
            self.due.push(Reverse((state.due_at(), number)));
        }
    }

    /// What is asked; `None` for what is not.
    pub(super) fn spec(&self, id: NameId) -> Option<NameSpec<'_>> {
        let name = self.get(id.number)?;
        match name.state {
            State::Asking { serial, .. } if serial == id.serial => {
                Some(NameSpec { host: &name.host, ipv6: Some(name.ipv6) })
            }
            State::Asking { .. } | State::Waiting { .. } => None,
        }
    }

    /// An answer has come; `None` for one to an old question.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        id: NameId,
        result: Result<Vec<IpAddr>, Reason>,
    ) -> Option<Answer> {
        self.get_mut(id.number)?.open.take_if(|open| *open == id.serial)?;
        self.conclude(now, id.number, result)
    }

    /// Nothing was heard of a question: a failure, unless its answer comes before it is asked again.
    pub(super) fn give_up(&mut self, now: Instant, id: NameId) -> Option<Answer> {
        self.spec(id)?;
        self.conclude(now, id.number, Err(cut(format_args!("no answer"))))
    }

    fn conclude(&mut self, now: Instant, number: u32, result: Result<Vec<IpAddr>, Reason>) -> Option<Answer> {
        let name = self.get_mut(number)?;
        let is_first = !core::mem::replace(&mut name.is_answered, true);
        let result = result.and_then(|addresses| match addresses.first() {
            Some(first) => Ok(name.address.filter(|known| addresses.contains(known)).unwrap_or(*first)),
            None => Err(cut(format_args!("it has no address"))),
        });
        let (found, pause, is_news) = match result {
            Ok(address) => {
                name.failures = 0;
                name.reason.clear();
                let is_new = name.address.replace(address) != Some(address);
                (if is_new { Found::Address(address) } else { Found::Same }, REFRESH, false)
            }
            Err(reason) => {
                let is_news = name.reason.is_empty();
                name.reason = reason;
                let pause = doubled(RETRY_MIN, name.failures, RETRY_MAX);
                name.failures = name.failures.saturating_add(1);
                (Found::Failed(name.address.is_none()), pause, is_news)
            }
        };
        self.set(number, State::Waiting { ask_at: now + pause });
        Some(Answer { number, found, is_first, is_news })
    }

    /// The address of a name.
    pub(super) fn address(&self, number: u32) -> Option<IpAddr> {
        self.get(number)?.address
    }

    /// Has it been looked up at all?
    pub(super) fn is_answered(&self, number: u32) -> bool {
        self.get(number).is_none_or(|name| name.is_answered)
    }

    /// Why it has no address.
    pub(super) fn trouble(&self, number: Option<u32>) -> Reason {
        match number.and_then(|number| self.get(number)) {
            Some(name) if !name.reason.is_empty() => cut(format_args!("name not found yet: {}", name.reason)),
            Some(_) | None => cut(format_args!("name not looked up yet")),
        }
    }

    /// What somebody should look at.
    pub(super) fn problems(&self, problems: &mut Vec<Text>) {
        let mut failing = self.slots.iter().flatten().filter(|name| !name.reason.is_empty());
        problems.extend(failing.by_ref().take(SHOWN).map(|name| match name.address {
            Some(address) => cut(format_args!(
                "{} cannot be looked up: {}; {address}, which it had, stays",
                name.host, name.reason
            )),
            None => cut(format_args!("{} cannot be looked up: {}", name.host, name.reason)),
        }));
        let more = failing.count();
        if more > 0 {
            problems.push(cut(format_args!("{more} more names cannot be looked up")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Actions;

    struct Bed {
        names: Names,
        now: Instant,
    }

    impl Bed {
        fn new(hosts: &[&str]) -> Self {
            let mut bed = Bed { names: Names::new(3), now: Instant::from_secs(100) };
            bed.configure(hosts);
            bed
        }

        fn configure(&mut self, hosts: &[&str]) -> Vec<Option<u32>> {
            let servers: Vec<ServerAddress> = hosts
                .iter()
                .map(|host| ServerAddress::Name { host: (*host).into(), port: 80, ipv6: false })
                .collect();
            self.names.reconfigure(self.now, servers.iter())
        }

        /// Goes to the next question, and how long that took.
        fn next(&mut self) -> (Duration, NameId) {
            let from = self.now;
            let mut actions = Actions::new();
            for _ in 0..100 {
                self.now = self.now.max(self.names.next_deadline().unwrap());
                assert_eq!(self.names.tick(self.now, &mut actions), None, "nothing is lost here");
                if let Some(Action::Resolve(id)) = actions.take() {
                    return (self.now - from, id);
                }
            }
            panic!("nothing is asked");
        }

        fn answer(&mut self, id: NameId, addresses: &[&str]) -> Found {
            let result = match addresses {
                [] => Err(cut(format_args!("no such name"))),
                some => Ok(some.iter().map(|a| a.parse().unwrap()).collect()),
            };
            self.names.handle_answer(self.now, id, result).unwrap().found
        }
    }

    fn ip(text: &str) -> Found {
        Found::Address(text.parse().unwrap())
    }

    #[test]
    fn an_address_stays_while_it_is_among_the_answers_or_nobody_answers() {
        let mut bed = Bed::new(&["a.example"]);
        let (wait, id) = bed.next();
        assert!(wait <= SPREAD, "one name is looked up at once, not after {wait}");
        assert_eq!(bed.names.spec(id).unwrap().host, "a.example");
        assert_eq!(bed.answer(id, &["192.0.2.1", "192.0.2.2"]), ip("192.0.2.1"), "the first");
        assert_eq!(bed.names.handle_answer(bed.now, id, Ok(vec![])), None, "an answer twice is none");
        let (wait, id) = bed.next();
        assert_eq!(wait, REFRESH);
        assert_eq!(bed.answer(id, &["192.0.2.9", "192.0.2.1"]), Found::Same, "it is among the answers");
        let (_, id) = bed.next();
        assert_eq!(bed.answer(id, &["192.0.2.9"]), ip("192.0.2.9"), "it is no more");
        let (_, id) = bed.next();
        assert_eq!(bed.answer(id, &[]), Found::Failed(false), "nobody answers: it stays");
        assert_eq!(bed.names.address(0), Some("192.0.2.9".parse().unwrap()));
        let mut problems = Vec::new();
        bed.names.problems(&mut problems);
        assert_eq!(problems, ["a.example cannot be looked up: no such name; 192.0.2.9, which it had, stays"]);
        let (_, id) = bed.next();
        bed.answer(id, &["192.0.2.9"]);
        bed.names.problems(&mut problems);
        assert_eq!(problems.len(), 1, "a problem that is over goes");
    }

    #[test]
    fn failures_are_retried_after_5_10_20_40_60_60_seconds() {
        let mut bed = Bed::new(&["a.example"]);
        let (_, mut id) = bed.next();
        for seconds in [5, 10, 20, 40, 60, 60] {
            assert_eq!(bed.answer(id, &[]), Found::Failed(true));
            let (wait, next) = bed.next();
            assert_eq!(wait.secs(), seconds);
            id = next;
        }
        bed.answer(id, &["192.0.2.1"]);
        let (_, id) = bed.next();
        bed.answer(id, &[]);
        assert_eq!(bed.next().0.secs(), 5, "patience begins anew");
    }

    #[test]
    fn a_question_without_an_answer_is_given_up() {
        let mut bed = Bed::new(&["a.example"]);
        let (_, id) = bed.next();
        let mut actions = Actions::new();
        bed.now += ANSWER_TIMEOUT;
        assert_eq!(bed.names.tick(bed.now, &mut actions), Some(id), "lost");
        let given_up = bed.names.give_up(bed.now, id).unwrap();
        assert_eq!(given_up.found, Found::Failed(true), "which counts as a failure");
        assert_eq!(bed.names.give_up(bed.now, id), None, "once");
        assert_eq!(bed.names.tick(bed.now, &mut actions), None);
        assert_eq!(bed.next().0.secs(), 5);
    }

    #[test]
    fn an_answer_that_comes_after_its_question_was_given_up_counts_until_it_is_asked_again() {
        let mut bed = Bed::new(&["a.example"]);
        let (_, id) = bed.next();
        bed.now += ANSWER_TIMEOUT;
        assert_eq!(bed.names.tick(bed.now, &mut Actions::new()), Some(id));
        bed.names.give_up(bed.now, id).unwrap();
        bed.now += Duration::from_secs(4);
        assert_eq!(bed.answer(id, &["192.0.2.1"]), ip("192.0.2.1"), "it waited behind dead names");
        assert_eq!(bed.names.handle_answer(bed.now, id, Ok(vec![])), None, "once");
        let (wait, old) = bed.next();
        assert_eq!(wait, REFRESH, "no question before its time");
        bed.now += ANSWER_TIMEOUT;
        assert_eq!(bed.names.tick(bed.now, &mut Actions::new()), Some(old));
        bed.names.give_up(bed.now, old).unwrap();
        let (_, new) = bed.next();
        assert_eq!(bed.names.handle_answer(bed.now, old, Ok(vec![])), None, "asked again");
        assert_eq!(bed.answer(new, &["192.0.2.1"]), Found::Same);
    }

    #[test]
    fn a_reload_keeps_numbers_addresses_and_questions_on_their_way() {
        let mut bed = Bed::new(&["a.example", "b.example", "a.example"]);
        let (_, first) = bed.next();
        bed.answer(first, &["192.0.2.1"]);
        let (_, second) = bed.next();
        let before = bed.configure(&["b.example", "c.example", "a.example"]);
        assert_eq!(bed.names.address(first.number).map(|a| a.to_string()), Some("192.0.2.1".into()));
        assert!(before.contains(&Some(first.number)) && before[1] == Some(2), "{before:?}");
        assert_eq!(bed.answer(second, &["192.0.2.2"]), ip("192.0.2.2"), "asked before, answered after");
        bed.configure(&["c.example"]);
        assert_eq!(bed.names.spec(second), None);
        assert_eq!((bed.names.address(0), bed.names.address(1)), (None, None), "gone");
        let reused = bed.configure(&["c.example", "a.example"])[1].unwrap();
        assert_eq!(bed.names.address(reused), None, "a name that comes back begins anew");
    }

    #[test]
    fn many_names_are_spread() {
        let hosts: Vec<String> = (0..500).map(|i| format!("h{i}.example")).collect();
        let mut bed = Bed::new(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
        let start = bed.now;
        let mut early = 0;
        for _ in 0..500 {
            let (_, id) = bed.next();
            bed.answer(id, &["192.0.2.1"]);
            early += u32::from(bed.now - start < Duration::from_secs(1));
        }
        assert!(bed.now - start <= SPREAD_MAX && (200..300).contains(&early), "{early} in the first second");
    }
}
