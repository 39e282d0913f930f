//! Somebody else works on the kernel's table: what is ours comes back, what is theirs stays (law 5, IPVS-49,
//! B-99 to B-101).

use super::{CHECK, row, service};
use crate::field::requests::answers;
use crate::field::saved::Saved;
use crate::field::transport::Transport;
use crate::field::{Field, Router, interfaces, vip, virtual_router};
use crate::stage::{Outcome, Stage, ensure};
use nix::sys::signal::Signal;
use std::time::Duration;

const WEB: u16 = 8500;
const THEIRS: &str = "10.9.9.9:99";
/// `watch_interval`, and what a slow machine adds.
const SEEN: Duration = Duration::from_secs(6);

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut field = Field::build(stage, 1, &[])?;
    let result = interfaces().iter().try_for_each(|old| steps(&mut field, *old));
    field.explain(result)
}

/// Commands of somebody else, one `ipvsadm` each.
const EDITS: [(&str, &str); 7] = [
    ("a weight", "-e -t 10.0.0.100:8500 -r 192.168.234.47:7000 -m -w 9"),
    ("the method of a server", "-e -t 10.0.0.100:8501 -r 192.168.234.57:8501 -i -w 1"),
    ("a threshold", "-e -t 10.0.0.100:8500 -r 192.168.234.57:7000 -m -w 2 -x 5 -y 1"),
    ("the scheduler", "-E -t 10.0.0.100:8500 -s lc"),
    ("persistence", "-E -t 10.0.0.100:8500 -s wrr -p 60"),
    ("a server more", "-a -t 10.0.0.100:8500 -r 192.168.234.67:7000 -m -w 5"),
    ("a server less", "-d -t 10.0.0.100:8500 -r 192.168.234.47:7000"),
];

fn config(interface: &str) -> String {
    let front = format!("address = \"{}\"", vip(false, WEB));
    virtual_router(100)
        + "[ipvs]\nwatch_interval = \"1s\"\n"
        + interface
        + &service("web", &front, "wrr", CHECK, &[(47, 1), (57, 2)])
        + &service("mark", "fwmark = 5", "wlc", CHECK, &[(47, 3)])
        + "[[service]]\nname = \"direct\"\naddress = \"10.0.0.100:8501\"\nforward = \"direct\"\n\
           [[service.server]]\naddress = \"192.168.234.57:8501\"\n"
}

fn theirs() -> Vec<String> {
    vec![format!("-A -t {THEIRS} -s rr"), format!("-a -t {THEIRS} -r 10.9.9.1:99 -m -w 3")]
}

fn ours() -> Vec<String> {
    let mut lines = row("-t 10.0.0.100:8500", "wrr", "", &[(47, 1), (57, 2)]);
    lines.extend(row("-f 5", "wlc", "", &[(47, 3)]));
    lines.push("-A -t 10.0.0.100:8501 -s wlc".into());
    lines.push("-a -t 10.0.0.100:8501 -r 192.168.234.57:8501 -g -w 1".into());
    lines
}

fn edit(router: &Router, command: &str) -> Outcome {
    let words: Vec<&str> = command.split(' ').collect();
    router.host.output("ipvsadm", &words).map(drop)
}

/// How many edits of others vipd has put right.
fn repaired(router: &Router) -> Outcome<u64> {
    let status = router.status()?;
    status["ipvs"]["repaired"].as_u64().ok_or_else(|| format!("no count in {}", status["ipvs"]))
}

fn steps(field: &mut Field<'_>, old_interface: bool) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let router = &mut field.routers[0];
    let (over, interface) = match old_interface {
        true => ("socket options", "interface = \"sockopt\"\n"),
        false => ("netlink", ""),
    };
    let both: Saved = ours().into_iter().chain(theirs()).collect();
    let wait = |router: &Router, what: &str, wanted: &Saved| -> Outcome {
        stage.until(what, SEEN, || wanted.is(&router.saved()?)).map(drop)
    };
    stage.step(&format!("{over}: a stranger's service is there before vipd, and stays"), || {
        edit(router, &format!("-A -t {THEIRS} -s rr"))?;
        edit(router, &format!("-a -t {THEIRS} -r 10.9.9.1:99 -m -w 3"))?;
        router.start(&config(interface))?;
        router.wait_active(stage)?;
        wait(router, "both are in the table", &both)
    })?;
    for (what, command) in EDITS {
        stage.step(&format!("somebody changes {what}: it is put right"), || {
            let before = repaired(router)?;
            edit(router, command)?;
            // vipd may be faster than a look at the edit: it counts what it puts right.
            stage.until("as it was, and counted", SEEN, || {
                let count = repaired(router)?;
                ensure(count > before, || format!("{count} edits put right, as before"))?;
                both.is(&router.saved()?)
            })?;
            let count = repaired(router)?;
            ensure(count == before + 1, || format!("{} edits are counted, not one", count - before))
        })?;
    }
    stage.step("somebody flushes the table: ours comes back, theirs is their own business", || {
        let before = repaired(router)?;
        edit(router, "-C")?;
        wait(router, "ours is back", &ours().into_iter().collect())?;
        let pages = answers(&client, Transport::Tcp, vip(false, WEB), 6);
        let heavy = pages.iter().filter(|page| *page == "web 57").count();
        ensure(heavy == 4, || format!("weights 1 and 2: {pages:?}"))?;
        let count = repaired(router)?;
        ensure(count > before, || format!("{count} edits put right, as before"))
    })?;
    stage.step("SIGTERM: only theirs is left", || {
        edit(router, &format!("-A -t {THEIRS} -s rr"))?;
        edit(router, &format!("-a -t {THEIRS} -r 10.9.9.1:99 -m -w 3"))?;
        router.daemon()?.end(Signal::SIGTERM)?;
        theirs().into_iter().collect::<Saved>().is(&router.saved()?)?;
        edit(router, "-C")
    })
}
