//! What others do to the table, and what a kernel tells that is not what it was asked for.

use super::*;
use crate::engine::Refusal;
use crate::model::{Persistence, PersistenceEngine, TunnelChecksum};
use crate::wire::ipvs::sockopt::Lacking;
use crate::wire::ipvs::{Destination, DestinationEntry};

const GUE: Tunnel = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None };

fn at(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap() }
}

fn tunnels(tunnel: Tunnel) -> Config {
    let mut config = s1();
    for server in &mut config.services[0].servers {
        server.method = Method { forward: Forwarding::Tunnel, tunnel };
    }
    config
}

/// A kernel before 5.2 takes the tunnel's attributes and forgets them. Correcting that for ever would be a
/// command each watch interval; keeping quiet about it would hide that packets go as IP in IP.
#[test]
fn tunnels_that_an_old_kernel_forgets_are_told_and_not_set_for_ever() {
    let mut bed = Bed::new(&tunnels(GUE));
    bed.kernel.is_old = true;
    bed.start();
    bed.go(60.0);
    let sets = bed.log().iter().filter(|l| l.starts_with('~')).count();
    assert_eq!(sets, 4, "each of the two again, twice");
    bed.go(600.0);
    assert_eq!(bed.log(), [""; 0]);
    let snapshot = bed.snapshot();
    assert_eq!(snapshot.ipvs.unwrap().repaired, 0, "nobody has changed anything");
    assert!(
        snapshot.problems[0].contains("does not keep the tunnel of 192.168.234.47:80"),
        "{:?}",
        snapshot.problems
    );
    bed.kernel.table.values_mut().next().unwrap().1.get_mut(&B.parse().unwrap()).unwrap().weight = 9;
    bed.go(620.0);
    assert_eq!(bed.log(), ["~ 192.168.234.57:80 2"], "what it does tell is put right as ever");
    bed.reload(&tunnels(Tunnel::Ipip));
    assert_eq!(bed.log().len(), 2);
    bed.go(640.0);
    assert!(bed.snapshot().problems.is_empty() && bed.log().is_empty());
}

/// On a kernel that does tell tunnels, another one is the work of somebody else.
#[test]
fn a_tunnel_that_somebody_changed_is_put_right() {
    let mut bed = Bed::started(&tunnels(GUE));
    bed.go(11.0);
    for seconds in [22.0, 33.0, 44.0, 55.0] {
        let (_, destinations) = bed.kernel.table.values_mut().next().unwrap();
        destinations.get_mut(&A.parse().unwrap()).unwrap().tunnel = Tunnel::Ipip;
        bed.go(seconds);
        assert_eq!(bed.log(), ["~ 192.168.234.47:80 1"], "however often");
    }
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 4);
    assert!(bed.snapshot().problems.is_empty());
}

#[test]
fn an_engine_that_an_old_kernel_forgets_is_told_and_not_set_for_ever() {
    let mut config = s1();
    config.services[0].persistence = Some(Persistence {
        timeout: Duration::from_secs(50),
        prefix_len: 32,
        engine: Some(PersistenceEngine::try_from("sip").unwrap()),
    });
    let mut bed = Bed::new(&config);
    bed.kernel.is_old = true;
    bed.start();
    bed.go(60.0);
    assert_eq!(bed.log().iter().filter(|l| l.starts_with('~')).count(), 2);
    bed.go(600.0);
    assert_eq!(bed.log(), [""; 0]);
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0);
    let problems = bed.snapshot().problems;
    assert_eq!(problems, ["service web: the kernel does not keep its persistence engine"]);
    let key = at("10.0.0.100:80");
    bed.kernel.table.get_mut(&key).unwrap().0.timeout = 7;
    bed.go(620.0);
    assert_eq!(bed.log()[0], "~10.0.0.100:80 wrr", "what it does tell is put right as ever");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 1);

    let mut bed = Bed::started(&config);
    for seconds in [11.0, 22.0, 33.0, 44.0] {
        bed.go(seconds);
        bed.log();
        bed.kernel.table.get_mut(&key).unwrap().0.engine.clear();
    }
    bed.go(55.0);
    assert_eq!(bed.log(), ["~10.0.0.100:80 wrr"], "somebody took it away, and it comes back");
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 4);
}

/// IPVS-40a: a module of the scheduler or of the engine may be what is missing.
#[test]
fn a_missing_engine_is_named() {
    let mut config = s1();
    config.services[0].persistence = Some(Persistence {
        timeout: Duration::from_secs(50),
        prefix_len: 32,
        engine: Some(PersistenceEngine::try_from("sip").unwrap()),
    });
    let mut bed = Bed::new(&config);
    bed.kernel.refuse.push(("+10.0.0.100", Refusal::NotFound));
    bed.start();
    bed.settle();
    let problems = bed.snapshot().problems;
    assert!(problems[0].contains("scheduler wrr or persistence engine sip"), "{problems:?}");
}

#[test]
fn flags_masks_and_thresholds_are_compared() {
    let mut config = s1();
    config.services[0].scheduler = Scheduler::try_from("sh").unwrap();
    config.services[0].scheduler_flags = 0x18;
    (config.services[0].servers[0].upper_threshold, config.services[0].servers[0].lower_threshold) =
        (100, 60);
    let mut bed = Bed::started(&config);
    let key = at("10.0.0.100:80");
    let (service, destinations) = &bed.kernel.table[&key];
    assert_eq!((service.flags, destinations[&A.parse().unwrap()].upper_threshold), (0x18, 100));
    let (service, destinations) = bed.kernel.table.get_mut(&key).unwrap();
    service.flags = 0x10;
    destinations.get_mut(&A.parse().unwrap()).unwrap().lower_threshold = 0;
    bed.go(11.0);
    assert_eq!(bed.log(), ["~10.0.0.100:80 sh", "~ 192.168.234.47:80 1"], "law 5");
    config.services[0].servers[0].upper_threshold = 200;
    bed.reload(&config);
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 1"], "also changed on a reload");
    assert_eq!(bed.kernel.table[&key].1[&A.parse().unwrap()].upper_threshold, 200);
}

/// IPVS-48: a dump may tell twice what others' additions moved, or leave it out. Neither is a change, and
/// nothing that serves is touched.
#[test]
fn dumps_that_double_and_skip_change_nothing_that_serves() {
    let mut bed = Bed::started(&s1());
    bed.kernel.doubles = true;
    bed.go(33.0);
    assert_eq!(bed.log(), [""; 0]);
    bed.kernel.doubles = false;
    bed.kernel.skips_destination = Some(A.parse().unwrap());
    bed.go(44.0);
    assert_eq!(bed.log(), ["+ 192.168.234.47:80 1", "~ 192.168.234.47:80 1"], "IPVS-42: it is there");
    bed.kernel.skips_destination = None;
    bed.kernel.skips_service = Some(at("10.0.0.100:80"));
    bed.go(54.5);
    assert_eq!(bed.log(), ["+10.0.0.100:80 wrr", "~10.0.0.100:80 wrr"], "IPVS-40: it is there");
    bed.kernel.skips_service = None;
    bed.go(66.0);
    assert_eq!(bed.log(), [""; 0]);
    assert_eq!(bed.snapshot().ipvs.unwrap().repaired, 0, "and nobody has changed anything");
}

/// `ipvsadm -C` by somebody: all of ours comes back, and is counted; B-99: an empty table is no reason to
/// believe that we have no servers.
#[test]
fn a_flush_by_a_stranger_is_undone_and_counted() {
    let services = (1..=20).map(|i| service(&format!("s{i}"), &format!("10.0.0.{i}:80")).into()).collect();
    let mut bed = Bed::started(&Config { services, ..s1() });
    bed.kernel.table.clear();
    bed.go(11.0);
    assert_eq!(bed.kernel.table.values().map(|(_, d)| d.len()).sum::<usize>(), 40);
    let snapshot = bed.snapshot();
    assert_eq!(snapshot.ipvs.unwrap().repaired, 60, "20 services with 2 servers each");
    assert!(snapshot.services.iter().all(|s| s.installed) && snapshot.problems.is_empty());
    assert_eq!(bed.notes().iter().filter(|n| n.contains("somebody changed")).count(), 1, "one note");
}

/// B-100: strangers' services and what is in them is not read, not changed, not counted.
#[test]
fn what_is_not_ours_is_not_touched() {
    let mut bed = Bed::new(&s1());
    let stranger = wanted(&service("x", "10.9.9.9:80"));
    bed.kernel.execute(&IpvsRequest::NewService(stranger.clone())).unwrap();
    bed.start();
    bed.go(100.0);
    bed.reload(&Config::default());
    bed.settle();
    bed.reload(&s1());
    bed.go(200.0);
    bed.call(|b, now, cx| b.shutdown(now, cx));
    let touched = bed.log().into_iter().filter(|l| l.contains("10.9.9.9")).count();
    assert_eq!((touched, bed.kernel.table.len()), (0, 1));
    assert_eq!(bed.kernel.table[&stranger.key].0, stranger);
}

/// B-102, and entries that nobody asked about: a number out of range is put right like any other edit, and
/// what is told out of turn changes nothing.
#[test]
fn strange_numbers_and_unasked_entries() {
    let mut bed = Bed::started(&s1());
    let key = at("10.0.0.100:80");
    let d = Destination {
        address: "192.0.2.77:80".parse().unwrap(),
        forward: Forwarding::Bypass,
        tunnel: Tunnel::Ipip,
        weight: u32::MAX,
        upper_threshold: u32::MAX,
        lower_threshold: u32::MAX,
    };
    let entry = DestinationEntry { destination: d, active_connections: u32::MAX, inactive_connections: 1 };
    bed.ipvs(IpvsEvent::Destination(key, entry));
    bed.ipvs(IpvsEvent::Service(wanted(&service("x", "10.9.9.9:80"))));
    assert_eq!(bed.log(), [""; 0], "nobody asked");
    bed.kernel.table.get_mut(&key).unwrap().1.insert(d.address, d);
    bed.kernel.table.get_mut(&key).unwrap().1.get_mut(&A.parse().unwrap()).unwrap().weight = 1 << 31;
    bed.go(11.0);
    assert_eq!(bed.log(), ["~ 192.168.234.47:80 1", "- 192.0.2.77:80"]);
}

/// Somebody fills one of our services: what is kept in mind of it has a limit, and all of it goes.
#[test]
fn a_flood_of_foreign_destinations_goes() {
    let mut bed = Bed::started(&s1());
    let (_, destinations) = bed.kernel.table.values_mut().next().unwrap();
    let copy = *destinations.values().next().unwrap();
    for n in 0..5000_u32 {
        let address = SocketAddr::new(std::net::Ipv4Addr::from(0xac10_0000 + n).into(), 80);
        destinations.insert(address, Destination { address, ..copy });
    }
    bed.go(11.0);
    let known = bed.balancer.table.rows.iter().flatten().map(|row| row.entries.capacity()).max().unwrap();
    assert!(known <= 2 * crate::limits::IPVS_ENTRIES_MAX, "{known} kept in mind");
    bed.go(60.0);
    assert_eq!(bed.kernel.text(), ["10.0.0.100:80 wrr: 192.168.234.47:80 1, 192.168.234.57:80 2"]);
}

/// IPVS-90: what the old interface cannot say is a problem with its reason; the rest of the service is there.
#[test]
fn what_socket_options_cannot_say_is_a_problem() {
    let lacking = Refusal::NotBySockopt(Lacking::Ipv6);
    let mut config = s1();
    config.services.push(service("six", "[2001:db8::1]:80").into());
    let mut bed = Bed::new(&config);
    bed.kernel.sockopt = true;
    bed.kernel.refuse.push(("+[2001", lacking));
    bed.start();
    bed.go(300.0);
    assert!(bed.log().len() < 20, "tried now and then, as any refusal");
    let snapshot = bed.snapshot();
    assert!(snapshot.services[0].installed && !snapshot.services[1].installed);
    assert_eq!(snapshot.problems.len(), 1, "{:?}", snapshot.problems);
    assert!(snapshot.problems[0].starts_with("service six: IPVS refuses it: "), "{:?}", snapshot.problems);
    assert!(snapshot.ipvs.unwrap().sockopt);
}
