//! Checkers → `check`.

use super::args::{self, SECOND};
use super::front::{End, Host, ip};
use super::times::{self, Defaults, Level, Times};
use super::{command, http, udp};
use crate::config::document::Value;
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::keywords::Context;
use crate::config::keepalived::source::Place;
use crate::config::keepalived::tree::Statement;
use crate::config::keepalived::walk::{self, Known};
use crate::config::suggest::shown;
use crate::config::values;
use std::net::IpAddr;

/// A key of a check and its value.
pub(super) type Key = (&'static str, Value);

/// What a checker is told by what stands around it.
pub(super) struct Around<'a> {
    /// Its server as vipd will have it.
    pub(super) server: &'a End,
    /// The port that keepalived's checker takes: that of the real server as it is written.
    pub(super) port: u16,
    /// What the real server says, and its virtual server.
    pub(super) times: &'a Times,
    /// `delay_loop` of the virtual server alone.
    pub(super) service_loop: u64,
    /// Keys of `SSL {}` for each SSL_GET.
    pub(super) certificate: &'a [Key],
    /// keepalived's names of `track_file`s with ours.
    pub(super) files: &'a [(String, String)],
}

/// What became of a checker.
#[derive(Debug, Clone)]
pub(super) struct Check {
    /// The value of `check`, or an item of `checks`.
    pub(super) value: Value,
    /// Down until its first success.
    pub(super) alpha: bool,
    pub(super) place: Place,
    /// Comments of the block, with the key that they are about.
    pub(super) comments: Vec<(&'static str, String)>,
    /// Where that stands which it takes from what stands around it.
    pub(super) used: Vec<Place>,
}

pub(super) const USUAL: Defaults = Defaults { retry: 1, delay_before_retry: Some(SECOND) };
pub(super) const WEB: Defaults = Defaults { retry: 1, delay_before_retry: Some(3 * SECOND) };
const DNS: Defaults = Defaults { retry: 3, delay_before_retry: None };
const SCRIPT: Defaults = Defaults { retry: 0, delay_before_retry: Some(SECOND) };
/// Where mail goes of which no port is known.
const SMTP_PORT: u32 = 25;
/// keepalived's greatest weight of a FILE_CHECK, and vipd's.
const WEIGHT_LIMIT: i64 = i32::MAX as i64;
const FILE_WEIGHT: i64 = i16::MAX as i64;
/// Seconds, of which keepalived counts the microseconds in 32 bits.
const LONGEST_SCRIPT: u32 = u32::MAX / 1_000_000;

/// The checks that a checker becomes: one, or none (told), or several of an SMTP_CHECK with several hosts.
pub(super) fn checks(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Vec<Check> {
    let reader = match known.name {
        "TCP_CHECK" => tcp,
        "PING_CHECK" => ping,
        "HTTP_GET" => http::http,
        "SSL_GET" => http::https,
        "SMTP_CHECK" => return smtp(known, around, findings),
        "DNS_CHECK" => dns,
        "MISC_CHECK" => script,
        "UDP_CHECK" => udp::udp,
        "FILE_CHECK" => file,
        _ => return Vec::new(),
    };
    reader(known, around, findings).into_iter().collect()
}

/// What all checkers have: where to, whence, how often.
#[derive(Default)]
pub(super) struct Common {
    pub(super) times: Times,
    via: Via,
}

#[derive(Clone, Default, PartialEq)]
struct Via {
    ip: Option<IpAddr>,
    port: Option<u32>,
    source: Option<IpAddr>,
    source_port: Option<u32>,
    interface: Option<String>,
    mark: Option<u32>,
}

impl Via {
    /// Takes a word that is one of its own.
    fn take(&mut self, known: Known<'_>, findings: &mut Findings) -> bool {
        let Some(word) = known.statement.argument(0) else { return false };
        match known.name {
            "connect_ip" => self.ip = ip(word, findings).or(self.ip),
            "bindto" => self.source = ip(word, findings).or(self.source),
            "connect_port" => self.port = args::count(known, 0, 1..=65535, findings).or(self.port),
            "bind_port" => {
                self.source_port = args::count(known, 0, 1..=65535, findings).or(self.source_port);
            }
            "bind_if" => match values::interface(&word.text) {
                Ok(_) => self.interface = Some(word.text.clone()),
                Err(problem) => {
                    findings.push(word.place, Kind::Invalid, problem.what, "The line is left out.");
                }
            },
            "fwmark" => {
                let mark = args::count(known, 0, 0..=u32::MAX, findings).filter(|mark| *mark > 0);
                self.mark = mark.or(self.mark);
            }
            _ => return false,
        }
        true
    }

    /// Its keys; what is the server's anyway is left out, so that checks of several servers are alike.
    fn keys(&self, around: &Around<'_>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        if let Some(ip) = self.ip.filter(|ip| around.server.host != Host::Ip(*ip)) {
            keys.push(("address", ip.to_string().into()));
        }
        let port = self.port.unwrap_or(u32::from(around.port));
        if port != 0 && port != u32::from(around.server.port) {
            keys.push(("port", port.into()));
        }
        if let Some(source) = self.source {
            keys.push(("source", source.to_string().into()));
        }
        if let Some(port) = self.source_port {
            keys.push(("source_port", port.into()));
        }
        if let Some(interface) = self.interface.clone() {
            keys.push(("interface", interface.into()));
        }
        if let Some(mark) = self.mark {
            keys.push(("mark", mark.into()));
        }
        keys
    }
}

impl Common {
    /// Does keepalived see a connection of the checker's own in it?
    fn dials(&self) -> bool {
        self.via != Via::default() || self.times.has_timeout()
    }

    /// Takes what is common of a block; the rest is returned.
    pub(super) fn read<'t>(
        context: Context,
        statement: &'t Statement,
        findings: &mut Findings,
    ) -> (Common, Vec<Known<'t>>) {
        let mut common = Common::default();
        let mut own = walk::known(context, statement.inside(), findings);
        own.retain(|known| {
            !common.times.take(*known, Level::Checker, findings) && !common.via.take(*known, findings)
        });
        (common, own)
    }

    /// The whole check: type, own keys, common ones.
    pub(super) fn check(
        self,
        known: Known<'_>,
        keys: Vec<Key>,
        defaults: Defaults,
        timeout: Option<u64>,
        around: &Around<'_>,
        findings: &mut Findings,
    ) -> Check {
        let mut keys = keys;
        let place = known.statement.place();
        let own: Vec<_> = self.times.given().collect();
        let times = self.times.over(around.times);
        let used = times.used(defaults, timeout.is_none(), matches!(known.name, "HTTP_GET" | "SSL_GET"));
        if let Some((name, at)) = own.into_iter().find(|(_, at)| !used.contains(at)) {
            let what = format!("`{name}` is of no use here");
            findings.push(at, Kind::Ignored, what, "Nothing is tried again: `retry` is 0.");
        }
        keys.extend(self.via.keys(around));
        keys.extend(times.keys(place, defaults, timeout, findings));
        let comments = comments(known.statement);
        Check { value: Value::Keys(keys), alpha: times.is_alpha(), place, comments, used }
    }
}

/// All comments of a block, in order, with the key that they are about.
fn comments(statement: &Statement) -> Vec<(&'static str, String)> {
    let key = key(statement.keyword());
    let mut out: Vec<_> = statement.comments.iter().map(|comment| (key, comment.clone())).collect();
    for line in statement.inside() {
        out.extend(comments(line));
    }
    out
}

/// The key of a check that a line becomes.
fn key(word: &str) -> &'static str {
    match word {
        "connect_ip" => "address",
        "connect_port" => "port",
        "bindto" => "source",
        "bind_port" => "source_port",
        "bind_if" => "interface",
        "fwmark" => "mark",
        "path" => "path",
        "status_code" => "status",
        "digest" => "digest",
        "regex" | "regex_no_match" | "regex_options" | "regex_min_offset" | "regex_max_offset" => "regex",
        "http_protocol" => "version",
        "enable_sni" | "sni_name" => "sni",
        "helo_name" => "helo",
        "type" => "record",
        "name" => "query",
        "misc_path" => "command",
        "misc_timeout" => "timeout",
        "misc_dynamic" => "dynamic",
        "user" => "user",
        "payload" => "payload",
        "require_reply" => "require_reply",
        "min_reply_length" => "reply_min",
        "max_reply_length" => "reply_max",
        "track_file" => "track",
        "weight" => "weight",
        _ => times::key(word).1,
    }
}

fn tcp(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    let (common, _) = Common::read(Context::TCP_CHECK, known.statement, findings);
    Some(common.check(known, vec![("type", "tcp".into())], USUAL, None, around, findings))
}

fn ping(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    let (mut common, _) = Common::read(Context::PING_CHECK, known.statement, findings);
    (common.via.port, common.via.source_port) = (None, None);
    for line in known.statement.inside() {
        if matches!(line.keyword(), "connect_port" | "bind_port") {
            let what = format!("`{}` is left out", line.keyword());
            findings.push(line.place(), Kind::Ignored, what, "A ping has no port.");
        }
    }
    let around = Around { port: around.server.port, ..*around };
    Some(common.check(known, vec![("type", "ping".into())], USUAL, None, &around, findings))
}

fn dns(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    const TYPES: [&str; 9] = ["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"];
    let (common, own) = Common::read(Context::DNS_CHECK, known.statement, findings);
    let (mut record, mut query) = ("SOA", None);
    for known in own {
        let Some(word) = known.statement.argument(0) else { continue };
        match known.name {
            "type" => match TYPES.iter().find(|name| name.eq_ignore_ascii_case(&word.text)) {
                Some(name) => record = name,
                None => {
                    let what = format!("`type`: \"{}\" is not a record type", shown(&word.text));
                    findings.push(word.place, Kind::Invalid, what, "keepalived asks for SOA.");
                }
            },
            "name" => query = Some(word.text.clone()).filter(|name| !matches!(name.as_str(), "" | ".")),
            _ => {}
        }
    }
    let mut keys: Vec<Key> = vec![("type", "dns".into())];
    keys.extend(query.map(|query| ("query", query.into())));
    keys.push(("record", record.into()));
    Some(common.check(known, keys, DNS, None, around, findings))
}

/// One check, or one for each `host {}`.
fn smtp(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Vec<Check> {
    let (mut common, own) = Common::read(Context::SMTP_CHECK, known.statement, findings);
    let mut keys: Vec<Key> = vec![("type", "smtp".into())];
    let mut helo = "smtpchecker.keepalived.org".to_owned();
    let mut hosts = Vec::new();
    for line in own {
        match (line.name, line.statement.argument(0)) {
            ("helo_name", Some(word)) => helo = word.text.clone(),
            ("host", _) => {
                let what = "`host` is an old form: several checks, one for each";
                findings.often(line.statement.place(), Kind::Deprecated, what, "");
                hosts.push(line);
            }
            _ => {}
        }
    }
    keys.push(("helo", helo.into()));
    let dials = common.dials();
    common.via.port = common.via.port.or((around.port == 0).then_some(SMTP_PORT));
    if hosts.is_empty() {
        return vec![common.check(known, keys, USUAL, None, around, findings)];
    }
    // Hosts have connections of their own, which take nothing from that of the checker; it is one more where
    // anything is said of it.
    let times = common.times.clone().without_timeout();
    let mut checks = Vec::new();
    if dials {
        checks.push(common.check(known, keys.clone(), USUAL, None, around, findings));
    }
    for host in hosts {
        let (mut own, _) = Common::read(Context::SMTP_HOST, host.statement, findings);
        own.via.port = own.via.port.or((around.port == 0).then_some(SMTP_PORT));
        let whole = Common { times: own.times.over(&times), via: own.via };
        let check = whole.check(host, keys.clone(), USUAL, None, around, findings);
        let comments = if checks.is_empty() { comments(known.statement) } else { Vec::new() };
        checks.push(Check { comments, ..check });
    }
    checks
}

fn script(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    let (common, own) = Common::read(Context::MISC_CHECK, known.statement, findings);
    let (mut run, mut user, mut dynamic, mut timeout) = (None, None, false, None);
    for known in own {
        let words: Vec<&str> = known.statement.arguments().iter().map(|word| word.text.as_str()).collect();
        match known.name {
            "misc_path" => run = command::script(known, None, findings),
            "misc_dynamic" => dynamic = args::always(known, findings).unwrap_or(dynamic),
            "misc_timeout" => timeout = args::count(known, 0, 0..=LONGEST_SCRIPT, findings),
            "user" => user = Some(words.join(":")),
            _ => {}
        }
    }
    let Some(run) = run else {
        let what = "MISC_CHECK without a program";
        findings.push(known.statement.place(), Kind::Invalid, what, "keepalived leaves it out.");
        return None;
    };
    let mut keys: Vec<Key> = vec![("type", "script".into()), ("command", run)];
    keys.extend(user.map(|user| ("user", user.into())));
    if dynamic {
        keys.push(("dynamic", true.into()));
    }
    let timeout = timeout.filter(|seconds| *seconds > 0).map(|seconds| u64::from(seconds) * SECOND);
    let timeout = timeout.unwrap_or(around.service_loop);
    Some(common.check(
        known,
        keys,
        SCRIPT,
        Some(timeout),
        &Around { port: around.server.port, ..*around },
        findings,
    ))
}

/// The number in a file, times a weight. It has no probes, and no times.
fn file(known: Known<'_>, around: &Around<'_>, findings: &mut Findings) -> Option<Check> {
    let place = known.statement.place();
    let (mut track, mut weight, mut reverse) = (None, None, false);
    for line in walk::known(Context::FILE_CHECK, known.statement.inside(), findings) {
        match (line.name, line.statement.argument(0)) {
            ("track_file", Some(word)) => track = Some(word),
            ("weight", Some(_)) => {
                let word = line.statement.argument(1).map_or("noreverse", |word| word.text.as_str());
                if !matches!(word, "reverse" | "noreverse") {
                    let what = format!("`weight`: \"{}\" is none of its words", shown(word));
                    findings.push(line.statement.place(), Kind::Invalid, what, "keepalived leaves it out.");
                    continue;
                }
                if let Some(number) = args::number(line, 0, -WEIGHT_LIMIT..=WEIGHT_LIMIT, findings) {
                    weight = Some(number.clamp(-FILE_WEIGHT, FILE_WEIGHT));
                    if weight != Some(number) {
                        let what =
                            format!("`weight` {number} becomes {}", number.clamp(-FILE_WEIGHT, FILE_WEIGHT));
                        let hint = format!("vipd takes -{FILE_WEIGHT} to {FILE_WEIGHT}.");
                        findings.push(line.statement.place(), Kind::Changed, what, hint);
                    }
                }
                reverse = word == "reverse";
            }
            _ => {}
        }
    }
    let Some(track) = track else {
        findings.push(place, Kind::Invalid, "FILE_CHECK without a track_file", "keepalived leaves it out.");
        return None;
    };
    let Some((_, ours)) = around.files.iter().find(|(written, _)| *written == track.text) else {
        let what = format!("no track_file is called \"{}\"", shown(&track.text));
        findings.push(track.place, Kind::Invalid, what, "keepalived leaves the FILE_CHECK out.");
        return None;
    };
    let mut keys: Vec<Key> = vec![("type", "file".into()), ("track", ours.clone().into())];
    keys.extend(weight.map(|weight| ("weight", weight.into())));
    if reverse {
        keys.push(("reverse", true.into()));
    }
    let comments = comments(known.statement);
    Some(Check { value: Value::Keys(keys), alpha: false, place, comments, used: Vec::new() })
}
