//! What every cell goes through.

use super::cell::{Cell, REQUESTS, SORRY, Version, judge};
use super::{Run, is_probed};
use crate::field::requests::{Endless, answer, patience};
use crate::field::saved::Saved;
use crate::field::transport::Talk;
use crate::stage::{Outcome, ensure};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Clients at one time: as many as the emulated machine has processors.
const CLIENTS: usize = 2;
/// The kernel takes its time for 520 other schedulers: it waits for all processors at each.
const TABLE: Duration = Duration::from_secs(60);
/// A probe a second, two failures, and the emulated machine's slowness.
const NOTICED: Duration = Duration::from_secs(15);
/// Until the kernel has seen the end of every connection.
const SETTLED: Duration = Duration::from_millis(500);
/// Cells that are drained in one step, about: each has a live conversation.
const DRAINED: usize = 80;

/// A conversation that is under way, and the number of the server that holds it.
type Live = Result<(Talk, u8), String>;

impl Run<'_, '_> {
    pub fn add(&mut self, version: Version) -> Outcome {
        let (stage, interface) =
            (self.field.stage, if self.old_interface { "socket options" } else { "netlink" });
        let title = format!("{} services over {interface}: added", self.cells.len());
        stage.step(&title, || {
            self.marks()?;
            let text = self.config(&self.cells, version);
            let old_interface = self.old_interface;
            let router = self.router()?;
            router.start(&text)?;
            router.wait_active(stage)?;
            let status = router.status()?;
            let sockopt = &status["ipvs"]["sockopt"];
            ensure(*sockopt == old_interface, || format!("the interface: sockopt is {sockopt}"))?;
            self.table("all are in the table", version)?;
            self.spread('A', version);
            Ok(())
        })
    }

    /// Unchanged services keep their counters.
    pub fn reload(&mut self, version: Version) -> Outcome {
        self.field.stage.step("a reload of the same file changes nothing", || {
            let before = self.counters()?;
            let text = self.config(&self.cells, version);
            self.router()?.reload(&text)?;
            let after = self.counters()?;
            ensure(before.len() == after.len(), || {
                format!("{} services, then {}", before.len(), after.len())
            })?;
            counted_on(&before, &after)?;
            self.table("nor the table", version)?;
            self.cells.clone().iter().for_each(|cell| self.report.put(cell, '.', Ok(())));
            Ok(())
        })
    }

    pub fn edit_weights(&mut self, version: Version) -> Outcome {
        self.field.stage.step("a reload with the weights swapped", || {
            let text = self.config(&self.cells, version);
            self.router()?.reload(&text)?;
            self.table("the table says so", version)?;
            self.spread('W', version);
            Ok(())
        })
    }

    pub fn edit_schedulers(&mut self, version: Version) -> Outcome {
        self.field.stage.step("a reload with the schedulers moved on by one", || {
            let text = self.config(&self.cells, version);
            self.router()?.reload(&text)?;
            self.table("the table says so", version)?;
            self.spread('S', version);
            Ok(())
        })
    }

    /// One cell of several, so that every scheduler has its turn.
    pub fn drain(&mut self, version: Version) -> Outcome {
        self.field.stage.step("servers with a live conversation are drained", || {
            let step = self.cells.len().div_ceil(DRAINED);
            let chosen: Vec<Cell> = self.cells.iter().step_by(step).copied().collect();
            let mut lives: Vec<(Cell, Live)> = Vec::new();
            for cell in chosen {
                let live = self.field.client.run(|| converse(&cell));
                if let Ok((_, number)) = &live {
                    self.router()?.vipd(&["drain", &cell.name(), &cell.server(*number).to_string()])?;
                }
                lives.push((cell, live));
            }
            let drained = |lives: &[(Cell, Live)], cell: &Cell| {
                let live = lives.iter().find(|(other, _)| other.port == cell.port);
                live.and_then(|(_, live)| live.as_ref().ok()).map(|(_, number)| *number)
            };
            self.table_of("drained ones have weight 0", version, |cell| {
                let zero = drained(&lives, cell);
                version
                    .servers()
                    .map(|(number, weight)| (number, if zero == Some(number) { 0 } else { weight }))
                    .collect()
            })?;
            let outcomes: Vec<(Cell, Result<(), String>)> = self.field.client.run(|| {
                lives.iter_mut().map(|(cell, live)| (*cell, while_drained(cell, version, live))).collect()
            });
            for (cell, live) in &lives {
                if let Ok((_, number)) = live {
                    self.router()?.vipd(&["undrain", &cell.name(), &cell.server(*number).to_string()])?;
                }
            }
            self.table("undrained, all have their weights again", version)?;
            let client = self.field.client.clone();
            for ((cell, outcome), (_, live)) in outcomes.into_iter().zip(lives) {
                let after = outcome.and_then(|()| {
                    client.run(|| {
                        let (mut talk, number) = live?;
                        still(&mut talk, number)
                    })
                });
                self.report.put(&cell, 'D', after);
            }
            Ok(())
        })
    }

    /// Both servers of all services fail while clients request without a pause.
    pub fn sorry(&mut self, version: Version) -> Outcome {
        let stage = self.field.stage;
        stage.step("both servers fail: the sorry server answers; and back", || {
            let targets: Vec<_> = self.cells.iter().map(|cell| (cell.transport(), cell.target())).collect();
            let endless = Endless::start(&self.field.client, CLIENTS, &targets);
            self.health(false);
            self.table_within("the sorry servers are in their place", NOTICED, version, |_| {
                vec![(SORRY, 1)]
            })?;
            let sorry = self.carry(&self.cells.clone(), 1);
            self.health(true);
            self.table_within("both servers are back", NOTICED, version, |_| version.servers().collect())?;
            let back = self.carry(&self.cells.clone(), 1);
            let ends = endless.end();
            stage.say(format!(
                "   requests without a pause: {} answered, {} refused, {} dropped under way",
                ends.answered.len(),
                ends.refused.len(),
                ends.stalled
            ));
            ensure(ends.broken.is_empty(), || format!("broken: {:?}", ends.broken))?;
            // One of each client at each of the two changes; its own patience is over later.
            ensure(ends.stalled <= 4 * CLIENTS, || format!("{} requests had no answer", ends.stalled))?;
            for ((cell, sorry), back) in self.cells.clone().iter().zip(sorry).zip(back) {
                let wanted = |pages: &[String], numbers: &[u8]| {
                    pages.iter().all(|page| numbers.iter().any(|number| *page == format!("web {number}")))
                };
                let outcome = if ends.refused.contains(&cell.target()) {
                    Err("a request was refused".to_string())
                } else if !wanted(&sorry, &[SORRY]) {
                    Err(format!("{sorry:?} in place of the sorry server"))
                } else if !wanted(&back, &super::SERVERS) {
                    Err(format!("{back:?} when the servers were back"))
                } else {
                    Ok(())
                };
                self.report.put(cell, 'O', outcome);
            }
            Ok(())
        })
    }

    pub fn remove_server(&mut self, version: Version) -> Outcome {
        self.field.stage.step("a reload without the second servers", || {
            let text = self.config(&self.cells, version);
            self.router()?.reload(&text)?;
            self.table("the table says so", version)?;
            for (cell, pages) in self.cells.clone().iter().zip(self.carry(&self.cells.clone(), 2)) {
                let right = pages.iter().all(|page| page == "web 47");
                self.report.put(cell, 'M', if right { Ok(()) } else { Err(format!("{pages:?}")) });
            }
            Ok(())
        })
    }

    /// Every second service of a row goes; the others keep what the kernel counted.
    pub fn remove_services(&mut self, version: Version) -> Outcome {
        self.field.stage.step("a reload without every second service", || {
            let (kept, gone): (Vec<Cell>, Vec<Cell>) =
                self.cells.iter().partition(|cell| cell.column % 2 == 0);
            let before = self.counters()?;
            let text = self.config(&kept, version);
            self.router()?.reload(&text)?;
            let wanted: Saved = kept
                .iter()
                .flat_map(|cell| cell.lines(version, &version.servers().collect::<Vec<_>>()))
                .collect();
            let stage = self.field.stage;
            self.router()?.wait_table(stage, "the others are in the table", &wanted)?;
            let after = self.counters()?;
            counted_on(&before, &after)?;
            for (cell, pages) in gone.iter().zip(self.carry(&gone, 1)) {
                let right = pages == ["ConnectionRefused"];
                self.report.put(
                    cell,
                    'X',
                    if right { Ok(()) } else { Err(format!("{pages:?}, not refused")) },
                );
            }
            for (cell, pages) in kept.iter().zip(self.carry(&kept, 1)) {
                let right = pages == ["web 47"];
                self.report.put(
                    cell,
                    '.',
                    if right { Ok(()) } else { Err(format!("{pages:?}, neighbours gone")) },
                );
            }
            Ok(())
        })
    }

    pub fn end(&mut self) -> Outcome {
        let stage = self.field.stage;
        stage.step("SIGTERM: nothing is left over", || {
            let router = self.router()?;
            let (took, code) = router.daemon()?.end(Signal::SIGTERM)?;
            stage.say(format!("   ended after {:.2} s", took.as_secs_f64()));
            ensure(code == Some(0), || format!("exit status {code:?}"))?;
            Saved::default().is(&router.saved()?)
        })
    }

    fn health(&self, well: bool) {
        for server in self.field.servers.iter().filter(|server| is_probed(server.number)) {
            if well { server.health.up() } else { server.health.down() }
        }
    }

    /// Waits until the table holds all cells as the version has them.
    fn table(&mut self, what: &str, version: Version) -> Outcome {
        self.table_of(what, version, |_| version.servers().collect())
    }

    fn table_of(
        &mut self,
        what: &str,
        version: Version,
        servers: impl Fn(&Cell) -> Vec<(u8, u32)>,
    ) -> Outcome {
        self.table_within(what, TABLE, version, servers)
    }

    fn table_within(
        &mut self,
        what: &str,
        limit: Duration,
        version: Version,
        servers: impl Fn(&Cell) -> Vec<(u8, u32)>,
    ) -> Outcome {
        let wanted: Saved = self.cells.iter().flat_map(|cell| cell.lines(version, &servers(cell))).collect();
        let stage = self.field.stage;
        let router = self.router()?;
        stage.until(what, limit, || wanted.is(&router.saved()?)).map(drop)
    }

    /// What the kernel has counted: a line of connections for each service.
    fn counters(&mut self) -> Outcome<BTreeMap<String, u64>> {
        let text = self.router()?.host.output("ipvsadm", &["-Ln", "--stats", "--exact"])?;
        let services = text.lines().skip(3).filter(|line| !line.trim_start().starts_with("->"));
        let counter = |line: &str| {
            // Protocol and address (a mark of IPv6 says so between them), connections.
            let words: Vec<&str> = line.split_whitespace().collect();
            let (name, count) = match words[..] {
                ["FWM", mark, "IPv6", count, ..] => (format!("FWM {mark} IPv6"), count),
                [protocol, address, count, ..] => (format!("{protocol} {address}"), count),
                _ => return Err(format!("no counters: {line}")),
            };
            Ok((name, count.parse().map_err(|_| format!("no counters: {line}"))?))
        };
        services.map(counter).collect()
    }

    /// [`REQUESTS`] requests of every cell, and what its scheduler makes of them.
    fn spread(&mut self, letter: char, version: Version) {
        let servers: Vec<(u8, u32)> = version.servers().collect();
        let before = self.report.fault_count();
        let mut again = 0;
        for (cell, pages) in self.cells.clone().iter().zip(self.carry(&self.cells.clone(), REQUESTS)) {
            let mut outcome = judge(cell.scheduler(version), &servers, &pages);
            // A connection that had not ended in the kernel when the next one came (SCTP takes leave behind
            // the client's back) is one too many for those that count: only what happens twice is a fault.
            if outcome.is_err() && pages.iter().all(|page| page.starts_with("web ")) {
                std::thread::sleep(SETTLED);
                let pages = self.carry(std::slice::from_ref(cell), REQUESTS).concat();
                outcome = judge(cell.scheduler(version), &servers, &pages);
                again += 1;
            }
            self.report.put(cell, letter, outcome);
        }
        let faults = self.report.fault_count() - before;
        self.field.stage.say(format!(
            "   {} requests, {again} cells asked twice, {faults} faults",
            self.cells.len() * REQUESTS
        ));
        self.report.last(faults.min(4)).iter().for_each(|fault| self.field.stage.say(format!("   {fault}")));
    }

    /// The answers to so many requests of every cell, one after the other; several cells at a time.
    fn carry(&self, cells: &[Cell], count: usize) -> Vec<Vec<String>> {
        let host = &self.field.client;
        let serve = |cells: &[Cell]| -> Vec<Vec<String>> {
            host.enter();
            let one = |cell: &Cell| (0..count).map(|_| answer(cell.transport(), cell.target())).collect();
            cells.iter().map(one).collect()
        };
        let part = cells.len().div_ceil(CLIENTS).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = cells.chunks(part).map(|cells| scope.spawn(|| serve(cells))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    }
}

/// Services that are there before and after go on counting their connections: one that was made anew begins
/// at zero.
fn counted_on(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Outcome {
    let fell = after.iter().find(|(name, count)| before.get(*name).is_none_or(|before| before > *count));
    ensure(fell.is_none(), || format!("counted anew: {fell:?}, {:?}", fell.map(|(name, _)| before.get(name))))
}

/// A live conversation with a cell, and the number of the server at its other end.
fn converse(cell: &Cell) -> Result<(Talk, u8), String> {
    let told = |error: std::io::Error| format!("no conversation: {error}");
    let mut talk = Talk::open(cell.transport(), cell.target(), patience(cell.transport())).map_err(told)?;
    let page = talk.ask().map_err(told)?;
    let number = page.strip_prefix("web ").and_then(|number| number.parse().ok());
    number.map(|number| (talk, number)).ok_or_else(|| format!("{page} answers"))
}

/// The conversation is with whom it was.
fn still(talk: &mut Talk, number: u8) -> Result<(), String> {
    let page = talk.ask().map_err(|error| format!("the conversation broke: {error}"))?;
    if page == format!("web {number}") { Ok(()) } else { Err(format!("{page} goes on with it")) }
}

/// The live one goes on, new ones do not reach the drained server.
fn while_drained(cell: &Cell, version: Version, live: &mut Result<(Talk, u8), String>) -> Result<(), String> {
    let (talk, number) = live.as_mut().map_err(|why| why.clone())?;
    let drained = format!("web {number}");
    // The kernel's `dh` has no way around a server of weight 0: a client waits for its refusal.
    let helpless = cell.scheduler(version) == "dh";
    let count = if helpless { 1 } else { REQUESTS };
    let pages: Vec<String> = (0..count).map(|_| answer(cell.transport(), cell.target())).collect();
    let right = |page: &String| *page != drained && (page.starts_with("web ") || helpless);
    if !pages.iter().all(right) {
        return Err(format!("{drained} is drained, new requests got {pages:?}"));
    }
    still(talk, *number)
}
