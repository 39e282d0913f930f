//! How long clients are without a router, and how exactly adverts leave.

use super::netns::{Lan, eventually};
use super::subject::{Instance, Running};
use super::{Subject, Table, table};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

const VIP: &str = "10.9.0.100";
const SOON: Duration = Duration::from_secs(15);

pub fn measure(table: &mut Table, subjects: &[Subject], quick: bool) {
    let runs = if quick { 1 } else { 5 };
    for interval_ms in [1000, 100, 10] {
        let runs = if interval_ms == 1000 { runs } else { runs * 3 };
        for &subject in subjects {
            let mut samples: Vec<Duration> = Vec::new();
            let lan = Lan::new();
            let _b = start(subject, &lan, 'b', 100, interval_ms, one());
            for run in 0..runs {
                // Evenly over the interval: the last advert may have left just now or long ago.
                let phase = Duration::from_micros(interval_ms * 1000 * (2 * run + 1) / (2 * runs));
                samples.push(kill_to_garp(subject, &lan, interval_ms, phase, &one()));
            }
            let what = format!("failover at {interval_ms} ms adverts");
            let value = table::milliseconds(&mut samples);
            table.put(&what, subject, value, protocol(interval_ms));
        }
    }
    for &subject in subjects {
        let mut samples: Vec<Duration> = Vec::new();
        let lan = Lan::dual();
        let _b = start(subject, &lan, 'b', 100, 100, one6());
        for run in 0..if quick { 1 } else { 7 } {
            let phase = Duration::from_micros(100_000 * (2 * run + 1) / 14);
            samples.push(kill_to_garp(subject, &lan, 100, phase, &one6()));
        }
        let remark = "kill -9 to first neighbour advertisement";
        table.put("failover over IPv6 at 100 ms adverts", subject, table::milliseconds(&mut samples), remark);
    }
    let runs = if quick { 1 } else { 3 };
    for (count, ipv6) in [(1, false), (500, false), (2000, false), (1, true), (500, true)] {
        for &subject in subjects {
            let mut samples: Vec<Duration> = (0..runs).map(|_| takeover(subject, count, ipv6)).collect();
            let what = format!("takeover of {count} {} VIPs", if ipv6 { "IPv6" } else { "IPv4" });
            let remark = "first advert to the last VIP's first announcement";
            table.put(&what, subject, table::milliseconds(&mut samples), remark);
        }
    }
}

/// How exactly adverts leave, at rest and beside many sick servers.
pub fn measure_lateness(table: &mut Table, subjects: &[Subject], quick: bool) {
    for &subject in subjects {
        lateness(table, subject, "advert lateness at 100 ms", String::new(), quick);
    }
    if subjects.contains(&Subject::Vipd) {
        lateness(table, Subject::Vipd, "the same, 200 hung and 200 dead servers", servers(), quick);
    }
}

/// What the protocol allows from the kill to the first GARP: the last advert was up to one interval ago.
fn protocol(interval_ms: u64) -> &'static str {
    match interval_ms {
        1000 => "kill -9 to first GARP; the protocol says 2609-3609 ms",
        100 => "kill -9 to first GARP; the protocol says 261-361 ms",
        _ => "kill -9 to first GARP; the protocol says 26-36 ms",
    }
}

fn one() -> Vec<String> {
    vec![format!("{VIP}/24")]
}

/// The first is what the protocol wants first; hosts use the second.
fn one6() -> Vec<String> {
    vec!["fe80::100/64".to_string(), "fd09::100/64".to_string()]
}

fn start(
    subject: Subject,
    lan: &Lan,
    letter: char,
    priority: u8,
    interval_ms: u64,
    vips: Vec<String>,
) -> Running {
    let node = if letter == 'a' { &lan.a } else { &lan.b };
    subject.start(lan, node, &Instance { priority, interval_ms, vips, more: String::new() })
}

/// One Active dies; the time until the other announces the last VIP.
fn kill_to_garp(subject: Subject, lan: &Lan, interval_ms: u64, phase: Duration, vips: &[String]) -> Duration {
    let vip = vips.last().and_then(|v| v.split('/').next()).unwrap();
    let begin = Instant::now();
    let mut a = start(subject, lan, 'a', 200, interval_ms, vips.to_vec());
    lan.capture.advert('a', 51, 200, begin, SOON);
    eventually("only a carries the VIP", SOON, || lan.a.has(vip) && !lan.b.has(vip));
    let (last, _) = lan.capture.advert('a', 51, 200, Instant::now(), SOON);
    sleep((last + phase).saturating_duration_since(Instant::now()));
    let killed = a.daemon().kill_all();
    let announced = lan.capture.garp('b', vip, killed, SOON);
    vips.iter().for_each(|vip| lan.a.try_ip(&format!("addr del {vip} dev eth0")));
    announced - killed
}

/// From the new Active's first advert to the first GARP or neighbour advertisement of the last of its VIPs.
fn takeover(subject: Subject, count: usize, ipv6: bool) -> Duration {
    let lan = if ipv6 { Lan::dual() } else { Lan::new() };
    let prefix = if ipv6 { "fd08::" } else { "10.8." };
    let vip = |i: usize| match ipv6 {
        true => format!("fd08::{:x}/128", i + 1),
        false => format!("10.8.{}.{}/32", i / 250, i % 250 + 1),
    };
    // What the protocol wants first over IPv6 is not counted.
    let first = ipv6.then(|| "fe80::100/64".to_string());
    let vips: Vec<String> = first.into_iter().chain((0..count).map(vip)).collect();
    let begin = Instant::now();
    let mut a = start(subject, &lan, 'a', 200, 100, vips.clone());
    lan.capture.advert('a', 51, 200, begin, SOON);
    eventually("a carries all VIPs", SOON, || lan.a.count(prefix) == count);
    let _b = start(subject, &lan, 'b', 100, 100, vips);
    // b has read its configuration and hears a; a's announcements are over.
    sleep(Duration::from_secs(2));
    let killed = a.daemon().kill_all();
    let (elected, _) = lan.capture.advert('b', 51, 100, killed, SOON);
    let mut last = elected;
    eventually("every VIP is announced", SOON, || {
        let mut seen = BTreeSet::new();
        for (at, address) in
            lan.capture.since(elected, |f| f.garp().filter(|_| f.from == 'b').map(|g| (f.at, g.address)))
        {
            if address.to_string().starts_with(prefix) && seen.insert(address) {
                last = last.max(at);
            }
        }
        seen.len() == count
    });
    last - elected
}

/// How far the spacing of adverts is from 100 ms: the median and the worst.
fn lateness(table: &mut Table, subject: Subject, what: &str, more: String, quick: bool) {
    let lan = Lan::new();
    let hung: Vec<std::net::TcpListener> = lan
        .c
        .namespace
        .inside(|| (0..200).map(|i| std::net::TcpListener::bind(("10.9.0.3", 9000 + i)).unwrap()).collect());
    let instance = Instance { priority: 200, interval_ms: 100, vips: one(), more };
    let begin = Instant::now();
    let mut a = subject.start(&lan, &lan.a, &instance);
    lan.capture.advert('a', 51, 200, begin, SOON);
    sleep(Duration::from_secs(1));
    let from = Instant::now();
    let busy = a.daemon().cpu_ticks();
    sleep(Duration::from_secs(if quick { 3 } else { 20 }));
    let busy = a.daemon().cpu_ticks().saturating_sub(busy);
    let times = lan.capture.advert_times('a', 51, from);
    let wanted = Duration::from_millis(100);
    let mut off: Vec<Duration> = times.windows(2).map(|w| (w[1] - w[0]).abs_diff(wanted)).collect();
    off.sort();
    let ms = |d: Option<&Duration>| d.map_or(f64::NAN, |d| d.as_secs_f64() * 1e3);
    let value = format!("{:.2} ms (worst {:.2})", ms(off.get(off.len() / 2)), ms(off.last()));
    table.put(what, subject, value, "spacing against 100 ms, on the wire");
    let share = busy as f64 / from.elapsed().as_secs_f64();
    table.put(&format!("{what}, CPU"), subject, format!("{share:.2} %"), "all processes");
    drop(hung);
}

/// 200 servers that take a connection and never answer, 200 where nobody listens.
fn servers() -> String {
    let mut text = "[[service]]\nname = \"sick\"\naddress = \"10.9.0.100:80\"\nprotocol = \"tcp\"\n\
                    scheduler = \"rr\"\nforward = \"nat\"\ncheck = { type = \"http\", path = \"/\", \
                    status = [200], interval = \"2s\", timeout = \"1s\" }\n"
        .to_string();
    for i in 0..200 {
        text += &format!("[[service.server]]\naddress = \"10.9.0.3:{}\"\n", 9000 + i);
        text += &format!("[[service.server]]\naddress = \"10.9.0.3:{}\"\n", 10_000 + i);
    }
    text
}
