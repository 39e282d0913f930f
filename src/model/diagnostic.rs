//! What is wrong in a configuration, where, and what was probably meant.

use crate::limits;
use core::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing; the configuration is used.
    Note,
    /// Probably not what was meant; the configuration is used.
    Warning,
    /// The configuration is refused.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// One finding. Prints as `file:line:col: level: what. hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// The file as the user named it.
    pub file: String,
    /// From 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// From 1, in characters; 0 where the file as a whole is meant.
    pub column: u32,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What was probably meant, or what to do; empty where there is nothing to say.
    pub hint: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: {}.", self.level, self.what)?;
        if !self.hint.is_empty() {
            write!(f, " {}", self.hint)?;
        }
        Ok(())
    }
}

/// Findings in the order of the file, at most [`limits::DIAGNOSTICS_MAX`]; the rest is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    left_out: usize,
    errors: usize,
}

impl Diagnostics {
    /// Adds one. Where there is no room an error takes the place of a lesser one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let is_error = diagnostic.level == Level::Error;
        if is_error {
            self.errors += 1;
        }
        if self.list.len() < limits::DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
            return;
        }
        self.left_out += 1;
        let lesser = self.list.iter_mut().rev().find(|kept| is_error && kept.level != Level::Error);
        if let Some(lesser) = lesser {
            *lesser = diagnostic;
        }
    }

    /// Is there one that refuses the configuration?
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many refuse the configuration, the ones left out included.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// All that were kept, sorted by place.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Sorts by line and column, so that a person reads them with the file.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|d| (d.line, d.column));
    }

    /// How many did not fit.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Is there none at all?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_do_not_crowd_out_an_error() {
        let finding = |level, line| Diagnostic {
            level,
            file: "f".to_owned(),
            line,
            column: 1,
            what: "x".to_owned(),
            hint: String::new(),
        };
        let mut list = Diagnostics::default();
        for line in 1..=150 {
            list.push(finding(Level::Warning, line));
        }
        list.push(finding(Level::Error, 7));
        assert_eq!((list.iter().count(), list.left_out()), (limits::DIAGNOSTICS_MAX, 51));
        assert!(list.iter().any(|d| d.level == Level::Error), "a refusal without a reason helps nobody");
    }
}
