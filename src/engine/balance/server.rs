//! A server at run time: what its checks say of it.

use super::names::Names;
use super::probes::{Probe, Probes};
use super::why::Why;
use crate::limits;
use crate::model::status::CheckStatus;
use crate::model::{self, CheckKind, FileCheck, Name, Reason, ServerAddress, Track, TrackKind, cut};
use crate::time::Instant;
use std::net::SocketAddr;

/// Weights end here (IPVS-30c).
const WEIGHT_MAX: i64 = i32::MAX as i64;

/// A check of a server; its parameters are in the configuration, at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// The number of its probe; `None`: a file.
    pub(super) probe: Option<u32>,
    /// What it counts as without a verdict.
    pub(super) assumed: bool,
}

/// A server at run time; its parameters are in the service's configuration, at the same place.
#[derive(Debug)]
pub(super) struct Server {
    /// Its address; `None` while its name has none.
    pub(super) address: Option<SocketAddr>,
    /// The number of its name.
    pub(super) name: Option<u32>,
    /// As its checks in the configuration.
    pub(super) links: Vec<Link>,
    /// Does it take part, as far as its checks know?
    pub(super) up: bool,
    /// The configured weight, and what its checks make of it.
    pub(super) weight: u32,
    /// Its check that brought it down last.
    pub(super) deciding: usize,
    /// The operator lets it run dry.
    pub(super) draining: bool,
    /// A server before it in the service has the same address: it is left out.
    pub(super) left_out: bool,
    /// Its probes are wanted.
    pub(super) active: bool,
    /// Somebody has been told that it is up, or down; before that it is what it is taken for.
    pub(super) told: bool,
    /// Since when it is up, or down.
    pub(super) since: Instant,
    /// Why the first check that fails does, or why there is nothing to check; empty otherwise.
    pub(super) reason: Why,
}

/// What the checks of a server come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgment {
    pub(super) up: bool,
    pub(super) weight: u32,
    /// The first of its checks that fails; `None`: none does.
    pub(super) deciding: Option<usize>,
    pub(super) reason: Reason,
}

/// What one check says.
struct Finding {
    /// Up or down; `None`: it has no say in that.
    up: Option<bool>,
    /// Has it come to a verdict?
    known: bool,
    /// What it adds to the weight.
    weight: i64,
    /// Why the last probe failed.
    reason: Reason,
}

impl Server {
    /// A server of which nothing is known yet.
    pub(super) fn new(now: Instant, address: &ServerAddress) -> Self {
        Server {
            address: match address {
                ServerAddress::Ip(address) => Some(*address),
                ServerAddress::Name { .. } => None,
            },
            name: None,
            links: Vec::new(),
            up: false,
            weight: 0,
            deciding: 0,
            draining: false,
            left_out: false,
            active: false,
            told: false,
            since: now,
            reason: Why::default(),
        }
    }

    /// Do its probes run? Not while its service rests, nor while it has no address of its own.
    pub(super) fn is_active(&self, suspended: bool) -> bool {
        !suspended && !self.left_out && self.address.is_some()
    }

    /// Adds up what its checks say: up where all pass, or any where that is enough; the weight is the
    /// configured one and what each check adds (keepalived §2.4, HC-45).
    pub(super) fn judge(
        &self,
        config: &model::Server,
        probes: &Probes,
        files: &Files,
        names: &Names,
    ) -> Judgment {
        let configured = i64::from(config.weight);
        if let Some(reason) = self.obstacle(names) {
            let weight = config.weight.min(WEIGHT_MAX as u32);
            return Judgment { up: false, weight, deciding: None, reason };
        }
        let (mut passing, mut deciding) = (false, None);
        let mut weight = configured;
        let mut reasons: [Reason; 2] = Default::default();
        for (at, (check, link)) in config.checks.iter().zip(&self.links).enumerate() {
            let finding = self.finding(config, check, *link, probes, files);
            passing |= finding.up == Some(true);
            if finding.up == Some(false) {
                deciding = deciding.or(Some(at));
            }
            weight = weight.saturating_add(finding.weight);
            // That of a check that fails before that of one that has still to be given up.
            let [first, other] = &mut reasons;
            let reason = if finding.up == Some(false) { first } else { other };
            if reason.is_empty() {
                *reason = finding.reason;
            }
        }
        let [first, other] = reasons;
        let failing = deciding.is_some();
        Judgment {
            up: if config.any_check { passing || !failing } else { !failing },
            weight: weight.clamp(0, WEIGHT_MAX) as u32,
            deciding,
            reason: if failing { first } else { other },
        }
    }

    /// Why it cannot take part, whatever its checks say.
    fn obstacle(&self, names: &Names) -> Option<Reason> {
        if self.address.is_none() {
            return Some(names.trouble(self.name));
        }
        self.left_out.then(|| cut(format_args!("another server of the service has its address")))
    }

    fn finding(
        &self,
        config: &model::Server,
        check: &model::Check,
        link: Link,
        probes: &Probes,
        files: &Files,
    ) -> Finding {
        if let CheckKind::File(file) = &check.kind {
            return files.finding(file, link.assumed);
        }
        let Some(probe) = link.probe.and_then(|number| probes.get(number)) else {
            return Finding { up: Some(link.assumed), known: false, weight: 0, reason: Reason::new() };
        };
        let verdict = probe.checker.verdict();
        let up = verdict.unwrap_or(link.assumed);
        let told = probe.dynamic.filter(|_| up);
        Finding {
            up: Some(up),
            known: verdict.is_some(),
            weight: told.map_or(0, |told| i64::from(told) - i64::from(config.weight)),
            reason: probe.reason.get(),
        }
    }

    /// Have all its checks come to a verdict? Without a check there is none to wait for.
    pub(super) fn is_known(&self, config: &model::Server, probes: &Probes, files: &Files) -> bool {
        let mut checks = config.checks.iter().zip(&self.links);
        checks.all(|(check, link)| self.finding(config, check, *link, probes, files).known)
    }

    /// Its probes; files have none.
    pub(super) fn probes<'a>(&'a self, probes: &'a Probes) -> impl Iterator<Item = &'a Probe> {
        self.links.iter().filter_map(|link| probes.get(link.probe?))
    }

    /// What `status` tells of its checks.
    pub(super) fn check_status(
        &self,
        now: Instant,
        config: &model::Server,
        probes: &Probes,
        files: &Files,
    ) -> Vec<CheckStatus> {
        let checks = config.checks.iter().zip(&self.links).take(limits::CHECKS_MAX);
        let status = checks.map(|(check, link)| {
            let finding = self.finding(config, check, *link, probes, files);
            let probe = link.probe.and_then(|number| probes.get(number));
            let age = |at| crate::engine::history::age(now, at);
            CheckStatus {
                kind: word(&check.kind),
                up: finding.up != Some(false),
                known: finding.known,
                reason: finding.reason,
                passed: probe.map_or(0, |probe| probe.passed),
                failed: probe.map_or(0, |probe| probe.failed),
                probed: probe.and_then(|probe| probe.probed_at).map(age),
                probe_time: probe.and_then(|probe| probe.probe_time),
                weight: finding.weight.clamp(-WEIGHT_MAX, WEIGHT_MAX) as i32,
            }
        });
        status.collect()
    }
}

/// The kind of a check, in the words of the configuration.
fn word(kind: &CheckKind) -> &'static str {
    match kind {
        CheckKind::Tcp => "tcp",
        CheckKind::Http(check) if check.tls.is_some() => "https",
        CheckKind::Http(_) => "http",
        CheckKind::Smtp(_) => "smtp",
        CheckKind::Ping => "ping",
        CheckKind::Dns(_) => "dns",
        CheckKind::Udp(_) => "udp",
        CheckKind::Script(_) => "script",
        CheckKind::File(_) => "file",
    }
}

/// The numbers in tracked files, by index in `Config::tracks`.
#[derive(Debug, Default)]
pub(super) struct Files {
    list: Vec<(Name, Option<Result<i32, Reason>>)>,
}

impl Files {
    /// Other trackers: a file of the same name keeps its number until it is told anew. True: what a place in
    /// the list says may be something else than before.
    pub(super) fn reconfigure(&mut self, tracks: &[Track]) -> bool {
        let mut old = core::mem::take(&mut self.list);
        let is_other = !old.iter().map(|(name, _)| name).eq(tracks.iter().map(|track| &track.name));
        old.sort_by(|a, b| a.0.cmp(&b.0));
        self.list.extend(tracks.iter().map(|track| {
            let known = match &track.kind {
                TrackKind::File { .. } => old.binary_search_by(|(name, _)| name.cmp(&track.name)).ok(),
                TrackKind::Interface { .. }
                | TrackKind::Script { .. }
                | TrackKind::Process { .. }
                | TrackKind::Address { .. }
                | TrackKind::Route { .. }
                | TrackKind::Path { .. } => None,
            };
            (track.name.clone(), known.and_then(|at| old.get(at)).and_then(|(_, value)| value.clone()))
        }));
        is_other || tracks.iter().any(|track| !matches!(track.kind, TrackKind::File { .. }))
    }

    /// What a file holds now; true where that is news. As for trackers, the last number stays while the file
    /// holds none.
    pub(super) fn set(&mut self, track: usize, value: Result<i32, Reason>) -> bool {
        let Some((_, known)) = self.list.get_mut(track) else { return false };
        if value.is_err() && matches!(known, Some(Ok(_))) {
            return false;
        }
        let news = known.as_ref() != Some(&value);
        *known = Some(value);
        news
    }

    /// keepalived's FILE_CHECK: the number times the weight is added to the server's; with weight 0 a number
    /// that is not zero means down (with `reverse`, zero does). What goes below all weights means down, too.
    fn finding(&self, check: &FileCheck, assumed: bool) -> Finding {
        let file = self.list.get(check.track);
        let nothing = Finding { up: None, known: true, weight: 0, reason: Reason::new() };
        let name = file.map_or("", |(name, _)| name.as_str());
        match file.and_then(|(_, value)| value.as_ref()) {
            None => Finding { up: Some(assumed), known: false, ..nothing },
            Some(Err(why)) => {
                Finding { up: Some(false), reason: cut(format_args!("file {name}: {why}")), ..nothing }
            }
            Some(Ok(number)) if check.weight == 0 => {
                let up = (*number == 0) != check.reverse;
                let reason = if up { Reason::new() } else { cut(format_args!("file {name} says {number}")) };
                Finding { up: Some(up), reason, ..nothing }
            }
            Some(Ok(number)) => {
                let sign = if check.reverse { -1 } else { 1 };
                let weight = i64::from(*number) * i64::from(check.weight) * sign;
                if weight < -WEIGHT_MAX {
                    let reason = cut(format_args!("file {name} says {number}"));
                    return Finding { up: Some(false), reason, ..nothing };
                }
                Finding { weight: weight.min(WEIGHT_MAX), ..nothing }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(value: Option<Result<i32, Reason>>) -> Files {
        Files { list: vec![(Name::try_from("load").unwrap(), value)] }
    }

    /// keepalived §2.4 and `process_update_checker_track_file_status`'s table of cases.
    #[test]
    fn numbers_of_files_become_verdicts_or_weights() {
        let text = |finding: &Finding| format!("{:?} {}", finding.up, finding.weight);
        for (number, weight, reverse, want) in [
            (0, 0, false, "Some(true) 0"),
            (5, 0, false, "Some(false) 0"),
            (0, 0, true, "Some(false) 0"),
            (5, 0, true, "Some(true) 0"),
            (5, 2, false, "None 10"),
            (5, 2, true, "None -10"),
            (-5, 2, true, "None 10"),
            (i32::MAX, 2, false, "None 2147483647"),
            (i32::MIN, 1, false, "Some(false) 0"),
            (i32::MAX, -1, false, "None -2147483647"),
            (i32::MAX, -2, false, "Some(false) 0"),
            (i32::MIN, -300, false, "None 2147483647"),
        ] {
            let check = FileCheck { track: 0, weight, reverse };
            let finding = files(Some(Ok(number))).finding(&check, true);
            assert_eq!(text(&finding), want, "{number} × {weight}, reverse {reverse}");
            assert_eq!(finding.up == Some(false), !finding.reason.is_empty(), "down has a reason");
        }
        let check = FileCheck { track: 0, weight: 3, reverse: false };
        assert_eq!(text(&files(None).finding(&check, false)), "Some(false) 0", "not told yet: as assumed");
        assert_eq!(
            text(&files(Some(Err(cut(format_args!("empty"))))).finding(&check, true)),
            "Some(false) 0"
        );
        let beyond = FileCheck { track: 7, ..check };
        assert_eq!(text(&files(Some(Ok(1))).finding(&beyond, true)), "Some(true) 0", "no such tracker");
    }

    #[test]
    fn the_last_number_of_a_file_stays() {
        let mut files = files(None);
        assert!(files.set(0, Err(cut(format_args!("empty")))), "news: it was not known");
        assert!(files.set(0, Ok(3)) && !files.set(0, Ok(3)));
        assert!(!files.set(0, Err(cut(format_args!("empty")))), "as for trackers");
        assert_eq!(files.list[0].1, Some(Ok(3)));
        assert!(!files.set(9, Ok(1)), "no such tracker");
    }
}
