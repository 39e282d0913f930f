//! The kernel's sync daemon follows an instance (IPVS-74): what was connected through the Active goes on
//! through its successor.

use super::{CHECK, service};
use crate::field::requests::PATIENCE;
use crate::field::transport::{Talk, Transport};
use crate::field::{Field, Router, vip, virtual_router};
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::is_forced;
use nix::sys::signal::Signal;
use std::time::Duration;

const WEB: u16 = 8300;
/// The kernel sends what it has after 2 s at the latest.
const SYNCED: Duration = Duration::from_secs(8);

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut field = Field::build(stage, 2, &[])?;
    let result = steps(&mut field);
    field.explain(result)
}

fn config(priority: u8, sync: &str) -> String {
    let mut text = virtual_router(priority) + "[ipvs.sync]\ninterface = \"ens37\"\n" + sync;
    // Every packet is told of, so that a short conversation is known at once.
    text += "[ipvs.settings]\nsync_threshold = \"1 2\"\n";
    for ipv6 in families() {
        let front = format!("address = \"{}\"", vip(*ipv6, WEB));
        text += &service(if *ipv6 { "web6" } else { "web" }, &front, "rr", CHECK, &[(47, 1), (57, 1)]);
    }
    text
}

/// The old interface has no IPv6.
fn families() -> &'static [bool] {
    if is_forced() { &[false] } else { &[false, true] }
}

/// The kernel's sync daemons, as `ipvsadm` tells them.
fn daemons(router: &Router) -> Outcome<Vec<String>> {
    let text = router.host.output("ipvsadm", &["-Ln", "--daemon"])?;
    let mut lines: Vec<String> =
        text.lines().map(|line| line.trim().to_string()).filter(|l| !l.is_empty()).collect();
    lines.sort();
    Ok(lines)
}

fn wait_daemons(stage: &Stage, router: &Router, wanted: &[&str]) -> Outcome {
    let check = || {
        let seen = daemons(router)?;
        let right =
            seen.len() == wanted.len() && seen.iter().zip(wanted).all(|(seen, part)| seen.starts_with(part));
        ensure(right, || format!("{}: {seen:?}", router.name))
    };
    stage
        .until(&format!("{}: {}", router.name, wanted.join(" and ")), Duration::from_secs(8), check)
        .map(drop)
}

const MASTER: &str = "master sync daemon (mcast=ens37, syncid=51, maxlen=";
const BACKUP: &str = "backup sync daemon (mcast=ens37, syncid=51, maxlen=";

/// A conversation that is to survive.
fn open(field: &Field<'_>, ipv6: bool) -> Outcome<(Talk, String)> {
    let open = || -> std::io::Result<(Talk, String)> {
        let mut talk = Talk::open(Transport::Tcp, vip(ipv6, WEB), PATIENCE * 3)?;
        let page = talk.ask()?;
        for _ in 0..3 {
            talk.ask()?;
        }
        Ok((talk, page))
    };
    field.client.run(open).map_err(|error| format!("no conversation: {error}"))
}

/// All conversations go on with whom they were.
fn alive(field: &Field<'_>, lives: &mut [(Talk, String)], when: &str) -> Outcome {
    field.client.run(|| {
        for (talk, page) in lives {
            let now =
                talk.ask().map_err(|error| format!("{when}: a conversation with {page} broke: {error}"))?;
            ensure(now == *page, || format!("{when}: {now} in place of {page}"))?;
        }
        Ok(())
    })
}

/// The router knows so many established connections.
fn knows(stage: &Stage, router: &Router, count: usize) -> Outcome {
    let check = || {
        let text = router.host.output("ipvsadm", &["-Lnc"])?;
        let own = |line: &&str| line.contains("ESTABLISHED") && line.contains(":8300");
        let seen = text.lines().filter(own).count();
        ensure(seen >= count, || format!("{seen} connections: {text}"))
    };
    stage.until(&format!("{} knows {count} connections", router.name), SYNCED, check).map(drop)
}

fn steps(field: &mut Field<'_>) -> Outcome {
    let stage = field.stage;
    const SYNC: &str = "instance = \"VI_1\"\n";
    stage.step("two routers: the Active is the sync master, the other its backup", || {
        field.routers[1].start(&config(100, SYNC))?;
        field.routers[0].start(&config(200, SYNC))?;
        field.routers[0].wait_active(stage)?;
        wait_daemons(stage, &field.routers[0], &[MASTER])?;
        wait_daemons(stage, &field.routers[1], &[BACKUP])
    })?;
    let mut lives = Vec::new();
    stage.step("conversations through the Active are known to the Backup", || {
        for ipv6 in families().iter().cycle().take(4) {
            lives.push(open(field, *ipv6)?);
        }
        knows(stage, &field.routers[1], 4)
    })?;
    stage.step("the Active ends: they go on through the other, which is the sync master now", || {
        let (_, code) = field.routers[0].daemon()?.end(Signal::SIGTERM)?;
        ensure(code == Some(0), || format!("exit status {code:?}"))?;
        field.routers[1].wait_active(stage)?;
        alive(field, &mut lives, "after the failover")?;
        wait_daemons(stage, &field.routers[1], &[MASTER])?;
        wait_daemons(stage, &field.routers[0], &[])
    })?;
    stage.step(
        "it starts again: backup until it takes over; then the conversations come back with it",
        || {
            field.routers[0].start(&config(90, SYNC))?;
            wait_daemons(stage, &field.routers[0], &[BACKUP])?;
            alive(field, &mut lives, "before the second failover")?;
            knows(stage, &field.routers[0], 4)?;
            field.routers[0].reload(&config(200, SYNC))?;
            field.routers[0].wait_active(stage)?;
            alive(field, &mut lives, "after the second failover")?;
            wait_daemons(stage, &field.routers[0], &[MASTER])?;
            wait_daemons(stage, &field.routers[1], &[BACKUP])
        },
    )?;
    stage.step("other parameters by a reload; without an instance both roles at once", || {
        let all = "max_len = 1000\ngroup = \"224.0.0.90\"\nport = 9999\nttl = 3\n";
        let start = "sync daemon (mcast=ens37, syncid=7, maxlen=";
        // A backup has room for 1024 at the least, says the kernel. The old interface can say no more than
        // the id.
        let (all, backup, master) = match is_forced() {
            false => (
                all,
                "1024, group=224.0.0.90, port=9999, ttl=3)",
                "1000, group=224.0.0.90, port=9999, ttl=3)",
            ),
            true => ("", "", ""),
        };
        field.routers[0].reload(&config(200, &format!("id = 7\n{all}")))?;
        let (backup, master) = (format!("backup {start}{backup}"), format!("master {start}{master}"));
        wait_daemons(stage, &field.routers[0], &[&backup, &master])?;
        field.routers[0].reload(&config(200, SYNC))?;
        wait_daemons(stage, &field.routers[0], &[MASTER])
    })?;
    stage.step("somebody stops it: it comes back (law 5); killed and started, it is taken over", || {
        field.routers[0].host.output("ipvsadm", &["--stop-daemon", "master"])?;
        stage.until("the master is back", Duration::from_secs(15), || {
            let seen = daemons(&field.routers[0])?;
            ensure(seen.len() == 1 && seen[0].starts_with(MASTER), || format!("{seen:?}"))
        })?;
        field.routers[0].daemon()?.end(Signal::SIGKILL)?;
        field.routers[0].start(&config(200, SYNC))?;
        field.routers[0].wait_active(stage)?;
        wait_daemons(stage, &field.routers[0], &[MASTER])?;
        alive(field, &mut lives, "after the crash")
    })?;
    stage.step("both end: no daemon is left", || {
        for index in [0, 1] {
            field.routers[index].daemon()?.end(Signal::SIGTERM)?;
            wait_daemons(stage, &field.routers[index], &[])?;
        }
        Ok(())
    })
}
