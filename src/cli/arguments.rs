//! Words of the command line to a [`Command`]; to what is not understood, what was probably meant.

use super::help;
use crate::config::nearest;
use crate::control::{
    EventsRequest, Format, ProbeRequest, ResignRequest, ServerRequest, ServerWord, StatusRequest, parse_span,
};
use crate::model::Name;
use crate::sys::{RunOptions, log::LogTarget};
use crate::time::Duration;
use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the configuration is looked for.
pub(super) const CONFIG: &str = "/etc/vipd.toml";
/// Where the daemon listens.
pub(super) const SOCKET: &str = "/run/vipd/control.sock";

const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Run(RunOptions),
    Check {
        config: PathBuf,
        config_id: Option<String>,
    },
    Import(ImportOptions),
    Status {
        socket: PathBuf,
        request: StatusRequest,
        watch: bool,
    },
    Events {
        socket: PathBuf,
        request: EventsRequest,
    },
    Reload {
        socket: PathBuf,
    },
    Resign {
        socket: PathBuf,
        request: ResignRequest,
    },
    Restore {
        socket: PathBuf,
        name: Name,
    },
    Drain {
        socket: PathBuf,
        request: ServerRequest,
    },
    Undrain {
        socket: PathBuf,
        request: ServerRequest,
    },
    Probe {
        socket: PathBuf,
        request: ProbeRequest,
    },
    Version {
        socket: PathBuf,
    },
    Help {
        topic: Topic,
    },
    /// Started by the daemon for a conversation, never by hand.
    Worker,
    /// Started by the daemon to look a name up, likewise.
    Resolve,
}

/// What `vipd import` was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImportOptions {
    /// The keepalived.conf.
    pub(super) from: PathBuf,
    /// Where the TOML goes; `None`: standard output.
    pub(super) to: Option<PathBuf>,
    /// Write nothing where something that changes behaviour is lost.
    pub(super) strict: bool,
    /// Which lines with `@` count.
    pub(super) config_id: Option<String>,
}

/// A command, as help knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    All,
    Run,
    Check,
    Import,
    Status,
    Events,
    Reload,
    Resign,
    Restore,
    Drain,
    Undrain,
    Probe,
    Version,
}

/// What is wrong with the command line: one or two lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usage(pub(super) String);

impl Topic {
    /// Every command with its name and its long options.
    const COMMANDS: [(&str, Topic, &[&str]); 13] = [
        ("run", Topic::Run, &["config", "config-id", "socket", "log", "log-level"]),
        ("check", Topic::Check, &["config", "config-id"]),
        ("import", Topic::Import, &["output", "strict", "config-id"]),
        ("status", Topic::Status, &["socket", "json", "metrics", "brief", "watch"]),
        ("events", Topic::Events, &["socket", "json"]),
        ("reload", Topic::Reload, &["socket"]),
        ("resign", Topic::Resign, &["socket", "for"]),
        ("restore", Topic::Restore, &["socket"]),
        ("drain", Topic::Drain, &["socket"]),
        ("undrain", Topic::Undrain, &["socket"]),
        ("probe", Topic::Probe, &["socket", "json"]),
        ("version", Topic::Version, &["socket"]),
        ("help", Topic::All, &[]),
    ];

    fn named(word: &str) -> Option<Topic> {
        Self::COMMANDS.iter().find(|(name, _, _)| *name == word).map(|(_, topic, _)| *topic)
    }

    pub(super) fn name(self) -> &'static str {
        Self::COMMANDS.iter().find(|(_, topic, _)| *topic == self).map_or("help", |(name, _, _)| name)
    }

    /// How many words it takes that are no options.
    const fn words(self) -> usize {
        match self {
            Topic::Status | Topic::Resign | Topic::Restore => 1,
            Topic::Drain | Topic::Undrain | Topic::Probe => 2,
            Topic::All
            | Topic::Run
            | Topic::Check
            | Topic::Import
            | Topic::Events
            | Topic::Reload
            | Topic::Version => 0,
        }
    }

    /// Does it take the name of a file?
    fn takes_file(self) -> bool {
        matches!(self, Topic::Check | Topic::Import)
    }

    fn options(self) -> &'static [&'static str] {
        Self::COMMANDS.iter().find(|(_, topic, _)| *topic == self).map_or(&[], |(_, _, options)| options)
    }
}

/// Reads the command line, without the program's name.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let mut parser = Parser::from_args(arguments);
    let topic = match parser.next()? {
        None => return Err(Usage(help::text(Topic::All))),
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Command::Help { topic: Topic::All }),
        Some(Arg::Long("version") | Arg::Short('V')) => Topic::Version,
        Some(Arg::Value(word)) => {
            let word = word.string()?;
            match Topic::named(&word) {
                Some(Topic::All) => return parse_help(parser),
                Some(topic) => topic,
                None if word == "worker" => return Ok(Command::Worker),
                None if word == "resolve" => return Ok(Command::Resolve),
                None => return Err(unknown_command(&word)),
            }
        }
        Some(other) => {
            return Err(Usage(format!("vipd: a command comes first, then {}\n{SEE}", shown(&other))));
        }
    };
    parse_options(parser, topic)
}

const SEE: &str = "\"vipd help\" lists the commands.";

/// All options there are; each command has some of them.
struct Options {
    config: Option<PathBuf>,
    config_id: Option<String>,
    output: Option<PathBuf>,
    strict: bool,
    socket: PathBuf,
    log: LogTarget,
    level: LevelFilter,
    status: StatusRequest,
    server: Option<ServerWord>,
    forms: u32,
    json: bool,
    watch: bool,
    wanted_for: Option<Duration>,
}

fn parse_options(mut parser: Parser, topic: Topic) -> Result<Command, Usage> {
    let mut o = Options {
        config: None,
        config_id: None,
        output: None,
        strict: false,
        socket: SOCKET.into(),
        log: LogTarget::Stderr,
        level: LevelFilter::Info,
        status: StatusRequest::default(),
        server: None,
        forms: 0,
        json: false,
        watch: false,
        wanted_for: None,
    };
    while let Some(argument) = parser.next()? {
        match &argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help { topic }),
            Arg::Long(option) if topic.options().contains(option) => {
                let option = (*option).to_owned();
                o.take(&option, &mut parser)?;
            }
            Arg::Short('o') if topic == Topic::Import => o.take("output", &mut parser)?,
            Arg::Value(word) if topic.takes_file() && o.config.is_none() => o.config = Some(word.into()),
            Arg::Value(word) if topic.words() >= 1 && o.status.name.is_none() => {
                o.status.name = Some(name(topic, &word.to_string_lossy())?);
            }
            Arg::Value(word) if topic.words() >= 2 && o.server.is_none() => {
                o.server = Some(server(topic, &word.to_string_lossy())?);
            }
            Arg::Long(option) => return Err(unknown_option(option, topic)),
            Arg::Short(_) | Arg::Value(_) => {
                let command = topic.name();
                let hint = match (topic, &argument) {
                    (Topic::Run, Arg::Value(file)) => {
                        format!("Is \"vipd {command} --config {}\" meant?", file.to_string_lossy())
                    }
                    _ => format!("\"vipd help {command}\" lists what it takes."),
                };
                return Err(Usage(format!("vipd {command}: unexpected {}. {hint}", shown(&argument))));
            }
        }
    }
    o.command(topic)
}

impl Options {
    fn take(&mut self, option: &str, parser: &mut Parser) -> Result<(), Usage> {
        match option {
            "config" => self.config = Some(parser.value()?.into()),
            "config-id" => self.config_id = Some(config_id(&parser.value()?.string()?)?),
            "output" => self.output = Some(parser.value()?.into()),
            "strict" => self.strict = true,
            "socket" => self.socket = parser.value()?.into(),
            "log" => self.log = log_target(&parser.value()?.string()?)?,
            "log-level" => self.level = level(&parser.value()?.string()?)?,
            "watch" => self.watch = true,
            "for" => {
                let word = parser.value()?.string()?;
                let span = parse_span(&word).ok_or_else(|| {
                    let word = clean(&word);
                    Usage(format!("vipd resign: --for takes 90s, 10m or 2h, at most 365d, not `{word}`"))
                })?;
                self.wanted_for = Some(span);
            }
            "json" => {
                self.json = true;
                self.status.format = Format::Json;
                self.forms += 1;
            }
            "metrics" => {
                self.status.format = Format::Metrics;
                self.forms += 1;
            }
            "brief" => {
                self.status.brief = true;
                self.forms += 1;
            }
            // `Topic::COMMANDS` names no other one.
            _ => {}
        }
        Ok(())
    }

    fn command(self, topic: Topic) -> Result<Command, Usage> {
        let Options { config, config_id, output, strict, socket, log, level, .. } = self;
        let Options { status, server, forms, json, watch, wanted_for, .. } = self;
        let instance = |name: Option<Name>| {
            let command = topic.name();
            let missing = || {
                Usage(format!(
                    "vipd {command}: which instance? vipd {command} INSTANCE; \"vipd status\" lists them"
                ))
            };
            name.ok_or_else(missing)
        };
        let server = |service: Option<Name>| {
            let command = topic.name();
            let missing = || {
                Usage(format!(
                    "vipd {command}: which server? vipd {command} SERVICE SERVER; \"vipd status SERVICE\" \
                     lists them"
                ))
            };
            service.zip(server).map(|(service, server)| ServerRequest { service, server }).ok_or_else(missing)
        };
        Ok(match topic {
            Topic::Run => {
                let config = config.unwrap_or_else(|| CONFIG.into());
                Command::Run(RunOptions { config, config_id, socket, log, level })
            }
            Topic::Check => Command::Check { config: config.unwrap_or_else(|| CONFIG.into()), config_id },
            Topic::Import => {
                let missing = "vipd import: which file? vipd import KEEPALIVED.CONF [-o FILE]";
                let from = config.ok_or_else(|| Usage(missing.to_owned()))?;
                let to = output.filter(|path| path.as_os_str() != "-");
                Command::Import(ImportOptions { from, to, strict, config_id })
            }
            Topic::Status if forms > 1 => {
                return Err(Usage(
                    "vipd status: of --json, --metrics and --brief only one at a time".to_owned(),
                ));
            }
            Topic::Status => Command::Status { socket, request: status, watch },
            Topic::Events => Command::Events { socket, request: EventsRequest { json } },
            Topic::Reload => Command::Reload { socket },
            Topic::Resign => {
                let request = ResignRequest { name: instance(status.name)?, wanted_for };
                Command::Resign { socket, request }
            }
            Topic::Restore => Command::Restore { socket, name: instance(status.name)? },
            Topic::Drain => Command::Drain { socket, request: server(status.name)? },
            Topic::Undrain => Command::Undrain { socket, request: server(status.name)? },
            Topic::Probe => {
                Command::Probe { socket, request: ProbeRequest { server: server(status.name)?, json } }
            }
            Topic::Version => Command::Version { socket },
            Topic::All => Command::Help { topic },
        })
    }
}

/// `vipd help [COMMAND]`
fn parse_help(mut parser: Parser) -> Result<Command, Usage> {
    match parser.next()? {
        Some(Arg::Value(word)) => {
            let word = word.string()?;
            Topic::named(&word).map(|topic| Command::Help { topic }).ok_or_else(|| unknown_command(&word))
        }
        Some(Arg::Long(_) | Arg::Short(_)) | None => Ok(Command::Help { topic: Topic::All }),
    }
}

fn name(topic: Topic, word: &str) -> Result<Name, Usage> {
    let max = crate::limits::NAME_MAX;
    match Name::try_from(word) {
        Ok(name) if !name.is_empty() && !word.contains('\n') => Ok(name),
        Ok(_) | Err(_) => Err(Usage(format!("vipd {}: a name has 1 to {max} bytes", topic.name()))),
    }
}

fn server(topic: Topic, word: &str) -> Result<ServerWord, Usage> {
    match ServerWord::try_from(word) {
        Ok(server) if !server.is_empty() && !word.contains(char::is_whitespace) => Ok(server),
        Ok(_) | Err(_) => Err(Usage(format!(
            "vipd {}: a server is its address or its name, with or without the port, in one word, not `{}`",
            topic.name(),
            clean(word)
        ))),
    }
}

/// keepalived compares it with the word after `@`, up to a blank.
fn config_id(word: &str) -> Result<String, Usage> {
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Usage(format!("vipd: --config-id is one word, not `{}`", clean(word))));
    }
    Ok(word.to_owned())
}

fn log_target(word: &str) -> Result<LogTarget, Usage> {
    match word {
        "stderr" => Ok(LogTarget::Stderr),
        "syslog" => Ok(LogTarget::Syslog),
        _ => Err(bad_value("--log", word, &["stderr", "syslog"])),
    }
}

fn level(word: &str) -> Result<LevelFilter, Usage> {
    let found = LEVELS.iter().find(|(name, _)| *name == word).map(|(_, level)| *level);
    found.ok_or_else(|| bad_value("--log-level", word, &LEVELS.map(|(name, _)| name)))
}

fn bad_value(option: &str, word: &str, known: &[&str]) -> Usage {
    Usage(format!("vipd: {option} is one of {}, not `{}`", known.join(", "), clean(word)))
}

fn unknown_command(word: &str) -> Usage {
    let names = Topic::COMMANDS.map(|(name, _, _)| name);
    let word = clean(word);
    match nearest(&word, &names) {
        Some(near) => Usage(format!("vipd: unknown command `{word}`. Did you mean `{near}`?")),
        None => Usage(format!("vipd: unknown command `{word}`\n{SEE}")),
    }
}

fn unknown_option(option: &str, topic: Topic) -> Usage {
    let (option, command) = (clean(option), topic.name());
    match nearest(&option, topic.options()) {
        Some(near) => Usage(format!("vipd {command}: unknown option `--{option}`. Did you mean `--{near}`?")),
        None => {
            Usage(format!("vipd {command}: unknown option `--{option}`\n\"vipd help {command}\" lists them."))
        }
    }
}

fn shown(argument: &Arg<'_>) -> String {
    match argument {
        Arg::Short(c) => format!("`-{}`", clean(&c.to_string())),
        Arg::Long(option) => format!("`--{}`", clean(option)),
        Arg::Value(word) => format!("`{}`", clean(&word.to_string_lossy())),
    }
}

/// A word of the user's as it may stand in a message: one line, not too long.
fn clean(word: &str) -> String {
    word.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Usage(format!("vipd: {error}\n{SEE}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Command, Usage> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn complaint(line: &str) -> String {
        words(line).expect_err("law 4: no silent acceptance").0
    }

    #[test]
    fn defaults_are_those_of_the_design() {
        assert_eq!(
            words("run"),
            Ok(Command::Run(RunOptions {
                config: "/etc/vipd.toml".into(),
                config_id: None,
                socket: "/run/vipd/control.sock".into(),
                log: LogTarget::Stderr,
                level: LevelFilter::Info,
            })),
            "design.md §5"
        );
        let check = |config: &str| Ok(Command::Check { config: config.into(), config_id: None });
        assert_eq!(words("check"), check("/etc/vipd.toml"));
        assert_eq!(words("check x.conf"), check("x.conf"));
        assert_eq!(words("check --config x.conf"), check("x.conf"));
        let import = |to: Option<&str>, strict, config_id: Option<&str>| {
            let config_id = config_id.map(str::to_owned);
            Ok(Command::Import(ImportOptions {
                from: "x.conf".into(),
                to: to.map(PathBuf::from),
                strict,
                config_id,
            }))
        };
        assert_eq!(words("import x.conf"), import(None, false, None));
        assert_eq!(words("import x.conf -o -"), import(None, false, None), "standard output");
        assert_eq!(words("import -o y.toml --strict x.conf"), import(Some("y.toml"), true, None));
        assert_eq!(
            words("import x.conf --output=y.toml --config-id=a"),
            import(Some("y.toml"), false, Some("a"))
        );
        assert_eq!(words("--version"), words("version"), "what every program takes");
        assert_eq!(words("-h"), words("help"));
        assert_eq!(words("status --help"), words("help status"));
    }

    #[test]
    fn options_are_read() {
        assert_eq!(
            words("run --config a.toml --socket=/tmp/s --log syslog --log-level debug"),
            Ok(Command::Run(RunOptions {
                config: "a.toml".into(),
                config_id: None,
                socket: "/tmp/s".into(),
                log: LogTarget::Syslog,
                level: LevelFilter::Debug,
            }))
        );
        let Ok(Command::Status { request, watch, .. }) = words("status --watch --json web") else {
            panic!("status has these options");
        };
        assert!(watch);
        assert_eq!((request.format, request.brief), (Format::Json, false));
        assert_eq!(request.name.as_deref(), Some("web"));
        let request =
            ResignRequest { name: "VI_1".try_into().unwrap(), wanted_for: Some(Duration::from_secs(600)) };
        let socket = || PathBuf::from(SOCKET);
        assert_eq!(words("resign VI_1 --for 10m"), Ok(Command::Resign { socket: socket(), request }));
        let name = "VI_1".try_into().unwrap();
        assert_eq!(words("restore VI_1"), Ok(Command::Restore { socket: socket(), name }));
        let server = || ServerRequest {
            service: "web".try_into().unwrap(),
            server: "[2001:db8::1]:80".try_into().unwrap(),
        };
        let request = server();
        assert_eq!(words("drain web [2001:db8::1]:80"), Ok(Command::Drain { socket: socket(), request }));
        let request = server();
        assert_eq!(words("undrain web [2001:db8::1]:80"), Ok(Command::Undrain { socket: socket(), request }));
        let request = ProbeRequest { server: server(), json: true };
        assert_eq!(
            words("probe web --json [2001:db8::1]:80"),
            Ok(Command::Probe { socket: socket(), request })
        );
        for odd in ["", "a b", "10.0.0.11:80\n", &"x".repeat(300)] {
            let words = ["drain", "web", odd].map(OsString::from);
            assert!(parse(words).is_err(), "law 4: {odd:?} is no server");
        }
        assert_eq!(words("worker"), Ok(Command::Worker), "the daemon starts its workers so");
        assert_eq!(words("resolve"), Ok(Command::Resolve), "and its lookups so");
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        for (line, want) in [
            ("statsu", "Did you mean `status`?"),
            ("chekc", "Did you mean `check`?"),
            ("import", "which file? vipd import KEEPALIVED.CONF"),
            ("import x y", "unexpected `y`"),
            ("import x --ouput y", "Did you mean `--output`?"),
            ("check x -o y", "unexpected `-o`"),
            ("check x --config-id=", "--config-id is one word"),
            ("run x.conf", "Is \"vipd run --config x.conf\" meant?"),
            ("drain", "which server? vipd drain SERVICE SERVER"),
            ("drain web", "which server?"),
            ("undrain 10.0.0.11:80", "\"vipd status SERVICE\" lists them"),
            ("drain web 10.0.0.11 10.0.0.12", "unexpected `10.0.0.12`"),
            ("drain web 10.0.0.11 --for 10m", "unknown option `--for`"),
            ("dain web 10.0.0.11", "Did you mean `drain`?"),
            ("probe web", "vipd probe SERVICE SERVER"),
            ("probe web 10.0.0.11 --jsn", "Did you mean `--json`?"),
            ("undrain web 10.0.0.11 --json", "unknown option `--json`"),
            ("frobnicate", "\"vipd help\" lists the commands"),
            ("status --jsno", "Did you mean `--json`?"),
            ("status --json --brief", "only one at a time"),
            ("status a b", "unexpected `b`"),
            ("check a.toml b.toml", "unexpected `b.toml`"),
            ("run --log-level loud", "error, warn, info, debug, trace"),
            ("run --log file", "stderr, syslog"),
            ("run --config", "config"),
            ("run --verbose", "\"vipd help run\" lists them"),
            ("--socket /tmp/s status", "a command comes first"),
            ("events -x", "unexpected `-x`"),
            ("reload --json", "unknown option `--json`"),
            ("resign", "which instance?"),
            ("resign VI_1 --for ever", "not `ever`"),
            ("resign VI_1 --fro 10m", "Did you mean `--for`?"),
            ("restore VI_1 --for 10m", "unknown option `--for`"),
            ("restore VI_1 VI_2", "unexpected `VI_2`"),
            ("", "Usage:"),
        ] {
            let got = complaint(line);
            assert!(got.contains(want), "`vipd {line}` should lead the user to {want:?}, said: {got}");
        }
    }
}
