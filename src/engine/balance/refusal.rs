//! What the kernel does not do: what its refusal says of the table, the pause, the next try.

use super::destination::Actual;
use super::reconcile::{RETRY_MAX, RETRY_MIN, Reconciler, SURPRISES_MAX, doubled};
use super::table::{Fault, Knowledge};
use crate::engine::{Ctx, IpvsRequest, Refusal, event::earlier};
use crate::model::Level;
use crate::time::Instant;

impl Reconciler {
    /// The kernel said no. What that says of its table is taken in; what is no answer to our question
    /// counts as a refusal, and waits.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        number: u32,
        request: IpvsRequest,
        refusal: Refusal,
        cx: &mut Ctx<'_>,
    ) {
        let Some(Some(row)) = self.rows.get_mut(number as usize) else { return };
        row.surprises = row.surprises.saturating_add(1);
        let bewildered = row.surprises > SURPRISES_MAX;
        match (&request, refusal) {
            (IpvsRequest::DelService(_), Refusal::NotFound) => {
                row.set_absent();
                row.forget_lost();
                return;
            }
            (IpvsRequest::DelDestination(_, d), Refusal::NotFound) => {
                row.forget(d.address);
                return;
            }
            // IPVS-46: it is there, in whatever form: change it, and look what is in it.
            (IpvsRequest::NewService(_), Refusal::Exists) if !bewildered => {
                row.actual = Actual::Somehow;
                row.knowledge = Knowledge::Service;
                row.lost = false;
                return;
            }
            (IpvsRequest::NewDestination(_, d), Refusal::Exists) if !bewildered => {
                if let Some(entry) = row.entry_mut(d.address) {
                    entry.actual = Actual::Somehow;
                    entry.lost = false;
                }
                return;
            }
            (IpvsRequest::SetDestination(_, d), Refusal::NotFound) if !bewildered => {
                row.forget(d.address);
                self.count_repairs(now, number, 1, cx);
                return;
            }
            // IPVS-41: its service is gone, and all that was in it.
            (IpvsRequest::NewDestination(..), Refusal::NotFound) if !bewildered => {
                row.set_absent();
                return;
            }
            _ => {}
        }
        let fault = match (&request, refusal) {
            (IpvsRequest::NewService(_), Refusal::NotFound) => Fault::NoScheduler,
            (IpvsRequest::SetService(_), Refusal::NotFound) => {
                row.knowledge = Knowledge::Nothing;
                self.reader.read_now();
                Fault::NotFound
            }
            (
                IpvsRequest::NewDestination(_, d)
                | IpvsRequest::SetDestination(_, d)
                | IpvsRequest::DelDestination(_, d),
                refusal,
            ) => Fault::Refused { destination: Some(d.address), refusal },
            (
                IpvsRequest::NewService(_)
                | IpvsRequest::SetService(_)
                | IpvsRequest::DelService(_)
                | IpvsRequest::Resolve
                | IpvsRequest::DumpServices
                | IpvsRequest::DumpDestinations(_)
                | IpvsRequest::Whole(_),
                refusal,
            ) => Fault::Refused { destination: None, refusal },
        };
        if refusal == Refusal::Interrupted {
            // Done, or not.
            match &request {
                IpvsRequest::NewService(_) => row.knowledge = Knowledge::Nothing,
                IpvsRequest::NewDestination(_, d)
                | IpvsRequest::SetDestination(_, d)
                | IpvsRequest::DelDestination(_, d) => row.doubt(d.address),
                IpvsRequest::SetService(_) => row.actual = Actual::Somehow,
                IpvsRequest::DelService(_)
                | IpvsRequest::Resolve
                | IpvsRequest::DumpServices
                | IpvsRequest::DumpDestinations(_)
                | IpvsRequest::Whole(_) => {}
            }
        } else {
            self.refused = self.refused.saturating_add(1);
        }
        self.hold(now, number, fault, cx);
    }

    /// Nothing more is asked of what was refused until the row's pause is over.
    fn hold(&mut self, now: Instant, number: u32, fault: Fault, cx: &mut Ctx<'_>) {
        let Some(Some(row)) = self.rows.get_mut(number as usize) else { return };
        match &fault {
            Fault::Refused { destination: Some(address), .. } => {
                if let Some(entry) = row.entry_mut(*address) {
                    entry.held = true;
                }
            }
            Fault::Refused { destination: None, .. } | Fault::NoScheduler | Fault::NotFound => {
                row.held = true
            }
        }
        if row.retry_at.is_none() {
            let pause = doubled(RETRY_MIN, row.failures, RETRY_MAX);
            row.failures = row.failures.saturating_add(1);
            row.retry_at = Some(now + pause);
            self.retry_at = earlier(self.retry_at, row.retry_at);
        }
        let is_interrupted = matches!(fault, Fault::Refused { refusal: Refusal::Interrupted, .. });
        if row.fault.replace(fault).is_none() {
            self.faults = self.faults.saturating_add(1);
            // One line for the first of them; `status` lists them all. An answer that did not come is no
            // news yet.
            if self.faults == 1 && !is_interrupted {
                let (name, why) = (row.name.clone(), row.explain().unwrap_or_default());
                cx.note(now, Level::Error, "ipvs", &name, format_args!("{why}"));
            }
        }
    }

    /// The pauses of some rows are over: they are read again, and brought on from there.
    pub(super) fn retry(&mut self, now: Instant) {
        self.retry_at = None;
        for number in 0..self.rows.len() as u32 {
            let Some(Some(row)) = self.rows.get_mut(number as usize) else { continue };
            // Those that are nearly due come along: one reading serves them all.
            let slack = doubled(RETRY_MIN, row.failures.saturating_sub(1), RETRY_MAX) / 4;
            if row.retry_at.is_some_and(|at| now + slack >= at) {
                row.release();
                row.knowledge = Knowledge::Nothing;
                self.reader.read_now();
                self.touch(number);
            } else {
                self.retry_at = earlier(self.retry_at, row.retry_at);
            }
        }
    }
}
