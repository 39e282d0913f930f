//! Another configuration, read while the virtual routers run.

use super::super::clock;
use super::super::file::{read_config, read_key};
use super::super::programs;
use super::Daemon;
use crate::config;
use crate::engine::Event;
use crate::model::{Config, IpvsSetting};
use crate::time::{Duration, Instant};
use std::path::Path;

/// What is long is interrupted so often: adverts are to leave within 5 ms of their time (law 1).
const BREATH_INTERVAL: Duration = Duration::from_millis(1);

/// Reads and checks the configuration; what is wrong, one line each, otherwise. `breathe` is called now and
/// then while a large file is read.
pub(super) fn read(path: &Path, breathe: &mut dyn FnMut()) -> Result<Config, String> {
    let name = path.display().to_string();
    let bytes = read_config(path).map_err(|e| format!("{name}: error: cannot be read: {e}.\n"))?;
    let (config, findings) = config::parse_file(&bytes, &name, &read_key, breathe);
    let mut text = String::new();
    for finding in findings.iter() {
        text.push_str(&format!("{finding}\n"));
    }
    if findings.left_out() > 0 {
        text.push_str(&format!("{name}: {} more findings not shown.\n", findings.left_out()));
    }
    match config {
        Some(config) => {
            for line in text.lines() {
                log::warn!("{line}");
            }
            Ok(config)
        }
        None => Err(text),
    }
}

impl Daemon {
    /// Reads the file again. With an error in it everything goes on as it is (law 4). Time passes: look at
    /// the clock again.
    pub(super) fn reload(&mut self) -> Result<Config, String> {
        super::super::ready::notify("RELOADING=1");
        let path = self.options.config.clone();
        let result = read(&path, &mut || self.breathe());
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
        self.ipvs.set_interface(config.ipvs.interface);
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
