//! S1: one active router.

use crate::stage::{Outcome, Stage, ensure};
use crate::table;
use crate::topology::{LEASE, Lab, SKEW, SLACK, THREE_ADVERTS, VIP1, port80};
use crate::web::{Client, longest_gap};
use nix::sys::signal::Signal;
use std::time::Duration;

/// The service as `ipvsadm -Ln` shows it, and its two servers.
pub const SERVICE: &str = "TCP 10.0.0.100:80 wrr";
/// Web server 47 in the table.
pub const WEB47: &str = "192.168.234.47:80 Route 1";
/// Web server 57 in the table.
pub const WEB57: &str = "192.168.234.57:80 Route 2";
/// 4 failures 3 s apart, the first up to 6 s away, each up to 3 s long; and the emulated machine's slowness.
const DETECTION: Duration = Duration::from_secs(6 + 3 * 3 + 3 + 3);
/// While a server is down it is asked every 3 s (or 6 s).
const RECOVERY: Duration = Duration::from_secs(6 + 3 + 3);
/// 30 requests, spread by weight.
const BY_WEIGHT: [(&str, usize); 2] = [("web 47", 10), ("web 57", 20)];

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = servers(&mut lab).and_then(|()| routers(&mut lab));
    lab.explain(result)
}

/// Start, requests, web servers down and up.
fn servers(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("both routers start: router 27 (priority 100) becomes Active", || {
        lab.start_both()?;
        lab.screens()
    })?;
    stage.step("the table on router 27", || {
        stage.until("both web servers are in it", Duration::from_secs(5), || {
            table::is(&lab.a.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        stage.say(lab.a.host.output("ipvsadm", &["-Ln"])?);
        lab.screens()
    })?;
    stage.step("30 requests through the VIP, weights 1 and 2", || {
        lab.spread(VIP1, &BY_WEIGHT)?;
        lab.screens()
    })?;
    stage.step("web server 57 stops", || {
        lab.web57.down();
        stage.until("router 27 takes it out", DETECTION, || table::is(&lab.a.table()?, SERVICE, &[WEB47]))?;
        lab.spread(VIP1, &[("web 47", 30)])?;
        let sink = lab.a.sink.clone();
        let told = || {
            let mails = sink.mails();
            let mail = mails.iter().find(|mail| mail.text.contains("192.168.234.57"));
            mail.cloned().ok_or_else(|| format!("{} mails, none about 192.168.234.57", mails.len()))
        };
        let (mail, _) = stage.until("a mail says so", Duration::from_secs(10), told)?;
        let subject = mail.text.lines().find(|line| line.starts_with("Subject:")).unwrap_or("no subject");
        stage.say(format!("   mail to {}: {subject}", mail.to.join(", ")));
        ensure(mail.to.iter().any(|to| to.contains("root@localhost")), || {
            format!("recipients {:?}", mail.to)
        })?;
        ensure(mail.from.contains("keepalived@localhost"), || format!("sender {}", mail.from))?;
        lab.screens()
    })?;
    stage.step("web server 57 is back", || {
        lab.web57.up();
        stage.until("router 27 puts it in", RECOVERY, || {
            table::is(&lab.a.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        lab.spread(VIP1, &BY_WEIGHT)?;
        lab.screens()
    })?;
    stage.step("both web servers stop: the sorry page", || {
        lab.web47.down();
        lab.web57.down();
        stage.until("router 27 puts the sorry server in", DETECTION, || {
            table::is(&lab.a.table()?, SERVICE, &["127.0.0.1:80 Route 1"])
        })?;
        lab.spread(VIP1, &[("sorry page of router 27", 10)])?;
        lab.screens()
    })?;
    stage.step("both web servers are back", || {
        lab.web47.up();
        lab.web57.up();
        stage.until("both are in the table", RECOVERY, || {
            table::is(&lab.a.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        lab.spread(VIP1, &BY_WEIGHT)?;
        lab.screens()
    })
}

/// A router dies and comes back; both end.
fn routers(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("router 27's plug is pulled", || {
        let client =
            Client::start(&lab.client, port80(VIP1), Duration::from_millis(20), Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(500));
        lab.plug(&lab.a, false)?;
        lab.a.daemon()?.end(Signal::SIGKILL)?;
        lab.a.answers = false;
        stage.until("router 37 alone has the VIP", THREE_ADVERTS + SKEW + LEASE + SLACK, || {
            lab.only(&lab.b, VIP1)
        })?;
        std::thread::sleep(Duration::from_secs(2));
        let requests = client.end();
        let outage = longest_gap(&requests);
        stage.say(format!(
            "   outage seen by a client that requests every 20 ms: {:.2} s ({} requests)",
            outage.as_secs_f64(),
            requests.len()
        ));
        ensure(outage < THREE_ADVERTS + SKEW + SLACK, || {
            format!("outage {:.2} s, want 3 adverts and the skew at most", outage.as_secs_f64())
        })?;
        lab.spread(VIP1, &BY_WEIGHT)?;
        // While another vipd runs, both share their code.
        let daemon = lab.b.daemon()?;
        let (count, memory) = (daemon.pids().len(), daemon.memory("Pss"));
        stage.say(format!("   router 37's vipd, {count} processes: {memory} kB of memory (PSS)"));
        ensure(memory > 0, || "the kernel does not tell of its memory".into())?;
        lab.screens()
    })?;
    stage.step("router 27 is back and takes over again", || {
        let client =
            Client::start(&lab.client, port80(VIP1), Duration::from_millis(20), Duration::from_secs(1));
        lab.plug(&lab.a, true)?;
        lab.a.start()?;
        stage
            .until("router 27 alone has the VIP", THREE_ADVERTS + SKEW + LEASE, || lab.only(&lab.a, VIP1))?;
        std::thread::sleep(Duration::from_secs(1));
        let outage = longest_gap(&client.end());
        stage.say(format!("   longest pause between two answers: {:.2} s", outage.as_secs_f64()));
        stage.until("both web servers are in its table", RECOVERY, || {
            table::is(&lab.a.table()?, SERVICE, &[WEB47, WEB57])
        })?;
        lab.spread(VIP1, &BY_WEIGHT)?;
        lab.screens()
    })?;
    stage.step("both routers are told to end (SIGTERM): nothing is left over", || {
        for router in [&mut lab.a, &mut lab.b] {
            let (took, code) = router.daemon()?.end(Signal::SIGTERM)?;
            router.answers = false;
            stage.say(format!("   {} ended after {:.2} s", router.name, took.as_secs_f64()));
            ensure(code == Some(0), || format!("{}: exit status {code:?}", router.name))?;
            ensure(took < Duration::from_secs(3), || format!("{}: it waited for something", router.name))?;
            ensure(!router.has(VIP1)?, || format!("{} still has the VIP", router.name))?;
            let table = router.table()?;
            ensure(table.is_empty(), || format!("{}: left over {table:?}", router.name))?;
        }
        let answered = lab.who_has(VIP1)?;
        ensure(answered.is_empty(), || format!("{answered:?} answers"))?;
        lab.screens()
    })
}
