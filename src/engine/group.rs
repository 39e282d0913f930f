//! Sync groups: instances that are Active together or not at all (keepalived §2.3).
//!
//! Two routers whose members have crossed priorities (each is better in another member) can become Active in
//! the same moment; then each takes a member away from the other, and both go back to Backup with all of
//! theirs. Without more they would do so for ever. After such a contest each waits a while of its own before
//! it tries again; the first one is heard by the other, whose weaker member then keeps its group in Backup.

use super::Ctx;
use super::notify::{About, Change};
use super::vrrp::Instance;
use crate::model::status::{GroupStatus, InstanceState};
use crate::model::{Level, SyncGroup, Text, cut};
use crate::time::{Duration, Instant};

/// After so many contests in a row the pause grows no more.
const ROUNDS_MAX: u8 = 4;

/// One group at run time.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) config: SyncGroup,
    state: InstanceState,
    since: Instant,
    /// What each member was told of the others' faults; `None`: nobody knows.
    told: Option<Vec<Option<Text>>>,
    /// The members' own faults.
    faults: Vec<Option<Text>>,
    /// As they were seen last.
    members: Vec<Member>,
    /// Members that came into the Active group with a reload, by their place: for a while they need not be
    /// Active, too.
    joining: Vec<usize>,
    joins_by: Instant,
    contest: Contest,
    /// All members are ready, and this is when they go.
    active_at: Option<Instant>,
}

/// Contests of late.
#[derive(Debug, Clone, Copy)]
struct Contest {
    rounds: u8,
    /// The last one is forgotten then.
    until: Instant,
    pause: Duration,
}

/// A member, as the group sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    state: InstanceState,
    wants_active: bool,
    joins: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    /// Active ones go to Backup, because this member (by its place) is not Active.
    Backup(usize),
    /// All that are ready become Active, where nobody is yet.
    Active,
    /// A member joins those that are.
    Join,
}

/// Any member that is not Active, and does not want to be, takes the others along; Active only all together.
fn step(members: &[Member]) -> Step {
    let is_active = |m: &Member| m.state == InstanceState::Active;
    let is_ready = |m: &Member| is_active(m) || m.wants_active;
    let some_active = members.iter().any(is_active);
    if members.iter().all(is_ready) {
        return match (some_active, members.iter().all(is_active)) {
            (true, true) => Step::Nothing,
            (true, false) => Step::Join,
            (false, _) => Step::Active,
        };
    }
    match members.iter().position(|m| !is_ready(m) && !m.joins) {
        Some(place) if some_active => Step::Backup(place),
        Some(_) | None => Step::Nothing,
    }
}

/// The group's own state. `before`: a group of which no member has begun stays in Initialize.
fn state_of(before: InstanceState, members: &[Member]) -> InstanceState {
    let has = |state| members.iter().any(|m| m.state == state);
    if has(InstanceState::Fault) {
        InstanceState::Fault
    } else if has(InstanceState::Active)
        && members.iter().all(|m| m.state == InstanceState::Active || m.joins)
    {
        InstanceState::Active
    } else if has(InstanceState::Backup) || has(InstanceState::Active) {
        InstanceState::Backup
    } else {
        match before {
            InstanceState::Initialize => InstanceState::Initialize,
            InstanceState::Backup | InstanceState::Active | InstanceState::Fault => InstanceState::Backup,
        }
    }
}

impl Group {
    pub(super) fn new(config: SyncGroup, now: Instant) -> Self {
        Group {
            told: None,
            faults: vec![None; config.members.len()],
            members: Vec::new(),
            config,
            state: InstanceState::Initialize,
            since: now,
            joining: Vec::new(),
            joins_by: now,
            contest: Contest { rounds: 0, until: now, pause: Duration::ZERO },
            active_at: None,
        }
    }

    /// When is [`Self::follow`] due at the latest?
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let joins = (!self.joining.is_empty()).then_some(self.joins_by);
        super::event::earlier(self.active_at, joins)
    }

    /// Other members. Those that are not Active while the group is get time to find out that nobody else is.
    pub(super) fn reconfigure(&mut self, now: Instant, config: SyncGroup, instances: &[Instance]) {
        self.told = None;
        self.faults = vec![None; config.members.len()];
        self.config = config;
        self.active_at = None;
        self.joining.clear();
        if self.state != InstanceState::Active {
            return;
        }
        self.joins_by = now;
        for (place, number) in self.config.members.iter().enumerate() {
            let Some(instance) = instances.get(*number) else { continue };
            match instance.state() {
                InstanceState::Active | InstanceState::Fault => {}
                InstanceState::Initialize | InstanceState::Backup => {
                    self.joining.push(place);
                    self.joins_by = self.joins_by.max(now + listening(instance) + instance.config.settle);
                }
            }
        }
    }

    /// The members have changed, or time has passed: they follow each other. `salt` is this router's own.
    pub(super) fn follow(&mut self, now: Instant, salt: u32, instances: &mut [Instance], cx: &mut Ctx<'_>) {
        let is_faulty = self.spread_faults(now, instances, cx);
        if self.joins_by <= now {
            self.joining.clear();
        }
        self.look_at_members(instances);
        let members = &self.members;
        self.joining.retain(|place| members.get(*place).is_some_and(|m| m.state != InstanceState::Active));
        let mut why = Text::new();
        match step(&self.members) {
            Step::Nothing => self.active_at = None,
            Step::Join => {
                self.active_at = None;
                self.all_to_active(now, instances, cx);
            }
            Step::Active => {
                let pause = if now < self.contest.until { self.contest.pause } else { Duration::ZERO };
                let at = *self.active_at.get_or_insert(now + pause);
                if at <= now {
                    self.active_at = None;
                    why = cut(format_args!("all members are ready"));
                    self.all_to_active(now, instances, cx);
                }
            }
            Step::Backup(place) => {
                self.active_at = None;
                why = self.all_to_backup(now, place, instances, cx);
                self.count_contest(now, salt, instances);
            }
        }
        self.look_at_members(instances);
        let state = state_of(self.state, &self.members);
        if state == self.state {
            return;
        }
        if is_faulty {
            let first = self.faults.iter().position(Option::is_some).unwrap_or(0);
            why = explain(&self.config, &self.faults, first, instances).unwrap_or_default();
        } else if why.is_empty() && state == InstanceState::Backup {
            why = cut(format_args!("listening"));
        }
        self.enter(now, state, &why, cx);
    }

    /// The daemon ends: the members have left together.
    pub(super) fn shutdown(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        (self.active_at, self.joins_by) = (None, now);
        self.joining.clear();
        self.enter(now, InstanceState::Initialize, "shut down", cx);
    }

    /// For the status screen.
    pub(super) fn status(&self, now: Instant, instances: &[Instance]) -> GroupStatus {
        let members = self.config.members.iter().filter_map(|number| instances.get(*number));
        GroupStatus {
            name: self.config.name.clone(),
            state: self.state,
            since: super::history::age(now, self.since),
            members: members.map(|i| i.config.name.clone()).collect(),
        }
    }

    fn look_at_members(&mut self, instances: &[Instance]) {
        let of = |(place, number): (usize, &usize)| {
            instances.get(*number).map(|instance| Member {
                state: instance.state(),
                wants_active: instance.wants_active(),
                joins: self.joining.contains(&place),
            })
        };
        self.members.clear();
        self.members.extend(self.config.members.iter().enumerate().filter_map(of));
    }

    /// A member's own fault is a fault of all others, but of those that have the same one (of a tracker that
    /// they share). False: none has one.
    fn spread_faults(&mut self, now: Instant, instances: &mut [Instance], cx: &mut Ctx<'_>) -> bool {
        let mut is_news = self.told.is_none();
        for (number, fault) in self.config.members.iter().zip(&mut self.faults) {
            let found = instances.get(*number).and_then(Instance::own_fault);
            if *fault != found {
                (*fault, is_news) = (found, true);
            }
        }
        if is_news {
            self.tell_faults(now, instances, cx);
        }
        self.faults.iter().any(Option::is_some)
    }

    fn tell_faults(&mut self, now: Instant, instances: &mut [Instance], cx: &mut Ctx<'_>) {
        let is_first = self.told.is_none();
        let told = self.told.get_or_insert_with(|| vec![None; self.config.members.len()]);
        for (place, (number, told)) in self.config.members.iter().zip(told).enumerate() {
            let own = self.faults.get(place);
            let other = self.faults.iter().position(|fault| fault.is_some() && Some(fault) != own);
            let why = other.and_then(|other| explain(&self.config, &self.faults, other, instances));
            if let Some(instance) = instances.get_mut(*number)
                && (is_first || *told != why)
            {
                told.clone_from(&why);
                instance.set_group_fault(now, why, cx);
            }
        }
    }

    fn all_to_active(&self, now: Instant, instances: &mut [Instance], cx: &mut Ctx<'_>) {
        for number in &self.config.members {
            if let Some(instance) = instances.get_mut(*number)
                && instance.wants_active()
            {
                instance.follow_to_active(now, cx);
            }
        }
    }

    fn all_to_backup(
        &self,
        now: Instant,
        place: usize,
        instances: &mut [Instance],
        cx: &mut Ctx<'_>,
    ) -> Text {
        let first = self.config.members.get(place).and_then(|number| instances.get(*number));
        let why: Text = first.map_or_else(Text::new, |i| {
            cut(format_args!("group {}: {} is {}", self.config.name, i.config.name, i.state().word()))
        });
        for number in &self.config.members {
            if let Some(instance) = instances.get_mut(*number)
                && instance.state() == InstanceState::Active
            {
                instance.follow_to_backup(now, &why, cx);
            }
        }
        why
    }

    /// Another router took a member away: the next try waits for less than an advert interval, for up to four
    /// of them where that goes on.
    fn count_contest(&mut self, now: Instant, salt: u32, instances: &[Instance]) {
        if self.contest.until <= now {
            self.contest.rounds = 0;
        }
        let members = || self.config.members.iter().filter_map(|number| instances.get(*number));
        let interval = members().map(|i| i.config.advert_interval).max().unwrap_or(Duration::ZERO);
        let round = members().map(listening).max().unwrap_or(Duration::ZERO);
        let rounds = (self.contest.rounds + 1).min(ROUNDS_MAX);
        let most = interval.total_micros() * u64::from(rounds);
        let chance = mix(salt ^ mix(now.total_micros() as u32 ^ u32::from(rounds)));
        let pause = Duration::from_micros(((u128::from(most) * u128::from(chance)) >> 32) as u64);
        self.contest = Contest { rounds, until: now + round * 2 + Duration::from_micros(most), pause };
    }

    fn enter(&mut self, now: Instant, state: InstanceState, why: &str, cx: &mut Ctx<'_>) {
        let before = core::mem::replace(&mut self.state, state);
        if before == state {
            return;
        }
        self.since = now;
        let level = if state == InstanceState::Fault { Level::Error } else { Level::Note };
        let colon = if why.is_empty() { "" } else { ": " };
        let text = format_args!("{} -> {}{colon}{why}", before.word(), state.word());
        cx.note(now, level, "group", &self.config.name, text);
        let about = About::Group(&self.config);
        cx.notifier.tell(now, about, Change::State { state, quietly: false }, 0, cx.actions);
        cx.mailer.tell(now, cx.router_name, about, (before, state), why);
    }
}

/// A member's own fault, as the others tell it.
fn explain(
    config: &SyncGroup,
    faults: &[Option<Text>],
    place: usize,
    instances: &[Instance],
) -> Option<Text> {
    let (fault, number) = (faults.get(place)?.as_ref()?, config.members.get(place)?);
    let name = &instances.get(*number)?.config.name;
    Some(cut(format_args!("group {}: {name}: {fault}", config.name)))
}

/// How long an instance listens before it may become Active, at most (FSM-1, FSM-3).
fn listening(instance: &Instance) -> Duration {
    let config = &instance.config;
    config.advert_interval * (u32::from(config.down_adverts) + 1) + Duration::from_secs(1)
}

/// Spreads bits (the finalizer of MurmurHash3), so that routers that differ little wait differently.
pub(super) fn mix(mut bits: u32) -> u32 {
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
    bits ^ (bits >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceState::{Active, Backup, Fault, Initialize};

    fn member(state: InstanceState, wants_active: bool) -> Member {
        Member { state, wants_active, joins: false }
    }

    #[test]
    fn active_together_or_not_at_all() {
        let (active, backup, ready) = (member(Active, false), member(Backup, false), member(Backup, true));
        let (fault, joins) = (member(Fault, false), Member { joins: true, ..backup });
        for (members, wanted, why) in [
            (&[backup, backup][..], Step::Nothing, "nobody wants"),
            (&[ready, backup], Step::Nothing, "Active only when all want it"),
            (&[ready, ready], Step::Active, "all want it"),
            (&[active, active], Step::Nothing, "all are"),
            (&[active, backup], Step::Backup(1), "any member Backup: all Backup"),
            (&[backup, ready, active], Step::Backup(0), "also where another wants to be Active"),
            (&[active, ready], Step::Join, "the last one comes along"),
            (&[active, fault], Step::Backup(1), "a fault that was not spread yet"),
            (&[active, joins], Step::Nothing, "a new member gets time to listen"),
            (&[active, backup, joins], Step::Backup(1), "but no other"),
            (&[ready], Step::Active, "a group of one"),
            (&[member(Initialize, false), active], Step::Backup(0), "a member that has not begun"),
        ] {
            assert_eq!(step(members), wanted, "{members:?}: {why}");
        }
    }

    #[test]
    fn the_group_s_own_state() {
        let of = |states: &[InstanceState], before| {
            let members: Vec<Member> = states.iter().map(|s| member(*s, false)).collect();
            state_of(before, &members)
        };
        assert_eq!(of(&[Active, Active], Backup), Active);
        assert_eq!(of(&[Active, Backup], Active), Backup, "Active only together");
        assert_eq!(of(&[Backup, Fault], Backup), Fault, "one fault is the group's");
        assert_eq!(of(&[Initialize, Initialize], Initialize), Initialize);
        assert_eq!(
            of(&[Initialize, Initialize], Fault),
            Backup,
            "STOP is told at the end of the daemon only"
        );
        assert_eq!(of(&[Initialize, Backup], Initialize), Backup);
        let joins = Member { joins: true, ..member(Backup, false) };
        assert_eq!(state_of(Active, &[member(Active, false), joins]), Active, "a reload is no outage");
        assert_eq!(state_of(Backup, &[joins, joins]), Backup);
    }

    #[test]
    fn pauses_of_two_routers_differ() {
        let close = (0..1000u32).filter(|n| mix(*n).abs_diff(mix(n + 1)) < u32::MAX / 100).count();
        assert!(close < 40, "{close} of 1000 neighbours wait nearly the same: they would collide again");
    }
}
