//! The only room with descriptors, clocks, processes and `unsafe`.

pub mod client;
pub mod control;
pub mod errno;
pub mod ipvs;
mod netlink;
pub mod poll;
pub mod rtnl;
