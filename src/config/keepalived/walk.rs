//! Statements compared with the keyword table: what is not mapped is told here, once for all.

use super::finding::{Findings, Kind};
use super::keywords::{self, Body, Context, Keyword, Status};
use super::tree::Statement;
use crate::model::{nearest, slips};

/// A statement whose keyword is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'t> {
    /// Its canonical name: old names and slips are put right.
    pub(crate) name: &'static str,
    /// The statement.
    pub(crate) statement: &'t Statement,
}

/// Those statements of a block that are mapped, in order. The others are told in `findings`: unknown, ignored
/// or unsupported words, old names, braces and arguments that are missing or too many.
pub(crate) fn known<'t>(context: Context, block: &'t [Statement], findings: &mut Findings) -> Vec<Known<'t>> {
    block.iter().filter_map(|statement| one(context, statement, findings)).collect()
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
            findings.push(place, Kind::Deprecated, format!("`{written}` is an old name of `{name}`"), "");
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
    let candidate = nearest(written, &known).and_then(|name| keywords::find(context, name));
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
