//! stub
use super::*;
#[derive(Debug)]
pub(super) struct Mailer {
    s: Option<Mail>,
    n: u32,
}
impl Mailer {
    pub(super) fn new(s: Option<Mail>) -> Self {
        Mailer { s, n: 0 }
    }
    pub(super) fn push(&mut self, _now: Instant, _a: fmt::Arguments<'_>, _b: fmt::Arguments<'_>) {
        self.n += 1;
    }
    pub(super) fn handle_result(&mut self, _: Instant, _: u32, _: Result<(), crate::model::Reason>) {}
    pub(super) fn tick(&mut self, _: Instant, _: &mut Actions) {}
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }
    pub(super) fn letter(&self, _: u32) -> Option<&Letter> {
        None
    }
    pub(super) fn settings(&self) -> Option<&Mail> {
        self.s.as_ref()
    }
    pub(super) fn status(&self) -> Option<crate::model::status::MailStatus> {
        None
    }
    pub(super) fn reconfigure(&mut self, s: Option<Mail>) {
        self.s = s
    }
}
