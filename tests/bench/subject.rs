//! The two daemons with one face: the same VRRP instance in each one's words.

use super::netns::{Daemon, Keepalived, Lan, Node, Vipd};
use std::process::Command;

pub use super::who::Subject;

/// A daemon that runs.
pub enum Running {
    Vipd(Vipd),
    Keepalived(Keepalived),
}

impl Running {
    pub fn daemon(&mut self) -> &mut Daemon {
        match self {
            Running::Vipd(v) => v,
            Running::Keepalived(k) => k,
        }
    }
}

/// One v3 instance, VRID 51, on `eth0`; of IPv6 where its first address is.
#[derive(Debug, Clone)]
pub struct Instance {
    pub priority: u8,
    pub interval_ms: u64,
    /// In CIDR form.
    pub vips: Vec<String>,
    /// More of vipd's file.
    pub more: String,
}

impl Subject {
    pub fn is_there(self) -> bool {
        self == Subject::Vipd || Command::new("keepalived").arg("--version").output().is_ok()
    }

    pub fn start(self, lan: &Lan, node: &Node, instance: &Instance) -> Running {
        let config = match self {
            Subject::Vipd => ours(instance),
            Subject::Keepalived => theirs(instance),
        };
        self.start_with(lan, node, &config)
    }

    /// With a configuration in its own words.
    pub fn start_with(self, lan: &Lan, node: &Node, config: &str) -> Running {
        match self {
            Subject::Vipd => Running::Vipd(Vipd::start_at(lan, node, config, "info")),
            Subject::Keepalived => Running::Keepalived(Keepalived::start_with(lan, node, config, &[])),
        }
    }
}

fn ours(i: &Instance) -> String {
    let vips: Vec<String> = i.vips.iter().map(|v| format!("\"{v}\"")).collect();
    format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\npriority = {}\n\
         advert_interval = \"{}ms\"\naddresses = [{}]\n{}\n",
        i.priority,
        i.interval_ms,
        vips.join(", "),
        i.more
    )
}

/// An advert lists 255 addresses at most; keepalived wants the rest in a block of their own.
fn theirs(i: &Instance) -> String {
    let (listed, excluded) = i.vips.split_at(i.vips.len().min(200));
    format!(
        "global_defs {{\n router_id bench\n vrrp_version 3\n}}\nvrrp_instance VI_1 {{\n state BACKUP\n \
         interface eth0\n \
         virtual_router_id 51\n priority {}\n advert_int {}\n virtual_ipaddress {{\n {}\n }}\n \
         virtual_ipaddress_excluded {{\n {}\n }}\n}}\n",
        i.priority,
        i.interval_ms as f64 / 1000.0,
        listed.join("\n "),
        excluded.join("\n ")
    )
}
