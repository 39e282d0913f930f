//! What is told of services and servers: notes, programs, FIFO lines, and mails in keepalived's words
//! (spec/keepalived.md §2.6).

use super::quorum::Terms;
use super::server::Server;
use super::service::Service;
use crate::engine::Ctx;
use crate::engine::notify::{Fate, Object};
use crate::model::{self, CheckKind, Front, Level, ServerAddress};
use crate::time::Instant;
use crate::wire::ipvs::ServiceKey;
use core::fmt::{self, Display};
use std::net::SocketAddr;

/// More of a host name would leave no room in a FIFO's line for the rest.
const HOST_SHOWN: usize = 64;

/// Why a server that is up, or a service that has its quorum, is told as down although nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// It is no more part of the configuration.
    Removed,
    /// The daemon ends, and is to tell so (`tells_stop`).
    Stopped,
}

impl Gone {
    /// keepalived's words.
    const fn words(self) -> &'static str {
        match self {
            Gone::Removed => "Removing",
            Gone::Stopped => "Shutting down",
        }
    }

    const fn fate(self) -> Fate {
        match self {
            Gone::Removed => Fate::Gone,
            Gone::Stopped => Fate::Down,
        }
    }
}

/// keepalived's way to write a service: `[10.0.0.1]:tcp:80`, `FWM 7`, `[pool]:0`.
struct FrontName<'a>(&'a model::Service);

impl Display for FrontName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.front {
            Front::Address(address) => write!(f, "[{}]:{}:{}", address.ip(), self.0.protocol, address.port()),
            Front::Mark { mark, .. } => write!(f, "FWM {mark}"),
            // The port of a group is that of each of its members; keepalived writes 0 for all.
            Front::Group { name, .. } => write!(f, "[{name}]:0"),
        }
    }
}

/// keepalived's way to write a server: `[10.0.0.11]:tcp:80`; behind marks alone it has no protocol.
struct ServerName<'a> {
    service: &'a model::Service,
    config: &'a model::Server,
    resolved: Option<SocketAddr>,
}

impl Display for ServerName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_mark = |key: ServiceKey| match key {
            ServiceKey::Mark { .. } => true,
            ServiceKey::Address { .. } => false,
        };
        let protocol: &dyn Display =
            if self.service.keys().all(is_mark) { &"none" } else { &self.service.protocol };
        let resolved = self.resolved.map(ServerAddress::Ip);
        match resolved.as_ref().unwrap_or(&self.config.address) {
            ServerAddress::Ip(address) => write!(f, "[{}]:{protocol}:{}", address.ip(), address.port()),
            ServerAddress::Name { host, port, .. } => write!(f, "[{host:.HOST_SHOWN$}]:{protocol}:{port}"),
        }
    }
}

const fn up_down(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

/// One server with what belongs to it.
#[derive(Clone, Copy)]
struct One<'a> {
    service: &'a model::Service,
    config: &'a model::Server,
    server: &'a Server,
}

impl<'a> One<'a> {
    fn find(service: &'a Service, index: usize) -> Option<Self> {
        let (config, server) = (service.config.servers.get(index)?, service.servers.get(index)?);
        Some(One { service: &service.config, config, server })
    }

    fn name(&self) -> ServerName<'a> {
        ServerName { service: self.service, config: self.config, resolved: self.server.address }
    }

    /// Programs, then the FIFOs: keepalived's order.
    fn tell_programs(&self, now: Instant, fate: Fate, cx: &mut Ctx<'_>) {
        let line = format_args!("RS {} {} {}", self.name(), FrontName(self.service), fate.word());
        let object = Object::Server(self.service, self.config);
        cx.notifier.tell_balance(now, (object, fate), line, cx.history, cx.actions);
    }

    fn mail(&self, now: Instant, up: bool, body: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
        if self.config.mail != Some(false) {
            let (name, front, router) = (self.name(), FrontName(self.service), cx.router_name);
            let subject =
                format_args!("[{router}] Realserver {name} of virtual server {front} - {}", up_down(up));
            cx.mailer.push(now, subject, body);
        }
    }
}

/// Tells that a server went up or down. `changed`: does it take part otherwise than before? If not, its first
/// verdict, that it is down, is what it was taken for, and no mail is sent.
pub(super) fn tell_server(now: Instant, service: &Service, index: usize, changed: bool, cx: &mut Ctx<'_>) {
    let Some(one) = One::find(service, index) else { return };
    let (name, address, server) = (&service.config.name, &one.config.address, one.server);
    if server.up {
        cx.note(now, Level::Note, "server", name, format_args!("{address} is up"));
    } else {
        let text = format_args!("{address} is down: {}", &*server.reason);
        cx.note(now, Level::Warning, "server", name, text);
    }
    one.tell_programs(now, if server.up { Fate::Up } else { Fate::Down }, cx);
    let checks = &one.config.checks;
    // A reload may have taken the one that decided.
    let Some(check) = checks.get(server.deciding).or(checks.first()).filter(|_| changed) else { return };
    let words = CheckWords { kind: &check.kind, up: server.up, reason: &server.reason };
    let end = if server.reason.is_empty() { "" } else { "\n" };
    one.mail(now, server.up, format_args!("=> {words} <=\n{}{end}", &*server.reason), cx);
}

/// Tells that a server that is up is lost although it did not fail.
pub(super) fn tell_gone(now: Instant, service: &Service, index: usize, gone: Gone, cx: &mut Ctx<'_>) {
    let Some(one) = One::find(service, index) else { return };
    if one.server.up && is_told(service, gone) {
        one.tell_programs(now, gone.fate(), cx);
        one.mail(now, false, format_args!("=> {} <=\n", gone.words()), cx);
    }
}

/// Tells that the operator lets a server run dry, or lets it take part again.
pub(super) fn tell_drain(now: Instant, service: &Service, index: usize, draining: bool, cx: &mut Ctx<'_>) {
    let Some(config) = service.config.servers.get(index) else { return };
    let (name, address) = (&service.config.name, &config.address);
    let text = match draining {
        true => format_args!("{address} is drained: the operator wants no new connections to it"),
        false => format_args!("{address} takes part again: no more drained"),
    };
    cx.note(now, Level::Note, "server", name, text);
}

/// Tells that a service has its quorum again, or has it no more.
pub(super) fn tell_service(now: Instant, service: &Service, cx: &mut Ctx<'_>) {
    let name = &service.config.name;
    let Terms { quorum, hysteresis } = service.terms();
    if service.has_quorum {
        let (up, all, weight) = (service.up_count(), service.servers.len(), service.weight);
        let quorum = Quorum { quorum, weight };
        cx.note(now, Level::Note, "service", name, format_args!("served again, {up} of {all} up{quorum}"));
    } else {
        let (level, text) = (Level::Error, Loss(service));
        cx.note(now, level, "service", name, format_args!("{text}"));
    }
    tell_service_programs(now, service, if service.has_quorum { Fate::Up } else { Fate::Down }, cx);
    let weight = service.weight;
    if service.has_quorum {
        let threshold = u64::from(quorum) + u64::from(hysteresis);
        let body = format_args!("=> Gained quorum {quorum}+{hysteresis}={threshold} <= {weight} <=\n");
        mail_of_service(now, service, true, body, cx);
    } else {
        let threshold = quorum.saturating_sub(hysteresis);
        let body = format_args!("=> Lost quorum {quorum}-{hysteresis}={threshold} > {weight} <=\n");
        mail_of_service(now, service, false, body, cx);
    }
}

/// Tells that a service begins without its quorum. (One that begins with it is what was to be expected, and
/// keepalived says nothing of it either.)
pub(super) fn tell_start(now: Instant, service: &Service, cx: &mut Ctx<'_>) {
    if service.has_quorum {
        return;
    }
    let text = Loss(service);
    cx.note(now, Level::Warning, "service", &service.config.name, format_args!("begins so: {text}"));
    tell_service_programs(now, service, Fate::Down, cx);
    let Terms { quorum, hysteresis } = service.terms();
    let (threshold, weight) = (u64::from(quorum) + u64::from(hysteresis), service.weight);
    let body = format_args!("=> Starting with quorum down {quorum}+{hysteresis}={threshold} > {weight} <=\n");
    mail_of_service(now, service, false, body, cx);
}

/// Tells that a service that has its quorum is lost although nothing failed.
pub(super) fn tell_service_gone(now: Instant, service: &Service, gone: Gone, cx: &mut Ctx<'_>) {
    if service.has_quorum && is_told(service, gone) {
        tell_service_programs(now, service, gone.fate(), cx);
        mail_of_service(now, service, false, format_args!("=> {} <=\n", gone.words()), cx);
    }
}

/// As keepalived: what a reload removes is told in any case, what the end removes only where that is wanted.
fn is_told(service: &Service, gone: Gone) -> bool {
    match gone {
        Gone::Removed => true,
        Gone::Stopped => service.config.tells_stop,
    }
}

fn tell_service_programs(now: Instant, service: &Service, fate: Fate, cx: &mut Ctx<'_>) {
    let line = format_args!("VS {} {}", FrontName(&service.config), fate.word());
    let object = Object::Service(&service.config);
    cx.notifier.tell_balance(now, (object, fate), line, cx.history, cx.actions);
}

fn mail_of_service(now: Instant, service: &Service, up: bool, body: fmt::Arguments<'_>, cx: &mut Ctx<'_>) {
    if service.config.mail != Some(false) {
        let (front, router) = (FrontName(&service.config), cx.router_name);
        let subject = format_args!("[{router}] Virtualserver {front} - {}", up_down(up));
        cx.mailer.push(now, subject, body);
    }
}

/// ` (weight 5, quorum 4)`, where the quorum is more than any server.
struct Quorum {
    quorum: u32,
    weight: u64,
}

impl Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quorum == 1 {
            return Ok(());
        }
        write!(f, " (weight {}, quorum {})", self.weight, self.quorum)
    }
}

/// Why a service has no quorum, and who answers.
struct Loss<'a>(&'a Service);

impl Display for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, weight) = (self.0, self.0.weight);
        if weight == 0 {
            f.write_str("no server left")?;
        } else {
            let (up, all) = (service.up_count(), service.servers.len());
            write!(f, "no quorum, {up} of {all} up{}", Quorum { quorum: service.terms().quorum, weight })?;
        }
        match &service.config.sorry {
            Some(sorry) => write!(f, ", the sorry server {} answers", sorry.address),
            None if weight == 0 => f.write_str(", and there is no sorry server: clients are refused"),
            None => f.write_str(", and there is no sorry server: those that are up go on"),
        }
    }
}

/// What keepalived's mail says of a check.
struct CheckWords<'a> {
    kind: &'a CheckKind,
    up: bool,
    reason: &'a str,
}

impl Display for CheckWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.kind, self.up) {
            (CheckKind::Tcp, true) => "TCP CHECK succeed on service",
            (CheckKind::Tcp, false) => "TCP CHECK failed on service",
            (CheckKind::Ping, true) => "ICMP CHECK succeed on service",
            (CheckKind::Ping, false) => "ICMP CHECK failed on service",
            (CheckKind::Dns(_), true) => "DNS_CHECK: succeed on service",
            (CheckKind::Dns(_), false) => "DNS_CHECK: failed on service",
            (CheckKind::Udp(_), true) => "UDP CHECK succeed on service",
            (CheckKind::Udp(_), false) => "UDP CHECK failed on service",
            (CheckKind::Script(_), true) => "MISC CHECK succeeded on service",
            (CheckKind::Script(_), false) if self.reason.contains("time limit") => {
                "MISC CHECK timed out on service"
            }
            (CheckKind::Script(_), false) => "MISC CHECK failed on service",
            (CheckKind::Http(_), false) => "CHECK failed on service : HTTP/SSL request failed",
            (CheckKind::Smtp(_), false) => return write!(f, "CHECK failed on service : {}", self.reason),
            (CheckKind::Http(_) | CheckKind::Smtp(_) | CheckKind::File(_), true) => {
                "CHECK succeed on service"
            }
            // keepalived sends no mail of a tracked file.
            (CheckKind::File(_), false) => "CHECK failed on service",
        })
    }
}
