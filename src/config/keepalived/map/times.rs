//! How often checks probe, how long they wait, how often they try again: what a checker takes from its real
//! server, and that from its virtual server.

use super::args;
use super::args::SECOND;
use crate::config::document::{Value, span};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::source::Place;
use crate::config::keepalived::walk::Known;

/// What is given at one level, and where; times in microseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    delay_loop: Option<(u64, Place)>,
    connect_timeout: Option<(u64, Place)>,
    retry: Option<(u32, Place)>,
    delay_before_retry: Option<(u64, Place)>,
    warmup: Option<(u64, Place)>,
    alpha: Option<(bool, Place)>,
    virtualhost: Option<(String, Place)>,
}

/// Where they are given. keepalived reads the same words in other ways at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// In a virtual_server.
    Service,
    /// In a real_server.
    Server,
    /// In a checker.
    Checker,
}

/// The key of a service or a server that one of these words becomes, and the key within its value.
pub(super) fn key(word: &str) -> (&'static str, &'static str) {
    match word {
        "alpha" => ("start_up", ""),
        "delay_loop" => ("check", "interval"),
        "connect_timeout" => ("check", "timeout"),
        "retry" | "nb_get_retry" => ("check", "fall"),
        "delay_before_retry" => ("check", "retry_interval"),
        "warmup" => ("check", "warmup"),
        "virtualhost" => ("check", "virtual_host"),
        _ => ("check", ""),
    }
}

/// keepalived's defaults that differ per checker (spec trap 3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) retry: u32,
    /// `None`: `delay_loop`.
    pub(super) delay_before_retry: Option<u64>,
}

const DELAY_LOOP: u64 = 60 * SECOND;
const CONNECT_TIMEOUT: u64 = 5 * SECOND;
/// What keepalived can count (32 bits of microseconds).
const LONGEST: u64 = u32::MAX as u64;

impl Times {
    /// Takes a word that is one of these; `false`: it is none.
    pub(super) fn take(&mut self, known: Known<'_>, level: Level, findings: &mut Findings) -> bool {
        let place = known.statement.place();
        let mut time = |least, to: &mut Option<(u64, Place)>| {
            if let Some(micros) = args::micros(known, 0, least..=LONGEST, findings) {
                *to = Some((micros, place));
            }
        };
        match known.name {
            "delay_loop" => time(1, &mut self.delay_loop),
            "connect_timeout" => time(1, &mut self.connect_timeout),
            "delay_before_retry" => time(0, &mut self.delay_before_retry),
            "warmup" => time(0, &mut self.warmup),
            "retry" | "nb_get_retry" => {
                if known.name == "nb_get_retry" {
                    let what = "`nb_get_retry` is a word of HTTP_GET and SSL_GET, read as `retry`";
                    findings.push(place, Kind::Corrected, what, "keepalived leaves the line out.");
                }
                let least = u32::from(level != Level::Checker);
                if let Some(retry) = args::count(known, 0, least..=u32::MAX, findings) {
                    self.retry = Some((retry, place));
                }
            }
            "alpha" => {
                let alpha = match level {
                    Level::Service => args::always(known, findings),
                    Level::Server | Level::Checker => args::flag(known, findings),
                };
                self.alpha = alpha.map(|alpha| (alpha, place)).or(self.alpha);
            }
            "virtualhost" => {
                self.virtualhost = known.statement.argument(0).map(|host| (host.text.clone(), place));
            }
            _ => return false,
        }
        true
    }

    /// What is not given here is as `base` has it.
    pub(super) fn over(self, base: &Times) -> Times {
        Times {
            delay_loop: self.delay_loop.or(base.delay_loop),
            connect_timeout: self.connect_timeout.or(base.connect_timeout),
            retry: self.retry.or(base.retry),
            delay_before_retry: self.delay_before_retry.or(base.delay_before_retry),
            warmup: self.warmup.or(base.warmup),
            alpha: self.alpha.or(base.alpha),
            virtualhost: self.virtualhost.or_else(|| base.virtualhost.clone()),
        }
    }

    /// Down until the first success?
    pub(super) fn is_alpha(&self) -> bool {
        self.alpha.is_some_and(|(alpha, _)| alpha)
    }

    /// The host that requests name.
    pub(super) fn host(&self) -> Option<&String> {
        self.virtualhost.as_ref().map(|(host, _)| host)
    }

    /// Is `connect_timeout` given?
    pub(super) fn has_timeout(&self) -> bool {
        self.connect_timeout.is_some()
    }

    /// The same but for `connect_timeout`.
    pub(super) fn without_timeout(self) -> Times {
        Times { connect_timeout: None, ..self }
    }

    /// What is given, with where.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, Place)> {
        let of = |name, at: Option<Place>| at.map(|at| (name, at));
        [
            of("delay_loop", self.delay_loop.map(|(_, at)| at)),
            of("connect_timeout", self.connect_timeout.map(|(_, at)| at)),
            of("retry", self.retry.map(|(_, at)| at)),
            of("delay_before_retry", self.delay_before_retry.map(|(_, at)| at)),
            of("warmup", self.warmup.map(|(_, at)| at)),
            of("alpha", self.alpha.map(|(_, at)| at)),
            of("virtualhost", self.virtualhost.as_ref().map(|(_, at)| *at)),
        ]
        .into_iter()
        .flatten()
    }

    /// Where that stands which a checker takes of these.
    pub(super) fn used(&self, defaults: Defaults, dials: bool, web: bool) -> Vec<Place> {
        let tries_again = self.retries(defaults) > 0;
        let is_used = |name: &str| match name {
            "connect_timeout" => dials,
            "delay_before_retry" => tries_again,
            "virtualhost" => web,
            _ => true,
        };
        self.given().filter(|(name, _)| is_used(name)).map(|(_, at)| at).collect()
    }

    fn retries(&self, defaults: Defaults) -> u32 {
        self.retry.map_or(defaults.retry, |(retry, _)| retry)
    }

    /// `delay_loop` as it counts.
    pub(super) fn delay_loop(&self) -> u64 {
        self.delay_loop.map_or(DELAY_LOOP, |(micros, _)| micros)
    }

    /// The keys of a check; `timeout` in place of `connect_timeout`.
    pub(super) fn keys(
        &self,
        place: Place,
        defaults: Defaults,
        timeout: Option<u64>,
        findings: &mut Findings,
    ) -> Vec<(&'static str, Value)> {
        const DAY: u64 = 86_400 * SECOND;
        let mut keys: Vec<(&'static str, Value)> = Vec::new();
        let mut put = |key, micros, default| {
            if micros != default {
                keys.push((key, span(micros).into()));
            }
        };
        let (_, at) = self.delay_loop.unwrap_or((0, place));
        let interval = within("delay_loop", self.delay_loop(), SECOND / 10..=DAY, at, findings);
        put("interval", interval, 10 * SECOND);
        let (micros, at) = self.connect_timeout.unwrap_or((CONNECT_TIMEOUT, place));
        let micros = timeout.unwrap_or(micros);
        let timeout = within("connect_timeout", micros, SECOND / 100..=3600 * SECOND, at, findings);
        put("timeout", timeout, CONNECT_TIMEOUT);
        let fall = self.retries(defaults).saturating_add(1).min(u32::from(u16::MAX));
        if fall != 2 {
            keys.push(("fall", fall.into()));
        }
        let mut put = |key, micros, default| {
            if micros != default {
                keys.push((key, span(micros).into()));
            }
        };
        if fall > 1 {
            let default = defaults.delay_before_retry.unwrap_or(interval);
            let (micros, at) = self.delay_before_retry.unwrap_or((default, place));
            let micros = within("delay_before_retry", micros, SECOND / 10..=DAY, at, findings);
            put("retry_interval", micros, SECOND);
        }
        // Any time up to delay_loop is as good as another to keepalived: ours is among them.
        if let Some((micros, _)) = self.warmup {
            put("warmup", micros.min(DAY), interval.min(2 * SECOND));
        }
        keys
    }
}

/// Tells of those of a server or a service that no check takes.
pub(super) fn unused(times: &Times, used: &[Place], findings: &mut Findings) {
    for (name, at) in times.given().filter(|(_, at)| !used.contains(at)) {
        let what = format!("`{name}` is of no use here");
        let hint = "Every checker below has its own, or takes none; or there is none.";
        findings.push(at, Kind::Ignored, what, hint);
    }
}

/// What vipd takes; told where it differs.
fn within(
    name: &str,
    micros: u64,
    range: core::ops::RangeInclusive<u64>,
    place: Place,
    findings: &mut Findings,
) -> u64 {
    let taken = micros.clamp(*range.start(), *range.end());
    if taken != micros {
        let what = format!("`{name}` {} becomes {}", span(micros), span(taken));
        let [least, most] = [range.start(), range.end()].map(|micros| span(*micros));
        findings.push(place, Kind::Changed, what, format!("vipd takes {least} to {most}."));
    }
    taken
}
