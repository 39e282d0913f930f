//! What is probed because somebody asks for it (`vipd probe`). No checker hears of it.

use super::Balancer;
use crate::engine::{Outcome, ProbeSpec, RunOutcome};
use crate::model::{CheckKind, ScriptCheck, cut};
use std::net::SocketAddr;

/// What there is to do for one check.
#[derive(Debug, Clone, Copy)]
pub enum AskedCheck<'a> {
    /// This.
    Probe(ProbeSpec<'a>),
    /// Run this program.
    Script(&'a ScriptCheck),
    /// Nothing: a file is looked at all the time.
    File,
    /// Nothing: the server's name has no address yet.
    NoAddress,
}

impl Balancer {
    /// Check number `check` of a server; `None`: there is none.
    pub(in crate::engine) fn asked_check(
        &self,
        (service, server): (usize, usize),
        check: usize,
    ) -> Option<AskedCheck<'_>> {
        let service = self.services.get(service)?;
        let check = service.config.servers.get(server)?.checks.get(check)?;
        let server = service.servers.get(server)?;
        match &check.kind {
            CheckKind::Script(script) => return Some(AskedCheck::Script(script)),
            CheckKind::File(_) => return Some(AskedCheck::File),
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp(_)
            | CheckKind::Ping
            | CheckKind::Dns(_)
            | CheckKind::Udp(_) => {}
        }
        let Some(own) = server.address else { return Some(AskedCheck::NoAddress) };
        let (ip, port) = (check.via.address.unwrap_or(own.ip()), check.via.port.unwrap_or(own.port()));
        Some(AskedCheck::Probe(ProbeSpec {
            address: SocketAddr::new(ip, port),
            kind: &check.kind,
            timeout: check.timeout,
            was_up: true,
            source: check.via.source,
            source_port: check.via.source_port,
            interface: check.via.interface.as_ref(),
            mark: check.via.mark,
        }))
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
