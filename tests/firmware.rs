//! What packages bring along, run as on a device: init scripts and the like under busybox, in namespaces,
//! with the real vipd; and vipd where the system around it is small, odd or changed by others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "firmware/buildroot.rs"]
mod buildroot;
#[path = "firmware/console.rs"]
mod console;
#[path = "firmware/device.rs"]
mod device;
#[path = "firmware/manners.rs"]
mod manners;
#[path = "firmware/netifd.rs"]
mod netifd;
#[path = "netns/mod.rs"]
mod netns;
#[path = "firmware/openwrt.rs"]
mod openwrt;
#[path = "firmware/packages.rs"]
mod packages;
#[path = "firmware/uci.rs"]
mod uci;
#[path = "firmware/web.rs"]
mod web;
