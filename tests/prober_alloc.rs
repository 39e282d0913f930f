//! Steady probing allocates nothing in the loop's process: TCP and HTTP probes that pass, watched by a
//! counting allocator. (What a worker allocates is its own affair; it goes home and gives all of it back.)

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use vipd::engine::{Event, Outcome, ProbeId, ProbeSpec};
use vipd::model::{CheckKind, HttpCheck, HttpPage};
use vipd::sys::poll::PollSet;
use vipd::sys::prober::Prober;
use vipd::time::{Duration, Instant};

thread_local! {
    /// Allocations of this thread; the servers have threads of their own.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands every call on to the system's allocator; the counter is a plain cell of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers one connection after the other.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 1024];
            if stream.read(&mut request).unwrap_or(0) > 0 {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
            }
        }
    });
    address
}

#[test]
fn steady_probing_allocates_nothing() {
    const CHECKERS: u32 = 8;
    let address = server();
    let page = HttpCheck::new(HttpPage::new("/health"));
    let kinds = [CheckKind::Http(Box::new(page)), CheckKind::Tcp];
    let mut prober = Prober::with_program(env!("CARGO_BIN_EXE_vipd"), "worker");
    let mut set = PollSet::new();
    let begin = std::time::Instant::now();
    let now = || Instant::from_micros(begin.elapsed().as_micros() as i64);
    // Tables grow, and another worker starts, whenever a server is slower than before: not for ever.
    let mut steady = 0;
    for round in 0..1000 {
        COUNT.with(|count| count.set(0));
        for (checker, kind) in (0..CHECKERS).zip(kinds.iter().cycle()) {
            let timeout = Duration::from_secs(5);
            let id = ProbeId { checker, serial: round };
            let (source, interface) = (None, None);
            let spec = ProbeSpec {
                address,
                kind,
                timeout,
                was_up: true,
                source,
                source_port: 0,
                interface,
                mark: 0,
            };
            prober.start(now(), id, &spec, "gw");
        }
        let mut ended = 0;
        while ended < CHECKERS {
            set.clear();
            prober.register(&mut set);
            let at = prober.next_deadline().unwrap();
            let time = now();
            set.wait(Some(if at > time { at - time } else { Duration::ZERO })).unwrap();
            prober.process(now(), &set, &mut |event| match event {
                Event::Probe { outcome: Outcome::Passed, .. } => ended += 1,
                other => panic!("a good server: {other:?}"),
            });
        }
        steady = if COUNT.with(Cell::get) == 0 { steady + 1 } else { 0 };
        if steady == 50 {
            return;
        }
    }
    panic!("no 50 rounds of {CHECKERS} probes without an allocation; the device runs for years");
}
