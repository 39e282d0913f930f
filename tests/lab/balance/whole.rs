//! What concerns IPVS as a whole: its timeouts and `/proc/sys/net/ipv4/vs`, as long as vipd wants them and no
//! longer (IPVS-80).

use super::{CHECK, service};
use crate::field::requests::PATIENCE;
use crate::field::saved::Saved;
use crate::field::transport::{Talk, Transport};
use crate::field::{Field, Router, SOON, interfaces, vip, virtual_router};
use crate::stage::{Outcome, Stage, ensure};
use nix::sys::signal::Signal;
use std::io::ErrorKind;

const WEB: u16 = 8400;

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut field = Field::build(stage, 1, &[])?;
    let both = interfaces().iter().try_for_each(|old| steps(&mut field, *old));
    let result = both.and_then(|()| expiry(&mut field));
    field.explain(result)
}

/// What can be set, as it is now.
fn now(router: &Router) -> Outcome<Vec<String>> {
    let timeouts = router.host.output("ipvsadm", &["-Ln", "--timeout"])?;
    let mut all = vec![timeouts.trim().trim_start_matches("Timeout (tcp tcpfin udp): ").to_string()];
    let setting = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/vs/{name}");
        let text = router.host.run(|| std::fs::read_to_string(&path));
        text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .map_err(|e| format!("{path}: {e}"))
    };
    for name in ["expire_nodest_conn", "sync_threshold", "sloppy_tcp"] {
        all.push(setting(name)?);
    }
    Ok(all)
}

/// The file: what it says of `[ipvs]`, and a service.
fn config(ipvs: &str) -> String {
    let front = format!("address = \"{}\"", vip(false, WEB));
    virtual_router(100) + ipvs + &service("web", &front, "rr", CHECK, &[(47, 1), (57, 1)])
}

fn steps(field: &mut Field<'_>, old_interface: bool) -> Outcome {
    let stage = field.stage;
    let router = &mut field.routers[0];
    let (over, interface) = match old_interface {
        true => ("socket options", "[ipvs]\ninterface = \"sockopt\"\n"),
        false => ("netlink", "[ipvs]\n"),
    };
    let all = format!(
        "{interface}tcp_timeout = \"10m\"\ntcp_fin_timeout = \"30s\"\nudp_timeout = \"1m\"\n\
         [ipvs.settings]\nexpire_nodest_conn = 1\nsync_threshold = \"5 40\"\n"
    );
    let some = format!("{interface}udp_timeout = \"2m\"\n[ipvs.settings]\nsloppy_tcp = 1\n");
    // A first look makes the kernel's table of this namespace.
    Saved::default().is(&router.saved()?)?;
    let before = now(router)?;
    let wait = |router: &Router, what: &str, wanted: &[String]| -> Outcome {
        let check = || {
            let seen = now(router)?;
            ensure(seen == wanted, || format!("wanted {wanted:?}, got {seen:?}"))
        };
        stage.until(what, SOON, check).map(drop)
    };
    let like = |values: [&str; 4]| values.map(String::from).to_vec();
    let of_all = like(["600 30 60", "1", "5 40", &before[3]]);
    let timeouts: Vec<&str> = before[0].split(' ').collect();
    let of_some = like([&format!("{} {} 120", timeouts[0], timeouts[1]), &before[1], &before[2], "1"]);
    stage.step(&format!("{over}: timeouts and settings as the file says"), || {
        stage.say(format!("   before: {before:?}"));
        router.start(&config(&all))?;
        wait(router, "set", &of_all)
    })?;
    stage.step("a reload with other ones: what is not named any more is as it was before vipd", || {
        router.reload(&config(&some))?;
        wait(router, "set, and put back", &of_some)
    })?;
    stage.step("SIGTERM: all as before", || {
        router.daemon()?.end(Signal::SIGTERM)?;
        wait(router, "put back", &before)
    })?;
    stage.step(
        "killed, and started with a file that names others: those of the killed run are put back",
        || {
            router.start(&config(&all))?;
            wait(router, "set", &of_all)?;
            router.daemon()?.end(Signal::SIGKILL)?;
            let left = now(router)?;
            ensure(left == of_all, || format!("nobody was there to put them back: {left:?}"))?;
            router.start(&config(&some))?;
            wait(router, "set, and put back", &of_some)
        },
    )?;
    stage.step("killed, and started with a file that names none: all as before vipd", || {
        router.daemon()?.end(Signal::SIGKILL)?;
        router.start(&config(interface))?;
        wait(router, "put back", &before)?;
        router.daemon()?.end(Signal::SIGTERM)?;
        wait(router, "and they stay", &before)?;
        Saved::default().is(&router.saved()?)
    })
}

/// A setting at work: what becomes of a conversation whose server is removed (IPVS-51, IPVS-52).
fn expiry(field: &mut Field<'_>) -> Outcome {
    let (stage, client) = (field.stage, field.client.clone());
    let front = format!("address = \"{}\"", vip(false, WEB));
    let with = |ipvs: &str, servers: &[(u8, u32)]| {
        virtual_router(100) + ipvs + &service("web", &front, "rr", "check = false\n", servers)
    };
    let router = &mut field.routers[0];
    stage.step(
        "expire_nodest_conn: a removed server's conversation is reset; without it nothing comes",
        || {
            for (ipvs, wanted) in [
                ("", ErrorKind::WouldBlock),
                ("[ipvs.settings]\nexpire_nodest_conn = 1\n", ErrorKind::ConnectionReset),
            ] {
                router.start(&with(ipvs, &[(47, 1)]))?;
                router.wait_active(stage)?;
                let open = || -> std::io::Result<Talk> {
                    let mut talk = Talk::open(Transport::Tcp, vip(false, WEB), PATIENCE)?;
                    talk.ask()?;
                    Ok(talk)
                };
                let mut live = client.run(open).map_err(|error| format!("no conversation: {error}"))?;
                router.reload(&with(ipvs, &[(57, 1)]))?;
                let table = super::row("-t 10.0.0.100:8400", "rr", "", &[(57, 1)]);
                router.wait_table(stage, "the server is removed", &table.into_iter().collect())?;
                let end = client.run(|| live.ask()).map_err(|error| error.kind());
                ensure(end == Err(wanted), || format!("with \"{}\": {end:?}", ipvs.trim()))?;
                router.daemon()?.end(Signal::SIGTERM)?;
            }
            Ok(())
        },
    )
}
