//! 200 HTTP servers that accept and never answer, 200 addresses that nobody has, and 50 healthy servers, one
//! of which dies: adverts at 100 ms, the time until its death is known, and what it all costs.

#![allow(dead_code, unreachable_pub, reason = "shared by a test and a benchmark")]

use crate::netns::{Lan, Vipd, eventually};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub const HUNG: u16 = 200;
pub const DEAD: u16 = 200;
pub const HEALTHY: u16 = 50;
/// Of every probe.
pub const INTERVAL: Duration = Duration::from_secs(2);
pub const TIMEOUT: Duration = Duration::from_secs(1);
const ADVERT: Duration = Duration::from_millis(100);

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The adverts that were latest, or earliest, against 100 ms.
    pub lateness: Duration,
    /// From a healthy server's death to the line in the log.
    pub detection: Duration,
    /// All processes, in kB.
    pub pss: u64,
    pub rss: u64,
    /// Of the loop's process: most of the samples.
    pub descriptors: usize,
    pub processes: usize,
    /// Of one processor, in percent.
    pub cpu: f64,
}

/// Healthy servers on ports 8000.. of router c: one thread answers for all. `alive`: ports from so many on
/// are closed.
fn serve(lan: &Lan, count: u16, alive: Arc<AtomicUsize>) {
    let mut listeners: Vec<TcpListener> = lan
        .c
        .namespace
        .inside(|| (0..count).map(|n| TcpListener::bind(("10.9.0.3", 8000 + n)).unwrap()).collect());
    std::thread::spawn(move || {
        listeners.iter().for_each(|listener| listener.set_nonblocking(true).unwrap());
        while Arc::strong_count(&alive) > 1 {
            listeners.truncate(alive.load(Ordering::Relaxed));
            let mut fds: Vec<libc::pollfd> = listeners
                .iter()
                .map(std::os::fd::AsRawFd::as_raw_fd)
                .map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
                .collect();
            // SAFETY: the array is ours and as long as said.
            unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, 20) };
            for listener in &listeners {
                while let Ok((mut stream, _)) = listener.accept() {
                    let _ = stream.set_nonblocking(false);
                    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
                    // A TCP probe says nothing.
                    if stream.read(&mut [0; 1024]).unwrap_or(0) > 0 {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    }
                }
            }
        }
    });
}

fn config(servers: impl Iterator<Item = String>, check: &str) -> String {
    let mut text = format!(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\n\
         advert_interval = \"100ms\"\naddresses = [\"10.9.0.100/24\"]\n\
         [[service]]\nname = \"web\"\naddress = \"10.9.0.100:80\"\nprotocol = \"tcp\"\n\
         scheduler = \"rr\"\nforward = \"nat\"\ncheck = {{ {check} }}\n"
    );
    for server in servers {
        text += &format!("[[service.server]]\naddress = \"{server}\"\n");
    }
    text
}

/// Lets router a watch the crowd for `span`, then kills a healthy server.
pub fn watch(lan: &Lan, span: Duration) -> Found {
    let alive = Arc::new(AtomicUsize::new(usize::from(HEALTHY)));
    serve(lan, HEALTHY, alive.clone());
    // These take connections into their queue and never answer.
    let _hung: Vec<TcpListener> = lan
        .c
        .namespace
        .inside(|| (0..HUNG).map(|n| TcpListener::bind(("10.9.0.3", 9000 + n)).unwrap()).collect());
    let healthy = (0..HEALTHY).map(|n| format!("10.9.0.3:{}", 8000 + n));
    let hung = (0..HUNG).map(|n| format!("10.9.0.3:{}", 9000 + n));
    let dead = (0..DEAD).map(|n| format!("10.9.0.{}:80", 20 + n));
    let check = "type = \"http\", path = \"/\", interval = \"2s\", timeout = \"1s\", fall = 1";
    let a = Vipd::start_at(lan, &lan.a, &config(healthy.chain(hung).chain(dead), check), "info");
    let sick = usize::from(HUNG + DEAD);
    let downs = || a.log().matches(" is down: ").count();
    eventually("all verdicts", Duration::from_secs(30), || {
        sleep(Duration::from_millis(100));
        downs() >= sick
    });
    let log = a.log();
    assert_eq!(log.matches(" is down: ").count(), sick, "no healthy one among them");
    assert_eq!(
        log.matches(" is down: no reply within 1s").count(),
        usize::from(HUNG),
        "the hung ones, in words"
    );
    let (from, busy) = (Instant::now(), a.cpu_ticks());
    let (mut descriptors, mut processes) = (0, 0);
    while from.elapsed() < span {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", a.pid())).map_or(0, Iterator::count);
        descriptors = descriptors.max(entries);
        processes = processes.max(a.pids().len());
        sleep(Duration::from_millis(100));
    }
    let cpu = (a.cpu_ticks() - busy) as f64 / from.elapsed().as_secs_f64();
    let times = lan.capture.advert_times('a', 51, from);
    let lateness = times.windows(2).map(|w| (w[1] - w[0]).abs_diff(ADVERT)).max().unwrap_or(Duration::MAX);
    let (pss, rss) = (a.kilobytes("smaps_rollup", "Pss"), a.kilobytes("smaps_rollup", "Rss"));
    let last = HEALTHY - 1;
    let words = format!("10.9.0.3:{} is down: ", 8000 + last);
    let died = Instant::now();
    alive.store(usize::from(last), Ordering::Relaxed);
    eventually("the death is known", Duration::from_secs(30), || {
        sleep(Duration::from_millis(5));
        a.log().contains(&words)
    });
    let detection = died.elapsed();
    assert_eq!(downs(), sick + 1, "and no other is taken for dead: {}", a.log());
    Found { lateness, detection, pss, rss, descriptors, processes, cpu }
}

/// CPU time of one probe that passes, loop and workers: 100 servers, `span` long at 1,000 probes a second.
pub fn cost(lan: &Lan, kind: &str, span: Duration) -> Duration {
    let alive = Arc::new(AtomicUsize::new(100));
    serve(lan, 100, alive.clone());
    let check = format!("type = \"{kind}\", interval = \"100ms\", timeout = \"1s\", fall = 3");
    let servers = (0..100).map(|n: u16| format!("10.9.0.3:{}", 8000 + n));
    let a = Vipd::start_at(lan, &lan.a, &config(servers, &check), "info");
    sleep(Duration::from_secs(4));
    let passed = || {
        let status: serde_json::Value = serde_json::from_str(&a.client(&["status", "--json"]).1).unwrap();
        let servers = status["services"][0]["servers"].as_array().unwrap().clone();
        servers.iter().map(|server| server["passed"].as_u64().unwrap()).sum::<u64>()
    };
    let (before, busy) = (passed(), a.cpu_ticks());
    sleep(span);
    let (busy, count) = (a.cpu_ticks() - busy, passed() - before);
    assert!(count > span.as_secs() * 500, "only {count} probes in {span:?}: {}", a.log());
    drop(a);
    drop(alive);
    // The servers see it within one look, and their ports are free again.
    sleep(Duration::from_millis(200));
    Duration::from_millis(10 * busy) / count as u32
}

/// Bytes that one more server with a TCP probe costs, of all processes.
pub fn memory(lan: &Lan) -> u64 {
    let check = "type = \"tcp\", interval = \"60s\", timeout = \"1s\"";
    let sum = |count: u16| {
        let servers = (0..count).map(|n| format!("10.9.0.3:{}", 20_000 + n));
        let a = Vipd::start_at(lan, &lan.a, &config(servers, check), "error");
        // All first probes are over.
        sleep(Duration::from_secs(4));
        a.kilobytes("smaps_rollup", "Pss_Anon")
    };
    (sum(1002).saturating_sub(sum(2))) * 1024 / 1000
}
