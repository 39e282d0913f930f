//! What the loop does beside the network: programs, FIFOs, files and processes that are looked at, and the
//! daemon's own place on the processor.

use super::fifo::Fifos;
use super::poll::PollSet;
use super::realtime;
use super::runner::{Ended, GRACE, Owner, Runner};
use super::signals::{Signals, Wish};
use super::watch::Watch;
use crate::engine::{Engine, Event, ProbeId, RunId};
use crate::model::{Command, Config, FifoKind, Service};
use crate::time::{Duration, Instant};
use std::io;

/// At the end the readers of FIFOs have so long to take the last lines out before they are told to end.
const LAST_LINES: Duration = Duration::from_millis(500);
/// One look at them.
const GLANCE: Duration = Duration::from_millis(20);

/// All of it.
pub(super) struct Errands {
    runner: Runner,
    fifos: Fifos,
    watch: Watch,
    realtime: realtime::Applied,
}

impl Errands {
    /// Nothing of it yet.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Errands {
            runner: Runner::open()?,
            fifos: Fifos::default(),
            watch: Watch::default(),
            realtime: realtime::Applied::default(),
        })
    }

    /// Keeps in mind as whom the programs of a service run; before `configure`, for each.
    pub(super) fn learn(&mut self, service: &Service) {
        self.runner.learn(service);
    }

    /// Takes a configuration over, before the engine does.
    pub(super) fn configure(&mut self, now: Instant, config: &Config) {
        self.runner.configure(config);
        self.fifos.configure(now, &config.fifos, &mut self.runner);
        self.watch.configure(now, &config.tracks);
        self.realtime.apply(config.realtime);
    }

    /// Runs a program and waits for it, for at most its timeout: before the loop and after it. Gives what
    /// the daemon was told to do meanwhile; for [`Wish::Leave`], which comes before all else, the program is
    /// told to end.
    pub(super) fn run_hook(
        &mut self,
        command: &Command,
        signals: &mut Signals,
        clock: fn() -> Instant,
    ) -> Option<Wish> {
        let mut set = PollSet::new();
        let mut result = None;
        let mut wanted = None;
        let name = command.argv.first().map_or("", String::as_str);
        self.runner.start_hook(clock(), command);
        // Ends at the deadline of the program at the latest, and 2 s later where it does not obey.
        while result.is_none() && wanted != Some(Wish::Leave) {
            set.clear();
            signals.register(&mut set);
            self.runner.register(&mut set);
            let now = clock();
            let deadlines = [self.runner.next_deadline(), self.fifos.next_deadline()];
            let at = deadlines.into_iter().flatten().min().unwrap_or(now);
            let _ = set.wait(Some(if at > now { at - now } else { Duration::ZERO }));
            while let Some(wish) = signals.take(&set) {
                match wish {
                    Wish::Leave => wanted = Some(Wish::Leave),
                    Wish::Reload => wanted = wanted.or(Some(Wish::Reload)),
                    // The runner looks after its children anyway.
                    Wish::Child => {}
                }
            }
            let (now, fifos) = (clock(), &mut self.fifos);
            self.runner.process(now, &set, true, &mut |ended: Ended| match ended.owner {
                Owner::Hook => result = Some(ended.outcome),
                Owner::Reader(kind) => fifos.handle_ended(now, kind, ended),
                // The engine and the control socket have none on their way before the loop or after it.
                Owner::Engine(_) | Owner::Asked(_) => {}
            });
            self.fifos.tick(now, &mut self.runner);
        }
        match result {
            Some(outcome) if outcome.is_success() => log::info!("{name} {outcome}"),
            Some(outcome) => log::warn!("{name} {outcome}"),
            None => self.runner.stop(clock(), Owner::Hook),
        }
        wanted
    }

    /// Starts a program of the engine.
    pub(super) fn run(&mut self, now: Instant, id: RunId, engine: &Engine) {
        if let Some(spec) = engine.run_spec(id) {
            self.runner.start(now, id, &spec);
        }
    }

    /// Starts the script of a check because somebody asks for it.
    pub(super) fn run_asked(&mut self, now: Instant, id: ProbeId, command: &Command) {
        self.runner.start_asked(now, id, command);
    }

    /// Ends it; no end is told of it.
    pub(super) fn stop_asked(&mut self, now: Instant, id: ProbeId) {
        self.runner.stop(now, Owner::Asked(id));
    }

    /// Ends a program of the engine.
    pub(super) fn stop(&mut self, now: Instant, id: RunId) {
        self.runner.stop(now, Owner::Engine(id));
    }

    /// Writes a line into FIFOs.
    pub(super) fn tell(&mut self, now: Instant, kind: FifoKind, line: &str) {
        self.fifos.write(now, kind, line);
    }

    /// Adds what is waited for to this turn's set.
    pub(super) fn register(&mut self, set: &mut PollSet) {
        self.runner.register(set);
        self.watch.register(set);
    }

    /// When `process` has to be called at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let watch = self.watch.next_deadline();
        [self.runner.next_deadline(), self.fifos.next_deadline(), watch].into_iter().flatten().min()
    }

    /// Looks after everything. `child`: SIGCHLD has come. `sink` gets what the engine has to know, `asked`
    /// the ends of scripts that somebody asked for.
    pub(super) fn process(
        &mut self,
        now: Instant,
        set: &PollSet,
        child: bool,
        engine: &Engine,
        sink: &mut dyn FnMut(Event<'static>),
        asked: &mut dyn FnMut(ProbeId, Ended),
    ) {
        let fifos = &mut self.fifos;
        self.runner.process(now, set, child, &mut |ended| match ended.owner {
            Owner::Engine(id) => sink(Event::Ran { id, outcome: ended.outcome, took: ended.took }),
            Owner::Reader(kind) => fifos.handle_ended(now, kind, ended),
            Owner::Asked(id) => asked(id, ended),
            Owner::Hook => {}
        });
        self.fifos.tick(now, &mut self.runner);
        self.watch.process(now, set, sink);
        while let Some(id) = self.runner.next_waiting() {
            self.run(now, id, engine);
        }
    }

    /// The loop has ended: the readers take the last lines out, then all programs are told to end, and
    /// killed where they do not within 2 s.
    pub(super) fn shutdown(&mut self, clock: fn() -> Instant) {
        let give_up_at = clock() + LAST_LINES;
        while !self.fifos.is_read() && clock() < give_up_at {
            let _ = PollSet::new().wait(Some(GLANCE));
        }
        self.fifos.close();
        self.runner.end_all(clock());
        let kill_at = clock() + GRACE;
        while !self.runner.is_ended() && clock() < kill_at {
            let _ = PollSet::new().wait(Some(GLANCE));
        }
        self.runner.kill_all();
    }
}
