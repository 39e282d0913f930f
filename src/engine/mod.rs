//! The pure core: `(now, event)` in, actions out.
//!
//! ```text
//! pub fn handle(&mut self, now: Instant, event: Event, actions: &mut Actions);   // total: no error, no panic
//! pub fn next_deadline(&self) -> Option<Instant>;                                 // min over the states' own deadlines
//! pub fn snapshot(&self, now) -> Snapshot;
//! ```
//!
//! The engine knows no clock, no file descriptor and no file. Deadlines live inside the state that they belong to, so
//! a timer of a state that was left cannot fire. Actions are values, in order, built from current parameters; the
//! caller handles one event, drains its actions in order, then hands in the next event. A failed action comes back
//! as an event.

mod event;

pub use event::{
    Action, Actions, AddressChange, AddressOp, Event, IpvsEvent, IpvsRequest, Letter, Link, LinkName,
    Outcome, ProbeId, ProbeSpec, Refusal,
};
