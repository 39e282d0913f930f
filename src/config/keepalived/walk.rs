//! Statements compared with the keyword table: what is not mapped is told here, once for all.

use super::finding::{Findings, Kind};
use super::keywords::{self, Body, Context, Keyword, Status};
use super::tree::Statement;
use crate::model::{nearest, slips};
use std::collections::BTreeMap;

/// A statement whose keyword is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'t> {
    /// Its canonical name: old names and slips are put right.
    pub(crate) name: &'static str,
    /// The statement.
    pub(crate) statement: &'t Statement,
}

/// Those statements of a block that are mapped, in order. The others are told in `findings`: unknown, ignored
/// or unsupported words, old names, braces and arguments that are missing or too many, and what is given
/// twice where one of them counts.
pub(crate) fn known<'t>(
    context: Context,
    block: impl IntoIterator<Item = &'t Statement>,
    findings: &mut Findings,
) -> Vec<Known<'t>> {
    let known = block.into_iter().filter_map(|statement| one(context, statement, findings)).collect();
    once(context, known, findings)
}

/// Of these keepalived takes the first, and complains about the second.
const FIRST_COUNTS: [&str; 23] = [
    "notify",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "notify_deleted",
    "notify_master_rx_lower_pri",
    "notify_up",
    "notify_down",
    "quorum_up",
    "quorum_down",
    "notify_fifo",
    "notify_fifo_script",
    "vrrp_notify_fifo",
    "vrrp_notify_fifo_script",
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
    "lvs_sync_daemon",
    "lvs_sync_daemon_interface",
    "startup_script",
    "shutdown_script",
    "vmac_prefix",
    "digest",
];

/// Lines of which each adds to those before.
fn adds_up(context: Context, name: &str) -> bool {
    match name {
        "lvs_timeouts" | "status_code" => true,
        "key" => context == Context::AUTH_HMAC,
        "interface" => context == Context::GARP_GROUP,
        _ => false,
    }
}

/// Tells lines that another one of the same keyword makes void. Those behind the first are left out where it
/// is the first that counts.
fn once<'t>(context: Context, list: Vec<Known<'t>>, findings: &mut Findings) -> Vec<Known<'t>> {
    let mut seen: BTreeMap<&str, Known<'t>> = BTreeMap::new();
    let mut out = Vec::with_capacity(list.len());
    for known in list {
        // A command has no words of its own: its text stands behind the keyword.
        let is_line = known.statement.body.is_none() && !adds_up(context, known.name);
        let Some(first) = seen.get(known.name).copied().filter(|_| is_line) else {
            if is_line {
                seen.insert(known.name, known);
            }
            out.push(known);
            continue;
        };
        let first_counts =
            FIRST_COUNTS.contains(&known.name) || (context == Context::DNS_CHECK && known.name == "name");
        let (void, counts) = if first_counts { (known, first) } else { (first, known) };
        let (written, line) = (void.statement.keyword(), counts.statement.place().line);
        let same = first.statement.rest == known.statement.rest;
        let (kind, hint) = match (same, first_counts) {
            (true, _) => (Kind::Ignored, "Once is enough."),
            (false, true) => (Kind::Changed, "keepalived takes the first one, and so does this."),
            (false, false) => (Kind::Changed, "keepalived takes the last one, and so does this."),
        };
        let what = format!("`{written}` is void: line {line} says it, too");
        findings.push(void.statement.place(), kind, what, hint);
        if !first_counts {
            seen.insert(known.name, known);
            out.push(known);
        }
    }
    out
}

fn one<'t>(context: Context, statement: &'t Statement, findings: &mut Findings) -> Option<Known<'t>> {
    let written = statement.keyword();
    let keyword = match keywords::find(context, written) {
        Some(keyword) => keyword,
        None => meant(context, statement, findings)?,
    };
    let place = statement.place();
    let keyword = match keyword.status {
        Status::Alias(name) => {
            findings.often(place, Kind::Deprecated, format!("`{written}` is an old name of `{name}`"), "");
            keywords::find(context, name)?
        }
        Status::Mapped | Status::Ignored(_) | Status::Unsupported(_) => keyword,
    };
    match keyword.status {
        Status::Mapped | Status::Alias(_) => {}
        Status::Ignored(why) => {
            findings.push(place, Kind::Ignored, format!("`{written}` is left out"), why);
            return None;
        }
        Status::Unsupported(why) => {
            findings.push(place, Kind::Unsupported, format!("`{written}` has no counterpart"), why);
            return None;
        }
    }
    check_shape(keyword, statement, findings).then_some(Known { name: keyword.name, statement })
}

/// `vrrp _mcast_group4 IP`: the same statements with such keywords in one piece; `None` where there are none.
pub(crate) fn joined(block: &[Statement], findings: &mut Findings) -> Option<Vec<Statement>> {
    fn join(block: &mut [Statement], findings: &mut Findings) {
        for statement in block {
            if let Some(keyword) = split_keyword(statement) {
                let (place, written) = (statement.place(), statement.keyword());
                let what = format!("`{written}` with a space behind it is read as `{keyword}`");
                findings.push(place, Kind::Corrected, what, "keepalived leaves the line out.");
                let second = statement.words.remove(1);
                if let Some(first) = statement.words.first_mut() {
                    keyword.clone_into(&mut first.text);
                }
                let rest = statement.rest.trim_start().strip_prefix(second.text.as_str());
                statement.rest = rest.unwrap_or("").trim_start().to_owned();
            }
            join(statement.body.as_deref_mut().unwrap_or(&mut []), findings);
        }
    }
    has_split(block).then(|| {
        let mut block = block.to_vec();
        join(&mut block, findings);
        block
    })
}

fn has_split(block: &[Statement]) -> bool {
    block.iter().any(|statement| split_keyword(statement).is_some() || has_split(statement.inside()))
}

/// The keyword of which the first two words are the halves.
fn split_keyword(statement: &Statement) -> Option<&'static str> {
    let second = statement.argument(0).filter(|word| word.text.starts_with('_'))?;
    let (first, second) = (statement.keyword(), second.text.as_str());
    let is = |keyword: &&Keyword| keyword.name.strip_prefix(first) == Some(second);
    keywords::everywhere().find(is).map(|keyword| keyword.name)
}

/// The keyword that was probably meant, where it is beyond doubt.
fn meant(context: Context, statement: &Statement, findings: &mut Findings) -> Option<&'static Keyword> {
    let written = statement.keyword();
    let place = statement.place();
    let lost = match &statement.body {
        None => "keepalived leaves the line out.",
        // keepalived reads its lines as if they stood around it, which helps nobody.
        Some(_) => "The block is left out with all that stands in it.",
    };
    if findings.is_full() {
        // It will not be shown: its nearest neighbour need not be looked for.
        findings.push(place, Kind::Unknown, "", "");
        return None;
    }
    let known: Vec<&str> = keywords::all(context).map(|keyword| keyword.name).collect();
    // What an instance calls `garp_master_delay` is `vrrp_garp_master_delay` for all of them.
    let for_all = || known.iter().copied().find(|name| name.strip_prefix("vrrp_") == Some(written));
    let candidate = nearest(written, &known).or_else(for_all).and_then(|name| keywords::find(context, name));
    match candidate {
        // One slip in a long word, and the same shape: there is no second reading.
        Some(keyword) if written.len() >= 6 && slips(written, keyword.name) <= 2 => {
            let what = format!("`{written}` is no keyword of keepalived, read as `{}`", keyword.name);
            findings.push(place, Kind::Corrected, what, "keepalived leaves the line out.");
            Some(keyword)
        }
        Some(keyword) => {
            let hint = format!("Did you mean `{}`? {lost}", keyword.name);
            findings.push(
                place,
                Kind::Unknown,
                format!("`{written}` is no keyword of keepalived here"),
                hint,
            );
            None
        }
        None => {
            let what = format!("`{written}` is no keyword of keepalived here");
            findings.push(place, Kind::Unknown, what, lost);
            None
        }
    }
}

/// Are braces and arguments as they must be? Too many arguments are told and left out.
fn check_shape(keyword: &Keyword, statement: &Statement, findings: &mut Findings) -> bool {
    let (name, place) = (keyword.name, statement.place());
    let (least, most) = keyword.arguments;
    let count = statement.arguments().len();
    match (keyword.body, &statement.body) {
        (Body::Block, None) => {
            findings.push(place, Kind::Invalid, format!("`{name}` has no `{{`"), "It is left out.");
            return false;
        }
        (Body::None, Some(_)) => {
            findings.push(place, Kind::Invalid, format!("`{name}` takes no block"), "The block is left out.");
        }
        (Body::Block, Some(_)) | (Body::None, None) | (Body::Maybe, _) => {}
    }
    if count < usize::from(least) {
        let what = format!("`{name}` lacks its value");
        findings.push(place, Kind::Invalid, what, "keepalived does not start with such a line.");
        return false;
    }
    if count > usize::from(most) {
        let extra = statement.argument(usize::from(most)).map_or(place, |word| word.place);
        let what = format!("more words than `{name}` takes");
        findings.push(extra, Kind::Changed, what, "keepalived ignores them, and so does this.");
    }
    true
}
