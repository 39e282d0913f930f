//! Debian's keepalived as the other router of S1.

use crate::daemon::{Daemon, status};
use crate::stage::{Outcome, Stage, ensure};
use crate::topology::{LEASE, Lab, Router, SKEW, SLACK, THREE_ADVERTS, VIP1};
use nix::sys::signal::Signal;
use std::time::Duration;

/// keepalived's start and its own pace on an emulated machine.
const ITS_OWN_PACE: Duration = Duration::from_secs(6);

/// vipd has priority 100, keepalived 80.
pub fn keepalived_backup(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = backup_in(&mut lab);
    lab.explain(result)
}

fn backup_in(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    let election = THREE_ADVERTS + SKEW + LEASE + ITS_OWN_PACE;
    stage.step("both start: vipd (priority 100) is Active, keepalived (80) its backup", || {
        start_keepalived(&mut lab.b, 80, "1111")?;
        lab.a.start()?;
        stage.until("vipd alone has the VIP", election, || lab.only(&lab.a, VIP1))?;
        remains(lab, &lab.a)
    })?;
    stage.step("vipd is told to end: its priority 0 lets keepalived take over after the skew", || {
        lab.a.daemon()?.end(Signal::SIGTERM)?;
        stage.until("keepalived alone has the VIP", SKEW + SLACK, || lab.only(&lab.b, VIP1))?;
        lab.spread(VIP1, &[("web 47", 10), ("web 57", 20)])
    })?;
    stage.step("vipd starts again and takes over; keepalived gives way", || {
        lab.a.start()?;
        stage.until("vipd alone has the VIP", election, || lab.only(&lab.a, VIP1))?;
        remains(lab, &lab.a)?;
        lab.spread(VIP1, &[("web 47", 10), ("web 57", 20)])
    })?;
    stage.step("vipd is killed: keepalived takes over after its Active_Down_Interval", || {
        lab.a.daemon()?.end(Signal::SIGKILL)?;
        let limit = THREE_ADVERTS + SKEW + LEASE + SLACK;
        stage.until("keepalived alone has the VIP", limit, || lab.only(&lab.b, VIP1))?;
        lab.a.start()?;
        stage.until("vipd is back, and alone has the VIP", election, || lab.only(&lab.a, VIP1)).map(drop)
    })?;
    mismatch(lab, 80)?;
    stage.step("keepalived starts with the right password: vipd alone is Active again", || {
        end_keepalived(&mut lab.b)?;
        start_keepalived(&mut lab.b, 80, "1111")?;
        stage.until("vipd alone has the VIP", election, || lab.only(&lab.a, VIP1)).map(drop)
    })
}

/// keepalived has priority 100, vipd 80.
pub fn keepalived_active(stage: &Stage) -> Outcome {
    let mut lab = Lab::build(stage, "s1")?;
    let result = active_in(&mut lab);
    lab.explain(result)
}

fn active_in(lab: &mut Lab) -> Outcome {
    let stage = lab.stage;
    let election = THREE_ADVERTS + SKEW + LEASE + ITS_OWN_PACE;
    stage.step("both start: keepalived (priority 100) is Active, vipd (80) its backup", || {
        lab.b.start()?;
        start_keepalived(&mut lab.a, 100, "1111")?;
        stage.until("keepalived alone has the VIP", election, || lab.only(&lab.a, VIP1))?;
        remains(lab, &lab.a)?;
        let (_, text) = status(&lab.b.socket, &[])?;
        ensure(text.contains("192.168.234.27"), || format!("status does not name the Active router: {text}"))
    })?;
    stage.step("keepalived is told to end: its priority 0 lets vipd take over after the skew", || {
        lab.a.daemon()?.signal(Signal::SIGTERM)?;
        stage.until("vipd alone has the VIP", SKEW + SLACK + ITS_OWN_PACE, || lab.only(&lab.b, VIP1))?;
        end_keepalived(&mut lab.a)?;
        lab.spread(VIP1, &[("web 47", 10), ("web 57", 20)])
    })?;
    stage.step("keepalived starts again and takes over; vipd gives way", || {
        start_keepalived(&mut lab.a, 100, "1111")?;
        stage.until("keepalived alone has the VIP", election, || lab.only(&lab.a, VIP1))?;
        remains(lab, &lab.a)?;
        lab.spread(VIP1, &[("web 47", 10), ("web 57", 20)])
    })?;
    stage.step("keepalived's cable is pulled: vipd takes over after its Active_Down_Interval", || {
        lab.plug(&lab.a, false)?;
        stage.until("vipd alone answers", THREE_ADVERTS + SKEW + SLACK, || {
            let answered = lab.who_has(VIP1)?;
            ensure(answered.len() == 1 && answered.contains(&lab.b.mac), || format!("{answered:?} answers"))
        })?;
        lab.plug(&lab.a, true)?;
        stage
            .until("keepalived is back, and alone has the VIP", election, || lab.only(&lab.a, VIP1))
            .map(drop)
    })?;
    mismatch(lab, 100)
}

/// The passwords differ: each router takes itself for the only one, and vipd says why.
fn mismatch(lab: &mut Lab, priority: u8) -> Outcome {
    let stage = lab.stage;
    stage.step("keepalived starts with another password: both are Active, and vipd names it", || {
        let keepalived = if priority == 80 { &mut lab.b } else { &mut lab.a };
        end_keepalived(keepalived)?;
        start_keepalived(keepalived, priority, "2222")?;
        stage.until("both answer ARP for the VIP", THREE_ADVERTS + SKEW + LEASE + ITS_OWN_PACE, || {
            let answered = lab.who_has(VIP1)?;
            ensure(answered.len() == 2, || format!("{answered:?} answers"))
        })?;
        let (code, text) = status(if priority == 80 { &lab.a.socket } else { &lab.b.socket }, &[])?;
        let told = text.lines().skip_while(|line| !line.starts_with('!')).collect::<Vec<_>>().join("\n");
        stage.say(format!("status, exit {code}:\n{text}"));
        let peer = if priority == 100 { "192.168.234.27" } else { "192.168.234.37" };
        let named = told.to_lowercase().contains("auth") && told.contains(peer);
        ensure(named, || format!("no problem names the authentication of {peer}"))
    })
}

/// For two adverts nobody else answers.
fn remains(lab: &Lab, owner: &Router) -> Outcome {
    for _ in 0..8 {
        lab.only(owner, VIP1)?;
        std::thread::sleep(Duration::from_millis(150));
    }
    Ok(())
}

fn end_keepalived(router: &mut Router) -> Outcome {
    router.daemon()?.end(Signal::SIGTERM).map(drop)
}

/// The configuration of S1 in keepalived's words.
fn start_keepalived(router: &mut Router, priority: u8, pass: &str) -> Outcome {
    let server = |number: u8, weight: u8| {
        format!(
            "real_server 192.168.234.{number} 80 {{
                weight {weight}
                HTTP_GET {{
                    url {{
                        path /
                        status_code 200
                    }}
                    connect_timeout 3
                    nb_get_retry 3
                    delay_before_retry 3
                }}
            }}"
        )
    };
    let text = format!(
        "global_defs {{
            notification_email {{
                root@localhost
            }}
            notification_email_from keepalived@localhost
            smtp_server 127.0.0.1
            smtp_connect_timeout 30
            router_id peer
            vrrp_mcast_group4 234.10.10.10
        }}
        vrrp_instance VI_1 {{
            state BACKUP
            interface ens37
            virtual_router_id 50
            priority {priority}
            advert_int 1
            authentication {{
                auth_type PASS
                auth_pass {pass}
            }}
            virtual_ipaddress {{
                {VIP1}/24
            }}
        }}
        virtual_server {VIP1} 80 {{
            delay_loop 6
            lb_algo wrr
            lb_kind DR
            protocol TCP
            sorry_server 127.0.0.1 80
            {}
            {}
        }}
        ",
        server(47, 1),
        server(57, 2)
    );
    let config = format!("/tmp/{}.conf", router.host.name);
    std::fs::write(&config, text).map_err(|error| format!("{config}: {error}"))?;
    router.daemon = Some(Daemon::keepalived(&router.host, &config)?);
    Ok(())
}
