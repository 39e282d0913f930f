//! Standard output and standard error. A reader that is gone (`vipd status | head -1`) is no error.

use std::io::{self, IsTerminal, Write};

/// Prints a text. False where nobody reads any more.
pub(super) fn print(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Prints a message to standard error, with a line end if it has none.
pub(super) fn complain(text: &str) {
    let mut err = io::stderr().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(err, "{text}{end}");
}

/// What goes before a screen that replaces another: clears a terminal, and parts two screens in a file.
pub(super) fn next_screen() -> &'static str {
    if io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "\n" }
}
