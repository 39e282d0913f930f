//! One entry, one step: what is asked of the kernel, and what its answers and its news mean.

use super::entry::Entry;
use super::item::Item;
use crate::engine::{Action, AddressOp, Ctx, Refusal};
use crate::model::{Text, cut};
use crate::time::{Duration, Instant};

/// What an answer of the kernel meant.
pub(super) enum Answer {
    Done,
    /// There is one in its place that the kernel has not told of yet.
    Unknown,
    PutBack,
    StrayGone,
    Refused(Refusal),
}

pub(super) fn ask(entry: &mut Entry, op: AddressOp, index: u32, cx: &mut Ctx<'_>) {
    let token = cx.claims.next_token();
    entry.asked = Some((token, op));
    cx.actions.push(match &entry.item {
        Item::Route(route) => Action::ChangeRoute { token, op, index, route: route.clone() },
        Item::Rule(rule) => Action::ChangeRule { token, op, rule: rule.clone() },
    });
}

/// Asks for the removal of one that is not wanted, unless somebody else wants it; when to try again.
pub(super) fn let_go(
    entry: &mut Entry,
    now: Instant,
    left: &mut usize,
    cx: &mut Ctx<'_>,
    asked: &mut usize,
) -> Option<Instant> {
    if !entry.is_held() || entry.asked.is_some() {
        return None;
    }
    if cx.claims.has(&entry.item.key()) {
        entry.set_off();
        entry.stray = false;
        return None;
    }
    if !entry.is_due(now) {
        return entry.not_before;
    }
    if *left == 0 {
        return Some(now);
    }
    *left -= 1;
    *asked += 1;
    ask(entry, AddressOp::Remove, entry.on.0, cx);
    None
}

pub(super) fn added(entry: &mut Entry, now: Instant, result: Result<(), Refusal>) -> Answer {
    let missed = core::mem::replace(&mut entry.missed, false);
    match result {
        Ok(()) => {
            (entry.ours, entry.seen_ours, entry.foreign, entry.assumed) = (true, true, false, false);
            (entry.doubt, entry.is_stale, entry.refusal) = (false, false, None);
            if !missed {
                return Answer::Done;
            }
            entry.put_back = entry.put_back.saturating_add(1);
            entry.put_back_at = Some(now);
            Answer::PutBack
        }
        Err(Refusal::Exists) if entry.ours || entry.foreign || !entry.rival => {
            (entry.doubt, entry.refusal) = (false, None);
            let is_known = entry.ours || entry.foreign;
            let was = core::mem::replace(&mut entry.assumed, !is_known);
            if is_known || was { Answer::Done } else { Answer::Unknown }
        }
        Err(refusal) => {
            entry.missed = missed;
            Answer::Refused(refusal)
        }
    }
}

pub(super) fn removed(entry: &mut Entry, result: Result<(), Refusal>) -> Answer {
    match result {
        Ok(()) => {
            entry.set_off();
            entry.refusal = None;
            if core::mem::replace(&mut entry.stray, false) { Answer::StrayGone } else { Answer::Done }
        }
        // It went with its interface or its source (RTNL-35), or it never was ours.
        Err(Refusal::NotFound | Refusal::NoDevice) => {
            entry.set_off();
            entry.stray = false;
            Answer::Done
        }
        Err(refusal) => Answer::Refused(refusal),
    }
}

/// The kernel tells of one that it is there, or gone; when to look into it.
pub(super) fn told(
    entry: &mut Entry,
    now: Instant,
    ours: bool,
    present: bool,
    wanted: bool,
    interval: Duration,
    cx: &mut Ctx<'_>,
) -> Option<Instant> {
    match (present, ours) {
        (true, true) => {
            entry.stray |= !wanted && !entry.is_held() && entry.asked.is_none();
            (entry.ours, entry.seen_ours, entry.assumed, entry.doubt) = (true, true, false, false);
            (entry.missed, entry.given_up, entry.refusal) = (false, false, None);
            (!wanted).then_some(now)
        }
        (true, false) => {
            (entry.seen_foreign, entry.assumed, entry.missed, entry.given_up) = (true, false, false, false);
            if !core::mem::replace(&mut entry.foreign, true) && entry.ours && !entry.item.is_rule() {
                // It may have replaced ours, which is not told.
                cx.actions.push(Action::Redump);
            }
            None
        }
        (false, true) => match entry.lost(now, wanted, interval) {
            None if !wanted => Some(now),
            due => due,
        },
        (false, false) => {
            entry.foreign = false;
            (wanted && !entry.is_present()).then_some(now)
        }
    }
}

pub(super) fn refused(text: &str, op: AddressOp, refusal: Refusal) -> Text {
    let what = match op {
        AddressOp::Add => "added",
        AddressOp::Remove => "removed",
    };
    if (op, refusal) == (AddressOp::Add, Refusal::Exists) {
        return cut(format_args!("{text} could not be added: another one is in its place"));
    }
    cut(format_args!("{text} could not be {what}: {refusal}"))
}
