//! Ways in which the Active router of S1 fails. After each, within three adverts, the skew and the lease,
//! exactly one router answers ARP for the VIP, and no duplicate remains.

use crate::stage::{Outcome, Stage, ensure};
use crate::topology::{LEASE, Lab, Router, SKEW, SLACK, THREE_ADVERTS, VIP1};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// SIGTERM, then SIGKILL.
pub fn ended(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = ended_in(&mut lab);
    lab.explain(result)
}

fn ended_in(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("both routers start", || lab.start_both())?;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        stage.step(&format!("{signal} to the active vipd"), || {
            lab.a.daemon()?.end(signal)?;
            lab.a.answers = false;
            settles(lab, &lab.b)?;
            lab.screens()
        })?;
        stage.step("it starts again", || {
            lab.a.start()?;
            settles(lab, &lab.a)?;
            lab.screens()
        })?;
    }
    Ok(())
}

/// SIGSTOP, then SIGCONT: the frozen vipd cannot take its VIP away, the kernel does (law 3).
pub fn frozen(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = frozen_in(&mut lab);
    lab.explain(result)
}

fn frozen_in(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("both routers start", || lab.start_both())?;
    stage.step("SIGSTOP to the active vipd", || {
        lab.a.daemon()?.signal(Signal::SIGSTOP)?;
        lab.a.answers = false;
        settles(lab, &lab.b)?;
        let (code, text) = crate::daemon::status(&lab.a.socket, &[])?;
        ensure(code == 4, || format!("status of a vipd that does not answer: exit {code}, want 4: {text}"))
    })?;
    stage.step("SIGCONT: it goes on", || {
        lab.a.daemon()?.signal(Signal::SIGCONT)?;
        lab.a.answers = true;
        settles(lab, &lab.a)?;
        lab.screens()
    })
}

/// The cable at the other end, then the interface itself.
pub fn link(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = link_in(&mut lab);
    lab.explain(result)
}

fn link_in(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("both routers start", || lab.start_both())?;
    stage.step("the active router's cable is pulled: no carrier", || {
        lab.plug(&lab.a, false)?;
        settles(lab, &lab.b)?;
        lab.screens()
    })?;
    stage.step("the cable is put in again", || {
        lab.plug(&lab.a, true)?;
        settles(lab, &lab.a)?;
        lab.screens()
    })?;
    stage.step("the active router's interface is set down", || {
        lab.a.host.ip_batch("link set ens37 down")?;
        settles(lab, &lab.b)?;
        lab.screens()
    })?;
    stage.step("the interface is set up", || {
        lab.a.host.ip_batch("link set ens37 up")?;
        settles(lab, &lab.a)?;
        lab.screens()
    })
}

/// Asks who has the VIP, from now on and for two adverts after the time in which it has to be settled. Two
/// answers may come before it, never after; the right one must.
fn settles(lab: &Lab, owner: &Router) -> Outcome {
    let bound = THREE_ADVERTS + SKEW + LEASE;
    let begin = Instant::now();
    let mut settled = None;
    let mut doubles = 0;
    let mut told = 0;
    while begin.elapsed() < bound + SLACK + Duration::from_secs(2) {
        let at = begin.elapsed();
        let answered = lab.who_has(VIP1)?;
        let alone = answered.len() == 1 && answered.contains(&owner.mac);
        doubles += u32::from(answered.len() > 1);
        settled = if alone { settled.or(Some(at)) } else { None };
        ensure(alone || at < bound + SLACK, || {
            format!(
                "{:.2} s after the failure {answered:?} answer; {} is {}",
                at.as_secs_f64(),
                owner.name,
                owner.mac
            )
        })?;
        if lab.stage.loud && at.as_secs() / 3 > told {
            told = at.as_secs() / 3;
            lab.stage.say(format!("   ... {} s: {} answers", at.as_secs(), answered.len()));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    let settled = settled.ok_or("nobody alone answers in the end")?;
    lab.stage.say(format!(
        "   {} alone answers ARP from {:.2} s on; {doubles} double answers before",
        owner.name,
        settled.as_secs_f64()
    ));
    lab.only(owner, VIP1)
}
