//! The only room with descriptors, clocks, processes and `unsafe`.

mod ask;
mod child;
pub mod client;
pub mod clock;
pub mod control;
mod crew;
mod daemon;
mod dial;
mod epoll;
mod errands;
pub mod errno;
pub mod fifo;
pub mod file;
mod heap;
#[cfg(feature = "import")]
pub mod import;
mod inquiry;
pub mod ipvs;
pub mod log;
pub mod lookup;
mod netlink;
pub mod packet;
mod pair;
pub mod poll;
pub mod prober;
pub mod programs;
pub mod reading;
mod ready;
pub mod realtime;
mod record;
pub mod resolver;
pub mod rtnl;
pub mod runner;
mod sandbox;
mod seccomp;
pub mod settings;
pub mod signals;
pub mod watch;
pub mod worker;

pub use daemon::{RunOptions, run};
