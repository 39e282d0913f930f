//! What is probed because somebody asks for it (`vipd probe`). No checker hears of it.

use super::Balancer;
use super::probes::target;
use crate::engine::ProbeSpec;
use crate::model::{CheckKind, ScriptCheck};

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
        let config = service.config.servers.get(server)?;
        let check = config.checks.get(check)?;
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
        let Some(address) = target(server.address, &config.address, check) else {
            return Some(AskedCheck::NoAddress);
        };
        Some(AskedCheck::Probe(ProbeSpec {
            address,
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
