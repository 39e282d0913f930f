//! The matrix: {TCP, UDP, SCTP, firewall mark} × schedulers × {NAT, direct routing, tunnels} × {IPv4, IPv6},
//! each cell one service that carries real requests, with `ipvsadm -Sn` as the second opinion after every
//! step; once over generic netlink, once over the old socket options (IPVS-90, IPv4).
//!
//! What was done to each cell stands in `tests/golden/matrix.txt`, which the scenario compares and, with
//! `VIPD_BLESS=1 board/lab/run matrix`, writes.

mod cell;
mod report;
mod steps;

use crate::field::{Field, Router, interfaces, vip, virtual_router};
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::is_forced;
use cell::{Cell, Front, Row, SERVERS, Version};
use report::Report;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    build(stage, Cell::all)
}

/// A part of it that has every pair of protocol, scheduler, method and family.
pub fn pairs(stage: &Stage) -> Outcome {
    build(stage, Cell::pairs)
}

/// Which cells of these rows.
type Choice = fn(&[Row], bool) -> Vec<Cell>;

fn build(stage: &Stage, choice: Choice) -> Outcome {
    let doors: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|old_interface| choice(&Row::all(old_interface), old_interface))
        .filter_map(|cell| cell.door())
        .collect();
    let mut field = stage.step("three servers that answer every cell", || Field::build(stage, 1, &doors))?;
    let result = both(&mut field, choice);
    field.explain(result)
}

fn both(field: &mut Field, choice: Choice) -> Outcome {
    let mut text = report::head();
    let mut faults = Vec::new();
    for old_interface in interfaces() {
        let rows = Row::all(*old_interface);
        let mut run = Run::new(field, *old_interface, choice(&rows, *old_interface));
        run.steps()?;
        run.report.faults(&mut faults);
        text += &run.report.render(&rows);
    }
    text += report::foot();
    field.stage.say(&text);
    ensure(faults.is_empty(), || format!("{} faults: {}", faults.len(), faults.join("; ")))?;
    // A part, or one interface alone, is no report.
    let rows = Row::all(false);
    if choice(&rows, false).len() == Cell::all(&rows, false).len() && !is_forced() {
        report::compare(&text)?;
    }
    Ok(())
}

/// One pass over all cells.
pub struct Run<'f, 'a> {
    field: &'f mut Field<'a>,
    old_interface: bool,
    cells: Vec<Cell>,
    report: Report,
}

impl<'f, 'a> Run<'f, 'a> {
    fn new(field: &'f mut Field<'a>, old_interface: bool, cells: Vec<Cell>) -> Self {
        Run { field, old_interface, cells, report: Report::new(old_interface) }
    }

    fn steps(&mut self) -> Outcome {
        let before = Version::default();
        let swapped = Version { swapped: true, ..before };
        let turned = Version { shift: 1, ..swapped };
        self.add(before)?;
        self.reload(before)?;
        self.edit_weights(swapped)?;
        self.edit_schedulers(turned)?;
        self.drain(turned)?;
        self.sorry(turned)?;
        let short = Version { without_second: true, ..turned };
        self.remove_server(short)?;
        self.remove_services(short)?;
        self.end()
    }

    fn router(&mut self) -> Outcome<&mut Router> {
        self.field.routers.first_mut().ok_or_else(|| "no router".into())
    }

    /// vipd's file with these cells.
    fn config<'c>(&self, cells: impl IntoIterator<Item = &'c Cell>, version: Version) -> String {
        let mut text = virtual_router(100);
        if self.old_interface {
            text += "[ipvs]\ninterface = \"sockopt\"\n";
        }
        text.extend(cells.into_iter().map(|cell| cell.config(version)));
        text
    }

    /// nftables puts each mark on the packets to the port of the same number.
    fn marks(&mut self) -> Outcome {
        let mut rules = String::from("flush ruleset\n");
        for ipv6 in [false, true] {
            let of = |cell: &&Cell| cell.row.front == Front::Mark && cell.row.ipv6 == ipv6;
            let marks: BTreeSet<u16> = self.cells.iter().filter(of).map(|cell| cell.port).collect();
            if marks.is_empty() {
                continue;
            }
            let (family, address) =
                if ipv6 { ("ip6", vip(true, 0).ip()) } else { ("ip", vip(false, 0).ip()) };
            let map: Vec<String> = marks.iter().map(|mark| format!("{mark} : {mark}")).collect();
            let _ = writeln!(
                rules,
                "table {family} lab {{ chain pre {{ type filter hook prerouting priority mangle; \
                 {family} daddr {address} meta mark set tcp dport map {{ {} }}; }}; }}",
                map.join(", ")
            );
        }
        let router = self.router()?;
        let path = format!("/tmp/{}.nft", router.host.name);
        std::fs::write(&path, rules).map_err(|error| format!("{path}: {error}"))?;
        router.host.output("nft", &["-f", &path]).map(drop)
    }
}

/// Is it one of the two servers that are probed?
fn is_probed(number: u8) -> bool {
    SERVERS.contains(&number)
}
