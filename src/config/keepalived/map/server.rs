//! `real_server` → `[[service.server]]`.

use super::checker::{self, Around, Check, Key};
use super::front::{End, Front, Host, end};
use super::method::{self, Method};
use super::times::{self, Level, Times};
use super::{args, block, command};
use crate::config::document::{Table, Value};
use crate::config::keepalived::finding::{Findings, Kind};
use crate::config::keepalived::keywords::Context;
use crate::config::keepalived::source::Place;
use crate::config::keepalived::walk::{self, Known};

/// What a real server is told by its virtual server.
pub(super) struct Above<'a> {
    pub(super) front: &'a Front,
    pub(super) method: &'a Method,
    pub(super) times: &'a Times,
    pub(super) weight: u32,
    pub(super) is_inhibited: bool,
    /// Keys of `SSL {}`.
    pub(super) certificate: &'a [Key],
    /// keepalived's names of `track_file`s with ours.
    pub(super) files: &'a [(String, String)],
    /// Mail about servers that say nothing; `None`: there is no mail at all.
    pub(super) mail: Option<bool>,
    pub(super) usual: &'a Usual<'a>,
}

/// What vipd takes of the service where a server says nothing.
pub(super) struct Usual<'a> {
    pub(super) method: &'a Method,
    pub(super) weight: u32,
    pub(super) is_inhibited: bool,
}

/// What became of a real server; its checks are put in where they are compared with those of others.
pub(super) struct Server {
    pub(super) end: End,
    pub(super) table: Table,
    pub(super) weight: u32,
    pub(super) method: Method,
    pub(super) checks: Vec<Check>,
    /// In the table before its first verdict.
    pub(super) starts_up: bool,
}

/// Largest weight and threshold (IPVS-43).
pub(super) const WEIGHT_MAX: u32 = i32::MAX.unsigned_abs();

/// `None` is told: keepalived leaves it out.
pub(super) fn server(known: Known<'_>, above: &Above<'_>, findings: &mut Findings) -> Option<Server> {
    let statement = known.statement;
    let place = statement.place();
    let mut end = end(statement.arguments(), findings)?;
    let at = statement.argument(0).map_or(place, |word| word.place);
    if let Host::Name(name) = &end.host {
        let what = format!("\"{name}\" is a name, which vipd looks up again and again");
        findings.push(at, Kind::Changed, what, "keepalived knows addresses only, and leaves the server out.");
    }
    let mut table = Table::new("service.server", true, place);
    table.comments.extend(statement.comments.iter().cloned());
    let (mut weight, mut inhibit, mut own_method) = (above.weight, above.is_inhibited, None);
    let (mut times, mut mail) = (Times::default(), above.mail);
    let (mut upper, mut lower) = (None, None);
    let (mut up, mut down) = (None, None);
    let (mut checkers, mut notes) = (Vec::new(), Vec::new());
    let all = walk::known(Context::REAL_SERVER, statement.inside(), findings);
    for line in &all {
        let line = *line;
        let key = match line.name {
            "weight" => {
                weight = args::count(line, 0, 0..=WEIGHT_MAX, findings).unwrap_or(weight);
                "weight"
            }
            "inhibit_on_failure" => {
                inhibit = args::flag(line, findings).unwrap_or(inhibit);
                "inhibit"
            }
            "lvs_method" => {
                own_method = method::method(line, findings).or(own_method);
                "forward"
            }
            "smtp_alert" => {
                let wanted = args::flag(line, findings);
                mail = mail.and(wanted.or(mail));
                "mail"
            }
            "uthreshold" => {
                upper = args::count(line, 0, 0..=WEIGHT_MAX, findings).or(upper);
                "upper_threshold"
            }
            "lthreshold" => {
                let read = args::count(line, 0, 0..=WEIGHT_MAX, findings);
                lower = read.map(|read| (read, line.statement.place())).or(lower);
                "lower_threshold"
            }
            "notify_up" => {
                up = command::command(line, findings).or(up);
                "notify"
            }
            "notify_down" => {
                down = command::command(line, findings).or(down);
                "notify"
            }
            _ if times.take(line, Level::Server, findings) => times::key(line.name).0,
            _ => {
                checkers.push(line);
                continue;
            }
        };
        notes.push((key, line.statement.comments.clone()));
    }
    notes.push(("", block::others(statement, &all)));
    let method = own_method.unwrap_or_else(|| above.method.clone());
    let written = end.port;
    port(&mut end, &method, above.front, at, findings);
    if written == 0 && !checkers.is_empty() && end.port != 0 {
        let what = format!("no port: {} is taken, for its checks too", end.port);
        findings.push(at, Kind::Changed, what, "keepalived takes it, but its checks go to port 0 and fail.");
    }
    let bare = above.front.port().is_none();
    table.put("address", end.show(bare), at);
    table.put_unless("weight", weight, above.usual.weight, place);
    thresholds(upper, lower, &mut table, place, findings);
    method.put(above.usual.method, &mut table, place);
    table.put_unless("inhibit", inhibit, above.usual.is_inhibited, place);
    if let Some(mail) = mail {
        table.put_unless("mail", mail, true, place);
    }
    let commands = [("up", up), ("down", down)];
    let commands: Vec<Key> = commands.into_iter().filter_map(|(key, run)| Some((key, run?))).collect();
    if !commands.is_empty() {
        table.put("notify", Value::Keys(commands), place);
    }
    let own = times.clone();
    let times = times.over(above.times);
    let around = Around {
        server: &end,
        port: if written == 0 { end.port } else { written },
        times: &times,
        service_loop: above.times.delay_loop(),
        certificate: above.certificate,
        files: above.files,
    };
    let mut checks: Vec<Check> = Vec::new();
    for checker in checkers {
        for check in checker::checks(checker, &around, findings) {
            if checks.iter().any(|other| other.value == check.value) {
                let what = "this check is given twice";
                findings.push(check.place, Kind::Ignored, what, "Once is enough.");
            } else {
                checks.push(check);
            }
        }
    }
    let used: Vec<Place> = checks.iter().flat_map(|check| check.used.iter().copied()).collect();
    times::unused(&own, &used, findings);
    for (key, comments) in notes {
        table.comment(key, comments);
    }
    let starts_up = checks.is_empty() || !checks.iter().any(|check| check.alpha);
    Some(Server { end, table, weight, method, checks, starts_up })
}

/// IPVS-43d: only NAT changes the port; what is not given is that of the front.
pub(super) fn port(end: &mut End, method: &Method, front: &Front, at: Place, findings: &mut Findings) {
    let Some(wanted) = front.port() else { return };
    if end.port == 0 {
        end.port = wanted;
    } else if end.port != wanted && method.keeps_port() {
        let what = format!("port {} becomes {wanted}, that of the virtual server", end.port);
        let hint = "Only NAT changes the port of a packet. keepalived does the same, and its checks go on to \
                    the port as it is written.";
        findings.push(at, Kind::Changed, what, hint);
        end.port = wanted;
    }
}

fn thresholds(
    upper: Option<u32>,
    lower: Option<(u32, Place)>,
    table: &mut Table,
    place: Place,
    findings: &mut Findings,
) {
    let (upper, (lower, at)) = (upper.unwrap_or(0), lower.unwrap_or((0, place)));
    table.put_unless("upper_threshold", upper, 0_u32, place);
    if lower > upper {
        let what = format!("`lthreshold` {lower} is above `uthreshold` {upper}");
        findings.push(
            at,
            Kind::Invalid,
            what,
            "The kernel refuses a server with it: `lthreshold` is left out.",
        );
    } else {
        table.put_unless("lower_threshold", lower, 0_u32, place);
    }
}
