//! The whole daemon with probes on the host's kernel: adverts beside hung servers, workers, and a kernel that
//! has no IPVS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;
#[path = "bench/sick.rs"]
mod sick;

use netns::{Lan, Vipd, eventually, lan};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
const SOON: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(100);

/// VRID 51 at 100 ms, and a service whose servers are ports of the client.
fn config(ports: impl Iterator<Item = u16>) -> String {
    let mut text = "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 51\nversion = 3\n\
                    advert_interval = \"100ms\"\naddresses = [\"10.9.0.100/24\"]\n\
                    [[service]]\nname = \"web\"\naddress = \"10.9.0.100:80\"\nprotocol = \"tcp\"\n\
                    scheduler = \"rr\"\nforward = \"nat\"\nsorry = \"127.0.0.1:80\"\n\
                    check = { type = \"http\", path = \"/\", status = [200], interval = \"1s\", \
                    timeout = \"500ms\", fall = 1 }\n"
        .to_string();
    for port in ports {
        text += &format!("[[service.server]]\naddress = \"10.9.0.3:{port}\"\n");
    }
    text
}

/// A port of the client that answers every request with 200.
fn serve(lan: &Lan, port: u16) {
    let listener = lan.c.namespace.inside(|| TcpListener::bind(("10.9.0.3", port)).unwrap());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = connection.read(&mut [0; 1024]);
            let _ =
                connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
}

/// Law 1: an advert leaves in time whatever the probes do. Beside hung conversations a good server stays up.
#[test]
fn hung_and_dead_servers_delay_no_advert() {
    let Some(lan) = lan() else { return };
    serve(&lan, 8000);
    // These take connections into their queue and never answer; from 9500 on nobody listens.
    let _hung: Vec<TcpListener> = lan
        .c
        .namespace
        .inside(|| (9000..9050).map(|port| TcpListener::bind(("10.9.0.3", port)).unwrap()).collect());
    let a = Vipd::start(&lan, &lan.a, &config((9000..9050).chain(9500..9550).chain([8000])));
    eventually("a carries the VIP", SOON, || lan.a.has(VIP));
    // Each server and its check.
    eventually("verdicts", SOON, || a.status().matches("\"up\":false").count() == 200);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        std::thread::sleep(Duration::from_secs(2));
        let times = lan.capture.advert_times('a', 51, start);
        let worst = times.windows(2).map(|w| (w[1] - w[0]).abs_diff(INTERVAL)).max().unwrap_or(SOON);
        if worst < INTERVAL / 10 {
            let status = a.status();
            assert_eq!(status.matches("\"up\":true").count(), 2, "the good one stays up: {status}");
            return;
        }
        seen.push(worst);
    }
    panic!("law 1: adverts were off by {seen:?}");
}

/// Laws 1 and 8, with the crowd of the benchmark.
#[test]
fn four_hundred_sick_servers_hide_no_healthy_one_and_delay_no_advert() {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let Some(lan) = lan() else { return };
        let found = sick::watch(&lan, Duration::from_secs(4));
        println!("{found:?}");
        let allowed = sick::INTERVAL + sick::TIMEOUT;
        assert!(found.descriptors < 600, "law 8: {found:?}");
        assert!(found.processes <= 1 + vipd::limits::WORKERS_MAX, "law 8: {found:?}");
        assert!(found.pss < 64 << 10, "law 8: {found:?}");
        if found.lateness <= Duration::from_millis(5) && found.detection <= allowed {
            return;
        }
        seen.push(found);
    }
    panic!("law 1: {seen:?}");
}

/// design.md §5: one probe now, with every step and time, on a serial console.
#[test]
fn a_probe_that_somebody_asks_for_is_shown_step_by_step() {
    let Some(lan) = lan() else { return };
    serve(&lan, 8000);
    let a = Vipd::start(&lan, &lan.a, &config([8000].into_iter()));
    eventually("an answer", SOON, || a.client(&["probe", "web", "10.9.0.3:8000"]).0 == Some(0));
    let (_, text, _) = a.client(&["probe", "web", "10.9.0.3:8000"]);
    println!("{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let want = [
        "to 10.9.0.3:8000",
        "connected",
        "request sent: ",
        "first byte",
        "given to a worker",
        "header read: status 200",
        "body read: 0 bytes",
    ];
    assert!(
        lines[0].starts_with("web 10.9.0.3:8000: ") && lines[1].starts_with("check, http: passed after ")
    );
    assert_eq!(lines.len(), 2 + want.len(), "{text}");
    for (line, want) in lines[2..].iter().zip(want) {
        let (time, what) = line.split_once("ms  ").unwrap_or_else(|| panic!("{line}"));
        assert!(time.trim_start().parse::<f64>().is_ok() && what.starts_with(want), "{line}");
    }
}

#[test]
fn killed_daemon_leaves_no_worker() {
    let Some(lan) = lan() else { return };
    serve(&lan, 8000);
    let mut a = Vipd::start(&lan, &lan.a, &config([8000].into_iter()));
    eventually("a worker", SOON, || a.pids().len() > 1);
    let pids = a.pids();
    a.signal(libc::SIGKILL);
    a.ended(SOON);
    eventually("no orphan", SOON, || pids[1..].iter().all(|pid| is_gone(*pid)));
}

/// Gone, or a zombie that only waits to be counted.
fn is_gone(pid: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

/// A kernel without IPVS is one clear message; VRRP and probes go on.
#[test]
fn without_ipvs_the_rest_goes_on() {
    let Some(lan) = lan() else { return };
    if std::path::Path::new("/proc/net/ip_vs").exists() {
        let _ = writeln!(std::io::stderr(), "SKIPPED without_ipvs_the_rest_goes_on: this kernel has IPVS");
        return;
    }
    serve(&lan, 8000);
    let mut a = Vipd::start(&lan, &lan.a, &config([8000, 9500].into_iter()));
    eventually("a carries the VIP", SOON, || lan.a.has(VIP));
    eventually("a verdict on each", SOON, || {
        let status = a.status();
        status.contains("\"up\":true") && status.contains("\"up\":false")
    });
    let (code, screen, _) = a.client(&["status"]);
    assert_eq!(code, Some(1), "degraded:\n{screen}");
    assert!(screen.lines().next().unwrap_or("").contains("no IPVS"), "{screen}");
    assert!(screen.contains("ip_vs"), "it names the module:\n{screen}");
    assert!(screen.to_lowercase().contains("refused"), "why the server is down:\n{screen}");
    assert_eq!(a.terminate(SOON), Some(0));
    assert!(!lan.a.has(VIP));
}
