//! What statements mean here.

mod args;
mod command;
mod names;

use super::finding::Findings;
use super::keywords::Context;
use super::tree::Tree;
use super::walk::{self, Known};
use crate::config::document::Document;

/// The whole tree, mapped.
pub(super) fn document(tree: &Tree, findings: &mut Findings) -> Document {
    let document = Document::default();
    let root = walk::known(Context::ROOT, &tree.statements, findings);
    // Several blocks are one, and a later line wins.
    let mut globals = Vec::new();
    for block in named(&root, "global_defs") {
        globals.extend(walk::known(Context::GLOBAL, block.statement.inside(), findings));
    }
    let _all: &[Known<'_>] = &globals;
    document
}

/// Those of a name, in order.
fn named<'k, 't>(list: &'k [Known<'t>], name: &'k str) -> impl DoubleEndedIterator<Item = Known<'t>> + 'k {
    list.iter().copied().filter(move |known| known.name == name)
}
