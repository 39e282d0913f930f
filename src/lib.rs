//! vipd: VRRP and IPVS for small routers.
//!
//! # The house
//!
//! ```text
//! main → cli → sys → { engine, control, probe, config } → model → wire → { time, limits }
//! ```
//!
//! Imports run downward only, and rooms on one floor do not import each other; `tests/tidy.rs` holds that.

pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod limits;
pub mod model;
pub mod probe;
pub mod sys;
pub mod time;
pub mod wire;
