//! Services with several names in the kernel's table: a row for each, the same servers behind all.

use super::*;

/// A group of these, for the service of scenario S1.
fn group(name: &str, keys: &[ServiceKey]) -> Service {
    let front = Front::Group { name: Name::try_from("pool").unwrap(), keys: keys.to_vec() };
    Service { front, ..service(name, "10.0.0.100:80") }
}

fn at(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap() }
}

const MARK: ServiceKey = ServiceKey::Mark { mark: 7, ipv6: false };

fn config(services: &[Service]) -> Config {
    Config { services: services.iter().cloned().map(Shared::from).collect(), ..s1() }
}

/// Where the packets of a key go.
fn behind(bed: &Bed, key: &ServiceKey) -> Vec<String> {
    bed.kernel.table[key].1.values().map(|d| format!("{} {}", d.address, d.weight)).collect()
}

/// One server answers behind every address and mark of a group; one that fails leaves all of them, and none
/// of them is empty at any time.
#[test]
fn a_group_has_a_row_for_each_address_and_mark() {
    let keys = [at("10.0.0.100:80"), at("10.0.0.101:80"), MARK];
    let mut bed = Bed::started(&config(&[group("web", &keys)]));
    assert_eq!(bed.kernel.table.keys().copied().collect::<Vec<_>>(), keys);
    let own: Vec<ServiceKey> = bed.balancer.own_services().collect();
    assert_eq!(own, keys, "all of them are ours");
    assert_eq!(behind(&bed, &keys[1]), ["192.168.234.47:80 1", "192.168.234.57:80 2"]);
    bed.go(2.0);
    bed.verdict(A, false);
    let expected = ["- 192.168.234.47:80", "- 192.168.234.47:80", "- 192.168.234.47:0"];
    assert_eq!(bed.log(), expected, "one verdict, all rows");
    bed.verdict(B, false);
    let log = bed.log();
    assert_eq!(log.len(), 6, "{log:?}");
    assert_eq!(behind(&bed, &keys[0]), ["127.0.0.1:80 1"], "the sorry server, everywhere");
}

/// IPVS-60, IPVS-61: without NAT no port can be changed. A destination with another port would get packets
/// for a port where nobody listens.
#[test]
fn only_nat_keeps_the_port_of_the_server() {
    let keys = [at("10.0.0.100:443"), at("10.0.0.101:0"), MARK];
    let mut group = group("web", &keys);
    group.servers[1].method = Method::new(Forwarding::Masquerade);
    let bed = Bed::started(&config(&[group]));
    assert_eq!(behind(&bed, &keys[0]), ["192.168.234.47:443 1", "192.168.234.57:80 2"]);
    assert_eq!(behind(&bed, &keys[1]), ["192.168.234.47:0 1", "192.168.234.57:80 2"]);
    assert_eq!(behind(&bed, &MARK), ["192.168.234.47:0 1", "192.168.234.57:80 2"], "IPVS-61");
    let server = &bed.snapshot().services[0].servers[0];
    assert!(server.installed, "it is found under the port that it has there");
}

/// Two servers of one address, told apart by their ports, are one destination behind a mark: it stays while
/// one of them is up.
#[test]
fn servers_that_are_one_destination_count_as_one() {
    let mut service = group("web", &[MARK]);
    service.servers = vec![server("192.0.2.1:80", 1), server("192.0.2.1:81", 3)];
    let mut bed = Bed::started(&config(&[service]));
    assert_eq!(behind(&bed, &MARK), ["192.0.2.1:0 3"], "the heavier one's weight");
    bed.go(2.0);
    bed.verdict("192.0.2.1:81", false);
    assert_eq!(bed.log(), ["~ 192.0.2.1:0 1"]);
    bed.verdict("192.0.2.1:80", false);
    assert_eq!(behind(&bed, &MARK), ["127.0.0.1:0 1"]);
}

/// A key that moves to another service is not deleted and made anew: its connections would die (IPVS-57).
#[test]
fn keys_that_move_at_a_reload_are_handed_over() {
    let keys = [at("10.0.0.100:80"), at("10.0.0.101:80"), at("10.0.0.102:80")];
    let mut two = group("two", &keys[2..]);
    two.servers = vec![server("192.0.2.3:80", 3)];
    let mut bed = Bed::started(&config(&[group("web", &keys[..2]), two.clone()]));
    two.front = group("two", &keys[1..]).front;
    bed.reload(&config(&[group("web", &keys[..1]), two.clone()]));
    let expected = ["+ 192.0.2.3:80 3", "- 192.168.234.47:80", "- 192.168.234.57:80"];
    assert_eq!(bed.log(), expected, "the new servers before the old ones go, the service stays");
    assert_eq!(bed.snapshot().services[1].active_connections, 0, "not read yet");

    two.front = Front::Address("10.0.0.101:80".parse().unwrap());
    bed.reload(&config(&[two, group("web", &[keys[0]])]));
    assert_eq!(bed.log(), ["-10.0.0.102:80"], "and what is in the configuration no more goes");
    assert_eq!(bed.kernel.table.len(), 2);
}

/// Should two services have the same key in spite of all, the first one has it, and neither flaps.
#[test]
fn a_key_of_two_services_belongs_to_the_first() {
    let mut bed = Bed::started(&config(&[group("web", &[MARK]), group("two", &[MARK])]));
    assert_eq!(behind(&bed, &MARK).len(), 2);
    let snapshot = bed.snapshot();
    assert!(snapshot.services[0].installed && !snapshot.services[1].installed);
    bed.go(40.0);
    assert_eq!(bed.log(), [""; 0]);
}

/// What `status` tells of a group is the sum over its rows.
#[test]
fn connections_are_summed_over_the_rows() {
    let keys = [at("10.0.0.100:80"), MARK];
    let mut bed = Bed::started(&config(&[group("web", &keys)]));
    bed.go(11.0);
    let service = &bed.snapshot().services[0];
    assert_eq!(service.active_connections, 12, "2 keys × 2 servers × 3");
    assert_eq!((service.servers[0].active_connections, service.servers[0].inactive_connections), (6, 8));
    bed.kernel.table.get_mut(&MARK).unwrap().1.clear();
    bed.kernel.refuse.push(("+ 192.168.234.47:0", crate::engine::Refusal::Invalid));
    bed.go(22.0);
    let service = &bed.snapshot().services[0];
    assert!(service.installed && service.servers[1].installed);
    assert!(!service.servers[0].installed, "missing behind one key is missing");
}
