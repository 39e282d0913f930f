//! The table as text.

use super::combination::Combination;
use super::life::Column;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Words by row, column and who is above: ours first, theirs second.
pub type Cells = BTreeMap<(Combination, Column), [Option<String>; 2]>;

/// What a reader has to know.
const LEGEND: &str = "\
Each pair runs twice: vipd above the peer (priority 200 and 100), and below it. One word stands for both;
two with a slash are \"vipd above / peer above\". In every state that is waited for, both daemons' own words,
the addresses on both routers and the frames on the wire agree.

VMAC       who speaks from a macvlan with the virtual router's MAC
ELECTION   both start: the higher priority becomes Active, alone
LEAVE      the Active ends and says priority 0: the other follows after its skew time
KILL       the Active is killed: the other follows after three intervals and its skew time
PREEMPT    the higher priority returns and takes over
NOPREEMPT  the higher priority comes second, and stays Backup until the other dies
EQUAL      both Active, apart, with one priority: together, the higher address stays
INTERVAL   v2: both drop the other's adverts, and `vipd status` names it; v3: the Backup learns the Active's
";

/// Text of the table; no cell stands for no run.
pub fn render(peers: &str, rows: &[Combination], cells: &Cells) -> String {
    let mut text = format!("vipd beside {peers}, on one wire\n\n{LEGEND}\n");
    let lines: Vec<Vec<String>> =
        std::iter::once(titles()).chain(rows.iter().map(|r| line(r, cells))).collect();
    let width = |i: usize| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0);
    for line in &lines {
        let padded: Vec<String> =
            line.iter().enumerate().map(|(i, c)| format!("{c:<0$}", width(i))).collect();
        writeln!(text, "{}", padded.join("  ").trim_end()).unwrap();
    }
    text += &left_out();
    text
}

fn titles() -> Vec<String> {
    let first =
        format!("{:<10}  {:<2}  {:<4}  {:<9}  {:<7}  {}", "PEER", "V", "IP", "TRANSPORT", "VMAC", "AUTH");
    std::iter::once(first).chain(Column::ALL.map(|c| c.title().to_string())).collect()
}

fn line(row: &Combination, cells: &Cells) -> Vec<String> {
    let cell = |column| match cells.get(&(*row, column)) {
        Some([Some(ours), Some(theirs)]) if ours == theirs => ours.clone(),
        Some(words) => {
            let [ours, theirs] = words.each_ref().map(|w| w.as_deref().unwrap_or("?"));
            format!("{ours} / {theirs}")
        }
        None => "-".to_string(),
    };
    std::iter::once(row.to_string()).chain(Column::ALL.map(cell)).collect()
}

/// Every combination that is no row, counted by its reason.
fn left_out() -> String {
    let all = Combination::all();
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for reason in all.iter().filter_map(Combination::impossible) {
        match reasons.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let sum: usize = reasons.iter().map(|(_, n)| n).sum();
    let mut text = format!("\nThe product has {} combinations; {sum} of them cannot be:\n", all.len());
    for (reason, count) in reasons {
        writeln!(text, "{count:>4}  {reason}").unwrap();
    }
    text
}
