//! vipd beside keepalived where IPVS is: `lab guest bench [--quick]`, by `tests/bench/run --only=ipvs`.
//!
//! The guest's processor is emulated and slow: the ratio of the two columns counts. Each value goes out as a
//! line `bench|what|who|value|remark`, which the benchmarks' table takes in.

mod listen;
mod subject;
#[path = "../../bench/who.rs"]
mod who;

use crate::net::{Host, cable};
use crate::stage::{Outcome, Stage, ensure};
use listen::{Listener, ipvs_commands, worst_lateness};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use subject::{Check, Load, Running, Subject};

const BOTH: [Subject; 2] = [Subject::Vipd, Subject::Keepalived];
/// `<linux/ip_vs.h>`: change a destination; the commands up to FLUSH that read: GET_SERVICE, GET_DEST,
/// GET_DAEMON, GET_CONFIG, GET_INFO.
const SET_DEST: u8 = 6;
const READING: [u8; 5] = [4, 8, 11, 13, 15];

/// All of it.
pub fn run(quick: bool) -> Outcome {
    let stage = Stage::new("bench".into(), false);
    let bench = Bench::build(&stage, if quick { 1 } else { 3 })?;
    bench.programming()?;
    bench.reload()?;
    bench.probes(Check::Tcp)?;
    bench.probes(Check::Http)
}

/// A router, and beside it a host that has every server's address.
struct Bench<'a> {
    stage: &'a Stage,
    router: Host,
    lan: Host,
    /// Connections that the servers took.
    taken: Arc<AtomicUsize>,
    runs: usize,
}

impl<'a> Bench<'a> {
    fn build(stage: &'a Stage, runs: usize) -> Outcome<Bench<'a>> {
        let (lan, router) = (Host::make("bench-lan".into())?, Host::make("bench-r".into())?);
        lan.ip_batch("link add name br0 type bridge forward_delay 0\nlink set br0 up")?;
        cable(&lan, "port", &router, "eth0")?;
        router.ip_batch(
            "link set eth0 up\naddress add 10.9.0.1/24 dev eth0\naddress add 10.8.0.1/16 dev eth0\n\
             link add name nlmon0 type nlmon\nlink set nlmon0 up",
        )?;
        // What has every address would take the router's for its own, too.
        lan.ip_batch(
            "address add 10.8.255.1/16 dev br0\nroute add local 10.8.0.0/16 dev lo\n\
             route add 10.8.0.1 dev br0 table local",
        )?;
        let taken = Arc::new(AtomicUsize::new(0));
        serve(&lan, taken.clone());
        Ok(Bench { stage, router, lan, taken, runs })
    }

    /// 500 services with 8 servers each, from the start to the last one; and what one server weighs.
    fn programming(&self) -> Outcome {
        let load = Load { vrrp: false, services: 500, servers: 8, check: Check::None, odd_weight: 1 };
        let empty = Load { services: 1, servers: 1, ..load };
        for subject in BOTH {
            let (mut cpu, mut kernel, mut wall, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for _ in 0..self.runs {
                let mut small = Running::start(subject, &self.router, &empty)?;
                self.until_rows(2)?;
                std::thread::sleep(Duration::from_secs(1));
                let least = small.anonymous();
                self.end(&mut small)?;
                let begin = Instant::now();
                let mut running = Running::start(subject, &self.router, &load)?;
                self.until_rows(load.services * (load.servers + 1))?;
                wall.push(begin.elapsed());
                // Its own look at what it has done.
                std::thread::sleep(Duration::from_secs(1));
                let (user, system) = running.times();
                cpu.push(user + system);
                kernel.push(system);
                bytes.push(running.anonymous().saturating_sub(least));
                self.end(&mut running)?;
            }
            let what = "500 x 8 servers into IPVS";
            row(&format!("{what}, CPU"), subject, seconds(&mut cpu), "guest: all processes, user and system");
            row(&format!("{what}, system"), subject, seconds(&mut kernel), "guest: the kernel's part of it");
            row(&format!("{what}, wall"), subject, seconds(&mut wall), "guest: start to the last row");
            bytes.sort_unstable();
            let each = bytes[bytes.len() / 2] as f64 / (load.services * load.servers) as f64;
            row(
                "memory per server of these",
                subject,
                format!("{each:.0} B"),
                "guest: heap and stack, all processes",
            );
        }
        self.floor(&load)
    }

    /// What the kernel takes for such a table from a program that does nothing else: `ipvsadm`, one request
    /// after the other.
    fn floor(&self, load: &Load) -> Outcome {
        let mut running = Running::start(Subject::Vipd, &self.router, load)?;
        self.until_rows(load.services * (load.servers + 1))?;
        let table = self.router.output("ipvsadm", &["-Sn"])?;
        self.end(&mut running)?;
        let path = format!("/tmp/{}.rules", self.router.name);
        std::fs::write(&path, table).map_err(|error| format!("{path}: {error}"))?;
        for run in 0..self.runs {
            let before = of_children();
            self.router.output("sh", &["-c", &format!("ipvsadm -R < {path}")])?;
            let (user, system) = of_children();
            self.stage.say(format!(
                "   run {run}: ipvsadm -R takes {:.2} s for these, {:.2} s of it in the kernel",
                (user + system - before.0 - before.1).as_secs_f64(),
                (system - before.1).as_secs_f64()
            ));
            self.until_rows(load.services * (load.servers + 1))?;
            self.router.output("ipvsadm", &["-C"])?;
        }
        Ok(())
    }

    /// 1,000 services with 8 servers each, one weight changed, while adverts go out every 100 ms.
    fn reload(&self) -> Outcome {
        let load = Load { vrrp: true, services: 1000, servers: 8, check: Check::None, odd_weight: 1 };
        let interval = Duration::from_millis(100);
        for subject in BOTH {
            let mut running = Running::start(subject, &self.router, &load)?;
            self.until_rows(load.services * (load.servers + 1))?;
            let quiet = Listener::start(&self.lan, "port");
            std::thread::sleep(Duration::from_secs(3));
            let at_rest = worst_lateness(&quiet.end(), interval);
            let (mut wall, mut cpu, mut late, mut sent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for run in 0..self.runs {
                let odd_weight = 2 + u32::try_from(run).unwrap_or(0);
                let (adverts, netlink) =
                    (Listener::start(&self.lan, "port"), Listener::start(&self.router, "nlmon0"));
                let (before, begin) = (running.cpu(), Instant::now());
                running.reload(&Load { odd_weight, ..load })?;
                self.until_weight(odd_weight)?;
                wall.push(begin.elapsed());
                // Until nothing more comes of it.
                std::thread::sleep(Duration::from_secs(2));
                cpu.push(running.cpu().saturating_sub(before));
                let (worst, _) = worst_lateness(&adverts.end(), interval).ok_or("no adverts")?;
                late.push(worst);
                let commands = ipvs_commands(&netlink.end());
                let changes = commands.iter().filter(|command| !READING.contains(command)).count();
                let right = commands.iter().filter(|command| **command == SET_DEST).count();
                ensure(right == 1 || subject == Subject::Keepalived, || {
                    format!("{right} SET_DEST in {commands:?}")
                })?;
                sent.push(changes);
            }
            let what = "reload of 1000 x 8, one weight";
            row(
                &format!("{what}, wall"),
                subject,
                seconds(&mut wall),
                "guest: command to the kernel's table",
            );
            row(
                &format!("{what}, CPU"),
                subject,
                seconds(&mut cpu),
                "guest: all processes, parsing included",
            );
            sent.sort_unstable();
            let value = sent[sent.len() / 2].to_string();
            row(
                &format!("{what}, changes"),
                subject,
                value,
                "guest: netlink commands to IPVS, without reading",
            );
            let rest = at_rest.map_or("-".to_string(), |(worst, _)| format!("{:.1} ms", millis(worst)));
            let value = format!("{:.1} ms (at rest {rest})", millis(median(&mut late)));
            row(&format!("{what}, advert late"), subject, value, "guest: worst of 100 ms adverts meanwhile");
            self.end(&mut running)?;
        }
        Ok(())
    }

    /// What a probe costs: 200 servers, one probe each in two seconds.
    fn probes(&self, check: Check) -> Outcome {
        let load = Load { vrrp: false, services: 25, servers: 8, check, odd_weight: 1 };
        for subject in BOTH {
            let mut each = Vec::new();
            for _ in 0..self.runs {
                let mut running = Running::start(subject, &self.router, &load)?;
                self.until_rows(load.services * (load.servers + 1))?;
                // Every server was probed once: from now on it is the same again and again.
                self.taken.store(0, Ordering::SeqCst);
                self.until_taken(load.services * load.servers)?;
                let (cpu, taken) = (running.cpu(), self.taken.load(Ordering::SeqCst));
                self.until_taken(taken + 1000)?;
                let (cpu, taken) = (running.cpu() - cpu, self.taken.load(Ordering::SeqCst) - taken);
                each.push(cpu / u32::try_from(taken).unwrap_or(u32::MAX));
                self.end(&mut running)?;
            }
            let what = if check == Check::Tcp { "CPU per TCP probe" } else { "CPU per HTTP probe" };
            let value = format!("{:.0} us", median(&mut each).as_secs_f64() * 1e6);
            row(what, subject, value, "guest: all processes, over 1000 probes at 100/s");
        }
        Ok(())
    }

    fn until_rows(&self, wanted: usize) -> Outcome {
        let check = || {
            let rows = self.table()?.lines().skip(3).count();
            ensure(rows == wanted, || format!("{rows} rows of {wanted}"))
        };
        self.patiently("the table", check)
    }

    fn until_weight(&self, weight: u32) -> Outcome {
        let check = || {
            let table = self.table()?;
            let there = table.lines().any(|line| line.split_whitespace().nth(3) == Some(&weight.to_string()));
            ensure(there, || format!("no weight {weight}"))
        };
        self.patiently("the new weight", check)
    }

    fn until_taken(&self, wanted: usize) -> Outcome {
        let check = || {
            let taken = self.taken.load(Ordering::SeqCst);
            ensure(taken >= wanted, || format!("{taken} probes of {wanted}"))
        };
        self.patiently("probes", check)
    }

    /// Looks rarely: whoever reads the table takes the processor.
    fn patiently(&self, what: &str, check: impl Fn() -> Outcome) -> Outcome {
        let begin = Instant::now();
        loop {
            let Err(why) = check() else { return Ok(()) };
            ensure(begin.elapsed() < Duration::from_secs(180), || format!("{what}: {why}"))?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn table(&self) -> Outcome<String> {
        let read = || std::fs::read_to_string("/proc/thread-self/net/ip_vs");
        self.router.run(read).map_err(|error| format!("ip_vs: {error}"))
    }

    fn end(&self, running: &mut Running) -> Outcome {
        running.daemon.end_within(Signal::SIGTERM, Duration::from_secs(60))?;
        self.stage.say(format!("   {} ended", running.subject));
        self.router.output("ipvsadm", &["-C"])?;
        self.router.ip_batch(
            "address flush dev eth0\naddress add 10.9.0.1/24 dev eth0\naddress add 10.8.0.1/16 dev eth0",
        )
    }
}

/// Every address of the net answers HTTP on port 80; a connection without a request ends in silence.
fn serve(host: &Host, taken: Arc<AtomicUsize>) {
    let listener = host
        .run(|| TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 80))))
        .unwrap_or_else(|error| panic!("port 80: {error}"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            taken.fetch_add(1, Ordering::SeqCst);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
            let mut request = [0; 1024];
            if matches!(stream.read(&mut request), Ok(count) if count > 0) {
                let reply = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
                let _ = stream.write_all(reply.as_bytes());
            }
        }
    });
}

/// Processor time of children that have ended: user, system.
fn of_children() -> (Duration, Duration) {
    // SAFETY: all zeros is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live rusage.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let time = |value: libc::timeval| Duration::new(value.tv_sec as u64, value.tv_usec as u32 * 1000);
    (time(usage.ru_utime), time(usage.ru_stime))
}

fn row(what: &str, subject: Subject, value: String, remark: &str) {
    println!("bench|{what}|{subject}|{value}|{remark}");
}

fn median(samples: &mut [Duration]) -> Duration {
    samples.sort();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

fn seconds(samples: &mut [Duration]) -> String {
    format!("{:.2} s", median(samples).as_secs_f64())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
