//! What is told of a line, as a comment beside what the line became: who has only the TOML sees it, too.

use super::finding::Remark;
use super::source::Place;
use super::tree::{Statement, Tree};
use crate::config::document::{Document, Table};
use std::collections::BTreeMap;

/// Longest line of a remark, without `# `.
const COLUMNS: usize = 96;
/// Most remarks in one place; `vipd import` tells of the others.
const REMARKS_MAX: usize = 12;

/// A line of a file.
type Line = (u16, u32);

/// Where remarks on a line go: the table, by the indices of those around it and its own, and its row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Spot {
    path: Vec<usize>,
    row: Option<usize>,
}

/// Adds each remark above the row or the table that its line became; above those of the block that the line
/// stands in, where it became nothing; or at the head of the document.
pub(super) fn put(remarks: &[Remark<'_>], tree: &Tree, document: &mut Document) {
    let (mut spots, mut heads) = (BTreeMap::new(), BTreeMap::new());
    tables(&document.tables, &mut Vec::new(), &mut spots);
    rows(&document.tables, &mut Vec::new(), &mut spots);
    globals(&document.tables, tree, &mut spots);
    parents(&tree.statements, None, &mut heads);
    let mut counts: BTreeMap<Option<Spot>, usize> = BTreeMap::new();
    for remark in remarks {
        let mut line = Some(line(remark.place));
        let spot = loop {
            match line.and_then(|line| spots.get(&line)) {
                Some(spot) => break Some(spot.clone()),
                None => match line.and_then(|line| heads.get(&line)) {
                    Some(head) => line = Some(*head),
                    None => break None,
                },
            }
        };
        let count = counts.entry(spot.clone()).or_default();
        *count += 1;
        let text = match *count {
            ..=REMARKS_MAX => words(remark, tree),
            n if n == REMARKS_MAX + 1 => vec!["There is more, which `vipd import` tells.".to_owned()],
            _ => continue,
        };
        let comments = spot.and_then(|spot| comments(&mut document.tables, &spot.path, spot.row));
        match comments {
            Some(comments) => comments.extend(text),
            None => document.comments.extend(text),
        }
    }
}

fn line(place: Place) -> Line {
    (place.file, place.line)
}

/// Tables by the lines of their heads.
fn tables(list: &[Table], path: &mut Vec<usize>, spots: &mut BTreeMap<Line, Spot>) {
    for (n, table) in list.iter().enumerate() {
        path.push(n);
        for place in table.more.iter().chain([&table.place]) {
            spots.entry(line(*place)).or_insert_with(|| Spot { path: path.clone(), row: None });
        }
        tables(&table.tables, path, spots);
        path.pop();
    }
}

/// Rows by their lines, where no table is.
fn rows(list: &[Table], path: &mut Vec<usize>, spots: &mut BTreeMap<Line, Spot>) {
    for (n, table) in list.iter().enumerate() {
        path.push(n);
        for (n, row) in table.rows.iter().enumerate() {
            spots.entry(line(row.place)).or_insert_with(|| Spot { path: path.clone(), row: Some(n) });
        }
        rows(&table.tables, path, spots);
        path.pop();
    }
}

/// What is told of lines of `global_defs` that became nothing is about `[global]`, where there is one.
fn globals(list: &[Table], tree: &Tree, spots: &mut BTreeMap<Line, Spot>) {
    let Some(n) = list.iter().position(|table| table.name == "global") else { return };
    for block in tree.statements.iter().filter(|statement| statement.keyword() == "global_defs") {
        spots.entry(line(block.place())).or_insert_with(|| Spot { path: vec![n], row: None });
    }
}

/// Lines with the line of the block that they stand in.
fn parents(block: &[Statement], head: Option<Line>, heads: &mut BTreeMap<Line, Line>) {
    for statement in block {
        let own = line(statement.place());
        // What is all on one line has no end upwards.
        if let Some(head) = head.filter(|head| *head < own) {
            heads.entry(own).or_insert(head);
        }
        parents(statement.inside(), Some(own), heads);
    }
}

/// The comments of a spot.
fn comments<'d>(list: &'d mut [Table], path: &[usize], row: Option<usize>) -> Option<&'d mut Vec<String>> {
    let (first, rest) = path.split_first()?;
    let table = list.get_mut(*first)?;
    if !rest.is_empty() {
        return comments(&mut table.tables, rest, row);
    }
    match row {
        Some(row) => table.rows.get_mut(row).map(|row| &mut row.comments),
        None => Some(&mut table.comments),
    }
}

/// `line 7: what. Why.`, in lines of a length that can be read.
fn words(remark: &Remark<'_>, tree: &Tree) -> Vec<String> {
    let Remark { place, what, hint } = remark;
    let file = tree.files.get(usize::from(place.file)).filter(|_| place.file > 0);
    let begin = match file {
        Some(file) => format!("{file}:{}", place.line),
        None => format!("line {}", place.line),
    };
    let end = if hint.is_empty() { "" } else { ". " };
    let mut lines: Vec<String> = Vec::new();
    for word in format!("{begin}: {what}{end}{hint}").split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + word.chars().count() < COLUMNS => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}
