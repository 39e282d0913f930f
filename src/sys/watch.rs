//! Files and processes that trackers look at.

mod files;
mod processes;

use super::poll::PollSet;
use crate::engine::Event;
use crate::model::Track;
use crate::time::Instant;
use files::Files;
use processes::Processes;

/// All of them.
#[derive(Debug, Default)]
pub struct Watch {
    files: Files,
    processes: Processes,
}

impl Watch {
    /// From now on looks at what these trackers want; all is told anew.
    pub fn configure(&mut self, now: Instant, tracks: &[Track]) {
        self.files.configure(now, tracks);
        self.processes.configure(now, tracks);
    }

    /// Adds what is waited for to this turn's set.
    pub fn register(&mut self, set: &mut PollSet) {
        self.files.register(set);
        self.processes.register(set);
    }

    /// When `process` has to be called at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.files.next_deadline(), self.processes.next_deadline()].into_iter().flatten().min()
    }

    /// Looks at what has changed or is due; `sink` gets [`Event::TrackedFile`] and [`Event::TrackedProcess`].
    pub fn process(&mut self, now: Instant, set: &PollSet, sink: &mut dyn FnMut(Event<'static>)) {
        self.files.process(now, set, sink);
        self.processes.process(now, set, sink);
    }
}
