//! What was measured, printed as it comes and as one table at the end.

use super::Subject;
use std::time::Duration;

/// One measure: what, ours, theirs, a remark.
struct Row {
    what: String,
    cells: [String; 2],
    remark: String,
}

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn new() -> Self {
        Self::default()
    }

    /// A value for one subject; rows appear in the order of their first value.
    pub fn put(&mut self, what: &str, subject: Subject, value: String, remark: &str) {
        eprintln!("{what}, {subject}: {value}");
        let column = usize::from(subject == Subject::Keepalived);
        match self.rows.iter_mut().find(|r| r.what == what) {
            Some(row) => row.cells[column] = value,
            None => {
                let mut cells = [String::new(), String::new()];
                cells[column] = value;
                self.rows.push(Row { what: what.to_string(), cells, remark: remark.to_string() });
            }
        }
    }

    pub fn print(&self) {
        let width = |f: &dyn Fn(&Row) -> usize| self.rows.iter().map(f).max().unwrap_or(0);
        let (what, ours) = (width(&|r| r.what.len()), width(&|r| r.cells[0].chars().count()).max(4));
        let theirs = width(&|r| r.cells[1].chars().count()).max(17);
        let aims = width(&|r| aim(&r.what).len()).max(3);
        println!("\n{:what$}  {:>ours$}  {:>theirs$}  {:<aims$}", "", "vipd", "Debian keepalived", "aim");
        for row in &self.rows {
            let ([a, b], aim) = (&row.cells, aim(&row.what));
            println!("{:what$}  {a:>ours$}  {b:>theirs$}  {aim:<aims$}  {}", row.what, row.remark);
        }
    }
}

/// What vipd is to reach, where that is said.
fn aim(what: &str) -> &'static str {
    match what {
        "failover at 1000 ms adverts" | "failover at 100 ms adverts" | "failover at 10 ms adverts" => {
            "no slower"
        }
        "takeover of 2000 IPv4 VIPs" => "40 ms",
        "memory in S1, PSS" => "1024 kB",
        "advert lateness at 100 ms" | "the same, 200 hung and 200 dead servers" => "5 ms",
        "10000 lower adverts/s, memory" => "flat",
        "500 x 8 servers into IPVS, CPU" => "1/4 of keepalived's",
        "CPU per TCP probe" | "CPU per HTTP probe" => "less",
        "reload of 1000 x 8, one weight, changes" => "1",
        _ => "",
    }
}

/// Median, and least and most where there are several.
pub fn milliseconds(samples: &mut [Duration]) -> String {
    samples.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let at = |i: usize| samples.get(i).map_or(f64::NAN, |d| ms(*d));
    match samples.len() {
        0 | 1 => format!("{:.1} ms", at(0)),
        n => format!("{:.1} ms ({:.1}-{:.1})", at(n / 2), at(0), at(n - 1)),
    }
}

pub fn kilobytes(mut samples: Vec<u64>) -> String {
    samples.sort_unstable();
    samples.get(samples.len() / 2).map_or("-".to_string(), |kb| format!("{kb} kB"))
}
