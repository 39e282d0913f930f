//! What is answered, and the line before it that tells a program what to make of it.

use super::age::Age;
use super::request::{EventsRequest, Format, Refused, ResignRequest, StatusRequest};
use super::table::ascii;
use super::{events, health, json, json_status, metrics, render, target};
use crate::model::status::{Happening, InstanceStatus, Snapshot, TrackerStatus};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Exit code of the command: 0 healthy or done, 1 degraded or refused, 2 not understood.
    pub code: u8,
    /// What it prints; ends with a line end.
    pub body: String,
}

/// Numbers of a reply's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// [`Reply::code`].
    pub code: u8,
    /// Length of the body.
    pub bytes: usize,
}

impl Reply {
    /// Done, with a text.
    pub fn done(body: impl Into<String>) -> Self {
        Reply { code: 0, body: body.into() }
    }

    /// Not done, with a reason.
    pub fn failed(body: impl Into<String>) -> Self {
        Reply { code: 1, body: body.into() }
    }

    /// Answer to a line that was not understood.
    pub fn refused(why: Refused) -> Self {
        Reply { code: 2, body: format!("vipd: {why}\n") }
    }

    /// Answer to `status`. The code is the health of what is shown; 2 where nothing has that name.
    pub fn status(request: &StatusRequest, snapshot: &Snapshot) -> Self {
        let Some(name) = &request.name else {
            let body = match (request.format, request.brief) {
                (Format::Json, _) => json_status::status(snapshot),
                (Format::Metrics, _) => metrics::metrics(snapshot),
                (Format::Text, true) => render::brief(snapshot),
                (Format::Text, false) => render::text(snapshot, render::Screen::default()),
            };
            return Reply { code: health::health(snapshot), body };
        };
        let Some(part) = select(snapshot, name) else {
            return Reply { code: 2, body: unknown_name(snapshot, name) };
        };
        let body = match (request.format, request.brief) {
            (Format::Json, _) => json_status::status(&part),
            (Format::Metrics, _) => metrics::metrics(&part),
            (Format::Text, true) => render::brief(&part),
            (Format::Text, false) => render::detail(&part),
        };
        Reply { code: health::health(&part), body }
    }

    /// Answer to `events`; `happenings` come newest first and are told oldest first.
    pub fn events(request: &EventsRequest, happenings: &[Happening]) -> Self {
        Reply::done(match request.json {
            true => json::events(happenings),
            false => events::text(happenings),
        })
    }

    /// Answer to `resign` (for so long, or until `restore`) with the index of the instance in the
    /// configuration; `Err` where there is none of that name.
    pub fn resign(request: &ResignRequest, snapshot: &Snapshot) -> Result<(usize, Self), Self> {
        let index = instance(&request.name, snapshot)?;
        let name = ascii(&request.name);
        let until = format!("\"vipd restore {name}\"");
        Ok((
            index,
            Reply::done(match request.wanted_for {
                Some(span) => {
                    format!("{name} stays out for {}; {until} ends that.\n", Age(span))
                }
                None => format!("{name} stays out until {until}.\n"),
            }),
        ))
    }

    /// Answer to `restore`, likewise.
    pub fn restore(name: &str, snapshot: &Snapshot) -> Result<(usize, Self), Self> {
        let index = instance(name, snapshot)?;
        Ok((index, Reply::done(format!("{} takes part again.\n", ascii(name)))))
    }

    /// Answer to `version`.
    pub fn version() -> Self {
        Reply::done(concat!("vipd ", env!("CARGO_PKG_VERSION"), "\n"))
    }
}

fn instance(name: &str, snapshot: &Snapshot) -> Result<usize, Reply> {
    if let Some(index) = snapshot.instances.iter().position(|instance| instance.name == name) {
        return Ok(index);
    }
    let mut body = format!("vipd: no instance is named \"{}\". ", ascii(name));
    if snapshot.instances.is_empty() {
        body.push_str("There are none.\n");
        return Err(Reply { code: 2, body });
    }
    let names = target::list(snapshot.instances.iter().map(|i| ascii(&i.name)));
    body.push_str(&format!("There are: {names}.\n"));
    Err(Reply { code: 2, body })
}

/// The line before a framed reply.
pub fn header(reply: &Reply) -> String {
    format!("vipd1 code={} bytes={}\n", reply.code, reply.body.len())
}

/// Reads a header line, without its line end. `None`: this is none.
pub fn parse_header(line: &str) -> Option<Report> {
    let (code, bytes) = line.strip_prefix("vipd1 code=")?.split_once(" bytes=")?;
    Some(Report { code: code.parse().ok()?, bytes: bytes.parse().ok()? })
}

/// The snapshot with only what has this name; `None` where nothing has it.
fn select(snapshot: &Snapshot, name: &str) -> Option<Snapshot> {
    let groups: Vec<_> = snapshot.groups.iter().filter(|g| g.name == name).cloned().collect();
    let is_shown = |i: &&InstanceStatus| i.name == name || groups.iter().any(|g| g.members.contains(&i.name));
    let instances: Vec<_> = snapshot.instances.iter().filter(is_shown).cloned().collect();
    let services: Vec<_> = snapshot.services.iter().filter(|s| s.name == name).cloned().collect();
    let is_theirs = |t: &&TrackerStatus| t.name == name || t.used_by.iter().any(|user| user == name);
    let trackers: Vec<_> = snapshot.trackers.iter().filter(is_theirs).cloned().collect();
    let runs: Vec<_> = snapshot.runs.iter().filter(|r| r.subject == name).cloned().collect();
    if instances.is_empty()
        && groups.is_empty()
        && services.is_empty()
        && trackers.is_empty()
        && runs.is_empty()
    {
        return None;
    }
    Some(Snapshot {
        router_name: snapshot.router_name.clone(),
        up: snapshot.up,
        ipvs: if services.is_empty() { None } else { snapshot.ipvs.clone() },
        instances,
        groups,
        trackers,
        runs,
        services,
        problems: snapshot.problems.clone(),
        mail: snapshot.mail.clone(),
        stalls: snapshot.stalls,
        dropped: snapshot.dropped.clone(),
        foreign: snapshot.foreign.clone(),
    })
}

fn unknown_name(snapshot: &Snapshot, name: &str) -> String {
    let names = || {
        let instances = snapshot.instances.iter().map(|i| &i.name);
        let others = snapshot.groups.iter().map(|g| &g.name).chain(snapshot.trackers.iter().map(|t| &t.name));
        instances.chain(snapshot.services.iter().map(|s| &s.name)).chain(others)
    };
    let alike = names()
        .find(|n| n.eq_ignore_ascii_case(name))
        .or_else(|| names().find(|n| n.contains(name) || name.contains(n.as_str())));
    let name = ascii(name);
    match alike {
        Some(alike) => {
            let alike = ascii(alike);
            format!("vipd: nothing is named \"{name}\". Is \"{alike}\" meant?\n")
        }
        None => format!("vipd: nothing is named \"{name}\". \"vipd status\" lists all there is.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_found_or_all_are_named() {
        let snapshot = crate::control::examples::busy();
        let known = snapshot.instances.get(1).unwrap().name.clone();
        let (index, reply) = Reply::restore(&known, &snapshot).unwrap();
        assert_eq!((index, reply.code), (1, 0), "another instance would give up its addresses");
        let request = ResignRequest { name: "VI_9".try_into().unwrap(), wanted_for: None };
        let refused = Reply::resign(&request, &snapshot).unwrap_err();
        assert_eq!(refused.code, 2);
        for name in snapshot.instances.iter().map(|i| i.name.as_str()) {
            assert!(refused.body.contains(name), "{name} is not among {}", refused.body);
        }
    }

    #[test]
    fn header_is_read_back() {
        let reply = Reply { code: 1, body: "abc\n".into() };
        let line = header(&reply);
        assert_eq!(
            parse_header(line.trim_end()),
            Some(Report { code: 1, bytes: 4 }),
            "the command would not know its exit code"
        );
        for bad in
            ["", "vipd1", "vipd1 code=1", "vipd1 code=256 bytes=1", "vipd1 code=0 bytes=-1", "VI_1 Active"]
        {
            assert_eq!(parse_header(bad), None, "{bad:?} is a body, not a header");
        }
    }
}
