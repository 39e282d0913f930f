//! vipd on a kernel without IPVS: one clear message, VRRP all the same; and IPVS as soon as it is there.

use crate::daemon::status;
use crate::s1::{SERVICE, WEB47, WEB57};
use crate::stage::{Outcome, Stage, ensure};
use crate::table;
use crate::topology::{Lab, SKEW, SLACK, THREE_ADVERTS, VIP1};
use nix::sys::signal::Signal;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime, clock_settime};
use std::time::Duration;

/// Loads the kernel's IPVS; does nothing where it is loaded.
pub fn load_ipvs() {
    for module in std::fs::read_to_string("/etc/modules.ipvs").unwrap_or_default().lines() {
        let _ = crate::net::output("insmod", &[module]);
    }
}

/// Takes it out again; an error where somebody holds it.
fn unload_ipvs() -> Outcome {
    let list = std::fs::read_to_string("/etc/modules.ipvs").unwrap_or_default();
    let mut last = String::new();
    for module in list.lines().rev() {
        let name = module.rsplit('/').next().unwrap_or(module).trim_end_matches(".ko");
        last = crate::net::output("rmmod", &[name]).err().unwrap_or(last);
    }
    let loaded = std::fs::read_to_string("/proc/modules").unwrap_or_default();
    ensure(!loaded.lines().any(|line| line.starts_with("ip_vs ")), || format!("ip_vs stays: {last}"))
}

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let loaded = std::fs::read_to_string("/proc/modules").unwrap_or_default();
    ensure(!loaded.lines().any(|line| line.starts_with("ip_vs ")), || "ip_vs is loaded already".into())?;
    let mut lab = Lab::build(stage, "s1")?;
    let result = steps(&mut lab);
    lab.explain(result)
}

fn steps(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("both routers start without ip_vs: VRRP works", || {
        lab.start_both()?;
        lab.screens()
    })?;
    stage.step("one clear message names what to do", || {
        let (told, code) = told(&lab.a.socket)?;
        stage.say(format!("   status: {}", told.join("\n           ")));
        ensure(told.len() == 1 && code == 1, || format!("exit {code}, told {told:?}"))?;
        let log = lab.a.daemon()?.log();
        let logged: Vec<&str> = log.lines().filter(|line| line.contains("ip_vs")).collect();
        stage.say(format!("   log: {}", logged.join("\n        ")));
        ensure(logged.len() == 1, || format!("{} log lines: {log}", logged.len()))
    })?;
    stage.step("the clock is set an hour forward, then two back: nothing happens (B-70)", || {
        let history = lab.a.daemon()?.log();
        for hours in [1, -2, 1] {
            step_clock(hours)?;
            std::thread::sleep(THREE_ADVERTS + SKEW);
            lab.only(&lab.a, VIP1)?;
        }
        let after = lab.a.daemon()?.log();
        ensure(after == history, || format!("something was logged: {}", after.replacen(&history, "", 1)))
    })?;
    stage.step("the active vipd ends: the other takes over, without IPVS", || {
        lab.a.daemon()?.end(Signal::SIGTERM)?;
        lab.a.answers = false;
        stage.until("router 37 alone has the VIP", SKEW + SLACK, || lab.only(&lab.b, VIP1)).map(drop)
    })?;
    stage.step("ip_vs is loaded: the table is filled", || {
        load_ipvs();
        stage.until("both web servers are in it", Duration::from_secs(20), || {
            table::is(&lab.b.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        lab.spread(VIP1, &[("web 47", 10), ("web 57", 20)])?;
        lab.screens()
    })?;
    stage.step("ip_vs is taken out and put in again, with another family id: vipd finds it (B-95)", || {
        // Services hold the modules.
        lab.b.host.output("ipvsadm", &["-C"])?;
        unload_ipvs()?;
        stage.until("the status says that it is missing", Duration::from_secs(25), || {
            let (told, code) = told(&lab.b.socket)?;
            ensure(told.len() == 1 && code == 1, || format!("exit {code}, told {told:?}"))
        })?;
        load_ipvs();
        stage.until("both web servers are in the table", Duration::from_secs(25), || {
            table::is(&lab.b.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        lab.spread(VIP1, &[("web 47", 10), ("web 57", 20)])
    })
}

/// What the status says of IPVS that is not there, and its exit code.
fn told(socket: &str) -> Outcome<(Vec<String>, i32)> {
    let (code, text) = status(socket, &[])?;
    // A long problem goes on in lines that begin with two spaces.
    let problems = text.replace("\n  ", " ");
    let told = problems.lines().filter(|line| line.starts_with('!') && line.to_lowercase().contains("ipvs"));
    Ok((told.map(String::from).collect(), code))
}

/// Moves the guest's clock; this scenario runs alone, so that nobody else is misled.
fn step_clock(hours: i64) -> Outcome {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map_err(|e| e.to_string())?;
    let then = now + TimeSpec::hours(hours);
    clock_settime(ClockId::CLOCK_REALTIME, then).map_err(|e| format!("clock_settime: {e}"))
}
