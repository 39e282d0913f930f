//! Clients of the field: short requests, one after the other or without an end.

use super::transport::{Transport, ask};
use crate::net::Host;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than an answer takes on an emulated machine; shorter than TCP waits before it sends a lost packet
/// again for the first time: what was lost is seen.
pub const PATIENCE: Duration = Duration::from_millis(950);

/// SCTP's own: it sends what was lost again after a second or more, which happens now and then in this
/// kernel.
const SCTP_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client of this kind waits.
pub fn patience(kind: Transport) -> Duration {
    match kind {
        Transport::Tcp | Transport::Udp => PATIENCE,
        Transport::Sctp => SCTP_PATIENCE,
    }
}

/// Who answered, or why nobody did.
pub fn answer(kind: Transport, address: SocketAddr) -> String {
    let answer = ask(kind, address, patience(kind)).unwrap_or_else(|error| format!("{:?}", error.kind()));
    if kind == Transport::Sctp {
        // Its shutdown takes a round trip more, and schedulers count who is still there.
        std::thread::sleep(Duration::from_millis(20));
    }
    answer
}

/// Who answered so many requests, one after the other.
pub fn answers(client: &Host, kind: Transport, address: SocketAddr, count: usize) -> Vec<String> {
    client.run(|| (0..count).map(|_| answer(kind, address)).collect())
}

/// How the requests of an [`Endless`] client ended.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Answered, in words of who answered.
    pub answered: Vec<String>,
    /// Refused: there was nobody in the table, or no service (IPVS-50).
    pub refused: Vec<SocketAddr>,
    /// Nothing came: what was under way to a server while it left the table is dropped (IPVS-51).
    pub stalled: usize,
    /// Everything else.
    pub broken: Vec<String>,
}

/// Requests to the targets in turn, without a pause and without an end.
pub struct Endless {
    stop: Arc<AtomicBool>,
    ends: Arc<Mutex<Ends>>,
    threads: Vec<JoinHandle<()>>,
}

impl Endless {
    /// Starts so many clients.
    pub fn start(client: &Host, clients: usize, targets: &[(Transport, SocketAddr)]) -> Endless {
        let (stop, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Ends::default())));
        let thread = |number: usize| {
            let (host, stop, ends, targets) = (client.clone(), stop.clone(), ends.clone(), targets.to_vec());
            std::thread::spawn(move || {
                host.enter();
                // Not all of them at one target at one time.
                let first = targets.len() * number / clients;
                for (kind, address) in targets.iter().cycle().skip(first) {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let end = ask(*kind, *address, PATIENCE);
                    let mut ends = ends.lock().unwrap();
                    // A connection that is not made in its time ends with EINPROGRESS.
                    let over = |error: &std::io::Error| {
                        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                            || error.raw_os_error() == Some(libc::EINPROGRESS)
                    };
                    match end {
                        Ok(page) => ends.answered.push(page),
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                            ends.refused.push(*address)
                        }
                        Err(error) if over(&error) => ends.stalled += 1,
                        Err(error) => ends.broken.push(format!("{address}: {error}")),
                    }
                }
            })
        };
        let threads = (0..clients).map(thread).collect();
        Endless { stop, ends, threads }
    }

    /// Ends it.
    pub fn end(self) -> Ends {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            let _ = thread.join();
        }
        self.ends.lock().unwrap().clone()
    }
}
