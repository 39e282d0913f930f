//! Recorded inputs that once left a VIP where it should not be, or the loop busy: reloads, interfaces that
//! come and go, sockets and addresses that the kernel refuses. Each test says what went wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code, reason = "a test")]

mod router;

use router::{Refused, Router, advert_of, base, config, instance, link, vip};
use std::net::Ipv4Addr;
use vipd::engine::{AddressChange, Ear, Event};
use vipd::model::status::InstanceState;
use vipd::model::{Family, Garp, Instance, Mail, MailServer, Priority};
use vipd::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);

fn owner(interface: &str, vrid: u8) -> Instance {
    Instance { priority: Priority::OWNER, ..instance(interface, vrid) }
}

/// One instance that is Active.
fn active(wanted: &Instance) -> Router {
    let mut r = Router::new(&config(std::slice::from_ref(wanted)));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Active);
    assert!(wanted.addresses.iter().all(|a| r.has(2, a.cidr)));
    r
}

#[test]
fn a_missing_interface_does_not_keep_the_loop_busy() {
    let mut r = Router::bare(&config(&[instance("eth0", 1)]));
    r.dump();
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Fault);
}

#[test]
fn a_lease_that_a_reload_takes_away_is_taken_off_the_addresses() {
    let mut r = active(&instance("eth0", 1));
    r.reload(&config(&[Instance { lease: None, ..instance("eth0", 1) }]));
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Active);
}

#[test]
fn a_refresh_that_a_reload_takes_away_ends() {
    let garp = Garp { refresh: SECOND, ..Garp::default() };
    let mut r = active(&Instance { garp, ..instance("eth0", 1) });
    r.reload(&config(&[instance("eth0", 1)]));
    r.pass(SECOND * 10);
    r.sent.clear();
    r.pass(SECOND * 10);
    assert_eq!(r.sent.iter().filter(|s| s.is_garp()).count(), 0, "ARP-45: the refresh is off");
}

#[test]
fn a_refresh_that_a_reload_brings_begins() {
    let mut r = active(&instance("eth0", 1));
    r.pass(SECOND * 10);
    let garp = Garp { refresh: SECOND, ..Garp::default() };
    r.reload(&config(&[Instance { garp, ..instance("eth0", 1) }]));
    r.sent.clear();
    r.pass(SECOND * 10);
    assert_eq!(r.sent.iter().filter(|s| s.is_garp()).count(), 10, "ARP-45: one a period");
}

#[test]
fn rtnl_41_interface_created_anew_while_notifications_were_lost_begins_anew() {
    let mut r = active(&instance("eth0", 1));
    // DELLINK was lost; the dump knows eth0 by another index.
    r.links.remove(&2);
    r.addresses.retain(|(index, _), _| *index != 2);
    r.links.insert(9, link(9, "eth0"));
    r.addresses.insert((9, base(9)), false);
    r.dump();
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Active);
    assert!(r.has(9, vip(1)), "law 3: Active without its VIP, for ever");
}

#[test]
fn rtnl_41_interface_renamed_while_active_is_left_cleanly() {
    let mut r = active(&Instance { lease: None, ..instance("eth0", 1) });
    r.sent.clear();
    r.set_link(link(2, "lan0"));
    r.settle();
    assert_eq!(r.state(0), InstanceState::Fault);
    assert!(!r.has(2, vip(1)), "law 3: the VIP stays on a box that is not Active");
    assert_eq!(r.sent.first().and_then(|s| s.priority()), Some(0), "FSM-40: the others wait for nothing");
}

#[test]
fn rtnl_41_interface_renamed_to_that_of_another_instance_leaves_it_listening() {
    let mut r = Router::bare(&config(&[instance("eth1", 1), instance("eth0", 2)]));
    r.links.insert(2, link(2, "eth0"));
    r.addresses.insert((2, base(2)), false);
    r.dump();
    r.set_link(link(2, "eth1"));
    r.settle();
    assert_eq!(r.state(0), InstanceState::Backup);
    assert!(!r.members.is_empty(), "a deaf Backup becomes a second Active");
}

#[test]
fn sock_23_a_group_is_left_with_its_last_instance() {
    let mut r = active(&instance("eth0", 1));
    let other = Instance { group: Ipv4Addr::new(234, 10, 10, 10).into(), ..instance("eth0", 1) };
    r.reload(&config(&[other.clone(), instance("eth0", 2)]));
    assert_eq!(r.members.len(), 2, "{:?}", r.members);
    r.reload(&config(std::slice::from_ref(&other)));
    assert_eq!(r.members.iter().map(|m| m.group).collect::<Vec<_>>(), [Some(other.group)]);
    r.reload(&config(&[]));
    assert!(r.members.is_empty(), "its socket goes on reading for nobody");
}

#[test]
fn a_group_that_is_refused_stops_only_those_who_want_it() {
    let other = Instance { group: Ipv4Addr::new(234, 10, 10, 10).into(), ..instance("eth0", 1) };
    let mut r = Router::new(&config(&[other.clone(), instance("eth0", 2)]));
    r.pass(SECOND * 10);
    r.feed(Event::ListenFailed {
        ear: Ear { index: 2, family: Family::V4, group: Some(other.group), joins: true },
        why: vipd::model::cut(format_args!("no room")),
    });
    assert_eq!(r.state(0), InstanceState::Fault);
    assert_eq!(r.state(1), InstanceState::Active, "its socket is sound");
}

#[test]
fn an_owner_that_cannot_listen_does_not_take_the_vip_every_two_seconds() {
    let mut r = Router::bare(&config(&[owner("eth0", 1)]));
    r.links.insert(2, link(2, "eth0"));
    r.addresses.insert((2, base(2)), false);
    r.is_deaf = true;
    r.dump();
    r.pass(SECOND);
    r.sent.clear();
    r.lines.clear();
    r.pass(SECOND * 60);
    assert_eq!(r.state(0), InstanceState::Fault);
    assert!(r.sent.is_empty(), "{} frames of a router that hears nobody", r.sent.len());
    assert!(r.lines.is_empty(), "{} log lines and no news", r.lines.len());
    r.is_deaf = false;
    r.pass(SECOND * 5);
    assert_eq!(r.state(0), InstanceState::Active, "it is tried again");
}

#[test]
fn a_router_that_cannot_listen_sends_no_mails_about_it_every_two_seconds() {
    let mail = Mail {
        server: MailServer::Ip("192.0.2.250:25".parse().unwrap()),
        from: "vipd@localhost".into(),
        to: vec!["root@localhost".into()],
        timeout: SECOND * 30,
        helo: None,
    };
    let whole = vipd::model::Config { mail: Some(mail), ..config(&[instance("eth0", 1)]) };
    let mut r = Router::bare(&whole);
    r.links.insert(2, link(2, "eth0"));
    r.addresses.insert((2, base(2)), false);
    r.is_deaf = true;
    r.dump();
    r.pass(SECOND * 60);
    assert!(r.mails <= 1, "{} mails about one fault", r.mails);
}

#[test]
fn a_socket_that_failed_is_opened_before_the_router_takes_part() {
    let mut r = Router::bare(&config(&[instance("eth0", 1)]));
    r.links.insert(2, link(2, "eth0"));
    r.addresses.insert((2, base(2)), false);
    r.is_deaf = true;
    r.dump();
    r.set_running(2, false);
    r.set_running(2, true);
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Fault, "deaf, it would become a second Active");
    r.is_deaf = false;
    r.pass(SECOND * 10);
    assert_eq!(r.state(0), InstanceState::Active);
    assert!(!r.members.is_empty());
}

#[test]
fn a_vip_that_is_refused_does_not_silence_the_others_nor_the_log() {
    let wanted =
        Instance { addresses: vec![vip(1).into(), vip(2).into(), vip(3).into()], ..instance("eth0", 1) };
    let mut r = Router::new(&config(std::slice::from_ref(&wanted)));
    r.refused = Some(Refused::Adding(vip(2)));
    r.pass(SECOND * 10);
    assert!(r.sent.iter().any(|s| s.announces(&vip(3))), "ARP-42: it waits for the one before it");
    (r.ticks, r.lines) = (0, Vec::new());
    r.pass(SECOND * 60);
    assert!(r.ticks < 600, "{} wake-ups a minute", r.ticks);
    assert!(r.lines.len() <= 10, "{} log lines a minute", r.lines.len());
    r.refused = None;
    r.sent.clear();
    r.pass(SECOND * 3);
    assert!(r.has(2, vip(2)), "law 5: tried again");
    assert!(r.sent.iter().any(|s| s.announces(&vip(2))), "ARP-44: announced when it is there");
}

#[test]
fn renewals_that_are_refused_do_not_flood_the_log() {
    let wanted = Instance { addresses: (1..60).map(|v| vip(v).into()).collect(), ..instance("eth0", 1) };
    let mut r = active(&wanted);
    r.refused = Some(Refused::All);
    r.lines.clear();
    r.pass(SECOND * 60);
    assert!(!r.lines.is_empty(), "it is said");
    assert!(r.lines.len() <= 10, "{} log lines a minute", r.lines.len());
}

#[test]
fn somebody_who_takes_a_vip_again_and_again_does_not_flood_the_log() {
    let mut r = active(&Instance { advert_interval: SECOND, ..instance("eth0", 1) });
    r.lines.clear();
    for _ in 0..600 {
        r.take_address(2, vip(1));
        r.pass(Duration::from_millis(100));
    }
    assert!(r.lines.len() <= 20, "{} log lines a minute", r.lines.len());
    assert!(r.status(0).addresses[0].put_back > 20, "counted and put back all the same");
}

#[test]
fn fsm_5_owner_does_not_obey_a_lower_router() {
    let wanted = Instance { preempt: false, ..owner("eth0", 1) };
    let mut r = active(&wanted);
    r.hear(2, &advert_of(&wanted, OTHER, 255));
    assert_eq!(r.state(0), InstanceState::Backup, "the higher address wins");
    for _ in 0..100 {
        r.hear(2, &advert_of(&wanted, OTHER, 100));
        r.pass(SECOND / 10);
    }
    assert_eq!(r.state(0), InstanceState::Active, "FSM-5: the owner preempts whatever preempt says");
}

#[test]
fn a_removal_that_was_refused_does_not_outlive_the_instance() {
    let mut r = active(&Instance { lease: None, ..instance("eth0", 1) });
    r.refused = Some(Refused::All);
    r.hear(2, &advert_of(&instance("eth0", 1), OTHER, 200));
    r.settle();
    r.refused = None;
    r.reload(&config(&[]));
    r.pass(SECOND * 5);
    assert!(!r.has(2, vip(1)), "nobody looks after it any more");
}

#[test]
fn an_instance_that_goes_while_the_kernel_refuses_leaves_nothing() {
    let lasting = |vips: &[u8]| Instance {
        addresses: vips.iter().map(|v| vip(*v).into()).collect(),
        lease: None,
        ..instance("eth0", 1)
    };
    let mut r = active(&lasting(&[1, 2]));
    r.refused = Some(Refused::All);
    r.reload(&config(&[lasting(&[1])]));
    r.reload(&config(&[]));
    r.settle();
    r.refused = None;
    r.pass(SECOND * 5);
    assert!(!r.has(2, vip(1)), "law 5: a failed command is retried");
    assert!(!r.has(2, vip(2)), "law 5: a failed command is retried");
}

#[test]
fn an_address_that_an_owner_leaves_alone_is_taken_off_once_it_is_no_owner() {
    let mut r = Router::new(&config(&[owner("eth0", 1)]));
    r.put_address(2, vip(1));
    r.pass(SECOND);
    r.set_running(2, false);
    r.reload(&config(&[instance("eth0", 1)]));
    r.settle();
    assert_eq!(r.state(0), InstanceState::Fault);
    assert!(!r.has(2, vip(1)), "law 3: on the box while not Active");
}

#[test]
fn a_vip_that_moves_to_another_instance_is_not_taken_from_it() {
    let with = |vrid, vips: &[u8]| Instance {
        addresses: vips.iter().map(|v| vip(*v).into()).collect(),
        ..instance("eth0", vrid)
    };
    let mut r = Router::new(&config(&[with(1, &[1]), with(2, &[2, 3])]));
    r.pass(SECOND * 10);
    r.lines.clear();
    r.reload(&config(&[with(1, &[1, 3]), with(2, &[2])]));
    assert!(r.has(2, vip(3)), "law 3: not for a moment");
    r.pass(SECOND * 10);
    assert!(r.has(2, vip(3)));
    assert!(r.lines.iter().all(|(_, line)| !line.contains("removed by someone")), "{:?}", r.lines);
}

#[test]
fn the_notification_of_our_own_removal_may_be_lost() {
    let mut r = active(&instance("eth0", 1));
    // Backup, and Active again; the notifications of it overran.
    r.hear(2, &advert_of(&instance("eth0", 1), OTHER, 200));
    r.settle();
    assert!(!r.has(2, vip(1)));
    let cidr = vip(1);
    r.pass(SECOND * 10);
    assert!(r.has(2, vip(1)));
    let result = Ok(());
    let op = vipd::engine::AddressOp::Remove;
    r.feed(Event::AddressResult { index: 2, cidr, op, result });
    r.feed(Event::AddressResult { index: 2, cidr, op: vipd::engine::AddressOp::Add, result });
    r.settle();
    r.lines.clear();
    r.dump();
    r.settle();
    assert_eq!(r.status(0).addresses[0].put_back, 0, "nobody took it: {:?}", r.lines);
    r.feed(Event::Address { index: 2, cidr, change: AddressChange::Gone });
    assert_eq!(r.status(0).addresses[0].put_back, 1, "and this was somebody");
}

#[test]
fn a_reload_keeps_to_the_interval_that_a_backup_has_learned() {
    let v3 = Instance { version: vipd::model::Version::V3, ..instance("eth0", 1) };
    let mut r = Router::new(&config(std::slice::from_ref(&v3)));
    let slow = Instance { advert_interval: SECOND * 10, ..v3.clone() };
    r.hear(2, &advert_of(&slow, OTHER, 200));
    let before = r.engine.next_deadline().unwrap();
    r.reload(&config(&[Instance { priority: Priority::new(228).unwrap(), ..v3.clone() }]));
    r.settle();
    let after = r.engine.next_deadline().unwrap();
    assert_eq!(before - after, SECOND * 5, "FSM-3: the skew is a part of the learned interval");
}

#[test]
fn rtnl_27_interface_that_is_renamed_brings_what_is_on_it() {
    let mut r = Router::bare(&config(&[instance("eth0", 1)]));
    r.links.insert(2, link(2, "lan0"));
    r.addresses.insert((2, base(2)), false);
    r.addresses.insert((2, vip(1)), true);
    r.dump();
    r.set_link(link(2, "eth0"));
    r.settle();
    assert_eq!(r.state(0), InstanceState::Backup);
    assert!(!r.has(2, vip(1)), "law 3: on the box while not Active, for as long as nobody reloads");
}

#[test]
fn law5_what_stays_on_a_renamed_interface_is_removed_however_often_that_is_refused() {
    let mut r = active(&Instance { lease: None, ..instance("eth0", 1) });
    r.refused = Some(Refused::All);
    r.set_link(link(2, "old0"));
    r.pass(SECOND * 5);
    assert!(r.has(2, vip(1)), "refused");
    r.refused = None;
    r.pass(SECOND * 2);
    assert!(!r.has(2, vip(1)), "law 3: it would stay there for ever");
}

#[test]
fn rtnl_27_what_a_killed_run_left_on_an_interface_of_another_name_now_is_removed() {
    let mut r = Router::bare(&config(&[instance("eth0", 1)]));
    r.links.insert(2, link(2, "old0"));
    r.addresses.insert((2, vip(1)), true);
    r.addresses.insert((2, vip(2)), true);
    r.dump();
    r.pass(SECOND);
    assert!(!r.has(2, vip(1)), "a VIP of ours, where nobody looks after it");
    assert!(r.has(2, vip(2)), "what we do not know may be another daemon's");
}

#[test]
fn a_socket_that_is_refused_during_the_start_delay_is_not_forgotten() {
    let mut r = Router::bare(&config(&[Instance { start_delay: SECOND * 5, ..instance("eth0", 1) }]));
    r.links.insert(2, link(2, "eth0"));
    r.addresses.insert((2, base(2)), false);
    r.is_deaf = true;
    r.dump();
    r.pass(SECOND * 20);
    assert_eq!(r.state(0), InstanceState::Fault, "deaf, it would become a second Active");
    r.is_deaf = false;
    r.pass(SECOND * 20);
    assert_eq!(r.state(0), InstanceState::Active);
    assert!(!r.members.is_empty());
}
