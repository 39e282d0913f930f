//! The statements of a block, and what their comments belong to.

use super::super::finding::Findings;
use super::super::keywords::Context;
use super::super::tree::Statement;
use super::super::walk::{self, Known};
use crate::config::document::Table;

/// The statements of one block that are mapped.
pub(super) struct Block<'t> {
    known: Vec<Known<'t>>,
    /// Comments of the block itself, and of those that are not mapped.
    comments: Vec<String>,
}

impl<'t> Block<'t> {
    /// What stands in the braces of `head`; the rest is told.
    pub(super) fn new(context: Context, head: &'t Statement, findings: &mut Findings) -> Self {
        Block::of(walk::known(context, head.inside(), findings), head)
    }

    /// As [`Block::new`], for statements that were looked at already.
    pub(super) fn of(known: Vec<Known<'t>>, head: &'t Statement) -> Self {
        let mut comments = head.comments.clone();
        comments.extend(others(head, &known));
        Block { known, comments }
    }

    /// All of a name, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Known<'t>> {
        self.known.iter().copied().filter(move |known| known.name == name)
    }

    /// The last one of a name: it counts.
    pub(super) fn last(&self, name: &str) -> Option<Known<'t>> {
        self.known.iter().rev().copied().find(|known| known.name == name)
    }

    /// Is there one of that name?
    pub(super) fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// The lines in all blocks of a name.
    pub(super) fn lines(&self, name: &str) -> impl Iterator<Item = &'t Statement> {
        self.all(name).flat_map(|known| known.statement.inside())
    }

    /// Puts the comments above the rows that their statements became, as `keys` has it (keyword, key), and
    /// those without a row above the table.
    pub(super) fn comment(&self, table: &mut Table, keys: &[(&str, &str)]) {
        table.comments.extend(self.comments.iter().cloned());
        for known in &self.known {
            let mut comments = Vec::new();
            gather(known.statement, &mut comments);
            let key = keys.iter().find(|(word, _)| *word == known.name).map_or(known.name, |(_, key)| key);
            table.comment(key, comments);
        }
    }
}

/// Comments of those statements of a block that are not mapped.
pub(super) fn others(head: &Statement, known: &[Known<'_>]) -> Vec<String> {
    let is_known =
        |statement: &Statement| known.iter().any(|known| core::ptr::eq(known.statement, statement));
    let mut comments = Vec::new();
    for statement in head.inside().iter().filter(|statement| !is_known(statement)) {
        gather(statement, &mut comments);
    }
    comments
}

/// Comments of a statement and of those within it.
pub(super) fn gather(statement: &Statement, comments: &mut Vec<String>) {
    comments.extend(statement.comments.iter().cloned());
    statement.inside().iter().for_each(|inner| gather(inner, comments));
}
