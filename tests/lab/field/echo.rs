//! A server of every transport on many addresses: it answers every line with its name.
//!
//! One thread a host with one epoll, however many ports there are: TCP and SCTP conversations last as long as
//! the client likes, so that a live connection can be watched; UDP answers datagram by datagram.

use super::transport::{self, Transport};
use crate::net::Host;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// What a descriptor of the server is.
enum Door {
    /// New conversations come here.
    Listener,
    /// A conversation.
    Stream,
    /// Datagrams.
    Datagram,
}

/// Starts the server of `host`, which is called `page`; returns when all sockets are there. Its thread
/// goes on
/// until the guest ends.
pub fn start(host: &Host, page: &str, doors: &[(Transport, SocketAddr)]) {
    let (host, page, doors) = (host.clone(), format!("{page}\n"), doors.to_vec());
    let (ready, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        host.enter();
        let mut server = Server::new(page);
        for (kind, address) in doors {
            let socket = transport::listen(kind, address)
                .unwrap_or_else(|error| panic!("{}: {kind} {address}: {error}", host.name));
            server.add(socket, if kind == Transport::Udp { Door::Datagram } else { Door::Listener });
        }
        let _ = ready.send(());
        server.serve();
    });
    wait.recv().unwrap_or_else(|_| panic!("{}: no server", std::thread::current().name().unwrap_or("lab")));
}

struct Server {
    page: String,
    epoll: OwnedFd,
    doors: BTreeMap<RawFd, (OwnedFd, Door)>,
}

impl Server {
    fn new(page: String) -> Server {
        // SAFETY: no pointers; the descriptor is new and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        Server { page, epoll, doors: BTreeMap::new() }
    }

    fn add(&mut self, socket: OwnedFd, door: Door) {
        let fd = socket.as_raw_fd();
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
        // SAFETY: the pointer is to a valid event.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        self.doors.insert(fd, (socket, door));
    }

    fn serve(&mut self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
        loop {
            let (list, most) = (events.as_mut_ptr(), events.len() as i32);
            // SAFETY: pointer and number are those of `events`.
            let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), list, most, -1) };
            for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
                self.knock(event.u64 as RawFd);
            }
        }
    }

    /// Something has come.
    fn knock(&mut self, fd: RawFd) {
        match self.doors.get(&fd) {
            Some((socket, Door::Listener)) => {
                if let Some(stream) = transport::accept(socket) {
                    self.add(stream, Door::Stream);
                }
            }
            Some((socket, Door::Stream)) => {
                let mut bytes = [0; 512];
                match transport::receive(socket, &mut bytes) {
                    Ok(0) => drop(self.doors.remove(&fd)),
                    Ok(count) => {
                        let lines = bytes[..count].iter().filter(|byte| **byte == b'\n').count();
                        let _ = transport::send(socket, self.page.repeat(lines).as_bytes());
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => drop(self.doors.remove(&fd)),
                }
            }
            Some((socket, Door::Datagram)) => transport::answer(socket, self.page.as_bytes()),
            None => {}
        }
    }
}
