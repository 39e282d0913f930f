//! What the trackers make of a priority (keepalived §2.3): the sum, its parts, and reasons for Fault.

use super::track::{Finding, Verdict};
use crate::model::{Name, Priority, Text, TrackUse, cut};

/// A file's contribution of this or less is a Fault (keepalived §2.3).
const FILE_FAULT: i64 = -254;
/// The most that a file adds (keepalived §2.3).
const FILE_MAX: i64 = 253;

/// How an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// Priority to advertise, 1..=255: clamped to 1..=254 but for the owner.
    pub(super) priority: u8,
    /// (tracker, contribution), zeros left out.
    pub(super) contributions: Vec<(Name, i32)>,
    /// Why it cannot take part: trackers that are down, or that know nothing yet.
    pub(super) faults: Vec<Text>,
    /// All of these are only not known yet.
    pub(super) is_waiting: bool,
}

/// What counts for an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    /// As configured.
    pub(super) priority: Priority,
    /// Its own trackers.
    pub(super) own: &'a [TrackUse],
    /// Those of its sync group, and whether the weights of its own ones count there.
    pub(super) group: Option<(&'a [TrackUse], bool)>,
    /// It takes part already: a tracker that knows nothing yet (it came with a reload) does not stop it, as
    /// it would at the start.
    pub(super) takes_part: bool,
}

/// What one tracker means to one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Adds(i32),
    Fault(Text),
}

impl Standing {
    /// `find` tells what a tracker has found. A tracker that both the instance and its group use counts once:
    /// as the group says, but for a Fault of the instance's own.
    pub(super) fn of(case: &Case<'_>, find: impl Fn(usize) -> Option<Finding>) -> Standing {
        let (of_group, own_weights) = case.group.unwrap_or((&[], true));
        let counts = |own: &&TrackUse| {
            own.weight == 0 || (own_weights && !of_group.iter().any(|g| g.track == own.track))
        };
        let mut standing = Standing::default();
        let mut sum = i32::from(case.priority.get());
        let mut is_known = false;
        for track in of_group.iter().chain(case.own.iter().filter(counts)) {
            let Some(finding) = find(track.track) else { continue };
            match part(track, &finding, case.takes_part) {
                Part::Adds(0) => {}
                // The owner's priority is never changed (keepalived §2.3; RFC 9568 §6.1).
                Part::Adds(_) if case.priority.is_owner() => {}
                Part::Adds(number) => {
                    sum += number;
                    standing.contributions.push((finding.name, number));
                }
                Part::Fault(text) => {
                    is_known |= finding.verdict != Verdict::Unknown;
                    if !standing.faults.contains(&text) {
                        standing.faults.push(text);
                    }
                }
            }
        }
        standing.is_waiting = !standing.faults.is_empty() && !is_known;
        standing.priority = clamp(case.priority, sum);
        standing
    }
}

impl Standing {
    /// Another configured priority, with the same contributions.
    pub(super) fn rebase(&mut self, priority: Priority) {
        let sum: i32 = self.contributions.iter().map(|(_, number)| *number).sum();
        self.priority = clamp(priority, i32::from(priority.get()) + sum);
    }
}

/// 1..=254 but for the owner, whose priority nothing changes.
fn clamp(priority: Priority, sum: i32) -> u8 {
    if priority.is_owner() { Priority::OWNER.get() } else { sum.clamp(1, 254) as u8 }
}

/// Does a tracker take something from one who uses it so?
pub(super) fn hurts(track: &TrackUse, finding: &Finding) -> bool {
    match finding.verdict {
        Verdict::Unknown => false,
        Verdict::Up => track.reverse,
        Verdict::Down => !track.reverse,
        Verdict::Number(_) => match part(track, finding, true) {
            Part::Adds(number) => number < 0,
            Part::Fault(_) => true,
        },
    }
}

fn part(track: &TrackUse, finding: &Finding, takes_part: bool) -> Part {
    let Finding { verdict, kind, name, reason } = finding;
    let weight = i32::from(track.weight);
    let signed = |number: i32| if track.reverse { -number } else { number };
    match verdict {
        Verdict::Unknown if weight != 0 || takes_part => Part::Adds(0),
        Verdict::Unknown => Part::Fault(cut(format_args!("waits for the first result of {kind} {name}"))),
        Verdict::Up if weight == 0 && track.reverse => {
            Part::Fault(cut(format_args!("{kind} {name} is up, wanted down")))
        }
        Verdict::Up => Part::Adds(signed(weight.max(0))),
        Verdict::Down if weight == 0 && !track.reverse => {
            Part::Fault(cut(format_args!("{kind} {name}: {reason}")))
        }
        Verdict::Down => Part::Adds(signed(weight.min(0))),
        Verdict::Number(number) if weight == 0 => match (number, track.reverse) {
            (0, true) => Part::Fault(cut(format_args!("{kind} {name} holds 0, wanted another number"))),
            (_, true) | (0, false) => Part::Adds(0),
            (number, false) => Part::Fault(cut(format_args!("{kind} {name} holds {number}, wanted 0"))),
        },
        Verdict::Number(number) => {
            let product = i64::from(*number) * i64::from(signed(weight));
            if product <= FILE_FAULT {
                let why =
                    format_args!("{kind} {name}: {number} x {} is {FILE_FAULT} or less", signed(weight));
                Part::Fault(cut(why))
            } else {
                Part::Adds(product.min(FILE_MAX) as i32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(weight: i16, reverse: bool) -> TrackUse {
        TrackUse { track: 0, weight, reverse }
    }

    fn finding(verdict: Verdict) -> Finding {
        let reason = cut(format_args!("exited with 1"));
        Finding { verdict, kind: "script", name: cut(format_args!("wan")), reason }
    }

    /// One tracker, one instance, no group: priority, contribution, and whether it is a Fault.
    fn alone(priority: u8, track: TrackUse, verdict: Verdict) -> (u8, i32, bool) {
        let own = [track];
        let case =
            Case { priority: Priority::new(priority).unwrap(), own: &own, group: None, takes_part: false };
        let standing = Standing::of(&case, |_| Some(finding(verdict)));
        let sum = standing.contributions.iter().map(|c| c.1).sum();
        (standing.priority, sum, !standing.faults.is_empty())
    }

    #[test]
    fn every_sign_direction_and_verdict() {
        use Verdict::{Down, Number, Unknown, Up};
        for (weight, reverse, verdict, adds, is_fault, why) in [
            (20, false, Up, 20, false, "positive: added while up"),
            (20, false, Down, 0, false, "positive: nothing while down"),
            (20, true, Up, -20, false, "reverse turns the sign"),
            (20, true, Down, 0, false, "reverse does not turn up and down"),
            (-50, false, Up, 0, false, "negative: nothing while up"),
            (-50, false, Down, -50, false, "negative: taken off while down"),
            (-50, true, Up, 0, false, "negative, reverse: nothing while up"),
            (-50, true, Down, 50, false, "negative, reverse: added while down"),
            (0, false, Up, 0, false, "zero: fine while up"),
            (0, false, Down, 0, true, "zero: Fault while down"),
            (0, true, Up, 0, true, "zero, reverse: Fault while up"),
            (0, true, Down, 0, false, "zero, reverse: fine while down"),
            (20, false, Unknown, 0, false, "a weight has no effect before the first result"),
            (20, true, Unknown, 0, false, "neither reversed"),
            (-50, false, Unknown, 0, false, "neither a negative one"),
            (-50, true, Unknown, 0, false, "neither a negative one, reversed"),
            (0, false, Unknown, 0, true, "zero: held until the first result (trap 8)"),
            (0, true, Unknown, 0, true, "zero, reverse: likewise"),
            (1, false, Number(7), 7, false, "a file adds its number"),
            (-3, false, Number(7), -21, false, "times the weight"),
            (3, true, Number(7), -21, false, "times the weight, sign turned"),
            (1, false, Number(-253), -253, false, "the least that is no Fault"),
            (1, false, Number(-254), 0, true, "-254 or less means Fault"),
            (2, true, Number(127), 0, true, "also where the sign is turned"),
            (253, false, Number(i32::MIN), 0, true, "no overflow"),
            (-253, false, Number(i32::MIN), 253, false, "capped, no overflow"),
            (100, false, Number(100), 253, false, "capped"),
            (0, false, Number(0), 0, false, "zero: 0 is fine"),
            (0, false, Number(1), 0, true, "zero: anything else is a Fault"),
            (0, true, Number(0), 0, true, "zero, reverse: 0 is a Fault"),
            (0, true, Number(1), 0, false, "zero, reverse: anything else is fine"),
        ] {
            let got = alone(100, track(weight, reverse), verdict);
            let priority = (100 + adds).clamp(1, 254) as u8;
            assert_eq!(
                got,
                (priority, adds, is_fault),
                "weight {weight}, reverse {reverse}, {verdict:?}: {why}"
            );
            let owner = alone(255, track(weight, reverse), verdict);
            assert_eq!(owner, (255, 0, is_fault), "trap 9: the owner's stays; weight {weight}, {verdict:?}");
        }
    }

    #[test]
    fn a_tracker_hurts_who_wants_it_the_other_way() {
        use Verdict::{Down, Number, Unknown, Up};
        let hurts = |weight, reverse, verdict| hurts(&track(weight, reverse), &finding(verdict));
        for weight in [-50, 0, 50] {
            assert!(hurts(weight, false, Down) && !hurts(weight, false, Up), "down hurts; weight {weight}");
            assert!(hurts(weight, true, Up) && !hurts(weight, true, Down), "up hurts; weight {weight}");
            assert!(!hurts(weight, false, Unknown) && !hurts(weight, true, Unknown), "nothing is known yet");
        }
        assert!(hurts(1, false, Number(-1)) && hurts(-1, false, Number(1)), "a number that subtracts");
        assert!(hurts(0, false, Number(1)) && !hurts(1, false, Number(1)), "or makes unfit");
    }

    #[test]
    fn the_sum_is_clamped_and_tells_its_parts() {
        let uses = |weights: &[i16]| -> Vec<TrackUse> {
            let uses = weights.iter().enumerate();
            uses.map(|(track, weight)| TrackUse { track, weight: *weight, reverse: false }).collect()
        };
        for (base, weights, wanted) in [
            (100, &[-253, -253][..], 1),
            (1, &[-1], 1),
            (100, &[253], 254),
            (254, &[1], 254),
            (254, &[253, 253, -253, -253, -253], 1),
            (130, &[-50], 80),
        ] {
            let own = uses(weights);
            let case =
                Case { priority: Priority::new(base).unwrap(), own: &own, group: None, takes_part: true };
            let standing = Standing::of(&case, |at| {
                let verdict = if weights[at] > 0 { Verdict::Up } else { Verdict::Down };
                Some(Finding { name: cut(format_args!("t{at}")), ..finding(verdict) })
            });
            assert_eq!(standing.priority, wanted, "{base} with {weights:?}: clamped once, after the sum");
            assert_eq!(standing.contributions.len(), weights.len(), "80 = 130 - 50 wan");
        }
        let clamped = alone(100, track(253, false), Verdict::Up);
        assert_eq!(clamped, (254, 253, false), "the part is told as it is, though the sum is clamped");
    }

    #[test]
    fn group_trackers_apply_to_each_member_and_own_weights_only_where_wanted() {
        let (heavy, fatal) = (track(-30, false), TrackUse { track: 1, ..track(0, false) });
        let of_group = [TrackUse { track: 2, ..track(-10, false) }];
        let standing = |own: &[TrackUse], of_group: &[TrackUse], own_weights| {
            let priority = Priority::new(100).unwrap();
            let case = Case { priority, own, group: Some((of_group, own_weights)), takes_part: true };
            Standing::of(&case, |_| Some(finding(Verdict::Down)))
        };
        let members_own = standing(&[heavy, fatal], &of_group, false);
        assert_eq!(members_own.priority, 90, "keepalived §2.3: a member's own weight does not count");
        assert_eq!(members_own.faults.len(), 1, "its own Fault does");
        assert_eq!(standing(&[heavy, fatal], &of_group, true).priority, 60, "sync_group_tracking_weight");
        assert_eq!(standing(&[heavy], &[heavy], true).priority, 70, "used twice, counted once");
        assert_eq!(standing(&[], &[fatal], false).faults.len(), 1, "a group's Fault is every member's");
        assert_eq!(standing(&[fatal], &[fatal], false).faults.len(), 1, "and is told once");
    }

    #[test]
    fn what_comes_with_a_reload_does_not_stop_who_takes_part() {
        let own = [track(0, false)];
        let case = Case { priority: Priority::new(100).unwrap(), own: &own, group: None, takes_part: true };
        let unknown = |case: &Case<'_>| Standing::of(case, |_| Some(finding(Verdict::Unknown)));
        assert_eq!(unknown(&case).faults, [""; 0], "it waits for the verdict where it is");
        let at_start = unknown(&Case { takes_part: false, ..case });
        assert_eq!(at_start.faults, ["waits for the first result of script wan"]);
        let down = Standing::of(&case, |_| Some(finding(Verdict::Down)));
        assert_eq!(down.faults, ["script wan: exited with 1"], "the reason says what to look at");
    }
}
