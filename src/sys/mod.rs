//! The only room with descriptors, clocks, processes and `unsafe`.

pub mod poll;
