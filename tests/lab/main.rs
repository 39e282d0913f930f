//! The scenarios, end to end: the real binary on a real kernel with IPVS, real HTTP through it.
//!
//! `board/lab/guest` boots a Debian kernel under qemu and runs this program there: `lab guest [--loud]
//! [NAME]...` runs the named scenarios (all, where none is named), `lab guest shell` leaves the person at a
//! shell on router A. Each scenario has network namespaces of its own, so that they run side by side; with
//! `--loud` they run one after the other and every step tells what it sees; with `--sockopt` every vipd
//! uses the kernel's old interface.

// A test program: nobody outside reads its items, and a broken assumption of its own may end it.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arp;
mod balance;
mod bench;
mod daemon;
mod failures;
mod field;
mod import;
mod kernel;
mod matrix;
mod methods;
mod missing;
mod net;
mod peers;
mod screen;
mod shell;
mod stage;
mod table;
mod topology;
mod web;

mod s1;
mod s2;
mod s3;

use nix::sys::resource::{Resource, setrlimit};
use stage::{Outcome, Stage};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A scenario: its name, what it shows, and itself.
type Scenario = (&'static str, &'static str, fn(&Stage) -> Outcome);

/// Scenarios at one time, where they run side by side.
const LANES: usize = 3;
/// Descriptors of all servers and clients.
const FILES_MAX: u64 = 16384;
/// A machine that stands still for so long is no measure for anything.
const STALL: Duration = Duration::from_millis(800);

/// All of them, the longest first. `missing` is not among them: it needs a kernel without IPVS, so it goes
/// first and alone.
const SCENARIOS: [Scenario; 18] = [
    ("s1", "one active router, two web servers", s1::run),
    ("term", "the active vipd is told to end, or killed", failures::ended),
    ("link", "the active router's link fails", failures::link),
    ("peer", "keepalived is the other router, backup first", peers::keepalived_backup),
    ("peer2", "keepalived is the other router, active first", peers::keepalived_active),
    ("s3", "all web servers down: the sorry server", s3::run),
    ("s2", "two active routers, one VIP each", s2::run),
    ("stop", "the active vipd is frozen", failures::frozen),
    ("methods", "tunnel and NAT; reload", methods::run),
    ("foreign", "somebody else edits the kernel's table", balance::foreign::run),
    ("sync", "connections survive a failover by the kernel's sync daemon", balance::sync::run),
    ("servers", "inhibit, start-up mode, quorum, suspended services", balance::servers::run),
    ("crash", "killed and started again: the table is adopted", balance::crash::run),
    ("groups", "server groups, marks, servers of the other family", balance::fronts::run),
    ("whole", "timeouts and settings, and what becomes of them", balance::whole::run),
    ("clients", "persistence, one-packet scheduling, thresholds", balance::clients::run),
    ("tables", "every scheduler and every forwarding method in the kernel's table", table::every_kind),
    ("kernel", "the same requests by netlink and by socket options", kernel::run),
];

/// Those that run by name alone.
const BY_NAME: [Scenario; 3] = [
    ("pairs", "a part of the matrix: every two of protocol, scheduler, method, family", matrix::pairs),
    ("matrix", "every protocol, scheduler, method and family, by real requests", matrix::run),
    (
        "import",
        "keepalived and vipd read the same keepalived.conf: the kernel's table is the same",
        import::run,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(("guest", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        println!("lab: nothing done: it needs a kernel with IPVS to itself; tests/run runs it in its guest");
        return ExitCode::SUCCESS;
    };
    let loud = rest.iter().any(|word| word == "--loud");
    let names: Vec<&str> = rest.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    daemon::syslog();
    stage::watch_stalls();
    // All hosts are threads of this program.
    setrlimit(Resource::RLIMIT_NOFILE, FILES_MAX, FILES_MAX).expect("as root a limit can be raised");
    if names == ["shell"] {
        return shell::run();
    }
    if names == ["bench"] {
        missing::load_ipvs();
        let done = bench::run(rest.iter().any(|word| word == "--quick"));
        return done.map_or_else(|why| failed(&why), |()| ExitCode::SUCCESS);
    }
    let find = |name: &&str| SCENARIOS.iter().chain(&BY_NAME).find(|scenario| scenario.0 == *name);
    if let Some(name) = names.iter().find(|name| **name != "missing" && find(name).is_none()) {
        println!("lab: no scenario is called {name}");
        return ExitCode::from(2);
    }
    let begin = Instant::now();
    let mut results = Vec::new();
    if names.is_empty() || names.contains(&"missing") {
        results.push(play(
            &("missing", "vipd before the kernel's IPVS is there, and when it goes", missing::run),
            loud,
        ));
    }
    missing::load_ipvs();
    let chosen: Vec<&Scenario> =
        if names.is_empty() { SCENARIOS.iter().collect() } else { names.iter().filter_map(find).collect() };
    if loud {
        results.extend(chosen.into_iter().map(|scenario| play(scenario, true)));
    } else {
        results.extend(side_by_side(chosen));
    }
    let passed = results.iter().filter(|result| **result).count();
    let failed = results.len() - passed;
    println!("lab: {passed} scenarios passed, {failed} failed, {:.0} s", begin.elapsed().as_secs_f64());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    println!("bench: FAILED: {why}");
    ExitCode::FAILURE
}

/// Runs scenarios in lanes: more at one time than the emulated processors can carry would show nothing but
/// that.
fn side_by_side(scenarios: Vec<&Scenario>) -> Vec<bool> {
    let queue = Mutex::new(VecDeque::from(scenarios));
    let next = || queue.lock().unwrap().pop_front();
    let lane = || std::iter::from_fn(next).map(|scenario| play(scenario, false)).collect::<Vec<bool>>();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    })
}

/// Runs one scenario and tells how it went. One that fails while the whole machine stood still is run once
/// more: an emulated machine that gets no processor for a second proves nothing about who takes over in a
/// second.
fn play(scenario: &Scenario, loud: bool) -> bool {
    let (name, about, run) = *scenario;
    for prefix in [name.to_string(), format!("{name}-again")] {
        let stage = Stage::new(prefix, loud);
        stage.say(about);
        // A broken assertion inside is a failed scenario, not the end of the others.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&stage)))
            .unwrap_or_else(|_| Err("panicked (see above)".into()));
        if stage.end(outcome) {
            return true;
        }
        let stood_still = stage.worst_stall();
        if stood_still < STALL {
            return false;
        }
        stage.say(format!(
            "the machine stood still for {:.1} s meanwhile: not counted",
            stood_still.as_secs_f64()
        ));
    }
    false
}
