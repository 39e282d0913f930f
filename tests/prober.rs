//! Probes and mails with the real binary as worker, against servers on the loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "prober/bench.rs"]
mod bench;

use bench::{Bench, gated, http, server, tcp};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use vipd::engine::{Letter, Outcome, ProbeId};
use vipd::limits::WORKERS_MAX;
use vipd::model::{CheckKind, HttpCheck, HttpPage, Mail, MailServer, PageRegex};

/// Reads the request, answers `page` with 200.
fn good(stream: &mut TcpStream) {
    bench::read_request(stream);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
}

/// Never answers, until the other end goes away.
fn hung(stream: &mut TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Begins to answer and never ends, until the other end goes away: it keeps a worker.
fn half(stream: &mut TcpStream) {
    bench::read_request(stream);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
    hung(stream);
}

/// A port that nobody listens on.
fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener whose backlog is full, so that no SYN is answered; its connections keep it so.
fn silent() -> (SocketAddr, (TcpListener, TcpStream)) {
    use nix::sys::socket::*;
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrStorage::from(any)).unwrap();
    listen(&socket, Backlog::new(0).unwrap()).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let filler = TcpStream::connect(address).unwrap();
    (address, (listener, filler))
}

#[test]
fn tcp_probe_ends_with_the_connection_hc20() {
    let mut bench = Bench::new();
    let (silent, _kept) = silent();
    bench.start(0, server(|_| {}), &tcp(), 500, true);
    bench.start(1, refusing(), &tcp(), 500, true);
    bench.start(2, silent, &tcp(), 300, true);
    bench.until_ended(3);
    bench.assert_passed(0);
    bench.assert_failed(1, "connection refused");
    bench.assert_failed(2, "no answer within 300ms");
    assert!(bench.took(2) < Duration::from_millis(450), "HC-1: the deadline is the whole probe's");
    assert_eq!(bench.workers(), [], "a TCP probe needs no process");
}

#[test]
fn http_probes_good_hung_refused_and_wrong() {
    let mut bench = Bench::new();
    let busy = server(|stream| {
        bench::read_request(stream);
        let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n");
    });
    bench.start(0, server(good), &http(), 2000, true);
    bench.start(1, server(hung), &http(), 600, true);
    bench.start(2, refusing(), &http(), 600, true);
    bench.start(3, busy, &http(), 2000, true);
    bench.until_ended(4);
    bench.assert_passed(0);
    bench.assert_failed(1, "no reply within 600ms");
    assert!(bench.took(1) < Duration::from_millis(750), "HC-1: {:?}", bench.took(1));
    bench.assert_failed(2, "connection refused");
    bench.assert_failed(3, "HTTP 503, want 200");
    let workers = bench.workers();
    bench.start(4, server(good), &http(), 2000, true);
    bench.until_ended(5);
    bench.assert_passed(4);
    assert_eq!(bench.workers(), workers, "a hung server costs no process");
}

#[test]
fn a_worker_killed_in_the_middle_is_no_verdict_and_is_replaced() {
    let mut bench = Bench::new();
    bench.start(0, server(half), &http(), 3000, true);
    bench.run_for(300);
    let [worker] = bench.workers()[..] else { panic!("one conversation, one worker: {:?}", bench.workers()) };
    nix::sys::signal::kill(worker, nix::sys::signal::SIGKILL).unwrap();
    bench.until_ended(1);
    let Outcome::NotRun(why) = bench.outcome(0) else { panic!("HC-4: {:?}", bench.outcome(0)) };
    assert_eq!(why, "its worker ended unexpectedly");
    bench.start(1, server(good), &http(), 2000, true);
    bench.until_ended(2);
    bench.assert_passed(1);
    assert!(!bench.workers().contains(&worker), "it was not reaped");
}

#[test]
fn a_worker_that_does_not_come_back_is_killed() {
    let mut bench = Bench::new();
    bench.start(0, server(half), &http(), 500, true);
    bench.run_for(200);
    let [worker] = bench.workers()[..] else { panic!("one conversation, one worker") };
    nix::sys::signal::kill(worker, nix::sys::signal::SIGSTOP).unwrap();
    bench.until_ended(1);
    bench.assert_failed(0, "no whole reply within 500ms");
    assert!(bench.took(0) < Duration::from_millis(650), "the loop owns the deadline: {:?}", bench.took(0));
    bench.run_for(600);
    assert_eq!(bench.workers(), [], "a stopped worker would be kept for ever");
}

/// What it does with a reply takes longer than there is: a search for a text, for minutes. Nothing in the
/// worker ends that, and it is confined as any other.
#[test]
fn a_worker_that_works_for_ever_dies_at_its_deadline() {
    let mut bench = Bench::new();
    let large = server(|stream| {
        bench::read_request(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
        let _ = stream.write_all(&[b'a'; 1 << 20]);
        hung(stream);
    });
    let mut page = HttpPage::new("/");
    page.regex = Some(PageRegex { pattern: "(a?){1000}b".into(), negated: false, first: 0, last: 0 });
    let slow = CheckKind::Http(Box::new(HttpCheck::new(page)));
    bench.start(0, large, &slow, 1500, true);
    bench.run_for(1000);
    let [worker] = bench.workers()[..] else { panic!("one conversation, one worker") };
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    for want in ["State:\tR", "CapEff:\t0000000000000000"] {
        assert!(status.contains(want), "it must be at work, and confined ({want}): {status}");
    }
    bench.until_ended(1);
    bench.assert_failed(0, "no whole reply within 1500ms");
    assert!(bench.took(0) < Duration::from_millis(1650), "HC-1: {:?}", bench.took(0));
    bench.run_for(1000);
    assert_eq!(bench.workers(), [], "it would heat the router for minutes");
    bench.start(1, server(good), &http(), 2000, true);
    bench.until_ended(2);
    bench.assert_passed(1);
}

/// The loop sends the request, and a worker is needed only for what comes back.
#[test]
fn servers_that_accept_and_never_answer_cost_no_worker() {
    const HUNG: u32 = 200;
    let mut bench = Bench::new();
    // The queue of one listener is short.
    let (sick, well) = ([(); 4].map(|()| server(hung)), server(good));
    for (checker, sick) in (1..=HUNG).zip(sick.iter().cycle()) {
        bench.start(checker, *sick, &http(), 1000, checker % 2 == 0);
    }
    bench.run_for(100);
    assert_eq!(bench.workers(), [], "nothing has come back yet");
    bench.start(0, well, &http(), 1000, true);
    bench.until(|bench| bench.count(0) == 1);
    bench.assert_passed(0);
    assert!(bench.took(0) < Duration::from_millis(400), "it waited for a hung one: {:?}", bench.took(0));
    bench.until_ended(HUNG as usize + 1);
    (1..=HUNG).for_each(|checker| bench.assert_failed(checker, "no reply within 1s"));
    let longest = (1..=HUNG).map(|checker| bench.took(checker)).max().unwrap();
    assert!(longest < Duration::from_millis(1200), "HC-1: {longest:?}");
    assert_eq!(bench.workers().len(), 1, "for the healthy one");
}

#[test]
fn a_hung_mail_server_costs_no_worker() {
    let mut bench = Bench::new();
    let mail = Mail {
        server: MailServer::Ip(server(hung)),
        from: "vipd@gw".into(),
        to: vec!["root@localhost".into()],
        timeout: vipd::time::Duration::from_millis(300),
        helo: None,
    };
    let letter = Letter { id: 1, subject: "s".try_into().unwrap(), body: "b".try_into().unwrap() };
    bench.send_mail(&letter, &mail, "gw");
    bench.until(|bench| !bench.mails.is_empty());
    assert_eq!(bench.mails[0].1.as_ref().unwrap_err(), "banner: no answer within 300ms");
    assert_eq!(bench.workers(), []);
}

#[test]
fn servers_that_close_or_refuse_at_once_are_told_apart_b105() {
    let mut bench = Bench::new();
    // Sometimes the request finds the end, sometimes it is read first.
    bench.start(0, server(|stream| drop(stream.shutdown(std::net::Shutdown::Both))), &http(), 1000, true);
    let refuses = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n");
        hung(stream);
    };
    bench.start(1, server(refuses), &http(), 1000, true);
    bench.until_ended(2);
    let Outcome::Failed(why) = bench.outcome(0) else { panic!("B-105: {:?}", bench.outcome(0)) };
    assert!(["closed before a reply", "connection reset before a reply"].contains(&why.as_str()), "{why}");
    bench.assert_failed(1, "HTTP 429, want 200");
}

/// HC-11: all pages must pass, each over its own connection, all within one deadline.
#[test]
fn pages_are_asked_for_in_turn() {
    let (said, heard) = std::sync::mpsc::channel();
    let said = std::sync::Mutex::new(said);
    let address = server(move |stream| {
        let line = bench::read_request(stream).lines().next().unwrap_or_default().to_owned();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let _ = said.lock().unwrap().send(path.clone());
        let status = if path == "/bad" { "503 Busy" } else { "200 OK" };
        if path == "/late" {
            thread::sleep(Duration::from_millis(400));
        }
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    });
    let mut bench = Bench::new();
    let round = |bench: &mut Bench, paths: &[&str], millis| {
        bench.start(0, address, &bench::pages(paths), millis, true);
        let before = bench.count(0);
        bench.until(|bench| bench.count(0) > before);
        heard.try_iter().collect::<Vec<String>>()
    };
    assert_eq!(round(&mut bench, &["/a", "/b", "/c"], 2000), ["/a", "/b", "/c"]);
    bench.assert_passed(0);
    assert_eq!(round(&mut bench, &["/a", "/bad", "/c"], 2000), ["/a", "/bad"], "the first failure decides");
    bench.assert_failed(0, "page 2: HTTP 503, want 200");
    assert_eq!(round(&mut bench, &["/late", "/late", "/c"], 600), ["/late", "/late"]);
    bench.assert_failed(0, "no reply within 600ms");
    let took = bench.took(0);
    assert!((600..800).contains(&took.as_millis()), "HC-1: one deadline for all pages: {took:?}");
}

#[test]
fn hung_servers_do_not_delay_healthy_ones() {
    let mut bench = Bench::new();
    let (sick, well) = (server(half), server(good));
    let hung_count = 3 * WORKERS_MAX as u32;
    for checker in 1..=hung_count {
        bench.start(checker, sick, &http(), 900, false);
    }
    bench.run_for(100);
    for round in 1..=5 {
        bench.start(0, well, &http(), 900, true);
        bench.until(|bench| bench.count(0) == round);
        bench.assert_passed(0);
        assert!(bench.took(0) < Duration::from_millis(300), "it waited for a hung one: {:?}", bench.took(0));
    }
    bench.until_ended(hung_count as usize + 5);
    let failed = (1..=hung_count).filter(|c| matches!(bench.outcome(*c), Outcome::Failed(_))).count();
    assert_eq!(failed, WORKERS_MAX - 2, "those that had a worker; one more is kept for servers never seen");
    let Some(Outcome::NotRun(why)) =
        (1..=hung_count).map(|c| bench.outcome(c)).find(|o| matches!(o, Outcome::NotRun(_)))
    else {
        panic!("more than workers: some have to go without")
    };
    assert_eq!(why, "no worker free in time");
    assert!(bench.workers().len() <= WORKERS_MAX, "law 8");
}

#[test]
fn those_that_went_without_come_first_the_next_time() {
    let mut bench = Bench::new();
    // They answer all at once: who answers while nobody else waits is served, whoever it is.
    let (sick, gate) = gated();
    // The workers are there before the first round: on a busy machine one takes longer to start than a
    // conversation may wait.
    let well = server(good);
    for checker in 100..102 {
        bench.start(checker, well, &http(), 5000, false);
    }
    bench.until_ended(2);
    let count = 2 * (WORKERS_MAX as u32 - 2);
    for round in 1..=2 {
        for checker in 0..count {
            bench.start(checker, sick, &http(), 1500, false);
        }
        let all = (round * count) as usize;
        bench.until(|_| gate.asked.load(Ordering::SeqCst) == all);
        gate.allowed.store(all, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(200));
        bench.until_ended(all + 2);
    }
    for checker in 0..count {
        let failed = bench.outcomes(checker).iter().filter(|o| matches!(o, Outcome::Failed(_))).count();
        assert_eq!(
            failed,
            1,
            "server {checker} would never be seen to recover: {:?}",
            bench.outcomes(checker)
        );
    }
}

#[test]
fn a_program_that_cannot_be_started_is_no_verdict() {
    let mut bench = Bench::with_program("/nonexistent/vipd");
    bench.start(0, server(good), &http(), 300, true);
    bench.until_ended(1);
    let Outcome::NotRun(why) = bench.outcome(0) else { panic!("HC-4: {:?}", bench.outcome(0)) };
    assert!(why.starts_with("no worker: No such file"), "{why}");
}

/// A program that runs `script` in the place of a worker.
fn program(name: &str, script: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("vipd-{name}-{}", std::process::id()));
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&path, rights).unwrap();
    path
}

/// A program that becomes a worker after `seconds`.
fn slow_starter(seconds: f32) -> std::path::PathBuf {
    let script = format!("sleep {seconds}\nexec {} worker", env!("CARGO_BIN_EXE_vipd"));
    program(&format!("slow-{seconds}"), &script)
}

#[test]
fn a_worker_that_is_slow_to_start_is_no_verdict() {
    let path = slow_starter(1.5);
    let mut bench = Bench::with_program(path.to_str().unwrap());
    bench.start(0, server(good), &http(), 600, true);
    bench.until_ended(1);
    let Outcome::NotRun(why) = bench.outcome(0) else {
        panic!("HC-4: a good server goes down because this router is slow: {:?}", bench.outcome(0))
    };
    assert_eq!(why, "no worker free in time");
    bench.run_for(1500);
    bench.start(1, server(good), &http(), 600, true);
    bench.until_ended(2);
    bench.assert_passed(1);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn workers_are_started_one_after_the_other() {
    let path = slow_starter(0.5);
    let mut bench = Bench::with_program(path.to_str().unwrap());
    let address = server(good);
    for checker in 0..WORKERS_MAX as u32 {
        bench.start(checker, address, &http(), 3000, true);
    }
    bench.run_for(300);
    assert_eq!(bench.workers().len(), 1, "law 1: each fork keeps the loop");
    bench.until_ended(WORKERS_MAX);
    (0..WORKERS_MAX as u32).for_each(|checker| bench.assert_passed(checker));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_worker_that_dies_at_once_is_started_ever_more_rarely() {
    let log = std::env::temp_dir().join(format!("vipd-starts-{}", std::process::id()));
    let path = program("dies", &format!("echo >> {}", log.display()));
    let mut bench = Bench::with_program(path.to_str().unwrap());
    for checker in 0..20 {
        bench.start(checker, server(good), &http(), 1000, true);
    }
    bench.until_ended(20);
    // Pauses of 100 ms, 200 ms, 400 ms: three starts at most, and no conversation is lost in one.
    let why = Outcome::NotRun("no worker: it ended before it was ready".try_into().unwrap());
    assert!((0..20).all(|c| bench.outcome(c) == why), "HC-4: {:?}", bench.outcome(0));
    let starts = std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    std::fs::remove_file(log).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!((1..=3).contains(&starts), "{starts} starts in half a second");
}

/// design.md §5: `vipd probe` shows every step and its time; the probes of checkers cost nothing of it.
#[test]
fn what_somebody_asks_for_is_told_step_by_step() {
    let steps_of = |bench: &mut Bench, address, kind: &_| {
        bench.start(ProbeId::ASKED, address, kind, 3000, true);
        bench.until_ended(bench.count(ProbeId::ASKED) + 1);
        let steps = bench.steps();
        assert!(steps.is_sorted_by_key(|(at, _)| *at), "in order: {steps:?}");
        let apart = steps.last().unwrap().0 - steps[0].0;
        (apart, steps.into_iter().map(|(_, what)| what).collect::<Vec<_>>())
    };
    let mut bench = Bench::new();
    // Each word takes its time.
    let slow = server(|stream| {
        bench::read_request(stream);
        for part in ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "pa", "ge"] {
            thread::sleep(Duration::from_millis(40));
            let _ = stream.write_all(part.as_bytes());
        }
    });
    let (apart, steps) = steps_of(&mut bench, slow, &http());
    let sent = steps[2].strip_prefix("request sent: ").and_then(|rest| rest.strip_suffix(" bytes"));
    assert!(sent.unwrap().parse::<u32>().unwrap() > 30, "{steps:?}");
    assert_eq!(steps[..2], [format!("to {slow}"), "connected".into()]);
    assert_eq!(
        steps[3..],
        ["first byte", "given to a worker", "header read: status 200", "body read: 4 bytes"]
    );
    assert!(apart.total_millis() >= 120, "the last word came after {apart}");
    let (_, steps) = steps_of(&mut bench, slow, &tcp());
    assert_eq!(steps, [format!("to {slow}"), "connected".into()]);
    let nobody = refusing();
    bench.start(ProbeId::ASKED, nobody, &tcp(), 3000, true);
    bench.until(|bench| bench.count(ProbeId::ASKED) == 3);
    let steps = bench.steps();
    assert!(steps.len() == 1 && steps[0].1 == format!("to {nobody}"), "no connection: {steps:?}");
    bench.start(0, slow, &http(), 3000, true);
    bench.until(|bench| bench.count(0) == 1);
    assert_eq!(bench.steps(), [], "nobody asked");
}

/// Law 5: the checker would wait for its outcome for ever.
#[test]
fn a_probe_that_cannot_be_described_is_no_verdict() {
    let mut bench = Bench::new();
    bench.start(0, server(half), &http(), 5000, true);
    bench.run_for(100);
    bench.refuse(0);
    bench.refuse(1);
    bench.until_ended(2);
    let why = Outcome::NotRun("nothing to probe".try_into().unwrap());
    assert!((0..2).all(|checker| bench.outcome(checker) == why), "{:?}", bench.outcome(0));
    bench.refuse(1);
    bench.stop(1);
    bench.start(1, server(good), &http(), 2000, true);
    bench.until_ended(3);
    bench.assert_passed(1);
}

#[test]
fn a_stopped_probe_says_nothing() {
    let mut bench = Bench::new();
    bench.start(0, server(half), &http(), 500, true);
    bench.start(1, server(good), &http(), 2000, true);
    bench.run_for(100);
    bench.stop(0);
    bench.run_for(900);
    assert_eq!((bench.count(0), bench.count(1)), (0, 1), "its checker is gone");
    bench.start(0, server(good), &http(), 2000, true);
    bench.until_ended(2);
    bench.assert_passed(0);
}

#[test]
fn idle_workers_are_ended() {
    let mut bench = Bench::new();
    bench.start(0, server(good), &http(), 2000, true);
    bench.until_ended(1);
    assert_eq!(bench.workers().len(), 1, "the first probe starts the first worker");
    bench.jump(61_000);
    bench.run_for(300);
    assert_eq!(bench.workers(), [], "memory is for those who need it");
}

#[test]
fn an_idle_worker_that_does_not_go_home_is_killed() {
    let mut bench = Bench::new();
    bench.start(0, server(good), &http(), 2000, true);
    bench.until_ended(1);
    let [worker] = bench.workers()[..] else { panic!("one conversation, one worker") };
    nix::sys::signal::kill(worker, nix::sys::signal::SIGSTOP).unwrap();
    bench.jump(61_000);
    bench.run_for(300);
    assert_eq!(bench.workers(), [], "one that was taken over would stay for ever");
}

#[test]
fn a_mail_is_handed_over_and_a_dead_mail_server_is_told() {
    let (said, heard) = std::sync::mpsc::channel();
    let address = server(move |stream| {
        let _ = stream.write_all(b"220 hi\r\n");
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            let reply: &[u8] = if line == "DATA" { b"354 go on\r\n" } else { b"250 ok\r\n" };
            let is_text = !["HELO", "MAIL", "RCPT", "DATA", ".", "QUIT"].iter().any(|c| line.starts_with(c));
            said.send(line).unwrap();
            if !is_text && stream.write_all(reply).is_err() {
                return;
            }
        }
    });
    let mut mail = Mail {
        server: MailServer::Ip(address),
        from: "vipd@gw".into(),
        to: vec!["root@localhost".into()],
        timeout: vipd::time::Duration::from_secs(2),
        helo: None,
    };
    let letter = Letter {
        id: 7,
        subject: "[gw a] VI_1: MASTER".try_into().unwrap(),
        body: "=> VRRP Instance is now owning VRRP VIPs <=\n".try_into().unwrap(),
    };
    let mut bench = Bench::new();
    bench.send_mail(&letter, &mail, "gw a");
    bench.until(|bench| !bench.mails.is_empty());
    assert_eq!(bench.mails, [(7, Ok(()))]);
    let lines: Vec<String> = heard.try_iter().collect();
    assert_eq!(lines[0], "HELO gw-a", "a name that HELO cannot take must not lose the mail");
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in ["Date: ", "From: vipd@gw", "To: root@", "Subject: [gw a] VI_1", "Message-ID: <", "=> VRRP"]
    {
        assert!(has(start), "{start} is missing: {lines:?}");
    }

    // The server took it, but its answer was lost: it is sent again.
    bench.send_mail(&letter, &mail, "gw a");
    bench.until(|bench| bench.mails.len() == 2);
    let id = |line: &&String| line.starts_with("Message-ID: ");
    let again: Vec<String> = heard.try_iter().collect();
    let ids = [lines.iter().find(id), again.iter().find(id)];
    assert_eq!(ids[0], ids[1], "RFC 5322 §3.6.4: mailboxes could not tell that it is one mail");

    mail.server = MailServer::Ip(refusing());
    bench.send_mail(&letter, &mail, "gw a");
    bench.until(|bench| bench.mails.len() == 3);
    assert_eq!(bench.mails[2].1.as_ref().unwrap_err(), "connection refused");
}

#[test]
fn a_worker_has_no_rights() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can give a worker another user and an empty root");
        return;
    }
    let mut bench = Bench::new();
    bench.start(0, server(half), &http(), 1000, true);
    bench.run_for(300);
    let [worker] = bench.workers()[..] else { panic!("one conversation, one worker") };
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("missing");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (name, want) in [
        ("Uid:", "65534 65534 65534 65534"),
        ("Gid:", "65534 65534 65534 65534"),
        ("Groups:", ""),
        ("CapInh:", "0000000000000000"),
        ("CapPrm:", "0000000000000000"),
        ("CapEff:", "0000000000000000"),
        ("CapBnd:", "0000000000000000"),
        ("CapAmb:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    ] {
        assert_eq!(field(name), want, "law 6: {name} of a worker");
    }
    let link = |name: &str| std::fs::read_link(format!("/proc/{worker}/{name}")).unwrap();
    assert_eq!(link("root"), std::path::Path::new("/run/vipd/empty"), "law 6: an empty root");
    assert_eq!(std::fs::read_dir("/run/vipd/empty").unwrap().count(), 0, "law 6: it is empty");
    assert_ne!(link("ns/net"), std::fs::read_link("/proc/self/ns/net").unwrap(), "law 6: no network");
    let mut open: Vec<String> = std::fs::read_dir(format!("/proc/{worker}/fd"))
        .unwrap()
        .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned())
        .map(|target| target.split(':').next().unwrap_or("").to_string())
        .collect();
    open.sort();
    assert_eq!(open, ["/dev/null", "/dev/null", "socket", "socket"], "the pair and the conversation");
    bench.until_ended(1);
    assert!(matches!(bench.outcome(0), Outcome::Failed(_)), "{:?}", bench.outcome(0));
}

#[test]
fn workers_end_with_the_loop() {
    let mut bench = Bench::new();
    bench.start(0, server(half), &http(), 5000, true);
    bench.run_for(300);
    let [worker] = bench.workers()[..] else { panic!("one conversation, one worker") };
    drop(bench);
    thread::sleep(Duration::from_millis(200));
    let state = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
    // Reaped, or a zombie that init will reap.
    assert!(state.is_empty() || state.contains(") Z "), "a worker outlives its daemon: {state}");
}

#[test]
fn steady_probing_opens_no_more_descriptors() {
    let mut bench = Bench::new();
    let address = server(good);
    let mut before = 0;
    for round in 1..=50 {
        if round == 5 {
            before = bench::descriptors();
        }
        bench.start(0, address, &http(), 2000, true);
        bench.start(1, address, &tcp(), 2000, true);
        bench.until_ended(2 * round);
    }
    bench.assert_passed(0);
    let more = bench::descriptors().saturating_sub(before);
    assert!(more <= 4, "{more} sockets of probes were left open");
}
