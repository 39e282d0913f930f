//! The kernel's table as `ipvsadm -Sn` writes it: the second opinion.

use crate::net::Host;
use crate::stage::{Outcome, ensure};
use std::collections::BTreeSet;

/// A table: one line a service, one a destination, as `ipvsadm -Sn` writes them, with the thresholds (`-x`,
/// `-y`) that it leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved(pub BTreeSet<String>);

/// What `ipvsadm -Sn` says, and `ipvsadm -Ln --thresholds` where there may be some.
pub fn read(host: &Host) -> Outcome<Saved> {
    let text = host.output("ipvsadm", &["-Sn"])?;
    let mut saved: Saved =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let limits = host.output("ipvsadm", &["-Ln", "--thresholds"])?;
    let mut front = String::new();
    for line in limits.lines().skip(3) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["->", _, "0", "0", ..] => {}
            ["->", server, upper, lower, ..] => {
                let start = format!("-a {front} -r {server} ");
                let line = saved.0.iter().find(|line| line.starts_with(&start)).cloned();
                let line = line.ok_or_else(|| format!("{start}has thresholds and is not in: {text}"))?;
                saved.0.remove(&line);
                saved.0.insert(format!("{line} -x {upper} -y {lower}"));
            }
            ["TCP", address, ..] => front = format!("-t {address}"),
            ["UDP", address, ..] => front = format!("-u {address}"),
            ["SCTP", address, ..] => front = format!("--sctp-service {address}"),
            ["FWM", mark, "IPv6", ..] => front = format!("-f {mark} -6"),
            ["FWM", mark, ..] => front = format!("-f {mark}"),
            _ => return Err(format!("a line of another kind: {line}")),
        }
    }
    Ok(saved)
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
