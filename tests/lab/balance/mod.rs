//! What services can do besides spreading requests: groups, stickiness, settings, synchronisation, and how
//! they bear failures and other people. Each scenario has a [`crate::field::Field`] of its own.

pub mod clients;
pub mod crash;
pub mod foreign;
pub mod fronts;
pub mod servers;
pub mod sync;
pub mod whole;

use crate::field::{PORT, address};
use std::net::SocketAddr;

/// A check that follows the servers' health within two seconds, and bears that the machine stands still for
/// one.
pub const CHECK: &str = "check = { type = \"tcp\", port = 9, interval = \"1s\", timeout = \"1s\", \
                         retry_interval = \"300ms\", fall = 2 }\n";

/// `[[service]]` behind NAT with servers of these weights; `more` are keys of its own. IPv6 where the front's
/// text says so, or a group's name ends with a 6.
pub fn service(name: &str, front: &str, scheduler: &str, more: &str, servers: &[(u8, u32)]) -> String {
    let ipv6 = front.contains("[fd10") || front.contains("\"ipv6\"") || front.ends_with("6\"");
    let mut text = format!(
        "[[service]]\nname = \"{name}\"\n{front}\nscheduler = \"{scheduler}\"\nforward = \"nat\"\n{more}"
    );
    for (number, weight) in servers {
        text += &format!("[[service.server]]\naddress = \"{}\"\nweight = {weight}\n", server(*number, ipv6));
    }
    text
}

/// A server's own door.
pub fn server(number: u8, ipv6: bool) -> SocketAddr {
    SocketAddr::new(address(number, ipv6), PORT)
}

/// The lines of a service behind NAT in `ipvsadm -Sn`: `row("-t 10.0.0.100:80", "rr", "", ..)`.
pub fn row(front: &str, scheduler: &str, more: &str, servers: &[(u8, u32)]) -> Vec<String> {
    let ipv6 = front.contains("[fd10") || front.ends_with("-6");
    let to = |(number, weight): &(u8, u32)| format!("-a {front} -r {} -m -w {weight}", server(*number, ipv6));
    std::iter::once(format!("-A {front} -s {scheduler}{more}")).chain(servers.iter().map(to)).collect()
}

/// What the kernel has counted: protocol, address and connections of each service.
pub fn counters(host: &crate::net::Host) -> crate::stage::Outcome<Vec<String>> {
    let text = host.output("ipvsadm", &["-Ln", "--stats", "--exact"])?;
    let services = text.lines().skip(3).filter(|line| !line.trim_start().starts_with("->"));
    Ok(services.map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect())
}
