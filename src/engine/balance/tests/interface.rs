//! The kernel's old interface knows no IPv6 (IPVS-90): what it could not remove goes before.

use super::*;
use crate::engine::Refusal;
use crate::model::Ipvs;

const SIX: &str = "[2001:db8::1]:80";

fn config(addresses: &[&str], interface: IpvsInterface) -> Config {
    let services = addresses.iter().map(|address| service("web", address).into()).collect();
    Config { services, ipvs: Ipvs { interface, ..Ipvs::default() }, ..s1() }
}

#[test]
fn ipvs90_services_of_ipv6_leave_before_the_old_interface_is_used() {
    let mut bed = Bed::started(&config(&["10.0.0.1:80", SIX], IpvsInterface::Netlink));
    bed.reload(&config(&["10.0.0.1:80"], IpvsInterface::Sockopt));
    let problem = bed.snapshot().problems[0].clone();
    assert!(problem.contains("waits: 1 services of ours with IPv6"), "{problem}");
    assert_eq!(bed.log(), ["-[2001:db8::1]:80", "Sockopt"]);
    assert_eq!(bed.kernel.text(), ["10.0.0.1:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
    assert!(bed.snapshot().problems.is_empty() && bed.snapshot().ipvs.unwrap().sockopt);
    bed.go(30.0);
    assert_eq!(bed.log(), [""; 0]);
    bed.reload(&config(&["10.0.0.1:80"], IpvsInterface::Auto));
    assert_eq!(bed.log(), ["Auto"], "netlink sees all: nothing to wait for");
}

/// A server of IPv6 behind a service of IPv4, over a tunnel.
#[test]
fn ipvs90_so_do_servers_of_ipv6() {
    let mut both = config(&["10.0.0.1:80"], IpvsInterface::Auto);
    both.services[0].servers.push(server("[2001:db8::9]:80", 1));
    let mut bed = Bed::started(&both);
    bed.reload(&config(&["10.0.0.1:80"], IpvsInterface::Sockopt));
    assert_eq!(bed.log(), ["- [2001:db8::9]:80", "Sockopt"]);
}

#[test]
fn ipvs90_a_killed_run_s_services_of_ipv6_go_too() {
    let mut killed = Bed::started(&config(&["10.0.0.1:80", SIX], IpvsInterface::Auto));
    let mut bed = Bed::new(&config(&["10.0.0.1:80"], IpvsInterface::Sockopt));
    bed.kernel.table = core::mem::take(&mut killed.kernel.table);
    bed.recorded.clone_from(&killed.recorded);
    bed.balancer.handle_left(&killed.recorded);
    bed.start();
    assert_eq!(bed.log(), ["resolve", "-[2001:db8::1]:80", "Sockopt"]);
    let mut bed = Bed::new(&config(&["10.0.0.1:80"], IpvsInterface::Sockopt));
    bed.start();
    assert_eq!(bed.log()[..2], ["Sockopt", "resolve"], "otherwise netlink is never asked");
}

/// What the kernel refuses to remove keeps the interface, and `status` says why.
#[test]
fn ipvs90_what_stays_is_a_problem() {
    let mut bed = Bed::started(&config(&["10.0.0.1:80", SIX], IpvsInterface::Netlink));
    bed.kernel.refuse.push(("-[2001", Refusal::NotPermitted));
    bed.reload(&config(&["10.0.0.1:80"], IpvsInterface::Sockopt));
    bed.go(60.0);
    assert!(!bed.log().contains(&"Sockopt".into()));
    let problems = bed.snapshot().problems;
    assert!(problems[0].contains("interface = \"sockopt\" waits"), "{problems:?}");
    assert!(problems[1].contains("not permitted"), "{problems:?}");
    bed.kernel.refuse.clear();
    bed.go(120.0);
    assert_eq!(bed.log().last().unwrap(), "Sockopt");
    assert!(bed.snapshot().problems.is_empty());
    // Without netlink there is no other way.
    let mut bed = Bed::started(&config(&["10.0.0.1:80", SIX], IpvsInterface::Netlink));
    bed.ipvs(IpvsEvent::Absent { why: cut(format_args!("unloaded")) });
    bed.reload(&config(&["10.0.0.1:80"], IpvsInterface::Sockopt));
    assert_eq!(bed.log()[0], "Sockopt");
}
