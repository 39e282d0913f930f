//! Bytes ↔ typed values. One file per format; no clock, no socket, no allocation.
//!
//! The length of an input is proved once, by a `parse` that returns an error with a reason; after that no
//! accessor can panic. `emit` writes into the caller's buffer.

pub mod arp;
pub mod checksum;
pub mod connector;
pub mod date;
pub mod dns;
pub mod genetlink;
pub mod http;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod ipvs;
pub mod job;
pub mod lookup;
pub mod ndisc;
pub mod netlink;
pub mod rtnetlink;
mod rung;
pub mod vrrp;
pub mod x509;
