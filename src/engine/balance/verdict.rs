//! From a result to the table: whose it is, what it makes of the server, whether the service has its quorum.

use super::service::{Facts, Judged, Service};
use super::tell::{self, Gone};
use super::{Balancer, Phase, check_at};
use crate::engine::{Ctx, Outcome, ProbeId, RunOutcome};
use crate::model::{CheckKind, Level, Reason, cut};
use crate::time::{Duration, Instant};

/// Probes that cannot be made are noted at most so often.
const NOT_RUN_NOTE_INTERVAL: Duration = Duration::from_secs(60);

/// What of a server is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    /// That it went up or down.
    Changes,
    /// That, and why it is down where that was only assumed until now.
    Reason,
    /// Nothing: so it would have begun, had its name been known.
    Nothing,
}

impl Balancer {
    /// A probe has ended. A result with an old id changes nothing.
    pub(in crate::engine) fn handle_probe(
        &mut self,
        now: Instant,
        id: ProbeId,
        outcome: Outcome,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        if self.phase == Phase::Running && self.running(id.checker, id.serial).is_some() {
            self.handle_result(now, id.checker, outcome, None, took, cx);
            self.table.run(now, cx);
        }
    }

    /// The script of check `number` has ended (HC-45). What could not be started says nothing of the server.
    pub(in crate::engine) fn handle_ran(
        &mut self,
        now: Instant,
        (number, serial): (u32, u32),
        outcome: RunOutcome,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        if self.phase != Phase::Running {
            return;
        }
        let Some((_, check)) = self.running(number, serial) else { return };
        let CheckKind::Script(script) = &check.kind else { return };
        let (outcome, weight) = script_result(outcome, script.dynamic);
        self.handle_result(now, number, outcome, weight, took, cx);
        self.table.run(now, cx);
    }

    /// The number in a tracked file has changed.
    pub(in crate::engine) fn handle_file(
        &mut self,
        now: Instant,
        track: usize,
        value: Result<i32, Reason>,
        cx: &mut Ctx<'_>,
    ) {
        if !self.files.set(track, value) || self.phase != Phase::Running {
            return;
        }
        for at in self.file_users.of(track as u32) {
            if let Some(place) = self.file_users.get(at) {
                self.look_at(now, place.service as usize, place.server as usize, Tell::Changes, cx);
            }
        }
        self.table.run(now, cx);
    }

    /// Judges all servers that look at files, without a word: so they begin.
    pub(super) fn look_at_files(&mut self, now: Instant, cx: &mut Ctx<'_>) {
        for at in 0..self.file_users.len() {
            if let Some(place) = self.file_users.get(at) {
                let service = place.service as usize;
                if self.judge(now, service, place.server as usize, Tell::Nothing, cx)
                    && let Some(service) = self.services.get_mut(service)
                {
                    service.count(now);
                }
                self.want(service);
            }
        }
    }

    /// A probe that was running ended. `weight`: what a script has told with it.
    pub(super) fn handle_result(
        &mut self,
        now: Instant,
        number: u32,
        outcome: Outcome,
        weight: Option<u8>,
        took: Duration,
        cx: &mut Ctx<'_>,
    ) {
        if let Outcome::NotRun(reason) = &outcome {
            self.note_not_run(now, number, reason, cx);
        }
        let place = self.probes.users.first(number);
        let check = place.and_then(|place| check_at(&self.services, place));
        let (Some(check), Some(probe)) = (check, self.probes.get_mut(number)) else { return };
        let passed = match &outcome {
            Outcome::Passed => Some(true),
            Outcome::Failed(_) => Some(false),
            Outcome::NotRun(_) => None,
        };
        let before = probe.checker.verdict();
        let is_flipped = probe.checker.handle_result(now, check, passed).is_some();
        let verdict = probe.checker.verdict();
        let mut is_news = probe.count(now, outcome, took) | is_flipped;
        let weight = match passed {
            Some(true) => weight,
            // A script that fails for the first time does not yet count as failed.
            Some(false) | None => probe.dynamic.filter(|_| verdict != Some(false)),
        };
        is_news |= core::mem::replace(&mut probe.dynamic, weight) != weight;
        self.probes.arm(number);
        if !is_news {
            return;
        }
        let is_first_no = before.is_none() && verdict == Some(false);
        let tell = if is_first_no { Tell::Reason } else { Tell::Changes };
        for at in self.probes.users.of(number) {
            if let Some(place) = self.probes.users.get(at) {
                self.look_at(now, place.service as usize, place.server as usize, tell, cx);
            }
        }
    }

    fn note_not_run(&mut self, now: Instant, number: u32, reason: &Reason, cx: &mut Ctx<'_>) {
        if self.not_run_noted_at.is_none_or(|at| now >= at + NOT_RUN_NOTE_INTERVAL) {
            self.not_run_noted_at = Some(now);
            let place = self.probes.users.first(number);
            let service = place.and_then(|place| self.services.get(place.service as usize));
            let server = place.zip(service).and_then(|(p, s)| s.config.servers.get(p.server as usize));
            if let (Some(service), Some(server)) = (service, server) {
                let text = format_args!("{}: probe could not be made: {reason}", server.address);
                cx.note(now, Level::Warning, "server", &service.config.name, text);
            }
        }
        self.not_run = Some((now, reason.clone()));
    }

    /// Something is new about a server.
    fn look_at(&mut self, now: Instant, at: usize, index: usize, tell: Tell, cx: &mut Ctx<'_>) {
        if self.judge(now, at, index, tell, cx) {
            self.settle(now, at, cx);
        }
    }

    /// Judges a server anew, and tells what is worth telling. True: `settle` its service. Nothing of a
    /// service that rests changes before it wakes.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        at: usize,
        index: usize,
        tell: Tell,
        cx: &mut Ctx<'_>,
    ) -> bool {
        let Some(service) = self.services.get_mut(at).filter(|service| !service.suspended) else {
            return false;
        };
        let facts = Facts { probes: &self.probes, files: &self.files, names: &self.names };
        let Judged { is_flipped, is_other } = service.judge(now, index, facts);
        let Some(server) = service.servers.get_mut(index) else { return false };
        let is_worth_it = match tell {
            Tell::Changes => is_flipped,
            Tell::Reason => is_flipped || !server.up && !server.told,
            Tell::Nothing => false,
        };
        if is_worth_it {
            server.told = true;
            tell::tell_server(now, service, index, is_flipped, cx);
        }
        is_other
    }

    /// Servers of a service count otherwise than before: so may its quorum, and what is wanted of the table.
    pub(super) fn settle(&mut self, now: Instant, at: usize, cx: &mut Ctx<'_>) {
        let Some(service) = self.services.get_mut(at).filter(|service| !service.suspended) else { return };
        if service.count(now).is_some() && service.unsettled == 0 {
            tell::tell_service(now, service, cx);
        }
        self.want(at);
    }

    /// A service begins. As in keepalived that is no news, unless its sorry server has to.
    pub(super) fn tell_start(&self, now: Instant, at: usize, cx: &mut Ctx<'_>) {
        let is_bad = |s: &&Service| s.unsettled == 0 && s.sorry_active();
        if let Some(service) = self.services.get(at).filter(is_bad) {
            tell::tell_start(now, service, cx);
        }
    }

    /// The daemon ends: services that want it (`omega`) tell what is lost by that.
    pub(super) fn tell_stop(&self, now: Instant, cx: &mut Ctx<'_>) {
        for service in self.services.iter().filter(|service| service.config.tells_stop && !service.suspended)
        {
            tell_all_gone(now, service, Gone::Stopped, cx);
        }
    }
}

/// All servers of a service that are up go, and its quorum with them.
pub(super) fn tell_all_gone(now: Instant, service: &Service, why: Gone, cx: &mut Ctx<'_>) {
    for index in (0..service.servers.len()).filter(|i| service.servers.get(*i).is_some_and(|s| s.up)) {
        tell::tell_gone(now, service, index, why, cx);
    }
    if service.has_quorum {
        tell::tell_service_gone(now, service, why, cx);
    }
}

/// HC-45, B-125: 0 is up, 1 down; with `dynamic` 2 to 255 are up with so much less two as the weight, and
/// without it any other is down; so is a program that was killed, by us or by somebody.
pub(in crate::engine) fn script_result(outcome: RunOutcome, is_dynamic: bool) -> (Outcome, Option<u8>) {
    match outcome {
        RunOutcome::Exited(0) => (Outcome::Passed, None),
        RunOutcome::Exited(code @ 2..=255) if is_dynamic => (Outcome::Passed, Some((code - 2) as u8)),
        RunOutcome::Exited(_) | RunOutcome::Killed(_) | RunOutcome::TimedOut => {
            (Outcome::Failed(cut(format_args!("script {outcome}"))), None)
        }
        RunOutcome::NotStarted(_) => (Outcome::NotRun(cut(format_args!("script {outcome}"))), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_of_scripts_become_verdicts_and_weights() {
        use RunOutcome::{Exited, Killed, NotStarted, TimedOut};
        let text = |(outcome, weight): (Outcome, Option<u8>)| match outcome {
            Outcome::Passed => format!("passed {weight:?}"),
            Outcome::Failed(reason) => format!("failed {weight:?}: {reason}"),
            Outcome::NotRun(reason) => format!("not run {weight:?}: {reason}"),
        };
        for (outcome, is_dynamic, want) in [
            (Exited(0), false, "passed None"),
            (Exited(0), true, "passed None"),
            (Exited(1), true, "failed None: script exited with 1"),
            (Exited(2), true, "passed Some(0)"),
            (Exited(127), true, "passed Some(125)"),
            (Exited(255), true, "passed Some(253)"),
            (Exited(2), false, "failed None: script exited with 2"),
            (Exited(255), false, "failed None: script exited with 255"),
            (Killed(11), true, "failed None: script killed by signal 11"),
            (TimedOut, false, "failed None: script killed at its time limit"),
            (NotStarted(13), true, "not run None: script could not be started: error 13"),
        ] {
            assert_eq!(text(script_result(outcome, is_dynamic)), want, "{outcome:?}, dynamic {is_dynamic}");
        }
    }
}
