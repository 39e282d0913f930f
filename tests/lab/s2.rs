//! S2: two active routers, each with a VIP of its own, each the other's backup.

use crate::stage::{Outcome, Stage, ensure};
use crate::table::Entry;
use crate::topology::{Lab, SKEW, SLACK, THREE_ADVERTS, VIP1, VIP2, port80};
use crate::web::{Client, longest_gap};
use nix::sys::signal::Signal;
use std::time::Duration;

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s2")?;
    let result = steps(&mut lab);
    lab.explain(result)
}

fn steps(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    let wanted = [
        Entry {
            service: "TCP 10.0.0.100:80 wrr".into(),
            destinations: vec!["192.168.234.47:80 Route 1".into()],
        },
        Entry {
            service: "TCP 10.0.0.200:80 wrr".into(),
            destinations: vec!["192.168.234.57:80 Route 1".into()],
        },
    ];
    let election = THREE_ADVERTS + SKEW + Duration::from_secs(5);
    stage.step("both routers start: each has one VIP", || {
        lab.a.start()?;
        lab.b.start()?;
        stage.until("10.0.0.100 on router 27, 10.0.0.200 on router 37", election, || {
            lab.only(&lab.a, VIP1)?;
            lab.only(&lab.b, VIP2)
        })?;
        lab.screens()
    })?;
    stage.step("both VIPs serve", || {
        for router in [&lab.a, &lab.b] {
            let table = sorted(router.table()?);
            ensure(table == wanted, || format!("{}: wanted {wanted:?}, got {table:?}", router.name))?;
        }
        lab.spread(VIP1, &[("web 47", 6)])?;
        lab.spread(VIP2, &[("web 57", 6)])
    })?;
    stage.step("vipd on router 27 is stopped (SIGTERM): router 37 has both VIPs", || {
        let client =
            Client::start(&lab.client, port80(VIP1), Duration::from_millis(20), Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(300));
        let (_, code) = lab.a.daemon()?.end(Signal::SIGTERM)?;
        lab.a.answers = false;
        ensure(code == Some(0), || format!("exit status {code:?}"))?;
        // Priority 0 first: the other waits for its skew time only.
        stage.until("router 37 alone has both", SKEW + SLACK, || {
            lab.only(&lab.b, VIP1)?;
            lab.only(&lab.b, VIP2)
        })?;
        std::thread::sleep(Duration::from_secs(1));
        let outage = longest_gap(&client.end());
        stage.say(format!(
            "   outage seen by a client that requests every 20 ms: {:.2} s",
            outage.as_secs_f64()
        ));
        let table = lab.a.table()?;
        ensure(table.is_empty(), || format!("router 27's table: {table:?}"))?;
        lab.spread(VIP1, &[("web 47", 6)])?;
        lab.spread(VIP2, &[("web 57", 6)])?;
        lab.screens()
    })?;
    stage.step("vipd on router 27 starts again: it takes its VIP back", || {
        lab.a.start()?;
        stage.until("10.0.0.100 on router 27, 10.0.0.200 on router 37", election, || {
            lab.only(&lab.a, VIP1)?;
            lab.only(&lab.b, VIP2)
        })?;
        stage.until("router 27's table is complete", Duration::from_secs(10), || {
            let table = sorted(lab.a.table()?);
            ensure(table == wanted, || format!("wanted {wanted:?}, got {table:?}"))
        })?;
        lab.spread(VIP1, &[("web 47", 6)])?;
        lab.spread(VIP2, &[("web 57", 6)])?;
        lab.screens()
    })
}

fn sorted(mut table: Vec<Entry>) -> Vec<Entry> {
    table.sort_by(|a, b| a.service.cmp(&b.service));
    table
}
