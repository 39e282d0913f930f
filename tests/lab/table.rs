//! The kernel's IPVS table, as `ipvsadm` and `/proc/net/ip_vs` tell it.

use crate::net::Host;
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::{Lab, VIP1, forced};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A service with its destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Protocol, address, scheduler, flags: `TCP 10.0.0.100:80 wrr`.
    pub service: String,
    /// Address, method, weight: `192.168.234.47:80 Route 1`.
    pub destinations: Vec<String>,
}

/// What `ipvsadm -Ln` says.
pub fn read(host: &Host) -> Outcome<Vec<Entry>> {
    let text = host.output("ipvsadm", &["-Ln"])?;
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().skip(3) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.first(), entries.last_mut()) {
            (Some(&"->"), Some(entry)) => entry.destinations.push(words[1..words.len().min(4)].join(" ")),
            (Some(_), _) => entries.push(Entry { service: words.join(" "), destinations: Vec::new() }),
            (None, _) => {}
        }
    }
    for entry in &mut entries {
        entry.destinations.sort();
    }
    Ok(entries)
}

/// An error unless the table holds exactly this service with these destinations (sorted).
pub fn is(table: &[Entry], service: &str, destinations: &[&str]) -> Outcome {
    let wanted =
        Entry { service: service.into(), destinations: destinations.iter().map(|d| d.to_string()).collect() };
    ensure(table == [wanted.clone()], || format!("the table holds {}", told(table)))
}

/// A table in a line.
pub fn told(table: &[Entry]) -> String {
    let entry = |entry: &Entry| format!("{}: {}", entry.service, entry.destinations.join(", "));
    if table.is_empty() { "nothing".into() } else { table.iter().map(entry).collect::<Vec<_>>().join("; ") }
}

/// What a [`Sampler`] has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Samples {
    /// How often the table was read.
    pub reads: u32,
    /// How often it held no service, or one without a destination that takes connections.
    pub empty: u32,
    /// Longest time between two reads.
    pub longest: Duration,
}

/// Reads a router's table every few milliseconds.
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
}

impl Sampler {
    /// Starts it.
    pub fn start(host: &Host) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let (host, ended) = (host.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            host.enter();
            let mut samples = Samples::default();
            let mut last = Instant::now();
            while !ended.load(Ordering::SeqCst) {
                // Not /proc/net: that is the namespace of the process, not of this thread.
                let text = std::fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap_or_default();
                samples.reads += 1;
                samples.empty += u32::from(!serves(&text));
                samples.longest = samples.longest.max(last.elapsed());
                last = Instant::now();
                std::thread::sleep(Duration::from_millis(2));
            }
            samples
        });
        Sampler { stop, thread }
    }

    /// Ends it.
    pub fn end(self) -> Samples {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap_or_default()
    }
}

/// Is there a service, and has each a destination with a weight?
fn serves(text: &str) -> bool {
    let mut destinations: Vec<u32> = Vec::new();
    for line in text.lines().skip(3) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.first(), destinations.last_mut()) {
            (Some(&"->"), Some(count)) => {
                *count += u32::from(words.get(3).is_some_and(|weight| *weight != "0"))
            }
            (Some(_), _) => destinations.push(0),
            (None, _) => {}
        }
    }
    !destinations.is_empty() && destinations.iter().all(|count| *count > 0)
}

/// The kernel's schedulers.
const SCHEDULERS: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"];

/// Every scheduler by name, every forwarding method, TCP and UDP, persistence: what the file says is what
/// `ipvsadm` reads.
pub fn every_kind(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = every_kind_in(&mut lab);
    lab.explain(result)
}

fn every_kind_in(lab: &mut Lab) -> Outcome {
    let mut text = String::from(
        "[[vrrp]]\nname = \"VI_1\"\ninterface = \"ens37\"\nvrid = 50\npriority = 100\n\
         addresses = [\"10.0.0.100/24\"]\n",
    );
    let mut wanted = Vec::new();
    for (index, scheduler) in SCHEDULERS.iter().enumerate() {
        let (port, udp) = (1000 + index, index % 2 == 1);
        let protocol = if udp { "udp" } else { "tcp" };
        text += &format!(
            "[[service]]\nname = \"{scheduler}\"\naddress = \"{VIP1}:{port}\"\nprotocol = \"{protocol}\"\n\
             scheduler = \"{scheduler}\"\n"
        );
        // Persistence for the first two, one of them for whole nets of clients.
        let (option, flags) = match index {
            0 => ("persistence = \"50s\"\n", " persistent 50"),
            1 => ("persistence = { timeout = \"6m\", prefix = 24 }\n", " persistent 360 mask 255.255.255.0"),
            _ => ("", ""),
        };
        text += option;
        for (host, forward, weight) in [(47, "nat", 1), (57, "direct", 2), (67, "tunnel", 3)] {
            // Direct routing and tunnels keep the port.
            text += &format!(
                "[[service.server]]\naddress = \"192.168.234.{host}:{port}\"\nweight = {weight}\n\
                 forward = \"{forward}\"\n"
            );
        }
        wanted.push(Entry {
            service: format!("{} {VIP1}:{port} {scheduler}{flags}", protocol.to_uppercase()),
            destinations: vec![
                format!("192.168.234.47:{port} Masq 1"),
                format!("192.168.234.57:{port} Route 2"),
                format!("192.168.234.67:{port} Tunnel 3"),
            ],
        });
    }
    lab.a.config = format!("/tmp/{}.toml", lab.a.host.name);
    std::fs::write(&lab.a.config, text + forced()).map_err(|error| error.to_string())?;
    let stage = lab.stage;
    stage.step("13 schedulers, 3 forwarding methods, TCP and UDP, persistence", || {
        lab.a.start()?;
        let sorted = |mut entries: Vec<Entry>| {
            entries.sort_by(|a, b| a.service.cmp(&b.service));
            entries
        };
        let wanted = sorted(wanted);
        stage
            .until("ipvsadm reads what the file says", Duration::from_secs(20), || {
                let table = sorted(lab.a.table()?);
                ensure(table == wanted, || format!("wanted {wanted:?}, got {table:?}"))
            })
            .map(drop)
    })?;
    stage.step("somebody flushes the table: it comes back (law 5)", || {
        lab.a.host.output("ipvsadm", &["-C"])?;
        stage
            .until("all 13 services are back", Duration::from_secs(25), || {
                let table = lab.a.table()?;
                ensure(table.len() == 13 && table.iter().all(|e| e.destinations.len() == 3), || {
                    format!("{} services", table.len())
                })
            })
            .map(drop)
    })?;
    stage.step("SIGTERM: what is somebody else's stays, the rest goes", || {
        lab.a.host.output("ipvsadm", &["-A", "-t", "10.9.9.9:99", "-s", "rr"])?;
        let (took, code) = lab.a.daemon()?.end(nix::sys::signal::Signal::SIGTERM)?;
        stage.say(format!("   ended after {:.2} s with {code:?}", took.as_secs_f64()));
        ensure(code == Some(0), || format!("exit status {code:?}"))?;
        is(&lab.a.table()?, "TCP 10.9.9.9:99 rr", &[])
    })
}
