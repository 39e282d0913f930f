//! The only room with descriptors, clocks, processes and `unsafe`.

pub mod client;
pub mod control;
pub mod poll;
