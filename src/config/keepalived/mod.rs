//! keepalived.conf to a TOML file that makes vipd do the same.
//!
//! ```text
//! bytes → lines (comments, `@id`, `$NAME`, `~SEQ`, include) → tree (statements with bodies)
//!       → walk (keyword table) → map (what it means here) → document → TOML text → `config::parse`
//! ```
//!
//! `source` reads files through a [`Loader`], so that everything can be tried from memory; `lines`, `expand`
//! and `glob` are keepalived's language; `tree` gives blocks with their places and comments. `keywords` lists
//! every word of keepalived with its context and what becomes of it; `walk` compares statements with it, and
//! `map` sees only what is known there. `map` builds a `Document`, which remembers where each of its rows
//! came from: `remark` puts beside them what is told of their lines, and what `config::parse` says about the
//! text is told of the line in keepalived.conf.

mod define;
mod expand;
mod finding;
mod glob;
mod keywords;
mod lines;
mod map;
#[cfg(test)]
mod memory;
mod remark;
mod repeat;
mod sniff;
mod source;
mod tree;
mod walk;

pub use finding::Finding;
pub use finding::Kind;
pub(crate) use source::Place;
pub use source::{Loader, Source};

use super::{LoadKeyFile, NO_KEY_FILES};
use crate::limits;
use crate::model::Config;
use finding::Findings;
use tree::Tree;

/// What the same file may mean differently for.
#[derive(Debug, Clone, Copy)]
pub struct Options<'o> {
    /// Which lines `@id` keeps (`keepalived -i`); the host name up to the first dot where nothing is said.
    pub config_id: &'o str,
}

/// What became of a keepalived.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// TOML that makes vipd do the same; empty where nothing could be read.
    pub text: String,
    /// One for everything that is not taken over as it stands, in the order of the files; at most
    /// [`limits::IMPORT_FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub left_out: usize,
    /// Is it a keepalived.conf at all?
    pub is_readable: bool,
    /// Did something that changes behaviour get lost?
    pub has_errors: bool,
    /// What the text means; `None` where there are errors.
    pub config: Option<Config>,
}

/// Reads the keepalived.conf that `file` names for messages and for `loader`. Every statement is either in
/// the text or in a finding.
pub fn import(file: &str, loader: &mut dyn Loader, options: Options<'_>) -> Import {
    import_file(file, loader, options, NO_KEY_FILES, &mut || {})
}

/// As [`import`]; `key_file` reads the files that `auth_hmac` names, which `import` refuses, and `breathe` is
/// called now and then, as by [`super::parse_file`].
pub fn import_file(
    file: &str,
    loader: &mut dyn Loader,
    options: Options<'_>,
    key_file: LoadKeyFile<'_>,
    breathe: &mut dyn FnMut(),
) -> Import {
    let mut findings = Findings::new(limits::IMPORT_FINDINGS_MAX);
    let tree: Tree = tree::read(file, loader, options, &mut findings, breathe);
    breathe();
    let mut document = map::document(&tree, &mut findings, breathe);
    breathe();
    remark::put(&findings.remarks(), &tree, &mut document);
    let printed = document.to_toml();
    breathe();
    findings.finish(&tree, printed, key_file, breathe)
}

/// Is this a keepalived.conf rather than TOML? By content: the lines that can be only one of the two are
/// counted.
pub fn looks_like_keepalived(bytes: &[u8]) -> bool {
    sniff::is_keepalived(bytes)
}

/// The statements of a file after substitution, `words {body}` each, separated by `; `; and the findings so
/// far. For tests of the language alone.
#[doc(hidden)]
pub fn outline(file: &str, loader: &mut dyn Loader, options: Options<'_>) -> (String, Vec<Finding>) {
    let mut findings = Findings::new(limits::IMPORT_FINDINGS_MAX);
    let tree = tree::read(file, loader, options, &mut findings, &mut || {});
    let mut text = String::new();
    tree::outline(&tree.statements, &mut text);
    (text, findings.so_far(&tree))
}

/// How many words and braces the bytes have, line for line, without substitution. For tests of the lexer.
#[doc(hidden)]
pub fn count_pieces(bytes: &[u8]) -> usize {
    let mut findings = Findings::new(limits::DIAGNOSTICS_MAX);
    let mut count = 0;
    for text in bytes.split(|byte| *byte == b'\n') {
        let line = lines::read(text, Place::default(), &mut findings);
        lines::split(&line, |piece| match piece {
            lines::Piece::Words(chars) => count += lines::words(chars, line.place).0.len(),
            lines::Piece::Open(_) | lines::Piece::Close(_) => count += 1,
        });
    }
    count
}
