//! Another configuration, read while the virtual routers run.

use super::super::clock;
use super::super::file::read_config;
use super::super::programs;
use super::super::reading::{self, Reading};
use super::{Daemon, RunOptions};
use crate::engine::Event;
use crate::model::{Config, IpvsSetting, Level};
use crate::time::{Duration, Instant};

/// What is long is interrupted so often: adverts are to leave within 5 ms of their time (law 1).
const BREATH_INTERVAL: Duration = Duration::from_millis(1);

/// Reads and checks the configuration; what is wrong, one line each, otherwise. `breathe` is called now and
/// then while a large file is read.
pub(super) fn read(options: &RunOptions, breathe: &mut dyn FnMut()) -> Result<Config, String> {
    let path = &options.config;
    let cannot = |e| format!("{}: error: cannot be read: {e}.\n", path.display());
    let bytes = read_config(path).map_err(cannot)?;
    let Reading { config, findings } = reading::read(bytes, path, options.config_id.as_deref(), breathe);
    match config {
        Some(config) => {
            for (level, line) in findings {
                match level {
                    Level::Note => log::info!("{line}"),
                    Level::Warning | Level::Error => log::warn!("{line}"),
                }
            }
            Ok(config)
        }
        None => Err(findings.iter().flat_map(|(_, line)| [line, "\n"]).collect()),
    }
}

impl Daemon {
    /// Reads the file again. With an error in it everything goes on as it is (law 4). Time passes: look at
    /// the clock again.
    pub(super) fn reload(&mut self) -> Result<Config, String> {
        super::super::ready::notify("RELOADING=1");
        let options = self.options.clone();
        let mut result = read(&options, &mut || self.breathe());
        if let Ok(config) = &mut result {
            let mut hint = 0;
            for at in 0..config.services.len() {
                hint = self.engine.share(config, at, hint);
                config.services.get(at).into_iter().for_each(|service| self.errands.learn(service));
                self.breathe();
            }
        }
        super::super::ready::notify("READY=1");
        if let Err(findings) = &result {
            for line in findings.lines() {
                log::error!("{line}");
            }
            log::error!("reload refused; the running configuration stays");
        }
        result
    }

    pub(super) fn take_over(&mut self, now: Instant, config: Config) {
        self.ipvs.set_needs(needs(&config));
        self.ipvs_settings.settle(wanted_by(&config));
        for finding in programs::findings(&config) {
            log::warn!("{finding}");
        }
        self.hooks = config.global.clone();
        self.errands.configure(now, &config);
        self.feed(now, Event::Reload(Box::new(config)));
    }

    /// In the middle of something long: what has arrived is heard and what is due is done, in the order of a
    /// turn, and nothing else.
    fn breathe(&mut self) {
        let now = clock::now();
        if now < self.breath.1 + BREATH_INTERVAL {
            return;
        }
        self.breath.1 = now;
        let late = self.stall.looked(now);
        self.watch_stall(now, late);
        // This turn still needs to know what its own wait has found.
        core::mem::swap(&mut self.poll, &mut self.breath.0);
        self.poll.clear();
        self.packets.register(&mut self.poll);
        match self.poll.wait(Some(Duration::ZERO)) {
            Ok(()) => self.hear(now),
            Err(e) => log::debug!("poll in between: {e}"),
        }
        core::mem::swap(&mut self.poll, &mut self.breath.0);
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.feed(now, Event::Tick);
        }
    }
}

/// Scheduler and persistence engine of each service.
pub(super) fn needs(config: &Config) -> impl Iterator<Item = (&str, Option<&str>)> {
    config.services.iter().map(|service| {
        let engine = service.persistence.as_ref().and_then(|persistence| persistence.engine.as_deref());
        (service.scheduler.as_str(), engine)
    })
}

/// Is it one of the configuration's settings of IPVS?
pub(super) fn wanted_by(config: &Config) -> impl Fn(&IpvsSetting) -> bool {
    |name| config.ipvs.settings.iter().any(|(wanted, _)| wanted == name)
}
