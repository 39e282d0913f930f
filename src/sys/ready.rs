//! Readiness for systemd and those who speak its protocol (sd_notify(3)), where `NOTIFY_SOCKET` is set.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells `state`; without a listener nothing happens.
pub(super) fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound())
        && socket.set_nonblocking(true).is_ok()
    {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}
