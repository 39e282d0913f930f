//! Texts to [`Config`]: every mistake with its place and what was probably meant (law 4: no silent acceptance).

use crate::model::{Config, Diagnostic, Diagnostics, Level};

/// Reads a TOML text. `file` is the name for messages. `None` where a diagnostic of level error refuses the text;
/// every mistake is reported, sorted by place, not only the first one.
pub fn parse(text: &str, file: &str) -> (Option<Config>, Diagnostics) {
    let _ = text;
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(Diagnostic {
        level: Level::Error,
        file: file.to_owned(),
        line: 0,
        column: 0,
        what: "the reader is not built yet".to_owned(),
        hint: String::new(),
    });
    (None, diagnostics)
}

/// As [`parse`], for the bytes of a file: also refuses what is not UTF-8, with the place of the first bad byte.
pub fn parse_bytes(bytes: &[u8], file: &str) -> (Option<Config>, Diagnostics) {
    parse(&String::from_utf8_lossy(bytes), file)
}
