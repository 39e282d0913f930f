//! What may be asked.

use crate::limits;
use crate::model::Name;
use crate::time::Duration;
use core::fmt;

/// A request line that begins with this gets a header line before its reply ([`super::header`]).
pub const FRAMED: &str = "vipd1 ";

/// One question or order, as it comes over the control socket. [`fmt::Display`] gives the line that
/// [`Request::parse`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `status [--json | --metrics] [--brief] [NAME]`
    Status(StatusRequest),
    /// `events [--json]`
    Events(EventsRequest),
    /// `reload`: read the configuration file again.
    Reload,
    /// `resign [--for 10m] INSTANCE`: leave Active.
    Resign(ResignRequest),
    /// `restore INSTANCE`: take part again.
    Restore(Name),
    /// `drain SERVICE SERVER`: no new connections to it.
    Drain(ServerRequest),
    /// `undrain SERVICE SERVER`: new ones again.
    Undrain(ServerRequest),
    /// `probe [--json] SERVICE SERVER`: one probe of each of its checks, now.
    Probe(ProbeRequest),
    /// `version`: of the daemon, which may be older than the command.
    Version,
}

/// What to show of the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusRequest {
    /// In which form.
    pub format: Format,
    /// One line for each instance and service; goes with [`Format::Text`] alone.
    pub brief: bool,
    /// Only this instance or service, in detail.
    pub name: Option<Name>,
}

/// Which instance leaves Active, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResignRequest {
    /// Its name.
    pub name: Name,
    /// `None`: until `restore`.
    pub wanted_for: Option<Duration>,
}

/// A server of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRequest {
    /// Name of the service.
    pub service: Name,
    /// Address or name of the server, with or without the port; one word.
    pub server: ServerWord,
}

/// What a user writes for a server: one word, as long as an address with a host name and a port can be.
pub type ServerWord = heapless::String<{ limits::HOST_NAME_MAX + 6 }>;

/// Which server is probed, and how the answer looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRequest {
    /// Which.
    pub server: ServerRequest,
    /// JSON instead of text.
    pub json: bool,
}

/// Form of a status reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For Prometheus.
    Metrics,
}

/// How to show the last events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventsRequest {
    /// JSON instead of text.
    pub json: bool,
}

/// Why a request line was not understood; prints as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No word in it.
    Empty,
    /// More than [`limits::REQUEST_MAX`] bytes.
    TooLong,
    /// None of the requests that there are.
    UnknownRequest,
    /// The request does not have this option.
    UnknownOption,
    /// A word after a request that takes none.
    Surplus,
    /// Two of `--json`, `--metrics`, `--brief` at a time.
    Contradiction,
    /// No instance or service can have such a name.
    BadName,
    /// No name where one is needed.
    NoName,
    /// A service, a server, or both are missing.
    NoServer,
    /// No server can be written so.
    BadServer,
    /// `--for` without a length of time that can be meant.
    BadSpan,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Empty => f.write_str("empty request; try \"status\""),
            Refused::TooLong => write!(f, "request of more than {} bytes", limits::REQUEST_MAX),
            Refused::UnknownRequest => f.write_str(
                "unknown request; there are status, events, reload, resign, restore, drain, undrain, probe, \
                 version",
            ),
            Refused::UnknownOption => f.write_str(
                "unknown option; status has --json, --metrics, --brief; events, probe --json; resign --for",
            ),
            Refused::Surplus => f.write_str("one word too many in this request"),
            Refused::Contradiction => f.write_str("of --json, --metrics and --brief only one at a time"),
            Refused::BadName => write!(f, "a name has at most {} bytes", limits::NAME_MAX),
            Refused::NoName => f.write_str("the name of an instance is missing"),
            Refused::NoServer => f.write_str("a service and one of its servers are needed: SERVICE SERVER"),
            Refused::BadServer => {
                f.write_str("a server is its address or its name, with or without the port, in one word")
            }
            Refused::BadSpan => f.write_str("--for takes a length of time: 90s, 10m or 2h, at most 365d"),
        }
    }
}

impl Request {
    /// Reads a request line, without [`FRAMED`] and without its line end. A name may hold spaces and may
    /// begin with `-` after `--`; nothing follows it.
    ///
    /// # Errors
    /// [`Refused`] says why.
    pub fn parse(line: &str) -> Result<Request, Refused> {
        if line.len() > limits::REQUEST_MAX {
            return Err(Refused::TooLong);
        }
        let line = line.trim();
        let (word, rest) = split_word(line);
        match word {
            "" => Err(Refused::Empty),
            "status" => parse_status(rest).map(Request::Status),
            "events" => match rest {
                "" => Ok(Request::Events(EventsRequest { json: false })),
                "--json" => Ok(Request::Events(EventsRequest { json: true })),
                other if other.starts_with('-') => Err(Refused::UnknownOption),
                _ => Err(Refused::Surplus),
            },
            "reload" => alone(rest, Request::Reload),
            "resign" => parse_resign(rest).map(Request::Resign),
            "restore" => parse_instance(rest).map(Request::Restore),
            "drain" => parse_server(rest).map(Request::Drain),
            "undrain" => parse_server(rest).map(Request::Undrain),
            "probe" => parse_probe(rest).map(Request::Probe),
            "version" => alone(rest, Request::Version),
            _ => Err(Refused::UnknownRequest),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Status(status) => {
                f.write_str("status")?;
                f.write_str(match status.format {
                    Format::Text => "",
                    Format::Json => " --json",
                    Format::Metrics => " --metrics",
                })?;
                if status.brief {
                    f.write_str(" --brief")?;
                }
                match &status.name {
                    Some(name) => write!(f, " -- {name}"),
                    None => Ok(()),
                }
            }
            Request::Events(EventsRequest { json: true }) => f.write_str("events --json"),
            Request::Events(EventsRequest { json: false }) => f.write_str("events"),
            Request::Reload => f.write_str("reload"),
            Request::Resign(ResignRequest { name, wanted_for: Some(span) }) => {
                write!(f, "resign --for {}ms -- {name}", span.total_millis())
            }
            Request::Resign(ResignRequest { name, wanted_for: None }) => write!(f, "resign -- {name}"),
            Request::Restore(name) => write!(f, "restore -- {name}"),
            Request::Drain(ServerRequest { service, server }) => write!(f, "drain -- {service} {server}"),
            Request::Undrain(ServerRequest { service, server }) => {
                write!(f, "undrain -- {service} {server}")
            }
            Request::Probe(ProbeRequest { server: ServerRequest { service, server }, json }) => {
                write!(f, "probe{} -- {service} {server}", if *json { " --json" } else { "" })
            }
            Request::Version => f.write_str("version"),
        }
    }
}

fn parse_status(mut rest: &str) -> Result<StatusRequest, Refused> {
    let mut status = StatusRequest::default();
    let mut forms = 0;
    while rest.starts_with('-') {
        let (word, after) = split_word(rest);
        rest = after;
        match word {
            "--json" => status.format = Format::Json,
            "--metrics" => status.format = Format::Metrics,
            "--brief" => status.brief = true,
            "--" => {
                status.name = parse_name(rest)?;
                rest = "";
                break;
            }
            _ => return Err(Refused::UnknownOption),
        }
        forms += 1;
    }
    if forms > 1 {
        return Err(Refused::Contradiction);
    }
    if !rest.is_empty() {
        status.name = parse_name(rest)?;
    }
    Ok(status)
}

fn parse_resign(rest: &str) -> Result<ResignRequest, Refused> {
    let (wanted_for, rest) = match split_word(rest) {
        ("--for", after) => {
            let (word, after) = split_word(after);
            (Some(parse_span(word).ok_or(Refused::BadSpan)?), after)
        }
        _ => (None, rest),
    };
    Ok(ResignRequest { name: parse_instance(rest)?, wanted_for })
}

fn parse_probe(rest: &str) -> Result<ProbeRequest, Refused> {
    let (json, rest) = match split_word(rest) {
        ("--json", after) => (true, after),
        _ => (false, rest),
    };
    Ok(ProbeRequest { server: parse_server(rest)?, json })
}

/// A service's name, after `--` where it begins with `-`, and a server: the last word, so that the name may
/// hold spaces.
fn parse_server(rest: &str) -> Result<ServerRequest, Refused> {
    let rest = match split_word(rest) {
        ("--", after) => after,
        (word, _) if word.starts_with('-') => return Err(Refused::UnknownOption),
        _ => rest,
    };
    let (service, server) = rest.rsplit_once(char::is_whitespace).ok_or(Refused::NoServer)?;
    let service = service.trim_end();
    if service.is_empty() {
        return Err(Refused::NoServer);
    }
    let server = ServerWord::try_from(server).map_err(|_| Refused::BadServer)?;
    Ok(ServerRequest { service: Name::try_from(service).map_err(|_| Refused::BadName)?, server })
}

/// A name, after `--` where it begins with `-`.
fn parse_instance(rest: &str) -> Result<Name, Refused> {
    let name = match split_word(rest) {
        ("--", name) => name,
        (word, _) if word.starts_with('-') => return Err(Refused::UnknownOption),
        _ => rest,
    };
    if name.is_empty() {
        return Err(Refused::NoName);
    }
    Name::try_from(name).map_err(|_| Refused::BadName)
}

/// A length of time for `--for`: a whole number and a unit, not zero, at most 365 days.
pub fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MILLIS,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
    (1..=365 * DAY_MILLIS).contains(&millis).then(|| Duration::from_millis(millis))
}

const DAY_MILLIS: u64 = 86_400_000;

fn parse_name(text: &str) -> Result<Option<Name>, Refused> {
    if text.is_empty() {
        return Err(Refused::BadName);
    }
    Name::try_from(text).map(Some).map_err(|_| Refused::BadName)
}

fn alone(rest: &str, request: Request) -> Result<Request, Refused> {
    if rest.is_empty() { Ok(request) } else { Err(Refused::Surplus) }
}

/// First word, and what follows it without the spaces between.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(format: Format, brief: bool, name: Option<&str>) -> Request {
        Request::Status(StatusRequest { format, brief, name: name.map(|n| Name::try_from(n).unwrap()) })
    }

    fn name(text: &str) -> Name {
        Name::try_from(text).unwrap()
    }

    fn server(service: &str, server: &str) -> ServerRequest {
        ServerRequest { service: name(service), server: ServerWord::try_from(server).unwrap() }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let requests = [
            status(Format::Text, false, None),
            status(Format::Json, false, None),
            status(Format::Metrics, false, Some("web")),
            status(Format::Text, true, Some("-odd name")),
            Request::Events(EventsRequest { json: true }),
            Request::Events(EventsRequest { json: false }),
            Request::Reload,
            Request::Resign(ResignRequest { name: name("VI 1"), wanted_for: None }),
            Request::Resign(ResignRequest { name: name("-x"), wanted_for: parse_span("10m") }),
            Request::Restore(name("--for")),
            Request::Drain(server("web", "10.0.0.11:80")),
            Request::Undrain(server("my web site", "[2001:db8::1]:80")),
            Request::Probe(ProbeRequest { server: server("--json", "www.example.org"), json: false }),
            Request::Probe(ProbeRequest { server: server(&"n".repeat(64), &"h".repeat(259)), json: true }),
            Request::Version,
        ];
        for request in requests {
            let line = request.to_string();
            assert_eq!(
                Request::parse(&line),
                Ok(request),
                "the command and the daemon must agree on {line:?}"
            );
        }
    }

    #[test]
    fn a_person_with_nc_is_understood() {
        assert_eq!(
            Request::parse("status\r"),
            Ok(status(Format::Text, false, None)),
            "CR of a terminal is no word"
        );
        assert_eq!(Request::parse("  status   web "), Ok(status(Format::Text, false, Some("web"))));
        assert_eq!(Request::parse("status --json VI 1"), Ok(status(Format::Json, false, Some("VI 1"))));
        assert_eq!(
            Request::parse("drain my  site   10.0.0.11 "),
            Ok(Request::Drain(server("my  site", "10.0.0.11"))),
            "the server is the last word"
        );
    }

    #[test]
    fn no_silent_acceptance() {
        for (line, why) in [
            ("", Refused::Empty),
            (" \t", Refused::Empty),
            ("stat", Refused::UnknownRequest),
            ("status --jsn", Refused::UnknownOption),
            ("status --json --metrics", Refused::Contradiction),
            ("status --json --brief", Refused::Contradiction),
            ("status --", Refused::BadName),
            ("events all", Refused::Surplus),
            ("events --xml", Refused::UnknownOption),
            ("reload now", Refused::Surplus),
            ("version 1", Refused::Surplus),
            ("resign", Refused::NoName),
            ("resign --for 10m", Refused::NoName),
            ("resign --for VI_1", Refused::BadSpan),
            ("resign --for 0s VI_1", Refused::BadSpan),
            ("resign --for 10 VI_1", Refused::BadSpan),
            ("resign --for 366d VI_1", Refused::BadSpan),
            ("resign --for 99999999999999999999d VI_1", Refused::BadSpan),
            ("resign --fro 10m VI_1", Refused::UnknownOption),
            ("restore", Refused::NoName),
            ("restore --", Refused::NoName),
            ("restore --now VI_1", Refused::UnknownOption),
            ("drain", Refused::NoServer),
            ("drain web", Refused::NoServer),
            ("drain --", Refused::NoServer),
            ("drain -- web", Refused::NoServer),
            ("drain --json web 10.0.0.11", Refused::UnknownOption),
            ("undrain", Refused::NoServer),
            ("probe --json", Refused::NoServer),
            ("probe --xml web 10.0.0.11", Refused::UnknownOption),
            ("probe -v web 10.0.0.11", Refused::UnknownOption),
        ] {
            assert_eq!(Request::parse(line), Err(why), "law 4: {line:?} must be refused with its reason");
        }
        let long = format!("status {}", "x".repeat(limits::NAME_MAX + 1));
        assert_eq!(Request::parse(&long), Err(Refused::BadName), "a cut name would show another object");
        let long = format!("drain {} 10.0.0.11", "x".repeat(limits::NAME_MAX + 1));
        assert_eq!(Request::parse(&long), Err(Refused::BadName));
        let long = format!("drain web {}", "x".repeat(limits::HOST_NAME_MAX + 7));
        assert_eq!(Request::parse(&long), Err(Refused::BadServer), "a cut server would be another one");
        let longer = "x".repeat(limits::REQUEST_MAX + 1);
        assert_eq!(Request::parse(&longer), Err(Refused::TooLong), "the limit holds for every caller");
    }
}
