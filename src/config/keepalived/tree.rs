//! Statements and their bodies.

use super::Options;
use super::finding::{Findings, Kind};
use super::lines::{Piece, lines, pieces};
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

/// Reads `file` and what it includes: comments, conditions, definitions and repetitions are gone afterwards.
pub(crate) fn read(
    file: &str,
    loader: &mut dyn Loader,
    _options: Options<'_>,
    findings: &mut Findings,
) -> Tree {
    let mut builder = Builder { files: vec![file.to_owned()], ..Builder::default() };
    match loader.read(file) {
        Ok(source) => builder.take(&source.bytes, 0, findings),
        Err(why) => findings.unreadable(Place::default(), format!("cannot be read: {why}"), ""),
    }
    builder.finish(findings)
}

/// The tree while it grows.
#[derive(Default)]
struct Builder {
    files: Vec<String>,
    /// Blocks that are open, the outermost first, without their heads.
    open: Vec<Vec<Statement>>,
    /// The block that is being filled.
    block: Vec<Statement>,
    /// Comments that wait for their statement.
    comments: Vec<String>,
    /// How many blocks too deep are open.
    too_deep: usize,
}

impl Builder {
    fn take(&mut self, bytes: &[u8], file: u16, findings: &mut Findings) {
        for line in lines(bytes, file, findings) {
            let pieces = pieces(&line.code, line.place, true);
            let (is_alone, opens) = (pieces.is_empty(), matches!(pieces.last(), Some(Piece::Open(_))));
            for piece in pieces {
                self.piece(piece, findings);
            }
            let Some(comment) = line.comment else { continue };
            let behind =
                if opens { self.open.last_mut().unwrap_or(&mut self.block) } else { &mut self.block };
            match behind.last_mut() {
                Some(statement) if !is_alone => statement.comments.push(comment),
                _ => self.comments.push(comment),
            }
        }
    }

    fn piece(&mut self, piece: Piece, findings: &mut Findings) {
        match piece {
            Piece::Words(words, rest) if self.too_deep == 0 => {
                let comments = core::mem::take(&mut self.comments);
                self.block.push(Statement { words, rest, body: None, comments });
            }
            Piece::Words(..) => {}
            Piece::Open(place) if self.too_deep > 0 || self.open.len() >= limits::IMPORT_DEPTH_MAX => {
                if self.too_deep == 0 {
                    findings.push(place, Kind::Invalid, "blocks within blocks, too deep", "It is left out.");
                }
                self.too_deep += 1;
            }
            Piece::Open(place) => {
                if self.block.last().is_none_or(|head| head.body.is_some()) {
                    findings.push(place, Kind::Invalid, "`{` without a keyword before it", "");
                    let head = Word { text: "{".to_owned(), place };
                    let comments = core::mem::take(&mut self.comments);
                    self.block.push(Statement {
                        words: vec![head],
                        rest: String::new(),
                        body: None,
                        comments,
                    });
                }
                self.open.push(core::mem::take(&mut self.block));
            }
            Piece::Close(_) if self.too_deep > 0 => self.too_deep -= 1,
            Piece::Close(place) => {
                if !self.close() {
                    findings.push(place, Kind::Invalid, "`}` without a `{`", "It is left out.");
                }
            }
        }
    }

    /// Ends the innermost block; `false`: none is open.
    fn close(&mut self) -> bool {
        let Some(mut outer) = self.open.pop() else { return false };
        let body = core::mem::take(&mut self.block);
        if let Some(head) = outer.last_mut() {
            head.comments.append(&mut self.comments);
            head.body = Some(body);
        }
        self.block = outer;
        true
    }

    fn finish(mut self, findings: &mut Findings) -> Tree {
        while let Some(head) = self.open.last().and_then(|block| block.last()) {
            let what = format!("the block of `{}` is not closed", head.keyword());
            findings.push(head.place(), Kind::Invalid, what, "A `}` is missing; it ends with the file.");
            self.close();
        }
        Tree { files: self.files, statements: self.block, comments: self.comments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, and nothing else.
    struct Memory(&'static str);

    impl Loader for Memory {
        fn read(&mut self, _: &str) -> Result<crate::config::keepalived::Source, String> {
            Ok(crate::config::keepalived::Source { bytes: self.0.into(), is_executable: false })
        }
        fn list(&mut self, _: &str) -> Result<Vec<String>, String> {
            Ok(Vec::new())
        }
        fn environment(&mut self, _: &str) -> Option<String> {
            None
        }
        fn random(&mut self) -> u32 {
            4
        }
    }

    /// `a b{c} "d"` for the statements of a text, and how many findings there were.
    fn read_text(text: &'static str) -> (String, usize) {
        let mut findings = Findings::new(100);
        let tree = read("k.conf", &mut Memory(text), Options { config_id: "x" }, &mut findings);
        let import = findings.finish(&tree, crate::config::document::Printed::default());
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
        assert_eq!(read_text("a ${b}"), ("a ${b}".to_owned(), 0));
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
