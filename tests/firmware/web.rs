//! Web servers on the client.

use crate::netns::Lan;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// A port of the client that answers every request with 200.
pub(crate) fn serve(lan: &Lan, port: u16) {
    let listener = lan.c.namespace.inside(|| TcpListener::bind(("10.9.0.3", port)).unwrap());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
}
