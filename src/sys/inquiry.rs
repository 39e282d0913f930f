//! `vipd probe`: one probe of each check of a server, because somebody asks. They run beside those of the
//! checkers, which hear nothing of them, and are answered together when the last one has ended.

use super::control::{ControlServer, Ticket};
use super::errands::Errands;
use super::prober::Prober;
use crate::control::{Inquiry, ProbeRequest, Verdict};
use crate::engine::{AskedCheck, Engine, Outcome, ProbeId, RunOutcome};
use crate::limits;
use crate::model::status::Snapshot;
use crate::model::{Reason, ScriptCheck, cut};
use crate::time::{Duration, Instant};

/// An answer comes by then, with what has ended; the command waits a little longer.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(60);
/// From the last moment for the answer to that of its connection.
pub(super) const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// All that is asked for now.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    open: heapless::Vec<Open, { limits::CONTROL_CONNECTIONS_MAX }>,
    serial: u32,
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    /// Its probes' checkers begin at [`ProbeId::ASKED`] + this × [`limits::CHECKS_MAX`].
    place: u32,
    serial: u32,
    started_at: Instant,
    give_up_at: Instant,
    inquiry: Inquiry,
    /// The scripts among its checks: are exit codes weights?
    scripts: heapless::Vec<(u32, bool), { limits::CHECKS_MAX }>,
}

/// What is asked, and by whom.
pub(super) struct Question<'a> {
    pub(super) ticket: Ticket,
    pub(super) request: &'a ProbeRequest,
    pub(super) snapshot: &'a Snapshot,
}

impl Inquiries {
    /// Begins. The answer comes from [`Self::settle`], or at once where nothing is to be waited for.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        question: &Question<'_>,
        engine: &Engine,
        (prober, errands): (&mut Prober, &mut Errands),
        control: &mut ControlServer,
    ) {
        let ticket = question.ticket;
        let inquiry = match Inquiry::begin(question.request, question.snapshot) {
            Ok(inquiry) => inquiry,
            Err(reply) => return control.reply(now, ticket, &reply),
        };
        self.serial = self.serial.wrapping_add(1);
        let is_free = |place: &u32| self.open.iter().all(|open| open.place != *place);
        let mut open = Open {
            ticket,
            place: (0..).find(is_free).unwrap_or(0),
            serial: self.serial,
            started_at: now,
            give_up_at: now + ANSWER_MAX,
            inquiry,
            scripts: heapless::Vec::new(),
        };
        for check in 0..open.inquiry.findings.len() {
            open.start(now, check, engine, prober, errands);
        }
        // One for each connection: there is room.
        let _ = self.open.push(open);
        self.settle(now, control, prober, errands);
    }

    /// A probe has ended.
    pub(super) fn handle_probe(&mut self, id: ProbeId, outcome: Outcome, took: Duration) {
        let verdict = match outcome {
            Outcome::Passed => Verdict::Passed,
            Outcome::Failed(why) => Verdict::Failed(why),
            Outcome::NotRun(why) => Verdict::NotRun(why),
        };
        if let Some((open, check)) = self.find(id) {
            open.close(check, verdict, Some(took));
        }
    }

    /// A program has ended.
    pub(super) fn handle_ran(&mut self, id: ProbeId, outcome: RunOutcome, took: Duration) {
        let Some((open, check)) = self.find(id) else { return };
        let dynamic = open.scripts.iter().any(|(at, dynamic)| *at as usize == check && *dynamic);
        open.step(check, took, cut(format_args!("{outcome}")));
        let verdict = match Engine::script_result(outcome, dynamic) {
            (Outcome::Passed, None) => Verdict::Passed,
            (Outcome::Passed, Some(weight)) => {
                open.step(check, took, cut(format_args!("that is: up, with the weight {weight}")));
                Verdict::Passed
            }
            (Outcome::Failed(why), _) => Verdict::Failed(why),
            (Outcome::NotRun(why), _) => Verdict::NotRun(why),
        };
        open.close(check, verdict, Some(took));
    }

    /// Something has happened in a probe.
    pub(super) fn step(&mut self, at: Instant, id: ProbeId, what: Reason) {
        if let Some((open, check)) = self.find(id) {
            let after = if at > open.started_at { at - open.started_at } else { Duration::ZERO };
            open.step(check, after, what);
        }
    }

    /// When [`Self::settle`] has to be called at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.give_up_at).min()
    }

    /// Answers what has ended or is overdue, and stops what nobody waits for any more.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        control: &mut ControlServer,
        prober: &mut Prober,
        errands: &mut Errands,
    ) {
        self.open.retain(|open| {
            let is_over = open.is_closed() || open.give_up_at <= now;
            if is_over {
                control.reply(now, open.ticket, &open.inquiry.reply());
            }
            let goes_on = !is_over && control.is_awaited(open.ticket);
            if !goes_on {
                open.stop(now, prober, errands);
            }
            goes_on
        });
    }

    fn find(&mut self, id: ProbeId) -> Option<(&mut Open, usize)> {
        let number = id.checker.checked_sub(ProbeId::ASKED)?;
        let (place, check) = (number / limits::CHECKS_MAX as u32, number % limits::CHECKS_MAX as u32);
        let open = self.open.iter_mut().find(|open| open.place == place && open.serial == id.serial)?;
        Some((open, check as usize))
    }
}

impl Open {
    fn id(&self, check: usize) -> ProbeId {
        let checker = ProbeId::ASKED + self.place * limits::CHECKS_MAX as u32 + check as u32;
        ProbeId { checker, serial: self.serial }
    }

    fn start(
        &mut self,
        now: Instant,
        check: usize,
        engine: &Engine,
        prober: &mut Prober,
        errands: &mut Errands,
    ) {
        let id = self.id(check);
        match engine.asked_check(self.inquiry.place, check) {
            Some(AskedCheck::Probe(spec)) => prober.start(now, id, &spec, engine.router_name()),
            Some(AskedCheck::Script(script)) => {
                self.step(check, Duration::ZERO, told(script));
                let _ = self.scripts.push((check as u32, script.dynamic));
                errands.run_asked(now, id, &script.command);
            }
            // The inquiry knows already.
            Some(AskedCheck::File) => {}
            Some(AskedCheck::NoAddress) => {
                self.close(check, Verdict::NotRun(cut(format_args!("its name has no address yet"))), None);
            }
            None => self.close(check, Verdict::NotRun(cut(format_args!("no such check"))), None),
        }
    }

    fn step(&mut self, check: usize, at: Duration, what: Reason) {
        if let Some(finding) = self.inquiry.findings.get_mut(check)
            && finding.steps.len() < limits::PROBE_STEPS_MAX
        {
            finding.steps.push((at, what));
        }
    }

    fn close(&mut self, check: usize, verdict: Verdict, took: Option<Duration>) {
        if let Some(finding) = self.inquiry.findings.get_mut(check) {
            (finding.verdict, finding.took) = (verdict, took);
        }
    }

    fn is_closed(&self) -> bool {
        self.inquiry.findings.iter().all(|finding| finding.verdict != Verdict::Open)
    }

    /// What still runs is forgotten.
    fn stop(&self, now: Instant, prober: &mut Prober, errands: &mut Errands) {
        let open = self.inquiry.findings.iter().enumerate().filter(|(_, f)| f.verdict == Verdict::Open);
        for (check, _) in open {
            prober.stop(now, self.id(check));
            errands.stop_asked(now, self.id(check));
        }
    }
}

/// What is run.
fn told(script: &ScriptCheck) -> Reason {
    let argv = script.command.argv.join(" ");
    match &script.command.user {
        Some(user) => cut(format_args!("{argv} (as {user})")),
        None => cut(format_args!("{argv}")),
    }
}
