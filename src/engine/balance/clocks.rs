//! The timeouts of connections (IPVS-45b): what they should be, what they are, and what they were before.
//!
//! What was there before is written down before something else is set, so that the next run can put it back
//! when this one is killed.

use super::whole::Pause;
use crate::engine::{Action, Ctx, HeldTimeouts};
use crate::model::{Text, Timeouts, cut};

/// Zero stands for "as it is".
#[derive(Debug, Default)]
pub(super) struct Clocks {
    wanted: Timeouts,
    /// As the kernel told them last; zero for what it does not have (B-103).
    pub(super) told: Option<Timeouts>,
    /// What was there before we changed it; zero where we have not.
    before: Timeouts,
    /// What was written down last.
    recorded: HeldTimeouts,
    /// What was written down before the kernel told: by an earlier run, or of an IPVS that may be another
    /// one now.
    left: HeldTimeouts,
    pub(super) pause: Pause,
}

/// One of three timeouts, and what it is called.
type Field = (fn(&mut Timeouts) -> &mut u32, &'static str);

const FIELDS: [Field; 3] =
    [(|t| &mut t.tcp, "TCP"), (|t| &mut t.tcp_fin, "TCP FIN"), (|t| &mut t.udp, "UDP")];

impl Clocks {
    /// Is there anything to look after?
    pub(super) fn is_needed(&self) -> bool {
        !self.is_clean() || self.left != HeldTimeouts::default()
    }

    /// Is nothing to be set, nor to be put back?
    pub(super) fn is_clean(&self) -> bool {
        (self.wanted, self.before) == (Timeouts::default(), Timeouts::default())
    }

    /// What an earlier run wrote down.
    pub(super) fn leave(&mut self, left: HeldTimeouts) {
        (self.left, self.recorded) = (left, left);
    }

    /// The kernel's IPVS answers; it may be another one than before.
    pub(super) fn ready(&mut self) {
        let left = self.recorded;
        *self = Clocks { wanted: self.wanted, recorded: left, left, ..Clocks::default() };
    }

    /// It is gone, and what was set with it.
    pub(super) fn absent(&mut self) {
        *self = Clocks { wanted: self.wanted, recorded: self.recorded, ..Clocks::default() };
    }

    /// Has it written down what the next run would need, where that is not what was written down last.
    pub(super) fn remember(&mut self, cx: &mut Ctx<'_>) {
        let mut held = self.left;
        let mut now = self.told.unwrap_or_default();
        for (field, _) in FIELDS {
            let (before, wanted) = (*field(&mut self.before), *field(&mut self.wanted));
            let ours = if wanted != 0 { wanted } else { *field(&mut now) };
            if before != 0 && before != ours {
                *field(&mut held.before) = before;
                *field(&mut held.ours) = ours;
            }
        }
        if self.recorded != held {
            self.recorded = held;
            cx.actions.push(Action::RememberTimeouts(held));
        }
    }

    /// The kernel tells. Returns whether somebody else has changed what we had set.
    pub(super) fn hear(&mut self, mut told: Timeouts) -> bool {
        let mut foreign = false;
        let (mut known, mut wanted) = (self.told.unwrap_or_default(), self.wanted);
        let mut left = core::mem::take(&mut self.left);
        for (field, _) in FIELDS {
            let (known, wanted, told) = (*field(&mut known), *field(&mut wanted), *field(&mut told));
            let before = field(&mut self.before);
            // Another value was set since, by somebody who meant it.
            if told != 0 && *field(&mut left.ours) == told {
                *before = *field(&mut left.before);
            }
            if wanted != 0 && *before == 0 {
                *before = told;
            }
            foreign |= known != 0 && known == wanted && told != wanted;
        }
        self.told = Some(told);
        self.forget_restored();
        foreign
    }

    /// Another configuration.
    pub(super) fn want(&mut self, wanted: Timeouts) {
        self.wanted = wanted;
        self.pause.succeed();
        self.forget_restored();
    }

    /// What is there as it was before, and not wanted otherwise, need not be remembered.
    fn forget_restored(&mut self) {
        let (Some(mut told), mut wanted) = (self.told, self.wanted) else { return };
        for (field, _) in FIELDS {
            let before = field(&mut self.before);
            if *field(&mut wanted) == 0 && *before == *field(&mut told) {
                *before = 0;
            }
        }
    }

    /// What is to be set; `None`: all is as wanted, or not known.
    pub(super) fn next(&self) -> Option<Timeouts> {
        let (mut told, mut wanted, mut before) = (self.told?, self.wanted, self.before);
        let mut set = Timeouts::default();
        for (field, _) in FIELDS {
            let should = if *field(&mut wanted) != 0 { *field(&mut wanted) } else { *field(&mut before) };
            let is = *field(&mut told);
            if should != 0 && is != 0 && is != should {
                *field(&mut set) = should;
            }
        }
        (set != Timeouts::default()).then_some(set)
    }

    /// The kernel has taken these.
    pub(super) fn acknowledge(&mut self, mut set: Timeouts) {
        let mut now = self.told.unwrap_or_default();
        for (field, _) in FIELDS {
            if *field(&mut set) != 0 {
                *field(&mut now) = *field(&mut set);
            }
        }
        self.pause.succeed();
        self.hear(now);
    }

    /// What is not as wanted.
    pub(super) fn problems(&self, problems: &mut Vec<Text>) {
        if let Some(refusal) = self.pause.refusal.filter(|_| !self.is_clean()) {
            problems.push(cut(format_args!("the timeouts of IPVS cannot be set: {refusal}")));
        }
        let Some(mut told) = self.told else { return };
        let mut wanted = self.wanted;
        for (field, name) in FIELDS {
            if *field(&mut wanted) != 0 && *field(&mut told) == 0 {
                problems.push(cut(format_args!(
                    "the kernel's IPVS has no {name} timeout: enable CONFIG_IP_VS_PROTO_{}",
                    name.split(' ').next().unwrap_or(name)
                )));
            }
        }
    }
}
