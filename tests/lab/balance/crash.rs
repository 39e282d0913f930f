//! vipd dies without a word and comes back: what is still wanted is adopted as it stands, the rest goes, and
//! clients notice nothing. The VIP is the router's own address here: that it rests until the next election is
//! another matter (`term`).

use super::{CHECK, counters, row, service};
use crate::field::requests::{Endless, PATIENCE};
use crate::field::saved::Saved;
use crate::field::transport::{Talk, Transport};
use crate::field::{Field, VIP4, interfaces, vip};
use crate::stage::{Outcome, Stage, ensure};
use crate::table::Sampler;
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::time::Duration;

/// Ports: stays as it is; is edited; is removed.
const STAYS: u16 = 8600;
const EDITED: u16 = 8601;
const REMOVED: u16 = 8602;
const THEIRS: [&str; 2] = ["-A -t 10.9.9.9:99 -s rr", "-a -t 10.9.9.9:99 -r 10.9.9.1:99 -m -w 3"];

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut field = Field::build(stage, 1, &[])?;
    let own = format!("address add {VIP4}/24 dev ens37\naddress add 192.168.234.1/24 dev ens37");
    let ready = field.routers[0].host.ip_batch(&own);
    let result = ready.and_then(|()| interfaces().iter().try_for_each(|old| steps(&mut field, *old)));
    field.explain(result)
}

fn config(interface: &str, later: bool) -> String {
    let front = |port: u16| format!("address = \"{}\"", vip(false, port));
    let mut text = interface.to_string();
    text += &service("stays", &front(STAYS), "rr", CHECK, &[(47, 1), (57, 1)]);
    match later {
        false => {
            text += &service("edited", &front(EDITED), "wrr", CHECK, &[(47, 1), (57, 2)]);
            text += &service("removed", &front(REMOVED), "rr", CHECK, &[(47, 1)]);
            text += &service("mark", "fwmark = 3", "rr", CHECK, &[(47, 1)]);
        }
        true => text += &service("edited", &front(EDITED), "wrr", CHECK, &[(47, 5), (67, 1)]),
    }
    text
}

fn table(later: bool) -> Saved {
    let mut lines: Vec<String> = THEIRS.map(String::from).to_vec();
    lines.extend(row("-t 10.0.0.100:8600", "rr", "", &[(47, 1), (57, 1)]));
    match later {
        false => {
            lines.extend(row("-t 10.0.0.100:8601", "wrr", "", &[(47, 1), (57, 2)]));
            lines.extend(row("-t 10.0.0.100:8602", "rr", "", &[(47, 1)]));
            lines.extend(row("-f 3", "rr", "", &[(47, 1)]));
        }
        true => lines.extend(row("-t 10.0.0.100:8601", "wrr", "", &[(47, 5), (67, 1)])),
    }
    lines.into_iter().collect()
}

fn steps(field: &mut Field<'_>, old_interface: bool) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let router = &mut field.routers[0];
    let (over, interface) = match old_interface {
        true => ("socket options", "[ipvs]\ninterface = \"sockopt\"\n"),
        false => ("netlink", ""),
    };
    let targets: Vec<(Transport, SocketAddr)> =
        [STAYS, EDITED].map(|port| (Transport::Tcp, vip(false, port))).to_vec();
    stage.step(&format!("{over}: three services and a stranger's"), || {
        for line in THEIRS {
            router.host.output("ipvsadm", &line.split(' ').collect::<Vec<_>>())?;
        }
        router.start(&config(interface, false))?;
        router.wait_table(stage, "all are in the table", &table(false))
    })?;
    let open = || -> std::io::Result<(Talk, String)> {
        let mut talk = Talk::open(Transport::Tcp, vip(false, STAYS), PATIENCE)?;
        let page = talk.ask()?;
        Ok((talk, page))
    };
    let mut live = client.run(open).map_err(|error| format!("no conversation: {error}"))?;
    stage.step(
        "killed and started with the same file: nothing is removed, nothing is added, nobody \
    notices",
        || {
            let endless = Endless::start(&client, 1, &targets);
            let sampler = Sampler::start(&router.host);
            std::thread::sleep(Duration::from_millis(300));
            let before = counters(&router.host)?;
            router.daemon()?.end(Signal::SIGKILL)?;
            table(false).is(&router.saved()?)?;
            router.start(&config(interface, false))?;
            // Its first comparison is over when it has probed, too.
            std::thread::sleep(Duration::from_secs(2));
            table(false).is(&router.saved()?)?;
            let (ends, samples) = (endless.end(), sampler.end());
            stage.say(format!(
                "   {} requests answered, {} refused, {} without an answer; the table was read {} times, {} \
             times empty",
                ends.answered.len(),
                ends.refused.len(),
                ends.stalled,
                samples.reads,
                samples.empty
            ));
            let lost = ends.refused.len() + ends.stalled + ends.broken.len();
            ensure(lost == 0 && !ends.answered.is_empty(), || {
                format!("a client noticed: {:?}", ends.broken)
            })?;
            ensure(samples.empty == 0, || "the table was empty".into())?;
            let quiet = |lines: &[String]| -> Vec<String> {
                lines
                    .iter()
                    .filter(|line| line.contains(":8602") || line.starts_with("FWM"))
                    .cloned()
                    .collect()
            };
            let (before, after) = (quiet(&before), quiet(&counters(&router.host)?));
            ensure(before == after && before.len() == 2, || format!("counters: {before:?}, then {after:?}"))
        },
    )?;
    stage.step(
        "killed and started with another file: what is not named any more goes, theirs stays",
        || {
            let endless = Endless::start(&client, 1, &targets[..1]);
            router.daemon()?.end(Signal::SIGKILL)?;
            router.start(&config(interface, true))?;
            router.wait_table(stage, "the table follows the file", &table(true))?;
            let ends = endless.end();
            let lost = ends.refused.len() + ends.stalled + ends.broken.len();
            ensure(lost == 0 && !ends.answered.is_empty(), || {
                format!("a client of what stays noticed: {ends:?}")
            })?;
            let page = client
                .run(|| live.0.ask())
                .map_err(|error| format!("the live conversation broke: {error}"))?;
            ensure(page == live.1, || format!("{page} goes on with it, not {}", live.1))
        },
    )?;
    stage.step("killed again, and started with a file without services: only theirs is left", || {
        router.daemon()?.end(Signal::SIGKILL)?;
        router.start(interface)?;
        router.wait_table(stage, "theirs alone", &Saved::of(&THEIRS))?;
        router.daemon()?.end(Signal::SIGTERM)?;
        Saved::of(&THEIRS).is(&router.saved()?)?;
        router.host.output("ipvsadm", &["-C"]).map(drop)
    })
}
