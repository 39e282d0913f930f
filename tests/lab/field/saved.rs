//! The kernel's table as `ipvsadm -Sn` writes it: the second opinion.

use crate::net::Host;
use crate::stage::{Outcome, ensure};
use std::collections::BTreeSet;

/// A table: one line a service, one a destination, as `ipvsadm -Sn` writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved(pub BTreeSet<String>);

/// What `ipvsadm -Sn` says.
pub fn read(host: &Host) -> Outcome<Saved> {
    let text = host.output("ipvsadm", &["-Sn"])?;
    Ok(text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}

impl FromIterator<String> for Saved {
    fn from_iter<T: IntoIterator<Item = String>>(lines: T) -> Saved {
        Saved(lines.into_iter().collect())
    }
}

impl Saved {
    /// A table of these lines.
    pub fn of(lines: &[&str]) -> Saved {
        lines.iter().map(|line| line.to_string()).collect()
    }

    /// An error unless `seen` is this table.
    pub fn is(&self, seen: &Saved) -> Outcome {
        ensure(self == seen, || {
            let some = |from: &Saved, than: &Saved| {
                let more: Vec<&str> = from.0.difference(&than.0).map(String::as_str).collect();
                format!("{} ({})", more.len(), more[..more.len().min(6)].join("; "))
            };
            format!("lines that are missing: {}; that are too many: {}", some(self, seen), some(seen, self))
        })
    }
}
