//! What is asked over the control socket, and what comes of it.

use super::super::clock;
use super::super::control::Answer;
use super::super::inquiry::{self, Question};
use super::Daemon;
use crate::control::{Place, Reply, Request};
use crate::engine::Event;
use crate::time::{Duration, Instant};

/// Whoever asked for a reload waits so long at most; the command gives up at the same time.
const RELOAD_ANSWER_MAX: Duration = Duration::from_secs(20);

impl Daemon {
    /// Answers what has been asked.
    pub(super) fn answer(&mut self, now: Instant) {
        let (mut reloads, mut probes) = (Vec::new(), Vec::new());
        let engine = &self.engine;
        let pending = &mut self.pending;
        self.control.process(now, &self.poll, &mut |request, ticket| {
            let drain = |result: Result<(Place, Reply), Reply>, draining| match result {
                Ok(((service, server), reply)) => (Some(Event::Drain { service, server, draining }), reply),
                Err(reply) => (None, reply),
            };
            let resign = |result: Result<(usize, Reply), Reply>, wanted_for| match result {
                Ok((instance, reply)) => (Some(Event::Resign { instance, wanted_for }), reply),
                Err(reply) => (None, reply),
            };
            let (event, reply) = match request {
                Request::Status(status) => (None, Reply::status(&status, &engine.snapshot(now))),
                Request::Events(events) => (None, Reply::events(&events, &engine.happenings(now))),
                Request::Version => (None, Reply::version()),
                Request::Reload => {
                    reloads.push(ticket);
                    return Answer::Later { by: now + RELOAD_ANSWER_MAX };
                }
                Request::Resign(wish) => resign(
                    Reply::resign(&wish, &engine.snapshot(now)),
                    wish.wanted_for.unwrap_or(Duration::MAX),
                ),
                Request::Restore(name) => {
                    resign(Reply::restore(&name, &engine.snapshot(now)), Duration::ZERO)
                }
                Request::Drain(server) => drain(Reply::drain(&server, &engine.snapshot(now)), true),
                Request::Undrain(server) => drain(Reply::undrain(&server, &engine.snapshot(now)), false),
                Request::Probe(request) => {
                    probes.push((ticket, request));
                    return Answer::Later { by: now + inquiry::ANSWER_MAX + inquiry::ANSWER_MARGIN };
                }
            };
            pending.extend(event);
            Answer::Now(reply)
        });
        // Before a reload, after which the numbers may be others'.
        self.feed_pending(now);
        self.inquiries.settle(now, &mut self.control, &mut self.prober, &mut self.errands);
        for (ticket, request) in &probes {
            let snapshot = &self.engine.snapshot(now);
            let question = Question { ticket: *ticket, request, snapshot };
            let hands = (&mut self.prober, &mut self.errands);
            self.inquiries.begin(now, &question, &self.engine, hands, &mut self.control);
        }
        for ticket in reloads {
            let config = self.reload();
            let now = clock::now();
            let reply = match config {
                Ok(config) => {
                    self.take_over(now, config);
                    Reply::done("reloaded\n")
                }
                Err(findings) => Reply::failed(findings),
            };
            self.control.reply(now, ticket, &reply);
        }
    }
}
