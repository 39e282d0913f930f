//! What was done to each cell, as a table.

use super::cell::{Cell, Row, SCHEDULERS};
use crate::stage::{Outcome, ensure};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where the table of an earlier run lies in the guest, and where this one's goes.
const GOLDEN: &str = "/golden/matrix.txt";
const REPORT: &str = "/run/report/matrix.txt";

/// What a reader has to know.
const LEGEND: &str = "\
Every cell is a service of its own with two servers, weights 1 and 2, a TCP probe and a sorry server. After
every step `ipvsadm -Sn` says of all cells what vipd's file says, and nothing else. A letter stands for a step
that was seen by real requests through the VIP (short ones of one client, six in a row where the spread is
judged: even, by weight, all to the heaviest, all to one, whatever the scheduler's is):

A  added: the requests are spread as the scheduler does it
W  the weights change places by a reload, and the spread follows
S  the scheduler becomes the next column's by a reload, and the spread follows
D  drained: a live conversation goes on, every new one goes to the other server (dh: the kernel's refuses
   those whose hash says the drained one); undrained, both serve
O  both servers fail: the sorry server answers, and they are back; clients that request all cells without a
   pause meanwhile are never refused
M  the second server is removed by a reload: the first answers all
X  the service is removed by a reload: requests are refused, its neighbours are served on
.  kept, with its counters, by a reload of the same file and by the reload that removes its neighbours
";

/// What is known of one pass.
pub struct Report {
    old_interface: bool,
    seen: BTreeMap<(Row, usize), String>,
    faults: Vec<String>,
}

impl Report {
    pub fn new(old_interface: bool) -> Report {
        Report { old_interface, seen: BTreeMap::new(), faults: Vec::new() }
    }

    /// A step was seen at a cell, or not, and why.
    pub fn put(&mut self, cell: &Cell, letter: char, outcome: Result<(), String>) {
        let seen = self.seen.entry((cell.row, cell.column)).or_default();
        match outcome {
            Ok(()) => seen.push(letter),
            Err(why) => {
                seen.push('!');
                let what = format!("{letter}: {} ({}): {why}", cell.row, cell.target());
                self.faults.push(what.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }

    /// What went wrong so far, a few of it.
    pub fn faults(&self, all: &mut Vec<String>) {
        all.extend(self.faults.iter().take(20).cloned());
    }

    /// The last so many of what went wrong.
    pub fn last(&self, count: usize) -> &[String] {
        &self.faults[self.faults.len() - count..]
    }

    /// How many things went wrong so far.
    pub fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// The table.
    pub fn render(&self, rows: &[Row]) -> String {
        let interface = if self.old_interface { "socket options" } else { "generic netlink" };
        let mut text = format!("\n{interface}\n");
        let cell = |row: &Row, column: usize| self.seen.get(&(*row, column)).map_or("-", String::as_str);
        let width = |column: usize| {
            let longest = rows.iter().map(|row| cell(row, column).len()).max().unwrap_or(0);
            longest.max(SCHEDULERS[column].len())
        };
        let _ = write!(text, "{:<4}  {:<8}  {:<4}", "", "", "");
        for (column, scheduler) in SCHEDULERS.iter().enumerate() {
            let _ = write!(text, " {scheduler:<0$}", width(column));
        }
        for row in rows {
            text = text.trim_end().to_string();
            let _ = write!(text, "\n{row}");
            for column in 0..SCHEDULERS.len() {
                let _ = write!(text, " {:<1$}", cell(row, column), width(column));
            }
        }
        text.trim_end().to_string() + "\n"
    }
}

/// The first lines of the report.
pub fn head() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: Vec<&str> = release.split('.').take(2).collect();
    format!("IPVS services of vipd on Linux {}, by real traffic\n\n{LEGEND}", version.join("."))
}

/// What is not in the table, and why.
pub fn foot() -> &'static str {
    "\n`twos` is not compiled into this kernel (CONFIG_IP_VS_TWOS). The old interface knows neither IPv6 \
     nor gue nor \
     gre.\n"
}

/// Holds the report of a run without faults against the last one that was looked at; in any case it is left
/// for whoever blesses it.
pub fn compare(text: &str) -> Outcome {
    std::fs::create_dir_all("/run/report").map_err(|error| error.to_string())?;
    std::fs::write(REPORT, text).map_err(|error| format!("{REPORT}: {error}"))?;
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    if std::env::args().any(|word| word == "--bless") {
        return Ok(());
    }
    let differs = golden.lines().zip(text.lines()).find(|(old, new)| old != new);
    ensure(golden == text, || {
        format!("tests/golden/matrix.txt says otherwise (VIPD_BLESS=1 writes it): {differs:?}")
    })
}
