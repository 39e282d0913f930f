//! Tunnel and NAT with real HTTP; direct routing is S1.

use crate::daemon::VIPD;
use crate::s1::SERVICE;
use crate::stage::{Outcome, Stage, ensure};
use crate::table;
use crate::topology::{Lab, SKEW, THREE_ADVERTS, VIP1, VIP2};
use std::time::Duration;

const BY_WEIGHT: [(&str, usize); 2] = [("web 47", 10), ("web 57", 20)];

/// The whole scenario.
pub fn run(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = steps(&mut lab);
    lab.explain(result)
}

fn steps(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    stage.step("tunnel: the web servers unpack IP in IP and answer the client themselves", || {
        for (web, number) in [(&lab.web47, 47), (&lab.web57, 57)] {
            let own = format!("local 192.168.234.{number}");
            web.host.ip_batch(&format!("link add name ipip0 type ipip {own}\nlink set ipip0 up"))?;
        }
        lab.a.edit(&[("forward = \"direct\"", "forward = \"tunnel\"")])?;
        lab.a.start()?;
        let election = THREE_ADVERTS + SKEW + Duration::from_secs(5);
        stage.until("router 27 alone has the VIP", election, || lab.only(&lab.a, VIP1))?;
        stage.until("the table says Tunnel", Duration::from_secs(5), || {
            let wanted = ["192.168.234.47:80 Tunnel 1", "192.168.234.57:80 Tunnel 2"];
            table::is(&lab.a.table()?, SERVICE, &wanted)
        })?;
        lab.spread(VIP1, &BY_WEIGHT)
    })?;
    stage.step(
        "NAT, after vipd reload: the web servers know nothing of the VIP and answer by the router",
        || {
            for web in [&lab.web47, &lab.web57] {
                web.host.ip_batch(&format!(
                    "link del ipip0\naddress del {VIP1}/32 dev lo\naddress del {VIP2}/32 dev lo\n\
                 route replace 10.0.0.0/24 via 192.168.234.27"
                ))?;
            }
            for key in ["all/send_redirects", "ens37/send_redirects"] {
                lab.a.host.sysctl(&format!("net/ipv4/conf/{key}"), "0")?;
            }
            lab.a.host.sysctl("net/ipv4/ip_forward", "1")?;
            lab.a.edit(&[("forward = \"tunnel\"", "forward = \"nat\"")])?;
            lab.a.host.output(VIPD, &["reload", "--socket", &lab.a.socket])?;
            stage.until("the table says Masq", Duration::from_secs(5), || {
                table::is(&lab.a.table()?, SERVICE, &["192.168.234.47:80 Masq 1", "192.168.234.57:80 Masq 2"])
            })?;
            lab.only(&lab.a, VIP1)?;
            lab.spread(VIP1, &BY_WEIGHT)
        },
    )?;
    stage.step("a reload with a mistake leaves everything as it is", || {
        lab.a.edit(&[("scheduler = \"wrr\"", "schedular = \"wrr\"")])?;
        let refused = lab.a.host.output(VIPD, &["reload", "--socket", &lab.a.socket]);
        let why = refused.err().ok_or("reload took a file with an unknown key")?;
        stage.say(format!("   {why}"));
        let line = std::fs::read_to_string(&lab.a.config).unwrap_or_default();
        let line = line.lines().position(|line| line.contains("schedular")).map_or(0, |index| index + 1);
        ensure(why.contains(&format!(":{line}:")), || format!("no line {line} in: {why}"))?;
        lab.only(&lab.a, VIP1)?;
        lab.spread(VIP1, &BY_WEIGHT)
    })
}
