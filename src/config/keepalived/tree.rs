//! Statements and their bodies.

use super::Options;
use super::expand::Expander;
use super::finding::{Findings, Kind};
use super::keywords;
use super::lines::{self, Line, Piece};
use super::sniff;
use super::source::{Loader, Place};
use crate::limits;
/// A word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Without quotes.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) place: Place,
}

/// A line, and what stands between the braces after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The keyword and its arguments: at least one word.
    pub(crate) words: Vec<Word>,
    /// The line after the keyword, quotes and escapes untouched, without comment: for commands, which have
    /// quotes of their own (spec §1.1 "Quoted").
    pub(crate) rest: String,
    /// What stands between braces; `None`: there are none.
    pub(crate) body: Option<Vec<Statement>>,
    /// Comments above it since the statement before, and behind it; without `#` or `!`, valid in TOML.
    pub(crate) comments: Vec<String>,
}

impl Statement {
    /// The first word.
    pub(crate) fn keyword(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }

    /// Where it begins.
    pub(crate) fn place(&self) -> Place {
        self.words.first().map(|word| word.place).unwrap_or_default()
    }

    /// The words after the keyword.
    pub(crate) fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or(&[])
    }

    /// The `n`th argument, from 0.
    pub(crate) fn argument(&self, n: usize) -> Option<&Word> {
        self.arguments().get(n)
    }

    /// What stands between its braces; nothing where there are none.
    pub(crate) fn inside(&self) -> &[Statement] {
        self.body.as_deref().unwrap_or(&[])
    }
}

/// Everything that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tree {
    /// Names of the files, for messages.
    pub(crate) files: Vec<String>,
    /// Blocks and lines of the outermost level, in order, those of included files in their place.
    pub(crate) statements: Vec<Statement>,
    /// Comments at the very end.
    pub(crate) comments: Vec<String>,
}

/// Lines between two breaths.
const BREATH: usize = 64;

/// Reads `file` and what it includes: comments, conditions, definitions and repetitions are gone afterwards.
/// `breathe` is called now and then.
pub(crate) fn read(
    file: &str,
    loader: &mut dyn Loader,
    options: Options<'_>,
    findings: &mut Findings,
    breathe: &mut dyn FnMut(),
) -> Tree {
    let mut lines = Expander::new(file, loader, options, findings);
    let mut builder = Builder::default();
    let mut count = 0_usize;
    while let Some(line) = lines.next(findings) {
        builder.take(&line, findings);
        count = count.wrapping_add(1);
        if count.is_multiple_of(BREATH) {
            breathe();
        }
    }
    let (statements, comments) = builder.finish(findings);
    let is_one = match statements.is_empty() {
        true => lines.has_includes(),
        false => statements.iter().any(|line| keywords::is_root(line.keyword())),
    };
    if !is_one && !findings.is_unreadable() {
        let what = if lines.has_conditions() {
            format!("nothing in it is for the router `{}`", options.config_id)
        } else {
            sniff::guess(lines.head()).to_owned()
        };
        findings.unreadable(
            Place::default(),
            what,
            "A keepalived.conf has blocks such as `vrrp_instance NAME {`.",
        );
    }
    Tree { files: lines.files, statements, comments }
}

/// `words {body}` of each statement, separated by `; `.
pub(super) fn outline(block: &[Statement], text: &mut String) {
    for (n, statement) in block.iter().enumerate() {
        text.push_str(if n == 0 { "" } else { "; " });
        for (n, word) in statement.words.iter().enumerate() {
            text.push_str(if n == 0 { "" } else { " " });
            text.push_str(&word.text);
        }
        if let Some(body) = &statement.body {
            text.push_str(" {");
            outline(body, text);
            text.push('}');
        }
    }
}

/// A block that is open.
struct Open {
    /// Its head; without body.
    head: Statement,
    /// Statements so far.
    body: Vec<Statement>,
    /// A `{` without a head: its statements go to the block around it.
    is_bare: bool,
}

/// The tree while it grows.
#[derive(Default)]
struct Builder {
    done: Vec<Statement>,
    open: Vec<Open>,
    /// Comments that stand above what comes next.
    comments: Vec<String>,
    /// Levels of braces that are too deep, and thrown away.
    too_deep: usize,
    /// The last piece was a statement, to which a `{` belongs.
    may_open: bool,
}

impl Builder {
    fn take(&mut self, line: &Line, findings: &mut Findings) {
        if line.chars.is_empty() {
            self.comments.extend(line.comment.clone());
            return;
        }
        lines::split(line, |piece| match piece {
            Piece::Words(chars) => {
                let (words, rest) = lines::words(chars, line.place);
                if self.too_deep == 0 && !words.is_empty() {
                    let comments = core::mem::take(&mut self.comments);
                    self.add(Statement { words, rest, body: None, comments }, findings);
                }
            }
            Piece::Open(place) => self.begin(place, findings),
            Piece::Close(place) => self.end(place, findings),
        });
        if let Some(place) = line.slashes
            && let Some(last) = self.body().last().filter(|last| last.body.is_none())
            && let last = last.keyword().to_owned()
            && self.takes_more(&last)
        {
            let what = format!("`//` ends the words of `{last}`");
            let hint = "keepalived takes what stands behind it for more of them: use `#`.";
            findings.push(place, Kind::Corrected, what, hint);
        }
        if let (Some(comment), 0) = (&line.comment, self.too_deep) {
            self.comment_behind(comment.clone());
        }
    }

    fn body(&mut self) -> &mut Vec<Statement> {
        match self.open.last_mut() {
            Some(open) => &mut open.body,
            None => &mut self.done,
        }
    }

    /// Would keepalived take more words behind this one? Lines of lists it does not know by their first word.
    fn takes_more(&self, last: &str) -> bool {
        keywords::takes_any_number(last) || (!self.open.is_empty() && !keywords::is_any(last))
    }

    /// Of the statement that was read last: the head of the block where it has none yet.
    fn comment_behind(&mut self, comment: String) {
        match self.open.last_mut() {
            Some(open) if open.body.is_empty() => open.head.comments.push(comment),
            Some(_) | None => match self.body().last_mut() {
                Some(last) => last.comments.push(comment),
                None => self.comments.push(comment),
            },
        }
    }

    fn may_go_deeper(&self) -> bool {
        self.open.len() < limits::IMPORT_DEPTH_MAX
    }

    fn add(&mut self, mut statement: Statement, findings: &mut Findings) {
        join_keyword(&mut statement, findings);
        let lacks_brace = self.may_open && self.body().last().is_some_and(is_head_of_block);
        if lacks_brace
            && self.may_go_deeper()
            && let Some(head) = self.body().pop()
        {
            let what = format!("`{}` lacks its `{{`", head.keyword());
            findings.push(head.place(), Kind::Invalid, what, "Read as if it were there.");
            self.open.push(Open { head, body: Vec::new(), is_bare: false });
        }
        self.body().push(statement);
        self.may_open = true;
    }

    /// A block that stands at the outermost level alone comes: those before it were not closed.
    fn close_all(&mut self, next: &Statement, findings: &mut Findings) {
        while let Some(open) = self.open.pop() {
            let (name, line) = (open.head.keyword().to_owned(), next.place().line);
            let what = format!("the block of `{name}` is not closed before line {line}");
            let place = open.head.place();
            if !open.is_bare {
                let hint = format!("A `}}` is missing: `{}` cannot stand within it.", next.keyword());
                findings.push(place, Kind::Invalid, what, hint);
            }
            self.put_back(open);
        }
    }

    fn begin(&mut self, place: Place, findings: &mut Findings) {
        let may_open = core::mem::take(&mut self.may_open);
        if self.too_deep > 0 {
            self.too_deep += 1;
            return;
        }
        if !self.may_go_deeper() {
            findings.push(
                place,
                Kind::Invalid,
                "too many blocks within one another",
                "This one is left out.",
            );
            self.too_deep = 1;
            return;
        }
        if may_open && let Some(head) = self.body().pop() {
            if !self.open.is_empty() && keywords::is_root_only(head.keyword()) {
                self.close_all(&head, findings);
            }
            self.open.push(Open { head, body: Vec::new(), is_bare: false });
            return;
        }
        let hint = "What stands between it and its `}` is read as a part of the block around it.";
        findings.push(place, Kind::Invalid, "`{` without a keyword before it", hint);
        let bare = Statement { words: Vec::new(), rest: String::new(), body: None, comments: Vec::new() };
        self.open.push(Open { head: bare, body: Vec::new(), is_bare: true });
    }

    fn end(&mut self, place: Place, findings: &mut Findings) {
        self.may_open = false;
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        match self.open.pop() {
            Some(mut open) => {
                open.head.comments.append(&mut self.comments);
                self.put_back(open);
            }
            None => {
                findings.push(place, Kind::Invalid, "`}` without a `{`", "Is there one too many before it?");
            }
        }
    }

    fn put_back(&mut self, open: Open) {
        let Open { mut head, body, is_bare } = open;
        if is_bare {
            self.comments.append(&mut head.comments);
            self.body().extend(body);
        } else {
            head.body = Some(body);
            self.body().push(head);
        }
    }

    fn finish(mut self, findings: &mut Findings) -> (Vec<Statement>, Vec<String>) {
        while let Some(open) = self.open.pop() {
            if !open.is_bare {
                let what = format!("the block of `{}` is not closed", open.head.keyword());
                findings.push(open.head.place(), Kind::Invalid, what, "A `}` is missing.");
            }
            self.put_back(open);
        }
        (self.done, self.comments)
    }
}

/// A keyword that always has a block, and has none yet.
fn is_head_of_block(statement: &Statement) -> bool {
    statement.body.is_none() && keywords::is_always_block(statement.keyword())
}

/// `vrrp _mcast_group4`: a blank within the keyword.
fn join_keyword(statement: &mut Statement, findings: &mut Findings) {
    let [first, second, ..] = statement.words.as_slice() else { return };
    let joined = format!("{}{}", first.text, second.text);
    if !keywords::is_where_other_is_not(&joined, &first.text) {
        return;
    }
    let what = format!("`{} {}` is no keyword of keepalived, read as `{joined}`", first.text, second.text);
    findings.push(first.place, Kind::Corrected, what, "keepalived leaves the line out.");
    let rest = statement.rest.strip_prefix(second.text.as_str()).unwrap_or_default();
    statement.rest = rest.trim_start_matches([' ', '\t']).to_owned();
    statement.words.remove(1);
    if let Some(first) = statement.words.first_mut() {
        first.text = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keepalived::memory::Memory;

    /// `a b{c} "d"` for the statements of a text, and how many findings there were.
    fn read_text(text: &'static str) -> (String, usize) {
        let mut findings = Findings::new(100);
        let tree = read("k.conf", &mut Memory(text), Options { config_id: "x" }, &mut findings, &mut || {});
        let import = findings.finish(
            &tree,
            crate::config::document::Printed::default(),
            crate::config::NO_KEY_FILES,
            &mut || {},
        );
        let told = import.findings.iter().filter(|finding| finding.diagnostic.line > 0);
        (shown(&tree.statements), told.count())
    }

    fn shown(block: &[Statement]) -> String {
        let one = |statement: &Statement| {
            let words: Vec<&str> = statement.words.iter().map(|word| word.text.as_str()).collect();
            let body = statement.body.as_ref().map(|body| format!("{{{}}}", shown(body)));
            let comments: String = statement.comments.iter().map(|comment| format!("#{comment}")).collect();
            format!("{}{}{comments}", words.join(" "), body.unwrap_or_default())
        };
        block.iter().map(one).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn braces_stand_anywhere() {
        assert_eq!(read_text("a {b c}\nd\n{\ne {\n}f\n}"), ("a{b c};d{e{};f}".to_owned(), 0));
        assert_eq!(read_text("a {\nb"), ("a{b}".to_owned(), 1), "not closed");
        assert_eq!(read_text("a }\nb"), ("a;b".to_owned(), 1), "never opened");
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(read_text("a \"b # {c}\"d"), ("a b # {c} d".to_owned(), 0));
        assert_eq!(read_text(r"a b\#c\!"), ("a b#c!".to_owned(), 0));
        assert_eq!(read_text("a ${b}"), ("a ${b}".to_owned(), 1));
    }

    #[test]
    fn comments_go_with_their_statement() {
        assert_eq!(
            read_text("# one\n! two\na { # three\nb # four\n# five\n}").0,
            "a{b#four}#one#two#three#five"
        );
        assert_eq!(read_text("a // b\nc http://d//e"), ("a#b;c http://d//e".to_owned(), 1));
    }
}
