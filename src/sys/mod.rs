//! The only room with descriptors, clocks, processes and `unsafe`.

pub mod client;
pub mod control;
mod crew;
mod dial;
pub mod errno;
pub mod ipvs;
mod netlink;
mod pair;
pub mod poll;
pub mod prober;
pub mod rtnl;
mod sandbox;
mod seccomp;
pub mod worker;
