//! Law 2 and SEC-4: what is rejected changes nothing but a counter, be it 5 or 10,000 packets a second.
//!
//! The spacing of adverts is measured by the kernel's time of each frame on the wire. A busy machine may
//! spoil a
//! measurement, so one that fails is repeated; a daemon that lets packets touch its timers fails every one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "netns/mod.rs"]
mod netns;

use netns::{Advert, Keepalived, Lan, Vipd, eventually, lan, lan_with_keepalived};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
const SOON: Duration = Duration::from_secs(9);
const INTERVAL: Duration = Duration::from_millis(500);
const FLOOD: Duration = Duration::from_secs(6);
/// One and two more where the machine was busy.
const TRIES: usize = 3;

/// Two floods at once would measure each other.
static HEAVY: Mutex<()> = Mutex::new(());
/// The victims and their intervals.
const BOTH: [(u8, Duration); 2] = [(51, INTERVAL), (52, Duration::from_secs(1))];

/// VRID 51 at 500 ms (v3) and VRID 52 at 1 s with a password (v2): every kind of bad packet has a victim.
fn config() -> String {
    let instance = |name: &str, vrid: u8, rest: &str, vip: &str| {
        format!(
            "[[vrrp]]\nname = \"{name}\"\ninterface = \"eth0\"\nvrid = {vrid}\npriority = 150\n{rest}\n\
             addresses = [\"{vip}/24\"]\n"
        )
    };
    instance("V3", 51, "version = 3\nadvert_interval = \"500ms\"", VIP)
        + &instance("V2", 52, "version = 2\nadvert_interval = \"1s\"\nauth_pass = \"1111\"", "10.9.0.101")
}

/// Each would take over at once if it were believed: priority 254.
fn bad_frames() -> Vec<Vec<u8>> {
    let v3 = || Advert::new(3, 51, 254, 50, VIP);
    let v2 = || Advert { auth_type: 1, auth: *b"1111\0\0\0\0", ..Advert::new(2, 52, 254, 1, "10.9.0.101") };
    [
        Advert { checksum_good: false, ..v3() },
        Advert { ttl: 64, ..v3() },
        Advert { interval: 0, ..v3() },
        Advert { addresses: vec![], ..v3() },
        Advert { source: [127, 0, 0, 1].into(), ..v3() },
        Advert::new(2, 51, 254, 1, VIP),
        Advert { checksum_good: false, ..v2() },
        Advert { ttl: 64, ..v2() },
        Advert { auth: *b"1112\0\0\0\0", ..v2() },
        Advert { auth_type: 0, ..v2() },
        Advert { auth_type: 2, ..v2() },
        Advert { interval: 2, ..v2() },
        Advert::new(3, 52, 254, 100, "10.9.0.101"),
    ]
    .map(|a| a.frame())
    .to_vec()
}

/// Good ones that lose: an Active answers them at a limited rate and goes on.
fn lower_frames() -> Vec<Vec<u8>> {
    vec![Advert::new(3, 51, 10, 50, VIP).frame()]
}

fn active(lan: &Lan) -> Vipd {
    let a = Vipd::start(lan, &lan.a, &config());
    eventually("a carries both VIPs", SOON, || lan.a.has(VIP) && lan.a.has("10.9.0.101"));
    a
}

/// Median and longest spacing of the adverts of each VRID while `frames` come in.
fn spacing_under(lan: &Lan, vrids: &[u8], frames: &[Vec<u8>], per_second: u32) -> Vec<(Duration, Duration)> {
    let start = Instant::now();
    let sent = lan.injector().flood(frames, per_second, FLOOD);
    let end = Instant::now();
    assert!(sent as f64 > 0.8 * f64::from(per_second) * FLOOD.as_secs_f64(), "only {sent} frames sent");
    let spacing = |vrid: &u8| {
        let times = lan.capture.advert_times('a', *vrid, start);
        let mut gaps: Vec<Duration> = times.windows(2).map(|w| w[1] - w[0]).collect();
        gaps.sort();
        let median = gaps.get(gaps.len() / 2).copied().unwrap_or(FLOOD);
        // The silence before the first and after the last advert counts too.
        let first = times.first().map_or(FLOOD, |t| *t - start);
        let last = times.last().map_or(FLOOD, |t| end.saturating_duration_since(*t));
        (median, gaps.last().copied().unwrap_or(FLOOD).max(first).max(last))
    };
    vrids.iter().map(spacing).collect()
}

/// Both instances at once; `TRIES` times where the machine was too busy to tell.
#[track_caller]
fn hold_their_rhythm(lan: &Lan, instances: &[(u8, Duration)], frames: &[Vec<u8>], per_second: u32) {
    let vrids: Vec<u8> = instances.iter().map(|(vrid, _)| *vrid).collect();
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let spacing = spacing_under(lan, &vrids, frames, per_second);
        let near = |d: Duration, interval: Duration| d.abs_diff(interval) <= interval / 10;
        let good = |(s, i): (&(Duration, Duration), &(u8, Duration))| near(s.0, i.1) && near(s.1, i.1);
        if spacing.iter().zip(instances).all(good) {
            return;
        }
        seen.push(spacing);
    }
    panic!(
        "SEC-4: at {per_second} packets/s (median, longest) were {seen:?}, wanted {instances:?} within 10 %"
    );
}

/// The bed can tell: the same 5 packets a second silence Debian's keepalived.
#[test]
fn bed_sees_keepalived_fall_silent() {
    let Some(lan) = lan_with_keepalived() else { return };
    let config = "global_defs {\n vrrp_version 3\n}\nvrrp_instance VI_1 {\n interface eth0\n \
                  virtual_router_id 51\n priority 150\n advert_int 0.5\n \
                  virtual_ipaddress {\n 10.9.0.100/24\n }\n}\n";
    let _a = Keepalived::start(&lan, &lan.a, config);
    eventually("a carries the VIP", SOON, || lan.a.has(VIP));
    let bad = Advert { ttl: 64, ..Advert::new(3, 51, 254, 50, VIP) }.frame();
    let spacing = spacing_under(&lan, &[51], &[bad], 5);
    assert!(spacing[0].1 > 2 * INTERVAL, "expected keepalived 2.2.7 to fall silent, spacing {spacing:?}");
}

#[test]
fn five_bad_packets_a_second() {
    let Some(lan) = lan() else { return };
    let _a = active(&lan);
    hold_their_rhythm(&lan, &BOTH, &bad_frames(), 5);
}

#[test]
fn ten_thousand_bad_packets_a_second() {
    let Some(lan) = lan() else { return };
    let _one_at_a_time = HEAVY.lock();
    let a = active(&lan);
    lan.injector().flood(&bad_frames(), 1000, Duration::from_secs(1));
    let (memory, log) = (a.kilobytes("status", "VmRSS"), a.log().len());
    hold_their_rhythm(&lan, &BOTH, &bad_frames(), 10_000);
    let (more, longer) = (a.kilobytes("status", "VmRSS"), a.log().len());
    assert!(more <= memory + 128, "SEC-8: memory grew from {memory} to {more} kB");
    assert!(longer < log + 20_000, "law 2: no log line per packet; {} bytes more", longer - log);
    assert!(lan.a.has(VIP) && lan.a.has("10.9.0.101"));
    let status = a.status();
    for rung in ["checksum", "ttl", "auth_type", "auth_failed", "interval", "version", "source", "count"] {
        assert!(status.contains(&format!("\"why\":\"{rung}\"")), "law 2: a counter for {rung}: {status}");
    }
}

#[test]
fn ten_thousand_lower_adverts_a_second() {
    let Some(lan) = lan() else { return };
    let _one_at_a_time = HEAVY.lock();
    let a = active(&lan);
    lan.injector().flood(&lower_frames(), 1000, Duration::from_secs(1));
    let memory = a.kilobytes("status", "VmRSS");
    let start = Instant::now();
    // The instance that nobody bothers keeps its exact rhythm on the same interface.
    hold_their_rhythm(&lan, &BOTH[1..], &lower_frames(), 10_000);
    let more = a.kilobytes("status", "VmRSS");
    assert!(more <= memory + 128, "B-62: memory grew from {memory} to {more} kB");
    // FSM-21, FSM-33: the other answers, never later than its interval, and never without a limit.
    let times = lan.capture.advert_times('a', 51, start);
    let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(FLOOD);
    assert!(longest <= INTERVAL + INTERVAL / 10, "B-62: longest gap {longest:?}");
    let most = (start.elapsed().as_millis() / 100 + 5) as usize;
    assert!(times.len() <= most, "FSM-33: {} adverts, at most {most}", times.len());
    assert!(lan.a.has(VIP));
}

/// SEC-9: resignations, too, are answered at a limited rate only.
#[test]
fn thousand_resignations_a_second() {
    let Some(lan) = lan() else { return };
    let _one_at_a_time = HEAVY.lock();
    let _a = active(&lan);
    let start = Instant::now();
    let sent = lan.injector().flood(&[Advert::new(3, 51, 0, 50, VIP).frame()], 1000, Duration::from_secs(2));
    let times = lan.capture.advert_times('a', 51, start);
    let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(FLOOD);
    assert!(longest <= INTERVAL + INTERVAL / 10, "longest gap {longest:?}");
    assert!(times.len() < 220, "SEC-9: {} adverts for {sent} resignations", times.len());
}

/// The same for a Backup: its timer runs on, and it becomes Active on time.
#[test]
fn bad_packets_do_not_hold_a_backup_down() {
    let Some(lan) = lan() else { return };
    let injector = lan.injector();
    let start = Instant::now();
    let _a = Vipd::start(&lan, &lan.a, &config());
    injector.flood(&bad_frames(), 1000, Duration::from_secs(5));
    let first = |vrid| lan.capture.advert('a', vrid, 150, start, Duration::from_secs(1)).0 - start;
    let (v3, v2) = (first(51), first(52));
    assert!(v3 < Duration::from_millis(1500 + 207 + 600), "1.7 s and the start, was {v3:?}");
    assert!(v2 < Duration::from_millis(3000 + 414 + 600), "3.4 s and the start, was {v2:?}");
}
