//! The lines of a `virtual_server`.

use super::method::{self, Method};
use super::server::WEIGHT_MAX;
use super::times::{self, Level, Times};
use super::{args, block, command};
use crate::config::document::Value;
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::keywords::Context;
use crate::config::keepalived::source::Place;
use crate::config::keepalived::tree::Word;
use crate::config::keepalived::walk::{self, Known};
use crate::config::service::scheduler_name;
use crate::config::suggest::shown;
use crate::config::values;
use std::net::Ipv4Addr;

/// What they say; the last of several counts.
pub(super) struct Lines<'t> {
    pub(super) times: Times,
    pub(super) protocol: Option<(&'static str, Place)>,
    pub(super) scheduler: Option<(String, Place)>,
    /// vipd's words for the scheduler's flags.
    pub(super) flags: Vec<Value>,
    /// `flag-1` and its kin, which are those of the last scheduler.
    numbered: Vec<Known<'t>>,
    pub(super) one_packet: Option<Place>,
    /// Seconds.
    pub(super) persistence: Option<u32>,
    pub(super) granularity: Option<Granularity>,
    pub(super) engine: Option<(String, Place)>,
    pub(super) method: Option<Method>,
    pub(super) is_ipv6: Option<(bool, Place)>,
    pub(super) suspend: Option<Place>,
    pub(super) name: Option<String>,
    pub(super) omega: bool,
    pub(super) quorum: Option<(u32, Place)>,
    pub(super) hysteresis: Option<(u32, Place)>,
    pub(super) up: Option<Value>,
    pub(super) down: Option<Value>,
    pub(super) sorry: Option<Known<'t>>,
    pub(super) sorry_inhibit: Option<Place>,
    pub(super) sorry_method: Option<(Method, Place)>,
    pub(super) inhibit: bool,
    pub(super) mail: Option<bool>,
    pub(super) weight: u32,
    pub(super) servers: Vec<Known<'t>>,
    /// Comments with the key that they are about, and the key within its value.
    pub(super) comments: Vec<((&'static str, &'static str), Vec<String>)>,
}

impl<'t> Lines<'t> {
    /// Reads them all.
    pub(super) fn read(known: Known<'t>, findings: &mut Findings) -> Self {
        let mut lines = Lines {
            times: Times::default(),
            protocol: None,
            scheduler: None,
            flags: Vec::new(),
            numbered: Vec::new(),
            one_packet: None,
            persistence: None,
            granularity: None,
            engine: None,
            method: None,
            is_ipv6: None,
            suspend: None,
            name: None,
            omega: false,
            quorum: None,
            hysteresis: None,
            up: None,
            down: None,
            sorry: None,
            sorry_inhibit: None,
            sorry_method: None,
            inhibit: false,
            mail: None,
            weight: 1,
            servers: Vec::new(),
            comments: Vec::new(),
        };
        let all = walk::known(Context::VIRTUAL_SERVER, known.statement.inside(), findings);
        for line in &all {
            let key = lines.take(*line, findings);
            if let Some(key) = key.filter(|_| !line.statement.comments.is_empty()) {
                lines.comments.push((key, line.statement.comments.clone()));
            }
        }
        lines.comments.push((("", ""), block::others(known.statement, &all)));
        for flag in core::mem::take(&mut lines.numbered) {
            lines.numbered_flag(flag, findings);
        }
        lines
    }

    /// The key that the line is about; `None`: what becomes of it has comments of its own.
    fn take(&mut self, line: Known<'t>, findings: &mut Findings) -> Option<(&'static str, &'static str)> {
        let place = line.statement.place();
        if self.times.take(line, Level::Service, findings) {
            return Some(times::key(line.name));
        }
        let word = line.statement.argument(0);
        let key = match (line.name, word) {
            ("protocol", Some(word)) => {
                self.protocol = protocol(word, findings).or(self.protocol);
                "protocol"
            }
            ("lvs_sched", Some(word)) => {
                self.scheduler = scheduler(word, findings).or(self.scheduler.take());
                "scheduler"
            }
            ("flag-1" | "flag-2" | "flag-3" | "sh-port" | "sh-fallback" | "mh-port" | "mh-fallback", _) => {
                self.flag(line, findings);
                "scheduler_flags"
            }
            ("ops", _) => {
                self.one_packet = Some(place);
                "one_packet"
            }
            ("persistence_timeout", None) => {
                self.persistence = Some(360);
                "persistence"
            }
            ("persistence_timeout", Some(_)) => {
                let seconds = args::count(line, 0, 1..=31 * 86_400, findings);
                self.persistence = seconds.or(self.persistence);
                "persistence"
            }
            ("persistence_granularity", Some(word)) => {
                self.granularity = granularity(word, findings).or(self.granularity);
                "persistence"
            }
            ("persistence_engine", Some(word)) => {
                self.engine = Some((word.text.clone(), word.place));
                "persistence"
            }
            ("lvs_method", _) => {
                self.method = method::method(line, findings).or(self.method.take());
                "forward"
            }
            ("ip_family", Some(word)) => {
                self.is_ipv6 = family(word, findings).map(|ipv6| (ipv6, place)).or(self.is_ipv6);
                "family"
            }
            ("ha_suspend", _) => {
                self.suspend = Some(place);
                "suspend"
            }
            ("snmp_name", Some(word)) => {
                self.snmp_name(word, findings);
                "name"
            }
            ("omega", _) => {
                self.omega = true;
                "notify_stop"
            }
            ("quorum", _) => {
                let quorum = args::count(line, 0, 1..=u32::MAX, findings);
                self.quorum = quorum.map(|quorum| (quorum, place)).or(self.quorum);
                "quorum"
            }
            ("hysteresis", _) => {
                let hysteresis = args::count(line, 0, 0..=u32::MAX, findings);
                self.hysteresis = hysteresis.map(|hysteresis| (hysteresis, place)).or(self.hysteresis);
                "hysteresis"
            }
            ("quorum_up", _) => {
                self.up = command::command(line, findings).or(self.up.take());
                "notify"
            }
            ("quorum_down", _) => {
                self.down = command::command(line, findings).or(self.down.take());
                "notify"
            }
            ("sorry_server", _) => {
                self.sorry = Some(line);
                "sorry"
            }
            ("sorry_server_inhibit", _) => {
                self.sorry_inhibit = Some(place);
                "sorry"
            }
            ("sorry_server_lvs_method", _) => {
                let method = method::method(line, findings).map(|method| (method, place));
                self.sorry_method = method.or(self.sorry_method.take());
                "sorry"
            }
            ("inhibit_on_failure", _) => {
                self.inhibit = args::always(line, findings).unwrap_or(self.inhibit);
                "inhibit"
            }
            ("smtp_alert", _) => {
                self.mail = args::flag(line, findings).or(self.mail);
                "mail"
            }
            ("weight", _) => {
                self.weight = args::count(line, 0, 1..=WEIGHT_MAX, findings).unwrap_or(self.weight);
                "weight"
            }
            ("real_server", _) => {
                self.servers.push(line);
                return None;
            }
            _ => return None,
        };
        Some((key, ""))
    }

    /// Flags that are named are those of the scheduler that stands above them (IPVS-65).
    fn flag(&mut self, line: Known<'t>, findings: &mut Findings) {
        let own = self.scheduler.as_ref().map_or("", |(name, _)| name.as_str());
        match (line.name, own) {
            ("flag-1" | "flag-2" | "flag-3", _) => self.numbered.push(line),
            ("sh-fallback", "sh") | ("mh-fallback", "mh") => self.put_flag("fallback"),
            ("sh-port", "sh") | ("mh-port", "mh") => self.put_flag("port"),
            (name, _) => {
                let what = format!("`{name}` is left out: no scheduler of that name stands above it");
                findings.push(line.statement.place(), Kind::Changed, what, "keepalived leaves it out, too.");
            }
        }
    }

    fn numbered_flag(&mut self, line: Known<'_>, findings: &mut Findings) {
        let own = self.scheduler.as_ref().map_or("", |(name, _)| name.as_str());
        match (line.name, own) {
            ("flag-1", "sh" | "mh") => self.put_flag("fallback"),
            ("flag-2", "sh" | "mh") => self.put_flag("port"),
            (name, _) => {
                let what = format!("`{name}` is left out");
                let hint = "It means nothing to this scheduler.";
                findings.push(line.statement.place(), Kind::Ignored, what, hint);
            }
        }
    }

    fn put_flag(&mut self, word: &'static str) {
        if !self.flags.contains(&word.into()) {
            self.flags.push(word.into());
        }
    }

    fn snmp_name(&mut self, word: &Word, findings: &mut Findings) {
        match values::name(&word.text) {
            Ok(_) => {
                let what = "`snmp_name` becomes the service's name";
                findings.push(word.place, Kind::Changed, what, "vipd has no SNMP.");
                self.name = Some(word.text.clone());
            }
            Err(problem) => findings.push(word.place, Kind::Ignored, problem.what, "vipd has no SNMP."),
        }
    }
}

fn protocol(word: &Word, findings: &mut Findings) -> Option<(&'static str, Place)> {
    let known = ["tcp", "udp", "sctp"];
    let found = known.into_iter().find(|name| name.eq_ignore_ascii_case(&word.text));
    if found.is_none() {
        let what = format!("`protocol`: \"{}\" is none of TCP, UDP, SCTP", shown(&word.text));
        findings.push(word.place, Kind::Invalid, what, "keepalived leaves the line out.");
    }
    found.map(|name| (name, word.place))
}

fn scheduler(word: &Word, findings: &mut Findings) -> Option<(String, Place)> {
    match scheduler_name(&word.text) {
        Ok(_) => Some((word.text.clone(), word.place)),
        Err(problem) => {
            findings.push(word.place, Kind::Invalid, problem.what, problem.hint);
            None
        }
    }
}

/// What `persistence_granularity` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granularity {
    /// Bits of a netmask of IPv4.
    Mask(u8, Place),
    /// A netmask that is none: it has holes.
    Holes(Ipv4Addr, Place),
    /// A number.
    Len(u8, Place),
}

fn granularity(word: &Word, findings: &mut Findings) -> Option<Granularity> {
    let place = word.place;
    if let Ok(mask) = word.text.parse::<Ipv4Addr>() {
        let len = values::mask_len(mask).filter(|len| *len > 0);
        return Some(len.map_or(Granularity::Holes(mask, place), |len| Granularity::Mask(len, place)));
    }
    let len = word.text.parse::<u8>().ok().filter(|len| (1..=128).contains(len));
    if len.is_none() {
        let what = format!("`persistence_granularity`: \"{}\" is no netmask", shown(&word.text));
        let hint = "255.255.255.0 and the like for IPv4, 1 to 128 for IPv6. The line is left out.";
        findings.push(word.place, Kind::Invalid, what, hint);
    }
    len.map(|len| Granularity::Len(len, place))
}

fn family(word: &Word, findings: &mut Findings) -> Option<bool> {
    match word.text.as_str() {
        "inet" => Some(false),
        "inet6" => Some(true),
        text => {
            let what = format!("`ip_family`: \"{}\" is neither inet nor inet6", shown(text));
            findings.push(word.place, Kind::Invalid, what, "keepalived leaves the line out.");
            None
        }
    }
}
