//! The three daemons with one face: the same virtual router in each one's words.

use super::combination::{Combination, Peer};
use super::netns::{Frr, Keepalived, Lan, Node, Vipd};
use serde_json::Value;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// VRID of all rows.
pub const VRID: u8 = 51;
const SOON: Duration = Duration::from_secs(15);

/// How one router is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub priority: u8,
    pub preempt: bool,
    pub interval: Duration,
}

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Active,
    Backup,
    /// Anything else, in its own words.
    Other(String),
}

enum Program {
    Vipd(Vipd),
    /// With the length of its log when it started: an earlier run's words are not its own.
    Keepalived(Keepalived, usize),
    Frr(Frr),
}

/// One of the two routers of a row.
pub struct Router<'l> {
    pub node: &'l Node,
    row: Combination,
    program: Program,
}

impl<'l> Router<'l> {
    /// Starts ours or theirs on a node.
    pub fn start(ours: bool, lan: &'l Lan, node: &'l Node, row: &Combination, setup: Setup) -> Self {
        let other = if node.letter == 'a' { &lan.b } else { &lan.a };
        let program = match (ours, row.peer) {
            (true, _) => Program::Vipd(Vipd::start(lan, node, &vipd(row, setup, node, other))),
            (false, Peer::Keepalived) => {
                let log = lan.folder().join(format!("keepalived-{}.log", node.letter));
                let before = std::fs::read(log).map_or(0, |text| text.len());
                let config = keepalived(row, setup, node, other);
                Program::Keepalived(Keepalived::start(lan, node, &config), before)
            }
            (false, Peer::Frr) => {
                // An earlier run left it switched off for the next one's ignorance of why.
                for name in ["vrrp4-51", "vrrp6-51"] {
                    node.try_ip(&format!("link del {name}"));
                }
                let own = row.ipv6.then(|| frr_link_local(node));
                Frr::device(node, VRID, row.addresses(), own);
                Program::Frr(Frr::start(lan, node, &frr(row, setup)))
            }
        };
        Router { node, row: *row, program }
    }

    /// What it says of itself now.
    pub fn role(&self) -> Role {
        let word = match &self.program {
            Program::Vipd(v) => {
                let status: Value = serde_json::from_str(&v.status()).unwrap_or_default();
                status["instances"][0]["state"].as_str().unwrap_or("silent").to_string()
            }
            Program::Keepalived(k, before) => {
                let log = k.log();
                let words = log.get(*before..).unwrap_or("");
                let state =
                    words.rsplit_once("(VI_1) Entering ").and_then(|(_, rest)| rest.split(' ').next());
                state.unwrap_or("silent").to_string()
            }
            Program::Frr(f) => {
                let status: Value = serde_json::from_str(&f.show()).unwrap_or_default();
                let family = if self.row.ipv6 { "v6" } else { "v4" };
                status[0][family]["status"].as_str().unwrap_or("silent").to_string()
            }
        };
        match word.to_lowercase().as_str() {
            "active" | "master" => Role::Active,
            "backup" => Role::Backup,
            _ => Role::Other(word),
        }
    }

    /// Where hosts reach the virtual address on it.
    pub fn carries(&self) -> Option<String> {
        self.node.carries(self.row.address())
    }

    /// Ends it in its own way.
    pub fn terminate(&mut self) {
        match &mut self.program {
            Program::Vipd(v) => _ = v.terminate(SOON),
            Program::Keepalived(k, _) => _ = k.terminate(SOON),
            Program::Frr(f) => f.terminate(SOON),
        }
    }

    /// Kills it, and takes away what the death of a whole box would have taken; gives the moment.
    pub fn kill(&mut self) -> Instant {
        let at = match &mut self.program {
            Program::Vipd(v) => v.kill_all(),
            Program::Keepalived(k, _) => k.kill_all(),
            Program::Frr(f) => f.kill_all(),
        };
        for name in ["vrrp.51", "vrrp6.51", "vrrp4-51", "vrrp6-51"] {
            self.node.try_ip(&format!("link del {name}"));
        }
        for address in self.row.addresses() {
            self.node.try_ip(&format!("addr del {address} dev eth0"));
        }
        at
    }

    /// `vipd status` of ours.
    pub fn screen(&self) -> String {
        match &self.program {
            Program::Vipd(v) => v.client(&["status"]).1,
            Program::Keepalived(..) | Program::Frr(_) => String::new(),
        }
    }
}

/// What a unicast router of this row sends from.
fn source(row: &Combination, node: &Node) -> String {
    if row.ipv6 { format!("fd09::{}", node.mac[5]) } else { node.address.to_string() }
}

/// FRR sends from its macvlan's own link-local address: below the other router's on router a, above it on b.
fn frr_link_local(node: &Node) -> IpAddr {
    let mut segments = node.link_local().segments();
    segments[5] = if node.letter == 'a' { segments[5] - 1 } else { segments[5] + 1 };
    IpAddr::from(segments)
}

fn vipd(row: &Combination, setup: Setup, node: &Node, other: &Node) -> String {
    let addresses: Vec<String> = row.addresses().iter().map(|a| format!("\"{a}\"")).collect();
    let mut text = format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = {VRID}\nversion = {}\npriority = {}\n\
         preempt = {}\nadvert_interval = \"{}ms\"\naddresses = [{}]\n",
        row.version,
        setup.priority,
        setup.preempt,
        setup.interval.as_millis(),
        addresses.join(", ")
    );
    if row.pass {
        text += "auth_pass = \"1111\"\n";
    }
    if row.unicast {
        let (own, their) = (source(row, node), source(row, other));
        text += &format!("source = \"{own}\"\nunicast_peers = [\"{their}\"]\n");
    }
    if row.virtual_mac.is_ours() {
        text += "virtual_mac = true\n";
    }
    text
}

fn keepalived(row: &Combination, setup: Setup, node: &Node, other: &Node) -> String {
    let mut more = String::new();
    if !setup.preempt {
        more += "nopreempt\n";
    }
    if row.pass {
        more += "authentication {\n auth_type PASS\n auth_pass 1111\n }\n";
    }
    if row.unicast {
        let (own, their) = (source(row, node), source(row, other));
        more += &format!("unicast_src_ip {own}\n unicast_peer {{\n {their}\n }}\n");
    }
    if row.virtual_mac.is_theirs() {
        more += if row.ipv6 { "use_vmac vrrp6.51\n" } else { "use_vmac vrrp.51\n" };
    }
    format!(
        "global_defs {{\n router_id test\n vrrp_version {}\n}}\n\
         vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id {VRID}\n priority {}\n\
         advert_int {}\n {more} virtual_ipaddress {{\n {}\n }}\n}}\n",
        row.version,
        setup.priority,
        setup.interval.as_secs_f64(),
        row.addresses().join("\n ")
    )
}

fn frr(row: &Combination, setup: Setup) -> String {
    let mut lines = vec![
        format!("vrrp {VRID} version {}", row.version),
        format!("vrrp {VRID} priority {}", setup.priority),
        format!("vrrp {VRID} advertisement-interval {}", setup.interval.as_millis()),
    ];
    if !setup.preempt {
        lines.push(format!("no vrrp {VRID} preempt"));
    }
    let word = if row.ipv6 { "ipv6" } else { "ip" };
    let plain = |a: &&str| a.split('/').next().unwrap_or("").to_string();
    lines.extend(row.addresses().iter().map(|a| format!("vrrp {VRID} {word} {}", plain(a))));
    format!("interface eth0\n {}\n", lines.join("\n "))
}
