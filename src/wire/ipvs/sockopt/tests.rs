use super::*;

/// Bytes in the order of a little-endian CPU, except for what is in network order everywhere.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn udp(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Udp, address: address.parse().unwrap() }
}

fn tcp(address: &str) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap() }
}

fn service(key: ServiceKey) -> Service {
    Service {
        key,
        scheduler: "rr".try_into().unwrap(),
        flags: 0,
        timeout: 0,
        prefix_len: 32,
        engine: PersistenceEngine::new(),
    }
}

fn destination(address: &str) -> Destination {
    Destination {
        address: address.parse().unwrap(),
        forward: Forwarding::DirectRoute,
        tunnel: Tunnel::Ipip,
        weight: 100,
        upper_threshold: 9,
        lower_threshold: 8,
    }
}

#[test]
#[cfg(target_endian = "little")]
fn ipvs90_services_are_byte_for_byte_as_the_kernel_took_them() {
    let add = emit_service(ServiceCommand::New, &service(tcp("192.0.2.50:80"))).unwrap();
    let want = "06 00 00 00 c0 00 02 32 00 50 00 00 00 00 00 00
        72 72 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff ff ff";
    assert_eq!((add.option(), add.bytes()), (1154, &hex(want)[..]), "5.9: ADD");
    let mark = Service {
        flags: 0x19,
        timeout: 50,
        prefix_len: 24,
        scheduler: "0123456789abcde".try_into().unwrap(),
        ..service(ServiceKey::Mark { mark: 7, ipv6: false })
    };
    let edit = emit_service(ServiceCommand::Set, &mark).unwrap();
    let want = "06 00 00 00 00 00 00 00 00 00 00 00 07 00 00 00
        30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 00 19 00 00 00 32 00 00 00 ff ff ff 00";
    assert_eq!(
        (edit.option(), edit.bytes()),
        (1155, &hex(want)[..]),
        "a protocol for a mark: EFAULT without"
    );
    let del = emit_del_service(&udp("192.0.2.50:80")).unwrap();
    let want = "11 00 00 00 c0 00 02 32 00 50 00 00";
    assert_eq!((del.option(), del.bytes().len(), &del.bytes()[..12]), (1156, 44, &hex(want)[..]));
    assert_eq!(del.bytes()[12..], [0; 32]);
}

#[test]
#[cfg(target_endian = "little")]
fn ipvs90_destinations_follow_their_service() {
    let key = tcp("192.0.2.50:80");
    let identity = "06 00 00 00 c0 00 02 32 00 50 00 00";
    let want = "0a 00 00 02 1f 90 00 00 03 00 00 00 64 00 00 00 09 00 00 00 08 00 00 00";
    for (command, option) in [(DestinationCommand::New, 1159), (DestinationCommand::Set, 1161)] {
        let set = emit_destination(command, (&key, &destination("10.0.0.2:8080"))).unwrap();
        assert_eq!((set.option(), set.bytes().len()), (option, 68), "exactly, or EINVAL");
        assert_eq!((&set.bytes()[..12], &set.bytes()[44..]), (&hex(identity)[..], &hex(want)[..]));
    }
    let del = emit_destination(DestinationCommand::Del, (&key, &destination("10.0.0.2:8080"))).unwrap();
    assert_eq!((del.option(), del.bytes().len()), (1160, 68));
    assert_eq!(del.bytes()[44..52], hex("0a 00 00 02 1f 90 00 00"));
    assert_eq!(del.bytes()[52..], [0; 16], "the address alone");
}

#[test]
#[cfg(target_endian = "little")]
fn ipvs90_timeouts_and_daemons_are_laid_out_as_the_header_says() {
    let timeouts = Timeouts { tcp: 600, tcp_fin: 60, udp: 200 };
    let set = emit_timeouts(&timeouts);
    assert_eq!((set.option(), set.bytes()), (1162, &hex("58 02 00 00 3c 00 00 00 c8 00 00 00")[..]));
    assert_eq!(parse_timeouts(set.bytes()), Ok(timeouts));
    let daemon = daemon();
    let start = emit_new_daemon((DaemonRole::Backup, &daemon)).unwrap();
    let want = "02 00 00 00 64 75 6d 6d 79 30 00 00 00 00 00 00 00 00 00 00 33 00 00 00";
    assert_eq!((start.option(), start.bytes()), (1163, &hex(want)[..]));
    let stop = emit_del_daemon(DaemonRole::Master);
    assert_eq!((stop.option(), stop.bytes().len(), stop.bytes()[0]), (1164, 24, 1));
    let answer = [&[0; 24][..], start.bytes()].concat();
    assert_eq!(parse_daemon(&answer, 0), Ok(None), "no master runs");
    assert_eq!(parse_daemon(&answer, 1), Ok(Some((DaemonRole::Backup, daemon))));
    assert!(parse_daemon(&answer, 2).is_err() && parse_daemon(&answer, usize::MAX).is_err());
    let odd = [hex("03 00 00 00"), vec![b'x'; 20]].concat();
    assert!(parse_daemon(&odd, 0).is_err(), "neither the state nor the name can be");
}

fn daemon() -> Daemon {
    Daemon { interface: "dummy0".try_into().unwrap(), id: 51, max_len: 0, group: None, port: 0, ttl: 0 }
}

#[test]
fn ipvs90_what_cannot_be_said_is_refused_by_name() {
    let v6 = ServiceKey::Address { protocol: Protocol::Tcp, address: "[2001:db8::1]:80".parse().unwrap() };
    let v6_mark = ServiceKey::Mark { mark: 7, ipv6: true };
    for key in [v6, v6_mark] {
        let refused = emit_service(ServiceCommand::New, &service(key)).unwrap_err();
        assert_eq!((refused, refused.to_string().as_str()), (Lacking::Ipv6, "no IPv6 by socket options"));
        assert_eq!(emit_del_service(&key).unwrap_err(), Lacking::Ipv6);
        assert_eq!(prepare_service(&mut [0; SERVICE_LEN], &key), Err(Lacking::Ipv6));
        assert_eq!(prepare_destinations(&mut [0; 100], &key, 1), Err(Lacking::Ipv6));
    }
    let key = tcp("192.0.2.50:80");
    let tell = |destination: Destination| {
        emit_destination(DestinationCommand::New, (&key, &destination)).map(|set| set.option())
    };
    assert_eq!(tell(destination("[2001:db8::2]:80")), Err(Lacking::Ipv6));
    let checksum = super::super::TunnelChecksum::None;
    for tunnel in [Tunnel::Gue { port: 6080, checksum }, Tunnel::Gre { checksum }] {
        let other = Destination { tunnel, ..destination("10.0.0.2:80") };
        assert_eq!(tell(Destination { forward: Forwarding::Tunnel, ..other }), Err(Lacking::Tunnel));
        assert_eq!(tell(other), Ok(1159), "no tunnel, whatever its kind would be");
    }
    let sip = Service { engine: "sip".try_into().unwrap(), ..service(key) };
    assert_eq!(emit_service(ServiceCommand::New, &sip).unwrap_err(), Lacking::Engine);
    let start = |daemon: Daemon| emit_new_daemon((DaemonRole::Master, &daemon)).map(|set| set.option());
    for more in [
        Daemon { max_len: 1400, ..daemon() },
        Daemon { group: Some("224.0.0.82".parse().unwrap()), ..daemon() },
        Daemon { port: 8849, ..daemon() },
        Daemon { ttl: 2, ..daemon() },
    ] {
        assert_eq!(start(more), Err(Lacking::Daemon));
    }
    let usual = Daemon { group: Some("224.0.0.81".parse().unwrap()), port: 8848, ttl: 1, ..daemon() };
    assert_eq!(start(usual), Ok(1163), "what the kernel does anyway may be wanted");
}

/// An answer with one entry, made of its parts at the places where C has them.
fn answer(header: usize, len: usize, parts: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0; header + len];
    parts.iter().for_each(|(at, part)| bytes[header + at..][..part.len()].copy_from_slice(part));
    bytes
}

fn ne32(value: u32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

fn service_answer(protocol: u16, mark: u32) -> Vec<u8> {
    let parts = [
        (0, protocol.to_ne_bytes().to_vec()),
        (4, vec![192, 0, 2, 10]),
        (8, vec![0, 80]),
        (12, ne32(mark)),
        (16, b"wlc\0".to_vec()),
        (32, ne32(3)),
        (36, ne32(50)),
        (40, vec![255, 255, 255, 0]),
        (44, ne32(5)),
    ];
    answer(size_of::<u64>(), SERVICE_LEN, &parts)
}

#[test]
#[cfg(not(target_arch = "x86"))]
fn ipvs91_services_are_read_where_the_kernel_writes_them() {
    let want = Service {
        scheduler: "wlc".try_into().unwrap(),
        flags: 1,
        timeout: 50,
        prefix_len: 24,
        ..service(tcp("192.0.2.10:80"))
    };
    assert_eq!(parse_service(&service_answer(6, 0), 0), Ok(Some(want.clone())), "HASHED is the kernel's");
    let mark = Service { key: ServiceKey::Mark { mark: 7, ipv6: false }, ..want };
    assert_eq!(parse_service(&service_answer(6, 7), 0), Ok(Some(mark)));
    assert_eq!(parse_service(&service_answer(99, 0), 0), Ok(None), "B-100: a protocol that we never make");
    assert_eq!(parse_destination_count(&service_answer(6, 0)[8..]), Ok(5));
    assert_eq!(services_len(3), 8 + 3 * 104);
    let mut question = vec![0; services_len(1)];
    prepare_services(&mut question, 1);
    assert_eq!(question[..4], 1u32.to_ne_bytes());
    assert!(is_free_service(&question, 0) && !is_free_service(&service_answer(6, 0), 0));
    assert_eq!(parse_service(&question, 0), Ok(None), "fewer than were counted");
}

#[test]
#[cfg(not(target_arch = "x86"))]
fn ipvs91_destinations_are_read_where_the_kernel_writes_them() {
    let key = tcp("192.0.2.10:80");
    let mut question = vec![0; destinations_len(1)];
    prepare_destinations(&mut question, &key, 1).unwrap();
    assert_eq!((question.len(), &question[4..10]), (24 + 96, &[192, 0, 2, 10, 0, 80][..]));
    assert_eq!((&question[..2], &question[16..20]), (&6u16.to_ne_bytes()[..], &1u32.to_ne_bytes()[..]));
    let parts = [
        (0, vec![10, 0, 0, 2]),
        (4, vec![0x1f, 0x90]),
        // The kernel has marks of its own beside the method.
        (8, ne32(0x103)),
        (12, ne32(1 << 31)),
        (16, ne32(9)),
        (20, ne32(8)),
        (24, ne32(7)),
        (28, ne32(6)),
    ];
    let told = answer(24, 96, &parts);
    let want = DestinationEntry {
        destination: Destination { weight: 1 << 31, ..destination("10.0.0.2:8080") },
        active_connections: 7,
        inactive_connections: 6,
    };
    assert_eq!(parse_destination(&told, 0), Ok(Some(want)), "B-102: the weight as it is");
    assert_eq!(parse_destination(&question, 0), Ok(None), "fewer than were counted");
    assert!(is_free_destination(&question, 0) && !is_free_destination(&told, 0));
}

#[test]
fn b96_answers_that_are_cut_are_malformed() {
    let whole = service_answer(6, 0);
    for len in 0..SERVICE_LEN {
        let result = parse_service(&whole[..len.min(50)], 0);
        assert!(result.is_err(), "{len} bytes: {result:?}");
    }
    assert!(parse_service(&whole, 1).is_err() && parse_service(&whole, usize::MAX).is_err());
    assert!(parse_destination(&[0; 40], 0).is_err() && parse_destination(&[0; 400], usize::MAX).is_err());
    assert!(!is_free_service(&[], 0) && !is_free_service(&whole, usize::MAX));
    assert!(parse_timeouts(&[0; 11]).is_err() && parse_service_count(&[0; 11]).is_err());
    let mut odd = whole;
    odd[24..40].fill(b'x');
    assert!(parse_service(&odd, 0).is_err(), "B-79: a name without a NUL is none that the kernel has");
}
