//! Services that rest while none of their addresses is on this box (keepalived's `ha_suspend`).

use super::*;

fn suspending() -> Config {
    let mut config = s1();
    config.services[0].suspend = true;
    config
}

const VIP: &str = "10.0.0.100";

#[test]
fn a_service_rests_until_its_address_comes() {
    let mut bed = Bed::started(&suspending());
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: "], "no server, and no sorry server either");
    assert!(bed.snapshot().services[0].suspended && bed.notes().is_empty());
    bed.go(30.0);
    assert!(bed.probes.is_empty(), "nothing is probed");
    bed.address(3, "10.0.0.99", true);
    assert_eq!(bed.log(), [""; 0], "another address");
    bed.address(3, VIP, true);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1", "+ 192.168.234.57:80 2"]);
    assert!(!bed.snapshot().services[0].suspended);
    bed.go(32.0);
    assert_eq!(bed.probes.len(), 2, "probes begin as at the start");
    bed.verdict(A, false);
    bed.verdict(B, true);
    bed.log();
    bed.address(3, VIP, false);
    assert_eq!(bed.log(), ["- 192.168.234.57:80"]);
    bed.go(60.0);
    assert!(bed.probes.is_empty());
    bed.address(4, VIP, true);
    assert_eq!(bed.log(), ["+ 192.168.234.57:80 2"], "what was known last counts until the first result");
    bed.go(62.0);
    bed.verdict(A, true);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1"], "which decides alone");
}

/// What runs when the address goes ends; what runs for another service as well goes on, and counts later.
#[test]
fn a_shared_probe_goes_on_for_who_is_awake() {
    let mut config = suspending();
    config.services.push(service("two", "10.0.0.200:80").into());
    let mut bed = Bed::new(&config);
    bed.address(3, VIP, true);
    bed.start();
    bed.settle();
    bed.go(2.0);
    assert_eq!(bed.probes.len(), 2);
    bed.address(3, VIP, false);
    bed.settle();
    assert!(bed.stopped.is_empty(), "the second service wants them");
    bed.verdict(A, false);
    bed.verdict(B, false);
    assert!(bed.snapshot().services[0].has_quorum, "nothing is told, nothing changes while it rests");
    let notes = bed.notes().len();
    bed.log();
    bed.address(3, VIP, true);
    assert_eq!(bed.log(), ["+ 127.0.0.1:80 1"], "it wakes to what is true now");
    assert_eq!(bed.notes().len(), notes + 3, "two servers and the quorum: {:?}", bed.notes());
    config.services.pop();
    bed.reload(&config);
    bed.settle();
    bed.go(9.0);
    let running = bed.probes.len();
    assert!(running > 0);
    bed.address(3, VIP, false);
    bed.settle();
    assert_eq!(bed.stopped.len(), running, "nobody wants them");
}

#[test]
fn lost_interfaces_and_dumps_count() {
    let mut bed = Bed::new(&suspending());
    bed.address(3, VIP, true);
    bed.start();
    bed.settle();
    assert!(!bed.snapshot().services[0].suspended, "told before the start");
    bed.call(|b, now, cx| b.handle_link_gone(now, 3, cx));
    assert!(bed.snapshot().services[0].suspended);
    for index in 3..=7 {
        bed.address(index, VIP, true);
    }
    (3..=6).for_each(|index| bed.address(index, VIP, false));
    bed.settle();
    assert!(!bed.snapshot().services[0].suspended && bed.redumps == 1, "in doubt the kernel is asked");
    bed.call(|b, _, _| b.dump_start());
    bed.address(7, VIP, true);
    bed.call(|b, now, cx| b.dump_end(now, cx));
    assert!(!bed.snapshot().services[0].suspended);
    bed.call(|b, _, _| b.dump_start());
    bed.call(|b, now, cx| b.dump_end(now, cx));
    assert!(bed.snapshot().services[0].suspended, "what is not told is not there");
}

/// Taking `suspend` on changes nothing until the kernel has told where the address is.
#[test]
fn a_reload_waits_for_the_kernels_telling() {
    let mut bed = Bed::started(&s1());
    bed.reload(&suspending());
    assert_eq!(bed.log(), [""; 0], "the address may well be here");
    bed.call(|b, _, _| b.dump_start());
    bed.call(|b, now, cx| b.dump_end(now, cx));
    assert_eq!(bed.log(), ["- 192.168.234.47:80", "- 192.168.234.57:80"], "it is not");
    bed.set_draining(0, 0, true);
    assert_eq!(bed.log(), [""; 0], "drained in its sleep");
    bed.reload(&s1());
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 0", "+ 192.168.234.57:80 2"], "awake, and still drained");
}
