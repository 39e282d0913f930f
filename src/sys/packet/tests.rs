//! On the real kernel, in a network namespace of the test's own thread.

use super::*;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{MsgFlags, recv};
use std::process::Command;

/// Runs `test` with the indexes of the two ends of a cable; without the right to make one, says so and does
/// nothing.
fn with_a_cable(test: impl FnOnce(u32, u32) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("SKIPPED: needs root to make a network namespace: {errno}");
            return;
        }
        for arguments in ["link add left type veth peer name right", "link set left up", "link set right up"]
        {
            let done = Command::new("ip").args(arguments.split(' ')).status().is_ok_and(|s| s.success());
            assert!(done, "ip {arguments}");
        }
        // What is sent before the kernel has noticed the carrier is lost, and nobody says so.
        let is_up = |name: &str| {
            let state = Command::new("ip").args(["-o", "link", "show", "dev", name]).output();
            state.is_ok_and(|done| String::from_utf8_lossy(&done.stdout).contains("state UP"))
        };
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !(is_up("left") && is_up("right")) {
            assert!(std::time::Instant::now() < patience, "no carrier");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
        test(index("left"), index("right"));
    });
    thread.join().unwrap();
}

/// What comes within a second; frames of others, such as the kernel's own of IPv6, have another ethertype.
fn next(fd: &OwnedFd) -> Option<Vec<u8>> {
    let mut buffer = [0; 128];
    for _ in 0..100 {
        if let Ok(len) = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            return Some(buffer[..len].to_vec());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    None
}

#[test]
fn arp4_a_frame_leaves_by_the_interface_that_is_named_and_the_sender_hears_nothing() {
    with_a_cable(|a, b| {
        let sockets = PacketSockets::open().unwrap();
        let ears = [a, b].map(|index| {
            let ear = socket(libc::AF_PACKET, libc::SOCK_RAW, 0).unwrap();
            bind(&ear, index, libc::ETH_P_ARP as u16).unwrap();
            ear
        });
        for (from, at) in [(a, 1), (b, 0)] {
            let mut garp = [0; crate::wire::arp::GARP_LEN];
            crate::wire::arp::emit_garp([2, 0, 0, 0, 0, 1], [192, 0, 2, from as u8].into(), false, &mut garp);
            sockets.send(from, &garp).unwrap();
            assert_eq!(
                next(&ears[at]).as_deref(),
                Some(&garp[..]),
                "ARP-4: at the other end, as it was made"
            );
        }
        let heard = recv(sockets.send.as_raw_fd(), &mut [0; 128], MsgFlags::MSG_DONTWAIT);
        assert_eq!(
            heard,
            Err(nix::errno::Errno::EAGAIN),
            "ARP-4: nothing fills the queue of a socket unread"
        );
    });
}
