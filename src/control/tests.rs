//! What people and programs see, as golden files at 80 columns, and promises that hold for every snapshot.
//!
//! A golden file is made anew with `VIPD_BLESS=1 cargo test --lib control`; read the difference before it is
//! kept.

use super::balanced::balanced;
use super::examples::{
    Random, busy, fail, happening, instance, name, route, run, s1, s1_backup, secs, server, service, tracker,
};
use super::{EventsRequest, Format, Reply, StatusRequest, health, render};
use crate::model::Level;
use crate::model::status::{InstanceState, IpvsStatus, PeerStatus, RejectedPeer, Snapshot, Stalls};
use std::path::PathBuf;

fn text(snapshot: &Snapshot) -> String {
    render::text(snapshot, render::Screen::default())
}

fn golden(file: &str, got: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("VIPD_BLESS").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "what users see has changed ({}); it is now:\n{got}", path.display());
    check_screen(got, file);
}

fn check_screen(got: &str, who: &str) {
    for line in got.lines() {
        assert!(line.len() <= 80, "{who}: a serial console would wrap: {line:?}");
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{who}: not plain ASCII: {line:?}");
    }
}

fn named(format: Format, name: &str) -> StatusRequest {
    StatusRequest { format, brief: false, name: Some(super::examples::name(name)) }
}

#[test]
fn screen_of_a_healthy_pair() {
    golden("status-active.txt", &text(&s1()));
    golden("status-backup.txt", &text(&s1_backup()));
    assert_eq!(health::health(&s1()), 0, "a script would alarm about a healthy router");
    assert_eq!(health::health(&s1_backup()), 0, "Backup is a role, not a fault");
}

#[test]
fn screen_of_design() {
    let mut snapshot = s1();
    snapshot.router_name = name("gw-a");
    let mut second = instance("VI_2", 51, InstanceState::Backup, "10.0.0.200");
    second.since = secs(130);
    second.priority = 130;
    second.effective_priority = 80;
    second.contributions = vec![(name("wan"), -50)];
    snapshot.instances.push(second);
    snapshot.instances[0].addresses[0].put_back = 1;
    fail(&mut snapshot.services[0].servers[1], 41, "HTTP 503, want 200");
    golden("status-degraded.txt", &text(&snapshot));
    assert_eq!(health::health(&snapshot), 1, "a server down is not healthy");
}

#[test]
fn screen_with_the_sorry_server() {
    let mut snapshot = s1();
    let service = &mut snapshot.services[0];
    fail(&mut service.servers[0], 65, "connection refused");
    fail(&mut service.servers[1], 41, "no answer within 3s");
    service.sorry_active = true;
    golden("status-sorry.txt", &text(&snapshot));
    assert_eq!(health::health(&snapshot), 1, "a sorry page is not the service");
}

#[test]
fn screen_of_services_of_every_sort() {
    let snapshot = balanced();
    let got = text(&snapshot);
    golden("status-balance.txt", &got);
    assert_eq!(health::health(&snapshot), 1, "a quorum is lost");
    for (what, words) in [
        ("why it is no more served in full", "no quorum: quorum 2, weight 1 up"),
        ("how long the work on a server has to wait", "10.1.0.12:80 draining, 12 connections left"),
        ("that the work may begin", "10.1.0.13:80 drained"),
        ("that nothing is wrong", "suspended: none of its addresses is on this router"),
        ("what clients connect to", "mark 7"),
        ("the group", "udp group pool"),
    ] {
        assert!(got.contains(words), "{what}: an operator needs it:\n{got}");
    }
    for what in ["web", "mail", "dns"] {
        golden(
            &format!("status-service-{what}.txt"),
            &Reply::status(&named(Format::Text, what), &snapshot).body,
        );
    }
    let request = StatusRequest { brief: true, ..StatusRequest::default() };
    let brief = Reply::status(&request, &snapshot).body;
    assert!(brief.contains("service web healthy 2h00m 1/3 132 draining=2\n"), "{brief}");
    assert!(brief.contains("service mail degraded 2h00m 1/2 132 no-quorum\n"), "{brief}");
    assert!(brief.contains("service dns healthy 2h00m 0/2 132 suspended\n"), "{brief}");
}

#[test]
fn what_the_operator_wants_is_no_trouble() {
    let mut snapshot = s1();
    snapshot.services[0].servers[1].draining = true;
    assert_eq!(health::health(&snapshot), 0, "maintenance must not wake anybody");
    fail(&mut snapshot.services[0].servers[1], 9, "connection refused");
    assert_eq!(health::health(&snapshot), 0, "a drained server may be switched off");
    snapshot.services[0].servers[0].draining = true;
    assert_eq!(health::health(&snapshot), 1, "but with all of them drained nobody is served");
    let mut snapshot = s1();
    snapshot.services[0].has_quorum = false;
    assert_eq!(health::health(&snapshot), 1, "a lost quorum is no health, however many are up");
    (snapshot.services[0].suspended, snapshot.services[0].installed) = (true, false);
    assert_eq!(health::health(&snapshot), 0, "a service whose address is elsewhere rests, as a Backup does");
}

#[test]
fn screen_with_faults() {
    let mut snapshot = s1();
    let first = &mut snapshot.instances[0];
    first.state = InstanceState::Fault;
    first.since = secs(9);
    first.cause = name("link ens37 is down");
    first.addresses[0].present = false;
    snapshot.instances.push(instance("VI_2", 51, InstanceState::Active, "10.0.0.200"));
    snapshot.instances[1].addresses[0].present = false;
    snapshot.instances[1].rejected.push(RejectedPeer {
        address: "192.168.234.99".parse().unwrap(),
        why: name("its password differs: give both routers the same auth_pass"),
        count: 120,
        last: secs(1),
    });
    snapshot.ipvs = Some(IpvsStatus {
        present: false,
        why: name("the kernel has no IPVS: load the module ip_vs (OpenWrt: opkg install kmod-nf-ipvs)"),
        ..IpvsStatus::default()
    });
    snapshot.services[0].installed = false;
    for server in &mut snapshot.services[0].servers {
        server.installed = false;
    }
    snapshot.stalls = Stalls { count: 2, worst: crate::time::Duration::from_millis(1800) };
    if let Some(mail) = &mut snapshot.mail {
        mail.lost = 3;
        mail.reason = name("connection refused");
    }
    golden("status-fault.txt", &text(&snapshot));
    snapshot.services[0].sorry_active = true;
    let got = text(&snapshot);
    assert!(!got.contains("127.0.0.1:80 in use"), "without IPVS no sorry server answers:\n{got}");
}

#[test]
fn nothing_is_said_twice() {
    let mut snapshot = s1();
    snapshot.instances[0].addresses[0].put_back = 1;
    snapshot.instances[0].rejected.push(RejectedPeer {
        address: "192.168.234.99".parse().unwrap(),
        why: name("wrong password"),
        count: 120,
        last: secs(1),
    });
    snapshot.problems = vec![
        name("VIP 10.0.0.100/24 was removed by someone 41s ago and put back (1 times)"),
        name("VI_1: 120 x dropped from 192.168.234.99: wrong password"),
        name("no IPVS: install kmod-nf-ipvs"),
    ];
    snapshot.ipvs = Some(IpvsStatus { why: name("install kmod-nf-ipvs"), ..IpvsStatus::default() });
    let got = text(&snapshot);
    assert_eq!(got.matches("kmod-nf-ipvs").count(), 1, "one trouble, one line:\n{got}");
    assert_eq!(got.matches("10.0.0.100/24").count(), 1, "one trouble, one line:\n{got}");
    assert_eq!(got.matches("192.168.234.99").count(), 1, "one trouble, one line:\n{got}");
}

#[test]
fn screen_of_two_active_routers() {
    let mut snapshot = s1();
    snapshot.instances[0].active_router = Some(PeerStatus {
        address: "192.168.234.37".parse().unwrap(),
        priority: 80,
        heard: crate::time::Duration::from_millis(300),
    });
    golden("status-rival.txt", &text(&snapshot));
    assert_eq!(health::health(&snapshot), 1, "split brain is the worst that can happen here");
    if let Some(peer) = &mut snapshot.instances[0].active_router {
        peer.heard = secs(60);
    }
    assert_eq!(health::health(&snapshot), 0, "a router that was Active before us is history");
}

#[test]
fn a_router_that_we_reject_is_no_health() {
    let mut snapshot = s1();
    snapshot.instances[0].rejected.push(RejectedPeer {
        address: "192.168.234.99".parse().unwrap(),
        why: name("wrong password"),
        count: 3,
        last: secs(1),
    });
    assert_eq!(health::health(&snapshot), 1, "with a wrong password both are Active, and neither hears it");
    assert!(text(&snapshot).lines().next().unwrap_or("").contains("1 rejecting another router"));
    snapshot.instances[0].rejected[0].last = secs(60);
    assert_eq!(health::health(&snapshot), 0, "what was mended a minute ago is history");
}

#[test]
fn screen_of_a_router_with_all_that_vrrp_has() {
    let snapshot = busy();
    let got = text(&snapshot);
    golden("status-vrrp.txt", &got);
    assert!(got.lines().count() <= 23, "the first line would scroll away");
    for (what, words) in [
        ("which sum makes the priority", "80=130-50 wan"),
        ("what it waits for", "preempts in 12s"),
        ("who is Active, too, and its MAC", "192.168.2.3 (52:54:00:12:34:56) is Active too: 12 times"),
        ("what to do about it", "IGMP snooping"),
        ("a route that is not there", "missing: 0.0.0.0/0 via 10.0.0.1"),
        ("why a tracker is down", "no answer in 1s"),
        ("a service that does not start", "local service dnsmasq failed 2m10s ago: start: exited with 7"),
    ] {
        assert!(got.contains(words), "{what}: an operator needs it");
    }
}

#[test]
fn the_code_is_1_for_each_trouble_of_its_own() {
    type Trouble = fn(&mut Snapshot);
    let troubles: [(&str, Trouble); 4] = [
        ("a route is missing", |s| s.instances[0].routes.push(route("0.0.0.0/0 via 10.0.0.1", false))),
        ("a tracker costs priority", |s| {
            s.trackers.push(tracker("wan", "path", &["VI_1"]));
            s.trackers[0].hurts = true;
        }),
        ("a service does not start", |s| {
            s.runs.push(run("dnsmasq", "service", "start: exited with 1", true))
        }),
        ("two are Active", |s| s.instances[0].active_router = busy().instances[2].active_router),
    ];
    for (what, trouble) in troubles {
        let mut snapshot = s1();
        trouble(&mut snapshot);
        assert_eq!(health::health(&snapshot), 1, "{what}: degraded");
    }
    let mut snapshot = s1();
    let mut backup = instance("VI_2", 51, InstanceState::Backup, "10.0.0.200");
    backup.routes.push(route("0.0.0.0/0 via 10.0.0.1", false));
    snapshot.instances.push(backup);
    snapshot.trackers.push(tracker("maintenance", "file", &["VI_1"]));
    snapshot.trackers[0].up = Some(false);
    snapshot.runs.push(run("VI_1", "notify", "MASTER: exited with 1", true));
    assert_eq!(health::health(&snapshot), 0, "a Backup has no routes, and a notification is no service");
    assert!(text(&snapshot).contains("VI_1: notify program failed 2m10s ago: MASTER: exited with 1"));
}

#[test]
fn a_sum_names_as_many_trackers_as_fit() {
    let mut of = instance("VI_1", 50, InstanceState::Backup, "10.0.0.100");
    (of.priority, of.effective_priority) = (130, 55);
    of.contributions = vec![(name("wan"), -50), (name("dns"), -20), (name("load"), -5)];
    for (width, want) in [(40, "55=130-50 wan-20 dns-5 load"), (20, "55=130-50 wan.."), (13, "55=130-75..")] {
        assert_eq!(super::rows::priority(&of, width), want, "at {width} characters");
    }
    of.contributions.clear();
    assert_eq!(super::rows::priority(&of, 13), "55=130-75", "nobody says why");
}

#[test]
fn screen_of_510_instances_counts_what_is_well() {
    let mut snapshot = s1();
    snapshot.instances = (0..510u32)
        .map(|n| {
            let state = if n % 2 == 0 { InstanceState::Active } else { InstanceState::Backup };
            let mut instance = instance(&format!("v{n}"), (n / 2 + 1) as u8, state, "10.0.0.1");
            instance.family = if n < 255 { crate::model::Family::V4 } else { crate::model::Family::V6 };
            instance
        })
        .collect();
    for n in [100, 300, 301, 302, 509] {
        snapshot.instances[n].state = InstanceState::Fault;
        snapshot.instances[n].addresses[0].present = false;
        snapshot.instances[n].cause = name("interface eth0.5 is down");
    }
    snapshot.trackers = (0..40).map(|n| tracker(&format!("t{n}"), "interface", &["v1"])).collect();
    snapshot.trackers[39].hurts = true;
    snapshot.trackers[39].up = Some(false);
    let got = text(&snapshot);
    golden("status-many.txt", &got);
    for sick in ["v100 ", "v300 ", "v301 ", "v302 ", "v509 ", "t39 "] {
        assert!(got.contains(sick), "{sick}is not well and must be on the screen");
    }
}

/// 40 instances and 60 services, three of them with trouble at the end of their lists.
fn crowd() -> Snapshot {
    let mut snapshot = s1();
    snapshot.instances = (1..=40)
        .map(|n| instance(&format!("VI_{n}"), n, InstanceState::Active, &format!("10.0.{n}.100")))
        .collect();
    snapshot.services = (1..=60).map(|n| service(&format!("web{n}"), &format!("10.0.{n}.100:80"))).collect();
    snapshot.instances[38].state = InstanceState::Fault;
    snapshot.instances[38].cause = name("link ens37 is down");
    snapshot.instances[38].addresses[0].present = false;
    fail(&mut snapshot.services[57].servers[1], 41, "HTTP 503, want 200");
    fail(&mut snapshot.services[58].servers[0], 3, "connection refused");
    fail(&mut snapshot.services[58].servers[1], 3, "connection refused");
    snapshot
}

#[test]
fn screen_of_a_crowd_shows_what_is_wrong() {
    let got = text(&crowd());
    golden("status-crowd.txt", &got);
    assert!(got.lines().count() <= 23, "the first line would scroll away");
    for sick in ["VI_39", "web58", "web59"] {
        assert!(got.contains(sick), "{sick} is not well and must be on the screen");
    }
}

#[test]
fn screen_with_long_names() {
    let mut snapshot = s1();
    snapshot.router_name = name(&"router-in-the-attic-".repeat(4));
    snapshot.instances[0].name = name(&"office-network-".repeat(5));
    snapshot.instances[0].interface = name("br-lan.4094.abc");
    snapshot.instances[0].state = InstanceState::Backup;
    snapshot.instances[0].active_router = Some(PeerStatus {
        address: "fe80::1234:56ff:fe78:9abc".parse().unwrap(),
        priority: 200,
        heard: crate::time::Duration::from_millis(10),
    });
    let service = &mut snapshot.services[0];
    service.name = name(&"intranet-".repeat(8));
    service.front =
        crate::model::Front::Address("[2001:db8:1234:5678:9abc:def0:1234:5678]:8443".parse().unwrap());
    service.servers =
        vec![server("[2001:db8:1234:5678:9abc:def0:1234:1]:8443", 1), server("192.168.234.57:80", 2)];
    fail(
        &mut service.servers[0],
        41,
        "the certificate of the server is not the one that was wanted, it expired",
    );
    golden("status-long.txt", &text(&snapshot));
}

#[test]
fn details_of_one() {
    let mut snapshot = s1();
    fail(&mut snapshot.services[0].servers[1], 41, "HTTP 503, want 200");
    snapshot.instances[0].addresses[0].put_back = 2;
    snapshot.instances[0].counters.dropped = vec![("ttl is not 255", 7), ("bad checksum", 1)];
    let instance = Reply::status(&named(Format::Text, "VI_1"), &snapshot);
    golden("status-instance.txt", &instance.body);
    assert_eq!(instance.code, 0, "the code is that of what is shown, and VI_1 is well");
    let service = Reply::status(&named(Format::Text, "web"), &snapshot);
    golden("status-service.txt", &service.body);
    assert_eq!(service.code, 1, "and web is not");
    let busy = busy();
    for (what, code) in [("guest", 1), ("inside", 0), ("wan", 1), ("dnsmasq", 1)] {
        let reply = Reply::status(&named(Format::Text, what), &busy);
        golden(&format!("status-of-{what}.txt"), &reply.body);
        assert_eq!(reply.code, code, "the code of {what} alone");
    }
    let unknown = Reply::status(&named(Format::Text, "wen"), &snapshot);
    assert_eq!(unknown.code, 2, "a wrong name is the caller's mistake");
    let alike = Reply::status(&named(Format::Text, "WEB"), &snapshot);
    assert!(alike.body.contains("Is \"web\" meant?"), "the likely intention: {}", alike.body);
}

#[test]
fn brief_of_a_router_with_all_that_vrrp_has() {
    let request = StatusRequest { brief: true, ..StatusRequest::default() };
    let want = "\
instance lan Backup 41s prio 80 192.168.234.37
instance lan6 Backup 41s prio 55 192.168.234.37
instance guest Active 3d04h prio 100 this rival=192.168.2.3 routes-missing=1
group inside Backup 3d04h 2
tracker dhcp up 3d04h process
tracker wan down 41s path hurts
tracker load -3 3d04h file
tracker resolver ? 1.0s script
";
    assert_eq!(Reply::status(&request, &busy()).body, want, "scripts split these lines at spaces");
}

#[test]
fn brief_is_a_line_each() {
    let mut snapshot = s1();
    fail(&mut snapshot.services[0].servers[1], 41, "HTTP 503, want 200");
    let request = StatusRequest { brief: true, ..StatusRequest::default() };
    let reply = Reply::status(&request, &snapshot);
    assert_eq!(
        reply.body, "instance VI_1 Active 3d04h prio 100 this\nservice web degraded 2h00m 1/2 132\n",
        "scripts split these lines at spaces"
    );
}

#[test]
fn events_read_from_old_to_new() {
    let list = [
        happening(3, Level::Error, "daemon", "", "the configuration was not read again: 2 errors"),
        happening(
            41,
            Level::Warning,
            "server",
            "web",
            "192.168.234.57:80 down after 4 failures: HTTP 503, want 200; 1 of 2 servers left in the table",
        ),
        happening(130, Level::Note, "instance", "VI_1", "Backup -> Active: no advert for 3.6s"),
    ];
    golden("events.txt", &Reply::events(&EventsRequest { json: false }, &list).body);
    let json = Reply::events(&EventsRequest { json: true }, &list).body;
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["schema"], 1);
    assert_eq!(value["events"][1]["age_ms"], 41_000, "ages are whole milliseconds");
    assert_eq!(value["events"][2]["level"], "error");
}

#[test]
fn json_tells_everything() {
    let mut snapshot = s1();
    fail(&mut snapshot.services[0].servers[1], 41, "HTTP 503, want 200");
    let json = Reply::status(&StatusRequest { format: Format::Json, ..StatusRequest::default() }, &snapshot);
    let value: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(value["schema"], 1);
    assert_eq!(value["instances"][0]["state"], "active");
    assert_eq!(value["instances"][0]["addresses"][0]["address"], "10.0.0.100/24");
    assert_eq!(value["instances"][0]["counters"]["adverts_sent"], 12);
    assert_eq!(value["services"][0]["health"], "degraded");
    assert_eq!(value["services"][0]["servers"][1]["reason"], "HTTP 503, want 200");
    assert_eq!(value["services"][0]["servers"][1]["since_ms"], 41_000);
    assert_eq!(value["ipvs"]["present"], true);
    assert_eq!(value["stalls"]["count"], 0);
    let busy = busy();
    let json = Reply::status(&StatusRequest { format: Format::Json, ..StatusRequest::default() }, &busy);
    let vrrp: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(vrrp["instances"][1]["family"], "ipv6");
    assert_eq!(vrrp["instances"][1]["contributions"][2]["number"], -5);
    assert_eq!(vrrp["instances"][2]["virtual_mac"]["mac"], "00:00:5e:00:01:34");
    assert_eq!(vrrp["trackers"][1]["up"], false);
    assert_eq!(vrrp["trackers"][2]["value"], -3, "a number of a file may be negative");
    assert_eq!(vrrp["trackers"][3]["up"], serde_json::Value::Null, "nothing is known yet");
    assert_eq!(vrrp["runs"][0]["failed"], true);
    assert_eq!(vrrp["groups"][0]["members"][1], "lan6");
    let request = StatusRequest { format: Format::Json, ..StatusRequest::default() };
    let balance: serde_json::Value =
        serde_json::from_str(&Reply::status(&request, &balanced()).body).unwrap();
    assert_eq!(balance["services"][0]["mark"], 7);
    assert_eq!(balance["services"][2]["group"], "pool");
    assert_eq!(balance["services"][0]["servers"][1]["draining"], true);
    assert_eq!(balance["services"][1]["servers"][0]["checks"][1]["weight"], -5);
    assert_eq!(balance["services"][1]["servers"][0]["weight"], 1);
    assert_eq!(balance["services"][1]["servers"][0]["configured_weight"], 6);
    assert_eq!(balance["services"][1]["servers"][1]["address"], "mx2.example.org:25");
    assert_eq!(balance["ipvs"]["sync"][0], "master");
    assert_eq!(balance["runs"][0]["server"], "10.1.0.21:25");
    golden_keys(&serde_json::json!([value, vrrp, balance]));
}

/// Programs rely on the keys: they are listed in a file, so that a change is a decision.
fn golden_keys(value: &serde_json::Value) {
    fn walk(at: &str, value: &serde_json::Value, out: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                map.iter().for_each(|(k, v)| walk(&format!("{at}.{k}"), v, out))
            }
            serde_json::Value::Array(list) => list.iter().for_each(|v| walk(&format!("{at}[]"), v, out)),
            _ => out.push(at.to_owned()),
        }
    }
    let mut keys = Vec::new();
    for value in value.as_array().into_iter().flatten() {
        walk("", value, &mut keys);
    }
    keys.sort();
    keys.dedup();
    golden("status-json-keys.txt", &(keys.join("\n") + "\n"));
}

#[test]
fn metrics_are_well_formed() {
    let mut snapshot = busy();
    (snapshot.services, snapshot.ipvs, snapshot.mail) = (s1().services, balanced().ipvs, s1().mail);
    snapshot.services.extend(balanced().services.into_iter().skip(1));
    snapshot.runs.extend(balanced().runs);
    snapshot.instances[0] = instance("say \"hi\"\\", 50, InstanceState::Active, "10.0.0.100");
    let request = StatusRequest { format: Format::Metrics, ..StatusRequest::default() };
    let page = Reply::status(&request, &snapshot).body;
    let mut families = std::collections::BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family), "a family that is begun twice is refused by scrapers: {line}");
        } else if !line.starts_with('#') {
            let family = line.split(['{', ' ']).next().unwrap();
            assert!(families.contains(family), "a sample without its family: {line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "not a number: {line}");
        }
    }
    assert!(page.contains("vipd_instance_vips_present{instance=\"say \\\"hi\\\"\\\\\"} 1"), "{page}");
    for line in [
        "vipd_check_up{service=\"mail\",server=\"10.1.0.21:25\",check=\"2\",kind=\"file\"} 1",
        "vipd_service_has_quorum{service=\"mail\"} 0",
        "vipd_service_quorum{service=\"mail\"} 2",
        "vipd_server_draining{service=\"mail\",server=\"10.1.0.21:25\"} 0",
        "vipd_ipvs_sync{role=\"master\"} 1",
        "vipd_program_failed{subject=\"mail\",what=\"notify_server\",server=\"10.1.0.21:25\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is missing:\n{page}");
    }
    let mut samples: Vec<&str> =
        page.lines().filter(|l| !l.starts_with('#')).filter_map(|l| Some(l.rsplit_once(' ')?.0)).collect();
    let count = samples.len();
    samples.sort_unstable();
    samples.dedup();
    assert_eq!(samples.len(), count, "a sample twice is refused by scrapers");
    assert!(page.contains("vipd_server_weight{service=\"web\",server=\"192.168.234.57:80\"} 2"), "{page}");
}

#[test]
fn any_snapshot_fits_the_screen() {
    for seed in 0..1000 {
        let mut random = Random(seed);
        let snapshot = random.snapshot();
        let who = format!("seed {seed}");
        let got = text(&snapshot);
        check_screen(&got, &who);
        assert!(got.lines().count() <= 23, "{who}: the first line scrolls away:\n{got}");
        assert!(got.len() <= 2048, "{who}: too long for a second at 115200 baud");
        check_screen(&render::brief(&snapshot), &who);
        check_screen(&render::detail(&snapshot), &who);
        let json =
            Reply::status(&StatusRequest { format: Format::Json, ..StatusRequest::default() }, &snapshot);
        let value: Result<serde_json::Value, _> = serde_json::from_str(&json.body);
        let value = value.unwrap_or_else(|e| panic!("{who}: a program cannot read it: {e}"));
        assert_eq!(
            value["services"].as_array().map(Vec::len),
            Some(snapshot.services.len()),
            "{who}: one is missing"
        );
        assert_eq!(value["router_name"], snapshot.router_name.as_str(), "{who}: changed on the way");
        assert_eq!(value["healthy"], health::health(&snapshot) == 0, "{who}: code and text disagree");
    }
}

#[test]
fn the_first_line_is_true() {
    for seed in 0..1000 {
        let snapshot = Random(seed).snapshot();
        let got = text(&snapshot);
        let first = got.lines().next().unwrap_or_default();
        let active = snapshot.instances.iter().filter(|i| i.state == InstanceState::Active).count();
        let claim = format!("ACTIVE for {active} of {}", snapshot.instances.len());
        assert_eq!(first.contains(&claim), active > 0, "seed {seed}: {active} are Active: {first}");
        assert!(active > 0 || !first.contains("ACTIVE"), "seed {seed}: none is Active: {first}");
        if health::health(&snapshot) == 0 {
            for word in [
                "FAULT",
                "degraded",
                "down",
                "failing",
                "failed",
                "missing",
                "left behind",
                "no IPVS",
                "another router",
            ] {
                assert!(!first.contains(word), "seed {seed}: healthy, yet {first}");
            }
        }
    }
}
