//! Texts to [`Config`]: every mistake with its place and what was probably meant (law 4: no silent
//! acceptance).
//!
//! [`parse`] goes three times over a text: `syntax` finds what is no TOML and blanks it out, so that the rest
//! can still be read; `global`, `vrrp`, `service` and the others read table by table through `reader`, which
//! remembers the keys that were asked for and reports the others; `whole` compares the tables with one
//! another. `words` lists every key, `others` what others call it.

mod address;
mod advert;
mod apart;
mod auth;
mod check;
mod command;
#[cfg(feature = "import")]
mod document;
mod fixed;
mod global;
mod group;
mod host;
mod intention;
mod ipvs;
#[cfg(feature = "import")]
pub mod keepalived;
mod line;
mod notify;
mod others;
mod range;
mod reader;
mod report;
mod route;
mod server_group;
mod service;
mod suggest;
mod syntax;
mod track;
mod values;
mod vrrp;
mod whole;
mod words;

pub use suggest::nearest;

use crate::limits;
use crate::model::{Config, Diagnostics, Shared};
use command::Owner;
use reader::Table;
use report::{At, Report};
use std::net::{Ipv4Addr, Ipv6Addr};
use toml::de::DeTable;

/// Reads a TOML text. `file` is the name for messages. `None` where a diagnostic of level error refuses the
/// text; every mistake is reported, sorted by place, not only the first one. A text larger than
/// [`limits::CONFIG_BYTES_MAX`] is refused as a whole.
///
/// ```
/// let (config, diagnostics) = vipd::config::parse("[[vrrp]]\npriorty = 100\n", "vipd.toml");
/// assert!(config.is_none());
/// let text: Vec<String> = diagnostics.iter().map(|d| d.to_string()).collect();
/// assert!(text.contains(
///     &"vipd.toml:2:1: error: unknown key `priorty` in [[vrrp]]. Did you mean `priority`?".to_owned()
/// ));
/// ```
pub fn parse(text: &str, file: &str) -> (Option<Config>, Diagnostics) {
    read(text, file, Outside { key_file: NO_KEY_FILES }, &mut || {})
}

const NO_KEY_FILES: LoadKeyFile<'static> = &|_| Err("no files are read here".to_owned());

/// What a key file holds, and whether everybody on the box can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Its bytes; those of a file longer than [`limits::KEY_FILE_MAX`] up to there, or one more.
    pub bytes: Vec<u8>,
    /// Are its access rights too wide for a secret?
    pub is_public: bool,
}

/// How a key file comes to its bytes, given its absolute path; why not, otherwise.
pub type LoadKeyFile<'l> = &'l dyn Fn(&str) -> Result<KeyFile, String>;

/// What comes from beyond the text.
#[derive(Clone, Copy)]
struct Outside<'o> {
    key_file: LoadKeyFile<'o>,
}

/// What the tables of instances and groups need to know of others.
struct Context<'c> {
    group4: Option<Ipv4Addr>,
    group6: Option<Ipv6Addr>,
    /// As whom commands run that do not say.
    owner: Owner,
    tracks: Vec<track::Draft>,
    outside: Outside<'c>,
}

fn read(
    text: &str,
    file: &str,
    outside: Outside<'_>,
    breathe: &mut dyn FnMut(),
) -> (Option<Config>, Diagnostics) {
    if text.len() > limits::CONFIG_BYTES_MAX {
        let mut report = Report::new("", file);
        let what =
            format!("the file has {} bytes, at most {} are read", text.len(), limits::CONFIG_BYTES_MAX);
        report.error_of_file(what, "Is it the right file?");
        return (None, report.finish());
    }
    if text.len() >= apart::LARGE
        && let Some(read) = read_apart(text, file, outside, breathe)
    {
        return read;
    }
    read_whole(text, file, outside)
}

fn read_whole(text: &str, file: &str, outside: Outside<'_>) -> (Option<Config>, Diagnostics) {
    let mut report = Report::new(text, file);
    let config = match DeTable::parse(text) {
        Ok(document) => Some(self::document(document.get_ref(), outside, &mut report)),
        Err(_) => syntax::readable(text, &mut report).and_then(|readable| {
            // What cannot be read here, `readable` has reported.
            let document = DeTable::parse(&readable).ok()?;
            Some(self::document(document.get_ref(), outside, &mut report))
        }),
    };
    let config = config.filter(|_| !report.has_errors());
    (config, report.finish())
}

/// Reads a large text part by part, and lets the caller breathe in between. `None`: it is not to be had
/// apart; nothing has been reported.
fn read_apart(
    text: &str,
    file: &str,
    outside: Outside<'_>,
    breathe: &mut dyn FnMut(),
) -> Option<(Option<Config>, Diagnostics)> {
    let apart = apart::apart(text)?;
    let mut report = Report::new(text, file);
    breathe();
    let rest = DeTable::parse(&apart.rest).ok()?;
    if rest.get_ref().contains_key("service") && !apart.services.is_empty() {
        return None;
    }
    let mut parts = apart.services.iter();
    let mut is_readable = true;
    let config = assemble(rest.get_ref(), outside, &mut report, &mut |scope, report| {
        breathe();
        let range = parts.next()?;
        let part = text.get(range.clone()).and_then(|part| DeTable::parse(part).ok());
        let draft = part.and_then(|part| {
            let mut table = Table::new("the file", range.start, range.start, part.get_ref());
            let service = table.tables("service", "[[service]]", 1, report).pop()?;
            Some(service::service(service, scope, report))
        });
        is_readable &= draft.is_some();
        draft
    });
    if !is_readable {
        return None;
    }
    if let Some(first) = parts.next() {
        report.error(first.start, format!("more than {} [[service]]", limits::SERVICES_MAX), "");
    }
    let config = Some(config).filter(|_| !report.has_errors());
    Some((config, report.finish()))
}

/// As [`parse`], for the bytes of a file: also refuses what is not UTF-8, with the place of the first bad
/// byte.
pub fn parse_bytes(bytes: &[u8], file: &str) -> (Option<Config>, Diagnostics) {
    parse_file(bytes, file, NO_KEY_FILES, &mut || {})
}

/// As [`parse_bytes`]; `key_file` reads the files that `auth_hmac` names, which the others refuse. A large
/// text is read service by service, with a call of `breathe` before each, so that whoever reads it in a loop
/// need not keep others waiting; one with errors of syntax is not.
pub fn parse_file(
    bytes: &[u8],
    file: &str,
    key_file: LoadKeyFile<'_>,
    breathe: &mut dyn FnMut(),
) -> (Option<Config>, Diagnostics) {
    let error = match core::str::from_utf8(bytes) {
        Ok(text) => return read(text, file, Outside { key_file }, breathe),
        Err(error) => error,
    };
    let good = bytes.get(..error.valid_up_to()).unwrap_or(&[]);
    let good = core::str::from_utf8(good).unwrap_or("");
    let mut report = Report::new(good, file);
    let hint = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "It looks like UTF-16: save it as UTF-8.",
        [0x1f, 0x8b, ..] | [0x7f, b'E', b'L', b'F', ..] => "Is it the right file?",
        _ => "Save it as UTF-8.",
    };
    report.error(good.len(), "the file is not UTF-8 from here on", hint);
    (None, report.finish())
}

/// All that stands in one tree.
fn document(entries: &DeTable<'_>, outside: Outside<'_>, report: &mut Report<'_>) -> Config {
    assemble(entries, outside, report, &mut |_, _| None)
}

/// A part that stands by itself, for as long as there are such: the next service.
type NextService<'n> = &'n mut dyn FnMut(&service::Scope<'_>, &mut Report<'_>) -> Option<service::Draft>;

/// A whole configuration from `entries` and from the services that `next` reads.
fn assemble(
    entries: &DeTable<'_>,
    outside: Outside<'_>,
    report: &mut Report<'_>,
    next: NextService<'_>,
) -> Config {
    let mut file = Table::new("the file", 0, 0, entries);
    let known = words::KEYS.iter().find(|(table, _)| *table == file.name).map_or(&[][..], |(_, keys)| keys);
    if let Some((key, _)) = entries.iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
        // What others name may stand in there.
        let line = report.lines().index(key.span().start);
        report.spoil(line);
    }
    let global = file.table("global", "[global]", report);
    let (global, defaults) = global.map(|table| global::global(table, report)).unwrap_or_default();
    let global::Defaults { group4, group6, owner } = defaults;
    let mail_at = file.key_at("mail");
    let mail = file.table("mail", "[mail]", report).and_then(|table| global::mail(table, mail_at, report));
    let fifos = file.table("notify", "[notify]", report);
    let fifos = fifos.map(|table| notify::fifos(table, &owner, report)).unwrap_or_default();
    let realtime = file.table("realtime", "[realtime]", report);
    let realtime = realtime.map(|table| notify::realtime(table, report)).unwrap_or_default();
    let tracks = file
        .tables("track", "[[track]]", limits::TRACKS_MAX, report)
        .into_iter()
        .map(|table| track::track(table, &owner, report))
        .collect();
    let context = Context { group4, group6, owner, tracks, outside };
    let instances: Vec<vrrp::Draft> = file
        .tables("vrrp", "[[vrrp]]", limits::INSTANCES_MAX, report)
        .into_iter()
        .map(|table| vrrp::instance(table, &context, report))
        .collect();
    let groups: Vec<group::Draft> = file
        .tables("sync_group", "[[sync_group]]", limits::GROUPS_MAX, report)
        .into_iter()
        .map(|table| group::group(table, &instances, &context, report))
        .collect();
    let fixed = file.table("static", "[static]", report);
    let fixed = fixed.map(|table| fixed::fixed(table, report)).unwrap_or_default();
    let server_groups: Vec<server_group::Draft> = file
        .tables("server_group", "[[server_group]]", limits::SERVER_GROUPS_MAX, report)
        .into_iter()
        .map(|table| server_group::group(table, report))
        .collect();
    let scope = service::Scope { owner: &context.owner, tracks: &context.tracks, groups: &server_groups };
    let mut services: Vec<service::Draft> = file
        .tables("service", "[[service]]", limits::SERVICES_MAX, report)
        .into_iter()
        .map(|table| service::service(table, &scope, report))
        .collect();
    while services.len() < limits::SERVICES_MAX
        && let Some(service) = next(&scope, report)
    {
        services.push(service);
    }
    let ipvs = file.table("ipvs", "[ipvs]", report);
    let ipvs = ipvs.map(|table| ipvs::ipvs(table, &instances, report)).unwrap_or_default();
    let nothing = !["vrrp", "service", "static"].iter().any(|key| file.has(key)) && services.is_empty();
    let has_mail = file.has("mail");
    file.finish(report);
    whole::compare(&instances, &groups, &context.tracks, &fixed, &server_groups, &services, report);
    service::compare(&services, &server_groups, &ipvs, has_mail, report);
    if nothing && !report.has_errors() {
        let hint = "Add [[vrrp]] for virtual addresses or [[service]] for load balancing.";
        report.warning_of_file("there is nothing to do", hint);
    }
    let value = |read: At<_>| read.value;
    let mut taken: Vec<_> =
        services.into_iter().filter_map(|draft| draft.service).map(Shared::from).collect();
    taken.shrink_to_fit(); // it lies where the drafts have been, and they were large
    Config {
        global,
        mail,
        instances: instances.into_iter().filter_map(|draft| draft.instance).collect(),
        groups: groups.into_iter().filter_map(|draft| draft.group).collect(),
        tracks: context.tracks.into_iter().filter_map(track::Draft::track).collect(),
        static_addresses: fixed.addresses.into_iter().map(value).collect(),
        static_routes: fixed.routes.into_iter().map(|route| route.value).collect(),
        static_rules: fixed.rules.into_iter().map(|rule| rule.value).collect(),
        fifos,
        realtime,
        services: taken,
        ipvs: ipvs.ipvs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Each suggestion takes longer than the line took to read; a reload reads in the loop (law 1).
    #[test]
    fn what_is_only_counted_gets_no_suggestion() {
        let text: String = (0..50_000).map(|i| format!("k{i} = 1\n")).collect();
        // Of this thread alone: how busy the box is otherwise is not the question.
        let spent = || nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap();
        let start = spent();
        let (config, diagnostics) = parse(&text, "f");
        let took = spent() - start;
        assert!(took.tv_sec() < 3, "the adverts would wait for {took}");
        assert!(config.is_none());
        assert_eq!(diagnostics.errors(), 50_000, "all are counted");
        assert!(diagnostics.iter().all(|d| d.what.starts_with("unknown key `k")), "those kept are whole");
    }

    /// A large file must mean what a small one means, and its errors stand at the same places.
    #[test]
    fn what_is_read_apart_is_what_is_read_as_a_whole() {
        let outside = Outside { key_file: NO_KEY_FILES };
        let good = "[[vrrp]]\nname = \"VI\"\ninterface = \"eth0\"\nvrid = 1\naddresses = [\"10.0.0.9\"]\n\
            [[service]]\nname = \"a\"\naddress = \"10.0.0.1:80\"\n\
            [[service.server]]\naddress = \"10.1.0.1:80\"\n\
            [ipvs]\nkeep = true\n\
            [[service]]\nname = \"b\"\naddress = \"10.0.0.2:80\"\ncheck = {\n  type = \"tcp\" }\n\
            [[service.server]]\naddress = \"10.1.0.2:80\"\n[[service.server]]\naddress = \"10.1.0.3:80\"\n\
            [mail]\nserver = \"127.0.0.1:25\"\nfrom = \"a@b\"\nto = [\"c@d\"]\n";
        let mut texts = vec![good.to_owned()];
        let lines: Vec<&str> = good.split_inclusive('\n').collect();
        for at in 0..lines.len() {
            let with = |line: &str| [&lines[..at].concat(), line, &lines[at + 1..].concat()].concat();
            texts.extend([
                with(""),
                with("zzz = 1\n"),
                with(&lines[at].repeat(2)),
                with("address = \"x\"\n"),
            ]);
            texts.extend([with("[[service]]\n"), with("]\n"), with("x = \"\"\"\n"), with("service = []\n")]);
        }
        let (mut apart, mut breaths) = (0, 0);
        for text in &texts {
            let (config, findings) = read_whole(text, "f", outside);
            let Some(read) = read_apart(text, "f", outside, &mut || breaths += 1) else { continue };
            apart += 1;
            assert_eq!(read.0, config, "{text}");
            let shown = |list: &Diagnostics| list.iter().map(|d| d.to_string()).collect::<Vec<_>>();
            assert_eq!(shown(&read.1), shown(&findings), "{text}");
        }
        assert!(apart > texts.len() / 3 && breaths > 2 * apart, "{apart} of {}, {breaths}", texts.len());
    }

    /// The hint "belongs in ..." reads from `KEYS`; a key that is read but not listed there would never be
    /// hinted at.
    #[test]
    fn the_list_of_keys_is_what_is_read() {
        let text = "zzzzzz = 1\n[global]\nzzzzzz = 1\n[mail]\nzzzzzz = 1\n[ipvs]\nzzzzzz = 1\n\
            [static]\nzzzzzz = 1\n[notify]\nzzzzzz = 1\nfifo = { zzzzzz = 1 }\n[realtime]\nzzzzzz = 1\n\
            [[track]]\nzzzzzz = 1\n[[sync_group]]\nzzzzzz = 1\n\
            [[vrrp]]\nzzzzzz = 1\ngarp = { zzzzzz = 1 }\n\
            auth_hmac = { zzzzzz = 1, keys = [{ zzzzzz = 1 }] }\nunicast_peers = [{ zzzzzz = 1 }]\n\
            virtual_mac = { zzzzzz = 1 }\naddresses = [{ zzzzzz = 1 }]\nroutes = [{ zzzzzz = 1 }]\n\
            rules = [{ zzzzzz = 1 }]\ntrack = [{ zzzzzz = 1 }]\nrun_while_active = [{ zzzzzz = 1 }]\n\
            notify = { zzzzzz = 1, any = { zzzzzz = 1 } }\n\
            [[server_group]]\nzzzzzz = 1\n[ipvs.sync]\nzzzzzz = 1\n\
            [[service]]\nzzzzzz = 1\nsorry = { zzzzzz = 1 }\npersistence = { zzzzzz = 1 }\n\
            notify = { zzzzzz = 1 }\nforward = \"tunnel\"\ntunnel = { zzzzzz = 1 }\n\
            check = { zzzzzz = 1 }\n\
            [[service.server]]\nzzzzzz = 1\nnotify = { zzzzzz = 1 }\n\
            check = { type = \"http\", pages = [{ zzzzzz = 1, regex = { zzzzzz = 1 } }] }\n";
        let (_, diagnostics) = parse(text, "f");
        let mut found = BTreeSet::new();
        for diagnostic in diagnostics.iter() {
            let Some(keys) = diagnostic.hint.strip_prefix("Keys here: ") else { continue };
            let keys: BTreeSet<&str> = keys.trim_end_matches('.').split(", ").collect();
            let table = diagnostic.what.strip_prefix("unknown key `zzzzzz` in ").unwrap();
            let listed = words::KEYS.iter().find(|(name, _)| *name == table).map(|(_, keys)| *keys);
            let listed: BTreeSet<&str> = listed.unwrap_or(&[]).iter().copied().collect();
            assert_eq!(keys, listed, "{table}");
            found.insert(table.to_owned());
        }
        assert_eq!(found.len(), words::KEYS.len(), "a table is never read: {found:?}");
    }
}
