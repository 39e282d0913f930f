use super::*;

/// (type, value) pairs as the kernel would send them in one nest.
type Parts = Vec<(u16, Vec<u8>)>;

fn entry(command: u8, nest: u16, parts: &Parts) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut batch = crate::wire::netlink::Batch::new(&mut buffer);
    genetlink::message(&mut batch, (0x20, command), 2, 1, |body| {
        body.nest(nest, |body| {
            for (kind, value) in parts {
                body.attribute(*kind, value);
            }
        });
    })
    .unwrap();
    batch.bytes()[16..].to_vec()
}

fn ne32(value: u32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

fn ne16(value: u16) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

/// In the kernel's order (`ip_vs_genl_fill_service`), counters with their padding (B-98).
fn service_parts() -> Parts {
    let address = [&[192, 0, 2, 10][..], &[0; 12]].concat();
    vec![
        (SVC_AF, ne16(2)),
        (SVC_PROTOCOL, ne16(6)),
        (SVC_ADDR, address),
        (SVC_PORT, vec![0, 80]),
        (SVC_SCHED_NAME, b"wlc\0".to_vec()),
        (SVC_FLAGS, [ne32(0x3), ne32(u32::MAX)].concat()),
        (SVC_TIMEOUT, ne32(50)),
        (SVC_NETMASK, vec![255, 255, 255, 0]),
        (10, [ne16(4), ne16(11), ne16(12), ne16(4), vec![1; 8]].concat()),
        (12, [ne16(4), ne16(11), ne16(12), ne16(1), vec![1; 8]].concat()),
    ]
}

fn dest_parts() -> Parts {
    let address = [&[10, 0, 0, 2][..], &[0; 12]].concat();
    vec![
        (DEST_ADDR, address),
        (DEST_PORT, vec![0x1f, 0x90]),
        (DEST_FWD_METHOD, ne32(3)),
        (DEST_WEIGHT, ne32(100)),
        (DEST_U_THRESH, ne32(9)),
        (DEST_L_THRESH, ne32(8)),
        (DEST_ACTIVE_CONNS, ne32(7)),
        (DEST_INACT_CONNS, ne32(6)),
        (9, ne32(5)),
        (DEST_ADDR_FAMILY, ne16(2)),
        (10, vec![]),
        (12, [ne16(4), ne16(11), ne16(12), ne16(1), vec![1; 8]].concat()),
    ]
}

fn without(parts: Parts, kind: u16) -> Parts {
    parts.into_iter().filter(|(k, _)| *k != kind).collect()
}

fn with(parts: Parts, kind: u16, value: Vec<u8>) -> Parts {
    let at = parts.iter().position(|(k, _)| *k == kind).unwrap_or(parts.len());
    let mut parts = without(parts, kind);
    parts.insert(at, (kind, value));
    parts
}

fn service(parts: Parts) -> Result<Option<Service>, Malformed> {
    parse_service(&entry(NEW_SERVICE, SERVICE, &parts))
}

fn destination(parts: Parts) -> Result<DestinationEntry, Malformed> {
    parse_destination(&entry(NEW_DEST, DEST, &parts), false)
}

/// IPVS-26a, IPVS-26c: counters are passed over, wherever they stand.
#[test]
fn b98_service_is_read_with_and_without_counters() {
    let want = Service {
        engine: "".try_into().unwrap(),
        key: ServiceKey::Address { protocol: Protocol::Tcp, address: "192.0.2.10:80".parse().unwrap() },
        scheduler: "wlc".try_into().unwrap(),
        flags: 1,
        timeout: 50,
        prefix_len: 24,
    };
    assert_eq!(service(service_parts()), Ok(Some(want.clone())), "HASHED is the kernel's, PAD is skipped");
    assert_eq!(service(without(service_parts(), 12)), Ok(Some(want)), "STATS64 missing (older kernels)");
}

#[test]
fn b96_service_without_a_part_is_malformed() {
    for kind in
        [SVC_AF, SVC_PROTOCOL, SVC_ADDR, SVC_PORT, SVC_SCHED_NAME, SVC_FLAGS, SVC_TIMEOUT, SVC_NETMASK]
    {
        let result = service(without(service_parts(), kind));
        assert!(matches!(result, Err(Malformed::Missing(_))), "without {kind}: {result:?}");
    }
    for (kind, value) in [
        (SVC_AF, ne16(7)),
        (SVC_ADDR, vec![1, 2, 3]),
        (SVC_PORT, vec![1]),
        (SVC_SCHED_NAME, b"0123456789abcdef".to_vec()),
        (SVC_FLAGS, vec![1]),
    ] {
        let result = service(with(service_parts(), kind, value));
        assert!(result.is_err(), "bad {kind}: {result:?}");
    }
}

#[test]
fn b97_ipv4_address_of_four_bytes_is_enough() {
    let four = service(with(service_parts(), SVC_ADDR, vec![192, 0, 2, 10])).unwrap().unwrap();
    assert_eq!(four.key.address(), Some("192.0.2.10".parse().unwrap()));
    let four = destination(with(dest_parts(), DEST_ADDR, vec![10, 0, 0, 2])).unwrap();
    assert_eq!(four.destination.address, "10.0.0.2:8080".parse().unwrap());
    let v6 = with(service_parts(), SVC_AF, ne16(10));
    assert!(service(with(v6, SVC_ADDR, vec![1; 4])).is_err(), "but not for IPv6");
}

#[test]
fn b100_services_that_are_not_ours_are_read_or_skipped() {
    assert_eq!(service(with(service_parts(), SVC_PROTOCOL, ne16(99))), Ok(None), "IPVS-40e");
    let marked = without(without(without(service_parts(), SVC_PROTOCOL), SVC_ADDR), SVC_PORT);
    let marked = with(marked, SVC_FWMARK, ne32(7));
    assert_eq!(service(marked).unwrap().unwrap().key, ServiceKey::Mark { mark: 7, ipv6: false });
    let none = service(with(service_parts(), SVC_SCHED_NAME, b"none\0".to_vec())).unwrap().unwrap();
    assert_eq!(none.scheduler, "none", "IPVS-40b: somebody can make one");
    let zero = service(with(service_parts(), SVC_NETMASK, vec![0; 4])).unwrap().unwrap();
    assert_eq!(zero.prefix_len, 0);
}

#[test]
fn ipvs26_ipv6_mask_is_a_length_in_host_order() {
    let v6 = with(service_parts(), SVC_AF, ne16(10));
    let v6 = with(v6, SVC_ADDR, vec![0x20; 16]);
    let read = |len| service(with(v6.clone(), SVC_NETMASK, ne32(len))).map(|s| s.unwrap().prefix_len);
    assert_eq!(read(64), Ok(64));
    assert_eq!(read(129), Err(Malformed::Value("IPVS_SVC_ATTR_NETMASK")));
    assert_eq!(read(256 + 64), Err(Malformed::Value("IPVS_SVC_ATTR_NETMASK")), "not cut to 8 bits");
}

/// IPVS-30e: what is shown as connections; IPVS-30f, IPVS-30h: the other counters are passed over.
#[test]
fn b98_destination_is_read_with_and_without_counters() {
    let want = DestinationEntry {
        destination: Destination {
            address: "10.0.0.2:8080".parse().unwrap(),
            forward: Forwarding::DirectRoute,
            tunnel: crate::wire::ipvs::Tunnel::Ipip,
            weight: 100,
            upper_threshold: 9,
            lower_threshold: 8,
        },
        active_connections: 7,
        inactive_connections: 6,
    };
    assert_eq!(destination(dest_parts()), Ok(want));
    assert_eq!(destination(without(dest_parts(), 12)), Ok(want), "STATS64 missing");
    assert_eq!(destination(without(dest_parts(), DEST_ADDR_FAMILY)), Ok(want), "IPVS-30g");
}

#[test]
fn b96_destination_without_a_part_is_malformed() {
    for kind in DEST_ADDR..=DEST_INACT_CONNS {
        let result = destination(without(dest_parts(), kind));
        assert!(matches!(result, Err(Malformed::Missing(_))), "without {kind}: {result:?}");
    }
    assert!(destination(with(dest_parts(), DEST_ADDR_FAMILY, ne16(1))).is_err());
    let cut = &entry(NEW_DEST, DEST, &dest_parts())[..40];
    assert_eq!(parse_destination(cut, false), Err(Malformed::AttributeLength), "cut in the middle");
    assert_eq!(parse_destination(&[5, 1], false), Err(Malformed::Short("genlmsghdr")));
    assert_eq!(parse_destination(&[5, 1, 0, 0], false), Err(Malformed::Missing("IPVS entry")));
    let other = entry(NEW_SERVICE, DEST, &dest_parts());
    assert_eq!(parse_destination(&other, false), Err(Malformed::Value("IPVS command")));
}

#[test]
fn b102_odd_weights_and_methods_are_told_as_they_are() {
    let heavy = destination(with(dest_parts(), DEST_WEIGHT, ne32(1 << 31))).unwrap();
    assert_eq!(heavy.destination.weight, 1 << 31);
    use Forwarding::*;
    let methods = [Masquerade, Local, Tunnel, DirectRoute, Bypass, Bypass, Bypass, Bypass, Masquerade];
    for (raw, want) in methods.into_iter().enumerate() {
        let read = destination(with(dest_parts(), DEST_FWD_METHOD, ne32(raw as u32))).unwrap();
        assert_eq!(read.destination.forward, want, "method {raw}");
    }
}

fn tunnel(kind: u8, flags: u16) -> Destination {
    let parts = with(dest_parts(), DEST_FWD_METHOD, ne32(2));
    let parts = with(with(parts, DEST_TUN_TYPE, vec![kind]), DEST_TUN_PORT, vec![0x17, 0xc0]);
    destination(with(parts, DEST_TUN_FLAGS, ne16(flags))).unwrap().destination
}

#[test]
fn ipvs30i_tunnels_are_read_as_they_were_sent() {
    use TunnelChecksum::*;
    for (flags, checksum) in [(0, None), (1, Full), (2, Remote)] {
        assert_eq!(tunnel(1, flags).tunnel, Tunnel::Gue { port: 6080, checksum });
        assert_eq!(tunnel(2, flags).tunnel, Tunnel::Gre { checksum });
    }
    assert_eq!((tunnel(0, 0).forward, tunnel(0, 0).tunnel), (Forwarding::Tunnel, Tunnel::Ipip));
    let old = destination(with(dest_parts(), DEST_FWD_METHOD, ne32(2))).unwrap().destination;
    assert_eq!((old.forward, old.tunnel), (Forwarding::Tunnel, Tunnel::Ipip), "a kernel without the words");
    for (kind, flags) in [(3, 0), (255, 0), (1, 3), (2, 0x8000)] {
        let odd = tunnel(kind, flags);
        assert_eq!(odd.forward, Forwarding::Bypass, "{kind} {flags} equals nothing that we want");
    }
    let direct = with(with(dest_parts(), DEST_TUN_TYPE, vec![1]), DEST_TUN_FLAGS, ne16(1));
    assert_eq!(destination(direct).unwrap().destination.tunnel, Tunnel::Ipip, "only a tunnel is of a kind");
    for (kind, value) in [(DEST_TUN_TYPE, vec![]), (DEST_TUN_PORT, vec![1]), (DEST_TUN_FLAGS, vec![1])] {
        let result = destination(with(dest_parts(), kind, value));
        assert_eq!(result, Err(Malformed::Short("attribute")), "B-76: attribute {kind} is cut");
    }
}

#[test]
fn ipvs26b_persistence_engine_is_read() {
    let read = |name: &[u8]| service(with(service_parts(), SVC_PE_NAME, name.to_vec()));
    assert_eq!(read(b"sip\0").unwrap().unwrap().engine, "sip");
    assert_eq!(read(b"0123456789abcdef\0").unwrap().unwrap().engine, "0123456789abcdef");
    assert_eq!(read(b"0123456789abcdefg\0"), Err(Malformed::Value("IPVS_SVC_ATTR_PE_NAME")));
    assert_eq!(read(b"\xff\0"), Err(Malformed::Value("IPVS_SVC_ATTR_PE_NAME")));
    assert_eq!(service(service_parts()).unwrap().unwrap().engine, "");
}
