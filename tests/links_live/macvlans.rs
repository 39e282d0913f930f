//! Macvlans with a virtual MAC.

use crate::bed::{in_namespace, index_of, ip};
use crate::kernel::Kernel;
use vipd::engine::{Event, Link, LinkKind, LinkName, Refusal};
use vipd::model::AddressOptions;
use vipd::sys::clock::now;
use vipd::sys::rtnl::Macvlan;
use vipd::time::Duration;
use vipd::wire::vrrp::Family;

const MAC4: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];
const MAC6: [u8; 6] = [0, 0, 0x5e, 0, 2, 51];

fn macvlan(parent: u32, name: &str, family: Family) -> Macvlan {
    let mac = if family == Family::V4 { MAC4 } else { MAC6 };
    Macvlan { parent, name: LinkName::new(name), mac, family, with_ipv6: family == Family::V6 }
}

/// A base interface that is up; its other end, too.
fn base() -> u32 {
    ip("link add eth0 type veth peer name far");
    ip("link set far up");
    ip("link set eth0 up");
    index_of("eth0")
}

fn setting(family: &str, name: &str, key: &str) -> String {
    let path = format!("/proc/sys/net/{family}/conf/{name}/{key}");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_string()
}

fn set(path: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{path}"), value).unwrap();
}

fn told(kernel: &mut Kernel, name: &str, up: bool) -> Link {
    let wanted = LinkName::new(name);
    kernel.until(name, |e| matches!(e, Event::Link(link) if link.name == wanted && link.up == up));
    kernel.link(name).unwrap()
}

#[test]
fn vmac1_vmac10_vmac20_macvlan_is_made_down_private_and_set_up() {
    in_namespace(|| {
        let eth0 = base();
        ip("link set eth0 group 7");
        set("ipv4/conf/eth0/forwarding", "1");
        let mut kernel = Kernel::open();
        kernel.rtnl.make_macvlan(&macvlan(eth0, "vrrp.51", Family::V4)).unwrap();
        let link = told(&mut kernel, "vrrp.51", false);
        assert_eq!(link.kind, LinkKind::Macvlan { parent: eth0, is_private: true }, "VMAC-10");
        assert_eq!((link.mac, link.up, link.running), (Some(MAC4), false, false), "VMAC-1, VMAC-18: down");
        let all = ip("-d link show dev vrrp.51");
        assert!(all.contains("mode private") && all.contains("group 7"), "VMAC-10, VMAC-22: {all}");
        for (key, want) in [
            ("arp_ignore", "1"),
            ("accept_local", "1"),
            ("rp_filter", "2"),
            ("promote_secondaries", "1"),
            ("forwarding", "1"),
        ] {
            assert_eq!(setting("ipv4", "vrrp.51", key), want, "VMAC-20, VMAC-33: {key}");
        }
        assert_eq!(setting("ipv6", "vrrp.51", "disable_ipv6"), "1", "an IPv4 router has no IPv6 there");
        assert_eq!(setting("ipv6", "vrrp.51", "addr_gen_mode"), "1", "VMAC-20");
        assert_eq!(setting("ipv4", "all", "rp_filter"), "0", "VMAC-33: `all` is not touched");
        kernel.rtnl.set_link(link.index, true).unwrap();
        assert!(told(&mut kernel, "vrrp.51", true).up, "VMAC-18: a change of `up` alone is told");
        kernel.rtnl.set_link(link.index, false).unwrap();
        kernel.quiet();
        kernel.rtnl.remove_macvlan(link.index, &link.name).unwrap();
        kernel.until("its end", |e| matches!(e, Event::LinkGone { index } if *index == link.index));
        let again = kernel.rtnl.remove_macvlan(link.index, &link.name);
        assert_eq!(again, Err(Refusal::NoDevice), "VMAC-23: the second delete");
    });
}

#[test]
fn vmac2_vmac30_vmac31_vmac36_ipv6_macvlan_says_nothing_by_itself() {
    in_namespace(|| {
        let eth0 = base();
        set("ipv6/conf/eth0/forwarding", "1");
        let mut kernel = Kernel::open();
        kernel.rtnl.make_macvlan(&macvlan(eth0, "vrrp6.51", Family::V6)).unwrap();
        for (key, want) in [
            ("disable_ipv6", "0"),
            ("accept_ra", "0"),
            ("autoconf", "0"),
            ("accept_dad", "0"),
            ("dad_transmits", "0"),
            ("forwarding", "1"),
            ("addr_gen_mode", "1"),
        ] {
            assert_eq!(setting("ipv6", "vrrp6.51", key), want, "VMAC-31, VMAC-36: {key}");
        }
        assert_eq!(setting("ipv4", "vrrp6.51", "arp_ignore"), "1");
        let index = index_of("vrrp6.51");
        kernel.rtnl.set_link(index, true).unwrap();
        assert_eq!(ip("-6 -o addr show dev vrrp6.51"), "", "VMAC-2, VMAC-30: no EUI-64 of the virtual MAC");
        kernel.add(index, "fe80::51/64", None, AddressOptions { deprecated: true, ..Default::default() });
        let all = ip("-6 -o addr show dev vrrp6.51");
        assert!(all.contains("fe80::51/64") && !all.contains("tentative"), "VMAC-30, usable at once: {all}");
        assert_eq!(all.lines().count(), 1, "the only one: {all}");
    });
}

#[test]
fn vmac4_left_over_of_a_crashed_run_is_taken_over_and_nothing_else() {
    in_namespace(|| {
        let eth0 = base();
        let mut kernel = Kernel::open();
        let new = macvlan(eth0, "vrrp.51", Family::V4);
        kernel.rtnl.make_macvlan(&new).unwrap();
        let index = index_of("vrrp.51");
        ip("link set vrrp.51 up");
        set("ipv4/conf/vrrp.51/arp_ignore", "0");
        kernel.rtnl.make_macvlan(&new).unwrap();
        assert_eq!(index_of("vrrp.51"), index, "taken over, not made anew");
        assert_eq!(setting("ipv4", "vrrp.51", "arp_ignore"), "1", "but set up anew");
        assert!(ip("link show dev vrrp.51").contains("UP"), "as it was");
        let other_mac = Macvlan { mac: MAC6, ..new };
        assert_eq!(kernel.rtnl.make_macvlan(&other_mac), Err(Refusal::Exists), "another MAC");
        let twin = Macvlan { name: LinkName::new("twin"), ..new };
        kernel.rtnl.make_macvlan(&twin).unwrap();
        let up = kernel.rtnl.set_link(index_of("twin"), true);
        assert_eq!(up, Err(Refusal::Exists), "EADDRINUSE: the MAC is up on the parent");
        ip("link add bridged link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge");
        ip("link add plain type veth peer name other");
        ip("link add far.51 link far address 00:00:5e:00:01:33 type macvlan mode private");
        for name in ["bridged", "plain", "far.51"] {
            let name = LinkName::new(name);
            let refused = kernel.rtnl.make_macvlan(&Macvlan { name, ..new });
            assert_eq!(refused, Err(Refusal::Exists), "mode, kind, parent: {name:?}");
        }
        for name in ["bridged", "plain"] {
            let refused = kernel.rtnl.remove_macvlan(index_of(name), &LinkName::new(name));
            assert_eq!(refused, Err(Refusal::Exists), "{name} is not ours to remove");
        }
        let refused = kernel.rtnl.remove_macvlan(index, &LinkName::new("vrrp.99"));
        assert_eq!(refused, Err(Refusal::Exists), "the index has another name by now");
        ip("link show dev bridged");
    });
}

#[test]
fn vmac5_vmac23_parents_that_cannot_have_one_are_refused() {
    in_namespace(|| {
        base();
        let mut kernel = Kernel::open();
        let refused = kernel.rtnl.make_macvlan(&macvlan(4000, "vrrp.51", Family::V4));
        assert_eq!(refused, Err(Refusal::NoDevice), "VMAC-23: unknown parent");
        let refused = kernel.rtnl.make_macvlan(&macvlan(1, "vrrp.51", Family::V4));
        assert_eq!(refused, Err(Refusal::Invalid), "VMAC-5: the loopback interface is no Ethernet");
        assert_eq!(kernel.rtnl.set_link(4000, true), Err(Refusal::NoDevice));
    });
}

#[test]
fn vmac6_macvlan_on_a_macvlan_is_recognised_again() {
    in_namespace(|| {
        base();
        ip("link add wan link eth0 type macvlan mode bridge");
        let mut kernel = Kernel::open();
        let new = macvlan(index_of("wan"), "vrrp.51", Family::V4);
        kernel.rtnl.make_macvlan(&new).unwrap();
        assert_eq!(kernel.rtnl.make_macvlan(&new), Ok(()), "the kernel puts it on the lowest device");
    });
}

#[test]
fn vmac32_settings_come_back_after_the_last_holder_and_after_a_crash() {
    use vipd::engine::Setting::{ArpFilter, ArpIgnore};
    use vipd::sys::settings::Settings;
    in_namespace(|| {
        let eth0 = base();
        set("ipv4/conf/eth0/arp_ignore", "2");
        let file = std::env::temp_dir().join(format!("vipd-live-{}.settings", std::process::id()));
        let mut kernel = Kernel::open();
        let mut first = Settings::open(file.clone());
        first.hold(&mut kernel.rtnl, eth0, ArpIgnore);
        first.hold(&mut kernel.rtnl, eth0, ArpFilter);
        let now = || (setting("ipv4", "eth0", "arp_ignore"), setting("ipv4", "eth0", "arp_filter"));
        assert_eq!(now(), ("1".into(), "1".into()));
        // A crash: nobody releases anything.
        drop(first);
        let mut second = Settings::open(file.clone());
        second.hold(&mut kernel.rtnl, eth0, ArpIgnore);
        second.settle(&mut kernel.rtnl);
        assert_eq!(now(), ("1".into(), "0".into()), "not held again: restored");
        second.release(&mut kernel.rtnl, eth0, ArpIgnore);
        assert_eq!(now(), ("2".into(), "0".into()), "what the administrator had set");
        assert!(!file.exists());
        second.hold(&mut kernel.rtnl, 4000, ArpIgnore);
        assert!(!file.exists(), "an interface that is not there is nothing to remember");
    });
}

/// Not a test of speed: the numbers are for the reader of `--nocapture`. The bound is far off.
#[test]
fn rtnl54_a_hundred_macvlans_lose_no_notification() {
    in_namespace(|| {
        let eth0 = base();
        let mut kernel = Kernel::open();
        let (mut made, mut up, mut down, mut gone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let timed = |times: &mut Vec<Duration>, f: &mut dyn FnMut()| {
            let start = now();
            f();
            times.push(now() - start);
        };
        for vrid in 1..=100u8 {
            let name = LinkName::new(&format!("vrrp.{vrid}"));
            let new = Macvlan { name, mac: [0, 0, 0x5e, 0, 1, vrid], ..macvlan(eth0, "", Family::V4) };
            timed(&mut made, &mut || kernel.rtnl.make_macvlan(&new).unwrap());
            kernel.quiet();
        }
        let links: Vec<(u32, LinkName)> = (1..=100u8)
            .map(|vrid| format!("vrrp.{vrid}"))
            .map(|name| (index_of(&name), LinkName::new(&name)))
            .collect();
        for (index, name) in &links {
            timed(&mut up, &mut || kernel.rtnl.set_link(*index, true).unwrap());
            timed(&mut down, &mut || kernel.rtnl.set_link(*index, false).unwrap());
            timed(&mut gone, &mut || kernel.rtnl.remove_macvlan(*index, name).unwrap());
            kernel.quiet();
        }
        for (what, mut times) in [("make", made), ("up", up), ("down", down), ("remove", gone)] {
            times.sort();
            println!("macvlan {what}: median {}, worst {}", times[50], times[99]);
            assert!(times[50] < Duration::from_millis(200), "{what} would hold up the loop: {}", times[50]);
        }
        assert_eq!(kernel.rtnl.counters().overruns, 0);
    });
}
