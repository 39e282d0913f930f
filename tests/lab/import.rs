//! Behaviour, not text: keepalived and vipd read the same keepalived.conf, one after the other, and the
//! kernel's IPVS table is the same, while servers are well, while one is down, and while all are.

use crate::daemon::Daemon;
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::Lab;
use nix::sys::signal::Signal;
use std::time::Duration;

/// Start of keepalived, its election, and its first probes; on an emulated machine.
const SETTLED: Duration = Duration::from_secs(30);

/// The article's files, as they were meant: keepalived knows neither `//` nor `vrrp _mcast_group4`, and no
/// colon before a port.
fn article(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or("").trim_end());
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    text.replace("vrrp _mcast_group4", "vrrp_mcast_group4")
        .replace("sorry_server 127.0.0.1:80", "sorry_server 127.0.0.1 80")
        .replace("delay_loop 6", "delay_loop 1")
        .replace("delay_before_retry 3", "delay_before_retry 1")
}

const INSTANCE: &str = "vrrp_instance VI_1 {\n interface ens37\n virtual_router_id 50\n priority 150\n \
                        virtual_ipaddress {\n 10.0.0.100/24\n 10.0.0.200/24\n }\n}\n";

/// A block of real servers 47 and 57 with these lines.
fn servers(port: u16, lines: &str) -> String {
    let server = |number: u8, weight: u8| {
        format!(" real_server 192.168.234.{number} {port} {{\n weight {weight}\n {lines}\n }}\n")
    };
    server(47, 1) + &server(57, 3)
}

const TCP: &str = "TCP_CHECK {\n connect_timeout 1\n connect_port 80\n retry 1\n delay_before_retry 1\n }";

/// Name and text of each configuration.
fn configurations() -> Vec<(&'static str, String)> {
    let service = |front: &str, lines: &str, port: u16, more: &str| {
        let servers = servers(port, &format!("{TCP}\n {more}"));
        format!("virtual_server {front} {{\n delay_loop 1\n {lines}\n{servers}}}\n")
    };
    let tcp = "protocol TCP";
    vec![
        ("S1, router 27", article(include_str!("../import/s1-router-27.conf"))),
        ("S1, router 37", article(include_str!("../import/s1-router-37.conf"))),
        ("S2, router 27", article(include_str!("../import/s2-router-27.conf"))),
        ("S2, router 37", article(include_str!("../import/s2-router-37.conf"))),
        (
            "methods",
            INSTANCE.to_owned()
                + &service("10.0.0.100 80", &format!("lb_algo rr\n lb_kind NAT\n {tcp}"), 8080, "")
                + &service("10.0.0.100 81", &format!("lb_algo lc\n lb_kind DR\n {tcp}"), 9090, "")
                + &service("10.0.0.200 82", &format!("lvs_sched sed\n lvs_method TUN\n {tcp}"), 82, ""),
        ),
        (
            "defaults: no algorithm, no method, no protocol, which is UDP",
            INSTANCE.to_owned() + &service("10.0.0.100 53", "", 53, ""),
        ),
        (
            "persistence",
            INSTANCE.to_owned()
                + &service("10.0.0.100 80", &format!("lb_algo wlc\n persistence_timeout\n {tcp}"), 80, "")
                + &service(
                    "10.0.0.100 443",
                    &format!(
                        "lb_algo sh\n sh-port\n persistence_timeout 50\n \
                         persistence_granularity 255.255.255.0\n {tcp}"
                    ),
                    443,
                    "",
                )
                + &service("10.0.0.200 0", &format!("lb_algo rr\n lb_kind DR\n {tcp}"), 0, ""),
        ),
        (
            "firewall mark and group",
            INSTANCE.to_owned()
                + "virtual_server_group g {\n 10.0.0.100 8000\n 10.0.0.201-203 8001\n fwmark 7\n}\n"
                + &service("group g", &format!("lb_algo wrr\n lb_kind NAT\n {tcp}"), 80, "")
                + &service("fwmark 9", "lb_algo rr\n lb_kind DR", 80, ""),
        ),
        (
            "inhibit, thresholds, quorum and a sorry server",
            INSTANCE.to_owned()
                + &service(
                    "10.0.0.100 80",
                    &format!(
                        "lb_algo wrr\n lb_kind DR\n {tcp}\n quorum 3\n hysteresis 1\n \
                         sorry_server 192.168.234.37 80"
                    ),
                    80,
                    "",
                )
                + &service(
                    "10.0.0.100 81",
                    &format!("lb_algo wrr\n lb_kind NAT\n {tcp}\n inhibit_on_failure"),
                    80,
                    "uthreshold 100\n lthreshold 50",
                ),
        ),
        (
            "IPv6",
            INSTANCE.to_owned()
                + &format!(
                    "virtual_server 2001:db8::100 80 {{\n lb_algo rr\n lb_kind NAT\n {tcp}\n \
                     real_server 2001:db8::47 8080 {{\n weight 5\n }}\n \
                     real_server 2001:db8::57 8080 {{\n }}\n}}\n"
                ),
        ),
    ]
}

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = configurations().iter().try_for_each(|(name, text)| both(&mut lab, name, text));
    lab.explain(result)
}

/// The table of one configuration, made by both.
fn both(lab: &mut Lab, name: &str, text: &str) -> Outcome {
    let stage = lab.stage;
    let config = format!("/tmp/{}-import.conf", lab.a.host.name);
    std::fs::write(&config, text).map_err(|error| format!("{config}: {error}"))?;
    stage.step(name, || {
        lab.a.daemon = Some(Daemon::keepalived(&lab.a.host, &config)?);
        let theirs = life(lab, None)?;
        lab.a.config = config.clone();
        lab.a.start()?;
        let ours = life(lab, Some(&theirs));
        lab.a.answers = false;
        ours.map(drop)
    })
}

/// Tables while all servers are well, while web 57 is down, while both are, and after the end. `wanted`: what
/// they must become; otherwise what they have become when they no longer change.
fn life(lab: &mut Lab, wanted: Option<&[Vec<String>; 4]>) -> Outcome<[Vec<String>; 4]> {
    let stage = lab.stage;
    let mut seen: [Vec<String>; 4] = Default::default();
    let names = ["servers are well", "web 57 is down", "both are down", "it has ended"];
    for (n, name) in names.into_iter().enumerate() {
        match n {
            0 => {}
            1 => lab.web57.down(),
            2 => lab.web47.down(),
            _ => lab.a.daemon()?.end(Signal::SIGTERM).map(drop)?,
        }
        let becomes = |table: Vec<String>| match wanted {
            Some(wanted) => {
                let wanted = &wanted[n];
                ensure(table == *wanted, || {
                    format!("vipd:\n{}\nkeepalived:\n{}", table.join("\n"), wanted.join("\n"))
                })
                .map(|()| table)
            }
            None => Ok(table),
        };
        if wanted.is_none() {
            match n.checked_sub(1) {
                None => std::thread::sleep(SETTLED / 3),
                Some(before) => until_changed(lab, &seen[before])?,
            }
        }
        (seen[n], _) = stage.until(name, SETTLED, || becomes(saved(lab)?))?;
    }
    lab.web47.up();
    lab.web57.up();
    ensure(!seen[0].is_empty() && seen[3].is_empty(), || format!("there was nothing to see: {seen:?}"))?;
    Ok(seen)
}

/// Waits until the table is another one; not for ever, because where nothing is probed nothing changes.
fn until_changed(lab: &Lab, before: &[String]) -> Outcome {
    for _ in 0..SETTLED.as_millis() / 2 / 500 {
        if table(lab)? != before {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// `ipvsadm -Sn`, sorted.
fn table(lab: &Lab) -> Outcome<Vec<String>> {
    let text = lab.a.host.output("ipvsadm", &["-Sn"])?;
    let mut rows: Vec<String> = text.lines().map(|row| row.trim_end().to_owned()).collect();
    rows.sort();
    Ok(rows)
}

/// The table once it is the same for a while.
fn saved(lab: &Lab) -> Outcome<Vec<String>> {
    for _ in 0..20 {
        let before = table(lab)?;
        std::thread::sleep(Duration::from_millis(1500));
        if table(lab)? == before {
            return Ok(before);
        }
    }
    Err("the table does not come to rest".into())
}
