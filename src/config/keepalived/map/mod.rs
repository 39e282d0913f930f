//! What statements mean here.

use super::finding::Findings;
use super::keywords::Context;
use super::tree::Tree;
use super::walk;
use crate::config::document::Document;

/// The whole tree, mapped.
pub(super) fn document(tree: &Tree, findings: &mut Findings) -> Document {
    let document = Document::default();
    let _known = walk::known(Context::ROOT, &tree.statements, findings);
    document
}
