//! The answer to `probe`: one probe of each check of a server, step by step.

use super::age::{Age, Span};
use super::json::{Json, SCHEMA};
use super::render::Screen;
use super::reply::Reply;
use super::request::ProbeRequest;
use super::table::{ascii, wrap};
use super::target::{find, name_of};
use crate::model::status::{CheckStatus, Snapshot};
use crate::model::{Name, Reason, Text, cut};
use crate::time::Duration;

/// The kind of a check without probes.
const FILE: &str = "file";

/// What `vipd probe` has found so far. It counts for no checker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// The service.
    pub service: Name,
    /// The server, as configured.
    pub server: Text,
    /// Index of the service in `Config::services`, of the server in its servers.
    pub place: (usize, usize),
    /// What its checkers say, before the probe: `up for 2h00m, weight 1`.
    pub state: Text,
    /// One for each of its checks, in the order of the configuration.
    pub findings: Vec<Finding>,
    json: bool,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `tcp`, `http`, ...: as in [`crate::model::status::CheckStatus::kind`].
    pub kind: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// From its start to its end; `None` where there was nothing to wait for, or it goes on.
    pub took: Option<Duration>,
    /// What happened, and how long after the start.
    pub steps: Vec<(Duration, Reason)>,
}

impl Finding {
    /// A tracked file has no probe: what it says now is the result.
    fn begin(check: &CheckStatus) -> Self {
        let is_file = check.kind == FILE;
        let verdict = match (is_file, check.up, check.known) {
            (false, ..) => Verdict::Open,
            (true, true, _) => Verdict::Passed,
            (true, false, true) => Verdict::Failed(check.reason.clone()),
            (true, false, false) => Verdict::NotRun(cut(format_args!("it has not been read yet"))),
        };
        let weight = cut(format_args!("as its tracker says; it makes {:+} of weight", check.weight));
        let steps = if is_file { vec![(Duration::ZERO, weight)] } else { Vec::new() };
        Finding { kind: check.kind, verdict, took: None, steps }
    }
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Open,
    /// As wanted.
    Passed,
    /// The server failed it.
    Failed(Reason),
    /// It could not be made: that says nothing of the server.
    NotRun(Reason),
}

impl Verdict {
    /// A stable word for programs.
    const fn word(&self) -> &'static str {
        match self {
            Verdict::Open => "open",
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::NotRun(_) => "not_run",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Verdict::Open => "no result in time",
            Verdict::Passed => "",
            Verdict::Failed(reason) | Verdict::NotRun(reason) => reason,
        }
    }
}

impl Inquiry {
    /// Begins: finds the server that is meant.
    ///
    /// # Errors
    /// The reply where there is no such server, or more than one.
    pub fn begin(request: &ProbeRequest, snapshot: &Snapshot) -> Result<Self, Reply> {
        let target = find(&request.server, snapshot)?;
        let s = target.server;
        let up = match (s.up, s.known) {
            (true, true) => "up",
            (true, false) => "taken as up",
            (false, true) => "down",
            (false, false) => "not up yet",
        };
        let drained = if s.draining { ", drained" } else { "" };
        Ok(Inquiry {
            service: target.service.name.clone(),
            server: cut(format_args!("{}", name_of(s))),
            place: (target.service_at, target.server_at),
            state: cut(format_args!("{up} for {}, weight {}{drained}", Age(s.since), s.weight)),
            findings: s.checks.iter().map(Finding::begin).collect(),
            json: request.json,
        })
    }

    /// The reply, as far as things are known. Code 0: all passed; 1 otherwise.
    pub fn reply(&self) -> Reply {
        let all_passed = self.findings.iter().all(|finding| finding.verdict == Verdict::Passed);
        Reply { code: u8::from(!all_passed), body: if self.json { self.to_json() } else { self.text() } }
    }

    fn text(&self) -> String {
        let width = Screen::default().columns;
        let mut lines = vec![format!("{} {}: {}", ascii(&self.service), ascii(&self.server), self.state)];
        if self.findings.is_empty() {
            lines.push("It has no check: it is always taken as up.".to_owned());
        }
        let is_one = self.findings.len() == 1;
        for (number, finding) in (1..).zip(&self.findings) {
            let number = if is_one { String::new() } else { format!(" {number}") };
            let took = finding.took.map(|took| format!(" after {}", Micros(took))).unwrap_or_default();
            let kind = finding.kind;
            let verdict = match &finding.verdict {
                Verdict::Open => format!("check{number}, {kind}: no result in time"),
                Verdict::Passed => format!("check{number}, {kind}: passed{took}"),
                Verdict::Failed(why) => format!("check{number}, {kind}: FAILED{took}: {}", ascii(why)),
                Verdict::NotRun(why) => format!("check{number}, {kind}: could not be made: {}", ascii(why)),
            };
            lines.extend(wrap(&verdict, width, 2));
            for (at, what) in &finding.steps {
                lines.extend(wrap(&format!("{:>10}  {}", Micros(*at).to_string(), ascii(what)), width, 12));
            }
        }
        lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn to_json(&self) -> String {
        let mut json = Json::default();
        json.object(|json| {
            json.key("schema").number(SCHEMA);
            json.key("service").text(&self.service);
            json.key("server").text(&self.server);
            json.key("checks").array(&self.findings, |json, finding| {
                let Finding { kind, verdict, took, steps } = finding;
                json.object(|json| {
                    json.key("kind").text(kind);
                    json.key("result").text(verdict.word());
                    json.key("reason").text(verdict.reason());
                    json.key("took_us").optional(*took, |json, took| json.number(took.total_micros()));
                    json.key("steps").array(steps, |json, (at, what)| {
                        json.object(|json| {
                            json.key("at_us").number(at.total_micros());
                            json.key("what").text(what);
                        });
                    });
                });
            });
        });
        json.finish()
    }
}

/// A time in which microseconds count: `0.412ms`, `12.3ms`, `1.204s`, and from ten seconds on as [`Span`].
struct Micros(Duration);

impl core::fmt::Display for Micros {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let micros = self.0.total_micros();
        match micros {
            0..10_000 => write!(f, "{}.{:03}ms", micros / 1000, micros % 1000),
            10_000..1_000_000 => write!(f, "{}.{}ms", micros / 1000, micros % 1000 / 100),
            1_000_000..10_000_000 => write!(f, "{}.{:03}s", micros / 1_000_000, micros % 1_000_000 / 1000),
            _ => Span(self.0).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::balanced::balanced;
    use crate::control::{ServerRequest, ServerWord};

    fn begun(json: bool) -> Inquiry {
        let server = ServerRequest {
            service: "mail".try_into().unwrap(),
            server: ServerWord::try_from("10.1.0.21").unwrap(),
        };
        Inquiry::begin(&ProbeRequest { server, json }, &balanced()).unwrap()
    }

    fn at(micros: u64, what: &str) -> (Duration, Reason) {
        (Duration::from_micros(micros), cut(format_args!("{what}")))
    }

    #[test]
    fn every_step_has_its_time() {
        let mut inquiry = begun(false);
        assert_eq!(inquiry.place, (1, 0));
        let smtp = &mut inquiry.findings[0];
        smtp.steps = vec![at(0, "to 10.1.0.21:25"), at(412, "connected"), at(12_345, "220 mx1 \u{1b}[2J")];
        smtp.verdict = Verdict::Failed(cut(format_args!("421 too busy")));
        smtp.took = Some(Duration::from_micros(1_204_000));
        let want = "\
mail 10.1.0.21:25: up for 2h00m, weight 1
check 1, smtp: FAILED after 1.204s: 421 too busy
   0.000ms  to 10.1.0.21:25
   0.412ms  connected
    12.3ms  220 mx1 ?[2J
check 2, file: passed
   0.000ms  as its tracker says; it makes -5 of weight
";
        assert_eq!(inquiry.reply(), Reply { code: 1, body: want.to_owned() });
    }

    #[test]
    fn the_code_is_0_only_where_all_passed() {
        let mut inquiry = begun(true);
        let reply = inquiry.reply();
        assert_eq!(reply.code, 1, "one goes on");
        let value: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(value["checks"][0]["result"], "open");
        assert_eq!(value["checks"][1]["result"], "passed");
        assert_eq!(value["checks"][1]["steps"][0]["at_us"], 0);
        inquiry.findings[0].verdict = Verdict::NotRun(cut(format_args!("no worker free in time")));
        assert_eq!(inquiry.reply().code, 1, "what could not be made has not passed");
        inquiry.findings[0].verdict = Verdict::Passed;
        assert_eq!(inquiry.reply().code, 0);
        inquiry.findings.clear();
        inquiry.json = false;
        assert!(inquiry.reply().body.contains("It has no check"), "nothing to probe is said");
    }
}
