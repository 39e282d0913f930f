//! Who has this address? Real ARP requests, and everybody who answers.

use crate::net::Host;
use crate::stage::Outcome;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Asks once from `host`'s `interface` (its MAC, its address) and listens for `window`; the MAC addresses
/// that answered.
pub fn who_has(
    host: &Host,
    interface: &str,
    mac: &str,
    from: Ipv4Addr,
    target: Ipv4Addr,
    window: Duration,
) -> Outcome<BTreeSet<String>> {
    host.run(|| ask(interface, mac, from, target, window)).map_err(|error| format!("ARP: {error}"))
}

fn ask(
    interface: &str,
    mac: &str,
    from: Ipv4Addr,
    target: Ipv4Addr,
    window: Duration,
) -> std::io::Result<BTreeSet<String>> {
    let socket = packet_socket(interface)?;
    let frame = request(mac, from, target);
    // SAFETY: the pointer and the length are those of `frame`, which outlives the call.
    let sent = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    if sent < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let mut answered = BTreeSet::new();
    let end = Instant::now() + window;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(answered);
        }
        let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
        // SAFETY: one valid entry.
        if unsafe { libc::poll(&raw mut entry, 1, timeout) } <= 0 {
            continue;
        }
        let mut bytes = [0u8; 128];
        // SAFETY: the kernel writes at most the length of `bytes`.
        let got = unsafe { libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        // Ethernet 14, then: types and lengths 6, operation 2, sender MAC 6, sender address 4.
        if got >= 42 && bytes[20..22] == [0, 2] && bytes[28..32] == target.octets() {
            answered
                .insert(bytes[22..28].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"));
        }
    }
}

/// A socket for ARP frames of one interface.
fn packet_socket(interface: &str) -> std::io::Result<OwnedFd> {
    let protocol = (libc::ETH_P_ARP as u16).to_be();
    // SAFETY: no pointers.
    let fd =
        unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(protocol)) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: `fd` is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let index = nix::net::if_::if_nametoindex(interface)?;
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    let length = std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: pointer and length are those of `address`.
    if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(socket)
}

/// A broadcast ARP request.
fn request(mac: &str, from: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mac: Vec<u8> = mac.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let mut frame = vec![0xff; 6];
    frame.extend(&mac);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(&mac);
    frame.extend(from.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame.resize(60, 0);
    frame
}
